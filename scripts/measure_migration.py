"""Measure `routed migrate` on public projects: python scripts/measure_migration.py [--seed=N] OUT FOLDER...

Each folder is copied, searched and rewritten; then every rewritten file is checked, the rewritten modules
and what imports them are imported before and after (packages that are not installed are made light), and
the copy is searched again. Prints a table, the share of live choices that are rewritten or traced, and what
is left by cause; writes to OUT the occurrences and a random sample of 100 of them to be read by eye. The
projects that it was last run on are langchain-ai's langchain-academy, langgraph, open_deep_research,
rag-from-scratch and executive-ai-assistant, NirDiamant's GenAI_Agents and RAG_Techniques, Chainlit/cookbook,
run-llama/llamacloud-demo, crewAIInc/crewAI-examples, jxnl/instructor, explodinggradients/ragas,
stanford-oval/storm, assafelovic/gpt-researcher and Shubhamsaboo/awesome-llm-apps. The checkouts and the
copies are never part of this repository.
"""

from __future__ import annotations

import csv
import json
import os
import random
import re
import shutil
import subprocess
import sys
import time
from collections import Counter
from pathlib import Path

from routed_llm.cli.migrate_table import by_cause
from routed_llm.migrate import Kind, Migration, Occurrence, Options, migrate
from routed_llm.migrate.files import Walk
from routed_llm.migrate.ids import shared
from routed_llm.migrate.modules import Modules, imports_of

SAMPLE = 100
SECONDS = 30
BROWSER = (".ts", ".tsx", ".js", ".jsx", ".mjs", ".cjs", ".vue", ".svelte")

LIGHT = """
import importlib.machinery, os, runpy, signal, sys, types
from unittest.mock import MagicMock

# What most of them import is imported once; each is then imported in a process of its own.
import langchain.agents, langchain_openai, langchain_routed, llama_index.llms.routed, openai_routed

ROOT = os.path.realpath(sys.argv[1]) + os.sep

class Kind(type):
    def __getattr__(cls, name):
        if name.startswith("__"):
            raise AttributeError(name)
        return MagicMock()
    def __getitem__(cls, item):
        return cls
    def __iter__(cls):
        return iter(())

class Thing(metaclass=Kind):
    def __new__(cls, *_, **__):
        return object.__new__(cls)
    def __init__(self, *_, **__):
        pass
    def __getattr__(self, name):
        if name.startswith("__"):
            raise AttributeError(name)
        return MagicMock()
    def __call__(self, *_, **__):
        return MagicMock()
    def __or__(self, other):
        return MagicMock()
    __ror__ = __or__
    @classmethod
    def __get_pydantic_core_schema__(cls, *_):
        from pydantic_core import core_schema
        return core_schema.any_schema()

def asked_by_the_tree():
    frame = sys._getframe(2)
    while frame is not None and "importlib" in frame.f_code.co_filename:
        frame = frame.f_back
    return frame is not None and os.path.realpath(frame.f_code.co_filename).startswith(ROOT)

class Module(types.ModuleType):
    light = True
    __path__ = []
    def __getattr__(self, name):
        if name.startswith("__"):
            raise AttributeError(name)
        return Kind(name, (Thing,), {}) if name[:1].isupper() and not name.isupper() else MagicMock()
    def __call__(self, *_, **__):
        return MagicMock()

class Light:
    def find_spec(self, name, path=None, target=None):
        parent = sys.modules.get(name.rpartition(".")[0])
        if getattr(parent, "light", False) is True or asked_by_the_tree():
            return importlib.machinery.ModuleSpec(name, self, is_package=True)
    def create_module(self, spec):
        return Module(spec.name)
    def exec_module(self, module):
        pass

def imported(path):
    signal.alarm(int(sys.argv[2]))
    os.dup2(os.open(os.devnull, os.O_RDWR), 0)
    os.dup2(0, 1)
    os.dup2(0, 2)
    folder = os.path.dirname(path)
    os.chdir(folder)
    while (folder + os.sep).startswith(ROOT):
        sys.path.append(folder)
        folder = os.path.dirname(folder)
    sys.path.append(ROOT + "src")
    try:
        runpy.run_path(path, run_name="imported")
    except BaseException:
        os._exit(1)
    os._exit(0)

sys.meta_path.append(Light())
for line in sys.stdin.read().splitlines():
    child = os.fork() or imported(ROOT + line)
    if os.waitpid(child, 0)[1] == 0:
        print(line, flush=True)
"""
"""Imports a module with a light one in the place of each that the tree asks for and that is not there."""


