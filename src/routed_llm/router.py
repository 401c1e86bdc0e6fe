"""Router: the only module that does the steps in order.

read -> count -> select -> reserve -> (the caller sends) -> settle. Everything that touches the
world (the clock, the memo of counted texts, the ledger, what was found dead) is held here; what
decides is pure and lives below.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping
from datetime import UTC, date, datetime
from typing import TYPE_CHECKING, Any

from routed_llm.catalog import Catalog
from routed_llm.decision import Decision, format_dollars
from routed_llm.errors import NoModelFits
from routed_llm.facts import TokenCount
from routed_llm.policy import Policy
from routed_llm.pricing import cost_pico
from routed_llm.selector import Table, prepare
from routed_llm.tokens.counting import Counting
from routed_llm.tokens.text import warm_up

if TYPE_CHECKING:
    from routed_llm.facts import RequestFacts
    from routed_llm.request import Request
    from routed_llm.usage import Usage

__all__ = ["Router", "Run"]


def _today() -> date:
    return datetime.now(UTC).date()


class Router:
    """Decides which model serves each call, and keeps the books. One object serves many threads.

    Args:
        catalog: the models there are; the packaged ones when left out.
        policy: what is wanted; the default Policy when left out.
        clock: returns the day (or moment) to decide for; the system's UTC clock when left out.
    """

    def __init__(
        self,
        *,
        catalog: Catalog | None = None,
        policy: Policy | None = None,
        clock: Callable[[], date] | None = None,
    ) -> None:
        self.catalog = Catalog.load() if catalog is None else catalog
        self.policy = Policy() if policy is None else policy
        self._clock = _today if clock is None else clock
        self._unavailable: dict[str, str] = {}
        self._lock = threading.Lock()

    def decide(self, request: Request, *, policy: Policy | None = None, at: date | None = None) -> Decision:
        """Choose the model, effort and endpoint that serve a request.

        Args:
            request: what an adapter or :func:`routed_llm.read_openai` made of it.
            policy: a policy for this call only.
            at: the day to decide for; the clock's when left out.

        Raises:
            NoModelFits: when nothing in the pool can serve it; nothing has been sent.
            PolicyError: when a pattern of the policy matches no model.
            CatalogError: when the policy or the call names an unknown model.
        """
        return _checked(self.explain(request, policy=policy, at=at))

    def explain(self, request: Request, *, policy: Policy | None = None, at: date | None = None) -> Decision:
        """Return the Decision without raising when nothing fits: its ``chosen`` is None then.

        Raises:
            PolicyError: when a pattern of the policy matches no model.
            CatalogError: when the policy or the call names an unknown model.
        """
        table, facts, decision = self._bounded(request, policy, at)
        if decision.certain and (decision.chosen is not None or facts.tokens.exact):
            return decision
        counting = Counting(request.texts, known=request.fixed)
        counting.settle(table.thresholds(facts))
        decision = table.select(_bounded_by(counting, request), unavailable=self._unavailable)
        if decision.certain and decision.chosen is not None:
            return decision
        # Either two configurations cost about the same here, or a refusal that quotes exact numbers is due.
        counting.exact()
        return table.select(_bounded_by(counting, request), unavailable=self._unavailable)

    async def adecide(
        self, request: Request, *, policy: Policy | None = None, at: date | None = None
    ) -> Decision:
        """Do what :meth:`decide` does, leaving the event loop free while large texts are counted.

        Raises:
            NoModelFits: as :meth:`decide` does.
            PolicyError: as :meth:`decide` does.
            CatalogError: as :meth:`decide` does.
        """
        _, _, decision = self._bounded(request, policy, at)
        if not decision.certain or decision.chosen is None:
            import asyncio  # heavy, and loaded already wherever this runs

            decision = await asyncio.to_thread(self.explain, request, policy=policy, at=at)
        return _checked(decision)

    def begin(self, decision: Decision) -> Run:
        """Open the books for a call that is about to be sent; see :class:`Run`."""
        return Run(self, decision)

    def warmup(self) -> None:
        """Load the vocabulary and prepare the default table, off the path of any request."""
        warm_up()
        prepare(self.catalog, self.policy, self._day(None))

    def mark_unavailable(self, model: str, why: str) -> None:
        """Take a model out of this router's choice for the life of the process."""
        with self._lock:
            self._unavailable = {**self._unavailable, model: why}

    def _day(self, at: date | None) -> date:
        moment = self._clock() if at is None else at
        return moment.date() if isinstance(moment, datetime) else moment

    def _bounded(
        self, request: Request, policy: Policy | None, at: date | None
    ) -> tuple[Table, RequestFacts, Decision]:
        table = prepare(self.catalog, self.policy if policy is None else policy, self._day(at))
        facts = request.facts
        return table, facts, table.select(facts, unavailable=self._unavailable)


