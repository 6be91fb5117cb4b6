"""`sync`: the plan of bringing a folder to a server, and its carrying out; the options that all commands about servers share."""

import datetime as dt
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Annotated, Any

import typer

from fhir_trial import config
from fhir_trial.cli.output import say, say_findings, show, show_counts, show_json, show_json_as_it_comes, terminal_progress
from fhir_trial.errors import InputError, UsageError, no_folder
from fhir_trial.privacy.audit import AuditLog
from fhir_trial.sources.study_file import load_study
from fhir_trial.sync.decide import ACTIONS, Choices
from fhir_trial.sync.folder import folder_version, read_folder, read_manifest
from fhir_trial.sync.journal import Journal
from fhir_trial.sync.plan import Plan, plan_by_piece
from fhir_trial.sync.push import push_spooled
from fhir_trial.sync.spool import Spool
from fhir_trial.trial.connection import Connection, connect

Server = Annotated[str | None, typer.Option("--server", help="A URL, or a name of the configuration.")]
Token = Annotated[str | None, typer.Option(help="Where the token stands: env:NAME, file:PATH, keyring:SERVICE/USER.")]
Store = Annotated[bool, typer.Option("--research-store", help="The server may hold pseudonymous patients.")]
Deadline = Annotated[float | None, typer.Option(help="Seconds that one exchange with its retries may take.")]
Json = Annotated[bool, typer.Option("--json", help="Report as JSON.")]
Profile = Annotated[str | None, typer.Option(help="What kind of server it is, instead of recognising it; doctor names them.")]
Study = Annotated[str | None, typer.Option("--study", help="The study's id or file, where the manifest names none.")]
Version = Annotated[str | None, typer.Option("--fhir", help="FHIR version, r4 or r5.")]


def server_flags(token: str | None, research_store: bool, deadline: float | None, profile: str | None) -> dict[str, Any]:
    """What the options of a command say of its server, as the configuration takes it."""
    return {"token": token, "research_store": "true" if research_store else None, "deadline": deadline, "profile": profile}


def _open(server: str | None, fhir: str | None, flags: dict[str, Any]) -> Connection:
    return connect(config.load(flags=flags).server(server), fhir)


def sync(
    folder: Annotated[Path, typer.Argument(help="Folder of FHIR NDJSON, as to-fhir and pull write it.")],
    server: Server = None,
    apply: Annotated[bool, typer.Option("--apply", help="Carry the plan out.")] = False,
    prefer: Annotated[str | None, typer.Option(help="Settle conflicts: source or server.")] = None,
    delete: Annotated[bool, typer.Option("--delete-absent", "--delete", help="Also delete what we wrote and the folder lacks.")] = False,
    show_values: Annotated[bool, typer.Option("--show-values", help="Show the values that differ: subject data.")] = False,
    study: Study = None,
    fhir: Version = None,
    profile: Profile = None,
    token: Token = None,
    research_store: Store = False,
    deadline: Deadline = None,
    as_json: Json = False,
) -> int:
    """Show what a sync would create, update, leave or conflict over; with --apply do it. 1 when there are conflicts."""
    if not folder.is_dir():
        raise no_folder(folder, "files named <ResourceType>.ndjson in it")
    progress = terminal_progress()
    with (
        Spool.of(read_folder(folder), progress) as ours,
        _open(server, folder_version(folder, fhir), server_flags(token, research_store, deadline, profile)) as connection,
        Journal.of_folder(folder) as journal,
    ):
        blinded = _is_blinded(folder, study, connection.info.research_store)
        choices = Choices(prefer, delete, withhold_arm=blinded)  # type: ignore[arg-type] # checked by Choices itself
        if not apply:
            steps = plan_by_piece(ours, connection.info, journal.synced(connection.info.base_url), choices)
            counts = _show_plan((connection.run(step) for step in steps), show_values, as_json)
            return 1 if counts["conflict"] + counts["refused"] else 0
        with AuditLog.of_folder(folder).doing("sync", server=connection.info.base_url) as told:
            report = connection.run(push_spooled(ours, connection.info, journal, choices, progress))
            told.update(report.counts())
    show_json(report.counts()) if as_json else show_counts(str(folder), report.counts())
    say_findings(report.findings)
    return 0 if report.is_clean else 1


def _is_blinded(folder: Path, study: str | None, research_store: bool) -> bool:
    """Whether the folder's study is blinded today; where nobody knows the study, that is said."""
    if research_store:
        return False
    manifest = read_manifest(folder)
    name = study or (manifest.study if manifest else None)
    try:
        return name is not None and load_study(name).is_blinded_on(dt.date.today().isoformat())
    except (InputError, UsageError):
        if study is not None:
            raise
        say(f"study {name} is not known here, so whether it is blinded is not: name its file with --study")
        return False


def _show_plan(plans: Iterable[Plan], show_values: bool, as_json: bool) -> Mapping[str, int]:
    """Show each piece of a plan as it is decided, and the counts of all at the end; the counts come back."""
    counts: Counter[str] = Counter(dict.fromkeys(ACTIONS, 0))

    def lines() -> Iterator[str]:
        for plan in plans:
            counts.update(plan.counts())
            yield from plan.lines(show_values)

    if as_json:
        show_json_as_it_comes("lines", lines(), lambda: {"plan": counts})
    else:
        for line in lines():
            show(line)
        show_counts("plan", counts)
    return counts
