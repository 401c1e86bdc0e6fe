"""Notebooks: their code cells as one Python text; edits change characters of the cells' source only."""

from __future__ import annotations

import json
import re
from bisect import bisect_right
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from routed_llm.migrate.found import Edit
from routed_llm.migrate.located import Located, escape, offsets, strings
from routed_llm.migrate.views import masked

__all__ = ["Notebook"]

_INSTALL = re.compile(
    r"^[ \t]*(?:[%!]{1,2}[ \t]*)?(?:\S{0,80}python[\d.]*[ \t]+-m[ \t]+)?(?:uv[ \t]+)?"
    r"(?:pip3?|conda|mamba)[ \t]+install\b",
    re.MULTILINE,
)
"""A line that installs packages."""


@dataclass(slots=True)
class _Line:
    """One string of a cell's source: where it stands in the view, in the file, and how it is escaped."""

    start: int
    string: Located
    value: str
    places: list[int] = field(default_factory=list)


class Notebook:
    """A notebook's Python.

    Args:
        raw: the notebook file's text.

    Attributes:
        text: the code of the cells that are Python, one after another.

    Raises:
        ValueError: when the file is not a notebook.
    """

    def __init__(self, raw: str) -> None:
        self._raw = raw
        data = json.loads(raw)
        cells = data.get("cells") if isinstance(data, dict) else None
        if not isinstance(cells, list):
            raise ValueError("it has no list of cells")
        self._ascii = raw.isascii()
        self._types = [cell.get("cell_type") if isinstance(cell, dict) else None for cell in cells]
        del data, cells  # outputs may be most of the file
        self._strings: list[Located] = []
        self._kinds: list[tuple[int, str]] = []
        self._cells: list[tuple[int, int]] = []
        self._gather(raw)
        self._begins = [string.start for string in self._strings]
        by_cell: dict[int, list[Located]] = {}
        for string in self._strings:
            by_cell.setdefault(int(string.path[1]), []).append(string)
        self._lines: list[_Line] = []
        self._shell: set[int] = set()
        self.text = self._read(by_cell)
        self._starts = [line.start for line in self._lines]

    def _gather(self, raw: str) -> None:
        """Keep the strings of code, and of all others where another kind of string begins."""
        kind, cell = "", -1
        for string in strings(raw):
            if len(string.path) > 1 and string.path[0] == "cells" and string.path[1] != cell:
                cell = int(string.path[1])
                self._cells.append((string.start, cell))
            before, kind = kind, self._kind(string)
            if kind != before:
                self._kinds.append((string.start, kind))
            if kind == "code":
                self._strings.append(string)

    def _kind(self, string: Located) -> str:
        path = string.path
        if len(path) < 3 or path[0] != "cells" or string.is_key:
            return "other"
        kind = self._types[int(path[1])]
        if path[2] == "source":
            return "code" if kind == "code" else "markdown"
        return "output" if path[2] == "outputs" else "other"

    def _read(self, by_cell: dict[int, list[Located]]) -> str:
        parts: list[str] = []
        length = 0
        for _, cell in sorted(by_cell.items()):
            values = [json.loads(self._raw[item.start : item.end], strict=False) for item in cell]
            code = "".join(values)
            python = masked(code)
            if python is None:
                self._shell.update(item.start for item in cell)
                continue
            for item, value in zip(cell, values, strict=True):
                places = offsets(self._raw[item.start + 1 : item.end - 1])
                self._lines.append(_Line(length, item, value, places))
                length += len(value)
            end = "" if code.endswith("\n") else "\n"
            parts.append(python + end)
            length += len(end)
        return "".join(parts)

    @property
    def unread(self) -> int:
        """The number of strings of code cells that are not Python."""
        return len(self._shell)

    def kind_at(self, offset: int) -> str:
        """Say what a character of the file belongs to: code, shell, markdown, output or other."""
        place = bisect_right(self._kinds, offset, key=lambda item: item[0]) - 1
        kind = self._kinds[place][1] if place >= 0 else "other"
        if kind != "code":
            return kind
        string = self._strings[bisect_right(self._begins, offset) - 1]
        return "shell" if string.start in self._shell else "code"

    def cell_at(self, offset: int) -> tuple[int, int | None] | None:
        """Return the cell that a character of the file belongs to, from 1, and its line of code there."""
        place = bisect_right(self._cells, offset, key=lambda item: item[0]) - 1
        if place < 0:
            return None
        cell = self._cells[place][1]
        index = bisect_right(self._begins, offset) - 1
        if self.kind_at(offset) not in ("code", "shell") or index < 0:
            return cell + 1, None
        string, line = self._strings[index], 1
        for before in reversed(self._strings[:index]):
            if before.path[1] != cell:
                break
            line += self._value(before).count("\n")
        inside = offsets(self._raw[string.start + 1 : string.end - 1])
        value = self._value(string)
        return cell + 1, line + value[: bisect_right(inside, offset - string.start - 1) - 1].count("\n")

    def _value(self, string: Located) -> str:
        return str(json.loads(self._raw[string.start : string.end], strict=False))

    def installing(
        self, needed: Sequence[str], beside: Mapping[str, Sequence[str]]
    ) -> tuple[list[Edit], bool]:
        """Return the edits by which the cells install what is needed, and whether they install anything."""
        lines: list[tuple[Located, int, str]] = []
        for string in self._strings:
            done = 0
            for line in self._value(string).splitlines(keepends=True):
                lines.append((string, done, line))
                done += len(line)
        edits = []
        for number, place, text in _insertions([line for _, _, line in lines], needed, beside):
            string, done, _ = lines[number]
            at = string.start + 1 + offsets(self._raw[string.start + 1 : string.end - 1])[done + place]
            edits.append(Edit(at, at, text))
        return edits, any(_is_install(line) for _, _, line in lines)

    def place(self, offset: int) -> int:
        """Return where a character of the text stands in the file's text."""
        line = self._line(offset)
        inside = min(max(offset - line.start, 0), len(line.places) - 1)
        return line.string.start + 1 + line.places[inside]

    def edits(self, edits: Sequence[Edit]) -> list[Edit]:
        """Return edits of the text as edits of the file's text.

        An edit over several lines is made in each of them, so that no line's quotes are touched. A line
        that is added becomes a string of its own, as Jupyter writes them.
        """
        return [part for edit in edits for part in self._edit(edit)]

    def _line(self, offset: int) -> _Line:
        return self._lines[max(bisect_right(self._starts, offset) - 1, 0)]

    def _edit(self, edit: Edit) -> list[Edit]:
        first = self._line(edit.start)
        if edit.start == first.start and edit.start == edit.end and first is not self._lines[0]:
            before = self._lines[self._lines.index(first) - 1]
            # What is inserted between two cells belongs to the one that has just ended.
            if before.string.path[1] != first.string.path[1] or not before.value.endswith("\n"):
                first = before
        if not edit.new and edit.start == first.start and edit.end == first.start + len(first.value):
            return [self._without(first)]
        made = [
            Edit(self._raw_place(first, edit.start), self._raw_place(first, edit.end), self._new(first, edit))
        ]
        index = self._lines.index(first) + 1
        while index < len(self._lines) and self._lines[index].start < edit.end:
            line = self._lines[index]
            made.append(Edit(self._raw_place(line, line.start), self._raw_place(line, edit.end), ""))
            index += 1
        return made

    def _without(self, line: _Line) -> Edit:
        """Take out a line with its quotes and the comma that separates it from another."""
        string, index = line.string, self._strings.index(line.string)
        if isinstance(string.path[-1], int):
            after = self._strings[index + 1] if index + 1 < len(self._strings) else None
            if after is not None and after.path[:-1] == string.path[:-1]:
                return Edit(string.start, after.start, "")
            before = self._strings[index - 1]
            if before.path[:-1] == string.path[:-1]:
                return Edit(before.end, string.end, "")
        return Edit(string.start + 1, string.end - 1, "")

    def _raw_place(self, line: _Line, offset: int) -> int:
        inside = min(max(offset - line.start, 0), len(line.value))
        return line.string.start + 1 + line.places[inside]

    def _new(self, line: _Line, edit: Edit) -> str:
        written = escape(edit.new, ascii_only=self._ascii)
        if "\\n" not in written or not isinstance(line.string.path[-1], int):
            return written
        return written.replace("\\n", '\\n"' + self._between(line) + '"')

    def _between(self, line: _Line) -> str:
        """Return what separates two strings of a source in this file."""
        start = line.string.start
        lead = self._raw[self._raw.rfind("\n", 0, start) + 1 : start]
        return ",\n" + lead if not lead.strip() else ", "


