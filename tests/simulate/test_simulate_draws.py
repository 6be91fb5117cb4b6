from collections import Counter

from fhir_trial.simulate.draws import Draws
from fhir_trial.simulate.parameters import Bell


def test_first_numbers_are_the_same_for_ever():
    """The raw bits of PCG64 are promised by numpy; what is made of them is pinned here."""
    draws = Draws(1, 2)
    assert [draws.uniform(), draws.whole((1, 6)), draws.normal(0, 1), draws.pick({"a": 1.0, "b": 3.0})] == [
        0.44841514333227195,
        3,
        0.13199191296149682,
        "a",
    ]


def test_streams_do_not_move_each_other():
    alone = Draws(7, 1)
    beside, other = Draws(7, 1), Draws(7, 2)
    other.uniform()
    assert [alone.uniform() for _ in range(5)] == [beside.uniform() for _ in range(5)]


def test_draws_have_the_shape_they_say():
    draws = Draws(3)
    normals = [draws.normal(10, 2) for _ in range(4000)]
    mean = sum(normals) / 4000
    assert abs(mean - 10) < 0.15
    assert abs(sum((x - mean) ** 2 for x in normals) / 3999 - 4) < 0.4
    assert {draws.whole((2, 4)) for _ in range(200)} == {2, 3, 4}
    picked = Counter(draws.pick({"rare": 1.0, "often": 9.0}) for _ in range(4000))
    assert 330 < picked["rare"] < 470
    assert all(1 <= draws.bell(Bell(mean=0, sd=9, low=1, high=2)) <= 2 for _ in range(50))


def test_a_hazard_gives_the_first_week():
    assert Draws(1).first_week(0.0, 500) is None
    assert Draws(1).first_week(1.0, 500) in range(7)
    days = [Draws(seed).first_week(0.1, 1000) for seed in range(1500)]
    assert abs(sum(day // 7 for day in days if day is not None) / 1500 - 9) < 1
