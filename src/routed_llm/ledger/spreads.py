"""How far bills lie from what was expected: running quantiles of paid over estimated."""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping
from math import ceil
from typing import Any, Final

from routed_llm.usage import QUANTILES, Spread

__all__ = ["SpreadLearner"]

_KEPT: Final = 100
"""Latest calls of a kind that quantiles are taken of."""

_FEWEST: Final = 30
"""Calls from which a kind's own quantiles hold: fewer say nothing of one call in twenty."""

_EVERY: Final = 8
"""Calls between two looks at them."""

_KINDS: Final = 512

_STEP: Final = 0.01
"""How far a quantile is moved by a call that lay outside: where calls drift, the latest of them say too
little of the next, so what was missed is made up for (adaptive conformal inference, arXiv 2106.00170)."""


class SpreadLearner:
    """Learns from finished calls alone; its owner holds the lock."""

    def __init__(self) -> None:
        self.value: Mapping[Any, Spread] = {}
        self._seen: dict[Any, deque[float]] = {}
        self._due: dict[Any, int] = {}
        self._shares: dict[Any, list[float]] = {}

    def learn(self, names: tuple[Any, ...], paid: int, estimated: int) -> bool:
        """Take in what a call cost, and say whether :attr:`value` is another one now.

        Args:
            names: the kinds that it belongs to, narrow and wide.
            paid: picodollars billed.
            estimated: picodollars that were expected.
        """
        moved = False
        for name in names:
            seen = self._seen.get(name)
            if seen is None:
                if len(self._seen) >= _KINDS:
                    oldest = next(iter(self._seen))
                    del self._seen[oldest], self._due[oldest], self._shares[oldest]
                seen = self._seen[name] = deque(maxlen=_KEPT)
                self._due[name], self._shares[name] = _FEWEST, list(QUANTILES)
            self._adapt(name, paid / estimated)
            seen.append(paid / estimated)
            self._due[name] -= 1
            if self._due[name] <= 0:
                self._due[name] = _EVERY
                known = {key: one for key, one in self.value.items() if key in self._seen}
                self.value = {**known, name: _spread(sorted(seen), self._shares[name])}
                moved = True
        return moved

    def _adapt(self, name: Any, ratio: float) -> None:
        """Move the quantiles by whether a call lay within them."""
        before, shares = self.value.get(name), self._shares[name]
        if before is not None:
            for place, (wanted, most) in enumerate(zip(QUANTILES, before, strict=True)):
                moved = shares[place] + _STEP * (wanted - (ratio <= most))
                shares[place] = min(max(moved, 0.0), 1.0)


def _spread(ratios: list[float], shares: list[float]) -> Spread:
    """Take the quantiles."""
    last = len(ratios) - 1
    return Spread(*[ratios[min(max(ceil(share * (last + 2)) - 1, 0), last)] for share in shares])
