"""A program of a user's passes strict type checkers, and nothing it is given is of an unknown type."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PROGRAM = Path(__file__).parent / "program.py"
SOURCE = ROOT / "src" / "routed_llm"
TYPED = ("budget.py", "record.py", "ledger/scoped.py", "ledger/report.py", "ledger/run.py")
"""What programs meet of money and records."""


def _mypy(*arguments: str) -> tuple[int, str]:
    done = subprocess.run(
        [sys.executable, "-m", "mypy", "--strict", *arguments],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    return done.returncode, done.stdout


def test_mypy_finds_nothing() -> None:
    """``mypy --strict`` passes the program as it stands."""
    assert _mypy(str(PROGRAM)) == (0, "Success: no issues found in 1 source file\n")


def test_mypy_reads_the_record(tmp_path: Path) -> None:
    """What is not in the record, or of another type there, is an error."""
    program = tmp_path / "wrong.py"
    program.write_text(
        "from routed_llm import Decision\n\n\n"
        "def wrong(decision: Decision) -> int:\n"
        '    print(decision.record()["modle"])\n'
        '    return decision.record()["why"]\n'
    )
    code, said = _mypy(str(program))
    assert code == 1
    assert re.findall(r"\[([a-z-]+)\]", said) == ["typeddict-item", "return-value"]


@pytest.mark.skipif(shutil.which("pyright") is None, reason="opt-in: it is no part of what make installs")
def test_pyright_finds_nothing() -> None:
    """Pyright passes it, too."""
    done = subprocess.run(["pyright", str(PROGRAM)], cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.stdout.splitlines()[-1].startswith("0 errors")


@pytest.mark.parametrize("name", TYPED)
def test_nothing_is_of_any_type(name: str) -> None:
    """No annotation says ``Any``."""
    assert not re.search(r"\bAny\b", (SOURCE / name).read_text(encoding="utf-8"))
