"""Places where a text may be cut without changing its token count.

The o200k pattern cuts text into pieces before any merging, so a cut is safe where a piece always ends:

* before a space that stands between an ASCII letter or digit and an ASCII letter: a piece that ends in a
  letter or digit never takes a space, and the space opens the next word's piece;
* after a line feed that an ASCII letter or digit follows: the pieces that take line breaks are greedy and
  stop at the last one.

Text without such places (base64, most CJK) is one part.
"""

from __future__ import annotations

import re
from typing import Final

PART: Final = 65_536
"""Characters after which a part ends at the next safe place."""

LONG_SPACE: Final = 50_000
"""Characters of unbroken white space that tiktoken is spared (0.14.0 overflows its stack near 1,000,000)."""

_SPACE = re.compile(r" (?<=[A-Za-z0-9] )(?=[A-Za-z])")
_LINE = re.compile(r"\n(?=[A-Za-z0-9])")
_WINDOW = 4_096
_WIDEST = 131_072

# Unicode White_Space without the two line breaks of the pattern, as the Rust regex \s has it. Python's own
# \s also takes U+001C to U+001F.
_BLANK = "\t\v\f \x85\xa0\u1680\u2000-\u200a\u2028\u2029\u202f\u205f\u3000"
_BLANKS = re.compile(f"[{_BLANK}]+")


def next_cut(text: str, start: int, size: int = PART) -> int:
    """Return the first safe place at or after `start + size`, or the length of the text.

    The two kinds of place are looked for in windows that double, so that a text which lacks one kind is
    not read to its end for every part.
    """
    length = len(text)
    position = start + size
    window = _WINDOW
    while position < length:
        end = min(position + window, length)
        # One character beyond the window is needed to see what follows the cut.
        space = _SPACE.search(text, position, min(end + 1, length))
        line = _LINE.search(text, position, space.start() if space else min(end + 1, length))
        if line:
            return line.end()
        if space:
            return space.start()
        position = end
        # Python's lock is held for a whole window.
        window = min(2 * window, _WIDEST)
    return length


def parts(text: str, size: int = PART) -> list[str]:
    """Return the text cut at safe places into parts of about `size` characters."""
    found = []
    start = 0
    while start < len(text):
        end = next_cut(text, start, size)
        found.append(text[start:end])
        start = end
    return found


def has_long_space(text: str) -> bool:
    """Return whether the text may hold `LONG_SPACE` or more blanks in a row; never misses one.

    Such a run covers two neighbouring probes and all that lies between them, so only probes are read
    unless one hits a blank.
    """
    step = LONG_SPACE // 2
    for at in range(0, len(text) - step, step):
        run = _BLANKS.match(text, at)
        if run and run.end() > at + step:
            return True
    return False


def cut_long_space(text: str) -> tuple[list[str], list[str]]:
    """Return the text's ordinary parts, and its long runs of blanks as the pieces the pattern makes of them.

    The pattern makes one piece of a run of blanks, without its last one if a visible character follows
    (that one opens the next piece). A run that a line break follows belongs to the line break's piece and
    is left where it is. The counts of the parts and of the pieces add up to the count of the text.
    """
    ordinary: list[str] = []
    pieces: list[str] = []
    start = 0
    for run in _BLANKS.finditer(text):
        first, end = run.span()
        if end - first < LONG_SPACE or text[end : end + 1] in ("\r", "\n"):
            continue
        if end < len(text):
            end -= 1
        ordinary.append(text[start:first])
        pieces.append(text[first:end])
        start = end
    ordinary.append(text[start:])
    return ordinary, pieces
