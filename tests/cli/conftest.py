"""Runs `routed` inside the test process."""

from __future__ import annotations

import io
import sys
from collections.abc import Callable
from dataclasses import dataclass

import pytest

from routed_llm.cli import main


@dataclass(frozen=True, slots=True, kw_only=True)
class Done:
    """What a command came to."""

    code: int
    out: str
    err: str


Routed = Callable[..., Done]


@pytest.fixture
def routed(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Routed:
    """Run the command line with words and, if given, bytes on standard input."""

    def run(*words: str, stdin: bytes = b"", columns: int = 100) -> Done:
        monkeypatch.setenv("COLUMNS", str(columns))
        monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(stdin)))
        try:
            code = main(words)
        except SystemExit as left:
            code = left.code if isinstance(left.code, int) else 1
        captured = capsys.readouterr()
        return Done(code=code, out=captured.out, err=captured.err)

    return run
