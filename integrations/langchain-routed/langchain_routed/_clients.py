"""The clients that langchain-openai calls in place of the SDK's client of Chat Completions.

One sends what is plain data already. The other is a client over Responses: a program that was written for
Chat Completions gets answers in its form, whichever endpoint serves them. What becomes of an answer, whole or
in parts, is the wire's.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Iterator, Mapping
from contextlib import asynccontextmanager, contextmanager
from functools import lru_cache, partial
from inspect import isawaitable, signature
from typing import Any, NamedTuple

from langchain_openai._compat import httpx
from openai import (
    APIError,
    AsyncOpenAI,
    AsyncStream,
    ContentFilterFinishReasonError,
    LengthFinishReasonError,
    Stream,
)
from openai.types.chat import ChatCompletion

from routed_llm.calls.adapting import is_untouched, posted
from routed_llm.request.wire import ChunkStream, chat_completion, failure_of

__all__ = ["ChatClient", "ChatOnResponses", "RootClient"]


class _Endpoint(NamedTuple):
    """What the SDK makes of an endpoint: its path, the keywords it knows, and the types of what it gives."""

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
    return _Endpoint("/chat/completions", fields, ChatCompletion, object)


@lru_cache(maxsize=1)
def _responses() -> _Endpoint:
    from openai.resources.responses import Responses
    from openai.types.responses import Response, ResponseStreamEvent

    fields = frozenset(signature(Responses.create).parameters)
    return _Endpoint("/responses", fields, Response, ResponseStreamEvent)


class PlainClient:
    """One of the SDK's two resources, for bodies that are plain data.

    What a program or an instrument has put in the place of the SDK's own methods is called as it always was,
    and the SDK itself refuses the fields that it does not know.

    Args:
        root: the SDK's client, for threads or for event loops.
        raw: whether answers come with their headers.
    """

    def __init__(self, root: Any, *, raw: bool = False) -> None:
        self.root = root
        self._raw = raw

    @property
    def with_raw_response(self) -> Any:
        """The same, whose answers come with their headers."""
        return type(self)(self.root, raw=True)

    def _post(self, part: Any, endpoint: _Endpoint, body: dict[str, Any]) -> Any:
        if not (endpoint.fields.issuperset(body) and is_untouched(part)):
            return (part.with_raw_response if self._raw else part).create(**body)
        kind: Any = AsyncStream if isinstance(self.root, AsyncOpenAI) else Stream
        streams = kind[endpoint.event]
        return posted(
            self.root, endpoint.path, body, answer=endpoint.answer, stream_cls=streams, raw=self._raw
        )


class ChatClient(PlainClient):
    """The client of Chat Completions."""

    def create(self, **body: Any) -> Any:
        """Send a body and return the answer; in event loops, what is awaited for it."""
        return self._post(self.root.chat.completions, _chat(), body)


class ResponsesClient(PlainClient):
    """The client of Responses; what is read into a class is the SDK's own to send."""

    def __getattr__(self, name: str) -> Any:
        part = self.root.responses
        return getattr(part.with_raw_response if self._raw else part, name)

    def create(self, **body: Any) -> Any:
        """Send a body and return the answer; in event loops, what is awaited for it."""
        return self._post(self.root.responses, _responses(), body)


class RootClient:
    """The SDK's client, whose Responses are sent as plain data."""

    def __init__(self, root: Any) -> None:
        self.root = root
        self.responses = ResponsesClient(root)

    def __getattr__(self, name: str) -> Any:
        return getattr(self.root, name)


class ChatOnResponses(PlainClient):
    """Takes the bodies of Responses and answers as Chat Completions do."""

    def create(self, **body: Any) -> Any:
        """Send a body and return the answer; in event loops, what is awaited for it."""
        answer = self._post(self.root.responses, _responses()._replace(answer=object, event=object), body)
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
        plain = _plain(event)
        _raise_for(plain, events)
        return stream.feed(plain)

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
    plain = _plain(reply)
    _raise_for(plain, reply)
    completion = ChatCompletion.construct(**chat_completion(plain))
    if has_form:
        for choice in completion.choices:  # as Chat Completions' own client does
            if choice.finish_reason == "length":
                raise LengthFinishReasonError(completion=completion)
            if choice.finish_reason == "content_filter":
                raise ContentFilterFinishReasonError
            choice.message.parsed = None  # type: ignore[attr-defined] # read where its class is known
    return completion


def _plain(item: Any) -> dict[str, Any]:
    if isinstance(item, dict):
        return item
    plain: dict[str, Any] = item.model_dump(mode="json", exclude_none=True, by_alias=True, warnings=False)
    return plain


def _raise_for(plain: Mapping[str, Any], source: Any) -> None:
    """Raise what an answer or an event reports as a failure, as the SDK does where it looks for it."""
    failure = failure_of(plain)
    if failure is not None:
        response = getattr(source, "response", None)
        request = response.request if response is not None else httpx.Request("POST", "/responses")
        raise APIError(str(failure.get("message") or failure), request, body=dict(failure))
