"""What the tests of money share: a moment, accounts, requests."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from routed_llm import Budget, Entry, Request, read_openai
from routed_llm.budget import PICO, Account
from routed_llm.ledger import Hold, Ledger, Shortage

NOON = datetime(2026, 11, 22, 12, tzinfo=UTC)
CENT = PICO // 100


def accounts(*budgets: Budget, conversation: str | None = None, **tags: str) -> tuple[Account, ...]:
    """List the accounts of budgets at noon."""
    return tuple(account for budget in budgets for account in budget.accounts(tags, conversation, NOON))


def entry(id: str, cents: int, at: datetime = NOON, **fields: Any) -> Entry:
    """Make an entry that costs some cents."""
    return Entry(id=id, at=at, **{"model": "gpt-4o", "cost": cents * CENT, "booked": cents * CENT, **fields})


def held(found: Hold | Shortage) -> Hold:
    """Say that a reservation was made."""
    assert isinstance(found, Hold)
    return found


def spend(ledger: Ledger, id: str, cents: int, on: tuple[Account, ...], at: datetime = NOON) -> None:
    """Reserve and settle some cents."""
    ledger.settle(held(ledger.reserve(id, cents * CENT, on, at=at)), entry(id, cents, at))


def ask(text: str = "Say hello.", *, pin: str | None = None, **parameters: Any) -> Request:
    """Make a request, for one model only if a pin is given."""
    body = {"messages": [{"role": "user", "content": text}], "model": pin or "gpt-4o", **parameters}
    return read_openai(body, pin=pin is not None)
