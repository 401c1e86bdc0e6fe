"""SQLite files that a process keeps open."""

from __future__ import annotations

import os
import sqlite3
from contextlib import suppress

__all__ = ["Database", "opened"]


class Database(sqlite3.Connection):
    """A connection that closes itself once nobody uses it; from Python 3.13 on SQLite's own warns of that."""

    def __del__(self) -> None:
        with suppress(sqlite3.Error):  # that it never was opened
            self.close()


def opened(path: str | os.PathLike[str], *, wait: float) -> Database:
    """Open a file for all threads; each statement is a transaction unless one is begun.

    Args:
        path: the file.
        wait: seconds for which another process's lock is waited for.

    Raises:
        sqlite3.Error: when it cannot be opened.
    """
    return sqlite3.connect(
        path, timeout=wait, isolation_level=None, check_same_thread=False, factory=Database
    )
