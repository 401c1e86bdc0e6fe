"""ChatOpenAI's surface, argument by argument: what a model refuses never reaches it."""

from __future__ import annotations

from typing import Any

import pytest

from .helpers import changed, routing

ENCRYPTED, LOGPROBS = "reasoning.encrypted_content", "message.output_text.logprobs"


def only(model: str) -> dict[str, Any]:
    """The settings of a pool of one model."""
    return {"model": model, "policy": {"models": [model], "at_least": None}}


@pytest.mark.parametrize("how", ["constructor", "call"])
@pytest.mark.parametrize(
    ("settings", "given", "sent", "changes"),
    [
        pytest.param(
            only("gpt-4o"),
            {"include": [ENCRYPTED]},
            {"include": None},
            [(ENCRYPTED, "dropped")],
            id="encrypted reasoning of a model that does not reason",
        ),
        pytest.param(
            only("gpt-4o"),
            {"include": [ENCRYPTED, LOGPROBS]},
            {"include": [LOGPROBS]},
            [(ENCRYPTED, "dropped")],
            id="beside what it has",
        ),
        pytest.param(
            only("gpt-5.4"),
            {"include": [ENCRYPTED]},
            {"include": [ENCRYPTED]},
            [],
            id="encrypted reasoning of a model that reasons",
        ),
        pytest.param(
            only("chat-latest"),
            {"store": False, "use_responses_api": True},
            {"include": None},
            [],
            id="none is added where it is refused",
        ),
        pytest.param(
            {"policy": {"models": ["gpt-4o", "gpt-5-mini"], "at_least": None}},
            {"include": [LOGPROBS]},
            {"model": "gpt-4o", "include": [LOGPROBS]},
            [],
            id="probabilities choose the model",
        ),
        pytest.param(
            only("gpt-4o"),
            {"reasoning": {"effort": "low", "summary": "auto"}},
            {"reasoning": None},
            [("reasoning", "dropped"), ("reasoning_effort", "dropped")],
            id="a summary of reasoning from a model that does not reason",
        ),
        pytest.param(
            {},
            {"reasoning": {"summary": "concise"}},
            {"reasoning": {"effort": "low", "summary": "concise"}},
            [],
            id="a summary from a model that reasons",
        ),
    ],
)
def test_what_a_model_refuses_is_not_sent(
    make, sim, how: str, settings: Any, given: Any, sent: Any, changes: Any
) -> None:
    """Parameters of Responses that some models refuse are taken out for those, on record."""
    given = dict(given)
    settings = {**settings, "use_responses_api": given.pop("use_responses_api", None)}
    if how == "constructor":
        answer = make(**settings, **given).invoke("Hi")
    else:
        answer = make(**settings).invoke("Hi", **given)
    assert sim.refused == []
    assert {name: sim.journal[-1].body.get(name) for name in sent} == sent
    assert sorted(changed(answer)) == changes
    assert routing(answer)["endpoint"] == "responses"
