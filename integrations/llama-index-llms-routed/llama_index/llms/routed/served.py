"""The object that makes one call: the framework's own class under the name of the model that serves it.

Events, callbacks and spans name the object that they come from; so each call is made by one of its own,
which takes another name when another model takes over. It reads answers as upstream does, since what it is
given has the shape of Chat Completions whatever the endpoint; how they come about is the core's business.
"""

from __future__ import annotations

import copy
from collections.abc import AsyncGenerator, AsyncIterator, Generator, Iterator, Sequence
from contextlib import AbstractContextManager
from typing import Any, cast

from llama_index.core.base.llms.types import (
    ChatMessage,
    ChatResponse,
    ChatResponseAsyncGen,
    ChatResponseGen,
    LLMMetadata,
)
from llama_index.core.bridge.pydantic import Field, PrivateAttr
from llama_index.llms.openai import OpenAI
from llama_index.llms.routed.clients import Clients, asend, send
from llama_index.llms.routed.errors import ERRORS
from llama_index.llms.routed.events import announce
from openai.types.chat import ChatCompletion, ChatCompletionChunk
from openai.types.chat.chat_completion_chunk import ChoiceDeltaToolCallFunction
from typing_extensions import override

from routed_llm import Credential, Decision, Router
from routed_llm.calls.driver import Driven, flow, stream_flow
from routed_llm.calls.runners import aclosed, aclosing, arun, arun_stream, run, run_stream
from routed_llm.calls.sdk import NO_KEY, PlainAnswer
from routed_llm.calls.wired import Prepared, Wired
from routed_llm.request.wire import ITEMS

__all__ = ["Route", "Served", "announcing"]


class Route:
    """One call on its way, and the client that it is sent with."""

    def __init__(
        self, driven: Driven, clients: Clients, own: Any, options: dict[str, Any], whose: Any
    ) -> None:
        self._driven = driven
        self._clients = clients
        self._own = own
        self._options = options
        self._whose = whose
        self._opened: Any = None

    @property
    def wired(self) -> Wired:
        """The call as plain data."""
        return cast(Wired, self._driven.seam)

    def send(self, prepared: Prepared, client: Any = None) -> Any:
        """Send a request in this thread."""
        return send(*self._ready(prepared, client))

    def _ready(self, prepared: Prepared, client: Any = None) -> tuple[Any, Prepared, dict[str, Any]]:
        call = prepared.decision.call
        at = call.base_url if call else None
        credential: Credential | None = self._whose(prepared.decision) if at is not None else None
        ready = self._clients.once(client or self._own, at, credential)
        # Headers and the like are meant for the caller's own address: they may hold a key.
        options = self._options if credential is None else {"timeout": self._options.get("timeout")}
        return ready, prepared, options

    async def _asend(self, prepared: Prepared) -> Any:
        return await asend(*self._ready(prepared))

    # What upstream calls in place of the SDK's client.

    chat = completions = property(lambda self: self)

    def create(self, *, stream: bool = False, **given: Any) -> Any:
        """Make the call."""
        del given  # what is sent is worked out for the model that serves it
        if stream:
            self._opened = self._stream()
            return self._opened
        try:
            return _readable(run(flow(self._driven), self.send), ChatCompletion)
        except Exception:  # few calls fail: the others do without the block
            with self._refusing():
                raise

    def _refusing(self) -> AbstractContextManager[None]:
        return ERRORS.raised(str(getattr(self._own, "base_url", "")) or None)

    def _stream(self) -> Iterator[ChatCompletionChunk]:
        with self._refusing():
            for chunk in run_stream(stream_flow(self._driven), self.send, self.send):
                yield _readable(chunk, ChatCompletionChunk)

    async def acreate(self, *, stream: bool = False, **given: Any) -> Any:
        """Make the call without holding the event loop."""
        del given
        if stream:
            self._opened = self._astream()
            return self._opened
        try:
            return _readable(await arun(flow(self._driven), self._asend), ChatCompletion)
        except Exception:  # as above
            with self._refusing():
                raise

    async def _astream(self) -> AsyncIterator[ChatCompletionChunk]:
        chunks = arun_stream(stream_flow(self._driven), self._asend, self._asend)
        with self._refusing():
            async with aclosing(cast(AsyncGenerator[Any, None], chunks)):
                async for chunk in chunks:
                    yield _readable(chunk, ChatCompletionChunk)

    def leave(self) -> None:
        """Close the stream, if there is one: upstream leaves that to the garbage collector."""
        if self._opened is not None:
            self._opened.close()

    async def aleave(self) -> None:
        """Close the stream, if there is one."""
        if self._opened is not None:
            await aclosed(self._opened)


