"""What a request means, read off its body in either endpoint's form.

It shares nothing with the wire of the router, neither its table of fields nor its code. A turn becomes a row
of what was said, by whom and in which order. Calls are numbered, for their ids may be told apart on the way.
"""

from __future__ import annotations

import itertools
import json
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

__all__ = ["losses", "meaning"]

CAPS = ("max_tokens", "max_completion_tokens", "max_output_tokens")
NOTHING = ({}, [], "", None)
NEUTRAL: dict[str, tuple[Any, ...]] = {
    "n": (1,),
    "logprobs": (False,),
    "logit_bias": ({},),
    "stop": ([],),
    "metadata": ({},),
    "presence_penalty": (0,),
    "frequency_penalty": (0,),
    "top_logprobs": (0,),
    "modalities": (["text"], []),
    "background": (False,),
    "truncation": ("disabled",),
    "moderation": (),
}
"""Values that ask for what happens anyway."""
ELSEWHERE = frozenset(
    {"model", "stream", "stream_options", "messages", "input", "instructions", "tools", "tool_choice"}
    | {
        "response_format",
        "text",
        "verbosity",
        "reasoning",
        "reasoning_effort",
        "include",
        "store",
        "logprobs",
    }
    | {"web_search_options", *CAPS}
)


def meaning(body: Mapping[str, Any]) -> dict[str, Any]:
    """Return what a body says, by what it is about; what asks for nothing is not there."""
    chat = "messages" in body
    values = {name: value for name, value in body.items() if value is not None}
    found: dict[str, Any] = {name: value for name, value in values.items() if name not in ELSEWHERE}
    text = values.get("text") or {}
    found["turns"], found["prompt_cache_breakpoint"] = _turns(_chat(values) if chat else _responses(values))
    found["cap"] = next((values[name] for name in CAPS if name in values), None)
    found["verbosity"] = values.get("verbosity", text.get("verbosity"))
    found["reasoning_effort"] = values.get("reasoning_effort")
    for name, value in (values.get("reasoning") or {}).items():
        found["reasoning_effort" if name == "effort" else f"reasoning.{name}"] = value
    found["store"] = bool(values.get("store", not chat))
    asked = list(values.get("include") or ())
    found["logprobs"] = bool(values.get("logprobs")) or "message.output_text.logprobs" in asked
    own = ("message.output_text.logprobs", "reasoning.encrypted_content")
    found["include"] = sorted(one for one in asked if one not in own)
    found["include_obfuscation"] = (values.get("stream_options") or {}).get("include_obfuscation")
    found["response_format"] = _format(values.get("response_format") or text.get("format"))
    found["tool_choice"] = _choice(values.get("tool_choice"))
    for tool in values.get("tools") or ():
        found |= _tool(tool, chat=chat)
    if "web_search_options" in values:
        found["web_search"] = _search(values["web_search_options"])
    return {
        name: value
        for name, value in found.items()
        if value not in NOTHING and not any(value == one for one in NEUTRAL.get(name, ()))
    }


def losses(
    written: Mapping[str, Any], sent: Mapping[str, Any], changes: Sequence[Mapping[str, Any]]
) -> list[str]:
    """List what was written, is not sent or is sent otherwise, and stands in no change of the record.

    Args:
        written: the request as its caller wrote it, a body in either form.
        sent: the body that was sent.
        changes: the record's.
    """
    said, arrived = meaning(written), meaning(sent)
    noted = {str(change["parameter"]).partition("[")[0].partition(".")[0] for change in changes}
    noted |= {"cap"} if noted.intersection(CAPS) else set()
    noted |= {"logprobs", "top_logprobs"} if noted.intersection(("logprobs", "include")) else set()
    noted |= {"turns"} if noted.intersection(("messages", "input")) else set()
    found = []
    for name in sorted(said.keys() | arrived.keys()):
        before, after = said.get(name), arrived.get(name)
        if before == after or name in noted or (name == "reasoning_effort" and before is None):
            continue  # which effort is sent where none was asked for is what was chosen
        if name == "turns":
            pairs = itertools.zip_longest(before or (), after or ())
            before, after = next((one, other) for one, other in pairs if one != other)
        found.append(f"{name}: {_short(before)} was sent as {_short(after)}")
    return found


