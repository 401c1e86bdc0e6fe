"""Profile: what programs see that their model can do, and which models the policy can reach."""

from __future__ import annotations

from dataclasses import replace
from fnmatch import fnmatch
from functools import lru_cache
from types import SimpleNamespace
from typing import Any, Final, cast

from langchain_core.language_models import ModelProfile
from langchain_openai import ChatOpenAI

from routed_llm import CatalogError, Model, Policy, Request, RequestBuilder, Router, TokenCount

__all__ = ["has_schemas", "only_responses", "profile_of", "reachable"]

_OUTRANKED: Final = frozenset({"dearer", "ranked_lower", "not_incumbent", "switch"})
"""Reasons that speak for another model, not against this one."""

_LONG: Final = 300_000
"""Tokens of the long request that is tried, beyond what the smaller windows take."""


@lru_cache(maxsize=64)
def only_responses(router: Router, policy: Policy) -> bool:
    """Say whether no reachable model offers another endpoint."""
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
def has_schemas(router: Router, policy: Policy) -> bool:
    """Say whether some reachable model answers in the form of a JSON schema; of none, nothing is said."""
    models = reachable(router, policy)
    return not models or any("json_schema" in model.structured for model in models)


@lru_cache(maxsize=64)
def profile_of(
    router: Router, policy: Policy, *, scope: str = "baseline", on_responses: bool = False
) -> ModelProfile:
    """Return what one model can do, all of it together; limits and modalities are the catalog's.

    Args:
        router: whose models they are.
        policy: what is wanted.
        scope: ``baseline`` for the model that the program was written for (where the policy names other
            models only, the one that serves a plain request), ``pool`` for the reachable model with the
            largest window.
        on_responses: whether every call goes to Responses.
    """
    name = _usual(router, policy) if scope == "baseline" else _widest(router, policy)
    if name is None:
        return {}
    model = _known(router, name)
    only_responses = on_responses or (model is not None and "chat_completions" not in model.endpoints)
    # langchain-openai's own method, asked about this name; it claims nothing that hangs on the request.
    asked = SimpleNamespace(model_name=name, _use_responses_api=lambda _: only_responses)
    profile = dict(ChatOpenAI._resolve_model_profile(asked) or {})  # type: ignore[arg-type]
    return cast("ModelProfile", profile | ({} if model is None else _facts(model)))


def _usual(router: Router, policy: Policy) -> str | None:
    baseline, model = policy.baseline, _known(router, policy.baseline)
    names = {baseline} if model is None else {baseline, model.id, *model.aliases}
    named = policy.models is None or any(fnmatch(name, one) for name in names for one in policy.models)
    if named and not any(fnmatch(name, one) for name in names for one in policy.exclude):
        return baseline if model is None else model.id
    return router.explain(_requests()[0], policy=policy).model or _widest(router, policy)


def _widest(router: Router, policy: Policy) -> str | None:
    models = reachable(router, policy)
    if not models:
        return None
    return max(models, key=lambda one: (one.limits.max_input, len(one.inputs) + len(one.structured))).id


def _known(router: Router, name: str) -> Model | None:
    try:
        return router.catalog.get(name)
    except CatalogError:
        return None


def _facts(model: Model) -> dict[str, Any]:
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
