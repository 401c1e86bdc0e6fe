"""Between the SDK's HTTP and the core: a request as it was called, one as it is sent, the answer to give.

httpx and httpx2 (openai 2 and 3) have the same classes under different names; which of them a request is
of says which of them its answer must be of.
"""

from __future__ import annotations

import json
import re
import sys
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Mapping
from datetime import timedelta
from functools import cache, lru_cache
from types import ModuleType
from typing import Any, Final, NamedTuple

import openai

from routed_llm import Called, Endpoints, Outgoing, Served, fingerprint

__all__ = ["ENDPOINTS", "arespond", "called", "respond"]

ENDPOINTS: Final[Mapping[str, str]] = {"/chat/completions": "chat_completions", "/responses": "responses"}
_DEPLOYMENT: Final = re.compile(r"/deployments/[^/]+$")
_COUNT: Final = "x-stainless-retry-count"


def called(
    endpoints: Endpoints, request: Any, *, routing: Any = None, retries: int | None = None
) -> Called | None:
    """Read a request that is routed; None for one that is sent as it is.

    Args:
        endpoints: what decides.
        request: an ``httpx.Request``.
        routing: the call's own options; where left out, its body may have them.
        retries: how often the caller wants a failed request to be tried again.
    """
    place = _place(str(request.url))
    if place is None or request.method != "POST":
        return None
    try:
        body = json.loads(request.content)
    except ValueError:
        return None  # for the provider to refuse
    if not isinstance(body, dict):
        return None
    given = body.pop("routing", None)
    key = request.headers.get("authorization") or request.headers.get("api-key")
    asked = Called(
        endpoint=place.endpoint,
        body=body,
        routing=given if routing is None else routing,
        retries=retries,
        credential=_whose(key, place.host, place.path),
        own=place.base,
    )
    return asked if endpoints.routes(asked) else None


class _Place(NamedTuple):
    endpoint: str
    base: str
    host: str
    path: str


@lru_cache(maxsize=256)
def _place(url: str) -> _Place | None:
    """Say which endpoint an address is, and of what base URL; None for one that is not routed."""
    scheme, _, rest = url.partition("?")[0].partition("://")
    at = next((end for end in ENDPOINTS if rest.endswith(end)), None)
    if at is None:
        return None
    host, slash, path = rest.removesuffix(at).partition("/")
    return _Place(ENDPOINTS[at], f"{scheme}://{host}{slash}{path}", host.partition(":")[0], slash + path)


def _outgoing(request: Any, sent: Outgoing) -> Any:
    """Return the ``httpx.Request`` of one attempt: as the caller's, but for its address and its body."""
    # None, or another number, where the caller says so
    if sent.attempt and request.headers.get(_COUNT) == str(sent.attempt - 1):
        request.headers[_COUNT] = str(sent.attempt)
    content = json.dumps(sent.body, ensure_ascii=False, separators=(",", ":")).encode()
    made = object.__new__(type(request))
    # To make one anew, and to read its address again, takes longer than the decision.
    vars(made).update(vars(request), stream=_library(request).ByteStream(content))
    vars(made).pop("_content", None)
    made.extensions = {**request.extensions}
    made.headers = (
        request.headers.copy()
        if sent.credential is None
        else type(request.headers)(sent.credential.on_the_wire())
    )
    if sent.base_url is not None:
        made.url = type(request.url)(sent.base_url.rstrip("/") + sent.path)
        made.headers["host"] = made.url.netloc.decode()
    elif not _is_at(str(request.url), sent.path):
        made.url = _address(request.url, sent.path, sent.model)
    made.headers["content-length"] = str(len(content))
    made.read()
    return made


@lru_cache(maxsize=256)
def _is_at(url: str, path: str) -> bool:
    """Say whether an address is that of an endpoint, whichever model is called there."""
    return "/deployments/" not in url and url.partition("?")[0].endswith(path)


@lru_cache(maxsize=256)
def _address(url: Any, path: str, model: str) -> Any:
    """Return where an endpoint stands, from where the one that was called does."""
    base = next(url.path.removesuffix(end) for end in ENDPOINTS if url.path.endswith(end))
    # On Azure the path names the deployment, and Responses has none.
    named = f"/deployments/{model}" if path.startswith("/chat") else ""
    return url.copy_with(path=_DEPLOYMENT.sub(named, base) + path)


