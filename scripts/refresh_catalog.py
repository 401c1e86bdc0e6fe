"""Compare the catalog with newer copies of its sources; a maintainer's tool. It never writes.

Run ``python scripts/refresh_catalog.py``. It prints, field by field, what the installed openai,
langchain-openai, genai-prices and litellm say today that neither the catalog nor
the catalog's ``disagreements.toml`` knows, models that they list and the catalog lacks, facts that were not
verified for a while, and models past or near their shutdown. Options:

``--litellm FILE``
    a newer copy of litellm's ``model_prices_and_context_window.json``.
``--pages FOLDER``
    model pages of OpenAI in their ``.md`` form, one ``<model>.md`` each: the only form that prints the
    maximum input.
``--at YYYY-MM-DD``
    the day for which shutdowns and ages are reckoned; default: today.

Take over what is right into the model's TOML file by hand, with its source and day.
"""

from __future__ import annotations

import argparse
import re
import sys
from collections.abc import Iterable, Iterator, Mapping
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

from catalog_sources import READERS, installed
from disagreements import compare

from routed_llm.catalog import Catalog, Model
from routed_llm.catalog.others import Facts, explanations, from_litellm_file, report

__all__ = ["ageing", "ending", "main", "read_page"]

STALE = timedelta(days=45)
WARNING = timedelta(days=60)
PAGE = {
    "limits.context_window": r"([\d,]+)[ \t]+context window|context window:?[ \t]+([\d,]+)",
    "limits.max_input": r"([\d,]+)[ \t]+max(?:imum)? input tokens|max(?:imum)? input tokens:?[ \t]+([\d,]+)",
    "limits.max_output": r"([\d,]+)[ \t]+max(?:imum)? output tokens"
    r"|max(?:imum)? output tokens:?[ \t]+([\d,]+)",
}
"""A number and its name stand on one line: what follows a line's end belongs to something else."""


def read_page(text: str) -> Mapping[str, int]:
    """Read the limits that a model page prints; what it does not print is left out."""
    found = {}
    for field, pattern in PAGE.items():
        match = re.search(pattern, text, flags=re.IGNORECASE)
        number = next((group for group in match.groups() if group), "") if match else ""
        if number.strip(","):
            found[field] = int(number.replace(",", ""))
    return found


def read_pages(folder: Path) -> Facts:
    """Read a folder of model pages."""
    return {
        (path.stem, field): value
        for path in sorted(folder.glob("*.md"))
        for field, value in read_page(path.read_text(encoding="utf-8")).items()
    }


def ageing(catalog: Catalog, at: date) -> Iterator[str]:
    """Name the facts of living models that were not verified for longer than 45 days."""
    for model in catalog.alive(at):
        days = {
            "limits": model.limits.verified,
            "lifecycle": model.lifecycle.verified,
            "prices": max((row.verified for row in model.prices if row.verified), default=None),
        }
        for name, day in days.items():
            if day is None or at - day > STALE:
                yield f"{model.id} {name}: last verified {day or 'never'}"


def ending(catalog: Catalog, at: date) -> Iterator[str]:
    """Name the models that shut down within 60 days, or did within the last 60."""

    def near(model: Model) -> bool:
        shutdown = model.lifecycle.shutdown
        return shutdown is not None and abs(shutdown - at) <= WARNING

    for model in sorted(filter(near, catalog), key=lambda found: str(found.lifecycle.shutdown)):
        replacement = model.lifecycle.replacement
        instead = f", replaced by {replacement}" if replacement else ""
        yield f"{model.id}: shut down on {model.lifecycle.shutdown}{instead}"


def main(arguments: list[str] | None = None) -> int:
    """Print the report; the exit status is 1 when a source says something new."""
    parser = argparse.ArgumentParser(description="Compare the catalog with newer sources. Writes nothing.")
    parser.add_argument("--litellm", type=Path, metavar="FILE")
    parser.add_argument("--pages", type=Path, metavar="FOLDER")
    parser.add_argument("--at", type=date.fromisoformat, default=datetime.now(UTC).date(), metavar="DAY")
    options = parser.parse_args(arguments)
    catalog = Catalog.load()
    new = 0
    for source, theirs in _read(options, catalog):
        found = report(compare(source, theirs, catalog), explanations(), {source})
        distribution = READERS[source][0] if source in READERS else None
        print(f"## {source} {(installed(distribution) or '') if distribution else ''}".rstrip())
        known, fresh = len(found.explained), len(found.unexplained)
        print(f"{len(theirs)} fields, {known} known differences, {fresh} new ones")
        new += _list(found.unexplained)
        _list(f"no longer true: {row}" for row in found.stale)
        print()
    print("## Not verified for 45 days")
    _list(ageing(catalog, options.at))
    print("\n## Shutdowns within 60 days")
    _list(ending(catalog, options.at))
    return 1 if new else 0


def _read(options: argparse.Namespace, catalog: Catalog) -> Iterator[tuple[str, Facts]]:
    for source, (distribution, reader) in READERS.items():
        if distribution is None or (source == "litellm" and options.litellm is not None):
            continue
        theirs = reader(catalog)
        if theirs is not None:
            yield source, theirs
    if options.litellm is not None:
        yield "litellm", from_litellm_file(options.litellm, catalog)
    if options.pages is not None:
        yield "pages", {key: value for key, value in read_pages(options.pages).items() if key[0] in catalog}


def _list(rows: Iterable[object]) -> int:
    count = 0
    for count, row in enumerate(rows, start=1):  # noqa: B007
        print(f"  - {row}")
    return count


if __name__ == "__main__":
    sys.exit(main())
