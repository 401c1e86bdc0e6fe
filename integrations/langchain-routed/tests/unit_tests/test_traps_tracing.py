"""Traps 14 to 20: what LangChain computes before a model is called, and what callbacks see."""

from __future__ import annotations

from typing import Any
from uuid import uuid4

import pytest
from langchain_core.caches import InMemoryCache
from langchain_core.callbacks import BaseCallbackHandler, UsageMetadataCallbackHandler
from langchain_core.messages import AIMessage, HumanMessage
from langchain_core.outputs import LLMResult
from langchain_core.rate_limiters import InMemoryRateLimiter
from langchain_core.runnables import RunnableLambda
from langchain_openai.chat_models.base import OpenAIAPIError

from routed_llm import Run

from .helpers import merged, routing

PINNED = {"models": ["gpt-5.4"], "at_least": None}


class Book(BaseCallbackHandler):
    """Writes down what a tracer sees."""

    def __init__(self) -> None:
        self.starts: list[dict[str, Any]] = []
        self.ends: list[LLMResult] = []
        self.errors: list[BaseException] = []
        self.tokens = 0

    def on_chat_model_start(self, serialized: Any, messages: Any, **kwargs: Any) -> None:
        self.starts.append(kwargs)

    def on_llm_new_token(self, token: str, **kwargs: Any) -> None:
        self.tokens += 1

    def on_llm_end(self, response: LLMResult, **kwargs: Any) -> None:
        self.ends.append(response)

    def on_llm_error(self, error: BaseException, **kwargs: Any) -> None:
        self.errors.append(error)


async def _call(llm: Any, how: str, config: Any) -> Any:
    if how == "invoke":
        return llm.invoke("Hi", config)
    if how == "ainvoke":
        return await llm.ainvoke("Hi", config)
    if how == "stream":
        return merged(list(llm.stream("Hi", config)))
    if how == "astream":
        return merged([chunk async for chunk in llm.astream("Hi", config)])
    if how == "stream_events":
        return llm.stream_events("Hi", config, version="v3").output
    stream = await llm.astream_events("Hi", config, version="v3")
    message = await stream.output
    await stream._producer_task
    return message


ENTRIES = ["invoke", "ainvoke", "stream", "astream", "stream_events", "astream_events"]


@pytest.mark.filterwarnings("ignore::langchain_core._api.LangChainBetaWarning")
@pytest.mark.parametrize("how", ENTRIES)
async def test_14_a_trace_names_the_chosen_model(make, sim, how: str) -> None:
    """Model and parameters in a trace are those that are sent, at every entry."""
    book = Book()
    answer = await _call(
        make(policy={"models": ["gpt-5"], "at_least": None}, temperature=0), how, {"callbacks": [book]}
    )
    (start,) = book.starts
    assert start["metadata"]["ls_model_name"] == "gpt-5"
    assert start["invocation_params"]["model"] == sim.journal[0].model == "gpt-5"
    assert start["metadata"].get("ls_temperature") is None
    assert "routed_plan" not in start["invocation_params"]
    assert len(book.ends) == 1
    assert routing(answer)["model"] == "gpt-5"


def test_14_a_trace_hides_nothing_and_leaks_nothing(make) -> None:
    """A trace has the stop sequences and cap that are sent, and no key."""
    book = Book()
    make(max_tokens=64).invoke("Hi", {"callbacks": [book]}, stop=["END"])
    (start,) = book.starts
    assert start["metadata"]["ls_stop"] == ["END"]
    assert start["metadata"]["ls_max_tokens"] >= 64
    assert "simulated" not in str(start)


@pytest.mark.parametrize("how", ["invoke", "ainvoke"])
async def test_15_the_cache_never_gives_another_models_answer(make, sim, how: str) -> None:
    """The cache key has the chosen model, so a changed policy asks anew; the same one hits."""
    cheap = make(cache=InMemoryCache())
    first = await _call(cheap, how, None)
    again = await _call(cheap, how, None)
    other = await _call(cheap.bind(routing=PINNED), how, None)
    assert len(sim.journal) == 2
    assert routing(other)["model"] == "gpt-5.4"
    assert (again.content, routing(again)["model"]) == (first.content, routing(first)["model"])
    assert (routing(again)["cost"], routing(again)["cached"]) == ("0", True)
    assert float(routing(first)["cost"]) > 0
    assert "cached" not in routing(first)


