"""Compare how long decisions take in this tree and in another one, turn and turn about in one run.

    git worktree add --detach /tmp/older COMMIT
    python -m benchmarks.decision.versus /tmp/older [--rounds 40] [--json FILE]

Each tree has a process of its own that stays, and the two are asked the same in turns, in another order each
time, so that a machine that is busy or slow is so for both. Times are of the processor, medians of all
rounds. What is new to a process (its first decisions) is measured in new processes.
"""

from __future__ import annotations

import argparse
import json
import os
import pathlib
import random
import statistics
import subprocess
import sys
from typing import Any

from benchmarks.decision.speed import START
from benchmarks.tokens.compare import conversation, sources

HERE = pathlib.Path(__file__).resolve().parents[2]

SERVE = """
import json, sys, time
import routed_llm
from routed_llm import Router, read_openai
router = Router()
router.warmup()
print(json.dumps(routed_llm.__file__), flush=True)
def clock(body):
    before = time.thread_time_ns()
    router.decide(read_openai(body))
    return (time.thread_time_ns() - before) / 1_000
for line in sys.stdin:
    order = json.loads(line)
    talks = order["talks"]
    if order["how"] == "loop":
        turns = range(2, len(talks[0]) + 1, 2)
        found = [sum(clock({"messages": talks[0][:at]}) for at in turns) / 1_000]
    elif order["how"] == "first":
        found = [clock({"messages": talk, **order["more"]}) for talk in talks]
    else:
        clock({"messages": talks[0], **order["more"]})
        found = [clock({"messages": talks[0], **order["more"]}) for _ in range(20)]
    print(json.dumps(found), flush=True)
"""

TOOL = {"type": "function", "function": {"name": "f", "parameters": {"type": "object", "properties": {}}}}

CASES: dict[str, tuple[str, int, int, dict[str, Any]]] = {
    "100 tokens, first sight": ("first", 400, 1, {}),
    "1K tokens, first sight": ("first", 4_000, 1, {}),
    "10K tokens, first sight": ("first", 40_000, 1, {}),
    "10K tokens, repeat": ("again", 40_000, 1, {}),
    "10K tokens with a function and a cap, first sight": (
        "first",
        40_000,
        1,
        {"tools": [TOOL], "max_tokens": 500},
    ),
    "10K tokens, 200 messages, first sight": ("first", 40_000, 200, {}),
    "10K tokens, 200 messages, repeat": ("again", 40_000, 200, {}),
    "100K tokens, first sight": ("first", 400_000, 1, {}),
    "100K tokens, repeat": ("again", 400_000, 1, {}),
    "agent loop of 200 turns, ms": ("loop", 200 * 2 * 1_550, 400, {}),
}
"""Name to what is asked, characters, messages, and what else stands in the body."""


class Tree:
    """A process that decides with the code of one tree."""

    def __init__(self, folder: pathlib.Path) -> None:
        self.source = folder / "src"
        command = [sys.executable, "-c", SERVE]
        self._process = subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=environment(folder)
        )
        loaded = pathlib.Path(json.loads(self._answer()))
        if self.source.resolve() not in loaded.resolve().parents:
            raise SystemExit(f"{loaded} was imported, which is not of {self.source}.")

    def ask(self, how: str, talks: list[Any], more: dict[str, Any]) -> list[float]:
        """Return the times of one order."""
        assert self._process.stdin is not None
        self._process.stdin.write(json.dumps({"how": how, "talks": talks, "more": more}) + "\n")
        self._process.stdin.flush()
        return list(json.loads(self._answer()))

    def close(self) -> None:
        """End the process."""
        self._process.communicate()

    def _answer(self) -> str:
        assert self._process.stdout is not None
        return self._process.stdout.readline()


def environment(folder: pathlib.Path) -> dict[str, str]:
    """Return the environment in which a tree's own code is imported."""
    return {**os.environ, "PYTHONPATH": str(folder / "src")}


def start(folder: pathlib.Path, how: str) -> dict[str, float]:
    """Return what the first decisions of a process take."""
    command = [sys.executable, "-c", START, how]
    run = subprocess.run(command, check=True, capture_output=True, text=True, env=environment(folder))
    return dict(json.loads(run.stdout))


def compare(folders: list[pathlib.Path], rounds: int, only: str = "") -> dict[str, list[float]]:
    """Return the median microseconds (of a loop, milliseconds) of each case, in both trees."""
    kinds, trees = sources(), [Tree(folder) for folder in folders]
    found = {name: _case(trees, kinds, name, rounds) for name in CASES if only in name}
    for tree in trees:
        tree.close()
    for how in ("plain", "learning"):
        if only not in f"a new process, {how}":
            continue
        runs: list[list[dict[str, float]]] = [[], []]
        for number in range(max(rounds // 10, 3)):
            for at in (0, 1) if number % 2 else (1, 0):
                runs[at].append(start(folders[at], how))
        for key in runs[0][0]:
            medians = [statistics.median([run[key] for run in some]) for some in runs]
            found[f"a new process, {how}: {key}"] = medians
    return found


def _case(trees: list[Tree], kinds: list[str], name: str, rounds: int) -> list[float]:
    how, characters, messages, more = CASES[name]
    times: list[list[float]] = [[], []]
    for number in range(-1, max(rounds // 10, 3) if how == "loop" else rounds):
        chance = random.Random(f"{name} {number}")
        series = 5 if how == "first" and characters <= 40_000 else 1
        talks = [conversation(kinds, characters, messages, chance) for _ in range(series)]
        for at in (0, 1) if number % 2 else (1, 0):
            taken = trees[at].ask(how, talks, more)
            if number >= 0:
                times[at].extend(taken)
    return [statistics.median(some) for some in times]


def main() -> int:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("other", type=pathlib.Path, help="the other tree's folder")
    parser.add_argument("--rounds", type=int, default=40)
    parser.add_argument("--only", default="", help="a part of the names of the cases to measure")
    parser.add_argument("--json", type=pathlib.Path, help="write the figures there, too")
    options = parser.parse_args()
    found = compare([options.other, HERE], options.rounds, options.only)
    print(f"{'median us of the processor':<58}{'other':>12}{'this':>12}{'this/other':>12}")
    for name, (other, mine) in found.items():
        ratio = f"{mine / other:.2f}" if other else ""
        print(f"{name:<58}{other:>12,.1f}{mine:>12,.1f}{ratio:>12}")
    if options.json:
        options.json.write_text(json.dumps(found, indent=1))
    return 0


if __name__ == "__main__":
    sys.exit(main())
