"""The migration report as one HTML page."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator
from html import escape
from typing import TYPE_CHECKING

from routed_llm.cli.html import bars, document, table, tiles
from routed_llm.cli.migrate_table import MEANING, by_cause, by_model, places_of, prices, rise, served
from routed_llm.cli.migrate_words import left_out, sentence
from routed_llm.migrate import Kind

if TYPE_CHECKING:
    from routed_llm.migrate import Migration, Occurrence, Site

__all__ = ["page"]

_ALIKE = 20
"""Places of one file that are listed one by one when they have the same class and reason."""

_FIRST = (Kind.REPORT, Kind.TRACE, Kind.REWRITE, Kind.NEVER, Kind.KEEP)


def page(found: Migration) -> str:
    """Return the page."""
    count = found.count()
    name = found.root.name or str(found.root)
    parts = [
        f"<h1>Leaving the models that stop: {escape(name)}</h1>",
        f'<p class="dim">As of {escape(found.options.at or "")}. {found.searched} files searched; '
        f"{len(found.files)} name a model that stops; {len(found.changes)} would be written.</p>",
        tiles([(str(number), str(kind)) for kind, number in count.items()]),
        table(("class", "meaning"), [(str(kind), text) for kind, text in MEANING.items()]),
        "<h2>What stops when</h2>",
        table(
            ("model", "stops on", "OpenAI names", "occurrences"),
            [
                (model, day, new or "–", str(number))
                for model, day, new, number in by_model(found.occurrences)
            ],
            numbers=(3,),
        ),
        *_costs(found.sites),
        *_sites(found.sites),
        *_causes(found),
        *_files(found),
        *_rest(found),
    ]
    return document(f"Migration of {name}", parts)


def _costs(sites: tuple[Site, ...]) -> list[str]:
    routed = [site for site in sites if site.blocked is None]
    if not routed:
        return []
    rows = Counter(
        (site.model, prices(site, "before"), served(site), prices(site, "after")) for site in routed
    )
    lines = []
    for (model, before, after_model, after), _ in rows.most_common():
        lines += [(f"{model}", _amount(before), before), (f"{after_model}", _amount(after), after)]
    seen = [line for line in dict.fromkeys(lines) if line[2] != "unknown"]
    return [
        "<h2>Expected cost for a million tokens</h2>",
        '<p class="dim">80% input and 20% output, reasoning included, for the work that gpt-4o does with '
        "a token. The catalog's list prices; what a call really costs depends on its lengths.</p>",
        bars(seen, title="Expected US dollars for a million tokens, before and after"),
    ]


def _amount(text: str) -> float:
    return float(text.lstrip("$")) if text.startswith("$") else 0.0


def _sites(sites: tuple[Site, ...]) -> list[str]:
    sites = tuple(sorted(sites, key=lambda site: (site.path, site.line)))
    routed = [site for site in sites if site.blocked is None]
    blocked = [site for site in sites if site.blocked is not None]
    parts = []
    if routed:
        parts += ["<h2>Constructors that are rewritten</h2>", table(_HEADS, _rewritten(routed))]
    if blocked:
        rows = [(site.place, site.name, site.model, site.blocked or "") for site in blocked]
        parts += ["<h2>Constructors that are not</h2>", table(("where", "call", "model", "why"), rows)]
    return parts


_HEADS = (
    "where",
    "call",
    "model",
    "served by",
    "$ / 1M before",
    "$ / 1M after",
    "change",
    "OpenAI's own replacement",
    "what changes",
)


def _rewritten(sites: Iterable[Site]) -> list[tuple[str, ...]]:
    """Return a row for the calls of each file of which the same is to be said."""
    rows: dict[tuple[str, ...], list[Site]] = {}
    for site in sites:
        rows.setdefault((site.path, *_row(site)), []).append(site)
    return [(places_of(some, len(some)), *row) for (_, *row), some in rows.items()]


def _row(site: Site) -> tuple[str, ...]:
    changes = [str(change["text"]) for change in (site.effect or {}).get("changes", ())]
    return (
        f"{site.rule}: {site.name} becomes {site.becomes}",
        site.model,
        served(site),
        prices(site, "before"),
        prices(site, "after"),
        rise(site),
        f"{(site.effect or {}).get('replacement') or ''} {prices(site, 'replaced')}".strip(),
        "; ".join(changes) or "nothing",
    )


def _causes(found: Migration) -> list[str]:
    """Return what a person decides, by cause."""
    open_places = [item for item in found.occurrences if item.kind is Kind.REPORT]
    rows = [
        (sentence(cause), str(sum(map(len, files.values()))), str(len(files)), _some(files))
        for cause, files in by_cause(open_places)
    ]
    heads = ("why", "places", "files", "such as")
    return ["<h2>For you to decide</h2>", table(heads, rows, numbers=(1, 2))] if rows else []


def _some(files: dict[str, list[Occurrence]]) -> str:
    return ", ".join(items[0].place for _, items in sorted(files.items())[:3])


def _files(found: Migration) -> list[str]:
    parts = ["<h2>File by file</h2>"]
    named = [item for item in found.files if item.occurrences]  # others only take what these name
    for file in sorted(named, key=lambda item: _order(item.occurrences)):
        count = Counter(item.kind for item in file.occurrences)
        what = ", ".join(f"{count[kind]} {kind}" for kind in _FIRST if count[kind])
        rows = list(_rows(file.occurrences))
        parts.append(
            f"<details><summary><code>{escape(file.path)}</code> {escape(what)}</summary>"
            + table(("line", "class", "id", "why", "text"), rows, numbers=(0,))
            + "</details>"
        )
    return parts


def _rows(occurrences: tuple[Occurrence, ...]) -> Iterator[tuple[str, ...]]:
    """Give a row for each place; many of one class and reason, as in recorded data, are one row."""
    alike = Counter((item.kind, item.why) for item in occurrences)
    seen: set[tuple[Kind, str]] = set()
    for item in occurrences:
        key = (item.kind, item.why)
        where = item.place.removeprefix(f"{item.path}:")
        if alike[key] <= _ALIKE:
            yield where, str(item.kind), item.text, item.why, item.snippet
        elif key not in seen:
            seen.add(key)
            yield f"{where} and {alike[key] - 1:,} more", str(item.kind), item.text, item.why, item.snippet


def _order(occurrences: tuple[Occurrence, ...]) -> tuple[int, str]:
    return min(_FIRST.index(item.kind) for item in occurrences), occurrences[0].path


def _rest(found: Migration) -> list[str]:
    parts = []
    if found.notes:
        parts += ["<h2>To do besides</h2>", *(f"<p>{escape(note)}</p>" for note in found.notes)]
    if found.skipped:
        parts += ["<h2>Not looked at</h2>", *(f"<p>{escape(what)}</p>" for what in left_out(found.skipped))]
    return parts
