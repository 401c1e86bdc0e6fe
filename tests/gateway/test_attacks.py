"""What is sent to a gateway that no SDK would send: refused in OpenAI's form, or served as it is meant."""

from __future__ import annotations

import gzip
import http.server
import json
import socket
import threading
from contextlib import suppress
from types import SimpleNamespace
from typing import Any

import pytest

from routed_llm.calls import endpoints, sse
from routed_llm.gateway import KeyStore
from routed_llm.gateway.protocol import WithHead
from routed_llm.simulator import Simulator
from tests.gateway.conftest import Start

CHAT = "/v1/chat/completions"
ASKED: dict[str, Any] = {"model": "gpt-4o", "messages": [{"role": "user", "content": "Hi"}]}
BODY = json.dumps(ASKED).encode()


def request(
    path: str = CHAT,
    *headers: str,
    method: str = "POST",
    version: str = "1.1",
    body: bytes = b"",
    length: bool = True,
    kind: str | None = "application/json",
    host: str | None = "localhost",
) -> bytes:
    """Write a request by hand."""
    lines = [f"{method} {path} HTTP/{version}", *headers, "Connection: close"]
    if host is not None:
        lines.append(f"Host: {host}")
    if kind is not None and method == "POST":
        lines.append(f"Content-Type: {kind}")
    if length and method == "POST":
        lines.append(f"Content-Length: {len(body)}")
    return "\r\n".join([*lines, "\r\n"]).encode("latin-1") + body


def text(words: str) -> bytes:
    """Return the usual request with words for its beginning."""
    return request(
        body=f'{{{words},"model":"gpt-4o","messages":[{{"role":"user","content":"Hi"}}]}}'.encode()
    )


def exchanged(port: int, sent: bytes, seconds: float = 20) -> tuple[int, dict[str, str], bytes]:
    """Send bytes and return the status, headers and body of what comes back until the connection ends."""
    with socket.create_connection(("127.0.0.1", port)) as raw:
        raw.settimeout(seconds)
        raw.sendall(sent)
        came = raw.makefile("rb").read()
    head, _, body = came.partition(b"\r\n\r\n")
    if head.startswith(b"HTTP/1.1 100"):
        head, _, body = body.partition(b"\r\n\r\n")
    first, *rest = head.decode("latin-1").split("\r\n")
    headers = {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in rest)}
    return int(first.split()[1]), headers, body


def deep(opens: str, closes: str, times: int = 100_000) -> str:
    """Nest something."""
    return opens * times + "1" + closes * times


