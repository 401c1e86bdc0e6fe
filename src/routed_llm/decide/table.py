"""select: facts, policy, catalog, allowance and date in, a Decision out. Pure.

What depends only on the kinds of things in a request (its shape) is worked out once and kept; a call
then weighs a handful of configurations by arithmetic on integers. When the text's token count is
only bounded, the choice is made at both bounds and at every threshold between them; where all agree,
an exact count could not change it.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace
from datetime import date, datetime
from functools import lru_cache
from itertools import count
from typing import TYPE_CHECKING, Any, NamedTuple, TypeAlias

from routed_llm.decide import constraints
from routed_llm.decide.choice import Choice, answers, choose, compared, is_chosen_throughout
from routed_llm.decide.context import NOTHING, PLAIN, EvaluationContext
from routed_llm.decide.inputs import DecisionInputs
from routed_llm.decide.objectives import COST
from routed_llm.decide.outcome import Picked, conclude
from routed_llm.decide.piecewise import (
    NOWHERE,
    PiecewiseChoice,
    firm,
    is_firm,
    ladder,
    name_of,
    pieces,
    price,
    remember,
    rivals_of,
    widened,
)
from routed_llm.decide.pool import Pool, make_pool
from routed_llm.decide.quality import LONG_CONTEXT_FROM, Floor, demanded, dimensions
from routed_llm.decide.rules import Reference, Setting
from routed_llm.decide.shape import Row, Shape, build_shape, relaxations
from routed_llm.decide.speed import pace_of, patient
from routed_llm.decide.weigh import Workload, beside, endpoint_for, frames_of, workload
from routed_llm.measures import latest
from routed_llm.parameters import NEUTRAL
from routed_llm.pricing import matter_of, writes

if TYPE_CHECKING:
    from routed_llm.budget import Allowance
    from routed_llm.catalog import Catalog, Model
    from routed_llm.decide.constraints import Constraint
    from routed_llm.decide.piecewise import Ladder, Rivals
    from routed_llm.decision import Decision
    from routed_llm.facts import RequestFacts
    from routed_llm.measures import Measured
    from routed_llm.policy import Policy
    from routed_llm.usage import Observed

__all__ = ["Table", "measured_tags", "prepare", "select"]

Marks: TypeAlias = "tuple[tuple[Row, set[int], set[int]], ...]"

_ENDPOINTS = ("chat_completions", "responses", "realtime")
_NO_TAGS: frozenset[str] = frozenset()


def select(
    facts: RequestFacts,
    *,
    policy: Policy,
    catalog: Catalog,
    at: date,
    allowance: Allowance | None = None,
    observed: Observed | None = None,
    unavailable: Mapping[str, str] = NOTHING,
    deadline: float | None = None,
    tags: Iterable[str] = (),
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
        deadline: seconds within which the whole answer is wanted, or None.
        tags: the call's tags, as ``name=value``: what the policy's own measures may speak of.

    Returns:
        The Decision; its ``chosen`` is None when nothing fits.

    Raises:
        PolicyError: when a pattern of the policy matches no model.
        CatalogError: when the policy or the call names a model that the catalog does not know.
    """
    context = EvaluationContext(allowance, observed, unavailable, deadline)
    return prepare(catalog, policy, _day(at), measured_tags(policy, tags)).decide(facts, context)


def prepare(catalog: Catalog, policy: Policy, at: date, tags: frozenset[str] = _NO_TAGS) -> Table:
    """Make the table that :func:`select` works on; the same arguments give the same table.

    Args:
        catalog: the models there are.
        policy: what the user wants.
        at: the day.
        tags: those of the calls that the policy has measures of its own for: see :func:`measured_tags`.
    """
    return _prepared(catalog, policy, at, constraints.CONSTRAINTS, tags)


def measured_tags(policy: Policy, tags: Iterable[str]) -> frozenset[str]:
    """Return those of a call's tags (``name=value``) that the policy has measures of its own for."""
    if not policy.measures:
        return _NO_TAGS
    return frozenset(row.tag for row in policy.measures if row.tag is not None).intersection(tags)


@lru_cache(maxsize=64)
def _prepared(
    catalog: Catalog, policy: Policy, at: date, asked: tuple[Constraint, ...], tags: frozenset[str]
) -> Table:
    return Table(catalog, policy, at, asked, tags)


def _day(at: date) -> date:
    return at.date() if isinstance(at, datetime) else at


