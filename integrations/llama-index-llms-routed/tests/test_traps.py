"""One test or more for each trap between LlamaIndex and OpenAI's API; the ids are those of the list below.

T1 tools by endpoint; T2 history of the other endpoint; T3 forms of tools, choices and schemas; T4 streamed
text; T5 tool_required; T6 callers' objects; T7 events twice; T8 spans; T9 usage of streams; T10 errors of
streams; T11 retries; T12 event loops; T13 parameters of other models; T14 assigned fields; T15 nothing is
fetched; T16 special tokens; T17 a message's extra keys; T18 loading; T19 the SDK's major; T20 kinds of
blocks; T21 the legacy endpoint.
"""

from __future__ import annotations

import asyncio
import copy
import inspect
import itertools
import pickle
import threading
import tomllib
import warnings
from pathlib import Path
from typing import Any

import openai
import pytest
from adapter_fixtures import TODAY
from llama_index.core.base.llms.types import CachePoint, CitableBlock, ToolCallBlock, VideoBlock
from llama_index.core.callbacks import CallbackManager, TokenCountingHandler
from llama_index.core.instrumentation import get_dispatcher
from llama_index.core.instrumentation.event_handlers import BaseEventHandler
from llama_index.core.instrumentation.events.llm import LLMChatEndEvent, LLMChatStartEvent
from llama_index.core.instrumentation.span import SimpleSpan
from llama_index.core.instrumentation.span_handlers import SimpleSpanHandler
from llama_index.core.llms import ChatMessage, ImageBlock, MessageRole, TextBlock
from llama_index.core.llms.loading import load_llm
from llama_index.core.prompts import PromptTemplate
from llama_index.core.tools import FunctionTool
from llama_index.core.types import PydanticProgramMode
from llama_index.llms.openai import OpenAI
from llama_index.llms.routed import RoutedLLM
from pydantic import BaseModel

from routed_llm import NoModelFits, Policy, RequestError
from routed_llm.calls.sdk import failed
from routed_llm.request.wire import ITEMS
from routed_llm.simulator import serve

CHAT = {"models": ["gpt-4o"], "at_least": None}
RESPONSES = {"models": ["gpt-5.6-luna"], "at_least": None, "effort": "low"}  # with tools, on Responses only
REASONING = {"models": ["gpt-5-mini"], "at_least": None}
PNG = bytes.fromhex(
    "89504e470d0a1a0a0000000d4948445200000001000000010802000000907753de0000000c4944415408d763f8ffff3f0005"
    "fe02fea735819e0000000049454e44ae426082"
)


class City(BaseModel):
    """A city."""

    name: str
    people: int


def add(a: int, b: int) -> int:
    """Add two numbers."""
    return a + b


ADD = FunctionTool.from_defaults(fn=add)
CITY = PromptTemplate("Tell me about {name}.")


def user(text: str = "What is a tide?") -> list[ChatMessage]:
    return [ChatMessage(role="user", content=text)]


def paths(sim) -> list[str]:
    return [entry.path.rsplit("/", 1)[-1] for entry in sim.journal]


def test_t1_the_endpoint_is_chosen_for_each_call(make, sim) -> None:
    """One model answers text on Chat Completions and tool calls where it takes tools with its effort."""
    llm = make(policy=RESPONSES)
    llm.chat(user())
    llm.chat_with_tools([ADD], user_msg="use add to add 3 and 4")
    assert paths(sim) == ["completions", "responses"]
    assert sim.refused == []


def test_t1_the_plain_class_is_refused_there(sim) -> None:
    """The same call through the framework's own class is a 400, so the test above proves something."""
    llm = OpenAI(model="gpt-5.6-luna", api_base=sim.url, api_key="sk-simulated", max_retries=0)
    with pytest.raises(
        openai.BadRequestError, match="Function tools with reasoning_effort are not supported"
    ):
        llm.chat_with_tools([ADD], user_msg="use add to add 3 and 4")


