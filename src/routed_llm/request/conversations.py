"""What was read of conversations, so that one that is sent again is not read again from its beginning.

A conversation is recognised by comparing its messages with copies of them, all the way down: that a list or
a message is the same object proves nothing, since its content may have been changed in place. The strings
of a message sent again are the same objects or equal ones, so the comparison costs some 20 ns a message.

The copies hold the caller's own strings. So these live on until their conversation is displaced: see
`CONVERSATIONS` and `CHARACTERS`, and `ConversationCache.clear`, which forgets them all.
"""

from __future__ import annotations

import threading
import weakref
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import TYPE_CHECKING, Any, Final

from routed_llm.facts import TEXT, TokenCount

if TYPE_CHECKING:
    from routed_llm.facts import RequestFacts

__all__ = [
    "CHARACTERS",
    "CONVERSATIONS",
    "OFF",
    "SHORTEST",
    "Conversation",
    "ConversationCache",
    "copy_of",
    "shared",
    "size_of",
]

SHORTEST: Final = 4
"""Fewest messages of a conversation that is kept: shorter ones are read as quickly as they are recognised."""

CONVERSATIONS: Final = 256
"""Conversations kept at most, the oldest leaving first."""

CHARACTERS: Final = 16_000_000
"""Characters of all kept conversations together, at most; a message counts as 256 more than it has."""

MESSAGE: Final = 256

OFF: Final = 64
"""Tokens, besides a fiftieth of the count, by which a report may differ from our own count to be taken."""

_MARKED: Final = 3
_EDGE: Final = 24


class Conversation:
    """The leading messages of a conversation, and what they came to.

    Attributes:
        seen: copies of the messages as the caller gave them.
        texts: every text to be counted, in order.
        state: what the reader knew after them, and goes on from.
        tokens: bounds of the texts' tokens together, or their count. Replaced, never changed, as more
            becomes known: by a count, or by what the provider reported after a call.
        size: characters that it keeps alive, its messages' own overhead included.
    """

    __slots__ = ("__weakref__", "seen", "size", "state", "texts", "tokens")

    def __init__(
        self,
        seen: list[Any],
        texts: tuple[str, ...],
        *,
        state: Mapping[str, Any],
        tokens: TokenCount,
        size: int,
    ) -> None:
        self.seen = seen
        self.texts = texts
        self.state = state
        self.tokens = tokens
        self.size = size

    def listen(self, facts: RequestFacts, frames: int = 0) -> Callable[[int], object] | None:
        """Return what takes the input tokens that the provider reports for a request of this conversation.

        A report is the truth for what was sent, whatever overhead no local rule knows, so the next turn is
        counted from it. It is taken where nothing but text was sent: instead of an exact count that it is
        near (another tokenizer, stored state or the results of a hosted tool may be in it), and within the
        bounds, which stay, as the likely amount where nothing was counted. The conversation is not kept
        alive for it. None where no report would be taken.

        Args:
            facts: the request.
            frames: tokens that the model which is sent it counts beside those of the facts.
        """
        counted = facts.tokens
        if facts.inputs != TEXT or facts.locked_to or not facts.bounded:
            return None
        if counted.exact and self.tokens.exact:
            return partial(_report, weakref.ref(self), self.tokens.low, counted.low + frames)
        # What else was sent with the conversation, and is in the report, too.
        beside = counted.likely - self.tokens.likely + frames
        return partial(_estimate, weakref.ref(self), beside)


