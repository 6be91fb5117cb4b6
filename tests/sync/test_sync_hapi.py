"""The same loop against a real HAPI server, strict: pushed, pushed again without a write, changed, in conflict, deleted."""

import os
import uuid

import pytest

from fhir_trial.config import Server
from fhir_trial.fhir.http import Request
from fhir_trial.fhir.json import encode
from fhir_trial.sync.capability import discover
from fhir_trial.sync.client import Client
from fhir_trial.sync.decide import Choices
from fhir_trial.sync.journal import Journal
from fhir_trial.sync.pull import of_study, pull_to_memory
from fhir_trial.sync.push import push

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
        assert {(r["resourceType"], r["id"]) for r in there.all()} == {(r["resourceType"], r["id"]) for r in ours}
        edited = {**ours[1], "status": "amended"}
        client.send(Request("PUT", f"Observation/{edited['id']}", {"Content-Type": "application/fhir+json"}, encode(edited)))
        assert [item.id for item in sync(ours).conflicts] == [edited["id"]]
        assert sync(ours, prefer="source").updated == 1
        assert sync([], delete=True).deleted == 60
