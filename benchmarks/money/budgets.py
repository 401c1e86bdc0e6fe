"""Budgets on real traffic: half of what the router would spend by itself, in one hour.

    python -m benchmarks.money.budgets PATH [--calls N]

The first hour of a trace, or calls from all over it, is sent under a budget of half the bill: hard, soft and
paced, with one and with fifty calls under way at once, by each way to reserve. Printed are the share of the
budget that was spent, how many calls were refused and when the first was, and what whoever listens to the
budget was reported.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from itertools import product
from typing import Any, NamedTuple

from benchmarks.money.billing import CATALOG, Choice, World
from benchmarks.money.traces import Call, arguments, read
from benchmarks.money.traffic import request
from routed_llm import Budget, BudgetExceeded, Router
from routed_llm.ledger.accounting import BudgetEvent

NOON = datetime(2026, 11, 29, 12, tzinfo=UTC)
HOUR = 3_600.0


class Result(NamedTuple):
    """What became of calls under a budget.

    Attributes:
        spent: US dollars.
        refused: calls.
        first: share of the hour that was over when the first was refused; None where none was.
        most: dollars by which the budget was exceeded.
        short: answers that were cut short by a cap.
        events: the shares that were reported as passed.
        reported: refusals that were reported.
    """

    spent: Decimal
    refused: int
    first: float | None
    most: Decimal
    short: int
    events: tuple[float, ...]
    reported: int


def replay(calls: Sequence[Call], budget: Budget | None, under_way: int) -> Result:
    """Send calls, each settled when so many others have been sent after it."""
    now, events = [NOON], list[BudgetEvent]()
    router = Router(clock=lambda: now[0], budgets=budget, on_budget=events.append)
    world = World(NOON.date())
    waiting: list[tuple[float, Any, Any]] = []
    takes = under_way * HOUR / max(len(calls), 1)
    spent, refused, first, short = Decimal(0), 0, None, 0

    def settle() -> None:
        nonlocal spent
        _, run, used = waiting.pop(0)
        spent += Decimal(run.settle(used)["cost"])

    for call in calls:
        now[0] = NOON + timedelta(seconds=call.at)
        # Calls end in their time, whatever is refused meanwhile.
        while waiting and (len(waiting) >= under_way or waiting[0][0] + takes <= call.at):
            settle()
        try:
            decision = router.decide(request(call, None))
            run = router.begin(decision)
        except BudgetExceeded:
            refused += 1
            first = call.at / HOUR if first is None else first
            continue
        assert decision.chosen is not None
        assert decision.call is not None
        past = any(change.parameter == "prompt_cache_options" for change in decision.changes)
        choice = Choice(CATALOG.get(decision.chosen.model), decision.effort, past)
        used = world.usage(choice, call, 0)
        cap = decision.call.cap
        if cap is not None and used.output_tokens > cap:
            short += 1
            used = world.usage(choice, call, 0, most=cap)
        used = replace(used, service_tier=decision.call.parameters.get("service_tier"))
        waiting.append((call.at, run, used))
    while waiting:
        settle()
    limit = Decimal(0) if budget is None else budget.per_hour or Decimal(0)
    return Result(
        spent,
        refused,
        first,
        max(spent - limit, Decimal(0)),
        short,
        tuple(event.share for event in events if not event.refused),
        sum(event.refused for event in events),
    )


def main() -> None:
    """Print a line for each budget."""
    found = arguments(__doc__)
    for path in found.paths:
        every = read(path)
        begun = every[0].at
        hour = [replace(call, at=call.at - begun) for call in every if call.at < begun + HOUR]
        calls = hour[:: max(len(hour) // (found.calls or len(hour)), 1)]
        whole = replay(calls, None, 1)
        half = (whole.spent / 2).quantize(Decimal("0.000001"))
        print(f"{path.stem}: {len(calls):,} calls cost ${whole.spent:.4f}; the budget is ${half}")
        print(f"  {'':38}{'spent':>8}{'refused':>9}{'first at':>10}{'over by':>10}{'short':>7}  reported")
        kinds: dict[str, dict[str, Any]] = {
            "hard": {},
            "soft": {"hard": False},
            "soft, flex": {"hard": False, "downshift_tier": "flex"},
            "soft, to 4o-mini": {"hard": False, "downshift_to": "gpt-4o-mini"},
            "soft, refuses": {"hard": False, "refuse_at": 1.2},
            "paced": {"pace": True},
        }
        for (name, keywords), under_way, reserve in product(
            kinds.items(), (1, 50), ("expected", "p95", "worst")
        ):
            if name.startswith("soft") and reserve != "expected":
                continue
            one = replay(calls, Budget(per_hour=half, reserve=reserve, **keywords), under_way)
            first = "-" if one.first is None else f"{100 * one.first:.0f}%"
            label = f"{name}, {under_way} under way, {reserve}"
            over = "-" if name.startswith("soft") else f"${one.most:.5f}"
            print(
                f"  {label:38}{100 * one.spent / half:>7.1f}%{one.refused:>9}{first:>10}{over:>10}"
                f"{one.short:>7}  {', '.join(f'{share:.0%}' for share in one.events)}; "
                f"{one.reported} refusals"
            )


if __name__ == "__main__":
    main()
