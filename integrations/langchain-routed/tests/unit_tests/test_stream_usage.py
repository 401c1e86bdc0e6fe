"""A compatible server that refuses to be asked for a stream's usage is asked once, and then spared."""

from __future__ import annotations

import asyncio
import json
from typing import Any

import httpx
import pytest
from langchain_core.messages import AIMessageChunk
from langchain_openai import ChatOpenAI
from openai import BadRequestError, UnprocessableEntityError

from .helpers import merged, routing

ONLY_4O = {"models": ["gpt-4o"]}
REFUSALS = {
    "azure (SwiftOpenAI#67)": (
        400,
        {
            "error": {
                "message": "Unknown parameter: 'stream_options'.",
                "type": "invalid_request_error",
                "param": "stream_options",
                "code": "unknown_parameter",
            }
        },
    ),
    "groq (vercel/ai PR 1578)": (
        400,
        {
            "error": {
                "message": "property 'stream_options' is unsupported, did you mean 'stream'?",
                "type": "invalid_request_error",
            }
        },
    ),
    "mistral (openai-agents-python#442)": (
        422,
        {
            "object": "error",
            "message": {
                "detail": [{"type": "extra_forbidden", "loc": ["body", "stream_options", "include_usage"]}]
            },
            "type": "invalid_request_error",
            "param": None,
        },
    ),
}
LEFT_OUT = {
    "parameter": "stream_options",
    "action": "dropped",
    "before": {"include_usage": True},
    "after": None,
    "why": "the server refuses it, so the usage and the cost of this stream are not known",
}


class Refusing(httpx.HTTPTransport):
    """The way to a server that refuses what names ``stream_options``, with the body it is told."""

    def __init__(self, status: int, body: dict[str, Any]) -> None:
        super().__init__()
        self.status, self.body = status, body
        self.refused = 0

    def answer(self, request: httpx.Request) -> httpx.Response | None:
        """Refuse a request, or say nothing."""
        if "stream_options" not in json.loads(request.content):
            return None
        self.refused += 1
        return httpx.Response(self.status, json=self.body, request=request)

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        return self.answer(request) or super().handle_request(request)


class AsyncRefusing(httpx.AsyncHTTPTransport):
    """The same for asynchronous calls."""

    def __init__(self, ways: Refusing) -> None:
        super().__init__()
        self.ways = ways

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        return self.ways.answer(request) or await super().handle_async_request(request)


def clients(refusal: tuple[int, dict[str, Any]]) -> tuple[Refusing, dict[str, Any]]:
    """Make the clients of such a server."""
    ways = Refusing(*refusal)
    asynchronous = httpx.AsyncClient(transport=AsyncRefusing(ways))
    return ways, {"http_client": httpx.Client(transport=ways), "http_async_client": asynchronous}


def streamed(llm: Any, **kwargs: Any) -> AIMessageChunk:
    """Stream one answer and add it up."""
    return merged(list(llm.stream("Hi", **kwargs)))


def streamed_twice(llm: Any, *, asynchronous: bool) -> list[AIMessageChunk]:
    """Stream two answers, one after the other."""
    if not asynchronous:
        return [streamed(llm, stop=["END"]), streamed(llm, stop=["END"])]

    async def gather() -> list[AIMessageChunk]:
        return [merged([chunk async for chunk in llm.astream("Hi", stop=["END"])]) for _ in range(2)]

    return asyncio.run(gather())


@pytest.mark.parametrize("refusal", REFUSALS.values(), ids=REFUSALS.keys())
@pytest.mark.parametrize("asynchronous", [False, True], ids=["stream", "astream"])
def test_a_server_is_asked_once(make, sim, refusal: tuple[int, dict[str, Any]], asynchronous: bool) -> None:
    """The refused stream is begun again without its usage, later ones are not refused, and all say so."""
    ways, given = clients(refusal)
    llm = make(policy=ONLY_4O, **given)
    for answer in streamed_twice(llm, asynchronous=asynchronous):
        assert answer.text
        assert routing(answer)["cost"] is None
        assert LEFT_OUT in routing(answer)["changes"]
        assert routing(answer)["attempts"] == []
    assert ways.refused == 1
    assert [entry.body["stop"] for entry in sim.journal] == [["END"], ["END"]]


