"""`pull`: a server's resources into a folder, whose manifest proves it whole."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from difflib import get_close_matches
from pathlib import Path
from typing import Annotated

import typer

from fhir_trial import config
from fhir_trial.cli.output import say_findings, show_counts, show_json
from fhir_trial.cli.places import folder_to_write
from fhir_trial.cli.servers import Deadline, Json, Profile, Server, Token, Version, server_flags
from fhir_trial.errors import FhirTrialError, UsageError
from fhir_trial.fhir.shapes import shapes
from fhir_trial.fhir.versions import VERSIONS
from fhir_trial.privacy.audit import AuditLog
from fhir_trial.trial.connection import connect
from fhir_trial.trial.pulling import Wanted, pull_into


def pull(
    out: Annotated[Path, typer.Option(callback=folder_to_write, help="Folder for <ResourceType>.ndjson and manifest.json.")],
    server: Server = None,
    study: Annotated[str | None, typer.Option(help="Only this study's resources.")] = None,
    types: Annotated[list[str] | None, typer.Option("--type", help="Only these resource types.")] = None,
    patients: Annotated[list[str] | None, typer.Option("--patient", help="Only these patients, by the server's id.")] = None,
    group: Annotated[str | None, typer.Option(help="Only the members of this Group, by the server's id.")] = None,
    bulk: Annotated[bool, typer.Option("--bulk", help="By bulk export: of the server, of --group, or of --all-patients.")] = False,
    all_patients: Annotated[bool, typer.Option("--all-patients", help="Bulk export of what is about patients.")] = False,
    since: Annotated[
        str | None, typer.Option(help="Bring the folder up to what changed since this instant, or since the last pull: last.")
    ] = None,
    poll_limit: Annotated[float, typer.Option("--poll-limit", min=0.001, help="Seconds that a bulk export may take to be ready.")] = 3600.0,
    fhir: Version = None,
    profile: Profile = None,
    token: Token = None,
    deadline: Deadline = None,
    as_json: Json = False,
) -> int:
    """Read a study, patients, or every trial resource, from a server into a folder whose manifest proves it complete."""
    _refuse_unknown(types or ())
    wanted = Wanted(study, tuple(types or ()), tuple(patients or ()), group, bulk, all_patients, since, poll_limit)
    with (
        connect(config.load(flags=server_flags(token, False, deadline, profile)).server(server), fhir) as connection,
        _told(AuditLog.of_folder(out), server=connection.info.base_url, study=study, since=since) as told,
    ):
        read = pull_into(connection, out, wanted)
        told.update(read.counts)
    show_json({"counts": read.counts}) if as_json else show_counts(str(out), read.counts)
    say_findings(read.findings)
    return 1 if any(finding.severity == "error" for finding in read.findings) else 0


@contextmanager
def _told(log: AuditLog, **details: str | None) -> Iterator[dict[str, int]]:
    """One entry of a pull, done or failed: a server may have told of patients before it broke off. A usage error has none."""
    counts: dict[str, int] = {}
    try:
        yield counts
    except UsageError:
        raise
    except BaseException as error:
        with suppress(FhirTrialError):  # the pull's own error says more than that it could not be written down
            log.record("pull failed", error=type(error).__name__, **details)
        raise
    log.record("pull", **details, **counts)


def _refuse_unknown(types: Sequence[str]) -> None:
    """`UsageError` for a type that no version of FHIR has: a server's answer to it says less."""
    known = set[str]().union(*(shapes(name).resource_types for name in VERSIONS)) if types else set[str]()
    for name in types:
        if name not in known:
            near = get_close_matches(name, sorted(known), n=1)
            raise UsageError(f"--type {name}: expected a resource type of FHIR{f', did you mean {near[0]}?' if near else ''}")