def main(out: Path, folders: list[Path], seed: int) -> None:
    """Measure every folder and print the table."""
    out.mkdir(parents=True, exist_ok=True)
    everything: list[tuple[str, Occurrence]] = []
    checks = ("missed", "edited", "broken", "imports", "unimportable", "again", "seconds")
    heads = ("project", "files", *map(str, Kind), *checks)
    print("| " + " | ".join(heads) + " |\n|" + "---|" * len(heads))
    total: Counter[str] = Counter()
    for folder in folders:
        row, found = measure(folder, out)
        everything += [(folder.name, item) for item in found.occurrences]
        total.update({key: value for key, value in row.items() if key != "project"})
        print("| " + " | ".join(str(row[head]) for head in heads) + " |", flush=True)
    print("| all | " + " | ".join(str(round(total[head], 1)) for head in heads[1:]) + " |\n")
    causes([item for _, item in everything])
    write_rows(out / "occurrences.csv", everything)
    # Most places are texts and tests; half of the sample comes from those that are acted on.
    acted = [item for item in everything if item[1].kind in (Kind.REWRITE, Kind.TRACE, Kind.REPORT)]
    others = [item for item in everything if item not in acted]
    chance = random.Random(seed)
    picked = chance.sample(acted, min(SAMPLE // 2, len(acted)))
    write_rows(out / "sample.csv", picked + chance.sample(others, min(SAMPLE - len(picked), len(others))))


def measure(folder: Path, out: Path) -> tuple[dict[str, object], Migration]:
    """Search, rewrite and search again a copy of one folder."""
    copy = out / "copies" / folder.name
    if copy.exists():
        shutil.rmtree(copy)
    shutil.copytree(folder, copy, symlinks=True)
    begun = time.perf_counter()
    found = migrate(copy, Options(at="2026-11-22"))
    seconds = time.perf_counter() - begun
    before = {path: (copy / path).read_bytes() for path in found.changes}
    written = found.write(dirty=True)
    broken = [path for path in written if not sound(copy / path, before[path])]
    tried, failed = imported(folder, copy, written)
    again = migrate(copy, Options(at="2026-11-22"))
    row: dict[str, object] = {"project": folder.name, "files": found.searched}
    row.update({str(kind): number for kind, number in found.count().items()})
    row.update(
        missed=missed(folder, found),
        edited=len(written),
        broken=len(broken),
        imports=tried,
        unimportable=len(failed),
        again=len(again.changes),
        seconds=round(seconds, 1),
    )
    for path in [*broken, *failed]:
        print(f"broken: {folder.name}/{path}", file=sys.stderr)
    return row, found


def causes(items: list[Occurrence]) -> None:
    """Print the share of live choices that are settled, and what is left by cause."""
    live = [item for item in items if item.kind in (Kind.REWRITE, Kind.TRACE, Kind.REPORT)]
    ours = [item for item in live if not item.path.endswith(BROWSER)]
    for name, chosen in (("live choices", live), ("without JavaScript and TypeScript", ours)):
        done = sum(item.kind is not Kind.REPORT for item in chosen)
        print(
            f"{name}: {len(chosen)}, of which rewritten or traced {done} ({done / max(len(chosen), 1):.1%})"
        )
    print("\n| left | cause |\n|---|---|")
    for cause, files in by_cause(item for item in ours if item.kind is Kind.REPORT):
        print(f"| {sum(map(len, files.values()))} | {cause.replace('|', '/')} |")


def imported(folder: Path, copy: Path, written: list[str]) -> tuple[int, list[str]]:
    """Import the rewritten modules and their importers, before and after; return what fails after only."""
    paths = [file.relative_to(copy).as_posix() for file in Walk(copy) if file.suffix == ".py"]
    modules = Modules(copy, paths, {})
    chosen = {path for path in written if path.endswith(".py")}
    for path in paths:
        try:
            names = imports_of((copy / path).read_text(encoding="utf-8", errors="replace")).values()
        except ValueError:
            continue
        reached = {
            place[0] for name in names for place in modules.trail(path, name) if not isinstance(place, str)
        }
        if reached & set(written):
            chosen.add(path)
    before = importable(folder, sorted(chosen))
    after = importable(copy, before)
    return len(before), [path for path in before if path not in after]


def importable(root: Path, paths: list[str]) -> list[str]:
    """Return the modules that can be imported, packages that are not installed made light."""
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", LIGHT, str(root), str(SECONDS)],
        env={
            "PATH": os.environ["PATH"],
            "OPENAI_API_KEY": "sk-none",
            "OPENAI_BASE_URL": "http://127.0.0.1:9",
        },
        input="\n".join(paths),
        capture_output=True,
        text=True,
        check=True,
    )
    return done.stdout.splitlines()


def missed(folder: Path, found: Migration) -> int:
    """Count what a plain search of the searched files finds and the findings lack."""
    ids = shared(None)
    names = sorted(
        (name for model in ids.catalog for name in (model.id, *model.snapshots, *model.aliases)), key=len
    )
    pattern = re.compile("|".join(map(re.escape, reversed(names))), re.IGNORECASE)
    known = Counter(item.path for item in found.occurrences)
    lacking = 0
    for file in Walk(folder):
        text = file.read_bytes().decode("utf-8", "replace")
        if "\0" in text:
            continue
        hits = [match[0] for match in pattern.finditer(text) if ids.ending(match[0]) is not None]
        lacking += max(len(hits) - known[file.relative_to(folder).as_posix()], 0)
    return lacking


def sound(file: Path, before: bytes) -> bool:
    """Say whether a rewritten file is what it was: Python that compiles, a notebook that opens."""
    data = file.read_bytes()
    if file.suffix == ".py":
        try:
            compile(data, str(file), "exec", dont_inherit=True)
        except (SyntaxError, ValueError):
            return False
    if file.suffix == ".ipynb":
        old, new = json.loads(before), json.loads(data)
        rest = [{k: v for k, v in cell.items() if k != "source"} for cell in old["cells"]]
        if rest != [{k: v for k, v in cell.items() if k != "source"} for cell in new["cells"]]:
            return False
        try:
            import nbformat
        except ModuleNotFoundError:
            return True
        nbformat.validate(nbformat.reads(data.decode(), as_version=new["nbformat"]))
    return True


def write_rows(path: Path, rows: list[tuple[str, Occurrence]]) -> None:
    """Write occurrences as a table to read."""
    with path.open("w", newline="", encoding="utf-8") as stream:
        writer = csv.writer(stream)
        writer.writerow(("project", "path", "line", "id", "class", "why", "text"))
        for project, item in rows:
            writer.writerow((project, item.path, item.line, item.text, item.kind, item.why, item.snippet))


if __name__ == "__main__":
    words = sys.argv[1:]
    seed = int(words.pop(0).removeprefix("--seed=")) if words[0].startswith("--seed=") else 20261122
    main(Path(words[0]), [Path(name).resolve() for name in words[1:]], seed)
