"""What becomes of the books when things break under a gateway: the ledger's sum against the provider's bill.

The provider is the simulator, which bills what it was sent. Each case runs `routed serve` as a process of its
own, lets clients call it while something breaks, and reports what they saw, what was booked and what was
billed. A case raises where a request was billed that the books do not have, where money was billed that they
do not have (but for what estimates of calls in a killed process were off), or where a client got no answer.

Usage: python -m benchmarks.client.trouble [--calls N] [--only WORD]
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import resource
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path

import httpx

from routed_llm.ledger import open_ledger
from routed_llm.ledger.base import Entry
from routed_llm.simulator import Simulator, serve

BODY = {"model": "gpt-4o", "messages": [{"role": "user", "content": "What is a tide?"}]}
TIMEOUT = 60.0
PICO = 10**12


@dataclass
class Outcome:
    """What a case came to.

    Attributes:
        name: of the case.
        seen: what clients saw, by status or class of error.
        booked: dollars in the ledger.
        billed: dollars that the provider bills.
        requests: those that the provider bills.
        entries: those that the ledger has.
        unknown: entries that are booked at an estimate, since no answer was seen.
        note: what else is worth saying.
    """

    name: str
    seen: Counter[str] = field(default_factory=Counter)
    booked: float = 0.0
    billed: float = 0.0
    requests: int = 0
    entries: int = 0
    unknown: int = 0
    note: str = ""

    def __str__(self) -> str:
        """Write a line."""
        seen = ", ".join(f"{name} {count}" for name, count in sorted(self.seen.items()))
        books = f"{self.entries} entries ({self.unknown} unknown), {self.requests} requests"
        money = f"booked ${self.booked:.6f}, billed ${self.billed:.6f}"
        return f"{self.name:26} {money}; {books}; {seen}; {self.note}"

    def check(self, dearest: float) -> None:
        """Raise where something is not in the books, or hung.

        Args:
            dearest: what a single call may have cost.
        """
        if self.entries < self.requests:
            raise AssertionError(f"{self}: {self.requests - self.entries} requests were billed, not booked")
        missing = self.billed - self.booked
        if missing > self.unknown * dearest + 1e-9:
            raise AssertionError(f"{self}: ${missing:.6f} were billed and not booked")
        if self.seen["ReadTimeout"]:
            raise AssertionError(f"{self}: a call hung")


@contextmanager
def gateway(sim: Simulator, ledger: str, *options: str, blocks: int = 0) -> Iterator[tuple[str, int]]:
    """Run `routed serve` and give its base URL and process id.

    Args:
        sim: the provider.
        ledger: where calls are booked.
        options: further ones of the command.
        blocks: the largest file that it may write, in KB; 0 for any.
    """
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    command = [str(Path(sys.executable).parent / "routed"), "serve", "--port", str(port)]
    command += ["--ledger", ledger, *options]
    if blocks:
        command = ["bash", "-c", f'ulimit -S -f {blocks}; exec "$@"', "bash", *command]
    environment = {**os.environ, "OPENAI_BASE_URL": sim.url, "OPENAI_API_KEY": "sk-up"}
    log = tempfile.TemporaryFile()  # noqa: SIM115 - closed with the process
    process = subprocess.Popen(command, env=environment, stdout=log, stderr=log)
    try:
        until(lambda: answers(f"http://127.0.0.1:{port}/health"), 240)
        yield f"http://127.0.0.1:{port}/v1", process.pid
    finally:
        process.send_signal(signal.SIGTERM)
        process.wait(60)
        log.close()


def answers(url: str) -> bool:
    """Say whether something answers."""
    try:
        return httpx.get(url, timeout=5).status_code < 500
    except httpx.TransportError:
        return False


def until(true: Callable[[], bool], seconds: float = 300) -> None:
    """Wait until something has happened."""
    end = time.monotonic() + seconds
    while not true():
        if time.monotonic() > end:
            raise AssertionError("nothing happened in time")
        time.sleep(0.05)


def ask(url: str, seen: Counter[str], *, stream: bool = False) -> None:
    """Make a call and note what came of it."""
    try:
        answer = httpx.post(f"{url}/chat/completions", json={**BODY, "stream": stream}, timeout=TIMEOUT)
    except httpx.TransportError as error:
        seen[type(error).__name__] += 1
        return
    ends = "" if not stream or answer.text.endswith("data: [DONE]\n\n") else " cut"
    code = "" if answer.status_code == 200 else f" {answer.json()['error']['code']}"
    seen[f"{answer.status_code}{code}{ends}"] += 1


def many(url: str, seen: Counter[str], calls: int, threads: int = 8) -> None:
    """Make calls from several threads, half of them streamed."""
    with ThreadPoolExecutor(threads) as pool:
        list(pool.map(lambda number: ask(url, seen, stream=bool(number % 2)), range(calls)))


def entries(ledger: str) -> list[Entry]:
    """Return what a ledger has."""
    opened = open_ledger(ledger)
    try:
        return list(opened.entries())
    finally:
        opened.close()


def booked(ledger: str) -> float:
    """Return what a ledger has, in dollars."""
    return sum(entry.booked for entry in entries(ledger)) / PICO


def children(pid: int) -> list[int]:
    """Return the workers of a gateway."""
    found = []
    for one in Path(f"/proc/{pid}/task/{pid}/children").read_text().split():
        with suppress(OSError):  # it may have ended since
            if "spawn_main" in Path(f"/proc/{one}/cmdline").read_text():
                found.append(int(one))
    return found


def killed(sim: Simulator, folder: Path, calls: int) -> Outcome:
    """Let kill -9 end workers, again and again, while others call."""
    found, ledger = Outcome("kill -9 of a worker"), str(folder / "ledger.db")
    sim.faults.add("slow_chunks;seconds=0.002")
    with gateway(sim, ledger, "--workers", "2") as (url, pid):
        calling = threading.Thread(target=many, args=(url, found.seen, calls))
        calling.start()
        kills = 0
        while calling.is_alive() and kills < max(1, calls // 100):
            workers = children(pid)
            if len(workers) == 2 and sum(found.seen.values()) > (kills + 1) * calls // (calls // 100 + 2):
                os.kill(workers[kills % 2], signal.SIGKILL)
                kills += 1
            time.sleep(0.02)
        calling.join()
        until(lambda: len(children(pid)) == 2)
        ask(url, found.seen)
    # A worker that was to take a dead one's place may have been stopped before it had looked for its calls.
    with gateway(sim, ledger):
        pass
    found.note = f"{kills} kills"
    return closed(found, sim, ledger)


def full(sim: Simulator, folder: Path, calls: int) -> Outcome:
    """Let the disk be full while calls are made, and have room again later."""
    found, ledger = Outcome("a full disk"), folder / "ledger.db"
    with gateway(sim, str(ledger), blocks=200) as (url, pid):
        many(url, found.seen, calls)
        missing = float(sim.billed) - booked(str(ledger))
        found.note = f"${missing:.6f} were not written while it was full"
        resource.prlimit(pid, resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
        many(url, found.seen, calls)
    return closed(found, sim, str(ledger))


def redis_away(sim: Simulator, folder: Path, calls: int) -> Outcome:
    """Redis goes away while calls are made, and comes back."""
    found = Outcome("Redis away")
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    command = ["redis-server", "--port", str(port), "--dir", str(folder), "--appendonly", "yes"]
    command += ["--appendfsync", "always", "--save", ""]

    def start() -> subprocess.Popen[bytes]:
        running = subprocess.Popen(command, stdout=subprocess.DEVNULL)
        until(lambda: reached(port))
        return running

    sim.faults.add("slow_chunks;seconds=0.005")
    redis = start()
    ledger = f"redis://127.0.0.1:{port}/0"
    try:
        with gateway(sim, ledger) as (url, _):
            many(url, found.seen, calls)
            calling = threading.Thread(target=many, args=(url, found.seen, calls))
            calling.start()
            until(lambda: sum(found.seen.values()) > calls * 1.3)
            redis.kill()
            redis.wait()
            calling.join()
            redis = start()
            until(lambda: answers(f"{url.removesuffix('/v1')}/health"))
            many(url, found.seen, calls)
        return closed(found, sim, ledger)
    finally:
        redis.kill()
        redis.wait()


def reached(port: int) -> bool:
    """Say whether something listens."""
    with socket.socket() as trial:
        return trial.connect_ex(("127.0.0.1", port)) == 0


def leaving(sim: Simulator, folder: Path, calls: int) -> Outcome:
    """Clients that leave in the middle of their streams, all at the same time."""
    found, ledger = Outcome(f"{calls} clients leave"), str(folder / "ledger.db")
    sim.faults.add("slow_chunks;seconds=0.01")
    body = json.dumps({**BODY, "stream": True}).encode()
    with gateway(sim, ledger) as (url, _):
        port = int(url.rpartition(":")[2].partition("/")[0])

        async def one() -> None:
            reader, writer = await asyncio.open_connection("127.0.0.1", port)
            writer.write(
                b"POST /v1/chat/completions HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"
                b"Content-Length: %d\r\n\r\n%b" % (len(body), body)
            )
            async with asyncio.timeout(5 * TIMEOUT):
                head = await reader.readuntil(b"\r\n\r\n")
                await reader.readuntil(b'"content":"')
            found.seen[head.split(b" ")[1].decode() + ", left"] += 1
            writer.transport.abort()

        async def all_of_them() -> None:
            await asyncio.gather(*(one() for _ in range(calls)))

        asyncio.run(all_of_them())
        until(lambda: running(url) == 0, 300)
        found.note = "none under way"
    return closed(found, sim, ledger)


def running(url: str) -> float:
    """Return how many calls a gateway has under way."""
    page = httpx.get(f"{url.removesuffix('/v1')}/metrics", timeout=TIMEOUT).text
    line = next(line for line in page.splitlines() if line.startswith("routed_running"))
    return float(line.rpartition(" ")[2])


def closed(found: Outcome, sim: Simulator, ledger: str) -> Outcome:
    """Compare the books with the bill."""
    kept = entries(ledger)
    found.booked, found.billed = sum(entry.booked for entry in kept) / PICO, float(sim.billed)
    found.entries, found.unknown = len(kept), sum(entry.outcome == "unknown" for entry in kept)
    billed = [float(entry.dollars) for entry in sim.journal if entry.dollars]
    found.requests, dearest = len(billed), max(billed, default=0.0)
    found.check(dearest)
    return found


CASES: dict[str, Callable[[Simulator, Path, int], Outcome]] = {
    "killed": killed,
    "full": full,
    "redis": redis_away,
    "leaving": leaving,
}


def run(name: str, calls: int) -> Outcome | None:
    """Run a case, or return None where what it needs is not installed."""
    if name == "redis" and shutil.which("redis-server") is None:
        return None
    with serve() as sim, tempfile.TemporaryDirectory() as folder:
        return CASES[name](sim, Path(folder), calls)


def main() -> None:
    """Run every case and print what it came to."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--calls", type=int, default=1000, help="calls of each case")
    parser.add_argument("--only", default="", help="cases with this in their name")
    chosen = parser.parse_args()
    for name in CASES:
        if chosen.only in name:
            print(run(name, chosen.calls) or f"{name}: redis-server is not installed", flush=True)


if __name__ == "__main__":
    main()
