"""Rules of ours beyond HL7's invariants, by type."""

from collections.abc import Iterator
from typing import Any

from fhir_trial.fhir.ucum import is_unit
from fhir_trial.validate.problems import Check, Context, Problem, Problems, problem, under

Json = dict[str, Any]
UCUM = "http://unitsofmeasure.org"
# Both of HL7's adverse-event guides, for R4 and for R5, end their url for a criterion so.
_CRITERION = "/StructureDefinition/seriousness-criteria"


def _objects(listed: Any) -> Iterator[Json]:
    """The objects in an array, if it is one."""
    return (item for item in listed if isinstance(item, dict)) if isinstance(listed, list) else iter(())


def _criteria_present(event: Json) -> list[bool]:
    """For each seriousness criterion that the event states, whether it is met."""
    criteria = [e for e in _objects(event.get("extension")) if str(e.get("url")).endswith(_CRITERION)]
    parts = (part for criterion in criteria for part in _objects(criterion.get("extension")))
    return [part.get("valueBoolean") is True for part in parts if part.get("url") == "criterionPresent"]


def _is_serious(event: Json) -> bool | None:
    """What `seriousness` says; None when it says nothing in HL7's codes."""
    concept = event.get("seriousness")
    codes = [str(c.get("code")).lower() for c in _objects(concept.get("coding"))] if isinstance(concept, dict) else []
    stated = [code.startswith("serious") for code in codes if code.startswith("serious") or code == "non-serious"]
    return stated[0] if stated else None


def _serious_if_and_only_if_a_criterion(event: Json, context: Context) -> Problems:
    """An event is serious exactly when a criterion is met; said only of events that state their criteria.

    A warning: real trial data contradict themselves here, and a server that refused such an event would hide it.
    """
    criteria, serious = _criteria_present(event), _is_serious(event)
    if not criteria or serious is None or serious == any(criteria):
        return None
    expected = "a seriousness criterion that is met" if serious else "a serious event, for a criterion is met"
    return _as_warnings(under(problem("seriousness-and-criteria-differ", expected), "seriousness", "seriousness"))


def _unit_is_one_of_ucum(quantity: Json, context: Context) -> Problems:
    """A code that claims to be UCUM's is a UCUM unit."""
    code = quantity.get("code")
    if quantity.get("system") != UCUM or not isinstance(code, str) or is_unit(code):
        return None
    return under(problem("invalid-unit", f"a unit of {UCUM}", code), "code", "code")


def _as_warnings(problems: list[Problem]) -> list[Problem]:
    """The same problems, none of which makes the resource invalid."""
    return [p._replace(severity="warning") for p in problems]


RULES: dict[str, tuple[Check, ...]] = {
    "AdverseEvent": (_serious_if_and_only_if_a_criterion,),
    **dict.fromkeys(("Quantity", "Age", "Count", "Distance", "Duration"), (_unit_is_one_of_ucum,)),
}
