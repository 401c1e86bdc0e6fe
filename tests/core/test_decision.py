"""A Decision is a value: frozen, equal to its like, and the same after a journey to another process."""

from __future__ import annotations

import json
import pickle
from dataclasses import FrozenInstanceError, fields, replace
from typing import Any

import pytest
from core_support import CATALOG, TODAY, facts

from routed_llm import (
    Allowance,
    CallOptions,
    Decision,
    Policy,
    PolicyError,
    Previous,
    Router,
    read_openai,
    select,
)

ASKED: dict[str, tuple[Any, dict[str, Any], dict[str, Any]]] = {
    "a text": (facts(), {}, {}),
    "parameters": (facts(parameters={"temperature": 0, "stop": ["x"]}, cap=100), {}, {}),
    "a conversation": (facts(9_000, previous=Previous(model="gpt-4o", prefix_tokens=8_000)), {}, {}),
    "a budget": (facts(), {}, {"allowance": Allowance(remaining=10**12, conversation="c")}),
    "an image": (facts(images=[(640, 480)]), {"optimize": "quality"}, {}),
    "nothing fits": (facts(5_000_000), {}, {}),
}


@pytest.fixture(params=ASKED.values(), ids=ASKED)
def decision(request: pytest.FixtureRequest) -> Decision:
    """Return one of each kind."""
    asked, policy, around = request.param
    return select(asked, policy=Policy(**policy), catalog=CATALOG, at=TODAY, **around)


def test_nothing_is_attached_to_it(decision: Decision) -> None:
    """No field can be set."""
    for name in [item.name for item in fields(decision)]:
        with pytest.raises(FrozenInstanceError):
            setattr(decision, name, None)


def test_it_is_the_same_after_a_journey(decision: Decision) -> None:
    """What is read of it, the explanation included, is the same after pickling; so is a changed copy."""
    for one in (decision, replace(decision, counted={"by": "local"})):
        back = pickle.loads(pickle.dumps(one))
        assert back == one
        assert back.to_dict() == one.to_dict()
        assert back.reasons_against("gpt-4o") == one.reasons_against("gpt-4o")
        assert json.loads(json.dumps(back.to_dict())) == json.loads(json.dumps(one.to_dict()))


def test_it_is_equal_to_its_like(decision: Decision, request: pytest.FixtureRequest) -> None:
    """The same request is decided equally, whatever has been read of one of the two."""
    asked, policy, around = request.node.callspec.params["decision"]
    again = select(asked, policy=Policy(**policy), catalog=CATALOG, at=TODAY, **around)
    again.to_dict()
    assert again == decision
    assert replace(decision, certain=not decision.certain) != decision


def test_a_pickle_is_small(decision: Decision) -> None:
    """What explains it goes with it as words and numbers, not with everything it was worked out from."""
    assert len(pickle.dumps(decision)) < 60_000


BODY = {"messages": [{"role": "user", "content": "Hello."}]}
GIVEN: dict[str, dict[str, Any]] = {
    "nothing": {},
    "a policy": {"policy": Policy(models=["gpt-4.1"], at_least=None)},
    "a day": {"at": TODAY.replace(month=4)},
    "tags, a conversation and a budget": {
        "scope": {"team": "a"},
        "conversation": "c",
        "budget": {"per_call": 1},
    },
    "a deadline and a credential": {"deadline": 3.5, "credential": "k"},
}


@pytest.mark.parametrize("given", GIVEN.values(), ids=GIVEN)
def test_options_are_one_value(given: dict[str, Any]) -> None:
    """Keywords and a CallOptions of them say the same, and keywords go over options."""
    router, request = Router(catalog=CATALOG, clock=lambda: TODAY), read_openai(BODY)
    options = CallOptions.of(**given)
    assert router.decide(request, options) == router.decide(request, **given)
    other = CallOptions(policy=Policy(models=["gpt-4o"], at_least=None), at=TODAY.replace(month=5))
    assert router.explain(request, other, **given) == router.explain(request, options.over(other))


@pytest.mark.parametrize(
    ("given", "message"),
    [
        (
            {"deadline": 0},
            "deadline=0 is not a time to answer in. Give a number of seconds above 0, or an aware datetime.",
        ),
        (
            {"deadline": "3"},
            "deadline='3' is not a time to answer in. "
            "Give a number of seconds above 0, or an aware datetime.",
        ),
        (
            {"conversation": 3},
            "conversation=3 is not a text. Give the key under which your program keeps the conversation, as "
            "a string.",
        ),
        ({"at": "2027-01-15"}, "at='2027-01-15' is not a day. Give a date or an aware datetime."),
        ({"policy": "cheap"}, "policy='cheap' is not a Policy. Give one, or its keywords."),
    ],
    ids=["no time", "a text", "a number for a key", "a text for a day", "a text for a policy"],
)
def test_wrong_options(given: dict[str, Any], message: str) -> None:
    """What cannot be meant is refused, with what to give instead."""
    with pytest.raises(PolicyError) as refused:
        Router(catalog=CATALOG, clock=lambda: TODAY).decide(read_openai(BODY), **given)
    assert str(refused.value) == message
