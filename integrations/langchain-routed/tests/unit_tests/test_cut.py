"""Stop sequences where no model takes them, and streams of models that cannot stream."""

from __future__ import annotations

from datetime import date
from typing import Any

import pytest
from langchain_core.caches import InMemoryCache
from langchain_core.messages import AIMessage, AIMessageChunk, HumanMessage
from langchain_core.outputs import ChatGeneration, ChatGenerationChunk, ChatResult
from langchain_routed import RoutedChatModel
from langchain_routed._answers import Cut, cut_result

from routed_llm import RequestError, Router

from .helpers import changed, merged, routing

CHAT = {"models": ["gpt-5-mini"], "at_least": None}
RESPONSES = {"models": ["gpt-5.2-pro"], "at_least": None}
WHOLE = {"models": ["gpt-5-pro"], "at_least": None}
PLACES = [
    pytest.param({"policy": CHAT}, id="chat completions"),
    pytest.param({"policy": RESPONSES}, id="responses as text"),
    pytest.param({"policy": RESPONSES, "output_version": "responses/v1"}, id="responses as blocks"),
]
ANSWER = "The capital of Peru is Lima. Observation: none. Final: Lima."
SHORT = "The capital of Peru is Lima. "
CUTS = [
    pytest.param(["Observation:"], SHORT, id="over several tokens"),
    pytest.param(["Final:", "Observation:"], SHORT, id="the first of two"),
    pytest.param(["The"], "", id="at the start"),
    pytest.param(["a. Obs"], "The capital of Peru is Lim", id="from inside a token"),
    pytest.param(["Thought:"], ANSWER, id="no occurrence"),
    pytest.param(["Lima.\n"], ANSWER, id="begun at the end"),
]


@pytest.fixture
def said(sim):
    """Every request is answered with the same words; none carries `stop` and none is refused."""
    sim.script(ANSWER, reasoning_tokens=64, times=0)
    yield sim
    assert sim.refused == []
    assert sim.journal
    assert all("stop" not in entry.body for entry in sim.journal)


@pytest.mark.parametrize("settings", PLACES)
@pytest.mark.parametrize(("stop", "kept"), CUTS)
async def test_every_form_of_call_is_cut(make, said, settings, stop, kept) -> None:
    """Whole or streamed, by either protocol, in threads or asyncio: the text ends before the sequence."""
    llm = make(**settings)
    answers = [
        llm.invoke("Peru?", stop=stop),
        await llm.ainvoke("Peru?", stop=stop),
        merged(list(llm.stream("Peru?", stop=stop))),
        merged([chunk async for chunk in llm.astream("Peru?", stop=stop)]),
        llm.bind(stop=stop).invoke("Peru?"),
        make(**settings, streaming=True).invoke("Peru?", stop=stop),
    ]
    assert [answer.text for answer in answers] == [kept] * 6
    assert all(("stop", "emulated") in changed(answer) for answer in answers)
    assert all(answer.response_metadata["model_name"] for answer in answers)
    if kept != ANSWER:
        assert [answer.response_metadata["finish_reason"] for answer in answers] == ["stop"] * 6
    assert answers[0].usage_metadata["output_tokens"] == said.journal[0].used.completion


@pytest.mark.parametrize("settings", PLACES)
@pytest.mark.parametrize(("stop", "kept"), CUTS)
async def test_the_third_protocol_is_cut(make, said, settings, stop, kept) -> None:
    """Streams of content-block events end before the sequence, too."""
    llm = make(**settings)
    assert str(llm.stream_events("Peru?", version="v3", stop=stop).text) == kept
    events = await llm.astream_events("Peru?", version="v3", stop=stop)
    assert str(await events.text) == kept


@pytest.mark.parametrize("settings", PLACES)
def test_no_part_of_a_sequence_leaks_and_the_stream_ends(make, said, settings) -> None:
    """No chunk has the beginning of a sequence that comes; text keeps the form it had."""
    chunks = list(make(**settings).stream("Peru?", stop=["Observation: none. Final"]))
    told = [chunk.text for chunk in chunks]
    assert ("".join(told), len(told) > 5) == (SHORT, True)
    assert isinstance(merged(chunks).content, list if "output_version" in settings else str)
    assert chunks[-1].chunk_position == "last"
    assert routing(chunks[-1])["model"]


def test_every_answer_of_several_is_cut(make, said) -> None:
    """Each of the answers to a call ends at the first sequence; the usage is that of the call."""
    (answers,) = make(policy=CHAT, n=2).generate([[HumanMessage("Peru?")]], stop=["Observation:"]).generations
    assert [answer.text for answer in answers] == [SHORT, SHORT]
    assert answers[0].message.usage_metadata["output_tokens"] == said.journal[0].used.completion


def test_a_cached_answer_is_the_answer_to_the_same_stop(make, said) -> None:
    """A cache keeps answers with different stop sequences apart, though none is sent."""
    llm = make(policy=CHAT, cache=InMemoryCache())
    texts = [
        llm.invoke("Peru?", stop=stop).text for stop in (["Observation:"], ["Peru"], None, ["Observation:"])
    ]
    assert texts == [SHORT, "The capital of ", ANSWER, SHORT]
    assert len(said.journal) == 3


