"""How often another call goes on from a call, so that it reads what this one wrote to a cache."""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping
from typing import Final, NamedTuple

from routed_llm.usage import Returns

__all__ = ["ReturnLearner"]

_KNOWN: Final = 24
"""Calls that have been waited for before a share is known; nothing goes past a cache before."""

_WAITED: Final = 5
"""The span of :data:`_SPANS` that they have reached: 32 calls have come after them."""

_PATIENT: Final = 9
"""The span that they must have reached where a call was gone on from at all: 512 calls. Pauses are long where
people think, and what was not written by then is paid for in full when they return."""

_SPANS: Final = 13
"""Spans of waiting: up to 2, 4, 8 and so on calls after a call, 8,192 at most."""

_FEWEST: Final = 8
"""Calls that must have reached a span before it says anything."""

_MEMORY: Final = 1_024.0
"""Calls after which older ones count half: programs change."""

_CALLS: Final = 8_192
"""Latest calls in which a follow-up finds the one that it goes on from."""

_EVERY: Final = 4
"""Calls between two looks at the shares."""

_PURPOSES: Final = 256
_MOVES: Final = 0.02
"""Change of a share below which its value stays the same."""


class _Call:
    __slots__ = ("at", "followed", "share", "span", "weight")

    def __init__(self, at: int, share: _Share, tokens: int) -> None:
        self.at = at
        self.share = share
        self.weight = share.weigh(tokens)
        self.span = 0
        self.followed = False


class _Share:
    """Calls of a purpose, first or later ones, by how long another one has been waited for.

    Conversations pause for as long as people think: of most calls it is not known yet whether they will be
    gone on from. So it is counted how many calls reached each span of waiting, and of how many the waiting
    ended in it (the product-limit estimate of Kaplan and Meier, 1958), in spans that double. A call counts by
    its tokens, for it is those that are written and read.
    """

    __slots__ = ("calls", "followed", "open", "reached", "read", "tokens", "waiting")

    def __init__(self) -> None:
        self.reached = [0.0] * _SPANS
        self.followed = [0.0] * _SPANS
        self.open = [0.0] * _SPANS
        self.read = 0.0
        self.calls = self.tokens = 0
        self.waiting: list[deque[_Call]] = [deque() for _ in range(_SPANS)]

    def weigh(self, tokens: int) -> float:
        """Return what a call of so many tokens counts for, beside others."""
        self.calls += 1
        self.tokens += tokens
        return tokens * self.calls / self.tokens if self.tokens else 1.0

    def add(self, call: _Call, now: int, read: float) -> None:
        """Take in a call, and let those before it wait for longer."""
        if self.reached[0] >= _MEMORY:
            for counts in (self.reached, self.followed, self.open):
                counts[:] = [count / 2 for count in counts]
            self.read /= 2
        self.read += read * call.weight
        self._wait(call, 0)
        for span, calls in enumerate(self.waiting):
            while calls and now - calls[0].at >= 2 << span:
                waited = calls.popleft()
                if not waited.followed:
                    self.open[span] = max(self.open[span] - waited.weight, 0.0)
                    if span + 1 < _SPANS:
                        self._wait(waited, span + 1)

    def _wait(self, call: _Call, span: int) -> None:
        call.span = span
        self.reached[span] += call.weight
        self.open[span] += call.weight
        self.waiting[span].append(call)

    def end(self, call: _Call, lag: int) -> None:
        """Count a call as gone on from after so many others."""
        call.followed = True
        self.open[call.span] = max(self.open[call.span] - call.weight, 0.0)
        ended = min(max(lag.bit_length() - 1, call.span), _SPANS - 1)
        for span in range(call.span + 1, ended + 1):
            self.reached[span] += call.weight
        self.followed[ended] += call.weight

    def value(self, reach: int) -> float | None:
        """Return the share of calls from which another one goes on, what first calls read of others added.

        Args:
            reach: calls that come within a cache's life. As long as nothing has been waited for that long, it
                is taken to go on as it did in the last two spans: pauses have no usual length, so that as
                many end while a time doubles, whatever the time.
        """
        returns = sum(self.followed)
        if self.reached[_WAITED] + sum(self.followed[:_WAITED]) < _KNOWN:
            return None
        if returns + self.read and self.reached[_PATIENT] + returns < _KNOWN:
            return None
        left, last = 1.0, 0
        seen: list[tuple[float, float]] = []
        for span, (reached, followed, still) in enumerate(
            zip(self.reached, self.followed, self.open, strict=True)
        ):
            # Who is waited for within the span has been so for half of it.
            waited = reached - still / 2
            if waited >= _FEWEST:
                left *= max(1 - followed / waited, 0.0)
                last = span
                seen.append((followed, waited))
        ahead = min(reach.bit_length(), _SPANS) - 1 - last
        if ahead > 0:
            ended, waited = (sum(counts) for counts in zip(*seen[-2:], strict=True))
            left *= max(1 - ended / waited, 0.0) ** ahead
        return min(1 - left + self.read / self.reached[0], 1.0)


