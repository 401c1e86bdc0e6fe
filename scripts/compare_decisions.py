"""Decide the same random requests with this tree and with another one, and list what differs.

    git worktree add --detach /tmp/older COMMIT
    python scripts/compare_decisions.py /tmp/older [--count 20000] [--seed 1] [--show 2]

Both trees are given the other tree's catalog and policies that ask for no more than it knows, so that only
the code differs. Of each request the choice with its cost, what is sent differently, every candidate with its
costs and Reasons, and the boundaries are compared. Differences are put into classes by what the Reasons say
and by what the request holds. A request is tried with a count, then with bounds, and then again, so that what
was kept is compared, too.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import subprocess
import sys
from collections import Counter, defaultdict
from collections.abc import Iterator
from dataclasses import fields
from datetime import date
from functools import partial
from pathlib import Path
from typing import Any

HERE = Path(__file__).resolve().parents[1]
DAYS = (date(2025, 11, 22), date(2026, 4, 22), date(2026, 8, 1), date(2026, 11, 22))
MODELS = ("gpt-4o", "gpt-4.1", "gpt-5.1", "gpt-5.4", "gpt-5.6-luna", "gpt-5.6-terra")
TASKS = (None, None, None, "coding", "reasoning", "tool_use")
EFFORTS = ("none", "minimal", "low", "medium", "high")
EDGES = (1_023, 1_024, 64_000, 111_615, 123_904, 128_000, 200_000, 272_000, 400_000, 1_000_000)
SETTLED = {"grace": 0, "slower_than_baseline": None}
"""What newer trees would decide by besides, left out."""

UNKNOWN: dict[str, Any] = {"speed": None, "framing": {}, "compared": {}, "fees": {}, "thought": {}}
"""Facts of models that older catalogs do not have."""

POLICIES: tuple[dict[str, Any], ...] = (
    {},
    {},
    {"at_least": None},
    {"models": ["gpt-4*", "gpt-5*"], "at_least": None},
    {"models": "*", "at_least": None},
    {"evidence": "measured"},
    {"optimize": "quality", "effort": "high"},
    {"max_cost_per_call": "0.01"},
    {"min_recall": 40, "at_least": None},
    {"incumbent": "gpt-4o"},
    {"baseline": "gpt-4.1"},
    {"effort": "low"},
    {"on_unsupported": "avoid"},
    {"service_tier": "priority", "models": "gpt-*", "at_least": None},
    {"output_tokens": 5_000, "switch_saving": 0.3},
    {"regional": True},
    {"horizon": 0},
)


def case(chance: random.Random) -> dict[str, Any]:
    """Return one random request with what it meets, as plain data."""
    few = chance.choice((20, 300, 2_000, 9_000, 60_000, 150_000, 300_000, 1_050_000))
    point = chance.choice(EDGES) + chance.randint(-3, 3) if chance.random() < 0.3 else chance.randint(1, few)
    wide = chance.choice((1, 1, 8, 40))
    facts: dict[str, Any] = {
        "tokens": (max(point // wide, 1), point, point * (4 if wide > 1 else 1)),
        "inputs": {"text"},
        "task": chance.choice(TASKS),
    }
    for share, some in (
        (0.4, _capped),
        (0.3, _with_tools),
        (0.25, _with_parameters),
        (0.45, _said),
        (0.18, _with_media),
        (0.25, partial(_going_on, point)),
    ):
        if chance.random() < share:
            facts.update(some(chance))
    return {"facts": facts, "around": _around(chance)}


def _capped(chance: random.Random) -> dict[str, Any]:
    name = chance.choice(("max_tokens", "max_completion_tokens", "max_output_tokens"))
    return {"cap": chance.choice((1, 16, 100, 4_096, 16_384, 16_385, 32_768, 128_000)), "cap_name": name}


def _with_tools(chance: random.Random) -> dict[str, Any]:
    return {"tools": chance.randint(1, 9), "tool_choice": chance.choice((None, "auto", "named"))}


def _with_parameters(chance: random.Random) -> dict[str, Any]:
    given = {"logprobs": True, "n": 2, "seed": 1, "stop": ("[]", ("END",)), "temperature": 0.7, "top_p": 1}
    names = sorted(chance.sample(sorted(given), chance.randint(1, 3)))
    return {"parameters": tuple((name, given[name]) for name in names)}


def _said(chance: random.Random) -> dict[str, Any]:
    asked: tuple[tuple[str, tuple[Any, ...]], ...] = (
        ("structured", ("json_schema", "json_object")),
        ("effort", EFFORTS),
        ("service_tier", ("flex", "priority", "batch")),
        ("stream", (True,)),
        ("model", MODELS),
    )
    return {name: chance.choice(values) for name, values in asked if chance.random() < 0.3}


def _with_media(chance: random.Random) -> dict[str, Any]:
    if chance.random() < 0.3:
        return {"pdf_pages": chance.randint(1, 30), "inputs": {"text", "pdf"}}
    sizes = [(chance.choice((None, 64, 1_024, 6_000)), 768) for _ in range(chance.randint(1, 3))]
    return {"images": tuple(sizes), "inputs": {"text", "image"}}


def _going_on(point: int, chance: random.Random) -> dict[str, Any]:
    return {
        "previous": {
            "model": chance.choice(MODELS),
            "effort": chance.choice((None, "none", "low")),
            "endpoint": chance.choice((None, "chat_completions", "responses")),
            "prefix_tokens": chance.choice((0, 500, 1_024, point // 2, point)),
            "age": chance.choice((None, 10.0, 4_000.0)),
            "in_tool_loop": chance.random() < 0.3,
        }
    }


def _around(chance: random.Random) -> dict[str, Any]:
    around: dict[str, Any] = {}
    if chance.random() < 0.3:
        around["allowance"] = {
            "remaining": chance.choice((None, 0, 10**8, 10**10, 10**12)),
            "pressure": chance.choice((0.0, 0.0, 0.4)),
            "worst_case": chance.random() < 0.3,
        }
    if chance.random() < 0.15:
        around["unavailable"] = dict.fromkeys(chance.sample(MODELS, 2), "it is down")
    if chance.random() < 0.3:
        around["deadline"] = chance.choice((1.0, 2.5, 4.0, 8.0, 20.0, 120.0, 1_000.0, 100_000.0))
    if chance.random() < 0.35:
        pairs = [(chance.choice(MODELS), chance.choice((None, "none", "low"))) for _ in range(3)]
        around["seen"] = {
            "base": chance.choice((20.0, 211.0, 900.0, 9_000.0)),
            "tokens": chance.choice((None, {pair: chance.uniform(1, 9_000) for pair in pairs})),
            "shared": chance.choice((None, {chance.choice(MODELS): 4_096})),
            "density": chance.choice((0.8, 1.0, 1.2)),
            "thought": chance.choice((0.0, 1.0, 3.0)),
            "reuse": chance.choice((0.0, 0.5, 1.0)),
        }
    return around


def cases(count: int, seed: int) -> Iterator[tuple[int, int, date, dict[str, Any]]]:
    """Yield number, policy's number, day and request, those of one policy and day together."""
    chance = random.Random(seed)
    made = [
        (chance.randrange(len(POLICIES)), chance.choice(DAYS), number, case(chance))
        for number in range(count)
    ]
    for policy, day, number, what in sorted(made, key=lambda one: one[:3]):
        yield number, policy, day, what


