"""Answers: a reply of Responses in the shape of a Chat Completion, and back, as plain dicts. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final

from routed_llm.request.wire.turns import ITEMS

__all__ = ["chat_completion", "chat_usage", "failure_of", "finish_reason", "response", "response_usage"]

_CALLS: Final[Mapping[str, tuple[str, str]]] = {
    "function_call": ("function", "arguments"),
    "custom_tool_call": ("custom", "input"),
}
_REASONS: Final[Mapping[str, str]] = {"max_output_tokens": "length", "content_filter": "content_filter"}
_INCOMPLETE: Final[Mapping[str, str]] = {reason: why for why, reason in _REASONS.items()}


def failure_of(reply: Mapping[str, Any]) -> Mapping[str, Any] | None:
    """Return the error that a reply or a stream's event reports in its body, or None.

    Args:
        reply: a Chat Completion or one of its chunks, a Response or one of its events.
    """
    kind = reply.get("type")
    if kind == "error":
        inner = reply.get("error")
        return inner if isinstance(inner, Mapping) else reply
    held = reply.get("response") if kind == "response.failed" else reply
    if not isinstance(held, (dict, Mapping)):
        return {"message": "the response failed, and the server gave no reason"}
    error = held.get("error")
    if error:
        if isinstance(error, Mapping):
            return error
        if isinstance(error, str):
            return {"message": error}
    if kind == "response.failed" or held.get("status") in ("failed", "cancelled"):
        return {"message": f"the response is {held.get('status') or 'failed'}, and the server gave no reason"}
    return None


def chat_completion(reply: Mapping[str, Any]) -> dict[str, Any]:
    """Return a reply of Responses as the Chat Completion that it would have been.

    Its items stay beside the text, under ``choices[0].message.output_items``, so that the turn can be
    replayed as it was; see :mod:`routed_llm.request.wire.turns`.
    """
    items = [_in_parts(item) for item in reply.get("output") or () if isinstance(item, Mapping)]
    completion: dict[str, Any] = {
        "id": reply.get("id"),
        "object": "chat.completion",
        "created": int(reply.get("created_at") or 0),
        "model": reply.get("model"),
        "choices": [
            {
                "index": 0,
                "message": _message(items, str(reply.get("model") or "")),
                "finish_reason": finish_reason(reply),
                "logprobs": _logprobs(items),
            }
        ],
        "usage": chat_usage(reply.get("usage")),
        "service_tier": reply.get("service_tier"),
        "system_fingerprint": None,
    }
    return {**completion, **chat_moderation(reply)}


def _in_parts(item: Mapping[str, Any]) -> Mapping[str, Any]:
    """Return an item whose content is parts: some servers write a text alone."""
    if not isinstance(item.get("content"), str):
        return item
    return {**item, "content": [{"type": "output_text", "text": item["content"], "annotations": []}]}


def chat_moderation(reply: Mapping[str, Any]) -> dict[str, Any]:
    """Return what a reply of Responses says of moderation: one result where Chat Completions has a list."""
    found = reply.get("moderation")
    if not isinstance(found, Mapping):
        return {}
    sides = {
        side: {"type": "moderation_results", "model": one.get("model"), "results": [one]}
        if isinstance(one, Mapping) and one.get("type") == "moderation_result"
        else one
        for side, one in found.items()
    }
    return {"moderation": sides}


def _response_moderation(completion: Mapping[str, Any]) -> dict[str, Any]:
    found = completion.get("moderation")
    if not isinstance(found, Mapping):
        return {}
    sides = {
        side: one["results"][0] if isinstance(one, Mapping) and one.get("results") else one
        for side, one in found.items()
    }
    return {"moderation": sides}


def finish_reason(reply: Mapping[str, Any]) -> str | None:
    """Return why an answer of Responses ended, in Chat Completions' word; None while it has not."""
    if reply.get("status") in ("queued", "in_progress"):
        return None
    details = reply.get("incomplete_details")
    if isinstance(details, Mapping) and details.get("reason"):
        return _REASONS.get(str(details["reason"]), "length")
    if reply.get("status") == "incomplete":
        return "length"
    calls = any(item.get("type") in _CALLS for item in reply.get("output") or ())
    return "tool_calls" if calls else "stop"


