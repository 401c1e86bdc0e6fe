"""Measure how fast a large tree is searched: python scripts/measure_search.py [--files=N] OUT FOLDER...

Files of the folders (checkouts of public projects) are copied, round after round, until there are N (10,000
when left out); then `routed migrate` searches them on two processes, with its progress bar on a terminal.
Prints seconds, and the most memory that any of its processes used.
"""

from __future__ import annotations

import os
import pty
import resource
import shutil
import subprocess
import sys
import threading
import time
from pathlib import Path

from routed_llm.migrate.files import Walk

RUN = "import sys; from routed_llm.cli import main; sys.exit(main())"


def main(out: Path, folders: list[Path], number: int) -> None:
    """Lay the tree out, search it and print the figures."""
    tree = out / "tree"
    shutil.rmtree(tree, ignore_errors=True)
    files = [(folder, file) for folder in folders for file in Walk(folder)]
    for place in range(number):
        folder, file = files[place % len(files)]
        target = tree / f"round{place // len(files)}" / folder.name / file.relative_to(folder)
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(file, target)
    size = sum(file.stat().st_size for file in tree.rglob("*") if file.is_file())
    screen, terminal = pty.openpty()
    shown: list[bytes] = []
    reader = threading.Thread(target=_read, args=(screen, shown), daemon=True)
    reader.start()
    begun = time.perf_counter()
    command = [
        sys.executable,
        "-c",
        RUN,
        "migrate",
        str(tree),
        "--html",
        str(out / "report.html"),
    ]
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL, stderr=terminal)
    seconds = time.perf_counter() - begun
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    os.close(terminal)
    reader.join(2)
    bar = b"searching" in b"".join(shown)
    spent = used.ru_utime + used.ru_stime
    print(f"{number:,} files, {size / 1e6:.0f} MB: {seconds:.1f} s, {spent:.1f} s of CPU,")
    shown_or_not = "shown" if bar else "not shown"
    print(f"at most {used.ru_maxrss / 1e3:.0f} MB in a process, progress bar {shown_or_not}")


def _read(screen: int, shown: list[bytes]) -> None:
    while True:
        try:
            data = os.read(screen, 65536)
        except OSError:
            return
        if not data:
            return
        shown.append(data)


if __name__ == "__main__":
    words = [word for word in sys.argv[1:] if not word.startswith("--files=")]
    given = [int(word.removeprefix("--files=")) for word in sys.argv[1:] if word.startswith("--files=")]
    main(Path(words[0]), [Path(name).resolve() for name in words[1:]], (given or [10_000])[0])
