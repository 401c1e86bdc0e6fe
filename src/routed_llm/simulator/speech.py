"""Audio bytes for spoken answers: a quiet tone of the right length, or silence where only frames are made."""

from __future__ import annotations

import functools
import math
import struct

_RATE = 24_000
_MOST_SECONDS = 30.0
_MP3_FRAME = b"\xff\xfb\x90\x64" + bytes(413)  # MPEG-1 layer 3, 128 kbit/s, 44.1 kHz: 26 ms of silence


@functools.lru_cache(maxsize=32)
def speech(kind: str, seconds: float) -> bytes:
    """Return audio of `seconds` (at most 30) as ``wav``, ``pcm16`` or ``mp3``."""
    seconds = min(seconds, _MOST_SECONDS)
    if kind == "mp3":
        return _MP3_FRAME * max(1, round(seconds * 44_100 / 1152))
    samples = int(seconds * _RATE)
    period = [int(2000 * math.sin(2 * math.pi * 240 * i / _RATE)) for i in range(100)]
    wave = struct.pack("<100h", *period)
    pcm = (wave * (samples // 100 + 1))[: samples * 2]
    return pcm if kind == "pcm16" else _wav_header(len(pcm)) + pcm


def _wav_header(size: int) -> bytes:
    fmt = struct.pack("<4sIHHIIHH", b"fmt ", 16, 1, 1, _RATE, _RATE * 2, 2, 16)
    return struct.pack("<4sI4s", b"RIFF", 36 + size, b"WAVE") + fmt + struct.pack("<4sI", b"data", size)
