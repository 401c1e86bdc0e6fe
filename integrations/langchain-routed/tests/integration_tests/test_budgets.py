"""Budgets, ledgers and scopes through RoutedChatModel, against the simulated API."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import httpx
import pytest
from langchain.agents import create_agent
from langchain_core.messages import HumanMessage
from langchain_core.runnables import RunnableLambda
from langchain_routed import RoutedChatModel
from pydantic import BaseModel

from routed_llm import Budget, BudgetEvent, BudgetExceeded, MemoryLedger, PolicyError, Router, scoped
from routed_llm.simulator import Simulator

NOON = datetime(2026, 11, 22, 12, tzinfo=UTC)
HELLO = "Say hello."
RICH = Budget(per_day=5)
POOR = Budget(per_day="0.0001")
Make = Callable[..., RoutedChatModel]


class Greeting(BaseModel):
    """A greeting."""

    text: str


def look_up(order: str) -> str:
    """Look up an order."""
    return f"{order} is on its way. " * 400


@pytest.fixture
def mine(sim: Simulator, monkeypatch: pytest.MonkeyPatch) -> Make:
    """Make a model that keeps its own books, on the simulator's day."""
    monkeypatch.setattr("routed_llm.calls.router._now", lambda: NOON)

    def make(**given: Any) -> RoutedChatModel:
        # An asynchronous client of its own: each test of this file runs event loops one after another.
        client = httpx.AsyncClient()
        return RoutedChatModel(base_url=sim.url, max_retries=0, http_async_client=client, **given)

    return make


def left(message: Any) -> list[tuple[str, str]]:
    """Return scope and period of each budget that an answer drew on."""
    return [(row["scope"], row["period"]) for row in message.response_metadata["routing"]["remaining"]]


async def drained(chunks: Any) -> list[Any]:
    """Read an asynchronous stream to its end."""
    return [chunk async for chunk in chunks]


def often(do: Callable[[], Any]) -> None:
    """Do something more often than any budget here pays for."""
    for _ in range(20):
        do()


CALLS: dict[str, Callable[[Any], Any]] = {
    "invoke": lambda llm: llm.invoke(HELLO),
    "ainvoke": lambda llm: asyncio.run(llm.ainvoke(HELLO)),
    "stream": lambda llm: list(llm.stream(HELLO)),
    "astream": lambda llm: asyncio.run(drained(llm.astream(HELLO))),
    "batch": lambda llm: llm.batch([HELLO]),
    "abatch": lambda llm: asyncio.run(llm.abatch([HELLO])),
    "generate": lambda llm: llm.generate([[HumanMessage(HELLO)]]),
    "a chain": lambda llm: (RunnableLambda(lambda text: text) | llm).invoke(HELLO),
    "an agent": lambda llm: create_agent(llm, []).invoke({"messages": [("user", HELLO)]}),
    "structured": lambda llm: llm.with_structured_output(Greeting).invoke(HELLO),
}


@pytest.mark.parametrize("call", CALLS.values(), ids=CALLS.keys())
def test_a_budget_in_the_constructor(mine: Make, sim: Simulator, call: Callable[[Any], Any]) -> None:
    """However a model is called, it books what it spends, and stops before anything is sent."""
    llm = mine(budget=RICH)
    call(llm)
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


def test_the_refusal_says_what_would_fit(mine: Make, sim: Simulator) -> None:
    """A budget that the floor is too dear for names what is below the floor, with its price."""
    with pytest.raises(BudgetExceeded) as caught:
        mine(budget=Budget(per_call="0.0003")).invoke(HELLO)
    assert caught.value.period == "call"
    assert [cost < Decimal("0.0003") for _, _, cost in caught.value.fits]
    assert "nothing was sent" in str(caught.value)
    assert sim.journal == []


PER_CALL: dict[str, Callable[[Any, Any], Any]] = {
    "a keyword": lambda llm, routing: llm.invoke(HELLO, routing=routing),
    "the config": lambda llm, routing: llm.invoke(HELLO, {"configurable": {"routing": routing}}),
    "with_config": lambda llm, routing: llm.with_config(configurable={"routing": routing}).invoke(HELLO),
    "bind": lambda llm, routing: llm.bind(routing=routing).invoke(HELLO),
    "a chain's config": lambda llm, routing: (RunnableLambda(lambda text: text) | llm).invoke(
        HELLO, {"configurable": {"routing": routing}}
    ),
    "ainvoke": lambda llm, routing: asyncio.run(llm.ainvoke(HELLO, {"configurable": {"routing": routing}})),
    "batch": lambda llm, routing: llm.batch([HELLO], {"configurable": {"routing": routing}})[0],
    "stream": lambda llm, routing: list(llm.stream(HELLO, {"configurable": {"routing": routing}}))[-1],
    "astream": lambda llm, routing: asyncio.run(
        drained(llm.astream(HELLO, {"configurable": {"routing": routing}}))
    )[-1],
    "an agent": lambda llm, routing: create_agent(llm, []).invoke(
        {"messages": [("user", HELLO)]}, {"configurable": {"routing": routing}}
    )["messages"][-1],
}


