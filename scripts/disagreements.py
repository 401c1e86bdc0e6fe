"""Print where the catalog and other publishers disagree, with the reason for the catalog's value.

Run ``python scripts/disagreements.py``. Each reason stands in the catalog's ``disagreements.toml``; a
difference without one, or a reason for a difference that is no longer there, makes the exit status 1.
"""

from __future__ import annotations

import sys

from catalog_sources import READERS, from_catalog, installed

from routed_llm.catalog import Catalog, others
from routed_llm.catalog.others import Difference, Facts, explanations, report

__all__ = ["compare", "gather"]


def compare(source: str, theirs: Facts, catalog: Catalog) -> list[Difference]:
    """List the fields on which a source and the catalog disagree."""
    ours = from_catalog(catalog)
    facts: Facts = {}
    for (model, field), value in theirs.items():
        kind, _, rest = field.partition(".")
        if kind in ("parameters", "tools"):
            # On an endpoint that the model is not on, the endpoints disagree, not the rules.
            if model not in catalog or rest.split(".")[0] not in catalog.get(model).endpoints:
                continue
            ours.setdefault((model, field), "yes")
        facts[model, field] = value
    return others.compare(source, facts, ours)


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
