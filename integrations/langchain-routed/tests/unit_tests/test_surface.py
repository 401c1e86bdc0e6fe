"""ChatOpenAI's surface, argument by argument: what a model refuses never reaches it."""

from __future__ import annotations

from typing import Any

import pytest
from langchain.agents import create_agent
from langchain.agents.structured_output import ProviderStrategy
from langchain_core.load import dumpd
from langchain_core.messages import AIMessage, FunctionMessage, HumanMessage
from langchain_openai import ChatOpenAI
from pydantic import BaseModel

from routed_llm import PolicyError

from .helpers import changed, routing

TOOL = {"type": "function", "function": {"name": "add", "parameters": {"type": "object", "properties": {}}}}
ENCRYPTED, LOGPROBS = "reasoning.encrypted_content", "message.output_text.logprobs"


class Answer(BaseModel):
    """An answer."""

    text: str


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


@pytest.mark.parametrize(
    ("messages", "sent"),
    [
        pytest.param(
            [
                HumanMessage("add 1 and 2"),
                AIMessage("", additional_kwargs={"function_call": {"name": "add", "arguments": "{}"}}),
                FunctionMessage(name="add", content="3"),
            ],
            {"endpoint": "chat_completions", "last": {"role": "function", "name": "add", "content": "3"}},
            id="a function's result goes where there is such a role",
        ),
        pytest.param(
            [HumanMessage([])],
            {"endpoint": "responses", "last": {"role": "user", "content": "", "type": "message"}},
            id="a message without blocks is still a message",
        ),
    ],
)
def test_what_only_one_endpoint_takes_of_a_history(make, sim, messages: Any, sent: Any) -> None:
    """Tools lead to Responses, but never with messages that it refuses."""
    tool = {
        "type": "function",
        "function": {"name": "add", "parameters": {"type": "object", "properties": {}}},
    }
    answer = make().bind_tools([tool]).invoke(messages)
    body = sim.journal[-1].body
    last = (body.get("messages") or body.get("input"))[-1]
    assert {"endpoint": routing(answer)["endpoint"], "last": last} == sent
    assert sim.refused == []


def test_an_image_by_id_where_there_is_none(make, plain, sim) -> None:
    """Kept off Responses, an image by id ends as with ChatOpenAI, before anything is sent."""
    image = [HumanMessage([{"type": "image", "file_id": "file-1"}])]
    raised = []
    for llm in (plain, make(use_responses_api=False)):
        with pytest.raises(ValueError, match="Unsupported source type") as caught:
            llm.invoke(image)
        raised.append(str(caught.value))
    assert raised[0] == raised[1]
    assert sim.journal == []


@pytest.mark.parametrize("settings", [{}, {"use_responses_api": True}], ids=["chat", "responses"])
def test_no_tools_are_no_empty_list(make, sim, settings: Any) -> None:
    """An agent without tools that asks for a form binds an empty list of tools, which servers refuse."""
    agent = create_agent(make(**settings), [], response_format=ProviderStrategy(Answer))
    assert isinstance(agent.invoke({"messages": [("user", "Say something")]})["structured_response"], Answer)
    assert ["tools" in entry.body for entry in sim.journal] == [False]


def test_nothing_counts_as_with_chatopenai(make, monkeypatch: pytest.MonkeyPatch) -> None:
    """A memory that is still empty is counted, not refused."""

    class Words:
        """A vocabulary that needs no network."""

        def encode(self, text: str) -> list[int]:
            """One token a word."""
            return [0] * len(text.split())

    plain = ChatOpenAI(model="gpt-4o")
    monkeypatch.setattr(ChatOpenAI, "_get_encoding_model", lambda self: ("gpt-4o", Words()))
    assert make().get_num_tokens_from_messages([]) == plain.get_num_tokens_from_messages([]) == 3


def _keys(value: Any, depth: int = 0) -> Any:
    """The tree of keys; deeper down not those without a value, which are the SDK's own."""
    if not isinstance(value, dict):
        return None
    return {name: _keys(item, depth + 1) for name, item in value.items() if depth == 0 or item is not None}


def _lacks(has: Any, wanted: Any, at: str = "") -> list[str]:
    """What is in one tree of keys and not in the other."""
    if not isinstance(wanted, dict):
        return []
    missing = [f"{at}.{name}" for name in wanted if name not in (has or {})]
    return missing + [
        gone for name in wanted for gone in _lacks((has or {}).get(name), wanted[name], f"{at}.{name}")
    ]


