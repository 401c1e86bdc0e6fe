"""The numbers of one configuration for one request: tokens, cap, expected money. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from routed_llm.decide.speed import WINDOWS, ends_within, expected_seconds, time_line
from routed_llm.media import tokens_for
from routed_llm.pricing import (
    ANSWER_SPREAD,
    STEP_SPREAD,
    Fees,
    expected_output,
    hosted_fees,
    most_calls,
    thought_for,
)
from routed_llm.tokens.audio import input_tokens as audio_tokens
from routed_llm.usage import Returns, Spread

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from routed_llm.catalog.model import Price
    from routed_llm.decide.shape import Row
    from routed_llm.decide.speed import Pace, TimeLine
    from routed_llm.decision import Seconds
    from routed_llm.facts import RequestFacts
    from routed_llm.policy import Policy
    from routed_llm.usage import Observed, Seen

__all__ = ["DEFAULT_RESERVE", "Workload", "workload"]

DEFAULT_RESERVE = 4_096
"""Output tokens kept free in a shared window when the caller sets no cap: what gpt-4o wrote at most
when it was released (4,096 tokens, gpt-4o-2024-05-13), so that no such answer is cut short."""


@dataclass(kw_only=True, eq=False)  # read far more often than made; without slots a copy is one step
class Workload:
    """The amounts in a request that are the same for every configuration, whatever its tokens.

    Attributes:
        facts: the request, or one that differs from it in nothing but tokens.
        expected: output tokens that gpt-4o would be expected to write.
        natural: the same if the caller had set no cap.
        thought: reasoning tokens to expect for each one that is published of a configuration whose effort
            has not been seen itself (:func:`reasoning_tokens`).
        horizon: further turns to expect.
        visible: output tokens asked for, as far as any configuration in reach can write; or None.
        reserve: output tokens kept free when no cap is given.
        plain: True when there is nothing but text to count, and no hosted tool nor conversation to weigh.
        listed: whether moreover nothing is expected in a cache, and nothing goes past one, so that a cost
            follows from the price list alone (:attr:`Row.rates`).
        beside: what is counted beside the texts, by the row's place, as far as it has been worked out:
            tokens, and how many more there may be at most.
        frames: the same by what is the same for rows that count alike.
        written: expected output tokens by the row's place, as far as they have been worked out.
        reuse: the chance that another call reads what this one writes to a cache while it is kept; None
            while that is not known.
        reuse_later: the same of a call that goes on from this one.
        bypasses: whether a request may be sent past the cache: it is known how often it is read, and the
            caller does not steer it.
        worst: whether the worst case is asked for, too.
        p95: whether what nineteen of twenty such calls cost at most is asked for, too.
        hard: picodollars that the bill must not exceed, or None.
        pressure: how far budgets that run low press on output caps, from 0 (not at all) to 1.
        outputs: output tokens observed for this kind of request, by model and effort, or None when no
            two configurations have been observed.
        shared: tokens by model that such requests were seen to read from its cache, or None.
        observed: where these come from.
        paces: how quick models have been, by their ids and service tiers; None where nothing is observed.
        seen: what of it speaks of requests like this one, or None.
        media: whether there are images, audio or pages, which every model counts by its own rule.
        choices: answers asked for (``n``); each is billed.
        fees: what hosted tools cost, by model and price, as far as it has been worked out.
        lines: by the row's place the seconds of the window that its tier promises, and how long it takes, as
            far as they have been worked out.
    """

    facts: RequestFacts
    expected: float
    natural: float
    visible: int | None
    reserve: int
    plain: bool
    listed: bool
    beside: dict[int, tuple[int, int]]
    frames: dict[Any, tuple[int, int]]
    written: dict[int, int]
    fees: dict[Any, Fees]
    lines: dict[int, tuple[int, TimeLine]]
    reuse: float | None = None
    reuse_later: float | None = None
    bypasses: bool = True
    worst: bool = False
    p95: bool = False
    hard: int | None = None
    pressure: float = 0.0
    outputs: Mapping[tuple[str, str | None], float] | None = None
    shared: Mapping[str, int] | None = None
    observed: Observed | None = None
    paces: Mapping[tuple[str, str], Pace] | None = None
    choices: int = 1
    thought: float = 1.0
    horizon: float = 0.0
    media: bool = False
    seen: Seen | None = None

    def but(self, **changes: Any) -> Workload:
        """Return the same amounts, some of them changed."""
        made = object.__new__(Workload)
        made.__dict__ = {**self.__dict__, **changes}
        return made


def workload(
    facts: RequestFacts,
    policy: Policy,
    widest: int,
    observed: Observed | None = None,
    *,
    matter: str | None = None,
    worst: bool = False,
    p95: bool = False,
    pressure: float = 0.0,
    known: dict[int, tuple[int, int]] | None = None,
    frames: dict[Any, tuple[int, int]] | None = None,
) -> Workload:
    """Work out what all configurations share.

    What stands beside texts may be known: ``known`` of the same rows, ``frames`` of the request itself.
    """
    visible = None if facts.cap is None else min(facts.cap, widest) if widest else facts.cap
    media = bool(facts.images or facts.audio_seconds or facts.pdf_pages)
    plain = not (media or facts.previous or facts.builtin_tools)
    expected: float = expected_output(facts, policy.output_tokens)
    natural = expected
    if facts.cap is not None:
        natural = expected_output(facts, policy.output_tokens, capped=False)
    seen = None if observed is None else observed.of(facts)
    if seen is not None:
        expected = seen.base if facts.cap is None else min(seen.base, facts.cap)
        natural = seen.base if facts.cap is None else max(seen.base, natural)
    shared = shared_by(seen, observed)
    (reuse, later), horizon = _goes_on(facts, policy.horizon, observed)
    bypasses = reuse is not None and not (facts.parameters and facts.cache_steered)
    return Workload(
        facts=facts,
        expected=expected,
        natural=natural,
        visible=visible,
        reserve=int(expected) if expected > DEFAULT_RESERVE else DEFAULT_RESERVE,
        plain=plain,
        listed=plain and not bypasses and shared is None,
        beside={} if known is None or not plain else known,
        frames={} if frames is None else frames,
        written={},
        fees={},
        lines={},
        reuse=reuse,
        reuse_later=later,
        bypasses=bypasses,
        worst=worst,
        p95=p95,
        pressure=pressure,
        hard=policy.max_cost_pico if policy.cost_cap == "hard" else None,
        outputs=None if seen is None else seen.tokens,
        shared=shared,
        observed=observed,
        paces=None if observed is None else observed.paces,
        choices=facts.choices if facts.parameters else 1,
        thought=_thought(matter, expected, seen, observed),
        horizon=horizon,
        media=media,
        seen=seen,
    )


def endpoint_for(row: Row, facts: RequestFacts) -> str:
    """Pick the endpoint: a conversation stays on the one that holds its reasoning and tool-call ids."""
    previous = facts.previous
    if previous is not None and previous.model == row.at.model.id and previous.endpoint in row.fits:
        return previous.endpoint or row.at.endpoint
    return row.at.endpoint


def beside(load: Workload, row: Row) -> tuple[int, int]:
    """Tokens beside those of the texts by a model's own rules, and how many more there may be at most."""
    found = load.beside.get(row.order)
    if found is None:
        key = frames_of(load, row)
        found = load.frames.get(key)
        if found is None:
            count = tokens_for(load.facts, row.at.model, endpoint_for(row, load.facts), strict=False)
            found = load.frames[key] = (count.likely, count.high - count.likely)
        load.beside[row.order] = found
    return found


