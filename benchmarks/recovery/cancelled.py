"""Connections that stay behind when asynchronous calls are cancelled: the bare SDK beside what stands on it.

No network and no key::

    python -m benchmarks.recovery.cancelled
"""

from __future__ import annotations

import asyncio
import gc
import random
from collections.abc import Awaitable, Callable
from datetime import date
from typing import Any

import httpx
import openai
from langchain_openai import ChatOpenAI
from langchain_routed import RoutedChatModel
from llama_index.core.llms import ChatMessage
from llama_index.llms.openai import OpenAI
from llama_index.llms.routed import RoutedLLM

from routed_llm import Router
from routed_llm.simulator import serve

TODAY = date(2026, 11, 22)
CALLS = 320
AT_ONCE = 16
Call = Callable[[], Awaitable[Any]]


def callers(url: str, http: httpx.AsyncClient) -> dict[str, Callable[[], Call]]:
    """Return who is compared: each makes a call on the connections of one HTTP client."""
    router = Router(clock=lambda: TODAY)
    chain: dict[str, Any] = {"base_url": url, "api_key": "k", "max_retries": 0, "http_async_client": http}
    index: dict[str, Any] = {"api_base": url, "api_key": "k", "max_retries": 0, "async_http_client": http}
    hi: Any = [{"role": "user", "content": "Hi"}]

    def bare() -> Call:
        sdk = openai.AsyncOpenAI(base_url=url, api_key="k", http_client=http, max_retries=0)
        return lambda: sdk.chat.completions.create(model="gpt-4o", messages=hi)

    def of(llm: Any) -> Call:
        if isinstance(llm, OpenAI):
            return lambda: llm.achat([ChatMessage("Hi")])
        return lambda: llm.ainvoke("Hi")

    return {
        "AsyncOpenAI": bare,
        "ChatOpenAI": lambda: of(ChatOpenAI(model="gpt-4o", **chain)),
        "RoutedChatModel": lambda: of(RoutedChatModel(router=router, **chain)),
        "LlamaIndex OpenAI": lambda: of(OpenAI(model="gpt-4o", **index)),
        "RoutedLLM": lambda: of(RoutedLLM(router=router, **index)),
    }


async def left(call: Call, http: Any) -> int:
    """Cancel calls at a random moment; count the connections that are neither idle nor closed after it."""

    async def one() -> None:
        task = asyncio.ensure_future(call())
        await asyncio.sleep(random.random() * 0.04)
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)

    for _ in range(CALLS // AT_ONCE):
        await asyncio.gather(*[one() for _ in range(AT_ONCE)])
    for _ in range(2):
        await asyncio.sleep(0.5)
        gc.collect()
    return sum(not one.is_idle() and not one.is_closed() for one in http._transport._pool.connections)


async def compare(url: str) -> None:
    """Print the table."""
    for name in callers(url, httpx.AsyncClient()):
        http = httpx.AsyncClient(timeout=5)
        print(f"| {name} | {await left(callers(url, http)[name](), http)} of {CALLS} |", flush=True)
        await http.aclose()


def main() -> None:
    """Run the comparison."""
    print("| cancelled calls of | connections left |")
    print("| --- | --- |")
    with serve(at=TODAY) as sim:
        asyncio.run(compare(sim.url))


if __name__ == "__main__":
    main()
