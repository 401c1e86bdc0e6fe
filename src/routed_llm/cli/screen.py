"""What the commands print with: one console, and the spelling of money, tokens and configurations."""

from __future__ import annotations

import json
import os
import re
import sys
import threading
import time
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from decimal import Decimal
from typing import TYPE_CHECKING, Any

from routed_llm.cli.needs import required
from routed_llm.cli.visible import made_visible
from routed_llm.policy import EFFORTS

if TYPE_CHECKING:
    from rich.console import Console

__all__ = [
    "ENDPOINTS",
    "WIDTH",
    "console",
    "effort_range",
    "money",
    "print_json",
    "table",
    "tokens",
    "working",
]

WIDTH = 100
"""Columns of what is laid out for a screen."""

UNWRAPPED = 1_000_000
"""Columns when the output is no terminal and nothing says otherwise: programs read a line at a time."""

ENDPOINTS = {"chat_completions": "chat", "responses": "responses", "realtime": "realtime"}
"""Endpoints as tables spell them."""


def console(*, piped: int = UNWRAPPED) -> Console:
    """Return the console to print on.

    Args:
        piped: the columns when the output is no terminal and ``COLUMNS`` is not set.

    Raises:
        CommandError: when rich is not installed.
    """
    rich = required("rich.console", extra="'routed-llm[cli]'")
    fixed = None if sys.stdout.isatty() or os.environ.get("COLUMNS") else piped
    # rich writes colours as control characters of its own: what it is given is made visible before.
    stream = getattr(sys.stdout, "inner", sys.stdout)
    if not sys.stdout.isatty():
        stream = _Unpadded(stream)
    made: Console = _console(rich.Console)(
        file=stream, width=fixed, highlight=False, emoji=False, markup=False
    )
    return made


def _console(base: Any) -> Any:
    class Visible(base):  # type: ignore[misc] # rich is only there where it is installed
        def render_str(self, text: str, **how: Any) -> Any:
            return super().render_str(made_visible(text), **how)

        def on_broken_pipe(self) -> None:
            # rich would exit with 1, which says that nothing fits.
            raise BrokenPipeError

    return Visible


class _Unpadded:
    """A text stream whose lines end where their text does: rich fills up cells with spaces."""

    def __init__(self, inner: Any) -> None:
        self._inner = inner

    def write(self, text: str) -> int:
        self._inner.write(re.sub(r" +(?=\n)", "", text))
        return len(text)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._inner, name)


@contextmanager
def working(what: str, *, after: float = 2.0, every: float = 1.0) -> Iterator[None]:
    """Say on a terminal how long a block has been at work, once that is longer than a reader waits unasked.

    Args:
        what: is done.
        after: seconds before the first word.
        every: seconds between two.
    """
    if not sys.stderr.isatty():
        yield
        return
    done = threading.Event()

    def tell() -> None:
        began = time.monotonic()
        pause = after
        while not done.wait(pause):
            # To the terminal itself: what is printed elsewhere holds no control characters.
            inner.write(f"\r{what}: {time.monotonic() - began:.0f} s")
            inner.flush()
            pause = every

    inner = getattr(sys.stderr, "inner", sys.stderr)
    teller = threading.Thread(target=tell, name="working", daemon=True)
    teller.start()
    try:
        yield
    finally:
        done.set()
        teller.join()
        inner.write("\r\x1b[K")
        inner.flush()


def table(heads: Sequence[str], rows: Iterable[Sequence[str]], *, labels: int, width: int) -> list[str]:
    """Return the lines of a table whose numbers are never cut: where it is too wide, labels stand above them.

    Args:
        heads: the columns' names, first those of the labels.
        rows: the cells.
        labels: how many columns are labels; the others are numbers.
        width: the columns of the screen.
    """
    cells = [tuple(heads), *map(tuple, rows)]
    wide = [max(map(len, column)) for column in zip(*cells, strict=True)]
    if sum(wide) + 2 * len(wide) - 2 <= width:
        return ["  ".join(_justified(row, wide, labels)).rstrip() for row in cells]
    numbers = wide[labels:]
    gap = "  " if sum(numbers) + 2 * len(numbers) <= width else " "
    lines = []
    for row in cells:
        lines += [label for label in ["  ".join(filter(None, row[:labels]))] if label]
        lines.append((gap + gap.join(_justified(row[labels:], numbers, 0))).rstrip())
    return lines


def _justified(row: Sequence[str], wide: Sequence[int], labels: int) -> list[str]:
    return [
        cell.ljust(room) if place < labels else cell.rjust(room)
        for place, (cell, room) in enumerate(zip(row, wide, strict=True))
    ]


def print_json(data: Any) -> None:
    """Print data as JSON for programs; needs nothing but the standard library."""
    print(json.dumps(data, indent=2, ensure_ascii=False))


def money(dollars: Decimal | None) -> str:
    """Write an amount: cents and, below a dollar, as many places as show three figures."""
    if dollars is None:
        return "unknown"
    if not dollars:
        return "$0"
    if dollars >= 1:
        return f"${dollars:,.2f}"
    return f"${dollars:.{min(2 - dollars.adjusted(), 9)}f}"


def tokens(count: int) -> str:
    """Write a limit in thousands or millions where that loses nothing."""
    if count >= 1_000_000:
        return f"{count / 1_000_000:.4g}M"
    return f"{count // 1000}K" if count % 1000 == 0 else f"{count:,}"


def effort_range(efforts: Iterable[str]) -> str:
    """Write efforts as a range where they follow one another."""
    places = sorted({EFFORTS.index(effort) for effort in efforts})
    if not places:
        return "-"
    names = [EFFORTS[place] for place in places]
    if len(places) > 2 and places[-1] - places[0] == len(places) - 1:
        return f"{names[0]}..{names[-1]}"
    gaps = len(places) > 3 and places[1:] == list(range(places[1], places[-1] + 1))
    return f"{names[0]},{names[1]}..{names[-1]}" if gaps else ",".join(names)
