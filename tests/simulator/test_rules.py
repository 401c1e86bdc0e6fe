# ruff: noqa: E501  tables of cases are read by the row
"""Every refusal, word for word, as the SDK's client sees it."""

from __future__ import annotations

from typing import Any

import openai
import pytest

from routed_llm.simulator.frozen import load

HI = [{"role": "user", "content": "hi"}]
TOOL = {
    "type": "function",
    "function": {"name": "look_up", "parameters": {"type": "object", "properties": {}}},
}
FLAT_TOOL = {"type": "function", "name": "look_up", "parameters": {"type": "object", "properties": {}}}
SCHEMA = {"type": "object", "properties": {"a": {"type": "string"}}, "required": ["a"]}
PIXEL = "data:image/png;base64,iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAQAAAC1HAwCAAAAC0lEQVR42mNk+A8AAQUBAScY42YAAAAASUVORK5CYII="
INVALID = "invalid_request_error"


def image(url: str = PIXEL) -> list[dict[str, Any]]:
    """A message with text and an image."""
    return [
        {
            "role": "user",
            "content": [{"type": "text", "text": "x"}, {"type": "image_url", "image_url": {"url": url}}],
        }
    ]


UNSUPPORTED = "Unsupported parameter: '{}' is not supported with this model."
DEFAULT_ONLY = "Unsupported value: 'temperature' does not support {} with this model. Only the default (1) value is supported."
TOOLS_54 = "Function tools with reasoning_effort are not supported for {} in /v1/chat/completions. Please use /v1/responses instead."
TOOLS_56 = (
    "Function tools with reasoning_effort are not supported for {} in /v1/chat/completions. "
    "To use function tools, use /v1/responses or set reasoning_effort to 'none'."
)
GONE = "The model `{}` has been deprecated, learn more here: https://platform.openai.com/docs/deprecations"
UNKNOWN = "The model `{}` does not exist or you do not have access to it."
RESPONSES_ONLY = "This model is only supported in v1/responses and not in v1/chat/completions."

