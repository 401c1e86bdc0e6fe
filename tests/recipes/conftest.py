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
        # What is compiled comes along, but for what another process is writing just now.
        left_out = shutil.ignore_patterns("recipes", "*.pyc.*")
        for folder in ("src", "tests", "scripts", "integrations/routed-llm-catalog"):
            shutil.copytree(ROOT / folder, path / folder, ignore=left_out)
        for file in ("pyproject.toml", "integrations/adapter_fixtures.py"):
            shutil.copy(ROOT / file, path / file)

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
