"""uvicorn's reading of HTTP: what is no request is refused in OpenAI's form; no head is waited for long."""

from __future__ import annotations

import asyncio
import json
from http import HTTPStatus
from typing import Final

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

__all__ = ["Protocol"]

LARGEST: Final = 512 * 1024
"""Bytes of the largest head: requests with bodies are read in parts of up to half of it."""
_LINGERS: Final = 2.0
"""Seconds in which a refused client may still send: closed at once, its refusal would be lost."""


class Protocol(HttpToolsProtocol):
    """One connection.

    Attributes:
        patience: seconds in which the head of a request must have come.
    """

    patience = 60.0
    _timer: asyncio.TimerHandle | None = None
    _came = 0
    _in_head = True
    _refused = False

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override] # as uvicorn's
        """Wait for the first head."""
        super().connection_made(transport)
        self._wait()

    def connection_lost(self, exc: Exception | None) -> None:
        """Wait no longer."""
        self._wait_no_more()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        """Read on, unless a head does not end."""
        if self._refused:
            return
        super().data_received(data)
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
        super().on_headers_complete()

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