def answer(count: int, seed: int, compiled: Path, only: Path | None = None) -> None:
    """Decide every case, or those in a file, with the imported tree; print what comes of it, a line each."""
    from routed_llm import Catalog, Policy

    try:
        from routed_llm.decide.table import Table
    except ImportError:  # an older tree
        from routed_llm.selector.table import Table  # type: ignore[import-not-found,no-redef] # its old place
    data = json.loads(compiled.read_text())
    data = data.get("catalog", data)
    for name, model in data["models"].items():
        data["models"][name] = {**UNKNOWN, **model}
    catalog, made = Catalog(data), {item.name for item in fields(Policy)}
    settled = {name: value for name, value in SETTLED.items() if name in made}
    table = held = None
    wanted = range(count) if only is None else set(json.loads(only.read_text()))
    for number, which, day, what in cases(count, seed):
        if number not in wanted:
            continue
        if held != (which, day):
            held, table = (which, day), Table(catalog, Policy(**{**settled, **POLICIES[which]}), day)
        print(json.dumps([number, *_answers(table, what)]))


def _answers(table: Any, what: dict[str, Any]) -> tuple[list[Any], list[int]]:
    from routed_llm import Allowance, ImageFacts, Observed, Previous, RequestFacts, TokenCount
    from routed_llm.usage import Seen

    given, around = dict(what["facts"]), dict(what["around"])
    tokens = TokenCount(*given.pop("tokens"))
    given["images"] = tuple(ImageFacts(*one) for one in given.get("images", ()))
    given["inputs"] = frozenset(given["inputs"])
    if "previous" in given:
        given["previous"] = Previous(**given["previous"])
    facts = RequestFacts(tokens=tokens, **given)
    if "allowance" in around:
        around["allowance"] = Allowance(**around["allowance"])
    if "seen" in around:
        seen = {name: value for name, value in around.pop("seen").items() if name in Seen._fields}
        around["observed"] = Observed(outputs={facts.kind: Seen(**seen)})
    exact = facts.with_tokens(TokenCount.of(tokens.likely))
    asked = (exact, facts, exact, facts)
    lines = [_line(table.select(one, **around)) for one in asked]
    try:
        from routed_llm.decide.context import EvaluationContext
    except ImportError:  # an older tree
        return lines, table.boundaries(facts, **around)
    return lines, table.boundaries(facts, EvaluationContext(**around))


