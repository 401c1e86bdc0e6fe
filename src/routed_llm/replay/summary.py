"""Summary: calls, models and dollars of a decision log, in all and by day and tag."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from decimal import Decimal
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ConfigDict, ValidationError

from routed_llm.errors import RequestError

__all__ = ["Group", "Summary", "read_log", "summarize"]

_VERSION = 1


class _Side(BaseModel):
    """One of the two that a call was weighed between."""

    model_config = ConfigDict(extra="ignore", frozen=True)

    model: str | None = None
    effort: str | None = None
    estimated_cost: Decimal | None = None
    cost: Decimal | None = None
    refused: str | None = None
    output_cost: Decimal | None = None
    output_tokens: int | None = None
    changes: tuple[tuple[str, str], ...] = ()

    @property
    def name(self) -> str:
        """The model and its effort."""
        return f"{self.model}@{self.effort}" if self.effort else str(self.model)


class LogEntry(BaseModel):
    """One line of a decision log."""

    model_config = ConfigDict(extra="ignore", frozen=True)

    version: int
    time: str
    mode: str
    arm: str
    outcome: str
    model: str | None = None
    effort: str | None = None
    served: str | None = None
    cost: Decimal | None = None
    estimated_cost: Decimal | None = None
    usage: dict[str, Any] | None = None
    key: str | None = None
    tags: dict[str, str] = {}
    changes: tuple[tuple[str, str], ...] = ()
    baseline: _Side | None = None
    routed: _Side | None = None


@dataclass(slots=True)
class Outputs:
    """What a routed configuration writes, as seen and as worked out from the baseline's answers.

    Attributes:
        answers: answers that it really gave.
        tokens: the output tokens of these.
        guesses: calls that the baseline answered in its place.
        guessed: the output tokens worked out for these.
        cost: what these tokens were taken to cost, in US dollars.
    """

    answers: int = 0
    tokens: int = 0
    guesses: int = 0
    guessed: int = 0
    cost: Decimal = Decimal(0)

    def add(self, entry: LogEntry) -> None:
        """Count a call that routing answered, or would have."""
        assert entry.routed is not None  # noqa: S101 - the caller has looked
        written = (entry.usage or {}).get("output_tokens", 0)
        if entry.arm == "routed" and entry.outcome == "answered" and written:
            self.answers += 1
            self.tokens += written
        elif entry.arm == "baseline" and entry.routed.output_cost is not None:
            self.guesses += 1
            self.guessed += entry.routed.output_tokens or 0
            self.cost += entry.routed.output_cost


@dataclass(slots=True)
class Group:
    """Figures of some calls.

    Attributes:
        calls: how many there were.
        failed: how many the provider refused or nobody waited for.
        billed: US dollars that the answers cost.
        baseline: what the baseline costs, or would.
        routed: what routing costs, or would.
        compared: calls for which both are known.
        unpriced: answered calls whose cost is not known.
        avoided: calls that the baseline would refuse and routing serves.
        unserved: calls that nothing routed can serve.
    """

    calls: int = 0
    failed: int = 0
    billed: Decimal = Decimal(0)
    baseline: Decimal = Decimal(0)
    routed: Decimal = Decimal(0)
    compared: int = 0
    unpriced: int = 0
    avoided: int = 0
    unserved: int = 0

    @property
    def saving(self) -> Decimal | None:
        """The part of the baseline's cost that routing saves, or None when there is nothing to compare."""
        return None if not self.baseline else 1 - self.routed / self.baseline

    def add(self, entry: LogEntry) -> None:
        """Count a call."""
        self.calls += 1
        if entry.outcome != "answered":
            self.failed += 1
        elif entry.cost is None:
            self.unpriced += 1
        self.billed += entry.cost or 0
        if entry.baseline is None or entry.routed is None:
            return
        if entry.baseline.refused and not entry.routed.refused:
            self.avoided += 1
        if entry.routed.refused:
            self.unserved += 1
        if entry.baseline.cost is not None and entry.routed.cost is not None:
            self.compared += 1
            self.baseline += entry.baseline.cost
            self.routed += entry.routed.cost


