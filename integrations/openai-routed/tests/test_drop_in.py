"""Programs written for a model that does not reason, on one that does: their answer is the first item."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

import pytest
from openai_routed import AsyncOpenAI, OpenAI
from pydantic import BaseModel

from routed_llm.simulator import Simulator

REASONS: dict[str, Any] = {"models": ["gpt-5.6-luna"], "at_least": None, "effort": "low"}
TOOL: dict[str, Any] = {
    "type": "function",
    "name": "tide",
    "description": "Tell the tide at a place.",
    "parameters": {
        "type": "object",
        "properties": {"place": {"type": "string"}},
        "required": ["place"],
        "additionalProperties": False,
    },
    "strict": True,
}


class Sea(BaseModel):
    """A form of answer."""

    name: str


def whole(client: OpenAI, **asked: Any) -> Any:
    """Ask for a whole answer."""
    return client.responses.create(**asked)


def with_nulls(client: OpenAI, **asked: Any) -> Any:
    """Ask as frameworks do that write each setting, whether or not it was set."""
    return client.responses.create(**asked, reasoning={"effort": None, "summary": None})


def parsed(client: OpenAI, **asked: Any) -> Any:
    """Ask for an answer that is parsed."""
    return client.responses.parse(**asked)


def streamed(client: OpenAI, **asked: Any) -> Any:
    """Ask for a stream, look at each of its events, and return its end."""
    events = list(client.responses.create(**asked, stream=True))
    assert [event.sequence_number for event in events] == list(range(len(events)))
    assert {getattr(event, "output_index", 0) for event in events} == {0}
    done = [event.item for event in events if event.type == "response.output_item.done"]
    last = events[-1].response
    assert [item.to_dict() for item in done] == [item.to_dict() for item in last.output]
    return last


def helped(client: OpenAI, **asked: Any) -> Any:
    """Ask for a stream through the SDK's helper."""
    with client.responses.stream(**asked) as stream:
        return stream.get_final_response()


def in_a_loop(client: OpenAI, **asked: Any) -> Any:
    """Ask in an event loop."""

    async def asking() -> Any:
        async with AsyncOpenAI(base_url=client.base_url, api_key="any", policy=REASONS) as other:
            return await other.responses.create(**asked)

    return asyncio.run(asking())


WAYS = (whole, with_nulls, parsed, streamed, helped, in_a_loop)


@pytest.mark.parametrize("ask", WAYS, ids=lambda way: way.__name__)
def test_the_first_item_is_the_answer(sim: Simulator, ask: Callable[..., Any]) -> None:
    """A call, its result and the answer, as OpenAI's guide takes them; the reasoning goes back with them."""
    with OpenAI(base_url=sim.url, api_key="any", policy=REASONS) as client:
        said: list[Any] = [{"role": "user", "content": "What is the tide at Hull?"}]
        call = ask(client, model="gpt-4.1", input=said, tools=[TOOL]).output[0]
        assert call.type == "function_call"
        said += [call, {"type": "function_call_output", "call_id": call.call_id, "output": "high"}]
        answer = ask(client, model="gpt-4.1", input=said, tools=[TOOL])
        assert answer.output[0].content[0].text == answer.output_text
        (message,) = (item.to_dict() for item in answer.output)
        message["content"][0].pop("parsed", None)  # the SDK would send it back, and the API refuses it
        said += [message, {"role": "user", "content": "And at noon?"}]
        ask(client, model="gpt-4.1", input=said, tools=[TOOL])
    assert sim.refused == []
    sent = [[item.get("type") for item in entry.body["input"]] for entry in sim.journal]
    assert sent[1] == [None, "reasoning", "function_call", "function_call_output"]
    assert sent[2] == [*sent[1], "reasoning", "message", None]


FORMS: dict[str, Callable[[dict[str, Any]], dict[str, Any]]] = {
    "whole": dict,
    "what the SDK names": lambda item: {key: item[key] for key in item if key != "reasoning_items"},
    "by reference": lambda item: {"type": "item_reference", "id": item["id"]},
}
NEXT = {
    "the same model": "gpt-5.6-luna",
    "one that does not reason": "gpt-4.1",
    "another that does": "gpt-5.4",
}
KNOWING: dict[str, Any] = {"reasoning": {"effort": "low"}}
STATES: dict[str, dict[str, Any]] = {
    "stored": {},
    "stored, knowing": KNOWING,
    "not stored": {"store": False},
    "not stored, knowing": {**KNOWING, "store": False, "include": ["reasoning.encrypted_content"]},
}