def frames_of(load: Workload, row: Row) -> Any:
    """Return what is the same for configurations that count as much beside texts."""
    endpoint = row.at.endpoint if load.facts.previous is None else endpoint_for(row, load.facts)
    # What stands around texts is the same for all models of a kind.
    return (row.at.model.id, endpoint) if load.media else row.at.model.framing.get(endpoint)


def growth(one: Row, other: Row, facts: RequestFacts) -> float:
    """Say by which factor one row may count more tokens than another, images and the like left out.

    Of a conversation an eighth is its frames at most; functions, schemas and calls have larger ones.
    """
    mine = one.at.model.framing.get(endpoint_for(one, facts))
    theirs = other.at.model.framing.get(endpoint_for(other, facts))
    if mine is theirs or (mine is not None and theirs is not None and mine.is_within(theirs)):
        return 1.0
    return 5.0 if is_framed(facts) else 1.25


def is_framed(facts: RequestFacts) -> bool:
    """Say whether there is more than messages in a request."""
    framed = facts.framed
    return bool(framed.tools or framed.schemas or framed.calls)


def shared_by(seen: Seen | None, observed: Observed | None) -> Mapping[str, int] | None:
    """Return the tokens by model that a cache is expected to hold of a request, or None."""
    if observed is not None and observed.warm is not None:
        return observed.warm or None
    return None if seen is None else seen.shared


