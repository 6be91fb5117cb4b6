"""Bulk Data export as a conversation: kick-off, polling, the manifest, its files, and the job's deletion (HL7 Bulk Data Access 2.0).

A generator of steps that reads no clock and sleeps nowhere. The job is saved when it is known, so a run that breaks off goes on with it;
files that are here already are not asked for again.
"""

import re
from collections.abc import Callable, Generator, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

from fhir_trial.errors import ConfigurationError, Finding, InputError, ServerError, Unreachable
from fhir_trial.fhir import json
from fhir_trial.fhir.http import Request, Response
from fhir_trial.fhir.shapes import shapes
from fhir_trial.fhir.versions import VERSIONS
from fhir_trial.sync.bulk_files import Output, reported
from fhir_trial.sync.failures import AnswerError, BadAnswer, OutOfTime, refusal
from fhir_trial.sync.retry import wished_seconds
from fhir_trial.sync.saved_job import SavedJob

NDJSON = "application/fhir+ndjson"
_LONGEST_WAIT_SECONDS = 30.0
_LEVEL = re.compile(r"|Patient|Group/[A-Za-z0-9.\-]{1,64}")
BUSY = frozenset({429, 503})
"""Answers to a poll that say no more than to ask again later."""
_EXPIRED = (401, 403, 404, 410)


@dataclass(frozen=True, slots=True)
class Wait:
    """Let so many seconds pass."""

    seconds: float


@dataclass(frozen=True, slots=True)
class Ask:
    """Send `request`, with retries for at most `seconds` where they are given."""

    request: Request
    seconds: float | None = None


@dataclass(frozen=True, slots=True)
class Download:
    """Bring the file at `url` to `path`; the token goes along only if `signed` and the file is on the server itself."""

    url: str
    path: Path = field(repr=False)
    signed: bool


Step = Wait | Ask | Download
Steps = Generator[Step, Response, "Exported"]


@dataclass(frozen=True, slots=True)
class Export:
    """What to export: the whole server (`level` ""), all patients ("Patient") or a group ("Group/ID"), some types, what changed since."""

    level: str = ""
    types: tuple[str, ...] = ()
    since: str | None = None
    poll_seconds: float = 3600.0
    longest_wait_seconds: float | None = None
    """Ask again after so long at the latest, whatever the server wishes (see `Profile`)."""

    def __post_init__(self) -> None:
        """Refuse another level."""
        if not _LEVEL.fullmatch(self.level):
            raise InputError([Finding("no-such-level", "bulk export", expected="the system, Patient or Group/ID")])

    @property
    def url(self) -> str:
        """The kick-off, relative to the base.

        >>> Export("Group/g1", ("Patient", "Observation")).url
        'Group/g1/$export?_outputFormat=application%2Ffhir%2Bndjson&_type=Patient%2CObservation'
        """
        stated = {"_outputFormat": NDJSON, "_type": ",".join(self.types), "_since": self.since or ""}
        query = urlencode({name: value for name, value in stated.items() if value})
        return f"{self.level}/$export?{query}".removeprefix("/")


@dataclass(frozen=True)
class Exported:
    """What an export gave: files in the order of the manifest, each here, and the server's time of it."""

    transaction_time: str
    output: tuple[tuple[Output, Path], ...]
    deleted: tuple[Path, ...]
    findings: tuple[Finding, ...]


def export(asked: Export, job: SavedJob, clock: Callable[[], float]) -> Steps:
    """Run an export to its end, or go on with the saved one; its job is not deleted here (`forget`).

    `OutOfTime` when `poll_seconds` are over: the job is kept. `Incomplete` where the server reports errors: then, as after any answer that
    no later question mends, the job is not kept, and the next run begins anew.
    """
    ends_at = clock() + asked.poll_seconds
    try:
        manifest, status_url = yield from _begin(asked, job, ends_at, clock)
    except ServerError:
        job.remove()
        raise
    try:
        return (yield from _Files(manifest, job, status_url, ends_at, clock).fetch())
    except ServerError as error:
        if not (isinstance(error, AnswerError) and error.status >= 500):
            job.remove()
        raise


def _begin(
    asked: Export, job: SavedJob, ends_at: float, clock: Callable[[], float]
) -> Generator[Step, Response, tuple[dict[str, Any], str]]:
    """The manifest, and where it was asked for."""
    status_url, is_resumed = job.status_url(asked.url), True
    if status_url is None:
        status_url, is_resumed = (yield from _kick_off(asked, job)), False
    manifest = yield from _poll(status_url, ends_at, clock, asked.longest_wait_seconds)
    if manifest is None and is_resumed:  # the server has forgotten the job: begin anew
        status_url = yield from _kick_off(asked, job)
        manifest = yield from _poll(status_url, ends_at, clock, asked.longest_wait_seconds)
    if manifest is None:
        raise BadAnswer("GET server: the export's job is gone")
    return manifest, status_url


