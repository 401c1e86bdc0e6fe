"""Connections to the provider: what is used again, and what is not."""

from __future__ import annotations

import socketserver
import threading
from collections.abc import Iterator
from typing import Any

import httpx
import pytest

from routed_llm.gateway.app import Gateway
from tests.gateway.conftest import Start
from tests.gateway.test_gateway import until

CHUNK = (
    b'data: {"id":"1","object":"chat.completion.chunk","created":1,"model":"gpt-4.1","choices":'
    b'[{"index":0,"delta":{"role":"assistant","content":%b},"finish_reason":%b}]}\n\n'
)
ANSWER = CHUNK % (b'""', b"null") + CHUNK % (b'"Hi"', b"null") + CHUNK % (b'""', b'"stop"')


class Late(socketserver.ThreadingTCPServer):
    """A provider whose streams say that they are over before the HTTP response is.

    Attributes:
        connections: how many there were.
        end: lets a response end.
    """

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.connections, self.end = 0, threading.Event()


class Handler(socketserver.StreamRequestHandler):
    """Answers every request on a connection."""

    server: Late

    def handle(self) -> None:
        """Answer until the client closes."""
        self.server.connections += 1
        while length := self._length():
            self.rfile.read(length)
            body = ANSWER + b"data: [DONE]\n\n"
            head = b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ntransfer-encoding: chunked\r\n\r\n"
            self.wfile.write(head + b"%x\r\n%b\r\n" % (len(body), body))
            assert self.server.end.wait(10)
            self.server.end.clear()
            self.wfile.write(b"0\r\n\r\n")

    def _length(self) -> int:
        found = 0
        while (line := self.rfile.readline().strip().lower()) != b"":
            if line.startswith(b"content-length:"):
                found = int(line.partition(b":")[2])
        return found


@pytest.fixture
def late() -> Iterator[Late]:
    """A provider."""
    with Late() as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True)
        thread.start()
        yield server
        server.end.set()
        server.shutdown()
        thread.join(5)


def idle(gateway: Gateway) -> int:
    """Return how many connections to the provider wait for a request."""
    session: Any = gateway._upstream._session
    return sum(len(kept) for kept in session.connector._conns.values())


def test_a_stream_that_is_over_keeps_its_connection(start: Start, late: Late) -> None:
    """The end of the HTTP response may come later: the next stream need not connect anew."""
    running = start(upstream=f"http://127.0.0.1:{late.server_address[1]}/v1")
    for _ in range(3):
        answer = running.ask(stream=True)
        assert answer.text.endswith("data: [DONE]\n\n")
        late.end.set()
        until(lambda: idle(running.gateway) == 1)
    assert late.connections == 1


def test_what_precedes_the_first_token_goes_out_with_it(start: Start, late: Late) -> None:
    """The role, and who answers, come in the same part as the first text."""
    running = start(upstream=f"http://127.0.0.1:{late.server_address[1]}/v1")
    late.end.set()
    body = {"model": "gpt-4o", "messages": [{"role": "user", "content": "What is a tide?"}], "stream": True}
    with httpx.stream("POST", f"{running.url}/chat/completions", json=body) as answer:
        first = next(answer.iter_raw())
    assert b'"content":"Hi"' in first
