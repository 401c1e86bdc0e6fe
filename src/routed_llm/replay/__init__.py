"""Replay: what a decision log says, added up."""

from routed_llm.replay.entry import LogEntry, read_log
from routed_llm.replay.estimate import Estimate, Interval
from routed_llm.replay.summary import Group, Seconds, Summary, summarize

__all__ = ["Estimate", "Group", "Interval", "LogEntry", "Seconds", "Summary", "read_log", "summarize"]
