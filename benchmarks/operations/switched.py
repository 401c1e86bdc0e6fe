"""Steered while it runs: 32 callers, whose policy, catalog, pin and mode change meanwhile, well and badly.

    python -m benchmarks.operations.switched

The program is a process of its own on openai-routed; the provider is the simulator in this one. Files are
changed from here; variables, which nobody can change in another process, the program sets when it is asked
to. Reported: for each change, seconds until the program's log has its line; calls made, calls failed, and who
answered after it.
"""

from __future__ import annotations

import argparse
import json
import os
import queue
import subprocess
import sys
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import date
from pathlib import Path
from typing import Any

from routed_llm.simulator import serve

CALLERS = 32
DAY = date(2026, 11, 29)
WANTED = 2.0
"""Seconds within which each change is to be in the log."""


def run_program() -> None:
    """Call with 32 threads until stdin ends; say each call and each event as a line of JSON."""
    import logging

    import httpx
    from openai_routed import OpenAI

    from routed_llm import Router

    lines: queue.SimpleQueue[dict[str, Any] | None] = queue.SimpleQueue()
    handler = logging.Handler()
    handler.emit = lambda record: lines.put(  # type: ignore[method-assign] # the shortest handler
        {"event": getattr(record, "event", ""), "line": record.getMessage(), "at": time.time()}
    )
    logging.getLogger("routed_llm").addHandler(handler)
    logging.getLogger("routed_llm").setLevel(logging.INFO)
    router = Router(clock=lambda: DAY)
    http = httpx.Client(limits=httpx.Limits(max_connections=CALLERS), timeout=60)
    client = OpenAI(router=router, api_key="any", http_client=http, max_retries=0)
    ended = threading.Event()

    def caller() -> None:
        while not ended.is_set():
            began = time.time()
            try:
                answer: Any = client.chat.completions.create(
                    model="gpt-4o", messages=[{"role": "user", "content": "Hello"}], temperature=0.5
                )
                lines.put({"call": answer.routing["model"], "at": began})
            except Exception as error:  # noqa: BLE001 - whatever it is, it is a failed call
                lines.put({"failed": repr(error), "at": time.time()})
            ended.wait(0.05)

    def writer() -> None:
        while (line := lines.get()) is not None:
            print(json.dumps(line), flush=True)

    threads = [threading.Thread(target=caller) for _ in range(CALLERS)]
    writing = threading.Thread(target=writer)
    for thread in (*threads, writing):
        thread.start()
    for command in sys.stdin:
        name, _, value = command.strip().partition("=")
        if value:
            os.environ[name] = value
        else:
            os.environ.pop(name, None)
    ended.set()
    for thread in threads:
        thread.join()
    lines.put(None)
    writing.join()


@dataclass
class Program:
    """What was heard of a running program."""

    process: subprocess.Popen[str]
    events: list[dict[str, Any]] = field(default_factory=list)
    calls: Counter[str] = field(default_factory=Counter)
    recent: list[tuple[float, str]] = field(default_factory=list)
    failed: list[str] = field(default_factory=list)

    def listen(self) -> None:
        """Read to the end."""
        assert self.process.stdout is not None
        for text in self.process.stdout:
            line = json.loads(text)
            if "call" in line:
                self.calls[line["call"]] += 1
                self.recent.append((line["at"], line["call"]))
            elif "failed" in line:
                self.failed.append(line["failed"])
            else:
                self.events.append(line)

    def set(self, name: str, value: str = "") -> None:
        """Set a variable of the program, or take it out."""
        assert self.process.stdin is not None
        self.process.stdin.write(f"{name}={value}\n")
        self.process.stdin.flush()

    def awaited(self, event: str, words: str, since: float) -> float:
        """Return the seconds until the log had a line."""
        end = time.monotonic() + 30
        while True:
            for line in list(self.events):
                if line["at"] >= since and line["event"] == event and words in line["line"]:
                    return float(line["at"]) - since
            assert time.monotonic() < end, (event, words, self.events[-5:], self.failed[:3])
            time.sleep(0.01)

    def answering(self) -> str:
        """Return who answers calls that begin from now on; one thread may just be taking up what is new."""
        since, end = time.time() + 0.1, time.monotonic() + 60
        while True:
            found = [model for began, model in list(self.recent) if began >= since]
            if len(found) >= CALLERS or time.monotonic() > end:
                return Counter(found).most_common(1)[0][0]
            time.sleep(0.01)


