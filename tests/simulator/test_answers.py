# ruff: noqa: E501  tables of cases are read by the row
"""What an answer says and how it ends: caps, stops, choices, tools, schemas, audio, scripts."""

from __future__ import annotations

import base64
import json
from typing import Any

import openai
import pytest
from openai.types.chat import ChatCompletion
from openai.types.responses import Response

from routed_llm.simulator import Simulator


def user(text: str) -> list[dict[str, Any]]:
    """A conversation of one message."""
    return [{"role": "user", "content": text}]


def tool(name: str, about: str = "", **properties: Any) -> dict[str, Any]:
    """A function tool with all properties required."""
    schema = {"type": "object", "properties": properties, "required": list(properties)}
    return {"type": "function", "function": {"name": name, "description": about, "parameters": schema}}


MAGIC = tool("magic_function", "Applies a magic function to an input.", input={"type": "integer"})
WEATHER = tool("get_weather", "Get the weather in a city.", city={"type": "string"})
ADD = tool("add", "Add two numbers.", a={"type": "integer"}, b={"type": "integer"})
CLOCK = tool("get_time", "Get the current time.")


def strict(row: dict[str, Any], model: type) -> None:
    """Parse with the SDK's own model, every field of the right type."""
    model.model_validate(row)  # type: ignore[attr-defined]


@pytest.mark.parametrize(
    ("prompt", "answer"),
    [
        ('Reply with exactly "pong".', "pong"),
        ("What is 12 * 12?", "12 * 12 = 144"),
        ("Context:\nThe tower was built in 1889 by Eiffel.\nIt is made of iron.\nQuery: When was the tower built?",
         "The tower was built in 1889 by Eiffel."),
    ],
    ids=["exact", "sum", "evidence"],
)  # fmt: skip
def test_text(client: openai.OpenAI, prompt: str, answer: str) -> None:
    """Answers are made of what the prompt says."""
    reply = client.chat.completions.create(model="gpt-4o", messages=user(prompt))
    assert reply.choices[0].message.content == answer


def test_remembers_the_name(client: openai.OpenAI) -> None:
    """What the user said of themselves earlier is told back."""
    said = [*user("My name is Ada."), {"role": "assistant", "content": "Hello."}, *user("What is my name?")]
    reply = client.chat.completions.create(model="gpt-4o", messages=said)
    assert reply.choices[0].message.content == "Your name is Ada."


def test_same_request_same_answer(client: openai.OpenAI) -> None:
    """Answers depend on seed and request alone; the id differs."""
    first, second = (
        client.chat.completions.create(model="gpt-5", messages=user("Tell me of tea.")) for _ in "ab"
    )
    assert first.choices[0].message.content == second.choices[0].message.content
    assert first.usage == second.usage
    assert first.id != second.id


@pytest.mark.parametrize("effort", ["low", "medium", "high"])
def test_a_small_cap_leaves_nothing_to_say(client: openai.OpenAI, effort: str) -> None:
    """When reasoning uses the cap up, the answer is empty and says `length`."""
    reply = client.chat.completions.create(
        model="gpt-5.6-luna", messages=user("Why?"), max_completion_tokens=50, reasoning_effort=effort
    )
    assert (reply.choices[0].message.content, reply.choices[0].finish_reason) == ("", "length")
    assert reply.usage
    assert reply.usage.completion_tokens == 50
    response = client.responses.create(
        model="gpt-5.6-luna", input="Why?", max_output_tokens=50, reasoning={"effort": effort}
    )
    assert (response.status, response.output_text) == ("incomplete", "")
    assert response.incomplete_details
    assert response.incomplete_details.reason == "max_output_tokens"
    assert response.usage
    assert response.usage.output_tokens_details.reasoning_tokens == 50


