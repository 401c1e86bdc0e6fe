"""repair: one refused parameter put right for the same model, as the provider's own words say how. Pure."""

from __future__ import annotations

import re
from dataclasses import replace
from typing import TYPE_CHECKING, Final

from routed_llm.decision import Call, Change, Decision
from routed_llm.fields import CAPS, SOFT
from routed_llm.parameters import ENCRYPTED, IN_MESSAGES, take_out
from routed_llm.policy import EFFORTS
from routed_llm.recovery.facts import ErrorFacts, ErrorKind

if TYPE_CHECKING:
    from routed_llm.policy import Policy

__all__ = ["repair", "unstreamed"]

_INSTEAD: Final = re.compile(r"Use '([A-Za-z_.]+)' instead")
_MOST: Final = (
    re.compile(r"supports at most (\d+) "),
    re.compile(r"Expected a value <= (\d+)"),
)
_SUPPORTED: Final = re.compile(r"Supported values are: (.+?)\.?$")
_RAISE: Final = 4


def repair(
    decision: Decision, error: ErrorFacts, policy: Policy, writes: int | None = None
) -> tuple[Decision, Change] | None:
    """Return the Decision with the refused parameter put right and the Change, or None.

    Args:
        decision: what was sent.
        error: how it was refused.
        policy: whether a parameter of taste may be dropped.
        writes: the most output tokens of the model, or None when that is not known.
    """
    call = decision.call
    if call is None:
        return None
    if error.kind is ErrorKind.OUTPUT_CAP:
        return _lower(decision, call, error)
    if error.kind is ErrorKind.STATE:
        return _forget(decision, call, error)
    if error.param == "stream":
        return None  # another model may stream; see :func:`unstreamed`
    if error.kind is ErrorKind.CUT_SHORT:
        return _raise(decision, call, error, writes)
    if error.message.startswith("Encrypted content is not supported"):
        return _not_encrypted(decision, call, error)
    if error.param in ("reasoning.effort", "reasoning_effort"):
        return _effort(decision, call, error)
    name = (error.param or "").split(".")[-1]
    renamed = _INSTEAD.search(error.message)
    if name in CAPS and renamed is not None:
        return _rename(decision, call, name, renamed[1], error)
    return _drop(decision, call, name, error, policy)


def unstreamed(decision: Decision, error: ErrorFacts) -> tuple[Decision, Change] | None:
    """Return the Decision with its answer asked for whole, where that is refused as a stream, or None."""
    call = decision.call
    if call is None or not call.stream:
        return None
    return _with(
        decision, replace(call, stream=False), Change("stream", "dropped", True, None, _because(error))
    )


def _because(error: ErrorFacts) -> str:
    return f"the provider refused it ({error.text})"


def _with(decision: Decision, call: Call, change: Change) -> tuple[Decision, Change]:
    return replace(decision, call=call, changes=(*decision.changes, change)), change


def _forget(decision: Decision, call: Call, error: ErrorFacts) -> tuple[Decision, Change] | None:
    if call.stateless or call.endpoint != "responses":
        return None
    change = Change("input", "dropped", "what earlier turns left with the provider", None, _because(error))
    return _with(decision, replace(call, stateless=True), change)


def _not_encrypted(decision: Decision, call: Call, error: ErrorFacts) -> tuple[Decision, Change] | None:
    if ENCRYPTED in call.dropped:
        return None
    parameters, dropped = dict(call.parameters), call.dropped | {ENCRYPTED}
    if "include" in parameters:
        dropped = take_out(parameters, dropped)
    change = Change(ENCRYPTED, "dropped", True, None, _because(error))
    return _with(decision, replace(call, parameters=parameters, dropped=dropped), change)


def _rename(
    decision: Decision, call: Call, name: str, instead: str, error: ErrorFacts
) -> tuple[Decision, Change] | None:
    asked = decision.facts.cap_name
    change = Change(asked, "renamed", asked, instead, _because(error))
    before = [one for one in decision.changes if (one.parameter, one.action) == (asked, "renamed")]
    if instead not in CAPS or instead == name or any(one.after == instead for one in before):
        return None
    rest = tuple(one for one in decision.changes if one not in before)
    return replace(decision, call=call, changes=(*rest, change)), change


def _drop(
    decision: Decision, call: Call, name: str, error: ErrorFacts, policy: Policy
) -> tuple[Decision, Change] | None:
    sent = call.parameters
    marked = name in IN_MESSAGES and name not in call.dropped
    asked = sent.get(name, decision.facts.parameter(name) if marked else None)
    if name not in SOFT or asked is None or policy.on_unsupported != "drop":
        return None
    rest = {key: value for key, value in sent.items() if key != name}
    change = Change(name, "dropped", asked, None, _because(error))
    return _with(decision, replace(call, parameters=rest, dropped=call.dropped | {name}), change)


def _lower(decision: Decision, call: Call, error: ErrorFacts) -> tuple[Decision, Change] | None:
    found = next((match for match in (one.search(error.message) for one in _MOST) if match), None)
    if found is None or call.cap is None or int(found[1]) >= call.cap or int(found[1]) < 1:
        return None
    most = int(found[1])
    change = Change(decision.facts.cap_name, "clamped", call.cap, most, _because(error))
    return _with(decision, replace(call, cap=most), change)


def _raise(
    decision: Decision, call: Call, error: ErrorFacts, writes: int | None
) -> tuple[Decision, Change] | None:
    """Raise the cap, once: what a model does not say with four times the room it may never say."""
    raised = any(change.action == "raised" and error.text in change.why for change in decision.changes)
    if call.cap is None or raised:
        return None
    if decision.policy is not None and decision.policy.cost_cap == "hard":
        return None  # a bill for each request, and the cap of the first was all that it paid for
    cap = call.cap * _RAISE if writes is None else min(call.cap * _RAISE, writes)
    if cap <= call.cap:
        return None
    why = f"reasoning used it up before anything was said; {_because(error)}"
    return _with(
        decision,
        replace(call, cap=cap),
        Change(decision.facts.cap_name, "raised", call.cap, cap, why),
    )


def _effort(decision: Decision, call: Call, error: ErrorFacts) -> tuple[Decision, Change] | None:
    """Send the next higher effort that the provider says it takes: a lower one might miss the floor."""
    found = _SUPPORTED.search(error.message)
    if found is None or call.effort not in EFFORTS:
        return None
    offered = set(re.findall(r"'([a-z]+)'", found[1]))
    higher = [one for one in EFFORTS[EFFORTS.index(call.effort) + 1 :] if one in offered]
    if not higher:
        return None
    change = Change("reasoning_effort", "clamped", call.effort, higher[0], _because(error))
    chosen = None if decision.chosen is None else replace(decision.chosen, effort=higher[0])
    return _with(replace(decision, chosen=chosen), replace(call, effort=higher[0]), change)
