"""Summary: calls, models and dollars of a decision log, in all and by day and tag."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field
from decimal import Decimal
from pathlib import Path
from typing import TYPE_CHECKING

from routed_llm.catalog import Catalog
from routed_llm.errors import RequestError
from routed_llm.replay.entry import read_log
from routed_llm.replay.estimate import Estimate
from routed_llm.replay.measured import Measured
from routed_llm.rollout.outputs import Outputs

if TYPE_CHECKING:
    from routed_llm.replay.entry import LogEntry
    from routed_llm.replay.estimate import Interval

__all__ = ["Group", "Replaced", "Seconds", "Summary", "summarize"]


@dataclass(slots=True)
class Seconds:
    """Sampled second calls: they are no calls of the program's, and their dollars are stated apart.

    Attributes:
        answered: how many came back with an answer.
        failed: how many did not, by the error's name.
        skipped: how many were not made, by the reason.
        billed: US dollars that they cost.
    """

    answered: int = 0
    failed: Counter[str] = field(default_factory=Counter)
    skipped: Counter[str] = field(default_factory=Counter)
    billed: Decimal = Decimal(0)

    def add(self, entry: LogEntry) -> None:
        """Count one."""
        if entry.outcome == "answered":
            self.answered += 1
        elif entry.outcome == "failed":
            self.failed[entry.why or ""] += 1
        else:
            self.skipped[entry.why or ""] += 1
        self.billed += entry.cost or 0

    @property
    def number(self) -> int:
        """How many there were, made or not."""
        return self.answered + self.failed.total() + self.skipped.total()


@dataclass(slots=True)
class Group:
    """Figures of some calls.

    Attributes:
        calls: how many there were.
        failed: how many the provider refused or nobody waited for.
        billed: US dollars that the answers cost.
        baseline: what the baseline costs, or would, for the calls that are compared.
        routed: what routing costs, or would, for the same.
        compared: calls for which both are known.
        unpriced: answered calls whose cost is not known.
        avoided: calls that the baseline would refuse and routing serves.
        unserved: calls that nothing routed can serve.
        waits: seconds to the first token of a stream, or else to the whole answer, where measured.
        measured: areas that its calls touch on which what routing chose has a published measure that puts it
            nowhere below the baseline, added up.
        areas: all areas that these calls touch, added up.
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
    waits: list[float] = field(default_factory=list)
    measured: int = 0
    areas: int = 0

    @property
    def evidence(self) -> float | None:
        """The part of the areas that has a measure, or None when nothing is known of the calls."""
        return self.measured / self.areas if self.areas else None

    def wait(self, share: float) -> float | None:
        """Return the seconds within which such a share of the measured calls was answered, or None."""
        found = sorted(self.waits)
        return found[min(int(share * len(found)), len(found) - 1)] if found else None

    @property
    def saving(self) -> Decimal | None:
        """The part of the baseline's cost that routing saves, or None when there is nothing to compare."""
        return None if not self.baseline else 1 - self.routed / self.baseline

    def add(self, entry: LogEntry, routed: Decimal | None, areas: tuple[int, int] | None) -> None:
        """Count a call.

        Args:
            entry: the call.
            routed: what it costs with routing, or would.
            areas: those with a measure, and all; see :class:`Measured`.
        """
        self.calls += 1
        if areas is not None:
            self.measured += areas[0]
            self.areas += areas[1]
        if entry.outcome != "answered":
            self.failed += 1
        elif entry.cost is None:
            self.unpriced += 1
        self.billed += entry.cost or 0
        took = entry.took.get("first", entry.took.get("whole"))
        if took is not None:
            self.waits.append(took)
        if entry.baseline is None or entry.routed is None:
            return
        if entry.baseline.refused and not entry.routed.refused:
            self.avoided += 1
        if entry.routed.refused:
            self.unserved += 1
        if entry.baseline.cost is not None and routed is not None:
            self.compared += 1
            self.baseline += entry.baseline.cost
            self.routed += routed


@dataclass(slots=True)
class Replaced:
    """What the provider names in the baseline's place, for the calls where both costs were expected.

    Attributes:
        calls: how many there were.
        cost: US dollars that it was expected to cost.
        routed: US dollars that what routing chose was expected to cost.
        why_not: reason for which it was not chosen, to the number of calls.
    """

    calls: int = 0
    cost: Decimal = Decimal(0)
    routed: Decimal = Decimal(0)
    why_not: Counter[str] = field(default_factory=Counter)


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
        replaced: by the model and effort that the provider names in the baseline's place.
        estimate: how the dollars of routing were worked out where the baseline answered.
        measured: what the catalog says of the calls' quality.
        seconds: the sampled second calls.
        climb: the steps of a rollout, and its bounds every now and then, in order.
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
    replaced: dict[str, Replaced] = field(default_factory=dict)
    estimate: Estimate = field(default_factory=lambda: Estimate(Outputs()))
    measured: Measured = field(default_factory=lambda: Measured(Catalog.load()))
    seconds: Seconds = field(default_factory=Seconds)
    climb: list[LogEntry] = field(default_factory=list)
    broken: int = 0

    @property
    def interval(self) -> Interval | None:
        """How sure the dollars of routing are; None where nothing had to be worked out."""
        return self.estimate.interval(self.total.routed)

    def add(self, entry: LogEntry) -> None:
        """Count a call wherever it belongs."""
        if entry.arm == "ladder":
            self.climb.append(entry)
            return
        if entry.arm == "second":
            self.seconds.add(entry)
            return
        cost, areas = self.estimate.cost(entry), self.measured.areas(entry)
        self.total.add(entry, cost, areas)
        self.modes[entry.mode] += 1
        places = [(self.days, entry.time[:10]), (self.arms, entry.arm), (self.answered, str(entry.model))]
        places += [(self.tags, f"{name}={value}") for name, value in sorted(entry.tags.items())]
        routed = entry.routed
        if routed is not None and routed.model is not None:
            places.append((self.chosen, routed.name))
        for groups, name in places:
            groups.setdefault(name, Group()).add(entry, cost, areas)
        self.changes.update(routed.changes if routed is not None else entry.changes)
        if entry.baseline is not None and entry.baseline.refused:
            self.refusals[entry.baseline.refused] += 1
        named, expected = entry.replacement, (entry if routed is None else routed).estimated_cost
        if named is not None and named.cost is not None and expected is not None:
            held = self.replaced.setdefault(named.name, Replaced())
            held.calls += 1
            held.cost += named.cost
            held.routed += expected
            if named.why_not is not None:
                held.why_not[named.why_not] += 1


def summarize(log: Path | str, observed: Iterable[Path | str] = ()) -> Summary:
    """Add a decision log up.

    It is read twice: first for what routed models were seen to write, then for the sums.

    Args:
        log: the decision log.
        observed: other logs with answers of routed models: an earlier sample's, a rollout's.

    Raises:
        RequestError: when a log cannot be read, or comes from a newer version.
    """
    outputs = Outputs()
    for path in (log, *observed):
        try:
            outputs.learn_from(str(path))
        except OSError as error:
            raise RequestError(
                f"{path}: {error.strerror or error}. Name a decision log.", where=str(path)
            ) from error
    summary = Summary(estimate=Estimate(outputs))
    for entry in read_log(log):
        if entry is None:
            summary.broken += 1
        else:
            summary.add(entry)
    summary.days = dict(sorted(summary.days.items()))
    return summary
