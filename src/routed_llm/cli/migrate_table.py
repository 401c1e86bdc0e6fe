"""The migration report in the terminal: what it comes to first, then each cause with its places."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from decimal import Decimal
from textwrap import fill
from typing import TYPE_CHECKING

from routed_llm.cli.migrate_words import counted, left_out, printable, sentence, shortened
from routed_llm.cli.screen import console
from routed_llm.migrate import Kind

if TYPE_CHECKING:
    from rich.console import Console

    from routed_llm.migrate import Migration, Occurrence, Site

__all__ = ["MEANING", "by_cause", "by_model", "places_of", "prices", "rise", "served", "show"]

MEANING = {
    Kind.REWRITE: "the constructor becomes a routed one",
    Kind.TRACE: "defined here, used by a constructor that becomes a routed one",
    Kind.REPORT: "a person decides",
    Kind.KEEP: "price, test, comparison, text, another vendor's name, or routed",
    Kind.NEVER: "another identifier that contains the id",
}

_FILES = 8
"""Files that are listed of each cause; `--all` lists every one."""
_PLACES = 4
"""Places that are listed of each file; more of one cause, as in recorded data, are one line."""

_OWN = (
    (r"'[^']*'|\"[^\"]*\"", "'...'"),
    (r"[\w.\[\]]*[\w\])]\(\)", "...()"),
    (r"\b(?:at|reaches) \S+ at (?:\S+:)?(?:cell \d+, )?line \d+", "reaches a constructor"),
    (r"\breaches (?:cell \d+, )?line \d+", "reaches a call"),
    (r"\bhanded to \S+ of \S+,", "handed to a function,"),
    (r"\bis assigned to [\w.\[\]]+", "is assigned to a name"),
    (r"\bdefault of [\w.]+,", "default of a parameter,"),
    (r"\b(?:ft:)?(?:gpt|o\d)[\w.:-]*\b", "..."),
    (r"\b(?:openai|azure)[\w-]*[:/]\.\.\.", "..."),
)
"""What is one place's own in a reason; the rest is the cause that it shares with others."""


def show(found: Migration, *, every: bool, written: Sequence[str] = ()) -> None:
    """Print the report.

    Args:
        found: what there is.
        every: whether also what is kept, and every file, is listed.
        written: the files that have been written.
    """
    screen = console()
    _summary(screen, found, written=bool(written))
    _ends(screen, found)
    _sites(screen, found.sites, written=bool(written), every=every)
    kinds = tuple(Kind) if every else (Kind.REPORT,)
    _places(screen, [item for item in found.occurrences if item.kind in kinds], every=every)
    if written:
        screen.print(f"{counted(len(written), 'file')} written.")
    elif found.changes:
        screen.print(
            f"{counted(len(found.changes), 'file')} would be written: --diff shows how, --write does it."
        )
    for note in dict.fromkeys(found.notes):
        _line(screen, printable(note))


def by_model(occurrences: Iterable[Occurrence]) -> list[tuple[str, str, str, int]]:
    """Return model, shutdown day, replacement and number of occurrences, the earliest first."""
    from routed_llm.migrate.ids import shared

    rows = []
    for name, number in Counter(item.model for item in occurrences).items():
        end = shared(None).ending(name)
        rows.append((name, str(end.shutdown) if end else "", (end and end.replacement) or "", number))
    return sorted(rows, key=lambda row: (row[1], row[0]))


def by_cause(items: Iterable[Occurrence]) -> list[tuple[str, dict[str, list[Occurrence]]]]:
    """Return each cause with its places by file, the most frequent cause first."""
    groups: dict[str, dict[str, list[Occurrence]]] = {}
    for item in items:
        cause = item.why
        for own, shared in _OWN:
            cause = re.sub(own, shared, cause)
        groups.setdefault(cause, {}).setdefault(item.path, []).append(item)
    order = sorted(groups.items(), key=lambda group: -sum(map(len, group[1].values())))
    # Where all have the same words, these say more than their common form.
    return [
        (next(iter(whys)) if len(whys := {item.why for item in _all(files)}) == 1 else cause, files)
        for cause, files in order
    ]


