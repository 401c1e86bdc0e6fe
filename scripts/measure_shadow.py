"""Measure shadow mode on the simulator: python scripts/measure_shadow.py [CALLS].

The same mixed calls are made through RoutedChatModel in shadow (the baseline answers and the log says
what routing would have cost), in a rollout, and routed. Prints what the log says beside the
simulator's bills.
"""

from __future__ import annotations

import base64
import os
import random
import statistics
import struct
import sys
import tempfile
import time
import zlib
from collections import Counter
from datetime import date
from decimal import Decimal
from pathlib import Path
from typing import Any

from langchain_core.messages import HumanMessage
from langchain_core.tools import tool
from langchain_routed import RoutedChatModel
from pydantic import BaseModel

from routed_llm import Router, read_openai
from routed_llm.replay import read_log, summarize
from routed_llm.simulator import serve

DAY = date(2026, 11, 22)
WORDS = [
    "the",
    "report",
    "names",
    "seven",
    "rivers",
    "with",
    "bridges",
    "in",
    "order",
    "of",
    "age",
    "and",
    "cost",
]


class Answer(BaseModel):
    """A structured answer."""

    river: str
    bridges: int


@tool
def look_up(name: str) -> str:
    """Look a river up."""
    return name


def picture(side: int) -> str:
    """Return a square PNG as a data URL."""
    rows = b"".join(b"\0" + b"\x80" * 3 * side for _ in range(side))

    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    header = struct.pack(">IIBBBBB", side, side, 8, 2, 0, 0, 0)
    png = (
        b"\x89PNG\r\n\x1a\n"
        + chunk(b"IHDR", header)
        + chunk(b"IDAT", zlib.compress(rows))
        + chunk(b"IEND", b"")
    )
    return "data:image/png;base64," + base64.b64encode(png).decode()


def calls(number: int) -> list[tuple[str, Any]]:
    """Return kinds of call with their prompts, the same on every run."""
    chance = random.Random(7)
    image = picture(512)
    made: list[tuple[str, Any]] = []
    for place in range(number):
        text = f"{place}: " + " ".join(chance.choices(WORDS, k=chance.choice([12, 60, 400, 3000])))
        kind = chance.choice(["chat", "chat", "warm", "capped", "tools", "structured", "image", "stream"])
        blocks = [{"type": "text", "text": text}, {"type": "image_url", "image_url": {"url": image}}]
        made.append((kind, [HumanMessage(blocks)] if kind == "image" else text))
    return made


def make(kind: str, prompt: Any, router: Router) -> None:
    """Make one call."""
    settings: dict[str, Any] = {"warm": {"temperature": 0.3}, "capped": {"max_tokens": 80}}.get(kind, {})
    llm = RoutedChatModel(model="gpt-4o", router=router, **settings)
    if kind == "tools":
        llm.bind_tools([look_up]).invoke(prompt)
    elif kind == "structured":
        llm.with_structured_output(Answer).invoke(prompt)
    elif kind == "stream":
        for _ in llm.stream(prompt):
            pass
    else:
        llm.invoke(prompt)


def run(number: int, mode: str, log: Path, share: float = 0) -> tuple[Any, Any, int]:
    """Make the calls in a mode; return the log's summary, the bill by model, and how many were refused."""
    with serve(at=DAY) as simulator:
        os.environ.update(OPENAI_BASE_URL=simulator.url, OPENAI_API_KEY="sk-simulated")
        router = Router(mode=mode, share=share, log=log, clock=lambda: DAY)
        for kind, prompt in calls(number):
            make(kind, prompt, router)
        bill: Counter[str] = Counter()
        sent: Counter[str] = Counter()
        for entry in simulator.journal:
            sent[str(entry.model)] += 1
            bill[str(entry.model)] += Decimal(str(entry.dollars or 0))  # type: ignore[assignment]
        return summarize(read_log(log)), (bill, sent), len(simulator.refused)


def overhead(log: Path) -> None:
    """Print what shadow adds to a decision."""
    body = {
        "model": "gpt-4o",
        "messages": [{"role": "user", "content": " ".join(WORDS * 4)}],
        "temperature": 0.2,
    }
    routers = {
        "route": Router(clock=lambda: DAY),
        "shadow": Router(mode="shadow", log=log, clock=lambda: DAY),
    }
    spent: dict[str, list[float]] = {name: [] for name in routers}
    from routed_llm import Usage

    for _ in range(3000):
        for name, router in routers.items():
            begun = time.perf_counter()
            decision = router.decide(read_openai({**body, "model": None}))
            router.begin(decision).settle(
                Usage(input_tokens=90, output_tokens=50), served="gpt-4o-2024-08-06"
            )
            spent[name].append(time.perf_counter() - begun)
    medians = {name: statistics.median(times) * 1e6 for name, times in spent.items()}
    print(f"decide + settle, median: route {medians['route']:.0f} us, shadow {medians['shadow']:.0f} us")


def main(number: int) -> None:
    """Measure and print."""
    with tempfile.TemporaryDirectory() as folder:
        shadow, (bill, sent), refused = run(number, "shadow", Path(folder) / "shadow.jsonl")
        print(f"shadow: {shadow.total.calls} logged, {dict(sent)} sent, {refused} refused")
        print(f"  billed by the log ${shadow.total.billed:.6f}, by the simulator ${sum(bill.values()):.6f}")
        print(f"  the log says routing costs ${shadow.total.routed:.6f}")
        rollout, (_, sent), refused = run(number, "rollout", Path(folder) / "rollout.jsonl", 0.1)
        print(f"rollout of 0.1: {rollout.total.calls} logged, {dict(sent)} sent, {refused} refused")
        observed = shadow.observed(rollout)
        routed, (bill, sent), refused = run(number, "route", Path(folder) / "route.jsonl")
        total = sum(bill.values())
        print(f"route: {routed.total.calls} logged, {dict(sent)} sent, {refused} refused")
        print(f"  billed by the log ${routed.total.billed:.6f}, by the simulator ${total:.6f}")
        print(f"  shadow against the real bill: {shadow.total.routed / Decimal(total) - 1:+.1%}")
        if observed is not None:
            apart = observed / Decimal(total) - 1
            print(f"  with outputs observed in the rollout ${observed:.6f}: {apart:+.1%}")
        print(f"  the log says the baseline costs ${routed.total.baseline:.6f}")
        overhead(Path(folder) / "overhead.jsonl")


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 1000)