@pytest.mark.parametrize("call", PER_CALL.values(), ids=PER_CALL.keys())
def test_whom_a_call_is_for(mine: Make, sim: Simulator, call: Callable[[Any, Any], Any]) -> None:
    """Scope, conversation and a further budget come with one call, and only a value of JSON is needed."""
    ledger = MemoryLedger()
    llm = mine(budget=[Budget(per_day=5, scope="team"), Budget(per_conversation=1)], ledger=ledger)
    routing = {"scope": {"team": "search"}, "conversation": "c1", "budget": {"total": 3}}
    answer = call(llm, routing)
    if hasattr(answer, "response_metadata") and "routing" in answer.response_metadata:
        assert left(answer) == [("team=search", "day"), ("", "conversation"), ("", "total")]
    (line,) = ledger.entries()
    assert (line.tags, line.conversation) == ({"team": "search"}, "c1")
    with pytest.raises(BudgetExceeded) as caught:
        call(llm, {**routing, "budget": {"per_hour": 0, "scope": "team=search"}})
    assert (caught.value.scope, caught.value.period) == ("team=search", "hour")
    assert len(sim.journal) == 1
    assert "routing" not in sim.journal[0].body


def test_what_a_call_says_adds_up(mine: Make) -> None:
    """The block around, the config and the call each say something; where two differ the nearest wins."""
    ledger = MemoryLedger()
    llm = mine(ledger=ledger, policy={"exclude": ["gpt-5.6-luna"]})
    config = {"configurable": {"routing": {"scope": "team=ads,user=ann", "exclude": ["gpt-5*"]}}}
    with scoped(company="acme", team="search"):
        answer = llm.invoke(HELLO, config, routing={"scope": {"user": "bob"}, "budget": Budget(total=1)})
    assert not answer.response_metadata["routing"]["model"].startswith("gpt-5")
    assert left(answer) == [("", "total")]
    (line,) = ledger.entries()
    assert line.tags == {"company": "acme", "team": "ads", "user": "bob"}


def test_a_thread_is_a_conversation(mine: Make, sim: Simulator) -> None:
    """LangGraph's thread_id names the conversation: a thread has a budget, and its calls reach one cache."""
    ledger = MemoryLedger()
    llm = mine(budget=Budget(per_conversation="0.003"), ledger=ledger)
    long = "I wrote to you about this before. " * 200 + HELLO
    agent = create_agent(llm, [])
    for thread in ("a", "a", "b"):
        agent.invoke({"messages": [("user", long)]}, {"configurable": {"thread_id": thread}})
    named = {"configurable": {"thread_id": "a", "routing": {"conversation": "mine"}}}
    llm.invoke(long, named)
    assert [line.conversation for line in ledger.entries()] == ["a", "a", "b", "mine"]
    keys = [entry.body["prompt_cache_key"] for entry in sim.journal]
    assert keys[0] == keys[1] != keys[2]
    llm.invoke(long, named, prompt_cache_key="my own")
    assert sim.journal[-1].body["prompt_cache_key"] == "my own"
    with pytest.raises(BudgetExceeded) as caught:
        often(lambda: agent.invoke({"messages": [("user", long)]}, {"configurable": {"thread_id": "a"}}))
    assert caught.value.period == "conversation"
    agent.invoke({"messages": [("user", long)]}, {"configurable": {"thread_id": "c"}})


def test_a_tool_loop_stops_when_the_money_is_gone(mine: Make, sim: Simulator) -> None:
    """Every turn of an agent draws on the budget, and the first one that it cannot pay is not sent."""

    llm = mine(budget=Budget(total="0.002"))
    for _ in range(3):
        sim.script(tool_calls=[("look_up", {"order": "1"})])
    agent = create_agent(llm, [look_up])
    with pytest.raises(BudgetExceeded):
        often(lambda: agent.invoke({"messages": [("user", "Where is my order?")]}))
    assert sim.billed <= Decimal("0.002")
    assert len(list(llm.router.ledger.entries())) == len(sim.journal) >= 2


