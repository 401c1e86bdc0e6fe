"""Which ids retire, by the catalog's dates, and where a text names them."""

from __future__ import annotations

import re
import string
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date
from fnmatch import fnmatchcase
from functools import lru_cache

from routed_llm.catalog import Catalog
from routed_llm.catalog.ended import ended, held_to
from routed_llm.errors import CatalogError

__all__ = ["Ending", "Hit", "RetiringIds"]

_WORD = string.ascii_letters + string.digits + "_@:/.-"
_LONGEST = 256
"""Characters that are looked at on each side of an id: a whole file may be one word."""

_PROVIDERS = ("openai", "azure_openai", "openai-chat", "openai-responses")
_VENDOR = re.compile(r"[A-Za-z0-9_.\-]+/(?:[A-Za-z0-9_.\-]+/)*")
_JOINED = re.compile(rb"[\"'][\s+\\]*[rRuU]?[\"']")
"""Where a literal is written in pieces."""

_OPENAI = frozenset({"openai", "azure", "azure_openai", "text-completion-openai"})
"""What stands before a slash where a library calls OpenAI (or its Azure deployment) itself: the providers of
LiteLLM, which DSPy and CrewAI share, those of instructor and of LangGraph's templates."""


@dataclass(frozen=True, slots=True)
class Hit:
    """One place where a text names a retiring id.

    Attributes:
        start: the first character of the id itself.
        end: one past its last character.
        word: the whole identifier that the id stands in.
        model: the catalog id of the model.
        exact: whether the word is the id (or a fine-tune of it), not something that contains it.
        vendor: what stands before the id with a slash (``openrouter/openai/``), or empty.
        provider: a provider that stands before the id with a colon (``openai``), or empty.
    """

    start: int
    end: int
    word: str
    model: str
    exact: bool
    vendor: str = ""
    provider: str = ""

    @property
    def gateway(self) -> bool:
        """Whether what stands before the id is another company's name for it."""
        return bool(self.vendor) and self.vendor.split("/")[0].lower() not in _OPENAI


@dataclass(frozen=True, slots=True)
class Ending:
    """When a model stops answering.

    Attributes:
        id: the model's id, without a date.
        shutdown: the day from which it refuses.
        replacement: the model that OpenAI names in its place, or None.
        known: whether the catalog has the model, or one that stands for it, to hold routing to its quality.
    """

    id: str
    shutdown: date
    replacement: str | None
    known: bool


