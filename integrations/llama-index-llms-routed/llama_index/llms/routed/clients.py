"""The SDK's clients that all delegates of one LLM share: one for threads, one for each event loop."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Hashable
from threading import RLock
from typing import Any, Final
from weakref import WeakKeyDictionary

from openai import AsyncOpenAI
from openai import OpenAI as SyncOpenAI

from routed_llm import Credential

__all__ = ["NO_KEY", "Clients", "apart"]

NO_KEY: Final = "none"
"""Stands where an SDK wants a key and none is to be sent."""


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


def apart(like: SyncOpenAI | AsyncOpenAI, base_url: str, credential: Credential) -> SyncOpenAI | AsyncOpenAI:
    """Return a client for another address, of the kind of a given one, with which it shares nothing."""
    common: dict[str, Any] = {
        "base_url": base_url,
        "timeout": like.timeout,
        "max_retries": 0,
        "organization": "",
        "project": "",
    }
    key = credential.api_key
    made: SyncOpenAI | AsyncOpenAI
    if isinstance(like, AsyncOpenAI):
        made = AsyncOpenAI(api_key=_awaited(key) if callable(key) else key or NO_KEY, **common)
    else:
        made = SyncOpenAI(api_key=key or NO_KEY, **common)
    # What the SDK reads from the environment is meant for OpenAI.
    made.organization = made.project = None
    made._custom_headers = dict(credential.headers)
    return made


def _awaited(key: Callable[[], str]) -> Callable[[], Awaitable[str]]:
    async def give() -> str:
        return await asyncio.to_thread(key)

    return give
