"""`demo`, the whole loop, and `serve`, the embedded server."""

import secrets
import sys
from collections.abc import Iterator
from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from fhir_trial import config
from fhir_trial.cli.output import BANNER, say, show, show_json, show_table, terminal_progress
from fhir_trial.cli.places import folder_to_write
from fhir_trial.endpoints.analyse import Results
from fhir_trial.errors import Finding
from fhir_trial.fhir.versions import DEFAULT
from fhir_trial.store import Store
from fhir_trial.store import server as store_server
from fhir_trial.store.limits import limits
from fhir_trial.trial import demo as loop
from fhir_trial.trial.demo import Demo

Fhir = Annotated[str, typer.Option("--fhir", help="FHIR version: r4 or r5.")]


class Cohort(StrEnum):
    """Which data the demonstration runs on."""

    a = "a"
    b = "b"


def demo(
    out: Annotated[Path, typer.Option(callback=folder_to_write, help="Folder to work in; what is there already is gone on with.")] = Path(
        "demo"
    ),
    cohort: Annotated[Cohort, typer.Option(help="a: the synthetic cohort; b: the CDISC pilot's public data.")] = Cohort.a,
    fhir: Fhir = DEFAULT,
    server: Annotated[
        str | None, typer.Option(help="Another server than the embedded store: a URL, or a name of the configuration.")
    ] = None,
    research_store: Annotated[bool, typer.Option(help="The server named may hold pseudonymous patients.")] = False,
    token: Annotated[str | None, typer.Option(help="Where the server's token stands: env:NAME, file:PATH, keyring:SERVICE/USER.")] = None,
    clean: Annotated[bool, typer.Option(help="Leave nothing behind.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Report as JSON.")] = False,
) -> int:
    """Run the whole loop: trial data, FHIR, server, tables, endpoints, results in FHIR, registry record."""
    flags = {"token": token, "research_store": "true" if research_store else None}
    named = config.load(flags=flags).server(server) if server else None
    try:
        done = loop.demo(out, cohort.value, fhir, named, terminal_progress())
        _report_json(done) if as_json else _report(done)
    finally:
        if clean:
            loop.clean(out)
            say(f"{out} holds nothing of the demonstration any more{'; the server keeps what it was sent' if named else ''}")
    return 0


def _report(done: Demo) -> None:
    say(f"{done.sent} resources; {done.written} written to the server")
    for change in (*done.changes.subjects, *done.changes.figures):
        show(f"changed: {change.describe()}")
    if done.changes.files:
        show(f"changed as well: {', '.join(done.changes.files)}")
    arms = ["arm"] if done.results.by_arm else []
    show_table(
        f"Endpoints of {done.study.id}, conventions {done.results.conventions.describe()}",
        ["endpoint", *arms, "N", "counted", "estimate", "value", "lower", "upper", "unit"],
        _rows(done.results),
    )
    if done.results.synthetic:
        show(f"*** {BANNER} ***")
    _report_findings(done)
    for name, path in done.paths.items():
        show(f"{name}: {path}")


def _report_findings(done: Demo) -> None:
    """Each kind of warning once, with how often it was met; what the study did not collect, one by one."""
    for finding in (f for f in done.findings if f.code == "fact-missing"):
        say(f"not there: {finding.describe()}")
    by_code: dict[str, list[Finding]] = {}
    for finding in (f for f in done.findings if f.severity != "information"):
        by_code.setdefault(finding.code, []).append(finding)
    for code, found in by_code.items():
        say(f"{found[0].severity}: {code}, {len(found)} times, first at {found[0].location()}")
    if by_code:
        say(f"all findings: {done.folder / 'findings.txt'}")


def _rows(results: Results) -> Iterator[list[str]]:
    """A row an estimate of each endpoint, with its arm in a study of several."""
    for result in results.of_everyone_and_arms():
        arm = [result.arm or "all"] if results.by_arm else []
        for e in result.estimates:
            yield [result.endpoint, *arm, str(result.n), str(result.count), result.label_of(e), *e.words(), e.unit or ""]


def _report_json(done: Demo) -> None:
    show_json(
        {
            "study": done.study.id,
            "fhir": done.fhir,
            "synthetic": done.results.synthetic,
            "resources": done.sent,
            "written": done.written,
            "changes": [change.describe() for change in (*done.changes.subjects, *done.changes.figures)],
            "changed_files": list(done.changes.files),
            "endpoints": {
                name: {"n": r.n, "count": r.count, "estimates": [vars(e) for e in r.estimates]} for name, r in done.results.items()
            },
            "paths": {name: str(path) for name, path in done.paths.items()},
        }
    )


def serve(
    fhir: Fhir = DEFAULT,
    host: Annotated[str, typer.Option(help="Address to listen at.")] = "127.0.0.1",
    port: Annotated[int, typer.Option(min=0, max=65535, help="Port; 0 takes a free one.")] = 8080,
    db: Annotated[Path, typer.Option(help="The database file; one database holds one study.")] = Path("fhir-trial.sqlite"),
    token: Annotated[
        str | None, typer.Option(help="Where the bearer token stands: env:NAME, file:PATH; else one is made and shown.")
    ] = None,
    like: Annotated[str | None, typer.Option(help="Refuse what another kind of server refuses, to try clients on: epic-like.")] = None,
) -> int:
    """Serve the embedded FHIR server until interrupted."""
    secret = config.Secret.parse(token).reveal() if token else secrets.token_urlsafe(24)
    store = Store(db, fhir)
    store.limits = limits(like) if like else None
    running, listening, url = store_server(store, secret, host, port)
    say(f"serving FHIR {store.fhir.number} at {url} from {db}")
    if token is None:
        say(f"bearer token: {secret}")
    show(url)
    sys.stdout.flush()
    try:
        with listening:
            running.run(sockets=[listening])
    finally:
        store.close()
    return 0
