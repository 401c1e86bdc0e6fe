"""Measure shadow mode on the simulator: python scripts/measure_shadow.py [CALLS] [SAMPLE] [SEED].

The same mixed calls are made through RoutedChatModel in shadow (the baseline answers and the log says what
routing would have cost), in shadow with a sample of second calls, and routed; other calls before them in
shadow with a sample, and in a rollout. Prints what the logs say beside the simulator's bills.
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
from typing import Any, NamedTuple

from langchain_core.messages import HumanMessage
from langchain_core.tools import tool
from langchain_routed import RoutedChatModel
from pydantic import BaseModel

from routed_llm import Router, read_openai
from routed_llm.replay import Summary, summarize
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


def calls(number: int, seed: int) -> list[tuple[str, Any]]:
    """Return kinds of call with their prompts, the same on every run."""
    chance = random.Random(seed)
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


class Ran(NamedTuple):
    """One run of the calls.

    Attributes:
        log: the decision log.
        sent: requests by model, as the simulator saw them.
        bill: US dollars by model, as the simulator billed them.
        refused: requests that the simulator refused.
    """

    log: Path
    sent: Counter[str]
    bill: dict[str, Decimal]
    refused: int


def run(number: int, seed: int, log: Path, **stage: Any) -> Ran:
    """Make the calls in a stage of the migration."""
    with serve(at=DAY) as simulator:
        os.environ.update(OPENAI_BASE_URL=simulator.url, OPENAI_API_KEY="sk-simulated")
        router = Router(log=log, clock=lambda: DAY, **stage)
        for kind, prompt in calls(number, seed):
            make(kind, prompt, router)
        router.wait(600)
        bill: dict[str, Decimal] = {}
        for entry in simulator.journal:
            bill[str(entry.model)] = bill.get(str(entry.model), Decimal(0)) + (entry.dollars or 0)
        sent = Counter(str(entry.model) for entry in simulator.journal)
        return Ran(log, sent, bill, len(simulator.refused))


def show(title: str, summary: Summary, real: Decimal) -> None:
    """Print what a report says routing costs beside what it really costs."""
    interval = summary.interval
    span = "" if interval is None else f", said to be ${interval.low:.4f} to ${interval.high:.4f}"
    apart = summary.total.routed / real - 1
    print(f"  {title}: ${summary.total.routed:.6f}, {apart:+.1%}{span}")
    print(f"    {summary.estimate.how}")


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


def main(number: int, sample: float, seed: int) -> None:
    """Measure and print."""
    with tempfile.TemporaryDirectory() as folder:
        made = {
            "shadow": run(number, seed, Path(folder) / "shadow", mode="shadow"),
            "sampled": run(number, seed, Path(folder) / "sampled", mode="shadow", sample=sample),
            "earlier": run(number, seed + 1, Path(folder) / "earlier", mode="shadow", sample=sample),
            "rollout": run(number, seed + 1, Path(folder) / "rollout", mode="rollout", share=0.1),
            "routed": run(number, seed, Path(folder) / "routed"),
        }
        carried = {"mode": "shadow", "observed": made["earlier"].log}
        made["carried"] = run(number, seed, Path(folder) / "carried", **carried)
        for name, ran in made.items():
            total = summarize(ran.log)
            billed = total.total.billed + total.seconds.billed
            print(f"{name}: {dict(ran.sent)} sent, {ran.refused} refused")
            print(f"  billed by the log ${billed:.6f}, by the simulator ${sum(ran.bill.values()):.6f}")
        real = sum(made["routed"].bill.values(), Decimal(0))
        print(f"what routing really costs: ${real:.6f}; what the reports of shadow say:")
        show("each call once, published ratios", summarize(made["shadow"].log), real)
        seconds = summarize(made["sampled"].log)
        show(f"with {seconds.seconds.answered} second calls", seconds, real)
        print(f"    (these are billed apart: ${seconds.seconds.billed:.6f})")
        show("each call once, an earlier sample carried over", summarize(made["carried"].log), real)
        for name in ("earlier", "rollout"):
            show(f"each call once, --observed {name}", summarize(made["shadow"].log, [made[name].log]), real)
        base = sum(made["shadow"].bill.values(), Decimal(0))
        told_base = summarize(made["routed"].log).total.baseline
        print(f"what the baseline really costs: ${base:.6f}; the log of the routed run says", end=" ")
        print(f"${told_base:.6f}, {told_base / base - 1:+.1%}")
        overhead(Path(folder) / "overhead.jsonl")


if __name__ == "__main__":
    main(
        int(sys.argv[1]) if len(sys.argv) > 1 else 1000,
        float(sys.argv[2]) if len(sys.argv) > 2 else 0.1,
        int(sys.argv[3]) if len(sys.argv) > 3 else 7,
    )
