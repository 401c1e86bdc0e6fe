"""Money on real traffic: the router with and without cache-aware switching, against fixed choices.

    python -m benchmarks.money.traffic PATH...

Three kinds of files are understood, by their columns:

* a CSV with ContextTokens and GeneratedTokens (Azure/AzurePublicDataset): single requests;
* JSON lines with hash_ids (kvcache-ai/Mooncake): equal leading ids are a prefix that a cache can serve;
* JSON lines with task, role, model, in_tok, out_tok, cost (calls of sierra-research/tau2-bench): loops.

What other models would have written nobody knows: a configuration is taken to say the trace's output times
its published ratio, and to think as the simulator's do on average, which is published of other questions
than the router's own expectation. Caches are simulated per model with the catalog's terms. The optimum is a
bound: each call takes the cheapest configuration that passes the same floor and can serve it, knowing
its output, and finds in that model's cache all that any earlier call, whoever served it, put there.
"""

from __future__ import annotations

import argparse
import csv
import json
import statistics
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, replace
from datetime import date, datetime
from pathlib import Path
from typing import Any

from routed_llm import (
    Catalog,
    Model,
    NoModelFits,
    Policy,
    Previous,
    Request,
    RequestFacts,
    Router,
    TokenCount,
    Usage,
)
from routed_llm.budget import PICO
from routed_llm.pricing import cost_pico, writes
from routed_llm.simulator.frozen import load

CATALOG = Catalog.load()
BLOCK = 512


@dataclass(frozen=True, slots=True, kw_only=True)
class Call:
    """One call of a trace: when, how large, in which conversation, and its prefix as block ids."""

    at: float
    tokens: int
    output: int
    conversation: str = ""
    blocks: tuple[int, ...] = ()
    tools: bool = False
    model: str = ""
    paid: float | None = None


Chosen = tuple[Model, str | None]


class Caches:
    """The provider's prompt caches, per model, with the catalog's terms."""

    def __init__(self) -> None:
        self._blocks: dict[tuple[str, int], float] = {}
        self._conversations: dict[tuple[str, str], tuple[float, int]] = {}

    def cached(self, name: str, model: Model, call: Call) -> int:
        """Say how many tokens of a call are in a model's cache, under a name of its own."""
        terms = model.cache
        if terms is None:
            return 0
        found = 0
        for block in call.blocks:
            used = self._blocks.get((name, block))
            if used is None or call.at - used > terms.ttl:
                break
            found += BLOCK
        at, tokens = self._conversations.get((name, call.conversation), (-1e18, 0))
        if call.conversation and call.at - at <= terms.ttl:
            found = max(found, tokens)
        found = min(found, call.tokens - 1) // terms.step * terms.step
        return found if found >= terms.min_prefix else 0

    def store(self, name: str, call: Call) -> None:
        """Put a call's prompt into a model's cache."""
        for block in call.blocks:
            self._blocks[name, block] = call.at
        if call.conversation:
            self._conversations[name, call.conversation] = (call.at, call.tokens)


def usage(chosen: Chosen, call: Call, cached: int) -> Usage:
    """Say what a provider would report."""
    model, effort = chosen
    base = CATALOG.get(call.model).output_ratio.get("", 1.0) if call.model else 1.0
    said = min(round(call.output * writes(model, effort).ratio / base), model.limits.max_output)
    written = min(said + thought(model, effort, call), model.limits.max_output)
    keeps = model.cache is not None and call.tokens >= model.cache.min_prefix
    return Usage(
        input_tokens=call.tokens,
        cached_tokens=cached,
        cache_write_tokens=call.tokens - cached if keeps else 0,
        output_tokens=written,
        reasoning_tokens=written - said,
    )


