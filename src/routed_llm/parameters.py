"""What a call must look like for the chosen model, effort and endpoint. Pure.

What a model does with a parameter is the catalog's business; what losing one means stands in
:data:`routed_llm.fields.SOFT`: what is named there is a matter of taste or price and may be dropped, which
the Decision records as a Change. Whatever else is refused, known or not, the model cannot serve the call.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from routed_llm.decision import Change, Reason
from routed_llm.facts import thaw
from routed_llm.fields import SOFT

if TYPE_CHECKING:
    from routed_llm.catalog.model import Model, ParameterRule
    from routed_llm.facts import RequestFacts

__all__ = [
    "ENCRYPTED",
    "INCLUDED",
    "IN_MESSAGES",
    "NEUTRAL",
    "Fit",
    "cap_changes",
    "ends_at",
    "fit_parameters",
    "take_out",
]

IN_MESSAGES = frozenset({"prompt_cache_breakpoint"})
"""What stands in the blocks of messages: never among a call's parameters, but left out there when dropped."""

ENCRYPTED = "reasoning.encrypted_content"
"""The item of ``include`` that asks for reasoning in a form that travels with the conversation."""

INCLUDED = (ENCRYPTED, "message.output_text.logprobs")
"""Items of ``include`` that only some models take; each is a parameter of its own to the catalog."""

NEUTRAL: Mapping[str, Any] = {
    "truncation": "disabled",
    "modalities": ("[]", ("text",)),
    "n": 1,
    "logprobs": False,
    "top_logprobs": 0,
    "logit_bias": ("{}", ()),
    "stop": ("[]", ()),
    "presence_penalty": 0,
    "frequency_penalty": 0,
    "temperature": 1,
    "top_p": 1,
    "background": False,
}
"""Values that ask for what happens anyway: dropping them never changes anything."""


@dataclass(frozen=True, slots=True)
class Fit:
    """How a request's parameters fit one configuration.

    Attributes:
        reasons: why the configuration cannot serve the request.
        dropped: names of the parameters that are not sent.
        changes: the Changes those drops make.
        tasteful: how many of the drops lose something the caller asked for.
    """

    reasons: tuple[Reason, ...]
    dropped: frozenset[str]
    changes: tuple[Change, ...]
    tasteful: int


def fit_parameters(
    facts: RequestFacts,
    model: Model,
    effort: str | None,
    endpoint: str,
    absent: frozenset[str],
    *,
    keep_taste: bool,
    emulated: frozenset[str] = frozenset(),
) -> Fit:
    """Hold the parameters of a request against one configuration.

    Args:
        facts: the request.
        model: the model.
        effort: the effort that would be sent, or None.
        endpoint: the endpoint that would be called.
        absent: parameters that this endpoint does not have at all.
        keep_taste: True when losing a parameter of taste rules the configuration out, too.
        emulated: parameters that the caller makes good itself where the model refuses them.
    """
    if not facts.parameters:
        return _NOTHING
    rules = model.parameters.get(endpoint, {})
    # What is off, or as it is anyway, is not there for another one to go with or against.
    given = {name for name, value in facts.parameters if value is not False and not _is_neutral(name, value)}
    if facts.cap is not None:
        # However the caller names the cap, this is what it may be sent as.
        given.update((facts.cap_name, "max_completion_tokens"))
    if facts.tools or facts.builtin_tools - {"web_search_options"}:
        given.add("tools")
    reasons: list[Reason] = []
    changes: list[Change] = []
    tasteful = 0
    for name, value in facts.parameters:
        reason = _refusal(name, value, rules.get(name), model, effort, endpoint, absent, given)
        if reason is None:
            continue
        neutral = _is_neutral(name, value)
        if name in emulated and not neutral:
            why = f"{reason.text}, so it is done to the answer instead"
            changes.append(Change(name, "emulated", thaw(value), None, why))
            continue
        free = neutral or _asks_nothing(name, value, reason)
        if not free and (name not in SOFT or keep_taste):
            reasons.append(reason)
            continue
        tasteful += not free
        why = "it is the default value, and " + reason.text if neutral else reason.text
        changes.append(Change(name, "dropped", thaw(value), None, why))
    dropped = frozenset(change.parameter for change in changes)
    return Fit(tuple(reasons), dropped, tuple(changes), tasteful)


def _is_neutral(name: str, value: Any) -> bool:
    return name in NEUTRAL and bool(value == NEUTRAL[name])


