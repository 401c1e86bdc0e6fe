"""What recorded exchanges with api.openai.com show: statuses, keys and events, each with its time."""

from __future__ import annotations

import json
from datetime import date
from typing import Any

import httpx2
import openai
import pytest
from adapter_fixtures import TODAY

from routed_llm.simulator import Simulator

HI = [{"role": "user", "content": "hi"}]
NOW = {"name": "now", "description": "The time", "parameters": {"type": "object", "properties": {}}}
INVALID = "invalid_request_error"
PIXEL = (
    "data:image/png;base64,iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk"
    "YPhfDwAChwGA60e6kgAAAABJRU5ErkJggg=="
)
OPEN = {
    "type": "json_schema",
    "json_schema": {
        "name": "step",
        "strict": True,
        "schema": {
            "type": "object",
            "properties": {"input": {"type": ["object", "null"], "additionalProperties": {"type": "string"}}},
            "required": ["input"],
            "additionalProperties": False,
        },
    },
}

REFUSED: dict[str, tuple[str, dict[str, Any], int, str, str | None, str | None]] = {
    "unknown model on Responses": (
        "responses", {"model": "gpt-9", "input": "hi"}, 400,
        "The requested model 'gpt-9' does not exist.", "model", "model_not_found",
    ),
    "unknown model on Chat Completions": (
        "chat/completions", {"model": "gpt-9", "messages": HI}, 404,
        "The model `gpt-9` does not exist or you do not have access to it.", None, "model_not_found",
    ),
    "a model that completes text": (
        "chat/completions", {"model": "davinci-002", "messages": HI}, 404,
        "This is not a chat model and thus not supported in the v1/chat/completions endpoint. "
        "Did you mean to use v1/completions?", "model", None,
    ),
    "web search of gpt-4o on Chat Completions": (
        "chat/completions", {"model": "gpt-4o", "messages": HI, "web_search_options": {}}, 400,
        "Web search options not supported with this model.", "web_search_options", None,
    ),
    "a name that the model does not know, before its value": (
        "chat/completions", {"model": "gpt-5-nano", "messages": HI, "max_tokens": 0}, 400,
        "Unsupported parameter: 'max_tokens' is not supported with this model. "
        "Use 'max_completion_tokens' instead.", "max_tokens", "unsupported_parameter",
    ),
    "a strict function that says nothing of its parameters": (
        "chat/completions",
        {"model": "gpt-4o", "messages": HI, "tools": [
            {"type": "function", "function": {"name": "now", "strict": True}}]}, 400,
        "Invalid schema for function 'now': In context=(), 'additionalProperties' is required to be supplied "
        "and to be false.",
        "tools[0].function.parameters", "invalid_function_parameters",
    ),
    "a sound as a file": (
        "responses",
        {"model": "gpt-5-mini", "input": [{"role": "user", "content": [
            {"type": "input_file", "filename": "a.mp3", "file_data": "data:audio/mpeg;base64,SUQz"}]}]}, 400,
        "Invalid file data: 'input[0].content[0].file_data'. Expected a base64-encoded data URL with a valid "
        "file MIME type (e.g. 'data:text/plain;base64,SGVsbG8sIFdvcmxkIQ=='), but got unsupported MIME type "
        "'audio/mpeg'. Please see "
        "https://platform.openai.com/docs/assistants/tools/file-search#supported-files "
        "for supported file types.",
        "input[0].content[0].file_data", "invalid_value",
    ),
    "an image that nobody can fetch, on Chat Completions": (
        "chat/completions",
        {"model": "gpt-4o", "messages": [{"role": "user", "content": [
            {"type": "image_url", "image_url": {"url": "https://example.com/tower"}}]}]}, 400,
        "Error while downloading https://example.com/tower.", None, "invalid_image_url",
    ),
    "an image that nobody can fetch, on Responses": (
        "responses",
        {"model": "gpt-4o", "input": [{"role": "user", "content": [
            {"type": "input_image", "image_url": "http://10.0.0.1/tower.png"}]}]}, 400,
        "Error while downloading http://10.0.0.1/tower.png.", "url", "invalid_value",
    ),
    "retention on gpt-5.6 without its own options": (
        "responses", {"model": "gpt-5.6-terra", "input": "hi", "prompt_cache_retention": "24h"}, 400,
        "prompt_cache_retention is not supported on this model",
        "prompt_cache_retention", "invalid_parameter",
    ),
    "a sound by URL as a file": (
        "responses",
        {"model": "gpt-5-mini", "input": [{"role": "user", "content": [
            {"type": "input_file", "file_url": "https://example.org/a.mp3"}]}]}, 400,
        "The file type you uploaded is not supported. Please try again with a pdf",
        "input", "unsupported_file",
    ),
}  # fmt: skip


