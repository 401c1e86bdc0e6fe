"""What the tests of every way in share: a simulated OpenAI on this machine, on a fixed day."""

from __future__ import annotations

import os
import ssl
from collections.abc import Iterator
from datetime import UTC, date, datetime
from functools import lru_cache

import pytest

from routed_llm import Router, events
from routed_llm.simulator import Simulator, serve

TODAY = date(2026, 11, 22)
_FOREIGN = ("OPENAI_", "AZURE_", "ROUTED_", "LANGCHAIN_", "LANGSMITH_", "LC_")
_PROXIES = ("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY")

# Each client makes one, which reads 140 certificates: a tenth of the time that the tests took.
ssl.create_default_context = lru_cache(ssl.create_default_context)


@pytest.fixture(scope="session")
def simulator() -> Iterator[Simulator]:
    """One simulated OpenAI for the whole run."""
    with serve(at=TODAY) as running:
        yield running


@pytest.fixture
def sim(simulator: Simulator) -> Iterator[Simulator]:
    """The simulator with an empty journal."""
    simulator.reset()
    yield simulator
    simulator.reset()
    simulator.at = TODAY


@pytest.fixture
def router() -> Router:
    """A router that decides for the simulator's day and has learnt nothing from other tests."""
    return Router(clock=lambda: TODAY)


@pytest.fixture(autouse=True)
def day(monkeypatch: pytest.MonkeyPatch) -> None:
    """Routers without a clock decide for the simulator's day: no test ends with the models that it names."""
    monkeypatch.setattr(
        "routed_llm.calls.router._now", lambda: datetime.combine(TODAY, datetime.now(UTC).timetz())
    )


@pytest.fixture(autouse=True)
def logged_anew() -> None:
    """What is logged once in a process is logged once in a test: none depends on those before it."""
    events.forget()


@pytest.fixture(autouse=True)
def environment(monkeypatch: pytest.MonkeyPatch) -> None:
    """No test reads the settings of the machine it runs on, unless it is to call OpenAI."""
    if os.environ.get("OPENAI_LIVE_TESTS") == "1":
        return
    for name in list(os.environ):
        if name.upper().startswith((*_FOREIGN, *_PROXIES)):
            monkeypatch.delenv(name)
