"""What a call's parameters and messages say besides what is sent: of its form, its state, who answered."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import lru_cache
from typing import Any, Final

from langchain_core.messages import (
    AIMessage,
    BaseMessage,
    ToolMessage,
)
from langchain_core.utils.pydantic import is_basemodel_subclass
from langchain_openai.chat_models.base import _convert_to_openai_response_format
from openai.lib._parsing import type_to_response_format_param

from langchain_routed._messages import origin, travelling
from routed_llm import Call, Previous
from routed_llm.request.wire import CHAT, RESPONSES

__all__ = [
    "NOT_SENT",
    "PASSED_ON",
    "as_form",
    "merge",
    "previous_of",
    "requirements",
    "shown",
    "state_owner",
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

_CAPS: Final = ("max_tokens", "max_completion_tokens", "max_output_tokens")
_FIELDS: Final = (CHAT["body"].keys() | RESPONSES["body"].keys()) - {"messages", "input", "stream"}
_FORMATS: Final = ("text", "json_object", "json_schema")
NOT_SENT: Final = frozenset({"model", "stream", "reasoning", "reasoning_effort", *_CAPS})
"""Keywords that the decision writes."""


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
    if hasattr(schema, "model_json_schema"):
        # As the SDK sends it: langchain-openai's reading knows no class that refers to itself.
        return type_to_response_format_param(schema)
    return _convert_to_openai_response_format(schema, strict=strict)


def requirements(parameters: Mapping[str, Any]) -> dict[str, Any]:
    """Return the parameters of a call that say what a model must be able to do."""
    said = {name: value for name, value in parameters.items() if name not in PASSED_ON}
    if isinstance(said.get("response_format"), type):
        said["response_format"] = _form_of(said["response_format"])
    return said


@lru_cache(maxsize=256)
def _form_of(schema: type) -> Any:
    return as_form(schema, strict=True)


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
