"""Exchanger: exchanges what a fleet shares through Redis. No call ever waits for it."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable
from typing import Any, Final

__all__ = ["KEEP", "Exchanger", "text"]

_log = logging.getLogger("routed_llm")

KEEP: Final = 3600
"""Seconds for which Redis keeps what is shared."""
_REST: Final = 5.0
"""Seconds for which Redis is left alone after it did not answer."""


class Exchanger:
    """Lets a thread exchange things with Redis, from time to time while calls are made.

    While Redis is away each process relies on what it has met itself, and says so once.

    Args:
        exchange: does it.
        what: is exchanged, in the plural, for the log.
        refresh: seconds between two exchanges that nothing asks for.
        clock: the clock that ``now`` is read from everywhere.
        more: whether there is something left to report once it is done.
    """

    def __init__(
        self,
        exchange: Callable[[], object],
        what: str,
        *,
        refresh: float,
        clock: Callable[[], float],
        more: Callable[[], object] = bool,
    ) -> None:
        self._exchange, self._what, self._more = exchange, what, more
        self._refresh, self._clock = refresh, clock
        self.next = 0.0
        """The moment from which it is time to exchange again."""
        self._worker: threading.Thread | None = None
        self._guard = threading.Lock()
        self._busy = self._down = False

    def look(self, now: float) -> None:
        """Exchange where it is time to."""
        if now >= self.next:
            self.start(now)

    def start(self, now: float) -> None:
        """Let a thread exchange, unless one does or Redis was away a moment ago."""
        if self._down and now < self.next:
            return
        with self._guard:
            # A thread of a parent process is not alive in its child.
            if self.is_busy:
                return
            self._busy, self.next = True, now + self._refresh
            self._worker = threading.Thread(target=self.run, name=f"routed-{self._what}", daemon=True)
            self._worker.start()

    @property
    def is_busy(self) -> bool:
        """Whether a thread exchanges."""
        return self._busy and self._worker is not None and self._worker.is_alive()

    def run(self) -> None:
        """Exchange until nothing is left to report."""
        while True:
            try:
                self._exchange()
            except Exception as error:  # noqa: BLE001 - whatever a client raises: no call fails for it
                self.next = self._clock() + _REST
                if not self._down:
                    _log.warning(
                        "%s are not shared while Redis is away: %s", self._what, type(error).__name__
                    )
                self._down = True
            else:
                self._down = False
            with self._guard:
                # What came meanwhile counts on this thread.
                if self._down or not self._more():
                    self._busy = False
                    return


def text(value: Any) -> str:
    """Return what Redis gave as text, whether its client decodes it or not."""
    return value.decode("utf-8", "replace") if isinstance(value, bytes) else str(value)
