"""From what was picked to the Decision: the call, its Changes, the evidence, the words. Pure."""

from __future__ import annotations

from dataclasses import replace
from functools import lru_cache
from itertools import chain
from typing import TYPE_CHECKING

from routed_llm.catalog.frozen import FrozenDict
from routed_llm.decide.dominance import pareto_front
from routed_llm.decide.objectives import COST
from routed_llm.decide.piecewise import Alternatives, alternatives, remember
from routed_llm.decide.quality import LONG_CONTEXT_TO
from routed_llm.decide.shape import bare_row
from routed_llm.decide.speed import WINDOWS, about
from routed_llm.decide.weigh import (
    affordable_output,
    beside,
    cached_tokens,
    cap_of,
    cold_cost,
    conversation_cost,
    goes_past_cache,
    hosted_calls_allowed,
    kept_thought,
    output_tokens,
    recall_of,
    reserved,
    row_cost,
    row_seconds,
    spread_of,
    steerable,
    worst_cost,
)
from routed_llm.decision import (
    Call,
    Candidate,
    Change,
    Decision,
    Evidence,
    Reason,
    Seconds,
    Switch,
    format_dollars,
)
from routed_llm.facts import thaw
from routed_llm.parameters import IN_MESSAGES, cap_changes, ends_at, take_out
from routed_llm.pricing import most_calls

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping
    from typing import Any

    from routed_llm.catalog.model import Model
    from routed_llm.decide.inputs import DecisionInputs
    from routed_llm.decide.piecewise import Made, PiecewiseChoice
    from routed_llm.decide.shape import Row
    from routed_llm.decide.weigh import Workload

__all__ = ["Picked", "conclude"]

_NO_EVIDENCE = ("unknown", "unproven")
_PLAIN = frozenset({bool, int, float})
"""Kinds of values of which many requests are sent the same."""
_VALUES = 64
"""Such values, of requests that are alike but for them, of which it is kept what is sent."""

OWN = "own examples"
"""What stands in the place of a dimension in Evidence from the user's own measures."""


