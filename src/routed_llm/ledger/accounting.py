"""Books: the router's side of the ledger. What is left becomes an Allowance; a finished call an Entry."""

from __future__ import annotations

import atexit
import json
import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from decimal import Decimal
from functools import partial
from time import monotonic
from typing import TYPE_CHECKING, Any, TypeVar

from routed_llm.budget import PICO, Account, Allowance, Budget
from routed_llm.decide.piecewise import remember
from routed_llm.decision import format_dollars
from routed_llm.errors import LedgerError
from routed_llm.events import WARNING, emit
from routed_llm.ledger.base import HOLD_FOR, Entry, Hold, Ledger, Shortage, new_id
from routed_llm.ledger.exceeded import out_of_money
from routed_llm.ledger.memory import MemoryLedger
from routed_llm.ledger.run import UNKNOWN
from routed_llm.ledger.scoped import Scope

if TYPE_CHECKING:
    import logging

    from routed_llm.decision import Decision
    from routed_llm.errors import BudgetExceeded
    from routed_llm.facts import RequestFacts
    from routed_llm.record import RemainingRecord
    from routed_llm.usage import Timing, Usage

__all__ = ["Books", "BudgetEvent"]

_KEPT = 4096
_SLOW = 0.5
"""Seconds after which a failing ledger counts as one that does not answer."""
_RESTS = 5.0
"""Seconds for which it is left alone then."""

T = TypeVar("T")


@dataclass(frozen=True, slots=True, kw_only=True)
class BudgetEvent:
    """A budget has passed one of its ``notify_at`` shares, or refused a call.

    Attributes:
        scope: whose budget, such as ``team=search``; empty for everybody's.
        period: ``conversation``, ``hour``, ``day``, ``month`` or ``total``.
        share: the share that was passed, such as 0.8; of a refused call the share that is spent.
        spent: US dollars spent in the period, what is held for calls under way included.
        limit: US dollars that may be spent in it.
        resets_at: when it is refilled, or None if never.
        refused: whether a call was refused for it.
    """

    scope: str
    period: str
    share: float
    spent: Decimal
    limit: Decimal
    resets_at: datetime | None
    refused: bool = False


