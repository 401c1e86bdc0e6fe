"""Alternatives: how the configurations that were not chosen stand at one text token count. Pure."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any, NamedTuple, TypeAlias

if TYPE_CHECKING:
    from collections.abc import Iterable

    from routed_llm.decide.constraints import Constraint
    from routed_llm.decide.inputs import DecisionInputs
    from routed_llm.decide.piecewise import PiecewiseChoice
    from routed_llm.decide.shape import Row

__all__ = [
    "Alternatives",
    "Ladder",
    "Rivals",
    "Rung",
    "alternatives",
    "firm",
    "is_firm",
    "ladder",
    "price",
    "rivals_of",
]

Rung: TypeAlias = "tuple[Row, int | None, int]"
"""A configuration with its fixed cost, None where no price is known, and that of each token (picodollars)."""

Ladder: TypeAlias = "dict[int, Rung]"
"""Configurations that can serve, by their place."""

Rivals: TypeAlias = "tuple[Rung | None, tuple[Rung, ...]]"
"""A configuration, or None, and those that may cost less."""


class Alternatives(NamedTuple):
    """Which configurations can serve a request, and what they would cost.

    Attributes:
        able: how many can.
        lines: for each model of which one can, the straight lines of their costs as (fixed, for each
            token), without those that cost more throughout; None when its price is not known.
        refused: for each other model, the first of its configurations.
        said: what has been said of them and need not be worked out again.
    """

    able: int
    lines: tuple[tuple[str, tuple[tuple[int, int], ...] | None], ...]
    refused: tuple[tuple[str, Row], ...]
    said: dict[Any, Any]


def alternatives(inputs: DecisionInputs, tokens: int, kept: PiecewiseChoice | None) -> Alternatives:
    """Say how the configurations stand at a text token count.

    Args:
        inputs: the request.
        tokens: text tokens.
        kept: what holds for all such requests, or None.
    """
    if kept is None:
        return _from(inputs, tokens, 0, ladder(inputs, inputs.constraints, tokens, step=0))
    others = [one for one in inputs.constraints if not is_firm(one)]
    span = kept.span(tokens)
    able = kept.able.get(span)
    if able is None:
        able = kept.able[span] = ladder(inputs, firm(inputs.constraints), kept.first(span))
    refused = _refused(inputs, tokens, others) if others else None
    if refused:
        return _from(inputs, tokens, 0, {at: rung for at, rung in able.items() if at not in refused})
    found = kept.alternatives.get(span)
    if found is None:
        found = kept.alternatives[span] = _from(inputs, kept.first(span), 1, able)
    return found


def _refused(inputs: DecisionInputs, tokens: int, constraints: list[Constraint]) -> frozenset[int]:
    """Return the places of what constraints rule out at a text token count."""
    found = []
    for row in inputs.shape.rows:
        at = inputs.tokens(row, tokens)
        for constraint in constraints:
            if not constraint.admits(row, inputs, at):
                found.append(row.order)
                break
    return frozenset(found)


def is_firm(constraint: Constraint) -> bool:
    """Say whether a constraint's answers are kept, and the same between two breakpoints."""
    return constraint.is_kept and not constraint.follows_cost


def firm(constraints: Iterable[Constraint]) -> list[Constraint]:
    """Return those of the constraints whose answers are kept, and the same between two breakpoints."""
    return [one for one in constraints if is_firm(one)]


def ladder(inputs: DecisionInputs, constraints: Iterable[Constraint], lower: int, *, step: int = 1) -> Ladder:
    """Return what constraints admit at a text token count, up to the next breakpoint; or there alone."""
    found: Ladder = {}
    for row in inputs.shape.rows:
        tokens = inputs.tokens(row, lower)
        if all(constraint.admits(row, inputs, tokens) for constraint in constraints):
            cost = inputs.cost(row, tokens)
            rate = (inputs.cost(row, tokens + 1) or 0) - cost if step and cost is not None else 0
            found[row.order] = row, None if cost is None else cost - rate * lower, rate
    return found


def _from(inputs: DecisionInputs, lower: int, step: int, able: Ladder) -> Alternatives:
    """Say how they stand from a count on: up to the next breakpoint, or with ``step`` 0 there alone."""
    lines: dict[str, list[tuple[int, int]] | None] = {}
    refused: dict[str, Row] = {}
    for row in inputs.shape.rows:
        model = row.at.model.id
        if row.order not in able:
            refused.setdefault(model, row)
            continue
        _, fixed, rate = able[row.order]
        known = lines.setdefault(model, None if fixed is None else [])
        if known is not None and fixed is not None:
            known.append((fixed, rate) if step else (fixed + rate * lower, 0))
    least = partial(_lowest, lower=lower) if step else _least
    return Alternatives(
        len(able),
        tuple([(model, None if found is None else least(found)) for model, found in lines.items()]),
        tuple([pair for pair in refused.items() if pair[0] not in lines]),
        {},
    )


def price(rung: Rung, tokens: int) -> tuple[bool, int, int]:
    """Return what puts configurations in order of cost at a text token count, those of unknown price last."""
    row, fixed, rate = rung
    return fixed is None, (fixed or 0) + rate * tokens, row.order


def rivals_of(rungs: Ladder, name: tuple[str, str | None] | None, low: int, high: int) -> Rivals:
    """Return a configuration of a ladder, and what may cost less from ``low`` to ``high`` text tokens.

    Without a name, or where the ladder does not have it, that is everything.
    """
    mine = next((rung for rung in rungs.values() if rung[0].name == name), None)
    if mine is None:
        return None, tuple(rungs.values())
    ends = [(at, price(mine, at)) for at in (low, high)]
    return mine, tuple([one for one in rungs.values() if any(price(one, at) < least for at, least in ends)])


def _least(lines: list[tuple[int, int]]) -> tuple[tuple[int, int], ...]:
    return (min(lines),)


def _lowest(lines: list[tuple[int, int]], lower: int) -> tuple[tuple[int, int], ...]:
    """Leave out the lines that from ``lower`` on lie nowhere below another one."""
    kept: list[tuple[int, int]] = []
    for fixed, rate in sorted(lines, key=lambda line: (line[1], line[0])):
        # Those kept so far rise no faster.
        if all(fixed + rate * lower < low + slow * lower for low, slow in kept):
            kept.append((fixed, rate))
    return tuple(kept)
