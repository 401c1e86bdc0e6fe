"""LangChain's messages and a call's parameters, told to a RequestBuilder.

Messages are read as the caller gave them: nothing is fetched, and nothing is converted first.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from functools import lru_cache
from operator import attrgetter
from typing import Any, Final

from langchain_core.messages import (
    AIMessage,
    BaseMessage,
    ChatMessage,
    HumanMessage,
    SystemMessage,
    ToolMessage,
)
from langchain_core.utils.pydantic import is_basemodel_subclass
from langchain_openai.chat_models.base import _convert_to_openai_response_format

from langchain_routed._blocks import BREAKPOINT, TEXTS, block_text, breakpoint_of, tell_block
from langchain_routed._messages import origin, travelling, unwrapped
from routed_llm import Call, Previous, RequestBuilder
from routed_llm.request.wire import CHAT, RESPONSES

__all__ = [
    "NOT_SENT",
    "PASSED_ON",
    "as_form",
    "merge",
    "previous_of",
    "shown",
    "state_owner",
    "tell_messages",
    "tell_parameters",
    "with_extra",
]

PASSED_ON: Final = frozenset(
    {
        "extra_body",
        "extra_headers",
        "extra_query",
        "strict",
        "stream_options",
        "timeout",
    }
)
"""Keywords of the SDK or of LangChain that say nothing about what a model must be able to do."""

RESUMED: Final = 8
"""Fewest messages of a conversation that is worth recognising when it is sent again."""

_SAID: Final = attrgetter("type", "content", "name", "additional_kwargs")
_ANSWERED: Final = attrgetter(
    "type", "content", "name", "additional_kwargs", "tool_calls", "invalid_tool_calls"
)
_VIEWS: Final = {HumanMessage: _SAID, SystemMessage: _SAID, ToolMessage: _SAID, AIMessage: _ANSWERED}
_NOTHING: Final[Mapping[int, tuple[Any, ...]]] = {4: (None, {}), 6: (None, {}, [], [])}
"""What a view of so many fields has behind the kind and the text, where there is nothing else."""
_CAPS: Final = ("max_tokens", "max_completion_tokens", "max_output_tokens")
_FIELDS: Final = (CHAT["body"].keys() | RESPONSES["body"].keys()) - {"messages", "input", "stream"}
_FORMATS: Final = ("text", "json_object", "json_schema")
_ROLES: Final = {"human": "user", "ai": "assistant"}
NOT_SENT: Final = frozenset({"model", "stream", "reasoning", "reasoning_effort", *_CAPS})
"""Keywords that the decision writes."""


def tell_messages(builder: RequestBuilder, messages: Sequence[BaseMessage]) -> None:
    """Tell a builder what every message holds.

    Raises:
        RequestError: for a broken or unknown content block.
    """
    views = _views(messages)
    begun = builder.resume(views) if views else 0
    if views and not begun and all(type(view[1]) is str and not any(view[2:]) for view in views):
        # Nothing but texts: these are added at once.
        builder.messages([_ROLES.get(view[0], view[0]) for view in views], [view[1] for view in views])
        builder.remember([(*view[:2], *_NOTHING[len(view)]) for view in views], plain=True)
        return
    for message in messages[begun:]:
        role = message.role if isinstance(message, ChatMessage) else _ROLES.get(message.type, message.type)
        builder.message(role, name=message.name)
        if role == "function":
            builder.endpoint("chat_completions")  # The older form of a tool's result exists there only.
        if isinstance(message, AIMessage):
            _tell_answer(builder, message)
        elif isinstance(message.content, str):
            if message.additional_kwargs.get("type") == "computer_call_output":
                builder.image(message.content).endpoint("responses")
            else:
                builder.text(message.content)
        else:
            for block in message.content:
                if isinstance(block, dict) and "type" not in block and isinstance(message, ToolMessage):
                    builder.text(json.dumps(block, default=str))
                else:
                    tell_block(builder, block)
    if views:
        builder.remember(views)


def _views(messages: Sequence[BaseMessage]) -> list[Any]:
    """Return everything that is told of each message, as plain data; nothing where one is of a rare kind."""
    if len(messages) < RESUMED:
        return []
    try:
        return [_VIEWS[type(message)](message) for message in messages]
    except KeyError:
        return []


def _tell_answer(builder: RequestBuilder, message: AIMessage) -> None:
    # What a model made is replayed by id or as text: it is no image or audio input of this request.
    if isinstance(message.content, str):
        builder.text(message.content)
    else:
        for block in message.content:
            if isinstance(block, str):
                builder.text(block)
                continue
            block = unwrapped(block)
            if (mark := breakpoint_of(block)) is not None:
                builder.set(BREAKPOINT, mark)
            if block.get("type") in TEXTS:
                builder.text(block_text(block))
            elif block.get("type") == "refusal":
                builder.text(str(block.get("refusal") or ""))
    calls = (*message.tool_calls, *message.invalid_tool_calls)
    for call in calls:
        builder.tool_call(call["name"] or "", call["args"] or "")
    if message.additional_kwargs.get("function_call") and not calls:
        builder.endpoint("chat_completions")  # the older form of a call exists there only
    audio = message.additional_kwargs.get("audio")
    if isinstance(audio, Mapping):
        builder.text(str(audio.get("transcript") or ""))


def merge(fields: Mapping[str, Any], call: Mapping[str, Any], stop: list[str] | None) -> dict[str, Any]:
    """Merge a model's own parameters with those of one call, which win, whatever name they use."""
    merged = dict(fields)
    if call:
        if any(name in call for name in _CAPS):
            for name in _CAPS:
                merged.pop(name, None)
        if _effort(call) is not None:
            merged.pop("reasoning_effort", None)
            if isinstance(merged.get("reasoning"), Mapping):
                merged["reasoning"] = {k: v for k, v in merged["reasoning"].items() if k != "effort"}
        merged.update(call)
    if stop is not None:
        merged["stop"] = stop
    _leave_out(merged)
    if merged.get("response_format") is not None:
        merged["response_format"] = _as_format(merged["response_format"], merged.get("strict"))
    return {name: value for name, value in merged.items() if value is not None}