def post(simulator: Simulator, path: str, body: dict[str, Any]) -> httpx2.Response:
    """Send a body."""
    headers = {"authorization": "Bearer key"}
    return httpx2.post(f"{simulator.url}/{path}", json=body, headers=headers, timeout=30)


@pytest.mark.parametrize(
    ("path", "body", "status", "message", "param", "code"), REFUSED.values(), ids=REFUSED.keys()
)
def test_refusals(
    simulator: Simulator,
    path: str,
    body: dict[str, Any],
    status: int,
    message: str,
    param: str | None,
    code: str | None,
) -> None:
    """A refusal has the status, code, param and words that were recorded."""
    answer = post(simulator, path, body)
    assert answer.status_code == status
    assert answer.json()["error"] == {"message": message, "type": INVALID, "param": param, "code": code}


def test_a_search_is_cited(simulator: Simulator) -> None:
    """What searched the web says where it found its answer."""
    simulator.at = date(2026, 8, 19)
    body = {"model": "gpt-4o-mini-search-preview", "messages": HI, "web_search_options": {}}
    message = post(simulator, "chat/completions", body).json()["choices"][0]["message"]
    assert [row["type"] for row in message["annotations"]] == ["url_citation"]


def test_a_stored_prompt_is_said_back(simulator: Simulator) -> None:
    """A prompt comes back with its variables as content, and what it holds as instructions."""
    body = {"model": "gpt-5.2", "input": "hi", "prompt": {"id": "pmpt_1", "variables": {"tone": "plain"}}}
    found = post(simulator, "responses", body).json()
    said = {"tone": {"type": "input_text", "text": "plain"}}
    assert found["prompt"] == {"id": "pmpt_1", "variables": said, "version": "1"}
    assert [(row["role"], row["content"][0]["type"]) for row in found["instructions"]] == [
        ("developer", "input_text")
    ]


def test_a_search_is_announced_without_its_question(simulator: Simulator) -> None:
    """The event that announces a search has no more than its kind."""
    simulator.at = date(2026, 7, 1)
    asked = {"model": "gpt-5.4", "input": "hi", "tools": [{"type": "web_search"}], "tool_choice": "required"}
    text = post(simulator, "responses", {**asked, "stream": True}).text
    events = [json.loads(line[6:]) for line in text.splitlines() if line.startswith("data: ")]
    added = [event["item"] for event in events if event["type"] == "response.output_item.added"]
    searches = [item["action"] for item in added if item["type"] == "web_search_call"]
    assert searches
    assert all(action.keys() == {"type"} for action in searches)


@pytest.mark.parametrize(
    ("at", "path", "body"),
    [
        pytest.param(
            None,
            "responses",
            {"model": "gpt-5.6-sol", "input": "hi", "temperature": 0.5, "reasoning": {"effort": "none"}},
            id="temperature of gpt-5.6 with effort none",
        ),
        pytest.param(
            date(2024, 12, 19),
            "chat/completions",
            {
                "model": "gpt-4o-audio-preview",
                "messages": HI,
                "modalities": ["text", "audio"],
                "audio": {"voice": "alloy", "format": "wav"},
            },
            id="speech of gpt-4o-audio-preview",
        ),
        pytest.param(
            None,
            "responses",
            {
                "model": "gpt-5.6-terra",
                "input": [
                    {
                        "role": "user",
                        "content": [
                            {
                                "type": "input_text",
                                "text": "Keep this.",
                                "prompt_cache_breakpoint": {"mode": "explicit"},
                            }
                        ],
                    }
                ],
                "prompt_cache_options": {"mode": "explicit", "ttl": "30m"},
                "prompt_cache_retention": "24h",
            },
            id="retention beside the options of gpt-5.6",
        ),
        pytest.param(
            date(2025, 9, 3),
            "chat/completions",
            {
                "model": "gpt-4.1-nano",
                "messages": [
                    *HI,
                    {
                        "role": "assistant",
                        "tool_calls": [
                            {
                                "id": "call_1",
                                "type": "function",
                                "function": {"name": "see", "arguments": "{}"},
                            }
                        ],
                    },
                    {
                        "role": "tool",
                        "tool_call_id": "call_1",
                        "content": [
                            {"type": "text", "text": "A pixel"},
                            {"type": "image_url", "image_url": {"url": PIXEL}},
                        ],
                    },
                ],
            },
            id="an image in the result of a function",
        ),
        pytest.param(
            date(2026, 8, 19),
            "chat/completions",
            {"model": "gpt-4o-mini-search-preview", "messages": HI, "web_search_options": {}},
            id="search-preview in its last days",
        ),
        pytest.param(
            None, "responses", {"prompt": {"id": "pmpt_1", "version": "1"}}, id="a stored prompt alone"
        ),
        pytest.param(
            None,
            "responses",
            {
                "model": "gpt-5.4",
                "input": "hi",
                "parallel_tool_calls": False,
                "tools": [{"type": "tool_search"}, {"type": "function", **NOW, "defer_loading": True}],
            },
            id="one call at a time with tool search",
        ),
        pytest.param(
            None,
            "chat/completions",
            {
                "model": "gpt-4o",
                "messages": [*HI, {"role": "assistant", "content": "3", "parsed": {"n": 3}}, *HI],
            },
            id="what the SDK has parsed of an answer",
        ),
        pytest.param(
            None,
            "chat/completions",
            {
                "model": "gpt-5.6-terra",
                "messages": [
                    {"role": "user", "content": [{"type": "text", "text": "hi", "cache_control": {}}]},
                    {"role": "assistant", "content": "3", "reasoning": "1 + 2", "reasoning_signature": "x"},
                    *HI,
                ],
            },
            id="what programs of other providers leave in messages",
        ),
        pytest.param(
            date(2025, 8, 14),
            "chat/completions",
            {
                "model": "gpt-4o-mini-audio-preview",
                "messages": HI,
                "modalities": ["text", "audio"],
                "audio": {"voice": "alloy", "format": "opus"},
            },
            id="speech as opus",
        ),
        pytest.param(
            date(2025, 8, 28),
            "responses",
            {"model": "gpt-5", "input": "hi", "temperature": 1.0},
            id="the default temperature of gpt-5",
        ),
        pytest.param(
            date(2025, 12, 11),
            "chat/completions",
            {"model": "gpt-4o-mini", "messages": HI, "response_format": OPEN},
            id="open keys of what may be null in a strict schema",
        ),
    ],
)
def test_accepted(simulator: Simulator, at: date | None, path: str, body: dict[str, Any]) -> None:
    """What was answered is answered."""
    simulator.at = at or TODAY
    answer = post(simulator, path, body)
    assert answer.status_code == 200, answer.text


