"""Conversation hygiene: what one model or endpoint left in the history, made fit for the next one.

Nothing the user wrote is lost. Of an answer, its text and its tool calls always stay; what belongs to
one model or endpoint only (reasoning items, item ids, hosted-tool items, audio ids) goes back to the
model it came from and is left out, or turned into text, for any other.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final

from langchain_core.messages import AIMessage, BaseMessage, FunctionMessage, ToolMessage

from langchain_routed._blocks import BREAKPOINT, MEDIA, TEXTS, Media, as_media, block_text, breakpoint_of
from routed_llm.request.wire import ids_apart, spoken

__all__ = ["ITEMS", "ROUTING", "fit", "origin", "pack", "unpack", "unwrapped"]

ROUTING: Final = "routing"
"""Key of ``response_metadata`` that holds the record of a decision."""

ITEMS: Final = "routed_items"
"""Key of ``additional_kwargs`` that holds the Responses items behind a plain answer."""

_V03: Final = ("reasoning", "tool_outputs", "__openai_function_call_ids__")
_CHAT_ANSWER: Final = frozenset({"text", "refusal"})
_STAYS: Final = frozenset(
    {"text", "output_text", "refusal", "tool_call", "function_call", "custom_tool_call"}
)

_FOREIGN: Final = frozenset({"annotations", "cache_control", "extras", "id", "index"})
"""Keys of a text block that LangChain or another provider added, which Chat Completions refuses."""

Known = Callable[[str], str | None]


def origin(message: AIMessage, known: Known) -> tuple[str | None, Mapping[str, Any]]:
    """Return the catalog id of the model that made an answer, and its routing record (maybe empty)."""
    record = message.response_metadata.get(ROUTING)
    if isinstance(record, Mapping) and record.get("model"):
        return str(record["model"]), record
    name = message.response_metadata.get("model_name") or message.response_metadata.get("model")
    return (known(name) if isinstance(name, str) else None), {}


def fit(
    messages: Sequence[BaseMessage],
    *,
    model: str,
    endpoint: str,
    known: Known,
    store: Any = None,
    unmarked: bool = False,
    stateless: bool = False,
    after: str | None = None,
) -> list[BaseMessage]:
    """Return the messages as the chosen model and endpoint can take them; the caller's stay as they are.

    Args:
        messages: the conversation.
        model: catalog id of the chosen model.
        endpoint: ``chat_completions`` or ``responses``.
        known: a function from a model's name to its catalog id, or None for a stranger.
        store: the request's ``store``; with False the provider looks nothing up that it has stored.
        unmarked: whether the model refuses the blocks' marks for the prompt cache.
        stateless: whether nothing that the provider may have stored is to be referred to.
        after: the ``previous_response_id`` that is sent: what it stands for must not be sent again.
    """
    on_responses = endpoint == "responses"
    if after is not None:
        messages = _since(messages, after)
    if on_responses:
        messages = _told_apart(messages)
    several = on_responses and len({m.name for m in messages if isinstance(m, AIMessage)}) > 1
    sent: set[Any] = set()
    fitted: list[BaseMessage] = []
    for message in messages:
        if unmarked and not isinstance(message.content, str):
            message = _without_marks(message)
        if isinstance(message, AIMessage):
            items = _item_ids(message) if on_responses else frozenset()
            same = (
                not stateless
                and sent.isdisjoint(items)
                and _is_its_own(message, model, known)
                and not (store is False and _lacks_reasoning(message))
            )
            sent |= items
            message = _fit_answer(message, same=same, on_responses=on_responses)
            # The one assistant of a conversation is known, and so is who made items.
            speaks = several and not (same and items)
        else:
            if not isinstance(message.content, str):
                message = _fit_blocks(message, on_responses=on_responses)
            speaks = on_responses and not isinstance(message, (ToolMessage, FunctionMessage))
        fitted.append(_named(message) if speaks and message.name else message)
    return fitted


def _named(message: BaseMessage) -> BaseMessage:
    return message.model_copy(update={"content": spoken(message.content, message.name, "text")})


def _item_ids(message: AIMessage) -> frozenset[Any]:
    """Return the ids of the Responses items that an answer is made of; none may be sent twice."""
    items = [*message.additional_kwargs.get(ITEMS, ()), message.additional_kwargs.get("reasoning")]
    if not isinstance(message.content, str):
        items.extend(message.content)
    return frozenset(item["id"] for item in items if isinstance(item, Mapping) and item.get("id"))


def _told_apart(messages: Sequence[BaseMessage]) -> Sequence[BaseMessage]:
    """Return messages in which no call has the id of a call of an earlier turn."""
    renamed = ids_apart([_call_ids(message) for message in messages])
    if renamed is None:
        return messages
    return [_renamed(message, names) for message, names in zip(messages, renamed, strict=True)]


def _call_ids(message: BaseMessage) -> frozenset[Any]:
    if not isinstance(message, AIMessage):
        return frozenset()
    return frozenset(call["id"] for call in (*message.tool_calls, *message.invalid_tool_calls))


def _renamed(message: BaseMessage, names: Mapping[Any, Any]) -> BaseMessage:
    if isinstance(message, ToolMessage):
        return message.model_copy(
            update={"tool_call_id": names.get(message.tool_call_id, message.tool_call_id)}
        )
    if not isinstance(message, AIMessage) or all(names[old] == old for old in _call_ids(message)):
        return message
    # Its items have the ids of the turn that it repeats; so the message speaks for itself.
    calls = {
        key: [{**call, "id": names[call["id"]]} for call in getattr(message, key)]
        for key in ("tool_calls", "invalid_tool_calls")
    }
    extra = {k: v for k, v in message.additional_kwargs.items() if k not in (ITEMS, "tool_calls", *_V03)}
    content = message.content
    if not isinstance(content, str):
        content = [block for block in content if not isinstance(block, Mapping) or not _is_call(block)]
    return message.model_copy(update={**calls, "additional_kwargs": extra, "content": content})


def _is_call(block: Mapping[str, Any]) -> bool:
    return block.get("type") in ("tool_call", "function_call", "custom_tool_call", "tool_use")


def _since(messages: Sequence[BaseMessage], response_id: str) -> Sequence[BaseMessage]:
    """Return the messages without those whose items a stored response has, which are refused as doubled."""
    for index in range(len(messages) - 1, -1, -1):
        message = messages[index]
        if isinstance(message, AIMessage) and message.response_metadata.get("id") == response_id:
            named = message.tool_calls or ITEMS in message.additional_kwargs or _has_ids(message.content)
            return (messages[index + 1 :] if named else ()) or messages
    return messages


def _has_ids(content: Any) -> bool:
    return isinstance(content, list) and any(isinstance(b, Mapping) and b.get("id") for b in content)


def _is_its_own(message: AIMessage, model: str, known: Known) -> bool:
    return origin(message, known)[0] == model or not _signed(message)


def _lacks_reasoning(message: AIMessage) -> bool:
    """Say whether an answer's reasoning is stored by the provider only."""
    blocks = [*message.additional_kwargs.get(ITEMS, ()), message.additional_kwargs.get("reasoning")]
    if not isinstance(message.content, str):
        blocks.extend(message.content)
    carried = [
        bool(block.get("encrypted_content") or (block.get("extras") or {}).get("encrypted_content"))
        for block in blocks
        if isinstance(block, Mapping) and block.get("type", "reasoning") == "reasoning"
    ]
    # Beside reasoning that travels with the conversation, langchain-openai leaves out what does not.
    return bool(carried) and not any(carried)


