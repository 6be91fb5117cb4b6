"""A server's resources into a local folder: anew, by bulk export, or only what changed since."""

import datetime as dt
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import groupby
from pathlib import Path
from typing import Any

from fhir_trial.errors import Finding, UsageError
from fhir_trial.fhir.http import Exchange, Request, moment
from fhir_trial.mapping.keys import BASE
from fhir_trial.sync.bulk import Export, forget
from fhir_trial.sync.changes import Changes, Update, changed_since, fetch_replacing
from fhir_trial.sync.doctor import changes_by
from fhir_trial.sync.folder import FolderWriter, Manifest, read_folder, read_manifest
from fhir_trial.sync.order import batches, place_of
from fhir_trial.sync.pull import Keep, Pulled, of_study, trial_types, types_to_read
from fhir_trial.sync.reading import patient_types, patients_of_group, patients_of_study, read_bulk, read_patients, read_types
from fhir_trial.sync.saved_job import SavedJob
from fhir_trial.sync.search import Take
from fhir_trial.trial.connection import Connection

Resource = dict[str, Any]
ROWS_AT_ONCE = 500
LAST = "last"
"""The word for the time of the last pull into the folder."""


@dataclass(frozen=True)
class Wanted:
    """What to read: a study, types, patients or a group (by id), and by which way."""

    study: str | None = None
    types: tuple[str, ...] = ()
    patients: tuple[str, ...] = ()
    group: str | None = None
    bulk: bool = False
    all_patients: bool = False
    since: str | None = None
    """An instant, or `last`."""
    poll_seconds: float = 3600.0


@dataclass(frozen=True)
class Read:
    """What a pull did: counts by type, or by what changed, and what is to be known of it."""

    counts: dict[str, int]
    findings: tuple[Finding, ...] = field(default=(), repr=False)


def pull_into(connection: Connection, folder: Path, wanted: Wanted) -> Read:
    """Read what is wanted into `folder`, whose manifest then proves it whole; on any error the folder stays as it was."""
    if wanted.since is not None:
        return _update(connection, folder, wanted)
    taken = connection.run(server_time())
    with FolderWriter(folder) as writer:
        pulled, taken = _read(connection, folder, wanted, writer.take, taken)
        writer.finish(connection.fhir, wanted.study, connection.info.base_url, taken)
    return Read(pulled.counts, (*pulled.findings, *_forget(connection, folder, wanted)))


def server_time() -> Exchange[str]:
    """The server's time, as it says it; this machine's where it does not."""
    response = yield Request("GET", "metadata")
    theirs = moment(response.header("Date"))
    try:
        now = dt.datetime.fromtimestamp(theirs if theirs is not None else time.time(), dt.UTC)
    except (ValueError, OverflowError, OSError):
        now = dt.datetime.now(dt.UTC)
    return now.isoformat(timespec="seconds").replace("+00:00", "Z")


def _keep(wanted: Wanted) -> Keep | None:
    return of_study(f"{BASE}sid/", wanted.study) if wanted.study else None


def _read(connection: Connection, folder: Path, wanted: Wanted, take: Take, taken: str) -> tuple[Pulled, str]:
    """Read everything wanted; the server's time of it."""
    info = connection.info
    if wanted.bulk:
        asked, job = _export(connection, wanted), SavedJob(folder, info.base_url)
        got = read_bulk(connection, asked, job, take, _keep(wanted), clock=time.monotonic)
        return got.pulled, got.transaction_time
    if info.profile.reads == "patient" or wanted.patients or wanted.group:
        types = patient_types(info, wanted.types)
        return read_patients(connection, info, types, _patients(connection, wanted), take), taken
    return read_types(connection, types_to_read(info, wanted.types), take, _keep(wanted)), taken