class Picked:
    """What the choice came to; made for each call.

    It works out what is only needed to explain the choice when it is read; what takes long is kept.

    Attributes:
        row: the configuration, or None when nothing fits.
        endpoint: the endpoint to call.
        because: ``cost``, ``quality``, ``only``, ``pinned``, ``incumbent``, ``tool_loop`` or ``stays``.
        tokens: the text token count that was weighed.
        certain: whether an exact count could not change the choice.
        inputs: everything that it depends on.
        kept: where what holds for all such requests is kept, if nothing of this one alone has a say.
        chosen: what the Decision says of the configuration, once it is made; None when nothing fits.
    """

    __slots__ = (
        "_alternatives",
        "_candidates",
        "_quoted",
        "_why",
        "because",
        "certain",
        "chosen",
        "endpoint",
        "inputs",
        "kept",
        "row",
        "tokens",
    )

    def __init__(
        self,
        row: Row | None,
        endpoint: str,
        because: str,
        tokens: int,
        certain: bool,
        inputs: DecisionInputs,
        kept: PiecewiseChoice | None,
    ) -> None:
        self.row = row
        self.endpoint = endpoint
        self.because = because
        self.tokens = tokens
        self.certain = certain
        self.inputs = inputs
        self.kept = kept
        self.chosen: Candidate | None = None
        self._alternatives: Alternatives | None = None
        self._candidates: tuple[Candidate, ...] | None = None
        self._quoted: tuple[int, bool] | None = None
        self._why: str | None = None

    def alternatives(self) -> Alternatives:
        """Say how the configurations stand at the count that was weighed."""
        if self._alternatives is None:
            self._alternatives = alternatives(self.inputs, self.tokens, self.kept)
        return self._alternatives

    @property
    def quoted(self) -> tuple[int, bool]:
        """What sentences say of the tokens: the count that was weighed, and whether it is known."""
        if self._quoted is None:
            bounds = self.inputs.facts.tokens
            self._quoted = self.tokens, bounds.low == bounds.high and bounds.bounded
        return self._quoted

    @property
    def why(self) -> str:
        """A phrase on what settled the choice."""
        if self._why is None:
            self._why = _why(self, self.inputs)
        return self._why

    @property
    def others(self) -> tuple[dict[str, str], dict[str, str | None]]:
        """Of each other model what rules it out, or else what it would have cost in US dollars."""
        return _others(self, self.inputs)

    @property
    def candidates(self) -> tuple[Candidate, ...]:
        """Every configuration that was weighed."""
        if self._candidates is None:
            self._candidates = _candidates(self, self.inputs)
        return self._candidates

    @property
    def seconds(self) -> Seconds | None:
        """How long the answer is expected to take; None when nothing fits."""
        return None if self.row is None else self._once(row_seconds, self.row, self.inputs.likely)

    @property
    def worst_cost(self) -> int | None:
        """The most picodollars that the call can cost, or None when nothing fits or no price is known."""
        most = self.inputs.facts.tokens.high
        return None if self.row is None else self._once(worst_cost, self.row, most)

    def _once(self, work: Callable[[Row, Workload, int], Any], row: Row, text_tokens: int) -> Any:
        """Work something out for a token count, once for all requests that it holds for."""
        inputs = self.inputs
        if self.kept is None:
            return work(row, inputs.load, inputs.tokens(row, text_tokens))
        said, key = self.alternatives().said, (work, row.order, text_tokens)
        found = said.get(key)
        if found is None:
            found = work(row, inputs.load, inputs.tokens(row, text_tokens))
            remember(said, key, found)
        return found

    @property
    def cost_range(self) -> dict[str, int] | None:
        """Picodollars by ``p50``, ``p90`` and ``p95``, or None when nothing fits or no price is known."""
        row, chosen = self.row, self.chosen
        if row is None or chosen is None or chosen.cost is None:
            return None
        cost, inputs = chosen.cost, self.inputs
        # What is kept of such requests was worked out by an earlier observation.
        observed, load = inputs.context.observed, inputs.load
        seen = None if observed is None else observed.spread(row.name, load.facts)
        spread = spread_of(row, load, chosen.input_tokens, cost, seen)
        if spread is None:
            return None
        return {"p50": int(cost * spread.p50), "p90": int(cost * spread.p90), "p95": int(cost * spread.p95)}

    @property
    def replacement(self) -> dict[str, Any] | None:
        """What the provider names in the baseline's place, what that would cost and why it is not used."""
        return _replacement(self, self.inputs)


def conclude(picked: Picked) -> Decision:
    """Make the Decision."""
    row, inputs, kept = picked.row, picked.inputs, picked.kept
    allowance = inputs.context.allowance
    if row is None:
        chosen, fixed = None, _fixed(picked, {}, None, (), (), ())
    else:
        load = inputs.load
        values = _own_values(inputs)
        key = row.order, _goes_past(row, inputs) if load.bypasses and row.write_from else False, values
        made = None if kept is None or values is None else kept.made.get(key)
        if made is None:
            made = _, candidate, fixed = _made(row, picked)
            if kept is not None and load.shared is None and values is not None:
                if len(kept.made) >= _VALUES:
                    kept.made.clear()
                kept.made[key] = made
        else:
            more, known, fixed = made
            tokens, candidate = inputs.likely + more, known.copy()
            candidate["cost"], candidate["input_tokens"] = row_cost(row, load, tokens), tokens
        chosen = picked.chosen = Candidate.made(candidate)
    whole = fixed.copy()
    whole["chosen"], whole["facts"], whole["certain"] = chosen, inputs.facts, picked.certain
    whole["allowance"], whole["explanation"] = allowance, picked
    whole["reserve"] = None if row is None or allowance is None else _reserve(row, inputs)
    return Decision.made(whole)


def _made(row: Row, picked: Picked) -> Made:
    """Work out what a Decision says of a configuration, but for what follows from the tokens alone."""
    inputs = picked.inputs
    call, changes = _call(row, picked, inputs)
    values = _values(row, inputs, inputs.likely, (), picked.endpoint)
    fixed = _fixed(picked, values, call, changes, *_published(row, inputs))
    return inputs.tokens(row, 0), values, fixed


