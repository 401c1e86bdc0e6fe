"""A running simulator and SDK clients for the tests of this folder."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import date

import openai
import pytest

from routed_llm.simulator import Simulator, serve

TODAY = date(2026, 11, 22)


@pytest.fixture(scope="module")
def running() -> Iterator[Simulator]:
    """One server for a module."""
    with serve(at=TODAY) as simulator:
        yield simulator


@pytest.fixture
def simulator(running: Simulator) -> Simulator:
    """The module's server with nothing remembered."""
    running.reset()
    running.at = TODAY
    return running


@pytest.fixture
def client(simulator: Simulator) -> Iterator[openai.OpenAI]:
    """An SDK client that never retries."""
    with openai.OpenAI(base_url=simulator.url, api_key="any", max_retries=0, timeout=20) as found:
        yield found