def _message(items: Sequence[Mapping[str, Any]], model: str) -> dict[str, Any]:
    text: list[str] = []
    refused: list[str] = []
    cited: list[dict[str, Any]] = []
    at = 0
    for part in _said(items):
        if part.get("type") == "refusal":
            refused.append(str(part.get("refusal") or ""))
            continue
        words = str(part.get("text") or "")
        cited.extend(note for one in part.get("annotations") or () if (note := citation(one, at)))
        text.append(words)
        at += len(words)
    calls = [call for item in items if (call := _call(item)) is not None]
    message: dict[str, Any] = {
        "role": "assistant",
        # A model that only calls or refuses has said nothing, which is not an empty text.
        "content": "".join(text) if text or not (calls or refused) else None,
        "refusal": "".join(refused) if refused else None,
        "annotations": cited,
    }
    if calls:
        message["tool_calls"] = calls
    if any(item.get("type") != "message" or item.get("id") for item in items):
        message[ITEMS] = {"model": model, "items": [dict(item) for item in items]}
    return message


def _said(items: Sequence[Mapping[str, Any]]) -> list[Mapping[str, Any]]:
    return [
        part
        for item in items
        if item.get("type") == "message"
        for part in item.get("content") or ()
        if isinstance(part, Mapping)
    ]


def _call(item: Mapping[str, Any]) -> dict[str, Any] | None:
    names = _CALLS.get(str(item.get("type")))
    if names is None:
        return None
    kind, said = names
    called = {"name": item.get("name"), said: item.get(said) or ""}
    return {"id": item.get("call_id"), "type": kind, kind: called}


def citation(note: Mapping[str, Any], at: int = 0) -> dict[str, Any] | None:
    """Return an annotation in Chat Completions' form; None for a citation of a file, which it does not know.

    Args:
        note: the annotation of a part.
        at: characters of the answer before that part.
    """
    if note.get("type") != "url_citation":
        return None
    inner = {key: value for key, value in note.items() if key != "type"}
    for name in ("start_index", "end_index"):
        if at and isinstance(inner.get(name), int):
            inner[name] += at
    return {"type": "url_citation", "url_citation": inner}


def _logprobs(items: Sequence[Mapping[str, Any]]) -> dict[str, Any] | None:
    found = [one for part in _said(items) for one in part.get("logprobs") or ()]
    return {"content": found, "refusal": None} if found else None


def chat_usage(usage: Any) -> dict[str, Any] | None:
    """Return the usage that Responses reports, by Chat Completions' names."""
    if not isinstance(usage, Mapping):
        return None
    into, out = usage.get("input_tokens_details"), usage.get("output_tokens_details")
    known = ("input_tokens", "output_tokens", "total_tokens", "input_tokens_details", "output_tokens_details")
    return {
        **{key: value for key, value in usage.items() if key not in known},
        "prompt_tokens": usage.get("input_tokens"),
        "completion_tokens": usage.get("output_tokens"),
        "total_tokens": usage.get("total_tokens"),
        "prompt_tokens_details": {"audio_tokens": 0, "cached_tokens": 0, **_part(into)},
        "completion_tokens_details": {
            "accepted_prediction_tokens": 0,
            "audio_tokens": 0,
            "reasoning_tokens": 0,
            "rejected_prediction_tokens": 0,
            **_part(out),
        },
    }


def _part(details: Any) -> dict[str, Any]:
    return dict(details) if isinstance(details, Mapping) else {}


# ----- and back


