"""One model's calls, from what each asks for to its answer: what the core's driver asks of this adapter.

A :class:`CallPlanner` reads a call into a :class:`RoutedCall`, which is decided and makes its way through
LangChain's own methods as a keyword. What cannot be made is a :class:`RejectedCall`.
"""

from __future__ import annotations

import copy
import json
from collections import Counter
from collections.abc import AsyncIterator, Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import closing, suppress
from dataclasses import dataclass, field, replace
from functools import lru_cache, partial
from traceback import walk_tb
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any, Final, cast

from langchain_core.messages import BaseMessage
from langchain_core.outputs import ChatGenerationChunk, ChatResult
from langchain_core.utils.pydantic import is_basemodel_subclass
from langchain_openai import ChatOpenAI
from langchain_openai._compat import httpx
from langchain_openai.chat_models.base import (
    BaseChatOpenAI,
    OpenAIConnectionError,
    OpenAIContextOverflowError,
    OpenAIInvalidRequestError,
    OpenAIModelNotFoundError,
    OpenAIRateLimitError,
    _convert_to_openai_response_format,
    _get_last_messages,
)
from openai import APITimeoutError, LengthFinishReasonError, OpenAIError
from openai.lib._parsing import type_to_response_format_param
from openai.types.chat import ChatCompletion
from pydantic import TypeAdapter

from langchain_routed import _answers
from langchain_routed._messages import PLAN, ROUTING, Conversation, since
from routed_llm import (
    AnswerCutter,
    Answered,
    Call,
    CallOptions,
    Change,
    Decision,
    Policy,
    RetryLimits,
    classify_error,
    read_openai,
    short_record,
)
from routed_llm.calls.adapting import OwnOptions, shared_router
from routed_llm.calls.driver import Driven, flow, stream_flow
from routed_llm.calls.parsed import ParsedCall
from routed_llm.calls.problems import SdkErrors
from routed_llm.calls.reach import known
from routed_llm.calls.runners import aclosing, arun, arun_stream, run, run_stream
from routed_llm.calls.sdk import parses
from routed_llm.calls.search import with_search
from routed_llm.calls.wired import DECIDED, NO_PLACE, NO_USAGE, UsageQuestion, ends_of, shown
from routed_llm.request.wire import overlaid, request_body

if TYPE_CHECKING:
    from langchain_routed.chat_models import DelegateCache, RoutedChatModel
    from routed_llm import ErrorFacts, Step
    from routed_llm.record import Record

__all__ = ["CallPlanner", "RejectedCall", "RoutedCall", "asks_for_responses"]

_FOR_US: Final = frozenset(
    {"routing", "ls_structured_output_format", "structured_output_format", "stream_usage"}
)
_PASSED_ON: Final = frozenset(
    {"extra_body", "extra_headers", "extra_query", "strict", "stream_options", "timeout"}
)
"""Keywords of the SDK or of LangChain that say nothing about what a model must be able to do."""

_FORMATS: Final = ("text", "json_object", "json_schema")
_OPTIONS: Final = ("extra_body", "extra_headers", "extra_query", "timeout")
_PARSER: Final = "langchain_openai.chat_models.base"
_OPENAI: Final = "https://api.openai.com/"
_ENCRYPTED: Final = "reasoning.encrypted_content"
_HOME: Final = "it goes to the caller's own address only; Router(credentials=...) says what goes to this one"
_TRAVELS: Final = "what is not stored must travel with the conversation"


# ----- reading a call


