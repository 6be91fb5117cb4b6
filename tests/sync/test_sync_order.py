"""Every resource after those it refers to, circles together, the same order every time."""

from hypothesis import given
from hypothesis import strategies as st

from fhir_trial.sync.order import chunks, groups, references

names = st.sampled_from([f"Basic/{n}" for n in range(12)])
graphs = st.dictionaries(names, st.lists(names, max_size=4), max_size=12)


def reach(graph: dict[str, list[str]], start: str) -> set[str]:
    seen, stack = set(), [start]
    while stack:
        for target in graph.get(stack.pop(), []):
            if target in graph and target not in seen:
                seen.add(target)
                stack.append(target)
    return seen


@given(graphs)
def test_targets_come_first_and_circles_stay_together(graph):
    found = groups(graph)
    assert sorted(place for group in found for place in group) == sorted(graph)
    position = {place: number for number, group in enumerate(found) for place in group}
    for place, targets in graph.items():
        for target in targets:
            if target in graph:
                together = place in reach(graph, target)
                assert position[target] == position[place] if together else position[target] < position[place]
    assert found == groups(dict(reversed(list(graph.items()))))


@given(graphs, st.integers(1, 5))
def test_a_chunk_never_splits_a_circle(graph, size):
    found = groups(graph)
    made = list(chunks(found, size))
    assert [place for chunk in made for place in chunk] == [place for group in found for place in group]
    assert all(any(set(group) <= set(chunk) for chunk in made) for group in found)
    assert all(len(chunk) <= max(size, *(len(group) for group in found)) for chunk in made)


def test_a_chain_as_long_as_the_data():
    graph = {f"Basic/{n:05}": [f"Basic/{n + 1:05}"] for n in range(20_000)}
    assert groups(graph)[0] == ["Basic/19999"]


def test_contained_and_logical_references_are_left_out():
    assert list(references({"a": {"reference": "#x"}, "b": [{"reference": "urn:uuid:1"}], "c": {"identifier": {"value": "1"}}})) == []