# id: (request without messages, status, message, param, code)
CHAT: dict[str, tuple[dict[str, Any], int, str, str | None, str | None]] = {
    "unknown model": ({"model": "gpt-9"}, 404, UNKNOWN.format("gpt-9"), None, "model_not_found"),
    "no gpt-6 alias": ({"model": "gpt-6"}, 404, UNKNOWN.format("gpt-6"), None, "model_not_found"),
    "retired": ({"model": "gpt-4.1-nano"}, 404, GONE.format("gpt-4.1-nano"), None, "model_not_found"),
    "retired snapshot": ({"model": "gpt-4o-2024-05-13"}, 404, GONE.format("gpt-4o-2024-05-13"), None, "model_not_found"),
    "long retired": ({"model": "gpt-4"}, 404, GONE.format("gpt-4"), None, "model_not_found"),
    "pro": ({"model": "gpt-5.2-pro"}, 404, RESPONSES_ONLY, "model", None),
    "codex": (
        {"model": "gpt-5.3-codex"}, 404,
        "This is not a chat model and thus not supported in the v1/chat/completions endpoint. "
        "Did you mean to use v1/completions?", "model", None,
    ),
    "max_tokens on gpt-5": (
        {"model": "gpt-5", "max_tokens": 50}, 400,
        "Unsupported parameter: 'max_tokens' is not supported with this model. Use 'max_completion_tokens' instead.",
        "max_tokens", "unsupported_parameter",
    ),
    "temperature on gpt-5": ({"model": "gpt-5", "temperature": 0}, 400, DEFAULT_ONLY.format(0), "temperature", "unsupported_value"),
    "temperature on 5.4 with effort": (
        {"model": "gpt-5.4", "temperature": 0.2, "reasoning_effort": "low"}, 400, DEFAULT_ONLY.format(0.2),
        "temperature", "unsupported_value",
    ),
    "temperature on 5.6 by default": (
        {"model": "gpt-5.6-luna", "temperature": 0.2}, 400, DEFAULT_ONLY.format(0.2), "temperature", "unsupported_value",
    ),
    "temperature on 6.1-sol": (
        {"model": "gpt-6.1-sol", "temperature": 1}, 400, UNSUPPORTED.format("temperature"), "temperature", "unsupported_parameter",
    ),
    "top_p on gpt-5": ({"model": "gpt-5-mini", "top_p": 0.5}, 400, UNSUPPORTED.format("top_p"), "top_p", "unsupported_parameter"),
    "stop on gpt-5.1": ({"model": "gpt-5.1", "stop": ["x"]}, 400, UNSUPPORTED.format("stop"), "stop", "unsupported_parameter"),
    "logit_bias": ({"model": "gpt-6-luna", "logit_bias": {"1": 1}}, 400, UNSUPPORTED.format("logit_bias"), "logit_bias", "unsupported_parameter"),
    "effort on gpt-4o": (
        {"model": "gpt-4o", "reasoning_effort": "low"}, 400, UNSUPPORTED.format("reasoning_effort"), "reasoning_effort", "unsupported_parameter",
    ),
    "effort max on chat": (
        {"model": "gpt-6-luna", "reasoning_effort": "max"}, 400,
        "Unsupported value: 'reasoning_effort' does not support 'max' with this model. "
        "Supported values are: 'none', 'low', 'medium', 'high', and 'xhigh'.", "reasoning_effort", "unsupported_value",
    ),
    "none on astra": (
        {"model": "gpt-6-astra", "reasoning_effort": "none"}, 400,
        "Unsupported value: 'reasoning_effort' does not support 'none' with this model. "
        "Supported values are: 'low', 'medium', 'high', and 'xhigh'.", "reasoning_effort", "unsupported_value",
    ),
    "verbosity on gpt-4o": (
        {"model": "gpt-4o", "verbosity": "low"}, 400,
        "Unsupported value: 'verbosity' does not support 'low' with this model. Supported values are: 'medium'.",
        "verbosity", "unsupported_value",
    ),
    "tools on 5.4 with effort": ({"model": "gpt-5.4", "tools": [TOOL], "reasoning_effort": "low"}, 400, TOOLS_54.format("gpt-5.4"), "reasoning_effort", None),
    "tools on 5.5": ({"model": "gpt-5.5", "tools": [TOOL]}, 400, TOOLS_54.format("gpt-5.5"), "reasoning_effort", None),
    "tools on 5.6 alias": ({"model": "gpt-5.6", "tools": [TOOL]}, 400, TOOLS_56.format("gpt-5.6"), "reasoning_effort", None),
    "tools on 6.2-sol": ({"model": "gpt-6.2-sol", "tools": [TOOL]}, 400, TOOLS_56.format("gpt-6.2-sol"), "reasoning_effort", None),
    "cache options on gpt-5.5": (
        {"model": "gpt-5.5", "prompt_cache_options": {"mode": "implicit"}}, 400,
        UNSUPPORTED.format("prompt_cache_options"), "prompt_cache_options", "unsupported_parameter",
    ),
    "cache breakpoint on gpt-4o": (
        {"model": "gpt-4o", "messages": [{"role": "user", "content": [{"type": "text", "text": "Hi", "prompt_cache_breakpoint": {"mode": "explicit"}}]}]}, 400,
        "messages[0].content[0].prompt_cache_breakpoint is not supported on this model",
        "messages[0].content[0].prompt_cache_breakpoint", "invalid_parameter",
    ),
    "cache retention on gpt-5.6": (
        {"model": "gpt-5.6-sol", "prompt_cache_retention": "24h"}, 400,
        "prompt_cache_retention is not supported on this model", "prompt_cache_retention", "invalid_parameter",
    ),
    "search": ({"model": "gpt-5-search-api", "temperature": 1}, 400, "Model incompatible request argument supplied: temperature", None, None),
    "two arguments of search": (
        {"model": "gpt-5-search-api", "temperature": 1, "top_p": 1}, 400,
        "Model incompatible request arguments supplied: temperature, top_p", None, None,
    ),
    "audio without audio": (
        {"model": "gpt-audio-1.5"}, 400,
        "This model requires that either input content or output modality contain audio.", "model", "invalid_value",
    ),
    "output cap": (
        {"model": "gpt-4o", "max_tokens": 50000}, 400,
        "max_tokens is too large: 50000. This model supports at most 16384 completion tokens, whereas you provided 50000.",
        "max_tokens", "invalid_value",
    ),
    "cap beyond the window": (
        {"model": "gpt-4o", "max_tokens": 16384, "messages": [{"role": "user", "content": "word " * 120000}]}, 400,
        "This model's maximum context length is 128000 tokens. However, you requested 136392 tokens (120008 in the "
        "messages, 16384 in the completion). Please reduce the length of the messages or completion.",
        "messages", "context_length_exceeded",
    ),
    "context of gpt-4o": (
        {"model": "gpt-4o", "messages": [{"role": "user", "content": "word " * 130000}]}, 400,
        "This model's maximum context length is 128000 tokens. However, your messages resulted in 130008 tokens. "
        "Please reduce the length of the messages.", "messages", "context_length_exceeded",
    ),
    "context of gpt-5": (
        {"model": "gpt-5", "messages": [{"role": "user", "content": "word " * 272000}]}, 400,
        "Input tokens exceed the configured limit of 272000 tokens. Your messages resulted in 272007 tokens. "
        "Please reduce the length of the messages.", "messages", "context_length_exceeded",
    ),
    "image to an audio model": (
        {"model": "gpt-audio-1.5", "messages": image()}, 400,
        "This model does not support image_url content.", "messages[0].content", "invalid_value",
    ),
    "no image": (
        {"model": "gpt-4o", "messages": image("data:image/png;base64,aGVsbG8=")}, 400,
        "You uploaded an unsupported image. Please make sure your image has of one the following formats: "
        "['png', 'jpeg', 'gif', 'webp'].", None, "invalid_image_format",
    ),
    "audio to gpt-4o": (
        {"model": "gpt-4o", "messages": [{"role": "user", "content": [{"type": "input_audio", "input_audio": {"data": "", "format": "wav"}}]}]},
        400, "Invalid 'messages[0]'. Content blocks are expected to be either text or image_url type.", "messages[0]", "invalid_value",
    ),
    "text file": (
        {"model": "gpt-4o", "messages": [{"role": "user", "content": [{"type": "file", "file": {"file_data": "data:text/markdown;base64,aGk="}}]}]},
        400,
        "Invalid file data: 'messages[0].content[0].file.file_data'. Expected a base64-encoded data URL with an "
        "application/pdf MIME type (e.g. 'data:application/pdf;base64,SGVsbG8sIFdvcmxkIQ=='), but got unsupported "
        "MIME type 'text/markdown'.", "messages[0].content[0].file.file_data", "invalid_value",
    ),
    "schema that is not strict": (
        {"model": "gpt-4o", "response_format": {"type": "json_schema", "json_schema": {"name": "default", "strict": True, "schema": SCHEMA}}},
        400, "Invalid schema for response_format 'default': In context=(), 'additionalProperties' is required to be "
        "supplied and to be false.", "response_format", None,
    ),
    "unanswered tool call": (
        {"model": "gpt-4o", "messages": [*HI, {"role": "assistant", "tool_calls": [{"id": "call_x", "type": "function", "function": {"name": "f", "arguments": "{}"}}]}, *HI]},
        400, "An assistant message with 'tool_calls' must be followed by tool messages responding to each "
        "'tool_call_id'. The following tool_call_ids did not have response messages: call_x", "messages.[1].role", None,
    ),
    "orphan tool message": (
        {"model": "gpt-4o", "messages": [*HI, {"role": "tool", "tool_call_id": "call_x", "content": "1"}]}, 400,
        "Invalid parameter: messages with role 'tool' must be a response to a preceeding message with 'tool_calls'.",
        "messages.[1].role", None,
    ),
    "json word": (
        {"model": "gpt-4o", "response_format": {"type": "json_object"}}, 400,
        "'messages' must contain the word 'json' in some form, to use 'response_format' of type 'json_object'.", "messages", None,
    ),
    "too hot": (
        {"model": "gpt-4o", "temperature": 3}, 400,
        "Invalid 'temperature': decimal above maximum value. Expected a value <= 2, but got 3 instead.", "temperature", "decimal_above_max_value",
    ),
    "no n": ({"model": "gpt-4o", "n": 0}, 400, "Invalid 'n': integer below minimum value. Expected a value >= 1, but got 0 instead.", "n", "integer_below_min_value"),
    "wrong type": ({"model": "gpt-4o", "seed": "x"}, 400, "Invalid type for 'seed': expected an integer, but got a string instead.", "seed", "invalid_type"),
    "five stops": (
        {"model": "gpt-4o", "stop": list("abcde")}, 400,
        "Invalid 'stop': array too long. Expected an array with maximum length 4, but got an array with length 5 instead.", "stop", "array_above_max_length",
    ),
    "unknown field": ({"model": "gpt-4o", "extra_body": {"top_k": 3}}, 400, "Unknown parameter: 'top_k'.", "top_k", "unknown_parameter"),
    "arguments that are no text": (
        {"model": "gpt-4o", "messages": [*HI, {"role": "assistant", "tool_calls": [{"id": "call_x", "type": "function", "function": {"name": "f", "arguments": {}}}]}]},
        400, "Invalid type for 'messages[1].tool_calls[0].function.arguments': expected a string, but got an object instead.",
        "messages[1].tool_calls[0].function.arguments", "invalid_type",
    ),
    "no messages": (
        {"model": "gpt-4o", "messages": []}, 400,
        "Invalid 'messages': empty array. Expected an array with minimum length 1, but got an empty array instead.", "messages", "empty_array",
    ),
    "tool in the other form": ({"model": "gpt-4o", "tools": [FLAT_TOOL]}, 400, "Missing required parameter: 'tools[0].function'.", "tools[0].function", "missing_required_parameter"),
    "image in a message of the system": (
        {"model": "gpt-4o", "messages": [{"role": "system", "content": image()[0]["content"]}, *HI]},
        400, "Invalid value: 'image_url'. Supported values are: 'text'.", "messages[0].content[1].type", "invalid_value",
    ),
}  # fmt: skip

