"""Resources of others in a plainer form, so that the same rules read them: parts apart, references whole, every concept with a text.

Nothing is guessed: a concept's text is its own display, a panel's parts are its components, a contained resource is one of its own.
"""

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

Json = dict[str, Any]

MOST_LEVELS = 100
"""How deep a resource may nest: deeper than anybody records, and less than what a walk through it can bear."""


def is_deep(resource: Json) -> bool:
    """Whether a resource nests deeper than `MOST_LEVELS`.

    >>> is_deep({"resourceType": "Patient", "name": [{"given": ["Anna"]}]})
    False
    """
    level: list[Any] = [resource]
    for _ in range(MOST_LEVELS):
        inside = [item for value in level for item in (value.values() if isinstance(value, dict) else value)]
        level = [item for item in inside if isinstance(item, dict | list)]
        if not level:
            return False
    return True


def place_of(resource: Json) -> str:
    """`Type/id` of a resource.

    >>> place_of({"resourceType": "Patient", "id": "p1"})
    'Patient/p1'
    """
    return f"{resource.get('resourceType')}/{resource.get('id', '?')}"


def plain(resources: Iterable[Json]) -> dict[str, Json]:
    """The resources by place in plain form: contained ones and a panel's components beside the resource that holds them."""
    apart: dict[str, Json] = {}
    for number, resource in enumerate(resources, 1):
        named = resource if isinstance(resource.get("id"), str) else resource | {"id": f"unnamed-{number}"}
        for part in _apart(named):
            apart.setdefault(place_of(part), part)
    return {place: _inlined(resource, apart) for place, resource in apart.items()}


def _apart(resource: Json) -> Iterator[Json]:
    """The resource, those it contains, and the components of a panel that has no value of its own."""
    contained = {f"#{c['id']}": c for c in _objects(resource.get("contained")) if isinstance(c.get("id"), str)}
    names = {local: f"{c.get('resourceType')}/{resource['id']}.{c['id']}" for local, c in contained.items()}
    for local, inner in contained.items():
        yield _worded(renamed(inner | {"id": names[local].partition("/")[2]}, names))
    own = _worded(renamed({name: value for name, value in resource.items() if name != "contained"}, names))
    parts = list(_components(own))
    yield from parts or [own]


def _components(resource: Json) -> Iterator[Json]:
    """Each component of a vital-signs or laboratory panel as an Observation: its code and value, and the rest of the panel's."""
    panel = resource.get("resourceType") == "Observation" and not any(name.startswith("value") for name in resource)
    if not panel or not {"vital-signs", "laboratory"} & set(_categories(resource)):
        return
    rest = {name: value for name, value in resource.items() if name not in ("component", "code", "text")}
    for number, component in enumerate(_objects(resource.get("component")), 1):
        yield rest | component | {"id": f"{resource['id']}.{number}"}


def _categories(resource: Json) -> Iterator[str]:
    for concept in _objects(resource.get("category")):
        yield from (str(coding.get("code")) for coding in _objects(concept.get("coding")))


def _objects(value: Any) -> list[Json]:
    return [item for item in value if isinstance(item, dict)] if isinstance(value, list) else []


def renamed(value: Any, names: dict[str, str]) -> Any:
    """The value with the references that `names` has by the places which they mean.

    >>> renamed({"subject": {"reference": "urn:uuid:1"}}, {"urn:uuid:1": "Patient/p"})
    {'subject': {'reference': 'Patient/p'}}
    """
    if isinstance(value, dict):
        changed = {name: renamed(item, names) for name, item in value.items()}
        if isinstance(reference := changed.get("reference"), str) and reference in names:
            changed["reference"] = names[reference]
        return changed
    return [renamed(item, names) for item in value] if isinstance(value, list) else value


def _worded(value: Any) -> Any:
    """The value with a text for every concept that has codings alone: the one its user chose, else the first that has words."""
    if isinstance(value, dict):
        changed = {name: _worded(item) for name, item in value.items()}
        if "text" not in changed and (text := words(changed.get("coding"))) is not None:
            changed["text"] = text
        return changed
    return [_worded(item) for item in value] if isinstance(value, list) else value


def words(codings: Any) -> str | None:
    """What codings say in words: what their user chose, else the first of them, its code where it has no display."""
    listed = sorted(_objects(codings), key=lambda coding: coding.get("userSelected") is not True)
    found = [c[name] for name in ("display", "code") for c in listed if isinstance(c.get(name), str) and c[name].strip()]
    return found[0] if found else None


def _inlined(resource: Json, known: dict[str, Json]) -> Json:
    """The resource with the concept of the Medication it refers to beside the reference, or what the reference shows."""
    medication = resource.get("medication")
    if isinstance(reference := resource.get("medicationReference"), dict):
        concept = _concept(reference, known)
        return resource | {"medicationCodeableConcept": concept} if concept else resource
    if isinstance(medication, dict) and isinstance(reference := medication.get("reference"), dict):
        concept = _concept(reference, known)
        return resource | {"medication": medication | {"concept": concept}} if concept else resource
    return resource


def _concept(reference: Json, known: dict[str, Json]) -> Json | None:
    target = known.get(local(str(reference.get("reference"))), {})
    if isinstance(code := target.get("code"), dict):
        return code
    return {"text": reference["display"]} if isinstance(reference.get("display"), str) else None


def bare_references(resource: Json) -> list[str]:
    """The references of a resource that carry no identifier, but for those to what it contains."""
    found: list[str] = []
    level: list[Any] = [resource]
    while level:
        inside = [item for value in level for item in (value.values() if isinstance(value, dict) else value)]
        level = [item for item in inside if isinstance(item, dict | list)]
        found += [i["reference"] for i in level if isinstance(i, dict) and "identifier" not in i and isinstance(i.get("reference"), str)]
    return [reference for reference in found if not reference.startswith("#")]


def identified(value: Any, known: Mapping[str, Json]) -> Any:
    """The value with the identifier of each target that is `known` by place, beside the references that carry none.

    >>> identified({"reference": "http://h/fhir/Patient/p"}, {"Patient/p": {"value": "1"}})
    {'reference': 'http://h/fhir/Patient/p', 'identifier': {'value': '1'}}
    """
    if isinstance(value, list):
        return [identified(item, known) for item in value]
    if not isinstance(value, dict):
        return value
    changed = {name: identified(item, known) for name, item in value.items()}
    if "identifier" not in changed and isinstance(reference := changed.get("reference"), str) and local(reference) in known:
        changed["identifier"] = known[local(reference)]
    return changed


def local(reference: str) -> str:
    """`Type/id` of a reference that may be absolute or name a version.

    >>> local("https://example.org/fhir/Patient/p1/_history/2")
    'Patient/p1'
    """
    parts = reference.partition("/_history/")[0].split("/")
    return "/".join(parts[-2:])


def references(resource: Json) -> Iterator[str]:
    """Every literal reference in a resource."""
    for name, value in resource.items():
        if name == "reference" and isinstance(value, str):
            yield value
        for item in value if isinstance(value, list) else [value]:
            if isinstance(item, dict):
                yield from references(item)
