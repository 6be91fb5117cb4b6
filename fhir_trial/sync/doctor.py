"""What is to be expected of a server: its kind, the strategy that follows, what will not work, and what it did when it was tried.

Only reads are tried, small ones; a bulk export would start a job and is not.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from fhir_trial.errors import FhirTrialError
from fhir_trial.fhir.http import Exchange, Request, Response, moment
from fhir_trial.sync.capability import ServerInfo
from fhir_trial.sync.decide import NO_RESEARCH_STORE
from fhir_trial.sync.pull import TRIAL_TYPES, trial_types

SKEW_SECONDS = 60.0
_IDENTITIES = {
    "client-id": "PUT to our id",
    "conditional": "POST if nothing has the business identifier (If-None-Exist)",
    "search-first": "search by patient or business identifier, then POST or PUT to what was found",
}
_CHANGES = {
    "history": "the history since then (_history, _since): creations, updates and deletions",
    "last-updated": "a search by _lastUpdated; deletions are not seen",
    "compare": "everything asked for again and compared",
}


@dataclass(frozen=True, slots=True)
class Tried:
    """One small read, and what the server made of it."""

    name: str
    works: bool
    answer: str
    """The status, or how the exchange broke."""


@dataclass(frozen=True, slots=True)
class Try:
    """A read that tells something about a server."""

    name: str
    request: Request


_FORM = {"Content-Type": "application/x-www-form-urlencoded"}
_DISCOVERY = Try("sign-in discovery", Request("GET", ".well-known/smart-configuration", {"Accept": "application/json"}))
"""Open to anyone, so its answer says nothing of who may read."""
TRIES = (
    Try("a type searched as a whole", Request("GET", "Observation?_count=1", {"Prefer": "handling=strict"})),
    Try("search by _lastUpdated", Request("GET", "Patient?_lastUpdated=gt2999-01-01&_count=1", {"Prefer": "handling=strict"})),
    Try("search by POST", Request("POST", "Patient/_search", _FORM, b"_id=none")),
    Try("history since a time", Request("GET", "Patient/_history?_since=2999-01-01T00:00:00Z&_count=1")),
    _DISCOVERY,
)


@dataclass(frozen=True, slots=True)
class Diagnosis:
    """Everything there is to say of a server."""

    server: ServerInfo
    is_named: bool
    """Whether its profile was named in the configuration, and not recognised."""
    tried: tuple[Tried, ...]
    skew_seconds: float | None

    @property
    def is_let_in(self) -> bool:
        """Whether any read of data was answered otherwise than by asking who we are (401), or what we may (403)."""
        return any(one.answer not in ("401", "403") for one in self.tried if one.name != _DISCOVERY.name)

    def to_json(self) -> dict[str, Any]:
        """The diagnosis as one JSON object."""
        server, readable = self.server, trial_types(self.server)
        refused = _refused(server, readable)
        return {
            "server": server.software or "unnamed",
            "FHIR": server.fhir_version,
            "profile": server.profile.name,
            "profile is": server.profile.describes,
            "profile from": "the configuration" if self.is_named else "the server's statement",
            "research store": server.research_store,
            "writes": "in transactions" if server.transactions else "one by one",
            "one copy by": _one_copy(server, readable),
            "reads": "type by type" if server.profile.reads == "study" else "patient by patient",
            "changes by": _CHANGES[changes_by(server)],
            "bulk export of": ", ".join(server.profile.exports) or "not known; --bulk tries it",
            "read": ", ".join(readable) or "nothing",
            "not written": "; ".join(f"{name}: {reason}" for name, reason in refused.items()) or "nothing",
            "will not work": list(self._will_not_work(readable)),
            "to mend": list(self._to_mend()),
            "notes": list(server.profile.notes),
            "tried": [{"what": t.name, "works": t.works, "answer": t.answer} for t in self.tried],
        }

    def _will_not_work(self, readable: list[str]) -> Iterator[str]:
        server = self.server
        absent = [name for name in TRIAL_TYPES if name not in readable]
        if absent and server.types:
            yield f"reading {', '.join(absent)}: the server does not have or search them"
        if refused := [name for name in _refused(server, readable) if name != "Patient"]:
            yield f"writing {', '.join(refused)}: refused before anything is sent"
        if not server.research_store:
            yield "creating pseudonymous patients, and what refers to them: the server is not declared a research store"
            yield "telling the arm of a blinded study: it is withheld"
        if not server.transactions:
            yield "writing several resources at once: a run that breaks off leaves some written, and the next one goes on"
        if server.profile.reads == "patient":
            yield "reading a type as a whole: name patients, a group or a study"
        if not server.profile.deletes:
            yield "deleting: a resource is retracted by its status"

    def _to_mend(self) -> Iterator[str]:
        answers = {one.answer for one in self.tried}
        if "401" in answers:
            yield "the server does not accept who we are (401): give a token that holds (--token), or a way to sign in"
        if "403" in answers:
            yield "what we may do does not cover some of these reads (403): ask for the scopes that SECURITY.md lists"
        if not self.server.research_store:
            yield "if this server may hold pseudonymous patients, declare it: research_store = true, or --research-store"
        if self.skew_seconds is not None and abs(self.skew_seconds) > SKEW_SECONDS:
            yield f"this machine's clock and the server's differ by {abs(self.skew_seconds):.0f} s: signed tokens may be refused"


def changes_by(server: ServerInfo) -> str:
    """How changes since a time are found out: as the profile says, else by what the server states."""
    if server.profile.changes is not None:
        return server.profile.changes
    known = server.types.get("Observation")
    if known is None:
        return "compare"
    if "history-type" in known.interactions:
        return "history"
    return "last-updated" if "_lastUpdated" in known.search_parameters else "compare"


def diagnose(server: ServerInfo, is_named: bool, now: float) -> Exchange[Diagnosis]:
    """Try what may be tried; `now` (seconds since 1970) is compared with the server's clock."""
    tried, skew = [], None
    for one in TRIES:
        try:
            response = yield one.request
        except FhirTrialError as error:
            tried.append(Tried(one.name, False, type(error).__name__))
        else:
            tried.append(Tried(one.name, response.is_success, str(response.status)))
            skew = _skew(response, now) if skew is None else skew
    return Diagnosis(server, is_named, tuple(tried), skew)


def _skew(response: Response, now: float) -> float | None:
    theirs = moment(response.header("Date"))
    return theirs - now if theirs is not None else None


def _refused(server: ServerInfo, types: list[str]) -> dict[str, str]:
    return {name: reason for name in types if (reason := _why_refused(server, name))}


def _why_refused(server: ServerInfo, name: str) -> str | None:
    if name == "Patient" and not server.research_store:
        return NO_RESEARCH_STORE
    return server.why_not_written(name) or server.why_not_found_again(name)


def _one_copy(server: ServerInfo, types: list[str]) -> str:
    written = [name for name in types if server.why_not_written(name) is None]
    ways = {identity: [name for name in written if server.identity(name) == identity] for identity in _IDENTITIES}
    used = {way: names for way, names in ways.items() if names}
    if len(used) == 1:
        return _IDENTITIES[next(iter(used))]
    return "; ".join(f"{', '.join(names)}: {_IDENTITIES[way]}" for way, names in used.items()) or "nothing is written"
