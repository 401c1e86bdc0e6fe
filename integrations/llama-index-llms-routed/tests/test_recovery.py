"""Every fault of the provider, met by every way to call: what the caller gets, and at the price of what."""

from __future__ import annotations

import asyncio
import gc
from collections.abc import Callable, Iterator
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

import httpx
import openai
import pytest
from llama_index.core.llms import ChatMessage
from llama_index.core.tools import FunctionTool
from llama_index.llms.routed import RoutedLLM, record_routing
from pydantic import BaseModel

from routed_llm import Budget, IncompleteStream, MemoryLedger, Router, open_ledger
from routed_llm.simulator import Simulator, serve

TODAY = date(2026, 11, 22)
SAID = "one two three four five six seven eight"
ASK = [ChatMessage(f'Say "{SAID}"')]
PROMPT = f'Say "{SAID}"'


class City(BaseModel):
    """A city."""

    name: str


def add(a: int, b: int) -> int:
    """Add two numbers."""
    return a + b


async def _last(stream: Any) -> Any:
    return [chunk async for chunk in await stream][-1]


ADD = FunctionTool.from_defaults(add)
WAYS: dict[str, Callable[[RoutedLLM], Any]] = {
    "chat": lambda llm: llm.chat(ASK).message.content,
    "achat": lambda llm: asyncio.run(llm.achat(ASK)).message.content,
    "complete": lambda llm: llm.complete(PROMPT).text,
    "stream_chat": lambda llm: list(llm.stream_chat(ASK))[-1].message.content,
    "astream_chat": lambda llm: asyncio.run(_last(llm.astream_chat(ASK))).message.content,
    "stream_complete": lambda llm: list(llm.stream_complete(PROMPT))[-1].text,
    "tools": lambda llm: llm.chat_with_tools([ADD], "Add 1 and 2", tool_required=True) and SAID,
    "structured": lambda llm: llm.as_structured_llm(City).complete("A city") and SAID,
}
STREAMS = ("stream_chat", "astream_chat", "stream_complete")

RATE, SERVER = openai.RateLimitError, openai.InternalServerError
BROKEN = (httpx.TransportError, openai.APIConnectionError)

# fault, what the first model's failure leads to, requests for it, the error when all fail, requests for that
MATRIX = [
    ("429;seconds=0.05", "same", 2, RATE, 3),
    ("429;seconds=3", "other", 2, RATE, 3),
    ("429_no_headers;seconds=0.05", "same", 2, RATE, 3),
    ("tpm_too_large", "other", 2, RATE, 3),
    ("insufficient_quota", "error", 1, RATE, 1),
    ("500", "other", 2, SERVER, 3),
    ("502_html", "other", 2, SERVER, 3),
    ("503", "other", 2, SERVER, 3),
    ("cut;after_chunks=0", "same", 2, BROKEN, 3),
    ("slow_first_token;seconds=0.05", "answer", 1, None, 1),
]
STREAM_MATRIX = [
    ("sse_error;after_chunks=0", "other", 2, openai.APIError, 3),
    ("truncate;after_chunks=0", "other", 2, IncompleteStream, 3),
    ("sse_error;after_chunks=1", "other", 2, openai.APIError, 3),
    ("truncate;after_chunks=1", "other", 2, IncompleteStream, 3),
]
CASES = [(way, *row) for row in MATRIX for way in WAYS] + [
    (way, *row) for row in STREAM_MATRIX for way in STREAMS
]


@pytest.fixture(scope="module")
def running() -> Iterator[Simulator]:
    """One simulated OpenAI for this module."""
    with serve(at=TODAY) as simulator:
        yield simulator


@pytest.fixture
def sim(running: Simulator) -> Simulator:
    """The simulator with nothing remembered."""
    running.reset()
    return running


@pytest.fixture
def llm(sim: Simulator) -> RoutedLLM:
    """A routed LLM that may send two more requests for a call, and knows of no failure yet."""
    return RoutedLLM(
        api_base=sim.url, api_key="k", max_retries=2, timeout=20, router=Router(clock=lambda: TODAY)
    )


def first_model(sim: Simulator, llm: RoutedLLM, way: str) -> str:
    """Return the model that answers a way of calling when nothing fails."""
    WAYS[way](llm)
    model = sim.journal[0].model
    assert len(sim.journal) == 1
    sim.reset()
    return model


