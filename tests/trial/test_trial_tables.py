"""Tables as an analyst reads them: study days, cycles, labels, joins and lineage, the same from both versions of FHIR."""

from dataclasses import replace
from decimal import Decimal
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pyarrow as pa
import pytest
from loop_runs import STUDY, VERSIONS

from fhir_trial.domain.entities import AdverseEvent, Dose, Entity, Lesion, Measurement, Medication, Patient, Response, Subject, When
from fhir_trial.domain.tables import TrialData, to_table
from fhir_trial.errors import Findings, UsageError
from fhir_trial.simulate import simulate, write_cohort
from fhir_trial.sources.sdtm.read import read_sdtm
from fhir_trial.sources.study_file import load_study
from fhir_trial.trial.resources import from_resources, to_resources
from fhir_trial.trial.tables import reference_days, table_names, trial_table


def data(*rows: Entity) -> TrialData:
    """Trial data of a few rows, each in its entity's table."""
    classes = {"adverse_event": AdverseEvent, "dose": Dose, "lesion": Lesion, "measurement": Measurement, "medication": Medication,
               "patient": Patient, "response": Response, "subject": Subject}  # fmt: skip
    tables = {name: to_table([row for row in rows if type(row) is kind], kind) for name, kind in classes.items()}
    return TrialData(load_study(STUDY), tables)


def subject(**facts: Any) -> Subject:
    return Subject(**({"study": STUDY, "subject": "S-1", "state": "on-treatment"} | facts))


def dose(sequence: int, start: str | None, cycle: int | None = None, **facts: Any) -> Dose:
    when = When(start) if start else None
    return Dose(**({"study": STUDY, "subject": "S-1", "sequence": sequence, "medication": "DRUG", "start": when, "cycle": cycle} | facts))


def event(sequence: int, start: str | None, end: str | None = None) -> AdverseEvent:
    return AdverseEvent(
        study=STUDY,
        subject="S-1",
        sequence=sequence,
        term="Rash",
        start=When(start) if start else None,
        end=When(end) if end else None,
        grade=3,
    )


DAYS = [
    ("2022-03-10", 1),
    ("2022-03-09", -1),
    ("2022-03-11", 2),
    ("2022-02-28", -10),
    ("2022-03-10T23:59", 1),
    ("2022-03-11T00:30:00+09:00", 2),  # the site's own day, whatever day it was elsewhere
    ("2022-03", None),
    ("2022", None),
    (None, None),
]


@pytest.mark.parametrize(("start", "day"), DAYS)
def test_there_is_no_day_0_and_a_partial_date_has_no_day(start: str | None, day: int | None) -> None:
    (row,) = trial_table(data(subject(first_dose_on=When("2022-03-10")), event(1, start)), "adverse_event").to_pylist()
    assert row["start_day"] == day
    assert row["start"] == start


REFERENCES: list[tuple[str, list[Entity], int | None]] = [
    ("the subject's own first dose", [subject(first_dose_on=When("2022-03-02")), dose(1, "2022-03-01")], 9),
    ("else the first dose given", [subject(), dose(2, "2022-03-09"), dose(1, "2022-03-02", status="not-done"), dose(3, "2022-03-05")], 6),
    ("else SDTM's reference start", [subject(enrolled_on=When("2022-03-01"), enrolled_source="RFSTDTC")], 10),
    ("an enrolment is no reference", [subject(enrolled_on=When("2022-03-01"), enrolled_source="ENROLLED")], None),
    ("a partial first dose is no reference", [subject(first_dose_on=When("2022-03"))], None),
    ("a subject that is nowhere", [], None),
]


@pytest.mark.parametrize(("rows", "day"), [case[1:] for case in REFERENCES], ids=[case[0] for case in REFERENCES])
def test_days_count_from(rows: list[Entity], day: int | None) -> None:
    (row,) = trial_table(data(*rows, event(1, "2022-03-10")), "adverse_event").to_pylist()
    assert row["start_day"] == day


def test_a_cycle_is_the_recorded_one_else_the_last_that_had_begun() -> None:
    doses = [dose(1, "2022-03-01", 1), dose(2, "2022-03-08", 1), dose(3, "2022-03-22", 2), dose(4, "2022-03-30"), dose(5, None)]
    held = data(*doses, event(1, "2022-02-28"), event(2, "2022-03-01"), event(3, "2022-03-21"), event(4, "2022-03-22"), event(5, "2022-05"))
    assert trial_table(held, "adverse_event")["cycle"].to_pylist() == [None, 1, 1, 2, None]
    assert trial_table(held, "dose")["cycle"].to_pylist() == [1, 1, 2, 2, None]


def test_the_longest_of_all_is_no_cycle_of_someone_else() -> None:
    other = dose(1, "2022-01-01", 7, subject="S-2")
    assert trial_table(data(other, event(1, "2022-03-01")), "adverse_event")["cycle"].to_pylist() == [None]


def test_labels_stand_beside_codes() -> None:
    response = Response(study=STUDY, subject="S-1", test="overall", evaluator="INVESTIGATOR", value="PR")
    (row,) = trial_table(data(response), "response").to_pylist()
    assert (row["value"], row["value_label"], row["test"], row["test_label"]) == ("PR", "Partial Response", "overall", "Overall Response")
    table = trial_table(data(event(1, None), response), "adverse_event")
    assert table.column_names.index("grade_label") == table.column_names.index("grade") + 1
    assert table["grade_label"].to_pylist() == ["Grade 3 Adverse Event"]
    unknown = replace_response(response, value="ODD")
    assert trial_table(data(unknown), "response")["value_label"].to_pylist() == [None]


