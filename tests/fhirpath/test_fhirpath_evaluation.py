"""Expressions and what they find, as a table over one patient and one observation."""

from decimal import Decimal
from typing import Any

import pytest

from fhir_trial.fhir.json import decode
from fhir_trial.fhir.shapes import shapes
from fhir_trial.fhirpath import FhirPathError, compile_path

R4 = shapes("r4")
PATIENT = decode(
    b"""{"resourceType": "Patient", "id": "p1", "active": true, "birthDate": "1950-02-03", "multipleBirthInteger": 2,
    "_birthDate": {"extension": [{"url": "http://e.org/time", "valueDateTime": "1950-02-03T04:05:06Z"}]},
    "_gender": {"extension": [{"url": "http://e.org/why", "valueCode": "asked-declined"}]},
    "contained": [{"resourceType": "Organization", "id": "o1", "name": "Inner"},
                  {"resourceType": "Practitioner", "id": "d1"}],
    "managingOrganization": {"reference": "#o1"}, "generalPractitioner": [{"reference": "Practitioner/d2"}, {"reference": "#d1"}],
    "name": [{"use": "official", "family": "Doe", "given": ["Ann", "Bea"]},
             {"use": "usual", "given": [null, "Cleo"],
              "_given": [{"extension": [{"url": "http://e.org/why", "valueCode": "masked"}]}, null]}],
    "telecom": [{"system": "phone", "value": "1", "rank": 2}, {"system": "email", "value": "a@b.org", "rank": 1}]}"""
)
OBSERVATION = decode(
    b"""{"resourceType": "Observation", "id": "o1", "status": "final", "subject": {"reference": "Patient/p1"},
    "effectiveDateTime": "2024-03-01T10:00:00+01:00", "code": {"coding": [{"system": "http://loinc.org", "code": "1-8"}]},
    "valueQuantity": {"value": 1.50, "unit": "mm", "system": "http://unitsofmeasure.org", "code": "mm"},
    "component": [{"code": {"text": "x"}, "valueQuantity": {"value": 2, "code": "mm"}}, {"code": {"text": "y"}, "valueString": "two"}]}"""
)

