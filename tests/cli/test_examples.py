"""The examples run as they stand, against the simulator."""

from __future__ import annotations

import json
import os
import runpy
import subprocess
import sys
from pathlib import Path

import pytest

from routed_llm import read_openai
from routed_llm.simulator import serve

from .conftest import Routed

EXAMPLES = Path(__file__).parents[2] / "examples"


def test_the_policies_example_runs(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """It names a model for each policy, answers one call, and refuses one before anything is sent."""
    with serve() as simulator:
        monkeypatch.setenv("OPENAI_BASE_URL", simulator.url)
        monkeypatch.setenv("OPENAI_API_KEY", "simulated")
        example = runpy.run_path(str(EXAMPLES / "langchain_policies.py"))
        example["main"]()
        (entry,) = simulator.journal
        assert simulator.refused == []
    lines = capsys.readouterr().out.splitlines()
    assert [line.partition(":")[0] for line in lines[:3]] == list(example["POLICIES"])
    assert lines[3].startswith(f"answered by {entry.served}: ")
    assert lines[4].endswith("Raise max_cost_per_call, or shorten the request.")


def test_a_long_request_can_be_explained(routed: Routed) -> None:
    """The script prints a request of about the tokens asked for, which `routed explain` reads."""
    done = subprocess.run(
        [sys.executable, EXAMPLES / "long_request.py", "300000"],
        capture_output=True,
        env={**os.environ, "PYTHONPATH": ""},
        timeout=60,
        check=True,
    )
    assert read_openai(json.loads(done.stdout)).facts.cap == 500
    shown = routed("explain", "-", "--exact", "--json", "--at", "2026-11-22", stdin=done.stdout)
    assert shown.code == 0
    decision = json.loads(shown.out)
    assert decision["input_tokens"] == pytest.approx(300_000, rel=0.02)
    against = {row["model"]: row["reasons"][0]["code"] for row in decision["candidates"] if row["reasons"]}
    assert against["gpt-4o"] == "max_input"