REFUSED = {
    "a control character in a header": (request(CHAT, "X-A: a\0b", body=BODY), 400, "well-formed headers"),
    "a header after a bare line feed": (request(CHAT, "X-A: a\nX: 1", body=BODY), 400, "well-formed headers"),
    "a head without end": (b"GET /v1/models HTTP/1.1\r\nHost: lo", 408, "did not come within 0.5 seconds"),
    "nothing at all": (b"", 408, "did not come within 0.5 seconds"),
    "a head of a megabyte": (request("/v1/models", f"X-A: {'y' * 2**20}", method="GET"), 431, "larger than"),
    "an address of a megabyte": (request(f"/v1/{'a' * 2**20}", method="GET"), 431, "larger than"),
    "chunked without end": (
        request(CHAT, "Transfer-Encoding: chunked", length=False, body=b"5\r\nhello\r\n"),
        408,
        "did not come within 0.5 seconds",
    ),
    "chunked with a wrong size": (
        request(CHAT, "Transfer-Encoding: chunked", length=False, body=b"zz\r\nhello\r\n"),
        400,
        "well-formed",
    ),
    "chunked and with a length": (
        request(CHAT, "Transfer-Encoding: chunked", body=b"0\r\n\r\nGET /v1/models HTTP/1.1\r\n\r\n"),
        400,
        "well-formed",
    ),
    "two lengths": (request(CHAT, "Content-Length: 3", body=BODY), 400, "well-formed"),
    "a negative length": (request(CHAT, "Content-Length: -1", length=False), 400, "well-formed"),
    "a length beyond numbers": (
        request(CHAT, f"Content-Length: {'9' * 30}", length=False),
        400,
        "well-formed",
    ),
    "a handshake of TLS": (b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + bytes(99), 400, "Send HTTP/1.1"),
    "no Host": (request(body=BODY, host=None), 403, "only programs on its machine"),
    "another's Host": (request(body=BODY, host="localhost.evil.example:80"), 403, "only programs"),
    "a page's request": (request(CHAT, "Origin: https://evil.example", body=BODY), 403, "only programs"),
    "a page from a file": (request(CHAT, "Origin: null", body=BODY), 403, "only programs"),
    "a page's question before": (
        request(CHAT, "Origin: http://localhost.evil.example", method="OPTIONS"),
        405,
        "No page in a browser may call this gateway.",
    ),
    "a page's question before, on this machine": (
        request("/v1/files", "Origin: http://localhost:3000", method="OPTIONS"),
        405,
        "No page in a browser may call this gateway.",
    ),
    "a method without use": (request("/v1/embeddings", method="TRACE"), 405, "TRACE /v1/embeddings"),
    "a proxy's method": (request("evil.example:443", method="CONNECT"), 400, "well-formed"),
    "health by POST": (request("/health"), 404, "POST /health"),
    "text": (request(body=BODY, kind="text/plain"), 415, "not application/json"),
    "no type": (request(body=BODY, kind=None), 415, "not application/json"),
    "a form": (request(body=b"a=b", kind="multipart/form-data"), 415, "not application/json"),
    "compressed": (
        request(CHAT, "Content-Encoding: gzip", body=gzip.compress(BODY)),
        415,
        "The body is compressed (gzip). Send it as it is.",
    ),
    "compressed, to be passed on": (
        request("/v1/embeddings", "Content-Encoding: zstd", body=BODY),
        415,
        "The body is compressed (zstd). Send it as it is.",
    ),
    "a stream that is neither true nor false": (text('"stream":"yes"'), 400, "Give true or false."),
    "a day that is a text": (text('"routing":{"at":"2027-01-15"}'), 400, "is not a day. Give a date"),
    "a policy that is a text": (text('"routing":{"policy":"cheap"}'), 400, "is not a Policy. Give one"),
    "a policy with a wrong word": (text('"routing":{"policy":{"x":1}}'), 400, "'x' is not a keyword"),
    "objects without end": (text('"metadata":' + deep('{"a":', "}")), 400, "parse the JSON"),
    "lists without end": (text('"metadata":' + deep("[", "]")), 400, "parse the JSON"),
    "objects that are just too deep": (text('"metadata":' + deep('{"a":', "}", 990)), 400, "JSON"),
    "NaN": (text('"temperature":NaN'), 400, "NaN is no number of JSON"),
    "NaN where nobody looks": (text('"metadata":{"a":-Infinity}'), 400, "-Infinity is no number of JSON"),
    "a number beyond floats": (text('"temperature":1e999'), 400, "1e999 is no number of JSON"),
    "a number of 5,000 digits": (text(f'"seed":{"9" * 5000}'), 400, "parse the JSON"),
    "a cap of 400 digits": (text(f'"max_tokens":{"9" * 400}'), 400, "is not a token count"),
    "a cap that is true": (text('"max_tokens":true'), 400, "is not a token count"),
    "half a character in a tag": (text('"routing":{"scope":{"a":"\\ud800"}}'), 400, "whom the call is for"),
    "half a character in a conversation": (
        text('"routing":{"conversation":"\\ud800"}'),
        400,
        "is not a text",
    ),
    "half a character in a model": (
        request(body=b'{"model":"\\ud800","input":"x"}'),
        404,
        "no model is called",
    ),
    "a ledger of the caller's": (text('"routing":{"ledger":"/etc/passwd"}'), 400, "not a keyword of Policy"),
    "a budget that is no number": (text('"routing":{"budget":{"per_call":"NaN"}}'), 400, "is not an amount"),
    "a budget below nothing": (text('"routing":{"budget":{"total":-1}}'), 400, "is not an amount"),
    "a key that stands twice": (
        text('"routing":{"scope":"a=b"},"routing":{"x":1}'),
        400,
        "'x' is not a keyword",
    ),
    "a climbing path": (request("/v1/../admin", method="GET"), 404, "Unknown request URL"),
    "a climbing path, encoded": (
        request("/v1/files/%2e%2e/%2e%2e/x", method="GET"),
        404,
        "Unknown request URL",
    ),
    "a climbing path of Windows": (request("/v1/files\\..\\x", method="GET"), 404, "Unknown request URL"),
    "another host for a path": (request("/v1@evil.example/models", method="GET"), 404, "Unknown request URL"),
    "two slashes before": (request("//v1//chat/completions", body=BODY), 404, "Unknown request URL"),
}
"""What is sent, the status and a part of the message."""


