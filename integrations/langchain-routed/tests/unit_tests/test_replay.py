"""What a turn was made of goes back exactly once and in order, whatever form the answer came in."""

from __future__ import annotations

from typing import Any

import pytest
from langchain_core.messages import AIMessage, HumanMessage, ToolMessage
from langchain_core.tools import tool

from .helpers import merged


@tool
def add(a: int, b: int) -> int:
    """Add two numbers."""
    return a + b


REASONS = {"models": ["gpt-5.4"], "at_least": None, "effort": "high"}
ANYWHERE = {"models": None, "effort": None}
HOW = ["invoke", "ainvoke", "stream", "astream"]
FORMS = {
    "plain": {},
    "responses": {"use_responses_api": True},
    "responses/v1": {"output_version": "responses/v1"},
    "v1": {"output_version": "v1"},
    "v0": {"output_version": "v0", "use_responses_api": True},
}
KINDS = {"function_call": "call", "function_call_output": "output", "reasoning": "reasoning"}


async def ask(llm: Any, history: list[Any], how: str, **kwargs: Any) -> AIMessage:
    if how == "invoke":
        return llm.invoke(history, **kwargs)
    if how == "ainvoke":
        return await llm.ainvoke(history, **kwargs)
    if how == "stream":
        return merged(list(llm.stream(history, **kwargs)))
    return merged([chunk async for chunk in llm.astream(history, **kwargs)])


def shape(entry: Any) -> list[str]:
    """The kinds of a request's items in order; of messages the role."""
    assert entry.path.endswith("/responses")
    return [KINDS.get(item.get("type"), item.get("role")) for item in entry.body["input"]]


def calls_once(body: dict[str, Any]) -> bool:
    ids = [item["call_id"] for item in body["input"] if item.get("type") == "function_call"]
    return len(ids) == len(set(ids))


@pytest.mark.parametrize("how", HOW)
@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("store", [None, True, False], ids=["unset", "stored", "zdr"])
async def test_a_turn_of_tool_calls_is_sent_back_as_it_was(
    make, sim, how: str, form: str, store: bool | None
) -> None:
    """Reasoning, then each of its calls once, then their outputs; over two turns, in every form."""
    llm = make(policy=REASONS, store=store, **FORMS[form]).bind_tools([add])
    history: list[Any] = [HumanMessage("add")]
    sim.script(tool_calls=[("add", {"a": 1, "b": 1}), ("add", {"a": 2, "b": 2})], reasoning_tokens=64)
    for _ in range(2):
        answer = await ask(llm, history, how)
        history.append(answer)
        history += [ToolMessage("2", tool_call_id=call["id"]) for call in answer.tool_calls]
        sim.script(tool_calls=[("add", {"a": 3, "b": 3})], reasoning_tokens=64)
    sim.script(text="Done.", reasoning_tokens=64)
    await ask(llm, history, how)
    assert sim.refused == []
    expected = ["user", "reasoning", "call", "call", "output", "output", "reasoning", "call", "output"]
    assert shape(sim.journal[-1]) == expected
    assert calls_once(sim.journal[-1].body)


@pytest.mark.parametrize("how", HOW)
@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("to", ["gpt-4.1", "gpt-4o", "gpt-5.6-luna", "gpt-5.2-pro"])
async def test_another_model_gets_each_call_once(make, sim, how: str, form: str, to: str) -> None:
    """On whichever endpoint the other model is."""
    llm = make(policy=REASONS, **FORMS[form]).bind_tools([add])
    sim.script(tool_calls=[("add", {"a": 1, "b": 1}), ("add", {"a": 2, "b": 2})], reasoning_tokens=64)
    answer = await ask(llm, [HumanMessage("add")], how)
    results = [ToolMessage("2", tool_call_id=call["id"]) for call in answer.tool_calls]
    await ask(llm, [HumanMessage("add"), answer, *results], how, model=to, routing=ANYWHERE)
    assert sim.refused == []
    body = sim.journal[-1].body
    if "input" in body:
        assert shape(sim.journal[-1]) == ["user", "call", "call", "output", "output"]
        assert calls_once(body)
    else:
        assert [len(message.get("tool_calls", ())) for message in body["messages"]] == [0, 2, 0, 0]