def _fixed(
    picked: Picked,
    values: Mapping[str, Any],
    call: Call | None,
    changes: tuple[Change, ...],
    known: tuple[Evidence, ...],
    unknown: tuple[str, ...],
) -> dict[str, Any]:
    inputs = picked.inputs
    return {
        "model": values.get("model"),
        "effort": values.get("effort"),
        "endpoint": values.get("endpoint"),
        "call": call,
        "changes": changes,
        "evidence": known,
        "without_evidence": unknown,
        "baseline": inputs.baseline,
        "at": inputs.setting.at,
        "catalog_version": inputs.catalog_version,
        "policy": inputs.setting.policy,
        "switch": None if inputs.facts.previous is None else _switch(picked, inputs),
        "trial": None,
        "counted": None,
    }


def _own_values(inputs: DecisionInputs) -> tuple[tuple[str, type, Any], ...] | None:
    """Return the values that a request is sent; None where others are hardly sent the same."""
    facts, allowance = inputs.facts, inputs.context.allowance
    if facts.cap is not None or (allowance is not None and allowance.conversation is not None):
        return None
    if _limits_output(inputs):
        return None
    if not facts.parameters:
        return ()
    # 1 equals 1.0 and True, but is written differently.
    said = tuple([(name, type(value), value) for name, value in facts.parameters])
    return said if all(kind in _PLAIN for _, kind, _ in said) else None


def _reserve(row: Row, inputs: DecisionInputs) -> int | None:
    """Say what to hold while the call runs: what it is expected to cost, or where asked the most it can."""
    expected = inputs.text_cost(row, inputs.likely)
    if expected is None:
        return None
    tokens, most = inputs.tokens(row, inputs.likely), inputs.tokens(row, inputs.facts.tokens.high)
    return reserved(row, inputs.load, tokens, most, expected)


def _switch(picked: Picked, inputs: DecisionInputs) -> Switch | None:
    """Put a price on leaving the model that answered before, whether it was left or not."""
    previous, tokens = inputs.facts.previous, inputs.likely
    if previous is None or picked.row is None:
        return None
    mine: tuple[int, int] | None = None
    theirs: int | None = None
    again = 0
    for row in inputs.shape.rows:
        if row.at.model.id != previous.model or row.at.effort not in (previous.effort, picked.row.at.effort):
            continue
        cost = inputs.text_cost(row, tokens)
        if cost is not None and inputs.admits(row, tokens):
            cold = cold_cost(row, inputs.load, inputs.tokens(row, tokens))
            again = kept_thought(row, inputs.load)
            mine = (conversation_cost(row, inputs.load, tokens) or 0, (cold or 0) - cost)
    for row in pareto_front(inputs):
        if row.at.model.id != previous.model and inputs.admits(row, tokens):
            total = conversation_cost(row, inputs.load, tokens, again)
            if total is not None and (theirs is None or total < theirs):
                theirs = total
    return Switch(
        previous=previous.model,
        switched=picked.row.at.model.id != previous.model,
        price=0 if mine is None else max(mine[1], 0),
        saving=None if mine is None or theirs is None else mine[0] - theirs,
        horizon=round(inputs.load.horizon, 1),
    )


def _published(row: Row, inputs: DecisionInputs) -> tuple[tuple[Evidence, ...], tuple[str, ...]]:
    floor, kept = inputs.setting.floor, inputs.shape.kept.evidence
    if floor is None:
        return (), ()
    if row.order not in kept:
        asked = inputs.shape.dimensions + inputs.shape.guarded
        found = floor.evidence(row.at.model, row.at.effort, asked)
        known = tuple(item for item in found if item.verdict not in _NO_EVIDENCE)
        own = inputs.setting.own.get((row.at.model.id, row.at.effort))
        if own is not None:
            known = (Evidence(OWN, own.verdict, (own.sentence,)), *known)
        kept[row.order] = known, tuple(item.dimension for item in found if item.verdict in _NO_EVIDENCE)
    return kept[row.order]


