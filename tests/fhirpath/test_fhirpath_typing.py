"""What is refused before any data is seen: each with the position and, where there is one, what was meant."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fhir_trial.errors import InputError
from fhir_trial.fhir.shapes import shapes
from fhir_trial.fhirpath import FhirPathError, Kind, check, compile_path, parse

REFUSED = [
    # expression, code, position (0-based), suggestion
    ("name.famly", "unknown-element", 5, "family"),
    ("nme.family", "unknown-element", 0, "name"),
    ("name.where(usee = 'official')", "unknown-element", 11, "use"),
    ("contact.name.given.first().lenght()", "unknown-function", 27, "length()"),
    ("name.Exists()", "unknown-function", 5, "exists()"),
    ("deceasedBoolean", "unknown-element", 0, "deceased.ofType(boolean)"),
    ("deceased.ofType(Quantity)", "impossible-type", 9, None),
    ("deceased.ofType(bolean)", "unknown-type", 16, "boolean"),
    ("deceased as Boolan", "unknown-type", 9, "boolean"),
    ("birthDate is Patient", "impossible-type", 10, None),
    ("resourceType", "unknown-element", 0, None),
    ("active = 'true'", "incomparable-types", 7, None),
    ("name.given.count() > 'x'", "incomparable-types", 19, None),
    ("%wanted", "unknown-constant", 0, None),
    ("%resourc.id", "unknown-constant", 0, "%resource"),
    ("today()", "refused-function", 0, None),
    ("maritalStatus.memberOf('x')", "refused-function", 14, None),
    ("name.first(1)", "wrong-arguments", 5, None),
    ("name.where()", "wrong-arguments", 5, None),
    ("name.ofType('x')", "unknown-type", 12, None),
    ("", "unreadable-expression", 0, None),
    ("@@", "unreadable-expression", 0, None),
    ("name.", "unreadable-expression", 5, None),
    ("name family", "unreadable-expression", 5, None),
    ("(name", "unreadable-expression", 5, None),
    ("name[0", "unreadable-expression", 6, None),
    ("'open", "unreadable-expression", 0, None),
    ("1 +", "unreadable-expression", 3, None),
    ("@2024-13-01", "unreadable-expression", 0, None),
    ("@2023-02-29", "unreadable-expression", 0, None),
    ("name.$this", "unreadable-expression", 5, None),
    ("a" + ".a" * 3, "unknown-element", 0, None),
    ("(" * 200 + "name" + ")" * 200, "unreadable-expression", 100, None),
]


@pytest.mark.parametrize(("expression", "code", "position", "suggestion"), REFUSED, ids=[case[0][:30] for case in REFUSED])
def test_refused_with_its_place(expression: str, code: str, position: int, suggestion: str | None) -> None:
    with pytest.raises(FhirPathError) as caught:
        compile_path(expression, shapes("r4"), "Patient")
    error = caught.value
    assert (error.code, error.position) == (code, position)
    if suggestion is not None:
        assert error.suggestion == suggestion
        assert f"did you mean {suggestion}?" in str(error)
    assert isinstance(error, InputError)
    assert [finding.code for finding in error.findings] == [code]


def test_versions_differ() -> None:
    compile_path("individual", shapes("r4"), "ResearchSubject")
    with pytest.raises(FhirPathError, match="ResearchSubject has no element individual"):
        compile_path("individual", shapes("r5"), "ResearchSubject")


@pytest.mark.parametrize(
    ("expression", "types", "many"),
    [
        ("id", ("id",), False),
        ("name", ("HumanName",), True),
        ("name.first()", ("HumanName",), False),
        ("name[0].given", ("string",), True),
        ("contact", ("Patient.contact",), True),
        ("deceased", ("boolean", "dateTime"), False),
        ("deceased.ofType(dateTime)", ("dateTime",), False),
        ("name.exists()", ("boolean",), False),
        ("name.count() + 1", ("integer",), False),
        ("name.count() / 2", ("decimal",), False),
        ("contained", ("Resource",), True),
        ("contained.ofType(Organization).name", ("string",), True),
        ("name.given | telecom.value", ("string",), True),
        ("link.other.getReferenceKey()", ("string",), True),
        ("iif(active, 'a', 1)", ("string", "integer"), False),
        ("children()", (), True),
    ],
)
def test_kinds(expression: str, types: tuple[str, ...], many: bool) -> None:
    assert check(parse(expression), shapes("r4"), "Patient").kind == Kind(types, many)


# HL7's own mistakes, and what needs a terminology server: everything else that the versions define compiles.
SEARCH_FAULTS = {
    "r4": set(),
    "r5": {("CareTeam", "date"), ("Observation", "component-value-canonical"), ("Observation", "value-canonical")},
}
INVARIANT_FAULTS = {
    "r4": {"cid-0", "ras-1"},
    "r5": {"eld-11", "exs-1", "nsd-3", "opd-3", "ras-1", "sdf-26"},
}


@pytest.mark.parametrize("version", ["r4", "r5"])
def test_every_search_parameter_compiles(version: str) -> None:
    known = shapes(version)
    failed = set()
    for resource_type in known.resource_types:
        for name, parameter in known.search_parameters(resource_type).items():
            try:
                compile_path(parameter.expression or "id", known, resource_type)
            except FhirPathError:
                failed.add((resource_type, name))
    assert failed == SEARCH_FAULTS[version]


@pytest.mark.parametrize("version", ["r4", "r5"])
def test_every_invariant_compiles(version: str) -> None:
    known = shapes(version)
    failed = set()
    for type_name in known.types:
        root = type_name.partition(".")[0]
        own = [(type_name, invariant) for invariant in known.invariants(type_name)]
        own += [(each, inv) for element in known.elements(type_name).values() for each in element.types for inv in element.invariants]
        for context, invariant in own:
            try:
                compile_path(invariant.expression, known, context, root=root)
            except FhirPathError:
                failed.add(invariant.key)
    assert failed == INVARIANT_FAULTS[version]


@given(st.text(alphabet="aname.()[]'$%@0123456789 +-*/|&<>=!~,{}`\\T:Zu", max_size=30))
def test_no_text_makes_the_parser_fail_otherwise(text: str) -> None:
    position = 0
    try:
        parse(text)
    except FhirPathError as error:
        position = error.position
    assert 0 <= position <= len(text)
