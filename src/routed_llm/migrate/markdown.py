"""Markdown: its Python blocks as one text; what does not parse or is indented is left as prose."""

from __future__ import annotations

import re

from routed_llm.migrate.views import Pieces, masked

__all__ = ["python_blocks"]

_FENCE = re.compile(
    r"^(?P<mark>`{3,}|~{3,})[ \t]*\{?\.?(?P<language>python3?|py)\b[^\n]*\n(?P<code>.*?)^(?P=mark)[ \t]*$",
    re.MULTILINE | re.DOTALL | re.IGNORECASE,
)


def python_blocks(text: str) -> tuple[Pieces, list[tuple[int, int]]]:
    """Return the Python blocks of a Markdown text and the spans they take in it."""
    parts, spans = [], []
    for match in _FENCE.finditer(text):
        python = masked(match["code"])
        if python is not None:
            parts.append((python, match.start("code")))
            spans.append(match.span("code"))
    return Pieces(parts), spans