def _call(row: Row, picked: Picked, inputs: DecisionInputs) -> tuple[Call, tuple[Change, ...]]:
    """Say what to send, and what of it differs from what was asked."""
    values = _own_values(inputs)
    if values is None:
        return _make_call(row, picked, inputs)
    # Without values of its own a request is sent what every request of its shape is sent.
    calls, key = inputs.shape.kept.calls, (row.order, picked.endpoint, _goes_past(row, inputs))
    found = None if values else calls.get(key)
    if found is None:
        call, changes = _make_call(row, picked, inputs)
        found = replace(call, parameters=FrozenDict(call.parameters)), changes
        if not values:
            calls[key] = found
    return found


def _make_call(row: Row, picked: Picked, inputs: DecisionInputs) -> tuple[Call, tuple[Change, ...]]:
    facts, model = inputs.facts, row.at.model
    fit = row.fits[picked.endpoint]
    changes = _effort_change(row, inputs)
    cap = None
    if facts.cap is not None or _limits_output(inputs):
        # The upper bound, so that a cap with room for reasoning never reaches beyond the window.
        most = cap_of(row, inputs.load, inputs.tokens(row, facts.tokens.high))
        rule = model.parameters.get(picked.endpoint, {}).get(facts.cap_name)
        place = inputs.setting.endpoints[picked.endpoint]
        name = (rule.rename if rule is not None else None) or place.names.get(facts.cap_name, facts.cap_name)
        cap = None if most is None else max(most, place.min_output)
        changes += cap_changes(
            facts, name, cap, model.limits.max_output, room=row.room, limited=_limited(row, cap, inputs)
        )
    if fit.changes:
        # How parameters fit is known for a whole shape; the values are this request's own.
        changes += tuple(
            [replace(change, before=facts.parameter(change.parameter)) for change in fit.changes]
        )
    if "speed" in inputs.shape.lifted and row.order in inputs.slow:
        times = inputs.setting.policy.slower_than_baseline
        changes += (Change("slower_than_baseline", "relaxed", times, None, _NOTHING_QUICKER),)
    left_out = fit.dropped | IN_MESSAGES
    parameters = {key: thaw(value) for key, value in facts.parameters if key not in left_out}
    dropped = take_out(parameters, fit.dropped) if "include" in parameters else fit.dropped
    added = (_storing(row, picked, inputs), _cache_changes(row, inputs), _fee_changes(row, picked, inputs))
    for change in chain(*added):
        parameters[change.parameter] = change.after
        changes += (change,)
    if row.tier == inputs.setting.prefer_tier:
        parameters["service_tier"] = row.tier
        changes += (Change("service_tier", "added", None, row.tier, _CHEAPER_TIER),)
    if facts.stream and not model.streaming:
        why = f"{model.id} cannot stream; the answer comes whole"
        changes += (Change("stream", "dropped", True, None, why),)
    call = Call(
        model=inputs.send_as.get(model.id, model.sent_as),
        base_url=model.base_url,
        endpoint=picked.endpoint,
        effort=row.at.effort,
        cap=cap,
        parameters=parameters,
        dropped=dropped,
        emulated=frozenset(change.parameter for change in fit.changes if change.action == "emulated"),
        stream=facts.stream and model.streaming,
        requested_output=ends_at(facts, cap),
    )
    return call, changes


def _storing(row: Row, picked: Picked, inputs: DecisionInputs) -> Iterator[Change]:
    """Say that nothing is to be stored, where the policy wants that."""
    asked = inputs.facts.parameter("store")
    # Both endpoints of OpenAI know the parameter; of other servers only those for Responses are sure to.
    known = picked.endpoint == "responses" or row.at.model.base_url is None
    if inputs.setting.policy.store is False and asked is not False and (asked or known):
        yield Change("store", "clamped" if asked else "added", asked, False, _NOT_STORED)


def _goes_past(row: Row, inputs: DecisionInputs) -> bool:
    """Say whether a call goes past the cache."""
    load = inputs.load
    if not (load.bypasses and row.write_from):
        return False
    tokens = inputs.likely + beside(load, row)[0]
    return goes_past_cache(row, load, tokens, cached_tokens(row, load, tokens))


