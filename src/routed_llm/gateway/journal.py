"""A ledger with a journal beside it: a call that was under way in a killed process is booked all the same.

A process notes each call in a file of its own before it sends it, and that it is over after that. The file is
locked for as long as the process lives, and the system lets go of the lock however it dies. Whoever starts
next finds files without an owner, and books what was under way there at what was reserved, as ``unknown``: it
was sent, and may have been billed. To book a call twice under one id books it once, so that it does not
matter at which step the process died.
"""

from __future__ import annotations

import json
import logging
import os
import tempfile
import threading
from collections.abc import Iterator
from datetime import datetime
from hashlib import blake2b
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any, Final

from routed_llm.budget import Account
from routed_llm.ledger import open_ledger
from routed_llm.ledger.base import Entry, Hold

if TYPE_CHECKING:
    from routed_llm.ledger import Ledger

__all__ = ["JournaledLedger", "open_journaled"]

_LOG: Final = logging.getLogger("routed_llm")
_LARGEST: Final = 4 * 1024 * 1024
"""Bytes of a file after which it is written again, with the calls that are under way alone."""


def open_journaled(where: str) -> Ledger:
    """Open a ledger by name, with a journal beside its file or, for one elsewhere, on this machine.

    Raises:
        PolicyError: as :func:`routed_llm.open_ledger` does.
        LedgerError: when the ledger cannot be used.
    """
    ledger = open_ledger(where)
    if os.name != "posix":  # without its locks nobody could tell a dead process from a living one
        return ledger
    path = getattr(ledger, "path", None)
    if path is not None:
        return JournaledLedger(ledger, Path(f"{path}.calls"))
    name = blake2b(where.encode(), digest_size=8).hexdigest()
    return JournaledLedger(ledger, Path(tempfile.gettempdir()) / f"routed-{os.getuid()}-{name}.calls")


class JournaledLedger:
    """A ledger that knows which calls are under way in which process. Safe to share between threads.

    Args:
        inner: keeps the book.
        folder: where the journals are; each process has a file there.
    """

    def __init__(self, inner: Ledger, folder: Path) -> None:
        self.blocks = inner.blocks
        self._inner: Any = inner
        self._folder = folder
        self._lock = threading.Lock()
        self._file: IO[bytes] | None = None
        self._path: Path | None = None
        self._size = 0
        self._open: dict[str, bytes] = {}

    def __getattr__(self, name: str) -> Any:
        # What it does not do itself: to reserve, to sum up, to say what a fleet shares.
        return getattr(self._inner, name)

    def note(self, hold: Hold, entry: Entry) -> None:
        """Note what is to be booked for a call that is about to be sent, should this process die."""
        accounts = [(account.key, account.limit, account.until) for account in hold.accounts]
        row = {"hold": [hold.amount, hold.expires], "accounts": accounts, "entry": entry.to_dict()}
        line = json.dumps(row, ensure_ascii=False, separators=(",", ":"), default=datetime.isoformat)
        with self._lock:
            self._open[hold.id] = line.encode() + b"\n"
            self._write(self._open[hold.id])

    def settle(self, hold: Hold, entry: Entry) -> tuple[int, ...]:
        """Charge an entry and release its hold."""
        spent: tuple[int, ...] = self._inner.settle(hold, entry)
        self._over(hold.id)
        return spent

    def cancel(self, hold: Hold) -> None:
        """Release what was held; nothing is charged."""
        self._over(hold.id)
        self._inner.cancel(hold)

    def recover(self) -> int:
        """Book the calls that were under way in processes that are gone, and return how many there were.

        Raises:
            LedgerError: when the ledger cannot be used; they are found again next time.
        """
        found = 0
        for path in sorted(self._folder.glob("*.jsonl")):
            with path.open("r+b") as left:
                if not _locked(left):
                    continue  # its owner lives
                for hold, entry in _under_way(left):
                    self._inner.settle(hold, entry)
                    found += 1
                path.unlink(missing_ok=True)
        if found:
            _LOG.warning("%d calls were under way in a process that died; they are booked as unknown", found)
        return found

    def close(self) -> None:
        """Close the journal and the ledger; what is still under way is left for whoever starts next."""
        with self._lock:
            if self._file is not None and self._path is not None:
                if not self._open:
                    self._path.unlink(missing_ok=True)
                self._file.close()
                self._file = self._path = None
        self._inner.close()

    def _over(self, name: str) -> None:
        with self._lock:
            if self._open.pop(name, None) is not None:
                self._write(b'{"over":"%b"}\n' % name.encode())

    def _write(self, line: bytes) -> None:
        """Append a line; a disk that is full takes nothing from the call."""
        try:
            if self._file is None or self._size > _LARGEST:
                self._begin()
            elif self._file.write(line) == len(line):
                self._size += len(line)
        except OSError as error:
            _LOG.warning("Calls under way cannot be noted in %s: %s", self._folder, error)

    def _begin(self) -> None:
        """Begin a file, with all calls that are under way."""
        self._folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        handle, name = tempfile.mkstemp(suffix=".new", dir=self._folder)
        before, old = self._file, self._path
        self._file, self._path = os.fdopen(handle, "wb", buffering=0), Path(name).with_suffix(".jsonl")
        _locked(self._file)
        lines = b"".join(self._open.values())
        self._file.write(lines)
        self._size = len(lines)
        Path(name).rename(self._path)  # nobody looks at it before: it would be taken for a dead one's
        if before is not None and old is not None:
            old.unlink(missing_ok=True)
            before.close()


def _locked(file: IO[bytes]) -> bool:
    """Lock a file, and say whether that could be done."""
    import fcntl  # not everywhere

    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        return False
    return True


def _under_way(lines: IO[bytes]) -> Iterator[tuple[Hold, Entry]]:
    """Read which calls were not over; a last line that was cut short is none."""
    found: dict[str, dict[str, Any]] = {}
    for line in lines:
        try:
            row = json.loads(line)
            if "over" in row:
                found.pop(row["over"], None)
            else:
                found[row["entry"]["id"]] = row
        except (ValueError, KeyError, TypeError):
            continue
    for row in found.values():
        entry, (amount, expires) = Entry.from_dict(row["entry"]), row["hold"]
        accounts = [
            Account(key=key, limit=limit, until=_moment(until)) for key, limit, until in row["accounts"]
        ]
        yield Hold(entry.id, amount, tuple(accounts), datetime.fromisoformat(expires)), entry


def _moment(text: str | None) -> datetime | None:
    return None if text is None else datetime.fromisoformat(text)
