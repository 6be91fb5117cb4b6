"""The store against a plain dict, under any sequence of writes."""

from typing import Any

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from fhir_trial.fhir import json
from fhir_trial.fhir.http import Request, Response
from fhir_trial.store import Store, handle

IDS = st.sampled_from(["a1", "b2", "c3"])
GENDERS = st.sampled_from(["female", "male"])


class StoreAgainstDict(RuleBasedStateMachine):
    """`versions` maps an id to all its versions: a gender, or None for a deletion."""

    def __init__(self) -> None:
        super().__init__()
        self.store = Store(":memory:")
        self.versions: dict[str, list[str | None]] = {}

    def ask(self, method: str, url: str, body: Any = None, **headers: str) -> Response:
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        return handle(self.store, Request(method, url, named, None if body is None else json.encode(body)))

    def write(self, identity: str, gender: str | None) -> None:
        held = self.versions.setdefault(identity, [])
        if not held or held[-1] != gender:
            held.append(gender)

    @rule(identity=IDS, gender=GENDERS)
    def put(self, identity: str, gender: str) -> None:
        answer = self.ask("PUT", f"Patient/{identity}", {"resourceType": "Patient", "id": identity, "gender": gender})
        new = not self.versions.get(identity) or self.versions[identity][-1] is None
        assert answer.status == (201 if new else 200)
        self.write(identity, gender)

    @rule(identity=IDS)
    def delete(self, identity: str) -> None:
        answer = self.ask("DELETE", f"Patient/{identity}")
        assert answer.status == (204 if identity in self.versions else 404)
        if identity in self.versions:
            self.write(identity, None)

    @rule(identity=IDS, gender=GENDERS, version=st.integers(1, 4))
    def put_with_a_version(self, identity: str, gender: str, version: int) -> None:
        held = self.versions.get(identity, [None])
        body = {"resourceType": "Patient", "id": identity, "gender": gender}
        answer = self.ask("PUT", f"Patient/{identity}", body, If_Match=f'W/"{version}"')
        is_current = len(held) == version and held[-1] is not None
        assert answer.status == (200 if is_current else 409)
        if is_current:
            self.write(identity, gender)

    @rule(chosen=st.dictionaries(IDS, GENDERS, min_size=1), breaks=st.booleans())
    def transaction(self, chosen: dict[str, str], breaks: bool) -> None:
        entries: list[dict[str, Any]] = [
            {"resource": {"resourceType": "Patient", "id": i, "gender": g}, "request": {"method": "PUT", "url": f"Patient/{i}"}}
            for i, g in chosen.items()
        ]
        if breaks:
            entries.append({"resource": {"resourceType": "Patient", "gender": "wrong"}, "request": {"method": "POST", "url": "Patient"}})
        answer = self.ask("POST", "", {"resourceType": "Bundle", "type": "transaction", "entry": entries})
        assert answer.status == (422 if breaks else 200)
        if not breaks:
            for identity, gender in chosen.items():
                self.write(identity, gender)

    @invariant()
    def search_finds_what_is_there(self) -> None:
        for gender in ("female", "male"):
            found = self.ask("GET", f"Patient?gender={gender}").json()
            wanted = {identity for identity, held in self.versions.items() if held and held[-1] == gender}
            assert {e["resource"]["id"] for e in found.get("entry", [])} == wanted
            assert found["total"] == len(wanted)

    @invariant()
    def history_is_complete(self) -> None:
        for identity, held in self.versions.items():
            entries = self.ask("GET", f"Patient/{identity}/_history").json()["entry"]
            assert [e["resource"]["gender"] if "resource" in e else None for e in reversed(entries)] == held

    def teardown(self) -> None:
        self.store.close()


TestStoreAgainstDict = StoreAgainstDict.TestCase
TestStoreAgainstDict.settings = settings(max_examples=25, stateful_step_count=15, deadline=None)
