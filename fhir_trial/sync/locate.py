"""Finding our resources on a server: by our id where it takes ids of ours, else by what it answered once, by business key, by patient.

What a server's profile says is searched by patient is searched so and no other way: it would answer 400.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from fhir_trial.fhir.http import Exchange, Request
from fhir_trial.fhir.references import literal
from fhir_trial.sync.capability import ServerInfo
from fhir_trial.sync.compare import keys_of
from fhir_trial.sync.failures import BadAnswer, checked_row, read_object, refusal
from fhir_trial.sync.order import place_of
from fhir_trial.sync.search import collect, read_ids

Resource = dict[str, Any]
KEYS_AT_ONCE = 25
"""Business keys of one search: about 2 kB of URL."""
_PATIENT = ("subject", "patient", "individual")
"""The elements in which a resource says whose it is."""
_GONE = (404, 410)


@dataclass
class Located:
    """What the server has of our resources, by our `Type/id`; `several` are those whose key more than one of its resources holds."""

    theirs: dict[str, Resource] = field(default_factory=dict, repr=False)
    several: set[str] = field(default_factory=set)


def locate(
    places: Iterable[str], ours: Mapping[str, Resource], server: ServerInfo, at: Mapping[str, str], apart: Iterable[str] = ()
) -> Exchange[Located]:
    """Read what the server has of these places; `at` says where it keeps some of them, `apart` are read alone, by id."""
    wanted = [place for place in places if server.holds(_type(place))]
    here = [place for place in wanted if server.identity(_type(place)) == "client-id"]
    known = [place for place in wanted if server.identity(_type(place)) != "client-id" and place in at]
    rest = [p for p in wanted if p in ours and server.identity(_type(p)) != "client-id" and p not in at and server.searches(_type(p))]
    found = Located((yield from read_places(here)))
    for place in (*known, *apart):
        resource = yield from read_one(at.get(place, place))
        if resource is not None:
            found.theirs[place] = resource
        elif place in ours and server.searches(_type(place)):  # moved, or never where it was said to be
            rest.append(place)
    scoped = [place for place in rest if _type(place) in server.profile.by_patient]
    yield from _by_patient([ours[place] for place in scoped], server, at, found)
    yield from _by_key([ours[place] for place in rest if place not in scoped], server, found)
    return found


def read_places(places: Iterable[str]) -> Exchange[dict[str, Resource]]:
    """What the server has at these `Type/id`s."""
    by_type: dict[str, list[str]] = {}
    for place in places:
        by_type.setdefault(_type(place), []).append(place.partition("/")[2])
    found: dict[str, Resource] = {}
    for resource_type, ids in sorted(by_type.items()):
        rows = yield from read_ids(resource_type, sorted(ids))
        found.update((f"{resource_type}/{identity}", row) for identity, row in rows.items())
    return found


def read_one(place: str) -> Exchange[Resource | None]:
    """The resource at `Type/id`, None where there is none."""
    request = Request("GET", place, {"Cache-Control": "no-cache"})
    response = yield request
    if response.status in _GONE:
        return None
    if not response.is_success:
        raise refusal(request, response)
    found = checked_row(read_object(request, response, _type(place)), f"GET {_type(place)}")
    if found["id"] != place.split("/")[1]:
        raise BadAnswer(f"GET {_type(place)}: the server gave another {_type(place)} than the one asked for")
    return found


def patient_of(resource: Resource) -> str | None:
    """`Patient/id` of the person a resource is about, None where it does not say.

    >>> patient_of({"resourceType": "Observation", "subject": {"reference": "Patient/7"}})
    'Patient/7'
    """
    for name in _PATIENT:
        stated = resource.get(name)
        at = literal(stated["reference"]) if isinstance(stated, dict) and isinstance(stated.get("reference"), str) else None
        if at is not None and at.type == "Patient":
            return f"Patient/{at.id}"
    return None


def patient_searches(server: ServerInfo, resource_type: str, patient: str) -> list[list[tuple[str, str]]]:
    """The parameters of the searches that together find a patient's resources of a type; `patient` is an id."""
    rule = server.profile.by_patient[resource_type]
    qualified = [("category", category) for category in rule.categories] + ([("code", ",".join(rule.codes))] if rule.codes else [])
    return [[(rule.parameter, patient), one] for one in qualified] or [[(rule.parameter, patient)]]


