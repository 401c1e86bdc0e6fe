"""Caches in the choice: what a switch costs, over which horizon, and how the cache is steered."""

from __future__ import annotations

from datetime import date
from itertools import pairwise
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
from routed_llm.decide.context import EvaluationContext
from routed_llm.decide.table import prepare
from routed_llm.usage import Returns

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
    [
        (None, 4, "gpt-4.1"),
        (1.0, 4, "gpt-4.1"),
        (0.9, 4, "gpt-4.1"),
        (0.5, 1.0, "gpt-4o"),
        (0.0, 0.0, "gpt-4o"),
    ],
    ids=["unknown", "always", "more often than the policy reckons with", "every other", "never"],
)
def test_the_horizon_is_what_is_seen(followed: float | None, horizon: float, model: str) -> None:
    """A switch has to pay over as many turns as calls are seen to have, and the policy's at most."""
    facts = RequestFacts(
        tokens=TokenCount.of(10_000), previous=Previous(model="gpt-4o", prefix_tokens=9_900, age=5)
    )
    seen = Observed(returns={facts.purpose: Returns(followed, followed)})
    decision = select(facts, policy=Policy(**PAIR), catalog=Catalog.load(), at=SPRING, observed=seen)
    assert decision.switch is not None
    assert (decision.switch.horizon, decision.model) == (horizon, model)


def conversations(router: Router, turns: int, count: int, *, age: float = 5.0, between: int = 0) -> Returns:
    """Have conversations of so many turns, others in between, and return what is known of them then."""
    facts = RequestFacts(tokens=TokenCount.of(5_000))
    open_ones: list[tuple[int, RequestFacts]] = []
    for number in range(count):
        open_ones.append((1, facts.with_tokens(TokenCount.of(5_000 + number))))
        while len(open_ones) > between:
            turn, asked = open_ones.pop(0)
            decision = router.decide(Request(facts=asked, texts=(), fixed=asked.tokens.likely))
            router.begin(decision).settle(Usage(input_tokens=asked.tokens.likely, output_tokens=300))
            if turn < turns:
                previous = Previous(model=str(decision.model), prefix_tokens=asked.tokens.likely, age=age)
                grown = TokenCount.of(asked.tokens.likely + 1_000)
                open_ones.append((turn + 1, RequestFacts(tokens=grown, previous=previous)))
    return router._observer.value.returns.get(facts.purpose, Returns())


@pytest.mark.parametrize(
    ("turns", "count", "keywords", "first", "later"),
    [
        (1, 20, {}, None, None),
        (1, 200, {}, 0.0, None),
        (2, 200, {}, 1.0, 0.0),
        (4, 200, {}, 1.0, 2 / 3),
        (2, 200, {"between": 30}, 1.0, 0.0),
        (2, 200, {"age": 4_000}, 0.0, 0.0),
    ],
    ids=["too few", "single calls", "two turns", "four", "others between", "too late for the cache"],
)
def test_how_often_calls_are_followed_is_seen(
    turns: int, count: int, keywords: dict[str, Any], first: float | None, later: float | None
) -> None:
    """First calls and later ones are known apart, and what was not waited for yet is not counted."""
    found = conversations(Router(clock=lambda: AUTUMN), turns, count, **keywords)
    assert found.first == (first if first is None else pytest.approx(first, abs=0.06))
    assert found.later == (later if later is None else pytest.approx(later, abs=0.1))


@pytest.mark.parametrize(
    ("returns", "cached", "past"),
    [
        (None, 0, False),
        (Returns(0.0, 0.0), 0, True),
        (Returns(0.27, 0.0), 0, True),
        (Returns(0.29, 0.0), 0, False),
        (Returns(0.27, 0.5), 0, False),
        (Returns(0.2, 1.0), 0, True),
        (Returns(1.0, 0.0), 1_024, True),
        (Returns(1.0, 0.0), 8_960, False),
    ],
    ids=[
        "unknown", "nobody returns", "too few do, past the cache", "enough of them",
        "fewer are enough where the next would write", "not that few", "a small part is cached",
        "most of it is cached",
    ],
)  # fmt: skip
def test_a_write_is_an_investment(returns: Returns | None, cached: int, past: bool) -> None:
    """A prompt goes past the cache where reads are not expected to bring back what it costs to write."""
    previous = Previous(model="gpt-5.6-luna", effort="low", prefix_tokens=cached) if cached else None
    facts = RequestFacts(tokens=TokenCount.of(10_000), previous=previous)
    observed = Observed(returns={} if returns is None else {facts.purpose: returns})
    decision = select(facts, policy=Policy(), catalog=Catalog.load(), at=AUTUMN, observed=observed)
    assert decision.call is not None
    assert decision.chosen is not None
    assert ("prompt_cache_options" in decision.call.parameters) is past
    output = decision.chosen.output_tokens * 1_200_000
    read, rate = (0, 200_000) if past else (cached, 250_000)
    assert decision.chosen.cached_tokens == read
    assert decision.chosen.cost == read * 20_000 + (10_000 - read) * rate + output


def test_the_count_at_which_a_cache_is_passed_is_a_breakpoint() -> None:
    """Between two breakpoints costs are straight lines, what goes past the cache among them."""
    previous = Previous(model="gpt-5.6-luna", effort="low", prefix_tokens=2_000)
    facts = RequestFacts(tokens=TokenCount.of(3_000), previous=previous)
    observed = Observed(returns={facts.purpose: Returns(0.1, 0.1)})
    table = prepare(Catalog.load(), Policy(), AUTUMN)
    marks = table.breakpoints(facts, EvaluationContext(observed=observed))

    def cost(tokens: int) -> int:
        asked = facts.with_tokens(TokenCount.of(tokens))
        chosen = table.select(asked, observed=observed).chosen
        assert chosen is not None
        assert chosen.cost is not None
        return chosen.cost

    costs = [cost(tokens) for tokens in range(1_100, 14_000)]
    steps = [after - before for before, after in pairwise(costs)]
    bends = [1_101 + place for place, (before, after) in enumerate(pairwise(steps)) if before != after]
    assert bends
    assert all({at - 1, at, at + 1} & set(marks) for at in bends)


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


@pytest.mark.parametrize("given", [(), (("temperature", 0.5),)], ids=["nothing else", "a temperature"])
def test_what_others_were_sent_says_nothing_of_a_conversation(given: tuple[tuple[str, Any], ...]) -> None:
    """A keyed call gets its cache key also after calls that differ in nothing else, and these get none."""
    router = Router(policy=Policy(models="gpt-5.6-luna", at_least=None), clock=lambda: AUTUMN)
    request = Request(facts=RequestFacts(tokens=TokenCount.of(10_000), parameters=given), texts=())
    before = [router.decide(request) for _ in range(5)]
    keyed = router.decide(request, conversation="c1")
    sent = [one.call.parameters for one in (*before, keyed, router.decide(request)) if one.call]
    key = "routed-43f000a36f6d744e"
    assert sent == [*[dict(given)] * 5, {**dict(given), "prompt_cache_key": key}, dict(given)]


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
