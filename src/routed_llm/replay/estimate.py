"""Estimate: what routing would have cost, how sure that is, and what it rests on."""

from __future__ import annotations

from dataclasses import dataclass, field
from decimal import Decimal
from typing import TYPE_CHECKING

from routed_llm.rollout.outputs import Outputs, Tally, spread

if TYPE_CHECKING:
    from routed_llm.replay.entry import LogEntry

__all__ = ["Estimate", "Interval"]


@dataclass(frozen=True, slots=True)
class Interval:
    """US dollars from ``low`` to ``high``.

    Attributes:
        low: the least.
        high: the most.
        confidence: 0.95 where a sample shows it, or None for the range of published ratios alone.
    """

    low: Decimal
    high: Decimal
    confidence: float | None


@dataclass(slots=True)
class Estimate:
    """The dollars of routing where the baseline answered.

    Attributes:
        outputs: what routed models were seen to write.
        paired: calls whose output was worked out with answers given beside the baseline's.
        unpaired: calls whose output was worked out with answers given in the baseline's place.
        carried: calls worked out when they were made, by an earlier log that is not there now.
        published: calls for which there are published ratios alone.
        answers: the answers that the two first rest on.
    """

    outputs: Outputs
    paired: int = 0
    unpaired: int = 0
    carried: int = 0
    published: int = 0
    low: Decimal = Decimal(0)
    high: Decimal = Decimal(0)
    _parts: dict[int, tuple[float, Tally]] = field(default_factory=dict)

    @property
    def answers(self) -> int:
        """The answers of routed models that the estimate rests on."""
        return sum(tally.number for _, tally in self._parts.values())

    def cost(self, entry: LogEntry) -> Decimal | None:
        """Return what routing would have cost for a call, and count what that rests on."""
        side = entry.routed
        if side is None or side.cost is None:
            return None
        price = side.token_price
        if entry.arm != "baseline" or price is None:
            return side.cost
        guess = side.published_tokens if side.published_tokens is not None else side.output_tokens
        seen = self.outputs.expected(side.name, entry.kind, guess or 0)
        if seen is None:
            self._unseen(side.by == "observed", price, side.published_range, side.output_tokens or 0)
            return side.cost
        if seen.paired:
            self.paired += 1
        else:
            self.unpaired += 1
        weight, tally = self._parts.get(id(seen.tally), (0.0, seen.tally))
        self._parts[id(seen.tally)] = (weight + float(price), tally)
        return side.cost + (Decimal(repr(seen.tokens)) - (side.output_tokens or 0)) * price

    def _unseen(self, carried: bool, price: Decimal, published: tuple[int, int] | None, tokens: int) -> None:
        if carried:
            self.carried += 1
            return
        self.published += 1
        if published is not None:
            self.low += (published[0] - tokens) * price
            self.high += (published[1] - tokens) * price

    def interval(self, total: Decimal) -> Interval | None:
        """Return the interval around a sum of costs, or None where nothing was worked out."""
        if not self.paired + self.unpaired + self.published:
            return None
        half = Decimal(repr(spread(self._parts))) if self._parts else Decimal(0)
        sure = self.published == 0 and self.carried == 0
        return Interval(total - half + self.low, total + half + self.high, 0.95 if sure else None)

    @property
    def how(self) -> str:
        """What the estimate rests on, in a sentence; empty where every call was routed."""
        parts = []
        if self.paired:
            parts.append(f"{self.paired:,} calls by second answers to the same requests")
        if self.unpaired:
            parts.append(f"{self.unpaired:,} by answers to other requests of their kind")
        if self.carried:
            parts.append(f"{self.carried:,} by an earlier log")
        if self.published:
            parts.append(
                f"{self.published:,} by published ratios alone, which say little of a program's own answers"
            )
        if not parts:
            return ""
        return "Output of routed models: " + "; ".join(parts) + "."
