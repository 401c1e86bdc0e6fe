"""How the SDK's clients send plain data, and how what comes back is read; adapters import the SDK itself."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Mapping
from contextlib import asynccontextmanager, contextmanager
from functools import lru_cache, partial, wraps
from inspect import getattr_static, isawaitable, signature
from itertools import chain
from operator import attrgetter
from types import FunctionType, MethodType
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from pydantic import BaseModel

from routed_llm.errors import UnreadableAnswer
from routed_llm.request.wire import ChunkStream, chat_completion, failure_of

if TYPE_CHECKING:
    from routed_llm.recovery import Credential

__all__ = [
    "NO_KEY",
    "ChatOnResponses",
    "DecodedEvents",
    "Place",
    "PlainAnswer",
    "PlainResource",
    "PlainResponses",
    "client_at",
    "failed",
    "parses",
    "plain",
    "plainly",
    "sent",
]

NO_KEY: Final = "none"
"""Stands where an SDK wants a key and none is to be sent."""

_RAW: Final = "X-Stainless-Raw-Response"
_OPTIONS: Final = {
    "extra_headers": "headers",
    "extra_query": "params",
    "extra_body": "extra_json",
    "timeout": "timeout",
}
"""Keywords of the SDK's methods and what its requests call them."""

_PATHS: Final = {"chat_completions": "/chat/completions", "responses": "/responses"}
_PARTS: Final = {"chat_completions": attrgetter("chat.completions"), "responses": attrgetter("responses")}


class Place(NamedTuple):
    """An endpoint, and what its answers are wanted as.

    Attributes:
        endpoint: ``chat_completions`` or ``responses``.
        answer: the type of a whole answer; ``object`` for plain data.
        event: the type of an event of a stream, likewise.
    """

    endpoint: str
    answer: Any = object
    event: Any = object


# ----- sending


def sent(client: Any, place: Place, body: Mapping[str, Any], *, raw: bool = False) -> Any:
    """Send a body and return the answer or the stream; in event loops, what is awaited for it.

    What a program or an instrument has put in the place of the SDK's own methods is called as it always was,
    and the SDK itself refuses the keywords that it does not know.

    Args:
        client: the SDK's client, for threads or for event loops.
        place: where it goes.
        body: the body, with the keywords of the SDK that steer the request.
        raw: whether the answer comes with its headers.
    """
    part = _PARTS[place.endpoint](client)
    method = part.create
    if _is_untouched(part) and _keywords(getattr(method, "__func__", method))[0] >= body.keys():
        return _posted(client, place, body, raw=raw)
    return (part.with_raw_response if raw else part).create(**body)


def _is_untouched(part: Any) -> bool:
    """Say whether ``create`` of a resource is the SDK's own: no program's, no test's, no instrument's."""
    raw = getattr(part, "__dict__", {}).get("with_raw_response")
    return all(_is_sdks(one.create) for one in (part, raw) if one is not None)


def _is_sdks(method: Any) -> bool:
    function = getattr(method, "__func__", method)
    return type(function) is FunctionType and str(function.__globals__.get("__name__")).startswith("openai.")


@lru_cache(maxsize=64)
def _keywords(method: Any) -> tuple[frozenset[str], frozenset[str]]:
    """Return a method's keywords, and those that must be given."""
    known = dict(list(signature(method).parameters.items())[1:])
    return frozenset(known), frozenset(name for name, one in known.items() if one.default is one.empty)


