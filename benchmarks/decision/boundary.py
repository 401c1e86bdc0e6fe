"""Compare decisions near every boundary with those of a full count, and time what is made to hurt.

    python benchmarks/decision/boundary.py [--conversations 10000] [--megabytes 4]

First, conversations of ten kinds of text are cut to within three tokens of a boundary, and each decision
is compared with the one that tiktoken's count of every text leads to. Second, texts that break or slow
tokenizers go through `decide` and `adecide`; a task that wakes every millisecond sees how long the event
loop is held.
"""

from __future__ import annotations

import argparse
import asyncio
import base64
import contextlib
import itertools
import json
import pathlib
import random
import sys
import time
from collections import Counter
from datetime import date
from typing import TYPE_CHECKING

sys.path.insert(0, str(pathlib.Path(__file__).parents[1] / "tokens"))

from compare import machine, sources

from routed_llm import NoModelFits, Policy, RequestBuilder, Router, TokenCount
from routed_llm.selector import prepare
from routed_llm.tokens.memo import shared
from routed_llm.tokens.text import TiktokenCounter
from routed_llm.tokens.vocabulary import o200k_encoding

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from routed_llm import Request

AT = date(2026, 11, 22)
SMALL = Policy(models=("gpt-4o", "gpt-4.1"), at_least=None, incumbent="gpt-4o")
POLICIES = (Policy(), SMALL, Policy(models=("gpt-5.4", "gpt-4.1"), at_least=None, incumbent="gpt-5.4"))


def letters(rng: random.Random, ranges: str) -> str:
    """Return a long text of random characters of an alphabet, in words."""
    return "".join(rng.choice(ranges) for _ in range(60_000))


def texts(rng: random.Random) -> dict[str, str]:
    """Return a long text of each kind."""
    documents, code, rows = sources()
    cjk = "".join(chr(at) for at in range(0x4E00, 0x5600))
    return {
        "English": documents,
        "code": code,
        "JSON": rows,
        "CJK": letters(rng, cjk + "，。"),
        "Russian": letters(rng, "абвгдежзийклмнопрстуфхцчшщыэюя     "),
        "Hindi": letters(rng, "".join(chr(at) for at in range(0x904, 0x940)) + "    "),
        "Thai": letters(rng, "".join(chr(at) for at in range(0xE01, 0xE3A)) + "  "),
        "emoji": letters(rng, "".join(chr(at) for at in range(0x1F600, 0x1F640)) + "\u200d "),
        "base64": base64.b64encode(rng.randbytes(60_000)).decode(),
        "blanks": letters(rng, "  \n\t\r a."),
    }


def request_of(parts: list[str]) -> Request:
    """Make a request of messages."""
    builder = RequestBuilder()
    for at, part in enumerate(parts):
        builder.message(("user", "assistant")[at % 2]).text(part)
    return builder.build()


def exact(request: Request) -> int:
    """Count every text with tiktoken."""
    encoding = o200k_encoding()
    return request.fixed + sum(len(encoding.encode_ordinary(text)) for text in request.texts)


def near(target: int, kind: str, rng: random.Random) -> tuple[Request, int]:
    """Return a conversation of within three tokens of a target, and its count."""
    encoding = o200k_encoding()
    count = rng.randint(1, 6)
    frame = request_of(["x"] * count).fixed
    wanted = target + rng.randint(-3, 3) - frame
    tokens: list[int] = []
    while len(tokens) < wanted:
        start = rng.randrange(max(len(kind) - 20_000, 1))
        tokens += encoding.encode_ordinary(kind[start : start + 20_000])
    cuts = sorted(rng.randrange(wanted) for _ in range(count - 1))
    parts = [encoding.decode(tokens[a:b]) for a, b in itertools.pairwise([0, *cuts, wanted])]
    request = request_of(parts)
    return request, exact(request)


def boundaries(policy: Policy, most: int) -> list[int]:
    """List the thresholds of a policy's pool up to a size."""
    router = Router(policy=policy, clock=lambda: AT)
    marks = prepare(router.catalog, policy, AT).thresholds(request_of(["x"]).facts)
    return [mark for mark in marks if 100 < mark <= most]


