"""The langchain-openai model behind a call: one for each (model, endpoint), on the owner's own clients.

A delegate holds what belongs to a model's name and endpoint; the parameters of a call go with the call. In
place of the SDK's client of Chat Completions it calls one that sends what is plain data already, or one over
Responses: a program that was written for Chat Completions gets answers in its form, whichever endpoint serves
them. What becomes of an answer, whole or in parts, is the wire's.
"""

from __future__ import annotations

import threading
from collections.abc import AsyncIterator, Callable, Iterator, Mapping
from contextlib import asynccontextmanager, contextmanager
from functools import cached_property, lru_cache, partial
from inspect import isawaitable, signature
from operator import attrgetter, itemgetter
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from langchain_core.language_models import LanguageModelInput
from langchain_core.messages import BaseMessage
from langchain_core.outputs import ChatGenerationChunk, ChatResult
from langchain_openai import ChatOpenAI
from langchain_openai._compat import httpx
from langchain_openai.chat_models.base import BaseChatOpenAI
from openai import (
    APIError,
    AsyncOpenAI,
    AsyncStream,
    ContentFilterFinishReasonError,
    LengthFinishReasonError,
    OpenAI,
    Stream,
)
from openai.types.chat import ChatCompletion
from pydantic import BaseModel, ConfigDict
from typing_extensions import override

from langchain_routed._messages import ITEMS, PLAN
from routed_llm import Call, Credential, guard_client
from routed_llm.calls.adapting import client_apart, is_untouched, posted
from routed_llm.request.wire import ITEMS as WIRE_ITEMS
from routed_llm.request.wire import ChunkStream, chat_completion, failure_of

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
_MOST = 128
_OWNER: Final = "_owner"  # no private attribute of pydantic's: these are ten times as slow to read
_HOOKS: Final = "_hooks"


# ----- the clients that a delegate calls


class _Endpoint(NamedTuple):
    """What the SDK makes of an endpoint: where its resource is, its path, its keywords, and what it gives."""

    resource: Callable[[Any], Any]
    path: str
    fields: frozenset[str]
    answer: Any
    event: Any


# The SDK's resources and their types take as long to import as a quarter of all else: who makes a call does.


@lru_cache(maxsize=1)
def _chat() -> _Endpoint:
    from openai.resources.chat.completions import Completions

    fields = frozenset(signature(Completions.create).parameters)
    # LangChain takes a part of a stream apart, which to put together takes longer than all else.
    return _Endpoint(attrgetter("chat.completions"), "/chat/completions", fields, ChatCompletion, object)


@lru_cache(maxsize=1)
def _responses() -> _Endpoint:
    from openai.resources.responses import Responses
    from openai.types.responses import Response, ResponseStreamEvent

    fields = frozenset(signature(Responses.create).parameters)
    return _Endpoint(attrgetter("responses"), "/responses", fields, Response, ResponseStreamEvent)


class _PlainClient:
    """One of the SDK's two resources, for bodies that are plain data; all else is the SDK's own.

    What a program or an instrument has put in the place of the SDK's own methods is called as it always was,
    and the SDK itself refuses the fields that it does not know.

    Args:
        root: the SDK's client, for threads or for event loops.
        endpoint: gives which of the two.
        raw: whether answers come with their headers.
    """

    def __init__(self, root: Any, endpoint: Callable[[], _Endpoint], *, raw: bool = False) -> None:
        self._root, self._endpoint, self._raw = root, endpoint, raw

    def __getattr__(self, name: str) -> Any:
        part = self._endpoint().resource(self._root)
        return getattr(part.with_raw_response if self._raw else part, name)

    @property
    def with_raw_response(self) -> Any:
        """The same, whose answers come with their headers."""
        return type(self)(self._root, self._endpoint, raw=True)

    def create(self, **body: Any) -> Any:
        """Send a body and return the answer; in event loops, what is awaited for it."""
        return self._post(self._endpoint(), body)

    def _post(self, to: _Endpoint, body: dict[str, Any]) -> Any:
        part = to.resource(self._root)
        if not (to.fields.issuperset(body) and is_untouched(part)):
            return (part.with_raw_response if self._raw else part).create(**body)
        kind: Any = AsyncStream if isinstance(self._root, AsyncOpenAI) else Stream
        streams = kind[to.event]
        return posted(self._root, to.path, body, answer=to.answer, stream_cls=streams, raw=self._raw)


class _RootClient:
    """The SDK's client, whose Responses are sent as plain data."""

    def __init__(self, root: Any) -> None:
        self._root = root
        self.responses = _PlainClient(root, _responses)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._root, name)


