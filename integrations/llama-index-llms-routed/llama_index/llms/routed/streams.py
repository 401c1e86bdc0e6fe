"""The streams of the SDK that lie under a stream of the framework, so that they can be closed in time.

Upstream iterates over them and never closes them. A stream that its reader gives up refers to itself, so
only the garbage collector would return its connection; and when that happens in a thread that holds the
lock of the connection pool, the thread waits for itself, forever.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, AsyncIterator, Callable, Iterator
from contextvars import ContextVar
from typing import Any, Final, TypeVar

from openai import AsyncOpenAI, AsyncStream, Stream
from openai import OpenAI as SyncOpenAI

__all__ = ["OpenStreams", "watched"]

Item = TypeVar("Item")
_LISTENING: Final[ContextVar[Callable[[Any], None] | None]] = ContextVar("routed_open_streams", default=None)


class OpenStreams:
    """The streams that one attempt has opened."""

    def __init__(self) -> None:
        self._opened: list[Any] = []

    def first(self, chunks: Iterator[Item]) -> Iterator[Item]:
        """Yield what an iterator yields, noting the stream that it opens for its first item."""
        token = _LISTENING.set(self._opened.append)
        try:
            item = next(chunks)
        except StopIteration:
            return
        finally:
            _LISTENING.reset(token)
        yield item
        yield from chunks

    async def afirst(self, chunks: AsyncIterator[Item]) -> AsyncGenerator[Item, None]:
        """Do what :meth:`first` does for an asynchronous iterator."""
        token = _LISTENING.set(self._opened.append)
        try:
            item = await anext(chunks)
        except StopAsyncIteration:
            return
        finally:
            _LISTENING.reset(token)
        yield item
        async for more in chunks:
            yield more

    def close(self) -> None:
        """Return the connections."""
        for stream in self._opened:
            stream.close()

    async def aclose(self) -> None:
        """Return the connections."""
        for stream in self._opened:
            await stream.close()


def watched(client: SyncOpenAI | AsyncOpenAI) -> SyncOpenAI | AsyncOpenAI:
    """Let a client of our own tell of the streams that it opens; the caller's client is never one."""
    own: Any = client
    request = own.request

    def tell(made: Any) -> Any:
        listener = _LISTENING.get()
        if listener is not None and isinstance(made, (Stream, AsyncStream)):
            listener(made)
        return made

    async def later(made: Any) -> Any:
        return tell(await made)

    def asked(*arguments: Any, **more: Any) -> Any:
        made = request(*arguments, **more)
        return later(made) if isinstance(client, AsyncOpenAI) else tell(made)

    own.request = asked
    return client
