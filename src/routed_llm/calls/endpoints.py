"""OpenAI's two endpoints over a router: a request's JSON comes in, and the answer goes out in its form.

Whoever can send HTTP makes a whole adapter of it: the client of ``openai-routed`` and ``routed serve`` are
two. The answer has the form of the endpoint that was called, whichever one served it, and says under
``routing`` who did and why; so do the headers ``x-routed-...``.
"""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable, Generator, Iterator, Mapping
from dataclasses import dataclass, field, replace
from functools import lru_cache, partial
from typing import TYPE_CHECKING, Any, Final, Protocol, cast

from routed_llm.calls.answers import AnswerMemory
from routed_llm.calls.driver import flow, stream_flow
from routed_llm.calls.endpoint_call import ANY, Called, EndpointCall, FailedReply, refused
from routed_llm.calls.options import CallOptions
from routed_llm.calls.router import Router
from routed_llm.calls.runners import aclosing, arun, arun_stream, run, run_stream
from routed_llm.calls.search import with_search
from routed_llm.calls.sse import Event, EventReader
from routed_llm.catalog import Catalog
from routed_llm.catalog.ended import held_to
from routed_llm.decide.piecewise import remember
from routed_llm.errors import RequestError, RoutedError, UnreadableAnswer
from routed_llm.exchange import LONGEST, Exchange, check_usage, current, note_head
from routed_llm.request.wire import reasoning_back

if TYPE_CHECKING:
    from routed_llm.calls.endpoint_call import Outgoing, Served
    from routed_llm.decision import Decision
    from routed_llm.ledger import Ledger
    from routed_llm.ledger.accounting import BudgetEvent
    from routed_llm.policy import Policy

__all__ = ["AsyncReply", "Endpoints", "Reply"]

_SECONDS: Final = 5.0
"""Longest wait for a count: a request is decided without it rather than late."""


class Head(Protocol):
    """What is known of a response before its body: the words are those of httpx and httpx2."""

    @property
    def status_code(self) -> int:
        """The HTTP status."""

    @property
    def headers(self) -> Mapping[str, str]:
        """The headers."""


class Reply(Head, Protocol):
    """The provider's response to one request, unread; an ``httpx.Response`` is one."""

    def iter_bytes(self) -> Iterator[bytes]:
        """Yield the body as it comes."""

    def close(self) -> None:
        """Give the connection back."""


