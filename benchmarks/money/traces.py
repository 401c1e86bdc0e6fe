"""Traces of real traffic: when a call came, how large it was, and which call it goes on from.

Four kinds of files are understood, by their columns:

* a CSV with ContextTokens and GeneratedTokens (Azure/AzurePublicDataset): single requests;
* JSON lines with hash_ids (kvcache-ai/Mooncake): equal leading ids are a prefix that a cache can serve;
* JSON lines with task, role, model, in_tok, out_tok, cost (calls of sierra-research/tau2-bench): loops;
* JSON with traj (sierra-research/tau-bench, historical_trajectories): the messages of an agent's loops.
"""

from __future__ import annotations

import argparse
import csv
import json
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import date, datetime
from pathlib import Path
from typing import Any, NamedTuple

from routed_llm.tokens.vocabulary import o200k_encoding

__all__ = ["BLOCK", "Arguments", "Call", "arguments", "read"]

BLOCK = 512
"""Tokens of a block of a Mooncake trace."""

_INSTRUCTIONS = 0.01
"""A block that more than so large a share of all calls begin with is instructions: to share it makes no
conversation."""

_STEP_SECONDS = 5.0
"""Seconds between the calls of a loop whose file has no times."""

_LOOPS_AT_ONCE = 4


@dataclass(frozen=True, slots=True, kw_only=True)
class Call:
    """One call of a trace.

    Attributes:
        at: seconds since the trace began.
        tokens: input tokens.
        output: visible output tokens.
        number: its place in the trace.
        before: the number of the call that it goes on from, or None.
        prefix: input tokens that stood in that call, too.
        conversation: its name, where the trace gives one.
        blocks: its prompt as ids of blocks; an id stands for everything up to its end.
        tools: whether functions are offered.
        model: who answered it, where the trace says so.
        paid: dollars reported, likewise.
    """

    at: float
    tokens: int
    output: int
    number: int = 0
    before: int | None = None
    prefix: int = 0
    conversation: str = ""
    blocks: tuple[int, ...] = ()
    tools: bool = False
    model: str = ""
    paid: float | None = None

    def prefix_of(self, following: Call | None) -> int:
        """Return how many of its tokens the call that goes on from it begins with."""
        return self.tokens if following is None else min(following.prefix, self.tokens)


def read(path: Path, most: int | None = None) -> list[Call]:
    """Read a trace, or the first calls of it, in the order of time."""
    calls = sorted(_rows(path), key=lambda call: call.at)[:most]
    return _linked([replace(call, number=number) for number, call in enumerate(calls)])


def _rows(path: Path) -> Iterator[Call]:
    if path.suffix == ".csv":
        with path.open(newline="") as lines:
            rows = list(csv.DictReader(lines))
        begun = _moment(rows[0]["TIMESTAMP"])
        for row in rows:
            at = _moment(row["TIMESTAMP"]) - begun
            yield Call(at=at, tokens=int(row["ContextTokens"]), output=int(row["GeneratedTokens"]))
        return
    text = path.read_text(encoding="utf-8")
    if text.lstrip().startswith("["):
        yield from _loops(json.loads(text))
        return
    for row in map(json.loads, text.splitlines()):
        if "hash_ids" in row:
            yield Call(at=row["timestamp"] / 1000, tokens=row["input_length"], output=row["output_length"],
                       blocks=tuple(row["hash_ids"][: row["input_length"] // BLOCK]))  # fmt: skip
        else:
            yield Call(at=datetime.fromisoformat(row["ts"]).timestamp(), tokens=row["in_tok"],
                       output=row["out_tok"], conversation=f"{row['run']} {row['task']} {row['role']}",
                       tools=row["role"] == "agent", model=row["model"], paid=row["cost"])  # fmt: skip


def _moment(text: str) -> float:
    return datetime.fromisoformat(text[:26]).timestamp()  # seven digits of a second are one too many


def _loops(tasks: list[dict[str, Any]]) -> Iterator[Call]:
    """Give the calls of loops that are kept as messages: each answer of the assistant was one."""
    encoding = o200k_encoding()
    for number, task in enumerate(tasks):
        at, tokens = number // _LOOPS_AT_ONCE * 120.0 + number % _LOOPS_AT_ONCE, 3
        for message in task["traj"]:
            made = json.dumps(message.get("tool_calls") or "") if message.get("tool_calls") else ""
            size = len(encoding.encode_ordinary((message.get("content") or "") + made))
            if message["role"] == "assistant":
                yield Call(at=at, tokens=tokens, output=max(size, 1), conversation=str(number), tools=True)
                at += _STEP_SECONDS
            tokens += size + 4


def _linked(calls: list[Call]) -> list[Call]:
    """Say which call each one goes on from: as a program that keeps its conversations knows.

    Where a trace names conversations that is the one before. Where it gives blocks, it is the latest call
    whose whole prompt, but for the end of a block, this one begins with, instructions that many share apart.
    """
    begun = Counter(block for call in calls for block in call.blocks)
    shared = {block for block, count in begun.items() if count > max(_INSTRUCTIONS * len(calls), 8)}
    ends: dict[object, Call] = {}
    found = []
    for call in calls:
        last = ends.get(call.conversation) if call.conversation else None
        last = next((ends[block] for block in reversed(call.blocks) if block in ends), last)
        if last is not None:
            prefix = len(last.blocks) * BLOCK if call.blocks else last.tokens
            call = replace(call, before=last.number, prefix=min(prefix, call.tokens))
        if call.conversation:
            ends[call.conversation] = call
        elif call.blocks and call.blocks[-1] not in shared:
            ends[call.blocks[-1]] = call
        found.append(call)
    return found


class Arguments(NamedTuple):
    """What stands on the command line.

    Attributes:
        paths: the traces, at least one.
        calls: the most calls to take of each; None for all.
        day: the days to price for; empty for the benchmark's own.
    """

    paths: list[Path]
    calls: int | None
    day: list[date]


def arguments(doc: str | None) -> Arguments:
    """Read the command line."""
    parser = argparse.ArgumentParser(description=(doc or "").partition("\n")[0])
    parser.add_argument("paths", metavar="PATH", type=Path, nargs="+", help="a trace; see traces.py")
    parser.add_argument("--calls", type=int, help="most calls of each; all when left out")
    parser.add_argument("--day", type=date.fromisoformat, action="append", default=[], help="price for it")
    found = parser.parse_args()
    return Arguments(found.paths, found.calls, found.day)
