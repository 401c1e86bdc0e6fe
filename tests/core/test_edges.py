"""At the edge: what a limit allows exactly, and amounts that are easily left out of a sum."""

from __future__ import annotations

from datetime import date
from typing import Any

import pytest
from core_support import CATALOG, codes, decide, facts

from routed_llm import Catalog, TokenCount
from routed_llm.budget import PICO
from routed_llm.decide.inputs import likely_tokens
from routed_llm.media import tokens_for
from routed_llm.usage import Seen

GPT_4O = {"models": ["gpt-4o"], "at_least": None}


@pytest.mark.parametrize(
    ("n", "choices"), [(None, 1), (0, 1), (1, 1), (2, 2), (128, 128), (129, 1), ("2", 1)]
)
def test_choices(n: Any, choices: int) -> None:
    """As many as are asked for, up to the most that there can be."""
    assert facts(parameters={} if n is None else {"n": n}).choices == choices


@pytest.mark.parametrize(("density", "tokens"), [(1.1, 110), (0.5, 80), (2.0, 120), (1.0, 100)])
def test_a_density_leaves_the_bounds(density: float, tokens: int) -> None:
    """What was seen corrects an estimate, within what is certain of the text."""
    asked = facts().with_tokens(TokenCount(80, 100, 120))
    assert likely_tokens(asked, Seen(base=1.0, density=density)) == tokens
    assert likely_tokens(asked, None) == 100


def test_pages_count_as_images() -> None:
    """Beside its text every page of a document is an image, for limits and for money."""
    model = CATALOG.get("gpt-4o")
    none, three = (tokens_for(facts(pdf_pages=pages), model, "chat_completions") for pages in (0, 3))
    assert three.likely > none.likely
    assert three.high - none.high == 3 * 1_100  # more than any page on record


@pytest.mark.parametrize(("least", "chosen"), [(31.9, "gpt-4o"), (32.0, None)])
def test_recall_at_equality(least: float, chosen: str | None) -> None:
    """What is published to find exactly as much as is asked for will do."""
    assert decide(facts(100_000), min_recall=least, **GPT_4O).model == chosen


@pytest.mark.parametrize(
    ("model", "tokens", "cap", "expected"),
    [
        pytest.param("gpt-4o", 128_000, 100, ["window"], id="the longest input, and no room to answer"),
        pytest.param("gpt-5.4", 922_001, 127_999, ["max_input"], id="one token too long, and just room"),
        pytest.param("gpt-4o", 128_001, 100, ["max_input", "window"], id="both"),
    ],
)
def test_a_refusal_names_the_limits_that_were_not_kept(
    model: str, tokens: int, cap: int, expected: list[str]
) -> None:
    """And no limit that is reached exactly."""
    found = decide(facts(tokens, cap=cap), models=[model], at_least=None, effort=None)
    assert found.model is None
    assert {code for code in codes(found, model) if code in ("max_input", "window")} == set(expected)


def priced(**prices: str) -> Catalog:
    """Return a catalog with a model at prices of its own, a million tokens each."""
    since = date(2026, 1, 1)
    rows = [{"since": since, "input": "1", "output": "10", **prices}]
    return CATALOG.with_models(
        {"mine": {"base": "gpt-4o", "prices": {"source": "here", "verified": since, "rows": rows}}}
    )


@pytest.mark.parametrize(
    ("prices", "n", "dollars"),
    [
        pytest.param({}, 1, 1_000 * 1 + 100 * 10, id="one answer"),
        pytest.param({}, 3, 1_000 * 1 + 300 * 10, id="n answers"),
        pytest.param({"cache_write": "1.25"}, 1, 1_250 + 100 * 10, id="everything is written to the cache"),
    ],
)
def test_the_worst_case(prices: dict[str, str], n: int, dollars: int) -> None:
    """All that is sent is written, nothing is read, and every answer uses up its cap."""
    asked = facts(1_000, cap=100, parameters={"n": n})
    found = decide(asked, catalog=priced(**prices), models=["mine"], at_least=None)
    assert found.chosen is not None
    assert found.explanation.worst_cost == dollars * PICO // 1_000_000
