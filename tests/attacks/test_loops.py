"""Event loops that follow one another, or run side by side: each sends on connections of its own."""

from __future__ import annotations

import asyncio
import gc
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import httpx
import pytest
from attack_support import ASK, SAID, WAYS, Got, booked_router
from langchain_openai import ChatOpenAI
from langchain_routed import RoutedChatModel
from llama_index.llms.routed import RoutedLLM
from openai_routed import AsyncOpenAI

from routed_llm import Exchange, Router, guard_client
from routed_llm.offloop import PerLoop
from routed_llm.simulator import Simulator

AWAITED = tuple(way for way in WAYS if way.startswith("a"))


def in_turn(call: Callable[[], Got]) -> list[Got]:
    """Call in one loop after another."""
    return [call() for _ in range(4)]


def at_once(call: Callable[[], Got]) -> list[Got]:
    """Call in several loops side by side, and in others after these."""
    with ThreadPoolExecutor(4) as threads:
        return list(threads.map(lambda _: call(), range(16)))


@pytest.mark.parametrize("how", [in_turn, at_once])
@pytest.mark.parametrize("way", AWAITED)
def test_no_loop_sends_on_the_connection_of_another(sim: Simulator, way: str, how: Any) -> None:
    """One object serves them all: no request fails, none is sent twice, and none is paid twice."""
    make, call = WAYS[way]
    router = booked_router()
    llm = make(sim.url, router, policy={"models": ["gpt-4o"], "at_least": None}, max_retries=0)
    answers = how(lambda: call(llm))
    assert {answer.text for answer in answers} == {SAID}
    assert len(sim.journal) == len(answers)
    assert [entry.outcome for entry in router.ledger.entries()] == ["answered"] * len(answers)


def test_what_the_frameworks_own_class_left_open_is_not_used(sim: Simulator) -> None:
    """langchain-openai keeps one client for a process, with the connections of every loop."""
    make, call = WAYS["ainvoke"]
    own = ChatOpenAI(model="gpt-4o", base_url=sim.url, api_key="own-key", timeout=20, max_retries=0)
    llm = make(sim.url, booked_router(), max_retries=0)
    assert llm.root_async_client._client is own.root_async_client._client
    asyncio.run(own.ainvoke(ASK))
    for _ in range(2):
        assert call(llm).text
        asyncio.run(own.ainvoke(ASK))
    assert len(sim.journal) == 5


async def in_langchain(url: str, kept: list[Any]) -> Router:
    """Leave a stream of LangChain's."""
    llm = RoutedChatModel(base_url=url, api_key="any", router=(router := booked_router()), max_retries=0)
    kept.append(llm.astream(ASK))
    await anext(kept[0])
    return router


async def in_llama_index(url: str, kept: list[Any]) -> Router:
    """Leave a stream of LlamaIndex's."""
    llm = RoutedLLM(api_base=url, api_key="any", router=(router := booked_router()), max_retries=0)
    kept.append(await llm.astream_complete(ASK))
    await anext(kept[0])
    return router


async def in_the_sdk(url: str, kept: list[Any], **asked: Any) -> Router:
    """Leave a stream of the SDK's."""
    client = AsyncOpenAI(base_url=url, api_key="any", router=(router := booked_router()), max_retries=0)
    asked = {"model": "gpt-4o", "messages": [{"role": "user", "content": ASK}], "stream": True, **asked}
    kept.append(aiter(await client.chat.completions.create(**asked)))
    await anext(kept[0])
    return router


async def cut_in_the_sdk(url: str, kept: list[Any]) -> Router:
    """Leave a stream that is cut here."""
    return await in_the_sdk(url, kept, stop=["nine"], extra_body={"routing": {"models": ["gpt-5.6-luna"]}})


