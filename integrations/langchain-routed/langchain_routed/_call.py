"""One routed call: what the core's driver asks of this adapter, from the decision to the answer."""

from __future__ import annotations

from collections.abc import AsyncIterator, Generator, Iterable, Iterator, Mapping, Sequence
from contextlib import aclosing, closing
from dataclasses import dataclass, replace
from functools import partial
from types import TracebackType
from typing import TYPE_CHECKING, Any, cast

from langchain_core.messages import BaseMessage
from langchain_core.outputs import ChatGenerationChunk, ChatResult
from langchain_openai.chat_models.base import BaseChatOpenAI

from langchain_routed import _answers, _usage
from langchain_routed._blocks import BREAKPOINT
from langchain_routed._children import PLAN, Child, genuine
from langchain_routed._cut import Ends, StreamCut, cut_result, whole_chunk
from langchain_routed._errors import Written
from langchain_routed._history import Known, fit
from routed_llm import Answered, Decision, RetryLimits, classify_error, short_record
from routed_llm.calls.driver import Driven, Reading, flow, stream_flow
from routed_llm.calls.runners import arun, arun_stream, run, run_stream

if TYPE_CHECKING:
    from langchain_routed._desk import Desk, ParsedCall
    from routed_llm import Attempts, ErrorFacts, Step

__all__ = ["PreparedCall", "RoutedCall"]

_PARSER = "langchain_openai.chat_models.base"


@dataclass(slots=True, kw_only=True)
class PreparedCall:
    """One request as langchain-openai makes it.

    Attributes:
        decision: what it was made for.
        child: the langchain-openai model that makes it.
        sent: the keywords to send, all but the stop sequences.
        stop: the stop sequences to send, or None.
        cut: where the answer has to be cut here, or None.
        plain: whether an answer from Responses gets the form of a Chat Completions answer.
        unstored: whether the provider seems to store nothing for this credential.
        added: what the adapter added, as the record's ``changes`` show it.
    """

    decision: Decision
    child: BaseChatOpenAI
    sent: dict[str, Any]
    stop: list[str] | None = None
    cut: Ends | None = None
    plain: bool
    unstored: bool = False
    added: tuple[dict[str, Any], ...] = ()

    @property
    def model(self) -> str:
        """The name that is sent."""
        call = self.decision.call
        assert call is not None  # noqa: S101 - it is only made of a Decision that chose
        return call.model

    def history(self, messages: Sequence[BaseMessage], known: Known) -> list[BaseMessage]:
        """Return the conversation as the chosen model and endpoint can take it."""
        decision = self.decision
        call = decision.call
        return fit(
            messages,
            model=str(decision.model),
            endpoint=str(decision.endpoint),
            known=known,
            store=False if self.unstored else self.sent.get("store"),
            unmarked=call is not None and BREAKPOINT in call.dropped,
            stateless=call is not None and call.stateless,
            after=self.sent.get("previous_response_id"),
        )


