"""cost() beside genai-prices, on every priced model, tier and kind of usage, to the last digit."""

from __future__ import annotations

import random
from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Any

import pytest

from routed_llm import Catalog, Model, Usage, cost

genai_prices = pytest.importorskip("genai_prices")
AT = date(2026, 11, 22)
MOMENT = datetime(2026, 11, 22, 12, tzinfo=UTC)
CATALOG = Catalog.load()
USAGES = 1_000
PER_MODEL = 125

KINDS = ["short", "long", "cached", "cache write", "batch", "flex", "priority", "audio"]

DIFFERENCES = {
    "gpt-4.1 batch cached_input": "the pricing page prints no cached batch rate",
    "gpt-4.1-mini batch cached_input": "the pricing page prints no cached batch rate",
    "gpt-4.1-nano batch cached_input": "the pricing page prints no cached batch rate",
    "gpt-4o batch cached_input": "the pricing page prints no cached batch rate",
    "gpt-4o-mini batch cached_input": "the pricing page prints no cached batch rate",
    "gpt-4o-mini-search-preview batch cached_input": "the pricing page prints no cached batch rate",
    "gpt-4o-audio-preview standard audio_input": "genai-prices bills its audio as text",
    "gpt-4o-audio-preview standard audio_output": "genai-prices bills its audio as text",
    "gpt-5.4 priority above 272,000 output": "long prompts on priority are processed at standard rates",
    "gpt-5.5-pro batch above 272,000 input": "only litellm has a long batch rate; the dearer one is taken",
    "gpt-5.5-pro batch above 272,000 output": "only litellm has a long batch rate; the dearer one is taken",
    "gpt-5.5-pro flex above 272,000 input": "only litellm has a long flex rate; the dearer one is taken",
    "gpt-5.5-pro flex above 272,000 output": "only litellm has a long flex rate; the dearer one is taken",
    "gpt-6-astra-law": "given on application, not in genai-prices yet",
    "gpt-6.2-astra": "released on 2026-11-17, not in genai-prices yet",
    "gpt-6.2-sol": "released on 2026-11-17, not in genai-prices yet",
}
"""Every price on which the two differ, and why the catalog's is kept."""


def name(difference: Any) -> str:
    """Name a difference without its amounts."""
    return str(difference).split(":")[0]


def test_all_differences_have_a_reason() -> None:
    """check_prices lists exactly the differences that are explained here."""
    assert {name(found) for found in CATALOG.check_prices(AT)} == set(DIFFERENCES)


def test_a_difference_in_words() -> None:
    """A difference says both amounts."""
    said = {name(found): str(found) for found in CATALOG.check_prices(AT)}
    assert said["gpt-4o batch cached_input"] == (
        "gpt-4o batch cached_input: none here, $1.25 in genai-prices"
    )
    assert said["gpt-6.2-sol"] == "gpt-6.2-sol: not in genai-prices"


def entry_of(model: Model) -> Any:
    """Find a model in genai-prices, or None."""
    from genai_prices.data_snapshot import get_snapshot

    (provider,) = (found for found in get_snapshot().providers if found.id == "openai")
    return next((found for found in provider.models if found.is_match(model.sent_as)), None)


def usage(kind: str, row: Any, tier: str | None, rng: random.Random) -> Usage:
    """Draw a usage of one kind."""
    low, high = (272_001, 900_000) if kind == "long" else (1, 272_000)
    tokens = rng.choice([low, high, rng.randint(low, high)])
    cached = rng.randint(0, tokens) if kind != "cache write" and row.cached_input is not None else 0
    written = rng.randint(0, tokens - cached) if row.cache_write is not None else 0
    audio = rng.randint(0, tokens - cached - written) if row.audio_input is not None else 0
    output = rng.randint(0, 128_000)
    return Usage(
        input_tokens=tokens,
        cached_tokens=cached if kind != "short" else 0,
        cache_write_tokens=written if kind in ("cache write", "long", "flex", "priority", "batch") else 0,
        output_tokens=output,
        audio_input_tokens=audio if kind == "audio" else 0,
        audio_cached_tokens=rng.randint(0, min(audio, cached)) if kind == "audio" else 0,
        audio_output_tokens=rng.randint(0, output) if kind == "audio" and row.audio_output is not None else 0,
        service_tier=tier,
    )