@pytest.mark.parametrize(("way", "fault", "outcome", "sent", "error", "_most"), CASES)
def test_the_first_model_fails(
    sim: Simulator, llm: RoutedLLM, way: str, fault: str, outcome: str, sent: int, error: Any, _most: int
) -> None:
    """One model's failure costs one request more, and no token is said twice or lost."""
    first = first_model(sim, llm, way)
    sim.faults.add(f"{fault};model={first};times={int(outcome == 'same')}")
    if outcome == "error":
        with pytest.raises(error):
            WAYS[way](llm)
        assert len(sim.journal) == sent
        return
    with record_routing() as log:
        answer = WAYS[way](llm)
    assert answer == SAID
    assert [entry.model for entry in sim.journal].count(first) == (2 if outcome == "same" else 1)
    assert len(sim.journal) == sent
    assert sim.refused == []
    (record,) = log
    assert len(record["attempts"]) == sent - 1
    assert (record["model"] == first) == (outcome != "other")
    assert record["served"].startswith(sim.journal[-1].model)


@pytest.mark.parametrize(("way", "fault", "_outcome", "_sent", "error", "most"), CASES)
def test_all_models_fail(
    sim: Simulator, llm: RoutedLLM, way: str, fault: str, _outcome: str, _sent: int, error: Any, most: int
) -> None:
    """When nothing helps, the first error is raised after no more requests than max_retries allows."""
    first_model(sim, llm, way)
    wait = fault.replace("seconds=3", "seconds=0.2") if fault.startswith("429") else fault
    sim.faults.add(f"{wait};times=0")
    if error is None:
        WAYS[way](llm)
    else:
        with pytest.raises(error) as info:
            WAYS[way](llm)
        assert len(info.value.attempts) == most
        assert "routed-llm tried" in info.value.__notes__[-1]
    assert len(sim.journal) == most
    assert all(entry.retry == 0 for entry in sim.journal)


@pytest.mark.parametrize("way", ["stream_chat", "astream_chat"])
@pytest.mark.parametrize(
    ("fault", "error"), [("sse_error", openai.APIError), ("cut", BROKEN), ("truncate", IncompleteStream)]
)
def test_after_the_first_token(sim: Simulator, llm: RoutedLLM, way: str, fault: str, error: Any) -> None:
    """A stream that dies after its first token raises; what came is the beginning of the answer, once."""
    first_model(sim, llm, way)
    sim.faults.add(f"{fault};after_chunks=7")
    got: list[str] = []

    async def read() -> None:
        async for chunk in await llm.astream_chat(ASK):
            got.append(chunk.message.content or "")  # noqa: PERF401  what came before the error counts

    def work() -> None:
        if way == "astream_chat":
            asyncio.run(read())
        else:
            for chunk in llm.stream_chat(ASK):
                got.append(chunk.message.content or "")  # noqa: PERF401  what came before the error counts

    with pytest.raises(error) as info:
        work()
    assert got[-1]
    assert SAID.startswith(got[-1])
    assert len(sim.journal) == 1
    assert info.value.attempts[0].error.started


@pytest.mark.parametrize("retries", [0, 1, 4])
def test_max_retries_is_the_limit(sim: Simulator, llm: RoutedLLM, retries: int) -> None:
    """The user's own max_retries says how many requests there may be besides the first, in all."""
    llm.max_retries = retries
    sim.faults.add(kind="500", times=0)
    with pytest.raises(SERVER):
        llm.chat(ASK)
    assert len(sim.journal) == retries + 1


def test_a_given_client_does_not_retry_either(sim: Simulator, llm: RoutedLLM) -> None:
    """A client of the caller's own is used without its retries."""
    with openai.OpenAI(base_url=sim.url, api_key="k", max_retries=5) as client:
        own = RoutedLLM(api_key="k", openai_client=client, max_retries=1, router=llm.router)
        sim.faults.add(kind="500", times=0)
        with pytest.raises(SERVER):
            own.chat(ASK)
    assert [entry.retry for entry in sim.journal] == [0, 0]


@pytest.fixture(params=["memory", "sqlite"])
def booked(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Router]:
    """A router with a budget and a ledger of each kind: one that works at once, one in a thread."""
    ledger = MemoryLedger() if request.param == "memory" else open_ledger(str(tmp_path / "ledger.sqlite"))
    yield Router(clock=lambda: TODAY, ledger=ledger, budgets=BUDGET)
    ledger.close()


BUDGET = Budget(per_day=10)
NOON = datetime(2026, 11, 22, 12, tzinfo=UTC)


def unsettled(router: Router) -> int:
    """Return the picodollars that are still reserved."""
    accounts = BUDGET.accounts({}, None, NOON)
    spent = sum(entry.booked for entry in router.ledger.entries())
    return accounts[0].limit - spent - router.ledger.remaining(accounts, at=NOON)[0]


@pytest.mark.parametrize("way", WAYS)
def test_every_attempt_is_an_entry(sim: Simulator, booked: Router, way: str) -> None:
    """The book has a line for each request: for those that failed with what went wrong."""
    llm = RoutedLLM(api_base=sim.url, api_key="k", max_retries=2, router=booked)
    sim.faults.add(kind="500", times=1)
    sim.faults.add(kind="tpm_too_large", times=1)
    WAYS[way](llm)
    entries = list(booked.ledger.entries())
    assert [entry.outcome for entry in entries] == ["server", "too_large", "answered"]
    assert [entry.booked > 0 for entry in entries] == [False, False, True]
    assert unsettled(booked) == 0


