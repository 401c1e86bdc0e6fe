"""What of a stream may pass before another model can no longer answer in its place."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Generic, TypeVar

from llama_index.core.base.llms.types import ChatResponse, CompletionResponse, ToolCallBlock

from routed_llm import IncompleteStream

__all__ = ["Gate"]

Answer = TypeVar("Answer", ChatResponse, CompletionResponse)


class Gate(Generic[Answer]):
    """Holds back what a stream opens with, until its first token.

    Args:
        may_be_cut: whether the answer is cut here at stop sequences, so that its end may never come.

    Attributes:
        open: whether anything was passed on.
        finished: whether the stream has said that its answer is finished.
    """

    def __init__(self, *, may_be_cut: bool = False) -> None:
        self._may_be_cut = may_be_cut
        self._held: list[Answer] = []
        self._last: Answer | None = None
        self.open = False
        self.finished = False

    def pass_on(self, chunk: Answer) -> Iterator[Answer]:
        """Yield what may be passed on now."""
        self._last = chunk
        self.finished = self.finished or _finishes(chunk)
        if not self.open and not _has_token(chunk):
            self._held.append(chunk)
            return
        yield from self._release()
        yield chunk

    def end(self) -> Iterator[Answer]:
        """Yield what is still held back at the end of a stream: an answer without a token.

        Raises:
            IncompleteStream: when the stream has not said that its answer is finished.
        """
        if not self.finished and not self._may_be_cut:
            raise IncompleteStream(received=_text(self._last) if self.open else "")
        yield from self._release()

    def _release(self) -> Iterator[Answer]:
        self.open = True
        held, self._held = self._held, []
        yield from held


def _has_token(chunk: ChatResponse | CompletionResponse) -> bool:
    if chunk.delta:
        return True
    if isinstance(chunk, CompletionResponse):
        return False
    said = chunk.message
    return bool(said.additional_kwargs.get("tool_calls")) or any(
        isinstance(block, ToolCallBlock) for block in said.blocks
    )


def _finishes(chunk: ChatResponse | CompletionResponse) -> bool:
    choices = getattr(chunk.raw, "choices", None)
    if choices:
        return any(choice.finish_reason for choice in choices)
    # The last event of a Responses stream holds the response itself.
    return getattr(chunk.raw, "status", None) in ("completed", "incomplete")


def _text(chunk: ChatResponse | CompletionResponse | None) -> str:
    if chunk is None:
        return ""
    return chunk.text if isinstance(chunk, CompletionResponse) else (chunk.message.content or "")
