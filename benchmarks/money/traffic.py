"""Money on real traffic: the router against fixed choices, the best rule in hindsight and the optimum.

    python -m benchmarks.money.traffic PATH... [--calls N] [--day DAY]

``traces.py`` says which files are understood, ``billing.py`` what is billed and in which two worlds,
``optimum.py`` what the last two rows are. All rows pass the same quality floor, but for fixed models that are
marked as below it. ``blind`` is the router that is told of no earlier turn and learns nothing.

Time is the trace's: what the router keeps for a while it keeps that long. A trace that `--calls` cuts short
after less than a cache's life makes each write look wasted that would have been read behind the cut.
"""

from __future__ import annotations

import statistics
from collections import defaultdict
from collections.abc import Sequence
from datetime import date
from pathlib import Path
from typing import NamedTuple
from unittest import mock

from benchmarks.money.billing import CATALOG, WORLDS, Caches, Choice, World, bill, fits
from benchmarks.money.optimum import best_rule, optimum
from benchmarks.money.traces import Call, arguments, read
from routed_llm import NoModelFits, Policy, Previous, Request, RequestFacts, Router, TokenCount, Usage
from routed_llm.budget import PICO
from routed_llm.pricing import cost_pico

DAYS = (date(2026, 4, 24), date(2026, 11, 29), date(2027, 1, 15))
"""Before any model that charges for cache writes; today; after the baseline's last day."""

MODELS = ("gpt-4o", "gpt-4.1", "gpt-4.1-mini", "gpt-5.1", "gpt-5.4", "gpt-5.6-luna")
"""What is used always: the baseline, its neighbours, and one of each later generation."""


class Spent(NamedTuple):
    """What a router spent on a trace.

    Attributes:
        pico: picodollars.
        unserved: calls that nothing could serve.
        switches: calls that went to another model than the one that they go on from.
        bypassed: calls that went past the cache.
        estimated: picodollars that were expected.
        within: share of the calls after the first hundred that cost no more than their p50, p90 and p95.
    """

    pico: int
    unserved: int
    switches: int
    bypassed: int
    estimated: int
    within: tuple[float, ...]


LEARNT = 100
"""Calls that count as history."""


def routed(calls: Sequence[Call], world: World, policy: Policy, *, aware: bool) -> Spent:
    """Spend on a trace what a router would."""
    router = Router(policy=policy, clock=lambda: world.day, observe=aware)
    caches, answered, now = Caches(), dict[int, Previous](), [0.0]
    if router._observer is not None:
        router._observer._clock = lambda: now[0]
        router._observer._begun = 0.0
    total = unserved = switches = bypassed = estimated = 0
    within = [0, 0, 0]
    for call in calls:
        last, now[0] = None if call.before is None else answered.get(call.before), call.at
        with mock.patch("routed_llm.calls.router.monotonic", lambda call=call: call.at):
            try:
                decision = router.decide(request(call, _now(last, calls, call) if aware else None))
            except NoModelFits:
                unserved += 1
                continue
            assert decision.chosen is not None
            past = any(change.parameter == "prompt_cache_options" for change in decision.changes)
            choice = Choice(CATALOG.get(decision.chosen.model), decision.effort, past)
            cached = 0 if past else caches.cached(choice.model, call)[0]
            if not past:
                caches.store(choice.model, call)
            used = world.usage(choice, call, cached)
            router.begin(decision).settle(used)
        spent = cost_pico(used, choice.model, world.day) or 0
        total += spent
        if call.number >= LEARNT and decision.cost_range is not None:
            for place, most in enumerate(decision.cost_range.values()):
                within[place] += spent <= most * PICO
        estimated += decision.chosen.cost or 0
        bypassed += past
        switches += last is not None and last.model != choice.model.id
        answered[call.number] = Previous(
            model=choice.model.id, effort=choice.effort, prefix_tokens=used.input_tokens
        )
    later = max(len(calls) - LEARNT, 1)
    return Spent(total, unserved, switches, bypassed, estimated, tuple([count / later for count in within]))


def _now(last: Previous | None, calls: Sequence[Call], call: Call) -> Previous | None:
    if last is None or call.before is None:
        return None
    age = call.at - calls[call.before].at
    return Previous(
        model=last.model, effort=last.effort, prefix_tokens=min(last.prefix_tokens, call.tokens), age=age
    )


def request(call: Call, previous: Previous | None) -> Request:
    """Make the request that an adapter would; blocks that requests share have the same text."""
    texts = tuple(f"{block:09}" for block in call.blocks)
    texts = texts if call.tokens > 8 * len(texts) else ()
    facts = RequestFacts(tokens=TokenCount.of(call.tokens), tools=3 if call.tools else 0, previous=previous)
    return Request(facts=facts, texts=texts, fixed=call.tokens)


def passing(calls: Sequence[Call], day: date, policy: Policy) -> list[list[Choice]]:
    """List for each call the configurations that pass the floor for calls like it and can take it."""
    kept: dict[tuple[bool, int], list[Choice]] = {}
    found = []
    for call in calls:
        key = (call.tools, max(call.tokens.bit_length(), 10))
        if key not in kept:
            probe = Call(at=0, tokens=min(2 ** key[1] - 1, call.tokens), output=1, tools=call.tools)
            decision = Router(policy=policy, clock=lambda: day).explain(request(probe, None))
            kept[key] = [
                Choice(CATALOG.get(candidate.model), candidate.effort)
                for candidate in decision.candidates
                if candidate.cost is not None and all(r.code == "dearer" for r in candidate.reasons)
            ]
        found.append([one for one in kept[key] if fits(one.model, call)])
    return found


