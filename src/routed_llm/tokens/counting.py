"""Counting only as far as a decision needs: two bounds that narrow until no threshold lies between them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from routed_llm.tokens import memo as memos
from routed_llm.tokens.memo import Memo, Partial
from routed_llm.tokens.split import PART, next_cut
from routed_llm.tokens.text import bounds, bounds_of, default_counter, likely, utf8_length
from routed_llm.tokens.vocabulary import LONGEST

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from routed_llm.tokens.text import TextCounter


class Counting:
    """The token count of a list of texts, known between `low` and `high`.

    Making one reads no text and loads no vocabulary. `settle` looks up what is known and counts the rest,
    the text with most uncertainty first, in parts of 64 KB, and stops as soon as the answer cannot change
    a decision; `exact` counts all. What was counted is kept in a memo, also in part, for the next list
    that holds the same text.

    Not to be shared between threads; the memo and the counter may be.

    Attributes:
        low: fewest tokens possible.
        high: most tokens possible; equal to `low` when all is counted.
    """

    __slots__ = ("_counter", "_known", "_memo", "_new", "_texts", "_tight", "high", "low")

    def __init__(
        self,
        texts: Iterable[str],
        *,
        known: int = 0,
        memo: Memo | None = None,
        counter: TextCounter | None = None,
    ) -> None:
        """Start from bounds that need no reading.

        Args:
            texts: the texts to count together.
            known: tokens to add that need no counting (overheads, images, a prefix already reported).
            memo: where counts are kept; the process's own if None.
            counter: the counter to use; the default one if None, chosen when a count is needed.
        """
        self._new: list[str] = []
        self._texts: list[str] = []
        self._known: list[Partial] = []
        self._memo = memos.shared if memo is None else memo
        self._counter = counter
        self._tight = False
        self.low = self.high = known
        self.add(texts)

    def add(self, texts: Iterable[str], *, known: int = 0) -> None:
        """Add more texts, and tokens that need no counting."""
        self.low += known
        self.high += known
        more = list(texts)
        fewest, most = bounds_of(more)
        self.low += fewest
        self.high += most
        self._new += more

    def recall(self) -> None:
        """Narrow the bounds by what the memo knows of the texts; reads each text once, for its hash."""
        if not self._new:
            return
        new, self._new = self._new, []
        fewest, most = bounds_of(new)
        low, high = self.low - fewest, self.high - most
        for text, known in zip(new, self._memo.get_all(new), strict=True):
            if known is None:
                known = Partial(0, 0, bounds(text)[1])
            elif known.done == len(text):
                low += known.tokens
                high += known.tokens
                continue
            low += known.tokens + _fewest(text, known)
            high += known.tokens + known.left
            if known.done < len(text):
                self._texts.append(text)
                self._known.append(known)
                self._tight = False
        self.low, self.high = low, high

    @property
    def is_exact(self) -> bool:
        """Whether every text is counted."""
        self.recall()
        return self.low == self.high

    @property
    def likely(self) -> int:
        """The best guess: what is counted, and estimates of the rest, the counted part of a text leading.

        For money, not for limits; see `text.likely` for how far off it may be.
        """
        self.recall()
        guess = self.low
        for text, known in zip(self._texts, self._known, strict=True):
            guess -= _fewest(text, known)
            rest = len(text) - known.done
            guess += known.tokens * rest // known.done if known.done else likely(text)
        return min(max(guess, self.low), self.high)

    @property
    def uncounted(self) -> int:
        """Characters that are not counted yet, or not yet looked up."""
        return sum(map(len, self._new)) + sum(
            len(text) - known.done for text, known in zip(self._texts, self._known, strict=True)
        )

    def is_settled(self, thresholds: Iterable[int]) -> bool:
        """Return whether "more than the threshold" has the same answer at both bounds, for each one."""
        low, high = self.low, self.high
        return not any(low <= threshold < high for threshold in thresholds)

    def settle(self, thresholds: Sequence[int]) -> tuple[int, int]:
        """Count until no threshold separates the bounds, and return the bounds.

        A threshold separates them if the count may be at most the threshold and may be more: a context
        window, the limit of a price tier, the tokens that a budget pays for.
        """
        if self.is_settled(thresholds):
            return self.low, self.high
        self.tighten(thresholds)
        while not self.is_settled(thresholds):
            self._count(self._next())
        return self.low, self.high

    def tighten(self, thresholds: Sequence[int] | None = None) -> None:
        """Narrow the bounds without counting: by what the memo knows, and by how long texts really are.

        The true length takes the place of 4 bytes a character, the largest gap first, until no threshold
        separates the bounds; in all texts where none are given.
        """
        self.recall()
        if self._tight or (thresholds is not None and self.is_settled(thresholds)):
            return
        self._tight = True
        for index in sorted(range(len(self._texts)), key=lambda at: -self._known[at].left):
            text, known = self._texts[index], self._known[index]
            # What is below four bytes a character has been measured before.
            if known.done or text.isascii() or known.left < 4 * len(text):
                continue
            left = utf8_length(text)
            self.high -= known.left - left
            self._known[index] = known._replace(left=left)
            self._memo.put(text, self._known[index])
            if thresholds is not None and self.is_settled(thresholds):
                self._tight = False
                return

    def exact(self) -> int:
        """Count everything that is not counted yet and return the number of tokens."""
        self.recall()
        while self._texts:
            self._count(self._next())
        return self.low

    def _next(self) -> list[tuple[int, int]]:
        """Return (index, end) of the parts to count next: the most uncertain texts, up to one part's size."""
        order = sorted(range(len(self._texts)), key=lambda at: -self._known[at].left)
        batch = []
        room = PART
        for index in order:
            done = self._known[index].done
            end = next_cut(self._texts[index], done)
            batch.append((index, end))
            room -= end - done
            if room <= 0:
                break
        return batch

    def _count(self, batch: list[tuple[int, int]]) -> None:
        if self._counter is None:
            self._counter = default_counter()
        parts = [self._texts[index][self._known[index].done : end] for index, end in batch]
        for (index, end), part, tokens in zip(batch, parts, self._counter.count(parts), strict=True):
            self._narrow(index, end, utf8_length(part), tokens)
        unfinished = [at for at, text in enumerate(self._texts) if self._known[at].done < len(text)]
        self._texts = [self._texts[at] for at in unfinished]
        self._known = [self._known[at] for at in unfinished]

    def _narrow(self, index: int, end: int, size: int, tokens: int) -> None:
        text, old = self._texts[index], self._known[index]
        rest = len(text) - end
        # Never below the rest's own fewest tokens, so that the bounds cannot cross.
        left = max(old.left - size, -(-rest // LONGEST)) if rest else 0
        new = Partial(old.tokens + tokens, end, left)
        self.low += tokens + _fewest(text, new) - _fewest(text, old)
        self.high += tokens + new.left - old.left
        self._known[index] = new
        self._memo.put(text, new)


def _fewest(text: str, known: Partial) -> int:
    return -(-(len(text) - known.done) // LONGEST)
