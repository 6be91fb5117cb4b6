"""Resources of ours that came back damaged, doubled or of another study: rows, or findings that name the resource. Never a row twice."""

import copy
from decimal import Decimal

import pytest

from fhir_trial.domain.entities import AdverseEvent, Dose, Lesion, Measurement, Medication, Patient, Response, SeriousnessCriterion, Subject
from fhir_trial.mapping import load
from fhir_trial.sources.sdtm.write import write_sdtm
from fhir_trial.sources.study_file import load_study
from fhir_trial.trial.resources import from_resources

STUDY = load_study("NCT05189483")
WHO = {"study": STUDY.id, "subject": "S-1"}
ROWS = {
    "patient": Patient(**WHO, sex="F"),
    "subject": Subject(**WHO, state="on-treatment"),
    "dose": Dose(**WHO, sequence=1, medication="Paclitaxel", dose=Decimal("1.50"), unit="mg", start="2022-03-01"),
    "adverse_event": AdverseEvent(
        **WHO,
        sequence=1,
        term="Nausea",
        start="2022-03-02",
        serious=True,
        criteria=(SeriousnessCriterion(criterion="death", present=False),),
    ),
}
TYPES = {"patient": "Patient", "subject": "ResearchSubject", "dose": "MedicationAdministration", "adverse_event": "AdverseEvent"}


def resources(fhir="r4", **rows):
    return {name: load(fhir, STUDY)[name].to_fhir(row) for name, row in (ROWS | rows).items()}


def read(*given, fhir="r4"):
    data = from_resources(given, STUDY, fhir)
    told = {(f.code, f.place, f.severity) for f in data.findings if f.code != "element-not-read"}
    return {name: data.rows(name) for name in data.tables}, told


def put(resource, path, value):
    changed = copy.deepcopy(resource)
    *steps, last = path
    inner = changed
    for step in steps:
        inner = inner[step]
    inner[last] = value
    return changed


@pytest.mark.parametrize("fhir", ["r4", "r5"])
def test_resources_that_stand_twice_are_rows_once(fhir):
    once = resources(fhir)
    rows, told = read(*once.values(), *once.values(), fhir=fhir)
    assert {name: len(found) for name, found in rows.items()} == dict.fromkeys(ROWS, 1)
    assert rows["adverse_event"] == [ROWS["adverse_event"]]
    assert {(code, severity) for code, _, severity in told} == {("repeated-resource", "information")}
    assert len(told) == len(ROWS)


VERSIONS = [
    ("the newest of two versions", {"lastUpdated": "2024-01-01T00:00:00Z"}, {"lastUpdated": "2024-02-01T00:00:00+02:00"}, 2, "warning"),
    ("the newest stands first", {"lastUpdated": "2024-02-01T00:00:00Z"}, {"lastUpdated": "2024-01-01T00:00:00Z"}, 1, "warning"),
    ("no telling which is newer", {"lastUpdated": "2024-01-01T00:00:00"}, {"lastUpdated": 5}, 1, "error"),
    ("no meta", None, "x", 1, "error"),
]


@pytest.mark.parametrize(("first", "second", "read_one", "severity"), [case[1:] for case in VERSIONS], ids=[case[0] for case in VERSIONS])
def test_of_two_resources_of_one_id_the_newer_is_read_and_it_is_said(first, second, read_one, severity):
    dose = resources()["dose"]
    other = put(dose, ("dosage", "dose", "value"), Decimal("9.0"))
    rows, told = read(dose | {"meta": first}, other | {"meta": second})
    assert [row.dose for row in rows["dose"]] == [Decimal("1.5") if read_one == 1 else Decimal(9)]
    assert told == {("repeated-resource", f"MedicationAdministration/{dose['id']}", severity)}


@pytest.mark.parametrize(("value", "severity"), [("1.50", "warning"), ("9.0", "error")])
def test_one_key_under_two_ids_is_one_row(value, severity):
    dose = resources()["dose"]
    rows, told = read(dose, put(dose | {"id": "other"}, ("dosage", "dose", "value"), Decimal(value)))
    assert rows["dose"] == [ROWS["dose"]]
    assert told == {("repeated-key", "MedicationAdministration/other", severity)}


def test_resources_without_ids_keep_their_own_repeats():
    second = AdverseEvent(**WHO, sequence=2, term="Fever", criteria=(SeriousnessCriterion(criterion="other", present=True),))
    given = [resources()["adverse_event"], resources(adverse_event=second)["adverse_event"]]
    for resource in given:
        del resource["id"]
    assert read(*given) == ({"adverse_event": [ROWS["adverse_event"], second]}, set())


