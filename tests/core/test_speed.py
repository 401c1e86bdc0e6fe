"""Time: what is predicted of a published class, what is learned from calls, and how sure either is."""

from __future__ import annotations

import math
from random import Random
from typing import Any

import pytest
from core_support import CATALOG

from routed_llm.catalog.model import Speed
from routed_llm.decide.speed import (
    SPREAD_SAID,
    Pace,
    ends_within,
    expected_seconds,
    medians,
    pace_of,
    time_line,
)
from routed_llm.ledger.speeds import SpeedLearner
from routed_llm.usage import Timing, Usage

LUNA = CATALOG.get("gpt-5.6-luna")
ALL = [model for model in CATALOG if model.pool == "default"]


def learned(calls: list[tuple[Usage, Timing]], *, every: float = 1.0) -> tuple[SpeedLearner, Pace]:
    """Learn from calls of gpt-5.6-luna, one after another."""
    learner = SpeedLearner()
    for at, (usage, timing) in enumerate(calls):
        learner.learn(LUNA, "standard", usage, timing, at=at * every)
    return learner, learner.paces["gpt-5.6-luna", "standard"]


@pytest.mark.parametrize("model", ALL, ids=[model.id for model in ALL])
def test_every_model_of_the_default_pool_has_a_class(model: Any) -> None:
    """What may be chosen by default has a published class with its source and day."""
    assert model.speed is not None
    assert model.speed.source
    assert model.speed.verified is not None


ORDINARY = [
    # configuration, thinking, said, first and whole seconds as users and recordings report them, at most
    ("gpt-4o", 0, 211, 1.5, 5.0),
    ("gpt-5.6-luna", 70, 211, 1.6, 3.0),
    ("gpt-5.1", 0, 300, 1.5, 6.0),
    ("gpt-5", 710, 211, 12.0, 15.0),
    ("gpt-5.4-nano", 3_357, 211, 24.0, 26.0),
]


@pytest.mark.parametrize(
    ("model", "thinking", "said", "first", "whole"), ORDINARY, ids=[r[0] for r in ORDINARY]
)
def test_ordinary_calls(model: str, thinking: int, said: int, first: float, whole: float) -> None:
    """A short prompt is answered about as quickly as is reported of such calls."""
    found = expected_seconds(pace_of(CATALOG.get(model).speed), 500, thinking, said)
    assert first / 2 < found.first <= first
    assert whole / 2 < found.whole <= whole
    assert found.source == "published class"


@pytest.mark.parametrize("thinking", [0, 70, 3_000])
@pytest.mark.parametrize("uncached", [0, 100_000])
def test_what_comes_later_is_later(thinking: int, uncached: int) -> None:
    """Percentiles and ends are in order, and more of anything takes longer."""
    pace = pace_of(LUNA.speed)
    found = expected_seconds(pace, uncached, thinking, 211)
    assert 0 < found.first <= found.first_p90 <= found.whole_p90
    assert found.first <= found.whole <= found.whole_p90
    assert expected_seconds(pace, uncached + 1_000, thinking, 211).first > found.first
    assert expected_seconds(pace, uncached, thinking + 100, 211).first > found.first
    assert expected_seconds(pace, uncached, thinking, 300).whole > found.whole


def test_medians_are_a_straight_line() -> None:
    """What choices compare grows by the same for each token."""
    pace = Pace(start=1.0, per_input=1e-5, per_second=100.0)
    assert medians(pace, 0, 50, 100) == (1.5, 2.5)
    assert medians(pace, 100_000, 50, 100) == (2.5, 3.5)


def test_percentiles_of_a_sum() -> None:
    """Nine of ten draws of the parts come within the 90th percentile, to a point."""
    pace, random = Pace(start=1.0, per_input=0, per_second=50.0), Random(7)
    found = expected_seconds(pace, 0, 0, 200)
    said = 200 * math.exp(-(SPREAD_SAID**2) / 2)  # in the median
    within = sum(
        random.lognormvariate(0, pace.spread_start)
        + said * random.lognormvariate(0, SPREAD_SAID) / 50 * random.lognormvariate(0, pace.spread_rate)
        <= found.whole_p90
        for _ in range(20_000)
    )
    assert within / 20_000 == pytest.approx(0.9, abs=0.01)