PATIENT_CASES: list[tuple[str, list[Any]]] = [
    # members, primitives with extensions, indexes
    ("name.given", ["Ann", "Bea", "Cleo"]),
    ("name.given.count()", [4]),
    ("name[1].given[0].hasValue()", [False]),
    ("name[1].given[0].extension('http://e.org/why').value", ["masked"]),
    ("birthDate.extension.value.ofType(dateTime)", ["1950-02-03T04:05:06Z"]),
    ("birthDate.extension('http://e.org/none').value", []),
    ("gender.exists()", [True]),
    ("gender", []),
    ("gender.hasExtension('http://e.org/why')", [True]),
    ("Patient.name[0].family", ["Doe"]),
    ("Observation.status", []),
    ("Resource.id", ["p1"]),
    ("name[7].family", []),
    ("`name`.first().`use`", ["official"]),
    # choices
    ("multipleBirth", [2]),
    ("multipleBirth is integer", [True]),
    ("multipleBirth as boolean", []),
    ("multipleBirth.ofType(integer) + 1", [3]),
    ("deceased.exists()", [False]),
    ("birthDate.extension.value.ofType(string)", []),
    ("gender.extension.value.ofType(string)", []),  # valueCode is no valueString, though a code is a string
    ("gender.extension.value.ofType(code)", ["asked-declined"]),
    ("gender.extension.value is string", [True]),
    # filters and iteration
    ("name.where(use = 'usual').given.last()", ["Cleo"]),
    ("name.select(given.count())", [2, 2]),
    ("name.all(use.exists())", [True]),
    ("telecom.where($index = 1).value", ["a@b.org"]),
    ("telecom.rank.aggregate($this + $total, 0)", [3]),
    ("telecom.select(iif(system = 'phone', 'tel:' + value, value))", ["tel:1", "a@b.org"]),
    ("telecom.skip(1).take(1).rank", [1]),
    ("telecom.tail().count()", [1]),
    ("name.repeat(period).count()", [0]),
    # sets
    ("telecom.system | telecom.system", ["phone", "email"]),
    ("telecom.system.combine('phone').isDistinct()", [False]),
    ("telecom.system.intersect('phone' | 'fax')", ["phone"]),
    ("telecom.system.exclude('phone')", ["email"]),
    ("'phone' in telecom.system", [True]),
    ("telecom.system contains 'fax'", [False]),
    ("telecom.system.subsetOf('phone' | 'email' | 'fax')", [True]),
    ("(1 | 2 | 2).count()", [2]),
    # logic, three-valued
    ("active and {}", []),
    ("active.not() and {}", [False]),
    ("active or {}", [True]),
    ("{} implies active", [True]),
    ("active xor true", [False]),
    ("{} = {}", []),
    ("{}.empty()", [True]),
    ("active = true implies name.exists()", [True]),
    # comparison, arithmetic
    ("1 + 2 * 3 = 7 and -2.abs() = 2", [False]),  # the sign binds less than the dot
    ("(-2).abs()", [2]),
    ("7 div 2", [3]),
    ("-7 div 2", [-3]),
    ("7 mod 3", [1]),
    ("1 / 0", []),
    ("5.5.floor() + 5.5.ceiling()", [11]),
    ("1.587.round(2)", [Decimal("1.59")]),
    ("2.power(3)", [Decimal(8)]),
    ("0.1 + 0.2 = 0.3", [True]),
    ("'a' & {} & 'b'", ["ab"]),
    ("'a' < 'b'", [True]),
    ("1.0 = 1", [True]),
    ("1.0 ~ 1", [True]),
    ("'Ä  B' ~ 'ä b'", [True]),
    ("(1 | 2) = (1 | 2)", [True]),
    ("(1 | 2) != (2 | 1)", [True]),
    # dates and times
    ("birthDate < @1950-02-04", [True]),
    ("birthDate = @1950-02", []),
    ("birthDate > @1950", []),
    ("birthDate + 1 month", ["1950-03-03"]),
    ("birthDate - 3 days", ["1950-01-31"]),
    ("@2024-01-01T10:00:00Z = @2024-01-01T11:00:00+01:00", [True]),
    ("@T10:30 < @T11:00", [True]),
    ("birthDate.lowBoundary()", ["1950-02-03"]),
    ("@2024.highBoundary(6)", ["2024-12"]),
    ("1.5.lowBoundary()", [Decimal("1.45")]),
    ("1.587.highBoundary(2)", [Decimal("1.59")]),
    # quantities: compared in one unit, never converted
    ("4 'mg' > 3 'mg'", [True]),
    ("4 'mg' = 4 'g'", []),
    ("7 days = 1 week", []),
    ("3 days = 3 'd'", [True]),
    # text
    ("name[0].given.join('-')", ["Ann-Bea"]),
    ("name[0].family.matches('^D.e$')", [True]),
    ("name[0].family.replaceMatches('(o)(e)', '$2$1')", ["Deo"]),
    ("name[0].family.replace('D', 'R').upper().length()", [3]),
    ("name[0].family.substring(1, 1)", ["o"]),
    ("name[0].family.substring(9)", []),
    ("name[0].family.startsWith('D') and name[0].family.endsWith('e') and name[0].family.contains('o')", [True]),
    ("name[0].family.indexOf('e')", [2]),
    ("'a,b'.split(',')", ["a", "b"]),
    ("' x '.trim()", ["x"]),
    ("'ab'.toChars()", ["a", "b"]),
    ("'ü'.encode('base64').decode('base64')", ["ü"]),
    (r"'it\'s \u00e4'", ["it's ä"]),
    # conversions
    ("'5'.toInteger() + 1", [6]),
    ("'x'.toInteger()", []),
    ("1.50.toString()", ["1.50"]),
    ("'1.50'.toDecimal()", [Decimal("1.50")]),
    ("'yes'.toBoolean()", [True]),
    ("'2024-05'.toDate()", ["2024-05"]),
    ("'5 days'.toQuantity() = 5 days", [True]),
    ("'5'.convertsToInteger() and 'x'.convertsToInteger().not()", [True]),
    # types, references, contained resources
    ("managingOrganization.resolve().name", ["Inner"]),
    ("managingOrganization.where(resolve() is Organization).exists()", [True]),
    ("generalPractitioner.where(resolve() is Practitioner).count()", [2]),
    ("generalPractitioner.where(resolve() is Organization).count()", [0]),
    ("generalPractitioner.resolve().id", ["d1"]),
    ("generalPractitioner.getReferenceKey(Practitioner)", ["d2"]),
    ("contained.where($this is Organization).name", ["Inner"]),
    ("contained.ofType(Organization).name", ["Inner"]),
    ("children().count()", [14]),
    ("descendants().where($this is Extension).count()", [3]),
    ("descendants().as(code)", ["official", "usual", "phone", "email", "asked-declined", "masked"]),
    ("%resource.id = %context.id", [True]),
    ("%ucum", ["http://unitsofmeasure.org"]),
    ("name.trace('x').family /* a comment */ // and another", ["Doe"]),
]

