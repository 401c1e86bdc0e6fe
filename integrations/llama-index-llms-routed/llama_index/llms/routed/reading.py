"""From LlamaIndex messages and keyword arguments to what the router reads."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

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

from routed_llm import Previous, Request, RequestBuilder, RequestError

__all__ = ["SDK_OPTIONS", "parameters", "portable", "read_request"]

SDK_OPTIONS = frozenset({"extra_headers", "extra_query", "extra_body", "timeout", "stream_options"})
"""Keyword arguments that steer the SDK or the transport and say nothing about the model."""


RESUMED = 8
"""Fewest messages of a conversation that is worth recognising when it is sent again."""

_MEDIA = (ImageBlock, AudioBlock, DocumentBlock)


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


def read_request(
    messages: Sequence[ChatMessage],
    given: Mapping[str, Any],
    *,
    stream: bool = False,
    previous: Previous | None = None,
    locked_to: str | None = None,
) -> Request:
    """Tell the router what a request holds; nothing is fetched and nothing is changed.

    Args:
        messages: the request's messages.
        given: every parameter, by its name on either endpoint.
        stream: whether the answer is to be streamed.
        previous: who answered the turn before, where it is known.
        locked_to: the model that keeps the state which the request refers to.

    Raises:
        RequestError: for a block of a kind that has no place in an OpenAI request, inline data that is
            not what it says, or an impossible parameter.
    """
    builder = RequestBuilder()
    views = [_view(message) for message in messages] if len(messages) >= RESUMED else []
    begun = builder.resume(views) if views else 0
    for message in messages[begun:]:
        _read_message(builder, portable(message))
    if views:
        builder.remember(views)
    for name, value in given.items():
        if name not in SDK_OPTIONS:
            builder.set(name, value)
    builder.set("stream", stream or None)
    return builder.emulates("stop").previous(previous).locked_to(locked_to).build()


def _view(message: ChatMessage) -> tuple[Any, ...]:
    """Return everything that is read of a message."""
    blocks = message.blocks
    text = blocks[0].text if len(blocks) == 1 and type(blocks[0]) is TextBlock else None
    return (
        message.role._value_,
        text,
        None if text is not None else [(type(block).__name__, vars(block)) for block in blocks],
        message.additional_kwargs,
    )


def portable(message: ChatMessage) -> ChatMessage:
    """Return a message that either endpoint takes, the given one when it is that already.

    Upstream's classes keep tool calls twice, as blocks and in the form of the endpoint that made them,
    and pass the second to whichever endpoint comes next. Only the blocks are kept. Images, sound and files
    that a model made are left out of its message on Chat Completions and refused there on Responses, so
    they are left out of both.
    """
    extra = message.additional_kwargs
    answer = message.role == MessageRole.ASSISTANT
    made = answer and any(isinstance(block, _MEDIA) for block in message.blocks)
    if not made and "tool_calls" not in extra and "routing" not in extra:
        return message
    blocks = [block for block in message.blocks if not (answer and isinstance(block, _MEDIA))]
    if not any(isinstance(block, ToolCallBlock) for block in blocks):
        blocks += [_tool_call(call) for call in extra.get("tool_calls") or ()]
    rest = {key: value for key, value in extra.items() if key not in ("tool_calls", "routing")}
    return ChatMessage(role=message.role, blocks=blocks, additional_kwargs=rest)


def _tool_call(call: Any) -> ToolCallBlock:
    plain = call if isinstance(call, Mapping) else call.model_dump()
    function = plain.get("function") or plain
    return ToolCallBlock(
        tool_call_id=plain.get("call_id") or plain.get("id"),
        tool_name=function.get("name") or "",
        tool_kwargs=function.get("arguments") or {},
    )


def _read_message(builder: RequestBuilder, message: ChatMessage) -> None:
    builder.message(message.role.value)
    for block in message.blocks:
        _read_block(builder, block)


def _read_block(builder: RequestBuilder, block: Any) -> None:
    if isinstance(block, TextBlock):
        builder.text(block.text)
    elif isinstance(block, ImageBlock):
        source = str(block.url) if block.url else block.resolve_image().read()
        builder.image(source, detail=block.detail)
    elif isinstance(block, AudioBlock):
        builder.audio(None if block.url else block.resolve_audio().read(), format=block.format)
    elif isinstance(block, DocumentBlock):
        _read_document(builder, block)
    elif isinstance(block, VideoBlock):
        builder.video()
    elif isinstance(block, ToolCallBlock):
        builder.tool_call(block.tool_name, _arguments(block.tool_kwargs))
    elif not isinstance(block, ThinkingBlock):  # thinking is never sent back
        raise builder.unknown(getattr(block, "block_type", type(block).__name__))


def _arguments(given: Any) -> Any:
    # Parsed, so that the same call counts the same whether it was kept as text or as data.
    try:
        return json.loads(given) if isinstance(given, str) else given
    except ValueError:
        return given


def _read_document(builder: RequestBuilder, block: DocumentBlock) -> None:
    if block.url and not (block.data or block.path):
        builder.document(None, mime=block.document_mimetype, filename=block.title, reference=True)
        return
    data = block.data.decode() if isinstance(block.data, bytes) else block.resolve_document().read()
    builder.document(data, mime=block.document_mimetype, filename=block.title)
