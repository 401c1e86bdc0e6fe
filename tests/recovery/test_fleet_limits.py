"""What is left of rate limits, shared by a fleet through Redis."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from typing import Any

import pytest
import redis

from routed_llm import Router
from routed_llm.ledger import RedisLedger
from routed_llm.recovery.fleet_limits import FleetRateLimits
from routed_llm.simulator.failures import ApiFailure
from routed_llm.simulator.limits import RateLimits as Provider


@pytest.fixture
def client(redis_url: str) -> Iterator[redis.Redis]:
    """A connection to an empty server."""
    made = redis.Redis.from_url(redis_url)
    made.flushall()
    yield made
    made.close()


class Clock:
    """Simulated time, the server's too."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        from routed_llm.recovery import fleet_limits

        self.now = 1_000.0
        # The server's clock is the one that the script asks for; here it is this one.
        told = fleet_limits._REPORT.replace("redis.call('TIME')", "{ARGV[#ARGV], 0}")
        monkeypatch.setattr(fleet_limits, "_REPORT", told)

    def __call__(self) -> float:
        """Return the time."""
        return self.now


class Timed:
    """A client that gives the script the simulated time."""

    def __init__(self, client: redis.Redis, clock: Clock) -> None:
        self._client, self._clock = client, clock

    def eval(self, script: str, *arguments: Any) -> Any:
        """Run the script at the simulated time."""
        return self._client.eval(script, *arguments, self._clock.now)


def headers(remaining: int, limit: int = 600) -> dict[str, str]:
    """Return what an answer says of the requests that are left."""
    used = limit - remaining
    return {
        "x-ratelimit-limit-requests": str(limit),
        "x-ratelimit-remaining-requests": str(remaining),
        "x-ratelimit-reset-requests": f"{used * 60 / limit:.3f}s",
    }


def test_what_others_send_counts(client: redis.Redis, monkeypatch: pytest.MonkeyPatch) -> None:
    """A process knows of limits that it never met, and has its part of what is left."""
    clock = Clock(monkeypatch)
    timed = Timed(client, clock)
    one, two = (FleetRateLimits(timed, clock=clock, refresh=1e9, name=name) for name in "ab")
    for each in (one, two):
        each._exchanger.next = 1e9  # reports are made by hand here
    ticket, _ = one.take("m", 10, clock.now)
    one.note(ticket, headers(8), clock.now)
    two.take("m", 10, clock.now)
    for each in (one, two, one, two):
        each.report()
    assert two.waits(10, clock.now) == {}
    waits = [two.take("m", 10, clock.now)[1] for _ in range(3)]
    assert waits[0] == 0, "four of the eight are its part, less the one that it sent"
    assert waits[2] > 0


def test_a_fleet_is_not_refused(client: redis.Redis, monkeypatch: pytest.MonkeyPatch) -> None:
    """Four processes at once under one limit: none is refused, and nearly all of it is used."""
    clock = Clock(monkeypatch)
    timed, provider = Timed(client, clock), Provider(clock)
    provider.set("m", rpm=600)
    fleet = [FleetRateLimits(timed, clock=clock, refresh=1.0, name=str(at)) for at in range(4)]
    for one in fleet:
        one._exchanger.next = 1e9
    waiting: list[tuple[FleetRateLimits, Any]] = []
    answers: list[tuple[float, FleetRateLimits, Any, dict[str, str]]] = []
    served = refused = 0
    for step in range(1_200):  # two minutes, in tenths of a second
        clock.now += 0.1
        if step % 10 == 0:
            for one in fleet:
                one.report()
        while answers and answers[0][0] <= clock.now:
            _, one, ticket, said = answers.pop(0)
            one.note(ticket, said, clock.now)
        for one in fleet:
            while len([it for it in waiting if it[0] is one]) < 5:
                waiting.append((one, one.take("m", 1, clock.now)[0]))
        for one, ticket in [it for it in waiting if it[0].turn(it[1], clock.now) == 0]:
            waiting.remove((one, ticket))
            try:
                answers.append((clock.now + 1.0, one, ticket, provider.spend("m", 1)))
                served += 1
            except ApiFailure as error:
                refused += 1
                answers.append((clock.now + 0.1, one, ticket, error.headers))
                answers.sort(key=lambda it: it[0])
    assert refused == 0
    most = 600 + 120 * 10  # a full bucket, and what is refilled in two minutes
    assert served >= 0.95 * most


def test_while_redis_is_away(caplog: pytest.LogCaptureFixture) -> None:
    """Each process goes by what it hears itself, and says so once."""
    away = redis.Redis(port=1, socket_connect_timeout=0.1)
    one = FleetRateLimits(away, name="a")
    with caplog.at_level(logging.WARNING, logger="routed_llm"):
        for _ in range(2):
            one.take("m", 1, -1.0)
            one._exchanger.run()
    assert [record.getMessage() for record in caplog.records if "Redis" in record.getMessage()] == [
        "rate limits are not shared while Redis is away: ConnectionError"
    ]
    away.close()


def test_a_router_whose_ledger_is_in_redis_shares_its_limits(client: redis.Redis) -> None:
    """The fleet is there by itself."""
    assert isinstance(Router(ledger=RedisLedger(client)).rate_limits, FleetRateLimits)