@pytest.mark.parametrize(
    ("tier", "start", "rate"), [("priority", 0.8, 1.5), ("ultrafast", 0.8, 6.0), ("batch", 1.0, 1.0)]
)
def test_tiers(tier: str, start: float, rate: float) -> None:
    """A tier that is sold as quicker is expected to be."""
    speed = Speed(start=1.0, per_input=1e-5, per_second=100.0)
    assert pace_of(speed, tier)[:3] == pytest.approx((start, 1e-5, 100.0 * rate))


def test_what_is_said_quickly_is_what_is_worked_out() -> None:
    """Whether an answer is in time is the same by bounds as by the percentile, and often known by bounds."""
    chance = Random(5)
    said = 0
    for _ in range(5_000):
        spreads = [chance.choice((0.05, 0.3, 0.45, 0.9, 2.0, 3.0)) for _ in range(2)]
        pace = Pace(
            chance.uniform(0, 5), 30e-6, chance.uniform(5, 400), *spreads, wait=chance.choice((0.0, 0.0, 3.0))
        )
        pace = pace._replace(start=pace.start + pace.wait)
        work = (chance.choice((0, 500, 200_000)), chance.choice((0, 70, 4_000)), chance.choice((0, 9, 900)))
        whole = expected_seconds(pace, *work).whole_p90
        for most in (whole * chance.uniform(0.1, 4), whole * 1.0001, whole * 0.9999):
            quick = ends_within(most, time_line(pace, *work[1:]), work[0])
            assert quick in (None, whole <= most)
            said += quick is not None
    assert said > 500


def test_a_slow_provider_is_learned() -> None:
    """Streams that begin three times as late move the start there, and leave the rate alone."""
    usage = Usage(input_tokens=100, output_tokens=200)
    _, pace = learned([(usage, Timing(first=2.1))] * 60)
    assert pace.start == pytest.approx(2.1, rel=0.15)
    assert pace.per_second == pytest.approx(200)
    assert pace.calls > 40


def test_a_slow_rate_is_learned_from_answers_that_came_whole() -> None:
    """Long answers that take ten seconds show a lower rate."""
    usage = Usage(input_tokens=100, output_tokens=1_000)
    _, pace = learned([(usage, Timing(whole=10.0))] * 60)
    assert pace.per_second == pytest.approx(1_000 / 9.3, rel=0.15)
    assert pace.start == pytest.approx(0.7)


def test_thinking_is_not_taken_for_a_slow_start() -> None:
    """A stream that begins late since much was thought says nothing of the start."""
    usage = Usage(input_tokens=100, output_tokens=1_200, reasoning_tokens=1_000)
    _, pace = learned([(usage, Timing(first=5.7))] * 60)
    assert pace.start == pytest.approx(0.7, rel=0.1)


@pytest.mark.parametrize(
    ("after", "moves"), [(0.3, False), (30.0, True)], ids=["too early to tell", "long after"]
)
def test_a_call_that_was_given_up_is_not_forgotten(after: float, moves: bool) -> None:
    """That nothing had come after long is known; that nothing had come at once says nothing."""
    learner = SpeedLearner()
    usage = Usage(input_tokens=100, output_tokens=200)
    timing = Timing(first=after, is_censored=True)
    assert learner.learn(LUNA, "standard", usage, timing, at=0.0) is moves


def test_yesterday_counts_little() -> None:
    """After some hours what was measured gives way to the published class and to what is measured now."""
    slow = (Usage(input_tokens=100, output_tokens=200), Timing(first=7.0))
    good = (Usage(input_tokens=100, output_tokens=200), Timing(first=0.7))
    learner, _ = learned([slow] * 30)
    learner.learn(LUNA, "standard", *good, at=30 + 6 * 3_600)
    assert learner.paces["gpt-5.6-luna", "standard"].start < 0.9


def test_one_call_changes_little() -> None:
    """A single late answer does not make a configuration look slow for good."""
    _, pace = learned([(Usage(input_tokens=100, output_tokens=200), Timing(first=7.0))])
    assert 0.7 < pace.start < 0.7 * math.sqrt(10)


def test_nothing_to_learn_of_a_stream_that_never_began() -> None:
    """A timing without times changes nothing."""
    assert not SpeedLearner().learn(LUNA, "standard", Usage(), Timing(), at=0.0)
