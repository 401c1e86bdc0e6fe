"""Replay: what a decision log says, added up."""

from routed_llm.replay.summary import Group, Summary, read_log, summarize

__all__ = ["Group", "Summary", "read_log", "summarize"]
