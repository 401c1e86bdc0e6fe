"""RoutedChatModel: a ChatOpenAI that picks the model for each call.

LangChain works out what traces and the cache are given before it calls the private methods, and never shows
them the messages. So a call is decided at its public entry; it travels on as a keyword, and the private
methods hand over to it.
"""

from __future__ import annotations

import asyncio
import inspect
import json
import threading
import warnings
from collections.abc import AsyncIterator, Callable, Iterator, Mapping, Sequence
from functools import cached_property, partial, reduce
from operator import itemgetter
from types import SimpleNamespace
from typing import Annotated, Any, Final, Literal, Self, TypeAlias, cast

import openai
from langchain_core.callbacks import Callbacks
from langchain_core.language_models import LangSmithParams, LanguageModelInput, ModelProfile
from langchain_core.language_models.chat_model_stream import AsyncChatModelStream, ChatModelStream
from langchain_core.messages import AIMessage, AIMessageChunk, BaseMessage
from langchain_core.outputs import ChatGeneration, ChatGenerationChunk, ChatResult, LLMResult
from langchain_core.runnables import Runnable, RunnableConfig
from langchain_core.runnables.config import var_child_runnable_config
from langchain_core.tools import BaseTool
from langchain_core.utils.function_calling import convert_to_openai_tool
from langchain_openai import AzureChatOpenAI, ChatOpenAI
from langchain_openai.chat_models.base import BaseChatOpenAI
from openai import AsyncOpenAI, OpenAI
from openai.types.chat import ChatCompletion
from openai.types.responses import Response, ResponseStreamEvent
from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, model_validator
from typing_extensions import override

from langchain_routed._calls import CallPlanner, RejectedCall, RoutedCall, asks_for_responses
from langchain_routed._messages import ITEMS, PLAN, ROUTING
from routed_llm import (
    BudgetEvent,
    Call,
    CallOptions,
    Catalog,
    Credential,
    Decision,
    Model,
    Policy,
    PolicyError,
    Request,
    RequestFacts,
    Router,
    guard_client,
)
from routed_llm.calls.adapting import own_books, pickled, policy_from, travels, written
from routed_llm.calls.reach import known, reachable, usual, widest
from routed_llm.calls.runners import aclosing
from routed_llm.calls.sdk import ChatOnResponses, Place, PlainResource, PlainResponses, client_at
from routed_llm.request.wire import ITEMS as WIRE_ITEMS

__all__ = ["RoutedChatModel"]

Config: TypeAlias = RunnableConfig | None
Stop: TypeAlias = list[str] | None

_CLIENTS = ("client", "async_client", "root_client", "root_async_client")
_SHARED = (
    *("router", "ledger", "catalog", "factory", "on_budget", "http_client", "http_async_client"),
    *("cache", "callbacks", "rate_limiter", "custom_get_token_ids"),
)
_UNHEARD = ("_ensure_sync_client_available", "_stream_responses", "_astream_responses", "_uses_gateway")
_HOOKS: Final = (
    *("_convert_chunk_to_generation_chunk", "_create_chat_result"),
    *("_get_generation_chunk_from_completion", "_should_stream_usage"),
)
"""Private methods of ChatOpenAI that a subclass may override, and that the models behind it ask for."""

_TAKEN: Final = (
    *("client", "async_client", "root_client", "root_async_client"),
    *("openai_api_key", "openai_api_base", "openai_organization", "request_timeout", "max_retries"),
    *("default_headers", "default_query", "include_response_headers", "disabled_params"),
    *("use_previous_response_id", "output_version", "tiktoken_model_name"),
    *("stream_chunk_timeout", "streaming", "stream_usage"),
)
"""Fields of the router that the models behind it take over."""

_OF: Final = itemgetter("factory", *_TAKEN)
_PAIRS: Final = (("root_client", "client", OpenAI), ("root_async_client", "async_client", AsyncOpenAI))
# LangChain takes a part of a stream apart, which to put together takes longer than all else.
_CHAT: Final = Place("chat_completions", ChatCompletion, object)
_RESPONSES: Final = Place("responses", Response, ResponseStreamEvent)
_MOST = 128
# Kept among a delegate's own fields: private attributes of pydantic's are ten times as slow to read.
_OWNER: Final = "_owner"
_HOOKED: Final = "_hooked"

_RUN_ONLY: Final = ("run_id", "run_name", "tags", "metadata")
_OWN_KEY: Final = "routed_llm"
"""Key of a config's ``configurable`` that nobody else uses."""

_OPENING = 3
"""Tokens that open the answer; with them ChatOpenAI counts no messages at all."""


def _on_azure(settings: Mapping[str, Any], call: Call) -> BaseChatOpenAI:
    return AzureChatOpenAI(
        azure_deployment=call.model,
        use_responses_api=call.endpoint == "responses",
        **{"stream_usage": True, **settings},
    )