@pytest.mark.parametrize("how", HOW)
@pytest.mark.parametrize("version", [None, "v1"])
async def test_an_answer_of_chat_completions_goes_on_to_responses(
    make, sim, how: str, version: str | None
) -> None:
    """The endpoint changes in mid-conversation, and the calls are still there once."""
    llm = make(policy={"at_least": None}, output_version=version).bind_tools([add])
    sim.script(tool_calls=[("add", {"a": 1, "b": 1})])
    answer = await ask(llm, [HumanMessage("add")], how, model="gpt-4o")
    assert sim.journal[0].path.endswith("/chat/completions")
    turn = [HumanMessage("add"), answer, ToolMessage("2", tool_call_id=answer.tool_calls[0]["id"])]
    await ask(llm, turn, how, model="gpt-5.4", routing={"effort": "high"})
    assert sim.refused == []
    assert shape(sim.journal[-1]) == ["user", "call", "output"]


@pytest.mark.parametrize("how", HOW)
@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("to", ["gpt-5.4", "gpt-4o"])
async def test_a_refusal_is_said_once(make, sim, how: str, form: str, to: str) -> None:
    """What the model refused is part of the conversation, for itself and for another model."""
    # With a tool: the stream of a Chat Completions answer tells no refusal to langchain-openai.
    llm = make(policy=REASONS, **FORMS[form]).bind_tools([add])
    sim.script(refusal="I cannot help with that.", reasoning_tokens=64)
    answer = await ask(llm, [HumanMessage("Hi")], how)
    await ask(llm, [HumanMessage("Hi"), answer, HumanMessage("And?")], how, model=to, routing=ANYWHERE)
    assert sim.refused == []
    assert str(sim.journal[-1].body).count("I cannot help with that.") == 1


@pytest.mark.parametrize("how", HOW)
@pytest.mark.parametrize("form", FORMS)
async def test_reasoning_of_an_answer_that_was_cut_stays_behind(make, sim, how: str, form: str) -> None:
    """An answer that ended while it was still thinking has nothing that its reasoning led to."""
    llm = make(policy=REASONS, **FORMS[form])
    sim.script(text="Never said.", reasoning_tokens=640)
    answer = await ask(llm, [HumanMessage("Hi")], how, max_tokens=16, routing={"effort": "high"})
    # The room for reasoning may leave room for text: an answer of nothing but reasoning is made by hand.
    only = [b for b in answer.content if isinstance(b, dict) and b.get("type") == "reasoning"]
    bare = {k: [i for i in v if i["type"] == "reasoning"] if k == "routed_items" else v
            for k, v in answer.additional_kwargs.items()}  # fmt: skip
    cut = answer.model_copy(update={"content": only or "", "additional_kwargs": bare})
    await ask(llm, [HumanMessage("Hi"), cut, HumanMessage("And?")], how)
    assert sim.refused == []


@pytest.mark.parametrize("how", HOW)
async def test_a_call_that_a_person_changed_is_sent_as_changed(make, sim, how: str) -> None:
    """Approval by a person changes a call's arguments in the message; the old ones go nowhere."""
    llm = make(policy=REASONS).bind_tools([add])
    sim.script(tool_calls=[("add", {"a": 1, "b": 1})], reasoning_tokens=64)
    answer = await ask(llm, [HumanMessage("add")], how)
    (call,) = answer.tool_calls
    changed = answer.model_copy(update={"tool_calls": [{**call, "args": {"a": 7, "b": 1}}]})
    await ask(llm, [HumanMessage("add"), changed, ToolMessage("8", tool_call_id=call["id"])], how)
    assert sim.refused == []
    assert shape(sim.journal[-1]) == ["user", "reasoning", "call", "output"]
    sent = sim.journal[-1].body["input"][2]
    assert (sent["arguments"], "id" in sent) == ('{"a": 7, "b": 1}', False)


@pytest.mark.parametrize("how", HOW)
async def test_what_a_named_response_holds_is_not_sent_again(make, sim, how: str) -> None:
    """The whole conversation beside ``previous_response_id`` would be in the context twice; it is refused."""
    llm = make(use_responses_api=True)
    first = await ask(llm, [HumanMessage("Remember 7")], how, model="gpt-5.4")
    history = [HumanMessage("Remember 7"), first, HumanMessage("Which?")]
    await ask(llm, history, how, previous_response_id=first.response_metadata["id"])
    assert sim.refused == []
    assert shape(sim.journal[-1]) == ["user"]
