"""The SDK's four clients, with the model chosen for each call to Chat Completions and Responses.

They stand where the SDK hands a finished request to its HTTP client and takes a response back. Whatever
lies above (``parse``, streams, raw responses, ``with_options``) sees a response of the endpoint that was
called; whatever lies below (the HTTP client, its hooks, signatures) sees the requests that are really sent.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from functools import cached_property, lru_cache, partial
from inspect import signature
from typing import TYPE_CHECKING, Any, Final, Self, cast

import openai
from typing_extensions import override

from openai_routed._exchange import ENDPOINTS, arespond, called, respond
from routed_llm import Decision, Endpoints, guard_client
from routed_llm.calls.problems import both, with_attempts
from routed_llm.calls.sdk import DecodedEvents, Place, plainly

if TYPE_CHECKING:
    from routed_llm import Policy

__all__ = ["AsyncAzureOpenAI", "AsyncOpenAI", "AzureOpenAI", "OpenAI", "module_client"]


_Client: Any = object  # for mypy, to which it is one of the SDK's four


def _key() -> str:
    key = os.environ.get("OPENAI_API_KEY")
    if not key:
        raise openai.OpenAIError("There is no API key. Set OPENAI_API_KEY, or give the client its api_key.")
    return key


async def _akey() -> str:
    return _key()


class _Routed(_Client):  # type: ignore[misc]  # one of the SDK's four
    """What the four share: the options of routing, and what a request says of them."""

    endpoints: Endpoints

    @classmethod
    def deferred(cls, api_key: str | None = None, **kwargs: Any) -> Self:
        """Create a client before its key is known: the environment is asked at each call."""
        return cls(api_key=api_key or (_akey if issubclass(cls, openai.AsyncOpenAI) else _key), **kwargs)

    def __init__(self, **kwargs: Any) -> None:
        routing = {name: kwargs.pop(name) for name in _OPTIONS if name in kwargs}
        self._addresses: dict[str, tuple[Any, Any]] = {}
        super().__init__(**kwargs)
        self.endpoints = Endpoints.make(**routing)
        guard_client(self._client)

    @override
    def copy(
        self,
        *,
        policy: Policy | Mapping[str, Any] | None = None,
        budget: Any = None,
        scope: Mapping[str, str] | str | None = None,
        conversation: str | None = None,
        _extra_kwargs: Mapping[str, Any] = {},
        **kwargs: Any,
    ) -> Self:
        """Create a client that shares this one's connections, router and books, with other options.

        Args:
            policy: a policy in place of this client's, or keywords that change it.
            budget: budgets besides this client's.
            scope: tags besides this client's.
            conversation: the conversation that calls belong to.
            kwargs: the SDK's own options.
        """
        own = {"policy": policy, "budget": budget, "scope": scope, "conversation": conversation}
        given = {"endpoints": self.endpoints, **own, **_extra_kwargs}
        made: Self = super().copy(_extra_kwargs=given, **kwargs)
        return made

    with_options = copy

    def explain(self, **body: Any) -> Decision:
        """Return the Decision for a call without sending anything; its ``chosen`` is None if nothing fits.

        Args:
            body: what ``chat.completions.create`` or ``responses.create`` would be given.

        Raises:
            RequestError: when the request itself is wrong.
            PolicyError: when a pattern of the policy matches no model.
            CatalogError: when the policy or the call names an unknown model.
        """
        extra = dict(body.pop("extra_body", None) or {})
        return self.endpoints.explain({**body, **extra}, routing=extra.pop("routing", None))

    if not TYPE_CHECKING:  # to it they are the SDK's, as they are but for what `create` does not look for

        @cached_property
        def chat(self):
            from openai.types.chat import ChatCompletion, ChatCompletionChunk  # heavy, as the resource is

            plainly(super().chat.completions, Place("chat_completions", ChatCompletion, ChatCompletionChunk))
            return super().chat

        @cached_property
        def responses(self):
            from openai.types.responses import Response, ResponseStreamEvent

            plainly(super().responses, Place("responses", Response, ResponseStreamEvent))
            return super().responses

    @override
    def _prepare_url(self, url: str) -> Any:
        base, found = self._addresses.get(url, (None, None))
        if base is not self.base_url:
            base, found = self.base_url, super()._prepare_url(url)
        if url in ENDPOINTS:  # to read one again would take longer than the decision
            self._addresses[url] = base, found
        return found

    @override
    def _make_sse_decoder(self) -> Any:
        return DecodedEvents(super()._make_sse_decoder())

    @override
    def _build_request(self, options: Any, **kwargs: Any) -> Any:
        called_at, extra, routing = options.url, options.extra_json, None
        if called_at in ENDPOINTS and isinstance(extra, Mapping) and "routing" in extra:
            # Out before the body is written: it may hold a Policy or a Budget, and is not the provider's.
            routing = extra["routing"]
            options.extra_json = {name: value for name, value in extra.items() if name != "routing"}
        elif called_at.startswith(f"{ENDPOINTS[1]}/") and isinstance(options.json_data, Mapping):
            options.json_data = self.endpoints.passed_on(options.json_data)  # counted, or compacted
        request = super()._build_request(options, **kwargs)
        if called_at in ENDPOINTS:
            retries = options.get_max_retries(self.max_retries)
            request.extensions["routed"] = called(self.endpoints, request, routing=routing, retries=retries)
        return request

    @override
    def _process_response(self, *, response: Any, retries_taken: int = 0, **kwargs: Any) -> Any:
        served, again = response.extensions.get("routed"), 0
        if served is not None:
            again = int(served.headers.get("x-routed-attempts", 1)) - 1
            if served.answer is not None and _RAW not in response.request.headers:
                response.is_decoded_next = True
        return super()._process_response(response=response, retries_taken=retries_taken + again, **kwargs)

    @override
    def _make_status_error(self, err_msg: str, *, body: object, response: Any) -> Any:
        error = super()._make_status_error(err_msg, body=body, response=response)
        served = response.extensions.get("routed")
        if served is None:
            return error
        if served.error is not None:
            return both(served.error, error)  # ours and the SDK's own: programs catch either
        return with_attempts(error, served.failure)


class _RoutedSync(_Routed):
    @override
    def _send_request(self, request: Any, *, stream: bool, **kwargs: Any) -> Any:
        asked, send_on = request.extensions.pop("routed", None), super()._send_request
        if asked is None:
            return send_on(request, stream=stream, **kwargs)
        return respond(self.endpoints, asked, request, partial(send_on, stream=True, **kwargs))


class _RoutedAsync(_Routed):
    @override
    async def _send_request(self, request: Any, *, stream: bool, **kwargs: Any) -> Any:
        asked, send_on = request.extensions.pop("routed", None), cast(Any, super())._send_request
        if asked is None:
            return await send_on(request, stream=stream, **kwargs)
        return await arespond(self.endpoints, asked, request, partial(send_on, stream=True, **kwargs))


class OpenAI(_RoutedSync, openai.OpenAI):
    """:class:`openai.OpenAI`, with the model chosen for each call to Chat Completions and Responses.

    It takes every argument of :class:`openai.OpenAI` and those below. The ``model`` of a call is the
    baseline: the model that the program was written for, which the quality floor refers to. What is said in
    ``extra_body={"routing": {...}}`` holds for one call: ``policy`` or keywords of it, ``scope``,
    ``conversation`` and ``budget``; it is never sent.

    Args:
        policy: what is wanted of routing: a Policy, or its keywords as a dictionary.
        budget: what may be spent on this client's calls: one or several ``Budget``, or dicts of keywords.
        scope: tags that say whom calls are for, such as ``{"team": "search"}``.
        conversation: the conversation that calls belong to.
        router: the router that decides; by default one for this client and its copies.
        catalog: the models there are; the packaged ones when left out.
        ledger: where calls are booked: a Ledger, the path of an SQLite file, or a ``redis://`` URL.
        on_budget: called with a BudgetEvent when a budget passes one of its ``notify_at`` shares.

    Raises:
        PolicyError: when the policy or a budget is wrong, or a ledger is given beside a router with another.

    Examples:
        ```python
        from openai_routed import OpenAI

        client = OpenAI()
        completion = client.chat.completions.create(
            model="gpt-4o", messages=[{"role": "user", "content": "Say hello."}]
        )
        print(completion.choices[0].message.content, completion.routing["model"])
        ```
    """


class AsyncOpenAI(_RoutedAsync, openai.AsyncOpenAI):
    """:class:`openai.AsyncOpenAI` with the model chosen for each call; see :class:`OpenAI`."""


class AzureOpenAI(_RoutedSync, openai.AzureOpenAI):
    """:class:`openai.AzureOpenAI` with the deployment chosen for each call; see :class:`OpenAI`.

    ``deployments`` maps each deployment to the model that it runs; only these are chosen from.
    """


class AsyncAzureOpenAI(_RoutedAsync, openai.AsyncAzureOpenAI):
    """:class:`openai.AsyncAzureOpenAI` with the deployment chosen for each call; see :class:`AzureOpenAI`."""


_RAW: Final = openai._constants.RAW_RESPONSE_HEADER
_OPTIONS: Final = frozenset(signature(Endpoints.make).parameters)


class _ModuleClient(_RoutedSync, openai._ModuleClient):
    """What the SDK asks with where its module is called, routed; settings are those of ``openai``."""


@lru_cache(maxsize=1)
def module_client() -> openai.OpenAI:
    """Return the client behind ``openai_routed.chat`` and ``.responses``, made at the first call.

    Raises:
        OpenAIError: when the module ``openai`` is set to another provider, or has no key.
    """
    if type(openai._load_client()) is not openai._ModuleClient:
        raise openai.OpenAIError(
            f"openai.api_type is {openai.api_type!r}. "
            "Make openai_routed.AzureOpenAI(deployments=...) instead."
        )
    settings = "api_key organization project base_url timeout max_retries default_headers default_query"
    return _ModuleClient(**{name: getattr(openai, name) for name in [*settings.split(), "http_client"]})
