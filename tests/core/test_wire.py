"""The wire: what is sent for a decided call, answers in one shape, streams, and turns that are sent again."""
# ruff: noqa: E501 - tables of one case a row

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import replace
from typing import Any

import pytest
from core_support import CATALOG, facts
from openai.types.chat import ChatCompletion, ChatCompletionChunk
from openai.types.responses import Response, ResponseStreamEvent
from pydantic import TypeAdapter

from routed_llm import Call, Decision, Policy, RequestError, Router, read_openai
from routed_llm.parameters import ENCRYPTED
from routed_llm.request.wire import (
    ITEMS,
    ChunkStream,
    EventStream,
    chat_completion,
    count_body,
    failure_of,
    overlaid,
    parameters,
    request_body,
    response,
    same_model,
)

CHAT, RESPONSES = "chat_completions", "responses"
HELLO = [{"role": "user", "content": "Hello"}]
SCHEMA = {"type": "object", "properties": {"city": {"type": "string"}}}
STRICT = {**SCHEMA, "required": ["city"], "additionalProperties": False}
WEATHER = {"name": "weather", "description": "Tells it.", "parameters": SCHEMA}


def decided(asked: dict[str, Any], endpoint: str, **changes: Any) -> Decision:
    """Return a Decision of the router for a request, its call moved to an endpoint and changed."""
    decision = Router(catalog=CATALOG, policy=Policy(at_least=None)).decide(
        read_openai(parameters(asked) if "input" in asked or "messages" in asked else {"messages": HELLO})
    )
    assert decision.call is not None
    values = {"model": "gpt-5.4-mini", "base_url": None, "effort": "low", **changes}
    return replace(decision, call=replace(decision.call, endpoint=endpoint, **values))


def sent(
    asked: dict[str, Any], endpoint: str, *, keep: dict[str, Any] | None = None, **changes: Any
) -> dict[str, Any]:
    """Return what is sent on an endpoint for a request that was not decided: nothing is dropped."""
    call = Call(
        **{
            "model": "gpt-5.4-mini",
            "base_url": None,
            "endpoint": endpoint,
            "effort": None,
            "cap": None,
            "parameters": {},
            **changes,
        }
    )
    decision = replace(decided({"messages": HELLO}, endpoint), call=call, facts=facts(), changes=())
    return request_body(asked, decision, **(keep or {}))


TO_RESPONSES = [
    pytest.param({"tools": [{"type": "function", "function": WEATHER}]}, {"tools": [{"type": "function", **WEATHER, "strict": False}]}, id="a tool without strict stays lenient"),
    pytest.param({"tools": [{"type": "function", **WEATHER}]}, {"tools": [{"type": "function", **WEATHER, "strict": False}]}, id="also one in Responses' form"),
    pytest.param({"tools": [{"type": "function", "function": {**WEATHER, "strict": None}}]}, {"tools": [{"type": "function", **WEATHER, "strict": False}]}, id="also one whose strict is null"),
    pytest.param({"tools": [{"type": "function", "function": {**WEATHER, "strict": True}}]}, {"tools": [{"type": "function", **WEATHER, "strict": True}]}, id="a strict tool stays strict"),
    pytest.param({"tools": [{"type": "function", "function": {"name": "now"}}]}, {"tools": [{"type": "function", "name": "now", "strict": False, "parameters": None}]}, id="a tool without parameters"),
    pytest.param({"tools": [{"type": "custom", "custom": {"name": "sql", "format": {"type": "grammar", "grammar": {"syntax": "lark", "definition": "x"}}}}]}, {"tools": [{"type": "custom", "name": "sql", "format": {"type": "grammar", "syntax": "lark", "definition": "x"}}]}, id="a custom tool with a grammar"),
    pytest.param({"tools": [{"type": "web_search"}]}, {"tools": [{"type": "web_search"}]}, id="a hosted tool"),
    pytest.param({"tools": [{"type": "of_tomorrow", "depth": 3}]}, {"tools": [{"type": "of_tomorrow", "depth": 3}]}, id="a tool that nobody knows"),
    pytest.param({"web_search_options": {"search_context_size": "low", "user_location": {"type": "approximate", "approximate": {"city": "Lima"}}}}, {"tools": [{"type": "web_search", "search_context_size": "low", "user_location": {"type": "approximate", "city": "Lima"}}]}, id="searching becomes the hosted tool"),
    pytest.param({"tool_choice": {"type": "function", "function": {"name": "weather"}}}, {"tool_choice": {"type": "function", "name": "weather"}}, id="a named choice"),
    pytest.param({"tool_choice": "required"}, {"tool_choice": "required"}, id="a required choice"),
    pytest.param({"tool_choice": {"type": "allowed_tools", "allowed_tools": {"mode": "auto", "tools": [{"type": "function", "function": {"name": "weather"}}]}}}, {"tool_choice": {"type": "allowed_tools", "mode": "auto", "tools": [{"type": "function", "name": "weather"}]}}, id="allowed tools"),
    pytest.param({"response_format": {"type": "json_schema", "json_schema": {"name": "c", "schema": SCHEMA}}}, {"text": {"format": {"type": "json_schema", "name": "c", "schema": SCHEMA, "strict": False}}}, id="a schema without strict stays lenient"),
    pytest.param({"response_format": {"type": "json_schema", "json_schema": {"name": "c", "schema": SCHEMA, "strict": True}}, "verbosity": "low"}, {"text": {"format": {"type": "json_schema", "name": "c", "schema": SCHEMA, "strict": True}, "verbosity": "low"}}, id="a strict schema, and verbosity"),
    pytest.param({"response_format": {"type": "json_object"}}, {"text": {"format": {"type": "json_object"}}}, id="JSON mode"),
    pytest.param({"store": True}, {"store": True}, id="what is to be stored is stored"),
    pytest.param({"store": False}, {"store": False}, id="what is not to be stored is not"),
    pytest.param({"logprobs": True, "top_logprobs": 3}, {"include": ["message.output_text.logprobs"], "top_logprobs": 3}, id="log probabilities"),
    pytest.param({"top_logprobs": 3}, {"include": ["message.output_text.logprobs"], "top_logprobs": 3}, id="the likeliest tokens alone"),
    pytest.param({"metadata": {"a": "b"}, "prompt_cache_key": "k", "service_tier": "flex", "user": "u", "safety_identifier": "s", "parallel_tool_calls": False}, {"metadata": {"a": "b"}, "prompt_cache_key": "k", "service_tier": "flex", "user": "u", "safety_identifier": "s", "parallel_tool_calls": False}, id="what both have"),
    pytest.param({"of_tomorrow": 1}, {"of_tomorrow": 1}, id="a parameter that nobody knows"),
    pytest.param({"instructions": "Be brief."}, {"instructions": "Be brief."}, id="instructions beside messages"),
    pytest.param({"extra_body": {"prompt_cache_key": "k", "store": True}}, {"prompt_cache_key": "k", "store": True}, id="extra_body is what it adds"),
    pytest.param({"n": 1, "modalities": ["text"], "logit_bias": {}, "presence_penalty": 0, "stop": []}, {}, id="what asks for what happens anyway"),
]  # fmt: skip


