"""Compare token counting with tiktoken, LangChain and LiteLLM on the same texts, in one run.

    python -m benchmarks.tokens.compare [--rounds 6] [--turns 40] [--json FILE]

Every round makes new texts (documentation, code and JSON of Python's own library), so that no library
profits from having seen them; the counters take turns in another order each round. Ours is measured as a
router uses it (`decide`: bounds narrow enough for the thresholds of a pool) and as a plain counter
(`exact`), at first sight and when the same messages come again in new strings. Absolute times hold for
this machine only; the ratios are what to compare. Times are of the processor, so that other programs on
the machine do not count. LiteLLM and LangChain are left out, with a message, if not installed.
"""

from __future__ import annotations

import argparse
import importlib
import importlib.util
import json
import os
import pathlib
import platform
import random
import statistics
import sys
import time
from functools import partial
from importlib import metadata
from typing import TYPE_CHECKING, Any

from routed_llm.tokens.counting import Counting
from routed_llm.tokens.memo import Memo
from routed_llm.tokens.text import TiktokenCounter, default_counter
from routed_llm.tokens.vocabulary import o200k_encoding

if TYPE_CHECKING:
    from collections.abc import Callable

    Messages = list[dict[str, str]]
    Counter = Callable[[Messages], int]

SIZES = {"100": 1, "1K": 8, "10K": 40, "100K": 40, "1M": 40}
"""Tokens, about: number of messages they come in."""

THRESHOLDS = (111_616, 272_000, 1_014_808)
"""A 128K window less 16K of output, a price tier, a 1M window less 32K of output."""

CHARACTERS = {"100": 400, "1K": 4_000, "10K": 40_000, "100K": 400_000, "1M": 4_000_000}


def sources() -> list[str]:
    """Return documentation, code and JSON, some megabytes in all."""
    from pydoc_data import topics

    documents = "\n".join(topics.topics.values())
    library = pathlib.Path(os.__file__).parent
    code = "\n".join(path.read_text("utf-8", "replace") for path in sorted(library.glob("[a-t]*.py")))
    rng = random.Random(1)
    rows = [
        {"id": at, "price": rng.random() * 100, "tags": rng.sample(["new", "sale", "café", "x-1"], 2)}
        for at in range(20_000)
    ]
    return [documents, code, json.dumps(rows)]


def conversation(kinds: list[str], characters: int, messages: int, rng: random.Random) -> Messages:
    """Return messages of random slices of every kind."""
    each = characters // messages
    made: Messages = []
    for at in range(messages):
        text = ""
        while len(text) < each:
            kind = rng.choice(kinds)
            start = rng.randrange(len(kind) - 2_000)
            text += kind[start : start + min(each - len(text), 2_000)]
        made.append({"role": ("user", "assistant")[at % 2], "content": text})
    return made


def peers() -> dict[str, Counter]:
    """Return the counters of other libraries that are installed, by name."""
    # They load their vocabulary by name: this keeps them off the network.
    from tiktoken import registry

    encoding = registry.ENCODINGS["o200k_base"] = o200k_encoding()
    found: dict[str, Counter] = {
        "tiktoken": lambda messages: sum(len(encoding.encode_ordinary(m["content"])) for m in messages)
    }
    if importlib.util.find_spec("langchain_openai"):
        from langchain_core.messages import convert_to_messages
        from langchain_openai import ChatOpenAI

        model = ChatOpenAI(model="gpt-4o", api_key="unused")
        found["langchain"] = lambda m: model.get_num_tokens_from_messages(convert_to_messages(m))
    else:
        print("langchain-openai is not installed and left out. Install it with: pip install langchain-openai")
    if importlib.util.find_spec("litellm"):
        os.environ.setdefault("LITELLM_LOCAL_MODEL_COST_MAP", "True")  # no download at import
        litellm = importlib.import_module("litellm")

        found["litellm"] = lambda m: int(litellm.token_counter(model="gpt-4o", messages=m))
    else:
        print("litellm is not installed and left out. Install it with: pip install litellm")
    return found


def copies(messages: Messages) -> list[str]:
    """Return the contents as new strings, as a request decoded from JSON has them."""
    return list(json.loads(json.dumps([message["content"] for message in messages])))


def clock(run: Callable[[], object]) -> float:
    """Return the microseconds of one run, of the processor."""
    start = time.process_time_ns()
    run()
    return (time.process_time_ns() - start) / 1_000


def theirs(messages: Messages, count: Counter, times: dict[str, list[float]], name: str) -> None:
    """Measure another library's counter."""
    times.setdefault(name, []).append(clock(partial(count, messages)))


