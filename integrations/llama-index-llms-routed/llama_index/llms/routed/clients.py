"""The SDK's clients that all delegates of one LLM share: one for threads, one for each event loop."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Hashable
from threading import RLock
from weakref import WeakKeyDictionary

from openai import AsyncOpenAI
from openai import OpenAI as SyncOpenAI

__all__ = ["Clients"]


class Clients:
    """Clients already made, by what they were made from; a copy or a pickle of it starts empty.

    Only the latest of each kind is kept: an LLM whose key or address was changed does not go back.
    """

    def __init__(self) -> None:
        self._lock = RLock()
        self._sync: tuple[Hashable, SyncOpenAI] | None = None
        # A connection belongs to the event loop it was opened in, so a client does too.
        self._async: WeakKeyDictionary[asyncio.AbstractEventLoop, tuple[Hashable, AsyncOpenAI]] = (
            WeakKeyDictionary()
        )

    def __reduce__(self) -> tuple[type[Clients], tuple[()]]:
        return (Clients, ())

    def sync(self, made_from: Hashable, make: Callable[[], SyncOpenAI]) -> SyncOpenAI:
        """Return the client for threads."""
        with self._lock:
            if self._sync is None or self._sync[0] != made_from:
                self._sync = (made_from, make())
            return self._sync[1]

    def asynchronous(self, made_from: Hashable, make: Callable[[], AsyncOpenAI]) -> AsyncOpenAI:
        """Return the client of the event loop that is running."""
        loop = asyncio.get_running_loop()
        with self._lock:
            found = self._async.get(loop)
            if found is None or found[0] != made_from:
                found = self._async[loop] = (made_from, make())
            return found[1]
