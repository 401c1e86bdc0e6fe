"""select: facts, policy, catalog, budget and date in, a Decision out. Pure.

What depends only on the kinds of things in a request (its shape) is worked out once and kept; a call
then weighs a handful of configurations by arithmetic on integers. When the text's token count is
only bounded, the choice is made at both bounds and at every threshold between them; where all agree,
an exact count could not change it.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import date, datetime
from functools import lru_cache
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

from routed_llm.rules import Setting
from routed_llm.selector.outcome import Picked, Scene, conclude, refusals
from routed_llm.selector.pool import Pool, make_pool
from routed_llm.selector.quality import LONG_CONTEXT_FROM, Floor, dimensions
from routed_llm.selector.shape import Row, Shape, build_shape
from routed_llm.selector.weigh import Load, load, row_cost, weigh

if TYPE_CHECKING:
    from routed_llm.budget import Budget
    from routed_llm.catalog import Catalog
    from routed_llm.decision import Decision
    from routed_llm.facts import RequestFacts
    from routed_llm.policy import Policy

__all__ = ["Table", "prepare", "select"]

_SHAPES_KEPT = 512
_NOTHING: Mapping[str, str] = MappingProxyType({})


def select(
    facts: RequestFacts,
    *,
    policy: Policy,
    catalog: Catalog,
    at: date,
    budget: Budget | None = None,
    unavailable: Mapping[str, str] = _NOTHING,
) -> Decision:
    """Choose the model, effort and endpoint that serve a request.

    Args:
        facts: the request.
        policy: what the user wants.
        catalog: the models there are.
        at: the day to decide for; of a datetime its date counts.
        budget: what may still be spent, or None.
        unavailable: models that turned out not to answer, with the reason.

    Returns:
        The Decision; its ``chosen`` is None when nothing fits.

    Raises:
        PolicyError: when a pattern of the policy matches no model.
        CatalogError: when the policy or the call names a model that the catalog does not know.
    """
    return prepare(catalog, policy, _day(at)).select(facts, budget=budget, unavailable=unavailable)


@lru_cache(maxsize=64)
def prepare(catalog: Catalog, policy: Policy, at: date) -> Table:
    """Make the table that :func:`select` works on; the same arguments give the same table."""
    return Table(catalog, policy, at)


def _day(at: date) -> date:
    return at.date() if isinstance(at, datetime) else at


class Table:
    """The catalog as one policy sees it on one day."""

    def __init__(self, catalog: Catalog, policy: Policy, at: date) -> None:
        self.catalog = catalog
        self.policy = policy
        self.at = at
        self.pool: Pool = make_pool(catalog, policy, at)
        self._shapes: dict[Any, tuple[Shape, Setting, bool]] = {}
        self._watched = _value_sensitive(catalog)
        self._endpoints = {
            name: catalog.endpoint(name) for name in ("chat_completions", "responses", "realtime")
        }
        floor = self.pool.floor
        self._floor = (
            None
            if floor is None
            else Floor(floor, catalog.reference, margins=catalog.margins, evidence=policy.evidence)
        )

    def select(
        self, facts: RequestFacts, *, budget: Budget | None = None, unavailable: Mapping[str, str] = _NOTHING
    ) -> Decision:
        """Choose for one request; see :func:`select`."""
        count = facts.tokens
        points = [count.high] if count.exact else self._points(facts)
        picks = [self._pick(facts, point, budget, unavailable) for point in points]
        # The last point is the upper bound: safe for limits when the count is not settled.
        row, because, scene = picks[-1]
        certain = all(other[0] is row for other in picks)
        picked = Picked(
            row=row,
            endpoint=_endpoint_for(row, facts) if row is not None else "",
            because=because,
            tokens=count.high,
            certain=certain,
        )
        return conclude(picked, scene)

    def thresholds(self, facts: RequestFacts) -> list[int]:
        """List the text token counts beyond which the choice may change, in ascending order."""
        found = {LONG_CONTEXT_FROM}
        for long in (False, True):
            shape, _, _ = self._shape(facts, long)
            shared = load(facts, self.policy, shape.widest)
            for row in shape.rows:
                weighed = weigh(row, shared, 0)
                media, limits = weighed.input_tokens, row.at.model.limits
                least = min(weighed.reserve, shared.visible or weighed.reserve)
                found.add(limits.max_input - media)
                found.add(limits.context_window - weighed.reserve - media)
                found.add(limits.context_window - least - media)
                found.update(up_to - media for up_to in row.recall)
                if row.above:
                    found.add(row.above - media)
                if row.write_from:
                    found.add(row.write_from - 1 - media)
        return sorted(item for item in found if item >= 0)

    def _points(self, facts: RequestFacts) -> list[int]:
        low, high = facts.tokens.low, facts.tokens.high
        points = {low, high}
        for threshold in self._thresholds(facts):
            if low <= threshold < high:
                points.update((threshold, threshold + 1))
        return sorted(points)

    def _thresholds(self, facts: RequestFacts) -> list[int]:
        if facts.images or facts.audio_seconds or facts.pdf_pages or facts.cap is not None:
            return self.thresholds(facts)
        key = ("thresholds", self._key(facts, False))
        kept = self._shapes.get(key)
        if kept is None:
            kept = self.thresholds(facts)  # type: ignore[assignment]
            self._keep(key, kept)
        return kept  # type: ignore[return-value]

    def _pick(
        self, facts: RequestFacts, tokens: int, budget: Budget | None, unavailable: Mapping[str, str]
    ) -> tuple[Row | None, str, Scene]:
        shape, setting, pinned = self._shape(facts, tokens > LONG_CONTEXT_FROM)
        shared = load(facts, self.policy, shape.widest)
        scene = Scene(
            facts=facts,
            shape=shape,
            setting=setting,
            load=shared,
            budget=budget,
            unavailable=unavailable,
            baseline=self.pool.floor.id if self.pool.floor is not None else None,
            at=self.at,
            catalog_version=self.catalog.version,
            send_as=self._send_as(facts),
        )
        row, because = self._choose(scene, tokens, pinned)
        return row, because, scene

    def _choose(self, scene: Scene, tokens: int, pinned: bool) -> tuple[Row | None, str]:
        facts, policy = scene.facts, self.policy
        asked = facts.effort or policy.effort
        rows = scene.shape.front
        simple = scene.load.plain and not scene.unavailable and policy.min_recall is None
        if not simple or policy.optimize != "cost" or policy.incumbent or pinned or asked or scene.budget:
            rows = scene.shape.rows
        able = [row for row in rows if not _refused(row, weigh(row, scene.load, tokens), scene)]
        if not able:
            return None, "none"
        if pinned or (scene.setting.alone and asked):
            return min(able, key=lambda row: (row.distance, _money(row, scene.load, tokens))), "pinned"
        if facts.previous is not None and facts.previous.in_tool_loop:
            stay = _of(able, facts.previous.model, facts.previous.effort)
            if stay is not None:
                return stay, "tool_loop"
        if self.pool.incumbent is not None:
            stay = _of(able, self.pool.incumbent, None, shared=scene.load, tokens=tokens)
            if stay is not None:
                return stay, "incumbent"
        if policy.optimize == "quality":
            return max(able, key=lambda row: (row.rank, *_cheap_first(row, scene.load, tokens))), "quality"
        best = min(able, key=lambda row: _money(row, scene.load, tokens))
        return self._or_stay(best, able, scene, tokens)

    def _or_stay(self, best: Row, able: list[Row], scene: Scene, tokens: int) -> tuple[Row, str]:
        previous = scene.facts.previous
        stay = None if previous is None else _of(able, previous.model, previous.effort)
        if stay is None or stay is best or stay.at.model is best.at.model:
            return best, "cost"
        theirs, mine = _expected(best, scene.load, tokens), _expected(stay, scene.load, tokens)
        if theirs is None or mine is None or theirs > mine * (1 - self.policy.switch_saving):
            return stay, "stays"
        return best, "cost"

    def _shape(self, facts: RequestFacts, long: bool) -> tuple[Shape, Setting, bool]:
        key = self._key(facts, long)
        kept = self._shapes.get(key)
        if kept is None:
            kept = self._build(facts, long)
            self._keep(key, kept)
        return kept

    def _key(self, facts: RequestFacts, long: bool) -> Any:
        values = tuple((name, value if name in self._watched else None) for name, value in facts.parameters)
        return (facts.shape, values, long)

    def _keep(self, key: Any, value: Any) -> None:
        if len(self._shapes) >= _SHAPES_KEPT:
            self._shapes.pop(next(iter(self._shapes)), None)
        self._shapes[key] = value

    def _build(self, facts: RequestFacts, long: bool) -> tuple[Shape, Setting, bool]:
        pinned = facts.model is not None
        models = (self.catalog.get(facts.model),) if facts.model is not None else self.pool.models_for(facts)
        task = facts.task or self.policy.task
        setting = Setting(
            policy=self.policy,
            at=self.at,
            endpoints=self._endpoints,
            floor=None if pinned else self._floor,
            dimensions=dimensions(facts, task, long=long),
            alone=len(models) == 1,
        )
        tier = facts.service_tier if facts.service_tier != "standard" else self.policy.service_tier
        return build_shape(facts, models, setting, tier=tier, pinned=pinned), setting, pinned

    def _send_as(self, facts: RequestFacts) -> Mapping[str, str]:
        # A snapshot that was named is what gets sent, not the alias it belongs to.
        if facts.model is None:
            return self.pool.send_as
        model = self.catalog.get(facts.model)
        return {model.id: facts.model if facts.model != model.id else model.sent_as}


def _value_sensitive(catalog: Catalog) -> frozenset[str]:
    """Name the parameters whose value, not only whose presence, some rule looks at."""
    from routed_llm.parameters import NEUTRAL

    names = set(NEUTRAL)
    for model in catalog:
        for rules in model.parameters.values():
            names.update(
                name for name, rule in rules.items() if rule.only is not None or rule.max_items is not None
            )
    return frozenset(names)


def _refused(row: Row, weighed: Any, scene: Scene) -> bool:
    limits = row.at.model.limits
    tokens = weighed.input_tokens
    if tokens > limits.max_input or tokens + weighed.reserve > limits.context_window:
        return True
    return bool(refusals(row, weighed, scene))


def _expected(row: Row, shared: Load, tokens: int) -> int | None:
    return row_cost(row, shared, weigh(row, shared, tokens).input_tokens)


def _money(row: Row, shared: Load, tokens: int) -> tuple[bool, int, int]:
    cost = _expected(row, shared, tokens)
    return (cost is None, cost or 0, row.order)


def _cheap_first(row: Row, shared: Load, tokens: int) -> tuple[bool, int, int]:
    unknown, cost, order = _money(row, shared, tokens)
    return (not unknown, -cost, -order)


def _of(
    rows: Iterable[Row], model: str, effort: str | None, *, shared: Load | None = None, tokens: int = 0
) -> Row | None:
    """Find a model's row: at the effort if it is there, else its cheapest (or its first)."""
    mine = [row for row in rows if row.at.model.id == model]
    if not mine:
        return None
    for row in mine:
        if row.at.effort == effort:
            return row
    return mine[0] if shared is None else min(mine, key=lambda row: _money(row, shared, tokens))


def _endpoint_for(row: Row, facts: RequestFacts) -> str:
    # Stored reasoning and tool-call ids belong to an endpoint: a conversation stays where it is.
    previous = facts.previous
    if previous is not None and previous.model == row.at.model.id and previous.endpoint in row.fits:
        return previous.endpoint
    return row.at.endpoint
