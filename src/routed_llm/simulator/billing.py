"""Usage and what it costs, from the simulator's own prices."""

from __future__ import annotations

import dataclasses
from decimal import Decimal

from routed_llm.simulator.frozen import load
from routed_llm.simulator.models import SimulatedModel

_MILLION = Decimal(1_000_000)


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Used:
    """Tokens of one request; cached, written and audio_in are parts of prompt, the rest of completion."""

    prompt: int
    completion: int = 0
    cached: int = 0
    written: int = 0
    audio_in: int = 0
    audio_out: int = 0
    reasoning: int = 0
    accepted: int = 0
    rejected: int = 0
    speaks: bool = False
    tier: str = "default"
    long_ttl: bool = False
    window: str = ""


def tier_for(model: SimulatedModel, asked: str) -> str:
    """Return the service tier that serves the request, as the response reports it.

    A tier that the model does not offer is served at the default one, as the pricing page says of fast mode.
    """
    wanted = {"fast": "priority", "auto": "default", "": "default", "scale": "default"}.get(asked, asked)
    if wanted == "default" or wanted in model.prices:
        return wanted
    return "default"


def billed(model: SimulatedModel, used: Used) -> Decimal:
    """Return US dollars for the whole request; the long rates apply to all of it."""
    rule = load("tokens")["long_context"]
    size = "long" if used.prompt > rule["threshold"] else "short"
    tier = "standard" if used.tier == "default" else used.tier
    if size == "long" and tier in rule["tiers_at_standard"].get(model.name, ()):
        tier = "standard"
    windows = load("tokens")["background_windows"]
    share = windows["share"].get(used.window, "1") if model.name in windows["models"] else "1"
    rows = model.prices.get(tier) or model.prices["standard"]
    price = rows.get(size) or rows["short"]
    write = price.get("cache_write", price["input"]) * (2 if used.long_ttl else 1)
    plain = used.prompt - used.cached - used.written - used.audio_in
    total = (
        plain * price["input"]
        + used.cached * price.get("cached_input", price["input"])
        + used.written * write
        + used.audio_in * price.get("audio_input", price["input"])
        + (used.completion - used.audio_out) * price["output"]
        + used.audio_out * price.get("audio_output", price["output"])
    )
    return total * Decimal(share) / _MILLION