class RoutedChatModel(ChatOpenAI):
    """A drop-in for ChatOpenAI that picks the OpenAI model, effort and endpoint for each call.

    Args:
        model: the baseline: the model the program was written for.
        policy: what is wanted: a Policy, a dict of its keywords, or the path of a TOML file.
        budget: what may be spent on its calls: one or several ``Budget``, or dicts of their keywords.
        ledger: where calls are booked: a Ledger, the path of an SQLite file, or a ``redis://`` URL; with a
            budget and without a ledger, in the memory of this process.
        on_budget: called with a BudgetEvent when a budget passes one of its ``notify_at`` shares.
        router: the router to ask, with its ledger and catalog; one that all models share when left out.
        catalog: the models there are; the packaged ones when left out. A ``router`` brings its own.
        factory: makes the model behind a call, for other back ends; ChatOpenAI on this one's clients when
            left out.
        profile_scope: whose abilities ``profile`` shows: ``"baseline"``, or ``"pool"``.
        routing_record: what travels with every answer: the ``"full"`` record, or a ``"short"`` one.
        **kwargs: ChatOpenAI's.

    Every argument, method, type and result is ChatOpenAI's. What differs:

    * ``model`` names the model the program was written for: the quality floor of the default policy.
      A ``model`` given for one call (``invoke(..., model=...)``, ``bind(model=...)``) pins that call.
    * ``response_metadata["routing"]`` of every answer says who served it, why, and for how much.
    * :meth:`explain` gives the Decision without a call.

    Example:
        .. code-block:: python

            llm = RoutedChatModel(model="gpt-4o", temperature=0)
            llm.invoke("What is the capital of Peru?").response_metadata["routing"]["why"]
    """

    model_name: str = Field(default="gpt-4o", alias="model")
    policy: Annotated[Policy | None, BeforeValidator(policy_from)] = Field(default=None)
    router: Router | None = Field(default=None, exclude=True)
    catalog: Catalog | None = Field(default=None, exclude=True)
    budget: Any = Field(default=None, exclude=True)
    ledger: Any = Field(default=None, exclude=True)
    on_budget: Callable[[BudgetEvent], object] | None = Field(default=None, exclude=True)
    factory: Callable[[Call], BaseChatOpenAI] | None = Field(default=None, exclude=True)

    profile_scope: Literal["baseline", "pool"] = Field(default="baseline")
    """Whose abilities :attr:`profile` shows: the baseline's, so that what a program makes of them (when it
    summarises, how it asks for structure) stays, or those of the widest model that the policy can reach."""

    routing_record: Literal["full", "short"] = Field(default="full")
    """What travels in ``response_metadata["routing"]`` of every answer: the whole record, or who answered,
    why and for how much (:func:`routed_llm.short_record`)."""

    # --- construction ---

    def __dir__(self) -> list[str]:
        """Return what a program may use: completion and help leave out private parts."""
        return [name for name in super().__dir__() if not name.startswith("_") or name.startswith("__")]

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        """Make a model from ChatOpenAI's arguments and the fields above.

        Raises:
            PolicyError: for a wrong policy or budget, or a ledger beside a router that has another.
        """
        # Read here, what is wrong stays a PolicyError; inside pydantic it would be a ValidationError.
        if "policy" in kwargs:
            kwargs["policy"] = policy_from(kwargs["policy"])
        kwargs.update(own_books(kwargs))
        super().__init__(*args, **kwargs)
        unheard = dict.fromkeys(_UNHEARD, "the model behind a call is another object")
        if self.factory is not None:
            unheard |= dict.fromkeys(_HOOKS, "the models that a factory makes have methods of their own")
        for name, why in unheard.items():
            if getattr(type(self), name) is not getattr(ChatOpenAI, name):
                warnings.warn(
                    f"{type(self).__name__}.{name} is not called: {why}. "
                    "Override _generate and _stream, or _get_request_payload, instead.",
                    stacklevel=2,
                )

    @model_validator(mode="before")
    @classmethod
    def validate_temperature(cls, values: dict[str, Any]) -> Any:
        """Leave the temperature alone: whether a model takes it is settled when one is chosen."""
        if values.get("factory") is not None and not (values.get("api_key") or values.get("openai_api_key")):
            values["api_key"] = "unused: the factory's models have their own"
        return values

    @model_validator(mode="after")
    def _infer_use_responses_api(self) -> Self:
        """Infer the endpoint from the settings, not from the baseline's name, which serves few calls."""
        if self.__dict__["use_responses_api"] is None and asks_for_responses(self, {}):
            self.use_responses_api = True
        policy = self.policy or (None if self.router is None else self.router.policy)
        if "model_name" not in self.model_fields_set and policy is not None:
            self.__dict__["model_name"] = policy.baseline
        return self

    @model_validator(mode="after")
    def validate_environment(self) -> Self:
        """Make the clients as ChatOpenAI does, but each request is sent once: retrying is for recovery."""
        given = self.root_client, self.root_async_client
        super().validate_environment()  # type: ignore[operator] # pydantic leaves a plain method in its place
        for made, had in zip((self.root_client, self.root_async_client), given, strict=True):
            if made is not None and made is not had:
                made.max_retries = 0
        return self

    @classmethod
    def from_azure(
        cls,
        *,
        deployments: Mapping[str, str],
        catalog: Catalog | None = None,
        policy: Policy | Mapping[str, Any] | str | None = None,
        azure: Mapping[str, Any] | None = None,
        **kwargs: Any,
    ) -> Self:
        """Make a model whose calls go to Azure OpenAI deployments.

        Args:
            deployments: deployment to the OpenAI model that it runs; only these are ever called.
            catalog: the catalog to start from; the packaged one when left out.
            policy: what is wanted, as for the constructor; without ``models`` all deployments may serve.
            azure: AzureChatOpenAI's arguments: ``azure_endpoint``, ``api_version``, ``api_key``, ...
            **kwargs: ChatOpenAI's arguments for the call: ``model``, ``temperature``, ``max_tokens``, ...

        Raises:
            CatalogError: when there is no deployment, or one runs an unknown model.
            PolicyError: for a wrong policy.
        """
        known, names = (catalog or Catalog.load()).with_deployments(deployments)
        wanted = policy_from(policy) or Policy(baseline=kwargs.get("model", "gpt-4o"))
        if wanted.models is None:
            wanted = wanted.replace(models=names)
        return cls(catalog=known, policy=wanted, factory=partial(_on_azure, azure or {}), **kwargs)

    # --- deciding ---

    def explain(self, input: LanguageModelInput, *, stop: Stop = None, **kwargs: Any) -> Decision:
        """Decide as a call would, without making it.

        Args:
            input: what :meth:`invoke` takes.
            stop: stop sequences of the call.
            **kwargs: the call's other keywords; ``routing`` changes the policy for it.

        Returns:
            The Decision; its ``chosen`` is None when nothing fits.

        Raises:
            RequestError: when no model could take the messages.
            PolicyError: for a wrong ``routing``.
        """
        messages = self._convert_input(input).to_messages()
        return self._own_planner().read(messages, stop, kwargs).explain()

    def _own_planner(self) -> CallPlanner:
        # Not one of pydantic's private attributes, which take ten times as long to read.
        planner: CallPlanner | None = self.__dict__.get("_planner")
        if planner is None or planner.owner is not self or self.router not in (None, planner.router):
            # A copy brings its original's planner along; it needs one of its own.
            planner = CallPlanner(self, DelegateCache(self))
            self.__dict__["_planner"] = planner
        return planner

    # --- the public entries: each call is routed here, before LangChain names a model anywhere ---

    @override
    def invoke(
        self, input: LanguageModelInput, config: Config = None, *, stop: Stop = None, **kwargs: Any
    ) -> AIMessage:
        return super().invoke(input, config, stop=stop, **_configured(config, kwargs))

    @override
    async def ainvoke(
        self, input: LanguageModelInput, config: Config = None, *, stop: Stop = None, **kwargs: Any
    ) -> AIMessage:
        return await super().ainvoke(input, config, stop=stop, **_configured(config, kwargs))

    @override
    def generate(
        self, messages: list[list[BaseMessage]], stop: Stop = None, callbacks: Callbacks = None, **kwargs: Any
    ) -> LLMResult:
        if PLAN in kwargs or not messages:
            return super().generate(messages, stop, callbacks, **kwargs)
        planner, results = self._own_planner(), []
        runs = _split_runs(len(messages), kwargs)
        stream = _streams(self, callbacks, kwargs, async_api=False)
        for prompt, run in zip(messages, runs, strict=True):
            call = planner.route(prompt, stop, kwargs, stream=stream)
            result = super().generate([prompt], stop, callbacks, **run, **_planned(kwargs, call))
            results.append(_completed(result, call))
        return _joined(results)

    @override
    async def agenerate(
        self, messages: list[list[BaseMessage]], stop: Stop = None, callbacks: Callbacks = None, **kwargs: Any
    ) -> LLMResult:
        if PLAN in kwargs or not messages:
            return await super().agenerate(messages, stop, callbacks, **kwargs)
        planner, agenerate = self._own_planner(), super().agenerate
        runs = _split_runs(len(messages), kwargs)
        stream = _streams(self, callbacks, kwargs, async_api=True)

        async def one(prompt: list[BaseMessage], run: dict[str, Any]) -> LLMResult:
            call = await planner.aroute(prompt, stop, kwargs, stream=stream)
            result = await agenerate([prompt], stop, callbacks, **run, **_planned(kwargs, call))
            return _completed(result, call)

        if len(messages) == 1:
            return await one(messages[0], runs[0])
        # As LangChain does: every prompt is answered or has failed before the first failure is raised.
        results = await asyncio.gather(*map(one, messages, runs), return_exceptions=True)
        return _joined(results)

    @override
    def stream(
        self, input: LanguageModelInput, config: Config = None, *, stop: Stop = None, **kwargs: Any
    ) -> Iterator[AIMessageChunk]:
        if self._should_stream(async_api=False, **{**kwargs, "stream": True}):
            kwargs = self._routed(input, config, stop, kwargs)
        yield from super().stream(input, config, stop=stop, **kwargs)

    @override
    async def astream(
        self, input: LanguageModelInput, config: Config = None, *, stop: Stop = None, **kwargs: Any
    ) -> AsyncIterator[AIMessageChunk]:
        if self._should_stream(async_api=True, **{**kwargs, "stream": True}):
            kwargs = await self._arouted(input, config, stop, kwargs)
        chunks: Any = super().astream(input, config, stop=stop, **kwargs)
        async with aclosing(chunks):
            async for chunk in chunks:
                yield chunk

    @override
    def _chat_model_stream_v3(
        self, input: LanguageModelInput, config: Config = None, *, stop: Stop = None, **kwargs: Any
    ) -> ChatModelStream:
        kwargs = self._routed(input, config, stop, kwargs)
        return super()._chat_model_stream_v3(input, config, stop=stop, **kwargs)

    @override
    async def _achat_model_stream_v3(
        self, input: LanguageModelInput, config: Config = None, *, stop: Stop = None, **kwargs: Any
    ) -> AsyncChatModelStream:
        kwargs = await self._arouted(input, config, stop, kwargs)
        return await super()._achat_model_stream_v3(input, config, stop=stop, **kwargs)

    def _routed(self, input: Any, config: Config, stop: Stop, kwargs: Any) -> dict[str, Any]:
        """Return a stream's keywords with its call."""
        messages, given = self._convert_input(input).to_messages(), _configured(config, kwargs)
        return _planned(given, self._own_planner().route(messages, stop, given, stream=True))

    async def _arouted(self, input: Any, config: Config, stop: Stop, kwargs: Any) -> dict[str, Any]:
        messages, given = self._convert_input(input).to_messages(), _configured(config, kwargs)
        return _planned(given, await self._own_planner().aroute(messages, stop, given, stream=True))

    # --- LangChain's private hooks: each hands over to the decided call ---

    @override
    def _generate(
        self, messages: list[BaseMessage], stop: Stop = None, run_manager: Any = None, **kwargs: Any
    ) -> ChatResult:
        call = kwargs.get(PLAN) or self._own_planner().route(messages, stop, kwargs)
        return call.generate(messages, run_manager)

    @override
    async def _agenerate(
        self, messages: list[BaseMessage], stop: Stop = None, run_manager: Any = None, **kwargs: Any
    ) -> ChatResult:
        call = kwargs.get(PLAN) or await self._own_planner().aroute(messages, stop, kwargs)
        return await call.agenerate(messages, run_manager)

    @override
    def _stream(
        self, messages: list[BaseMessage], stop: Stop = None, run_manager: Any = None, **kwargs: Any
    ) -> Iterator[ChatGenerationChunk]:
        call = kwargs.get(PLAN) or self._own_planner().route(messages, stop, kwargs, stream=True)
        yield from call.stream(messages, run_manager, kwargs)

    @override
    async def _astream(
        self, messages: list[BaseMessage], stop: Stop = None, run_manager: Any = None, **kwargs: Any
    ) -> AsyncIterator[ChatGenerationChunk]:
        call = kwargs.get(PLAN) or await self._own_planner().aroute(messages, stop, kwargs, stream=True)
        chunks: Any = call.astream(messages, run_manager, kwargs)
        async with aclosing(chunks):
            async for chunk in chunks:
                yield chunk

    # LangChain asks for this signature on every call; to find it out takes Python 10 us.
    # (Python looks the attribute up on any function; mypy knows no function that has it.)
    _generate.__signature__ = inspect.signature(_generate)  # type: ignore[attr-defined] # a function

    @override
    def _get_request_payload(
        self, input_: LanguageModelInput, *, stop: Stop = None, **kwargs: Any
    ) -> dict[str, Any]:
        call, messages = kwargs.pop(PLAN, None), self._convert_input(input_).to_messages()
        if call is None:
            call = self._own_planner().route(messages, stop, kwargs)
            stop, kwargs = call.stop, {"stream": kwargs.get("stream", self.streaming)}
        return call.payload(messages, stop, kwargs)  # type: ignore[no-any-return] # a keyword

    @override
    def _get_invocation_params(self, stop: Stop = None, **kwargs: Any) -> dict[str, Any]:
        call: RoutedCall | None = kwargs.pop(PLAN, None)
        if call is None:
            return super()._get_invocation_params(stop=stop, **_visible(kwargs))
        return call.delegate._get_invocation_params(stop=call.stop, **call.shown)

    @override
    def _get_ls_params(self, stop: Stop = None, **kwargs: Any) -> LangSmithParams:
        call: RoutedCall | None = kwargs.pop(PLAN, None)
        if call is None:
            return super()._get_ls_params(stop=stop, **_visible(kwargs))
        shown = call.delegate._get_ls_params(stop=call.stop, **call.shown)
        return cast("LangSmithParams", {**shown, **_traced(call)})

    @override
    def _get_llm_string(self, stop: Stop = None, **kwargs: Any) -> str:
        call: RoutedCall | None = kwargs.pop(PLAN, None)
        if call is None:
            return super()._get_llm_string(stop=stop, **_visible(kwargs))
        form = "plain" if call.plain else "items"
        form = form if call.cut is None else f"{form}/{json.dumps([call.cut.stops, call.cut.most])}"
        return f"routed/{form}/{call.delegate._get_llm_string(stop=call.stop, **call.shown)}"

    # --- what the router as a whole can do ---

    @override
    def with_structured_output(
        self,
        schema: dict[str, Any] | type | None = None,
        *,
        method: Literal["function_calling", "json_mode", "json_schema"] = "json_schema",
        **kwargs: Any,
    ) -> Runnable[LanguageModelInput, dict[str, Any] | BaseModel]:
        """Bind a schema as ChatOpenAI does; by function calling where no model of the pool has schemas."""
        planner = self._own_planner()
        models = reachable(planner.router, planner.policy())
        if method == "json_schema" and models and not any("json_schema" in one.structured for one in models):
            warnings.warn(
                "Cannot use method='json_schema' since no model that the policy can reach supports it. "
                "Overriding to method='function_calling'.",
                stacklevel=2,
            )
            method = "function_calling"
        return super().with_structured_output(schema, method=method, **kwargs)

    @override
    def _resolve_model_profile(self) -> ModelProfile | None:
        planner, scope = self._own_planner(), self.profile_scope
        router, policy = planner.router, planner.policy()
        # The baseline, or what serves a plain request where the policy names other models only.
        name = usual(router, policy) if scope == "baseline" else widest(router, policy)
        if name is None:
            return {}
        model = known(router, name)
        only_responses = model is not None and "chat_completions" not in model.endpoints
        on_responses = only_responses or asks_for_responses(self, {})
        # langchain-openai's own method, asked about this name; it claims nothing that hangs on the request.
        asked: Any = SimpleNamespace(model_name=name, _use_responses_api=lambda _: on_responses)
        profile = dict(BaseChatOpenAI._resolve_model_profile(asked) or {})
        return cast("ModelProfile", profile | ({} if model is None else _facts(model)))

    @override
    def get_num_tokens(self, text: str) -> int:
        """Count a text's tokens, without a network."""
        if self.custom_get_token_ids is not None:
            return len(self.custom_get_token_ids(text))
        return self._own_planner().router.count(Request(facts=RequestFacts(), texts=(text,)))

    @override
    def get_token_ids(self, text: str) -> list[int]:
        """Return a text's tokens, without a network."""
        if self.custom_get_token_ids is not None or self.tiktoken_model_name is not None:
            return super().get_token_ids(text)
        return self._own_planner().router.token_ids(text)

    @override
    def get_num_tokens_from_messages(
        self,
        messages: Sequence[BaseMessage],
        tools: Sequence[dict[str, Any] | type | Callable[..., Any] | BaseTool] | None = None,
        *,
        allow_fetching_images: bool = True,
    ) -> int:
        """Count what the messages and tools are to the model that would serve them, without a network.

        Text is counted exactly; images, audio and documents by the rule of that model; of an image that is
        given by reference only a common size is assumed, of a file nothing is known.

        Raises:
            RequestError: when no model could take the messages.
        """
        definitions = [convert_to_openai_tool(tool) for tool in tools or ()]
        if not messages and not definitions:
            return _OPENING  # an empty memory asks
        given = {"tools": definitions} if definitions else {}
        return self._own_planner().read(messages, None, given, stream=False).count()

    # --- copies and pickles keep what limits a call ---

    @override
    def __deepcopy__(self, memo: dict[int, Any] | None = None) -> Self:
        """Copy the settings; clients and books stay those of the original, whose money it draws on."""
        kept = (self.__dict__.get(name) for name in (*_CLIENTS, *_SHARED, "_planner"))
        return super().__deepcopy__({**(memo or {}), **{id(one): one for one in kept if one is not None}})

    @override
    def __getstate__(self) -> dict[Any, Any]:
        """Return the settings to make the model of again.

        Raises:
            PolicyError: when a limit cannot travel.
        """
        given = self.model_fields_set.difference(_CLIENTS)
        fields = {name: value for name, value in self.__dict__.items() if name in given}
        if self.budget is not None or self.ledger is not None:
            fields.pop("router", None)  # made here, and made again
            travels(self.router)
        return {"settings": pickled(fields, lambda _: "Leave it out, or make the model where it is used.")}

    @override
    def __setstate__(self, state: dict[Any, Any]) -> None:
        self.__init__(**state["settings"])  # type: ignore[misc] # what it refuses is not loaded without it

    # --- serialization ---

    @classmethod
    @override
    def get_lc_namespace(cls) -> list[str]:
        """Return the namespace of the LangChain object."""
        return ["langchain_routed", "chat_models"]

    @property
    @override
    def lc_attributes(self) -> dict[str, Any]:
        policy, found = policy_from(self.policy), super().lc_attributes
        return found if policy is None else {**found, "policy": written(policy.to_dict())}


