"""What reserving and settling cost, in memory, on SQLite and on Redis, beside a call on loopback.

    python -m benchmarks.money.ledgers

Redis is measured where a redis-server is installed; it is started on 127.0.0.1 and stopped again.
"""

from __future__ import annotations

import shutil
import socket
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, date, datetime
from pathlib import Path

import httpx

from routed_llm import Budget, Entry, Ledger, MemoryLedger, Router, Usage, open_ledger, read_openai
from routed_llm.ledger import Hold, SQLiteLedger, new_id
from routed_llm.simulator import serve

AT = datetime(2026, 11, 22, 12, tzinfo=UTC)
ONE = Budget(per_day=1_000_000).accounts({}, None, AT)
THREE = tuple(
    account
    for budget in (Budget(per_day=999, scope="user"), Budget(per_day=999, scope="team"), Budget(total=999))
    for account in budget.accounts({"user": "ann", "team": "search"}, None, AT)
)  # fmt: skip


def best(do: Callable[[], object], number: int, repeat: int = 15) -> float:
    """Return microseconds of processor and waiting time, the best of some runs."""
    times = []
    for _ in range(repeat):
        begin = time.perf_counter()
        for _ in range(number):
            do()
        times.append((time.perf_counter() - begin) / number)
    return min(times) * 1e6


def cycle(ledger: Ledger, accounts: tuple[object, ...]) -> Callable[[], None]:
    """Make one reserve and settle."""

    def do() -> None:
        hold = ledger.reserve(new_id(), 1_000, accounts, at=AT)  # type: ignore[arg-type]
        assert isinstance(hold, Hold)
        ledger.settle(hold, Entry(id=hold.id, at=AT, model="gpt-4o", cost=900, booked=900))

    return do


@contextmanager
def redis_url() -> Iterator[str | None]:
    """Run a redis-server, if there is one."""
    program = shutil.which("redis-server")
    if program is None:
        yield None
        return
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    with tempfile.TemporaryDirectory() as folder:
        arguments = ["--port", str(port), "--bind", "127.0.0.1", "--save", "", "--dir", folder]
        server = subprocess.Popen([program, *arguments], stdout=subprocess.DEVNULL)
        try:
            for _ in range(100):
                with socket.socket() as probe:
                    if probe.connect_ex(("127.0.0.1", port)) == 0:
                        break
                time.sleep(0.05)
            yield f"redis://127.0.0.1:{port}/0"
        finally:
            server.terminate()
            server.wait(10)


def call_time() -> float:
    """Return microseconds of the shortest call there can be: to a server on this machine."""
    body = {"model": "gpt-4o", "messages": [{"role": "user", "content": "Say 'hello'."}]}
    key = {"authorization": "Bearer none"}
    with (
        serve(at=date(2026, 11, 22)) as simulator,
        httpx.Client(base_url=simulator.url, headers=key) as client,
    ):
        return best(lambda: client.post("/chat/completions", json=body), 20, 5)


def main() -> None:
    """Measure and print."""
    call = call_time()
    print(f"a call to a server on this machine: {call:,.0f} us; to the real API about 1,000,000 us")
    with tempfile.TemporaryDirectory() as folder, redis_url() as url:
        ledgers: list[tuple[str, Ledger, int]] = [
            ("memory", MemoryLedger(), 3_000),
            ("SQLite", open_ledger(str(Path(folder) / "a.db")), 100),
            ("SQLite, power safe", SQLiteLedger(Path(folder) / "b.db", power_safe=True), 30),
        ]
        if url is not None:
            ledgers.append(("Redis", open_ledger(url), 100))
        for name, ledger, number in ledgers:
            one, three = best(cycle(ledger, ONE), number), best(cycle(ledger, THREE), number)
            print(f"reserve + settle, {name:20} {one:8.1f} us, on three budgets {three:8.1f} us")
            print(f"{'':38} {100 * one / call:.2f}% of the call on loopback")
            ledger.close()
    request, used = read_openai({"messages": [{"role": "user", "content": "hello"}]}), Usage(input_tokens=8)
    for name, router in (
        ("without a budget", Router(clock=lambda: AT)),
        ("with a budget", Router(clock=lambda: AT, budgets=Budget(per_day=1_000_000))),
    ):
        decision = router.decide(request)
        decide = best(lambda router=router: router.decide(request), 300)
        settle = best(lambda router=router, decision=decision: router.begin(decision).settle(used), 300)
        print(f"router {name:17} decide {decide:.1f} us, begin + settle with its record {settle:.1f} us")


if __name__ == "__main__":
    main()