@pytest.mark.parametrize(("given", "expected"), TO_RESPONSES)
def test_what_was_asked_of_chat_completions_means_the_same_on_responses(
    given: dict[str, Any], expected: dict[str, Any]
) -> None:
    """Each field is kept, renamed or translated; what is left out keeps the meaning that it has there."""
    items = [{"type": "message", "role": "user", "content": "Hello"}]
    store = expected.get("store", False)
    assert sent({"messages": HELLO, **given}, RESPONSES) == {
        "model": "gpt-5.4-mini",
        "input": items,
        **expected,
        "store": store,
    }


TO_CHAT = [
    pytest.param({"instructions": "Be brief.", "seed": 7}, {"messages": [{"role": "system", "content": "Be brief."}, *HELLO], "seed": 7}, id="instructions become a system message"),
    pytest.param({"tools": [{"type": "function", "name": "w", "parameters": SCHEMA, "strict": False}]}, {"tools": [{"type": "function", "function": {"name": "w", "parameters": SCHEMA, "strict": False}}]}, id="a lenient tool"),
    pytest.param({"tools": [{"type": "function", "name": "w", "parameters": STRICT}]}, {"tools": [{"type": "function", "function": {"name": "w", "parameters": STRICT, "strict": True}}]}, id="a tool that is strict there by default stays strict"),
    pytest.param({"tools": [{"type": "function", "name": "w", "parameters": SCHEMA}]}, {"tools": [{"type": "function", "function": {"name": "w", "parameters": SCHEMA}}]}, id="but not where its schema would be refused"),
    pytest.param({"text": {"format": {"type": "json_schema", "name": "c", "schema": SCHEMA, "strict": True}, "verbosity": "low"}}, {"response_format": {"type": "json_schema", "json_schema": {"name": "c", "schema": SCHEMA, "strict": True}}, "verbosity": "low"}, id="text"),
    pytest.param({"tool_choice": {"type": "custom", "name": "sql"}}, {"tool_choice": {"type": "custom", "custom": {"name": "sql"}}}, id="a named choice"),
    pytest.param({"truncation": "disabled", "background": False}, {}, id="what asks for what happens anyway"),
]  # fmt: skip


@pytest.mark.parametrize(("given", "expected"), TO_CHAT)
def test_what_was_asked_of_responses_means_the_same_on_chat_completions(
    given: dict[str, Any], expected: dict[str, Any]
) -> None:
    """Each field is kept, renamed or translated."""
    assert sent({"input": "Hello", **given}, CHAT) == {"model": "gpt-5.4-mini", "messages": HELLO, **expected}


BOUND = [
    pytest.param({"messages": HELLO, "n": 2}, RESPONSES, "n (2) cannot be sent to Responses. Leave it out, or let a model on Chat Completions serve the call.", id="several answers"),
    pytest.param({"messages": [{"role": "user", "content": [{"type": "input_audio", "input_audio": {"data": "", "format": "wav"}}]}]}, RESPONSES, "messages[0].content[0].type ('input_audio') cannot be sent to Responses. Leave it out, or let a model on Chat Completions serve the call.", id="sound"),
    pytest.param({"messages": [{"role": "user", "content": [{"type": "of_tomorrow"}]}]}, RESPONSES, "messages[0].content[0] ('of_tomorrow') cannot be sent to Responses. Leave it out, or let a model on Chat Completions serve the call.", id="a part that nobody knows"),
    pytest.param({"input": "Hello", "max_tool_calls": 2}, CHAT, "max_tool_calls (2) cannot be sent to Chat Completions. Leave it out, or let a model on Responses serve the call.", id="a limit of tool calls"),
    pytest.param({"input": "Hello", "tools": [{"type": "web_search"}]}, CHAT, "tools[0] ('web_search') cannot be sent to Chat Completions. Leave it out, or let a model on Responses serve the call.", id="a hosted tool"),
    pytest.param({"input": [{"type": "web_search_call", "id": "ws_1"}]}, CHAT, "input[0] ('web_search_call') cannot be sent to Chat Completions. Leave it out, or let a model on Responses serve the call.", id="a hosted call"),
    pytest.param({"input": [{"type": "function_call", "call_id": "c", "name": "f", "arguments": "{}"}, {"type": "function_call_output", "call_id": "c", "output": [{"type": "input_image", "image_url": "u"}]}]}, CHAT, "input[1].output[0] ('input_image') cannot be sent to Chat Completions. Leave it out, or let a model on Responses serve the call.", id="an image in a tool's output"),
]  # fmt: skip


