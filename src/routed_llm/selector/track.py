"""Track: where, along the token count, the choice among the rows of one shape changes. Pure.

Between two marks every cost is a straight line and every limit has one answer, so a row that is chosen at
both ends of such a span is chosen throughout. What a span's choice is, is worked out when it is first met.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Callable, Sequence
from contextlib import suppress
from typing import TYPE_CHECKING, Any, Final, NamedTuple

if TYPE_CHECKING:
    from routed_llm.selector.shape import Row

__all__ = ["Span", "Track", "remember"]

_KEPT: Final = 512
_BEYOND: Final = 10**9
"""More tokens than any window has: the far end of the last span."""


class Span(NamedTuple):
    """The choice between two marks.

    Attributes:
        row: the row chosen at its upper end.
        name: model and effort of that row, or None when nothing fits.
        steady: whether the choice is the same at its lower end.
    """

    row: Row | None
    name: tuple[str, str | None] | None
    steady: bool


class Track:
    """The choices along the token count, for requests that differ in nothing else. Safe to share."""

    __slots__ = ("_choose", "_spans", "_turns", "marks")

    def __init__(self, marks: Sequence[int], choose: Callable[[int], Row | None]) -> None:
        """Take what is needed to work out a span.

        Args:
            marks: the token counts beyond which the choice may change, in ascending order.
            choose: gives the row chosen at a token count.
        """
        self.marks = marks
        self._choose = choose
        self._spans: list[Span | None] = [None] * (len(marks) + 1)
        self._turns: list[int] | None = None

    def choice(self, low: int, high: int) -> tuple[Row | None, bool] | None:
        """Return the row chosen at ``high``, and whether it is the same from ``low`` on.

        None where the choice changes somewhere between two marks, so that it has to be asked for.
        """
        end = bisect_left(self.marks, high)
        last = self._spans[end] or self._span(end)
        if not last.steady:
            return None
        for index in range(bisect_left(self.marks, low), end):
            span = self._spans[index] or self._span(index)
            if not span.steady:
                return None
            if span.name != last.name:
                return last.row, False
        return last.row, True

    @property
    def turns(self) -> list[int]:
        """The marks at which the choice does change, in ascending order."""
        if self._turns is None:
            spans = [self._spans[index] or self._span(index) for index in range(len(self._spans))]
            self._turns = [
                mark
                for mark, here, there in zip(self.marks, spans, spans[1:], strict=False)
                if here.name != there.name or not (here.steady and there.steady)
            ]
        return self._turns

    def _span(self, index: int) -> Span:
        marks = self.marks
        lower = marks[index - 1] + 1 if index else 0
        upper = marks[index] if index < len(marks) else _BEYOND
        row = self._choose(upper)
        name = _name(row)
        found = Span(row, name, name == _name(self._choose(lower)))
        self._spans[index] = found
        return found


def _name(row: Row | None) -> tuple[str, str | None] | None:
    return None if row is None else (row.at.model.id, row.at.effort)


def remember(kept: dict[Any, Any], key: Any, value: Any) -> None:
    """Keep a value in a bounded table, the oldest leaving first."""
    if len(kept) >= _KEPT:
        # Another thread may change the table between these two steps; then it makes the room itself.
        with suppress(StopIteration, RuntimeError):
            kept.pop(next(iter(kept)), None)
    kept[key] = value