# ----- the model behind a call


def _forwarded(name: str) -> Callable[..., Any]:
    return lambda self, *args, **kwargs: _hook(self, name)(*args, **kwargs)


class Delegate(ChatOpenAI):
    """A ChatOpenAI for one chosen model; what a user overrides or patches on the router still applies.

    It holds what belongs to a model's name and endpoint; the parameters of a call go with the call. In place
    of the SDK's client of Chat Completions it calls one that sends what is plain data already, or one over
    Responses: a program that was written for Chat Completions gets answers in its form, whichever endpoint
    serves them. Its fields never change once it is made, so that what traces show of them is worked out once.
    """

    model_config = ConfigDict(defer_build=True)  # the first one pays for it, not the import

    @cached_property
    def _shown(self) -> dict[str, Any]:
        return super()._get_invocation_params()

    @override
    def _get_invocation_params(self, stop: list[str] | None = None, **kwargs: Any) -> dict[str, Any]:
        if "tools" in kwargs:
            return super()._get_invocation_params(stop, **kwargs)  # which hides the credentials of some
        return {**self._shown, "stop": stop, **kwargs}

    @property
    def is_genuine(self) -> bool:
        """Whether it sends through the SDK itself, whose streams end with a finish reason."""
        return all(
            getattr(self, root) is None or isinstance(getattr(self, part), PlainResource)
            for root, part, _ in _PAIRS
        )

    @property
    def _is_on_responses(self) -> bool:
        """Whether answers of Responses come in the form of Chat Completions."""
        return isinstance(self.client or self.async_client, ChatOnResponses)

    @override
    def _create_chat_result(
        self, response: dict[str, Any] | BaseModel, generation_info: dict[str, Any] | None = None
    ) -> ChatResult:
        result: ChatResult = _hook(self, "_create_chat_result")(response, generation_info)
        if self._is_on_responses:
            for choice, generation in zip(response.choices, result.generations, strict=True):  # type: ignore[union-attr] # its own
                _keep_items(generation.message, (choice.message.model_extra or {}).get(WIRE_ITEMS))
        return result

    @override
    def _convert_chunk_to_generation_chunk(
        self, chunk: dict[str, Any], default_chunk_class: type, base_generation_info: dict[str, Any] | None
    ) -> ChatGenerationChunk | None:
        first = (chunk.get("choices") or (None,))[0]
        if isinstance(first, dict) and first.get("delta") is None:
            # Some servers end a stream with it; the reason would be lost.
            chunk = {**chunk, "choices": [{**first, "delta": {}}, *chunk["choices"][1:]]}
        made: ChatGenerationChunk | None = _hook(self, "_convert_chunk_to_generation_chunk")(
            chunk, default_chunk_class, base_generation_info
        )
        if made is not None and self._is_on_responses:
            for choice in chunk["choices"]:
                _keep_items(made.message, choice["delta"].get(WIRE_ITEMS))
                if choice["delta"].get("refusal"):
                    made.message.additional_kwargs["refusal"] = choice["delta"]["refusal"]
        return made

    @override
    def _get_request_payload(
        self, input_: LanguageModelInput, *, stop: list[str] | None = None, **kwargs: Any
    ) -> dict[str, Any]:
        return self.__dict__[_OWNER]._get_request_payload(input_, stop=stop, **kwargs)  # type: ignore[no-any-return] # from __dict__

    _get_generation_chunk_from_completion = _forwarded("_get_generation_chunk_from_completion")
    _should_stream_usage = _forwarded("_should_stream_usage")


