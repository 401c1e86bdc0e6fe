"""The short form of the soak: thirty-two callers at once while a tenth of the requests fails."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from decimal import Decimal
from pathlib import Path

import pytest

from benchmarks.recovery import soak

ROOT = Path(__file__).parents[2]
SECONDS = os.environ.get("ROUTED_TEST_SOAK", "4")
"""Seconds of the soak; set the variable to more for a longer one."""


def test_soak() -> None:
    """Every call is answered or fails with a typed error, nothing is left over, the books are the bill."""
    command = [sys.executable, "-W", "ignore", "-m", "benchmarks.recovery.soak", SECONDS]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=600, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    assert done.stdout.endswith("nothing wrong\n")
    calls, share = re.search(r"(\d+) calls, \d+ requests, faults in (\d+\.\d)%", done.stdout).groups()
    assert int(calls) > soak.CALLERS
    assert 2 < float(share) < 25


class Books:
    """A soak whose ledger has given entries."""

    def __init__(self, entries: list[tuple[int, str]], whole: set[int]) -> None:
        self.whole = whole
        self.ledger = self
        self._rows = entries

    def entries(self) -> list[object]:
        """Give the entries."""
        from datetime import UTC, datetime

        from routed_llm import Entry

        return [
            Entry(
                id=str(i),
                at=datetime(2026, 11, 22, tzinfo=UTC),
                model="gpt-4o",
                cost=int(Decimal(cost) * soak.PICO),
                booked=int(Decimal(cost) * soak.PICO),
                tags={"call": str(call)},
            )
            for i, (call, cost) in enumerate(self._rows)
        ]


@pytest.mark.parametrize(
    ("entries", "billed", "whole", "wrong"),
    [
        pytest.param([(1, "0.5")], {1: ["0.5"]}, {1}, [], id="equal"),
        pytest.param([(1, "0.5")], {1: ["0.3", "0.5"]}, {1}, [], id="an attempt broke off"),
        pytest.param(
            [(1, "0.4")],
            {1: ["0.5"]},
            {1},
            ["call 1: $0.4 is booked", "call 1: answered, and nothing"],
            id="another amount",
        ),
        pytest.param(
            [(1, "0.5"), (1, "0.5")], {1: ["0.5"]}, {1}, ["call 1: $0.5 is booked"], id="booked twice"
        ),
        pytest.param([], {1: ["0.5"]}, {1}, ["call 1: answered, and nothing"], id="not booked"),
        pytest.param([], {1: ["0.5"]}, set(), [], id="not answered"),
    ],
)
def test_the_soak_finds_wrong_money(
    entries: list[tuple[int, str]], billed: dict[int, list[str]], whole: set[int], wrong: list[str]
) -> None:
    """What is booked and was not billed, and what was answered and is not booked, is found."""
    calls = {number: soak.Billed(dollars=[Decimal(one) for one in row]) for number, row in billed.items()}
    found = soak._money(Books(entries, whole), calls)
    assert len(found) == len(wrong)
    assert all(text.startswith(start) for text, start in zip(found, wrong, strict=True))
