"""Time travel: 2026 once more, day by day, for whoever updates and whoever does not.

    python -m benchmarks.operations.time_travel [--days 30] [--kind price]

``changes.toml`` lists what OpenAI changed; it was frozen before this was written. For each change there are
programs that may feel it: one that asks for the least money at gpt-4o's quality, one that asks for the best
answer under five cents, one held to the changed model itself, and one that is switched off, so that its own
model answers. Each makes a call a day from two days before a change to some weeks after, on the simulated
provider of that day, which has its own dates and prices. The same calls are made

- with updates: routed-llm-catalog of each day, published on the day of a change or some days later;
- without: the catalog of 2026-01-01;
- without, but with the account read each day (``Router(refresh=...)``: its models, their ends, and the prices
  of genai-prices);
- by litellm's reload: the cheapest model of its map (``cost-based-routing``), which is read anew each day,
  among those that pass the same quality floor at the time. The map is that of the newest wheel at 28 days of
  the year; the live file, which a reload reads, was ahead of it by some days, and is not to be had for the
  past. Its router reads no ``deprecation_date`` (1.110.2).

A catalog of a day is today's without what was not public then: models, prices, announced ends, and what was
named in a model's place. Quality is known to everybody. Reported for each change and way: days until the
decision is the one that the catalog of that day makes; dollars that the books and the bill differ by, for
10,000 calls a day; requests that the provider refused, and calls that got no answer. Days are looked at one
by one for a week, then every fourth.
"""

from __future__ import annotations

import argparse
import json
import tempfile
import tomllib
from collections import defaultdict
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal
from functools import cache, lru_cache
from pathlib import Path
from typing import Any

import openai

from routed_llm import Catalog, Policy, RoutedError, Router, read_openai
from routed_llm.calls.driver import Driven, flow
from routed_llm.calls.refresh import listing, look
from routed_llm.calls.runners import run
from routed_llm.calls.wired import Prepared, Wired
from routed_llm.catalog.compile import compile_catalog
from routed_llm.simulator import Simulator, serve

HERE = Path(__file__).parent
CHANGES: list[dict[str, Any]] = tomllib.loads((HERE / "changes.toml").read_text("utf-8"))["changes"]
START = date(2026, 1, 1)
BEFORE = 2
CALLS = 10_000
DATA = compile_catalog()


@cache
def public(day: date) -> Catalog:
    """Return the catalog of a day: today's without what nobody knew then."""
    models = {}
    for name, model in DATA["models"].items():
        life = model["lifecycle"]
        released = life.get("released")
        if released is not None and released > str(day):
            continue
        if (
            released is None
            and model["prices"]["rows"]
            and all(row.get("since", "2020-01-01") > str(day) for row in model["prices"]["rows"])
        ):
            continue
        rows = [row for row in model["prices"]["rows"] if row.get("since", "2020-01-01") <= str(day)]
        models[name] = {
            **model,
            "prices": {**model["prices"], "rows": rows},
            "lifecycle": lifecycle(name, life, day),
        }
    return Catalog({**DATA, "digest": f"{day:%Y%m%d}{DATA['digest']}", "models": models})


def lifecycle(name: str, life: dict[str, Any], day: date) -> dict[str, Any]:
    """Return what was known of a model's end."""
    announced = life.get("deprecated") or (life.get("shutdown") and "2026-10-01")
    if announced is None or announced > str(day):
        return {
            key: value for key, value in life.items() if key not in ("deprecated", "shutdown", "replacement")
        }
    named = [
        (change["day"], change["replacement"])
        for change in CHANGES
        if name in change["models"] and "replacement" in change
    ]
    before = [replacement for known, replacement in sorted(named) if known <= day]
    if before and named[-1][0] > day:
        return {**life, "replacement": before[-1]}
    return life


@dataclass(frozen=True)
class Program:
    """A program that calls once a day.

    Attributes:
        name: what it asks for.
        policy: its policy.
        mode: who answers.
    """

    name: str
    policy: Policy
    mode: str = "route"


def programs(change: dict[str, Any]) -> Iterator[Program]:
    """Yield the programs that may feel a change."""
    yield Program("least money", Policy())
    yield Program("best under 5 cents", Policy(optimize="quality", max_cost_per_call="0.05"))
    for model in change["models"][:2]:
        if change["kind"] != "release":
            yield Program(f"held to {model}", Policy(baseline=model))
        yield Program(f"off, {model}", Policy(baseline=model), mode="off")


