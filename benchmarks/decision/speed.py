"""Compare a whole decision with what other libraries need only to count, on the same texts, in one run.

    python -m benchmarks.decision.speed [--rounds 5] [--turns 200] [--json FILE]

A decision here is everything between a request's body and a Decision: reading it into facts, rules, prices
and the choice among the default pool. Times are of the processor. Every round makes new texts; all take
turns in another order each round. LiteLLM's counter and its Router's check before a call, and LangChain's
counter, are left out where they are not installed. Absolute times hold for this machine only; the ratios
are what to compare.
"""

from __future__ import annotations

import argparse
import importlib.util
import json
import os
import pathlib
import random
import resource
import statistics
import subprocess
import sys
import tracemalloc
from functools import partial
from typing import TYPE_CHECKING, Any

from benchmarks.decision.circumstances import limited
from benchmarks.tokens.compare import clock, conversation, machine, peers, sources
from routed_llm import Policy, Router, read_openai
from routed_llm.tokens.memo import ENTRIES, Memo, Partial

if TYPE_CHECKING:
    from collections.abc import Callable

    Messages = list[dict[str, str]]

SIZES = {"100": 400, "1K": 4_000, "10K": 40_000, "100K": 400_000, "1M": 3_350_000}
"""Tokens, about: characters."""

RSS = """
import pathlib
def held():
    lines = pathlib.Path("/proc/self/status").read_text().splitlines()
    return [int(line.split()[1]) / 1024 for line in lines if line.startswith("VmRSS")][0]
import routed_llm
before = held()
from routed_llm.tokens.text import warm_up
warm_up()
print(before, held())
"""

START = """
import json, random, sys, time
from routed_llm import Router, Usage, read_openai
learns, chance, taken = sys.argv[1] == "learning", random.Random(1), []
router = Router(observe=learns)
router.warmup()
words = "the of and to in is that it for was on are as with they at be this from have or by one".split()
tool = {"type": "function", "function": {"name": "f", "parameters": {"type": "object", "properties": {}}}}
for at in range(2_000):
    text = " ".join(chance.choices(words, k=chance.choice((20, 60, 200, 800, 2_000))))
    body = {"messages": [{"role": "user", "content": text}], **({"tools": [tool]} if at % 3 == 0 else {})}
    before = time.thread_time()
    decision = router.decide(read_openai(body))
    taken.append(time.thread_time() - before)
    if learns:
        used = Usage(input_tokens=decision.facts.tokens.likely, output_tokens=chance.randint(20, 400))
        router.begin(decision).settle(used)
print(json.dumps({
    "first, ms": round(taken[0] * 1e3, 2),
    "first 100, ms": round(sum(taken[:100]) * 1e3, 1),
    "first 2,000, ms": round(sum(taken) * 1e3, 1),
    "of these over 300 us": sum(one > 3e-4 for one in taken),
    "over 1 ms": sum(one > 1e-3 for one in taken),
}))
"""

IMPORT = "import routed_llm"
HEAVY = ("asyncio", "pydantic", "tiktoken", "toktok", "numpy", "sqlite3")
COLD = f"import sys, routed_llm; print([name for name in {HEAVY} if name in sys.modules])"


def decide(router: Router, messages: Messages) -> object:
    """Read a request's body and decide."""
    return router.decide(read_openai({"messages": messages}))


def router_check() -> dict[str, Callable[[Messages], object]]:
    """Return LiteLLM's Router with its check before a call, if it is installed."""
    if not importlib.util.find_spec("litellm"):
        return {}  # peers() has said so
    from litellm import Router as Peer
    from litellm.exceptions import ContextWindowExceededError

    names = ("gpt-4o", "gpt-4.1")
    models = [
        {"model_name": "chat", "litellm_params": {"model": f"openai/{name}", "api_key": "unused"}}
        for name in names
    ]
    peer = Peer(model_list=models, enable_pre_call_checks=True)
    deployments = peer.get_model_list()

    def check(messages: Messages) -> object:
        try:
            return peer._pre_call_checks(model="chat", healthy_deployments=deployments, messages=messages)
        except ContextWindowExceededError:  # it counts with another vocabulary, so it may refuse what fits
            return None

    return {"litellm Router": check}