def test_an_abandoned_stream_is_settled(mine: Make, sim: Simulator) -> None:
    """A stream that nobody reads to its end is charged what was reserved, and holds nothing back."""
    llm = mine(budget=RICH)
    account = RICH.accounts({}, None, NOON)
    chunks = llm.stream(HELLO)
    next(chunks)
    held = llm.router.ledger.remaining(account, at=NOON)[0]
    chunks.close()

    async def leave() -> None:
        async for _ in llm.astream(HELLO):
            break

    asyncio.run(leave())
    lines = list(llm.router.ledger.entries())
    assert [line.cost for line in lines] == [None, None]
    rest = llm.router.ledger.remaining(account, at=NOON)[0]
    assert rest == account[0].limit - sum(line.booked for line in lines)
    assert 0 < rest < held < account[0].limit


def test_soft_budgets_move_towards_cost(mine: Make) -> None:
    """As a soft budget runs low a cheaper model is taken, down to the floor it sets; nothing is refused."""
    low = Budget(total="0.0008", hard=False, downshift_below=0.9, downshift_to="gpt-4.1-nano")
    llm = mine(budget=low, policy={"optimize": "quality", "max_cost_per_call": "0.01"})
    costs = [Decimal(llm.invoke(HELLO).response_metadata["routing"]["estimated_cost"]) for _ in range(4)]
    assert costs[-1] < costs[0] / 4


def test_a_passed_share_is_told(mine: Make) -> None:
    """on_budget is called once for each share that spending passes."""
    told: list[BudgetEvent] = []
    llm = mine(budget=Budget(total="0.001", hard=False, notify_at=[0.2, 0.6]), on_budget=told.append)
    for _ in range(6):
        llm.invoke(HELLO)
    assert [event.share for event in told] == [0.2, 0.6]
    assert told[0].spent >= told[0].limit * Decimal("0.2")


def test_fifty_threads_against_a_budget_for_one(mine: Make, sim: Simulator) -> None:
    """However many call at once, the money is spent once."""
    price = Decimal(str(mine(budget=RICH).explain(HELLO).dollars))
    llm, start, ended = mine(budget=Budget(total=price)), threading.Barrier(50), []

    def call() -> None:
        start.wait()
        try:
            ended.append(llm.invoke(HELLO))
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


def test_a_ledger_on_disk_is_shared(mine: Make, tmp_path: Path) -> None:
    """Two models, or two processes, that name the same file draw on the same money."""
    path = str(tmp_path / "book.db")
    one, other = (mine(budget=Budget(per_day="0.0015"), ledger=path) for _ in range(2))
    with pytest.raises(BudgetExceeded):
        often(lambda: one.invoke(HELLO))
    with pytest.raises(BudgetExceeded):
        other.invoke(HELLO)


COPIES: dict[str, Callable[[RoutedChatModel], Any]] = {
    "model_copy": lambda llm: llm.model_copy(),
    "model_copy with another setting": lambda llm: llm.model_copy(update={"temperature": 0.1}),
    "bind": lambda llm: llm.bind(temperature=0.1),
    "bind_tools": lambda llm: llm.bind_tools([look_up]),
    "with_retry": lambda llm: llm.with_retry(stop_after_attempt=1),
}


@pytest.mark.parametrize("copied", COPIES.values(), ids=COPIES.keys())
def test_copies_draw_on_the_same_money(mine: Make, copied: Callable[[RoutedChatModel], Any]) -> None:
    """A copy of a model has no purse of its own."""
    llm = mine(budget=RICH)
    copied(llm).invoke(HELLO)
    assert len(list(llm.router.ledger.entries())) == 1


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


@pytest.mark.parametrize(
    ("routing", "message"),
    [
        (
            {"conversation": 5},
            "conversation=5 is not a text. Give the key under which your program keeps the conversation, "
            "as a string.",
        ),
        ({"budgets": RICH}, "'budgets' is not a keyword of Policy. Valid ones are "),
        (
            {"scope": {"team": 5}},
            "scope={'team': 5} does not say whom the call is for. Give tags such as {'team': 'search', "
            "'user': 'ann'} or 'team=search,user=ann'.",
        ),
    ],
    ids=["conversation", "an unknown keyword", "scope"],
)
def test_what_is_wrong_in_a_call_is_said(
    mine: Make, sim: Simulator, routing: dict[str, Any], message: str
) -> None:
    """What cannot be meant in a call is refused before anything is sent."""
    with pytest.raises(PolicyError) as caught:
        mine().invoke(HELLO, routing=routing)
    assert str(caught.value).startswith(message)
    assert sim.journal == []
