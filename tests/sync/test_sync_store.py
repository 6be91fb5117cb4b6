"""Push and pull against the embedded store: the loop as the demo runs it."""

import pytest

from fhir_trial.fhir.http import run
from fhir_trial.store import BASE, Store, handle
from fhir_trial.sync.capability import discover
from fhir_trial.sync.folder import FolderWriter, read_folder, read_manifest
from fhir_trial.sync.journal import Journal
from fhir_trial.sync.pull import pull, pull_to_memory, trial_types
from fhir_trial.sync.push import push


def resources(subjects: int = 40, each: int = 8) -> list[dict]:
    people = [
        {"resourceType": "Patient", "id": f"p-{s}", "identifier": [{"system": "urn:s", "value": f"S/{s}"}], "gender": "male"}
        for s in range(subjects)
    ]
    observed = [
        {
            "resourceType": "Observation",
            "id": f"o-{s}-{n}",
            "identifier": [{"system": "urn:o", "value": f"S/{s}/{n}"}],
            "status": "final",
            "code": {"text": "size"},
            "subject": {"reference": f"Patient/p-{s}", "identifier": {"system": "urn:s", "value": f"S/{s}"}},
            "valueQuantity": {"value": n, "unit": "mm"},
        }
        for s in range(subjects)
        for n in range(each)
    ]
    target = [{"reference": f"Observation/{o['id']}"} for o in observed]
    agent = [{"who": {"display": "fhir_trial"}}]
    return [
        {"resourceType": "Provenance", "id": "v-1", "target": target, "recorded": "2024-01-01T00:00:00Z", "agent": agent},
        *observed,
        *people,
    ]


@pytest.fixture(params=["r4", "r5"])
def fhir(request) -> str:
    return request.param


def test_pushed_pushed_again_changed_and_pulled(fhir: str, tmp_path):
    store, ours = Store(":memory:", fhir=fhir), resources()

    def send(request):
        return handle(store, request)

    server = run(discover(BASE, research_store=True, fhir=fhir), send)
    with Journal(":memory:") as journal:
        assert run(push(ours, server, journal), send).created == len(ours)
        assert run(push(ours, server, journal), send).written == 0
        ours[1]["valueQuantity"]["value"] = 77
        report = run(push(ours, server, journal), send)
    assert (report.updated, report.created, report.unchanged) == (1, 0, len(ours) - 1)
    with FolderWriter(tmp_path) as writer:
        pulled = run(pull(trial_types(server), writer.take), send)
        writer.finish(fhir, study="S", source=BASE)
    assert {name: count for name, count in pulled.counts.items() if count} == {"Patient": 40, "Observation": 320, "Provenance": 1}
    manifest = read_manifest(tmp_path)
    assert [(f.type, f.count) for f in manifest.files] == [("Observation", 320), ("Patient", 40), ("Provenance", 1)]
    assert "AdverseEvent" in manifest.empty
    read = {(r["resourceType"], r["id"]): {k: v for k, v in r.items() if k != "meta"} for r in read_folder(tmp_path)}
    assert read == {(r["resourceType"], r["id"]): r for r in ours}
    assert len(run(pull_to_memory(["Observation"]), send).all()) == 320
