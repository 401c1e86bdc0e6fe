# ruff: noqa: E501  tables of cases are read by the row
"""A refused parameter is put right as the provider's words say, or not at all."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from recovery_support import ask

from routed_llm import Policy, Router
from routed_llm.recovery import classify_error
from routed_llm.recovery.repair import repair


def refused(message: str, param: str | None, code: str | None = None) -> Any:
    """Return the facts of a 400."""
    return classify_error({"status": 400, "message": message, "param": param, "code": code})


@pytest.mark.parametrize(
    ("parameters", "policy", "error", "change", "sent"),
    [
        ({"temperature": 0.5}, {}, refused("Unsupported parameter: 'temperature' is not supported with this model.", "temperature"),
         ("temperature", "dropped", 0.5, None), {"temperature": None}),
        ({"temperature": 0.5, "top_p": 0.9}, {}, refused("Unsupported parameter: 'top_p' is not supported with this model.", "top_p", "unsupported_parameter"),
         ("top_p", "dropped", 0.9, None), {"temperature": 0.5, "top_p": None}),
        ({"temperature": 0.5}, {"on_unsupported": "raise"}, refused("Unsupported parameter: 'temperature' is not.", "temperature"), None, {}),
        ({"prompt_cache_breakpoint": {"mode": "explicit"}}, {}, refused("messages[0].content[0].prompt_cache_breakpoint is not supported on this model", "messages[0].content[0].prompt_cache_breakpoint", "invalid_parameter"),
         None, {}),
        ({"stop": ["x"]}, {}, refused("Unsupported parameter: 'stop' is not supported with this model.", "stop"), None, {}),
        ({}, {}, refused("Unsupported parameter: 'temperature' is not supported with this model.", "temperature"), None, {}),
        ({"max_tokens": 40000}, {}, refused("max_tokens is too large: 40000. This model supports at most 16384 completion tokens, whereas you provided 40000.", "max_tokens"),
         None, {}),
        ({"max_tokens": 30000}, {}, refused("max_tokens is too large: 30000. This model supports at most 16384 completion tokens, whereas you provided 30000.", "max_tokens"),
         ("max_tokens", "clamped", 30000, 16384), {"cap": 16384}),
        ({"max_tokens": 30000}, {}, refused("Invalid 'max_output_tokens': integer above maximum value. Expected a value <= 20000, but got 30000 instead.", "max_output_tokens", "integer_above_max_value"),
         ("max_tokens", "clamped", 30000, 20000), {"cap": 20000}),
        ({"max_tokens": 100}, {}, refused("Could not finish the message because max_tokens or model output limit was reached. Please try again with higher max_tokens.", None),
         ("max_tokens", "raised", 100, 400), {"cap": 400}),
        ({"max_tokens": 20000}, {}, refused("Could not finish the message because max_tokens or model output limit was reached.", None),
         ("max_tokens", "raised", 20000, 32768), {"cap": 32768}),
        ({"max_tokens": 100}, {}, refused("Unsupported parameter: 'max_tokens' is not supported with this model. Use 'max_completion_tokens' instead.", "max_tokens", "unsupported_parameter"),
         ("max_tokens", "renamed", "max_tokens", "max_completion_tokens"), {}),
        ({"max_tokens": 100}, {}, refused("Unsupported parameter: 'max_tokens' is not supported. Use 'best_of' instead.", "max_tokens"), None, {}),
        ({"include": ["file_search_call.results"]}, {}, refused("Item with id 'rs_1' not found. Items are not persisted when `store` is set to false.", "input"),
         ("input", "dropped", "what earlier turns left with the provider", None), {}),
        ({"include": ["reasoning.encrypted_content", "file_search_call.results"]}, {"on_unsupported": "raise"}, refused("Encrypted content is not supported with this model.", "include"),
         ("reasoning.encrypted_content", "dropped", True, None), {"include": ["file_search_call.results"]}),
        ({}, {}, refused("Item with id 'rs_1' not found. Items are not persisted when `store` is set to false.", "input"), None, {}),
    ],
    ids=["taste", "one of two", "policy", "a mark that was left out already", "meaning", "not sent", "cap not sent so", "cap", "cap on responses", "raise",
         "raise to the most", "rename", "rename to a stranger", "what is not stored", "what is not encrypted", "what is not stored, on Chat Completions"],
)  # fmt: skip
def test_mend(
    parameters: dict[str, Any],
    policy: dict[str, Any],
    error: Any,
    change: tuple[Any, ...] | None,
    sent: dict[str, Any],
) -> None:
    """Only what is safe to change is changed, and the Change says why."""
    wanted = Policy(**policy)
    router = Router()
    decision = router.decide(
        ask(model="gpt-5.4" if "include" in parameters else "gpt-4.1", **parameters), policy=wanted
    )
    if "40000" in error.message:
        decision = router.decide(ask(model="gpt-4.1", **{**parameters, "max_tokens": 10000}), policy=wanted)
    if "instead" in error.message:
        decision = replace(decision, changes=())  # as where the catalog does not know of the new name
    found = repair(decision, error, wanted, 32768)
    if change is None:
        assert found is None
        return
    assert found is not None
    repaired, made = found
    assert (made.parameter, made.action, made.before, made.after) == change
    assert repaired.changes == (*decision.changes, made)
    assert repaired.call is not None
    for name, value in sent.items():
        assert (repaired.call.cap if name == "cap" else repaired.call.parameters.get(name)) == value
    assert repaired.record()["changes"][-1]["why"].endswith(")")
    assert decision.call is not None
    assert decision.call.parameters.get("temperature") == parameters.get("temperature")


def test_effort_goes_up_to_what_is_offered() -> None:
    """A refused effort becomes the next higher one that the provider names; a lower one might miss the floor."""
    decision = Router().decide(ask(model="gpt-5.6-luna", reasoning_effort="low"))
    message = (
        "Unsupported value: 'low' is not supported with the 'gpt-5.6-luna' model. Supported values are: {}."
    )
    found = repair(
        decision, refused(message.format("'none', 'medium', and 'high'"), "reasoning.effort"), Policy()
    )
    assert found is not None
    assert (found[0].effort, found[0].call and found[0].call.effort) == ("medium", "medium")
    assert repair(decision, refused(message.format("'none'"), "reasoning.effort"), Policy()) is None


def test_a_cap_is_raised_once() -> None:
    """What a model does not say with four times the room is not paid for a third time."""
    decision = Router().decide(ask(model="gpt-4.1", max_tokens=100))
    error = refused(
        "Could not finish the message because max_tokens or model output limit was reached.", None
    )
    found = repair(decision, error, Policy())
    assert found is not None
    assert repair(found[0], error, Policy()) is None


def test_a_mark_in_the_messages_is_left_out_there() -> None:
    """What stands in a block is no parameter; once it is dropped, adapters leave it out."""
    router, mark = Router(), {"mode": "explicit"}
    decision = router.decide(ask(model="gpt-5.6-luna", prompt_cache_breakpoint=mark), policy=Policy())
    assert decision.call is not None
    assert (dict(decision.call.parameters), decision.call.dropped) == ({}, frozenset())
    error = refused(
        "prompt_cache_breakpoint is not supported on this model",
        "prompt_cache_breakpoint",
        "invalid_parameter",
    )
    found = repair(decision, error, Policy(), 32768)
    assert found is not None
    repaired, made = found
    assert (made.parameter, made.action, made.before) == ("prompt_cache_breakpoint", "dropped", mark)
    assert repaired.call is not None
    assert repaired.call.dropped == {"prompt_cache_breakpoint"}
    assert repair(repaired, error, Policy(), 32768) is None
