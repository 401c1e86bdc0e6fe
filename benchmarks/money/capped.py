"""Calls under a hard cap on their bill: how many were billed above it, and how many were answered in full.

    python -m benchmarks.money.capped [--calls N]

Prompts and answers have the sizes of production chats, the simulator draws reasoning from published calls,
and bills by its own prices. Half of the calls want the cheapest that passes the floor, half the best.
"""

from __future__ import annotations

import argparse
import sys
from collections import Counter
from decimal import Decimal
from random import Random

from benchmarks.money.estimates import DAY, Client, prose
from benchmarks.money.mixed import ANSWERS, PROMPTS, draw
from routed_llm import NoModelFits, Policy, Router
from routed_llm.simulator import serve

CAPS = ("0.002", "0.01", "0.05")


def capped(cap: str, calls: int, seed: int = 1) -> Counter[str]:
    """Send so many calls under a cap in US dollars, and count what became of them."""
    random, found = Random(seed), Counter[str]()
    with serve(at=DAY) as simulator:
        client = Client(simulator.url)
        routers = [
            Router(
                policy=Policy(max_cost_per_call=cap, cost_cap="hard", optimize=optimize), clock=lambda: DAY
            )
            for optimize in ("cost", "quality")
        ]
        for number in range(calls):
            words = max(round(draw(random, ANSWERS) / 1.2), 1)
            text = prose((seed, number), draw(random, PROMPTS)) + f"\nAnswer in {words} words."
            before = len(simulator.journal)
            try:
                data, _, _ = client.call(
                    routers[number % 2], "chat", {"messages": [{"role": "user", "content": text}]}
                )
            except NoModelFits:
                found["refused"] += 1
                continue
            billed = sum(Decimal(entry.dollars) for entry in simulator.journal[before:])
            found["billed above"] += billed > Decimal(cap)
            if "choices" in data:
                full = data["choices"][0]["finish_reason"] == "stop"
            else:
                full = data["status"] == "completed"
            found["in full" if full else "cut short"] += 1
    return found


def main() -> int:
    """Print a line for each cap."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--calls", type=int, default=1_000)
    calls = parser.parse_args().calls
    for cap in CAPS:
        found = capped(cap, calls)
        answered = found["in full"] + found["cut short"]
        share = 100 * found["in full"] / max(answered, 1)
        print(
            f"${cap}: {calls:,} calls, {found['billed above']} billed above, {found['refused']} refused "
            f"before they were sent, {answered} answered, {share:.1f}% of them in full"
        )
    return 0


if __name__ == "__main__":
    sys.exit(main())
