"""What programs do with an LLM, through LlamaIndex's own engines and agents: no request is refused.

The simulator enforces the real API's rules for each model. `served` checks after every test that it
refused nothing, whatever the scenario asserted besides.
"""

from __future__ import annotations

import base64
import io
import struct
import wave
from datetime import date
from typing import Any

import pytest
from llama_index.core import Document, SummaryIndex, VectorStoreIndex
from llama_index.core.agent.workflow import AgentStream, AgentWorkflow, FunctionAgent, ReActAgent
from llama_index.core.base.llms.types import AudioBlock, DocumentBlock, ThinkingBlock
from llama_index.core.chat_engine import CondensePlusContextChatEngine, SimpleChatEngine
from llama_index.core.chat_engine.types import BaseChatEngine
from llama_index.core.embeddings import MockEmbedding
from llama_index.core.llms import ChatMessage, ImageBlock, TextBlock
from llama_index.core.memory import ChatMemoryBuffer
from llama_index.core.program import FunctionCallingProgram, LLMTextCompletionProgram
from llama_index.core.prompts import PromptTemplate
from llama_index.core.response_synthesizers import ResponseMode
from llama_index.core.tools import FunctionTool
from llama_index.core.types import PydanticProgramMode
from llama_index.llms.routed import RoutedLLM, record_routing
from pydantic import BaseModel, Field

from routed_llm import Router

MODES = ["compact", "refine", "tree_summarize", "simple_summarize", "accumulate", "compact_accumulate"]
POLICIES = [
    pytest.param(None, id="default"),
    pytest.param({"models": ["gpt-4o"], "at_least": None}, id="gpt-4o"),
    pytest.param({"models": ["gpt-5-mini"], "at_least": None}, id="gpt-5-mini"),
]
PNG = base64.b64decode(
    "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAIAAACQd1PeAAAADElEQVQI12P4//8/AAX+Av6nNYGEAAAAAElFTkSuQmCC"
)


def pdf() -> bytes:
    """A PDF file of one empty page."""
    objects = (
        b"<</Type/Catalog/Pages 2 0 R>>",
        b"<</Type/Pages/Kids[3 0 R]/Count 1>>",
        b"<</Type/Page/Parent 2 0 R/MediaBox[0 0 200 200]>>",
    )
    data, offsets = b"%PDF-1.4\n", []
    for number, body in enumerate(objects, 1):
        offsets.append(len(data))
        data += b"%d 0 obj%sendobj\n" % (number, body)
    table = b"0000000000 65535 f \n" + b"".join(b"%010d 00000 n \n" % offset for offset in offsets)
    trailer = b"trailer<</Root 1 0 R/Size 4>>\nstartxref\n%d\n%%%%EOF\n" % len(data)
    return data + b"xref\n0 4\n" + table + trailer


class Album(BaseModel):
    """An album."""

    name: str
    artist: str
    songs: list[str] = Field(description="Titles of songs.")


def multiply(a: int, b: int) -> int:
    """Multiply two numbers."""
    return a * b


def add(a: int, b: int) -> int:
    """Add two numbers."""
    return a + b


ALBUM = PromptTemplate("Make up an album inspired by {film}.")


@pytest.fixture(params=POLICIES)
def llm(request, make, sim):
    """A RoutedLLM on each pool; afterwards the journal holds calls and no refusal."""
    yield make(policy=request.param)
    assert sim.journal
    assert [(entry.model, entry.message) for entry in sim.journal if entry.status != 200] == []
    assert sim.refused == []


@pytest.fixture(scope="session")
def documents() -> list[Document]:
    """Five documents of about 1,500 tokens each."""
    seas = ("Baltic", "Caspian", "Coral", "Kara", "Red")
    return [Document(text=f"The {sea} Sea is wide, and its tides are small. " * 130) for sea in seas]


@pytest.mark.parametrize("mode", MODES)
async def test_query_engines_answer_in_every_way(llm, documents, mode) -> None:
    """Each response mode answers whole and streamed, in both kinds of code."""
    index = SummaryIndex.from_documents(documents)
    engine = index.as_query_engine(llm=llm, response_mode=ResponseMode(mode))
    assert "sea" in str(engine.query("Which sea has small tides?")).lower()
    assert str(await engine.aquery("Which sea has small tides?"))
    if mode in ("accumulate", "compact_accumulate"):
        return  # LlamaIndex does not stream these
    streaming = index.as_query_engine(llm=llm, response_mode=ResponseMode(mode), streaming=True)
    assert "".join(streaming.query("Which sea has small tides?").response_gen)
    answer = await streaming.aquery("Which sea has small tides?")
    assert "".join([text async for text in answer.async_response_gen()])


