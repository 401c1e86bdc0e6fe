"""Streams as servers other than OpenAI write them: line ends, comments, bytes in any pieces, no usage."""

from __future__ import annotations

import asyncio
import gzip
import json
import socket
from collections.abc import Callable
from typing import Any

import pytest
from attack_support import ASK, SAID, STREAMED, WAYS, booked_router, lying
from openai import AsyncOpenAI, OpenAI

from routed_llm import Exchange, guard_client
from routed_llm.calls.sse import EventReader
from routed_llm.simulator import Simulator

ONE = {"models": ["gpt-4o"], "at_least": None}
Write = Callable[[Any, bytes], None]


def whole(handler: Any, body: bytes) -> None:
    """Write a body with its length."""
    handler.send_header("content-length", str(len(body)))
    handler.end_headers()
    handler.wfile.write(body)


def in_pieces(size: int) -> Write:
    """Return what writes a body in pieces of so many bytes."""

    def write(handler: Any, body: bytes) -> None:
        handler.send_header("transfer-encoding", "chunked")
        handler.end_headers()
        for at in range(0, len(body), size):
            piece = body[at : at + size]
            handler.wfile.write(b"%x\r\n%b\r\n" % (len(piece), piece))
            handler.wfile.flush()
        handler.wfile.write(b"0\r\n\r\n")

    return write


def never_ending(handler: Any, body: bytes) -> None:
    """Write a body and leave it open."""
    handler.send_header("transfer-encoding", "chunked")
    handler.end_headers()
    handler.wfile.write(b"%x\r\n%b\r\n" % (len(body), body))


def until_the_end(handler: Any, body: bytes) -> None:
    """Write a body without its length and close the connection, as HTTP/1.0 does."""
    handler.close_connection = True
    handler.send_header("connection", "close")
    handler.end_headers()
    handler.wfile.write(body)
    handler.wfile.flush()
    handler.connection.shutdown(socket.SHUT_WR)


def compressed(handler: Any, body: bytes) -> None:
    """Write a body compressed."""
    handler.send_header("content-encoding", "gzip")
    whole(handler, gzip.compress(body))


def events(body: bytes, change: Callable[[dict[str, Any]], Any]) -> bytes:
    """Change each event of a stream."""
    found = []
    for block in body.split(b"\n\n"):
        if block.startswith(b"data: {"):
            block = b"data: " + json.dumps(change(json.loads(block[6:])), ensure_ascii=False).encode()
        found.append(block)
    return b"\n\n".join(found)


def without_usage(body: bytes) -> bytes:
    """Leave the last chunk out, which has nothing but the usage."""
    return b"\n\n".join(
        block for block in body.split(b"\n\n") if not (b'"usage": {' in block or b'"usage":{' in block)
    )


def without_delta(chunk: dict[str, Any]) -> dict[str, Any]:
    """Leave the part of the answer out where there is none, as at the end."""
    choices = [{**one, "delta": one["delta"] or None} for one in chunk["choices"]]
    return {**chunk, "choices": choices}


def missing_delta(chunk: dict[str, Any]) -> dict[str, Any]:
    """Leave its name out, too."""
    choices = [{name: part for name, part in one.items() if part != {}} for one in chunk["choices"]]
    return {**chunk, "choices": choices}


def in_floats(chunk: dict[str, Any]) -> dict[str, Any]:
    """Write counts as some languages do."""
    usage = {
        name: float(value) if isinstance(value, int) else value
        for name, value in (chunk.get("usage") or {}).items()
    }
    return {**chunk, "usage": usage or None}


WRITTEN: dict[str, tuple[Callable[[bytes], bytes], Write]] = {
    "CRLF": (lambda body: body.replace(b"\n", b"\r\n"), whole),
    "comments": (lambda body: b": hello\n\n" + body.replace(b"\n\n", b"\n\n: ping\n\n"), whole),
    "names and ids": (lambda body: body.replace(b"data: {", b"event: m\nid: 1\nretry: 5\ndata: {"), whole),
    "no space": (lambda body: body.replace(b"data: ", b"data:"), whole),
    "single bytes": (lambda body: body, in_pieces(1)),
    "seven bytes": (lambda body: body, in_pieces(7)),
    "until the end": (lambda body: body, until_the_end),
    "compressed": (lambda body: body, compressed),
    "no [DONE]": (lambda body: body.replace(b"data: [DONE]\n\n", b""), whole),
    "no usage": (without_usage, whole),
    "unknown fields": (lambda body: events(body, lambda one: {**one, "x_groq": {"id": "a"}}), whole),
    "no delta at the end": (lambda body: events(body, without_delta), whole),
    "no delta by name": (lambda body: events(body, missing_delta), whole),
    "counts with a point": (lambda body: events(body, in_floats), whole),
    "no empty line at the end": (lambda body: body.rstrip(b"\n") + b"\n", whole),
}


