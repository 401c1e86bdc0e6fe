"""A share of a budget that is reached exactly."""

from __future__ import annotations

from datetime import date

from ledger_support import ask

from routed_llm import Budget, BudgetEvent, Catalog, MemoryLedger, Router, Usage


def test_a_share_that_is_reached_exactly_is_told_once() -> None:
    """To the cent counts as passed, and what costs nothing afterwards says nothing again."""
    since = date(2026, 1, 1)
    prices = {"source": "here", "verified": since, "rows": [{"since": since, "input": "1", "output": "1"}]}
    events: list[BudgetEvent] = []
    router = Router(
        catalog=Catalog.load().with_models({"mine": {"base": "gpt-4o", "prices": prices}}),
        ledger=MemoryLedger(),
        budgets=Budget(total="1", notify_at=(0.5, 1.0)),
        on_budget=events.append,
        clock=lambda: date(2026, 11, 22),
        observe=False,
    )
    request, policy = ask(max_tokens=10), {"models": ["mine"], "at_least": None}
    told = []
    for tokens in (499_999, 1, 0, 500_000):
        run = router.begin(router.decide(request, policy=router.policy.replace(**policy)))
        run.settle(Usage(input_tokens=tokens, output_tokens=0))
        told.append([event.share for event in events])
    assert told == [[], [0.5], [0.5], [0.5, 1.0]]
