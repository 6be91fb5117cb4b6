"""`lock`, which freezes the results of a folder in one file, and `diff` of two locks."""

from collections.abc import Iterable
from pathlib import Path
from typing import Annotated, Any

import typer

from fhir_trial.cli.data import Json
from fhir_trial.cli.output import BANNER, say, show, show_json
from fhir_trial.cli.places import file_to_write
from fhir_trial.trial import lock as locks
from fhir_trial.trial.lock_difference import Change, LockDifference, difference


def lock(
    folder: Annotated[Path, typer.Argument(help="Folder that endpoints wrote.")],
    cutoff: Annotated[str | None, typer.Option(help="Data cutoff (YYYY-MM-DD); results at another one are derived anew.")] = None,
    out: Annotated[Path | None, typer.Option(callback=file_to_write, help="The lock's file; else lock.json in the folder.")] = None,
    as_json: Json = False,
) -> int:
    """Freeze results with their cutoff, data digest, conventions and versions in one file; 1 when a file is missing or was changed."""
    made = locks.lock(folder, cutoff, out)
    if as_json:
        show_json({"file": str(made.path), "sha256": made.digest, **made.head, "files": list(made.texts)})
    else:
        say(f"cutoff {made.head['cutoff'] or 'none'}; data sha256 {made.head['snapshot']['sha256']}; lock sha256 {made.digest}")
        if made.head["synthetic"]:
            say(BANNER)
        show(str(made.path))
    return 0


def diff(
    first: Annotated[Path, typer.Argument(help="A lock, or the folder that it stands in.", metavar="LOCK_A")],
    other: Annotated[Path, typer.Argument(help="Another lock, or its folder.", metavar="LOCK_B")],
    as_json: Json = False,
) -> int:
    """Name the cells and figures in which two locks differ, and the subjects behind them; 1 when there are any."""
    found = difference(locks.read_lock(first), locks.read_lock(other))
    show_json(_document(found)) if as_json else _show(found)
    return 0 if found.is_empty else 1


def _show(found: LockDifference) -> None:
    for change in (*found.rests_on, *found.cells, *found.figures):
        show(change.describe())
    if found.is_empty:
        show("the two locks hold the same")


def _document(found: LockDifference) -> dict[str, Any]:
    return {
        "same": found.is_empty,
        "rests_on": [{"name": c.column, "before": c.before, "after": c.after} for c in found.rests_on],
        "cells": _rows(found.cells),
        "figures": [{"name": c.column, "before": c.before, "after": c.after, "subjects": list(c.subjects)} for c in found.figures],
    }


def _rows(cells: Iterable[Change]) -> list[dict[str, Any]]:
    return [
        {"file": c.file, "row": list(c.row), "column": c.column, "before": c.before, "after": c.after, "subjects": list(c.subjects)}
        for c in cells
    ]
