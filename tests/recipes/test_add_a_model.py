"""The recipe "add a model" of CONTRIBUTING, carried out on a copy of the tree: two files and nothing else."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

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


def add_the_model(tree: Path) -> None:
    """Do what the recipe says, beginning with the nearest relative."""
    text = (tree / CATALOG / f"{RELATIVE}.toml").read_text()
    (tree / CATALOG / f"{NEW}.toml").write_text(text.replace(RELATIVE, NEW))
    data = tree / SIMULATOR
    rows = data.read_text()
    start = rows.index(f'[models."{RELATIVE}"]')
    row = rows[start : rows.index("\n[models.", start + 1)]
    data.write_text(f"{rows}\n{row.replace(RELATIVE, NEW)}\n")


def test_a_model_is_two_files(copied: Any) -> None:
    """With a file in the catalog and a row of the simulator, the model is chosen, served and billed."""
    add_the_model(copied.path)
    copied.run("-c", PROGRAM)
    copied.run(*PYTEST, "tests/catalog", "tests/simulator/test_data.py")


def test_a_model_that_the_simulator_does_not_know_is_noticed(copied: Any) -> None:
    """The half of the recipe that is easily forgotten is missed by the tests of the data."""
    rows = (copied.path / SIMULATOR).read_text()
    add_the_model(copied.path)
    (copied.path / SIMULATOR).write_text(rows)
    with pytest.raises(AssertionError, match=NEW):
        copied.run(*PYTEST, "tests/catalog/test_disagreements.py")