@pytest.mark.parametrize(
    ("first", "then", "path"),
    [
        pytest.param(CHAT, RESPONSES, "responses", id="chat to responses"),
        pytest.param(RESPONSES, CHAT, "completions", id="responses to chat"),
    ],
)
def test_t2_a_history_moves_between_endpoints(make, sim, first, then, path) -> None:
    """Tool calls made on one endpoint are sent in the other's form, each once."""
    one, other = make(policy=first), make(policy=then)
    history = user("use add to add 3 and 4")
    answer = one.chat_with_tools([ADD], chat_history=history)
    (call,) = one.get_tool_calls_from_response(answer)
    result = ChatMessage(role="tool", content="7", additional_kwargs={"tool_call_id": call.tool_id})
    other.chat_with_tools([ADD], chat_history=[*history, answer.message, result])
    assert sim.refused == []
    assert paths(sim)[-1] == path
    body = sim.journal[-1].body
    if path == "responses":
        assert [item["type"] for item in body["input"]] == [
            "message",
            "function_call",
            "function_call_output",
        ]
    else:
        assert [len(message.get("tool_calls", ())) for message in body["messages"]] == [0, 1, 0]


def test_t2_a_history_without_blocks_is_understood(make, sim) -> None:
    """Tool calls kept only in a message's extra keys, as old stores have them, reach either endpoint."""
    call = {"id": "call_1", "type": "function", "function": {"name": "add", "arguments": '{"a": 3, "b": 4}'}}
    history = [
        *user("use add to add 3 and 4"),
        ChatMessage(role="assistant", content="", additional_kwargs={"tool_calls": [call]}),
        ChatMessage(role="tool", content="7", additional_kwargs={"tool_call_id": "call_1"}),
    ]
    for policy in (CHAT, RESPONSES):
        make(policy=policy).chat_with_tools([ADD], chat_history=history)
    assert sim.refused == []
    assert history[1].additional_kwargs == {"tool_calls": [call]}


@pytest.mark.parametrize("policy", [CHAT, RESPONSES], ids=["chat", "responses"])
def test_t2_an_answer_survives_json(make, sim, policy) -> None:
    """An answer with a tool call that a store wrote and read again is understood as before."""
    llm, history = make(policy=policy), user("use add to add 3 and 4")
    answer = llm.chat_with_tools([ADD], chat_history=history)
    (call,) = llm.get_tool_calls_from_response(answer)
    stored = ChatMessage.model_validate_json(answer.message.model_dump_json())
    result = ChatMessage(role="tool", content="7", additional_kwargs={"tool_call_id": call.tool_id})
    assert "7" in llm.chat_with_tools([ADD], chat_history=[*history, stored, result]).message.content
    assert sim.refused == []


@pytest.mark.parametrize(
    ("policy", "choice", "tool"),
    [
        pytest.param(CHAT, {"type": "function", "function": {"name": "add"}}, "function", id="chat"),
        pytest.param(RESPONSES, {"type": "function", "name": "add"}, "name", id="responses"),
    ],
)
def test_t3_a_named_tool_is_called_in_the_endpoint_s_form(make, sim, policy, choice, tool) -> None:
    """Tools and a named tool_choice are sent nested on Chat Completions and flat on Responses."""
    llm = make(policy=policy)
    answer = llm.chat_with_tools([ADD], user_msg="Hello.", tool_choice="add")
    assert [call.tool_name for call in llm.get_tool_calls_from_response(answer)] == ["add"]
    body = sim.journal[-1].body
    assert body["tool_choice"] == choice
    assert tool in body["tools"][0]
    assert sim.refused == []


def test_t3_a_schema_is_sent_in_the_endpoint_s_form(make, sim) -> None:
    """A response_format becomes text.format where the call goes to Responses."""
    schema = {**City.model_json_schema(), "additionalProperties": False}
    wanted = {"type": "json_schema", "json_schema": {"name": "city", "strict": True, "schema": schema}}
    llm = make(policy=RESPONSES)
    tools = [ADD.metadata.to_openai_tool()]
    answer = llm.chat(user("Tell me about Oslo."), response_format=wanted, tools=tools, tool_choice="none")
    assert City.model_validate_json(answer.message.content)
    assert sim.journal[-1].body["text"]["format"] == {**wanted["json_schema"], "type": "json_schema"}
    assert sim.refused == []


