"""A deadline lets a decision choose the service tier, too: each at its price and with its time."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from routed_llm import NoModelFits, Policy, Request, Router, TokenCount, read_openai
from routed_llm.tokens import counting

NOW = datetime(2026, 11, 29, 12, tzinfo=UTC)
EVERY = ("flex", "priority", "ultrafast", "batch", "background_2h", "background_8h")
POOL = ("gpt-6.2-sol", "gpt-4.1")
ESSAY = {"messages": [{"role": "user", "content": "Write an essay on time. " * 20}], "max_tokens": 1200}


def router(**policy: Any) -> Router:
    """Return a router at noon."""
    return Router(
        policy=Policy(**{"models": POOL, "at_least": None, **policy}), clock=lambda: NOW, observe=False
    )


def request(**fields: Any) -> Request:
    """Return the essay, asked for with some fields more."""
    return read_openai({"model": "auto", **ESSAY, **fields})


CHOSEN = [
    # the models, the deadline, what is on offer, the tier that is chosen
    pytest.param(POOL, 60.0, EVERY, "standard", id="a minute"),
    pytest.param(["gpt-4.1"], 8.0, EVERY, "priority", id="eight seconds"),
    pytest.param(["gpt-6.2-sol"], 7_199.0, EVERY, "standard", id="just under two hours"),
    pytest.param(["gpt-6.2-sol"], 7_200.0, EVERY, "background_2h", id="two hours"),
    pytest.param(["gpt-6.2-sol"], 28_800.0, EVERY, "background_8h", id="eight hours"),
    pytest.param(["gpt-6.2-sol"], 86_400.0, EVERY, "batch", id="a day"),
    pytest.param(["gpt-6.2-sol"], 86_400.0, (), "standard", id="a day, but nothing else on offer"),
    pytest.param(["gpt-5.4"], 900.0, EVERY, "flex", id="a quarter of an hour, where flex is sold"),
    pytest.param(["gpt-6.2-sol"], NOW + timedelta(hours=9), EVERY, "background_8h", id="a moment"),
]


@pytest.mark.parametrize(("models", "deadline", "offered", "tier"), CHOSEN)
def test_the_tier_that_is_chosen(models: Any, deadline: Any, offered: tuple[str, ...], tier: str) -> None:
    """The cheapest tier that is expected to be in time is chosen, at its own price."""
    decision = router(models=models).decide(request(), deadline=deadline, tiers=offered)
    assert decision.policy is not None
    assert decision.policy.service_tier == tier
    by_policy = router(models=models, deadline=deadline).decide(request(), tiers=offered)
    assert (by_policy.call, by_policy.dollars) == (decision.call, decision.dollars)
    named = Policy(models=models, at_least=None, service_tier=tier)
    usual = router(models=models).decide(request(), policy=named, deadline=1e9)
    assert decision.dollars == usual.dollars


SENT = [
    pytest.param(["gpt-4.1"], 8.0, {"service_tier": "priority"}, id="priority"),
    pytest.param(["gpt-5.4"], 900.0, {"service_tier": "flex"}, id="flex"),
    pytest.param(["gpt-4.1"], 60.0, {}, id="standard is not named"),
]


@pytest.mark.parametrize(("models", "deadline", "sent"), SENT)
def test_the_request_names_its_tier(models: list[str], deadline: float, sent: dict[str, str]) -> None:
    """What is chosen is asked for, with a Change that says why."""
    decision = router(models=models).decide(request(), deadline=deadline)
    assert decision.call is not None
    assert dict(decision.call.parameters) == sent
    said = [change.text for change in decision.changes if change.parameter == "service_tier"]
    tier = sent.get("service_tier")
    why = "it costs least of what is expected to be in time"
    assert said == ([f"service_tier={tier!r} added: {why}"] if tier else [])


def test_a_tier_that_the_program_names_stays() -> None:
    """Who names a tier has chosen it."""
    decision = router(models=["gpt-5.4"]).decide(request(service_tier="priority"), deadline=900.0)
    assert decision.changes[-1].parameter != "service_tier"
    assert decision.seconds is not None
    assert decision.seconds.whole_p90 < 900


def test_a_deadline_that_nothing_is_sure_to_meet() -> None:
    """The quickest is taken, with a Change, where it is in time more often than not."""
    pool = {"models": ["gpt-4.1", "gpt-4o"]}
    quick = router(**pool, optimize="latency").decide(request())
    assert quick.seconds is not None
    deadline = (quick.seconds.whole + quick.seconds.whole_p90) / 2
    decision = router(**pool).decide(request(), deadline=deadline, tiers=())
    assert decision.model == quick.model
    assert [change.parameter for change in decision.changes if change.action == "relaxed"] == ["deadline"]


@pytest.mark.parametrize("deadline", [0.1, NOW - timedelta(seconds=1)], ids=["too soon", "over"])
def test_a_deadline_that_nothing_meets(deadline: Any) -> None:
    """It is refused before anything is sent, with what each would take."""
    with pytest.raises(NoModelFits) as caught:
        router().decide(request(), deadline=deadline)
    assert "gpt-4.1 is expected to end nine of ten answers within 12 s, and the deadline is in 0" in str(
        caught.value
    )
    assert str(caught.value).endswith("Set a later deadline, or lower the output cap.")


SIZES = [
    pytest.param("Write an essay on time. " * 4, id="short"),
    pytest.param("Write an essay on time. " * 1_500, id="long"),
    pytest.param("Écris un essai sur le temps. " * 600, id="not ASCII"),
]
WITHIN = [
    # the policy, the deadline, the tiers on offer
    pytest.param({}, 60.0, (), id="a minute"),
    pytest.param({}, 2_000.0, EVERY, id="a cheaper tier"),
    pytest.param({}, 90_000.0, EVERY, id="a day"),
    pytest.param({"models": ["gpt-4.1"], "max_cost_per_call": 1}, 60.0, (), id="and a cap on cost"),
]


@pytest.mark.parametrize("text", SIZES)
@pytest.mark.parametrize(("policy", "deadline", "tiers"), WITHIN)
def test_nothing_is_counted_where_bounds_decide(
    policy: dict[str, Any],
    deadline: float,
    tiers: tuple[str, ...],
    text: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The choice of a model and a tier needs no exact count where it is the same at every possible one."""
    monkeypatch.setattr(counting, "default_counter", lambda: pytest.fail("a text was counted"))
    asked = read_openai({"messages": [{"role": "user", "content": text}]})
    for _ in range(3):
        decision = router(**policy).decide(asked, deadline=deadline, tiers=tiers)
        assert decision.certain
    for count in (asked.facts.tokens.low, asked.facts.tokens.likely, len(text.encode())):
        exact = replace(asked, facts=asked.facts.with_tokens(TokenCount.of(count)))
        found = router(**policy).decide(exact, deadline=deadline, tiers=tiers)
        assert (found.model, found.effort) == (decision.model, decision.effort)
        assert found.policy == decision.policy


def test_what_the_bounds_leave_open_is_counted() -> None:
    """Where the count says whether a quicker tier is needed, it is counted, and the text decides."""
    words = "time " * 9_000
    long = router(models=["gpt-4.1"], output_tokens=100).decide(
        read_openai({"messages": [{"role": "user", "content": words}]}), deadline=5.0
    )
    assert long.facts.tokens.exact
    assert long.policy is not None
    assert long.policy.service_tier == "priority"
