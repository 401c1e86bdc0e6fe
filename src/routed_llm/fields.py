"""What becomes of each field of a request when the other endpoint serves it: one table, data only.

It is complete against the types of openai-python (2.54, 3.54): a test walks them and fails when the SDK has
a field that stands here in no row. **What has no row is never dropped**: it is sent as it is, under its own
name, and the provider decides; a part, an item or a tool of a kind that has no row stays on its endpoint.

A *place* is one object of a request: ``body``, a message by its role, a part, a tool or an item by its
type. A row with ``of`` leads on to the places of its value; a value without ``of`` moves whole, so that what
is inside it needs no row.
"""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum
from types import MappingProxyType
from typing import Any, Final, NamedTuple, TypeAlias

__all__ = [
    "CAPS",
    "CHAT",
    "DEFAULTS",
    "MOST_STOPS",
    "RANGES",
    "RESPONSES",
    "SOFT",
    "Fate",
    "Row",
    "Table",
    "is_default",
    "row_of",
    "rules_out",
    "stays",
]


CAPS: Final = ("max_tokens", "max_completion_tokens", "max_output_tokens")
"""Names of the cap on an answer: Chat Completions' old one, its new one, and that of Responses."""


class Fate(StrEnum):
    """What becomes of a field on the other endpoint."""

    KEPT = "kept"
    """Sent by the same name, unchanged."""
    RENAMED = "renamed"
    """Sent by another name, unchanged."""
    TRANSLATED = "translated"
    """Sent in the other endpoint's form, meaning the same."""
    IMPLIED = "implied"
    """Left out: what it says is said there anyway, or what it asks for happens there anyway."""
    EMULATED = "emulated"
    """Left out and made good on the answer."""
    SOFT = "soft"
    """Left out: it is a matter of taste or price. The decision has it on record."""
    BOUND = "bound"
    """Rules the other endpoint out: nothing there means the same."""


class Row(NamedTuple):
    """One field.

    Attributes:
        fate: what becomes of it.
        to: its name on the other endpoint, where that is another; a dot is a nested field.
        of: the family of places of its value: ``part`` for ``part.text`` and so on, by role or type.
    """

    fate: Fate
    to: str = ""
    of: str = ""


Table: TypeAlias = Mapping[str, Mapping[str, Row]]

_KEPT: Final = Row(Fate.KEPT)
_IMPLIED: Final = Row(Fate.IMPLIED)
_SOFT: Final = Row(Fate.SOFT)
_BOUND: Final = Row(Fate.BOUND)


def _to(name: str, of: str = "") -> Row:
    return Row(Fate.TRANSLATED, name, of)


def _as(name: str) -> Row:
    return Row(Fate.RENAMED, name)


_BOTH: Final = {
    "model": _KEPT,
    "metadata": _KEPT,
    "moderation": _KEPT,
    "parallel_tool_calls": _KEPT,
    "prompt_cache_key": _KEPT,
    "prompt_cache_options": _KEPT,
    "prompt_cache_retention": _KEPT,
    "safety_identifier": _KEPT,
    "service_tier": _KEPT,
    "stream": _KEPT,
    "temperature": _KEPT,
    "top_logprobs": _KEPT,
    "top_p": _KEPT,
    "user": _KEPT,
}
_MARK: Final = {"type": _to("type"), "prompt_cache_breakpoint": _KEPT}
_SPEAKER: Final = {"role": _KEPT, "name": _to("content"), "content": _to("content", "part")}

