"""select: facts, policy, catalog, allowance and date in, a Decision out. Pure.

What depends only on the kinds of things in a request (its shape) is worked out once and kept; a call
then weighs a handful of configurations by arithmetic on integers. When the text's token count is
only bounded, the choice is made at both bounds and at every threshold between them; where all agree,
an exact count could not change it.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Callable, Mapping
from dataclasses import replace
from datetime import date, datetime
from functools import lru_cache, partial
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

from routed_llm.decide.choice import Kind, choose, endpoint_for
from routed_llm.decide.outcome import Picked, conclude
from routed_llm.decide.pool import Pool, make_pool
from routed_llm.decide.quality import LONG_CONTEXT_FROM, Floor, dimensions
from routed_llm.decide.rules import Setting
from routed_llm.decide.scene import Scene
from routed_llm.decide.shape import Row, build_shape, leeways
from routed_llm.decide.track import Spans, Track, pieces, remember
from routed_llm.decide.weigh import cache_thresholds, load, row_cost, row_thresholds
from routed_llm.parameters import NEUTRAL

if TYPE_CHECKING:
    from routed_llm.budget import Allowance
    from routed_llm.catalog import Catalog, Model
    from routed_llm.decision import Decision
    from routed_llm.facts import RequestFacts
    from routed_llm.policy import Policy
    from routed_llm.usage import Observed, Seen

__all__ = ["Table", "prepare", "select"]

MIN_CACHED = 1024
"""Fewest tokens that any model's cache keeps; what is seen to be shared is never less."""

_ENDPOINTS = ("chat_completions", "responses", "realtime")
_NOTHING: Mapping[str, str] = MappingProxyType({})


def select(
    facts: RequestFacts,
    *,
    policy: Policy,
    catalog: Catalog,
    at: date,
    allowance: Allowance | None = None,
    observed: Observed | None = None,
    unavailable: Mapping[str, str] = _NOTHING,
) -> Decision:
    """Choose the model, effort and endpoint that serve a request.

    Args:
        facts: the request.
        policy: what the user wants.
        catalog: the models there are.
        at: the day to decide for; of a datetime its date counts.
        allowance: what may still be spent, or None.
        observed: what calls before this one have used, or None.
        unavailable: models that turned out not to answer, with the reason.

    Returns:
        The Decision; its ``chosen`` is None when nothing fits.

    Raises:
        PolicyError: when a pattern of the policy matches no model.
        CatalogError: when the policy or the call names a model that the catalog does not know.
    """
    table = prepare(catalog, policy, _day(at))
    return table.select(facts, allowance=allowance, observed=observed, unavailable=unavailable)


@lru_cache(maxsize=64)
def prepare(catalog: Catalog, policy: Policy, at: date) -> Table:
    """Make the table that :func:`select` works on; the same arguments give the same table."""
    return Table(catalog, policy, at)


def _day(at: date) -> date:
    return at.date() if isinstance(at, datetime) else at


