"""OpenAI's two endpoints over a router: a request's JSON comes in, and the answer goes out in its form.

Whoever can send HTTP makes a whole adapter of it: the client of ``openai-routed`` and ``routed serve`` are
two. The answer has the form of the endpoint that was called, whichever one served it, and says under
``routing`` who did and why; so do the headers ``x-routed-...``.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable, Generator, Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, Protocol

from routed_llm.calls.answers import AnswerMemory
from routed_llm.calls.endpoint_call import ANY, Called, EndpointCall, FailedReply, Served, facts_of, refused
from routed_llm.errors import RoutedError
from routed_llm.ledger.options import CallOptions

if TYPE_CHECKING:
    from routed_llm.calls.endpoint_call import AnswerStream, Outgoing
    from routed_llm.calls.router import Router, Run
    from routed_llm.decision import Decision
    from routed_llm.recovery import Attempts

__all__ = ["AsyncReply", "Endpoints", "Reply"]


class Reply(Protocol):
    """The provider's response to one attempt."""

    @property
    def status(self) -> int:
        """The HTTP status."""

    @property
    def headers(self) -> Mapping[str, str]:
        """The headers, by their names in lower case."""

    def read(self) -> bytes:
        """Return the whole body and give the connection back."""

    def chunks(self) -> Iterator[bytes]:
        """Yield the body as it comes."""

    def close(self) -> None:
        """Give the connection back."""


class AsyncReply(Protocol):
    """The provider's response to one attempt, in an event loop."""

    @property
    def status(self) -> int:
        """The HTTP status."""

    @property
    def headers(self) -> Mapping[str, str]:
        """The headers, by their names in lower case."""

    async def read(self) -> bytes:
        """Return the whole body and give the connection back."""

    def chunks(self) -> AsyncIterator[bytes]:
        """Yield the body as it comes."""

    async def close(self) -> None:
        """Give the connection back."""


@dataclass(frozen=True, slots=True)
class Endpoints:
    """Chat Completions and Responses, served by whichever model a router chooses. Safe to share.

    Attributes:
        router: what decides and keeps the books.
        options: what holds for every call: a policy, tags, budgets.
        memory: who answered before.
    """

    router: Router
    options: CallOptions = field(default_factory=CallOptions)
    memory: AnswerMemory = field(default_factory=AnswerMemory)

    def over(self, options: CallOptions) -> Endpoints:
        """Return endpoints with more options, over the same router."""
        merged = options.over(self.options)
        # Worked out once: a policy of the same words must be the same object from call to call.
        policy = merged.applied_to(self.router.policy)
        return replace(self, options=replace(merged, policy=policy, changes=None))

    def routes(self, called: Called) -> bool:
        """Say whether a call is routed: others, of models that no catalog knows, may be sent as they are.

        Where calls are booked, every call is routed, so that none goes past the books.
        """
        model = called.body.get("model")
        known = not isinstance(model, str) or model == ANY or model in self.router.catalog
        return known or self.router.keeps_books or bool(self.options.budgets) or called.routing is not None

    def explain(self, body: Mapping[str, Any], *, routing: Any = None) -> Decision:
        """Return the Decision for a body without sending anything; its ``chosen`` is None if nothing fits.

        Raises:
            RequestError: when the request itself is wrong.
            PolicyError: when the policy is wrong, or a pattern of it matches no model.
            CatalogError: when the policy or the call names an unknown model.
        """
        called = Called(endpoint="", body=dict(body), routing=routing)
        call = EndpointCall(self, called)
        return self.router.explain(call.request, **call.around)

    def respond(self, called: Called, send: Callable[[Outgoing], Reply]) -> Served:
        """Serve a call.

        Args:
            called: the call.
            send: sends one request, with no retries behind it, and returns the response unread.

        Raises:
            Exception: what ``send`` or reading raised, when nothing that may be done would help.
        """
        since = time.monotonic()
        try:
            call = EndpointCall(self, called)
            decision = self.router.decide(call.request, **call.around)
            attempts = call.attempts(self.router, decision)
            while True:
                run = self.router.begin(attempts.decision)
                try:
                    with run.exchange.current():
                        reply = send(call.outgoing(attempts.decision))
                    if reply.status >= 300:
                        raise FailedReply(reply.status, reply.headers, reply.read())
                    if not call.whole:
                        events = _follow(call, attempts, run, reply, call.stream())
                        next(events)  # up to the first token, until which another model may take over
                        attempts.answered()
                        return call.opened(reply.headers, events)
                    answer = call.read(reply.status, reply.headers, reply.read())
                except Exception as error:  # noqa: BLE001 - recovery raises what is not for it
                    step = attempts.failed(error, facts=facts_of(error), run=run)
                except BaseException:
                    run.abandon()
                    raise
                else:
                    attempts.answered()
                    record = attempts.record(run.settle(answer.usage, served=answer.model))
                    return call.served(answer, reply.headers, record)
                if step.error is not None:
                    return call.failed(step.error)
                time.sleep(step.delay)
        except RoutedError as error:
            return refused(error, time.monotonic() - since)

    async def arespond(self, called: Called, send: Callable[[Outgoing], Awaitable[AsyncReply]]) -> Served:
        """Do what :meth:`respond` does, without holding the event loop.

        Raises:
            Exception: as :meth:`respond` does.
        """
        since = time.monotonic()
        try:
            call = EndpointCall(self, called)
            decision = await self.router.adecide(call.request, **call.around)
            attempts = call.attempts(self.router, decision)
            while True:
                run = await self.router.abegin(attempts.decision)
                try:
                    with run.exchange.current():
                        reply = await send(call.outgoing(attempts.decision))
                    if reply.status >= 300:
                        raise FailedReply(reply.status, reply.headers, await reply.read())
                    if not call.whole:
                        events = _afollow(call, attempts, run, reply, call.stream())
                        await anext(events)  # up to the first token, until which another model may take over
                        attempts.answered()
                        return call.opened(reply.headers, events)
                    answer = call.read(reply.status, reply.headers, await reply.read())
                except Exception as error:  # noqa: BLE001 - recovery raises what is not for it
                    step = await attempts.afailed(error, facts=facts_of(error), run=run)
                except BaseException:
                    await run.aabandon()
                    raise
                else:
                    attempts.answered()
                    record = attempts.record(await run.asettle(answer.usage, served=answer.model))
                    return call.served(answer, reply.headers, record)
                if step.error is not None:
                    return call.failed(step.error)
                await asyncio.sleep(step.delay)
        except RoutedError as error:
            return refused(error, time.monotonic() - since)


