"""The demo's last part: the LlamaIndex example of the repository."""

from __future__ import annotations

import contextlib
import io
import runpy
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path

import routed_llm

__all__ = ["EngineOutcome", "run_query_engine"]

EXAMPLE = Path(routed_llm.__file__).parents[2] / "examples" / "llama_index_query_engine.py"


@dataclass(frozen=True, slots=True, kw_only=True)
class EngineOutcome:
    """What came of the example.

    Attributes:
        skipped: why it was not run, or None.
        text: what it printed.
        refused: routed requests that its simulator refused.
    """

    skipped: str | None = None
    text: str = ""
    refused: int = 0


def run_query_engine() -> EngineOutcome:
    """Run the example's `main()`, which has a simulator of its own, if it and LlamaIndex are there."""
    if not EXAMPLE.is_file():
        return EngineOutcome(skipped="LlamaIndex: left out, the example is in the repository only.")
    if not _installed("llama_index.llms.routed"):
        return EngineOutcome(skipped="LlamaIndex: left out, `pip install llama-index-llms-routed` adds it.")
    printed = io.StringIO()
    with contextlib.redirect_stdout(printed):
        refused: int = runpy.run_path(str(EXAMPLE))["main"](why=False)
    return EngineOutcome(text=printed.getvalue(), refused=refused)


def _installed(module: str) -> bool:
    try:
        return find_spec(module) is not None
    except ModuleNotFoundError:  # one of the packages that it stands in
        return False