def forget(job: SavedJob) -> Steps:
    """Delete the job at the server and here; a server that does not delete jobs is no failure: everything is here."""
    status_url = job.any_status_url()
    findings: tuple[Finding, ...] = ()
    if status_url is not None:
        try:
            response = yield Ask(Request("DELETE", status_url, {"Accept": "application/json"}))
            is_gone = response.is_success or response.status in (404, 410)
        except (ServerError, Unreachable, ConfigurationError):
            is_gone = False
        if not is_gone:
            findings = (
                Finding("job-not-deleted", "bulk export", expected="202", severity="information", effect="the server keeps its files"),
            )
    job.remove()
    return Exported("", (), (), findings)


def _kick_off(asked: Export, job: SavedJob) -> Generator[Step, Response, str]:
    request = Request("GET", asked.url, {"Accept": "application/fhir+json", "Prefer": "respond-async"})
    response = yield Ask(request)
    if not response.is_success:
        raise refusal(request, response)
    status_url = response.header("Content-Location")
    if response.status != 202 or not status_url:
        raise BadAnswer(f"GET $export: the server answered {response.status} without a place to ask for the job")
    job.save(asked.url, status_url)
    return status_url


def _poll(
    status_url: str, ends_at: float, clock: Callable[[], float], longest: float | None = None
) -> Generator[Step, Response, dict[str, Any] | None]:
    """The manifest; None where there is no such job."""
    request, wait = Request("GET", status_url, {"Accept": "application/json"}), 0.5
    while True:
        left = ends_at - clock()
        if left <= 0:
            raise OutOfTime("the export is not ready within the time given (--poll-limit): its job is kept; run again to go on")
        response = yield Ask(request, left)
        if response.status in (202, *BUSY):
            wished = wished_seconds(response)
            pause = min(max(wished, 0.05) if wished is not None else wait, longest or float("inf"))
            if clock() + pause >= ends_at:
                raise OutOfTime("the export will not be ready within the time given (--poll-limit): its job is kept; run again to go on")
            yield Wait(pause)
            wait = min(wait * 2, _LONGEST_WAIT_SECONDS)
            continue
        if response.status in (404, 410):
            return None
        if not response.is_success:
            raise refusal(request, response)
        return _manifest(response)


def _manifest(response: Response) -> dict[str, Any]:
    try:
        stated = json.decode(response.body, "answer")
    except InputError:
        stated = None
    if not isinstance(stated, dict) or not isinstance(stated.get("output"), list):
        raise BadAnswer("GET $export: the answer is no manifest")
    if not isinstance(stated.get("transactionTime"), str):
        raise BadAnswer("GET $export: the manifest does not say its time")
    if stated.get("link"):
        raise BadAnswer("GET $export: the manifest has further parts, which was not asked for")
    return stated


class _Files:
    """The files of a manifest, brought here one by one."""

    def __init__(self, manifest: dict[str, Any], job: SavedJob, status_url: str, ends_at: float, clock: Callable[[], float]) -> None:
        self._manifest, self._job, self._status_url = manifest, job, status_url
        self._ends_at, self._clock = ends_at, clock
        self._signed = manifest.get("requiresAccessToken") is not False

    def fetch(self) -> Steps:
        """All of them."""
        time = str(self._manifest["transactionTime"])
        self._job.keep_files_of(time)
        output: list[tuple[Output, Path]] = []
        for number, entry in enumerate(outputs(self._manifest, "output")):
            path = yield from self._one("output", number, entry)
            output.append((entry, path))
        findings: list[Finding] = []
        for number, entry in enumerate(outputs(self._manifest, "error")):
            path = yield from self._one("error", number, entry)
            findings.extend(reported(path))
        deleted = []
        for number, entry in enumerate(outputs(self._manifest, "deleted")):
            deleted.append((yield from self._one("deleted", number, entry)))
        return Exported(time, tuple(output), tuple(deleted), tuple(findings))

    def _one(self, part: str, number: int, entry: Output) -> Generator[Step, Response, Path]:
        """One file, asked for a second time where its address has expired: the job gives new ones."""
        path = self._job.file(part, number)
        if path.exists():
            return path
        response = yield Download(entry.url, path, self._signed)
        if response.status in _EXPIRED:
            manifest = yield from _poll(self._status_url, self._ends_at, self._clock)
            again = list(outputs(manifest, part)) if manifest else []
            if len(again) > number and again[number].type == entry.type:
                response = yield Download(again[number].url, path, self._signed)
        if not response.is_success:
            raise AnswerError(Request("GET", entry.type), response)
        return path


def outputs(manifest: dict[str, Any], part: str) -> Iterator[Output]:
    """The files that a part of a manifest names; `BadAnswer` for what is no file of a FHIR resource type."""
    listed = manifest.get(part) or []
    for item in listed if isinstance(listed, list) else [None]:
        stated = item if isinstance(item, dict) else {}
        resource_type, url, count = stated.get("type"), stated.get("url"), stated.get("count")
        known = isinstance(resource_type, str) and any(resource_type in shapes(name).resource_types for name in VERSIONS)
        counted = count is None or (isinstance(count, int) and not isinstance(count, bool) and count >= 0)
        if not isinstance(url, str) or not known or not counted:
            raise BadAnswer(f"GET $export: the manifest's {part} names something that is no file of a FHIR resource type")
        yield Output(str(resource_type), url, count)
