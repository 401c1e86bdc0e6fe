"""SQLiteLedger: a book on disk that several processes of one machine share."""

from __future__ import annotations

import json
import logging
import os
import sqlite3
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from routed_llm.budget import Account
from routed_llm.database import opened
from routed_llm.errors import LedgerError, PolicyError
from routed_llm.ledger.base import HOLD_FOR, KEPT_AFTER, Change, Entry, Hold, Shortage, read_rows

__all__ = ["SQLiteLedger"]

_SWEEP_EVERY = 4096
_SCHEMA = """
CREATE TABLE IF NOT EXISTS counters (
    key TEXT PRIMARY KEY, spent INTEGER NOT NULL DEFAULT 0, held INTEGER NOT NULL DEFAULT 0, until INTEGER
) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS holds (
    id TEXT NOT NULL, key TEXT NOT NULL, amount INTEGER NOT NULL, expires INTEGER NOT NULL,
    PRIMARY KEY (id, key)
) WITHOUT ROWID;
CREATE INDEX IF NOT EXISTS holds_expire ON holds (expires);
CREATE TABLE IF NOT EXISTS entries (id TEXT PRIMARY KEY, at INTEGER NOT NULL, line TEXT NOT NULL);
CREATE INDEX IF NOT EXISTS entries_at ON entries (at);
CREATE TABLE IF NOT EXISTS states (key TEXT PRIMARY KEY, value TEXT NOT NULL, until REAL) WITHOUT ROWID;
"""


_PRUNE = "DELETE FROM entries WHERE rowid IN (SELECT rowid FROM entries WHERE at < ? ORDER BY at LIMIT ?)"
_AT_ONCE = 50_000
_LOCKED = "Others hold it for too long: raise SQLiteLedger(wait=...), or use Redis."
_log = logging.getLogger("routed_llm")