CHAT: Final[Table] = MappingProxyType(
    {
        "body": {
            **_BOTH,
            "messages": _to("input", "message"),
            "audio": _BOUND,
            "frequency_penalty": _SOFT,
            "presence_penalty": _SOFT,
            "seed": _SOFT,
            "function_call": _BOUND,
            "functions": _BOUND,
            "logit_bias": _BOUND,
            "logprobs": _to("include"),
            "max_completion_tokens": _as("max_output_tokens"),
            "max_tokens": _as("max_output_tokens"),
            "modalities": _BOUND,
            "n": _BOUND,
            "prediction": _BOUND,
            "reasoning_effort": _as("reasoning.effort"),
            "response_format": _to("text.format", "format"),
            "stop": Row(Fate.EMULATED),
            "store": _to("store"),  # left out it means False here and True there
            "stream_options": _to("stream_options", "stream_options"),
            "tool_choice": _to("tool_choice", "choice"),
            "tools": _to("tools", "tool"),
            "verbosity": _as("text.verbosity"),
            "web_search_options": _to("tools", "web_search_options"),
        },
        "message.system": _SPEAKER,
        "message.developer": _SPEAKER,
        "message.user": _SPEAKER,
        "message.assistant": {
            **_SPEAKER,
            "audio": _BOUND,  # a voice answer is kept by the model that gave it
            "function_call": _BOUND,  # it has no id that an output could name
            "refusal": _to("content"),
            "tool_calls": _to("input", "call"),
            "annotations": _IMPLIED,  # of an answer that is sent back; what it cites stands in its text
        },
        "message.tool": {
            "role": _IMPLIED,
            "content": _to("output", "part"),
            "tool_call_id": _as("call_id"),
            "name": _IMPLIED,  # no field of the SDK's type, and often sent; the call says it
        },
        "message.function": {"role": _BOUND, "content": _BOUND, "name": _BOUND},
        # Another provider's mark for its cache, which Chat Completions passes over.
        "part.text": {**_MARK, "text": _KEPT, "cache_control": _IMPLIED},
        "part.image_url": {**_MARK, "image_url": _to("image_url", "image_url")},
        "image_url": {"url": _as("image_url"), "detail": _KEPT},
        "part.input_audio": {**_MARK, "type": _BOUND, "input_audio": _BOUND},
        "part.file": {**_MARK, "file": _to("", "file")},
        "file": {"file_data": _KEPT, "file_id": _KEPT, "filename": _KEPT},
        "part.refusal": {"type": _KEPT, "refusal": _KEPT},
        "call.function": {"type": _to("type"), "id": _as("call_id"), "function": _to("", "called")},
        "call.custom": {"type": _to("type"), "id": _as("call_id"), "custom": _to("", "called")},
        "called": {"name": _KEPT, "arguments": _KEPT, "input": _KEPT},
        "tool.function": {"type": _KEPT, "function": _to("", "function")},
        "function": {"name": _KEPT, "description": _KEPT, "parameters": _KEPT, "strict": _to("strict")},
        "tool.custom": {"type": _KEPT, "custom": _to("", "custom")},
        "custom": {"name": _KEPT, "description": _KEPT, "format": _to("format", "grammar")},
        "grammar.text": {"type": _KEPT},
        "grammar.grammar": {"type": _KEPT, "grammar": _to("", "syntax")},
        "syntax": {"definition": _KEPT, "syntax": _KEPT},
        "choice.function": {"type": _KEPT, "function": _to("", "named")},
        "choice.custom": {"type": _KEPT, "custom": _to("", "named")},
        "choice.allowed_tools": {"type": _KEPT, "allowed_tools": _to("", "allowed")},
        "named": {"name": _KEPT},
        "allowed": {"mode": _KEPT, "tools": _to("tools")},
        "format.text": {"type": _KEPT},
        "format.json_object": {"type": _KEPT},
        "format.json_schema": {"type": _KEPT, "json_schema": _to("", "json_schema")},
        "json_schema": {"name": _KEPT, "description": _KEPT, "schema": _KEPT, "strict": _to("strict")},
        "stream_options": {"include_usage": _IMPLIED, "include_obfuscation": _KEPT},
        "web_search_options": {
            "search_context_size": _KEPT,
            "user_location": _to("user_location", "location"),
        },
        "location.approximate": {"type": _KEPT, "approximate": _to("", "approximate")},
        "approximate": {"city": _KEPT, "country": _KEPT, "region": _KEPT, "timezone": _KEPT},
    }
)
"""What becomes of Chat Completions' fields on Responses."""

_CALL: Final = {
    "type": _to("type"),
    "id": _IMPLIED,
    "call_id": _as("id"),
    "name": _to(""),
    "status": _IMPLIED,
    "caller": _BOUND,
    "namespace": _BOUND,
}
_OUTPUT: Final = {
    "type": _to("role"),
    "id": _IMPLIED,
    "call_id": _as("tool_call_id"),
    "output": _to("content", "part"),
    "name": _IMPLIED,
    "status": _IMPLIED,
    "caller": _BOUND,
    "namespace": _BOUND,
}

