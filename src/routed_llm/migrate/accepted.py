"""The baseline file: findings that are known and accepted, so that `--check` fails on new ones only."""

from __future__ import annotations

import hashlib
import json
from collections import Counter
from collections.abc import Iterable
from pathlib import Path

from routed_llm.migrate.files import MigrationError
from routed_llm.migrate.found import Kind, Occurrence

__all__ = ["open_findings", "read_accepted", "write_accepted"]

_VERSION = 1


def open_findings(
    occurrences: Iterable[Occurrence], accepted: Counter[str] | None = None
) -> list[Occurrence]:
    """Return what is still to be rewritten or decided, less what is accepted."""
    left = Counter(accepted or {})
    found = []
    for item in occurrences:
        if item.kind not in (Kind.REWRITE, Kind.TRACE, Kind.REPORT):
            continue
        if item.kind is Kind.TRACE:
            continue  # the constructor that it reaches is a finding of its own
        mark = _mark(item)
        if left[mark] > 0:
            left[mark] -= 1
        else:
            found.append(item)
    return found


def write_accepted(path: Path, occurrences: Iterable[Occurrence]) -> int:
    """Write every open finding to a baseline file and return how many there are.

    Raises:
        MigrationError: when the file cannot be written.
    """
    found = open_findings(occurrences)
    rows = sorted(
        ({"path": item.path, "mark": _mark(item)} for item in found),
        key=lambda row: (row["path"], row["mark"]),
    )
    try:
        path.write_text(
            json.dumps({"version": _VERSION, "accepted": rows}, indent=1) + "\n", encoding="utf-8"
        )
    except OSError as error:
        raise MigrationError(
            f"{path}: {error.strerror or error}. Name a file that can be written."
        ) from error
    return len(rows)


def read_accepted(path: Path) -> Counter[str]:
    """Read a baseline file.

    Raises:
        MigrationError: when it cannot be read or is none.
    """
    try:
        data = json.loads(path.read_text(encoding="utf-8"))
        if data["version"] != _VERSION:
            raise MigrationError(
                f"{path} is of version {data['version']}. Write it again with --write-baseline."
            )
        return Counter(row["mark"] for row in data["accepted"])
    except OSError as error:
        raise MigrationError(
            f"{path}: {error.strerror or error}. Write it with --write-baseline first."
        ) from error
    except (ValueError, KeyError, TypeError) as error:
        raise MigrationError(f"{path} is no baseline file. Write one with --write-baseline.") from error


def _mark(item: Occurrence) -> str:
    # The line's own text, not its number: what is added above it does not make the finding new.
    text = "\0".join((item.path, item.text, " ".join(item.snippet.split())))
    return hashlib.sha256(text.encode(errors="replace")).hexdigest()[:16]
