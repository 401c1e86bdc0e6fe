"""Every way to call, in both adapters, and a simulator that a lying server may stand before."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))

from attack_support import DAY

from routed_llm.simulator import Simulator, serve


@pytest.fixture(scope="module")
def _simulated() -> Iterator[Simulator]:
    with serve(at=DAY) as running:
        yield running


@pytest.fixture
def sim(_simulated: Simulator) -> Simulator:
    """A provider that tells the truth."""
    _simulated.reset()
    return _simulated


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Let the sockets of a client end with it: langchain-openai keeps clients and closes none itself.

    Connections to servers that are gone are closed by the garbage collector, some test later.
    """
    here = Path(__file__).parent
    for item in items:
        if here in item.path.parents:
            item.add_marker(pytest.mark.filterwarnings("ignore:Exception ignored in. <socket"))