def _asks_nothing(name: str, value: Any, reason: Reason) -> bool:
    """Say whether a parameter asks for nothing where it is refused."""
    if name == "include":
        items = thaw(value)
        return isinstance(items, list) and all(item in INCLUDED for item in items)  # which count themselves
    # Reasoning that does not travel is thought again; a choice among no tools chooses nothing.
    return name == ENCRYPTED or (reason.code == "parameter_alone" and reason.data["other"] == "tools")


def _refusal(
    name: str,
    value: Any,
    rule: ParameterRule | None,
    model: Model,
    effort: str | None,
    endpoint: str,
    absent: frozenset[str],
    given: set[str],
) -> Reason | None:
    """Return why a parameter cannot be sent as it is, or None when it can."""
    if name in absent:
        return Reason("parameter_absent", {"endpoint": endpoint, "parameter": name})
    if rule is None:
        return None
    data = {"model": model.id, "parameter": name, "endpoint": endpoint}
    if rule.accept == "no":
        return Reason("parameter", data)
    if rule.accept == "effort_none" and effort != "none":
        return Reason("parameter_effort", data)
    if rule.only is not None and thaw(value) not in rule.only:
        only = ", ".join(repr(item) for item in rule.only)
        return Reason("parameter_value", {**data, "value": thaw(value), "only": only})
    if rule.max_items is not None and _length(value) > rule.max_items:
        return Reason("parameter_items", {**data, "most": rule.max_items, "items": _length(value)})
    for other in rule.without:
        if other in given and other != name:
            return Reason("parameter_conflict", {**data, "other": other})
    if rule.requires is not None and rule.requires not in given:
        return Reason("parameter_alone", {**data, "other": rule.requires})
    return None


def _length(value: Any) -> int:
    value = thaw(value)
    return len(value) if isinstance(value, (list, dict)) else 1


def take_out(parameters: dict[str, Any], dropped: frozenset[str]) -> frozenset[str]:
    """Take what is dropped of ``include`` out of its list.

    Args:
        parameters: what is sent, with an ``include``; changed in place.
        dropped: names of the parameters that are not sent.

    Returns:
        The names that are not sent, with ``include`` when nothing of it is left.
    """
    for item in INCLUDED:
        parameters.pop(item, None)
    if dropped.isdisjoint(INCLUDED):
        return dropped
    kept = [item for item in parameters["include"] if item not in dropped]
    if kept:
        parameters["include"] = kept
        return dropped
    del parameters["include"]
    return dropped | {"include"}


def ends_at(facts: RequestFacts, sent: int | None) -> int | None:
    """Say after how many tokens the text of an answer must be ended by us, or None.

    Room for reasoning is no room for text. The answer to a schema is not ended before it is whole.
    """
    if facts.cap is None or sent is None or sent <= facts.cap or facts.structured is not None:
        return None
    return facts.cap


def cap_changes(
    facts: RequestFacts,
    name: str,
    sent: int | None,
    max_output: int,
    *,
    room: int = 0,
    limited: str | None = None,
) -> tuple[Change, ...]:
    """List the Changes that sending a cap of ``sent`` under ``name`` makes.

    Args:
        facts: the request.
        name: what the endpoint calls a cap.
        sent: the cap, or None.
        max_output: the model's own limit.
        room: tokens to leave for reasoning above the caller's cap.
        limited: why money sets the cap, or None where it does not.
    """
    if sent is None:
        return ()
    changes = []
    if name != facts.cap_name:
        changes.append(
            Change(facts.cap_name, "renamed", facts.cap_name, name, "the endpoint takes it by this name")
        )
    if facts.cap is None:
        changes.append(Change(facts.cap_name, "added", None, sent, limited or ""))
    elif sent < facts.cap:
        why = limited or f"the model writes at most {max_output:,} tokens"
        changes.append(Change(facts.cap_name, "clamped", facts.cap, sent, why))
    elif sent > facts.cap:
        why = "reasoning counts against the cap" if room else "the endpoint takes no less"
        if facts.structured is not None:
            why += "; an answer in a form is not cut in the middle"
        else:
            why += f"; the text is still cut at {facts.cap:,} tokens"
            why += ", calls of tools are left whole" if facts.tools else ""
        changes.append(Change(facts.cap_name, "raised", facts.cap, sent, why))
    return tuple(changes)


_NOTHING = Fit((), frozenset(), (), 0)
