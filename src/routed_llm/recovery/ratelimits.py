"""RateLimits: what providers said of the requests and tokens that they still take, before they refuse one.

The ``x-ratelimit-*`` headers of every answer describe a bucket for requests and one for tokens, which refill
evenly: in 952 recorded answers of 12 public test suites (looked at on 2026-11-29) the time until the bucket
is full is what was used of it, at the rate of its limit; in the median to the millisecond. So what is left at
any later moment can be reckoned, less what has been sent since.
"""

from __future__ import annotations

import re
import threading
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Final, NamedTuple, TypeAlias

__all__ = ["BURST", "PATIENCE", "Heard", "Mark", "RateLimits", "Ticket", "Unit"]

PATIENCE: Final = 0.5
"""Seconds that are waited for room at the model that was chosen before another one is."""

BURST: Final = 16.0
"""Requests that are sent at once to a model of whose limits nothing is known, and then each second."""

_LEAST: Final = 0.01
"""Seconds that are waited at least before a request looks again."""
_DUST: Final = 1e-6
"""What is lacking by rounding."""
_NONE: Final[Mapping[str, float]] = MappingProxyType({})
_UNITS: Final[Mapping[str, float]] = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0, "d": 86_400.0}
_PART: Final = re.compile(r"(\d+(?:\.\d+)?)(ms|[smhd])")
_MINUTE: Final = 60.0
_MOST_WAIT: Final = 600.0
"""Seconds beyond which a reset is taken as these: a model must not be lost to a false header."""
_FORGET: Final = 120.0
"""Seconds after which what an answer said is no longer gone by: by then a bucket of a minute is full."""


class Mark(NamedTuple):
    """What had been sent to a model, all told, when a request was: its answer speaks of that moment.

    Attributes:
        requests: requests, this one included.
        tokens: tokens, this one's included.
    """

    requests: int
    tokens: int


_NOTHING: Final = Mark(0, 0)


@dataclass(slots=True, eq=False)
class Ticket:
    """A request's place in the line of its model.

    Attributes:
        model: catalog id.
        tokens: what the request counts for.
        credential: whose limits they are.
        place: a number that grows along the line.
        mark: what had been sent when it was; None while it waits.
        is_guess: whether nothing is known of the limits that it waits for.
    """

    model: str
    tokens: int
    credential: str
    place: int = 0
    mark: Mark | None = None
    is_guess: bool = True


Unit: TypeAlias = "tuple[float, float, float]"
"""What a limit holds, what is left of it, and what is refilled in a second."""


class Heard(NamedTuple):
    """What is known of one model and credential.

    Attributes:
        sent: what has been sent, all told.
        noted: what had been sent when the request was of whose answer this is.
        requests: the limit on requests; None where no answer has spoken of it since that was last asked.
        tokens: the same of tokens.
    """

    sent: Mark
    noted: Mark = _NOTHING
    requests: Unit | None = None
    tokens: Unit | None = None


@dataclass(slots=True)
class _Bucket:
    """What is left of one limit.

    Attributes:
        limit: what it holds when it is full.
        left: what was left at that time; below 0 where more has been sent since than it held.
        at: seconds of a clock that only moves forward.
        rate: what is refilled in a second.
    """

    limit: float
    left: float
    at: float
    rate: float

    def wait(self, amount: float, now: float) -> float:
        """Return the seconds until there is room for an amount; 0 where there is room now."""
        # More than a full bucket holds is refused at any time; that is for the provider to say.
        wanted = min(amount, self.limit)
        lacking = wanted - min(self.limit, self.left + self.rate * (now - self.at))
        return 0.0 if lacking <= _DUST else lacking / self.rate

    @property
    def unit(self) -> Unit:
        """What it holds, what was left at its time, and what is refilled in a second."""
        return self.limit, self.left, self.rate

    def take(self, amount: float, now: float) -> None:
        """Take an amount out, though it may not be there."""
        self.left = min(self.limit, self.left + self.rate * (now - self.at)) - amount
        self.at = now


