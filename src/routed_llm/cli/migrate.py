"""`routed migrate`: find what names a retiring model, show what it would become, rewrite it."""

from __future__ import annotations

import argparse
import json
import sys
from contextlib import contextmanager
from datetime import date
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from routed_llm.migrate import Migration, Options

__all__ = ["arguments", "run"]

OPEN = 1
"""Exit code of `--check` when something is left to rewrite or to decide."""


def arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the command's arguments."""
    parser.epilog = (
        "exit codes: 0 done; 1 with --check, something is left to do; 2 bad input, or a file that cannot be "
        "written"
    )
    parser.add_argument(
        "path", nargs="?", default=".", metavar="PATH", help="a folder or a file (default: this folder)"
    )
    action = parser.add_mutually_exclusive_group()
    action.add_argument(
        "--check",
        action="store_true",
        help="list what is left to do, and exit with 1 while there is any (for CI)",
    )
    action.add_argument(
        "--diff", action="store_true", help="print the edits as a patch, whatever is left exit with 0"
    )
    action.add_argument(
        "--write", action="store_true", help="make the edits; exit with 2 when a file cannot be written"
    )
    action.add_argument("--rules", action="store_true", help="list the rules")
    parser.add_argument(
        "--select", type=_codes, default=(), metavar="CODES", help="only these rules, as RM001,RM003"
    )
    parser.add_argument("--ignore", type=_codes, default=(), metavar="CODES", help="not these rules")
    parser.add_argument("--baseline", metavar="FILE", help="findings that --check accepts")
    parser.add_argument("--write-baseline", metavar="FILE", help="write the open findings to such a file")
    parser.add_argument(
        "--map",
        type=_pair,
        action="append",
        default=[],
        metavar="OLD=NEW",
        help="use another baseline than the old model, as gpt-4o-mini=gpt-4o or 'gpt-3.5-turbo*=gpt-4o'",
    )
    parser.add_argument("--tests", action="store_true", help="rewrite tests, too")
    parser.add_argument("--docs", action="store_true", help="rewrite Python examples in Markdown, too")
    parser.add_argument(
        "--vendored", action="store_true", help="search hidden, vendored and generated folders, too"
    )
    parser.add_argument("--before", type=_day, metavar="DATE", help="only models that stop before this day")
    parser.add_argument("--at", type=_day, metavar="DATE", help="the day to report for (default: today)")
    parser.add_argument(
        "--max-size", type=int, default=20, metavar="MB", help="skip larger files (default: 20)"
    )
    parser.add_argument(
        "--allow-dirty", action="store_true", help="write files that git has uncommitted changes of"
    )
    parser.add_argument("--html", metavar="FILE", help="write the report as one HTML file")
    parser.add_argument("--json", action="store_true", help="print the findings as JSON")
    parser.add_argument("--all", action="store_true", help="also list what is kept, in the terminal")


def run(asked: argparse.Namespace) -> int:
    """Search, then report or rewrite.

    Raises:
        MigrationError: when the search cannot begin or a file cannot be written.
        CommandError: when libcst or rich is not installed.
    """
    from routed_llm.cli.needs import required

    required("libcst", extra="'routed-llm[cli,migrate]'")
    from routed_llm.migrate import CODES, migrate
    from routed_llm.migrate.accepted import write_accepted

    if asked.rules:
        for code, title in CODES.items():
            print(f"{code}  {title}")
        return 0
    options = _options(asked)
    quiet = asked.json or asked.diff
    with _progress(quiet) as progress:
        found = migrate(asked.path, options, progress=progress)
    if asked.write_baseline:
        count = write_accepted(Path(asked.write_baseline), found.occurrences)
        print(f"{count} findings written to {asked.write_baseline}.", file=sys.stderr)
    if asked.html:
        _write_page(Path(asked.html), found)
    if asked.diff:
        _print_patch(found)
        return 0
    written = found.write(dirty=asked.allow_dirty) if asked.write else []
    if asked.json:
        print(json.dumps(as_json(found) | ({"written": written} if asked.write else {}), indent=1))
    elif not asked.check:
        from routed_llm.cli.migrate_table import show

        show(found, every=asked.all, written=written)
    return _check(found, asked) if asked.check else 0