def _cache_changes(row: Row, inputs: DecisionInputs) -> Iterator[Change]:
    """Steer the prompt cache where that saves money and the caller has not done so."""
    terms, facts, allowance = row.at.model.cache, inputs.facts, inputs.context.allowance
    keyed = allowance is not None and allowance.conversation is not None
    if terms is None or facts.cache_steered or not steerable(row):
        return
    if _goes_past(row, inputs):
        # openai-python 3.54.0, PromptCacheOptions.mode: without an implicit breakpoint and with no
        # explicit one "the request does not use prompt caching". Not tried against the live API.
        yield Change("prompt_cache_options", "added", None, {"mode": "explicit"}, _BYPASS)
    elif allowance is not None and keyed and inputs.tokens(row, inputs.likely) >= terms.min_prefix:
        yield Change("prompt_cache_key", "added", None, allowance.cache_key, _CACHE_KEY)


def _fee_changes(row: Row, picked: Picked, inputs: DecisionInputs) -> Iterator[Change]:
    """Limit the calls of hosted tools to what a hard cap on the bill was worked out with."""
    if inputs.load.hard is None or not row.fees or most_calls(inputs.facts) is not None:
        return
    most = hosted_calls_allowed(row, inputs.load)
    if most is not None and picked.endpoint == "responses":
        yield Change("max_tool_calls", "added", None, most, _PAID_FOR)


def _limits_output(inputs: DecisionInputs) -> bool:
    """Say whether money may set an output cap."""
    return inputs.load.hard is not None or inputs.load.pressure > 0


def _limited(row: Row, cap: int | None, inputs: DecisionInputs) -> str | None:
    """Say for the sake of which money an output cap is what it is, or None."""
    load = inputs.load
    tokens = inputs.tokens(row, inputs.facts.tokens.high)
    if load.hard is not None and cap == affordable_output(row, load, tokens):
        return _PAID_FOR
    return _RUNS_LOW if load.pressure else None


_CHEAPER_TIER = "it costs less, and may take longer (prefer_tier, or a budget that runs low)"
_PAID_FOR = "more would be billed above max_cost_per_call"
_RUNS_LOW = "a budget runs low"
_NOTHING_QUICKER = "nothing quicker can serve this call"
_BYPASS = "nothing will read what this call would pay to write to the prompt cache (unverified)"
_NOT_STORED = "the policy's store=False lets nothing be kept"
_CACHE_KEY = "the calls of one conversation then reach the cache that holds its prefix"


def _effort_change(row: Row, inputs: DecisionInputs) -> tuple[Change, ...]:
    asked, effort = inputs.facts.effort, row.at.effort
    if asked == effort:
        return ()
    if asked is None:
        if effort is None or effort == row.at.model.default_effort:
            return ()
        return _added(effort)
    if effort is None:
        return (Change("reasoning_effort", "dropped", asked, None, f"{row.at.model.id} does not reason"),)
    model = row.at.model
    if any(asked in offered for offered in model.efforts.values()):
        why = f"nothing at effort {asked} can serve this call"
    else:
        why = f"{model.id} has no effort {asked}"
    return (Change("reasoning_effort", "clamped", asked, effort, why),)


@lru_cache(maxsize=64)
def _added(effort: str) -> tuple[Change, ...]:
    return (Change("reasoning_effort", "added", None, effort, "the effort is part of what was chosen"),)


def _candidate(
    row: Row, inputs: DecisionInputs, text_tokens: int, reasons: tuple[Reason, ...], endpoint: str = ""
) -> Candidate:
    return Candidate.made(_values(row, inputs, text_tokens, reasons, endpoint))


def _values(
    row: Row, inputs: DecisionInputs, text_tokens: int, reasons: tuple[Reason, ...], endpoint: str
) -> dict[str, Any]:
    model, shared = row.at.model, inputs.load
    tokens = inputs.tokens(row, text_tokens)
    cached = 0 if shared.plain and shared.shared is None else cached_tokens(row, shared, tokens)
    return {
        "model": model.id,
        "effort": row.at.effort,
        "endpoint": endpoint or row.at.endpoint,
        "cost": inputs.cost(row, tokens),
        "input_tokens": tokens,
        "output_tokens": output_tokens(row, shared),
        "cached_tokens": 0 if cached and goes_past_cache(row, shared, tokens, cached) else cached,
        "reasons": reasons,
        "sent_as": inputs.send_as.get(model.id, model.sent_as),
        "base_url": model.base_url,
    }