def _line(decision: Any) -> dict[str, Any]:
    chosen, whole = decision.chosen, decision.to_dict()
    return {
        "choice": None if chosen is None else f"{chosen.name} on {chosen.endpoint}",
        "cost": whole["estimated_cost"],
        "certain": decision.certain,
        "reserve": decision.reserve,
        "changes": whole["changes"],
        "switch": whole["switch"],
        "why": decision.why.split(":")[0],
        "candidates": {
            f"{one.name} on {one.endpoint}": [one.cost, [reason.code for reason in one.reasons]]
            for one in decision.candidates
        },
    }


def classes(mine: Any, other: Any, what: dict[str, Any]) -> list[str]:
    """Name the classes in which two answers differ, the choice before what follows from it."""
    holds = ", ".join(_holds(what)) or "text alone"
    for now, then in zip(mine[0], other[0], strict=True):
        if now == then:
            continue
        if now["choice"] != then["choice"]:
            why = _against(now, then["choice"]) or _against(then, now["choice"])
            return [f"choice ({why}): {holds}"]
        found = [
            f"{name}: {holds}" for name in ("cost", "changes", "switch", "reserve") if now[name] != then[name]
        ]
        if now["certain"] != then["certain"]:
            found.append(f"certain is {now['certain']}: {holds}")
        return found or [_of_candidates(now["candidates"], then["candidates"], holds)]
    return [] if mine[1] == other[1] else [f"boundaries: {holds}"]


def _of_candidates(now: dict[str, Any], then: dict[str, Any], holds: str) -> str:
    if now.keys() != then.keys():
        return f"other candidates: {holds}"
    moved = {name for name in now if now[name][1] != then[name][1]}
    if moved:
        pairs = Counter(f"{'+'.join(then[one][1])} -> {'+'.join(now[one][1])}" for one in moved)
        return f"reasons {pairs.most_common(1)[0][0]}: {holds}"
    return f"costs of others: {holds}" if now != then else f"words: {holds}"


def _against(line: dict[str, Any], name: str | None) -> str:
    return "+".join(line["candidates"].get(name, [0, ()])[1])


def _holds(what: dict[str, Any]) -> Iterator[str]:
    facts, around = what["facts"], what["around"]
    allowance = around.get("allowance")
    if allowance is not None:
        yield "worst-case budget" if allowance["worst_case"] else "budget"
    for name in ("images", "pdf_pages", "previous", "model", "effort"):
        if name in facts:
            yield name
    yield from ["deadline"] if "deadline" in around else ()
    if "seen" in around:
        yield "observed"


def ask(folder: Path, options: argparse.Namespace, compiled: Path) -> subprocess.Popen[str]:
    """Start a tree's answers."""
    paths = {**os.environ, "PYTHONPATH": str(folder / "src")}
    command = [sys.executable, __file__, str(folder), "--answer", str(compiled)]
    command += ["--count", str(options.count), "--seed", str(options.seed)]
    return subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=paths)


def main() -> int:
    """Compare and print."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("other", type=Path, help="the other tree's folder")
    parser.add_argument("--count", type=int, default=20_000)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--most", type=int, default=4, help="kinds of requests to print of each class")
    parser.add_argument("--show", type=int, default=0, help="examples to print of each class")
    parser.add_argument("--answer", type=Path, help=argparse.SUPPRESS)
    parser.add_argument("--only", type=Path, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.answer:
        answer(options.count, options.seed, options.answer, options.only)
        return 0
    compiled = options.other / "src" / "routed_llm" / "catalog" / "compiled.json"
    load = [sys.executable, "-c", "import routed_llm; routed_llm.Catalog.load()"]  # which makes it
    subprocess.run(load, check=True, env={**os.environ, "PYTHONPATH": str(options.other / "src")})
    asked = {number: (policy, day, what) for number, policy, day, what in cases(options.count, options.seed)}
    found: dict[str, list[str]] = defaultdict(list)
    compared = same = 0
    with ask(HERE, options, compiled) as now, ask(options.other, options, compiled) as then:
        for one, two in zip(now.stdout or (), then.stdout or (), strict=True):
            (number, *mine), (_, *other) = json.loads(one), json.loads(two)
            policy, day, what = asked[number]
            named = classes(mine, other, what)
            compared, same = compared + 1, same + (not named)
            for name in named:
                found[name].append(f"{number} {day} {POLICIES[policy]} {what}\n    {mine}\n    {other}")
    if now.returncode or then.returncode or compared != options.count:
        print("a tree did not answer")
        return 1
    print(f"{same:,} of {compared:,} decisions are equal")
    kinds: dict[str, dict[str, list[str]]] = defaultdict(dict)
    for name, examples in found.items():
        kind, _, holds = name.rpartition(": ")
        kinds[kind][holds] = examples
    for kind, of_it in sorted(kinds.items(), key=lambda pair: -sum(map(len, pair[1].values()))):
        print(f"{sum(map(len, of_it.values())):>7,}  {kind}")
        for holds, examples in sorted(of_it.items(), key=lambda pair: -len(pair[1]))[: options.most]:
            print(f"{len(examples):>15,}  {holds}")
            for example in examples[: options.show]:
                print(f"  {example}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
