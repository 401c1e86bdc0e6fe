"""Calls that come all at once, under rate limits like those of an account's first tier, on simulated time.

    python -m benchmarks.capacity.spread [CALLS]

2,000 calls when left out, four models. The provider is the simulator's own buckets, which refill evenly, and
its answers take as long as the simulator says. Compared are:

* this router with a deadline, and without one: the real driver, on simulated time; it knows of no limit
  before the first answer;
* reactive fallback: the cheapest model, the next one on a 429, the provider's own wait when all refuse;
* litellm's own Router with ``usage-based-routing-v2``, on the same simulated time, where litellm and
  time-machine can be imported: it is told all limits, and a call that it gives up is made again after as
  long as it says;
* a clairvoyant schedule of :mod:`benchmarks.capacity.optimum`, which knows limits, sizes and times.

Throughput is compared with the least time that any schedule can take.
"""

from __future__ import annotations

import argparse
import heapq
import json
import random
import sys
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from functools import partial
from importlib.util import find_spec
from typing import Any

from benchmarks.capacity.optimum import Plan, cheapest, schedule, soonest
from routed_llm import Catalog, Policy, Router, Usage, cost
from routed_llm.calls import router as routers
from routed_llm.calls.driver import Keep, Send, Wait, flow
from routed_llm.calls.endpoint_call import Called, EndpointCall, FailedReply
from routed_llm.calls.endpoints import Endpoints
from routed_llm.exchange import note_head
from routed_llm.simulator.failures import ApiFailure
from routed_llm.simulator.latency import taken
from routed_llm.simulator.limits import RateLimits

NOON = datetime(2026, 11, 29, 12, tzinfo=UTC)
LIMITS = {
    "gpt-5.4-nano": (200_000, 500),
    "gpt-4.1-mini": (200_000, 500),
    "gpt-5.4-mini": (500_000, 500),
    "gpt-4.1": (30_000, 500),
}
"""Tokens and requests a minute of tier 1: gpt-4.1's as OpenAI's model pages have them; for gpt-5.4-mini and
-nano those of gpt-5-mini and gpt-4.1-nano are taken."""
CAP = 300
CATALOG = Catalog.load()


@dataclass(frozen=True)
class Call:
    """One call: its text, what it counts for in rate limits, and what is written."""

    text: str
    tokens: int
    said: int
    seed: str

    @property
    def reserved(self) -> int:
        """What it counts for: its input and its cap."""
        return self.tokens + CAP

    def seconds(self, model: str) -> float:
        """Return how long a model takes."""
        return taken(model, uncached=self.tokens, thinking=0, said=self.said, seed=self.seed).whole

    def dollars(self, model: str) -> float:
        """Return what it costs on a model."""
        usage = Usage(input_tokens=self.tokens, output_tokens=self.said)
        return float(cost(usage, CATALOG.get(model), NOON.date()) or 0)


def calls(count: int) -> list[Call]:
    """Make calls of 20 to 900 tokens."""
    chance = random.Random(19)
    found = []
    for at in range(count):
        words = chance.randint(10, 890)
        found.append(Call("word " * words, words + 8, chance.randint(20, 280), str(at)))
    return found


@dataclass
class World:
    """Simulated time, the provider, and what came of the calls."""

    now: float = 0.0
    refused: int = 0
    failed: int = 0
    dollars: float = 0.0
    sent: float = 0.0
    ended: float = 0.0
    served: Counter[str] = field(default_factory=Counter)
    _events: list[tuple[float, int, Callable[[], object]]] = field(default_factory=list)
    _count: int = 0

    def __post_init__(self) -> None:
        self.provider = RateLimits(lambda: self.now)
        for model, (tpm, rpm) in LIMITS.items():
            self.provider.set(model, tpm=tpm, rpm=rpm)

    def after(self, seconds: float, do: Callable[[], object]) -> None:
        """Let something be done later."""
        self._count += 1
        heapq.heappush(self._events, (self.now + seconds, self._count, do))

    def run(self) -> World:
        """Let time pass until nothing is left to be done."""
        while self._events:
            self.now, _, do = heapq.heappop(self._events)
            do()
        return self

    def ask(self, call: Call, model: str, answered: Callable[[dict[str, str]], object]) -> ApiFailure | None:
        """Send a call; return its refusal, or let the answer's headers come later."""
        try:
            said = self.provider.spend(model, call.reserved)
        except ApiFailure as error:
            self.refused += 1
            return error
        self.served[model] += 1
        self.dollars += call.dollars(model)
        self.sent = self.now
        seconds = call.seconds(model)
        self.ended = max(self.ended, self.now + seconds)
        self.after(seconds, lambda: answered(said))
        return None