class AsyncReply(Head, Protocol):
    """The provider's response to one request in an event loop, unread; an ``httpx.Response`` is one."""

    def aiter_bytes(self) -> AsyncIterator[bytes]:
        """Yield the body as it comes."""

    async def aclose(self) -> None:
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
    _kept: dict[Any, tuple[CallOptions | None, CallOptions]] = field(
        default_factory=dict, init=False, repr=False, compare=False
    )

    @classmethod
    def make(
        cls,
        *,
        policy: Policy | Mapping[str, Any] | None = None,
        budget: Any = None,
        scope: Mapping[str, str] | str | None = None,
        conversation: str | None = None,
        router: Router | None = None,
        catalog: Catalog | None = None,
        deployments: Mapping[str, str] | None = None,
        ledger: Ledger | str | None = None,
        on_budget: Callable[[BudgetEvent], object] | None = None,
        endpoints: Endpoints | None = None,
    ) -> Endpoints:
        """Make endpoints of what a client is given.

        Args:
            policy: a Policy, or keywords that change what is there.
            budget: one or several ``Budget``, or dicts of their keywords.
            scope: tags of the calls.
            conversation: the conversation that calls belong to.
            router: a router to share.
            catalog: the models there are.
            deployments: each deployment and the model that it runs; only these are chosen from.
            ledger: where calls are booked, or its name as :func:`routed_llm.open_ledger` takes it.
            on_budget: called when budgets run low.
            endpoints: others to lay the options over.

        Raises:
            PolicyError: when the policy or a budget is wrong, or a router is given that has another ledger.
            CatalogError: when a deployment runs a model that the catalog does not know.
        """
        wanted: dict[str, Any] = dict(policy) if isinstance(policy, Mapping) else {"policy": policy}
        if deployments is not None:
            known = (catalog or Catalog.load()) if router is None else router.catalog
            catalog, models = known.with_deployments(deployments)
            wanted.setdefault("models", models)
        if endpoints is None:
            if router is None or ledger is not None or on_budget is not None:
                router = Router.keeping(router, catalog=catalog, ledger=ledger, on_budget=on_budget)
            endpoints = cls(router)
        given = {"budget": budget, "scope": scope, "conversation": conversation}
        return endpoints.over(CallOptions.read({**wanted, **given}))

    def over(self, options: CallOptions) -> Endpoints:
        """Return endpoints with more options, over the same router."""
        merged = options.over(self.options)
        # Worked out once: a policy of the same words must be the same object from call to call.
        policy = merged.applied_to(self.router.policy)
        return replace(self, options=replace(merged, policy=policy, changes=None))

    def options_of(self, called: Called) -> CallOptions:
        """Return all that a call says of its routing, what holds for every call included.

        Raises:
            RequestError: when its model is no string.
            PolicyError: when its own options are wrong.
        """
        model = called.body.get("model", ANY)
        if not isinstance(model, str):
            raise RequestError(
                f"model={model!r} is no model id. Give a string such as 'gpt-4o'.", where="model"
            )
        said = called.routing
        if not (said is None or isinstance(said, CallOptions)):
            return self._options_of(called, model, CallOptions.read(said).over(self.options))
        # A client's calls mostly differ in nothing else, nor do those with one key of a gateway.
        key = (model, called.credential, called.own, id(said))
        found = self._kept.get(key)
        if found is None or found[0] is not said:
            over = self.options if said is None else said.over(self.options)
            found = (said, self._options_of(called, model, over))
            remember(self._kept, key, found)
        return found[1]

    def _options_of(self, called: Called, model: str, options: CallOptions) -> CallOptions:
        policy = options.applied_to(self.router.policy)
        # The model of a call is its baseline, unless what it says of its routing names another.
        if model != ANY and "baseline" not in (options.changes or ()):
            policy = _with_baseline(policy, model)
        return replace(options, policy=policy, changes=None, credential=called.credential, own=called.own)

    def routes(self, called: Called) -> bool:
        """Say whether a call is routed: others, of models that no catalog knows, may be sent as they are.

        So may those of a stored prompt that name no model: it has its own. Where calls are booked, every call
        is routed, so that none goes past the books.
        """
        model = called.body.get("model")
        known = not isinstance(model, str) or model == ANY or model in self.router.catalog
        if model is None and isinstance(called.body.get("prompt"), Mapping):
            known = False
        # A model that stopped long ago is still what a program was written for.
        known = known or (model is not None and held_to(str(model), self.router.catalog.root) is not None)
        return known or self.router.keeps_books or bool(self.options.budgets) or called.routing is not None

    def passed_on(self, body: Mapping[str, Any]) -> Mapping[str, Any]:
        """Return a body that is counted or compacted by the model that it names, with nothing of ours."""
        return reasoning_back(body, dropped=True)

    def searching(self, called: Called) -> Mapping[str, Any]:
        """Return a call's body, asking for the search of a model that searches at every call."""
        body, model = called.body, called.body.get("model")
        catalog, at = self.router.catalog, self.options.at
        if "messages" not in body or not str(model).lower().startswith(catalog.searching):
            return body
        return with_search(body, str(model), catalog, self.router.now if at is None else lambda: at)

    def explain(self, body: Mapping[str, Any], *, routing: Any = None) -> Decision:
        """Return the Decision for a body without sending anything; its ``chosen`` is None if nothing fits.

        Raises:
            RequestError: when the request itself is wrong.
            PolicyError: when the policy is wrong, or a pattern of it matches no model.
            CatalogError: when the policy or the call names an unknown model.
        """
        called = Called(endpoint="", body=dict(body), routing=routing)
        call = EndpointCall(self, called)
        return self.router.explain(call.request, call.options)

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
            fetch, opened = partial(_fetch, send, call), partial(_open, call, send)
            call.again = partial(_fetch, send)
            exact = partial(_counted, call, send)
            driven = call.driven(self.router.decide(call.request, call.options, exact=exact))
            try:
                if not call.streams:
                    return cast("Served", run(flow(driven), fetch))
                parts = _parts(call, run_stream(stream_flow(driven), fetch, opened))
                next(parts)  # up to the first token, until which another model may take over
                return call.streaming(parts)
            except FailedReply as error:
                return call.failed(error)
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
            fetch, opened = partial(_afetch, send, call), partial(_aopen, call, send)
            call.again = partial(_in_loop, asyncio.get_running_loop(), partial(_afetch, send))
            exact = partial(_acounted, call, send)
            driven = call.driven(await self.router.adecide(call.request, call.options, exact=exact))
            try:
                if not call.streams:
                    return cast("Served", await arun(flow(driven), fetch))
                parts = _aparts(call, arun_stream(stream_flow(driven), fetch, opened))
                await anext(parts)  # up to the first token, until which another model may take over
                return call.streaming(parts)
            except FailedReply as error:
                return call.failed(error)
        except RoutedError as error:
            return refused(error, time.monotonic() - since)