class RoutedCall:
    """A decided call on its way; when another model takes over, it goes on with that one.

    Args:
        desk: where it was planned.
        parsed: what was asked.
        decision: what was decided; something was chosen.

    Attributes:
        prepared: what is sent.
        begun: whether a request was made; an answer from the cache never is.
    """

    def __init__(self, desk: Desk, parsed: ParsedCall, decision: Decision) -> None:
        self._desk = desk
        self._parsed = parsed
        self._messages: list[BaseMessage] = []
        self._options: Mapping[str, Any] = {}
        self._manager: Any = None
        self.begun = False
        self.prepared = desk.plan(parsed, decision)

    @property
    def model(self) -> str:
        """The name of the model that is asked."""
        return self.prepared.model

    # ----- the four ways of calling

    def generate(self, messages: list[BaseMessage], run_manager: Any) -> ChatResult:
        """Make the call and complete its answer."""
        self._messages, self._manager = messages, run_manager
        with Written(self._desk.owner):
            return cast("ChatResult", run(flow(self._driven()), self._send))

    async def agenerate(self, messages: list[BaseMessage], run_manager: Any) -> ChatResult:
        """Make the call and complete its answer, without holding the event loop."""
        self._messages, self._manager = messages, run_manager
        with Written(self._desk.owner):
            return cast("ChatResult", await arun(flow(self._driven()), self._asend))

    def stream(
        self, messages: list[BaseMessage], run_manager: Any, options: Mapping[str, Any]
    ) -> Iterator[ChatGenerationChunk]:
        """Make the call and pass its chunks on; the last one has the record."""
        self._messages, self._options = messages, options
        chunks = run_stream(stream_flow(self._driven()), self._send, self._open)
        with Written(self._desk.owner), closing(cast("Generator[ChatGenerationChunk]", chunks)):
            for chunk in chunks:
                if run_manager is not None:
                    run_manager.on_llm_new_token(chunk.text, chunk=chunk, **_logprobs(chunk))
                yield chunk

    async def astream(
        self, messages: list[BaseMessage], run_manager: Any, options: Mapping[str, Any]
    ) -> AsyncIterator[ChatGenerationChunk]:
        """Make the call and pass its chunks on, as :meth:`stream` does."""
        self._messages, self._options = messages, options
        chunks: Any = arun_stream(stream_flow(self._driven()), self._asend, self._aopen)
        with Written(self._desk.owner):
            async with aclosing(chunks):
                async for chunk in chunks:
                    if run_manager is not None:
                        await run_manager.on_llm_new_token(chunk.text, chunk=chunk, **_logprobs(chunk))
                    yield chunk

    def _driven(self) -> Driven:
        around = self._parsed.circumstances
        return Driven(
            self._desk.router,
            self.prepared.decision,
            self,
            self._attempts,
            around["credential"],
            around.get("deadline"),
        )

    def _attempts(self, decision: Decision, since: float) -> Attempts:
        desk, parsed = self._desk, self._parsed
        return desk.router.attempts(
            parsed.request,
            decision,
            policy=parsed.policy,
            # The models of a factory have clients of their own, which wait and retry by themselves.
            limits=RetryLimits.from_retries(desk.owner.max_retries, waits=desk.owner.factory is None),
            choose=partial(desk.rechoose, parsed),
            credential=parsed.circumstances["credential"],
            deadline=parsed.circumstances.get("deadline"),
            since=since,
        )

    # ----- sending with langchain-openai

    def _send(self, prepared: PreparedCall) -> ChatResult:
        sent, manager = self._keywords(prepared), self._manager
        messages = self.history(self._messages)
        return prepared.child._generate(messages, stop=prepared.stop, run_manager=manager, **sent)

    async def _asend(self, prepared: PreparedCall) -> ChatResult:
        sent, manager = self._keywords(prepared), self._manager
        messages = self.history(self._messages)
        return await prepared.child._agenerate(messages, stop=prepared.stop, run_manager=manager, **sent)

    def _open(self, prepared: PreparedCall) -> Iterator[ChatGenerationChunk]:
        sent = self._keywords(prepared)
        return _usage.chunks(prepared, self.history(self._messages), sent, self._options)

    async def _aopen(self, prepared: PreparedCall) -> AsyncIterator[ChatGenerationChunk]:
        sent = self._keywords(prepared)
        return _usage.achunks(prepared, self.history(self._messages), sent, self._options)

    def history(self, messages: Sequence[BaseMessage]) -> list[BaseMessage]:
        """Return messages as they are sent."""
        return self.prepared.history(messages, self._desk.known)

    def _keywords(self, prepared: PreparedCall) -> dict[str, Any]:
        return {**prepared.sent, PLAN: self} if isinstance(prepared.child, Child) else prepared.sent

    # ----- what the driver asks: see routed_llm.calls.driver.Seam

    def prepare(self, decision: Decision) -> PreparedCall:
        """Return what to send for a decision."""
        if self.prepared.decision is not decision:
            self.prepared = self._desk.plan(self._parsed, decision)
        return self.prepared

    def opened(self, decision: Decision) -> None:
        """Note that a request is made."""
        del decision
        self.begun = True

    def moved(self, step: Step, decision: Decision) -> None:
        """Note for whom the provider did not find what it should have stored."""
        del decision
        if step.kind == "state":
            self._desk.note_lost(self._parsed.circumstances["credential"])

    def read(self, answer: ChatResult) -> Reading:
        """Read a whole answer."""
        usage, served = _answers.usage_of_result(answer), _answers.served_by(answer)
        return Reading(answer, usage, served, _answers.text_of(answer))

    def complete(self, answer: ChatResult, record: dict[str, Any]) -> ChatResult:
        """Return an answer, cut where it has to end, with its record."""
        prepared = self.prepared
        if prepared.cut is not None and not prepared.cut.keeps(answer):
            answer = cut_result(answer, prepared.cut)
        if prepared.plain:
            answer = _answers.plain_result(answer)
        return _answers.attach(answer, self._recorded(record))

    def reader(self) -> ChunkReader:
        """Return what reads the stream of what was prepared last."""
        prepared = self.prepared
        streams = prepared.decision.call is not None and prepared.decision.call.stream
        cut = None if prepared.cut is None or not streams else StreamCut(prepared.cut)
        whole = not streams or not genuine(prepared.child)
        return ChunkReader(_answers.StreamReader(plain=prepared.plain), cut, whole=whole)

    def pieces(self, answer: ChatResult) -> Iterable[ChatGenerationChunk]:
        """Return a whole answer as the one chunk of a stream."""
        cut = self.prepared.cut
        return [whole_chunk(answer if cut is None else cut_result(answer, cut))]

    def last(
        self, reader: Any, held: list[ChatGenerationChunk], record: dict[str, Any]
    ) -> Iterable[ChatGenerationChunk]:
        """Return the end of a stream, with the record."""
        return [*held, reader.last(self._recorded(record), self.prepared.model)]

    def facts(self, error: Exception) -> ErrorFacts | None:
        """Read a failure that a Responses answer reports in its body, a ValueError to langchain-openai."""
        if type(error) is not ValueError or not error.args or not _raised_in(error.__traceback__, _PARSER):
            return None
        told = error.args[0]
        if not isinstance(told, (str, Mapping)):
            told = {"code": getattr(told, "code", None), "message": getattr(told, "message", str(told))}
        if isinstance(told, str):
            code, _, message = told.partition(": ")
            told = (
                {"code": code, "message": message} if code.isidentifier() and message else {"message": told}
            )
        return replace(classify_error(told), name="ValueError")

    def second(self, decision: Decision) -> Answered:
        """Make a sampled second call, which no callback and no cache hears of."""
        apart = RoutedCall(self._desk, self._parsed, decision)
        apart._messages = list(self._messages)
        apart.prepared.sent = {**apart.prepared.sent, "stream": False}
        apart.prepared.sent.pop("stream_options", None)
        read = self.read(apart._send(apart.prepared))
        return Answered(read.usage, read.served, read.text)

    def _recorded(self, record: dict[str, Any]) -> dict[str, Any]:
        added = self.prepared.added
        if added:
            record = {**record, "changes": [*record["changes"], *added]}
        return short_record(record) if self._desk.owner.routing_record == "short" else record


