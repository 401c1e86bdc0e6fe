"""Connections to the provider: what is used again, and what is not."""

from __future__ import annotations

import asyncio
import http.server
import json
import socketserver
import threading
from collections import Counter
from collections.abc import Iterator
from typing import Any

import httpx
import pytest

from routed_llm.gateway.app import Gateway, Turns
from tests.gateway.conftest import Start
from tests.gateway.test_gateway import MESSAGES, until

CHUNK = (
    b'data: {"id":"1","object":"chat.completion.chunk","created":1,"model":"gpt-4.1","choices":'
    b'[{"index":0,"delta":{"role":"assistant","content":%b},"finish_reason":%b}]}\n\n'
)
ANSWER = CHUNK % (b'""', b"null") + CHUNK % (b'"Hi"', b"null") + CHUNK % (b'""', b'"stop"')


HEAD = (
    b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ntransfer-encoding: chunked\r\n"
    b"x-request-id: r1\r\nset-cookie: __cf_bm=1\r\nAccess-Control-Allow-Origin: *\r\n"
    b"access-control-allow-credentials: true\r\naccess-control-expose-headers: X-Request-ID\r\n\r\n"
)
"""What OpenAI's servers say beside an answer."""


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
            self.wfile.write(HEAD + b"%x\r\n%b\r\n" % (len(body), body))
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


class Fixed(http.server.BaseHTTPRequestHandler):
    """Answers every request with the same bytes."""

    protocol_version = "HTTP/1.1"
    answer = b""

    def do_POST(self) -> None:
        """Answer."""
        self.rfile.read(int(self.headers["content-length"]))
        self.wfile.write(self.answer)

    def log_message(self, *_: Any) -> None:
        """Say nothing."""


def fixed(status: str, body: dict[str, Any], *headers: bytes) -> bytes:
    """Return an answer as it is sent."""
    data = json.dumps(body).encode()
    lines = [b"content-type: application/json", b"content-length: %d" % len(data), *headers]
    return b"HTTP/1.1 " + status.encode() + b"\r\n" + b"\r\n".join(lines) + b"\r\n\r\n" + data


MESSAGE = {"index": 0, "message": {"role": "assistant", "content": "Hi"}, "finish_reason": "stop"}
COMPLETION = {"id": "1", "object": "chat.completion", "created": 1, "model": "gpt-4.1", "choices": [MESSAGE]}
FAILED = {"id": "1", "object": "response", "status": "failed", "error": {"code": "x", "message": "boom"}}
CASES: dict[str, tuple[str, bytes, int, str]] = {
    "a header in Latin-1": (
        "/chat/completions",
        fixed("200 OK", COMPLETION, b"x-place: S\xe3o Paulo"),
        200,
        "S\xe3o Paulo",
    ),
    "a header in UTF-8": (
        "/chat/completions",
        fixed("200 OK", COMPLETION, "x-place: S\xe3o Paulo".encode()),
        200,
        "S\xe3o Paulo",
    ),
    "a failed Response": ("/responses", fixed("200 OK", FAILED, b"x-place: a"), 200, "a"),
    "an error in an answer": (
        "/chat/completions",
        fixed("200 OK", {"error": {"message": "boom"}}, b"x-place: a"),
        502,
        "a",
    ),
    "a redirect": (
        "/responses",
        fixed("302 Found", {}, b"x-place: a", b"location: http://evil.example/"),
        502,
        "a",
    ),
}


@pytest.mark.parametrize(("path", "answer", "status", "place"), CASES.values(), ids=CASES.keys())
def test_what_a_provider_answers(start: Start, path: str, answer: bytes, status: int, place: str) -> None:
    """Its headers come as they are; what is no answer has the status of none, unless it says so itself."""
    handler = type("Handler", (Fixed,), {"answer": answer})
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
        running = start(upstream=f"http://127.0.0.1:{server.server_port}/v1", retries=0)
        body = {"model": "gpt-4o", "input" if path == "/responses" else "messages": MESSAGES}
        found = running.post(path, json=body)
        server.shutdown()
    assert (found.status_code, found.headers["x-place"]) == (status, place)
    assert found.json().get("status") == ("failed" if "failed" in answer.decode("latin-1") else None)


@pytest.mark.parametrize("gone", [0, 5], ids=["all stay", "some leave"])
async def test_few_streams_go_on_in_one_turn(gone: int) -> None:
    """What waits goes on in its order, a few in each turn; who leaves reads what has come, and is gone."""
    turns, passed, turn = Turns(), list[tuple[int, int]](), 0
    rest = asyncio.Event()

    async def go_on(number: int) -> None:
        await turns.mine()
        passed.append((turn, number))
        await rest.wait()

    waiting = [asyncio.ensure_future(go_on(number)) for number in range(40)]
    await asyncio.sleep(0)
    for one in waiting[:gone]:
        one.cancel()
    for turn in range(1, 10):  # noqa: B007 - noted above
        await asyncio.sleep(0)
    assert [number for _, number in passed] == list(range(40))
    counts = Counter(turn for turn, number in passed if number >= gone)
    assert (max(counts.values()) <= 16, len(counts)) == (True, 3)
    rest.set()
    await asyncio.gather(*waiting, return_exceptions=True)
    assert [one.cancelled() for one in waiting] == [number < gone for number in range(40)]


@pytest.mark.parametrize("path", ["/chat/completions", "/embeddings"])
def test_what_the_provider_says_to_its_client_is_not_said_to_pages(
    start: Start, late: Late, path: str
) -> None:
    """No header lets a page read what came with the operator's key; the id of the request comes through."""
    running = start(upstream=f"http://127.0.0.1:{late.server_address[1]}/v1")
    late.end.set()
    headers = running.ask(path=path, stream=True).headers
    assert headers["x-request-id"] == "r1"
    assert [name for name in headers if name.startswith("access-control") or name == "set-cookie"] == []
