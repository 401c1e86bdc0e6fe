"""The framework's OpenAI class without its habits: changing the caller's objects, clients that go stale."""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from typing import Any

from llama_index.core.base.llms.types import ChatMessage
from llama_index.core.bridge.pydantic import Field, PrivateAttr
from llama_index.llms.openai import OpenAI
from llama_index.llms.routed.clients import Clients
from openai import AsyncOpenAI
from openai import OpenAI as SyncOpenAI
from typing_extensions import override

__all__ = ["CarefulOpenAI"]


class CarefulOpenAI(OpenAI):
    """Upstream's class: it copies what it changes, shows no key and makes a client for each event loop."""

    api_key: str | None = Field(default=None, exclude=True, repr=False, description="The OpenAI API key.")

    _clients: Clients = PrivateAttr(default_factory=Clients)
    _given_clients: tuple[bool, bool] = PrivateAttr(default=(False, False))

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self._given_clients = (self._client is not None, self._aclient is not None)

    # ----- what upstream decides by a table of names, or does to its caller's own objects

    @override
    def _prepare_chat_with_tools(
        self,
        tools: Sequence[Any],
        user_msg: str | ChatMessage | None = None,
        chat_history: list[ChatMessage] | None = None,
        verbose: bool = False,
        allow_parallel_tool_calls: bool = False,
        tool_required: bool = False,
        tool_choice: str | dict[str, Any] | None = None,
        strict: bool | None = None,
        **kwargs: Any,
    ) -> dict[str, Any]:
        # `tool_required` has to be named: the core looks for it in the signature and drops it otherwise.
        prepared = super()._prepare_chat_with_tools(
            tools,
            user_msg=user_msg,
            chat_history=list(chat_history or ()),
            verbose=verbose,
            allow_parallel_tool_calls=allow_parallel_tool_calls,
            tool_required=tool_required,
            tool_choice=tool_choice,
            strict=strict,
            **kwargs,
        )
        if prepared.get("tools"):
            prepared["parallel_tool_calls"] = allow_parallel_tool_calls
        return prepared

    @override
    def _prepare_schema(self, llm_kwargs: dict[str, Any] | None, output_cls: Any) -> dict[str, Any]:
        return super()._prepare_schema(dict(llm_kwargs or {}), output_cls)

    @override
    def structured_predict(
        self, output_cls: Any, prompt: Any, llm_kwargs: dict[str, Any] | None = None, **prompt_args: Any
    ) -> Any:
        return super().structured_predict(output_cls, prompt, dict(llm_kwargs or {}), **prompt_args)

    @override
    async def astructured_predict(
        self, output_cls: Any, prompt: Any, llm_kwargs: dict[str, Any] | None = None, **prompt_args: Any
    ) -> Any:
        return await super().astructured_predict(output_cls, prompt, dict(llm_kwargs or {}), **prompt_args)

    @override
    def stream_structured_predict(
        self, output_cls: Any, prompt: Any, llm_kwargs: dict[str, Any] | None = None, **prompt_args: Any
    ) -> Any:
        return super().stream_structured_predict(output_cls, prompt, dict(llm_kwargs or {}), **prompt_args)

    @override
    async def astream_structured_predict(
        self, output_cls: Any, prompt: Any, llm_kwargs: dict[str, Any] | None = None, **prompt_args: Any
    ) -> Any:
        wanted = dict(llm_kwargs or {})
        return await super().astream_structured_predict(output_cls, prompt, wanted, **prompt_args)

    # ----- clients: made when first needed, and again when what they are made from has changed

    @override
    def _get_client(self) -> SyncOpenAI:
        if self._given_clients[0] or not self.reuse_client:
            return super()._get_client()
        return self._clients.sync(self._connection(), self._make_client)

    @override
    def _get_aclient(self) -> AsyncOpenAI:
        if self._given_clients[1] or not self.reuse_client:
            return super()._get_aclient()
        return self._clients.asynchronous(self._connection(), self._make_aclient)

    def _make_client(self) -> SyncOpenAI:
        # Kept by `_clients` alone: a client as an attribute can neither be copied nor pickled.
        self._client = None
        client, self._client = super()._get_client(), None
        return client

    def _make_aclient(self) -> AsyncOpenAI:
        self._aclient = None
        client, self._aclient = super()._get_aclient(), None
        return client

    def _connection(self) -> Hashable:
        # The transport given at construction cannot be assigned later, so it is no part of this.
        headers = tuple(sorted((self.default_headers or {}).items()))
        return (self.api_key, self.api_base, self.api_version, self.timeout, self.max_retries, headers)
