"""The command that makes a table of resources."""

import sys
from dataclasses import replace
from pathlib import Path
from typing import Annotated, Any

import typer

from fhir_trial.cli.data import Json, OnError, version_of
from fhir_trial.cli.output import finding_row, say, say_findings, show, show_json
from fhir_trial.errors import Finding, Findings, InputError, UsageError
from fhir_trial.fhir import json as fhir_json
from fhir_trial.frames import shipped_view, write_view
from fhir_trial.progress import Progress, silent


def view(
    definition: Annotated[str, typer.Argument(metavar="VIEW", help="A SQL-on-FHIR ViewDefinition in JSON, or the name of a shipped one.")],
    paths: Annotated[list[Path], typer.Argument(help="NDJSON, Bundles, folders of them or globs; gzip too.")],
    out: Annotated[Path, typer.Option(help="File to write: .csv, .ndjson or .parquet.")],
    fhir: Annotated[str | None, typer.Option("--fhir", help="FHIR version, r4 or r5; else what a folder's manifest says, else r4.")] = None,
    workers: Annotated[int, typer.Option("--workers", min=1, help="Processes that share a large source.")] = 1,
    on_error: Annotated[OnError, typer.Option("--on-error", help="Bad input: keep the rest, or refuse the run.")] = OnError.refuse,
    lineage: Annotated[bool, typer.Option("--lineage", help="Begin each row with its resource, version, file and line.")] = False,
    as_json: Json = False,
) -> int:
    """Run a ViewDefinition over resources into a table; 1 when something could not be read."""
    version, findings = version_of(paths, fhir), Findings()
    if out.is_file() and any(path.is_file() and path.samefile(out) for path in paths):
        raise UsageError(f"{out} is what is read; the table would replace it")
    try:
        rows = write_view(
            _definition(definition, version),
            paths,
            out,
            version,
            bad="skip" if on_error is OnError.keep else "raise",
            findings=findings,
            lineage=lineage,
            workers=workers,
            progress=_counter(),
        )
    except InputError as error:
        raise InputError([_in_file(finding, definition) for finding in error.findings]) from error
    findings = Findings(_in_file(finding, definition) for finding in findings)
    if sys.stderr.isatty():
        say("")
    if as_json:
        show_json({"file": str(out), "rows": rows, "findings": [finding_row(finding) for finding in findings]})
    else:
        say_findings(finding for finding in findings if finding.severity != "information")
        show(f"{out}: {rows} rows")
    return 1 if findings.errors() else 0


def _in_file(finding: Finding, definition: str) -> Finding:
    """The finding with the definition's file where it is about the view."""
    word, _, place = finding.place.partition(" ")
    return replace(finding, place=f"{definition} {place}".strip()) if word == "view" else finding


def _definition(view: str, fhir: str) -> dict[str, Any]:
    """A ViewDefinition from a file, else the shipped one of that name."""
    path = Path(view)
    if path.is_file():
        loaded: dict[str, Any] = fhir_json.decode(path.read_bytes(), view)
        return loaded
    if path.suffix or path.name != view:
        raise UsageError(f"{view} is no file")
    return shipped_view(view, fhir)


def _counter() -> Progress:
    """Counts rows in one line on stderr; nothing where that is no terminal."""
    if not sys.stderr.isatty():
        return silent

    def count(step: str, done: int, total: int | None) -> None:
        sys.stderr.write(f"\r{done} {step}\033[K")
        sys.stderr.flush()

    return count
