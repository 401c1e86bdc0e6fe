"""What programs do with ChatOpenAI beside calling it: hooks, `extra_body`, cost handlers, sparse servers."""

from __future__ import annotations

import asyncio
import json
import warnings
from collections.abc import Callable
from decimal import Decimal
from typing import Any

import httpx
import pytest
from langchain_core.messages import AIMessage, AIMessageChunk
from langchain_core.outputs import ChatResult
from langchain_openai import ChatOpenAI
from langchain_routed import CostCallbackHandler, RoutedChatModel
from openai import InternalServerError

from .helpers import merged, routing

TWO = {"models": ["gpt-4o", "gpt-4.1"], "at_least": None}
ONLY_4O = {"models": ["gpt-4o"], "at_least": None}
WAYS = ("invoke", "ainvoke", "stream", "astream")


def ask(llm: Any, way: str, text: str = "Hi", config: Any = None, **kwargs: Any) -> Any:
    """Ask in one of the four ways and return the whole answer."""
    if way == "invoke":
        return llm.invoke(text, config, **kwargs)
    if way == "ainvoke":
        return asyncio.run(llm.ainvoke(text, config, **kwargs))
    if way == "stream":
        return merged(list(llm.stream(text, config, **kwargs)))

    async def gather() -> AIMessageChunk:
        return merged([chunk async for chunk in llm.astream(text, config, **kwargs)])

    return asyncio.run(gather())


EXTRA = [
    pytest.param({"max_completion_tokens": 9}, {"max_completion_tokens": 9}, id="a cap"),
    pytest.param({"temperature": 0.3}, {"temperature": 0.3}, id="temperature"),
    pytest.param({"service_tier": "priority"}, {"service_tier": "priority"}, id="a tier"),
    pytest.param(
        {"model": "gpt-5-mini", "temperature": 0.3},
        {"model": "gpt-5-mini", "temperature": None},
        id="a model",
    ),
]


@pytest.mark.filterwarnings("ignore:temperature")
@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("where", ["constructor", "call"])
@pytest.mark.parametrize(("extra", "sent"), EXTRA)
def test_extra_body_is_read(make, sim, way: str, where: str, extra: dict[str, Any], sent: Any) -> None:
    """What is in it is sent as by its own name, unless the model refuses it."""
    given = {"extra_body": extra}
    llm = make(policy=TWO, **(given if where == "constructor" else {}))
    ask(llm, way, **(given if where == "call" else {}))
    assert {name: sim.journal[-1].body.get(name) for name in sent} == sent


@pytest.mark.filterwarnings("ignore:temperature")
@pytest.mark.parametrize("way", WAYS)
def test_what_extra_body_asks_for_is_on_record(make, way: str) -> None:
    """The decision knows of it."""
    llm = make(policy={"models": ["gpt-5-mini"], "at_least": None}, extra_body={"temperature": 0.3})
    changes = {change["parameter"]: change["action"] for change in routing(ask(llm, way))["changes"]}
    assert changes["temperature"] == "dropped"


def test_what_no_endpoint_has_goes_on_as_it_is() -> None:
    """A field for a server of one's own stays in `extra_body`."""
    llm = RoutedChatModel(policy=ONLY_4O, extra_body={"top_k": 5, "seed": 3})
    payload = llm._get_request_payload("Hi")
    assert (payload["extra_body"], payload["seed"]) == ({"top_k": 5}, 3)


class Hooked(RoutedChatModel):
    """A subclass that overrides what ChatOpenAI asks for."""

    def _create_chat_result(self, response: Any, generation_info: Any = None) -> ChatResult:
        result = super()._create_chat_result(response, generation_info)
        result.generations[0].message.additional_kwargs["hooked"] = "result"
        return result

    def _convert_chunk_to_generation_chunk(self, *args: Any) -> Any:
        chunk = super()._convert_chunk_to_generation_chunk(*args)
        if chunk is not None and chunk.message.content:
            chunk.message.additional_kwargs["hooked"] = "chunk"
        return chunk

    def _get_request_payload(self, *args: Any, **kwargs: Any) -> dict[str, Any]:
        return {**super()._get_request_payload(*args, **kwargs), "user": "hooked"}

    def _use_responses_api(self, payload: Any) -> bool:
        return "prompt_cache_key" in payload


@pytest.mark.parametrize("way", WAYS)
def test_hooks_are_called(sim, router, way: str) -> None:
    """What a subclass overrides is called, in whichever way the model is."""
    llm = Hooked(base_url=sim.url, router=router, policy=ONLY_4O)
    answer = ask(llm, way)
    assert answer.additional_kwargs["hooked"].startswith("chunk" if "stream" in way else "result")
    assert sim.journal[-1].body["user"] == "hooked"
    assert sim.journal[-1].path.endswith("/chat/completions")
    ask(llm, way, prompt_cache_key="k")
    assert sim.journal[-1].path.endswith("/responses")


