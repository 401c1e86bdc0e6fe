"""The migration report as tables in the terminal."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from typing import TYPE_CHECKING

from routed_llm.cli.migrate_words import left_out
from routed_llm.cli.screen import console
from routed_llm.migrate import Kind

if TYPE_CHECKING:
    from rich.console import Console

    from routed_llm.migrate import Migration, Occurrence, Site

__all__ = ["MEANING", "by_model", "prices", "served", "show"]

MEANING = {
    Kind.REWRITE: "the constructor becomes a routed one",
    Kind.TRACE: "defined here, used by a constructor that becomes a routed one",
    Kind.REPORT: "a person decides",
    Kind.KEEP: "price table, test, comparison, text, another vendor's name, or routed already",
    Kind.NEVER: "another identifier that contains the id",
}


def show(found: Migration, *, every: bool) -> None:
    """Print the report."""
    screen = console()
    _summary(screen, found)
    _ends(screen, found)
    _sites(screen, found.sites)
    kinds = tuple(Kind) if every else (Kind.TRACE, Kind.REPORT)
    _places(screen, [item for item in found.occurrences if item.kind in kinds])
    if found.changes:
        screen.print(f"{len(found.changes)} files would be written: --diff shows how, --write does it.")
    for note in found.notes:
        screen.print(note)


def by_model(occurrences: Iterable[Occurrence]) -> list[tuple[str, str, str, int]]:
    """Return model, shutdown day, replacement and number of occurrences, the earliest first."""
    from routed_llm.migrate.ids import shared

    rows = []
    for name, number in Counter(item.model for item in occurrences).items():
        end = shared(None).ending(name)
        rows.append((name, str(end.shutdown) if end else "", (end and end.replacement) or "", number))
    return sorted(rows, key=lambda row: (row[1], row[0]))


def served(site: Site) -> str:
    """Say who would serve a site once its model has stopped."""
    effect = site.effect or {}
    if not effect.get("model"):
        return "nobody"
    return f"{effect['model']}" + (f" at {effect['effort']}" if effect.get("effort") else "")


def prices(site: Site, key: str) -> str:
    """Return the mixed price per million tokens before or after, with a dollar sign."""
    row = (site.effect or {}).get(key) or {}
    return f"${row['mixed']}" if row.get("mixed") else "unknown"


def _summary(screen: Console, found: Migration) -> None:
    from rich.table import Table

    table = Table(box=None, pad_edge=False)
    for name in ("class", "number", "meaning"):
        table.add_column(name, justify="right" if name == "number" else "left")
    for kind, number in found.count().items():
        table.add_row(str(kind), str(number), MEANING[kind])
    screen.print(f"{found.searched} files searched, {len(found.files)} name a model that stops.")
    if found.skipped:
        screen.print(f"Left out: {'; '.join(left_out(found.skipped))}.")
    screen.print()
    screen.print(table)
    screen.print()


def _ends(screen: Console, found: Migration) -> None:
    from rich.table import Table

    table = Table(box=None, pad_edge=False)
    for name in ("model", "stops on", "OpenAI names", "occurrences"):
        table.add_column(name, justify="right" if name == "occurrences" else "left")
    for name, day, replacement, number in by_model(found.occurrences):
        table.add_row(name, day, replacement or "-", str(number))
    if table.row_count:
        screen.print(table)
        screen.print()


def _sites(screen: Console, sites: tuple[Site, ...]) -> None:
    from rich.table import Table

    routed = [site for site in sites if site.blocked is None]
    if not routed:
        return
    table = Table(box=None, pad_edge=False, title="Constructors that are rewritten", title_justify="left")
    for name in ("where", "rule", "model", "served by", "$ per 1M tokens", "changes"):
        table.add_column(name, overflow="fold")
    for site in sorted(routed, key=lambda item: (item.path, item.line)):
        changes = [
            f"{change['parameter']} {change['action']}"
            for change in (site.effect or {}).get("changes", ())
            if change["parameter"] != "reasoning_effort" or change["action"] != "added"
        ]
        table.add_row(
            f"{site.path}:{site.line}",
            site.rule,
            site.model,
            served(site),
            f"{prices(site, 'before')} to {prices(site, 'after')}",
            ", ".join(changes) or "none",
        )
    screen.print(table)
    screen.print(
        "Prices: 80% input, 20% output, reasoning included, for the work that gpt-4o does with a token."
    )
    screen.print()


def _places(screen: Console, items: list[Occurrence]) -> None:
    from rich.table import Table

    if not items:
        return
    table = Table(box=None, pad_edge=False, title="The other places", title_justify="left")
    for name in ("where", "class", "id", "why"):
        table.add_column(name, overflow="fold")
    for item in items:
        table.add_row(f"{item.path}:{item.line}", str(item.kind), item.text, item.why)
    screen.print(table)
    screen.print()
