"""Run other people's tests of ChatOpenAI on RoutedChatModel, and explain every difference.

The tests are langchain-openai's own, unit tests and recorded traffic, from the source distribution of
the installed version; they are downloaded into a folder of their own and never kept. Each suite runs with
ChatOpenAI and with RoutedChatModel in its place; every test that passes with the first and fails with the
second must stand, with its reason, in ``upstream_differences.toml``.

Usage: python scripts/upstream_tests.py [--mode shift|pin] [--folder FOLDER]
"""

# ruff: noqa: T201 - a script prints
from __future__ import annotations

import argparse
import os
import subprocess
import sys
import tarfile
import tempfile
import tomllib
import xml.etree.ElementTree as ElementTree
from importlib.metadata import version
from pathlib import Path

HERE = Path(__file__).parent
HELPERS = ["freezegun", "pytest-mock", "pytest-retry"]
SUITES = {
    "unit": ["tests/unit_tests"],
    "recorded": ["tests/integration_tests/chat_models/test_responses_api.py", "-m", "vcr"],
}
CATALOGS = {"unit": "own", "recorded": "bare"}
SECONDS = 900


def pip(*arguments: str) -> None:
    """Run pip as it is configured on this machine."""
    subprocess.run([sys.executable, "-m", "pip", "-q", "--disable-pip-version-check", *arguments], check=True)


def fetch(folder: Path) -> Path:
    """Download and unpack the source distribution of the installed langchain-openai; return its folder."""
    name = f"langchain_openai-{version('langchain-openai')}"
    if not (folder / name).exists():
        wanted = name.replace("_", "-", 1).replace("openai-", "openai==")
        pip(
            "download", "--no-deps", "--no-binary", ":all:", "--no-build-isolation", "-d", str(folder), wanted
        )
        with tarfile.open(folder / f"{name}.tar.gz") as archive:
            archive.extractall(folder, filter="data")
        pip("install", "--no-deps", "--target", str(folder / "helpers"), *HELPERS)
    return folder / name


def run(source: Path, suite: str, swap: str | None) -> dict[str, str]:
    """Run one suite and return the outcome of every test."""
    report = source.parent / f"{suite}-{swap or 'control'}.xml"
    path = os.pathsep.join([str(HERE), str(source.parent / "helpers"), os.environ.get("PYTHONPATH", "")])
    environment = {**os.environ, "PYTHONPATH": path, "OPENAI_API_KEY": "sk-test", "ROUTED_SWAP": swap or ""}
    environment["ROUTED_CATALOG"] = CATALOGS[suite]
    options = ["-q", "-p", "routed_swap", "-o", "addopts=", "--record-mode=none", "-p", "no:cacheprovider"]
    subprocess.run(
        [sys.executable, "-m", "pytest", *SUITES[suite], *options, "--junitxml", str(report), "--tb=short"],
        cwd=source,
        env=environment,
        stdout=(source.parent / f"{suite}-{swap or 'control'}.log").open("w"),
        stderr=subprocess.STDOUT,
        timeout=SECONDS,
        check=False,
    )
    return outcomes(report)


def outcomes(report: Path) -> dict[str, str]:
    """Read a JUnit report: test to ``passed``, ``failed`` or ``skipped``."""
    found = {}
    for case in ElementTree.parse(report).iter("testcase"):  # noqa: S314 - our own pytest wrote it
        kinds = {child.tag for child in case}
        outcome = "failed" if kinds & {"failure", "error"} else "skipped" if "skipped" in kinds else "passed"
        found[f"{case.get('classname')}::{case.get('name')}"] = outcome
    return found


def main() -> int:
    """Run the suites and print the figures; 1 when a difference is not explained."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--mode", choices=["shift", "pin"], default="shift")
    parser.add_argument(
        "--folder", type=Path, help="where to download to (kept); a temporary folder otherwise"
    )
    chosen = parser.parse_args()
    explained = tomllib.loads((HERE / "upstream_differences.toml").read_text())
    with tempfile.TemporaryDirectory() as scratch:
        folder = (chosen.folder or Path(scratch)).resolve()
        folder.mkdir(parents=True, exist_ok=True)
        source = fetch(folder)
        strange = [name for suite in SUITES for name in compare(source, suite, chosen.mode, explained)]
    print(f"{len(strange)} differences without an explanation", *strange, sep="\n  ")
    return 1 if strange else 0


def compare(source: Path, suite: str, mode: str, explained: dict[str, dict[str, str]]) -> list[str]:
    """Run one suite both ways, print the figures, and return the differences nobody explained."""
    control, routed = run(source, suite, None), run(source, suite, mode)
    lost = [name for name, how in control.items() if how == "passed" and routed.get(name) != "passed"]
    for label, result in (("ChatOpenAI", control), (f"RoutedChatModel ({mode})", routed)):
        counts = [sum(how == kind for how in result.values()) for kind in ("passed", "failed", "skipped")]
        print(f"{suite:9} {label:24} passed {counts[0]:4} failed {counts[1]:4} skipped {counts[2]:4}")
    known = explained.get(suite, {})
    for name in lost:
        print(f"  {name}: {known.get(name.partition('[')[0].rpartition('.')[2], 'NOT EXPLAINED')}")
    return [name for name in lost if name.partition("[")[0].rpartition(".")[2] not in known]


if __name__ == "__main__":
    sys.exit(main())