@pytest.mark.parametrize("keeps", [True, False], ids=["kept", "dropped"])
@pytest.mark.parametrize("leave", [in_langchain, in_llama_index, in_the_sdk, cut_in_the_sdk])
def test_a_loop_that_ends_closes_the_streams_that_were_left(sim: Simulator, leave: Any, keeps: bool) -> None:
    """Everything is closed at once then, in any order: nothing is reported, and what was sent is booked."""
    reported: list[Any] = []
    kept: list[Any] = []

    async def main() -> Router:
        asyncio.get_running_loop().set_exception_handler(lambda _, said: reported.append(said))
        router = await leave(sim.url, kept)
        if not keeps:
            kept.clear()
        return router

    router = asyncio.run(main())
    gc.collect()
    assert reported == []
    assert [(entry.outcome, entry.booked > 0) for entry in router.ledger.entries()] == [("unknown", True)]


def test_connections_are_found_where_httpx_has_them(sim: Simulator) -> None:
    """The SDK's own tests count them there."""

    async def ask(client: httpx.AsyncClient) -> int:
        async with client.stream("GET", f"{sim.url}/models"):
            return len(client._transport._pool._requests)  # type: ignore[attr-defined] # httpx keeps both private

    client = httpx.AsyncClient()
    guard_client(client)
    assert isinstance(client._transport, PerLoop)
    assert isinstance(client._transport, httpx.AsyncHTTPTransport)
    assert [asyncio.run(ask(client)), asyncio.run(ask(client))] == [1, 1]
    assert client._transport._pool._requests == []


def test_a_transport_of_ones_own_is_left_alone() -> None:
    """What has no pool of connections is used as it is."""
    transport = httpx.MockTransport(lambda _: httpx.Response(204))
    client = httpx.AsyncClient(transport=transport)
    guard_client(client)
    assert client._transport is transport


def test_proxies_have_connections_for_each_loop_too() -> None:
    """What goes through a proxy is told apart as well, and a client is looked at once."""
    client = httpx.AsyncClient(proxy="http://127.0.0.1:9")
    guard_client(client)
    guard_client(client)
    (mounted,) = client._mounts.values()
    assert isinstance(mounted, PerLoop)
    assert not isinstance(mounted._transport, PerLoop)


class Connection:
    """A connection on which an answer comes in parts, each of which takes its time."""

    def __init__(self, takes: list[float]) -> None:
        self.now, self.takes, self.waits = 0.0, takes, list[float | None]()

    def read(self, max_bytes: int, timeout: float | None = None) -> bytes:
        """Let a part come, or the time that one may wait pass."""
        self.waits.append(timeout)
        taken = self.takes.pop(0)
        self.now += taken if timeout is None else min(taken, timeout)
        if timeout is not None and taken > timeout:
            raise httpx.ReadTimeout("nothing came")
        return b"x"


@pytest.mark.parametrize(
    ("takes", "waits"),
    [
        ([2, 2, 2, 60], [10, 8, 6, 4]),
        ([9, 60], [10, 1]),
        ([60], [10]),
        ([0, 0, 0, 0], [10, 10, 10, 10]),
    ],
    ids=["drips and stalls", "nearly over", "stalls at once", "comes quickly"],
)
@pytest.mark.parametrize("own", [None, 30.0], ids=["no timeout", "a timeout"])
def test_no_read_outlasts_the_time_of_a_call(
    takes: list[float], waits: list[float], own: float | None
) -> None:
    """However an answer drips, the last wait for more of it ends with the call's time."""
    connection = Connection([*takes])

    class Body(httpx.SyncByteStream):
        def __iter__(self) -> Iterator[bytes]:
            for _ in takes:
                yield connection.read(max_bytes=10, timeout=own)

    def answer(_: httpx.Request) -> httpx.Response:
        return httpx.Response(500, stream=Body(), extensions={"network_stream": connection})

    with httpx.Client(transport=httpx.MockTransport(answer)) as client:
        guard_client(client)
        with Exchange(10.0, lambda: connection.now).current():
            if max(takes) > 10:
                with pytest.raises(httpx.ReadTimeout):
                    client.post("http://127.0.0.1/v1/chat/completions", json={})
            else:
                client.post("http://127.0.0.1/v1/chat/completions", json={})
    assert (connection.waits, connection.now <= 10) == (waits, True)
    assert "read" not in vars(connection)  # the next answer on it has its own time