def compare(conversations: int, most: int) -> Iterator[tuple[str, int, object, object]]:
    """Decide near boundaries, and yield what differs from the decision by a full count."""
    rng = random.Random(5)
    kinds = texts(rng)
    routers = [Router(policy=policy, clock=lambda: AT) for policy in POLICIES]
    marks = [boundaries(policy, most) for policy in POLICIES]
    seen: Counter[str] = Counter()
    for number in range(conversations):
        which = number % len(POLICIES)
        router, name = routers[which], rng.choice(list(kinds))
        # Small ones more often: most of the time goes into making and counting the large ones.
        mark = marks[which][min(int(rng.expovariate(1.2)), len(marks[which]) - 1)]
        request, count = near(mark, kinds[name], rng)
        truth = prepare(router.catalog, router.policy, AT).select(
            request.facts.with_tokens(TokenCount.of(count))
        )
        found = router.explain(request)
        seen["within three tokens" if abs(count - mark) <= 3 else "near"] += 1
        seen[f"around {mark:,}"] += 1
        if (found.model, found.effort, found.endpoint) != (truth.model, truth.effort, truth.endpoint):
            yield name, count, found.chosen, truth.chosen
    print(json.dumps(dict(seen.most_common()), indent=1))


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
        "special tokens": "<|endoftext|>" * (size // 13),
        "apostrophe and long s": "'\u017f" * (size // 2),
        "letters of Unicode 17": "\u088f\u0c5c" * (size // 2),
    }


def safe_count(request: Request) -> int:
    """Count with tiktoken, guarded."""
    return request.fixed + sum(TiktokenCounter().count(request.texts))


async def held(run: Callable[[], object]) -> tuple[float, float]:
    """Return the seconds of an asynchronous run, and the longest that the event loop was held."""
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
        await run()  # type: ignore[misc]
    spent = time.perf_counter() - start
    await asyncio.sleep(0.002)
    done = True
    await task
    return spent, longest


def attack(megabytes: float) -> int:
    """Send hostile texts through both ways of deciding; return how many decisions were wrong."""
    router = Router(policy=SMALL, clock=lambda: AT)
    router.warmup()
    wrong = 0
    print(f"\n{megabytes} million characters of:{'decide ms':>24}{'adecide ms':>14}{'loop held ms':>14}")
    for name, text in hostile(int(megabytes * 1_000_000)).items():
        request = request_of([text])
        shared.clear()
        start = time.perf_counter()
        found = router.explain(request)
        spent = time.perf_counter() - start
        shared.clear()
        later, longest = asyncio.run(held(lambda request=request: router.adecide(request)))
        table = prepare(router.catalog, router.policy, AT)
        truth = table.select(request.facts.with_tokens(TokenCount.of(safe_count(request))))
        bad = found.model != truth.model
        wrong += bad
        print(
            f"  {name:<34}{spent * 1_000:>12,.0f}{later * 1_000:>14,.0f}{longest * 1_000:>14,.1f}"
            f"  {found.model or 'nothing fits'}{'  WRONG' if bad else ''}"
        )
    return wrong


def main() -> int:
    """Compare and print; fails when a decision is wrong."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--conversations", type=int, default=1_000, help="10000 for the full run")
    parser.add_argument("--most", type=int, default=150_000, help="largest boundary to go near, in tokens")
    parser.add_argument("--megabytes", type=float, default=4)
    options = parser.parse_args()
    print(json.dumps(machine(), indent=1))
    start = time.perf_counter()
    different = list(compare(options.conversations, options.most))
    for item in different:
        print("different:", *item)
    print(
        f"{len(different)} of {options.conversations} decisions differ from those of a full count "
        f"({time.perf_counter() - start:.0f} s)"
    )
    wrong = attack(options.megabytes)
    print(f"{wrong} wrong decisions on hostile texts")
    return 1 if different or wrong else 0


if __name__ == "__main__":
    sys.exit(main())
