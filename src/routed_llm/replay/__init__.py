"""Replay: what a decision log says, added up."""

from routed_llm.replay.changed import Changed, changed
from routed_llm.replay.entry import LogEntry, read_log
from routed_llm.replay.estimate import Estimate, Interval
from routed_llm.replay.summary import Group, Seconds, Summary, summarize

__all__ = [
    "Changed",
    "Estimate",
    "Group",
    "Interval",
    "LogEntry",
    "Seconds",
    "Summary",
    "changed",
    "read_log",
    "summarize",
]
