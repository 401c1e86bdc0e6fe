"""Run the benchmarks whose figures are published, and write docs/benchmarks.md: the page is what this prints.

    python -m benchmarks.publish

Each runs in a process of its own, with its peers in the same run. Times are of the processor, or ratios of
paired calls, so that other programs on the machine count little; publish from an idle one all the same.
"""

from __future__ import annotations

import os
import pathlib
import platform
import subprocess
import sys
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from importlib import metadata

ROOT = pathlib.Path(__file__).parent.parent
PAGE = ROOT / "docs" / "benchmarks.md"

PUBLISHED = {
    "Counting tokens": "benchmarks.tokens.compare",
    "Deciding": "benchmarks.decision.speed",
    "A call through RoutedChatModel": "benchmarks.langchain.overhead",
}
"""Title of a section, to the benchmark that it shows."""

PACKAGES = (
    "routed-llm",
    "tiktoken",
    "toktok-rs",
    "langchain-core",
    "langchain-openai",
    "litellm",
    "pydantic",
    "openai",
)


def page(run: Callable[[str], str], about: Mapping[str, str]) -> str:
    """Return the page.

    Args:
        run: gives what a module prints.
        about: facts of the machine and the run.
    """
    lines = [
        "# Published figures",
        "",
        "Written by `python -m benchmarks.publish`, all of it in one run; nothing here is edited by hand.",
        "",
        "| | |",
        "| --- | --- |",
        *(f"| {name} | {value} |" for name, value in about.items()),
    ]
    for title, module in PUBLISHED.items():
        lines += [
            "",
            f"## {title}",
            "",
            f"`python -m {module}`",
            "",
            "```text",
            run(module).strip("\n"),
            "```",
        ]
    return "\n".join(lines) + "\n"


def printed(module: str) -> str:
    """Run a benchmark and return what it prints.

    Raises:
        SystemExit: when it fails: a page with a part missing is not written.
    """
    done = subprocess.run(
        [sys.executable, "-m", module], cwd=ROOT, capture_output=True, text=True, check=False
    )
    if done.returncode:
        sys.exit(f"{module} failed:\n{done.stderr}")
    return done.stdout


def machine() -> dict[str, str]:
    """Return the day, the machine and the versions."""
    cpu = platform.processor() or platform.machine()
    info = pathlib.Path("/proc/cpuinfo")
    if info.exists():
        cpu = next(
            (row.partition(": ")[2] for row in info.read_text().splitlines() if "model name" in row), cpu
        )
    versions = []
    for name in PACKAGES:
        try:
            versions.append(f"{name} {metadata.version(name)}")
        except metadata.PackageNotFoundError:
            versions.append(f"{name} not installed")
    load = f"{os.getloadavg()[0]:.1f} at the start" if hasattr(os, "getloadavg") else "not known"
    return {
        "date": f"{datetime.now(UTC):%Y-%m-%d}",
        "machine": f"{cpu}, {os.cpu_count()} cores, {platform.system()}; load {load}",
        "Python": platform.python_version(),
        "versions": ", ".join(versions),
    }


if __name__ == "__main__":
    about = machine()
    PAGE.write_text(page(printed, about), encoding="utf-8")