OBSERVATION_CASES: list[tuple[str, list[Any]]] = [
    ("value.ofType(Quantity).value", [Decimal("1.50")]),
    ("(value as Quantity).unit", ["mm"]),
    ("value is Quantity", [True]),
    ("value is string", [False]),
    ("value.where($this is Quantity).unit", ["mm"]),
    ("component.value.ofType(string)", ["two"]),
    ("component.value.ofType(Quantity).value.sum()", [2]),
    ("component.where(value is string).code.text", ["y"]),
    ("value.ofType(Quantity) < 2 'mm'", [True]),
    ("effective.ofType(dateTime) > @2024-03-01T08:59:59Z", [True]),
    ("effective.ofType(dateTime).highBoundary()", ["2024-03-01T10:00:00.999+01:00"]),
    ("subject.getReferenceKey()", ["p1"]),
    ("subject.getReferenceKey(Group)", []),
    ("subject.where(resolve() is Patient).reference", ["Patient/p1"]),
    ("code.coding.exists(system = 'http://loinc.org' and code = '1-8')", [True]),
    ("Observation.value.as(Quantity).value | Observation.component.value.as(Quantity).value", [Decimal("1.50"), 2]),
    ("dataAbsentReason.exists() implies value.empty()", [True]),
    ("value.ofType(Quantity).value * 2 = 3", [True]),
]


@pytest.mark.parametrize(("expression", "expected"), PATIENT_CASES)
def test_on_a_patient(expression: str, expected: list[Any]) -> None:
    found = compile_path(expression, R4, "Patient")(PATIENT)
    assert found == expected
    assert [type(value) for value in found] == [type(value) for value in expected] or "sum" in expression


@pytest.mark.parametrize(("expression", "expected"), OBSERVATION_CASES)
def test_on_an_observation(expression: str, expected: list[Any]) -> None:
    assert compile_path(expression, R4, "Observation")(OBSERVATION) == expected


def test_a_part_of_a_resource_sees_the_whole_as_resource() -> None:
    path = compile_path("given.count() + %resource.telecom.count()", R4, "HumanName", root="Patient")
    assert path(PATIENT["name"][0], resource=PATIENT) == [4]


def test_variables_are_given_with_each_call() -> None:
    from fhir_trial.fhirpath import Kind

    path = compile_path("name.where(use = %wanted).family", R4, "Patient", {"wanted": Kind(("code",))})
    assert path(PATIENT, variables={"wanted": ["official"]}) == ["Doe"]
    assert path(PATIENT, variables={"wanted": ["usual"]}) == []


@pytest.mark.parametrize(
    ("expression", "problem"),
    [
        ("name.single()", "one item expected, 2 found"),
        ("name.given + 'x'", "one item expected, 4 found"),
        ("name.given.matches('[')", "one item expected, 4 found"),
        ("id.matches('[')", "not a regular expression"),
        ("telecom.rank.join()", "texts expected"),
    ],
)
def test_what_the_data_makes_unanswerable_is_named_without_values(expression: str, problem: str) -> None:
    path = compile_path(expression, R4, "Patient")
    with pytest.raises(FhirPathError, match=problem) as caught:
        path(PATIENT)
    assert "Ann" not in str(caught.value)


def test_members_of_scalars_are_never_python_attributes() -> None:
    assert compile_path("contained.name.replace", R4, "Patient")(PATIENT) == []


def test_a_list_where_one_is_expected_and_the_reverse_are_read_all_the_same() -> None:
    family = compile_path("name.family", R4, "Patient")
    assert family({"resourceType": "Patient", "name": {"family": "A"}}) == ["A"]
    assert family({"resourceType": "Patient", "name": [None, {"family": ["A", "B"]}]}) == ["A", "B"]


def test_a_boolean_is_no_number_where_only_the_data_tells() -> None:
    resource = {"resourceType": "Patient", "contained": [{"resourceType": "Basic", "flag": True}]}
    assert compile_path("contained.flag = 1", R4, "Patient")(resource) == [False]
    assert compile_path("contained.flag = true", R4, "Patient")(resource) == [True]