def response(completion: Mapping[str, Any], asked: Mapping[str, Any] | None = None) -> dict[str, Any]:
    """Return a Chat Completion as the reply of Responses that it would have been.

    Args:
        completion: the answer; of several choices the first.
        asked: what was asked, in Responses' form; its fields are repeated, as Responses does.
    """
    asked = asked or {}
    choices: Sequence[Mapping[str, Any]] = completion.get("choices") or ({},)
    message, reason = choices[0].get("message") or {}, choices[0].get("finish_reason")
    cut = _INCOMPLETE.get(str(reason))
    identity = str(completion.get("id") or "")
    return {
        "id": identity,
        "object": "response",
        "created_at": completion.get("created"),
        "status": "incomplete" if cut else "completed",
        "background": False,
        "error": None,
        "incomplete_details": {"reason": cut} if cut else None,
        "instructions": asked.get("instructions"),
        "max_output_tokens": asked.get("max_output_tokens"),
        "metadata": asked.get("metadata") or {},
        "model": completion.get("model"),
        "output": output_items(message, choices[0].get("logprobs"), identity, cut=bool(cut)),
        "parallel_tool_calls": asked.get("parallel_tool_calls", True),
        "previous_response_id": asked.get("previous_response_id"),
        "reasoning": asked.get("reasoning") or {"effort": None, "summary": None},
        "service_tier": completion.get("service_tier"),
        "store": asked.get("store", False),
        "temperature": asked.get("temperature"),
        "text": asked.get("text") or {"format": {"type": "text"}},
        "tool_choice": asked.get("tool_choice", "auto"),
        "tools": asked.get("tools") or [],
        "top_p": asked.get("top_p"),
        "truncation": asked.get("truncation", "disabled"),
        "usage": response_usage(completion.get("usage")),
        "user": asked.get("user"),
        **_response_moderation(completion),
    }


def output_items(
    message: Mapping[str, Any], logprobs: Any, identity: str, *, cut: bool = False
) -> list[dict[str, Any]]:
    """Return an answer's message as the items of Responses' ``output``; ids are made from the answer's."""
    kept = message.get(ITEMS)
    if isinstance(kept, Mapping) and kept.get("items"):
        return [dict(item) for item in kept["items"]]
    status = "incomplete" if cut else "completed"
    parts: list[dict[str, Any]] = []
    if message.get("content"):
        notes = [_note(note) for note in message.get("annotations") or ()]
        said = (logprobs or {}).get("content") or []
        parts.append(
            {"type": "output_text", "text": message["content"], "annotations": notes, "logprobs": said}
        )
    if message.get("refusal"):
        parts.append({"type": "refusal", "refusal": message["refusal"]})
    items: list[dict[str, Any]] = []
    calls = message.get("tool_calls") or ()
    if parts or not calls:
        name = f"msg_{identity}"
        items.append({"id": name, "type": "message", "role": "assistant", "status": status, "content": parts})
    return [*items, *({**call_item(call), "status": status} for call in calls)]


def call_item(call: Mapping[str, Any]) -> dict[str, Any]:
    """Return a tool call of a message as an item."""
    kind = str(call.get("type") or "function")
    called = call.get(kind) or {}
    item = next(name for name, (form, _) in _CALLS.items() if form == kind)
    said = _CALLS[item][1]
    name = f"{'fc' if kind == 'function' else 'ctc'}_{call.get('id')}"
    return {
        "id": name,
        "type": item,
        "call_id": call.get("id"),
        "name": called.get("name"),
        said: called.get(said) or "",
    }


def _note(note: Mapping[str, Any]) -> dict[str, Any]:
    kind = str(note.get("type") or "")
    inner = note.get(kind)
    return {"type": kind, **inner} if isinstance(inner, Mapping) else dict(note)


def response_usage(usage: Any) -> dict[str, Any] | None:
    """Return the usage that Chat Completions reports, by Responses' names."""
    if not isinstance(usage, Mapping):
        return None
    into, out = _part(usage.get("prompt_tokens_details")), _part(usage.get("completion_tokens_details"))
    return {
        "input_tokens": usage.get("prompt_tokens"),
        "input_tokens_details": {"cached_tokens": 0, "cache_write_tokens": 0, **into},
        "output_tokens": usage.get("completion_tokens"),
        "output_tokens_details": {"reasoning_tokens": 0, **out},
        "total_tokens": usage.get("total_tokens"),
    }
