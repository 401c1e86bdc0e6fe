"""Run every benchmark, one after the other, each in a process of its own.

    python -m benchmarks.run_all [--only WORD]

A benchmark is every module in this folder that can be run. What a benchmark needs besides the development
dependencies it says itself, and leaves out the part that is missing; one that needs arguments is named and
passed over. Fails when a benchmark does.
"""

from __future__ import annotations

import argparse
import os
import pathlib
import subprocess
import sys
import time

ROOT = pathlib.Path(__file__).parent
NEEDS_ARGUMENTS = 2
"""The exit code of argparse."""


def found(word: str) -> list[pathlib.Path]:
    """Return the modules that can be run, those with the word in their name."""
    paths = [path for path in sorted(ROOT.glob("*/*.py")) if word in str(path.relative_to(ROOT))]
    return [path for path in paths if '__name__ == "__main__"' in path.read_text("utf-8")]


def main() -> int:
    """Run them and print what became of each."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--only", default="", help="run those with this word in their name")
    options = parser.parse_args()
    outcomes = []
    # Some name each other from this folder's parent, some from their own folder.
    around = {**os.environ, "PYTHONPATH": str(ROOT.parent)}
    for path in found(options.only):
        name = str(path.relative_to(ROOT.parent))
        print(f"\n{'=' * 100}\n{name}", flush=True)
        start = time.perf_counter()
        code = subprocess.run([sys.executable, path], cwd=ROOT.parent, env=around, check=False).returncode
        outcome = {0: "done", NEEDS_ARGUMENTS: "needs arguments: see --help"}.get(code, f"FAILED with {code}")
        outcomes.append((name, outcome, time.perf_counter() - start))
    print(f"\n{'=' * 100}")
    for name, outcome, seconds in outcomes:
        print(f"{name:<44}{seconds:>8.0f} s  {outcome}")
    return int(any(outcome.startswith("FAILED") for _, outcome, _ in outcomes))


if __name__ == "__main__":
    sys.exit(main())