@pytest.mark.parametrize(
    ("model", "effort", "tools", "mean", "silent"),
    [
        pytest.param("gpt-5.6-luna", "low", [], (75, 105), (0.0, 0.0), id="a question"),
        pytest.param("gpt-5.6-luna", "high", [], (760, 1_060), (0.0, 0.0), id="at a higher effort"),
        pytest.param(
            "gpt-5.6-luna", "medium", [CLOCK], (4, 11), (0.6, 0.84), id="most calls with functions none"
        ),
        pytest.param("gpt-5", "medium", [CLOCK], (200, 290), (0.0, 0.0), id="an older family always some"),
        pytest.param("gpt-6-astra", "low", [], (15, 21), (0.0, 0.0), id="a model that needs less"),
    ],
)
def test_reasoning_is_spent_as_published(
    client: openai.OpenAI, model: str, effort: Any, tools: list[Any],
    mean: tuple[float, float], silent: tuple[float, float],
) -> None:  # fmt: skip
    """Amounts have the mean, and calls without any the share, of the published calls they are drawn after."""
    spent = []
    for at in range(100):
        reply = client.responses.create(
            model=model, input=f"Question {at}?", reasoning={"effort": effort},
            tools=[{"type": "function", **one["function"]} for one in tools],
        )  # fmt: skip
        assert reply.usage
        spent.append(reply.usage.output_tokens_details.reasoning_tokens)
    assert mean[0] <= sum(spent) / len(spent) <= mean[1]
    assert silent[0] <= spent.count(0) / len(spent) <= silent[1]


def test_effort_none_spends_no_reasoning(client: openai.OpenAI) -> None:
    """Effort none answers within a small cap."""
    reply = client.chat.completions.create(
        model="gpt-5.6-luna", messages=user('Say "yes".'), max_completion_tokens=50, reasoning_effort="none"
    )
    assert reply.choices[0].message.content == "yes"
    assert reply.usage
    assert reply.usage.completion_tokens == 1


def test_cap_and_stop_cut_the_text(client: openai.OpenAI) -> None:
    """A cap cuts at tokens and says `length`; a stop sequence cuts before itself and says `stop`."""
    capped = client.chat.completions.create(model="gpt-4o", messages=user("Write 300 words."), max_tokens=20)
    assert capped.choices[0].finish_reason == "length"
    assert capped.usage
    assert capped.usage.completion_tokens == 20
    stopped = client.chat.completions.create(
        model="gpt-4o", messages=user('Say "one two three"'), stop=[" two"]
    )
    assert (stopped.choices[0].message.content, stopped.choices[0].finish_reason) == ("one", "stop")


def test_choices_logprobs_and_fingerprint(client: openai.OpenAI) -> None:
    """N gives as many choices, logprobs one row per token, seed a fingerprint."""
    reply = client.chat.completions.create(
        model="gpt-4o", messages=user("Tell me of tea."), n=3, logprobs=True, top_logprobs=2, seed=7
    )
    assert [choice.index for choice in reply.choices] == [0, 1, 2]
    assert reply.system_fingerprint
    rows = reply.choices[0].logprobs
    assert rows
    assert rows.content
    assert "".join(row.token for row in rows.content) == reply.choices[0].message.content
    assert all(len(row.top_logprobs) == 2 and row.logprob < 0 for row in rows.content)


def test_prediction_is_accounted_for(client: openai.OpenAI) -> None:
    """Tokens of a prediction are accepted as far as the answer begins alike; the rest are billed."""
    reply = client.chat.completions.create(
        model="gpt-4o", messages=user('Say "one two three four"'),
        prediction={"type": "content", "content": "one two five six seven"},
    )  # fmt: skip
    assert reply.usage
    assert reply.usage.completion_tokens_details
    details = reply.usage.completion_tokens_details
    assert (details.accepted_prediction_tokens, details.rejected_prediction_tokens) == (2, 3)
    assert reply.usage.completion_tokens == 4 + 3