def _fit_answer(message: AIMessage, *, same: bool, on_responses: bool) -> AIMessage:
    extra = message.additional_kwargs
    plain = isinstance(message.content, str)
    if plain and not (extra.get("refusal") or any(key in extra for key in (ITEMS, "audio", *_V03))):
        return message
    if on_responses and same:
        message = unpack(message)
        content, kept = message.content, dict(message.additional_kwargs)
        old = any(key in kept for key in _V03)  # langchain-openai puts that form in order itself
        if isinstance(content, list) and not old:
            content = _followed(content, calls=bool(message.tool_calls or message.invalid_tool_calls))
        if old and kept.get("refusal") and not message.tool_calls:
            kept.pop("reasoning", None)
        content = content if old else _with_refusal(content, kept, on_responses=True)
        return message.model_copy(update={"content": content, "additional_kwargs": kept})
    content, kept = message.content, {k: v for k, v in extra.items() if k != ITEMS}
    if not (same and not on_responses):
        content, kept = _without_audio(content, kept)
    for key in _V03:
        kept.pop(key, None)
    if not isinstance(content, str):
        content = [unwrapped(block) for block in content]
        content = _chat_content(content) if not on_responses else _stripped(content)
    content = _with_refusal(content, kept, on_responses=on_responses)
    return message.model_copy(update={"content": content, "additional_kwargs": kept, "id": None})


def _with_refusal(content: Any, kept: dict[str, Any], *, on_responses: bool) -> Any:
    """Move a refusal to where both endpoints take it.

    Beside blocks langchain-openai takes its key, even with None, for the mark of its oldest form of answers:
    it then repeats every call that is among the blocks, before them.
    """
    said = kept.pop("refusal", None)
    blocks = [{"type": "text", "text": content}] if content and isinstance(content, str) else content or []
    told = any(isinstance(b := unwrapped(block), Mapping) and b.get("type") == "refusal" for block in blocks)
    # Chat Completions takes a refusal alone.
    if not said or told or (blocks and not on_responses):
        return content
    return [*blocks, {"type": "refusal", "refusal": said}]


