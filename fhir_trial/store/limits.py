"""What servers of other kinds refuse, as data: a store held to such limits answers as they would, so that clients can be tried on it."""

from functools import cache
from pathlib import Path
from typing import Any

import msgspec
import yaml

from fhir_trial.errors import UsageError
from fhir_trial.store.refusals import Refusal, unknown_parameter

_FOLDER = Path(__file__).with_name("limits")
_CONTROLS = frozenset({"_count", "_format", "_pretty", "_page"})
"""What every server takes beside search parameters."""
INTERACTIONS: dict[tuple[tuple[str, ...], str], str] = {
    (("_history",), "GET"): "history-system",
    (("Type",), "GET"): "search-type",
    (("Type",), "POST"): "create",
    (("Type",), "PUT"): "conditional-update",
    (("Type",), "DELETE"): "conditional-delete",
    (("Type", "_search"), "POST"): "search-post",
    (("Type", "_history"), "GET"): "history-type",
    (("Type", "id"), "GET"): "read",
    (("Type", "id"), "PUT"): "update",
    (("Type", "id"), "DELETE"): "delete",
    (("Type", "id", "_history"), "GET"): "history-instance",
    (("Type", "id", "_history", "version"), "GET"): "vread",
    (("Type", "$export"), "GET"): "export-type",
    (("Type", "$export"), "POST"): "export-type",
    (("Type", "id", "$export"), "GET"): "export-group",
    (("Type", "id", "$export"), "POST"): "export-group",
    (("$export",), "GET"): "export-system",
    (("$export",), "POST"): "export-system",
    ((), "POST"): "transaction",
}
"""By place and method: the interaction (http.html), as a CapabilityStatement names it, ours for exports and POST _search."""
_FREE = frozenset({("metadata",), ("$export-poll-status",), ("$export-file",)})


class Allowed(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What may be done with one resource type."""

    interactions: frozenset[str]
    search: frozenset[str] = frozenset()
    needs: tuple[frozenset[str], ...] = ()
    """A search needs all parameters of one of these; none is needed when there are none."""


class Limits(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What a server allows; everything else it refuses."""

    software: str
    system: frozenset[str]
    resources: dict[str, Allowed]
    update_create: bool
    conditional: bool
    ignored: frozenset[str] = frozenset()
    """Parameters that it takes and does nothing with."""
    not_exported: frozenset[str] = frozenset()

    def check(self, place: tuple[str, ...], method: str, resource_type: str | None) -> None:
        """Refuse (404 for a type, 405 for an interaction) what is not allowed."""
        if place in _FREE:
            return
        interaction = INTERACTIONS.get((place, method), "none")
        if resource_type is None:
            if interaction not in self.system:
                raise Refusal(405 if place else 404, "not-supported", "this server has no such system-level interaction")
            return
        if resource_type not in self.resources:
            raise Refusal(404, "not-supported", "this server does not have the resource type")
        if interaction not in self.resources[resource_type].interactions:
            raise Refusal(405, "not-supported", f"this server does not allow {interaction} of {resource_type}")

    def criteria(self, resource_type: str, pairs: list[tuple[str, str]]) -> list[tuple[str, str]]:
        """The criteria of a search that take effect; Refusal 400 for one that is unknown here, or where a needed one is missing."""
        allowed = self.resources[resource_type]
        given = {name.partition(":")[0] for name, _ in pairs}
        for name in sorted(given - allowed.search - _CONTROLS - self.ignored):
            raise unknown_parameter(name)
        if allowed.needs and "_page" not in given and not any(needed <= given for needed in allowed.needs):
            choices = " or ".join(" and ".join(sorted(needed)) for needed in allowed.needs)
            raise Refusal(400, "required", f"a search of {resource_type} needs {choices}")
        return [(name, value) for name, value in pairs if name not in self.ignored]


@cache
def limits(name: str) -> Limits:
    """The limits of a kind of server; UsageError naming those there are.

    >>> limits("epic-like").system
    frozenset()
    """
    known = {path.stem: path for path in sorted(_FOLDER.glob("*.yaml"))}
    if name not in known:
        raise UsageError(f"no limits {name!r}; there are {', '.join(known)}")
    loaded: dict[str, Any] = yaml.safe_load(known[name].read_text(encoding="utf-8"))
    return msgspec.convert(loaded, Limits)