@pytest.mark.parametrize(
    ("prompt", "tools", "more", "calls"),
    [
        ("What is the value of magic_function(3)? Use the tool.", [MAGIC], {}, [("magic_function", {"input": 3})]),
        ("What's the weather in San Francisco?", [MAGIC, WEATHER], {}, [("get_weather", {"city": "San Francisco"})]),
        ("Add 3 and 4.", [ADD], {}, [("add", {"a": 3, "b": 4})]),
        ("What is the weather in Paris and London?", [WEATHER], {},
         [("get_weather", {"city": "Paris"}), ("get_weather", {"city": "London"})]),
        ("What is the weather in Paris and London?", [WEATHER], {"parallel_tool_calls": False},
         [("get_weather", {"city": "Paris"})]),
        ("magic_function(3) and magic_function(4)", [MAGIC], {},
         [("magic_function", {"input": 3}), ("magic_function", {"input": 4})]),
        ("Hello there", [MAGIC, WEATHER], {}, []),
        ("What is the weather in Paris?", [WEATHER], {"tool_choice": "none"}, []),
        ("Hello 5", [MAGIC], {"tool_choice": "required"}, [("magic_function", {"input": 5})]),
        ("Weather in Rome? 7", [WEATHER, MAGIC],
         {"tool_choice": {"type": "function", "function": {"name": "magic_function"}}}, [("magic_function", {"input": 7})]),
        ("Call get_time.", [CLOCK], {}, [("get_time", {})]),
    ],
    ids=["literal", "by words", "two arguments", "parallel", "one only", "two literals", "no need", "none", "required",
         "named", "no arguments"],
)  # fmt: skip
def test_tools(
    client: openai.OpenAI, prompt: str, tools: Any, more: dict[str, Any], calls: list[Any]
) -> None:
    """The tool that the prompt means is called, with the values the prompt gives."""
    reply = client.chat.completions.create(model="gpt-4o", messages=user(prompt), tools=tools, **more)
    message = reply.choices[0].message
    made = [(c.function.name, json.loads(c.function.arguments)) for c in message.tool_calls or ()]  # type: ignore[union-attr]
    assert made == calls
    assert reply.choices[0].finish_reason == ("tool_calls" if calls else "stop")
    assert (message.content is None) == bool(calls)


def test_tool_result_is_told(client: openai.OpenAI) -> None:
    """After the tool's result the answer is text that quotes it."""
    first = client.chat.completions.create(model="gpt-4o", messages=user("magic_function(3)?"), tools=[MAGIC])
    message = first.choices[0].message
    assert message.tool_calls
    said = [
        *user("magic_function(3)?"),
        message,
        {"role": "tool", "tool_call_id": message.tool_calls[0].id, "content": "5"},
    ]
    second = client.chat.completions.create(model="gpt-4o", messages=said, tools=[MAGIC])
    assert second.choices[0].message.content == "According to the tools: magic_function returned: 5."


def test_react_text(client: openai.OpenAI) -> None:
    """A conversation in ReAct form gets its action as text, then an answer from the observation."""
    system = (
        "Use:\nThought: ...\nAction: tool name\nAction Input: {}\n\n> Tool Name: multiply\nTool Description: "
        'Multiply two numbers.\nTool Args: {"type": "object", "properties": {"a": {"type": "integer"}, '
        '"b": {"type": "integer"}}, "required": ["a", "b"]}\n'
    )
    said: list[Any] = [{"role": "system", "content": system}, *user("Multiply 6 and 7")]
    first = client.chat.completions.create(model="gpt-4o", messages=said).choices[0].message.content
    assert first == 'Thought: I need to use multiply.\nAction: multiply\nAction Input: {"a": 6, "b": 7}'
    said += [{"role": "assistant", "content": first}, *user("Observation: 42")]
    second = client.chat.completions.create(model="gpt-4o", messages=said).choices[0].message.content
    assert second == "Thought: I can answer without using any more tools.\nAnswer: The result is 42"


def test_custom_tool(client: openai.OpenAI) -> None:
    """A custom tool gets plain text."""
    code = {"type": "custom", "name": "run_code", "description": "Runs code."}
    reply = client.responses.create(model="gpt-5", input="Use run_code on ```print(1)```", tools=[code])
    assert [(i.type, i.input) for i in reply.output if i.type == "custom_tool_call"] == [
        ("custom_tool_call", "print(1)")
    ]


PERSON = {
    "type": "object",
    "properties": {
        "name": {"type": "string"},
        "age": {"type": "integer", "minimum": 0, "maximum": 150},
        "mood": {"enum": ["happy", "sad"]},
        "pets": {"type": "array", "items": {"$ref": "#/$defs/Pet"}, "minItems": 2},
        "note": {"anyOf": [{"type": "null"}, {"type": "string"}]},
    },
    "required": ["name", "age", "mood", "pets", "note"],
    "additionalProperties": False,
    "$defs": {
        "Pet": {
            "type": "object", "properties": {"kind": {"const": "cat"}, "weight": {"type": "number"}},
            "required": ["kind", "weight"], "additionalProperties": False,
        }
    },
}  # fmt: skip