def test_15_a_hit_books_nothing(make, sim, monkeypatch: pytest.MonkeyPatch) -> None:
    """Money is reserved right before a request is sent, so a hit never touches the books."""
    llm = make(cache=InMemoryCache())
    begun: list[Any] = []
    begin = type(llm.router).begin
    monkeypatch.setattr(
        type(llm.router), "begin", lambda self, d, **kw: begun.append(d) or begin(self, d, **kw)
    )
    for _ in range(3):
        llm.invoke("Hi")
    assert (len(begun), len(sim.journal)) == (1, 1)


@pytest.mark.parametrize("inside", [False, True], ids=["alone", "in a chain"])
def test_16_callbacks_fire_once(make, sim, inside: bool) -> None:
    """One start, one end, and tokens counted once, also inside a chain."""
    book, usage = Book(), UsageMetadataCallbackHandler()
    llm = make(policy=PINNED)
    runnable = RunnableLambda(lambda text: llm.invoke(text)) if inside else llm
    runnable.invoke("Hi", {"callbacks": [book, usage]})
    assert (len(book.starts), len(book.ends), book.errors) == (1, 1, [])
    (counted,) = usage.usage_metadata.values()
    assert counted["total_tokens"] == sim.journal[0].used.prompt + sim.journal[0].used.completion


def test_16_n_and_llm_output_survive(make, sim) -> None:
    """Several answers to one prompt all arrive, with the token usage in llm_output."""
    result = make().generate([[HumanMessage("Hi")]], n=3)
    assert len(result.generations[0]) == 3
    assert result.llm_output["token_usage"]["completion_tokens"] == sim.journal[0].used.completion
    assert len({routing(generation.message)["served"] for generation in result.generations[0]}) == 1


def test_16_new_tokens_are_told_once(make) -> None:
    """Every chunk of a stream is told to a handler once."""
    book = Book()
    chunks = list(make().stream("Hi", {"callbacks": [book]}))
    assert book.tokens == len(chunks)


def test_17_the_served_name_is_priced_by_the_routed_one(make, sim) -> None:
    """The answer has the snapshot's name; the record has the model's, and its price."""
    answer = make(policy={"models": ["gpt-4o"]}).invoke("Hi")
    record = routing(answer)
    assert answer.response_metadata["model_name"] == record["served"] == "gpt-4o-2024-08-06"
    assert record["model"] == "gpt-4o"
    assert float(record["cost"]) == pytest.approx(float(sim.journal[0].dollars))


@pytest.mark.parametrize(
    "policy", [{"models": ["gpt-4o"]}, PINNED, {"models": ["gpt-5.2-pro"], "at_least": None}]
)
def test_18_merging_chunks_keeps_the_record_whole(make, policy: dict[str, Any]) -> None:
    """The record stands on one chunk, so that adding chunks up does not join its strings."""
    chunks = list(make(policy=policy).stream("Hi"))
    assert [i for i, chunk in enumerate(chunks) if "routing" in chunk.response_metadata] == [len(chunks) - 1]
    assert routing(merged(chunks)) == routing(chunks[-1])
    assert [chunk.chunk_position for chunk in chunks].count("last") == 1


@pytest.mark.parametrize("how", ["generate", "agenerate"])
async def test_19_each_prompt_of_generate_is_routed(make, sim, how: str) -> None:
    """Prompts that need different models get them, each with a trace of its own; the id is the first's."""
    book, first = Book(), uuid4()
    prompts = [[HumanMessage("Hi")], [HumanMessage("word " * 200_000)]]
    llm = make(policy={"models": ["gpt-4o", "gpt-4.1"]})
    call = {"callbacks": [book], "run_id": first}
    result = llm.generate(prompts, **call) if how == "generate" else await llm.agenerate(prompts, **call)
    models = [routing(answers[0].message)["model"] for answers in result.generations]
    assert models == result.llm_output["model_names"]
    assert result.llm_output["system_fingerprint"]  # as from ChatOpenAI
    assert models[1] == "gpt-4.1"
    assert sorted(start["metadata"]["ls_model_name"] for start in book.starts) == sorted(models)
    assert result.llm_output["token_usage"]["prompt_tokens"] == sum(
        entry.used.prompt for entry in sim.journal
    )
    assert [run.run_id == first for run in result.run] == [True, False]


def test_20_delegates_have_no_cache_callbacks_or_limiter(make, sim) -> None:
    """What belongs to the router's run is not handed to the model behind it."""
    book = Book()
    limiter = InMemoryRateLimiter(requests_per_second=1000, check_every_n_seconds=0.001, max_bucket_size=10)
    llm = make(
        callbacks=[book], tags=["mine"], metadata={"a": 1}, rate_limiter=limiter, cache=InMemoryCache()
    )
    llm.invoke("Hi")
    (delegate,) = llm._own_planner().delegates._kept[1].values()
    assert (delegate.callbacks, delegate.tags, delegate.rate_limiter, delegate.cache) == (None,) * 4
    assert "a" not in delegate.metadata
    (start,) = book.starts
    assert start["tags"] == ["mine"]
    assert start["metadata"]["a"] == 1
    assert len(book.ends) == 1


