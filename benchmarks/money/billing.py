"""What a provider would bill for a trace: caches, words, reasoning and prices, whoever chose the models.

What other models would have written nobody knows. There are two worlds: in ``same`` every model says the
trace's own words; in ``own`` each says them times its published ratio. What is spent on reasoning is drawn in
both, per call and configuration, from what was published of other questions than the router's expectation
(the simulator's data), so that no choice can be right by having the benchmark's own numbers.

A request that goes past the cache neither reads nor writes it.
"""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from typing import Any, NamedTuple

from benchmarks.money.traces import BLOCK, Call
from routed_llm import Catalog, Model, Usage
from routed_llm.pricing import cost_pico, writes
from routed_llm.simulator.frozen import load

__all__ = ["CATALOG", "WORLDS", "Caches", "Choice", "World", "bill", "can_bypass", "fits"]

CATALOG = Catalog.load()
WORLDS = ("same", "own")


class Choice(NamedTuple):
    """A configuration, and whether it goes past the cache where it can."""

    model: Model
    effort: str | None
    bypass: bool = False


def can_bypass(model: Model) -> bool:
    """Say whether requests to a model can go past its cache."""
    return model.cache is not None and model.cache.control == "prompt_cache_options"


def fits(model: Model, call: Call) -> bool:
    """Say whether a model can take a call."""
    return call.tokens <= model.limits.max_input and call.tokens + call.output <= model.limits.context_window


@dataclass(frozen=True, slots=True)
class World:
    """What models write, and what that costs on a day.

    Attributes:
        day: whose prices hold.
        words: ``same`` or ``own``.
    """

    day: date
    words: str = "same"

    def usage(
        self, choice: Choice, call: Call, cached: int, written: int | None = None, *, most: int | None = None
    ) -> Usage:
        """Say what a provider would report; without ``written`` all that is not read is written.

        ``most`` is an output cap: what is thought counts first.
        """
        said, thought = self.output(choice, call)
        if most is not None:
            thought = min(thought, most)
            said = min(said, most - thought)
        terms = choice.model.cache
        keeps = terms is not None and call.tokens >= terms.min_prefix and not choice.bypass
        fresh = call.tokens - cached if keeps else 0
        return Usage(
            input_tokens=call.tokens,
            cached_tokens=cached,
            cache_write_tokens=fresh if written is None else written,
            output_tokens=said + thought,
            reasoning_tokens=thought,
        )

    def output(self, choice: Choice, call: Call) -> tuple[int, int]:
        """Return the tokens that a configuration says and those that it thinks."""
        model, most = choice.model, choice.model.limits.max_output
        said = call.output
        if self.words == "own":
            served = CATALOG.get(call.model) if call.model in CATALOG else None
            base = 1.0 if served is None else writes(served, served.default_effort).ratio
            said = round(said * writes(model, choice.effort).ratio / base)
        said = max(min(said, most), 1)
        return said, min(_thought(model, choice.effort, call), most - said)

    def pico(self, choice: Choice, call: Call, cached: int, written: int | None = None) -> int:
        """Return the bill in picodollars."""
        return cost_pico(self.usage(choice, call, cached, written), choice.model, self.day) or 0


def _thought(model: Model, effort: str | None, call: Call) -> int:
    """Draw what a configuration spends on reasoning; the same for the same call and configuration."""
    if effort is None or not model.efforts:
        return 0
    rule = load("tokens")["reasoning"]
    mean: float = rule["mean"].get(effort, 0)
    if not mean:
        return 0
    family = load("models")["models"].get(model.id, {}).get("family")
    own: dict[str, Any] = next(
        (row for row in rule["others"] if family in row["of"] or model.id in row["of"]), {}
    )
    drawn = random.Random(f"{call.number} {model.id} {effort}")
    silent, at = drawn.random(), drawn.random() * (len(rule["spread"]) - 1)
    mean *= own.get("factor", 1.0)
    if call.tools:
        functions = {**rule["functions"], **own}
        mean *= 0.0 if silent < functions["silent"] else functions["share"]
    low = int(at)
    return round(mean * (rule["spread"][low] + (rule["spread"][low + 1] - rule["spread"][low]) * (at - low)))


class Caches:
    """The provider's prompt caches, per model, with the catalog's terms."""

    def __init__(self) -> None:
        self._blocks: dict[tuple[str, int], tuple[float, int]] = {}
        self._conversations: dict[tuple[str, str], tuple[float, int, int]] = {}

    def cached(self, model: Model, call: Call) -> tuple[int, tuple[int, ...]]:
        """Return how many tokens of a call are in a model's cache, and which calls put them there."""
        terms = model.cache
        if terms is None:
            return 0, ()
        found, by = 0, []
        for block in call.blocks:
            used, writer = self._blocks.get((model.id, block), (-1e18, -1))
            if call.at - used > terms.ttl:
                break
            found += BLOCK
            by.append(writer)
        at, tokens, writer = self._conversations.get((model.id, call.conversation), (-1e18, 0, -1))
        if call.conversation and call.at - at <= terms.ttl and tokens > found:
            found, by = tokens, [writer]
        found = min(found, call.tokens - 1) // terms.step * terms.step
        return (found, tuple(by)) if found >= terms.min_prefix else (0, ())

    def store(self, model: Model, call: Call) -> None:
        """Put a call's prompt into a model's cache, or keep what is there for longer."""
        if model.cache is None or call.tokens < model.cache.min_prefix:
            return
        for block in call.blocks:
            used, writer = self._blocks.get((model.id, block), (-1e18, -1))
            lives = call.at - used <= model.cache.ttl
            self._blocks[model.id, block] = (call.at, writer if lives else call.number)
        if call.conversation:
            self._conversations[model.id, call.conversation] = (call.at, call.tokens, call.number)


def bill(
    calls: Sequence[Call], choices: Sequence[Choice | None], world: World, *, thrifty: bool = False
) -> int:
    """Return picodollars for calls that are served as chosen; a call without a choice costs nothing.

    Args:
        calls: in the order of time.
        choices: what serves each.
        world: what is written and what it costs.
        thrifty: whether only those writes are paid for that a later call reads, as who knew them would.
    """
    caches, total = Caches(), 0
    read: set[int] = set()
    done: list[tuple[int, Choice, Call, int]] = []
    for at, (call, choice) in enumerate(zip(calls, choices, strict=True)):
        if choice is None:
            continue
        cached = 0
        if not choice.bypass:
            cached, by = caches.cached(choice.model, call)
            read.update(by)
            caches.store(choice.model, call)
        done.append((at, choice, call, cached))
    for at, choice, call, cached in done:
        idle = thrifty and at not in read and cached == 0 and can_bypass(choice.model)
        total += world.pico(choice._replace(bypass=True) if idle else choice, call, cached)
    return total
