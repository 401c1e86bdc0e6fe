"""How quick models have been: what was measured of calls, shrunk towards what is published.

A model is as quick at all of its efforts: they differ in how much is thought, which is learned apart. So a
slow day that is seen at one effort is known of at the others.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from routed_llm.decide.speed import Pace, pace_of

if TYPE_CHECKING:
    from routed_llm.catalog.model import Model
    from routed_llm.usage import Timing, Usage

__all__ = ["SpeedLearner"]

_PRIOR = 3.0
"""Calls that the published class counts for against what is measured."""

_HALF_CALLS = 30.0
_HALF_SECONDS = 3600.0
"""Calls, and seconds, after which what was measured counts half: providers have good and bad days."""

_FEW = 30
"""Output tokens below which an answer that came whole says more of its start than of its rate."""

_PUBLISH = 0.05
"""Change of a logarithm below which the value stays the same, so that choices do not flicker."""
_LEAST, _MOST_CHANGE = math.exp(-_PUBLISH), math.exp(_PUBLISH)

_MOST = 4.0
"""Logarithm of the largest factor that one call may show: a laptop that slept is not a slow model."""

_KEYS = 512


class _Residual:
    """Running mean and spread of a logarithm around what was expected, which counts for some calls."""

    __slots__ = ("noise", "square", "total", "weight")

    def __init__(self) -> None:
        self.total = self.square = self.noise = self.weight = 0.0

    def fade(self, share: float) -> None:
        self.total *= share
        self.square *= share
        self.noise *= share
        self.weight *= share

    def add(self, value: float, noise: float) -> None:
        """Count a value; ``noise`` is the deviation that other parts of the time account for."""
        value = min(max(value, -_MOST), _MOST)
        self.total += value
        self.square += value * value
        self.noise += min(noise * noise, value * value)
        self.weight += 1.0

    @property
    def mean(self) -> float:
        return self.total / (self.weight + _PRIOR)

    def spread(self, prior: float) -> float:
        """Return the standard deviation, the prior's counted as so many calls around the mean."""
        middle = self.total / self.weight if self.weight else 0.0
        around = max(self.square - self.noise - self.weight * middle * middle, 0.0)
        return math.sqrt((around + _PRIOR * prior * prior) / (self.weight + _PRIOR))


class _Measured:
    __slots__ = ("at", "calls", "prior", "rate", "shown", "start")

    def __init__(self, prior: Pace) -> None:
        self.prior = prior
        self.start, self.rate = _Residual(), _Residual()
        self.calls = 0
        self.at: float | None = None
        self.shown: tuple[float, float, float, float] | None = None

    def fade(self, at: float, *, calls: int) -> None:
        """Let what was seen before weigh less, by the time and the calls since."""
        passed = 0.0 if self.at is None else max(at - self.at, 0.0)
        share = 0.5 ** (calls / _HALF_CALLS + passed / _HALF_SECONDS)
        for one in (self.start, self.rate):
            one.fade(share)
        self.at = at


class SpeedLearner:
    """Learns from timings; not safe to share between threads by itself.

    ``paces`` is what has been learned, as a value that is replaced and never changed.
    """

    def __init__(self) -> None:
        self.paces: dict[tuple[str, str], Pace] = {}
        self._known: dict[tuple[str, str], _Measured] = {}

    def learn(self, model: Model, tier: str, usage: Usage, timing: Timing, *, at: float) -> bool:
        """Take in how long one call took.

        Args:
            model: what answered.
            tier: the service tier that was asked for.
            usage: what the provider reported; of a call that was given up, what it was expected to use.
            timing: what was measured.
            at: when, in seconds of a clock that only moves forward.

        Returns:
            Whether :attr:`paces` has changed.
        """
        key = (model.id, tier)
        mine = self._known.get(key)
        if mine is None:
            if len(self._known) >= _KEYS:
                del self._known[next(iter(self._known))]
            mine = self._known[key] = _Measured(pace_of(model.speed, tier))
        lesson = _lesson(mine, usage, timing)
        if lesson is None:
            return False
        residual, value, noise = lesson
        mine.fade(at, calls=1)
        residual.add(value, noise)
        mine.calls += 1
        return self._publish(key, mine)

    def wait(self, at: float) -> None:
        """Let what was learned fade until a moment, with no call in between."""
        for key, mine in self._known.items():
            mine.fade(at, calls=0)
            self._publish(key, mine)

    def _publish(self, key: tuple[str, str], mine: _Measured) -> bool:
        prior = mine.prior
        slower, quicker = mine.start.mean, mine.rate.mean
        start, rate = mine.start.spread(prior.spread_start), mine.rate.spread(prior.spread_rate)
        if mine.shown is not None:
            slower_before, quicker_before, start_before, rate_before = mine.shown
            if (
                abs(slower - slower_before) <= _PUBLISH
                and abs(quicker - quicker_before) <= _PUBLISH
                and _LEAST <= start / start_before <= _MOST_CHANGE
                and _LEAST <= rate / rate_before <= _MOST_CHANGE
            ):
                return False
        mine.shown = (slower, quicker, start, rate)
        factor = math.exp(slower)
        pace = Pace(
            start=prior.start * factor,
            per_input=prior.per_input * factor,
            per_second=prior.per_second * math.exp(quicker),
            spread_start=start,
            spread_rate=rate,
            calls=mine.calls,
        )
        self.paces = {name: kept for name, kept in self.paces.items() if name in self._known} | {key: pace}
        return True


def _lesson(mine: _Measured, usage: Usage, timing: Timing) -> tuple[_Residual, float, float] | None:
    """Say which part of the prediction a call speaks of, by what logarithm it was off, and its noise."""
    prior = mine.prior
    per_second = prior.per_second * math.exp(mine.rate.mean)
    before = prior.start + prior.per_input * max(usage.input_tokens - usage.cached_tokens, 0)
    waits = before * math.exp(mine.start.mean)
    took, tokens = timing.first, usage.reasoning_tokens
    if took is None:
        if timing.whole is None:
            return None
        took, tokens = timing.whole, usage.output_tokens
    writes = tokens / per_second
    if timing.first is not None or tokens < _FEW:
        noise = writes * mine.rate.spread(prior.spread_rate) / waits
        return _unless_early(timing, mine.start, _log(took - writes, took, before), noise)
    noise = waits * mine.start.spread(prior.spread_start) / writes
    slow = _log(took - waits, took, tokens / prior.per_second)
    return _unless_early(timing, mine.rate, -slow, noise, slow)


def _unless_early(
    timing: Timing, residual: _Residual, value: float, noise: float, slowness: float | None = None
) -> tuple[_Residual, float, float] | None:
    """Leave out a call that was given up before it was late: it shows nothing."""
    slowness = value if slowness is None else slowness
    if timing.is_censored and slowness <= 0:
        return None
    return residual, value, noise


def _log(part: float, whole: float, expected: float) -> float:
    # What is left of a time after the other parts are taken off may be next to nothing; a tenth of it is the
    # least that is believed.
    return math.log(max(part, whole / 10, 1e-3) / max(expected, 1e-6))