RESPONSES: dict[str, tuple[dict[str, Any], int, str, str | None, str | None]] = {
    "temperature on 5.2 with effort": (
        {"model": "gpt-5.2", "temperature": 0, "reasoning": {"effort": "low"}}, 400, UNSUPPORTED.format("temperature"), "temperature", None,
    ),
    "temperature on gpt-6-astra": ({"model": "gpt-6-astra", "temperature": 1}, 400, UNSUPPORTED.format("temperature"), "temperature", None),
    "cache breakpoint on 5.4": (
        {"model": "gpt-5.4", "input": [{"role": "user", "content": [{"type": "input_text", "text": "Hi", "prompt_cache_breakpoint": {"mode": "explicit"}}]}]}, 400,
        "input[0].content[0].prompt_cache_breakpoint is not supported on this model",
        "input[0].content[0].prompt_cache_breakpoint", "invalid_parameter",
    ),
    "minimal on 5.6": (
        {"model": "gpt-5.6-luna", "reasoning": {"effort": "minimal"}}, 400,
        "Unsupported value: 'minimal' is not supported with the 'gpt-5.6-luna' model. Supported values are: "
        "'none', 'low', 'medium', 'high', 'xhigh', and 'max'.", "reasoning.effort", "unsupported_value",
    ),
    "effort on gpt-4.1": (
        {"model": "gpt-4.1", "reasoning": {"effort": "low"}}, 400, UNSUPPORTED.format("reasoning.effort"), "reasoning.effort", "unsupported_parameter",
    ),
    "cap below 16": (
        {"model": "gpt-4o", "max_output_tokens": 10}, 400,
        "Invalid 'max_output_tokens': integer below minimum value. Expected a value >= 16, but got 10 instead.",
        "max_output_tokens", "integer_below_min_value",
    ),
    "context": (
        {"model": "gpt-4o", "input": "word " * 130000}, 400,
        "Your input exceeds the context window of this model. Please adjust your input and try again.", "input", "context_length_exceeded",
    ),
    "usage is no option of its streams": ({"model": "gpt-4o", "extra_body": {"stream": True, "stream_options": {"include_usage": True}}}, 400, "Unknown parameter: 'stream_options.include_usage'.", "stream_options.include_usage", "unknown_parameter"),
    "stop is unknown": ({"model": "gpt-4o", "extra_body": {"stop": ["x"]}}, 400, "Unknown parameter: 'stop'.", "stop", "unknown_parameter"),
    "unanswered call": (
        {"model": "gpt-4o", "input": [{"type": "function_call", "call_id": "call_x", "name": "f", "arguments": "{}"}]}, 400,
        "No tool output found for function call call_x.", "input", None,
    ),
    "output without call": (
        {"model": "gpt-4o", "input": [{"type": "function_call_output", "call_id": "call_x", "output": "1"}]}, 400,
        "No tool call found for function call output with call_id call_x.", "input", None,
    ),
    "no previous response": (
        {"model": "gpt-4o", "previous_response_id": "resp_x"}, 400, "Previous response with id 'resp_x' not found.",
        "previous_response_id", "previous_response_not_found",
    ),
    "named choice in chat form": (
        {"model": "gpt-4o", "tools": [FLAT_TOOL], "tool_choice": {"type": "function", "function": {"name": "look_up"}}}, 400,
        "Missing required parameter: 'tool_choice.name'.", "tool_choice.name", "missing_required_parameter",
    ),
    "tool in the other form": ({"model": "gpt-4o", "tools": [TOOL]}, 400, "Missing required parameter: 'tools[0].name'.", "tools[0].name", "missing_required_parameter"),
    "no image": (
        {"model": "gpt-4o", "input": [{"role": "user", "content": [{"type": "input_image", "image_url": "data:image/png;base64,aGVsbG8="}]}]}, 400,
        "The image data you provided does not represent a valid image. Please check your input and try again with one "
        "of the supported image formats: ['image/jpeg', 'image/png', 'image/gif', 'image/webp'].", "input", "invalid_value",
    ),
    "schema that is not strict": (
        {"model": "gpt-4o", "text": {"format": {"type": "json_schema", "name": "default", "strict": True, "schema": SCHEMA}}}, 400,
        "Invalid schema for response_format 'default': In context=(), 'additionalProperties' is required to be "
        "supplied and to be false.", "text.format.schema", "invalid_json_schema",
    ),
    "unknown block field": (
        {"model": "gpt-4o", "input": [{"role": "user", "content": [{"type": "input_text", "text": "x", "detail": "low"}]}]}, 400,
        "Unknown parameter: 'input[0].content[0].detail'.", "input[0].content[0].detail", "unknown_parameter",
    ),
    "stream on gpt-5-pro": (
        {"model": "gpt-5-pro", "stream": True}, 400,
        "Unsupported value: 'stream' does not support true with this model. Only the default (false) value is supported.",
        "stream", "unsupported_value",
    ),
    "encrypted reasoning of a model that does not reason": (
        {"model": "gpt-4.1-mini", "include": ["reasoning.encrypted_content"]}, 400,
        "Encrypted content is not supported with this model.", "include", None,
    ),
    "logprobs of a model that reasons": (
        {"model": "gpt-5-mini", "include": ["message.output_text.logprobs"]}, 400,
        "logprobs are not supported with reasoning models.", "include", "unsupported_parameter",
    ),
    "logprobs with an effort": (
        {"model": "gpt-5.4", "include": ["message.output_text.logprobs"], "reasoning": {"effort": "low"}}, 400,
        "logprobs are not supported with reasoning models.", "include", "unsupported_parameter",
    ),
    "foreign reasoning": (
        {"model": "gpt-4o", "input": [{"type": "reasoning", "id": "rs_1", "summary": []}, {"role": "user", "content": "x"}]}, 400,
        "Reasoning input items can only be provided to a reasoning or computer use model. Remove reasoning items from "
        "your input and try again.", "input", None,
    ),
}  # fmt: skip

