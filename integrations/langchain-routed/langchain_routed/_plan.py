"""Plan: one decided call, from the entry where it was routed to its answer; no model keeps it."""

from __future__ import annotations

from collections.abc import AsyncGenerator, AsyncIterator, Generator, Iterator, Sequence
from contextlib import aclosing, closing
from dataclasses import dataclass, field
from typing import Any

from langchain_core.messages import BaseMessage
from langchain_core.outputs import ChatGenerationChunk, ChatResult
from langchain_openai.chat_models.base import BaseChatOpenAI

from langchain_routed import _answers
from langchain_routed._children import PLAN, Child
from langchain_routed._cut import StreamCut, cut_result, cut_stream, whole_chunk
from langchain_routed._history import Known, fit
from routed_llm import Decision, Router

__all__ = ["Plan"]


@dataclass(slots=True, kw_only=True)
class Plan:
    """One decided call.

    Attributes:
        decision: the Decision; something was chosen.
        router: the Router that made it and settles it.
        child: the langchain-openai model that makes the call.
        sent: the keywords to send, all but the stop sequences.
        stop: the stop sequences to send, or None.
        cut: the stop sequences at which the answer is cut here, since no model takes them, or None.
        plain: whether an answer from Responses gets the form of a Chat Completions answer.
        known: a function from a model's name to its catalog id.
        added: what the adapter added to the call, as the record's ``changes`` show it.
        begun: set when the request is sent; an answer from the cache never sets it.
    """

    decision: Decision
    router: Router
    child: BaseChatOpenAI
    sent: dict[str, Any]
    stop: list[str] | None = None
    cut: Any = None
    plain: bool
    known: Known
    added: tuple[dict[str, Any], ...] = ()
    begun: bool = field(default=False)

    @property
    def model(self) -> str:
        """The name that is sent."""
        call = self.decision.call
        assert call is not None  # noqa: S101 - a Plan is only made of a Decision that chose
        return call.model

    def keywords(self) -> dict[str, Any]:
        """The keywords for the child's private methods."""
        return {**self.sent, PLAN: self} if isinstance(self.child, Child) else self.sent

    def history(self, messages: Sequence[BaseMessage]) -> list[BaseMessage]:
        """Return the conversation as the chosen model and endpoint can take it."""
        decision = self.decision
        return fit(messages, model=str(decision.model), endpoint=str(decision.endpoint), known=self.known)

    def record(self, settled: dict[str, Any]) -> dict[str, Any]:
        """Return the record to attach: what the router wrote, and what the adapter added."""
        return {**settled, "changes": [*settled["changes"], *self.added]} if self.added else settled

    def generate(self, messages: list[BaseMessage], run_manager: Any) -> ChatResult:
        """Make the call and complete its answer."""
        self.begun, run = True, self.router.begin(self.decision)
        try:
            result = self.child._generate(
                self.history(messages), stop=self.stop, run_manager=run_manager, **self.keywords()
            )
        except BaseException:
            run.cancel()
            raise
        return self._finished(result, run)

    async def agenerate(self, messages: list[BaseMessage], run_manager: Any) -> ChatResult:
        """Make the call and complete its answer."""
        self.begun, run = True, self.router.begin(self.decision)
        try:
            result = await self.child._agenerate(
                self.history(messages), stop=self.stop, run_manager=run_manager, **self.keywords()
            )
        except BaseException:
            run.cancel()
            raise
        return self._finished(result, run)

    def _finished(self, result: ChatResult, run: Any) -> ChatResult:
        settled = run.settle(_answers.usage_of_result(result), served=_answers.served_by(result))
        if self.cut is not None:
            result = cut_result(result, self.cut)
        if self.plain:
            result = _answers.plain_result(result)
        return _answers.attach(result, self.record(settled))

    def stream(
        self, messages: list[BaseMessage], run_manager: Any, keywords: dict[str, Any]
    ) -> Iterator[ChatGenerationChunk]:
        """Make the call and pass its chunks on; the last one has the record."""
        self.begun, run = True, self.router.begin(self.decision)
        reader, settled = _answers.StreamReader(plain=self.plain), False
        try:
            with closing(self._chunks(messages, keywords)) as chunks:
                for chunk in chunks:
                    for ready in reader.feed(chunk):
                        if run_manager is not None:
                            run_manager.on_llm_new_token(ready.text, chunk=ready, **_logprobs(ready))
                        yield ready
            last, settled = self._last(reader, run), True
            if run_manager is not None:
                run_manager.on_llm_new_token(last.text, chunk=last)
            yield last
        finally:
            if not settled:
                _abandon(reader, run)

    async def astream(
        self, messages: list[BaseMessage], run_manager: Any, keywords: dict[str, Any]
    ) -> AsyncIterator[ChatGenerationChunk]:
        """Make the call and pass its chunks on; the last one has the record."""
        self.begun, run = True, self.router.begin(self.decision)
        reader, settled = _answers.StreamReader(plain=self.plain), False
        try:
            async with aclosing(self._achunks(messages, keywords)) as chunks:
                async for chunk in chunks:
                    for ready in reader.feed(chunk):
                        if run_manager is not None:
                            await run_manager.on_llm_new_token(ready.text, chunk=ready, **_logprobs(ready))
                        yield ready
            last, settled = self._last(reader, run), True
            if run_manager is not None:
                await run_manager.on_llm_new_token(last.text, chunk=last)
            yield last
        finally:
            if not settled:
                _abandon(reader, run)

    def _last(self, reader: _answers.StreamReader, run: Any) -> ChatGenerationChunk:
        last = reader.finish(self.record(run.settle(reader.usage, served=reader.served)))
        if reader.served is None:
            # A stream that was cut never came to the chunk that names the model.
            last.message.response_metadata.setdefault("model_name", self.model)
        return last

    @property
    def _whole(self) -> bool:
        """Whether a stream was asked for and the model cannot."""
        call = self.decision.call
        return self.decision.facts.stream and call is not None and not call.stream

    def _chunks(
        self, messages: list[BaseMessage], keywords: dict[str, Any]
    ) -> Generator[ChatGenerationChunk, None, None]:
        """Yield what the child streams, as far as it stays."""
        history = self.history(messages)
        if self._whole:
            result = self.child._generate(history, stop=self.stop, **self.keywords())
            yield whole_chunk(result if self.cut is None else cut_result(result, self.cut))
            return
        source: Any = self.child._stream(history, stop=self.stop, **self.keywords(), **keywords)
        if self.cut is None:
            yield from source
            return
        with closing(source):
            yield from cut_stream(source, self.cut)

    async def _achunks(
        self, messages: list[BaseMessage], keywords: dict[str, Any]
    ) -> AsyncGenerator[ChatGenerationChunk, None]:
        """Yield what the child streams, as far as it stays."""
        history = self.history(messages)
        if self._whole:
            result = await self.child._agenerate(history, stop=self.stop, **self.keywords())
            yield whole_chunk(result if self.cut is None else cut_result(result, self.cut))
            return
        source: Any = self.child._astream(history, stop=self.stop, **self.keywords(), **keywords)
        cut = None if self.cut is None else StreamCut(self.cut)
        async with aclosing(source):
            async for chunk in source:
                yield chunk if cut is None else cut.feed(chunk)
                if cut is not None and cut.found:
                    return
        rest = None if cut is None else cut.finish()
        if rest is not None:
            yield rest


def _logprobs(chunk: ChatGenerationChunk) -> dict[str, Any]:
    logprobs = (chunk.generation_info or {}).get("logprobs")
    return {} if logprobs is None else {"logprobs": logprobs}


def _abandon(reader: _answers.StreamReader, run: Any) -> None:
    # What had begun to arrive is billed by the provider, however it ended.
    if reader.started:
        run.settle(reader.usage, served=reader.served)
    else:
        run.cancel()