RESPONSES: Final[Table] = MappingProxyType(
    {
        "body": {
            **_BOTH,
            "background": _BOUND,
            "context_management": _BOUND,
            "conversation": _BOUND,
            "include": _to("logprobs"),
            "input": _to("messages", "item"),
            "instructions": _to("messages"),
            "max_output_tokens": _as("max_completion_tokens"),
            "max_tool_calls": _BOUND,
            "previous_response_id": _BOUND,
            "prompt": _BOUND,
            "reasoning": _to("reasoning_effort", "reasoning"),
            "store": _to("store"),
            "stream_options": _to("stream_options", "stream_options"),
            "text": _to("", "text"),
            "tool_choice": _to("tool_choice", "choice"),
            "tools": _to("tools", "tool"),
            "truncation": _BOUND,
        },
        "item.message": {
            "type": _IMPLIED,
            "role": _KEPT,
            "content": _to("content", "part"),
            "id": _IMPLIED,
            "status": _IMPLIED,
            "phase": _SOFT,
        },
        "item.function_call": {**_CALL, "arguments": _to("function")},
        "item.custom_tool_call": {**_CALL, "input": _to("custom")},
        "item.function_call_output": _OUTPUT,
        "item.custom_tool_call_output": _OUTPUT,
        "item.reasoning": {  # readable only there, and only by the model that thought it
            "type": _SOFT,
            "id": _SOFT,
            "summary": _SOFT,
            "content": _SOFT,
            "encrypted_content": _SOFT,
            "status": _SOFT,
        },
        "part.input_text": {**_MARK, "text": _KEPT},
        "part.output_text": {
            "type": _to("type"),
            "text": _KEPT,
            "annotations": _IMPLIED,
            "logprobs": _IMPLIED,
        },
        "part.refusal": {"type": _KEPT, "refusal": _KEPT},
        "part.input_image": {
            **_MARK,
            "image_url": _to("image_url"),
            "detail": _to("image_url"),
            "file_id": _BOUND,
        },
        "part.input_file": {
            **_MARK,
            "file_data": _to("file"),
            "file_id": _to("file"),
            "filename": _to("file"),
            "file_url": _BOUND,
            "detail": _BOUND,
        },
        "tool.function": {
            "type": _KEPT,
            "name": _to("function"),
            "description": _to("function"),
            "parameters": _to("function"),
            "strict": _to("function"),
            "allowed_callers": _BOUND,
            "defer_loading": _BOUND,
            "output_schema": _BOUND,
        },
        "tool.custom": {
            "type": _KEPT,
            "name": _to("custom"),
            "description": _to("custom"),
            "format": _to("custom", "grammar"),
            "allowed_callers": _BOUND,
            "defer_loading": _BOUND,
        },
        "grammar.text": {"type": _KEPT},
        "grammar.grammar": {"type": _KEPT, "definition": _to("grammar"), "syntax": _to("grammar")},
        "choice.function": {"type": _KEPT, "name": _to("function")},
        "choice.custom": {"type": _KEPT, "name": _to("custom")},
        "choice.allowed_tools": {"type": _KEPT, "mode": _to("allowed_tools"), "tools": _to("allowed_tools")},
        "reasoning": {
            "effort": _as("reasoning_effort"),
            "summary": _BOUND,
            "generate_summary": _BOUND,
            "context": _BOUND,
            "mode": _BOUND,
        },
        "stream_options": {"include_obfuscation": _KEPT},
        "text": {"format": _to("response_format", "format"), "verbosity": _KEPT},
        "format.text": {"type": _KEPT},
        "format.json_object": {"type": _KEPT},
        "format.json_schema": {
            "type": _KEPT,
            "name": _to("json_schema"),
            "description": _to("json_schema"),
            "schema": _to("json_schema"),
            "strict": _to("json_schema"),
        },
    }
)
"""What becomes of Responses' fields on Chat Completions."""

