"""The langchain-openai models behind calls: one for each (model, endpoint), on the owner's own clients.

A delegate holds what belongs to a model's name and endpoint; the parameters of a call go with the call. In
place of the SDK's client of Chat Completions it calls one that sends what is plain data already, or one over
Responses: a program that was written for Chat Completions gets answers in its form, whichever endpoint serves
them. What becomes of an answer, whole or in parts, is the wire's.
"""

from __future__ import annotations

import threading
from operator import itemgetter
from typing import TYPE_CHECKING, Any, Final

import openai
from langchain_openai import ChatOpenAI
from langchain_openai.chat_models.base import BaseChatOpenAI
from openai import AsyncOpenAI, OpenAI
from openai.types.chat import ChatCompletion
from openai.types.responses import Response, ResponseStreamEvent

from routed_llm import Call, Credential, guard_client
from routed_llm.calls.sdk import ChatOnResponses, Place, PlainResource, PlainResponses, client_at

if TYPE_CHECKING:
    from langchain_routed.chat_models import RoutedChatModel

__all__ = ["HOOKED", "OWNER", "DelegateCache", "genuine"]

_SHARED: Final = (
    *("client", "async_client", "root_client", "root_async_client"),
    *("openai_api_key", "openai_api_base", "openai_organization", "request_timeout", "max_retries"),
    *("default_headers", "default_query", "include_response_headers", "disabled_params"),
    *("use_previous_response_id", "output_version", "tiktoken_model_name"),
    *("stream_chunk_timeout", "streaming", "stream_usage"),
)
_OF: Final = itemgetter("factory", *_SHARED)
_PAIRS: Final = (("root_client", "client", OpenAI), ("root_async_client", "async_client", AsyncOpenAI))
# LangChain takes a part of a stream apart, which to put together takes longer than all else.
_CHAT: Final = Place("chat_completions", ChatCompletion, object)
_RESPONSES: Final = Place("responses", Response, ResponseStreamEvent)
_MOST = 128

# Kept among a delegate's own fields: private attributes of pydantic's are ten times as slow to read.
OWNER: Final = "_owner"
"""Who asks a delegate of ours; a factory's own kind has none."""
HOOKED: Final = "_hooked"
"""Whose methods it goes by: the owner's, or those of a factory's model."""


class DelegateCache:
    """The delegates of one router. Safe to use from many threads.

    Assigning a field of the router, or copying it with other values, leads to other delegates.

    Args:
        owner: the router.
        kind: the class of its delegates.
    """

    def __init__(self, owner: RoutedChatModel, kind: type[ChatOpenAI]) -> None:
        self.owner = owner
        self._kind = kind
        self._kept: tuple[tuple[Any, ...], dict[Any, BaseChatOpenAI]] = ((), {})
        self._lock = threading.Lock()

    def get(self, call: Call, credential: Credential | None = None, *, plain: bool = False) -> BaseChatOpenAI:
        """Return the delegate that a call is made with; its answers from Responses may be plain ones."""
        settings, kept = _OF(self.owner.__dict__), self._kept
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
                client = fields[root]
                # What is patched on the router's own counts; a stand-in for one has its own ways.
                if call.base_url is not None or _is_genuine(client, fields[part]):
                    client = client_at(client, call.base_url, credential, kind, fields["request_timeout"])
                if client is not fields[root]:
                    fields.update({root: client, part: client.chat.completions})
        for root, part, _ in _PAIRS:
            if plain:
                fields[part] = fields[root] and ChatOnResponses(fields[root], openai)
            elif _is_genuine(fields[root], fields[part]):
                made = PlainResponses(fields[root], _RESPONSES)
                fields.update({root: made, part: PlainResource(fields[root], _CHAT)})
        # A given temperature, even None, keeps langchain-openai from adding one by the model's name.
        delegate = self._kind(
            model=call.model,
            temperature=None,
            use_responses_api=call.endpoint == "responses" and not plain,
            **{**fields, "stream_usage": fields["stream_usage"] is not False},
        )
        delegate.__dict__.update({OWNER: owner, HOOKED: made_by or owner})
        return _guarded(delegate)


def genuine(delegate: BaseChatOpenAI) -> bool:
    """Say whether a delegate sends through the SDK itself, whose streams end with a finish reason."""
    return OWNER in vars(delegate) and all(
        getattr(delegate, root) is None or isinstance(getattr(delegate, part), PlainResource)
        for root, part, _ in _PAIRS
    )


def _is_genuine(root: Any, part: Any) -> bool:
    return isinstance(root, (OpenAI, AsyncOpenAI)) and part is root.chat.completions


def _guarded(delegate: BaseChatOpenAI) -> BaseChatOpenAI:
    """Look at what comes back where it comes in, whoever made the delegate."""
    for root in (getattr(delegate, name, None) for name, _, _ in _PAIRS):
        if isinstance(root, (OpenAI, AsyncOpenAI, PlainResponses)):
            guard_client(root._client)
    return delegate
