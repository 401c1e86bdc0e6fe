"""What commands print with."""

from __future__ import annotations

import io
import re
import sys
import threading

import pytest

from routed_llm.cli.screen import table, working


class Terminal(io.StringIO):
    """A terminal that says when it was written to."""

    def __init__(self) -> None:
        super().__init__()
        self.written = threading.Event()

    def isatty(self) -> bool:
        """Say that it is one."""
        return True

    def write(self, text: str) -> int:
        """Note that it was written to."""
        self.written.set()
        return super().write(text)


def test_long_work_says_how_long_it_takes(monkeypatch: pytest.MonkeyPatch) -> None:
    """What is at work and for how long stands on the terminal, and nothing is left of it afterwards."""
    terminal = Terminal()
    monkeypatch.setattr(sys, "stderr", terminal)
    with working("Reading a log", after=0.0, every=60.0):
        assert terminal.written.wait(60)
    assert re.fullmatch(r"\rReading a log: \d+ s\r\x1b\[K", terminal.getvalue())


def test_short_work_says_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    """What ends before its time leaves nothing but a clean line."""
    terminal = Terminal()
    monkeypatch.setattr(sys, "stderr", terminal)
    with working("Reading a log", after=60.0):
        pass
    assert terminal.getvalue() == "\r\x1b[K"


def test_a_pipe_hears_nothing(capsys: pytest.CaptureFixture[str]) -> None:
    """Other programs are not told."""
    with working("Reading a log", after=0.0, every=0.0):
        pass
    assert capsys.readouterr() == ("", "")


ROWS = [("search", "2", "$1.00"), ("all", "1,234", "$1,000.00")]


@pytest.mark.parametrize(
    ("width", "lines"),
    [
        pytest.param(
            24,
            ["TEAM    CALLS       COST", "search      2      $1.00", "all     1,234  $1,000.00"],
            id="it fits",
        ),
        pytest.param(
            20,
            ["TEAM", "  CALLS       COST", "search", "      2      $1.00", "all", "  1,234  $1,000.00"],
            id="labels above",
        ),
        pytest.param(
            15,
            ["TEAM", " CALLS      COST", "search", "     2     $1.00", "all", " 1,234 $1,000.00"],
            id="narrower than its numbers",
        ),
    ],
)
def test_a_table_cuts_no_number(width: int, lines: list[str]) -> None:
    """Where there is no room, labels stand above their numbers, and numbers stay whole."""
    assert table(("TEAM", "CALLS", "COST"), ROWS, labels=1, width=width) == lines
