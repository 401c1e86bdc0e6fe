"""What a gateway adds to a call: `routed serve` against litellm's proxy, on the same upstream.

The upstream answers after a millisecond, in a process of its own; each proxy runs with one worker. Rounds
alternate between the upstream itself and the proxies behind it, with so many connections as are asked for,
each of which asks again as soon as it has its answer. Reported are the median time of a call above the direct
one's, the CPU time of the proxy per call, which says more on a busy machine, and the same for the first
token of a stream.

Usage: python -m benchmarks.client.proxies [--litellm PATH] [--calls N] [--memory N]

PATH is litellm's command, of an environment of its own: pip install 'litellm[proxy]'.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import socket
import statistics
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

from benchmarks.langchain.overhead import ANSWER, MODEL, SHORT, events

TAKES = 0.001
TICKS = os.sysconf("SC_CLK_TCK")
PAGE = os.sysconf("SC_PAGE_SIZE")
CONFIG = """
model_list:
  - model_name: {model}
    litellm_params: {{model: openai/{model}, api_base: "{upstream}", api_key: local}}
litellm_settings: {{telemetry: false}}
"""


class Upstream(asyncio.Protocol):
    """Answers every request with a fixed body, a millisecond later."""

    whole, streamed = json.dumps(ANSWER).encode(), events()

    def connection_made(self, transport: Any) -> None:
        """Begin."""
        self._transport, self._came = transport, b""

    def data_received(self, data: bytes) -> None:
        """Answer when a request is complete."""
        self._came += data
        head, ends, body = self._came.partition(b"\r\n\r\n")
        length = next(
            (line for line in head.lower().split(b"\r\n") if line.startswith(b"content-length")), b":0"
        )
        if not ends or len(body) < int(length.partition(b":")[2]):
            return
        self._came = b""
        stream = b'"stream":true' in body or b'"stream": true' in body
        kind, answer = (b"text/event-stream", self.streamed) if stream else (b"application/json", self.whole)
        head = b"HTTP/1.1 200 OK\r\ncontent-type: %b\r\ncontent-length: %d\r\n\r\n" % (kind, len(answer))
        asyncio.get_running_loop().call_later(TAKES, self._transport.write, head + answer)


def free() -> int:
    """Return a free port."""
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        return int(found.getsockname()[1])


async def serve(port: int) -> None:
    """Be the upstream."""
    server = await asyncio.get_running_loop().create_server(Upstream, "127.0.0.1", port, backlog=1024)
    await server.serve_forever()


@contextmanager
def process(command: list[str], url: str, **environment: str) -> Iterator[int]:
    """Run a server until it is left, and give its process id once it answers."""
    log = tempfile.TemporaryFile()  # noqa: SIM115 - closed with the process
    around = {**os.environ, **environment}
    running = subprocess.Popen(command, env=around, stdout=log, stderr=log)
    try:
        end = time.monotonic() + 300
        while not answers(url):
            if running.poll() is not None or time.monotonic() > end:
                log.seek(0)
                raise SystemExit(f"{command[0]} does not answer: {log.read()[-2000:].decode()}")
            time.sleep(0.2)
        yield running.pid
    finally:
        running.terminate()
        running.wait(60)
        log.close()


def answers(url: str) -> bool:
    """Say whether a server serves a call."""
    body = json.dumps({"model": MODEL, "messages": [{"role": "user", "content": "Hi"}]}).encode()
    asked = urllib.request.Request(
        url, body, {"content-type": "application/json", "authorization": "Bearer x"}
    )
    try:
        with urllib.request.urlopen(asked, timeout=10) as answer:
            return bool(answer.status == 200)
    except OSError:
        return False


def cpu(pid: int) -> float:
    """Return the CPU seconds that a process has used."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / TICKS


def resident(pid: int) -> float:
    """Return the megabytes that a process holds."""
    return int(Path(f"/proc/{pid}/statm").read_text().split()[1]) * PAGE / 2**20


async def load(port: int, connections: int, calls: int, *, stream: bool) -> list[float]:
    """Return the seconds of calls: of the whole, or to the first token."""
    asked: dict[str, Any] = {"model": MODEL, "messages": [{"role": "user", "content": SHORT}]}
    body = json.dumps({**asked, "stream": True} if stream else asked).encode()
    sent = (
        b"POST /v1/chat/completions HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: application/json\r\n"
        b"Authorization: Bearer x\r\nContent-Length: %d\r\n\r\n%b" % (len(body), body)
    )
    times: list[float] = []
    left = calls

    async def one() -> None:
        nonlocal left
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        while left > 0:
            left -= 1
            start = time.perf_counter()
            writer.write(sent)
            head = (await reader.readuntil(b"\r\n\r\n")).lower()
            if not head.startswith(b"http/1.1 200"):
                raise SystemExit(f"refused: {head!r}")
            if stream:
                await reader.readuntil(b"Hello")
                times.append(time.perf_counter() - start)
            if b"\r\ncontent-length: " in head:
                rest = int(head.partition(b"\r\ncontent-length: ")[2].split(b"\r\n")[0])
                await (reader.readuntil(b"[DONE]\n\n") if stream else reader.readexactly(rest))
            else:
                await reader.readuntil(b"0\r\n\r\n")
            if not stream:
                times.append(time.perf_counter() - start)
        writer.close()

    await asyncio.gather(*(one() for _ in range(connections)))
    return times


