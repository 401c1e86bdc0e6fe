"""A conversation is read as what is sent for it, and again as if it were new, whatever has become of it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from langchain_core.messages import (
    AIMessage,
    BaseMessage,
    ChatMessage,
    FunctionMessage,
    HumanMessage,
    SystemMessage,
    ToolMessage,
)
from langchain_routed import RoutedChatModel

from routed_llm import Request
from routed_llm.request import conversations, read_openai

LONG = 8
CALL = {"name": "look", "args": {"at": 1, "deep": [1.5, None]}, "id": "c1", "type": "tool_call"}


def talk() -> list[BaseMessage]:
    """Return a conversation that is long enough to be recognised."""
    said: list[BaseMessage] = [
        SystemMessage("Be brief."),
        HumanMessage([{"type": "text", "text": "What is it?"}]),
        AIMessage("", tool_calls=[dict(CALL)], response_metadata={"id": "resp_1"}),
        ToolMessage("A cat.", tool_call_id="c1"),
        AIMessage("A cat."),
    ]
    return [*said, *[HumanMessage(f"And {number}?", name="ann") for number in range(LONG)]]


def plain() -> list[BaseMessage]:
    """Return a conversation of nothing but texts, which is added at once."""
    said: list[BaseMessage] = [SystemMessage("Be brief.")]
    for number in range(LONG):
        said += [HumanMessage(f"And {number}?"), AIMessage("" if number == 2 else f"It is {number}.")]
    return [*said, ToolMessage("A cat.", tool_call_id="c1"), HumanMessage("Why?")]


def read(messages: list[BaseMessage]) -> Request:
    """Read messages as a model does."""
    return RoutedChatModel()._own_planner().read(messages, None, {}, stream=False).request


def anew(messages: list[BaseMessage]) -> Request:
    """Read messages without recognising any."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(conversations.shared, "find", lambda messages: None)
        return read(messages)


def same(messages: list[BaseMessage]) -> None:
    """Assert that messages are read as if they had never been seen."""
    one, other = read(messages), anew(messages)
    assert (one.facts, one.texts, one.fixed, one.opening) == (
        other.facts,
        other.texts,
        other.fixed,
        other.opening,
    )


def _set(at: int, name: str, value: Any) -> Callable[[list[BaseMessage]], object]:
    return lambda messages: setattr(messages[at], name, value)


CHANGES: dict[str, Callable[[list[BaseMessage]], object]] = {
    "nothing": lambda messages: None,
    "content": _set(0, "content", "Be long."),
    "block": lambda messages: messages[1].content[0].update(text="Which?"),  # type: ignore[union-attr]
    "arguments": lambda messages: messages[2].tool_calls[0]["args"].update(at=222_222),  # type: ignore[attr-defined]
    "truth for a number": lambda messages: messages[2].tool_calls[0]["args"].update(at=True),  # type: ignore[attr-defined]
    "calls": _set(2, "tool_calls", []),
    "name": _set(-1, "name", None),
    "audio": lambda messages: messages[4].additional_kwargs.update(audio={"transcript": "Miaow"}),
    "one more": lambda messages: messages.append(AIMessage("Yes.")),
    "one less": lambda messages: messages.pop(),
    "kind": lambda messages: messages.__setitem__(4, HumanMessage("A cat.")),
}


PLAIN_CHANGES: dict[str, Callable[[list[BaseMessage]], object]] = {
    "nothing": lambda messages: None,
    "content": _set(0, "content", "Be long."),
    "blocks": _set(1, "content", [{"type": "text", "text": "Which?"}]),
    "calls": lambda messages: messages[2].tool_calls.append(dict(CALL)),  # type: ignore[attr-defined]
    "name": _set(1, "name", "ann"),
    "audio": lambda messages: messages[4].additional_kwargs.update(audio={"transcript": "Miaow"}),
    "one more": lambda messages: messages.append(AIMessage("Yes.", tool_calls=[dict(CALL)])),
    "one less": lambda messages: messages.pop(),
    "kind": lambda messages: messages.__setitem__(4, HumanMessage("A cat.")),
}
CHANGED = [
    *[pytest.param(talk, change, id=name) for name, change in CHANGES.items()],
    *[pytest.param(plain, change, id=f"plain: {name}") for name, change in PLAIN_CHANGES.items()],
]