@lru_cache(maxsize=256)
def _whose(*parts: str | None) -> str:
    return fingerprint(*parts)


def respond(endpoints: Endpoints, asked: Called, request: Any, send_on: Callable[[Any], Any]) -> Any:
    """Return the response to a request, made with as many requests as it takes; they are sent by `send_on`.

    Raises:
        APIConnectionError: when the provider cannot be reached.
    """

    def send(sent: Outgoing) -> Any:
        with reaching:
            return send_on(_outgoing(request, sent))

    with (reaching := _Reaching(request)):
        served = endpoints.respond(asked, send)
    return _answer(request, served)


async def arespond(
    endpoints: Endpoints, asked: Called, request: Any, send_on: Callable[[Any], Awaitable[Any]]
) -> Any:
    """Do what :func:`respond` does, in an event loop."""

    async def send(sent: Outgoing) -> Any:
        with reaching:
            return await send_on(_outgoing(request, sent))

    with (reaching := _Reaching(request)):
        served = await endpoints.arespond(asked, send)
    return _answer(request, served)


class _Reaching:
    """A block whose failures are raised as the SDK's own, which its retries let pass: ours are over.

    Whatever it is, as in the SDK's own loop: transports and hooks raise anything.
    """

    __slots__ = ("_request",)

    def __init__(self, request: Any) -> None:
        self._request = request

    def __enter__(self) -> None:
        """Begin."""

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, _: object) -> None:
        if not isinstance(error, Exception) or isinstance(error, openai.OpenAIError):
            return
        if isinstance(error, _library(self._request).TimeoutException):
            raise openai.APITimeoutError(self._request) from error
        raise openai.APIConnectionError(request=self._request) from error


def _answer(request: Any, served: Served) -> Any:
    """Return the response to a request, as its library wants it."""
    library = _library(request)
    whole = served.events is None
    response = _kinds(library).response(
        served.status,
        headers={**served.headers, "content-type": served.content_type},
        request=request,
        extensions={"http_version": b"HTTP/1.1", "routed": served},
        stream=library.ByteStream(b"") if whole else _kinds(library).stream(served.events),
    )
    if whole:
        response.wholly(served)
    response.elapsed = timedelta(seconds=served.seconds)
    return response


class _Response:
    """A response whose body is written where somebody reads it: the SDK wants what it is written from."""

    _served: Served | None = None
    _written: bytes
    _is_decoded_next = False

    def wholly(self, served: Served) -> None:
        """Take the whole answer."""
        self._served = served
        self.is_closed = self.is_stream_consumed = True

    def decoded_next(self) -> None:
        """Let the next look at the body be :meth:`json`: the SDK reads it before that to no end."""
        self._is_decoded_next = self._served is not None and self._served.answer is not None

    def read(self) -> bytes:
        """Return the body."""
        return b"" if self._is_decoded_next else super().read()  # type: ignore[misc]  # of the library's class

    async def aread(self) -> bytes:
        """Return the body."""
        return b"" if self._is_decoded_next else await super().aread()  # type: ignore[misc]

    @property
    def _content(self) -> bytes:
        if self._served is not None:
            return self._served.body or b""
        return self._written

    @_content.setter
    def _content(self, content: bytes) -> None:
        self._written = content

    def json(self, **options: Any) -> Any:
        """Return the body, decoded; the first time it is what the body would be written from."""
        if self._is_decoded_next and self._served is not None:
            self._is_decoded_next = False
            return self._served.answer
        return super().json(**options)  # type: ignore[misc]


class _Parts:
    """The body of an answer that comes in parts; closing it gives the call up."""

    def __init__(self, events: Any) -> None:
        self._events = events

    def __iter__(self) -> Iterator[bytes]:
        return iter(self._events)

    def __aiter__(self) -> AsyncIterator[bytes]:
        return aiter(self._events)

    def close(self) -> None:
        self._events.close()

    async def aclose(self) -> None:
        await self._events.aclose()


class _Kinds(NamedTuple):
    response: type[Any]
    stream: type[Any]


@cache
def _kinds(library: ModuleType) -> _Kinds:
    """Return the classes of a response and of a body in parts, as subclasses of the library's."""
    return _Kinds(
        type("Response", (_Response, library.Response), {}),
        type("Parts", (_Parts, library.SyncByteStream, library.AsyncByteStream), {}),
    )


def _library(request: Any) -> ModuleType:
    return sys.modules[type(request).__module__.partition(".")[0]]
