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


def test_stored_completions_are_listed_by_metadata(client: openai.OpenAI) -> None:
    """Completions are listed where they were stored, by what they were marked with."""
    asked = {"model": "gpt-4o", "messages": [{"role": "user", "content": "hi"}]}
    made = {
        mark: client.chat.completions.create(**asked, store=True, metadata={"mark": mark, "of": "x"}).id
        for mark in ("a", "b")
    }
    client.chat.completions.create(**asked)
    client.chat.completions.create(**asked, store=False)
    listed = client.chat.completions.list
    assert [one.id for one in listed()] == list(made.values())
    assert [one.id for one in listed(order="desc", limit=1)] == list(made.values())[::-1]
    assert [one.id for one in listed(metadata={"mark": "b", "of": "x"})] == [made["b"]]
    assert [one.id for one in listed(metadata={"mark": "c"})] == []
    assert [one.id for one in listed(model="gpt-4.1")] == []


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


@pytest.mark.parametrize("store", [True, False], ids=["stored", "unstored"])
@pytest.mark.parametrize(
    ("order", "message"),
    [
        pytest.param("user reasoning call output", None, id="as it was"),
        pytest.param("user reasoning call output output", "Duplicate item found with call_id", id="output"),
        pytest.param("user reasoning call call output", "Duplicate item found with id", id="call"),
        pytest.param("user reasoning reasoning call output", "Duplicate item found with id", id="reasoning"),
        pytest.param("user call reasoning output", "required", id="reasoning behind its call"),
        pytest.param("user call output reasoning", "required", id="reasoning at the end"),
        pytest.param("reasoning user call output", "without its required following item", id="too early"),
        pytest.param("user reasoning bare output", None, id="call without its item id"),
        pytest.param("user reasoning call bare output", "Duplicate item found with call_id", id="call id"),
    ],
)
def test_a_turn_is_taken_once_and_in_order(
    client: openai.OpenAI, order: str, message: str | None, store: bool
) -> None:
    """Items that are there twice, and reasoning that is not followed by what it led to, are refused."""
    asked: dict[str, Any] = {
        "model": "gpt-6-sol",
        "tools": [TOOL],
        "include": ["reasoning.encrypted_content"],
        "store": store,
    }
    first = client.responses.create(input="magic_function(3)", **asked)
    items: dict[str, Any] = {row.type: row.model_dump(exclude_none=True) for row in first.output}
    call = items["function_call"]
    items |= {
        "user": {"role": "user", "content": "magic_function(3)"},
        "call": call,
        "bare": {key: value for key, value in call.items() if key != "id"},
        "output": {"type": "function_call_output", "call_id": call["call_id"], "output": "5"},
    }
    said = [items[name] for name in order.split()]
    if message is None:
        assert client.responses.create(input=said, **asked).output_text.endswith("returned: 5.")
        return
    with pytest.raises(openai.BadRequestError) as info:
        client.responses.create(input=said, **asked)
    assert message in info.value.body["message"]  # type: ignore[index]


@pytest.mark.parametrize(("length", "refused"), [(64, False), (65, True)])
def test_the_id_of_a_call_has_a_length(client: openai.OpenAI, length: int, refused: bool) -> None:
    """Of ids from elsewhere, those of more than 64 characters are refused."""
    identity = "x" * length
    call = {"type": "function_call", "call_id": identity, "name": "magic_function", "arguments": "{}"}
    said: Any = [call, {"type": "function_call_output", "call_id": identity, "output": "5"}]
    if not refused:
        assert client.responses.create(model="gpt-4.1", input=said).output_text
        return
    with pytest.raises(openai.BadRequestError) as info:
        client.responses.create(model="gpt-4.1", input=said)
    assert info.value.body == {
        "message": "Invalid 'input[0].call_id': string too long. Expected a string with maximum length 64, "
        "but got a string with length 65 instead.",
        "type": "invalid_request_error",
        "param": "input[0].call_id",
        "code": "string_above_max_length",
    }


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