@pytest.mark.parametrize(("said", "change"), CHANGED)
def test_whatever_is_changed_in_place_is_read(
    said: Callable[[], list[BaseMessage]], change: Callable[[list[BaseMessage]], object]
) -> None:
    """The same message objects are no proof that their content is the same."""
    messages = said()
    same(messages)
    change(messages)
    same(messages)
    same(messages)


@pytest.mark.parametrize("said", [talk, plain])
def test_a_repeat_is_recognised(said: Callable[[], list[BaseMessage]]) -> None:
    """Every message of a repeat is known, numbers in arguments and all."""
    messages, found = said(), []
    read(messages)
    with pytest.MonkeyPatch.context() as patch:
        find = conversations.shared.find
        patch.setattr(conversations.shared, "find", lambda said: found.append(find(said)) or found[0])
        read(messages)
    assert [len(one.seen) for one in found] == [len(messages)]


def _calls(*numbers: int) -> dict[str, Any]:
    return {"tool_calls": [{**CALL, "id": f"c{number}", "args": {"at": number}} for number in numbers]}


def _custom(name: str) -> dict[str, Any]:
    call = {"id": "c1", "type": "custom", "custom": {"name": name, "input": "a whole program"}}
    return {"additional_kwargs": {"tool_calls": [call]}}


def _result(number: int, content: Any = "A cat.") -> ToolMessage:
    return ToolMessage(content, tool_call_id=f"c{number}", name="look")


SAID = [
    pytest.param([AIMessage("", **_calls(1)), _result(1), AIMessage("", **_calls(2)), _result(2)], id="loop"),
    pytest.param([AIMessage("So:", **_calls(1, 2)), _result(1), _result(2, "Two.")], id="two calls at once"),
    pytest.param([AIMessage("", **_custom("run")), _result(1)], id="a custom tool"),
    pytest.param(
        [
            AIMessage("", additional_kwargs={"function_call": {"name": "look", "arguments": "{}"}}),
            FunctionMessage("A cat.", name="look"),
        ],
        id="a function of the older form",
    ),
    pytest.param([AIMessage("", additional_kwargs={"refusal": "I will not."})], id="a refusal"),
    pytest.param([AIMessage("Yes.", name="ann"), HumanMessage("No.", name="bob")], id="names"),
    pytest.param([ChatMessage("Be kind.", role="developer")], id="a role by name"),
    pytest.param([AIMessage([{"type": "text", "text": "So, "}, "yes."])], id="blocks"),
    pytest.param(
        [AIMessage("", **_calls(1)), _result(1, [{"type": "text", "text": "A cat.", "id": "t1"}])],
        id="a result of blocks",
    ),
    pytest.param(
        [
            HumanMessage([{"type": "text", "text": "What?"}, {"type": "text-plain", "data": "A file."}]),
            AIMessage([{"type": "thinking", "thinking": "Hm."}, {"type": "text", "text": "That."}]),
        ],
        id="blocks of others",
    ),
]


@pytest.mark.parametrize("said", SAID)
def test_what_is_read_is_what_is_sent(said: list[BaseMessage]) -> None:
    """A call, a turn, a name or a refusal counts as in the request itself, as in every other adapter."""
    messages = [HumanMessage("What is it?"), *said, HumanMessage("And now?")]
    llm = RoutedChatModel(policy={"models": ["gpt-4.1"], "at_least": None})
    sent = read_openai({"messages": llm._get_request_payload(messages)["messages"]})
    found = read(messages)
    assert (found.facts.framed, found.texts) == (sent.facts.framed, sent.texts)
    assert found.facts.tokens == sent.facts.tokens
