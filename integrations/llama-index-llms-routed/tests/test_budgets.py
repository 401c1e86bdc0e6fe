"""Budgets, ledgers and scopes through RoutedLLM, against the simulated API."""

from __future__ import annotations

import asyncio
import copy
import pickle
import threading
from collections.abc import Callable
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from llama_index.core import Document, SummaryIndex
from llama_index.core.agent.workflow import FunctionAgent
from llama_index.core.llms import ChatMessage
from llama_index.core.tools import FunctionTool
from llama_index.llms.routed import RoutedLLM
from pydantic import BaseModel

from routed_llm import Budget, BudgetEvent, BudgetExceeded, MemoryLedger, PolicyError, Router, scoped
from routed_llm.simulator import Simulator

NOON = datetime(2026, 11, 22, 12, tzinfo=UTC)
HELLO = [ChatMessage("Say hello.")]
RICH = Budget(per_day=5)
POOR = Budget(per_day="0.0001")
Make = Callable[..., RoutedLLM]


class Greeting(BaseModel):
    """A greeting."""

    text: str


@pytest.fixture
def mine(sim: Simulator, monkeypatch: pytest.MonkeyPatch) -> Make:
    """Make an LLM that keeps its own books, on the simulator's day."""
    monkeypatch.setattr("routed_llm.calls.router._now", lambda: NOON)
    return lambda **given: RoutedLLM(api_base=sim.url, api_key="sk-simulated", max_retries=0, **given)


def routing(response: Any) -> dict[str, Any]:
    """Return the routing record of a response."""
    record: dict[str, Any] = response.additional_kwargs["routing"]
    return record


def often(do: Callable[[], Any]) -> None:
    """Do something more often than any budget here pays for."""
    for _ in range(20):
        do()


async def drained(llm: RoutedLLM, **given: Any) -> Any:
    """Read an asynchronous stream to its end."""
    return [chunk async for chunk in await llm.astream_chat(HELLO, **given)][-1]


async def completed(llm: RoutedLLM, **given: Any) -> Any:
    """Read an asynchronous stream of a completion to its end."""
    return [chunk async for chunk in await llm.astream_complete("Say hello.", **given)][-1]


CALLS: dict[str, Callable[..., Any]] = {
    "chat": lambda llm, **given: llm.chat(HELLO, **given),
    "complete": lambda llm, **given: llm.complete("Say hello.", **given),
    "stream_chat": lambda llm, **given: list(llm.stream_chat(HELLO, **given))[-1],
    "stream_complete": lambda llm, **given: list(llm.stream_complete("Say hello.", **given))[-1],
    "achat": lambda llm, **given: asyncio.run(llm.achat(HELLO, **given)),
    "acomplete": lambda llm, **given: asyncio.run(llm.acomplete("Say hello.", **given)),
    "astream_chat": lambda llm, **given: asyncio.run(drained(llm, **given)),
    "astream_complete": lambda llm, **given: asyncio.run(completed(llm, **given)),
    "on Responses": lambda llm, **given: llm.chat(HELLO, include=["reasoning.encrypted_content"], **given),
}
WITHOUT_OPTIONS: dict[str, Callable[..., Any]] = {
    "structured": lambda llm: llm.as_structured_llm(Greeting).chat(HELLO),
    "a query engine": lambda llm: (
        SummaryIndex.from_documents([Document.example()])
        .as_query_engine(llm=llm)
        .query("What is this about?")
    ),
}


@pytest.mark.parametrize("call", {**CALLS, **WITHOUT_OPTIONS}.values(), ids={**CALLS, **WITHOUT_OPTIONS})
def test_a_budget_in_the_constructor(mine: Make, sim: Simulator, call: Callable[..., Any]) -> None:
    """However an LLM is called, it books what it spends, and stops before anything is sent."""
    llm = mine(budget=RICH)
    call(llm)
    assert llm.router is not None
    (line,) = llm.router.ledger.entries()
    assert line.dollars == sim.billed > 0
    sim.reset()
    with pytest.raises(BudgetExceeded) as caught:
        call(mine(budget=POOR))
    assert sim.journal == []
    error = caught.value
    assert (error.period, error.remaining) == ("day", Decimal("0.0001"))
    assert error.asked > error.remaining
    assert error.resets_at == datetime(2026, 11, 23, tzinfo=UTC)


