"""Importing routed_llm stays quick: what not every call needs is imported when it is used."""

from __future__ import annotations

import subprocess
import sys

import pytest

import routed_llm
from routed_llm import recovery, rollout

HEAVY = (
    "asyncio",
    "hashlib",
    "logging",
    "mimetypes",
    "numpy",
    "pydantic",
    "random",
    "sqlite3",
    "tiktoken",
    "toktok",
)
LATE = (
    "routed_llm.recovery.attempts",
    "routed_llm.request.files",
    "routed_llm.rollout.ladder",
    "routed_llm.rollout.trial",
    "routed_llm.tokens.pdf",
)


def test_import_loads_nothing_heavy() -> None:
    """Neither a vocabulary nor what only failures, media files and rollouts need is imported."""
    code = f"import sys, routed_llm; print([name for name in {HEAVY + LATE} if name in sys.modules])"
    done = subprocess.run(
        [sys.executable, "-c", code], check=True, capture_output=True, text=True, timeout=60
    )
    assert done.stdout == "[]\n"


@pytest.mark.parametrize("module", [routed_llm, recovery, rollout], ids=lambda module: module.__name__)
def test_every_public_name_is_there(module: object) -> None:
    """A name that is imported late is there like any other."""
    for name in module.__all__:  # type: ignore[attr-defined]
        assert getattr(module, name) is not None, name
    with pytest.raises(AttributeError, match=r"^module '[a-z_.]+' has no attribute 'nothing'$"):
        _ = module.nothing  # type: ignore[attr-defined]


def test_completion_shows_public_names() -> None:
    """`dir()` of the package is what it promises, and what is imported later is there, too."""
    assert dir(routed_llm) == sorted(routed_llm.__all__)
    assert all(hasattr(routed_llm, name) for name in dir(routed_llm))
