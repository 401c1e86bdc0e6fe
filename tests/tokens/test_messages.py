"""The frame around messages costs what the cookbook measured."""

from __future__ import annotations

import pytest

from routed_llm.tokens.messages import PER_ROLE, frame
from routed_llm.tokens.text import TiktokenCounter


@pytest.mark.parametrize(
    ("messages", "names", "tokens"),
    [
        pytest.param(0, 0, 3, id="reply priming"),
        pytest.param(1, 0, 7, id="one message"),
        pytest.param(3, 2, 17, id="names"),
    ],
)
def test_frame(messages: int, names: int, tokens: int) -> None:
    """Three tokens and the role for each message, one for each name, three for the reply."""
    assert frame(messages, names) == tokens


def test_cookbook_example() -> None:
    """The cookbook's six messages, four of them with a name, give the 124 tokens it reports for gpt-4o."""
    contents = [
        "You are a helpful, pattern-following assistant that translates corporate jargon into plain English.",
        "New synergies will help drive top-line growth.",
        "Things working well together will increase revenue.",
        "Let's circle back when we have more bandwidth to touch base on opportunities for "
        "increased leverage.",
        "Let's talk later when we're less busy about how to do better.",
        "This late pivot means we don't have time to boil the ocean for the client deliverable.",
    ]
    names = ["example_user", "example_assistant", "example_user", "example_assistant"]
    assert sum(TiktokenCounter().count(contents + names)) + frame(6, 4) == 124


@pytest.mark.parametrize("role", ["user", "assistant", "system", "developer", "tool"])
def test_role_is_one_token(role: str) -> None:
    """Every role is one token."""
    assert TiktokenCounter().count([role]) == [PER_ROLE]