def _hook(delegate: Delegate, name: str) -> Callable[..., Any]:
    """Return a method: that of the owner, or of a factory's model, where a class or a patch has its own."""
    hook: Any = getattr(delegate.__dict__[_HOOKED], name)
    original: Callable[..., Any] = getattr(ChatOpenAI, name)
    return partial(original, delegate) if getattr(hook, "__func__", None) is original else hook


def _keep_items(message: BaseMessage, kept: Mapping[str, Any] | None) -> None:
    """Keep what an answer of Responses is made of, with which its turn is sent again."""
    if kept:
        message.additional_kwargs[ITEMS] = kept["items"]


class DelegateCache:
    """The delegates of one router. Safe to use from many threads.

    Assigning a field of the router, or copying it with other values, leads to other delegates.
    """

    kind = Delegate
    """The class of those that are no factory's."""

    def __init__(self, owner: RoutedChatModel) -> None:
        self.owner = owner
        self._kept: tuple[tuple[Any, ...], dict[Any, BaseChatOpenAI]] = ((), {})
        self._lock = threading.Lock()

    def get(self, call: Call, credential: Credential | None = None, *, plain: bool = False) -> BaseChatOpenAI:
        """Return the delegate that a call is made with; its answers from Responses may be plain ones."""
        settings, kept = _OF(self.owner.__dict__), self._kept
        if settings != kept[0]:
            # What the fields are compared with is kept, so that nothing new can take their place unnoticed.
            kept = self._kept = (settings, {})
        whose = None if credential is None else credential.whose
        made, key = kept[1], (call.model, call.endpoint, call.base_url, whose, plain)
        found = made.get(key)
        if found is None:
            with self._lock:
                if len(made) >= _MOST:
                    made.clear()
                found = made[key] = made.get(key) or self._make(call, credential, plain=plain)
        return found

    def _make(self, call: Call, credential: Credential | None, *, plain: bool) -> BaseChatOpenAI:
        owner = self.owner
        made_by = None if owner.factory is None else owner.factory(call)
        if made_by is not None and not type(made_by).__module__.startswith("langchain_openai."):
            return _guarded(made_by)  # it has ways of its own
        fields: dict[str, Any] = {name: getattr(made_by or owner, name) for name in _TAKEN}
        if made_by is None:  # a factory's model has clients and settings of its own
            fields.update(max_retries=0, openai_api_base=call.base_url or fields["openai_api_base"])
            for root, part, kind in _PAIRS:
                client = fields[root]
                # What is patched on the router's own counts; a stand-in for one has its own ways.
                if call.base_url is not None or _is_genuine(client, fields[part]):
                    client = client_at(client, call.base_url, credential, kind, fields["request_timeout"])
                if client is not fields[root]:
                    fields.update({root: client, part: client.chat.completions})
        for root, part, _ in _PAIRS:
            if plain:
                fields[part] = fields[root] and ChatOnResponses(fields[root], openai)
            elif _is_genuine(fields[root], fields[part]):
                made = PlainResponses(fields[root], _RESPONSES)
                fields.update({root: made, part: PlainResource(fields[root], _CHAT)})
        # A given temperature, even None, keeps langchain-openai from adding one by the model's name.
        delegate = Delegate(
            model=call.model,
            temperature=None,
            use_responses_api=call.endpoint == "responses" and not plain,
            **{**fields, "stream_usage": fields["stream_usage"] is not False},
        )
        delegate.__dict__.update({_OWNER: owner, _HOOKED: made_by or owner})
        return _guarded(delegate)


