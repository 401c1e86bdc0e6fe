"""When models are left alone, and for how long."""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import date
from typing import Any

import pytest

from routed_llm import Cooldowns, Router, fingerprint, read_openai
from routed_llm.recovery import UnavailableModels


def test_the_third_failure_in_a_row() -> None:
    """Two failures are chance; the third takes a model out, and each one more doubles the time."""
    cooldowns = Cooldowns()
    out = [cooldowns.failed("a", "why", now=0.0) for _ in range(12)]
    assert out == [0, 0, 2, 4, 8, 16, 32, 64, 120, 120, 120, 120]
    assert cooldowns.cooling(119.9) == {"a": "why"}
    assert cooldowns.cooling(120.0) == {}


def test_half_open() -> None:
    """When its time is over, a single failure takes a model out again; an answer makes it well."""
    cooldowns = Cooldowns()
    for _ in range(3):
        cooldowns.failed("a", "why", now=0.0)
    assert cooldowns.cooling(2.0) == {}
    assert cooldowns.failed("a", "why", now=2.0) == 4
    cooldowns.answered("a")
    assert cooldowns.cooling(2.0) == {}
    assert cooldowns.failed("a", "why", now=2.0) == 0


def test_what_the_provider_asks_for() -> None:
    """The provider's own time counts at once, up to the longest, and a shorter one never cuts it."""
    cooldowns = Cooldowns(most=60)
    assert cooldowns.failed("a", "late", now=0.0, seconds=30) == 30
    assert cooldowns.failed("a", "soon", now=0.0, seconds=5) == 5
    assert cooldowns.cooling(29.0) == {"a": "late"}
    assert cooldowns.failed("b", "never", now=0.0, seconds=10**6) == 60


def test_models_are_apart() -> None:
    """One model's failures say nothing about another's; forgetting forgets all."""
    cooldowns = Cooldowns(threshold=1)
    cooldowns.failed("a", "why", now=0.0)
    cooldowns.answered("b")
    assert set(cooldowns.cooling(1.0)) == {"a"}
    cooldowns.clear()
    assert cooldowns.cooling(1.0) == {}


def test_credentials_are_apart() -> None:
    """What fails for one key says nothing of another, and neither does an answer."""
    cooldowns = Cooldowns(threshold=1)
    cooldowns.failed("a", "why", now=0.0, credential="one")
    cooldowns.answered("a", credential="two")
    assert cooldowns.cooling(1.0, credential="one") == {"a": "why"}
    assert cooldowns.cooling(1.0, credential="two") == cooldowns.cooling(1.0) == {}
    cooldowns.answered("a", credential="one")
    assert cooldowns.cooling(1.0, credential="one") == {}


@pytest.mark.parametrize(("now", "left"), [(0.0, True), (3_599.9, True), (3_600.0, False)])
def test_a_refused_model_is_tried_again_after_an_hour(now: float, left: bool) -> None:
    """What one credential was refused is out for it alone and for a while; what is marked, for all."""
    gone = UnavailableModels()
    gone.refused("a", "no access", now=0.0, credential="one")
    gone.mark("b", "retired")
    assert gone.found(now, "one") == ({"a": "no access", "b": "retired"} if left else {"b": "retired"})
    assert gone.found(now, "two") == {"b": "retired"}


def test_a_fingerprint_tells_no_key() -> None:
    """Keys and addresses tell accounts apart, and none of it can be read from the fingerprint."""
    one = fingerprint("sk-secret", "https://api.openai.com/v1")
    assert one == fingerprint("sk-secret", "https://api.openai.com/v1")
    assert (
        len({one, fingerprint("sk-secret", None), fingerprint("sk-other", "https://api.openai.com/v1")}) == 3
    )
    assert "secret" not in one
    assert re.fullmatch("[0-9a-f]{16}", one)


def test_half_open_after_the_providers_own_time() -> None:
    """When that time is over, a single failure takes the model out again."""
    cooldowns = Cooldowns()
    assert cooldowns.failed("a", "why", now=0.0, seconds=5) == 5
    assert cooldowns.cooling(6.0) == {}
    assert cooldowns.failed("a", "why", now=6.0) == 2


class OfAFleet(Cooldowns):
    """Knows what others have met, before anything has failed here."""

    def cooling(self, now: float, *, credential: str = "") -> Mapping[str, str]:
        """Return the models that are out, which others know."""
        return {"gpt-5.6-luna": "it is down"}


class Foreign:
    """A store that shares nothing with ours but what is asked of it."""

    failed = answered = clear = Cooldowns.failed
    cooling = OfAFleet.cooling


@pytest.mark.parametrize("store", [OfAFleet, Foreign])
def test_a_store_of_the_users_own_is_asked_from_the_first_call_on(store: Any) -> None:
    """Ours is not asked while nothing has failed; of others nobody knows what they know."""
    asked = read_openai({"messages": [{"role": "user", "content": "Hello"}]})
    day = date(2026, 11, 22)
    assert Router(clock=lambda: day).decide(asked).model == "gpt-5.6-luna"
    assert Router(cooldowns=store(), clock=lambda: day).decide(asked).model != "gpt-5.6-luna"
