"""The transports, for programs that make an OpenAI client by themselves; Azure's addresses."""

from __future__ import annotations

import copy
import json
import pickle
from collections.abc import Callable
from typing import Any

import openai
import pytest
from openai._base_client import DefaultAsyncHttpxClient, DefaultHttpxClient
from openai_routed import AsyncAzureOpenAI, AsyncRoutedTransport, AzureOpenAI, OpenAI, RoutedTransport

from routed_llm import Router
from routed_llm.calls.late import _kinds
from routed_llm.simulator import Simulator

if openai.__version__.startswith("2."):
    import httpx
else:
    import httpx2 as httpx

ASKED: Any = {"model": "gpt-4o", "messages": [{"role": "user", "content": "Hi"}]}
ROUTING = {"models": ["gpt-4.1"]}
COMPLETION = {
    "id": "c",
    "object": "chat.completion",
    "created": 1,
    "model": "gpt-4.1",
    "choices": [{"index": 0, "finish_reason": "stop", "message": {"role": "assistant", "content": "Hi"}}],
    "usage": {"prompt_tokens": 1, "completion_tokens": 1, "total_tokens": 2},
}
RESPONSE = {
    "id": "r",
    "object": "response",
    "created_at": 1,
    "status": "completed",
    "model": "gpt-5-pro",
    "output": [
        {
            "id": "m",
            "type": "message",
            "role": "assistant",
            "status": "completed",
            "content": [{"type": "output_text", "text": "Hi", "annotations": []}],
        }
    ],
    "usage": {"input_tokens": 1, "output_tokens": 1, "total_tokens": 2},
}


def test_a_plain_client_routes_through_a_transport(settings: dict[str, Any], sim: Simulator) -> None:
    """Any OpenAI client that takes an `http_client` routes; other paths pass as they are."""
    transport = RoutedTransport(httpx.HTTPTransport(), router=settings["router"], policy=ROUTING)
    with openai.OpenAI(
        base_url=sim.url, api_key="k", http_client=DefaultHttpxClient(transport=transport)
    ) as client:
        completion = client.chat.completions.create(**ASKED)
        assert completion.model_extra is not None
        assert completion.model_extra["routing"]["model"] == "gpt-4.1"
        chunks = list(client.chat.completions.create(**ASKED, stream=True))
        assert chunks[-1].model_extra is not None
        assert chunks[-1].model_extra["routing"]["cost"] is not None
        pinned = client.responses.create(
            model="gpt-4o", input="Hi", extra_body={"routing": {"models": ["gpt-4o"]}}
        )
        assert pinned.model.startswith("gpt-4o")
        with pytest.raises(openai.RateLimitError, match="budget"):
            client.chat.completions.create(**ASKED, extra_body={"routing": {"budget": {"per_call": 1e-9}}})
        assert len(list(client.models.list())) > 0
    assert "routing" not in sim.journal[2].body


@pytest.mark.parametrize("stream", [False, True], ids=["whole", "streamed"])
def test_a_usage_that_cannot_be_books_what_was_reserved(*, stream: bool) -> None:
    """No hooks of ours look at what comes through a transport; nobody is shown the usage, or a cost by it."""
    said = {**COMPLETION, "usage": {"prompt_tokens": -5, "completion_tokens": "x", "total_tokens": 1}}
    chunk = {**said, "choices": [{"index": 0, "finish_reason": "stop", "delta": {"content": "Hi"}}]}
    whole, events = json.dumps(said).encode(), f"data: {json.dumps(chunk)}\n\ndata: [DONE]\n\n".encode()
    kind, body = ("text/event-stream", events) if stream else ("application/json", whole)
    inner = httpx.MockTransport(lambda _: httpx.Response(200, headers={"content-type": kind}, content=body))
    transport = RoutedTransport(inner, policy=ROUTING, budget={"per_day": "1.00"})
    with openai.OpenAI(api_key="k", http_client=DefaultHttpxClient(transport=transport)) as client:
        found: Any = client.chat.completions.create(**ASKED, stream=stream)
        last = [*found][-1] if stream else found
    assert last.usage is None
    assert (last.routing["cost"], last.routing["usage"]) == (None, None)
    assert float(last.routing["remaining"][0]["remaining"]) < 1


async def test_a_plain_asynchronous_client_routes_through_a_transport(
    settings: dict[str, Any], sim: Simulator
) -> None:
    """The same in an event loop."""
    transport = AsyncRoutedTransport(httpx.AsyncHTTPTransport(), router=settings["router"], policy=ROUTING)
    async with openai.AsyncOpenAI(
        base_url=sim.url, api_key="k", http_client=DefaultAsyncHttpxClient(transport=transport)
    ) as client:
        completion = await client.chat.completions.create(**ASKED)
        assert completion.model_extra is not None
        assert completion.model_extra["routing"]["model"] == "gpt-4.1"
        chunks = [chunk async for chunk in await client.chat.completions.create(**ASKED, stream=True)]
        assert chunks[-1].model_extra is not None
        assert chunks[-1].model_extra["routing"]["cost"] is not None
        assert len([model async for model in client.models.list()]) > 0


