"""Thirty-two callers at once for as long as is asked, a tenth of all requests failing in every way there is.

Both adapters, threads and tasks, whole answers, streams, tools and forms; streams that are abandoned and
calls that are cancelled; budgets on, booked in SQLite. What is asked of it: every call is answered or fails
with a typed error; no memory, thread, socket, task or reservation is left over; and the ledger's sum is the
simulator's bill, call by call. No network and no key::

    python -m benchmarks.recovery.soak 1200      # seconds; --pause is a caller's rest between two calls
"""

from __future__ import annotations

import argparse
import asyncio
import collections
import dataclasses
import gc
import multiprocessing
import os
import random
import re
import sys
import tempfile
import threading
import time
from datetime import date, datetime
from decimal import Decimal
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

import httpx
import openai

from benchmarks.recovery.callers import Cancelled, ChainCaller, IndexCaller
from routed_llm import Budget, RoutedError, Router, open_ledger, scoped
from routed_llm.simulator import Simulator, serve

TODAY = date(2026, 11, 22)
CALLERS = 32
SHARE = 0.10
FAULTS = (
    "429;seconds=0.2",
    "429;seconds=2",
    "429_no_headers;seconds=0.2",
    "tpm_too_large",
    "insufficient_quota",
    "500",
    "502_html",
    "503",
    "sse_error;after_chunks=0",
    "sse_error;after_chunks=4",
    "cut;after_chunks=0",
    "cut;after_chunks=4",
    "truncate;after_chunks=0",
    "truncate;after_chunks=4",
    "stall;seconds=0.3",
    "slow_first_token;seconds=0.3",
    "slow_chunks;seconds=0.01",
    "hang;seconds=5",
)
TIMEOUT = 4
LONG = 300
"""Seconds from which on memory must have settled after a third of the run."""
PICO = 10**12
BROKEN_OFF = ("abandoned", "aabandoned", "dropped", "adropped")
CALL = re.compile(r"\[call (\d+)\]")
TYPED = (RoutedError, openai.OpenAIError)
BUDGETS = (
    Budget(per_day=100),
    Budget(per_call=Decimal("0.05")),
    Budget(total=Decimal("0.01"), scope="guest"),
)


# --- the simulator, in a process of its own: its memory is not ours


@dataclasses.dataclass(slots=True)
class Billed:
    """What the simulator has of one call: the dollars of each request, and how many should not have been."""

    dollars: list[Decimal] = dataclasses.field(default_factory=list)
    retried: int = 0
    refused: int = 0


def simulate(pipe: Connection, seed: int) -> None:
    """Serve until told to stop; ``tally`` is answered with what each call came to."""
    with serve(at=TODAY, seed=seed) as sim:
        _warm(sim)
        for fault in FAULTS:
            sim.faults.add(f"{fault};times=0;share={SHARE / len(FAULTS):.6f}")
        pipe.send(sim.url)
        while pipe.recv() == "tally":
            calls: dict[int, Billed] = {}
            kinds: collections.Counter[str] = collections.Counter()
            for entry in sim.journal:
                found = CALL.search(str(entry.body))
                if found is None:
                    continue  # the first one, which warms it up
                one = calls.setdefault(int(found[1]), Billed())
                one.dollars.append(entry.dollars)
                one.retried += entry.retry > 0
                one.refused += entry.by == "rule"
                kinds[entry.fault or "none"] += 1
            pipe.send((calls, kinds))


def _warm(sim: Simulator) -> None:
    """Let it load its vocabulary before anybody waits for it."""
    body = {"model": "gpt-4o", "messages": [{"role": "user", "content": "Hi"}]}
    httpx.post(f"{sim.url}/chat/completions", json=body, headers={"authorization": "Bearer k"}, timeout=60)


# --- the callers


