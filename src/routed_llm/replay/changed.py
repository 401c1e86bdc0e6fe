"""Changed: which decisions of a log another catalog would have made differently."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from datetime import date
from decimal import Decimal
from pathlib import Path
from typing import TYPE_CHECKING

from routed_llm.decide.table import prepare
from routed_llm.errors import RoutedError
from routed_llm.facts import RequestFacts
from routed_llm.policy import Policy
from routed_llm.replay.entry import read_log
from routed_llm.rollout.outputs import configuration

if TYPE_CHECKING:
    from routed_llm.catalog import Catalog
    from routed_llm.replay.entry import LogEntry

__all__ = ["Changed", "changed"]

NOTHING = "nothing fits"


@dataclass(slots=True)
class Changed:
    """What becomes of a log's calls under two catalogs.

    Attributes:
        calls: how many could be decided again.
        without_facts: how many could not: older versions of routed-llm did not note what is needed.
        moves: the configuration under the first catalog and under the second, to the number of calls.
        before: US dollars that the calls are expected to cost under the first.
        after: under the second.
    """

    calls: int = 0
    without_facts: int = 0
    moves: Counter[tuple[str, str]] = field(default_factory=Counter)
    before: Decimal = Decimal(0)
    after: Decimal = Decimal(0)

    @property
    def number(self) -> int:
        """How many decisions are others."""
        return self.moves.total()


def changed(
    log: Path | str, before: Catalog, after: Catalog, *, policy: Policy | None = None, at: date | None = None
) -> Changed:
    """Decide each call of a log under two catalogs, from its recorded facts.

    Budgets, cool-downs and what was learned are left out on both sides, so that only the catalogs differ.

    Args:
        log: the decision log.
        before: one catalog.
        after: the other.
        policy: what to decide by; each call's own policy when left out.
        at: the day to decide for; each call's own when left out.

    Raises:
        RequestError: when the log cannot be read.
    """
    found = Changed()
    for entry in read_log(log):
        if entry is None or entry.arm == "second":
            continue
        if entry.facts is None or entry.at is None:
            found.without_facts += 1
            continue
        found.calls += 1
        first, paid = _decided(entry, before, policy, at)
        second, pays = _decided(entry, after, policy, at)
        found.before += paid
        found.after += pays
        if first != second:
            found.moves[first, second] += 1
    return found


def _decided(
    entry: LogEntry, catalog: Catalog, policy: Policy | None, at: date | None
) -> tuple[str, Decimal]:
    day = at or date.fromisoformat(str(entry.at)[:10])
    try:
        facts = RequestFacts.from_dict(entry.facts or {})
        chosen = prepare(catalog, policy or Policy(**entry.policy), day).decide(facts).chosen
    except RoutedError:
        chosen = None  # the policy names what this catalog does not have
    if chosen is None:
        return NOTHING, Decimal(0)
    return configuration(chosen.model, chosen.effort), chosen.dollars or Decimal(0)
