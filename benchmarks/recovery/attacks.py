"""The table of attacks: how often each was tried, how long it took, its bytes, and what of it was booked.

The attacks are tests; this runs them, each adapter's with its own settings, and prints a table for each kind,
so that a limit that is kept by a hair's breadth shows. No network and no key::

    python -m benchmarks.recovery.attacks > docs/attacks.md     # --only WORD of a kind
"""

from __future__ import annotations

import argparse
import json
import os
import socket
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any, Final

import pytest

from routed_llm import MemoryLedger
from routed_llm.exchange import Exchange

ROOT: Final = Path(__file__).parents[2]
CHAIN: Final = "integrations/langchain-routed/tests"
INDEX: Final = "integrations/llama-index-llms-routed/tests"
CLIENT: Final = "integrations/openai-routed/tests"
ADDRESSES: Final = "tests/attacks/test_addresses.py"
KINDS: Final[Mapping[str, tuple[str, ...]]] = {
    "Keys that go to another address": (
        f"{ADDRESSES}::test_each_address_has_its_own_key",
        f"{ADDRESSES}::test_without_a_key_nothing_is_sent",
        f"{ADDRESSES}::test_without_a_key_another_model_serves",
        f"{ADDRESSES}::test_a_key_is_not_inherited_by_another_address",
        f"{ADDRESSES}::test_wrong_credentials",
        f"{ADDRESSES}::test_no_key_follows_a_redirect_to_another_host",
        f"{ADDRESSES}::test_hops_are_counted",
        f"{ADDRESSES}::test_a_redirect_at_home_is_followed",
        "tests/attacks/test_redirects.py",
    ),
    "Refusals of one key or address that count for another": (
        f"{ADDRESSES}::test_what_a_gateway_refuses_another_address_serves",
        f"{ADDRESSES}::test_what_the_own_address_refuses_a_gateway_serves",
        f"{ADDRESSES}::test_cool_downs_hold_for_one_address",
    ),
    "Addresses without an endpoint, keys without a model": (
        f"{ADDRESSES}::test_an_address_without_responses_is_found_out",
        f"{ADDRESSES}::test_the_policy_says_which_endpoints_there_are",
        f"{ADDRESSES}::test_a_model_that_a_key_may_not_use_is_learned_without_retries",
        f"{ADDRESSES}::test_a_refused_stream_is_remembered",
        f"{ADDRESSES}::test_a_refused_stream_without_another_model_comes_whole",
    ),
    "Copies that lose their limits": (
        f"{CHAIN}/unit_tests/test_copies.py",
        f"{INDEX}/test_faithful.py::test_a_pickle_keeps_the_limits_or_is_refused",
        f"{INDEX}/test_faithful.py::test_a_dict_keeps_the_budget",
        f"{INDEX}/test_faithful.py::test_a_dict_that_would_lose_a_limit_is_not_read",
        f"{INDEX}/test_faithful.py::test_a_router_that_cannot_travel_says_what_to_give_in_its_place",
    ),
    "Contexts and event loops that end": (
        "tests/ledger/test_scoped_contexts.py",
        "tests/ledger/test_cancelled.py",
        "tests/attacks/test_loops.py",
        f"{INDEX}/test_faithful.py::test_a_log_may_be_left_in_another_context",
        f"{INDEX}/test_faithful.py::test_event_loops_that_end_leave_nothing_behind",
    ),
    "Hooks, spans and shapes that a program counts on": (
        f"{CHAIN}/unit_tests/test_drop_in.py",
        f"{CHAIN}/unit_tests/test_surface.py",
        f"{CHAIN}/unit_tests/test_traps_tracing.py",
        f"{INDEX}/test_faithful.py::test_answers_have_one_shape",
    ),
    "Requests that are sent and not answered": ("tests/attacks/test_time.py",),
    "Answers that are none": (
        "tests/attacks/test_answers.py",
        "tests/attacks/test_streams.py",
        "tests/attacks/test_every_fault.py",
        "tests/attacks/test_odd_answers.py",
    ),
    "Ledgers that are slow, broken or not ours": (
        "tests/attacks/test_broken_ledgers.py",
        "tests/ledger/test_trouble.py",
    ),
    "A baseline that is gone": ("tests/rollout/test_trial.py",),
    "Hostile files and arguments": (
        "tests/tokens/test_pdf.py",
        "tests/migrate/test_hostile.py",
        "tests/cli/test_hostile.py",
    ),
}
"""Which tests try an attack, by kind: files, or tests in them."""
OUTPUT: Final = "ROUTED_ATTACKS"
"""The environment variable with the file that the figures go to."""


@dataclass
class Figures:
    """What one attack came to.

    Attributes:
        cases: how often it was tried, in every way to call.
        failed: how often it got through.
        longest: seconds of the longest case.
        bytes: that went through sockets of the process in either direction, or stood in files and arguments.
        sent: requests that reached a server.
        rows: entries in ledgers in memory.
        charged: picodollars charged for them.
    """

    cases: int = 0
    failed: int = 0
    longest: float = 0.0
    bytes: int = 0
    sent: int = 0
    rows: int = 0
    charged: int = 0

    def add(self, other: Figures) -> None:
        """Add a case."""
        for one in fields(self):
            before, more = getattr(self, one.name), getattr(other, one.name)
            setattr(self, one.name, max(before, more) if one.name == "longest" else before + more)


