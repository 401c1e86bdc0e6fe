"""Lines of a notebook that install packages: the routed ones beside what they extend."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence

__all__ = ["insertions", "is_install"]

_INSTALL = re.compile(
    r"^[ \t]*(?:[%!]{1,2}[ \t]*)?(?:\S{0,80}python[\d.]*[ \t]+-m[ \t]+)?(?:uv[ \t]+)?"
    r"(?:pip3?|conda|mamba)[ \t]+install\b",
    re.MULTILINE,
)


def is_install(line: str) -> bool:
    """Say whether a line installs packages."""
    return _INSTALL.match(line) is not None


def insertions(
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
        first = next((number for number in reversed(places) if is_install(lines[number])), None)
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
    return is_install(lines[first])


def _named(line: str, distribution: str) -> re.Match[str] | None:
    """Find a distribution on a line, with its extras, version and quotes."""
    name = re.escape(distribution).replace(r"\-", "[-_.]")
    return re.search(
        rf"(?<![\w.\-/])(?P<quote>[\"']?){name}(?![\w.\-/])[^\s\"';&|#]*(?P=quote)", line, re.IGNORECASE
    )
