"""CallPlanner: where one RoutedChatModel turns a request into a call. It keeps what outlives calls only."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import lru_cache, partial
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any, Final

from langchain_core.messages import BaseMessage
from langchain_openai import ChatOpenAI
from pydantic import SecretStr

from langchain_routed._call import RoutedCall
from langchain_routed._delegates import DelegateCache
from langchain_routed._messages import Conversation
from langchain_routed._reading import (
    merge,
    previous_of,
    requirements,
    state_owner,
    with_extra,
)
from routed_llm import (
    CallOptions,
    CatalogError,
    Policy,
    Router,
    TokenCount,
    budgets_from,
    fingerprint,
    read_openai,
)
from routed_llm.calls.adapting import acounted, counted, policy_from
from routed_llm.calls.search import with_search

if TYPE_CHECKING:
    from langchain_routed._delegates import Owner

__all__ = ["CallPlanner", "asks_for_responses", "default_router"]

_FOR_US: Final = frozenset(
    {"routing", "ls_structured_output_format", "structured_output_format", "stream_usage"}
)
_SWITCHES: Final = (
    "use_responses_api",
    "output_version",
    "context_management",
    "include",
    "reasoning",
    "truncation",
    "use_previous_response_id",
)
OPENAI: Final = "https://api.openai.com/v1"


@lru_cache(maxsize=1)
def default_router() -> Router:
    """The router that every model without one of its own shares, so that they learn together."""
    return Router()


def asks_for_responses(model: ChatOpenAI, parameters: Mapping[str, Any], *, model_name: str = "") -> bool:
    """Say whether ChatOpenAI would send a call to Responses: it knows best which calls need it.

    Args:
        model: the settings.
        parameters: those of the call.
        model_name: the name to judge by; none, to judge by the call and the settings alone.
    """
    hook = type(model)._use_responses_api
    if hook is not ChatOpenAI._use_responses_api:
        return bool(model._use_responses_api(dict(parameters)))  # a subclass knows better
    fields = model.__dict__  # a tenth of the time that attributes of a pydantic model take
    asked: bool | None = fields["use_responses_api"]
    if asked is not None:
        return asked
    settings = SimpleNamespace(model_name=model_name, **{name: fields[name] for name in _SWITCHES})
    return ChatOpenAI._use_responses_api(settings, dict(parameters))  # type: ignore[arg-type]


class CallPlanner:
    """Routes the calls of one RoutedChatModel. Safe to use from many threads."""

    def __init__(self, owner: Owner) -> None:
        self.owner = owner
        self.delegates = DelegateCache(owner)
        if owner.router is not None:
            self.router = owner.router
        elif owner.catalog is not None:
            self.router = Router(catalog=owner.catalog)
        else:
            self.router = default_router()
        self._policy: tuple[Any, str, Policy] | None = None
        self._kept: tuple[Any, CallOptions] | None = None
        self._quiet: tuple[tuple[Any, ...], tuple[dict[str, Any], bool, str | None]] | None = None
        self.lost: dict[str, int] = {}
        self.takes_usage: dict[str | None, bool] = {}

    def known(self, name: str) -> str | None:
        """Return the catalog id behind a model's name, or None for a stranger."""
        try:
            return self.router.catalog.get(name).id
        except CatalogError:
            return None

    def policy(self) -> Policy:
        """Return the model's policy with its baseline."""
        owner = self.owner
        kept = self._policy
        if kept is None or kept[0] is not owner.policy or kept[1] != owner.model_name:
            # What is assigned, or put into a copy, comes here unread.
            base = policy_from(owner.policy) or self.router.policy or Policy()
            kept = (owner.policy, owner.model_name, base.replace(baseline=owner.model_name))
            self._policy = kept
        return kept[2]

    def read(
        self,
        messages: Sequence[BaseMessage],
        stop: list[str] | None,
        kwargs: Mapping[str, Any],
        *,
        stream: bool,
    ) -> RoutedCall:
        """Read a call, for which nothing is decided yet.

        Raises:
            RequestError: when no model could take it.
            PolicyError: for a wrong override.
        """
        options = CallOptions.read(kwargs.get("routing"))
        call = {name: value for name, value in kwargs.items() if name not in _FOR_US} if kwargs else {}
        parameters, items, wanted = self._settings(call, stop)
        extra = call.get("extra_body", self.owner.extra_body) or {}
        pinned = extra.get("model") or call.get("model")
        owner, hard = state_owner(
            messages,
            parameters.get("previous_response_id"),
            chained=self.owner.use_previous_response_id,
            carried=items or parameters.get("store") is False,
            known=self.known,
        )
        locked = None if pinned else owner
        said = Conversation(
            messages=messages, model=None, endpoint="responses", known=self.known, brings_tools=items
        )
        body: dict[str, Any] = {
            **requirements(parameters),
            "messages": said.as_chat(),
            "stream": stream or None,
        }
        request = read_openai(
            {**body, "model": pinned},
            pin=pinned is not None,
            previous=previous_of(messages, self.known),
            locked_to=locked,
            emulates=("stop",),
            endpoint=wanted,
            foreign=True,
        )
        options = options.on(self._options())
        exact = options.policy is not None and options.policy.exact_within
        return RoutedCall(
            planner=self,
            request=request,
            parameters=parameters,
            options=options,
            items=items,
            soft=locked is not None and not hard,
            nulls=tuple([name for name, value in call.items() if value is None]) if call else (),
            exact=self._exact(body) if exact else None,
        )

    def _exact(self, body: dict[str, Any]) -> tuple[Any, Any]:
        """Return what asks OpenAI for its own count of a request, with the clients that would send it."""
        client, in_loop = self.owner.root_client, self.owner.root_async_client
        return partial(counted, client, body), partial(acounted, in_loop, body)

    def _settings(
        self, call: Mapping[str, Any], stop: list[str] | None
    ) -> tuple[dict[str, Any], bool, str | None]:
        """Return a call's parameters, whether they ask for Responses, and the endpoint it insists on."""
        owner = self.owner
        # Most calls have no keywords of their own, and the fields are as they were.
        fields = tuple(owner.__dict__.values())
        quiet = not call and stop is None and not (owner.stop or owner.model_kwargs)
        quiet = quiet and type(owner)._default_params is ChatOpenAI._default_params
        kept = self._quiet
        if quiet and kept is not None and kept[0] == fields:
            return kept[1]
        parameters = merge(owner._default_params, call, stop)
        # What may change in place is read again.
        quiet = quiet and all(isinstance(value, (str, int, float)) for value in parameters.values())
        parameters = with_extra(parameters)
        if call.get("model") is None:
            # A program counts on the search of a baseline that searches the web at every call.
            router = self.router
            asked = with_search(parameters, self.owner.model_name, router.catalog, router.now)
            parameters = dict(asked)
        # ChatOpenAI goes by the names: one that is null (a first turn's previous_response_id) asks, too.
        items = self.asks({**call, **parameters})
        found = parameters, items, self._endpoint(parameters, items=items)
        if quiet:
            self._quiet = fields, found
        return found

    def _options(self) -> CallOptions:
        """Return what holds for every call: policy, budgets, whose calls they are and where they go."""
        owner = self.owner
        client = owner.root_client or owner.root_async_client
        address = getattr(client, "base_url", None) or owner.openai_api_base or OPENAI
        whose = (owner.openai_api_key, owner.openai_api_base, owner.openai_organization, owner.factory)
        parts = (self.policy(), budgets_from(owner.budget), address, *whose)
        kept = self._kept
        if kept is None or kept[0] != parts:
            key = whose[0].get_secret_value() if isinstance(whose[0], SecretStr) else whose[0]
            made = CallOptions(
                policy=parts[0],
                budgets=parts[1],
                # What is refused to one key may be had with another.
                credential=fingerprint(key, *whose[1:]),
                # A factory's models have clients and keys of their own.
                own=str(address) if owner.factory is None else None,
            )
            kept = self._kept = (parts, made)
        return kept[1]

    def note_lost(self, credential: str) -> None:
        """Note that the provider did not find what it should have stored for a credential."""
        self.lost[credential] = self.lost.get(credential, 0) + 1

    def count(self, messages: Sequence[BaseMessage], kwargs: Mapping[str, Any]) -> int:
        """Count a request's tokens as the model that would serve it counts them.

        Raises:
            RequestError: when no model could take the messages.
        """
        asked = self.read(messages, None, kwargs, stream=False)
        text = self.router.count(asked.request)
        facts = asked.request.facts.with_tokens(TokenCount.of(text))
        chosen = self.router.explain(replace(asked.request, facts=facts), policy=asked.options.policy).chosen
        return text if chosen is None else chosen.input_tokens

    def _endpoint(self, parameters: Mapping[str, Any], *, items: bool) -> str | None:
        own = type(self.owner)._use_responses_api is not ChatOpenAI._use_responses_api
        if self.owner.__dict__["use_responses_api"] is False or (own and not items):
            return "chat_completions"
        return "responses" if items or _is_loose(parameters) else None

    def asks(self, parameters: Mapping[str, Any], *, model_name: str = "") -> bool:
        """Say whether ChatOpenAI would send a call with these parameters to Responses."""
        return asks_for_responses(self.owner, parameters, model_name=model_name)


def _is_loose(parameters: Mapping[str, Any]) -> bool:
    """Say whether a form of answer comes with tools that are not strict: the SDK has that on Responses."""
    if parameters.get("response_format") is None:
        return False
    return any(
        tool.get("type") != "function" or (tool.get("function") or {}).get("strict") is not True
        for tool in parameters.get("tools") or ()
        if isinstance(tool, Mapping)
    )
