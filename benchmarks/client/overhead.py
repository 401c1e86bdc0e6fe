"""What routing adds to a call: the routed client against ``openai.OpenAI``, paired, on one server of 1 ms.

The server and the pairs are those of :mod:`benchmarks.langchain.overhead`. Both make the same call: the
plain one names the model and effort that routing chooses.

Usage: python -m benchmarks.client.overhead [--pairs N] [--takes SECONDS]
"""

from __future__ import annotations

import argparse
import asyncio
from collections.abc import Callable, Iterator
from functools import partial
from typing import Any

import openai
import openai_routed

from benchmarks.langchain.overhead import MODEL, SHORT, Figures, paired, server
from routed_llm import Router

CHAT: dict[str, Any] = {"messages": [{"role": "user", "content": SHORT}]}


def ways(loop: asyncio.AbstractEventLoop) -> dict[str, tuple[bool, Callable[..., Any]]]:
    """Return the ways to call: whether by the client for event loops, and how."""
    run = loop.run_until_complete

    def whole(client: Any, **given: Any) -> None:
        client.chat.completions.create(**CHAT, **given)

    def awhole(client: Any, **given: Any) -> None:
        run(client.chat.completions.create(**CHAT, **given))

    def first(client: Any, **given: Any) -> Callable[[], Any]:
        stream = client.chat.completions.create(**CHAT, stream=True, **given)
        next(chunk for chunk in stream if chunk.choices and chunk.choices[0].delta.content)
        return lambda: list(stream)

    def streamed(client: Any, **given: Any) -> None:
        options = {"include_usage": True}  # what the routed client asks for in any case
        for _ in client.chat.completions.create(**CHAT, stream=True, stream_options=options, **given):
            pass

    return {
        "whole": (False, whole),
        "whole, async": (True, awhole),
        "first token": (False, first),
        "whole stream": (False, streamed),
    }


def cases(url: str, pairs: int) -> Iterator[tuple[str, Figures]]:
    """Yield every case with its figures."""
    loop = asyncio.new_event_loop()
    settings: dict[str, Any] = {"base_url": url, "api_key": "local"}
    pools: dict[str, dict[str, Any]] = {
        "one model": {"models": [MODEL], "at_least": None},
        "default pool": {},
    }
    for name, (is_async, call) in ways(loop).items():
        for pool, policy in pools.items():
            makes = (openai.AsyncOpenAI, openai_routed.AsyncOpenAI)
            if not is_async:
                makes = (openai.OpenAI, openai_routed.OpenAI)  # type: ignore[assignment] # twins
            routed: Any = makes[1](**settings, policy=policy, router=Router())
            chosen = routed.explain(model="gpt-4o", **CHAT).call
            same = {"model": chosen.model}
            if chosen.effort is not None:
                same["reasoning_effort"] = chosen.effort
            one = partial(call, makes[0](**settings), **same)
            yield f"{name}, {pool}", paired(one, partial(call, routed, model="gpt-4o"), pairs)
    loop.close()


def main() -> None:
    """Print all figures."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--pairs", type=int, default=500, help="pairs of calls")
    parser.add_argument("--takes", type=float, default=0.001, help="seconds that the server takes")
    chosen = parser.parse_args()
    print(f"{'case':32} {'ratio':>6} {'of CPU':>6} {'openai':>11} {'added':>9}")
    with server(chosen.takes) as url:
        for name, found in cases(url, chosen.pairs):
            print(
                f"{name:32} {found.ratio:6.3f} {found.cpu:6.3f} {found.base:8.2f} ms {found.added:6.0f} us",
                flush=True,
            )


if __name__ == "__main__":
    main()
