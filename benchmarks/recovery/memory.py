"""Memory and sockets of a process that does not end: an event loop for each request, a new conversation each.

Both adapters make a call in each of a thousand event loops; then a hundred thousand distinct conversations of
two turns each go through the core, with budgets for each conversation, without a network. What grows in the
second half of either is a leak. No network and no key::

    python -m benchmarks.recovery.memory                    # --loops, --conversations
"""

from __future__ import annotations

import argparse
import asyncio
import gc
import os
import sys
from collections.abc import Callable
from datetime import date
from pathlib import Path
from typing import Any, Final

from langchain_routed import RoutedChatModel
from llama_index.core.llms import ChatMessage
from llama_index.llms.routed import RoutedLLM

from routed_llm import Budget, MemoryLedger, Policy, Router, read_openai
from routed_llm.calls.answers import AnswerMemory
from routed_llm.calls.driver import Driven, flow
from routed_llm.calls.runners import run
from routed_llm.calls.wired import Prepared, Wired
from routed_llm.simulator import serve

TODAY: Final = date(2026, 11, 22)
STEPS: Final = 10
"""Measurements, evenly spread."""
MOST: Final = {"MB": 8.0, "files": 4}
"""What the second half may add: less than a kilobyte for a loop or a tenth of that for a conversation."""


def measured() -> dict[str, float]:
    """Return what the process holds now: memory in MB, open files and sockets."""
    gc.collect()
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return {
        "MB": pages * os.sysconf("SC_PAGE_SIZE") / 1e6,
        "files": len(list(Path("/proc/self/fd").iterdir())),
    }


def watched(name: str, count: int, work: Callable[[int], None]) -> list[str]:
    """Do some work often, print what the process holds on the way, and return what grew."""
    print(f"{name:<34}{'MB':>10}{'files':>8}", flush=True)
    rows = []
    for step in range(STEPS + 1):
        if step:
            for number in range((step - 1) * count // STEPS, step * count // STEPS):
                work(number)
        rows.append(measured())
        print(f"{step * count // STEPS:>34,}{rows[-1]['MB']:>10.1f}{rows[-1]['files']:>8.0f}", flush=True)
    grown = {key: rows[-1][key] - rows[STEPS // 2][key] for key in MOST}
    return [f"{name}: {key} +{grown[key]:.1f}" for key, most in MOST.items() if grown[key] > most]


def loops(count: int) -> list[str]:
    """Make a call of each adapter in each of many event loops."""
    with serve(at=TODAY) as sim:
        router = Router(clock=lambda: TODAY, ledger=MemoryLedger(), budgets=Budget(total=1_000))
        chain = RoutedChatModel(base_url=sim.url, api_key="k", router=router)
        index = RoutedLLM(api_base=sim.url, api_key="k", router=router)

        async def both() -> None:
            await chain.ainvoke("Hi")
            _ = [chunk async for chunk in await index.astream_chat([ChatMessage("Hi")])]

        def work(number: int) -> None:
            asyncio.run(both())
            if number % 50 == 0:
                sim.reset()  # its journal is no concern of ours

        return watched("event loops", count, work)


class Provider:
    """Answers at once."""

    def send(self, prepared: Prepared) -> dict[str, Any]:
        """Return an answer that names the model."""
        message = {"role": "assistant", "content": "Yes."}
        return {
            "id": "x",
            "model": prepared.body["model"],
            "choices": [{"index": 0, "message": message, "finish_reason": "stop"}],
            "usage": {"prompt_tokens": 20, "completion_tokens": 2, "total_tokens": 22},
        }


def conversations(count: int, held: int) -> list[str]:
    """Hold many distinct conversations of two turns."""
    budgets = [Budget(total=1_000_000), Budget(per_conversation="0.5")]
    router = Router(clock=lambda: TODAY, ledger=MemoryLedger(conversations=held), budgets=budgets)
    answers, provider = AnswerMemory(), Provider()
    policy = Policy(
        endpoints=["chat_completions"], models=["gpt-4o", "gpt-4o-mini"]
    )  # deciding is not what is measured

    def turn(messages: list[dict[str, Any]], key: str) -> None:
        asked = {"messages": messages}
        request = read_openai(asked, previous=answers.before(messages), emulates=("stop",))
        around: dict[str, Any] = {"conversation": key, "policy": policy}
        decision = router.decide(request, **around)

        def remember(message: Any, previous: Any, identity: Any) -> None:
            answers.remember(messages, [message], previous, identity)

        wired = Wired(asked=asked, catalog=router.catalog, send=provider.send, remember=remember)

        def attempts(decided: Any, since: float) -> Any:
            return router.attempts(request, decided, since=since, **around)

        run(flow(Driven(router, decision, wired, attempts)), provider.send)

    def work(number: int) -> None:
        messages = [{"role": "user", "content": f"Question {number}: what is {number} times 7?"}]
        turn(messages, f"conversation-{number}")
        more = [{"role": "assistant", "content": "Yes."}, {"role": "user", "content": "And then?"}]
        turn([*messages, *more], f"conversation-{number}")

    return watched("conversations", count, work)


def main(arguments: list[str] | None = None) -> int:
    """Run both; 1 when something grows."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--loops", type=int, default=1_000)
    parser.add_argument("--conversations", type=int, default=100_000)
    parser.add_argument("--held", type=int, default=50_000, help="conversations that the ledger counts")
    chosen = parser.parse_args(arguments)
    grown = loops(chosen.loops) if chosen.loops else []
    grown += conversations(chosen.conversations, chosen.held)
    print("; ".join(grown) or "nothing grows")
    return 1 if grown else 0


if __name__ == "__main__":
    sys.exit(main())
