"""Measured: on how many areas a logged call's configuration has a published measure against its baseline."""

from __future__ import annotations

import json
from datetime import date
from typing import TYPE_CHECKING

from routed_llm.decide.table import prepare
from routed_llm.errors import RoutedError
from routed_llm.facts import RequestFacts
from routed_llm.policy import Policy

if TYPE_CHECKING:
    from routed_llm.catalog import Catalog
    from routed_llm.replay.entry import LogEntry

__all__ = ["Measured"]


class Measured:
    """Asks the catalog again about the calls of a log, once for all that are alike.

    Args:
        catalog: the facts and measures to go by.
    """

    def __init__(self, catalog: Catalog) -> None:
        self._catalog = catalog
        self._known: dict[str, tuple[int, int] | None] = {}

    def areas(self, entry: LogEntry) -> tuple[int, int] | None:
        """Return the areas that a call touches and that have a measure, and all that it touches.

        None where the log does not say enough, or the catalog would not choose that configuration any more.
        """
        side = entry.routed or entry
        if entry.facts is None or entry.at is None or side.model is None:
            return None
        # Evidence is looked up by the kinds of things in a request, and by its length in rough steps.
        alike = {
            **entry.facts,
            "tokens": [int(count).bit_length() for count in entry.facts.get("tokens", ())],
        }
        key = json.dumps(
            [side.model, side.effort, entry.at[:10], entry.policy, alike], sort_keys=True, default=str
        )
        if key not in self._known:
            self._known[key] = self._asked(entry, side.model, side.effort)
        return self._known[key]

    def _asked(self, entry: LogEntry, model: str, effort: str | None) -> tuple[int, int] | None:
        try:
            facts = RequestFacts.from_dict(entry.facts or {})
            policy = Policy(**{**entry.policy, "models": [model]})
            decision = prepare(self._catalog, policy, date.fromisoformat(str(entry.at)[:10])).decide(facts)
        except RoutedError:
            return None
        if decision.chosen is None or decision.chosen.effort != effort:
            return None
        measured = sum(item.verdict != "unknown" for item in decision.evidence)
        return measured, len(decision.evidence) + len(decision.without_evidence)
