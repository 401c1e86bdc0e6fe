"""Caches in the choice: what a switch costs, over which horizon, and how the cache is steered."""

from __future__ import annotations

from datetime import date
from typing import Any

import pytest

from routed_llm import (
    Catalog,
    Decision,
    Observed,
    Policy,
    Previous,
    Request,
    RequestFacts,
    Router,
    TokenCount,
    Usage,
    select,
)
from routed_llm.usage import Seen

SPRING, AUTUMN = date(2026, 4, 24), date(2026, 11, 22)


def decided(
    tokens: int,
    previous: Previous | None = None,
    *,
    day: date = SPRING,
    conversation: str | None = None,
    parameters: tuple[tuple[str, Any], ...] = (),
    **policy: Any,
) -> Decision:
    """Decide a plain text request of so many tokens."""
    facts = RequestFacts(tokens=TokenCount.of(tokens), previous=previous, parameters=parameters)
    router = Router(policy=Policy(**policy), clock=lambda: day)
    return router.decide(Request(facts=facts, texts=(), fixed=tokens), conversation=conversation)


PAIR: dict[str, Any] = {"models": ["gpt-4o", "gpt-4.1"], "at_least": None}
"""gpt-4.1 is the cheaper one, so only a warm cache speaks for gpt-4o."""


@pytest.mark.parametrize(
    ("prefix", "age", "horizon", "model", "price"),
    [
        pytest.param(0, None, 0, "gpt-4.1", 0, id="nothing is cached"),
        pytest.param(1_000, None, 0, "gpt-4.1", 0, id="less than a cache keeps"),
        pytest.param(9_900, None, 0, "gpt-4o", 9_856 * 1_250_000, id="the last turn stays warm"),
        pytest.param(9_900, None, 4, "gpt-4.1", 9_856 * 1_250_000, id="four more turns earn it back"),
        pytest.param(9_900, 300, 0, "gpt-4o", 9_856 * 1_250_000, id="still kept"),
        pytest.param(9_900, 301, 0, "gpt-4.1", 0, id="no longer kept"),
    ],
)
def test_a_switch_has_to_earn_back_the_prefix(
    prefix: int, age: float | None, horizon: int, model: str, price: int
) -> None:
    """The incumbent's warm prefix counts, for as long as the cache keeps it, over the turns to come."""
    decision = decided(
        10_000, Previous(model="gpt-4o", prefix_tokens=prefix, age=age), horizon=horizon, **PAIR
    )
    assert decision.model == model
    assert decision.switch is not None
    assert (decision.switch.price, decision.switch.switched) == (price, model != "gpt-4o")
    assert decision.record()["switch"] == decision.switch.to_dict()


@pytest.mark.parametrize(
    ("followed", "horizon", "model"),
    [(1.0, 4, "gpt-4.1"), (0.9, 4, "gpt-4.1"), (0.5, 1.0, "gpt-4o"), (0.0, 0.0, "gpt-4o")],
    ids=["always", "more often than the policy reckons with", "every other", "never"],
)
def test_the_horizon_is_what_is_seen(followed: float, horizon: float, model: str) -> None:
    """A switch has to pay over as many turns as calls are seen to have, and the policy's at most."""
    facts = RequestFacts(
        tokens=TokenCount.of(10_000), previous=Previous(model="gpt-4o", prefix_tokens=9_900, age=5)
    )
    seen = Observed(outputs={facts.kind: Seen(211, reuse=followed)})
    decision = select(facts, policy=Policy(**PAIR), catalog=Catalog.load(), at=SPRING, observed=seen)
    assert decision.switch is not None
    assert (decision.switch.horizon, decision.model) == (horizon, model)


def test_what_goes_on_is_seen() -> None:
    """Calls that nothing went before, or too long ago, shorten the horizon; calls that go on restore it."""
    router = Router(policy=Policy(**PAIR), clock=lambda: SPRING)

    def seen(previous: Previous | None, times: int) -> float:
        for _ in range(times):
            facts = RequestFacts(tokens=TokenCount.of(10_000), previous=previous)
            decision = router.decide(Request(facts=facts, texts=(), fixed=10_000))
            router.begin(decision).settle(Usage(input_tokens=10_000, output_tokens=300))
        found = router._observer.value.of(decision.facts)
        assert found is not None
        return found.reuse

    warm, cold = (Previous(model="gpt-4.1", prefix_tokens=9_500, age=age) for age in (5, 4_000))
    assert seen(None, 60) < 0.05
    assert seen(cold, 10) < 0.05
    assert seen(warm, 600) == pytest.approx(0.95, abs=0.1)