@dataclass(slots=True)
class _Limits:
    """What is known of one model and credential.

    Attributes:
        sent: what has been sent, all told.
        noted: what had been sent when the request was whose answer spoke last.
        at: when that was.
        requests: what is left of the requests, or None.
        tokens: what is left of the tokens, or None.
        assumed: whether nothing has been said yet.
        said: what the last answer says that :meth:`RateLimits.heard` has not given yet.
        parts: among how many what is left is divided.
        line: what waits for room, the first first.
        waiting: what that adds up to.
        places: how many have ever waited.
    """

    sent: Mark = _NOTHING
    noted: Mark = _NOTHING
    at: float = 0.0
    requests: _Bucket | None = None
    tokens: _Bucket | None = None
    assumed: bool = False
    said: Heard | None = None
    parts: int = 1
    line: dict[int, Ticket] = field(default_factory=dict)
    waiting: Mark = _NOTHING
    places: int = 0

    def forget(self, now: float) -> None:
        """Take what was said too long ago as over: no false header may hold a model back for good."""
        if now - self.at <= _FORGET or self.assumed:
            return
        self.at = now
        for bucket in (self.requests, self.tokens):
            if bucket is not None:
                bucket.left, bucket.at = bucket.limit, now

    def wait(self, tokens: int, now: float, ahead: Mark | None = None) -> float:
        """Return the seconds until there is room for a request behind others, or behind the whole line."""
        before = self.waiting if ahead is None else ahead
        amounts = ((self.requests, before.requests + 1), (self.tokens, before.tokens + tokens))
        return max(
            [bucket.wait(amount, now) for bucket, amount in amounts if bucket is not None], default=0.0
        )

    def grant(self, now: float) -> None:
        """Let those go that have room, the first in line before the others."""
        while self.line:
            ticket = next(iter(self.line.values()))
            if self.wait(ticket.tokens, now, _NOTHING) > 0:
                return
            self.leave(ticket)
            self.sent = ticket.mark = Mark(self.sent.requests + 1, self.sent.tokens + ticket.tokens)
            for bucket, amount in ((self.requests, 1), (self.tokens, ticket.tokens)):
                if bucket is not None:
                    bucket.take(amount, now)

    def join(self, ticket: Ticket) -> None:
        """Let a request wait behind the others."""
        self.places += 1
        ticket.place = self.places
        self.line[ticket.place] = ticket
        self.waiting = Mark(self.waiting.requests + 1, self.waiting.tokens + ticket.tokens)

    def leave(self, ticket: Ticket) -> None:
        """Take a request out of the line."""
        if self.line.pop(ticket.place, None) is not None:
            self.waiting = Mark(self.waiting.requests - 1, self.waiting.tokens - ticket.tokens)

    def ahead(self, ticket: Ticket) -> Mark:
        """Return what waits before a request."""
        requests = tokens = 0
        for other in self.line.values():
            if other is ticket:
                break
            requests += 1
            tokens += other.tokens
        return Mark(requests, tokens)


