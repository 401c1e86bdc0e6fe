"""The contract of adapters, with LangChain's own functions."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator, Mapping, Sequence
from typing import Any

import pytest
from langchain_core.messages import AIMessageChunk, BaseMessage, convert_to_messages
from langchain_routed import RoutedChatModel

from routed_llm.testing import CASES, WAYS, Adapter, Answer, Case


def make(url: str, router: Any, policy: Mapping[str, Any]) -> RoutedChatModel:
    """Make a model."""
    return RoutedChatModel(base_url=url, router=router, policy=policy)


def told(messages: Sequence[Any]) -> list[BaseMessage]:
    """Return messages of the framework."""
    return convert_to_messages([dict(one) if isinstance(one, Mapping) else one for one in messages])


def read(message: Any, whole: Any) -> Answer:
    """Read an answer, or a chunk with what has come until now."""
    calls = [(call["id"], call["name"]) for call in whole.tool_calls]
    record = message.response_metadata.get("routing", {})
    return Answer(text=message.text, calls=calls, record=record, turn=whole)


def ask(llm: RoutedChatModel, messages: Sequence[Any], parameters: Mapping[str, Any]) -> Answer:
    """Ask for a whole answer."""
    message = llm.invoke(told(messages), **parameters)
    return read(message, message)


async def aask(llm: RoutedChatModel, messages: Sequence[Any], parameters: Mapping[str, Any]) -> Answer:
    """Ask for a whole answer in an event loop."""
    message = await llm.ainvoke(told(messages), **parameters)
    return read(message, message)


def stream(llm: RoutedChatModel, messages: Sequence[Any], parameters: Mapping[str, Any]) -> Iterator[Answer]:
    """Ask for a stream."""
    whole: AIMessageChunk | None = None
    for chunk in llm.stream(told(messages), **parameters):
        whole = chunk if whole is None else whole + chunk
        yield read(chunk, whole)


async def astream(
    llm: RoutedChatModel, messages: Sequence[Any], parameters: Mapping[str, Any]
) -> AsyncIterator[Answer]:
    """Ask for a stream in an event loop."""
    whole: AIMessageChunk | None = None
    async for chunk in llm.astream(told(messages), **parameters):
        whole = chunk if whole is None else whole + chunk
        yield read(chunk, whole)


LANGCHAIN = Adapter(make=make, ask=ask, aask=aask, stream=stream, astream=astream)


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("case", CASES, ids=lambda case: case.id)
def test_the_contract(case: Case, way: str) -> None:
    """What every adapter keeps."""
    case.check(LANGCHAIN, way)
