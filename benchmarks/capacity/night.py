"""A night's work through `routed batch`, whose process is killed at ten places.

    python -m benchmarks.capacity.night [PROMPTS] [--store]

Of the prompts (10,000 when left out) eight of ten may take a day, one a quarter of an hour and one a minute.
A process plans, submits and collects, in files of 2,000; this one runs the simulated API and its clock, and
kills it ten times: while it plans, uploads, makes a batch, answers at once, fetches, books, and writes. There
must be one answer for each prompt, one batch for each file, and a bill within what the job says. With --store
what is answered at once is stored and found again: then nothing is paid twice, and books and bill are equal.
"""

from __future__ import annotations

import argparse
import json
import math
import signal
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from pathlib import Path

from routed_llm import Router
from routed_llm.batches import BatchJob, Provider
from routed_llm.batches import job as jobs
from routed_llm.ledger import SQLiteLedger
from routed_llm.simulator import Simulator, serve

DAY = date(2026, 11, 29)
NOON = datetime(2026, 11, 29, 12, tzinfo=UTC)
DEADLINES = (86_400, 86_400, 86_400, 86_400, 86_400, 86_400, 86_400, 86_400, 900, 60)


def set_clock(folder: Path, seconds: int) -> None:
    """Set the clock, whole or not at all: its process may be killed meanwhile."""
    (folder / "clock.part").write_text(str(seconds))
    (folder / "clock.part").replace(folder / "clock")


def work(folder: Path, url: str, store: bool) -> None:
    """Do what is to be done next, until the job is complete: the process that is killed."""

    def clock() -> datetime:
        return NOON + timedelta(seconds=int((folder / "clock").read_text()))

    def wait(seconds: float) -> None:
        """Let the simulated clock pass: what was under way at flex is waited for up to 15 minutes."""
        set_clock(folder, int((folder / "clock").read_text()) + math.ceil(seconds))

    jobs.MOST_LINES = 2_000  # so that there are several files
    router = Router(clock=clock, ledger=SQLiteLedger(folder / "ledger.db"))
    provider = Provider(url, "k", sleep=wait)
    with BatchJob(folder / "job.db", provider=provider, router=router, store=store) as job:
        if not (folder / "planned").exists():
            found = job.plan(folder / "in.jsonl")
            (folder / "planned").write_text(f"{found.expected} {found.at_once}")
        while not job.collect(folder / "out.jsonl").complete:
            job.submit()
            set_clock(folder, max(int((folder / "clock").read_text()), 7_200))
            time.sleep(0.2)  # until the clock of the other process has followed
    (folder / "done").touch()


