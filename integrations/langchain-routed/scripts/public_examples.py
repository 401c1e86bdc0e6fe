"""Run public example notebooks against the simulator with only the constructor line changed.

The notebooks are those of LangChain Academy, in a clone that you name; none of them is kept here. In every
code cell ``ChatOpenAI(`` becomes ``RoutedChatModel(``; shell and magic lines, keys and pictures are left out.

The last one needs the package trustcall.

Usage: python scripts/public_examples.py FOLDER [NOTEBOOK ...]
"""

from __future__ import annotations

import ast
import asyncio
import json
import os
import re
import sys
from collections import Counter
from contextlib import redirect_stdout
from datetime import date
from io import StringIO
from pathlib import Path
from types import ModuleType

from routed_llm.simulator import serve

NOTEBOOKS = (
    "module-1/chain.ipynb",
    "module-1/agent.ipynb",
    "module-1/agent-memory.ipynb",
    "module-2/chatbot-summarization.ipynb",
    "module-2/trim-filter-messages.ipynb",
    "module-5/memory_store.ipynb",
    "module-5/memory_agent.ipynb",
)
LEFT_OUT = re.compile(r"^\s*([%!]|_set_env\(|display\(|from IPython)", re.MULTILINE)


def cells(path: Path) -> list[str]:
    """Return a notebook's code, the constructor's name changed."""
    found = []
    for cell in json.loads(path.read_text(encoding="utf-8"))["cells"]:
        if cell["cell_type"] != "code":
            continue
        lines = [line for line in "".join(cell["source"]).splitlines() if not LEFT_OUT.match(line)]
        source = re.sub(r"\bChatOpenAI\(", "RoutedChatModel(", "\n".join(lines))
        source = re.sub(r"^(\s*)os\.environ\[.*$", r"\1pass", source, flags=re.MULTILINE)
        found.append(source)
    return found


async def run(path: Path) -> str | None:
    """Run a notebook; return None, or the first error."""
    # A module, since pydantic looks the names of annotations up in one.
    module = sys.modules["notebook"] = ModuleType("notebook")
    names = module.__dict__
    exec("from langchain_routed import RoutedChatModel", names)
    for number, source in enumerate(cells(path), 1):
        try:
            with redirect_stdout(StringIO()):
                code = compile(source, f"{path.name}[{number}]", "exec", flags=ast.PyCF_ALLOW_TOP_LEVEL_AWAIT)
                made = eval(code, names)
                if asyncio.iscoroutine(made):
                    await made
        except Exception as error:  # noqa: BLE001 - whatever it is, it is printed
            return f"cell {number}: {type(error).__name__}: {str(error)[:160]}"
    return None


def main() -> int:
    """Run the notebooks and print calls, models and errors; 1 when the simulator refused a request."""
    folder, *chosen = sys.argv[1:]
    refused = 0
    for name in chosen or NOTEBOOKS:
        with serve(at=date(2026, 11, 22)) as sim:
            os.environ.update(OPENAI_BASE_URL=sim.url, OPENAI_API_KEY="simulated", LANGSMITH_TRACING="false")
            error = asyncio.run(run(Path(folder) / name))
            models = Counter(f"{entry.model} ({entry.path.removeprefix('/v1/')})" for entry in sim.journal)
            refused += len(sim.refused)
            told = ", ".join(f"{count}x {model}" for model, count in models.items())
            print(f"{name}: {len(sim.journal)} calls, {len(sim.refused)} refused; {told}; {error or 'ok'}")
    return 1 if refused else 0


if __name__ == "__main__":
    sys.exit(main())
