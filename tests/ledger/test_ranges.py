"""What a call may cost: a range, from how far bills lay from estimates, and budgets that hold it."""

from __future__ import annotations

from datetime import date
from random import Random
from typing import Any

import pytest

from routed_llm import (
    Budget,
    BudgetExceeded,
    Decision,
    PolicyError,
    Request,
    RequestFacts,
    Router,
    TokenCount,
    Usage,
)

DAY = date(2026, 11, 22)


def ask(tokens: int = 1_000, **keywords: Any) -> Request:
    """Make a request of text."""
    return Request(facts=RequestFacts(tokens=TokenCount.of(tokens), **keywords), texts=(), fixed=tokens)


def run(router: Router, calls: int, *, mean: float = 300.0, seed: int = 1) -> list[tuple[Decision, float]]:
    """Send calls whose answers are of very different lengths, and return each with its bill in dollars."""
    random, found = Random(seed), []
    for _ in range(calls):
        decision = router.decide(ask())
        said = max(round(random.expovariate(1 / mean)), 1)
        record = router.begin(decision).settle(Usage(input_tokens=1_000, output_tokens=said))
        found.append((decision, float(record["cost"])))
    return found


def test_a_range_before_anything_is_seen() -> None:
    """Half of the published answers had 0.61 of the mean, nine of ten twice it, nineteen of twenty 2.15."""
    decision = Router(clock=lambda: DAY).decide(ask())
    assert decision.chosen is not None
    assert decision.cost_range is not None
    output, read = decision.chosen.output_tokens * 1.2e-6, 1_000 * 0.2e-6
    wanted = [read + output * times for times in (0.61, 2.0, 2.15)]
    assert [float(most) for most in decision.cost_range.values()] == pytest.approx(wanted)
    assert list(decision.cost_range) == ["p50", "p90", "p95"]
    assert decision.record()["cost_range"]["p95"] == f"{decision.cost_range['p95'].normalize():f}"


@pytest.mark.parametrize("mean", [60.0, 300.0, 2_000.0])
def test_a_range_covers_what_it_says(mean: float) -> None:
    """Of calls with answers of very different lengths as many stay within it as it says, within 3 points."""
    sent = run(Router(clock=lambda: DAY), 1_200, mean=mean)[200:]
    for name, share in (("p50", 0.5), ("p90", 0.9), ("p95", 0.95)):
        within = [cost <= float((decision.cost_range or {})[name]) for decision, cost in sent]
        assert sum(within) / len(within) == pytest.approx(share, abs=0.03), name


@pytest.mark.parametrize(
    ("keywords", "times"),
    [({}, 1.0), ({"reserve": "p95"}, None), ({"reserve": "worst"}, 0), ({"worst_case": True}, 0)],
    ids=["expected", "nineteen of twenty", "the most", "its other name"],
)
def test_what_is_held_while_a_call_runs(keywords: dict[str, Any], times: float | None) -> None:
    """A budget holds the mean, what nineteen of twenty calls cost at most, or the most there can be."""
    decision = Router(clock=lambda: DAY, budgets=Budget(per_day=5, **keywords)).decide(ask(cap=500))
    assert decision.chosen is not None
    held = {1.0: decision.dollars, None: (decision.cost_range or {})["p95"], 0: decision.worst_cost}[times]
    assert held is not None
    assert decision.reserve == int(held * 10**12)


def test_p95_refuses_what_it_has_no_room_for_and_the_mean_does_not() -> None:
    """Between what is expected and what nineteen of twenty cost, the budget's word decides."""
    router = Router(clock=lambda: DAY)
    decision = router.decide(ask())
    assert decision.dollars is not None
    assert decision.cost_range is not None
    between = (decision.dollars + decision.cost_range["p95"]) / 2
    assert router.decide(ask(), budget=Budget(per_call=between)).model == decision.model
    with pytest.raises(BudgetExceeded):
        router.decide(ask(), budget=Budget(per_call=between, reserve="p95"))


def test_a_reserve_that_there_is_not() -> None:
    """The error names what there is."""
    with pytest.raises(PolicyError) as caught:
        Budget(per_day=1, reserve="p99")
    assert str(caught.value) == "reserve='p99' is none of expected, p95, worst. Use one of these."