def _posted(client: Any, place: Place, body: Mapping[str, Any], *, raw: bool = False) -> Any:
    """Send a body of plain data: to look for what is not takes the SDK a quarter of a call's time.

    For a long input of Responses it takes nearly all of it, 30 ms.
    """
    given = {_OPTIONS[name]: body[name] for name in _OPTIONS.keys() & body.keys()}
    # Without a timeout is not without a word on it.
    options = {name: value for name, value in given.items() if value is not None or name == "timeout"}
    options["security"] = {"bearer_auth": True}  # a key for administrators is not for the endpoints
    if raw:
        options["headers"] = {**(options.get("headers") or {}), _RAW: "true"}
    return client.post(
        _PATHS[place.endpoint],
        cast_to=place.answer,
        body={name: value for name, value in body.items() if name not in _OPTIONS},
        options=options,
        stream=bool(body.get("stream")),
        stream_cls=client._default_stream_cls[place.event],
    )


def plainly(part: Any, place: Place) -> None:
    """Let ``create`` of a resource send plain data as it is, and leave all else to the SDK's own.

    What a program, a test or an instrument puts in the place of the SDK's own is called as it always was.

    Args:
        part: the resource; its class stays as it is.
        place: the endpoint that it is of.
    """
    kind = type(part)
    known, needed = _keywords(kind.create)

    @wraps(kind.create)
    def create(self: Any, *args: Any, **given: Any) -> Any:
        own = getattr_static(kind, "create")
        body = {name: value for name, value in given.items() if type(value).__name__ not in _NOT_GIVEN}
        usual = not args and known >= body.keys() >= needed and _is_sdks(own)
        if usual and all(_is_plain(one) for name, one in body.items() if name not in _OPTIONS):
            return _posted(self._client, place, body)
        bound = own.__get__(self, kind) if hasattr(type(own), "__get__") else own
        return bound(*args, **given)

    part.create = MethodType(create, part)


_NOT_GIVEN: Final = frozenset({"Omit", "NotGiven"})
"""Classes of what stands for nothing in the SDK's signatures."""


def _is_plain(value: Any) -> bool:
    kind = type(value)
    if kind is dict:
        return all(type(name) is str and _is_plain(one) for name, one in value.items())
    return kind in _PLAIN or (kind is list and all(map(_is_plain, value)))


_PLAIN: Final = frozenset({str, int, float, bool, type(None)})


def parses(parameters: Mapping[str, Any]) -> bool:
    """Say whether Chat Completions' own client reads a call's form of answer: beside strict tools alone."""
    if parameters.get("response_format") is None:
        return True
    return all(
        tool.get("type") == "function" and (tool.get("function") or {}).get("strict") is True
        for tool in parameters.get("tools") or ()
        if isinstance(tool, Mapping)
    )


# ----- what comes back


class PlainAnswer(dict[str, Any]):
    """What came back, as plain data.

    Attributes:
        object: the SDK's own object.
    """

    object: Any = None


def plain(came: Any) -> PlainAnswer:
    """Return an object of the SDK, or what stands for one in a test, as plain data that remembers it."""
    if isinstance(came, BaseModel):
        answer = PlainAnswer(came.model_dump(exclude_unset=True, by_alias=True, warnings=False))
    else:
        answer = PlainAnswer(came if isinstance(came, Mapping) else _looked_at(came))
    answer.object = came
    return answer


def _looked_at(came: Any) -> dict[str, Any]:
    """Return what is read of an answer that is none of the SDK's classes: a program's own stand-in."""
    if not hasattr(came, "choices"):
        raise UnreadableAnswer(f"The answer is a {type(came).__name__}, not an object.")
    choices = [
        {
            "index": at,
            "message": {"role": "assistant", "content": choice.message.content},
            "finish_reason": "stop",
        }
        for at, choice in enumerate(came.choices)
    ]
    return {"choices": choices}


def failed(sdk: Any, failure: Mapping[str, Any], request: Any = None) -> Exception:
    """Return the SDK's exception for an error that is reported in an answer.

    Args:
        sdk: the SDK's module.
        failure: the error.
        request: what was sent, where it is known.
    """
    message = str(failure.get("message") or "The provider failed and gave no reason.")
    made: Exception = sdk.APIError(message, request=request, body=dict(failure))
    return made


