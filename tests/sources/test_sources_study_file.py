import json

import pytest

from fhir_trial import data_files
from fhir_trial.data_files import data_dir
from fhir_trial.errors import ConfigurationError, InputError, UsageError
from fhir_trial.sources.study_file import known_studies, load_study
from fhir_trial.sources.study_schema import FILE_NAME, study_schema
from fhir_trial.sources.study_tables import study_tables

SMALL = """
id: X
title: A title
status: COMPLETED
sponsor: {id: s, name: Sponsor}
arms: [{name: A, medications: [DRUG]}]
drugs: [{medication: DRUG, name: Drug, planned: {dose: 1.50, unit: mg, route: ORAL, day: 1}}]
outcomes: [{title: O, level: primary, endpoint: PFS}]
endpoints: [{name: PFS, label: L, kind: time-to-event}]
"""


@pytest.fixture
def load(tmp_path):
    def go(text):
        path = tmp_path / "study.yaml"
        path.write_bytes(text if isinstance(text, bytes) else text.encode())
        return load_study(path)

    return go


def test_the_schema_beside_the_studies_is_that_of_the_classes():
    assert json.loads((data_dir("studies") / FILE_NAME).read_text(encoding="utf-8")) == study_schema()


def test_the_first_study_has_what_its_record_says():
    study = load_study("NCT05189483")
    assert [(d.medication, str(d.planned.dose), d.planned.unit) for d in study.drugs] == [
        ("NAB-PACLITAXEL", "300", "mg/m2"), ("CAMRELIZUMAB", "200", "mg"),
    ]  # fmt: skip
    assert {(d.planned.route, d.planned.minutes, d.planned.day, d.planned.cycle_days) for d in study.drugs} == {("INTRAVENOUS", 30, 1, 21)}
    assert [(o.level, o.endpoint) for o in study.outcomes] == [("primary", "PFS"), ("secondary", "ORR")]
    assert "within 63 days of last response assessment" in study.outcomes[0].description
    assert [(str(r.at), r.unit) for r in study.endpoint("PFS").rates] == [("4", "months")]
    assert (study.grading, study.sponsor.name, study.started_on) == ("CTCAE 4.03", "Henan Cancer Hospital", None)


def test_the_first_study_says_what_its_seed_says(shared):
    seed = (shared / "seed" / "NCT05189483.txt").read_text(encoding="utf-8")
    study = load_study("NCT05189483")
    for text in (study.title, study.condition, *(d.name for d in study.drugs), *(o.description for o in study.outcomes), study.description):
        assert text in seed
    assert all(o.time_frame in seed for o in study.outcomes)


def test_every_study_of_the_package_loads_and_gives_its_tables():
    assert known_studies() == ["CDISCPILOT01", "NCT05189483"]
    for name in known_studies():
        study = load_study(name)
        tables = study_tables(study)
        assert tables["study"].column("study").to_pylist() == [name]
        assert tables["medication"].num_rows == len(study.drugs)
        assert tables["study"].column("sponsor") == tables["organization"].column("organization")
        assert study.references


def test_decimals_stay_exact_and_numbers_become_numbers(load):
    planned = load(SMALL).drugs[0].planned
    assert (str(planned.dose), planned.day) == ("1.50", 1)


@pytest.mark.parametrize(
    ("change", "field", "expected"),
    [
        (("status: COMPLETED\n", ""), None, "the required status"),
        (("title: A title", "title: ''"), "title", "text"),
        (("title: A title", "titel: A title"), None, "no member titel"),
        (("dose: 1.50", "dose: much"), "drugs.0.planned.dose", "text like"),
        (("day: 1", "day: 1.5"), "drugs.0.planned.day", "text like"),
        (("[DRUG]", "[OTHER]"), "arms.0.medications", "one of DRUG"),
        (("endpoint: PFS", "endpoint: OS"), "outcomes.0.endpoint", "one of PFS"),
        (("arms: [", "arms: [{name: A}, "), "arms", "a name once"),
        (("id: X", "id: X\nsources: {time_zone: Mars/Base}"), "sources.time_zone", "an IANA time zone"),
        (("id: X", "id: X\nid: Y"), "line 2, column 1", "a key is repeated"),
        (("arms: [", "arms: ["), None, None),
        (("arms: [{", "arms: {{"), "line 6, column", "YAML in UTF-8 ("),
        (("id: X", "- X"), "line", "YAML in UTF-8 (expected"),
    ],
)  # fmt: skip
def test_a_bad_study_file_is_named_by_member(load, change, field, expected):
    if expected is None:
        load(SMALL.replace(*change))
        return
    with pytest.raises(InputError) as refused:
        load(SMALL.replace(*change))
    named = [(f.field or "", f.expected) for f in refused.value.findings if f.place == "study.yaml"]
    assert any(found.startswith(field or "") and expected in said for found, said in named)


def test_all_errors_of_a_study_file_are_reported_together(load):
    with pytest.raises(InputError) as refused:
        load(SMALL.replace("status: COMPLETED\n", "").replace("1.50", "x").replace("level: primary", "level: []"))
    assert {f.field for f in refused.value.findings} == {None, "drugs.0.planned.dose", "outcomes.0.level"}


@pytest.mark.parametrize("text", [b"id: \xff", b"", b"just text", b"[1, 2]", b"a: &a [*a]", b"[" * 60, b"id: \x00", b"? [a]\n: b"])
def test_no_study_file_gives_a_traceback(load, text):
    with pytest.raises(InputError):
        load(text)


def test_an_unknown_study_names_the_known_ones(tmp_path):
    with pytest.raises(UsageError, match="did you mean CDISCPILOT01"):
        load_study("CDISCPILOT")
    with pytest.raises(UsageError, match="no study file"):
        load_study(tmp_path / "none.yaml")


def test_the_wheels_copy_of_the_data_goes_before_a_strangers_folder(monkeypatch, tmp_path):
    monkeypatch.setattr(data_files, "_PACKAGE", tmp_path / "fhir_trial")
    (tmp_path / "studies").mkdir()
    assert data_dir("studies") == tmp_path / "studies"
    (tmp_path / "fhir_trial" / "_data" / "studies").mkdir(parents=True)
    assert data_dir("studies") == tmp_path / "fhir_trial" / "_data" / "studies"
    with pytest.raises(ConfigurationError, match="notebooks is missing"):
        data_dir("notebooks")
