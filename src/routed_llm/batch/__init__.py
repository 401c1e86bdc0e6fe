"""Decisions for columns: many requests at once, Arrow, numpy or lists in, Arrow out.

For planning over logs, where a million requests are decided in about a second. Needs the extra ``batch``.
"""

from routed_llm.batch.planner import Planner, select_many

__all__ = ["Planner", "select_many"]
