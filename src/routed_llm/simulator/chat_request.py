"""Reads a Chat Completions request: the conversation's form, then what it asks of a model."""

from __future__ import annotations

from typing import Any

from routed_llm.simulator import media, moderation
from routed_llm.simulator.ask import Ask, Call, Part, Turn
from routed_llm.simulator.checks import check_known, check_type, kind_of, required
from routed_llm.simulator.failures import failure, listed
from routed_llm.simulator.frozen import load
from routed_llm.simulator.models import SimulatedModel
from routed_llm.simulator.rules import check_breakpoint, uses_cache
from routed_llm.simulator.toolbox import read_choice, read_format, read_tools

_KEYS = (
    "role",
    "content",
    "name",
    "tool_calls",
    "tool_call_id",
    "refusal",
    "audio",
    "function_call",
    "annotations",
    # What programs leave in a message, and is passed over (10 recorded requests).
    "parsed",
    "reasoning",
    "reasoning_signature",
)
_SPOKEN = ("wav", "aac", "mp3", "flac", "opus", "pcm16")
_PARTS = {
    "user": ("text", "image_url", "input_audio", "file"),
    "assistant": ("text", "refusal"),
    # Taken, but not read: recorded of gpt-4.1-nano in 2025-09 (tpaulshippy/ruby_llm_community), reported of
    # gpt-5.2 in openai/openai-openapi#523.
    "tool": ("text", "image_url"),
}


def check_messages(body: dict[str, Any]) -> None:
    """Refuse a conversation of the wrong form: roles, contents, tool calls without answers."""
    messages = required(body, "messages")
    if not messages:
        raise failure("empty_array", param="messages")
    roles = load("fields")["values"]["chat_roles"]
    for i, message in enumerate(messages):
        if not isinstance(message, dict):
            raise failure("invalid_type", param=f"messages[{i}]", expected="an object", got=kind_of(message))
        check_known(message, list(_KEYS), f"messages[{i}]")
        role = required(message, "role", f"messages[{i}].")
        if role not in roles:
            raise failure("invalid_value", param=f"messages[{i}].role", value=role, supported=listed(roles))
        _check_content(i, role, message)
    _check_calls(messages)
    _check_options(body)


def _check_content(i: int, role: str, message: dict[str, Any]) -> None:
    content = message.get("content")
    if content is None:
        if role == "assistant" and any(
            message.get(k) for k in ("tool_calls", "refusal", "audio", "function_call")
        ):
            return
        raise failure("content_null", index=i)
    if isinstance(content, str):
        return
    check_type(f"messages[{i}].content", content, ["array"])
    allowed = _PARTS.get(role, ("text",))
    for j, block in enumerate(content):
        where = f"messages[{i}].content[{j}]"
        if not isinstance(block, dict):
            raise failure("invalid_type", param=where, expected="an object", got=kind_of(block))
        kind = required(block, "type", f"{where}.")
        if kind not in allowed:
            raise failure("invalid_value", param=f"{where}.type", value=kind, supported=listed(allowed))
        check_known(block, load("fields")["chat_parts"][kind], where)
        required(block, kind, f"{where}.")


def _check_calls(messages: list[dict[str, Any]]) -> None:
    pending: list[str] = []
    asked_at = 0
    for i, message in enumerate(messages):
        role = message["role"]
        if role == "tool":
            answered = required(message, "tool_call_id", f"messages[{i}].")
            if answered not in pending:
                raise failure("orphan_tool_message", index=i)
            pending.remove(answered)
            continue
        if pending:
            raise failure("unanswered_tool_calls", ids=", ".join(pending), index=asked_at)
        for j, call in enumerate(message.get("tool_calls") or ()):
            where = f"messages[{i}].tool_calls[{j}]"
            kind = required(call, "type", f"{where}.")
            called = required(call, kind, f"{where}.")
            required(called, "name", f"{where}.{kind}.")
            if "arguments" in called:  # an object: aaif-goose/goose-mobile PR 20
                check_type(f"{where}.function.arguments", called.get("arguments"), ["string"])
            pending.append(required(call, "id", f"{where}."))
            asked_at = i
    if pending:
        raise failure("unanswered_tool_calls", ids=", ".join(pending), index=asked_at)


def _check_options(body: dict[str, Any]) -> None:
    stop = body.get("stop")
    if stop is not None and not isinstance(stop, str):
        check_type("stop", stop, ["array"])
        if len(stop) > 4:
            raise failure("array_too_long", param="stop", maximum=4, length=len(stop))
        for i, word in enumerate(stop):
            check_type(f"stop[{i}]", word, ["string"])
    if "max_tokens" in body and "max_completion_tokens" in body:
        raise failure("both_caps")
    if body.get("stream_options") is not None and not body.get("stream"):
        raise failure("only_when_enabled", param="stream_options", other="stream")
    if body.get("top_logprobs") and not body.get("logprobs"):
        raise failure("only_when_enabled", param="top_logprobs", other="logprobs")
    if body.get("metadata") and not body.get("store"):
        raise failure("only_when_enabled", param="metadata", other="store")
    if body.get("parallel_tool_calls") is not None and not body.get("tools"):
        raise failure("only_with", param="parallel_tool_calls", other="tools")
    if body.get("function_call") is not None and not body.get("functions"):
        raise failure("only_with", param="function_call", other="functions")