def test_the_rows_of_another_study_are_left_out_where_there_are_several():
    theirs = AdverseEvent(study="OTHER", subject="S-1", sequence=1, term="Cough")
    other = resources(adverse_event=theirs)["adverse_event"]
    rows, told = read(*resources().values(), other)
    assert rows["adverse_event"] == [ROWS["adverse_event"]]
    assert told == {("other-study", f"AdverseEvent/{other['id']}", "warning")}
    assert read(other)[0]["adverse_event"] == [theirs]


def bare(value):
    """Without the identifiers beside references, as some servers give resources back."""
    if isinstance(value, dict):
        return {name: bare(item) for name, item in value.items() if not (name == "identifier" and "reference" in value)}
    return [bare(item) for item in value] if isinstance(value, list) else value


@pytest.mark.parametrize("fhir", ["r4", "r5"])
def test_references_that_lost_their_identifiers_find_their_targets(fhir):
    drug = load(fhir, STUDY)["medication"].to_fhir(Medication(study=STUDY.id, medication="Paclitaxel", name="Paclitaxel"))
    given = [*resources(fhir).values(), drug]
    rows, told = read(*map(bare, given), fhir=fhir)
    assert (rows["dose"], rows["adverse_event"]) == ([ROWS["dose"]], [ROWS["adverse_event"]])
    assert {code for code, _, _ in told} == {"unknown-target"}  # the study is not at hand
    _, told = read(*map(bare, given[:-1]), fhir=fhir)
    dose = f"MedicationAdministration/{given[2]['id']}"
    assert told >= {("unknown-target", dose, "warning"), ("row-left-out", dose, "error")}


DAMAGED = [
    ("dose", ("status",), "entered-in-error", ("retracted", "warning"), {}),
    ("dose", ("dosage", "dose", "value"), Decimal("1e30"), ("not-exact", "error"), {"dose": None}),
    ("dose", ("dosage", "dose", "value"), Decimal("0." + "3" * 20), ("not-exact", "error"), {"dose": None}),
    ("dose", ("identifier", 0, "value"), "x", ("cannot-be-mapped", "error"), {}),
    ("dose", ("identifier", 0, "value"), "NCT05189483/S-1/99999999999999999999", ("cannot-be-mapped", "error"), {}),
    ("dose", ("identifier", 0, "value"), "NCT05189483/S-1/ 1_0", ("cannot-be-mapped", "error"), {}),
    ("dose", ("identifier", 0, "value"), 5, ("unexpected-shape", "error"), {}),
    ("patient", ("identifier", 0, "system"), ["https://fhir-trial.org/sid/patient"], None, {"sex": "F"}),
    ("adverse_event", ("date",), "2022-02-30", ("cannot-be-mapped", "error"), {"start": None}),
    ("adverse_event", ("subject", "identifier", "value"), "NCT05189483/S-2", ("cannot-be-mapped", "error"), {"subject": "S-1"}),
    ("adverse_event", ("date",), "٢٠٢٢-٠٣", ("cannot-be-mapped", "error"), {"start": None}),
    ("adverse_event", ("date",), "2022-03-01T10:00:00+99:00", ("cannot-be-mapped", "error"), {"start": None}),
    ("patient", ("identifier", 0, "value"), "/", ("row-left-out", "error"), {}),
    ("patient", ("meta",), "x", ("unexpected-shape", "error"), {}),
    ("patient", ("meta",), {"security": [None, "x", {"code": []}]}, None, {"sex": "F"}),
    ("patient", ("meta",), {"security": 5}, None, {"sex": "F"}),
]


@pytest.mark.parametrize(("entity", "path", "value", "finding", "fields"), DAMAGED)
def test_a_damaged_resource_is_a_row_or_a_finding_that_names_it(entity, path, value, finding, fields):
    damaged = put(resources()[entity], path, value)
    rows, told = read(damaged)
    named = {(code, place.partition("/")[0], severity) for code, place, severity in told}
    assert named >= ({(finding[0], TYPES[entity], finding[1])} if finding else set())
    assert all(place == f"{TYPES[entity]}/{damaged['id']}" for _, place, _ in told)
    found = rows.get(entity, [])
    assert len(found) == bool(fields)
    assert [{name: getattr(row, name) for name in fields} for row in found] == ([fields] if fields else [])


@pytest.mark.parametrize("levels", [99, 400, 900])
def test_a_resource_that_nests_deeper_than_anybody_records_is_named(levels):
    deep = {"resourceType": "Patient", "id": "deep", "gender": "male"}
    inner = deep
    for _ in range(levels):
        inner["extension"] = inner = {"url": "u"}
    rows, told = read(deep, {"resourceType": "Patient", "id": "p", "gender": "male"})
    assert ("too-deep", "Patient/deep", "error") in told if levels > 100 else "too-deep" not in {code for code, _, _ in told}
    assert [row.subject for row in rows["patient"]] == (["p"] if levels > 100 else ["deep", "p"])