class SQLiteLedger:
    """Keeps the book in an SQLite file (WAL): durable, shared by threads and processes of one machine.

    An acknowledged entry survives a killed process. With ``power_safe`` it also survives a power cut, at
    the cost of one fsync a call. The file must be on a local disk: WAL does not work over a network.

    Args:
        path: the file; it is made when it is not there, for its owner alone. A link is not followed.
        power_safe: whether each call waits until the disk has it.
        wait: seconds to wait for others that are writing, threads and processes alike.
        keep_days: days for which entries are kept; 0 keeps them for good.

    Raises:
        LedgerError: by every method, when the file cannot be opened, read or written.
    """

    blocks = True

    def __init__(
        self, path: str | Path, *, power_safe: bool = False, wait: float = 5.0, keep_days: int = 400
    ) -> None:
        if "\0" in str(path):
            raise PolicyError("A path has no NUL character in it. Give the path of a file.", key="ledger")
        self.path = Path(path)
        self._keep = timedelta(days=keep_days)
        self._file: tuple[int, int] | None = None
        self._power_safe = power_safe
        self._wait = wait
        self._lock = threading.Lock()
        self._db: sqlite3.Connection | None = None
        self._pid = 0
        self._calls = 0
        with self._reading():
            pass

    def __reduce__(self) -> tuple[object, ...]:
        # A copy in another process opens the same book.
        return (_again, (str(self.path.absolute()), self._power_safe, self._wait, self._keep.days))

    def reserve(
        self, id: str, amount: int, accounts: Sequence[Account], *, at: datetime, hold: timedelta = HOLD_FOR
    ) -> Hold | Shortage:
        """Hold an amount in all of the accounts, or in none; see :class:`Ledger`."""
        made = Hold(id=id, amount=amount, accounts=tuple(accounts), expires=at + hold)
        if not accounts:
            return made
        with self._writing() as db:
            self._sweep(db, at)
            _expire(db, at)
            if db.execute("SELECT 1 FROM holds WHERE id = ?", (id,)).fetchone():
                return made
            for account in accounts:
                used = _used(db, account.key)
                if account.hard and used + amount > account.limit:
                    return Shortage(account=account, remaining=account.limit - used)
            for key, until in _keys(accounts).items():
                db.execute(
                    "INSERT INTO counters (key, held, until) VALUES (?, ?, ?) "
                    "ON CONFLICT (key) DO UPDATE SET held = held + excluded.held, until = excluded.until",
                    (key, amount, until),
                )
                db.execute("INSERT INTO holds VALUES (?, ?, ?, ?)", (id, key, amount, _stamp(made.expires)))
        return made

    def settle(self, hold: Hold, entry: Entry) -> tuple[int, ...]:
        """Charge an entry and release its hold; see :class:`Ledger`."""
        line = json.dumps(entry.to_dict(), ensure_ascii=False, separators=(",", ":"))
        with self._writing() as db:
            self._sweep(db, entry.at)
            added = db.execute(
                "INSERT OR IGNORE INTO entries VALUES (?, ?, ?)", (entry.id, _stamp(entry.at), line)
            )
            if added.rowcount:
                _release(db, hold.id)
                for key, until in _keys(hold.accounts).items():
                    db.execute(
                        "INSERT INTO counters (key, spent, until) VALUES (?, ?, ?) "
                        "ON CONFLICT (key) DO UPDATE SET spent = spent + excluded.spent",
                        (key, entry.booked, until),
                    )
            return tuple([_spent(db, account.key) for account in hold.accounts])

    def cancel(self, hold: Hold) -> None:
        """Release what was held; nothing is charged."""
        if hold.accounts:
            with self._writing() as db:
                _release(db, hold.id)

    def remaining(self, accounts: Sequence[Account], *, at: datetime) -> tuple[int, ...]:
        """Return limit minus spent minus held for each account."""
        with self._reading() as db:
            now = _stamp(at)
            found = []
            for account in accounts:
                # Read without writing: what has expired is only left out of the sum.
                over = db.execute(
                    "SELECT COALESCE(SUM(amount), 0) FROM holds WHERE expires <= ? AND key = ?",
                    (now, account.key),
                ).fetchone()[0]
                found.append(account.limit - _used(db, account.key) + over)
            return tuple(found)

    def entries(self, *, since: datetime | None = None, until: datetime | None = None) -> Iterator[Entry]:
        """Give the entries from ``since`` to before ``until``, oldest first."""
        first = -(2**62) if since is None else _stamp(since)
        last = 2**62 if until is None else _stamp(until)
        with self._reading() as db:
            rows = db.execute(
                "SELECT line FROM entries WHERE at >= ? AND at < ? ORDER BY at, rowid", (first, last)
            ).fetchall()
        return read_rows((row[0] for row in rows), str(self.path))

    def recent(self, count: int) -> list[Entry]:
        """Return the latest entries, as many as asked for, oldest first."""
        with self._reading() as db:
            rows = db.execute(
                "SELECT line FROM entries ORDER BY at DESC, rowid DESC LIMIT ?", (count,)
            ).fetchall()
        return list(read_rows((row[0] for row in reversed(rows)), str(self.path)))

    def amend(self, key: str, change: Change, *, keep: int = 0) -> dict[str, Any]:
        """Change a shared state; see :class:`SharedStates`."""
        with self._writing() as db:
            row = db.execute("SELECT value FROM states WHERE key = ?", (key,)).fetchone()
            new = change(None if row is None else json.loads(row[0]))
            # How long is counted by the disk's own clock: nothing is decided by it.
            db.execute(
                "INSERT OR REPLACE INTO states VALUES (?, ?, unixepoch() + NULLIF(?, 0))",
                (key, json.dumps(new, separators=(",", ":")), keep),
            )
            db.execute("DELETE FROM states WHERE until < unixepoch() AND key <> ?", (key,))
        return new

    def close(self) -> None:
        """Close the file; a later call opens it again."""
        with self._lock:
            if self._db is not None and self._pid == os.getpid():
                self._db.close()
            self._db = self._file = None

    def _connection(self) -> sqlite3.Connection:
        # A connection must not be carried over a fork.
        if self._file is None:
            self._make()
        elif self._there() != self._file:
            self._gone()
        if self._db is not None and self._pid == os.getpid():
            return self._db
        db = opened(self.path, wait=self._wait)
        try:
            db.execute("PRAGMA journal_mode = WAL")
            db.execute(f"PRAGMA synchronous = {'FULL' if self._power_safe else 'NORMAL'}")
            if db.execute("PRAGMA user_version").fetchone()[0] < 2:
                db.executescript(f"BEGIN IMMEDIATE; {_SCHEMA} PRAGMA user_version = 2; COMMIT;")
        except BaseException:
            db.close()
            raise
        self._db, self._pid, self._file = db, os.getpid(), self._there()
        return db

    def _there(self) -> tuple[int, int] | None:
        try:
            found = self.path.stat()
        except OSError:
            return None
        return found.st_dev, found.st_ino

    def _gone(self) -> None:
        """Let go of a file that is no longer the one under its name.

        Raises:
            LedgerError: when there is none: to begin a new one would forget what was spent.
        """
        if self._db is not None:
            self._db.close()
        self._db = None
        if self._there() is None:
            raise LedgerError(
                f"The ledger {self.path} was deleted while it was in use. Restore it; to begin a new one, "
                "start the program again.",
                where=str(self.path),
            )
        _log.warning("the ledger %s was replaced by another file, which is used from now on", self.path)

    def _make(self) -> None:
        """Make the file for its owner alone, unless it is there; follow no link."""
        try:
            os.close(os.open(self.path, os.O_RDWR | os.O_CREAT | getattr(os, "O_NOFOLLOW", 0), 0o600))
        except OSError as error:
            if self.path.is_symlink():
                raise LedgerError(
                    f"The ledger {self.path} is a link, which is not followed. Name the file itself.",
                    where=str(self.path),
                ) from error
            # What else is wrong SQLite says in its own words.

    def _sweep(self, db: sqlite3.Connection, at: datetime) -> None:
        self._calls += 1
        if self._calls % _SWEEP_EVERY == 1:
            if self._keep:
                db.execute(_PRUNE, (_stamp(at - self._keep), _AT_ONCE))
            # A clock that was set back must still find what was spent in the hour before.
            db.execute("DELETE FROM counters WHERE until <= ? AND held = 0", (_stamp(at - KEPT_AFTER),))

    @contextmanager
    def _reading(self) -> Iterator[sqlite3.Connection]:
        """Give the connection, and say what is wrong with the file where something is."""
        if not self._lock.acquire(timeout=self._wait):
            raise LedgerError(
                f"The ledger {self.path} cannot be used: it is locked. {_LOCKED}", where=str(self.path)
            )
        try:
            try:
                yield self._connection()
            except sqlite3.Error as error:
                raise LedgerError(
                    f"The ledger {self.path} cannot be used: {error}. {_advice(error)}", where=str(self.path)
                ) from error
        finally:
            self._lock.release()

    @contextmanager
    def _writing(self) -> Iterator[sqlite3.Connection]:
        with self._reading() as db:
            db.execute("BEGIN IMMEDIATE")
            try:
                yield db
            except BaseException:
                if db.in_transaction:
                    db.execute("ROLLBACK")
                raise
            db.execute("COMMIT")


