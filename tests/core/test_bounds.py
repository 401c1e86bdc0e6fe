"""A decision that calls itself certain is that of every exact count; near a limit the router counts."""

from __future__ import annotations

from random import Random
from typing import Any

import pytest
from core_strategies import DAYS, EDGES, EXAMPLES, POLICIES, any_facts
from core_support import AFTER, CATALOG, REVIEW, TODAY, decide, facts
from hypothesis import given
from hypothesis import strategies as st

from routed_llm import (
    Catalog,
    Decision,
    Policy,
    PolicyError,
    Previous,
    RequestFacts,
    Router,
    TokenCount,
    read_openai,
    select,
)
from routed_llm.decide.table import prepare
from routed_llm.policy import EFFORTS
from routed_llm.tokens.vocabulary import o200k_encoding


def same(one: Decision, other: Decision) -> bool:
    """Say whether two decisions send the same call to the same place."""
    return (one.model, one.effort, one.endpoint) == (other.model, other.effort, other.endpoint)


def points(asked: RequestFacts, thresholds: list[int], random: Random) -> set[int]:
    """Pick exact counts between the bounds: the ends, around every threshold, and some at random."""
    low, high = asked.tokens.low, asked.tokens.high
    near = {
        mark + shift for mark in {*thresholds, *EDGES} for shift in (-3, -1, 0, 1, 3) if low <= mark <= high
    }
    spread = {random.randint(low, high) for _ in range(12)}
    found = {point for point in near | spread if low <= point <= high}
    return {low, high, *random.sample(sorted(found), min(len(found), 30))}


@EXAMPLES
@given(asked=any_facts(exact=False), policy=POLICIES, at=DAYS, random=st.randoms(use_true_random=False))
def test_a_certain_decision_holds_for_every_count(
    asked: RequestFacts, policy: Policy, at: object, random: Random
) -> None:
    """Whatever the true count between the bounds, a decision marked certain is the one it would give."""
    try:
        table = prepare(CATALOG, policy, at)
    except PolicyError:
        return
    bounded = table.select(asked)
    if not bounded.certain:
        return
    for point in points(asked, table.breakpoints(asked), random):
        exact = table.select(asked.with_tokens(TokenCount.of(point)))
        assert same(bounded, exact), (point, bounded.chosen, exact.chosen)


BENT = [
    Policy(at_least=None, min_recall=40.0),
    Policy(at_least=None, max_cost_per_call="0.01", on_unsupported="avoid"),
    Policy(on_unsupported="avoid", min_recall=40.0),
    Policy(max_cost_per_call="0.05"),
]


def bent(seed: int) -> RequestFacts:
    """Make a bounded request that several steps of bending it may serve."""
    random = Random(seed)
    low, high = sorted(random.choice([*EDGES, random.randint(1, 1_100_000)]) for _ in range(2))
    given: dict[str, Any] = {"effort": random.choice(EFFORTS), "stream": random.random() < 0.5}
    if random.random() < 0.5:
        given |= {"tool_inputs": ["image"], "inputs": ["image"]}
    if random.random() < 0.5:
        given |= {"emulates": frozenset({"stop"}), "parameters": {"stop": ["x"], "temperature": 0.3}}
    if random.random() < 0.3:
        given["cap"] = random.choice([16, 4_096, 32_768])
    return facts((low, high), **given)


@pytest.mark.parametrize("chunk", range(7))
def test_a_certain_decision_holds_however_far_a_request_is_bent(chunk: int) -> None:
    """A step between the first and the last that serves a lower count leaves the refusal uncertain."""
    several = wrong = 0
    for seed in range(chunk * 100, chunk * 100 + 101):
        asked, policy, at = bent(seed), BENT[seed % len(BENT)], (REVIEW, TODAY, AFTER)[seed % 3]
        table = prepare(CATALOG, policy, at)
        bounded = table.select(asked)
        several += bounded.chosen is None
        if bounded.certain:
            found = points(asked, table.breakpoints(asked), Random(seed))
            wrong += any(not same(bounded, table.select(asked.with_tokens(TokenCount.of(n)))) for n in found)
    assert (wrong, several > 10) == (0, True)


def test_a_step_between_the_first_and_the_last_leaves_a_refusal_uncertain() -> None:
    """The first step refuses every count and the last one the highest; the one between serves the lowest."""
    asked = facts((1_021, 1_043_481), inputs=["image"], tool_inputs=["image"], effort="minimal", stream=True)
    table = prepare(CATALOG, Policy(at_least=None, min_recall=40.0), REVIEW)
    decisions = [table.select(asked), table.select(asked.with_tokens(TokenCount.of(1_021)))]
    assert [(it.certain, it.model) for it in decisions] == [(False, None), (True, "gpt-4.1-mini")]


@pytest.mark.parametrize(
    ("tokens", "certain", "model"),
    [
        pytest.param((10, 60_000), True, "gpt-5.6-luna", id="short prompts need no count"),
        pytest.param((900_000, 922_000), True, "gpt-5.6-luna", id="up to the last token it accepts"),
        pytest.param((900_000, 922_001), False, "gpt-4.1", id="one token more needs a count"),
    ],
)
def test_when_bounds_are_enough(tokens: tuple[int, int], certain: bool, model: str) -> None:
    """Bounds are enough until a limit lies between them; then the upper one is safe."""
    decision = decide(facts(tokens))
    assert (decision.certain, decision.model) == (certain, model)