@lru_cache(maxsize=256)
def _with_baseline(policy: Policy, model: str) -> Policy:
    # The same object for the same words: a router prepares its table once for each.
    return policy.replace(baseline=model)


def _fetch(send: Callable[[Outgoing], Reply], call: EndpointCall, sent: Outgoing) -> dict[str, Any]:
    """Send a request and return the whole answer, decoded."""
    _begins(call)
    reply = send(sent)
    try:
        body = _Body(call, reply, sent)
        if body.answer is None:
            for data in reply.iter_bytes():
                if body.take(data):
                    break
        return body.decoded()
    finally:
        reply.close()


async def _afetch(
    send: Callable[[Outgoing], Awaitable[AsyncReply]], call: EndpointCall, sent: Outgoing
) -> dict[str, Any]:
    _begins(call)
    reply = await send(sent)
    try:
        body = _Body(call, reply, sent)
        if body.answer is None:
            async for data in reply.aiter_bytes():
                if body.take(data):
                    break
        return body.decoded()
    finally:
        await reply.aclose()


class _Body:
    """The body of a response, read as far as it can be one: few bytes may decompress to gigabytes.

    Attributes:
        answer: the answer, where it has been decoded on its way in.
    """

    def __init__(self, call: EndpointCall, reply: Head, sent: Outgoing) -> None:
        self._failed = reply.status_code >= 300
        self._call, self._reply, self._sent = call, reply, sent
        noted = _note(call, reply)
        self.answer = None if self._failed else noted
        self._parts: list[bytes] = []
        self._size = 0

    def take(self, data: bytes) -> bool:
        """Take a part, and say whether that is enough: of a failure, its beginning.

        Raises:
            UnreadableAnswer: when there is more than an answer can have.
        """
        self._parts.append(data)
        self._size += len(data)
        if self._size > LONGEST and not self._failed:
            raise UnreadableAnswer(f"The answer is longer than {LONGEST:,} bytes.")
        return self._failed and self._size > _LONGEST_ERROR

    def decoded(self) -> dict[str, Any]:
        """Return the answer.

        Raises:
            FailedReply: when it is none.
        """
        if self._failed:
            data = b"".join(self._parts)[:_LONGEST_ERROR]
            base = self._sent.base_url or self._call.options.own
            url = base.rstrip("/") + self._sent.path if base else ""
            raise FailedReply(self._reply.status_code, self._call.headers, data, url=url)
        if self.answer is not None:
            return self.answer
        try:
            answer = json.loads(b"".join(self._parts))
        except (ValueError, RecursionError):
            answer = None
        if not isinstance(answer, dict):
            raise FailedReply(502, {}, _NO_OBJECT)
        exchange = current()
        if check_usage(answer, needed="output" in answer) and exchange is not None:
            exchange.false_usage = True
        return answer


_LONGEST_ERROR: Final = 1024 * 1024
_NO_OBJECT: Final = b'{"error":{"message":"The answer is no JSON object. Ask again."}}'


def _counted(call: EndpointCall, send: Callable[[Outgoing], Reply], model: str) -> int:
    """Ask the provider for a count, and wait no longer for it than a decision may."""
    with Exchange(deadline=time.monotonic() + _SECONDS).current():
        return _tokens(_fetch(send, call, call.question(model)))


