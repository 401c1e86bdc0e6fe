"""A conversation that is sent again is read as one that is new, whatever has become of its messages."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from langchain_core.messages import AIMessage, BaseMessage, HumanMessage, SystemMessage, ToolMessage
from langchain_routed._reading import RESUMED, _views, tell_messages

from routed_llm import Request, RequestBuilder

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
    return [*said, *[HumanMessage(f"And {number}?", name="ann") for number in range(RESUMED)]]


def plain() -> list[BaseMessage]:
    """Return a conversation of nothing but texts, which is added at once."""
    said: list[BaseMessage] = [SystemMessage("Be brief.")]
    for number in range(RESUMED):
        said += [HumanMessage(f"And {number}?"), AIMessage("" if number == 2 else f"It is {number}.")]
    return [*said, ToolMessage("A cat.", tool_call_id="c1"), HumanMessage("Why?")]


def read(messages: list[BaseMessage]) -> Request:
    """Read messages as a model does."""
    builder = RequestBuilder()
    tell_messages(builder, messages)
    return builder.build()


def anew(messages: list[BaseMessage]) -> Request:
    """Read messages without recognising any."""
    builder = RequestBuilder()
    for message in messages:
        tell_messages(builder, [message])
    return builder.build()


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
    messages = said()
    read(messages)
    assert RequestBuilder().resume(_views(messages)) == len(messages)