def unwrapped(block: Any) -> Any:
    """Return what LangChain's standard form wraps because it has no word for it."""
    if isinstance(block, Mapping) and block.get("type") == "non_standard":
        return block["value"] if isinstance(block.get("value"), Mapping) else block
    return block


def _followed(content: list[Any], *, calls: bool) -> list[Any]:
    """Leave out reasoning that nothing follows, as of an answer that was cut, or a text that has no id.

    Either is refused. Where a refusal was streamed, langchain-openai keeps no id.
    """
    kept: list[Any] = []
    open_reasoning: list[Any] = []
    for block in content:
        kind = block.get("type") if isinstance(block, Mapping) else "text"
        if kind == "reasoning":
            open_reasoning.append(block)
            continue
        if kind not in (*_CHAT_ANSWER, *TEXTS) or (isinstance(block, Mapping) and block.get("id")):
            kept.extend(open_reasoning)
        open_reasoning = []
        kept.append(block)
    return [*kept, *open_reasoning] if calls else kept


def _signed(message: AIMessage) -> bool:
    # An answer that names no model is the caller's own make: it goes on as ChatOpenAI would send it.
    metadata = message.response_metadata
    return any(metadata.get(key) for key in (ROUTING, "model_name", "model", "model_provider"))


def _without_audio(content: Any, extra: dict[str, Any]) -> tuple[Any, dict[str, Any]]:
    # A voice answer is stored by the model that gave it; for any other only its transcript means something.
    audio = extra.pop("audio", None)
    if isinstance(audio, Mapping) and audio.get("transcript") and not content:
        content = str(audio["transcript"])
    if isinstance(content, list):
        content = [_spoken(block) for block in content]
    return content, extra


def _spoken(block: Any) -> Any:
    if not isinstance(block, Mapping) or block.get("type") != "audio":
        return block
    said = block.get("transcript") or (block.get("extras") or {}).get("transcript") or ""
    return {"type": "text", "text": str(said)}


def _chat_content(content: Sequence[Any]) -> Any:
    return [
        _chat_block(block)
        for block in ({"type": "text", "text": b} if isinstance(b, str) else b for b in content)
        if block.get("type") in (*_CHAT_ANSWER, *TEXTS, "audio")
    ] or ""


def _chat_block(block: Mapping[str, Any]) -> Mapping[str, Any]:
    # Ids, indices and phases are of Responses only.
    if block["type"] in TEXTS:
        return {"type": "text", "text": block_text(block)}
    return {"type": "refusal", "refusal": block["refusal"]} if block["type"] == "refusal" else block


def _stripped(content: Sequence[Any]) -> list[Any]:
    # Another model's reasoning cannot be read, and an item id without its reasoning item is refused.
    stripped: list[Any] = []
    for block in content:
        if isinstance(block, str):
            stripped.append({"type": "text", "text": block})
        elif block.get("type") in _STAYS:
            extras = {k: v for k, v in (block.get("extras") or {}).items() if k != "item_id"}
            # A standard tool_call's id is the call's, not the item's.
            item_only = () if block["type"] == "tool_call" else ("id",)
            bare = {k: v for k, v in block.items() if k not in ("extras", *item_only)}
            if extras:
                bare["extras"] = extras
            stripped.append(bare)
    return stripped


def pack(items: Sequence[Any]) -> tuple[str, list[dict[str, Any]]]:
    """Split Responses items into the text a reader wants and the items that the next turn needs.

    The text is not kept twice: text items remember their length only.
    """
    text, packed = [], []
    for item in items:
        if item.get("type") == "text":
            text.append(item.get("text") or "")
            packed.append({**{k: v for k, v in item.items() if k != "text"}, "length": len(text[-1])})
        else:
            packed.append(dict(item))
    return "".join(text), packed


def unpack(message: AIMessage) -> AIMessage:
    """Put the Responses items behind a plain answer back into its content, edits of it included."""
    items = message.additional_kwargs.get(ITEMS)
    if not items or not isinstance(message.content, str):
        return message
    text, at, content = message.content, 0, []
    unedited = sum(item.get("length", 0) for item in items if item["type"] == "text") == len(text)
    calls = {call["id"]: call for call in (*message.tool_calls, *message.invalid_tool_calls)}
    for item in items:
        if item["type"] != "text":
            if item.get("call_id") is None:
                content.append(
                    {k: v for k, v in item.items() if unedited or k != "id" or item["type"] == "reasoning"}
                )
            elif item["call_id"] in calls:
                content.append(_as_called(item, calls[item["call_id"]], unedited=unedited))
        elif unedited:
            rest = {k: v for k, v in item.items() if k != "length"}
            content.append({**rest, "text": text[at : at + item["length"]]})
            at += item["length"]
    if text and not unedited:
        content.append({"type": "text", "text": text})
    extra = {k: v for k, v in message.additional_kwargs.items() if k != ITEMS}
    return message.model_copy(update={"content": content, "additional_kwargs": extra})


