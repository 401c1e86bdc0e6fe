"""Run rewritten programs after the old models have stopped: python scripts/measure_programs.py OUT FOLDER...

Each folder (a checkout of a public project) is copied twice and one copy is rewritten. Every program and
notebook that was rewritten, and whose imports are installed here, is then run from both copies against
the simulator on 2027-01-15, with nothing but the loopback to reach. Prints what was sent and refused.
Notebooks are executed as they stand, with a fresh kernel each. What the programs import beside the packages
of this repository has to be installed for it (pip install ipykernel nbclient langchain-community
langchain-text-splitters langchain-tavily trustcall llama-index-embeddings-openai
llama-index-vector-stores-faiss llama-index-readers-file).
The checkouts and the copies are never part of this repository.
"""

from __future__ import annotations

import ast
import importlib.util
import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
from datetime import date
from pathlib import Path
from typing import NamedTuple

from routed_llm.migrate import Options, migrate
from routed_llm.migrate.views import masked
from routed_llm.simulator import serve

DAY = date(2027, 1, 15)
SECONDS = 300
EARLIER = {"gpt-3.5-turbo": "gpt-4o-mini", "gpt-3.5-turbo-0125": "gpt-4o-mini", "gpt-4": "gpt-4o"}
"""Baselines for models that stopped earlier, as --map names them."""

STARTUP = """
import builtins, datetime, getpass, socket
try:
    import routed_llm.calls.router as router
except ImportError:  # a kernel's helper, which is another interpreter
    router = None
else:
    moment = datetime.datetime(2027, 1, 15, 12, tzinfo=datetime.timezone.utc)
    router._now = lambda: moment
real = socket.socket.connect
def connect(self, address):
    if isinstance(address, tuple) and address[0] not in ("127.0.0.1", "::1", "localhost"):
        raise OSError(f"{address[0]} is not to be reached here")
    return real(self, address)
socket.socket.connect = connect
builtins.input = getpass.getpass = lambda *_: "q"
import base64
try:
    from langchain_core.runnables.graph import Graph
except ImportError:
    pass
else:
    picture = base64.b64decode(
        "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg=="
    )
    Graph.draw_mermaid_png = lambda *_, **__: picture  # a web service draws it
try:
    from openai.resources import embeddings
    from openai.types import CreateEmbeddingResponse
except ImportError:
    pass
else:
    import random
    def embed(_, *, input, model="", dimensions=1536, **__):
        rows = [
            {"object": "embedding", "index": place, "embedding": [random.Random(f"{text}{i}").uniform(-1, 1)
             for i in range(dimensions)]}
            for place, text in enumerate([input] if isinstance(input, str) else input)
        ]
        used = {"prompt_tokens": 0, "total_tokens": 0}
        return CreateEmbeddingResponse(object="list", model=model, data=rows, usage=used)
    async def embed_later(_, **given):
        return embed(_, **given)
    embeddings.Embeddings.create = embed  # the simulator has no embeddings, and they are not routed
    embeddings.AsyncEmbeddings.create = embed_later
"""
"""What each interpreter runs first (as ``sitecustomize``): the day, and no network but the loopback."""

NOTEBOOK = """
import sys
import nbclient, nbformat
notebook = nbformat.read(sys.argv[1], as_version=4)
nbclient.NotebookClient(notebook, timeout=600, kernel_name="python3").execute()
"""
"""Executes a notebook, every cell of it, with a fresh kernel."""


class Run(NamedTuple):
    """One run of a program.

    Attributes:
        sent: requests that it sent.
        refused: requests that the simulator refused.
        end: how it ended: ``done``, or its last line.
    """

    sent: int
    refused: int
    end: str


def main(out: Path, folders: list[Path]) -> None:
    """Run the programs of every folder and print the table."""
    out.mkdir(parents=True, exist_ok=True)
    shown = [("program", "before: sent", "refused", "end", "after: sent", "refused", "end")]
    passed = left = 0
    print("| " + " | ".join(shown[0]) + " |\n|" + "---|" * len(shown[0]))
    for folder in folders:
        before, after = (out / name / folder.name for name in ("before", "after"))
        for copy in (before, after):
            shutil.rmtree(copy, ignore_errors=True)
            shutil.copytree(folder, copy, symlinks=True)
        migrate(after, Options(at="2026-11-22", models=EARLIER)).write(dirty=True)
        for path in programs(before, after):
            missing = lacking(before / path, before)
            if missing:
                left += 1
                print(f"{folder.name}/{path}: not run, {', '.join(missing)} not installed", file=sys.stderr)
                continue
            first, second = run(before / path), run(after / path)
            if not first.sent + second.sent:
                left += 1
                print(f"{folder.name}/{path}: asks no model ({second.end})", file=sys.stderr)
                continue
            passed += bool(first.refused and second.sent and not second.refused)
            row = (f"{folder.name}/{path}", *map(str, first), *map(str, second))
            print("| " + " | ".join(row) + " |", flush=True)
    print(f"{passed} programs are refused before and not after; {left} could not be run here.")


