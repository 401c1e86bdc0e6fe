"""What is already known of texts, so that a conversation sent again is not counted again."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING, Final, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Hashable, Iterable

ENTRIES: Final = 65_536
"""Texts that a memo keeps at most; an entry takes 200 to 300 bytes, so some 20 MB."""


class Partial(NamedTuple):
    """How far a text is counted.

    Attributes:
        tokens: tokens of the first `done` characters.
        done: characters counted; always a place where the text may be cut.
        left: most tokens that the other characters can have.
    """

    tokens: int
    done: int
    left: int


class Memo:
    """A bounded table of counts by text, the oldest leaving first; safe to share between threads.

    The key is the text's hash and length, so no text is kept alive. Python's hash of a string is keyed
    per process and kept in the string, so free from the second look on; two texts of equal length are
    taken for one with a probability of 2**-64 a pair.
    """

    __slots__ = ("_entries", "_limit", "_lock")

    def __init__(self, limit: int = ENTRIES) -> None:
        self._entries: dict[Hashable, Partial] = {}
        self._limit = limit
        self._lock = threading.Lock()

    def __len__(self) -> int:
        return len(self._entries)

    def get(self, text: str) -> Partial | None:
        """Return how far a text is counted, or None if nothing is known of it."""
        return self._entries.get((hash(text), len(text)))

    def get_all(self, texts: Iterable[str]) -> list[Partial | None]:
        """Return how far each text is counted, as `get` does."""
        get = self._entries.get
        return [get((hash(text), len(text))) for text in texts]

    def put(self, text: str, known: Partial) -> None:
        """Keep what is known of a text, unless another thread has counted further."""
        key = (hash(text), len(text))
        with self._lock:
            old = self._entries.get(key)
            if old is not None and old.done > known.done:
                return
            if old is None and len(self._entries) >= self._limit:
                del self._entries[next(iter(self._entries))]
            self._entries[key] = known

    def clear(self) -> None:
        """Forget everything."""
        with self._lock:
            self._entries.clear()


shared: Final = Memo()
"""The memo of this process."""