@pytest.mark.parametrize(("sent", "status", "said"), REFUSED.values(), ids=REFUSED.keys())
def test_what_nobody_should_send_is_refused(
    start: Start, sim: Simulator, sent: bytes, status: int, said: str
) -> None:
    """A typed error in OpenAI's form; nothing is sent, nothing hangs, and the next call is served."""
    gateway = start(patience=0.5)
    found, headers, body = exchanged(gateway.port, sent)
    error = json.loads(body)["error"]
    assert (found, set(error)) == (status, {"message", "type", "param", "code"})
    assert said in error["message"]
    assert headers["content-type"] == "application/json"
    assert sim.journal == []
    assert gateway.entries() == []
    assert gateway.ask().status_code == 200


SERVED = {
    "HTTP/1.0": request(version="1.0", body=BODY),
    "an offer of HTTP/2": request(CHAT, "Connection: Upgrade, HTTP2-Settings", "Upgrade: h2c", body=BODY),
    "an offer of TLS, chunked": request(
        CHAT,
        "Connection: Upgrade",
        "Upgrade: TLS/1.2",
        "Transfer-Encoding: chunked",
        length=False,
        body=b"%x\r\n%b\r\n0\r\n\r\n" % (len(BODY), BODY),
    ),
    "Expect: 100-continue": request(CHAT, "Expect: 100-continue", body=BODY),
    "a charset": request(body=BODY, kind="application/json; charset=utf-8"),
    "a byte order mark": request(body=b"\xef\xbb\xbf" + BODY),
    "UTF-16": request(body=BODY.decode().encode("utf-16")),
    "half a character": request(body=BODY.replace(b"Hi", b"\\ud800")),
    "a path with a letter encoded": request("/v1/%63hat/completions", body=BODY),
    "a key in the query": request(CHAT + "?api_key=rk-x", body=BODY),
    "an absolute address": request("http://evil.example/v1/chat/completions", body=BODY),
    "a page on this machine": request(CHAT, "Origin: http://localhost:3000", body=BODY),
    "thousands of headers": request(CHAT, *(f"X-{number}: y" for number in range(5000)), body=BODY),
    "a header in another language": request(CHAT, "OpenAI-Organization: \xe4", body=BODY),
}


@pytest.mark.parametrize("sent", SERVED.values(), ids=SERVED.keys())
def test_what_is_unusual_and_right_is_served(start: Start, sim: Simulator, sent: bytes) -> None:
    """One request goes to the provider and is booked."""
    gateway = start()
    status, _, body = exchanged(gateway.port, sent)
    assert status == 200
    assert json.loads(body)["routing"]["cost"]
    assert [entry.path for entry in sim.journal] == [CHAT]
    assert len(gateway.entries()) == 1