@pytest.mark.parametrize("policy", [CHAT, RESPONSES], ids=["chat", "responses"])
def test_t4_streamed_text_grows(make, sim, policy) -> None:
    """On both endpoints a chunk's message is the text so far and its delta is what came with it."""
    llm = make(policy=policy)
    tools = [ADD.metadata.to_openai_tool()]
    chunks = list(llm.stream_chat(user(), tools=tools, tool_choice="none"))
    texts = [chunk.message.content or "" for chunk in chunks]
    assert all(later.startswith(earlier) for earlier, later in itertools.pairwise(texts))
    assert texts[-1] == "".join(chunk.delta or "" for chunk in chunks) != ""
    assert sim.refused == []


async def test_t4_streamed_tool_calls_arrive_once(make, sim) -> None:
    """The last chunk of a Responses stream holds each tool call once, with its whole arguments."""
    llm = make(policy=RESPONSES)
    stream = await llm.astream_chat_with_tools([ADD], user_msg="use add to add 3 and 4")
    last = [chunk async for chunk in stream][-1]
    (call,) = llm.get_tool_calls_from_response(last)
    assert (call.tool_name, call.tool_kwargs) == ("add", {"a": 3, "b": 4})


async def test_t4_streamed_tool_calls_grow_as_on_chat_completions(make, sim) -> None:
    """A call's arguments grow from chunk to chunk, and stand in the form that LlamaIndex's programs read."""
    llm = make(policy=RESPONSES)
    chunks = list(llm.stream_chat_with_tools([ADD], user_msg="use add to add 3 and 4"))
    kept = [chunk.message.additional_kwargs.get("tool_calls", ()) for chunk in chunks]
    texts = [call.function.arguments for calls in kept for call in calls]
    assert len(set(texts)) > 2
    assert all(later.startswith(earlier) for earlier, later in itertools.pairwise(texts))
    assert [(call.function.name, call.id) for call in kept[-1]] == [
        ("add", chunks[-1].message.additional_kwargs[ITEMS]["items"][-1]["call_id"])
    ]


@pytest.mark.parametrize("stream", [False, True], ids=["whole", "stream"])
def test_t4_an_answer_cut_by_its_cap_is_kept_and_counted(make, sim, stream) -> None:
    """What a capped answer had said, and what it cost, come back from Responses."""
    sim.script("tide " * 60_000)
    llm = make(policy=RESPONSES, max_tokens=50)
    tools = [ADD.metadata.to_openai_tool()]
    if stream:
        answer = list(llm.stream_chat(user(), tools=tools, tool_choice="none"))[-1]
    else:
        answer = llm.chat(user(), tools=tools, tool_choice="none")
    assert answer.raw.choices[0].finish_reason == "length"
    assert answer.message.content.startswith("tide tide")
    record, (entry,) = answer.additional_kwargs["routing"], sim.journal
    if stream:  # what a stream costs that ends at the caller's cap is not reported
        return
    assert float(record["cost"]) == pytest.approx(float(entry.dollars))


def test_t5_tool_required_is_understood(make, sim) -> None:
    """The core passes tool_required on, without its warning, and the request says required."""
    assert "tool_required" in inspect.signature(RoutedLLM._prepare_chat_with_tools).parameters
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        make().chat_with_tools([ADD], user_msg="Hello.", tool_required=True)
    assert sim.journal[-1].body["tool_choice"] == "required"


def test_t5_a_function_calling_program_gets_its_call(make) -> None:
    """Structured prediction by function calling, which needs tool_required, gives an object."""
    llm = make(pydantic_program_mode=PydanticProgramMode.FUNCTION)
    assert isinstance(llm.structured_predict(City, CITY, name="Oslo"), City)


async def test_t6_callers_objects_stay_as_they_were(make) -> None:
    """Neither a chat history nor llm_kwargs nor tools nor messages are changed by any call."""
    history, kwargs = user("Hello."), {"temperature": 0.3}
    tools = [ADD.metadata.to_openai_tool()]
    before = ([m.model_copy(deep=True) for m in history], dict(kwargs), pickle.dumps(tools))
    for mode in (PydanticProgramMode.DEFAULT, PydanticProgramMode.FUNCTION):
        llm = make(pydantic_program_mode=mode)
        llm.structured_predict(City, CITY, llm_kwargs=kwargs, name="Oslo")
        await llm.astructured_predict(City, CITY, llm_kwargs=kwargs, name="Oslo")
        list(llm.stream_structured_predict(City, CITY, llm_kwargs=kwargs, name="Oslo"))
        async for _ in await llm.astream_structured_predict(City, CITY, llm_kwargs=kwargs, name="Oslo"):
            pass
    llm = make(policy=RESPONSES)
    llm.chat_with_tools([ADD], user_msg="use add to add 3 and 4", chat_history=history)
    llm.chat(history, tools=tools)
    list(llm.stream_chat(history, tools=tools))
    assert (history, kwargs, pickle.dumps(tools)) == before


