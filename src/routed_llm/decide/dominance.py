"""Dominance: the configurations that can be the cheapest, whatever the sizes; others need no look. Pure.

A configuration is left out when another one costs no more (over the further turns of a conversation, too)
and every constraint admits that one wherever it admits this one. What is compared is what is published. What
was observed of a configuration speaks for that one alone, so it neither leaves another one out nor is left
out; a model with a warm cache may be cheaper than published, so it is not left out.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any, TypeAlias

from routed_llm.decide.piecewise import remember
from routed_llm.decide.weigh import growth, is_framed

if TYPE_CHECKING:
    from collections.abc import Iterable

    from routed_llm.catalog.model import Price
    from routed_llm.decide.constraints import Constraint
    from routed_llm.decide.inputs import DecisionInputs
    from routed_llm.decide.shape import Row

__all__ = ["pareto_front"]

Cheaper: TypeAlias = "dict[int, dict[int, Row]]"


def pareto_front(inputs: DecisionInputs) -> tuple[Row, ...]:
    """List the rows that can cost least, on this call or, in a conversation, with the turns to come."""
    if inputs.front is None:
        inputs.front = _front(inputs)
    return inputs.front


def _front(inputs: DecisionInputs) -> tuple[Row, ...]:
    shape, load, constraints = inputs.shape, inputs.load, inputs.constraints
    pruning = [constraint.pruning(inputs) for constraint in constraints]
    if None in pruning or not inputs.is_ordinary:
        return shape.rows
    previous = inputs.facts.previous
    stays = (None, None) if previous is None else (previous.model, previous.effort)
    observed = frozenset(load.outputs or ())
    warm = frozenset(load.shared or ())
    at = None if previous is None else previous.endpoint
    apart = load.media or bool(inputs.facts.builtin_tools)
    key = (stays, at, observed, warm, apart, is_framed(inputs.facts), tuple(pruning))
    kept = shape.kept.fronts.get(key)
    if kept is None:
        still = tuple([one for one, by in zip(constraints, pruning, strict=True) if by == ()])
        kept = _left(inputs, stays, observed, warm, still)
        remember(shape.kept.fronts, key, kept)
    return kept


def _left(
    inputs: DecisionInputs,
    stays: tuple[str | None, str | None],
    observed: frozenset[Any],
    warm: frozenset[str],
    still: tuple[Constraint, ...],
) -> tuple[Row, ...]:
    rows, stateless = inputs.shape.rows, inputs.facts.previous is None
    # What some constraints mean is the same for all requests of the kind.
    beaters = _beaters(inputs, still)
    moving = [one for one in inputs.constraints if one not in still]
    # Each model counts images and pages in its own way, and hosted tools may have other prices with it. The
    # model that answered before has a cache of its own, and the best of the others has to be among those that
    # are left, too.
    own = inputs.load.media or inputs.facts.builtin_tools
    apart = {row.at.model.id for row in rows} if own else {*warm, stays[0]}

    def beats(one: Row, other: Row) -> bool:
        mine, theirs = one.at.model, other.at.model
        if one.name in observed or (mine is not theirs and (theirs.id in apart or mine.id == stays[0])):
            return False
        if not _keep(moving, one, other, inputs):
            return False
        if not stateless:
            return _outlasts(one, other, inputs)
        # Of two that are equal in everything, the earlier one is left.
        return one.order < other.order or not equal(one, other)

    def equal(one: Row, other: Row) -> bool:
        return other.order in beaters[one.order] and _keep(moving, other, one, inputs)

    def beaten(row: Row) -> bool:
        return any(beats(other, row) for other in beaters[row.order].values())

    return tuple([row for row in rows if row.name == stays or row.name in observed or not beaten(row)])


def _beaters(inputs: DecisionInputs, still: tuple[Constraint, ...]) -> Cheaper:
    """Return for each row those that cost no more and that constraints admit wherever they admit it."""
    kept, key = inputs.shape.kept.beaters, (still, *_frames(inputs))
    found = kept.get(key)
    if found is None:
        rows, cheaper = inputs.shape.rows, _cheaper_rows(inputs)
        found = {
            row.order: {at: one for at, one in cheaper[row.order].items() if _keep(still, one, row, inputs)}
            for row in rows
        }
        remember(kept, key, found)
    return found


def _cheaper_rows(inputs: DecisionInputs) -> Cheaper:
    """Return for each row those that cost no more by what is published, by their places in the pool."""
    kept, key = inputs.shape.kept.cheaper, _frames(inputs)
    found = kept.get(key)
    if found is None:
        # What beats most is asked first.
        rows = sorted(inputs.shape.rows, key=_price_of_words)
        found = {
            row.order: {one.order: one for one in rows if one is not row and _wins(one, row, inputs)}
            for row in rows
        }
        remember(kept, key, found)
    return found


def _frames(inputs: DecisionInputs) -> tuple[Any, ...]:
    """Return what says by how much configurations may count differently.

    A conversation stays on its endpoint, where its frames may count otherwise.
    """
    previous = inputs.facts.previous
    return is_framed(inputs.facts), None if previous is None else (previous.model, previous.endpoint)


def _price_of_words(row: Row) -> float:
    return math.inf if row.short is None else row.short.output * (row.ratio + row.reasoning)


def _wins(one: Row, other: Row, inputs: DecisionInputs) -> bool:
    """Say whether one row costs no more than another, whatever the sizes, and is no farther off."""
    if one.distance > other.distance or one.short is None or other.short is None:
        return False
    # What most pairs fail by is asked first.
    if one.short.input > other.short.input or one.short.output > other.short.output:
        return False
    # Every kind of request compares the same configurations.
    more = growth(one, other, inputs.facts)
    compared, key = inputs.setting.compared, (one.figures, other.figures, more)
    if key not in compared:
        compared[key] = _costs_no_more(one, other, more)
    return compared[key]


def _keep(constraints: Iterable[Constraint], one: Row, other: Row, inputs: DecisionInputs) -> bool:
    """Say whether constraints admit one row wherever they admit another that costs no less."""
    for constraint in constraints:  # noqa: SIM110 - in the way of the first decisions of a process
        if not constraint.keeps(one, other, inputs):
            return False
    return True


def _outlasts(one: Row, other: Row, inputs: DecisionInputs) -> bool:
    """Say whether a row costs less than another over the further turns of a conversation, too."""
    more = growth(one, other, inputs.facts)
    if _alike(one, other) and more == 1:
        return one.order < other.order
    mine, theirs = one.at.model.cache, other.at.model.cache
    if mine is None or theirs is None:
        if mine is not theirs:
            return False
    elif (mine.step, mine.min_prefix, mine.ttl) != (theirs.step, theirs.min_prefix, theirs.ttl):
        return False
    prices = [(a, b) for a in (one.short, one.long) for b in (other.short, other.long) if a and b]
    if any(_read(a) * more > _read(b) for a, b in prices):
        return False
    # Of two that may cost the same, the earlier one is chosen.
    return one.order < other.order or all(max(a.input, a.cache_write or 0) < b.input for a, b in prices)


def _costs_no_more(one: Row, other: Row, more: float) -> bool:
    if one.short is None or one.long is None or other.short is None or other.long is None:
        return False
    if one.room and not other.room:
        return False  # the caller's cap ends what the other one writes, but not what this one does
    if _alike(one, other) and more == 1:
        return one.reasoning <= other.reasoning and one.room <= other.room
    if one.surcharge > other.surcharge:
        return False
    above = {one.above, other.above} - {0}
    pairs = [(one.short, other.short), (one.long, other.long)]
    if len(above) == 2 or (above and 0 in (one.above, other.above)):
        pairs += [(one.long, other.short), (one.short, other.long)]
    return all(_cheaper(a, one, b, other, more) for a, b in pairs)


def _alike(one: Row, other: Row) -> bool:
    """Say whether two rows are of one model and say as much, so that they differ in their reasoning only."""
    return one.at.model is other.at.model and one.ratio == other.ratio


def _read(price: Price) -> int:
    return price.input if price.cached_input is None else price.cached_input


def _cheaper(a: Price, one: Row, b: Price, other: Row, more: float) -> bool:
    def dearest(row: Price) -> int:
        return max(row.input, row.cache_write or 0)

    # A cap may cut the other's output short, down to what gpt-4o would write, but no further; and tokens are
    # whole, so that the first one counts in full.
    said = one.ratio + 1 if one.reasoning else math.ceil(one.ratio)
    if dearest(a) * more > b.input or a.output * said > b.output * min(other.ratio, 1.0):
        return False
    # What is written in all stays within the cap and the room for reasoning above it.
    pairs = ((one.reasoning, other.reasoning), (one.room, other.room))
    return not one.reasoning or all(a.output * mine <= b.output * theirs for mine, theirs in pairs)