def _candidates(picked: Picked, inputs: DecisionInputs) -> tuple[Candidate, ...]:
    able: list[Candidate] = []
    unable: list[Candidate] = []
    text = inputs.likely
    # By name: what was picked may come from a shape that has been worked out again since.
    mine = None if picked.row is None else (picked.row.at.model.id, picked.row.at.effort)
    for row in inputs.shape.rows:
        reasons = inputs.reasons(row, picked.tokens)
        if row.name == mine:
            able.insert(0, _candidate(row, inputs, text, (), picked.endpoint))
        elif reasons:
            unable.append(_candidate(row, inputs, text, reasons))
        else:
            able.append(_candidate(row, inputs, text, (_beaten(row, picked, inputs, text),)))
    first, rest = able[:1], able[1:]
    if picked.row is None:
        first, rest = [], able
    rest.sort(key=lambda item: (item.cost is None, item.cost or 0, item.name))
    unable.sort(key=lambda item: (item.cost is None, item.cost or 0, item.name))
    return (*first, *rest, *unable, *inputs.shape.rejected)


def _others(picked: Picked, inputs: DecisionInputs) -> tuple[dict[str, str], dict[str, str | None]]:
    """Say of each other model what rules it out, or else what it would have cost."""
    mine = None if picked.row is None else picked.row.at.model.id
    kept = picked.alternatives()
    key = ("others", mine, picked.quoted)
    said: tuple[dict[str, str], dict[str, str | None]] | None = kept.said.get(key)
    if said is None:
        said = _other_models(kept, mine, picked, inputs)
        remember(kept.said, key, said)
    return said


def _other_models(
    kept: Alternatives, mine: str | None, picked: Picked, inputs: DecisionInputs
) -> tuple[dict[str, str], dict[str, str | None]]:
    tokens = picked.tokens
    dearer: dict[str, str | None] = {}
    for model, lines in kept.lines:
        if model != mine:
            cost = None if lines is None else min([fixed + rate * tokens for fixed, rate in lines])
            dearer[model] = None if cost is None else format_dollars(cost)
    if inputs.shape.kept.rejected is None:
        inputs.shape.kept.rejected = _first_reasons(inputs.shape.rejected)
    static = inputs.shape.kept.rejected
    rejected = {model: text for model, text in static.items() if model != mine and model not in dearer}
    for model, row in kept.refused:
        if model != mine:
            rejected[model] = inputs.reasons(row, tokens)[0].text
    return rejected, dearer


def _first_reasons(candidates: tuple[Candidate, ...]) -> dict[str, str]:
    """Say of each model why the configuration of it that came closest was refused."""
    closest: dict[str, tuple[Reason, ...]] = {}
    for candidate in candidates:
        kept = closest.get(candidate.model)
        if kept is None or len(candidate.reasons) < len(kept):
            closest[candidate.model] = candidate.reasons
    return {model: reasons[0].text for model, reasons in closest.items()}


def _beaten(row: Row, picked: Picked, inputs: DecisionInputs, text_tokens: int) -> Reason:
    chosen = picked.row
    if chosen is None:
        return Reason("no_price_known", {"model": row.at.model.id})
    names, objective = {"model": row.at.model.id, "at_effort": row.at.at_effort}, inputs.objective
    mine, best = inputs.text_cost(row, text_tokens), inputs.text_cost(chosen, text_tokens)
    is_cheaper = mine is not None and best is not None and mine < best
    if picked.because == objective.name and (is_cheaper or not objective.of_cost):
        values = [objective.value(it, inputs, inputs.tokens(it, text_tokens)) for it in (row, chosen)]
        if values[0] is None or (values[1] is not None and values[0] > values[1]):
            return Reason(objective.worse, {**names, "superlative": objective.superlative})
    if picked.because in ("incumbent", "tool_loop"):
        return Reason("not_incumbent", {"incumbent": chosen.at.model.id})
    if picked.because == "stays" and is_cheaper:
        return Reason("switch", {"incumbent": chosen.at.model.id})
    asked = inputs.asked_effort
    if asked is not None and row.distance > chosen.distance:
        data = {"effort": chosen.at.effort, "asked": asked, "other": row.at.effort or "the model's own"}
        return Reason("farther_effort", data)
    if picked.because == "pinned":
        return Reason("not_default_effort", {**names, "effort": chosen.at.effort or "left to the model"})
    if mine is None:
        return Reason("no_price_known", names)
    times = "as much" if not best or mine == best else f"{mine / best:.1f} times as much"
    return Reason("dearer", {**names, "cost": format_dollars(mine), "times": times})


