"""Shape: which configurations can serve requests made of the same kinds of things. Pure.

The outcome of every shape rule is worked out once for each kind of request and kept by the table
that asked for it; what is left is arithmetic.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, NamedTuple, TypeAlias

from routed_llm.decide.rules import (
    OF_EFFORT,
    SHAPE_RULES,
    Configuration,
    Setting,
    ShapeRule,
    endpoint_there,
    lifecycle,
)
from routed_llm.decide.speed import Pace, pace_of
from routed_llm.decision import Candidate, Reason
from routed_llm.parameters import Fit, fit_parameters
from routed_llm.policy import EFFORTS, GRACE
from routed_llm.pricing import writes

if TYPE_CHECKING:
    from routed_llm.catalog.model import Fee, Model, Price
    from routed_llm.decide.choice import Others
    from routed_llm.decision import Call, Change, Evidence
    from routed_llm.facts import RequestFacts
    from routed_llm.policy import Policy

__all__ = ["Paced", "Relaxation", "Row", "Shape", "build_shape", "relaxations"]

_PREFERENCE = {"chat_completions": 0, "responses": 1, "realtime": 2}
"""Where both endpoints can serve a call it stays on the first: its answers have the form that
programs written for gpt-4o expect."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """A configuration that passed every shape rule, with what arithmetic needs, ready to hand.

    Attributes:
        at: the configuration, on the endpoint it prefers.
        name: its model's catalog id and its effort.
        fits: endpoint to how the request's parameters fit there, the preferred one first.
        short: the price row below the long-context threshold, or None when no price is known.
        long: the price row above it (the same one where there is none).
        above: the threshold in input tokens; 0 when there is none.
        ratio: output tokens, without reasoning, for each token that gpt-4o would write.
        reasoning: reasoning tokens that are published for a call with an answer of average length.
        room: output tokens to leave for reasoning above the caller's cap.
        distance: how far its effort is from the one that was asked for.
        rank: place in the published order of quality; -1 when it has none.
        order: place in the pool, to settle ties the same way every time.
        tier: the service tier that it is called at.
        pace: how quick it is published to be, at that tier.
        best_recall: input tokens to the recall of its model at the best effort, by the hardest test.
        rates: what a token of input and one of output cost, in picodollars, up to a number of input tokens,
            where nothing is cached and what is written to a cache is charged; empty without prices.
        least: the least of those rates, of input and of output; zeros without prices.
        dearest: the highest ones.
        figures: what the prices and amounts above follow from.
        fees: what the hosted tools cost that such requests offer; tools without a price are left out.
    """

    at: Configuration
    name: tuple[str, str | None]
    fits: Mapping[str, Fit]
    short: Price | None
    long: Price | None
    above: int
    ratio: float
    reasoning: float
    room: int
    distance: int
    rank: int
    order: int
    write_from: int
    surcharge: int
    recall: Mapping[int, float]
    tier: str
    pace: Pace
    best_recall: Mapping[int, float]
    rates: tuple[tuple[float, int, int], ...]
    least: tuple[int, int]
    dearest: tuple[int, int]
    figures: tuple[str, str | None, str, int]
    fees: Mapping[str, Fee]


Paced: TypeAlias = "dict[str | None, list[tuple[Row, float, float, float, float, int]]]"


@dataclass(slots=True, kw_only=True)
class ShapeCache:
    """What follows from a shape alone and is worked out when it is first asked for.

    Attributes:
        fronts: the rows that can win, by what of a request has a say in that.
        cheaper: for each row those that cost no more, by the frames of a request and where it stays.
        beaters: of these those that some constraints admit wherever they admit the row, by these constraints,
            too.
        paced: by effort, of each row what says how long it takes by what is published.
        calls: what is sent, with its changes, by row, endpoint and whether it goes past the cache, where a
            request has no values of its own.
        evidence: what is published of a row, and the dimensions for which nothing is.
        marks: token counts beyond which a cost or an answer changes, by what has a say in that.
        rejected: for each model of which no configuration can serve, the sentence that says why.
        slow: the rows that take too much longer than the baseline, by the amounts that this depends on.
        others: by the name of a row how the others compare with it.
    """

    fronts: dict[Any, tuple[Row, ...]] = field(default_factory=dict)
    cheaper: dict[Any, dict[int, dict[int, Row]]] = field(default_factory=dict)
    beaters: dict[Any, dict[int, dict[int, Row]]] = field(default_factory=dict)
    paced: Paced | None = None
    calls: dict[tuple[int, str, bool], tuple[Call, tuple[Change, ...]]] = field(default_factory=dict)
    evidence: dict[int, tuple[tuple[Evidence, ...], tuple[str, ...]]] = field(default_factory=dict)
    marks: dict[Any, Any] = field(default_factory=dict)
    rejected: dict[str, str] | None = None
    slow: dict[Any, tuple[Any, Any, frozenset[int]]] = field(default_factory=dict)
    others: dict[tuple[str, str | None], Others] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class Shape:
    """What holds for every request of one shape.

    Attributes:
        rows: the configurations that can serve it, as far as kinds go.
        models: their models.
        rejected: the other configurations, with the Reasons against them.
        widest: the most output tokens that any row writes.
        dimensions: the dimensions of quality that were asked about.
        guarded: the other dimensions on which nothing may be worse.
        lifted: the defaults that do not hold, since nothing could serve the request under them.
        ending: models with few days left, of those that rows are of.
        tier_limited: whether a row is served at its tier for shorter inputs only.
        kept: what has been worked out for this shape and need not be again.
    """

    rows: tuple[Row, ...]
    models: tuple[Model, ...]
    rejected: tuple[Candidate, ...]
    widest: int
    dimensions: tuple[str, ...]
    guarded: tuple[str, ...]
    lifted: frozenset[str]
    ending: frozenset[str]
    tier_limited: bool
    kept: ShapeCache


class Relaxation(NamedTuple):
    """How far a request may be bent to be served at all.

    Attributes:
        keep_taste: whether losing a parameter of taste rules a configuration out.
        emulated: parameters that the caller makes good itself where a model refuses them.
        near: whether the efforts next to the one asked for will do.
        lifted: defaults that do not hold: ``speed`` (no slower than the baseline by much), ``lifetime``
            (nothing that ends soon), ``evidence`` (a named task wants a measure), ``effort`` (quality ends
            at high).
    """

    keep_taste: bool
    emulated: frozenset[str] = frozenset()
    near: bool = False
    lifted: frozenset[str] = frozenset()


def relaxations(facts: RequestFacts, policy: Policy) -> tuple[Relaxation, ...]:
    """List how far a request may be bent, least first; each is tried where nothing serves it before."""
    taste = policy.on_unsupported
    # Who sets both wants the same answer twice.
    repeats = taste == "drop" and {name for name, _ in facts.parameters} >= _REPEATABLE
    found = [Relaxation(taste != "drop" or repeats)]
    defaults = _defaults(facts, policy)
    found += [found[0]._replace(lifted=frozenset(defaults[:at])) for at in range(1, len(defaults) + 1)]
    lifted = frozenset(defaults)
    if taste == "avoid" or repeats:
        found.append(Relaxation(keep_taste=False, lifted=lifted))
    keep = taste == "raise"
    if facts.emulates:
        # What no model takes, the caller does to the answer.
        found += _both(Relaxation(keep, facts.emulates), lifted)
    if facts.effort is not None and not keep:
        # Efforts come and go with models (minimal went with the last of gpt-5); the program stays.
        found += _both(Relaxation(keep, facts.emulates, near=True), lifted)
    return tuple(found)


_REPEATABLE = frozenset({"temperature", "seed"})


def _both(one: Relaxation, lifted: frozenset[str]) -> list[Relaxation]:
    return [one, one._replace(lifted=lifted)] if lifted else [one]


def _defaults(facts: RequestFacts, policy: Policy) -> list[str]:
    """List the defaults that hold for a request as long as something can serve it under them."""
    if facts.model is not None:
        return []
    holds = {
        "speed": policy.optimize == "cost" and policy.slower_than_baseline is not None,
        "lifetime": policy.grace is None,
        "evidence": policy.at_least is not None,
        "effort": policy.optimize == "quality" and not (facts.effort or policy.effort),
    }
    return [name for name, here in holds.items() if here]


def build_shape(
    facts: RequestFacts,
    models: Iterable[Model],
    setting: Setting,
    *,
    tier: str,
    pinned: bool,
    ways: tuple[Relaxation, ...],
) -> Shape:
    """Ask every shape rule about every configuration of the models, in the first way in which any passes."""
    models = tuple(models)
    built = _build(facts, models, setting, tier, pinned, ways[0])
    for way in ways[1:]:
        if built.rows:
            break
        other = _build(facts, models, setting, tier, pinned, way)
        # A refusal says what stands against the request as it was made.
        built = built if way.near and not other.rows else other
    return built


def _build(
    facts: RequestFacts,
    models: Iterable[Model],
    setting: Setting,
    tier: str,
    pinned: bool,
    way: Relaxation,
) -> Shape:
    if way.near or way.lifted:
        setting = replace(setting, near=way.near, lifted=way.lifted)
    rows: list[Row] = []
    rejected: list[Candidate] = []
    asked = facts.effort or setting.policy.effort
    for model in models:
        mine = setting.prefer_tier
        mine = tier if mine is None or model.price(setting.at, tier=mine) is None else mine
        wanted = asked or (model.default_effort if pinned else None)
        of_model = _OfModel({}, {})
        for effort in _efforts(model, pinned):
            fits, against = _endpoints(facts, model, effort, setting, way, of_model)
            if fits:
                # Who names the effort has a cap that counts its reasoning, as the endpoint does.
                named = facts.cap is None or effort == facts.effort
                room = 0 if named else model.reasoning_room.get(effort or "", 0)
                rows.append(
                    _row(model, effort, fits, setting, mine, wanted, len(rows), room, facts.builtin_tools)
                )
            else:
                first = next(iter(against))
                rejected.append(
                    Candidate(model=model.id, effort=effort, endpoint=first, reasons=against[first])
                )
    return Shape(
        rows=tuple(rows),
        models=tuple({row.at.model.id: row.at.model for row in rows}.values()),
        rejected=tuple(rejected),
        widest=max((row.at.model.limits.max_output for row in rows), default=0),
        dimensions=setting.dimensions,
        guarded=setting.guarded,
        lifted=way.lifted,
        ending=frozenset(
            {row.at.model.id for row in rows if not row.at.model.alive(setting.at, grace=GRACE)}
        ),
        tier_limited=any(row.tier in row.at.model.tier_limits for row in rows),
        kept=ShapeCache(),
    )


def _efforts(model: Model, pinned: bool) -> list[str | None]:
    offered = {effort for efforts in model.efforts.values() for effort in efforts}
    if not offered:
        return [None]
    found: list[str | None] = [effort for effort in EFFORTS if effort in offered]
    # A pinned model whose default effort nobody published is best left to choose it.
    return [None, *found] if pinned and model.default_effort is None else found


class _OfModel(NamedTuple):
    """What all efforts of a model have in common, which is asked once."""

    rules: dict[str, list[tuple[ShapeRule | None, Reason | None]]]
    """Endpoint to the rules that are to be asked about each effort, and the reasons of all others."""
    fits: dict[tuple[str, bool], Fit]
    """How the parameters fit, by endpoint and whether nothing is thought: they ask no more of an effort."""


def _endpoints(
    facts: RequestFacts,
    model: Model,
    effort: str | None,
    setting: Setting,
    way: Relaxation,
    of_model: _OfModel,
) -> tuple[dict[str, Fit], dict[str, tuple[Reason, ...]]]:
    fits: dict[str, Fit] = {}
    against: dict[str, tuple[Reason, ...]] = {}
    surface = ("realtime",) if setting.policy.surface == "realtime" else ("chat_completions", "responses")
    for endpoint in surface:
        if endpoint not in model.endpoints:
            gone = (
                None if model.endpoints else lifecycle(Configuration(model, effort, endpoint), facts, setting)
            )
            against[endpoint] = (gone or Reason("endpoint", {"model": model.id, "endpoint": endpoint}),)
            continue
        if effort is not None and effort not in model.efforts.get(endpoint, ()):
            offered = ", ".join(model.efforts.get(endpoint, ()))
            data = {"model": model.id, "endpoint": endpoint, "asked": effort, "offered": offered}
            against[endpoint] = (Reason("effort", data),)
            continue
        at = Configuration(model, effort, endpoint)
        rules = of_model.rules.get(endpoint)
        if rules is None:
            asked: list[tuple[ShapeRule | None, Reason | None]] = [
                (rule, None) if rule in OF_EFFORT else (None, rule(at, facts, setting))
                for rule in SHAPE_RULES
            ]
            rules = of_model.rules[endpoint] = [(rule, reason) for rule, reason in asked if rule or reason]
        found = [reason if rule is None else rule(at, facts, setting) for rule, reason in rules]
        reasons = [reason for reason in found if reason is not None]
        fit = of_model.fits.get((endpoint, effort == "none"))
        if fit is None:
            absent = setting.endpoints[endpoint].absent
            fit = of_model.fits[endpoint, effort == "none"] = fit_parameters(
                facts, model, effort, endpoint, absent, keep_taste=way.keep_taste, emulated=way.emulated
            )
        reasons.extend(_held_against(fit, at, facts, setting))
        if reasons:
            against[endpoint] = tuple(reasons)
        else:
            fits[endpoint] = fit
    # The endpoint with the fewest losses comes first; of the refusals, the one that came closest.
    if len(fits) > 1:
        order = sorted(fits, key=lambda name: (fits[name].tasteful, _PREFERENCE[name]))
        fits = {name: fits[name] for name in order}
    if len(against) > 1:
        closest = sorted(
            against, key=lambda name: (_offered_last(against[name]), len(against[name]), _PREFERENCE[name])
        )
        against = {name: against[name] for name in closest}
    return fits, against


def _held_against(fit: Fit, at: Configuration, facts: RequestFacts, setting: Setting) -> tuple[Reason, ...]:
    """Return why parameters cannot be sent; an address without Responses is not the provider's own."""
    own = setting.endpoints[at.endpoint].own
    if not fit.reasons or not own or not endpoint_there(replace(at, endpoint="responses"), facts, setting):
        return fit.reasons
    return tuple(reason for reason in fit.reasons if reason.data.get("parameter") not in own)


