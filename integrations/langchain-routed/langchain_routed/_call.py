"""One routed call: what the core's driver asks of this adapter, from the decision to the answer."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Callable, Generator, Iterable, Iterator, Mapping, Sequence
from contextlib import aclosing, closing, suppress
from dataclasses import dataclass, replace
from functools import partial
from types import SimpleNamespace, TracebackType
from typing import TYPE_CHECKING, Any, Final, cast

from langchain_core.messages import BaseMessage
from langchain_core.outputs import ChatGenerationChunk, ChatResult
from langchain_core.utils.pydantic import is_basemodel_subclass
from langchain_openai.chat_models.base import _construct_responses_api_payload, _get_last_messages
from openai import APITimeoutError, LengthFinishReasonError
from openai.types.chat import ChatCompletion

from langchain_routed import _answers
from langchain_routed._delegates import Delegate, genuine
from langchain_routed._errors import as_langchains, raised
from langchain_routed._messages import PLAN, Conversation, since
from langchain_routed._reading import NOT_SENT, PASSED_ON, as_form, shown
from routed_llm import Answered, Change, Decision, RetryLimits, classify_error, short_record
from routed_llm.calls.driver import Driven, Reading, flow, stream_flow
from routed_llm.calls.runners import arun, arun_stream, run, run_stream
from routed_llm.calls.wired import NO_USAGE, UsageQuestion
from routed_llm.request.wire import request_body

if TYPE_CHECKING:
    from langchain_openai import ChatOpenAI
    from langchain_openai.chat_models.base import BaseChatOpenAI

    from langchain_routed._planner import CallPlanner, ParsedCall
    from routed_llm import Attempts, Call, ErrorFacts, Step
    from routed_llm.record import Record

__all__ = ["RejectedCall", "RoutedCall"]

_PARSER: Final = "langchain_openai.chat_models.base"
_OPENAI: Final = "https://api.openai.com/"
_ENCRYPTED: Final = "reasoning.encrypted_content"
_OPTIONS: Final = ("extra_body", "extra_headers", "extra_query", "timeout")
_TITLES: Final = {"chat_completions": "Chat Completions", "responses": "Responses"}
_HOME: Final = "it goes to the caller's own address only; Router(credentials=...) says what goes to this one"
_TRAVELS: Final = "what is not stored must travel with the conversation"


@dataclass(slots=True, kw_only=True)
class PreparedCall:
    """One request as langchain-openai sends it.

    Attributes:
        decision: what it was made for.
        call: what of it says how it is sent.
        delegate: the langchain-openai model that sends it.
        shown: the call's keywords as traces and hooks see them, all but the stop sequences.
        stop: the stop sequences to send, or None.
        cut: where the answer has to be cut here, or None.
        plain: whether an answer from Responses gets the form of a Chat Completions answer.
        added: what the adapter changed, as the record's ``changes`` show it.
    """

    decision: Decision
    call: Call
    delegate: BaseChatOpenAI
    shown: dict[str, Any]
    stop: list[str] | None
    cut: _answers.Ends | None
    plain: bool
    added: tuple[dict[str, Any], ...] = ()

    @property
    def on_responses(self) -> bool:
        """Whether it goes to Responses."""
        return self.call.endpoint == "responses"

    def note(self, name: str, action: str, before: Any, after: Any, why: str) -> None:
        """Note what was changed, once."""
        change = dict(Change(name, action, before, after, why).to_dict())
        self.added = self.added if change in self.added else (*self.added, change)


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
        self.prepared = self._plan(decision)

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

    # ----- what is sent

    def _plan(self, decision: Decision) -> PreparedCall:
        """Return who sends a decided call, and what of it is known before its messages are."""
        call, parsed, planner = decision.call, self._parsed, self._planner
        assert call is not None  # noqa: S101 - decide() raises when nothing was chosen
        keywords = shown(parsed.parameters, call)
        stop, credential = keywords.pop("stop", None), None
        home: list[str] = []
        if call.base_url is not None and planner.owner.factory is None:
            credential = planner.router.credential_of(decision, parsed.options.own)
            if credential is not None:
                # What was meant for the caller's own address may hold a key.
                home = [name for name in ("extra_headers", "extra_query") if keywords.pop(name, None)]
        # A caller who expects Chat Completions gets an answer in its form.
        moved = call.endpoint == "responses" and not planner.wants_responses(parsed)
        plain = moved and planner.owner.output_version is None
        prepared = PreparedCall(
            decision=decision,
            call=call,
            delegate=planner.delegates.get(call, credential, plain=plain),
            shown=keywords,
            stop=stop,
            cut=_answers.ends_of(parsed.parameters, call),
            plain=plain,
        )
        for name in home:
            prepared.note(name, "dropped", "(not shown)", None, _HOME)
        return prepared

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
        shown, stream = prepared.shown, bool(keywords.get("stream"))
        body = self._body(messages, stream=stream)
        body.update({n: v for n, v in keywords.items() if n not in shown or shown[n] is not v})
        if stream:
            # langchain-openai writes its own question for the usage over what else the caller has said.
            options = {**(shown.get("stream_options") or {}), **(keywords.get("stream_options") or {})}
            if prepared.on_responses:
                options.pop("include_usage", None)  # it always reports the usage, and has no such field
            body.pop("stream_options", None)
            body.update({"stream_options": options} if options else {})
        return body if stop == prepared.stop else {**body, "stop": stop}

    def _body(self, messages: Sequence[BaseMessage], *, stream: bool) -> dict[str, Any]:
        """Return the body for what was asked, with the SDK's options."""
        planner, prepared, parsed = self._planner, self.prepared, self._parsed
        decision, endpoint = prepared.decision, prepared.call.endpoint
        rules = planner.router.catalog.get(str(decision.model)).parameters.get(endpoint, {})
        given = self._asked(messages, stream=stream)
        lost: dict[str, Any] = {}
        encrypted = prepared.on_responses and _is_encrypted(prepared.call, rules)
        body = request_body(
            given, decision, own=lambda _: True, encrypted=encrypted, stream_usage=False, left_out=lost
        )
        included = body.get("include") or ()
        if encrypted and planner.unstored(parsed) and _ENCRYPTED not in included:
            included = body["include"] = [*included, _ENCRYPTED]
        if _ENCRYPTED in included and _ENCRYPTED not in (given.get("include") or ()):
            prepared.note("include", "added", None, _ENCRYPTED, _TRAVELS)
        for place, value in lost.items():
            prepared.note(place, "dropped", value, None, f"{_TITLES[endpoint]} has no place for it")
        if not prepared.on_responses and "max_tokens" in body and planner.owner.factory is None:
            body["max_completion_tokens"] = body.pop("max_tokens")  # as ChatOpenAI does
        if parsed.nulls:
            # A null is sent where the model takes the parameter whatever it is.
            absent = {*rules, *planner.router.catalog.endpoint(endpoint).absent, *NOT_SENT}
            body.update(dict.fromkeys(name for name in parsed.nulls if name not in absent))
        # A setting to stream, in a call that is not to, is sent on: it ends as with ChatOpenAI.
        body["stream"] = planner.owner.streaming and not decision.facts.stream
        body.pop("stream_options", None)
        kept = _OPTIONS if prepared.on_responses else (*_OPTIONS, "strict")
        body.update({name: prepared.shown[name] for name in kept if name in prepared.shown})
        return body

    def _asked(self, messages: Sequence[BaseMessage], *, stream: bool) -> dict[str, Any]:
        """Return what was asked as the wire takes it: in the form of the endpoint that the caller expects."""
        asked, on_responses = self._parsed.parameters, self.prepared.on_responses
        given = {name: value for name, value in asked.items() if name not in PASSED_ON}
        said, strict = self._said(messages), asked.get("strict")
        if not on_responses:
            return {**given, "messages": said.as_chat()}
        if self._is_chained:
            _, given["previous_response_id"] = _get_last_messages(messages)
        if self._planner.wants_responses(self._parsed):
            more = {"stream": stream} if strict is None else {"stream": stream, "strict": strict}
            return {**_construct_responses_api_payload((), {**given, **more}), "input": said.as_items()}
        if (schema := given.pop("response_format", None)) is not None:
            if isinstance(schema, Mapping):
                given["response_format"] = schema if strict is None else as_form(dict(schema), strict=strict)
            elif stream:
                given["response_format"] = as_form(schema, strict=True)
            else:
                given["text_format"] = schema  # the SDK writes it, and reads the answer by it
        return {**given, "messages": said.as_chat()}

    @property
    def _is_chained(self) -> bool:
        """Whether the request goes on from the last response of the history, wherever that is stored."""
        call = self.prepared.call
        chains = self._planner.owner.use_previous_response_id
        return chains and self.prepared.on_responses and not call.stateless

    def _said(self, messages: Sequence[BaseMessage]) -> Conversation:
        """Return messages as the chosen model and endpoint can take them."""
        planner, parsed, prepared = self._planner, self._parsed, self.prepared
        after, store = parsed.parameters.get("previous_response_id"), parsed.parameters.get("store")
        if self._is_chained:
            messages, _ = _get_last_messages(list(messages))
        elif after is not None:
            messages = since(messages, after)
        if planner.unstored(parsed):
            store = False
        elif prepared.on_responses and not planner.wants_responses(parsed):
            store = bool(store)
        return Conversation(
            messages=messages,
            model=str(prepared.decision.model),
            endpoint=prepared.call.endpoint,
            known=planner.known,
            store=store,
            stateless=prepared.call.stateless,
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
        return self._said(self._messages).as_messages(), {"stop": None, **keywords, **usage}

    def _stream_usage(self) -> dict[str, Any]:
        """Return what only a streamed Chat Completions call takes, as the caller or the server wants it."""
        usage, prepared = self._options.get("stream_usage"), self.prepared
        if usage is not None and prepared.call.endpoint == "chat_completions":
            return {"stream_usage": usage}
        if not self._asks_for_usage or self._question.is_asked(prepared.delegate.openai_api_base):
            return {}
        prepared.note("stream_options", "dropped", {"include_usage": True}, None, NO_USAGE)
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

    # ----- what the driver asks: see routed_llm.calls.driver.Seam

    def prepare(self, decision: Decision) -> PreparedCall:
        """Return what to send for a decision."""
        if self.prepared.decision is not decision:
            self.prepared = self._plan(decision)
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
        """Make a sampled second call, which no callback and no cache sees."""
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


def _is_encrypted(call: Call, rules: Mapping[str, Any]) -> bool:
    """Say whether the model's reasoning can travel with the conversation."""
    if call.effort in (None, "none") or _ENCRYPTED in call.dropped:
        return False
    rule = rules.get(_ENCRYPTED)
    return rule is None or rule.accept != "no"


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
