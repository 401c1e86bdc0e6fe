"""Cool-downs that a fleet shares through Redis, and what happens while Redis is away."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest
import redis
from recovery_support import AT, ask

from routed_llm import Cooldowns, CooldownStore, Router
from routed_llm.ledger import RedisLedger
from routed_llm.recovery import FleetCooldowns


def await_exchanges() -> None:
    """Wait for the threads that talk to a Redis."""
    for thread in threading.enumerate():
        if thread.name.startswith("routed-"):
            thread.join(5)


@pytest.fixture(autouse=True)
def alone() -> None:
    """Nothing that an earlier test, of any file, has begun is under way, or says something."""
    await_exchanges()


@pytest.fixture
def client(redis_url: str) -> Iterator[redis.Redis]:
    """A connection to an empty server."""
    made = redis.Redis.from_url(redis_url)
    made.flushall()
    yield made
    await_exchanges()
    made.close()


def eventually(holds: Callable[[], object], seconds: float = 5.0) -> bool:
    """Wait until something holds."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        if holds():
            return True
        time.sleep(0.01)
    return False


def told(one: FleetCooldowns) -> bool:
    """Say whether a process has told the fleet everything."""
    return not one._untold and not one._exchanger.is_busy


def test_a_fleet_learns(client: redis.Redis) -> None:
    """What one process meets, the others leave alone; and when one is answered, all go there again."""
    one, two = (FleetCooldowns(client, refresh=0.05) for _ in range(2))
    one.failed("a", "its rate limit is used up", now=time.monotonic(), seconds=30, credential="k")
    assert eventually(lambda: two.cooling(time.monotonic(), credential="k"))
    assert two.cooling(time.monotonic(), credential="k") == {"a": "its rate limit is used up"}
    assert two.cooling(time.monotonic(), credential="other") == {}
    two.answered("a", credential="k")
    assert two.cooling(time.monotonic(), credential="k") == {}
    assert eventually(lambda: told(two))
    assert FleetCooldowns(client).cooling(time.monotonic(), credential="k") == {}
    assert not client.hgetall("{routed}:cooling")


def test_failures_add_up_over_processes(client: redis.Redis) -> None:
    """Three processes that failed once each make three failures in a row."""
    fleet = [FleetCooldowns(client, refresh=0.05) for _ in range(3)]
    for one in fleet:
        assert one.failed("a", "why", now=time.monotonic()) == 0
        assert eventually(lambda one=one: told(one))
    assert client.hget("{routed}:strikes", "/a") == b"3"
    assert eventually(lambda: all(one.cooling(time.monotonic()) for one in fleet))
    time.sleep(2.1)
    assert not any(one.cooling(time.monotonic()) for one in fleet)
    fleet[0].failed("a", "again", now=time.monotonic())
    assert eventually(lambda: fleet[1].cooling(time.monotonic()))


def test_prefixes_are_apart(client: redis.Redis) -> None:
    """Two fleets on one server know nothing of each other."""
    FleetCooldowns(client, prefix="x").failed("a", "why", now=time.monotonic(), seconds=30)
    assert eventually(lambda: client.exists("{x}:cooling"))
    other = FleetCooldowns(client, prefix="y", refresh=0.0)
    other.cooling(time.monotonic())
    assert eventually(lambda: told(other))
    assert other.cooling(time.monotonic()) == {}


class Away:
    """A Redis that does not answer, at once or after a while."""

    def __init__(self, seconds: float = 0.0) -> None:
        self.asked = 0
        self.seconds = seconds

    def eval(self, *_: Any) -> Any:
        """Fail."""
        self.asked += 1
        time.sleep(self.seconds)
        raise redis.ConnectionError("nobody is there")


def test_without_redis_each_goes_by_what_it_met(caplog: pytest.LogCaptureFixture) -> None:
    """Redis away breaks no call, is told once, and is left alone for a while."""
    away = Away()
    one = FleetCooldowns(away, refresh=0.0)
    with caplog.at_level(logging.WARNING, "routed_llm"):
        for _ in range(3):
            one.failed("a", "why", now=time.monotonic())
            assert eventually(lambda: not one._exchanger.is_busy)
        for _ in range(50):
            assert one.cooling(time.monotonic()) == {"a": "why"}
    assert caplog.messages == ["cool-downs are not shared while Redis is away: ConnectionError"]
    assert away.asked == 1
    one.answered("a")
    assert one.cooling(time.monotonic()) == {}


def test_no_call_waits_for_redis() -> None:
    """A Redis that hangs holds up a thread of its own, and one only."""
    one = FleetCooldowns(Away(seconds=0.5), refresh=0.0)
    begun = time.perf_counter()
    for _ in range(200):
        one.failed("a", "why", now=time.monotonic())
        one.cooling(time.monotonic())
        one.answered("a")
    assert time.perf_counter() - begun < 0.4
    assert sum(thread.name == "routed-cool-downs" for thread in threading.enumerate()) == 1


def test_what_redis_missed_is_told_later(client: redis.Redis) -> None:
    """When Redis is back, it hears what happened meanwhile."""
    one = FleetCooldowns(Away(), refresh=0.0)
    one.failed("a", "why", now=time.monotonic(), seconds=60)
    assert eventually(lambda: one._exchanger._down and not one._exchanger.is_busy)
    one._client = client
    one._exchanger.next = 0.0
    one.cooling(time.monotonic())
    assert eventually(lambda: client.hget("{routed}:cooling", "/a"))


@pytest.mark.parametrize(
    ("given", "kind"), [(None, FleetCooldowns), (Cooldowns(), Cooldowns)], ids=["the ledger's", "given"]
)
def test_the_router_of_a_fleet(client: redis.Redis, given: Any, kind: type) -> None:
    """A router whose ledger is in Redis shares its cool-downs there, unless it is given others."""
    router = Router(ledger=RedisLedger(client, prefix="shop"), cooldowns=given)
    assert type(router.cooldowns) is kind
    assert isinstance(router.cooldowns, CooldownStore)


def test_two_routers_of_a_fleet(client: redis.Redis) -> None:
    """A model that failed for one process is left alone by the decisions of another."""
    one, two = (Router(ledger=RedisLedger(client), clock=lambda: AT) for _ in range(2))
    first = two.decide(ask()).model or ""
    one.cooldowns.failed(first, "its rate limit is used up", now=time.monotonic(), seconds=30)
    two.cooldowns.refresh = 0.0
    assert eventually(lambda: two.decide(ask()).model != first)
    against = two.explain(ask()).reasons_against(first)
    assert {one.data["why"] for one in against if one.code == "unavailable"} == {"its rate limit is used up"}