def _is_genuine(root: Any, part: Any) -> bool:
    return isinstance(root, (OpenAI, AsyncOpenAI)) and part is root.chat.completions


def _guarded(delegate: BaseChatOpenAI) -> BaseChatOpenAI:
    """Look at what comes back where it comes in, whoever made the delegate."""
    for root in (getattr(delegate, name, None) for name, _, _ in _PAIRS):
        if isinstance(root, (OpenAI, AsyncOpenAI, PlainResponses)):
            guard_client(root._client)
    return delegate


# ----- between LangChain's conventions and a call


def _traced(call: RoutedCall | RejectedCall) -> dict[str, str]:
    """Return what a trace shows of a decision from the start of a run: keys that runs can be filtered by."""
    decision = call.decision
    if decision is None:
        return {}  # nothing was decided
    dollars = decision.dollars
    shown = {
        "baseline": decision.baseline if decision.policy is None else decision.policy.baseline,
        "model": decision.model,
        "effort": decision.effort,
        "why": decision.why,
        "estimated_cost": None if dollars is None else f"{dollars:f}",
        "arm": None if decision.trial is None else decision.trial.arm,
    }
    return {f"routed_{name}": value for name, value in shown.items() if value is not None}


def _configured(config: RunnableConfig | None, kwargs: dict[str, Any]) -> dict[str, Any]:
    """Add what a config's ``configurable`` says of routing to a call's keywords, which win.

    A LangGraph thread is a conversation unless another is named.

    Raises:
        PolicyError: when the keywords or ``configurable["routed_llm"]`` are wrong.
    """
    if PLAN in kwargs:
        return kwargs
    given = (config or {}).get("configurable")
    if given is None:
        given = (var_child_runnable_config.get() or {}).get("configurable") or {}
    own, routing, thread = given.get(_OWN_KEY), given.get("routing"), given.get("thread_id")
    if own is None and routing is None and thread is None:
        return kwargs
    around = CallOptions.read(own).over(_ours(routing))
    if thread is not None:
        around = around.over(CallOptions(conversation=str(thread)))
    return {**kwargs, "routing": CallOptions.read(kwargs.get("routing")).over(around)}