@pytest.mark.parametrize("model", ["gpt-4o", "gpt-5.1"])
def test_functions(client: openai.OpenAI, model: str) -> None:
    """The form that came before tools is taken, and a call goes back in it."""
    asked = [{"role": "user", "content": "now()"}]
    found = client.chat.completions.create(
        model=model, messages=asked, functions=[NOW], function_call={"name": "now"}
    )  # type: ignore[call-overload]
    assert found.choices[0].finish_reason in ("function_call", "stop")
    assert found.choices[0].message.function_call.name == "now"
    assert found.choices[0].message.tool_calls is None


NEWS = {
    date(2025, 12, 1): {"billing"},
    date(2026, 2, 1): {"billing", "frequency_penalty", "presence_penalty"},
    date(2026, 5, 1): {"billing", "frequency_penalty", "presence_penalty", "moderation"},
    date(2026, 8, 1): {"billing", "frequency_penalty", "presence_penalty", "moderation", "tool_usage"},
}


@pytest.mark.parametrize(("at", "there"), NEWS.items(), ids=[f"{day:%Y-%m}" for day in NEWS])
def test_keys_of_a_response(simulator: Simulator, at: date, there: set[str]) -> None:
    """A response has the keys that responses had by then; who is billed is in no event of a stream."""
    simulator.at = at
    body = {"model": "gpt-5.2" if at.year > 2025 else "gpt-5.1", "input": "hi"}
    whole = post(simulator, "responses", body).json()
    assert {key for key in whole if key in NEWS[date(2026, 8, 1)]} == there
    text = post(simulator, "responses", {**body, "stream": True}).text
    events = [json.loads(line[5:]) for line in text.splitlines() if line.startswith("data:")]
    assert {key for key in events[-1]["response"] if key in there} == there - {"billing"}


@pytest.mark.parametrize(
    ("model", "reasoning", "phase"),
    [
        pytest.param("gpt-4.1", {"effort": None, "summary": None, "context": None}, None, id="gpt-4.1"),
        pytest.param(
            "gpt-5.4",
            {"effort": "none", "summary": None, "context": "current_turn", "mode": "standard"},
            "final_answer",
            id="gpt-5.4",
        ),
        pytest.param(
            "gpt-5.6-sol",
            {"effort": "medium", "summary": None, "context": "all_turns", "mode": "standard"},
            "final_answer",
            id="gpt-5.6-sol",
        ),
    ],
)
def test_reasoning_and_phase(
    simulator: Simulator, model: str, reasoning: dict[str, Any], phase: str | None
) -> None:
    """What is said of reasoning, and of what a message is to its turn, depends on the model."""
    simulator.at = date(2026, 8, 1)
    tools = [{"type": "function", **NOW}]
    found = post(simulator, "responses", {"model": model, "input": "hi", "tools": tools}).json()
    assert found["reasoning"] == reasoning
    assert found["tools"][0]["output_schema"] is None
    (message,) = [item for item in found["output"] if item["type"] == "message"]
    assert message.get("phase") == phase