@pytest.mark.parametrize(("asked", "endpoint", "text"), BOUND)
def test_what_means_nothing_on_an_endpoint_is_refused_and_never_dropped(
    asked: dict[str, Any], endpoint: str, text: str
) -> None:
    """The error names the place and what to do."""
    with pytest.raises(RequestError) as caught:
        sent(asked, endpoint)
    assert str(caught.value) == text


def test_reasoning_travels_encrypted_where_nothing_is_stored() -> None:
    """A reasoning model's thoughts would be lost on the provider's side otherwise; who stores needs no copy."""
    keep = {"encrypted": True}
    assert sent({"messages": HELLO}, RESPONSES, keep=keep)["include"] == [ENCRYPTED]
    assert "include" not in sent({"messages": HELLO, "store": True}, RESPONSES, keep=keep)
    assert "include" not in sent({"messages": HELLO}, RESPONSES, keep=keep, dropped=frozenset({ENCRYPTED}))
    assert "include" not in sent({"messages": HELLO}, CHAT, keep=keep)


def test_who_asked_for_responses_gets_its_defaults() -> None:
    """What is left out means there what the caller, who asked for Responses, knows of it."""
    asked = {"messages": HELLO, "tools": [{"type": "function", "function": WEATHER}]}
    body = sent(asked, RESPONSES, keep={"defaults": RESPONSES})
    assert "store" not in body
    assert body["tools"] == [{"type": "function", **WEATHER}]


@pytest.mark.parametrize(
    ("asked", "endpoint", "expected"),
    [
        pytest.param({"messages": HELLO, "max_tokens": 9}, CHAT, {"max_completion_tokens": 9, "reasoning_effort": "low"}, id="Chat"),
        pytest.param({"messages": HELLO, "max_tokens": 90}, RESPONSES, {"max_output_tokens": 90, "reasoning": {"effort": "low"}}, id="Chat on Responses"),
        pytest.param({"input": "Hello", "max_output_tokens": 90, "reasoning": {"summary": "auto", "effort": "high"}}, RESPONSES, {"max_output_tokens": 90, "reasoning": {"effort": "low", "summary": "auto"}}, id="Responses"),
        pytest.param({"input": "Hello", "max_output_tokens": 90}, CHAT, {"max_completion_tokens": 90, "reasoning_effort": "low"}, id="Responses on Chat"),
    ],
)  # fmt: skip
def test_cap_and_effort_are_the_decisions(
    asked: dict[str, Any], endpoint: str, expected: dict[str, Any]
) -> None:
    """They go by the endpoint's names, whatever the caller called them."""
    cap = asked.get("max_tokens") or asked.get("max_output_tokens")
    body = request_body(asked, decided(asked, endpoint, cap=cap))
    assert {name: body.get(name) for name in expected} == expected
    assert {"max_tokens", "max_completion_tokens", "max_output_tokens"} & body.keys() == {
        next(iter(expected))
    }


def test_streams_are_asked_for_their_usage_where_it_does_not_come_by_itself() -> None:
    """Chat Completions reports it on request only; Responses has no such option."""
    asked = {"messages": HELLO, "stream": True, "stream_options": {"include_obfuscation": False}}
    assert sent(asked, CHAT, stream=True)["stream_options"] == {
        "include_usage": True,
        "include_obfuscation": False,
    }
    assert sent(asked, CHAT, stream=True, keep={"stream_usage": False})["stream_options"] == {
        "include_obfuscation": False
    }
    assert sent(asked, RESPONSES, stream=True)["stream_options"] == {"include_obfuscation": False}
    assert "stream_options" not in sent({"messages": HELLO}, RESPONSES, stream=True)
    assert "stream" not in sent(asked, CHAT)


SPEAKERS = [
    {"role": "system", "name": "example_user", "content": "Hi"},
    {"role": "user", "name": "Alice", "content": [{"type": "text", "text": "Look:"}, {"type": "image_url", "image_url": {"url": "u"}}]},
    {"role": "assistant", "name": "Bob", "content": "I see."},
    {"role": "assistant", "name": "Eve", "content": None, "tool_calls": [{"id": "c", "type": "function", "function": {"name": "f", "arguments": "{}"}}]},
    {"role": "tool", "tool_call_id": "c", "content": "done"},
]  # fmt: skip


def test_who_spoke_stays_known() -> None:
    """Responses' messages have no name, so it is said; the only assistant's is not, or it would sign its answers."""
    items = sent({"messages": SPEAKERS}, RESPONSES)["input"]
    assert items == [
        {"type": "message", "role": "system", "content": "example_user: Hi"},
        {"type": "message", "role": "user", "content": [{"type": "input_text", "text": "Alice: Look:"}, {"type": "input_image", "image_url": "u", "detail": "auto"}]},
        {"type": "message", "role": "assistant", "content": "Bob: I see."},
        {"type": "message", "role": "assistant", "content": "Eve:"},
        {"type": "function_call", "call_id": "c", "name": "f", "arguments": "{}"},
        {"type": "function_call_output", "call_id": "c", "output": "done"},
    ]  # fmt: skip
    alone = sent({"messages": [{"role": "assistant", "name": "Bob", "content": "I see."}]}, RESPONSES)[
        "input"
    ]
    assert alone == [{"type": "message", "role": "assistant", "content": "I see."}]


