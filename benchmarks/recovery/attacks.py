"""The table of attacks: how often each was tried, how long it took, and what of it was booked.

The attacks are tests; this runs them and prints a row for each, so that a limit that is kept by a hair's
breadth shows. No network and no key::

    python -m benchmarks.recovery.attacks                   # --only WORD, --folders
"""

from __future__ import annotations

import argparse
import sys
from collections import defaultdict
from dataclasses import dataclass
from typing import Any, Final

import pytest

from routed_llm import MemoryLedger
from routed_llm.exchange import Exchange

FOLDERS: Final = (
    "tests/attacks",
    "tests/ledger/test_trouble.py",
    "tests/tokens/test_pdf.py",
    "tests/migrate/test_hostile.py",
)


@dataclass
class Figures:
    """What one attack came to.

    Attributes:
        cases: how often it was tried, in every way to call.
        failed: how often it got through.
        longest: seconds of the longest case.
        sent: requests that reached a server.
        rows: entries in ledgers in memory.
        charged: picodollars charged for them.
    """

    cases: int = 0
    failed: int = 0
    longest: float = 0.0
    sent: int = 0
    rows: int = 0
    charged: int = 0


class Table:
    """Keeps the figures while pytest runs."""

    def __init__(self) -> None:
        self.found: dict[str, Figures] = defaultdict(Figures)
        self._now = Figures()
        settle, note = MemoryLedger.settle, Exchange.note

        def counted(ledger: MemoryLedger, hold: Any, entry: Any) -> Any:
            self._now.rows += 1
            self._now.charged += entry.booked
            return settle(ledger, hold, entry)

        def noted(exchange: Exchange, event: str) -> None:
            before = exchange.sent
            note(exchange, event)
            self._now.sent += exchange.sent and not before

        MemoryLedger.settle, Exchange.note = counted, noted  # type: ignore[method-assign] # counts

    def pytest_runtest_logreport(self, report: Any) -> None:
        """Count a case."""
        if report.when != "call":
            return
        place, _, name = report.nodeid.partition("::")
        row = self.found[f"{place.rpartition('/')[2]}::{name.partition('[')[0]}"]
        row.cases += 1
        row.failed += report.failed
        row.longest = max(row.longest, report.duration)
        row.sent, row.rows = row.sent + self._now.sent, row.rows + self._now.rows
        row.charged += self._now.charged
        self._now.sent = self._now.rows = self._now.charged = 0


def main(arguments: list[str] | None = None) -> int:
    """Run the attacks and print the table; 1 when one got through."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--only", default="", help="those with this word in their name")
    parser.add_argument("--folders", nargs="*", default=FOLDERS)
    chosen = parser.parse_args(arguments)
    table = Table()
    quiet = ["-q", "--no-header", "--no-summary", "-p", "no:cacheprovider", "-k", chosen.only]
    code = pytest.main([*quiet, *chosen.folders], plugins=[table])
    print(f"\n| attack | cases | got through | longest, s | sent | rows | charged, $ |\n|{' --- |' * 7}")
    for name, row in table.found.items():
        figures = (row.cases, row.failed, f"{row.longest:.2f}", row.sent, row.rows)
        print(f"| {name} | {' | '.join(map(str, figures))} | {row.charged / 1e12:.4f} |")
    return int(code)


if __name__ == "__main__":
    sys.exit(main())