def sights(
    rounds: int, kinds: list[str], others: dict[str, Callable[[Messages], object]], router: Router
) -> dict:
    """Return median microseconds by size, number of messages and what was measured."""
    found: dict[str, dict[str, float]] = {}
    for size, characters in SIZES.items():
        for count in (1, 200) if characters >= 40_000 else (1,):
            times: dict[str, list[float]] = {}
            # Small ones come several in a row, as they do in a service.
            series = 1 if characters > 40_000 else 5
            for number in range(-2, rounds):
                seeds = [f"{size} {count} {number} {at}" for at in range(series)]
                talks = [conversation(kinds, characters, count, random.Random(seed)) for seed in seeds]
                turns = [*others.items(), ("routed, first sight", partial(decide, router))]
                for at in range(len(turns)):
                    name, run = turns[(at + number) % len(turns)]
                    times.setdefault(name, []).extend(clock(partial(run, talk)) for talk in talks)
                again = json.loads(json.dumps(talks[0]))
                times.setdefault("routed, decoded again", []).append(clock(partial(decide, router, again)))
                for _ in range(5):
                    times.setdefault("routed, repeat", []).append(clock(partial(decide, router, talks[0])))
                if number < 0:
                    times.clear()
            found[f"{size} tokens, {count} message{'s' * (count > 1)}"] = {
                name: statistics.median(values) for name, values in times.items()
            }
    return found


def alone(rounds: int, kinds: list[str], router: Router, around: str = "") -> dict[str, tuple[float, float]]:
    """Return median microseconds at first sight and repeated, with nothing else run in between.

    A peer that counts a text leaves the processor's caches full of its own tables; a service that calls a
    model does not. Both are worth knowing.
    """
    found = {}
    router.warmup()
    for size, characters in SIZES.items():
        if characters > 40_000 and around:
            break
        for count in (1, 200) if characters >= 40_000 else (1,):
            number = rounds * (40 if characters <= 40_000 else 1)
            talks = [
                conversation(kinds, characters, count, random.Random(f"alone {around}{size} {at}"))
                for at in range(number)
            ]
            first = [clock(partial(decide, router, talk)) for talk in talks]
            again = [clock(partial(decide, router, talks[-1])) for _ in range(200)]
            name = f"{around}{size} tokens, {count} message{'s' * (count > 1)}"
            found[name] = (statistics.median(first), statistics.median(again))
    return found


def agent_loop(turns: int, kinds: list[str], others: dict, router: Router) -> dict[str, float]:
    """Return the milliseconds for all turns of a loop whose history is sent again with every turn."""
    talk = conversation(kinds, turns * 2 * 1_550, turns * 2, random.Random("agent"))
    spent = {}
    for name, run in {**others, "routed": partial(decide, router)}.items():
        spent[name] = sum(clock(partial(run, talk[: 2 * turn])) for turn in range(1, turns + 1)) / 1_000
    return spent


def records(router: Router, kinds: list[str]) -> float:
    """Return the median microseconds of the record that is attached to an answer."""
    talks = [conversation(kinds, 4_000, 1, random.Random(f"record {at}")) for at in range(50)]
    return statistics.median(clock(decide(router, talk).record) for talk in talks)  # type: ignore[attr-defined]


def fresh(code: str, *arguments: str) -> str:
    """Run code in a new process, its modules compiled as installed ones are; return what it prints."""
    command = [sys.executable, "-c", code, *arguments]
    about = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}
    return subprocess.run(command, check=True, capture_output=True, text=True, env=about).stdout


def start() -> dict[str, dict[str, float]]:
    """Return what the first decisions of a process take, with and without learning from each call.

    Texts differ, a third of them come with a function, and so few kinds of requests meet many sizes.
    """
    return {how: json.loads(fresh(START, how)) for how in ("plain", "learning")}


