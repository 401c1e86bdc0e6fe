"""An application written for gpt-4o, on a server that enforces the real rules: no row is refused."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import date
from typing import Any

import pytest
from langchain_core.messages import AIMessage, HumanMessage, ToolMessage
from langchain_core.tools import tool
from langchain_openai import ChatOpenAI
from langchain_routed import RoutedChatModel
from pydantic import BaseModel

from routed_llm import Router
from routed_llm.simulator import Simulator, serve

from ..unit_tests.helpers import merged, pdf, png, routing, wav  # noqa: TID252 - the core has tests, too

HARD = "Prove step by step that the sum of two odd numbers is even, then generalise and give an algorithm."


class Person(BaseModel):
    """A person."""

    name: str
    age: int


@tool
def add(a: int, b: int) -> int:
    """Add two numbers."""
    return a + b


def many_tools() -> list[dict[str, Any]]:
    text = "Does something that takes a good many words to describe, with rules, limits and examples. "
    made = {"type": "object", "properties": {"key": {"type": "string", "description": text}}}
    return [
        {"type": "function", "function": {"name": f"tool_{i}", "description": text, "parameters": made}}
        for i in range(30)
    ]


def image() -> list[Any]:
    return [
        {"type": "text", "text": "What is it?"},
        {"type": "image", "base64": png(), "mime_type": "image/png"},
    ]


def document() -> list[Any]:
    block = {"type": "file", "base64": pdf(40), "mime_type": "application/pdf", "filename": "a.pdf"}
    return [{"type": "text", "text": "Summarise"}, block]


def voice() -> list[Any]:
    return [
        {"type": "text", "text": "What is said?"},
        {"type": "audio", "base64": wav(), "mime_type": "audio/wav"},
    ]


Row = Callable[[RoutedChatModel], Any]
ROWS: dict[str, Row] = {
    "short": lambda llm: llm.invoke("What is the capital of Peru?"),
    "hard": lambda llm: llm.invoke(HARD),
    "temperature, cap, hard": lambda llm: llm.invoke(HARD, temperature=0.2, max_tokens=50),
    "tools, hard": lambda llm: llm.bind_tools([add]).invoke(f"{HARD} add 1 and 2"),
    "tools, temperature 0, stop": lambda llm: llm.bind_tools([add]).invoke(
        "add", temperature=0, stop=["END"]
    ),
    "200K": lambda llm: llm.invoke("word " * 200_000),
    "126.7K + 16K": lambda llm: llm.invoke("word " * 126_700, max_tokens=16_000),
    "1.005M": lambda llm: llm.invoke("word " * 1_005_000),
    "image": lambda llm: llm.invoke([HumanMessage(image())]),
    "voice": lambda llm: llm.invoke([HumanMessage(voice())]),
    "document": lambda llm: llm.invoke([HumanMessage(document())]),
    "30 tools": lambda llm: llm.bind_tools(many_tools()).invoke("Hi"),
    "structured": lambda llm: llm.with_structured_output(Person, include_raw=True).invoke("A person")["raw"],
    "pinned": lambda llm: llm.invoke("Hi", model="gpt-5", temperature=0.2),
    "gpt-5.5 with tools": lambda llm: llm.bind_tools([add]).invoke("add 1 and 2", model="gpt-5.5"),
    "gpt-5.6-luna with tools": lambda llm: llm.bind_tools([add]).invoke("add 1 and 2", model="gpt-5.6-luna"),
    "streamed": lambda llm: merged(list(llm.stream(HARD))),
    "streamed tools": lambda llm: merged(list(llm.bind_tools([add]).stream("add 1 and 2"))),
}


@pytest.mark.parametrize("row", ROWS.values(), ids=ROWS.keys())
@pytest.mark.parametrize("baseline", ["gpt-4o"])
def test_every_row_is_answered(make, sim, row: Row, baseline: str) -> None:
    """The request is sent once, answered, not empty, and its record says who answered."""
    answer = row(make(model=baseline))
    assert sim.refused == []
    assert len(sim.journal) == 1
    assert answer.content or answer.tool_calls
    assert routing(answer)["served"] == sim.journal[0].served
    assert float(routing(answer)["cost"]) == pytest.approx(float(sim.journal[0].dollars))


def test_thanks_stays_on_the_model(make, sim) -> None:
    """The second turn of a conversation stays where its prefix is cached."""
    llm = make()
    history: list[Any] = [HumanMessage(HARD + " word" * 3_000)]
    first = llm.invoke(history)
    second = llm.invoke([*history, first, HumanMessage("thanks")])
    assert routing(second)["model"] == routing(first)["model"]
    assert sim.journal[1].used.cached > 0
    assert sim.refused == []


def test_an_application_survives_the_shutdown_of_its_model() -> None:
    """On the day after gpt-4o is gone, the same program is still answered, with the same floor."""
    day = date(2027, 1, 15)
    with serve(at=day) as later:
        with pytest.raises(Exception, match="gpt-4o"):
            ChatOpenAI(model="gpt-4o", base_url=later.url, max_retries=0).invoke("Hi")
        later.reset()
        llm = RoutedChatModel(base_url=later.url, router=Router(clock=lambda: day))
        answers = [
            llm.invoke("Hi"),
            llm.invoke([HumanMessage(image())]),
            llm.bind_tools([add]).invoke("add 1 and 2"),
        ]
        assert later.refused == []
        assert not {routing(answer)["model"] for answer in answers} & {"gpt-4o"}


MIXED: list[tuple[str, Any]] = [
    ("short", "Hi"),
    ("long", "word " * 150_000),
    ("image", [HumanMessage(image())]),
    ("tool", "add 1 and 2"),
    ("stop", "Hi"),
]


def check(kind: str, number: int, answer: Any, entries: dict[str, Any]) -> None:
    """An answer belongs to its own request: the journal's entry with its number."""
    entry = entries[f"number-{number}"]
    record = routing(answer)
    assert (record["model"], record["served"]) == (entry.model, entry.served), kind
    assert answer.usage_metadata["input_tokens"] == entry.used.prompt, kind