def _goes_on(facts: RequestFacts, most: int, observed: Observed | None) -> tuple[Returns, float]:
    """Say how likely another call goes on from this one, and from that; and how many turns there will be."""
    if not most:
        return Returns(0.0, 0.0), 0.0  # the policy's word
    found = None if observed is None or not observed.returns else observed.returns.get(facts.purpose)
    if found is None:
        return _UNKNOWN, most
    share = found.first if facts.previous is None else found.later
    return Returns(share, found.later), most if share is None else found.further(share, most)


_UNKNOWN = Returns()


def _thought(matter: str | None, expected: float, seen: Seen | None, observed: Observed | None) -> float:
    if seen is not None:
        return seen.thought
    # No model sees the caller's cap; but one that is short says what kind of answer is wanted.
    published = thought_for(expected, matter)
    if observed is not None and observed.thought is not None:
        return published * observed.thought
    return published


def cap_of(row: Row, load: Workload, tokens: int) -> int | None:
    """Say which output cap to send beside so many input tokens; None where the caller asked for none."""
    limits = row.at.model.limits
    room = limits.context_window - tokens - beside(load, row)[1]
    cap = output_cap(load.visible, row.room, limits.max_output, room)
    if load.pressure and load.visible is None and not (load.facts.structured or load.facts.tools):
        # An answer in a form, a call of a tool, and one whose length the caller has set is not cut shorter.
        cap = min(tight_output(row, load), limits.max_output)
    if load.hard is None:
        return cap
    paid_for = affordable_output(row, load, tokens)
    if cap is None:
        return None if paid_for is None or paid_for >= limits.max_output else paid_for
    return cap if paid_for is None else min(cap, paid_for)


def output_cap(asked: int | None, room: int, max_output: int, free: int) -> int | None:
    """Say which output cap to send.

    Args:
        asked: the cap the caller wants for the answer, or None.
        room: tokens to leave for reasoning above it, since reasoning counts against the cap.
        max_output: the model's own limit.
        free: tokens left in the window after the input.

    Returns:
        The cap to send, or None when the caller asked for none.
    """
    if asked is None:
        return None
    least = min(asked, max_output)
    return max(least, min(asked + room, max_output, free))


def affordable_output(row: Row, load: Workload, tokens: int) -> int | None:
    """Output tokens of each answer that a hard cap on the bill pays for; None without a price or a cap.

    Negative where it does not even pay for the input, of which nothing is taken to be cached.
    """
    tokens += beside(load, row)[1]
    price = price_of(row, tokens)
    if price is None or load.hard is None:
        return None
    left = load.hard - (fees_of(row, load, price).worst if row.fees else 0)
    left = left * 100 // (100 + row.surcharge) - _worst_input(price, load, tokens)
    each = max(price.output, price.audio_output or 0) * load.choices
    return left // each if each else _MANY


def usual_output(row: Row, load: Workload, tokens: int) -> int:
    """Output tokens of an answer that there must be room for under a hard cap on the bill."""
    usual = _usual(row, load)
    cap = cap_of(row, load.but(hard=None), tokens)
    return usual if cap is None else min(usual, cap)


def tight_output(row: Row, load: Workload) -> int:
    """Output tokens that an answer gets while a budget runs low: from eight times to what is usual."""
    return int(_usual(row, load) * _LOOSE ** (1 - load.pressure))


_LOOSE = 8


def _usual(row: Row, load: Workload) -> int:
    return int(output_tokens(row, load) / load.choices * _USUAL) + 1


