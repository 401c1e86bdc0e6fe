"""Run public LlamaIndex notebooks against the simulator, as they are and with the constructor changed.

The notebooks are LlamaIndex's own examples (``docs/examples`` in its public repository); name the files::

    python -m benchmarks.llama_index.notebooks function_calling_agent.ipynb react_agent.ipynb

The one change is ``OpenAI(...)`` to ``RoutedLLM(...)`` with its import. Lines for the notebook's shell
(``%pip``, ``!pip``) are left out, and embeddings are LlamaIndex's mock. Notebooks run as the code they
are: look at them first.
"""

from __future__ import annotations

import argparse
import ast
import asyncio
import collections
import contextlib
import inspect
import io
import json
import os
import re
import sys
import traceback
import types
from datetime import date
from pathlib import Path
from typing import Any

from llama_index.core import Settings
from llama_index.core.embeddings import MockEmbedding
from routed_llm.simulator import Simulator, serve

TODAY = date(2026, 11, 22)


def cells(path: Path, *, routed: bool) -> list[str]:
    """Return a notebook's code cells, with the constructor changed if asked."""
    notebook = json.loads(path.read_text(encoding="utf-8"))
    sources = ["".join(cell["source"]) for cell in notebook["cells"] if cell["cell_type"] == "code"]
    kept = ["\n".join(li for li in text.splitlines() if not li.startswith(("%", "!"))) for text in sources]
    if not routed:
        return kept
    renamed = [
        text.replace(
            "from llama_index.llms.openai import OpenAI", "from llama_index.llms.routed import RoutedLLM"
        )
        for text in kept
    ]
    return [re.sub(r"(?<![\w.])OpenAI\(", "RoutedLLM(", text) for text in renamed]


async def execute(sources: list[str]) -> str | None:
    """Run cells one after another in one namespace; return the error of the first that fails."""
    # A module of its own: pydantic looks up a class's annotations in the module that it names.
    module = sys.modules["notebook"] = types.ModuleType("notebook")
    namespace: dict[str, Any] = vars(module)
    for number, source in enumerate(sources, 1):
        try:
            code = compile(source, f"cell {number}", "exec", flags=ast.PyCF_ALLOW_TOP_LEVEL_AWAIT)
            result = eval(code, namespace)
            if inspect.isawaitable(result):
                await result
        except Exception as error:  # noqa: BLE001 - whatever a notebook raises is its result here
            where = traceback.extract_tb(error.__traceback__)[-1]
            return (
                f"cell {number}: {type(error).__name__}: {str(error)[:160]} ({where.filename}:{where.lineno})"
            )
    return None


def run(path: Path, sim: Simulator, *, routed: bool) -> str:
    """Run one notebook and return its row of the table."""
    sim.reset()
    with contextlib.redirect_stdout(io.StringIO()):
        problem = asyncio.run(execute(cells(path, routed=routed)))
    entries = sim.journal
    models = collections.Counter(entry.model for entry in entries)
    return (
        f"| {path.stem} | {'RoutedLLM' if routed else 'OpenAI'} | {problem or 'ran to its end'} "
        f"| {len(entries)} | {len(sim.refused)} | {sim.billed:.5f} "
        f"| {', '.join(f'{name} {count}' for name, count in models.most_common())} |"
    )


def main() -> None:
    """Print a table with two rows for each notebook."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("notebooks", type=Path, nargs="+", help="notebook files")
    paths = parser.parse_args().notebooks
    print("| notebook | class | outcome | calls | refused | US dollars | models |")
    print("| --- | --- | --- | ---: | ---: | ---: | --- |")
    with serve(at=TODAY) as sim:
        Settings.embed_model = MockEmbedding(embed_dim=8)
        os.environ.update(OPENAI_API_KEY="simulated", OPENAI_API_BASE=sim.url)
        for path in paths:
            for routed in (False, True):
                print(run(path, sim, routed=routed), flush=True)


if __name__ == "__main__":
    main()