OK_CHAT: dict[str, dict[str, Any]] = {
    "5.1 takes temperature by default": {"model": "gpt-5.1", "temperature": 0.2, "top_p": 0.5},
    "5.4 takes logprobs with none": {"model": "gpt-5.4", "logprobs": True, "reasoning_effort": "none"},
    "gpt-5 takes temperature 1": {"model": "gpt-5", "temperature": 1},
    "tools on 5.4 by default": {"model": "gpt-5.4", "tools": [TOOL]},
    "tools on 5.6 with none": {"model": "gpt-5.6-luna", "tools": [TOOL], "reasoning_effort": "none"},
    "tools on gpt-5": {"model": "gpt-5", "tools": [TOOL], "reasoning_effort": "high"},
    "stop on 4.1": {"model": "gpt-4.1", "stop": ["x"], "max_tokens": 50, "temperature": 0.2},
    "retention on 4.1": {"model": "gpt-4.1", "prompt_cache_retention": "24h"},
    "cache breakpoint on 5.6": {
        "model": "gpt-5.6-luna",
        "messages": [
            {
                "role": "user",
                "content": [{"type": "text", "text": "Hi", "prompt_cache_breakpoint": {"mode": "explicit"}}],
            }
        ],
    },
    "cache options on 6": {"model": "gpt-6-luna", "prompt_cache_options": {"mode": "implicit"}},
    "200K tokens on 4.1": {
        "model": "gpt-4.1-mini",
        "messages": [{"role": "user", "content": "word " * 200000}],
    },
}


