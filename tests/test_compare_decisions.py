"""scripts/compare_decisions.py: a tree decides as it does itself, and what differs is named by its class."""

from __future__ import annotations

import copy
import importlib
import importlib.util
import sys
from pathlib import Path
from typing import Any

import pytest

SCRIPT = Path(__file__).parents[1] / "scripts" / "compare_decisions.py"
ROOT = SCRIPT.parents[1]


@pytest.fixture(name="script", scope="module")
def _script() -> Any:
    spec = importlib.util.spec_from_file_location("compare_decisions", SCRIPT)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_a_tree_decides_as_it_does_itself(
    script: Any, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Two processes of one tree give the same answers to every request."""
    monkeypatch.setattr(sys, "argv", ["compare_decisions.py", str(ROOT), "--count", "25"])
    assert script.main() == 0
    assert capsys.readouterr().out == "25 of 25 decisions are equal\n"


LINE = {
    "choice": "a on chat_completions",
    "cost": "0.1",
    "certain": True,
    "reserve": None,
    "changes": [],
    "switch": None,
    "why": "a",
    "candidates": {"a on chat_completions": [1, []], "b on responses": [2, ["dearer"]]},
}
PLAIN: dict[str, Any] = {"facts": {}, "around": {}}


def _changed(**values: Any) -> dict[str, Any]:
    return {**copy.deepcopy(LINE), **values}


@pytest.mark.parametrize(
    ("now", "marks", "what", "named"),
    [
        pytest.param({}, [5], PLAIN, [], id="nothing"),
        pytest.param({}, [6], PLAIN, ["boundaries: text alone"], id="a boundary"),
        pytest.param(
            {"choice": "b on responses", "candidates": {"a on chat_completions": [1, ["slow"]]}},
            [5],
            PLAIN,
            ["choice (slow): text alone"],
            id="a choice, by what now speaks against the other",
        ),
        pytest.param(
            {"cost": "0.2", "certain": False},
            [5],
            {"facts": {"images": ((1, 1),)}, "around": {"allowance": {"worst_case": True}}},
            ["cost: worst-case budget, images", "certain is False: worst-case budget, images"],
            id="a cost, and whether it is certain",
        ),
        pytest.param(
            {"candidates": {"a on chat_completions": [1, []], "b on responses": [2, ["slow"]]}},
            [5],
            PLAIN,
            ["reasons dearer -> slow: text alone"],
            id="a reason",
        ),
    ],
)
def test_what_differs_is_named(
    script: Any, now: dict[str, Any], marks: list[int], what: dict[str, Any], named: list[str]
) -> None:
    """The choice comes before what follows from it."""
    assert script.classes([[_changed(**now)], marks], [[_changed()], [5]], what) == named


def test_a_decision_is_traced_to_the_commits_that_changed_it(monkeypatch: pytest.MonkeyPatch) -> None:
    """Each change is the commit's before which the decision was another; one that came with none is seen."""
    monkeypatch.syspath_prepend(str(SCRIPT.parent))
    trace = importlib.import_module("trace_decisions").trace
    history = [
        ("a", {1: ["x"], 2: ["x"], 3: ["x"]}),
        ("b", {1: ["y"], 2: ["y"], 3: ["x"]}),
        ("c", {1: ["y"], 2: ["z"], 3: ["x"]}),
    ]
    assert trace(history, [1, 2, 3]) == {1: ["b"], 2: ["b", "c"], 3: []}