class Books:
    """Keeps a ledger for a router. Safe to share between threads.

    Args:
        ledger: where the book is kept; in memory when left out.
        budgets: the budgets that hold for every call.
        on_budget: called with a BudgetEvent, in the thread that settles; its errors are logged.
    """

    def __init__(
        self,
        ledger: Ledger | None,
        budgets: Sequence[Budget],
        on_budget: Callable[[BudgetEvent], object] | None,
    ) -> None:
        self.ledger: Ledger = MemoryLedger() if ledger is None else ledger
        self.budgets = tuple(budgets)
        self.always = ledger is not None or bool(budgets)
        self._note: Callable[[Hold, Entry], object] | None = getattr(ledger, "note", None)
        self.on_budget = on_budget
        self._rests_until = 0.0
        self._unwritten: list[tuple[Hold, Entry]] = []
        self._lock = threading.Lock()
        self._kept: dict[Any, tuple[Account, ...]] = {}
        self._noticed: dict[tuple[str, float], None] = {}

    def allowance(self, scope: Scope, at: datetime) -> Allowance:
        """Work out what all budgets leave for a call.

        Raises:
            LedgerError: when a hard budget depends on a ledger that cannot be used.
        """
        accounts = self._accounts(scope, at)
        left = self._remaining(accounts, at) if accounts else ()
        values: dict[str, Any] = {}
        least: int | None = None
        for budget in self.budgets + scope.budgets:
            if budget.hard and budget.reserve != "expected":
                values["worst_case" if budget.reserve == "worst" else "p95"] = True
            if budget.per_call is None:
                continue
            name = budget.scope_of(dict(scope.tags))
            amount = int(budget.per_call * PICO)
            if name is not None and (least is None or amount < least):
                least = amount
                values.update(remaining=amount, scope=name, period="call", resets_at=None)
        for account, whole in zip(accounts, left, strict=True):
            rest, limit, resets_at = account.paced(whole, at)
            if account.hard and (least is None or rest < least):
                least = rest
                paced = None if account.begins_at is None else whole
                values.update(remaining=rest, scope=account.scope, period=account.period)
                values.update(resets_at=resets_at, whole=paced)
            pressure = _pressure(account, rest, limit)
            if pressure > values.get("pressure", 0.0):
                floor, tier = account.low_floor, account.low_tier
                values.update(pressure=pressure, floor=floor or values.get("floor"))
                values.update(tier=tier or values.get("tier"))
        return Allowance(accounts=accounts, tags=scope.tags, conversation=scope.conversation, **values)

    def reserve(self, decision: Decision, at: datetime) -> Hold:
        """Hold the money for a call that is about to be sent.

        Raises:
            BudgetExceeded: when others have taken it since the decision.
            LedgerError: when a hard budget depends on a ledger that cannot be used.
        """
        allowance = decision.allowance
        accounts = () if allowance is None else allowance.accounts
        self._catch_up()
        found = self._held(decision.reserve or 0, accounts, at)
        if isinstance(found, Hold):
            if self._note is not None:
                lost = _entry(found, decision, usage=None, cost=None, served=None, at=at, outcome=UNKNOWN)
                self._note(found, lost)
            if self.on_budget is not None and found.amount and accounts:
                for account, rest in zip(accounts, self._remaining(accounts, at), strict=True):
                    taken = account.limit - rest
                    self._notify(account, taken - found.amount, taken)
            return found
        error = out_of_money(
            decision,
            scope=found.account.scope,
            period=found.account.period,
            resets_at=found.account.resets_at,
            asked=decision.reserve or 0,
            remaining=found.remaining,
        )
        self.refused(error, accounts, at)
        raise error

    def refused(self, error: BudgetExceeded, accounts: tuple[Account, ...], at: datetime) -> None:
        """Let it be known that a call was refused."""
        if self.on_budget is None:
            return
        mine = tuple(one for one in accounts if (one.scope, one.period) == (error.scope, error.period))[:1]
        limit, spent = error.remaining, Decimal(0)
        for account, rest in zip(mine, self._remaining(mine, at) if mine else (), strict=True):
            limit, spent = Decimal(account.limit) / PICO, Decimal(account.limit - rest) / PICO
        share = float(spent / limit) if limit else 1.0
        event = BudgetEvent(
            scope=error.scope,
            period=error.period,
            share=share,
            spent=spent,
            limit=limit,
            resets_at=error.resets_at,
            refused=True,
        )
        self._report(event)

    def settle(
        self,
        hold: Hold,
        decision: Decision,
        *,
        usage: Usage | None,
        cost: int | None,
        served: str | None,
        at: datetime,
        outcome: str = "answered",
        timing: Timing | None = None,
    ) -> list[RemainingRecord]:
        """Write the entry, and return what is left in each account, as the record shows it."""
        took = (None, None) if timing is None or timing.is_censored else (timing.first, timing.whole)
        entry = _entry(hold, decision, usage=usage, cost=cost, served=served, at=at, outcome=outcome)
        entry = entry._replace(took=took)
        spent = self._written(hold, entry)
        if spent is None:
            return []
        for account, now in zip(hold.accounts, spent, strict=True):
            self._notify(account, now - entry.booked, now)
        return [
            {
                "scope": account.scope,
                "period": account.period,
                "remaining": format_dollars(account.limit - now),
                "limit": format_dollars(account.limit),
                "resets_at": None if account.resets_at is None else account.resets_at.isoformat(),
            }
            for account, now in zip(hold.accounts, spent, strict=True)
        ]

    def add(self, entry: Entry, scope: Scope) -> None:
        """Write an entry of a request for which nothing was held; under one id once.

        Raises:
            LedgerError: when the ledger cannot be used.
        """
        entry = entry._replace(tags=dict(scope.tags), conversation=scope.conversation)
        hold = Hold(id=entry.id, amount=0, accounts=self._accounts(scope, entry.at), expires=entry.at)
        spent = self._use(partial(self.ledger.settle, hold, entry))
        for account, now in zip(hold.accounts, spent, strict=True):
            self._notify(account, now - entry.booked, now)

    def _use(self, do: Callable[[], T]) -> T:
        """Do something with the ledger; one that was slow to fail is left alone for a while.

        So one call waits for a ledger that does not answer, and not each step of each call.

        Raises:
            LedgerError: when it fails, or failed a moment ago.
        """
        begun = monotonic()
        if begun < self._rests_until:
            raise LedgerError(
                "The ledger did not answer a moment ago and is left alone for "
                f"{self._rests_until - begun:.1f} s. See that its disk or server works.",
                where=str(getattr(self.ledger, "path", "")),
            )
        try:
            return do()
        except LedgerError:
            if monotonic() - begun >= _SLOW:
                self._rests_until = monotonic() + _RESTS
            raise

    def _remaining(self, accounts: tuple[Account, ...], at: datetime) -> tuple[int, ...]:
        try:
            return self._use(partial(self.ledger.remaining, accounts, at=at))
        except LedgerError as error:
            if any(account.hard for account in accounts):
                raise
            # A soft budget refuses nothing, and so not because it cannot be read.
            _logger().warning("%s Soft budgets do not press on the choice meanwhile.", error)
            return tuple(account.limit for account in accounts)

    def _held(self, amount: int, accounts: tuple[Account, ...], at: datetime) -> Hold | Shortage:
        name = new_id()
        try:
            return self._use(partial(self.ledger.reserve, name, amount, accounts, at=at))
        except LedgerError:
            if any(account.hard for account in accounts):
                raise
            return Hold(id=name, amount=amount, accounts=accounts, expires=at + HOLD_FOR)

    def recent(self, count: int) -> Sequence[Entry]:
        """Return the ledger's latest entries; none where it keeps no order or cannot be reached."""
        recent = getattr(self.ledger, "recent", None)
        if recent is None:
            return ()
        try:
            found: Sequence[Entry] = self._use(partial(recent, count))
        except LedgerError as error:
            _logger().warning("%s Estimates begin without what was observed before.", error)
            return ()
        return found

    def cancel(self, hold: Hold) -> None:
        """Release what is held; where the ledger cannot be reached it expires by itself."""
        try:
            self._use(partial(self.ledger.cancel, hold))
        except LedgerError as error:
            _logger().warning("%s The reservation %s expires by itself.", error, hold.id)

    def _written(self, hold: Hold, entry: Entry) -> tuple[int, ...] | None:
        """Settle; what the ledger cannot take now is kept for later: an answer is not lost for it.

        Returns:
            What is spent in each account, or None when that is not known.
        """
        self._catch_up()
        try:
            return self._use(partial(self.ledger.settle, hold, entry))
        except LedgerError as error:
            with self._lock:
                self._unwritten.append((hold, entry))
                count = len(self._unwritten)
            if count == 1:
                atexit.register(self._catch_up)
            line = json.dumps(entry.to_dict())
            _logger().error("%s Not booked yet, tried again with the next call (%d): %s", error, count, line)
            return None

    def _catch_up(self) -> None:
        """Take to the ledger what it could not take before."""
        if not self._unwritten:
            return
        with self._lock:
            late, self._unwritten = self._unwritten, []
        for at, (hold, entry) in enumerate(late):
            try:
                self._use(partial(self.ledger.settle, hold, entry))
            except LedgerError:
                with self._lock:
                    self._unwritten = [*late[at:], *self._unwritten]
                return

    def _accounts(self, scope: Scope, at: datetime) -> tuple[Account, ...]:
        budgets = self.budgets + scope.budgets
        if not budgets:
            return ()
        # Windows change at full hours at the earliest.
        hour = at.astimezone(UTC).replace(minute=0, second=0, microsecond=0)
        key = (scope, hour)
        found = self._kept.get(key)
        if found is None:
            tags = dict(scope.tags)
            found = tuple(
                account for budget in budgets for account in budget.accounts(tags, scope.conversation, hour)
            )
            if len(self._kept) >= _KEPT:
                self._kept.clear()
            self._kept[key] = found
        return found

    def _notify(self, account: Account, before: int, now: int) -> None:
        """Let it be known, once, that shares are passed: by what is held, or by what was spent at last."""
        for share in account.notify_at:
            mark, passed = account.limit * share, (account.key, share)
            if before < mark <= now and passed not in self._noticed:
                remember(self._noticed, passed, None)
                event = BudgetEvent(
                    scope=account.scope,
                    period=account.period,
                    share=share,
                    spent=Decimal(now) / PICO,
                    limit=Decimal(account.limit) / PICO,
                    resets_at=account.resets_at,
                )
                emit(
                    WARNING,
                    "budget",
                    "the {period} budget of {scope} has passed {percent}: ${spent} of ${limit} spent or held",
                    scope=event.scope or "everybody",
                    period=event.period,
                    spent=format_dollars(now),
                    limit=format_dollars(account.limit),
                    percent=f"{share:.0%}",
                )
                self._report(event)

    def _report(self, event: BudgetEvent) -> None:
        if self.on_budget is None:
            return
        try:
            self.on_budget(event)
        except Exception:  # noqa: BLE001 - the answer is there and paid for; it must not be lost
            _logger().exception("on_budget failed for %s", event)


