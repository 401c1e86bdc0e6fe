"""Replay: what a decision log says, added up."""

from routed_llm.replay.summary import Group, LogEntry, Outputs, Summary, read_log, summarize

__all__ = ["Group", "LogEntry", "Outputs", "Summary", "read_log", "summarize"]
