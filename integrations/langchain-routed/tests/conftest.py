"""What every test may use: a simulated OpenAI on this machine, and models that talk to it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from langchain_openai import ChatOpenAI
from langchain_routed import RoutedChatModel

from routed_llm import Router
from routed_llm.simulator import Simulator

pytest_plugins = ["adapter_fixtures"]


@pytest.fixture(autouse=True)
def key(environment: None, monkeypatch: pytest.MonkeyPatch) -> None:
    """ChatOpenAI finds a key; nothing is traced."""
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
