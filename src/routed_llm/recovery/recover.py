"""recover: what to do after a failure. Pure: no clock, no chance and no network; they come in as values."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Final

from routed_llm.recovery.addresses import origin_of
from routed_llm.recovery.facts import ErrorFacts, ErrorKind
from routed_llm.recovery.repair import repair, unstreamed
from routed_llm.recovery.step import Action, Attempt, RetryLimits, Step

if TYPE_CHECKING:
    from routed_llm.decision import Decision
    from routed_llm.policy import Policy

__all__ = ["others", "recover"]

_K = ErrorKind

_OF_ADDRESS: Final[Mapping[ErrorKind, str]] = {
    _K.QUOTA: "the account's quota is used up, for every model",
    _K.AUTHENTICATION: "the key was refused, for every model",
    _K.REDIRECT: "the address leads elsewhere, where the key must not go",
}
"""What is wrong with one address and its key, and says nothing of another."""
_FATAL: Final[Mapping[ErrorKind, str]] = {
    _K.CONTENT: "the content was refused by policy, and is not tried on other models",
    _K.INVALID: "the request was refused as it is",
}
_PASSING: Final = frozenset(
    {_K.RATE_LIMIT, _K.SERVER, _K.CONNECTION, _K.TIMEOUT, _K.INCOMPLETE, _K.UNREADABLE}
)
_MENDABLE: Final = frozenset({_K.PARAMETER, _K.OUTPUT_CAP, _K.CUT_SHORT, _K.STATE})
_WHY: Final[Mapping[ErrorKind, str]] = {
    _K.TOO_LARGE: "this request is over its limit a minute",
    _K.CONTEXT: "this request is longer than it takes",
    _K.NOT_FOUND: "the provider does not find it",
    _K.ENDPOINT: "it is not offered on this endpoint",
    _K.MODALITY: "it does not take this kind of input",
    _K.PARAMETER: "it refuses a parameter of this request",
    _K.OUTPUT_CAP: "it does not write as much as was asked for",
    _K.STATE: "it does not find what an earlier turn left there",
    _K.CUT_SHORT: "the output cap leaves it no room for an answer",
    _K.RATE_LIMIT: "its rate limit is used up",
    _K.SERVER: "the provider failed on it",
    _K.CONNECTION: "the connection to it broke",
    _K.TIMEOUT: "it did not answer in time",
    _K.INCOMPLETE: "its stream ended without a finish reason",
    _K.UNREADABLE: "what came back is no answer",
    _K.NO_ENDPOINT: "its address does not have the endpoint",
    **_OF_ADDRESS,
}


def recover(
    decision: Decision,
    error: ErrorFacts,
    attempts: Sequence[Attempt] = (),
    *,
    policy: Policy,
    limits: RetryLimits | None = None,
    now: float = 0.0,
    jitter: float = 0.0,
    room: Mapping[str, int] | None = None,
    writes: int | None = None,
    alone: bool = False,
) -> Step:
    """Say what to do after a failure.

    ==========================================  ====================================================
    the error                                   the step
    ==========================================  ====================================================
    not the provider's; tokens passed on;       stop
    content policy, wrong request
    quota, key, redirect                        move to another address; else stop
    no such endpoint at the address             the other endpoint; else move; else stop
    no answer seen of what must not be done     stop
    twice (hosted tools, background, stored)
    attempts or time used up                    stop
    refused parameter, output cap, what is      change it; else move; else stop
    not stored
    too long, too large, not found, modality,   move, never again the same model; else stop
    endpoint
    rate limit, broken connection               wait, if the wait is short; else move; else wait
    server, timeout, no whole answer            move; else wait
    ==========================================  ====================================================

    Args:
        decision: the Decision that was sent.
        error: what went wrong.
        attempts: the failures of this call before this one, oldest first.
        policy: what the user wants.
        limits: how much may be tried.
        now: seconds since the first request of this call was sent.
        jitter: a random number from 0 to 1, which spreads the waits of many callers.
        room: the most input tokens of each model, for errors of length.
        writes: the most output tokens of the model that failed.
        alone: whether no other model is available, whatever the Decision says.
    """
    limits = limits or RetryLimits()
    learned = _learned(decision, error)
    ending = _ending(decision, error, len(attempts) + 1, limits, now)
    if ending is not None:
        return replace(learned, action=Action.STOP, reason=ending)
    if error.kind in _MENDABLE:
        repaired = repair(decision, error, policy, writes)
        if repaired is not None:
            fixed, change = repaired
            return Step(action=Action.CHANGE, reason=change.text, decision=fixed, change=change)
    model = decision.model or ""
    if learned.missing is not None and not alone:
        # What remains is decided again: the same model may be available on the other endpoint.
        return replace(learned, action=Action.MOVE, reason=f"{model}: {_WHY[error.kind]}")
    avoid = _avoid(model, error, room or {}, decision)
    able = () if alone else [one for one in others(decision) if one not in avoid]
    if error.kind in _PASSING:
        return _passing(decision, error, attempts, limits, now, jitter, avoid if able else {})
    if able:
        return replace(learned, action=Action.MOVE, reason=f"{model}: {_WHY[error.kind]}", avoid=avoid)
    whole = unstreamed(decision, error) if learned.whole else None
    if whole is not None:
        fixed, change = whole
        return replace(learned, action=Action.CHANGE, reason=change.text, decision=fixed, change=change)
    if error.kind in _OF_ADDRESS:
        return replace(learned, action=Action.STOP, reason=_OF_ADDRESS[error.kind])
    reason = f"{_WHY[error.kind]}, and no other model can serve the request"
    return replace(learned, action=Action.STOP, reason=f"{model}: {reason}")


def _learned(decision: Decision, error: ErrorFacts) -> Step:
    """Say what a failure shows of a key and an address, whatever follows for this call."""
    streams = error.kind is _K.PARAMETER and error.param == "stream"
    return Step(
        action=Action.STOP,
        reason="",
        dead=error.kind is _K.NOT_FOUND,
        missing=decision.endpoint if error.kind is _K.NO_ENDPOINT else None,
        whole=streams and decision.facts.stream,
    )


def others(decision: Decision) -> list[str]:
    """Name the other models that could serve a decided request, the next best first."""
    found = (one.model for one in decision.candidates if one.model != decision.model and one.able)
    return list(dict.fromkeys(found))


def _ending(decision: Decision, error: ErrorFacts, made: int, limits: RetryLimits, now: float) -> str | None:
    if error.kind is _K.FOREIGN:
        return "not an error of the provider"
    if error.started:
        return "part of the answer had been passed on"
    if error.kind in _FATAL:
        return _FATAL[error.kind]
    if error.unsure and (twice := decision.facts.lasting) is not None:
        return f"it may have been carried out, and {twice} must not be done twice"
    if made >= limits.attempts:
        return f"{made} request{'s' if made > 1 else ''} may be sent for one call, and {made} failed"
    if now >= limits.deadline:
        return f"{now:.1f} s have passed, and {limits.deadline:g} s are the deadline"
    return None


def _avoid(model: str, error: ErrorFacts, room: Mapping[str, int], decision: Decision) -> dict[str, str]:
    why = _WHY.get(error.kind, "")
    avoid = {model: why}
    if error.kind in _OF_ADDRESS:
        here = _origin(decision, model)
        avoid.update((one.model, why) for one in decision.candidates if origin_of(one.base_url) == here)
    if error.kind is _K.CONTEXT:
        least = max(room.get(model, 0) + 1, error.tokens or 0)
        avoid.update((one, why) for one in others(decision) if room.get(one, least) < least)
    return avoid


def _origin(decision: Decision, model: str) -> str:
    return origin_of(next((one.base_url for one in decision.candidates if one.model == model), None))


def _passing(
    decision: Decision,
    error: ErrorFacts,
    attempts: Sequence[Attempt],
    limits: RetryLimits,
    now: float,
    jitter: float,
    avoid: Mapping[str, str],
) -> Step:
    """Wait for the same model or move to another, whichever is sooner; an empty `avoid`: no other."""
    model = decision.model or ""
    before = sum(1 for attempt in attempts if attempt.model == model)
    wait = _wait(error, before, limits, jitter)
    cool = error.retry_after if error.retry_after and error.retry_after > limits.patience else 0.0
    cool = cool if error.kind is _K.RATE_LIMIT else 0.0
    step = Step(action=Action.RETRY, reason=f"{model}: {_WHY[error.kind]}", delay=wait, cool=cool)
    may_wait = limits.waits and error.should_retry is not False and now + wait < limits.deadline
    # A short wait keeps the model's cached prefix, and a broken connection says nothing about the model.
    soon = wait <= limits.patience and error.kind in (_K.RATE_LIMIT, _K.CONNECTION) and not before
    if may_wait and (soon or not avoid):
        return step
    if avoid:
        return replace(step, action=Action.MOVE, delay=0.0, avoid=avoid)
    blocked = "the provider says not to retry" if error.should_retry is False else f"a wait of {wait:.1f} s"
    blocked = blocked if limits.waits else "the client behind it has retried already"
    why = f"{step.reason}, no other model can serve the request"
    tail = " is past the deadline" if blocked.startswith("a wait") else ""
    return replace(step, action=Action.STOP, delay=0.0, reason=f"{why}, and {blocked}{tail}")


def _wait(error: ErrorFacts, before: int, limits: RetryLimits, jitter: float) -> float:
    if error.retry_after is not None:
        # Later than asked for, never sooner, or all callers come back at the same instant.
        return float(error.retry_after * (1 + 0.1 * jitter))
    return float(min(limits.base * 2**before, limits.most) * (1 - 0.25 * jitter))