STAYS: Final[Mapping[str, frozenset[str]]] = MappingProxyType(
    {
        "item": frozenset(
            {
                "additional_tools",
                "apply_patch_call",
                "apply_patch_call_output",
                "code_interpreter_call",
                "compaction",
                "compaction_trigger",
                "computer_call",
                "computer_call_output",
                "file_search_call",
                "image_generation_call",
                "item_reference",
                "local_shell_call",
                "local_shell_call_output",
                "mcp_approval_request",
                "mcp_approval_response",
                "mcp_call",
                "mcp_list_tools",
                "program",
                "program_output",
                "shell_call",
                "shell_call_output",
                "tool_search_call",
                "tool_search_output",
                "web_search_call",
            }
        ),
        "tool": frozenset(
            {
                "apply_patch",
                "code_interpreter",
                "computer",
                "computer_use_preview",
                "file_search",
                "image_generation",
                "local_shell",
                "mcp",
                "namespace",
                "programmatic_tool_calling",
                "shell",
                "tool_search",
                "web_search",
                "web_search_2025_08_26",
                "web_search_preview",
                "web_search_preview_2025_03_11",
            }
        ),
        "choice": frozenset(
            {
                "apply_patch",
                "code_interpreter",
                "computer",
                "computer_use",
                "computer_use_preview",
                "file_search",
                "image_generation",
                "mcp",
                "programmatic_tool_calling",
                "shell",
                "web_search_preview",
                "web_search_preview_2025_03_11",
            }
        ),
    }
)
"""Kinds of items, tools and choices that only Responses has: a request with one stays there, as it would
with a kind that is known to nobody."""

SOFT: Final = frozenset({
    "temperature",
    "top_p",
    "frequency_penalty",
    "presence_penalty",
    "seed",
    "verbosity",
    "prompt_cache_retention",
    "prompt_cache_options",
    "prompt_cache_breakpoint",
    "prompt_cache_key",
})  # fmt: skip
"""The parameters that may be lost, on record, where a model or an endpoint does not take them: taste and
price. Every other one counts: what cannot take it cannot serve the call."""

RANGES: Final[Mapping[str, tuple[float, float]]] = MappingProxyType(
    {
        "temperature": (0, 2),
        "top_p": (0, 1),
        "frequency_penalty": (-2, 2),
        "presence_penalty": (-2, 2),
    }
)
"""The least and the most that the provider takes of numbers that may be lost: one beyond is refused by every
model, so it is not dropped. Source: openai-python 2.54, types/chat/completion_create_params.py, and for
``top_p`` OpenAI's openapi.yaml (minimum 0, maximum 1)."""

MOST_STOPS: Final = 4
"""Sequences that ``stop`` may have. Source: the same file, "Up to 4 sequences"."""

DEFAULTS: Final[Mapping[str, tuple[Any, ...]]] = MappingProxyType(
    {
        "background": (False,),
        "detail": ("auto",),
        "frequency_penalty": (0,),
        "include": ([],),
        "logit_bias": ({},),
        "logprobs": (False,),
        "modalities": (["text"],),
        "n": (1,),
        "presence_penalty": (0,),
        "stop": ([],),
        "top_logprobs": (0,),
        "truncation": ("disabled",),
    }
)
"""Values that ask for what happens anyway: leaving them out changes nothing."""


def is_default(name: str, value: Any) -> bool:
    """Say whether leaving a field of this value out changes nothing."""
    return value is None or value in DEFAULTS.get(name, ())


def row_of(name: str, endpoint: str) -> Row | None:
    """Return what becomes of a parameter on an endpoint when it was given by the other one's name.

    Args:
        name: the parameter.
        endpoint: the endpoint that would serve the call.

    Returns:
        The row; None when the endpoint has the parameter by this name, or neither is known to have it.
    """
    own, other = (RESPONSES, CHAT) if endpoint == "responses" else (CHAT, RESPONSES)
    return None if name in own["body"] else other["body"].get(name)


def rules_out(name: str, value: Any, endpoint: str) -> bool:
    """Say whether a parameter keeps a call from an endpoint: nothing there means the same."""
    row = row_of(name, endpoint)
    return row is not None and row.fate is Fate.BOUND and not is_default(name, value)


_STAYING: Final[Mapping[str, tuple[str, ...]]] = MappingProxyType({
    place: tuple(name for name, row in rows.items() if row.fate is Fate.BOUND)
    for place, rows in RESPONSES.items()
})  # fmt: skip


def stays(place: str, value: Mapping[str, Any], *, unless_known: bool = False) -> bool:
    """Say whether an object of a request to Responses has no form on Chat Completions, or a field of it.

    Args:
        place: the object's place in the table.
        value: the object.
        unless_known: whether one whose place is not in the table has a form there.
    """
    bound = _STAYING.get(place)
    if bound is None:
        return not unless_known
    return any(name in value and not is_default(name, value[name]) for name in bound)
