"""What routing adds to a call: RoutedChatModel against ChatOpenAI, paired, on one loopback server.

The server answers at once with a fixed body, so that what is measured is the client. Each pair makes the
two calls back to back, in alternating order; the figure is the median of the pairs' ratios. Nothing here
fails on a slow machine: it prints ratios.

Usage: python -m benchmarks.langchain.overhead [--pairs N]
"""

from __future__ import annotations

import argparse
import asyncio
import json
import statistics
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

ANSWER = {
    "id": "chatcmpl-1",
    "object": "chat.completion",
    "created": 1,
    "model": "gpt-4.1-2025-04-14",
    "choices": [
        {"index": 0, "finish_reason": "stop", "message": {"role": "assistant", "content": "Hello there."}}
    ],
    "usage": {"prompt_tokens": 9, "completion_tokens": 3, "total_tokens": 12},
}
SHORT = "What is the capital of Peru?"
LONG = "word " * 100_000
MODEL = "gpt-4.1"


def events() -> bytes:
    """The same answer as a stream."""
    chunks: list[dict[str, Any]] = [
        {**ANSWER, "object": "chat.completion.chunk", "usage": None, "choices": [one]}
        for one in (
            {"index": 0, "delta": {"role": "assistant", "content": ""}, "finish_reason": None},
            {"index": 0, "delta": {"content": "Hello there."}, "finish_reason": None},
            {"index": 0, "delta": {}, "finish_reason": "stop"},
        )
    ]
    chunks.append({**ANSWER, "object": "chat.completion.chunk", "choices": []})
    return (
        b"".join(b"data: " + json.dumps(chunk).encode() + b"\n\n" for chunk in chunks) + b"data: [DONE]\n\n"
    )


class Handler(BaseHTTPRequestHandler):
    """Answers every request with the fixed body."""

    protocol_version = "HTTP/1.1"
    wbufsize = 65_536  # headers and body in one packet: two would wait for each other's acknowledgement
    disable_nagle_algorithm = True
    whole, streamed = json.dumps(ANSWER).encode(), events()

    def do_POST(self) -> None:
        """Read the request and answer it."""
        body = self.rfile.read(int(self.headers["Content-Length"]))
        stream = b'"stream":true' in body[-300:] or b'"stream":true' in body[:300]
        answer = self.streamed if stream else self.whole
        self.send_response(200)
        self.send_header("Content-Type", "text/event-stream" if stream else "application/json")
        self.send_header("Content-Length", str(len(answer)))
        self.end_headers()
        self.wfile.write(answer)
        self.wfile.flush()

    def log_message(self, *_: Any) -> None:
        """Say nothing."""


@contextmanager
def server() -> Iterator[str]:
    """Serve on a free port of 127.0.0.1 and give the base URL."""
    running = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    running.daemon_threads = True
    threading.Thread(target=running.serve_forever, daemon=True).start()
    try:
        yield f"http://127.0.0.1:{running.server_port}/v1"
    finally:
        running.shutdown()


def timed(call: Callable[[], Any]) -> float:
    """Return the seconds that a call takes; a stream that it leaves open is read to its end afterwards."""
    start = time.perf_counter()
    rest = call()
    seconds = time.perf_counter() - start
    if callable(rest):
        rest()
    return seconds


def paired(first: Callable[[], Any], second: Callable[[], Any], pairs: int) -> tuple[float, float, float]:
    """Time pairs of calls in alternating order.

    Returns:
        The median ratio of the second to the first, the median milliseconds of the first, and the median
        difference in microseconds.
    """
    for _ in range(20):
        timed(first)
        timed(second)
    ratios, base, extra = [], [], []
    for number in range(pairs):
        if number % 2:
            two, one = timed(second), timed(first)
        else:
            one, two = timed(first), timed(second)
        ratios.append(two / one)
        base.append(one)
        extra.append(two - one)
    return statistics.median(ratios), statistics.median(base) * 1e3, statistics.median(extra) * 1e6


def ways() -> dict[str, Callable[[Any, str], Any]]:
    """The ways to call a model; a stream's gives what reads the rest of it."""
    loop = asyncio.new_event_loop()
    run = loop.run_until_complete

    def first_token(model: Any, prompt: str) -> Callable[[], Any]:
        stream = model.stream(prompt)
        next(chunk for chunk in stream if chunk.content)
        return lambda: list(stream)

    def afirst_token(model: Any, prompt: str) -> Callable[[], Any]:
        stream = model.astream(prompt)

        async def read(*, all_of_it: bool) -> None:
            async for chunk in stream:
                if chunk.content and not all_of_it:
                    return

        run(read(all_of_it=False))
        return lambda: run(read(all_of_it=True))

    def invoke(model: Any, prompt: str) -> None:
        model.invoke(prompt)

    def ainvoke(model: Any, prompt: str) -> None:
        run(model.ainvoke(prompt))

    return {
        "invoke": invoke,
        "ainvoke": ainvoke,
        "first token": first_token,
        "first token, async": afirst_token,
    }


def cases(url: str, pairs: int) -> Iterator[tuple[str, tuple[float, float, float]]]:
    """Yield every case with its figures."""
    from langchain_openai import ChatOpenAI
    from langchain_routed import RoutedChatModel

    settings: dict[str, Any] = {"base_url": url, "api_key": "local", "stream_usage": True}
    plain = ChatOpenAI(model=MODEL, **settings)
    routed = RoutedChatModel(policy={"models": [MODEL], "at_least": None}, **settings)
    free = RoutedChatModel(**settings, use_responses_api=False)
    for way, call in ways().items():
        for size, prompt, count in (("short", SHORT, pairs), ("100K tokens", LONG, max(20, pairs // 10))):
            for pool, model in (("one model", routed), ("default pool", free)):
                one, two = partial(call, plain, prompt), partial(call, model, prompt)
                yield f"{way}, {size}, {pool}", paired(one, two, count)


def import_seconds(module: str) -> float:
    """Return the seconds that a fresh interpreter takes to import a module, the best of seven."""
    code = f"import time; t = time.perf_counter(); import {module}; print(time.perf_counter() - t)"
    runs = [
        subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
        for _ in range(7)
    ]
    return min(float(run.stdout) for run in runs)


def main() -> None:
    """Print all figures."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--pairs", type=int, default=500, help="pairs of calls with the short prompt")
    pairs = parser.parse_args().pairs
    print(f"{'case':46} {'ratio':>6} {'ChatOpenAI':>11} {'added':>9}")
    with server() as url:
        for name, (ratio, base, extra) in cases(url, pairs):
            print(f"{name:46} {ratio:6.3f} {base:8.2f} ms {extra:6.0f} us")
    base, ours = import_seconds("langchain_openai"), import_seconds("langchain_routed")
    print(f"{'import, langchain_routed over langchain_openai':46} {ours / base:6.3f} {base * 1e3:8.0f} ms")


if __name__ == "__main__":
    main()