def _all(files: dict[str, list[Occurrence]]) -> Iterator[Occurrence]:
    for items in files.values():
        yield from items


def served(site: Site) -> str:
    """Say who would serve a site once its model has stopped."""
    effect = site.effect or {}
    if not effect.get("model"):
        return "nobody"
    return f"{effect['model']}" + (f" at {effect['effort']}" if effect.get("effort") else "")


def prices(site: Site, key: str) -> str:
    """Return the mixed price per million tokens before or after, with a dollar sign."""
    amount = _amount(site, key)
    return f"${amount}" if amount is not None else "unknown"


def _amount(site: Site, key: str) -> Decimal | None:
    row = (site.effect or {}).get(key) or {}
    return Decimal(row["mixed"]) if row.get("mixed") else None


def rise(site: Site) -> str:
    """Say by how much the price changes, with a sign; empty where one of the two is not known."""
    before, after = _amount(site, "before"), _amount(site, "after")
    return f"{(after - before) / before:+.0%}" if before and after is not None else ""


def _line(screen: Console, text: str) -> None:
    """Print a sentence: between words where a terminal is too narrow, on one line for other programs."""
    if screen.is_terminal and len(text) > screen.width:
        indent = " " * (len(text) - len(text.lstrip()) + 2)
        text = fill(
            text, screen.width, subsequent_indent=indent, break_long_words=False, break_on_hyphens=False
        )
    screen.print(text, soft_wrap=True)


def _place(screen: Console, place: str, rest: str) -> None:
    """Print a place on one line: for other programs whole, on a narrow terminal with its last folders."""
    room = screen.width - len(rest) - 6 if screen.is_terminal else len(place)
    screen.print(f"    {shortened(printable(place), room)}  {rest}".rstrip(), soft_wrap=True)


def places_of(items: Sequence[Site], most: int) -> str:
    """Write the places of one file together, the first of them by number: ``app.py:8, 12 and 3 more``."""
    path, more = items[0].path, len(items) - most
    named = [item.place.removeprefix(f"{path}:") for item in items[:most]]
    between = ", " if items[0].cell is None else "; "
    return f"{path}:{between.join(named)}" + (f" and {more} more" if more > 0 else "")


