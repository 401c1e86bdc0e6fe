"""Answers: their usage, where they have to end, and the routing record on them.

They end at stop sequences that no model takes, and at the caller's cap where a higher is sent.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from langchain_core.messages import AIMessage, AIMessageChunk, BaseMessage
from langchain_core.messages.ai import UsageMetadata
from langchain_core.outputs import ChatGenerationChunk, ChatResult

from langchain_routed._messages import ITEMS, ROUTING
from routed_llm import AnswerCutter, ContentCutter, Usage
from routed_llm.calls.driver import Reading
from routed_llm.calls.wired import calls_before
from routed_llm.request.wire import ITEMS as WIRE_ITEMS

__all__ = ["ChunkReader", "Cut", "cut_result", "read", "usage_of", "whole_chunk"]

_INCOMPLETE: Final = {"status": "incomplete", "incomplete_details": {"reason": "max_output_tokens"}}
_GONE: Final = ("tool_calls", "function_call", ITEMS)


def usage_of(message: Any) -> Usage | None:
    """Read the framework's ``usage_metadata``; None when the provider reported none."""
    usage = getattr(message, "usage_metadata", None)
    if not usage:
        return None
    into, out = usage.get("input_token_details") or {}, usage.get("output_token_details") or {}
    return Usage(
        input_tokens=usage["input_tokens"],
        output_tokens=usage["output_tokens"],
        cached_tokens=_detail(into, "cache_read"),
        cache_write_tokens=_detail(into, "cache_creation"),
        reasoning_tokens=_detail(out, "reasoning"),
        audio_input_tokens=_detail(into, "audio"),
        audio_output_tokens=_detail(out, "audio"),
        service_tier=message.response_metadata.get("service_tier"),
    )


def _detail(details: Mapping[str, Any], name: str) -> int:
    # langchain-openai puts the tier before the name on the flex and priority tiers.
    return sum(int(v or 0) for k, v in details.items() if k == name or k.endswith(f"_{name}"))


def read(result: ChatResult) -> Reading:
    """Read a whole answer: its usage is the provider's own object where langchain-openai kept it."""
    output = result.llm_output or {}
    first = result.generations[0].message if result.generations else AIMessage("")
    counts, name = output.get("token_usage"), output.get("model_name")
    usage = Usage.from_openai(counts, service_tier=output.get("service_tier")) if counts else usage_of(first)
    served = first.response_metadata.get("model_name") if name is None else name
    return Reading(result, usage, served, first.text)


class ChunkReader:
    """Reads one attempt at a stream: what of it may pass, where it has to end, its usage and its name.

    From the chunk that says that the answer is finished, or how much it was, all is one last chunk: so one
    chunk has the metadata, as with ChatOpenAI, and that one has the record. No token waits for it.

    Args:
        cut: where the text has to end, or None.
        whole: whether an end without a finish reason is an end, too.
    """

    def __init__(self, cut: Cut | None, *, whole: bool) -> None:
        self._cut = cut
        self._said: list[str] = []
        self._held: ChatGenerationChunk | None = None
        self._empty: str | list[Any] = ""
        self.begun = False
        self.finished = whole
        self.usage: Usage | None = None
        self.served: str | None = None

    @property
    def done(self) -> bool:
        """Whether the answer was cut here."""
        return self._cut is not None and self._cut.found

    @property
    def text(self) -> str:
        """The text that was passed on."""
        return "".join(self._said)

    def feed(self, chunk: ChatGenerationChunk) -> list[ChatGenerationChunk]:
        """Take a chunk and return what to pass on now."""
        if self._cut is not None:
            chunk = self._cut.feed(chunk)
        message = chunk.message
        metadata = {**message.response_metadata, **(chunk.generation_info or {})}
        if metadata.get("finish_reason") or metadata.get("status") or metadata.get("incomplete_details"):
            self.finished = True
        self.served = metadata.get("model_name") or self.served
        self.usage = usage_of(message) or self.usage
        self._empty = "" if isinstance(message.content, str) else []
        if self._held is not None and not _says_more(message):
            self._held += chunk
            return []
        passed, self._held = ([] if self._held is None else [self._held]), None
        if getattr(message, "usage_metadata", None) or (chunk.generation_info or {}).get("finish_reason"):
            self._held = chunk
        else:
            passed.append(chunk)
        self.begun = self.begun or any(_has_token(one.message) for one in passed)
        self._said.extend(one.text for one in passed)
        return passed

    def end(self) -> list[ChatGenerationChunk]:
        """Return what was held back, now that the stream has ended or been cut."""
        rest = None if self._cut is None or self.done else self._cut.finish()
        return [] if rest is None else self.feed(rest)

    def last(self, record: Mapping[str, Any], model: str) -> ChatGenerationChunk:
        """Return the last chunk, with the record."""
        last = self._held or ChatGenerationChunk(message=AIMessageChunk(content=self._empty))
        self._said.append(last.text)
        metadata = {**last.message.response_metadata, ROUTING: dict(record)}
        if self.served is None:
            # A stream that was cut never came to the chunk that names the model.
            metadata.setdefault("model_name", model)
        update = {"response_metadata": metadata, "chunk_position": "last"}
        return ChatGenerationChunk(
            message=last.message.model_copy(update=update), generation_info=last.generation_info
        )


