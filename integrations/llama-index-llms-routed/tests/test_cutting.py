"""Stop sequences where no model takes them, and streams of models that cannot stream."""

from __future__ import annotations

from datetime import date
from typing import Any

import pytest
from llama_index.core.base.llms.types import ToolCallBlock
from llama_index.core.instrumentation import get_dispatcher
from llama_index.core.instrumentation.event_handlers import BaseEventHandler
from llama_index.core.instrumentation.events.llm import LLMChatEndEvent, LLMChatStartEvent
from llama_index.core.llms import ChatMessage
from llama_index.llms.routed import RoutedLLM

from routed_llm import RequestError, Router, Usage

CHAT = {"models": ["gpt-5-mini"], "at_least": None}
RESPONSES = {"models": ["gpt-5.2-pro"], "at_least": None}
WHOLE = {"models": ["gpt-5-pro"], "at_least": None}
POLICIES = [pytest.param(CHAT, id="chat completions"), pytest.param(RESPONSES, id="responses")]
ANSWER = "The capital of Peru is Lima. Observation: none. Final: Lima."
CUTS = [
    pytest.param(["Observation:"], "The capital of Peru is Lima. ", id="over several tokens"),
    pytest.param(["Final:", "Observation:"], "The capital of Peru is Lima. ", id="the first of two"),
    pytest.param("Peru", "The capital of ", id="a string"),
    pytest.param(["The"], "", id="at the start"),
    pytest.param(["a. Obs"], "The capital of Peru is Lim", id="from inside a token"),
    pytest.param(
        ["Lima.", "Lima. Observation: all"], "The capital of Peru is ", id="a longer one not completed"
    ),
    pytest.param(["Thought:"], ANSWER, id="no occurrence"),
    pytest.param(["Lima.\n"], ANSWER, id="begun at the end"),
]
TOOL = {
    "type": "function",
    "function": {
        "name": "look_up",
        "description": "Look a word up.",
        "parameters": {"type": "object", "properties": {"word": {"type": "string"}}, "required": ["word"]},
    },
}


def user() -> list[ChatMessage]:
    return [ChatMessage(role="user", content="What is the capital of Peru?")]


def emulated(answer: Any) -> list[str]:
    changes = answer.additional_kwargs["routing"]["changes"]
    return [change["parameter"] for change in changes if change["action"] == "emulated"]


@pytest.fixture
def said(sim):
    """Every request is answered with the same words; none carries `stop` and none is refused."""
    sim.script(ANSWER, reasoning_tokens=64, times=0)
    yield sim
    assert sim.refused == []
    assert sim.journal
    assert all("stop" not in entry.body for entry in sim.journal)


@pytest.mark.parametrize("policy", POLICIES)
@pytest.mark.parametrize(("stop", "kept"), CUTS)
async def test_every_form_of_call_is_cut(make, said, policy, stop, kept) -> None:
    """Whole or streamed, chat or completion, threads or asyncio: the text ends before the sequence."""
    llm = make(policy=policy)
    chats = [llm.chat(user(), stop=stop), await llm.achat(user(), stop=stop)]
    texts = [llm.complete("Peru?", stop=stop), await llm.acomplete("Peru?", stop=stop)]
    assert [answer.message.content or "" for answer in chats] == [kept] * 2
    assert [answer.text for answer in texts] == [kept] * 2
    streams = [
        list(llm.stream_chat(user(), stop=stop)),
        [chunk async for chunk in await llm.astream_chat(user(), stop=stop)],
    ]
    completions = [
        list(llm.stream_complete("Peru?", stop=stop)),
        [chunk async for chunk in await llm.astream_complete("Peru?", stop=stop)],
    ]
    for chunks in (*streams, *completions):
        assert "".join(chunk.delta or "" for chunk in chunks) == kept
    assert [chunks[-1].message.content or "" for chunks in streams] == [kept] * 2
    assert [chunks[-1].text for chunks in completions] == [kept] * 2
    assert emulated(chats[0]) == emulated(streams[0][-1]) == ["stop"]


@pytest.mark.parametrize("policy", POLICIES)
def test_no_part_of_a_sequence_leaks(make, said, policy) -> None:
    """No chunk shows the beginning of a sequence that comes, and each repeats what was said."""
    text = ""
    for chunk in make(policy=policy).stream_chat(user(), stop=["Observation: none. Final"]):
        text += chunk.delta
        assert (chunk.message.content or "") == text
        assert "Ob" not in text
    assert text == "The capital of Peru is Lima. "


@pytest.mark.parametrize(("stop", "usage"), [(["Observation:"], False), (["Thought:"], True)])
@pytest.mark.parametrize("policy", POLICIES)
def test_a_stream_that_is_cut_is_settled_as_one_that_was_left(make, said, books, policy, stop, usage) -> None:
    """The stream ends at the sequence, before the usage came; without one it brings the usage."""
    chunks = list(make(policy=policy, router=books).stream_chat(user(), stop=stop))
    assert chunks[-1].raw.choices[0].finish_reason == "stop"
    assert [(what, isinstance(how, Usage)) for what, how in books.entries] == [
        ("begin", False),
        ("settle", usage),
    ]


