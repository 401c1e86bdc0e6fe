"""What could have been paid for a trace: by a rule that was chosen in hindsight, and by who knew all of it.

The optimum knows each call's output and which calls follow. It finds only caches that it filled, and pays for
a write only where a later call reads it. Who returns, nobody knows before: what only that knowledge saves is
out of reach, which is why the best rule in hindsight is reported beside it.

Conversations are planned one after the other by a search that keeps the best few states (which model's cache
holds how much), each seeing the caches that those before it filled. So the plan is a bill that could have
been had, and the least of these, not a proof that there is none below.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from itertools import product
from typing import NamedTuple

from benchmarks.money.billing import Caches, Choice, World, bill, can_bypass, fits
from benchmarks.money.traces import Call

__all__ = ["Rule", "best_rule", "optimum"]

_STATES = 24
_RULES = 5
"""Configurations that rules are made of: those that are best alone."""


class Rule(NamedTuple):
    """What a program could have in its settings: a configuration for first calls and one for later ones.

    Attributes:
        first: serves calls that go on from none.
        later: serves the others.
    """

    first: Choice
    later: Choice

    def choices(self, calls: Sequence[Call], passing: Sequence[Sequence[Choice]]) -> list[Choice | None]:
        """Say what serves each call: where the rule's is not able, the first that is."""
        found: list[Choice | None] = []
        for call, able in zip(calls, passing, strict=True):
            mine = self.first if call.before is None else self.later
            known = any(one[:2] == mine[:2] for one in able)
            found.append(mine if known else next(iter(able), None))
        return found

    @property
    def name(self) -> str:
        """The rule in words."""
        one, other = _name(self.first), _name(self.later)
        return f"always {one}" if one == other else f"first {one}, then {other}"


def _name(choice: Choice) -> str:
    return (
        choice.model.id
        + (f"@{choice.effort}" if choice.effort else "")
        + (" past the cache" if choice.bypass else "")
    )


def best_rule(
    calls: Sequence[Call], passing: Sequence[Sequence[Choice]], world: World
) -> tuple[int, Rule | None]:
    """Return the least bill of a rule, and the rule."""
    every = {one[:2]: one for able in passing for one in able}.values()
    alone = sorted(every, key=lambda one: bill(calls, Rule(one, one).choices(calls, passing), world))[:_RULES]
    ways = [one for choice in alone for one in _ways(choice)]
    goes_on = any(call.before is not None for call in calls)
    rules = [Rule(*pair) for pair in product(ways, ways) if goes_on or pair[0] == pair[1]]
    found = [(bill(calls, rule.choices(calls, passing), world), rule) for rule in rules]
    return min(found, key=lambda one: one[0], default=(0, None))


def _ways(choice: Choice) -> Iterator[Choice]:
    yield choice
    if can_bypass(choice.model):
        yield choice._replace(bypass=True)


class _State(NamedTuple):
    cost: int
    caches: tuple[tuple[str, int, float], ...]
    chosen: tuple[Choice, ...]


def optimum(calls: Sequence[Call], passing: Sequence[Sequence[Choice]], world: World) -> int:
    """Return what who knew the whole trace would have paid."""
    plan: list[Choice | None] = [None] * len(calls)
    caches = Caches()
    for chain in _chains(calls):
        for call, choice in zip(chain, _planned(chain, passing, world, caches), strict=True):
            plan[call.number] = choice
        for call in chain:
            choice = plan[call.number]
            if choice is not None and not choice.bypass:
                caches.store(choice.model, call)
    rule, _ = best_rule(calls, passing, world)
    return min(bill(calls, plan, world, thrifty=True), rule)


def _chains(calls: Sequence[Call]) -> Iterable[list[Call]]:
    """Give the conversations, in the order in which they begin."""
    chains: dict[int, list[Call]] = {}
    of: dict[int, int] = {}
    for call in calls:
        of[call.number] = call.number if call.before is None else of[call.before]
        chains.setdefault(of[call.number], []).append(call)
    return chains.values()


def _planned(
    chain: list[Call], passing: Sequence[Sequence[Choice]], world: World, caches: Caches
) -> Sequence[Choice | None]:
    """Plan one conversation."""
    states = [_State(0, (), ())]
    for place, call in enumerate(chain):
        able = _best_efforts([one for one in passing[call.number] if fits(one.model, call)], call, world)
        if not able:
            return [None] * len(chain)
        following = chain[place + 1] if place + 1 < len(chain) else None
        grown = [state for one in states for state in _steps(one, call, able, following, world, caches)]
        grown.sort(key=lambda state: state.cost)
        kept: dict[object, _State] = {}
        for state in grown:
            kept.setdefault(state.caches, state)
        states = list(kept.values())[:_STATES]
    return states[0].chosen


def _best_efforts(able: list[Choice], call: Call, world: World) -> list[Choice]:
    """Leave of each model the effort that costs least: what caches hold is the same for all of them."""
    found: dict[str, Choice] = {}
    for one in sorted(able, key=lambda one: world.pico(one, call, 0)):
        found.setdefault(one.model.id, one)
    return list(found.values())


def _steps(
    state: _State, call: Call, able: list[Choice], following: Call | None, world: World, caches: Caches
) -> Iterator[_State]:
    held = {model: (tokens, at) for model, tokens, at in state.caches}
    for one in able:
        terms = one.model.cache
        others, _ = caches.cached(one.model, call) if call.blocks else (0, ())
        tokens, at = held.get(one.model.id, (0, -1e18))
        if terms is None or call.at - at > terms.ttl:
            tokens = 0
        mine = min(tokens, call.tokens - 1)
        mine = 0 if terms is None else mine // terms.step * terms.step
        cached = max(mine if terms is not None and mine >= terms.min_prefix else 0, others)
        keeps = terms is not None and call.tokens >= terms.min_prefix
        if keeps:
            rest = tuple(item for item in state.caches if item[0] != one.model.id)
            now = tuple(sorted((*rest, (one.model.id, call.prefix_of(following), call.at))))
            yield _State(state.cost + world.pico(one, call, cached), now, (*state.chosen, one))
        if not keeps or can_bypass(one.model):
            past = one._replace(bypass=keeps)
            yield _State(state.cost + world.pico(past, call, 0), state.caches, (*state.chosen, past))
