"""Compare decisions near every boundary with those that a full count leads to.

    python -m benchmarks.decision.boundary [--conversations 10000] [--seed 1]

Conversations of fourteen kinds of text, in one to six messages, with and without caps, tools, schemas,
images and limits on cost, are cut to within three tokens of a boundary: where a model's window less its
reserve, its largest input, a price tier or a limit on cost lies. Each is decided as a router does it, then
once more as a repeat, and with the count that tiktoken gives of every text; all have to agree, and the true
count has to lie between the bounds that the router decided by. Other seeds try other conversations.
"""

from __future__ import annotations

import argparse
import base64
import json
import random
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator
from datetime import date
from functools import cache, partial
from typing import Any, NamedTuple

from benchmarks.tokens.compare import machine, sources
from routed_llm import (
    Budget,
    BudgetExceeded,
    Decision,
    NoModelFits,
    Policy,
    Request,
    Router,
    TokenCount,
    read_openai,
)
from routed_llm.decide.context import EvaluationContext
from routed_llm.decide.table import Table, prepare
from routed_llm.request.conversations import shared as known
from routed_llm.tokens.memo import shared
from routed_llm.tokens.text import TiktokenCounter
from routed_llm.tokens.vocabulary import o200k_encoding

AT = date(2026, 11, 22)
POLICIES = (
    Policy(),
    Policy(models=("gpt-4o", "gpt-4.1"), at_least=None, incumbent="gpt-4o"),
    Policy(models=("gpt-5.4", "gpt-4.1"), at_least=None, incumbent="gpt-5.4"),
    Policy(models=("gpt-4o", "gpt-4o-mini", "gpt-4.1", "gpt-5.4"), at_least=None, max_cost_per_call="0.30"),
)
BUDGETS = (None, None, Budget(per_call="0.05"))
"""Every third conversation is under a budget."""
TOOL = {
    "type": "function",
    "function": {
        "name": "look_up",
        "description": "Look a word up.",
        "parameters": {"type": "object", "properties": {"word": {"type": "string", "enum": ["a", "b"]}}},
    },
}
SCHEMA = {
    "type": "json_schema",
    "json_schema": {"name": "answer", "schema": {"type": "object", "properties": {"a": {"type": "string"}}}},
}
SETTINGS: dict[str, dict[str, Any]] = {
    "plain": {},
    "small cap": {"max_tokens": 256},
    "large cap": {"max_completion_tokens": 20_000},
    "tools": {"tools": [TOOL] * 3},
    "schema": {"response_format": SCHEMA},
    "effort": {"reasoning_effort": "high"},
}
LENGTH = 300_000
"""Characters of a made text."""
TAIL = 60
"""Tokens that the last step may have to add or take away."""
_PNG = (
    "data:image/png;base64,iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk"
    "+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg=="
)


class Kind(NamedTuple):
    """A kind of text, and the tokens of a long piece of it."""

    name: str
    tokens: list[int]


def texts(rng: random.Random) -> dict[str, str]:
    """Return a long text of each kind."""
    documents, code, rows = sources()

    def made(alphabet: str) -> str:
        return "".join(rng.choices(alphabet, k=LENGTH))

    def between(first: int, last: int) -> str:
        return "".join(map(chr, range(first, last)))

    return {
        "English": documents,
        "code": code[:3_000_000],
        "JSON": rows,
        "CJK": made(between(0x4E00, 0x5600) + "，。"),
        "Russian": made("абвгдежзийклмнопрстуфхцчшщыэюя     "),
        "Hindi": made(between(0x904, 0x940) + "    "),
        "Thai": made(between(0xE01, 0xE3A) + "  "),
        "emoji": made(between(0x1F600, 0x1F640) + "\u200d "),
        "base64": base64.b64encode(rng.randbytes(LENGTH)).decode(),
        "blanks": made("  \n\t\r a."),
        "digits": made("0123456789  ,.\n"),
        "letters of Unicode 17": made("\u088f\u0c5c\u0cdcabc '\u017f"),
        "marks": made("e\u0301a\u0308\u093f\u094d\u0915 \u200d"),
        "special tokens": made("<|endoftext|> s'"),
    }


@cache
def kinds() -> tuple[Kind, ...]:
    """Return each kind of text, in tokens."""
    encode = o200k_encoding().encode_ordinary
    return tuple(Kind(name, encode(text)) for name, text in texts(random.Random(1)).items())


def piece(kind: Kind, tokens: int, rng: random.Random) -> str:
    """Return a text of about so many tokens, taken from random places."""
    taken: list[int] = []
    while len(taken) < tokens:
        start = rng.randrange(max(len(kind.tokens) - 1_000, 1))
        taken += kind.tokens[start : start + tokens - len(taken)]
    return o200k_encoding().decode(taken)


def request_of(parts: list[str], settings: dict[str, Any], image: bool) -> Request:
    """Make a request of messages."""
    messages: list[Any] = [
        {"role": ("user", "assistant")[at % 2], "content": part} for at, part in enumerate(parts)
    ]
    if image:
        messages.append({"role": "user", "content": [{"type": "image_url", "image_url": {"url": _PNG}}]})
    return read_openai({"messages": messages, **settings})


def count(text: str) -> int:
    """Count a text with tiktoken, guarded against its panics."""
    return TiktokenCounter().count([text])[0]


