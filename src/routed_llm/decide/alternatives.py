"""Alternatives: how the configurations that were not chosen stand at one text token count. Pure."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any, NamedTuple, TypeAlias

if TYPE_CHECKING:
    from routed_llm.decide.inputs import DecisionInputs
    from routed_llm.decide.piecewise import PiecewiseChoice
    from routed_llm.decide.shape import Row

__all__ = ["Alternatives", "Ladder", "alternatives", "by_cost", "cheaper", "ladder"]

Ladder: TypeAlias = "tuple[tuple[bool, int, int, int, Row], ...]"
"""Configurations that can serve requests of a span: whether the price is unknown, the fixed cost and that of
each token in picodollars, their place, and themselves."""


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
        kept: what holds for all such requests, where nothing of this one alone has a say.
    """
    if kept is None:
        return _from(inputs, tokens, 0)
    span = kept.span(tokens)
    found = kept.alternatives.get(span)
    if found is None:
        found = kept.alternatives[span] = _from(inputs, kept.first(span), 1)
    return found


def _from(inputs: DecisionInputs, lower: int, step: int) -> Alternatives:
    """Say how they stand from a count on: up to the next breakpoint, or with ``step`` 0 there alone."""
    able = 0
    lines: dict[str, list[tuple[int, int]] | None] = {}
    refused: dict[str, Row] = {}
    for row in inputs.shape.rows:
        model = row.at.model.id
        if not inputs.admits(row, lower):
            refused.setdefault(model, row)
            continue
        able += 1
        cost = inputs.text_cost(row, lower)
        known = lines.setdefault(model, None if cost is None else [])
        if known is not None and cost is not None:
            rate = (inputs.text_cost(row, lower + 1) or 0) - cost if step else 0
            known.append((cost - rate * lower, rate))
    least = partial(_lowest, lower=lower) if step else _least
    return Alternatives(
        able,
        tuple([(model, None if found is None else least(found)) for model, found in lines.items()]),
        tuple([pair for pair in refused.items() if pair[0] not in lines]),
        {},
    )


def ladder(inputs: DecisionInputs, lower: int) -> Ladder:
    """List the configurations that can serve from a text token count on, up to the next breakpoint."""
    found: list[tuple[bool, int, int, int, Row]] = []
    for row in inputs.shape.rows:
        if inputs.admits(row, lower):
            cost = inputs.text_cost(row, lower)
            rate = 0 if cost is None else (inputs.text_cost(row, lower + 1) or 0) - cost
            found.append((cost is None, (cost or 0) - rate * lower, rate, row.order, row))
    return tuple(found)


def by_cost(rungs: Ladder, tokens: int) -> list[tuple[bool, int, int, Row]]:
    """Return the configurations of a ladder in the order of their costs at a text token count."""
    return sorted([(free, fixed + rate * tokens, place, row) for free, fixed, rate, place, row in rungs])


def cheaper(rungs: Ladder, name: tuple[str, str | None], low: int, high: int) -> tuple[Row, ...] | None:
    """List what may cost less than a configuration of a ladder from ``low`` to ``high`` text tokens.

    None where the ladder has no such configuration.
    """
    mine = next((rung for rung in rungs if rung[4].name == name), None)
    if mine is None:
        return None

    def cost(rung: tuple[bool, int, int, int, Row], tokens: int) -> tuple[bool, int, int]:
        return rung[0], rung[1] + rung[2] * tokens, rung[3]

    # Costs are straight lines: what costs more at both ends does so between them.
    return tuple([rung[4] for rung in rungs if any(cost(rung, at) < cost(mine, at) for at in (low, high))])


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