def caught(call: Any) -> openai.APIStatusError:
    """The error a call raises."""
    with pytest.raises(openai.APIStatusError) as info:
        call()
    return info.value


@pytest.mark.parametrize("case", CHAT.values(), ids=CHAT.keys())
def test_chat_refuses(
    client: openai.OpenAI, case: tuple[dict[str, Any], int, str, str | None, str | None]
) -> None:
    """Chat Completions answers a broken rule with the body that the real API has."""
    request, status, message, param, code = case
    error = caught(lambda: client.chat.completions.create(**{"messages": HI, **request}))
    assert error.status_code == status
    assert error.body == {"message": message, "type": INVALID, "param": param, "code": code}


@pytest.mark.parametrize("case", RESPONSES.values(), ids=RESPONSES.keys())
def test_responses_refuses(
    client: openai.OpenAI, case: tuple[dict[str, Any], int, str, str | None, str | None]
) -> None:
    """The Responses endpoint answers a broken rule with the body that the real API has."""
    request, status, message, param, code = case
    error = caught(lambda: client.responses.create(**{"input": "hi", **request}))
    assert error.status_code == status
    assert error.body == {"message": message, "type": INVALID, "param": param, "code": code}


@pytest.mark.parametrize("request_", OK_CHAT.values(), ids=OK_CHAT.keys())
def test_chat_accepts(client: openai.OpenAI, simulator: Any, request_: dict[str, Any]) -> None:
    """What the model takes is answered, and nothing counts as refused."""
    client.chat.completions.create(**{"messages": HI, **request_})
    assert simulator.refused == []


