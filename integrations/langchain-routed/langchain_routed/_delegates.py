"""The langchain-openai model behind a call: one for each (model, endpoint), on the owner's own clients.

A delegate holds what belongs to a model's name and endpoint; the parameters of a call go with the call. In
place of the SDK's client of Chat Completions it calls one that sends what is plain data already, or one over
Responses: a program that was written for Chat Completions gets answers in its form, whichever endpoint serves
them. What becomes of an answer, whole or in parts, is the wire's.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping
from functools import cached_property, partial
from operator import itemgetter
from typing import TYPE_CHECKING, Any, Final

import openai
from langchain_core.language_models import LanguageModelInput
from langchain_core.messages import BaseMessage
from langchain_core.outputs import ChatGenerationChunk, ChatResult
from langchain_openai import ChatOpenAI
from langchain_openai.chat_models.base import BaseChatOpenAI
from openai import AsyncOpenAI, OpenAI
from openai.types.chat import ChatCompletion
from openai.types.responses import Response, ResponseStreamEvent
from pydantic import BaseModel, ConfigDict
from typing_extensions import override

from langchain_routed._messages import ITEMS, PLAN
from routed_llm import Call, Credential, guard_client
from routed_llm.calls.sdk import ChatOnResponses, Place, PlainResource, PlainResponses, client_apart
from routed_llm.request.wire import ITEMS as WIRE_ITEMS

if TYPE_CHECKING:
    from langchain_routed.chat_models import RoutedChatModel

__all__ = ["HOOKS", "Delegate", "DelegateCache", "genuine"]

_SHARED: Final = (
    *("client", "async_client", "root_client", "root_async_client"),
    *("openai_api_key", "openai_api_base", "openai_organization", "request_timeout", "max_retries"),
    *("default_headers", "default_query", "include_response_headers", "disabled_params"),
    *("use_previous_response_id", "output_version", "tiktoken_model_name"),
    *("stream_chunk_timeout", "streaming", "stream_usage"),
)
_OF: Final = itemgetter("factory", *_SHARED)
HOOKS: Final = (
    *("_convert_chunk_to_generation_chunk", "_create_chat_result"),
    *("_get_generation_chunk_from_completion", "_should_stream_usage"),
)
"""Private methods of ChatOpenAI that a subclass may override, and that the models behind it ask for."""

_PAIRS: Final = (("root_client", "client", OpenAI), ("root_async_client", "async_client", AsyncOpenAI))
# LangChain takes a part of a stream apart, which to put together takes longer than all else.
_CHAT: Final = Place("chat_completions", ChatCompletion, object)
_RESPONSES: Final = Place("responses", Response, ResponseStreamEvent)
_MOST = 128
_OWNER: Final = "_owner"  # no private attribute of pydantic's: these are ten times as slow to read
_HOOKS: Final = "_hooks"


# ----- the delegates


class Delegate(ChatOpenAI):
    """A ChatOpenAI for one chosen model; what a user overrides or patches on the router still applies.

    Its fields never change once it is made, so that what traces show of them is worked out once.
    """

    model_config = ConfigDict(defer_build=True)  # the first one pays for it, not the import

    @cached_property
    def _shown(self) -> dict[str, Any]:
        return super()._get_invocation_params()

    @override
    def _get_invocation_params(self, stop: list[str] | None = None, **kwargs: Any) -> dict[str, Any]:
        if "tools" in kwargs:
            return super()._get_invocation_params(stop, **kwargs)  # which hides the credentials of some
        return {**self._shown, "stop": stop, **kwargs}

    @property
    def _is_on_responses(self) -> bool:
        """Whether answers of Responses come in the form of Chat Completions."""
        return isinstance(self.client or self.async_client, ChatOnResponses)

    @override
    def _create_chat_result(
        self, response: dict[str, Any] | BaseModel, generation_info: dict[str, Any] | None = None
    ) -> ChatResult:
        result: ChatResult = _hook(self, "_create_chat_result")(response, generation_info)
        if self._is_on_responses:
            for choice, generation in zip(response.choices, result.generations, strict=True):  # type: ignore[union-attr] # its own
                _keep_items(generation.message, (choice.message.model_extra or {}).get(WIRE_ITEMS))
        return result

    @override
    def _convert_chunk_to_generation_chunk(
        self, chunk: dict[str, Any], default_chunk_class: type, base_generation_info: dict[str, Any] | None
    ) -> ChatGenerationChunk | None:
        first = (chunk.get("choices") or (None,))[0]
        if isinstance(first, dict) and first.get("delta") is None:
            # Some servers end a stream with it; the reason would be lost.
            chunk = {**chunk, "choices": [{**first, "delta": {}}, *chunk["choices"][1:]]}
        made: ChatGenerationChunk | None = _hook(self, "_convert_chunk_to_generation_chunk")(
            chunk, default_chunk_class, base_generation_info
        )
        if made is not None and self._is_on_responses:
            for choice in chunk["choices"]:
                _keep_items(made.message, choice["delta"].get(WIRE_ITEMS))
                if choice["delta"].get("refusal"):
                    made.message.additional_kwargs["refusal"] = choice["delta"]["refusal"]
        return made

    @override
    def _get_request_payload(
        self, input_: LanguageModelInput, *, stop: list[str] | None = None, **kwargs: Any
    ) -> dict[str, Any]:
        if PLAN in kwargs:
            return self.__dict__[_OWNER]._get_request_payload(input_, stop=stop, **kwargs)  # type: ignore[no-any-return] # from __dict__
        return super()._get_request_payload(input_, stop=stop, **kwargs)


def _hook(delegate: Delegate, name: str) -> Callable[..., Any]:
    """Return a method: that of the owner, or of a factory's model, where a class or a patch has its own."""
    hook: Any = getattr(delegate.__dict__[_HOOKS], name)
    original: Callable[..., Any] = getattr(ChatOpenAI, name)
    return partial(original, delegate) if getattr(hook, "__func__", None) is original else hook