@pytest.mark.parametrize(("share", "model"), [(0.15, "gpt-4.1"), (0.2, "gpt-4o"), (1.0, "gpt-4o")])
def test_hysteresis(share: float, model: str) -> None:
    """A switch that saves less than the policy asks for is not made, and the Decision says so."""
    decision = decided(10_000, Previous(model="gpt-4o"), switch_saving=share, horizon=0, **PAIR)
    assert decision.model == model
    if model == "gpt-4o":
        assert decision.switch is not None
        assert decision.switch.saving is not None
        assert decision.switch.saving > 0
        assert (
            decision.why == "stays with gpt-4o: a switch would save too little for the cached prefix it loses"
        )


def test_a_switch_in_words() -> None:
    """The reason names both models."""
    decision = decided(10_000, Previous(model="gpt-4o", prefix_tokens=9_900), **PAIR)
    assert decision.why == (
        "leaves gpt-4o for gpt-4.1: the turns to come save more than the cached prefix is worth"
    )


def test_the_cold_start_pays_for_writing() -> None:
    """Where writing to the cache costs, a newcomer pays for the whole prompt, the incumbent for the rest."""
    previous = Previous(model="gpt-5.6-luna", effort="low", prefix_tokens=8_960)
    warm = decided(10_000, previous, day=AUTUMN)
    cold = decided(10_000, day=AUTUMN)
    assert warm.chosen is not None
    assert cold.chosen is not None
    assert warm.chosen.cached_tokens == 8_960
    output = cold.chosen.output_tokens * 1_200_000
    assert cold.chosen.cost == 10_000 * 250_000 + output
    assert warm.chosen.cost == 8_960 * 20_000 + 1_040 * 250_000 + output


def test_one_off_prompts_are_sent_past_the_cache() -> None:
    """With horizon=0 nothing is written where writing costs; the saving is in the estimate."""
    decision = decided(10_000, day=AUTUMN, horizon=0)
    assert decision.call is not None
    assert decision.chosen is not None
    assert decision.call.parameters == {"prompt_cache_options": {"mode": "explicit"}}
    assert decision.changes[-1].text == (
        "prompt_cache_options={'mode': 'explicit'} added: nothing will read what this call would pay to "
        "write to the prompt cache (unverified)"
    )
    assert decision.chosen.cost == 10_000 * 200_000 + decision.chosen.output_tokens * 1_200_000


@pytest.mark.parametrize(
    ("tokens", "keywords"),
    [
        pytest.param(1_000, {"horizon": 0}, id="too short for a cache"),
        pytest.param(10_000, {}, id="turns are expected"),
        pytest.param(10_000, {"horizon": 0, "models": "gpt-4.1", "at_least": None}, id="writing is free"),
        pytest.param(
            10_000, {"horizon": 0, "parameters": (("prompt_cache_key", "mine"),)}, id="the caller steers"
        ),
    ],
)
def test_otherwise_the_cache_is_left_alone(tokens: int, keywords: dict[str, Any]) -> None:
    """Nothing is added where nothing would be saved or the caller has said what to do."""
    decision = decided(tokens, **({"day": AUTUMN} | keywords))
    assert decision.call is not None
    assert "prompt_cache_options" not in decision.call.parameters


@pytest.mark.parametrize(
    ("tokens", "given", "key"),
    [
        (10_000, (), "routed-43f000a36f6d744e"),
        (1_000, (), None),
        (10_000, (("prompt_cache_key", "mine"),), "mine"),
    ],
    ids=["set", "too short", "the caller's own"],
)
def test_a_conversation_gets_a_cache_key(
    tokens: int, given: tuple[tuple[str, str], ...], key: str | None
) -> None:
    """Calls of one conversation carry one prompt_cache_key, unless the caller set one."""
    decision = decided(tokens, day=AUTUMN, conversation="c1", parameters=given)
    assert decision.call is not None
    assert decision.call.parameters.get("prompt_cache_key") == key
    added = [change for change in decision.changes if change.parameter == "prompt_cache_key"]
    assert len(added) == (key is not None and not given)


@pytest.mark.parametrize("horizon", [0, 4])
def test_a_deployment_is_not_steered_unasked(horizon: int) -> None:
    """What a deployment or a gateway may not know is not sent to it, and not reckoned with."""
    catalog = Catalog.load().with_models({"mine": {"base": "gpt-5.6-luna"}})
    policy = Policy(models="mine", at_least=None, horizon=horizon)
    facts = RequestFacts(tokens=TokenCount.of(10_000))
    router = Router(catalog=catalog, policy=policy, clock=lambda: AUTUMN)
    decision = router.decide(Request(facts=facts, texts=(), fixed=10_000), conversation="c1")
    assert decision.call is not None
    assert not {name for name in decision.call.parameters if name.startswith("prompt_cache")}
    assert decision.chosen is not None
    assert decision.chosen.cost == 10_000 * 250_000 + decision.chosen.output_tokens * 1_200_000


def test_a_tool_loop_stays() -> None:
    """In the middle of a tool loop the model that made the calls goes on, whatever it costs."""
    decision = decided(10_000, Previous(model="gpt-4o", in_tool_loop=True), **PAIR)
    assert decision.model == "gpt-4o"
