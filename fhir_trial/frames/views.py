"""The ViewDefinitions that travel with the package, by name: tables of what others wrote; a version that differs has a file of its own."""

from collections.abc import Mapping
from difflib import get_close_matches
from pathlib import Path
from typing import Any

from fhir_trial.data_files import data_dir
from fhir_trial.errors import UsageError
from fhir_trial.fhir.json import decode
from fhir_trial.fhir.versions import DEFAULT, version
from fhir_trial.frames.definition import read_view
from fhir_trial.frames.view import View

AnyView = View | Mapping[str, Any] | str
"""A view that is read already, a decoded ViewDefinition, or the name of a shipped one."""


def as_view(view: AnyView, fhir: str = DEFAULT) -> View:
    """The view itself; raises `ViewError` with all that is wrong with a definition, `UsageError` for a name that is not known."""
    if isinstance(view, View):
        return view
    return read_view(shipped_view(view, fhir) if isinstance(view, str) else view, fhir)


def shipped_views(fhir: str = DEFAULT) -> dict[str, Path]:
    """The files of all shipped views for a version, by name."""
    folder = data_dir("mappings") / "views"
    common = {path.stem: path for path in sorted(folder.glob("*.json"))}
    own = {path.stem: path for path in sorted((folder / version(fhir).name).glob("*.json"))}
    return dict(sorted((common | own).items()))


def shipped_view(name: str, fhir: str = DEFAULT) -> dict[str, Any]:
    """The shipped ViewDefinition of that name; `UsageError` names the closest one, or all of them.

    >>> shipped_view("laboratory")["resource"]
    'Observation'
    """
    known = shipped_views(fhir)
    if name not in known:
        close = get_close_matches(name, known, n=1)
        raise UsageError(
            f"no view {name!r} is shipped for {fhir}; " + (f"did you mean {close[0]}?" if close else f"there are {', '.join(known)}")
        )
    view: dict[str, Any] = decode(known[name].read_bytes(), known[name].name)
    return view
