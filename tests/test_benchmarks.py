"""The short form of the benchmarks that compare answers: they find no difference, and can find one."""

from __future__ import annotations

from collections import Counter
from datetime import date
from typing import Any

import pytest

from benchmarks.decision import boundary, columns, hostile
from benchmarks.tokens import fuzz
from routed_llm import Policy
from routed_llm.batch import Planner
from routed_llm.tokens import text as counters

TODAY = date(2026, 11, 22)


def test_decisions_near_boundaries() -> None:
    """Within three tokens of a boundary every decision is that of a full count."""
    seen: Counter[str] = Counter()
    assert list(boundary.differing(60, seed=5, most=140_000, seen=seen)) == []
    assert seen["within three tokens"] > 50


def test_a_wrong_count_shows(monkeypatch: pytest.MonkeyPatch) -> None:
    """A counter that is off by three tokens gives decisions that differ."""
    honest = counters.TiktokenCounter.count
    monkeypatch.setattr(
        counters.TiktokenCounter, "count", lambda self, texts: [n + 3 for n in honest(self, texts)]
    )
    found = list(boundary.differing(40, seed=5, most=140_000, seen=Counter()))
    assert found


def test_fuzzed_strings() -> None:
    """Every counter gives tiktoken's count of random strings."""
    assert list(fuzz.wrong(2_400, 5, Counter())) == []


def test_a_counter_without_its_guard_shows(monkeypatch: pytest.MonkeyPatch) -> None:
    """Without the guard, toktok's counts of what it is known to get wrong differ."""
    pytest.importorskip("toktok", reason="Install it with: pip install 'routed-llm[fast]'")
    monkeypatch.setattr(counters, "_toktok_agrees", lambda text: True)
    assert {name for name, *_ in fuzz.wrong(2_400, 5, Counter())} >= {"toktok"}


def test_hostile_texts() -> None:
    """No decision on a hostile text is wrong, and none raises."""
    wrong, _ = hostile.attack(30_000, 1)
    assert wrong == 0


@pytest.mark.parametrize(
    "policy", [Policy(), Policy(at_least=None, max_cost_per_call="0.01")], ids=["default", "cap"]
)
def test_columns(policy: Any) -> None:
    """Rows of a table are decided as single requests are."""
    assert columns.differing(Planner(at=TODAY, policy=policy), columns.requests(400, 5)) == 0
