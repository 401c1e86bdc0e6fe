"""Choosing among the configurations of one shape, at one token count. Pure."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, NamedTuple

from routed_llm.decide.front import contenders
from routed_llm.decide.scene import admits
from routed_llm.decide.weigh import conversation_cost, media_of, misfits, row_cost, text_cost

if TYPE_CHECKING:
    from routed_llm.decide.rules import Setting
    from routed_llm.decide.scene import Scene
    from routed_llm.decide.shape import Row, Shape
    from routed_llm.decide.weigh import Load
    from routed_llm.facts import RequestFacts

__all__ = ["Kind", "choose", "endpoint_for"]


class Kind(NamedTuple):
    """A shape, what its rules were asked with, and whether the call names its model.

    Attributes:
        leeway: how many ways of bending the request less than this one were passed over.
    """

    shape: Shape
    setting: Setting
    pinned: bool
    leeway: int = 0


def choose(scene: Scene, kind: Kind, tokens: int) -> tuple[Row | None, str]:
    """Choose a row at one text token count, and say what settled it."""
    facts, policy = scene.facts, kind.setting.policy
    asked = facts.effort or policy.effort
    ordinary = policy.optimize == "cost" and not (kind.pinned or asked or scene.incumbent)
    if ordinary and facts.previous is None:
        return _cheapest(scene, tokens), "cost"
    rows = contenders(scene) if ordinary else kind.shape.rows
    able = [row for row in rows if admits(row, scene, tokens)]
    if not able:
        return None, "none"
    if kind.pinned or (kind.setting.alone and asked):
        nearest = min(able, key=lambda row: (row.distance, _money(row, scene.load, tokens)))
        return nearest, "pinned" if kind.pinned else "only"
    settled = _settled(able, scene, tokens)
    if settled is not None:
        return settled
    if policy.optimize == "quality":
        return _best(able, scene, tokens), "quality"
    if facts.previous is None:
        return min(able, key=lambda row: _money(row, scene.load, tokens)), "cost"
    return _or_stay(able, scene, tokens)


def _settled(able: list[Row], scene: Scene, tokens: int) -> tuple[Row, str] | None:
    """Return the row that a tool loop or the policy's incumbent settles on, or None."""
    previous = scene.facts.previous
    if previous is not None and previous.in_tool_loop:
        stay = _of(able, previous.model, previous.effort)
        if stay is not None:
            return stay, "tool_loop"
    if scene.incumbent is None:
        return None
    mine = [row for row in able if row.at.model.id == scene.incumbent]
    if not mine:
        return None
    best = min(mine, key=lambda row: _money(row, scene.load, tokens))
    return (best, "incumbent") if best in _within_pressure(best, able, scene, tokens) else None


def _best(able: list[Row], scene: Scene, tokens: int) -> Row:
    def rank(row: Row) -> tuple[int, bool, int, int]:
        return (row.rank, *_cheap_first(row, scene.load, tokens))

    best = max(able, key=rank)
    left = _within_pressure(best, able, scene, tokens)
    return best if left is able else max(left, key=rank)


def endpoint_for(row: Row, facts: RequestFacts) -> str:
    """Pick the endpoint: a conversation stays on the one that holds its reasoning and tool-call ids."""
    previous = facts.previous
    if previous is not None and previous.model == row.at.model.id and previous.endpoint in row.fits:
        return previous.endpoint or row.at.endpoint
    return row.at.endpoint


def _cheapest(scene: Scene, tokens: int) -> Row | None:
    """Return the row that costs least of those that the numbers admit; one of unknown price is the last."""
    load, most = scene.load, scene.most
    careful = bool(scene.setting.policy.min_recall is not None or load.worst or scene.facts.images)
    best: Row | None = None
    least: int | None = None
    for row in contenders(scene):
        total = tokens + media_of(load, row.at.model)
        if misfits(row, load, total):
            continue
        cost = row_cost(row, load, total)
        if least is not None and (cost is None or cost >= least):
            continue
        if cost is None and (most is not None or best is not None):
            continue
        if cost is not None and most is not None and cost > most:
            continue
        if careful and not admits(row, scene, tokens):
            continue
        best, least = row, cost
    return best


def _within_pressure(best: Row, able: list[Row], scene: Scene, tokens: int) -> list[Row]:
    """Leave those that cost no more than a budget that runs low still lets a call cost.

    That amount moves, in equal steps of proportion, from what the first choice costs (no pressure) to
    what the cheapest costs (nothing left).
    """
    if scene.allowance is None or not scene.allowance.pressure:
        return able
    costs = [(row, text_cost(row, scene.load, tokens)) for row in able]
    known = [cost for _, cost in costs if cost is not None]
    first = text_cost(best, scene.load, tokens)
    if not known or first is None:
        return able
    least = min(known)
    most = least * (first / least) ** (1 - scene.allowance.pressure) if least else first
    return [row for row, cost in costs if cost is not None and cost <= max(most, least)]


def _or_stay(able: list[Row], scene: Scene, tokens: int) -> tuple[Row, str]:
    """Weigh leaving the model that answered before: over the turns to come, and by more than a trifle."""
    previous, policy = scene.facts.previous, scene.setting.policy

    def total(row: Row) -> tuple[bool, int, int]:
        cost = conversation_cost(row, scene.load, tokens)
        return (cost is None, cost or 0, row.order)

    totals = [total(row) for row in able]
    (unknown, theirs, _) = least = min(totals)
    best = able[totals.index(least)]
    stay = None if previous is None else _of(able, previous.model, previous.effort)
    if stay is None or stay is best or stay.at.model is best.at.model:
        return best, "cost"
    mine = next(money for row, (_, money, _) in zip(able, totals, strict=True) if row is stay)
    if unknown or theirs > mine * (1 - policy.switch_saving):
        return stay, "stays"
    return best, "switch"


def _money(row: Row, shared: Load, tokens: int) -> tuple[bool, int, int]:
    cost = text_cost(row, shared, tokens)
    return (cost is None, cost or 0, row.order)


def _cheap_first(row: Row, shared: Load, tokens: int) -> tuple[bool, int, int]:
    unknown, cost, order = _money(row, shared, tokens)
    return (not unknown, -cost, -order)


def _of(rows: Iterable[Row], model: str, effort: str | None) -> Row | None:
    """Find a model's row: at the effort if it is there, else its first."""
    mine = [row for row in rows if row.at.model.id == model]
    same = [row for row in mine if row.at.effort == effort]
    return next(iter(same or mine), None)