def test_the_constructor_says_what_is_not_called() -> None:
    """An override that no call comes to is no surprise later."""

    class Deaf(RoutedChatModel):
        def _ensure_sync_client_available(self) -> None:
            raise AssertionError

    with pytest.warns(UserWarning, match="is not called") as caught:
        Deaf()
    assert [str(one.message) for one in caught] == [
        "Deaf._ensure_sync_client_available is not called: the model behind a call is another object. "
        "Override _generate and _stream, or _get_request_payload, instead."
    ]
    with pytest.warns(UserWarning, match="is not called") as caught:
        Hooked(factory=lambda call: ChatOpenAI(model=call.model))
    why = "the models that a factory makes have methods of their own"
    assert [str(one.message) for one in caught] == [
        f"Hooked.{name} is not called: {why}. "
        "Override _generate and _stream, or _get_request_payload, instead."
        for name in ("_convert_chunk_to_generation_chunk", "_create_chat_result")
    ]
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        Hooked()


@pytest.mark.parametrize("way", WAYS)
def test_costs_are_added_up(make, way: str) -> None:
    """The handler shows what the records say, by model, and counts what is not known."""
    costs = CostCallbackHandler()
    llm = make(policy={"models": ["gpt-4o", "gpt-4.1"], "at_least": None})
    answers = [ask(llm, way, config={"callbacks": [costs]}, model=name) for name in ("gpt-4o", "gpt-4.1")]
    each = {routing(answer)["model"]: Decimal(routing(answer)["cost"]) for answer in answers}
    assert costs.by_model == each
    assert (costs.total, costs.calls, costs.unknown) == (sum(each.values()), 2, 0)


@pytest.mark.parametrize("way", WAYS)
def test_the_record_has_a_short_form(make, way: str) -> None:
    """What travels in messages may be short; the next turn still knows who answered."""
    llm = make(routing_record="short")
    answer = ask(llm, way)
    assert set(routing(answer)) <= {
        *("version", "model", "effort", "endpoint", "served", "why", "cost", "usage", "id", "at"),
        *("changes", "attempts"),
    }
    assert Decimal(routing(answer)["cost"]) > 0
    said = AIMessage(answer.content, response_metadata=answer.response_metadata)
    previous = llm.explain([("human", "Hi"), said, ("human", "And?")]).facts.previous
    assert previous is not None
    assert previous.model == routing(answer)["model"]


def _sparse(fails: Callable[[httpx.Request], httpx.Response], asked: list[bool]) -> httpx.Client:
    def answer(request: httpx.Request) -> httpx.Response:
        asked.append("stream_options" in json.loads(request.content))
        if asked[-1]:
            return fails(request)
        chunk = {"id": "c", "object": "chat.completion.chunk", "created": 1, "model": "gpt-4o"}
        said = {"index": 0, "delta": {"role": "assistant", "content": "Lima"}, "finish_reason": None}
        ends = {"index": 0, "delta": {}, "finish_reason": "stop"}
        lines = [json.dumps({**chunk, "choices": [choice]}) for choice in (said, ends)] + ["[DONE]"]
        text = "".join(f"data: {line}\n\n" for line in lines)
        return httpx.Response(200, text=text, headers={"content-type": "text/event-stream"}, request=request)

    return httpx.Client(transport=httpx.MockTransport(answer))


def _hangs(request: httpx.Request) -> httpx.Response:
    raise httpx.ReadTimeout("nothing came", request=request)


@pytest.mark.parametrize(
    "fails",
    [
        pytest.param(lambda request: httpx.Response(500, json={"detail": "?"}, request=request), id="500"),
        pytest.param(_hangs, id="hangs"),
    ],
)
@pytest.mark.parametrize("retries", [None, 0], ids=["retries", "no retries"])
def test_a_server_that_breaks_over_stream_options_is_spared(router, fails: Any, retries: int | None) -> None:
    """Recovery sends the stream again without the question, and later ones are sent without it at once.

    A program that wants no retries had not asked for the usage: with ChatOpenAI its stream would have come.
    """
    asked: list[bool] = []
    llm = RoutedChatModel(
        base_url="http://127.0.0.1:9/v1",
        router=router,
        policy=ONLY_4O,
        http_client=_sparse(fails, asked),
        max_retries=retries,
    )
    assert ask(llm, "stream").content == "Lima"
    assert ask(llm, "stream").content == "Lima"
    assert asked == [True, False, False]


def test_openais_own_errors_are_no_sign_of_it(make, sim) -> None:
    """A 500 of a server that is OpenAI's says nothing of the question."""
    sim.faults.add("500;times=1")
    with pytest.raises(InternalServerError):
        ask(make(policy=ONLY_4O), "stream")
    assert routing(ask(make(policy=ONLY_4O), "stream"))["cost"] is not None
    llm = make(policy=ONLY_4O)
    sim.faults.add("500;times=1")
    with pytest.raises(InternalServerError):
        ask(llm, "stream")
    assert routing(ask(llm, "stream"))["cost"] is not None