@pytest.mark.parametrize(
    ("ask", "script"),
    [
        pytest.param(lambda llm: llm.invoke("Hi"), {}, id="text"),
        pytest.param(lambda llm: llm.invoke("Hi"), {"refusal": "No."}, id="refusal"),
        pytest.param(
            lambda llm: llm.bind_tools([TOOL]).invoke("Hi"), {"tool_calls": [("add", {})]}, id="tools"
        ),
        pytest.param(
            lambda llm: llm.with_structured_output(Answer, include_raw=True).invoke("Hi")["raw"],
            {},
            id="a form",
        ),
    ],
)
def test_an_answer_from_responses_has_every_key(make, plain, sim, ask: Any, script: Any) -> None:
    """What a program reads of gpt-4o's answer it finds in one from a model that only Responses has."""
    parts, keys = ("additional_kwargs", "response_metadata"), []
    for llm in (plain, make(policy={"models": ["gpt-5.3-codex"], "at_least": None})):
        if script:
            sim.script(**script)
        answer = ask(llm)
        keys.append({name: _keys(getattr(answer, name)) for name in parts})
    assert sim.journal[-1].path == "/v1/responses"
    assert _lacks(keys[1], keys[0]) == []


@pytest.mark.parametrize("how", ["constructor", "call"])
@pytest.mark.parametrize("endpoint", [None, True, False], ids=["either", "responses", "chat"])
@pytest.mark.parametrize("tools", [False, True], ids=["no tools", "tools"])
@pytest.mark.parametrize(
    "given",
    [
        pytest.param({"modalities": ["text"]}, id="text only"),
        pytest.param({"tool_choice": "auto"}, id="a choice of tools"),
        pytest.param({"parallel_tool_calls": False}, id="how to call tools"),
        pytest.param({"stream_options": {"include_usage": True}}, id="how to stream"),
    ],
)
@pytest.mark.parametrize("model", ["gpt-4.1", "gpt-5.4"])
def test_what_asks_for_nothing_is_not_refused(
    make, sim, model: str, given: Any, tools: bool, endpoint: bool | None, how: str
) -> None:
    """What matters only beside something else, or on one endpoint, is left out where it would be refused."""
    llm = make(**only(model), use_responses_api=endpoint, model_kwargs=given if how == "constructor" else {})
    llm = llm.bind_tools([TOOL]) if tools else llm
    llm.invoke("Hi", **(given if how == "call" else {}))
    assert sim.refused == []


def test_a_verbosity_in_the_words_of_responses(make, sim) -> None:
    """Inside ``text``, too, a verbosity goes only to a model that has it."""
    answer = make(**only("gpt-4.1")).invoke("Hi", text={"verbosity": "low"})
    assert changed(answer) == [("verbosity", "dropped")]
    make(**only("gpt-5.4")).invoke("Hi", text={"verbosity": "low"})
    make(**only("gpt-5.4"), use_responses_api=False).invoke("Hi", text={"verbosity": "low"})
    assert [entry.body.get("text") for entry in sim.journal] == [None, {"verbosity": "low"}, None]
    assert sim.journal[-1].body["verbosity"] == "low"
    assert sim.refused == []


def _assigned(llm: Any, policy: Any) -> Any:
    llm.policy = policy
    return llm


@pytest.mark.parametrize(
    "change",
    [
        pytest.param(_assigned, id="assigned"),
        pytest.param(lambda llm, policy: llm.model_copy(update={"policy": policy}), id="in a copy"),
    ],
)
def test_a_policy_as_keywords_may_come_later(make, change: Any) -> None:
    """Assigned or put into a copy, a policy may be a dict as in the constructor; mistakes are told."""
    llm = make()
    llm.invoke("Hi")
    other = change(llm, {"models": ["gpt-4.1"], "at_least": None})
    assert routing(other.invoke("Hi"))["model"] == "gpt-4.1"
    assert dumpd(other)["kwargs"]["policy"]["models"] == ["gpt-4.1"]
    with pytest.raises(PolicyError, match="'model' is not a keyword of Policy"):
        change(llm, {"model": "gpt-4.1"}).invoke("Hi")
