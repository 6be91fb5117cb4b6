"""ODM-XML: a real snapshot with its counts, transactions, and what is refused."""

import random
import shutil
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fhir_trial.cli.main import run
from fhir_trial.errors import InputError, UsageError
from fhir_trial.sources import odm, safe_xml
from fhir_trial.sources.odm import read_odm
from fhir_trial.sources.odm_rows import read_odm_data
from fhir_trial.sources.study_file import load_study
from fhir_trial.sources.study_import import import_study

REAL = Path(__file__).parents[1] / "data" / "odm"
SNAPSHOT = REAL / "odm-data-snapshot.xml"
STUDY = """
id: VIRUS
title: virus
status: UNKNOWN
sponsor: {id: s, name: S}
arms: []
drugs: []
outcomes: []
endpoints: []
"""


@pytest.fixture
def study(tmp_path):
    """A study with its own tables in the folder beside its file."""
    (tmp_path / "virus.yaml").write_text(STUDY)
    (tmp_path / "virus").mkdir()
    shutil.copy(REAL / "odm-items.csv", tmp_path / "virus")
    (tmp_path / "virus" / "sex.csv").write_text("SEX,to\nMale,M\nFemale,F\n")
    return load_study(tmp_path / "virus.yaml")


def test_a_snapshot_of_a_data_capture_system_has_its_counts(study):
    items = read_odm(SNAPSHOT).items()
    assert (len(items), len({i.subject for i in items}), len({i.item for i in items})) == (165, 2, 52)
    data = read_odm_data(SNAPSHOT, study)
    assert len(data.rows("subject")) == 2
    assert data.rows("patient")[0].sex == "M"
    assert len(data.rows("therapy")) == 1
    grades = [e.grade for e in data.rows("adverse_event")]
    assert grades.count(2) == SNAPSHOT.read_text(encoding="utf-8").count('"IT.AETOXGR" Value="2"')
    assert {f.field for f in data.findings if f.code == "unknown-code"} == {"AETOXGR"}


def test_what_the_table_of_items_lacks_is_listed_and_counted(study):
    unmapped = next(f for f in read_odm_data(SNAPSHOT, study).findings if f.code == "unmapped-items")
    mapped = {line.partition(",")[0] for line in (REAL / "odm-items.csv").read_text().splitlines()[1:]}
    left = [i.item for i in read_odm(SNAPSHOT).items() if i.item not in mapped]
    assert sum(int(part.split()[0]) for part in unmapped.found.split(", ")) == len(left)
    assert {part.split()[-1] for part in unmapped.found.split(", ")} == set(left)


def test_its_metadata_become_a_definition_without_what_odm_does_not_state():
    imported = import_study(SNAPSHOT)
    assert {name: imported.members[name] for name in ("id", "title", "status", "arms")} == {
        "id": "1001_virus", "title": "virus", "status": "UNKNOWN", "arms": [],
    }  # fmt: skip
    assert [(f.code, f.field) for f in imported.findings.errors()] == [("missing-fact", "sponsor")]
    listed = {f.field: f.found for f in imported.findings if f.code == "not-carried"}
    assert listed["ItemDef"] == f"{SNAPSHOT.read_text(encoding='utf-8').count('<ItemDef ')} values"


def test_a_blank_identifier_is_a_missing_one(tmp_path):
    (tmp_path / "blank.xml").write_text(f'<ODM xmlns="{odm.NAMESPACE}"><Study OID=" "/></ODM>')
    missing = [f.field for f in import_study(tmp_path / "blank.xml").findings if f.code == "missing-fact"]
    assert missing == ["id", "title", "sponsor"]


def test_odm_in_utf_16_is_read(tmp_path):
    text = SNAPSHOT.read_text(encoding="utf-8").replace('encoding="UTF-8"', 'encoding="UTF-16"').replace("utf-8", "utf-16")
    (tmp_path / "wide.xml").write_bytes(text.encode("utf-16"))
    assert import_study(tmp_path / "wide.xml").members["id"] == import_study(SNAPSHOT).members["id"]


def test_the_commands_read_odm(tmp_path, study, capsys):
    assert run(["to-fhir", str(SNAPSHOT), "--study", str(tmp_path / "virus.yaml"), "--out", str(tmp_path / "fhir")]) == 1
    assert (tmp_path / "fhir" / "Patient.ndjson").read_bytes().count(b"\n") == 2
    assert run(["study", "import", str(SNAPSHOT), "--out", str(tmp_path / "s.yaml")]) == 1
    assert "missing fact" in capsys.readouterr().err


