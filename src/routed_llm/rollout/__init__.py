"""Rollout: who answers a call while a program moves from its old model to routing, and the log of it."""

from routed_llm.rollout.ladder import Ladder
from routed_llm.rollout.stage import MODES, Stage, stage_from

__all__ = ["MODES", "Ladder", "Stage", "stage_from"]