def _as_called(item: Mapping[str, Any], call: Mapping[str, Any], *, unedited: bool) -> dict[str, Any]:
    """Return the item of a call as the message now has it: a person may have changed its arguments."""
    bare = {k: v for k, v in item.items() if unedited or k != "id"}
    if item["type"] != "function_call" or not isinstance(call["args"], Mapping):
        return bare
    try:
        same = json.loads(item.get("arguments") or "{}") == call["args"]
    except ValueError:
        same = False
    if same and item.get("name") == call["name"]:
        return bare
    bare.pop("id", None)
    return {**bare, "name": call["name"], "arguments": json.dumps(call["args"], ensure_ascii=False)}


def _without_marks(message: BaseMessage) -> BaseMessage:
    blocks = [_unmarked(block) for block in message.content]
    return message if blocks == message.content else message.model_copy(update={"content": blocks})


def _fit_blocks(message: BaseMessage, *, on_responses: bool) -> BaseMessage:
    if not message.content and on_responses:
        # langchain-openai makes no item of a message without blocks, and an input of no items is refused.
        return message.model_copy(update={"content": ""})
    blocks = [_fit_block(block, on_responses=on_responses) for block in message.content]
    if all(new is old for new, old in zip(blocks, message.content, strict=True)):
        return message
    return message.model_copy(update={"content": blocks})


def _unmarked(block: Any) -> Any:
    if isinstance(block, str) or breakpoint_of(block) is None:
        return block
    bare = {k: v for k, v in block.items() if k != BREAKPOINT}
    extras = {k: v for k, v in (bare.pop("extras", None) or {}).items() if k != BREAKPOINT}
    # langchain-openai reads a text's extras for their mark only; of a file they also hold the name.
    return bare if bare.get("type") in TEXTS or not extras else {**bare, "extras": extras}


def _fit_block(block: Any, *, on_responses: bool) -> Any:
    if isinstance(block, str):
        return {"type": "text", "text": block}
    kind = block.get("type")
    if kind == "text-plain" or (kind == "input_text" and not on_responses):
        return {"type": "text", "text": block_text(block)}
    if kind == "text" and not _FOREIGN.isdisjoint(block):
        extras = block.get("extras")
        mark = {k: v for k, v in extras.items() if k == BREAKPOINT} if isinstance(extras, Mapping) else {}
        return mark | {k: v for k, v in block.items() if k not in _FOREIGN}
    if kind not in MEDIA:
        return block
    media = as_media(block)
    if media is None or not _needs_translation(block, media, on_responses=on_responses):
        return block
    translated = _for_responses(media) if on_responses else _for_chat(media)
    mark = breakpoint_of(block)
    return translated if mark is None else {**translated, BREAKPOINT: mark}


def _needs_translation(block: Mapping[str, Any], media: Media, *, on_responses: bool) -> bool:
    kind = block["type"]
    if media.kind == "image" and media.source is None and not on_responses:
        return False  # Chat Completions has no image by id: langchain-openai says so
    if kind in ("document", "media", "video") or (kind == "image" and (media.file_id or media.detail)):
        return True
    if kind == "image_url":
        return not isinstance(block.get("image_url"), Mapping) or media.file_id is not None
    if kind in ("input_image", "input_file"):
        return not on_responses
    return kind == "file" and media.kind != "file"


def _for_chat(media: Media) -> dict[str, Any]:
    if media.kind == "text":
        return {"type": "text", "text": media.data or ""}
    if media.kind == "image":
        detail = {} if media.detail is None else {"detail": media.detail}
        return {"type": "image_url", "image_url": {"url": media.source, **detail}}
    if media.kind == "audio":
        form = (media.mime or "audio/wav").partition("/")[2]
        data = media.data or (media.url or "").partition(",")[2]
        return {"type": "input_audio", "input_audio": {"data": data, "format": form}}
    if media.file_id is not None:
        return {"type": "file", "file": {"file_id": media.file_id}}
    return {"type": "file", "file": {"filename": media.filename or "file", "file_data": media.source}}


def _for_responses(media: Media) -> dict[str, Any]:
    if media.kind == "text":
        return {"type": "text", "text": media.data or ""}
    if media.kind == "image":
        detail = {} if media.detail is None else {"detail": media.detail}
        where = {"image_url": media.source} if media.file_id is None else {"file_id": media.file_id}
        return {"type": "input_image", **where, **detail}
    if media.file_id is not None:
        return {"type": "input_file", "file_id": media.file_id}
    if media.by_reference:
        return {"type": "input_file", "file_url": media.url}
    return {"type": "input_file", "filename": media.filename or "file", "file_data": media.source}
