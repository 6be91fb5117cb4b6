"""Commands that talk to a server: the embedded store at an address of this machine."""

import json
import socket
import time

import pytest
from loop_runs import STUDY, TOKEN

from fhir_trial.data_files import data_dir
from fhir_trial.errors import Unreachable
from fhir_trial.privacy.audit import AuditLog

ACCESS = ("--token", "env:TESTS_TOKEN")


@pytest.fixture
def access(served, monkeypatch):
    """The options that open the served store as a research store."""
    monkeypatch.setenv("TESTS_TOKEN", TOKEN)
    return ["--server", served, *ACCESS, "--research-store"]


@pytest.fixture
def folder(fhir_folders, tmp_path):
    """The trial in R4, the test's own copy: a sync leaves its journal there."""
    copy = tmp_path / "trial"
    copy.mkdir()
    for path in fhir_folders["r4"].iterdir():
        (copy / path.name).write_bytes(path.read_bytes())
    return copy


@pytest.mark.thorough
def test_sync_plans_applies_and_then_writes_nothing_and_pull_brings_it_back(command, folder, access, tmp_path):
    total = sum(path.read_bytes().count(b"\n") for path in folder.glob("*.ndjson"))
    plan = command("sync", folder, *access, "--json")
    assert (plan.code, json.loads(plan.out)["plan"]["create"], plan.err) == (0, total, "")
    assert json.loads(command("sync", folder, *access, "--json").out)["plan"]["create"] == total, "a plan writes nothing"
    applied = command("sync", folder, *access, "--apply", "--json")
    assert (applied.code, json.loads(applied.out)["created"]) == (0, total)
    again = json.loads(command("sync", folder, *access, "--apply", "--json").out)
    assert (again["created"], again["updated"], again["unchanged"]) == (0, 0, total)
    pulled = command("pull", *access[:-1], "--study", STUDY, "--out", "back", "--json")
    assert (pulled.code, sum(json.loads(pulled.out)["counts"].values())) == (0, total)
    assert command("endpoints", folder, "--out", "e1").code == 0
    assert command("endpoints", "back", "--out", "e2").code == 0
    for name in ("adsl.csv", "adrs.csv", "adtte.csv", "safety.csv", "exposure.csv", "summary.json"):
        assert (tmp_path / "e1" / name).read_bytes() == (tmp_path / "e2" / name).read_bytes()


def test_a_changed_field_is_planned_by_name_and_its_value_shown_only_where_asked(command, folder, access):
    assert command("sync", folder, *access, "--apply").code == 0
    file = folder / "Organization.ndjson"
    organization = json.loads(file.read_bytes())
    organization["name"] = "Another name"
    file.write_text(json.dumps(organization) + "\n", "utf-8")
    (folder / "manifest.json").unlink()
    plan = command("sync", folder, *access, "--fhir", "r4")
    assert plan.code == 0
    assert "update 1" in plan.out
    assert "name" in plan.out
    assert "Another name" not in plan.out
    assert "Another name" in command("sync", folder, *access, "--fhir", "r4", "--show-values").out


def test_doctor_says_what_the_server_can_do(command, access):
    said = command("doctor", *access, "--json")
    told = json.loads(said.out)
    assert (said.code, said.err, told["FHIR"], told["not written"]) == (0, "", "4.0.1", "nothing")
    undeclared = command("doctor", *access[:-1])
    assert "research_store = true" in undeclared.err


def test_patients_do_not_go_to_a_server_that_is_no_research_store(command, folder, access):
    said = command("sync", folder, *access[:-1], "--json")
    assert (said.code, json.loads(said.out)["plan"]["refused"] > 6) == (1, True)
    demo = command("demo", *access[:-1], "--out", "d", "--clean")
    assert (demo.code, "research store" in demo.err) == (3, True)


def test_without_the_token_nobody_gets_in(command, folder, served, monkeypatch):
    assert command("sync", folder, "--server", served).code == 3
    monkeypatch.setenv("TESTS_TOKEN", "another")
    said = command("sync", folder, "--server", served, *ACCESS)
    assert said.code == 3
    assert "another" not in said.err + said.out
    assert command("doctor", "--server", served, *ACCESS).code == 3
    monkeypatch.delenv("TESTS_TOKEN")
    assert command("sync", folder, "--server", served, *ACCESS).code == 3
    assert command("sync", folder, "--server", served, "--token", "s3cr3t").code == 3


def test_a_pull_that_fails_is_in_the_audit_log_and_a_call_that_asks_for_nothing_is_not(command, access, tmp_path, monkeypatch):
    def broken(*_: object) -> None:
        raise Unreachable("gone")

    assert command("pull", *access[:-1], "--since", "last", "--out", "never").code == 2
    assert not (tmp_path / "never").exists()
    monkeypatch.setattr("fhir_trial.cli.pull.pull_into", broken)
    assert command("pull", *access[:-1], "--study", STUDY, "--out", "broken").code == 4
    (entry,) = AuditLog.of_folder(tmp_path / "broken").entries()
    assert (entry.what, "Unreachable" in entry.details, STUDY in entry.details) == ("pull failed", True, True)


