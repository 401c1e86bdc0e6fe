"""What answers say of rate limits: reckoned forward, and obeyed before a request is refused."""

from __future__ import annotations

import heapq
import random
from collections import Counter
from collections.abc import Mapping
from datetime import date
from typing import Any

import pytest

from routed_llm import Policy, Request, RequestBuilder, Router, Usage
from routed_llm.calls import router as routers
from routed_llm.recovery import RateLimits, ratelimits
from routed_llm.recovery.ratelimits import PATIENCE, Mark
from routed_llm.simulator.failures import ApiFailure
from routed_llm.simulator.limits import RateLimits as Provider

DAY = date(2026, 11, 29)


def headers(
    unit: str = "tokens", *, limit: Any = 30_000, remaining: Any = 30_000, reset: str = "0s"
) -> dict[str, str]:
    """Return what an answer says of one limit."""
    return {
        f"x-ratelimit-limit-{unit}": str(limit),
        f"x-ratelimit-remaining-{unit}": str(remaining),
        f"x-ratelimit-reset-{unit}": reset,
    }


ROOM: list[Any] = [
    # what the answer said at 0 s, the moment, what is asked, whether there is room
    pytest.param(headers(remaining=1000, reset="58s"), 0.0, 1000, True, id="just room"),
    pytest.param(headers(remaining=1000, reset="58s"), 0.0, 1001, False, id="one over"),
    pytest.param(headers(remaining=1000, reset="58s"), 0.1, 1050, True, id="refilled evenly"),
    pytest.param(headers(remaining=0, reset="1m0s"), 59.9, 30_000, False, id="nearly full"),
    pytest.param(headers(remaining=0, reset="1m0s"), 60.0, 30_000, True, id="full"),
    pytest.param(headers(remaining=0, reset="1m0s"), 0.0, 90_000, False, id="more than it holds waits"),
    pytest.param(headers(remaining=0, reset="1m0s"), 60.0, 90_000, True, id="... until it is full"),
    pytest.param(headers("requests", limit=3, remaining=0, reset="1m0s"), 19.0, 1, False, id="requests"),
    pytest.param(
        headers("requests", limit=3, remaining=0, reset="1m0s"), 20.1, 1, True, id="requests refilled"
    ),
    pytest.param(
        headers("requests", limit=14_400, remaining=0, reset="24h0m0s"), 100.0, 1, True, id="a day's"
    ),
    pytest.param(headers(remaining="many"), 0.0, 10**9, True, id="no number"),
    pytest.param(headers(remaining=-5, reset="60s"), 0.0, 1, False, id="below nothing"),
    pytest.param(headers(limit=0, remaining=0), 0.0, 1, True, id="no limit at all"),
    pytest.param(headers(limit="nan", remaining=0), 0.0, 1, True, id="not a number"),
    pytest.param(headers(limit=10, remaining=20), 0.0, 10**9, True, id="more than the limit"),
    pytest.param(headers(remaining=0, reset="9999h"), 599.0, 1, True, id="a reset nobody believes"),
    pytest.param(headers(remaining=0, reset="soon"), 0.0, 1, False, id="a reset that is no time"),
    pytest.param(headers(remaining=0, reset="soon"), 0.1, 50, True, id="... is a minute"),
    pytest.param({}, 0.0, 10**9, True, id="no headers"),
    pytest.param({"x-ratelimit-remaining-tokens": "0"}, 0.0, 1, True, id="no limit named"),
]


@pytest.mark.parametrize(("said", "now", "asked", "room"), ROOM)
def test_room(said: Mapping[str, str], now: float, asked: int, room: bool) -> None:
    """What is left is reckoned from what was said and the time since."""
    limits = RateLimits()
    ticket, _ = limits.take("gpt-4o", 10, 0.0)
    limits.note(ticket, said, 0.0)
    assert not limits.waits(asked, now, credential="another")
    assert (limits.take("gpt-4o", asked, now)[1] == 0) == room