def theirs(prices: Any, used: Usage) -> Decimal:
    """Ask genai-prices what a usage costs."""
    amounts = genai_prices.Usage(
        input_tokens=used.input_tokens,
        cache_read_tokens=used.cached_tokens,
        cache_write_tokens=used.cache_write_tokens,
        output_tokens=used.output_tokens,
        input_audio_tokens=used.audio_input_tokens,
        cache_audio_read_tokens=used.audio_cached_tokens,
        output_audio_tokens=used.audio_output_tokens,
    )
    return Decimal(prices.calc_price(amounts)["total_price"])


@pytest.mark.parametrize("kind", KINDS)
def test_cost_is_what_genai_prices_says(kind: str) -> None:
    """On thousands of random usages both come to the same amount, to the last digit."""
    tier = kind if kind in ("batch", "flex", "priority") else None
    context = {"processing": "batch"} if tier == "batch" else {"service_tier": tier} if tier else None
    rng, tried = random.Random(kind), 0
    for model in CATALOG:
        row, entry = model.price(AT, tier=tier or "standard"), entry_of(model)
        if row is None or entry is None or (kind == "audio") != (row.audio_input is not None):
            continue
        known = [reason for reason in DIFFERENCES if reason.split()[0] == model.id]
        prices = entry.get_prices(MOMENT, context)
        for _ in range(PER_MODEL):
            used = usage(kind, row, tier, rng)
            if known and is_excused(model, used, tier or "standard", known):
                continue
            assert cost(used, model, AT) == theirs(prices, used), (model.id, used)
            tried += 1
    assert tried >= (USAGES if kind != "audio" else USAGES // 2)


def is_excused(model: Model, used: Usage, tier: str, known: list[str]) -> bool:
    """Say whether a usage touches one of the listed differences."""
    for reason in known:
        _, *words = reason.split()
        if not words or words[0] != tier:
            continue
        if words[-1] == "cached_input" and used.cached_tokens:
            return True
        if words[-1].startswith("audio") and (used.audio_input_tokens or used.audio_output_tokens):
            return True
        if "above" in words and used.input_tokens > 272_000:
            return True
    return False


def test_live_prices() -> None:
    """With live prices nothing differs but the models that genai-prices does not know."""
    live = CATALOG.with_live_prices(AT)
    left = {found.model for found in live.check_prices(AT) if found.tier}
    assert left <= {"gpt-4o-audio-preview"}
    used = Usage(input_tokens=1_000_000, output_tokens=0)
    before, after = date(2026, 7, 10), AT
    luna = live.get("gpt-5.6-luna")
    assert (cost(used, luna, before), cost(used, luna, after)) == (Decimal(2), Decimal("0.4"))
    assert live.get("gpt-6.2-sol").prices == CATALOG.get("gpt-6.2-sol").prices


@pytest.mark.parametrize(
    ("used", "model", "regional", "dollars"),
    [
        (Usage(input_tokens=272_000, output_tokens=1_000), "gpt-5.4", False, "0.695"),
        (Usage(input_tokens=272_001, output_tokens=1_000), "gpt-5.4", False, "1.382505"),
        (Usage(input_tokens=10_000, cached_tokens=8_000, output_tokens=100), "gpt-4o", False, "0.016"),
        (
            Usage(input_tokens=10_000, cached_tokens=8_000, cache_write_tokens=2_000, output_tokens=100),
            "gpt-5.6-luna",
            False,
            "0.00078",
        ),
        (Usage(input_tokens=1_000_000, output_tokens=0), "gpt-5.4", True, "5.5"),
        (Usage(input_tokens=1_000_000, output_tokens=0), "gpt-5.2", True, "1.75"),
        (Usage(input_tokens=100, output_tokens=10, service_tier="fast"), "gpt-5.6-luna", False, "0.000064"),
    ],
    ids=["short at 272,000", "long at 272,001", "cached", "written", "regional", "older model", "fast"],
)
def test_worked_examples(used: Usage, model: str, regional: bool, dollars: str) -> None:
    """Sums that a person has done by hand."""
    assert cost(used, CATALOG.get(model), AT, regional=regional) == Decimal(dollars)
