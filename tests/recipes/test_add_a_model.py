"""The recipe "add a model" of CONTRIBUTING, carried out on a copy of the tree: two files and nothing else."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
NEW = "gpt-9-recipe"
RELATIVE = "gpt-6-rosalind"
CATALOG = Path("src/routed_llm/catalog/models")
SIMULATOR = Path("src/routed_llm/simulator/data/models.toml")
PYTEST = ("-m", "pytest", "-q", "-x", "-p", "no:cacheprovider")

# What a program sees of the new model: it is chosen, served and billed, with nothing but the data changed.
PROGRAM = f"""
import json
from datetime import date
from urllib.request import Request, urlopen

from routed_llm import Policy, Router, read_openai
from routed_llm.simulator import serve

body = {{"model": "gpt-4o", "messages": [{{"role": "user", "content": "Hello"}}]}}
day = date(2026, 11, 22)
policy = Policy(models=["{NEW}"], at_least=None)
decision = Router(clock=lambda: day).decide(read_openai(body), policy=policy)
assert decision.model == "{NEW}", decision.rejected
with serve(at=day) as sim:
    sent = json.dumps({{**body, "model": decision.call.model}}).encode()
    headers = {{"Authorization": "Bearer simulated", "Content-Type": "application/json"}}
    with urlopen(Request(f"{{sim.url}}/chat/completions", sent, headers)) as answer:
        assert json.load(answer)["model"].startswith("{NEW}")
    assert sim.billed > 0
"""


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    """Copy what the recipe and the tests of the data need."""
    for folder in ("src", "tests", "scripts", "integrations/routed-llm-catalog"):
        left_out = shutil.ignore_patterns("__pycache__", "recipes")
        shutil.copytree(ROOT / folder, tmp_path / folder, ignore=left_out)
    for file in ("pyproject.toml", "integrations/adapter_fixtures.py"):
        shutil.copy(ROOT / file, tmp_path / file)
    return tmp_path


def add_the_model(tree: Path) -> None:
    """Do what the recipe says, beginning with the nearest relative."""
    text = (tree / CATALOG / f"{RELATIVE}.toml").read_text()
    (tree / CATALOG / f"{NEW}.toml").write_text(text.replace(RELATIVE, NEW))
    data = tree / SIMULATOR
    rows = data.read_text()
    start = rows.index(f'[models."{RELATIVE}"]')
    row = rows[start : rows.index("\n[models.", start + 1)]
    data.write_text(f"{rows}\n{row.replace(RELATIVE, NEW)}\n")


def run(tree: Path, *arguments: str) -> None:
    """Run Python on the copied tree."""
    environment = {**os.environ, "PYTHONPATH": str(tree / "src"), "PYTHONDONTWRITEBYTECODE": "1"}
    done = subprocess.run(
        [sys.executable, *arguments],
        cwd=tree,
        env=environment,
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-3000:]


def test_a_model_is_two_files(tree: Path) -> None:
    """With a file in the catalog and a row of the simulator, the model is chosen, served and billed."""
    add_the_model(tree)
    run(tree, "-c", PROGRAM)
    run(tree, *PYTEST, "tests/catalog", "tests/simulator/test_data.py")


def test_a_model_that_the_simulator_does_not_know_is_noticed(tree: Path) -> None:
    """The half of the recipe that is easily forgotten is missed by the tests of the data."""
    rows = (tree / SIMULATOR).read_text()
    add_the_model(tree)
    (tree / SIMULATOR).write_text(rows)
    with pytest.raises(AssertionError, match=NEW):
        run(tree, *PYTEST, "tests/catalog/test_disagreements.py")
