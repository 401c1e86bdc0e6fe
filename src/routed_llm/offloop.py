"""Work in threads that is done to its end, whatever becomes of the task that waits for it.

A task that is cancelled while a thread reserves money would never learn of the reservation, and one that is
cancelled before a thread has begun to release it would take the release with it.
"""

from __future__ import annotations

import asyncio
import contextvars
import threading
from collections.abc import Callable
from typing import TYPE_CHECKING, TypeVar

if TYPE_CHECKING:
    from routed_llm.ledger.run import Run

__all__ = ["opened", "to_its_end"]

T = TypeVar("T")


async def to_its_end(do: Callable[[], T]) -> T:
    """Return what a function returns in a thread; a cancelled caller leaves it to finish by itself."""
    context = contextvars.copy_context()
    return await asyncio.shield(asyncio.get_running_loop().run_in_executor(None, context.run, do))


async def opened(open: Callable[[], Run]) -> Run:
    """Return the Run that a function opens in a thread; cancel it when the caller is gone by then."""
    lock = threading.Lock()
    made: list[Run] = []
    gone = False

    def begin() -> Run:
        run = open()
        with lock:
            made.append(run)
            unwanted = gone
        if unwanted:
            run.cancel()
        return run

    try:
        return await to_its_end(begin)
    except asyncio.CancelledError:
        with lock:
            gone = True
            late = made[0] if made else None
        if late is not None:
            await to_its_end(late.cancel)
        raise
