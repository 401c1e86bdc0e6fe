"""Run the benchmarks whose figures are published, and write docs/benchmarks.md: the page is what this prints.

    python -m benchmarks.publish [--litellm PATH]

PATH is a litellm installed with its proxy, which the gateway is then compared with.
Each runs in a process of its own, with its peers in the same run. Times are of the processor, or ratios of
paired calls, so that other programs on the machine count little; publish from an idle one all the same.
"""

from __future__ import annotations

import argparse
import os
import pathlib
import platform
import subprocess
import sys
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
from importlib import metadata

ROOT = pathlib.Path(__file__).parent.parent
PAGE = ROOT / "docs" / "benchmarks.md"

PUBLISHED = {
    "Counting tokens": ("tokens.compare",),
    "Deciding": ("decision.speed",),
    "Deciding, where a budget, a failure or an image has a say": ("decision.circumstances",),
    "A call through RoutedChatModel": ("langchain.overhead",),
    "A call through the routed client": ("client.overhead",),
    "Time to answer, expected and simulated": ("latency",),
}
"""Title of a section, to the benchmark that it shows, with its arguments."""

PACKAGES = (
    "routed-llm",
    "tiktoken",
    "toktok-rs",
    "langchain-core",
    "langchain-openai",
    "pydantic",
    "openai",
    "llama-index-core",
)


def page(
    sections: Mapping[str, Sequence[str]], run: Callable[[Sequence[str]], str], about: Mapping[str, str]
) -> str:
    """Return the page.

    Args:
        sections: title to benchmark.
        run: gives what a benchmark prints.
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
    for title, command in sections.items():
        lines += [
            "",
            f"## {title}",
            "",
            f"`python -m benchmarks.{' '.join(command)}`",
            "",
            "```text",
            run(command).strip("\n"),
            "```",
        ]
    return "\n".join(lines) + "\n"


def printed(command: Sequence[str]) -> str:
    """Run a benchmark and return what it prints.

    Raises:
        SystemExit: when it fails: a page with a part missing is not written.
    """
    done = subprocess.run(
        [sys.executable, "-m", f"benchmarks.{command[0]}", *command[1:]],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode:
        sys.exit(f"benchmarks.{command[0]} failed:\n{done.stderr}")
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


def main() -> None:
    """Write the page."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--litellm", default="", help="the command of a litellm installed with its proxy")
    litellm = parser.parse_args().litellm
    sections: dict[str, Sequence[str]] = {**PUBLISHED}
    about = machine()
    if litellm:
        said = subprocess.run([litellm, "--version"], capture_output=True, text=True, check=True).stdout
        about["litellm's proxy"] = said.strip().rpartition(" ")[2]
        sections["The gateway, beside litellm's proxy"] = ("client.proxies", "--litellm", litellm)
    text = page(sections, printed, about)
    PAGE.write_text(text.replace(litellm, "litellm") if litellm else text, encoding="utf-8")


if __name__ == "__main__":
    main()
