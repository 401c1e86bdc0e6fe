"""Server-sent events, as bytes arrive and as they are written. Pure."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from typing import Any, Final, NamedTuple

from routed_llm.calls.plain_json import compact
from routed_llm.errors import UnreadableAnswer

__all__ = ["DONE", "Event", "EventReader", "written"]

DONE: Final = b"data: [DONE]\n\n"
"""How a stream of Chat Completions ends."""

_END: Final = re.compile(rb"\r\n\r\n|\n\n|\r\r")
_MARK: Final = b"\xef\xbb\xbf"
"""A byte order mark, which a stream may begin with."""
_scanned: Final = json.JSONDecoder().scan_once  # type: ignore[attr-defined] # which typeshed does not list
_LARGEST: Final = 64 * 1024 * 1024


class Event(NamedTuple):
    """One event.

    Attributes:
        raw: its bytes, with the empty line that ends it.
        data: its data, decoded where it is JSON; None for a comment and for ``[DONE]``.
        done: whether it says that the stream is over.
    """

    raw: bytes
    data: Any
    done: bool = False


class EventReader:
    """Finds the events in bytes, wherever these are parted."""

    def __init__(self) -> None:
        self._held = bytearray()
        self._seen = 0

    def feed(self, data: bytes) -> Iterator[Event]:
        """Yield the events that are complete now.

        Raises:
            UnreadableAnswer: when an event is no JSON, or longer than any that a model sends.
        """
        held = self._held
        if not held and b"\r" not in data:  # as nearly always
            *whole, rest = data.split(b"\n\n")
            held += rest
            for one in whole:
                yield _event(one + b"\n\n")
            data = b""
        held += data
        while (end := _END.search(held, self._seen)) is not None:
            raw = bytes(held[: end.end()])
            del held[: end.end()]
            self._seen = 0
            yield _event(raw)
        # The empty line may be parted, too.
        self._seen = max(0, len(held) - 3)
        if len(held) > _LARGEST:
            raise UnreadableAnswer(f"An event of the stream is longer than {_LARGEST:,} bytes.")

    def end(self) -> Iterator[Event]:
        """Yield what the stream ended with when its last event was not closed by an empty line."""
        if self._held.strip():
            yield _event(bytes(self._held) + b"\n\n")
        self._held.clear()


def written(data: Mapping[str, Any], *, named: bool) -> bytes:
    """Write an event.

    Args:
        data: what it says.
        named: whether its ``type`` is its name, too, as in streams of Responses.
    """
    text = compact(data)
    if named and data.get("type"):
        return b"event: %b\ndata: %b\n\n" % (str(data["type"]).encode(), text)
    return b"data: %b\n\n" % text


def _event(raw: bytes) -> Event:
    if raw[:6] == b"data: " and raw.find(b"\n") == len(raw) - 2 and b"\r" not in raw:  # one line, as usual
        try:
            line = raw[6:-2].decode()
            data, end = _scanned(line, 0)
        except (ValueError, RecursionError, StopIteration):
            pass
        else:
            if end == len(line):
                return Event(raw, data)
    plain = raw.removeprefix(_MARK).replace(b"\r", b"\n")
    lines = [line[5:].removeprefix(b" ") for line in plain.split(b"\n") if line[:5] == b"data:"]
    text = b"\n".join(lines).strip()
    if not text:
        return Event(raw, None)
    if text == b"[DONE]":
        return Event(raw, None, done=True)
    try:
        return Event(raw, json.loads(text))
    except (ValueError, RecursionError):
        raise UnreadableAnswer(f"An event of the stream is no JSON. It begins with {text[:40]!r}.") from None
