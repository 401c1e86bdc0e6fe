"""What a turn was made of goes back exactly once and in order, whatever form the answer came in."""

from __future__ import annotations

from typing import Any

import pytest
from langchain_core.messages import AIMessage, HumanMessage, SystemMessage, ToolMessage
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


def said(body: dict[str, Any]) -> list[str]:
    """The texts of a request on Responses, in order."""
    found = []
    for item in body["input"]:
        content = item.get("content", item.get("output", item.get("arguments")))
        found.append(content if isinstance(content, str) else content[0]["text"])
    return found


@pytest.mark.parametrize("how", HOW)
@pytest.mark.parametrize(
    ("history", "sent"),
    [
        pytest.param([HumanMessage("hi", name="ann")], ["ann: hi"], id="one speaker"),
        pytest.param([HumanMessage([{"type": "text", "text": "hi"}], name="ann")], ["ann: hi"], id="blocks"),
        pytest.param(["be kind", HumanMessage("hi", name="bo")], ["be kind", "bo: hi"], id="one of them"),
        pytest.param(
            [SystemMessage("be kind", name="chair"), HumanMessage("hi")],
            ["chair: be kind", "hi"],
            id="system",
        ),
        pytest.param(
            [HumanMessage("hi"), AIMessage("yes", name="bot"), HumanMessage("so")],
            ["hi", "yes", "so"],
            id="the only assistant",
        ),
        pytest.param(
            [HumanMessage("hi"), AIMessage("yes", name="a"), AIMessage("no", name="b"), HumanMessage("so")],
            ["hi", "a: yes", "b: no", "so"],
            id="two assistants",
        ),
        pytest.param(
            [
                HumanMessage("hi"),
                AIMessage("", tool_calls=[{"name": "add", "args": {}, "id": "c"}]),
                ToolMessage("2", tool_call_id="c", name="add"),
            ],
            ["hi", "{}", "2"],
            id="a tool's name is no speaker",
        ),
    ],
)
async def test_who_spoke_stays_known(make, sim, how: str, history: list[Any], sent: list[str]) -> None:
    """Messages of Responses have no name."""
    llm = make(policy={**REASONS, "endpoints": ["responses"]}).bind_tools([add])
    before = [message.model_copy(deep=True) for message in history if not isinstance(message, str)]
    await ask(llm, history, how)
    assert said(sim.journal[-1].body) == sent
    assert [message for message in history if not isinstance(message, str)] == before


LONG = "call_" + "0123456789" * 8
IDS = {
    "twice": ["c0", "c0"],
    "with another between": ["c0", "c1", "c0"],
    "one that is made for another": ["c0", "c0_2", "c0"],
    "longer than 64 characters": [LONG],
    "long ones that begin alike": [f"{LONG}a", f"{LONG}b", f"{LONG}a"],
}


def turn(identity: str, result: str) -> list[Any]:
    call = {"name": "add", "args": {"a": 1, "b": 1}, "id": identity}
    return [HumanMessage("add"), AIMessage("", tool_calls=[call]), ToolMessage(result, tool_call_id=identity)]


@pytest.mark.parametrize("how", HOW)
@pytest.mark.parametrize("ids", IDS.values(), ids=list(IDS))
async def test_calls_of_other_turns_with_the_same_id(make, sim, how: str, ids: list[str]) -> None:
    """Chat Completions takes them, and long ones; on Responses each output still belongs to its own call."""
    history = [message for n, identity in enumerate(ids) for message in turn(identity, str(n))]
    await ask(make(policy={**REASONS, "endpoints": ["responses"]}).bind_tools([add]), history, how)
    assert sim.refused == []
    items = [item for item in sim.journal[-1].body["input"] if "call_id" in item]
    assert [call["call_id"] for call in items[::2]] == [output["call_id"] for output in items[1::2]]
    assert [output["output"] for output in items[1::2]] == [str(n) for n in range(len(ids))]
    assert calls_once(sim.journal[-1].body)


@pytest.mark.parametrize("how", HOW)
@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("calls", [True, False], ids=["calls", "text"])
async def test_a_turn_that_comes_twice(make, sim, how: str, form: str, calls: bool) -> None:
    """Histories are forked and put together again; no item may be sent twice."""
    llm = make(policy=REASONS, **FORMS[form]).bind_tools([add])
    wanted = {"tool_calls": [("add", {"a": 1, "b": 1})]} if calls else {"text": "Two."}
    sim.script(**wanted, reasoning_tokens=64)
    answer = await ask(llm, [HumanMessage("add")], how)
    once = [HumanMessage("add"), answer]
    once += [ToolMessage("2", tool_call_id=call["id"]) for call in answer.tool_calls]
    await ask(llm, [*once, *once, HumanMessage("and?")], how)
    assert sim.refused == []
    kinds = ["call", "output"] if calls else ["assistant"]
    if sim.journal[-1].path.endswith("/responses"):
        assert shape(sim.journal[-1]) == ["user", "reasoning", *kinds, "user", *kinds, "user"]


@pytest.mark.parametrize("how", ["stream", "astream"])
@pytest.mark.parametrize("effort", ["none", "high"])
async def test_streamed_calls_are_counted_from_nought(make, sim, how: str, effort: str) -> None:
    """As on Chat Completions, where reasoning is no item."""
    policy = {**REASONS, "endpoints": ["responses"], "effort": effort}
    llm = make(policy=policy).bind_tools([add])
    tokens = {} if effort == "none" else {"reasoning_tokens": 64}
    sim.script(tool_calls=[("add", {"a": 1, "b": 1}), ("add", {"a": 2, "b": 2})], **tokens)
    chunks = list(llm.stream("add")) if how == "stream" else [chunk async for chunk in llm.astream("add")]
    indices = [call["index"] for chunk in chunks for call in chunk.tool_call_chunks]
    assert sorted(set(indices)) == [0, 1]
    assert [call["args"] for call in merged(chunks).tool_calls] == [{"a": 1, "b": 1}, {"a": 2, "b": 2}]