class ChunkReader:
    """Reads one attempt at a stream: what of it may pass, and where it has to end.

    Args:
        reader: finds usage and name, and completes the last chunk.
        cut: where the text has to end, or None.
        whole: whether an end without a finish reason is an end, too.
    """

    def __init__(self, reader: _answers.StreamReader, cut: StreamCut | None, *, whole: bool) -> None:
        self._reader = reader
        self._cut = cut
        self._said: list[str] = []
        self.begun = False
        self.finished = whole

    @property
    def usage(self) -> Any:
        """What was reported until now, or None."""
        return self._reader.usage

    @property
    def served(self) -> str | None:
        """The model id that the stream names, or None."""
        return self._reader.served

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
        said = {**chunk.message.response_metadata, **(chunk.generation_info or {})}
        if said.get("finish_reason") or said.get("status") or said.get("incomplete_details"):
            self.finished = True
        return self._passed(self._reader.feed(chunk))

    def end(self) -> list[ChatGenerationChunk]:
        """Return what was held back, now that the stream has ended or been cut."""
        rest = None if self._cut is None or self.done else self._cut.finish()
        return [] if rest is None else self._passed(self._reader.feed(rest))

    def last(self, record: Mapping[str, Any], model: str) -> ChatGenerationChunk:
        """Return the last chunk, with the record."""
        last = self._reader.finish(record)
        if self.served is None:
            # A stream that was cut never came to the chunk that names the model.
            last.message.response_metadata.setdefault("model_name", model)
        return last

    def _passed(self, chunks: Iterable[ChatGenerationChunk]) -> list[ChatGenerationChunk]:
        passed = list(chunks)
        self.begun = self.begun or any(map(_has_token, passed))
        self._said.extend(chunk.text for chunk in passed)
        return passed


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


def _raised_in(trace: TracebackType | None, module: str) -> bool:
    while trace is not None and trace.tb_next is not None:
        trace = trace.tb_next
    return trace is not None and trace.tb_frame.f_globals.get("__name__") == module


def _logprobs(chunk: ChatGenerationChunk) -> dict[str, Any]:
    logprobs = (chunk.generation_info or {}).get("logprobs")
    return {} if logprobs is None else {"logprobs": logprobs}
