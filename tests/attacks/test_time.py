"""What is sent and never seen answered is booked; what was never sent is not; nothing outlasts its time."""

from __future__ import annotations

import asyncio
import socket
import time
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import httpx
import openai
import pytest
from attack_support import ASK, STREAMED, WAYS, booked_router, lying
from llama_index.core.llms import ChatMessage

from routed_llm import IncompleteStream
from routed_llm.simulator import Simulator

ONE = {"models": ["gpt-4o"], "at_least": None}


def hangs(handler: Any, asked: Any, truth: Any) -> None:
    """Never answer."""
    time.sleep(12)


def hangs_up(handler: Any, asked: Any, truth: Any) -> None:
    """Close the connection without a word."""
    handler.close_connection = True
    handler.connection.shutdown(socket.SHUT_RDWR)


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("lie", [hangs, hangs_up], ids=["a timeout", "a disconnect"])
def test_what_was_sent_and_not_answered_is_booked(way: str, lie: Any) -> None:
    """Each request that reached the server is in the books as unknown, with what was reserved."""
    make, call = WAYS[way]
    router = booked_router()
    with lying(always=lie) as liar:
        with pytest.raises(openai.APIConnectionError):  # a timeout is one, too
            call(make(liar.url, router, policy=ONE, timeout=0.5, max_retries=1))
        entries = list(router.ledger.entries())
        # On a busy machine a connection may take longer than the request may: then nothing was sent.
        reached = [entry for entry in entries if entry.outcome == "unknown"]
        assert len(reached) == len(liar.asked) > 0
    assert len(entries) == 2
    assert all((entry.booked > 0) == (entry.outcome == "unknown") for entry in entries)


@pytest.mark.parametrize("way", WAYS)
def test_what_was_never_sent_costs_nothing(way: str) -> None:
    """Where nobody listens nothing is charged and nothing stays reserved."""
    make, call = WAYS[way]
    router = booked_router()
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{free.getsockname()[1]}/v1"
    with pytest.raises(openai.APIConnectionError):
        call(make(url, router, policy=ONE, max_retries=0))
    assert sum(entry.booked for entry in router.ledger.entries()) == 0
    assert not router.ledger._holds  # type: ignore[attr-defined]


@pytest.mark.parametrize("how", ["ainvoke", "astream", "achat", "astream_chat"])
def test_a_cancelled_call_is_booked(how: str) -> None:
    """A task that is cancelled while the server is at work leaves an entry, and nothing reserved."""
    router = booked_router()
    with lying(always=hangs) as liar:
        llm = WAYS[how][0](liar.url, router, policy=ONE)

        async def work() -> None:
            if how == "ainvoke":
                await llm.ainvoke(ASK)
            elif how == "astream":
                _ = [chunk async for chunk in llm.astream(ASK)]
            elif how == "achat":
                await llm.achat([ChatMessage(ASK)])
            else:
                _ = [chunk async for chunk in await llm.astream_chat([ChatMessage(ASK)])]

        async def cancelled() -> None:
            task = asyncio.ensure_future(work())
            while not liar.asked:  # noqa: ASYNC110 - it is a thread that notes it
                await asyncio.sleep(0.01)
            task.cancel()
            with pytest.raises(asyncio.CancelledError):
                await task

        asyncio.run(cancelled())
    (entry,) = router.ledger.entries()
    assert (entry.outcome, entry.booked > 0) == ("unknown", True)
    assert not router.ledger._holds  # type: ignore[attr-defined]


def drips(handler: Any, asked: Any, truth: Any) -> None:
    """Answer a byte at a time, for longer than anybody waits."""
    status, headers, body = truth()
    handler.send_response(status)
    for name, value in headers.items():
        handler.send_header(name, value)
    handler.send_header("content-length", str(len(body)))
    handler.end_headers()
    for place in range(len(body)):
        handler.wfile.write(body[place : place + 1])
        handler.wfile.flush()
        time.sleep(0.05)


