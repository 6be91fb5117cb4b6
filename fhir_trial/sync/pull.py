"""Reading a trial's resources from a server: by type, each search read to its proven end, into memory or page by page into a sink.

One database holds one study; on a shared server `keep` takes the study's own rows out of what a search finds.
"""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any

from fhir_trial.errors import Finding
from fhir_trial.fhir.http import Exchange
from fhir_trial.progress import Progress, silent
from fhir_trial.sync.capability import ServerInfo
from fhir_trial.sync.compare import keys_of
from fhir_trial.sync.failures import BadAnswer
from fhir_trial.sync.search import Found, Take, search

Resource = dict[str, Any]
Keep = Callable[[Resource], bool]

TRIAL_TYPES = (
    "Organization",
    "Location",
    "ResearchStudy",
    "PlanDefinition",
    "Medication",
    "Patient",
    "Group",
    "List",
    "ResearchSubject",
    "Consent",
    "BodyStructure",
    "MedicationAdministration",
    "MedicationRequest",
    "MedicationDispense",
    "MedicationStatement",
    "MedicationUsage",
    "Procedure",
    "Condition",
    "Observation",
    "QuestionnaireResponse",
    "AdverseEvent",
    "Measure",
    "MeasureReport",
    "EvidenceVariable",
    "Evidence",
    "Provenance",
)
"""The resource types that a trial is told in; those that a server lacks are left out."""


@dataclass(frozen=True)
class Pulled:
    """What was read: rows kept of each type, and how each search ended; `resources` is empty where a sink took them."""

    counts: dict[str, int]
    found: dict[str, Found]
    resources: dict[str, list[Resource]] = field(default_factory=dict, repr=False)
    findings: tuple[Finding, ...] = ()

    def all(self) -> list[Resource]:
        """All resources, type after type."""
        return [row for rows in self.resources.values() for row in rows]


def pull(types: Sequence[str], take: Take, keep: Keep | None = None, progress: Progress = silent) -> Exchange[Pulled]:
    """Read all resources of these types; each page's rows go to `take`, so memory holds one page.

    An error means that the whole is not proven: what `take` got before it is to be thrown away (`FolderWriter` does so).
    """
    found: dict[str, Found] = {}
    counts = dict.fromkeys(types, 0)

    def take_kept(resource_type: str, rows: list[Resource]) -> None:
        kept = [row for row in rows if keep(row)] if keep else rows
        counts[resource_type] += len(kept)
        take(resource_type, kept)

    for number, resource_type in enumerate(types):
        found[resource_type] = yield from search(resource_type, [], take_kept)
        progress(f"reading {resource_type}", number + 1, len(types))
    return Pulled(counts, found, findings=tuple(f for end in found.values() for f in end.findings))


def pull_to_memory(types: Sequence[str], keep: Keep | None = None, progress: Progress = silent) -> Exchange[Pulled]:
    """Read all resources of these types into memory."""
    rows: dict[str, list[Resource]] = {}

    def take(resource_type: str, page: list[Resource]) -> None:
        rows.setdefault(resource_type, []).extend(page)

    pulled = yield from pull(types, take, keep, progress)
    return Pulled(pulled.counts, pulled.found, rows, pulled.findings)


def trial_types(server: ServerInfo, asked: Iterable[str] = ()) -> list[str]:
    """The types to read: those asked for, else every trial type that the server has and lets be searched."""
    wanted = tuple(asked)
    return list(wanted) if wanted else [t for t in TRIAL_TYPES if server.searches(t)]


def types_to_read(server: ServerInfo, asked: Iterable[str] = ()) -> list[str]:
    """As `trial_types`, and an error where there is none: a folder of nothing would look like a trial without data."""
    types = trial_types(server, asked)
    if not types:
        raise BadAnswer("GET metadata: the server says that it searches none of the types that a trial is told in")
    return types


def of_study(system_prefix: str, value_prefix: str) -> Keep:
    """Keeps the resources with a business identifier of that system prefix whose value is or begins with the study's key.

    >>> keep = of_study("https://fhir-trial.org/sid/", "S1")
    >>> keep({"identifier": [{"system": "https://fhir-trial.org/sid/subject", "value": "S1/01"}]})
    True
    >>> keep({"identifier": [{"system": "https://fhir-trial.org/sid/subject", "value": "S12/01"}]})
    False
    """

    def keep(resource: Resource) -> bool:
        split = [key.partition("|") for key in keys_of(resource)]
        return any(system.startswith(system_prefix) and (value + "/").startswith(value_prefix + "/") for system, _, value in split)

    return keep
