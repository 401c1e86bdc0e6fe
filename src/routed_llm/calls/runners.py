"""Doing what a flow yields: for threads and for event loops, for whole answers and for streams."""

from __future__ import annotations

import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import suppress
from typing import TYPE_CHECKING, Any

from routed_llm.calls.driver import CLOSE, END, NEXT, Give, GivenUp, Keep, Send, Wait

if TYPE_CHECKING:
    from routed_llm.calls.driver import Flow
    from routed_llm.exchange import Exchange

__all__ = ["aclosed", "aclosing", "arun", "arun_stream", "run", "run_stream", "when_loop_ends"]


def run(flow: Flow, send: Callable[[Any], Any]) -> Any:
    """Drive a flow in this thread and return the answer.

    Args:
        flow: from :func:`routed_llm.calls.driver.flow`.
        send: sends what was prepared, once, and returns the answer.
    """
    try:
        effect = next(flow)
        while True:
            try:
                value = _do(effect, send)
            except BaseException as error:  # noqa: BLE001 - the flow raises what is not for it
                effect = flow.throw(error)
            else:
                effect = flow.send(value)
    except StopIteration as end:
        return end.value


def run_stream(flow: Flow, send: Callable[[Any], Any], open: Callable[[Any], Any]) -> Iterator[Any]:
    """Drive a flow in this thread and yield the pieces of the answer.

    Args:
        flow: from :func:`routed_llm.calls.driver.stream_flow`.
        send: as :func:`run` takes it: for models that cannot stream.
        open: sends what was prepared, once, and returns an iterator over the stream.
    """
    source: Any = None
    opening: Exchange | None = None  # until the first piece: some streams are only sent for when that is read
    with suppress(StopIteration):
        try:
            effect = next(flow)
            while True:
                value: Any = None
                try:
                    if effect is NEXT and opening is not None:
                        with opening.current():
                            opening, value = None, next(source, END)
                    elif effect is NEXT:
                        value = next(source, END)
                    elif isinstance(effect, Give):
                        yield effect.item
                    elif effect is CLOSE:
                        _close(source)
                        source = None
                    elif isinstance(effect, Send) and effect.stream:
                        opening = effect.exchange
                        with opening.current():
                            source = iter(opened := open(effect.prepared))
                        source = opened if hasattr(opened, "__next__") else source
                    else:
                        value = _do(effect, send)
                except BaseException as error:  # noqa: BLE001 - the flow raises what is not for it
                    effect = flow.throw(_said(error, effect))
                else:
                    effect = flow.send(value)
        except GivenUp:
            _close(source)  # a flow that was collected before this has not asked for it
            raise


def _said(error: BaseException, effect: Any) -> BaseException:
    """Return what a flow is thrown; where its reader leaves, it may still yield what is to be done."""
    return GivenUp() if isinstance(error, GeneratorExit) and isinstance(effect, Give) else error


def _do(effect: Any, send: Callable[[Any], Any]) -> Any:
    if isinstance(effect, Send):
        with effect.exchange.current():
            return send(effect.prepared)
    if isinstance(effect, Keep):
        return effect.work()
    if isinstance(effect, Wait):
        time.sleep(effect.seconds)
    return None


def _close(source: Any) -> None:
    close = getattr(source, "close", None)
    if close is not None:
        with suppress(Exception):  # the answer is what it is, however its connection ends
            close()


async def arun(flow: Flow, send: Callable[[Any], Awaitable[Any]]) -> Any:
    """Do what :func:`run` does, without holding the event loop."""
    try:
        effect = next(flow)
        while True:
            try:
                value = await _ado(effect, send)
            except BaseException as error:  # noqa: BLE001 - the flow raises what is not for it
                effect = flow.throw(error)
            else:
                effect = flow.send(value)
    except StopIteration as end:
        return end.value


async def arun_stream(
    flow: Flow, send: Callable[[Any], Awaitable[Any]], open: Callable[[Any], Awaitable[Any]]
) -> AsyncIterator[Any]:
    """Do what :func:`run_stream` does, without holding the event loop."""
    source: Any = None
    opening: Exchange | None = None
    with suppress(StopIteration):
        try:
            effect = next(flow)
            while True:
                value: Any = None
                try:
                    if effect is NEXT and opening is not None:
                        with opening.current():
                            opening, value = None, await anext(source, END)
                    elif effect is NEXT:
                        value = await anext(source, END)
                    elif isinstance(effect, Give):
                        yield effect.item
                    elif effect is CLOSE:
                        with suppress(Exception):
                            await aclosed(source)
                        source = None
                    elif isinstance(effect, Send) and effect.stream:
                        opening = effect.exchange
                        with opening.current():
                            opened = await open(effect.prepared)
                        source = opened if hasattr(opened, "__anext__") else aiter(opened)
                    else:
                        value = await _ado(effect, send)
                except BaseException as error:  # noqa: BLE001 - the flow raises what is not for it
                    effect = flow.throw(_said(error, effect))
                else:
                    effect = flow.send(value)
        except GivenUp:
            with suppress(Exception):
                await aclosed(source)
            raise


async def _ado(effect: Any, send: Callable[[Any], Awaitable[Any]]) -> Any:
    if isinstance(effect, Send):
        with effect.exchange.current():
            return await send(effect.prepared)
    if isinstance(effect, Keep):
        from routed_llm.offloop import (
            opened,
            to_its_end,
        )  # asyncio is heavy, and loaded already where this runs

        return await (opened(effect.work) if effect.opens else to_its_end(effect.work))
    if isinstance(effect, Wait):
        import asyncio

        await asyncio.sleep(effect.seconds)
    return None


async def aclosed(stream: Any) -> None:
    """Close a stream, unless it is a generator and the event loop ends, which closes all of them at once."""
    from asyncio import _get_running_loop

    # Closed by two at a time, one of them fails and the loop reports it. Other loops may not have the mark.
    ends = getattr(_get_running_loop(), "_asyncgens_shutdown_called", False)
    close = getattr(stream, "aclose", None) or getattr(stream, "close", None)
    if close is not None and not (ends and hasattr(stream, "ag_running")):
        await close()


class aclosing:  # noqa: N801 - it stands in the place of contextlib's
    """Close a stream at the end of a block, as :func:`aclosed` does."""

    def __init__(self, stream: Any) -> None:
        self._stream = stream

    async def __aenter__(self) -> Any:
        """Begin."""
        return self._stream

    async def __aexit__(self, *_: object) -> None:
        """Close it."""
        await aclosed(self._stream)


def when_loop_ends(do: Callable[[], Awaitable[object]]) -> None:
    """Let a function be called and awaited when the running event loop ends: clients belong to their loop."""
    from routed_llm import offloop

    offloop.when_loop_ends(do)
