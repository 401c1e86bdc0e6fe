"""The provider's own counts of conversation prefixes, which are the truth for what is sent again.

After a call, `usage` reports the tokens of everything that was sent, with images, tools and overheads that
no local rule knows. The next call of the conversation begins with the same messages, so only what came
after them has to be counted.
"""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Hashable, Iterable, Sequence

ENTRIES: Final = 16_384
"""Prefixes kept at most."""


def prefix_keys(seed: Hashable, messages: Iterable[Hashable]) -> list[int]:
    """Return one key for each prefix of a conversation: of its first message, its first two, and so on.

    Args:
        seed: what else the count depends on: the model (images are counted per model), the tools, the
            output schema.
        messages: for each message, everything that is sent of it, such as (role, name, text, image URLs).

    Each key depends on all that came before it, so equal keys mean equal prefixes, but for a chance of
    some 2**-61 a pair. Keys hold within this process only.
    """
    keys = []
    key = hash((seed,))
    for message in messages:
        key = hash((key, message))
        keys.append(key)
    return keys


class Prefixes:
    """A bounded table of reported counts by prefix, the oldest leaving first; shared between threads."""

    __slots__ = ("_entries", "_limit", "_lock")

    def __init__(self, limit: int = ENTRIES) -> None:
        self._entries: dict[int, int] = {}
        self._limit = limit
        self._lock = threading.Lock()

    def __len__(self) -> int:
        return len(self._entries)

    def remember(self, key: int, tokens: int) -> None:
        """Keep the input tokens that the provider reported for a prefix.

        Args:
            key: of the whole list of messages that was sent (the last of `prefix_keys`).
            tokens: `usage.prompt_tokens` or `usage.input_tokens`, with tools and reply priming.

        Raises:
            ValueError: The count is not positive, so it is no report of a call.
        """
        if tokens <= 0:
            raise ValueError(f"A provider cannot have reported {tokens} tokens. Pass the usage of a call.")
        with self._lock:
            if key not in self._entries and len(self._entries) >= self._limit:
                del self._entries[next(iter(self._entries))]
            self._entries[key] = tokens

    def known_prefix(self, keys: Sequence[int]) -> tuple[int, int]:
        """Return how many messages the longest known prefix has, and its tokens; (0, 0) if none is known.

        Its tokens hold the reply priming and the tools already, so add only the later messages.

        Args:
            keys: of every prefix of the conversation, as `prefix_keys` gives them.
        """
        entries = self._entries
        for length in range(len(keys), 0, -1):
            tokens = entries.get(keys[length - 1])
            if tokens is not None:
                return length, tokens
        return 0, 0

    def clear(self) -> None:
        """Forget everything."""
        with self._lock:
            self._entries.clear()


shared: Final = Prefixes()
"""The prefixes of this process."""
