"""One routed call: what the core's driver asks of this adapter, from the decision to the answer."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Callable, Generator, Iterable, Iterator, Mapping, Sequence
from contextlib import aclosing, closing, suppress
from dataclasses import replace
from functools import partial
from types import SimpleNamespace, TracebackType
from typing import TYPE_CHECKING, Any, Final, cast

from langchain_core.messages import BaseMessage
from langchain_core.outputs import ChatGenerationChunk, ChatResult
from langchain_core.utils.pydantic import is_basemodel_subclass
from openai import APITimeoutError, LengthFinishReasonError
from openai.types.chat import ChatCompletion

from langchain_routed import _answers
from langchain_routed._body import body_of, conversation_of
from langchain_routed._delegates import Delegate, genuine
from langchain_routed._errors import as_langchains, raised
from langchain_routed._plan import PLAN, PreparedCall
from routed_llm import Answered, Decision, RetryLimits, classify_error, short_record
from routed_llm.calls.driver import Driven, Reading, flow, stream_flow
from routed_llm.calls.runners import arun, arun_stream, run, run_stream
from routed_llm.calls.wired import NO_USAGE, UsageQuestion

if TYPE_CHECKING:
    from langchain_openai import ChatOpenAI

    from langchain_routed._plan import ParsedCall
    from langchain_routed._planner import CallPlanner
    from routed_llm import Attempts, ErrorFacts, Step
    from routed_llm.record import Record

__all__ = ["RejectedCall", "RoutedCall"]

_PARSER: Final = "langchain_openai.chat_models.base"
_OPENAI: Final = "https://api.openai.com/"
_LEFT_OUT: Final = {
    "parameter": "stream_options",
    "action": "dropped",
    "before": {"include_usage": True},
    "after": None,
    "why": NO_USAGE,
}


class RoutedCall:
    """A decided call on its way; when another model takes over, it goes on with that one.

    Args:
        planner: where it was planned.
        parsed: what was asked.
        decision: what was decided; something was chosen.

    Attributes:
        prepared: what is sent.
        begun: whether a request was made; an answer from the cache never is.
    """

    def __init__(self, planner: CallPlanner, parsed: ParsedCall, decision: Decision) -> None:
        self._planner = planner
        self._parsed = parsed
        self._messages: list[BaseMessage] = []
        self._options: Mapping[str, Any] = {}
        self._manager: Any = None
        self._question = UsageQuestion(planner.takes_usage)
        self.begun = False
        self.prepared = planner.plan(parsed, decision)

    @property
    def model(self) -> str:
        """The name of the model that is asked."""
        return self.prepared.call.model

    # ----- the four ways of calling

    def generate(self, messages: list[BaseMessage], run_manager: Any) -> ChatResult:
        """Make the call and complete its answer."""
        self._messages, self._manager = messages, run_manager
        with raised(self._planner.owner):
            return run(flow(self._driven()), self._send)  # type: ignore[no-any-return] # what _send gives

    async def agenerate(self, messages: list[BaseMessage], run_manager: Any) -> ChatResult:
        """Make the call and complete its answer, without holding the event loop."""
        self._messages, self._manager = messages, run_manager
        with raised(self._planner.owner):
            return await arun(flow(self._driven()), self._asend)  # type: ignore[no-any-return] # what _asend gives

    def stream(
        self, messages: list[BaseMessage], run_manager: Any, options: Mapping[str, Any]
    ) -> Iterator[ChatGenerationChunk]:
        """Make the call and pass its chunks on; the last one has the record."""
        self._messages, self._options = messages, options
        chunks = run_stream(stream_flow(self._driven()), self._send, self._open)
        with raised(self._planner.owner), closing(cast("Generator[ChatGenerationChunk]", chunks)):
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
        with raised(self._planner.owner):
            async with aclosing(chunks):
                async for chunk in chunks:
                    if run_manager is not None:
                        await run_manager.on_llm_new_token(chunk.text, chunk=chunk, **_logprobs(chunk))
                    yield chunk

    def _driven(self) -> Driven:
        options = self._parsed.options
        return Driven(
            self._planner.router,
            self.prepared.decision,
            self,
            self._attempts,
            options.credential,
            options.deadline,
        )

    def _attempts(self, decision: Decision, since: float) -> Attempts:
        planner, parsed = self._planner, self._parsed
        retries = planner.owner.max_retries
        if retries == 0 and self._question.hung:
            retries = 1
        return planner.router.attempts(
            parsed.request,
            decision,
            parsed.options,
            # The models of a factory have clients of their own, which wait and retry by themselves.
            limits=RetryLimits.from_retries(retries, waits=planner.owner.factory is None),
            choose=partial(planner.rechoose, parsed),
            since=since,
        )

    # ----- sending with langchain-openai

    def _send(self, prepared: PreparedCall) -> ChatResult:
        messages, keywords = self._ready(prepared)
        return prepared.delegate._generate(messages, run_manager=self._manager, **keywords)

    async def _asend(self, prepared: PreparedCall) -> ChatResult:
        messages, keywords = self._ready(prepared)
        return await prepared.delegate._agenerate(messages, run_manager=self._manager, **keywords)

    def _open(self, prepared: PreparedCall) -> Iterator[ChatGenerationChunk]:
        messages, keywords = self._ready(prepared, stream=True)
        return prepared.delegate._stream(messages, **keywords)

    async def _aopen(self, prepared: PreparedCall) -> AsyncIterator[ChatGenerationChunk]:
        messages, keywords = self._ready(prepared, stream=True)
        return prepared.delegate._astream(messages, **keywords)

    def _ready(
        self, prepared: PreparedCall, *, stream: bool = False
    ) -> tuple[list[BaseMessage], dict[str, Any]]:
        """Return what a delegate is called with: a factory's own kind makes the body again."""
        usage = self._stream_usage() if stream else {}
        if isinstance(prepared.delegate, Delegate):
            return self._messages, {**prepared.shown, **usage, "stop": prepared.stop, PLAN: self}
        body = self.payload(self._messages, prepared.stop, {"stream": stream})
        keywords = {n: v for n, v in body.items() if n not in ("messages", "input", "model", "stream")}
        if "text_format" in keywords:
            keywords["response_format"] = keywords.pop("text_format")
        elif ((keywords.get("text") or {}).get("format") or {}).get("type") == "json_schema":
            text = dict(keywords.pop("text"))
            form = {name: value for name, value in text.pop("format").items() if name != "type"}
            keywords["response_format"] = {"type": "json_schema", "json_schema": form}
            keywords.update({"text": text} if text else {})
        said = conversation_of(self._planner, self._parsed, prepared, self._messages)
        return said.as_messages(), {"stop": None, **keywords, **usage}

    def _stream_usage(self) -> dict[str, Any]:
        """Return what only a streamed Chat Completions call takes, as the caller or the server wants it."""
        usage, prepared = self._options.get("stream_usage"), self.prepared
        if usage is not None and prepared.call.endpoint == "chat_completions":
            return {"stream_usage": usage}
        if not self._asks_for_usage or self._question.is_asked(prepared.delegate.openai_api_base):
            return {}
        prepared.note(_LEFT_OUT)
        return {"stream_usage": False}

    @property
    def _asks_for_usage(self) -> bool:
        """Whether a stream is asked for its usage although nobody asked for it.

        ChatOpenAI asks at OpenAI's own address only. Without usage nothing can be booked, so a server is
        asked until it refuses, or fails before it has ever answered.
        """
        prepared = self.prepared
        return (
            isinstance(prepared.delegate, Delegate)
            and prepared.call.endpoint == "chat_completions"
            and self._options.get("stream_usage") is None
            and "stream_options" not in prepared.shown
            and self._planner.owner.stream_usage is not True
        )

    def payload(
        self, messages: Sequence[BaseMessage], stop: list[str] | None, keywords: Mapping[str, Any]
    ) -> dict[str, Any]:
        """Return the body that is sent for messages.

        Args:
            messages: the conversation.
            stop: the stop sequences.
            keywords: those that traces show; what a hook or langchain-openai changed of them is sent so.
        """
        prepared = self.prepared
        body = body_of(self._planner, self._parsed, prepared, messages, stream=bool(keywords.get("stream")))
        shown = prepared.shown
        body.update({n: v for n, v in keywords.items() if n not in shown or shown[n] is not v})
        if keywords.get("stream"):
            # langchain-openai writes its own question for the usage over what else the caller has said.
            options = {**(shown.get("stream_options") or {}), **(keywords.get("stream_options") or {})}
            if prepared.call.endpoint == "responses":
                options.pop("include_usage", None)  # it always reports the usage, and has no such field
            body.pop("stream_options", None)
            body.update({"stream_options": options} if options else {})
        return body if stop == prepared.stop else {**body, "stop": stop}

    # ----- what the driver asks: see routed_llm.calls.driver.Seam

    def prepare(self, decision: Decision) -> PreparedCall:
        """Return what to send for a decision."""
        if self.prepared.decision is not decision:
            self.prepared = self._planner.plan(self._parsed, decision)
            metadata = getattr(self._manager, "metadata", None) or {}
            if "ls_model_name" in metadata:  # a run is named after the model that serves it
                metadata["ls_model_name"] = self.model
        return self.prepared

    def opened(self, decision: Decision, record: Callable[[], Record]) -> None:
        """Note that a request is made."""
        del decision, record
        self.begun = True

    def spares(self, error: Exception, known: ErrorFacts, *, openais: bool) -> bool:
        """Say whether a stream is begun again without its usage; see :class:`UsageQuestion`."""
        address = self.prepared.delegate.openai_api_base
        unknown = address is not None and not address.startswith(_OPENAI)
        hangs = unknown and isinstance(error, (APITimeoutError, TimeoutError))
        return self._asks_for_usage and self._question.spares(
            address, error, known, openais=openais, hangs=hangs
        )

    def moved(self, step: Step, decision: Decision) -> None:
        """Note for whom the provider did not find what it should have stored."""
        del decision
        if step.kind == "state":
            self._planner.note_lost(self._parsed.options.credential)

    def read(self, answer: ChatResult) -> Reading:
        """Read a whole answer."""
        return _answers.read(answer)

    def complete(self, answer: ChatResult, record: dict[str, Any]) -> ChatResult:
        """Return an answer, cut where it has to end, with its record."""
        prepared = self.prepared
        if prepared.cut is not None and not _answers.is_kept(answer, prepared.cut):
            answer = _answers.cut_result(answer, prepared.cut)
        return _answers.attach(answer, self._recorded(record))

    def reader(self) -> _answers.ChunkReader:
        """Return what reads the stream of what was prepared last."""
        prepared = self.prepared
        streams = prepared.call.stream
        cut = None if prepared.cut is None or not streams else _answers.StreamCut(prepared.cut)
        whole = not streams or not genuine(prepared.delegate)
        return _answers.ChunkReader(cut, whole=whole)

    def pieces(self, answer: ChatResult) -> Iterable[ChatGenerationChunk]:
        """Return a whole answer as the one chunk of a stream."""
        cut = self.prepared.cut
        return [_answers.whole_chunk(answer if cut is None else _answers.cut_result(answer, cut))]

    def last(
        self, reader: Any, held: list[ChatGenerationChunk], record: dict[str, Any]
    ) -> Iterable[ChatGenerationChunk]:
        """Return the end of a stream, with the record."""
        if self._asks_for_usage:
            self._question.was_answered(self.prepared.delegate.openai_api_base)
        last = reader.last(self._recorded(record), self.model)
        schema = self.prepared.shown.get("response_format")
        if self.prepared.plain and isinstance(schema, type) and is_basemodel_subclass(schema):
            # langchain-openai reads the form of an answer from the whole of a stream.
            if (last.generation_info or {}).get("finish_reason") == "length":
                raise LengthFinishReasonError(completion=ChatCompletion.construct())
            with suppress(ValueError):
                last.message.additional_kwargs["parsed"] = schema(**json.loads(reader.text))
        return [*held, last]

    def facts(self, error: Exception) -> ErrorFacts | None:
        """Read a failure that a Responses answer reports in its body, a ValueError to langchain-openai."""
        if type(error) is not ValueError or not error.args or not _raised_in(error.__traceback__, _PARSER):
            return None
        failure = error.args[0]
        if not isinstance(failure, (str, Mapping)):
            failure = {
                "code": getattr(failure, "code", None),
                "message": getattr(failure, "message", str(failure)),
            }
        if isinstance(failure, str):
            code, _, message = failure.partition(": ")
            failure = (
                {"code": code, "message": message}
                if code.isidentifier() and message
                else {"message": failure}
            )
        return replace(classify_error(failure), name="ValueError")

    def second(self, decision: Decision) -> Answered:
        """Make a sampled second call, which no callback and no cache hears of."""
        apart = RoutedCall(self._planner, self._parsed, decision)
        apart._messages = list(self._messages)
        apart.prepared.shown = {n: v for n, v in apart.prepared.shown.items() if n != "stream_options"}
        read = self.read(apart._send(apart.prepared))
        return Answered(read.usage, read.served, read.text)

    def _recorded(self, record: dict[str, Any]) -> dict[str, Any]:
        added = self.prepared.added
        if added:
            record = {**record, "changes": [*record["changes"], *added]}
        return short_record(record) if self._planner.owner.routing_record == "short" else record