def thought(model: Model, effort: str | None, call: Call) -> int:
    """Say how many tokens a configuration spends on reasoning in the mean."""
    if effort is None or not model.efforts:
        return 0
    rule = load("tokens")["reasoning"]
    family = load("models")["models"].get(model.id, {}).get("family")
    own: dict[str, Any] = next(
        (row for row in rule["others"] if family in row["of"] or model.id in row["of"]), {}
    )
    mean: float = rule["mean"][effort] * own.get("factor", 1.0)
    if call.tools:
        functions = {**rule["functions"], **own}
        mean *= (1 - functions["silent"]) * functions["share"]
    return round(mean)


def fits(model: Model, call: Call) -> bool:
    """Say whether a model can take a call."""
    return call.tokens <= model.limits.max_input and call.tokens + call.output <= model.limits.context_window


def spend(calls: Iterable[Call], choose: Callable[[Call], Chosen], day: date) -> tuple[int, int]:
    """Return picodollars for all calls that the choice can serve, and how many it cannot."""
    caches, total, unserved = Caches(), 0, 0
    for call in calls:
        model, effort = choose(call)
        if not fits(model, call):
            unserved += 1
            continue
        used = usage((model, effort), call, caches.cached(model.id, model, call))
        total += cost_pico(used, model, day) or 0
        caches.store(model.id, call)
    return total, unserved


@dataclass(frozen=True, slots=True, kw_only=True)
class Bill:
    """What a router spent on a trace.

    Attributes:
        first: picodollars for calls that nothing went before.
        later: picodollars for calls that go on from an earlier one.
        unserved: calls that nothing could serve.
        switches: calls within a conversation that went to another model than the one before.
    """

    first: int = 0
    later: int = 0
    unserved: int = 0
    switches: int = 0

    @property
    def total(self) -> int:
        """All picodollars."""
        return self.first + self.later


def routed(calls: list[Call], day: date, policy: Policy, *, aware: bool) -> Bill:
    """Spend on a trace what a router would, told of each call's previous turn or not."""
    router = Router(policy=policy, clock=lambda: day)
    caches, bill = Caches(), Bill()
    before: dict[object, tuple[Call, Previous]] = {}
    for call in calls:
        previous = previous_of(call, before)
        try:
            decision = router.decide(request(call, previous if aware else None))
        except NoModelFits:
            bill = replace(bill, unserved=bill.unserved + 1)
            continue
        assert decision.chosen is not None
        model = CATALOG.get(decision.chosen.model)
        used = usage((model, decision.effort), call, caches.cached(model.id, model, call))
        if any(change.parameter == "prompt_cache_options" for change in decision.changes):
            used = replace(used, cache_write_tokens=0)
        else:
            caches.store(model.id, call)
        spent = cost_pico(used, model, day) or 0
        if previous is None:
            bill = replace(bill, first=bill.first + spent)
        else:
            left = previous.model != model.id
            bill = replace(bill, later=bill.later + spent, switches=bill.switches + left)
        router.begin(decision).settle(used)
        for name in names(call):
            before[name] = (call, Previous(model=model.id, effort=decision.effort))
    return bill


def previous_of(call: Call, before: dict[object, tuple[Call, Previous]]) -> Previous | None:
    """Return who answered the turn before, and how much of it stands in this call."""
    last = next((before[name] for name in names(call) if name in before), None)
    if last is None:
        return None
    return replace(last[1], prefix_tokens=prefix(last[0], call), age=call.at - last[0].at)


def names(call: Call) -> Iterator[object]:
    """Give the names under which a later turn finds this one, the closest first.

    The turn before is the last call that shares the longest prefix: what a program that keeps its
    conversations knows, and Mooncake's trace does not say.
    """
    yield from reversed(call.blocks)
    if call.conversation:
        yield call.conversation


def prefix(last: Call, call: Call) -> int:
    """Say how many tokens two calls begin with in common."""
    if call.conversation:
        return last.tokens
    same = 0
    for one, other in zip(last.blocks, call.blocks, strict=False):
        if one != other:
            break
        same += BLOCK
    return min(same, call.tokens)