def _options(asked: argparse.Namespace) -> Options:
    from routed_llm.cli.errors import CommandError
    from routed_llm.migrate import CODES, Options
    from routed_llm.migrate.ids import shared

    for code in (*asked.select, *asked.ignore):
        if code not in CODES:
            raise CommandError(f"There is no rule {code}. `routed migrate --rules` lists them.")
    ids = shared(None)
    for old, new in asked.map:
        known = ids.matches(old) if "*" in old else ids.knows(old) or ids.ending(old) is not None
        for name in [*([] if known else [old]), *([] if ids.knows(new) else [new])]:
            raise CommandError(
                f"--map: {name!r} is no model of the catalog. `routed models --all` lists them."
            )
    if asked.max_size < 1:
        raise CommandError("--max-size is a number of megabytes above 0. Give a larger one.")
    at = asked.at or date.today()  # noqa: DTZ011 - the user's own day
    return Options(
        select=asked.select,
        ignore=asked.ignore,
        tests=asked.tests,
        docs=asked.docs,
        models=dict(asked.map),
        before=None if asked.before is None else asked.before.isoformat(),
        max_bytes=asked.max_size * 1_000_000,
        at=at.isoformat(),
        vendored=asked.vendored,
    )


def as_json(found: Migration) -> dict[str, Any]:
    """Return the findings as JSON-able data."""
    from dataclasses import asdict

    return {
        "version": 1,
        "root": str(found.root),
        "searched": found.searched,
        "skipped": found.skipped,
        "count": {str(kind): number for kind, number in found.count().items()},
        "changes": sorted(found.changes),
        "notes": list(found.notes),
        "occurrences": [asdict(item) for item in found.occurrences],
        "sites": [json.loads(json.dumps(asdict(site), default=str)) for site in found.sites],
    }


def _check(found: Migration, asked: argparse.Namespace) -> int:
    from routed_llm.cli.migrate_words import counted, left_out, printable
    from routed_llm.migrate.accepted import open_findings, read_accepted

    accepted = read_accepted(Path(asked.baseline)) if asked.baseline else None
    left = open_findings(found.occurrences, accepted)
    for item in left:
        where = f"{item.path}:{item.line}:{item.column}" if item.cell is None else item.place
        print(printable(f"{where}: {item.rule or item.kind} {item.text}: {item.why}"))
    files = counted(len({item.path for item in left}), "file")
    print(f"{len(left)} left to do in {files}; {counted(found.searched, 'file')} searched.", file=sys.stderr)
    for what in left_out(found.skipped):
        print(f"Not looked at: {what}.", file=sys.stderr)
    return OPEN if left else 0


def _write_page(path: Path, found: Migration) -> None:
    from routed_llm.cli.errors import CommandError
    from routed_llm.cli.migrate_page import page

    try:
        path.write_text(page(found), encoding="utf-8")
    except OSError as error:
        raise CommandError(f"{path}: {error.strerror or error}. Name a file that can be written.") from error


def _print_patch(found: Migration) -> None:
    """Print the edits as bytes, so that the patch applies whatever the files' encodings and line ends."""
    import difflib

    for path, new in sorted(found.changes.items()):
        old = found.file(path).read_bytes()
        names = (f"a/{path}".encode(), f"b/{path}".encode())
        for line in difflib.diff_bytes(
            difflib.unified_diff, _lines(old), _lines(new), *names, lineterm=b"\n"
        ):
            end = b"" if line.endswith(b"\n") else b"\n\\ No newline at end of file\n"
            sys.stdout.buffer.write(line + end)
    sys.stdout.buffer.flush()


def _lines(data: bytes) -> list[bytes]:
    lines = data.split(b"\n")
    return [line + b"\n" for line in lines[:-1]] + ([lines[-1]] if lines[-1] else [])


@contextmanager
def _progress(quiet: bool) -> Iterator[Callable[[int, int], None] | None]:
    if quiet or not sys.stderr.isatty():
        yield None
        return
    from rich.console import Console
    from rich.progress import Progress

    with Progress(console=Console(stderr=True), transient=True) as bar:
        task = bar.add_task("searching", total=None)

        def report(done: int, total: int) -> None:
            bar.update(task, completed=done, total=total)

        yield report


def _codes(text: str) -> tuple[str, ...]:
    return tuple(code.strip().upper() for code in text.split(",") if code.strip())


def _pair(text: str) -> tuple[str, str]:
    old, sign, new = text.partition("=")
    if not sign or not old.strip() or not new.strip():
        raise argparse.ArgumentTypeError(f"{text!r} is not of the form OLD=NEW")
    return old.strip(), new.strip()


def _day(text: str) -> date:
    try:
        return date.fromisoformat(text)
    except ValueError:
        raise argparse.ArgumentTypeError(f"{text!r} is no date such as 2026-11-22") from None