def _offered_last(reasons: tuple[Reason, ...]) -> bool:
    # "Not offered there" says less than a reason from the endpoint on which the model is offered.
    return reasons[0].code in ("endpoint", "endpoint_forced", "effort")


def _row(
    model: Model,
    effort: str | None,
    fits: dict[str, Fit],
    setting: Setting,
    tier: str,
    wanted: str | None,
    order: int,
    room: int,
    hosted: frozenset[str],
) -> Row:
    short = model.price(setting.at, tier=tier)
    above = max(
        (row.above for row in model.prices if row.tier == tier and row.since <= setting.at), default=0
    )
    long = model.price(setting.at, tier=tier, input_tokens=above + 1) if above else short
    recall = {
        item.up_to: item.value
        for item in sorted(model.recall, key=lambda item: item.value, reverse=True)
        if item.effort is None or item.effort == effort
    }
    written = writes(model, effort)
    write_from = model.cache.min_prefix if model.cache is not None else 0
    rates = _rates(short, long, above, write_from)
    return Row(
        at=Configuration(model, effort, next(iter(fits))),
        name=(model.id, effort),
        fits=fits,
        short=short,
        long=long,
        above=above,
        ratio=written.ratio,
        reasoning=written.reasoning,
        room=room,
        distance=_distance(effort, wanted),
        rank=model.quality_rank.get(effort or "", -1),
        order=order,
        write_from=write_from,
        surcharge=model.regional_surcharge if setting.policy.regional else 0,
        recall=recall,
        tier=tier,
        pace=pace_of(model.speed, tier),
        best_recall=_best_recall(model),
        rates=rates,
        least=(
            min([rate for _, rate, _ in rates], default=0),
            min([rate for _, _, rate in rates], default=0),
        ),
        dearest=(
            max([rate for _, rate, _ in rates], default=0),
            max([rate for _, _, rate in rates], default=0),
        ),
        figures=(model.id, effort, tier, room),
        fees=_fees(model, hosted, setting) if hosted else _NO_FEES,
    )


