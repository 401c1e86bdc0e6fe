"""What the tests of money share: ledgers of each kind."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from routed_llm import Ledger, MemoryLedger, open_ledger

sys.path.insert(0, str(Path(__file__).parent))


@pytest.fixture(params=["memory", "sqlite", "redis"])
def ledger(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Ledger]:
    """Give an empty ledger of each kind."""
    made: Any
    if request.param == "memory":
        made = MemoryLedger()
    elif request.param == "sqlite":
        made = open_ledger(str(tmp_path / "book.db"))
    else:
        made = open_ledger(request.getfixturevalue("redis_url"))
        made._client.flushdb()
    yield made
    made.close()


@pytest.fixture(params=["sqlite", "redis"])
def shared(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """Give the name under which several processes open one empty ledger."""
    if request.param == "sqlite":
        return str(tmp_path / "book.db")
    url: str = request.getfixturevalue("redis_url")
    opened: Any = open_ledger(url)
    opened._client.flushdb()
    opened.close()
    return url


@pytest.fixture
def clock() -> Callable[[], Any]:
    """Give the clock of these tests, which stands still."""
    from ledger_support import NOON

    return lambda: NOON
