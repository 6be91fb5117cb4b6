"""Pulling into a folder: anew, by bulk export, and only what changed since; what the folder holds is what the server has."""

import json
from pathlib import Path

import pytest

from fhir_trial.errors import UsageError
from fhir_trial.fhir import bundles
from fhir_trial.fhir.http import Request, run
from fhir_trial.fhir.json import decode, encode
from fhir_trial.mapping import load
from fhir_trial.store import Store, handle
from fhir_trial.store.limits import limits
from fhir_trial.sync.capability import discover
from fhir_trial.sync.folder import read_folder, read_manifest
from fhir_trial.sync.journal import Journal
from fhir_trial.sync.locate import patient_of
from fhir_trial.sync.order import place_of
from fhir_trial.sync.profile import named
from fhir_trial.sync.pull import TRIAL_TYPES
from fhir_trial.sync.push import push
from fhir_trial.trial.connection import Connection, connect_embedded
from fhir_trial.trial.pulling import Wanted, pull_into

EVERYTHING = Wanted()
UNWRITTEN = ("Group", "Provenance", "ResearchStudy", "MeasureReport", "Organization", "Location", "Evidence", "BodyStructure", "List")
MCODE = [decode(line) for line in (Path(__file__).parents[1] / "data" / "mcode" / "examples.ndjson").read_bytes().splitlines()]
MCODE_PATIENTS = tuple(row["id"] for row in MCODE if row["resourceType"] == "Patient")


def put(connection: Connection, *resources: dict) -> None:
    for resource in resources:
        place = f"{resource['resourceType']}/{resource['id']}"
        response = connection.send(Request("PUT", place, {"Content-Type": "application/fhir+json"}, encode(resource)))
        assert response.is_success, response.body


def patient(name: str, **more: object) -> dict:
    return {"resourceType": "Patient", "id": name, **more}


def observation(name: str, of: str, status: str = "final", category: str = "laboratory") -> dict:
    return {
        "resourceType": "Observation",
        "id": name,
        "status": status,
        "category": [{"coding": [{"code": category}]}],
        "code": {"text": "size"},
        "subject": {"reference": f"Patient/{of}", "identifier": {"system": "urn:s", "value": of}},
    }


@pytest.fixture
def server(tmp_path):
    """A store with three patients and two observations each."""
    with connect_embedded(tmp_path / "store.sqlite", "r4") as connection:
        put(connection, *(patient(p) for p in "abc"), *(observation(f"{p}{n}", p) for p in "abc" for n in (1, 2)))
        yield connection


@pytest.fixture
def folder(tmp_path) -> Path:
    return tmp_path / "pulled"


def held(folder: Path) -> dict[str, dict]:
    return {f"{r['resourceType']}/{r['id']}": {k: v for k, v in r.items() if k != "meta"} for r in read_folder(folder)}


def same_as_anew(server: Connection, folder: Path, tmp_path: Path, without: set[str] = frozenset()) -> bool:
    pull_into(server, tmp_path / "anew", EVERYTHING)
    anew = held(tmp_path / "anew")
    return held(folder) == {place: row for place, row in anew.items() if place not in without}


def test_bulk_gives_what_searches_give_and_leaves_no_job(server, folder, tmp_path):
    assert pull_into(server, folder, Wanted(bulk=True)).counts["Observation"] == 6
    assert same_as_anew(server, folder, tmp_path)
    assert read_manifest(folder).taken
    assert not (folder / ".fhir-trial").exists()