def test_a_query_engine_gives_objects(llm, documents) -> None:
    """An output class for a query engine works through as_structured_llm."""
    engine = SummaryIndex.from_documents(documents[:1]).as_query_engine(llm=llm, output_cls=Album)
    assert isinstance(engine.query("Make an album of it.").response, Album)


def chat_engine(kind: str, llm: Any, documents: list[Document]) -> BaseChatEngine:
    if kind == "simple":
        return SimpleChatEngine.from_defaults(llm=llm, system_prompt="You know the sea.")
    index = VectorStoreIndex.from_documents(documents, embed_model=MockEmbedding(embed_dim=8))
    if kind == "condense_plus_context":
        return CondensePlusContextChatEngine.from_defaults(index.as_retriever(), llm=llm)
    return index.as_chat_engine(chat_mode=kind, llm=llm)


@pytest.mark.parametrize("kind", ["simple", "context", "condense_question", "condense_plus_context"])
async def test_chat_engines_hold_a_conversation(llm, documents, kind) -> None:
    """Each chat engine answers, remembers and streams, in both kinds of code."""
    engine = chat_engine(kind, llm, documents)
    assert str(engine.chat("Which sea has small tides?"))
    assert str(await engine.achat("And which is the widest?"))
    assert "".join(engine.stream_chat("Why is that?").response_gen)
    answer = await engine.astream_chat("Are you sure?")
    assert "".join([text async for text in answer.async_response_gen()])
    assert len(engine.chat_history) >= 8


@pytest.mark.parametrize("streaming", [True, False], ids=["stream", "whole"])
async def test_a_function_agent_uses_its_tools(llm, streaming) -> None:
    """An agent calls its tool, is told the result and answers with it."""
    agent = FunctionAgent(tools=[add, multiply], llm=llm, system_prompt="You count.", streaming=streaming)
    handler = agent.run("Use multiply to multiply 6 and 7.")
    deltas = [event.delta async for event in handler.stream_events() if isinstance(event, AgentStream)]
    with record_routing() as log:
        answer = await agent.run("Use add to add 3 and 4.")
    result = await handler
    assert "42" in str(result)
    assert [call.tool_name for call in result.tool_calls] == ["multiply"]
    assert "7" in str(answer)
    assert len(log) == 2
    assert ("42" in "".join(deltas)) == streaming


async def test_a_function_agent_keeps_its_memory(llm) -> None:
    """A second run of an agent goes on from the first, tool calls included."""
    agent = FunctionAgent(tools=[add], llm=llm)
    memory = ChatMemoryBuffer.from_defaults(llm=llm)
    await agent.run("Use add to add 3 and 4.", memory=memory)
    await agent.run("Use add to add 8 and 9.", memory=memory)
    assert len(memory.get_all()) == 8


async def test_a_workflow_hands_over(llm, sim) -> None:
    """One agent hands over to another, which uses its own tool and answers."""
    sim.script(
        tool_calls=[("handoff", {"to_agent": "counter", "reason": "It counts."})], contains="six times seven"
    )
    sim.script(tool_calls=[("multiply", {"a": 6, "b": 7})], contains="six times seven")
    greeter = FunctionAgent(
        name="greeter", description="Greets.", llm=llm, system_prompt="Greet.", can_handoff_to=["counter"]
    )
    counter = FunctionAgent(
        name="counter", description="Counts.", llm=llm, system_prompt="Count.", tools=[multiply]
    )
    workflow = AgentWorkflow(agents=[greeter, counter], root_agent="greeter")
    result = await workflow.run("What is six times seven?")
    assert result.current_agent_name == "counter"
    assert [call.tool_name for call in result.tool_calls] == ["handoff", "multiply"]
    assert "42" in str(result)


@pytest.mark.parametrize("streaming", [True, False], ids=["stream", "whole"])
async def test_a_react_agent_reasons_in_text(llm, sim, streaming) -> None:
    """An agent that writes its tool calls as text gets its observation and answers."""
    sim.script(
        "Thought: I need to use a tool to help me answer the question.\n"
        'Action: multiply\nAction Input: {"a": 6, "b": 7}',
        contains="six times seven",
    )
    sim.script("Thought: I can answer without using any more tools.\nAnswer: It is 42.", contains="42")
    agent = ReActAgent(tools=[multiply], llm=llm, streaming=streaming)
    result = await agent.run("What is six times seven?")
    assert str(result) == "It is 42."
    assert [call.tool_name for call in result.tool_calls] == ["multiply"]