class _ChatOnResponses(_PlainClient):
    """Takes the bodies of Responses and answers as Chat Completions do."""

    def create(self, **body: Any) -> Any:
        answer = self._post(self._endpoint()._replace(answer=object, event=object), body)
        return self._awaited(answer, body) if isawaitable(answer) else self._read(answer, body)

    async def _awaited(self, answer: Any, body: Mapping[str, Any]) -> Any:
        return self._read(await answer, body)

    def _read(self, answer: Any, body: Mapping[str, Any]) -> Any:
        # As with Chat Completions' own client, an answer for which a form is asked is one that was read.
        has_form = bool((body.get("text") or {}).get("format"))
        read = _chunks if body.get("stream") else partial(_completion, has_form=has_form)
        return _Raw(answer, read) if self._raw else read(answer)


class _Raw:
    """An answer with its headers, unread."""

    def __init__(self, raw: Any, read: Any) -> None:
        self._raw = raw
        self._read = read

    def __getattr__(self, name: str) -> Any:
        return getattr(self._raw, name)

    def parse(self) -> Any:
        return self._read(self._raw.parse())


def _chunks(events: Any) -> Any:
    """Return the SDK's stream of Responses as one of Chat Completions: a context, as LangChain enters it."""
    stream = ChunkStream("responses", usage_apart=True)

    def feed(event: Any) -> list[dict[str, Any]]:
        return stream.feed(_plain(event, events))

    return _in_loop(events, feed) if hasattr(events, "__aiter__") else _in_thread(events, feed)


@contextmanager
def _in_thread(events: Any, feed: Callable[[Any], list[Any]]) -> Iterator[Iterator[Any]]:
    with events:
        yield (chunk for event in events for chunk in feed(event))


@asynccontextmanager
async def _in_loop(events: Any, feed: Callable[[Any], list[Any]]) -> AsyncIterator[AsyncIterator[Any]]:
    async with events:
        yield (chunk async for event in events for chunk in feed(event))


def _completion(reply: Any, *, has_form: bool) -> ChatCompletion:
    completion = ChatCompletion.construct(**chat_completion(_plain(reply, reply)))
    if has_form:
        for choice in completion.choices:  # as Chat Completions' own client does
            if choice.finish_reason == "length":
                raise LengthFinishReasonError(completion=completion)
            if choice.finish_reason == "content_filter":
                raise ContentFilterFinishReasonError
            choice.message.parsed = None  # type: ignore[attr-defined] # read where its class is known
    return completion


def _plain(item: Any, source: Any) -> dict[str, Any]:
    """Return an answer or an event as plain data.

    Raises:
        APIError: when it reports a failure, as the SDK does where it looks for one.
    """
    plain: dict[str, Any] = item
    if not isinstance(item, dict):
        plain = item.model_dump(mode="json", exclude_none=True, by_alias=True, warnings=False)
    failure = failure_of(plain)
    if failure is not None:
        response = getattr(source, "response", None)
        request = response.request if response is not None else httpx.Request("POST", "/responses")
        raise APIError(str(failure.get("message") or failure), request, body=dict(failure))
    return plain


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
        return isinstance(self.client or self.async_client, _ChatOnResponses)

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
                fields[part] = fields[root] and _ChatOnResponses(fields[root], _responses)
            elif _is_genuine(fields[root], fields[part]):
                fields.update({root: _RootClient(fields[root]), part: _PlainClient(fields[root], _chat)})
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
        timeout, in_loop = fields["request_timeout"], kind is AsyncOpenAI
        return client_apart(kind, base_url, credential, timeout, in_loop=in_loop)
    # The router's own send once already, and what is patched on them counts. A stand-in that a test or
    # a user put there has its own ways.
    if _is_genuine(client, fields[part]) and client.max_retries != 0:
        changed["max_retries"] = 0
    return client.with_options(**changed) if changed and client is not None else client


def genuine(delegate: BaseChatOpenAI) -> bool:
    """Say whether a delegate sends through the SDK itself, whose streams end with a finish reason."""
    return isinstance(delegate, Delegate) and all(
        getattr(delegate, root) is None or isinstance(getattr(delegate, part), _PlainClient)
        for root, part, _ in _PAIRS
    )


def _is_genuine(root: Any, part: Any) -> bool:
    return isinstance(root, (OpenAI, AsyncOpenAI)) and part is root.chat.completions


def _guarded(delegate: BaseChatOpenAI) -> BaseChatOpenAI:
    """Look at what comes back where it comes in, whoever made the delegate."""
    for name in ("root_client", "root_async_client"):
        root = getattr(delegate, name, None)
        if isinstance(root, (OpenAI, AsyncOpenAI, _RootClient)):
            guard_client(root._client)
    return delegate
