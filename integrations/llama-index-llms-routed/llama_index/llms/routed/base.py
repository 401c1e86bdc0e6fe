"""RoutedLLM: the framework's OpenAI class by type and surface, a choice of model for each call."""

from __future__ import annotations

import logging
import os
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from threading import Lock
from typing import Any, Literal, Self, cast

import openai
from llama_index.core.base.llms.types import (
    ChatMessage,
    ChatResponse,
    ChatResponseAsyncGen,
    ChatResponseGen,
    CompletionResponse,
    CompletionResponseAsyncGen,
    CompletionResponseGen,
    LLMMetadata,
    MessageRole,
)
from llama_index.core.bridge.pydantic import Field, PrivateAttr, field_serializer, field_validator
from llama_index.core.constants import DEFAULT_NUM_OUTPUTS, DEFAULT_TEMPERATURE
from llama_index.core.llms.loading import RECOGNIZED_LLMS
from llama_index.core.types import PydanticProgramMode
from llama_index.llms.routed.errors import ERRORS
from llama_index.llms.routed.messages import chat_messages, left_out, parameters
from llama_index.llms.routed.served import Route, Served, announcing
from llama_index.llms.routed.upstream import CarefulOpenAI
from typing_extensions import override

from routed_llm import (
    BudgetEvent,
    CallOptions,
    Catalog,
    Decision,
    Ledger,
    Policy,
    PolicyError,
    Request,
    RoutedError,
    Router,
    read_openai,
)
from routed_llm.calls.adapting import (
    OwnOptions,
    own_books,
    pickled,
    policy_from,
    shared_router,
    travels,
    written,
)
from routed_llm.calls.answers import AnswerMemory
from routed_llm.calls.driver import Driven
from routed_llm.calls.parsed import ParsedCall
from routed_llm.calls.sdk import failed
from routed_llm.calls.search import with_search
from routed_llm.calls.window import largest, workhorse
from routed_llm.calls.wired import Prepared, UsageQuestion, Wired
from routed_llm.request.wire import OPTIONS
from routed_llm.request.wire import parameters as wire_parameters

__all__ = ["RoutedLLM"]

_ANY_SCHEMA = {
    "type": "json_schema",
    "json_schema": {"name": "any", "strict": True, "schema": {"type": "object", "properties": {}}},
}
_DEFAULT_POLICY = Policy()
_OPENAI = "https://api.openai.com/v1"
_WAYS_OUT = (
    "Give functions and objects that a pickle can name: those of a module.",
    "Give the LLM what the router holds in its place: policy=, catalog=, budget= and ledger=.",
)
_LIMITS = frozenset({"policy", "router", "catalog", "budget", "ledger", "on_budget"})
_NOT_WRITTEN = "not_written"


class _Own:
    """What an LLM worked out last of its own fields, with what it was; a copy or a pickle starts empty."""

    def __init__(self) -> None:
        self.options = OwnOptions()
        self._lock = Lock()
        self._router: tuple[Catalog | None, Router] | None = None
        self._window: tuple[tuple[Any, ...], int] | None = None

    def __reduce__(self) -> tuple[type[_Own], tuple[()]]:
        return (_Own, ())

    def get(self, catalog: Catalog | None) -> Router:
        """Return the router of a catalog, or of the packaged one."""
        with self._lock:
            if self._router is None or self._router[0] is not catalog:
                self._router = (catalog, shared_router(catalog))
            return self._router[1]

    def window(self, router: Router, policy: Policy, given: Mapping[str, Any], wanted: str | None) -> int:
        """Return the window to advertise.

        It is worked out once and stays: LlamaIndex reads it when a query engine is built, so one that
        moved would split the engines of a program.
        """
        key = (router, policy, given.get("max_tokens"), wanted)
        with self._lock:
            known = self._window
        if known is not None and known[0] == key:
            return known[1]
        work_out = largest if wanted == "largest" else workhorse
        value = work_out(router, policy, dict(given), DEFAULT_NUM_OUTPUTS)
        with self._lock:
            self._window = (key, value)
        return value