def _follow(
    call: EndpointCall, attempts: Attempts, run: Run, reply: Reply, stream: AnswerStream
) -> Generator[bytes, None, None]:
    """Yield nothing once the answer has begun, and then its parts; the books are closed however it ends."""
    try:
        chunks = reply.chunks()
        head = _head(stream, chunks)
        try:
            yield b""
            yield head
            yield from _rest(stream, chunks)
        except Exception as error:
            attempts.failed(error, run=run, **_come(error, stream))
            if not isinstance(error, FailedReply):
                raise
            yield call.broken(error)
            return
        except BaseException:
            run.abandon(stream.usage, served=stream.model)
            raise
    finally:
        reply.close()
    record = attempts.record(run.settle(stream.usage, served=stream.model))
    call.streamed(stream)
    yield stream.close(record)


async def _afollow(
    call: EndpointCall, attempts: Attempts, run: Run, reply: AsyncReply, stream: AnswerStream
) -> AsyncGenerator[bytes, None]:
    """Do what :func:`_follow` does, without holding the event loop."""
    try:
        chunks = reply.chunks()
        head = await _ahead(stream, chunks)
        try:
            yield b""
            yield head
            async for part in _arest(stream, chunks):
                yield part
        except Exception as error:
            await attempts.afailed(error, run=run, **_come(error, stream))
            if not isinstance(error, FailedReply):
                raise
            yield call.broken(error)
            return
        except BaseException:
            await run.aabandon(stream.usage, served=stream.model)
            raise
    finally:
        await reply.close()
    record = attempts.record(await run.asettle(stream.usage, served=stream.model))
    call.streamed(stream)
    yield stream.close(record)


def _head(stream: AnswerStream, chunks: Iterator[bytes]) -> bytes:
    """Return what a stream opens with, up to its first token."""
    head = []
    for data in chunks:
        head.append(stream.feed(data))
        if stream.begun or stream.ended:
            return b"".join(head)
    return b"".join([*head, stream.finish()])


async def _ahead(stream: AnswerStream, chunks: AsyncIterator[bytes]) -> bytes:
    head = []
    async for data in chunks:
        head.append(stream.feed(data))
        if stream.begun or stream.ended:
            return b"".join(head)
    return b"".join([*head, stream.finish()])


def _rest(stream: AnswerStream, chunks: Iterator[bytes]) -> Iterator[bytes]:
    """Yield what follows a stream's first token, but for the end, which says what it cost."""
    while not stream.ended:
        data = next(chunks, None)
        part = stream.finish() if data is None else stream.feed(data)
        if part:
            yield part
    yield stream.finish()


async def _arest(stream: AnswerStream, chunks: AsyncIterator[bytes]) -> AsyncIterator[bytes]:
    while not stream.ended:
        data = await anext(chunks, None)
        part = stream.finish() if data is None else stream.feed(data)
        if part:
            yield part
    yield stream.finish()


def _come(error: Exception, stream: AnswerStream) -> dict[str, Any]:
    """Return what is known of a stream that failed after its first token."""
    come = {"usage": stream.usage, "served": stream.model}
    return {"facts": facts_of(error), "started": True, **come}
