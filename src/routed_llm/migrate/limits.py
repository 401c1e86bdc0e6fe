"""A limit on the time that one file may take."""

from __future__ import annotations

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager

__all__ = ["TimeLimitError", "time_limit"]


class TimeLimitError(Exception):
    """What was limited has used up its time."""


@contextmanager
def time_limit(seconds: float) -> Iterator[None]:
    """End a block after seconds of the processor, where the system can: Unix, and the process's main thread.

    Time of the processor and not of the clock is counted, so that a busy machine finds the same.

    Raises:
        TimeLimitError: when the time is used up.
    """
    if not hasattr(signal, "setitimer") or threading.current_thread() is not threading.main_thread():
        yield
        return

    def end(*_: object) -> None:
        raise TimeLimitError

    before = signal.signal(signal.SIGVTALRM, end)
    signal.setitimer(signal.ITIMER_VIRTUAL, seconds)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_VIRTUAL, 0)
        signal.signal(signal.SIGVTALRM, before)
