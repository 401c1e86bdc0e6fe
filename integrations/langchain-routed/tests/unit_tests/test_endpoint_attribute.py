"""``use_responses_api`` as others read it: LangChain's agents make every tool strict where it is not True."""

from __future__ import annotations

import copy
from typing import Any

import pytest
from langchain.agents import create_agent
from langchain_core.load import dumpd
from langchain_core.messages import HumanMessage
from langchain_core.runnables import ConfigurableField
from langchain_core.tools import tool
from langchain_routed import RoutedChatModel
from pydantic import BaseModel

from routed_llm import Policy

RESPONSES_ONLY = {"models": ["gpt-5-pro", "gpt-5.3-codex"], "at_least": None}
MIXED = {"models": ["gpt-5-pro", "gpt-4o"], "at_least": None}


class Answer(BaseModel):
    """What the agent is to end with."""

    city: str


@tool
def look_up(city: str, options: dict[str, Any] | None = None) -> str:
    """Look something up."""
    return city


@pytest.mark.parametrize(
    ("settings", "read"),
    [
        pytest.param({}, None, id="default pool"),
        pytest.param({"model": "gpt-5-pro", "policy": MIXED}, None, id="the baseline's name says nothing"),
        pytest.param({"policy": RESPONSES_ONLY}, True, id="no other endpoint"),
        pytest.param({"policy": MIXED}, None, id="one model has both"),
        pytest.param({"policy": RESPONSES_ONLY, "use_responses_api": False}, False, id="set to False"),
        pytest.param({"policy": MIXED, "use_responses_api": True}, True, id="set to True"),
        pytest.param({"reasoning": {}}, True, id="a setting asks for it"),
    ],
)
def test_read(settings: dict[str, Any], read: bool | None) -> None:
    """It is what was set, else True where every call goes to Responses."""
    llm = RoutedChatModel(**settings)
    assert llm.use_responses_api is read
    if read is not None:
        assert llm._use_responses_api({}) is read


def test_what_follows_from_the_pool_is_not_kept() -> None:
    """A change of the policy ends it, and no copy or dump takes it for the caller's wish."""
    llm = RoutedChatModel(policy=RESPONSES_ONLY)
    field = ConfigurableField(id="t")
    configured = llm.configurable_fields(temperature=field)._prepare({"configurable": {"t": 0.5}})[0]
    for other in (llm.model_copy(), copy.copy(llm), configured):
        assert other.use_responses_api is True
        assert other.__dict__["use_responses_api"] is None
    assert "use_responses_api" not in dumpd(llm)["kwargs"]
    assert llm.model_dump()["use_responses_api"] is None
    llm.policy = Policy(**MIXED)
    assert llm.use_responses_api is None
    llm.use_responses_api = True
    assert llm.use_responses_api is llm.model_dump()["use_responses_api"] is True


def test_a_subclass_reads_it_too() -> None:
    """A class made from it has the field, and the same reading."""

    class Mine(RoutedChatModel):
        name_of_mine: str = ""

    assert Mine(policy=RESPONSES_ONLY).use_responses_api is True
    assert Mine(use_responses_api=False).use_responses_api is False
    assert Mine.model_fields["use_responses_api"].default is None


@pytest.mark.parametrize("policy", [RESPONSES_ONLY, MIXED], ids=["responses only", "mixed"])
def test_content_keeps_its_form(make, sim, policy: dict[str, Any]) -> None:
    """Only who asks for Responses gets its blocks; a pool that has nothing else still answers in text."""
    answer = make(policy=policy).invoke("Say hi.")
    assert isinstance(answer.content, str)
    assert sim.refused == []


def test_an_agent_leaves_tools_as_they_are_on_responses(make, sim) -> None:
    """A tool with free-form arguments could not be strict; with a Responses-only pool it need not be."""
    agent = create_agent(make(policy=RESPONSES_ONLY), [look_up], response_format=Answer)
    agent.invoke({"messages": [HumanMessage("Where?")]})
    assert sim.refused == []
    tools = sim.journal[0].body["tools"]
    assert [one.get("strict") for one in tools if one.get("name") == "look_up"] in ([None], [False])
