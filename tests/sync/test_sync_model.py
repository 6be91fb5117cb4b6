"""Source, server and journal against a model: edits on both sides, pushes and pulls that break or are killed, settling, deletion."""

import tempfile
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

import hypothesis.strategies as st
from hypothesis import settings
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule
from push_data import pieces_of

from fhir_trial.errors import FhirTrialError
from fhir_trial.fhir.http import Request, Response, run
from fhir_trial.fhir.json import encode
from fhir_trial.sync import push as pushing
from fhir_trial.sync.capability import ServerInfo
from fhir_trial.sync.compare import digest
from fhir_trial.sync.decide import Choices
from fhir_trial.sync.failures import Interrupted
from fhir_trial.sync.journal import Journal
from fhir_trial.sync.profile import Profile
from fhir_trial.sync.pull import pull_to_memory
from fhir_trial.testing.memory_server import MemoryServer

NAMES = st.sampled_from("abc")
VALUES = st.integers(0, 2)
STEPS = ("begin", "close_request", "remember")


def resource(name: str, value: int) -> dict:
    identifier = [{"system": "urn:o", "value": name}]
    return {"resourceType": "Observation", "id": f"o-{name}", "identifier": identifier, "status": "final", "valueInteger": value}


class Killed(BaseException):
    """The process is gone: nothing catches it and nothing cleans up."""


@dataclass
class Known:
    """What is remembered of one resource: the values that both sides had, and those sent since whose answer was lost."""

    base: tuple[int, int] | None = None
    sent: set[int] = field(default_factory=set)

    def decides(self, ours: int, theirs: int | None) -> str:
        """What a push must do."""
        if theirs is None:
            return "write"
        if ours == theirs:
            return "agree"
        if self.base is not None and theirs == self.base[1]:
            accepted = self.base[0] != self.base[1]
            return "leave" if accepted and ours == self.base[0] else "write"
        if theirs in self.sent:
            return "conflict" if self.base is not None and self.base[0] != self.base[1] else "write"
        return "write" if self.base is None and not self.sent else "conflict"


