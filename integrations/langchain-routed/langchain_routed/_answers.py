"""Answers: usage read from langchain-openai's results, the routing record attached, content kept plain."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from langchain_core.messages import AIMessageChunk, BaseMessage
from langchain_core.outputs import ChatGenerationChunk, ChatResult

from langchain_routed._messages import ROUTING
from routed_llm import Usage

if TYPE_CHECKING:
    from langchain_routed._cut import StreamCut

__all__ = ["ChunkReader", "attach", "served_by", "text_of", "usage_of", "usage_of_result"]


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


def usage_of_result(result: ChatResult) -> Usage | None:
    """Read what a whole answer cost: the provider's own object where langchain-openai kept it."""
    output = result.llm_output or {}
    if output.get("token_usage"):
        return Usage.from_openai(output["token_usage"], service_tier=output.get("service_tier"))
    return usage_of(result.generations[0].message) if result.generations else None


def served_by(result: ChatResult) -> str | None:
    """Return the model's name as the provider wrote it."""
    name = (result.llm_output or {}).get("model_name")
    if name is None and result.generations:
        name = result.generations[0].message.response_metadata.get("model_name")
    return name


def text_of(result: ChatResult) -> str:
    """Return the text of the first answer."""
    return result.generations[0].message.text if result.generations else ""


def attach(result: ChatResult, record: Mapping[str, Any]) -> ChatResult:
    """Put the routing record into every answer of a call."""
    for generation in result.generations:
        metadata = generation.message.response_metadata
        generation.message.response_metadata = {**metadata, ROUTING: dict(record)}
    return result


class ChunkReader:
    """Reads one attempt at a stream: what of it may pass, where it has to end, its usage and its name.

    From the chunk that says that the answer is finished, or how much it was, all is one last chunk: so one
    chunk has the metadata, as with ChatOpenAI, and that one has the record. No token waits for it.

    Args:
        cut: where the text has to end, or None.
        whole: whether an end without a finish reason is an end, too.

    Attributes:
        begun: whether a token of the answer has come.
        finished: whether the stream has said that the answer is finished.
        usage: what was reported until now, or None.
        served: the model id that the stream names, or None.
    """

    def __init__(self, cut: StreamCut | None, *, whole: bool) -> None:
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