class Run:
    """One call that has been decided and is being sent: settle it or cancel it, exactly once.

    Attributes:
        decision: what was decided.
    """

    __slots__ = ("_done", "_router", "decision")

    def __init__(self, router: Router, decision: Decision) -> None:
        self._router = router
        self.decision = decision
        self._done = False

    def settle(self, usage: Usage | None, *, served: str | None = None) -> dict[str, Any]:
        """Book what the call used and return the record to attach to the answer.

        Args:
            usage: what the provider reported, or None when it reported nothing.
            served: the model id that the response names.

        Returns:
            The Decision's record with ``served`` and ``cost`` (US dollars as a decimal string, None
            when the usage or a price is not known).
        """
        self._done = True
        record = self.decision.record()
        record["served"] = served
        record["cost"] = self._cost(usage)
        return record

    def cancel(self) -> None:
        """Release what was reserved: the call failed or was abandoned."""
        self._done = True

    def _cost(self, usage: Usage | None) -> str | None:
        chosen = self.decision.chosen
        if usage is None or chosen is None:
            return None
        pico = cost_pico(
            usage,
            self._router.catalog.get(chosen.model),
            self.decision.at,
            regional=self._router.policy.regional,
        )
        return None if pico is None else format_dollars(pico)


def _bounded_by(counting: Counting, request: Request) -> RequestFacts:
    """Return the facts with what counting has found so far."""
    low, high = counting.low, counting.high
    left = counting.uncounted
    done = sum(map(len, request.texts)) - left
    # What is not counted yet is likely to be as dense as what is.
    guess = (
        (low - request.fixed) * (done + left) // done + request.fixed if done else request.facts.tokens.likely
    )
    return request.facts.with_tokens(TokenCount(low, min(max(guess, low), high), high))


def _checked(decision: Decision) -> Decision:
    if decision.chosen is not None:
        return decision
    raise NoModelFits(no_fit_message(decision), decision=decision)


def no_fit_message(decision: Decision) -> str:
    """Say why nothing fits, in a few lines, and what to do about it."""
    lines = [f"{name}: {text}" for name, text in list(decision.rejected.items())[:_SHOWN]]
    more = len(decision.rejected) - len(lines)
    head = f"None of {len(decision.rejected)} models can serve this request."
    tail = f" ({more} more in .decision.candidates.)" if more > 0 else ""
    return f"{head} " + "; ".join(lines) + f".{tail} {_advice(decision)}"


_SHOWN = 4

_ADVICE: Mapping[str, str] = {
    "max_input": "Shorten the input, or widen the pool with Policy(models=...).",
    "window": "Shorten the input or lower the output cap, or widen the pool with Policy(models=...).",
    "max_output": "Lower the output cap.",
    "cost_cap": "Raise max_cost_per_call, or shorten the request.",
    "budget": "Wait for the budget to be refilled, raise it, or shorten the request.",
    "floor_below": "Lower the floor with Policy(at_least=...), or widen the pool with Policy(models=...).",
    "floor_unknown": "Lower the floor with Policy(at_least=...), or use evidence='inferred'.",
    "floor_inferred": "Use evidence='inferred', or lower the floor with Policy(at_least=...).",
    "retired": "Name a model that is still served; `routed models` lists them.",
    "recall": "Lower min_recall, or shorten the input.",
    "recall_unknown": "Lower min_recall, or shorten the input.",
    "no_price": "Give the model a price with Catalog.with_models(), or lift the limit on cost.",
}


def _advice(decision: Decision) -> str:
    codes = [candidate.reasons[0].code for candidate in decision.candidates if candidate.reasons]
    known = [code for code in codes if code in _ADVICE]
    if not known:
        return "Leave out what no model takes, or widen the pool with Policy(models=...)."
    return _ADVICE[max(dict.fromkeys(known), key=known.count)]