class Events(BaseEventHandler):
    """Keeps every event."""

    seen: list[Any]

    def handle(self, event: Any, **kwargs: Any) -> None:
        self.seen.append(event)


@pytest.fixture
def events():
    """The events on the root dispatcher, in order."""
    handler, root = Events(seen=[]), get_dispatcher()
    root.add_event_handler(handler)
    yield handler.seen
    root.event_handlers.remove(handler)


@pytest.mark.parametrize("policy", [CHAT, RESPONSES], ids=["chat", "responses"])
@pytest.mark.parametrize("stream", [False, True], ids=["whole", "stream"])
def test_t7_events_and_token_counts_come_once(make, sim, events, policy, stream) -> None:
    """One start and one end name the model served, and the counting handler agrees with the bill."""
    counter = TokenCountingHandler(verbose=False)
    llm = make(policy=policy, callback_manager=CallbackManager([counter]))
    tools = [ADD.metadata.to_openai_tool()]
    if stream:
        list(llm.stream_chat(user(), tools=tools, tool_choice="none"))
    else:
        llm.chat(user(), tools=tools, tool_choice="none")
    starts = [event for event in events if isinstance(event, LLMChatStartEvent)]
    ends = [event for event in events if isinstance(event, LLMChatEndEvent)]
    (entry,) = sim.journal
    assert [start.model_dict["model_name"] for start in starts] == [entry.model]
    assert len(ends) == 1
    assert counter.prompt_llm_token_count == entry.used.prompt
    assert counter.completion_llm_token_count == entry.used.completion


def test_t8_the_span_that_calls_names_the_model(make) -> None:
    """Instrumentation that reads a span's instance finds one with the name of the model served."""
    names: list[tuple[str, str]] = []

    class Spans(SimpleSpanHandler):
        def new_span(
            self, id_: str, bound_args: Any, instance: Any = None, **kwargs: Any
        ) -> SimpleSpan | None:
            if isinstance(instance, OpenAI):
                names.append((id_.split("-")[0], instance.metadata.model_name))
            return super().new_span(id_, bound_args, instance, **kwargs)

    handler, root = Spans(), get_dispatcher()
    root.add_span_handler(handler)
    try:
        served = make().chat(user()).additional_kwargs["routing"]["model"]
    finally:
        root.span_handlers.remove(handler)
    assert names == [("Served.chat", served)]


@pytest.mark.parametrize(
    ("kwargs", "fields", "sent"),
    [
        pytest.param({}, {}, {"include_usage": True}, id="asked for"),
        pytest.param({}, {"stream_usage": False}, None, id="turned off"),
        pytest.param(
            {"stream_options": {"include_usage": False}}, {}, {"include_usage": False}, id="caller's"
        ),
    ],
)
def test_t9_streams_are_asked_for_their_usage(make, sim, kwargs, fields, sent) -> None:
    """Usage is asked for by default, and not when the LLM or the call says otherwise."""
    last = list(make(**fields).stream_chat(user(), **kwargs))[-1]
    assert sim.journal[-1].body.get("stream_options") == sent
    wanted = bool((sent or {}).get("include_usage"))
    assert (last.additional_kwargs["routing"]["cost"] is not None) == wanted
    assert (last.raw.usage is not None) == wanted
    assert last.raw.choices  # programs read the first of every chunk


def test_t9_a_whole_answer_is_asked_nothing(make, sim) -> None:
    """stream_options is refused without stream, so it is not sent then."""
    make().chat(user(), stream_options={"include_usage": True})
    assert "stream_options" not in sim.journal[-1].body
    assert sim.refused == []