class DecodedEvents:
    """Reads the events of a stream for the SDK, which need not decode again what has been decoded.

    Args:
        own: what the SDK reads with; it gets what comes from elsewhere.
    """

    def __init__(self, own: Any) -> None:
        self._own = own

    def iter_bytes(self, parts: Iterator[bytes]) -> Iterator[Any]:
        """Yield the events of a body."""
        for part in parts:
            events = getattr(part, "events", None)
            if events is None:
                yield from self._own.iter_bytes(chain([part], parts))
                return
            for data in events:
                yield _Decoded(data)

    async def aiter_bytes(self, parts: AsyncIterator[bytes]) -> AsyncIterator[Any]:
        """Do what :meth:`iter_bytes` does, in an event loop."""
        async for part in parts:
            events = getattr(part, "events", None)
            if events is None:
                async for event in self._own.aiter_bytes(_from(part, parts)):
                    yield event
                return
            for data in events:
                yield _Decoded(data)


async def _from(first: bytes, rest: AsyncIterator[bytes]) -> AsyncIterator[bytes]:
    yield first
    async for part in rest:
        yield part


class _Decoded:
    """An event as the SDK asks for it: it has no name that the SDK goes by, and is not its last."""

    __slots__ = ("_decoded",)
    event = None
    data = ""

    def __init__(self, decoded: Any) -> None:
        self._decoded = decoded

    def json(self) -> Any:
        return self._decoded


# ----- in the place of the SDK's own resources


class PlainResource:
    """One of the SDK's two resources, for bodies that are plain data; all else is the SDK's own.

    Args:
        root: the SDK's client, for threads or for event loops.
        place: where bodies go.
        raw: whether answers come with their headers.
    """

    def __init__(self, root: Any, place: Place, *, raw: bool = False) -> None:
        self._root, self._place, self._raw = root, place, raw

    def __getattr__(self, name: str) -> Any:
        part = _PARTS[self._place.endpoint](self._root)
        return getattr(part.with_raw_response if self._raw else part, name)

    @property
    def with_raw_response(self) -> Any:
        """The same, whose answers come with their headers."""
        return type(self)(self._root, self._place, raw=True)

    def create(self, **body: Any) -> Any:
        """Send a body and return the answer; in event loops, what is awaited for it."""
        return sent(self._root, self._place, body, raw=self._raw)


class PlainResponses:
    """The SDK's client, whose Responses are sent as plain data."""

    def __init__(self, root: Any, place: Place) -> None:
        self._root = root
        self.responses = PlainResource(root, place)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._root, name)


