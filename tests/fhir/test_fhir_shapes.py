import pytest

from fhir_trial.errors import UsageError
from fhir_trial.fhir.shapes import shapes
from fhir_trial.fhir.versions import VERSIONS, version

VERSION_NAMES = sorted(VERSIONS)


@pytest.mark.parametrize("fhir", VERSION_NAMES)
def test_every_type_decodes_and_every_type_named_exists(fhir: str) -> None:
    known = shapes(fhir)
    for name in known.types:
        elements = known.elements(name)
        missing = {t for element in elements.values() for t in element.types} - known.types
        assert not missing, (name, missing)
        assert all(e.types and e.min in (0, 1) for e in elements.values() if not e.many)
        known.invariants(name)


@pytest.mark.parametrize("fhir", VERSION_NAMES)
def test_every_search_parameter_has_an_expression_of_its_type(fhir: str) -> None:
    known = shapes(fhir)
    for name in known.resource_types:
        parameters = known.search_parameters(name)
        assert {"_id", "_lastUpdated"} <= parameters.keys()
        assert all(p.expression for p in parameters.values())


@pytest.mark.parametrize(("fhir", "resources"), [("r4", 146), ("r5", 158)])
def test_all_resource_types_are_there(fhir: str, resources: int) -> None:
    # 146 and 158: the concrete resource types of HL7's resource lists for 4.0.1 and 5.0.0.
    assert len(shapes(fhir).resource_types) == resources
    assert shapes(fhir).number == version(fhir).number


# Cardinalities, types and bindings as HL7's pages of each resource print them.
FACTS = [
    ("r4", "ResearchSubject", "individual", ("Reference",), 1, False),
    ("r5", "ResearchSubject", "subject", ("Reference",), 1, False),
    ("r4", "AdverseEvent", "suspectEntity", ("AdverseEvent.suspectEntity",), 0, True),
    ("r4", "AdverseEvent.suspectEntity", "instance", ("Reference",), 1, False),
    ("r5", "MedicationAdministration", "occurence", ("dateTime", "Period", "Timing"), 1, False),
    ("r5", "MedicationAdministration", "medication", ("CodeableReference",), 1, False),
    ("r4", "Observation.component", "referenceRange", ("Observation.referenceRange",), 0, True),
    ("r4", "Observation", "id", ("id",), 0, False),
    ("r5", "Timing.repeat", "id", ("string",), 0, False),
    ("r4", "Extension", "url", ("uri",), 1, False),
    ("r4", "Bundle.entry", "resource", ("Resource",), 0, False),
    ("r4", "Provenance", "target", ("Reference",), 1, True),
    ("r4", "Patient", "contained", ("Resource",), 0, True),
]


@pytest.mark.parametrize(("fhir", "owner", "member", "types", "minimum", "many"), FACTS)
def test_elements_are_as_published(fhir: str, owner: str, member: str, types: tuple[str, ...], minimum: int, many: bool) -> None:
    element = shapes(fhir).element(owner, member)
    assert element is not None
    assert (element.types, element.min, element.many) == (types, minimum, many)


def test_choice_elements_resolve_by_both_names() -> None:
    by_base, by_json = (shapes("r4").element("Observation", name) for name in ("value", "valueQuantity"))
    assert by_base is not None
    assert by_base == by_json
    assert by_base.is_choice
    assert by_base.json_names["dateTime"] == "valueDateTime"
    assert by_base.types_as("valueQuantity") == ("Quantity",)
    assert by_base.types_as("value") == by_base.types


def test_required_bindings_hold_their_codes_and_systems() -> None:
    severity = shapes("r4").element("AdverseEvent", "severity")
    state = shapes("r5").element("ResearchSubject.progress", "subjectState")
    assert severity is not None
    assert state is not None
    assert severity.binding == {"mild", "moderate", "severe"}
    assert severity.codes_by_system == {"http://terminology.hl7.org/CodeSystem/adverse-event-severity": severity.binding}
    assert state.binding is not None
    assert len(state.binding) == 13
    assert "on-study" in state.binding


def test_weaker_bindings_keep_strength_and_url_only() -> None:
    category = shapes("r4").element("AdverseEvent", "category")
    assert category is not None
    assert (category.strength, category.binding) == ("extensible", None)
    assert category.binding_url == "http://hl7.org/fhir/ValueSet/adverse-event-category"


def test_invariants_are_inherited_and_belong_to_their_element() -> None:
    keys = [i.key for i in shapes("r4").invariants("Observation")]
    assert keys[0].startswith("dom-")
    assert {"dom-2", "obs-6", "obs-7"} <= set(keys)
    limits = shapes("r4").element("Observation", "referenceRange")
    assert limits is not None
    assert [i.key for i in limits.invariants] == ["obs-3"]


@pytest.mark.parametrize("fhir", VERSION_NAMES)
def test_references_lead_to_concrete_types(fhir: str) -> None:
    known = shapes(fhir)
    targets = {t for name in known.types for e in known.elements(name).values() for t in e.targets}
    assert targets <= known.resource_types


def test_search_expressions_speak_of_one_type() -> None:
    parameters = shapes("r5").search_parameters("AdverseEvent")
    assert parameters["code"].expression == "AdverseEvent.code"
    assert "identifier" in parameters
    assert "identifier" not in shapes("r4").search_parameters("AdverseEvent")  # R4 has none
    assert parameters["patient"].targets == ("Patient",)


@pytest.mark.parametrize(
    ("owner", "wrong", "right"),
    [
        ("Patient", "birthdate", "birthDate"),
        ("Observation", "valueQuantty", "valueQuantity"),
        ("Patient", "zzzz", None),
        ("Nothing", "id", None),
    ],
)
def test_suggestions(owner: str, wrong: str, right: str | None) -> None:
    assert shapes("r4").suggest(owner, wrong) == right


def test_unknown_names_are_said_with_those_known() -> None:
    with pytest.raises(UsageError, match="r4, r5"):
        shapes("r6")
    with pytest.raises(UsageError, match="did you mean Patient"):
        shapes("r4").elements("Patien")
    assert shapes("r4").element("Patien", "id") is None