def streamed(simulator: Simulator, body: dict[str, Any]) -> list[dict[str, Any]]:
    """Return the events of a stream of Responses."""
    lines = post(simulator, "responses", {"model": "gpt-4o", "input": "hi", **body, "stream": True}).text
    return [json.loads(line[5:]) for line in lines.splitlines() if line.startswith("data:")]


def test_a_stream_that_declines(simulator: Simulator) -> None:
    """A refusal has events of its own, and its pieces are not padded."""
    simulator.script(refusal="I can't.")
    events = streamed(simulator, {})
    deltas = [row for row in events if row["type"] == "response.refusal.delta"]
    assert "".join(row["delta"] for row in deltas) == "I can't."
    assert not any("obfuscation" in row for row in deltas)
    assert [row["refusal"] for row in events if row["type"] == "response.refusal.done"] == ["I can't."]


def test_a_stream_that_takes_its_time(simulator: Simulator) -> None:
    """While nothing is to be said yet, an event says that the stream is alive; all are numbered."""
    simulator.faults.add(kind="slow_first_token", seconds=0.001)
    events = streamed(simulator, {})
    assert [row["type"] for row in events[:3]] == ["response.created", "response.in_progress", "keepalive"]
    assert [row["sequence_number"] for row in events] == list(range(len(events)))


def test_a_call_that_is_stored_may_be_given_again(simulator: Simulator) -> None:
    """A request that goes on from a response may repeat the call that is answered."""
    simulator.script(tool_calls=[("now", {})])
    tools = [{"type": "function", **NOW}]
    first = post(simulator, "responses", {"model": "gpt-4o", "input": "hi", "tools": tools}).json()
    (call,) = first["output"]
    again = {key: call[key] for key in ("type", "call_id", "name", "arguments")}
    output = {"type": "function_call_output", "call_id": call["call_id"], "output": "noon"}
    body = {"model": "gpt-4o", "input": [again, output], "tools": tools}
    answer = post(simulator, "responses", {**body, "previous_response_id": first["id"]})
    assert answer.status_code == 200, answer.text
    twice = post(simulator, "responses", {**body, "input": [again, again, output]})
    assert twice.json()["error"]["message"].startswith("Duplicate item found with call_id")


def test_what_a_model_that_speaks_counts(simulator: Simulator) -> None:
    """The usage of a model that speaks says what of it is text."""
    body = {"model": "gpt-audio-1.5", "messages": HI, "modalities": ["text", "audio"]}
    usage = post(
        simulator, "chat/completions", {**body, "audio": {"voice": "alloy", "format": "wav"}}
    ).json()["usage"]
    assert usage["prompt_tokens_details"]["text_tokens"] == usage["prompt_tokens"]
    assert usage["prompt_tokens_details"]["image_tokens"] == 0
    said = usage["completion_tokens_details"]
    assert said["text_tokens"] + said["audio_tokens"] == usage["completion_tokens"]


def test_a_stream_is_padded_unless_that_is_switched_off(simulator: Simulator) -> None:
    """Every delta carries a padding, on both endpoints; asked not to, none does."""
    for path, body in (
        ("responses", {"model": "gpt-4o", "input": "hi"}),
        ("chat/completions", {"model": "gpt-4o", "messages": HI}),
    ):
        for options, padded in ((None, True), ({"include_obfuscation": False}, False)):
            asked = {**body, "stream": True, **({"stream_options": options} if options else {})}
            lines = post(simulator, path, asked).text.splitlines()
            rows = [
                json.loads(line[5:]) for line in lines if line.startswith("data:") and "[DONE]" not in line
            ]
            deltas = [row for row in rows if row.get("type", "chunk").endswith(("delta", "chunk"))]
            assert deltas
            assert all(("obfuscation" in row) is padded for row in deltas)


@pytest.mark.parametrize(("model", "step"), [("gpt-5", 64), ("gpt-5-mini", 64), ("gpt-5-nano", 64)])
def test_reasoning_in_steps(client: openai.OpenAI, model: str, step: int) -> None:
    """Reasoning of gpt-5, mini and nano is billed in steps of 64 tokens."""
    spent = [
        client.responses.create(
            model=model, input=f"Why {number}?"
        ).usage.output_tokens_details.reasoning_tokens  # type: ignore[union-attr]
        for number in range(6)
    ]
    assert any(spent)
    assert all(tokens % step == 0 for tokens in spent)
