"""Resources on disk: everything once, what is referred to first, circles whole, and nothing left behind."""

import os
import random
import subprocess
import sys
import textwrap
from pathlib import Path

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from fhir_trial.errors import InputError
from fhir_trial.sync.order import groups
from fhir_trial.sync.spool import Spool

names = st.sampled_from([f"Basic/{n}" for n in range(12)])
graphs = st.dictionaries(names, st.lists(names | st.just("Patient/outside"), max_size=4), max_size=12)


def resource(place: str, targets: list[str]) -> dict:
    kind, _, identity = place.partition("/")
    return {"resourceType": kind, "id": identity, "list": [{"reference": target} for target in targets]}


def placed(pieces: list[list[dict]]) -> list[list[str]]:
    return [[f"{row['resourceType']}/{row['id']}" for row in piece] for piece in pieces]


BEHIND_A_CIRCLE = {"Basic/3": ["Basic/2"], "Basic/2": ["Basic/1"], "Basic/1": ["Basic/0"], "Basic/0": ["Basic/1"], "Basic/4": ["Basic/4"]}


@given(graphs, st.integers(1, 5))
@example(BEHIND_A_CIRCLE, 1)
def test_everything_once_targets_first_and_no_circle_split(graph, size):
    with Spool.of(resource(place, targets) for place, targets in graph.items()) as spool:
        pieces, backwards = placed(list(spool.pieces(size))), placed(list(spool.pieces_backwards(size)))
        assert sorted(spool.outside()) == sorted({t for targets in graph.values() for t in targets} - graph.keys())
        assert len(spool) == len(graph)
    for found, is_forward in ((pieces, True), (backwards, False)):
        at = {place: number for number, piece in enumerate(found) for place in piece}
        assert sorted(place for piece in found for place in piece) == sorted(graph)
        for place, targets in graph.items():
            for target in set(targets) & graph.keys():
                assert at[target] <= at[place] if is_forward else at[place] <= at[target]
        for group in groups(graph):
            assert len({at[place] for place in group}) == 1
        largest = max((len(group) for group in groups(graph)), default=1)
        assert all(0 < len(piece) < size + largest for piece in found)


@given(graphs)
def test_the_smallest_pieces_are_the_circles_and_what_is_in_none(graph):
    with Spool.of(resource(place, targets) for place, targets in graph.items()) as spool:
        pieces = placed(list(spool.pieces(1)))
    assert sorted(map(sorted, pieces)) == sorted(groups(graph))


@given(graphs, st.randoms(use_true_random=False))
def test_the_same_input_makes_the_same_pieces(graph, draw: random.Random):
    rows = [resource(place, targets) for place, targets in graph.items()]
    draw.shuffle(rows)
    with Spool.of(rows) as one, Spool.of(rows) as two:
        assert list(one.pieces(3)) == list(two.pieces(3))


@pytest.mark.parametrize("ends", [[], ["Basic/00000"]], ids=["chain", "circle"])
def test_a_chain_or_a_circle_as_long_as_the_data(ends: list[str]):
    last = 3_000
    graph = {f"Basic/{n:05}": [f"Basic/{n + 1:05}"] if n < last else ends for n in range(last + 1)}
    with Spool.of(resource(place, targets) for place, targets in graph.items()) as spool:
        pieces = placed(list(spool.pieces(1000)))
    if ends:
        assert [len(piece) for piece in pieces] == [last + 1]
    else:
        assert [place for piece in pieces for place in piece] == sorted(graph, reverse=True)


def test_what_is_about_one_patient_stands_together():
    rows = [{"resourceType": "Observation", "id": f"{n}", "subject": {"reference": f"Patient/{n % 3}"}} for n in range(9)]
    with Spool.of(rows) as spool:
        assert [[row["id"] for row in piece] for piece in spool.pieces(3)] == [["0", "3", "6"], ["1", "4", "7"], ["2", "5", "8"]]


def test_numbers_and_members_come_back_as_they_were_and_a_repetition_is_one():
    row = {"resourceType": "Basic", "id": "a", "value": 1.50, "code": {"text": "ä"}}
    again = {"code": {"text": "ä"}, "value": 1.5, "id": "a", "resourceType": "Basic"}
    with Spool.of([row, again]) as spool:
        assert list(spool.pieces(1000)) == [[row]]


def test_every_resource_without_one_identity_is_named_by_its_row_and_nothing_of_it():
    rows = [{"resourceType": "Basic", "id": "a", "name": "Smith"}, {"id": "b"}, {"resourceType": "Basic", "id": "a", "name": "Jones"}]
    with pytest.raises(InputError) as refused:
        Spool.of(rows)
    assert [(finding.code, finding.row) for finding in refused.value.findings] == [("no-identity", 2), ("duplicate-id", 3)]
    assert "Smith" not in str(refused.value) + repr(refused.value.findings)


def test_keys_are_found_by_our_place_and_by_the_servers():
    one, two = ({"resourceType": "Basic", "id": name, "identifier": [{"system": "urn:b", "value": name}]} for name in "ab")
    with Spool.of([one, two, resource("Basic/c", [])]) as spool:
        assert not spool.where
        spool.where["Basic/a"] = "Basic/9"
        assert dict(spool.keys) == {"Basic/a": "urn:b|a", "Basic/b": "urn:b|b", "Basic/9": "urn:b|a"}
        assert (dict(spool.where), len(spool.where), len(spool.keys), bool(spool.where)) == ({"Basic/a": "Basic/9"}, 1, 3, True)
        assert (spool.where.pop("Basic/a", None), spool.where.pop("Basic/a", None)) == ("Basic/9", None)
        assert "Basic/b" in spool
        assert "Basic/9" not in spool


def test_nothing_is_left_on_the_disk_even_while_it_is_open(tmp_path):
    script = textwrap.dedent("""
        import os
        from fhir_trial.sync.spool import Spool
        with Spool.of({"resourceType": "Basic", "id": f"{n}", "text": "x" * 20_000} for n in range(2_000)) as spool:
            held = [os.readlink(f"/proc/self/fd/{fd}") for fd in os.listdir("/proc/self/fd") if os.path.islink(f"/proc/self/fd/{fd}")]
            print(sum(name.endswith("(deleted)") for name in held), len(list(spool.pieces(1000))))
    """)
    if not Path("/proc/self/fd").exists():
        pytest.skip("needs Linux's list of open files")
    environment = {**os.environ, "SQLITE_TMPDIR": str(tmp_path)}
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True, env=environment)
    assert done.stdout == "1 2\n"
    assert list(tmp_path.iterdir()) == []
