"""Speed: how long a configuration is expected to keep a caller waiting. Pure.

To the first token it takes a start, the reading of what no cache holds, and the thinking; from there to the
end what is said takes its time. Thinking and speed stay apart: how much is thought is learned with tokens.

    first = start + per_input * uncached + thinking / per_second
    whole = first + said / per_second

Each part varies from call to call, by a factor rather than by an amount, so that medians and the 90th
percentile are those of a sum of log-normal parts, taken as log-normal itself (Fenton-Wilkinson).
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, NamedTuple

from routed_llm.decision import Seconds

if TYPE_CHECKING:
    from collections.abc import Mapping

    from routed_llm.catalog.model import Speed

__all__ = [
    "PATIENT",
    "WINDOWS",
    "Pace",
    "TimeLine",
    "about",
    "ends_within",
    "expected_seconds",
    "medians",
    "pace_of",
    "patient",
    "time_line",
]

UNKNOWN_START = 1.0
UNKNOWN_PER_INPUT = 30e-6
UNKNOWN_PER_SECOND = 80.0
"""What is expected of a model of which nothing is published, in the middle of what is."""

SPREAD_START = 0.45
SPREAD_RATE = 0.3
SPREAD_THOUGHT = 0.7
SPREAD_SAID = 0.4
"""Standard deviations of the logarithms. Start: gpt-4o's first token took 2.5 times the median at the 95th
percentile, gpt-5.2's and gpt-5.1's twice (kwindla/aiewf-eval, README of 2026-08-18). Thinking: 25 answers of
gpt-5.6-luna and -terra at effort low spent 0.3 to 2.6 times their mean (petergpt/bullshit-benchmark, second
set). Rate: this project's own reading of speeds that differ by half from day to day. What is said: its own,
too; answers of whole traces differ by 0.9, but of a kind of request and its cap some of that is known."""

_TIERS: Mapping[str, tuple[float, float]] = {
    "priority": (0.8, 1.5),
    "ultrafast": (0.8, 6.0),
    "flex": (4.0, 0.7),
}
"""Tier to the factor on the start and on the rate. Priority: "up to 2.5x" (OpenAI's guide to fast mode,
2026-11), of which an ordinary call is expected to see a part; ultrafast: "up to 8x" (guides/ultrafast-mode);
flex: slower, by how much is not published."""

WINDOWS: Mapping[str, int] = {
    "flex": 900,
    "background_2h": 7_200,
    "background_8h": 28_800,
    "batch": 86_400,
}
"""Tier to the seconds within which an answer is to be expected. Batch: its one completion window; background:
the windows of guides/background (2026-11); flex: the timeout in the example of guides/flex-processing."""

PATIENT = frozenset(WINDOWS)
"""Tiers at which nobody waits for an answer."""

_P90 = 1.2815515655446004


class Pace(NamedTuple):
    """How quick a configuration is.

    Attributes:
        start: seconds to a first token where nothing is read and nothing thought, in the median.
        per_input: seconds for each input token that no cache holds.
        per_second: output tokens a second, in the median.
        spread_start: standard deviation of the logarithm of what comes before the first token.
        spread_rate: the same of the rate.
        calls: how many calls it was learned from; 0 for a published class.
        wait: seconds, of ``start``, that a request waits in line before it is sent: they do not vary.
    """

    start: float = UNKNOWN_START
    per_input: float = UNKNOWN_PER_INPUT
    per_second: float = UNKNOWN_PER_SECOND
    spread_start: float = SPREAD_START
    spread_rate: float = SPREAD_RATE
    calls: int = 0
    wait: float = 0.0


def pace_of(speed: Speed | None, tier: str = "standard") -> Pace:
    """Return what is published of a model's speed, as it is at a service tier."""
    start, rate = _TIERS.get(tier, (1.0, 1.0))
    if speed is None:
        return Pace(UNKNOWN_START * start, UNKNOWN_PER_INPUT, UNKNOWN_PER_SECOND * rate)
    return Pace(speed.start * start, speed.per_input, speed.per_second * rate)


def patient(tier: str, *, background: bool = False) -> bool:
    """Say whether nobody waits for the answer."""
    return background or tier in PATIENT


def medians(pace: Pace, uncached: int, thinking: float, said: float) -> tuple[float, float]:
    """Return the sums of the medians of the parts, to the first token and to the end: quick to work out.

    They are straight lines in the number of tokens, and what choices compare.
    """
    first = pace.start + pace.per_input * uncached + thinking / pace.per_second
    return first, first + said / pace.per_second


