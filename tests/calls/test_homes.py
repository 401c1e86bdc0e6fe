"""A model that is served at several places: which one answers, and what a full or failing one does."""

from __future__ import annotations

from collections import Counter
from datetime import date
from typing import Any

import pytest

from routed_llm import Catalog, CatalogError, Policy, Previous, Request, Router, read_openai

DAY = date(2026, 11, 29)
OWN = "https://api.openai.com/v1"
FREE = {"rows": [{"since": date(2026, 1, 1), "input": "0", "output": "0"}]}
DEAR = {"rows": [{"since": date(2026, 1, 1), "input": "9", "output": "9"}]}


def home(name: str, **fields: Any) -> dict[str, Any]:
    """Return a home at an address of its own, which wants no key."""
    return {"base_url": f"https://{name}.example/v1", "keyless": True, **fields}


def router(homes: dict[str, Any], **policy: Any) -> Router:
    """Return a router whose gpt-4.1 has these homes."""
    catalog = Catalog.load().with_models({"gpt-4.1": {"homes": homes}})
    wanted = Policy(**{"models": ["gpt-4.1"], "at_least": None, **policy})
    return Router(catalog=catalog, policy=wanted, clock=lambda: DAY, observe=False)


def request(model: str = "auto") -> Request:
    """Return a small request, to a model that is named or to any."""
    body = {"messages": [{"role": "user", "content": "Hi"}], "max_tokens": 300, "model": model}
    return read_openai(body, pin=model != "auto")


def served(one: Router, calls: int = 100) -> Counter[str]:
    """Count where calls go, none of which is sent."""
    return Counter(str(one.decide(request(), own=OWN).model) for _ in range(calls))


A, B = "gpt-4.1@a", "gpt-4.1@b"
CHOSEN: list[Any] = [
    # the homes, where a hundred calls go
    pytest.param({"a": home("a", prices=FREE)}, {A: 100}, id="the cheapest, where nothing is said"),
    pytest.param({"a": home("a", prices=DEAR)}, {"gpt-4.1": 100}, id="the caller's own, where that is"),
    pytest.param(
        {"own": {"order": 2}, "a": home("a", prices=DEAR, order=1)}, {A: 100}, id="the first, though dearer"
    ),
    pytest.param(
        {"own": {"weight": 1}, "a": home("a", weight=3)}, {"gpt-4.1": 25, A: 75}, id="by their weights"
    ),
    pytest.param({"own": {"weight": 0}, "a": home("a"), "b": home("b", prices=DEAR)}, {A: 100}, id="never"),
    pytest.param(
        {"own": {"order": 2}, "a": home("a", order=1, weight=1), "b": home("b", order=1, weight=1)},
        {A: 50, B: 50},
        id="weights within an order",
    ),
    pytest.param(
        {
            "own": {"order": 2},
            "a": home("a", order=1, limits={"context_window": 200, "max_input": 100, "max_output": 100}),
        },
        {"gpt-4.1": 100},
        id="the next, where the first is too small",
    ),
]


@pytest.mark.parametrize(("homes", "expected"), CHOSEN)
def test_which_home_answers(homes: dict[str, Any], expected: dict[str, int]) -> None:
    """Order comes first, then weights, then cost."""
    found = served(router(homes))
    assert found.keys() == expected.keys()
    assert all(abs(found[name] - count) <= 1 for name, count in expected.items())


def test_a_full_home_spills_over() -> None:
    """What a home takes a minute holds from the first call on; the rest goes to the next one."""
    one = router({"own": {"order": 2}, "a": home("a", order=1, requests_per_minute=10)})
    found: Counter[str] = Counter()
    for _ in range(30):
        decision = one.decide(request(), own=OWN)
        one.begin(decision)
        found[str(decision.model)] += 1
    assert found == {A: 10, "gpt-4.1": 20}
    why = one.decide(request(), own=OWN).rejected[A]
    assert "its rate limit has room for this again in " in why


def test_a_failing_home_is_left_for_another() -> None:
    """A home that fails is left alone, and the same model answers at the next one."""
    one = router({"own": {"order": 2}, "a": home("a", order=1)})
    decision = one.decide(request(), own=OWN)
    attempts = one.attempts(request(), decision, own=OWN)
    step = attempts.failed({"error": {"message": "The server had an error"}, "status": 500})
    assert step.error is None
    assert (decision.model, attempts.decision.model) == (A, "gpt-4.1")


@pytest.mark.parametrize("draw", [0.1, 0.9], ids=["the first is drawn", "the second is drawn"])
def test_whichever_home_was_drawn_another_takes_over(draw: float, monkeypatch: pytest.MonkeyPatch) -> None:
    """A home that weights have passed over is there when the one that was drawn fails."""
    one = router({"own": {"weight": 0}, "a": home("a", weight=1), "b": home("b", weight=1)})
    monkeypatch.setattr(one, "_draw", lambda _: draw)
    decision = one.decide(request(), own=OWN)
    assert decision.model == (A if draw < 0.5 else B)
    attempts = one.attempts(request(), decision, own=OWN)
    attempts.failed({"error": {"message": "The server had an error"}, "status": 500})
    assert attempts.decision.model == (B if draw < 0.5 else A)


