"""Tokens of audio from its length.

Source of the rates: OpenAI's guide "Managing costs" of the Realtime API (2026-07): a user's audio is one
token per 100 ms, the assistant's one per 50 ms. The same rates are commonly used for audio in Chat
Completions, where no page states them.
"""

from __future__ import annotations

import io
import math
from fractions import Fraction
from typing import Final

from routed_llm.errors import RequestError

INPUT_PER_SECOND: Final = 10
OUTPUT_PER_SECOND: Final = 20

PCM_BYTES_PER_SECOND: Final = 48_000
"""Of the API's `pcm16`: 24,000 samples a second, one channel, 16 bits."""

_RAW = ("pcm16", "pcm")


def input_tokens(seconds: float) -> int:
    """Return the tokens of audio that is sent, one for each begun 100 ms."""
    return _tokens(seconds, INPUT_PER_SECOND)


def output_tokens(seconds: float) -> int:
    """Return the tokens of audio that a model speaks, one for each begun 50 ms."""
    return _tokens(seconds, OUTPUT_PER_SECOND)


def audio_seconds(data: bytes, format: str | None = None) -> float:
    """Return the length of audio in seconds.

    Args:
        data: a WAV, MP3, FLAC, Ogg (Opus, Vorbis) or M4A file, or raw samples.
        format: the format that the request names; only `pcm16` (raw samples) matters, files are recognised by
            their first bytes.

    Raises:
        RequestError: The audio cannot be read, has no length, or the extra `media` is not installed.
    """
    if format in _RAW:
        return len(data) / PCM_BYTES_PER_SECOND
    if data.startswith(b"RIFF"):
        data = _with_true_length(data)
    try:
        from tinytag import TinyTag, TinyTagException
    except ImportError as error:
        raise RequestError("Reading the length of audio needs tinytag. Install routed-llm[media].") from error
    try:
        seconds = TinyTag.get(file_obj=io.BytesIO(data), tags=False).duration
    except TinyTagException as error:
        raise RequestError(
            f"The audio cannot be read: {error or 'unknown format'}. Send WAV, MP3, FLAC, Opus or M4A."
        ) from error
    if not seconds or not math.isfinite(seconds) or seconds < 0:
        raise RequestError("The audio has no length. Send a complete audio file.")
    return seconds


def _tokens(seconds: float, per_second: int) -> int:
    if not (math.isfinite(seconds) and seconds >= 0):
        raise RequestError(f"Audio cannot last {seconds} seconds. Give its length in seconds.")
    # In whole microseconds, because 0.3 s as a float is a little less or more than three tenths.
    return math.ceil(Fraction(round(seconds * 1_000_000), 1_000_000) * per_second)


def _with_true_length(data: bytes) -> bytes:
    """Return a WAV file whose data chunk claims no more bytes than follow.

    A program that writes to a pipe cannot go back to fill in the length and leaves 0xFFFFFFFF or 0 there.
    """
    position = 12
    while position + 8 <= len(data):
        name, size = (
            data[position : position + 4],
            int.from_bytes(data[position + 4 : position + 8], "little"),
        )
        rest = len(data) - position - 8
        if name == b"data":
            if 0 < size <= rest:
                return data
            return data[: position + 4] + rest.to_bytes(4, "little") + data[position + 8 :]
        position += 8 + size + size % 2
    return data
