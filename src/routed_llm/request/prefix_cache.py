"""What long requests began with, and which models' prompt caches may still hold it.

A conversation says itself what was sent before; instructions that many calls share, or a document that is
asked several questions, do not. So the texts of the latest long requests are kept, and a new one is compared
with those that begin alike: its beginning is expected in the cache of the model that read it.

The table holds the caller's own strings, until others displace them.
"""

from __future__ import annotations

import threading
import weakref
from collections.abc import Callable, Sequence
from functools import partial
from itertools import accumulate
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from routed_llm.catalog.model import CacheTerms
    from routed_llm.facts import RequestFacts
    from routed_llm.request.builder import Request
    from routed_llm.request.conversations import Conversation

__all__ = [
    "CHARACTERS",
    "REQUESTS",
    "Decided",
    "DecidedRequests",
    "Kept",
    "PromptPrefixCache",
    "both",
]

REQUESTS: Final = 64
"""Requests kept at most, the oldest leaving first."""

CHARACTERS: Final = 8_000_000
"""Characters of all kept requests together, at most."""

DECIDED: Final = 512
"""Requests at most of which it is known what was decided, the oldest leaving first."""

PREFIXES: Final = 16_384
"""Beginnings that are known again by their outlines, long after their texts are gone."""

_ENDS: Final = (0, 1, 2, 3, 5, 7, 11, 15, 23, 31, 47, 63, 95, 127)
"""Places of the texts at whose ends a beginning is known."""

_EDGE: Final = 48
"""Characters at either end of a text that its outline is made of, with its length."""

_MARK: Final = 256
_ALIKE: Final = 4
"""Most requests that are kept of those with the same first characters, and so compared."""


def both(one: Callable[[int], object] | None, other: Callable[[int], object]) -> Callable[[int], object]:
    """Return a listener that passes on to both."""
    return other if one is None else partial(_notify, one, other)


def _notify(one: Callable[[int], object], other: Callable[[int], object], reported: int) -> None:
    one(reported)
    other(reported)


class Kept:
    """A request that was sent: its texts, and what its model's cache holds of it.

    Attributes:
        texts: in the order in which they were sent.
        size: characters of all of them.
        model: who read it.
        terms: the model's terms of caching.
        until: when the cache lets go of it, in seconds of a clock that only goes forward.
        tokens: input tokens that the provider reported; 0 before it did.
        is_written: whether it is in the cache; False where it was sent past it.
        again: share of it that other requests began with while a cache would still hold it.
    """

    __slots__ = ("__weakref__", "again", "is_written", "model", "size", "terms", "texts", "tokens", "until")

    def __init__(self, texts: Sequence[str], model: str, terms: CacheTerms) -> None:
        self.texts = texts
        self.size = sum(map(len, texts))
        self.model = model
        self.terms = terms
        self.until = 0.0
        self.tokens = 0
        self.is_written = True
        self.again = 0.0

    def listen(self) -> Callable[[int], None]:
        """Return what takes the input tokens that the provider reports; it keeps no text alive."""
        return partial(_report, weakref.ref(self))

    def shared(self, texts: Sequence[str]) -> int:
        """Say how many tokens of other texts' beginning stand in the cache."""
        if not self.tokens:
            return 0
        tokens = self.tokens * _alike(self.texts, texts) // max(self.size, 1)
        tokens = tokens // self.terms.step * self.terms.step
        return tokens if tokens >= self.terms.min_prefix else 0