def _summary(screen: Console, found: Migration, *, written: bool) -> None:
    files = counted(found.searched, "file")
    name = "names" if len(found.files) == 1 else "name"
    _line(screen, f"{files} searched, {len(found.files)} {name} a model that stops.")
    for what in left_out(found.skipped, screen.width // 3 if screen.is_terminal else 1000):
        _line(screen, f"Not looked at: {what}.")
    screen.print()
    width = max(len(str(number)) for number in found.count().values())
    for kind, number in found.count().items():
        meaning = MEANING[kind].replace("becomes", "has become") if written else MEANING[kind]
        screen.print(f"{kind!s:<8}{number:>{width}}  {meaning}", soft_wrap=True)
    screen.print()


def _ends(screen: Console, found: Migration) -> None:
    rows = by_model(found.occurrences)
    if not rows:
        return
    wide = max(len(name) for name, *_ in rows)
    new = max(len(name) for _, _, name, _ in rows)
    _line(screen, f"{'model':<{wide}}  {'stops on':<10}  {'OpenAI names':<{max(new, 12)}}  places")
    for name, day, replacement, number in rows:
        _line(screen, f"{name:<{wide}}  {day:<10}  {replacement or '-':<{max(new, 12)}}  {number:>6}")
    screen.print()


def _sites(screen: Console, sites: tuple[Site, ...], *, written: bool, every: bool) -> None:
    routed = [site for site in sites if site.blocked is None]
    if not routed:
        return
    _line(screen, f"Constructors that {'were' if written else 'are'} rewritten: {len(routed)}")
    groups: dict[tuple[str, ...], list[Site]] = {}
    for site in routed:
        key = (
            site.model,
            served(site),
            prices(site, "before"),
            prices(site, "after"),
            prices(site, "replaced"),
        )
        groups.setdefault(key, []).append(site)
    for (model, by, before, after, replaced), items in sorted(
        groups.items(), key=lambda group: -len(group[1])
    ):
        change = f" {rise(items[0])}".rstrip()
        dearer = " COSTS MORE" if change.startswith(" +") and change != " +0%" else ""
        instead = (items[0].effect or {}).get("replacement")
        other = f"; OpenAI's {instead} {replaced}" if instead and replaced != "unknown" else ""
        cost = f"{before} to {after}{change}{dearer}{other}"
        _line(screen, f"  {len(items)} of {model}: served by {by}, {cost}")
        _list_sites(screen, items, every=every)
    _totals(screen, routed)
    screen.print()


def _list_sites(screen: Console, items: Sequence[Site], *, every: bool) -> None:
    files: dict[str, list[Site]] = {}
    for site in sorted(items, key=lambda item: (item.path, item.line)):
        files.setdefault(site.path, []).append(site)
    shown = list(files.items()) if every else list(files.items())[:_FILES]
    for _, sites in shown:
        alike: dict[str, list[Site]] = {}
        for site in sites:
            key = "  ".join(filter(None, (site.rule, *site.models, _changes(site))))
            alike.setdefault(f"{site.place} {key}" if every else key, []).append(site)
        for some in alike.values():
            changes = _changes(some[0])
            models = ", ".join(some[0].models)
            _place(screen, places_of(some, _PLACES), f"{some[0].rule}  {models}  {changes}".rstrip())
    if len(files) > len(shown):
        _line(screen, f"    and {counted(len(files) - len(shown), 'file')} more (--all)")


def _changes(site: Site) -> str:
    return ", ".join(
        f"{change['parameter']} {change['action']}"
        for change in (site.effect or {}).get("changes", ())
        if change["parameter"] != "reasoning_effort" or change["action"] != "added"
    )


def _totals(screen: Console, routed: Sequence[Site]) -> None:
    known = [site for site in routed if _amount(site, "before") and _amount(site, "after") is not None]
    if not known:
        return
    before = sum((_amount(site, "before") or Decimal(0) for site in known), Decimal(0)) / len(known)
    after = sum((_amount(site, "after") or Decimal(0) for site in known), Decimal(0)) / len(known)
    dearer = [site for site in known if (_amount(site, "after") or 0) > (_amount(site, "before") or 0)]
    _line(
        screen,
        f"  On average ${before:.2f} per million tokens before, ${after:.2f} after "
        f"({(after - before) / before:+.0%}).",
    )
    if dearer:
        models = ", ".join(dict.fromkeys(f"{site.model} {rise(site)}" for site in dearer))
        _line(
            screen,
            f"  Warning: {counted(len(dearer), 'constructor')} will cost more ({models}): nothing cheaper "
            "is as good once the model has stopped. --map names another baseline.",
        )
    _line(
        screen, "  Prices per million tokens: 80% input, 20% output, reasoning included, for the same work."
    )


def _places(screen: Console, items: list[Occurrence], *, every: bool) -> None:
    for kind in Kind:
        chosen = [item for item in items if item.kind is kind]
        if not chosen:
            continue
        files = len({item.path for item in chosen})
        head = "For you to decide" if kind is Kind.REPORT else f"{kind!s}: {MEANING[kind]}"
        _line(screen, f"{head}: {counted(len(chosen), 'place')} in {counted(files, 'file')}")
        for cause, places in by_cause(chosen):
            _cause(screen, cause, places, every=every)
        screen.print()


def _cause(screen: Console, cause: str, files: dict[str, list[Occurrence]], *, every: bool) -> None:
    number = sum(map(len, files.values()))
    _line(screen, f"  {printable(sentence(cause))} ({counted(number, 'place')})")
    shown = sorted(files.items()) if every else sorted(files.items())[:_FILES]
    for _, items in shown:
        if not every and len(items) > _PLACES:
            _place(screen, items[0].place, f"and {len(items) - 1} more of this file")
            continue
        for item in items:
            _place(screen, item.place, printable(item.text))
    if len(files) > len(shown):
        left = sum(len(items) for path, items in files.items() if path not in dict(shown))
        _line(
            screen,
            f"    and {counted(left, 'place')} in {counted(len(files) - len(shown), 'file')} more (--all)",
        )