class RoutedLLM(CarefulOpenAI):
    """An OpenAI LLM whose model is chosen for each call.

    It takes every argument of :class:`llama_index.llms.openai.OpenAI` and those below. ``model`` is the
    baseline: the model that the program was written for, which the quality floor refers to and whose name
    ``metadata`` reports. A ``model=`` given to a single call is used for that call; ``routing=`` (a Policy,
    or some of its keywords) changes the policy for that call; a dict may also have ``scope``,
    ``conversation`` and ``budget``: whom the call is for, and what it may spend besides.

    Args:
        model: the baseline; the policy's own when left out.
        temperature: as upstream; sent to the models that take one.
        max_tokens: the most tokens of an answer.
        policy: what is wanted of routing: a Policy, its keywords as a dictionary, or the path of a TOML file.
        router: the router that decides; by default the one of this process for ``catalog``, which LLMs share
            with what it has learned and which models fail.
        budget: what may be spent on this LLM's calls: one or several ``Budget``, or dicts of their keywords.
        ledger: where calls are booked: a Ledger, the path of an SQLite file, or a ``redis://`` URL; with a
            budget and without a ledger, in the memory of this process.
        on_budget: called with a BudgetEvent when a budget passes one of its ``notify_at`` shares.
        catalog: the models there are; the packaged ones when left out.
        context_window: what ``metadata`` advertises, up to which LlamaIndex packs prompts. None for what
            the baseline and the cheapest model take at the price of a small prompt; ``"largest"`` for
            what any model in the pool takes; or a number of tokens. Longer requests are routed as well.
        stream_usage: whether streams are asked for their usage. Turn it off for servers that refuse
            ``stream_options``; what a stream cost is then not known.

    Raises:
        PolicyError: when the policy or a budget is wrong, or a ledger is given beside a router with another.
        CatalogError: when the baseline is not in the catalog (at the first call).

    Examples:
        ```python
        from llama_index.llms.routed import RoutedLLM

        llm = RoutedLLM(model="gpt-4o")
        response = llm.complete("Say hello.")
        print(response.additional_kwargs["routing"]["model"])
        ```
    """

    policy: Policy | None = Field(default=None, description="What is wanted of routing.")
    router: Router | None = Field(default=None, exclude=True, repr=False, description="What decides.")
    catalog: Catalog | None = Field(default=None, exclude=True, repr=False, description="The models.")
    budget: Any = Field(default=None, exclude=True, repr=False, description="What may be spent.")
    ledger: Any = Field(default=None, exclude=True, repr=False, description="Where calls are booked.")
    on_budget: Callable[[BudgetEvent], object] | None = Field(
        default=None, exclude=True, repr=False, description="Called when a budget passes a share."
    )
    context_window: int | Literal["largest"] | None = Field(
        default=None, description="The context window to advertise; None to work it out."
    )
    stream_usage: bool = Field(default=True, description="Whether streams are asked for their usage.")

    def __dir__(self) -> list[str]:
        """Return what a program may use: completion and help leave out private parts."""
        return [name for name in super().__dir__() if not name.startswith("_") or name.startswith("__")]

    _keeps_books: bool = PrivateAttr(default=False)
    _template: Served = PrivateAttr(default_factory=Served)
    _answers: AnswerMemory = PrivateAttr(default_factory=AnswerMemory)
    _own: _Own = PrivateAttr(default_factory=_Own)

    def __init__(
        self,
        model: str | None = None,
        temperature: float = DEFAULT_TEMPERATURE,
        max_tokens: int | None = None,
        *,
        policy: Policy | Mapping[str, Any] | str | os.PathLike[str] | None = None,
        router: Router | None = None,
        catalog: Catalog | None = None,
        budget: Any = None,
        ledger: Ledger | str | None = None,
        on_budget: Callable[[BudgetEvent], object] | None = None,
        context_window: int | Literal["largest"] | None = None,
        stream_usage: bool = True,
        **kwargs: Any,
    ) -> None:
        wanted = policy_from(policy)
        books = {"budget": budget, "ledger": ledger, "on_budget": on_budget}
        given: dict[str, Any] = {"router": router, "catalog": catalog, **books}
        kept = own_books(given)
        super().__init__(
            temperature=temperature,
            max_tokens=max_tokens,
            policy=wanted,
            context_window=context_window,
            stream_usage=stream_usage,
            **{**given, **kept},
            **kwargs,
        )
        # Set afterwards: the constructor compares the name with its tables, changes the temperature by it
        # and refuses models that only Responses has.
        self.model = model or (wanted or (self.router.policy if self.router else _DEFAULT_POLICY)).baseline
        self._keeps_books = router is None and bool(kept)
        self._policy()  # a wrong policy is refused here and not at the first call

    @override
    def __deepcopy__(self, memo: dict[int, Any] | None = None) -> Self:
        # What decides is shared by copies, as it is by threads.
        kept = (self.router, self.catalog, self.ledger, self.on_budget)
        shared = {id(value): value for value in kept if value is not None}
        return super().__deepcopy__({**(memo or {}), **shared})

    @field_validator("policy", mode="before")
    @classmethod
    def _read_policy(cls, value: Any) -> Any:
        return policy_from(value)

    @field_serializer("policy")
    def _write_policy(self, policy: Policy | None) -> dict[str, Any] | None:
        return None if policy is None else written(policy.to_dict())

    @classmethod
    @override
    def class_name(cls) -> str:
        return "routed_llm"

    @property
    @override
    def metadata(self) -> LLMMetadata:
        return LLMMetadata(
            context_window=self._advertised(),
            num_output=self.max_tokens or -1,
            is_chat_model=True,
            is_function_calling_model=True,
            model_name=self.model,
            system_role=MessageRole.SYSTEM,
        )

    # ----- the eight endpoints: each is made by an object that has the name of the model, and its events

    @override
    def chat(self, messages: Sequence[ChatMessage], **kwargs: Any) -> ChatResponse:
        served, shown = self._route(messages, kwargs)
        return cast(ChatResponse, served.chat(messages, **shown))

    @override
    def complete(self, prompt: str, formatted: bool = False, **kwargs: Any) -> CompletionResponse:
        served, shown = self._route([ChatMessage(prompt)], kwargs)
        return cast(CompletionResponse, served.complete(prompt, formatted=formatted, **shown))

    @override
    def stream_chat(self, messages: Sequence[ChatMessage], **kwargs: Any) -> ChatResponseGen:
        served, shown = self._route(messages, kwargs, stream=True)
        return cast(ChatResponseGen, served.stream_chat(messages, **shown))

    @override
    def stream_complete(self, prompt: str, formatted: bool = False, **kwargs: Any) -> CompletionResponseGen:
        served, shown = self._route([ChatMessage(prompt)], kwargs, stream=True)
        return cast(CompletionResponseGen, served.stream_complete(prompt, formatted=formatted, **shown))

    @override
    async def achat(self, messages: Sequence[ChatMessage], **kwargs: Any) -> ChatResponse:
        served, shown = await self._aroute(messages, kwargs)
        return cast(ChatResponse, await served.achat(messages, **shown))

    @override
    async def acomplete(self, prompt: str, formatted: bool = False, **kwargs: Any) -> CompletionResponse:
        served, shown = await self._aroute([ChatMessage(prompt)], kwargs)
        return cast(CompletionResponse, await served.acomplete(prompt, formatted=formatted, **shown))

    @override
    async def astream_chat(self, messages: Sequence[ChatMessage], **kwargs: Any) -> ChatResponseAsyncGen:
        served, shown = await self._aroute(messages, kwargs, stream=True)
        return served.whole(await served.astream_chat(messages, **shown))

    @override
    async def astream_complete(
        self, prompt: str, formatted: bool = False, **kwargs: Any
    ) -> CompletionResponseAsyncGen:
        served, shown = await self._aroute([ChatMessage(prompt)], kwargs, stream=True)
        return served.whole(await served.astream_complete(prompt, formatted=formatted, **shown))

    # ----- routing

    @override
    def _should_use_structure_outputs(self) -> bool:
        if self.pydantic_program_mode != PydanticProgramMode.DEFAULT:
            return False
        router = self._router()
        request = self._read(
            {**self._asked(router, [ChatMessage("")], {}, stream=False), "response_format": _ANY_SCHEMA}
        )
        return router.explain(request, policy=self._policy()).model is not None

    def explain(self, messages: str | Sequence[ChatMessage], **kwargs: Any) -> Decision:
        """Return the Decision for a request without sending anything; its ``chosen`` is None if nothing fits.

        Args:
            messages: what ``chat`` or ``complete`` would be given.
            kwargs: what they would be given besides.

        Raises:
            RequestError: when the request itself is wrong.
            PolicyError: when a pattern of the policy matches no model.
            CatalogError: when the policy or the call names an unknown model.
        """
        whole = [ChatMessage(messages)] if isinstance(messages, str) else messages
        return self._parsed(whole, kwargs, stream=bool(kwargs.get("stream"))).explain()

    def _route(
        self, messages: Sequence[ChatMessage], kwargs: dict[str, Any], *, stream: bool = False
    ) -> tuple[Served, dict[str, Any]]:
        try:
            parsed, client = self._parsed(messages, kwargs, stream=stream), self._get_client()
            decision = parsed.decide(client)
        except RoutedError as error:
            raise ERRORS.made(error, self.api_base) from None
        return self._served(messages, parsed, decision, client)

    async def _aroute(
        self, messages: Sequence[ChatMessage], kwargs: dict[str, Any], *, stream: bool = False
    ) -> tuple[Served, dict[str, Any]]:
        try:
            parsed, client = self._parsed(messages, kwargs, stream=stream), self._get_aclient()
            decision = await parsed.adecide(client)
        except RoutedError as error:
            raise ERRORS.made(error, self.api_base) from None
        return self._served(messages, parsed, decision, client)

    def _parsed(
        self, messages: Sequence[ChatMessage], kwargs: Mapping[str, Any], *, stream: bool
    ) -> ParsedCall:
        router = self._router()
        asked = self._asked(router, messages, kwargs, stream=stream)
        return ParsedCall(
            router=router,
            request=self._read(asked),
            options=self._options(kwargs),
            asked=asked,
            retries=self.max_retries,
        )

    def _served(
        self, messages: Sequence[ChatMessage], parsed: ParsedCall, decision: Decision, client: Any
    ) -> tuple[Served, dict[str, Any]]:
        """Return the object that makes a decided call, and what its events show of the parameters."""
        router, asked, served = parsed.router, parsed.asked, self._template.of(self)
        wired = Wired(
            asked=asked,
            catalog=router.catalog,
            fails=partial(failed, openai),
            announce=announcing(served, decision, router),
            remember=partial(self._answers.remember, asked["messages"]),
            stream_usage=self.stream_usage,
            left_out=left_out(messages),
            question=UsageQuestion(self._answers.takes_usage),
        )

        given = {name: asked[name] for name in OPTIONS if name in asked}
        whose = partial(router.credential_of, own=parsed.options.own)
        route = Route(Driven.of(parsed, decision, wired), self._clients, client, given, whose)
        wired.send = partial(self._send_apart, route)
        served.take(route).named(decision, router)
        return served, {name: value for name, value in asked.items() if name not in ("messages", "stream")}

    def _send_apart(self, route: Route, prepared: Prepared) -> Any:
        """Send a shadow's second request: in a thread, whatever the first one was."""
        return route.send(prepared, self._get_client())

    def _asked(
        self, router: Router, messages: Sequence[ChatMessage], kwargs: Mapping[str, Any], *, stream: bool
    ) -> dict[str, Any]:
        """Return a request in the form of Chat Completions."""
        asked: dict[str, Any] = {"messages": chat_messages(messages), **parameters(self, kwargs)}
        if kwargs.get("model") is None and self.model.lower().startswith(router.catalog.searching):
            asked = dict(with_search(asked, self.model, router.catalog, router.now))
        return {**asked, "stream": True} if stream else asked

    def _read(self, asked: Mapping[str, Any]) -> Request:
        body = wire_parameters(asked)
        body.pop("stream_options", None)  # how a stream is read says nothing about the model
        return read_openai(
            body,
            pin=True,
            previous=self._answers.before(body["messages"]),
            locked_to=self._answers.author(body.get("previous_response_id")),
            emulates=("stop",),
        )

    def _options(self, kwargs: Mapping[str, Any]) -> CallOptions:
        """Return what the router takes besides a request."""
        own, routing = self._own_options(), kwargs.get("routing")
        return own if routing is None else CallOptions.read(routing).on(own)

    def _own_options(self) -> CallOptions:
        policy = self.policy or (self.router.policy if self.router is not None else None)
        client = self._client or self._aclient
        at = str(getattr(client, "base_url", None) or self.api_base or _OPENAI)
        whose = getattr(client, "api_key", self.api_key), at.rstrip("/")
        return self._own.options.of(policy, self.model, self.budget, at, *whose)

    def _router(self) -> Router:
        return self.router if self.router is not None else self._own.get(self.catalog)

    def _policy(self) -> Policy:
        return cast(Policy, self._own_options().policy)

    def _advertised(self) -> int:
        if isinstance(self.context_window, int):
            return self.context_window
        return self._own.window(self._router(), self._policy(), parameters(self, {}), self.context_window)

    # ----- copies, pickles and dicts keep what limits a call

    @override
    def to_dict(self, **kwargs: Any) -> dict[str, Any]:
        """Return the fields as JSON-able data; what has no such form is named, and wanted again."""
        data, file = super().to_dict(**kwargs), getattr(self.ledger, "path", None)
        if self.budget:
            data["budget"] = [written(budget.to_dict()) for budget in self.budget]
        if file is not None:
            data["ledger"] = str(file.absolute())
        router = self._router()
        limits = router.keeps_books or (self.policy is None and router.policy != _DEFAULT_POLICY)
        others = set() if limits and not self._keeps_books else {"router"}
        held = [name for name in _LIMITS - others if getattr(self, name) is not None]
        if self.budget and self._keeps_books:
            held.append("ledger")
        missing = sorted({name for name in held if name not in data})
        return {**data, _NOT_WRITTEN: missing} if missing else data

    @classmethod
    @override
    def from_dict(cls, data: dict[str, Any], **kwargs: Any) -> Self:
        """Return the LLM that :meth:`to_dict` wrote.

        Raises:
            PolicyError: when something that limits its calls could not be written, and is not given again.
        """
        given = {**data, **kwargs}
        for name in given.pop(_NOT_WRITTEN, ()):
            if name not in kwargs:
                raise PolicyError(
                    f"{name} has no form in a dict, and without it calls would not be limited as they were. "
                    f"Give it again: from_dict(data, {name}=...).",
                    key=name,
                )
        return super().from_dict(given)

    @override
    def __getstate__(self) -> dict[str, Any]:
        fields = dict(self.__dict__)
        if self._keeps_books:
            del fields["router"]  # made here, and made again
            travels(self.router)
        kept = pickled(fields, lambda name: _WAYS_OUT[name == "router"] if name in _LIMITS else None)
        for name in fields.keys() - kept.keys():
            logging.getLogger(__name__).warning("%s cannot be pickled, and is left out", name)
        return {"__dict__": kept}

    @override
    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__init__(**state["__dict__"])  # type: ignore[misc] # what it refuses is not loaded without it


# The object that makes a call has its events and its span; a second span would count it twice.
for _name in (
    "chat",
    "complete",
    "stream_chat",
    "stream_complete",
    "achat",
    "acomplete",
    "astream_chat",
    "astream_complete",
):
    setattr(RoutedLLM, _name, getattr(RoutedLLM, _name).__wrapped__)

RECOGNIZED_LLMS[RoutedLLM.class_name()] = RoutedLLM
