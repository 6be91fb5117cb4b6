"""De-identified data: nothing that tells who it was, everything that the analysis needs."""

import json
import re
from collections.abc import Iterator
from datetime import date
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from loop_runs import STUDY, small_cohort

from fhir_trial.cli.main import run
from fhir_trial.domain import entities
from fhir_trial.domain.entities import ENTITIES, RESULT_ENTITIES, AdverseEvent, Patient, Subject, When
from fhir_trial.domain.tables import TrialData, to_table
from fhir_trial.endpoints.analyse import analyse
from fhir_trial.endpoints.conventions import for_study
from fhir_trial.errors import UsageError
from fhir_trial.privacy.deidentify import _kinds, deidentify
from fhir_trial.privacy.pseudonyms import Pseudonyms
from fhir_trial.privacy.screening import text_rules
from fhir_trial.sources.sdtm import read_sdtm
from fhir_trial.sources.study_file import load_study

KEY = b"a key for the tests of privacy"
FULL_DATE = re.compile(r"\d{4}-\d{2}-\d{2}")


@pytest.fixture(scope="module")
def sdtm(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return small_cohort(tmp_path_factory.mktemp("cohort") / "sdtm")


@pytest.fixture(scope="module")
def data(sdtm: Path) -> TrialData:
    return read_sdtm(sdtm, load_study(STUDY))


def trial(**rows: list[Any]) -> TrialData:
    tables = {name: to_table(found, ENTITIES[name]) for name, found in rows.items()}
    return TrialData(load_study(STUDY), tables)


def text_of(data: TrialData) -> Iterator[str]:
    """All text in the rows of subjects."""
    for entity, table in data.tables.items():
        if "subject" in ENTITIES[entity].__struct_fields__:
            yield from (str(row) for row in table.to_pylist())


def test_no_subject_no_date_and_no_free_text_is_left(data: TrialData) -> None:
    made, _ = deidentify(data, Pseudonyms(KEY))
    before, after = "\n".join(text_of(data)), "\n".join(text_of(made))
    subjects = {row.subject for row in data.rows("subject")}
    assert not [subject for subject in subjects if subject in after]
    person = {row.subject: set(FULL_DATE.findall("".join(t for t in text_of(data) if row.subject in t))) for row in data.rows("subject")}
    pseudonyms = Pseudonyms(KEY)
    for subject, dates in person.items():
        mine = "".join(t for t in text_of(made) if pseudonyms.of("subject", subject) in t)
        assert mine
        unmoved = {day for day in FULL_DATE.findall(mine)} & dates
        assert len(unmoved) < len(dates) / 2, "a date may fall on another by chance, not most of them"
    terms = {d.term for row in data.rows("subject") for d in row.dispositions if d.term}
    assert terms
    assert all(f"'term': '{term}'" in before for term in terms)
    assert not [term for term in terms if f"'term': '{term}'" in after]


def test_every_duration_stays(data: TrialData) -> None:
    made, _ = deidentify(data, Pseudonyms(KEY))
    pseudonyms = Pseudonyms(KEY)
    for before, after in zip(data.rows("adverse_event"), made.rows("adverse_event"), strict=True):
        assert after.subject == pseudonyms.of("subject", before.subject)
        moved = (date.fromisoformat(before.start[:10]) - date.fromisoformat(after.start[:10])).days
        assert moved == pseudonyms.days(before.subject, 365)
        if before.end:
            assert (date.fromisoformat(before.end[:10]) - date.fromisoformat(after.end[:10])).days == moved


def test_the_key_links_and_nothing_else_does(data: TrialData) -> None:
    def subjects(pseudonyms: Pseudonyms) -> set[str]:
        return {row.subject for row in deidentify(data, pseudonyms)[0].rows("subject")}

    assert subjects(Pseudonyms(KEY)) == subjects(Pseudonyms(KEY))
    assert not subjects(Pseudonyms(KEY)) & subjects(Pseudonyms(KEY + b"2"))
    assert not subjects(Pseudonyms.of_nobody()) & subjects(Pseudonyms.of_nobody())


def test_ages_over_89_are_one() -> None:
    ages = [("S-001", "89"), ("S-002", "90"), ("S-003", "101")]
    people = [Patient(study=STUDY, subject=name, birth_date=When(str(2023 - int(age)))) for name, age in ages]
    subjects = [
        Subject(study=STUDY, subject=n, state="enrolled", age=Decimal(a), age_unit="YEARS", ended_on=When("2023-05-01")) for n, a in ages
    ]
    made, report = deidentify(trial(patient=people, subject=subjects), Pseudonyms(KEY))
    assert [row.age for row in made.rows("subject")] == [89, 90, 90]
    assert [row.birth_date is None for row in made.rows("patient")] == [False, True, True]
    assert report.deeds["Subject", "age", "over 89"] == 2


def test_a_birth_alone_tells_an_age_over_89() -> None:
    people = [Patient(study=STUDY, subject="S-001", birth_date=When("1920-02-03"))]
    subjects = [Subject(study=STUDY, subject="S-001", state="enrolled", enrolled_on=When("2023-05-01"))]
    made, _ = deidentify(trial(patient=people, subject=subjects), Pseudonyms(KEY))
    assert made.rows("patient")[0].birth_date is None


def test_of_a_birth_the_year_is_left() -> None:
    people = [Patient(study=STUDY, subject="S-001", birth_date=When("1970-06-15"))]
    made, _ = deidentify(trial(patient=people, subject=[Subject(study=STUDY, subject="S-001", state="enrolled")]), Pseudonyms(KEY))
    assert made.rows("patient")[0].birth_date in ("1969", "1970")


@pytest.mark.parametrize(
    ("term", "preferred", "expected"),
    [
        ("fell on her way to Mrs Miller", "Fall", "Fall"),
        ("fell", None, "withheld"),
        ("fell", "Fall on 2023-02-01", "withheld"),
    ],
)
def test_a_verbatim_term_goes_and_the_coded_one_stands_in(term: str, preferred: str | None, expected: str) -> None:
    event = AdverseEvent(study=STUDY, subject="S-001", sequence=1, term=term, preferred_term=preferred)
    made, _ = deidentify(trial(adverse_event=[event]), Pseudonyms(KEY))
    assert made.rows("adverse_event")[0].term == expected


def test_a_free_text_is_let_through_by_name_alone() -> None:
    data = trial(adverse_event=[AdverseEvent(study=STUDY, subject="S-001", sequence=1, term="Nausea")])
    made, report = deidentify(data, Pseudonyms(KEY), keep_text=["adverse_event.term"])
    assert made.rows("adverse_event")[0].term == "Nausea"
    assert report.to_json()["free text kept on request"] == ["AdverseEvent.term"]
    with pytest.raises(UsageError, match=r"adverse_event\.nonsense"):
        deidentify(data, Pseudonyms(KEY), keep_text=["adverse_event.nonsense"])


def test_a_coded_text_that_tells_something_is_withheld() -> None:
    names = ("Week 6", "Unscheduled 2023-02-04", "S-001 extra")
    subjects = [Subject(study=STUDY, subject="S-001", state="enrolled", arm_planned=name) for name in names]
    made, report = deidentify(trial(subject=subjects), Pseudonyms(KEY))
    arms = [row.arm_planned for row in made.rows("subject")]
    assert arms[0] == "Week 6"
    assert all(arm.startswith("withheld ") for arm in arms[1:])
    assert len(set(arms)) == 3, "what was different stays different"
    assert report.deeds["Subject", "arm_planned", "telling, under a pseudonym"] == 2


def test_every_text_that_a_row_cannot_be_without_has_a_rule() -> None:
    """A text field without a default that no rule names would leave a hole in its row."""
    about = [each for name, each in ENTITIES.items() if "subject" in each.__struct_fields__ and name not in RESULT_ENTITIES]
    for entity in about:
        rules = text_rules()[entity.__name__]
        named = rules.keep | rules.pseudonym | set(rules.instead)
        needed = entity.__struct_fields__[: len(entity.__struct_fields__) - len(entity.__struct_defaults__)]
        missing = [name for name in needed if _kinds(entity)[name] == "text" and name not in named | {"study"}]
        assert missing == [], entity.__name__


def test_the_rules_name_fields_that_there_are() -> None:
    classes = {each.__name__: each for each in _all_classes()}
    for name, rules in text_rules().items():
        fields = set(classes[name].__struct_fields__)
        assert rules.keep | rules.pseudonym | set(rules.instead) | set(rules.instead.values()) <= fields, name
        assert not rules.keep & rules.pseudonym


def _all_classes() -> Iterator[type]:
    yield from (getattr(entities, name) for name in entities.__all__ if isinstance(getattr(entities, name), type))


def test_the_analysis_says_the_same(data: TrialData) -> None:
    conventions = for_study(data.study, None, {"data_cutoff": "2099-01-01"})
    columns = ["parameter", "days", "censored", "reason"]
    figures = []
    for each in (data, deidentify(data, Pseudonyms(KEY))[0]):
        rows = analyse(each, conventions).adtte
        figures.append(sorted(map(tuple, rows[columns].astype(str).to_numpy().tolist())))
    assert figures[0]
    assert figures[0] == figures[1]


@pytest.mark.parametrize("form", ["sdtm", "fhir"])
def test_the_command_writes_the_form_it_read(sdtm: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], form: str) -> None:
    key = tmp_path / "key"
    key.write_text(KEY.decode().replace(" ", "-"), "utf-8")
    key.chmod(0o600)
    source = sdtm
    if form == "fhir":
        source = tmp_path / "f"
        assert run(["to-fhir", str(sdtm), "--study", STUDY, "--out", str(source)]) == 0
    assert run(["deidentify", str(source), "--study", STUDY, "--out", str(tmp_path / "d"), "--key", f"file:{key}"]) == 0
    written = {path.name: path.read_text("utf-8") for path in (tmp_path / "d").glob("[!.]*.*")}
    assert ("dm.csv" if form == "sdtm" else "Patient.ndjson") in written
    assert [name for name, content in written.items() if "SYN-0" in content] == []
    assert json.loads(written["deidentification.json"])["fields"]["AdverseEvent.term"]
    assert run(["audit", "verify", str(tmp_path / "d")]) == 0
    if form == "fhir":
        assert json.loads(written["manifest.json"])["study"] == STUDY
        assert Pseudonyms(key.read_bytes()).of("subject", "SYN-001") in written["Patient.ndjson"]
    capsys.readouterr()


def test_a_folder_with_something_in_it_is_refused(sdtm: Path, tmp_path: Path) -> None:
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "dm.csv").write_text("USUBJID\n", "utf-8")
    assert run(["deidentify", str(sdtm), "--study", STUDY, "--out", str(tmp_path / "out")]) == 2