def replace_response(response: Response, **facts: Any) -> Response:
    return Response(**({name: getattr(response, name) for name in response.__struct_fields__} | facts))


def test_what_a_reference_leads_to_is_joined_and_what_leads_nowhere_is_null() -> None:
    key = {"study": STUDY, "subject": "S-1", "evaluator": "INVESTIGATOR"}
    held = data(
        subject(),
        Patient(study=STUDY, subject="S-1", sex="F", death_date=When("2022-04-01")),
        Medication(study=STUDY, medication="DRUG", name="A drug"),
        dose(1, "2022-03-01"),
        dose(2, "2022-03-01", medication="OTHER"),
        Lesion(**key, lesion="T01", role="target", organ="LIVER", nodal=False),
        Lesion(**(key | {"evaluator": "READER"}), lesion="T02", role="target", organ="LUNG"),
        Measurement(**key, lesion="T01", role="target", longest_mm=Decimal(20)),
        Measurement(**key, lesion="T02", role="target", longest_mm=Decimal(20)),
    )
    assert trial_table(held, "dose")["medication_name"].to_pylist() == ["A drug", None]
    assert trial_table(held, "measurement")["organ"].to_pylist() == ["LIVER", None]
    (row,) = trial_table(held, "subject").to_pylist()
    assert (row["sex"], row["death_day"]) == ("F", 32)


@cache
def cohort() -> TrialData:
    with TemporaryDirectory() as folder:
        write_cohort(simulate(load_study(STUDY), n=4), Path(folder))
        return read_sdtm(Path(folder), load_study(STUDY))


@cache
def through(fhir: str) -> TrialData:
    """The synthetic cohort after a journey through FHIR."""
    trial, findings = cohort(), Findings()
    resources = to_resources(trial, fhir, findings)
    for number, resource in enumerate(resources):
        resource.setdefault("meta", {})["versionId"] = str(number)
    findings.raise_errors()
    return from_resources(resources, trial.study, fhir)


def rows(table: pa.Table) -> list[str]:
    return sorted(map(repr, table.to_pylist()))


@pytest.mark.parametrize("name", table_names())
def test_every_table_is_the_same_from_r4_and_r5(name: str) -> None:
    tables = [trial_table(through(fhir), name) for fhir in VERSIONS]
    assert tables[0].schema.equals(tables[1].schema)
    assert rows(tables[0]) == rows(tables[1])
    assert trial_table(data(), name).schema.equals(tables[0].schema)
    assert not any(pa.types.is_nested(field.type) for field in tables[0].schema)


def test_every_repeat_is_a_table_that_leads_to_its_row() -> None:
    held = through("r4")
    subjects = {row["subject"]: row for row in held.table("subject").to_pylist()}
    found = trial_table(held, "subject_dispositions").to_pylist()
    assert len(found) == sum(len(row["dispositions"]) for row in subjects.values()) > 4
    for row in found:
        item = subjects[row["subject"]]["dispositions"][row["item_index"]]
        assert {name: row[name] for name in item} == item


@pytest.mark.parametrize("fhir", VERSIONS)
def test_a_row_names_its_resource_and_version_in_whatever_order_the_rows_are(fhir: str) -> None:
    held = through(fhir)
    turned = replace(held, tables={name: table.take(list(reversed(range(table.num_rows)))) for name, table in held.tables.items()})
    for name in ("adverse_event", "measurement", "subject_dispositions"):
        table = trial_table(held, name, lineage=True)
        assert table.column_names[-2:] == ["resource", "version"]
        assert table["resource"].null_count == table["version"].null_count == 0
        assert rows(trial_table(turned, name, lineage=True)) == rows(table)
    types = {name: trial_table(held, name, lineage=True)["resource"][0].as_py().partition("/")[0] for name in ("dose", "lesion")}
    assert types == {"dose": "MedicationAdministration", "lesion": "BodyStructure"}


def test_two_resources_with_one_key_are_not_told_apart_and_data_from_sdtm_have_no_resource() -> None:
    held = through("r4")
    first = held.lineage["dose"].slice(0, 1)
    doubled = replace(held, lineage=dict(held.lineage) | {"dose": pa.concat_tables([held.lineage["dose"], first])})
    assert trial_table(doubled, "dose", lineage=True)["resource"].null_count == 1
    assert trial_table(data(dose(1, None)), "dose", lineage=True)["resource"].to_pylist() == [None]


def test_study_days_of_a_cohort_start_with_day_1_at_the_first_dose() -> None:
    held = through("r4")
    doses = trial_table(held, "dose").to_pandas()
    assert (doses.groupby("subject")["start_day"].min() == 1).all()
    assert set(reference_days(held)) == set(doses["subject"])
    assert 0 not in {day for name in ("measurement", "response", "adverse_event") for day in days_of(held, name)}


def days_of(held: TrialData, name: str) -> list[int]:
    table = trial_table(held, name)
    return [day for column in table.column_names if column.endswith("day") for day in table[column].to_pylist()]


def test_a_table_that_is_not_there_is_said() -> None:
    with pytest.raises(UsageError, match="no table 'doses'; there are organization"):
        trial_table(data(), "doses")
    with pytest.raises(UsageError, match="no table 'result'"):
        trial_table(data(), "result")