def spent(code: str) -> float:
    """Return the seconds of the processor that a new process takes to run code."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    fresh(code)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


def adapters(kinds: list[str], *, size: int = 40_000) -> dict[str, float]:
    """Return the median microseconds that the adapters take to read and decide, where installed.

    At first sight, of conversations that come after others, and when the last one is repeated.

    Args:
        kinds: texts of which conversations are made.
        size: of a conversation, in tokens.
    """
    talks = [conversation(kinds, size, 200, random.Random(f"adapters {at}")) for at in range(25)]
    ways: dict[str, tuple[Callable[[Any], object], list[Any]]] = {}
    if importlib.util.find_spec("langchain_routed"):
        from langchain_core.messages import convert_to_messages
        from langchain_routed import RoutedChatModel

        planner = RoutedChatModel(api_key="unused")._own_planner()

        def decided(said: Any) -> object:
            call = planner.read(said, None, {}, stream=False)
            return planner.router.decide(call.request, call.options)

        ways["langchain_routed"] = (
            decided,
            [convert_to_messages(talk) for talk in talks],
        )
    if importlib.util.find_spec("llama_index") and importlib.util.find_spec("llama_index.llms.routed"):
        from llama_index.core.base.llms.types import ChatMessage
        from llama_index.llms.routed.messages import chat_messages

        router = Router()
        ways["llama_index.llms.routed"] = (
            lambda said: router.decide(read_openai({"model": "auto", "messages": chat_messages(said)})),
            [[ChatMessage(one["content"], role=one["role"]) for one in talk] for talk in talks],
        )
    found = {}
    for name, (run, said) in ways.items():
        first = [clock(partial(run, one)) for one in said]
        again = [clock(partial(run, said[-1])) for _ in range(200)]
        found[f"{name}, first sight"] = statistics.median(first[5:])
        found[f"{name}, repeat"] = statistics.median(again[20:])
    return found


def memory() -> dict[str, object]:
    """Return what importing, the vocabulary and a full memo cost."""
    memo = Memo()
    tracemalloc.start()
    for at in range(ENTRIES + 1_000):
        memo.put(f"text number {at}", Partial(at, at, at))
    held, _ = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    linux = pathlib.Path("/proc/self/status").exists()
    before, after = map(float, fresh(RSS).split()) if linux else (0.0, 0.0)
    return {
        "import, ms of CPU over a bare interpreter (best of 10)": round(
            1_000 * (min(spent(IMPORT) for _ in range(10)) - min(spent("pass") for _ in range(10))), 1
        ),
        "heavy modules after import": fresh(COLD).strip(),
        "process after import, MB": round(before, 1),
        "vocabulary and counter, MB more": round(after - before, 1),
        "memo, entries at most": ENTRIES,
        "memo when full, MB": round(held / 2**20, 1),
    }


def main() -> int:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--turns", type=int, default=200, help="turns of the agent loop")
    parser.add_argument("--json", type=pathlib.Path, help="write the figures there, too")
    options = parser.parse_args()
    figures: dict[str, object] = {"machine": machine()}
    print(json.dumps(figures["machine"], indent=1))
    others = {**peers(), **router_check()}
    kinds, router = sources(), Router()
    router.warmup()
    for row, medians in sights(options.rounds, kinds, others, router).items():
        figures[row] = medians
        first = medians["routed, first sight"]
        print(f"\n{row}{'median us':>30}{'of our first sight':>22}")
        for name, value in sorted(medians.items(), key=lambda pair: -pair[1]):
            print(f"  {name:<34}{value:>12,.1f}{value / first:>18,.1f} x")
    figures["alone"] = {
        **alone(options.rounds, kinds, router),
        **alone(options.rounds, kinds, limited(400), "a rate limit, "),
        **alone(options.rounds, kinds, Router(policy=Policy(deadline=20.0)), "a deadline, "),
    }
    print("\nnothing else run in between, median us           first sight        repeat")
    # `figures` holds figures of several forms, for the JSON.
    for name, (first, again) in figures["alone"].items():  # type: ignore[attr-defined]  # a table of mixed values
        print(f"  {name:<34}{first:>22,.1f}{again:>14,.1f}")
    loop = figures["loop"] = agent_loop(options.turns, kinds, others, router)
    print(f"\nagent loop of {options.turns} turns, everything sent again each turn: total ms")
    for name, value in sorted(loop.items(), key=lambda pair: -pair[1]):
        print(f"  {name:<34}{value:>12,.1f}{value / loop['routed']:>18,.1f} x")
    figures["start"] = start()
    print("\nthe first decisions of a process")
    for how, found in figures["start"].items():  # type: ignore[attr-defined]  # a table of mixed values
        print(f"  {how:<10}{json.dumps(found)}")
    figures["adapters us"] = adapters(kinds)
    print("\na conversation of 200 messages through an adapter: reading and deciding, us")
    for name, value in figures["adapters us"].items():  # type: ignore[attr-defined]
        print(f"  {name:<34}{value:>12,.1f}")
    figures["record us"] = records(router, kinds)
    print(f"\nrecord attached to an answer: {figures['record us']:.1f} us")
    figures["memory"] = memory()
    print(json.dumps(figures["memory"], indent=1))
    if options.json:
        options.json.write_text(json.dumps(figures, indent=1))
    return 0


if __name__ == "__main__":
    sys.exit(main())
