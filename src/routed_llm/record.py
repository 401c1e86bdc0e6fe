"""Record: the routing record that is attached to an answer, as a type: JSON-able data without prompt text."""

from __future__ import annotations

from typing import NotRequired, TypedDict

__all__ = ["AttemptRecord", "ChangeRecord", "Record", "RemainingRecord", "SecondsRecord", "SwitchRecord"]


class ChangeRecord(TypedDict):
    """One parameter that is sent differently from what was asked; see :class:`routed_llm.Change`."""

    parameter: str
    action: str
    before: object
    after: object
    why: str


class SecondsRecord(TypedDict):
    """How long the answer is expected to take, in seconds from the sending of the request.

    ``source`` says where the figures come from: ``published class`` or, such as, ``42 calls``.
    """

    first: float
    first_p90: float
    whole: float
    whole_p90: float
    source: str


class SwitchRecord(TypedDict):
    """What leaving the model that answered before costs and saves, in US dollars as decimal strings."""

    previous: str
    switched: bool
    price: str
    saving: str | None
    horizon: float


class RemainingRecord(TypedDict):
    """What is left in one budget that the call drew on, in US dollars as decimal strings."""

    scope: str
    period: str
    remaining: str
    limit: str
    resets_at: str | None


class AttemptRecord(TypedDict):
    """One request of a call that took more than one; see :class:`routed_llm.Attempt`."""

    model: str
    effort: str | None
    endpoint: str
    error: dict[str, object]
    seconds: float
    action: str
    reason: str
    delay: float


class Record(TypedDict):
    """The routing record; what is NotRequired is there once the call is settled, or where it applies.

    Money is a decimal string of US dollars. ``version`` changes when a key changes its meaning.
    """

    version: int
    model: str | None
    effort: str | None
    endpoint: str | None
    why: str
    estimated_cost: str | None
    cost_range: dict[str, str] | None
    worst_cost: str | None
    input_tokens: int | None
    output_tokens: int | None
    seconds: SecondsRecord | None
    baseline: str | None
    changes: list[ChangeRecord]
    evidence: dict[str, str]
    without_evidence: list[str]
    rejected: dict[str, str]
    dearer: dict[str, str | None]
    estimates: list[str]
    at: str
    catalog: str
    switch: SwitchRecord | None
    counted: NotRequired[dict[str, object]]
    served: NotRequired[str | None]
    cost: NotRequired[str | None]
    usage: NotRequired[dict[str, object] | None]
    took: NotRequired[dict[str, float]]
    settled_at: NotRequired[str]
    id: NotRequired[str | None]
    remaining: NotRequired[list[RemainingRecord]]
    attempts: NotRequired[list[AttemptRecord]]
    trial: NotRequired[dict[str, object]]