@pytest.mark.parametrize("stream", [False, True], ids=["whole", "streamed"])
@pytest.mark.parametrize("state", STATES.values(), ids=STATES.keys())
@pytest.mark.parametrize("form", FORMS.values(), ids=FORMS.keys())
@pytest.mark.parametrize("then", NEXT.values(), ids=NEXT.keys())
def test_an_answer_goes_back_however_it_was_kept(
    sim: Simulator, stream: bool, state: dict[str, Any], form: Any, then: str
) -> None:
    """Whoever answers next: a program may keep all of it, the fields that it knows, or its items' ids."""
    if form is FORMS["by reference"] and state.get("store") is False:
        pytest.skip("what is not stored cannot be referred to")
    sim.script(tool_calls=[("tide", {"place": "Hull"}), ("tide", {"place": "Rye"})], reasoning_tokens=64)
    next_policy = {**REASONS, "models": [then], "effort": None, "endpoints": ["responses"]}
    with OpenAI(base_url=sim.url, api_key="any", policy={**REASONS, "endpoints": ["responses"]}) as client:
        said: list[Any] = [{"role": "user", "content": "What are the tides at Hull and Rye?"}]
        found: Any = client.responses.create(
            model="gpt-4.1", input=said, tools=[TOOL], stream=stream, **state
        )
        first = [item.to_dict() for item in (list(found)[-1].response if stream else found).output]
        calls = [item for item in first if item["type"] == "function_call"]
        said += [form(item) for item in first]
        said += [
            {"type": "function_call_output", "call_id": call["call_id"], "output": "high"} for call in calls
        ]
        with client.with_options(policy=next_policy) as other:
            answer = whole(other, model="gpt-4.1", input=said, tools=[TOOL], store=state.get("store"))
    assert (len(calls), bool(answer.output_text)) == (2, True)
    assert [entry.model for entry in sim.journal] == ["gpt-5.6-luna", then]
    assert sim.refused == []


def test_a_count_is_asked_of_the_model_itself(sim: Simulator) -> None:
    """It knows of no reasoning, and no key of ours."""
    with OpenAI(base_url=sim.url, api_key="any", policy=REASONS) as client:
        said = client.responses.create(model="gpt-4o", input="Name a sea.").output
        client.responses.input_tokens.count(model="gpt-4o", input=[item.to_dict() for item in said])
    assert [item["type"] for item in sim.journal[-1].body["input"]] == ["message"]
    assert sim.refused == []


def test_a_form_is_found_where_it_was(sim: Simulator) -> None:
    """What is parsed stands in the first item."""
    with OpenAI(base_url=sim.url, api_key="any", policy=REASONS) as client:
        found = client.responses.parse(model="gpt-4o", input="Name a sea.", text_format=Sea)
    (message,) = found.output
    assert message.content[0].parsed == found.output_parsed


@pytest.mark.parametrize(
    "asked",
    [
        {"model": "gpt-5.4"},
        {"model": "gpt-4o", "include": ["reasoning.encrypted_content"]},
        {"model": "gpt-4o", "reasoning": {"summary": "auto"}},
    ],
    ids=["its model reasons", "it asks for reasoning", "it asks for a summary"],
)
def test_who_knows_of_reasoning_sees_it(sim: Simulator, asked: dict[str, Any]) -> None:
    """The items come as the provider gave them."""
    with OpenAI(base_url=sim.url, api_key="any", policy=REASONS) as client:
        found = client.responses.create(input="Hi", **asked)
    assert [item.type for item in found.output] == ["reasoning", "message"]


@pytest.mark.parametrize("model", ["gpt-5.2-pro", "gpt-5.5", "gpt-4o"])
@pytest.mark.parametrize(
    ("written", "asked", "said"),
    [
        pytest.param("one two STOP three", {"stop": ["STOP"]}, "one two ", id="a stop that comes"),
        pytest.param("one two STO", {"stop": ["STOP"]}, "one two STO", id="a stop that only begins"),
        pytest.param("word " * 60, {"max_tokens": 18}, "word" + " word" * 17, id="a cap"),
    ],
)
def test_text_stands_before_the_finish_reason(
    sim: Simulator, written: str, asked: dict[str, Any], said: str, model: str
) -> None:
    """A program that stops reading at a stream's finish reason has the whole text, wherever it was cut."""
    sim.script(text=written, reasoning_tokens=0)
    client = OpenAI(base_url=sim.url, api_key="any", policy={"models": [model], "at_least": None})
    text = ""
    for chunk in client.chat.completions.create(
        model=model, messages=[{"role": "user", "content": "Go on."}], stream=True, **asked
    ):
        if chunk.choices[0].finish_reason:
            break
        text += chunk.choices[0].delta.content or ""
    assert text.rstrip() == said.rstrip()
