"""Ledgers in trouble: damaged files, read-only disks, dead servers, clocks that jump, lying usages."""

from __future__ import annotations

import json
import logging
import os
import sqlite3
import subprocess
import sys
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from ledger_support import CENT, NOON, accounts, ask, entry, held, spend

from routed_llm import (
    Budget,
    BudgetExceeded,
    Entry,
    Ledger,
    LedgerError,
    MemoryLedger,
    Policy,
    Router,
    Usage,
    open_ledger,
)
from routed_llm.budget import PICO
from routed_llm.ledger import Hold, Shortage, SQLiteLedger

DAY = accounts(Budget(per_day=1))
USED = Usage(input_tokens=11, output_tokens=200, service_tier="default")


def test_a_file_that_is_no_ledger(tmp_path: Path) -> None:
    """A file of something else is refused in words, and stays as it was."""
    path = tmp_path / "notes.txt"
    path.write_text("These are no entries.\n" * 100)
    with pytest.raises(LedgerError) as caught:
        open_ledger(str(path))
    assert str(caught.value) == (
        f"The ledger {path} cannot be used: file is not a database. It is no SQLite file, or a damaged one: "
        "name another, or restore it from a copy."
    )
    assert path.read_text().startswith("These are no entries.")


def test_a_damaged_file(tmp_path: Path) -> None:
    """A file whose pages were overwritten is refused before a call is sent, and nothing is made up."""
    path = tmp_path / "book.db"
    ledger = SQLiteLedger(path)
    for n in range(200):
        spend(ledger, str(n), 0, DAY)
    with sqlite3.connect(path) as raw:
        raw.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    ledger.close()
    data = bytearray(path.read_bytes())
    data[4096:] = b"\xff" * (len(data) - 4096)
    path.write_bytes(data)
    router = Router(ledger=ledger, budgets=Budget(per_day=1), clock=lambda: NOON)
    with pytest.raises(LedgerError, match=r"restore it from a copy\.$"):
        router.begin(router.decide(ask()))


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write everywhere")
def test_a_folder_that_may_not_be_written(tmp_path: Path) -> None:
    """A path where nothing may be written is refused at once."""
    tmp_path.chmod(0o500)
    with pytest.raises(LedgerError, match=r"Give a path on a local disk that this process may write to\."):
        open_ledger(str(tmp_path / "book.db"))


def test_a_folder_that_is_not_there(tmp_path: Path) -> None:
    """So is one in a folder that does not exist."""
    path = tmp_path / "none" / "book.db"
    with pytest.raises(LedgerError) as caught:
        open_ledger(str(path))
    assert str(caught.value) == (
        f"The ledger {path} cannot be used: unable to open database file. "
        "Give a path on a local disk that this process may write to."
    )


class Shut(MemoryLedger):
    """A ledger whose disk or server can be taken away."""

    shut = False

    def _ask(self) -> None:
        if self.shut:
            raise LedgerError("The ledger is away. Bring it back.", where="here")

    def reserve(self, *given: Any, **named: Any) -> Hold | Shortage:
        """Reserve, unless it is away."""
        self._ask()
        return super().reserve(*given, **named)

    def settle(self, hold: Hold, entry: Entry) -> tuple[int, ...]:
        """Settle, unless it is away."""
        self._ask()
        return super().settle(hold, entry)

    def remaining(self, *given: Any, **named: Any) -> tuple[int, ...]:
        """Say what remains, unless it is away."""
        self._ask()
        return super().remaining(*given, **named)

    def cancel(self, hold: Hold) -> None:
        """Cancel, unless it is away."""
        self._ask()
        super().cancel(hold)


def test_an_answer_is_not_lost_with_the_ledger(caplog: pytest.LogCaptureFixture) -> None:
    """What cannot be booked when the answer is there is logged whole, kept, and booked with the next call."""
    ledger = Shut()
    router = Router(ledger=ledger, budgets=Budget(per_day=1), clock=lambda: NOON)
    runs = [router.begin(router.decide(ask(), scope="team=search")) for _ in range(3)]
    ledger.shut = True
    with caplog.at_level(logging.WARNING, "routed_llm"):
        record = runs[0].settle(USED)
        runs[1].fail("server")
        runs[2].cancel()
    assert (record["cost"], record["remaining"]) == ("0.0002422", [])
    assert list(ledger.entries()) == []
    errors = [line.getMessage() for line in caplog.records if line.levelno == logging.ERROR]
    assert [json.loads(line[line.index("{") :])["tags"] for line in errors] == [{"team": "search"}] * 2
    with pytest.raises(LedgerError):
        router.begin(router.decide(ask()))
    ledger.shut = False
    router.begin(router.decide(ask())).settle(USED)
    assert [(line.outcome, line.cost) for line in ledger.entries()] == [
        ("answered", 242_200_000),
        ("server", 0),
        ("answered", 242_200_000),
    ]


