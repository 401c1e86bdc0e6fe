"""Markdown: its Python blocks as one text; what does not parse or is indented is left as prose."""

from __future__ import annotations

import re

from routed_llm.migrate.views import Pieces, masked

__all__ = ["fences", "python_blocks"]

_OPENS = re.compile(r"(?P<mark>`{3,}|~{3,})[ \t]*\{?\.?(?:python3?|py)\b", re.IGNORECASE)


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