class Case(NamedTuple):
    """One conversation near a boundary.

    Attributes:
        name: what it is made of.
        read: reads the conversation.
        tokens: its text tokens, counted in full.
        distance: tokens from the boundary.
    """

    name: str
    read: Callable[[], Request]
    tokens: int
    distance: int


def near(mark: int, kind: Kind, settings: str, image: bool, rng: random.Random) -> Case | None:
    """Return a conversation within three tokens of a boundary; None where the frame alone is longer."""
    number = rng.randint(1, 6)
    plan = SETTINGS[settings]
    frame = request_of(["x"] * number, plan, image)
    # Of the frame only the messages' own texts are not there yet.
    fixed = frame.fixed + sum(count(text) for text in frame.texts) - number
    wanted = mark + rng.randint(-3, 3) - fixed
    if wanted < TAIL:
        return None
    cuts = sorted(rng.randrange(wanted - TAIL) for _ in range(number - 1))
    sizes = [end - start for start, end in zip([0, *cuts], [*cuts, wanted - TAIL], strict=True)]
    parts = [piece(kind, max(size, 1), rng) for size in sizes]
    counts = [count(part) for part in parts]
    place = min(range(number), key=lambda at: (counts[at] < 2, counts[at]))
    missing = wanted - sum(counts)
    for _ in range(4):
        # " a" is one token wherever an "a" stands before it; what joins up with the text shows in the count.
        parts[place] = parts[place] + " a" * missing if missing > 0 else parts[place][: 2 * missing]
        counts[place] = count(parts[place])
        missing = wanted - sum(counts)
        if not missing:
            break
    tokens = fixed + sum(counts)
    name = f"{kind.name}, {settings}{', an image' * image}"
    return Case(name, partial(request_of, parts, plan, image), tokens, tokens - mark)


def marks_of(table: Table, settings: str, image: bool, allowance: Any, most: int) -> list[int]:
    """List the boundaries of one sort of request up to a size."""
    facts = request_of(["x"], SETTINGS[settings], image).facts
    found = {*table.breakpoints(facts), *table.boundaries(facts, EvaluationContext(allowance))}
    return sorted(mark for mark in found if 200 < mark <= most)


def sent(decision: Decision) -> tuple[str | None, str | None, str | None]:
    """Return what a decision sends where."""
    return decision.model, decision.effort, decision.endpoint


def differing(
    conversations: int, *, seed: int, most: int, seen: Counter[str]
) -> Iterator[tuple[str, int, object, object]]:
    """Decide near boundaries, and yield what differs from the decision by a full count."""
    rng = random.Random(seed)
    routers = {
        (at, budget): Router(policy=policy, clock=lambda: AT, budgets=budget)
        for at, policy in enumerate(POLICIES)
        for budget in BUDGETS
    }
    for number in range(conversations):
        which, budget = number % len(POLICIES), BUDGETS[number % len(BUDGETS)]
        router, kind = routers[which, budget], rng.choice(kinds())
        settings, image = rng.choice(list(SETTINGS)), rng.random() < 0.1
        table = prepare(router.catalog, router.policy, AT)
        allowance = router.explain(request_of(["x"], {}, False)).allowance
        marks = marks_of(table, settings, image, allowance, most)
        # Small ones more often: most of the time goes into making and counting the large ones.
        mark = marks[min(int(rng.expovariate(0.4)), len(marks) - 1)]
        case = near(mark, kind, settings, image, rng)
        if case is None:
            continue
        shared.clear()
        known.clear()
        request = case.read()
        found, again = decided(router, request), decided(router, case.read())
        facts = request.facts.with_tokens(TokenCount.of(case.tokens))
        truth = table.select(facts, allowance=allowance)
        bounds = found.facts.tokens
        seen["conversations"] += 1
        seen["within three tokens" if abs(case.distance) <= 3 else "near"] += 1
        seen["decided without a full count"] += not bounds.exact
        seen[f"{kind.name}"] += 1
        seen[f"around {'a million' if mark > 600_000 else f'{round(mark, -5):,}'}"] += 1
        same = sent(found) == sent(again) == sent(truth)
        if not same or not bounds.low <= case.tokens <= bounds.high:
            yield case.name, case.tokens, found.chosen, truth.chosen


def decided(router: Router, request: Request) -> Decision:
    """Decide as a call does, and return the Decision where nothing fits, too."""
    try:
        return router.decide(request)
    except NoModelFits as error:
        return error.decision
    except BudgetExceeded:
        return router.explain(request)


def main(arguments: list[str] | None = None) -> int:
    """Compare and print; fails when a decision differs."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--conversations", type=int, default=500, help="10000 for the full run")
    parser.add_argument("--most", type=int, default=1_100_000, help="largest boundary to go near, in tokens")
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args(arguments)
    print(json.dumps(machine()))
    seen: Counter[str] = Counter()
    start = time.process_time()
    different = list(differing(options.conversations, seed=options.seed, most=options.most, seen=seen))
    for item in different:
        print("different:", *item)
    print(json.dumps(dict(seen.most_common()), indent=1))
    print(
        f"{len(different)} of {seen['conversations']} decisions differ from those of a full count "
        f"(seed {options.seed}, {time.process_time() - start:.0f} s of CPU)"
    )
    return 1 if different else 0


if __name__ == "__main__":
    sys.exit(main())
