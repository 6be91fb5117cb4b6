"""XML read safely: DTDs and entities are refused, the size is bounded, nothing is fetched."""

from pathlib import Path
from typing import Any

from lxml import etree

from fhir_trial.errors import Finding, InputError

MOST_BYTES = 512 * 1024 * 1024
"""A larger file is refused: it would be held in memory as a whole."""


def read_tree(path: Path) -> Any:
    """The file's root element; `InputError` with a finding where it is no XML, is too large, or holds a DTD or entities."""
    if (size := path.stat().st_size) > MOST_BYTES:
        raise InputError([Finding("too-large", path.name, found=f"{size} bytes", expected=f"at most {MOST_BYTES} bytes")])
    parser = etree.XMLParser(
        resolve_entities=False, no_network=True, load_dtd=False, huge_tree=False, remove_comments=True, remove_pis=True
    )
    try:
        return etree.fromstring(_without_dtd(path.read_bytes(), path.name), parser)
    except (etree.XMLSyntaxError, ValueError) as error:
        message = str(error).partition(",")[0][:100] if isinstance(error, etree.XMLSyntaxError) else type(error).__name__
        raise InputError([Finding("not-xml", path.name, row=getattr(error, "lineno", None), expected=f"XML ({message})")]) from None


def _without_dtd(data: bytes, place: str) -> bytes:
    """The data, refused before any parsing where it declares a document type, in any encoding with ASCII in it."""
    if b"<!DOCTYPE" in data.replace(b"\0", b"") or b"<!ENTITY" in data.replace(b"\0", b""):
        raise InputError([Finding("dtd-refused", place, expected="no document type and no entities")])
    return data
