"""The API behind the gateway: requests to it over one pool of connections."""

from __future__ import annotations

import asyncio
import io
from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import contextmanager
from typing import TYPE_CHECKING, Final

import aiohttp
from yarl import URL

from routed_llm.calls.sse import DONE
from routed_llm.exchange import current

if TYPE_CHECKING:
    from routed_llm.calls.endpoint_call import Outgoing

__all__ = ["TimeoutException", "TransportError", "Upstream", "UpstreamReply"]

_TIMEOUT: Final = aiohttp.ClientTimeout(total=None, connect=10, sock_read=600)
_LARGE: Final = 256 * 1024
_LINGERS: Final = 1.0
"""Seconds in which the end of a body must come whose last event has."""
_KEPT: Final = frozenset(
    {"content-type", "accept", "openai-organization", "openai-project", "openai-beta", "idempotency-key"}
)


class TransportError(Exception):
    """The connection could not be made or broke; recovery knows it by its name, as it does httpx's."""


class TimeoutException(TransportError):
    """No answer came in time."""


@contextmanager
def _as_ours() -> Iterator[None]:
    try:
        yield
    except (aiohttp.ServerTimeoutError, TimeoutError) as error:
        raise TimeoutException("the provider did not answer in time") from error
    except (aiohttp.ClientError, OSError) as error:
        raise TransportError(f"the provider could not be reached: {error}") from error


class Upstream:
    """The API behind the gateway.

    Args:
        base_url: where it is.
        key: its key, or None to pass on the caller's.
    """

    def __init__(self, base_url: str, key: str | None) -> None:
        self.base_url = base_url.rstrip("/")
        self._key = key
        self._session: aiohttp.ClientSession | None = None

    def open(self) -> None:
        """Make the pool, in the event loop that will use it."""
        connector = aiohttp.TCPConnector(limit=0, keepalive_timeout=60)
        self._session = aiohttp.ClientSession(
            connector=connector,
            timeout=_TIMEOUT,
            auto_decompress=True,
            cookie_jar=aiohttp.DummyCookieJar(),  # one caller's are none of another's
        )

    async def close(self) -> None:
        """Close the pool."""
        if self._session is not None:
            await self._session.close()

    def whose(self, headers: Mapping[str, str]) -> str:
        """Return the authorization that a caller's request is sent with."""
        return headers.get("authorization", "") if self._key is None else f"Bearer {self._key}"

    async def send(self, sent: Outgoing, headers: Mapping[str, str]) -> UpstreamReply:
        """Send one request of a call and return the response unread."""
        base = self.base_url if sent.base_url is None else sent.base_url.rstrip("/")
        kept = self._headers(headers) if sent.credential is None else sent.credential.on_the_wire()
        kept["content-type"] = "application/json"
        exchange, loop = current(), asyncio.get_running_loop()
        if exchange is not None:  # in the turn of the loop that follows the one in which it is written
            loop.call_soon(loop.call_soon, exchange.awaits)
        return UpstreamReply(await self._request("POST", base + sent.path, kept, sent.content))

    async def send_on(
        self, method: str, path: str, headers: Mapping[str, str], data: bytes | None
    ) -> aiohttp.ClientResponse:
        """Send a request that is not routed, as it came."""
        return await self._request(method, self.base_url + path, self._headers(headers), data)

    def _headers(self, headers: Mapping[str, str]) -> dict[str, str]:
        kept = {name: value for name, value in headers.items() if name in _KEPT}
        return {**kept, "authorization": self.whose(headers), "user-agent": "routed-llm"}

    async def _request(
        self, method: str, url: str, headers: Mapping[str, str], data: bytes | None
    ) -> aiohttp.ClientResponse:
        if self._session is None:
            raise RuntimeError("the pool is not open")
        # Written in parts, so that a body of megabytes does not hold the event loop up.
        parts = io.BytesIO(data) if data is not None and len(data) > _LARGE else data
        with _as_ours():
            return await self._session.request(
                method, URL(url, encoded=True), headers=headers, data=parts, allow_redirects=False
            )


class UpstreamReply:
    """The response to one request, as the core reads it."""

    def __init__(self, response: aiohttp.ClientResponse) -> None:
        self._response = response
        self._last = b""
        self.status_code = response.status
        self.headers: Mapping[str, str] = response.headers

    def aiter_bytes(self) -> AsyncIterator[bytes]:
        """Return the body as it comes; little is read ahead of what is taken."""
        return self

    def __aiter__(self) -> AsyncIterator[bytes]:
        return self

    async def __anext__(self) -> bytes:
        """Return the next part of the body."""
        with _as_ours():
            data = await self._response.content.readany()
        if not data:
            raise StopAsyncIteration
        self._last = data
        return data

    async def aclose(self) -> None:
        """Give the connection back; one whose answer is not over is closed, so that it ends there, too."""
        if self._response.content.is_eof():
            self._response.release()
        elif self._last.endswith(DONE):  # the connection is given back once the end of the body has come
            asyncio.get_running_loop().call_later(_LINGERS, self._response.close)
        else:
            self._response.close()