def _short(value: Any) -> str:
    text = repr(value)
    return text if len(text) < 160 else f"{text[:110]} ... {text[-40:]}"


# --- turns ---


def _turns(rows: Iterator[tuple[Any, ...]]) -> tuple[list[tuple[Any, ...]], list[Any]]:
    """Number the calls, and put the marks of parts apart."""
    numbers: dict[Any, int] = {}
    count = itertools.count()
    turns: list[tuple[Any, ...]] = []
    marks: list[Any] = []
    for kind, who, value, mark in rows:
        if kind == "text" and who == "assistant" and turns and turns[-1][:2] == (kind, who):
            # LangChain writes each text of an answer as an item of its own.
            turns[-1] = (kind, who, f"{turns[-1][2]}{value}")
            continue
        if kind == "call":
            numbers[who] = next(count)
            turns.append(("call", numbers[who], value))
        else:
            turns.append((kind, numbers.get(who, who) if kind == "output" else who, value))
        if mark is not None:
            marks.append((len(turns) - 1, mark))
    # A speaker who says nothing may be written with a blank at the end or without.
    return [row if row[0] != "text" else (*row[:2], row[2].rstrip(" ")) for row in turns], marks


def _speaker(role: Any) -> str:
    return "system" if role == "developer" else str(role)


def _chat(values: Mapping[str, Any]) -> Iterator[tuple[Any, ...]]:
    messages = values["messages"]
    if values.get("instructions"):
        yield "text", "system", values["instructions"], None
    assistants = {message.get("name") for message in messages if message["role"] == "assistant"}
    for message in messages:
        role, content = _speaker(message["role"]), message.get("content")
        parts = [{"type": "text", "text": content}] if isinstance(content, str) else list(content or ())
        if role == "tool":
            yield "output", message["tool_call_id"], _joined(parts), _marked(parts)
            continue
        if message.get("refusal"):
            parts = [
                *(part for part in parts if part.get("text")),
                {"type": "refusal", "refusal": message["refusal"]},
            ]
        name = message.get("name") if role != "assistant" or len(assistants) > 1 else None
        calls = message.get("tool_calls") or ()
        if name:
            parts = _named(parts, name)
        yield from _said(role, parts, calls)
        for call in calls:
            inner = call.get(call["type"]) or {"name": None}
            yield (
                "call",
                call["id"],
                (call["type"], inner["name"], _arguments(inner.get("arguments", inner.get("input")))),
                None,
            )


def _named(parts: list[dict[str, Any]], name: str) -> list[dict[str, Any]]:
    if parts and parts[0]["type"] == "text":
        return [{**parts[0], "text": f"{name}: {parts[0]['text']}"}, *parts[1:]]
    return [{"type": "text", "text": f"{name}: "}, *parts]


