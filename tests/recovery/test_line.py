"""Calls that come all at once under rate limits that nobody knows: the real driver, on simulated time."""

from __future__ import annotations

from typing import Any

import pytest

from benchmarks.capacity import spread
from routed_llm.calls import router as routers

LIMITS = {"gpt-4.1-mini": (20_000, 50), "gpt-5.4-mini": (50_000, 50), "gpt-4.1": (30_000, 50)}
"""A tenth of what `benchmarks.capacity.spread` takes."""


@pytest.fixture(autouse=True)
def _small(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(spread, "LIMITS", LIMITS)
    monkeypatch.setattr(routers, "monotonic", routers.monotonic)  # put back in the end


SPREAD: list[Any] = [
    # seconds, whether all models are needed, what the policy wants besides
    pytest.param(70.0, True, {}, id="in a hurry"),
    pytest.param(1_800.0, False, {}, id="with time"),
    pytest.param(None, True, {}, id="no deadline"),
]


@pytest.mark.parametrize(("deadline", "all_models", "wish"), SPREAD)
def test_calls_at_once_are_spread(deadline: float | None, all_models: bool, wish: dict[str, Any]) -> None:
    """None is refused or lost, or late by a twentieth; those that would be go to another model."""
    wanted = spread.calls(200)
    world = spread.routed(wanted, deadline, **wish)
    assert (world.refused, world.failed) == (0, 0)
    assert sum(world.served.values()) == 200
    assert (len(world.served) > 1) == all_models
    if deadline is not None:
        assert world.ended <= 1.05 * deadline


@pytest.mark.parametrize("wish", [{}, {"optimize": "latency"}], ids=["cheapest", "quickest"])
def test_calls_that_may_wait_use_nearly_all_that_there_is(wish: dict[str, Any]) -> None:
    """Without a deadline no schedule, whatever it knows, sends them an eighth sooner."""
    wanted = spread.calls(300)
    world = spread.routed(wanted, None, **wish)
    assert (world.refused, world.failed) == (0, 0)
    assert spread.best(wanted, None).least / world.sent > 0.88


def test_the_clairvoyant_schedule_can_be_kept() -> None:
    """The provider refuses none of it, and it takes as long as the linear program says."""
    wanted = spread.calls(200)
    for deadline in (None, 90.0):
        world = spread.clairvoyant(wanted, deadline)
        found = world.sent if deadline is None else world.dollars
        assert world.refused == 0
        assert found == pytest.approx(spread.best(wanted, deadline).least, rel=0.05)


def test_others_are_refused() -> None:
    """Reactive fallback meets refusals, so that there is something to avoid."""
    assert spread.reactive(spread.calls(200)).refused > 100
