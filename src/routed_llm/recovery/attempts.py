"""Attempts: the failures of one call and what is done about them. Adapters send and sleep; this decides."""

from __future__ import annotations

import random
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING, Any, Final, Protocol

from routed_llm.decision import format_dollars
from routed_llm.errors import BudgetExceeded
from routed_llm.events import INFO, WARNING, emit
from routed_llm.recovery.classify import classify_error
from routed_llm.recovery.cooldowns import CooldownStore
from routed_llm.recovery.facts import ErrorFacts, ErrorKind
from routed_llm.recovery.recover import recover
from routed_llm.recovery.step import Action, Attempt, RetryLimits, Step

if TYPE_CHECKING:
    from routed_llm.catalog import Catalog
    from routed_llm.decision import Decision
    from routed_llm.exchange import Exchange
    from routed_llm.policy import Policy
    from routed_llm.recovery.addresses import Addresses
    from routed_llm.usage import Usage

__all__ = ["Attempts", "end"]

_COUNTED: Final = frozenset(
    {ErrorKind.RATE_LIMIT, ErrorKind.SERVER, ErrorKind.TIMEOUT, ErrorKind.INCOMPLETE, ErrorKind.UNREADABLE}
)
"""Failures that say something about the model's health; a broken connection says nothing about it."""

_OF_ADDRESS: Final = frozenset({ErrorKind.QUOTA, ErrorKind.AUTHENTICATION, ErrorKind.REDIRECT})
_ADDRESS_RESTS: Final = 60.0
"""Seconds for which an address whose key was refused is left alone, while another can serve."""

_ADVICE: Final[Mapping[ErrorKind, str]] = {
    ErrorKind.QUOTA: "Add credit to the account, or use another key.",
    ErrorKind.AUTHENTICATION: "Check the key and what its project may use.",
    ErrorKind.REDIRECT: "Give the address that it leads to as base_url, with its own key.",
    ErrorKind.NO_ENDPOINT: "Correct the address, or say Policy(endpoints=[...]).",
    ErrorKind.CONTENT: "Change the content.",
    ErrorKind.INVALID: "Change the request as the message says.",
    ErrorKind.CONTEXT: "Shorten the input, or widen the pool with Policy(models=...).",
    ErrorKind.TOO_LARGE: "Shorten the input, raise the account's limit, or widen the pool.",
}
_RETRY_LATER: Final = "Try again later, allow more attempts with max_retries, or widen the pool."


class Ending(Protocol):
    """The books of one request, as far as its end goes; :class:`routed_llm.Run` is one."""

    exchange: Exchange
    """What is known of it on the wire."""

    def fail(
        self,
        outcome: str,
        usage: Usage | None = None,
        *,
        served: str | None = None,
        begun: bool = False,
        unsure: bool = False,
    ) -> None:
        """Book a request that failed."""

    def settle(self, usage: Usage | None, *, served: str | None = None) -> Any:
        """Book what came of an answer."""

    def cancel(self) -> None:
        """Release what was reserved."""


