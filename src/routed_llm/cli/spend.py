"""`routed spend`: what has been spent, by scope, model, day."""

from __future__ import annotations

import argparse
import sqlite3
from contextlib import closing
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

from routed_llm.budget import PICO
from routed_llm.cli.errors import CommandError
from routed_llm.cli.needs import required
from routed_llm.cli.screen import console, money, print_json, table, working
from routed_llm.ledger import open_ledger
from routed_llm.ledger.report import GROUPS, Spending, spending

__all__ = ["add_parser", "arguments", "run"]

HELP = "say what has been spent, by scope, model, day"


def add_parser(commands: Any) -> None:
    """Add the subcommand to those of `routed`."""
    arguments(commands.add_parser("spend", help=HELP, description=f"{HELP[:1].upper()}{HELP[1:]}."))


def arguments(parser: argparse.ArgumentParser) -> None:
    """Add the subcommand's arguments."""
    parser.add_argument(
        "ledger", metavar="LEDGER", help="the file of an SQLite ledger, or the redis:// URL of a Redis one"
    )
    parser.add_argument(
        "--by",
        default="model",
        metavar="NAMES",
        help=f"what to group by, joined by commas: {', '.join(GROUPS)}, or a scope tag (default: model)",
    )
    parser.add_argument("--since", type=_day, metavar="DATE", help="the first day, in UTC")
    parser.add_argument("--until", type=_day, metavar="DATE", help="the last day, in UTC")
    parser.add_argument("--json", action="store_true", help="print JSON for programs")


def run(asked: argparse.Namespace) -> int:
    """Print the sums."""
    by = [name.strip() for name in asked.by.split(",") if name.strip()]
    last = asked.until is None or asked.until.date() == date.max
    until = None if last else asked.until + timedelta(days=1)
    with working(f"Reading {asked.ledger}"):
        rows, total = _sums(asked.ledger, by, asked.since, until)
    if asked.json:
        print_json({"by": by, "rows": [row.to_dict(by) for row in rows], "total": total.to_dict(by)})
        return 0
    out = console()
    cells = map(_cells, [*rows, total] if len(rows) != 1 else rows)
    for line in table([*map(str.upper, by), *HEADS], cells, labels=len(by), width=out.width):
        out.print(line, soft_wrap=True)
    if total.unknown:
        out.print(
            f"The cost of {total.unknown} of {total.calls + total.failed} requests is not known: the answer "
            "reported no usage, or the model has no price. They are not in the sums."
        )
    return 0


def _sums(
    where: str, by: list[str], since: datetime | None, until: datetime | None
) -> tuple[list[Spending], Spending]:
    if "://" not in where and not _is_ledger(where):
        raise CommandError(f"There is no ledger {where!r}. Name the file that a SQLiteLedger writes.")
    if "://" in where:
        required("redis", extra="'routed-llm[redis]'")
    ledger = open_ledger(where)
    try:
        return spending(ledger.entries(since=since, until=until), by=by)
    except OSError as error:
        raise CommandError(f"{where} cannot be read: {error}. See that the server runs.") from error
    finally:
        ledger.close()


def _is_ledger(path: str) -> bool:
    """Say whether a file may be a ledger, without making it one: what is only asked about stays as it is."""
    if not Path(path).is_file():
        return False
    try:
        with closing(sqlite3.connect(f"{Path(path).absolute().as_uri()}?mode=ro", uri=True)) as db:
            return db.execute("SELECT 1 FROM sqlite_master WHERE name = 'counters'").fetchone() is not None
    except sqlite3.Error:
        return True  # the ledger says what is wrong with it


HEADS = ("CALLS", "FAILED", "COST", "EXPECTED", "INPUT", "CACHED", "OUTPUT")


def _cells(row: Spending) -> tuple[str, ...]:
    amounts = (f"{row.input_tokens:,}", f"{row.cached_tokens:,}", f"{row.output_tokens:,}")
    dollars = (money(Decimal(row.cost) / PICO), money(Decimal(row.estimated) / PICO))
    return (*row.group, f"{row.calls:,}", f"{row.failed:,}", *dollars, *amounts)


def _day(text: str) -> datetime:
    try:
        return datetime.fromisoformat(text).replace(tzinfo=UTC)
    except ValueError:
        raise argparse.ArgumentTypeError(f"{text!r} is not a date such as 2026-11-22") from None
