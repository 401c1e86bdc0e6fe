"""What a call costs: exactly, from its usage, and in expectation, from its facts. Pure."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from datetime import date
from decimal import Decimal
from typing import TYPE_CHECKING, Final, NamedTuple

from routed_llm.budget import PICO

if TYPE_CHECKING:
    from routed_llm.catalog import Model
    from routed_llm.catalog.model import Fee, Price
    from routed_llm.facts import RequestFacts
    from routed_llm.usage import Usage

__all__ = [
    "ANSWER_SPREAD",
    "DEFAULT_OUTPUT_TOKENS",
    "STEP_OUTPUT_TOKENS",
    "STEP_SPREAD",
    "Fees",
    "Writes",
    "cost",
    "cost_pico",
    "expected_output",
    "hosted_fees",
    "matter_of",
    "most_calls",
    "thought_for",
    "tier_of",
    "writes",
]

DEFAULT_OUTPUT_TOKENS = 211
"""Output tokens that gpt-4o is expected to write when neither a cap nor a policy says otherwise: the
mean of 19,366 production chat requests (Azure/AzurePublicDataset, AzureLLMInferenceTrace_conv, 2023)."""

STEP_OUTPUT_TOKENS = 59
"""The same for a request that offers functions, a step of an agent: the mean of 2,454 messages of gpt-4o
(sierra-research/tau-bench, historical_trajectories/gpt-4o-airline.json, 2024, counted in o200k_base)."""

ANSWER_SPREAD: Final = (0.61, 2.0, 2.15)
"""What half of these answers, nine of ten and nineteen of twenty had at most, for each token of the mean."""

STEP_SPREAD: Final = (0.5, 2.45, 2.95)
"""The same of the steps of agents: 2131 calls of four models (sierra-research/tau2-bench, 2025 and 2026)."""

_TIERS = {
    None: "standard",
    "default": "standard",
    "auto": "standard",
    "fast": "priority",
    "scale": "standard",
}


def tier_of(service_tier: str | None) -> str:
    """Turn a response's ``service_tier`` into the name of a price tier."""
    return _TIERS.get(service_tier, service_tier or "standard")


def cost(usage: Usage, model: Model, at: date, *, regional: bool = False) -> Decimal | None:
    """Say what a finished call costs in US dollars.

    Prices are the catalog's rows that hold on the day; above a model's long-context threshold the
    long rate prices the whole request.

    Args:
        usage: what the provider reported; its ``service_tier`` picks the tier.
        model: the model that served the call.
        at: the day of the call.
        regional: whether a data-residency endpoint was used.

    Returns:
        The exact amount, or None when no price is known (which is not free of charge).
    """
    pico = cost_pico(usage, model, at, regional=regional)
    return None if pico is None else Decimal(pico) / PICO


