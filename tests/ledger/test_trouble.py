"""Ledgers in trouble: damaged files, read-only disks, dead servers, clocks that jump, lying usages."""

from __future__ import annotations

import json
import logging
import os
import socket
import sqlite3
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
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
from routed_llm.database import opened
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
    with closing(sqlite3.connect(path)) as raw, raw:
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
import time
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


DURABLE = ("--appendonly", "yes", "--appendfsync", "always")
"""With a write a second, Redis acknowledges on a busy disk what a killed process then loses."""


def test_redis_killed_in_mid_run(tmp_path: Path, run_redis: Callable[..., Any]) -> None:
    """When the server dies, calls are refused in words; what was answered is booked when it is back."""
    with run_redis(tmp_path, *DURABLE) as (url, process):
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
    with run_redis(tmp_path, *DURABLE, port=int(url.split(":")[2].split("/")[0])):
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


def test_ten_callers_wait_as_long_as_one(tmp_path: Path) -> None:
    """While another process holds the file, callers wait side by side, and later ones not at all."""
    path = tmp_path / "book.db"
    router = Router(ledger=SQLiteLedger(path, wait=0.6), budgets=Budget(per_day=1), clock=lambda: NOON)
    other = opened(path, wait=0)
    other.execute("BEGIN EXCLUSIVE")
    decision = router.explain(ask())

    def call(_: int) -> str:
        with pytest.raises(LedgerError) as caught:
            router.begin(decision)
        return str(caught.value)

    begun = time.monotonic()
    with ThreadPoolExecutor(10) as pool:
        said = list(pool.map(call, range(10)))
    assert time.monotonic() - begun < 3  # one after another they would wait six seconds
    begun = time.monotonic()
    assert "left alone" in call(0)
    assert time.monotonic() - begun < 0.5  # a wait would take 0.6
    assert any("locked" in one for one in said)
    other.close()


@pytest.mark.parametrize("late", ["settle", "cancel"])
def test_a_redis_that_hangs_is_waited_for_once(late: str) -> None:
    """A server that takes connections and never answers costs a call one wait, and is named."""
    with socket.socket() as silent:
        silent.bind(("127.0.0.1", 0))
        silent.listen(50)
        url = f"redis://127.0.0.1:{silent.getsockname()[1]}/0?socket_timeout=0.6"
        router = Router(ledger=open_ledger(url), budgets=Budget(per_day=1, hard=False), clock=lambda: NOON)
        begun = time.monotonic()
        run = router.begin(router.decide(ask()))
        run.settle(USED) if late == "settle" else run.cancel()
        assert time.monotonic() - begun < 2  # four steps, which would wait one after another
        router._books._unwritten.clear()


JUNK = ["", "no JSON", "[]", "null", "{}", '{"v": 1, "id": "x", "at": "never"}', "[" * 100_000]


def test_rows_that_are_none_are_counted_and_left_out(
    ledger: Ledger, caplog: pytest.LogCaptureFixture
) -> None:
    """What somebody else wrote into the book does not hide what it holds."""
    spend(ledger, "a", 5, DAY)
    if isinstance(ledger, MemoryLedger):
        pytest.skip("nobody else can write into it")
    if isinstance(ledger, SQLiteLedger):
        with ledger._writing() as db:
            db.executemany(
                "INSERT INTO entries VALUES (?, ?, ?)",
                [(f"j{n}", int(NOON.timestamp() * 1e6), line) for n, line in enumerate(JUNK)],
            )
    else:
        client, prefix = ledger.shared()  # type: ignore[attr-defined]
        client.rpush("{" + prefix + "}:entries:" + NOON.date().isoformat(), *JUNK)
    spend(ledger, "b", 5, DAY)
    assert [line.id for line in ledger.entries()] == ["a", "b"]
    assert [line.id for line in ledger.recent(50)] == ["a", "b"]  # type: ignore[attr-defined]
    assert f"{len(JUNK)} rows of the ledger" in caplog.text