_NO_FEES: Mapping[str, Fee] = {}


def _fees(model: Model, hosted: frozenset[str], setting: Setting) -> Mapping[str, Fee]:
    found = {tool: model.fee(tool, setting.at) for tool in sorted(hosted)}
    return {tool: fee for tool, fee in found.items() if fee is not None}


def _rates(
    short: Price | None, long: Price | None, above: int, write_from: int
) -> tuple[tuple[float, int, int], ...]:
    if short is None or long is None:
        return ()
    found = []
    for up_to in (*sorted({above, write_from - 1} - {0, -1}), math.inf):
        price = long if above and up_to > above else short
        writes = price.cache_write if write_from and up_to >= write_from else None
        found.append((up_to, writes or price.input, price.output))
    return tuple(found)


def bare_row(model: Model, effort: str | None, setting: Setting, tier: str, hosted: frozenset[str]) -> Row:
    """Make the row of a configuration that nobody asked about, to say what it would cost."""
    endpoint = next(name for name in _PREFERENCE if name in model.endpoints)
    fits = {endpoint: Fit((), frozenset(), (), 0)}
    room = model.reasoning_room.get(effort or "", 0)
    # No row of the pool has this place, so that nothing kept by it is another one's.
    return _row(model, effort, fits, setting, tier, None, _NO_PLACE, room, hosted)


_NO_PLACE = -1


def _best_recall(model: Model) -> dict[int, float]:
    best: dict[tuple[int, str], float] = {}
    for item in model.recall:
        key = (item.up_to, item.test)
        best[key] = max(item.value, best.get(key, 0.0))
    return {bin_: min(value for (up_to, _), value in best.items() if up_to == bin_) for bin_, _ in best}


def _distance(effort: str | None, wanted: str | None) -> int:
    if wanted is None or effort == wanted:
        return 0
    if effort is None or wanted not in EFFORTS:
        return len(EFFORTS)
    gap = EFFORTS.index(effort) - EFFORTS.index(wanted)
    # Of two equally near efforts the lower one: it costs less.
    return 2 * abs(gap) - (gap < 0)