class Recorder:
    """A plugin of pytest that keeps the figures of each test function, and writes them when it ends."""

    def __init__(self, output: Path) -> None:
        self.output = output
        self.found: dict[str, Figures] = {}
        self._now = Figures()
        settle, note = MemoryLedger.settle, Exchange.note
        send, sendall = socket.socket.send, socket.socket.sendall

        def counted(ledger: MemoryLedger, hold: Any, entry: Any) -> Any:
            self._now.rows += 1
            self._now.charged += entry.booked
            return settle(ledger, hold, entry)

        def noted(exchange: Exchange, event: str) -> None:
            before = exchange.sent
            note(exchange, event)
            self._now.sent += exchange.sent and not before

        def sent(one: socket.socket, data: Any, *flags: int) -> int:
            count = send(one, data, *flags)
            self._now.bytes += count
            return count

        def all_sent(one: socket.socket, data: Any, *flags: int) -> None:
            self._now.bytes += len(data)
            sendall(one, data, *flags)

        MemoryLedger.settle, Exchange.note = counted, noted  # type: ignore[method-assign] # counts
        socket.socket.send, socket.socket.sendall = sent, all_sent  # type: ignore[method-assign, assignment] # counts

    def pytest_runtest_call(self, item: pytest.Item) -> None:
        """Begin a case: what it is given counts."""
        given = getattr(item, "callspec", None)
        values = given.params.values() if given is not None else ()
        texts = [value for value in values if isinstance(value, str | bytes)]
        self._now = Figures(bytes=sum(len(value) for value in texts if len(value) > 100))

    @pytest.hookimpl(wrapper=True)
    def pytest_runtest_teardown(self, item: pytest.Item) -> Iterator[None]:
        """End a case: what it wrote counts."""
        folder = getattr(item, "funcargs", {}).get("tmp_path")
        if isinstance(folder, Path):
            self._now.bytes += sum(_size(path) for path in folder.rglob("*"))
        self.found.setdefault(item.nodeid.partition("[")[0], Figures()).add(self._now)
        return (yield)

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        """Count a case."""
        if report.when == "call" and not report.skipped:
            self._now.cases, self._now.failed, self._now.longest = 1, report.failed, report.duration

    def pytest_sessionfinish(self) -> None:
        """Write what was found."""
        self.output.write_text(json.dumps({name: asdict(row) for name, row in self.found.items()}))


def _size(path: Path) -> int:
    try:
        return path.lstat().st_size if path.is_file() else 0
    except OSError:  # it may be a link in a circle, or not ours to read
        return 0


def pytest_configure(config: pytest.Config) -> None:
    """Stand in as a plugin: ``-p benchmarks.recovery.attacks``."""
    if OUTPUT in os.environ:
        config.pluginmanager.register(Recorder(Path(os.environ[OUTPUT])))


def run(tests: tuple[str, ...]) -> dict[str, Figures]:
    """Run tests of one folder of settings, and return their figures by name."""
    place = tests[0].partition("/tests")[0] if tests[0].startswith("integrations/") else ""
    settings = ["-c", f"{place}/pyproject.toml", "--rootdir", "."] if place else []
    with tempfile.TemporaryDirectory() as folder:
        output = Path(folder) / "figures.json"
        quiet = ["-q", "--no-header", "-p", "no:cacheprovider", "-p", "benchmarks.recovery.attacks"]
        command = [sys.executable, "-m", "pytest", *quiet, *settings, *tests]
        done = subprocess.run(
            command,
            cwd=ROOT,
            env={**os.environ, OUTPUT: str(output)},
            check=False,
            stdout=sys.stderr,
        )
        if done.returncode not in (0, 1):
            raise SystemExit(f"{' '.join(command)} did not run")
        return {name: Figures(**row) for name, row in json.loads(output.read_text()).items()}


def table(found: Mapping[str, Figures]) -> Iterator[str]:
    """Write the rows of one kind."""
    yield "| attack | cases | got through | longest, s | bytes | sent | booked | charged, $ |"
    yield "|" + " --- |" * 8
    for name, row in found.items():
        if row.cases:
            said = name.rpartition("::")[2].removeprefix("test_").replace("_", " ")
            figures = (row.cases, row.failed, f"{row.longest:.2f}", f"{row.bytes:,}", row.sent, row.rows)
            yield f"| {said} | {' | '.join(map(str, figures))} | {row.charged / 1e12:.4f} |"


def main(arguments: list[str] | None = None) -> int:
    """Run the attacks and print the tables; 1 when one got through."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--only", default="", help="kinds with this word in their name")
    chosen = parser.parse_args(arguments)
    kinds = {kind: tests for kind, tests in KINDS.items() if chosen.only in kind}
    lines: list[str] = []
    whole = Figures()
    for kind, tests in kinds.items():
        found: dict[str, Figures] = {}
        for place in ("tests/", CHAIN, INDEX, CLIENT):
            here = tuple(test for test in tests if test.startswith(place))
            found |= run(here) if here else {}
        lines += ["", f"## {kind}", "", *table(found)]
        for row in found.values():
            whole.add(row)
    print("# What was tried against it\n")
    print("Made by `python -m benchmarks.recovery.attacks`, on a machine that was busy with other work:")
    print(f"{whole.cases:,} cases, {whole.failed} of them got through. Bytes went through sockets in either")
    print(
        "direction, or stood in files and arguments; sent and booked are requests that reached a server and"
    )
    print("entries in ledgers in memory. Each row is a test of that name.")
    print("\n".join(lines))
    return 1 if whole.failed else 0


if __name__ == "__main__":
    sys.exit(main())
