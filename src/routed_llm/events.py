"""Events: what whoever operates a program wants to know of its calls, one line each, to logging.

The logger is ``routed_llm``. A record's ``event`` says what happened and ``data`` holds the values of its
line; neither ever holds text of a prompt or an answer, nor a key. Levels: warning for what may need somebody
(a model that was left, a budget that runs low, the shutdown of a model that is in use), info for what was
taken care of.
"""

from __future__ import annotations

import threading
from collections.abc import Mapping
from typing import Any, Final, Protocol
from weakref import WeakSet

__all__ = ["INFO", "WARNING", "WATCHED", "Watcher", "emit", "emit_once", "watch"]

INFO: Final = 20
WARNING: Final = 30
"""Levels of logging, which is imported when there is something to say."""

WATCHED: Final[Mapping[str, int]] = {
    "budget": WARNING,
    "catalog_left": WARNING,
    "cooldown": WARNING,
    "recovery_move": WARNING,
    "recovery_stop": WARNING,
    "refresh": INFO,
    "refresh_failed": WARNING,
    "shutdown": WARNING,
    "stale_catalog": WARNING,
    "switch": INFO,
    "switch_refused": WARNING,
}
"""Events that dashboards and alerts go by, with their level."""


class Watcher(Protocol):
    """Whoever counts events."""

    def happened(self, event: str, level: int) -> None:
        """Take note of one."""


_watchers: WeakSet[Watcher] = WeakSet()


def watch(watcher: Watcher) -> None:
    """Let somebody count what happens from now on, for as long as it lives."""
    with _lock:
        _watchers.add(watcher)


_lock = threading.Lock()
_said: set[tuple[Any, ...]] = set()
_MOST: Final = 10_000
"""Events that are said once are remembered up to here; then they may be said again."""


def emit(level: int, event: str, text: str, /, *, loud: bool = False, **data: Any) -> None:
    """Log an event.

    Args:
        level: :data:`INFO` or :data:`WARNING`.
        event: what happened, in a word.
        text: the line, with ``{}`` fields of the data.
        loud: whether it is for those, too, who have not set up logging: then Python writes it to stderr.
        data: the values.
    """
    import logging

    if _watchers:
        with _lock:
            watchers = list(_watchers)
        for watcher in watchers:
            watcher.happened(event, level)
    log = logging.getLogger("routed_llm")
    if log.isEnabledFor(level) and (loud or log.hasHandlers()):
        log.log(level, "%s", text.format_map(data), extra={"event": event, "data": data})


def emit_once(level: int, event: str, text: str, /, *key: Any, loud: bool = False, **data: Any) -> None:
    """Log an event unless this process has logged it before for the same key."""
    known = (event, *key)
    if known in _said:
        return
    with _lock:
        if known in _said:
            return
        if len(_said) >= _MOST:
            _said.clear()
        _said.add(known)
    emit(level, event, text, loud=loud, **data)


def forget() -> None:
    """Let everything be said again."""
    with _lock:
        _said.clear()
