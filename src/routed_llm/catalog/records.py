"""Records: what was read of the outside world, and when, as files that are never changed.

A folder of records holds ``<moment>.json`` for each time that something new was read, and ``current.json``,
which names the one that counts. Moving that is one step, so a program sees the one state or the other, and
each state that ever counted can be gone back to and read again: the same record laid over the same catalog
decides the same.
"""

from __future__ import annotations

import json
import os
import re
from collections.abc import Mapping
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any, Final, NamedTuple

from routed_llm.catalog.sources import SCHEMA
from routed_llm.catalog.vocabulary import problem

__all__ = [
    "CURRENT",
    "NONE",
    "PACKAGED",
    "Current",
    "current",
    "is_folder",
    "names",
    "read",
    "set_current",
    "write",
]

CURRENT: Final = "current.json"
NONE: Final = "none"
"""In place of a record: nothing is laid over the catalog that is installed."""
PACKAGED: Final = "packaged"
"""In place of a record: the catalog that came with routed-llm, whatever else is installed."""

_DAY: Final = re.compile(r"\d{4}-\d\d-\d\d")
_DATES: Final = frozenset({"since", "verified", "released", "deprecated", "shutdown"})


class Current(NamedTuple):
    """What counts in a folder of records.

    Attributes:
        name: a record's, or :data:`NONE` or :data:`PACKAGED`.
        held: whether somebody has gone back to it: then newer records are written and do not count.
    """

    name: str
    held: bool = False


def is_folder(path: str | Path) -> bool:
    """Say whether a path is a folder of records."""
    return (Path(path) / CURRENT).is_file()


def names(folder: str | Path) -> list[str]:
    """List the records of a folder, oldest first."""
    return sorted(path.stem for path in Path(folder).glob("*.json") if path.name != CURRENT)


def current(folder: str | Path) -> Current:
    """Return what counts; :data:`NONE` in a folder that has no record yet.

    Raises:
        CatalogError: when ``current.json`` is damaged.
    """
    path = Path(folder) / CURRENT
    if not path.exists():
        return Current(NONE)
    try:
        state = json.loads(path.read_bytes())
        return Current(str(state["record"]), bool(state.get("held", False)))
    except (OSError, ValueError, LookupError, TypeError):
        raise problem(str(path), None, f"names no record. {_anew(folder)}") from None


def read(folder: str | Path, name: str) -> dict[str, Any]:
    """Read a record; its ``entries`` are what :meth:`Catalog.with_models` takes.

    Raises:
        CatalogError: when it is not there, damaged, or follows another schema.
    """
    path = Path(folder) / f"{name}.json"
    try:
        found: dict[str, Any] = json.loads(path.read_bytes())
        schema, entries = found["schema"], found["entries"]
    except (OSError, ValueError, LookupError, TypeError):
        raise problem(str(path), None, f"cannot be read as a record. {_anew(folder)}") from None
    if schema != SCHEMA:
        raise problem(
            str(path), "schema", f"is {schema}, and this routed-llm reads {SCHEMA}. {_anew(folder)}"
        )
    found["entries"] = _dated(entries)
    return found


def write(folder: str | Path, record: Mapping[str, Any], moment: datetime) -> str:
    """Write a record and return its name; it does not count yet.

    Raises:
        OSError: when the folder cannot be written.
    """
    Path(folder).mkdir(parents=True, exist_ok=True)
    name = moment.astimezone(UTC).strftime("%Y-%m-%dT%H-%M-%S-%fZ")
    _put(Path(folder) / f"{name}.json", {"schema": SCHEMA, **record})
    return name


def set_current(folder: str | Path, name: str, *, held: bool = False) -> None:
    """Let a record count, in one step.

    Raises:
        CatalogError: when there is no such record.
        OSError: when the folder cannot be written.
    """
    if name not in (NONE, PACKAGED):
        read(folder, name)
    _put(Path(folder) / CURRENT, {"record": name, "held": held})


def _put(path: Path, data: Mapping[str, Any]) -> None:
    rough = path.with_name(f".{path.name}.{os.getpid()}")
    rough.write_text(json.dumps(data, indent=1, default=str), encoding="utf-8")
    rough.replace(path)


def _dated(value: Any, key: str = "") -> Any:
    """Read the days of an entry, which JSON has as text."""
    if isinstance(value, dict):
        return {name: _dated(item, name) for name, item in value.items()}
    if isinstance(value, list):
        return [_dated(item) for item in value]
    is_day = key in _DATES and isinstance(value, str) and _DAY.fullmatch(value)
    return date.fromisoformat(value) if is_day else value


def _anew(folder: str | Path) -> str:
    return f"Go back to a good one: routed catalog rollback {folder}."