def test_t10_a_stream_refused_before_its_first_chunk_is_retried(make, sim) -> None:
    """A 429 on opening a stream is retried, though it surfaces only when the first chunk is asked for."""
    sim.faults.add("429;seconds=0.01")
    assert list(make(max_retries=1).stream_chat(user()))
    assert [entry.status for entry in sim.journal] == [429, 200]


def test_t10_a_stream_that_fails_gives_its_reservation_back(make, sim, books) -> None:
    """An error before the first chunk is booked as a failure for which nothing was used."""
    sim.faults.add("500")
    with pytest.raises(openai.InternalServerError):
        list(make(router=books).stream_chat(user()))
    assert books.entries == [("begin", None), ("fail", "server")]


async def test_t10_an_abandoned_stream_is_settled(make, books) -> None:
    """A stream that the consumer leaves is booked once, without usage, in both kinds of code."""
    llm = make(router=books)
    stream = llm.stream_chat(user())
    next(stream)
    stream.close()
    astream = await llm.astream_complete("Hello.")
    await anext(astream)
    await astream.aclose()
    assert books.entries == [("begin", None), ("abandon", None)] * 2


def test_t10_a_stream_that_nobody_reads_reserves_nothing(make, sim, books) -> None:
    """Making a stream sends nothing and books nothing."""
    stream = make(router=books).stream_chat(user())
    stream.close()
    assert (books.entries, sim.journal) == ([], [])


@pytest.mark.parametrize("policy", [CHAT, RESPONSES], ids=["chat", "responses"])
def test_t10_a_stream_that_breaks_off_is_settled(make, sim, books, policy) -> None:
    """An error in the middle of an answer is the consumer's, and what was used is booked as unknown."""
    sim.faults.add("sse_error;after_chunks=8")
    tools = [ADD.metadata.to_openai_tool()]
    with pytest.raises(openai.APIError):
        list(make(router=books, policy=policy).stream_chat(user("Count in 40 words."), tools=tools))
    assert books.entries == [("begin", None), ("fail", "server")]


def test_t10_a_response_that_failed_is_an_error() -> None:
    """What a body reports as an error is raised as the SDK would, with its own code."""
    error = failed(openai, {"code": "server_is_overloaded", "message": "Please try again later."})
    assert isinstance(error, openai.APIError)
    assert (str(error), error.code) == ("Please try again later.", "server_is_overloaded")


@pytest.mark.parametrize("policy", [CHAT, RESPONSES], ids=["chat", "responses"])
@pytest.mark.parametrize("stream", [False, True], ids=["whole", "stream"])
def test_t11_retries_do_not_multiply(make, sim, policy, stream) -> None:
    """max_retries=2 makes three requests, where the framework's own class makes six of a whole answer."""
    sim.faults.add(kind="429", times=0, seconds=0.01)
    llm = make(policy=policy, max_retries=2)
    tools = [ADD.metadata.to_openai_tool()]
    with pytest.raises(openai.RateLimitError):
        list(llm.stream_chat(user(), tools=tools)) if stream else llm.chat(user(), tools=tools)
    assert [entry.retry for entry in sim.journal] == [0, 0, 0]