def test_a_whole_answer_that_is_cut_has_its_usage(make, said, books) -> None:
    """What was written after the sequence is paid for, so it is booked."""
    answer = make(policy=CHAT, router=books).chat(user(), stop=["Observation:"])
    (entry,) = said.journal
    assert books.entries[1][1].output_tokens == entry.used.completion
    assert answer.raw.choices[0].finish_reason == "stop"


def test_an_answer_at_its_cap_ends_for_the_sequence(make, sim) -> None:
    """Programs that look whether an answer was cut off by its cap see that the sequence ended it."""
    sim.script(ANSWER + " Lima." * 20_000, reasoning_tokens=0, times=0)
    llm = make(policy={**CHAT, "effort": "minimal"})
    cut, capped = (llm.chat(user(), stop=stop, max_tokens=20) for stop in (["Observation:"], ["Thought:"]))
    assert [answer.raw.choices[0].finish_reason for answer in (cut, capped)] == ["stop", "length"]
    assert cut.message.content == "The capital of Peru is Lima. "


@pytest.mark.parametrize(
    "policy", [*POLICIES, pytest.param({"models": ["gpt-5.6-luna"], "at_least": None}, id="tools")]
)
def test_tool_calls_stay(make, sim, policy) -> None:
    """An answer without text is not touched, whatever its arguments hold."""
    llm = make(policy=policy)
    sim.script(tool_calls=[("look_up", {"word": "Observation:"})], reasoning_tokens=64, times=0)
    for answer in (
        llm.chat(user(), tools=[TOOL], stop=["Observation:"]),
        list(llm.stream_chat(user(), tools=[TOOL], stop=["Observation:"]))[-1],
    ):
        (call,) = (block for block in answer.message.blocks if isinstance(block, ToolCallBlock))
        assert (call.tool_name, "Observation:" in str(call.tool_kwargs)) == ("look_up", True)
        assert len(llm.get_tool_calls_from_response(answer)) == 1


def test_events_show_the_answer_as_the_caller_gets_it(make, said) -> None:
    """The start event says where the answer will be cut; the end event has the cut answer."""
    events: list[Any] = []

    class Notes(BaseEventHandler):
        def handle(self, event: Any, **kwargs: Any) -> None:
            events.append(event)

    dispatcher = get_dispatcher()
    notes = Notes()
    dispatcher.add_event_handler(notes)
    try:
        list(make(policy=CHAT).stream_chat(user(), stop=["Observation:"]))
    finally:
        dispatcher.event_handlers.remove(notes)
    (start,) = (event for event in events if isinstance(event, LLMChatStartEvent))
    (end,) = (event for event in events if isinstance(event, LLMChatEndEvent))
    assert start.additional_kwargs["stop"] == ["Observation:"]
    assert end.response.message.content == "The capital of Peru is Lima. "


def test_a_model_that_takes_stop_is_sent_it(make, sim) -> None:
    """While some model takes stop sequences, such a call goes there and nothing is cut here."""
    answer = make().chat(user(), stop=["Observation:"])
    assert sim.journal[0].body["stop"] == ["Observation:"]
    assert emulated(answer) == []


def test_after_the_last_model_that_takes_stop_chains_go_on(sim) -> None:
    """The default pool serves a call with `stop` on the day after the last such models end."""
    later = date(2027, 1, 15)
    before, sim.at = sim.at, later
    try:
        sim.script(ANSWER, reasoning_tokens=64)
        router = Router(clock=lambda: later)
        llm = RoutedLLM(api_base=sim.url, api_key="sk-simulated", router=router, max_retries=0)
        answer = llm.chat(user(), stop=["Observation:"])
        assert (answer.message.content, emulated(answer)) == ("The capital of Peru is Lima. ", ["stop"])
        assert sim.refused == []
    finally:
        sim.at = before


def test_sequences_that_are_no_text_are_refused_before_sending(make, sim) -> None:
    """The error says what to give, and nothing is sent."""
    with pytest.raises(RequestError) as caught:
        make(policy=CHAT).chat(user(), stop=[5])
    assert str(caught.value) == "stop holds a int. Give a string or a list of strings."
    assert sim.journal == []


async def test_a_model_that_cannot_stream_answers_in_one_chunk(make, said, books) -> None:
    """The call goes out without streaming; the one chunk is the answer, and its usage is booked."""
    llm = make(policy=WHOLE, router=books)
    streams = [
        list(llm.stream_chat(user())),
        [chunk async for chunk in await llm.astream_chat(user())],
        list(llm.stream_complete("Peru?")),
        [chunk async for chunk in await llm.astream_complete("Peru?")],
    ]
    assert [[chunk.delta for chunk in chunks] for chunks in streams] == [[ANSWER]] * 4
    assert not any(entry.body.get("stream") for entry in said.journal)
    assert [isinstance(how, Usage) for what, how in books.entries if what == "settle"] == [True] * 4
    assert streams[0][0].additional_kwargs["routing"]["model"] == "gpt-5-pro"
    (cut,) = llm.stream_chat(user(), stop=["Observation:"])
    assert cut.delta == cut.message.content == "The capital of Peru is Lima. "
