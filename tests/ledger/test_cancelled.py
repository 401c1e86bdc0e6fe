"""Tasks that are cancelled while a ledger works: no reservation outlives them."""

from __future__ import annotations

import asyncio
import threading
import time
from datetime import datetime
from typing import Any

import pytest
from ledger_support import NOON, ask

from routed_llm import Budget, MemoryLedger, Router, Usage


class SlowLedger(MemoryLedger):
    """A ledger that takes its time, as one on a network does."""

    blocks = True

    def __init__(self) -> None:
        super().__init__()
        self.started = threading.Event()

    def _wait(self) -> None:
        self.started.set()
        time.sleep(0.05)

    def reserve(self, *arguments: Any, **more: Any) -> Any:
        """Reserve after a while."""
        self._wait()
        return super().reserve(*arguments, **more)

    def settle(self, *arguments: Any) -> Any:
        """Settle after a while."""
        self._wait()
        return super().settle(*arguments)

    def cancel(self, *arguments: Any) -> None:
        """Cancel after a while."""
        self._wait()
        super().cancel(*arguments)


BUDGET = Budget(per_day=1)


def clock() -> datetime:
    """Stand still."""
    return NOON


def left(ledger: SlowLedger) -> int:
    """Return the picodollars that are left."""
    return ledger.remaining(BUDGET.accounts({}, None, NOON), at=NOON)[0]


@pytest.mark.parametrize("moment", [0.0, 0.01, 0.049, 0.05, 0.051, 0.1])
async def test_cancelled_while_money_is_reserved(moment: float) -> None:
    """Whenever the task goes, what a thread has reserved for it is given back."""
    ledger = SlowLedger()
    router = Router(ledger=ledger, budgets=BUDGET, clock=clock)
    decision = router.decide(ask())
    full = left(ledger)
    task = asyncio.create_task(router.abegin(decision))
    await asyncio.sleep(moment)
    if not task.cancel():
        (await task).cancel()
    for _ in range(100):
        await asyncio.sleep(0.01)
        if task.done() and left(ledger) == full:
            break
    assert left(ledger) == full


@pytest.mark.parametrize("end", ["asettle", "acancel", "aabandon"])
async def test_cancelled_while_a_run_ends(end: str) -> None:
    """The end of a run is done to its end, and the task is cancelled all the same."""
    ledger = SlowLedger()
    router = Router(ledger=ledger, budgets=BUDGET, clock=clock)
    run = await router.abegin(router.decide(ask()))
    before = left(ledger)
    used = Usage(input_tokens=1, output_tokens=1)
    ends = {"asettle": (used,), "acancel": (), "aabandon": (used,)}
    ledger.started.clear()
    task = asyncio.create_task(getattr(run, end)(*ends[end]))
    await asyncio.to_thread(ledger.started.wait)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    for _ in range(100):
        await asyncio.sleep(0.01)
        if left(ledger) > before:
            break
    assert left(ledger) > before
    assert len(list(ledger.entries())) == (end != "acancel")


def test_a_loop_that_ends_waits_for_its_ledger() -> None:
    """When asyncio.run ends right after the cancellation, nothing stays reserved."""
    ledger = SlowLedger()
    router = Router(ledger=ledger, budgets=BUDGET, clock=clock)
    decision = router.decide(ask())
    full = left(ledger)

    async def work() -> None:
        asyncio.create_task(router.abegin(decision))  # noqa: RUF006 - given up at once
        await asyncio.sleep(0.01)

    asyncio.run(work())
    assert left(ledger) == full
