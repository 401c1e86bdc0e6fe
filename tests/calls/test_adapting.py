"""What adapters share: what a decided call shows of its parameters."""

from __future__ import annotations

from typing import Any

import pytest

from routed_llm import Call
from routed_llm.calls.wired import shown

NAMES = ("model", "base_url", "effort", "cap")
CASES = [
    pytest.param({"temperature": 0}, {}, {"temperature": 0}, id="what stays"),
    pytest.param({"temperature": 0}, {"dropped": ("temperature",)}, {}, id="what is dropped"),
    pytest.param({"model": "gpt-4o", "stream": True}, {}, {}, id="what the decision writes"),
    pytest.param({"max_tokens": 5}, {"cap": 9}, {"max_tokens": 9}, id="a cap"),
    pytest.param(
        {"max_completion_tokens": 5}, {"cap": 9}, {"max_completion_tokens": 9}, id="a cap by its own name"
    ),
    pytest.param({}, {"effort": "low"}, {"reasoning_effort": "low"}, id="an effort"),
    pytest.param(
        {"reasoning": {"summary": "auto"}},
        {"effort": "low", "endpoint": "responses", "parameters": {"reasoning": {"summary": "auto"}}},
        {"reasoning": {"summary": "auto", "effort": "low"}},
        id="an effort on Responses",
    ),
    pytest.param({}, {"parameters": {"store": False}}, {"store": False}, id="what the decision adds"),
    pytest.param({"own": 1}, {"dropped": ("own",)}, {"own": 1}, id="what no decision changes"),
]


@pytest.mark.parametrize(("parameters", "decided", "expected"), CASES)
def test_a_decided_call_shows_its_keywords(
    parameters: dict[str, Any], decided: dict[str, Any], expected: dict[str, Any]
) -> None:
    """Values are as the caller gave them, but for what the decision changed."""
    call = Call(**{**dict.fromkeys(NAMES), "endpoint": "chat_completions", "parameters": {}, **decided})
    assert shown(parameters, call, kept=frozenset({"own"})) == expected