def numbered(kind: str, prompt: Any, number: int) -> list[Any]:
    said = prompt if isinstance(prompt, list) else [HumanMessage(prompt)]
    return [HumanMessage(f"number-{number}"), AIMessage("ok"), *said]


def by_number(sim: Simulator) -> dict[str, Any]:
    found = {}
    for entry in sim.journal:
        first = (entry.body.get("messages") or entry.body.get("input"))[0]["content"]
        found[first if isinstance(first, str) else first[0]["text"]] = entry
    return found


def test_32_threads_on_one_object(make, sim) -> None:
    """Mixed requests from 32 threads get their own answers, models and records."""
    llm = make()
    work = [(kind, prompt, i) for i in range(64) for kind, prompt in [MIXED[i % 5]]]

    def call(kind: str, prompt: Any, number: int) -> Any:
        model = {"tool": llm.bind_tools([add]), "stop": llm.bind(stop=["END"])}.get(kind, llm)
        messages = numbered(kind, prompt, number)
        return merged(list(model.stream(messages))) if number % 3 == 0 else model.invoke(messages)

    with ThreadPoolExecutor(32) as pool:
        answers = list(pool.map(lambda item: call(*item), work))
    entries = by_number(sim)
    for (kind, _, number), answer in zip(work, answers, strict=True):
        check(kind, number, answer, entries)
    assert sim.refused == []
    assert len({entry.model for entry in sim.journal}) > 1
    assert llm.model_name == "gpt-4o"


async def test_32_tasks_on_one_object(make, sim) -> None:
    """The same for 32 tasks of one loop."""
    llm = make()
    work = [(kind, prompt, i) for i in range(32) for kind, prompt in [MIXED[i % 5]]]

    async def call(kind: str, prompt: Any, number: int) -> Any:
        model = {"tool": llm.bind_tools([add]), "stop": llm.bind(stop=["END"])}.get(kind, llm)
        messages = numbered(kind, prompt, number)
        if number % 3 == 0:
            return merged([chunk async for chunk in model.astream(messages)])
        return await model.ainvoke(messages)

    answers = await asyncio.gather(*(call(*item) for item in work))
    entries = by_number(sim)
    for (kind, _, number), answer in zip(work, answers, strict=True):
        check(kind, number, answer, entries)
    assert sim.refused == []


def test_a_tool_loop_by_hand(make, sim) -> None:
    """The usual hand-written loop runs to its end."""
    llm = make().bind_tools([add])
    history: list[Any] = [HumanMessage("add 1 and 2")]
    for _ in range(4):
        answer = llm.invoke(history)
        history.append(answer)
        if not answer.tool_calls:
            break
        history += [ToolMessage("3", tool_call_id=call["id"]) for call in answer.tool_calls]
    assert isinstance(history[-1], AIMessage)
    assert history[-1].content
    assert sim.refused == []
