"""Agents and graphs: tools, schemas, summaries, a human in the loop; the model itself routes."""

from __future__ import annotations

from typing import Any, TypedDict

import pytest
from langchain.agents import create_agent
from langchain.agents.middleware import HumanInTheLoopMiddleware, SummarizationMiddleware
from langchain_core.messages import AIMessage, HumanMessage
from langchain_core.output_parsers import StrOutputParser
from langchain_core.prompts import ChatPromptTemplate
from langchain_core.tools import tool
from langgraph.checkpoint.memory import InMemorySaver
from langgraph.graph import END, START, StateGraph
from langgraph.types import Command
from pydantic import BaseModel

from ..unit_tests.helpers import routing  # noqa: TID252 - the core has tests, too


class Person(BaseModel):
    """A person."""

    name: str
    age: int


@tool
def add(a: int, b: int) -> int:
    """Add two numbers."""
    return a + b


def answers(messages: list[Any]) -> list[AIMessage]:
    return [message for message in messages if isinstance(message, AIMessage)]


@pytest.mark.parametrize("how", ["invoke", "ainvoke"])
async def test_an_agent_with_tools(make, sim, how: str) -> None:
    """A tool loop runs to its end, every step routed, all of it on one model."""
    agent = create_agent(make(), tools=[add])
    asked = {"messages": [HumanMessage("add 1 and 2")]}
    result = agent.invoke(asked) if how == "invoke" else await agent.ainvoke(asked)
    made = answers(result["messages"])
    assert made[0].tool_calls
    assert made[-1].text
    assert len({routing(answer)["model"] for answer in made}) == 1
    assert sim.refused == []


def test_an_agent_with_tools_and_a_schema(make, sim) -> None:
    """Tools and a structured answer in one run."""
    result = create_agent(make(), tools=[add], response_format=Person).invoke(
        {"messages": [HumanMessage("Describe a person")]}
    )
    assert isinstance(result["structured_response"], Person)
    assert sim.refused == []


def test_an_agent_that_summarises(make, sim) -> None:
    """The summary is a routed call like any other, made where the profile says it is due."""
    llm = make(policy={"models": ["gpt-4o"]})
    middleware = SummarizationMiddleware(
        llm, trigger=("fraction", 0.5), keep=("messages", 1), token_counter=llm.get_num_tokens_from_messages
    )
    turns = [[HumanMessage(f"{turn} " + "word " * 2_000), AIMessage("ok")] for turn in range(35)]
    history = [*(message for turn in turns for message in turn), HumanMessage("go on")]
    result = create_agent(llm, tools=[], middleware=[middleware]).invoke({"messages": history})
    assert len(sim.journal) == 2
    assert llm.get_num_tokens_from_messages(result["messages"]) < 20_000
    assert sim.refused == []


def test_an_agent_with_a_human_in_the_loop(make, sim) -> None:
    """An interrupted tool call is resumed on the model that made it."""
    agent = create_agent(
        make(),
        tools=[add],
        middleware=[HumanInTheLoopMiddleware(interrupt_on={"add": True})],
        checkpointer=InMemorySaver(),
    )
    config: Any = {"configurable": {"thread_id": "1"}}
    paused = agent.invoke({"messages": [HumanMessage("add 1 and 2")]}, config)
    assert "__interrupt__" in paused
    result = agent.invoke(Command(resume={"decisions": [{"type": "approve"}]}), config)
    assert len({routing(answer)["model"] for answer in answers(result["messages"])}) == 1
    assert sim.refused == []


def test_routing_in_a_graphs_config_reaches_its_calls(make, sim) -> None:
    """`configurable` of a graph's run changes the policy of the calls inside it, however deep."""

    class State(TypedDict):
        text: str

    llm = make()
    graph = StateGraph(State)
    graph.add_node("call", lambda state: {"text": llm.invoke(state["text"]).text})
    graph.add_edge(START, "call")
    graph.add_edge("call", END)
    ask: Any = {"configurable": {"routing": {"models": ["gpt-4.1"]}}}
    graph.compile().invoke({"text": "Hi"}, ask)
    assert sim.journal[0].model == "gpt-4.1"


def test_a_chain(make, sim) -> None:
    """Prompt, model and parser, called and streamed."""
    chain = (
        ChatPromptTemplate.from_messages([("system", "Be brief"), ("user", "{text}")])
        | make()
        | StrOutputParser()
    )
    assert chain.invoke({"text": "Hello"})
    assert "".join(chain.stream({"text": "Hello"}))
    assert sim.refused == []


async def test_events_of_a_chain(make, sim) -> None:
    """astream_events (v2) tells start, stream and end of the model's run once, with the record at the end."""
    chain = ChatPromptTemplate.from_messages([("user", "{text}")]) | make()
    events = [event async for event in chain.astream_events({"text": "Hello"}, version="v2")]
    kinds = [event["event"] for event in events if event["event"].startswith("on_chat_model")]
    assert (kinds.count("on_chat_model_start"), kinds.count("on_chat_model_end")) == (1, 1)
    assert kinds.count("on_chat_model_stream") > 1
    end = next(event for event in events if event["event"] == "on_chat_model_end")
    assert routing(end["data"]["output"])["model"]
