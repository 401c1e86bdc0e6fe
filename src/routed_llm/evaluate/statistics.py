"""Statistics of paired scores: intervals, non-inferiority against a margin, what is missing for a verdict.

Scores lie between 0 and 1 and differences between -1 and 1; where a name says points they are hundredths.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any, Final, NamedTuple

import numpy as np
from scipy import optimize, stats

__all__ = ["FEWEST", "Paired", "compare", "interval", "missing"]

FEWEST: Final = 10
"""Examples below which there is no verdict: no interval from so few holds what it promises."""

_POWER: Final = 0.8
_RESAMPLES: Final = 9_999
_SEED: Final = 20


class Paired(NamedTuple):
    """What the pairs of one configuration say.

    Attributes:
        n: pairs.
        difference: the mean of candidate less baseline.
        low: the least that the true mean may be, at ``level``.
        high: the most.
        level: of the interval, the correction for trying several included.
        verdict: ``proven``, ``refuted`` or ``open``; see :class:`routed_llm.measures.Measured`.
        missing: further examples after which a verdict is to be expected (in four cases of five, if the
            difference stays what it is), 0 where there is one, None where the difference is at the margin.
    """

    n: int
    difference: float
    low: float
    high: float
    level: float
    verdict: str
    missing: int | None


def interval(first: Sequence[float], second: Sequence[float], level: float) -> tuple[float, float]:
    """Return a two-sided interval for the mean of ``second`` less ``first``, pair by pair.

    Scores of 0 and 1: Tango's score interval for paired proportions (Statistics in Medicine 17, 1998, 891),
    which does not collapse where nearly all pairs agree. Other scores: the bias-corrected bootstrap (BCa).
    """
    a, b = np.asarray(first, float), np.asarray(second, float)
    if set(np.unique(a)) | set(np.unique(b)) <= {0.0, 1.0}:
        return _tango(int(((b == 1) & (a == 0)).sum()), int(((a == 1) & (b == 0)).sum()), len(a), level)
    differences = b - a
    if np.ptp(differences) < 1e-12 or len(differences) < 2:
        # There is nothing to resample. Hoeffding's inequality for a range of 2 needs no spread.
        half = math.sqrt(2 * math.log(2 / (1 - level)) / max(len(differences), 1))
        mean = float(differences.mean()) if len(differences) else 0.0
        return max(mean - half, -1.0), min(mean + half, 1.0)
    found = stats.bootstrap(
        (differences,),
        np.mean,
        confidence_level=level,
        n_resamples=_RESAMPLES,
        method="BCa",
        rng=np.random.default_rng(_SEED),
    ).confidence_interval
    return float(found.low), float(found.high)


def _tango(gained: int, lost: int, n: int, level: float) -> tuple[float, float]:
    """Return the differences that the score test does not reject, of ``gained - lost`` in ``n`` pairs."""
    if not n:
        return -1.0, 1.0
    z = float(stats.norm.ppf(1 - (1 - level) / 2))

    def score(delta: float) -> float:
        linear = (2 * n - gained + lost) * delta - gained - lost
        root = math.sqrt(max(linear * linear + 8 * n * lost * delta * (1 - delta), 0.0))
        variance = n * ((root - linear) / (2 * n) + delta * (1 - delta))
        return (gained - lost - n * delta) / math.sqrt(max(variance, 1e-12))

    end = 1 - 1e-9
    low = -1.0 if score(-end) < z else float(optimize.brentq(lambda x: score(x) - z, -end, end))
    high = 1.0 if score(end) > -z else float(optimize.brentq(lambda x: score(x) + z, -end, end))
    return low, high


def missing(differences: Any, margin: float, level: float) -> int | None:
    """Return how many more examples are to be expected to settle whether the margin holds."""
    n = len(differences)
    mean, spread = float(np.mean(differences)), float(np.std(differences, ddof=1)) if n > 1 else 0.5
    spread = max(spread, math.sqrt(1 / n) / 2)  # a few pairs that all agree say little of the spread
    z = float(stats.norm.ppf(1 - (1 - level) / 2))
    power = float(stats.norm.ppf(_POWER))
    # To be proven it must stay clear of the margin; to be refuted, of no difference.
    away = mean + margin if mean > -margin else -mean
    if away < margin / 20:
        return None
    return max(math.ceil(((z + power) * spread / away) ** 2) - n, 1)


def compare(
    pairs: Sequence[tuple[Sequence[float], Sequence[float]]], margin: float, level: float = 0.95
) -> list[Paired]:
    """Test several configurations for non-inferiority, and return what is found of each in its place.

    Holm's step-down: the clearest case is held to ``1 - (1 - level) / m``, the next to ``m - 1``, and so on
    while each is proven; so at most half of ``1 - level`` of such comparisons hold a wrong *proven*, however
    many configurations are tried.

    Args:
        pairs: of each configuration the baseline's scores and its own, in the same order of examples.
        margin: by how much it may be worse, from 0 to 1.
        level: of a single two-sided interval.
    """

    def clear(place: int) -> float:
        d = np.subtract(pairs[place][1], pairs[place][0])
        if len(d) < FEWEST:
            return -math.inf
        return (float(d.mean()) + margin) / max(float(d.std()), 1e-9) * math.sqrt(len(d))

    found: dict[int, Paired] = {}
    left = len(pairs)
    for place in sorted(range(len(pairs)), key=clear, reverse=True):
        first, second = pairs[place]
        at = 1 - (1 - level) / max(left, 1)
        low, high = interval(first, second, at)
        d = np.subtract(second, first)
        verdict = "open"
        if len(d) >= FEWEST:
            verdict = "proven" if low > -margin else "refuted" if high < 0 else "open"
        if verdict == "proven":
            left -= 1
        need = 0 if verdict != "open" else missing(d, margin, at) if len(d) else FEWEST
        mean = float(d.mean()) if len(d) else 0.0
        found[place] = Paired(len(d), mean, low, high, at, verdict, need)
    return [found[place] for place in range(len(pairs))]