def cost_pico(usage: Usage, model: Model, at: date, *, regional: bool = False) -> int | None:
    """Say what a finished call costs in picodollars; see :func:`cost`."""
    tier = tier_of(usage.service_tier)
    row = model.price(at, tier=tier, input_tokens=usage.input_tokens)
    if row is None:
        return None
    total = row.of(usage)
    if regional and model.regional_surcharge:
        total = -(-total * (100 + model.regional_surcharge) // 100)
    for tool, setup, calls in usage.hosted:
        fee = model.fee(tool, at)
        if fee is not None:
            total += calls * (fee.of(setup) + fee.block * row.input)
    return total


class Fees(NamedTuple):
    """Picodollars for the hosted tools of a request: prices of their calls, and of what these read.

    Attributes:
        mean: what is expected.
        quantiles: what half of such requests, nine of ten and nineteen of twenty cost at most.
        worst: the most that is expected; searches may read more.
    """

    mean: int
    quantiles: tuple[int, int, int]
    worst: int


def most_calls(facts: RequestFacts) -> int | None:
    """Return the most calls of hosted tools that a request allows (``max_tool_calls``), or None."""
    asked = facts.parameter("max_tool_calls")
    return asked if isinstance(asked, int) and not isinstance(asked, bool) and asked >= 0 else None


def hosted_fees(fees: Mapping[str, Fee], facts: RequestFacts, price: Price, most: int | None = None) -> Fees:
    """Say what the hosted tools that a request offers cost it beside its other tokens.

    Args:
        fees: hosted tool to what it costs.
        facts: the request.
        price: what the tokens cost that a call reads.
        most: the most calls that are allowed, or None.
    """
    mean, worst, dearest, calls = 0.0, 0, 0, 0.0
    quantiles = [0, 0, 0]
    setups, forced = dict(facts.setups), facts.tool_choice in ("required", "named") and not facts.tools
    for tool, fee in fees.items():
        if facts.tool_choice == "none" and not fee.always:
            continue
        one = fee.of(setups.get(tool, "")) + (fee.block + fee.reads) * price.input
        # What one container costs at worst grows with its memory as its price does.
        each = max(fee.of(setups.get(tool, "")) * fee.most // (fee.each or 1), 0)
        at_most = each + (fee.block + fee.reads_most) * max(price.input, price.cache_write or 0)
        usual = max(fee.calls, 1.0) if forced else fee.calls
        allowed = fee.most_calls if most is None or fee.always else most
        calls += min(usual, allowed)
        mean += min(usual, allowed) * one
        for place, count in enumerate(fee.quantiles):
            quantiles[place] += min(max(count, 1) if forced else count, allowed) * one
        worst, dearest = worst + fee.most_calls * at_most, max(dearest, at_most)
    if most is not None and calls > most:
        # The calls that are allowed are shared by all tools.
        mean *= most / calls
    worst = worst if most is None or any(fee.always for fee in fees.values()) else most * dearest
    return Fees(int(mean), (quantiles[0], quantiles[1], quantiles[2]), worst)


class Writes(NamedTuple):
    """What a configuration is published to write.

    Attributes:
        ratio: tokens that can be seen, for each one that gpt-4o would write.
        reasoning: tokens spent on reasoning in a call whose answer is as long as gpt-4o's are on average
            (:data:`DEFAULT_OUTPUT_TOKENS`).
    """

    ratio: float
    reasoning: float


def writes(model: Model, effort: str | None) -> Writes:
    """Split what a configuration is published to write into what is said and what is thought.

    Published is the output of a whole run, at several efforts. The least effort, which does not reason,
    shows how wordy the model is; what another effort writes above that is reasoning. Where an effort was seen
    to think more or less about ordinary questions than others do, it is taken to do so about all.
    """
    published = model.output_ratio
    whole = published.get(effort or "", 1.0)
    still = next((published[name] for name in _STILL if name in published), min(whole, 1.0))
    # A published run may have said less at a higher effort than without any.
    still = min(still, whole)
    seen = model.thought.get(effort or "")
    return Writes(still, (whole - still) * DEFAULT_OUTPUT_TOKENS if seen is None else seen / _OF_PUBLISHED)


_STILL = ("", "none", "minimal")
"""Efforts at which nothing is thought: a published run shows no reasoning tokens at them."""


def matter_of(inputs: Collection[str], *, functions: bool, long: bool) -> str | None:
    """Name what a request is about, as far as reasoning is published of it.

    Args:
        inputs: what it is made of: ``text``, ``image``, ``pdf``, ...
        functions: whether it offers functions to call.
        long: whether its text is so long that the answer is likely to stand in it.

    Returns:
        ``step`` (of an agent), ``images`` (pages, too), ``long_text``, or None for any other question.
    """
    if functions:
        return "step"
    if "image" in inputs or "pdf" in inputs:
        return "images"
    return "long_text" if long else None


def thought_for(words: float, matter: str | None = None) -> float:
    """Say how much of the published reasoning is expected for an answer of so many words of gpt-4o's.

    What is published of whole runs (:func:`writes`) comes from hard questions. On ordinary ones fourteen
    configurations at efforts from low to xhigh spent 0.13 to 0.64 of it, in the mean 0.35, where gpt-4o
    answered in 386 tokens (petergpt/bullshit-benchmark, both sets, 155 questions, collection statistics of
    2026-05-02 and 2026-07-10: the catalog's models under ``[thought]``). A longer answer took little more:
    twice the tokens 1.2 times the reasoning (25 answers of gpt-5.6-luna and gpt-5.6-terra at effort low).

    A step of an agent takes less thought: in the agents' loops of Artificial Analysis v4.3.2 gpt-5.6-luna and
    gpt-5.6-terra wrote 1.2 times (low) to 20 times (max) the tokens a task that they wrote at none, which for
    answers of :data:`STEP_OUTPUT_TOKENS` is 0.16 of what whole runs spent, in the geometric mean of their
    eight efforts. Recorded calls to toy functions spent less still. What is observed replaces all of this.

    However long the answer, no more is expected than what hard questions of the kind took. An answer that
    stands in a text of 94,000 tokens took 0.30 of whole runs' reasoning (AA-LCR, median of 32 configurations
    from gpt-5 to gpt-5.6), one about images 0.59 (MMMU-Pro, 32), one from memory 0.66 (Omniscience, 35), an
    exam's 1.03 (GPQA, 35; Artificial Analysis, reasoning tokens by test, 2026-07-10).

    Args:
        words: tokens that gpt-4o would write, which does not reason.
        matter: what the request is about (:func:`matter_of`).
    """
    share = _OF_PUBLISHED_FOR_STEPS if matter == "step" else _OF_PUBLISHED
    return min(share * float((words / _ANSWERED) ** _GROWS), _AT_MOST.get(matter or "", 1.03))


_OF_PUBLISHED = 0.35
_OF_PUBLISHED_FOR_STEPS = 0.16
_AT_MOST = {"long_text": 0.30, "images": 0.59}
_ANSWERED = 386
_GROWS = 0.25


def expected_output(facts: RequestFacts, expected: int | None, *, capped: bool = True) -> int:
    """Say how many tokens gpt-4o would be expected to write for a request; it does not reason.

    Args:
        facts: the request.
        expected: what the policy expects, or None.
        capped: whether the caller's cap ends the answer.
    """
    base = expected or (STEP_OUTPUT_TOKENS if facts.tools else DEFAULT_OUTPUT_TOKENS)
    if facts.cap is None or facts.cap >= base:
        return base
    if capped:
        return facts.cap
    # No model sees the cap; but whoever sets a short one mostly asks for a short answer.
    return base if expected else facts.cap + int(_ENDED_BY_CAP * (base - facts.cap))


_ENDED_BY_CAP = 0.27
"""The share of answers that a cap of at most 512 tokens ended: 10 of 37 recorded calls of four public test
suites (2023 to 2026)."""
