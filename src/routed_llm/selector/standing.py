"""Standing: how the rows that were not chosen stand at one text token count. Pure."""

from __future__ import annotations

from bisect import bisect_left
from typing import TYPE_CHECKING, Any, NamedTuple

from routed_llm.selector.scene import admits
from routed_llm.selector.track import remember
from routed_llm.selector.weigh import text_cost

if TYPE_CHECKING:
    from routed_llm.selector.scene import Scene
    from routed_llm.selector.shape import Row

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
    """Say how the rows stand at one text token count; kept for all counts between the same two marks."""
    marks, notes = scene.marks, scene.shape.notes
    charged = notes.get("charged")
    if charged is None:
        charged = notes["charged"] = any(row.surcharge for row in scene.shape.rows)
    if marks is None or charged or not scene.is_limited_only:
        return _work_out(scene, tokens, tokens)
    index = bisect_left(marks, tokens)
    key = ("standing", scene.facts.cap, scene.load.expected, scene.load.thought, index)
    kept: Standing | None = notes.get(key)
    if kept is None:
        lower = marks[index - 1] + 1 if index else 0
        upper = marks[index] if index < len(marks) else max(lower + 1, tokens)
        kept = _work_out(scene, lower, upper)
        remember(notes, key, kept)
    return kept


def _work_out(scene: Scene, lower: int, upper: int) -> Standing:
    able = 0
    lines: dict[str, list[tuple[int, int]] | None] = {}
    refused: dict[str, Row] = {}
    for row in scene.shape.rows:
        model = row.at.model.id
        if not admits(row, scene, lower):
            refused.setdefault(model, row)
            continue
        able += 1
        line = _line(row, scene, lower, upper)
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


def _line(row: Row, scene: Scene, lower: int, upper: int) -> tuple[int, int] | None:
    """Return the fixed part and the rate of what a row costs between two counts."""
    cost = text_cost(row, scene.load, lower)
    if cost is None:
        return None
    if upper == lower:
        return cost, 0
    rate = (text_cost(row, scene.load, lower + 1) or 0) - cost
    return cost - rate * lower, rate