class ChatOnResponses(PlainResource):
    """Takes the bodies of Responses and answers as Chat Completions do.

    Args:
        root: the SDK's client, for threads or for event loops.
        sdk: the SDK's module.
        raw: whether answers come with their headers.
    """

    def __init__(self, root: Any, sdk: Any, *, raw: bool = False) -> None:
        super().__init__(root, Place("responses"), raw=raw)
        self._sdk = sdk

    @property
    def with_raw_response(self) -> Any:
        """The same, whose answers come with their headers."""
        return type(self)(self._root, self._sdk, raw=True)

    def create(self, **body: Any) -> Any:
        """Send a body and return the answer; in event loops, what is awaited for it."""
        answer = super().create(**body)
        return self._awaited(answer, body) if isawaitable(answer) else self._given(answer, body)

    async def _awaited(self, answer: Any, body: Mapping[str, Any]) -> Any:
        return self._given(await answer, body)

    def _given(self, answer: Any, body: Mapping[str, Any]) -> Any:
        # As with Chat Completions' own client, an answer for which a form is asked is one that was read.
        has_form = bool((body.get("text") or {}).get("format"))
        read = self._chunks if body.get("stream") else partial(self._completion, has_form=has_form)
        return _Raw(answer, read) if self._raw else read(answer)

    def _chunks(self, events: Any) -> Any:
        """Return the SDK's stream of Responses as one of Chat Completions, which has to be entered."""
        stream = ChunkStream("responses", usage_apart=True)

        def feed(event: Any) -> list[dict[str, Any]]:
            return stream.feed(self._read(event, events))

        return _in_loop(events, feed) if hasattr(events, "__aiter__") else _in_thread(events, feed)

    def _completion(self, reply: Any, *, has_form: bool) -> Any:
        completion = self._sdk.types.chat.ChatCompletion.construct(
            **chat_completion(self._read(reply, reply))
        )
        if has_form:
            for choice in completion.choices:  # as Chat Completions' own client does
                if choice.finish_reason == "length":
                    raise self._sdk.LengthFinishReasonError(completion=completion)
                if choice.finish_reason == "content_filter":
                    raise self._sdk.ContentFilterFinishReasonError
                choice.message.parsed = None  # read where its class is known
        return completion

    def _read(self, item: Any, source: Any) -> Mapping[str, Any]:
        """Return an answer or an event as plain data.

        Raises:
            APIError: when it reports a failure, as the SDK does where it looks for one.
        """
        read = item if isinstance(item, dict) else plain(item)
        failure = failure_of(read)
        if failure is not None:
            response = getattr(source, "response", None)
            if response is not None:
                raise failed(self._sdk, failure, response.request)
            http = getattr(self._root, "_client", None)
            raise failed(self._sdk, failure, http and http.build_request("POST", "/responses"))
        return read


class _Raw:
    """An answer with its headers, unread."""

    def __init__(self, raw: Any, read: Callable[[Any], Any]) -> None:
        self._raw = raw
        self._read = read

    def __getattr__(self, name: str) -> Any:
        return getattr(self._raw, name)

    def parse(self) -> Any:
        return self._read(self._raw.parse())


@contextmanager
def _in_thread(events: Any, feed: Callable[[Any], list[Any]]) -> Iterator[Iterator[Any]]:
    with events:
        yield (chunk for event in events for chunk in feed(event))


@asynccontextmanager
async def _in_loop(events: Any, feed: Callable[[Any], list[Any]]) -> AsyncIterator[AsyncIterator[Any]]:
    async with events:
        yield (chunk async for event in events for chunk in feed(event))


# ----- clients that send each request once, where it is to go


def client_at(
    client: Any, base_url: str | None, credential: Credential | None, kind: Any, timeout: Any = None
) -> Any:
    """Return a client that sends each request once: retrying is for recovery.

    Args:
        client: the caller's own, whose connections it shares, or what a program has put in its place.
        base_url: the address of the model that is called, or None for the client's own.
        credential: what that address is called with, by a client that shares nothing with the caller's;
            None for what the caller's is called with.
        kind: the SDK's class of it.
        timeout: how long to wait for an address with a credential of its own, as the SDK takes it.
    """
    if base_url is not None and credential is not None:
        return _client_apart(kind, base_url, credential, timeout)
    changed: dict[str, Any] = {} if base_url is None else {"base_url": base_url}
    if isinstance(client, kind) and client.max_retries != 0:
        changed["max_retries"] = 0
    return client.with_options(**changed) if changed and client is not None else client


def _client_apart(kind: Any, base_url: str, credential: Credential, timeout: Any) -> Any:
    key: Any = credential.api_key
    in_loop = hasattr(kind, "__aenter__")  # then its keys are awaited
    key = (_awaited(key) if in_loop else key) if callable(key) else key or NO_KEY
    made = kind(api_key=key, base_url=base_url, timeout=timeout, max_retries=0)
    # What the SDK reads from the environment is meant for OpenAI.
    made.organization = made.project = None
    made._custom_headers = dict(credential.headers)
    return made


def _awaited(key: Callable[[], str]) -> Callable[[], Awaitable[str]]:
    async def give() -> str:
        return await asyncio.to_thread(key)

    return give
