"""Send texts that break or slow tokenizers through both ways of deciding.

    python -m benchmarks.decision.hostile [--megabytes 4]

Each text has so many million characters. It is decided by a thread of its own and, on an event loop, by
`adecide`, while a task that wakes every millisecond sees how long the loop is held. The decision has to be
the one that tiktoken's count leads to, guarded against its panics.
"""

from __future__ import annotations

import argparse
import asyncio
import base64
import contextlib
import json
import random
import sys
import time
from collections.abc import Awaitable, Callable
from datetime import date

from benchmarks.tokens.compare import machine
from routed_llm import NoModelFits, Policy, Request, RequestBuilder, Router, TokenCount
from routed_llm.decide.table import prepare
from routed_llm.tokens.memo import shared
from routed_llm.tokens.text import TiktokenCounter

AT = date(2026, 11, 22)
POLICY = Policy(models=("gpt-4o", "gpt-4.1"), at_least=None, incumbent="gpt-4o")
HELD = 50.0
"""Milliseconds that an event loop may be held."""


def hostile(size: int) -> dict[str, str]:
    """Return texts that break or slow tokenizers, each of so many characters."""
    rng = random.Random(9)
    return {
        "a run of one letter": "a" * size,
        "spaces": " " * size,
        "tabs": "\t" * size,
        "newlines": "\n" * size,
        "a run of =": "=" * size,
        "random lower-case letters": "".join(rng.choices("abcdefghijklmnopqrstuvwxyz", k=size)),
        "base64": base64.b64encode(rng.randbytes(size * 3 // 4)).decode(),
        "random CJK": "".join(map(chr, rng.choices(range(0x4E00, 0x9FFF), k=size))),
        "emoji run": "\U0001f600" * size,
        "ideographic spaces": "\u3000" * size,
        "lone surrogates": "\ud800" * size,
        "surrogate pairs": "\ud83d\ude00" * (size // 2),
        "words and lone surrogates": "word \udfff " * (size // 7),
        "special tokens": "<|endoftext|>" * (size // 13),
        "apostrophe and long s": "'\u017f" * (size // 2),
        "letters of Unicode 17": "\u088f\u0c5c" * (size // 2),
        "a hundred thousand short lines": "a\u088f \n" * (size // 4),
    }


def request_of(text: str) -> Request:
    """Make a request of one message."""
    return RequestBuilder().message("user").text(text).build()


def safe_count(request: Request) -> int:
    """Count with tiktoken, guarded."""
    return request.fixed + sum(TiktokenCounter().count(request.texts))


async def held(run: Callable[[], Awaitable[object]]) -> tuple[float, float]:
    """Return the milliseconds of an asynchronous run, and the longest that the event loop was held."""
    longest = 0.0
    done = False

    async def beat() -> None:
        nonlocal longest
        last = time.perf_counter()
        while not done:
            await asyncio.sleep(0.001)
            now = time.perf_counter()
            longest = max(longest, now - last - 0.001)
            last = now

    task = asyncio.create_task(beat())
    await asyncio.sleep(0.01)
    start = time.perf_counter()
    with contextlib.suppress(NoModelFits):
        await run()
    spent = time.perf_counter() - start
    await asyncio.sleep(0.002)
    done = True
    await task
    return spent * 1_000, longest * 1_000


def attack(size: int, rounds: int) -> tuple[int, list[str]]:
    """Decide every hostile text; return how many decisions were wrong, and which texts held the loop."""
    router = Router(policy=POLICY, clock=lambda: AT)
    router.warmup()
    safe_count(request_of("both vocabularies are loaded before anything is timed"))
    table = prepare(router.catalog, router.policy, AT)
    wrong, held_by = 0, []
    print(f"\n{size:,} characters of{'decide ms':>31}{'adecide ms':>14}{'loop held ms':>14}")
    for name, text in hostile(size).items():
        request = request_of(text)
        shared.clear()
        start = time.perf_counter()
        found = router.decide(request)
        spent = (time.perf_counter() - start) * 1_000
        runs = []
        for _ in range(rounds):
            shared.clear()
            runs.append(asyncio.run(held(lambda request=request: router.adecide(request))))
            if runs[-1][1] <= HELD:
                break  # what holds the loop does so every time; other programs do not
        later, longest = min(runs)[0], min(longest for _, longest in runs)
        truth = table.select(request.facts.with_tokens(TokenCount.of(safe_count(request))))
        bad = found.model != truth.model
        wrong += bad
        held_by += [name] * (longest > HELD)
        print(
            f"  {name:<34}{spent:>12,.0f}{later:>14,.0f}{longest:>14,.1f}"
            f"  {found.model or 'nothing fits'}{'  WRONG' if bad else ''}",
            flush=True,
        )
    return wrong, held_by


def main(arguments: list[str] | None = None) -> int:
    """Attack and print; fails when a decision is wrong or the event loop is held."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--megabytes", type=float, default=4, help="millions of characters")
    parser.add_argument("--rounds", type=int, default=5, help="runs on the loop at most; the best counts")
    options = parser.parse_args(arguments)
    print(json.dumps(machine()))
    wrong, held_by = attack(int(options.megabytes * 1_000_000), options.rounds)
    print(f"{wrong} wrong decisions; event loop held over {HELD:.0f} ms by: {', '.join(held_by) or 'none'}")
    return 1 if wrong or held_by else 0


if __name__ == "__main__":
    sys.exit(main())