@pytest.mark.parametrize("call", CALLS.values(), ids=CALLS)
def test_whom_a_call_is_for(mine: Make, sim: Simulator, call: Callable[..., Any]) -> None:
    """Scope, conversation and a further budget come with one call, and are not sent."""
    ledger = MemoryLedger()
    llm = mine(budget=[Budget(per_day=5, scope="team"), Budget(per_conversation=1)], ledger=ledger)
    options = {"scope": {"team": "search"}, "conversation": "c1", "budget": {"total": 3}}
    record = routing(call(llm, routing=options))
    left = [(row["scope"], row["period"]) for row in record["remaining"]]
    assert left == [("team=search", "day"), ("", "conversation"), ("", "total")]
    (line,) = ledger.entries()
    assert (line.tags, line.conversation) == ({"team": "search"}, "c1")
    with pytest.raises(BudgetExceeded) as caught:
        call(llm, routing={**options, "budget": {"per_hour": 0, "scope": "team=search"}})
    assert (caught.value.scope, caught.value.period) == ("team=search", "hour")
    assert len(sim.journal) == 1
    assert "routing" not in sim.journal[0].body


def test_calls_of_a_conversation_reach_one_cache(mine: Make, sim: Simulator) -> None:
    """They carry one prompt_cache_key, unless the caller set one."""
    llm, long = mine(), [ChatMessage("I wrote to you about this before. " * 200)]
    for conversation in ("a", "a", "b"):
        llm.chat(long, routing={"conversation": conversation})
    llm.chat(long, routing={"conversation": "a"}, prompt_cache_key="my own")
    first, again, other, own = (entry.body["prompt_cache_key"] for entry in sim.journal)
    assert (first == again, first == other, own) == (True, False, "my own")


def test_scoped_holds_around_engines(mine: Make) -> None:
    """A block around a query engine says whom its calls are for, and what they may spend."""
    ledger = MemoryLedger()
    engine = SummaryIndex.from_documents([Document.example()]).as_query_engine(llm=mine(ledger=ledger))
    with scoped(team="search", conversation="c1"):
        engine.query("What is this about?")
    (line,) = ledger.entries()
    assert (line.tags, line.conversation) == ({"team": "search"}, "c1")
    with scoped(budget=POOR), pytest.raises(BudgetExceeded):
        engine.query("What is this about?")


def test_a_tool_loop_stops_when_the_money_is_gone(mine: Make, sim: Simulator) -> None:
    """Every turn of an agent draws on the budget, and the first one that it cannot pay is not sent."""

    def look_up(order: str) -> str:
        """Look up an order."""
        return f"{order} is on its way. " * 400

    llm = mine(budget=Budget(total="0.002"))
    for _ in range(3):
        sim.script(tool_calls=[("look_up", {"order": "1"})])

    async def ask() -> None:
        agent = FunctionAgent(tools=[FunctionTool.from_defaults(look_up)], llm=llm)
        for _ in range(5):
            await agent.run("Where is my order?")

    with pytest.raises(BudgetExceeded):
        asyncio.run(ask())
    assert llm.router is not None
    assert sim.billed <= Decimal("0.002")
    assert len(list(llm.router.ledger.entries())) == len(sim.journal) >= 2


@pytest.mark.parametrize("include", [None, ["reasoning.encrypted_content"]], ids=["chat", "responses"])
def test_money_taken_between_a_decision_and_its_stream(
    mine: Make, sim: Simulator, include: list[str] | None
) -> None:
    """A stream that is opened and read later reserves when it is read; then nothing is sent without money."""
    price = mine(budget=RICH).explain(HELLO).dollars
    assert price is not None
    llm = mine(budget=Budget(total=price))
    given = {} if include is None else {"include": include}
    streams = [llm.stream_chat(HELLO, **given) for _ in range(2)]
    list(streams[0])
    sent = len(sim.journal)
    with pytest.raises(BudgetExceeded):
        list(streams[1])
    assert (sent, len(sim.journal)) == (1, 1)