def request(call: Call, previous: Previous | None) -> Request:
    """Make the request that an adapter would."""
    facts = RequestFacts(tokens=TokenCount.of(call.tokens), tools=3 if call.tools else 0, previous=previous)
    return Request(facts=facts, texts=(), fixed=call.tokens)


def passing(call: Call, day: date, policy: Policy, kept: dict[object, list[Chosen]]) -> list[Chosen]:
    """List the configurations that pass the floor for calls like this one."""
    key = (call.tools, call.tokens > 64_000)
    if key not in kept:
        probe = Call(at=0, tokens=64_001 if key[1] else 100, output=1, tools=call.tools)
        decision = Router(policy=policy, clock=lambda: day).explain(request(probe, None))
        kept[key] = [
            (CATALOG.get(candidate.model), candidate.effort)
            for candidate in decision.candidates
            if candidate.cost is not None and all(r.code in ("dearer",) for r in candidate.reasons)
        ]
    return kept[key]


def optimum(calls: list[Call], day: date, policy: Policy) -> int:
    """Bound the least that the calls could have cost."""
    caches, total = Caches(), 0
    kept: dict[object, list[Chosen]] = {}
    for call in calls:
        costs = []
        for chosen in passing(call, day, policy, kept):
            if fits(chosen[0], call):
                cached = caches.cached("any", chosen[0], call)
                costs.append(cost_pico(usage(chosen, call, cached), chosen[0], day) or 0)
        total += min(costs, default=0)
        caches.store("any", call)
    return total


def cheapest_listed(day: date, policy: Policy, *, tools: bool) -> Chosen:
    """Return the model with the lowest list price among those that pass, at its own default effort."""
    call = Call(at=0, tokens=100, output=1, tools=tools)
    models = {model.id: model for model, _ in passing(call, day, policy, {})}

    def listed(model: Model) -> int:
        row = model.price(day)
        return 0 if row is None else row.input + row.output

    model = min(models.values(), key=listed)
    return model, model.default_effort


def read(path: Path) -> list[Call]:
    """Read a trace."""
    if path.suffix == ".csv":
        with path.open(newline="") as lines:
            return [
                Call(at=n, tokens=int(row["ContextTokens"]), output=int(row["GeneratedTokens"]))
                for n, row in enumerate(csv.DictReader(lines))
            ]
    rows = [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]
    if "hash_ids" in rows[0]:
        return [
            Call(at=row["timestamp"] / 1000, tokens=row["input_length"], output=row["output_length"],
                 blocks=tuple(row["hash_ids"]))
            for row in rows
        ]  # fmt: skip
    return [
        Call(at=datetime.fromisoformat(row["ts"]).timestamp(), tokens=row["in_tok"], output=row["out_tok"],
             conversation=f"{row['run']} {row['task']} {row['role']}", tools=row["role"] == "agent",
             model=row["model"], paid=row["cost"])
        for row in rows
    ]  # fmt: skip


def dollars(pico: int) -> str:
    """Write an amount."""
    return f"{pico / PICO:10.3f}"


def report(path: Path, day: date) -> None:
    """Print what each choice costs on one file."""
    calls, policy = read(path), Policy()
    tools = any(call.tools for call in calls)
    least = optimum(calls, day, policy)
    print(f"\n{path.name}: {len(calls):,} calls, priced on {day}; dollars, regret against the bound")
    print(f"  {'clairvoyant bound':44}{dollars(least)}")
    fixed: list[tuple[str, Chosen]] = [
        ("always gpt-4o", (CATALOG.get("gpt-4o"), None)),
        ("always gpt-5.4 (effort none)", (CATALOG.get("gpt-5.4"), "none")),
    ]
    listed = cheapest_listed(day, policy, tools=tools)
    below = (
        ""
        if listed in passing(Call(at=0, tokens=100, output=1, tools=tools), day, policy, {})
        else " (below the floor)"
    )
    fixed.append((f"cheapest by list price: {listed[0].id}@{listed[1]}{below}", listed))
    bills = {aware: routed(calls, day, policy, aware=aware) for aware in (True, False)}
    for aware, bill in bills.items():
        name = f"router, {'cache-aware' if aware else 'blind to caches'} ({bill.switches} switches)"
        line(name, bill.total, bill.unserved, least)
    saved = [getattr(bills[False], part) - getattr(bills[True], part) for part in ("first", "later")]
    print(
        f"    awareness saves{dollars(sum(saved))}: {dollars(saved[1]).strip()} on calls that go on from an "
        f"earlier one, {dollars(saved[0]).strip()} on first calls, where it has nothing to say"
    )
    for name, chosen in fixed:
        line(name, *spend(calls, lambda _, chosen=chosen: chosen, day), least)