_USUAL = 1.6
"""Times the expected output that nine of ten calls stay within: of 55 answers of nine configurations
nine of ten thought up to 1.59 times the mean (petergpt/bullshit-benchmark, collection of 2026-05-02)."""


def output_kept(row: Row, load: Workload) -> int:
    """Output tokens that must fit into the window beside the input."""
    need, most = load.reserve if load.visible is None else load.visible, row.at.model.limits.max_output
    return need if need < most else most


def most_input(row: Row, load: Workload) -> int:
    """The most input tokens that leave room for the output; -1 when the model never writes that much.

    Tokens as they are weighed: what may come on top of them is left free, too.
    """
    limits, asked = row.at.model.limits, load.visible
    if asked is not None and asked > limits.max_output:
        return -1
    room = limits.context_window - output_kept(row, load)
    return (room if room < limits.max_input else limits.max_input) - beside(load, row)[1]


def cost_breakpoints(row: Row, load: Workload) -> set[int]:
    """List the input token counts beyond which the cost of a configuration is another straight line."""
    found = {row.above} if row.above else set()
    if row.write_from:
        found.add(row.write_from - 1)
    terms, previous = row.at.model.cache, load.facts.previous
    shared = 0 if load.shared is None else load.shared.get(row.at.model.id, 0)
    if terms is None:
        return found
    if shared:
        found |= {shared, terms.min_prefix - 1}
    if previous is not None and previous.model == row.at.model.id:
        found |= {previous.prefix_tokens // terms.step * terms.step, terms.min_prefix - 1}
    if load.bypasses and len(found) > 1:
        found |= set(_past_cache_from(row, load))
    return found


def _past_cache_from(row: Row, load: Workload) -> Iterator[int]:
    """Give the input tokens up to which what is cached is worth what it costs to write the rest."""
    for price, most in ((row.short, row.above or _MANY), (row.long, _MANY)):
        if price is None or price.cache_write is None or not _can_bypass(row):
            continue
        lost = _lost(price, row, load)
        if lost > 0:
            cached = cached_tokens(row, load, most)
            yield cached + int(cached * (price.input - _read_price(price)) / lost)


_MANY = 10**9


def output_tokens(row: Row, load: Workload) -> int:
    """Expected output tokens of a configuration, reasoning and every choice included."""
    known = load.written.get(row.order)
    if known is None:
        known = load.written[row.order] = _output_tokens(row, load)
    return known


def reasoning_tokens(row: Row, load: Workload) -> float:
    """Expected reasoning tokens of a configuration for one choice."""
    seen = load.seen
    if seen is None or seen.by_effort is None:
        return load.thought * row.reasoning
    return seen.by_effort.get(row.name[1], load.thought) * row.reasoning


def _output_tokens(row: Row, load: Workload) -> int:
    amount, thought = load.expected * row.ratio, reasoning_tokens(row, load)
    if load.visible is not None:
        # Room for reasoning is room for text, too, until it is cut here: that is billed.
        amount = load.natural * row.ratio if row.room else min(amount, load.visible)
    amount += thought
    if load.outputs is not None:
        amount = load.outputs.get(row.name, amount)
    # Rounded up, but for a millionth: 50 * 1.1 is a little more than 55.
    out = int(amount + _ALMOST_ONE)
    if load.visible is not None and out > load.visible + row.room:
        out = load.visible + row.room
    most = row.at.model.limits.max_output
    return (out if out < most else most) * load.choices


_ALMOST_ONE = 1 - 1e-6


def cached_tokens(row: Row, load: Workload, tokens: int) -> int:
    """Input tokens that the configuration's prompt cache is expected to hold."""
    terms, model = row.at.model.cache, row.at.model.id
    if terms is None or tokens < terms.min_prefix:
        return 0
    # A mean over calls, some of which found nothing: it may be less than any cache keeps.
    shared = 0 if load.shared is None else min(load.shared.get(model, 0), tokens)
    previous = load.facts.previous
    if previous is None:
        return shared
    if previous.prefix_tokens:
        # What came after the last turn is in no cache.
        shared = min(shared, previous.prefix_tokens)
    if previous.model != model or (previous.age is not None and previous.age > terms.ttl):
        return shared
    usable = min(previous.prefix_tokens // terms.step * terms.step, tokens)
    if usable < terms.min_prefix or (load.observed is not None and load.observed.skipped):
        return shared
    share = 1.0 if load.observed is None else load.observed.reads.get(model, 1.0)
    return max(usable if share >= 1.0 else int(usable * share), shared)


def row_cost(row: Row, load: Workload, tokens: int) -> int | None:
    """Expected picodollars of a configuration, or None when no price is known."""
    output = load.written.get(row.order)
    if output is None:
        output = output_tokens(row, load)
    if not (load.listed and row.rates):
        return priced(row, load, tokens, cached_tokens(row, load, tokens), output)
    for up_to, rate, written in row.rates:
        if tokens <= up_to:
            total = rate * tokens + written * output
            return total * (100 + row.surcharge) // 100 if row.surcharge else total
    return None


def priced(row: Row, load: Workload, tokens: int, cached: int, output: int) -> int | None:
    """Picodollars of so many tokens, or None when no price is known."""
    price = price_of(row, tokens)
    if price is None:
        return None
    total = input_cost(price, row, load, tokens, cached) + output * price.output
    total = total * (100 + row.surcharge) // 100 if row.surcharge else total
    return total + fees_of(row, load, price).mean if row.fees else total


def fees_of(row: Row, load: Workload, price: Price) -> Fees:
    """Say what the hosted tools cost that a request offers, with the tokens that they read."""
    key = (row.at.model.id, price.input)
    found = load.fees.get(key)
    if found is None:
        found = load.fees[key] = hosted_fees(row.fees, load.facts, price, hosted_calls_allowed(row, load))
    return found


def hosted_calls_allowed(row: Row, load: Workload) -> int | None:
    """Return the most calls of hosted tools that are sent for: the caller's, or what a hard cap needs.

    None without a limit, and where every answer is one call.
    """
    most = most_calls(load.facts)
    if most is not None or load.hard is None or any(fee.always for fee in row.fees.values()):
        return most
    return max(sum(fee.quantiles[1] for fee in row.fees.values()), 1)


def price_of(row: Row, tokens: int) -> Price | None:
    """The price row for so many input tokens, or None when no price is known."""
    return row.long if row.above and tokens > row.above else row.short


def goes_past_cache(row: Row, load: Workload, tokens: int, cached: int) -> bool:
    """Say whether the call is worth sending past the cache, which it then neither reads nor writes.

    What is written costs more than what is not, and saves where another call reads it: the write is an
    investment that is made where, with the chance that this is so, it returns what it costs.
    """
    if not load.bypasses or not row.write_from or tokens < row.write_from:
        return False
    price = price_of(row, tokens)
    if price is None or price.cache_write is None or not _can_bypass(row):
        return False
    return (tokens - cached) * _lost(price, row, load) > cached * (price.input - _read_price(price))


def _lost(price: Price, row: Row, load: Workload) -> float:
    """Say what a token loses that is written to a cache: negative where reads are expected to bring it back.

    The call that goes on from this one has to write what it does not find, unless it goes past the cache,
    too; which it does not while nothing is known.
    """
    dearer, read = (price.cache_write or price.input) - price.input, _read_price(price)
    found, written = load.reuse or 0.0, dearer + price.input - read
    if load.observed is not None and load.observed.reads:
        found *= load.observed.reads.get(row.at.model.id, 1.0)
    next_writes = load.reuse_later is None or load.reuse_later * written > dearer
    return dearer - found * (written if next_writes else price.input - read)


def _read_price(price: Price) -> int:
    return price.input if price.cached_input is None else price.cached_input


def steerable(row: Row) -> bool:
    """Say whether the cache may be steered unasked: a deployment may refuse what it does not know."""
    return row.at.model.base is None and row.at.model.base_url is None


def _can_bypass(row: Row) -> bool:
    terms = row.at.model.cache
    return terms is not None and terms.control == "prompt_cache_options" and steerable(row)


def worst_cost(row: Row, load: Workload, tokens: int) -> int | None:
    """The most picodollars that a call can cost: nothing cached, everything written, the cap used up."""
    cap = cap_of(row, load, tokens)
    tokens += beside(load, row)[1]
    limits, price = row.at.model.limits, price_of(row, tokens)
    if price is None:
        return None
    most = min(limits.max_output, max(limits.context_window - tokens, 1)) if cap is None else cap
    most *= load.choices
    total = _worst_input(price, load, tokens) + most * max(price.output, price.audio_output or 0)
    fees = fees_of(row, load, price).worst if row.fees else 0
    return -(-total * (100 + row.surcharge) // 100) + fees


def _worst_input(price: Price, load: Workload, tokens: int) -> int:
    """The most picodollars that so many input tokens can cost: nothing cached, everything written."""
    rate = max(price.input, price.cache_write or 0)
    total = tokens * rate
    if load.facts.audio_seconds and price.audio_input is not None:
        total += audio_tokens(load.facts.audio_seconds) * max(price.audio_input - rate, 0)
    return total


def spread_of(row: Row, load: Workload, tokens: int, cost: int | None, seen: Spread | None) -> Spread | None:
    """Say how far the bill of a configuration may lie from what is expected; None without a price.

    What was seen of such calls, or else what published answers were, for each token that was expected; no
    more than there can be, which a cap may have made less than other answers of the kind were.
    """
    found = seen or _published_spread(row, load, tokens, cost)
    most = worst_cost(row, load, tokens)
    if found is None or not cost or most is None or found.p95 * cost <= most:
        return found
    return Spread(*[min(times, most / cost) for times in found])


def _published_spread(row: Row, load: Workload, tokens: int, cost: int | None) -> Spread | None:
    price = price_of(row, tokens)
    if not cost or price is None:
        return None
    written = STEP_SPREAD if load.facts.tools else ANSWER_SPREAD
    part = min(output_tokens(row, load) * price.output / cost, 1.0)
    if not row.fees:
        return Spread(*[1 - part + part * times for times in written])
    fees = fees_of(row, load, price)
    rest = 1 - part - fees.mean / cost
    paid = [most / cost for most in fees.quantiles]
    return Spread(*[rest + part * times + more for times, more in zip(written, paid, strict=True)])


def reserved(row: Row, load: Workload, tokens: int, most: int, cost: int) -> int:
    """Picodollars by which a call is admitted and which are held while it runs: the most that is asked for.

    Args:
        row: the configuration.
        load: the request's amounts.
        tokens: input tokens, as well as they are known.
        most: the most that they may be.
        cost: what is expected.
    """
    if load.worst:
        worst = worst_cost(row, load, most)
        return cost if worst is None else worst
    if not load.p95:
        return cost
    seen = None if load.observed is None else load.observed.spread(row.name, load.facts)
    spread = spread_of(row, load, tokens, cost, seen)
    return cost if spread is None else max(int(cost * spread.p95), cost)


def kept_thought(stay: Row, load: Workload) -> int:
    """Tokens of reasoning handed back that only the model which thought them can read, others not."""
    framing, framed = stay.at.model.framing.get(endpoint_for(stay, load.facts)), load.facts.framed
    return 0 if framing is None else framing.thought * framed.thought + framing.recalled * framed.recalled


def conversation_cost(row: Row, load: Workload, text_tokens: int, again: int = 0) -> int | None:
    """Expected picodollars of this call and of the further turns that are expected.

    A further turn reads what this call sends from the cache, as long as the pauses stay as they are.

    Args:
        row: the configuration.
        load: the request's amounts.
        text_tokens: tokens of its text.
        again: tokens of reasoning that the model which answered before has of the conversation
            (:func:`kept_thought`): any other has to think them once more.
    """
    tokens = text_tokens + beside(load, row)[0]
    price, output = price_of(row, tokens), output_tokens(row, load)
    cached = 0 if load.plain and load.shared is None else cached_tokens(row, load, tokens)
    now = priced(row, load, tokens, cached, output)
    previous, terms = load.facts.previous, row.at.model.cache
    if now is None or price is None:
        return now
    if again and previous is not None and previous.model != row.at.model.id:
        now += again * price.output
    if not load.horizon:
        return now
    kept = 0
    if terms is not None and (previous is None or previous.age is None or previous.age <= terms.ttl):
        kept = tokens // terms.step * terms.step
        kept = kept if kept >= terms.min_prefix else 0
    read = price.input if price.cached_input is None else price.cached_input
    later = kept * read + (tokens - kept) * price.input + output * price.output
    later = later * (100 + row.surcharge) // 100 if row.surcharge else later
    later += fees_of(row, load, price).mean if row.fees else 0
    if previous is None or not 0 < previous.prefix_tokens < tokens:
        return now + int(load.horizon * later)
    # The less of this call stood in the one before, the less a further turn will take from this one.
    return now + int(load.horizon * later * previous.prefix_tokens / tokens)


def cold_cost(row: Row, load: Workload, tokens: int) -> int | None:
    """Expected picodollars of a configuration if its cache held nothing."""
    return priced(row, load, tokens, 0, output_tokens(row, load))


def input_cost(price: Price, row: Row, load: Workload, tokens: int, cached: int) -> int:
    """Expected picodollars of the input, a data-residency surcharge left out."""
    rate = price.input
    if row.write_from and goes_past_cache(row, load, tokens, cached):
        cached = 0
    # Where writes are charged, whatever is not read from the cache is written to it.
    elif price.cache_write is not None and row.write_from and tokens >= row.write_from:
        rate = price.cache_write
    total = (tokens - cached) * rate + (cached * _read_price(price) if cached else 0)
    if load.facts.audio_seconds and price.audio_input is not None:
        audio = audio_tokens(load.facts.audio_seconds)
        total += audio * (price.audio_input - rate)
    return total


def recall_of(row: Row, tokens: int) -> float | None:
    """Return what is published of a configuration's recall at so many tokens."""
    bins = [up_to for up_to in row.recall if up_to >= tokens]
    return row.recall[min(bins)] if bins else None


def words_and_thought(row: Row, load: Workload) -> tuple[float, float]:
    """Return the tokens that are expected to be said and those to be thought, of one choice."""
    whole = output_tokens(row, load) / load.choices
    thought = min(reasoning_tokens(row, load), whole)
    return whole - thought, thought


def pace_at(row: Row, load: Workload) -> Pace:
    """Return how quick a configuration has been seen to be, or else is published to be."""
    if not load.paces:
        return row.pace
    return load.paces.get((row.at.model.id, row.tier), row.pace)


def uncached_tokens(row: Row, load: Workload, tokens: int) -> int:
    """Return the input tokens that no cache is expected to hold."""
    if load.plain and load.shared is None:
        return tokens
    return tokens - cached_tokens(row, load, tokens)


def row_seconds(row: Row, load: Workload, tokens: int) -> Seconds:
    """Predict how long a configuration takes for so many input tokens."""
    said, thought = words_and_thought(row, load)
    pace = pace_at(row, load)
    found = expected_seconds(pace, uncached_tokens(row, load, tokens), thought, said)
    window = 0 if pace.calls else WINDOWS.get(row.tier, 0)
    if window:  # what is promised there is a window, however quick the model itself is
        return found._replace(first_p90=max(window, found.first_p90), whole_p90=max(window, found.whole_p90))
    return found


def row_ends_within(row: Row, load: Workload, tokens: int, most: float) -> bool | None:
    """Say quickly whether nine of ten answers end in so many seconds; None where it has to be worked out."""
    known = load.lines.get(row.order)
    if known is None:
        pace, (said, thought) = pace_at(row, load), words_and_thought(row, load)
        window = 0 if pace.calls else WINDOWS.get(row.tier, 0)
        known = load.lines[row.order] = window, time_line(pace, thought, said)
    window, line = known
    if window > most:
        return False
    plain = load.plain and load.shared is None
    return ends_within(most, line, tokens if plain else uncached_tokens(row, load, tokens))


def row_wait(row: Row, load: Workload, tokens: int) -> float:
    """Return the seconds that a caller waits, in the median: for a stream's first token, else for the end."""
    whole, thought = output_tokens(row, load) / load.choices, reasoning_tokens(row, load)
    thought = thought if thought < whole else whole
    pace, fresh = pace_at(row, load), uncached_tokens(row, load, tokens) if tokens else 0
    # As `speed.medians` has it, without a call for each configuration.
    first = pace.start + pace.per_input * fresh + thought / pace.per_second
    return first if load.facts.stream else first + (whole - thought) / pace.per_second
