"""The real API, only when asked for: OPENAI_LIVE_TESTS=1 and a key in OPENAI_API_KEY. Costs a few cents."""

from __future__ import annotations

import os

import pytest
from langchain_core.messages import HumanMessage, ToolMessage
from langchain_core.tools import tool
from langchain_routed import RoutedChatModel
from pydantic import BaseModel

from ..unit_tests.helpers import merged, png, routing  # noqa: TID252 - the core has tests, too

KEY = os.environ.get("OPENAI_API_KEY", "")
pytestmark = [
    pytest.mark.skipif(
        os.environ.get("OPENAI_LIVE_TESTS") != "1",
        reason="calls OpenAI for money: set OPENAI_LIVE_TESTS=1 and OPENAI_API_KEY to run it",
    ),
    pytest.mark.enable_socket,
    pytest.mark.allow_hosts(["api.openai.com"]),
]
MODELS = ["gpt-4o", "gpt-4.1", "gpt-5.4", "gpt-5.6-luna", "gpt-5.5"]


class Person(BaseModel):
    """A person."""

    name: str
    age: int


@tool
def add(a: int, b: int) -> int:
    """Add two numbers."""
    return a + b


@pytest.fixture
def live() -> RoutedChatModel:
    return RoutedChatModel(api_key=KEY, temperature=0, policy={"at_least": None})


@pytest.mark.parametrize("model", MODELS)
def test_a_call_and_a_stream(live, model: str) -> None:
    """The parameters that the catalog lets through are taken, and usage is reported."""
    for answer in (live.invoke("Say hi", model=model), merged(list(live.stream("Say hi", model=model)))):
        assert answer.text
        assert routing(answer)["served"].startswith(model)
        assert float(routing(answer)["cost"]) > 0


@pytest.mark.parametrize("model", MODELS)
def test_a_tool_loop(live, model: str) -> None:
    """Tools go to the endpoint that takes them, and their results back to the same model."""
    history = [HumanMessage("What is 17 + 25? Use the tool.")]
    first = live.bind_tools([add]).invoke(history, model=model)
    history += [
        first,
        *(ToolMessage(add.invoke(call["args"]), tool_call_id=call["id"]) for call in first.tool_calls),
    ]
    assert "42" in live.bind_tools([add]).invoke(history).text


@pytest.mark.parametrize("model", MODELS)
def test_a_schema_and_an_image(live, model: str) -> None:
    """Structured output and an image are taken."""
    assert isinstance(live.bind(model=model).bound.with_structured_output(Person).invoke("Ada, 36"), Person)
    block = {"type": "image", "base64": png(), "mime_type": "image/png"}
    assert live.invoke([HumanMessage([{"type": "text", "text": "Colour?"}, block])], model=model).text


def test_a_conversation_over_models_and_endpoints(live) -> None:
    """What one model leaves in the history is taken by the next."""
    history = []
    for model in (*MODELS, "gpt-4o"):
        history.append(HumanMessage("Another prime number, please."))
        history.append(live.bind_tools([add]).invoke(history, model=model))
        assert history[-1].text or history[-1].tool_calls
        history += [ToolMessage("7", tool_call_id=call["id"]) for call in history[-1].tool_calls]
