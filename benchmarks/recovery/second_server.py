"""The same clients against a second, independent chaos server, beside the simulator: what differed.

The server is llmock 0.2.2 (PyPI; by others, and knowing nothing of this package). It is not among the
development dependencies; install it anywhere, and say where::

    python -m venv /tmp/llmock && /tmp/llmock/bin/pip install llmock==0.2.2
    python -m benchmarks.recovery.second_server /tmp/llmock/bin/llmock
"""

from __future__ import annotations

import asyncio
import contextlib
import shutil
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from datetime import date
from typing import Any

import httpx
from langchain_routed import RoutedChatModel
from llama_index.core.llms import ChatMessage
from llama_index.llms.routed import RoutedLLM

from routed_llm import Router
from routed_llm.simulator import Simulator, serve

TODAY = date(2026, 11, 22)
LOOP = asyncio.new_event_loop()

# name, what llmock is told, what the simulator is told
FAULTS: tuple[tuple[str, dict[str, Any], str], ...] = (
    ("rate_limit, 0.1 s", {"type": "fail", "status": 429, "retry_after": 0.1}, "429;seconds=0.1"),
    ("rate_limit, 5 s", {"type": "fail", "status": 429, "retry_after": 5.0}, "429;seconds=5"),
    ("500", {"type": "fail", "status": 500}, "500"),
    ("503", {"type": "fail", "status": 503}, "503"),
    ("disconnect at once", {"kind": "disconnect", "after_chunks": 0}, "cut;after_chunks=0"),
    ("disconnect later", {"kind": "disconnect", "after_chunks": 5}, "cut;after_chunks=5"),
    ("truncate at once", {"kind": "truncate", "after_chunks": 0}, "truncate;after_chunks=0"),
    ("truncate later", {"kind": "truncate", "after_chunks": 5}, "truncate;after_chunks=5"),
    (
        "stall over the timeout",
        {"kind": "stall", "after_chunks": 0, "stall_seconds": 4.0},
        "stall;after_chunks=0;seconds=4",
    ),
    ("slow_first_token", {"type": "slow_first_token", "seconds": 0.3}, "slow_first_token;seconds=0.3"),
    ("malformed at once", {"kind": "malformed", "after_chunks": 0}, ""),
    ("malformed later", {"kind": "malformed", "after_chunks": 5}, ""),
)
ASK = "Say one two three four five six seven eight nine ten eleven twelve"


async def _sum(chunks: Any) -> None:
    async for _ in chunks:
        pass


async def _asum(stream: Any) -> None:
    await _sum(await stream)


def callers(url: str) -> dict[str, Callable[[], Any]]:
    """Return the clients and ways that are compared."""
    router = Router(clock=lambda: TODAY)
    common: dict[str, Any] = {"api_key": "k", "router": router, "timeout": 1.5, "max_retries": 2}
    chain = RoutedChatModel(base_url=url, **common)
    index = RoutedLLM(api_base=url, **common)
    asked = [ChatMessage(ASK)]
    return {
        "invoke": lambda: chain.invoke(ASK),
        "stream": lambda: list(chain.stream(ASK)),
        "astream": lambda: LOOP.run_until_complete(_sum(chain.astream(ASK))),
        "chat": lambda: index.chat(asked),
        "stream_chat": lambda: list(index.stream_chat(asked)),
        "astream_chat": lambda: LOOP.run_until_complete(_asum(index.astream_chat(asked))),
    }


@contextlib.contextmanager
def llmock(program: str) -> Iterator[str]:
    """Run the other server on loopback."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    command = [program, "serve", "--host", "127.0.0.1", "--port", str(port), "--log-level", "error"]
    server = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    url = f"http://127.0.0.1:{port}"
    try:
        for _ in range(200):
            with contextlib.suppress(httpx.TransportError):
                httpx.get(f"{url}/_llmock/requests")
                break
            time.sleep(0.1)
        yield url
    finally:
        server.terminate()
        server.wait(10)


def outcome(call: Callable[[], Any]) -> str:
    """Make a call and say how it ended."""
    try:
        call()
    except Exception as error:  # noqa: BLE001  what is raised is the result
        return type(error).__name__
    return "answered"


def there(url: str, way: str, behavior: dict[str, Any]) -> tuple[str, str]:
    """Return what came of a fault on llmock, the requests it counted, and its verdict on the client.

    Its verdict looks for another request to the same model: a call that went on to another one it takes
    for given up, and a stream that was refused as unfinished for one that was accepted.
    """
    httpx.post(f"{url}/_llmock/reset")
    call = callers(f"{url}/v1")[way]
    httpx.post(f"{url}/_llmock/scenario", json={"behaviors": [{"type": "stream_fault", **behavior}]})
    found = outcome(call)
    sent = httpx.get(f"{url}/_llmock/requests", timeout=10).json()["count"]
    verdict = httpx.get(f"{url}/_llmock/verdict", timeout=10).json()
    blamed = [one.get("rule", one.get("code", "?")) for one in verdict.get("findings", ())]
    return f"{found}, {sent}", ", ".join(map(str, blamed))


def here(sim: Simulator, way: str, fault: str) -> str:
    """Return what came of the same fault on the simulator."""
    if not fault:
        return ""
    sim.reset()
    call = callers(sim.url)[way]
    sim.faults.add(fault)
    return f"{outcome(call)}, {len(sim.journal)}"


def main() -> None:
    """Print the table and how much of it is equal."""
    program = sys.argv[1] if len(sys.argv) > 1 else shutil.which("llmock")
    if program is None:
        print(f"llmock is not installed, so there is nothing to compare with.\n\n{__doc__}")
        return
    equal, rows = 0, 0
    print("| fault | way | llmock | simulator | | its verdict |\n| --- | --- | --- | --- | --- | --- |")
    with llmock(program) as url, serve(at=TODAY) as sim:
        callers(sim.url)["invoke"]()  # the server loads its vocabulary once
        for name, behavior, fault in FAULTS:
            for way in callers(sim.url):
                if behavior.get("type") != "fail" and way in ("invoke", "chat"):
                    continue  # llmock breaks streams only
                (theirs, verdict), ours = there(url, way, behavior), here(sim, way, fault)
                rows += bool(fault)
                equal += bool(fault) and theirs == ours
                differs = "" if theirs == ours or not fault else "differs"
                print(f"| {name} | {way} | {theirs} | {ours} | {differs} | {verdict} |", flush=True)
    print(f"{equal} of {rows} rows are equal")


if __name__ == "__main__":
    main()
