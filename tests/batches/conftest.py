"""A simulated API with batches, on a clock that tests move."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from routed_llm import Policy, Router
from routed_llm.batches import BatchJob, Provider
from routed_llm.ledger import SQLiteLedger
from routed_llm.simulator import Simulator, serve

DAY = date(2026, 11, 29)


class Night:
    """A job's folder, provider and clock; each :meth:`job` is what a new process would open."""

    def __init__(self, folder: Path, simulator: Simulator) -> None:
        self.folder, self.simulator = folder, simulator
        self.now = datetime(2026, 11, 29, 12, tzinfo=UTC)
        self.policy = Policy(models=["gpt-4.1", "gpt-5.4"], at_least=None)
        self.store = False
        self.provider: Callable[[], Provider] = self.reached

    def reached(self) -> Provider:
        """Return the provider, with no wait between attempts."""
        return Provider(self.simulator.url, "k", sleep=lambda _: None)

    def pass_time(self, seconds: int) -> None:
        """Let time pass, here and there."""
        self.now += timedelta(seconds=seconds)
        self.simulator.advance(seconds)

    @property
    def ledger(self) -> SQLiteLedger:
        """The books."""
        return SQLiteLedger(self.folder / "ledger.db")

    def job(self, **router: Any) -> BatchJob:
        """Open the job, as a process does."""
        made = Router(policy=self.policy, clock=lambda: self.now, ledger=self.ledger, observe=False, **router)
        return BatchJob(self.folder / "job.db", provider=self.provider(), router=made, store=self.store)

    def requests(self, count: int, body: Any = None, **fields: Any) -> Path:
        """Write a file of requests, with fields of its own in each line or body."""
        path = self.folder / "in.jsonl"
        rows = [
            {
                "custom_id": f"r{at}",
                "body": {
                    "model": "gpt-4o",
                    "messages": [{"role": "user", "content": f"Tell me about number {at}."}],
                    "max_tokens": 50,
                    **(body or {}),
                },
                **fields,
            }
            for at in range(count)
        ]
        path.write_text("".join(json.dumps(row) + "\n" for row in rows))
        return path

    @property
    def answers(self) -> list[dict[str, Any]]:
        """What was written."""
        return [json.loads(row) for row in (self.folder / "out.jsonl").read_text().splitlines()]

    def finish(self) -> list[str]:
        """Submit and collect until the job is complete; return the ids that were answered, in order."""
        for _ in range(10):
            with self.job() as job:
                job.submit()
                found = job.collect(self.folder / "out.jsonl")
            if found.complete:
                break
            self.pass_time(3600)
        return [row["custom_id"] for row in self.answers if row["response"] is not None]

    def check_bill(self) -> None:
        """What is booked is what the provider bills, to the last digit."""
        booked = Decimal(sum(entry.booked for entry in self.ledger.entries())) / 10**12
        assert booked == self.simulator.billed


@pytest.fixture
def night(tmp_path: Path) -> Iterator[Night]:
    """A job's folder, provider and clock."""
    with serve(at=DAY) as simulator:
        yield Night(tmp_path, simulator)
