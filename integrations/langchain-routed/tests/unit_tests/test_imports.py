"""What the package offers, and what importing it does."""

from __future__ import annotations

import gc
import subprocess
import sys
from collections.abc import Iterator
from importlib.metadata import version

import langchain_routed
import pytest

from routed_llm.calls.adapting import paused_collector

LATER = (
    "PIL",
    "pypdf",
    "routed_llm.recovery.attempts",
    "routed_llm.simulator",
    "sqlite3",
    "tinytag",
)


def test_the_public_names() -> None:
    """A name more or less is a decision, not an accident."""
    assert sorted(langchain_routed.__all__) == ["CostCallbackHandler", "RoutedChatModel", "__version__"]
    assert all(hasattr(langchain_routed, name) for name in langchain_routed.__all__)


def test_the_version_is_the_distributions() -> None:
    """The version in the code is the one that is installed."""
    assert langchain_routed.__version__ == version("langchain-routed")


def test_importing_it_loads_nothing_that_a_call_may_never_need() -> None:
    """No vocabulary, reader of files, store or recovery is loaded before it is needed; the collector runs."""
    code = f"import gc, sys, langchain_routed; print({{*{LATER}}} & {{*sys.modules}}, gc.isenabled())"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "set() True"


@pytest.fixture
def collector() -> Iterator[None]:
    """The collector runs again after the test."""
    yield
    gc.enable()


@pytest.mark.usefixtures("collector")
@pytest.mark.parametrize("on", [True, False], ids=["on", "off"])
@pytest.mark.parametrize("fails", [False, True], ids=["returns", "raises"])
def test_a_pause_leaves_the_collector_as_it_was(*, on: bool, fails: bool) -> None:
    """It is off within, and afterwards what it was before, however the block ends."""
    (gc.enable if on else gc.disable)()
    if fails:
        with pytest.raises(ImportError), paused_collector():
            raise ImportError
    else:
        with paused_collector():
            assert not gc.isenabled()
    assert gc.isenabled() is on
