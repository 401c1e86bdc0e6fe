"""What every ledger promises, asked of each kind."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone
from pathlib import Path

import pytest
from ledger_support import CENT, NOON, accounts, entry, held, spend

from routed_llm import Budget, Entry, Ledger, MemoryLedger, Usage, open_ledger
from routed_llm.budget import PICO
from routed_llm.ledger import Hold, RedisLedger, Shortage, SQLiteLedger

DAY = accounts(Budget(per_day=1))


def test_each_is_a_ledger(ledger: Ledger) -> None:
    """All kinds have the protocol's methods."""
    assert isinstance(ledger, Ledger)


def test_reserve_and_settle(ledger: Ledger) -> None:
    """What is reserved is not left; what is settled replaces it."""
    hold = held(ledger.reserve("a", 30 * CENT, DAY, at=NOON))
    assert ledger.remaining(DAY, at=NOON) == (70 * CENT,)
    assert ledger.settle(hold, entry("a", 20)) == (20 * CENT,)
    assert ledger.remaining(DAY, at=NOON) == (80 * CENT,)


def test_cancel_releases(ledger: Ledger) -> None:
    """A cancelled call costs nothing and leaves no entry."""
    ledger.cancel(held(ledger.reserve("a", 30 * CENT, DAY, at=NOON)))
    assert ledger.remaining(DAY, at=NOON) == (PICO,)
    assert list(ledger.entries()) == []


@pytest.mark.parametrize(
    ("cents", "fits"), [(100, True), (101, False), (0, True)], ids=["all of it", "a cent more", "nothing"]
)
def test_the_limit_is_the_limit(ledger: Ledger, cents: int, fits: bool) -> None:
    """An account takes exactly its limit and no picodollar more."""
    found = ledger.reserve("a", cents * CENT, DAY, at=NOON)
    assert isinstance(found, Hold) == fits
    if isinstance(found, Shortage):
        assert (found.account.key, found.remaining) == ("all/day/2026-11-22", PICO)


def test_one_picodollar_counts_at_large_amounts(ledger: Ledger) -> None:
    """Sums are exact where a double is not: at a million dollars a picodollar still decides."""
    big = accounts(Budget(per_day=1_000_000))
    held(ledger.reserve("a", 1_000_000 * PICO - 1, big, at=NOON))
    assert ledger.remaining(big, at=NOON) == (1,)
    assert isinstance(ledger.reserve("b", 2, big, at=NOON), Shortage)
    assert isinstance(ledger.reserve("c", 1, big, at=NOON), Hold)


