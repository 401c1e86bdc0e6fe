"""Budget: what may still be spent, as a value that select() can weigh."""

from __future__ import annotations

from dataclasses import dataclass

__all__ = ["PICO", "Budget"]

PICO = 10**12
"""Picodollars in a US dollar. All money inside the core is an integer number of picodollars:
the cheapest published price, $0.005 per million tokens, is 5,000 of them per token, so that
every price and every sum is exact."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Budget:
    """What the tightest budget leaves for one call.

    Attributes:
        remaining: picodollars that may still be spent, or None for no limit.
        scope: whose budget it is, for messages (``team=search``).
        period: ``call``, ``conversation``, ``hour``, ``day``, ``month`` or ``total``.
        hard: True refuses what does not fit; False only moves the choice towards cost.
        pressure: 0.0 (plenty left) to 1.0 (nothing left): how far a soft budget presses on the choice.
    """

    remaining: int | None = None
    scope: str = ""
    period: str = "call"
    hard: bool = True
    pressure: float = 0.0
