"""A program written for gpt-4o on OpenAI's SDK, through the client and through the gateway.

The simulator enforces the real rules of each model. Every row is answered, by one request, none refused.
"""

from __future__ import annotations

import base64
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from datetime import date
from typing import Any

import openai
import openai_routed
import pytest
from pydantic import BaseModel

from routed_llm import Router
from routed_llm.gateway import Settings
from routed_llm.simulator import Simulator, serve
from tests.gateway.conftest import running
from tests.samples import pdf, png, wav

TODAY = date(2026, 11, 22)
HARD = "Prove step by step that the sum of two odd numbers is even, then generalise and give an algorithm."


class Person(BaseModel):
    """A person."""

    name: str
    age: int


def b64(data: bytes) -> str:
    """Write bytes as base64 text."""
    return base64.b64encode(data).decode()


def tool(name: str, description: str = "Add two numbers.") -> dict[str, Any]:
    """Return a tool."""
    numbers = {"a": {"type": "integer", "description": description}, "b": {"type": "integer"}}
    function = {
        "name": name,
        "description": description,
        "parameters": {"type": "object", "properties": numbers, "required": ["a", "b"]},
    }
    return {"type": "function", "function": function}


WORDS = "Does something that takes a good many words to describe, with rules, limits and examples. "
TOOLS = [tool("add")]
MANY = [tool(f"tool_{number}", WORDS) for number in range(30)]
IMAGE = {"type": "image_url", "image_url": {"url": f"data:image/png;base64,{b64(png(64, 48))}"}}
FILE = {"filename": "a.pdf", "file_data": f"data:application/pdf;base64,{b64(pdf(40))}"}
VOICE = {"type": "input_audio", "input_audio": {"data": b64(wav(1)), "format": "wav"}}


@dataclass(frozen=True, kw_only=True)
class Row:
    """One call of a program, in Chat Completions' words.

    Attributes:
        content: the user's message.
        given: parameters.
        only_chat: why it cannot be asked of Responses, or an empty text.
    """

    content: Any
    given: dict[str, Any]
    only_chat: str = ""


def row(content: Any, only_chat: str = "", **given: Any) -> Row:
    """Make a row."""
    return Row(content=content, given=given, only_chat=only_chat)


ROWS = {
    "short": row("What is the capital of Peru?"),
    "hard": row(HARD),
    "temperature, cap, hard": row(HARD, temperature=0.2, max_tokens=50),
    "tools, hard": row(f"{HARD} add 1 and 2", tools=TOOLS),
    "tools, temperature 0, stop": row(
        "add 1 and 2", "Responses has no stop", tools=TOOLS, temperature=0, stop=["END"]
    ),
    "200K": row("word " * 200_000),
    "126.7K + 16K": row("word " * 126_700, max_tokens=16_000),
    "1.005M": row("word " * 1_005_000),
    "image": row([{"type": "text", "text": "What is it?"}, IMAGE]),
    "voice": row([{"type": "text", "text": "What is said?"}, VOICE], "Responses takes no voice"),
    "document": row([{"type": "text", "text": "Summarise"}, {"type": "file", "file": FILE}]),
    "30 tools": row("Hi", tools=MANY),
    "structured": row("A person", response_format=Person),
    "gpt-5, temperature": row("Hi", model="gpt-5", temperature=0.2),
    "pinned to gpt-5, temperature": row(
        "Hi", temperature=0.2, extra_body={"routing": {"models": ["gpt-5"], "at_least": None}}
    ),
    "gpt-5.5 with tools": row("add 1 and 2", model="gpt-5.5", tools=TOOLS),
    "pinned to gpt-5.5, tools": row(
        "add 1 and 2", tools=TOOLS, extra_body={"routing": {"models": ["gpt-5.5"], "at_least": None}}
    ),
    "gpt-5.6-luna with tools": row("add 1 and 2", model="gpt-5.6-luna", tools=TOOLS),
    "streamed": row(HARD, stream=True),
    "streamed tools": row("add 1 and 2", stream=True, tools=TOOLS),
    "streamed, effort": row(HARD, stream=True, reasoning_effort="high"),
}
_AS_INPUT = {"text": "input_text", "image_url": "input_image", "file": "input_file"}


def item(part: dict[str, Any]) -> dict[str, Any]:
    """Return a part of a message as Responses takes it."""
    kind = _AS_INPUT[part["type"]]
    if kind == "input_image":
        return {"type": kind, "image_url": part["image_url"]["url"]}
    return {"type": kind, **(part["file"] if kind == "input_file" else {"text": part["text"]})}


def ask_chat(client: Any, row: Row) -> tuple[str, Any]:
    """Ask through Chat Completions; return what was said or called, and the record."""
    asked = {"model": "gpt-4o", "messages": [{"role": "user", "content": row.content}], **row.given}
    if "response_format" in asked:
        found = client.chat.completions.parse(**asked)
        assert found.choices[0].message.parsed is not None
        return "parsed", found.routing
    found = client.chat.completions.create(**asked)
    if not row.given.get("stream"):
        message = found.choices[0].message
        return message.content or message.tool_calls[0].function.name, found.routing
    chunks = list(found)
    deltas = [chunk.choices[0].delta for chunk in chunks]
    calls = [call.function.name or "" for delta in deltas for call in delta.tool_calls or ()]
    return "".join([*calls, *(delta.content or "" for delta in deltas)]), chunks[-1].routing


