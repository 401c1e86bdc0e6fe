"""What routing adds to a call: RoutedChatModel against ChatOpenAI, paired, on one loopback server.

The server runs in a process of its own and answers at once with a fixed body, so that what is measured is
the client. Each pair makes the two calls back to back, in alternating order; the figure is the median of the
pairs' ratios, of elapsed time and of this process's CPU time. Both sides make the same call: ChatOpenAI has
the model, effort and endpoint that routing chooses, be it from one model or from the default pool. A second
table has what of it is the decision. Nothing here fails on a slow machine: it prints ratios.

Usage: python -m benchmarks.langchain.overhead [--pairs N] [--serve]
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import statistics
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from itertools import cycle
from typing import Any, NamedTuple

USED = {"prompt_tokens": 9, "completion_tokens": 3, "total_tokens": 12}
ANSWER = {
    "id": "chatcmpl-1",
    "object": "chat.completion",
    "created": 1,
    "model": "gpt-4.1-2025-04-14",
    "choices": [
        {"index": 0, "finish_reason": "stop", "message": {"role": "assistant", "content": "Hello there."}}
    ],
    "usage": USED,
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
    takes = 0.0

    def do_POST(self) -> None:
        """Read the request and answer it."""
        body = self.rfile.read(int(self.headers["Content-Length"]))
        stream = b'"stream":true' in body[-300:] or b'"stream":true' in body[:300]
        answer = self.streamed if stream else self.whole
        time.sleep(self.takes)
        self.send_response(200)
        self.send_header("Content-Type", "text/event-stream" if stream else "application/json")
        self.send_header("Content-Length", str(len(answer)))
        self.end_headers()
        self.wfile.write(answer)
        self.wfile.flush()

    def log_message(self, *_: Any) -> None:
        """Say nothing."""


def serve(takes: float) -> None:
    """Serve on a free port of 127.0.0.1, print it, and go on until the parent closes the pipe."""
    Handler.takes = takes
    running = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    running.daemon_threads = True
    threading.Thread(target=running.serve_forever, daemon=True).start()
    print(running.server_port, flush=True)
    sys.stdin.read()
    running.shutdown()


@contextmanager
def server(takes: float = 0.0) -> Iterator[str]:
    """Run the server, which takes so many seconds to answer, in a process of its own; give the base URL."""
    command = [sys.executable, __file__, "--serve", str(takes)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as running:
        assert running.stdin is not None
        assert running.stdout is not None
        try:
            yield f"http://127.0.0.1:{int(running.stdout.readline())}/v1"
        finally:
            running.stdin.close()


class Figures(NamedTuple):
    """What pairs of calls show.

    Attributes:
        ratio: median ratio of the second to the first, of elapsed time.
        cpu: the same of this process's CPU time.
        base: median milliseconds of the first.
        added: median difference in microseconds.
    """

    ratio: float
    cpu: float
    base: float
    added: float


def timed(call: Callable[[], Any]) -> tuple[float, float]:
    """Return elapsed and CPU seconds of a call; a stream that it leaves open is read on afterwards."""
    cpu, start = time.process_time(), time.perf_counter()
    rest = call()
    seconds, worked = time.perf_counter() - start, time.process_time() - cpu
    if callable(rest):
        rest()
    return seconds, worked


def paired(first: Callable[[], Any], second: Callable[[], Any], pairs: int) -> Figures:
    """Time pairs of calls in alternating order."""
    for _ in range(20):
        timed(first)
        timed(second)
    ratios, worked, base, extra = [], [], [], []
    for number in range(pairs):
        if number % 2:
            two, one = timed(second), timed(first)
        else:
            one, two = timed(first), timed(second)
        ratios.append(two[0] / one[0])
        worked.append(two[1] / one[1])
        base.append(one[0])
        extra.append(two[0] - one[0])
    middle = statistics.median
    return Figures(middle(ratios), middle(worked), middle(base) * 1e3, middle(extra) * 1e6)


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


def cases(url: str, pairs: int) -> Iterator[tuple[str, Figures]]:
    """Yield every case with its figures."""
    from langchain_openai import ChatOpenAI
    from langchain_routed import RoutedChatModel

    from routed_llm import Router

    settings: dict[str, Any] = {"base_url": url, "api_key": "local", "stream_usage": True}
    pools: dict[str, dict[str, Any]] = {
        "one model": {"policy": {"models": [MODEL], "at_least": None}},
        "default pool": {"use_responses_api": False},
    }
    for way, call in ways().items():
        for size, prompt, count in (("short", SHORT, pairs), ("100K tokens", LONG, max(20, pairs // 10))):
            for pool, own in pools.items():
                routed = RoutedChatModel(**settings, **own, router=Router())
                chosen = routed.explain(prompt, stream="token" in way).call
                assert chosen is not None
                same = {"model": chosen.model, "reasoning_effort": chosen.effort, "use_responses_api": False}
                plain = ChatOpenAI(**settings, **same)
                one, two = partial(call, plain, prompt), partial(call, routed, prompt)
                yield f"{way}, {size}, {pool}", paired(one, two, count)


def decisions(pairs: int) -> Iterator[tuple[str, float]]:
    """Yield the microseconds of the parts of a routed call, run alone."""
    from langchain_core.messages import HumanMessage
    from langchain_routed import RoutedChatModel

    model = RoutedChatModel(api_key="local", use_responses_api=False)
    planner, messages = model._own_planner(), [HumanMessage(SHORT)]

    def read() -> Any:
        return planner.read(messages, None, {}, stream=False)

    asked, plans = read(), cycle([read().decide(None), read().decide(None)])
    steps: dict[str, Callable[[], Any]] = {
        "reading the request": read,
        "deciding": lambda: planner.router.decide(asked.request, asked.options),
        "deciding, with the record": lambda: planner.router.decide(asked.request, asked.options).record(),
        "making the plan": lambda: asked.prepare(next(plans)),
    }
    for name, step in steps.items():
        step()
        yield name, min(timed(step)[1] for _ in range(max(pairs, 100))) * 1e6


def import_seconds(module: str) -> float:
    """Return the seconds of the processor that a fresh interpreter takes to import a module, at best.

    What is installed is compiled already, and so is what is compared here: the first run sees to that.
    """
    code = f"import time; t = time.process_time(); import {module}; print(time.process_time() - t)"
    about = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}
    runs = [
        subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, env=about)
        for _ in range(7)
    ]
    return min(float(run.stdout) for run in runs)


def main() -> None:
    """Print all figures."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--pairs", type=int, default=500, help="pairs of calls with the short prompt")
    parser.add_argument("--serve", type=float, metavar="SECONDS", help="be the server")
    chosen = parser.parse_args()
    if chosen.serve is not None:
        serve(chosen.serve)
        return
    print(f"{'case':46} {'ratio':>6} {'of CPU':>6} {'ChatOpenAI':>11} {'added':>9}")
    with server() as url:
        for name, found in cases(url, chosen.pairs):
            print(
                f"{name:46} {found.ratio:6.3f} {found.cpu:6.3f} {found.base:8.2f} ms {found.added:6.0f} us",
                flush=True,
            )
    print()
    for name, micros in decisions(chosen.pairs):
        print(f"{name:46} {micros:31.1f} us of CPU, at best")
    base, ours = import_seconds("langchain_openai"), import_seconds("langchain_routed")
    print(f"{'import, langchain_routed over langchain_openai':46} {ours / base:6.3f} {base * 1e3:15.0f} ms")


if __name__ == "__main__":
    main()
