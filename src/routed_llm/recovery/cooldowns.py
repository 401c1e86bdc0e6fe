"""Cooldowns: models that all callers of a process had better leave alone for a while.

UnavailableModels: models that the provider does not have, or not for a key.
"""

from __future__ import annotations

import threading
from collections.abc import Mapping
from types import MappingProxyType
from typing import Final, Protocol, runtime_checkable

__all__ = ["CooldownStore", "Cooldowns", "UnavailableModels", "fingerprint"]

_NONE: Final[Mapping[str, str]] = MappingProxyType({})
Key = tuple[str, str]


@runtime_checkable
class CooldownStore(Protocol):
    """What a router asks about failing models. No method may raise or wait: a call must not fail for it."""

    def failed(
        self, model: str, why: str, *, now: float, seconds: float = 0.0, credential: str = ""
    ) -> float:
        """Note a failure and return the seconds for which the model is out; 0 when it is not."""

    def answered(self, model: str, *, credential: str = "") -> None:
        """Note an answer: the model is well."""

    def cooling(self, now: float, *, credential: str = "") -> Mapping[str, str]:
        """Return the models that are out, with the reason."""

    def clear(self) -> None:
        """Forget everything."""


class Cooldowns:
    """A circuit breaker for each model and credential. Safe to share between threads; it reads no clock.

    A model cools for as long as the provider asks, or after several failures in a row without one
    answer between them; each further failure doubles the time. When it is over, calls go to the model
    again, and the first failure takes it out at once. One answer forgets everything.

    Args:
        threshold: failures in a row that take a model out.
        base: seconds of the first time out.
        most: seconds of the longest.

    Attributes:
        knows: whether there may be anything to ask about: not before something has failed here, but a
            subclass may know of others.
    """

    def __init__(self, *, threshold: int = 3, base: float = 2.0, most: float = 120.0) -> None:
        self.knows = type(self) is not Cooldowns
        self.threshold = threshold
        self.base = base
        self.most = most
        self._lock = threading.Lock()
        self._strikes: dict[Key, int] = {}
        self._until: dict[Key, tuple[float, str]] = {}

    def failed(
        self, model: str, why: str, *, now: float, seconds: float = 0.0, credential: str = ""
    ) -> float:
        """Note a failure and return the seconds for which the model is out; 0 when it is not.

        Args:
            model: its catalog id.
            why: a phrase for the Reason that decisions will show.
            now: the time, in seconds of any clock that only moves forward.
            seconds: how long the provider asks to be left alone; 0 when it does not say.
            credential: whose calls failed; a limit of one account says nothing of another's.
        """
        key = (credential, model)
        self.knows = True
        with self._lock:
            strikes = self._strikes[key] = self._strikes.get(key, 0) + 1
            over = strikes - self.threshold
            struck = self.base * 2 ** min(over, 30) if over >= 0 else 0.0
            out = min(max(seconds, struck), self.most)
            self._rest(key, now + out, why, out)
            return out

    def answered(self, model: str, *, credential: str = "") -> None:
        """Note an answer: the model is well."""
        key = (credential, model)
        if key in self._strikes or key in self._until:
            with self._lock:
                self._strikes.pop(key, None)
                self._until.pop(key, None)

    def cooling(self, now: float, *, credential: str = "") -> Mapping[str, str]:
        """Return the models that are out, with the reason."""
        if not self._until:
            return _NONE
        with self._lock:
            for key in [one for one, (until, _) in self._until.items() if until <= now]:
                del self._until[key]
                # Half open: one failure more is enough to take it out again, for longer.
                self._strikes[key] = max(self._strikes.get(key, 0), self.threshold - 1)
            mine = {model: why for (whose, model), (_, why) in self._until.items() if whose == credential}
        return mine or _NONE

    def clear(self) -> None:
        """Forget everything."""
        with self._lock:
            self._strikes.clear()
            self._until.clear()

    def _rest(self, key: Key, until: float, why: str, out: float) -> None:
        if out and until > self._until.get(key, (0.0, ""))[0]:
            self._until[key] = (until, why)


class UnavailableModels:
    """Models that the provider does not have, or not for a credential. Safe to share between threads.

    Args:
        again: seconds after which a model is worth another try: an account may be given access.

    Attributes:
        knows: whether anything is not there for anyone.
    """

    def __init__(self, *, again: float = 3600.0) -> None:
        self.again = again
        self.knows = False
        self._lock = threading.Lock()
        self._for_all: Mapping[str, str] = _NONE
        self._until: dict[Key, tuple[float, str]] = {}

    def mark(self, model: str, why: str) -> None:
        """Note a model that nobody should use any more in this process."""
        with self._lock:
            self._for_all = {**self._for_all, model: why}
            self.knows = True

    def refused(self, model: str, why: str, *, now: float, credential: str) -> None:
        """Note a model that is not there for a credential."""
        with self._lock:
            self._until[credential, model] = (now + self.again, why)
            self.knows = True

    def found(self, now: float, credential: str) -> Mapping[str, str]:
        """Return what a credential had better not ask for, with the reason."""
        if not self._until:
            return self._for_all
        with self._lock:
            for key in [one for one, (until, _) in self._until.items() if until <= now]:
                del self._until[key]
            self.knows = bool(self._until or self._for_all)
            mine = {model: why for (whose, model), (_, why) in self._until.items() if whose == credential}
        return {**self._for_all, **mine} if mine else self._for_all


def fingerprint(*parts: object) -> str:
    """Return a short name for a credential, from which the key cannot be worked out.

    Args:
        parts: the key, the address, the organization; whatever distinguishes one account from another.
    """
    import hashlib  # asked for once a client, not once an import

    text = "\n".join(repr(part) for part in parts)
    return hashlib.blake2b(text.encode("utf-8", "replace"), digest_size=8).hexdigest()
