"""Front: the rows that can be the cheapest, whatever the sizes; the others need not be looked at. Pure.

A row is left out when another one costs no more and has no tighter limit (:func:`outdoes`; over the further
turns of a conversation, :func:`outlasts`). Both compare what is published. What was observed of a row speaks
for that row alone, so it neither leaves another one out nor is left out; a model with a warm cache may be
cheaper than published, so it is not left out; one that is to be left alone does not count at all.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from routed_llm.decide.shape import outdoes, outlasts
from routed_llm.decide.track import remember

if TYPE_CHECKING:
    from collections.abc import Callable

    from routed_llm.decide.scene import Scene
    from routed_llm.decide.shape import Row

__all__ = ["contenders"]


def contenders(scene: Scene) -> tuple[Row, ...]:
    """List the rows that can cost least, on this call or, in a conversation, with the turns to come."""
    shape, load = scene.shape, scene.load
    if scene.setting.policy.min_recall is not None or load.worst:
        # A dearer row may have a recall that is published, and the least at worst.
        return shape.rows
    previous = scene.facts.previous
    if load.plain and load.outputs is None and load.shared is None and not scene.unavailable:
        return shape.front
    stays = (None, None) if previous is None else (previous.model, previous.effort)
    observed = frozenset(load.outputs or ())
    warm = frozenset(load.shared or ())
    away = frozenset(scene.unavailable)
    key = ("contenders", stays, observed, warm, away, load.media is not None)
    kept: tuple[Row, ...] | None = shape.notes.get(key)
    if kept is None:
        kept = _left(scene, stays, observed, warm, away)
        remember(shape.notes, key, kept)
    return kept


def _left(
    scene: Scene,
    stays: tuple[str | None, str | None],
    observed: frozenset[Any],
    warm: frozenset[str],
    away: frozenset[str],
) -> tuple[Row, ...]:
    beats: Callable[[Row, Row], bool] = outdoes if scene.facts.previous is None else outlasts
    rows = [row for row in scene.shape.rows if row.at.model.id not in away]
    firm = [row for row in rows if (row.at.model.id, row.at.effort) not in observed]
    # Each model counts images and pages in its own way. The model that answered before has a cache of its
    # own, and the best of the others has to be among those that are left, too.
    apart = {row.at.model.id for row in rows} if scene.load.media is not None else {*warm, stays[0]}

    def beaten(row: Row) -> bool:
        mine = row.at.model
        return any(
            other is not row
            and (other.at.model is mine or not (mine.id in apart or other.at.model.id == stays[0]))
            and beats(other, row)
            for other in firm
        )

    return tuple(
        row for row in rows if (row.at.model.id, row.at.effort) in (stays, *observed) or not beaten(row)
    )
