"""What changed on a server since a time, and a local folder brought up to it.

Created, updated and deleted resources are applied as such; one that was entered in error leaves the folder; of a patient who was merged the
references lead to the patient that replaces it.
"""

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from fhir_trial.errors import Finding, UsageError
from fhir_trial.fhir import bundles
from fhir_trial.fhir.http import Exchange, Request
from fhir_trial.fhir.references import literal
from fhir_trial.sync.capability import ServerInfo
from fhir_trial.sync.doctor import changes_by
from fhir_trial.sync.failures import BadAnswer, Incomplete, checked_row
from fhir_trial.sync.locate import moved, read_one
from fhir_trial.sync.order import place_of
from fhir_trial.sync.pull import Keep
from fhir_trial.sync.reading import Runner, merged_into
from fhir_trial.sync.search import ask, collect, next_page, search_url

Resource = dict[str, Any]
INSTANT = re.compile(r"\d{4}-\d\d-\d\d(T\d\d:\d\d:\d\d(\.\d{1,9})?(Z|[+-]\d\d:\d\d))?")
RETRACTED = frozenset({"entered-in-error", "cancelled"})
"""Statuses that take a resource out of a trial's tables: retraction is a status, not a deletion."""
_STATUSES = ("status", "verificationStatus")
_PAGES = 10_000


@dataclass
class Changes:
    """What changed: the newest of each resource, and what is no more."""

    held: dict[str, Resource] = field(default_factory=dict, repr=False)
    gone: set[str] = field(default_factory=set)
    findings: list[Finding] = field(default_factory=list)


def changed_since(runner: Runner, server: ServerInfo, types: Sequence[str], since: str) -> Changes:
    """Ask for what changed, several types at once; `UsageError` where only a comparison tells, or `since` is no instant."""
    if not INSTANT.fullmatch(since):
        raise UsageError("since: expected an instant, such as 2026-01-31T00:00:00Z")
    way, changes = changes_by(server), Changes()
    if way == "compare":
        raise UsageError(f"this server ({server.profile.name}) does not tell what changed: pull everything again")
    if way == "history":
        for latest in runner.run_all(history(name, since) for name in types):
            changes.held.update((place, row) for place, row in latest.items() if row is not None)
            changes.gone.update(place for place, row in latest.items() if row is None)
        return changes
    for rows in runner.run_all(collect(name, [("_lastUpdated", f"ge{since}")]) for name in types):
        changes.held.update((place_of(row), row) for row in rows)
    effect = "what was deleted there is still here: pull everything again now and then"
    changes.findings.append(Finding("deletions-not-seen", server.profile.name, severity="warning", effect=effect))
    return changes


def history(resource_type: str, since: str) -> Exchange[dict[str, Resource | None]]:
    """The newest state of each resource that changed since: by `Type/id`, None for one that was deleted."""
    url: str | None = search_url(f"{resource_type}/_history", [("_since", since), ("_count", "200")])
    latest: dict[str, Resource | None] = {}
    seen: set[str] = set()
    versions: dict[str, tuple[int, str]] = {}
    while url is not None:
        if url in seen or len(seen) > _PAGES:
            raise Incomplete(f"GET {resource_type}: the pages of the history lead in a circle")
        seen.add(url)
        page = yield from ask(Request("GET", url, {"Cache-Control": "no-cache"}), "Bundle")
        for place, row, age in _entries(page, resource_type):
            if place not in versions or age > versions[place]:  # newest first by rule; not every server keeps it
                latest[place], versions[place] = row, age
        url = next_page(page, url, resource_type)
    return latest


def _entries(page: Resource, resource_type: str) -> Iterator[tuple[str, Resource | None, tuple[int, str]]]:
    for entry in bundles.entries(page):
        resource, request, response = (entry.get(name) for name in ("resource", "request", "response"))
        stated = request if isinstance(request, dict) else {}
        at = literal(str(stated.get("url", "")).removeprefix("/")) or literal(str(entry.get("fullUrl", "")))
        is_gone = stated.get("method") == "DELETE"
        if isinstance(resource, dict) and resource.get("resourceType") == resource_type:
            place = place_of(checked_row(resource, f"GET {resource_type}"))
        elif is_gone and at is not None and at.type == resource_type:
            place = f"{at.type}/{at.id}"
        else:
            raise BadAnswer(f"GET {resource_type}: an entry of the history is neither a resource nor a deletion")
        yield place, None if is_gone else resource, _age(resource, response)


