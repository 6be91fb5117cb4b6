"""Reading a server: several searches at once, patient by patient, or by bulk export; whatever way, shown to be complete or an error."""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol, TypeVar

from fhir_trial.errors import Finding, UsageError
from fhir_trial.fhir.http import Exchange
from fhir_trial.fhir.references import literal
from fhir_trial.sync.bulk import Export, Exported, Steps, export
from fhir_trial.sync.bulk_files import deletions, rows_of
from fhir_trial.sync.capability import ServerInfo
from fhir_trial.sync.compare import keys_of
from fhir_trial.sync.failures import BadAnswer, Incomplete
from fhir_trial.sync.locate import patient_of, patient_searches, read_one
from fhir_trial.sync.order import references
from fhir_trial.sync.pull import Keep, Pulled
from fhir_trial.sync.saved_job import SavedJob
from fhir_trial.sync.search import Take, collect, search

Resource = dict[str, Any]
T = TypeVar("T")
_MERGES = 20
"""How often a patient may have been merged into another, one after the other."""


class Runner(Protocol):
    """What drives exchanges with one server."""

    def run(self, exchange: Exchange[T]) -> T:
        """One exchange."""

    def run_all(self, exchanges: Iterable[Exchange[T]]) -> Iterator[T]:
        """Several at once, their results in order."""

    def run_steps(self, steps: Steps) -> Exported:
        """A bulk export."""


def read_types(runner: Runner, types: Sequence[str], take: Take, keep: Keep | None = None) -> Pulled:
    """Read all resources of these types, several types at once; each type's rows come in the server's order."""
    counts = dict.fromkeys(types, 0)

    def take_kept(resource_type: str, rows: list[Resource]) -> None:
        kept = [row for row in rows if keep(row)] if keep else rows
        counts[resource_type] += len(kept)
        take(resource_type, kept)

    ends = list(runner.run_all(search(name, [], take_kept) for name in types))
    return Pulled(counts, dict(zip(types, ends, strict=True)), findings=tuple(f for end in ends for f in end.findings))


@dataclass(frozen=True)
class OnePatient:
    """What a server has of one patient."""

    id: str
    rows: dict[str, list[Resource]] = field(repr=False)
    findings: tuple[Finding, ...] = ()
    merged_into: str | None = None
    """The id of the patient that replaces this one."""


def read_patients(runner: Runner, server: ServerInfo, types: Sequence[str], patients: Iterable[str], take: Take) -> Pulled:
    """Read these patients (ids) one by one, several at once, and those they were merged into; rows come in the patients' order."""
    counts = dict.fromkeys(("Patient", *types), 0)
    seen: set[str] = set()
    given: set[tuple[str, str]] = set()
    findings: list[Finding] = []
    waiting = list(dict.fromkeys(patients))
    rounds = 0
    while waiting:
        rounds += 1
        if rounds > _MERGES:
            raise Incomplete("GET Patient: patients are merged into others without end")
        seen.update(waiting)
        further: list[str] = []
        for found in runner.run_all(one_patient(server, types, identity) for identity in waiting):
            findings.extend(found.findings)
            further += [found.merged_into] if found.merged_into and found.merged_into not in {*seen, *further} else []
            for resource_type, rows in found.rows.items():
                new = [row for row in rows if (resource_type, row["id"]) not in given]
                given.update((resource_type, row["id"]) for row in new)
                counts[resource_type] += len(new)
                take(resource_type, new)
        waiting = further
    return Pulled(counts, {}, findings=tuple(findings))


def one_patient(server: ServerInfo, types: Sequence[str], identity: str) -> Exchange[OnePatient]:
    """Everything of these types that the server has of a patient, each resource once though several searches find it."""
    patient = yield from read_one(f"Patient/{identity}")
    if patient is None:
        return OnePatient(identity, {}, (Finding("no-such-patient", "Patient", expected="a patient of the server", effect="not read"),))
    found: dict[str, list[Resource]] = {"Patient": [patient]}
    for resource_type in types:
        rows: dict[str, Resource] = {}
        for parameters in patient_searches(server, resource_type, identity):
            some = yield from collect(resource_type, parameters, post=server.profile.post_search)
            rows.update((row["id"], row) for row in some)
        found[resource_type] = _of_patient(resource_type, rows.values(), {identity, merged_into(patient)})
    return OnePatient(identity, found, (), merged_into(patient))


def _of_patient(resource_type: str, rows: Iterable[Resource], whose: set[str | None]) -> list[Resource]:
    """The rows; a `BadAnswer` where one says that it is about another patient, whom nobody asked for."""
    listed = list(rows)
    for row in listed:
        about = patient_of(row)
        if about is not None and about.partition("/")[2] not in whose:
            raise BadAnswer(f"GET {resource_type}: the server gave what is about another patient than the one asked for")
    return listed


