"""Second calls: sampled, made after the answer on threads of their own, and never in its way."""

from __future__ import annotations

import atexit
import logging
import os
import queue
import random
import threading
import time
from collections.abc import Callable
from typing import Any, Final

from routed_llm.facts import RequestFacts

__all__ = ["SECONDS", "Sampler", "Seconds", "repeatable"]

WAITING: Final = 64
"""Second calls that may wait; a busy program's further ones are left out, and the log says so."""

THREADS: Final = 4
"""Second calls under way at a time."""

AT_EXIT: Final = 10.0
"""Seconds that a program which ends waits for second calls under way."""

log = logging.getLogger("routed_llm.rollout")


def repeatable(facts: RequestFacts) -> bool:
    """Say whether a request may be sent twice: not when the provider acts on it or keeps a state for it."""
    state = facts.locked_to is not None or facts.parameter("previous_response_id")
    return not state and facts.lasting is None


class Sampler:
    """Picks a share of the calls of each kind, evenly, from a random start. Safe to use from many threads.

    Args:
        share: the part of the calls, from 0 to 1.
    """

    def __init__(self, share: float) -> None:
        self.share = share
        self._due: dict[Any, float] = {}
        self._lock = threading.Lock()

    def picks(self, kind: Any) -> bool:
        """Say whether this call of a kind is one of the sample."""
        if self.share <= 0:
            return False
        with self._lock:
            due = self._due.get(kind)
            due = (random.random() if due is None else due) + self.share  # noqa: S311 - no secret
            self._due[kind] = due - 1 if due >= 1 else due
        return due >= 1


class Seconds:
    """Runs jobs on a few threads that end with the program. A job that fails is logged, and that is all."""

    def __init__(self) -> None:
        self._reset()

    def _reset(self) -> None:
        self._owner = os.getpid()
        self._jobs: queue.Queue[Callable[[], None]] = queue.Queue(WAITING)
        self._threads: list[threading.Thread] = []
        self._lock = threading.Lock()

    def submit(self, job: Callable[[], None]) -> bool:
        """Run a job soon; False when too many wait already."""
        if self._owner != os.getpid():
            self._reset()  # a fork has none of its parent's threads
        try:
            self._jobs.put_nowait(job)
        except queue.Full:
            return False
        with self._lock:
            if len(self._threads) < min(THREADS, self._jobs.unfinished_tasks):
                thread = threading.Thread(target=self._work, name="routed-second", daemon=True)
                self._threads.append(thread)
                thread.start()
        return True

    def wait(self, timeout: float) -> bool:
        """Wait until every job is done; False when time ran out."""
        if self._owner != os.getpid():
            return True
        end = time.monotonic() + timeout
        with self._jobs.all_tasks_done:
            while self._jobs.unfinished_tasks:
                left = end - time.monotonic()
                if left <= 0:
                    return False
                self._jobs.all_tasks_done.wait(left)
        return True

    def _work(self) -> None:
        while True:
            job = self._jobs.get()
            try:
                job()
            except Exception:  # a second call is nobody's answer: whatever it meets must not end the thread
                log.exception("a sampled second call could not be noted")
            finally:
                self._jobs.task_done()


SECONDS: Final = Seconds()
"""The process's own: however many routers there are, the threads stay few."""


@atexit.register
def _finish() -> None:
    """Let the second calls of a short program end, for a while."""
    SECONDS.wait(AT_EXIT)
