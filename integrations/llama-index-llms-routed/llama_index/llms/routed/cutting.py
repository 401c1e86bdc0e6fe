"""Answers of models that refuse `stop` or cannot stream, given the form that the caller asked for."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import aclosing, closing
from typing import Any, cast

from llama_index.core.base.llms.types import (
    ChatMessage,
    ChatResponse,
    ChatResponseAsyncGen,
    ChatResponseGen,
    ContentBlock,
    TextBlock,
    ToolCallBlock,
)

from routed_llm import Decision, StopCutter

__all__ = ["Shaped", "shape"]


def shape(decision: Decision, given: Mapping[str, Any], *, stream: bool) -> dict[str, Any]:
    """Return the keywords that :class:`Shaped` takes for a decided call; most calls need none.

    Args:
        decision: a decision that chose.
        given: every parameter of the request.
        stream: whether the caller wants a stream.

    Raises:
        RequestError: when the stop sequences are no strings.
    """
    call, wanted = decision.call, {}
    if call is not None and "stop" in call.emulated:
        StopCutter(given["stop"])  # refused now and not once the call is sent
        wanted["cut_at"] = given["stop"]
    if call is not None and stream and not call.stream:
        wanted["whole"] = True
    return wanted


class Shaped:
    """What the classes of both endpoints are given besides: cutting, and a stream of one whole answer.

    It stands below the methods that fire events, so that these show the answer as the caller gets it.
    """

    def _chat(self, messages: Sequence[ChatMessage], *, cut_at: Any = None, **kwargs: Any) -> ChatResponse:
        answer = cast(Any, super())._chat(messages, **kwargs)
        return _cut(answer, cut_at)

    async def _achat(
        self, messages: Sequence[ChatMessage], *, cut_at: Any = None, **kwargs: Any
    ) -> ChatResponse:
        answer = await cast(Any, super())._achat(messages, **kwargs)
        return _cut(answer, cut_at)

    def _stream_chat(
        self, messages: Sequence[ChatMessage], *, cut_at: Any = None, whole: bool = False, **kwargs: Any
    ) -> ChatResponseGen:
        if whole:
            return self._whole(messages, {"cut_at": cut_at, **kwargs})
        chunks = cast(Any, super())._stream_chat(messages, **kwargs)
        return chunks if cut_at is None else _cut_stream(chunks, _Cut(cut_at))

    async def _astream_chat(
        self, messages: Sequence[ChatMessage], *, cut_at: Any = None, whole: bool = False, **kwargs: Any
    ) -> ChatResponseAsyncGen:
        if whole:
            return self._awhole(messages, {"cut_at": cut_at, **kwargs})
        chunks = await cast(Any, super())._astream_chat(messages, **kwargs)
        return chunks if cut_at is None else _acut_stream(chunks, _Cut(cut_at))

    def _whole(self, messages: Sequence[ChatMessage], kwargs: dict[str, Any]) -> ChatResponseGen:
        # A generator, as upstream's streams are: nothing is sent before the first chunk is asked for.
        yield _chunk(self._chat(messages, **kwargs))

    async def _awhole(self, messages: Sequence[ChatMessage], kwargs: dict[str, Any]) -> ChatResponseAsyncGen:
        yield _chunk(await self._achat(messages, **kwargs))


class _Cut:
    """Cuts the answers of one stream, each of which repeats all text until then."""

    def __init__(self, stops: Any) -> None:
        self._cutter = StopCutter(stops)
        self._taken = self._passed = 0

    @property
    def found(self) -> bool:
        return self._cutter.found

    def next(self, answer: ChatResponse) -> ChatResponse:
        """Return an answer with what of its text is certain to stay."""
        text = _text(answer)
        passed = self._cutter.feed(text[self._taken :])
        self._taken = len(text)
        return self._until(answer, passed)

    def last(self, answer: ChatResponse) -> ChatResponse:
        """Return the answer that was the last, with what was kept waiting."""
        return self._until(answer, self._cutter.finish())

    def _until(self, answer: ChatResponse, delta: str) -> ChatResponse:
        self._passed += len(delta)
        message = _upto(answer.message, self._passed, ends=self.found)
        raw = _stopped(answer.raw) if self.found else answer.raw
        return answer.model_copy(update={"message": message, "delta": delta, "raw": raw})


def _cut(answer: ChatResponse, stops: Any) -> ChatResponse:
    if stops is None:
        return answer
    cutter = StopCutter(stops)
    kept = cutter.cut(_text(answer))
    if not cutter.found:
        return answer
    message = _upto(answer.message, len(kept), ends=True)
    return answer.model_copy(update={"message": message, "raw": _stopped(answer.raw)})


def _cut_stream(chunks: ChatResponseGen, cut: _Cut) -> ChatResponseGen:
    last = None
    with closing(chunks):
        for last in chunks:
            yield cut.next(last)
            if cut.found:
                return
    yield from _rest(cut, last)


async def _acut_stream(chunks: ChatResponseAsyncGen, cut: _Cut) -> ChatResponseAsyncGen:
    last = None
    async with aclosing(chunks):
        async for last in chunks:
            yield cut.next(last)
            if cut.found:
                return
    for answer in _rest(cut, last):
        yield answer


def _rest(cut: _Cut, last: ChatResponse | None) -> Iterator[ChatResponse]:
    answer = None if last is None else cut.last(last)
    if answer is not None and (answer.delta or cut.found):
        yield answer


def _text(answer: ChatResponse) -> str:
    return "".join(block.text for block in answer.message.blocks if isinstance(block, TextBlock))


def _upto(message: ChatMessage, length: int, *, ends: bool) -> ChatMessage:
    """Return a message with the first characters of its text, and with nothing after them where it ends."""
    blocks: list[ContentBlock] = []
    left = length
    for block in message.blocks:
        if not isinstance(block, TextBlock):
            blocks.append(block)
            continue
        blocks.append(block.model_copy(update={"text": block.text[:left]}))
        left -= len(block.text)
        if ends and left < 0:
            break
    extra = dict(message.additional_kwargs)
    calls = sum(isinstance(block, ToolCallBlock) for block in blocks)
    if ends and extra.pop("tool_calls", None) and calls:
        extra["tool_calls"] = message.additional_kwargs["tool_calls"][:calls]
    return ChatMessage(role=message.role, blocks=blocks, additional_kwargs=extra)


def _stopped(raw: Any) -> Any:
    """Return what the provider sent with the reason for which the answer ended; programs read it there."""
    choices = getattr(raw, "choices", None)
    if not choices:
        return raw
    first = choices[0].model_copy(update={"finish_reason": "stop"})
    return raw.model_copy(update={"choices": [first, *choices[1:]]})


def _chunk(answer: ChatResponse) -> ChatResponse:
    return answer.model_copy(update={"delta": answer.message.content or ""})