def test_a_script_that_fails_midway_loses_nothing(redis_url: str) -> None:
    """A key that somebody made something else of refuses the whole step, and nothing is lost."""
    from routed_llm.ledger import RedisLedger

    book = RedisLedger(redis_url, prefix="midway")
    on = accounts(Budget(per_hour=1, per_day=1))
    hold = held(book.reserve("a", 10 * CENT, on, at=NOON))
    broken = "{midway}:spent:" + on[1].key
    kept = book._client.hgetall(broken)
    book._client.delete(broken)
    book._client.set(broken, "junk")
    with pytest.raises(LedgerError):
        book.settle(hold, entry("a", 10))
    with pytest.raises(LedgerError):
        book.cancel(hold)
    book._client.delete(broken)
    book._client.hset(broken, mapping=kept)
    assert book.remaining(on, at=NOON) == (90 * CENT, 90 * CENT)
    book.settle(hold, entry("a", 10))
    assert book.remaining(on, at=NOON) == (90 * CENT, 90 * CENT)
    assert [line.id for line in book.entries()] == ["a"]
    book.close()


def test_junk_among_the_holds_stops_nothing(redis_url: str) -> None:
    """A member that is no hold is left out when it expires."""
    from routed_llm.ledger import RedisLedger

    book = RedisLedger(redis_url, prefix="junk")
    spend(book, "a", 10, DAY)
    book._client.zadd("{junk}:holds:" + DAY[0].key, {"no hold": 1})
    spend(book, "b", 10, DAY)
    assert book.remaining(DAY, at=NOON) == (80 * CENT,)
    book.close()


def test_a_file_that_is_deleted_in_use(tmp_path: Path) -> None:
    """A book that is gone is noticed; no new one is begun behind it, which would forget what was spent."""
    path = tmp_path / "book.db"
    ledger = SQLiteLedger(path)
    spend(ledger, "a", 25, DAY)
    kept = path.rename(tmp_path / "elsewhere.db")
    for _ in range(2):
        with pytest.raises(LedgerError, match=r"was deleted while it was in use\. Restore it;"):
            ledger.reserve("b", 1, DAY, at=NOON)
    assert not path.exists()
    kept.rename(path)
    for rest in ("-wal", "-shm"):
        if (left := Path(f"{kept}{rest}")).exists():
            left.rename(f"{path}{rest}")
    assert ledger.remaining(DAY, at=NOON) == (75 * CENT,)


def test_a_new_file_is_its_owners_and_no_link(tmp_path: Path) -> None:
    """Nobody else reads what was spent, and a link leads nowhere."""
    path = tmp_path / "book.db"
    spend(SQLiteLedger(path), "a", 25, DAY)
    assert {one.stat().st_mode & 0o777 for one in tmp_path.iterdir()} == {0o600}
    link = tmp_path / "link.db"
    link.symlink_to(tmp_path / "victim")
    with pytest.raises(LedgerError) as caught:
        SQLiteLedger(link)
    assert str(caught.value) == f"The ledger {link} is a link, which is not followed. Name the file itself."
    assert not (tmp_path / "victim").exists()


def test_old_entries_leave_the_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Entries are kept as long as was asked for."""
    monkeypatch.setattr("routed_llm.ledger.sqlite._SWEEP_EVERY", 4)
    ledger = SQLiteLedger(tmp_path / "book.db", keep_days=30)
    for day in range(0, 100, 10):
        at = NOON + timedelta(days=day)
        spend(ledger, f"d{day}", 1, Budget(per_day=1).accounts({}, None, at), at)
    kept = [line.id for line in ledger.entries()]
    assert (kept[-1], "d40" in kept, "d60" in kept) == ("d90", False, True)


def test_idle_conversations_end_in_memory() -> None:
    """Conversations without number leave a bounded book; the latest are kept, and so is what is held."""
    book, budget = MemoryLedger(keep=10, conversations=100), Budget(per_conversation=1)
    hold = held(book.reserve("first", 10 * CENT, budget.accounts({}, "first", NOON), at=NOON))
    for n in range(2_000):
        spend(book, f"c{n}", 5, budget.accounts({}, f"c{n}", NOON))
    assert len(book._counters) <= 101
    assert book.remaining(budget.accounts({}, "c1999", NOON), at=NOON) == (95 * CENT,)
    book.settle(hold, entry("first", 10))
    assert book.remaining(budget.accounts({}, "first", NOON), at=NOON) == (90 * CENT,)