@dataclass(slots=True)
class Summary:
    """What a log says.

    Attributes:
        total: of all calls.
        days: by the day the answer was complete, in order.
        tags: by ``name=value``.
        arms: by who answered: ``baseline``, ``routed`` or ``pinned``.
        answered: by the model that answered.
        chosen: model and effort that routing chose, to the number of calls and the dollars.
        changes: parameter and what routing does to it, to the number of calls.
        refusals: reason for which the baseline would refuse, to the number of calls.
        modes: mode to the number of calls.
        outputs: by model and effort that routing chose, what it writes.
        broken: lines that are no entries.
    """

    total: Group = field(default_factory=Group)
    days: dict[str, Group] = field(default_factory=dict)
    tags: dict[str, Group] = field(default_factory=dict)
    arms: dict[str, Group] = field(default_factory=dict)
    answered: dict[str, Group] = field(default_factory=dict)
    chosen: dict[str, Group] = field(default_factory=dict)
    changes: Counter[tuple[str, str]] = field(default_factory=Counter)
    refusals: Counter[str] = field(default_factory=Counter)
    modes: Counter[str] = field(default_factory=Counter)
    outputs: dict[str, Outputs] = field(default_factory=dict)
    broken: int = 0

    def add(self, entry: LogEntry) -> None:
        """Count a call wherever it belongs."""
        self.total.add(entry)
        self.modes[entry.mode] += 1
        places = [(self.days, entry.time[:10]), (self.arms, entry.arm), (self.answered, str(entry.model))]
        places += [(self.tags, f"{name}={value}") for name, value in sorted(entry.tags.items())]
        routed = entry.routed
        if routed is not None and routed.model is not None:
            places.append((self.chosen, routed.name))
            self.outputs.setdefault(routed.name, Outputs()).add(entry)
        for groups, name in places:
            groups.setdefault(name, Group()).add(entry)
        self.changes.update(routed.changes if routed is not None else entry.changes)
        if entry.baseline is not None and entry.baseline.refused:
            self.refusals[entry.baseline.refused] += 1

    def observed(self, seen: Summary | None = None) -> Decimal | None:
        """Return the dollars of routing, its outputs taken from answers that it really gave.

        What a model writes, its reasoning included, is only published as a ratio. Where a rollout has let it
        answer some of the calls, the mean of those answers says more.

        Args:
            seen: the summary of the log with those answers; this one when left out.

        Returns:
            The amount, or None while fewer than 30 such answers are known for a model that was chosen.
        """
        answers = (self if seen is None else seen).outputs
        total = self.total.routed
        for name, guess in self.outputs.items():
            if not guess.guesses or not guess.guessed:
                continue
            real = answers.get(name)
            if real is None or real.answers < ENOUGH:
                return None
            factor = Decimal(real.tokens * guess.guesses) / Decimal(real.answers * guess.guessed)
            total += guess.cost * (factor - 1)
        return total


ENOUGH = 30
"""Answers from which a mean is taken."""


def read_log(path: Path | str) -> Iterator[LogEntry | None]:
    """Give the entries of a decision log; None for a line that is none (such as one cut off by a crash).

    Raises:
        RequestError: when the file cannot be read, or comes from a newer version.
    """
    try:
        with Path(path).open(encoding="utf-8", errors="replace") as lines:
            for line in lines:
                if line.strip():
                    yield _entry(line, path)
    except OSError as error:
        raise RequestError(
            f"{path}: {error.strerror or error}. Name a decision log.", where=str(path)
        ) from error


def _entry(line: str, path: Path | str) -> LogEntry | None:
    try:
        entry = LogEntry.model_validate_json(line)
    except ValidationError:
        return None
    if entry.version > _VERSION:
        raise RequestError(
            f"{path} was written by a newer version ({entry.version}). Update routed-llm.", where=str(path)
        )
    return entry


def summarize(entries: Iterable[Any]) -> Summary:
    """Add up entries; None counts as a broken line."""
    summary = Summary()
    for entry in entries:
        if entry is None:
            summary.broken += 1
        else:
            summary.add(entry)
    summary.days = dict(sorted(summary.days.items()))
    return summary