class Kind(NamedTuple):
    """A shape, what its rules were asked with, and whether the call names its model.

    Attributes:
        relaxation: how many ways of bending the request less than this one were passed over.
    """

    shape: Shape
    setting: Setting
    pinned: bool
    relaxation: int = 0


class Table:
    """The catalog as one policy sees it on one day. Safe to share between threads."""

    def __init__(
        self,
        catalog: Catalog,
        policy: Policy,
        at: date,
        asked: tuple[Constraint, ...] | None = None,
        tags: frozenset[str] = _NO_TAGS,
    ) -> None:
        self.catalog = catalog
        self.policy = policy
        self.at = at
        self.tags = tags
        self.pool: Pool = make_pool(catalog, policy, at)
        self._constraints = constraints.CONSTRAINTS if asked is None else asked
        self._own = tuple([one for one in self._constraints if not one.is_kept])
        self._are_usual = all(one.is_usual for one in self._own)
        # What was chosen for a request of a shape: conversations grow, and mostly go on so.
        self._usual: dict[Any, tuple[str, str | None]] = {}
        self._joined: dict[Any, tuple[Constraint, ...]] = {}
        self._shapes: dict[Any, Kind] = {}
        self._choices: dict[Any, PiecewiseChoice] = {}
        # Of conversations, which grow, so that they would push out what lasts.
        self._varied: dict[Any, PiecewiseChoice] = {}
        self._compared: dict[Any, bool] = {}
        self._by_value = _value_sensitive(catalog)
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
                stands_for=stands_for,
            )
        )

    def select(
        self,
        facts: RequestFacts,
        *,
        allowance: Allowance | None = None,
        observed: Observed | None = None,
        unavailable: Mapping[str, str] = NOTHING,
        deadline: float | None = None,
    ) -> Decision:
        """Choose for one request; see :func:`select`."""
        return self.decide(facts, EvaluationContext(allowance, observed, unavailable, deadline))

    def decide(self, facts: RequestFacts, context: EvaluationContext = PLAIN) -> Decision:
        """Choose for one request."""
        return conclude(self.pick(facts, context))

    def select_certain(
        self,
        facts: RequestFacts,
        context: EvaluationContext = PLAIN,
    ) -> Decision | None:
        """Choose for one request, or return None when an exact count might change the choice."""
        picked = self.pick(facts, context, if_certain=True)
        return conclude(picked) if picked.certain else None

    def breakpoints(
        self,
        facts: RequestFacts,
        context: EvaluationContext = PLAIN,
    ) -> list[int]:
        """List the text token counts between which costs are straight lines and constraints give one answer.

        They are those of the request bent in any way, in ascending order.
        """
        found: set[int] = set()
        for relaxation in range(len(relaxations(facts, self.policy))):
            kind = self._kind(facts, False, relaxation)
            inputs = self._inputs(facts, kind, context)
            found.update(self._breakpoints(inputs, far=True))
        return sorted(found)

    def boundaries(
        self,
        facts: RequestFacts,
        context: EvaluationContext = PLAIN,
    ) -> list[int]:
        """List the text token counts beyond which the choice changes, or else those where it may change."""
        inputs = self._inputs(facts, self._kind(facts, False), context)
        marks, kept = self._breakpoints(inputs, far=True), None
        if not (_is_steady(inputs) and inputs.is_ordinary):
            return marks
        if inputs.is_kept:
            key = self._key(facts, context.observed, inputs.relaxation)
            kept = self._choices.get(key) or self._varied.get(key)
            if kept is None or not kept.holds(facts, context.observed):
                kept = self._kept(key, kept, inputs)
            if kept.turns is not None:
                return kept.turns
        turns = [upper for upper, _ in pieces(marks, self._chooser(inputs))][:-1]
        if kept is not None:
            kept.turns = turns
        return turns

    def pick(self, facts: RequestFacts, context: EvaluationContext, *, if_certain: bool = False) -> Picked:
        """Choose for one request, without making a Decision of it.

        Args:
            facts: the request.
            context: what holds at the moment of the call.
            if_certain: whether a choice that an exact count might change is of no use.
        """
        certain = True
        first: Picked | None = None
        # A request that could be served as it is, but for its size or its cost, may be served bent a little.
        for relaxation in count():
            key = self._key(facts, context.observed, relaxation)
            known = self._choices.get(key) or self._varied.get(key)
            before = None if known is None else self._as_before(facts, context, key, known)
            picked = before or self._at_first(facts, context, relaxation, key, known)
            # What one step refuses at the upper bound it may serve at a lower count.
            certain = certain and picked.certain
            if picked.row is not None or (if_certain and not certain):
                break
            first = first or picked
            if relaxation + 1 >= len(relaxations(facts, self.policy)):
                picked = first
                break
        if picked.certain and not certain:
            picked.certain, picked.tokens = False, facts.tokens.high
        return picked

    def _at_first(
        self,
        facts: RequestFacts,
        context: EvaluationContext,
        relaxation: int,
        key: Any,
        known: PiecewiseChoice | None,
    ) -> Picked:
        """Pick with nothing to look up."""
        bounds = facts.tokens
        far = bounds.high > LONG_CONTEXT_FROM
        inputs = self._inputs(facts, self._kind(facts, far, relaxation), context, known)
        inputs.sides[far] = inputs
        kept = self._kept(key, known, inputs) if _is_steady(inputs) else None
        row, because, certain = self._still(kept, inputs), "cost", True
        if row is None:
            # The upper bound is safe for limits when the count is not settled.
            row, because = choose(inputs, bounds.high)
            certain = bounds.low == bounds.high or self._agrees(row, inputs)
        if kept is not None and row is not None:
            if kept.usual != row.name:
                kept.usual = row.name
                remember(self._usual, (facts.shape, relaxation), row.name)
            if certain and inputs.is_kept and inputs.is_ordinary:
                kept.note(bounds.low, bounds.high, (row, because))
        return Picked(
            row,
            "" if row is None else endpoint_for(row, facts),
            because,
            inputs.likely if certain else bounds.high,
            certain,
            inputs,
            kept if kept and kept.is_exact and kept.is_spanned else None,
        )

    def _as_before(
        self, facts: RequestFacts, context: EvaluationContext, key: Any, kept: PiecewiseChoice
    ) -> Picked | None:
        """Look up what was picked for requests that differ in nothing but tokens.

        None where a choice has a step between the bounds, and where something of this call alone has a say
        that goes beyond what was picked.
        """
        if facts.previous is not None or facts.images or facts.audio_seconds or facts.pdf_pages:
            return None
        if not _is_light(context.allowance):
            return None
        observed = context.observed
        if observed is not kept.observed and not kept.holds(facts, observed):
            quicker = self._at_pace(kept, facts, observed)
            if quicker is None:
                return None
            kept = quicker
            self._keep(key, kept)
        inputs, bounds = kept.inputs.like(facts, context), facts.tokens
        said = context.allowance is not None or context.deadline is not None or context.unavailable
        own = None if said else kept.own
        if own is None:
            own = inputs.asked(self._own)
            # Where nothing is said, it is the same for all that are alike.
            kept.own = own if self._are_usual and not said else kept.own
        if own:
            found = self._under(own, kept, inputs)
            if found is None:
                return None
            inputs.adopt(self._together(inputs.constraints, tuple(own)))
        elif (same := kept.known(bounds.low, bounds.high)) is not None:
            found = same, True
        elif kept.is_new and (still := self._still(kept, inputs)) is not None:
            found = (still, "cost"), True
            kept.note(bounds.low, bounds.high, found[0])
        else:
            found = kept.choice(bounds.low, bounds.high)
        (row, because), certain = found
        return Picked(
            row,
            "" if row is None else row.at.endpoint,
            because,
            inputs.likely if certain else bounds.high,
            certain,
            inputs,
            kept if kept.is_exact else None,
        )

    def _together(self, kept: tuple[Constraint, ...], own: tuple[Constraint, ...]) -> tuple[Constraint, ...]:
        """Return constraints of either kind in the order in which Reasons are given."""
        found = self._joined.get((kept, own))
        if found is None:
            found = self._joined[kept, own] = tuple(
                [it for it in self._constraints if it in own or it in kept]
            )
        return found

    def _under(
        self, own: list[Constraint], kept: PiecewiseChoice, inputs: DecisionInputs
    ) -> tuple[Choice, bool] | None:
        """Choose under the constraints of this call alone, too: at the upper bound, and whether throughout.

        None where that takes another look.
        """
        low, high = inputs.facts.tokens.low, inputs.facts.tokens.high
        key = tuple([(one, one.depends_on(inputs)) for one in own])
        known = kept.under.get(key, NOWHERE)
        if known[0] <= low and high <= known[1]:
            return known[2], True
        found = self._worked_out_under(own, kept, inputs)
        if found is not None and found[1] and all(it is not None for _, it in key):
            remember(kept.under, key, widened(known, low, high, found[0]))
        return found

    def _worked_out_under(
        self, own: list[Constraint], kept: PiecewiseChoice, inputs: DecisionInputs
    ) -> tuple[Choice, bool] | None:
        low, high = inputs.facts.tokens.low, inputs.facts.tokens.high
        choice, is_same = kept.choice(low, high)
        # What is chosen without them is chosen under them where they admit it.
        if is_same and choice[0] is not None and all(map(all, answers(own, choice[0], inputs, low, high))):
            return choice, True
        if not (kept.is_exact and inputs.is_ordinary):
            return None
        own = [*own, *[one for one in inputs.constraints if not is_firm(one)]]
        if choice[0] is None or not all(map(all, answers(own, choice[0], inputs, high, high))):
            row = _first_admitted(self._ladder(kept, kept.span(high)), own, inputs, high)
            choice = (row, "none" if row is None else "cost")
        return choice, low == high or self._is_first(choice[0], own, kept, inputs)

    def _is_first(
        self, row: Row | None, own: list[Constraint], kept: PiecewiseChoice, inputs: DecisionInputs
    ) -> bool:
        """Say whether a configuration is sure to be the cheapest that is admitted at every count."""
        low, high = inputs.facts.tokens.low, inputs.facts.tokens.high
        if row is not None and not all(map(all, answers(own, row, inputs, low, high))):
            return False
        for span, first, last in kept.spans(low, high):
            mine, rivals = self._rivals(row, span, kept)
            if row is not None and mine is None:
                return False
            for rung in rivals:
                # Costs are straight lines: what costs more at both ends does so between them.
                if mine and all(price(rung, at) > price(mine, at) for at in (first, last)):
                    continue
                if all(map(any, answers(own, rung[0], inputs, first, last))):
                    return False
        return True

    def _rivals(self, row: Row | None, span: int, kept: PiecewiseChoice) -> Rivals:
        """Return a configuration as it stands in a span, and what may cost less there."""
        key = (span, None if row is None else row.name)
        found = kept.rivals.get(key)
        if found is None:
            ends = kept.first(span), kept.last(span)
            found = kept.rivals[key] = rivals_of(self._ladder(kept, span), key[1], *ends)
        return found

    def _ladder(self, kept: PiecewiseChoice, span: int) -> Ladder:
        """Return the configurations that can serve in a span, as far as what is kept says."""
        rungs = kept.ladders.get(span)
        if rungs is None:
            first = kept.first(span)
            side = self._side(kept.inputs, first > LONG_CONTEXT_FROM)
            rungs = kept.ladders[span] = ladder(side, firm(side.constraints), first)
        return rungs

    def _at_pace(
        self, kept: PiecewiseChoice, facts: RequestFacts, observed: Observed | None
    ) -> PiecewiseChoice | None:
        """Return what is kept, now that models have been quicker or slower; None where that has a say."""
        far = facts.tokens.high > LONG_CONTEXT_FROM  # there the configurations are others, too
        before = kept.observed
        if far or observed is None or before is None or observed.paces is before.paces:
            return None
        if not kept.holds(facts, observed, at_any_pace=True):
            return None
        inputs = kept.inputs.at_pace(observed)
        return kept.at_pace(inputs, self._chooser(inputs)) if inputs.slow == kept.inputs.slow else None

    def _key(self, facts: RequestFacts, observed: Observed | None, relaxation: int) -> tuple[Any, ...]:
        """Return what requests have in common that differ in nothing but tokens."""
        # Requests of several sizes take turns, and what is observed of each is another thing.
        kind = facts.kind if observed is not None and observed.outputs else None
        far = facts.tokens.high > LONG_CONTEXT_FROM
        values = self._values(facts) if facts.parameters else ()
        return (facts.shape, facts.framed, values, facts.cap, kind, far, relaxation)

    def _kept(self, key: Any, known: PiecewiseChoice | None, inputs: DecisionInputs) -> PiecewiseChoice:
        """Return what is kept for requests that differ in nothing but tokens, as long as estimates stay."""
        if known is not None and known.observed is inputs.context.observed:
            return known  # where something else was observed, that has been found to differ
        alike = inputs.kept_only()
        is_exact = not self.policy.regional
        kept = PiecewiseChoice(alike, self._chooser(alike), self._breakpoints, is_exact=is_exact)
        kept.usual = (
            self._usual.get((inputs.facts.shape, inputs.relaxation)) if known is None else known.usual
        )
        self._keep(key, kept)
        return kept

    def _still(self, kept: PiecewiseChoice | None, inputs: DecisionInputs) -> Row | None:
        """Return what was chosen for such requests before, where it is still chosen throughout.

        To show that takes less than to look for it.
        """
        if kept is None or kept.usual is None or not self._is_throughout(kept.usual, inputs):
            return None
        return compared(kept.usual, inputs.shape).mine

    def _keep(self, key: Any, kept: PiecewiseChoice) -> None:
        remember(self._varied if kept.inputs.facts.framed.varies else self._choices, key, kept)

    def _agrees(self, row: Row | None, inputs: DecisionInputs) -> bool:
        """Say whether the choice is the same wherever between its bounds the true count lies."""
        low, high = inputs.facts.tokens.low, inputs.facts.tokens.high
        choose_at, mine = self._chooser(inputs), name_of((row, ""))
        if row is not None and inputs.facts.previous is None and self._is_throughout(row.name, inputs):
            return True
        marks = self._breakpoints(inputs)
        inside = marks[bisect_left(marks, low) : bisect_left(marks, high)]
        points = {low, *inside, *(mark + 1 for mark in inside if mark + 1 < high)}
        return all(name_of(choose_at(point)) == mine for point in points)

    def _is_throughout(self, name: tuple[str, str | None], inputs: DecisionInputs) -> bool:
        low, high = inputs.facts.tokens.low, inputs.facts.tokens.high
        edge = LONG_CONTEXT_FROM
        spans = ((False, low, min(high, edge)), (True, max(low, edge + 1), high))
        return all(
            is_chosen_throughout(name, self._side(inputs, long), first, last)
            for long, first, last in spans
            if first <= last
        )

    def _chooser(self, inputs: DecisionInputs) -> Callable[[int], Choice]:
        """Return what chooses at a text token count, on either side of the bound of long requests."""
        return lambda tokens: choose(self._side(inputs, tokens > LONG_CONTEXT_FROM), tokens)

    def _side(self, inputs: DecisionInputs, long: bool) -> DecisionInputs:
        """Return the inputs with the configurations of long requests, or with those of short ones."""
        side = inputs.sides.get(long)
        if side is None:
            kind = self._kind(inputs.facts, long, inputs.relaxation)
            side = inputs
            if kind.shape is not inputs.shape:
                load = inputs.load
                side = self._inputs(
                    inputs.facts, kind, inputs.context, frames=load.frames, asked=inputs.constraints
                )
            inputs.sides[long] = side
        return side

    def _breakpoints(self, inputs: DecisionInputs, *, far: bool | None = None) -> list[int]:
        """List the text token counts beyond which a cost or an answer changes, in ascending order.

        Args:
            inputs: the request.
            far: whether those of long requests are wanted, too; as the request's own size says when left out.
        """
        facts, shared = inputs.facts, inputs.load.shared
        far = facts.tokens.high > LONG_CONTEXT_FROM if far is None else far
        firm = tuple([constraint for constraint in inputs.constraints if constraint.is_kept])
        own = [constraint for constraint in inputs.constraints if not constraint.is_kept]
        alone = own or shared is not None or not inputs.objective.is_steady
        found = {LONG_CONTEXT_FROM}
        for long in (False, True) if far else (False,):
            side = self._side(inputs, long)
            bare = _without_previous(side)
            found |= _in_text(_kept_marks(bare, firm), bare.load)
            if alone:
                found |= _in_text(_marks(side, own, kept=False), side.load)
            if facts.previous is not None:
                # It may go on at the endpoint where it was, and count otherwise there.
                model = facts.previous.model
                found |= _in_text(_marks(side, firm, kept=True, of=model), side.load)
                if not alone:  # else that has been done for all
                    found |= _in_text(_marks(side, (), kept=False, of=model), side.load)
        return sorted([mark for mark in found if mark >= 0])

    def _inputs(
        self,
        facts: RequestFacts,
        kind: Kind,
        context: EvaluationContext,
        known: PiecewiseChoice | None = None,
        frames: dict[Any, tuple[int, int]] | None = None,
        asked: tuple[Constraint, ...] | None = None,
    ) -> DecisionInputs:
        """Put together what a choice depends on; ``known`` is kept for requests that are alike."""
        allowance = context.allowance
        worst = allowance is not None and allowance.worst_case
        p95 = allowance is not None and allowance.p95
        pressure = 0.0 if allowance is None else allowance.pressure
        amounts = workload(
            facts,
            self.policy,
            kind.shape.widest,
            context.observed,
            matter=kind.setting.matter,
            worst=worst,
            p95=p95,
            pressure=pressure,
            known=None if known is None else known.inputs.load.beside,
            frames=frames,
        )
        return DecisionInputs(
            facts=facts,
            shape=kind.shape,
            setting=kind.setting,
            load=amounts,
            context=context,
            pinned=kind.pinned,
            relaxation=kind.relaxation,
            catalog_version=self.catalog.version,
            send_as=self.pool.send_as if facts.model is None else self._named(facts.model),
        ).under(self._constraints if asked is None else asked)

    def _kind(self, facts: RequestFacts, long: bool, relaxation: int = 0) -> Kind:
        key = (facts.shape, self._values(facts), long, relaxation)
        kept = self._shapes.get(key)
        if kept is None:
            kept = self._build(facts, long, relaxation)
            remember(self._shapes, key, kept)
        return kept

    def _values(self, facts: RequestFacts) -> tuple[Any, ...]:
        if not facts.parameters:
            return ()
        by_value = self._by_value
        return tuple([(name, value if name in by_value else None) for name, value in facts.parameters])

    def _build(self, facts: RequestFacts, long: bool, relaxation: int) -> Kind:
        pinned = facts.model is not None
        models = self.pool.models_for(facts) if facts.model is None else self._homes(facts.model)
        task = facts.task or self.policy.task
        touched, guarded = dimensions(facts, task, long=long)
        said = facts.service_tier != "standard"
        tier = facts.service_tier if said else self.policy.service_tier
        # Who says how long may be waited does not wait for a cheaper tier.
        hurried = self.policy.max_seconds is not None or self.policy.max_first_token is not None
        said_or_hurried = said or hurried or facts.parameter("service_tier")
        wanted = None if said_or_hurried else self.policy.prefer_tier
        setting = Setting(
            policy=self.policy,
            at=self.at,
            endpoints=self._endpoints,
            floor=None if pinned else self._floor,
            dimensions=touched,
            guarded=guarded,
            incumbent=self.pool.incumbent,
            alone=len({model.name for model in models}) == 1,
            cost_cap=self.policy.max_cost_pico,
            demanded=demanded(task),
            replacement=None if pinned else self._replacement(),
            reference=self._reference(facts, wanted or tier, alone=pinned or len(models) == 1),
            prefer_tier=wanted,
            compared=self._compared,
            own={} if pinned or not self.policy.measures else self._own_measures(task, long=long),
            matter=matter_of(facts.inputs, functions=facts.tools > 0, long=long),
            lock=self._lock(facts.locked_to),
        )
        ways = relaxations(facts, self.policy)[relaxation:]
        shape = build_shape(facts, models, setting, tier=tier, pinned=pinned, ways=ways)
        return Kind(shape, setting, pinned, relaxation)

    def _own_measures(self, task: str | None, *, long: bool) -> dict[tuple[str, str | None], Measured]:
        """Return what the user's own examples say of each configuration, for calls of this table."""
        names = {self.pool.stands_for, self._floor.baseline.id} if self._floor is not None else set()
        known = [
            row
            for row in self.policy.measures
            if (self.catalog.get(row.baseline).id if row.baseline in self.catalog else row.baseline) in names
        ]
        least = LONG_CONTEXT_FROM if long else 0
        found: dict[tuple[str, str | None], Measured] = {}
        for row in latest(known, tags=self.tags, task=task, at=self.at, least=least).values():
            model = self.catalog.get(row.model)
            found[model.id, row.effort or model.default_effort] = row
        return found

    def _homes(self, name: str) -> tuple[Model, ...]:
        """Return the homes of a model that is named; one that is named itself is meant alone."""
        model = self.catalog.get(name)
        if model.home_of is not None or not self.catalog.has_homes:
            return (model,)
        return tuple(one for one in self.catalog.homes(model.id) if one.weight != 0) or (model,)

    def _lock(self, name: str | None) -> str | None:
        if name is None or name not in self.catalog:
            return name
        return name if self.catalog.get(name).alive(self.at, grace=self.policy.grace or 0) else None

    def _replacement(self) -> Model | None:
        name = self.pool.baseline.lifecycle.replacement
        return self.catalog.get(name) if name is not None and name in self.catalog else None

    def _reference(self, facts: RequestFacts, tier: str, *, alone: bool) -> Reference | None:
        """Say how quick the baseline is, where nothing may be much slower than that.

        Who asks for an effort has asked for the time that it takes.
        """
        policy = self.policy
        if policy.slower_than_baseline is None or policy.optimize != "cost" or alone:
            return None
        waits = not patient(tier, background=bool(facts.parameter("background")))
        if not waits or facts.effort or policy.effort:
            return None
        # Of a model that is gone it may not be known; then what stands in its place says how long is usual.
        model, floor = self.pool.baseline, self.pool.floor
        model = floor if model.speed is None and floor is not None else model
        if model.speed is None:
            return None
        written = writes(model, model.default_effort)
        return Reference(model.id, pace_of(model.speed, tier), written.ratio, written.reasoning)

    def _named(self, name: str) -> Mapping[str, str]:
        # A snapshot that was named is what gets sent, not the alias it belongs to.
        model = self.catalog.get(name)
        return {model.id: _as_named(name, model) or model.sent_as}


