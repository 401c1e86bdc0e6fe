"""Measures of a user's own: what their examples say of a configuration against a baseline, as dated rows.

A row outranks published measures for the calls that it speaks of: those with its tag, or with its task.
"""

from __future__ import annotations

import datetime
import json
from collections.abc import Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from dataclasses import fields as fields_of
from pathlib import Path
from typing import Any, Final

from routed_llm.errors import PolicyError

__all__ = ["Measured", "latest", "read_measures", "write_measure"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Measured:
    """What examples say of one configuration. Points are hundredths of a score from 0 to 1.

    Attributes:
        configuration: a model with an effort or without, such as ``gpt-5.6-luna@low``.
        baseline: the model that it was compared with.
        n: examples that both answered and that were judged.
        difference: points that the configuration scored more than the baseline, on average.
        interval: the least and the most points that the difference may be.
        margin: points that the user lets it be worse.
        judge: how answers were scored.
        date: when.
        tag: ``name=value`` of the calls that the examples stand for, or None.
        task: the task of those calls, or None.
        longest: input tokens of the longest example; a row speaks of long requests only where it was long.
    """

    configuration: str
    baseline: str
    n: int
    difference: float
    interval: tuple[float, float]
    margin: float
    judge: str
    date: datetime.date
    tag: str | None = None
    task: str | None = None
    longest: int = 0

    @property
    def verdict(self) -> str:
        """``proven`` (not worse by the margin), ``refuted`` (worse, and perhaps by more) or ``open``."""
        low, high = self.interval
        if low > -self.margin:
            return "proven"
        return "refuted" if high < 0 else "open"

    @property
    def sentence(self) -> str:
        """The row in words: ``on your own 200 examples: +0.4 points [-1.6, 2.5]``."""
        low, high = self.interval
        return f"on your own {self.n:,} examples: {self.difference:+.1f} points [{low:.1f}, {high:.1f}]"

    def to_dict(self) -> dict[str, Any]:
        """Return the row as JSON-able data, which is a row again."""
        found = {item.name: getattr(self, item.name) for item in fields_of(self)}
        found |= {"interval": list(self.interval), "date": self.date.isoformat()}
        return {name: value for name, value in found.items() if value is not None}

    @property
    def model(self) -> str:
        """The configuration's model."""
        return self.configuration.partition("@")[0]

    @property
    def effort(self) -> str | None:
        """The configuration's effort, or None where the model's own is meant."""
        return self.configuration.partition("@")[2] or None


def latest(
    rows: Iterable[Measured], *, tags: Iterable[str], task: str | None, at: datetime.date, least: int
) -> dict[str, Measured]:
    """Return the newest row of each configuration that speaks of a call on a day.

    Args:
        rows: rows of one baseline.
        tags: the call's tags, as ``name=value``.
        task: its task, or None.
        at: the day; what is dated later is not known yet.
        least: input tokens that the longest example must have had.
    """
    found: dict[str, Measured] = {}
    for row in sorted(rows, key=lambda row: row.date):
        is_meant = (row.tag is None or row.tag in tags) and (row.task is None or row.task == task)
        if is_meant and row.date <= at and row.longest >= least:
            found[row.configuration] = row
    return found


def read_measures(given: Any, *, folder: Path | None = None) -> tuple[Measured, ...]:
    """Read rows: given as such or as tables, or from TOML files and from folders of them.

    Args:
        given: a path, a row, a table, or several of these.
        folder: where paths start from that are not absolute; the working folder when left out.

    Raises:
        PolicyError: for a file that cannot be read, or a row that lacks something.
    """
    several = isinstance(given, Iterable) and not isinstance(given, (str, Mapping))
    rows: list[Measured] = []
    for one in given if several else (given,):
        if isinstance(one, Measured):
            rows.append(one)
        elif isinstance(one, Mapping):
            rows.append(_row(one, "measures"))
        elif isinstance(one, (str, Path)):
            path = (folder or Path()) / one
            for file in sorted(path.glob("*.toml")) if path.is_dir() else (path,):
                rows += _file(file)
        else:
            raise PolicyError(f"measures holds {one!r}. Give the path of a TOML file.", key="measures")
    return tuple(rows)


def write_measure(path: Path, row: Measured) -> None:
    """Append a row to a file, unless it is there; the file is made with its folders where it is not.

    Raises:
        PolicyError: when the file holds something else.
        OSError: when it cannot be written.
    """
    if path.exists() and row in _file(path):
        return
    path.parent.mkdir(parents=True, exist_ok=True)
    values = ((item.name, getattr(row, item.name)) for item in fields_of(row))
    lines = [f"{name} = {_toml(value)}\n" for name, value in values if value is not None]
    with path.open("a", encoding="utf-8") as file:
        file.write("\n[[measures]]\n" + "".join(lines))


def _file(path: Path) -> list[Measured]:
    from routed_llm.policy import read_toml

    found = read_toml(path).get("measures", [])
    tables = found if isinstance(found, list) else [found]
    return [_row(table, str(path)) for table in tables]


_KINDS: Final[Mapping[str, type | tuple[type, ...]]] = {
    "configuration": str,
    "baseline": str,
    "n": int,
    "difference": (int, float),
    "interval": (list, tuple),
    "margin": (int, float),
    "judge": str,
    "date": datetime.date,
    "tag": str,
    "task": str,
    "longest": int,
}


def _row(table: Any, where: str) -> Measured:
    values = dict(table) if isinstance(table, Mapping) else {"": table}
    if isinstance(values.get("date"), str):  # as JSON has it
        with suppress(ValueError):
            values["date"] = datetime.date.fromisoformat(values["date"])
    wrong = sorted(set(values) - set(_KINDS))
    wrong += [name for name in _KINDS if name not in values and name not in ("tag", "task", "longest")]
    wrong += [name for name, kind in _KINDS.items() if name in values and not isinstance(values[name], kind)]
    pair = values.get("interval", ())
    if not wrong and not (
        len(pair) == 2 and _is_number(pair[0]) and _is_number(pair[1]) and pair[0] <= pair[1]
    ):
        wrong.append("interval")
    if "tag" not in values and "task" not in values:
        wrong.append("tag")
    if wrong:
        raise PolicyError(
            f"{where}: {wrong[0]!r} is missing, unknown or of the wrong kind in a row of measures. Give "
            "configuration, baseline, n, difference, interval, margin, judge, date, and tag or task.",
            key="measures",
            path=where,
        )
    return Measured(**{**values, "interval": (float(pair[0]), float(pair[1]))})


def _is_number(value: Any) -> bool:
    return isinstance(value, (int, float))


def _toml(value: Any) -> str:
    if isinstance(value, tuple):
        return f"[{', '.join(map(_toml, value))}]"
    if isinstance(value, str):
        return json.dumps(value, ensure_ascii=False)
    return value.isoformat() if isinstance(value, datetime.date) else repr(value)
