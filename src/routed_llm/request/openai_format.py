"""Reads a request in OpenAI's own JSON, of Chat Completions or of Responses, into a Request."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any

from routed_llm.errors import RequestError
from routed_llm.facts import Previous
from routed_llm.fields import stays
from routed_llm.parameters import ENCRYPTED
from routed_llm.request.builder import Request, RequestBuilder
from routed_llm.request.conversations import SHORTEST

__all__ = ["read_openai"]


def read_openai(
    payload: Mapping[str, Any],
    *,
    pin: bool = False,
    previous: Previous | None = None,
    locked_to: str | None = None,
    emulates: Sequence[str] = (),
    endpoint: str | None = None,
    foreign: bool = False,
) -> Request:
    """Read a decoded request body.

    Args:
        payload: a body for ``POST /v1/chat/completions`` (``messages``) or ``POST /v1/responses``
            (``input``).
        pin: True to treat the body's ``model`` as the only one allowed; otherwise it is left to the
            caller, who usually makes it the policy's baseline.
        previous: who answered the turn before, where that is known.
        locked_to: the model that keeps the state which the body refers to.
        emulates: parameters that the caller makes good itself where no model takes them.
        endpoint: the one that must serve it, or None for either.
        foreign: whether content of a type that nobody knows is for a server of the caller's own, which is
            sent it as it is; else it is refused.

    Raises:
        RequestError: when the body is not such a request; the message names the place.
    """
    plain = _few_plain(payload)
    builder = RequestBuilder()
    if plain is None:
        builder.takes_foreign = foreign
        known = _said(builder, payload)
    else:
        builder.messages(*plain)
        known = ("messages", "model")
    for key, value in payload.items():
        if key in known:
            continue
        if not isinstance(key, str):
            raise RequestError(f"The request has the key {key!r}. Give string keys only.")
        builder.set(key, value)
    if pin:
        builder.pin(payload.get("model"))
    if emulates:
        builder.emulates(*emulates)
    if endpoint is not None:
        builder.endpoint(endpoint)
    if previous is not None:
        builder.previous(previous)
    if locked_to is not None:
        builder.locked_to(locked_to)
    return builder.build()


def _few_plain(payload: Mapping[str, Any]) -> tuple[list[str], list[str]] | None:
    """Return roles and texts of a few messages that have nothing else, as most requests do; else None."""
    if type(payload) is not dict and not isinstance(payload, Mapping):
        raise RequestError(
            "The request is not a JSON object. Give the body of a Chat Completions or Responses call."
        )
    items = payload.get("messages")
    return _plain(items) if type(items) is list and 0 < len(items) < SHORTEST else None


def _said(builder: RequestBuilder, payload: Mapping[str, Any]) -> tuple[str, ...]:
    """Read what is said, and return the keys that say it."""
    if "messages" in payload:
        _add_messages(builder, payload["messages"], "messages", _message)
        return ("messages", "model")
    if "input" in payload:
        _responses_input(builder, payload)
        if _asks_for_responses(payload):
            builder.endpoint("responses")
        return ("input", "instructions", "model")
    if isinstance(payload.get("prompt"), Mapping):  # a text is one of the old completions
        builder.stored_prompt()
        return ("model",)
    raise RequestError(
        "The request has neither messages nor input. Give the body of a Chat Completions or Responses call."
    )


def _add_messages(
    builder: RequestBuilder,
    items: Any,
    where: str,
    read: Callable[[RequestBuilder, Mapping[str, Any], str], object],
    instructions: str = "",
) -> None:
    """Tell the instructions, if any, and the messages that were not read before."""
    whole = items
    if instructions and type(items) is list:
        whole = [instructions, *items]
    long = type(whole) is list and len(whole) >= SHORTEST
    begun = builder.resume(whole) if long else 0
    if instructions and not begun:
        builder.message("system").text(instructions)
    new = items[begun:] if whole is items and type(items) is list else []
    plain = _plain(new) if new else None
    if plain is not None:
        builder.messages(*plain)
    else:
        _each(builder, items, where, read, max(begun - bool(instructions), 0))
    if long:
        builder.remember(whole, plain=plain is not None)


def _plain(items: list[Any]) -> tuple[list[str], list[str]] | None:
    """Return roles and texts of messages that are dicts of these two, as most are; None for others."""
    roles, texts = [], []
    try:
        for item in items:
            if type(item) is not dict or len(item) != 2:
                return None
            role, text = item["role"], item["content"]
            # Results of the role "function" one endpoint alone takes.
            if type(role) is not str or type(text) is not str or role == "function":
                return None
            roles.append(role)
            texts.append(text)
    except KeyError:
        return None
    return roles, texts


def _each(
    builder: RequestBuilder, items: Any, where: str, read: Callable[..., object], begun: int = 0
) -> None:
    # To ask for the type itself takes a tenth of asking whether it is a kind of mapping.
    if type(items) is not list and (isinstance(items, str) or not isinstance(items, Sequence)):
        raise RequestError(f"{where} is not a list. Give a list of objects.", where=where)
    for index in range(begun, len(items)):
        item = items[index]
        place = f"{where}[{index}]"
        if type(item) is not dict and not isinstance(item, Mapping):
            raise RequestError(
                f"{place} is not an object. Give an object with a role or a type.", where=place
            )
        read(builder, item, place)


def _message(builder: RequestBuilder, item: Mapping[str, Any], where: str) -> None:
    if item.get("type", "message") != "message":
        _own_item(builder, item)
        return
    role = item.get("role")
    if not isinstance(role, str):
        raise RequestError(
            f"{where} has no role. Give system, developer, user, assistant or tool.", where=where
        )
    content = item.get("content")
    if len(item) == 2 and type(content) is str and role != "function":  # as most are
        builder.message(role).text(content)
        return
    builder.message(role, name=item.get("name") if role not in ("tool", "function") else None)
    if item.get("tool_call_id") or role == "function":
        builder.tool_result()
    if type(content) is str:
        builder.text(content)
    else:
        _content(builder, content, f"{where}.content")
    if item.get("tool_calls"):
        _each(builder, item["tool_calls"], f"{where}.tool_calls", _tool_call)
    if item.get("refusal"):
        builder.text(str(item["refusal"]))
    if item.get("function_call"):
        _tool_call(builder, {"function": item["function_call"]}, f"{where}.function_call")
    if role == "function" or item.get("function_call") or item.get("audio"):
        builder.endpoint("chat_completions")  # Responses has no form for it


def _own_item(builder: RequestBuilder, item: Mapping[str, Any]) -> None:
    """Read an item among messages that Responses alone has: a computer's output, an approval, tools."""
    builder.message("tool").tool_result().endpoint("responses")
    output = item.get("output")
    if isinstance(output, Mapping) and output.get("image_url"):
        builder.image(output["image_url"])
    else:
        builder.text(json.dumps(item, default=str))


