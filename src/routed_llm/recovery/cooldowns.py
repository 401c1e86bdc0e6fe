"""Cooldowns: models that all callers of a process had better leave alone for a while."""

from __future__ import annotations

import threading
from collections.abc import Mapping
from types import MappingProxyType
from typing import Final

__all__ = ["Cooldowns"]

_NONE: Final[Mapping[str, str]] = MappingProxyType({})


class Cooldowns:
    """A circuit breaker for each model. Safe to share between threads; it reads no clock.

    A model cools for as long as the provider asks, or after several failures in a row without one
    answer between them; each further failure doubles the time. When it is over, calls go to the model
    again, and the first failure takes it out at once. One answer forgets everything.

    Args:
        threshold: failures in a row that take a model out.
        base: seconds of the first time out.
        most: seconds of the longest.
    """

    def __init__(self, *, threshold: int = 3, base: float = 2.0, most: float = 120.0) -> None:
        self.threshold = threshold
        self.base = base
        self.most = most
        self._lock = threading.Lock()
        self._strikes: dict[str, int] = {}
        self._until: dict[str, tuple[float, str]] = {}

    def failed(self, model: str, why: str, *, now: float, seconds: float = 0.0) -> float:
        """Note a failure and return the seconds for which the model is out; 0 when it is not.

        Args:
            model: its catalog id.
            why: a phrase for the Reason that decisions will show.
            now: the time, in seconds of any clock that only moves forward.
            seconds: how long the provider asks to be left alone; 0 when it does not say.
        """
        with self._lock:
            strikes = self._strikes[model] = self._strikes.get(model, 0) + 1
            over = strikes - self.threshold
            struck = self.base * 2 ** min(over, 30) if over >= 0 else 0.0
            out = min(max(seconds, struck), self.most)
            until = now + out
            if out and until > self._until.get(model, (0.0, ""))[0]:
                self._until[model] = (until, why)
            return out

    def answered(self, model: str) -> None:
        """Note an answer: the model is well."""
        if model in self._strikes:
            with self._lock:
                self._strikes.pop(model, None)
                self._until.pop(model, None)

    def cooling(self, now: float) -> Mapping[str, str]:
        """Return the models that are out, with the reason."""
        if not self._until:
            return _NONE
        with self._lock:
            for model in [one for one, (until, _) in self._until.items() if until <= now]:
                del self._until[model]
                # Half open: one failure more is enough to take it out again, for longer.
                self._strikes[model] = max(self._strikes.get(model, 0), self.threshold - 1)
            return {model: why for model, (_, why) in self._until.items()} or _NONE

    def clear(self) -> None:
        """Forget everything."""
        with self._lock:
            self._strikes.clear()
            self._until.clear()