def test_a_folder_of_another_version_is_refused(command, access, fhir_folders):
    said = command("sync", fhir_folders["r5"], *access)
    assert (said.code, said.out) == (3, "")
    assert said.err.count("\n") == 1


@pytest.mark.parametrize("arguments", [("doctor",), ("pull", "--out", "p"), ("sync", "FOLDER"), ("demo", "--out", "d", "--clean")])
def test_a_server_that_never_answers_ends_with_4_within_the_deadline(command, folder, arguments, monkeypatch):
    monkeypatch.setenv("FHIR_TRIAL_DEADLINE", "1")
    with socket.socket() as silent:
        silent.bind(("127.0.0.1", 0))
        silent.listen()
        start = time.monotonic()
        said = command(*(folder if a == "FOLDER" else a for a in arguments), "--server", f"http://127.0.0.1:{silent.getsockname()[1]}/fhir")
        waited = time.monotonic() - start
    assert (said.code, said.out) == (4, "")
    assert said.err.splitlines()[-1].startswith("fhir-trial: ")
    if arguments[0] != "demo":  # which first makes its data
        assert waited < 5
        assert said.err.count("\n") == 1


def test_doctor_names_the_profile_and_the_strategy(command, access):
    told = json.loads(command("doctor", *access, "--json").out)
    assert (told["profile"], told["one copy by"], told["reads"], told["writes"]) == (
        "embedded",
        "PUT to our id",
        "type by type",
        "in transactions",
    )
    named = json.loads(command("doctor", *access, "--profile", "epic-like", "--json").out)
    assert (named["profile"], named["reads"], named["writes"]) == ("epic-like", "patient by patient", "one by one")
    assert any(text.startswith("writing ") and "AdverseEvent" in text and "ResearchSubject" in text for text in named["will not work"])
    assert {one["what"]: one["works"] for one in told["tried"]}["search by POST"] is True
    assert "works: history since a time" in command("doctor", *access).out
    assert command("doctor", *access, "--profile", "epic").code == 3


def test_the_arm_of_a_blinded_study_stays_here(command, folder, access, tmp_path):
    group = {"resourceType": "Group", "id": "g", "identifier": [{"system": "urn:g", "value": "g"}], "type": "person", "actual": True}
    group["member"] = [{"entity": {"display": "the first of an arm"}}]
    (folder / "Group.ndjson").write_text(json.dumps(group) + "\n", "utf-8")
    (folder / "manifest.json").unlink()
    text = (data_dir("studies") / f"{STUDY}.yaml").read_text("utf-8")
    reasons = {}
    for until in ("1999", "2999"):
        study = tmp_path / f"{until}.yaml"
        study.write_text(f'{text}\nblinded_until: "{until}"\n', "utf-8")
        reasons[until] = command("sync", folder, *access[:-1], "--fhir", "r4", "--study", study).out
    assert "arms of a blinded study" not in reasons["1999"]
    assert "refused Group/g: its members may tell the arms of a blinded study" in reasons["2999"]
    assert command("sync", folder, *access[:-1], "--fhir", "r4", "--study", "nobody's").code == 2


@pytest.mark.thorough
def test_pull_by_export_and_what_changed_since(command, folder, access, tmp_path):
    assert command("sync", folder, *access, "--apply").code == 0
    reading = access[:-1]
    assert command("pull", *reading, "--out", "searched").code == 0
    bulk = command("pull", *reading, "--bulk", "--out", "exported", "--json")
    assert bulk.code == 0
    for path in (tmp_path / "searched").glob("*.ndjson"):
        assert sorted(path.read_bytes().splitlines()) == sorted((tmp_path / "exported" / path.name).read_bytes().splitlines())
    file = folder / "Organization.ndjson"
    organization = json.loads(file.read_bytes())
    file.write_text(json.dumps({**organization, "name": "Another name"}) + "\n", "utf-8")
    (folder / "manifest.json").unlink()
    assert command("sync", folder, *access, "--fhir", "r4", "--apply").code == 0
    changed = command("pull", *reading, "--since", "last", "--out", "searched", "--json")
    assert json.loads(changed.out)["counts"]["updated"] >= 1
    assert json.loads((tmp_path / "searched" / "Organization.ndjson").read_bytes())["name"] == "Another name"
    assert command("pull", *reading, "--since", "last", "--out", "nothing").code == 2
    assert command("pull", *reading, "--bulk", "--poll-limit", "0", "--out", "x").code == 2
    assert command("pull", *reading, "--profile", "epic-like", "--out", "x").code == 2


@pytest.mark.parametrize("arguments", [("doctor",), ("pull", "--out", "p"), ("sync", "FOLDER")])
def test_a_wrong_base_path_is_a_matter_of_configuration(command, folder, access, arguments):
    wrong = access[1].removesuffix("/fhir") + "/wrong"
    said = command(*(folder if name == "FOLDER" else name for name in arguments), "--server", wrong, *ACCESS)
    assert said.code == 3
    assert said.err.startswith(f"fhir-trial: GET {wrong}/metadata: the server answered 404, expected a CapabilityStatement")
