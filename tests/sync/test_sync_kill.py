"""kill -9 at random moments of a sync over real connections: the next run finds out and finishes, one copy of everything."""

import pytest
from killing import killed


@pytest.mark.parametrize("hospital", [False, True], ids=["our ids", "its ids"])
def test_one_copy_after_kills(tmp_path, hospital: bool):
    end = killed(tmp_path, 1, 120, hospital)
    assert end.is_good, end


@pytest.mark.kill
@pytest.mark.parametrize("seed", range(20))
def test_one_copy_of_two_thousand_after_kills(tmp_path, seed: int):
    end = killed(tmp_path, seed, 2000 if seed % 4 else 300, hospital=seed % 4 == 0)
    assert end.is_good, end
