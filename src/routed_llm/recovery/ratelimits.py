"""RateLimits: what providers said of the requests and tokens that they still take, before they refuse one.

The ``x-ratelimit-*`` headers of every answer describe a bucket for requests and one for tokens, which refill
evenly: in 952 recorded answers of 12 public test suites (looked at on 2026-11-29) the time until the bucket
is full is what was used of it, at the rate of its limit; in the median to the millisecond. So what is left at
any later moment can be worked out, less what has been sent since.

A request in a hurry stands in the line of the model that was chosen for it. Any other stands in a crowd, with
those that the same models can serve: whichever of them has room takes the one of the size that it has tokens
for, for each request. A short one wastes the tokens of a model that may not be asked more often: so all are
through a fifth sooner than in turn.
"""

from __future__ import annotations

import math
import re
import threading
from bisect import bisect_left, insort
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Final, NamedTuple, TypeAlias

from routed_llm.recovery.classify import retry_after

__all__ = ["BURST", "PATIENCE", "Heard", "Home", "Mark", "RateLimits", "Ticket", "Unit"]

PATIENCE: Final = 0.5
"""Seconds that are waited for room at the model that was chosen before another one is."""

BURST: Final = 16.0
"""Requests that are sent at once to a model of whose limits nothing is known, and a quarter of it each
second: the least of OpenAI's paid tiers (30,000 tokens a minute) is not reached before the first answer."""

_BURST_TOKENS: Final = 20_000.0
"""The same in tokens; long requests, which those limits would refuse in any case, go four at once."""
_GROWTH: Final = 0.25
"""Part of that which is added each second."""

_AGED: Final = 30.0
_OVERDUE: Final = 2.0
"""Seconds, and times the time until all with it are sent, after which a request goes before those that would
fit better."""
_OTHERS: Final = 0.02
"""Part of a limit by which less must be left than should be, to be taken for what others sent."""
_ON_THE_WAY: Final = 0.25
"""Seconds after its sending at which a request is taken to be counted: its answer says what was left then."""
_SILENT: Final = 60.0
"""Seconds after which a request that was not answered is taken to have been counted."""
_MANY: Final = 100
"""Requests that wait for a model of whose limits nothing is known, beyond which others are asked as well."""
_HORIZON: Final = 20.0
"""Seconds over which a model's tokens are compared with its requests."""
_LOOK: Final = 0.25
"""Seconds after which a request that waits for room looks again: answers to others may have said more."""
_LONG_LOOK: Final = 1.0
"""The same far behind."""

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
    """What had been sent to a model, in all, when a request was: its answer speaks of that moment.

    Attributes:
        requests: requests, this one included.
        tokens: tokens, this one's included.
    """

    requests: int
    tokens: int

    def plus(self, tokens: int, requests: int = 1) -> Mark:
        """Return it with a request more, or with -1 one less."""
        return Mark(self.requests + requests, self.tokens + requests * tokens)


_NOTHING: Final = Mark(0, 0)


Home: TypeAlias = "tuple[str, str]"
"""Whose limits, and of which model (catalog id)."""


@dataclass(slots=True, eq=False)
class Ticket:
    """A request's place among those that wait for room.

    Attributes:
        home: where it goes, as far as that is known: with ``able``, whichever has room first.
        tokens: what the request counts for there.
        since: when it was taken.
        able: where it may go, and what it counts for there; empty for a request in a hurry, which stays in
            the line of its home.
        place: a number that grows with every ticket.
        is_granted: whether room is held for it.
        crowd: among which it waits, or None.
        mark: what had been sent when it was; None until then.
        is_guess: whether nothing is known of the limits that it waits for.
    """

    home: Home
    tokens: int
    since: float = 0.0
    able: Mapping[Home, int] = field(default_factory=dict)
    place: int = 0
    is_granted: bool = False
    crowd: _Crowd | None = None
    mark: Mark | None = None
    is_guess: bool = True

    @property
    def model(self) -> str:
        """The catalog id of where it goes."""
        return self.home[1]

    @property
    def is_home(self) -> bool:
        """Whether it goes where it was to go at first."""
        return not self.able or self.home == next(iter(self.able))

    def look(self, wait: float) -> float:
        """Return the seconds after which it should look again, of so many that it waits about."""
        # Not all at once, though they may have come at once.
        part = 0.5 + self.place * 0.6180339887498949 % 1.0 / 2
        return min(wait, max(_LOOK, min(wait / 8, _LONG_LOOK)) * part)


