"""A call that was read: a lock on a model is given up where that is only worth having, else it holds."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

import pytest

from routed_llm import CallOptions, Decision, NoModelFits, Policy, Router, read_openai
from routed_llm.calls.parsed import ParsedCall

ASKED = {"messages": [{"role": "user", "content": "Hello"}]}
WAYS: dict[str, Callable[[ParsedCall], Decision]] = {
    "decide": lambda call: call.decide(None),
    "adecide": lambda call: asyncio.run(call.adecide(None)),
    "explain": lambda call: call.explain(),
}


def parsed(**given: Any) -> ParsedCall:
    """Return a call of a model that the policy has no place for."""
    options = CallOptions(policy=Policy(models=("gpt-4o",)))
    request = read_openai(ASKED, locked_to="gpt-5.6-luna")
    return ParsedCall(router=Router(), request=request, options=options, asked=ASKED, **given)


@pytest.mark.parametrize("way", WAYS.values(), ids=WAYS)
def test_a_soft_lock_is_given_up(way: Callable[[ParsedCall], Decision]) -> None:
    """Where nothing else serves, what the lock keeps is left out; it stays given up for what comes later."""
    call = parsed(soft=True)
    assert way(call).model == "gpt-4o"
    assert call.request.facts.locked_to is None


@pytest.mark.parametrize("way", WAYS.values(), ids=WAYS)
def test_a_hard_lock_holds(way: Callable[[ParsedCall], Decision]) -> None:
    """The provider alone has the state: nobody else may serve the call."""
    call = parsed()
    if way is WAYS["explain"]:
        assert way(call).chosen is None
    else:
        with pytest.raises(NoModelFits):
            way(call)
    assert call.request.facts.locked_to == "gpt-5.6-luna"


def test_its_tokens_are_those_of_the_model_that_would_serve_it() -> None:
    """Where none would, they are those of its text."""
    free, locked = parsed(soft=True), parsed()
    chosen = free.explain().chosen
    assert chosen is not None
    assert free.count() == chosen.input_tokens
    assert locked.count() == locked.router.count(locked.request)