@pytest.mark.parametrize("mode", [PydanticProgramMode.DEFAULT, PydanticProgramMode.FUNCTION])
async def test_structured_prediction_in_all_forms(llm, mode) -> None:
    """Objects come back whole and streamed, in both kinds of code, by schema and by function call."""
    llm.pydantic_program_mode = mode
    assert isinstance(llm.structured_predict(Album, ALBUM, film="Jaws"), Album)
    assert isinstance(await llm.astructured_predict(Album, ALBUM, film="Jaws"), Album)
    assert isinstance(list(llm.stream_structured_predict(Album, ALBUM, film="Jaws"))[-1], BaseModel)
    stream = await llm.astream_structured_predict(Album, ALBUM, film="Jaws")
    assert [album async for album in stream][-1].name


async def test_a_structured_llm_answers_every_endpoint(llm) -> None:
    """as_structured_llm works for chat and complete, whole and streamed."""
    structured = llm.as_structured_llm(Album)
    message = ChatMessage("Make up an album inspired by Jaws.")
    assert isinstance(structured.chat([message]).raw, Album)
    assert isinstance(structured.complete("Make up an album.").raw, Album)
    assert isinstance((await structured.achat([message])).raw, Album)
    assert isinstance((await structured.acomplete("Make up an album.")).raw, Album)
    assert list(structured.stream_chat([message]))[-1].raw.name
    assert [chunk async for chunk in await structured.astream_chat([message])][-1].raw.name


def test_programs_give_objects(llm, sim) -> None:
    """The programs that LlamaIndex builds on an LLM work, by function call and by text."""
    tools = FunctionCallingProgram.from_defaults(Album, prompt_template_str="An album of {film}.", llm=llm)
    assert isinstance(tools(film="Jaws"), Album)
    sim.script('{"name": "a", "artist": "b", "songs": []}', contains="in words")
    text = LLMTextCompletionProgram.from_defaults(
        output_cls=Album, prompt_template_str="An album of {film}, in words.", llm=llm
    )
    assert text(film="Jaws").artist == "b"


async def test_tools_are_predicted_and_called(llm) -> None:
    """predict_and_call runs the tool that the model names."""
    tool = FunctionTool.from_defaults(fn=multiply)
    assert str(llm.predict_and_call([tool], user_msg="Use multiply to multiply 6 and 7.")) == "42"
    assert str(await llm.apredict_and_call([tool], user_msg="Use multiply to multiply 6 and 7.")) == "42"
    several = llm.predict_and_call(
        [tool], user_msg="Use multiply(2, 3) and multiply(4, 5).", allow_parallel_tool_calls=True
    )
    assert "6" in str(several)


def test_images_and_documents_are_read(llm) -> None:
    """Images and PDF files given as bytes are sent, in messages and in prompts with a schema."""
    blocks = [
        TextBlock(text="What is this?"),
        ImageBlock(image=PNG),
        DocumentBlock(data=pdf(), title="a.pdf"),
    ]
    assert str(llm.chat([ChatMessage(role="user", blocks=blocks[:2])]))
    assert str(llm.chat([ChatMessage(role="user", blocks=blocks)]))
    assert list(llm.stream_chat([ChatMessage(role="user", blocks=blocks[:2])]))


def test_earlier_thinking_is_left_out(llm, sim) -> None:
    """A ThinkingBlock in a history is not sent back and not counted."""
    thought = ThinkingBlock(content="Hm. " * 500, additional_information={"id": "rs_1"})
    history = [
        ChatMessage("Hello."),
        ChatMessage(role="assistant", blocks=[thought, TextBlock(text="Yes?")]),
        ChatMessage("What is a tide?"),
    ]
    llm.chat(history)
    assert sim.journal[-1].used.prompt < 100


def sound() -> bytes:
    """One second of silence."""
    buffer = io.BytesIO()
    with wave.open(buffer, "wb") as out:
        out.setnchannels(1)
        out.setsampwidth(2)
        out.setframerate(8000)
        out.writeframes(struct.pack("<8000h", *[0] * 8000))
    return buffer.getvalue()