def _says_more(message: BaseMessage) -> bool:
    return bool(message.content or message.additional_kwargs or getattr(message, "tool_call_chunks", None))


def _has_token(message: BaseMessage) -> bool:
    if getattr(message, "tool_call_chunks", None) or any(message.additional_kwargs.values()):
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


def cut_result(result: ChatResult, ends: AnswerCutter) -> ChatResult:
    """Cut every answer of a call where it has to end; usage and all else stay."""
    if len(result.generations) == 1 and ends.is_within(read(result).usage):
        return result
    cut = [Cut(ends, whole=True).feed(generation) for generation in result.generations]
    return ChatResult(generations=cut, llm_output=result.llm_output)


class Cut:
    """Cuts one answer, whole or chunk by chunk.

    Args:
        ends: where to cut.
        whole: whether the answer comes at once.
    """

    def __init__(self, ends: AnswerCutter, *, whole: bool = False) -> None:
        self._content = ContentCutter(ends, whole=whole)
        self._most = ends.most

    @property
    def found(self) -> bool:
        """Whether the answer has come to where it has to end: no more of it is needed."""
        return self._content.why is not None

    def feed(self, generation: Any) -> Any:
        """Return an answer, or a chunk of one, with what of its text is certain to stay."""
        message, info = generation.message, generation.generation_info
        if not isinstance(message, AIMessage):
            return generation
        ends = (info or {}).get("finish_reason") or message.response_metadata.get("status")
        content = self._content.feed(message.content, ends=bool(ends))
        if content == message.content and not self.found:
            return generation
        update: dict[str, Any] = {"content": content}
        if self.found:
            update.update(self._ended(message, content))
            info = {**(info or {}), "finish_reason": self._content.why}
        return type(generation)(message=message.model_copy(update=update), generation_info=info)

    def finish(self) -> ChatGenerationChunk | None:
        """Return a chunk with the text that still waits when the stream has ended, or None."""
        content = self._content.finish()
        if content is None:
            return None
        info = {"finish_reason": self._content.why} if self.found else None
        return ChatGenerationChunk(message=AIMessageChunk(content=content), generation_info=info)

    def _ended(self, message: AIMessage, content: Any) -> dict[str, Any]:
        """Return what changes of an answer that ends here: later calls go, and it says why it has ended."""
        before = _made_before(message, content)
        changed: dict[str, Any] = {
            "tool_calls": [call for call in message.tool_calls if call["id"] in before],
            "invalid_tool_calls": [call for call in message.invalid_tool_calls if call["id"] in before],
            "additional_kwargs": {k: v for k, v in message.additional_kwargs.items() if k not in _GONE},
            "response_metadata": message.response_metadata,
        }
        if isinstance(message, AIMessageChunk):
            changed["tool_call_chunks"] = []
        else:
            changed["response_metadata"] = {**message.response_metadata, "finish_reason": self._content.why}
        if self._content.why == "length":
            changed["usage_metadata"] = _unseen(message.usage_metadata, self._most)
            if isinstance(content, list):
                changed["response_metadata"] = {**changed["response_metadata"], **_INCOMPLETE}
        return changed


def _unseen(usage: UsageMetadata | None, most: int | None) -> UsageMetadata | None:
    """Count what was written beyond the cap among what nobody sees, as reasoning: it is billed like it."""
    if usage is None or most is None:
        return usage
    details = usage.get("output_token_details") or {}
    unseen = max(usage["output_tokens"] - most, details.get("reasoning", 0))
    return {**usage, "output_token_details": {**details, "reasoning": unseen}}


def whole_chunk(result: ChatResult) -> ChatGenerationChunk:
    """Return a whole answer as the one chunk of a stream."""
    generation = result.generations[0]
    fields = generation.message.model_dump(exclude={"type"})
    return ChatGenerationChunk(
        message=AIMessageChunk(**fields), generation_info=generation.generation_info or None
    )


def _made_before(message: AIMessage, content: Any) -> set[Any]:
    """Return the ids of the calls that were made before the text ended."""
    if not isinstance(content, str):
        return {_call_id(block) for block in content}
    shown = {"tool_calls": message.tool_calls, WIRE_ITEMS: {"items": message.additional_kwargs.get(ITEMS)}}
    return {call["id"] for call in calls_before(shown, len(content))}


def _call_id(block: Any) -> Any:
    return (block.get("call_id") or block.get("id")) if isinstance(block, dict) else None
