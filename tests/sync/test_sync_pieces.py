"""A plan made piece by piece is the plan made at once, whatever refers to what and however the server is; a sync in pieces ends alike."""

import copy
import random
import tracemalloc
from collections.abc import Iterable
from contextlib import suppress
from dataclasses import dataclass, replace

import hypothesis.strategies as st
import pytest
from hypothesis import example, given, settings
from push_data import pieces_of

from fhir_trial.errors import PartlyDone, Unreachable
from fhir_trial.fhir.http import Request, run
from fhir_trial.fhir.json import encode
from fhir_trial.sync import push as pushing
from fhir_trial.sync.capability import ServerInfo
from fhir_trial.sync.decide import Choices, Item
from fhir_trial.sync.failures import Interrupted
from fhir_trial.sync.journal import Journal
from fhir_trial.sync.plan import make_plan, plan_by_piece
from fhir_trial.sync.profile import Profile
from fhir_trial.sync.spool import Spool
from fhir_trial.testing.memory_server import MemoryServer
from fhir_trial.trial.connection import connect_embedded

PLACES = ["Patient/a", "Patient/b", *(f"Observation/{name}" for name in "cdefghi")]
OUTSIDE = ["Patient/held", "Patient/unknown"]


def resource(place: str, value: int, targets: list[str]) -> dict:
    kind, _, identity = place.partition("/")
    made = {"resourceType": kind, "id": identity, "identifier": [{"system": "urn:x", "value": place}], "valueInteger": value}
    return {**made, "focus": [{"reference": target} for target in targets]} if targets else made


graphs = st.dictionaries(
    st.sampled_from(PLACES), st.tuples(st.integers(0, 2), st.lists(st.sampled_from(PLACES + OUTSIDE), max_size=3)), max_size=len(PLACES)
)


@dataclass
class Case:
    """What was synced before, what someone else then did, and what is to be synced now, with which server."""

    before: dict
    now: dict
    edited: set[str]
    deleted: set[str]
    info: ServerInfo
    choices: Choices

    def prepared(self, journal: Journal) -> MemoryServer:
        """The server and the journal as they were when the sync began."""
        server = MemoryServer(transactions=self.info.transactions)
        server.held["Patient/held"] = {"resourceType": "Patient", "id": "held", "meta": {"versionId": "1"}}
        research = ServerInfo(self.info.base_url, "4.0.1", self.info.transactions, research_store=True, profile=self.info.profile)
        run(pushing.push(rows(self.before), research, journal), server.handle)
        for place, row in list(server.held.items()):
            name = row.get("identifier", [{}])[0].get("value")
            if name in self.edited:
                server.handle(Request("PUT", place, body=encode({**row, "valueInteger": 9})))
            elif name in self.deleted:
                server.handle(Request("DELETE", place))
        return server


def rows(graph: dict) -> list[dict]:
    return [resource(place, *said) for place, said in graph.items()]


@st.composite
def cases(draw) -> Case:
    identity = draw(st.sampled_from(["client-id", "client-id", "conditional", "search-first"]))
    info = ServerInfo(
        "http://127.0.0.1:1/fhir",
        "4.0.1",
        transactions=draw(st.booleans()),
        research_store=draw(st.booleans()),
        profile=Profile(identity=identity),
    )
    choices = Choices(draw(st.sampled_from([None, "source", "server"])), delete=draw(st.booleans()))
    some = st.sets(st.sampled_from(PLACES), max_size=3)
    return Case(draw(graphs), draw(graphs), draw(some), draw(some), info, choices)


def in_pieces(case: Case, server: MemoryServer, journal: Journal, size: int) -> list[Item]:
    with Spool.of(rows(case.now)) as ours, pieces_of(size):
        steps = plan_by_piece(ours, case.info, journal.synced(case.info.base_url), case.choices)
        return [item for step in steps for item in run(step, server.handle).items]


def decided(items: Iterable[Item]) -> list[Item]:
    """The items without the server's values: what it refers to has a business key only when its piece was read, and a place till then."""
    return [replace(item, differences=tuple(replace(d, theirs=None) for d in item.differences)) for item in items]


@settings(max_examples=200, deadline=None)
@given(cases())
def test_pieces_of_any_size_decide_the_same(case: Case):
    with Journal(":memory:") as journal:
        server = case.prepared(journal)
        whole = run(make_plan(rows(case.now), case.info, dict(journal.synced(case.info.base_url)), case.choices), server.handle)
        for size in (1, 2, 1000):
            assert decided(in_pieces(case, server, journal, size)) == decided(whole.items), size


@settings(max_examples=100, deadline=None)
@given(cases())
def test_dependents_of_what_is_refused_are_refused_and_nothing_else_for_that_reason(case: Case):
    with Journal(":memory:") as journal:
        server = case.prepared(journal)
        items = {item.place: item for item in in_pieces(case, server, journal, 2)}
    strangers = set() if case.info.research_store else {"Patient/unknown", *(set(PLACES[:2]) - set(case.now) - set(server.held))}
    lacking = {place for place, item in items.items() if item.action == "refused" and item.version is None} | strangers
    for place, (_, targets) in case.now.items():
        if items[place].action in ("create", "update"):
            assert lacking.isdisjoint(targets)
        elif items[place].reason in ("it refers to a resource that is refused", "it is about a patient whom this server does not have"):
            assert not lacking.isdisjoint(targets)