def test_what_was_sent_since_counts() -> None:
    """An answer speaks of the moment of its request: what was sent later is gone, too."""
    limits = RateLimits()
    first, _ = limits.take("gpt-4o", 100, 0.0)
    limits.take("gpt-4o", 700, 0.1)
    limits.note(first, headers(remaining=1000, reset="58s"), 0.2)
    assert limits.take("gpt-4o", 300, 0.2)[1] == 0
    assert limits.take("gpt-4o", 500, 0.2)[1] == pytest.approx(1.0)
    assert limits.take("gpt-4o", 500, 0.2)[1] == pytest.approx(2.0), "one after the other"


PATIENT: list[Any] = [
    pytest.param(250, False, id="room in half a second"),
    pytest.param(251, True, id="room a little later"),
]


@pytest.mark.parametrize(("asked", "left_alone"), PATIENT)
def test_a_short_wait_is_better_than_another_model(asked: int, left_alone: bool) -> None:
    """A model that has room within half a second stays in the choice."""
    limits = RateLimits()
    limits.note(limits.take("gpt-4o", 1, 0.0)[0], headers(remaining=0, reset="1m0s"), 0.0)
    assert bool(routers._full(limits.waits(asked, 0.0))) == left_alone


def test_an_answer_that_comes_late_says_nothing_new() -> None:
    """Answers come in any order; the latest request's counts."""
    limits = RateLimits()
    first, second = limits.take("gpt-4o", 10, 0.0)[0], limits.take("gpt-4o", 10, 0.0)[0]
    limits.note(second, headers(remaining=5, reset="59s"), 1.0)
    limits.note(first, headers(remaining=30_000), 1.1)
    assert limits.waits(500, 1.1)
    assert (first.mark, second.mark) == (Mark(1, 10), Mark(2, 20))


OVERTAKEN: list[Any] = [
    # what the third of three requests says is left of ten, how many more go at once
    pytest.param(7, 7, id="all three are counted"),
    pytest.param(9, 7, id="it has overtaken the others, which will be"),
    pytest.param(4, 4, id="somebody else uses the same key"),
]


@pytest.mark.parametrize(("remaining", "more"), OVERTAKEN)
def test_an_answer_that_overtook_other_requests(remaining: int, more: int) -> None:
    """What was sent before it and may not be counted yet is taken as sent all the same."""
    limits = RateLimits({"m": (10.0, None)})
    tickets = [limits.take("m", 1, 0.0)[0] for _ in range(3)]
    said = headers("requests", limit=10, remaining=remaining, reset=f"{(10 - remaining) * 6}s")
    limits.note(tickets[2], said, 0.0)
    assert [limits.take("m", 1, 0.0)[1] > 0 for _ in range(9)].index(True) in (more, more - 1)


@pytest.mark.parametrize(("left", "more"), [(540, 587), (300, 300)], ids=["sent alone", "others send, too"])
def test_what_was_refilled_while_an_answer_took_its_time(left: int, more: int) -> None:
    """An answer says what was left as its request was counted; some is refilled since, or used by others."""
    limits = RateLimits({"m": (600.0, None)})
    tickets = [limits.take("m", 1, 0.0)[0] for _ in range(60)]
    said = headers("requests", limit=600, remaining=left, reset=f"{(600 - left) / 10}s")
    limits.note(tickets[-1], said, 5.0)
    room = [limits.take("m", 1, 5.0)[1] > 0 for _ in range(601)].index(True)
    assert abs(room - more) <= 3


ABLE: list[Any] = [
    # tokens and requests a minute, the sizes that wait, which goes first when there is room for one
    pytest.param(30_000, 30, (300, 900, 1_600), 900, id="the one that it has tokens for"),
    pytest.param(30_000, 10, (300, 900, 1_600), 1_600, id="few requests: the longest"),
    pytest.param(30_000, 600, (300, 900, 1_600), 300, id="few tokens: the shortest"),
]