def line(name: str, total: int, unserved: int, least: int) -> None:
    """Print one row."""
    more = f"  {unserved} calls not served" if unserved else ""
    print(f"  {name:44}{dollars(total)}  {100 * (total / least - 1):+7.1f}%{more}")


def estimates(path: Path) -> None:
    """Compare estimated with reported dollars, for calls whose price is in the trace."""
    calls = [call for call in read(path) if call.paid]
    day = date(2026, 4, 24)
    errors: dict[str, list[float]] = defaultdict(list)
    sums: dict[str, list[float]] = defaultdict(lambda: [0.0, 0.0, 0.0])
    seen: dict[str, Call] = {}
    routers: dict[str, Router] = {}
    for call in calls:
        model = CATALOG.get(call.model)
        router = routers.setdefault(
            model.id, Router(policy=Policy(models=model.id, at_least=None), clock=lambda: day)
        )
        last = seen.get(call.conversation)
        previous = None if last is None else Previous(model=model.id, prefix_tokens=last.tokens)
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
        errors[model.id].append(abs(estimated / call.paid - 1))
        sums[model.id][0] += estimated
        sums[model.id][1] += call.paid
        sums[model.id][2] += cold / PICO
    print(f"\n{path.name}: estimated before the call against dollars reported after it")
    for name, (estimated, paid, cold_sum) in sums.items():
        found = sorted(errors[name])
        print(
            f"  {name:10} {len(found):5} calls  estimated {estimated:7.3f}  reported {paid:7.3f}  "
            f"({100 * (estimated / paid - 1):+.1f}%)  median error {100 * statistics.median(found):.1f}%  "
            f"without caches {cold_sum:7.3f} ({cold_sum / paid:.1f} times)"
        )


def check(path: Path) -> None:
    """Print what fixed models cost without caches at the trace's own outputs, to compare with others."""
    day = date(2026, 11, 22)
    sums = []
    for name in ("gpt-4o", "gpt-4.1", "gpt-4.1-mini", "gpt-5.4", "gpt-5.4-mini"):
        model = CATALOG.get(name)
        total = sum(
            cost_pico(Usage(input_tokens=call.tokens, output_tokens=call.output), model, day) or 0
            for call in read(path)
        )
        sums.append(f"{name} {total / PICO:.2f}")
    print(f"\n{path.name}: without caches, outputs as in the trace: {', '.join(sums)}")


def arguments(doc: str | None) -> list[Path]:
    """Return the traces named on the command line; at least one."""
    parser = argparse.ArgumentParser(description=(doc or "").partition("\n")[0])
    parser.add_argument(
        "paths", metavar="PATH", type=Path, nargs="+", help="a trace; see the module's docstring"
    )
    found: list[Path] = parser.parse_args().paths
    return found


def main() -> None:
    """Report on each file."""
    for path in arguments(__doc__):
        check(path)
        for day in (date(2026, 11, 22), date(2026, 4, 24)):
            report(path, day)
        if read(path)[0].paid is not None:
            estimates(path)


if __name__ == "__main__":
    main()