class Routed:
    """Sends calls through this router: its own driver, with time and answers of the world."""

    def __init__(self, deadline: float | None, wish: dict[str, Any]) -> None:
        self.world = World()
        routers.monotonic = lambda: self.world.now  # type: ignore[assignment,attr-defined] # simulated time
        policy = Policy(models=list(LIMITS), at_least=None, **wish)
        router = Router(policy=policy, clock=self.moment, observe=False)
        self.router, self.endpoints, self.deadline = router, Endpoints(router), deadline

    def moment(self) -> datetime:
        """Return the simulated time."""
        return NOON + timedelta(seconds=self.world.now)

    def begin(self, one: Call) -> None:
        """Decide a call and let it wait in line."""
        body = {
            "model": "auto",
            "messages": [{"role": "user", "content": one.text}],
            "max_tokens": CAP,
        }
        said = None if self.deadline is None else {"deadline": self.deadline}
        call = EndpointCall(self.endpoints, Called(endpoint="chat_completions", body=body, routing=said))
        driven = call.driven(self.router.decide(call.request, call.options))
        driven.clock = lambda: self.world.now
        way = flow(driven)
        self.go_on(one, way, partial(next, way))

    def go_on(self, one: Call, way: Any, step: Callable[[], Any]) -> None:
        """Do what is to be done next for a call."""
        try:
            effect = step()
            while isinstance(effect, Keep):
                effect = way.send(effect.work())
        except StopIteration:
            return
        except Exception:  # noqa: BLE001 - whatever ends a call is counted
            self.world.failed += 1
            return
        if isinstance(effect, Wait):
            self.world.after(effect.seconds, partial(self.go_on, one, way, partial(way.send, None)))
        elif isinstance(effect, Send):
            self.send(one, way, effect)

    def send(self, one: Call, way: Any, effect: Send) -> None:
        """Send a call; its answer or its refusal goes on with it."""
        model = effect.prepared.model

        def answered(headers: dict[str, str]) -> None:
            self.hear(effect, headers)
            self.go_on(one, way, partial(way.send, answer(model, one)))

        error = self.world.ask(one, model, answered)
        if error is not None:
            self.hear(effect, error.headers)
            failure = FailedReply(error.status, error.headers, json.dumps({"error": error.error}).encode())
            self.world.after(0.05, partial(self.go_on, one, way, partial(way.throw, failure)))

    @staticmethod
    def hear(effect: Send, headers: dict[str, str]) -> None:
        """Let the router hear the head of an answer."""
        with effect.exchange.current():
            note_head(headers)


def routed(wanted: list[Call], deadline: float | None, **wish: Any) -> World:
    """Send the calls through this router, all at once."""
    made = Routed(deadline, wish)
    for one in wanted:
        made.begin(one)
    return made.world.run()


def answer(model: str, call: Call) -> dict[str, Any]:
    """Return a Chat Completion."""
    message = {"role": "assistant", "content": "word " * call.said}
    usage = {"prompt_tokens": call.tokens, "completion_tokens": call.said}
    choice = {"index": 0, "message": message, "finish_reason": "stop"}
    return {"id": "c", "model": model, "choices": [choice], "usage": usage}


def by_price() -> list[str]:
    """List the models, the cheapest first."""
    usual = Call("", 450, 150, "")
    return sorted(LIMITS, key=usual.dollars)


