"""The ways in which a soak calls the two adapters: whole, streamed, with tools, into a form, broken off."""

from __future__ import annotations

import asyncio
from typing import Any, Final

import httpx
from langchain_routed import RoutedChatModel
from llama_index.core.llms import ChatMessage
from llama_index.core.tools import FunctionTool
from llama_index.llms.routed import RoutedLLM
from pydantic import BaseModel

from routed_llm import Router

__all__ = ["Cancelled", "ChainCaller", "IndexCaller"]


class Cancelled(Exception):
    """The caller gave up, as it meant to."""


class City(BaseModel):
    """A city."""

    name: str
    people: int


def add(a: int, b: int) -> int:
    """Add two numbers."""
    return a + b


ADD: Final = FunctionTool.from_defaults(add)
SAID: Final = "one two three four five six seven eight nine ten"


def text(number: int) -> str:
    """Return a prompt that tells which call it belongs to."""
    return f'[call {number}] Say "{SAID}"'


async def broken_off(work: Any) -> None:
    """Cancel a call a moment after it began."""
    task = asyncio.ensure_future(work)
    await asyncio.sleep(0.02)
    task.cancel()
    try:
        await task
    except asyncio.CancelledError:
        raise Cancelled from None


def check(said: str) -> None:
    """Raise when an answer is not the whole answer, once."""
    if said != SAID:
        raise AssertionError(f"said {said!r}")


class ChainCaller:
    """Calls a RoutedChatModel."""

    WAYS = ("invoke", "invoke", "stream", "stream", "tools", "structured", "abandoned")
    ASYNC_WAYS = ("ainvoke", "ainvoke", "astream", "astream", "atools", "aabandoned", "cancelled")

    def __init__(self, url: str, router: Router, *, timeout: float) -> None:
        self._client = httpx.Client(timeout=timeout)
        self._async_client = httpx.AsyncClient(timeout=timeout)
        self.llm = RoutedChatModel(
            base_url=url,
            api_key="k",
            router=router,
            timeout=timeout,
            http_client=self._client,
            http_async_client=self._async_client,
        )
        self.given_up = httpx.AsyncClient(timeout=timeout)
        self._gone = RoutedChatModel(
            base_url=url, api_key="k", router=router, timeout=timeout, http_async_client=self.given_up
        )
        self.tools = self.llm.bind_tools([add])
        self.form = self.llm.with_structured_output(City)

    def call(self, way: str, number: int) -> None:
        """Make a call and look at its answer."""
        said = text(number)
        if way == "invoke":
            check(self.llm.invoke(said).text)
        elif way == "stream":
            check("".join(chunk.text for chunk in self.llm.stream(said)))
        elif way == "tools":
            check(self.tools.invoke(said).text)
        elif way == "structured":
            assert isinstance(self.form.invoke(said), City)
        else:
            chunks = self.llm.stream(said)
            for _ in range(3):
                next(chunks)
            chunks.close()

    async def acall(self, way: str, number: int) -> None:
        """Do what :meth:`call` does, awaiting it."""
        said = text(number)
        if way == "ainvoke":
            check((await self.llm.ainvoke(said)).text)
        elif way == "astream":
            check("".join([chunk.text async for chunk in self.llm.astream(said)]))
        elif way == "atools":
            check((await self.tools.ainvoke(said)).text)
        elif way == "cancelled":
            await broken_off(self._gone.ainvoke(said))
        else:
            chunks: Any = self.llm.astream(said)
            for _ in range(3):
                await anext(chunks)
            await chunks.aclose()

    async def close(self) -> None:
        """Close the connections."""
        self._client.close()
        await self._async_client.aclose()
        await self.given_up.aclose()


class IndexCaller:
    """Calls a RoutedLLM."""

    WAYS = ("chat", "complete", "stream_chat", "stream_complete", "with_tools", "as_structured", "dropped")
    ASYNC_WAYS = (
        "achat",
        "acomplete",
        "astream_chat",
        "astream_chat",
        "atools",
        "adropped",
        "acancelled",
    )

    def __init__(self, url: str, router: Router, *, timeout: float) -> None:
        self._client = httpx.Client(timeout=timeout)
        self._async_client = httpx.AsyncClient(timeout=timeout)
        self.llm = RoutedLLM(
            api_base=url,
            api_key="k",
            router=router,
            timeout=timeout,
            max_retries=2,
            http_client=self._client,
            async_http_client=self._async_client,
        )
        self.given_up = httpx.AsyncClient(timeout=timeout)
        self._gone = RoutedLLM(
            api_base=url, api_key="k", router=router, timeout=timeout, async_http_client=self.given_up
        )
        self.form = self.llm.as_structured_llm(City)

    def call(self, way: str, number: int) -> None:
        """Make a call and look at its answer."""
        said = text(number)
        asked = [ChatMessage(said)]
        if way == "chat":
            check(self.llm.chat(asked).message.content or "")
        elif way == "complete":
            check(self.llm.complete(said).text)
        elif way == "stream_chat":
            check([chunk.message.content or "" for chunk in self.llm.stream_chat(asked)][-1])
        elif way == "stream_complete":
            check([chunk.text for chunk in self.llm.stream_complete(said)][-1])
        elif way == "with_tools":
            self.llm.chat_with_tools([ADD], said)
        elif way == "as_structured":
            assert isinstance(self.form.complete(said).raw, City)
        else:
            chunks: Any = self.llm.stream_chat(asked)
            for _ in range(3):
                next(chunks)
            chunks.close()

    async def acall(self, way: str, number: int) -> None:
        """Do what :meth:`call` does, awaiting it."""
        said = text(number)
        asked = [ChatMessage(said)]
        if way == "achat":
            check((await self.llm.achat(asked)).message.content or "")
        elif way == "acomplete":
            check((await self.llm.acomplete(said)).text)
        elif way == "astream_chat":
            check([chunk.message.content or "" async for chunk in await self.llm.astream_chat(asked)][-1])
        elif way == "atools":
            await self.llm.achat_with_tools([ADD], said)
        elif way == "acancelled":
            await broken_off(self._gone.achat(asked))
        else:
            chunks: Any = await self.llm.astream_chat(asked)
            for _ in range(3):
                await anext(chunks)
            await chunks.aclose()

    async def close(self) -> None:
        """Close the connections."""
        self._client.close()
        await self._async_client.aclose()
        await self.given_up.aclose()
