"""Between the SDK's HTTP and the core: a request as it was called, one as it is sent, the answer to give.

httpx and httpx2 (openai 2 and 3) have the same classes under different names; which of them a request is
of says which of them its answer must be of.
"""

from __future__ import annotations

import sys
from collections.abc import Awaitable, Callable
from datetime import timedelta
from functools import cache
from types import ModuleType
from typing import Any, Final

import openai

from routed_llm import Called, Endpoints, Outgoing, Served
from routed_llm.calls.adapting import LateHeaders, Parts

__all__ = ["ENDPOINTS", "arespond", "called", "respond"]

ENDPOINTS: Final = ("/chat/completions", "/responses")
_COUNT: Final = "x-stainless-retry-count"


def called(
    endpoints: Endpoints, request: Any, *, routing: Any = None, retries: int | None = None
) -> Called | None:
    """Read an ``httpx.Request`` that is routed; None for one that is sent as it is."""
    if request.method != "POST":
        return None
    key = request.headers.get("authorization") or request.headers.get("api-key")
    asked = Called.read(str(request.url), request.content, key=key, routing=routing, retries=retries)
    return asked if asked is not None and endpoints.routes(asked) else None


def _outgoing(request: Any, sent: Outgoing) -> Any:
    """Return the ``httpx.Request`` of one attempt: as the caller's, but for its address and its body."""
    # None, or another number, where the caller says so
    if sent.attempt and request.headers.get(_COUNT) == str(sent.attempt - 1):
        request.headers[_COUNT] = str(sent.attempt)
    library, made = _library(request), object.__new__(type(request))
    path, content = sent.beside(str(request.url)) if sent.base_url is None else None, sent.content
    # To make one again, and to read its address again, takes longer than the decision.
    vars(made).update(vars(request), stream=library.ByteStream(content), _content=content)
    made.extensions, headers = {**request.extensions}, request.headers
    kept = headers if sent.credential is None else type(headers)(sent.credential.on_the_wire())
    made.headers = kept.copy()
    if sent.base_url is not None:
        made.url = type(request.url)(sent.base_url.rstrip("/") + sent.path)
        made.headers["host"] = made.url.netloc.decode()
    elif path is not None:
        made.url = request.url.copy_with(path=path)
    made.headers["content-length"] = str(len(content))
    return made


def respond(endpoints: Endpoints, asked: Called, request: Any, send_on: Callable[[Any], Any]) -> Any:
    """Return the response to a request, made with as many requests as it takes, by `send_on`."""

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
    """A block whose failures, whatever they are, are raised as the SDK's own, which its retries let pass."""

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
    library, is_whole = _library(request), served.events is None
    whole, parts, headers = _kinds(library)
    response = (whole if is_whole else library.Response)(
        served.status,
        request=request,
        extensions={"http_version": b"HTTP/1.1", "routed": served},
        stream=library.ByteStream(b"") if is_whole else parts(served.events),
    )
    response.headers = headers({**served.headers, "content-type": served.content_type})
    response.is_closed = response.is_stream_consumed = is_whole
    response.elapsed = timedelta(seconds=served.seconds)
    return response


class _Whole:
    """A response whose body is written where somebody reads it: the SDK wants what it is written from."""

    is_decoded_next = False  # whether json() comes next, before which the SDK reads the body for nothing

    @property
    def _content(self) -> bytes:
        return self.extensions["routed"].body  # type: ignore[attr-defined, no-any-return] # the client puts it there

    def read(self) -> bytes:
        return b"" if self.is_decoded_next else self._content

    async def aread(self) -> bytes:
        return self.read()

    def json(self, **options: Any) -> Any:
        if self.is_decoded_next:
            self.is_decoded_next = False
            return self.extensions["routed"].answer  # type: ignore[attr-defined] # as above
        return super().json(**options)  # type: ignore[misc] # of the response that it is mixed into


@cache
def _kinds(library: ModuleType) -> tuple[Any, Any, Any]:
    """Return the classes of a response, of a body in parts and of headers, as subclasses of the library's."""
    mixed = (_Whole, library.Response), (Parts, library.SyncByteStream, library.AsyncByteStream)
    whole, parts, headers = (
        type(one[1].__name__, one, {}) for one in (*mixed, (LateHeaders, library.Headers))
    )
    return whole, parts, headers


def _library(request: Any) -> ModuleType:
    return sys.modules[type(request).__module__.partition(".")[0]]
