"""`compare`: endpoints under several conventions side by side, with the subjects whose outcome changes and why."""

from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path
from typing import Annotated, Any

import typer

from fhir_trial.cli.data import Domains, Json, OnError, OnErrorOption, Study, Version, pairs
from fhir_trial.cli.output import BANNER, finding_row, say, say_findings, show, show_json, show_table
from fhir_trial.endpoints import comparison
from fhir_trial.endpoints.comparison import Comparison, OutcomeChange
from fhir_trial.endpoints.outputs import figures
from fhir_trial.sources.conventions_file import chosen_conventions
from fhir_trial.trial.opened import read_source


def compare(
    source: Annotated[Path, typer.Argument(help="Folder of SDTM domains, or of FHIR NDJSON.")],
    endpoint: Annotated[list[str], typer.Option("--endpoint", help="An endpoint such as PFS or ORR; may be repeated.")],
    conventions: Annotated[list[str], typer.Option("--conventions", help="A preset or a file; two or more, the first is compared with.")],
    setting: Annotated[list[str] | None, typer.Option("--set", help="A convention that departs in all of them: name=value.")] = None,
    study: Study = None,
    fhir: Version = None,
    domain: Domains = None,
    on_error: OnErrorOption = OnError.keep,
    as_json: Json = False,
) -> int:
    """Show endpoints under several conventions, and each subject whose outcome changes; 1 when the data have errors."""
    data = read_source(source, study, fhir, pairs(domain, "domain"), on_error.value)
    settings = pairs(setting, "set")
    found = comparison.compare(data, endpoint, [chosen_conventions(data.study, each, settings) for each in conventions])
    findings = [*data.findings, *found.findings]
    if as_json:
        show_json(_document(found) | {"findings": [finding_row(f) for f in findings]})
    else:
        say_findings(findings)
        _show(found)
    return 1 if any(f.severity == "error" for f in findings) else 0


def _show(found: Comparison) -> None:
    for number, (name, each) in enumerate(zip(found.names(), found.conventions, strict=True), 1):
        say(f"conventions {number}, {name}: {each.describe()}")
    show_table(
        f"Endpoints of {found.study} under {len(found.conventions)} conventions", ["endpoint", "figure", *found.names()], _rows(found)
    )
    for change in found.changes:
        show(f"changed: {_line(change, found.names()[change.conventions])}")
    if not found.changes:
        show("no subject's outcome changes")
    if found.synthetic:
        show(f"*** {BANNER} ***")


def _line(change: OutcomeChange, name: str) -> str:
    outcomes = f"{change.before.describe()} -> {change.after.describe()}"
    return f"{change.subject} {change.endpoint}, {name}: {outcomes}; because of {change.why()}"


def _rows(found: Comparison) -> Iterator[list[str]]:
    for endpoint in found.endpoints:
        results = [each[endpoint] for each in found.results]
        yield [endpoint, "N", *(str(r.n) for r in results)]
        yield ["", "counted", *(str(r.count) for r in results)]
        for number, first in enumerate(results[0].estimates):
            yield ["", results[0].label_of(first), *(r.estimates[number].shown() for r in results)]


def _document(found: Comparison) -> dict[str, Any]:
    names = found.names()
    by_endpoint = {
        endpoint: {
            "figures": {name: figures(each[endpoint]) for name, each in zip(names, found.results, strict=True)},
            "changes": [_change(c, names) for c in found.changes if c.endpoint == endpoint],
        }
        for endpoint in found.endpoints
    }
    conventions = [
        {"name": name, "preset": c.preset, "departures": c.departures(), "values": c.to_dict()}
        for name, c in zip(names, found.conventions, strict=True)
    ]
    return {"study": found.study, "synthetic": found.synthetic, "conventions": conventions, "endpoints": by_endpoint}


def _change(change: OutcomeChange, names: list[str]) -> dict[str, Any]:
    return {
        "subject": change.subject,
        "conventions": names[change.conventions],
        "before": asdict(change.before),
        "after": asdict(change.after),
        "because": list(change.because),
    }
