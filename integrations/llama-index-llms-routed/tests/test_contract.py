"""The contract of adapters, with LlamaIndex's own functions."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator, Mapping, Sequence
from typing import Any

import pytest
from llama_index.core.base.llms.types import ChatMessage
from llama_index.llms.routed import RoutedLLM

from routed_llm.testing import CASES, WAYS, Adapter, Answer, Case


def make(url: str, router: Any, policy: Mapping[str, Any]) -> RoutedLLM:
    """Make an LLM."""
    return RoutedLLM(api_base=url, api_key="sk-simulated", router=router, policy=policy)


def chat_messages(messages: Sequence[Any]) -> list[ChatMessage]:
    """Return messages of the framework."""
    return [one if isinstance(one, ChatMessage) else _message(one) for one in messages]


def _message(given: Mapping[str, Any]) -> ChatMessage:
    extra = {name: value for name, value in given.items() if name == "tool_call_id"}
    return ChatMessage(role=given["role"], content=given["content"], additional_kwargs=extra)


def read(response: Any, text: str) -> Answer:
    """Read a response."""
    calls = [
        (call.id, call.function.name) for call in response.message.additional_kwargs.get("tool_calls", ())
    ]
    record = response.additional_kwargs["routing"]
    return Answer(text=text, calls=calls, record=record, turn=response.message)


def ask(llm: RoutedLLM, messages: Sequence[Any], parameters: Mapping[str, Any]) -> Answer:
    """Ask for a whole answer."""
    response = llm.chat(chat_messages(messages), **parameters)
    return read(response, response.message.content or "")


async def aask(llm: RoutedLLM, messages: Sequence[Any], parameters: Mapping[str, Any]) -> Answer:
    """Ask for a whole answer in an event loop."""
    response = await llm.achat(chat_messages(messages), **parameters)
    return read(response, response.message.content or "")


def stream(llm: RoutedLLM, messages: Sequence[Any], parameters: Mapping[str, Any]) -> Iterator[Answer]:
    """Ask for a stream."""
    for chunk in llm.stream_chat(chat_messages(messages), **parameters):
        yield read(chunk, chunk.delta or "")


async def astream(
    llm: RoutedLLM, messages: Sequence[Any], parameters: Mapping[str, Any]
) -> AsyncIterator[Answer]:
    """Ask for a stream in an event loop."""
    async for chunk in await llm.astream_chat(chat_messages(messages), **parameters):
        yield read(chunk, chunk.delta or "")


LLAMA_INDEX = Adapter(make=make, ask=ask, aask=aask, stream=stream, astream=astream)


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("case", CASES, ids=lambda case: case.id)
def test_the_contract(case: Case, way: str) -> None:
    """What every adapter keeps."""
    case.check(LLAMA_INDEX, way)
