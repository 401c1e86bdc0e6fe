"""Markdown: its Python blocks as one text; what does not parse or is indented is left as prose."""

from __future__ import annotations

import re

from routed_llm.migrate.views import Pieces, masked

__all__ = ["fences", "python_blocks"]

_FENCE = re.compile(
    r"^(?P<mark>`{3,}|~{3,})[ \t]*\{?\.?(?P<language>python3?|py)\b[^\n]*\n(?P<code>.*?)^(?P=mark)[ \t]*$",
    re.MULTILINE | re.DOTALL | re.IGNORECASE,
)


def fences(text: str) -> list[tuple[int, int]]:
    """Return where the Python blocks of a Markdown text stand."""
    return [match.span("code") for match in _FENCE.finditer(text)]


def python_blocks(text: str) -> Pieces:
    """Return the Python blocks of a Markdown text, those that parse."""
    found = ((masked(text[start:end]), start) for start, end in fences(text))
    return Pieces([(python, start) for python, start in found if python is not None])
