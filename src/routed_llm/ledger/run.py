"""Run: one call that has been decided and is being sent."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, date, datetime, time
from functools import partial
from typing import TYPE_CHECKING, NamedTuple, TypeAlias

from routed_llm.decision import format_dollars
from routed_llm.exchange import Exchange
from routed_llm.pricing import cost_pico
from routed_llm.usage import Timing

if TYPE_CHECKING:
    from routed_llm.catalog import Catalog, Model
    from routed_llm.decision import Decision
    from routed_llm.ledger.accounting import Books
    from routed_llm.ledger.base import Hold
    from routed_llm.ledger.observer import Observer
    from routed_llm.policy import Policy
    from routed_llm.record import Record
    from routed_llm.recovery.ratelimits import Ticket
    from routed_llm.usage import Usage

__all__ = ["UNKNOWN", "Ahead", "Answered", "Run", "Send", "as_moment"]

UNKNOWN = "unknown"
"""The outcome of a request that was sent and of which no whole answer was seen."""


_TIMEOUT = "timeout"


class Answered(NamedTuple):
    """What a second call came back with.

    Attributes:
        usage: what the provider reported, or None.
        served: the model id that the response names, or None.
        text: the text of the answer.
    """

    usage: Usage | None
    served: str | None
    text: str


Send: TypeAlias = "Callable[[Decision], Answered]"


def as_moment(at: date) -> datetime:
    """Return an aware datetime: of a day its first moment in UTC, of a naive datetime that in UTC."""
    if not isinstance(at, datetime):
        return datetime.combine(at, time(), UTC)
    return at if at.tzinfo is not None else at.replace(tzinfo=UTC)


class Ahead:
    """What the end of a call needs that is known before its answer: worked out while that is awaited."""

    __slots__ = ("_decision", "_observer", "_record")

    def __init__(self, decision: Decision, observer: Observer | None) -> None:
        self._decision = decision
        self._observer = observer
        self._record: Record | None = None

    def __call__(self) -> None:
        """Work it out."""
        self._known()
        if self._observer is not None:
            self._observer.catch_up()

    def _known(self) -> Record:
        if self._record is None:
            self._record = self._decision.record()
        return self._record

    def glance(self) -> Record:
        """Return a copy of the Decision's record."""
        return self._known().copy()

    def record(self) -> Record:
        """Return the Decision's record, a new one each time."""
        record, self._record = self._known(), None
        return record


