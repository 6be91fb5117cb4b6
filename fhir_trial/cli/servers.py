"""Commands that talk to a server: the plan of a sync and its carrying out, reading a study, and what a server can do."""

from pathlib import Path
from typing import Annotated, Any

import typer

from fhir_trial import config
from fhir_trial.cli.output import say, say_findings, show, show_counts, show_json, terminal_progress
from fhir_trial.mapping.keys import BASE
from fhir_trial.sync.capability import ServerInfo
from fhir_trial.sync.folder import FolderWriter, read_folder
from fhir_trial.sync.journal import Journal
from fhir_trial.sync.plan import Choices, make_plan
from fhir_trial.sync.pull import of_study, trial_types
from fhir_trial.sync.pull import pull as pull_types
from fhir_trial.sync.push import apply as apply_plan
from fhir_trial.trial.connection import Connection, connect
from fhir_trial.trial.opened import folder_version

Server = Annotated[str | None, typer.Option("--server", help="A URL, or a name of the configuration.")]
Token = Annotated[str | None, typer.Option(help="Where the token stands: env:NAME, file:PATH, keyring:SERVICE/USER.")]
Store = Annotated[bool, typer.Option("--research-store", help="The server may hold pseudonymous patients.")]
Deadline = Annotated[float | None, typer.Option(help="Seconds that one exchange with its retries may take.")]
Json = Annotated[bool, typer.Option("--json", help="Report as JSON.")]
Version = Annotated[str | None, typer.Option("--fhir", help="FHIR version, r4 or r5.")]


def _open(server: str | None, fhir: str | None, flags: dict[str, Any]) -> Connection:
    return connect(config.load(flags=flags).server(server), fhir)


def _flags(token: str | None, research_store: bool, deadline: float | None) -> dict[str, Any]:
    return {"token": token, "research_store": "true" if research_store else None, "deadline": deadline}


def sync(
    folder: Annotated[Path, typer.Argument(help="Folder of FHIR NDJSON, as to-fhir and pull write it.")],
    server: Server = None,
    apply: Annotated[bool, typer.Option("--apply", help="Carry the plan out.")] = False,
    prefer: Annotated[str | None, typer.Option(help="Settle conflicts: source or server.")] = None,
    delete: Annotated[bool, typer.Option("--delete", help="Also delete what we wrote and the folder lacks.")] = False,
    show_values: Annotated[bool, typer.Option("--show-values", help="Show the values that differ: subject data.")] = False,
    fhir: Version = None,
    token: Token = None,
    research_store: Store = False,
    deadline: Deadline = None,
    as_json: Json = False,
) -> int:
    """Show what a sync would create, update, leave or conflict over; with --apply do it. 1 when there are conflicts."""
    resources = list(read_folder(folder))
    choices = Choices(prefer=prefer, delete=delete)  # type: ignore[arg-type] # checked by Choices itself
    with (
        _open(server, folder_version(folder, fhir), _flags(token, research_store, deadline)) as connection,
        Journal.of_folder(folder) as journal,
    ):
        plan = connection.run(make_plan(resources, connection.info, journal.synced(connection.info.base_url), choices))
        if not apply:
            show_json({"plan": plan.counts(), "lines": list(plan.lines(show_values))}) if as_json else _show_plan(plan, show_values)
            return 1 if plan.of("conflict", "refused") else 0
        report = connection.run(apply_plan(plan, journal, terminal_progress()))
    show_json(report.counts()) if as_json else show_counts(str(folder), report.counts())
    say_findings(report.findings)
    return 0 if report.is_clean else 1


def _show_plan(plan: Any, show_values: bool) -> None:
    for line in plan.lines(show_values):
        show(line)
    show_counts("plan", plan.counts())


def pull(
    out: Annotated[Path, typer.Option(help="Folder for <ResourceType>.ndjson and manifest.json.")],
    server: Server = None,
    study: Annotated[str | None, typer.Option(help="Only this study's resources.")] = None,
    types: Annotated[list[str] | None, typer.Option("--type", help="Only these resource types.")] = None,
    fhir: Version = None,
    token: Token = None,
    deadline: Deadline = None,
    as_json: Json = False,
) -> int:
    """Read a study, or every trial resource, from a server into a folder whose manifest proves it complete."""
    with _open(server, fhir, _flags(token, False, deadline)) as connection, FolderWriter(out) as writer:
        wanted = trial_types(connection.info, types or ())
        keep = of_study(f"{BASE}sid/", study) if study else None
        pulled = connection.run(pull_types(wanted, writer.take, keep, terminal_progress()))
        writer.finish(connection.fhir, study, connection.info.base_url)
    show_json({"counts": pulled.counts}) if as_json else show_counts(str(out), pulled.counts)
    say_findings(pulled.findings)
    return 0


def doctor(
    server: Server = None,
    fhir: Version = None,
    token: Token = None,
    research_store: Store = False,
    deadline: Deadline = None,
    as_json: Json = False,
) -> int:
    """Say what a server can do and which way of writing follows."""
    with _open(server, fhir, _flags(token, research_store, deadline)) as connection:
        lines = _advice(connection.info)
    if as_json:
        show_json(lines)
    else:
        show("\n".join(f"{name}: {text}" for name, text in lines.items()))
    if not connection.info.research_store:
        say("pseudonymous patients are not written to this server: declare it with research_store = true if it is one")
    return 0


def _advice(info: ServerInfo) -> dict[str, str]:
    readable = trial_types(info)
    refused = {name: reason for name in readable if (reason := info.why_not_written(name))}
    return {
        "server": info.software or "unnamed",
        "FHIR": info.fhir_version,
        "writes": "in transactions" if info.transactions else "one by one",
        "read": ", ".join(readable) or "nothing",
        "not written": "; ".join(f"{name}: {reason}" for name, reason in refused.items()) or "nothing",
    }
