"""Bounds that hold at every moment: how often they do, also under drift, and how near they come."""

from __future__ import annotations

import random
from collections.abc import Callable

import pytest

from routed_llm.rollout.bounds import Evidence, bounds

Stream = Callable[[random.Random, int], tuple[float, float]]
"""Gives a value and what was to be expected of it."""


def steady(mean: float, apart: float) -> Stream:
    """Pairs of which a part differ."""

    def value(rng: random.Random, at: int) -> tuple[float, float]:
        draw = rng.random()
        return (1.0 if draw < (apart + mean) / 2 else -1.0 if draw < apart else 0.0), mean

    return value


def drifting(rng: random.Random, at: int) -> tuple[float, float]:
    """Pairs that turn worse by and by."""
    mean = 0.02 - 0.15 * min(at / 600, 1)
    return steady(mean, 0.2)(rng, at)[0], mean


def graded(rng: random.Random, at: int) -> tuple[float, float]:
    """Small differences of graded scores."""
    return rng.uniform(-0.2, 0.1), -0.05


STREAMS = [
    ("hardly any pair differs", steady(0.0, 0.02)),
    ("a tenth differ", steady(-0.01, 0.1)),
    ("all differ", steady(0.1, 1.0)),
    ("drift", drifting),
    ("graded", graded),
]


@pytest.mark.parametrize("stream", [c[1] for c in STREAMS], ids=[c[0] for c in STREAMS])
def test_bounds_hold_at_every_moment(stream: Stream) -> None:
    """In at least 95 % of 100 runs a bound of 90 % is never left, whenever one looks."""
    left = 0
    for seed in range(100):
        rng, seen, expected, out = random.Random(seed), Evidence(), 0.0, False
        for at in range(1, 801):
            value, mean = stream(rng, at)
            seen, expected = seen.and_value(value), expected + mean
            if at < 20 or at % 40 == 0:
                low, high = bounds(seen, 0.1)
                out = out or not low <= expected / at <= high
        left += out
    assert left <= 0.05 * 100


def test_bounds_are_not_idle() -> None:
    """Where a tenth of the pairs differ, 5,000 show the mean to within two points."""
    rng, seen = random.Random(1), Evidence()
    for at in range(5000):
        seen = seen.and_value(steady(0.0, 0.1)(rng, at)[0])
    low, high = bounds(seen, 0.05)
    assert high - low < 0.04


def test_evidence_of_several_processes_adds_up() -> None:
    """Halves that were seen apart give about the bounds of the whole."""
    rng = random.Random(2)
    values = [rng.choice((-1.0, 0.0, 0.0, 1.0)) for _ in range(400)]
    whole, halves = Evidence(), [Evidence(), Evidence()]
    for at, value in enumerate(values):
        whole, halves[at % 2] = whole.and_value(value), halves[at % 2].and_value(value)
    assert halves[0].plus(halves[1])[:2] == pytest.approx(whole[:2])
    assert bounds(halves[0].plus(halves[1]), 0.05) == pytest.approx(bounds(whole, 0.05), abs=0.01)


def test_nothing_seen_says_nothing() -> None:
    """Without a value the mean may be anything."""
    assert bounds(Evidence(), 0.05) == (-1.0, 1.0)
