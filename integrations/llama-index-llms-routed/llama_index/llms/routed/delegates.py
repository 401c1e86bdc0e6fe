"""The objects that make the calls: one of the framework's own OpenAI classes for each model and endpoint.

A delegate carries the name of the model it calls, so that events, callbacks and spans name it. What is
sent is worked out beforehand: a delegate adds the model's name and nothing else, and asks none of the
framework's own tables of model names.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import AsyncIterator, Hashable, Iterator, Sequence
from threading import Lock
from typing import Any, Final, cast
from weakref import WeakKeyDictionary

from llama_index.core.base.llms.types import (
    ChatMessage,
    ChatResponse,
    ChatResponseAsyncGen,
    ChatResponseGen,
    LLMMetadata,
)
from llama_index.core.bridge.pydantic import Field, PrivateAttr
from llama_index.llms.openai import OpenAI, OpenAIResponses
from llama_index.llms.routed.answers import SoFar, alike
from llama_index.llms.routed.clients import NO_KEY, apart
from llama_index.llms.routed.cutting import Shaped
from llama_index.llms.routed.sending import RESPONSES
from llama_index.llms.routed.streams import watched
from openai import AsyncOpenAI
from openai import OpenAI as SyncOpenAI
from typing_extensions import override

from routed_llm import Call, Credential, Decision, guard_client

__all__ = ["ChatDelegate", "Delegates", "ResponsesDelegate"]

_NO_CLIENT: Final = cast(Any, object())
"""Stands where a delegate has no use for a client: upstream's constructor would make one."""

_KEPT: Final = 64
"""Delegates kept at a time; each is small, and a new one takes a fraction of a millisecond."""


