"""The same calls against OpenAI itself. They cost about a cent and run only when asked for."""

from __future__ import annotations

import os

import pytest
from llama_index.core.llms import ChatMessage
from llama_index.core.prompts import PromptTemplate
from llama_index.core.tools import FunctionTool
from llama_index.llms.routed import RoutedLLM
from pydantic import BaseModel

pytestmark = [
    pytest.mark.skipif(
        os.environ.get("OPENAI_LIVE_TESTS") != "1" or not os.environ.get("OPENAI_API_KEY"),
        reason="calls OpenAI and costs money: set OPENAI_LIVE_TESTS=1 and OPENAI_API_KEY to run it",
    ),
    pytest.mark.enable_socket,
]

POLICIES = [
    pytest.param({"max_cost_per_call": "0.05"}, id="default"),
    pytest.param({"models": ["gpt-4o"], "at_least": None}, id="gpt-4o"),
    pytest.param({"models": ["gpt-5-mini"], "at_least": None}, id="gpt-5-mini"),
]


class City(BaseModel):
    """A city."""

    name: str
    country: str


def multiply(a: int, b: int) -> int:
    """Multiply two numbers."""
    return a * b


@pytest.fixture(params=POLICIES)
def llm(request: pytest.FixtureRequest) -> RoutedLLM:
    return RoutedLLM(policy=request.param, max_tokens=200, max_retries=1)


def test_an_answer_names_its_model_and_its_cost(llm: RoutedLLM) -> None:
    """The record's model is the one that OpenAI says it used."""
    record = llm.complete("Say hello.").additional_kwargs["routing"]
    assert record["served"].startswith(record["model"])
    assert float(record["cost"]) > 0


async def test_streams_report_their_usage(llm: RoutedLLM) -> None:
    """A stream is settled with what OpenAI reports at its end."""
    chunks = [chunk async for chunk in await llm.astream_chat([ChatMessage("Say hello.")])]
    assert chunks[-1].message.content == "".join(chunk.delta or "" for chunk in chunks)
    assert float(chunks[-1].additional_kwargs["routing"]["cost"]) > 0


def test_tools_are_called_and_answered(llm: RoutedLLM) -> None:
    """A loop of tool calls ends with the result, whichever endpoint serves it."""
    tool, history = FunctionTool.from_defaults(fn=multiply), [ChatMessage("Multiply 6 by 7 with the tool.")]
    answer = llm.chat_with_tools([tool], chat_history=history, tool_required=True)
    (call,) = llm.get_tool_calls_from_response(answer)
    result = ChatMessage(
        role="tool",
        content=str(tool(**call.tool_kwargs)),
        additional_kwargs={"tool_call_id": call.tool_id},
    )
    assert "42" in str(llm.chat_with_tools([tool], chat_history=[*history, answer.message, result]))


def test_objects_come_back(llm: RoutedLLM) -> None:
    """Structured prediction gives an object."""
    city = llm.structured_predict(City, PromptTemplate("Name the capital of {country}."), country="Peru")
    assert city.name == "Lima"
