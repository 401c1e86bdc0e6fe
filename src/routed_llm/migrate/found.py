"""What migration finds and what it would do: plain values that pass between processes."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from enum import StrEnum
from fnmatch import fnmatchcase
from typing import Any

__all__ = ["Edit", "FileFindings", "Handed", "Kind", "Literal", "Occurrence", "Options", "Origin", "Site"]


class Kind(StrEnum):
    """The one class that every occurrence of a retiring id falls into."""

    REWRITE = "rewrite"
    """It stands in a constructor that is rewritten."""
    TRACE = "trace"
    """It is defined here and reaches constructors elsewhere; those are what is rewritten."""
    REPORT = "report"
    """A person decides; the reason says what to do."""
    KEEP = "keep"
    """A price table, a test, a comparison, a text, another vendor's name, or already routed."""
    NEVER = "never"
    """Another identifier that merely contains the id."""


def place_of(path: str, line: int, cell: tuple[int, int | None] | None) -> str:
    """Write where something stands: ``app.py:8``, ``intro.ipynb:cell 3, line 2``."""
    if cell is None:
        return f"{path}:{line}"
    return f"{path}:cell {cell[0]}" + ("" if cell[1] is None else f", line {cell[1]}")


@dataclass(frozen=True, slots=True)
class Edit:
    """One replacement in a text: the characters from ``start`` to ``end`` become ``new``."""

    start: int
    end: int
    new: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Occurrence:
    """One textual occurrence of a retiring id.

    Attributes:
        path: the file, relative to what was searched.
        offset: where it stands, in characters of the decoded file.
        line: the line, from 1.
        column: the column, from 1.
        text: the id as it is written, with what belongs to the same word.
        model: the catalog id behind it.
        kind: its class.
        why: the reason for the class, and for ``report`` what to do.
        rule: the code of the rule that rewrites it, or None.
        snippet: the line it stands on, shortened.
        setting: the environment variable that it is the value of, or None.
        cell: in a notebook the cell, from 1, and its line there where it stands in code.
    """

    path: str
    offset: int
    line: int
    column: int
    text: str
    model: str
    kind: Kind
    why: str
    rule: str | None = None
    snippet: str = ""
    setting: str | None = None
    cell: tuple[int, int | None] | None = None

    @property
    def place(self) -> str:
        """Where it stands, in words."""
        return place_of(self.path, self.line, self.cell)


@dataclass(frozen=True, slots=True, kw_only=True)
class Origin:
    """Where the model of a constructor comes from.

    Attributes:
        offset: where its literal stands, in characters of the text that was read.
        value: the literal's value.
        how: ``literal``, ``constant``, ``default argument``, ``environment default``, ...
    """

    offset: int
    value: str
    how: str


Literal = tuple[str, int]
"""A string that stands in a file: its value and its offset."""


@dataclass(frozen=True, slots=True)
class Handed:
    """A literal that a call hands to something imported.

    Attributes:
        callee: its dotted name, as the module spells it.
        key: the keyword, or the place as a number.
        literal: the literal.
    """

    callee: str
    key: str
    literal: Literal


@dataclass(frozen=True, slots=True, kw_only=True)
class Site:
    """A constructor, or another call, that takes a retiring id.

    Attributes:
        path: the file.
        line: the line, from 1.
        rule: the rule that knows it, or empty.
        name: what is called, as it is written.
        becomes: the class that it becomes.
        model: the id it is given first.
        models: every id that may reach it.
        parameters: the keywords whose values stand in the call.
        uses: ``tools``, ``structured``, ``stop`` when the file binds them to the object.
        environment: names of environment variables that may name the model.
        takes: what other modules may say of it: names that are imported, and parameters (``make:name``).
        cell: in a notebook the cell, from 1, and its line there.
        blocked: why it is not rewritten, or None.
        effect: what routing does there, filled in from the catalog.
    """

    path: str
    line: int
    rule: str
    name: str
    becomes: str
    model: str
    models: tuple[str, ...] = ()
    parameters: Mapping[str, Any] = field(default_factory=dict)
    uses: tuple[str, ...] = ()
    environment: tuple[str, ...] = ()
    takes: tuple[str, ...] = ()
    cell: tuple[int, int | None] | None = None
    blocked: str | None = None
    effect: Mapping[str, Any] | None = None

    @property
    def place(self) -> str:
        """Where it stands, in words."""
        return place_of(self.path, self.line, self.cell)


