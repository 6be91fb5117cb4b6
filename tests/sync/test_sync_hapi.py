"""The same loop against a real HAPI server, strict: pushed, pushed again without a write, changed, in conflict, deleted."""

import os
import time
import uuid

import pytest

from fhir_trial.config import Server
from fhir_trial.fhir.http import Request
from fhir_trial.fhir.json import encode
from fhir_trial.sync.bulk import Export, forget
from fhir_trial.sync.capability import discover
from fhir_trial.sync.changes import changed_since
from fhir_trial.sync.client import Client
from fhir_trial.sync.compare import differences
from fhir_trial.sync.decide import Choices
from fhir_trial.sync.doctor import changes_by
from fhir_trial.sync.journal import Journal
from fhir_trial.sync.order import place_of
from fhir_trial.sync.pull import of_study, pull_to_memory
from fhir_trial.sync.push import push
from fhir_trial.sync.reading import read_bulk
from fhir_trial.sync.saved_job import SavedJob
from fhir_trial.sync.search import collect
from fhir_trial.trial.pulling import server_time

SYSTEM = "urn:fhir-trial:test/"


@pytest.fixture(params=["r4", "r5"])
def hapi(request) -> tuple[str, str]:
    release = request.param
    if url := os.environ.get(f"FHIR_TRIAL_HAPI_{release.upper()}"):
        return release, url
    try:
        return release, str(request.getfixturevalue("hapi_server")(release))
    except pytest.FixtureLookupError:
        pytest.skip(f"no HAPI server: FHIR_TRIAL_HAPI_{release.upper()} names none")


def resources(study: str, subjects: int = 10, each: int = 5) -> list[dict]:
    def reference(kind: str, key: str) -> dict:
        system = SYSTEM + kind.lower()
        return {"reference": f"{kind}/{uuid.uuid5(uuid.NAMESPACE_URL, system + key)}", "identifier": {"system": system, "value": key}}

    def made(kind: str, key: str, **more: object) -> dict:
        stated = reference(kind, key)
        return {"resourceType": kind, "id": stated["reference"].partition("/")[2], "identifier": [stated["identifier"]], **more}

    people = [f"{study}/{s}" for s in range(subjects)]
    observed = [
        made("Observation", f"{p}/{n}", status="final", code={"text": "size"}, subject=reference("Patient", p), valueQuantity={"value": n})
        for p in people
        for n in range(each)
    ]
    return [*observed, *(made("Patient", p, gender="female", birthDate="1960") for p in people)]


def same(theirs: list[dict], ours: list[dict]) -> bool:
    """Whether a server gave back what was sent: each resource once, and saying the same."""
    by_place = {place_of(row): row for row in theirs}
    assert len(by_place) == len(theirs)
    return by_place.keys() == {place_of(row) for row in ours} and not any(differences(by_place[place_of(row)], row, {}) for row in ours)


@pytest.mark.hapi
def test_reading_hapi_by_export_by_post_and_what_changed_since(hapi: tuple[str, str], tmp_path):
    release, url = hapi
    study = uuid.uuid4().hex
    ours, keep = resources(study), of_study(SYSTEM, study)
    with Client(Server("hapi", url, research_store=True)) as client, Journal(":memory:") as journal:
        info = client.run(discover(client.base_url, research_store=True, fhir=release))
        assert (info.profile.name, changes_by(info)) == ("hapi", "history")
        assert client.run(push(ours, info, journal)).created == 60
        rows: list[dict] = []
        job = SavedJob(tmp_path, client.base_url)
        asked = Export(types=("Observation", "Patient"), poll_seconds=120)
        got = read_bulk(client, asked, job, lambda _, page: rows.extend(page), keep, clock=time.monotonic)
        assert same(rows, ours)
        client.run_steps(forget(job))
        assert not list(tmp_path.iterdir())
        person = ours[-1]["id"]
        found = client.run(collect("Observation", [("subject", f"Patient/{person}")], post=True))
        assert len(found) == 5
        since = client.run(server_time())
        time.sleep(1.1)
        ours[0]["valueQuantity"]["value"] = 99
        assert client.run(push(ours[:1] + ours[2:], info, journal, Choices(delete=True))).counts()["deleted"] == 1
        changes = changed_since(client, info, ["Observation", "Patient"], since)
        assert place_of(ours[0]) in changes.held
        assert place_of(ours[1]) in changes.gone
        assert got.transaction_time <= since


@pytest.mark.hapi
def test_the_loop_on_hapi(hapi: tuple[str, str]):
    release, url = hapi
    study = uuid.uuid4().hex
    ours = resources(study)
    with Client(Server("hapi", url, research_store=True)) as client, Journal(":memory:") as journal:
        info = client.run(discover(client.base_url, research_store=True, fhir=release))

        def sync(rows: list[dict], **choices: object):
            return client.run(push(rows, info, journal, Choices(**choices)))

        assert (sync(ours).created, sync(ours).unchanged) == (60, 60)
        ours[0]["valueQuantity"]["value"] = 77
        changed = sync(ours)
        assert (changed.updated, changed.unchanged) == (1, 59)
        assert sync(ours).written == 0
        there = client.run(pull_to_memory(["Observation", "Patient"], of_study(SYSTEM, study)))
        assert same(there.all(), ours)
        edited = {**ours[1], "status": "amended"}
        client.send(Request("PUT", f"Observation/{edited['id']}", {"Content-Type": "application/fhir+json"}, encode(edited)))
        assert [item.id for item in sync(ours).conflicts] == [edited["id"]]
        assert sync(ours, prefer="source").updated == 1
        assert sync([], delete=True).deleted == 60