class Azure:
    """A stand-in for Azure's addresses: notes them and answers in the endpoint's form."""

    def __init__(self) -> None:
        self.seen: list[tuple[str, str, str]] = []

    def __call__(self, request: Any) -> Any:
        """Answer a request."""
        body = json.loads(request.content)
        self.seen.append((request.url.path, body["model"], request.headers["api-key"]))
        assert request.url.params["api-version"] == "2026-01-01"
        return httpx.Response(200, json=RESPONSE if request.url.path.endswith("/responses") else COMPLETION)


AZURE: dict[str, Any] = {
    "azure_endpoint": "https://example.invalid",
    "api_key": "k",
    "api_version": "2026-01-01",
    "deployments": {"east": "gpt-4.1", "deep": "gpt-5-pro"},
}


@pytest.mark.parametrize(
    ("models", "path", "sent"),
    [
        (["gpt-4.1"], "/openai/deployments/east/chat/completions", "east"),
        (["gpt-5-pro"], "/openai/responses", "deep"),
    ],
    ids=["Chat Completions", "Responses"],
)
async def test_azures_twins_choose_among_deployments(models: list[str], path: str, sent: str) -> None:
    """The path names the deployment that was chosen; Responses has none in its path."""
    azure = Azure()
    asked: Any = {**ASKED, "extra_body": {"routing": {"models": models, "at_least": None}}}
    with AzureOpenAI(**AZURE, http_client=httpx.Client(transport=httpx.MockTransport(azure))) as client:
        assert client.chat.completions.create(**asked).choices[0].message.content == "Hi"
        assert (
            client.with_options(timeout=3).chat.completions.create(**asked).choices[0].message.content == "Hi"
        )
    async with AsyncAzureOpenAI(
        **AZURE, http_client=httpx.AsyncClient(transport=httpx.MockTransport(azure))
    ) as aclient:
        assert (await aclient.chat.completions.create(**asked)).choices[0].message.content == "Hi"
    assert azure.seen == [(path, sent, "k")] * 3


def test_only_deployments_are_chosen_from() -> None:
    """What is not deployed cannot serve."""
    azure = Azure()
    with AzureOpenAI(**AZURE, http_client=httpx.Client(transport=httpx.MockTransport(azure))) as client:
        decision = client.explain(**ASKED)
        assert {candidate.model for candidate in decision.candidates} <= {"gpt-4.1", "gpt-5-pro"}
        assert decision.model == "gpt-4.1"


def test_a_router_of_its_own_address(settings: dict[str, Any]) -> None:
    """A model with an address of its own is called there, with the key for that address and no other."""
    seen = []

    def answer(request: Any) -> Any:
        seen.append((str(request.url), request.headers["host"], request.headers["authorization"]))
        return httpx.Response(200, json=COMPLETION)

    from openai_routed import OpenAI

    from routed_llm import Catalog

    entry = {"base": "gpt-4.1", "base_url": "http://models.invalid:8080/v1", "sent_as": "mine", "aliases": []}
    catalog = Catalog.load().with_models({"mine": entry})
    keys = {"http://models.invalid:8080/v1": "sk-theirs"}
    router = Router(catalog=catalog, clock=settings["router"]._clock, credentials=keys)
    with OpenAI(
        api_key="k",
        router=router,
        policy={"models": ["mine"], "at_least": None},
        http_client=httpx.Client(transport=httpx.MockTransport(answer)),
    ) as client:
        client.chat.completions.create(**ASKED)
    assert seen == [
        ("http://models.invalid:8080/v1/chat/completions", "models.invalid:8080", "Bearer sk-theirs")
    ]


@pytest.mark.parametrize("place", [b"S\xe3o Paulo", "São Paulo".encode()], ids=["Latin-1", "UTF-8"])
def test_headers_come_as_they_are(place: bytes) -> None:
    """Those that are not ASCII, too, as the SDK itself takes them."""

    def answer(request: httpx.Request) -> httpx.Response:
        return httpx.Response(200, json=COMPLETION, headers=[(b"x-place", place)])

    transport = RoutedTransport(httpx.MockTransport(answer), router=Router(), policy=ROUTING)
    http_client = DefaultHttpxClient(transport=transport)
    with openai.OpenAI(base_url="http://local/v1", api_key="k", http_client=http_client) as client:
        raw = client.chat.completions.with_raw_response.create(**ASKED)
    assert raw.headers["x-place"] == "São Paulo"


