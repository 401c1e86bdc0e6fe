"""What every test may use: a simulated OpenAI on this machine, and LLMs that talk to it."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from datetime import date
from typing import Any

import pytest
from llama_index.llms.openai import OpenAI
from llama_index.llms.routed import RoutedLLM

from routed_llm import Decision, Router, Run
from routed_llm.simulator import Simulator, serve

TODAY = date(2026, 11, 22)
_FOREIGN = ("OPENAI_", "ROUTED_", "HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY")

Make = Callable[..., RoutedLLM]


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
    simulator.at = TODAY


@pytest.fixture
def router() -> Router:
    """A router that decides for the simulator's day and has learnt nothing."""
    return Router(clock=lambda: TODAY)


@pytest.fixture(autouse=True)
def _no_settings_from_outside(monkeypatch: pytest.MonkeyPatch) -> None:
    if os.environ.get("OPENAI_LIVE_TESTS") == "1":
        return
    for name in list(os.environ):
        if name.upper().startswith(_FOREIGN):
            monkeypatch.delenv(name)


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
def books() -> Books:
    """A router for the simulator's day that notes what it booked."""
    return Books(clock=lambda: TODAY)