ASKED: dict[str, Any] = {
    "model": "auto",
    "messages": [{"role": "user", "content": "Explain tides to a child. " + "Use plain words. " * 50}],
}


@dataclass
class Outcome:
    """What became of one call."""

    served: str | None = None
    decided: str | None = None
    booked: Decimal = Decimal(0)
    billed: Decimal = Decimal(0)
    refused: int = 0


class World:
    """The simulated provider and a client of it."""

    def __init__(self, simulator: Simulator) -> None:
        self.simulator = simulator
        self.client = openai.OpenAI(base_url=simulator.url, api_key="any", max_retries=0)

    def send(self, prepared: Prepared) -> dict[str, Any]:
        """Send a body once."""
        where: Any = (
            self.client.responses if prepared.endpoint == "responses" else self.client.chat.completions
        )
        answer: dict[str, Any] = where.create(**prepared.body).to_dict()
        return answer

    def measured(self, call: Callable[[Outcome], None]) -> Outcome:
        """Make a call and see what the provider has of it."""
        self.simulator.reset()
        found = Outcome()
        with suppress(openai.APIError, RoutedError):
            call(found)
        journal = self.simulator.journal
        found.billed = self.simulator.billed
        found.refused = sum(entry.status >= 400 for entry in journal)
        return found

    def routed(self, program: Program, catalog: Catalog, day: date) -> Outcome:
        """Make a program's call with a catalog."""

        def call(found: Outcome) -> None:
            router = router_of(catalog, program)
            moment = datetime.combine(day, time(12), UTC)
            request = read_openai(ASKED)
            decision = router.decide(request, at=moment)
            found.decided = decision.model
            driven = Driven(
                router,
                decision,
                Wired(asked=ASKED, catalog=catalog),
                lambda decision, since: router.attempts(request, decision, at=moment, since=since),
            )
            run(flow(driven), self.send)
            record = driven.record or {}
            found.served = record.get("served")
            found.booked = Decimal(record.get("cost") or 0)

        return self.measured(call)

    def by_litellm(self, program: Program, day: date) -> Outcome:
        """Make a program's call as litellm would."""
        rates = rates_of(day)

        def call(found: Outcome) -> None:
            if program.mode == "off":
                found.decided = program.policy.baseline
            else:
                truth = router_of(public(day), program).explain(read_openai(ASKED), at=noon(day))
                passing = {
                    row.model
                    for row in truth.candidates
                    if not any(reason.code.startswith("floor") for reason in row.reasons)
                }
                names = [name for name in rates if name in passing]
                if not names:
                    return
                found.decided = min(names, key=lambda name: (sum(rates[name]), name))
            answer = self.client.chat.completions.create(
                model=found.decided, messages=ASKED["messages"]
            ).to_dict()
            found.served = answer["model"]
            usage: Any = answer["usage"]
            each = rates.get(
                found.decided, (0.0, 0.0)
            )  # its calculator books nothing for a model that it does not know
            tokens = (usage["prompt_tokens"], usage["completion_tokens"])
            found.booked = sum(
                (Decimal(str(rate)) * count / 1_000_000 for rate, count in zip(each, tokens, strict=True)),
                Decimal(0),
            )

        return self.measured(call)


@lru_cache(maxsize=64)
def router_of(catalog: Catalog, program: Program) -> Router:
    """Return the router of a program under a catalog."""
    return Router(
        catalog=catalog, policy=program.policy, mode=program.mode, observe=False, clock=lambda: noon(START)
    )


def noon(day: date) -> datetime:
    """Return the middle of a day."""
    return datetime.combine(day, time(12), UTC)


@cache
def maps() -> list[tuple[date, dict[str, tuple[float, float]]]]:
    """Return litellm's maps, oldest first."""
    rows: dict[str, tuple[float, float]] = {}
    found = []
    for entry in json.loads((HERE / "litellm_maps.json").read_text("utf-8"))["days"]:
        rows = {name: row for name, row in rows.items() if name not in entry["gone"]}
        rows |= {name: (row[0], row[1]) for name, row in entry["changed"].items()}
        found.append((date.fromisoformat(entry["day"]), rows))
    return found


def rates_of(day: date) -> dict[str, tuple[float, float]]:
    """Return the rates of litellm's map on a day."""
    return [rows for since, rows in maps() if since <= day][-1]