class RetiringIds:
    """The ids that stop answering, found in texts.

    Args:
        catalog: the models there are; the packaged ones when left out.
        before: only ids that stop before this day; every id with a shutdown date when left out.
    """

    def __init__(self, catalog: Catalog | None = None, before: date | None = None) -> None:
        self.catalog = Catalog.load() if catalog is None else catalog
        self._before = before
        self._ended = {name: end for name, end in _ended().items() if name not in self.catalog}
        names = {name for model in self.catalog for name in (model.id, *model.aliases, *model.snapshots)}
        names |= self._ended.keys()
        self._ends = {name for name in names if self.ending(name) is not None}
        # A word without a dash, such as o1, is a name of anything.
        longest = sorted((name for name in names if "-" in name), key=len, reverse=True)
        self._pattern = re.compile("|".join(map(re.escape, longest)), re.IGNORECASE)
        self._heads = sorted({name.lower().split("-")[0] + "-" for name in longest})
        stems = sorted((name for name in self._ends if "-" in name), key=len)
        shortest: list[str] = []
        for stem in stems:
            if not any(known in stem for known in shortest):
                shortest.append(stem)
        self._stems = [stem.lower().encode() for stem in shortest]

    def within(self, data: bytes) -> bool:
        """Say quickly whether a file may name one of the ids: plain strings are found fastest."""
        lowered = data.lower()
        return any(stem in lowered for stem in self._stems)

    def in_pieces(self, data: bytes) -> bool:
        """Say quickly whether a program may name one of the ids in pieces: ``"gpt-" "4o"``."""
        lowered = data.lower()
        if not any(head[:-1].encode() in lowered for head in self._heads):
            return False
        return self.within(_JOINED.sub(b"", data))

    def find(self, text: str) -> Iterator[Hit]:
        """Find every occurrence in a text, in order; ids that stay are passed over."""
        done = 0
        for place in self._places(text):
            match = self._pattern.match(text, place) if place >= done else None
            if match is not None:
                done = match.end()
                hit = self._hit(text, match.start(), match.end())
                if hit is not None:
                    yield hit

    def _places(self, text: str) -> list[int]:
        """Return where an id may begin. Finding plain strings is many times faster than any pattern."""
        lowered = text.lower()
        if len(lowered) != len(text):  # a letter that has two small ones
            return [match.start() for match in self._pattern.finditer(text)]
        places = []
        for head in self._heads:
            place = lowered.find(head)
            while place >= 0:
                places.append(place)
                place = lowered.find(head, place + 1)
        return sorted(places)

    def ending(self, name: str) -> Ending | None:
        """Say when the model behind an id stops, or None when it stays or there is none."""
        tuned = name.lower().startswith("ft:") and name.count(":")
        found = self._ended.get((name.split(":")[1] if tuned else name).lower())
        if found is None:
            try:
                model = self.catalog.get(name)
            except CatalogError:
                return None
            life = model.lifecycle
            if life.shutdown is None and model.base is not None and model.base in self.catalog:
                life = self.catalog.get(model.base).lifecycle
            if life.shutdown is None:
                return None
            found = Ending(model.base or model.id, life.shutdown, life.replacement, known=True)
        return found if self._before is None or found.shutdown < self._before else None

    def knows(self, name: str) -> bool:
        """Say whether the catalog has a model of this id, or one that a program written for it is held to."""
        return name in self.catalog or held_to(name) is not None

    def matches(self, pattern: str) -> bool:
        """Say whether any model that stops has an id of a form such as ``gpt-3.5-turbo*``."""
        return any(fnmatchcase(name, pattern) for name in self._ends)

    def _hit(self, text: str, start: int, end: int) -> Hit | None:
        word, before, after = _word(text, start, end)
        core = word[before : len(word) - after]
        name = core
        exact = before == 0 and after == 0
        vendor = provider = ""
        if not exact:
            head, tail = word[:before], word[len(word) - after :] if after else ""
            if head.lower().startswith("ft:") or "/ft:" in head.lower() or head.lower().endswith("ft:"):
                name, exact = "ft:" + core + tail, head.lower() == "ft:"
            elif not tail and _VENDOR.fullmatch(head):
                vendor = head
            elif head.lower().rstrip(":") in _PROVIDERS and head.endswith(":") and not tail:
                provider = head[:-1]
            elif not head and self.knows(word):
                name, exact = word, True  # a dated snapshot that the catalog does not list
        ending = self.ending(name) if (exact or name.startswith("ft:")) else self.ending(core)
        if ending is None:
            return None
        return Hit(start, end, word, ending.id, exact, vendor, provider)


def _word(text: str, start: int, end: int) -> tuple[str, int, int]:
    """Return the identifier around a span, and how much of it stands before and after the span."""
    before, after = text[max(start - _LONGEST, 0) : start], text[end : end + _LONGEST]
    head = before[len(before.rstrip(_WORD)) :]
    # An address's slashes and a shell's ${NAME:-default} end a word.
    for mark in ("//", ":/", ":-"):
        head = head[head.rfind(mark) + 2 if mark in head else 0 :]
    tail = after[: len(after) - len(after.lstrip(_WORD))]
    left, right = start - len(head.lstrip(".:/@-_")), end + len(tail.rstrip(".:/-@"))
    # An escaped line end ("\\ngpt-4o") is no part of the word.
    if left > 0 and text[left - 1] == "\\" and left < start and text[left] in "ntr":
        left += 1
    return text[left:right], start - left, right - end


@lru_cache(maxsize=1)
def _ended() -> dict[str, Ending]:
    return {
        name: Ending(_undated(name), one.shutdown, one.replacement, known=one.held_to is not None)
        for name, one in ended().items()
    }


def _undated(name: str) -> str:
    return re.sub(r"-(\d{4}-\d{2}-\d{2}|\d{4}(-preview)?)$", "", name)


@lru_cache(maxsize=4)
def shared(before: str | None) -> RetiringIds:
    """Return the ids of the packaged catalog; made once a process for each horizon."""
    return RetiringIds(before=None if before is None else date.fromisoformat(before))
