"""Ending an answer where a model that takes the caller's stop sequences and cap would have ended. Pure."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Protocol

from routed_llm.errors import RequestError

if TYPE_CHECKING:
    from routed_llm.usage import Usage

__all__ = ["AnswerCutter", "ContentCutter", "StopCutter"]


class Encoding(Protocol):
    """What counts tokens: a ``tiktoken.Encoding`` has it."""

    def encode_ordinary(self, text: str) -> list[int]:
        """Return the tokens of a text."""
        ...

    def decode_bytes(self, tokens: Sequence[int]) -> bytes:
        """Return the text of tokens."""
        ...


class AnswerCutter:
    """Ends one text, whole or as it arrives, at the first stop sequence or after so many tokens.

    Of two stop sequences that occur, the one that begins earlier counts; where the text was parted makes no
    difference. No character is kept waiting unless a stop sequence may have begun at or before it.

    Args:
        stops: what ``stop`` was set to: one sequence or several. Empty ones never occur.
        most: tokens that the text may have, or None for any number.
        encoding: returns what counts them; asked once a text has more bytes than ``most``.

    Raises:
        RequestError: when ``stops`` is neither.

    Example:
        >>> cutter = AnswerCutter(["END"])
        >>> [cutter.feed(part) for part in ("Lima. E", "N", "D. Quito.")], cutter.found
        (['Lima. ', '', ''], True)
    """

    __slots__ = ("_encoding", "_held", "_left", "_text", "most", "stops", "why")

    def __init__(
        self,
        stops: str | Iterable[str] = (),
        *,
        most: int | None = None,
        encoding: Callable[[], Encoding] | None = None,
    ) -> None:
        self.stops = _sequences(stops)
        self._held = ""
        self._text = ""
        self.most = most
        self._left = 0 if most is None else most  # tokens that are certainly left
        self._encoding = encoding
        self.why: str | None = None
        """``stop`` or ``length`` once the text has ended here: what is fed later is left out."""

    @property
    def found(self) -> bool:
        """Whether the text has ended here."""
        return self.why is not None

    def is_within(self, usage: Usage | None) -> bool:
        """Say whether the provider has counted no more than there may be: there is nothing to cut."""
        if usage is None or self.most is None or self.stops:
            return False
        return 0 < usage.output_tokens - usage.reasoning_tokens <= self.most

    def following(self) -> AnswerCutter:
        """Return the cutter of the answer's next text: tokens add up, and stop sequences start again."""
        most = None if self.most is None else self.most - self._used()
        return AnswerCutter(self.stops, most=most, encoding=self._encoding)

    def feed(self, text: str) -> str:
        """Take the next part of the text and return what is certain to stay."""
        if self.found:
            return ""
        text = self._held + text
        begun = self._begun(text)
        at = self._first(text)
        # A sequence that has begun earlier and may yet be completed would be the first one.
        if at is not None and at < begun:
            self.why, self._held = "stop", ""
            return self._within(text[:at])
        self._held = text[begun:]
        return self._within(text[:begun])

    def finish(self) -> str:
        """Return what was kept waiting, now that the text is complete."""
        held, self._held = self._held, ""
        at = None if self.found else self._first(held)
        if at is None:
            return self._within(held)
        self.why = "stop"
        return self._within(held[:at])

    def cut(self, text: str) -> str:
        """Return the next and last part of the text as far as it stays."""
        return self.feed(text) + self.finish()

    def _used(self) -> int:
        encoding = None if self._encoding is None or not self._text else self._encoding()
        return 0 if encoding is None else len(encoding.encode_ordinary(self._text))

    def _within(self, text: str) -> str:
        """Return what of the next part is within the tokens that there may be."""
        if self.most is None or self._encoding is None or not text:
            return text
        before = len(self._text)
        self._text += text
        self._left -= len(text.encode("utf-8", "surrogatepass"))  # no token is less than a byte
        if self._left >= 0:
            return text
        encoding = self._encoding()
        tokens = encoding.encode_ordinary(self._text)
        self._left = self.most - len(tokens)
        if self._left >= 0:
            return text
        self.why = "length"
        kept = encoding.decode_bytes(tokens[: self.most]).decode("utf-8", "ignore")
        return kept[before:]

    def _first(self, text: str) -> int | None:
        found = [at for stop in self.stops if (at := text.find(stop)) >= 0]
        return min(found, default=None)

    def _begun(self, text: str) -> int:
        """Return where the longest beginning of a stop sequence at the text's end starts."""
        return len(text) - max((_overlap(text, stop) for stop in self.stops), default=0)


class ContentCutter:
    """Ends one answer whose content is a text, or a list of blocks with texts among them.

    Of a stream, text waits only while a stop sequence may have begun in it.

    Args:
        ends: where to end.
        whole: whether the answer comes at once, so that each of its blocks is a text of its own.
    """

    def __init__(self, ends: AnswerCutter, *, whole: bool = False) -> None:
        self._cutter = ends.following()
        self._whole = whole
        self._block: dict[str, Any] | None = None  # the text block that is being written, without its text

    @property
    def why(self) -> str | None:
        """``stop`` or ``length`` once the answer has come to where it has to end: no more of it is needed."""
        return self._cutter.why

    def feed(self, content: Any, *, ends: bool = False) -> Any:
        """Take the next content and return what of it is certain to stay.

        Args:
            content: a text or blocks.
            ends: whether the answer ends with it.
        """
        if isinstance(content, str):
            return self._fed(content, ends=ends or self._whole)
        passed: list[Any] = []
        for block in content:
            text, known = _text(block), {}
            if isinstance(block, Mapping):
                known = {key: block[key] for key in ("type", "index") if key in block}
            if self._block is not None and (self._whole or known != self._block):
                passed.extend(self._end_block())
            if not self.why and text is not None:
                self._block = known
                left = self._fed(text, ends=self._whole)
                empty = isinstance(block, Mapping) and "text" not in block
                passed.append(block if empty else left if isinstance(block, str) else {**block, "text": left})
            elif not self.why:
                passed.append(block)
            if self.why:
                return passed
        return [*passed, *self._end_block()] if ends else passed

    def finish(self) -> Any:
        """Return the content that was kept waiting, now that the answer is complete, or None."""
        rest = self._cutter.finish()
        if not rest and not self.why:
            return None
        return rest if self._block is None else [{**self._block, "text": rest}]

    def _fed(self, text: str, *, ends: bool) -> str:
        passed = self._cutter.feed(text)
        return passed + self._cutter.finish() if ends and not self.why else passed

    def _end_block(self) -> list[Any]:
        """Bring on the end of the block that was being written; the next block's text is another text."""
        rest, block = self._cutter.finish(), self._block
        self._block = None
        if not self.why:
            self._cutter = self._cutter.following()
        return [{**block, "text": rest}] if rest and block is not None else []


def _text(block: Any) -> str | None:
    if isinstance(block, str):
        return block
    if isinstance(block, Mapping) and block.get("type") in ("text", "output_text"):
        return str(block.get("text") or "")
    return None


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


StopCutter = AnswerCutter
"""The name from before it also counted tokens."""