# ----- answers

REASONING = {"id": "rs_1", "type": "reasoning", "summary": [], "encrypted_content": "gAAAA"}
SAID = {"id": "msg_1", "type": "message", "role": "assistant", "status": "completed", "content": [{"type": "output_text", "text": "Let me look.", "annotations": [], "logprobs": []}]}  # fmt: skip
CALLS = [
    {"id": "fc_1", "type": "function_call", "status": "completed", "call_id": "call_1", "name": "weather", "arguments": '{"city":"Lima"}'},
    {"id": "ctc_1", "type": "custom_tool_call", "status": "completed", "call_id": "call_2", "name": "sql", "input": "select 1"},
]  # fmt: skip
USAGE = {"input_tokens": 20, "input_tokens_details": {"cached_tokens": 5, "cache_write_tokens": 0}, "output_tokens": 9, "output_tokens_details": {"reasoning_tokens": 4}, "total_tokens": 29}  # fmt: skip


def reply(items: list[dict[str, Any]], **fields: Any) -> dict[str, Any]:
    """Return a reply of Responses with some items."""
    return {
        "id": "resp_1",
        "object": "response",
        "created_at": 1_760_000_000,
        "status": "completed",
        "model": "gpt-5.4-mini-2026-03-17",
        "output": items,
        "usage": USAGE,
        "service_tier": "default",
        "error": None,
        "incomplete_details": None,
        "parallel_tool_calls": True,
        "tool_choice": "auto",
        "tools": [],
        **fields,
    }


def test_a_reply_of_responses_has_the_shape_of_a_chat_completion() -> None:
    """Text, calls, usage, reason and tier stand where programs written for Chat Completions read them."""
    completion = chat_completion(reply([REASONING, SAID, *CALLS]))
    ChatCompletion.model_validate(completion)
    message = completion["choices"][0]["message"]
    assert completion["choices"][0]["finish_reason"] == "tool_calls"
    assert message["content"] == "Let me look."
    assert message["tool_calls"] == [
        {"id": "call_1", "type": "function", "function": {"name": "weather", "arguments": '{"city":"Lima"}'}},
        {"id": "call_2", "type": "custom", "custom": {"name": "sql", "input": "select 1"}},
    ]
    assert completion["usage"]["prompt_tokens_details"]["cached_tokens"] == 5
    assert completion["usage"]["completion_tokens_details"]["reasoning_tokens"] == 4
    assert (completion["model"], completion["service_tier"]) == ("gpt-5.4-mini-2026-03-17", "default")


ENDS = [
    pytest.param([SAID], {}, "stop", id="a text"),
    pytest.param(CALLS, {}, "tool_calls", id="calls"),
    pytest.param([SAID], {"status": "incomplete", "incomplete_details": {"reason": "max_output_tokens"}}, "length", id="cut at the cap"),
    pytest.param(CALLS, {"status": "incomplete", "incomplete_details": {"reason": "max_output_tokens"}}, "length", id="a call cut at the cap"),
    pytest.param([SAID], {"status": "incomplete", "incomplete_details": {"reason": "content_filter"}}, "content_filter", id="filtered"),
    pytest.param([], {"status": "in_progress"}, None, id="not at its end"),
]  # fmt: skip


@pytest.mark.parametrize(("items", "fields", "reason"), ENDS)
def test_why_an_answer_ended_is_said_in_chat_completions_words(
    items: list[Any], fields: dict[str, Any], reason: str | None
) -> None:
    """A reader of ``finish_reason`` sees what it would have seen there."""
    assert chat_completion(reply(items, **fields))["choices"][0]["finish_reason"] == reason


def test_a_refusal_and_citations_stand_where_chat_completions_has_them() -> None:
    """A citation's place counts from the beginning of the whole text."""
    note = {"type": "url_citation", "url": "u", "title": "t", "start_index": 0, "end_index": 2}
    parts = [{"type": "output_text", "text": "ab", "annotations": []}, {"type": "output_text", "text": "cd", "annotations": [note, {"type": "file_path", "file_id": "f", "index": 0}]}]  # fmt: skip
    message = chat_completion(reply([{**SAID, "content": parts}]))["choices"][0]["message"]
    assert message["content"] == "abcd"
    assert message["annotations"] == [
        {"type": "url_citation", "url_citation": {"url": "u", "title": "t", "start_index": 2, "end_index": 4}}
    ]
    refused = chat_completion(reply([{**SAID, "content": [{"type": "refusal", "refusal": "No."}]}]))
    assert refused["choices"][0]["message"]["refusal"] == "No."
    assert refused["choices"][0]["message"]["content"] is None


