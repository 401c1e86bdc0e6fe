"""RoutedLLM: the framework's OpenAI class by type and surface, a choice of model for each call."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any, Literal, Self, cast

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
from llama_index.core.constants import DEFAULT_TEMPERATURE
from llama_index.core.llms.loading import RECOGNIZED_LLMS
from llama_index.core.types import PydanticProgramMode
from llama_index.llms.routed.calls import RoutedCall
from llama_index.llms.routed.cutting import shape
from llama_index.llms.routed.delegates import ChatDelegate, Delegates, ResponsesDelegate
from llama_index.llms.routed.exact import Question
from llama_index.llms.routed.own import OwnRouter
from llama_index.llms.routed.reading import parameters, portable, read_request
from llama_index.llms.routed.sending import payload
from llama_index.llms.routed.turns import Turns
from llama_index.llms.routed.upstream import CarefulOpenAI
from openai import AsyncOpenAI
from openai import OpenAI as SyncOpenAI
from typing_extensions import override

from routed_llm import (
    Attempts,
    BudgetEvent,
    CallOptions,
    Catalog,
    Decision,
    Ledger,
    Limits,
    Policy,
    Request,
    Router,
    budgets_from,
)

__all__ = ["RoutedLLM"]

_ANY_SCHEMA = {
    "type": "json_schema",
    "json_schema": {"name": "any", "strict": True, "schema": {"type": "object", "properties": {}}},
}
_DEFAULT_POLICY = Policy()


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
        policy: what is wanted of routing: a Policy, or its keywords as a dictionary.
        router: the router that decides; by default one for this LLM, made from ``catalog``.
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
        default=None, exclude=True, repr=False, description="Told when a budget passes a share."
    )
    context_window: int | Literal["largest"] | None = Field(
        default=None, description="The context window to advertise; None to work it out."
    )
    stream_usage: bool = Field(default=True, description="Whether streams are asked for their usage.")

    _delegates: Delegates = PrivateAttr(default_factory=Delegates)
    _turns: Turns = PrivateAttr(default_factory=Turns)
    _own: OwnRouter = PrivateAttr(default_factory=OwnRouter)

    def __init__(
        self,
        model: str | None = None,
        temperature: float = DEFAULT_TEMPERATURE,
        max_tokens: int | None = None,
        *,
        policy: Policy | Mapping[str, Any] | None = None,
        router: Router | None = None,
        catalog: Catalog | None = None,
        budget: Any = None,
        ledger: Ledger | str | None = None,
        on_budget: Callable[[BudgetEvent], object] | None = None,
        context_window: int | Literal["largest"] | None = None,
        stream_usage: bool = True,
        **kwargs: Any,
    ) -> None:
        wanted = Policy(**policy) if isinstance(policy, Mapping) else policy
        if not (budget is None and ledger is None and on_budget is None):
            router = Router.keeping(router, catalog=catalog, ledger=ledger, on_budget=on_budget)
        super().__init__(
            temperature=temperature,
            max_tokens=max_tokens,
            policy=wanted,
            router=router,
            catalog=catalog,
            budget=budgets_from(budget) or None,
            ledger=None if ledger is None or router is None else router.ledger,
            on_budget=on_budget,
            context_window=context_window,
            stream_usage=stream_usage,
            **kwargs,
        )
        # Set afterwards: the constructor compares the name with its tables, changes the temperature by it
        # and refuses models that only Responses has.
        self.model = model or (wanted or (router.policy if router else _DEFAULT_POLICY)).baseline
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
        return Policy(**value) if isinstance(value, Mapping) else value

    @field_serializer("policy")
    def _write_policy(self, policy: Policy | None) -> dict[str, Any] | None:
        if policy is None:
            return None
        plain = policy.to_dict()
        cap = plain["max_cost_per_call"]
        return {**plain, "max_cost_per_call": None if cap is None else str(cap)}

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

    # ----- the eight endpoints: not decorated, since the delegate's own fire the events

    @override
    def chat(self, messages: Sequence[ChatMessage], **kwargs: Any) -> ChatResponse:
        def send(call: RoutedCall) -> ChatResponse:
            return cast(ChatResponse, call.delegate.chat(call.messages, **call.kwargs))

        return self._route(messages, kwargs).ask(send)

    @override
    def complete(self, prompt: str, formatted: bool = False, **kwargs: Any) -> CompletionResponse:
        def send(call: RoutedCall) -> CompletionResponse:
            return cast(
                CompletionResponse, call.delegate.complete(prompt, formatted=formatted, **call.kwargs)
            )

        return self._route([ChatMessage(prompt)], kwargs).ask(send)

    @override
    def stream_chat(self, messages: Sequence[ChatMessage], **kwargs: Any) -> ChatResponseGen:
        def send(call: RoutedCall) -> ChatResponseGen:
            return cast(ChatResponseGen, call.delegate.stream_chat(call.messages, **call.kwargs))

        call = self._route(messages, kwargs, stream=True)
        return call.pour(send(call), send)

    @override
    def stream_complete(self, prompt: str, formatted: bool = False, **kwargs: Any) -> CompletionResponseGen:
        def send(call: RoutedCall) -> CompletionResponseGen:
            chunks = call.delegate.stream_complete(prompt, formatted=formatted, **call.kwargs)
            return cast(CompletionResponseGen, chunks)

        call = self._route([ChatMessage(prompt)], kwargs, stream=True)
        return call.pour(send(call), send)

    @override
    async def achat(self, messages: Sequence[ChatMessage], **kwargs: Any) -> ChatResponse:
        async def send(call: RoutedCall) -> ChatResponse:
            return cast(ChatResponse, await call.delegate.achat(call.messages, **call.kwargs))

        return await (await self._aroute(messages, kwargs)).aask(send)

    @override
    async def acomplete(self, prompt: str, formatted: bool = False, **kwargs: Any) -> CompletionResponse:
        async def send(call: RoutedCall) -> CompletionResponse:
            answer = await call.delegate.acomplete(prompt, formatted=formatted, **call.kwargs)
            return cast(CompletionResponse, answer)

        return await (await self._aroute([ChatMessage(prompt)], kwargs)).aask(send)

    @override
    async def astream_chat(self, messages: Sequence[ChatMessage], **kwargs: Any) -> ChatResponseAsyncGen:
        async def send(call: RoutedCall) -> ChatResponseAsyncGen:
            return cast(ChatResponseAsyncGen, await call.delegate.astream_chat(call.messages, **call.kwargs))

        call = await self._aroute(messages, kwargs, stream=True)
        return call.apour(await send(call), send)

    @override
    async def astream_complete(
        self, prompt: str, formatted: bool = False, **kwargs: Any
    ) -> CompletionResponseAsyncGen:
        async def send(call: RoutedCall) -> CompletionResponseAsyncGen:
            chunks = await call.delegate.astream_complete(prompt, formatted=formatted, **call.kwargs)
            return cast(CompletionResponseAsyncGen, chunks)

        call = await self._aroute([ChatMessage(prompt)], kwargs, stream=True)
        return call.apour(await send(call), send)

    # ----- routing

    @override
    def _should_use_structure_outputs(self) -> bool:
        if self.pydantic_program_mode != PydanticProgramMode.DEFAULT:
            return False
        given = {**self._given({}), "response_format": _ANY_SCHEMA}
        request = read_request([ChatMessage("")], given)
        return self._router().explain(request, policy=self._policy()).model is not None

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
        asked = [ChatMessage(messages)] if isinstance(messages, str) else messages
        request = self._read(asked, self._given(kwargs), stream=bool(kwargs.get("stream")))
        options = CallOptions.read(kwargs.get("routing"))
        return self._router().explain(
            request, policy=options.applied_to(self._policy()), **self._circumstances(options)
        )

    def _route(
        self, messages: Sequence[ChatMessage], kwargs: dict[str, Any], *, stream: bool = False
    ) -> RoutedCall:
        given, options = self._given(kwargs), CallOptions.read(kwargs.get("routing"))
        router, request = self._router(), self._read(messages, given, stream=stream)
        around = {"policy": options.applied_to(self._policy()), **self._circumstances(options)}
        exact: Any = None
        if around["policy"].exact_within:
            exact = partial(Question(messages, given).ask, self._get_client())
        decision = router.decide(request, exact=exact, **around)

        def take(decided: Decision) -> RoutedCall:
            delegate = self._delegate(decided, given, client=self._get_client())
            return self._call(router, decided, messages, given, delegate, stream)

        second = partial(self._second, router, tuple(messages), given)
        return take(decision).recovering(self._attempts(request, decision, around), take, second)

    async def _aroute(
        self, messages: Sequence[ChatMessage], kwargs: dict[str, Any], *, stream: bool = False
    ) -> RoutedCall:
        given, options = self._given(kwargs), CallOptions.read(kwargs.get("routing"))
        router, request = self._router(), self._read(messages, given, stream=stream)
        around = {"policy": options.applied_to(self._policy()), **self._circumstances(options)}
        exact: Any = None
        if around["policy"].exact_within:
            exact = partial(Question(messages, given).aask, self._get_aclient())
        decision = await router.adecide(request, exact=exact, **around)

        def take(decided: Decision) -> RoutedCall:
            delegate = self._delegate(decided, given, aclient=self._get_aclient())
            return self._call(router, decided, messages, given, delegate, stream)

        second = partial(self._second, router, tuple(messages), given)
        return take(decision).recovering(self._attempts(request, decision, around), take, second)

    def _second(
        self, router: Router, messages: Sequence[ChatMessage], given: Mapping[str, Any], decision: Decision
    ) -> RoutedCall:
        """Make a call of a shadow's sample: whole, and for a thread, whatever the first one was."""
        delegate = self._delegate(decision, given, client=self._get_client())
        return self._call(router, decision, messages, given, delegate, stream=False)

    def _attempts(self, request: Request, decision: Decision, around: dict[str, Any]) -> Attempts:
        limits = Limits.from_retries(self.max_retries)
        return self._router().attempts(request, decision, limits=limits, **around)

    def _circumstances(self, options: CallOptions) -> dict[str, Any]:
        # What is refused to one key may be had with another.
        whose = self._own.credential(self.api_key, self.api_base, self._client, self._aclient)
        own = self._own.address(self.api_base, self._client, self._aclient)
        return {**options.circumstances(budgets_from(self.budget)), "credential": whose, "own": own}

    def _given(self, kwargs: Mapping[str, Any]) -> dict[str, Any]:
        return parameters(self, kwargs)

    def _read(self, messages: Sequence[ChatMessage], given: Mapping[str, Any], *, stream: bool) -> Request:
        author = self._turns.author(given.get("previous_response_id"))
        before = self._turns.before(messages)
        return read_request(messages, given, stream=stream, previous=before, locked_to=author)

    def _call(
        self,
        router: Router,
        decision: Decision,
        messages: Sequence[ChatMessage],
        given: Mapping[str, Any],
        delegate: ChatDelegate | ResponsesDelegate,
        stream: bool,
    ) -> RoutedCall:
        sent = payload(decision, given, stream=stream, stream_usage=self.stream_usage)
        if delegate._apart:
            for name in ("extra_headers", "extra_query"):
                sent.pop(name, None)  # meant for the caller's own address: it may hold a key
        return RoutedCall(
            router=router,
            decision=decision,
            delegate=delegate,
            messages=[portable(message) for message in messages],
            kwargs={**sent, **shape(decision, given, stream=stream)},
            remember=partial(self._turns.remember, tuple(messages)),
        )

    def _delegate(
        self,
        decision: Decision,
        given: Mapping[str, Any],
        *,
        client: SyncOpenAI | None = None,
        aclient: AsyncOpenAI | None = None,
    ) -> ChatDelegate | ResponsesDelegate:
        window = self._router().catalog.get(decision.model or "").limits.context_window
        modalities = tuple(given.get("modalities") or ())
        own = self._own.address(self.api_base, self._client, self._aclient)
        credential = self._router().credential_of(decision, own)
        return self._delegates.get(
            self, decision, window, modalities, client=client, aclient=aclient, credential=credential
        )

    def _router(self) -> Router:
        if self.router is None and self.ledger is not None:
            self.router = Router.keeping(None, catalog=self.catalog, ledger=self.ledger)  # after a pickle
        return self.router if self.router is not None else self._own.get(self.catalog)

    def _policy(self) -> Policy:
        policy = self.policy or (self.router.policy if self.router is not None else _DEFAULT_POLICY)
        return self._own.policy(policy, self.model)

    def _advertised(self) -> int:
        if isinstance(self.context_window, int):
            return self.context_window
        return self._own.window(self._router(), self._policy(), self._given({}), self.context_window)


RECOGNIZED_LLMS[RoutedLLM.class_name()] = RoutedLLM