def _ours(routing: Any) -> CallOptions:
    """Read ``configurable["routing"]`` as far as it is ours: applications have such a key of their own."""
    if not CallOptions.reads(routing):
        return CallOptions()
    try:
        options = CallOptions.read(routing)
        options.applied_to(Policy())
    except PolicyError as error:
        warnings.warn(
            f"The config's configurable[\"routing\"] is taken for the application's own: {error} "
            f"Say what is meant for routed-llm under {_OWN_KEY!r}.",
            stacklevel=3,
        )
        return CallOptions()
    return options


def _planned(kwargs: Mapping[str, Any], call: RoutedCall | RejectedCall) -> dict[str, Any]:
    """Return a call's keywords with its call, naming the model that was chosen."""
    return {**_visible(kwargs), "model": call.model, PLAN: call}


def _visible(kwargs: Mapping[str, Any]) -> dict[str, Any]:
    """Return the keywords that traces may show."""
    return {name: value for name, value in kwargs.items() if name != "routing"}


def _split_runs(prompts: int, kwargs: dict[str, Any]) -> list[dict[str, Any]]:
    """Take what belongs to a run's trace, one dict a prompt, out of the call's keywords.

    Only the first run may have the id that was given.
    """
    run: dict[str, Any] = {name: kwargs.pop(name) for name in _RUN_ONLY if name in kwargs}
    rest = {name: value for name, value in run.items() if name != "run_id"}
    return [run, *[rest] * (prompts - 1)]