class RateLimits:
    """Keeps what is left of the rate limits of a process's models. Safe to share between threads.

    It reads no clock: ``now`` is in seconds of any clock that only moves forward.

    Args:
        expected: model to the requests and tokens that it takes a minute, where that is known before any
            answer says so; None for what is not limited.
    """

    def __init__(self, expected: Mapping[str, tuple[float | None, float | None]] | None = None) -> None:
        self._lock = threading.Lock()
        self._known: dict[str, dict[str, _Limits]] = {}
        self.expect(expected or {})

    def expect(self, expected: Mapping[str, tuple[float | None, float | None]]) -> None:
        """Say what models take a minute; it holds for those that no answer has spoken of yet."""
        self._expected = dict(expected)
        self.known = bool(expected) or any(self._known.values())
        """Whether a limit of any model is known."""

    def take(self, model: str, tokens: int, now: float, *, credential: str = "") -> tuple[Ticket, float]:
        """Note that a request is to be sent, and return its ticket and the seconds until it has room.

        Requests go one after the other, in the order in which they were noted. As long as nothing is known of
        a model, :data:`BURST` requests go at once and as many each second: their answers say what it takes.

        Args:
            model: catalog id.
            tokens: what it counts for.
            now: the time.
            credential: whose limits they are.
        """
        with self._lock:
            limits = self._of(model, now, credential)
            ticket = Ticket(model, tokens, credential)
            limits.join(ticket)
            return ticket, self._turn(limits, ticket, now)

    def turn(self, ticket: Ticket, now: float) -> float:
        """Return the seconds until a request has room, about, by what is known by now; 0 to send it.

        Args:
            ticket: what :meth:`take` returned for it.
            now: the time.
        """
        with self._lock:
            return self._turn(self._of(ticket.model, now, ticket.credential), ticket, now)

    def leave(self, ticket: Ticket, now: float, *, is_sent: bool = False) -> None:
        """Take a request out of its line.

        Args:
            ticket: what :meth:`take` returned for it.
            now: the time.
            is_sent: whether it is sent all the same, though there may be no room.
        """
        with self._lock:
            limits = self._of(ticket.model, now, ticket.credential)
            if ticket.mark is None:
                limits.leave(ticket)
                if is_sent:
                    limits.sent = ticket.mark = Mark(
                        limits.sent.requests + 1, limits.sent.tokens + ticket.tokens
                    )
                    for bucket, amount in ((limits.requests, 1), (limits.tokens, ticket.tokens)):
                        if bucket is not None:
                            bucket.take(amount, now)

    @staticmethod
    def _turn(limits: _Limits, ticket: Ticket, now: float) -> float:
        limits.grant(now)
        ticket.is_guess = limits.assumed
        if ticket.mark is not None or ticket.place not in limits.line:
            return 0.0
        return max(limits.wait(ticket.tokens, now, limits.ahead(ticket)), _LEAST)

    def note(self, ticket: Ticket, headers: Mapping[str, str], now: float) -> None:
        """Note what an answer says is left; headers that are missing or make no sense say nothing.

        Args:
            ticket: what :meth:`take` returned for its request.
            headers: of the answer.
            now: the time.
        """
        mark = ticket.mark
        if mark is None:
            return
        with self._lock:
            limits = self._of(ticket.model, now, ticket.credential)
            if mark.requests < limits.noted.requests:
                return  # a later request was answered sooner
            later = Mark(limits.sent.requests - mark.requests, limits.sent.tokens - mark.tokens)
            requests = _bucket(headers, "requests", later.requests, now)
            tokens = _bucket(headers, "tokens", later.tokens, now)
            if limits.assumed:  # whoever says nothing of limits is not held back
                limits.requests, limits.tokens, limits.assumed = None, None, False
            if requests is None and tokens is None:
                return
            limits.requests, limits.tokens = requests or limits.requests, tokens or limits.tokens
            said = [None if it is None else it.unit for it in (requests, tokens)]
            limits.said = Heard(limits.sent, mark, *said)
            for bucket, after in ((requests, later.requests), (tokens, later.tokens)):
                if bucket is not None and limits.parts > 1:
                    bucket.left = (bucket.left + after) / limits.parts - after
                    bucket.rate /= limits.parts
            limits.noted, limits.at = mark, now
            self.known = True

    def waits(self, tokens: int, now: float, *, credential: str = "") -> Mapping[str, float]:
        """Return the seconds until models have room for one more request, of those that have none now.

        Args:
            tokens: what the request counts for.
            now: the time.
            credential: whose limits they are.
        """
        models = self._known.get(credential)
        if models is None:
            return _NONE
        with self._lock:
            for one in models.values():
                one.grant(now)
            found = {model: one.wait(tokens, now) for model, one in models.items() if not one.assumed}
        return {model: wait for model, wait in found.items() if wait > 0} or _NONE

    def heard(self) -> Mapping[tuple[str, str], Heard]:
        """Return by (credential, model) what answers have said since this was last asked."""
        found: dict[tuple[str, str], Heard] = {}
        with self._lock:
            for credential, models in self._known.items():
                for model, one in models.items():
                    said = one.said
                    found[credential, model] = (
                        Heard(one.sent) if said is None else said._replace(sent=one.sent)
                    )
                    one.said = None
        return found

    def adopt(
        self,
        model: str,
        units: Sequence[Unit | None],
        sent: Mark,
        now: float,
        *,
        parts: int = 1,
        credential: str = "",
    ) -> None:
        """Take over what is left of a model's requests and tokens, as somebody else knows it.

        Args:
            model: catalog id.
            units: the limits on requests and on tokens; None for what is unknown.
            sent: what had been sent from here when that was known.
            now: the time.
            parts: among how many that is divided, of whom one is here.
            credential: whose limits they are.
        """
        with self._lock:
            limits = self._of(model, now, credential)
            later = (limits.sent.requests - sent.requests, limits.sent.tokens - sent.tokens)
            limits.parts = parts
            if all(unit is None for unit in units):
                return
            known = (None, None) if limits.assumed else (limits.requests, limits.tokens)
            limits.requests, limits.tokens = [
                it if unit is None else _Bucket(unit[0], unit[1] / parts - after, now, unit[2] / parts)
                for it, unit, after in zip(known, units, later, strict=True)
            ]
            limits.assumed, limits.at, self.known = False, now, True

    def _of(self, model: str, now: float, credential: str) -> _Limits:
        models = self._known.setdefault(credential, {})
        limits = models.get(model)
        if limits is None:
            limits = models[model] = _Limits(at=now)
            expected = self._expected.get(model)
            if expected is None:
                limits.requests, limits.assumed = _Bucket(BURST, BURST, now, BURST), True
            else:
                limits.requests, limits.tokens = [
                    None if limit is None else _Bucket(limit, limit, now, limit / _MINUTE)
                    for limit in expected
                ]
        limits.forget(now)
        return limits


def _bucket(headers: Mapping[str, str], unit: str, later: int, now: float) -> _Bucket | None:
    """Read what one limit says; None where it says nothing that makes sense."""
    try:
        limit = float(headers[f"x-ratelimit-limit-{unit}"])
        left = float(headers[f"x-ratelimit-remaining-{unit}"])
    except (KeyError, TypeError, ValueError):
        return None
    if not 0 < limit < 1e15 or not left <= limit:
        return None
    used = limit - max(left, 0.0)
    if unit == "requests":  # whole ones are shown, and half of one may be missing
        left -= 0.5
    left, reset = max(left, 0.0), _seconds(headers.get(f"x-ratelimit-reset-{unit}", ""))
    # Resets are rounded down to milliseconds: of a small part of a bucket they say nothing of its rate.
    rate = used / min(reset, _MOST_WAIT) if reset >= 0.05 and used else limit / _MINUTE
    return _Bucket(limit, left - later, now, rate)


def _seconds(text: str) -> float:
    """Read a time such as ``1m2.5s`` or ``8ms``; 0 where it is none."""
    return sum(float(number) * _UNITS[unit] for number, unit in _PART.findall(text[:40]))
