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
