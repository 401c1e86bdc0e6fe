"""Say with which commit each decision changed that this tree decides otherwise than an older commit.

    python scripts/trace_decisions.py COMMIT [--count 2500] [--seed 1]

The random requests of ``compare_decisions.py`` are decided by the code of each commit from that one to the
present, on the older one's catalog. A change is a commit's where the one before it decides otherwise: to undo
that commit is to have the older decision back. The exit status is 1 where one has changed with no commit.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
from collections import Counter
from itertools import pairwise
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from compare_decisions import cases, classes

HERE = Path(__file__).resolve().parents[1]
SCRIPT = HERE / "scripts" / "compare_decisions.py"
Answers = dict[int, list[Any]]


def commits(first: str) -> list[tuple[str, str]]:
    """List a commit and those after it that touch the package, with their titles."""
    log = ["git", "log", "--reverse", "--format=%h %s"]
    found = subprocess.run(
        [*log, f"{first}..HEAD", "--", "src/routed_llm"],
        check=True,
        cwd=HERE,
        capture_output=True,
        text=True,
    )
    rows = [line.partition(" ") for line in found.stdout.splitlines()]
    return [(first, ""), *((commit, title) for commit, _, title in rows)]


def unpack(commit: str, folder: Path) -> Path:
    """Write a commit's package into a folder of its own."""
    made = folder / commit
    made.mkdir()
    with subprocess.Popen(["git", "archive", commit, "src"], cwd=HERE, stdout=subprocess.PIPE) as packed:
        subprocess.run(["tar", "-x", "-C", str(made)], check=True, stdin=packed.stdout)
    return made


def answers(tree: Path, compiled: Path, options: argparse.Namespace, only: Path | None = None) -> Answers:
    """Return what a tree decides, by the request's number."""
    command = [sys.executable, str(SCRIPT), str(tree), "--answer", str(compiled)]
    command += ["--count", str(options.count), "--seed", str(options.seed)]
    command += [] if only is None else ["--only", str(only)]
    env = {**os.environ, "PYTHONPATH": str(tree / "src")}
    said = subprocess.run(command, check=True, capture_output=True, text=True, env=env)
    return {row[0]: row[1:] for row in map(json.loads, said.stdout.splitlines())}


def trace(history: list[tuple[str, Answers]], changed: list[int]) -> dict[int, list[str]]:
    """Name for each changed decision the commits before which it was another."""
    return {
        number: [name for (_, then), (name, now) in pairwise(history) if then[number] != now[number]]
        for number in changed
    }


def main() -> int:
    """Compare and print."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("commit", help="the older commit")
    parser.add_argument("--count", type=int, default=2_500)
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args()
    asked = {number: what for number, _, _, what in cases(options.count, options.seed)}
    listed = commits(options.commit)
    with TemporaryDirectory() as name:
        folder = Path(name)
        trees = {commit: unpack(commit, folder) for commit, _ in listed}
        first, last = listed[0][0], listed[-1][0]
        compiled = trees[first] / "src" / "routed_llm" / "catalog" / "compiled.json"
        load = [sys.executable, "-c", "import routed_llm; routed_llm.Catalog.load()"]  # which makes it
        subprocess.run(load, check=True, env={**os.environ, "PYTHONPATH": str(trees[first] / "src")})
        ends = {commit: answers(trees[commit], compiled, options) for commit in (first, last)}
        changed = [number for number in asked if ends[first][number] != ends[last][number]]
        only = folder / "only.json"
        only.write_text(json.dumps(changed))
        history = [
            (commit, ends.get(commit) or answers(trees[commit], compiled, options, only))
            for commit, _ in listed
        ]
    found = trace(history, changed)
    alone = sum(len(steps) == 1 for steps in found.values())
    lost = sum(not steps for steps in found.values())
    print(f"{options.count - len(changed):,} of {options.count:,} decisions are equal")
    print(
        f"{alone:,} changed with one commit, {len(changed) - alone - lost:,} with several, {lost} with none"
    )
    for ((_, then), (commit, now)), (_, title) in zip(pairwise(history), listed[1:], strict=True):
        mine = [number for number in changed if commit in found[number]]
        if mine:
            print(f"\n{len(mine):>5,}  {commit} {title}")
            kinds = Counter(
                kind.rpartition(": ")[0]
                for number in mine
                for kind in classes(now[number], then[number], asked[number])
            )
            for kind, count in kinds.most_common():
                print(f"{count:>12,}  {kind}")
    return 1 if lost else 0


if __name__ == "__main__":
    sys.exit(main())
