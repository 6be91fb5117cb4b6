"""Registry records: results written for upload, records converted, compared and checked."""

import re
from pathlib import Path
from typing import Annotated

import msgspec
import typer

from fhir_trial.cli.output import finding_row, say_findings, show, show_json
from fhir_trial.cli.places import file_to_write
from fhir_trial.endpoints.analyse import analyse
from fhir_trial.endpoints.conventions import for_study
from fhir_trial.errors import Findings, UsageError
from fhir_trial.registry import check as check_record
from fhir_trial.registry import results_xml
from fhir_trial.registry.records import FORMS, bytes_of, difference, is_xml, read_record, write_record
from fhir_trial.trial.opened import read_source

Json = Annotated[bool, typer.Option("--json", help="Report as JSON.")]

app = typer.Typer(help="Registry records.", no_args_is_help=True)


@app.command("results")
def results(
    source: Annotated[Path, typer.Argument(help="Folder of SDTM domains, or of FHIR NDJSON.")],
    out: Annotated[Path, typer.Option(callback=file_to_write, help="The file to write.")],
    study: Annotated[str | None, typer.Option("--study", help="Study definition: a file, or an id.")] = None,
    form: Annotated[str, typer.Option("--format", help=f"{' or '.join(FORMS)}.")] = "prs-xml",
    as_json: Json = False,
) -> int:
    """Write the results record; what the registry wants and nobody knows is said. 1 when there are errors in the data."""
    _known(form, "--format")
    data = read_source(source, study)
    findings = Findings(data.findings)
    analysis = analyse(data, for_study(data.study))
    findings.extend(analysis.findings)
    document = results_xml(data, analysis, data.study, findings)
    if form != "prs-xml":
        record = read_record(document, out.name, findings)
        if re.fullmatch(r"NCT\d{8}", data.study.id) and not data.synthetic:
            record = msgspec.structs.replace(record, nct_id=data.study.id)
        document = write_record(record, form, out.name, findings)
    return _written(out, document, findings, as_json)


@app.command("convert")
def convert(
    file: Annotated[Path, typer.Argument(help="A record: ClinicalTrials.gov v2 JSON, or PRS XML.")],
    to: Annotated[str, typer.Option("--to", help=f"{' or '.join(FORMS)}.")],
    out: Annotated[Path, typer.Option(callback=file_to_write, help="The file to write.")],
    as_json: Json = False,
) -> int:
    """Write a record's results in the other form; what that form has no place for is listed. 1 when a value could not be used."""
    _known(to, "--to")
    findings = Findings()
    record = read_record(bytes_of(file), file.name, findings)
    return _written(out, write_record(record, to, file.name, findings), findings, as_json)


@app.command("diff")
def diff(
    first: Annotated[Path, typer.Argument(help="A record: ClinicalTrials.gov v2 JSON, or PRS XML.")],
    second: Annotated[Path, typer.Argument(help="Another one.")],
    as_json: Json = False,
) -> int:
    """Say in which fields two records differ, of one form or of both; 1 when they do."""
    changes = difference(bytes_of(first), bytes_of(second), (first.name, second.name), findings := Findings())
    if as_json:
        rows = [{"path": change.path, "first": change.before, "second": change.after} for change in changes]
        show_json({"changes": rows, "findings": [finding_row(f) for f in findings]})
    else:
        for change in changes:
            show(change.describe())
        say_findings(findings, limit=200)
        show(f"{len(changes)} fields differ" if changes else "the two records hold the same")
    return 1 if changes else 0


@app.command("check")
def check(
    file: Annotated[Path, typer.Argument(help="A record: PRS XML, or ClinicalTrials.gov v2 JSON, checked as `convert` writes it.")],
    as_json: Json = False,
) -> int:
    """Check a record against the schema and what reviewers send back; 1 when there is an error."""
    data, findings = bytes_of(file), Findings()
    if not is_xml(data):
        data = write_record(read_record(data, file.name, findings), "prs-xml", file.name, findings)
        findings = Findings(finding for finding in findings if finding.severity != "information")  # what is no result is not checked
    findings.extend(check_record(data, file.name))
    if as_json:
        show_json([finding_row(f) for f in findings])
    else:
        say_findings(findings, limit=200)
        show(f"{len(findings)} findings")
    return 1 if findings.errors() else 0


def _known(form: str, option: str) -> None:
    if form not in FORMS:
        raise UsageError(f"{option} {form}: expected {' or '.join(FORMS)}")


def _written(out: Path, document: bytes, findings: Findings, as_json: bool) -> int:
    out.parent.mkdir(parents=True, exist_ok=True)
    out.write_bytes(document)
    if as_json:
        show_json({"file": str(out), "findings": [finding_row(f) for f in findings]})
    else:
        say_findings(findings, limit=200)
        show(str(out))
    return 1 if findings.errors() else 0