def _by_patient(resources: Sequence[Resource], server: ServerInfo, at: Mapping[str, str], found: Located) -> Exchange[None]:
    groups: dict[tuple[str, str], list[Resource]] = {}
    for resource in resources:
        patient = patient_of(resource)
        if patient is not None:
            place = at.get(patient, patient)
            groups.setdefault((str(resource["resourceType"]), place.partition("/")[2]), []).append(resource)
    for (resource_type, patient), wanted in sorted(groups.items(), key=lambda pair: pair[0]):
        rows: dict[str, Resource] = {}
        for parameters in patient_searches(server, resource_type, patient):
            some = yield from collect(resource_type, parameters, post=server.profile.post_search)
            rows.update((row["id"], row) for row in some)
        _match(wanted, rows, found)


def _by_key(resources: Sequence[Resource], server: ServerInfo, found: Located) -> Exchange[None]:
    by_type: dict[str, list[Resource]] = {}
    for resource in resources:
        by_type.setdefault(str(resource["resourceType"]), []).append(resource)
    for resource_type, wanted in sorted(by_type.items()):
        rows: dict[str, Resource] = {}
        keys = sorted({key for resource in wanted for key in keys_of(resource)})
        searchable = server.why_not_found_again(resource_type) is None
        for start in range(0, len(keys) if searchable else 0, KEYS_AT_ONCE):
            value = ",".join(_token(key) for key in keys[start : start + KEYS_AT_ONCE])
            some = yield from collect(resource_type, [("identifier", value)], post=server.profile.post_search)
            rows.update((row["id"], row) for row in some)
        _match(wanted, rows, found)
        for resource in wanted:  # what was pulled from this server has the server's id
            if place_of(resource) not in found.theirs and resource.get("meta", {}).get("versionId"):
                there = yield from read_one(place_of(resource))
                if there is not None:
                    found.theirs[place_of(resource)] = there


def _token(key: str) -> str:
    """A business key as a search value: what FHIR gives a meaning to is escaped."""
    system, _, value = key.partition("|")
    return "|".join(text.replace("\\", "\\\\").replace(",", "\\,").replace("$", "\\$").replace("|", "\\|") for text in (system, value))


def _match(wanted: Sequence[Resource], rows: Mapping[str, Resource], found: Located) -> None:
    by_key: dict[str, set[str]] = {}
    for identity, row in rows.items():
        for key in keys_of(row):
            by_key.setdefault(key, set()).add(identity)
    for resource in wanted:
        place = place_of(resource)
        matches = {resource["id"]} & rows.keys() or set().union(*(by_key.get(key, ()) for key in keys_of(resource)))
        if len(matches) > 1:
            found.several.add(place)
        elif matches:
            found.theirs[place] = rows[next(iter(matches))]


def _type(place: str) -> str:
    return place.partition("/")[0]


def moved(value: Any, where: Mapping[str, str]) -> Any:
    """The value with every reference to a place of ours leading to the server's; the same object where nothing moves."""
    return _moved(value, where) if where else value


def _moved(value: Any, where: Mapping[str, str]) -> Any:
    if isinstance(value, dict):
        changed = {name: _moved(item, where) for name, item in value.items()}
        at = literal(value["reference"]) if isinstance(value.get("reference"), str) else None
        if at is not None and (there := where.get(f"{at.type}/{at.id}")) is not None:
            changed["reference"] = there
        return changed
    return [_moved(item, where) for item in value] if isinstance(value, list) else value


def server_copy(resource: Resource, place: str | None, where: Mapping[str, str]) -> Resource:
    """The resource as it is sent to a server that gives ids of its own: with its id there, or none yet."""
    copy: Resource = moved({name: value for name, value in resource.items() if name != "id"}, where)
    return copy if place is None else {**copy, "id": place.partition("/")[2]}
