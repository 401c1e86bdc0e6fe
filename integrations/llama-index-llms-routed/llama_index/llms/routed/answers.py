"""Answers from Responses in the form that Chat Completions answers have, streamed or whole."""

from __future__ import annotations

from typing import Any, cast

from llama_index.core.base.llms.types import (
    ChatMessage,
    ChatResponse,
    ContentBlock,
    TextBlock,
    ToolCallBlock,
)
from llama_index.llms.openai import OpenAIResponses
from openai import APIError
from openai.types.chat.chat_completion_message_tool_call import ChatCompletionMessageToolCall, Function
from openai.types.responses import (
    ResponseCompletedEvent,
    ResponseErrorEvent,
    ResponseFailedEvent,
    ResponseFunctionCallArgumentsDeltaEvent,
    ResponseFunctionCallArgumentsDoneEvent,
    ResponseFunctionToolCall,
    ResponseIncompleteEvent,
    ResponseOutputItemAddedEvent,
)

__all__ = ["SoFar", "alike"]


class SoFar:
    """What a Responses stream has said until now, in the order it was said."""

    def __init__(self) -> None:
        self._blocks: list[ContentBlock] = []
        self._calls: dict[int, int] = {}  # an item's number in the output to its place among the blocks

    def add(self, response: ChatResponse) -> ChatResponse:
        """Replace an event's own part by all that was said until then.

        Raises:
            APIError: when the event says that the answer failed, which the SDK reports as any event.
        """
        event = response.raw
        if isinstance(event, ResponseFailedEvent | ResponseErrorEvent):
            raise _failure(event)
        if isinstance(event, ResponseCompletedEvent | ResponseIncompleteEvent):
            whole = OpenAIResponses._parse_response_output(event.response.output)
            self._blocks = list(whole.message.blocks)
            response.raw = event.response
        elif isinstance(event, ResponseFunctionCallArgumentsDoneEvent):
            self._extend_call(event.output_index, event.arguments, whole=True)
        else:
            self._start_or_extend_call(event)
            for block in response.message.blocks:
                self._append(block)
        response.message = ChatMessage(role=response.message.role, blocks=list(self._blocks))
        response.delta = response.delta or ""
        response.additional_kwargs = dict(response.additional_kwargs)
        return alike(response)

    def _start_or_extend_call(self, event: Any) -> None:
        if isinstance(event, ResponseOutputItemAddedEvent) and isinstance(
            event.item, ResponseFunctionToolCall
        ):
            self._calls[event.output_index] = len(self._blocks)
            call = ToolCallBlock(tool_call_id=event.item.call_id, tool_name=event.item.name, tool_kwargs="")
            self._blocks.append(call)
        elif isinstance(event, ResponseFunctionCallArgumentsDeltaEvent):
            self._extend_call(event.output_index, event.delta)

    def _extend_call(self, number: int, text: str, *, whole: bool = False) -> None:
        place = self._calls.get(number)
        block = self._blocks[place] if place is not None else None
        if place is not None and isinstance(block, ToolCallBlock):
            before = "" if whole else str(block.tool_kwargs)
            self._blocks[place] = block.model_copy(update={"tool_kwargs": before + text})

    def _append(self, block: ContentBlock) -> None:
        last = self._blocks[-1] if self._blocks else None
        if isinstance(block, TextBlock) and isinstance(last, TextBlock):
            self._blocks[-1] = TextBlock(text=last.text + block.text)
        else:
            self._blocks.append(block)


def alike(response: ChatResponse) -> ChatResponse:
    """Add what the Chat Completions class would: token counts by its names, tool calls in its form.

    LlamaIndex reads a streamed tool call nowhere else (``process_streaming_objects``).
    """
    usage = getattr(response.raw, "usage", None)
    if usage is not None:
        response.additional_kwargs.update(
            usage=usage,
            prompt_tokens=usage.input_tokens,
            completion_tokens=usage.output_tokens,
            total_tokens=usage.total_tokens,
        )
    calls = [block for block in response.message.blocks if isinstance(block, ToolCallBlock)]
    if calls:
        response.message.additional_kwargs["tool_calls"] = [
            ChatCompletionMessageToolCall(
                id=call.tool_call_id or "",
                type="function",
                function=Function(name=call.tool_name, arguments=str(call.tool_kwargs)),
            )
            for call in calls
        ]
    return response


def _failure(event: ResponseFailedEvent | ResponseErrorEvent) -> APIError:
    error = event.response.error if isinstance(event, ResponseFailedEvent) else event
    message = getattr(error, "message", None) or "The response failed and the server gave no reason."
    body = {"message": message, "code": getattr(error, "code", None), "param": getattr(error, "param", None)}
    return APIError(message, request=cast(Any, None), body=body)
