"""Scene: a request as it meets the rows of its shape, and which of them its numbers rule out. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from routed_llm.decide.rules import NUMBER_RULES
from routed_llm.decide.weigh import Load, media_of, misfits, recall_of, row_cost, weigh, worst_cost
from routed_llm.decision import Reason
from routed_llm.media import MAX_PATCHES, over_limit

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from routed_llm.budget import Allowance
    from routed_llm.decide.rules import Setting, Weighed
    from routed_llm.decide.shape import Row, Shape
    from routed_llm.decide.standing import Standing
    from routed_llm.facts import RequestFacts

__all__ = ["Scene", "admits", "refusals"]


@dataclass(slots=True, kw_only=True, eq=False)
class Scene:
    """Everything that explaining a choice needs besides the choice; made for each call.

    Attributes:
        marks: the text token counts between which the same rows fit, where those are known.
        notes: where what holds between two marks is kept; the shape's own notes when None.
        stands: how the rows stand at a text token count, once that has been worked out.
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
    notes: dict[Any, Any] | None = None
    stands: tuple[int, Standing] | None = None

    @property
    def remaining(self) -> int | None:
        """What the tightest hard budget leaves, or None for no limit."""
        return None if self.allowance is None else self.allowance.remaining

    @property
    def most(self) -> int | None:
        """The most picodollars that a call may be expected to cost, or None for no limit."""
        most, left = self.setting.policy.max_cost_pico, self.remaining
        if left is None or self.load.worst:
            return most
        return left if most is None or left < most else most

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
    shared, model = scene.load, row.at.model
    tokens = text_tokens + media_of(shared, model)
    if misfits(row, shared, tokens) or model.id in scene.unavailable:
        return False
    if any(over_limit(model, image) for image in scene.facts.images):
        return False
    policy, left = scene.setting.policy, scene.remaining
    if policy.min_recall is not None:
        value = recall_of(row, tokens)[0]
        if value is None or value < policy.min_recall:
            return False
    most = policy.max_cost_pico
    if most is None and left is None:
        return True
    cost = row_cost(row, shared, tokens)
    if cost is None or (most is not None and cost > most):
        return False
    if left is None:
        return True
    need = worst_cost(row, shared, tokens, weigh(row, shared, text_tokens).cap) if shared.worst else cost
    return (cost if need is None else need) <= left


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
