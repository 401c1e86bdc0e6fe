"""Views: the Python that a file holds, as one text, and the way back to the file's characters.

A module is its own view. A notebook's code cells and a Markdown file's Python blocks are each read as one
text, since names imported in one are used in the next; what is no Python (shell lines, magics, prose) is
left out or masked, and every character that is left knows where it stands in the file.
"""

from __future__ import annotations

import ast
import re
from bisect import bisect_right
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from routed_llm.migrate.found import Edit

__all__ = ["Piece", "Pieces", "Plain", "View", "fences", "masked", "parses", "python_blocks"]

_MAGIC = re.compile(r"^(?P<indent>\s*)(?P<rest>[%!?].*|[\w.\[\]'\"]+\?{1,2}\s*)$")
_ASSIGNED = re.compile(r"^(?P<head>\s*[\w, ]+=\s*)(?P<rest>[%!].*)$")
_PYTHON_CELLS = ("%%time", "%%timeit", "%%capture", "%%prun")
_OPENS = re.compile(r"(?P<mark>`{3,}|~{3,})[ \t]*\{?\.?(?:python3?|py)\b", re.IGNORECASE)
"""How a Python block of a Markdown text begins."""
_TOP_LEVEL_AWAIT = ast.PyCF_ALLOW_TOP_LEVEL_AWAIT


class View(Protocol):
    """Python inside a file."""

    @property
    def text(self) -> str:
        """The Python."""
        ...

    def place(self, offset: int) -> int:
        """Return where a character of the text stands in the file's text."""
        ...

    def edits(self, edits: Sequence[Edit]) -> list[Edit]:
        """Return edits of the text as edits of the file's text."""
        ...


@dataclass(frozen=True, slots=True)
class Plain:
    """A file that is Python throughout."""

    text: str

    def place(self, offset: int) -> int:
        """Return the offset itself."""
        return offset

    def edits(self, edits: Sequence[Edit]) -> list[Edit]:
        """Return the edits themselves."""
        return list(edits)


@dataclass(frozen=True, slots=True)
class Piece:
    """Characters that stand together both in a view's text (from ``start``) and in the file (from ``at``)."""

    start: int
    at: int


class Pieces:
    """Python that stands in a file in several pieces, each character of it unescaped.

    Args:
        parts: each piece's text with its offset in the file; they are joined by line ends.
    """

    def __init__(self, parts: Sequence[tuple[str, int]]) -> None:
        self._pieces: list[Piece] = []
        length, texts = 0, []
        for text, at in parts:
            self._pieces.append(Piece(length, at))
            texts.append(text)
            length += len(text)
        self.text = "".join(texts)
        self._starts = [piece.start for piece in self._pieces]

    def place(self, offset: int) -> int:
        """Return where a character of the text stands in the file's text."""
        piece = self._pieces[max(bisect_right(self._starts, offset) - 1, 0)]
        return piece.at + offset - piece.start

    def edits(self, edits: Sequence[Edit]) -> list[Edit]:
        """Return edits of the text as edits of the file's text."""
        moved = []
        for edit in edits:
            end = self.place(edit.end - 1) + 1 if edit.end > edit.start else self.place(edit.start)
            moved.append(Edit(self.place(edit.start), end, edit.new))
        return moved


def parses(code: str) -> bool:
    """Say whether a cell or block is Python, a top-level ``await`` included."""
    try:
        compile(code, "<cell>", "exec", flags=ast.PyCF_ONLY_AST | _TOP_LEVEL_AWAIT, dont_inherit=True)
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return False
    return True


def masked(code: str) -> str | None:
    """Replace shell lines and magics by Python of the same length; None when the cell is not Python."""
    lines = code.splitlines(keepends=True)
    first = next((line.strip() for line in lines if line.strip()), "")
    if first.startswith("%%") and not first.startswith(_PYTHON_CELLS):
        return None
    if parses(code):
        return code
    out, carried = [], False
    for line in lines:
        body = line.rstrip("\r\n")
        hidden = _mask_line(body, carried=carried)
        carried = hidden != body and body.endswith("\\")
        out.append(hidden + line[len(body) :])
    text = "".join(out)
    return text if parses(text) else None


def _mask_line(body: str, *, carried: bool) -> str:
    found = _MAGIC.match(body)
    if carried and body:
        return "#" * len(body)
    if found:
        indent = found["indent"]
        return indent + "0" + "#" * (len(body) - len(indent) - 1)
    assigned = _ASSIGNED.match(body)
    if assigned:
        head = assigned["head"]
        return head + "0" + "#" * (len(body) - len(head) - 1)
    return body


def fences(text: str) -> list[tuple[int, int]]:
    """Return where the Python blocks of a Markdown text stand; one that is never closed is none."""
    found: list[tuple[int, int]] = []
    place, begun, mark = 0, 0, ""
    for line in text.splitlines(keepends=True):
        if mark:
            if line.rstrip() == mark:
                found.append((begun, place))
                mark = ""
        elif line.startswith(("```", "~~~")):
            opens = _OPENS.match(line)
            if opens is not None:
                mark, begun = opens["mark"], place + len(line)
        place += len(line)
    return found


def python_blocks(text: str) -> Pieces:
    """Return the Python blocks of a Markdown text, those that parse."""
    found = ((masked(text[start:end]), start) for start, end in fences(text))
    return Pieces([(python, start) for python, start in found if python is not None])
