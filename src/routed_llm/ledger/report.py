"""What has been spent, grouped: the rows of ``routed spend``."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC
from typing import TYPE_CHECKING, Final

from routed_llm.decision import format_dollars
from routed_llm.errors import PolicyError

if TYPE_CHECKING:
    from routed_llm.ledger.base import Entry

__all__ = ["GROUPS", "Spending", "spending"]

GROUPS: Final[dict[str, Callable[[Entry], str]]] = {
    "model": lambda entry: entry.model,
    "effort": lambda entry: entry.effort or "-",
    "day": lambda entry: entry.at.astimezone(UTC).date().isoformat(),
    "month": lambda entry: entry.at.astimezone(UTC).strftime("%Y-%m"),
    "hour": lambda entry: entry.at.astimezone(UTC).strftime("%Y-%m-%dT%H"),
    "tier": lambda entry: entry.tier or "default",
    "conversation": lambda entry: entry.conversation or "-",
    "outcome": lambda entry: entry.outcome,
    "scope": lambda entry: ",".join(f"{k}={v}" for k, v in sorted(entry.tags.items())) or "-",
}
"""What entries can be grouped by; any other name is the name of a scope tag."""


@dataclass(slots=True, kw_only=True)
class Spending:
    """The sum of the entries of one group.

    Attributes:
        group: the values grouped by, in the order asked for.
        calls: answered calls.
        failed: requests that failed; what they cost is in the sums.
        cost: picodollars of those whose cost is known.
        unknown: calls and requests whose cost is not known (no usage or no price).
        estimated: picodollars that the calls of known cost were expected to cost.
        input_tokens: input tokens, cached ones included.
        cached_tokens: the part of them read from the prompt cache.
        output_tokens: output tokens, reasoning included.
    """

    group: tuple[str, ...]
    calls: int = 0
    failed: int = 0
    cost: int = 0
    unknown: int = 0
    estimated: int = 0
    input_tokens: int = 0
    cached_tokens: int = 0
    output_tokens: int = 0

    def add(self, entry: Entry) -> None:
        """Count an entry."""
        answered = entry.outcome == "answered"
        self.calls += answered
        self.failed += not answered
        if entry.cost is None:
            self.unknown += 1
        else:
            self.cost += entry.cost
            self.estimated += (entry.estimated or 0) if answered else 0
        if entry.usage is not None:
            self.input_tokens += entry.usage.input_tokens
            self.cached_tokens += entry.usage.cached_tokens
            self.output_tokens += entry.usage.output_tokens

    def to_dict(self, by: Sequence[str]) -> dict[str, object]:
        """Return the row as JSON-able data; money is a decimal string of US dollars."""
        return {
            **dict(zip(by, self.group, strict=True)),
            "calls": self.calls,
            "failed": self.failed,
            "cost": format_dollars(self.cost),
            "unknown": self.unknown,
            "estimated": format_dollars(self.estimated),
            "input_tokens": self.input_tokens,
            "cached_tokens": self.cached_tokens,
            "output_tokens": self.output_tokens,
        }


def spending(entries: Iterable[Entry], *, by: Sequence[str] = ("model",)) -> tuple[list[Spending], Spending]:
    """Sum entries by group, the most expensive group first, and in all.

    Args:
        entries: such as ``ledger.entries(since=...)``.
        by: names from :data:`GROUPS`, or names of scope tags; at least one.

    Raises:
        PolicyError: when nothing is given to group by.
    """
    if not by:
        raise PolicyError("Nothing to group by. Give a name such as model, day or a scope tag.", key="by")
    keys = [GROUPS.get(name) or _tag(name) for name in by]
    rows: dict[tuple[str, ...], Spending] = {}
    total = Spending(group=tuple("all" for _ in by))
    for entry in entries:
        group = tuple(key(entry) for key in keys)
        row = rows.get(group)
        if row is None:
            row = rows[group] = Spending(group=group)
        row.add(entry)
        total.add(entry)
    return sorted(rows.values(), key=lambda row: (-row.cost, row.group)), total


def _tag(name: str) -> Callable[[Entry], str]:
    return lambda entry: entry.tags.get(name, "-")
