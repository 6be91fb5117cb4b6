"""What would unblind: who is in which arm. It is withheld from servers that are no research stores until the study's blind ends."""

from typing import Any

Resource = dict[str, Any]

ARM = {"ResearchSubject": ("assignedArm", "actualArm", "assignedComparisonGroup", "actualComparisonGroup")}
"""The elements that say a subject's arm, of every FHIR version, with the siblings that hold their extensions."""

_NAMES = ("/arm-planned", "/arm-actual")


def without_arm(resource: Resource, theirs: Resource | None = None) -> Resource:
    """The resource without its arm; what the server says of it already stays as it says it.

    >>> without_arm({"resourceType": "ResearchSubject", "id": "s", "assignedArm": "A", "_assignedArm": {}, "status": "x"})
    {'resourceType': 'ResearchSubject', 'id': 's', 'status': 'x'}
    """
    hidden = {name for element in ARM.get(str(resource.get("resourceType")), ()) for name in (element, f"_{element}")}
    if not hidden:
        return resource
    kept = {name: value for name, value in (theirs or {}).items() if name in hidden}
    columns = [each for each in (theirs or {}).get("extension", ()) if _says_arm(each)]
    shown = {name: value for name, value in resource.items() if name not in hidden} | kept
    if extensions := [each for each in shown.pop("extension", ()) if not _says_arm(each)] + columns:
        shown["extension"] = extensions
    return shown


def _says_arm(extension: Resource) -> bool:
    """Whether an extension is an arm's name, or a value of the source that says it or why there is none.

    Those are the columns ARM, ARMCD, ACTARM, ARMNRS..., and every supplemental qualifier of DM: a sponsor names the arm there as it likes.
    """
    url = str(extension.get("url"))
    if not url.endswith("/source-column"):
        return url.endswith(_NAMES)
    parts = {part.get("url"): str(part.get("valueString")) for part in extension.get("extension", ())}
    return "ARM" in parts.get("name", "") or parts.get("record", "").startswith("SUPPDM")
