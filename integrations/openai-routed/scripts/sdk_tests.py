"""Run the OpenAI SDK's own tests with its clients and with the routed ones in their place, and compare.

The tests come with the source distribution of the installed version, which is downloaded into a folder of
its own and never kept. What needs OpenAI's mock server is left out. A test that passes with the first and
fails with the second is lost, and must have its reason below.

Usage: python scripts/sdk_tests.py [--folder FOLDER]
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import tarfile
import tempfile
import xml.etree.ElementTree as ElementTree
from importlib.metadata import version
from pathlib import Path

HERE = Path(__file__).parent
TESTS = (
    *("tests/test_client.py", "tests/test_streaming.py", "tests/test_response.py"),
    *("tests/test_legacy_response.py", "tests/lib/chat", "tests/lib/responses", "tests/lib/test_azure.py"),
)
WITH_RECORD = (
    "test_completions::test_parse_",
    "test_completions::test_async_parse_",
    "tool_call_deltas::test_",
)
"""Tests that compare a whole answer or chunk, and find ``routing`` in it when it is left on."""

EXPLAINED = {
    "test_parse_as_does_not_send_a_top_level_schema": "it names no model: routing does, and the body has it",
    "test_visible_format_updates": "it asks with no input, which is refused before it is sent",
    "test_api_key_refresh_on_retry": "a key that a function gives is asked for once a call",
    "test_bearer_token_refresh_async": "a key that a function gives is asked for once a call",
    "test_azure_responses_policy_regression": "WebSockets, not routed: by chance it fails as it is, too",
}
"""Part of a test's name to the reason why it is lost."""

HELPERS = (
    "inline-snapshot",
    "executing",
    "asttokens",
    "respx",
    "nest-asyncio",
    "dirty-equals",
    "time-machine",
)
BUILD = ("hatchling==1.26.3", "hatch-fancy-pypi-readme", "pathspec", "trove-classifiers", "pluggy")


def pip(*arguments: str, path: Path | None = None) -> None:
    """Run pip as it is configured on this machine."""
    environment = os.environ if path is None else {**os.environ, "PYTHONPATH": str(path)}
    command = [sys.executable, "-m", "pip", "-q", "--disable-pip-version-check", *arguments]
    subprocess.run(command, check=True, env=environment)


def fetch(folder: Path) -> Path:
    """Download and unpack the SDK's source distribution and what its tests import; return its folder."""
    name = f"openai-{version('openai')}"
    if not (folder / "helpers").exists():
        pip("install", "--no-deps", "--target", str(folder / "helpers"), *HELPERS)
        pip("install", "--target", str(folder / "build"), *BUILD)
    if not (folder / name).exists():
        options = ["--no-deps", "--no-binary", ":all:", "--no-build-isolation", "-d", str(folder)]
        pip("download", *options, name.replace("-", "=="), path=folder / "build")
        with tarfile.open(folder / f"{name}.tar.gz") as archive:
            archive.extractall(folder, filter="data")
    return folder / name


def run(source: Path, swap: str, record: str = "on") -> dict[str, str]:
    """Run the tests and return the outcome of each."""
    report = source.parent / f"{swap}-{record}.xml"
    paths = [str(HERE), str(source.parent / "helpers"), os.environ.get("PYTHONPATH", "")]
    environment = {
        **os.environ,
        "PYTHONPATH": os.pathsep.join(paths),
        "SDK_SWAP": swap,
        "SDK_RECORD": record,
    }
    options = ["-q", "-p", "sdk_swap", "-p", "no:cacheprovider", "--tb=short", "-o", "addopts="]
    found = [test for test in TESTS if (source / test).exists()]
    with report.with_suffix(".log").open("w") as log:
        command = [sys.executable, "-m", "pytest", *found, *options, "--junitxml", str(report)]
        subprocess.run(
            command, cwd=source, env=environment, stdout=log, stderr=log, check=False, timeout=3600
        )
    outcomes = {}
    for case in ElementTree.parse(report).iter("testcase"):
        kinds = {child.tag for child in case} & {"failure", "error", "skipped"}
        name = f"{case.get('classname')}::{case.get('name')}"
        outcomes[name] = kinds.pop() if kinds else "passed"
    return outcomes


def main() -> int:
    """Compare, and return 1 when a test is lost."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("--folder", type=Path, help="where to keep what is downloaded")
    asked = parser.parse_args()
    with tempfile.TemporaryDirectory() as scratch:
        source = fetch(asked.folder or Path(scratch))
        plain = run(source, "plain")
        passed = list(plain.values()).count("passed")
        print(f"openai {version('openai')}: {passed} of {len(plain)} pass as they are")
        lost: list[str] = []
        for record in ("off", "on"):
            routed = run(source, "routed", record)
            held = [name for name, outcome in plain.items() if outcome == "passed"]
            missed = [name for name in held if routed.get(name) != "passed"]
            reasons = (*EXPLAINED, *(WITH_RECORD if record == "on" else ()))
            told = [name for name in missed if any(part in name for part in reasons)]
            passed = list(routed.values()).count("passed")
            print(f"routed, record {record}: {passed} pass, {len(missed)} are lost, {len(told)} explained")
            lost += [name for name in missed if name not in told]
    for name in lost:
        print(f"  {name}")
    return 1 if lost else 0


if __name__ == "__main__":
    sys.exit(main())
