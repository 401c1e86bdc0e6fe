"""Stored responses, references to them, and reasoning carried from turn to turn."""

from __future__ import annotations

from typing import Any

import openai
import pytest

TOOL = {
    "type": "function", "name": "magic_function",
    "parameters": {"type": "object", "properties": {"input": {"type": "integer"}}, "required": ["input"]},
}  # fmt: skip


def test_previous_response(client: openai.OpenAI) -> None:
    """A stored response can be gone on from; its call must then be answered."""
    first = client.responses.create(model="gpt-6-sol", input="magic_function(3)", tools=[TOOL])
    call = next(item for item in first.output if item.type == "function_call")
    with pytest.raises(openai.BadRequestError, match="No tool output found for function call"):
        client.responses.create(model="gpt-6-sol", input="go on", previous_response_id=first.id)
    result = {"type": "function_call_output", "call_id": call.call_id, "output": "5"}
    second = client.responses.create(
        model="gpt-6-sol", input=[result], previous_response_id=first.id, tools=[TOOL]
    )
    assert second.output_text == "According to the tools: magic_function returned: 5."
    assert second.usage
    assert first.usage
    assert second.usage.input_tokens > first.usage.input_tokens


def test_store_false_keeps_nothing(client: openai.OpenAI) -> None:
    """A response that was not stored cannot be referred to."""
    first = client.responses.create(model="gpt-4o", input="hi", store=False)
    with pytest.raises(openai.BadRequestError) as info:
        client.responses.create(model="gpt-4o", input="hi", previous_response_id=first.id)
    assert info.value.code == "previous_response_not_found"


def test_retrieve_and_delete(client: openai.OpenAI) -> None:
    """A stored response can be fetched and deleted."""
    first = client.responses.create(model="gpt-4o", input="hi")
    assert client.responses.retrieve(first.id).output_text == first.output_text
    client.responses.delete(first.id)
    with pytest.raises(openai.NotFoundError):
        client.responses.retrieve(first.id)


def replay(client: openai.OpenAI, model: str, leave_out: str = "", **more: Any) -> Any:
    """Send a response of gpt-6-sol back to a model, without one kind of item."""
    first = client.responses.create(
        model="gpt-6-sol",
        input="magic_function(3)",
        tools=[TOOL],
        include=["reasoning.encrypted_content"],
        **more,
    )
    items = [row for item in first.output if (row := item.model_dump(exclude_none=True))["type"] != leave_out]
    call = next(row for row in items if row["type"] == "function_call")
    result = {"type": "function_call_output", "call_id": call["call_id"], "output": "5"}
    said = [{"role": "user", "content": "magic_function(3)"}, *items, result]
    return client.responses.create(model=model, input=said, tools=[TOOL], **more)


def test_reasoning_goes_back_to_its_model(client: openai.OpenAI) -> None:
    """Encrypted reasoning is taken back by the model that made it."""
    assert replay(client, "gpt-6-sol", store=False).output_text.endswith("returned: 5.")


@pytest.mark.parametrize(
    ("model", "leave_out", "store", "message"),
    [
        ("gpt-5.4", "", False, "could not be verified"),
        (
            "gpt-4o",
            "",
            True,
            "Reasoning input items can only be provided to a reasoning or computer use model",
        ),
        (
            "gpt-6-sol",
            "reasoning",
            True,
            "of type 'function_call' was provided without its required 'reasoning' item",
        ),
    ],
    ids=["another model", "no reasoning model", "left out"],
)
def test_reasoning_elsewhere(
    client: openai.OpenAI, model: str, leave_out: str, store: bool, message: str
) -> None:
    """Reasoning given to another model, or left out beside its stored call, is refused."""
    with pytest.raises(openai.BadRequestError) as info:
        replay(client, model, leave_out, store=store)
    assert message in info.value.body["message"]  # type: ignore[index]


def test_input_tokens(client: openai.OpenAI) -> None:
    """The counting endpoint gives what the call itself is then billed."""
    asked: dict[str, Any] = {
        "model": "gpt-4o",
        "input": "How many?",
        "tools": [TOOL],
        "instructions": "Be brief.",
    }
    counted = client.responses.input_tokens.count(**asked).input_tokens
    usage = client.responses.create(**asked).usage
    assert usage
    assert usage.input_tokens == counted
