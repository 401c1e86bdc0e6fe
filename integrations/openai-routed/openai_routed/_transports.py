"""The same one level lower, for whoever makes an OpenAI client by itself and takes an ``http_client``."""

from __future__ import annotations

from typing import Any, Self

from openai_routed._exchange import arespond, called, respond
from routed_llm import Endpoints

__all__ = ["AsyncRoutedTransport", "RoutedTransport"]


class _Transport:
    def __init__(self, inner: Any, **routing: Any) -> None:
        self._inner = inner
        self.endpoints = Endpoints.make(**routing)


class RoutedTransport(_Transport):
    """A transport of httpx or httpx2 that routes: ``httpx.Client(transport=RoutedTransport(...))``.

    Args:
        inner: the transport that sends.
        routing: what :class:`openai_routed.OpenAI` takes besides the SDK's arguments.

    Raises:
        PolicyError: as :class:`openai_routed.OpenAI` does.
    """

    def handle_request(self, request: Any) -> Any:
        """Return the response to a request."""
        request.read()
        asked, send_on = called(self.endpoints, request), self._inner.handle_request
        return send_on(request) if asked is None else respond(self.endpoints, asked, request, send_on)

    def close(self) -> None:
        """Close the transport that sends."""
        self._inner.close()

    def __enter__(self) -> Self:
        self._inner.__enter__()
        return self

    def __exit__(self, *error: Any) -> None:
        self._inner.__exit__(*error)


class AsyncRoutedTransport(_Transport):
    """:class:`RoutedTransport` for ``httpx.AsyncClient``."""

    async def handle_async_request(self, request: Any) -> Any:
        """Return the response to a request."""
        await request.aread()
        asked, send_on = called(self.endpoints, request), self._inner.handle_async_request
        answer = send_on(request) if asked is None else arespond(self.endpoints, asked, request, send_on)
        return await answer

    async def aclose(self) -> None:
        """Close the transport that sends."""
        await self._inner.aclose()

    async def __aenter__(self) -> Self:
        await self._inner.__aenter__()
        return self

    async def __aexit__(self, *error: Any) -> None:
        await self._inner.__aexit__(*error)