@dataclass(frozen=True, slots=True, kw_only=True)
class Options:
    """How to search and what to rewrite.

    Attributes:
        select: rule codes to apply; empty for all.
        ignore: rule codes not to apply.
        tests: whether tests are rewritten, too.
        docs: whether Python examples in Markdown are rewritten, too.
        models: old id, or a pattern of ids (``gpt-3.5-turbo*``), to the id that becomes the baseline instead.
        before: only ids that stop before this ISO day, or None for every id with a shutdown date.
        max_bytes: files larger than this are skipped and counted.
        at: the ISO day whose routing the report describes.
        vendored: whether vendored, generated and hidden folders are searched, too.
    """

    select: tuple[str, ...] = ()
    ignore: tuple[str, ...] = ()
    tests: bool = False
    docs: bool = False
    models: Mapping[str, str] = field(default_factory=dict)
    before: str | None = None
    max_bytes: int = 20_000_000
    at: str | None = None
    vendored: bool = False

    def baseline(self, name: str) -> str | None:
        """Return the id that is to be the baseline in a model's place, or None when it is its own."""
        if name in self.models:
            return self.models[name]
        return next((new for old, new in self.models.items() if "*" in old and fnmatchcase(name, old)), None)

    def applies(self, code: str) -> bool:
        """Say whether a rule is selected."""
        return (not self.select or code in self.select) and code not in self.ignore


@dataclass(frozen=True, slots=True, kw_only=True)
class FileFindings:
    """What one file holds.

    Attributes:
        path: the file, relative to what was searched.
        occurrences: every occurrence, in order.
        sites: the constructors that take a retiring id.
        new: the file's content after the edits, or None when nothing changes.
        read: the mark of its content before (:func:`routed_llm.migrate.files.mark_of`).
        skipped: why the file was not read, or None.
        exports: what other modules can take that holds a retiring id (``MODEL``, ``settings.model``,
            ``MODELS[fast]``, ``get_model()``), with each literal's value and offset.
        imports: the names that imports bind, to what they are (see ``modules.imports_of``).
        takes: whether it names no id and may yet take one from another module.
        hands: what is handed to imported functions and classes.
        drops: imported names that the edits take out of the module.
        needs: the distributions that the edits need.
        uninstalled: what a notebook that installs nothing needs besides.
        problem: why the file could be searched as text only, or None.
        compared: lists of other modules in which something is looked up here, and no more.
        baselines: names of other modules, parameters, and environment variables as ``$NAME``, from which a
            routed constructor takes its baseline already.
    """

    path: str
    occurrences: tuple[Occurrence, ...] = ()
    sites: tuple[Site, ...] = ()
    new: bytes | None = None
    read: str = ""
    skipped: str | None = None
    exports: Mapping[str, tuple[Literal, ...]] = field(default_factory=dict)
    imports: Mapping[str, str] = field(default_factory=dict)
    takes: bool = False
    hands: tuple[Handed, ...] = ()
    drops: tuple[str, ...] = ()
    needs: tuple[str, ...] = ()
    uninstalled: tuple[str, ...] = ()
    problem: str | None = None
    baselines: tuple[str, ...] = ()
    compared: tuple[str, ...] = ()

    def with_occurrences(self, occurrences: tuple[Occurrence, ...]) -> FileFindings:
        """Return the same findings with other occurrences."""
        return replace(self, occurrences=occurrences)