async def _acounted(call: EndpointCall, send: Callable[[Outgoing], Awaitable[AsyncReply]], model: str) -> int:
    async with asyncio.timeout(_SECONDS):
        return _tokens(await _afetch(send, call, call.question(model)))


def _tokens(answer: Mapping[str, Any]) -> int:
    return int(answer["input_tokens"])


def _open(call: EndpointCall, send: Callable[[Outgoing], Reply], sent: Outgoing) -> _Events:
    """Send a request and return the events of its answer."""
    _begins(call)
    reply = send(sent)
    body = _Body(call, reply, sent)
    if reply.status_code >= 300:
        try:
            for data in reply.iter_bytes():
                if body.take(data):
                    break
        finally:
            reply.close()
        body.decoded()
    return _Events(reply)


async def _aopen(
    call: EndpointCall, send: Callable[[Outgoing], Awaitable[AsyncReply]], sent: Outgoing
) -> _AsyncEvents:
    _begins(call)
    reply = await send(sent)
    body = _Body(call, reply, sent)
    if reply.status_code >= 300:
        try:
            async for data in reply.aiter_bytes():
                if body.take(data):
                    break
        finally:
            await reply.aclose()
        body.decoded()
    return _AsyncEvents(reply)


def _begins(call: EndpointCall) -> None:
    """Say that events are looked at here, and let what was said be hashed while the answer is awaited."""
    exchange = current()
    if exchange is not None:
        exchange.is_looked_at = True
        if exchange.meanwhile:
            exchange.meanwhile += (call.said.look,)


def _note(call: EndpointCall, reply: Head) -> dict[str, Any] | None:
    """Note the headers of a response for the caller, and what they say of rate limits for the router.

    Returns:
        The answer, where it has been decoded on its way in.
    """
    call.headers, answer = note_head(reply.headers)
    return answer


def _in_loop(
    loop: asyncio.AbstractEventLoop, fetch: Callable[..., Any], call: EndpointCall, sent: Outgoing
) -> dict[str, Any]:
    """Fetch an answer in an event loop, from another thread."""
    found: dict[str, Any] = asyncio.run_coroutine_threadsafe(fetch(call, sent), loop).result()
    return found


class _Events:
    """The events of a response."""

    def __init__(self, reply: Reply) -> None:
        self._reply = reply
        self._found = self._read(reply)

    def __iter__(self) -> Iterator[Event]:
        return self

    def __next__(self) -> Event:
        return next(self._found)

    @staticmethod
    def _read(reply: Reply) -> Iterator[Event]:
        reader = EventReader()
        for data in reply.iter_bytes():
            yield from reader.feed(data)
        yield from reader.end()

    def close(self) -> None:
        """Give the connection back."""
        self._reply.close()


class _AsyncEvents:
    """The events of a response, in an event loop."""

    def __init__(self, reply: AsyncReply) -> None:
        self._reply, self._reader = reply, EventReader()
        self._data = reply.aiter_bytes()
        self._found: Iterator[Event] = iter(())
        self._over = False

    def __aiter__(self) -> AsyncIterator[Event]:
        return self

    async def __anext__(self) -> Event:
        while (event := next(self._found, None)) is None:
            if self._over:
                raise StopAsyncIteration
            data = await anext(self._data, None)
            self._over = data is None
            self._found = self._reader.end() if data is None else self._reader.feed(data)
        return event

    async def aclose(self) -> None:
        """Give the connection back."""
        await self._reply.aclose()


def _parts(call: EndpointCall, events: Iterator[bytes]) -> Generator[bytes, None, None]:
    """Yield nothing once the answer has begun, and then its parts."""
    first = next(events)
    # Only a generator that has begun notices when it is closed.
    yield b""
    yield first
    try:
        yield from events
    except FailedReply as error:
        yield call.broken(error)


async def _aparts(call: EndpointCall, events: AsyncIterator[bytes]) -> AsyncGenerator[bytes, None]:
    async with aclosing(cast("AsyncGenerator[bytes, None]", events)):
        first = await anext(events)
        yield b""
        yield first
        try:
            async for part in events:
                yield part
        except FailedReply as error:
            yield call.broken(error)