def test_a_call_that_waited_for_a_full_home_moves_on_from_the_one_that_it_was_given() -> None:
    """What each could do stands side by side: a failure of one is answered by another."""
    one = router({"own": {"order": 3}, "a": home("a", order=1), "b": home("b", order=2)})
    attempts = one.attempts(request(), one.decide(request(), own=OWN), own=OWN)
    ways = {way.model: way for way in attempts.able()}
    assert list(ways) == [A, B, "gpt-4.1"]
    moved = one.attempts(request(), ways[B], own=OWN)
    step = moved.failed({"error": {"message": "The server had an error"}, "status": 500})
    assert (step.error, moved.decision.model) == (None, A)
    assert [way.model for way in moved.able()] == [A, "gpt-4.1"]


def test_weights_give_way_to_a_warm_cache() -> None:
    """A conversation stays where its beginning is cached."""
    one = router({"own": {"weight": 1}, "a": home("a", weight=1)})
    body = {
        "model": "auto",
        "messages": [{"role": "user", "content": "word " * 3_000}],
        "max_tokens": 20,
    }
    previous = Previous(model=A, effort=None, endpoint="chat_completions", prefix_tokens=2_900)
    found = {one.decide(read_openai(body, previous=previous), own=OWN).model for _ in range(10)}
    assert found == {A}


SLOW = {"start": 1.35, "per_million_input": 90, "per_second": 40, "source": "measured", "verified": DAY}
"""Half as slow again as gpt-4.1 is elsewhere, whose answer takes 5.7 seconds here, one in ten 9.9 or more."""

IN_TIME = [
    # the deadline in seconds, the home, the service tier that is named, whether the answer may be late
    pytest.param(15, A, None, False, id="in time at the first"),
    pytest.param(14, "gpt-4.1", None, False, id="perhaps late at the first"),
    pytest.param(10, "gpt-4.1", None, False, id="just in time at the next"),
    pytest.param(8, "gpt-4.1", "priority", False, id="in time at a tier that the first does not sell"),
    pytest.param(6, "gpt-4.1", None, True, id="perhaps late everywhere"),
]


@pytest.mark.parametrize(("deadline", "model", "tier", "late"), IN_TIME)
@pytest.mark.parametrize(
    "first", [{"order": 1}, {"order": 1, "weight": 1}], ids=["by order", "by weight within an order"]
)
def test_a_home_that_may_be_late_is_left_for_one_that_is_in_time(
    first: dict[str, Any], deadline: float, model: str, tier: str | None, late: bool
) -> None:
    """A deadline goes before the order of homes, as what is full or fails does."""
    one = router({"own": {"order": 2}, "a": home("a", speed=SLOW, **first)})
    decision = one.decide(request(), own=OWN, deadline=float(deadline))
    assert decision.call is not None
    assert (decision.model, decision.call.parameters.get("service_tier")) == (model, tier)
    assert any(change.parameter == "deadline" for change in decision.changes) is late


NAMED = [
    pytest.param({"models": ["gpt-4.1"]}, "auto", A, id="a pattern names all homes"),
    pytest.param({"incumbent": "gpt-4.1", "models": ["gpt-4.1", "gpt-5.4"]}, "auto", A, id="an incumbent"),
    pytest.param({"exclude": "gpt-4.1@a"}, "auto", "gpt-4.1", id="one is excluded"),
    pytest.param({}, "gpt-4.1", A, id="a call that names the model may go to any"),
    pytest.param({}, "gpt-4.1@a", A, id="a call may name one"),
]


@pytest.mark.parametrize(("policy", "model", "expected"), NAMED)
def test_the_names(policy: dict[str, Any], model: str, expected: str) -> None:
    """A model's name means all of its homes, a home's name that one."""
    one = router({"a": home("a", prices=FREE)}, **policy)
    assert one.decide(request(model), own=OWN).model == expected


def test_a_home_is_sent_its_own_name_and_sells_the_standard_tier() -> None:
    """A deployment has its own name; what the model's own address sells besides is not taken over."""
    one = router({"a": home("a", sent_as="prod-41", order=1), "own": {"order": 2}})
    decision = one.decide(request(), own=OWN)
    assert decision.call is not None
    assert (decision.call.model, decision.call.base_url) == ("prod-41", "https://a.example/v1")
    assert {price.tier for price in one.catalog.get(A).prices} == {"standard"}


WRONG = [
    pytest.param({"a": {"base_url": "ftp://a"}}, "homes.a.base_url", id="no address"),
    pytest.param({"a": home("a", order=0)}, "homes.a.order", id="order"),
    pytest.param({"a": home("a", weight=-1)}, "homes.a.weight", id="weight"),
    pytest.param({"a": home("a", region="eu")}, "homes.a.region", id="unknown key"),
]


@pytest.mark.parametrize(("homes", "key"), WRONG)
def test_a_home_that_is_wrong(homes: dict[str, Any], key: str) -> None:
    """A wrong entry is named by its key."""
    with pytest.raises(CatalogError) as caught:
        Catalog.load().with_models({"gpt-4.1": {"homes": homes}})
    assert key in str(caught.value)