def test_after_the_last_model_that_takes_stop_chains_go_on(sim) -> None:
    """The default pool serves a call with `stop` on the day after the last such models end."""
    later = date(2027, 1, 15)
    before, sim.at = sim.at, later
    try:
        sim.script(ANSWER, reasoning_tokens=64)
        llm = RoutedChatModel(base_url=sim.url, router=Router(clock=lambda: later), max_retries=0)
        answer = llm.invoke("Peru?", stop=["Observation:"])
        assert (answer.content, ("stop", "emulated") in changed(answer)) == (SHORT, True)
        assert sim.refused == []
    finally:
        sim.at = before


def test_sequences_that_are_no_text_are_refused_before_sending(make, sim) -> None:
    """The error says what to give, and nothing is sent."""
    with pytest.raises(RequestError) as caught:
        make(policy=CHAT).invoke("Hi", stop=[5])
    assert str(caught.value) == "stop holds a int. Give a string or a list of strings."
    assert sim.journal == []


async def test_a_model_that_cannot_stream_answers_in_one_chunk(make, said) -> None:
    """The call goes out without streaming; the answer comes whole, with its usage."""
    llm = make(policy=WHOLE)
    streams = [list(llm.stream("Peru?")), [chunk async for chunk in llm.astream("Peru?")]]
    for chunks in streams:
        assert [chunk.text for chunk in chunks if chunk.text] == [ANSWER]
        whole = merged(chunks)
        assert (whole.content, routing(whole)["model"]) == (ANSWER, "gpt-5-pro")
        assert whole.usage_metadata["output_tokens"] == said.journal[0].used.completion
    assert not any(entry.body.get("stream") for entry in said.journal)
    assert merged(list(llm.stream("Peru?", stop=["Observation:"]))).content == SHORT


def call(name: str) -> dict[str, Any]:
    return {"name": name, "args": {}, "id": f"call_{name}", "type": "tool_call"}


def block(name: str) -> dict[str, Any]:
    return {"type": "function_call", "name": name, "arguments": "{}", "call_id": f"call_{name}"}


def text(words: str, index: int) -> dict[str, Any]:
    return {"type": "text", "text": words, "index": index}


WHOLES = [
    pytest.param("be END it", ["a"], "be ", [], id="text, then a call"),
    pytest.param("", ["a"], "", ["a"], id="a call alone"),
    pytest.param(
        [text("So ", 0), block("a"), text("be END it", 2), block("b")],
        ["a", "b"],
        [text("So ", 0), block("a"), text("be ", 2)],
        ["a"],
        id="blocks",
    ),
    pytest.param(["be END", "it"], [], ["be "], [], id="strings as blocks"),
    pytest.param([text("EN", 0), text("D", 1)], [], [text("EN", 0), text("D", 1)], [], id="two texts"),
]


@pytest.mark.parametrize(("content", "calls", "kept", "left"), WHOLES)
def test_what_follows_the_sequence_goes_with_it(content, calls, kept, left) -> None:
    """Blocks and tool calls before the sequence stay; those after it were never asked for."""
    message = AIMessage(content=content, tool_calls=[call(name) for name in calls])
    result = ChatResult(
        generations=[ChatGeneration(message=message), ChatGeneration(message=AIMessage("END"))]
    )
    first, second = (answer.message for answer in cut_result(result, Router.cutter(["END"])).generations)
    assert (first.content, [made["name"] for made in first.tool_calls]) == (kept, left)
    assert second.content == ""
    assert message.content == content


STREAMS = [
    pytest.param([[text("a E", 0)], [text("ND b", 0)]], "a ", 2, id="split within a block"),
    pytest.param([[text("a E", 0)], [text("ND b", 1)]], "a END b", 2, id="two texts are not one"),
    pytest.param(
        [[text("a E", 0)], [block("f")], [text("b", 2)]], "a Eb", 3, id="another block ends the text"
    ),
    pytest.param([[text("a E", 0)]], "a E", 2, id="the stream ends"),
    pytest.param(["a E", "ND b", "c"], "a ", 2, id="plain text"),
    pytest.param(["a E", "N"], "a EN", 3, id="plain text that ends"),
]


@pytest.mark.parametrize(("contents", "kept", "count"), STREAMS)
def test_streams_of_blocks_are_cut_text_by_text(contents, kept, count) -> None:
    """A text that waits comes before the next block, and the stream is not read past the sequence."""
    source = [ChatGenerationChunk(message=AIMessageChunk(content=content)) for content in contents]
    cut, chunks = Cut(Router.cutter(["END"])), []
    for chunk in source:
        chunks.append(cut.feed(chunk))
        if cut.found:
            break
    else:
        chunks += [rest] if (rest := cut.finish()) is not None else []
    assert ("".join(chunk.message.text for chunk in chunks), len(chunks)) == (kept, count)