def _tool_call(builder: RequestBuilder, call: Mapping[str, Any], where: str) -> None:
    function = call.get("function") or call.get("custom") or {}
    if not isinstance(function, Mapping):
        raise RequestError(
            f"{where}.function is not an object. Give an object with a name and arguments.", where=where
        )
    builder.tool_call(str(function.get("name", "")), function.get("arguments", function.get("input", "")))


def _responses_input(builder: RequestBuilder, payload: Mapping[str, Any]) -> None:
    instructions = str(payload.get("instructions") or "")
    if isinstance(payload["input"], str):
        if instructions:
            builder.message("system").text(instructions)
        builder.message("user").text(payload["input"])
        return
    read = partial(_item, kept=payload.get("store") is not False)
    _add_messages(builder, payload["input"], "input", read, instructions)
    if _answers_late(payload["input"]):
        builder.endpoint("responses")


def _asks_for_responses(payload: Mapping[str, Any]) -> bool:
    """Say whether a tool has no form on Chat Completions, or the reasoning is to travel with the turns."""
    tools, included = payload.get("tools"), payload.get("include")
    if isinstance(included, Sequence) and ENCRYPTED in included:
        return True
    return isinstance(tools, Sequence) and any(
        isinstance(tool, Mapping) and stays(f"tool.{tool.get('type')}", tool, unless_known=True)
        for tool in tools
    )