def test_a_response_that_failed_comes_back_as_one() -> None:
    """Its status says so, as with the SDK's own client, and no error is raised in its place."""
    failed = {
        **RESPONSE,
        "status": "failed",
        "output": [],
        "error": {"code": "server_error", "message": "boom"},
    }
    transport = RoutedTransport(
        httpx.MockTransport(lambda _: httpx.Response(200, json=failed)), router=Router()
    )
    http_client = DefaultHttpxClient(transport=transport)
    with openai.OpenAI(
        base_url="http://local/v1", api_key="k", http_client=http_client, max_retries=0
    ) as client:
        found = client.responses.create(model="gpt-4o", input="Hi")
    assert (found.status, found.error and found.error.message, found.output) == ("failed", "boom", [])


LOOKED_AT: dict[str, tuple[Callable[[Any], Any], Any]] = {
    "by name": (lambda it: (it.get("X-A"), it.get("x-b"), it.get("x-b", "no")), ("1", None, "no")),
    "all": (dict, {"x-a": "1", "x-n": "né"}),
    "written": (lambda it: it.raw, [(b"x-a", b"1"), (b"x-n", "né".encode())]),
    "changed": (lambda it: (it.update({"x-a": "2"}), it.get("x-a"))[1], "2"),
    "copied": (lambda it: (it.copy().get("x-a"), copy.copy(it)["x-a"], copy.deepcopy(it)["x-a"]), ("1",) * 3),
    "compared": (lambda it: it == httpx.Headers({"X-A": "1", "x-n": "né".encode()}), True),
    "pickled": (lambda it: pickle.loads(pickle.dumps(it))["x-n"], "né"),
    "something else": (lambda it: hasattr(it, "other"), False),
}


@pytest.mark.parametrize(("look", "seen"), LOOKED_AT.values(), ids=LOOKED_AT.keys())
def test_headers_are_those_of_the_library(look: Callable[[Any], Any], seen: Any) -> None:
    """However they are looked at, and whatever was looked at before."""
    for first in LOOKED_AT.values():
        headers = _kinds(httpx)[2]({"x-a": "1", "x-n": "né"})
        assert isinstance(headers, httpx.Headers)
        if first[0] is not LOOKED_AT["changed"][0]:
            first[0](headers)
        assert look(headers) == seen


TOOL = {"type": "function", "function": {"name": "f", "parameters": {"type": "object", "properties": {}}}}
NOT_THERE = {
    "of FastAPI": (404, b'{"detail":"Not Found"}'),
    "of nginx": (404, b"<html><h1>404 Not Found</h1></html>"),
    "not implemented": (501, b'{"detail":"Not Implemented"}'),
    "a gateway's": (400, b'{"error":{"message":"Unknown endpoint","type":"invalid_request_error"}}'),
}
ONLY_THERE: dict[str, dict[str, Any]] = {
    "tools and an effort": {"tools": [TOOL], "reasoning_effort": "low"},
    "metadata that is not stored": {"metadata": {"team": "search"}},
}


@pytest.mark.parametrize("asked", ONLY_THERE.values(), ids=ONLY_THERE)
@pytest.mark.parametrize("said", NOT_THERE.values(), ids=NOT_THERE)
@pytest.mark.parametrize("place", ["client", "transport"])
def test_an_address_without_responses_is_found_out(
    settings: dict[str, Any], place: str, said: tuple[int, bytes], asked: dict[str, Any]
) -> None:
    """The call goes on with Chat Completions; the next one begins there."""
    paths = []

    def answer(request: httpx.Request) -> httpx.Response:
        paths.append(request.url.path)
        if request.url.path.endswith("/responses"):
            return httpx.Response(said[0], content=said[1])
        return httpx.Response(200, json=COMPLETION)

    given = {
        "router": Router(clock=settings["router"].now),
        "policy": {"models": ["gpt-5.4-mini", "gpt-4.1"], "at_least": None, "incumbent": "gpt-5.4-mini"},
    }
    theirs: dict[str, Any] = {"base_url": "http://127.0.0.1:9/v1", "api_key": "k"}
    below = httpx.MockTransport(answer)
    client: openai.OpenAI
    if place == "client":
        client = OpenAI(http_client=DefaultHttpxClient(transport=below), **theirs, **given)
    else:
        below = RoutedTransport(below, **given)
        client = openai.OpenAI(http_client=DefaultHttpxClient(transport=below), **theirs)
    for _ in range(2):
        assert client.chat.completions.create(**{**ASKED, **asked}).choices[0].message.content == "Hi"
    assert paths[0] == "/v1/responses"
    assert {*paths[1:]} == {"/v1/chat/completions"}
    client.close()