def _why(picked: Picked, inputs: DecisionInputs) -> str:
    row, previous = picked.row, inputs.facts.previous
    if row is None:
        return "no model fits"
    model = row.at.model.id
    match picked.because:
        case "pinned":
            return f"this call names {inputs.facts.model}"
        case "incumbent":
            return f"the incumbent {model} can serve the request"
        case "tool_loop":
            return f"{model} made the tool calls that this request answers"
        case "stays":
            return f"stays with {model}: a switch would save too little for the cached prefix it loses"
        case "switch":
            left = previous.model if previous else ""
            return f"leaves {left} for {model}: the turns to come save more than the cached prefix is worth"
        case "only":
            return f"the pool holds no model but {model}{_nearest_effort(row, inputs)}"
    key = (picked.because, picked.quoted, inputs.facts.model)
    said = picked.alternatives().said
    kept: str | None = said.get(key)
    if kept is None:
        kept = _why_first(picked, inputs)
        remember(said, key, kept)
    return kept


def _nearest_effort(row: Row, inputs: DecisionInputs) -> str:
    asked = inputs.asked_effort
    return "" if asked == row.at.effort else f"; its nearest effort to {asked} is {row.at.effort}"


def _why_first(picked: Picked, inputs: DecisionInputs) -> str:
    row = picked.row
    if row is None:
        return "no model fits"
    parts = [_what_for(row, picked, inputs)]
    published = _scores(row, picked, inputs)
    parts[0] += f", {published}" if published else ""
    parts.append(_waits(row, picked, inputs))
    shutdown = row.at.model.lifecycle.shutdown
    if shutdown is not None and (shutdown - inputs.setting.at).days <= _ENDS_SOON:
        parts.append(f"it ends on {shutdown}")
    return "; ".join(parts) + _baseline_cannot(picked, inputs)


_ENDS_SOON = 60
"""Days before its shutdown from which a Decision says when the chosen model ends."""


def _what_for(row: Row, picked: Picked, inputs: DecisionInputs) -> str:
    """Say what the choice is best by: in money, against what the baseline would have cost."""
    effort = row.at.effort
    how = "" if effort is None else " without reasoning" if effort == "none" else f" at {effort} effort"
    name = f"{row.at.model.id}{how}"
    if inputs.objective is not COST:
        return f"{name}: {inputs.objective.superlative} of what can serve this"
    if picked.alternatives().able == 1:
        return f"{name}: nothing else can serve this"
    usual = _usual_cost(picked, inputs)
    cost = inputs.text_cost(row, picked.tokens)
    if usual is None or cost is None or row.at.model.id == inputs.baseline:
        return f"{name}: the cheapest of what can serve this"
    share = round(100 * (1 - cost / usual)) if usual else 0
    least = "as cheap as" if share < 1 else f"{share} % cheaper than"
    return f"{name}: {least} {inputs.baseline}"


def _usual_cost(picked: Picked, inputs: DecisionInputs) -> int | None:
    """Return what the baseline would cost at the effort it takes by itself, where it can serve the call."""
    mine = [row for row in inputs.shape.rows if row.at.model.id == inputs.baseline]
    default = [row for row in mine if row.at.effort == row.at.model.default_effort]
    for row in default or mine:
        if inputs.admits(row, picked.tokens):
            return inputs.text_cost(row, picked.tokens)
    return None


