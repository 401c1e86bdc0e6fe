"""Money: exact costs from usage, tiers, caches, audio, surcharges, and the estimates before a call."""
# ruff: noqa: E501 - tables of one case a row

from __future__ import annotations

from datetime import date
from decimal import Decimal
from typing import Any

import pytest
from core_support import CATALOG, REVIEW, TODAY, decide, facts

from routed_llm import Previous, Usage, cost
from routed_llm.pricing import matter_of, thought_for, tier_of

COSTS = [
    ("plain", "gpt-4o", TODAY, {"input_tokens": 1_000, "output_tokens": 500}, "0.0075"),
    ("nothing used", "gpt-4o", TODAY, {}, "0"),
    ("cached input", "gpt-4o", TODAY, {"input_tokens": 10_000, "cached_tokens": 8_960}, "0.0138"),
    ("cache writes", "gpt-5.6-luna", TODAY, {"input_tokens": 10_000, "cache_write_tokens": 4_000}, "0.0022"),
    ("reads and writes", "gpt-5.6-luna", TODAY,
     {"input_tokens": 10_000, "cached_tokens": 6_000, "cache_write_tokens": 4_000}, "0.00112"),
    ("reasoning is output", "gpt-5.4", TODAY, {"output_tokens": 1_000, "reasoning_tokens": 900}, "0.015"),
    ("the batch tier", "gpt-4o", TODAY, {"input_tokens": 1_000_000, "service_tier": "batch"}, "1.25"),
    ("the priority tier", "gpt-4.1", TODAY, {"input_tokens": 1_000_000, "service_tier": "priority"}, "3.5"),
    ("the tier named fast", "gpt-4.1", TODAY, {"input_tokens": 1_000_000, "service_tier": "fast"}, "3.5"),
    ("a window in the background", "gpt-6.2-sol", date(2026, 11, 29), {"output_tokens": 1_000_000, "service_tier": "background_8h"}, "6"),
    ("a window that the model has no price for", "gpt-5.4", date(2026, 11, 29), {"output_tokens": 1_000_000, "service_tier": "background_2h"}, "15"),
    ("ultrafast at its first price", "gpt-6.2-sol", date(2027, 2, 28), {"output_tokens": 1_000_000, "service_tier": "ultrafast"}, "30"),
    ("ultrafast at its later price", "gpt-6.2-sol", date(2027, 3, 1), {"output_tokens": 1_000_000, "service_tier": "ultrafast"}, "60"),
    ("the tier named default", "gpt-4.1", TODAY, {"input_tokens": 1_000_000, "service_tier": "default"}, "2"),
    ("long input with a cache", "gpt-5.4", TODAY, {"input_tokens": 300_000, "cached_tokens": 100_000}, "1.05"),
    ("a price of that day", "gpt-5.6-luna", date(2026, 7, 15), {"input_tokens": 1_000_000}, "2"),
    ("today's price", "gpt-5.6-luna", TODAY, {"input_tokens": 100_000}, "0.02"),
    ("audio in and out", "gpt-audio-1.5", TODAY, {"input_tokens": 1_100, "audio_input_tokens": 1_000,
     "output_tokens": 210, "audio_output_tokens": 200}, "0.04515"),
    ("audio tokens on a model without audio prices", "gpt-4o", TODAY,
     {"input_tokens": 1_000, "audio_input_tokens": 1_000}, "0.0025"),
]  # fmt: skip


@pytest.mark.parametrize(
    ("model", "at", "used", "dollars"), [item[1:] for item in COSTS], ids=[item[0] for item in COSTS]
)
def test_costs(model: str, at: date, used: dict[str, Any], dollars: str) -> None:
    """What a finished call costs, to the last digit."""
    assert cost(Usage(**used), CATALOG.get(model), at) == Decimal(dollars)


@pytest.mark.parametrize(
    ("model", "at", "tier"),
    [
        pytest.param("gpt-4o", TODAY, "flex", id="a tier that is not sold"),
        pytest.param("gpt-5.6-luna", REVIEW, None, id="before the first price"),
    ],
)
def test_an_unknown_price_is_not_free(model: str, at: date, tier: str | None) -> None:
    """Where no price is known there is no cost, rather than none to pay."""
    assert cost(Usage(input_tokens=5, service_tier=tier), CATALOG.get(model), at) is None


def test_the_regional_surcharge() -> None:
    """Models that cost 10% more on data-residency endpoints do so, rounded up to a whole picodollar."""
    used = Usage(input_tokens=1_000, output_tokens=100)
    assert cost(used, CATALOG.get("gpt-5.4"), TODAY, regional=True) == Decimal("0.0044")
    assert cost(used, CATALOG.get("gpt-4o"), TODAY, regional=True) == Decimal("0.0035")


@pytest.mark.parametrize(
    ("named", "tier"),
    [(None, "standard"), ("default", "standard"), ("auto", "standard"), ("scale", "standard"), ("fast", "priority"),
     ("flex", "flex"), ("priority", "priority"), ("batch", "batch")],
)  # fmt: skip
def test_tiers(named: str | None, tier: str) -> None:
    """What a response calls its tier is the row its price stands in."""
    assert tier_of(named) == tier