FAILURES = [
    pytest.param({"error": {"message": "x", "code": "server_error"}}, {"message": "x", "code": "server_error"}, id="a body with an error"),
    pytest.param({"type": "error", "error": {"message": "x"}}, {"message": "x"}, id="a nested event"),
    pytest.param({"type": "error", "message": "x", "code": "c"}, {"type": "error", "message": "x", "code": "c"}, id="a flat event"),
    pytest.param({"type": "response.failed", "response": {"status": "failed", "error": {"code": "c", "message": "x"}}}, {"code": "c", "message": "x"}, id="response.failed"),
    pytest.param({"type": "response.failed", "response": {"status": "failed", "error": None}}, {"message": "the response is failed, and the server gave no reason"}, id="without a reason"),
    pytest.param(reply([], status="failed", error={"code": "c", "message": "x"}), {"code": "c", "message": "x"}, id="a failed reply"),
    pytest.param(reply([SAID]), None, id="a reply"),
    pytest.param({"type": "response.output_text.delta", "delta": "a"}, None, id="an event"),
    pytest.param({"choices": [], "error": None}, None, id="a chunk"),
]  # fmt: skip


@pytest.mark.parametrize(("told", "expected"), FAILURES)
def test_a_failure_in_a_body_is_seen(told: dict[str, Any], expected: dict[str, Any] | None) -> None:
    """Whatever form a provider reports its failure in with status 200."""
    assert failure_of(told) == expected


# ----- turns that are sent again


def again(message: dict[str, Any], **changes: Any) -> list[dict[str, Any]]:
    """Return the items with which an answer is replayed on Responses."""
    history = [*HELLO, message, {"role": "tool", "tool_call_id": "call_1", "content": "sunny"}, {"role": "tool", "tool_call_id": "call_2", "content": "1"}]  # fmt: skip
    items: list[dict[str, Any]] = sent({"messages": history}, RESPONSES, **changes)["input"]
    return items[1:]


OUTPUTS = [
    {"type": "function_call_output", "call_id": "call_1", "output": "sunny"},
    {"type": "custom_tool_call_output", "call_id": "call_2", "output": "1"},
]
BARE = [
    {"type": "message", "role": "assistant", "content": "Let me look."},
    {"type": "function_call", "call_id": "call_1", "name": "weather", "arguments": '{"city":"Lima"}'},
    {"type": "custom_tool_call", "call_id": "call_2", "name": "sql", "input": "select 1"},
]


def test_a_turn_is_replayed_once_and_in_order() -> None:
    """Reasoning stands right before its item, and no call stands twice."""
    message = chat_completion(reply([REASONING, SAID, *CALLS]))["choices"][0]["message"]
    assert again(message) == [REASONING, SAID, *CALLS, *OUTPUTS]


EDITS = [
    pytest.param({"content": "Something else."}, {}, id="the text was edited"),
    pytest.param({}, {"stateless": True}, id="the provider did not find it"),
    pytest.param({}, {"model": "gpt-5.4"}, id="another model is called"),
]


@pytest.mark.parametrize(("edit", "changes"), EDITS)
def test_items_count_only_for_their_own_model_and_while_they_say_what_the_message_says(
    edit: dict[str, Any], changes: dict[str, Any]
) -> None:
    """Otherwise the message speaks for itself, without ids and without reasoning."""
    message = chat_completion(reply([REASONING, SAID, *CALLS]))["choices"][0]["message"] | edit
    said = {**BARE[0], "content": message["content"]}
    assert again(message, **changes) == [said, *BARE[1:], *OUTPUTS]


def _called_with(arguments: str) -> dict[str, Any]:
    return {"id": "call_1", "type": "function", "function": {"name": "weather", "arguments": arguments}}


@pytest.mark.parametrize(
    ("call", "item"),
    [
        pytest.param(_called_with('{ "city": "Lima" }'), CALLS[0], id="the same JSON in other spaces"),
        pytest.param(
            _called_with('{"city":"Oslo"}'),
            {**{k: v for k, v in CALLS[0].items() if k != "id"}, "arguments": '{"city":"Oslo"}'},
            id="changed by a person",
        ),
        pytest.param(None, None, id="taken out by a person"),
    ],
)
def test_a_call_is_replayed_as_the_message_has_it(call: dict[str, Any] | None, item: Any) -> None:
    """With its reasoning; the id of an item goes only with what the model itself has said."""
    message = chat_completion(reply([REASONING, SAID, *CALLS]))["choices"][0]["message"]
    message["tool_calls"] = [*([] if call is None else [call]), *message["tool_calls"][1:]]
    kept = [] if item is None else [item]
    assert again(message)[: 3 + len(kept)] == [REASONING, SAID, *kept, CALLS[1]]


def test_an_item_of_responses_may_stand_among_messages() -> None:
    """What Chat Completions has no form for goes as it is."""
    item = {"type": "mcp_approval_response", "approval_request_id": "mcpr_1", "approve": True}
    assert sent({"messages": [*HELLO, item]}, RESPONSES)["input"][-1] == item


def test_reasoning_that_is_stored_nowhere_is_not_sent_back() -> None:
    """Without its encrypted form the provider would look for it in vain."""
    bare = {key: item for key, item in REASONING.items() if key != "encrypted_content"}
    message = chat_completion(reply([bare, SAID, *CALLS]))["choices"][0]["message"]
    assert again(message) == [*BARE, *OUTPUTS]


def test_items_never_reach_chat_completions() -> None:
    """There the message is what it is."""
    message = chat_completion(reply([REASONING, SAID]))["choices"][0]["message"]
    assert ITEMS in message
    body = sent({"messages": [*HELLO, message]}, CHAT)
    assert ITEMS not in json.dumps(body)