@pytest.mark.parametrize("way", STREAMED)
@pytest.mark.parametrize("written", WRITTEN)
def test_a_stream_is_read_however_it_is_written(sim: Simulator, way: str, written: str) -> None:
    """Every text arrives, one request is sent, and it is in the books."""
    change, write = WRITTEN[written]

    def lie(handler: Any, asked: Any, truth: Any) -> None:
        status, headers, body = truth()
        handler.send_response(status)
        handler.send_header("content-type", headers["content-type"])
        write(handler, change(body))

    make, call = WAYS[way]
    router = booked_router()
    with lying(sim.url, lie) as liar:
        got = call(make(liar.url, router, policy=ONE))
    assert (got.text, len(liar.asked)) == (SAID, 1)
    (entry,) = router.ledger.entries()
    assert (entry.outcome, entry.booked > 0) == ("answered", True)
    assert (entry.cost is None) == (written == "no usage")


@pytest.mark.parametrize("is_async", [False, True], ids=["sync", "async"])
@pytest.mark.parametrize(
    ("write", "connections"),
    [
        pytest.param(whole, 1, id="a length"),
        pytest.param(in_pieces(64), 1, id="chunks"),
        pytest.param(never_ending, 3, id="no end"),
    ],
)
def test_the_connection_of_a_stream_serves_the_next(
    sim: Simulator, write: Write, connections: int, *, is_async: bool
) -> None:
    """The SDK leaves a stream at its last event and with it the connection, unless its end comes at once."""
    seen = set()

    def lie(handler: Any, asked: Any, truth: Any) -> None:
        seen.add(handler.client_address)
        status, headers, body = truth()
        handler.send_response(status)
        handler.send_header("content-type", headers["content-type"])
        write(handler, body)

    asked: Any = {"model": "gpt-4o", "messages": [{"role": "user", "content": ASK}], "stream": True}

    def ask(client: Any) -> None:
        for _ in range(3):
            with Exchange().current():
                stream = client.chat.completions.create(**asked)
            assert [chunk.id for chunk in stream]

    async def aask(client: Any) -> None:
        async with client:
            for _ in range(3):
                with Exchange().current():
                    stream = await client.chat.completions.create(**asked)
                assert [chunk.id async for chunk in stream]

    with lying(sim.url, always=lie) as liar:
        client: Any = (AsyncOpenAI if is_async else OpenAI)(base_url=liar.url, api_key="own-key")
        guard_client(client._client)
        if is_async:
            asyncio.run(aask(client))
        else:
            with client:
                ask(client)
    assert len(seen) == connections


@pytest.mark.parametrize("size", [1, 2, 3, 5, 1_000])
@pytest.mark.parametrize(
    "body",
    [
        pytest.param(b'data: {"a": "\xc3\xa9"}\n\ndata: [DONE]\n\n', id="LF"),
        pytest.param(b'data: {"a": "\xc3\xa9"}\r\n\r\ndata: [DONE]\r\n\r\n', id="CRLF"),
        pytest.param(b'data: {"a": "\xc3\xa9"}\r\rdata: [DONE]\r\r', id="CR"),
        pytest.param(b'data: {"a": "\xc3\xa9"}\r\n\ndata: [DONE]\n\r\n', id="mixed"),
        pytest.param(b'\xef\xbb\xbfdata: {"a": "\xc3\xa9"}\n\ndata: [DONE]\n\n', id="a byte order mark"),
        pytest.param(b': hi\n\ndata:{"a":\ndata:"\xc3\xa9"}\n\n\n\ndata:[DONE]', id="in two lines"),
    ],
)
def test_events_are_found_wherever_bytes_are_parted(body: bytes, size: int) -> None:
    """The reader of the client and the gateway finds them as the SDK's does."""
    reader = EventReader()
    found = [event for at in range(0, len(body), size) for event in reader.feed(body[at : at + size])]
    found += reader.end()
    assert [event.data for event in found if event.data is not None] == [{"a": "é"}]
    assert [event.done for event in found if event.done] == [True]
