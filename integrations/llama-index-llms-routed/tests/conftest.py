"""What every test may use: a simulated OpenAI on this machine, and LLMs that talk to it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from llama_index.llms.openai import OpenAI
from llama_index.llms.routed import RoutedLLM

from routed_llm import Decision, Router, Run
from routed_llm.simulator import Simulator

pytest_plugins = ["adapter_fixtures"]

Make = Callable[..., RoutedLLM]


@pytest.fixture
def make(sim: Simulator, router: Router) -> Make:
    """Make a RoutedLLM that talks to the simulator and retries nothing."""

    def routed(**kwargs: Any) -> RoutedLLM:
        given = {"api_base": sim.url, "api_key": "sk-simulated", "router": router, "max_retries": 0}
        return RoutedLLM(**{**given, **kwargs})

    return routed


@pytest.fixture
def plain(sim: Simulator) -> OpenAI:
    """The OpenAI that the program had before."""
    return OpenAI(model="gpt-4o", api_base=sim.url, api_key="sk-simulated", max_retries=0)


class Books(Router):
    """A router that notes what is done with every call it opened."""

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.entries: list[tuple[str, Any]] = []

    def begin(self, decision: Decision, **around: Any) -> Run:
        """Open the books for a call, and note it."""
        return _Noted(super().begin(decision, **around), self.entries)  # type: ignore[return-value]


class _Noted:
    offers = False

    def __init__(self, run: Run, entries: list[tuple[str, Any]]) -> None:
        self._run, self._entries = run, entries
        self.exchange = run.exchange
        entries.append(("begin", None))

    def __getattr__(self, name: str) -> Any:
        return getattr(self._run, name)

    def settle(self, usage: Any, *, served: str | None = None) -> dict[str, Any]:
        self._entries.append(("settle", usage))
        return self._run.settle(usage, served=served)

    def cancel(self) -> None:
        self._entries.append(("cancel", None))
        self._run.cancel()

    def abandon(self, usage: Any = None, *, served: str | None = None) -> None:
        self._entries.append(("abandon", usage))
        self._run.abandon(usage, served=served)

    async def aabandon(self, usage: Any = None, *, served: str | None = None) -> None:
        self.abandon(usage, served=served)

    def fail(self, outcome: str, usage: Any = None, **come: Any) -> None:
        self._entries.append(("fail", outcome))
        self._run.fail(outcome, usage, **come)

    def offer(self, send: Any, answer: str = "") -> None:
        self._run.offer(send, answer)

    async def asettle(self, usage: Any, *, served: str | None = None) -> dict[str, Any]:
        return self.settle(usage, served=served)

    async def acancel(self) -> None:
        self.cancel()


@pytest.fixture
def books(sim: Simulator) -> Books:
    """A router for the simulator's day that notes what it booked."""
    return Books(clock=lambda: sim.at)
