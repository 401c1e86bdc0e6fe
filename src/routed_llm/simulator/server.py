"""HTTP for the simulated service: keep-alive, no Nagle delay, one write per body and per event."""

from __future__ import annotations

import contextlib
import itertools
import json
import socket
import sys
import threading
import time
import traceback
import uuid
from collections.abc import Iterable, Iterator
from datetime import UTC, date, datetime
from email.utils import format_datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import urlsplit

from routed_llm.simulator.control import control
from routed_llm.simulator.failures import failure
from routed_llm.simulator.faults import Fault
from routed_llm.simulator.journal import KEPT_HEADERS
from routed_llm.simulator.responses_reply import kept_alive
from routed_llm.simulator.service import Service
from routed_llm.simulator.serving import Reply

_LARGEST = 600 * 1024 * 1024  # bytes; the API takes 512 MB


class Server(ThreadingHTTPServer):
    """One listening socket on 127.0.0.1; a thread per connection."""

    daemon_threads = True
    block_on_close = False
    request_queue_size = 256
    allow_reuse_address = True

    def __init__(self, port: int, service: Service) -> None:
        super().__init__(("127.0.0.1", port), Handler)
        self.service = service
        self.stopping = threading.Event()
        self.connections = itertools.count(1)
        self._open: set[socket.socket] = set()
        self._guard = threading.Lock()

    def opened(self, connection: socket.socket) -> int:
        """Note a connection and return its number."""
        with self._guard:
            self._open.add(connection)
            return next(self.connections)

    def closed(self, connection: socket.socket) -> None:
        """Forget a connection."""
        with self._guard:
            self._open.discard(connection)

    def stop(self) -> None:
        """Stop listening and close every connection."""
        self.stopping.set()
        self.shutdown()
        self.server_close()
        with self._guard:
            connections = list(self._open)
        for connection in connections:
            with contextlib.suppress(OSError):
                connection.shutdown(socket.SHUT_RDWR)

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A client that goes away is no error of ours; anything else is printed."""
        if not isinstance(sys.exc_info()[1], ConnectionError | TimeoutError):
            super().handle_error(request, client_address)


class Handler(BaseHTTPRequestHandler):
    """One connection."""

    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    wbufsize = -1
    server: Server

    def setup(self) -> None:
        """Number the connection."""
        super().setup()
        self.number = self.server.opened(self.connection)

    def finish(self) -> None:
        """Forget the connection; its client may be gone."""
        self.server.closed(self.connection)
        with contextlib.suppress(OSError, ValueError):
            super().finish()

    def log_message(self, format: str, *args: Any) -> None:
        """The journal shows what happened; nothing is printed."""

    def do_GET(self) -> None:
        """Answer."""
        self._answer()

    def do_POST(self) -> None:
        """Answer."""
        self._answer()

    def do_DELETE(self) -> None:
        """Answer."""
        self._answer()

    def _answer(self) -> None:
        started = time.perf_counter()
        path, query = urlsplit(self.path).path, urlsplit(self.path).query
        content = self.rfile.read(min(int(self.headers.get("content-length") or 0), _LARGEST))
        service = self.server.service
        if path.startswith("/_control/"):
            status, body = control(service, self.command, path.removeprefix("/_control/"), content)
            self._send(Reply(status=status, body=body), started)
            return
        sent = {key.lower(): value for key, value in self.headers.items()}
        kept = {key: sent[key] for key in KEPT_HEADERS if key in sent}
        book = service.journal.open(self.command, path, self.number, kept)
        try:
            reply = service.handle(self.command, path, sent, content, book, query=query)
        except Exception:  # noqa: BLE001  a defect of the simulator must not look like a broken connection
            book.status, book.by = 500, "defect"
            traceback.print_exc()
            self._send(Reply(status=500, body={"error": failure("server_error").error}), started)
            return
        try:
            self._play(reply, started)
        except (ConnectionError, TimeoutError):
            self.close_connection = True

    def _play(self, reply: Reply, started: float) -> None:
        fault = reply.fault
        if fault is None:
            self._send(reply, started)
        elif fault.kind == "hang":
            self.server.stopping.wait(fault.seconds)
            self._break()
        elif reply.events is not None:
            self._send(reply, started)
        elif fault.kind in ("cut", "truncate"):
            self._send_half(reply, started)
        else:
            self.server.stopping.wait(fault.seconds)
            self._send(reply, started)

    def _head(self, reply: Reply, started: float, kind: str, length: int | None) -> bytes:
        reason = self.responses.get(reply.status, ("",))[0]
        rows = {
            "content-type": kind,
            "x-request-id": f"req_{uuid.uuid4().hex}",
            "openai-processing-ms": str(max(1, round((time.perf_counter() - started) * 1000))),
            "openai-version": "2020-10-01",
            "openai-organization": "org-simulated",
            "date": _moment(self.server.service.today),
            **reply.headers,
        }
        if length is None:
            rows["transfer-encoding"] = "chunked"
        else:
            rows["content-length"] = str(length)
        lines = "".join(f"{key}: {value}\r\n" for key, value in rows.items())
        return f"HTTP/1.1 {reply.status} {reason}\r\n{lines}\r\n".encode("latin-1", "replace")

    def _send(self, reply: Reply, started: float) -> None:
        if reply.events is not None:
            self._stream(reply, started)
            return
        text = reply.body if reply.html else json.dumps(reply.body, ensure_ascii=False)
        body = str(text).encode("utf-8", "replace")
        kind = "text/html" if reply.html else "application/json"
        self.wfile.write(self._head(reply, started, kind, len(body)) + body)
        self.wfile.flush()

    def _send_half(self, reply: Reply, started: float) -> None:
        body = json.dumps(reply.body, ensure_ascii=False).encode("utf-8", "replace")
        self.wfile.write(self._head(reply, started, "application/json", len(body)) + body[: len(body) // 2])
        self.wfile.flush()
        self._break()

    def _break(self) -> None:
        self.close_connection = True
        with contextlib.suppress(OSError):
            self.connection.shutdown(socket.SHUT_RDWR)

    def _stream(self, reply: Reply, started: float) -> None:
        fault = reply.fault
        head = self._head(reply, started, "text/event-stream; charset=utf-8", None)
        if fault is not None and fault.kind == "slow_first_token":
            self._flush(head)
            head = b""
            self.server.stopping.wait(fault.seconds)
        events: Iterable[dict[str, Any]] = reply.events or ()
        if fault is not None and fault.kind == "slow_first_token" and reply.dialect == "responses":
            events = kept_alive(events)
        for number, event in enumerate(_written(events, reply.dialect)):
            if fault is not None and self._strikes(fault, number, reply.dialect, head):
                return
            self._flush(head + _chunk(event))
            head = b""
            if fault is not None and fault.kind == "slow_chunks":
                self.server.stopping.wait(fault.seconds)
        if fault is not None and self._strikes(fault, fault.after_chunks, reply.dialect, head):
            return
        self._flush(head + b"0\r\n\r\n")

    def _strikes(self, fault: Fault, number: int, dialect: str, head: bytes) -> bool:
        """Play a fault of the stream when its moment has come; return whether the stream is over."""
        if number != fault.after_chunks or fault.kind in ("slow_chunks", "slow_first_token"):
            return False
        if fault.kind == "stall":
            self._flush(head)
            self.server.stopping.wait(fault.seconds)
            return False
        if fault.kind == "cut":
            self._flush(head)
            self._break()
        elif fault.kind == "truncate":
            self._flush(head + b"0\r\n\r\n")
        else:
            self._flush(head + b"".join(_chunk(event) for event in _error_events(dialect)) + b"0\r\n\r\n")
        return True

    def _flush(self, data: bytes) -> None:
        if data:
            self.wfile.write(data)
            self.wfile.flush()


def _moment(day: date) -> str:
    """Write the time of day now, on the simulated day."""
    return format_datetime(datetime.combine(day, datetime.now(UTC).timetz()), usegmt=True)


def _chunk(data: bytes) -> bytes:
    return b"%x\r\n%b\r\n" % (len(data), data)


def _written(events: Iterable[dict[str, Any]], dialect: str) -> Iterator[bytes]:
    for event in events:
        text = json.dumps(event, ensure_ascii=False)
        if dialect == "responses":
            yield f"event: {event['type']}\ndata: {text}\n\n".encode("utf-8", "replace")
        else:
            yield f"data: {text}\n\n".encode("utf-8", "replace")
    if dialect == "chat":
        yield b"data: [DONE]\n\n"


def _error_events(dialect: str) -> Iterator[bytes]:
    error = failure("stream_error").error
    if dialect == "chat":
        return _written(iter([{"error": error}]), "chat")
    return _written(iter([{"type": "error", "sequence_number": 2, "error": error}]), "responses")
