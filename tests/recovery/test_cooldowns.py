"""When models are left alone, and for how long."""

from __future__ import annotations

from routed_llm import Cooldowns


def test_the_third_failure_in_a_row() -> None:
    """Two failures are chance; the third takes a model out, and each one more doubles the time."""
    cooldowns = Cooldowns()
    out = [cooldowns.failed("a", "why", now=0.0) for _ in range(12)]
    assert out == [0, 0, 2, 4, 8, 16, 32, 64, 120, 120, 120, 120]
    assert cooldowns.cooling(119.9) == {"a": "why"}
    assert cooldowns.cooling(120.0) == {}


def test_half_open() -> None:
    """When its time is over, a single failure takes a model out again; an answer makes it well."""
    cooldowns = Cooldowns()
    for _ in range(3):
        cooldowns.failed("a", "why", now=0.0)
    assert cooldowns.cooling(2.0) == {}
    assert cooldowns.failed("a", "why", now=2.0) == 4
    cooldowns.answered("a")
    assert cooldowns.cooling(2.0) == {}
    assert cooldowns.failed("a", "why", now=2.0) == 0


def test_what_the_provider_asks_for() -> None:
    """The provider's own time counts at once, up to the longest, and a shorter one never cuts it."""
    cooldowns = Cooldowns(most=60)
    assert cooldowns.failed("a", "late", now=0.0, seconds=30) == 30
    assert cooldowns.failed("a", "soon", now=0.0, seconds=5) == 5
    assert cooldowns.cooling(29.0) == {"a": "late"}
    assert cooldowns.failed("b", "never", now=0.0, seconds=10**6) == 60


def test_models_are_apart() -> None:
    """One model's failures say nothing about another's; forgetting forgets all."""
    cooldowns = Cooldowns(threshold=1)
    cooldowns.failed("a", "why", now=0.0)
    cooldowns.answered("b")
    assert set(cooldowns.cooling(1.0)) == {"a"}
    cooldowns.clear()
    assert cooldowns.cooling(1.0) == {}
