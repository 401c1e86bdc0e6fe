"""A factory's model with ways of its own hears a call in LangChain's words, whichever endpoint was chosen."""

from __future__ import annotations

from typing import Any, ClassVar

import pytest
from langchain_core.messages import AIMessage, HumanMessage, SystemMessage, ToolMessage
from langchain_core.outputs import ChatGeneration, ChatResult
from langchain_openai import ChatOpenAI

TOOL = {"type": "function", "function": {"name": "add", "parameters": {"type": "object", "properties": {}}}}
SCHEMA = {"name": "city", "schema": {"type": "object", "properties": {}}}
FORM = {"type": "json_schema", "json_schema": SCHEMA}
TALK = [
    SystemMessage([{"type": "text", "text": "Be kind."}]),
    HumanMessage([{"type": "text", "text": "Add."}]),
    AIMessage("So:", tool_calls=[{"name": "add", "args": {"a": 1}, "id": "call_1", "type": "tool_call"}]),
    ToolMessage("2", tool_call_id="call_1"),
]


class Own(ChatOpenAI):
    """A model that answers without a request."""

    heard: ClassVar[list[Any]] = []

    def _generate(self, messages: Any, *_: Any, **kwargs: Any) -> ChatResult:
        self.heard.append((messages, kwargs))
        return ChatResult(generations=[ChatGeneration(message=AIMessage("Done."))])


@pytest.mark.parametrize("on_responses", [True, False], ids=["responses", "chat"])
def test_it_hears_what_was_said_and_asked(make, sim, on_responses: bool) -> None:
    """Texts, calls with their outputs, the form of the answer; nothing is sent by anybody else."""
    Own.heard.clear()
    llm = make(factory=lambda call: Own(model=call.model), use_responses_api=on_responses)
    assert llm.bind_tools([TOOL], strict=True).invoke(TALK, response_format=FORM).text == "Done."
    ((messages, kwargs),) = Own.heard
    assert [message.type for message in messages] == ["system", "human", "ai", "tool"]
    assert [message.text for message in messages] == ["Be kind.", "Add.", "So:", "2"]
    assert kwargs["response_format"]["json_schema"]["name"] == "city"
    assert isinstance(messages[2].content, str)
    assert messages[2].tool_calls == TALK[2].tool_calls
    assert messages[3].tool_call_id == "call_1"
    assert sim.journal == []


def test_an_answer_that_stands_twice_is_heard_twice(make) -> None:
    """Its items once, for the provider refuses the same one again; what it says both times."""
    Own.heard.clear()
    said = {"type": "text", "text": "So.", "id": "msg_1"}
    answer = AIMessage([said], response_metadata={"model_name": "gpt-5.4"})
    talk = [HumanMessage("Go", name="ann"), answer, HumanMessage("Again"), answer, HumanMessage("On")]
    pool = {"models": ["gpt-5.4"], "at_least": None}
    make(factory=lambda call: Own(model=call.model), use_responses_api=True, policy=pool).invoke(talk)
    ((messages, _),) = Own.heard
    assert [message.content for message in messages] == [
        "ann: Go",
        [said],
        "Again",
        [{"type": "text", "text": "So."}],
        "On",
    ]
