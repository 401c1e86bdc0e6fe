"""Run other people's tests of ChatOpenAI on RoutedChatModel, and explain every difference.

The tests are those that come with the source distributions of the installed versions: langchain-openai's
unit tests, recorded traffic and live tests (which meet the simulator here), langchain's agent tests, and
those of langgraph-prebuilt. They are downloaded into a folder of their own and never kept. Each suite runs
with ChatOpenAI and with RoutedChatModel in its place; the agent tests have a fake model, which becomes a
ChatOpenAI and a RoutedChatModel that answers as the fake does.

Every test that passes with the first and fails with the second must stand, with its reason, in
``upstream_differences.toml``. What is lost is run again to see what it hangs on: with the simulator
answering the requests that ChatOpenAI makes up, since a model that refuses them refuses them of anybody; with
the model constructed under its own name; and with a catalog that knows no rule of any model.

Usage: python scripts/upstream_tests.py [--mode shift|pin] [--suite NAME ...] [--folder FOLDER]
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import tarfile
import tempfile
import tomllib
import xml.etree.ElementTree as ElementTree
from collections.abc import Mapping
from dataclasses import dataclass
from importlib.metadata import version
from importlib.util import find_spec
from pathlib import Path

from routed_swap import DAY

from routed_llm.simulator import serve

HERE = Path(__file__).parent
HELPERS = [
    *("freezegun", "pytest-mock", "pytest-retry", "blockbuster", "forbiddenfruit"),
    *("langgraph-checkpoint-postgres", "langgraph-checkpoint-sqlite", "aiosqlite", "psycopg"),
    *("psycopg-pool", "sqlite-vec", "redis"),
]
"""What the suites import besides what is installed here, each without its own dependencies."""

SECONDS = 900


@dataclass(frozen=True)
class Suite:
    """One suite of tests.

    Attributes:
        distribution: the distribution it comes with.
        arguments: what of it is run.
        catalog: ``own`` facts of models, or ``bare``: none.
        fake: whether it has a fake model to swap.
        live: whether it needs a server; the simulator is one. What needs another host fails both ways.
    """

    distribution: str
    arguments: tuple[str, ...]
    catalog: str
    fake: bool = False
    live: bool = False


CHAT_MODELS = tuple(
    f"tests/integration_tests/chat_models/test_{name}.py"
    for name in ("base", "base_standard", "responses_api", "responses_standard")
)
# It looks for a digit in the answer, and sometimes finds one in the answer's id.
CHANCE = f"--deselect={CHAT_MODELS[2]}::test_csv_input"
SUITES = {
    "unit": Suite("langchain-openai", ("tests/unit_tests",), "own"),
    "recorded": Suite("langchain-openai", (*CHAT_MODELS, "-m", "vcr"), "bare"),
    "live": Suite("langchain-openai", (*CHAT_MODELS, "-m", "not vcr", CHANCE), "own", live=True),
    "agents": Suite("langchain", ("tests/unit_tests/agents",), "bare", fake=True),
    "prebuilt": Suite("langgraph-prebuilt", ("tests",), "bare", fake=True),
}


def pip(*arguments: str) -> None:
    """Run pip as it is configured on this machine."""
    subprocess.run([sys.executable, "-m", "pip", "-q", "--disable-pip-version-check", *arguments], check=True)


def fetch(folder: Path, distribution: str) -> Path:
    """Download and unpack the source distribution of what is installed; return its folder."""
    release = version(distribution)
    name = f"{distribution.replace('-', '_')}-{release}"
    if not (folder / name).exists():
        options = ["--no-deps", "--no-binary", ":all:", "--no-build-isolation", "-d", str(folder)]
        pip("download", *options, f"{distribution}=={release}")
        with tarfile.open(folder / f"{name}.tar.gz") as archive:
            archive.extractall(folder, filter="data")
    if not (folder / "helpers").exists():
        pip("install", "--no-deps", "--target", str(folder / "helpers"), *HELPERS)
    return folder / name


def run(source: Path, suite: Suite, swap: str, *tests: str, catalog: str = "") -> dict[str, str]:
    """Run a suite, or some tests of it, and return the outcome of every test."""
    if not suite.live:
        return run_at(source, suite, swap, tests, catalog, {})
    with serve(at=DAY) as server:
        found = run_at(source, suite, swap, tests, catalog, {"OPENAI_BASE_URL": server.url})
        print(f"          {swap:24} {len(server.journal)} requests, {len(server.refused)} refused")
    return found


def run_at(
    source: Path, suite: Suite, swap: str, tests: tuple[str, ...], catalog: str, place: Mapping[str, str]
) -> dict[str, str]:
    """Run a suite, or some tests of it, where ``place`` says that the server is."""
    part = "some" if tests else f"{suite.arguments[0][-9:]}-{len(suite.arguments)}-{suite.live}"
    kind = "-".join(("run", swap, catalog or suite.catalog, part))
    report = source.parent / f"{kind.replace('/', '_')}.xml"
    environment = {
        **os.environ,
        "PYTHONPATH": os.pathsep.join(
            [str(HERE), str(source.parent / "helpers"), os.environ.get("PYTHONPATH", "")]
        ),
        "OPENAI_API_KEY": "sk-test",
        "ROUTED_SWAP": swap,
        "SWAP_CATALOG": catalog or suite.catalog,
        **vocabularies(),
        **place,
    }
    plugins = ["-p", "routed_swap", *(["-p", "routed_fake"] if suite.fake else [])]
    options = ["-q", *plugins, "-o", "addopts=", "--record-mode=none", "-p", "no:cacheprovider", "--tb=short"]
    with report.with_suffix(".log").open("w") as log:
        subprocess.run(
            [
                sys.executable,
                "-m",
                "pytest",
                *(tests or suite.arguments),
                *options,
                "--junitxml",
                str(report),
            ],
            cwd=source,
            env=environment,
            stdout=log,
            stderr=subprocess.STDOUT,
            timeout=SECONDS,
            check=False,
        )
    return outcomes(report)


def vocabularies() -> dict[str, str]:
    """Say where tiktoken finds its vocabularies without a network, if this machine has them."""
    found = find_spec("llama_index.core")
    if "TIKTOKEN_CACHE_DIR" in os.environ or found is None or found.origin is None:
        return {}
    return {"TIKTOKEN_CACHE_DIR": str(Path(found.origin).parent / "_static" / "tiktoken_cache")}


def outcomes(report: Path) -> dict[str, str]:
    """Read a JUnit report: test to ``passed``, ``failed`` or ``skipped``."""
    found = {}
    for case in ElementTree.parse(report).iter("testcase"):
        kinds = {delegate.tag for delegate in case}
        outcome = "failed" if kinds & {"failure", "error"} else "skipped" if "skipped" in kinds else "passed"
        found[f"{case.get('classname')}::{case.get('name')}"] = outcome
    return found


def node(source: Path, name: str) -> str:
    """Turn a name of a JUnit report into one that pytest takes."""
    place, _, test = name.partition("::")
    parts = place.split(".")
    for end in range(len(parts), 0, -1):
        file = Path(*parts[:end]).with_suffix(".py")
        if (source / file).exists():
            return "::".join([str(file), *parts[end:], test])
    return name


def reason(known: Mapping[str, str], name: str) -> str | None:
    """Return what explains a difference."""
    return known.get(name.partition("[")[0].rpartition("::")[2])


def compare(source: Path, name: str, mode: str, known: Mapping[str, str]) -> list[str]:
    """Run one suite both ways, print the figures, and return what nobody explained."""
    suite = SUITES[name]
    control, routed = run(source, suite, "plain"), run(source, suite, mode)
    lost = [test for test, how in control.items() if how == "passed" and routed.get(test) != "passed"]
    for label, result in (("ChatOpenAI", control), (f"RoutedChatModel ({mode})", routed)):
        counts = [sum(how == kind for how in result.values()) for kind in ("passed", "failed", "skipped")]
        print(f"{name:9} {label:24} passed {counts[0]:4} failed {counts[1]:4} skipped {counts[2]:4}")
    swapped = source.parent / f"swapped-{source.name}.txt"
    if suite.fake and swapped.exists():
        print(f"{name:9} {len(swapped.read_text().splitlines())} tests had a RoutedChatModel in them")
    hangs = causes(source, suite, mode, lost) if lost and not suite.fake else {}
    kinds = [hangs.get(test, "the adapter") for test in lost]
    print(
        f"{name:9} lost {len(lost)}",
        *(f"{kinds.count(one)} by {one}" for one in dict.fromkeys(kinds)),
        sep=", ",
    )
    for test in lost:
        print(f"  {test} ({hangs.get(test, 'the adapter')}): {reason(known, test) or 'NOT EXPLAINED'}")
    stale = [
        test
        for test in known
        if mode == "shift" and not any(f"::{test}" in one.partition("[")[0] for one in lost)
    ]
    return [*(test for test in lost if reason(known, test) is None), *(f"not lost: {test}" for test in stale)]


def causes(source: Path, suite: Suite, mode: str, lost: list[str]) -> dict[str, str]:
    """Find out what the lost tests hang on, by running them again without it."""
    tests = [node(source, test) for test in lost]
    refused = refused_of_chat_openai(source, suite, tests)
    named = run(source, suite, "pin", *tests) if mode != "pin" else {}
    bare = run(source, suite, mode, *tests, catalog="bare") if suite.catalog != "bare" else {}
    found = {}
    for name, test in zip(lost, tests, strict=True):
        if named.get(name) == "passed":
            found[name] = "the model's name"
        elif bare.get(name) == "passed":
            found[name] = "what the model refuses of ChatOpenAI, too" if test in refused else "its rules"
    return found


def refused_of_chat_openai(source: Path, suite: Suite, tests: list[str]) -> set[str]:
    """Let the simulator answer what ChatOpenAI makes up in some tests; return those where it refuses some."""
    told = source.parent / "refused.txt"
    told.unlink(missing_ok=True)
    with serve(at=DAY) as server:
        run_at(
            source,
            suite,
            "judge",
            tuple(tests),
            "",
            {"SWAP_JUDGE": server.url, "SWAP_REFUSED": str(told)},
        )
    return set(told.read_text().splitlines()) if told.exists() else set()


def main() -> int:
    """Run the suites and print the figures; 1 when a difference is not explained."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--mode", choices=["shift", "pin"], default="shift")
    parser.add_argument("--suite", choices=list(SUITES), action="append")
    parser.add_argument(
        "--folder", type=Path, help="where to download to (kept); a temporary folder otherwise"
    )
    chosen = parser.parse_args()
    explained = tomllib.loads((HERE / "upstream_differences.toml").read_text())
    strange = []
    with tempfile.TemporaryDirectory() as scratch:
        folder = (chosen.folder or Path(scratch)).resolve()
        folder.mkdir(parents=True, exist_ok=True)
        for name in chosen.suite or SUITES:
            source = fetch(folder, SUITES[name].distribution)
            strange += compare(source, name, chosen.mode, explained.get(name, {}))
    print(f"{len(strange)} differences without an explanation", *strange, sep="\n  ")
    return 1 if strange else 0


if __name__ == "__main__":
    sys.exit(main())
