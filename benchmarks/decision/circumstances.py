"""What a decision and its record cost in everyday circumstances, against a plain one of the same run.

    python -m benchmarks.decision.circumstances [--rounds 200]

A plain decision is looked up; budgets, failing models, images, conversations and what was observed each add
something to weigh. Times are of the processor, the best of five; the ratios are what to compare.
"""

from __future__ import annotations

import argparse
import base64
import io
import time
import timeit
from collections.abc import Callable, Iterator
from functools import partial
from typing import Any

from routed_llm import Budget, Policy, Previous, Request, RequestBuilder, Router, Usage, read_openai

QUESTION = "What is the capital of Peru?"
WATCHED = "gpt-4.1"
"""A second model that serves some calls, so that outputs of two are observed."""


def asked(**parameters: Any) -> Request:
    """A short question."""
    return read_openai({"messages": [{"role": "user", "content": QUESTION}], **parameters})


def pictured() -> Request:
    """A question about an image."""
    from PIL import Image  # nothing else here needs it

    out = io.BytesIO()
    Image.new("RGB", (640, 480)).save(out, "PNG")
    url = "data:image/png;base64," + base64.b64encode(out.getvalue()).decode()
    content = [{"type": "text", "text": QUESTION}, {"type": "image_url", "image_url": {"url": url}}]
    return read_openai({"messages": [{"role": "user", "content": content}]})


def conversation(router: Router, *, in_tool_loop: bool = False) -> Request:
    """A conversation of some 4,000 tokens, of which the model chosen for it has answered the last turn."""
    chosen, builder = router.decide(asked()), RequestBuilder()
    for _ in range(6):
        builder.message("user").text("word " * 500).message("assistant").text("well " * 100)
    before = Previous(
        model=str(chosen.model), effort=chosen.effort, prefix_tokens=3_500, in_tool_loop=in_tool_loop
    )
    return builder.message("user").text("And then?").previous(before).build()


def learnt(request: Request, *models: str | None, cached: int = 0) -> Router:
    """A router that has seen answers of these models to such requests; None for the one it chooses."""
    router = Router()
    for model in models:
        policy = None if model is None else Policy(models=[model], at_least=None)
        for number in range(20):
            decision = router.decide(request, policy=policy)
            used = Usage(
                input_tokens=decision.facts.tokens.likely, cached_tokens=cached, output_tokens=60 + number % 3
            )
            router.begin(decision).settle(used)
    return router


def failing(router: Router) -> Router:
    """A router of which the model chosen first cools down."""
    model = str(router.decide(asked()).model)
    router.cooldowns.failed(model, "it failed a moment ago", now=time.monotonic(), seconds=600)
    return router


def limited(left: int) -> Router:
    """A router that has heard how many of 500 requests a minute are left of the model chosen first."""
    router = Router()
    decision = router.decide(asked())
    told = {"limit": "500", "remaining": str(left), "reset": f"{60 - left * 60 // 500}s"}
    headers = {f"x-ratelimit-{name}-requests": value for name, value in told.items()}
    router.heard(router.begin(decision), headers)
    return router


def cases() -> Iterator[tuple[str, Router, Request]]:
    """Yield each circumstance with a router and a request."""
    tool = {
        "type": "function",
        "function": {"name": "look", "parameters": {"type": "object", "properties": {}}},
    }
    long = read_openai({"messages": [{"role": "user", "content": "word " * 3_000}]})
    yield "plain", Router(), asked()
    yield "tools", Router(), asked(tools=[tool])
    yield "an effort asked for", Router(), asked(reasoning_effort="medium")
    yield "a cap on cost", Router(policy=Policy(max_cost_per_call="0.01")), asked()
    yield "a budget", Router(budgets=Budget(per_day=10, downshift_below=0.2)), asked()
    yield "a failing model", failing(Router()), asked()
    yield "a rate limit with room", limited(400), asked()
    yield "a rate limit without", limited(0), asked()
    yield "a deadline", Router(policy=Policy(deadline=20.0)), asked()
    yield "two models observed", learnt(asked(), None, WATCHED), asked()
    yield "shared instructions observed", learnt(long, None, cached=2_048), long
    yield "an image", Router(), pictured()
    yield "a conversation", (router := Router()), conversation(router)
    yield "a tool loop", (router := Router()), conversation(router, in_tool_loop=True)
    yield "the best instead of the cheapest", Router(policy=Policy(optimize="quality")), asked()


def recorded(router: Router, request: Request) -> dict[str, Any]:
    """Decide, and write the record that an answer carries."""
    return router.decide(request).record()


def micros(do: Callable[[], object], rounds: int) -> float:
    """Return the microseconds of the processor that something takes, at best."""
    do()
    return min(timeit.repeat(do, number=rounds, repeat=5, timer=time.process_time)) / rounds * 1e6


def main() -> None:
    """Print a table."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--rounds", type=int, default=200)
    rounds = parser.parse_args().rounds
    plain: float | None = None
    print(f"{'':34}{'decision':>10}{'with record':>14}{'against plain':>16}")
    for name, router, request in cases():
        alone = micros(partial(router.decide, request), rounds)
        whole = micros(partial(recorded, router, request), rounds)
        plain = plain or whole
        print(f"{name:34}{alone:7.1f} us{whole:11.1f} us{whole / plain:15.1f}x")


if __name__ == "__main__":
    main()
