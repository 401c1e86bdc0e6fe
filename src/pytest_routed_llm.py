"""A pytest plugin: the fixture `openai_simulator`, a simulated OpenAI API that a test's program talks to.

It is a module of its own, so that a test run that never asks for it imports nothing of routed_llm.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from routed_llm.simulator import Simulator

__all__ = ["openai_simulator"]

MARKER = "openai_simulator"


def pytest_addoption(parser: pytest.Parser) -> None:
    """Add the setting that says which day is simulated."""
    parser.addini("openai_simulator_at", "the day that openai_simulator simulates (default: today)")


def pytest_configure(config: pytest.Config) -> None:
    """Declare the marker."""
    config.addinivalue_line(
        "markers",
        f"{MARKER}(at=None, faults=()): the day that is simulated, and the failures that are played.",
    )


@pytest.fixture(scope="session")
def _openai_simulator() -> Iterator[Simulator]:
    from routed_llm.simulator import serve

    with serve() as running:
        yield running


@pytest.fixture
def openai_simulator(
    _openai_simulator: Simulator, request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Simulator]:
    """A simulated OpenAI API on this machine, with an empty journal and no failures.

    Clients and routed models that are made during the test reach it by themselves, by the variables that
    OpenAI's SDK reads, and decide for its day. The marker
    ``openai_simulator(at="2027-01-15", faults=["500"])`` sets day and failures; the setting
    ``openai_simulator_at`` sets the day of all tests.
    """
    simulator = _openai_simulator
    mark = request.node.get_closest_marker(MARKER)
    asked: dict[str, Any] = {"at": request.config.getini("openai_simulator_at") or None, "faults": ()}
    asked.update(mark.kwargs if mark is not None else {})
    at, faults = asked.pop("at"), asked.pop("faults")
    if asked or (mark is not None and mark.args):
        wrong = ", ".join(asked) or "arguments without a name"
        raise pytest.UsageError(f"The marker {MARKER} takes no {wrong}. Give it at=... and faults=[...].")
    simulator.reset()
    _forget_routers()
    simulator.at = at
    for fault in faults:
        simulator.faults.add(fault)
    for name in ("OPENAI_BASE_URL", "OPENAI_API_BASE"):  # the second is the one that LlamaIndex reads
        monkeypatch.setenv(name, simulator.url)
    monkeypatch.setenv("OPENAI_API_KEY", "simulated")
    for name in ("OPENAI_ORG_ID", "OPENAI_PROJECT_ID", "OPENAI_PROXY"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    monkeypatch.setattr(
        "routed_llm.calls.router._now",
        lambda: datetime.combine(simulator.at, datetime.now(UTC).timetz()),
    )
    yield simulator
    simulator.reset()
    _forget_routers()


def _forget_routers() -> None:
    """Let the next model make a new router, so that no test depends on another's failures or day."""
    if (adapting := sys.modules.get("routed_llm.calls.adapting")) is not None:
        adapting.forget_shared()
