# ruff: noqa: E501  tables of cases are read by the row
"""Streams of both dialects, chunk by chunk."""

from __future__ import annotations

import json
from typing import Any

import httpx
import openai
import pytest
from openai.types.chat import ChatCompletionChunk
from openai.types.responses import ResponseStreamEvent
from pydantic import TypeAdapter

from routed_llm.simulator import Simulator

HI = [{"role": "user", "content": 'Say "one two three"'}]
MAGIC = {"type": "object", "properties": {"input": {"type": "integer"}}, "required": ["input"]}


def sent(simulator: Simulator, path: str, body: dict[str, Any]) -> list[str]:
    """The data lines of a stream as they came over the wire."""
    reply = httpx.post(f"{simulator.url}/{path}", json=body, headers={"authorization": "Bearer k"})
    assert reply.headers["content-type"] == "text/event-stream; charset=utf-8"
    return [line[6:] for line in reply.text.splitlines() if line.startswith("data: ")]


def test_chat_with_usage(simulator: Simulator) -> None:
    """With include_usage every chunk has a null usage and the last one, without choices, the figures."""
    body = {"model": "gpt-4o", "messages": HI, "stream": True, "stream_options": {"include_usage": True}}
    *rows, done = sent(simulator, "chat/completions", body)
    assert done == "[DONE]"
    chunks = [json.loads(row) for row in rows]
    for chunk in chunks:
        ChatCompletionChunk.model_validate(chunk)
    assert all(chunk["usage"] is None for chunk in chunks[:-1])
    assert chunks[-1]["choices"] == []
    assert chunks[-1]["usage"]["total_tokens"] == 13 + 3
    assert chunks[0]["choices"][0]["delta"] == {"role": "assistant", "content": "", "refusal": None}
    assert [c["choices"][0]["finish_reason"] for c in chunks[:-1]] == [None] * 4 + ["stop"]
    assert "".join(c["choices"][0]["delta"].get("content", "") for c in chunks[:-1]) == "one two three"


def test_chat_without_usage(simulator: Simulator) -> None:
    """Without include_usage no chunk speaks of usage."""
    *rows, _ = sent(simulator, "chat/completions", {"model": "gpt-4o", "messages": HI, "stream": True})
    assert all("usage" not in json.loads(row) for row in rows)


def test_chat_tool_calls(client: openai.OpenAI) -> None:
    """A tool call comes as its head, then pieces of its arguments."""
    tools = [{"type": "function", "function": {"name": "magic_function", "parameters": MAGIC}}]
    asked = [{"role": "user", "content": "magic_function(3) and magic_function(44)"}]
    stream = client.chat.completions.create(model="gpt-4o", messages=asked, tools=tools, stream=True)
    told: dict[int, list[Any]] = {}
    finish = None
    for chunk in stream:
        finish = chunk.choices[0].finish_reason or finish
        for call in chunk.choices[0].delta.tool_calls or ():
            head = told.setdefault(call.index, [call.id, call.function.name, ""])
            head[2] += call.function.arguments
    assert finish == "tool_calls"
    assert [row[1:] for row in told.values()] == [
        ["magic_function", '{"input": 3}'],
        ["magic_function", '{"input": 44}'],
    ]


@pytest.mark.parametrize(
    ("more", "kinds"),
    [
        ({"model": "gpt-4o", "input": HI},
         ["response.created", "response.in_progress", "response.output_item.added", "response.content_part.added",
          "response.output_text.delta", "response.output_text.delta", "response.output_text.delta",
          "response.output_text.done", "response.content_part.done", "response.output_item.done", "response.completed"]),
        ({"model": "gpt-5.6-luna", "input": HI, "max_output_tokens": 16},
         ["response.created", "response.in_progress", "response.output_item.added", "response.output_item.done",
          "response.incomplete"]),
        ({"model": "gpt-4o", "input": "magic_function(3)",
          "tools": [{"type": "function", "name": "magic_function", "parameters": MAGIC}]},
         ["response.created", "response.in_progress", "response.output_item.added",
          *["response.function_call_arguments.delta"] * 6, "response.function_call_arguments.done",
          "response.output_item.done", "response.completed"]),
    ],
    ids=["text", "cut", "call"],
)  # fmt: skip
def test_responses_events(simulator: Simulator, more: dict[str, Any], kinds: list[str]) -> None:
    """Typed events in the API's order, numbered from 0, each valid for the SDK; the last holds the usage."""
    events = [json.loads(row) for row in sent(simulator, "responses", {**more, "stream": True})]
    adapter: TypeAdapter[Any] = TypeAdapter(ResponseStreamEvent)
    for event in events:
        # The SDK's type has a name that no recorded event has.
        named = {"name": "f"} if event["type"] == "response.function_call_arguments.done" else {}
        adapter.validate_python({**event, **named})
    assert [event["type"] for event in events] == kinds
    assert [event["sequence_number"] for event in events] == list(range(len(events)))
    assert events[-1]["response"]["usage"]["total_tokens"] > 0
    assert events[0]["response"]["usage"] is None


def test_reasoning_summary_events(client: openai.OpenAI) -> None:
    """A summary that was asked for is streamed before the text."""
    stream = client.responses.create(model="gpt-6-sol", input=HI, stream=True, reasoning={"summary": "auto"})
    kinds = list(dict.fromkeys(event.type for event in stream))
    assert kinds[2:8] == [
        "response.output_item.added", "response.reasoning_summary_part.added", "response.reasoning_summary_text.delta",
        "response.reasoning_summary_text.done", "response.reasoning_summary_part.done", "response.output_item.done",
    ]  # fmt: skip


def test_context_error_inside_the_stream(client: openai.OpenAI, simulator: Simulator) -> None:
    """On a stream the Responses endpoint tells a context error as an event inside a 200."""
    stream = client.responses.create(model="gpt-4o", input="word " * 130_000, stream=True)
    with pytest.raises(openai.APIError) as info:
        list(stream)
    assert not isinstance(info.value, openai.APIStatusError)
    assert info.value.code == "context_length_exceeded"
    [entry] = simulator.journal
    assert (entry.status, entry.code, len(simulator.refused)) == (200, "context_length_exceeded", 1)


async def test_async_client_streams(simulator: Simulator) -> None:
    """The asynchronous client reads both dialects."""
    async with openai.AsyncOpenAI(base_url=simulator.url, api_key="k", max_retries=0) as client:
        chat = await client.chat.completions.create(model="gpt-4o", messages=HI, stream=True)
        text = "".join([chunk.choices[0].delta.content or "" async for chunk in chat])
        stream = await client.responses.create(model="gpt-6-luna", input=HI, stream=True)
        told = "".join([event.delta async for event in stream if event.type == "response.output_text.delta"])
    assert (text, told) == ("one two three", "one two three")
