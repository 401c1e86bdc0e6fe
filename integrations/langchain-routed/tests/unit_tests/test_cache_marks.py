"""A block's mark for the prompt cache goes to the models that take it, and costs no refusal at the others."""

from __future__ import annotations

from typing import Any

import pytest
from langchain_core.messages import AIMessage, HumanMessage, SystemMessage, ToolMessage

from routed_llm import NoModelFits, Policy

from .helpers import changed, pdf, png

DATA_URL = f"data:image/png;base64,{png()}"
ENDPOINTS = {"chat": {"use_responses_api": False}, "responses": {"use_responses_api": True}, "free": {}}
MARK = {"mode": "explicit"}
MARKED = {
    "text": {"type": "text", "text": "Hello there", "prompt_cache_breakpoint": MARK},
    "text with extras": {"type": "text", "text": "Hello there", "extras": {"prompt_cache_breakpoint": MARK}},
    "text with more extras": {
        "type": "text",
        "text": "Hello there",
        "extras": {"prompt_cache_breakpoint": MARK, "signature": "abc"},
    },
    "image_url": {
        "type": "image_url",
        "image_url": {"url": DATA_URL},
        "prompt_cache_breakpoint": MARK,
    },
    "image v1": {
        "type": "image",
        "base64": png(),
        "mime_type": "image/png",
        "extras": {"prompt_cache_breakpoint": MARK},
    },
    "file v1": {
        "type": "file",
        "base64": pdf(),
        "mime_type": "application/pdf",
        "extras": {"prompt_cache_breakpoint": MARK, "filename": "a.pdf"},
    },
}


@pytest.mark.parametrize("model", ["gpt-4o", "gpt-5.4", "gpt-5.5", "gpt-5.6-luna"])
@pytest.mark.parametrize("settings", ENDPOINTS.values(), ids=ENDPOINTS.keys())
@pytest.mark.parametrize("block", MARKED.values(), ids=MARKED.keys())
def test_a_mark_for_the_prompt_cache_goes_to_models_that_take_it(
    make, sim, block: Any, settings: dict[str, Any], model: str
) -> None:
    """Models before gpt-5.6 refuse a block's prompt_cache_breakpoint: for them it is left out, on record."""
    asked = [HumanMessage([block])]
    answer = make(policy=Policy(models=[model], at_least=None), **settings).invoke(asked)
    assert sim.refused == []
    taken = model == "gpt-5.6-luna"
    assert ("prompt_cache_breakpoint" in str(sim.journal[0].body)) is taken
    assert (("prompt_cache_breakpoint", "dropped") in changed(answer)) is not taken
    assert asked[0].content == [block]


@pytest.mark.parametrize("model", ["gpt-4o", "gpt-5.6-luna"])
@pytest.mark.parametrize("settings", ENDPOINTS.values(), ids=ENDPOINTS.keys())
@pytest.mark.parametrize("role", ["system", "ai", "tool"])
def test_a_mark_in_any_message(make, sim, role: str, settings: dict[str, Any], model: str) -> None:
    """Instructions, earlier answers and results of tools may be marked as well as questions."""
    marked = [MARKED["text"]]
    call = {"name": "see", "args": {}, "id": "call_1", "type": "tool_call"}
    talks: dict[str, list[Any]] = {
        "system": [SystemMessage(marked), HumanMessage("Hi")],
        "ai": [HumanMessage("Hi"), AIMessage(marked), HumanMessage("Go on")],
        "tool": [
            HumanMessage("Hi"),
            AIMessage("", tool_calls=[call]),
            ToolMessage(marked, tool_call_id="call_1"),
        ],
    }
    make(policy=Policy(models=[model], at_least=None), **settings).invoke(talks[role])
    assert sim.refused == []
    if model == "gpt-4o":
        assert "prompt_cache_breakpoint" not in str(sim.journal[0].body)


def test_a_mark_is_seen_again_when_the_conversation_goes_on(make, sim) -> None:
    """A long conversation sent again is not read again, and what is marked in it is still left out."""
    talk: list[Any] = [SystemMessage([MARKED["text"]])]
    llm = make(policy=Policy(models=["gpt-4o"]))
    for turn in range(12):
        talk.append(HumanMessage(f"Question {turn}"))
        talk.append(llm.invoke(talk))
    assert sim.refused == []


def test_a_mark_is_not_lost_where_the_policy_forbids_it(make) -> None:
    """With on_unsupported="raise" a model that would lose the mark cannot serve the call."""
    with pytest.raises(NoModelFits, match="gpt-4o refuses prompt_cache_breakpoint"):
        make(policy=Policy(models=["gpt-4o"], on_unsupported="raise")).invoke(
            [HumanMessage([MARKED["text"]])]
        )