def _readable(came: Any, kind: Any) -> Any:
    """Return plain data as an object of the SDK: the one that it came as, where it is still the same.

    Upstream reads calls of custom tools in it as those of functions: it stumbles over others.
    """
    answer = came.object if isinstance(came, PlainAnswer) else kind.construct(**came)
    for choice in answer.choices or ():
        said = getattr(choice, "message", None) or getattr(choice, "delta", None)
        for call in getattr(said, "tool_calls", None) or ():
            custom = getattr(call, "custom", None)
            if custom is not None:
                plain = custom if isinstance(custom, dict) else custom.model_dump()
                named = {"name": plain.get("name"), "arguments": plain.get("input")}
                call.function = ChoiceDeltaToolCallFunction.construct(**named)
    return answer


class _Async:
    """A route as an asynchronous client."""

    def __init__(self, route: Route) -> None:
        self.chat = self.completions = self
        self.create = route.acreate


class Served(OpenAI):
    """One model, for one call."""

    api_key: str | None = Field(default=None, exclude=True, repr=False)
    _described: LLMMetadata = PrivateAttr()
    _route: Route | None = PrivateAttr(default=None)

    def __init__(self) -> None:
        nobody = cast(Any, object())  # upstream's constructor would make a client
        super().__init__(api_key=NO_KEY, max_retries=0, openai_client=nobody, async_openai_client=nobody)

    def of(self, llm: OpenAI) -> Served:
        """Return a copy with the settings of an LLM, for one call."""
        made = copy.copy(self)
        names = ("temperature", "max_tokens", "api_base", "api_version", "callback_manager", "rate_limiter")
        made.__dict__.update({name: getattr(llm, name) for name in (*names, "modalities", "logprobs")})
        return made

    def take(self, route: Route) -> Served:
        """Make this the object of a call."""
        self._route = route
        return self

    def named(self, decision: Decision, router: Router) -> None:
        """Take the name of the model that is called."""
        window = router.catalog.get(decision.model or "").limits.context_window
        name = decision.call.model if decision.call is not None else self.model
        self.__dict__["model"] = name
        self._described = LLMMetadata(
            context_window=window,
            num_output=self.max_tokens or -1,
            is_chat_model=True,
            is_function_calling_model=True,
            model_name=name,
        )

    @property
    @override
    def metadata(self) -> LLMMetadata:
        return self._described

    @override
    def _get_client(self) -> Any:
        return self._route

    @override
    def _get_aclient(self) -> Any:
        return None if self._route is None else _Async(self._route)

    @override
    def _get_model_kwargs(self, **kwargs: Any) -> dict[str, Any]:
        return {"stream": True} if kwargs.get("stream") else {}

    @property
    def _routing(self) -> dict[str, Any]:
        return {} if self._route is None else self._route.wired.routing

    @override
    def _chat(self, messages: Sequence[ChatMessage], **kwargs: Any) -> ChatResponse:
        return self._noted(cast(ChatResponse, super()._chat(())))

    @override
    async def _achat(self, messages: Sequence[ChatMessage], **kwargs: Any) -> ChatResponse:
        return self._noted(cast(ChatResponse, await super()._achat(())))

    @override
    def _stream_chat(self, messages: Sequence[ChatMessage], **kwargs: Any) -> ChatResponseGen:
        responses, route = super()._stream_chat(()), cast(Route, self._route)

        def gen() -> Generator[ChatResponse, None, None]:
            try:
                for response in responses:
                    yield self._noted(response)
            finally:
                route.leave()

        return gen()

    @override
    async def _astream_chat(self, messages: Sequence[ChatMessage], **kwargs: Any) -> ChatResponseAsyncGen:
        responses = await super()._astream_chat(())

        async def gen() -> ChatResponseAsyncGen:
            async for response in responses:
                yield self._noted(response)

        return gen()

    async def whole(self, responses: AsyncGenerator[Any, None]) -> AsyncGenerator[Any, None]:
        """Pass a stream on; whoever leaves it returns its connection."""
        try:
            async for response in responses:
                yield response
        finally:
            await cast(Route, self._route).aleave()

    def _noted(self, response: ChatResponse) -> ChatResponse:
        """Attach the record, and to an answer of Responses the items with which it is sent again."""
        response.additional_kwargs["routing"] = self._routing
        for choice in getattr(response.raw, "choices", None) or ():
            said = getattr(choice, "message", None) or getattr(choice, "delta", None)
            items = (getattr(said, "model_extra", None) or {}).get(ITEMS)
            if items:
                response.message.additional_kwargs[ITEMS] = items
            break
        calls = response.message.additional_kwargs.get("tool_calls")
        if calls:  # upstream goes on writing into the calls of chunks that it has given away
            response.message.additional_kwargs["tool_calls"] = [call.model_copy(deep=True) for call in calls]
        return response


def announcing(served: Served, named: Decision, router: Router) -> Any:
    """Return what is called at each request: the object takes the name of the model that is asked."""

    def hear(decision: Decision, routing: dict[str, Any]) -> None:
        nonlocal named
        if decision is not named:
            served.named(decision, router)
            named = decision
        announce(decision, routing)

    return hear
