"""Budgets as a caller of the router meets them."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest
from ledger_support import NOON, ask

from routed_llm import (
    Budget,
    BudgetEvent,
    BudgetExceeded,
    Catalog,
    Decision,
    Ledger,
    MemoryLedger,
    NoModelFits,
    Policy,
    PolicyError,
    Request,
    RequestFacts,
    Router,
    TokenCount,
    Usage,
    scoped,
)
from routed_llm.decision import format_dollars

Clock = Callable[[], datetime]
USED = Usage(input_tokens=11, output_tokens=200, service_tier="default")
REQUEST = ask()


def routed(clock: Clock, *budgets: Budget, **keywords: Any) -> Router:
    """Make a router with budgets whose clock stands still."""
    return Router(budgets=budgets, clock=clock, **keywords)


def spent(router: Router, decision: Decision, usage: Usage | None = USED) -> dict[str, Any]:
    """Send nothing, but book it."""
    return router.begin(decision).settle(usage)


def test_the_record_says_what_is_left(clock: Clock) -> None:
    """The record has the cost, the usage and what is left in each budget that the call drew on."""
    router = routed(
        clock, Budget(per_day=1, scope="user"), Budget(per_month=100), Budget(per_day=1, scope="team")
    )
    record = spent(router, router.decide(REQUEST, scope={"user": "ann"}))
    assert record["cost"] == "0.0002422"
    assert record["usage"] == {"input_tokens": 11, "output_tokens": 200, "service_tier": "default"}
    assert record["remaining"] == [
        {"scope": "user=ann", "period": "day", "remaining": "0.9997578", "limit": "1",
         "resets_at": "2026-11-23T00:00:00+00:00"},
        {"scope": "", "period": "month", "remaining": "99.9997578", "limit": "100",
         "resets_at": "2026-12-01T00:00:00+00:00"},
    ]  # fmt: skip


def test_without_budget_nothing_is_booked(clock: Clock) -> None:
    """A router without a ledger and without budgets keeps no book, and decides as ever."""
    router = Router(clock=clock)
    decision = router.decide(REQUEST)
    assert decision.allowance is None
    assert spent(router, decision)["remaining"] == []
    assert list(router.ledger.entries()) == []


def test_a_ledger_without_budgets_books_everything(ledger: Ledger, clock: Clock) -> None:
    """A ledger alone writes an entry for every call, with its tags, usage and estimate."""
    router = Router(ledger=ledger, clock=clock)
    decision = router.decide(REQUEST, scope="team=search,user=ann", conversation="c1")
    run = router.begin(decision)
    record = run.settle(USED, served="gpt-5.6-luna")
    (line,) = ledger.entries()
    assert (line.model, line.effort, line.served, line.tier) == (
        "gpt-5.6-luna",
        "low",
        "gpt-5.6-luna",
        "default",
    )
    assert (line.tags, line.conversation) == ({"team": "search", "user": "ann"}, "c1")
    assert line.usage == USED
    assert line.dollars == Decimal(record["cost"])
    assert decision.chosen is not None
    assert line.estimated == decision.chosen.cost


BEGUN = Usage(input_tokens=11, output_tokens=20, service_tier="default")


@pytest.mark.parametrize(
    ("outcome", "keywords", "cost", "spends"),
    [
        ("rate_limit", {}, 0, "0"),
        ("incomplete", {"begun": True}, None, "0.0003834"),
        ("incomplete", {"begun": True, "usage": BEGUN}, 26_200_000, "0.0000262"),
    ],
    ids=["refused: free", "broke off: as reserved", "broke off, with a usage: as billed"],
)
def test_a_failed_request_is_an_entry(
    ledger: Ledger, clock: Clock, outcome: str, keywords: dict[str, Any], cost: int | None, spends: str
) -> None:
    """A failed request is booked as an entry of its own, once, and what was reserved is free again."""
    router = Router(ledger=ledger, budgets=Budget(per_day=1), clock=clock)
    run = router.begin(router.decide(REQUEST, scope="team=search"))
    run.fail(outcome, **keywords)
    run.fail("server")
    run.cancel()
    (line,) = ledger.entries()
    assert (line.outcome, line.cost, line.usage) == (outcome, cost, keywords.get("usage"))
    assert (line.model, line.tags) == ("gpt-5.6-luna", {"team": "search"})
    left = Budget(per_day=1).accounts({}, None, clock())
    assert format_dollars(left[0].limit - ledger.remaining(left, at=clock())[0]) == spends


MESSAGE = (
    "The budget of team=search per day has $0.0001 left, and this call is expected to cost at least "
    "$0.0003834; nothing was sent. Wait until 2026-11-23T00:00:00+00:00, when it is refilled, raise the "
    "budget, shorten the request or lower its output cap."
)


def test_budget_exceeded(clock: Clock) -> None:
    """The refusal carries what was asked, what is left, when it resets and what would fit."""
    router = routed(clock, Budget(per_day="0.0001", scope="team=search"), Budget(per_month=100))
    with pytest.raises(BudgetExceeded) as caught, scoped(team="search"):
        router.decide(REQUEST)
    error = caught.value
    assert (error.scope, error.period) == ("team=search", "day")
    assert (error.asked, error.remaining) == (Decimal("0.0003834"), Decimal("0.0001"))
    assert error.resets_at == datetime(2026, 11, 23, tzinfo=UTC)
    assert error.fits == ()
    assert str(error) == MESSAGE
    assert router.decide(REQUEST).model is not None


@pytest.mark.parametrize(
    ("budget", "period", "advice"),
    [
        (Budget(per_call="0.0001"), "call", "Raise the budget, shorten the request or lower its output cap."),
        (Budget(total=0), "total", "Raise the budget, shorten the request or lower its output cap."),
    ],
    ids=["per call", "total"],
)
def test_budgets_that_never_reset(clock: Clock, budget: Budget, period: str, advice: str) -> None:
    """Where waiting does not help it is not advised."""
    with pytest.raises(BudgetExceeded) as caught:
        routed(clock, budget).decide(REQUEST)
    assert (caught.value.period, caught.value.resets_at) == (period, None)
    assert str(caught.value).endswith(advice)


def test_other_causes_stay_no_model_fits(clock: Clock) -> None:
    """A request that no model takes is not blamed on an empty budget."""
    with pytest.raises(NoModelFits):
        routed(clock, Budget(total=0)).decide(ask("x " * 2_000_000))


def test_a_cheaper_model_fits_before_a_refusal(clock: Clock) -> None:
    """A pinned model that the budget cannot pay is refused; unpinned, a cheaper one serves."""
    router = routed(clock, Budget(per_call="0.0004"))
    with pytest.raises(BudgetExceeded) as caught:
        router.decide(ask(pin="gpt-5.4"))
    assert caught.value.fits == (("gpt-5.6-luna", "low", Decimal("0.0003834")),)
    assert (
        "What would fit, given up the model or the quality asked for: gpt-5.6-luna@low ($0.0003834)."
        in str(caught.value)
    )
    with pytest.raises(BudgetExceeded) as caught:
        router.decide(ask(), budget=Budget(per_call="0.0003"))
    assert [(model, effort) for model, effort, _ in caught.value.fits][1] == ("gpt-5.6-luna", "none")
    assert router.decide(ask()).model == "gpt-5.6-luna"


def test_taken_between_decision_and_sending(clock: Clock) -> None:
    """Money that another call took since the decision is missed before anything is sent."""
    router = routed(clock, Budget(per_day="0.0005"))
    first, second = router.decide(REQUEST), router.decide(REQUEST)
    run = router.begin(first)
    with pytest.raises(BudgetExceeded) as caught:
        router.begin(second)
    assert caught.value.remaining == Decimal("0.0005") - Decimal("0.0003834")
    run.cancel()
    router.begin(second).cancel()


def test_settle_and_cancel_count_once(clock: Clock) -> None:
    """A run is settled or cancelled once; what comes after changes nothing."""
    router = routed(clock, Budget(per_day=1))
    run = router.begin(router.decide(REQUEST))
    run.settle(USED)
    run.cancel()
    again = run.settle(USED)
    assert (again["cost"], again["remaining"]) == ("0.0002422", [])
    assert len(list(router.ledger.entries())) == 1


def test_no_usage_charges_the_reservation(clock: Clock) -> None:
    """A stream cut short reports no usage: its cost is unknown, and what was reserved is charged."""
    router = routed(clock, Budget(per_day=1))
    record = spent(router, router.decide(REQUEST), None)
    assert record["cost"] is None
    assert record["remaining"][0]["remaining"] == "0.9996166"
    (line,) = router.ledger.entries()
    assert (line.cost, line.booked) == (None, 383_400_000)


NO_PRICE = Catalog.load().with_models({"mine": {"base": "gpt-4o", "prices": {"rows": []}, "pool": "named"}})


def test_no_price_and_a_hard_budget(clock: Clock) -> None:
    """A model without a price cannot be paid from a hard budget; without one its cost is unknown."""
    policy = Policy(models="mine", at_least=None)
    with pytest.raises(NoModelFits, match="no price of mine is known, and a limit on cost is set"):
        routed(clock, Budget(total=5), catalog=NO_PRICE, policy=policy).decide(REQUEST)
    soft = routed(clock, Budget(total=5, hard=False), catalog=NO_PRICE, policy=policy)
    assert spent(soft, soft.decide(REQUEST))["cost"] is None
    (line,) = soft.ledger.entries()
    assert (line.cost, line.booked, line.estimated) == (None, 0, None)


@pytest.mark.parametrize(
    ("tier", "cost"),
    [("default", "0.0002422"), ("flex", "0.0001211"), ("priority", "0.0004844"), (None, "0.0002422")],
)
def test_the_answer_names_the_tier(clock: Clock, tier: str | None, cost: str) -> None:
    """The bill follows the tier that the response names, not the one that was asked for."""
    router = Router(clock=clock)
    decision = router.decide(ask(service_tier="flex"))
    assert decision.model == "gpt-5.6-luna"
    record = spent(router, decision, Usage(input_tokens=11, output_tokens=200, service_tier=tier))
    assert record["cost"] == cost


def test_the_model_that_answered_is_billed(clock: Clock) -> None:
    """An older snapshot with a price of its own is billed at that price."""
    router = Router(clock=lambda: datetime(2026, 4, 24, tzinfo=UTC), policy=Policy(models="gpt-4o"))
    run = router.begin(router.decide(REQUEST))
    used = Usage(input_tokens=1_000_000, output_tokens=0)
    assert run.settle(used, served="gpt-4o-2024-05-13")["cost"] == "5"
    assert router.begin(router.decide(REQUEST)).settle(used, served="gpt-4o-2024-08-06")["cost"] == "2.5"


@pytest.mark.parametrize(
    ("share", "model", "effort"),
    [
        (0.0, "gpt-5.6-sol", "high"),
        (0.79, "gpt-5.6-sol", "high"),
        (0.85, "gpt-5.6-luna", "high"),
        (0.95, "gpt-5.6-luna", "medium"),
        (0.99, "gpt-5.6-luna", "low"),
    ],
)
def test_a_low_budget_moves_quality_towards_cost(clock: Clock, share: float, model: str, effort: str) -> None:
    """With optimize="quality" the choice gets cheaper as less than a fifth is left."""
    budget, book = Budget(per_day=10, hard=False), MemoryLedger()
    book.reserve("x", int(share * 10**13), budget.accounts({}, None, NOON), at=NOON)
    router = routed(clock, budget, ledger=book, policy=Policy(optimize="quality"))
    decision = router.decide(REQUEST)
    assert (decision.model, decision.effort) == (model, effort)


def test_a_low_budget_leaves_an_incumbent(clock: Clock) -> None:
    """The incumbent stays while there is plenty, and makes room when the budget runs low."""
    budget, book = Budget(per_day=10), MemoryLedger()
    router = routed(clock, budget, ledger=book, policy=Policy(incumbent="gpt-4o"))
    assert router.decide(REQUEST).model == "gpt-4o"
    book.reserve("x", 9 * 10**12, budget.accounts({}, None, NOON), at=NOON)
    assert router.decide(REQUEST).model == "gpt-5.6-luna"


@pytest.mark.parametrize(("lower", "effort"), [(None, "low"), ("gpt-5-nano", "none")])
def test_the_floor_falls_only_where_allowed(clock: Clock, lower: str | None, effort: str) -> None:
    """A low budget lowers the quality floor to the model it names, and not without one."""
    budget, book = Budget(per_day=10, downshift_to=lower), MemoryLedger()
    book.reserve("x", 9 * 10**12, budget.accounts({}, None, NOON), at=NOON)
    decision = routed(clock, budget, ledger=book).decide(REQUEST)
    assert (decision.model, decision.effort) == ("gpt-5.6-luna", effort)


def test_events(clock: Clock) -> None:
    """Each share of a limit that is passed is told once; an error in the callback loses no answer."""
    told: list[BudgetEvent] = []

    def on_budget(event: BudgetEvent) -> None:
        told.append(event)
        raise RuntimeError

    router = routed(clock, Budget(per_day="0.001", notify_at=(0.2, 0.5, 1)), on_budget=on_budget)
    for _ in range(2):
        spent(router, router.decide(REQUEST))
    # What is held counts: the second call held what took it over a half.
    assert [event.share for event in told] == [0.2, 0.5]
    spent(router, router.decide(REQUEST), Usage(input_tokens=11, output_tokens=4_000))
    assert [event.share for event in told] == [0.2, 0.5, 1]
    with pytest.raises(BudgetExceeded):
        router.decide(REQUEST)
    assert [event.refused for event in told] == [False, False, False, True]
    assert told[-1].share == float(told[-1].spent / told[-1].limit) > 1


@pytest.mark.parametrize(
    ("spent_share", "policy", "asked", "cap"),
    [
        (0.5, {}, {}, None),
        (0.9, {}, {}, 1_439),
        (1.0, {}, {}, 509),
        (1.0, {}, {"cap": 2_000}, 6_096),
        (1.0, {}, {"structured": "json_object"}, None),
        (1.0, {}, {"tools": 2}, None),
        (1.0, {"optimize": "quality"}, {}, 509),
    ],
    ids=[
        "plenty left",
        "half of what is low",
        "nothing left",
        "the caller's own",
        "a form",
        "tools",
        "quality",
    ],
)
def test_a_low_budget_caps_answers(
    clock: Clock, spent_share: float, policy: dict[str, Any], asked: dict[str, Any], cap: int | None
) -> None:
    """Where the caller sets no cap, answers get one that tightens to what nine of ten of them need."""
    budget, book = Budget(per_day=10, hard=False), MemoryLedger()
    book.reserve("x", int(spent_share * 10 * 10**12), budget.accounts({}, None, NOON), at=NOON)
    facts = RequestFacts(tokens=TokenCount.of(11), **asked)
    router = routed(clock, budget, ledger=book, policy=Policy(**policy))
    decision = router.decide(Request(facts=facts, texts=(), fixed=11))
    assert decision.call is not None
    assert decision.call.cap == cap
    added = [
        change.text
        for change in decision.changes
        if change.action == "added" and "tokens" in change.parameter
    ]
    assert added == ([] if cap in (None, 6_096) else [f"max_tokens={cap} added: a budget runs low"])


@pytest.mark.parametrize(
    ("hours", "spent_share", "refused"),
    [(1, 0.1, False), (1, 0.15, True), (12, 0.15, False), (12, 0.61, True), (23.9, 0.99, False)],
)
def test_a_paced_budget_is_spent_evenly(
    clock: Clock, hours: float, spent_share: float, refused: bool
) -> None:
    """By a tenth more than the part of the day that is over may be spent, and no more."""
    budget, book = Budget(per_day=10, pace=True), MemoryLedger()
    at = NOON.replace(hour=0) + timedelta(hours=hours)
    book.reserve("x", int(spent_share * 10 * 10**12), budget.accounts({}, None, at), at=at)
    router = routed(clock, budget, ledger=book)
    if refused:
        with pytest.raises(BudgetExceeded) as caught:
            router.decide(REQUEST, at=at)
        assert caught.value.resets_at is not None
        assert at < caught.value.resets_at < at + timedelta(hours=1)
        left = 10 * (1 - spent_share)
        assert f"has $0 free by now of the ${left:g} that it has left and spends evenly" in str(caught.value)
        # A moment later it would have been admitted: that is when the text says to come again.
        assert f"Wait until {caught.value.resets_at.isoformat()}, when it pays for this call" in str(
            caught.value
        )
        later = caught.value.resets_at + timedelta(seconds=1)
        assert router.decide(REQUEST, at=later).chosen is not None
    else:
        assert router.decide(REQUEST, at=at).chosen is not None


@pytest.mark.parametrize(
    ("spent_share", "asked", "tier"),
    [(0.5, {}, None), (0.9, {}, "flex"), (0.9, {"service_tier": "default"}, None)],
    ids=["plenty left", "runs low", "the call names its own"],
)
def test_a_low_budget_sends_calls_at_a_cheaper_tier(
    clock: Clock, spent_share: float, asked: dict[str, Any], tier: str | None
) -> None:
    """As far as the budget allows it and the model is sold at it; the estimate is that tier's."""
    budget, book = Budget(per_day=10, downshift_tier="flex"), MemoryLedger()
    book.reserve("x", int(spent_share * 10 * 10**12), budget.accounts({}, None, NOON), at=NOON)
    usual = routed(clock).decide(ask(**asked, max_tokens=100))
    decision = routed(clock, budget, ledger=book).decide(ask(**asked, max_tokens=100))
    assert decision.call is not None
    given = tier or asked.get("service_tier")
    assert decision.call.parameters.get("service_tier") == given
    assert decision.dollars is not None
    assert usual.dollars is not None
    if tier is None:
        assert decision.dollars == usual.dollars
        return
    assert decision.dollars < usual.dollars
    assert "service_tier=flex added: it costs less" in " ".join(one.text for one in decision.changes).replace(
        "'", ""
    )