class Table:
    """The catalog as one policy sees it on one day. Safe to share between threads."""

    def __init__(self, catalog: Catalog, policy: Policy, at: date) -> None:
        self.catalog = catalog
        self.policy = policy
        self.at = at
        self.pool: Pool = make_pool(catalog, policy, at)
        self._shapes: dict[Any, Kind] = {}
        self._tracks: dict[Any, Track] = {}
        self._spans: dict[Any, Spans] = {}
        self._thresholds: dict[Any, list[int]] = {}
        self._is_ordinary = policy.optimize == "cost" and not (policy.effort or self.pool.incumbent)
        # No further turn means that nothing will read what this call would write to the cache.
        self._reuse = policy.horizon > 0
        self._watched = _value_sensitive(catalog)
        self._endpoints = {name: catalog.endpoint(name) for name in _ENDPOINTS}
        floor, stands_for = self.pool.floor, self.pool.stands_for
        self._floor = (
            None
            if floor is None
            else Floor(
                floor,
                catalog.reference,
                margins=catalog.margins,
                evidence=policy.evidence,
                stands_for=None if stands_for is None else stands_for.id,
            )
        )

    def select(
        self,
        facts: RequestFacts,
        *,
        allowance: Allowance | None = None,
        observed: Observed | None = None,
        unavailable: Mapping[str, str] = _NOTHING,
    ) -> Decision:
        """Choose for one request; see :func:`select`."""
        return conclude(*self._pick(facts, allowance, observed, unavailable))

    def select_certain(
        self,
        facts: RequestFacts,
        *,
        allowance: Allowance | None = None,
        observed: Observed | None = None,
        unavailable: Mapping[str, str] = _NOTHING,
    ) -> Decision | None:
        """Choose for one request, or return None when an exact count might change the choice."""
        picked, scene = self._pick(facts, allowance, observed, unavailable)
        return conclude(picked, scene) if picked.certain else None

    def _pick(
        self,
        facts: RequestFacts,
        allowance: Allowance | None,
        observed: Observed | None,
        unavailable: Mapping[str, str],
    ) -> tuple[Picked, Scene]:
        first = found = self._pick_with(facts, allowance, observed, unavailable, 0)
        certain = first[0].certain
        # A request that could be served as it is, but for its size or its cost, may be served bent a little.
        for leeway in range(1, len(leeways(facts, self.policy))):
            if found[0].row is not None:
                break
            found = self._pick_with(facts, allowance, observed, unavailable, leeway)
            # What a step refuses at the upper bound it may serve at a lower count.
            certain = certain and found[0].certain
        picked, scene = first if found[0].row is None else found
        if picked.certain and not certain:
            picked.certain, picked.tokens = False, facts.tokens.high
        return picked, scene

    def _pick_with(
        self,
        facts: RequestFacts,
        allowance: Allowance | None,
        observed: Observed | None,
        unavailable: Mapping[str, str],
        leeway: int,
    ) -> tuple[Picked, Scene]:
        count = facts.tokens
        kind = self._kind(facts, count.high > LONG_CONTEXT_FROM, leeway)
        scene = self._scene(facts, kind, allowance, observed, unavailable)
        found = None if leeway else self._on_track(scene)
        if found is not None:
            row, certain = found
            because = "cost"
        else:
            # The upper bound is safe for limits when the count is not settled.
            row, because = choose(scene, kind, count.high)
            certain = count.low == count.high or self._agrees(row, scene, kind)
        picked = Picked(
            row=row,
            endpoint="" if row is None else endpoint_for(row, facts),
            because=because,
            tokens=scene.load.likely if certain else count.high,
            certain=certain,
        )
        return picked, scene

    def _on_track(self, scene: Scene) -> tuple[Row | None, bool] | None:
        """Look the choice up where nothing but limits and prices settles it; None where more does."""
        facts, shared = scene.facts, scene.load
        if self._has_track(scene):
            track = self._track(scene)
            found = track.choice(facts.tokens.low, facts.tokens.high)
            scene.marks = track.marks
        elif shared.seen is not None and self._is_plain(scene):
            chosen = self._in_span(scene, shared.seen)
            if chosen is None:
                return None
            found = *chosen, True
        else:
            return None
        if scene.allowance is None or scene.allowance.remaining is None:
            return found
        if found[0] is None:
            return None
        # The cheapest row that a budget has room for at the upper bound has it throughout.
        cost = row_cost(found[0], shared, facts.tokens.high)
        return found if cost is not None and cost <= scene.allowance.remaining else None

    def _has_track(self, scene: Scene) -> bool:
        return scene.load.outputs is None and scene.load.shared is None and self._is_plain(scene)

    def _is_plain(self, scene: Scene) -> bool:
        facts, shared = scene.facts, scene.load
        if not shared.plain or not self._is_ordinary or facts.model is not None or facts.effort is not None:
            return False
        return not (scene.unavailable or shared.worst)

    def _in_span(self, scene: Scene, seen: Seen) -> tuple[Row | None] | None:
        """Look the choice up where it is the same for all counts; None where it is not, or at first sight."""
        facts = scene.facts
        key = (facts.shape, self._values(facts), facts.cap, facts.kind[2])
        kept = self._spans.get(key)
        if kept is None or kept.seen is not seen or kept.shared != scene.load.shared:
            # What is observed changes with each call at first: then nothing is worth keeping.
            remember(self._spans, key, Spans(seen, scene.load.shared))
            return None
        if kept.marks is None:
            kept.marks = self._marks(scene)
        scene.marks, scene.notes = kept.marks, kept.notes
        return kept.choice(kept.marks, facts.tokens.low, facts.tokens.high, partial(self._free, scene))

    def _free(self, scene: Scene) -> Callable[[int], Row | None]:
        """Return what gives the row chosen at a token count, budgets left out."""
        kind = self._kind(scene.facts, False)
        return self._chooser(self._scene(scene.facts, kind, None, scene.load.observed, _NOTHING))

    def _marks(self, scene: Scene, leeway: int = 0) -> list[int]:
        """List the token counts beyond which costs may be no straight lines any more, in ascending order."""
        marks, shared = self.thresholds(scene.facts, leeway, scene.load.reserve), scene.load.shared
        return marks if shared is None else sorted({*marks, MIN_CACHED - 1, *shared.values()})

    def boundaries(
        self,
        facts: RequestFacts,
        *,
        allowance: Allowance | None = None,
        observed: Observed | None = None,
        unavailable: Mapping[str, str] = _NOTHING,
    ) -> list[int]:
        """List the text token counts beyond which the choice changes, or else those where it may change."""
        scene = self._scene(facts, self._kind(facts, False), allowance, observed, unavailable)
        if not self._has_track(scene):
            return self.thresholds(facts, reserve=scene.load.reserve)
        if allowance is None or allowance.remaining is None:
            return self._track(scene).turns
        found = pieces(self._marks(scene), self._chooser(scene))
        return [upper for upper, _ in found][:-1]

    def _track(self, scene: Scene) -> Track:
        facts, shared = scene.facts, scene.load
        key = (facts.shape, self._values(facts), facts.cap, shared.expected, shared.thought)
        kept = self._tracks.get(key)
        if kept is None:
            kept = Track(self._marks(scene), self._free(scene))
            remember(self._tracks, key, kept)
        return kept

    def _chooser(self, scene: Scene) -> Callable[[int], Row | None]:
        """Return what gives the row chosen at a token count."""
        kinds = (self._kind(scene.facts, False), self._kind(scene.facts, True))
        scenes = [self._moved(scene, kind) for kind in kinds]

        def chosen(tokens: int) -> Row | None:
            long = tokens > LONG_CONTEXT_FROM
            return choose(scenes[long], kinds[long], tokens)[0]

        return chosen

    def thresholds(self, facts: RequestFacts, leeway: int = 0, reserve: int | None = None) -> list[int]:
        """List the text token counts beyond which the choice may change, in ascending order.

        Args:
            facts: the request.
            leeway: how many ways of bending the request less are passed over.
            reserve: output tokens to keep free without a cap; as the policy expects them when left out.
        """
        previous = facts.previous
        key: tuple[Any, ...] = (facts.shape, self._values(facts), facts.cap, leeway, reserve)
        if facts.images or facts.audio_seconds or facts.pdf_pages:
            key += (facts.images, facts.audio_seconds, facts.pdf_pages)
        kept = self._thresholds.get(key)
        if kept is None:
            plain = facts if previous is None else replace(facts, previous=None)
            kept = self._find_thresholds(plain, leeway, reserve)
            remember(self._thresholds, key, kept)
        if previous is None:
            return kept
        found = set(kept)
        kinds = (self._kind(facts, False, leeway), self._kind(facts, True, leeway))
        for row in kinds[0].shape.rows + kinds[1].shape.rows:
            if row.at.model.id == previous.model:
                found |= cache_thresholds(row, facts)
        return sorted(item for item in found if item >= 0)

    def _find_thresholds(self, facts: RequestFacts, leeway: int, reserve: int | None) -> list[int]:
        found = {LONG_CONTEXT_FROM}
        for long in (False, True):
            kind = self._kind(facts, long, leeway)
            shared = load(facts, self.policy, kind.shape.widest, self._reuse)
            shared = shared if reserve is None else shared._replace(reserve=reserve)
            for row in kind.shape.rows:
                found |= row_thresholds(row, shared)
        return sorted(item for item in found if item >= 0)

    def _agrees(self, row: Row | None, scene: Scene, kind: Kind) -> bool:
        """Say whether the choice is the same wherever between its bounds the true count lies.

        Between two thresholds every cost is a straight line, so what is cheapest at both ends is
        cheapest throughout.
        """
        facts = scene.facts
        low, high = facts.tokens.low, facts.tokens.high
        marks = self._marks(scene, kind.leeway)
        inside = marks[bisect_left(marks, low) : bisect_left(marks, high)]
        for point in {low, *inside, *(mark + 1 for mark in inside if mark + 1 < high)}:
            other = self._kind(facts, point > LONG_CONTEXT_FROM, kind.leeway)
            setting = scene if other is kind else self._moved(scene, other)
            found, _ = choose(setting, other, point)
            if found is None or row is None:
                if found is not row:
                    return False
            elif found.at.model.id != row.at.model.id or found.at.effort != row.at.effort:
                return False
        return True

    def _moved(self, scene: Scene, kind: Kind) -> Scene:
        """Return the scene as it is on the other side of the threshold between short and long requests."""
        return self._scene(scene.facts, kind, scene.allowance, scene.load.observed, scene.unavailable)

    def _scene(
        self,
        facts: RequestFacts,
        kind: Kind,
        allowance: Allowance | None,
        observed: Observed | None,
        unavailable: Mapping[str, str],
    ) -> Scene:
        worst = allowance is not None and allowance.worst_case
        return Scene(
            facts=facts,
            shape=kind.shape,
            setting=kind.setting,
            load=load(facts, self.policy, kind.shape.widest, self._reuse, observed, worst=worst),
            allowance=allowance,
            unavailable=unavailable,
            catalog_version=self.catalog.version,
            send_as=self.pool.send_as if facts.model is None else self._named(facts.model),
            incumbent=self.pool.incumbent,
        )

    def _kind(self, facts: RequestFacts, long: bool, leeway: int = 0) -> Kind:
        key = (facts.shape, self._values(facts), long, leeway)
        kept = self._shapes.get(key)
        if kept is None:
            kept = self._build(facts, long, leeway)
            remember(self._shapes, key, kept)
        return kept

    def _values(self, facts: RequestFacts) -> tuple[Any, ...]:
        if not facts.parameters:
            return ()
        watched = self._watched
        return tuple([(name, value if name in watched else None) for name, value in facts.parameters])

    def _build(self, facts: RequestFacts, long: bool, leeway: int) -> Kind:
        pinned = facts.model is not None
        models = self.pool.models_for(facts) if facts.model is None else (self.catalog.get(facts.model),)
        touched, guarded = dimensions(facts, facts.task or self.policy.task, long=long)
        setting = Setting(
            policy=self.policy,
            at=self.at,
            endpoints=self._endpoints,
            floor=None if pinned else self._floor,
            dimensions=touched,
            guarded=guarded,
            incumbent=self.pool.incumbent,
            alone=len(models) == 1,
        )
        tier = facts.service_tier if facts.service_tier != "standard" else self.policy.service_tier
        ways = leeways(facts, self.policy)[leeway:]
        shape = build_shape(facts, models, setting, tier=tier, pinned=pinned, ways=ways)
        return Kind(shape, setting, pinned, leeway)

    def _named(self, name: str) -> Mapping[str, str]:
        # A snapshot that was named is what gets sent, not the alias it belongs to.
        model = self.catalog.get(name)
        return {model.id: _as_named(name, model) or model.sent_as}


def _as_named(name: str, model: Model) -> str | None:
    if model.sent_as != model.id:
        return None
    # Case does not matter to the catalog, but it does to the provider.
    known = {*model.snapshots, *model.aliases}
    return name if name in known else next((item for item in known if item.lower() == name.lower()), None)


def _value_sensitive(catalog: Catalog) -> frozenset[str]:
    """Name the parameters whose value, not only whose presence, some rule looks at."""
    names = set(NEUTRAL)
    for model in catalog:
        for rules in model.parameters.values():
            names.update(name for name, rule in rules.items() if rule.only is not None or rule.max_items)
    return frozenset(names)
