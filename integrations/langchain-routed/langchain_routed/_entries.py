"""Entries: every way into a call, each routed before LangChain names a model anywhere.

LangChain works out what traces and the cache are told before it calls the private methods, and never shows
them the messages. So a call is decided at its public entry; it travels on as a keyword, and the private
methods hand over to it.
"""

from __future__ import annotations

import asyncio
import inspect
import json
from collections.abc import AsyncIterator, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any, cast

from langchain_core.callbacks import AsyncCallbackManagerForLLMRun, CallbackManagerForLLMRun, Callbacks
from langchain_core.language_models import LangSmithParams, LanguageModelInput
from langchain_core.language_models.chat_model_stream import AsyncChatModelStream, ChatModelStream
from langchain_core.messages import AIMessage, AIMessageChunk, BaseMessage
from langchain_core.outputs import ChatGenerationChunk, ChatResult, LLMResult
from langchain_core.runnables import RunnableConfig
from typing_extensions import override

from langchain_routed import _calls
from langchain_routed._call import RejectedCall, RoutedCall
from langchain_routed._delegates import PLAN

if TYPE_CHECKING:
    from langchain_openai import ChatOpenAI

    from langchain_routed._planner import CallPlanner
else:
    ChatOpenAI = object  # a part of a class, not a pydantic model of its own, which would take long to make

__all__ = ["Entries"]