def stalls(handler: Any, asked: Any, truth: Any) -> None:
    """Send half of the answer, and nothing any more."""
    status, headers, body = truth()
    handler.send_response(status)
    for name, value in headers.items():
        handler.send_header(name, value)
    handler.send_header("content-length", str(len(body)))
    handler.end_headers()
    handler.wfile.write(body[: len(body) // 2])
    handler.wfile.flush()
    time.sleep(12)


def outlasts(sim: Simulator, way: str, limit: str, lie: Any) -> None:
    """Call with a second and a half left, to a server that takes longer; see that the call ends in time."""
    make, call = WAYS[way]
    router = booked_router()
    policy = {**ONE, "max_seconds": 30} if limit == "max_seconds" else ONE
    with lying(sim.url, always=lie) as liar:
        llm = make(liar.url, router, policy=policy, max_retries=2)
        begun = time.monotonic()
        begin = router.begin

        def sooner(decision: Any, *, since: float, **given: Any) -> Any:
            return begin(
                decision, since=since - 28.5, **given
            )  # no model is admitted for less than 30 seconds

        router.begin = sooner  # type: ignore[assignment, method-assign]
        with pytest.raises((openai.APITimeoutError, httpx.ReadTimeout)) as caught:
            call(llm, **({"routing": {"deadline": 30}} if limit == "deadline" else {}))
        assert time.monotonic() - begun < 8  # it would drip for half a minute and more
    tried = len(caught.value.attempts)  # type: ignore[union-attr]
    assert (len(liar.asked), tried <= 3) == (1, True)
    assert [entry.outcome for entry in router.ledger.entries() if entry.booked] == ["unknown"]


@pytest.mark.parametrize(
    ("limit", "lie"),
    [("max_seconds", drips), ("deadline", drips), ("deadline", stalls), ("deadline", hangs)],
)
def test_nothing_outlasts_the_time_of_a_call(
    sim: Simulator, limit: str, lie: Any, subtests: pytest.Subtests
) -> None:
    """When a call's time is over its answer is given up, and no other request is sent."""
    # All ways at the same time: what they do is wait.
    with ThreadPoolExecutor(len(WAYS)) as pool:
        tried = {way: pool.submit(outlasts, sim, way, limit, lie) for way in WAYS}
    for way, one in tried.items():
        with subtests.test(way=way):
            one.result()


MCP = {"type": "mcp", "server_label": "a", "server_url": "https://a.example", "require_approval": "never"}
ONCE: dict[str, dict[str, Any]] = {
    "hosted tools": {"tools": [{"type": "web_search"}]},
    "a server's tools": {"tools": [MCP]},
    "stored": {"store": True},
    "stored, by extra_body": {"extra_body": {"store": True}},
    "background, by extra_body": {"extra_body": {"background": True}},
    "background": {"background": True, "store": True},
    "a conversation": {"conversation": "conv_1"},
    "a stored prompt": {"prompt": {"id": "pmpt_1"}},
}


@pytest.mark.parametrize("way", ["invoke", "astream", "achat", "stream_chat"])
@pytest.mark.parametrize("given", ONCE.values(), ids=list(ONCE))
def test_what_must_not_be_done_twice_is_not(way: str, given: dict[str, Any]) -> None:
    """After a failure that leaves open whether it was done, nothing is sent again."""
    make, call = WAYS[way]
    with lying(always=hangs_up) as liar:
        llm = make(liar.url, booked_router(), policy={"models": ["gpt-4.1", "gpt-4o"], "at_least": None})
        with pytest.raises(openai.APIConnectionError) as caught:
            call(llm, **given)
    assert len(liar.asked) == 1
    assert "must not be done twice" in caught.value.__notes__[-1]


@pytest.mark.parametrize("way", STREAMED)
def test_a_stream_that_breaks_off_is_booked(sim: Simulator, way: str) -> None:
    """What had begun to come is billed, whoever ended it."""
    make, call = WAYS[way]
    router = booked_router()
    sim.faults.add("truncate;after_chunks=7")
    with pytest.raises(IncompleteStream):
        call(make(sim.url, router, policy=ONE))
    (entry,) = router.ledger.entries()
    assert (entry.outcome, entry.booked > 0) == ("unknown", True)