def test_an_abandoned_stream_is_settled(make, monkeypatch: pytest.MonkeyPatch) -> None:
    """A reader that stops early leaves no open reservation."""
    done: list[str] = []
    fail, cancel = Run.fail, Run.cancel
    monkeypatch.setattr(Run, "fail", lambda self, *a, **k: done.append(a[0]) or fail(self, *a, **k))
    monkeypatch.setattr(Run, "cancel", lambda self: done.append("cancel") or cancel(self))
    stream = make().stream("Hi")
    next(stream)
    stream.close()
    assert done == ["unknown"]


@pytest.mark.parametrize("how", ["invoke", "stream"])
def test_a_failed_call_is_booked_as_failed(make, sim, monkeypatch: pytest.MonkeyPatch, how: str) -> None:
    """A call that failed before its first token releases what was reserved; the error is ChatOpenAI's own."""

    done: list[str] = []
    fail = Run.fail
    monkeypatch.setattr(Run, "fail", lambda self, *a, **kw: done.append(a[0]) or fail(self, *a, **kw))
    sim.faults.add("500")
    book = Book()
    with pytest.raises(OpenAIAPIError):
        list(make().stream("Hi", {"callbacks": [book]})) if how == "stream" else make().invoke(
            "Hi", {"callbacks": [book]}
        )
    assert done == ["server"]
    assert len(book.errors) == 1


def test_usage_reaches_a_stream_even_at_another_address(make, sim) -> None:
    """ChatOpenAI asks for no usage at a custom base_url; without it nothing could be booked."""
    whole = merged(list(make(policy={"models": ["gpt-4o"]}).stream("Hi")))
    assert sim.journal[0].body["stream_options"] == {"include_usage": True}
    assert isinstance(whole, AIMessage)
    assert whole.usage_metadata["total_tokens"] > 0


@pytest.mark.parametrize(
    ("model", "keywords", "sent"),
    [
        pytest.param("gpt-4o", {}, {"include_usage": True}, id="chat completions"),
        pytest.param("gpt-5.2-pro", {}, None, id="responses, in the form of the other"),
        pytest.param("gpt-5.4", {"use_responses_api": True}, None, id="responses"),
    ],
)
def test_asking_for_usage_keeps_the_other_options(
    make, sim, model: str, keywords: dict[str, Any], sent: Any
) -> None:
    """What else the caller says of streams is sent, too; Responses has no question for the usage."""
    llm = make(policy={"models": [model], "at_least": None}, **keywords)
    list(llm.stream("Hi", stream_options={"include_obfuscation": False, "include_usage": True}))
    assert sim.journal[0].body["stream_options"] == {"include_obfuscation": False, **(sent or {})}
    list(llm.stream("Hi", stream_options={"include_usage": True}))
    assert sim.journal[1].body.get("stream_options") == sent


def test_a_server_without_usage_can_be_spared(make, sim) -> None:
    """`stream_usage=False` asks for none, and the cost is then unknown."""
    llm = make(policy={"models": ["gpt-4o"]}, stream_usage=False)
    whole = merged(list(llm.stream("Hi")))
    assert "stream_options" not in sim.journal[0].body
    assert routing(whole)["cost"] is None


@pytest.mark.parametrize("how", ["invoke", "ainvoke", "stream", "astream"])
async def test_a_trace_says_from_the_start_what_was_decided(make, how: str) -> None:
    """Runs can be filtered by baseline, model, reason and expected cost before they have ended."""
    book = Book()
    message = await _call(make(policy=PINNED), how, {"callbacks": [book]})
    (start,) = book.starts
    told = {name: value for name, value in start["metadata"].items() if name.startswith("routed_")}
    record = routing(message)
    assert told == {
        "routed_baseline": "gpt-4o",
        "routed_model": "gpt-5.4",
        "routed_effort": record["effort"],
        "routed_why": record["why"],
        "routed_estimated_cost": record["estimated_cost"],
    }
    assert start["metadata"]["ls_model_name"] == "gpt-5.4"


async def test_a_trace_of_a_refused_call_names_no_decision(make) -> None:
    """Nothing was decided, and its run begins as the baseline's."""
    book = Book()
    with pytest.raises(Exception, match="cannot serve this request"):
        make(policy={**PINNED, "max_cost_per_call": "0.000000001"}).invoke("Hi", {"callbacks": [book]})
    assert not any(name.startswith("routed_") for name in book.starts[0]["metadata"])