class CallPlanner:
    """Routes the calls of one RoutedChatModel, and keeps what outlives calls only. Threads may share it."""

    def __init__(self, owner: RoutedChatModel, delegates: DelegateCache) -> None:
        self.owner = owner
        self.delegates = delegates
        self.router = shared_router(owner.catalog) if owner.router is None else owner.router
        self._own = OwnOptions()
        self._quiet: tuple[tuple[Any, ...], tuple[dict[str, Any], bool, str | None]] | None = None
        self.lost: Counter[str] = Counter()
        self.takes_usage: dict[str | None, bool] = {}

    def known(self, name: str) -> str | None:
        """Return the catalog id behind a model's name, or None for a stranger."""
        model = known(self.router, name)
        return None if model is None else model.id

    def policy(self) -> Policy:
        """Return the model's policy with its baseline."""
        return cast("Policy", self.options().policy)

    def options(self) -> CallOptions:
        """Return what holds for every call: policy, budgets, whose calls they are and where they go."""
        owner = self.owner
        client = owner.root_client or owner.root_async_client
        address = getattr(client, "base_url", None) or owner.openai_api_base or _OPENAI + "v1"
        return self._own.of(
            owner.policy or self.router.policy,
            owner.model_name,
            owner.budget,
            # A factory's models have clients and keys of their own.
            address if owner.factory is None else None,
            *(owner.openai_api_key, owner.openai_api_base, owner.openai_organization, owner.factory),
        )

    def route(
        self, messages: Sequence[BaseMessage], stop: Any, kwargs: Mapping[str, Any], *, stream: Any = None
    ) -> RoutedCall | RejectedCall:
        """Read and decide a call; what is wrong is raised inside the run, where callbacks hear of it."""
        try:
            call = self.read(messages, stop, kwargs, stream=stream)
            return call.prepare(call.decide(self.owner.root_client))
        except Exception as error:  # noqa: BLE001 - it is raised later
            return RejectedCall(self.owner, error, stop, kwargs)

    async def aroute(
        self, messages: Sequence[BaseMessage], stop: Any, kwargs: Mapping[str, Any], *, stream: Any = None
    ) -> RoutedCall | RejectedCall:
        """Do what :meth:`route` does, without holding the event loop while long texts are counted."""
        try:
            call = self.read(messages, stop, kwargs, stream=stream)
            return call.prepare(await call.adecide(self.owner.root_async_client))
        except Exception as error:  # noqa: BLE001 - it is raised later
            return RejectedCall(self.owner, error, stop, kwargs)

    def read(
        self, messages: Sequence[BaseMessage], stop: Any, kwargs: Mapping[str, Any], *, stream: Any = None
    ) -> RoutedCall:
        """Read a call, for which nothing is decided yet; its keywords say whether it streams, or ``stream``.

        Raises:
            RequestError: when no model could take it.
            PolicyError: for a wrong override.
        """
        streams = kwargs.get("stream") if stream is None else stream
        call = {name: value for name, value in kwargs.items() if name not in _FOR_US} if kwargs else {}
        parameters, items, wanted = self._settings(call, stop)
        options, routing = self.options(), kwargs.get("routing")
        if routing is not None:
            options = CallOptions.read(routing).on(options)
        extra = call.get("extra_body", self.owner.extra_body) or {}
        pinned = extra.get("model") or call.get("model")
        needs = {name: value for name, value in parameters.items() if name not in _PASSED_ON}
        if isinstance(needs.get("response_format"), type):
            needs["response_format"] = _form_of(needs["response_format"])
        said = Conversation(
            messages=messages, model=None, on_responses=True, known=self.known, brings_tools=items
        )
        owner, hard = said.state_owner(
            parameters.get("previous_response_id"),
            chained=self.owner.use_previous_response_id,
            carried=items or parameters.get("store") is False,
        )
        locked = None if pinned else owner
        body: dict[str, Any] = {**needs, "messages": said.as_chat(), "stream": bool(streams) or None}
        request = read_openai(
            {**body, "model": pinned},
            pin=pinned is not None,
            previous=said.previous(),
            locked_to=locked,
            emulates=("stop",),
            endpoint=wanted,
            foreign=True,
        )
        return RoutedCall(
            router=self.router,
            request=request,
            options=options,
            asked=body,
            retries=self.owner.max_retries,
            soft=locked is not None and not hard,
            planner=self,
            question=UsageQuestion(self.takes_usage),
            parameters=parameters,
            items=items,
            nulls=tuple([name for name, value in call.items() if value is None]) if call else (),
        )

    def _settings(self, call: Mapping[str, Any], stop: Any) -> tuple[dict[str, Any], bool, str | None]:
        """Return a call's parameters, whether they ask for Responses, and the endpoint it insists on."""
        owner = self.owner
        # Most calls have no keywords of their own, and the model is as it was.
        quiet, now = not call and stop is None, tuple(owner.__dict__.values())
        if quiet and self._quiet is not None and self._quiet[0] == now:
            return self._quiet[1]
        defaults = owner._default_params
        parameters = overlaid(defaults, call if stop is None else {**call, "stop": stop})
        if "response_format" in parameters:
            form, strict = parameters["response_format"], parameters.get("strict")
            parameters["response_format"] = _as_format(form, strict)
        if call.get("model") is None:
            # A program counts on the search of a baseline that searches the web at every call.
            router = self.router
            parameters = dict(with_search(parameters, owner.model_name, router.catalog, router.now))
        # ChatOpenAI goes by the names: one that is null (a first turn's previous_response_id) asks, too.
        items = asks_for_responses(owner, {**call, **parameters})
        wanted = "responses" if items or not parses(parameters) else None
        own = type(owner)._use_responses_api is not ChatOpenAI._use_responses_api
        if owner.__dict__["use_responses_api"] is False or (own and not items):
            wanted = "chat_completions"
        found = parameters, items, wanted
        # What may change in place, or is a subclass's, is read again.
        is_own = owner.model_kwargs or type(owner)._default_params is not ChatOpenAI._default_params
        if quiet and not is_own and all(isinstance(one, (str, int, float)) for one in defaults.values()):
            self._quiet = now, found
        return found