def read(body: dict[str, Any], model: SimulatedModel, effort: str) -> Ask:
    """Return what the request asks, its media decoded and checked against the model."""
    old = body.get("functions")
    if old:
        body = {**body, **_as_tools(old, body.get("function_call"))}
    tools = read_tools(body, "chat")
    choice, allowed = read_choice(body, "chat", tools)
    kind, schema, name, about = read_format(model, body.get("response_format"), "chat")
    turns = tuple(_turn(model, i, message) for i, message in enumerate(body["messages"]))
    if kind == "json_object" and not any("json" in turn.text.lower() for turn in turns):
        raise failure("json_word_chat")
    audio = _audio_format(model, body, turns)
    stop = body.get("stop") or ()
    prediction = (body.get("prediction") or {}).get("content") or ""
    if isinstance(prediction, list):
        prediction = "".join(str(block.get("text", "")) for block in prediction)
    check_type("prediction.content", prediction, ["string"])
    return Ask(
        endpoint="chat",
        turns=turns,
        tools=tools,
        choice=choice,
        allowed=allowed,
        parallel=body.get("parallel_tool_calls", not old),
        functions=bool(old),
        obfuscated=(body.get("stream_options") or {}).get("include_obfuscation", True) is not False,
        cap=body.get("max_completion_tokens") or body.get("max_tokens"),
        stop=(stop,) if isinstance(stop, str) else tuple(stop),
        n=body.get("n", 1),
        effort=effort,
        verbosity=body.get("verbosity", "medium"),
        format=kind,
        schema=schema,
        schema_name=name,
        schema_about=about,
        logprobs=bool(body.get("logprobs")),
        top_logprobs=body.get("top_logprobs", 0),
        moderation=moderation.asked(body),
        audio=audio,
        prediction=prediction,
        tier=body.get("service_tier", "auto"),
        cache_key=body.get("prompt_cache_key", ""),
        cache_ttl=str((body.get("prompt_cache_options") or {}).get("ttl", "")),
        cached=uses_cache(body),
        stream=bool(body.get("stream")),
    )


def _as_tools(functions: list[Any], choice: Any) -> dict[str, Any]:
    """Return the form that came before tools as tools, one of which may be called."""
    found: dict[str, Any] = {"tools": [{"type": "function", "function": row} for row in functions]}
    if isinstance(choice, dict):
        found["tool_choice"] = {"type": "function", "function": choice}
    elif choice is not None:
        found["tool_choice"] = choice
    return found


def _turn(model: SimulatedModel, i: int, message: dict[str, Any]) -> Turn:
    content = message.get("content")
    parts: list[Part] = []
    if isinstance(content, str):
        parts = [Part(kind="text", where=f"messages[{i}].content", text=content)]
    elif content:
        parts = [_part(model, i, j, block) for j, block in enumerate(content)]
    if message.get("refusal"):
        parts.append(Part(kind="refusal", where=f"messages[{i}].refusal", text=message["refusal"]))
    return Turn(
        role=message["role"],
        parts=tuple(parts),
        name=message.get("name") or "",
        calls=tuple(_call(row) for row in message.get("tool_calls") or ()),
        answers=message.get("tool_call_id") or "",
    )


def _call(row: dict[str, Any]) -> Call:
    custom = row["type"] == "custom"
    inner = row[row["type"]]
    arguments = inner.get("input" if custom else "arguments") or ""
    return Call(id=row["id"], name=inner["name"], arguments=str(arguments), custom=custom)


def _part(model: SimulatedModel, i: int, j: int, block: dict[str, Any]) -> Part:
    where = f"messages[{i}].content[{j}]"
    check_breakpoint(model, block, where)
    kind = block["type"]
    if kind == "image_url":
        media.check_image(model, "chat", i, j)
        inner = block["image_url"]
        check_type(f"{where}.image_url", inner, ["object"])
        url = str(required(inner, "url", f"{where}.image_url."))
        return media.image_part(model, "chat", url, str(inner.get("detail") or "auto"), f"{where}.image_url")
    if kind == "input_audio":
        media.check_audio(model, "chat", i)
        return media.audio_part(block["input_audio"], f"{where}.input_audio")
    if kind == "file":
        return media.file_part(model, "chat", block["file"], f"{where}.file")
    return Part(kind=kind, where=where, text=str(block[kind]))


def _audio_format(model: SimulatedModel, body: dict[str, Any], turns: tuple[Turn, ...]) -> str:
    wanted = "audio" in (body.get("modalities") or ())
    if wanted and "audio" not in model.outputs:
        raise failure("audio_modality")
    heard = any(part.kind == "audio" for turn in turns for part in turn.parts)
    if "audio" in model.outputs and not wanted and not heard:
        raise failure("audio_model_without_audio")
    if not wanted:
        return ""
    options = required(body, "audio")
    required(options, "voice", "audio.")
    kind = str(required(options, "format", "audio."))
    if body.get("stream") and kind != "pcm16":
        raise failure("audio_stream_format", value=kind)
    if kind not in _SPOKEN:
        raise failure("invalid_value", param="audio.format", value=kind, supported=listed([*_SPOKEN]))
    return kind