def merged_into(patient: Mapping[str, Any]) -> str | None:
    """The id of the patient that replaces this one, by `Patient.link`.

    >>> merged_into({"link": [{"type": "replaced-by", "other": {"reference": "Patient/2"}}]})
    '2'
    """
    for item in _list(patient.get("link")):
        other = item.get("other") if isinstance(item, dict) and item.get("type") == "replaced-by" else None
        reference = other.get("reference") if isinstance(other, dict) else None
        at = literal(reference) if isinstance(reference, str) else None
        if at is not None and at.type == "Patient":
            return at.id
    return None


def patient_types(server: ServerInfo, asked: Sequence[str] = ()) -> list[str]:
    """The types to read by patient: those asked for, else all that such a server searches so and says it has."""
    searchable = [name for name in server.profile.by_patient if server.searches(name)]
    if other := [name for name in asked if name not in {*searchable, "Patient"}]:
        raise UsageError(f"this server ({server.profile.name}) is not searched by patient for {', '.join(other)}")
    return [name for name in searchable if not asked or name in asked]


def patients_of_study(study: str) -> Exchange[list[str]]:
    """The ids of the patients of a study, by its ResearchSubjects; `UsageError` where the server knows no such study."""
    studies = yield from collect("ResearchStudy", [("identifier", study)])
    if not studies:
        raise UsageError("the server has no ResearchStudy of that identifier: name patients or a group")
    if any(study not in {name for key in keys_of(held) for name in (key, key.partition("|")[2])} for held in studies):
        raise BadAnswer("GET ResearchStudy: the server gave another study than the one asked for")
    found: list[str] = []
    for held in studies:
        place = f"ResearchStudy/{held['id']}"
        subjects = yield from collect("ResearchSubject", [("study", place)])
        if any(place not in references(row.get("study")) for row in subjects):
            raise BadAnswer("GET ResearchSubject: the server gave subjects of another study than the one asked for")
        found += [identity for row in subjects if (identity := _person(row.get("individual") or row.get("subject")))]
    return list(dict.fromkeys(found))


def patients_of_group(group: str) -> Exchange[list[str]]:
    """The ids of a group's members who are patients and not inactive."""
    held = yield from read_one(f"Group/{group}")
    if held is None:
        raise UsageError("the server has no such Group")
    members = [m for m in _list(held.get("member")) if isinstance(m, dict) and m.get("inactive") is not True]
    return list(dict.fromkeys(identity for m in members if (identity := _person(m.get("entity")))))


def _list(value: Any) -> list[Any]:
    return value if isinstance(value, list) else []


def _person(reference: Any) -> str | None:
    text = reference.get("reference") if isinstance(reference, dict) else None
    at = literal(text) if isinstance(text, str) else None
    return at.id if at is not None and at.type == "Patient" else None


@dataclass(frozen=True)
class BulkRead:
    """What a bulk export gave: counts, what its manifest says was deleted (`Type/id`), and the server's time of it."""

    pulled: Pulled
    deleted: tuple[str, ...]
    transaction_time: str


def read_bulk(
    runner: Runner, asked: Export, job: SavedJob, take: Take, keep: Keep | None = None, *, clock: Callable[[], float]
) -> BulkRead:
    """Run an export and read its files; a file that is short, of another type or repeats a resource is an error.

    An export that gave such a file is forgotten, or the next run would read the same one again.
    """
    exported = runner.run_steps(export(asked, job, clock))
    try:
        return _read_files(exported, asked, take, keep)
    except (BadAnswer, Incomplete):
        job.remove()
        raise


def _read_files(exported: Exported, asked: Export, take: Take, keep: Keep | None) -> BulkRead:
    counts, seen = dict.fromkeys(asked.types, 0), set[tuple[str, str]]()
    findings = list(exported.findings)
    for output, path in exported.output:
        is_asked = not asked.types or output.type in asked.types
        if not is_asked:
            findings.append(Finding("not-asked-for", output.type, expected="the types asked for", severity="warning", effect="not kept"))
        for rows in rows_of(output, path, seen):
            if not is_asked:
                continue
            counts.setdefault(output.type, 0)
            kept = [row for row in rows if keep(row)] if keep else rows
            counts[output.type] += len(kept)
            take(output.type, kept)
        if output.count is None:
            findings.append(Finding("no-count", output.type, expected="a count in the export's manifest", severity="information"))
    for name in counts:
        take(name, [])
    deleted = tuple(place for path in exported.deleted for place in deletions(path))
    return BulkRead(Pulled(counts, {}, findings=tuple(findings)), deleted, exported.transaction_time)