def asks_for_responses(model: ChatOpenAI, parameters: Mapping[str, Any], *, model_name: str = "") -> bool:
    """Say whether ChatOpenAI, maybe of this name, would send a call to Responses: it knows which need it."""
    hook = type(model)._use_responses_api
    if hook is not ChatOpenAI._use_responses_api:
        return bool(model._use_responses_api(dict(parameters)))  # a subclass knows better
    given = model.__dict__  # a tenth of the time that attributes of a pydantic model take
    asked: bool | None = given["use_responses_api"]
    if asked is not None:
        return asked
    settings = SimpleNamespace(**{**given, "model_name": model_name})
    # Its own method, asked about fields that stand for a model's.
    return ChatOpenAI._use_responses_api(settings, dict(parameters))  # type: ignore[arg-type]


def _as_format(value: Any, strict: bool | None) -> Any:
    """Return a bare schema as the form of answer that langchain-openai makes of it on Responses.

    There it takes a JSON schema or a TypedDict as it is; Chat Completions takes neither, and a pydantic class
    is the SDK's own business on both.
    """
    bare = isinstance(value, Mapping) and value.get("type") not in _FORMATS
    if not bare and (not isinstance(value, type) or is_basemodel_subclass(value)):
        return value
    try:
        return _as_form(value, strict=strict)
    except (ValueError, TypeError, KeyError):
        return value  # no schema that it knows: the builder says what is wrong


def _as_form(schema: Any, *, strict: bool | None) -> Any:
    """Return a schema or a class as the form of answer that it stands for."""
    named = schema.model_json_schema() if hasattr(schema, "model_json_schema") else schema
    if named is not schema and "$ref" in named:
        # As the SDK sends it: langchain-openai's reading knows no class that refers to itself.
        return type_to_response_format_param(schema)
    return _convert_to_openai_response_format(named, strict=strict)


@lru_cache(maxsize=256)
def _form_of(schema: type) -> Any:
    return _as_form(schema, strict=True)


# ----- a call on its way


