"""PRS XML read safely, and checked against NLM's schemas: no entity, no document type, no network."""

from collections.abc import Iterable
from functools import cache
from pathlib import Path
from typing import Any, cast

from lxml import etree

from fhir_trial.errors import Finding, InputError

_SCHEMAS = Path(__file__).parent / "schemas"


def parse(data: bytes, place: str = "record") -> etree._Element:
    """The root element; `InputError` for what is no well-formed XML, or brings a document type (and with it entities)."""
    parser = etree.XMLParser(
        resolve_entities=False, no_network=True, load_dtd=False, dtd_validation=False, huge_tree=False, remove_comments=True
    )
    try:
        root = etree.fromstring(data, parser)
    except etree.XMLSyntaxError as error:
        raise InputError([Finding("not-well-formed", place, error.lineno, expected="well-formed XML")]) from error
    if root.getroottree().docinfo.internalDTD is not None:
        raise InputError([Finding("document-type", place, expected="XML without a document type declaration")])
    return root


@cache
def _schema() -> etree.XMLSchema:
    return etree.XMLSchema(etree.parse(_SCHEMAS / "ProtocolRecordSchema.xsd", etree.XMLParser(no_network=True, resolve_entities=False)))


def violations(root: etree._Element) -> list[Finding]:
    """Where the document breaks the schema, one finding each."""
    schema = _schema()
    if schema.validate(root):
        return []
    log = cast(Iterable[Any], schema.error_log)  # lxml's stubs leave out that the log is iterable
    return [Finding("schema", f"line {entry.line}", found=entry.message) for entry in log]
