"""How often another call goes on from a call, so that it reads what this one wrote to a cache."""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping
from typing import Final, NamedTuple

from routed_llm.usage import Returns

__all__ = ["ReturnLearner"]

_KNOWN: Final = 24
"""Calls whose follow-ups have been waited for before a share is known; nothing goes past a cache before."""

_MEMORY: Final = 512.0
"""Calls after which older ones count half: programs change."""

_LAG: Final = 16.0
"""Calls that come between a call and the one that goes on from it, before any has been seen."""

_LAG_WEIGHT: Final = 8.0
_WAITS: Final = 3
"""How many times the usual calls between are waited for before a call counts as one that nobody followed."""

_CALLS: Final = 4_096
"""Latest calls in which a follow-up finds the one that it goes on from."""

_PURPOSES: Final = 256
_MOVES: Final = 0.02
"""Change of a share below which its value stays the same."""


class _Share:
    """Calls of a purpose, first or later ones, and how many of them another one went on from."""

    __slots__ = ("calls", "followed")

    def __init__(self) -> None:
        self.calls = self.followed = 0.0

    def add(self, followed: float) -> None:
        if self.calls >= _MEMORY:
            self.calls /= 2
            self.followed /= 2
        self.calls += 1
        self.followed += followed

    @property
    def value(self) -> float | None:
        return None if self.calls < _KNOWN else min(self.followed / self.calls, 1.0)


class _Call:
    __slots__ = ("at", "followed", "is_later", "purpose", "waits")

    def __init__(self, at: int, purpose: object, *, is_later: bool) -> None:
        self.at = at
        self.purpose = purpose
        self.is_later = is_later
        self.followed = 0.0
        self.waits = True


class _Purpose(NamedTuple):
    first: _Share
    later: _Share


class ReturnLearner:
    """Learns from finished calls alone; its owner holds the lock.

    A follow-up names the model that answered before and the input tokens that it reported
    (:class:`routed_llm.Previous`); by these the call is found. Where it is not, first and later calls share
    the follow-up by how many there are of each. A call that may still be followed does not count: for three
    times as many calls as usually come between. What a first call reads, instructions or a document, another
    first call has written.
    """

    def __init__(self) -> None:
        self.value: Mapping[object, Returns] = {}
        self._purposes: dict[object, _Purpose] = {}
        self._latest: dict[tuple[str, int], _Call] = {}
        self._waiting: deque[_Call] = deque()
        self._calls = 0
        self._lag, self._lags = _LAG * _LAG_WEIGHT, _LAG_WEIGHT

    def learn(
        self,
        purpose: object,
        model: str,
        tokens: int,
        previous: tuple[str, int] | None,
        *,
        is_late: bool = False,
        read: float = 0.0,
    ) -> bool:
        """Take in one finished call, and say whether :attr:`value` is another one now.

        Args:
            purpose: what sort of conversation it is part of.
            model: who answered.
            tokens: input tokens that were reported.
            previous: the model that answered the turn before and the tokens that it read; None for a first
                call.
            is_late: whether the cache has let go of that by now.
            read: share of the tokens that were read from a cache.
        """
        self._calls += 1
        moved = False
        if previous is not None:
            moved = not is_late and self._follow(purpose, previous)
        elif read:
            kept = self._of(purpose)
            kept.first.followed += read
            moved = self._publish(purpose, kept)
        call = _Call(self._calls, purpose, is_later=previous is not None)
        self._latest[model, tokens] = call
        if len(self._latest) > _CALLS:
            del self._latest[next(iter(self._latest))]
        self._waiting.append(call)
        while self._waiting and self._calls - self._waiting[0].at > _WAITS * self._lag / self._lags:
            done = self._waiting.popleft()
            done.waits = False
            kept = self._of(done.purpose)
            (kept.later if done.is_later else kept.first).add(done.followed)
            moved = self._publish(done.purpose, kept) or moved
        return moved

    def _follow(self, purpose: object, previous: tuple[str, int]) -> bool:
        """Count a call as one that another went on from, and say whether shares have changed."""
        found = self._latest.get(previous)
        if found is None:
            kept = self._of(purpose)
            part = kept.first.calls / max(kept.first.calls + kept.later.calls, 1.0)
            kept.first.followed += part
            kept.later.followed += 1 - part
            return self._publish(purpose, kept)
        if found.followed:
            return False  # a second answer to the same: the cache is read again, but it was counted
        found.followed = 1.0
        self._lag += self._calls - found.at
        self._lags += 1
        if found.waits:
            return False
        kept = self._of(found.purpose)
        (kept.later if found.is_later else kept.first).followed += 1
        return self._publish(found.purpose, kept)

    def _of(self, purpose: object) -> _Purpose:
        kept = self._purposes.get(purpose)
        if kept is None:
            if len(self._purposes) >= _PURPOSES:
                del self._purposes[next(iter(self._purposes))]
            kept = self._purposes[purpose] = _Purpose(_Share(), _Share())
        return kept

    def _publish(self, purpose: object, kept: _Purpose) -> bool:
        now = Returns(kept.first.value, kept.later.value)
        before = self.value.get(purpose)
        if before is not None and all(
            one is other or (one is not None and other is not None and abs(one - other) <= _MOVES)
            for one, other in zip(before, now, strict=True)
        ):
            return False
        known = {name: one for name, one in self.value.items() if name in self._purposes}
        self.value = {**known, purpose: now}
        return True