@dataclass(slots=True, kw_only=True)
class RoutedCall(ParsedCall):
    """A call on its way: what it asks for, and what is sent, which changes when another model takes over.

    Attributes:
        planner: where it was read.
        parameters: its parameters and the model's, in the caller's own form.
        items: whether the call itself asks for what only Responses has.
        nulls: names of the parameters that the caller gave as None.
        decision: what was decided.
        call: what of that says how it is sent.
        model: the name of the model that is asked.
        on_responses: whether it goes to Responses.
        delegate: the langchain-openai model that sends it.
        shown: its keywords as traces and hooks see them, all but the stop sequences.
        stop: the stop sequences to send, or None.
        cut: what ends its answers here, or None.
        question: whether its streams are asked for their usage.
        plain: whether an answer from Responses gets the form of a Chat Completions answer.
        begun: whether a request was made; an answer from the cache never is.
    """

    planner: CallPlanner
    parameters: dict[str, Any]
    items: bool
    nulls: tuple[str, ...] = ()
    decision: Any = None
    call: Call = field(init=False)
    model: str = field(init=False)
    on_responses: bool = field(init=False)
    delegate: BaseChatOpenAI = field(init=False)
    shown: dict[str, Any] = field(default_factory=dict)
    stop: list[str] | None = None
    cut: AnswerCutter | None = None
    plain: bool = False
    begun: bool = False
    question: UsageQuestion
    _changes: dict[str, Change] = field(default_factory=dict)
    _messages: list[BaseMessage] = field(default_factory=list)
    _asks: Any = None
    _manager: Any = None

    @property
    def _wants_responses(self) -> bool:
        """Whether ChatOpenAI under the baseline's name would send the call to Responses, too."""
        owner = self.planner.owner
        return self.items or asks_for_responses(owner, self.parameters, model_name=owner.model_name)

    @property
    def _unstored(self) -> bool:
        """Whether the provider seems to store nothing for this credential: twice it did not find it."""
        return self.planner.lost[self.options.credential] > 1

    # ----- the four ways of calling

    def generate(self, messages: list[BaseMessage], run_manager: Any) -> ChatResult:
        """Make the call and complete its answer."""
        self._messages, self._manager = messages, run_manager
        begun = flow(Driven.of(self, self.decision, self))
        with _ERRORS.raised(self.planner.owner.openai_api_base):
            return cast("ChatResult", run(begun, partial(self._send, "_generate")))

    async def agenerate(self, messages: list[BaseMessage], run_manager: Any) -> ChatResult:
        """Make the call and complete its answer, without holding the event loop."""
        self._messages, self._manager = messages, run_manager
        begun = flow(Driven.of(self, self.decision, self))
        with _ERRORS.raised(self.planner.owner.openai_api_base):
            return cast("ChatResult", await arun(begun, partial(self._send, "_agenerate")))

    def stream(
        self, messages: list[BaseMessage], run_manager: Any, options: Mapping[str, Any]
    ) -> Iterator[ChatGenerationChunk]:
        """Make the call and pass its chunks on; the last one has the record."""
        self._messages, self._asks = messages, options.get("stream_usage")
        begun = stream_flow(Driven.of(self, self.decision, self))
        chunks: Any = run_stream(begun, partial(self._send, "_generate"), partial(self._send, "_stream"))
        with _ERRORS.raised(self.planner.owner.openai_api_base), closing(chunks):
            for chunk in chunks:
                if run_manager is not None:
                    run_manager.on_llm_new_token(chunk.text, chunk=chunk, **_logprobs(chunk))
                yield chunk

    async def astream(
        self, messages: list[BaseMessage], run_manager: Any, options: Mapping[str, Any]
    ) -> AsyncIterator[ChatGenerationChunk]:
        """Make the call and pass its chunks on, as :meth:`stream` does."""
        self._messages, self._asks = messages, options.get("stream_usage")
        begun = stream_flow(Driven.of(self, self.decision, self))
        chunks: Any = arun_stream(begun, partial(self._send, "_agenerate"), self._aopen)
        with _ERRORS.raised(self.planner.owner.openai_api_base):
            async with aclosing(chunks):
                async for chunk in chunks:
                    if run_manager is not None:
                        await run_manager.on_llm_new_token(chunk.text, chunk=chunk, **_logprobs(chunk))
                    yield chunk

    def limits(self) -> RetryLimits:
        """Return how much may be tried, once a request has failed."""
        retries = 1 if self.retries == 0 and self.question.hung else self.retries
        # The models of a factory have clients of their own, which wait and retry by themselves.
        return RetryLimits.from_retries(retries, waits=self.planner.owner.factory is None)

    # ----- what is sent

    def prepare(self, decision: Decision) -> RoutedCall:
        """Work out who sends a decided call, and what of it is known before its messages are."""
        if self.decision is decision:
            return self
        call, planner, credential = decision.call, self.planner, None
        assert call is not None  # noqa: S101 - decide() raises when nothing was chosen
        self.decision, self.call, self.model, self._changes = decision, call, call.model, {}
        self.on_responses = call.endpoint == "responses"
        keywords = self.shown = shown(self.parameters, call, kept=_PASSED_ON)
        self.stop = keywords.pop("stop", None)
        emulated = self.parameters["stop"] if "stop" in call.emulated else ()
        self.cut = ends_of(emulated, call.requested_output)
        if call.base_url is not None and planner.owner.factory is None:
            credential = planner.router.credential_of(decision, self.options.own)
            if credential is not None:
                # What was meant for the caller's own address may hold a key.
                for name in ("extra_headers", "extra_query"):
                    if keywords.pop(name, None):
                        self._changes[name] = Change(name, "dropped", "(not shown)", None, _HOME)
        # A caller who expects Chat Completions gets an answer in its form.
        self.plain = self.on_responses and planner.owner.output_version is None and not self._wants_responses
        self.delegate = planner.delegates.get(call, credential, plain=self.plain)
        metadata = getattr(self._manager, "metadata", None) or {}
        if "ls_model_name" in metadata:  # a run is named after the model that serves it
            metadata["ls_model_name"] = self.model
        return self

    def payload(
        self, messages: Sequence[BaseMessage], stop: list[str] | None, keywords: Mapping[str, Any]
    ) -> dict[str, Any]:
        """Return the body for messages, with what a hook or langchain-openai has changed of the keywords."""
        known, stream = self.shown, bool(keywords.get("stream"))
        body = self._body(messages, stream=stream)
        body.update({n: v for n, v in keywords.items() if n not in known or known[n] is not v})
        body.pop("stream_options", None)
        if stream:
            # langchain-openai writes its own question for the usage over what else the caller has said.
            options = {**(known.get("stream_options") or {}), **(keywords.get("stream_options") or {})}
            if self.on_responses:
                options.pop("include_usage", None)  # it always reports the usage, and has no such field
            body.update({"stream_options": options} if options else {})
        return body if stop == self.stop else {**body, "stop": stop}

    def _body(self, messages: Sequence[BaseMessage], *, stream: bool) -> dict[str, Any]:
        """Return the body for what was asked, with the SDK's options."""
        planner, decision, call = self.planner, self.decision, self.call
        rules: Mapping[str, Any] = {}
        if self.on_responses or self.nulls:
            rules = planner.router.catalog.get(decision.model).parameters.get(call.endpoint, {})
        given = self._asked(messages, stream=stream)
        lost: dict[str, Any] = {}
        # Whether the model's reasoning can travel with the conversation.
        reasons = self.on_responses and call.effort not in (None, "none") and _ENCRYPTED not in call.dropped
        encrypted = reasons and ((rule := rules.get(_ENCRYPTED)) is None or rule.accept != "no")
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
            self._changes["include"] = Change("include", "added", None, _ENCRYPTED, _TRAVELS)
        why = NO_PLACE[call.endpoint]
        self._changes.update({at: Change(at, "dropped", value, None, why) for at, value in lost.items()})
        if not self.on_responses and "max_tokens" in body and planner.owner.factory is None:
            body["max_completion_tokens"] = body.pop("max_tokens")  # as ChatOpenAI does
        if self.nulls:
            # A null is sent where the model takes the parameter whatever it is.
            absent = {*rules, *planner.router.catalog.endpoint(call.endpoint).absent, *DECIDED}
            body.update(dict.fromkeys(name for name in self.nulls if name not in absent))
        # A setting to stream, in a call that is not to, is sent on: it ends as with ChatOpenAI.
        body["stream"] = planner.owner.streaming and not decision.facts.stream
        kept = _OPTIONS if self.on_responses else (*_OPTIONS, "strict")
        body.update({name: self.shown[name] for name in kept if name in self.shown})
        return body

    def _asked(self, messages: Sequence[BaseMessage], *, stream: bool) -> dict[str, Any]:
        """Return what was asked as the wire takes it: in the form of the endpoint that the caller expects."""
        given = {name: value for name, value in self.parameters.items() if name not in _PASSED_ON}
        given["messages"], strict = self._said(messages).as_chat(), self.parameters.get("strict")
        if not self.on_responses:
            return given
        if self._is_chained:
            _, given["previous_response_id"] = _get_last_messages(messages)
        if stream:  # OpenAI wants a number there
            given["tools"] = [
                {"partial_images": 1, **tool} if tool.get("type") == "image_generation" else tool
                for tool in given.get("tools") or ()
            ]
        if (schema := given.pop("response_format", None)) is not None:
            if isinstance(schema, Mapping):
                given["response_format"] = schema if strict is None else _as_form(dict(schema), strict=strict)
            elif stream:
                given["response_format"] = _as_form(schema, strict=True)
            elif self.plain:
                given["response_format"] = type_to_response_format_param(schema)
            else:
                given["text_format"] = schema  # the SDK writes it, and reads the answer by it
        return given

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
            model=self.decision.model,
            on_responses=self.on_responses,
            known=self.planner.known,
            store=store,
            stateless=self.call.stateless,
            brings_tools=self.items,
        )

    # ----- sending with langchain-openai

    def _send(self, method: str, _: Any = None) -> Any:
        """Let the delegate make the call by one of its methods; in event loops, return what is awaited."""
        messages, keywords = self._ready(stream=method in ("_stream", "_astream"))
        return getattr(self.delegate, method)(messages, run_manager=self._manager, **keywords)

    async def _aopen(self, _: Any) -> AsyncIterator[ChatGenerationChunk]:
        return cast("AsyncIterator[ChatGenerationChunk]", self._send("_astream"))

    def _ready(self, *, stream: bool) -> tuple[list[BaseMessage], dict[str, Any]]:
        """Return what a delegate is called with: a factory's own kind makes the body again."""
        usage = self._stream_usage() if stream else {}
        if isinstance(self.delegate, self.planner.delegates.kind):
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
        """Return whether a stream is asked for its usage, as the caller or the server wants it.

        ChatOpenAI asks at OpenAI's own address only. Without usage nothing can be booked, so a server is
        asked, although nobody wants it to be, until it refuses, or fails before it has ever answered.
        """
        on_chat, owner = not self.on_responses, self.planner.owner
        if on_chat and self._asks is not None:
            return {"stream_usage": self._asks}
        said = "stream_options" in self.shown or owner.stream_usage is True
        asks = on_chat and not said and isinstance(self.delegate, self.planner.delegates.kind)
        if self.question.is_put(self.delegate.openai_api_base, asks=asks) or not asks:
            return {}
        usage = {"include_usage": True}
        self._changes["stream_options"] = Change("stream_options", "dropped", usage, None, NO_USAGE)
        return {"stream_usage": False}

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
        return self.question.spares(error, known, openais=openais, hangs=hangs)

    def moved(self, step: Step, decision: Decision) -> None:
        """Note for whom the provider did not find what it should have stored."""
        del decision
        if step.kind == "state":
            self.planner.lost[self.options.credential] += 1

    read = staticmethod(_answers.read)

    def complete(self, answer: ChatResult, record: dict[str, Any]) -> ChatResult:
        """Return an answer, cut where it has to end, with its record."""
        if self.cut is not None:
            answer = _answers.cut_result(answer, self.cut)
        schema, record = self._schema, self._recorded(record)
        for message in (generation.message for generation in answer.generations):
            if schema is not None and message.text:
                message.additional_kwargs["parsed"] = TypeAdapter(schema).validate_json(message.text)
            message.response_metadata = {**message.response_metadata, ROUTING: dict(record)}
        return answer

    def reader(self) -> _answers.ChunkReader:
        """Return what reads the stream of what was prepared last."""
        streams = self.call.stream
        cut = None if self.cut is None or not streams else _answers.Cut(self.cut)
        ends = streams and isinstance(self.delegate, self.planner.delegates.kind) and self.delegate.is_genuine
        return _answers.ChunkReader(cut, whole=not ends)

    def pieces(self, answer: ChatResult) -> Iterable[ChatGenerationChunk]:
        """Return a whole answer as the one chunk of a stream."""
        whole = answer if self.cut is None else _answers.cut_result(answer, self.cut)
        return [_answers.whole_chunk(whole)]

    def last(
        self, reader: Any, held: list[ChatGenerationChunk], record: dict[str, Any]
    ) -> Iterable[ChatGenerationChunk]:
        """Return the end of a stream, with the record."""
        self.question.was_answered()
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
        raised_in = [frame.f_globals.get("__name__") for frame, _ in walk_tb(error.__traceback__)][-1:]
        if type(error) is not ValueError or not error.args or raised_in != [_PARSER]:
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
        read = self.read(apart._send("_generate"))
        return Answered(read.usage, read.served, read.text)

    def _recorded(self, record: dict[str, Any]) -> dict[str, Any]:
        if self._changes:
            added = [change.to_dict() for change in self._changes.values()]
            record = {**record, "changes": [*record["changes"], *added]}
        return short_record(record) if self.planner.owner.routing_record == "short" else record


