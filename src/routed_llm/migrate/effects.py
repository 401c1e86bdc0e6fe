"""What routing does at a site: who serves it once its model has stopped, for how much, what changes."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date
from decimal import Decimal
from typing import Any, Final

from routed_llm.calls.router import Router
from routed_llm.catalog import Catalog, Model
from routed_llm.catalog.ended import ended
from routed_llm.decision import Candidate, Decision
from routed_llm.errors import RoutedError
from routed_llm.facts import jsonable
from routed_llm.migrate.asked import request_of
from routed_llm.migrate.found import Options, Site
from routed_llm.policy import Policy

__all__ = ["INPUT_SHARE", "Effects"]

INPUT_SHARE: Final = Decimal("0.8")
"""Share of input tokens in the one figure per million tokens that stands for a site."""

_TOKEN: Final = Decimal(1_000_000)
"""Picodollars per token that make one US dollar per million tokens."""


class Effects:
    """Works out effects from the catalog; remembers those it has worked out.

    Args:
        options: ``at`` gives the day before which nothing is asked about, ``models`` the renamed ids.
        catalog: the models there are.
    """

    def __init__(self, options: Options, catalog: Catalog) -> None:
        self._catalog = catalog
        self._router = Router(catalog=catalog)
        self._baseline = options.baseline
        self._today = date.fromisoformat(options.at) if options.at else date(2026, 11, 22)
        self._known: dict[str, Mapping[str, Any]] = {}

    def __call__(self, site: Site) -> Mapping[str, Any]:
        """Return what routing does there, as JSON-able data; ``unfit`` says why nothing can serve it."""
        key = repr((site.model, site.becomes, sorted(site.parameters.items(), key=repr), site.uses))
        found = self._known.get(key)
        if found is None:
            found = self._known[key] = self._work_out(site)
        return found

    def _work_out(self, site: Site) -> Mapping[str, Any]:
        name = self._baseline(site.model) or site.model
        legacy = None if name in self._catalog else ended().get(name)
        try:
            model = self._catalog.get((legacy and legacy.held_to) or name)
            ends = legacy or model.lifecycle
            day = max(self._today, ends.shutdown or self._today)
            decision = self._router.explain(request_of(site), policy=Policy(baseline=name), at=day)
        except RoutedError as error:
            return {"unfit": str(error), "baseline": name}
        effect: dict[str, Any] = {
            "baseline": name,
            "shutdown": None if ends.shutdown is None else ends.shutdown.isoformat(),
            "replacement": ends.replacement,
            "replaced": self._replacement(ends.replacement, day),
            "at": day.isoformat(),
            "before": None if legacy else _prices(model, None, self._today),
        }
        if decision.chosen is None:
            return {**effect, "unfit": _refusal(decision)}
        return {**effect, **self._served(decision, decision.chosen)}

    def _replacement(self, name: str | None, at: date) -> dict[str, str | None] | None:
        """Return what the provider's own replacement costs, at the effort that it has by itself."""
        other = self._catalog.get(name) if name is not None and name in self._catalog else None
        return None if other is None else _prices(other, other.default_effort, at)

    def _served(self, decision: Decision, chosen: Candidate) -> dict[str, Any]:
        return {
            "model": chosen.model,
            "effort": chosen.effort,
            "endpoint": chosen.endpoint,
            "changes": [
                {key: jsonable(value) for key, value in change.to_dict().items()} | {"text": change.text}
                for change in decision.changes
            ],
            "without_evidence": list(decision.without_evidence),
            "after": _prices(self._catalog.get(chosen.model), chosen.effort, decision.at),
        }


def _refusal(decision: Decision) -> str:
    refused = list(decision.rejected.values())
    return (
        f"{refused[0]}. Look at {len(refused)} models' reasons with Router.explain."
        if refused
        else "no model fits."
    )


def _prices(model: Model, effort: str | None, at: date) -> dict[str, str | None] | None:
    """Return US dollars per million tokens: input, output, and both mixed for the same work."""
    row = model.price(at)
    if row is None:
        return None
    paid_in, paid_out = Decimal(row.input) / _TOKEN, Decimal(row.output) / _TOKEN
    ratio = model.output_ratio.get(effort or "")
    mixed = None
    if ratio is not None:
        mixed = INPUT_SHARE * paid_in + (1 - INPUT_SHARE) * paid_out * Decimal(str(ratio))
    return {
        "input": _plain(paid_in),
        "output": _plain(paid_out),
        "output_ratio": None if ratio is None else str(ratio),
        "mixed": None if mixed is None else _plain(mixed),
    }


def _plain(amount: Decimal) -> str:
    return f"{amount.quantize(Decimal('0.0001')):f}".rstrip("0").rstrip(".")
