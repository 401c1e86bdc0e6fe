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

    ended = False

    def end(*_: object) -> None:
        nonlocal ended
        ended = True
        raise TimeLimitError

    before = signal.signal(signal.SIGVTALRM, end)
    # Again and again: raised within a callback of the interpreter's, it is lost.
    signal.setitimer(signal.ITIMER_VIRTUAL, seconds, min(seconds, 0.1))
    try:
        yield
    except Exception as error:
        if ended and not isinstance(error, TimeLimitError):
            raise TimeLimitError from error  # raised within compile() it comes out as a SystemError
        raise
    finally:
        signal.setitimer(signal.ITIMER_VIRTUAL, 0)
        signal.signal(signal.SIGVTALRM, before)
