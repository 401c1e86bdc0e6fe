"""JobFile: all that is known of a job, in one SQLite file for its owner alone."""

from __future__ import annotations

import os
import sqlite3
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

from routed_llm.database import opened
from routed_llm.errors import PolicyError

__all__ = ["JobFile"]

_SCHEMA: Final = """
CREATE TABLE IF NOT EXISTS job (id TEXT NOT NULL, source TEXT NOT NULL, at TEXT NOT NULL);
CREATE TABLE IF NOT EXISTS lines (
    n INTEGER PRIMARY KEY,
    custom_id TEXT NOT NULL,
    body TEXT NOT NULL,
    within REAL,
    due TEXT,
    state TEXT NOT NULL,
    tier TEXT, model TEXT, effort TEXT, endpoint TEXT,
    expected INTEGER, usual INTEGER,
    plan TEXT,
    file INTEGER,
    attempts INTEGER NOT NULL DEFAULT 0,
    avoid TEXT NOT NULL DEFAULT '{}',
    answer TEXT, cost INTEGER, error TEXT
);
CREATE INDEX IF NOT EXISTS lines_state ON lines (state, file);
CREATE TABLE IF NOT EXISTS files (
    file INTEGER PRIMARY KEY,
    model TEXT NOT NULL, endpoint TEXT NOT NULL,
    state TEXT NOT NULL,
    attempt INTEGER NOT NULL DEFAULT 0,
    upload TEXT, batch TEXT
);
CREATE TABLE IF NOT EXISTS direct (
    name TEXT PRIMARY KEY,
    n INTEGER NOT NULL,
    model TEXT NOT NULL, endpoint TEXT NOT NULL,
    at TEXT NOT NULL,
    marked INTEGER NOT NULL,
    state TEXT NOT NULL DEFAULT 'sent',
    most INTEGER
);
"""
# A line is planned, sent, done or failed; a file is planned, uploading, sent or done. What is answered on the
# spot is noted before it is sent, and struck out once it is answered; what nobody knows of stays as unknown.


class JobFile:
    """A job's file, open for one process at a time, and for all of its threads.

    Args:
        path: where it is; it is made when it is not there.

    Raises:
        PolicyError: when it cannot be used, or another process uses it.
    """

    def __init__(self, path: str | Path) -> None:
        self.path = Path(path)
        # From Python 3.12 on threads that ask the same at once are given each other's rows.
        self._lock = threading.RLock()
        try:
            os.close(os.open(self.path, os.O_RDWR | os.O_CREAT | getattr(os, "O_NOFOLLOW", 0), 0o600))
            self._db = opened(self.path, wait=1)
            self._db.row_factory = sqlite3.Row
            # The lock is the operating system's: it ends with the process, however that ends.
            self._db.execute("PRAGMA locking_mode = EXCLUSIVE")
            self._db.execute("PRAGMA journal_mode = WAL")
            with self.change() as db:
                for statement in _SCHEMA.split(";"):
                    db.execute(statement)
        except (OSError, sqlite3.Error) as error:
            busy = "locked" in str(error)
            said = "another process works on this job" if busy else str(error)
            advice = "Wait for it to end." if busy else "Name a job's file, on a local disk."
            raise PolicyError(f"{self.path}: {said}. {advice}", key="job", path=str(path)) from error

    @contextmanager
    def change(self) -> Iterator[sqlite3.Connection]:
        """Change something, as a whole or not at all.

        Raises:
            PolicyError: when it cannot be written, as on a full disk.
        """
        try:
            with self._lock:
                self._db.execute("BEGIN IMMEDIATE")
                try:
                    yield self._db
                    self._db.execute("COMMIT")
                except BaseException:
                    if self._db.in_transaction:  # a full disk has ended it already
                        self._db.execute("ROLLBACK")
                    raise
        except sqlite3.Error as error:
            raise PolicyError(
                f"{self.path}: {error}. Make room for it, and run the command again; what it holds is kept.",
                key="job",
                path=str(self.path),
            ) from error

    def rows(self, query: str, *values: Any) -> list[sqlite3.Row]:
        """Return what a query finds."""
        with self._lock:
            return self._db.execute(query, values).fetchall()

    def value(self, query: str, *values: Any) -> Any:
        """Return the first value that a query finds, or None."""
        with self._lock:
            row = self._db.execute(query, values).fetchone()
        return None if row is None else row[0]

    def close(self) -> None:
        """Let go of the file."""
        self._db.close()
