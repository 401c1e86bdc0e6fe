"""The time of answers, predicted against drawn, on simulated time: nothing waits.

    python -m benchmarks.latency [CALLS]

As many requests of everyday sizes are decided one after another, and each answer's time is drawn from the
simulator's own data (``src/routed_llm/simulator/data/latency.toml``), which was set by other sources than the
classes of the catalog. Reported are, for a fresh process and for one that begins with what an earlier one
learned:

* the error of the predicted median (how far the median of drawn / predicted is from 1),
* how many answers came within the predicted 90th percentile (88 to 92 of 100 are wanted),
* violations of an explicit ``max_seconds``: calls decided at a prediction above it,
* what the default guard against slow answers costs, against ``slower_than_baseline=None``.
"""

from __future__ import annotations

import math
import sys
from datetime import date
from random import Random
from statistics import median

from routed_llm import Catalog, Policy, RequestFacts, TokenCount, select
from routed_llm.catalog import Model
from routed_llm.decision import Decision
from routed_llm.ledger.observer import Observer
from routed_llm.pricing import writes
from routed_llm.simulator.latency import taken
from routed_llm.usage import Timing, Usage

DAY = date(2026, 11, 29)
SPREAD = 0.5
"""Standard deviation of the logarithm of how much is said, and thought, around what is expected."""
GAP = 20.0
"""Seconds between calls."""
LIMIT = 6.0


def requests(count: int, random: Random) -> list[RequestFacts]:
    """Make requests of everyday sizes: chats, steps of agents, documents; half of them streamed."""
    found = []
    for _ in range(count):
        tokens = round(math.exp(random.gauss(7.3, 1.4))) + 20
        tools = 6 if random.random() < 0.3 else 0
        cap = random.choice([None, None, 200, 1000])
        stream = random.random() < 0.5
        found.append(
            RequestFacts(tokens=TokenCount.of(min(tokens, 120_000)), tools=tools, cap=cap, stream=stream)
        )
    return found


class Process:
    """Decides calls, draws their times, learns."""

    def __init__(self, policy: Policy, observer: Observer, clock: list[float]) -> None:
        self.catalog = Catalog.load()
        self.policy, self.observer, self.clock = policy, observer, clock
        self.first: list[tuple[float, float, float]] = []
        self.whole: list[tuple[float, float, float]] = []
        self.cost = 0
        self.violations = 0
        self.refused = 0

    def run(self, asked: list[RequestFacts], seed: str, random: Random) -> None:
        """Decide each request and learn from its answer."""
        for number, facts in enumerate(asked):
            self.clock[0] += GAP
            decision = select(
                facts, policy=self.policy, catalog=self.catalog, at=DAY, observed=self.observer.value
            )
            if decision.chosen is None:
                self.refused += 1
                continue
            self._answer(decision, f"{seed}|{number}", random)

    def _answer(self, decision: Decision, seed: str, random: Random) -> None:
        chosen, seconds = decision.chosen, decision.seconds
        assert chosen is not None
        assert seconds is not None
        model = self.catalog.get(chosen.model)
        usage = drawn(decision, model, random)
        day = f"day {int(self.clock[0] // 86_400)}"
        took = taken(
            chosen.model,
            uncached=usage.input_tokens,
            thinking=usage.reasoning_tokens,
            said=usage.output_tokens - usage.reasoning_tokens,
            day=day,
            seed=seed,
        )
        if self.policy.max_seconds is not None and seconds.whole_p90 > self.policy.max_seconds:
            self.violations += 1
        stream = decision.facts.stream
        self.first.append((seconds.first, seconds.first_p90, took.first))
        self.whole.append((seconds.whole, seconds.whole_p90, took.whole))
        self.cost += chosen.cost or 0
        timing = Timing(took.first, None) if stream else Timing(None, took.whole)
        self.observer.learn(decision, model, usage, base=None, timing=timing)


def drawn(decision: Decision, model: Model, random: Random) -> Usage:
    """Draw what a call uses, around what is expected of it."""
    chosen = decision.chosen
    assert chosen is not None
    written = writes(model, chosen.effort)
    said = min(211.0 if not decision.facts.tools else 59.0, decision.facts.cap or math.inf) * written.ratio
    thought = max(chosen.output_tokens - said, 0.0) if written.reasoning else 0.0
    factor = math.exp(random.gauss(-SPREAD * SPREAD / 2, SPREAD))
    wild = math.exp(random.gauss(-SPREAD * SPREAD / 2, SPREAD))
    reasoning = round(thought * wild)
    return Usage(
        input_tokens=chosen.input_tokens,
        output_tokens=max(round(said * factor), 1) + reasoning,
        reasoning_tokens=reasoning,
    )


def line(name: str, process: Process, skip: int) -> str:
    """Sum up one process, its first calls left out or not."""
    cells = [name.ljust(34)]
    for found in (process.first[skip:], process.whole[skip:]):
        error = median([took / p50 for p50, _, took in found]) - 1
        spread = median([abs(math.log(took / p50)) for p50, _, took in found])
        within = sum(took <= p90 for _, p90, took in found) / len(found)
        cells.append(
            f"median {100 * error:+5.1f} %  typical error {100 * math.expm1(spread):3.0f} %  "
            f"within p90 {100 * within:4.1f} %"
        )
    return " | ".join(cells)


def main(arguments: list[str]) -> None:
    """Print the report."""
    count = int(arguments[0]) if arguments else 600
    print(f"{count} calls a process; first token | whole answer")
    clock = [0.0]
    observer = Observer(clock=lambda: clock[0])
    asked = requests(count, Random(1))
    fresh = Process(Policy(), observer, clock)
    fresh.run(asked, "first", Random(2))
    print(line("fresh, its first 50 calls", cut(fresh, 50), 0))
    print(line("fresh, all calls", fresh, 0))
    second = Process(Policy(), observer, clock)
    second.run(requests(count, Random(3)), "second", Random(4))
    print(line("begins with what was learned", second, 0))
    limited = Process(Policy(max_seconds=LIMIT), observer, clock)
    limited.run(requests(count, Random(5)), "third", Random(6))
    over = sum(took > LIMIT for _, _, took in limited.whole)
    print(line(f"max_seconds={LIMIT:g}", limited, 0))
    print(
        f"  decided above the limit: {limited.violations}; refused: {limited.refused}; answers that took "
        f"longer: {over} of {len(limited.whole)} (at most one in ten is wanted)"
    )
    for at in (date(2026, 4, 24), DAY):
        print(price(asked, at))


def cut(process: Process, most: int) -> Process:
    """Return a process with its first calls alone."""
    part = Process(process.policy, process.observer, process.clock)
    part.first, part.whole = process.first[:most], process.whole[:most]
    return part


def price(asked: list[RequestFacts], at: date) -> str:
    """Say what the default guard costs, and what it saves in time."""
    catalog = Catalog.load()
    sums = []
    for policy in (
        Policy(),
        Policy(slower_than_baseline=None),
        Policy(second_worth="0.001"),
        Policy(optimize="latency"),
    ):
        found = [select(one, policy=policy, catalog=catalog, at=at) for one in asked]
        money = sum(float(one.dollars or 0) for one in found)
        waits = [one.seconds.first if one.facts.stream else one.seconds.whole for one in found if one.seconds]
        sums.append(f"${money:.3f} and {sum(waits) / len(waits):.1f} s")
    names = ("by default", "without the guard", "a second worth 0.1 cent", "optimize=latency")
    return f"{at}: " + "; ".join(f"{name} {text}" for name, text in zip(names, sums, strict=True))


if __name__ == "__main__":
    main(sys.argv[1:])
