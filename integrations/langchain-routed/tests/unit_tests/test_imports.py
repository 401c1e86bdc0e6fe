"""What the package offers."""

from __future__ import annotations

import subprocess
import sys
from importlib.metadata import version

import langchain_routed


def test_the_public_names() -> None:
    """A name more or less is a decision, not an accident."""
    assert sorted(langchain_routed.__all__) == ["RoutedChatModel", "__version__"]
    assert all(hasattr(langchain_routed, name) for name in langchain_routed.__all__)


def test_the_version_is_the_distributions() -> None:
    """The version in the code is the one that is installed."""
    assert langchain_routed.__version__ == version("langchain-routed")


def test_importing_it_loads_nothing_that_a_call_may_never_need() -> None:
    """No vocabulary, PDF reader or image library is loaded before it is needed."""
    code = "import sys, langchain_routed; print([m for m in ('pypdf', 'PIL', 'tinytag') if m in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