def test_a_turn_that_stands_twice_is_said_twice() -> None:
    """No item may stand twice, but nothing that was said is lost."""
    message = chat_completion(reply([SAID]))["choices"][0]["message"]
    asked = {"messages": [*HELLO, message, *HELLO, message]}
    said = [item for item in sent(asked, RESPONSES)["input"] if item["role"] == "assistant"]
    assert said == [SAID, BARE[0]]


def test_a_doubled_call_and_a_doubled_id_are_sent_once() -> None:
    """Of a call that stands twice the one with its id and reasoning stays."""
    doubled = [*BARE[1:], REASONING, SAID, *CALLS, SAID, *OUTPUTS]
    assert sent({"input": doubled}, RESPONSES)["input"] == [REASONING, SAID, *CALLS, *OUTPUTS]


@pytest.mark.parametrize("endpoint", [CHAT, RESPONSES])
@pytest.mark.parametrize("given", [{"messages": HELLO}, {"input": HELLO}], ids=["chat", "responses"])
@pytest.mark.parametrize("choice", ["auto", "none"])
def test_a_choice_among_no_tools_is_left_out(given: dict[str, Any], choice: str, endpoint: str) -> None:
    """Chat Completions refuses what Responses passes over."""
    assert "tool_choice" not in sent({**given, "tool_choice": choice}, endpoint)
    assert sent({**given, "tool_choice": "required"}, endpoint)["tool_choice"] == "required"


def test_the_tools_of_a_stored_prompt_are_chosen_from() -> None:
    """They stand in no request."""
    given = {"input": HELLO, "prompt": {"id": "pmpt_1"}, "tool_choice": "none"}
    assert sent(given, RESPONSES)["tool_choice"] == "none"


def test_a_call_that_stands_again_once_it_was_answered_is_another() -> None:
    """Programs that number their calls anew in each turn send what they wrote."""
    call = {"type": "function_call", "call_id": "call_1", "name": "f", "arguments": "{}"}
    output = {"type": "function_call_output", "call_id": "call_1", "output": "x"}
    history = [*HELLO, call, output, *HELLO, call, output]
    assert sent({"input": history}, RESPONSES)["input"] == history


def test_items_of_one_id_that_say_different_things_are_sent_without_it() -> None:
    """Programs that know no ids give each item the same; the provider refuses it twice."""
    said = [
        {
            "type": "message",
            "role": "assistant",
            "id": "msg_x",
            "content": [{"type": "output_text", "text": it}],
        }
        for it in ("one", "two", "one")
    ]
    assert sent({"input": [*HELLO, *said]}, RESPONSES)["input"][1:] == [
        said[0],
        {name: value for name, value in said[1].items() if name != "id"},
    ]


def test_calls_whose_ids_come_again_are_told_apart() -> None:
    """Chat pairs a call with the outputs behind it, Responses by id: a later turn's calls get ids of their own."""

    def turn(*ids: str) -> list[dict[str, Any]]:
        call = {"type": "function", "function": {"name": "f", "arguments": "{}"}}
        return [
            {"role": "assistant", "content": None, "tool_calls": [{"id": one, **call} for one in ids]},
            *[{"role": "tool", "tool_call_id": one, "content": "x"} for one in ids],
        ]

    messages = [*HELLO, *turn("c1", "c2"), *turn("c1"), *turn("c1_2", "c1"), *turn("d"), *turn("e", "e")]
    items = sent({"messages": messages}, RESPONSES)["input"]
    made = [item["call_id"] for item in items if item["type"] == "function_call"]
    assert made == ["c1", "c2", "c1_2", "c1_2_2", "c1_3", "d", "e", "e_2"]
    assert [item["call_id"] for item in items if item["type"] == "function_call_output"] == made
    assert sent({"messages": messages}, CHAT)["messages"] == messages


def test_a_call_that_stands_again_and_is_answered_once_is_one_call() -> None:
    """A program that lists a call twice, in one message or two, means the same call."""
    call = {"id": "c", "type": "function", "function": {"name": "f", "arguments": "{}"}}
    history = [
        {"role": "assistant", "content": None, "tool_calls": [call, call]},
        {"role": "tool", "tool_call_id": "c", "content": "x"},
    ]
    items = sent({"messages": [*HELLO, *history]}, RESPONSES)["input"]
    assert [item.get("call_id") for item in items] == [None, "c", "c"]


def test_a_mark_for_another_providers_cache_stays_behind() -> None:
    """Chat Completions passes it over, and Responses would refuse it."""
    part = {"type": "text", "text": "Hi"}
    given = {"messages": [{"role": "user", "content": [{**part, "cache_control": {"type": "ephemeral"}}]}]}
    assert sent(given, RESPONSES)["input"][0]["content"] == [{"type": "input_text", "text": "Hi"}]
    assert sent(given, CHAT)["messages"] == given["messages"]


@pytest.mark.parametrize(
    ("one", "other", "same"),
    [("gpt-5.4", "gpt-5.4-2026-03-05", True), ("gpt-5.4", "gpt-5.4-mini", False), ("gpt-4o", "gpt-4o", True)],
)
def test_a_snapshot_is_the_model_that_it_is_of(one: str, other: str, same: bool) -> None:
    """Answers name the snapshot; calls name the model."""
    assert same_model(one, other) is same


def test_the_counting_endpoint_is_asked_about_what_responses_would_get() -> None:
    """Parameters that it does not take are left out."""
    asked = {"messages": HELLO, "seed": 1, "temperature": 0, "n": 3, "reasoning_effort": "low", "tools": [{"type": "function", "function": WEATHER}]}  # fmt: skip
    assert count_body(asked, "gpt-5.4") == {
        "model": "gpt-5.4",
        "input": [{"type": "message", "role": "user", "content": "Hello"}],
        "reasoning": {"effort": "low"},
        "tools": [{"type": "function", **WEATHER, "strict": False}],
    }


