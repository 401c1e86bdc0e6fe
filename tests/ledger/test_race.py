"""Fifty concurrent calls against a budget for one: exactly one is admitted."""

from __future__ import annotations

import asyncio
import subprocess
import sys
import threading
from decimal import Decimal
from pathlib import Path

import pytest
from ledger_support import NOON, ask

from routed_llm import Budget, BudgetExceeded, Ledger, Router, Usage, open_ledger
from routed_llm.budget import PICO

CALLS = 50
WORKER = Path(__file__).parent / "race_worker.py"
REQUEST = ask("Say hello.", max_tokens=50)


EXPECTED = Router(clock=lambda: NOON).decide(REQUEST).chosen
assert EXPECTED is not None
USED = Usage(input_tokens=EXPECTED.input_tokens, output_tokens=EXPECTED.output_tokens)
"""What the admitted call costs: as much as was expected, so that nothing is left for a second one."""


def budget_for_one() -> Decimal:
    """Return dollars that pay for one call as it is expected, and not for two."""
    assert EXPECTED is not None
    assert EXPECTED.dollars is not None
    return EXPECTED.dollars


def router_on(ledger: Ledger) -> Router:
    """Make a router whose budget is for one call."""
    return Router(ledger=ledger, budgets=Budget(per_day=budget_for_one()), clock=lambda: NOON)


def spent(ledger: Ledger) -> int:
    """Sum the entries in picodollars, and check that the account agrees."""
    total = sum(line.booked for line in ledger.entries())
    on = Budget(per_day=budget_for_one()).accounts({}, None, NOON)
    assert ledger.remaining(on, at=NOON) == (on[0].limit - total,)
    return total


def test_threads(ledger: Ledger) -> None:
    """Fifty threads decide, reserve and settle at once on one router."""
    router, start, ended = router_on(ledger), threading.Barrier(CALLS), []

    def call() -> None:
        start.wait()
        try:
            run = router.begin(router.decide(REQUEST))
        except BudgetExceeded as error:
            ended.append(error)
            return
        start_settling.wait(10)
        run.settle(USED)

    start_settling = threading.Event()
    threads = [threading.Thread(target=call) for _ in range(CALLS)]
    for thread in threads:
        thread.start()
    while len(ended) < CALLS - 1 and any(thread.is_alive() for thread in threads):
        threads[0].join(0.01)
    start_settling.set()
    for thread in threads:
        thread.join()
    assert len(ended) == CALLS - 1
    assert spent(ledger) <= budget_for_one() * PICO
    assert len(list(ledger.entries())) == 1


async def test_tasks(ledger: Ledger) -> None:
    """Fifty tasks of one event loop; the admitted call lasts until all others have been refused."""
    router, refused = router_on(ledger), asyncio.Event()
    ended: list[BudgetExceeded] = []

    async def call() -> None:
        try:
            run = await router.abegin(await router.adecide(REQUEST))
        except BudgetExceeded as error:
            ended.append(error)
            if len(ended) == CALLS - 1:
                refused.set()
            return
        await refused.wait()
        await run.asettle(USED)

    await asyncio.wait_for(asyncio.gather(*(call() for _ in range(CALLS))), 60)
    assert len(ended) == CALLS - 1
    assert len(list(ledger.entries())) == 1


def test_four_processes(shared: str) -> None:
    """Four processes with thirteen calls each on one ledger: one admitted, and the sum is its cost."""
    each, dollars = 13, budget_for_one()
    arguments = [sys.executable, str(WORKER), "race", shared, str(dollars), str(each)]
    workers = [
        subprocess.Popen(arguments, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        for _ in range(4)
    ]
    for worker in workers:
        assert worker.stdout is not None
        assert worker.stdout.readline() == "ready\n"
    for worker in workers:
        assert worker.stdin is not None
        worker.stdin.write("go\n")
        worker.stdin.flush()
    ended = [line for worker in workers for line in worker.communicate(timeout=120)[0].split()]
    assert ended.count("admitted") == 1
    assert ended.count("refused") == 4 * each - 1
    ledger = open_ledger(shared)
    assert spent(ledger) <= dollars * PICO
    ledger.close()


@pytest.mark.parametrize("worst_case", [False, True], ids=["expected", "worst case"])
def test_over_by_the_settle_difference_at_most(ledger: Ledger, worst_case: bool) -> None:
    """Beyond the limit goes only what answers cost above their reservations; in the worst case nothing."""
    budget = Budget(per_day="0.01", worst_case=worst_case)
    router = Router(ledger=ledger, budgets=budget, observe=False, clock=lambda: NOON)
    over, request = 0, ask("Say hello.", max_tokens=300)
    for _ in range(400):
        try:
            decision = router.decide(request)
            run = router.begin(decision)
        except BudgetExceeded:
            break
        assert decision.call is not None
        assert decision.call.cap is not None
        written = min(4_000, decision.call.cap)
        record = run.settle(Usage(input_tokens=12, output_tokens=written, service_tier="default"))
        over += max(int(Decimal(record["cost"]) * PICO) - (decision.reserve or 0), 0)
    else:
        pytest.fail("the budget never ran out")
    total = sum(line.booked for line in ledger.entries())
    assert total <= int(Decimal("0.01") * PICO) + over
    assert (over == 0) == worst_case
