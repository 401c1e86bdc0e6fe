"""Lines: what is chosen at each token count for the requests of one group, and what it costs, as arrays."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from routed_llm.batch.needs import needed

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

__all__ = ["Lines", "Outcome", "Piece"]

BEYOND: Final = 1 << 40
"""More tokens than a row may have."""


class Outcome(NamedTuple):
    """What is decided, apart from money."""

    model: str | None
    effort: str | None
    endpoint: str | None
    reason: str | None


class Piece(NamedTuple):
    """A stretch of token counts with one outcome, whose cost is a straight line.

    Attributes:
        upper: the last token count of it.
        outcome: number of the outcome.
        fixed: picodollars at no tokens; the cost is unknown when ``rate`` is -1.
        rate: picodollars for each token.
    """

    upper: int
    outcome: int
    fixed: int
    rate: int


class Lines:
    """The pieces of one group; those are worked out that some row falls into."""

    def __init__(self, marks: Sequence[int], decide: Callable[[int], tuple[int, int | None]]) -> None:
        """Take what is needed to work out pieces.

        Args:
            marks: token counts between which limits and rates stay the same, in ascending order.
            decide: gives number of the outcome and cost at one token count.
        """
        np = needed("numpy")
        self._marks = np.asarray(marks, np.int64)
        self._decide = decide
        self._spans: dict[int, list[Piece]] = {}
        self._arrays: Any = None

    def at(self, tokens: NDArray[np.int64]) -> tuple[NDArray[np.int32], NDArray[np.int64], NDArray[np.bool_]]:
        """Return for each token count the outcome, the picodollars, and whether these are known."""
        np = needed("numpy")
        spans = np.searchsorted(self._marks, tokens)
        met = np.flatnonzero(np.bincount(spans))
        new = [int(span) for span in met if int(span) not in self._spans]
        for span in new:
            self._spans[span] = list(self._work_out(span))
        if new:
            pieces = [piece for span in sorted(self._spans) for piece in self._spans[span]]
            self._arrays = (
                np.array([piece.upper for piece in pieces], np.int64),
                np.array([piece.outcome for piece in pieces], np.int32),
                np.array([piece.fixed for piece in pieces], np.int64),
                np.array([max(piece.rate, 0) for piece in pieces], np.int64),
                np.array([piece.rate >= 0 for piece in pieces], np.bool_),
            )
        uppers, outcomes, fixed, rates, known = self._arrays
        at = np.searchsorted(uppers, tokens)
        return outcomes[at], fixed[at] + rates[at] * tokens, known[at]

    def _work_out(self, span: int) -> Iterator[Piece]:
        marks = self._marks
        lower = int(marks[span - 1]) + 1 if span else 0
        upper = int(marks[span]) if span < len(marks) else BEYOND
        yield from self._split(lower, self._decide(lower), upper, self._decide(upper))

    def _split(
        self, lower: int, first: tuple[int, int | None], upper: int, last: tuple[int, int | None]
    ) -> Iterator[Piece]:
        piece = self._piece(lower, first, upper, last)
        if piece is not None:
            yield piece
            return
        middle = (lower + upper) // 2
        yield from self._split(lower, first, middle, self._decide(middle))
        yield from self._split(middle + 1, self._decide(middle + 1), upper, last)

    def _piece(
        self, lower: int, first: tuple[int, int | None], upper: int, last: tuple[int, int | None]
    ) -> Piece | None:
        (outcome, cost), (other, most) = first, last
        if outcome != other:
            return None
        if cost is None or most is None:
            return Piece(upper, outcome, 0, -1) if cost is most else None
        if lower == upper:
            return Piece(upper, outcome, cost, 0)
        rate, rest = divmod(most - cost, upper - lower)
        return None if rest else Piece(upper, outcome, cost - rate * lower, rate)