def ours(messages: Messages, mode: str, counter: Any, times: dict[str, list[float]], name: str) -> None:
    """Measure one of our modes at first sight and again."""
    memo = Memo()
    for again in ("first", "repeat"):
        texts = copies(messages)

        def run(texts: list[str] = texts) -> None:
            counting = Counting(texts, memo=memo, counter=counter)
            if mode == "exact":
                counting.exact()
            else:
                counting.settle(THRESHOLDS)

        times.setdefault(f"{name} {mode} {again}", []).append(clock(run))


def compare(rounds: int, kinds: list[str], others: dict[str, Counter]) -> dict[str, dict[str, float]]:
    """Return the median microseconds by size and counter."""
    counters = {f"routed ({type(default_counter()).__name__})": default_counter()}
    if not isinstance(default_counter(), TiktokenCounter):
        counters["routed (TiktokenCounter)"] = TiktokenCounter()
    medians: dict[str, dict[str, float]] = {}
    for size, messages in SIZES.items():
        times: dict[str, list[float]] = {}
        # Two more for small sizes, whose first rounds warm caches and are dropped.
        for number in range(-2 if size in ("100", "1K") else 0, rounds):
            talk = conversation(kinds, CHARACTERS[size], messages, random.Random(f"{size} {number}"))
            mode = ("decide", "exact")[number % 2]
            turns = [partial(theirs, talk, count, times, name) for name, count in others.items()]
            turns += [partial(ours, talk, mode, counter, times, name) for name, counter in counters.items()]
            for at in range(len(turns)):
                turns[(at + number) % len(turns)]()
            if number < 0:
                times.clear()
        medians[size] = {name: statistics.median(values) for name, values in sorted(times.items())}
    return medians


def count_all(texts: list[str], memo: Memo) -> int:
    """Count every text that the memo does not know."""
    return Counting(texts, memo=memo).exact()


def agent_loop(turns: int, kinds: list[str], others: dict[str, Counter]) -> dict[str, float]:
    """Return the milliseconds spent counting in a conversation that is sent again with every turn."""
    talk = conversation(kinds, turns * 2 * 1_500, turns * 2, random.Random("agent"))
    spent = {
        name: sum(clock(partial(count, talk[: 2 * turn])) for turn in range(1, turns + 1)) / 1_000
        for name, count in others.items()
    }
    memo = Memo()
    total = 0.0
    for turn in range(1, turns + 1):
        texts = copies(talk[: 2 * turn])
        total += clock(partial(count_all, texts, memo))
    spent["routed exact"] = total / 1_000
    return spent


def machine() -> dict[str, object]:
    """Return what the figures were measured on."""
    model = platform.processor()
    cpuinfo = pathlib.Path("/proc/cpuinfo")
    if cpuinfo.exists():
        named = [line for line in cpuinfo.read_text().splitlines() if line.startswith("model name")]
        model = named[0].partition(":")[2].strip() if named else model
    packages = ("tiktoken", "toktok-rs", "langchain-openai", "litellm")
    return {
        "cpu": model,
        "cores": os.cpu_count(),
        "load": os.getloadavg()[0] if hasattr(os, "getloadavg") else None,
        "system": platform.platform(),
        "python": platform.python_version(),
        "packages": {name: _version(name) for name in packages},
    }


def _version(package: str) -> str | None:
    try:
        return metadata.version(package)
    except metadata.PackageNotFoundError:
        return None


def show(medians: dict[str, dict[str, float]]) -> None:
    """Print medians and their ratio to tiktoken's."""
    for size, row in medians.items():
        print(f"\n{size} tokens, {SIZES[size]} messages{'median us':>33}{'vs tiktoken':>14}")
        base = row["tiktoken"]
        for name, value in sorted(row.items(), key=lambda pair: -pair[1]):
            print(f"  {name:<46}{value:>10,.1f}{value / base:>14.4f}")


def main() -> int:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--rounds", type=int, default=6, help="even; half decide, half exact")
    parser.add_argument("--turns", type=int, default=40, help="turns of the agent loop")
    parser.add_argument("--json", type=pathlib.Path, help="write the figures there, too")
    options = parser.parse_args()
    about = machine()
    print(json.dumps(about, indent=1))
    others = peers()
    kinds = sources()
    talk = conversation(kinds, 40_000, 4, random.Random("warm up"))
    print("tokens by each:", {name: count(talk) for name, count in others.items()})
    assert Counting(copies(talk), memo=Memo()).exact() == others["tiktoken"](talk)
    medians = compare(options.rounds, kinds, others)
    show(medians)
    loop = agent_loop(options.turns, kinds, others)
    print(f"\nagent loop of {options.turns} turns, everything sent again each turn: total ms, vs tiktoken")
    for name, value in sorted(loop.items(), key=lambda pair: -pair[1]):
        print(f"  {name:<46}{value:>10,.1f}{value / loop['tiktoken']:>14.4f}")
    if options.json:
        options.json.write_text(json.dumps({"machine": about, "us": medians, "loop_ms": loop}, indent=1))
    return 0


if __name__ == "__main__":
    sys.exit(main())
