"""Source, server and journal against a model: edits on both sides, pushes that break anywhere, settling, deletion."""

from contextlib import suppress

import hypothesis.strategies as st
from hypothesis import settings
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from fhir_trial.errors import FhirTrialError
from fhir_trial.fhir.http import Request, Response, run
from fhir_trial.fhir.json import encode
from fhir_trial.sync import push as pushing
from fhir_trial.sync.capability import ServerInfo
from fhir_trial.sync.compare import digest
from fhir_trial.sync.decide import Choices
from fhir_trial.sync.failures import Interrupted
from fhir_trial.sync.journal import Journal
from fhir_trial.testing.memory_server import MemoryServer

NAMES = st.sampled_from("abcde")
VALUES = st.integers(0, 3)


def resource(name: str, value: int) -> dict:
    return {"resourceType": "Observation", "id": f"o-{name}", "status": "final", "valueInteger": value}


class Sync(RuleBasedStateMachine):
    @initialize(transactions=st.booleans())
    def start(self, transactions: bool) -> None:
        self.server, self.journal = MemoryServer(transactions=transactions), Journal(":memory:")
        self.info = ServerInfo(self.server.base_url, "4.0.1", transactions, research_store=True)
        self.source: dict[str, int] = {}
        self.ours: dict[str, set[int]] = {}
        """What of the server's values may be our writing."""

    def held(self) -> dict[str, int]:
        return {place.partition("/o-")[2]: row["valueInteger"] for place, row in self.server.held.items()}

    def push(self, send, **choices: object):
        rows = [resource(name, value) for name, value in self.source.items()]
        return run(pushing.push(rows, self.info, self.journal, Choices(**choices)), send)

    @rule(name=NAMES, value=VALUES)
    def edit(self, name: str, value: int) -> None:
        self.source[name] = value

    @rule(name=NAMES)
    def leave_out(self, name: str) -> None:
        self.source.pop(name, None)

    @rule(name=NAMES, value=VALUES)
    def someone_else_edits(self, name: str, value: int) -> None:
        if name in self.held():
            self.server.handle(Request("PUT", f"Observation/o-{name}", body=encode(resource(name, value))))

    @rule()
    def push_works(self) -> None:
        before, source = self.held(), dict(self.source)
        expected = {
            name
            for name, value in source.items()
            if name in before and before[name] != value and self.ours.get(name) and before[name] not in self.ours[name]
        }
        report = self.push(self.server.handle)
        assert {item.id.removeprefix("o-") for item in report.conflicts} == expected
        for name, value in source.items():
            assert self.held()[name] == (before[name] if name in expected else value)
            if name not in expected:
                self.ours[name] = {value}
        writes = self.server.writes
        assert self.push(self.server.handle).written == 0
        assert self.server.writes == writes

    @rule(prefer=st.sampled_from(["source", "server"]))
    def push_settles(self, prefer: str) -> None:
        report = self.push(self.server.handle, prefer=prefer)
        assert report.is_clean
        for name, value in self.source.items():
            if prefer == "source":
                assert self.held()[name] == value
            if self.held()[name] == value:
                self.ours[name] = {value}

    @rule(at=st.integers(1, 4), acts=st.booleans(), lasts=st.booleans(), raises=st.booleans())
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

        for name, value in self.source.items():
            self.ours.setdefault(name, set()).add(value)
        before = self.held()
        with suppress(FhirTrialError):
            self.push(send)
        for name, value in self.held().items():
            assert value in (before.get(name), self.source.get(name))
        # What the journal takes for ours is what the model does: all that was ever sent there and not settled since.
        known = self.journal.synced(self.info.base_url)
        self.ours = {name: values for name, values in self.ours.items() if f"Observation/o-{name}" in known}
        self._narrow()

    def _narrow(self) -> None:
        """Drop from the model what was not sent: a broken push may have ended before it."""
        known = self.journal.synced(self.info.base_url)
        for name, values in self.ours.items():
            digests = known[f"Observation/o-{name}"].digests
            self.ours[name] = {value for value in values if digest(resource(name, value)) in digests}

    @rule()
    def push_deletes(self) -> None:
        report = self.push(self.server.handle, delete=True, prefer="source")
        assert report.is_clean
        for name in set(self.ours) - set(self.source):
            assert name not in self.held()
            del self.ours[name]
        self.ours |= {name: {value} for name, value in self.source.items()}

    @invariant()
    def one_copy(self) -> None:
        assert set(self.held()) <= set("abcde")


Sync.TestCase.settings = settings(max_examples=25, stateful_step_count=10, deadline=None)
TestSync = Sync.TestCase