class ConversationCache:
    """A bounded table of conversations; safe to share between threads."""

    def __init__(self, conversations: int = CONVERSATIONS, characters: int = CHARACTERS) -> None:
        self._conversations: dict[Any, Conversation] = {}
        self._most = conversations
        self._room = characters
        self._held = 0
        self._lock = threading.Lock()

    def __len__(self) -> int:
        return len(self._conversations)

    @property
    def characters(self) -> int:
        """Characters of the texts that are kept alive."""
        return self._held

    def find(self, messages: Sequence[Any]) -> Conversation | None:
        """Return what is known of the longest leading part of a conversation, or None."""
        conversation = self._conversations.get(_mark_of(messages))
        if conversation is None:
            return None
        length = len(conversation.seen)
        if length > len(messages):
            return None
        try:
            same = (messages if length == len(messages) else messages[:length]) == conversation.seen
        except Exception:  # noqa: BLE001 - what refuses to be compared is read, and refused by name there
            return None
        return conversation if same else None

    def keep(self, conversation: Conversation) -> None:
        """Keep a conversation in the place of its shorter self; one that is too large is not kept."""
        if conversation.size > self._room:
            return
        mark = _mark_of(conversation.seen)
        with self._lock:
            self._drop(mark)
            self._conversations[mark] = conversation
            self._held += conversation.size
            while self._held > self._room or len(self._conversations) > self._most:
                self._drop(next(iter(self._conversations)))

    def clear(self) -> None:
        """Forget every conversation."""
        with self._lock:
            self._conversations.clear()
            self._held = 0

    def _drop(self, mark: Any) -> None:
        old = self._conversations.pop(mark, None)
        if old is not None:
            self._held -= old.size


shared: Final = ConversationCache()
"""The conversations of this process."""


class _Exact:
    """A number or a truth value that is equal to nothing of another type, as JSON distinguishes them."""

    __slots__ = ("_kind", "_value")

    def __init__(self, value: Any) -> None:
        self._value = value
        self._kind = type(value)

    def __eq__(self, other: object) -> bool:
        return type(other) is self._kind and bool(other == self._value)

    __hash__ = None  # type: ignore[assignment]


def copy_of(value: Any) -> Any:
    """Return a copy that stays equal to a value for as long as nothing in the value changes.

    Raises:
        TypeError: for a value that is not plain data, whose equality may mean anything.
    """
    kind = type(value)
    if kind is str or value is None:
        return value
    if kind is dict:
        return {copy_of(key): copy_of(item) for key, item in value.items()}
    if kind is list:
        return [copy_of(item) for item in value]
    if kind is tuple:
        return tuple([copy_of(item) for item in value])
    if kind in (int, float, bool):
        return _Exact(value)
    raise TypeError(f"{kind.__name__} is no plain data")


def size_of(messages: Sequence[Any]) -> int:
    """Return the characters that copies of messages keep alive, every string in them and their overhead."""
    return sum(map(_characters, messages)) + MESSAGE * len(messages)


def _characters(value: Any) -> int:
    kind = type(value)
    if kind is str:
        return len(value)
    if kind is dict:
        return sum(map(_characters, value)) + sum(map(_characters, value.values())) + MESSAGE // 4
    if kind is list or kind is tuple:
        return sum(map(_characters, value)) + MESSAGE // 4
    return MESSAGE // 8


def _report(conversation: weakref.ref[Conversation], texts: int, whole: int, reported: int) -> None:
    kept = conversation()
    off = reported - whole
    if kept is not None and abs(off) <= OFF + whole // 50 and texts + off > 0:
        kept.tokens = TokenCount.of(texts + off)


def _estimate(conversation: weakref.ref[Conversation], beside: int, reported: int) -> None:
    kept = conversation()
    if kept is not None and not kept.tokens.exact:
        low, high = kept.tokens.low, kept.tokens.high
        kept.tokens = TokenCount(low, min(max(reported - beside, low), high), high)


def _mark_of(messages: Sequence[Any]) -> tuple[Any, ...]:
    """Return what distinguishes most conversations, and stays the same while one grows."""
    return tuple([_edges(message) for message in messages[:_MARKED]])


def _edges(message: Any) -> Any:
    kind = type(message)
    content = message.get("content") if kind is dict else message[1] if kind is tuple else None
    return (len(content), content[:_EDGE], content[-_EDGE:]) if type(content) is str else None