def test_a_voice_clip_goes_to_a_model_that_hears(make, sim) -> None:
    """An AudioBlock is answered by an audio model of the default pool."""
    blocks = [TextBlock(text="What do you hear?"), AudioBlock(audio=sound(), format="wav")]
    answer = make().chat([ChatMessage(role="user", blocks=blocks)])
    assert answer.message.content
    assert "audio" in sim.journal[-1].model
    assert sim.refused == []


def test_spoken_answers_come_back(make, sim) -> None:
    """modalities and audio_config give an answer with a voice, as in the framework's own class."""
    llm = make(modalities=["text", "audio"], audio_config={"voice": "alloy", "format": "wav"})
    answer = llm.chat([ChatMessage("Say hello.")])
    assert any(isinstance(block, AudioBlock) for block in answer.message.blocks)
    assert sim.refused == []


SEA = "The sea is wide and deep, and the tide comes in twice a day. "
HARD = "Prove that there are infinitely many primes of the form 4k+3, step by step."
TOOL = {
    "type": "function",
    "function": {
        "name": "look_up",
        "description": "Look a word up in a dictionary of the sea.",
        "parameters": {"type": "object", "properties": {"word": {"type": "string"}}, "required": ["word"]},
    },
}
ROWS = [
    pytest.param("Hello.", {}, id="short"),
    pytest.param(HARD, {"temperature": 0.2, "max_tokens": 50}, id="hard, with parameters of gpt-4o"),
    pytest.param(HARD, {"tools": [TOOL]}, id="hard, with a tool"),
    pytest.param("Hello.", {"tools": [TOOL] * 30}, id="thirty tools"),
    pytest.param(SEA * 12_500, {}, id="200,000 tokens"),
    pytest.param(SEA * 7_900, {"max_tokens": 16_384}, id="126,000 tokens in and 16,384 out"),
    pytest.param("Hello.", {"model": "gpt-5", "temperature": 0.2}, id="gpt-5 named, with a temperature"),
    pytest.param("Hello.", {"model": "gpt-5.5", "tools": [TOOL]}, id="gpt-5.5 named, with a tool"),
    pytest.param("Hello.", {"model": "gpt-5-mini", "max_tokens": 50}, id="a small cap on a reasoning model"),
    pytest.param("Hello.", {"stop": ["!"]}, id="a parameter that reasoning models refuse"),
    pytest.param("Hello.", {"logprobs": True, "top_logprobs": 2}, id="logprobs"),
]


@pytest.mark.parametrize(("prompt", "kwargs"), ROWS)
def test_requests_written_for_gpt_4o_are_answered(make, sim, prompt, kwargs) -> None:
    """Each request gets an answer with something in it, on the first attempt, whole and streamed."""
    llm = make()
    answer = llm.chat([ChatMessage(prompt)], **kwargs)
    assert answer.message.blocks
    assert list(llm.stream_chat([ChatMessage(prompt)], **kwargs))[-1].message.blocks
    assert [entry.status for entry in sim.journal] == [200, 200]
    assert sim.refused == []


def test_the_longest_prompt_is_answered(make, sim) -> None:
    """A million tokens go to the one model of the pool that takes them."""
    answer = make().complete(SEA * 62_800)
    (entry,) = sim.journal
    assert entry.used.prompt > 922_000
    assert answer.text
    assert sim.refused == []


def test_a_long_pdf_is_counted_by_its_pages(make, sim) -> None:
    """A document counts for what it takes up, not for the length of its encoding."""
    blocks = [TextBlock(text="What is this?"), DocumentBlock(data=pdf(), title="a.pdf")]
    decision = make().explain([ChatMessage(role="user", blocks=blocks)])
    assert (decision.facts.pdf_pages, "pdf" in decision.facts.inputs) == (1, True)


def test_after_its_shutdown_a_model_is_not_called(sim) -> None:
    """The day after gpt-4o's shutdown its programs go on with another model."""
    later = date(2027, 6, 1)
    before, sim.at = sim.at, later
    try:
        llm = RoutedLLM(
            model="gpt-4o",
            api_base=sim.url,
            api_key="sk-simulated",
            max_retries=0,
            router=Router(clock=lambda: later),
        )
        assert llm.complete("Hello.").text
        assert sim.journal[0].model != "gpt-4o"
        assert sim.refused == []
    finally:
        sim.at = before
