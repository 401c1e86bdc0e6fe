"""MemoryLedger: the book of one process."""

from __future__ import annotations

import threading
from collections import OrderedDict, deque
from collections.abc import Iterator, Sequence
from datetime import datetime, timedelta
from heapq import heappop, heappush
from typing import Any

from routed_llm.budget import Account
from routed_llm.ledger.base import HOLD_FOR, KEPT_AFTER, Change, Entry, Hold, Shortage

__all__ = ["MemoryLedger"]

_SWEEP_EVERY = 1024


class _Counter:
    __slots__ = ("held", "spent", "until")

    def __init__(self, until: datetime | None) -> None:
        self.spent = 0
        self.held = 0
        self.until = until


class MemoryLedger:
    """Keeps the book in memory: exact, shared by threads and tasks, gone with the process.

    Args:
        keep: entries kept, the oldest leaving first; the accounts are right without them.
        conversations: counters of conversations kept. Beyond that the one that was idle longest is forgotten,
            and its budget starts again if it goes on: durable ledgers forget none within thirty days.
    """

    blocks = False

    def __init__(self, *, keep: int = 10_000, conversations: int = 50_000) -> None:
        self._conversations: OrderedDict[str, None] = OrderedDict()
        self._most = conversations
        self._counters: dict[str, _Counter] = {}
        self._states: dict[str, dict[str, Any]] = {}
        self._passing: OrderedDict[str, dict[str, Any]] = OrderedDict()
        self._holds: dict[str, Hold] = {}
        self._expiry: list[tuple[datetime, str]] = []
        self._settled: dict[str, None] = {}
        self._entries: deque[Entry] = deque(maxlen=keep)
        self._lock = threading.Lock()
        self._calls = 0

    def reserve(
        self, id: str, amount: int, accounts: Sequence[Account], *, at: datetime, hold: timedelta = HOLD_FOR
    ) -> Hold | Shortage:
        """Hold an amount in all of the accounts, or in none; see :class:`Ledger`."""
        with self._lock:
            self._expire(at)
            known = self._holds.get(id)
            if known is not None:
                return known
            counters = self._counters
            for account in accounts:
                counter = counters.get(account.key)
                used = 0 if counter is None else counter.spent + counter.held
                if account.hard and used + amount > account.limit:
                    return Shortage(account=account, remaining=account.limit - used)
            made = Hold(id=id, amount=amount, accounts=tuple(accounts), expires=at + hold)
            for account in _once(accounts):
                counter = counters.get(account.key)
                if counter is None:
                    counter = counters[account.key] = _Counter(account.until)
                counter.held += amount
                counter.until = account.until
                if account.period == "conversation":
                    self._used(account.key)
            if accounts:
                self._holds[id] = made
                heappush(self._expiry, (made.expires, id))
            return made

    def settle(self, hold: Hold, entry: Entry) -> tuple[int, ...]:
        """Charge an entry and release its hold; see :class:`Ledger`."""
        with self._lock:
            if hold.id not in self._settled:
                self._release(hold.id)
                for account in _once(hold.accounts):
                    self._counter(account).spent += entry.booked
                self._entries.append(entry)
                self._settled[hold.id] = None
                if len(self._settled) > _SWEEP_EVERY:
                    del self._settled[next(iter(self._settled))]
            return tuple([self._counter(account).spent for account in hold.accounts])

    def cancel(self, hold: Hold) -> None:
        """Release what was held; nothing is charged."""
        with self._lock:
            self._release(hold.id)

    def remaining(self, accounts: Sequence[Account], *, at: datetime) -> tuple[int, ...]:
        """Return limit minus spent minus held for each account."""
        with self._lock:
            self._expire(at)
            found = []
            for account in accounts:
                counter = self._counters.get(account.key)
                used = 0 if counter is None else counter.spent + counter.held
                found.append(account.limit - used)
            return tuple(found)

    def entries(self, *, since: datetime | None = None, until: datetime | None = None) -> Iterator[Entry]:
        """Give the entries from ``since`` to before ``until``, oldest first."""
        with self._lock:
            kept = sorted(self._entries, key=lambda entry: entry.at)
        for entry in kept:
            if (since is None or entry.at >= since) and (until is None or entry.at < until):
                yield entry

    def recent(self, count: int) -> list[Entry]:
        """Return the latest entries, as many as asked for, oldest first."""
        with self._lock:
            return list(self._entries)[-count:]

    def amend(self, key: str, change: Change, *, keep: int = 0) -> dict[str, Any]:
        """Change a shared state; of those kept for a time the oldest leave; see :class:`SharedStates`."""
        with self._lock:
            kept = self._passing if keep else self._states
            kept[key] = new = change(kept.get(key))
            if len(self._passing) > self._most:
                self._passing.popitem(last=False)
            return new

    def close(self) -> None:
        """Do nothing: there is no file and no connection."""

    def _used(self, key: str) -> None:
        """Note that a conversation goes on, and forget those that were idle longest."""
        idle = self._conversations
        idle[key] = None
        idle.move_to_end(key)
        for _ in range(2):  # one more than comes in, so that what was held shrinks, too
            if len(idle) <= self._most:
                return
            oldest = next(iter(idle))
            counter = self._counters.get(oldest)
            if counter is not None and counter.held:
                idle.move_to_end(oldest)
                continue
            del idle[oldest]
            self._counters.pop(oldest, None)

    def _counter(self, account: Account) -> _Counter:
        counter = self._counters.get(account.key)
        if counter is None:
            counter = self._counters[account.key] = _Counter(account.until)
        return counter

    def _release(self, id: str) -> None:
        hold = self._holds.pop(id, None)
        if hold is not None:
            for account in _once(hold.accounts):
                self._counter(account).held -= hold.amount

    def _expire(self, at: datetime) -> None:
        expiry = self._expiry
        while expiry and (expiry[0][0] <= at or expiry[0][1] not in self._holds):
            self._release(heappop(expiry)[1])
        self._calls += 1
        if self._calls % _SWEEP_EVERY == 0:
            over = [
                key
                for key, counter in self._counters.items()
                if counter.until is not None and counter.until + KEPT_AFTER <= at and not counter.held
            ]
            for key in over:
                del self._counters[key]
                self._conversations.pop(key, None)


def _once(accounts: Sequence[Account]) -> Sequence[Account]:
    """Leave out accounts whose counter was named before: two budgets may look at the same one."""
    # Nearly always there is none: to see that is quicker than to leave it out.
    if len(accounts) < 2 or len({account.key for account in accounts}) == len(accounts):
        return accounts
    return list({account.key: account for account in accounts}.values())
