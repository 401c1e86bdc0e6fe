"""Change the code by hand in small ways, one at a time, and see whether a test notices.

What is changed stands in ``scripts/data/mutants.toml``: a file, its old and new text, why it matters, and the
tests that have to fail. Everything happens in a temporary copy::

    python -m scripts.mutants                # --only WORD of a name, --check to find stale ones

A mutant is ``killed`` when one of its tests fails, ``survived`` when none does, ``stale`` when its old text
is not in the file exactly once. Tests are run unchanged first: what fails by itself kills nothing.
"""

from __future__ import annotations

import argparse
import os
import shutil
import subprocess
import sys
import tempfile
import time
import tomllib
from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import Final

ROOT: Final = Path(__file__).parents[1]
DATA: Final = ROOT / "scripts" / "data" / "mutants.toml"
LEFT_OUT: Final = shutil.ignore_patterns(".*", "__pycache__", "build", "dist")
PACKAGES: Final = ("src", "integrations/langchain-routed", "integrations/llama-index-llms-routed")
SECONDS: Final = 600


@dataclass(frozen=True)
class Mutant:
    """One change.

    Attributes:
        name: what it is called.
        file: the file, from the root.
        old: what stands there, exactly once.
        new: what it becomes.
        why: what would go wrong.
        tests: arguments of pytest; those of an adapter begin with its folder.
    """

    name: str
    file: str
    old: str
    new: str
    why: str
    tests: tuple[str, ...]

    @property
    def is_stale(self) -> bool:
        """Whether the code has moved on."""
        return (ROOT / self.file).read_text(encoding="utf-8").count(self.old) != 1


def mutants(only: str = "") -> list[Mutant]:
    """Read the list, or those with a word in their name."""
    rows = tomllib.loads(DATA.read_text(encoding="utf-8"))
    found = [Mutant(name=name, **{**row, "tests": tuple(row["tests"])}) for name, row in rows.items()]
    return [one for one in found if only in one.name]


def fails(copy: Path, tests: tuple[str, ...], seconds: float = SECONDS) -> bool:
    """Run tests in a copy and say whether one fails, or they take longer than that."""
    integration = tests[0].split("/")[1] if tests[0].startswith("integrations/") else ""
    config = ["-c", f"integrations/{integration}/pyproject.toml"] if integration else []
    paths = os.pathsep.join(str(copy / package) for package in PACKAGES)
    command = [sys.executable, "-m", "pytest", "-x", "-q", "-p", "no:cacheprovider", *config, *tests]
    try:
        done = subprocess.run(
            command,
            cwd=copy,
            env={**os.environ, "PYTHONPATH": paths, "PYTHONDONTWRITEBYTECODE": "1"},
            capture_output=True,
            text=True,
            timeout=seconds,
            check=False,
        )
    except subprocess.TimeoutExpired:  # a change that makes a test wait for ever is noticed, too
        return True
    if done.returncode not in (0, 1):  # no tests found, or none that could be collected
        raise SystemExit(f"{' '.join(tests)} did not run:\n{done.stdout[-2000:]}{done.stderr[-2000:]}")
    return done.returncode == 1


def verdict(copy: Path, mutant: Mutant, sound: dict[tuple[str, ...], float | None]) -> str:
    """Apply a mutant, run its tests, and take it back.

    Args:
        copy: the tree that is changed.
        mutant: the change.
        sound: tests to the seconds that they take unchanged, or None where they fail so; it is added to.
    """
    if mutant.is_stale:
        return "stale"
    if mutant.tests not in sound:
        begun = time.monotonic()
        sound[mutant.tests] = None if fails(copy, mutant.tests) else time.monotonic() - begun
    usual = sound[mutant.tests]
    if usual is None:
        return "fails by itself"
    path = copy / mutant.file
    before = path.read_text(encoding="utf-8")
    path.write_text(before.replace(mutant.old, mutant.new), encoding="utf-8")
    try:
        return "killed" if fails(copy, mutant.tests, min(60 + 4 * usual, SECONDS)) else "survived"
    finally:
        path.write_text(before, encoding="utf-8")


def main(arguments: list[str] | None = None) -> int:
    """Run the mutants; 1 when one is not killed."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--only", default="", help="those with this word in their name")
    parser.add_argument("--check", action="store_true", help="only say which are stale")
    chosen = parser.parse_args(arguments)
    found, sound = mutants(chosen.only), dict[tuple[str, ...], float | None]()
    counts: Counter[str] = Counter()
    with tempfile.TemporaryDirectory() as place:
        copy = Path(place) / "copy"
        if not chosen.check:
            shutil.copytree(ROOT, copy, ignore=LEFT_OUT)
        for one in found:
            said = ("stale" if one.is_stale else "fresh") if chosen.check else verdict(copy, one, sound)
            counts[said] += 1
            print(f"{said:<16}{one.name}: {one.why}", flush=True)
    print(", ".join(f"{count} {said}" for said, count in counts.items()))
    return 0 if set(counts) <= {"killed", "fresh"} else 1


if __name__ == "__main__":
    sys.exit(main())
