"""Which resources of a reading are facts: each once and under a name, ours apart from what others wrote, what is retracted left out."""

import datetime as dt
from collections.abc import Iterable, Mapping
from dataclasses import replace
from typing import Any

from fhir_trial.errors import Finding, Findings
from fhir_trial.mapping.foreign import RETRACTED, is_ours, our_identifier
from fhir_trial.mapping.plain import MOST_LEVELS, bare_references, identified, is_deep, local

Resource = dict[str, Any]


def by_type(resources: Iterable[Resource]) -> dict[str, list[Resource]]:
    """The resources of each type, in the order in which the types first appear."""
    found: dict[str, list[Resource]] = {}
    for resource in resources:
        found.setdefault(resource["resourceType"], []).append(resource)
    return found


def apart(resources: Iterable[Resource], findings: Findings) -> tuple[dict[str, list[Resource]], list[Resource]]:
    """Ours by type, and what others wrote; a Provenance has no identifier, and is ours where a rule of ours knows it."""
    ours: list[Resource] = []
    foreign: list[Resource] = []
    for place, resource in _once(resources, findings).items():
        if not (is_ours(resource) or resource["resourceType"] == "Provenance"):
            foreign.append(resource)
        elif isinstance(status := resource.get("status"), str) and status in RETRACTED:
            expected, effect = "a status of what is final and holds", "not read"
            findings.add(Finding("retracted", place, field="status", found=status, expected=expected, severity="warning", effect=effect))
        else:
            ours.append(resource)
    return by_type(_identified(ours, findings)), foreign


def _identified(ours: list[Resource], findings: Findings) -> list[Resource]:
    """The resources with an identifier beside each reference: some servers drop it, and the target at hand has it."""
    bare = {index: references for index, resource in enumerate(ours) if (references := bare_references(resource))}
    if not bare:
        return ours
    known = {f"{r['resourceType']}/{r['id']}": identifier for r in ours if (identifier := our_identifier(r)) is not None}
    for index, references in bare.items():
        place = f"{ours[index]['resourceType']}/{ours[index]['id']}"
        for reference in dict.fromkeys(text for text in references if local(text) not in known):
            expected, effect = "a reference with an identifier, or its target", "read without it"
            finding = Finding("unknown-target", place, found=reference, expected=expected, severity="warning", effect=effect)
            findings.add(finding)
    return [identified(resource, known) if index in bare else resource for index, resource in enumerate(ours)]


def _once(resources: Iterable[Resource], findings: Findings) -> dict[str, Resource]:
    """The resources by `Type/id`, one without an id under a number; of several versions the newest, with a finding."""
    found: dict[str, Resource] = {}
    for number, resource in enumerate(resources, 1):
        named = resource if isinstance(resource.get("id"), str) else resource | {"id": f"unnamed-{number}"}
        place = f"{named['resourceType']}/{named['id']}"
        if is_deep(named):
            findings.add(Finding("too-deep", place, expected=f"at most {MOST_LEVELS} levels of nesting", effect="not read"))
            continue
        found[place] = _one_of(found[place], named, place, findings) if place in found else named
    return found


def _one_of(first: Resource, second: Resource, place: str, findings: Findings) -> Resource:
    """Which of two resources of one id is read: the newer; the first, where they do not say which that is."""
    if first == second:
        effect = "it stands there again, and is read once"
        findings.add(Finding("repeated-resource", place, expected="each resource once", severity="information", effect=effect))
        return first
    one, other = _age(first), _age(second)
    if one is not None and other is not None and one != other:
        expected, effect = "one version of a resource", "the newest is read"
        findings.add(Finding("repeated-resource", place, expected=expected, severity="warning", effect=effect))
        return max(first, second, key=_age)  # type: ignore[arg-type]
    expected = "an id of its own, or meta.lastUpdated to tell which is the newest"
    findings.add(Finding("repeated-resource", place, expected=expected, effect="the first is read, the other is not"))
    return first


def _age(resource: Resource) -> float | None:
    """When a resource was last changed; None where it does not say."""
    meta = resource.get("meta")
    updated = meta.get("lastUpdated") if isinstance(meta, dict) else None
    try:
        moment = dt.datetime.fromisoformat(updated) if isinstance(updated, str) else None
        return moment.timestamp() if moment is not None and moment.tzinfo is not None else None
    except (ValueError, OverflowError):
        return None


def of_resources(findings: Iterable[Finding], resources: list[Resource]) -> list[Finding]:
    """Findings about the resources of a list by number, each with the resource's own name; what several views say is said once."""
    return list(dict.fromkeys(_named(finding, resources) for finding in findings))


def _named(finding: Finding, resources: list[Resource]) -> Finding:
    if finding.place != "resources" or finding.row is None:
        return finding
    resource = resources[finding.row - 1]
    return replace(finding, place=f"{resource['resourceType']}/{resource['id']}", row=None)


def labels(resource: Mapping[str, Any]) -> list[dict[str, Any]]:
    """The security labels of a resource that are objects; none where what stands there is of another shape."""
    meta = resource.get("meta")
    listed = meta.get("security") if isinstance(meta, dict) else None
    return [label for label in listed if isinstance(label, dict)] if isinstance(listed, list) else []