def test_an_abandoned_stream_is_settled(mine: Make, sim: Simulator) -> None:
    """A stream that nobody reads to its end is charged what was reserved, and holds nothing back."""
    llm = mine(budget=RICH)
    account = RICH.accounts({}, None, NOON)
    assert llm.router is not None
    chunks = llm.stream_chat(HELLO)
    while not next(chunks).delta:
        pass
    held = llm.router.ledger.remaining(account, at=NOON)[0]
    chunks.close()

    async def leave() -> None:
        answer = await llm.astream_chat(HELLO)
        async for chunk in answer:
            if chunk.delta:
                break
        await answer.aclose()

    asyncio.run(leave())
    lines = list(llm.router.ledger.entries())
    assert [line.cost for line in lines] == [None, None]
    rest = llm.router.ledger.remaining(account, at=NOON)[0]
    assert rest == account[0].limit - sum(line.booked for line in lines)
    assert 0 < rest < held < account[0].limit


def test_a_passed_share_is_told(mine: Make) -> None:
    """on_budget is called once for each share that spending passes; a soft budget refuses nothing."""
    events: list[BudgetEvent] = []
    llm = mine(budget=Budget(total="0.001", hard=False, notify_at=[0.2, 0.6]), on_budget=events.append)
    for _ in range(6):
        llm.chat(HELLO)
    assert [event.share for event in events] == [0.2, 0.6]


def test_fifty_threads_against_a_budget_for_one(mine: Make, sim: Simulator) -> None:
    """However many call at once, the money is spent once."""
    price = mine(budget=RICH).explain(HELLO).dollars
    assert price is not None
    llm, start, ended = mine(budget=Budget(total=price)), threading.Barrier(50), []

    def call() -> None:
        start.wait()
        try:
            ended.append(llm.chat(HELLO))
        except BudgetExceeded as error:
            ended.append(error)

    threads = [threading.Thread(target=call) for _ in range(50)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    answers = [item for item in ended if not isinstance(item, BudgetExceeded)]
    assert len(ended) == 50
    # What an answer cost less than was expected may pay for another one, but never more than there is.
    assert 1 <= len(answers) == len(sim.journal)
    assert sim.billed <= price


def test_copies_draw_on_the_same_money(mine: Make) -> None:
    """A copy of an LLM has no purse of its own."""
    llm = mine(budget=RICH)
    for other in (copy.deepcopy(llm), llm.model_copy()):
        other.chat(HELLO)
    assert llm.router is not None
    assert len(list(llm.router.ledger.entries())) == 2


def test_a_ledger_on_disk_is_shared(mine: Make, tmp_path: Path) -> None:
    """LLMs that name the same file draw on the same money, and so does one that was pickled."""
    path = str(tmp_path / "book.db")
    one, other = (mine(budget=Budget(per_day="0.0015"), ledger=path) for _ in range(2))
    with pytest.raises(BudgetExceeded):
        often(lambda: one.chat(HELLO))
    for llm in (other, pickle.loads(pickle.dumps(one))):
        with pytest.raises(BudgetExceeded):
            llm.chat(HELLO)


@pytest.mark.parametrize(
    ("given", "message"),
    [
        (
            {"budget": 5},
            "budget holds 5. Give a Budget, such as Budget(per_day=5), a dict of its keywords, or several of "
            "them.",
        ),
        ({"budget": {"perday": 5}}, "'perday' is not a keyword of Budget. Did you mean 'per_day'?"),
        (
            {"ledger": MemoryLedger(), "router": Router()},
            "ledger is given beside a router that has another. Give it to the router alone: "
            "Router(ledger=...).",
        ),
    ],
    ids=["no budget", "a wrong keyword", "two ledgers"],
)
def test_what_is_wrong_is_said(mine: Make, given: dict[str, Any], message: str) -> None:
    """What cannot be meant is refused by the constructor, as a PolicyError."""
    with pytest.raises(PolicyError) as caught:
        mine(**given)
    assert str(caught.value) == message