def _together(parts: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """Put texts beside each other into one: it is all the same to a model, and LlamaIndex does it.

    Each part has its ``marks`` for the cache: behind how many characters, and the mark.
    """
    found: list[dict[str, Any]] = []
    for part in parts:
        if found and _is_text(part) and _is_text(found[-1]):
            found[-1]["text"] += part["text"]
        else:
            found.append({**part, "marks": []})
        if part.get("prompt_cache_breakpoint"):
            found[-1]["marks"].append((len(found[-1].get("text", "")), part["prompt_cache_breakpoint"]))
    return found


def _is_text(part: Mapping[str, Any]) -> bool:
    return part["type"] in ("text", "input_text", "output_text")


def _said(role: str, parts: Sequence[Mapping[str, Any]], calls: Any = ()) -> Iterator[tuple[Any, ...]]:
    for part in _together(parts):
        said = _part(part)
        if said != ("text", "") or not (calls or role == "assistant"):
            yield *said[:1], role, said[1], part["marks"] or None


def _part(part: Mapping[str, Any]) -> tuple[str, Any]:
    kind = str(part["type"])
    if _is_text(part):
        return "text", str(part["text"])
    if kind == "refusal":
        return "refusal", part["refusal"]
    if kind == "image_url":
        image = part["image_url"] if isinstance(part["image_url"], Mapping) else {"url": part["image_url"]}
        return "image", (image["url"], image.get("detail") or "auto")
    if kind == "input_image":
        return "image", (part.get("image_url") or part.get("file_id"), part.get("detail") or "auto")
    if kind in ("file", "input_file"):
        file = part.get("file", part)
        return "file", tuple(
            (name, file[name]) for name in ("file_data", "file_id", "filename") if file.get(name)
        )
    return kind, json.dumps(part.get(kind), sort_keys=True)


def _arguments(text: Any) -> Any:
    """Read what a call says: the same JSON may be written in several ways."""
    try:
        return json.dumps(json.loads(text), sort_keys=True)
    except (TypeError, ValueError):
        return text


def _joined(parts: Sequence[Mapping[str, Any]]) -> Any:
    return tuple(_part(part) for part in _together(parts) if _part(part) != ("text", ""))


def _marked(parts: Sequence[Mapping[str, Any]]) -> Any:
    return [mark for part in _together(parts) for mark in part["marks"]] or None


def _responses(values: Mapping[str, Any]) -> Iterator[tuple[Any, ...]]:
    given = values.get("input") or ()
    if values.get("instructions"):
        yield "text", "system", values["instructions"], None
    for item in [{"role": "user", "content": given}] if isinstance(given, str) else given:
        kind = item.get("type") or "message"
        content = item.get("content" if kind == "message" else "output")
        parts = [{"type": "text", "text": content}] if isinstance(content, str) else list(content or ())
        if kind == "message":
            yield from _said(_speaker(item["role"]), parts)
        elif kind in ("function_call", "custom_tool_call"):
            custom = kind == "custom_tool_call"
            said = (
                "custom" if custom else "function",
                item["name"],
                _arguments(item["input" if custom else "arguments"]),
            )
            yield "call", item["call_id"], said, None
        elif kind in ("function_call_output", "custom_tool_call_output"):
            yield "output", item["call_id"], _joined(parts), _marked(parts)
        elif kind != "reasoning":
            yield kind, "", json.dumps(item, sort_keys=True), None


# --- tools and the form of the answer ---


def _tool(tool: Mapping[str, Any], *, chat: bool) -> dict[str, Any]:
    kind = tool["type"]
    if kind not in ("function", "custom"):
        search = kind.startswith("web_search")
        return {"web_search" if search else f"tool {kind}": _search(tool) if search else dict(tool)}
    inner = tool[kind] if isinstance(tool.get(kind), Mapping) else tool
    about = {"description": inner.get("description") or None}
    if kind == "function":
        about["parameters"] = inner.get("parameters") or None
        # Left out it means lenient on Chat Completions, and strict on Responses.
        about["strict"] = bool(inner.get("strict")) if chat else inner.get("strict", True)
    else:
        form = inner.get("format") or {"type": "text"}
        about["format"] = {**form, **form.get("grammar", {})}
        about["format"].pop("grammar", None)
    return {f"tools {kind} {inner['name']}": about}


def _search(options: Mapping[str, Any]) -> dict[str, Any]:
    place = options.get("user_location") or {}
    near = {**place, **place.get("approximate", {})}
    near.pop("approximate", None)
    return {"size": options.get("search_context_size") or "medium", "location": near}


def _choice(choice: Any) -> Any:
    if not isinstance(choice, Mapping):
        return None if choice == "auto" else choice
    kind = choice["type"]
    inner = choice.get(kind, choice)
    if kind == "allowed_tools":
        return kind, inner["mode"], tuple(_choice(tool) for tool in inner["tools"])
    return (kind, inner["name"]) if kind in ("function", "custom") else dict(choice)


def _format(form: Any) -> Any:
    if not isinstance(form, Mapping) or form["type"] == "text":
        return None
    inner = form.get("json_schema", form)
    names = ("name", "description", "schema")
    return form["type"], *(inner.get(name) for name in names), bool(inner.get("strict"))
