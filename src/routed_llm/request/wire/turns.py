"""The turns of a conversation: Chat Completions' messages as Responses' items, and back.

An answer that came from Responses keeps its items in its message, under :data:`ITEMS`, beside the text and
the tool calls that Chat Completions would show. On Responses the turn is replayed from them, once and in
order: each reasoning item right before what it led to. They count only while they still say what the
message says, and only to the model that made them; otherwise the message speaks for itself, without ids.
"""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import count, takewhile
from typing import Any, Final

from routed_llm.request.wire.carry import Carrier, objects

__all__ = [
    "ITEMS",
    "MARK",
    "Replay",
    "chat_messages",
    "response_items",
    "same_model",
    "spoken",
    "tidied",
    "understood",
    "unmarked",
]

ITEMS: Final = "output_items"
"""Key of an assistant message with ``{"model": ..., "items": [...]}``: the answer as Responses gave it."""

MARK: Final = "prompt_cache_breakpoint"

_CALLS: Final = {"function_call": "arguments", "custom_tool_call": "input"}
_OUTPUTS: Final = frozenset({"function_call_output", "custom_tool_call_output"})
_THOUGHT: Final = "rs_"
"""How ids of reasoning begin."""
_LONGEST_ID: Final = 64
"""Characters of a call's id that the provider takes."""
_SNAPSHOT: Final = re.compile(r"-\d{4}-\d{2}-\d{2}$")


def same_model(one: str, other: str) -> bool:
    """Say whether two names are the same model: a dated snapshot is the model that it is of."""
    return _SNAPSHOT.sub("", one) == _SNAPSHOT.sub("", other)


@dataclass(frozen=True, slots=True, kw_only=True)
class Replay:
    """Whether the items of earlier answers may be sent back.

    Attributes:
        own: says of a model's name whether it is the model that is called.
        stateless: whether what earlier turns left with the provider was not found there.
        stored: whether the provider keeps what it answers, so that reasoning need not travel in full.
    """

    own: Callable[[str], bool]
    stateless: bool = False
    stored: bool = True

    def of(self, message: Mapping[str, Any]) -> list[dict[str, Any]] | None:
        """Return the items to replay a message with, or None when it speaks for itself."""
        kept = message.get(ITEMS)
        if not isinstance(kept, Mapping) or self.stateless or not self.own(str(kept.get("model") or "")):
            return None
        items = [dict(item) for item in kept.get("items") or () if isinstance(item, Mapping)]
        items = _as_called(items, message)
        if not items or not _says(items, message):
            return None
        thought = [item for item in items if item.get("type") == "reasoning"]
        if not self.stored and not all(item.get("encrypted_content") for item in thought):
            return None
        return items


def _says(items: Sequence[Mapping[str, Any]], message: Mapping[str, Any]) -> bool:
    """Say whether items hold the text and the calls that a message shows: it may have been edited since."""
    said = [part for item in items if item.get("type") == "message" for part in item.get("content") or ()]
    text = "".join(str(part.get("text") or "") for part in said)
    refused = "".join(str(part.get("refusal") or "") for part in said)
    calls = [
        (item.get("call_id"), _meant(item.get(_CALLS[str(item["type"])])))
        for item in items
        if item.get("type") in _CALLS
    ]
    shown = [(call.get("id"), _meant(_called(call)[1])) for call in message.get("tool_calls") or ()]
    shows = _text(message.get("content"))
    refusal = str(message.get("refusal") or "")
    return text + refused == shows + refusal and calls == shown