@pytest.mark.parametrize("reuse", [True, False], ids=["reused", "not reused"])
def test_t12_one_llm_serves_several_event_loops(make, sim, reuse) -> None:
    """Without a single retry, one LLM answers in loops that come after one another and at once."""
    llm = make(reuse_client=reuse)

    async def ask() -> str:
        await llm.achat(user())
        return "".join([chunk.delta async for chunk in await llm.astream_complete("Hello.")])

    answers = [asyncio.run(ask()) for _ in range(2)]
    threads = [threading.Thread(target=lambda: answers.append(asyncio.run(ask()))) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(answers) == 6
    assert {entry.status for entry in sim.journal} == {200}


def test_t13_a_temperature_for_one_call_is_dropped_where_it_is_refused(make, sim) -> None:
    """temperature=0 does not reach a reasoning model; the record says so."""
    answer = make(policy=REASONING).chat(user(), temperature=0)
    assert "temperature" not in sim.journal[-1].body
    changes = answer.additional_kwargs["routing"]["changes"]
    assert ("temperature", "dropped") in {(change["parameter"], change["action"]) for change in changes}
    assert sim.refused == []


def test_t13_a_temperature_is_sent_where_it_is_taken(make, sim) -> None:
    """The same call to a model that takes a temperature sends it."""
    make(policy=CHAT).chat(user(), temperature=0)
    assert sim.journal[-1].body["temperature"] == 0


def test_t13_the_constructor_s_cap_wins_as_upstream(make, sim) -> None:
    """max_tokens of the constructor comes before that of a call, as in the framework's own class."""
    make(policy=CHAT, max_tokens=40).chat(user(), max_tokens=50)
    body = sim.journal[-1].body
    assert body.get("max_tokens", body.get("max_completion_tokens")) == 40


def test_t13_an_effort_is_not_sent_to_a_model_without_efforts(make, sim) -> None:
    """reasoning_effort does not reach gpt-4.1."""
    make(policy={"models": ["gpt-4.1"], "at_least": None}).chat(user(), reasoning_effort="low")
    assert "reasoning_effort" not in sim.journal[-1].body
    assert sim.refused == []


def test_t14_assigned_fields_take_effect(make, sim) -> None:
    """A field assigned after the first call, or changed in a copy, reaches the next request."""
    llm = make(policy=CHAT)
    llm.chat(user())
    llm.temperature = 0.7
    llm.chat(user())
    llm.model_copy(update={"temperature": 0.9, "max_tokens": 40}).chat(user())
    llm.chat(user())
    assert [entry.body["temperature"] for entry in sim.journal] == [0.1, 0.7, 0.9, 0.7]


async def test_t14_an_assigned_address_and_key_take_effect(make, sim) -> None:
    """The clients of an LLM follow its address and key, in both kinds of code."""
    llm = make()
    llm.chat(user())
    await llm.achat(user())
    with serve(at=TODAY, api_key="sk-other") as other:
        llm.api_base, llm.api_key = other.url, "sk-other"
        llm.chat(user())
        await llm.achat(user())
        assert [entry.status for entry in other.journal] == [200, 200]
    assert len(sim.journal) == 2


def test_t15_routing_fetches_nothing(make, monkeypatch) -> None:
    """An image given by URL is weighed without being fetched, and without estimate_tokens."""

    def fetched(*args: Any, **kwargs: Any) -> Any:
        raise AssertionError("something was fetched")

    monkeypatch.setattr(ImageBlock, "resolve_image", fetched)
    monkeypatch.setattr(ChatMessage, "estimate_tokens", fetched)
    monkeypatch.setattr("requests.get", fetched)
    blocks = [TextBlock(text="What is this?"), ImageBlock(url="https://example.com/a.png")]
    decision = make().explain([ChatMessage(role="user", blocks=blocks)])
    assert decision.facts.inputs == {"text", "image"}
    assert decision.facts.estimates == ("an image given by reference is counted at the rule's worst case",)
    assert decision.model is not None


def test_t16_special_tokens_are_text(make, sim) -> None:
    """A document that quotes a special token is counted and answered as any other."""
    text = "Explain <|endoftext|> and <|im_start|> to me. " * 50
    assert make().complete(text).text
    assert sim.refused == []


def test_t17_a_message_s_extra_keys_stay_upstream_s(make, sim) -> None:
    """The record is in the response and never in the message, whose extra keys can reach a request."""
    llm = make()
    answer = llm.chat_with_tools([ADD], user_msg="use add to add 3 and 4")
    assert answer.additional_kwargs["routing"]["served"] == answer.raw.model
    assert "routing" not in answer.message.additional_kwargs
    llm.chat(
        [*user(), ChatMessage(role="assistant", content="Yes.", additional_kwargs={"routing": {"a": 1}})]
    )
    assert sim.refused == []


def test_t18_load_llm_knows_the_class(make) -> None:
    """A dictionary that a store kept becomes a RoutedLLM again, its policy and all but its key."""
    llm = make(
        policy=Policy(max_cost_per_call="0.25", exclude=["gpt-5*"]), max_tokens=70, context_window=9000
    )
    data = llm.to_dict()
    again = load_llm(data)
    assert isinstance(again, RoutedLLM)
    assert again.to_dict() == data
    assert again.policy == llm.policy


def test_t18_a_pickle_works(make, sim) -> None:
    """A used LLM comes back from a pickle with its fields and makes its own clients."""
    llm = make(router=None, policy=CHAT, temperature=0.4)
    llm.chat(user())
    again = pickle.loads(pickle.dumps(llm))
    again.chat(user())
    assert (again.temperature, again.policy) == (0.4, llm.policy)
    assert [entry.body["temperature"] for entry in sim.journal] == [0.4, 0.4]


@pytest.mark.parametrize("deep", [False, True], ids=["shallow", "deep"])
async def test_t18_a_copy_works(make, sim, deep) -> None:
    """A used LLM can be copied; the copy decides with the same router and changes on its own."""
    llm = make(policy=CHAT)
    llm.chat(user())
    await llm.achat(user())
    again = (copy.deepcopy if deep else copy.copy)(llm)
    again.temperature = 0.6
    again.chat(user())
    llm.chat(user())
    assert again.router is llm.router
    assert [entry.body["temperature"] for entry in sim.journal] == [0.1, 0.1, 0.6, 0.1]


def test_t19_structured_output_is_native(make, sim) -> None:
    """With the SDK that is installed, a schema is sent as one and not turned into a tool."""
    make().structured_predict(City, CITY, name="Oslo")
    assert sim.journal[-1].body["response_format"]["type"] == "json_schema"
    assert "tools" not in sim.journal[-1].body


def test_t19_the_upper_bound_is_kept() -> None:
    """Private names of the framework's own package are used, so its next minor release is not taken."""
    project = tomllib.loads((Path(__file__).parent.parent / "pyproject.toml").read_text())["project"]
    assert "llama-index-llms-openai>=0.8,<0.9" in project["dependencies"]


def test_t20_a_video_fits_no_model(make, sim) -> None:
    """A video is refused before anything is sent, with every model's reason."""
    message = ChatMessage(role="user", blocks=[VideoBlock(video=b"0")])
    with pytest.raises(NoModelFits) as caught:
        make().chat([message])
    reasons = caught.value.decision.reasons_against("gpt-5.6-luna")
    assert reasons[0].text == "gpt-5.6-luna takes no video input"
    assert sim.journal == []


@pytest.mark.parametrize(
    ("block", "kind"),
    [
        pytest.param(CachePoint(cache_control={"type": "ephemeral"}), "cache", id="cache point"),
        pytest.param(CitableBlock(title="a", source="b", content="c"), "citable", id="citable"),
    ],
)
def test_t20_blocks_that_have_no_place_are_named(make, sim, block, kind) -> None:
    """A block that the framework cannot send to OpenAI is an error that says what to use instead."""
    with pytest.raises(RequestError) as caught:
        make().chat([ChatMessage(role="user", blocks=[block])])
    assert str(caught.value) == (
        f"messages[0].content[0] has a content block of the unknown type {kind!r}. "
        "Use text, image_url, input_audio or file blocks, or the framework's standard ones."
    )
    assert sim.journal == []


def test_t20_an_image_in_a_tool_s_answer_is_sent(make, sim) -> None:
    """A tool's image goes where tool messages take images; Chat Completions would lose it."""
    llm = make()
    call = ToolCallBlock(tool_call_id="call_1", tool_name="look", tool_kwargs={})
    messages = [
        *user("Look and tell me."),
        ChatMessage(role="assistant", blocks=[call]),
        ChatMessage(
            role=MessageRole.TOOL,
            blocks=[TextBlock(text="Seen."), ImageBlock(image=PNG)],
            additional_kwargs={"tool_call_id": "call_1"},
        ),
    ]
    llm.chat(messages)
    (entry,) = sim.journal
    assert entry.path.endswith("/responses")
    assert [part["type"] for part in entry.body["input"][-1]["output"]] == ["input_text", "input_image"]
    assert sim.refused == []


def test_t21_the_legacy_endpoint_is_refused(make, sim) -> None:
    """Asking for the legacy completions endpoint says that it is not routed and what to use."""
    with pytest.raises(RequestError) as caught:
        make().complete("Hello.", use_chat_completions=False)
    assert str(caught.value) == (
        "use_chat_completions=False asks for the legacy completions endpoint, which is not routed. "
        "Leave it out, or use llama_index.llms.openai.OpenAI for this call."
    )
    assert sim.journal == []