Unit: TypeAlias = "tuple[float, float, float]"
"""What a limit holds, what is left of it, and what is refilled in a second."""


class Heard(NamedTuple):
    """What is known of one model and credential.

    Attributes:
        sent: what has been sent, in all.
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

    def room(self, now: float) -> float:
        """Return what is left."""
        return min(self.limit, self.left + self.rate * (now - self.at))

    def wait(self, amount: float, now: float) -> float:
        """Return the seconds until there is room for an amount; 0 where there is room now."""
        # More than a full bucket holds is refused at any time; that is for the provider to say.
        wanted = amount if amount < self.limit else self.limit
        lacking = wanted - self.left - self.rate * (now - self.at)
        return 0.0 if lacking <= _DUST else lacking / self.rate

    @property
    def unit(self) -> Unit:
        """What it holds, what was left at its time, and what is refilled in a second."""
        return self.limit, self.left, self.rate

    def take(self, amount: float, now: float) -> None:
        """Take an amount out, though it may not be there."""
        self.left = self.room(now) - amount
        self.at = now


@dataclass(slots=True, eq=False)
class _Limits:
    """What is known of one model and credential.

    Attributes:
        home: which.
        sent: what has been sent, in all.
        held: what room is held for, and is not sent yet.
        began: when the first was sent.
        moved: when the last was.
        unheard: what is sent and was not answered yet, by its place: when, its tokens, and which it was.
        noted: what had been sent when the request was whose answer spoke last.
        at: when that was.
        requests: what is left of the requests, or None.
        tokens: what is left of the tokens, or None.
        assumed: whether nothing has been said yet.
        said: what the last answer says that :meth:`RateLimits.heard` has not given yet.
        parts: among how many what is left is divided.
        line: what is in a hurry and waits for room, the first first.
        waiting: what that adds up to.
        crowds: what else waits for room, here among others.
        closed: until when the provider has asked to wait.
        rests: until when it is left alone by what can go elsewhere.
    """

    home: Home
    sent: Mark = _NOTHING
    held: Mark = _NOTHING
    began: float = math.inf
    moved: float = -math.inf
    unheard: dict[int, tuple[float, int, int]] = field(default_factory=dict)
    noted: Mark = _NOTHING
    at: float = 0.0
    requests: _Bucket | None = None
    tokens: _Bucket | None = None
    assumed: bool = False
    said: Heard | None = None
    parts: int = 1
    line: dict[int, Ticket] = field(default_factory=dict)
    waiting: Mark = _NOTHING
    crowds: list[_Crowd] = field(default_factory=list)
    closed: float = -math.inf
    rests: float = -math.inf

    @property
    def is_limited(self) -> bool:
        """Whether it is known to be limited."""
        return not self.assumed and (self.requests is not None or self.tokens is not None)

    def forget(self, now: float) -> None:
        """Take what was said too long ago as over: no false header may hold a model back for good."""
        if now - self.at <= _FORGET or self.assumed:
            return
        self.at = now
        for bucket in (self.requests, self.tokens):
            if bucket is not None:
                bucket.left, bucket.at = bucket.limit, now

    def expects(self, tokens: int) -> None:
        """Take a request for a sign of the limits that there must be, where nothing is known of them."""
        bucket = self.tokens
        if self.assumed and bucket is not None and 4.0 * tokens > bucket.limit:
            bucket.left += 4.0 * tokens - bucket.limit
            bucket.limit, bucket.rate = 4.0 * tokens, 4.0 * tokens * _GROWTH

    def wait(self, tokens: int, now: float, ahead: Mark | None = None) -> float:
        """Return the seconds until there is room for a request behind others, or behind the whole line."""
        before = self.waiting if ahead is None else ahead
        # For every model at every decision: comparisons take a third of the time of max() and min().
        longest = self.closed - now if self.closed > now else 0.0
        if self.requests is not None and (wait := self.requests.wait(before.requests + 1, now)) > longest:
            longest = wait
        if self.tokens is not None and (wait := self.tokens.wait(before.tokens + tokens, now)) > longest:
            longest = wait
        return longest

    def disturb(self) -> None:
        """Have it looked at again who has room."""
        for crowd in self.crowds:
            crowd.disturb()

    def since(self, mark: Mark) -> Mark:
        """Return what was sent since something was, and what will be."""
        return Mark(
            self.sent.requests + self.held.requests - mark.requests,
            self.sent.tokens + self.held.tokens - mark.tokens,
        )

    def hears(self, ticket: Ticket, now: float) -> Mark:
        """Note that a request was answered, and return those that it may have overtaken on its way."""
        _, _, before = self.unheard.pop(ticket.place, (now, 0, 0))
        while self.unheard:
            place, (at, _, _) = next(iter(self.unheard.items()))
            if now - at <= _SILENT:
                break
            del self.unheard[place]
        overtaken = [tokens for _, tokens, place in self.unheard.values() if place < before]
        return Mark(len(overtaken), sum(overtaken))

    def agree(
        self, said: _Bucket | None, unit: int, overtaken: Mark, later: Mark, counted: float, now: float
    ) -> None:
        """Lay what an answer says was left when its request was counted beside what should be left now.

        It may have overtaken requests that were sent before it, and say nothing of them: so what should be
        left holds as far as what was said can be true.
        """
        if said is None:
            return
        known, after = (self.requests, self.tokens)[unit], later[unit]
        if self.parts > 1:
            said.left = (said.left + after) / self.parts - after
            said.rate /= self.parts
        refilled = said.rate * (now - counted)
        if known is None or self.assumed:
            ours = said.limit - self.sent[unit] - self.held[unit] + said.rate * (now - self.began)
        else:
            ours = known.room(now) if known.limit == said.limit else said.left
        # Where less is left than should be, others send as well, and have what was refilled meanwhile.
        if self.parts == 1 and ours <= said.left + refilled + said.limit * _OTHERS:
            said.left = min(said.left + refilled, said.limit - after)
        said.left = min(max(ours, said.left - overtaken[unit]), said.left)

    def take(self, tokens: int, now: float, requests: int = 1) -> None:
        """Take a request out of what is left."""
        for bucket, amount in ((self.requests, requests), (self.tokens, tokens)):
            if bucket is not None:
                bucket.take(amount, now)

    def grant(self, now: float) -> float:
        """Hold room for those that it is there for: the line goes before what is in no hurry.

        Returns:
            The seconds until there is room for the next one.
        """
        while self.line:
            ticket = next(iter(self.line.values()))
            if (wait := self.wait(ticket.tokens, now, _NOTHING)) > 0:
                return wait
            self.leave(ticket)
            self.hold(ticket, now)
        while crowds := [one for one in self.crowds if self._serves(one, now)]:
            crowd = min(crowds, key=_Crowd.first)
            ticket = crowd.pick(self, now)
            tokens = ticket.able[self.home]
            if (wait := self.wait(tokens, now, _NOTHING)) > 0:
                return wait
            crowd.leave(ticket)
            ticket.home, ticket.tokens = self.home, tokens
            self.hold(ticket, now)
        return math.inf

    def _serves(self, crowd: _Crowd, now: float) -> bool:
        return now >= self.rests or all(now < one.rests for one in crowd.homes)

    def hold(self, ticket: Ticket, now: float) -> None:
        """Hold room for a request."""
        self.held = self.held.plus(ticket.tokens)
        ticket.is_granted = True
        self.take(ticket.tokens, now)

    def send(self, ticket: Ticket, now: float) -> None:
        """Note that a request is sent: from now on it is before those whose answers say what is left."""
        self.unheard[ticket.place] = (now, ticket.tokens, self.sent.requests)
        self.began, self.moved = min(self.began, now), now
        if ticket.is_granted:
            self.held = self.held.plus(ticket.tokens, -1)
        self.sent = ticket.mark = self.sent.plus(ticket.tokens)

    def join(self, ticket: Ticket) -> None:
        """Let a request wait behind the others."""
        self.line[ticket.place] = ticket
        self.waiting = self.waiting.plus(ticket.tokens)

    def leave(self, ticket: Ticket) -> None:
        """Take a request out of the line."""
        if self.line.pop(ticket.place, None) is not None:
            self.waiting = self.waiting.plus(ticket.tokens, -1)

    def ahead(self, ticket: Ticket) -> Mark:
        """Return what waits before a request."""
        requests = tokens = 0
        for other in self.line.values():
            if other is ticket:
                break
            requests += 1
            tokens += other.tokens
        return Mark(requests, tokens)

    def share(self, now: float) -> float | None:
        """Return the tokens that there are for each request soon; None where one of them is not limited."""
        if self.requests is None or self.tokens is None:
            return None
        tokens, requests = [one.room(now) + one.rate * _HORIZON for one in (self.tokens, self.requests)]
        return max(tokens, 0.0) / max(requests, 1.0)


class _Crowd:
    """Requests that wait for whichever of the same homes has room first.

    Args:
        homes: what is known of these.
    """

    def __init__(self, homes: Sequence[_Limits]) -> None:
        self.homes = homes
        self.tickets: dict[int, Ticket] = {}
        self._sizes: list[tuple[float, int]] = []
        self._tokens = 0
        self._calm = (-math.inf, 0.0)

    def join(self, ticket: Ticket) -> None:
        """Let a request wait."""
        if not self.tickets:
            for one in self.homes:
                one.crowds.append(self)
        ticket.crowd = self
        self.disturb()
        self.tickets[ticket.place] = ticket
        self._tokens += ticket.tokens
        insort(self._sizes, (ticket.tokens, ticket.place))

    def leave(self, ticket: Ticket) -> None:
        """Take a request out."""
        ticket.crowd = None
        del self.tickets[ticket.place]
        self._tokens -= ticket.tokens
        del self._sizes[bisect_left(self._sizes, (ticket.tokens, ticket.place))]
        if not self.tickets:
            for one in self.homes:
                one.crowds.remove(self)

    def disturb(self) -> None:
        """Have it looked at again whether there is room, as something has changed."""
        self._calm = (-math.inf, 0.0)

    def turn(self, now: float) -> float:
        """Hold room where it is, and return the seconds until all have been sent, about."""
        calm, end = self._calm
        if now < calm - _DUST:
            return max(end - now, _LEAST)
        for one in self.homes:
            one.forget(now)
        rest = min([one.grant(now) for one in self.homes])
        rest = min([rest, *[one.rests - now for one in self.homes if one.rests > now]])
        wait = self.wait(now)
        self._calm = (now + rest, now + wait)
        return wait

    def first(self) -> int:
        """Return the place of the request that has waited longest."""
        return next(iter(self.tickets))

    def pick(self, limits: _Limits, now: float) -> Ticket:
        """Return the request that one of its homes should take next."""
        first = self.tickets[self.first()]
        share = limits.share(now)
        if share is None or limits.assumed or len(self.homes) == 1:
            return first
        if (waited := now - first.since) >= _AGED and waited >= _OVERDUE * self.wait(now):
            return first
        at = bisect_left(self._sizes, (share, 0))
        around = self._sizes[max(at - 1, 0) : at + 1]
        return self.tickets[min(around, key=lambda size: abs(size[0] - share))[1]]

    def wait(self, now: float) -> float:
        """Return the seconds until all of it has been sent, about."""
        longest = 0.0
        for name, amount in (("requests", len(self.tickets)), ("tokens", self._tokens)):
            buckets: list[_Bucket | None] = [getattr(one, name) for one in self.homes]
            known = [it for it in buckets if it is not None]
            if len(known) == len(buckets):
                room = sum(max(it.room(now), 0.0) for it in known)
                longest = max(longest, (amount - room) / sum(it.rate for it in known))
        return max(longest, _LEAST)


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
        self._crowds: dict[tuple[Home, ...], _Crowd] = {}
        self._places = 0
        self.expect(expected or {})

    def expect(self, expected: Mapping[str, tuple[float | None, float | None]]) -> None:
        """Say what models take a minute; it holds for those that no answer has spoken of yet."""
        self._expected = dict(expected)
        self.known = bool(expected) or any(self._known.values())
        """Whether a limit of any model is known."""

    def take(
        self, model: str, tokens: int, now: float, *, credential: str = "", hurries: bool = True
    ) -> tuple[Ticket, float]:
        """Note that a request is to be sent, and return its ticket and the seconds until it has room.

        Requests go one after the other, in the order in which they were noted. As long as nothing is known of
        a model, :data:`BURST` requests go at once and a few each second: their answers say what it takes.

        Args:
            model: catalog id.
            tokens: what it counts for.
            now: the time.
            credential: whose limits they are.
            hurries: whether it must be answered in time; others wait for those that do, and may be given
                other models as well with :meth:`widen`.
        """
        home = (credential, model)
        with self._lock:
            limits = self._of(home, now)
            limits.expects(tokens)
            self._places += 1
            ticket = Ticket(home, tokens, now, {} if hurries else {home: tokens}, self._places)
            if not (limits.line or limits.crowds) and limits.wait(tokens, now, _NOTHING) <= 0:
                limits.hold(ticket, now)  # nobody waits and there is room, as nearly always
                limits.send(ticket, now)
                ticket.is_guess = limits.assumed
                return ticket, 0.0
            if hurries:
                limits.join(ticket)
            else:
                self._gather(ticket, now)
            return ticket, self._turn(ticket, now)

    def widen(self, ticket: Ticket, able: Mapping[Home, int], now: float) -> None:
        """Let a request that waits go to any of several models.

        Args:
            ticket: what :meth:`take` returned for it.
            able: where it may go, the first before others, and the tokens that it counts for there.
            now: the time.
        """
        with self._lock:
            if not ticket.is_granted and ticket.mark is None:
                self._scatter(ticket)
                self._of(ticket.home, now).leave(ticket)
                ticket.able = {ticket.home: ticket.tokens, **able}
                ticket.tokens = ticket.able[ticket.home]
                self._gather(ticket, now)

    def turn(self, ticket: Ticket, now: float) -> float:
        """Return the seconds until a request has room, about, by what is known by now; 0 to send it.

        Its ticket says where; elsewhere room is held until it is sent with :meth:`leave`.

        Args:
            ticket: what :meth:`take` returned for it.
            now: the time.
        """
        with self._lock:
            return self._turn(ticket, now)

    def moved(self, ticket: Ticket, now: float) -> float:
        """Return when a request was last sent to where this one may go, by the clock of the others."""
        with self._lock:
            homes = ticket.able or (ticket.home,)
            known = [self._known.get(whose, {}).get(model) for whose, model in homes]
            return max([one.moved for one in known if one is not None], default=now)

    def leave(self, ticket: Ticket, now: float, *, is_sent: bool = False) -> None:
        """Let a request wait no more.

        Args:
            ticket: what :meth:`take` returned for it.
            now: the time.
            is_sent: whether it is sent: to where room is held for it, or else though there may be none.
        """
        with self._lock:
            limits = self._of(ticket.home, now)
            if ticket.mark is not None:
                return
            if ticket.is_granted and not is_sent:
                limits.held = limits.held.plus(ticket.tokens, -1)
                limits.take(-ticket.tokens, now, requests=-1)
            self._scatter(ticket)
            limits.leave(ticket)
            if is_sent:
                limits.send(ticket, now)
                if not ticket.is_granted:
                    limits.take(ticket.tokens, now)

    def _gather(self, ticket: Ticket, now: float) -> None:
        """Let a request wait in its crowd."""
        homes = self._open(ticket, now)
        crowd = self._crowds.get(homes)
        if crowd is None:
            self._crowds = {key: one for key, one in self._crowds.items() if one.tickets}
            crowd = self._crowds[homes] = _Crowd([self._of(home, now) for home in homes])
        crowd.join(ticket)

    def _scatter(self, ticket: Ticket) -> None:
        """Take a request out of its crowd."""
        crowd = ticket.crowd
        if crowd is not None:
            crowd.leave(ticket)

    def _open(self, ticket: Ticket, now: float) -> tuple[Home, ...]:
        """Return where a request may go now: elsewhere once a limit is known, or when many wait."""
        home = (ticket.home,)
        if len(ticket.able) > 1:
            crowd = self._crowds.get(home)
            if crowd is not None and len(crowd.tickets) >= _MANY:
                return tuple(ticket.able)
            if any(self._of(one, now).is_limited for one in ticket.able):
                return tuple(ticket.able)
        return home

    def _turn(self, ticket: Ticket, now: float) -> float:
        if ticket.mark is not None:
            return 0.0
        if ticket.crowd is not None:
            wait = ticket.crowd.turn(now)
        else:
            self._of(ticket.home, now).grant(now)
        limits = self._of(ticket.home, now)
        ticket.is_guess = limits.assumed
        if ticket.is_granted:
            if ticket.is_home:
                limits.send(ticket, now)
            return 0.0
        if ticket.crowd is not None:
            return wait
        return max(limits.wait(ticket.tokens, now, limits.ahead(ticket)), _LEAST)

    def _heard_of(self, now: float) -> None:
        """Open to requests that wait what else can serve them, now that a limit is known."""
        for crowd in [one for one in self._crowds.values() if len(one.homes) == 1]:
            for ticket in [one for one in crowd.tickets.values() if len(one.able) > 1]:
                self._scatter(ticket)
                self._gather(ticket, now)

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
            limits = self._of(ticket.home, now)
            sent = limits.unheard.get(ticket.place, (now, 0, 0))[0]
            counted = min(sent + _ON_THE_WAY, now)
            overtaken = limits.hears(ticket, now)
            if mark.requests < limits.noted.requests:
                return  # a later request was answered sooner
            later = limits.since(mark)
            requests = _bucket(headers, "requests", later.requests, now)
            tokens = _bucket(headers, "tokens", later.tokens, now)
            is_new = not limits.is_limited
            is_said = requests is not None or tokens is not None
            said = [None if it is None else it.unit for it in (requests, tokens)] if is_said else ()
            if is_said:
                for unit, bucket in enumerate((requests, tokens)):
                    limits.agree(bucket, unit, overtaken, later, counted, now)
            if limits.assumed:  # whoever says nothing of limits is not held back
                limits.requests, limits.tokens, limits.assumed = None, None, False
            # Where what is left does not explain why it was refused, the wait that was asked for does.
            asked = retry_after(headers) if "retry-after" in headers or "retry-after-ms" in headers else None
            if asked and not any(
                one is not None and one.wait(amount, now)
                for one, amount in ((requests, 1), (tokens, ticket.tokens))
            ):
                limits.closed = now + min(asked, _FORGET)
                limits.disturb()
            if not is_said:
                return
            limits.requests, limits.tokens = requests or limits.requests, tokens or limits.tokens
            limits.said = Heard(limits.sent, mark, *said)
            limits.noted, limits.at = mark, now
            limits.disturb()
            self.known = True
            if is_new:
                self._heard_of(now)

    def rest(self, home: Home, seconds: float, now: float) -> None:
        """Leave a model that fails alone for a while, where what waits can go elsewhere.

        Args:
            home: which.
            seconds: for how long.
            now: the time.
        """
        with self._lock:
            limits = self._of(home, now)
            limits.rests = now + seconds
            limits.disturb()

    def waits(
        self, tokens: int, now: float, *, credential: str = "", hurries: bool = True
    ) -> Mapping[str, float]:
        """Return the seconds until models have room for one more request, of those that have none now.

        Args:
            tokens: what the request counts for.
            now: the time.
            credential: whose limits they are.
            hurries: whether it goes before those that do not.
        """
        models = self._known.get(credential)
        if models is None:
            return _NONE
        found: dict[str, float] = {}
        with self._lock:
            for one in models.values():
                if one.line or one.crowds:
                    one.grant(now)
            for model, one in models.items():
                wait = 0.0 if one.assumed else one.wait(tokens, now)
                for crowd in () if hurries else one.crowds:
                    if len(crowd.homes) > 1 or not one.assumed:
                        wait = max(wait, crowd.wait(now))
                if wait > 0:
                    found[model] = wait
        return found or _NONE

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
            limits = self._of((credential, model), now)
            later, is_new = limits.since(sent), not limits.is_limited
            limits.parts = parts
            if all(unit is None for unit in units):
                return
            known = (None, None) if limits.assumed else (limits.requests, limits.tokens)
            limits.requests, limits.tokens = [
                it if unit is None else _Bucket(unit[0], unit[1] / parts - after, now, unit[2] / parts)
                for it, unit, after in zip(known, units, later, strict=True)
            ]
            limits.assumed, limits.at, self.known = False, now, True
            limits.disturb()
            if is_new:
                self._heard_of(now)

    def _of(self, home: Home, now: float) -> _Limits:
        credential, model = home
        models = self._known.setdefault(credential, {})
        limits = models.get(model)
        if limits is None:
            limits = models[model] = _Limits(home, at=now)
            expected = self._expected.get(model)
            if expected is None:
                limits.assumed = True
                limits.requests, limits.tokens = [
                    _Bucket(most, most, now, most * _GROWTH) for most in (BURST, _BURST_TOKENS)
                ]
            else:
                limits.requests, limits.tokens = [
                    None if limit is None else _Bucket(limit, limit, now, limit / _MINUTE)
                    for limit in expected
                ]
        limits.forget(now)
        return limits


def _bucket(headers: Mapping[str, str], unit: str, later: int, now: float) -> _Bucket | None:
    """Read what one limit says; None where it says nothing that makes sense."""
    said, rest = headers.get(f"x-ratelimit-limit-{unit}"), headers.get(f"x-ratelimit-remaining-{unit}")
    if said is None or rest is None:
        return None
    try:
        limit, left = float(said), float(rest)
    except (TypeError, ValueError):
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
