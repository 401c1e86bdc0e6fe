"""How long an answer takes, drawn from the simulator's own data; nothing ever waits for it.

A reply carries it as the provider does, in the header ``openai-processing-ms``.
"""

from __future__ import annotations

import hashlib
import math
from random import Random
from typing import Any, NamedTuple

from routed_llm.simulator.frozen import load

__all__ = ["Taken", "taken"]

_OUTER = 1.6448536269514722
"""Standard deviations from the middle to the 95th of a hundred."""


class Taken(NamedTuple):
    """Seconds from the arrival of a request to the first token of its answer, and to the end."""

    first: float
    whole: float


def taken(
    model: str,
    *,
    uncached: int,
    thinking: int,
    said: int,
    tier: str = "default",
    day: str = "",
    seed: str = "",
) -> Taken:
    """Draw how long one answer takes.

    Args:
        model: the model's name.
        uncached: input tokens that no cache held.
        thinking: reasoning tokens that it spent.
        said: the other tokens that it wrote.
        tier: the service tier that served it.
        day: the day; all calls of a model on one day are slow or quick together.
        seed: what the draw depends on besides.
    """
    data: dict[str, Any] = load("latency")
    row = data["models"].get(model, data["default"])
    start, rate = data["tiers"].get(tier, (1.0, 1.0))
    spread = data["day"]["spread"]
    today = math.exp(Random(_number(model, day)).gauss(0.0, spread)) if day else 1.0  # noqa: S311 - draws
    random = Random(_number(model, day, seed))  # noqa: S311 - draws
    first = _between(random, row["first"]) * start * today
    per_second = _between(random, row["rate"]) * rate / today
    first += row["reading"] * uncached / 100_000 + thinking / per_second
    return Taken(first, first + said / per_second)


def _between(random: Random, ends: list[float]) -> float:
    """Draw from the log-normal whose 5th and 95th of a hundred these are."""
    low, high = math.log(ends[0]), math.log(ends[1])
    return math.exp(random.gauss((low + high) / 2, (high - low) / (2 * _OUTER)))


def _number(*parts: str) -> int:
    return int.from_bytes(hashlib.sha256("|".join(parts).encode()).digest()[:8])