@pytest.mark.parametrize("way", ["stream_chat", "astream_chat"])
def test_a_stream_that_dies_is_booked_by_what_was_reserved(sim: Simulator, booked: Router, way: str) -> None:
    """Tokens that had come are billed, whatever became of the stream; its error is also the SDK's."""
    llm = RoutedLLM(api_base=sim.url, api_key="k", router=booked)
    sim.faults.add("truncate;after_chunks=7")
    with pytest.raises(IncompleteStream) as caught:
        WAYS[way](llm)
    assert isinstance(caught.value, openai.APIConnectionError)
    assert caught.value.received
    (entry,) = booked.ledger.entries()
    assert (entry.outcome, entry.cost) == ("unknown", None)
    assert entry.booked > 0
    assert unsettled(booked) == 0


@pytest.mark.parametrize("how", ["achat", "astream_chat", "waiting"])
def test_a_cancelled_task_leaves_nothing_reserved(sim: Simulator, booked: Router, how: str) -> None:
    """Cancellation passes through, while a request runs and while recovery waits; the money is given back."""
    llm = RoutedLLM(api_base=sim.url, api_key="k", router=booked, policy={"models": ["gpt-4o"]})
    sim.faults.add("429;seconds=5;times=0" if how == "waiting" else "hang;seconds=5;times=0")

    async def work() -> None:
        call = _last(llm.astream_chat(ASK)) if how == "astream_chat" else llm.achat(ASK)
        task = asyncio.ensure_future(call)
        await asyncio.sleep(0.8)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task

    asyncio.run(work())
    assert len(sim.journal) == 1
    assert unsettled(booked) == 0


def test_an_interrupt_passes_through(sim: Simulator, booked: Router, monkeypatch: pytest.MonkeyPatch) -> None:
    """Ctrl-C is nothing to recover from: nothing is sent again, and nothing stays reserved."""
    llm = RoutedLLM(api_base=sim.url, api_key="k", router=booked)

    def interrupted(*_: Any, **__: Any) -> Any:
        raise KeyboardInterrupt

    monkeypatch.setattr("openai._base_client.SyncAPIClient.request", interrupted)
    for way in ("chat", "stream_chat"):
        with pytest.raises(KeyboardInterrupt):
            WAYS[way](llm)
    assert unsettled(booked) == 0


def test_a_key_without_access_keeps_nobody_else_away(sim: Simulator, llm: RoutedLLM) -> None:
    """A model that one key may not use is left alone with that key only; its calls are answered."""
    one, two = (RoutedLLM(api_base=sim.url, api_key=key, router=llm.router) for key in ("k1", "k2"))
    first = str(llm.explain(ASK).model)
    sim.faults.add(kind="no_access", model=first, times=1)
    with record_routing() as log:
        for caller in (one, one, two):
            assert caller.chat(ASK).message.content == SAID
    assert [record["model"] == first for record in log] == [False, False, True]
    assert [entry.model for entry in sim.journal].count(first) == 2


@pytest.mark.parametrize("endpoint", ["chat_completions", "responses"])
@pytest.mark.parametrize("way", ["stream_chat", "astream_chat", "stream_complete"])
def test_an_abandoned_stream_returns_its_connection(sim: Simulator, way: str, endpoint: str) -> None:
    """A stream that is given up is closed at once, and does not wait for the garbage collector."""
    on_responses = endpoint == "responses"
    llm = RoutedLLM(
        api_base=sim.url,
        api_key="k",
        router=Router(clock=lambda: TODAY),
        policy={"models": ["gpt-5.4"], "at_least": None, "effort": "high" if on_responses else None},
        http_client=httpx.Client(),
        async_http_client=httpx.AsyncClient(),
    )
    tools = {"tools": [ADD.metadata.to_openai_tool()]} if on_responses else {}
    pools = [http._transport._pool for http in (llm._http_client, llm._async_http_client)]

    def busy() -> int:
        return sum(not one.is_idle() and not one.is_closed() for pool in pools for one in pool.connections)

    async def read() -> list[int]:
        chunks = await llm.astream_chat(ASK, **tools)
        await anext(chunks)
        before = busy()
        await chunks.aclose()
        return [before, busy()]

    gc.disable()
    try:
        if way == "astream_chat":
            seen = asyncio.run(read())
        else:
            chunks = getattr(llm, way)(ASK if way == "stream_chat" else PROMPT, **tools)
            next(chunks)
            seen = [busy()]
            chunks.close()
            seen.append(busy())
    finally:
        gc.enable()
    assert seen == [1, 0]
    assert sim.journal[0].path.endswith(endpoint.replace("_", "/"))