class Soak:
    """All callers, what they count, and what is left when they have gone."""

    def __init__(self, url: str, folder: Path, *, seconds: float, pause: float, seed: int) -> None:
        self.ledger = open_ledger(str(folder / "ledger.sqlite"))
        self.router = Router(ledger=self.ledger, budgets=BUDGETS, clock=lambda: NOON)
        self.chain = ChainCaller(url, self.router, timeout=TIMEOUT)
        self.index = IndexCaller(url, self.router, timeout=TIMEOUT)
        self.until = time.monotonic() + seconds
        self.pause = pause
        self.seed = seed
        self.outcomes: collections.Counter[str] = collections.Counter()
        self.untyped: list[str] = []
        self.whole: set[int] = set()
        """The calls that were answered in full."""
        self._next = iter(range(1, sys.maxsize))
        self._lock = threading.Lock()

    def number(self) -> int:
        """Give the next call its number."""
        with self._lock:
            return next(self._next)

    def note(self, number: int, way: str, error: BaseException | None) -> None:
        """Count how a call ended."""
        with self._lock:
            if error is None:
                if way not in BROKEN_OFF:
                    self.whole.add(number)
                self.outcomes[f"{way}: answered"] += 1
                return
            self.outcomes[f"{way}: {type(error).__name__}"] += 1
            if not isinstance(error, (*TYPED, Cancelled)) and not hasattr(error, "attempts"):
                self.untyped.append(f"call {number}, {way}: {error!r}")

    def thread(self, which: int) -> None:
        """Call until the time is over, from a thread."""
        chance = random.Random(f"{self.seed}/{which}")
        caller: Any = self.chain if which % 2 else self.index
        while time.monotonic() < self.until:
            way, number, tags = self._pick(caller.WAYS, chance)
            error: BaseException | None = None
            try:
                with scoped(**tags):
                    caller.call(way, number)
            except Exception as raised:  # noqa: BLE001  what is raised is the result
                error = raised
            self.note(number, way, error)
            time.sleep(self.pause * 2 * chance.random())

    async def task(self, which: int) -> None:
        """Call until the time is over, from a task."""
        chance = random.Random(f"{self.seed}/{which}")
        caller: Any = self.chain if which % 2 else self.index
        while time.monotonic() < self.until:
            way, number, tags = self._pick(caller.ASYNC_WAYS, chance)
            error: BaseException | None = None
            try:
                with scoped(**tags):
                    await caller.acall(way, number)
            except Exception as raised:  # noqa: BLE001  what is raised is the result
                error = raised
            self.note(number, way, error)
            await asyncio.sleep(self.pause * 2 * chance.random())

    def _pick(self, ways: tuple[str, ...], chance: random.Random) -> tuple[str, int, dict[str, str]]:
        number = self.number()
        tags = {"call": str(number)}
        if chance.random() < 0.03:
            tags["guest"] = "g"
        return chance.choice(ways), number, tags


NOON = datetime.fromisoformat("2026-11-22T12:00:00+00:00")


def resources() -> dict[str, int]:
    """Return what this process holds."""
    gc.collect()
    fds = list(Path("/proc/self/fd").iterdir())
    sockets = sum(fd.is_socket() for fd in fds)
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return {
        "memory_mb": pages * os.sysconf("SC_PAGE_SIZE") // 2**20,
        "threads": threading.active_count(),
        "sockets": sockets,
        "files": len(fds),
    }


def run(seconds: float, *, pause: float, seed: int, folder: Path) -> list[str]:
    """Soak for some seconds, print what came out, and return what is wrong."""
    context = multiprocessing.get_context("spawn")
    pipe, theirs = context.Pipe()
    process = context.Process(target=simulate, args=(theirs, seed), daemon=True)
    process.start()
    try:
        soak = Soak(pipe.recv(), folder, seconds=seconds, pause=pause, seed=seed)
        samples, left = _run(soak, seconds)
        pipe.send("tally")
        calls, kinds = pipe.recv()
        pipe.send("stop")
    finally:
        process.join(5)
        process.kill()
    wrong = [*_outcomes(soak, kinds), *_leaks(soak, samples, left), *_money(soak, calls)]
    soak.ledger.close()
    return wrong


def _run(soak: Soak, seconds: float) -> tuple[list[dict[str, int]], int]:
    """Let all callers run; return samples of what is held, and the tasks that are left at the end."""
    loop = asyncio.new_event_loop()
    runner = threading.Thread(target=loop.run_forever, name="loop")
    runner.start()
    half = CALLERS // 2
    threads = [threading.Thread(target=soak.thread, args=(which,)) for which in range(half)]
    tasks = [asyncio.run_coroutine_threadsafe(soak.task(which), loop) for which in range(half, CALLERS)]
    for thread in threads:
        thread.start()
    samples = []
    begun = time.monotonic()
    while time.monotonic() < soak.until:
        time.sleep(max(seconds / 10, 1))
        held = {"second": round(time.monotonic() - begun), **resources(), "given_up": _given_up(soak)}
        print(held, f"{sum(soak.outcomes.values())} calls", flush=True)
        samples.append(held)
    for thread in threads:
        thread.join(60)
    for task in tasks:
        task.result(60)
    left = asyncio.run_coroutine_threadsafe(_left(), loop).result(30)
    asyncio.run_coroutine_threadsafe(soak.index.close(), loop).result(30)
    asyncio.run_coroutine_threadsafe(soak.chain.close(), loop).result(30)
    asyncio.run_coroutine_threadsafe(loop.shutdown_default_executor(), loop).result(30)
    loop.call_soon_threadsafe(loop.stop)
    runner.join(30)
    loop.close()
    samples.append({"second": round(time.monotonic() - begun), **resources()})
    print("all callers gone, clients closed:", samples[-1])
    return samples, left


def _given_up(soak: Soak) -> int:
    """Count the connections of the clients whose calls are cancelled.

    The HTTP client loses some of those, whoever uses it (benchmarks/recovery/cancelled.py): they are counted
    apart from what the adapters could lose.
    """
    pools = [caller.given_up._transport._pool for caller in (soak.chain, soak.index)]
    return sum(len(pool.connections) for pool in pools)