def _as_called(items: Sequence[dict[str, Any]], message: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Return items with their calls as the message now has them: a person may have changed some."""
    shown = {call.get("id"): call for call in message.get("tool_calls") or ()}
    found = []
    for item in items:
        if item.get("type") in _CALLS:
            call = shown.get(item.get("call_id"))
            if call is None:
                continue
            said, (name, arguments) = _CALLS[str(item["type"])], _called(call)
            if (item.get("name"), _meant(item.get(said))) != (name, _meant(arguments)):
                item = {key: value for key, value in item.items() if key != "id"}
                item.update({"name": name, said: arguments})
        found.append(item)
    return found


def _called(call: Mapping[str, Any]) -> tuple[Any, Any]:
    inner = call.get("function") or call.get("custom") or {}
    return inner.get("name"), inner.get("arguments", inner.get("input"))


def _meant(arguments: Any) -> Any:
    """Return what a call's arguments say: frameworks write the same JSON with other spaces."""
    try:
        return json.loads(arguments)
    except (ValueError, TypeError, RecursionError):
        return arguments


def _text(content: Any) -> str:
    if isinstance(content, (list, tuple)):
        return "".join(str(part.get("text") or part.get("refusal") or "") for part in content)
    return str(content or "")


def unmarked(turns: Any) -> Any:
    """Return messages or items without the marks for the prompt cache in their parts."""
    if isinstance(turns, str):
        return turns
    return [
        {
            key: [{k: v for k, v in part.items() if k != MARK} for part in value]
            if key in ("content", "output") and isinstance(value, (list, tuple))
            else value
            for key, value in turn.items()
        }
        for turn in objects(turns, "messages")
    ]


# ----- from Chat Completions to Responses


def response_items(messages: Any, carrier: Carrier, replay: Replay) -> list[dict[str, Any]]:
    """Return messages as the items of Responses' ``input``.

    Raises:
        RequestError: when one has no form there.
    """
    given = _with_own_ids(objects(messages, "messages"))
    # The one assistant of a conversation is known; a model would take to writing its own name.
    several = len({message.get("name") for message in given if message.get("role") == "assistant"}) > 1
    items: list[dict[str, Any]] = []
    sent: set[Any] = set()
    for index, message in enumerate(given):
        if message.get("type", "message") != "message":  # an item that Responses alone has
            items.append(dict(message))
            continue
        said = message if several or message.get("role") != "assistant" else _nameless(message)
        items.extend(_items_of(said, f"messages[{index}]", carrier, replay, sent))
    return tidied(_followed(items))


def _with_own_ids(messages: Sequence[Mapping[str, Any]]) -> Sequence[Mapping[str, Any]]:
    """Return messages in which every call that was answered has an id of its own, which is not too long.

    Chat Completions pairs calls with the outputs right behind them, so that ids may come again (counters
    of other providers, histories put together, two calls at once); Responses pairs them by id over the whole
    input. It refuses ids of more than 64 characters, such as other providers' that hold a signature.
    """
    turns = [_call_ids(message) for message in messages]
    every = [identity for ids in turns for identity in ids]
    if len(every) == len(set(every)) and all(map(_is_short, every)):
        return messages
    used: set[Any] = set()
    names: dict[Any, list[Any]] = {}
    found: list[Mapping[str, Any]] = []
    for index, (message, ids) in enumerate(zip(messages, turns, strict=True)):
        if ids:
            answered = _answers(messages[index + 1 :], turns[index + 1 :])
            names = {identity: [] for identity in ids}
            calls = []
            for call, identity in zip(message["tool_calls"], ids, strict=True):
                # One that stands again but was not answered again is the same call.
                if not names[identity] or len(names[identity]) < answered[identity]:
                    names[identity].append(_another(identity, used))
                    used.add(names[identity][-1])
                calls.append({**call, "id": names[identity][-1]})
            if [call["id"] for call in calls] != ids:
                # Its items have the ids of the turn that it repeats; so the message speaks for itself.
                message = {key: value for key, value in message.items() if key != ITEMS}
                message["tool_calls"] = calls
        elif own := names.get(message.get("tool_call_id")):
            message = {**message, "tool_call_id": own.pop(0) if len(own) > 1 else own[0]}
        found.append(message)
    return found


def _answers(messages: Sequence[Mapping[str, Any]], turns: Sequence[Sequence[Any]]) -> Counter[Any]:
    """Count the outputs for each id before the next message with calls."""
    behind = takewhile(lambda pair: not pair[1], zip(messages, turns, strict=True))
    return Counter(message.get("tool_call_id") for message, _ in behind)


def _call_ids(message: Mapping[str, Any]) -> list[Any]:
    calls = message.get("tool_calls")
    return [call.get("id") for call in objects(calls, "tool_calls")] if calls else []


def _another(identity: Any, used: set[Any]) -> Any:
    """Return an id, or one like it that is short and not used."""
    if identity not in used and _is_short(identity):
        return identity
    like = (f"{str(identity)[: _LONGEST_ID - 6]}_{number}" for number in count(2))
    return next(name for name in like if name not in used)


def _is_short(identity: Any) -> bool:
    return not isinstance(identity, str) or len(identity) <= _LONGEST_ID


def _followed(items: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
    """Leave out reasoning that nothing follows, as of an answer that was cut: the provider refuses it.

    What it led to is a call, the work of a hosted tool, or a text; before a text without its id it must be
    encrypted.
    """
    kept: list[dict[str, Any]] = []
    waiting: list[dict[str, Any]] = []
    for item in items:
        kind = str(item.get("type") or "message")
        if kind == "reasoning":
            waiting.append(item)
            continue
        travels = all(one.get("encrypted_content") for one in waiting)
        own_text = item.get("role") == "assistant" and (travels or item.get("id"))
        if kind not in _OUTPUTS and (kind != "message" or own_text):
            kept.extend(waiting)
        waiting = []
        kept.append(item)
    return kept


def _nameless(message: Mapping[str, Any]) -> Mapping[str, Any]:
    return {key: item for key, item in message.items() if key != "name"} if "name" in message else message


def _items_of(
    message: Mapping[str, Any], where: str, carrier: Carrier, replay: Replay, sent: set[Any]
) -> Iterator[dict[str, Any]]:
    role = str(message.get("role"))
    replayed = replay.of(message) if role == "assistant" else None
    ids = {item["id"] for item in replayed or () if item.get("id")}
    if not sent.isdisjoint(ids):
        replayed = None  # no item may stand twice; what a turn says may
    sent |= ids
    # Who made items is known; without ids they are what someone has written, and a name would be lost.
    if replayed is not None and (not message.get("name") or any(item.get("id") for item in replayed)):
        yield from replayed
        return
    plain = {key: item for key, item in message.items() if key != ITEMS and item is not None}
    carried = carrier.carry(f"message.{role}", plain, where)
    if role == "tool":
        output = _parts(message.get("content"), f"{where}.content", carrier, "input_text")
        yield {"type": "function_call_output", **carried, "output": output}
        return
    parts = _parts(message.get("content"), f"{where}.content", carrier, _TEXTS.get(role, "input_text"))
    if message.get("refusal"):
        parts = [*_listed(parts, "output_text"), {"type": "refusal", "refusal": message["refusal"]}]
    calls = message.get("tool_calls") or ()
    if parts or message.get("name") or not calls:
        said = spoken(parts, message.get("name"), _TEXTS.get(role, "input_text"))
        yield {"type": "message", **carried, "content": said}
    for index, call in enumerate(objects(calls, f"{where}.tool_calls")):
        yield _call_item(call, f"{where}.tool_calls[{index}]", carrier)


_TEXTS: Final = {"assistant": "output_text"}


def _listed(parts: Any, kind: str) -> list[dict[str, Any]]:
    if isinstance(parts, str):
        return [{"type": kind, "text": parts}] if parts else []
    return list(parts)


def spoken(parts: Any, name: Any, kind: str) -> Any:
    """Say who speaks: Responses' messages have no name.

    Args:
        parts: a message's content: a string or a list of parts.
        name: who speaks, or None.
        kind: the type of its parts that are text.
    """
    if not name:
        return parts
    if isinstance(parts, str):
        return f"{name}: {parts}" if parts else f"{name}:"
    if parts and parts[0].get("type") == kind:
        return [{**parts[0], "text": f"{name}: {parts[0].get('text') or ''}"}, *parts[1:]]
    return [{"type": kind, "text": f"{name}:"}, *parts]


def _parts(content: Any, where: str, carrier: Carrier, text: str) -> Any:
    if content is None or isinstance(content, str):
        return content or ""
    return [
        _part(part, f"{where}[{index}]", carrier, text) for index, part in enumerate(objects(content, where))
    ]


def _part(part: Mapping[str, Any], where: str, carrier: Carrier, text: str) -> dict[str, Any]:
    kind = str(part.get("type"))
    if f"part.{kind}" not in carrier.table and kind.startswith(("input_", "output_")):
        return dict(part)  # in Responses' own form already
    carried = carrier.carry(f"part.{kind}", part, where)
    if kind == "text":
        return {"type": text, **carried}
    if kind == "image_url":
        image = part.get("image_url")
        image = image if isinstance(image, Mapping) else {"url": image}
        return {
            "type": "input_image",
            "detail": "auto",
            **carrier.carry("image_url", image, f"{where}.image_url"),
            **carried,
        }
    if kind == "file":
        file = carrier.carry("file", part.get("file") or {}, f"{where}.file")
        return {"type": "input_file", **file, **carried}
    return carried


def _call_item(call: Mapping[str, Any], where: str, carrier: Carrier) -> dict[str, Any]:
    kind = str(call.get("type") or "function")
    carried = carrier.carry(f"call.{kind}", {key: v for key, v in call.items() if key != "index"}, where)
    called = carrier.carry("called", call.get(kind) or {}, f"{where}.{kind}")
    return {"type": "function_call" if kind == "function" else "custom_tool_call", **carried, **called}


def tidied(items: Sequence[Mapping[str, Any]], *, stateless: bool = False) -> list[dict[str, Any]]:
    """Return items with each call and each id once, as a provider that has seen the turn before demands.

    Of a call that stands twice, the one that has its id (and its reasoning before it) stays, or the first.
    One that stands again once it was answered is another call.

    Args:
        items: the items of ``input``.
        stateless: whether to leave out reasoning, references and ids: the provider does not find them.
    """
    best, twice = _calls_once(items)
    # An output that answers a custom tool has another type than one that answers a function.
    custom = {items[at].get("call_id") for at in best if items[at].get("type") == "custom_tool_call"}
    seen: dict[str, Any] = {}
    kept = []
    for index, item in enumerate(items):
        kind, identity = item.get("type"), item.get("id")
        if index in twice or (stateless and kind in ("reasoning", "item_reference")):
            continue
        copy = dict(item)
        if isinstance(identity, str) and identity and kind != "item_reference":
            if identity not in seen:
                seen[identity] = item.get("content")
            elif kind in _CALLS or (kind in ("message", None) and seen[identity] != item.get("content")):
                del copy["id"]  # another item, of a program that gives each of them the same
            else:
                continue
        if kind == "function_call_output" and item.get("call_id") in custom:
            copy["type"] = "custom_tool_call_output"
        if stateless:
            copy.pop("id", None)
        kept.append(copy)
    return kept


def _calls_once(items: Sequence[Mapping[str, Any]]) -> tuple[set[int], set[int]]:
    """Return where calls stand that are sent, and where those that stand there twice."""
    best: dict[tuple[str, int], int] = {}
    answered: Counter[str] = Counter()
    twice: set[int] = set()
    for index, item in enumerate(items):
        kind, call = item.get("type"), item.get("call_id")
        if not isinstance(call, str) or not call:
            continue
        if kind in _OUTPUTS:
            answered[call] += 1
        elif kind in _CALLS:
            first = best.setdefault((call, answered[call]), index)
            if first != index:
                later = bool(item.get("id") and not items[first].get("id"))
                best[call, answered[call]] = index if later else first
                twice.add(first if later else index)
    return set(best.values()), twice


def understood(
    items: Sequence[Mapping[str, Any]], takes: Callable[[Mapping[str, Any]], bool]
) -> list[Mapping[str, Any]]:
    """Return items without the reasoning that a model does not take up, nor the ids of what came of it.

    The provider wants reasoning before what it knows by its id.
    """
    kept: list[Mapping[str, Any]] = []
    unheard = False
    for item in items:
        kind = item.get("type", "message")
        referred = kind == "item_reference"
        if kind == "reasoning" or (referred and str(item.get("id")).startswith(_THOUGHT)):
            unheard = not takes(item)
            if unheard:
                continue
        elif kind in _OUTPUTS or item.get("role", "assistant") != "assistant":
            unheard = False
        elif unheard and not referred:
            item = {key: value for key, value in item.items() if key != "id"}
        kept.append(item)
    return kept


# ----- from Responses to Chat Completions


def chat_messages(given: Any, instructions: Any, carrier: Carrier) -> list[dict[str, Any]]:
    """Return Responses' ``instructions`` and ``input`` as messages.

    Raises:
        RequestError: when an item has no form there.
    """
    messages: list[dict[str, Any]] = []
    if instructions:
        if isinstance(instructions, str):
            messages.append({"role": "system", "content": instructions})
        else:
            messages.extend(chat_messages(instructions, None, carrier))
    if given is None:
        return messages
    if isinstance(given, str):
        return [*messages, {"role": "user", "content": given}]
    for index, item in enumerate(objects(given, "input")):
        _add_item(messages, item, f"input[{index}]", carrier)
    return messages


def _add_item(messages: list[dict[str, Any]], item: Mapping[str, Any], where: str, carrier: Carrier) -> None:
    kind = str(item.get("type") or "message")
    item = {key: value for key, value in item.items() if value is not None}
    carried = carrier.carry(f"item.{kind}", item, where)
    if kind == "message":
        content, refusal = _chat_content(item.get("content"), f"{where}.content", carrier, item.get("role"))
        last = messages[-1] if messages else {}
        silent = not last.get("content") and not last.get("refusal")
        if item.get("role") == "assistant" and last.get("tool_calls") and silent:
            last.update({"content": content, **refusal})  # the outputs must follow the message with the calls
        else:
            messages.append({**carried, "content": content, **refusal})
    elif kind in _CALLS:
        name = "function" if kind == "function_call" else "custom"
        called = {"name": item.get("name"), _CALLS[kind]: item.get(_CALLS[kind])}
        call = {"type": name, **carried, name: called}
        last = messages[-1] if messages else {}
        if last.get("role") != "assistant":
            messages.append(last := {"role": "assistant", "content": None})
        last["tool_calls"] = [*last.get("tool_calls", ()), call]
    elif kind in _OUTPUTS:
        content, _ = _chat_content(item.get("output"), f"{where}.output", carrier, "tool")
        messages.append({"role": "tool", **carried, "content": content})


def _chat_content(content: Any, where: str, carrier: Carrier, role: Any) -> tuple[Any, dict[str, Any]]:
    """Return the content of a message, and its refusal where it has one."""
    if content is None or isinstance(content, str):
        return content or "", {}
    parts = [
        _chat_part(part, f"{where}[{index}]", carrier, role)
        for index, part in enumerate(objects(content, where))
    ]
    if role != "assistant":
        return parts, {}
    refused = "".join(part["refusal"] for part in parts if part["type"] == "refusal")
    said = [part for part in parts if part["type"] != "refusal"]
    text = "".join(part["text"] for part in said)
    return (text or None if refused else text), ({"refusal": refused} if refused else {})


def _chat_part(part: Mapping[str, Any], where: str, carrier: Carrier, role: Any) -> dict[str, Any]:
    kind = str(part.get("type"))
    if f"part.{kind}" not in carrier.table and kind in ("text", "image_url", "input_audio", "file"):
        return dict(part)  # in Chat Completions' own form already
    if kind not in ("input_text", "output_text", "refusal") and role in ("tool", "assistant"):
        raise carrier.stays(where, kind)
    part = {key: value for key, value in part.items() if value is not None}
    carried = carrier.carry(f"part.{kind}", part, where)
    if kind in ("input_text", "output_text"):
        return {"type": "text", **carried}
    if kind == "input_image":
        detail = {"detail": part["detail"]} if "detail" in part else {}
        return {"type": "image_url", **carried, "image_url": {"url": part.get("image_url"), **detail}}
    if kind == "input_file":
        names = ("file_data", "file_id", "filename")
        return {"type": "file", **carried, "file": {name: part[name] for name in names if name in part}}
    return carried
