"""PiecewiseChoice: the choice along the token count, for requests that differ in nothing else. Pure.

Between two breakpoints every cost is a straight line and every constraint has one answer, so a configuration
that is chosen at both ends of such a span is chosen throughout. Where two change places between breakpoints,
because their costs cross or one of them passes a limit on cost, the place is found by halving.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from routed_llm.decide.alternatives import Alternatives
    from routed_llm.decide.choice import Choice

__all__ = ["BEYOND", "PiecewiseChoice", "name_of", "pieces", "remember"]

_KEPT: Final = 512
BEYOND: Final = 10**9
"""More tokens than any window has: the far end of the last span."""


class PiecewiseChoice:
    """Choices by span, each worked out when it is first asked for. Safe to share between threads.

    Attributes:
        amounts: what the choices hold for: expected output and what was observed.
        breakpoints: text token counts that bound the spans, in ascending order.
        alternatives: how the other configurations stand, by span; kept as long.
        turns: text token counts beyond which the choice changes, once they have been worked out.
    """

    __slots__ = ("_choices", "alternatives", "amounts", "breakpoints", "turns")

    def __init__(self, amounts: tuple[Any, ...]) -> None:
        self.amounts = amounts
        self.breakpoints: Sequence[int] | None = None
        self.alternatives: dict[int, Alternatives] = {}
        self.turns: list[int] | None = None
        self._choices: dict[int, Choice | None] = {}

    def span(self, tokens: int) -> int:
        """Return the number of the span that a text token count lies in."""
        return bisect_left(self.breakpoints or (), tokens)

    def first(self, span: int) -> int:
        """Return the least text token count of a span."""
        return (self.breakpoints or ())[span - 1] + 1 if span else 0

    def choice(self, low: int, high: int, choose: Callable[[int], Choice]) -> Choice | None:
        """Return the choice that holds from ``low`` to ``high``; None where there may be two.

        Args:
            low: fewest text tokens.
            high: most text tokens.
            choose: chooses at a text token count.
        """
        found: Choice | None = None
        for at in range(self.span(low), self.span(high) + 1):
            if at not in self._choices:
                self._choices[at] = self._of(at, choose)
            here = self._choices[at]
            if here is None or (found is not None and name_of(here) != name_of(found)):
                return None
            found = here
        return found

    def _of(self, at: int, choose: Callable[[int], Choice]) -> Choice | None:
        """Return the choice that holds throughout a span; None where there is more than one."""
        marks = self.breakpoints or ()
        last = choose(marks[at] if at < len(marks) else BEYOND)
        return last if name_of(choose(self.first(at))) == name_of(last) else None


def pieces(marks: Sequence[int], choose: Callable[[int], Choice]) -> Iterator[tuple[int, Choice]]:
    """Yield (last token count, choice up to it) from zero on; neighbours choose different configurations.

    Args:
        marks: the token counts between which costs are straight lines, in ascending order.
        choose: chooses at a token count.
    """
    held: tuple[int, Choice] | None = None
    for piece in _spans(marks, choose):
        if held is not None and name_of(held[1]) != name_of(piece[1]):
            yield held
        held = piece
    if held is not None:
        yield held


def _spans(marks: Sequence[int], choose: Callable[[int], Choice]) -> Iterator[tuple[int, Choice]]:
    lower = 0
    for upper in (*marks, BEYOND):
        yield from _split(lower, choose(lower), upper, choose(upper), choose)
        lower = upper + 1


def _split(
    lower: int, first: Choice, upper: int, last: Choice, choose: Callable[[int], Choice]
) -> Iterator[tuple[int, Choice]]:
    if name_of(first) == name_of(last):
        yield upper, last
        return
    middle = (lower + upper) // 2
    yield from _split(lower, first, middle, choose(middle), choose)
    yield from _split(middle + 1, choose(middle + 1), upper, last, choose)


def name_of(choice: Choice) -> tuple[str, str | None] | None:
    """Return the model and the effort of a choice."""
    row = choice[0]
    return None if row is None else (row.at.model.id, row.at.effort)


def remember(kept: dict[Any, Any], key: Any, value: Any) -> None:
    """Keep a value in a bounded table, the oldest leaving first."""
    if len(kept) >= _KEPT:
        # Another thread may change the table between these two steps; then it makes the room itself.
        with suppress(StopIteration, RuntimeError):
            kept.pop(next(iter(kept)), None)
    kept[key] = value
