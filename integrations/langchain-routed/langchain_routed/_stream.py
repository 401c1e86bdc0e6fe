"""Stream: one attempt at a stream, and what of it may pass."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from langchain_core.outputs import ChatGenerationChunk

from langchain_routed._answers import StreamReader
from routed_llm import IncompleteStream, Run

__all__ = ["Gate", "Stream", "unfinished"]


class Gate:
    """Holds back what a stream opens with, until its first token: until then another model may answer.

    Attributes:
        open: whether anything was passed on.
        text: the text that was passed on.
        finished: whether the stream has said that its answer is finished.
    """

    __slots__ = ("_held", "_text", "finished", "open")

    def __init__(self) -> None:
        self._held: list[ChatGenerationChunk] = []
        self._text: list[str] = []
        self.open = False
        self.finished = False

    @property
    def text(self) -> str:
        """The text that was passed on."""
        return "".join(self._text)

    def note(self, chunk: ChatGenerationChunk) -> None:
        """See whether a chunk from the child says that the answer is finished."""
        said = {**chunk.message.response_metadata, **(chunk.generation_info or {})}
        if said.get("finish_reason") or said.get("status") or said.get("incomplete_details"):
            self.finished = True

    def pass_on(self, chunk: ChatGenerationChunk) -> Iterator[ChatGenerationChunk]:
        """Yield what may be passed on now."""
        if not self.open and not _has_token(chunk):
            self._held.append(chunk)
            return
        yield from self.release()
        self._text.append(chunk.text)
        yield chunk

    def release(self) -> Iterator[ChatGenerationChunk]:
        """Yield what is held back: an answer has begun, or ended without a token."""
        self.open = True
        held, self._held = self._held, []
        yield from held


@dataclass(slots=True)
class Stream:
    """One attempt at a stream, and what has come of it.

    Attributes:
        gate: what may pass.
        reader: what has been read.
        run: its books, once they are open.
        settled: whether they are closed.
    """

    gate: Gate
    reader: StreamReader
    run: Run | None = None
    settled: bool = False

    def abandon(self) -> None:
        """Close the books of a stream that its reader gave up; what had begun to come is billed."""
        if self.run is None or self.settled:
            return
        self.run.abandon(self.reader.usage, served=self.reader.served)

    async def aabandon(self) -> None:
        """Do what :meth:`abandon` does, leaving the event loop free while a ledger works."""
        if self.run is None or self.settled:
            return
        await self.run.aabandon(self.reader.usage, served=self.reader.served)


def unfinished(gate: Gate) -> IncompleteStream | None:
    """Return the error of a stream that has ended without a finish reason, or None."""
    return None if gate.finished else IncompleteStream(received=gate.text)


def _has_token(chunk: ChatGenerationChunk) -> bool:
    message = chunk.message
    if getattr(message, "tool_call_chunks", None):
        return True
    if any(message.additional_kwargs.values()):
        return True
    content = message.content
    if isinstance(content, str):
        return bool(content)
    return any(isinstance(block, str) or _says(block) for block in content)


def _says(block: Mapping[str, Any]) -> bool:
    """Say whether a block has more in it than what it will be about."""
    if block.get("type") in ("text", "reasoning", "refusal"):
        return any(block.get(name) for name in ("text", "summary", "refusal", "encrypted_content", "content"))
    return True
