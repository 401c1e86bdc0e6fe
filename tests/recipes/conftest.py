"""A copy of the tree, on which a recipe of CONTRIBUTING is carried out, and the files that it touches."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]


class Copied:
    """A copy of the tree; ``change`` edits one file of it."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.touched: set[str] = set()
        for folder in ("src", "tests"):
            left_out = shutil.ignore_patterns("__pycache__", "recipes")
            shutil.copytree(ROOT / folder, path / folder, ignore=left_out)
        shutil.copy(ROOT / "pyproject.toml", path)
        (path / "integrations").mkdir()
        shutil.copy(ROOT / "integrations" / "adapter_fixtures.py", path / "integrations")

    def change(self, name: str, edit: Callable[[str], str]) -> None:
        """Write a file anew."""
        file = self.path / name
        before = file.read_text()
        after = edit(before)
        assert after != before
        file.write_text(after)
        self.touched.add(name)

    def run(self, *arguments: str) -> str:
        """Run Python on the copy, and return what it prints."""
        environment = {**os.environ, "PYTHONPATH": str(self.path / "src"), "PYTHONDONTWRITEBYTECODE": "1"}
        done = subprocess.run(
            [sys.executable, *arguments],
            cwd=self.path,
            env=environment,
            capture_output=True,
            text=True,
            timeout=300,
            check=False,
        )
        assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-3000:]
        return done.stdout


@pytest.fixture
def copied(tmp_path: Path) -> Copied:
    """Copy the tree."""
    return Copied(tmp_path / "tree")