def test_a_soft_budget_refuses_where_it_is_said_to(clock: Clock) -> None:
    """Half as much again, and no more; what was spent is booked once in each."""
    budget, book = Budget(per_day=1, hard=False, refuse_at=1.5), MemoryLedger()
    accounts = budget.accounts({}, None, NOON)
    assert [(one.limit, one.hard) for one in accounts] == [(10**12, False), (1_500_000_000_000, True)]
    router = routed(clock, budget, ledger=book)
    book.reserve("x", 1_200_000_000_000, accounts, at=NOON)
    run = router.begin(router.decide(REQUEST))
    rows = run.settle(USED)["remaining"]
    assert [row["limit"] for row in rows] == ["1", "1.5"]
    book.reserve("y", 299_000_000_000, accounts, at=NOON)
    with pytest.raises(BudgetExceeded, match=r"nothing was sent"):
        router.decide(ask("word " * 40_000))


@pytest.mark.parametrize(
    ("keywords", "text"),
    [
        ({"refuse_at": 1.5}, "refuse_at=1.5 is not a share of a soft budget's limit. Give a number from 1 to "
         "100 together with hard=False."),
        ({"refuse_at": 0.5, "hard": False}, "refuse_at=0.5 is not a share of a soft budget's limit. Give a "
         "number from 1 to 100 together with hard=False."),
        ({"downshift_tier": "batch"}, "downshift_tier='batch' is not a cheaper tier that a call can "
         "wait for. Give 'flex', or None."),
    ],
)  # fmt: skip
def test_what_a_low_budget_may_do_is_checked(keywords: dict[str, Any], text: str) -> None:
    """A value that cannot be is refused with what to give."""
    with pytest.raises(PolicyError) as caught:
        Budget(per_day=1, **keywords)
    assert str(caught.value) == text


