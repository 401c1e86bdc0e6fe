"""Track: where, along the token count, the choice among the rows of one shape changes. Pure.

Between two marks every cost is a straight line and every limit has one answer, so a row that is chosen at
both ends of such a span is chosen throughout. Where two rows change places between two marks, because their
costs cross or one of them passes a limit on cost, the place is found by halving.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import suppress
from typing import TYPE_CHECKING, Any, Final, TypeAlias

if TYPE_CHECKING:
    from routed_llm.decide.shape import Row

__all__ = ["Spans", "Track", "pieces", "remember"]

_KEPT: Final = 512
_BEYOND: Final = 10**9
"""More tokens than any window has: the far end of the last span."""

_Chosen: TypeAlias = "Row | None"


class Track:
    """The choices along the token count, for requests that differ in nothing else. Safe to share.

    Attributes:
        marks: the token counts beyond which limits and rates change, in ascending order.
        turns: the token counts beyond which the choice changes, in ascending order.
    """

    __slots__ = ("_rows", "marks", "turns")

    def __init__(self, marks: Sequence[int], choose: Callable[[int], Row | None]) -> None:
        """Work out the choices.

        Args:
            marks: the token counts beyond which the choice may change, in ascending order.
            choose: gives the row chosen at a token count.
        """
        found = list(pieces(marks, choose))
        self.marks = marks
        self.turns = [upper for upper, _ in found[:-1]]
        self._rows = [row for _, row in found]

    def choice(self, low: int, high: int) -> tuple[Row | None, bool]:
        """Return the row chosen at ``high``, and whether it is the same from ``low`` on."""
        at = bisect_left(self.turns, high)
        return self._rows[at], not at or self.turns[at - 1] < low


class Spans:
    """The choices between marks, worked out for each span when it is first asked for. Safe to share.

    For requests that differ in nothing but their tokens, while what was observed of them stays the same: too
    short a time for a whole track.

    Attributes:
        seen: what was observed; the choices hold as long as it is this.
        shared: tokens by model that its cache is expected to hold of such requests; as for ``seen``.
        marks: the token counts beyond which costs are no straight lines any more, in ascending order.
        notes: what else has been worked out and holds as long.
    """

    __slots__ = ("_rows", "marks", "notes", "seen", "shared")

    def __init__(self, seen: object, shared: Mapping[str, int] | None) -> None:
        self.seen = seen
        self.shared = shared
        self.marks: Sequence[int] | None = None
        self.notes: dict[Any, Any] = {}
        self._rows: dict[int, Row | None] = {}

    def choice(
        self, marks: Sequence[int], low: int, high: int, chooser: Callable[[], Callable[[int], Row | None]]
    ) -> tuple[Row | None] | None:
        """Return the row chosen from ``low`` to ``high``, in a tuple; None where there may be two.

        Args:
            marks: those of the spans.
            low: fewest tokens.
            high: most tokens.
            chooser: makes what gives the row chosen at a token count.
        """
        at = bisect_left(marks, low)
        if at < len(marks) and marks[at] < high:
            return None
        if at not in self._rows:
            choose, lower = chooser(), marks[at - 1] + 1 if at else 0
            first, last = choose(lower), choose(marks[at] if at < len(marks) else _BEYOND)
            if _name(first) != _name(last):
                return None
            self._rows[at] = last
        return (self._rows[at],)


def pieces(marks: Sequence[int], choose: Callable[[int], Row | None]) -> Iterator[tuple[int, Row | None]]:
    """Yield (last token count, row chosen up to it) from zero on; neighbours differ in their rows.

    Args:
        marks: the token counts between which costs are straight lines, in ascending order.
        choose: gives the row chosen at a token count.
    """
    held: tuple[int, Row | None] | None = None
    for piece in _spans(marks, choose):
        if held is not None and _name(held[1]) != _name(piece[1]):
            yield held
        held = piece
    if held is not None:
        yield held


def _spans(marks: Sequence[int], choose: Callable[[int], Row | None]) -> Iterator[tuple[int, Row | None]]:
    lower = 0
    for upper in (*marks, _BEYOND):
        yield from _split(lower, choose(lower), upper, choose(upper), choose)
        lower = upper + 1


def _split(
    lower: int, first: _Chosen, upper: int, last: _Chosen, choose: Callable[[int], Row | None]
) -> Iterator[tuple[int, Row | None]]:
    if _name(first) == _name(last):
        yield upper, last
        return
    middle = (lower + upper) // 2
    yield from _split(lower, first, middle, choose(middle), choose)
    yield from _split(middle + 1, choose(middle + 1), upper, last, choose)


def _name(row: Row | None) -> tuple[str, str | None] | None:
    return None if row is None else (row.at.model.id, row.at.effort)


def remember(kept: dict[Any, Any], key: Any, value: Any) -> None:
    """Keep a value in a bounded table, the oldest leaving first."""
    if len(kept) >= _KEPT:
        # Another thread may change the table between these two steps; then it makes the room itself.
        with suppress(StopIteration, RuntimeError):
            kept.pop(next(iter(kept)), None)
    kept[key] = value