@dataclass
class Tally:
    """What one way made of one change."""

    late: list[int] = field(default_factory=list)
    mispriced: Decimal = Decimal(0)
    refused: int = 0
    unanswered: int = 0


WAYS = ("updates", "3 days late", "without", "account read", "litellm")


def travel(
    world: World, change: dict[str, Any], days: int, refreshed: Callable[[date], Catalog]
) -> dict[str, Tally]:
    """Live through one change."""
    found: dict[str, Tally] = defaultdict(Tally)
    first = max(change["day"] - timedelta(days=BEFORE), START)
    last = min(change["day"] + timedelta(days=days), date(2026, 12, 31))
    every = [first + timedelta(days=number) for number in range((last - first).days + 1)]
    span = [day for day in every if (day - change["day"]).days <= 7 or (day - change["day"]).days % 4 == 0]
    for program in programs(change):
        if program.policy.baseline not in public(change["day"]):
            continue
        right: dict[date, str | None] = {}
        seen: dict[str, dict[date, str | None]] = defaultdict(dict)
        for day in span:
            world.simulator.at = day
            asked = read_openai(ASKED)
            right[day] = None
            with suppress(RoutedError):
                right[day] = router_of(public(day), program).decide(asked, at=noon(day)).model
            if right[day] is None:
                continue  # nobody can make this call: its model is not there yet
            outcomes = {
                "updates": world.routed(program, public(day), day),
                "3 days late": world.routed(program, public(max(day - timedelta(days=3), START)), day),
                "without": world.routed(program, public(START), day),
                "account read": world.routed(program, refreshed(day), day),
                "litellm": world.by_litellm(program, day),
            }
            for way, outcome in outcomes.items():
                seen[way][day] = outcome.decided
                found[way].mispriced += CALLS * abs(outcome.booked - outcome.billed)
                found[way].refused += outcome.refused
                found[way].unanswered += outcome.served is None
        if right[change["day"]] == right[first]:
            continue  # the change decides nothing here
        for way in WAYS:
            late = [day for day in span if day >= change["day"] and seen[way][day] == right[day]]
            found[way].late.append((late[0] - change["day"]).days if late else days + 1)
    return found


def main() -> int:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--days", type=int, default=30, help="days after a change (default: 30)")
    parser.add_argument("--kind", default="", help="only changes of this kind")
    options = parser.parse_args()
    totals: dict[str, Tally] = defaultdict(Tally)
    with serve(at=START) as simulator, tempfile.TemporaryDirectory():
        world = World(simulator)

        read: dict[date, Catalog] = {START: public(START)}

        def refreshed(day: date) -> Catalog:
            from genai_prices.data_snapshot import get_snapshot

            if day not in read:
                base = read[max(known for known in read if known < day)]
                listed = listing(simulator.url, "any", noon(day))
                seen = look(base, noon(day), listed=listed, snapshot=get_snapshot())
                read[day] = base.with_models(seen.entries)
            return read[day]

        heads = f"{'days late':>12} {'mispriced $':>12} {'refused':>8} {'unanswered':>10}"
        print(f"{'change':<58} {'way':<13} {heads}")
        for change in CHANGES:
            if options.kind and change["kind"] != options.kind:
                continue
            found = travel(world, change, options.days, refreshed)
            name = f"{change['day']} {change['kind']} {', '.join(change['models'])}"
            for way in WAYS:
                tally = found[way]
                total = totals[way]
                total.late += tally.late
                total.mispriced += tally.mispriced
                total.refused += tally.refused
                total.unanswered += tally.unanswered
                late = "-" if not tally.late else f"{min(tally.late)}..{max(tally.late)}"
                figures = f"{tally.mispriced:>12,.2f} {tally.refused:>8} {tally.unanswered:>10}"
                print(f"{name[:58]:<58} {way:<13} {late:>12} {figures}", flush=True)
                name = ""
    print()
    for way in WAYS:
        total = totals[way]
        right = sum(days == 0 for days in total.late)
        never = sum(days > options.days for days in total.late)
        mean = sum(total.late) / len(total.late) if total.late else 0.0
        print(
            f"{way:<13} of {len(total.late)} decisions that a change turns {right} right the same day, "
            f"{never} not within {options.days} days, {mean:.1f} days on average; ${total.mispriced:,.2f} "
            f"mispriced; {total.refused} requests refused; {total.unanswered} calls unanswered"
        )
    return int(bool(totals["updates"].mispriced or totals["updates"].refused))


if __name__ == "__main__":
    raise SystemExit(main())