def _is_install(line: str) -> bool:
    """Say whether a line installs packages."""
    return _INSTALL.match(line) is not None


def _insertions(
    lines: Sequence[str], needed: Iterable[str], beside: Mapping[str, Sequence[str]]
) -> list[tuple[int, int, str]]:
    """Return what is to be inserted so that the lines install what is needed.

    Args:
        lines: the lines of the code cells, in order.
        needed: distributions.
        beside: the distributions that each extends, the nearest first.

    Returns:
        The number of a line, a place in it, and what is inserted there. Nothing for what is installed
        already, and nothing at all where no line installs anything.
    """
    found: list[tuple[int, int, str]] = []
    places = [number for number in range(len(lines)) if _in_command(lines, number)]
    for distribution in needed:
        if any(_named(lines[number], distribution) for number in places):
            continue
        named = (
            (number, match.end())
            for known in beside[distribution]
            for number in places
            if (match := _named(lines[number], known)) is not None
        )
        first = next((number for number in reversed(places) if _is_install(lines[number])), None)
        after = _INSTALL.match(lines[first]) if first is not None else None
        default = (first, after.end()) if first is not None and after is not None else None
        place = next(named, default)
        if place is not None:
            found.append((*place, f" {distribution}"))
    return found


def _in_command(lines: Sequence[str], number: int) -> bool:
    """Say whether a line is of a command that installs, which a backslash may carry on."""
    first = number
    while first > 0 and lines[first - 1].rstrip().endswith("\\"):
        first -= 1
    return _is_install(lines[first])


def _named(line: str, distribution: str) -> re.Match[str] | None:
    """Find a distribution on a line, with its extras, version and quotes."""
    name = re.escape(distribution).replace(r"\-", "[-_.]")
    return re.search(
        rf"(?<![\w.\-/])(?P<quote>[\"']?){name}(?![\w.\-/])[^\s\"';&|#]*(?P=quote)", line, re.IGNORECASE
    )