class _Purpose(NamedTuple):
    first: _Share
    later: _Share


class ReturnLearner:
    """Learns from finished calls alone; its owner holds the lock.

    A follow-up names the model that answered before and the input tokens that it reported
    (:class:`routed_llm.Previous`); by these the call is found. Where it is not, first and later calls share
    the follow-up by how many there are of each. What a first call reads, instructions or a document, another
    first call has written; where that was sent past the cache, what it would have read counts.
    """

    def __init__(self) -> None:
        self.value: Mapping[object, Returns] = {}
        self._purposes: dict[object, _Purpose] = {}
        self._latest: dict[tuple[str, int], _Call] = {}
        self._calls = 0

    def learn(
        self,
        purpose: object,
        model: str,
        tokens: int,
        previous: tuple[str, int] | None,
        *,
        is_late: bool = False,
        read: float = 0.0,
        reach: int = 0,
    ) -> bool:
        """Take in one finished call, and say whether :attr:`value` is another one now.

        Args:
            purpose: what sort of conversation it is part of.
            model: who answered.
            tokens: input tokens that were reported.
            previous: the model that answered the turn before and the tokens that it read; None for a first
                call.
            is_late: whether the cache has let go of that by now.
            read: share of the tokens that were read from a cache, or would have been, had what was sent
                before been written to it.
            reach: calls that come within a cache's life, as quickly as they have come until now.
        """
        self._calls += 1
        kept = self._of(purpose)
        if previous is not None and not is_late:
            self._follow(kept, previous)
        share = kept.first if previous is None else kept.later
        call = _Call(self._calls, share, tokens)
        share.add(call, self._calls, read if previous is None else 0.0)
        self._latest[model, tokens] = call
        if len(self._latest) > _CALLS:
            del self._latest[next(iter(self._latest))]
        # Shares move slowly: it is enough to look at some of the calls.
        return self._calls % _EVERY == 0 and self._publish(purpose, kept, reach)

    def _follow(self, kept: _Purpose, previous: tuple[str, int]) -> None:
        """Count a call as one that another went on from."""
        found = self._latest.get(previous)
        if found is None:
            first, later = kept.first.reached[0], kept.later.reached[0]
            part = first / max(first + later, 1.0)
            kept.first.followed[0] += part
            kept.later.followed[0] += 1 - part
        elif not found.followed:  # a second answer to the same reads the cache again, but was counted
            found.share.end(found, self._calls - found.at)

    def _of(self, purpose: object) -> _Purpose:
        kept = self._purposes.get(purpose)
        if kept is None:
            if len(self._purposes) >= _PURPOSES:
                del self._purposes[next(iter(self._purposes))]
            kept = self._purposes[purpose] = _Purpose(_Share(), _Share())
        return kept

    def _publish(self, purpose: object, kept: _Purpose, reach: int) -> bool:
        now = Returns(kept.first.value(reach), kept.later.value(reach))
        before = self.value.get(purpose)
        if before is not None and all(
            one is other or (one is not None and other is not None and abs(one - other) <= _MOVES)
            for one, other in zip(before, now, strict=True)
        ):
            return False
        known = {name: one for name, one in self.value.items() if name in self._purposes}
        self.value = {**known, purpose: now}
        return True