@pytest.mark.parametrize("budgets", [(), (Budget(per_day=1, hard=False),)], ids=["no budget", "a soft one"])
def test_only_hard_budgets_need_the_ledger(budgets: tuple[Budget, ...]) -> None:
    """Where nothing could be refused a call goes on without the ledger, and is booked when it is back."""
    ledger = Shut()
    router = Router(ledger=ledger, budgets=budgets, clock=lambda: NOON)
    ledger.shut = True
    router.begin(router.decide(ask())).settle(USED)
    ledger.shut = False
    router.begin(router.decide(ask())).settle(USED)
    assert [line.cost for line in ledger.entries()] == [242_200_000] * 2
    if budgets:
        on = accounts(*budgets)
        assert ledger.remaining(on, at=NOON) == (on[0].limit - 2 * 242_200_000,)


def test_a_full_disk(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """A disk that fills up refuses calls in words, and what was answered is booked once there is room."""
    ledger = SQLiteLedger(tmp_path / "book.db")
    router = Router(ledger=ledger, budgets=Budget(total=100), clock=lambda: NOON)
    with ledger._reading() as db:
        pages = db.execute("PRAGMA page_count").fetchone()[0]
        db.execute(f"PRAGMA max_page_count = {pages}")
    answered = 0

    def fill() -> None:
        nonlocal answered
        for _ in range(10_000):
            router.begin(router.decide(ask())).settle(USED)
            answered += 1

    with pytest.raises(LedgerError) as caught:
        fill()
    assert str(caught.value).endswith("database or disk is full. Make room on its disk.")
    assert "Not booked yet" in caplog.text or len(list(ledger.entries())) == answered
    with ledger._reading() as db:
        db.execute("PRAGMA max_page_count = 1000000")
    router.begin(router.decide(ask())).settle(USED)
    assert len(list(ledger.entries())) == answered + 1


def test_what_is_kept_is_booked_at_the_end(tmp_path: Path) -> None:
    """A process that ends before the ledger came back tries once more."""
    code = """
import sys
from test_trouble import *
ledger, book = Shut(), open_ledger(sys.argv[1])
router = Router(ledger=ledger, budgets=Budget(per_day=1), clock=lambda: NOON)
run = router.begin(router.decide(ask()))
ledger.shut = True
run.settle(USED)
ledger.settle = book.settle
"""
    path = str(tmp_path / "book.db")
    here = {**os.environ, "PYTHONPATH": str(Path(__file__).parent)}
    done = subprocess.run([sys.executable, "-c", code, path], env=here, capture_output=True, check=False)
    assert done.returncode == 0, done.stderr
    (line,) = open_ledger(path).entries()
    assert line.cost == 242_200_000


def test_redis_killed_in_mid_run(tmp_path: Path, run_redis: Callable[..., Any]) -> None:
    """When the server dies, calls are refused in words; what was answered is booked when it is back."""
    with run_redis(tmp_path, "--appendonly", "yes") as (url, process):
        ledger = open_ledger(url)
        router = Router(ledger=ledger, budgets=Budget(per_day=1), clock=lambda: NOON)
        router.begin(router.decide(ask())).settle(USED)
        run = router.begin(router.decide(ask()))
        process.kill()
        process.wait(10)
        assert run.settle(USED)["cost"] == "0.0002422"
        with pytest.raises(LedgerError) as caught:
            router.decide(ask())
        place = url.removesuffix("/0")
        assert str(caught.value).startswith(f"The ledger on {place}/0 cannot be used: ")
        assert str(caught.value).endswith("See that the server runs and that this process may reach it.")
    with run_redis(tmp_path, "--appendonly", "yes", port=int(url.split(":")[2].split("/")[0])):
        router.begin(router.decide(ask())).settle(USED)
        assert [line.cost for line in ledger.entries()] == [242_200_000] * 3
        rest = ledger.remaining(DAY, at=NOON)
        assert rest == (PICO - 3 * 242_200_000,)
        ledger.close()


@pytest.fixture(params=["memory", "sqlite"])
def swept(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Ledger]:
    """A ledger that forgets what is over by itself."""
    made: Any = MemoryLedger() if request.param == "memory" else SQLiteLedger(tmp_path / "book.db")
    yield made
    made.close()


@pytest.mark.parametrize("back", [timedelta(seconds=1), timedelta(minutes=50)])
def test_a_clock_that_is_set_back(swept: Ledger, monkeypatch: pytest.MonkeyPatch, back: timedelta) -> None:
    """What was spent in an hour is still known when the clock goes back into it."""
    monkeypatch.setattr("routed_llm.ledger.memory._SWEEP_EVERY", 1)
    monkeypatch.setattr("routed_llm.ledger.sqlite._SWEEP_EVERY", 1)
    hour = Budget(per_hour=1)
    late = NOON + timedelta(hours=1)
    before = hour.accounts({}, None, late - timedelta(seconds=1))
    after = hour.accounts({}, None, late)
    spend(swept, "a", 70, before, late - timedelta(seconds=1))
    for n in range(3):
        spend(swept, f"b{n}", 1, after, late)
    assert before != after
    assert swept.remaining(before, at=late - back) == (30 * CENT,)
    assert isinstance(swept.reserve("c", 31 * CENT, before, at=late - back), Shortage)


def test_a_budget_of_exactly_the_price() -> None:
    """A budget pays for a call that costs all of it, and not for one that costs a picodollar more."""
    chosen = Router(clock=lambda: NOON).decide(ask()).chosen
    assert chosen is not None
    assert chosen.dollars is not None
    exact, less = chosen.dollars, chosen.dollars - 1 / type(chosen.dollars)(PICO)
    router = Router(budgets=Budget(total=exact), clock=lambda: NOON)
    router.begin(router.decide(ask())).settle(None)
    with pytest.raises(BudgetExceeded):
        router.decide(ask())
    with pytest.raises(BudgetExceeded):
        Router(budgets=Budget(total=less), clock=lambda: NOON).decide(ask())


@pytest.mark.parametrize(
    ("usage", "counts"),
    [
        ({"prompt_tokens": "12", "completion_tokens": 3.0}, (12, 3)),
        ({"prompt_tokens": -5, "completion_tokens": 7}, (0, 7)),
        ({"prompt_tokens": "n/a", "completion_tokens": float("nan")}, (0, 0)),
        ({"prompt_tokens": 10**40, "completion_tokens": float("inf")}, (10**9, 0)),
        ({"prompt_tokens": [1], "completion_tokens": {"n": 1}, "prompt_tokens_details": 7}, (0, 0)),
    ],
    ids=["texts", "negative", "no numbers", "without end", "other types"],
)
def test_a_usage_that_cannot_be(usage: dict[str, Any], counts: tuple[int, int], ledger: Ledger) -> None:
    """A server that reports nonsense costs nobody an answer, and breaks no book."""
    used = Usage.from_openai(usage)
    assert (used.input_tokens, used.output_tokens) == counts
    router = Router(ledger=ledger, budgets=Budget(total=5_000_000, hard=False), clock=lambda: NOON)
    router.begin(router.decide(ask())).settle(used)
    assert len(list(ledger.entries())) == 1


def test_an_entry_of_a_newer_version() -> None:
    """Counts and fields that a newer version wrote are left out, not stumbled over."""
    row = entry("a", 1, usage=USED).to_dict()
    row["usage"]["hologram_tokens"] = 5
    assert Entry.from_dict({**row, "mood": "good"}) == entry("a", 1, usage=USED)


Clock = Callable[[], datetime]


@pytest.mark.parametrize(
    ("regional", "cost"), [(False, "0.0028"), (True, "0.00308")], ids=["plain", "regional"]
)
def test_a_policy_of_the_call_is_billed_by(regional: bool, cost: str) -> None:
    """The surcharge of the policy that a call was weighed by is on its bill, whatever the router's own."""
    router = Router(clock=lambda: NOON)
    policy = Policy(models="gpt-5.4", effort="none", at_least=None, regional=regional)
    decision = router.decide(ask(), policy=policy)
    used = Usage(input_tokens=520, output_tokens=100)
    assert router.begin(decision).settle(used)["cost"] == cost


def test_the_moment_is_kept_to_the_microsecond(tmp_path: Path) -> None:
    """Entries come in the order of time, wherever the clocks stood."""
    ledger = SQLiteLedger(tmp_path / "book.db")
    moments = [NOON + timedelta(microseconds=n) for n in (2, 0, 1)]
    for n, moment in enumerate(moments):
        ledger.settle(
            held(ledger.reserve(str(n), 0, (), at=moment)), entry(str(n), 1, moment.astimezone(UTC))
        )
    assert [line.id for line in ledger.entries()] == ["1", "2", "0"]
