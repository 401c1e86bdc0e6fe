"""Images: the real size from the header, and what it costs by the model's rule."""

from __future__ import annotations

import math
import struct

from routed_llm.simulator.frozen import load


def size(data: bytes) -> tuple[str, int, int] | None:
    """Return (mime, width, height) from the header of a PNG, JPEG, GIF or WebP, or None."""
    for mime, reader in (
        ("image/png", _png),
        ("image/gif", _gif),
        ("image/webp", _webp),
        ("image/jpeg", _jpeg),
    ):
        try:
            found = reader(data)
        except (struct.error, IndexError):
            found = None
        if found is not None and found[0] > 0 and found[1] > 0:
            return mime, found[0], found[1]
    return None


def tokens(rule_name: str, width: int, height: int, detail: str) -> int:
    """Return the tokens of an image under one of the rules in the data."""
    rule = load("tokens")["images"]["rules"][rule_name]
    if "tile" in rule:
        if detail == "low":
            return int(rule["base"])
        return int(rule["base"] + rule["tile"] * _tiles(width, height))
    return math.ceil(patches(rule_name, width, height, detail) * float(rule["multiplier"]))


def patches(rule_name: str, width: int, height: int, detail: str) -> int:
    """Return the number of 32-pixel patches left after resizing; 0 for a rule of tiles."""
    rule = load("tokens")["images"]["rules"][rule_name]
    if "tile" in rule:
        return 0
    side, budget = rule.get("any") or rule[detail if detail in rule else "auto"]
    scale = min(1.0, side / max(width, height))
    w, h = width * scale, height * scale
    if budget and _grid(w, h) > budget:
        shrink = math.sqrt(32 * 32 * budget / (w * h))
        across, down = w * shrink / 32, h * shrink / 32
        fit = min(_floor_ratio(across), _floor_ratio(down))
        w, h = w * shrink * fit, h * shrink * fit
        return min(int(budget), _grid(w, h))
    return _grid(w, h)


def _floor_ratio(count: float) -> float:
    whole = math.floor(count)
    return whole / count if whole >= 1 else 1.0


def _grid(width: float, height: float) -> int:
    return max(1, math.ceil(round(width / 32, 6))) * max(1, math.ceil(round(height / 32, 6)))


def _tiles(width: int, height: int) -> int:
    """512-pixel tiles after fitting into 2,048 x 2,048 and scaling the short side down to 768."""
    scale = min(1.0, 2048 / max(width, height))
    w, h = width * scale, height * scale
    scale = min(1.0, 768 / min(w, h))
    return math.ceil(round(w * scale / 512, 6)) * math.ceil(round(h * scale / 512, 6))


def _png(data: bytes) -> tuple[int, int] | None:
    if data[:8] != b"\x89PNG\r\n\x1a\n":
        return None
    width, height = struct.unpack(">II", data[16:24])
    return width, height


def _gif(data: bytes) -> tuple[int, int] | None:
    if data[:6] not in (b"GIF87a", b"GIF89a"):
        return None
    width, height = struct.unpack("<HH", data[6:10])
    return width, height


def _webp(data: bytes) -> tuple[int, int] | None:
    if data[:4] != b"RIFF" or data[8:12] != b"WEBP":
        return None
    kind = data[12:16]
    if kind == b"VP8X":
        return 1 + int.from_bytes(data[24:27], "little"), 1 + int.from_bytes(data[27:30], "little")
    if kind == b"VP8L":
        bits = int.from_bytes(data[21:25], "little")
        return (bits & 0x3FFF) + 1, ((bits >> 14) & 0x3FFF) + 1
    if kind == b"VP8 ":
        width, height = struct.unpack("<HH", data[26:30])
        return width & 0x3FFF, height & 0x3FFF
    return None


def _jpeg(data: bytes) -> tuple[int, int] | None:
    if data[:2] != b"\xff\xd8":
        return None
    at = 2
    while at + 9 < len(data):
        if data[at] != 0xFF:
            return None
        marker = data[at + 1]
        if marker == 0xFF:
            at += 1
        elif marker in (0x01, *range(0xD0, 0xD8)):
            at += 2
        elif 0xC0 <= marker <= 0xCF and marker not in (0xC4, 0xC8, 0xCC):
            height, width = struct.unpack(">HH", data[at + 5 : at + 9])
            return width, height
        else:
            at += 2 + int.from_bytes(data[at + 2 : at + 4], "big")
    return None
