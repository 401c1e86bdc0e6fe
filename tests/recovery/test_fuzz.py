"""The short form of the fuzz: generated calls through every adapter, held against the simulator's rules."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from benchmarks.recovery import fuzz, judge
from benchmarks.recovery.conversations import make
from routed_llm import Decision, Request, Router

ROOT = Path(__file__).parents[2]
CASES = int(os.environ.get("ROUTED_TEST_FUZZ", "100"))
"""Cases of each adapter; set the variable to more for a longer search."""


@pytest.mark.parametrize("adapter", list(fuzz.SPEAKERS))
def test_generated_calls(adapter: str) -> None:
    """No untyped exception, no refusal that could be foreseen, no denial of what a model would have taken."""
    command = [sys.executable, "-m", "benchmarks.recovery.fuzz", str(CASES), "--seed=7", "--adapter", adapter]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=600, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "untyped 0, refused 0, denied 0" in done.stdout
    assert int(re.search(r"(\d+) answered", done.stdout)[1]) > CASES / 2


def test_a_case_can_be_made_again() -> None:
    """A seed and a number name a case, whatever was made before it."""
    assert make(3, 11) == make(3, 11)
    assert make(3, 11) != make(3, 12)


ONE = [{"role": "user", "content": "Hi"}]


@pytest.mark.parametrize(
    ("model", "parameters", "more", "taken"),
    [
        pytest.param("gpt-4o", {}, {}, True, id="plain"),
        pytest.param("gpt-4o", {"reasoning_effort": "low"}, {}, False, id="no effort"),
        pytest.param("gpt-5", {"reasoning_effort": "low"}, {}, True, id="effort"),
        pytest.param("gpt-5", {"temperature": 0.5}, {}, True, id="taste is left out"),
        pytest.param("gpt-5", {"temperature": 0.5}, {"taste": True}, False, id="taste is kept"),
        pytest.param("gpt-5", {"stop": ["x"]}, {}, False, id="stop means something"),
        pytest.param("gpt-4o", {"stop": ["x"]}, {}, True, id="stop is taken"),
        pytest.param("gpt-4o", {"max_tokens": 16_385}, {}, False, id="over the cap"),
        pytest.param("gpt-5-pro", {}, {}, True, id="responses only"),
        pytest.param("gpt-5-pro", {}, {"stream": True}, False, id="cannot stream"),
    ],
)
def test_the_judge(model: str, parameters: dict, more: dict, taken: bool) -> None:
    """What the judge says of a request is what the simulator's own rules say."""
    found = judge.takers(judge.Judge(make(0, 0).day), {model: judge.EFFORTS}, ONE, parameters, **more)
    assert (model in found) is taken


def test_a_wrong_decision_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    """The fuzz can fail: a router that sends stop where it is refused is found out by what is sent."""
    original = Router.decide

    def careless(self: Router, request: Request, *given: Any, **more: Any) -> Decision:
        decision = original(self, request, *given, **more)
        return replace(decision, call=replace(decision.call, parameters={"stop": "never"}))

    monkeypatch.setattr(Router, "decide", careless)
    with fuzz.running("langchain", every=False) as run:
        case = next(one for one in (make(7, n) for n in range(500)) if not one.asynchronous)
        run.run(case)
    assert [one.kind for one in run.findings] == ["refused"]