def reactive(wanted: list[Call]) -> World:
    """Send each call to the cheapest, and on when it is refused."""
    world, order = World(), by_price()

    def attempt(one: Call, at: int, waits: tuple[float, ...]) -> None:
        error = world.ask(one, order[at], lambda _: None)
        if error is None:
            return
        waits = (*waits, int(error.headers.get("retry-after-ms", "1000")) / 1000)
        if at + 1 < len(order):
            world.after(0.05, lambda: attempt(one, at + 1, waits))
        else:
            world.after(max(min(waits), 0.5), lambda: attempt(one, 0, ()))

    for one in wanted:
        attempt(one, 0, ())
    return world.run()


def clairvoyant(wanted: list[Call], deadline: float | None) -> World:
    """Send the calls as they are sent soonest, or at the least cost in time."""
    sizes = [one.reserved for one in wanted]
    plan = best(wanted, deadline)
    world = World()

    def latest(call: int, model: str) -> float:
        return 0.0 if deadline is None else deadline - wanted[call].seconds(model)

    for at, call, model in schedule(plan, sizes, LIMITS, latest):
        world.after(at, partial(world.ask, wanted[call], model, lambda _: None))
    return world.run()


def best(wanted: list[Call], deadline: float | None) -> Plan:
    """Return the least time that the calls can be sent in, or their least cost with a deadline."""
    sizes = [one.reserved for one in wanted]
    if deadline is None:
        return soonest(sizes, LIMITS)
    return cheapest(
        sizes,
        LIMITS,
        deadline=deadline,
        seconds=lambda call, model: wanted[call].seconds(model),
        dollars=lambda call, model: wanted[call].dollars(model),
    )


def row(name: str, world: World, least: float) -> str:
    """Return a line of the table."""
    share = least / world.sent if world.sent else 1.0
    where = ", ".join(f"{model} {count}" for model, count in world.served.most_common())
    return (
        f"{name:<34}{world.refused:>8,}{world.failed:>8,}{world.sent:>10.1f}{share:>9.1%}"
        f"{world.ended:>9.1f}{world.dollars:>10.4f}  {where}"
    )


def main() -> int:
    """Print the table; 1 where this router was refused anything or lost a call."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("calls", nargs="?", type=int, default=2_000)
    count = parser.parse_args().calls
    wanted = calls(count)
    least = best(wanted, None).least
    tokens = sum(one.reserved for one in wanted)
    print(f"{count:,} calls at once, {tokens:,} tokens; sent in {least:.1f} s at best")
    head = f"{'':<34}{'429s':>8}{'failed':>8}{'all sent':>10}{'of best':>9}{'ended':>9}{'dollars':>10}"
    print(head)
    tight, wide = least * 1.6, 900.0
    ours: dict[str, Callable[[], World]] = {
        "routed": lambda: routed(wanted, None),
        "routed, quickest": lambda: routed(wanted, None, optimize="latency"),
        f"routed, deadline {tight:.0f} s": lambda: routed(wanted, tight),
        f"routed, deadline {wide:.0f} s": lambda: routed(wanted, wide),
    }
    others: dict[str, Callable[[], World]] = {
        "clairvoyant": lambda: clairvoyant(wanted, None),
        f"clairvoyant, deadline {tight:.0f} s": lambda: clairvoyant(wanted, tight),
        f"clairvoyant, deadline {wide:.0f} s": lambda: clairvoyant(wanted, wide),
        "reactive fallback": lambda: reactive(wanted),
    }
    if find_spec("litellm") and find_spec("time_machine"):
        from benchmarks.capacity.litellm_router import usage_based

        others["litellm, usage-based"] = lambda: usage_based(wanted, World(), LIMITS)
    else:
        print("litellm and time-machine are not installed here; install them to compare")
    wrong = 0
    for name, run in (ours | others).items():
        world = run()
        print(row(name, world, least), flush=True)
        wrong += name in ours and bool(world.refused or world.failed)
    return int(bool(wrong))


if __name__ == "__main__":
    sys.exit(main())
