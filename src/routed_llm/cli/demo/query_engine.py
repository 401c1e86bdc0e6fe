"""The demo's last part: the LlamaIndex example of the repository, on the same simulator."""

from __future__ import annotations

import contextlib
import io
import os
import runpy
from dataclasses import dataclass
from decimal import Decimal
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING

import routed_llm

if TYPE_CHECKING:
    from routed_llm.simulator import Simulator

__all__ = ["EngineOutcome", "run_query_engine"]

EXAMPLE = Path(routed_llm.__file__).parents[2] / "examples" / "llama_index_query_engine.py"


@dataclass(frozen=True, slots=True, kw_only=True)
class EngineOutcome:
    """What came of the example.

    Attributes:
        skipped: why it was not run, or None.
        text: what it printed.
        sent: requests that reached the simulator.
        refused: those of them that broke a rule of the API.
        billed: US dollars in the simulator's journal.
    """

    skipped: str | None = None
    text: str = ""
    sent: int = 0
    refused: int = 0
    billed: Decimal = Decimal(0)


def run_query_engine(simulator: Simulator) -> EngineOutcome:
    """Run the example's `main()` against the simulator, if it and LlamaIndex are there.

    Args:
        simulator: where the example's requests go, by the variables that OpenAI's SDK reads.
    """
    if not EXAMPLE.is_file():
        return EngineOutcome(skipped="LlamaIndex: left out, the example is in the repository only.")
    if find_spec("llama_index") is None or find_spec("llama_index.llms.routed") is None:
        return EngineOutcome(skipped="LlamaIndex: left out, `pip install llama-index-llms-routed` adds it.")
    os.environ["OPENAI_BASE_URL"] = os.environ["OPENAI_API_BASE"] = simulator.url
    os.environ["OPENAI_API_KEY"] = "simulated"
    printed = io.StringIO()
    with contextlib.redirect_stdout(printed):
        runpy.run_path(str(EXAMPLE))["main"]()
    return EngineOutcome(
        text=printed.getvalue(),
        sent=len(simulator.journal),
        refused=len(simulator.refused),
        billed=simulator.billed,
    )