def _scores(row: Row, picked: Picked, inputs: DecisionInputs) -> str:
    """Say on how many areas published measures speak for the choice, and how many measures those are."""
    floor = inputs.setting.floor
    if floor is None or inputs.facts.model is not None:
        return ""
    whom = f"{floor.stands_for} (by {inputs.baseline})" if floor.stands_for else inputs.baseline
    if row.at.model.id == inputs.baseline:
        if floor.stands_for:
            return f"in the place of {floor.stands_for}"
        return "the model that the program was written for"
    own = inputs.setting.own.get((row.at.model.id, row.at.effort))
    if own is not None and own.verdict == "proven":
        return own.sentence
    found, unknown = _published(row, inputs)
    known = [item for item in found if item.dimension != OWN]
    good = [item for item in known if item.verdict not in ("below", "mixed")]
    if known and all(item.verdict == "counterpart" for item in known):
        return f"the provider's counterpart of {whom}, though nothing is published that compares the two"
    measures = sum(len(item.measures) for item in good)
    text = f"scores at least as well as {whom} on {len(good)} of {len(known) + len(unknown)} areas"
    if measures:
        text += f" ({measures} published measure{'' if measures == 1 else 's'})"
    if unknown:
        text += f", {len(unknown)} unmeasured"
    wanted = [name for name in inputs.setting.demanded if name in unknown]
    if wanted:
        text += f": nothing is published on {', '.join(wanted).replace('_', ' ')}, which the task is about"
    if inputs.tokens(row, picked.tokens) > LONG_CONTEXT_TO and recall_of(row, picked.tokens) is None:
        text += ", unmeasured at this length"
    return text


def _waits(row: Row, picked: Picked, inputs: DecisionInputs) -> str:
    seconds = row_seconds(row, inputs.load, inputs.tokens(row, picked.tokens))
    window = WINDOWS.get(row.tier)
    if window is not None:
        return f"answers within {about(window)}, as calls of its service tier do"
    if inputs.facts.stream:
        return f"begins to answer after about {about(seconds.first)}"
    return f"answers after about {about(seconds.whole)}"


def _replacement(picked: Picked, inputs: DecisionInputs) -> dict[str, Any] | None:
    model = inputs.setting.replacement
    if model is None:
        return None
    effort = model.default_effort
    if picked.row is not None and picked.row.at.model.id == model.id:
        row, why = picked.row, None
    else:
        tier = picked.row.tier if picked.row else "standard"
        row = bare_row(model, effort, inputs.setting, tier, inputs.facts.builtin_tools)
        why = _why_not(model, effort, inputs)
    cost = inputs.text_cost(row, picked.tokens)
    dollars = None if cost is None else format_dollars(cost)
    return {"model": model.id, "effort": row.at.effort, "cost": dollars, "why_not": why}


def _why_not(model: Model, effort: str | None, inputs: DecisionInputs) -> str:
    """Say why the provider's own word is not followed."""
    pooled = {row.at.model.id for row in inputs.shape.rows} | {it.model for it in inputs.shape.rejected}
    said = ["it costs more than what was chosen"] if model.id in pooled else ["not in the pool"]
    if inputs.setting.floor is not None:
        asked = inputs.shape.dimensions + inputs.shape.guarded
        found = inputs.setting.floor.evidence(model, effort, asked)
        below = [item.dimension for item in found if item.verdict in ("below", "mixed")]
        nothing = [item.dimension for item in found if item.verdict in _NO_EVIDENCE]
        said += [f"published below {inputs.baseline} on {_listed(below)}"] if below else []
        said += [f"nothing published on {_listed(nothing)}"] if nothing else []
    return "; ".join(said)


def _listed(dimensions: list[str]) -> str:
    return ", ".join(dimensions).replace("_", " ")


def _baseline_cannot(picked: Picked, inputs: DecisionInputs) -> str:
    """Say why the baseline itself could not have served the call, if so."""
    baseline = inputs.baseline
    for row in inputs.shape.rows:
        if row.at.model.id == baseline:
            if inputs.admits(row, picked.tokens):
                return ""
            return f"; {inputs.reasons(row, picked.tokens)[0].text}"
    for candidate in inputs.shape.rejected:
        if candidate.model == baseline:
            return f"; {candidate.reasons[0].text}"
    return ""