@pytest.mark.parametrize("bulk", [False, True])
def test_what_changed_since_is_brought_in(server, folder, tmp_path, bulk):
    pull_into(server, folder, Wanted(bulk=bulk))
    put(server, observation("a1", "a", "amended"), observation("a3", "a"), observation("b1", "b", "entered-in-error"))
    server.send(Request("DELETE", "Observation/c2"))
    read = pull_into(server, folder, Wanted(bulk=bulk, since="last"))
    changed = {name: count for name, count in read.counts.items() if name != "unchanged"}
    assert changed == {"created": 1, "updated": 1, "deleted": 1, "retracted": 1, "merged": 0}
    assert same_as_anew(server, folder, tmp_path, without={"Observation/b1"})
    again = pull_into(server, folder, Wanted(bulk=bulk, since="last"))
    assert again.counts["updated"] + again.counts["created"] + again.counts["deleted"] == 0


def test_of_a_merged_patient_the_references_lead_to_the_one_that_replaces_them(server, folder):
    pull_into(server, folder, EVERYTHING)
    link = [{"type": "replaced-by", "other": {"reference": "Patient/d"}}]
    put(server, patient("d"), patient("a", active=False, link=link))
    read = pull_into(server, folder, Wanted(since="last"))
    rows = held(folder)
    assert read.counts["merged"] == 1
    assert "Patient/a" not in rows
    assert "Patient/d" in rows
    assert rows["Observation/a1"]["subject"] == {"reference": "Patient/d", "identifier": {"system": "urn:s", "value": "a"}}


def test_a_patient_replaced_long_ago_is_fetched(server, folder):
    put(server, patient("old"))
    pull_into(server, folder, Wanted(types=("Patient", "Observation")))
    kept = (folder / "Patient.ndjson").read_bytes()
    assert b"old" in kept
    link = [{"type": "replaced-by", "other": {"reference": "Patient/b"}}]
    put(server, patient("old", link=link))
    assert pull_into(server, folder, Wanted(since="last")).counts["merged"] == 1


def test_a_folder_of_another_server_or_none_is_refused(server, folder, tmp_path):
    with pytest.raises(UsageError, match="pull it once"):
        pull_into(server, folder, Wanted(since="last"))
    pull_into(server, folder, EVERYTHING)
    manifest = json.loads((folder / "manifest.json").read_text())
    (folder / "manifest.json").write_text(json.dumps({**manifest, "source": "https://elsewhere.example/fhir"}))
    with pytest.raises(UsageError, match="another server"):
        pull_into(server, folder, Wanted(since="last"))
    (folder / "manifest.json").write_text(json.dumps(manifest))
    with pytest.raises(UsageError, match="instant"):
        pull_into(server, folder, Wanted(since="yesterday"))


def test_what_fails_leaves_the_folder_as_it_was(server, folder, monkeypatch):
    pull_into(server, folder, EVERYTHING)
    before = {path.name: path.read_bytes() for path in folder.iterdir()}
    put(server, observation("a9", "a"))
    monkeypatch.setattr("fhir_trial.trial.pulling.Update.rows", lambda *_: (_ for _ in ()).throw(UsageError("broken")))
    with pytest.raises(UsageError):
        pull_into(server, folder, Wanted(since="last"))
    assert {path.name: path.read_bytes() for path in folder.iterdir()} == before


def test_every_type_that_the_rules_write_is_read():
    written = {load(fhir)[entity].resource_type for fhir in ("r4", "r5") for entity in load(fhir)}
    assert written <= set(TRIAL_TYPES)


@pytest.fixture
def hospital(tmp_path):
    """A store that allows what a hospital's server allows, with mCODE's examples put there by others; its log of requests."""
    store, log, base = Store(tmp_path / "hospital.sqlite", "r4", validate=None), [], "http://localhost/hospital"
    study = {"resourceType": "ResearchStudy", "id": "study", "status": "active", "identifier": [{"system": "urn:s", "value": "NCT1"}]}
    subjects = [
        {
            "resourceType": "ResearchSubject",
            "id": f"subject-{name}",
            "status": "on-study",
            "study": {"reference": "ResearchStudy/study"},
            "individual": {"reference": f"Patient/{name}"},
        }
        for name in MCODE_PATIENTS
    ]
    entries = [bundles.update(row) for row in (*MCODE, study, *subjects)]
    assert handle(store, Request("POST", "", body=encode(bundles.bundle("transaction", entries))), base).is_success
    store.limits = limits("epic-like")

    def send(request: Request):
        response = handle(store, request, base)
        log.append((request.method, request.url, response.status))
        return response

    yield Connection("hospital", "r4", run(discover(base), send), send, store.close), log
    store.close()