def _forwarded(name: str) -> Callable[..., Any]:
    return lambda self, *args, **kwargs: _hook(self, name)(*args, **kwargs)


for _name in ("_get_generation_chunk_from_completion", "_should_stream_usage"):
    setattr(Delegate, _name, _forwarded(_name))


def _keep_items(message: BaseMessage, kept: Mapping[str, Any] | None) -> None:
    """Keep what an answer of Responses is made of, with which its turn is sent again."""
    if kept:
        message.additional_kwargs[ITEMS] = kept["items"]


class DelegateCache:
    """The delegates of one router. Safe to use from many threads.

    Assigning a field of the router, or copying it with other values, leads to other delegates.
    """

    def __init__(self, owner: RoutedChatModel) -> None:
        self.owner = owner
        self._kept: tuple[tuple[Any, ...], dict[Any, BaseChatOpenAI]] = ((), {})
        self._lock = threading.Lock()

    def get(self, call: Call, credential: Credential | None = None, *, plain: bool = False) -> BaseChatOpenAI:
        """Return the delegate that a call is made with; its answers from Responses may be plain ones."""
        owner = self.owner
        settings, kept = _OF(owner.__dict__), self._kept
        if settings != kept[0]:
            # What the fields are compared with is kept, so that nothing new can take their place unnoticed.
            kept = self._kept = (settings, {})
        whose = None if credential is None else credential.whose
        made, key = kept[1], (call.model, call.endpoint, call.base_url, whose, plain)
        found = made.get(key)
        if found is None:
            with self._lock:
                if len(made) >= _MOST:
                    made.clear()
                found = made[key] = made.get(key) or self._make(call, credential, plain=plain)
        return found

    def _make(self, call: Call, credential: Credential | None, *, plain: bool) -> BaseChatOpenAI:
        owner = self.owner
        made_by = None if owner.factory is None else owner.factory(call)
        if made_by is not None and not type(made_by).__module__.startswith("langchain_openai."):
            return _guarded(made_by)  # it has ways of its own
        fields: dict[str, Any] = {name: getattr(made_by or owner, name) for name in _SHARED}
        if made_by is None:  # a factory's model has clients and settings of its own
            fields.update(max_retries=0, openai_api_base=call.base_url or fields["openai_api_base"])
            for root, part, kind in _PAIRS:
                client = _once(fields, (root, part, kind), call.base_url, credential)
                if client is not fields[root]:
                    fields.update({root: client, part: client.chat.completions})
        for root, part, _ in _PAIRS:
            if plain:
                fields[part] = fields[root] and ChatOnResponses(fields[root], openai)
            elif _is_genuine(fields[root], fields[part]):
                made = PlainResponses(fields[root], _RESPONSES)
                fields.update({root: made, part: PlainResource(fields[root], _CHAT)})
        # A given temperature, even None, keeps langchain-openai from adding one by the model's name.
        delegate = Delegate(
            model=call.model,
            temperature=None,
            use_responses_api=call.endpoint == "responses" and not plain,
            **{**fields, "stream_usage": fields["stream_usage"] is not False},
        )
        delegate.__dict__.update({_OWNER: owner, _HOOKS: made_by or owner})
        return _guarded(delegate)


def _once(
    fields: Mapping[str, Any], names: tuple[str, str, Any], base_url: str | None, credential: Any
) -> Any:
    """Return the client that sends each request once, where that is to go: retrying is for recovery."""
    root, part, kind = names
    client: Any = fields[root]
    changed: dict[str, Any] = {} if base_url is None else {"base_url": base_url}
    if credential is not None and base_url is not None:  # it shares nothing with the owner's own
        return client_apart(kind, base_url, credential, fields["request_timeout"])
    # The router's own send once already, and what is patched on them counts. A stand-in that a test or
    # a user put there has its own ways.
    if _is_genuine(client, fields[part]) and client.max_retries != 0:
        changed["max_retries"] = 0
    return client.with_options(**changed) if changed and client is not None else client


def genuine(delegate: BaseChatOpenAI) -> bool:
    """Say whether a delegate sends through the SDK itself, whose streams end with a finish reason."""
    return isinstance(delegate, Delegate) and all(
        getattr(delegate, root) is None or isinstance(getattr(delegate, part), PlainResource)
        for root, part, _ in _PAIRS
    )


def _is_genuine(root: Any, part: Any) -> bool:
    return isinstance(root, (OpenAI, AsyncOpenAI)) and part is root.chat.completions


def _guarded(delegate: BaseChatOpenAI) -> BaseChatOpenAI:
    """Look at what comes back where it comes in, whoever made the delegate."""
    for name in ("root_client", "root_async_client"):
        root = getattr(delegate, name, None)
        if isinstance(root, (OpenAI, AsyncOpenAI, PlainResponses)):
            guard_client(root._client)
    return delegate
