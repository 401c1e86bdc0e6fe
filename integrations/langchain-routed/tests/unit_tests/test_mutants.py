"""Small things that were once wrong by a hand's change and that no other test noticed."""

from __future__ import annotations

from typing import Any

import pytest
from langchain_core.messages import AIMessage
from langchain_routed._answers import usage_of


@pytest.mark.parametrize("how", ["invoke", "ainvoke", "stream", "astream"])
async def test_stop_is_sent_where_the_model_takes_it(make, sim, how: str) -> None:
    """Streams send it, too."""
    llm: Any = make(policy={"models": ["gpt-4.1"], "at_least": None})
    if how == "invoke":
        llm.invoke("Hi", stop=["END"])
    elif how == "ainvoke":
        await llm.ainvoke("Hi", stop=["END"])
    elif how == "stream":
        list(llm.stream("Hi", stop=["END"]))
    else:
        assert [chunk async for chunk in llm.astream("Hi", stop=["END"])]
    assert sim.journal[-1].body["stop"] == ["END"]


@pytest.mark.parametrize("tier", ["", "flex_", "priority_"])
def test_the_details_of_every_tier_are_read(tier: str) -> None:
    """On flex and priority langchain-openai writes the tier before the name of a detail."""
    told: Any = {
        "input_tokens": 100,
        "output_tokens": 50,
        "total_tokens": 150,
        "input_token_details": {f"{tier}cache_read": 40, f"{tier}cache_creation": 20},
        "output_token_details": {f"{tier}reasoning": 30},
    }
    usage = usage_of(AIMessage("Hi", usage_metadata=told))
    assert usage is not None
    assert (usage.cached_tokens, usage.cache_write_tokens, usage.reasoning_tokens) == (40, 20, 30)