class Run:
    """One request that has been decided and is being sent: settle it, fail it, abandon it or cancel it, once.

    Attributes:
        decision: what was decided.
        ticket: its place in the line of its model's rate limits, or None where nobody asked.
        again: share of the request that a cache would have held, had what was sent before been written to it.
        pause: seconds to wait before it is sent, for its rate limit to have room; then ask
            :meth:`routed_llm.Router.turn` again.
        patience: the moment, by :func:`time.monotonic`, until which that is waited for.
        late: whether another model should be looked for, as this one's line has become too long.
        is_wide: whether it may go to whichever model has room first.
        need: seconds that its answer is expected to take at most, once it is sent; None without a deadline.
        exchange: what is known of it on the wire; send within ``with run.exchange.current():``.
        ahead: what may be done while its answer is awaited.
    """

    offers = False
    """Whether :meth:`offer` may do anything."""

    __slots__ = (
        "_books",
        "_catalog",
        "_clock",
        "_done",
        "_hold",
        "_observer",
        "_on_reported",
        "_policy",
        "again",
        "ahead",
        "decision",
        "exchange",
        "is_wide",
        "late",
        "need",
        "patience",
        "pause",
        "ticket",
    )

    def __init__(
        self,
        catalog: Catalog,
        policy: Policy,
        books: Books,
        observer: Observer | None,
        clock: Callable[[], date],
        decision: Decision,
        until: float | None = None,
        on_reported: Callable[[int], object] | None = None,
    ) -> None:
        """Take what :meth:`routed_llm.Router.begin` gives; use that instead."""
        self._catalog = catalog
        # What the call was weighed by: an adapter has a policy of its own.
        self._policy = decision.policy or policy
        self._books = books
        self._observer = observer
        self._clock = clock
        self._hold: Hold | None = None
        self._done = False
        self._on_reported = on_reported
        self.ticket: Ticket | None = None
        self.pause, self.patience, self.late, self.is_wide = 0.0, 0.0, False, False
        self.need: float | None = None
        self.again = 0.0
        self.decision = decision
        self.ahead = Ahead(decision, observer)
        self.exchange = Exchange(until)

    def open(self) -> None:
        """Reserve the money, if anything is booked at all.

        Raises:
            BudgetExceeded: when other calls have taken it since the decision.
        """
        if self._books.always or self.decision.allowance is not None:
            self._hold = self._books.reserve(self.decision, as_moment(self._clock()))
            if self._observer is not None and self._observer.begins:
                self._observer.recall(self._books.recent, self._catalog, as_moment(self._clock()))

    def settle(self, usage: Usage | None, *, served: str | None = None) -> Record:
        """Book what the call used and return the record to attach to the answer.

        Without a usage or a price the cost is not known; then what was reserved is charged to the
        budgets, since an answer that has begun is billed however it ends.

        Args:
            usage: what the provider reported, or None when it reported nothing.
            served: the model id that the response names.

        Returns:
            The Decision's record with ``served``, ``cost`` (US dollars as a decimal string, None when it
            is not known), ``usage``, ``took`` (seconds to the ``first`` token of a stream, or else to the
            ``whole`` answer, where that was measured), ``settled_at``, ``id`` (of its entry in the ledger,
            None where none is kept) and ``remaining``: what is left in each budget that the call drew on.
        """
        record, usage = self.ahead.record(), None if self.exchange.false_usage else usage
        model, priced = self._models(served)
        if usage is not None and model is not None and self.decision.facts.builtin_tools:
            usage = self._with_hosted(usage, model)
        cost = None
        if usage is not None and priced is not None:
            cost = cost_pico(usage, priced, self.decision.at, regional=self._policy.regional)
        record["served"] = served
        record["cost"] = None if cost is None else format_dollars(cost)
        record["usage"] = None if usage is None else usage.counts()
        timing = Timing(self.exchange.first, self.exchange.whole)
        took = timing.to_dict()
        if took:
            record["took"] = took
        moment = as_moment(self._clock())
        record["settled_at"] = moment.isoformat()
        record["id"] = None if self._hold is None else self._hold.id
        record["remaining"] = []
        if self._done:
            return record
        self._done = True
        if self._hold is not None:
            record["remaining"] = self._books.settle(
                self._hold,
                self.decision,
                usage=usage,
                cost=cost,
                served=served,
                at=moment,
                timing=timing,
            )
        if self._observer is not None and usage is not None and model is not None:
            base = self._policy.output_tokens
            self._observer.learn(
                self.decision, model, usage, base=base, timing=timing, paid=cost, again=self.again
            )
        if usage is not None and self._on_reported is not None:
            self._on_reported(usage.input_tokens)
        return record

    def offer(self, send: Send, answer: str = "") -> None:
        """Offer to send the request again, to what routing chose: a shadow that samples takes it up.

        It is called once the answer is complete. Nothing here waits for the second call, and nothing of it
        reaches the caller.

        Args:
            send: makes the call of a Decision, once, and executes nothing that the model asks for.
            answer: the text of the answer that was given.
        """

    def abandon(self, usage: Usage | None = None, *, served: str | None = None) -> None:
        """End a request that its caller gave up: an interrupt, a cancelled task, a reader who went away.

        What was never sent is released. What was sent may be carried out and billed all the same: without a
        usage what was reserved is charged, with the outcome ``unknown``.

        Args:
            usage: what the provider had reported by then, or None.
            served: the model id that the response had named by then.
        """
        if usage is not None:
            self.settle(usage, served=served)
        elif self.exchange.never_sent:
            self.cancel()
        else:
            self.fail(UNKNOWN, served=served, unsure=True)

    def cancel(self) -> None:
        """Release what was reserved: the request was not sent, or refused, and leaves no entry."""
        if self._done:
            return
        self._done = True
        if self._hold is not None:
            self._books.cancel(self._hold)

    def fail(
        self,
        outcome: str,
        usage: Usage | None = None,
        *,
        served: str | None = None,
        begun: bool = False,
        unsure: bool = False,
    ) -> None:
        """Book a request that failed, as an entry of its own; what was reserved is released.

        Args:
            outcome: what kind of failure it was: a value of :class:`routed_llm.recovery.ErrorKind`.
            usage: what the provider reported, or None when it reported nothing.
            served: the model id that the response names.
            begun: whether tokens had begun to come. They are billed, so that without a usage the cost is
                not known and what was reserved is charged.
            unsure: whether it may have been carried out although no answer was seen. Then what was reserved
                is charged as well, with the outcome ``unknown``; what was refused costs nothing.
        """
        if self._done:
            return
        self._done = True
        if outcome == _TIMEOUT and not begun:
            self._late()
        if self._hold is None:
            return
        cost = None if begun or unsure or usage is not None else 0
        if usage is not None and (priced := self._models(served)[1]) is not None:
            cost = cost_pico(usage, priced, self.decision.at, regional=self._policy.regional)
        outcome = UNKNOWN if unsure and usage is None else outcome
        moment = as_moment(self._clock())
        self._books.settle(
            self._hold, self.decision, usage=usage, cost=cost, served=served, at=moment, outcome=outcome
        )

    def _late(self) -> None:
        """Let it be known how long was waited for nothing."""
        waited, model = self.exchange.given_up, self._models(None)[0]
        if self._observer is not None and waited is not None and model is not None:
            self._observer.late(self.decision, model, waited)

    async def asettle(self, usage: Usage | None, *, served: str | None = None) -> Record:
        """Do what :meth:`settle` does, leaving the event loop free while a ledger works."""
        if self._hold is None or not self._books.ledger.blocks:
            return self.settle(usage, served=served)
        from routed_llm.offloop import (
            to_its_end,
        )  # asyncio is heavy, and loaded already where this runs

        return await to_its_end(partial(self.settle, usage, served=served))

    async def acancel(self) -> None:
        """Do what :meth:`cancel` does, leaving the event loop free while a ledger works."""
        if self._hold is None or not self._books.ledger.blocks:
            self.cancel()
            return
        from routed_llm.offloop import to_its_end

        await to_its_end(self.cancel)

    async def aabandon(self, usage: Usage | None = None, *, served: str | None = None) -> None:
        """Do what :meth:`abandon` does, leaving the event loop free while a ledger works."""
        if self._hold is None or not self._books.ledger.blocks:
            self.abandon(usage, served=served)
            return
        from routed_llm.offloop import to_its_end

        await to_its_end(partial(self.abandon, usage, served=served))

    def _models(self, served: str | None) -> tuple[Model | None, Model | None]:
        """Return the catalog's facts about the chosen model, and about the one whose prices hold."""
        chosen = self.decision.chosen
        if chosen is None:
            return None, None
        model = self._catalog.get(chosen.model)
        if served is None or served == model.sent_as or model.base is not None or model.base_url is not None:
            return model, model
        return model, self._catalog.find(served) or model  # the prices of the one that answered hold

    def _with_hosted(self, usage: Usage, model: Model) -> Usage:
        """Add the hosted tools of which every answer is one call, so that no reply shows it."""
        tools, at = self.decision.facts.builtin_tools, self.decision.at
        always = [(tool, "", 1) for tool in sorted(tools) if (fee := model.fee(tool, at)) and fee.always]
        return replace(usage, hosted=(*usage.hosted, *always)) if always else usage