def report(path: Path, calls: Sequence[Call], world: World, policy: Policy) -> None:
    """Print what each choice costs on one file, on one day and in one world."""
    able = passing(calls, world.day, policy)
    least = optimum(calls, able, world)
    cost, rule = best_rule(calls, able, world)
    print(f"\n{path.stem}: {len(calls):,} calls, {world.day}, words: {world.words}")
    print(f"  {'':34}{'dollars':>10}{'optimum':>10}{'rule':>9}")

    def line(name: str, pico: int, more: str = "") -> None:
        against = [f"{100 * (pico / other - 1):+.1f}%" for other in (least, cost)]
        print(f"  {name:34}{pico / PICO:10.3f}{against[0]:>10}{against[1]:>9}  {more}")

    for aware, name in ((True, "router"), (False, "blind")):
        spent = routed(calls, world, policy, aware=aware)
        more = f"{spent.switches} switches, {spent.bypassed} past the cache, estimates "
        more += f"{100 * (spent.estimated / max(spent.pico, 1) - 1):+.1f}%"
        more += ", within p50/p90/p95 " + "/".join(f"{100 * share:.1f}" for share in spent.within)
        line(name, spent.pico, more + (f", {spent.unserved} unserved" if spent.unserved else ""))
    for name in MODELS:
        model = CATALOG.get(name)
        if not model.alive(world.day):
            continue
        mine = [one for ways in able for one in ways if one.model is model]
        effort = mine[0].effort if mine else model.default_effort
        choices = [Choice(model, effort) if fits(model, call) else None for call in calls]
        label = f"always {name}" + (f"@{effort}" if effort else "")
        more = "" if mine else "below the floor"
        missed = choices.count(None)
        line(label, bill(calls, choices, world), more + (f" {missed} unserved" if missed else ""))
    line("best rule in hindsight", cost, "" if rule is None else rule.name)
    line("fair optimum", least)


def estimates(path: Path, calls: Sequence[Call]) -> None:
    """Compare estimated with reported dollars, for calls whose price is in the trace."""
    known = [call for call in calls if call.paid and call.model in CATALOG]
    strange = {call.model for call in calls if call.paid} - {call.model for call in known}
    day = DAYS[0]
    errors: dict[str, list[float]] = defaultdict(list)
    sums: dict[str, list[float]] = defaultdict(lambda: [0.0] * 6)
    seen: dict[str, Call] = {}
    routers: dict[str, Router] = {}
    for call in known:
        model = CATALOG.get(call.model)
        router = routers.setdefault(
            model.id, Router(policy=Policy(models=model.id, at_least=None), clock=lambda: day)
        )
        last = seen.get(call.conversation)
        previous = None
        if last is not None:
            age = call.at - last.at
            previous = Previous(model=model.id, prefix_tokens=min(last.tokens, call.tokens), age=age)
        decision = router.decide(request(call, previous))
        assert decision.chosen is not None
        seen[call.conversation] = call
        cold = cost_pico(Usage(input_tokens=call.tokens, output_tokens=call.output), model, day) or 0
        rate = model.price(day)
        assert rate is not None
        assert rate.cached_input is not None
        cached = round((cold - call.paid * PICO) / (rate.input - rate.cached_input))
        router.begin(decision).settle(
            Usage(input_tokens=call.tokens, output_tokens=call.output, cached_tokens=max(cached, 0))
        )
        estimated = (decision.chosen.cost or 0) / PICO
        if len(errors[model.id]) >= LEARNT and decision.cost_range is not None:
            for place, most in enumerate(decision.cost_range.values()):
                sums[model.id][3 + place] += call.paid <= most
        errors[model.id].append(abs(estimated / call.paid - 1))
        sums[model.id][0] += estimated
        sums[model.id][1] += call.paid
        sums[model.id][2] += cold / PICO
    print(f"\n{path.name}: estimated before the call against dollars reported after it")
    if strange:
        print(f"  not in the catalog, left out: {', '.join(sorted(strange))}")
    for name, (estimated, paid, cold_sum, *within) in sums.items():
        found, later = errors[name], max(len(errors[name]) - LEARNT, 1)
        medians = [100 * statistics.median(some or [0]) for some in (found[:LEARNT], found[LEARNT:])]
        shares = "/".join(f"{100 * count / later:.1f}" for count in within)
        print(
            f"  {name:10} {len(found):5} calls  estimated {estimated:7.3f}  reported {paid:7.3f}  "
            f"({100 * (estimated / paid - 1):+.1f}%)  median error {medians[0]:.1f}% "
            f"then {medians[1]:.1f}%  within p50/p90/p95 {shares}%  "
            f"without caches {cold_sum:7.3f} ({cold_sum / paid:.1f} times)"
        )


def check(path: Path, calls: Sequence[Call]) -> None:
    """Print what fixed models cost without caches at the trace's own outputs, to compare with others."""
    day = date(2026, 11, 22)
    sums = []
    for name in ("gpt-4o", "gpt-4.1", "gpt-4.1-mini", "gpt-5.4", "gpt-5.4-mini"):
        model = CATALOG.get(name)
        total = sum(
            cost_pico(Usage(input_tokens=call.tokens, output_tokens=call.output), model, day) or 0
            for call in calls
        )
        sums.append(f"{name} {total / PICO:.2f}")
    print(f"\n{path.name}: without caches, outputs as in the trace: {', '.join(sums)}")


def main() -> None:
    """Report on each file."""
    found = arguments(__doc__)
    for path in found.paths:
        calls = read(path, found.calls)
        check(path, calls)
        for day in found.day or DAYS:
            for words in WORLDS:
                report(path, calls, World(day, words), Policy())
        if any(call.paid for call in calls):
            estimates(path, calls)


if __name__ == "__main__":
    main()