def test_a_client_that_waits_for_leave_to_send_its_body_gets_it(start: Start) -> None:
    """It is told to go on before anything else."""
    whole = request(CHAT, "Expect: 100-continue", body=BODY)
    with socket.create_connection(("127.0.0.1", start().port)) as raw:
        raw.settimeout(20)
        raw.sendall(whole.removesuffix(BODY))
        came = raw.makefile("rb")
        assert [came.readline(), came.readline()] == [b"HTTP/1.1 100 Continue\r\n", b"\r\n"]
        raw.sendall(BODY)
        assert came.read().startswith(b"HTTP/1.1 200")


WRITTEN = {
    "a body": ([b"head", b"body"], [b"headbody"]),
    "a stream": ([b"head", b"one", b"two", b""], [b"headone", b"two", b""]),
    "a head that goes first": ([b"head", b"", b"one"], [b"head", b"one"]),
    "none": ([b"head"], [b"head"]),
}


@pytest.mark.parametrize(("parts", "written"), WRITTEN.values(), ids=WRITTEN)
def test_a_head_goes_out_with_what_follows(parts: list[bytes], written: list[bytes]) -> None:
    """One system call less; a connection that is closed has had its head in any case."""
    seen = list[bytes]()
    transport = SimpleNamespace(write=seen.append, close=lambda: None)
    joined = WithHead(transport)
    for part in parts:
        joined.write(part)
    joined.close()
    assert seen == written


def test_of_two_headers_with_one_name_the_first_counts(start: Start) -> None:
    """As in Starlette, and in what stands before a gateway."""
    status, _, _ = exchanged(start().port, request(CHAT, "Host: evil.example", body=BODY))
    assert status == 403


def test_a_stream_over_http_10_ends_with_its_connection(start: Start) -> None:
    """That version knows no chunks: no length of one stands between the events."""
    gateway = start()
    status, headers, body = exchanged(
        gateway.port, request(version="1.0", body=json.dumps({**ASKED, "stream": True}).encode())
    )
    assert (status, headers["connection"]) == (200, "close")
    assert not {"transfer-encoding", "content-length"} & headers.keys()
    events = body.decode().split("\n\n")
    assert all(event.startswith("data: ") for event in events[:-1])
    assert events[-2:] == ["data: [DONE]", ""]


WRONG_TURNS = {
    "calls that are no list": ({"role": "assistant", "tool_calls": 5}, "tool_calls is not a list"),
    "a call that is none": ({"role": "assistant", "tool_calls": [5]}, "is not an object"),
    "a result of no call": ({"role": "tool", "tool_call_id": {}, "content": "x"}, "must be a response to"),
}


@pytest.mark.parametrize(("turn", "said"), WRONG_TURNS.values(), ids=WRONG_TURNS)
def test_a_wrong_turn_is_refused_when_others_are_remembered(
    start: Start, sim: Simulator, turn: dict[str, Any], said: str
) -> None:
    """Who answered before is looked for in turns that nobody has read yet."""
    gateway = start()
    answer = gateway.ask().json()["choices"][0]["message"]
    refused = gateway.ask(messages=[ASKED["messages"][0], answer, turn])
    assert refused.status_code == 400
    assert said in refused.json()["error"]["message"]


PASSED = {
    "two slashes": "/v1//evil.example/x",
    "encoded twice": "/v1/files/%252e%252e/x",
    "an address for a path": "/v1/http://evil.example/x",
    "a port for a path": "/v1/:80/x",
    "a line feed in the query": "/v1/embeddings?x=%0d%0aX-Evil:1",
}


@pytest.mark.parametrize("path", PASSED.values(), ids=PASSED.keys())
def test_what_is_passed_on_stays_on_its_host(start: Start, sim: Simulator, path: str) -> None:
    """A strange path reaches the provider as a path of it and nobody else."""
    gateway = start()
    status, _, body = exchanged(gateway.port, request(path, method="GET"))
    assert status == 404
    assert b"Invalid URL" in body or b"No such File object: %252e%252e" in body  # the provider's own words
    assert len(sim.journal) == 1
    assert sim.journal[0].path == path.partition("?")[0]
    assert "x-evil" not in sim.journal[0].headers


