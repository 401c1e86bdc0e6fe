"""A second way to the same choice: slow, on fractions, straight from the catalog's data and the rules' words.

It covers requests of text for which the call names no model. It shares nothing with the selector but the
catalog, so where both agree, pruning, kept shapes and integer shortcuts changed nothing.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator
from dataclasses import replace
from datetime import date
from fractions import Fraction
from typing import Any

from core_support import CATALOG

from routed_llm import Model, Policy, RequestFacts
from routed_llm.catalog.model import ParameterRule, Price
from routed_llm.policy import EFFORTS

Configuration = tuple[Model, str | None, str]

_CORE = [
    "overall", "science", "maths", "coding", "instructions", "tools", "knowledge", "vision", "long_context",
    "language",
]  # fmt: skip
_OF_TASK = {
    "general": [], "coding": ["coding"], "reasoning": ["science", "maths"], "vision": ["vision"],
    "long_context": ["long_context"], "tool_use": ["tools"], "knowledge": ["knowledge"],
    "multilingual": ["multilingual"], "summary": ["faithful_summary"], "restraint": ["restraint"],
}  # fmt: skip
_SOFT = {"temperature", "top_p", "presence_penalty", "frequency_penalty", "seed", "verbosity"}
_SOFT |= {f"prompt_cache_{name}" for name in ("key", "options", "retention", "breakpoint")}
_NEUTRAL: dict[str, list[Any]] = {
    "n": [1], "logprobs": [False], "top_logprobs": [0], "stop": [[]], "logit_bias": [{}],
    "background": [False], "truncation": ["disabled"], "modalities": [["text"]],
}  # fmt: skip
_ENCRYPTED, _LOGPROBS = "reasoning.encrypted_content", "message.output_text.logprobs"
_GPT_4O_OUTPUT, _STEP_OUTPUT, _RESERVE = 211, 59, 4_096


def cheapest(
    asked: RequestFacts, policy: Policy, at: date, followed: tuple[float, float] | None = None
) -> tuple[Fraction | None, set[tuple[str, str | None]]]:
    """Return the least cost in dollars and every (model, effort) that has it.

    The cost is None when only models without a price fit; the set is empty when nothing does.

    Args:
        asked: the request.
        policy: what is wanted.
        at: the day.
        followed: the chance that another call goes on from this one, and that another goes on from that one;
            None while nothing is known of it.
    """
    # Each is tried where nothing serves it before: as it is, without proof for the task, at another effort.
    ways = [(False, True), (False, False)]
    if asked.effort and policy.on_unsupported != "raise":
        ways += [(True, True), (True, False)]
    able: list[Configuration] = []
    for near, proven in ways:
        able = able or list(_able(asked, policy, at, followed, near=near, proven=proven))
    costs = [
        (_cost(asked, policy, at, followed, model, effort), model.id, effort) for model, effort, _ in able
    ]
    least = min((cost for cost, _, _ in costs if cost is not None), default=None)
    return least, {(model, effort) for cost, model, effort in costs if cost == least}


def _able(
    asked: RequestFacts,
    policy: Policy,
    at: date,
    followed: tuple[float, float] | None,
    *,
    near: bool,
    proven: bool,
) -> Iterator[Configuration]:
    kinds = {"default", "quality"} if policy.optimize == "quality" else {"default"}
    floor = policy.baseline if policy.at_least == "baseline" else policy.at_least
    pool = [
        model
        for model in CATALOG
        if ((model.pool in kinds or model.id == floor) and policy.models is None)
        or (policy.models is not None and model.id in policy.models)
    ]
    shaped = [
        one
        for model in pool
        for one in _configurations(model)
        if _shape(asked, policy, at, one, pool, near) and _floor(asked, policy, model, one[1], proven)
    ]
    most = max((model.limits.max_output for model, _, _ in shaped), default=0)
    wanted = None if asked.cap is None else min(asked.cap, most)
    for model, effort, endpoint in shaped:
        limits, tokens = model.limits, asked.tokens.high
        expected = _expected(asked, policy)
        kept = min(max(expected, _RESERVE), limits.max_output) if wanted is None else wanted
        if tokens > limits.max_input or tokens + kept > limits.context_window or kept > limits.max_output:
            continue
        if proven and policy.at_least is not None and model.id != floor and not _finds(model, tokens):
            continue
        cost = _cost(asked, policy, at, followed, model, effort)
        most_dollars = policy.max_cost_per_call
        if most_dollars is not None and (cost is None or cost > Fraction(most_dollars)):
            continue
        yield model, effort, endpoint


def _finds(model: Model, tokens: int) -> bool:
    """Say whether a model is published to find enough of what is hidden in so many tokens, or nothing is."""
    if tokens <= 100_000 or not model.recall:
        return True
    ends = {row.up_to for row in model.recall}
    end = min((one for one in ends if one >= tokens), default=max(ends))
    rows = [row for row in model.recall if row.up_to == end]
    return min(max(it.value for it in rows if it.test == row.test) for row in rows) >= 40


def _configurations(model: Model) -> Iterator[Configuration]:
    for endpoint in ("chat_completions", "responses"):
        if endpoint in model.endpoints:
            for effort in model.efforts.get(endpoint) or (None,):
                yield model, effort, endpoint


def _shape(
    asked: RequestFacts,
    policy: Policy,
    at: date,
    one: Configuration,
    pool: list[Model],
    near: bool,
) -> bool:
    model, effort, endpoint = one
    life = model.lifecycle
    if (life.released and at < life.released) or (life.shutdown and at >= life.shutdown):
        return False
    if asked.stream and not model.streaming and len(pool) > 1:
        return False
    if model.requires_audio or (asked.structured and asked.structured not in model.structured):
        return False
    takes = model.tools.get(endpoint)
    if asked.tools and (takes == "no" or (takes == "effort_none" and effort != "none")):
        return False
    wanted = asked.effort or policy.effort
    offered = model.efforts.get(endpoint) or (None,)
    # A model that does not reason is one at effort none.
    if wanted and (effort or "none") not in (_neighbours(wanted, offered) if near else {wanted}):
        return False
    given = dict(asked.parameters)
    return all(_parameter(name, asked.parameter(name), asked, one, given) for name in given)


def _neighbours(wanted: str | None, offered: Iterable[str | None]) -> set[str | None]:
    """The effort itself, and the next ones below and above that the model has; no reasoning is below all."""
    at = {effort or "none": EFFORTS.index(effort or "none") for effort in offered}
    mine = EFFORTS.index(wanted or "none")
    below = max((place for place in at.values() if place < mine), default=None)
    above = min((place for place in at.values() if place > mine), default=None)
    return {wanted, *(name for name, place in at.items() if place in (below, above))}


def _parameter(name: str, value: Any, asked: RequestFacts, one: Configuration, given: dict[str, Any]) -> bool:
    model, effort, endpoint = one
    if name in _SOFT or name == _ENCRYPTED or value in (_NEUTRAL.get(name, [])):
        return True
    if name == "include" and isinstance(value, list) and all(i in (_ENCRYPTED, _LOGPROBS) for i in value):
        return True
    if name in ("tool_choice", "parallel_tool_calls") and not asked.tools:
        return True
    if name in CATALOG.endpoint(endpoint).absent:
        return False
    rule = model.parameters.get(endpoint, {}).get(name, ParameterRule())
    if rule.accept == "no" or (rule.accept == "effort_none" and effort != "none"):
        return False
    if rule.max_items and isinstance(value, list) and len(value) > rule.max_items:
        return False
    # What asks for nothing conflicts with nothing.
    present = {other for other in given if asked.parameter(other) not in _NEUTRAL.get(other, [])}
    present |= {*(["tools"] if asked.tools else []), *(["max_completion_tokens"] if asked.cap else [])}
    return not present & set(rule.without) and (rule.requires is None or rule.requires in present)


def _floor(asked: RequestFacts, policy: Policy, model: Model, effort: str | None, proven: bool) -> bool:
    if policy.at_least is None or model.id == policy.baseline:
        return True
    published = model.verdicts.get(effort or "", {})
    touched = ["overall"]
    if asked.tokens.high > 64_000:
        touched.append("long_context")
    if asked.tools:
        touched.append("tools")
    if asked.structured == "json_schema":
        touched.append("instructions")
    guarded: list[str] = []
    if not {"long_context", "tools"} & set(touched):
        touched.append("knowledge")
    demanded = [] if asked.task is None else _OF_TASK[asked.task]
    # Without proof what is not measured passes, and what is published as worse does not.
    if proven and any(
        published.get(name) is None or published[name].verdict not in ("above", "tie") for name in demanded
    ):
        return False
    touched += demanded
    guarded = [name for name in _CORE if name not in touched and (name != "tools" or asked.tools)]
    bad = {"below", "mixed"} | ({"above (inferred)"} if policy.evidence == "measured" else set())
    if any(name in published and published[name].verdict in bad for name in touched):
        return False
    needed = touched if policy.evidence == "measured" else {"overall", "long_context"} & set(touched)
    if any(name not in published for name in needed):
        return False
    return not any(name in published and published[name].verdict in ("below", "mixed") for name in guarded)


def _expected(asked: RequestFacts, policy: Policy) -> int:
    base = policy.output_tokens or (_STEP_OUTPUT if asked.tools else _GPT_4O_OUTPUT)
    return base if asked.cap is None else min(base, asked.cap)


def _cost(
    asked: RequestFacts,
    policy: Policy,
    at: date,
    followed: tuple[float, float] | None,
    model: Model,
    effort: str | None,
) -> Fraction | None:
    tokens = asked.tokens.high
    rows = [
        row
        for row in model.prices
        if row.tier == "standard" and row.since <= at and (tokens > row.above or not row.above)
    ]
    if not rows:
        return None
    row = max(rows, key=lambda row: (row.above, row.since))
    whole = Fraction(str(model.output_ratio.get(effort or "", 1.0)))
    still = [Fraction(str(model.output_ratio[e])) for e in ("", "none", "minimal") if e in model.output_ratio]
    said = min(still[0] if still else Fraction(1), whole)
    expected = _expected(asked, policy)
    # No model knows the caller's cap, which ends one of four answers; the others keep within it.
    natural = _expected(replace(asked, cap=None), policy)
    if policy.output_tokens is None:
        natural = expected + int(Fraction(27, 100) * (natural - expected))
    # A cap that is short says what kind of answer is wanted, though no model is told of it.
    thinks = (0.16 if asked.tools else 0.35) * (expected / 386) ** 0.25
    thinks = min(thinks, 0.3 if tokens > 64_000 and not asked.tools else 1.03)
    known = model.thought.get(effort or "")
    published = float((whole - said) * _GPT_4O_OUTPUT) if known is None else known / 0.35
    words, thought = float(expected * said), published * thinks
    # Who names an effort has a cap that counts its reasoning: no room is left on top of it.
    room = 0 if effort == asked.effort else model.reasoning_room.get(effort or "", 0)
    if asked.cap is not None:
        words = float(natural * said) if room else min(words, asked.cap)
    out = math.ceil(words + thought - 1e-6)
    if asked.cap is not None:
        out = min(out, asked.cap + room)
    out = min(out, model.limits.max_output) * asked.parameter("n", 1)
    rate = row.input
    if row.cache_write is not None and model.cache is not None and tokens >= model.cache.min_prefix:
        rate = row.cache_write
        steers = any(name.startswith("prompt_cache_") for name, _ in asked.parameters)
        if model.cache.control == "prompt_cache_options" and followed is not None and not steers:
            rate = row.cache_write if _is_worth_writing(row, followed) else row.input
    return Fraction(tokens * rate + out * row.output, 10**12)


def _is_worth_writing(row: Price, followed: tuple[float, float]) -> bool:
    """Compare what a token costs over two calls, the second of which comes with a chance, in both ways.

    Written, it costs the write and then the read. Otherwise it costs the input now, and if there is another
    call, that one's write, or its input where for that one writing is not worth it either: where a third call
    comes too seldom.
    """
    chance, again = (Fraction(str(one)) for one in followed)
    read = row.input if row.cached_input is None else row.cached_input
    write, plain = row.cache_write or row.input, row.input
    third_pays = again * (write - read) > write - plain
    written = write + chance * read
    past = plain + chance * (write if third_pays else plain)
    return written <= past
