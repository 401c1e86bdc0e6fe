"""Measure `routed migrate` on public projects: python scripts/measure_migration.py [--seed=N] OUT FOLDER...

Each folder is copied, searched and rewritten; then every rewritten file is checked, and the rewritten
copy is searched again. Prints a table, and writes to OUT the occurrences and a random
sample of 100 of them to be read by eye. The checkouts and the copies are never part of this repository.
"""

from __future__ import annotations

import csv
import json
import random
import re
import shutil
import sys
import time
from collections import Counter
from pathlib import Path

from routed_llm.migrate import Kind, Migration, Occurrence, Options, migrate
from routed_llm.migrate.files import Walk
from routed_llm.migrate.ids import shared

SAMPLE = 100


def main(out: Path, folders: list[Path], seed: int) -> None:
    """Measure every folder and print the table."""
    out.mkdir(parents=True, exist_ok=True)
    everything: list[tuple[str, Occurrence]] = []
    heads = ("project", "files", *map(str, Kind), "missed", "edited", "broken", "again", "seconds")
    print("| " + " | ".join(heads) + " |\n|" + "---|" * len(heads))
    total: Counter[str] = Counter()
    for folder in folders:
        row, found = measure(folder, out)
        everything += [(folder.name, item) for item in found.occurrences]
        total.update({key: value for key, value in row.items() if key != "project"})
        print("| " + " | ".join(str(row[head]) for head in heads) + " |", flush=True)
    print("| all | " + " | ".join(str(round(total[head], 1)) for head in heads[1:]) + " |")
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
    again = migrate(copy, Options(at="2026-11-22"))
    row: dict[str, object] = {"project": folder.name, "files": found.searched}
    row.update({str(kind): number for kind, number in found.count().items()})
    row.update(
        missed=missed(folder, found),
        edited=len(written),
        broken=len(broken),
        again=len(again.changes),
        seconds=round(seconds, 1),
    )
    return row, found


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