class Attempts:
    """One call and its failures. Made for each call; used by one thread or task at a time.

    An adapter's loop::

        attempts = router.attempts(request, decision)
        while True:
            run = router.begin(attempts.decision)
            try:
                answer = ...  # send attempts.decision.call, with no retries behind it
            except Exception as error:
                step = attempts.failed(error, run=run)
                if step.error is not None:
                    raise step.error
                time.sleep(step.delay)
            else:
                attempts.answered()
                return answer, attempts.record(run.settle(usage))

    Only an ``Exception`` is anything to recover from: interrupts and cancellation pass on untouched, and the
    adapter abandons the run.

    Args:
        decision: what is sent first.
        choose: decides again, given the models to leave alone with the reason; None when nothing fits.
        policy: what the user wants.
        catalog: the models, for errors of length.
        cooldowns: shared by all callers.
        able: decides for each of the models that could serve the call, if they had room for it.
        limits: how much may be tried.
        on_cool: called with a model that is left alone for so many seconds.
        on_dead: called with a model that the provider does not have, with the reason.
        on_missing: called with a model whose address does not have an endpoint.
        on_whole: called with a model that does not stream for this credential, with the reason.
        addresses: the addresses besides the caller's own.
        credential: whose key and address it is sent with, as a fingerprint.
        blocks: whether to choose again, or to end a run, may wait for a disk or a network.
        clock: seconds of a clock that only moves forward.
        since: when the call began, by that clock; now, when left out.
        chance: a random number from 0 to 1.
    """

    def __init__(
        self,
        decision: Decision,
        *,
        choose: Callable[[Mapping[str, str]], Decision | None],
        policy: Policy,
        catalog: Catalog,
        cooldowns: CooldownStore,
        able: Callable[[], tuple[Decision, ...]] = tuple,
        limits: RetryLimits | None = None,
        on_cool: Callable[[str, float], None] | None = None,
        on_dead: Callable[[str, str], None] | None = None,
        on_missing: Callable[[str, str], None] | None = None,
        on_whole: Callable[[str, str], None] | None = None,
        addresses: Addresses | None = None,
        credential: str = "",
        blocks: bool = False,
        clock: Callable[[], float] = time.monotonic,
        since: float | None = None,
        chance: Callable[[], float] = random.random,
    ) -> None:
        self.decision = decision
        self.limits = limits or RetryLimits()
        self.failures: tuple[Attempt, ...] = ()
        self._able = able
        self._choose = choose
        self._policy = policy
        self._catalog = catalog
        self._cooldowns = cooldowns
        self._on_cool = on_cool
        self._on_dead = on_dead
        self._on_missing = on_missing
        self._on_whole = on_whole
        self._addresses = addresses
        self._credential = credential
        self._blocks = blocks
        self._clock = clock
        self._chance = chance
        self._first: Exception | None = None
        self._avoid: dict[str, str] = {}
        self._since = clock() if since is None else since

    def again(self) -> Decision | None:
        """Decide again, by what is known by now; None where nothing fits."""
        return self._choose(self._avoid)

    def able(self) -> tuple[Decision, ...]:
        """Decide for each of the models that could serve the call, and have not failed it."""
        return tuple(one for one in self._able() if one.model not in self._avoid)

    def failed(
        self,
        error: Exception,
        *,
        started: bool = False,
        facts: ErrorFacts | None = None,
        run: Ending | None = None,
        usage: Usage | None = None,
        served: str | None = None,
    ) -> Step:
        """Note that a request failed, end its run, and say what comes next.

        Args:
            error: what was raised.
            started: whether tokens of the answer had been passed on; then nothing is tried again.
            facts: what the error is, where the adapter knows better than :func:`classify_error`.
            run: the books of the request, or None when they could not be opened. A failure of the provider
                becomes an entry of its own; any other error gives back what was reserved, or has what
                came booked.
            usage: what the provider had reported by then, or None.
            served: the model id that the response had named by then, or None.

        Returns:
            The Step. :attr:`decision` has moved on to what is sent next; with ``stop``, ``step.error`` is
            what to raise: the first error of the call, so that handlers written for it still work, with
            ``.attempts`` and a note of what was tried. An error that arrived after the first tokens, and
            one that is not the provider's, are themselves.
        """
        answered = run is not None and run.exchange.answered
        known = classify_error(error, started=started, answered=answered)
        if facts is not None and known.kind is ErrorKind.FOREIGN:
            known = replace(facts, started=started)
        if run is not None and run.exchange.never_sent:
            known = replace(known, unsure=False)
        if run is not None:
            end(run, known, usage, served)
        return self._after(error, known)

    async def afailed(
        self,
        error: Exception,
        *,
        started: bool = False,
        facts: ErrorFacts | None = None,
        run: Ending | None = None,
        usage: Usage | None = None,
        served: str | None = None,
    ) -> Step:
        """Do what :meth:`failed` does, leaving the event loop free while a ledger works."""
        failed = partial(
            self.failed, error, started=started, facts=facts, run=run, usage=usage, served=served
        )
        if not self._blocks:
            return failed()
        from routed_llm.offloop import to_its_end  # asyncio is heavy, and loaded already where this runs

        return await to_its_end(failed)

    def _after(self, error: Exception, known: ErrorFacts) -> Step:
        if known.kind is ErrorKind.FOREIGN:
            return Step(action=Action.STOP, reason="not an error of the provider", error=self._foreign(error))
        sent = self.decision
        step = replace(self._next(known), kind=known.kind)
        self._report(sent, known, step)
        self._note(sent, known, step)
        self._emit(sent, step)
        self._first = self._first or error
        if step.action is not Action.STOP:
            return step
        raised = error if known.started else self._first
        self._tell(raised, known, step)
        self._first = None  # an exception that is kept would keep its frames, and they the call
        return replace(step, error=raised)

    def answered(self) -> None:
        """Note that the call was answered in full."""
        if self.decision.model is not None:
            self._cooldowns.answered(self.decision.model, credential=self._whose(self.decision.model))
        self._first = None

    def _whose(self, model: str) -> str:
        whose = self._credential
        return whose if self._addresses is None else self._addresses.whose.get(model, whose)

    def record(self, record: Mapping[str, Any]) -> dict[str, Any]:
        """Return a routing record with what had failed before: ``attempts``, oldest first."""
        return {**record, "attempts": [attempt.to_dict() for attempt in self.failures]}

    def _foreign(self, error: Exception) -> Exception:
        """Return what to raise for an error that is not the provider's: itself, or what led up to it."""
        if self._first is None or not isinstance(error, BudgetExceeded):
            return error
        raised, self._first = self._first, None
        stop = Step(action=Action.STOP, reason="the budget has no room for another request")
        self._tell(raised, self.failures[-1].error, stop)
        return raised

    def _next(self, error: ErrorFacts) -> Step:
        """Decide, and move the Decision on."""
        now, jitter = self._clock() - self._since, self._chance()
        step = self._recover(error, now, jitter)
        if step.action is Action.MOVE:
            avoid = {**self._avoid, **step.avoid}
            self._learn(self.decision, error, step)
            found = self._choose(avoid)
            stays = found is not None and step.missing is not None and found.call == self.decision.call
            if found is None or found.model in avoid or stays:
                again = self._recover(error, now, jitter, alone=True)
                return replace(again, dead=step.dead, whole=step.whole, cool=max(step.cool, again.cool))
            self._avoid, self.decision = avoid, found
            return replace(step, decision=found)
        if step.decision is not None:
            self.decision = step.decision
        return replace(step, decision=self.decision) if step.action is Action.RETRY else step

    def _recover(self, error: ErrorFacts, now: float, jitter: float, *, alone: bool = False) -> Step:
        # Only an error of length needs the limits of every model.
        lengths = error.kind is ErrorKind.CONTEXT
        limits = {model.id: model.limits for model in self._catalog} if lengths else {}
        cut = error.kind is ErrorKind.CUT_SHORT and self.decision.model is not None
        return recover(
            self.decision,
            error,
            self.failures,
            policy=self._policy,
            limits=self.limits,
            now=now,
            jitter=jitter,
            room={name: one.max_input for name, one in limits.items()},
            writes=self._catalog.get(self.decision.model or "").limits.max_output if cut else None,
            alone=alone,
        )

    def _report(self, sent: Decision, error: ErrorFacts, step: Step) -> None:
        """Let other callers profit from what this one has met."""
        model, call = sent.model, sent.call
        if model is None or call is None:
            return
        self._learn(sent, error, step)
        if step.dead and self._on_dead is not None and call.model == self._catalog.get(model).sent_as:
            # A dated snapshot that is gone says nothing about the model under its own name.
            self._on_dead(model, f"the provider answered {error.text}")
        elif error.kind in _COUNTED:
            why = f"it failed with {error.text} a moment ago"
            self._cool(model, why, step.cool)
        elif error.kind in _OF_ADDRESS and step.action is Action.MOVE:
            for one in step.avoid:
                self._cool(one, f"its address answered {error.text} a moment ago", _ADDRESS_RESTS)

    def _cool(self, model: str, why: str, seconds: float) -> None:
        whose = self._whose(model)
        out = self._cooldowns.failed(model, why, now=self._clock(), seconds=seconds, credential=whose)
        if out and self._on_cool is not None:
            self._on_cool(model, out)
        if out:
            emit(
                WARNING,
                "cooldown",
                "{model} is left alone for {seconds} s: {why}",
                model=model,
                seconds=round(out, 1),
                why=why,
            )

    def _learn(self, sent: Decision, error: ErrorFacts, step: Step) -> None:
        """Tell what a failure shows of an address, before what remains is decided."""
        if sent.model is None:
            return
        if step.missing is not None and self._on_missing is not None:
            self._on_missing(sent.model, step.missing)
        if step.whole and self._on_whole is not None:
            self._on_whole(sent.model, f"the provider refused to stream it ({error.text})")

    def _note(self, sent: Decision, error: ErrorFacts, step: Step) -> None:
        attempt = Attempt(
            model=sent.model or "",
            effort=sent.effort,
            endpoint=sent.endpoint or "",
            error=error,
            seconds=self._clock() - self._since,
            action=step.action,
            reason=step.reason,
            delay=step.delay,
        )
        self.failures = (*self.failures, attempt)

    def _emit(self, sent: Decision, step: Step) -> None:
        """Log what became of the failure that was noted last."""
        last, now = self.failures[-1], self.decision
        data: dict[str, Any] = {
            "model": last.name,
            "endpoint": last.endpoint,
            "error": last.error.text,
            "why": step.reason,
            "next": _written(now),
            "next_endpoint": now.endpoint,
            "cost": _cost(sent),
            "next_cost": _cost(now),
            "seconds": round(step.delay, 3),
            "attempt": len(self.failures),
        }
        level, text = _LINES[step.action]
        emit(level, f"recovery_{step.action}", text, **data)

    def _tell(self, raised: Exception, error: ErrorFacts, step: Step) -> None:
        """Put what was tried on an exception, where it lets itself be written to."""
        tried = "; ".join(f"{one.name} on {one.endpoint}: {one.error.text}" for one in self.failures)
        advice = _ADVICE.get(error.kind, _RETRY_LATER)
        with suppress(AttributeError, TypeError):
            raised.attempts = self.failures  # type: ignore[attr-defined]
            raised.add_note(f"routed-llm tried {tried}. It stopped: {step.reason}. {advice}")