def refused(log: list) -> list:
    return [entry for entry in log if entry[2] >= 400]


def about(patient: str) -> set[str]:
    """The places of mCODE's examples about a patient, of the types that such a server is searched for."""
    types = set(named("epic-like").by_patient)
    return {place_of(row) for row in MCODE if row["resourceType"] in types and patient_of(row) == f"Patient/{patient}"}


def test_mcode_is_pulled_patient_by_patient_with_no_request_refused(hospital, folder):
    connection, log = hospital
    assert connection.info.profile.name == "epic-like"
    read = pull_into(connection, folder, Wanted(patients=MCODE_PATIENTS))
    expected = {f"Patient/{name}" for name in MCODE_PATIENTS}.union(*(about(name) for name in MCODE_PATIENTS))
    assert expected <= held(folder).keys()
    assert {place for place in held(folder) if "ResearchSubject" not in place} == expected
    assert len(expected) > 100
    assert refused(log) == []
    assert read.findings == ()
    again = pull_into(connection, folder, Wanted(patients=MCODE_PATIENTS, since="last"))
    assert (again.counts["unchanged"], again.counts["updated"], again.counts["deleted"]) == (sum(read.counts.values()), 0, 0)
    assert refused(log) == []


def test_a_study_names_its_patients_and_nothing_else_is_asked_for(hospital, folder):
    connection, log = hospital
    assert pull_into(connection, folder, Wanted(study="urn:s|NCT1")).counts["Patient"] == len(MCODE_PATIENTS)
    with pytest.raises(UsageError, match="name patients"):
        pull_into(connection, folder, EVERYTHING)
    with pytest.raises(UsageError, match="name a group"):
        pull_into(connection, folder, Wanted(bulk=True))
    assert refused(log) == []


def test_what_a_hospital_does_not_take_is_refused_before_it_is_sent_and_what_it_takes_is_there_once(hospital):
    connection, log = hospital
    name = MCODE_PATIENTS[0]
    subject = {"reference": f"Patient/{name}"}
    result = {
        "resourceType": "Observation",
        "id": "ours",
        "identifier": [{"system": "urn:fhir-trial:o", "value": "1"}],
        "status": "final",
        "category": [{"coding": [{"code": "laboratory"}]}],
        "code": {"text": "sum of diameters"},
        "subject": subject,
    }
    rows = [
        result,
        {"resourceType": "AdverseEvent", "id": "ae", "identifier": {"system": "urn:ae", "value": "1"}, "subject": subject},
        {"resourceType": "ResearchSubject", "id": "rs", "identifier": [{"system": "urn:rs", "value": "1"}], "individual": subject},
        patient("pseudonym", identifier=[{"system": "urn:p", "value": "1"}]),
        *({"resourceType": t, "id": t.lower(), "identifier": [{"system": "urn:x", "value": t}]} for t in UNWRITTEN),
    ]
    log.clear()
    with Journal(":memory:") as journal:
        report = connection.run(push(rows, connection.info, journal))
        assert (report.created, len(report.refused)) == (1, 3 + len(UNWRITTEN))
        again = connection.run(push(rows, connection.info, journal))
        assert (again.written, again.unchanged) == (0, 1)
        result["status"] = "amended"
        assert connection.run(push(rows, connection.info, journal)).updated == 1
    with Journal(":memory:") as fresh:
        assert connection.run(push(rows, connection.info, fresh)).unchanged == 1
    assert refused(log) == []
    assert next(entry[:2] for entry in log if entry[0] != "GET") == ("POST", "Observation")
