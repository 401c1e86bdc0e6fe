"""What stopped before the catalog begins: ids of which only the day and the replacement are known."""

from __future__ import annotations

from datetime import date
from functools import lru_cache
from pathlib import Path
from typing import NamedTuple

from routed_llm.catalog.sources import ROOT, read_toml

__all__ = ["Ended", "ended", "held_to"]


class Ended(NamedTuple):
    """What is known of an id.

    Attributes:
        shutdown: the day from which it refuses.
        replacement: the model that OpenAI names in its place.
        held_to: the model of the catalog that is published to be at least as good and next to it, so that a
            program written for the one may be held to the other; None where nothing is published.
    """

    shutdown: date
    replacement: str
    held_to: str | None = None


@lru_cache(maxsize=4)
def ended(root: Path = ROOT) -> dict[str, Ended]:
    """Return what is known of each such id by the files of a catalog."""
    rows = read_toml(root / "ended.toml")["ended"]
    return {
        name: Ended(row["shutdown"], row["replacement"], row.get("held_to"))
        for row in rows
        for name in row["ids"]
    }


def held_to(name: str, root: Path = ROOT) -> str | None:
    """Return the model that a program written for an id from before the catalog is held to, or None."""
    found = ended(root).get(name.lower().rsplit("/", 1)[-1])
    return None if found is None else found.held_to