class Entries(ChatOpenAI):
    """The part of RoutedChatModel that calls come through."""

    if TYPE_CHECKING:

        def _own_planner(self) -> CallPlanner: ...

    def _route(
        self, messages: Sequence[BaseMessage], stop: Any, kwargs: Mapping[str, Any], *, stream: bool
    ) -> RoutedCall | RejectedCall:
        try:
            planner = self._own_planner()
            asked = planner.read(messages, stop, kwargs, stream=stream)
            return RoutedCall(planner, asked, planner.decide(asked))
        except Exception as error:  # noqa: BLE001 - raised inside the run, where callbacks hear of it
            return RejectedCall(self, error, stop, _calls.visible(kwargs))

    async def _aroute(
        self, messages: Sequence[BaseMessage], stop: Any, kwargs: Mapping[str, Any], *, stream: bool
    ) -> RoutedCall | RejectedCall:
        try:
            planner = self._own_planner()
            asked = planner.read(messages, stop, kwargs, stream=stream)
            return RoutedCall(planner, asked, await planner.adecide(asked))
        except Exception as error:  # noqa: BLE001 - raised inside the run, where callbacks hear of it
            return RejectedCall(self, error, stop, _calls.visible(kwargs))

    # --- the public entries: each call is routed here, before LangChain names a model anywhere ---

    @override
    def invoke(
        self,
        input: LanguageModelInput,
        config: RunnableConfig | None = None,
        *,
        stop: list[str] | None = None,
        **kwargs: Any,
    ) -> AIMessage:
        return super().invoke(input, config, stop=stop, **_calls.configured(config, kwargs))

    @override
    async def ainvoke(
        self,
        input: LanguageModelInput,
        config: RunnableConfig | None = None,
        *,
        stop: list[str] | None = None,
        **kwargs: Any,
    ) -> AIMessage:
        return await super().ainvoke(input, config, stop=stop, **_calls.configured(config, kwargs))

    @override
    def generate(
        self,
        messages: list[list[BaseMessage]],
        stop: list[str] | None = None,
        callbacks: Callbacks = None,
        **kwargs: Any,
    ) -> LLMResult:
        if PLAN in kwargs or not messages:
            return super().generate(messages, stop, callbacks, **kwargs)
        runs = _calls.split_runs(len(messages), kwargs)
        stream = _calls.streams(self, callbacks, kwargs, async_api=False)
        if len(messages) == 1:
            call = self._route(messages[0], stop, kwargs, stream=stream)
            result = super().generate(messages, stop, callbacks, **runs[0], **_calls.planned(kwargs, call))
            return _calls.completed(result, call)
        results = []
        for prompt, run in zip(messages, runs, strict=True):
            call = self._route(prompt, stop, kwargs, stream=stream)
            result = super().generate([prompt], stop, callbacks, **run, **_calls.planned(kwargs, call))
            results.append(_calls.completed(result, call))
        return _calls.joined(results)

    @override
    async def agenerate(
        self,
        messages: list[list[BaseMessage]],
        stop: list[str] | None = None,
        callbacks: Callbacks = None,
        **kwargs: Any,
    ) -> LLMResult:
        if PLAN in kwargs or not messages:
            return await super().agenerate(messages, stop, callbacks, **kwargs)
        runs = _calls.split_runs(len(messages), kwargs)
        stream = _calls.streams(self, callbacks, kwargs, async_api=True)
        agenerate = super().agenerate

        async def one(prompt: list[BaseMessage], run: dict[str, Any]) -> LLMResult:
            call = await self._aroute(prompt, stop, kwargs, stream=stream)
            result = await agenerate([prompt], stop, callbacks, **run, **_calls.planned(kwargs, call))
            return _calls.completed(result, call)

        if len(messages) == 1:
            return await one(messages[0], runs[0])
        # As LangChain does: every prompt is answered or has failed before the first failure is raised.
        results = await asyncio.gather(*map(one, messages, runs), return_exceptions=True)
        return _calls.joined(_calls.succeeded(results))

    @override
    def stream(
        self,
        input: LanguageModelInput,
        config: RunnableConfig | None = None,
        *,
        stop: list[str] | None = None,
        **kwargs: Any,
    ) -> Iterator[AIMessageChunk]:
        kwargs = _calls.configured(config, kwargs)
        if self._should_stream(async_api=False, **{**kwargs, "stream": True}):
            messages = self._convert_input(input).to_messages()
            kwargs = _calls.planned(kwargs, self._route(messages, stop, kwargs, stream=True))
        yield from super().stream(input, config, stop=stop, **kwargs)

    @override
    async def astream(
        self,
        input: LanguageModelInput,
        config: RunnableConfig | None = None,
        *,
        stop: list[str] | None = None,
        **kwargs: Any,
    ) -> AsyncIterator[AIMessageChunk]:
        kwargs = _calls.configured(config, kwargs)
        if self._should_stream(async_api=True, **{**kwargs, "stream": True}):
            messages = self._convert_input(input).to_messages()
            kwargs = _calls.planned(kwargs, await self._aroute(messages, stop, kwargs, stream=True))
        async with _calls.closing(super().astream(input, config, stop=stop, **kwargs)) as chunks:
            async for chunk in chunks:
                yield chunk

    @override
    def _chat_model_stream_v3(
        self,
        input: LanguageModelInput,
        config: RunnableConfig | None = None,
        *,
        stop: list[str] | None = None,
        **kwargs: Any,
    ) -> ChatModelStream:
        kwargs = _calls.configured(config, kwargs)
        messages = self._convert_input(input).to_messages()
        kwargs = _calls.planned(kwargs, self._route(messages, stop, kwargs, stream=True))
        return super()._chat_model_stream_v3(input, config, stop=stop, **kwargs)

    @override
    async def _achat_model_stream_v3(
        self,
        input: LanguageModelInput,
        config: RunnableConfig | None = None,
        *,
        stop: list[str] | None = None,
        **kwargs: Any,
    ) -> AsyncChatModelStream:
        kwargs = _calls.configured(config, kwargs)
        messages = self._convert_input(input).to_messages()
        kwargs = _calls.planned(kwargs, await self._aroute(messages, stop, kwargs, stream=True))
        return await super()._achat_model_stream_v3(input, config, stop=stop, **kwargs)

    # --- LangChain's private hooks: each hands over to the decided call ---

    @override
    def _generate(
        self,
        messages: list[BaseMessage],
        stop: list[str] | None = None,
        run_manager: CallbackManagerForLLMRun | None = None,
        **kwargs: Any,
    ) -> ChatResult:
        call = kwargs.get(PLAN) or self._route(messages, stop, kwargs, stream=bool(kwargs.get("stream")))
        return call.generate(messages, run_manager)

    @override
    async def _agenerate(
        self,
        messages: list[BaseMessage],
        stop: list[str] | None = None,
        run_manager: AsyncCallbackManagerForLLMRun | None = None,
        **kwargs: Any,
    ) -> ChatResult:
        call = kwargs.get(PLAN) or await self._aroute(
            messages, stop, kwargs, stream=bool(kwargs.get("stream"))
        )
        return await call.agenerate(messages, run_manager)

    @override
    def _stream(
        self,
        messages: list[BaseMessage],
        stop: list[str] | None = None,
        run_manager: CallbackManagerForLLMRun | None = None,
        **kwargs: Any,
    ) -> Iterator[ChatGenerationChunk]:
        call = kwargs.get(PLAN) or self._route(messages, stop, kwargs, stream=True)
        yield from call.stream(messages, run_manager, kwargs)

    @override
    async def _astream(
        self,
        messages: list[BaseMessage],
        stop: list[str] | None = None,
        run_manager: AsyncCallbackManagerForLLMRun | None = None,
        **kwargs: Any,
    ) -> AsyncIterator[ChatGenerationChunk]:
        call = kwargs.get(PLAN) or await self._aroute(messages, stop, kwargs, stream=True)
        async with _calls.closing(call.astream(messages, run_manager, kwargs)) as chunks:
            async for chunk in chunks:
                yield chunk

    # LangChain asks for this signature on every call; to find it out takes Python 10 us.
    # (Python looks the attribute up on any function; mypy knows no function that has it.)
    _generate.__signature__ = inspect.signature(_generate)  # type: ignore[attr-defined]

    @override
    def _get_request_payload(
        self, input_: LanguageModelInput, *, stop: list[str] | None = None, **kwargs: Any
    ) -> dict[str, Any]:
        call, messages = kwargs.pop(PLAN, None), self._convert_input(input_).to_messages()
        if call is None:
            call = self._route(messages, stop, kwargs, stream=bool(kwargs.get("stream")))
            return call.payload(
                messages, call.prepared.stop, {"stream": kwargs.get("stream", self.streaming)}
            )
        return call.payload(messages, stop, kwargs)  # type: ignore[no-any-return] # a keyword

    @override
    def _get_invocation_params(self, stop: list[str] | None = None, **kwargs: Any) -> dict[str, Any]:
        call: RoutedCall | None = kwargs.pop(PLAN, None)
        if call is None:
            return super()._get_invocation_params(stop=stop, **_calls.visible(kwargs))
        sent = call.prepared
        return sent.delegate._get_invocation_params(stop=sent.stop, **sent.shown)

    @override
    def _get_ls_params(self, stop: list[str] | None = None, **kwargs: Any) -> LangSmithParams:
        call: RoutedCall | None = kwargs.pop(PLAN, None)
        if call is None:
            return super()._get_ls_params(stop=stop, **_calls.visible(kwargs))
        sent = call.prepared
        shown = sent.delegate._get_ls_params(stop=sent.stop, **sent.shown)
        return cast("LangSmithParams", {**shown, **_calls.traced(call)})

    @override
    def _get_llm_string(self, stop: list[str] | None = None, **kwargs: Any) -> str:
        call: RoutedCall | None = kwargs.pop(PLAN, None)
        if call is None:
            return super()._get_llm_string(stop=stop, **_calls.visible(kwargs))
        sent = call.prepared
        form = "plain" if sent.plain else "items"
        form = form if sent.cut is None else f"{form}/{json.dumps(sent.cut)}"
        return f"routed/{form}/{sent.delegate._get_llm_string(stop=sent.stop, **sent.shown)}"
