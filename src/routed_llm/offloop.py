"""What ends with an event loop, and work in threads that is done to its end.

Connections belong to the loop they were opened in. One that outlives it can be neither used nor closed any
more, so that a program with a loop for each request loses a socket with each.

A task that is cancelled while a thread reserves money would never learn of the reservation, and one that is
cancelled before a thread has begun to release it would take the release with it.
"""

from __future__ import annotations

import asyncio
import contextvars
import copy
import threading
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import suppress
from functools import partial
from typing import TYPE_CHECKING, Any, Final, TypeVar
from weakref import WeakSet

if TYPE_CHECKING:
    from routed_llm.ledger.run import Run

__all__ = ["PerLoop", "close_with_loop", "opened", "to_its_end", "when_loop_ends"]

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


class _Closer:
    """Closes what was opened in one event loop when that ends."""

    def __init__(self) -> None:
        self.open: WeakSet[Any] = WeakSet()
        self.ends: list[Callable[[], Awaitable[object]]] = []
        self._end = self._wait()
        # A loop closes the asynchronous generators that were begun in it before it ends itself.
        with suppress(StopIteration):
            self._end.asend(None).send(None)

    async def _wait(self) -> AsyncGenerator[None, None]:
        loop = asyncio.get_running_loop()
        try:
            yield
        finally:
            with _LOCK:
                _CLOSERS.pop(loop, None)
            for end in (*self.ends, *[one.aclose for one in list(self.open)]):
                with suppress(Exception):  # it is gone, and that is what was wanted
                    await end()


_LOCK: Final = threading.Lock()
_CLOSERS: Final[dict[asyncio.AbstractEventLoop, _Closer]] = {}


def close_with_loop(opened: Any) -> None:
    """Let something be closed, by its ``aclose()``, when the running event loop ends; it is held weakly."""
    _closer().open.add(opened)


def when_loop_ends(do: Callable[[], Awaitable[object]]) -> None:
    """Let a function be called and awaited when the running event loop ends."""
    _closer().ends.append(do)


def _closer() -> _Closer:
    loop = asyncio.get_running_loop()
    closer = _CLOSERS.get(loop)
    if closer is None:
        closer = _Closer()
        with _LOCK:
            # Loops that were closed without ending what was begun in them.
            for over in [one for one in _CLOSERS if one.is_closed()]:
                del _CLOSERS[over]
            _CLOSERS[loop] = closer
    return closer


class PerLoop:
    """A transport of httpx or httpx2 that keeps the connections of each event loop apart.

    A client may be shared by threads with a loop each, and by loops that follow one another: langchain-openai
    keeps one for a whole process. A connection that another loop has opened fails, with a request on its way.

    Args:
        transport: used by one loop, and copied for others.
    """

    def __init__(self, transport: Any) -> None:
        self._transport = transport
        self._made: dict[asyncio.AbstractEventLoop, Any] = {}
        self._lock = threading.Lock()

    @staticmethod
    def fits(transport: Any) -> bool:
        """Say whether it is a transport with a pool of connections, as far as that can be seen."""
        pool = None if isinstance(transport, PerLoop) else getattr(transport, "_pool", None)
        return all(isinstance(getattr(pool, name, None), list) for name in _OF_A_POOL)

    @property  # type: ignore[misc] # mypy knows no class that says it is another
    def __class__(self) -> type[Any]:
        """What it stands for, as any proxy says."""
        return type(self._transport)

    @property
    def _pool(self) -> Any:
        """The running loop's connections, for whoever looks for them where httpx has them."""
        try:
            return self._here()._pool
        except RuntimeError:  # no loop runs
            return self._transport._pool

    def _here(self) -> Any:
        loop = asyncio.get_running_loop()
        made = self._made.get(loop)
        if made is None:
            with self._lock:
                for over in [one for one in self._made if one.is_closed()]:
                    del self._made[over]
                made = self._made[loop] = self._free()
            when_loop_ends(partial(self._ended, loop))
        return made

    def _free(self) -> Any:
        """Return the transport itself while no other loop uses it, or one like it."""
        own = self._transport
        if not own._pool._connections and own not in self._made.values():
            return own
        made = copy.copy(own)
        made._pool = copy.copy(own._pool)
        for name in _OF_A_POOL:
            setattr(made._pool, name, [])
        return made

    async def _ended(self, loop: asyncio.AbstractEventLoop) -> None:
        made = self._made.get(loop)
        if made is not None:
            await made.aclose()
            with self._lock:
                self._made.pop(loop, None)

    async def handle_async_request(self, request: Any) -> Any:
        """Send a request on a connection of the running loop."""
        return await self._here().handle_async_request(request)

    async def __aenter__(self) -> PerLoop:
        return self

    async def __aexit__(self, *error: object) -> None:
        await self.aclose()

    async def aclose(self) -> None:
        """Close what belongs to the running loop; the others close theirs when they end."""
        await self._ended(asyncio.get_running_loop())
        await self._transport.aclose()


_OF_A_POOL: Final = ("_connections", "_requests")
"""What of a connection pool belongs to its loop (httpcore 1, httpcore2)."""