def _age(resource: Any, response: Any) -> tuple[int, str]:
    """What is greater of the newer version: its number, where versions are numbers, else its time."""
    meta = resource.get("meta") if isinstance(resource, dict) else None
    version = str(meta.get("versionId", "")) if isinstance(meta, dict) else ""
    stated = response if isinstance(response, dict) else {}
    etag = re.search(r'"(\d{1,18})"', str(stated.get("etag", "")))
    number = int(version) if version.isdecimal() and len(version) < 19 else int(etag[1]) if etag else -1
    time = str(meta.get("lastUpdated", "")) if isinstance(meta, dict) else str(stated.get("lastModified", ""))
    return number, time


def is_retracted(resource: Mapping[str, Any]) -> bool:
    """Whether a resource says of itself that it does not hold.

    >>> is_retracted({"status": "entered-in-error"}), is_retracted({"verificationStatus": {"coding": [{"code": "entered-in-error"}]}})
    (True, True)
    """
    for name in _STATUSES:
        value = resource.get(name)
        if isinstance(value, str) and value in RETRACTED:
            return True
        codings = value.get("coding") if isinstance(value, dict) else None
        if isinstance(codings, list) and any(isinstance(c, dict) and str(c.get("code")) in RETRACTED for c in codings):
            return True
    return False


@dataclass
class Applied:
    """What bringing a folder up to date did, in counts."""

    created: int = 0
    updated: int = 0
    deleted: int = 0
    retracted: int = 0
    merged: int = 0
    unchanged: int = 0
    findings: list[Finding] = field(default_factory=list, repr=False)

    def counts(self) -> dict[str, int]:
        """What happened to how many resources."""
        return {name: getattr(self, name) for name in ("created", "updated", "deleted", "retracted", "merged", "unchanged")}


class Update:
    """The changes, ready to be applied to the rows of a folder."""

    def __init__(self, changes: Changes, keep: Keep | None = None) -> None:
        """Sort the changes; `keep` says which new resources are wanted at all."""
        self.applied = Applied(findings=list(changes.findings))
        self._keep, self._gone = keep, set(changes.gone)
        self._retracted = {place for place, row in changes.held.items() if is_retracted(row)}
        into = {place: f"Patient/{other}" for place, row in changes.held.items() if (other := merged_into(row))}
        self._into = {place: _end(place, into) for place in into}
        self._new = {p: row for p, row in changes.held.items() if p not in self._retracted and p not in self._into}

    def replacing(self) -> set[str]:
        """The patients that others were merged into and that are not among the changes."""
        return {place for place in self._into.values() if place not in self._new}

    def add(self, resource: Resource) -> None:
        """A patient that others were merged into, unless the folder has it."""
        self._new.setdefault(place_of(resource), resource)

    def rows(self, local: Iterator[Resource]) -> Iterator[Resource]:
        """The rows of the folder, brought up to date; new ones last."""
        count, present = self.applied, set[str]()
        for row in local:
            place = place_of(row)
            present.add(place)
            if place in self._gone:
                count.deleted += 1
            elif place in self._retracted:
                count.retracted += 1
            elif place in self._into:
                count.merged += 1
            else:
                yield self._current(place, row)
        for place, row in self._new.items():
            if place not in present and (self._keep is None or self._keep(row) or place in self._into.values()):
                count.created += 1
                yield moved(row, self._into)

    def _current(self, place: str, row: Resource) -> Resource:
        there = moved(self._new.get(place, row), self._into)
        if there == row:
            self.applied.unchanged += 1
        else:
            self.applied.updated += 1
        return dict(there)


def fetch_replacing(update: Update) -> Exchange[None]:
    """Read the patients that others were merged into."""
    for place in sorted(update.replacing()):
        there = yield from read_one(place)
        if there is not None:
            update.add(there)
        else:
            update.applied.findings.append(Finding("no-such-patient", "Patient", effect="a patient was merged into one that is not there"))


def _end(place: str, into: Mapping[str, str]) -> str:
    """Where a chain of merges ends; a circle ends where it began."""
    seen = [place]
    while (following := into.get(seen[-1])) is not None and following not in seen:
        seen.append(following)
    return seen[-1]
