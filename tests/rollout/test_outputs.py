"""What routed models were seen to write: kinds, means, and how sure a sum is."""

from __future__ import annotations

import json
import random
from pathlib import Path
from typing import Any

import pytest

from routed_llm import PolicyError, Previous, Router
from routed_llm.facts import RequestFacts
from routed_llm.rollout.outputs import ENOUGH, FEW, Outputs, Tally, configuration, kind_of, spread

LUNA = "gpt-5.6-luna@low"


@pytest.mark.parametrize(
    ("facts", "expected"),
    [
        pytest.param(RequestFacts(), "text", id="plain"),
        pytest.param(RequestFacts(tools=2), "tools=auto", id="tools"),
        pytest.param(
            RequestFacts(tools=1, tool_choice="required"), "tools=required", id="a tool it must call"
        ),
        pytest.param(
            RequestFacts(structured="json_schema", cap=80), "json_schema, cap<128", id="schema and cap"
        ),
        pytest.param(RequestFacts(cap=0), "cap<1", id="a cap of none"),
        pytest.param(RequestFacts(inputs=frozenset({"text", "image"})), "image in", id="image"),
        pytest.param(RequestFacts(outputs=frozenset({"text", "audio"})), "audio out", id="audio"),
        pytest.param(RequestFacts(task="coding"), "task=coding", id="task"),
        pytest.param(
            RequestFacts(previous=Previous(model="gpt-4o", in_tool_loop=True)), "tool results", id="loop"
        ),
    ],
)
def test_kinds(facts: RequestFacts, expected: str) -> None:
    """A kind says what a request is made of, without sizes of its text."""
    assert kind_of(facts) == expected


def test_tally() -> None:
    """Mean and variance as the textbook has them, and none of a single value."""
    tally = Tally()
    for value in (2.0, 4.0, 4.0, 4.0, 5.0, 5.0, 7.0, 9.0):
        tally.add(value)
    assert (tally.number, tally.mean) == (8, 5.0)
    assert tally.variance == pytest.approx(32 / 7)
    single = Tally()
    single.add(3.0)
    assert single.variance == 0


@pytest.mark.parametrize(
    ("pairs", "answers", "expected"),
    [
        pytest.param({"text": FEW - 1}, {}, None, id="one under: nothing"),
        pytest.param({"text": FEW}, {}, (110.0, True), id="enough pairs of the kind"),
        pytest.param({"image in": FEW}, {}, (110.0, True), id="enough pairs of other kinds"),
        pytest.param({}, {"text": FEW - 1}, None, id="one answer under: nothing"),
        pytest.param({}, {"text": FEW}, (70.0, False), id="enough answers of the kind"),
        pytest.param({}, {"image in": ENOUGH - 1}, None, id="one under of other kinds"),
        pytest.param({}, {"image in": ENOUGH}, (70.0, False), id="enough answers of other kinds"),
        pytest.param({"text": FEW}, {"text": ENOUGH}, (110.0, True), id="pairs win"),
        pytest.param({"image in": ENOUGH}, {"text": FEW}, (70.0, False), id="the own kind wins"),
    ],
)
def test_what_is_expected(
    pairs: dict[str, int], answers: dict[str, int], expected: tuple[float, bool] | None
) -> None:
    """The narrowest figures that rest on enough answers are taken."""
    seen = Outputs()
    for kind, number in pairs.items():
        for _ in range(number):
            seen.pair(LUNA, kind, 50, 60)
    for kind, number in answers.items():
        for _ in range(number):
            seen.answer(LUNA, kind, 70)
    found = seen.expected(LUNA, "text", 100)
    assert (None if found is None else (found.tokens, found.paired)) == expected
    assert seen.expected("gpt-5.5@low", "text", 100) is None


def test_nothing_is_less_than_a_token() -> None:
    """A model that writes much less than expected still writes something."""
    seen = Outputs()
    for _ in range(FEW):
        seen.pair(LUNA, "text", 500, 10)
    found = seen.expected(LUNA, "text", 40)
    assert found is not None
    assert found.tokens == 1


def test_the_interval_holds_what_it_promises() -> None:
    """Of 2,000 samples of 20, about 95% have the truth inside their interval."""
    chance = random.Random(3)
    inside = 0
    for _ in range(2000):
        tally = Tally()
        for _ in range(20):
            tally.add(chance.expovariate(1 / 200))
        inside += abs(1000 * tally.mean - 200_000) <= spread({1: (1000.0, tally)})
    assert 0.90 <= inside / 2000 <= 0.97


ENTRY = {
    "version": 1,
    "arm": "second",
    "outcome": "answered",
    "kind": "text",
    "model": "gpt-5.6-luna",
    "effort": "low",
    "usage": {"output_tokens": 60},
    "routed": {"published_tokens": 50},
}


@pytest.mark.parametrize(
    ("change", "learned"),
    [
        pytest.param({}, True, id="a second answer"),
        pytest.param({"arm": "routed"}, True, id="a routed answer"),
        pytest.param({"arm": "baseline"}, False, id="the baseline's own"),
        pytest.param({"arm": "pinned"}, False, id="a model the call named"),
        pytest.param({"outcome": "failed"}, False, id="failed"),
        pytest.param({"usage": None}, False, id="no usage"),
        pytest.param({"routed": None}, False, id="nothing to hold it against"),
        pytest.param({"usage": []}, False, id="a line that is none"),
    ],
)
def test_what_is_learned_from_a_log(change: dict[str, Any], learned: bool, tmp_path: Path) -> None:
    """Answers of routed models are learned from, and broken lines left out."""
    line = json.dumps({**ENTRY, **change}, separators=(",", ":"))
    (tmp_path / "log").write_text(f"{line}\n" * FEW + line[:40] + '\n{"arm":"second"}\nno line\n')
    seen = Outputs()
    seen.learn_from(str(tmp_path / "log"))
    assert (seen.expected(LUNA, "text", 50) is not None) is learned


def test_configuration() -> None:
    """A model and its effort in one word."""
    assert configuration("gpt-5.6-luna", "low") == LUNA
    assert configuration("gpt-4o", None) == "gpt-4o"


def test_a_log_that_is_not_there() -> None:
    """What cannot be read is refused when the router is made."""
    with pytest.raises(PolicyError) as caught:
        Router(mode="shadow", observed="/nowhere/log.jsonl")
    expected = "observed='/nowhere/log.jsonl': No such file or directory. Name a decision log."
    assert str(caught.value) == expected
