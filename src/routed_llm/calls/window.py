"""How much text a framework that packs prompts is allowed to pack into one.

A larger window does not mean fewer dollars: packing fills whatever is advertised, and a full prompt that
only a dearer model can take, or that crosses the length above which a model charges more for the whole
request, costs more than two smaller ones. All that is asked here is asked of the router.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from decimal import Decimal
from typing import Any, Final

from routed_llm.calls.router import Router
from routed_llm.decision import Decision
from routed_llm.facts import TokenCount
from routed_llm.policy import Policy
from routed_llm.request import Request, read_openai
from routed_llm.request.wire import parameters

__all__ = ["largest", "workhorse"]

_SMALL: Final = 8_000
"""Tokens of a prompt that every chat model takes: what it costs there is the rate to compare with."""

_MOST: Final = 4_000_000
"""Tokens above which no window is looked for."""

_STEP: Final = 1_000
_MARGIN: Final = 128
"""Tokens that packing does not count: the framing of messages, and the padding it keeps itself."""

_DEARER: Final = Decimal("1.25")
"""One prompt may cost this many times what two of half its length do; the answers' share varies."""


def workhorse(router: Router, policy: Policy, given: dict[str, Any], output: int) -> int:
    """Return the window up to which the baseline and the cheapest model both take a prompt.

    Args:
        router: the router that decides calls.
        policy: what the user wants; its baseline is the model the program was written for.
        given: the parameters that every call has, the output cap among them.
        output: tokens that the framework itself takes off for the answer of a call without a cap.
    """
    # What answers turn out to cost changes from call to call; a window must not follow it.
    day = router.explain(_request(given), policy=policy).at
    explain = _explainer(Router(catalog=router.catalog, observe=False, clock=lambda: day), policy, given)

    def cheap(tokens: int) -> bool:
        whole, half = explain(tokens), explain(tokens // 2).dollars
        if whole.dollars is None or half is None:
            return whole.model is not None
        return whole.dollars <= 2 * half * _DEARER

    cheapest = _search(cheap)
    own = _explainer(router, policy.replace(models=(policy.baseline,), exclude=(), at_least=None), given)
    baseline = _search(lambda tokens: own(tokens).model is not None)
    # A baseline that can no longer be called says nothing about the prompts the others should get.
    return _advertised(min(cheapest, baseline) if baseline else cheapest, given, output)


def largest(router: Router, policy: Policy, given: dict[str, Any], output: int) -> int:
    """Return the window of the longest prompt that any model in the pool takes; see :func:`workhorse`."""
    explain = _explainer(router, policy, given)
    return _advertised(_search(lambda tokens: explain(tokens).model is not None), given, output)


def _advertised(room: int, given: dict[str, Any], output: int) -> int:
    """Add to the input what the framework itself takes off for the output, and round down."""
    output = given.get("max_tokens") or output
    return max(room + int(output) - _MARGIN, 0) // _STEP * _STEP


def _explainer(router: Router, policy: Policy, given: dict[str, Any]) -> Callable[[int], Decision]:
    request = _request(given)

    def explain(tokens: int) -> Decision:
        return router.explain(_sized(request, tokens), policy=policy)

    return explain


def _request(given: dict[str, Any]) -> Request:
    return read_openai(
        parameters({"messages": [{"role": "user", "content": ""}], **given}), emulates=("stop",)
    )


def _sized(request: Request, tokens: int) -> Request:
    facts = request.facts
    return replace(request, facts=facts.with_tokens(TokenCount.of(tokens)), texts=(), fixed=tokens)


def _search(served: Callable[[int], bool]) -> int:
    """Return the most tokens that are served, to within a few; 0 when not even a small prompt is.

    Lengths are doubled until one is not served, so that no step is compared with one beyond it.
    """
    low = 0
    high = _SMALL
    while high <= _MOST and served(high):
        low, high = high, 2 * high
    while low and high - low > _MARGIN // 4:
        middle = (low + high) // 2
        low, high = (middle, high) if served(middle) else (low, middle)
    return low
