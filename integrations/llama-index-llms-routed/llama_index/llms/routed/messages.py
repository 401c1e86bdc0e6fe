"""LlamaIndex's messages and keyword arguments in OpenAI's own form, as the core reads and sends them."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any, Final

from llama_index.core.base.llms.types import (
    AudioBlock,
    ChatMessage,
    DocumentBlock,
    ImageBlock,
    MessageRole,
    TextBlock,
    ThinkingBlock,
    ToolCallBlock,
    VideoBlock,
)
from llama_index.llms.openai import OpenAI

from routed_llm import RequestError
from routed_llm.request.wire import ITEMS

__all__ = ["chat_messages", "left_out", "parameters"]

_MEDIA: Final = (ImageBlock, AudioBlock, DocumentBlock)
_ANSWERS: Final = frozenset({MessageRole.ASSISTANT, MessageRole.CHATBOT, MessageRole.MODEL})


def parameters(llm: OpenAI, kwargs: Mapping[str, Any]) -> dict[str, Any]:
    """Return every parameter of a request, in upstream's order of precedence.

    The LLM's own ``max_tokens``, ``reasoning_effort`` and ``additional_kwargs`` win over what a call gives.

    Raises:
        RequestError: when the legacy completions endpoint is asked for.
    """
    given = {"temperature": llm.temperature, **kwargs}
    given.pop("stream", None)
    given.pop("routing", None)
    if given.pop("use_chat_completions", True) is False:
        raise RequestError(
            "use_chat_completions=False asks for the legacy completions endpoint, which is not routed. "
            "Leave it out, or use llama_index.llms.openai.OpenAI for this call.",
            where="use_chat_completions",
        )
    own = {
        "max_tokens": llm.max_tokens,
        "logprobs": llm.logprobs or None,
        "top_logprobs": llm.top_logprobs if llm.logprobs else None,
        **llm.additional_kwargs,
        "reasoning_effort": llm.reasoning_effort or llm.additional_kwargs.get("reasoning_effort"),
        "modalities": llm.modalities,
        "audio": llm.audio_config,
    }
    given.update((name, value) for name, value in own.items() if value is not None)
    return {name: value for name, value in given.items() if value is not None}


def chat_messages(messages: Sequence[ChatMessage]) -> list[dict[str, Any]]:
    """Return messages as those of Chat Completions; the caller's stay as they are.

    Tool calls stand once, whichever way a message has them. Images, sound and files that a model made are
    left out of its message: no endpoint takes them there.
    """
    return [_message(message) for message in messages]


def left_out(messages: Sequence[ChatMessage]) -> dict[str, str]:
    """Return what :func:`chat_messages` leaves out, by its place, with the reason."""
    return {
        f"messages[{at}].blocks[{place}]": "no endpoint takes back what a model has made"
        for at, message in enumerate(messages)
        if message.role in _ANSWERS
        for place, block in enumerate(message.blocks)
        if isinstance(block, _MEDIA)
    }


def _message(message: ChatMessage) -> dict[str, Any]:
    blocks, extra = message.blocks, message.additional_kwargs
    role = "assistant" if message.role in _ANSWERS else message.role.value
    if not extra and len(blocks) == 1 and type(blocks[0]) is TextBlock:
        return {"role": role, "content": blocks[0].text}
    answer = role == "assistant"
    if answer and extra.get("reference_audio_id"):
        return {"role": role, "audio": {"id": extra["reference_audio_id"]}}
    kept_calls = [_kept_call(call) for call in extra.get("tool_calls") or ()]
    custom = {call["id"] for call in kept_calls if call["type"] == "custom"}
    calls = [_call(block, custom) for block in blocks if isinstance(block, ToolCallBlock)] or kept_calls
    kept = [
        block
        for block in blocks
        # Thinking is never sent back as text; what a model may take up again stands in its items.
        if not isinstance(block, ToolCallBlock | ThinkingBlock) and not (answer and isinstance(block, _MEDIA))
    ]
    made: dict[str, Any] = {"role": role, "content": _content(kept)}
    if answer and calls:
        made["tool_calls"] = calls
        made["content"] = made["content"] or None
    if answer and extra.get(ITEMS):
        made[ITEMS] = extra[ITEMS]
    if answer and extra.get("function_call") and not calls:
        made["function_call"] = extra["function_call"]
    if answer and extra.get("refusal"):
        made["refusal"] = extra["refusal"]
    if extra.get("name"):
        made["name"] = extra["name"]
    identity = extra.get("tool_call_id", extra.get("call_id"))
    return made if identity is None else {**made, "tool_call_id": identity}


def _content(blocks: Sequence[Any]) -> Any:
    if all(isinstance(block, TextBlock) for block in blocks):
        return "".join(block.text for block in blocks)
    return [_part(block) for block in blocks]


def _part(block: Any) -> dict[str, Any]:
    if isinstance(block, TextBlock):
        return {"type": "text", "text": block.text}
    if isinstance(block, ImageBlock):
        detail = {"detail": block.detail} if block.detail else {}
        return {"type": "image_url", "image_url": {"url": _image(block), **detail}}
    if isinstance(block, AudioBlock):
        data = block.resolve_audio(as_base64=True).read().decode()
        return {"type": "input_audio", "input_audio": {"data": data, "format": block.format}}
    if isinstance(block, DocumentBlock):
        return _document(block)
    if isinstance(block, VideoBlock):
        return {"type": "video_url", "video_url": {"url": str(block.url or "")}}
    return {"type": str(getattr(block, "block_type", type(block).__name__))}


def _image(block: ImageBlock) -> str:
    if block.url:
        return str(block.url)
    data = block.resolve_image(as_base64=True).read().decode()
    return f"data:{block.image_mimetype};base64,{data}"


def _document(block: DocumentBlock) -> dict[str, Any]:
    if block.url and not (block.data or block.path):
        # Only Responses takes a file by its address; nothing is fetched here.
        return {"type": "input_file", "file_url": str(block.url)}
    given = block.data
    data = (
        given.decode()
        if isinstance(given, bytes) and given
        else block._get_b64_string(block.resolve_document())
    )
    file = {"filename": block.title, "file_data": f"data:{block._guess_mimetype()};base64,{data}"}
    return {"type": "file", "file": file}


def _call(block: ToolCallBlock, custom: set[Any]) -> dict[str, Any]:
    kind = "custom" if block.tool_call_id in custom else "function"
    return _made_call(block.tool_call_id, kind, block.tool_name, block.tool_kwargs)


def _kept_call(call: Any) -> dict[str, Any]:
    """Return a call as upstream's classes keep it besides, in the form of the endpoint that made it."""
    plain = call if isinstance(call, Mapping) else call.model_dump()
    kind = "custom" if str(plain.get("type")).startswith("custom") else "function"
    inner = plain.get("function") or plain.get(kind) or plain
    said = inner.get("arguments", inner.get("input"))
    return _made_call(plain.get("call_id") or plain.get("id"), kind, inner.get("name"), said)


def _made_call(identity: Any, kind: str, name: Any, said: Any) -> dict[str, Any]:
    text = said if isinstance(said, str) else json.dumps(said or {})
    if kind == "custom":
        return {"id": identity, "type": kind, "custom": {"name": name or "", "input": text}}
    return {"id": identity, "type": kind, "function": {"name": name or "", "arguments": text or "{}"}}