# ----- streams


def fed(stream: ChunkStream | EventStream, events: Iterable[dict[str, Any]]) -> list[dict[str, Any]]:
    """Return everything that a converter makes of a stream."""
    made = [one for event in events for one in stream.feed(event)]
    return [*made, *stream.end()]


def events_of(items: list[dict[str, Any]], **fields: Any) -> list[dict[str, Any]]:
    """Return the events with which Responses streams some items."""
    whole = reply(items, **fields)
    events: list[dict[str, Any]] = [{"type": "response.created", "response": {**whole, "status": "in_progress", "output": [], "usage": None}}]  # fmt: skip
    for place, item in enumerate(items):
        at = {"output_index": place, "item_id": item["id"]}
        begun = {
            "message": {"content": []},
            "function_call": {"arguments": ""},
            "custom_tool_call": {"input": ""},
        }
        events.append({"type": "response.output_item.added", "output_index": place, "item": {**item, **begun.get(item["type"], {})}})  # fmt: skip
        if item["type"] == "message":
            text = item["content"][0]["text"]
            events += [{"type": "response.output_text.delta", **at, "content_index": 0, "delta": part} for part in (text[:4], text[4:])]  # fmt: skip
            events.append({"type": "response.output_text.done", **at, "content_index": 0, "text": text})
        elif item["type"] == "function_call":
            said = item["arguments"]
            events += [{"type": "response.function_call_arguments.delta", **at, "delta": part} for part in (said[:5], said[5:])]  # fmt: skip
            events.append({"type": "response.function_call_arguments.done", **at, "arguments": said})
        elif item["type"] == "custom_tool_call":
            events.append({"type": "response.custom_tool_call_input.delta", **at, "delta": item["input"]})
        events.append({"type": "response.output_item.done", "output_index": place, "item": item})
    kind = "response.incomplete" if fields.get("status") == "incomplete" else "response.completed"
    return [*events, {"type": kind, "response": whole}]


def joined(chunks: list[dict[str, Any]]) -> dict[str, Any]:
    """Join chunks to a message, as a program does."""
    message: dict[str, Any] = {"content": "", "calls": {}}
    for chunk in chunks:
        for choice in chunk["choices"]:
            message["content"] += choice["delta"].get("content") or ""
            for call in choice["delta"].get("tool_calls") or ():
                held = message["calls"].setdefault(
                    call["index"], {"id": call.get("id"), "name": "", "said": ""}
                )
                part = call.get("function") or call.get("custom") or {}
                held["name"] += part.get("name") or ""
                held["said"] += part.get("arguments") or part.get("input") or ""
    return message


def test_events_become_chunks_with_the_usage_on_the_last() -> None:
    """Every chunk has a choice, the role comes first, and the last one has the reason, the usage and the items."""
    chunks = fed(stream := ChunkStream(RESPONSES), events_of([REASONING, SAID, *CALLS]))
    for chunk in chunks:
        if '"custom"' not in json.dumps(chunk):  # which the SDK's type of chunks does not have yet
            ChatCompletionChunk.model_validate(chunk)
        assert chunk["choices"]
    assert chunks[0]["choices"][0]["delta"] == {"role": "assistant", "content": "Let "}
    assert joined(chunks) == {
        "content": "Let me look.",
        "calls": {
            0: {"id": "call_1", "name": "weather", "said": '{"city":"Lima"}'},
            1: {"id": "call_2", "name": "sql", "said": "select 1"},
        },
    }
    last = chunks[-1]
    assert last["choices"][0]["finish_reason"] == "tool_calls"
    assert last["choices"][0]["delta"][ITEMS]["items"] == [REASONING, SAID, *CALLS]
    assert last["usage"]["total_tokens"] == 29
    assert (stream.begun, stream.finished, stream.text, stream.model) == (
        True,
        True,
        "Let me look.",
        "gpt-5.4-mini-2026-03-17",
    )


def test_who_asks_for_the_usage_gets_it_in_a_chunk_of_its_own() -> None:
    """As Chat Completions sends it then: without choices."""
    chunks = fed(ChunkStream(RESPONSES, usage_apart=True), events_of([SAID]))
    assert [bool(chunk["choices"]) for chunk in chunks] == [True, True, True, False]
    assert chunks[-1]["usage"]["total_tokens"] == 29


@pytest.mark.parametrize("missing", ["deltas", "everything but the end"])
def test_what_deltas_do_not_bring_comes_with_what_is_done(missing: str) -> None:
    """A server may send a text or a call at once."""
    events = [event for event in events_of([SAID, *CALLS]) if not event["type"].endswith(".delta")]
    events = events if missing == "deltas" else [events[0], events[-1]]
    chunks = fed(ChunkStream(RESPONSES), events)
    assert joined(chunks)["content"] == "Let me look."
    assert [call["said"] for call in joined(chunks)["calls"].values()] == ['{"city":"Lima"}', "select 1"]


def chunk(*choices: dict[str, Any], **fields: Any) -> dict[str, Any]:
    """Return a chunk of Chat Completions."""
    return {
        "id": "c1",
        "object": "chat.completion.chunk",
        "created": 1,
        "model": "gpt-4o",
        "choices": [*choices],
        **fields,
    }


def text(words: str, reason: str | None = None) -> dict[str, Any]:
    """Return a choice of a chunk."""
    return {"index": 0, "delta": {"content": words} if words else {}, "finish_reason": reason}