@contextmanager
def running(folder: Path, url: str) -> Iterator[Program]:
    """Run the program until all that it said is read."""
    environment = {
        **{name: value for name, value in os.environ.items() if not name.startswith("ROUTED_")},
        "OPENAI_BASE_URL": url,
        "ROUTED_POLICY": str(folder / "policy.toml"),
        "ROUTED_CATALOG": str(folder / "models"),
    }
    command = [sys.executable, "-m", "benchmarks.operations.switched", "--program"]
    process = subprocess.Popen(
        command, env=environment, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    program = Program(process)
    listening = threading.Thread(target=program.listen)
    listening.start()
    try:
        end = time.monotonic() + 120
        while sum(program.calls.values()) < CALLERS:
            assert process.poll() is None, "the program ended"
            assert time.monotonic() < end, program.failed[:3]
            time.sleep(0.01)
        yield program
    finally:
        assert process.stdin is not None
        process.stdin.close()
        process.wait(60)
        listening.join()
        assert process.stdout is not None
        process.stdout.close()


def written(path: Path, text: str) -> None:
    """Put a file in place as a whole."""
    rough = path.with_suffix(".new")
    rough.write_text(text)
    rough.replace(path)


# Each is given the program and the folder; most need one of them.
Change = tuple[str, Callable[[Program, Path], Any], str, str, str | None]
CHANGES: list[Change] = [
    (
        "policy, by file",
        lambda _, folder: written(folder / "policy.toml", 'models = ["gpt-4.1"]\n'),
        "switch",
        "policy.models is now ['gpt-4.1']",
        "gpt-4.1",
    ),
    (
        "policy, broken",
        lambda _, folder: written(folder / "policy.toml", 'models = ["gpt-4.1"\nmax_secnds = 3\n'),
        "switch_refused",
        "is not TOML",
        "gpt-4.1",
    ),
    (
        "policy, a wrong key",
        lambda _, folder: written(folder / "policy.toml", "max_secnds = 3\n"),
        "switch_refused",
        "'max_secnds' is not a keyword of Policy. Did you mean 'max_seconds'?",
        "gpt-4.1",
    ),
    (
        "mode off, by file",
        lambda _, folder: written(folder / "policy.toml", '[switches]\nmode = "off"\n'),
        "switch",
        "mode is now off",
        "gpt-4o",
    ),
    (
        "pin, by variable",
        lambda program, _: program.set("ROUTED_PIN", "gpt-5.4@low"),
        "switch",
        "pin is now gpt-5.4@low",
        "gpt-5.4",
    ),
    (
        "mode, by variable",
        lambda program, _: program.set("ROUTED_MODE", "off"),
        "switch",
        "mode is now off (before: pin)",
        "gpt-4o",
    ),
    (
        "pin, that there is not",
        lambda program, _: (program.set("ROUTED_MODE"), program.set("ROUTED_PIN", "gpt-9")),
        "switch_refused",
        "gpt-9",
        "gpt-4o",
    ),
    (
        "catalog, a model more",
        lambda program, folder: (
            program.set("ROUTED_PIN", "gpt-5.4@low"),
            written(folder / "models" / "own.toml", 'id = "own"\nbase = "gpt-4.1"\nsent_as = "gpt-4.1"\n'),
        ),
        "switch",
        "catalog is now",
        "gpt-5.4",
    ),
    (
        "catalog, broken",
        lambda _, folder: written(folder / "models" / "own.toml", 'id = "own"\nbas = "gpt-4.1"\n'),
        "switch_refused",
        "own.toml: bas: unknown key",
        "gpt-5.4",
    ),
    (
        "catalog, whole again, and routed",
        lambda program, folder: (
            program.set("ROUTED_PIN"),
            program.set("ROUTED_MODE"),
            written(folder / "policy.toml", 'models = ["own"]\nat_least = "gpt-4.1"\n'),
            written(
                folder / "models" / "own.toml", 'id = "own"\nbase = "gpt-4.1"\nsent_as = "gpt-4.1"\n# again\n'
            ),
        ),
        "switch",
        "mode is now route",
        "own",
    ),
]


def measured() -> tuple[list[tuple[str, float, str]], Program]:
    """Make each change once, and return its seconds and who answered after it."""
    rows = []
    with serve(at=DAY) as simulator, tempfile.TemporaryDirectory() as place:
        folder = Path(place)
        (folder / "models").mkdir()
        (folder / "models" / "other.toml").write_text('id = "other"\nbase = "gpt-4.1"\n')
        (folder / "policy.toml").write_text("")
        with running(folder, simulator.url) as program:
            for name, change, event, words, model in CHANGES:
                since = time.time()
                change(program, folder)
                seconds = program.awaited(event, words, since)
                answering = program.answering()
                assert model in (None, answering), (name, model, answering)
                rows.append((name, seconds, answering))
    return rows, program


def main() -> int:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--program", action="store_true", help=argparse.SUPPRESS)
    if parser.parse_args().program:
        run_program()
        return 0
    rows, program = measured()
    print(f"{'change':<36} {'in the log after':>16}  who answers then")
    for name, seconds, answering in rows:
        print(f"{name:<36} {seconds:>14.2f} s  {answering}")
    print(
        f"{sum(program.calls.values()):,} calls by {CALLERS} callers, {len(program.failed)} failed; "
        f"longest {max(seconds for _, seconds, _ in rows):.2f} s (wanted: {WANTED:.0f})"
    )
    return int(bool(program.failed) or max(seconds for _, seconds, _ in rows) > WANTED)


if __name__ == "__main__":
    raise SystemExit(main())
