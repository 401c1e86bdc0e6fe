"""Bounds on a mean that hold at every moment at once, so that one may look after each call and stop at will.

Empirical Bernstein confidence sequences: Howard, Ramdas, McAuliffe, Sekhon, "Time-uniform, nonparametric,
nonasymptotic confidence sequences" (Annals of Statistics 49, 2021, 1055), theorem 4, with a discrete mixture
over lambda (section 3.4). What is bounded is the mean of what was to be expected of each value, given those
before it: values may hang together, and the mean may drift.
"""

from __future__ import annotations

import math
from typing import Final, NamedTuple

__all__ = ["Evidence", "bounds"]

WIDTH: Final = 2.0
"""Values lie from -1 to 1."""

_RATES: Final = tuple(0.45 * 2 ** (-step / 2) for step in range(12))
"""Of the mixture, below 1 / WIDTH: the bound is tightest where the values have a sum of squares from about 10
(rate 0.45) to 10,000 (rate 0.01), and holds everywhere."""

_COSTS: Final = tuple((-math.log(1 - WIDTH * rate) - WIDTH * rate) / WIDTH**2 for rate in _RATES)


class Evidence(NamedTuple):
    """What is kept of values between -1 and 1. What several processes have seen may be added up.

    Attributes:
        n: values.
        total: their sum.
        squares: the sum of squared distances, each from the mean of those before it.
    """

    n: int = 0
    total: float = 0.0
    squares: float = 0.0

    def and_value(self, value: float) -> Evidence:
        """Return the evidence with one more value."""
        guess = self.total / (self.n + 1)  # as if one value of 0 had been there before
        return Evidence(self.n + 1, self.total + value, self.squares + (value - guess) ** 2)

    def plus(self, other: Evidence) -> Evidence:
        """Return what both have seen. Each went by its own mean, which is all that the bound asks for."""
        return Evidence(self.n + other.n, self.total + other.total, self.squares + other.squares)


def bounds(seen: Evidence, alpha: float) -> tuple[float, float]:
    """Return the least and the most that the mean may be: both hold at all times with 1 - ``alpha``.

    Args:
        seen: the evidence.
        alpha: the probability of ever being wrong, on either side.
    """
    if not seen.n:
        return -1.0, 1.0
    half = _reach(seen.squares, alpha / 2) / seen.n
    mean = seen.total / seen.n
    return max(mean - half, -1.0), min(mean + half, 1.0)


def _reach(squares: float, alpha: float) -> float:
    """Return how far a sum may be from what was expected: where the mixture reaches 1 / alpha."""
    goal = math.log(len(_RATES) / alpha)
    high = min((goal + cost * squares) / rate for rate, cost in zip(_RATES, _COSTS, strict=True))
    low = 0.0
    for _ in range(40):
        middle = (low + high) / 2
        parts = [rate * middle - cost * squares for rate, cost in zip(_RATES, _COSTS, strict=True)]
        most = max(parts)
        if most + math.log(sum(math.exp(part - most) for part in parts)) < goal:
            low = middle
        else:
            high = middle
    return high