def test_a_study_without_a_table_of_items_is_told_so(small_study):
    with pytest.raises(UsageError, match=r"odm-items\.csv"):
        read_odm_data(SNAPSHOT, small_study)


def document(events, attributes=""):
    head = f'<ODM xmlns="{odm.NAMESPACE}" ODMVersion="1.3.2" {attributes}><ClinicalData StudyOID="S" MetaDataVersionOID="1">'
    return head + "".join(events) + "</ClinicalData></ODM>"


def event(key, owner, oid, value, **types):
    """One value; `types` gives the TransactionType of a level."""
    kind = {
        level: f' TransactionType="{types[level]}"' if level in types else "" for level in ("subject", "event", "form", "group", "item")
    }
    return (
        f'<SubjectData SubjectKey="{key}"{kind["subject"]}><StudyEventData StudyEventOID="E"{kind["event"]}>'
        f'<FormData FormOID="F"{kind["form"]}><ItemGroupData ItemGroupOID="{owner}"{kind["group"]}>'
        f'<ItemData ItemOID="{oid}" Value="{value}"{kind["item"]}/></ItemGroupData></FormData></StudyEventData></SubjectData>'
    )


def values(tmp_path, *events):
    path = tmp_path / "t.xml"
    path.write_text(document(events), encoding="utf-8")
    return {(i.subject, i.group, i.item): i.value for i in read_odm(path).items()}


def test_later_transactions_change_and_remove_earlier_values(tmp_path):
    first = [event("1", "G", "A", "x"), event("1", "G", "B", "y"), event("1", "H", "A", "z"), event("2", "G", "A", "w")]
    assert values(tmp_path, *first, event("1", "G", "A", "new", item="Update"))["1", "G", "A"] == "new"
    assert ("1", "G", "A") not in values(tmp_path, *first, event("1", "G", "A", "", item="Remove"))
    assert set(values(tmp_path, *first, event("1", "G", "A", "", group="Remove"))) == {("1", "H", "A"), ("2", "G", "A")}
    assert set(values(tmp_path, *first, '<SubjectData SubjectKey="1" TransactionType="Remove"/>')) == {("2", "G", "A")}


def test_typed_and_null_values_and_units_are_read(tmp_path):
    text = event("1", "G", "A", "x").replace('<ItemData ItemOID="A" Value="x"/>', '<ItemDataInteger ItemOID="A">7</ItemDataInteger>')
    null = event("1", "G", "B", "").replace('Value=""', 'IsNull="Yes"')
    assert values(tmp_path, text, null) == {("1", "G", "A"): "7"}


BOMB = '<?xml version="1.0"?><!DOCTYPE a [<!ENTITY x "xx"><!ENTITY y "&x;&x;">]><ODM>&y;</ODM>'
REFUSED = {
    "entities": (BOMB.encode(), "dtd-refused"),
    "entities in UTF-16": (BOMB.replace('version="1.0"', 'version="1.0" encoding="UTF-16"').encode("utf-16"), "dtd-refused"),
    "an external DTD": (b'<!DOCTYPE ODM SYSTEM "file:///etc/passwd"><ODM/>', "dtd-refused"),
    "no XML": (b"<ODM", "not-xml"),
    "nothing": (b"", "not-xml"),
    "another document": (b"<html/>", "not-odm"),
    "ODM without its namespace": (b"<ODM/>", "not-odm"),
    "levels without end": (b"<a>" * 100_000, "not-xml"),
}


@pytest.mark.parametrize("case", REFUSED)
def test_what_is_no_odm_or_could_do_harm_is_refused(tmp_path, case):
    content, code = REFUSED[case]
    (tmp_path / "x.xml").write_bytes(content)
    with pytest.raises(InputError) as refused:
        read_odm(tmp_path / "x.xml")
    assert [f.code for f in refused.value.findings] == [code]


def test_a_file_that_is_too_large_is_refused(tmp_path, monkeypatch):
    monkeypatch.setattr(safe_xml, "MOST_BYTES", 10)
    with pytest.raises(InputError, match="too large"):
        read_odm(SNAPSHOT)


@settings(max_examples=30, deadline=None)
@given(st.integers(0, 2**32 - 1))
def test_values_that_are_written_are_read(tmp_path_factory, seed):
    dice = random.Random(seed)
    written = {(dice.choice("12"), dice.choice("GH"), dice.choice("ABC")): dice.choice(("x", "1", "é", "a b")) for _ in range(8)}
    assert values(tmp_path_factory.mktemp("odm"), *(event(*key, value) for key, value in written.items())) == written