def test_all_accounts_or_none(ledger: Ledger) -> None:
    """A call draws on user, team and company at once; if one has no room, none is touched."""
    three = accounts(
        Budget(per_day=1, scope="user"),
        Budget(per_day="0.5", scope="team"),
        Budget(total=10),
        user="ann",
        team="search",
    )
    found = ledger.reserve("a", 60 * CENT, three, at=NOON)
    assert isinstance(found, Shortage)
    assert found.account.scope == "team=search"
    assert ledger.remaining(three, at=NOON) == (PICO, PICO // 2, 10 * PICO)
    spend(ledger, "b", 40, three)
    assert ledger.remaining(three, at=NOON) == (60 * CENT, 10 * CENT, 960 * CENT)


def test_soft_accounts_refuse_nothing(ledger: Ledger) -> None:
    """A soft account is charged beyond its limit."""
    soft = accounts(Budget(per_day="0.1", hard=False))
    spend(ledger, "a", 30, soft)
    assert ledger.remaining(soft, at=NOON) == (-20 * CENT,)


def test_two_budgets_on_one_counter(ledger: Ledger) -> None:
    """A soft and a hard limit on the same scope and period count the same money once."""
    both = accounts(Budget(per_day="0.5", hard=False), Budget(per_day=1))
    spend(ledger, "a", 60, both)
    assert ledger.remaining(both, at=NOON) == (-10 * CENT, 40 * CENT)
    assert isinstance(ledger.reserve("b", 41 * CENT, both, at=NOON), Shortage)
    ledger.cancel(held(ledger.reserve("c", 40 * CENT, both, at=NOON)))
    assert ledger.remaining(both, at=NOON) == (-10 * CENT, 40 * CENT)


def test_a_hold_expires(ledger: Ledger) -> None:
    """What nobody settled is free again when its time is over, not before."""
    held(ledger.reserve("a", PICO, DAY, at=NOON, hold=timedelta(minutes=1)))
    before, after = NOON + timedelta(seconds=59), NOON + timedelta(seconds=60)
    assert ledger.remaining(DAY, at=before) == (0,)
    assert isinstance(ledger.reserve("b", CENT, DAY, at=before), Shortage)
    assert ledger.remaining(DAY, at=after) == (PICO,)
    held(ledger.reserve("c", PICO, DAY, at=after))


def test_a_late_answer_is_booked_in_full(ledger: Ledger) -> None:
    """A call that outlives its hold is still charged, once."""
    hold = held(ledger.reserve("a", 10 * CENT, DAY, at=NOON, hold=timedelta(minutes=1)))
    later = NOON + timedelta(hours=1)
    assert ledger.remaining(DAY, at=later) == (PICO,)
    held(ledger.reserve("b", CENT, DAY, at=later))
    ledger.settle(hold, entry("a", 12, later))
    assert ledger.remaining(DAY, at=later) == (87 * CENT,)


def test_settling_twice_counts_once(ledger: Ledger) -> None:
    """A retried settlement changes nothing; so does a cancel after it."""
    hold = held(ledger.reserve("a", 10 * CENT, DAY, at=NOON))
    assert ledger.settle(hold, entry("a", 12)) == ledger.settle(hold, entry("a", 12)) == (12 * CENT,)
    ledger.cancel(hold)
    assert ledger.remaining(DAY, at=NOON) == (88 * CENT,)
    assert len(list(ledger.entries())) == 1


def test_reserving_twice_holds_once(ledger: Ledger) -> None:
    """A retried reservation of the same id holds its money once."""
    for _ in range(2):
        held(ledger.reserve("a", 10 * CENT, DAY, at=NOON))
    assert ledger.remaining(DAY, at=NOON) == (90 * CENT,)


def test_each_window_is_its_own(ledger: Ledger) -> None:
    """An hour's money is back in the next hour; the day's is not."""
    budget = Budget(per_hour=1, per_day=2)
    spend(ledger, "a", 100, budget.accounts({}, None, NOON))
    later = NOON + timedelta(hours=1)
    assert ledger.remaining(budget.accounts({}, None, later), at=later) == (PICO, PICO)


def test_more_than_reserved(ledger: Ledger) -> None:
    """An answer that costs more than was reserved is booked, and the account goes below zero."""
    hold = held(ledger.reserve("a", PICO, DAY, at=NOON))
    assert ledger.settle(hold, entry("a", 130)) == (130 * CENT,)
    assert ledger.remaining(DAY, at=NOON) == (-30 * CENT,)
    assert isinstance(ledger.reserve("b", 0, DAY, at=NOON), Shortage)


def test_without_accounts_only_the_entry_is_written(ledger: Ledger) -> None:
    """A call under no budget is still in the book."""
    assert ledger.settle(held(ledger.reserve("a", CENT, (), at=NOON)), entry("a", 1)) == ()
    assert [line.id for line in ledger.entries()] == ["a"]


FULL = Entry(
    id="0123456789abcdef",
    at=datetime(2026, 11, 22, 23, 30, tzinfo=timezone(timedelta(hours=-2))),
    model="gpt-5.6-luna",
    effort="low",
    endpoint="responses",
    served="gpt-5.6-luna",
    tier="flex",
    usage=Usage(input_tokens=10, cached_tokens=3, output_tokens=7, reasoning_tokens=5, service_tier="flex"),
    cost=123_456_789,
    booked=123_456_789,
    estimated=100,
    tags={"team": "Büro/1", "user": "ann"},
    conversation="c-1",
    kind=(
        ((True, "auto", None, frozenset({"text", "image"}), frozenset({"text"}), "coding", False), 4),
        7,
        True,
    ),
)


@pytest.mark.parametrize("line", [FULL, Entry(id="b", at=NOON, model="x")], ids=["everything", "unknown"])
def test_entries_come_back_as_they_were(ledger: Ledger, line: Entry) -> None:
    """What was written is read back equal: tags, usage, money, moment; unknown stays None."""
    ledger.settle(held(ledger.reserve(line.id, 0, (), at=NOON)), line)
    assert list(ledger.entries()) == [line]


def test_entries_by_time(ledger: Ledger) -> None:
    """Entries come oldest first, from `since` to before `until`."""
    for n, hours in enumerate((30, 0, 1, 26)):
        spend(ledger, f"e{n}", n, (), NOON + timedelta(hours=hours))
    assert [line.id for line in ledger.entries()] == ["e1", "e2", "e3", "e0"]
    some = ledger.entries(since=NOON + timedelta(hours=1), until=NOON + timedelta(hours=30))
    assert [line.id for line in some] == ["e2", "e3"]


def test_memory_keeps_so_many_entries() -> None:
    """The oldest entries leave first, and the accounts stay right."""
    book = MemoryLedger(keep=2)
    for name in "abc":
        spend(book, name, 10, DAY)
    assert [line.id for line in book.entries()] == ["b", "c"]
    assert book.remaining(DAY, at=NOON) == (70 * CENT,)


def test_memory_forgets_windows_that_are_over() -> None:
    """Old counters do not pile up."""
    book, budget = MemoryLedger(), Budget(per_hour=1)
    for hour in range(3_000):
        at = NOON + timedelta(hours=hour)
        spend(book, f"h{hour}", 1, budget.accounts({}, None, at), at)
    assert len(book._counters) < 1_100


def test_sqlite_survives_its_process(tmp_path: Path) -> None:
    """A file that is opened again has it all."""
    path = tmp_path / "book.db"
    first = SQLiteLedger(path, power_safe=True)
    spend(first, "a", 25, DAY)
    first.close()
    again = SQLiteLedger(path)
    assert again.remaining(DAY, at=NOON) == (75 * CENT,)
    assert [line.id for line in again.entries()] == ["a"]


def test_redis_keys_expire(redis_url: str) -> None:
    """Counters live as long as their period and late answers can matter, entries as long as asked for."""
    book = RedisLedger(redis_url, prefix="expiry", keep_days=2)
    on = accounts(Budget(per_hour=1, per_day=1, total=1))
    spend(book, "a", 1, on)
    lives = {
        name.decode().split(":", 1)[1]: book._client.ttl(name)
        for name in book._client.scan_iter(match="{expiry}:*")
    }
    assert lives.pop("spent:all/total") == -1
    assert lives == {
        "entries:2026-11-22": pytest.approx(2 * 86_400, abs=60),
        "settled:a": pytest.approx(86_400, abs=60),
        "spent:all/day/2026-11-22": pytest.approx(13 * 3600, abs=60),
        "spent:all/hour/2026-11-22T12": pytest.approx(2 * 3600, abs=60),
    }
    book.close()


def test_open_ledger_by_name(tmp_path: Path, redis_url: str) -> None:
    """A URL opens Redis, anything else an SQLite file."""
    assert isinstance(open_ledger(redis_url), RedisLedger)
    assert isinstance(open_ledger(str(tmp_path / "x.db")), SQLiteLedger)


def test_the_latest_entries_are_found(ledger: Ledger) -> None:
    """As many as asked for, whichever day they are of, oldest first."""
    for at in range(5):
        spend(ledger, f"e{at}", 1, (), NOON + timedelta(hours=9 * at))
    recent = ledger.recent  # type: ignore[attr-defined]
    found = {count: [entry.id for entry in recent(count)] for count in (1, 3, 9)}
    assert found == {1: ["e4"], 3: ["e2", "e3", "e4"], 9: ["e0", "e1", "e2", "e3", "e4"]}


def test_no_prompt_text_is_written() -> None:
    """An entry has no field that could hold a prompt."""
    assert set(FULL.to_dict()) == {
        "v",
        "id",
        "at",
        "model",
        "effort",
        "endpoint",
        "served",
        "tier",
        "usage",
        "cost",
        "booked",
        "estimated",
        "tags",
        "conversation",
        "outcome",
        "kind",
        "took",
    }
    assert Entry.from_dict(FULL.to_dict()) == FULL
    assert FULL.at.astimezone(UTC).day == 23
