"""What every test may use: a simulated OpenAI on this machine, and models that talk to it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import date
from typing import Any

import pytest
from langchain_openai import ChatOpenAI
from langchain_routed import RoutedChatModel

from routed_llm import Router
from routed_llm.simulator import Simulator, serve

TODAY = date(2026, 11, 22)


@pytest.fixture(scope="session")
def simulator() -> Iterator[Simulator]:
    """One simulated OpenAI for the whole run, on a fixed day."""
    with serve(at=TODAY) as running:
        yield running


@pytest.fixture
def sim(simulator: Simulator) -> Iterator[Simulator]:
    """The simulator with an empty journal."""
    simulator.reset()
    yield simulator
    simulator.reset()


@pytest.fixture
def router() -> Router:
    """A router that decides for the simulator's day, and has learnt nothing from other tests."""
    return Router(clock=lambda: TODAY)


@pytest.fixture(autouse=True)
def environment(monkeypatch: pytest.MonkeyPatch) -> None:
    """No test reads the settings of the machine it runs on."""
    for name in ("OPENAI_BASE_URL", "OPENAI_API_BASE", "OPENAI_ORG_ID", "OPENAI_PROXY", "LC_OUTPUT_VERSION"):
        monkeypatch.delenv(name, raising=False)
    for name in ("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "http_proxy", "https_proxy", "all_proxy"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("OPENAI_API_KEY", "simulated")
    monkeypatch.setenv("LANGSMITH_TRACING", "false")


Make = Callable[..., RoutedChatModel]


@pytest.fixture
def make(sim: Simulator, router: Router) -> Make:
    """Make a routed model that talks to the simulator."""

    def routed(**kwargs: Any) -> RoutedChatModel:
        return RoutedChatModel(**{"base_url": sim.url, "router": router, "max_retries": 0, **kwargs})

    return routed


@pytest.fixture
def plain(sim: Simulator) -> ChatOpenAI:
    """The ChatOpenAI that the program had before."""
    return ChatOpenAI(model="gpt-4o", base_url=sim.url, max_retries=0)