def _kept_marks(bare: DecisionInputs, firm: tuple[Constraint, ...]) -> Marks:
    """Return the counts beyond which what is kept changes, worked out once for such requests."""
    load = bare.load
    kept, key = bare.shape.kept.marks, (firm, load.visible, load.reserve, load.media)
    found = kept.get(key)
    if found is None:
        found = _marks(replace(bare, load=load.but(shared=None)), firm, kept=True)
        remember(kept, key, found)
    return found


def _without_previous(side: DecisionInputs) -> DecisionInputs:
    facts = side.facts
    if facts.previous is None:
        return side
    bare = replace(facts, previous=None)
    return replace(side, facts=bare, load=side.load.but(facts=bare, beside={}, frames={}))


def _marks(
    side: DecisionInputs, constraints: Iterable[Constraint], *, kept: bool, of: str | None = None
) -> Marks:
    """Return the input token counts beyond which an answer, or a cost that is kept or is not, changes.

    They stand beside a row of those whose frames count alike: the counts, and those of the most tokens that
    there may be.
    """
    found: dict[Any, tuple[Row, set[int], set[int]]] = {}
    for row in side.shape.rows:
        if of is not None and row.at.model.id != of:
            continue
        _, sure, most = found.setdefault(frames_of(side.load, row), (row, set(), set()))
        for constraint in constraints:
            (most if constraint.of_most else sure).update(constraint.breakpoints(row, side))
        for objective in {COST, side.objective}:
            if objective.is_kept(row, side) is kept:
                sure.update(objective.breakpoints(row, side))
    return tuple(found.values())


