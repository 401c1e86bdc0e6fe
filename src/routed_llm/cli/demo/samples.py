"""What the demo sends: long texts, an image, a voice clip and a PDF, all made here."""

from __future__ import annotations

import base64
import functools
import io
import math
import struct
import wave
import zlib

from routed_llm.tokens.text import default_counter

__all__ = ["log", "pdf", "picture", "voice"]


def log(tokens: int, question: str) -> str:
    """Write a machine's log of about so many tokens (within one percent), then a question on it."""
    return f"{_log(tokens)}\n\n{question}"


@functools.lru_cache(maxsize=4)
def _log(tokens: int) -> str:
    # Higher numbers take more tokens, so the sample is drawn from about the range that is used.
    guess = tokens // 28
    step = next(step for step in range(1 + guess // 200, guess + 2) if math.gcd(step, _PERIODS) == 1)
    sample = [_entry(number) for number in range(100, 100 + guess, step)]
    each = sum(default_counter().count(["\n".join(sample)])) / len(sample)
    return "\n".join(_entry(number) for number in range(100, 100 + round(tokens / each)))


def _entry(number: int) -> str:
    # The periods are prime, so that no stretch of the log repeats another one.
    pump, minutes, heat = number % 97, number * 37 % 1439, number * 13 % 89
    return f"Entry {number}: pump {pump} ran {minutes} minutes at {heat} degrees; {_REMARKS[number % 5]}."


_PERIODS = 5 * 97 * 1439 * 89
"""After so many entries a log repeats itself; a sample whose step shares a factor with it would be askew."""

_REMARKS = (
    "nothing unusual was noted",
    "the operator replaced a seal",
    "a short drop in pressure was seen",
    "the filter was rinsed as planned",
    "the reading was taken twice",
)


def picture(width: int = 1024, height: int = 768) -> str:
    """Draw a PNG, a bar chart on white, and return it as a data URL."""
    bars = (5, 8, 3, 6, 7)
    rows = []
    for y in range(height):
        line = bytearray(b"\xff" * (3 * width))
        for index, bar in enumerate(bars):
            if height - y < bar * height // 10:
                left, wide = (2 * index + 1) * width // 11, width // 11
                line[3 * left : 3 * (left + wide)] = bytes((40, 40 * index, 200)) * wide
        rows.append(b"\x00" + bytes(line))
    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    chunks = ((b"IHDR", header), (b"IDAT", zlib.compress(b"".join(rows), 9)), (b"IEND", b""))
    data = b"\x89PNG\r\n\x1a\n" + b"".join(_chunk(kind, body) for kind, body in chunks)
    return f"data:image/png;base64,{base64.b64encode(data).decode()}"


def _chunk(kind: bytes, body: bytes) -> bytes:
    return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))


def voice(seconds: float = 3.0, rate: int = 16_000) -> str:
    """Record a tone as a WAV file and return it in base64."""
    tone = (
        int(9000 * math.sin(2 * math.pi * 220 * at / rate) * math.sin(math.pi * at / (rate * seconds)))
        for at in range(round(seconds * rate))
    )
    held = io.BytesIO()
    with wave.open(held, "wb") as clip:
        clip.setnchannels(1)
        clip.setsampwidth(2)
        clip.setframerate(rate)
        clip.writeframes(b"".join(struct.pack("<h", value) for value in tone))
    return base64.b64encode(held.getvalue()).decode()


def pdf(*lines: str) -> str:
    """Write a PDF of one page with lines of text and return it as a data URL."""
    shown = " T* ".join(f"({line}) Tj" for line in lines)
    drawing = f"BT /F1 12 Tf 16 TL 72 720 Td {shown} ET".encode("ascii")
    objects = (
        b"<< /Type /Catalog /Pages 2 0 R >>",
        b"<< /Type /Pages /Kids [3 0 R] /Count 1 >>",
        b"<< /Type /Page /Parent 2 0 R /MediaBox [0 0 612 792] /Contents 4 0 R "
        b"/Resources << /Font << /F1 5 0 R >> >> >>",
        b"<< /Length %d >>\nstream\n%s\nendstream" % (len(drawing), drawing),
        b"<< /Type /Font /Subtype /Type1 /BaseFont /Helvetica >>",
    )
    data = b"%PDF-1.4\n"
    places = []
    for number, body in enumerate(objects, 1):
        places.append(len(data))
        data += b"%d 0 obj\n%s\nendobj\n" % (number, body)
    table = b"".join(b"%010d 00000 n \n" % place for place in places)
    size = len(objects) + 1
    end = len(data)
    data += b"xref\n0 %d\n0000000000 65535 f \n%s" % (size, table)
    data += b"trailer\n<< /Size %d /Root 1 0 R >>\nstartxref\n%d\n%%%%EOF\n" % (size, end)
    return f"data:application/pdf;base64,{base64.b64encode(data).decode()}"
