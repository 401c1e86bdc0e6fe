"""One routed call, from what it asks for to its answer: what the core's driver asks of this adapter."""

from __future__ import annotations

import copy
import json
from collections.abc import AsyncIterator, Callable, Generator, Iterable, Iterator, Mapping, Sequence
from contextlib import aclosing, closing, suppress
from dataclasses import dataclass, field, replace
from functools import partial
from traceback import walk_tb
from typing import TYPE_CHECKING, Any, Final, cast

from langchain_core.messages import BaseMessage
from langchain_core.outputs import ChatGenerationChunk, ChatResult
from langchain_core.utils.pydantic import is_basemodel_subclass
from langchain_openai.chat_models.base import _get_last_messages
from openai import APITimeoutError, LengthFinishReasonError
from openai.lib._parsing import type_to_response_format_param
from openai.types.chat import ChatCompletion
from pydantic import TypeAdapter

from langchain_routed import _answers
from langchain_routed._delegates import Delegate, genuine
from langchain_routed._errors import as_langchains, raised
from langchain_routed._messages import PLAN, Conversation, since
from langchain_routed._reading import NOT_SENT, PASSED_ON, as_form, shown
from routed_llm import Answered, Change, Decision, NoModelFits, RetryLimits, classify_error, short_record
from routed_llm.calls.driver import Driven, Reading, flow, stream_flow
from routed_llm.calls.runners import arun, arun_stream, run, run_stream
from routed_llm.calls.wired import NO_USAGE, UsageQuestion, ends_of
from routed_llm.request.wire import request_body

