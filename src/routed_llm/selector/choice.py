"""Choosing among the configurations of one shape, at one token count. Pure."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, NamedTuple

from routed_llm.selector.outcome import refusals
from routed_llm.selector.weigh import misfits, row_cost, weigh

if TYPE_CHECKING:
    from routed_llm.facts import RequestFacts
    from routed_llm.rules import Setting
    from routed_llm.selector.outcome import Scene
    from routed_llm.selector.shape import Row, Shape
    from routed_llm.selector.weigh import Load

__all__ = ["Kind", "choose", "endpoint_for"]


class Kind(NamedTuple):
    """A shape, what its rules were asked with, and whether the call names its model."""

    shape: Shape
    setting: Setting
    pinned: bool


def choose(scene: Scene, kind: Kind, tokens: int) -> tuple[Row | None, str]:
    """Choose a row at one text token count, and say what settled it."""
    facts, policy = scene.facts, kind.setting.policy
    asked = facts.effort or policy.effort
    ordinary = policy.optimize == "cost" and not (kind.pinned or asked or scene.incumbent)
    if ordinary and scene.load.plain and not scene.unavailable and scene.budget is None:
        return _cheapest(scene, kind, tokens), "cost"
    able = [row for row in kind.shape.rows if not refusals(row, weigh(row, scene.load, tokens), scene)]
    if not able:
        return None, "none"
    if kind.pinned or (kind.setting.alone and asked):
        nearest = min(able, key=lambda row: (row.distance, _money(row, scene.load, tokens)))
        return nearest, "pinned" if kind.pinned else "only"
    if facts.previous is not None and facts.previous.in_tool_loop:
        stay = _of(able, facts.previous.model, facts.previous.effort)
        if stay is not None:
            return stay, "tool_loop"
    if scene.incumbent is not None:
        mine = [row for row in able if row.at.model.id == scene.incumbent]
        if mine:
            return min(mine, key=lambda row: _money(row, scene.load, tokens)), "incumbent"
    if policy.optimize == "quality":
        return max(able, key=lambda row: (row.rank, *_cheap_first(row, scene.load, tokens))), "quality"
    best = min(able, key=lambda row: _money(row, scene.load, tokens))
    return _or_stay(best, able, scene, tokens)


def endpoint_for(row: Row, facts: RequestFacts) -> str:
    """Pick the endpoint: a conversation stays on the one that holds its reasoning and tool-call ids."""
    previous = facts.previous
    if previous is not None and previous.model == row.at.model.id and previous.endpoint in row.fits:
        return previous.endpoint or row.at.endpoint
    return row.at.endpoint


def _cheapest(scene: Scene, kind: Kind, tokens: int) -> Row | None:
    """Do what the rules and the prices say for a plain text request, in integers and nothing else."""
    shared, policy = scene.load, kind.setting.policy
    most = policy.max_cost_pico
    rows = kind.shape.front if policy.min_recall is None else kind.shape.rows
    best: Row | None = None
    least: int | None = None
    for row in rows:
        if misfits(row, shared, tokens):
            continue
        cost = row_cost(row, shared, tokens)
        if cost is None:
            if most is None and best is None:
                best = row
            continue
        if (most is not None and cost > most) or (least is not None and cost >= least):
            continue
        if policy.min_recall is not None and refusals(row, weigh(row, shared, tokens), scene):
            continue
        best, least = row, cost
    return best


def _or_stay(best: Row, able: list[Row], scene: Scene, tokens: int) -> tuple[Row, str]:
    previous = scene.facts.previous
    stay = None if previous is None else _of(able, previous.model, previous.effort)
    if stay is None or stay is best or stay.at.model is best.at.model:
        return best, "cost"
    theirs, mine = weigh(best, scene.load, tokens).cost, weigh(stay, scene.load, tokens).cost
    if theirs is None or mine is None or theirs > mine * (1 - scene.setting.policy.switch_saving):
        return stay, "stays"
    return best, "cost"


def _money(row: Row, shared: Load, tokens: int) -> tuple[bool, int, int]:
    cost = weigh(row, shared, tokens).cost
    return (cost is None, cost or 0, row.order)


def _cheap_first(row: Row, shared: Load, tokens: int) -> tuple[bool, int, int]:
    unknown, cost, order = _money(row, shared, tokens)
    return (not unknown, -cost, -order)


def _of(rows: Iterable[Row], model: str, effort: str | None) -> Row | None:
    """Find a model's row: at the effort if it is there, else its first."""
    mine = [row for row in rows if row.at.model.id == model]
    same = [row for row in mine if row.at.effort == effort]
    return next(iter(same or mine), None)