def _streams(model: ChatOpenAI, callbacks: Any, kwargs: Mapping[str, Any], *, async_api: bool) -> bool:
    """Say whether LangChain will stream behind a plain call, for a setting's or a handler's sake."""
    manager: Any = SimpleNamespace(handlers=getattr(callbacks, "handlers", callbacks) or ())
    return model._should_stream(async_api=async_api, run_manager=manager, **kwargs) or (
        model._should_use_protocol_streaming(async_api=async_api, run_manager=manager, **kwargs)
    )


def _completed(result: LLMResult, call: RoutedCall | RejectedCall) -> LLMResult:
    """Name the routed model in a result, and mark an answer that came from the cache as free."""
    if result.llm_output:
        result.llm_output["model_name"] = call.model
    if call.begun:
        return result
    for generation in (one for answers in result.generations for one in answers):
        if isinstance(generation, ChatGeneration) and isinstance(generation.message, AIMessage):
            metadata = generation.message.response_metadata
            record = {**metadata.get(ROUTING, {}), "cost": "0", "cached": True}
            # The cache keeps the generation itself: give the caller another.
            update = {"response_metadata": {**metadata, ROUTING: record}}
            generation.message = generation.message.model_copy(update=update)
    return result


def _joined(found: Sequence[LLMResult | BaseException]) -> LLMResult:
    """Join the results of several prompts as ``generate`` returns them, or raise the first failure."""
    for failure in found:
        if isinstance(failure, BaseException):
            raise failure
    results = [result for result in found if isinstance(result, LLMResult)]
    if len(results) == 1:
        return results[0]
    outputs = [result.llm_output or {} for result in results]
    usage: dict[str, Any] = reduce(_added, [one.get("token_usage") or {} for one in outputs], {})
    names = [one.get("model_name") for one in outputs]
    output = {"token_usage": usage, "model_name": names[0], "model_names": names}
    fingerprints = [one["system_fingerprint"] for one in outputs if one.get("system_fingerprint")]
    if fingerprints:
        output["system_fingerprint"] = fingerprints[0]  # as with ChatOpenAI
    return LLMResult(
        generations=[answers for result in results for answers in result.generations],
        llm_output=output,
        run=[run for result in results for run in result.run or []] or None,
    )