class Sync(RuleBasedStateMachine):
    @initialize(
        transactions=st.booleans(), identity=st.sampled_from(["client-id", "conditional", "search-first"]), piece=st.sampled_from([1, 1000])
    )
    def start(self, transactions: bool, identity: str, piece: int) -> None:
        self.pieces = pieces_of(piece)
        self.pieces.__enter__()
        self.folder = tempfile.TemporaryDirectory()
        self.server = MemoryServer(transactions=transactions)
        self.journal = Journal(Path(self.folder.name) / "journal.sqlite")
        profile = Profile(identity=identity)
        self.info = ServerInfo(self.server.base_url, "4.0.1", transactions, research_store=True, profile=profile)
        self.source: dict[str, int] = {"a": 0, "b": 1}
        self.known: dict[str, Known] = {}
        self.push_works()

    def teardown(self) -> None:
        if hasattr(self, "folder"):
            self.journal.close()
            self.folder.cleanup()
            self.pieces.__exit__(None, None, None)

    def held(self) -> dict[str, int]:
        return {row["identifier"][0]["value"]: row["valueInteger"] for row in self.server.held.values()}

    def push(self, send, **choices: object):
        rows = [resource(name, value) for name, value in self.source.items()]
        return run(pushing.push(rows, self.info, self.journal, Choices(**choices)), send)

    def decisions(self) -> dict[str, str]:
        before = self.held()
        return {name: self.known.get(name, Known()).decides(value, before.get(name)) for name, value in self.source.items()}

    @rule(name=NAMES, value=VALUES)
    def edit(self, name: str, value: int) -> None:
        self.source[name] = value

    @rule(name=NAMES)
    def leave_out(self, name: str) -> None:
        self.source.pop(name, None)

    @rule(name=NAMES, value=VALUES, ours=st.none() | VALUES)
    def both_edit_and_push(self, name: str, value: int, ours: int | None) -> None:
        """The heart of it, so often: someone else edits, we may too, and a push must tell whose change it is."""
        self.someone_else_edits(name, value)
        if ours is not None:
            self.edit(name, ours)
        self.push_works()

    @rule(name=NAMES, value=VALUES)
    def someone_else_edits(self, name: str, value: int) -> None:
        for place, row in list(self.server.held.items()):
            if row["identifier"][0]["value"] == name:
                changed = {**resource(name, value), "id": row["id"]}
                self.server.handle(Request("PUT", place, body=encode(changed)))

    @rule(name=NAMES)
    def someone_else_deletes(self, name: str) -> None:
        for place, row in list(self.server.held.items()):
            if row["identifier"][0]["value"] == name:
                self.server.handle(Request("DELETE", place))

    @rule()
    def push_works(self) -> None:
        before, decided = self.held(), self.decisions()
        report = self.push(self.server.handle)
        assert {item.id.removeprefix("o-") for item in report.conflicts} == {n for n, act in decided.items() if act == "conflict"}
        for name, act in decided.items():
            assert self.held()[name] == (self.source[name] if act in ("write", "agree") else before[name])
            if act in ("write", "agree"):
                self.known[name] = Known((self.source[name], self.source[name]))
        writes = self.server.writes
        assert self.push(self.server.handle).written == 0
        assert self.server.writes == writes

    @rule(prefer=st.sampled_from(["source", "server"]))
    def push_settles(self, prefer: str) -> None:
        before, decided = self.held(), self.decisions()
        assert self.push(self.server.handle, prefer=prefer).is_clean
        for name, act in decided.items():
            ours = self.source[name]
            there = before[name] if act in ("conflict", "leave") and prefer == "server" else ours
            assert self.held()[name] == there
            if act != "leave" or prefer == "source":
                self.known[name] = Known((ours, there))
        assert self.push(self.server.handle).is_clean

    @rule(at=st.integers(1, 6), acts=st.booleans(), lasts=st.booleans(), raises=st.booleans())
    def push_breaks(self, at: int, acts: bool, lasts: bool, raises: bool) -> None:
        count = 0

        def send(request: Request) -> Response:
            nonlocal count
            count += 1
            if count < at or (count > at and not lasts):
                return self.server.handle(request)
            response = self.server.handle(request) if acts else Response(503)
            if raises:
                raise Interrupted("broken")
            return response if request.method == "GET" and acts else Response(503)

        self._unfinished(send)

    @rule(at=st.integers(1, 12))
    def push_is_killed(self, at: int) -> None:
        """Right after any step of the journal, or after the server acted and before we know."""
        count = 0

        def step() -> None:
            nonlocal count
            count += 1
            if count == at:
                raise Killed

        def send(request: Request) -> Response:
            response = self.server.handle(request)
            if request.method != "GET":
                step()
            return response

        def then_step(method):
            def call(*arguments, **more):
                result = method(*arguments, **more)
                step()
                return result

            return call

        for name in STEPS:
            setattr(self.journal, name, then_step(getattr(self.journal, name)))
        self._unfinished(send)
        self.journal.close()
        self.journal = Journal(Path(self.folder.name) / "journal.sqlite")

    def _unfinished(self, send) -> None:
        """A push that may end anywhere: what it changed is ours, and what the journal knows is what the model knows from here on."""
        before = self.held()
        with suppress(FhirTrialError, Killed):
            self.push(send)
        for name, value in self.held().items():
            assert value in (before.get(name), self.source.get(name))
        self.known = {}
        for place, synced in self.journal.synced(self.info.base_url).items():
            name = place.removeprefix("Observation/o-")
            values = {digest(resource(name, value)): value for value in range(3)}
            first = 0 if synced.base is None else 1
            base = (values[synced.source or synced.digests[0]], values[synced.digests[0]]) if first else None
            self.known[name] = Known(base, {values[said] for said in synced.digests[first:]})

    @rule()
    def push_deletes(self) -> None:
        assert self.push(self.server.handle, delete=True, prefer="source").is_clean
        for name in set(self.known) - set(self.source):
            assert name not in self.held()
            if self.known[name].base is not None or self.info.identity("Observation") == "client-id":
                del self.known[name]
        self.known |= {name: Known((value, value)) for name, value in self.source.items()}

    @rule(at=st.integers(0, 3))
    def pull(self, at: int) -> None:
        """A pull gives what the server has; one that breaks gives an error and changes nothing."""
        writes, count = self.server.writes, 0

        def send(request: Request) -> Response:
            nonlocal count
            count += 1
            if count == at:
                raise Interrupted("broken")
            return self.server.handle(request)

        with suppress(Interrupted):
            pulled = run(pull_to_memory(["Observation"]), send).all()
            assert {row["identifier"][0]["value"]: row["valueInteger"] for row in pulled} == self.held()
        assert self.server.writes == writes

    @invariant()
    def one_copy(self) -> None:
        if hasattr(self, "server"):
            assert len(self.server.held) == len(self.held())


Sync.TestCase.settings = settings(max_examples=40, stateful_step_count=12, deadline=None)
TestSync = Sync.TestCase
