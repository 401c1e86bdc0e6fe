"""Cutting an answer where a model that takes stop sequences would have ended it. Pure."""

from __future__ import annotations

from collections.abc import Iterable

from routed_llm.errors import RequestError

__all__ = ["StopCutter"]


class StopCutter:
    """Cuts one text, whole or as it arrives, at the first occurrence of any stop sequence.

    Of two that occur, the one that begins earlier counts; where the text was parted makes no difference.
    No character is kept waiting unless a stop sequence may have begun at or before it.

    Args:
        stops: what ``stop`` was set to: one sequence or several. Empty ones never occur.

    Raises:
        RequestError: when it is neither.

    Example:
        >>> cutter = StopCutter(["END"])
        >>> [cutter.feed(part) for part in ("Lima. E", "N", "D. Quito.")], cutter.found
        (['Lima. ', '', ''], True)
    """

    __slots__ = ("_held", "_stops", "found")

    def __init__(self, stops: str | Iterable[str]) -> None:
        self._stops = _sequences(stops)
        self._held = ""
        self.found = False
        """Whether a stop sequence has occurred: what is fed later is left out."""

    def feed(self, text: str) -> str:
        """Take the next part of the text and return what is certain to come before any stop sequence."""
        if self.found:
            return ""
        text = self._held + text
        begun = self._begun(text)
        at = self._first(text)
        # A sequence that has begun earlier and may yet be completed would be the first one.
        if at is not None and at < begun:
            self.found, self._held = True, ""
            return text[:at]
        self._held = text[begun:]
        return text[:begun]

    def finish(self) -> str:
        """Return what was kept waiting, now that the text is complete."""
        held, self._held = self._held, ""
        at = None if self.found else self._first(held)
        if at is None:
            return held
        self.found = True
        return held[:at]

    def cut(self, text: str) -> str:
        """Return the next and last part of the text as far as it stays."""
        return self.feed(text) + self.finish()

    def _first(self, text: str) -> int | None:
        found = [at for stop in self._stops if (at := text.find(stop)) >= 0]
        return min(found, default=None)

    def _begun(self, text: str) -> int:
        """Return where the longest beginning of a stop sequence at the text's end starts."""
        return len(text) - max((_overlap(text, stop) for stop in self._stops), default=0)


def _overlap(text: str, stop: str) -> int:
    longest = min(len(text), len(stop) - 1)
    return next((size for size in range(longest, 0, -1) if text.endswith(stop[:size])), 0)


def _sequences(stops: str | Iterable[str]) -> tuple[str, ...]:
    given = (stops,) if isinstance(stops, str) else tuple(stops) if isinstance(stops, Iterable) else (stops,)
    for stop in given:
        if not isinstance(stop, str):
            raise RequestError(
                f"stop holds a {type(stop).__name__}. Give a string or a list of strings.", where="stop"
            )
    return tuple(stop for stop in given if stop)
