"""The short form of ``benchmarks.client.trouble``: what breaks under a gateway leaves the books whole."""

from __future__ import annotations

import shutil

import pytest

from benchmarks.client import trouble


@pytest.mark.parametrize("case", ["killed", "full", "leaving"])
def test_the_books_have_what_the_provider_bills(case: str) -> None:
    """A killed worker, a full disk, clients that leave: nothing hangs, and nothing is billed unbooked."""
    found = trouble.run(case, 40)
    assert found is not None
    assert sum(found.seen.values()) >= 40


@pytest.mark.skipif(shutil.which("redis-server") is None, reason="needs redis-server")
def test_redis_may_go_away() -> None:
    """What was answered meanwhile is booked once it is there again."""
    found = trouble.run("redis", 40)
    assert found is not None
    assert found.seen == {"200": 120}


def test_what_is_missing_shows() -> None:
    """A bill above the books is an error, and so is a call that hangs."""
    found = trouble.Outcome("a case", booked=1.0, billed=1.2, entries=2, requests=2, unknown=1)
    found.check(dearest=0.3)
    with pytest.raises(AssertionError, match="billed and not booked"):
        found.check(dearest=0.1)
    with pytest.raises(AssertionError, match="1 requests were billed, not booked"):
        trouble.Outcome("a case", entries=1, requests=2).check(1)
    with pytest.raises(AssertionError, match="a call hung"):
        trouble.Outcome("a case", seen=trouble.Counter(ReadTimeout=1)).check(1)
