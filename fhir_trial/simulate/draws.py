"""Random draws that are the same bytes on every platform and with every numpy: raw PCG64 bits and exact arithmetic, no libm."""

from math import fsum
from typing import TypeVar

from numpy.random import PCG64, SeedSequence

from fhir_trial.simulate.parameters import Bell

K = TypeVar("K")


class Draws:
    """One stream of draws, named by a seed and a path of numbers: a stream does not move when another one draws more.

    numpy keeps the raw bits of PCG64 the same for ever, and not what its Generator makes of them.

    >>> Draws(1, 2).uniform() == Draws(1, 2).uniform() != Draws(1, 3).uniform()
    True
    """

    def __init__(self, seed: int, *path: int) -> None:
        """Open the stream of `seed` and `path`."""
        self._bits = PCG64(SeedSequence((seed, *path)))

    def uniform(self) -> float:
        """A number from 0 to 1, 1 left out."""
        return self._whole_bits() * 2.0**-53

    def _whole_bits(self) -> int:
        return int(self._bits.random_raw()) >> 11

    def chance(self, probability: float) -> bool:
        """True with this probability."""
        return self.uniform() < probability

    def whole(self, bounds: tuple[int, int]) -> int:
        """A whole number within `bounds`, both included."""
        low, high = bounds
        return low + int(self.uniform() * (high - low + 1))

    def normal(self, mean: float, sd: float) -> float:
        """A bell-shaped draw: the sum of twelve uniform ones, which needs no logarithm and ends at six standard deviations.

        The sum is one of whole numbers: `sum` of floats differs between Python 3.11 and 3.12.
        """
        return mean + sd * (sum(self._whole_bits() for _ in range(12)) * 2.0**-53 - 6.0)

    def bell(self, shape: Bell) -> float:
        """A bell-shaped draw cut at the bounds of `shape`."""
        return min(max(self.normal(shape.mean, shape.sd), shape.low), shape.high)

    def pick(self, weights: dict[K, float]) -> K:
        """A key, in proportion to its weight."""
        left, last = self.uniform() * fsum(weights.values()), next(reversed(weights))
        for key, weight in weights.items():
            left -= weight
            if left < 0:
                return key
        return last

    def first_week(self, hazard: float, weeks: int) -> int | None:
        """The day (from 0) of the first week in which something of weekly probability `hazard` happens, if it does within `weeks`."""
        for week in range(weeks):
            if self.chance(hazard):
                return 7 * week + self.whole((0, 6))
        return None
