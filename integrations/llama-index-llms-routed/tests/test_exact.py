"""Near a boundary the LLM asks OpenAI's counting endpoint with its own client, and goes by what it says."""

from __future__ import annotations

from typing import Any

import pytest
from llama_index.core.base.llms.types import ChatMessage, TextBlock, ToolCallBlock
from llama_index.core.tools import FunctionTool

from routed_llm.simulator import Simulator
from tests.conftest import Make

WINDOW: dict[str, Any] = {
    "models": ["gpt-4o", "gpt-4.1"],
    "at_least": None,
    "incumbent": "gpt-4o",
    "exact_within": 500,
}
NEAR = " word" * 123_890
COUNT = "/v1/responses/input_tokens"


def look(word: str) -> str:
    """Look a word up."""
    return word


def paths(sim: Simulator) -> list[str]:
    """Return the paths that were called."""
    return [entry.path for entry in sim.journal]


def talk() -> list[ChatMessage]:
    """Return a conversation of every kind of message, near the window of gpt-4o."""
    call = ToolCallBlock(tool_call_id="call_1", tool_name="look", tool_kwargs={"word": "cat"})
    return [
        ChatMessage(role="system", content="Be brief."),
        ChatMessage(role="user", content=" word" * 123_600),
        ChatMessage(role="assistant", blocks=[call]),
        ChatMessage(role="tool", content="A cat.", additional_kwargs={"tool_call_id": "call_1"}),
        ChatMessage(role="user", blocks=[TextBlock(text="And"), TextBlock(text="now?")]),
    ]


@pytest.mark.parametrize("way", ["chat", "complete", "achat", "stream_chat"])
async def test_every_way_of_calling_asks(make: Make, sim: Simulator, way: str) -> None:
    """The count that decided is the simulator's own, and nothing is refused."""
    llm = make(policy=WINDOW)
    if way == "chat":
        answer: Any = llm.chat([ChatMessage(NEAR)])
    elif way == "complete":
        answer = llm.complete(NEAR)
    elif way == "achat":
        answer = await llm.achat([ChatMessage(NEAR)])
    else:
        answer = list(llm.stream_chat([ChatMessage(NEAR)]))[-1]
    record = answer.additional_kwargs["routing"]
    assert paths(sim)[0] == COUNT
    assert record["counted"]["by"] == "provider"
    assert record["counted"]["tokens"] == record["usage"]["input_tokens"]
    assert sim.refused == []


@pytest.mark.parametrize("what", ["nothing", "tools", "schema"])
def test_whatever_the_call_brings_is_counted(make: Make, sim: Simulator, what: str) -> None:
    """The counting endpoint takes what is asked of it, whatever the call is made of."""
    llm = make(policy=WINDOW)
    tool = FunctionTool.from_defaults(look)
    schema = {"type": "object", "properties": {"word": {"type": "string"}}}
    given: dict[str, Any] = {
        "nothing": {},
        "tools": {"tools": [tool.metadata.to_openai_tool()], "tool_choice": "auto"},
        "schema": {
            "response_format": {"type": "json_schema", "json_schema": {"name": "w", "schema": schema}}
        },
    }[what]
    record = llm.chat(talk(), **given).additional_kwargs["routing"]
    assert paths(sim)[0] == COUNT
    assert record["counted"]["by"] == "provider"
    assert abs(record["counted"]["tokens"] - record["counted"]["local"]) < 120
    assert sim.refused == []


def test_nothing_is_asked_where_it_does_not_matter(make: Make, sim: Simulator) -> None:
    """By default, and far from a boundary, a call is one request."""
    make(policy={**WINDOW, "exact_within": 0}).complete(NEAR)
    make(policy=WINDOW).complete("Hello")
    assert paths(sim) == ["/v1/chat/completions"] * 2


def test_a_failing_count_breaks_nothing(make: Make, sim: Simulator) -> None:
    """The local count decides; the endpoint is asked once and not again."""
    sim.faults.add("500;endpoint=input_tokens;times=0")
    record = make(policy=WINDOW).complete(NEAR).additional_kwargs["routing"]
    assert record["counted"]["by"] == "local"
    assert record["counted"]["error"].startswith("InternalServerError: ")
    assert record["model"] == "gpt-4o"
    assert paths(sim) == [COUNT, "/v1/chat/completions"]