class ChatDelegate(Shaped, OpenAI):
    """One model on Chat Completions."""

    api_key: str | None = Field(default=None, exclude=True, repr=False)
    _described: LLMMetadata = PrivateAttr()
    _apart: bool = PrivateAttr(default=False)

    def __init__(self, described: LLMMetadata, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        # Set afterwards: the constructor compares the name and changes the temperature by it.
        self.model = described.model_name
        self._described = described

    @property
    @override
    def metadata(self) -> LLMMetadata:
        return self._described

    @override
    def _get_client(self) -> SyncOpenAI:
        return cast(SyncOpenAI, self._client)

    @override
    def _get_aclient(self) -> AsyncOpenAI:
        return cast(AsyncOpenAI, self._aclient)

    @override
    def _get_model_kwargs(self, **kwargs: Any) -> dict[str, Any]:
        return {"model": self.model, **kwargs}


class _AsChat(OpenAIResponses):
    """Upstream's class, answering as the Chat Completions class does: a stream repeats the text so far."""

    @override
    def _chat(self, messages: Sequence[ChatMessage], **kwargs: Any) -> ChatResponse:
        return alike(cast(ChatResponse, super()._chat(messages, **kwargs)))

    @override
    async def _achat(self, messages: Sequence[ChatMessage], **kwargs: Any) -> ChatResponse:
        return alike(cast(ChatResponse, await super()._achat(messages, **kwargs)))

    @override
    def _stream_chat(self, messages: Sequence[ChatMessage], **kwargs: Any) -> ChatResponseGen:
        events: Iterator[ChatResponse] = super()._stream_chat(messages, **kwargs)

        def gen() -> ChatResponseGen:
            so_far = SoFar()
            for event in events:
                yield so_far.add(event)

        return gen()

    @override
    async def _astream_chat(self, messages: Sequence[ChatMessage], **kwargs: Any) -> ChatResponseAsyncGen:
        events: AsyncIterator[ChatResponse] = await super()._astream_chat(messages, **kwargs)

        async def gen() -> ChatResponseAsyncGen:
            so_far = SoFar()
            async for event in events:
                yield so_far.add(event)

        return gen()


class ResponsesDelegate(Shaped, _AsChat):
    """One model on Responses."""

    api_key: str | None = Field(default=None, exclude=True, repr=False)
    _described: LLMMetadata = PrivateAttr()
    _apart: bool = PrivateAttr(default=False)

    def __init__(self, described: LLMMetadata, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.model = described.model_name
        self._described = described

    @property
    @override
    def metadata(self) -> LLMMetadata:
        return self._described

    @override
    def _get_model_kwargs(self, **kwargs: Any) -> dict[str, Any]:
        return {"model": self.model, **kwargs}


class Delegates:
    """Delegates already made, safe to share between threads; a copy or a pickle of it starts empty."""

    def __init__(self) -> None:
        self._lock = Lock()
        # A client of an event loop ends with it, and its delegates with the client.
        self._made: WeakKeyDictionary[Any, OrderedDict[Hashable, ChatDelegate | ResponsesDelegate]] = (
            WeakKeyDictionary()
        )

    def __reduce__(self) -> tuple[type[Delegates], tuple[()]]:
        return (Delegates, ())

    def get(
        self,
        llm: OpenAI,
        decision: Decision,
        window: int,
        modalities: tuple[str, ...],
        *,
        client: SyncOpenAI | None,
        aclient: AsyncOpenAI | None,
        credential: Credential | None = None,
    ) -> ChatDelegate | ResponsesDelegate:
        """Return the delegate for a decision and what the LLM's fields say now, making it if need be.

        Args:
            llm: whose fields count.
            decision: a decision that chose.
            window: the chosen model's context window, for its metadata.
            modalities: the kinds of output asked for.
            client: the client for threads, or None when the call is asynchronous.
            aclient: the client of the running event loop, or None when the call is not asynchronous.
            credential: what an address of the model's own is called with; None for the LLM's clients.
        """
        call = decision.call
        if call is None:
            raise AssertionError("a decision without a choice is raised before a delegate is needed")
        # Objects are in the key by identity: a delegate keeps them alive, so no other takes their place.
        shared = (client, aclient, llm.callback_manager, llm.rate_limiter)
        values = (llm.temperature, llm.max_tokens, llm.api_base, llm.reuse_client, modalities)
        whose = None if credential is None else credential.whose
        key = (call.endpoint, call.model, call.base_url, whose, tuple(map(id, shared)), values)
        if not llm.reuse_client:
            return _make(llm, call, window, modalities, client, aclient, credential)
        with self._lock:
            made = self._made.setdefault(client or aclient, OrderedDict())
            delegate = made.get(key)
            if delegate is None:
                delegate = made[key] = _make(llm, call, window, modalities, client, aclient, credential)
                while len(made) > _KEPT:
                    made.popitem(last=False)
            else:
                made.move_to_end(key)
            return delegate


def _make(
    llm: OpenAI,
    call: Call,
    window: int,
    modalities: tuple[str, ...],
    client: SyncOpenAI | None,
    aclient: AsyncOpenAI | None,
    credential: Credential | None,
) -> ChatDelegate | ResponsesDelegate:
    described = LLMMetadata(
        context_window=window,
        num_output=llm.max_tokens or -1,
        is_chat_model=True,
        is_function_calling_model=True,
        model_name=call.model,
    )
    common: dict[str, Any] = {
        "temperature": llm.temperature,
        "api_key": llm.api_key if credential is None else NO_KEY,
        "api_base": call.base_url or llm.api_base,
        "api_version": llm.api_version,
        # Recovery retries, and where another model can answer it moves. All of them retrying would multiply.
        "max_retries": 0,
        "callback_manager": llm.callback_manager,
        "rate_limiter": llm.rate_limiter,
        "openai_client": _at(client, call.base_url, credential),
        "async_openai_client": _at(aclient, call.base_url, credential),
    }
    made: ChatDelegate | ResponsesDelegate
    if call.endpoint == RESPONSES:
        made = ResponsesDelegate(described, max_output_tokens=llm.max_tokens, **common)
    else:
        kinds = list(modalities) or None
        made = ChatDelegate(
            described, max_tokens=llm.max_tokens, modalities=kinds, reuse_client=llm.reuse_client, **common
        )
    made._apart = credential is not None
    return made


def _at(client: Any, base_url: str | None, credential: Credential | None) -> Any:
    if client is None:
        return _NO_CLIENT
    if credential is not None and base_url is not None:
        made = apart(client, base_url, credential)
        guard_client(made._client)
        return watched(made)
    moved: dict[str, Any] = {} if base_url is None else {"base_url": base_url}
    if isinstance(client, (SyncOpenAI, AsyncOpenAI)):
        # On the same connections, but each request once: retrying is for recovery.
        guard_client(client._client)
        return watched(client.with_options(max_retries=0, **moved))
    return client.with_options(**moved) if moved else client