def _logprobs(chunk: ChatGenerationChunk) -> dict[str, Any]:
    logprobs = (chunk.generation_info or {}).get("logprobs")
    return {} if logprobs is None else {"logprobs": logprobs}


class RejectedCall:
    """Stands in for a call that cannot be made: its run begins as the baseline's, and fails.

    With ChatOpenAI the server refuses such a call once its run has begun, so that callbacks, listeners and
    traces hear of the error; here they hear of it, too.
    """

    decision = cut = None
    begun = plain = False

    def __init__(self, owner: ChatOpenAI, error: Exception, stop: Any, kwargs: Mapping[str, Any]) -> None:
        self.error = _ERRORS.of(error, owner.openai_api_base)
        self.model: str = owner.model_name
        # The call as the baseline would have been sent it.
        self.delegate, self.stop = owner, stop
        self.shown = {name: value for name, value in kwargs.items() if name != "routing"}

    def _raise(self, *_: Any) -> Any:
        raise self.error

    generate = agenerate = stream = astream = payload = _raise


# ----- errors: what is ours is also what ChatOpenAI raises for it, for programs and middleware catch that
#
# With ChatOpenAI the server refuses a call that nothing can serve, and the error is both the SDK's and
# LangChain's: summarisation tries again with less when the context overflows.

_ERRORS: Final = SdkErrors(
    {
        None: OpenAIConnectionError,
        400: OpenAIInvalidRequestError,
        404: OpenAIModelNotFoundError,
        429: OpenAIRateLimitError,
        "context_length_exceeded": OpenAIContextOverflowError,
    },
    OpenAIError,
    httpx,
)