def _added(total: Mapping[str, Any], more: Mapping[str, Any]) -> dict[str, Any]:
    """Add counts up; ChatOpenAI's own sum warns of a detail that is None, as openai 3 has them."""
    added = dict(total)
    for name, value in more.items():
        if isinstance(value, Mapping):
            added[name] = _added(added.get(name) or {}, value)
        elif isinstance(value, int):
            added[name] = (added.get(name) or 0) + value
    return added


def _facts(model: Model) -> dict[str, Any]:
    """Return what a profile shows of a model: limits and modalities are the catalog's."""
    in_tools = "responses" in model.endpoints
    return {
        "max_input_tokens": model.limits.max_input,
        "max_output_tokens": model.limits.max_output,
        "text_inputs": "text" in model.inputs,
        "image_inputs": "image" in model.inputs,
        "image_url_inputs": "image" in model.inputs,
        "pdf_inputs": "pdf" in model.inputs,
        "audio_inputs": "audio" in model.inputs,
        "audio_outputs": "audio" in model.outputs,
        "image_tool_message": in_tools and "image" in model.inputs,
        "pdf_tool_message": in_tools and "pdf" in model.inputs,
        "tool_calling": any(state != "no" for state in model.tools.values()),
        "structured_output": "json_schema" in model.structured,
    }


class _UsesResponses:
    """What ``use_responses_api`` reads as: what was set, or True where no model offers another endpoint.

    The field itself keeps what was set: what follows from the pool is for readers (LangChain's agents make
    tools strict where it is not True), and must not outlive a change of the policy, nor be copied, written
    down or taken for the caller's wish.
    """

    def __get__(self, model: RoutedChatModel | None, owner: type | None = None) -> bool | None:
        """Read it of a model; a class has none, so that pydantic finds the field where it was declared."""
        if model is None:
            raise AttributeError("use_responses_api")
        given: bool | None = model.__dict__["use_responses_api"]
        if given is not None:
            return given
        planner = model._own_planner()
        models = reachable(planner.router, planner.policy())
        return bool(models and all("chat_completions" not in one.endpoints for one in models)) or None

    def __set__(self, model: RoutedChatModel, value: bool | None) -> None:
        """Set the field."""
        model.__dict__["use_responses_api"] = value


# Put there once the class is made: a class may not declare it beside the field.
RoutedChatModel.use_responses_api = _UsesResponses()  # type: ignore[assignment]  # a descriptor in a field's place


def _own_first(kind: type[BaseModel], parent: type[BaseModel]) -> inspect.Signature:
    """Return a model's signature with its baseline, and the fields that its parent does not have, first."""
    signature, own = inspect.signature(kind), {"model", *kind.model_fields} - parent.model_fields.keys()
    keywords = sorted(signature.parameters.values(), key=lambda one: (one.kind, one.name not in own))
    return signature.replace(parameters=keywords)


setattr(RoutedChatModel, "__signature__", _own_first(RoutedChatModel, ChatOpenAI))  # noqa: B010 - pydantic's is lazy
