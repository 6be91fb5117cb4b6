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
        self.replaced = {place: target for place, r in resources.items() if (target := _replaced_by(r)) is not None}
        self._final = _ends(self.replaced)
        self.replaced = {place: target for place, target in self.replaced.items() if place in self._final}
        self._replacing: dict[str, list[str]] = {}
        for old, new in self._final.items():
            self._replacing.setdefault(new, []).append(old)
        studies = {place: r for place, r in resources.items() if r.get("resourceType") == "ResearchStudy"}
        ours = {place for place, r in studies.items() if study in (r.get("id"), *_identifiers(r))}
        ids = {str(resource.get("id")) for resource in resources.values()}
        apart = {place for place in studies if place.partition("/")[2].rpartition(".")[0] not in ids}
        # One study alone is the one that is meant, whatever its identifier; one that another resource contains is not.
        self._others = set(studies) - (ours or (apart if len(apart) == 1 else set()))
        self._subjects: dict[str, str] = {}
        self.doubtful: dict[str, tuple[str, str, str]] = {}
        """ResearchSubjects whose name is not taken: the name, what was expected, and what follows."""
        self._name_subjects()

    def _name_subjects(self) -> None:
        """Name each patient as its first ResearchSubject is called, unless another patient is called so."""
        taken: dict[str, str] = {}
        for place, patient, name in self._named():
            if patient in self._subjects:
                if self._subjects[patient] != name:
                    self.doubtful[place] = name, "one ResearchSubject of a patient", f"the patient is {self._subjects[patient]}"
            elif taken.setdefault(name, patient) != patient:
                self._subjects[patient] = patient.partition("/")[2]
                self.doubtful[place] = name, "a name that no other patient has", "the patient's id is the subject"
            else:
                self._subjects[patient] = name

    def _named(self) -> Iterator[tuple[str, str, str]]:
        """Each ResearchSubject of the study with the place of its patient and its name."""
        for place, resource in self._resources.items():
            if resource.get("resourceType") == "ResearchSubject" and self.of_another_study(place, resource) is None:
                person = resource.get("individual") or resource.get("subject") or {}
                patient = local(str(person.get("reference"))) if isinstance(person, dict) else ""
                yield place, self.final(patient), next(iter(_identifiers(resource)), str(resource.get("id")))

    def final(self, patient: str) -> str:
        """The place of the patient that stands for this one: itself, or the last in a chain of replacements."""
        return self._final.get(patient, patient)

    def replacing(self, place: str) -> list[str]:
        """The places of patients that this one replaces."""
        return self._replacing.get(place, [])

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


def _ends(replaced: Mapping[str, str]) -> dict[str, str]:
    """The last of each chain of replacements; in a circle nobody replaces anybody, and what leads into one is not replaced either.

    >>> _ends({"Patient/a": "Patient/b", "Patient/b": "Patient/c", "Patient/d": "Patient/e", "Patient/e": "Patient/d"})
    {'Patient/a': 'Patient/c', 'Patient/b': 'Patient/c'}
    """
    ends: dict[str, str | None] = {}
    for start in replaced:
        path: dict[str, None] = {}
        place = start
        while place in replaced and place not in ends and place not in path:
            path[place] = None
            place = replaced[place]
        ends |= dict.fromkeys(path, None if place in path else ends.get(place, place))
    return {place: end for place, end in ends.items() if end is not None}


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
