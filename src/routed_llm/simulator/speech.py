"""Audio bytes for spoken answers: a quiet tone of the right length, or silence where only frames are made."""

from __future__ import annotations

import functools
import math
import struct

_RATE = 24_000
_MOST_SECONDS = 30.0
_FRAMES = {  # how a frame begins that holds nothing, and frames a second
    "mp3": (b"\xff\xfb\x90\x64" + bytes(413), 44_100 / 1152),  # MPEG-1 layer 3, 128 kbit/s, 44.1 kHz: silence
    "aac": (b"\xff\xf1\x4c\x80\x2e\x7f\xfc" + bytes(364), 24_000 / 1024),
    "opus": (b"OggS" + bytes(396), 50),
    "flac": (b"fLaC" + bytes(396), 50),
}


@functools.lru_cache(maxsize=32)
def speech(kind: str, seconds: float) -> bytes:
    """Return audio of `seconds` (at most 30) as ``wav``, ``pcm16``, or in frames that hold nothing."""
    seconds = min(seconds, _MOST_SECONDS)
    if kind in _FRAMES:
        frame, rate = _FRAMES[kind]
        return frame * max(1, round(seconds * rate))
    samples = int(seconds * _RATE)
    period = [int(2000 * math.sin(2 * math.pi * 240 * i / _RATE)) for i in range(100)]
    wave = struct.pack("<100h", *period)
    pcm = (wave * (samples // 100 + 1))[: samples * 2]
    return pcm if kind == "pcm16" else _wav_header(len(pcm)) + pcm


def _wav_header(size: int) -> bytes:
    fmt = struct.pack("<4sIHHIIHH", b"fmt ", 16, 1, 1, _RATE, _RATE * 2, 2, 16)
    return struct.pack("<4sI4s", b"RIFF", 36 + size, b"WAVE") + fmt + struct.pack("<4sI", b"data", size)
