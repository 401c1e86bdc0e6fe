"""Between the SDK's HTTP and the core: a request as it was called, one as it is sent, the answer to give.

httpx and httpx2 (openai 2 and 3) have the same classes under different names; which of them a request is
of says which of them its answer must be of.
"""

from __future__ import annotations

import json
import re
import sys
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Mapping
from contextlib import contextmanager
from datetime import timedelta
from functools import cache, lru_cache
from types import ModuleType
from typing import Any, Final

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
    path = request.url.path
    at = next((end for end in ENDPOINTS if path.endswith(end)), None)
    if at is None or request.method != "POST":
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
        endpoint=ENDPOINTS[at],
        body=body,
        routing=given if routing is None else routing,
        retries=retries,
        credential=_whose(key, request.url.host, path.removesuffix(at)),
        own=f"{request.url.scheme}://{request.url.netloc.decode()}{path.removesuffix(at)}",
    )
    return asked if endpoints.routes(asked) else None


def _outgoing(request: Any, sent: Outgoing) -> Any:
    """Return the ``httpx.Request`` of one attempt: as the caller's, but for its address and its body."""
    library = _library(request)
    count = request.headers.get(_COUNT)  # None, or another number, where the caller says so
    if sent.attempt and count == str(sent.attempt - 1):
        request.headers[_COUNT] = str(sent.attempt)
    headers = request.headers.copy() if sent.credential is None else sent.credential.on_the_wire()
    url = request.url
    if sent.base_url is not None:
        url = type(url)(sent.base_url.rstrip("/") + sent.path)
        headers["host"] = url.netloc.decode()
    elif "/deployments/" in url.path or not url.path.endswith(sent.path):
        url = _address(url, sent.path, sent.model)
    content = json.dumps(sent.body, ensure_ascii=False, separators=(",", ":")).encode()
    headers["content-length"] = str(len(content))
    stream, extensions = library.ByteStream(content), request.extensions
    made = library.Request(request.method, url, headers=headers, stream=stream, extensions=extensions)
    made.read()
    return made


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
        with _reaching(request):
            return send_on(_outgoing(request, sent))

    with _reaching(request):
        served = endpoints.respond(asked, send)
    return _answer(request, served)


async def arespond(
    endpoints: Endpoints, asked: Called, request: Any, send_on: Callable[[Any], Awaitable[Any]]
) -> Any:
    """Do what :func:`respond` does, in an event loop."""

    async def send(sent: Outgoing) -> Any:
        with _reaching(request):
            return await send_on(_outgoing(request, sent))

    with _reaching(request):
        served = await endpoints.arespond(asked, send)
    return _answer(request, served)


@contextmanager
def _reaching(request: Any) -> Iterator[None]:
    """Raise a failure of the network as the SDK's own error, which its retries let pass: ours are over."""
    try:
        yield
    except openai.OpenAIError:
        raise
    except _library(request).TimeoutException as error:
        raise openai.APITimeoutError(request) from error
    except (
        Exception
    ) as error:  # whatever it is, as in the SDK's own loop: transports and hooks raise anything
        raise openai.APIConnectionError(request=request) from error


def _answer(request: Any, served: Served) -> Any:
    """Return the response to a request, as its library wants it."""
    library = _library(request)
    whole = served.body is not None
    response = library.Response(
        served.status,
        headers={**served.headers, "content-type": served.content_type},
        request=request,
        extensions={"http_version": b"HTTP/1.1", "routed": served},
        **{"content": served.body} if whole else {"stream": _stream_class(library)(served.events)},
    )
    response.elapsed = timedelta(seconds=served.seconds)
    return response


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


@cache
def _stream_class(library: ModuleType) -> type[Any]:
    """Return the body's class as a subclass of the library's, which insists on its own."""
    return type("Parts", (_Parts, library.SyncByteStream, library.AsyncByteStream), {})


def _library(request: Any) -> ModuleType:
    return sys.modules[type(request).__module__.partition(".")[0]]
