"""Bulk Data export: whose data, of which types, since when, as of the moment it was asked for."""

from collections import Counter
from typing import Any

import pytest

from fhir_trial.fhir import json
from fhir_trial.fhir.http import Request
from fhir_trial.store import Store, export, handle

ASYNC = {"Prefer": "respond-async"}


def people(ask, *names: str) -> None:
    for name in names:
        assert ask("PUT", f"Patient/{name}", {"resourceType": "Patient", "id": name}).status == 201
        code = {"coding": [{"system": "http://loinc.org", "code": "718-7"}]}
        seen = {"resourceType": "Observation", "status": "final", "code": code, "subject": {"reference": f"Patient/{name}"}}
        assert ask("PUT", f"Observation/o-{name}", seen | {"id": f"o-{name}"}).status == 201


def started(ask, url: str, method: str = "GET", body: Any = None) -> str:
    answer = ask(method, url, body, **ASYNC)
    assert answer.status == 202
    place = answer.header("Content-Location")
    assert place
    return place


def manifest(ask, place: str) -> dict[str, Any]:
    answer = ask("GET", place)
    assert answer.status == 200
    return answer.json()


def exported(ask, place: str) -> Counter[str]:
    """The ids of everything in the files of a job; each file holds as many lines as the manifest says, of its type."""
    found: Counter[str] = Counter()
    for file in manifest(ask, place)["output"]:
        lines = ask("GET", file["url"]).body.splitlines()
        resources = [json.decode(line) for line in lines]
        assert (len(lines), {r["resourceType"] for r in resources}) == (file["count"], {file["type"]})
        found.update(r["id"] for r in resources)
    return found


def test_the_system_is_exported_in_parts(ask, monkeypatch):
    monkeypatch.setattr(export, "PART", 2)
    people(ask, "a", "b", "c", "d", "e")
    ask("PUT", "Organization/site", {"resourceType": "Organization", "id": "site", "name": "S"})
    place = started(ask, "$export")
    files = manifest(ask, place)["output"]
    assert [(f["type"], f["count"]) for f in files if f["type"] == "Patient"] == [("Patient", 2), ("Patient", 2), ("Patient", 1)]
    assert exported(ask, place) == Counter([*"abcde", *(f"o-{name}" for name in "abcde"), "site"])


def test_a_job_is_of_the_moment_it_was_started(ask):
    people(ask, "a", "b")
    place = started(ask, "$export?_type=Patient")
    people(ask, "c")
    ask("DELETE", "Observation/o-a")
    ask("DELETE", "Patient/a")
    ask("PUT", "Patient/b", {"resourceType": "Patient", "id": "b", "active": True})
    assert exported(ask, place) == Counter("ab")
    lines = ask("GET", manifest(ask, place)["output"][0]["url"]).body.splitlines()
    assert [json.decode(line)["meta"]["versionId"] for line in lines] == ["1", "1"]


def test_patients_alone_and_those_of_a_group(ask):
    people(ask, "a", "b", "c")
    ask("PUT", "Organization/site", {"resourceType": "Organization", "id": "site", "name": "S"})
    members = [{"entity": {"reference": f"Patient/{name}"}} for name in "ac"]
    ask("PUT", "Group/g1", {"resourceType": "Group", "id": "g1", "type": "person", "actual": True, "member": members})
    place = started(ask, "Group/g1/$export")
    ask("PUT", "Group/g1", {"resourceType": "Group", "id": "g1", "type": "person", "actual": True, "member": members[:1]})
    assert exported(ask, place) == Counter(["a", "c", "o-a", "o-c"]), "the members are those of the start"
    assert exported(ask, started(ask, "Group/g1/$export?_type=Observation")) == Counter(["o-a"])
    assert exported(ask, started(ask, "Patient/$export")) == Counter(["a", "b", "c", "o-a", "o-b", "o-c"])


def test_since_says_what_changed_and_what_was_deleted(ask):
    people(ask, "a", "b")
    before = manifest(ask, started(ask, "$export"))["transactionTime"]
    ask("PUT", "Patient/b", {"resourceType": "Patient", "id": "b", "active": True})
    ask("DELETE", "Observation/o-a")
    since = before.replace("+", "%2B")
    found = manifest(ask, started(ask, f"$export?_since={since}&_type=Observation,Patient"))
    assert found["transactionTime"] >= before
    (gone,) = found["deleted"]
    bundle = json.decode(ask("GET", gone["url"]).body)
    assert (bundle["type"], [e["request"]["url"] for e in bundle["entry"]]) == ("transaction", ["Observation/o-a"])
    assert "deleted" not in manifest(ask, started(ask, "$export"))


def test_what_was_deleted_and_is_there_again_is_not_deleted(ask):
    people(ask, "a")
    before = manifest(ask, started(ask, "$export"))["transactionTime"].replace("+", "%2B")
    ask("DELETE", "Observation/o-a")
    people_again = {
        "resourceType": "Observation",
        "id": "o-a",
        "status": "final",
        "code": {"text": "t"},
        "subject": {"reference": "Patient/a"},
    }
    ask("PUT", "Observation/o-a", people_again)
    found = manifest(ask, started(ask, f"$export?_since={before}"))
    assert found["deleted"] == []
    assert "o-a" in exported(ask, started(ask, f"$export?_since={before}"))


def test_a_job_can_be_asked_by_parameters_and_ends_with_its_deletion(ask):
    people(ask, "a")
    parameters = {"resourceType": "Parameters", "parameter": [{"name": "_type", "valueString": "Patient"}]}
    place = started(ask, "$export", "POST", parameters)
    file = manifest(ask, place)["output"][0]["url"]
    assert exported(ask, place) == Counter("a")
    assert ask("DELETE", place).status == 202
    assert [ask(method, url).status for method, url in (("GET", place), ("GET", file), ("DELETE", place))] == [404, 404, 404]


def test_a_job_outlives_the_process(tmp_path):
    def ask(store, method, url, body=None, **headers):
        return handle(store, Request(method, url, headers, json.encode(body) if body else None))

    store = Store(tmp_path / "s.sqlite")
    ask(store, "PUT", "Patient/a", {"resourceType": "Patient", "id": "a"})
    place = ask(store, "GET", "$export", Prefer="respond-async").header("Content-Location")
    store.close()
    store = Store(tmp_path / "s.sqlite")
    assert [f["count"] for f in ask(store, "GET", place).json()["output"]] == [1]
    store.close()


@pytest.mark.parametrize(
    ("url", "status"),
    [
        ("$export?_type=Nonsense", 400),
        ("$export?_since=2020-01-01", 400),
        ("$export?_since=yesterday", 400),
        ("$export?_typeFilter=Patient%3Factive", 400),
        ("$export?_outputFormat=text/csv", 400),
        ("Group/none/$export", 404),
        ("Observation/$export", 404),
        ("Patient/a/$export", 404),
        ("$import", 404),
        ("$export-poll-status?_jobId=none", 404),
        ("$export-file?_jobId=none&_type=Patient&_part=0-9", 404),
    ],
)
def test_what_cannot_be_exported_is_refused(ask, url, status):
    people(ask, "a")
    answer = ask("GET", url, **ASYNC)
    assert (answer.status, answer.json()["resourceType"]) == (status, "OperationOutcome")


def test_an_export_is_asynchronous(ask):
    assert ask("GET", "$export").status == 400