class PromptPrefixCache:
    """A bounded table of long requests; safe to share between threads."""

    def __init__(self, requests: int = REQUESTS, characters: int = CHARACTERS) -> None:
        self._most = requests
        self._room = characters
        self._held = 0
        # Tuples are replaced, never changed, so that reading needs no lock.
        self._by_mark: dict[tuple[str, str], tuple[Kept, ...]] = {}
        self._order: dict[Kept, tuple[str, str]] = {}
        self._prefixes: dict[int, float] = {}
        self._lock = threading.Lock()

    def warm(self, texts: Sequence[str], now: float, credential: str = "") -> tuple[dict[str, int], bool]:
        """Return the tokens of a request that each model's cache may hold; models without are left out.

        What was sent with another credential may stand in another organization's cache, and is not looked at.

        Returns:
            The tokens by model, and whether the request begins like one that was sent past a cache.
        """
        found: dict[str, int] = {}
        again = False
        for kept in self._by_mark.get((credential, texts[0][:_MARK]), ()):
            if now <= kept.until:
                tokens = kept.shared(texts)
                if not kept.is_written:
                    again = again or tokens > 0
                elif tokens > found.get(kept.model, 0):
                    found[kept.model] = tokens
        return found, again

    def keep(
        self,
        texts: Sequence[str],
        model: str,
        terms: CacheTerms,
        now: float,
        credential: str = "",
        *,
        is_written: bool = True,
    ) -> Kept:
        """Keep a request that is about to be sent, in place of an equal one."""
        mark = (credential, texts[0][:_MARK])
        again = self._again(texts, now, terms.ttl, credential)
        for kept in self._by_mark.get(mark, ()):
            if kept.model == model and kept.texts == texts:
                break
        else:
            kept = Kept(texts, model, terms)
            if kept.size <= self._room:
                self._add(mark, kept)
        kept.until, kept.is_written, kept.again = now + terms.ttl, is_written, again
        return kept

    def _again(self, texts: Sequence[str], now: float, ttl: float, credential: str) -> float:
        """Say which share of a request others began with recently, whether or not a cache was written."""
        known, outline, seen = self._prefixes, hash(credential), 0
        sizes = [*accumulate(map(len, texts))]
        for end in _ENDS:
            if end >= len(texts):
                break
            text = texts[end]
            outline = hash((outline, sizes[end], text[:_EDGE], text[-_EDGE:]))
            if known.pop(outline, 0.0) > now:
                seen = sizes[end]
            known[outline] = now + ttl
        while len(known) > PREFIXES:
            # Another thread may have taken it out just now.
            known.pop(next(iter(known), 0), None)
        return seen / (sizes[-1] or 1)

    def _add(self, mark: tuple[str, str], kept: Kept) -> None:
        with self._lock:
            alike = self._by_mark.get(mark, ())
            self._by_mark[mark] = (*alike, kept)
            self._order[kept] = mark
            self._held += kept.size
            if len(alike) >= _ALIKE:
                self._drop(alike[0])
            while len(self._order) > self._most or self._held > self._room:
                self._drop(next(iter(self._order)))

    def _drop(self, kept: Kept) -> None:
        mark = self._order.pop(kept)
        self._held -= kept.size
        left = tuple([one for one in self._by_mark[mark] if one is not kept])
        if left:
            self._by_mark[mark] = left
        else:
            del self._by_mark[mark]


class Decided:
    """A request that was decided for: what is needed of it when it is sent.

    Attributes:
        facts: refers to those of its Decision.
        credential: whose key it is sent with.
        texts: of a long request what it says; else nothing.
        conversation: what is kept of its conversation, or None.
        size: characters that it keeps alive.
        kept: the request as it was sent, once it was.
        again: share of it that others began with when it was first sent; None before.
    """

    __slots__ = ("again", "conversation", "credential", "facts", "kept", "size", "texts")

    def __init__(
        self,
        facts: weakref.ref[RequestFacts],
        credential: str,
        texts: Sequence[str],
        conversation: weakref.ref[Conversation] | None,
        size: int,
    ) -> None:
        self.facts = facts
        self.credential = credential
        self.texts = texts
        self.conversation = conversation
        self.size = size
        self.kept: weakref.ref[Kept] | None = None
        self.again: float | None = None


class DecidedRequests:
    """The latest requests that were decided for, while their Decisions live; safe to share between threads.

    A Decision keeps no text alive, so the request that it was made for is found again here when it is sent.
    """

    def __init__(self, requests: int = DECIDED, characters: int = CHARACTERS) -> None:
        self._most = requests
        self._room = characters
        self._held = 0
        self._requests: dict[int, Decided] = {}
        # A Decision may be collected at any moment, also while this thread is in here.
        self._lock = threading.RLock()

    def add(self, facts: RequestFacts, request: Request, credential: str, *, is_long: bool) -> None:
        """Note a request; ``facts`` are those of its Decision, ``is_long`` whether its texts are wanted."""
        texts, conversation = request.texts if is_long else (), request.conversation
        earlier = None if conversation is None else weakref.ref(conversation)
        key, size = id(facts), 0
        if is_long:  # a conversation is about as large as it was found to be when it was read
            size = sum(map(len, texts)) if conversation is None else conversation.size
        found = Decided(weakref.ref(facts, partial(self._drop, key)), credential, texts, earlier, size)
        with self._lock:
            if key in self._requests:
                self._drop(key)
            self._requests[key] = found
            self._held += size
            while self._held > self._room or len(self._requests) > self._most:
                self._drop(next(iter(self._requests)))

    def find(self, facts: RequestFacts) -> Decided | None:
        """Return the request of a Decision's facts, or None."""
        found = self._requests.get(id(facts))
        return None if found is None or found.facts() is not facts else found

    def _drop(self, key: int, _: object = None) -> None:
        with self._lock:
            found = self._requests.pop(key, None)
            if found is not None:
                self._held -= found.size


def _report(ref: weakref.ref[Kept], reported: int) -> None:
    kept = ref()
    if kept is not None:
        kept.tokens = reported


def _alike(one: Sequence[str], other: Sequence[str]) -> int:
    """Count the characters that two requests begin with in common."""
    same = _common(one, other)
    total = sum(map(len, one[:same]))
    if same < len(one) and same < len(other):
        total += _common(one[same], other[same])
    return total


def _common(one: Sequence[str], other: Sequence[str]) -> int:
    """Count the items, or characters, that two sequences begin with in common, at the speed of comparing."""
    low, high = 0, min(len(one), len(other))
    while low < high:
        middle = (low + high + 1) // 2
        if one[low:middle] == other[low:middle]:
            low = middle
        else:
            high = middle - 1
    return low
