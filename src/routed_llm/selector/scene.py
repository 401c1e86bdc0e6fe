"""Scene: a request as it meets the rows of its shape, and which of them its numbers rule out. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from routed_llm.decision import Reason
from routed_llm.media import MAX_PATCHES, media_tokens, over_limit
from routed_llm.rules import NUMBER_RULES
from routed_llm.selector.shape import outlasts
from routed_llm.selector.track import remember
from routed_llm.selector.weigh import Load, misfits, weigh

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from routed_llm.budget import Allowance
    from routed_llm.facts import RequestFacts
    from routed_llm.rules import Setting, Weighed
    from routed_llm.selector.shape import Row, Shape

__all__ = ["Scene", "admits", "contenders", "refusals"]


@dataclass(slots=True, kw_only=True, eq=False)
class Scene:
    """Everything that explaining a choice needs besides the choice; made for each call.

    Attributes:
        marks: the text token counts between which the same rows fit, where those are known.
    """

    facts: RequestFacts
    shape: Shape
    setting: Setting
    load: Load
    allowance: Allowance | None
    unavailable: Mapping[str, str]
    catalog_version: str
    send_as: Mapping[str, str]
    incumbent: str | None
    marks: Sequence[int] | None = None

    @property
    def is_limited_only(self) -> bool:
        """Whether nothing but the models' limits, on images too, can rule a row out."""
        policy = self.setting.policy
        return (
            (self.allowance is None or self.allowance.remaining is None)
            and not self.unavailable
            and policy.min_recall is None
            and policy.max_cost_per_call is None
        )

    @property
    def baseline(self) -> str | None:
        """The model that the floor refers to, or None without a floor."""
        return None if self.setting.floor is None else self.setting.floor.baseline.id


def refusals(row: Row, weighed: Weighed, scene: Scene) -> tuple[Reason, ...]:
    """Ask every number rule about one row."""
    found = [rule(row.at, scene.facts, weighed, scene.setting, scene.allowance) for rule in NUMBER_RULES]
    reasons = [reason for reason in found if reason is not None]
    reasons.extend(_image_refusals(row, scene))
    if row.at.model.id in scene.unavailable:
        data = {"model": row.at.model.id, "why": scene.unavailable[row.at.model.id]}
        reasons.insert(0, Reason("unavailable", data))
    return tuple(reasons)


def admits(row: Row, scene: Scene, text_tokens: int) -> bool:
    """Say whether no number rule refuses a row, without working out what the rules would say."""
    shared = scene.load
    tokens = text_tokens + (0 if shared.plain else media_tokens(scene.facts, row.at.model))
    if misfits(row, shared, tokens):
        return False
    if not scene.is_limited_only:
        return not refusals(row, weigh(row, shared, text_tokens), scene)
    return not any(over_limit(row.at.model, image) for image in scene.facts.images)


def contenders(scene: Scene) -> tuple[Row, ...]:
    """List the rows that can cost least over a conversation; all where more than limits and prices counts."""
    facts, shape = scene.facts, scene.shape
    if facts.previous is None or not scene.is_limited_only or scene.load.outputs is not None:
        return shape.rows
    if facts.images or facts.audio_seconds or facts.pdf_pages:
        return shape.rows
    stays = facts.previous.model
    key = ("contenders", stays)
    kept: tuple[Row, ...] | None = shape.notes.get(key)
    if kept is None:
        others = [row for row in shape.rows if row.at.model.id != stays]
        beaten = {row.order for row in others if any(outlasts(other, row) for other in others)}
        kept = tuple(row for row in shape.rows if row.order not in beaten)
        remember(shape.notes, key, kept)
    return kept


def _image_refusals(row: Row, scene: Scene) -> list[Reason]:
    if not scene.facts.images:
        return []
    return [
        Reason(
            "image_patches",
            {"model": row.at.model.id, "width": image.width, "height": image.height, "limit": MAX_PATCHES},
        )
        for image in scene.facts.images
        if over_limit(row.at.model, image)
    ]
