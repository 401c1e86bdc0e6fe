"""Profile: what the router as a whole can do, over every model that the policy can reach."""

from __future__ import annotations

from dataclasses import replace
from functools import lru_cache
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any, Final, cast

from langchain_core.language_models import ModelProfile
from langchain_openai import ChatOpenAI

from routed_llm import Model, Policy, Request, RequestBuilder, Router, TokenCount

if TYPE_CHECKING:
    from langchain_routed.chat_models import RoutedChatModel

__all__ = ["UsesResponses", "profile_of", "reachable"]

_OUTRANKED: Final = frozenset({"dearer", "ranked_lower", "not_incumbent", "switch"})
"""Reasons that speak for another model, not against this one."""

_LONG: Final = 300_000
"""Tokens of the long request that is tried, beyond what the smaller windows take."""


class UsesResponses:
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
        desk = model._at_desk()
        return _only_responses(desk.router, desk.policy()) or None

    def __set__(self, model: RoutedChatModel, value: bool | None) -> None:
        """Set the field."""
        model.__dict__["use_responses_api"] = value


@lru_cache(maxsize=64)
def _only_responses(router: Router, policy: Policy) -> bool:
    models = reachable(router, policy)
    return bool(models) and all("chat_completions" not in model.endpoints for model in models)


@lru_cache(maxsize=64)
def reachable(router: Router, policy: Policy) -> tuple[Model, ...]:
    """List the models that could serve some plain request under a policy, today.

    Raises:
        PolicyError: when a pattern of the policy matches no model.
    """
    names: dict[str, None] = {}
    for request in _requests():
        for candidate in router.explain(request, policy=policy).candidates:
            if all(reason.code in _OUTRANKED for reason in candidate.reasons):
                names[candidate.model] = None
    return tuple(router.catalog.get(name) for name in names)


@lru_cache(maxsize=1)
def _requests() -> tuple[Request, ...]:
    text = RequestBuilder().message("user").text("Hello").build()
    image = RequestBuilder().message("user").image("https://example.org/image.png").build()
    voice = RequestBuilder().message("user").set("modalities", ["text", "audio"]).text("Hello").build()
    long = replace(text, facts=text.facts.with_tokens(TokenCount.of(_LONG)))
    return text, image, voice, long


@lru_cache(maxsize=64)
def profile_of(router: Router, policy: Policy, *, on_responses: bool = False) -> ModelProfile:
    """Join the profiles of all reachable models.

    A capability is there when some model has it, since the call that needs it goes to such a model; a
    limit is the largest; what differs otherwise is left out. Limits and modalities are the catalog's
    where it differs from langchain-openai's table. ``on_responses`` says that every call goes there.
    """
    models = reachable(router, policy)
    joined: dict[str, Any] = {}
    profiles = [_own_profile(model, on_responses=on_responses) for model in models]
    for key in dict.fromkeys(key for profile in profiles for key in profile):
        value = _joined([profile[key] for profile in profiles if profile.get(key) is not None])
        if value is not None:
            joined[key] = value
    joined.update(_facts(models))
    return cast("ModelProfile", joined)


def _own_profile(model: Model, *, on_responses: bool) -> dict[str, Any]:
    # langchain-openai's own method, asked about this name; it claims nothing that hangs on the request.
    only_responses = on_responses or "chat_completions" not in model.endpoints
    asked = SimpleNamespace(model_name=model.id, _use_responses_api=lambda _: only_responses)
    return dict(ChatOpenAI._resolve_model_profile(asked) or {})  # type: ignore[arg-type]


def _joined(values: list[Any]) -> Any:
    if not values:
        return None
    first = values[0]
    if isinstance(first, bool):
        return any(values)
    if isinstance(first, int):
        return max(values)
    if isinstance(first, list):
        return list(dict.fromkeys(item for value in values for item in value))
    return first if all(value == first for value in values) else None


def _facts(models: tuple[Model, ...]) -> dict[str, Any]:
    if not models:
        return {}
    inputs = frozenset().union(*(model.inputs for model in models))
    outputs = frozenset().union(*(model.outputs for model in models))
    in_tools = any("responses" in model.endpoints for model in models)
    return {
        "max_input_tokens": max(model.limits.max_input for model in models),
        "max_output_tokens": max(model.limits.max_output for model in models),
        "text_inputs": "text" in inputs,
        "image_inputs": "image" in inputs,
        "image_url_inputs": "image" in inputs,
        "pdf_inputs": "pdf" in inputs,
        "audio_inputs": "audio" in inputs,
        "audio_outputs": "audio" in outputs,
        "image_tool_message": in_tools and "image" in inputs,
        "pdf_tool_message": in_tools and "pdf" in inputs,
        "tool_calling": any(state != "no" for model in models for state in model.tools.values()),
        "structured_output": any("json_schema" in model.structured for model in models),
    }
