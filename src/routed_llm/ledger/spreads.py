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

_EVERY: Final = 4
"""Calls between two looks at them."""

_KINDS: Final = 512

_STEP: Final = 0.02
"""How far the quantiles are moved by a call that lay outside: where calls drift, the latest of them say too
little of the next, so what was missed is made up for (adaptive conformal inference, arXiv 2106.00170). They
are moved for all kinds together: what is missed of kinds that change is made up for by those that do not."""


class _Kind:
    """What was seen of one kind of call."""

    __slots__ = ("due", "seen")

    def __init__(self) -> None:
        self.seen: deque[float] = deque(maxlen=_KEPT)
        self.due = _FEWEST

    def add(self, ratio: float) -> bool:
        """Take in a call, and say whether it is time for a look at them."""
        self.seen.append(ratio)
        self.due -= 1
        if self.due > 0:
            return False
        self.due = _EVERY
        return True


class SpreadLearner:
    """Learns from finished calls alone; its owner holds the lock."""

    def __init__(self) -> None:
        self.value: Mapping[Any, Spread] = {}
        self._kinds: dict[Any, _Kind] = {}
        self._shares = list(QUANTILES)

    def learn(self, names: tuple[Any, ...], paid: int, estimated: int) -> bool:
        """Take in what a call cost, and say whether :attr:`value` is another one now.

        Args:
            names: the kinds that it belongs to, narrow and wide.
            paid: picodollars billed.
            estimated: picodollars that were expected.
        """
        ratio, found = paid / estimated, dict[Any, Spread]()
        self._adapt(names, ratio)
        for name in names:
            kind = self._kinds.get(name)
            if kind is None:
                if len(self._kinds) >= _KINDS:
                    del self._kinds[next(iter(self._kinds))]
                kind = self._kinds[name] = _Kind()
            if kind.add(ratio):
                found[name] = _spread(sorted(kind.seen), self._shares)
        if found:
            known = {key: one for key, one in self.value.items() if key in self._kinds}
            self.value = {**known, **found}
        return bool(found)

    def _adapt(self, names: tuple[Any, ...], ratio: float) -> None:
        """Move the quantiles by whether a call lay within what was said of it."""
        value = self.value
        before = next((value[name] for name in names if name in value), None) if value else None
        if before is None:
            return
        shares = self._shares
        for place, wanted in enumerate(QUANTILES):
            moved = shares[place] + _STEP * (wanted - (ratio <= before[place]))
            shares[place] = 0.0 if moved < 0.0 else 1.0 if moved > 1.0 else moved


def _spread(ratios: list[float], shares: list[float]) -> Spread:
    """Take the quantiles."""
    last = len(ratios) - 1
    return Spread(*[ratios[min(max(ceil(share * (last + 2)) - 1, 0), last)] for share in shares])