def _answers_late(items: Sequence[Mapping[str, Any]]) -> bool:
    """Say whether a message stands between a call and its output, as when a user did not wait for a tool.

    Responses finds the call by its id; Chat Completions takes an output only right behind its call.
    """
    waiting: set[str] = set()
    late: set[str] = set()
    for item in items:
        kind, call = item.get("type", "message"), str(item.get("call_id"))
        if kind in ("function_call", "custom_tool_call"):
            waiting.add(call)
        elif kind in ("function_call_output", "custom_tool_call_output"):
            if call in late:
                return True
            waiting.discard(call)
        elif kind == "message" and item.get("role") != "assistant":
            late |= waiting
    return False


def _item(builder: RequestBuilder, item: Mapping[str, Any], where: str, *, kept: bool = False) -> None:
    kind = item.get("type") or "message"
    if stays(f"item.{kind}", item):
        builder.endpoint("responses")
    if kind == "message":
        _message(builder, item, where)
    elif kind in ("function_call", "custom_tool_call"):
        if not builder.is_calling:  # calls of one turn stand in one message on the other endpoint
            builder.message("assistant")
        arguments = item.get("arguments", item.get("input", ""))
        builder.tool_call(str(item.get("name", "")), arguments, kept=kept and bool(item.get("id")))
    elif kind in ("function_call_output", "custom_tool_call_output"):
        builder.message("tool").tool_result()
        _content(builder, item.get("output"), f"{where}.output")
    elif kind == "reasoning":
        if item.get("encrypted_content"):
            builder.endpoint("responses")  # nowhere else is it read
        builder.reasoning(item.get("encrypted_content"))
    elif kind == "additional_tools":
        builder.later_tools(item.get("tools"))
    else:
        if kind != "item_reference":
            builder.message("assistant")
        builder.kept_item()


def _content(builder: RequestBuilder, content: Any, where: str) -> None:
    if content is None:
        return
    if isinstance(content, str):
        builder.text(content)
        return
    _each(builder, content, where, _placed_part)


def _placed_part(builder: RequestBuilder, part: Mapping[str, Any], where: str) -> None:
    if stays(f"part.{part.get('type')}", part, unless_known=True):
        builder.endpoint("responses")
    _part(builder, part, where)


def _part(builder: RequestBuilder, part: Mapping[str, Any], where: str) -> None:
    kind = part.get("type")
    mark = part.get("prompt_cache_breakpoint")
    builder.set("prompt_cache_breakpoint", mark)
    if kind in ("text", "input_text", "output_text", "refusal"):
        builder.text(str(part.get("text") or part.get("refusal") or ""))
        if mark:
            builder.ends()
    elif kind in ("image_url", "input_image"):
        _image(builder, part)
    elif kind == "input_audio":
        audio = part.get("input_audio") or part
        if not isinstance(audio, Mapping):
            raise RequestError(
                f"{where}.input_audio is not an object. Give an object with data and format.", where=where
            )
        builder.audio(audio.get("data"), format=audio.get("format"))
    elif kind in ("file", "input_file"):
        _file(builder, part)
    elif kind in ("video_url", "input_video"):
        builder.video()
    elif builder.takes_foreign:
        builder.text(json.dumps(part, default=str))
        if kind is not None:
            builder.endpoint("chat_completions")
    else:
        raise builder.unknown(kind, where=where)


def _image(builder: RequestBuilder, part: Mapping[str, Any]) -> None:
    image = part.get("image_url")
    detail = part.get("detail")
    if isinstance(image, Mapping):
        detail = image.get("detail", detail)
        image = image.get("url")
    if image is None and part.get("file_id"):
        builder.endpoint("responses")  # Chat Completions has no image by its id
    builder.image(image, detail=detail)


def _file(builder: RequestBuilder, part: Mapping[str, Any]) -> None:
    held = part.get("file")
    file: Mapping[str, Any] = held if isinstance(held, Mapping) else part
    data = file.get("file_data")
    if data is None and file.get("file_url"):
        builder.endpoint("responses")  # nor a file by its address
    builder.document(data, filename=file.get("filename"), reference=data is None)