def test_chatopenai_streams_there_too(sim) -> None:
    """What is spared is what ChatOpenAI never asks at another address."""
    ways, given = clients(REFUSALS["azure (SwiftOpenAI#67)"])
    assert merged(list(ChatOpenAI(model="gpt-4o", base_url=sim.url, **given).stream("Hi"))).text
    assert ways.refused == 0


def test_every_model_at_the_address_is_spared(make) -> None:
    """What one model was refused is not asked of the next one."""
    ways, given = clients(REFUSALS["groq (vercel/ai PR 1578)"])
    llm = make(policy={"models": ["gpt-4o", "gpt-4.1"], "at_least": None}, **given)
    served = {routing(streamed(llm, model=name))["model"] for name in ("gpt-4o", "gpt-4.1")}
    assert served == {"gpt-4o", "gpt-4.1"}
    assert ways.refused == 1


@pytest.mark.parametrize(
    ("settings", "kwargs"),
    [
        pytest.param({"stream_usage": True}, {}, id="constructor"),
        pytest.param({}, {"stream_usage": True}, id="keyword"),
        pytest.param({}, {"stream_options": {"include_usage": True}}, id="options of the call"),
    ],
)
@pytest.mark.parametrize("refusal", REFUSALS.values(), ids=REFUSALS.keys())
def test_who_asks_is_told(
    make, refusal: tuple[int, dict[str, Any]], settings: dict[str, Any], kwargs: dict[str, Any]
) -> None:
    """A caller who wants the usage gets the refusal, as with ChatOpenAI."""
    ways, given = clients(refusal)
    with pytest.raises((BadRequestError, UnprocessableEntityError)):
        streamed(make(policy=ONLY_4O, **settings, **given), **kwargs)
    assert ways.refused == 1


def test_another_refusal_is_not_taken_for_it(make, sim) -> None:
    """A 400 about anything else goes its usual way, and the server is asked again."""
    error = {
        "message": "Invalid 'messages': too short.",
        "type": "invalid_request_error",
        "param": "messages",
    }
    ways, given = clients((400, {"error": error}))
    llm = make(policy=ONLY_4O, **given)
    for asked in (1, 2):
        with pytest.raises(BadRequestError):
            streamed(llm)
        assert ways.refused == asked
    assert sim.journal == []


FORMS = {
    "chat": {"policy": ONLY_4O, "use_responses_api": False},
    "chat without usage": {"policy": ONLY_4O, "use_responses_api": False, "stream_usage": False},
    "responses": {"policy": ONLY_4O, "use_responses_api": True},
    "responses as text": {"policy": {"models": ["gpt-5-pro"], "at_least": None}},
    "cut here": {"policy": {"models": ["gpt-5.4"], "at_least": None}, "stop": ["(Simulated"]},
}


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("asynchronous", [False, True], ids=["stream", "astream"])
def test_one_chunk_has_the_metadata(make, form: str, asynchronous: bool) -> None:
    """As with ChatOpenAI, finish reason, model, usage and record come once, and with the last chunk."""
    llm = make(**FORMS[form])

    async def gather() -> list[AIMessageChunk]:
        return [chunk async for chunk in llm.astream("Hello")]

    chunks = asyncio.run(gather()) if asynchronous else list(llm.stream("Hello"))
    named = {"model_provider", "output_version", "id", "created_at", "object", "status", "model"}
    telling = [at for at, chunk in enumerate(chunks) if set(chunk.response_metadata) - named]
    assert telling == [len(chunks) - 1]
    assert {"routing", "model_name"} <= chunks[-1].response_metadata.keys()
    counted = [at for at, chunk in enumerate(chunks) if chunk.usage_metadata is not None]
    silent = form in ("chat without usage", "cut here")
    assert counted == ([] if silent else [len(chunks) - 1])
    assert merged(chunks).response_metadata["model_name"] == chunks[-1].response_metadata["model_name"]