@pytest.mark.parametrize(("tpm", "rpm", "sizes", "first"), ABLE)
def test_what_may_wait_goes_where_it_fits(tpm: int, rpm: int, sizes: tuple[int, ...], first: int) -> None:
    """Of several that wait, each model takes the one of the size that it has tokens for."""
    limits = RateLimits({"a": (10.0, 10.0), "b": (float(rpm), float(tpm))})
    homes = [("", "a"), ("", "b")]
    for model, calls, tokens in (("a", 10, 1), ("b", rpm, tpm // rpm)):  # full buckets are gone
        for _ in range(calls):
            limits.take(model, tokens, 0.0)
    waiting = [limits.take("a", size, 0.0, hurries=False)[0] for size in sizes]
    for ticket in waiting:
        limits.widen(ticket, dict.fromkeys(homes, ticket.tokens), 0.0)
    now = 0.0
    while not any(ticket.is_granted for ticket in waiting):
        now += 0.1
        for ticket in waiting:
            limits.turn(ticket, now)
    assert [(ticket.model, ticket.tokens) for ticket in waiting if ticket.is_granted] == [("b", first)]


def test_who_has_waited_long_goes_first() -> None:
    """After half a minute it is no longer asked what would fit better."""
    limits = RateLimits({"a": (1.0, 1e6), "b": (1.0, 1e6)})
    able = {("", "a"): 10, ("", "b"): 10}
    for model in "ab":
        limits.take(model, 1, 0.0)
    old = limits.take("a", 10, 0.0, hurries=False)[0]
    limits.widen(old, able, 0.0)
    new = limits.take("a", 900_000, 31.0, hurries=False)[0]  # fits better
    limits.widen(new, dict.fromkeys(able, 900_000), 31.0)
    limits.turn(new, 60.5)
    assert (old.is_granted, old.model) == (True, "a")


@pytest.mark.parametrize(("others", "with_it"), [(0, 10), (400, 1_000)], ids=["a short line", "a long line"])
def test_in_a_long_line_what_fits_goes_before_what_has_waited_long(others: int, with_it: int) -> None:
    """Half a minute is not long where all take many minutes."""
    limits = RateLimits({"a": (1.0, 1e6), "b": (1.0, 1e6)})
    homes = [("", "a"), ("", "b")]
    for model in "ab":
        limits.take(model, 1, 0.0)
    sizes = [10, *[1_000] * others, 900_000]
    waiting = [limits.take("a", size, 0.0, hurries=False)[0] for size in sizes]
    for ticket in waiting:
        limits.widen(ticket, dict.fromkeys(homes, ticket.tokens), 0.0)
    limits.turn(waiting[0], 60.5)
    assert [one.tokens for one in waiting if one.is_granted] == [with_it, 900_000]


def test_room_that_is_held_is_not_given_again() -> None:
    """An answer to what was sent meanwhile does not speak of what is about to be sent."""
    limits = RateLimits({"a": (600.0, None), "b": (600.0, None)})
    for _ in range(600):
        limits.take("a", 1, 0.0)
    ticket = limits.take("a", 1, 0.0, hurries=False)[0]
    limits.widen(ticket, {("", "a"): 1, ("", "b"): 1}, 0.0)
    limits.turn(ticket, 0.0)
    assert (ticket.model, ticket.is_granted, ticket.mark) == ("b", True, None)
    other, _ = limits.take("b", 1, 0.0)
    limits.note(other, headers("requests", limit=600, remaining=2, reset="59.8s"), 0.0)
    assert limits.take("b", 1, 0.0)[1] > 0, "the second one's room is held"
    limits.leave(ticket, 0.0)
    assert limits.take("b", 1, 0.06)[1] == 0, "until it leaves"


CLOSED: list[Any] = [
    # what a refusal says, the moment, whether there is room then
    pytest.param({"retry-after": "20"}, 19.9, False, id="a wait, and no limit"),
    pytest.param({"retry-after": "20"}, 20.0, True, id="... is over"),
    pytest.param({"retry-after-ms": "400"}, 0.3, False, id="milliseconds"),
    pytest.param({"retry-after": "86400"}, 120.0, True, id="nobody waits for a day"),
    pytest.param({"retry-after": "soon"}, 0.0, True, id="no time"),
    pytest.param(
        {"retry-after": "20", **headers(remaining=0, reset="1m0s")}, 0.1, True, id="what is left explains it"
    ),
    pytest.param(
        {"retry-after": "20", **headers(remaining=30_000)}, 1.0, False, id="what is left does not explain it"
    ),
]


@pytest.mark.parametrize(("said", "now", "room"), CLOSED)
def test_a_wait_that_is_asked_for_is_kept(said: Mapping[str, str], now: float, room: bool) -> None:
    """Retry-After closes a model where its limits do not say why it refused."""
    limits = RateLimits()
    limits.note(limits.take("gpt-4o", 10, 0.0)[0], said, 0.0)
    assert (limits.take("gpt-4o", 10, now)[1] == 0) == room


def test_a_model_that_fails_is_left_to_those_that_have_no_other() -> None:
    """What waits goes to another model that has room, as long as there is one that is well."""
    limits = RateLimits({"a": (1.0, None), "b": (60.0, None)})
    limits.take("a", 1, 0.0)
    limits.rest(("", "b"), 10.0, 0.0)
    ticket = limits.take("a", 1, 0.0, hurries=False)[0]
    limits.widen(ticket, {("", "a"): 1, ("", "b"): 1}, 0.0)
    assert limits.turn(ticket, 9.9) > 0
    assert (limits.turn(ticket, 10.0), ticket.model) == (0.0, "b")


SHRINKS: list[Any] = [
    pytest.param(30_000, 3_000, id="a limit that shrinks while it is used"),
    pytest.param(3_000, 30_000, id="one that grows"),
]


@pytest.mark.parametrize(("before", "after"), SHRINKS)
def test_limits_that_change(before: int, after: int) -> None:
    """The newest answer counts."""
    limits = RateLimits()
    limits.note(limits.take("m", 10, 0.0)[0], headers(limit=before, remaining=before - 10, reset="20ms"), 0.1)
    limits.note(limits.take("m", 10, 1.0)[0], headers(limit=after, remaining=after - 10, reset="20ms"), 1.1)
    waits = [limits.take("m", 2_500, 2.0)[1] for _ in range(2)]
    assert [wait > 0 for wait in waits] == [False, after < before]


def test_a_clock_that_jumps_back_gives_no_room() -> None:
    """Time that runs backwards refills nothing, and takes nothing away."""
    limits = RateLimits({"m": (60.0, None)})
    for _ in range(60):
        limits.take("m", 1, 100.0)
    assert limits.take("m", 1, 40.0)[1] > 0
    assert limits.waits(1, 162.0) == {}


def test_the_reason_says_when() -> None:
    """A model without room is named with the wait."""
    limits = RateLimits()
    limits.note(limits.take("gpt-4o", 1, 0.0)[0], headers(remaining=0, reset="1m0s"), 0.0)
    assert routers._full(limits.waits(1500, 0.0)) == {
        "gpt-4o": "its rate limit has room for this again in 3.0 s"
    }


def request(words: int) -> Request:
    """Return a request of so many words."""
    builder = RequestBuilder()
    builder.message("user").text("word " * words)
    return builder.set("max_tokens", 100).build()


class Fleet:
    """Calls through a router to a provider with rate limits, on simulated time."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, *, obeys: bool, **limits: int) -> None:
        self.now = 0.0
        monkeypatch.setattr(routers, "monotonic", lambda: self.now)
        policy = Policy(models=["gpt-5.4-mini", "gpt-5.4", "gpt-4.1"], at_least=None)
        self.router = Router(clock=lambda: DAY, policy=policy, observe=False)
        if not obeys:
            monkeypatch.setattr(self.router.rate_limits, "note", lambda *_, **__: None)
        self.provider = Provider(lambda: self.now)
        for model in policy.models or ():
            self.provider.set(model, tpm=limits["tpm"], rpm=limits["rpm"])
        self.served: Counter[str] = Counter()
        self.obeys, self.refused, self.waited = obeys, 0, 0.0

    def run(self, calls: int, every: float) -> None:
        """Make calls at even intervals; each is answered after two seconds."""
        chance = random.Random(7)
        answers: list[tuple[float, int, Any]] = []
        for number in range(calls):
            at = number * every
            while answers and answers[0][0] <= at:
                self.now, _, (decision, run, said) = heapq.heappop(answers)
                self.router.heard(run, said)
                run.settle(Usage(input_tokens=10, output_tokens=10))
            self.now = at
            words = chance.randint(10, 2000)
            decision = self.router.decide(request(words))
            run = self.router.begin(decision)
            while self.obeys and run.pause:
                self.now += run.pause
                run.pause = self.router.turn(run)
            self.waited = max(self.waited, self.now - at)
            model = str(decision.model)
            try:
                said = self.provider.spend(model, words + 107)
            except ApiFailure as error:
                self.refused += 1
                said = error.headers
            else:
                self.served[model] += 1
            heapq.heappush(answers, (at + 2.0, number, (decision, run, said)))


LINES = [
    pytest.param(300, {}, 300, 300, 0, id="a line of minutes moves"),
    pytest.param(3, {"left": 0.0, "at": 0.0, "rate": 1e-9}, 0, 3, 120, id="one that stands still is left"),
]


@pytest.mark.parametrize(("calls", "lies", "granted", "sent", "after"), LINES)
def test_how_long_a_call_waits_in_line(
    monkeypatch: pytest.MonkeyPatch, calls: int, lies: dict[str, float], granted: int, sent: int, after: int
) -> None:
    """Without a deadline it waits as long as its line moves; after two minutes it asks all the same."""
    now = [0.0]
    monkeypatch.setattr(routers, "monotonic", lambda: now[0])
    router = Router(clock=lambda: DAY, policy=Policy(models=["gpt-4.1"], at_least=None), observe=False)
    router.rate_limits.expect({"gpt-4.1": (30.0, None)})
    first = router.begin(router.decide(request(9)))
    bucket = router.rate_limits._known[""]["gpt-4.1"].requests
    assert bucket is not None
    for name, value in lies.items():
        setattr(bucket, name, value)
    waiting = [router.begin(router.decide(request(9))) for _ in range(calls)]
    had_room, gone = 0, [0.0]
    waiting = [run for run in waiting if run.pause]
    had_room = calls - len(waiting)
    while waiting:
        now[0] += 1.0
        for run in [*waiting]:
            if router.turn(run) <= 0:
                had_room += bool(run.ticket and run.ticket.is_granted)
                gone.append(now[0])
                waiting.remove(run)
    assert first.ticket is not None
    assert (had_room, len(gone) - 1 + calls - len(gone) + 1) == (granted, sent)
    assert gone[1 if after else -1] >= (after or 300)


def test_calls_spread_before_they_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    """2,000 calls under limits: none is refused, where some 500 are when nobody listens."""
    fleet = Fleet(monkeypatch, obeys=True, tpm=200_000, rpm=500)
    fleet.run(2_000, every=0.13)
    blind = Fleet(monkeypatch, obeys=False, tpm=200_000, rpm=500)
    blind.run(2_000, every=0.13)
    assert fleet.refused == 0
    assert fleet.waited <= PATIENCE + ratelimits._LEAST
    assert len(fleet.served) == 3
    assert blind.refused > 400