CHAT_USAGE = {"prompt_tokens": 1, "completion_tokens": 2, "total_tokens": 3}


def test_the_usage_of_a_chat_stream_moves_to_the_chunk_with_the_reason() -> None:
    """Nobody who reads ``choices[0]`` of each chunk meets one without; what stands on it besides moves as well."""
    given = [chunk(prompt_filter_results=[1]), chunk(text("Hel")), chunk(text("lo")), chunk(text("", "stop")), chunk(usage=CHAT_USAGE)]  # fmt: skip
    stream = ChunkStream(CHAT)
    made = fed(stream, given)
    assert made == [{**given[1], "prompt_filter_results": [1]}, given[2], {**given[3], "usage": CHAT_USAGE}]
    assert (stream.text, stream.finished, stream.usage) == ("Hello", True, CHAT_USAGE)
    assert fed(ChunkStream(CHAT, usage_apart=True), given) == given


def test_a_stream_without_an_end_is_not_finished() -> None:
    """So that the driver can say that the answer is not whole."""
    fed(stream := ChunkStream(CHAT), [chunk(text("Hel"))])
    assert (stream.begun, stream.finished) == (True, False)
    fed(stream := ChunkStream(RESPONSES), events_of([SAID])[:-1])
    assert (stream.begun, stream.finished) == (True, False)


def test_chunks_become_events_and_these_the_same_chunks() -> None:
    """Every event is one of the SDK's, numbered in order, and says what the chunks said."""
    given = fed(ChunkStream(RESPONSES), events_of([SAID, *CALLS]))
    for one in given:
        one["choices"][0]["delta"].pop(ITEMS, None)
    events = fed(EventStream({"temperature": 0.5}), given)
    for event in events:
        TypeAdapter(ResponseStreamEvent).validate_python(event)
    assert [event["sequence_number"] for event in events] == list(range(len(events)))
    assert events[-1]["response"]["temperature"] == 0.5
    assert joined(fed(ChunkStream(RESPONSES), events)) == joined(given)


def test_a_chat_completion_has_the_shape_of_responses_and_back() -> None:
    """Text, calls, reason and usage come back as they were."""
    there = response(chat_completion(reply([SAID, *CALLS])), {"instructions": "Be brief."})
    Response.model_validate(there)
    assert there["output"] == [SAID, *CALLS]
    plain = {"id": "c1", "created": 1, "model": "gpt-4o", "choices": [{"index": 0, "finish_reason": "length", "message": {"role": "assistant", "content": "He", "refusal": None}}], "usage": CHAT_USAGE}  # fmt: skip
    moved = response(plain)
    Response.model_validate(moved)
    assert (moved["status"], moved["incomplete_details"]) == ("incomplete", {"reason": "max_output_tokens"})
    back = chat_completion(moved)
    assert back["choices"][0]["message"]["content"] == "He"
    assert back["choices"][0]["finish_reason"] == "length"
    assert back["usage"]["total_tokens"] == 3


@pytest.mark.parametrize(
    ("endpoint", "expected"),
    [(CHAT, {"verbosity": "medium"}), (RESPONSES, {"text": {"verbosity": "medium"}})],
)
def test_what_is_said_twice_is_what_the_form_of_the_request_says(
    endpoint: str, expected: dict[str, Any]
) -> None:
    """A request in Chat Completions' form that has Responses' field, too, means its own."""
    body = sent({"messages": HELLO, "verbosity": "medium", "text": {"verbosity": "low"}}, endpoint)
    assert {name: body[name] for name in expected} == expected
    assert {"verbosity", "text"} & body.keys() == expected.keys()


OVERLAID = [
    pytest.param({"seed": 1}, {"seed": 2}, {"seed": 2}, id="the call wins"),
    pytest.param({"seed": 1}, {"seed": None}, {}, id="a null takes away"),
    pytest.param(
        {"max_tokens": 1}, {"max_output_tokens": 2}, {"max_output_tokens": 2}, id="a cap by any name"
    ),
    pytest.param(
        {"reasoning_effort": "low", "reasoning": {"effort": "low", "summary": "auto"}},
        {"reasoning_effort": "high"},
        {"reasoning_effort": "high", "reasoning": {"summary": "auto"}},
        id="an effort by any name",
    ),
    pytest.param(
        {"max_tokens": 1, "extra_body": {"max_tokens": 2, "top_k": 3}},
        {},
        {"max_tokens": 2, "extra_body": {"top_k": 3}},
        id="extra_body's fields win; what no endpoint has stays in it",
    ),
    pytest.param({"extra_body": {"seed": 2}}, {"seed": 1}, {"seed": 2}, id="extra_body of nothing else"),
    pytest.param({"extra_body": {"top_k": 3}}, {}, {"extra_body": {"top_k": 3}}, id="extra_body alone"),
    pytest.param({}, {"tools": [], "tool_choice": "auto"}, {}, id="no tools"),
    pytest.param({}, {"tool_choice": "required"}, {"tool_choice": "required"}, id="a choice that is refused"),
]


@pytest.mark.parametrize(("own", "call", "expected"), OVERLAID)
def test_the_parameters_of_a_call_lie_over_a_models_own(
    own: dict[str, Any], call: dict[str, Any], expected: dict[str, Any]
) -> None:
    """They win, whatever name they use, and neither changes."""
    before = json.dumps([own, call])
    assert overlaid(own, call) == expected
    assert json.dumps([own, call]) == before
