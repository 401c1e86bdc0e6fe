"""Print where the catalog and other publishers disagree, with the reason for the catalog's value.

Run ``python scripts/disagreements.py``. Each reason stands in ``scripts/data/disagreements.toml``; a
difference without one, or a reason for a difference that is no longer there, makes the exit status 1.
"""

from __future__ import annotations

import sys
import tomllib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from catalog_sources import READERS, Facts, from_catalog, installed

from routed_llm.catalog import Catalog

__all__ = ["Difference", "Explanation", "Report", "compare", "explanations", "report"]

DATA = Path(__file__).parent / "data" / "disagreements.toml"
NOTHING = "nothing"


@dataclass(frozen=True, order=True)
class Difference:
    """One field of one model on which a source and the catalog disagree."""

    source: str
    model: str
    field: str
    theirs: str
    ours: str

    def __str__(self) -> str:
        return f"{self.model} {self.field}: {self.source} has {self.theirs}, the catalog {self.ours}"


@dataclass(frozen=True)
class Explanation:
    """Why the catalog keeps its value: for these models and fields, against these values of theirs."""

    source: str
    models: tuple[str, ...]
    fields: tuple[str, ...]
    theirs: tuple[str, ...]
    reason: str
    optional: bool = False

    def covers(self, found: Difference) -> bool:
        """Whether a difference is the one explained here."""
        return (
            found.source == self.source
            and found.model in self.models
            and found.field in self.fields
            and found.theirs in self.theirs
        )


@dataclass(frozen=True)
class Report:
    """The outcome: explained differences with their reasons, unexplained ones, and reasons without use."""

    explained: tuple[tuple[Difference, Explanation], ...]
    unexplained: tuple[Difference, ...]
    stale: tuple[str, ...]


def compare(source: str, theirs: Facts, catalog: Catalog) -> list[Difference]:
    """List the fields on which a source and the catalog disagree."""
    ours = from_catalog(catalog)
    found = []
    for (model, field), value in theirs.items():
        kind, _, rest = field.partition(".")
        if kind in ("parameters", "tools"):
            # On an endpoint that the model is not on, the endpoints disagree, not the rules.
            if model not in catalog or rest.split(".")[0] not in catalog.get(model).endpoints:
                continue
            own = ours.get((model, field), "yes")
        else:
            own = ours.get((model, field))
        if own != value:
            found.append(Difference(source, model, field, _shown(value), _shown(own)))
    return sorted(found)


def explanations(path: Path = DATA) -> list[Explanation]:
    """Read the reasons."""
    table = tomllib.loads(path.read_text(encoding="utf-8"))
    return [
        Explanation(
            source=row["source"],
            models=tuple(row["models"]),
            fields=tuple(row["fields"]),
            theirs=tuple(row["theirs"]),
            reason=row["reason"],
            optional=row.get("optional", False),
        )
        for row in table["explained"]
    ]


def report(differences: Iterable[Difference], reasons: Sequence[Explanation], read: set[str]) -> Report:
    """Hold differences against reasons.

    Args:
        differences: what was found.
        reasons: what is explained.
        read: the sources that could be read; reasons for others cannot be stale.
    """
    explained, unexplained = [], []
    for found in differences:
        reason = next((one for one in reasons if one.covers(found)), None)
        if reason is None:
            unexplained.append(found)
        else:
            explained.append((found, reason))
    stale = []
    for reason in reasons:
        if reason.source not in read or reason.optional:
            continue
        used = [found for found, one in explained if one is reason]
        for key, said, seen in (
            ("model", reason.models, {found.model for found in used}),
            ("field", reason.fields, {found.field for found in used}),
            ("value", reason.theirs, {found.theirs for found in used}),
        ):
            stale += [f"{reason.source}: {key} {name}: {reason.reason}" for name in said if name not in seen]
    return Report(tuple(explained), tuple(unexplained), tuple(stale))


def gather(catalog: Catalog) -> tuple[list[Difference], set[str]]:
    """Read every source that is there, and compare it."""
    differences: list[Difference] = []
    read = set()
    for source, (_, reader) in READERS.items():
        theirs = reader(catalog)
        if theirs is not None:
            read.add(source)
            differences += compare(source, theirs, catalog)
    return differences, read


def _shown(value: Any) -> str:
    if value is None:
        return NOTHING
    if isinstance(value, tuple):
        return " ".join(value) or NOTHING
    return str(value)


def main() -> int:
    """Print the report."""
    catalog = Catalog.load()
    differences, read = gather(catalog)
    found = report(differences, explanations(), read)
    for source, (distribution, _) in READERS.items():
        if source not in read:
            print(f"## {source}: not installed\n")
            continue
        print(f"## {source}{' ' + (installed(distribution) or '') if distribution else ''}\n")
        reason = None
        for difference, explanation in found.explained:
            if difference.source == source:
                if explanation.reason != reason:
                    reason = explanation.reason
                    print(f"{reason}")
                print(f"  - {difference}")
        print()
    for title, rows in (("Unexplained", found.unexplained), ("Reasons without a difference", found.stale)):
        if rows:
            print(f"## {title}\n")
            print("\n".join(f"  - {row}" for row in rows), end="\n\n")
    return 1 if found.unexplained or found.stale else 0


if __name__ == "__main__":
    sys.exit(main())
