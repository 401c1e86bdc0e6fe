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
from typing import Any, Final

import openai

from routed_llm import Called, Credential, Endpoints, Outgoing, Served, fingerprint

__all__ = ["ENDPOINTS", "arespond", "called", "respond"]

ENDPOINTS: Final[Mapping[str, str]] = {"/chat/completions": "chat_completions", "/responses": "responses"}
_PATHS: Final = {name: path for path, name in ENDPOINTS.items()}
_DEPLOYMENT: Final = re.compile(r"/deployments/[^/]+$")
_OURS: Final = frozenset({b"content-length"})


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
    url = _address(request.url, sent.endpoint, sent.model, sent.base_url)
    headers = [(name.lower(), value) for name, value in request.headers.raw if name.lower() not in _OURS]
    if sent.credential is not None:
        headers = _apart(sent.credential)
    elif sent.base_url is not None:
        headers = [item for item in headers if item[0] != b"host"]
    counted = (b"x-stainless-retry-count", b"0")  # not where the caller leaves it out or says it himself
    if sent.attempt and counted in headers:
        headers[headers.index(counted)] = (counted[0], str(sent.attempt).encode())
    content = json.dumps(sent.body, ensure_ascii=False, separators=(",", ":")).encode()
    extensions = request.extensions
    return library.Request(request.method, url, headers=headers, content=content, extensions=extensions)


def _apart(credential: Credential) -> list[tuple[bytes, bytes]]:
    """Return the headers for another address: nothing of the caller's goes there."""
    key = credential.api_key() if callable(credential.api_key) else credential.api_key
    told = {"content-type": "application/json", "accept": "application/json", **credential.headers}
    if key:
        told["authorization"] = f"Bearer {key}"
    return [(name.encode(), value.encode()) for name, value in told.items()]


@lru_cache(maxsize=256)
def _address(url: Any, endpoint: str, model: str, base_url: str | None) -> Any:
    """Return where an endpoint stands, from where the one that was called does."""
    if base_url is not None:
        return type(url)(base_url.rstrip("/") + _PATHS[endpoint])
    base = next(url.path.removesuffix(end) for end in ENDPOINTS if url.path.endswith(end))
    # On Azure the path names the deployment, and Responses has none.
    named = f"/deployments/{model}" if endpoint == "chat_completions" else ""
    return url.copy_with(path=_DEPLOYMENT.sub(named, base) + _PATHS[endpoint])


@lru_cache(maxsize=256)
def _whose(*parts: str | None) -> str:
    return fingerprint(*parts)


def respond(endpoints: Endpoints, asked: Called, request: Any, send_on: Callable[[Any], Any]) -> Any:
    """Return the response to a request, made with as many requests as it takes; they are sent by `send_on`.

    Raises:
        APIConnectionError: when the provider cannot be reached.
    """
    try:
        served = endpoints.respond(asked, lambda sent: send_on(_outgoing(request, sent)))
    except Exception as error:
        raise _unreachable(error, request) from error
    return _answer(request, served, "SyncByteStream")


async def arespond(
    endpoints: Endpoints, asked: Called, request: Any, send_on: Callable[[Any], Awaitable[Any]]
) -> Any:
    """Do what :func:`respond` does, in an event loop.

    Raises:
        APIConnectionError: when the provider cannot be reached.
    """
    try:
        served = await endpoints.arespond(asked, lambda sent: send_on(_outgoing(request, sent)))
    except Exception as error:
        raise _unreachable(error, request) from error
    return _answer(request, served, "AsyncByteStream")


def _unreachable(error: Exception, request: Any) -> Exception:
    """Return a failure of the network as the SDK's own error, which its retries let pass: ours are over."""
    if isinstance(error, openai.OpenAIError):
        return error
    late = isinstance(error, _library(request).TimeoutException)
    return openai.APITimeoutError(request) if late else openai.APIConnectionError(request=request)


def _answer(request: Any, served: Served, parts: str) -> Any:
    """Return the response to a request, as its library wants it."""
    library = _library(request)
    headers = {**served.headers, "content-type": served.content_type}
    content: dict[str, Any] = {"content": served.body}
    if served.body is None:
        content = {"stream": _stream_class(library, parts)(served.events)}
    response = library.Response(
        served.status,
        headers=headers,
        request=request,
        extensions={"http_version": b"HTTP/1.1", "routed": served},
        **content,
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
        """Give the call up where it is not over."""
        self._events.close()

    async def aclose(self) -> None:
        """Give the call up where it is not over."""
        await self._events.aclose()


@cache
def _stream_class(library: ModuleType, parts: str) -> type[Any]:
    """Return the body's class as a subclass of the library's, which insists on its own."""
    return type("Parts", (_Parts, getattr(library, parts)), {})


def _library(request: Any) -> ModuleType:
    return sys.modules[type(request).__module__.partition(".")[0]]
