"""Log probabilities for the tokens of an answer: invented, but well formed and the same every time."""

from __future__ import annotations

import hashlib
import math
from typing import Any

from routed_llm.simulator.tokens import pieces_of

_OTHERS = (
    " the",
    " a",
    " and",
    ",",
    ".",
    " of",
    " to",
    " in",
    " is",
    " it",
    " that",
    " for",
    " on",
    " as",
    " with",
    " by",
    " at",
    " an",
    " or",
    " be",
)


def obfuscation(row: object) -> str:
    """Return what pads an event of a stream, so that its length does not tell its text."""
    return hashlib.sha256(repr(row).encode()).hexdigest()[:16]


def logprobs(text: str, top: int) -> list[dict[str, Any]]:
    """Return one row per token, with `top` alternatives each, the chosen one first."""
    return [_row(token, top) for token in pieces_of(text)]


def _row(token: str, top: int) -> dict[str, Any]:
    chance = 0.6 + hashlib.sha256(token.encode()).digest()[0] / 255 * 0.39
    first = _entry(token, math.log(chance))
    rows = [first] if top else []
    rest = 1 - chance
    for other in _OTHERS:
        if len(rows) >= top:
            break
        if other != token:
            rest /= 2
            rows.append(_entry(other, math.log(rest)))
    return {**first, "top_logprobs": rows}


def _entry(token: str, value: float) -> dict[str, Any]:
    return {"token": token, "logprob": round(value, 8), "bytes": list(token.encode())}
