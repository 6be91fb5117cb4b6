"""Registry records: results written for upload, and checked."""

from pathlib import Path
from typing import Annotated

import typer

from fhir_trial.cli.output import finding_row, say_findings, show, show_json
from fhir_trial.endpoints.analyse import analyse
from fhir_trial.endpoints.conventions import for_study
from fhir_trial.errors import Findings, UsageError
from fhir_trial.registry import check as check_record
from fhir_trial.registry import results_xml
from fhir_trial.trial.opened import read_source

Json = Annotated[bool, typer.Option("--json", help="Report as JSON.")]

app = typer.Typer(help="Registry records.", no_args_is_help=True)


@app.command("results")
def results(
    source: Annotated[Path, typer.Argument(help="Folder of SDTM domains, or of FHIR NDJSON.")],
    out: Annotated[Path, typer.Option(help="The file to write.")],
    study: Annotated[str | None, typer.Option("--study", help="Study definition: a file, or an id.")] = None,
    form: Annotated[str, typer.Option("--format", help="prs-xml.")] = "prs-xml",
    as_json: Json = False,
) -> int:
    """Write the results record; what the registry wants and nobody knows is said."""
    if form != "prs-xml":
        raise UsageError(f"--format {form}: this version writes prs-xml")
    data = read_source(source, study)
    findings = Findings(data.findings)
    analysis = analyse(data, for_study(data.study))
    findings.extend(analysis.findings)
    document = results_xml(data, analysis, data.study, findings)
    out.parent.mkdir(parents=True, exist_ok=True)
    out.write_bytes(document)
    if as_json:
        show_json({"file": str(out), "findings": [finding_row(f) for f in findings]})
    else:
        say_findings(findings)
        show(str(out))
    return 0


@app.command("check")
def check(
    file: Annotated[Path, typer.Argument(help="A PRS results XML file.")],
    as_json: Json = False,
) -> int:
    """Check a record against the schema and what reviewers send back; 1 when there is an error."""
    if not file.is_file():
        raise UsageError(f"{file} is no file")
    findings = check_record(file.read_bytes())
    if as_json:
        show_json([finding_row(f) for f in findings])
    else:
        say_findings(findings, limit=200)
        show(f"{len(findings)} findings")
    return 1 if any(f.severity == "error" for f in findings) else 0
