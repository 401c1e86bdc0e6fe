"""A conversation that is sent again is read as one that is new, whatever has become of its messages."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from llama_index.core.base.llms.types import ChatMessage, ImageBlock, MessageRole, TextBlock, ToolCallBlock
from llama_index.llms.routed.messages import chat_messages

from routed_llm import Request, RequestBuilder, read_openai

LONG = 8
"""More messages than a conversation needs to be recognised."""


def read_request(messages: list[ChatMessage]) -> Request:
    """Read messages as a call does."""
    return read_openai({"messages": chat_messages(messages)})


def talk() -> list[ChatMessage]:
    """Return a conversation that is long enough to be recognised."""
    call = ToolCallBlock(tool_call_id="c1", tool_name="look", tool_kwargs={"at": 1})
    return [
        ChatMessage(role="system", content="Be brief."),
        ChatMessage(role="user", blocks=[TextBlock(text="What"), TextBlock(text="is it?")]),
        ChatMessage(role="assistant", blocks=[call]),
        ChatMessage(role="tool", content="A cat.", additional_kwargs={"tool_call_id": "c1"}),
        *[ChatMessage(role="user", content=f"And {number}?") for number in range(LONG)],
    ]


def same(messages: list[ChatMessage], monkeypatch: pytest.MonkeyPatch) -> None:
    """Assert that messages are read as if they had never been seen."""
    one = read_request(messages)
    with monkeypatch.context() as patch:
        patch.setattr("routed_llm.request.builder.SHORTEST", 10**9)
        other = read_request(messages)
    assert (one.facts, one.texts, one.fixed, one.opening) == (
        other.facts,
        other.texts,
        other.fixed,
        other.opening,
    )


CHANGES: dict[str, Callable[[list[ChatMessage]], object]] = {
    "nothing": lambda messages: None,
    "text": lambda messages: setattr(messages[0].blocks[0], "text", "Be long."),
    "one of two": lambda messages: setattr(messages[1].blocks[1], "text", "is that?"),
    "role": lambda messages: setattr(messages[4], "role", MessageRole.ASSISTANT),
    "arguments": lambda messages: messages[2].blocks[0].tool_kwargs.update(at=222_222),  # type: ignore[union-attr]
    "truth for a number": lambda messages: messages[2].blocks[0].tool_kwargs.update(at=True),  # type: ignore[union-attr]
    "block": lambda messages: messages[0].blocks.append(TextBlock(text="Please.")),
    "image": lambda messages: messages[5].blocks.append(ImageBlock(url="https://example.com/a.png")),
    "calls": lambda messages: messages[2].additional_kwargs.update(
        tool_calls=[{"id": "c2", "function": {"name": "look", "arguments": "{}"}}]
    ),
    "one more": lambda messages: messages.append(ChatMessage(role="assistant", content="Yes.")),
    "one less": lambda messages: messages.pop(),
}


@pytest.mark.parametrize("change", CHANGES.values(), ids=CHANGES)
def test_whatever_is_changed_in_place_is_read(
    change: Callable[[list[ChatMessage]], object], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The same message objects are no proof that their content is the same."""
    messages = talk()
    same(messages, monkeypatch)
    change(messages)
    same(messages, monkeypatch)
    same(messages, monkeypatch)


def test_a_repeat_is_recognised() -> None:
    """Every message of a repeat is known."""
    messages = talk()
    read_request(messages)
    assert RequestBuilder().resume(chat_messages(messages)) == len(messages)