def _raised_in(trace: TracebackType | None, module: str) -> bool:
    while trace is not None and trace.tb_next is not None:
        trace = trace.tb_next
    return trace is not None and trace.tb_frame.f_globals.get("__name__") == module


def _logprobs(chunk: ChatGenerationChunk) -> dict[str, Any]:
    logprobs = (chunk.generation_info or {}).get("logprobs")
    return {} if logprobs is None else {"logprobs": logprobs}


class RejectedCall:
    """Stands in for a call that cannot be made: its run begins as the baseline's, and fails.

    With ChatOpenAI the server refuses such a call once its run has begun, so that callbacks, listeners and
    traces hear of the error; here they hear of it, too.

    Args:
        owner: the model that was called.
        error: what stopped the call before anything was sent.
        stop: its stop sequences.
        kwargs: its keywords, as traces may show them.
    """

    begun = False

    def __init__(
        self, owner: ChatOpenAI, error: Exception, stop: list[str] | None, kwargs: Mapping[str, Any]
    ) -> None:
        self.error = as_langchains(error, owner)
        self.model: str = owner.model_name
        # The call as the baseline would have been sent it.
        self.prepared = SimpleNamespace(delegate=owner, stop=stop, shown=dict(kwargs), cut=None, plain=False)

    def _raise(self, *_: Any) -> Any:
        raise self.error

    generate = agenerate = stream = astream = payload = _raise
