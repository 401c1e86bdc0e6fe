"""uvicorn's reading of HTTP: what is no request is refused in OpenAI's form; no head is waited for long."""

from __future__ import annotations

import asyncio
import json
import sys
from collections.abc import Callable
from http import HTTPStatus
from typing import Any, Final

from httptools import HttpRequestParser
from typing_extensions import override
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol, RequestResponseCycle

__all__ = ["WATCH", "Protocol", "WithHead"]

WATCH: Final = "routed_llm.watch"
"""Where a request's scope has :meth:`Protocol.watch`: a task that awaits the client's end costs more."""

LARGEST: Final = 512 * 1024
"""Bytes of the largest head: requests with bodies are read in parts of up to half of it."""
_LINGERS: Final = 2.0
"""Seconds in which a refused client may still send: closed at once, its refusal would be lost."""


class Protocol(HttpToolsProtocol):
    """One connection.

    Attributes:
        patience: seconds in which the head of a request must have come, and what was written be taken.
    """

    patience = 60.0
    _leave: Callable[[], object] | None = None
    _is_lost = False
    _timer: asyncio.TimerHandle | None = None
    _untaken: asyncio.TimerHandle | None = None
    _came = 0
    _in_head = True
    _refused = False
    _read = b""

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override] # as uvicorn's
        """Wait for the first head."""
        super().connection_made(transport)
        self._wait()

    def connection_lost(self, exc: Exception | None) -> None:
        """Wait no longer, and stop what is worked out for a client that left."""
        self._wait_no_more()
        self._is_taken()
        super().connection_lost(exc)
        self._is_lost = True
        self.scope = None  # type: ignore[assignment] # it refers to this
        if self._leave is not None:
            self._leave()

    def watch(self, leave: Callable[[], object]) -> Callable[[], None]:
        """Call a function when the client goes away, and return what ends that."""
        self._leave = leave
        if self._is_lost:
            leave()

        def done() -> None:
            if self._leave is leave:  # and not that of the connection's next request
                self._leave = None

        return done

    def pause_writing(self) -> None:
        """Wait until the client takes what was written; one that does not is left."""
        super().pause_writing()
        self._untaken = self.loop.call_later(self.patience, self.transport.abort)

    def resume_writing(self) -> None:
        """Go on writing."""
        self._is_taken()
        super().resume_writing()

    def _is_taken(self) -> None:
        if self._untaken is not None:
            self._untaken.cancel()
            self._untaken = None

    def data_received(self, data: bytes) -> None:
        """Read on, unless a head does not end."""
        if self._refused:
            return
        self._read = data
        super().data_received(data)
        self._read = b""
        if self._in_head:
            self._came += len(data)
            if self._came > LARGEST:
                self._refuse(431, f"The head of your request is larger than {LARGEST} bytes. Send less.")

    def on_message_begin(self) -> None:
        """Begin the head of a request."""
        super().on_message_begin()
        self._came, self._in_head = 0, True
        self._wait()

    def on_headers_complete(self) -> None:
        """End it."""
        self._in_head = False
        self._wait_no_more()
        if self._offers_another():
            if (b"upgrade", b"websocket") in [(name, value.lower()) for name, value in self.headers]:
                self._refuse(501, "WebSockets are not served here. Send your request over HTTP.")
            return
        super().on_headers_complete()
        self.scope[WATCH] = self.watch  # type: ignore[typeddict-unknown-key] # of ours
        self.cycle.__class__ = UntilClosed if self.scope["http_version"] == "1.0" else Joined

    def on_message_complete(self) -> None:
        """End a request."""
        if not self._offers_another():
            super().on_message_complete()

    def _offers_another(self) -> bool:
        """Say whether HTTP/1.1 is one of the protocols that the client would speak, such as HTTP/2 (h2c)."""
        return self.parser.should_upgrade() and any(name == b"upgrade" for name, _ in self.headers)

    @override
    def _should_upgrade(self) -> bool:
        """Say no, whatever is offered."""
        return False

    @override
    def _unsupported_upgrade_warning(self) -> None:
        """Read a request again without its offer: the parser takes no body after one."""
        after: Any = sys.exception()
        rest = self._read[after.args[0] :]
        kept = [b"%b: %b\r\n" % header for header in self.headers if header[0] != b"upgrade"]
        first = (self.parser.get_method(), self.url, self.parser.get_http_version().encode())
        head = b"%b %b HTTP/%b\r\n" % first + b"".join([*kept, b"\r\n"])
        self.parser = HttpRequestParser(self)
        self.data_received(head + rest)

    def send_400_response(self, msg: str) -> None:
        """Refuse what is no HTTP."""
        self._refuse(400, f"{msg} Send HTTP/1.1 with well-formed headers.")

    def _wait(self) -> None:
        if self._timer is None:
            self._timer = self.loop.call_later(self.patience, self._late)

    def _wait_no_more(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _late(self) -> None:
        self._refuse(408, f"The head of your request did not come within {self.patience:g} seconds.")

    def _refuse(self, status: int, message: str) -> None:
        self._wait_no_more()
        if self.transport.is_closing():
            return
        error = {"message": message, "type": "invalid_request_error", "param": None, "code": None}
        body = json.dumps({"error": error}).encode()
        head = (
            f"HTTP/1.1 {status} {HTTPStatus(status).phrase}\r\ncontent-type: application/json\r\n"
            f"x-should-retry: false\r\ncontent-length: {len(body)}\r\nconnection: close\r\n\r\n"
        )
        self._refused = True
        self.transport.write(head.encode() + body)
        self.transport.write_eof()
        self.loop.call_later(_LINGERS, self.transport.close)


class WithHead:
    """A transport that writes the head of an answer with the first part of its body: one system call less."""

    __slots__ = ("_head", "_transport")

    def __init__(self, transport: Any) -> None:
        self._transport = transport
        self._head: bytes | None = None

    def __getattr__(self, name: str) -> Any:
        return getattr(self._transport, name)

    def write(self, data: bytes) -> None:
        """Write a part; the first one waits for the second."""
        if self._head is None:
            self._head = data
        elif self._head:
            head, self._head = self._head, b""
            self._transport.write(head + data)
        else:
            self._transport.write(data)

    def close(self) -> None:
        """Close the connection."""
        if self._head:
            self.write(b"")
        self._transport.close()


class Joined(RequestResponseCycle):
    """An answer whose head goes out with the first part of its body; an empty part sends it alone."""

    transport: Any

    @override
    async def send(self, message: Any) -> None:
        """Send a part."""
        if not self.response_started:
            self.transport = WithHead(self.transport)
        await super().send(message)
        if self.response_complete:
            self.transport.write(b"")  # what has no body


class UntilClosed(Joined):
    """An answer to HTTP/1.0, which knows no chunks: one without a length ends where its connection does."""

    _has_length = False

    @override
    async def send(self, message: Any) -> None:
        """Send a part."""
        if message["type"] == "http.response.start":
            self._has_length = any(name == b"content-length" for name, _ in message["headers"])
        if not self._has_length:
            self.chunked_encoding, self.expected_content_length = False, len(message.get("body", b""))
        await super().send(message)
