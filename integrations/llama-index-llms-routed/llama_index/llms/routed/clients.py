"""The SDK's clients of one LLM, and sending with them: one for threads, one for each event loop."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Hashable, Iterator, Mapping
from functools import partial
from threading import RLock
from typing import Any, Final, NamedTuple, get_type_hints

from openai import AsyncOpenAI
from openai import OpenAI as SyncOpenAI
from openai.types.chat import ChatCompletion, ChatCompletionChunk
from openai.types.chat.completion_create_params import CompletionCreateParamsStreaming
from openai.types.responses.response_create_params import ResponseCreateParamsStreaming

from routed_llm import Credential, guard_client
from routed_llm.calls.runners import when_loop_ends
from routed_llm.calls.sdk import Place, PlainAnswer, client_at, plain, sent
from routed_llm.calls.wired import Prepared
from routed_llm.request.wire import OPTIONS

__all__ = ["Clients", "asend", "send"]

_KEPT: Final = 32
_FIELDS: Final[Mapping[str, frozenset[str]]] = {
    "chat_completions": frozenset(get_type_hints(CompletionCreateParamsStreaming)),
    "responses": frozenset(get_type_hints(ResponseCreateParamsStreaming)),
}
"""What the installed SDK has a keyword for; anything else goes into its ``extra_body``."""
_PLACES: Final = {
    "chat_completions": Place("chat_completions", ChatCompletion, ChatCompletionChunk),
    "responses": Place("responses"),
}


class _Ready(NamedTuple):
    """A client from which requests are sent once each, and what it was made from, which it keeps alive."""

    like: Any
    client: Any


class Clients:
    """Clients already made, by what they were made from; a copy or a pickle of it starts empty.

    Only the latest of each kind is kept: an LLM whose key or address was changed does not go back. The client
    of an event loop is closed when the loop ends.
    """

    def __init__(self) -> None:
        self._lock = RLock()
        self._sync: tuple[Hashable, SyncOpenAI] | None = None
        self._async: dict[int, tuple[Hashable, AsyncOpenAI]] = {}
        self._ready: dict[Hashable, _Ready] = {}

    def __reduce__(self) -> tuple[type[Clients], tuple[()]]:
        return (Clients, ())

    def sync(self, made_from: Hashable, make: Callable[[], SyncOpenAI]) -> SyncOpenAI:
        """Return the client for threads."""
        with self._lock:
            if self._sync is None or self._sync[0] != made_from:
                self._sync = (made_from, make())
            return self._sync[1]

    def asynchronous(self, made_from: Hashable, make: Callable[[], AsyncOpenAI]) -> AsyncOpenAI:
        """Return the client of the running event loop: a connection belongs to the loop it is opened in."""
        loop = id(asyncio.get_running_loop())
        with self._lock:
            found = self._async.get(loop)
            if found is None:
                when_loop_ends(partial(self._ended, loop))
            if found is None or found[0] != made_from:
                found = self._async[loop] = (made_from, make())
            return found[1]

    async def _ended(self, loop: int) -> None:
        """Close the client of an event loop, and those of other addresses that were made like it."""
        with self._lock:
            _, own = self._async.pop(loop)
            gone = [key for key, ready in self._ready.items() if ready.like is own]
            others = [self._ready.pop(key).client for key in gone]
        for client in (*others, own):
            await client.close()

    def once(self, client: Any, base_url: str | None, credential: Credential | None) -> Any:
        """Return a client that sends each request once: retrying is for recovery.

        Args:
            client: the LLM's own.
            base_url: the address of the model that is called, where that is another.
            credential: what that address is called with; None for the LLM's own address.
        """
        kind = AsyncOpenAI if isinstance(client, AsyncOpenAI) else SyncOpenAI
        if not isinstance(client, kind):
            return client_at(client, base_url, None, kind)
        key = (id(client), base_url, None if credential is None else credential.whose)
        with self._lock:
            ready = self._ready.get(key)
            if ready is None or ready.like is not client:
                made = client_at(client, base_url, credential, kind, client.timeout)
                guard_client(made._client)
                ready = self._ready[key] = _Ready(client, made)
                while len(self._ready) > _KEPT:
                    del self._ready[next(iter(self._ready))]
            return ready.client


# ----- sending, and reading what comes back as plain data


def send(client: Any, prepared: Prepared, options: Mapping[str, Any]) -> Any:
    """Send a request and return the answer, or an iterator over the stream."""
    came = _sent(client, prepared, options)
    return _pieces(came) if prepared.body.get("stream") else plain(came)


async def asend(client: Any, prepared: Prepared, options: Mapping[str, Any]) -> Any:
    """Do what :func:`send` does, without holding the event loop."""
    came = await _sent(client, prepared, options)
    return _apieces(came) if prepared.body.get("stream") else plain(came)


def _sent(client: Any, prepared: Prepared, options: Mapping[str, Any]) -> Any:
    known, body = _FIELDS[prepared.endpoint], prepared.body
    given = {name: value for name, value in body.items() if name in known}
    rest = {name: value for name, value in body.items() if name not in known}
    steer = {name: value for name, value in options.items() if name in OPTIONS and value is not None}
    body = {**given, **steer, **({"extra_body": rest} if rest else {})}
    return sent(client, _PLACES[prepared.endpoint], body)


def _pieces(stream: Any) -> Iterator[PlainAnswer]:
    """Yield a stream as plain data; whoever leaves it returns its connection."""
    try:
        for came in stream:
            yield plain(came)
    finally:
        if (close := getattr(stream, "close", None)) is not None:
            close()


async def _apieces(stream: Any) -> AsyncIterator[PlainAnswer]:
    try:
        async for came in stream:
            yield plain(came)
    finally:
        close = getattr(stream, "close", None) or getattr(stream, "aclose", None)
        if close is not None:
            await close()
