"""Words of the migration report: numbers, places and what was left out; nothing steers a terminal."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

__all__ = ["counted", "left_out", "printable", "sentence", "shortened"]

_NAMED = 3
"""Paths that are named of each kind of what was left out."""


def counted(number: int, what: str) -> str:
    """Write a number of things, the first noun of a phrase in the plural where there are several."""
    nouns = ("file", "folder", "link", "place", "constructor", "pipe")
    words = what.split()
    if number != 1:
        at = next((index for index, word in enumerate(words) if word in nouns), len(words) - 1)
        words[at] += "s"
    return f"{number:,} {' '.join(words)}"


def shortened(place: str, room: int) -> str:
    """Leave out a path's first folders where it is too long, as git does: ``.../agents/team.py:85``."""
    if len(place) <= room:
        return place
    folders, name = place.split("/")[:-1], place.rpartition("/")[2]
    kept = name
    for folder in reversed(folders):
        if len(f".../{folder}/{kept}") > room:
            break
        kept = f"{folder}/{kept}"
    return f".../{kept}" if folders else place


def left_out(skipped: Mapping[str, Sequence[str]], room: int = 1000) -> list[str]:
    """Return what was not looked at, a phrase for each reason, no path much longer than there is room."""
    phrases = []
    for why, paths in sorted(skipped.items()):
        more = [f"{len(paths) - _NAMED:,} more"] if len(paths) > _NAMED else []
        names = ", ".join([*(shortened(printable(path), room) for path in sorted(paths)[:_NAMED]), *more])
        phrases.append(f"{counted(len(paths), why)} ({names})")
    return phrases


def printable(text: str) -> str:
    """Return a text in one line, what would steer a terminal written out as an escape."""
    return "".join(
        letter if letter.isprintable() else letter.encode("unicode_escape", "surrogatepass").decode()
        for letter in text
    )


def sentence(text: str) -> str:
    """Begin a reason with a capital, unless it begins with a model's name."""
    return text[:1].upper() + text[1:] if text.startswith(("it ", "its ", "the ", "a ", "nothing ")) else text