def places(api: Simulator, folder: Path, prompts: int) -> list[tuple[str, Callable[[], bool]]]:
    """List the places at which the process is killed: what has happened by then."""

    def made(path: str) -> int:
        return len([it for it in api.journal if (it.method, it.path, it.status) == ("POST", path, 200)])

    def entries() -> int:
        return sum(1 for _ in SQLiteLedger(folder / "ledger.db").entries())

    def sent() -> int:
        return len([it for it in api.journal if it.connection and it.served])

    def fetched() -> bool:
        return any(it.path.endswith("/content") for it in api.journal)

    begun = time.monotonic()
    return [
        ("while it plans", lambda: time.monotonic() > begun + 3),
        ("as a file is uploaded", lambda: any(it.path == "/v1/files" for it in api.journal)),
        ("after a file is uploaded", lambda: made("/v1/files") > 1),
        ("as a batch is made", lambda: made("/v1/batches") > 0),
        ("among the first answers", lambda: sent() > prompts // 100),
        ("among the answers", lambda: sent() > prompts // 12),
        ("among the last answers", lambda: sent() > prompts // 6),
        ("as results are fetched", fetched),
        ("as they are booked", lambda: entries() > prompts // 2),
        ("as answers are written", lambda: (folder / "out.jsonl.part").exists()),
    ]


def show(prompts: int, store: bool) -> int:
    """Run the night and print what came of it; 1 where something is lost, doubled or unpaid."""
    with tempfile.TemporaryDirectory() as name, serve(at=DAY) as api:
        folder = Path(name)
        set_clock(folder, 0)
        with (folder / "in.jsonl").open("w") as file:
            for at in range(prompts):
                text = f"Summarise note {at} of the day in one sentence: " + "it went on as planned. " * (
                    at % 40
                )
                body = {"model": "gpt-4o", "messages": [{"role": "user", "content": text}], "max_tokens": 120}
                row = {"custom_id": f"p{at}", "deadline": DEADLINES[at % 10], "body": body}
                file.write(json.dumps(row) + "\n")
        command = [sys.executable, "-m", "benchmarks.capacity.night", "--work", name, api.url]
        command += ["--store"] if store else []
        killed, left, begun = [], places(api, folder, prompts), time.monotonic()
        while not (folder / "done").exists():
            child = subprocess.Popen(command)
            while child.poll() is None:
                passed = int((folder / "clock").read_text())
                if passed > api.passed:
                    api.advance(passed - api.passed)
                if left and left[0][1]():
                    child.send_signal(signal.SIGKILL)
                    killed.append(left.pop(0)[0])
                time.sleep(0.003)
            if child.returncode not in (0, -signal.SIGKILL):
                return child.returncode
        print(f"killed {len(killed)} times: {'; '.join(killed)} ({time.monotonic() - begun:.0f} s)")
        return _judged(api, folder, prompts, store)


def _judged(api: Simulator, folder: Path, prompts: int, store: bool) -> int:
    answers = [json.loads(line) for line in (folder / "out.jsonl").read_text().splitlines()]
    ids = [row["custom_id"] for row in answers if row["response"]]
    ordered = ids == [f"p{at}" for at in range(prompts)]
    known = Counter(row["response"]["body"]["id"] for row in answers if row["response"])
    paid = [it for it in api.journal if it.served]
    double = sum((it.dollars for it in paid if it.response_id not in known), Decimal(0))
    booked = list(SQLiteLedger(folder / "ledger.db").entries())
    answered = Decimal(sum(it.booked for it in booked if it.outcome == "answered")) / 10**12
    unsure = Decimal(sum(it.booked for it in booked if it.outcome != "answered")) / 10**12
    at_once = sum(
        (it.dollars * (2 if it.used and it.used.tier in ("batch", "flex") else 1) for it in paid), Decimal(0)
    )
    tiers = Counter(it.used.tier if it.used else "" for it in paid)
    batches = len([it for it in api.journal if (it.method, it.path) == ("POST", "/v1/batches")])
    once = ordered and set(known.values()) == {1}
    print(f"answered {len(ids):,} of {prompts:,}, once each and in order: {once}")
    print(f"requests paid by tier: {dict(tiers)}; batches made: {batches}")
    print(f"the API bills ${api.billed:.6f}; of that for answers lost in a killed process ${double:.6f}")
    twice = len(paid) - prompts
    with BatchJob(folder / "job.db") as job:
        found = job.status()
    most = found.doubtful_cost or Decimal(0)
    print(f"booked ${answered:.6f} for answers, ${unsure:.6f} for what was in doubt; {twice} were paid twice")
    print(f"the job: {found.doubtful} in doubt; it cost ${found.cost:.6f} to ${found.cost + most:.6f}")
    print(
        f"at once, at the standard tier, the same would have cost ${at_once:.6f}: {api.billed / at_once:.0%}"
    )
    if store:
        return int(not once or bool(twice) or not found.cost == answered == api.billed)
    return int(not once or not found.cost <= api.billed <= found.cost + most)


def main() -> int:
    """Run the benchmark, or the process that it kills."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("prompts", nargs="?", type=int, default=10_000)
    parser.add_argument("--store", action="store_true")
    parser.add_argument("--work", nargs=2, metavar=("FOLDER", "URL"))
    asked = parser.parse_args()
    if asked.work:
        work(Path(asked.work[0]), asked.work[1], asked.store)
        return 0
    return show(asked.prompts, asked.store)


if __name__ == "__main__":
    sys.exit(main())