if TYPE_CHECKING:
    from langchain_openai import ChatOpenAI
    from langchain_openai.chat_models.base import BaseChatOpenAI

    from langchain_routed._planner import CallPlanner
    from routed_llm import AnswerCutter, Attempts, Call, CallOptions, ErrorFacts, Request, Step
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
class RoutedCall:
    """A call on its way: what it asks for, and what is sent, which changes when another model takes over.

    Attributes:
        planner: where it was read.
        request: what it asks for, in the router's words.
        parameters: its parameters and the model's, in the caller's own form.
        options: the policy for it, whom it is for and what it may spend.
        items: whether the call itself asks for what only Responses has.
        soft: whether the lock on a model may be given up.
        nulls: names of the parameters that the caller gave as None.
        exact: OpenAI's own count of it, for threads and for event loops; nothing where no policy asks.
        decision: what was decided.
        call: what of that says how it is sent.
        delegate: the langchain-openai model that sends it.
        shown: its keywords as traces and hooks see them, all but the stop sequences.
        stop: the stop sequences to send, or None.
        cut: what ends its answers here, or None.
        plain: whether an answer from Responses gets the form of a Chat Completions answer.
        begun: whether a request was made; an answer from the cache never is.
    """

    planner: CallPlanner
    request: Request
    parameters: dict[str, Any]
    options: CallOptions
    items: bool
    soft: bool
    nulls: tuple[str, ...] = ()
    exact: tuple[Any, Any] | None = None
    decision: Any = None
    call: Call = field(init=False)
    delegate: BaseChatOpenAI = field(init=False)
    shown: dict[str, Any] = field(default_factory=dict)
    stop: list[str] | None = None
    cut: AnswerCutter | None = None
    plain: bool = False
    begun: bool = False
    _added: list[dict[str, Any]] = field(default_factory=list)
    _messages: list[BaseMessage] = field(default_factory=list)
    _asks: Any = None
    _manager: Any = None
    _question: UsageQuestion = field(init=False)

    def __post_init__(self) -> None:
        """Begin to ask."""
        self._question = UsageQuestion(self.planner.takes_usage)

    @property
    def model(self) -> str:
        """The name of the model that is asked."""
        return self.call.model

    @property
    def on_responses(self) -> bool:
        """Whether it goes to Responses."""
        return self.call.endpoint == "responses"

    # ----- deciding

    def decide(self) -> RoutedCall:
        """Decide, giving up a lock that is only worth having.

        Raises:
            NoModelFits: when nothing can serve the call.
        """
        exact = self.exact and self.exact[0]
        try:
            decision = self.planner.router.decide(self.request, self.options, exact=exact)
        except NoModelFits:
            if self.unlock():
                return self.decide()
            raise
        return self.prepare(decision)

    async def adecide(self) -> RoutedCall:
        """Decide without holding the event loop while long texts are counted, as :meth:`decide` does."""
        exact = self.exact and self.exact[1]
        try:
            decision = await self.planner.router.adecide(self.request, self.options, exact=exact)
        except NoModelFits:
            if self.unlock():
                return await self.adecide()
            raise
        return self.prepare(decision)

    def unlock(self) -> bool:
        """Let the call go to any model, where that may be; encrypted reasoning is then left out."""
        soft, self.soft = self.soft, False
        if soft:
            self.request = replace(self.request, facts=replace(self.request.facts, locked_to=None))
        return soft

    def _choose(self, avoid: Mapping[str, str], options: CallOptions) -> Decision | None:
        """Decide for what is left, giving up a lock that is only worth having; None when nothing is."""
        found = self.planner.router.rechoose(self.request, avoid, options)
        return self._choose(avoid, options) if found is None and self.unlock() else found

    @property
    def _wants_responses(self) -> bool:
        """Whether ChatOpenAI under the baseline's name would send the call to Responses, too."""
        planner = self.planner
        return self.items or planner.asks(self.parameters, model_name=planner.owner.model_name)

    @property
    def _unstored(self) -> bool:
        """Whether the provider seems to store nothing for this credential: twice it did not find it."""
        lost = self.planner.lost
        return bool(lost) and lost.get(self.options.credential, 0) > 1

    # ----- the four ways of calling

    def generate(self, messages: list[BaseMessage], run_manager: Any) -> ChatResult:
        """Make the call and complete its answer."""
        self._messages, self._manager = messages, run_manager
        with raised(self.planner.owner):
            return cast("ChatResult", run(flow(self._driven()), partial(self._send, "_generate")))

    async def agenerate(self, messages: list[BaseMessage], run_manager: Any) -> ChatResult:
        """Make the call and complete its answer, without holding the event loop."""
        self._messages, self._manager = messages, run_manager
        with raised(self.planner.owner):
            return cast("ChatResult", await arun(flow(self._driven()), partial(self._send, "_agenerate")))

    def stream(
        self, messages: list[BaseMessage], run_manager: Any, options: Mapping[str, Any]
    ) -> Iterator[ChatGenerationChunk]:
        """Make the call and pass its chunks on; the last one has the record."""
        self._messages, self._asks = messages, options.get("stream_usage")
        chunks = run_stream(stream_flow(self._driven()), partial(self._send, "_generate"), self._open)
        with raised(self.planner.owner), closing(cast("Generator[ChatGenerationChunk]", chunks)):
            for chunk in chunks:
                if run_manager is not None:
                    run_manager.on_llm_new_token(chunk.text, chunk=chunk, **_logprobs(chunk))
                yield chunk

    async def astream(
        self, messages: list[BaseMessage], run_manager: Any, options: Mapping[str, Any]
    ) -> AsyncIterator[ChatGenerationChunk]:
        """Make the call and pass its chunks on, as :meth:`stream` does."""
        self._messages, self._asks = messages, options.get("stream_usage")
        chunks: Any = arun_stream(stream_flow(self._driven()), partial(self._send, "_agenerate"), self._aopen)
        with raised(self.planner.owner):
            async with aclosing(chunks):
                async for chunk in chunks:
                    if run_manager is not None:
                        await run_manager.on_llm_new_token(chunk.text, chunk=chunk, **_logprobs(chunk))
                    yield chunk

    def _driven(self) -> Driven:
        options = self.options
        return Driven(
            self.planner.router, self.decision, self, self._attempts, options.credential, options.deadline
        )

    def _attempts(self, decision: Decision, since: float) -> Attempts:
        owner = self.planner.owner
        retries = 1 if owner.max_retries == 0 and self._question.hung else owner.max_retries
        return self.planner.router.attempts(
            self.request,
            decision,
            self.options,
            # The models of a factory have clients of their own, which wait and retry by themselves.
            limits=RetryLimits.from_retries(retries, waits=owner.factory is None),
            choose=self._choose,
            since=since,
        )

    # ----- what is sent

    def prepare(self, decision: Decision) -> RoutedCall:
        """Work out who sends a decided call, and what of it is known before its messages are."""
        if self.decision is decision:
            return self
        call, planner, credential = decision.call, self.planner, None
        assert call is not None  # noqa: S101 - decide() raises when nothing was chosen
        self.decision, self.call, self._added = decision, call, []
        keywords = self.shown = shown(self.parameters, call)
        self.stop = keywords.pop("stop", None)
        emulated = self.parameters["stop"] if "stop" in call.emulated else ()
        self.cut = ends_of(emulated, call.requested_output)
        if call.base_url is not None and planner.owner.factory is None:
            credential = planner.router.credential_of(decision, self.options.own)
            if credential is not None:
                # What was meant for the caller's own address may hold a key.
                for name in ("extra_headers", "extra_query"):
                    if keywords.pop(name, None):
                        self._note(name, "dropped", "(not shown)", None, _HOME)
        # A caller who expects Chat Completions gets an answer in its form.
        self.plain = self.on_responses and planner.owner.output_version is None and not self._wants_responses
        self.delegate = planner.delegates.get(call, credential, plain=self.plain)
        metadata = getattr(self._manager, "metadata", None) or {}
        if "ls_model_name" in metadata:  # a run is named after the model that serves it
            metadata["ls_model_name"] = self.model
        return self

    def _note(self, name: str, action: str, before: Any, after: Any, why: str) -> None:
        """Note what was changed, once."""
        change = dict(Change(name, action, before, after, why).to_dict())
        if change not in self._added:
            self._added.append(change)

    def payload(
        self, messages: Sequence[BaseMessage], stop: list[str] | None, keywords: Mapping[str, Any]
    ) -> dict[str, Any]:
        """Return the body that is sent for messages.

        Args:
            messages: the conversation.
            stop: the stop sequences.
            keywords: those that traces show; what a hook or langchain-openai changed of them is sent so.
        """
        shown, stream = self.shown, bool(keywords.get("stream"))
        body = self._body(messages, stream=stream)
        body.update({n: v for n, v in keywords.items() if n not in shown or shown[n] is not v})
        if stream:
            # langchain-openai writes its own question for the usage over what else the caller has said.
            options = {**(shown.get("stream_options") or {}), **(keywords.get("stream_options") or {})}
            if self.on_responses:
                options.pop("include_usage", None)  # it always reports the usage, and has no such field
            body.pop("stream_options", None)
            body.update({"stream_options": options} if options else {})
        return body if stop == self.stop else {**body, "stop": stop}

    def _body(self, messages: Sequence[BaseMessage], *, stream: bool) -> dict[str, Any]:
        """Return the body for what was asked, with the SDK's options."""
        planner, decision, endpoint = self.planner, self.decision, self.call.endpoint
        rules = planner.router.catalog.get(str(decision.model)).parameters.get(endpoint, {})
        given = self._asked(messages, stream=stream)
        lost: dict[str, Any] = {}
        encrypted = self.on_responses and _is_encrypted(self.call, rules)
        body = request_body(
            given,
            decision,
            own=lambda _: True,
            encrypted=encrypted,
            stream_usage=False,
            left_out=lost,
            defaults="responses" if self.on_responses and self._wants_responses else None,
        )
        included = body.get("include") or ()
        if encrypted and self._unstored and _ENCRYPTED not in included:
            included = body["include"] = [*included, _ENCRYPTED]
        if _ENCRYPTED in included and _ENCRYPTED not in (given.get("include") or ()):
            self._note("include", "added", None, _ENCRYPTED, _TRAVELS)
        for place, value in lost.items():
            self._note(place, "dropped", value, None, f"{_TITLES[endpoint]} has no place for it")
        if not self.on_responses and "max_tokens" in body and planner.owner.factory is None:
            body["max_completion_tokens"] = body.pop("max_tokens")  # as ChatOpenAI does
        if self.nulls:
            # A null is sent where the model takes the parameter whatever it is.
            absent = {*rules, *planner.router.catalog.endpoint(endpoint).absent, *NOT_SENT}
            body.update(dict.fromkeys(name for name in self.nulls if name not in absent))
        # A setting to stream, in a call that is not to, is sent on: it ends as with ChatOpenAI.
        body["stream"] = planner.owner.streaming and not decision.facts.stream
        body.pop("stream_options", None)
        kept = _OPTIONS if self.on_responses else (*_OPTIONS, "strict")
        body.update({name: self.shown[name] for name in kept if name in self.shown})
        return body

    def _asked(self, messages: Sequence[BaseMessage], *, stream: bool) -> dict[str, Any]:
        """Return what was asked as the wire takes it: in the form of the endpoint that the caller expects."""
        asked = self.parameters
        given = {name: value for name, value in asked.items() if name not in PASSED_ON}
        said, strict = self._said(messages), asked.get("strict")
        if not self.on_responses:
            return {**given, "messages": said.as_chat()}
        if self._is_chained:
            _, given["previous_response_id"] = _get_last_messages(messages)
        if stream:  # OpenAI wants a number there
            given["tools"] = [
                {"partial_images": 1, **tool} if tool.get("type") == "image_generation" else tool
                for tool in given.get("tools") or ()
            ]
        if (schema := given.pop("response_format", None)) is not None:
            if isinstance(schema, Mapping):
                given["response_format"] = schema if strict is None else as_form(dict(schema), strict=strict)
            elif stream:
                given["response_format"] = as_form(schema, strict=True)
            elif self.plain:
                given["response_format"] = type_to_response_format_param(schema)
            else:
                given["text_format"] = schema  # the SDK writes it, and reads the answer by it
        return {**given, "messages": said.as_chat()}

    @property
    def _is_chained(self) -> bool:
        """Whether the request goes on from the last response of the history, wherever that is stored."""
        chains = self.planner.owner.use_previous_response_id
        return chains and self.on_responses and not self.call.stateless

    def _said(self, messages: Sequence[BaseMessage]) -> Conversation:
        """Return messages as the chosen model and endpoint can take them."""
        after, store = self.parameters.get("previous_response_id"), self.parameters.get("store")
        if self._is_chained:
            messages, _ = _get_last_messages(list(messages))
        elif after is not None:
            messages = since(messages, after)
        if self._unstored:
            store = False
        elif self.on_responses and not self._wants_responses:
            store = bool(store)
        return Conversation(
            messages=messages,
            model=str(self.decision.model),
            endpoint=self.call.endpoint,
            known=self.planner.known,
            store=store,
            stateless=self.call.stateless,
            brings_tools=self.items,
        )

    # ----- sending with langchain-openai

    def _send(self, method: str, _: Any = None) -> Any:
        """Let the delegate make the call by one of its methods; in event loops, return what is awaited."""
        messages, keywords = self._ready(stream=False)
        return getattr(self.delegate, method)(messages, run_manager=self._manager, **keywords)

    def _open(self, _: Any) -> Iterator[ChatGenerationChunk]:
        messages, keywords = self._ready(stream=True)
        return self.delegate._stream(messages, **keywords)

    async def _aopen(self, _: Any) -> AsyncIterator[ChatGenerationChunk]:
        messages, keywords = self._ready(stream=True)
        return self.delegate._astream(messages, **keywords)

    def _ready(self, *, stream: bool) -> tuple[list[BaseMessage], dict[str, Any]]:
        """Return what a delegate is called with: a factory's own kind makes the body again."""
        usage = self._stream_usage() if stream else {}
        if isinstance(self.delegate, Delegate):
            return self._messages, {**self.shown, **usage, "stop": self.stop, PLAN: self}
        body = self.payload(self._messages, self.stop, {"stream": stream})
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
        usage = self._asks
        if usage is not None and self.call.endpoint == "chat_completions":
            return {"stream_usage": usage}
        if not self._asks_for_usage or self._question.is_asked(self.delegate.openai_api_base):
            return {}
        self._note("stream_options", "dropped", {"include_usage": True}, None, NO_USAGE)
        return {"stream_usage": False}

    @property
    def _asks_for_usage(self) -> bool:
        """Whether a stream is asked for its usage although nobody asked for it.

        ChatOpenAI asks at OpenAI's own address only. Without usage nothing can be booked, so a server is
        asked until it refuses, or fails before it has ever answered.
        """
        return (
            isinstance(self.delegate, Delegate)
            and self.call.endpoint == "chat_completions"
            and self._asks is None
            and "stream_options" not in self.shown
            and self.planner.owner.stream_usage is not True
        )

    # ----- what the driver asks: see routed_llm.calls.driver.Seam

    def opened(self, decision: Decision, record: Callable[[], Record]) -> None:
        """Note that a request is made."""
        del decision, record
        self.begun = True

    def spares(self, error: Exception, known: ErrorFacts, *, openais: bool) -> bool:
        """Say whether a stream is begun again without its usage; see :class:`UsageQuestion`."""
        address = self.delegate.openai_api_base
        unknown = address is not None and not address.startswith(_OPENAI)
        hangs = unknown and isinstance(error, (APITimeoutError, TimeoutError))
        return self._asks_for_usage and self._question.spares(
            address, error, known, openais=openais, hangs=hangs
        )

    def moved(self, step: Step, decision: Decision) -> None:
        """Note for whom the provider did not find what it should have stored."""
        del decision
        if step.kind == "state":
            self.planner.note_lost(self.options.credential)

    def read(self, answer: ChatResult) -> Reading:
        """Read a whole answer."""
        return _answers.read(answer)

    def complete(self, answer: ChatResult, record: dict[str, Any]) -> ChatResult:
        """Return an answer, cut where it has to end, with its record."""
        if self.cut is not None and not _answers.is_kept(answer, self.cut):
            answer = _answers.cut_result(answer, self.cut)
        for generation in answer.generations:
            if self._schema is not None and generation.message.text:
                read = TypeAdapter(self._schema).validate_json(generation.message.text)
                generation.message.additional_kwargs["parsed"] = read
        return _answers.attach(answer, self._recorded(record))

    def reader(self) -> _answers.ChunkReader:
        """Return what reads the stream of what was prepared last."""
        streams = self.call.stream
        cut = None if self.cut is None or not streams else _answers.Cut(self.cut)
        whole = not streams or not genuine(self.delegate)
        return _answers.ChunkReader(cut, whole=whole)

    def pieces(self, answer: ChatResult) -> Iterable[ChatGenerationChunk]:
        """Return a whole answer as the one chunk of a stream."""
        whole = answer if self.cut is None else _answers.cut_result(answer, self.cut)
        return [_answers.whole_chunk(whole)]

    def last(
        self, reader: Any, held: list[ChatGenerationChunk], record: dict[str, Any]
    ) -> Iterable[ChatGenerationChunk]:
        """Return the end of a stream, with the record."""
        if self._asks_for_usage:
            self._question.was_answered(self.delegate.openai_api_base)
        last = reader.last(self._recorded(record), self.model)
        if (schema := self._schema) is not None:
            # langchain-openai reads the form of an answer from the whole of a stream.
            if (last.generation_info or {}).get("finish_reason") == "length":
                raise LengthFinishReasonError(completion=ChatCompletion.construct())
            with suppress(ValueError):
                last.message.additional_kwargs["parsed"] = schema(**json.loads(reader.text))
        return [*held, last]

    @property
    def _schema(self) -> Any:
        """The class that a plain answer from Responses is read into here, or None."""
        schema = self.shown.get("response_format") if self.plain else None
        return schema if isinstance(schema, type) and is_basemodel_subclass(schema) else None

    def facts(self, error: Exception) -> ErrorFacts | None:
        """Read a failure that a Responses answer reports in its body, a ValueError to langchain-openai."""
        frames = [frame for frame, _ in walk_tb(error.__traceback__)]
        if type(error) is not ValueError or not error.args or not frames:
            return None
        if frames[-1].f_globals.get("__name__") != _PARSER:
            return None
        failure = error.args[0]
        if isinstance(failure, str):
            code, _, message = failure.partition(": ")
            named = code.isidentifier() and message
            failure = {"code": code, "message": message} if named else {"message": failure}
        elif not isinstance(failure, Mapping):
            said = getattr(failure, "message", str(failure))
            failure = {"code": getattr(failure, "code", None), "message": said}
        return replace(classify_error(failure), name="ValueError")

    def second(self, decision: Decision) -> Answered:
        """Make a sampled second call, which no callback and no cache sees."""
        apart = copy.copy(self)
        apart._manager = None
        apart.prepare(decision)
        apart.shown = {n: v for n, v in apart.shown.items() if n != "stream_options"}
        read = self.read(apart._send("_generate"))
        return Answered(read.usage, read.served, read.text)

    def _recorded(self, record: dict[str, Any]) -> dict[str, Any]:
        if self._added:
            record = {**record, "changes": [*record["changes"], *self._added]}
        return short_record(record) if self.planner.owner.routing_record == "short" else record


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

    decision = cut = None
    begun = plain = False

    def __init__(
        self, owner: ChatOpenAI, error: Exception, stop: list[str] | None, kwargs: Mapping[str, Any]
    ) -> None:
        self.error = as_langchains(error, owner)
        self.model: str = owner.model_name
        # The call as the baseline would have been sent it.
        self.delegate, self.stop, self.shown = owner, stop, dict(kwargs)

    def _raise(self, *_: Any) -> Any:
        raise self.error

    generate = agenerate = stream = astream = payload = _raise