def test_a_prefix_in_the_cache_bends_the_cost() -> None:
    """Where the cached prefix ends the cost of staying turns, so that bounds around it are no proof."""
    previous = Previous(model="gpt-4o", prefix_tokens=40_000, age=5)
    policy = Policy(models=["gpt-4o", "gpt-4.1"], at_least=None, output_tokens=1, switch_saving=0, horizon=0)
    table = prepare(CATALOG, policy, TODAY)
    asked = facts((1_500, 120_000), previous=previous)
    assert 40_000 // 128 * 128 in table.breakpoints(asked)
    models = {table.select(asked.with_tokens(TokenCount.of(n))).model for n in (1_500, 40_000, 120_000)}
    assert models == {"gpt-4o", "gpt-4.1"}
    assert not table.select(asked).certain


TINY = CATALOG.with_models(
    {
        name: {
            "limits": {"context_window": window, "max_input": most, "max_output": 8},
            "prices": {"rows": rows},
            "inputs": ["text"],
        }
        for name, window, most, rows in (
            ("tiny-cheap", 40, 32, [{"input": "0.1", "output": "0.1"}]),
            (
                "tiny-stepped",
                200,
                160,
                [
                    {"input": "0.2", "output": "0.2"},
                    {"above": 90, "input": "5", "output": "5"},
                ],
            ),
            ("tiny-flat", 120, 112, [{"input": "0.5", "output": "0.5"}]),
            ("tiny-wide", 4_000, 3_000, [{"input": "1", "output": "1"}]),
        )
    }
)
TEXTS = st.text(st.sampled_from("abc XYZ 0123 .,\n\t東京éü😀\ud800<|endoftext|>"), max_size=160) | st.text(
    max_size=80
)


def counted(texts: list[str]) -> int:
    """Count user messages with tiktoken alone, by the published rule."""
    encoding = o200k_encoding()
    return sum(len(encoding.encode_ordinary(text)) + 4 for text in texts) + 3


@EXAMPLES
@given(texts=st.lists(TEXTS, min_size=1, max_size=4))
def test_router_decides_as_a_full_count_does(texts: list[str]) -> None:
    """On models with windows of a few dozen tokens, every decision is that of tiktoken's own count."""
    policy = Policy(models="tiny-*", at_least=None)
    request = read_openai({"messages": [{"role": "user", "content": text} for text in texts]})
    exact = counted(texts)
    found = Router(catalog=TINY, policy=policy, clock=lambda: TODAY).explain(request)
    slow = select(facts(exact), policy=policy, catalog=TINY, at=TODAY)
    assert same(found, slow), (exact, found.chosen, slow.chosen)
    assert request.facts.tokens.low <= exact <= request.facts.tokens.high


def words(tokens: int, random: Random) -> str:
    """Make a text of exactly so many tokens: words of one token each."""
    encoding = o200k_encoding()
    text = "".join(random.choices([" the", " of", " and", " to", " in", " is"], k=tokens))
    assert len(encoding.encode_ordinary(text)) == tokens
    return text


@pytest.mark.parametrize(
    ("limit", "catalog_policy", "at"),
    [
        pytest.param(128_000 - 4_096, {"models": ["gpt-4o", "gpt-4.1"]}, TODAY, id="gpt-4o with its reserve"),
        pytest.param(
            272_000, {"models": ["gpt-5.1", "gpt-4.1"], "at_least": None}, TODAY, id="gpt-5.1 input"
        ),
        pytest.param(272_000, {"models": ["gpt-5.4", "gpt-4.1"], "at_least": None}, REVIEW, id="long rate"),
        pytest.param(64_000, {}, TODAY, id="long context measures"),
        pytest.param(64_000, {}, REVIEW, id="long context measures, April"),
        pytest.param(272_000, {}, AFTER, id="default pool after the shutdowns"),
    ],
)
@pytest.mark.parametrize("shift", [-3, -1, 0, 1, 3])
def test_router_is_right_at_real_limits(
    limit: int, catalog_policy: dict[str, object], at: object, shift: int
) -> None:
    """At a real window's edge the router decides as an exact count does, to the token."""
    policy = Policy(**catalog_policy)  # type: ignore[arg-type]
    text = words(limit + shift - 7, Random(limit + shift))
    request = read_openai({"messages": [{"role": "user", "content": text}]})
    found = Router(catalog=CATALOG, policy=policy, clock=lambda: at).explain(request)  # type: ignore[arg-type, return-value]
    counted = request.facts.with_tokens(TokenCount.of(limit + shift))
    assert same(found, select(counted, policy=policy, catalog=CATALOG, at=at))  # type: ignore[arg-type]


def test_catalog_of_the_tests_is_what_they_say() -> None:
    """The tiny models have their limits and steps."""
    assert isinstance(TINY, Catalog)
    assert TINY.get("tiny-cheap").limits.max_input == 32
    assert [row.above for row in TINY.get("tiny-stepped").prices] == [0, 90]