FOREIGN = {"resourceType": "Observation", "id": "o", "status": "final", "subject": {"reference": "Patient/p"}}
WEIGHT = {"coding": [{"system": "http://loinc.org", "code": "29463-7"}]}
ECOG = {"coding": [{"system": "http://loinc.org", "code": "89247-1"}]}


@pytest.mark.parametrize(
    "measured",
    [
        {"code": WEIGHT, "valueQuantity": {"value": Decimal("8e26"), "unit": "kg", "code": "kg"}},
        {"code": WEIGHT, "valueQuantity": {"value": Decimal("1e999"), "unit": "kg", "code": "kg"}},
        {"code": ECOG, "valueInteger": 10**30},
    ],
)
def test_a_number_of_others_that_no_column_holds_is_named_and_the_rest_is_read(measured):
    rows, told = read({"resourceType": "Patient", "id": "p"}, FOREIGN | measured)
    assert {code for code, place, _ in told if place == "Observation/o"} & {"not-exact", "number-not-held"}
    assert [row.subject for row in rows["patient"]] == ["p"]
    assert not {"body_measure", "performance_status"} & {name for name, found in rows.items() if found}


@pytest.mark.parametrize("number", ["12345678901234567890.123456789012", "99999999999999999999999999", "0.000000000001", "-12.30", "100"])
def test_a_number_comes_back_from_a_table_to_its_last_digit(number):
    dose = Dose(**WHO, sequence=1, medication="x", dose=Decimal(number), unit="mg")
    rows, told = read(load("r4", STUDY)["dose"].to_fhir(dose))
    assert (rows["dose"], told) == ([dose], set())


def test_members_of_any_shape_are_no_error_of_the_program():
    event = resources(fhir="r5")["adverse_event"]
    for value in (5, "x", Decimal("1.5"), [None], [[]], {"coding": {}}):
        for name in ("category", "seriousness", "participant", "extension", "identifier"):
            load("r5", STUDY)["adverse_event"].matches(event | {name: value})
    status = {"url": "http://hl7.org/fhir/uv/ae-research-backport-ig/StructureDefinition/status", "valueCode": ["entered-in-error"]}
    _, told = read({"resourceType": "AdverseEvent", "id": "a", "actuality": "actual", "modifierExtension": [status]})
    assert ("row-left-out", "AdverseEvent/a", "error") not in told


READER = WHO | {"evaluator": "INVESTIGATOR", "visit": "WEEK 6"}
WORDS = {
    "lesion": Lesion(**READER, lesion="T01", role="target", relation="split", origin="T00"),
    "measurement": Measurement(**READER, lesion="T01", role="target", state="absent"),
}
WORD_PLACES = [
    ("lesion", ("extension", "lesion-role"), "the lesion is left out", None),
    ("lesion", ("extension", "lesion-relation"), "read as missing", "relation"),
    ("measurement", ("extension", "lesion-role"), "the measurement is left out", None),
    ("measurement", ("valueCodeableConcept",), "read as missing", "state"),
]


@pytest.mark.parametrize("fhir", ["r4", "r5"])
@pytest.mark.parametrize(("entity", "place", "effect", "field"), WORD_PLACES)
def test_a_word_that_the_trial_has_no_meaning_for_is_a_finding(entity, place, effect, field, fhir):
    resource = copy.deepcopy(load(fhir, STUDY)[entity].to_fhir(WORDS[entity]))
    if place[0] == "extension":
        next(e for e in resource["extension"] if e["url"].endswith(place[1]))["valueCode"] = "strange"
    else:
        resource["valueCodeableConcept"]["coding"][0]["code"] = "strange"
    data = from_resources([resource], STUDY, fhir)
    assert {("strange", f"{resource['resourceType']}/{resource['id']}")} <= {(f.found, f.place) for f in data.findings}
    assert effect in {f.effect for f in data.findings}
    assert [getattr(row, field) for row in data.rows(entity)] == [None] if field else data.rows(entity) == []


def test_what_no_term_of_sdtm_says_is_a_finding_and_the_rest_is_written(tmp_path):
    response = Response(**READER, test="immune", value="PR", on="2022-03-01")
    data = from_resources([load("r4", STUDY)["response"].to_fhir(response), *resources().values()], STUDY, "r4")
    write_sdtm(data, tmp_path)
    told = {(f.code, f.place, f.field, f.found) for f in data.findings}
    assert ("no-term", "rs: subject S-1", "RSTESTCD", "immune") in told
    assert (tmp_path / "ae.csv").is_file()