def test_scopes_nest(clock: Clock) -> None:
    """Inner tags win over outer ones, the call's own over both; budgets add up."""
    router = routed(clock, Budget(per_day=1, scope="user"))
    with scoped(user="ann", team="search"), scoped(user="bob", budget=Budget(per_call=1)):
        inner = router.decide(REQUEST, scope={"team": "ads"}).allowance
    assert inner is not None
    assert dict(inner.tags) == {"user": "bob", "team": "ads"}
    assert [account.scope for account in inner.accounts] == ["user=bob"]
    assert inner.remaining == 10**12
    outside = router.decide(REQUEST).allowance
    assert outside is not None
    assert (outside.tags, outside.remaining) == ((), None)


def test_worst_case_reserves_the_most_it_can_cost(clock: Clock) -> None:
    """With worst_case the reservation is for the whole output cap that is sent."""
    router = routed(clock, Budget(per_day=1, worst_case=True))
    decision = router.decide(ask(max_tokens=100))
    assert decision.call is not None
    assert decision.call.cap is not None
    assert decision.reserve is not None
    assert decision.reserve >= decision.call.cap * 1_200_000
    with pytest.raises(BudgetExceeded):
        router.decide(ask(), budget=Budget(per_call="0.1", worst_case=True))


async def test_async_runs_settle_off_the_loop(ledger: Ledger, clock: Clock) -> None:
    """The async forms do what the others do, on every ledger."""
    router = Router(ledger=ledger, budgets=Budget(per_day=1), clock=clock)
    first = await router.abegin(await router.adecide(REQUEST))
    second = await router.abegin(await router.adecide(REQUEST))
    await second.acancel()
    assert (await first.asettle(USED))["remaining"][0]["remaining"] == "0.9997578"


def test_hours_go_by() -> None:
    """When the hour is over the money is there again."""
    now = [NOON]
    router = Router(budgets=Budget(per_hour="0.0004"), observe=False, clock=lambda: now[0])
    spent(router, router.decide(REQUEST))
    with pytest.raises(BudgetExceeded):
        router.decide(REQUEST)
    now[0] += timedelta(hours=1)
    assert router.decide(REQUEST).model == "gpt-5.6-luna"