def _in_text(marks: Marks, load: Workload) -> set[int]:
    """Return counts of input tokens as text token counts."""
    found: set[int] = set()
    for row, sure, most in marks:
        shift, more = beside(load, row)
        found.update([mark - shift for mark in sure])
        found.update([mark - shift - more for mark in most])
    return found


def _is_steady(inputs: DecisionInputs) -> bool:
    """Whether the choice follows from costs and what is the same for all such requests."""
    return inputs.load.plain and inputs.objective.is_steady and _is_light(inputs.context.allowance)


def _is_light(allowance: Allowance | None) -> bool:
    """Whether budgets ask for nothing but room for what a call is expected to cost."""
    return allowance is None or not (allowance.worst_case or allowance.p95 or allowance.pressure)


def _first_admitted(
    rungs: Ladder, own: Iterable[Constraint], inputs: DecisionInputs, tokens: int
) -> Row | None:
    """Return the cheapest configuration of a ladder that constraints admit at a text token count."""
    best: Row | None = None
    least: tuple[bool, int, int] | None = None
    for rung in rungs.values():
        cost = price(rung, tokens)
        if least is None or cost < least:
            at = inputs.tokens(rung[0], tokens)
            if all(constraint.admits(rung[0], inputs, at) for constraint in own):
                best, least = rung[0], cost
    return best


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
            # What is off is not there for another one to go with.
            names.update(rule.requires for rule in rules.values() if rule.requires is not None)
    return frozenset(names)