def _leave_out(merged: dict[str, Any]) -> None:
    """Leave out what asks for nothing where it stands, and is refused for it."""
    if not merged.get("tools", True):
        del merged["tools"]  # agents without tools bind an empty list
    if merged.get("tool_choice") in ("auto", "none") and not merged.keys() & {"tools", "functions"}:
        del merged["tool_choice"]
    if merged.get("modalities") == ["text"]:
        del merged["modalities"]
    if merged.get("response_format") == {"type": "text"}:
        del merged["response_format"]


def with_extra(parameters: dict[str, Any]) -> dict[str, Any]:
    """Return parameters with ``extra_body`` read as what it is: fields of the body, which win.

    What no endpoint is known to have stays in it, and goes on as it is.
    """
    extra = parameters.get("extra_body")
    if not isinstance(extra, Mapping) or _FIELDS.isdisjoint(extra):
        return parameters
    rest = {name: value for name, value in extra.items() if name not in _FIELDS}
    merged = merge(parameters, {name: value for name, value in extra.items() if name in _FIELDS}, None)
    return {**merged, "extra_body": rest} if rest else {k: v for k, v in merged.items() if k != "extra_body"}


def _effort(parameters: Mapping[str, Any]) -> str | None:
    reasoning = parameters.get("reasoning")
    given = reasoning.get("effort") if isinstance(reasoning, Mapping) else None
    return given or parameters.get("reasoning_effort")


def tell_parameters(builder: RequestBuilder, parameters: Mapping[str, Any], *, stream: bool) -> None:
    """Tell a builder every parameter of a call.

    Raises:
        RequestError: for a value of a kind that no model takes.
    """
    for name, value in parameters.items():
        if name in PASSED_ON or name in ("model", "stream"):
            continue
        if name == "response_format":
            builder.set(name, _plain_format(value))
        elif name == "functions":
            builder.tools([{"type": "function", "function": item} for item in value])
            builder.endpoint("chat_completions")  # The older form exists there only.
        else:
            builder.set(name, value)
    builder.set("stream", stream or None)


def _as_format(value: Any, strict: bool | None) -> Any:
    """Return a bare schema as the form of answer that langchain-openai makes of it on Responses.

    There it takes a JSON schema or a TypedDict as it is; Chat Completions takes neither, and a pydantic class
    is the SDK's own business on both.
    """
    bare = isinstance(value, Mapping) and value.get("type") not in _FORMATS
    if not bare and (not isinstance(value, type) or is_basemodel_subclass(value)):
        return value
    try:
        return as_form(value, strict=strict)
    except (ValueError, TypeError, KeyError):
        return value  # no schema that it knows: the builder says what is wrong


