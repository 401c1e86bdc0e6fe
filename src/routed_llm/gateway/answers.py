"""Who answered which turn, for all workers of a gateway: a later turn may come to another one."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Hashable, Sequence
from contextlib import suppress
from dataclasses import astuple
from pathlib import Path
from threading import Lock
from typing import Any, Final

from typing_extensions import override

from routed_llm.calls.answers import AnswerMemory, Known, Made
from routed_llm.database import Database
from routed_llm.facts import Previous

__all__ = ["SharedAnswers"]

_KEPT: Final = 65_536
_SWEEP_EVERY: Final = 1024
_TABLE: Final = "CREATE TABLE IF NOT EXISTS answers (at INTEGER PRIMARY KEY, key TEXT UNIQUE, who TEXT)"


class SharedAnswers(AnswerMemory):
    """A memory that processes of one machine share, by a file that lives as long as they do.

    What cannot be read or written is forgotten: that costs a cached prefix and no answer.

    Args:
        path: the file.
    """

    def __init__(self, path: Path) -> None:
        super().__init__()
        self._path = path
        self._db: sqlite3.Connection | None = None
        self._db_lock = Lock()
        self._puts = 0

    @override
    def _put(self, keys: Sequence[Hashable], known: Known) -> None:
        super()._put(keys, known)
        who = json.dumps(astuple(known) if isinstance(known, Previous) else known)
        with self._db_lock, suppress(sqlite3.Error):
            self._puts += 1
            with self._opened() as db:
                rows = [(_text(key), who) for key in keys]
                db.executemany("INSERT OR REPLACE INTO answers (key, who) VALUES (?, ?)", rows)
                if self._puts % _SWEEP_EVERY == 0:
                    db.execute("DELETE FROM answers WHERE at <= (SELECT MAX(at) FROM answers) - ?", (_KEPT,))

    @override
    def _may_know(self) -> bool:
        return True

    @override
    def _get(self, key: Hashable) -> Known | None:
        found = super()._get(key)
        if found is not None:
            return found
        with self._db_lock, suppress(sqlite3.Error):
            row = self._opened().execute("SELECT who FROM answers WHERE key = ?", (_text(key),)).fetchone()
            if row is None:
                return None
            who = json.loads(row[0])
            made = len(who) == len(Made._fields)
            return Made(*who) if made else Previous(**dict(zip(_NAMES, who, strict=True)))
        return None

    def _opened(self) -> sqlite3.Connection:
        if self._db is None:
            db = sqlite3.connect(self._path, timeout=0.2, check_same_thread=False, factory=Database)
            for line in ("PRAGMA journal_mode = WAL", "PRAGMA synchronous = OFF", _TABLE):
                db.execute(line)
            self._db = db
        return self._db

    def close(self) -> None:
        """Close the file."""
        with self._db_lock:
            if self._db is not None:
                self._db.close()
                self._db = None


_NAMES: Final = tuple(Previous.__dataclass_fields__)


def _text(key: Any) -> str:
    return key.hex() if isinstance(key, bytes) else json.dumps(key)