async def _left() -> int:
    """Count the tasks besides this one, once what is still being closed had a moment."""
    await asyncio.sleep(1)
    return len(asyncio.all_tasks()) - 1


def _outcomes(soak: Soak, kinds: collections.Counter[str]) -> list[str]:
    total = sum(kinds.values())
    print(f"{sum(soak.outcomes.values())} calls, {total} requests, faults in {1 - kinds['none'] / total:.1%}")
    print("requests by fault:", dict(kinds.most_common()))
    print("calls by outcome:", dict(soak.outcomes.most_common()))
    never = [fault for fault in {one.split(";")[0] for one in FAULTS} if total > 5_000 and not kinds[fault]]
    return [*soak.untyped, *(f"the fault {fault} never struck" for fault in never)]


def _leaks(soak: Soak, samples: list[dict[str, int]], left: int) -> list[str]:
    wrong = []
    settled, last, end = samples[len(samples) // 3], samples[-2], samples[-1]
    grown = last["memory_mb"] - settled["memory_mb"]
    print(f"memory {settled['memory_mb']} MB after a third, {last['memory_mb']} MB at the end")
    # In a short run the two thirds of it still load and warm what a long one has long since.
    if last["second"] >= LONG and grown > max(20, settled["memory_mb"] // 10):
        wrong.append(f"memory grew by {grown} MB")
    if end["threads"] > 1:
        wrong.append(f"threads left: {[thread.name for thread in threading.enumerate()]}")
    if end["sockets"] > samples[0]["sockets"]:
        wrong.append(f"sockets left: {end['sockets']}")
    ours = [one["sockets"] - one["given_up"] for one in (settled, last)]
    print(f"sockets {ours[0]} after a third, {ours[1]} at the end, without those of cancelled calls")
    if ours[1] > ours[0] + CALLERS:
        wrong.append(f"sockets grew from {ours[0]} to {ours[1]}")
    if left:
        wrong.append(f"{left} tasks left")
    accounts = [a for b in BUDGETS for a in b.accounts({"guest": "g"}, None, NOON)]
    spent = collections.Counter[str]()
    for entry in soak.ledger.entries():
        spent[""] += entry.booked
        spent["guest=g"] += entry.booked if "guest" in entry.tags else 0
    held = [
        (account.scope, account.limit - spent[account.scope] - rest)
        for account, rest in zip(accounts, soak.ledger.remaining(accounts, at=NOON), strict=True)
    ]
    print("still reserved:", held)
    return wrong + [
        f"{amount} picodollars are still reserved for {name!r}" for name, amount in held if amount
    ]


def _money(soak: Soak, calls: dict[int, Billed]) -> list[str]:
    """Hold the ledger against the bill, call by call and request by request."""
    wrong = [f"call {n}: the SDK retried" for n, bill in calls.items() if bill.retried]
    wrong += [f"call {n}: the simulator refused a request" for n, bill in calls.items() if bill.refused]
    left = {number: list(bill.dollars) for number, bill in calls.items()}
    equal = reserved = 0
    settled, booked = Decimal(0), Decimal(0)
    for entry in soak.ledger.entries():
        number, cost = int(entry.tags["call"]), entry.dollars
        if cost is None:
            reserved += 1
            booked += Decimal(entry.booked) / PICO
        elif cost in left.get(number, ()):
            left[number].remove(cost)
            settled += cost
            equal += 1
        elif cost:
            wrong.append(f"call {number}: ${cost} is booked, the simulator has {calls.get(number)}")
    billed = sum((sum(bill.dollars) for bill in calls.values()), Decimal(0))
    unbooked = [n for n in soak.whole if len(left[n]) == len(calls[n].dollars)]
    wrong += [f"call {n}: answered, and nothing is booked" for n in unbooked]
    rest = [one for dollars in left.values() for one in dollars if one]
    print(f"billed ${billed}: {equal} requests are booked with just what they were billed, ${settled};")
    print(f"${sum(rest)} is for {len(rest)} answers that broke off before their usage came;")
    print(f"for {reserved} of them tokens had come, and what was reserved is booked, ${booked}")
    return wrong


def main(arguments: list[str] | None = None) -> int:
    """Soak; 1 when something is wrong."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("seconds", type=float, nargs="?", default=30)
    parser.add_argument("--pause", type=float, default=0.4)
    parser.add_argument("--seed", type=int, default=1)
    chosen = parser.parse_args(arguments)
    with tempfile.TemporaryDirectory() as folder:
        wrong = run(chosen.seconds, pause=chosen.pause, seed=chosen.seed, folder=Path(folder))
    print(*wrong[:40], sep="\n")
    print("nothing wrong" if not wrong else f"{len(wrong)} things are wrong")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
