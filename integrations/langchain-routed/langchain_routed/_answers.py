"""Answers: usage read from langchain-openai's results, the routing record attached, content kept plain."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, Final

from langchain_core.messages import AIMessage, AIMessageChunk
from langchain_core.outputs import ChatGeneration, ChatGenerationChunk, ChatResult
from langchain_core.utils._merge import merge_lists

from langchain_routed._history import ITEMS, ROUTING, pack
from routed_llm import Usage

__all__ = ["StreamReader", "attach", "plain_result", "served_by", "text_of", "token_usage", "usage_of"]

_PLAIN: Final = frozenset({"text", "refusal", "reasoning", "function_call", "custom_tool_call"})
_ALWAYS: Final[Mapping[str, Any]] = {"system_fingerprint": None, "logprobs": None}
"""What the metadata of every Chat Completions answer has, if only as None."""
_FINISH: Final[Mapping[Any, str]] = {"max_output_tokens": "length", "content_filter": "content_filter"}


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


def plain_result(result: ChatResult) -> ChatResult:
    """Give answers from the Responses endpoint the form that Chat Completions answers have."""
    generations = [_plain_generation(generation) for generation in result.generations]
    output = result.llm_output
    if output is None and len(generations) == 1:
        message = generations[0].message
        told = token_usage(message), message.response_metadata.get("model_name")
        if told != (None, None):
            output = {"token_usage": told[0], "model_name": told[1]}
    return ChatResult(generations=generations, llm_output=output)


def _plain_generation(generation: ChatGeneration) -> ChatGeneration:
    message = generation.message
    if (
        not isinstance(message, AIMessage)
        or isinstance(message.content, str)
        or not _is_plain(message.content)
    ):
        return generation
    text, items = pack(message.content)
    refusals = [item["refusal"] for item in items if item.get("type") == "refusal"]
    extra = {"refusal": "".join(refusals) or None, **message.additional_kwargs, ITEMS: items}
    metadata = {**_ALWAYS, **message.response_metadata, "finish_reason": _finish_reason(message)}
    plain = message.model_copy(
        update={"content": text, "additional_kwargs": extra, "response_metadata": metadata}
    )
    return ChatGeneration(message=plain, generation_info=generation.generation_info)


def _is_plain(content: list[Any]) -> bool:
    # Citations and the work of hosted tools have no place in a string.
    return all(isinstance(b, dict) and b.get("type") in _PLAIN and not b.get("annotations") for b in content)


def _finish_reason(message: AIMessage) -> str:
    details = message.response_metadata.get("incomplete_details")
    if isinstance(details, Mapping):
        return _FINISH.get(details.get("reason"), "length")
    return "tool_calls" if message.tool_calls else "stop"


def token_usage(message: Any) -> dict[str, Any] | None:
    """Write the framework's usage in the form of Chat Completions' ``usage`` object."""
    usage = usage_of(message)
    if usage is None:
        return None
    return {
        "prompt_tokens": usage.input_tokens,
        "completion_tokens": usage.output_tokens,
        "total_tokens": usage.input_tokens + usage.output_tokens,
        "prompt_tokens_details": {
            "audio_tokens": usage.audio_input_tokens,
            "cached_tokens": usage.cached_tokens,
            "cache_write_tokens": usage.cache_write_tokens,
        },
        "completion_tokens_details": {
            "accepted_prediction_tokens": 0,
            "audio_tokens": usage.audio_output_tokens,
            "reasoning_tokens": usage.reasoning_tokens,
            "rejected_prediction_tokens": 0,
        },
    }


class StreamReader:
    """Reads one stream: passes its chunks on, finds usage and name, and completes the last chunk.

    From the chunk that says that the answer is finished, or how much it was, all is one last chunk: so one
    chunk has the metadata, as with ChatOpenAI, and that one has the record. No token waits for it.
    """

    def __init__(self, *, plain: bool) -> None:
        self._plain = plain
        self._held: ChatGenerationChunk | None = None
        self._items: dict[Any, dict[str, Any]] = {}
        self._texts: dict[Any, list[str]] = {}
        self._calls: dict[Any, int] = {}
        self._empty: str | list[Any] = "" if plain else []
        self.usage: Usage | None = None
        self.served: str | None = None
        self.started = False

    def feed(self, chunk: ChatGenerationChunk) -> Iterator[ChatGenerationChunk]:
        """Take a chunk from the child and yield what may be passed on."""
        self.started = True
        if self._plain:
            chunk = self._to_plain(chunk)
        self._note(chunk)
        self._empty = "" if isinstance(chunk.message.content, str) else []
        if self._held is not None and not _says_more(chunk):
            self._held += chunk
            return
        if self._held is not None:
            yield self._held
            self._held = None
        if getattr(chunk.message, "usage_metadata", None) or (chunk.generation_info or {}).get(
            "finish_reason"
        ):
            self._held = chunk
        else:
            yield chunk

    def finish(self, record: Mapping[str, Any]) -> ChatGenerationChunk:
        """Return the last chunk, with the routing record."""
        last = self._held or ChatGenerationChunk(message=AIMessageChunk(content=self._empty))
        message = last.message
        update: dict[str, Any] = {
            "response_metadata": {**message.response_metadata, ROUTING: dict(record)},
            "chunk_position": "last",
        }
        items = self._packed()
        if items:
            update["additional_kwargs"] = {**message.additional_kwargs, ITEMS: items}
        return ChatGenerationChunk(
            message=message.model_copy(update=update), generation_info=last.generation_info
        )

    def _note(self, chunk: ChatGenerationChunk) -> None:
        usage = usage_of(chunk.message)
        info = {**chunk.message.response_metadata, **(chunk.generation_info or {})}
        self.served = info.get("model_name") or self.served
        if usage is not None:
            self.usage = usage

    def _to_plain(self, chunk: ChatGenerationChunk) -> ChatGenerationChunk:
        message = chunk.message
        if not isinstance(message, AIMessageChunk) or isinstance(message.content, str):
            return chunk
        text = [self._gather(block) for block in message.content if isinstance(block, dict)]
        update: dict[str, Any] = {"content": "".join(text)}
        if message.tool_call_chunks:
            # Responses counts all items, Chat Completions the calls.
            update["tool_call_chunks"] = [
                {**call, "index": self._calls.setdefault(call["index"], len(self._calls))}
                for call in message.tool_call_chunks
            ]
        refused = [
            b["refusal"] for b in message.content if isinstance(b, dict) and b.get("type") == "refusal"
        ]
        if refused:
            update["additional_kwargs"] = {**message.additional_kwargs, "refusal": "".join(refused)}
        if message.response_metadata.get("status"):
            reason = _finish_reason(message)
            reason = "tool_calls" if reason == "stop" and self._calls else reason
            update["response_metadata"] = {**message.response_metadata, "finish_reason": reason}
        return ChatGenerationChunk(
            message=message.model_copy(update=update), generation_info=chunk.generation_info
        )

    def _gather(self, block: dict[str, Any]) -> str:
        index = block.get("index", len(self._items))
        if block.get("type") != "text":
            known = self._items.get(index)
            merged = [block] if known is None else merge_lists([known], [block])
            self._items[index] = (merged or [block])[0]
            return ""
        text = block.get("text") or ""
        self._items.setdefault(index, {"type": "text", "index": index}).update(
            {k: v for k, v in block.items() if k != "text"}
        )
        self._texts.setdefault(index, []).append(text)
        return text

    def _packed(self) -> list[dict[str, Any]]:
        if not self._plain:
            return []
        items = [
            {**_bare(item), "text": "".join(self._texts.get(index, ()))}
            if item["type"] == "text"
            else _bare(item)
            for index, item in self._items.items()
        ]
        return pack(items)[1]


def _says_more(chunk: ChatGenerationChunk) -> bool:
    message = chunk.message
    return bool(message.content or message.additional_kwargs or getattr(message, "tool_call_chunks", None))


def _bare(item: Mapping[str, Any]) -> dict[str, Any]:
    # The index serves the merging of chunks only.
    bare = {k: v for k, v in item.items() if k != "index"}
    if isinstance(bare.get("summary"), list):
        bare["summary"] = [{k: v for k, v in part.items() if k != "index"} for part in bare["summary"]]
    return bare
