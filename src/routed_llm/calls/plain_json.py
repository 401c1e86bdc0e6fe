"""JSON as OpenAI's API takes it: read strictly, written without spaces, with orjson where it is installed."""

from __future__ import annotations

import json
from math import isfinite
from typing import Any, Final

try:
    import orjson
except ImportError:
    orjson = None  # type: ignore[assignment] # stands for a module that is missing

__all__ = ["compact", "strict"]

_encoded: Final = json.JSONEncoder(ensure_ascii=False, separators=(",", ":")).encode


def compact(data: Any, *, halves: str = "backslashreplace") -> bytes:
    """Write JSON without spaces.

    Args:
        data: what to write.
        halves: how half of a character is written, as Python names it: as JSON's own escape, which beside
            that of the other half is read as the character, or as ``?`` with ``replace``.
    """
    if orjson is not None:
        try:
            return orjson.dumps(
                data, option=orjson.OPT_PASSTHROUGH_DATACLASS | orjson.OPT_PASSTHROUGH_DATETIME
            )
        except orjson.JSONEncodeError:
            pass  # half of a character, an integer of more than 64 bits: it takes less than Python does
    return _encoded(data).encode("utf-8", halves)


def _no_number(word: str) -> float:
    raise ValueError(f"{word} is no number of JSON")


def _finite(text: str) -> float:
    number = float(text)
    return number if isfinite(number) else _no_number(text)


# Not orjson's: it makes a float of an integer of more than 64 bits.
strict: Final = json.JSONDecoder(parse_constant=_no_number, parse_float=_finite).decode
"""Read text as JSON; what is none, and a number that no float holds, is a ValueError."""
