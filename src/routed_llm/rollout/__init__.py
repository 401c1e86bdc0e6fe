"""Rollout: who answers a call while a program moves from its old model to routing, and the log of it."""

from typing import TYPE_CHECKING, Any

from routed_llm.rollout.stage import MODES, Stage, stage_from

if TYPE_CHECKING:
    from routed_llm.rollout.ladder import Ladder

__all__ = ["MODES", "Ladder", "Stage", "stage_from"]


def __getattr__(name: str) -> Any:
    # Few programs climb, and all of them import this.
    if name != "Ladder":
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from routed_llm.rollout.ladder import Ladder

    return Ladder
