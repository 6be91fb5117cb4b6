"""Commands on study definitions."""

from pathlib import Path
from typing import Annotated

import typer

from fhir_trial.cli.output import finding_row, say, say_findings, show, show_json
from fhir_trial.cli.places import file_to_write
from fhir_trial.sources.study_import import import_study

app = typer.Typer(help="Study definitions.", no_args_is_help=True)


@app.command("import")
def import_(
    file: Annotated[Path, typer.Argument(help="ClinicalTrials.gov v2 JSON, PRS XML, USDM v4 JSON or ODM-XML 1.3.2.")],
    out: Annotated[
        Path | None, typer.Option(callback=file_to_write, help="File for the study definition; else it goes to standard output.")
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Report as JSON.")] = False,
) -> int:
    """Make a study definition of a registry record or a protocol; 1 when a fact that it needs is missing or unusable."""
    imported = import_study(file)
    text = imported.yaml()
    if out is not None:
        out.parent.mkdir(parents=True, exist_ok=True)
        out.write_text(text, encoding="utf-8")
    if as_json:
        show_json({"study": imported.members, "findings": [finding_row(f) for f in imported.findings]})
    else:
        show(str(out) if out is not None else text.rstrip())
        say_findings(imported.findings, limit=200)
        if not imported.is_whole:
            say("the definition cannot be used before what is missing is filled in")
    return 1 if imported.findings.errors() else 0