def as_form(schema: Any, *, strict: bool | None) -> Any:
    """Return a schema or a class as the form of answer that it stands for."""
    named = schema.model_json_schema() if is_basemodel_subclass(schema) else schema
    return _convert_to_openai_response_format(named, strict=strict)


def _plain_format(value: Any) -> Any:
    return _schema_of(value) if isinstance(value, type) else value


@lru_cache(maxsize=256)
def _schema_of(schema: type) -> Mapping[str, Any]:
    maker = getattr(schema, "model_json_schema", None) or getattr(schema, "schema", None)
    made = maker() if callable(maker) else {}
    return {"type": "json_schema", "json_schema": {"name": schema.__name__, "schema": made, "strict": True}}


def shown(parameters: Mapping[str, Any], call: Call) -> dict[str, Any]:
    """Return the keywords of a decided call as traces, hooks and caches see them.

    Values are as the caller gave them; what the decision changed is replaced, added or left out.
    """
    found = {
        name: value
        for name, value in parameters.items()
        if name in PASSED_ON or not (name in NOT_SENT or name in call.dropped)
    }
    found.update(
        {
            n: v
            for n, v in call.parameters.items()
            if n not in NOT_SENT and (n == "include" or n not in parameters)
        }
    )
    if call.cap is not None:
        # Under the name that was given; each endpoint has its own.
        found["max_completion_tokens" if "max_completion_tokens" in parameters else "max_tokens"] = call.cap
    if call.endpoint == "responses":
        reasoning = {**(call.parameters.get("reasoning") or {})}
        if call.effort is not None:
            reasoning["effort"] = call.effort
        if reasoning:
            found["reasoning"] = reasoning
    elif call.effort is not None:
        found["reasoning_effort"] = call.effort
    return found


def previous_of(messages: Sequence[BaseMessage], known: Any) -> Previous | None:
    """Tell who answered the turn before, from the last answer's own metadata; None when nobody known did.

    Args:
        messages: the request's messages.
        known: a function from a model's name to its catalog id, or None for a stranger.
    """
    for index in range(len(messages) - 1, -1, -1):
        message = messages[index]
        if isinstance(message, AIMessage):
            break
    else:
        return None
    model, record = origin(message, known)
    if model is None:
        return None
    asked = {call["id"] for call in message.tool_calls}
    answered = {m.tool_call_id for m in messages[index + 1 :] if isinstance(m, ToolMessage)}
    return Previous(
        model=model,
        effort=record.get("effort"),
        endpoint=record.get("endpoint") or _endpoint_of(message),
        prefix_tokens=message.usage_metadata["input_tokens"] if message.usage_metadata else 0,
        in_tool_loop=bool(asked) and messages[-1].type == "tool" and asked <= answered,
    )


def _endpoint_of(message: AIMessage) -> str | None:
    made = str(message.response_metadata.get("id") or "")
    if made.startswith("resp_"):
        return "responses"
    return "chat_completions" if made.startswith("chatcmpl") else None


def state_owner(
    messages: Sequence[BaseMessage],
    response_id: str | None,
    *,
    chained: bool,
    carried: bool,
    known: Any,
) -> tuple[str | None, bool]:
    """Tell which model's stored state a request refers to, and whether it must.

    Args:
        messages: the request's messages.
        response_id: the ``previous_response_id`` given for this call, or None.
        chained: whether langchain-openai will itself refer to the last response in the history.
        carried: whether the caller asked for reasoning that travels; where only a call's move to Responses
            did, its model is as free to change as on Chat Completions.
        known: a function from a model's name to its catalog id, or None for a stranger.

    Returns:
        The model's catalog id or None, and True when the state is the provider's alone, False when
        the request can also be made without it (encrypted reasoning, which can be left out).
    """
    for message in reversed(messages):
        if not isinstance(message, AIMessage):
            continue
        made = str(message.response_metadata.get("id") or "")
        if (response_id is not None and made == response_id) or (chained and made.startswith("resp_")):
            return origin(message, known)[0], True
        if response_id is None and not chained and carried and any(travelling(message)):
            return origin(message, known)[0], False
    return None, False