def _logger() -> logging.Logger:
    import logging  # only a failure needs it

    return logging.getLogger("routed_llm")


def _entry(
    hold: Hold,
    decision: Decision,
    *,
    usage: Usage | None,
    cost: int | None,
    served: str | None,
    at: datetime,
    outcome: str,
) -> Entry:
    chosen, allowance = decision.chosen, decision.allowance
    return Entry(
        id=hold.id,
        at=at,
        model=chosen.model if chosen else "",
        effort=chosen.effort if chosen else None,
        endpoint=chosen.endpoint if chosen else None,
        served=served,
        tier=None if usage is None else usage.service_tier,
        usage=usage,
        cost=cost,
        booked=hold.amount if cost is None else cost,
        estimated=None if chosen is None else chosen.cost,
        tags=dict(allowance.tags) if allowance is not None else {},
        conversation=None if allowance is None else allowance.conversation,
        outcome=outcome,
        kind=_kind_of(decision.facts),
    )


def _kind_of(facts: RequestFacts) -> tuple[Any, ...] | None:
    return None if facts.parameters and facts.choices > 1 else facts.kind


def _pressure(account: Account, rest: int, limit: int) -> float:
    if not account.low:
        return 0.0
    share = rest / limit if limit else 0.0
    return 0.0 if share >= account.low else 1.0 - max(share, 0.0) / account.low