def _advice(error: sqlite3.Error) -> str:
    said = str(error)
    if "not a database" in said or "malformed" in said:
        return "It is no SQLite file, or a damaged one: name another, or restore it from a copy."
    if "readonly" in said or "unable to open" in said:
        return "Give a path on a local disk that this process may write to."
    if "full" in said:
        return "Make room on its disk."
    if "locked" in said:
        return _LOCKED
    return "See that its disk is local and works."


def _again(path: str, power_safe: bool, wait: float, keep_days: int) -> SQLiteLedger:
    return SQLiteLedger(path, power_safe=power_safe, wait=wait, keep_days=keep_days)


def _stamp(moment: datetime) -> int:
    """Microseconds since 1970 in UTC: exact, and in the order of time."""
    return (moment.astimezone(UTC) - _EPOCH) // timedelta(microseconds=1)


_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


def _keys(accounts: Sequence[Account]) -> dict[str, int | None]:
    # Two budgets may look at the same counter.
    return {account.key: None if account.until is None else _stamp(account.until) for account in accounts}


def _used(db: sqlite3.Connection, key: str) -> int:
    row = db.execute("SELECT spent + held FROM counters WHERE key = ?", (key,)).fetchone()
    return 0 if row is None else int(row[0])


def _spent(db: sqlite3.Connection, key: str) -> int:
    row = db.execute("SELECT spent FROM counters WHERE key = ?", (key,)).fetchone()
    return 0 if row is None else int(row[0])


def _release(db: sqlite3.Connection, id: str) -> None:
    for key, amount in db.execute("DELETE FROM holds WHERE id = ? RETURNING key, amount", (id,)).fetchall():
        db.execute("UPDATE counters SET held = held - ? WHERE key = ?", (amount, key))


def _expire(db: sqlite3.Connection, at: datetime) -> None:
    now = _stamp(at)
    over = db.execute("DELETE FROM holds WHERE expires <= ? RETURNING key, amount", (now,)).fetchall()
    for key, amount in over:
        db.execute("UPDATE counters SET held = held - ? WHERE key = ?", (amount, key))