@pytest.mark.parametrize("where", ["?api_key=", "?key=", "cookie", "x-api-key"])
def test_a_key_counts_in_its_header_alone(start: Start, store: KeyStore, sim: Simulator, where: str) -> None:
    """Queries and cookies are written into logs: no key is read from them."""
    _, secret = store.add("ann")
    gateway = start(keys=str(store.path))
    path = CHAT + where + secret if where.startswith("?") else CHAT
    headers = [] if where.startswith("?") else [f"{where}: {secret}"]
    status, _, body = exchanged(gateway.port, request(path, *headers, body=BODY))
    assert (status, json.loads(body)["error"]["code"]) == (401, "invalid_api_key")
    assert secret.encode() not in body
    assert sim.journal == []


def test_a_websocket_is_not_opened(start: Start, sim: Simulator) -> None:
    """Realtime is not served: the upgrade is refused and nothing reaches the provider."""
    upgrade = (
        "Upgrade: websocket",
        "Connection: Upgrade",
        "Sec-WebSocket-Version: 13",
        "Sec-WebSocket-Key: a",
    )
    gateway = start()
    sent = request("/v1/realtime?model=x", *upgrade, method="GET").replace(b"Connection: close\r\n", b"")
    status, _, body = exchanged(gateway.port, sent)
    said = "WebSockets are not served here. Send your request over HTTP."
    assert (status, json.loads(body)["error"]["message"]) == (501, said)
    assert sim.journal == []


def _provider(status: int, kind: str, body: bytes) -> http.server.ThreadingHTTPServer:
    """Return a provider that answers all requests with one compressed body."""
    packed = gzip.compress(body)

    class Handler(http.server.BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_POST(self) -> None:
            """Answer."""
            self.rfile.read(int(self.headers["content-length"]))
            self.send_response(status)
            for name, value in (("type", kind), ("encoding", "gzip"), ("length", str(len(packed)))):
                self.send_header(f"content-{name}", value)
            self.end_headers()
            with suppress(OSError):  # it may be left in the middle
                self.wfile.write(packed)
            self.close_connection = True  # nobody is to be answered once the server is gone

        def log_message(self, *_: Any) -> None:
            """Say nothing."""

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    return server


MANY = 8 * 1024 * 1024
TEXT = b'{"error": {"message": "' + b"0" * MANY + b'"}}'
NO_ANSWER = "is longer than"


@pytest.mark.parametrize(
    ("status", "kind", "body", "stream", "told", "message"),
    [
        pytest.param(200, "application/json", TEXT, False, 502, NO_ANSWER, id="an answer"),
        pytest.param(500, "application/json", TEXT, False, 500, "", id="an error"),
        pytest.param(500, "application/json", TEXT, True, 500, "", id="an error in place of a stream"),
        pytest.param(200, "text/event-stream", b"data: " + TEXT, True, 502, NO_ANSWER, id="an event"),
        pytest.param(200, "text/event-stream", b"data: {oops\n\n", True, 502, "no JSON", id="no event"),
    ],
)
def test_a_body_that_is_too_large_to_be_one(
    start: Start,
    monkeypatch: pytest.MonkeyPatch,
    status: int,
    kind: str,
    body: bytes,
    stream: bool,
    told: int,
    message: str,
) -> None:
    """What a few compressed bytes become is read as far as an answer or an error can be, and no further."""
    monkeypatch.setattr(endpoints, "LONGEST", MANY // 8)
    monkeypatch.setattr(sse, "_LARGEST", MANY // 8)
    server = _provider(status, kind, body)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        gateway = start(upstream=f"http://127.0.0.1:{server.server_port}/v1", retries=0)
        answer = gateway.ask(stream=stream)
    finally:
        server.shutdown()
        server.server_close()
    assert answer.status_code == told
    assert len(answer.content) <= endpoints._LONGEST_ERROR
    assert message in answer.text
    assert gateway.ask().status_code == 502  # it goes on