ESTIMATES = [
    ("211 tokens out unless more is known", facts(1_000), {"models": "gpt-4o"}, "0.00461", 1_000, 211),
    ("a step of an agent says less", facts(1_000, tools=3), {"models": "gpt-4o"}, "0.00309", 1_000, 59),
    ("and thinks less", facts(1_000, tools=3), {"models": "gpt-5.6-luna", "effort": "low"}, "0.0003128", 1_000, 94),
    ("a cap is the most there can be", facts(1_000, cap=10), {"models": "gpt-4o"}, "0.0026", 1_000, 10),
    ("what the policy expects", facts(1_000), {"models": "gpt-4o", "output_tokens": 1_000}, "0.0125", 1_000, 1_000),
    ("more than it can write", facts(1_000), {"models": "gpt-4o", "output_tokens": 99_999}, "0.16634", 1_000, 16_384),
    ("every choice is billed", facts(1_000, parameters={"n": 3}), {"models": "gpt-4o"}, "0.00883", 1_000, 633),
    ("every choice has its cap", facts(1_000, cap=10, parameters={"n": 3}), {"models": "gpt-4o"}, "0.0028", 1_000, 30),
    ("reasoning is written, too", facts(1_000), {"models": "gpt-5.6-luna", "effort": "low"}, "0.0005816", 1_000, 318),
    ("ratios are exact: 50 * 1.1 is 55", facts(1_000), {"models": "gpt-5.6-luna", "effort": "none",
     "at_least": None, "output_tokens": 50}, "0.000266", 1_000, 55),
    ("an image at gpt-4o's rule", facts(1_000, images=[(1_024, 1_024)]), {"models": "gpt-4o"}, "0.0065225", 1_765, 211),
    ("a voice clip", facts(1_000, audio_seconds=10), {"models": "gpt-audio-1.5"}, "0.00781", 1_100, 211),
    ("a tier of its own", facts(1_000, service_tier="priority"), {"models": "gpt-4o"}, "0.007837", 1_000, 211),
]  # fmt: skip


@pytest.mark.parametrize(
    ("asked", "policy", "dollars", "tokens_in", "tokens_out"),
    [item[1:] for item in ESTIMATES],
    ids=[item[0] for item in ESTIMATES],
)
def test_estimates(asked: Any, policy: dict[str, Any], dollars: str, tokens_in: int, tokens_out: int) -> None:
    """What a call is expected to cost, with the tokens it rests on."""
    chosen = decide(asked, **policy).chosen
    assert chosen is not None
    assert (str(chosen.dollars), chosen.input_tokens, chosen.output_tokens) == (
        dollars,
        tokens_in,
        tokens_out,
    )


def test_a_cached_prefix_costs_half_on_gpt_4o() -> None:
    """Only the model that answered before reads its cache, in steps of 128 tokens from 1,024 on."""
    asked = facts(10_000, previous=Previous(model="gpt-4o", prefix_tokens=9_000, age=5))
    chosen = decide(asked, models="gpt-4o").chosen
    assert chosen is not None
    assert chosen.cached_tokens == 8_960
    assert chosen.dollars == Decimal("0.01591")
    short = facts(1_500, previous=Previous(model="gpt-4o", prefix_tokens=1_023, age=5))
    brief = decide(short, models="gpt-4o").chosen
    assert brief is not None
    assert brief.cached_tokens == 0


@pytest.mark.parametrize(
    ("usage", "expected"),
    [
        pytest.param(
            {"prompt_tokens": 9, "completion_tokens": 4, "prompt_tokens_details": {"cached_tokens": 3, "audio_tokens": 2},
             "completion_tokens_details": {"reasoning_tokens": 1, "audio_tokens": 2}},
            Usage(input_tokens=9, output_tokens=4, cached_tokens=3, audio_input_tokens=2, reasoning_tokens=1,
                  audio_output_tokens=2), id="Chat Completions",
        ),
        pytest.param(
            {"input_tokens": 9, "output_tokens": 4, "input_tokens_details": {"cached_tokens": 3, "cache_write_tokens": 5},
             "output_tokens_details": {"reasoning_tokens": 1}},
            Usage(input_tokens=9, output_tokens=4, cached_tokens=3, cache_write_tokens=5, reasoning_tokens=1),
            id="Responses",
        ),
        pytest.param({"prompt_tokens": 9, "prompt_tokens_details": None}, Usage(input_tokens=9), id="nulls"),
        pytest.param({}, Usage(), id="nothing"),
    ],
)  # fmt: skip
def test_usage_of_both_endpoints(usage: dict[str, Any], expected: Usage) -> None:
    """Both endpoints' names are understood."""
    assert Usage.from_openai(usage) == expected
    assert Usage.from_openai(usage, service_tier="flex").service_tier == "flex"


@pytest.mark.parametrize(
    ("inputs", "functions", "long", "words", "most"),
    [
        ({"text"}, False, False, 16, 0.158),
        ({"text"}, False, False, 386, 0.35),
        ({"text"}, False, False, 10**6, 1.03),
        ({"text"}, False, True, 100, 0.25),
        ({"text"}, False, True, 4_000, 0.30),
        ({"text", "image"}, False, True, 10**6, 0.59),
        ({"text", "pdf"}, False, False, 211, 0.301),
        ({"text", "image"}, True, True, 386, 0.16),
    ],
    ids=[
        "a few words", "as many as were measured", "a book", "from a long text", "a long answer from a long text",
        "a book about an image", "a page", "a step of an agent",
    ],
)  # fmt: skip
def test_thought_by_what_a_request_is_about(
    inputs: set[str], functions: bool, long: bool, words: int, most: float
) -> None:
    """The longer the answer the more is thought, but no more than hard questions of its kind took."""
    matter = matter_of(inputs, functions=functions, long=long)
    assert thought_for(words, matter) == pytest.approx(most, abs=0.001)