def expected_seconds(pace: Pace, uncached: int, thinking: float, said: float) -> Seconds:
    """Predict how long an answer takes.

    Args:
        pace: of the configuration.
        uncached: input tokens that no cache holds.
        thinking: reasoning tokens expected before the answer.
        said: tokens of the answer itself.

    Returns:
        The medians and 90th percentiles, none of them less than the one before it.
    """
    before = (pace.start - pace.wait + pace.per_input * uncached, pace.spread_start)
    # How much is thought and said varies, and how quickly it is. What is expected is the mean, and half of
    # the calls think and say less.
    thought = (_HALF_THINK * thinking / pace.per_second, math.hypot(SPREAD_THOUGHT, pace.spread_rate))
    spoken = (_HALF_SAY * said / pace.per_second, math.hypot(SPREAD_SAID, pace.spread_rate))
    first, first_p90 = _sum(before, thought)
    whole, whole_p90 = _sum(before, thought, spoken)
    source = f"{pace.calls} calls" if pace.calls else "published class"
    whole = max(whole, first)
    whole_p90, wait = max(whole_p90, first_p90, whole), pace.wait
    return Seconds(first + wait, first_p90 + wait, whole + wait, whole_p90 + wait, source)


class TimeLine(NamedTuple):
    """The sum of a configuration's medians, a straight line in what it reads, and what it bounds.

    Attributes:
        fixed: seconds where nothing is read.
        per_input: for each token that no cache holds.
        wait: seconds that the request waits in line, besides.
        times: nine of ten answers end in at most so many times the sum; None where that is not known.
        is_known: whether they take at least as long as the sum.
    """

    fixed: float
    per_input: float
    wait: float
    times: float | None
    is_known: bool


def time_line(pace: Pace, thinking: float, said: float) -> TimeLine:
    """Return the sum of the medians of the parts; see :func:`expected_seconds`."""
    usual = pace.spread_start <= SPREAD_START and pace.spread_rate <= SPREAD_RATE
    fixed = pace.start - pace.wait + (thinking + said) / pace.per_second
    is_known = pace.spread_start <= _WIDEST and pace.spread_rate <= _WIDEST
    return TimeLine(fixed, pace.per_input, pace.wait, _AT_MOST if usual else None, is_known)


def ends_within(most: float, line: TimeLine, uncached: int) -> bool | None:
    """Say quickly whether nine of ten answers end in so many seconds; None where that has to be worked out.

    The 90th percentile of the sum lies above the sum of the medians, and below a multiple of it that follows
    from the spreads.
    """
    fixed, per_input, wait, times, is_known = line
    if not is_known:
        return None
    least, left = fixed + per_input * uncached, most - wait
    if least > left:
        return False
    return True if times is not None and least * times < left else None


def about(seconds: float) -> str:
    """Write a time as a colleague says it: ``0.7 s``, ``24 s``, ``3 min``, ``8 h``."""
    if seconds >= 7_200:
        return f"{seconds / 3_600:.0f} h"
    if seconds >= 100:
        return f"{seconds / 60:.0f} min"
    return f"{seconds:.0f} s" if seconds >= 3 else f"{max(seconds, 0.1):.1f} s"


_HALF_THINK = math.exp(-SPREAD_THOUGHT * SPREAD_THOUGHT / 2)
_HALF_SAY = math.exp(-SPREAD_SAID * SPREAD_SAID / 2)
"""The medians of what is thought and said, for each token of the mean."""

_WIDEST = 2.0
_USUAL = math.hypot(SPREAD_THOUGHT, SPREAD_RATE)
_AT_MOST = 1.001 * math.exp(_P90 * _USUAL)
"""The 90th percentile of a sum is at most so many medians: no sum spreads wider than its widest part, and it
grows with the spread, up to one of 1.28."""


def _sum(*parts: tuple[float, float]) -> tuple[float, float]:
    """Return median and 90th percentile of a sum of log-normal parts, each a median and a spread."""
    mean = variance = 0.0
    for median, spread in parts:
        if median > 0:
            square = spread * spread
            one = median * math.exp(square / 2)
            mean += one
            variance += one * one * math.expm1(square)
    if mean <= 0:
        return 0.0, 0.0
    square = math.log1p(variance / (mean * mean))
    middle = mean * math.exp(-square / 2)
    return middle, middle * math.exp(_P90 * math.sqrt(square))