def compare(
    ports: dict[str, int], pids: dict[str, int], connections: int, calls: int, *, stream: bool
) -> str:
    """Return a line on one number of connections."""
    times: dict[str, list[float]] = {name: [] for name in ports}
    used = dict.fromkeys(pids, 0.0)
    for turn in range(4):
        for name in list(ports) if turn % 2 else reversed(list(ports)):
            before = cpu(pids[name])
            found = asyncio.run(load(ports[name], connections, calls // 4, stream=stream))
            times[name] += found if turn else []  # the first warms up
            used[name] += (cpu(pids[name]) - before) if turn else 0
    middle = {name: statistics.median(found) * 1e3 for name, found in times.items()}
    cells = [f"{connections:>4} connections, {'first token' if stream else 'whole':11}"]
    cells += [f"direct {middle['direct']:7.2f} ms"]
    for name in list(ports)[1:]:
        added, each = middle[name] - middle["direct"], used[name] / len(times[name]) * 1e3
        cells.append(f"{name} adds {added:8.2f} ms, {each:6.2f} ms of CPU")
    if "litellm" in ports:
        share = (middle["routed"] - middle["direct"]) / (middle["litellm"] - middle["direct"])
        work = used["routed"] / used["litellm"]
        cells.append(f"ratio {share:.3f}, of CPU {work:.3f}")
    return " | ".join(cells)


def main() -> None:
    """Print all figures."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--litellm", metavar="PATH", help="litellm's command; left out without it")
    parser.add_argument("--calls", type=int, default=2000, help="calls for each figure")
    parser.add_argument("--memory", type=int, default=0, help="calls after which memory is looked at")
    parser.add_argument("--upstream", type=int, help="be the upstream, at this port")
    chosen = parser.parse_args()
    if chosen.upstream:
        asyncio.run(serve(chosen.upstream))
        return
    with ExitStack() as stack:
        ports, pids = {"direct": free()}, {}
        upstream = f"http://127.0.0.1:{ports['direct']}/v1"
        command = [sys.executable, "-m", "benchmarks.client.proxies", "--upstream", str(ports["direct"])]
        pids["direct"] = stack.enter_context(process(command, f"{upstream}/chat/completions"))
        ports["routed"] = free()
        command = [str(Path(sys.executable).parent / "routed"), "serve", "--port", str(ports["routed"])]
        there = f"http://127.0.0.1:{ports['routed']}/v1/chat/completions"
        about = {"OPENAI_BASE_URL": upstream, "OPENAI_API_KEY": "local"}
        pids["routed"] = stack.enter_context(process(command, there, **about))
        if chosen.litellm:
            ports["litellm"] = free()
            folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
            (folder / "config.yaml").write_text(CONFIG.format(model=MODEL, upstream=upstream))
            command = [chosen.litellm, "--config", str(folder / "config.yaml"), "--host", "127.0.0.1"]
            command += ["--port", str(ports["litellm"]), "--num_workers", "1"]
            there = f"http://127.0.0.1:{ports['litellm']}/v1/chat/completions"
            # Neither of the two asks for keys here.
            open_door = {"LITELLM_DANGEROUSLY_PERMIT_WEAK_OR_UNSET_MASTER_KEY": "true"}
            pids["litellm"] = stack.enter_context(process(command, there, **open_door))
        for stream in (False, True):
            for connections in (1, 32, 256):
                calls = max(chosen.calls, connections * 8)
                print(compare(ports, pids, connections, calls, stream=stream), flush=True)
        if chosen.memory:
            asyncio.run(load(ports["routed"], 32, min(5000, chosen.memory), stream=False))
            before = resident(pids["routed"])
            for stream in (False, True):
                asyncio.run(load(ports["routed"], 32, chosen.memory // 2, stream=stream))
            after = resident(pids["routed"])
            print(f"memory: {before:.1f} MB, {after:.1f} MB after {chosen.memory} further ones, half streams")


if __name__ == "__main__":
    main()
