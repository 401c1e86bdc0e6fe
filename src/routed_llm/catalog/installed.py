"""routed-llm-catalog: a wheel of the catalog's files alone, dated by its newest fact.

Whoever installs it has newer facts without a newer version of the code. What it holds is read as the
package's own files are; ``about.json`` in it says which schema they follow and of which day they are.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from datetime import date
from pathlib import Path
from typing import Any, Final, NamedTuple

from routed_llm.catalog.sources import SCHEMA
from routed_llm.errors import CatalogError
from routed_llm.events import WARNING, emit

__all__ = ["ABOUT", "PACKAGE", "Wheel", "about", "find", "newer_than"]

PACKAGE: Final = "routed_llm_catalog"
ABOUT: Final = "about.json"


class Wheel(NamedTuple):
    """An installed or unpacked routed-llm-catalog.

    Attributes:
        root: the folder of its files.
        day: the day that it is dated by, or None where that cannot be read.
        problem: why it cannot be used, with what to do; None for a usable one.
    """

    root: Path
    day: date | None
    problem: str | None


def find() -> Wheel | None:
    """Return the installed wheel, usable or not; None when there is none."""
    from importlib.util import find_spec

    spec = find_spec(PACKAGE)
    folders = [] if spec is None else list(spec.submodule_search_locations or ())
    return about(Path(folders[0])) if folders else None


def about(root: Path) -> Wheel:
    """Return what a wheel's folder says of itself."""
    reinstall = "Install it again: pip install --force-reinstall routed-llm-catalog."
    try:
        about = json.loads((root / ABOUT).read_bytes())
        schema, day = about["schema"], date.fromisoformat(about["day"])
    except (OSError, ValueError, LookupError, TypeError):
        return Wheel(root, None, f"it does not say which schema it follows. {reinstall}")
    if isinstance(schema, int) and schema > SCHEMA:
        update = "Update routed-llm: pip install -U routed-llm."
        return Wheel(root, day, f"it follows schema {schema}, and this routed-llm reads {SCHEMA}. {update}")
    if schema != SCHEMA:
        update = "Update it: pip install -U routed-llm-catalog."
        return Wheel(root, day, f"it follows schema {schema}, and this routed-llm reads {SCHEMA}. {update}")
    return Wheel(root, day, None)


def newer_than(day: date) -> tuple[Path, Mapping[str, Any]] | None:
    """Return the folder and the data of an installed wheel that is newer than a day; else None.

    One that cannot be used is left, with a warning that says what to do.
    """
    found = find()
    if found is None:
        return None
    problem = found.problem
    if problem is None and found.day is not None and found.day > day:
        from routed_llm.catalog.catalog import read_root

        try:
            return found.root, read_root(found.root)
        except CatalogError as error:
            problem = f"{error} Install another day's: pip install routed-llm-catalog==DAY."
    if problem is not None:
        emit(
            WARNING,
            "catalog_left",
            "routed-llm-catalog {day} is not used, the catalog of {packaged} stays: {problem}",
            loud=True,
            day="of an unknown day" if found.day is None else f"of {found.day}",
            packaged=day.isoformat(),
            problem=problem,
        )
    return None
