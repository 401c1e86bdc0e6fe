"""Every way to call, in both adapters, and a simulator that a lying server may stand before."""

from __future__ import annotations

import gc
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


@pytest.fixture(scope="module", autouse=True)
def _ends() -> Iterator[None]:
    """Let what a module's clients held end with it, and not in the middle of another module's tests."""
    yield
    gc.collect()


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Let the sockets of a client end with it: langchain-openai makes clients and closes none itself.

    Which of a collected client's parts ends first is up to the garbage collector; where it is the socket,
    Python says so.
    """
    here = Path(__file__).parent
    for item in items:
        if here in item.path.parents:
            item.add_marker(pytest.mark.filterwarnings("ignore:Exception ignored in. <socket"))
