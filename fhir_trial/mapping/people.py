"""Who the subjects in resources of others are, and which studies they are in."""

from collections.abc import Iterator, Mapping
from typing import Any

from fhir_trial.mapping.plain import local, references

Json = dict[str, Any]


class People:
    """The patients, subjects and studies among resources by place, as seen from one study."""

    def __init__(self, resources: Mapping[str, Json], study: str) -> None:
        """Find who replaces whom, which studies are others, and the name of each subject."""
        self._resources = resources
        self.replaced: dict[str, str] = {place: target for place, r in resources.items() if (target := _replaced_by(r)) is not None}
        studies = {place: r for place, r in resources.items() if r.get("resourceType") == "ResearchStudy"}
        ours = {place for place, r in studies.items() if study in (r.get("id"), *_identifiers(r))}
        ids = {str(resource.get("id")) for resource in resources.values()}
        apart = {place for place in studies if place.partition("/")[2].rpartition(".")[0] not in ids}
        # One study alone is the one that is meant, whatever its identifier; one that another resource contains is not.
        self._others = set(studies) - (ours or (apart if len(apart) == 1 else set()))
        self._subjects = dict(self._named_subjects())

    def _named_subjects(self) -> Iterator[tuple[str, str]]:
        """Each patient's place with the name of its ResearchSubject."""
        for place, resource in self._resources.items():
            if resource.get("resourceType") == "ResearchSubject" and self.of_another_study(place, resource) is None:
                person = resource.get("individual") or resource.get("subject") or {}
                patient = local(str(person.get("reference"))) if isinstance(person, dict) else ""
                yield self.final(patient), next(iter(_identifiers(resource)), str(resource.get("id")))

    def final(self, patient: str) -> str:
        """The place of the patient that stands for this one: itself, or the last in a chain of replacements."""
        seen: set[str] = set()
        while patient in self.replaced and patient not in seen:
            seen.add(patient)
            patient = self.replaced[patient]
        return patient

    def replacing(self, place: str) -> list[str]:
        """The places of patients that this one replaces."""
        return [old for old in self.replaced if self.final(old) == place]

    def subject(self, patient: str) -> str:
        """What the subject is called: the ResearchSubject's identifier, else the patient's logical id."""
        return self._subjects.get(patient, patient.partition("/")[2])

    def of_another_study(self, place: str, resource: Json) -> str | None:
        """The other study that a resource is, or is of; None for what is ours or of no study."""
        if place in self._others:
            return place
        if resource.get("resourceType") == "ResearchStudy":
            return None
        return next((study for study in map(local, references(resource)) if study in self._others), None)


def _identifiers(resource: Json) -> list[str]:
    found = resource.get("identifier")
    listed = found if isinstance(found, list) else [found]
    return [i["value"] for i in listed if isinstance(i, dict) and isinstance(i.get("value"), str)]


def _replaced_by(resource: Json) -> str | None:
    """The place of the patient that replaces this one, if one does."""
    links = resource.get("link") if resource.get("resourceType") == "Patient" else None
    for link in links if isinstance(links, list) else ():
        if isinstance(link, dict) and link.get("type") == "replaced-by":
            other = link.get("other")
            return local(str(other.get("reference"))) if isinstance(other, dict) else None
    return None