def programs(before: Path, after: Path) -> list[str]:
    """Return the rewritten Python programs and notebooks."""
    found = []
    for path in sorted([*after.rglob("*.py"), *after.rglob("*.ipynb")]):
        name = path.relative_to(after)
        if path.is_file() and path.read_bytes() != (before / name).read_bytes():
            found.append(name.as_posix())
    return found


def code_of(path: Path) -> str:
    """Return a program's Python; of a notebook that of its cells, shell lines and magics left out."""
    text = path.read_text(encoding="utf-8")
    if path.suffix == ".py":
        return text
    cells = [cell for cell in json.loads(text)["cells"] if cell["cell_type"] == "code"]
    return "\n".join(masked("".join(cell["source"])) or "" for cell in cells)


def lacking(path: Path, root: Path) -> list[str]:
    """Return the packages that a program imports and that are not installed here."""
    try:
        tree = compile(code_of(path), "<program>", "exec", ast.PyCF_ONLY_AST | ast.PyCF_ALLOW_TOP_LEVEL_AWAIT)
    except (SyntaxError, ValueError):
        return ["its own syntax"]
    names: set[str] = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            names.update(item.name for item in node.names)
        elif isinstance(node, ast.ImportFrom) and not node.level and node.module:
            names.add(node.module)
    own = {item.stem for item in path.parent.iterdir()} | {item.stem for item in root.iterdir()}
    return sorted({name for name in names if name.split(".")[0] not in own and not installed(name)})


def installed(name: str) -> bool:
    """Say whether a module can be imported here."""
    try:
        return importlib.util.find_spec(name) is not None
    except (ImportError, ValueError, AttributeError):
        return False


def run(path: Path) -> Run:
    """Run a program against a simulator of its own."""
    startup = Path(tempfile.mkdtemp(prefix="startup-"))
    (startup / "sitecustomize.py").write_text(STARTUP, encoding="utf-8")
    notebook = path.suffix == ".ipynb"
    with serve(at=DAY) as simulator:
        keys = dict.fromkeys(("OPENAI_API_KEY", "TAVILY_API_KEY", "LANGSMITH_API_KEY"), "sk-simulated")
        environment = {
            **{name: os.environ[name] for name in ("PATH", "HOME") if name in os.environ},
            **keys,
            "OPENAI_BASE_URL": simulator.url,
            "OPENAI_API_BASE": simulator.url,
            "LANGSMITH_TRACING": "false",
            "PIP_NO_INDEX": "1",
            "PYTHONPATH": os.pathsep.join((str(startup), str(path.parent))),
        }
        try:
            done = subprocess.run(
                [sys.executable, "-W", "ignore", *(["-c", NOTEBOOK] if notebook else []), str(path)],
                cwd=path.parent,
                env=environment,
                stdin=subprocess.DEVNULL,
                capture_output=True,
                text=True,
                timeout=SECONDS,
                check=False,
            )
            end = "done" if done.returncode == 0 else last_error(done.stderr)
        except subprocess.TimeoutExpired:
            end = f"ran for {SECONDS} s"
        journal = simulator.journal
        refused = [entry for entry in journal if entry.status >= 400]
        return Run(len(journal), len(refused), end.replace("|", "/"))


def last_error(output: str) -> str:
    """Return the name of the error that ended a program."""
    output = re.sub(r"\x1b\[[\d;]*m", "", output)
    found = re.findall(r"^([\w.]+(?:Error|Exception|Interrupt|Exit))\b", output, re.MULTILINE)
    found = [name for name in found if not name.endswith("CellExecutionError")]
    return found[-1].split(".")[-1] if found else "failed"


if __name__ == "__main__":
    main(Path(sys.argv[1]).resolve(), [Path(name).resolve() for name in sys.argv[2:]])