def _patients(connection: Connection, wanted: Wanted) -> Sequence[str]:
    if wanted.patients:
        return wanted.patients
    if wanted.group:
        return connection.run(patients_of_group(wanted.group))
    if wanted.study and connection.info.holds("ResearchSubject"):
        return connection.run(patients_of_study(wanted.study))
    raise UsageError("this server is read patient by patient: name patients (--patient), a group (--group) or a study (--study)")


def _export(connection: Connection, wanted: Wanted, since: str | None = None) -> Export:
    level = f"Group/{wanted.group}" if wanted.group else "Patient" if wanted.all_patients else ""
    known = connection.info.profile.exports
    name = level.partition("/")[0].lower() or "system"
    if known and name not in known:
        raise UsageError(f"a server like this exports {' or '.join(known)}, not {name}: name a group with --group")
    types = tuple(wanted.types or [t for t in trial_types(connection.info) if not level or t not in _NOT_OF_PATIENTS])
    return Export(level, types, since, wanted.poll_seconds, connection.info.profile.longest_poll_wait_seconds)


_NOT_OF_PATIENTS = frozenset({"Organization", "ResearchStudy", "PlanDefinition", "Measure", "EvidenceVariable", "Evidence"})
"""Types that no patient's compartment has: a server may refuse them at that level."""


def _forget(connection: Connection, folder: Path, wanted: Wanted) -> tuple[Finding, ...]:
    """Delete the job of an export whose files are safely here; what is to be known of that."""
    return connection.run_steps(forget(SavedJob(folder, connection.info.base_url))).findings if wanted.bulk else ()


def _update(connection: Connection, folder: Path, wanted: Wanted) -> Read:
    """Bring the folder up to what changed."""
    manifest = _manifest(connection, folder)
    since = manifest.taken if wanted.since == LAST else wanted.since
    if since is None:
        raise UsageError(f"{folder} does not say when it was pulled: give --since an instant")
    taken = connection.run(server_time())
    changes, taken = _changes(connection, folder, wanted, since, taken)
    update = Update(changes, _keep(wanted))
    connection.run(fetch_replacing(update))
    types = {entry.type for entry in manifest.files} | set(manifest.empty)
    with FolderWriter(folder) as writer:
        for resource_type in sorted(types):
            writer.take(resource_type, [])
        for resource_type, rows in groupby(update.rows(read_folder(folder)), key=lambda row: str(row["resourceType"])):
            for batch in batches(rows, ROWS_AT_ONCE):
                writer.take(resource_type, batch)
        writer.finish(manifest.fhir, manifest.study, manifest.source, taken)
    return Read(update.applied.counts(), (*update.applied.findings, *_forget(connection, folder, wanted)))


def _manifest(connection: Connection, folder: Path) -> Manifest:
    manifest = read_manifest(folder)
    if manifest is None:
        raise UsageError(f"{folder} is no folder that was pulled: pull it once without --since")
    if manifest.source != connection.info.base_url:
        raise UsageError(f"{folder} was pulled from another server: pull it once without --since")
    return manifest


def _changes(connection: Connection, folder: Path, wanted: Wanted, since: str, taken: str) -> tuple[Changes, str]:
    """What changed, by whichever way the server has; where it has none, everything is read and compared."""
    changes = Changes()

    def take(_: str, rows: list[Resource]) -> None:
        changes.held.update((place_of(row), row) for row in rows)

    if wanted.bulk:
        asked, job = _export(connection, wanted, since), SavedJob(folder, connection.info.base_url)
        got = read_bulk(connection, asked, job, take, clock=time.monotonic)
        changes.gone.update(got.deleted)
        changes.findings.extend(got.pulled.findings)
        return changes, got.transaction_time
    if changes_by(connection.info) != "compare":
        return changed_since(connection, connection.info, trial_types(connection.info, wanted.types), since), taken
    pulled, taken = _read(connection, folder, wanted, take, taken)
    changes.gone = {place for row in read_folder(folder) if (place := place_of(row)) not in changes.held}
    changes.findings.extend(pulled.findings)
    return changes, taken