def ask_responses(client: Any, row: Row) -> tuple[str, Any]:
    """Ask through Responses."""
    given = {"model": "gpt-4o", **row.given}
    content = row.content if isinstance(row.content, str) else [item(part) for part in row.content]
    asked: dict[str, Any] = {"input": [{"role": "user", "content": content}]}
    if "max_tokens" in given:
        given["max_output_tokens"] = given.pop("max_tokens")
    if "tools" in given:
        given["tools"] = [
            {"type": "function", **tool["function"], "strict": False} for tool in given["tools"]
        ]
    if "reasoning_effort" in given:
        given["reasoning"] = {"effort": given.pop("reasoning_effort")}
    if "response_format" in given:
        found = client.responses.parse(**asked, text_format=given.pop("response_format"), **given)
        assert found.output_parsed is not None
        return "parsed", found.routing
    found = client.responses.create(**asked, **given)
    if row.given.get("stream"):
        found = list(found)[-1].response
    calls = [one.name for one in found.output if one.type == "function_call"]
    return "".join([*calls, found.output_text]), found.routing


@pytest.fixture(scope="module")
def simulator() -> Iterator[Simulator]:
    """One simulated OpenAI, on a fixed day."""
    with serve(at=TODAY) as found:
        yield found


@pytest.fixture(scope="module")
def clients(simulator: Simulator) -> Iterator[dict[str, Any]]:
    """A program's client by the way in."""
    with ExitStack() as stack:
        yield {name: opened(stack, simulator, name, TODAY) for name in ("client", "gateway")}


def opened(stack: ExitStack, sim: Simulator, name: str, day: date) -> Any:
    """Return a client of one way in."""
    router = Router(clock=lambda: day)
    if name == "client":
        made = openai_routed.OpenAI(base_url=sim.url, api_key="simulated", router=router)
        return stack.enter_context(made)
    settings = Settings(upstream=sim.url, upstream_key="simulated")
    gateway = stack.enter_context(running(settings, router))
    return stack.enter_context(openai.OpenAI(base_url=gateway.url, api_key="any", timeout=120))


@pytest.mark.parametrize("way", ["client", "gateway"])
@pytest.mark.parametrize(
    ("ask", "row"),
    [
        pytest.param(ask, row, id=f"{name}-{row_name}")
        for name, ask in (("chat", ask_chat), ("responses", ask_responses))
        for row_name, row in ROWS.items()
        if ask is ask_chat or not row.only_chat
    ],
)
def test_every_row_is_answered(
    clients: dict[str, Any], simulator: Simulator, way: str, ask: Any, row: Row
) -> None:
    """The request is sent once, answered, not empty, and its record says who answered for how much."""
    simulator.reset()
    said, record = ask(clients[way], row)
    assert simulator.refused == []
    assert len(simulator.journal) == 1
    assert said
    assert record["served"] == simulator.journal[0].served
    assert float(record["cost"]) == pytest.approx(float(simulator.journal[0].dollars))


@pytest.mark.parametrize("way", ["client", "gateway"])
def test_thanks_stays_on_the_model(clients: dict[str, Any], simulator: Simulator, way: str) -> None:
    """The second turn of a conversation stays where its prefix is cached."""
    simulator.reset()
    turns: list[Any] = [{"role": "user", "content": HARD + " word" * 3_000}]
    first = clients[way].chat.completions.create(model="gpt-4o", messages=turns)
    turns += [first.choices[0].message, {"role": "user", "content": "thanks"}]
    second = clients[way].chat.completions.create(model="gpt-4o", messages=turns)
    assert second.routing["model"] == first.routing["model"]
    assert simulator.journal[1].used.cached > 0
    assert simulator.refused == []


@pytest.mark.parametrize("way", ["client", "gateway"])
def test_a_program_survives_the_shutdown_of_its_model(way: str) -> None:
    """On the day after gpt-4o is gone, the same program is still answered, in both forms."""
    day = date(2027, 1, 15)
    with serve(at=day) as later, ExitStack() as stack:
        with (
            openai.OpenAI(base_url=later.url, api_key="simulated", max_retries=0) as plain,
            pytest.raises(openai.NotFoundError, match="gpt-4o"),
        ):
            ask_chat(plain, ROWS["short"])
        later.reset()
        client = opened(stack, later, way, day)
        names = ("short", "image", "tools, hard", "structured", "streamed")
        found = [ask(client, ROWS[name]) for ask in (ask_chat, ask_responses) for name in names]
        assert all(said for said, _ in found)
        assert "gpt-4o" not in {record["model"] for _, record in found}
        assert later.refused == []