def test_null_stop_counts_on_gpt_5(simulator: Any) -> None:
    """A null `stop` is a value to gpt-5, as reported of the real API; to gpt-4o it means absent."""
    import httpx

    def send(model: str) -> int:
        body = {"model": model, "messages": HI, "stop": None}
        url = f"{simulator.url}/chat/completions"
        return httpx.post(url, json=body, headers={"authorization": "Bearer k"}).status_code

    assert (send("gpt-5"), send("gpt-4o")) == (400, 200)


def test_no_key(simulator: Any) -> None:
    """A request without a key is refused before anything else is looked at."""
    import httpx

    reply = httpx.post(f"{simulator.url}/chat/completions", content=b"no json")
    assert reply.status_code == 401
    assert reply.json()["error"]["message"].startswith("You didn't provide an API key.")


SHAPES: tuple[Any, ...] = (3, True, "x", [], {}, [3], [{}], [None], {"type": "function"}, [{"type": "function"}],
    [{"type": "function", "function": 3}], [{"role": "user", "content": [{}]}], [{"role": "user", "content": 3}],
    {"type": "json_schema", "json_schema": 3}, {"content": 3}, {"effort": 3}, {"format": 3})  # fmt: skip


@pytest.mark.parametrize("endpoint", ["chat/completions", "responses", "responses/input_tokens"])
def test_no_shape_is_too_odd(simulator: Any, endpoint: str) -> None:
    """Whatever a field holds, the reply is an answer or a 400 in the API's form, never a failure of the simulator."""
    import httpx

    fields = {"chat/completions": "chat", "responses": "responses", "responses/input_tokens": "input_tokens"}
    said = {"messages": HI} if endpoint.startswith("chat") else {"input": "hi"}
    with httpx.Client(headers={"authorization": "Bearer k"}) as http:
        for field in load("fields")[fields[endpoint]]:
            for shape in SHAPES:
                body = {"model": "gpt-4o", **said, field: shape}
                reply = http.post(f"{simulator.url}/{endpoint}", json=body)
                assert reply.status_code in (200, 400, 404), (field, shape)
                assert reply.status_code == 200 or set(reply.json()["error"]) == {
                    "message",
                    "type",
                    "param",
                    "code",
                }