REFERS_TO_ITSELF = Case(
    before={"Observation/g": (0, ["Observation/d", "Observation/g"])},
    now={"Observation/d": (0, []), "Observation/g": (1, ["Observation/d", "Observation/g"])},
    edited=set(),
    deleted=set(),
    info=ServerInfo("http://127.0.0.1:1/fhir", "4.0.1", research_store=True, profile=Profile(identity="search-first")),
    choices=Choices(),
)
"""And to what comes only later, on a server that gives ids of its own."""


@settings(max_examples=100, deadline=None)
@example(REFERS_TO_ITSELF, 1)
@given(cases(), st.sampled_from([1, 2, 3]))
def test_syncs_in_pieces_end_as_those_at_once(case: Case, size: int):
    """After three: at once, only the second sees to what refers to something that a server made anew under another id."""
    ends = []
    for piece in (size, 1000):
        with Journal(":memory:") as journal, pieces_of(piece):
            server = case.prepared(journal)
            reports = [run(pushing.push(rows(case.now), case.info, journal, case.choices), server.handle) for _ in range(3)]
            known = sorted(journal.synced(case.info.base_url))
        ends.append((reports[-1].counts(), sorted(finding.describe() for finding in reports[-1].findings), by_key(server), known))
    assert ends[0] == ends[1]


def by_key(server: MemoryServer) -> dict:
    """What a server holds by business identifier, what it refers to too; one copy of each."""
    names = {place: row.get("identifier", [{"value": place}])[0]["value"] for place, row in server.held.items()}
    assert len(set(names.values())) == len(names)
    targets = {place: [names.get(t["reference"], "not there") for t in row.get("focus", ())] for place, row in server.held.items()}
    return {names[place]: (row.get("valueInteger"), targets[place]) for place, row in server.held.items()}


@pytest.mark.parametrize("delete", [False, True])
def test_what_a_broken_sync_in_pieces_wrote_is_kept_and_the_next_one_goes_on(delete: bool, monkeypatch):
    monkeypatch.setattr("fhir_trial.sync.plan.PIECE", 2)
    graph = {f"Observation/{n}": (0, [f"Observation/{n - 1}"] if n else []) for n in range(8)}
    draw = random.Random(0)
    for _ in range(20):
        server, left = MemoryServer(), draw.randrange(1, 12)
        info = ServerInfo(server.base_url, "4.0.1", research_store=True)
        requests = iter(range(left))

        def send(request: Request, server=server, requests=requests):
            if next(requests, None) is None:
                raise Interrupted("gone")
            return server.handle(request)

        with Journal(":memory:") as journal:
            with suppress(PartlyDone, Unreachable):
                run(pushing.push(rows(graph), info, journal, Choices(delete=delete)), send)
            held = copy.deepcopy(server.held)
            for place in held:
                assert all(target in held for target in graph[place][1])
            report = run(pushing.push(rows(graph), info, journal, Choices(delete=delete)), server.handle)
            assert (report.created + len(held), report.is_clean, server.writes) == (8, True, 8)
            assert not journal.unanswered(server.base_url)


def test_what_has_an_id_of_the_servers_own_is_found_by_it_although_someone_took_its_identifier_away():
    server, graph = MemoryServer(), {f"Observation/{n}": (0, []) for n in range(5)}
    info = ServerInfo(server.base_url, "4.0.1", research_store=True, profile=Profile(identity="search-first"))
    with Journal(":memory:") as journal:
        run(pushing.push(rows(graph), info, journal), server.handle)
        for row in server.held.values():
            del row["identifier"]
        report = run(pushing.push(rows(graph), info, journal), server.handle)
    assert (len(report.conflicts), report.created, len(server.held)) == (5, 0, 5)


@pytest.mark.thorough
def test_memory_does_not_grow_with_the_resources(tmp_path, monkeypatch):
    monkeypatch.setattr("fhir_trial.sync.plan.PIECE", 100)
    monkeypatch.setattr("fhir_trial.sync.spool.PIECE", 100)
    peaks = []
    for count in (50, 300, 1_200):  # the first reads definitions that stay
        with connect_embedded(tmp_path / f"{count}.sqlite", "r4") as connection, Journal(tmp_path / f"{count}.journal") as journal:
            for written in (count, 0):
                tracemalloc.start()
                with Spool.of(map(measurement, range(count))) as ours:
                    report = connection.run(pushing.push_spooled(ours, connection.info, journal))
                peaks.append(tracemalloc.get_traced_memory()[1])
                tracemalloc.stop()
                assert (report.written, report.findings) == (written, [])
    first, unchanged, first_of_four_times, unchanged_of_four_times = peaks[2:]
    assert first_of_four_times < 1.2 * first
    assert unchanged_of_four_times < 1.2 * unchanged


def measurement(number: int) -> dict:
    """One of many; each fifty refer to the first of them."""
    made = {"resourceType": "Observation", "id": f"o{number}", "status": "final", "code": {"text": "length"}, "valueInteger": number}
    return {**made, "derivedFrom": [{"reference": f"Observation/o{number - number % 50}"}]} if number % 50 else made
