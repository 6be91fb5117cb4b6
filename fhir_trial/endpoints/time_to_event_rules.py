"""Time-to-event endpoints as data: events of which the earliest counts, censorings of which the latest does.

A study's definition and the conventions choose among the events and censorings named here.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace

from fhir_trial.endpoints.conventions import Conventions
from fhir_trial.errors import UsageError


@dataclass(frozen=True)
class Event:
    """An event: the fact that shows it, and the reason that a row gives; of events on one day the lower `rank` counts."""

    fact: str
    reason: str
    rank: int


@dataclass(frozen=True)
class Censor:
    """A censoring: the fact that shows the subject still free of the event, and the reason that a row gives."""

    fact: str
    reason: str


EVENTS = {
    "progression": Event("progression", "progression", 0),
    "clinical progression": Event("clinical progression", "progression: clinical", 1),
    "death": Event("death", "death", 2),
    "treatment stopped": Event("treatment stopped", "treatment stopped", 3),
    "new anticancer therapy": Event("new anticancer therapy", "new anticancer therapy", 4),
    "response": Event("response", "response", 0),
    "confirmed response": Event("confirmed response", "response", 0),
}
"""The events a study's endpoint may name."""

CENSORS = {
    "adequate assessment": Censor("adequate assessment", "last adequate assessment"),
    "assessment": Censor("assessment", "last assessment"),
    "alive": Censor("alive", "last known alive"),
}
"""The censorings a study's endpoint may name; the start is the last resort of each."""


@dataclass(frozen=True)
class TimeToEvent:
    """An endpoint as data: the earliest of `events` ends it, else the latest of `censors`.

    `start` names the fact time is counted from (None: time zero). `assessed`: the event is seen by assessments, so the rules on missed
    visits, new therapy and deaths long after an assessment apply.
    """

    name: str
    label: str
    events: tuple[str, ...]
    censors: tuple[str, ...]
    start: str | None = None
    assessed: bool = True

    def sentence(self) -> str:
        """The rule in words.

        >>> ENDPOINTS["OS"].sentence()
        'from time zero to the first of: death; else censored at the last of: last known alive, time zero'
        """
        start = self.start or "time zero"
        reasons = [EVENTS[e].reason for e in self.events], [CENSORS[c].reason for c in self.censors]
        return f"from {start} to the first of: {', '.join(reasons[0])}; else censored at the last of: {', '.join((*reasons[1], start))}"


_SEEN = ("adequate assessment",)
ENDPOINTS = {
    endpoint.name: endpoint
    for endpoint in (
        TimeToEvent("PFS", "Progression-free survival", ("progression", "death"), _SEEN),
        TimeToEvent("OS", "Overall survival", ("death",), ("alive",), assessed=False),
        TimeToEvent("DOR", "Duration of response", ("progression", "death"), _SEEN, "response"),
        TimeToEvent("CDOR", "Duration of confirmed response", ("progression", "death"), _SEEN, "confirmed response"),
        TimeToEvent("TTR", "Time to response", ("response",), _SEEN),
        TimeToEvent("CTTR", "Time to confirmed response", ("confirmed response",), _SEEN),
        TimeToEvent("TTP", "Time to progression", ("progression",), _SEEN),
        TimeToEvent("EFS", "Event-free survival", ("progression", "death", "treatment stopped"), _SEEN),
    )
}
"""The endpoints as they are usually defined; a study's definition may name other events and censors."""

RESPONDERS_ONLY = {"TTR": "response", "CTTR": "confirmed response"}
"""Times to response are of those who responded."""


def defined(name: str, events: Sequence[str] = (), censors: Sequence[str] = ()) -> TimeToEvent:
    """The endpoint of that name with a study's own events and censors; UsageError for a name that is not known."""
    if name not in ENDPOINTS:
        raise UsageError(f"no time-to-event endpoint is named {name}: there are {', '.join(ENDPOINTS)}")
    own = ENDPOINTS[name]
    named = tuple(_named(e, EVENTS) for e in events) or own.events
    last = tuple(_named(c, CENSORS) for c in censors if _word(c) not in _STARTS) or own.censors
    return replace(own, events=named, censors=last)


_STARTS = ("start", "enrollment", "enrolment", "randomization", "consent", "first dose")


def _word(name: str) -> str:
    return name.strip().lower().replace("_", " ").replace("-", " ")


def _named(name: str, known: dict[str, Event] | dict[str, Censor]) -> str:
    if _word(name) not in known:
        raise UsageError(f"an endpoint cannot name {name!r}: there are {', '.join(known)}")
    return _word(name)


def under(endpoint: TimeToEvent, conventions: Conventions) -> TimeToEvent:
    """The endpoint with the events and the censoring that the conventions ask for."""
    if not endpoint.assessed:
        return endpoint
    added = [
        name
        for name, wanted in (
            ("clinical progression", conventions.clinical_pd_event and "progression" in endpoint.events),
            ("new anticancer therapy", conventions.nact_rule == "event" and "progression" in endpoint.events),
        )
        if wanted and name not in endpoint.events
    ]
    censors = ("assessment",) if conventions.censor_date == "last_any" and endpoint.censors == _SEEN else endpoint.censors
    return replace(endpoint, events=(*endpoint.events, *added), censors=censors)
