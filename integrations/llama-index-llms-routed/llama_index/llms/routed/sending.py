"""From a Decision to the keyword arguments of the framework's own OpenAI classes."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from llama_index.llms.routed.reading import SDK_OPTIONS

from routed_llm import Decision

__all__ = ["RESPONSES", "on_responses", "payload"]

RESPONSES: Final = "responses"

# What the router reads apart from the parameters and hands back to nobody.
_CARRIED = ("tools", "tool_choice", "response_format", "modalities")


def payload(
    decision: Decision, given: Mapping[str, Any], *, stream: bool, stream_usage: bool
) -> dict[str, Any]:
    """Return what to send besides the model and the messages, in the chosen endpoint's form.

    Args:
        decision: a decision that chose.
        given: every parameter of the request.
        stream: whether the answer is streamed.
        stream_usage: whether to ask for the usage at the end of a stream.
    """
    call = decision.call
    if call is None:
        raise AssertionError("a decision without a choice is raised before anything is sent")
    values = {name: given[name] for name in _CARRIED if given.get(name) is not None}
    if (given.get("text") or {}).get("format"):
        values["response_format"] = _nested(given["text"]["format"], "json_schema")
    values = {**values, **call.parameters}
    values = {name: value for name, value in values.items() if name not in call.dropped}
    if call.cap is not None:
        values[_cap_name(decision)] = call.cap
    values.update((name, given[name]) for name in SDK_OPTIONS if given.get(name) is not None)
    if call.endpoint == RESPONSES:
        return on_responses(values, call.effort)
    if call.effort is not None:
        values["reasoning_effort"] = call.effort
    return _chat(values, stream=stream and call.stream, stream_usage=stream_usage)


def _cap_name(decision: Decision) -> str:
    facts = decision.facts
    renamed = [c.after for c in decision.changes if c.parameter == facts.cap_name and c.action == "renamed"]
    return str(renamed[0]) if renamed else facts.cap_name


def _chat(values: dict[str, Any], *, stream: bool, stream_usage: bool) -> dict[str, Any]:
    if values.get("tools"):
        values["tools"] = [_nested(tool, "function", "custom") for tool in values["tools"]]
    if isinstance(values.get("tool_choice"), Mapping):
        values["tool_choice"] = _nested(values["tool_choice"], "function", "custom", "allowed_tools")
    options = values.pop("stream_options", None)
    if stream:
        # Without it a stream reports no usage at all, and what it cost could only be guessed.
        wanted = {"include_usage": True, **(options or {})} if stream_usage else options
        if wanted:
            values["stream_options"] = wanted
    return values


def on_responses(values: dict[str, Any], effort: str | None) -> dict[str, Any]:
    """Turn parameters, by their names on either endpoint, into those of Responses."""
    values.pop("stream_options", None)
    values.pop("modalities", None)
    for name in ("max_tokens", "max_completion_tokens"):
        if name in values:
            values["max_output_tokens"] = values.pop(name)
    if effort is not None:
        values["reasoning"] = {**values.get("reasoning", {}), "effort": effort}
    text: dict[str, Any] = {}
    if "response_format" in values:
        text["format"] = _flat(values.pop("response_format"))
    if "verbosity" in values:
        text["verbosity"] = values.pop("verbosity")
    if text:
        values["text"] = text
    if values.get("tools"):
        values["tools"] = [_flat_tool(tool) for tool in values["tools"]]
    if isinstance(values.get("tool_choice"), Mapping):
        values["tool_choice"] = _flat(values["tool_choice"])
    if values.pop("logprobs", None):
        values["include"] = [*values.get("include", ()), "message.output_text.logprobs"]
    # Chat Completions keeps nothing unless asked to; a change of endpoint must not change that.
    values.setdefault("store", False)
    return values


def _flat(spec: Any) -> Any:
    """Turn ``{"type": t, t: {...}}`` into ``{"type": t, ...}``, the form of Responses."""
    if not isinstance(spec, Mapping):
        return spec
    inner = spec.get(spec.get("type", ""))
    if not isinstance(inner, Mapping):
        return dict(spec)
    flat = {key: value for key, value in spec.items() if key != spec["type"]} | dict(inner)
    if "tools" in flat:
        flat["tools"] = [_flat(tool) for tool in flat["tools"]]
    return flat


def _flat_tool(tool: Mapping[str, Any]) -> dict[str, Any]:
    flat = dict(_flat(tool))
    if flat.get("type") == "function":
        flat.setdefault("strict", False)  # left out, it means True here and False on Chat Completions
    return flat


def _nested(spec: Any, *kinds: str) -> Any:
    """Turn ``{"type": t, ...}`` into ``{"type": t, t: {...}}``, the form of Chat Completions."""
    kind = spec.get("type") if isinstance(spec, Mapping) else None
    if kind not in kinds or kind in spec:
        return spec
    inner = {key: value for key, value in spec.items() if key != "type"}
    if "tools" in inner:
        inner["tools"] = [_nested(tool, "function", "custom") for tool in inner["tools"]]
    return {"type": kind, kind: inner}
