"""Which models a policy reaches, whatever is asked of them."""

from __future__ import annotations

from dataclasses import replace
from fnmatch import fnmatch
from functools import lru_cache
from typing import Final

from routed_llm.calls.router import Router
from routed_llm.catalog import Model
from routed_llm.errors import CatalogError
from routed_llm.facts import TokenCount
from routed_llm.policy import Policy
from routed_llm.request import Request, RequestBuilder

__all__ = ["known", "reachable", "usual", "widest"]

_LONG: Final = 300_000
"""Tokens of the long request that is tried, beyond what the smaller windows take."""


@lru_cache(maxsize=64)
def reachable(router: Router, policy: Policy) -> tuple[Model, ...]:
    """List the models that could serve some plain request under a policy, today.

    Raises:
        PolicyError: when a pattern of the policy matches no model.
    """
    names: dict[str, None] = {}
    for request in _requests():
        for candidate in router.explain(request, policy=policy).candidates:
            if candidate.able:
                names[candidate.model] = None
    return tuple(router.catalog.get(name) for name in names)


@lru_cache(maxsize=1)
def _requests() -> tuple[Request, ...]:
    text = RequestBuilder().message("user").text("Hello").build()
    image = RequestBuilder().message("user").image("https://example.org/image.png").build()
    voice = RequestBuilder().message("user").set("modalities", ["text", "audio"]).text("Hello").build()
    long = replace(text, facts=text.facts.with_tokens(TokenCount.of(_LONG)))
    return text, image, voice, long


def usual(router: Router, policy: Policy) -> str | None:
    """Name the model that a program sees: its baseline, or what serves a plain request where that is out."""
    baseline, model = policy.baseline, known(router, policy.baseline)
    names = {baseline} if model is None else {baseline, model.id, *model.aliases}
    named = policy.models is None or any(fnmatch(name, one) for name in names for one in policy.models)
    if named and not any(fnmatch(name, one) for name in names for one in policy.exclude):
        return baseline if model is None else model.id
    return router.explain(_requests()[0], policy=policy).model or widest(router, policy)


def widest(router: Router, policy: Policy) -> str | None:
    """Name the reachable model with the largest window, or None where nothing is reachable."""
    models = reachable(router, policy)
    if not models:
        return None
    return max(models, key=lambda one: (one.limits.max_input, len(one.inputs) + len(one.structured))).id


def known(router: Router, name: str) -> Model | None:
    """Return the model behind a name, or None for a stranger."""
    try:
        return router.catalog.get(name)
    except CatalogError:
        return None
