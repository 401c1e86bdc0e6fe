"""Plan: one decided call, from the entry where it was routed to its answer; no model keeps it."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Generator, Iterator, Sequence
from contextlib import aclosing, closing
from dataclasses import dataclass, field
from functools import partial
from typing import TYPE_CHECKING, Any

from langchain_core.messages import BaseMessage
from langchain_core.outputs import ChatGenerationChunk, ChatResult
from langchain_openai.chat_models.base import BaseChatOpenAI

from langchain_routed import _answers, _usage
from langchain_routed._blocks import BREAKPOINT
from langchain_routed._children import PLAN, Child, genuine
from langchain_routed._cut import Ends, StreamCut, cut_result, cut_stream, whole_chunk
from langchain_routed._history import Known, fit
from langchain_routed._stream import Gate, Stream, unfinished
from routed_llm import Answered, Decision, Router

if TYPE_CHECKING:
    from langchain_routed._recover import Recovery

__all__ = ["Plan"]


@dataclass(slots=True, kw_only=True)
class Plan:
    """One decided call; when it fails and another model takes over, the same plan becomes that one's.

    Attributes:
        decision: the Decision; something was chosen.
        router: the Router that made it and settles it.
        child: the langchain-openai model that makes the call.
        sent: the keywords to send, all but the stop sequences.
        stop: the stop sequences to send, or None.
        cut: where the answer has to be cut here, or None.
        plain: whether an answer from Responses gets the form of a Chat Completions answer.
        known: a function from a model's name to its catalog id.
        added: what the adapter added to the call, as the record's ``changes`` show it.
        recovery: begins to keep the failures of a call that began at that time of a monotonic clock.
        credential: whose key and address it is sent with, as a fingerprint.
        unstored: whether the provider seems to store nothing for it.
        again: makes the Plan of another Decision for the same call.
        begun: set when the request is sent; an answer from the cache never sets it.
    """

    decision: Decision
    router: Router
    child: BaseChatOpenAI
    sent: dict[str, Any]
    stop: list[str] | None = None
    cut: Ends | None = None
    plain: bool
    known: Known
    recovery: Callable[[float], Recovery]
    credential: str = ""
    unstored: bool = False
    again: Callable[[Decision], Plan]
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
        call = decision.call
        return fit(
            messages,
            model=str(decision.model),
            endpoint=str(decision.endpoint),
            known=self.known,
            store=False if self.unstored else self.sent.get("store"),
            unmarked=call is not None and BREAKPOINT in call.dropped,
            stateless=call is not None and call.stateless,
            after=self.sent.get("previous_response_id"),
        )

    def record(self, settled: dict[str, Any]) -> dict[str, Any]:
        """Return the record to attach: what the router wrote, and what the adapter added."""
        return {**settled, "changes": [*settled["changes"], *self.added]} if self.added else settled

    def take(self, other: Plan) -> None:
        """Become another plan for the same call: the first one failed."""
        for name in _MOVED:
            setattr(self, name, getattr(other, name))

    def generate(self, messages: list[BaseMessage], run_manager: Any) -> ChatResult:
        """Make the call and complete its answer, as often as recovery finds worth it."""
        since, recovery = time.monotonic(), None
        while True:
            run = None
            try:
                run = self._begin(since)
                with run.exchange.current():
                    result = self.child._generate(
                        self.history(messages), stop=self.stop, run_manager=run_manager, **self.keywords()
                    )
            except Exception as error:  # noqa: BLE001 - recovery raises what is not for it
                recovery = recovery or self.recovery(since)
                delay = recovery.after(self, error, run)
            except BaseException:
                if run is not None:
                    run.abandon()
                raise
            else:
                settled = run.settle(_answers.usage_of_result(result), served=_answers.served_by(result))
                return self._finished(result, run, settled, recovery, messages)
            time.sleep(delay)

    async def agenerate(self, messages: list[BaseMessage], run_manager: Any) -> ChatResult:
        """Make the call and complete its answer, as often as recovery finds worth it."""
        since, recovery = time.monotonic(), None
        while True:
            run = None
            try:
                # Each coroutine that need not be costs a call its microsecond.
                run = await self._abegin(since) if self.router.ledger.blocks else self._begin(since)
                with run.exchange.current():
                    result = await self.child._agenerate(
                        self.history(messages), stop=self.stop, run_manager=run_manager, **self.keywords()
                    )
            except Exception as error:  # noqa: BLE001 - recovery raises what is not for it
                recovery = recovery or self.recovery(since)
                delay = await recovery.aafter(self, error, run)
            except BaseException:
                if run is not None:
                    await run.aabandon()
                raise
            else:
                usage, served = _answers.usage_of_result(result), _answers.served_by(result)
                settled = await run.asettle(usage, served=served)
                return self._finished(result, run, settled, recovery, messages)
            await asyncio.sleep(delay)

    def _begin(self, since: float) -> Any:
        self.begun = True
        return self.router.begin(self.decision, since=since)

    async def _abegin(self, since: float) -> Any:
        self.begun = True
        return await self.router.abegin(self.decision, since=since)

    def _finished(
        self,
        result: ChatResult,
        run: Any,
        settled: dict[str, Any],
        recovery: Recovery | None,
        messages: list[BaseMessage],
    ) -> ChatResult:
        record = self._answered(settled, recovery)
        if run.offers:
            run.offer(partial(_send, self.again, list(messages)), _answers.text_of(result))
        if self.cut is not None and not self._within_cap(result):
            result = cut_result(result, self.cut)
        if self.plain:
            result = _answers.plain_result(result)
        return _answers.attach(result, record)

    def _within_cap(self, result: ChatResult) -> bool:
        """Say whether the provider has counted no more than the caller's cap: there is nothing to cut."""
        if self.cut is None or self.cut.most is None or self.cut.stops or len(result.generations) != 1:
            return False
        usage = _answers.usage_of_result(result)
        return usage is not None and 0 < usage.output_tokens - usage.reasoning_tokens <= self.cut.most

    def _answered(self, settled: dict[str, Any], recovery: Recovery | None) -> dict[str, Any]:
        """Note an answer, and return the record to attach: what was settled, added, and tried before."""
        record = self.record(settled)
        if recovery is None:
            self.router.answered(self.decision, credential=self.credential)
            record["attempts"] = []
            return record
        recovery.attempts.answered()
        return recovery.attempts.record(record)

    def stream(
        self, messages: list[BaseMessage], run_manager: Any, keywords: dict[str, Any]
    ) -> Iterator[ChatGenerationChunk]:
        """Make the call and pass its chunks on; the last one has the record.

        Until the first token another model may answer; what one has said is never said again.
        """
        since = time.monotonic()
        recovery: Recovery | None = None
        while True:
            stream = Stream(Gate(), _answers.StreamReader(plain=self.plain))
            try:
                for ready in self._stream(messages, keywords, stream, recovery, since):
                    if run_manager is not None:
                        run_manager.on_llm_new_token(ready.text, chunk=ready, **_logprobs(ready))
                    yield ready
            except Exception as error:  # noqa: BLE001 - recovery raises what is not for it
                recovery = recovery or self.recovery(since)
                delay = recovery.after(self, error, stream.run, stream)
            else:
                return
            time.sleep(delay)

    def _stream(
        self,
        messages: list[BaseMessage],
        keywords: dict[str, Any],
        stream: Stream,
        recovery: Recovery | None,
        since: float,
    ) -> Iterator[ChatGenerationChunk]:
        """Make one attempt at a stream."""
        gate, reader, run = stream.gate, stream.reader, self._begin(since)
        stream.run = run
        try:
            with closing(self._chunks(messages, keywords)) as chunks:
                for chunk in run.exchange.opened(chunks):
                    gate.note(chunk)
                    for ready in reader.feed(chunk):
                        yield from gate.pass_on(ready)
            self._check(gate)
            yield from gate.release()
            record, stream.settled = run.settle(reader.usage, served=reader.served), True
            yield self._last(reader, run, record, recovery, gate, messages)
        except Exception:
            raise  # recovery closes the books, once it knows what went wrong
        except BaseException:
            stream.abandon()
            raise

    async def astream(
        self, messages: list[BaseMessage], run_manager: Any, keywords: dict[str, Any]
    ) -> AsyncIterator[ChatGenerationChunk]:
        """Make the call and pass its chunks on, as :meth:`stream` does."""
        since = time.monotonic()
        recovery: Recovery | None = None
        while True:
            stream = Stream(Gate(), _answers.StreamReader(plain=self.plain))
            try:
                async with aclosing(self._astream(messages, keywords, stream, recovery, since)) as attempt:
                    async for ready in attempt:
                        if run_manager is not None:
                            await run_manager.on_llm_new_token(ready.text, chunk=ready, **_logprobs(ready))
                        yield ready
            except Exception as error:  # noqa: BLE001 - recovery raises what is not for it
                recovery = recovery or self.recovery(since)
                delay = await recovery.aafter(self, error, stream.run, stream)
            else:
                return
            await asyncio.sleep(delay)

    async def _astream(
        self,
        messages: list[BaseMessage],
        keywords: dict[str, Any],
        stream: Stream,
        recovery: Recovery | None,
        since: float,
    ) -> AsyncGenerator[ChatGenerationChunk]:
        """Make one attempt at a stream."""
        gate, reader, run = stream.gate, stream.reader, await self._abegin(since)
        stream.run = run
        try:
            source = self._achunks(messages, keywords)
            async with aclosing(source), aclosing(run.exchange.aopened(source)) as chunks:
                async for chunk in chunks:
                    gate.note(chunk)
                    for ready in reader.feed(chunk):
                        for passed in gate.pass_on(ready):
                            yield passed
            self._check(gate)
            for passed in gate.release():
                yield passed
            record, stream.settled = await run.asettle(reader.usage, served=reader.served), True
            yield self._last(reader, run, record, recovery, gate, messages)
        except Exception:
            raise  # recovery closes the books, once it knows what went wrong
        except BaseException:
            await stream.aabandon()
            raise

    def _check(self, gate: Gate) -> None:
        broken = unfinished(gate) if genuine(self.child) else None
        if broken is not None:
            raise broken

    def _last(
        self,
        reader: _answers.StreamReader,
        run: Any,
        settled: dict[str, Any],
        recovery: Recovery | None,
        gate: Gate,
        messages: list[BaseMessage],
    ) -> ChatGenerationChunk:
        record = self._answered(settled, recovery)
        if run.offers:
            run.offer(partial(_send, self.again, list(messages)), gate.text)
        last = reader.finish(record)
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
        source: Any = _usage.chunks(self, history, keywords)
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
        source: Any = _usage.achunks(self, history, keywords)
        cut = None if self.cut is None else StreamCut(self.cut)
        async with aclosing(source):
            async for chunk in source:
                yield chunk if cut is None else cut.feed(chunk)
                if cut is not None and cut.found:
                    return
        rest = None if cut is None else cut.finish()
        if rest is not None:
            yield rest


def _send(again: Callable[[Decision], Plan], messages: list[BaseMessage], decision: Decision) -> Answered:
    """Make a sampled second call, which no callback and no cache hears of."""
    plan = again(decision)
    whole = {**plan.keywords(), "stream": False}
    whole.pop("stream_options", None)
    result = plan.child._generate(plan.history(messages), stop=plan.stop, **whole)
    return Answered(_answers.usage_of_result(result), _answers.served_by(result), _answers.text_of(result))


_MOVED = ("decision", "child", "sent", "stop", "cut", "plain", "added")


def _logprobs(chunk: ChatGenerationChunk) -> dict[str, Any]:
    logprobs = (chunk.generation_info or {}).get("logprobs")
    return {} if logprobs is None else {"logprobs": logprobs}