@pytest.mark.parametrize("endpoint", ["chat", "responses"])
def test_schema(client: openai.OpenAI, endpoint: str) -> None:
    """A json_schema answer conforms, with values that the prompt makes evident."""
    prompt = 'The person is named "Ada", she is 36 and sad.'
    if endpoint == "chat":
        form = {"type": "json_schema", "json_schema": {"name": "person", "schema": PERSON, "strict": True}}
        reply = client.chat.completions.create(model="gpt-4o", messages=user(prompt), response_format=form)
        found = json.loads(reply.choices[0].message.content or "")
    else:
        form = {"type": "json_schema", "name": "person", "schema": PERSON, "strict": True}
        found = json.loads(
            client.responses.create(model="gpt-6-sol", input=prompt, text={"format": form}).output_text
        )
    assert (found["name"], found["age"], found["mood"]) == ("Ada", 36, "sad")
    assert [pet["kind"] for pet in found["pets"]] == ["cat", "cat"]
    assert set(found) == set(PERSON["required"])


def test_recursive_schema_ends(client: openai.OpenAI) -> None:
    """A schema that contains itself gives a finite instance."""
    node = {"type": "object", "properties": {"value": {"type": "integer"}, "next": {"anyOf": [{"$ref": "#"}, {"type": "null"}]}},
            "required": ["value", "next"], "additionalProperties": False}  # fmt: skip
    form = {"type": "json_schema", "json_schema": {"name": "node", "schema": node, "strict": True}}
    reply = client.chat.completions.create(model="gpt-4o", messages=user("A list"), response_format=form)
    assert json.loads(reply.choices[0].message.content or "")["value"] >= 0


@pytest.mark.parametrize(("kind", "magic"), [("wav", b"RIFF"), ("mp3", b"\xff\xfb"), ("pcm16", b"\x00\x00")])
def test_spoken_answer(client: openai.OpenAI, kind: str, magic: bytes) -> None:
    """Audio out has bytes of the format, a transcript, and audio tokens in the usage."""
    reply = client.chat.completions.create(
        model="gpt-audio-1.5", modalities=["text", "audio"], messages=user('Say "good morning"'),
        audio={"voice": "alloy", "format": kind},
    )  # fmt: skip
    spoken = reply.choices[0].message.audio
    assert spoken
    assert spoken.transcript == "good morning"
    assert base64.b64decode(spoken.data).startswith(magic)
    assert reply.usage
    assert reply.usage.completion_tokens_details
    assert (
        reply.usage.completion_tokens_details.audio_tokens == 16
    )  # 12 characters, 0.8 s, 20 tokens a second


def test_script(client: openai.OpenAI, simulator: Simulator) -> None:
    """A test can say what the next matching request gets."""
    simulator.script("scripted", contains="magic", reasoning_tokens=7)
    simulator.script(tool_calls=[("f", {"x": 1})])
    first = client.chat.completions.create(model="gpt-5", messages=user("some magic"))
    assert first.choices[0].message.content == "scripted"
    assert first.usage
    assert first.usage.completion_tokens == 7 + 2
    second = client.chat.completions.create(model="gpt-4o", messages=user("anything"))
    assert second.choices[0].message.tool_calls
    third = client.chat.completions.create(model="gpt-4o", messages=user("anything"))
    assert third.choices[0].message.tool_calls is None


def test_bodies_fit_the_sdk_types(client: openai.OpenAI) -> None:
    """Both bodies validate strictly against the SDK's models."""
    chat = client.chat.completions.with_raw_response.create(
        model="gpt-4o", messages=user("magic_function(1)"), tools=[MAGIC]
    )
    strict(chat.http_response.json(), ChatCompletion)
    flat = {"type": "function", **MAGIC["function"]}
    response = client.responses.with_raw_response.create(
        model="gpt-6-sol", input="magic_function(1)", tools=[flat], reasoning={"summary": "auto"},
        include=["reasoning.encrypted_content"],
    )  # fmt: skip
    strict(response.http_response.json(), Response)