_LINES: Final[Mapping[Action, tuple[int, str]]] = {
    Action.RETRY: (INFO, "{model} failed with {error}; asked again after {seconds} s"),
    Action.CHANGE: (INFO, "{model} refused the request with {error}; sent again to {next}, changed: {why}"),
    Action.MOVE: (
        WARNING,
        "{model} failed with {error}; {next} takes over: {why} (expected ${next_cost} instead of ${cost})",
    ),
    Action.STOP: (
        WARNING,
        "{model} failed with {error}; the call fails after {attempt} of its requests: {why}",
    ),
}


def _written(decision: Decision) -> str:
    return f"{decision.model}" if decision.effort is None else f"{decision.model}@{decision.effort}"


def _cost(decision: Decision) -> str:
    cost = None if decision.chosen is None else decision.chosen.cost
    return "unknown" if cost is None else format_dollars(cost)


def end(run: Ending, known: ErrorFacts, usage: Usage | None = None, served: str | None = None) -> None:
    """Close the books of a request that failed, as what is known of the failure asks for.

    What was never sent, or was refused, is released; of the rest what was reported is charged, else what was
    reserved.
    """
    if known.kind is not ErrorKind.FOREIGN:
        run.fail(known.kind, usage, served=served, begun=known.started, unsure=known.unsure)
    elif known.started or usage is not None:
        run.settle(usage, served=served)  # a handler's mistake: what had come until then is billed
    elif run.exchange.sent or run.exchange.answered:
        run.fail(known.kind, unsure=True)
    else:
        run.cancel()
