"""The numbers of one configuration for one request: tokens, cap, expected money. Pure."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

from routed_llm.media import media_tokens
from routed_llm.parameters import output_cap
from routed_llm.pricing import expected_output
from routed_llm.rules import Weighed
from routed_llm.tokens.audio import input_tokens as audio_tokens

if TYPE_CHECKING:
    from routed_llm.catalog.model import Price
    from routed_llm.facts import RequestFacts
    from routed_llm.policy import Policy
    from routed_llm.selector.shape import Row

__all__ = ["DEFAULT_RESERVE", "Load", "load", "weigh"]

DEFAULT_RESERVE = 4_096
"""Output tokens kept free in a shared window when the caller sets no cap: what gpt-4o wrote at most
when it was released (4,096 tokens, gpt-4o-2024-05-13), so that no such answer is cut short."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Load:
    """The amounts in a request that are the same for every configuration.

    Attributes:
        facts: the request.
        expected: output tokens that gpt-4o would be expected to write.
        visible: output tokens asked for, as far as any configuration in reach can write; or None.
        reserve: output tokens kept free when no cap is given.
        plain: True when there is nothing but text to count and no conversation to weigh.
    """

    facts: RequestFacts
    expected: int
    visible: int | None
    reserve: int
    plain: bool


def load(facts: RequestFacts, policy: Policy, widest: int) -> Load:
    """Work out what all configurations share."""
    visible = None if facts.cap is None else min(facts.cap, widest) if widest else facts.cap
    plain = not (facts.images or facts.audio_seconds or facts.pdf_pages or facts.previous)
    expected = expected_output(facts, policy.output_tokens)
    return Load(
        facts=facts,
        expected=expected,
        visible=visible,
        reserve=expected if expected > DEFAULT_RESERVE else DEFAULT_RESERVE,
        plain=plain,
    )


def weigh(row: Row, load: Load, text_tokens: int) -> Weighed:
    """Work out the numbers of one configuration, given the text's token count."""
    facts, model = load.facts, row.at.model
    tokens = text_tokens + (0 if load.plain else media_tokens(facts, model))
    limits = model.limits
    cap = output_cap(load.visible, row.room, limits.max_output, limits.context_window - tokens)
    reserve = min(load.reserve, limits.max_output) if cap is None else cap
    return Weighed(
        input_tokens=tokens,
        cap=cap,
        visible=load.visible,
        reserve=reserve,
        cost=row_cost(row, load, tokens),
        about="" if facts.tokens.exact else "about ",
        recall=_recall(row, tokens),
    )


def misfits(row: Row, load: Load, tokens: int) -> bool:
    """Say whether a limit of the model rules the row out; the rules say which one."""
    limits = row.at.model.limits
    need = load.visible
    if need is None:
        need = min(load.reserve, limits.max_output)
    elif need > limits.max_output:
        return True
    return tokens > limits.max_input or tokens + need > limits.context_window


def row_thresholds(row: Row, load: Load) -> set[int]:
    """List the text token counts beyond which the row's limits, rates or figures change."""
    weighed = weigh(row, load, 0)
    media, limits = weighed.input_tokens, row.at.model.limits
    need = min(load.reserve, limits.max_output) if load.visible is None else load.visible
    found = {limits.max_input - media, limits.context_window - need - media}
    found.update(up_to - media for up_to in row.recall)
    if row.above:
        found.add(row.above - media)
    if row.write_from:
        found.add(row.write_from - 1 - media)
    previous, terms = load.facts.previous, row.at.model.cache
    if previous is not None and terms is not None and previous.model == row.at.model.id:
        found.update(
            (previous.prefix_tokens // terms.step * terms.step - media, terms.min_prefix - 1 - media)
        )
    return found


def output_tokens(row: Row, load: Load) -> int:
    """Expected output tokens of a configuration, reasoning included."""
    out = math.ceil(load.expected * row.ratio)
    if load.visible is not None:
        out = min(out, load.visible + row.room)
    return min(out, row.at.model.limits.max_output)


def cached_tokens(row: Row, load: Load, tokens: int) -> int:
    """Input tokens that the configuration's prompt cache is expected to hold."""
    previous = load.facts.previous
    if previous is None or previous.model != row.at.model.id or row.at.model.cache is None:
        return 0
    terms = row.at.model.cache
    if previous.age is not None and previous.age > terms.ttl:
        return 0
    usable = min(previous.prefix_tokens // terms.step * terms.step, tokens)
    return usable if usable >= terms.min_prefix else 0


def row_cost(row: Row, load: Load, tokens: int) -> int | None:
    """Expected picodollars of a configuration, or None when no price is known."""
    price = row.long if row.above and tokens > row.above else row.short
    if price is None:
        return None
    cached = 0 if load.plain else cached_tokens(row, load, tokens)
    total = _input_cost(price, row, load, tokens, cached) + output_tokens(row, load) * price.output
    return total * (100 + row.surcharge) // 100 if row.surcharge else total


def _input_cost(price: Price, row: Row, load: Load, tokens: int, cached: int) -> int:
    fresh = tokens - cached
    rate = price.input
    # Where writes are charged, whatever is not read from the cache is written to it.
    if price.cache_write is not None and row.write_from and tokens >= row.write_from:
        rate = price.cache_write
    total = fresh * rate
    if cached:
        total += cached * (price.input if price.cached_input is None else price.cached_input)
    if load.facts.audio_seconds and price.audio_input is not None:
        audio = audio_tokens(load.facts.audio_seconds)
        total += audio * (price.audio_input - rate)
    return total


def _recall(row: Row, tokens: int) -> tuple[float | None, int]:
    bins = [up_to for up_to in row.recall if up_to >= tokens]
    return (row.recall[min(bins)] if bins else None, tokens)
