"""Standing: how the rows that were not chosen stand at one text token count. Pure."""

from __future__ import annotations

from bisect import bisect_left
from typing import TYPE_CHECKING, Any, NamedTuple

from routed_llm.decide.bills import bills
from routed_llm.decide.scene import admits
from routed_llm.decide.track import remember
from routed_llm.decide.weigh import media_of, text_cost
from routed_llm.media import over_limit

if TYPE_CHECKING:
    from routed_llm.decide.scene import Scene
    from routed_llm.decide.shape import Row

__all__ = ["Standing", "standing"]


class Standing(NamedTuple):
    """Which rows can serve a request, and what they would cost.

    Attributes:
        able: how many rows can.
        lines: for each model of which a row can, the straight lines of its rows' costs as (fixed, for each
            token), without those that cost more throughout; None when its price is not known.
        refused: for each other model, the first of its rows.
        said: what has been said of this standing and need not be worked out again.
    """

    able: int
    lines: tuple[tuple[str, tuple[tuple[int, int], ...] | None], ...]
    refused: tuple[tuple[str, Row], ...]
    said: dict[Any, Any]


def standing(scene: Scene, tokens: int) -> Standing:
    """Say how the rows stand at one text token count."""
    if scene.stands is None or scene.stands[0] != tokens:
        scene.stands = tokens, _find(scene, tokens)
    return scene.stands[1]


def _find(scene: Scene, tokens: int) -> Standing:
    """Work it out; where nothing but limits and prices counts it is kept for all counts between two marks."""
    marks, notes = scene.marks, scene.shape.notes
    charged: bool | None = notes.get("charged")
    if charged is None:
        charged = notes["charged"] = any(row.surcharge for row in scene.shape.rows)
    if marks is None or charged or not scene.is_limited_only:
        return _at(scene, tokens)
    notes = notes if scene.notes is None else scene.notes
    index = bisect_left(marks, tokens)
    key = ("standing", scene.facts.cap, scene.load.expected, scene.load.thought, index)
    kept: Standing | None = notes.get(key)
    if kept is None:
        kept = _from(scene, marks[index - 1] + 1 if index else 0)
        remember(notes, key, kept)
    return kept


def _at(scene: Scene, tokens: int) -> Standing:
    """Say how the rows stand at one text token count, where more than limits and prices has a say."""
    load, apart, most = scene.load, _apart(scene), scene.most
    out, media, able = _unable(scene), load.media is not None, 0
    costs: dict[str, int | None] = {}
    refused: dict[str, Row] = {}
    for bill, outputs in bills(scene):
        model, first = bill.model, bill.rows[0]
        cost: int | None = None
        if apart is None or model in apart:
            fitting = [row for row in bill.rows if admits(row, scene, tokens)]
            fits = len(fitting)
            known = [found for row in fitting if (found := text_cost(row, load, tokens)) is not None]
            cost = min(known, default=None)
        else:
            total = tokens + media_of(load, first.at.model) if media else tokens
            fits = 0
            if total <= bill.most and model not in out:
                fits = bill.affords(total, outputs, most)
                cost = bill.cost(total, outputs[0]) if fits else None
        if not fits:
            refused.setdefault(model, first)
            continue
        able += fits
        least = costs.setdefault(model, cost)
        if least is not None and cost is not None and cost < least:
            costs[model] = cost
    lines = tuple([(model, None if cost is None else ((cost, 0),)) for model, cost in costs.items()])
    return Standing(able, lines, tuple([pair for pair in refused.items() if pair[0] not in costs]), {})


def _apart(scene: Scene) -> set[str] | None:
    """Name the models whose costs are not those published: a cache, or what was observed; None for all."""
    load, previous = scene.load, scene.facts.previous
    if load.worst or scene.setting.policy.min_recall is not None or scene.facts.audio_seconds:
        return None
    found = {*(load.shared or ())}
    found.update([model for model, _ in load.outputs or ()])
    if previous is not None:
        found.add(previous.model)
    return found


def _unable(scene: Scene) -> set[str]:
    """Name the models that are to be left alone, or do not take one of the images."""
    found = {*scene.unavailable}
    if scene.facts.images:
        models = {row.at.model.id: row.at.model for row in scene.shape.rows}
        found.update(
            [
                name
                for name, model in models.items()
                if any(over_limit(model, image) for image in scene.facts.images)
            ]
        )
    return found


def _from(scene: Scene, lower: int) -> Standing:
    """Say how the rows stand from a count on, up to the next mark."""
    able = 0
    lines: dict[str, list[tuple[int, int]] | None] = {}
    refused: dict[str, Row] = {}
    for row in scene.shape.rows:
        model = row.at.model.id
        if not admits(row, scene, lower):
            refused.setdefault(model, row)
            continue
        able += 1
        line = _line(row, scene, lower)
        known = lines.setdefault(model, None if line is None else [])
        if known is not None and line is not None:
            known.append(line)
    return Standing(
        able,
        tuple((model, None if found is None else _lowest(found, lower)) for model, found in lines.items()),
        tuple((model, row) for model, row in refused.items() if model not in lines),
        {},
    )


def _lowest(lines: list[tuple[int, int]], lower: int) -> tuple[tuple[int, int], ...]:
    """Leave out the lines that from ``lower`` on lie nowhere below another one."""
    kept: list[tuple[int, int]] = []
    for fixed, rate in sorted(lines, key=lambda line: (line[1], line[0])):
        # Those kept so far rise no faster.
        if all(fixed + rate * lower < low + slow * lower for low, slow in kept):
            kept.append((fixed, rate))
    return tuple(kept)


def _line(row: Row, scene: Scene, lower: int) -> tuple[int, int] | None:
    """Return the fixed part and the rate of what a row costs from a count on, up to the next mark."""
    cost = text_cost(row, scene.load, lower)
    if cost is None:
        return None
    rate = (text_cost(row, scene.load, lower + 1) or 0) - cost
    return cost - rate * lower, rate
