"""The four clients: whatever serves a call, it comes back in the form of the endpoint that was called."""

from __future__ import annotations

import asyncio
import json
import pickle
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

try:
    import httpx
except ImportError:
    import httpx2 as httpx
import openai
import openai_routed
import pytest
from openai_routed import AsyncOpenAI, OpenAI
from openai_routed._clients import module_client
from pydantic import BaseModel

from routed_llm import (
    Budget,
    BudgetExceeded,
    CatalogError,
    IncompleteStream,
    NoModelFits,
    Policy,
    PolicyError,
    RequestError,
    Router,
)
from routed_llm.simulator import Simulator

CHAT = "/v1/chat/completions"
RESPONSES = "/v1/responses"
TOOL = {
    "type": "function",
    "function": {
        "name": "tide",
        "description": "Tell the tide at a place.",
        "parameters": {"type": "object", "properties": {"place": {"type": "string"}}, "required": ["place"]},
    },
}


class Sea(BaseModel):
    """A form of answer."""

    name: str
    depth: int


# ----- who serves, and in which form it comes back


@pytest.mark.parametrize(
    ("models", "path"),
    [(["gpt-4.1"], None), (["gpt-5.6-luna"], None), (["gpt-5.4-pro"], RESPONSES)],
    ids=["takes no effort", "takes an effort", "only on Responses"],
)
def test_an_answer_has_the_form_of_the_endpoint_that_was_called(
    way: Any, settings: dict[str, Any], sim: Simulator, models: list[str], path: str | None
) -> None:
    """Text, model and record are there in each of the eight ways, whichever endpoint served."""
    sim.script("High water twice a day.")
    said = way({**settings, "policy": {"models": models, "at_least": None}})
    assert said.text == "High water twice a day."
    assert said.routing["model"] == models[0]
    assert said.routing["served"].startswith(models[0])
    assert said.routing["cost"] is not None
    assert sim.refused == []
    assert [entry.path for entry in sim.journal] == [path or sim.journal[0].path]
    assert sim.journal[0].body["model"] == models[0]


def test_what_may_be_referred_to_later_is_stored(client: OpenAI, sim: Simulator) -> None:
    """Responses stores an answer unless told not to; only then may the other endpoint serve the call."""
    kept = client.responses.create(model="gpt-4o", input="Hi")
    free = client.responses.create(model="gpt-4o", input="Hi", store=False)
    assert [entry.path for entry in sim.journal] == [RESPONSES, CHAT]
    assert [kept.routing["endpoint"], free.routing["endpoint"]] == ["responses", "chat_completions"]  # type: ignore[attr-defined]
    assert client.responses.retrieve(kept.id).id == kept.id
    assert free.output_text


def test_metadata_of_what_is_not_stored_stays_on_responses(client: OpenAI, sim: Simulator) -> None:
    """Chat Completions refuses it."""
    client.responses.create(model="gpt-4o", input="Hi", store=False, metadata={"team": "search"})
    assert [(entry.path, entry.body["metadata"]["team"]) for entry in sim.journal] == [(RESPONSES, "search")]
    with pytest.raises(openai.BadRequestError, match="only allowed when 'store' is enabled"):
        openai.OpenAI(base_url=sim.url, api_key="any").chat.completions.create(
            model="gpt-4o", messages=[{"role": "user", "content": "Hi"}], metadata={"team": "search"}
        )


def test_the_model_of_a_call_is_the_baseline(client: OpenAI, sim: Simulator) -> None:
    """The quality floor refers to the model that the program names; it need not be the one that serves."""
    completion = client.chat.completions.create(model="gpt-4.1", messages=[{"role": "user", "content": "Hi"}])
    assert completion.routing["baseline"] == "gpt-4.1"
    routing = {"baseline": "gpt-5.1"}
    said = client.chat.completions.create(
        model="gpt-4.1", messages=[{"role": "user", "content": "Hi"}], extra_body={"routing": routing}
    )
    assert said.routing["baseline"] == "gpt-5.1"  # as it says itself


def test_a_stream_says_first_who_answers_and_last_what_it_cost(settings: dict[str, Any], way: Any) -> None:
    """The first part has the decision, the last one the books; a program need not ask for the usage."""
    if not way.stream:
        pytest.skip("a stream's business")
    said = way(settings)
    assert said.first["model"] == said.routing["model"]
    assert "cost" not in said.first
    assert said.routing["usage"]["output_tokens"] > 0


def test_usage_comes_apart_only_when_it_is_asked_for(client: OpenAI) -> None:
    """Who reads `choices[0]` of every chunk can go on doing so; who asks for the usage gets its chunk."""
    asked: dict[str, Any] = {
        "model": "gpt-4o",
        "messages": [{"role": "user", "content": "Hi"}],
        "stream": True,
    }
    assert all(chunk.choices for chunk in client.chat.completions.create(**asked))
    last = list(client.chat.completions.create(**asked, stream_options={"include_usage": True}))[-1]
    assert (last.choices, last.usage.completion_tokens > 0) == ([], True)


def test_tools_come_back_in_the_form_that_was_called(
    way: Any, settings: dict[str, Any], sim: Simulator
) -> None:
    """A call of a tool is a `tool_calls` entry or a `function_call` item, streamed or not."""
    sim.script(tool_calls=[("tide", '{"place":"Lima"}')])
    tool = TOOL if way.form == "chat" else {"type": "function", **TOOL["function"], "strict": False}
    settings = {
        **settings,
        "policy": {"models": ["gpt-5.4-pro" if way.form == "chat" else "gpt-4o"], "at_least": None},
    }
    said = way(settings, tools=[tool])
    if way.form == "chat":
        found = (
            [call for part in said.parts for call in part.choices[0].delta.tool_calls or ()]
            if way.stream
            else said.whole.choices[0].message.tool_calls
        )
        assert found[0].function.name == "tide"
        assert "".join(call.function.arguments or "" for call in found) == '{"place":"Lima"}'
    else:
        response = said.parts[-1].response if way.stream else said.whole
        assert [(one.name, one.arguments) for one in response.output if one.type == "function_call"] == [
            ("tide", '{"place":"Lima"}')
        ]


@pytest.mark.parametrize(
    "models", [["gpt-4.1"], ["gpt-5.3-codex"]], ids=["on Chat Completions", "on Responses"]
)
def test_parse_and_the_stream_helper_work(
    settings: dict[str, Any], sim: Simulator, models: list[str]
) -> None:
    """What lies above a response in the SDK does not see that another endpoint may have served it."""
    with OpenAI(**settings, policy={"models": models, "at_least": None}) as client:
        messages: Any = [{"role": "user", "content": "Which sea?"}]
        sim.script('{"name":"Baltic","depth":55}')
        parsed = client.chat.completions.parse(model="gpt-4o", messages=messages, response_format=Sea)
        assert parsed.choices[0].message.parsed == Sea(name="Baltic", depth=55)
        sim.script('{"name":"Baltic","depth":55}')
        with client.chat.completions.stream(model="gpt-4o", messages=messages, response_format=Sea) as stream:
            kinds = {event.type for event in stream}
            assert stream.get_final_completion().choices[0].message.parsed == Sea(name="Baltic", depth=55)
        assert {"chunk", "content.delta", "content.done"} <= kinds
        sim.script('{"name":"Baltic","depth":55}')
        response = client.responses.parse(model="gpt-4o", input="Which sea?", text_format=Sea)
        assert response.output_parsed == Sea(name="Baltic", depth=55)
        sim.script("Twice a day.")
        with client.responses.stream(model="gpt-4o", input="Tides?") as events:
            assert [event.type for event in events][-1] == "response.completed"
            assert events.get_final_response().output_text == "Twice a day."
    assert sim.refused == []


def test_raw_and_streaming_responses_have_headers_that_say_who_and_why(client: OpenAI) -> None:
    """The provider's headers stay, and ours stand beside them."""
    asked: Any = {"model": "gpt-4o", "messages": [{"role": "user", "content": "Hi"}]}
    raw = client.chat.completions.with_raw_response.create(**asked)
    completion = raw.parse()
    assert raw.headers["x-request-id"].startswith("req_")
    assert raw.headers["x-routed-model"] == completion.routing["model"]
    assert raw.headers["x-routed-cost"] == completion.routing["cost"]
    assert raw.headers["x-routed-why"] == completion.routing["why"]
    assert raw.headers["x-routed-attempts"] == "1"
    assert raw.elapsed.total_seconds() > 0
    with client.chat.completions.with_streaming_response.create(**asked) as response:
        assert json.loads(response.read())["routing"]["model"] == response.headers["x-routed-model"]
    with client.chat.completions.with_streaming_response.create(**asked, stream=True) as response:
        lines = [line for line in response.iter_lines() if line]
    assert lines[-1] == "data: [DONE]"


# ----- what a call says of its routing


@pytest.mark.parametrize(
    ("asked", "reason"),
    [
        ({"stop": "END"}, "stop"),
        ({"stop": ["\n", "END"]}, "stop"),
        ({"stop": "END", "n": 3}, "stop"),
        ({"max_tokens": 3, "n": 2}, "length"),
    ],
    ids=["one", "several", "three answers", "a cap on two answers"],
)
def test_what_no_model_takes_ends_each_answer(
    way: Any, settings: dict[str, Any], sim: Simulator, asked: dict[str, Any], reason: str
) -> None:
    """A model that refuses `stop`, or reasons within the cap, is cut where another would have ended."""
    if way.form == "responses":
        pytest.skip("Responses has no stop, and gives one answer")
    sim.script("Lima. END of it.", reasoning_tokens=64)
    said = way(
        {**settings, "policy": {"models": ["gpt-5.6-luna"], "at_least": None, "effort": "low"}}, **asked
    )
    found = [one for part in said.parts or [said.whole] for one in part.choices]
    texts, ended = {}, {one.index: one.finish_reason for one in found}
    for one in found:
        texts[one.index] = texts.get(one.index, "") + (
            (one.delta if way.stream else one.message).content or ""
        )
    answers = range(asked.get("n", 1))
    assert texts == dict.fromkeys(answers, "Lima. " if "stop" in asked else "Lima.")
    assert ended == dict.fromkeys(answers, reason)
    assert "stop" not in sim.journal[0].body


def test_a_conversation_stays_with_the_model_that_has_its_prefix(client: OpenAI) -> None:
    """Who answered a turn is known from what the next request repeats of it, in either form."""
    long = "The tide tables of the North Sea. " * 400
    for create, first, said in (
        (client.chat.completions.create, "messages", lambda found: found.choices[0].message.content),
        (client.responses.create, "input", lambda found: found.output_text),
    ):
        turns: list[Any] = [{"role": "user", "content": long}]
        pinned = {"routing": {"models": ["gpt-4.1"]}}
        answer: Any = create(model="gpt-4o", **{first: turns}, extra_body=pinned)
        turns += [{"role": "assistant", "content": said(answer)}, {"role": "user", "content": "Thanks!"}]
        decision = client.explain(model="gpt-4o", **{first: turns})
        assert decision.facts.previous is not None
        assert decision.facts.previous.model == "gpt-4.1"


def test_a_stored_response_keeps_to_its_model(client: OpenAI) -> None:
    """What refers to a response goes to the model that gave it."""
    first = client.responses.create(
        model="gpt-4o", input="Hi", store=True, extra_body={"routing": {"models": ["gpt-4.1"]}}
    )
    decision = client.explain(model="gpt-4o", input="And?", previous_response_id=first.id)
    assert decision.facts.locked_to == "gpt-4.1"


def test_options_of_a_call_are_never_sent(client: OpenAI, sim: Simulator) -> None:
    """`extra_body={"routing": ...}` holds for one call; other extra fields go to the provider."""
    asked: Any = {"model": "gpt-4o", "messages": [{"role": "user", "content": "Hi"}]}
    for routing in (
        {"models": ["gpt-4.1"]},
        {"policy": Policy(models=["gpt-4.1"])},
        Policy(models=["gpt-4.1"]),
    ):
        completion = client.chat.completions.create(**asked, extra_body={"routing": routing, "user": "u"})
        assert completion.routing["model"] == "gpt-4.1"
    assert ["routing" in entry.body for entry in sim.journal] == [False] * 3
    assert [entry.body["user"] for entry in sim.journal] == ["u"] * 3


def test_copies_share_everything_and_lay_their_options_over(settings: dict[str, Any]) -> None:
    """`with_options` and `copy` keep router, policy and connections; what they are given holds besides."""
    first = OpenAI(**settings, policy={"models": ["gpt-4.1", "gpt-4o"]}, scope={"team": "a"})
    for second in (first.with_options(max_retries=1), first.copy(timeout=3)):
        assert second.endpoints == first.endpoints
        assert second._client is first._client
    third = first.with_options(policy={"optimize": "quality"}, scope={"user": "u"})
    assert third.endpoints.router is first.endpoints.router
    assert third.endpoints.options.tags == {"team": "a", "user": "u"}
    policy = third.endpoints.options.applied_to(Policy())
    assert (policy.models, policy.optimize) == (("gpt-4.1", "gpt-4o"), "quality")
    assert first.with_options(policy=Policy()).endpoints.options.applied_to(Policy()) == Policy()


def test_explain_sends_nothing(client: OpenAI, sim: Simulator) -> None:
    """It is given what `create` would be, and says what would serve it."""
    asked: Any = {"model": "gpt-4o", "messages": [{"role": "user", "content": "Hi"}]}
    assert client.explain(**asked, extra_body={"routing": {"models": ["gpt-4.1"]}}).model == "gpt-4.1"
    assert client.explain(model="gpt-4o", input="Hi").model == client.explain(**asked).model
    assert (
        client.explain(**asked, extra_body={"routing": {"models": ["gpt-4.1"], "exclude": ["gpt-4.1"]}}).model
        is None
    )
    assert sim.journal == []


def test_what_is_not_routed_is_not_touched(settings: dict[str, Any], sim: Simulator) -> None:
    """Other methods of the SDK reach the provider as they are."""
    with OpenAI(**settings) as ours, openai.OpenAI(base_url=sim.url, api_key="sk-simulated") as plain:
        assert {one.id for one in ours.models.list()} == {one.id for one in plain.models.list()}
        with pytest.raises(openai.NotFoundError):
            ours.embeddings.create(model="text-embedding-3-small", input="Hi")
        stored = ours.responses.create(
            model="gpt-4o", input="Hi", store=True, extra_body={"routing": {"models": ["gpt-4o"]}}
        )
        if sim.journal[-1].path == RESPONSES:
            assert ours.responses.retrieve(stored.id).id == stored.id


def test_a_client_that_is_given_another_address_calls_there(client: OpenAI, sim: Simulator) -> None:
    """The SDK reads its address at every call."""
    asked: Any = {"model": "gpt-4o", "messages": [{"role": "user", "content": "Hi"}]}
    client.base_url = "http://127.0.0.1:9"
    for url, status in ((client.base_url, None), (sim.url, 200), (client.base_url, None), (sim.url, 200)):
        client.base_url = url
        if status is None:
            with pytest.raises(openai.APIConnectionError):
                client.chat.completions.create(**asked)
        else:
            assert client.chat.completions.create(**asked).id
    assert [entry.status for entry in sim.journal] == [200, 200]


def test_a_model_that_no_catalog_knows_is_called_as_it_is(settings: dict[str, Any], sim: Simulator) -> None:
    """A model of another server goes on working; where calls are booked, none goes past the books."""
    asked: Any = {"model": "mine-7b", "messages": [{"role": "user", "content": "Hi"}]}
    with OpenAI(**settings) as client, pytest.raises(openai.NotFoundError) as caught:
        client.chat.completions.create(**asked)
    assert not isinstance(caught.value, CatalogError)
    assert [entry.body["model"] for entry in sim.journal] == ["mine-7b"]
    with OpenAI(**settings, budget={"total": 1}) as client, pytest.raises(CatalogError):
        client.chat.completions.create(**asked)
    assert len(sim.journal) == 1


# ----- what is refused before it is sent


@pytest.mark.parametrize(
    ("asked", "ours", "sdks", "said"),
    [
        (
            {"extra_body": {"routing": {"models": ["gpt-4.1"], "exclude": ["gpt-4.1"]}}},
            (NoModelFits, PolicyError),
            openai.BadRequestError,
            {"type": "invalid_request_error"},
        ),
        (
            {"messages": [{"role": "user", "content": "tide " * 1_300_000}]},
            NoModelFits,
            openai.BadRequestError,
            {"type": "invalid_request_error", "code": "context_length_exceeded", "param": "messages"},
        ),
        (
            {"messages": [{"role": "user", "content": [{"type": "smell", "smell": "salt"}]}]},
            RequestError,
            openai.BadRequestError,
            {"type": "invalid_request_error", "param": "messages[0].content[0]"},
        ),
        (
            {"model": "gpt-4.1-nano", "extra_body": {"routing": {"models": ["gpt-4.1-nano"]}}},
            NoModelFits,
            openai.NotFoundError,
            {"type": "invalid_request_error", "code": "model_not_found", "param": "model"},
        ),
        (
            {"extra_body": {"routing": {"optimise": "cost"}}},
            PolicyError,
            openai.BadRequestError,
            {"code": "invalid_routing"},
        ),
        (
            {"model": "no-such-model", "extra_body": {"routing": {"scope": "team=a"}}},
            CatalogError,
            openai.NotFoundError,
            {"code": "model_not_found"},
        ),
        (
            {"extra_body": {"routing": {"budget": {"per_call": "0.0000001"}}}},
            BudgetExceeded,
            openai.RateLimitError,
            {"type": "insufficient_quota", "code": "budget_exceeded"},
        ),
    ],
    ids=["no model", "too long", "broken", "gone", "wrong policy", "unknown model", "no money"],
)
@pytest.mark.parametrize("stream", [False, True], ids=["whole", "stream"])
async def test_a_refusal_is_our_error_and_the_sdks(
    settings: dict[str, Any],
    sim: Simulator,
    asked: Any,
    ours: Any,
    sdks: Any,
    said: dict[str, Any],
    stream: bool,
) -> None:
    """A handler for either catches it; nothing is sent, and nothing is tried again."""
    wanted: Any = {
        "model": "gpt-4o",
        "messages": [{"role": "user", "content": "Hi"}],
        "stream": stream,
        **asked,
    }
    with OpenAI(**{**settings, "max_retries": 2}) as client, pytest.raises(sdks) as caught:
        client.chat.completions.create(**wanted)
    async with AsyncOpenAI(**{**settings, "max_retries": 2}) as aclient:
        with pytest.raises(sdks) as acaught:
            await aclient.chat.completions.create(**wanted)
    for error in (caught.value, acaught.value):
        assert isinstance(error, ours)
        assert {name: error.body[name] for name in said} == said
        assert error.body["message"] == str(error) == error.message
        assert error.response.json()["error"] == error.body
    assert sim.journal == []


# ----- failures


def test_another_model_takes_over(way: Any, settings: dict[str, Any], sim: Simulator) -> None:
    """What fails before its first token is tried again; the SDK's own retries do not multiply that."""
    sim.faults.add("500;times=1")
    said = way({**settings, "max_retries": 2})
    assert said.text
    assert len(sim.journal) == 2
    assert [entry.headers.get("x-stainless-retry-count") for entry in sim.journal] == ["0", "1"]


@pytest.mark.parametrize(
    "fault",
    [
        "cut;after_chunks=0",
        "truncate;after_chunks=0",
        "sse_error;after_chunks=0",
        "502_html",
        "503",
        "429",
        "429_no_headers",
    ],
)
def test_what_fails_before_its_first_token_is_made_good(
    way: Any, settings: dict[str, Any], sim: Simulator, fault: str
) -> None:
    """A broken, empty or refused answer is asked for again; the caller sees one whole answer."""
    if "after_chunks" in fault and (way.stream or not fault.startswith("sse_error")):
        sim.script("Half of it.")  # the one that fails takes a script, too, unless it ends in an error status
    sim.faults.add(f"{fault};times=1")
    sim.script("Twice a day.")
    said = way({**settings, "max_retries": 2})
    assert (said.text, len(said.routing["attempts"])) == ("Twice a day.", 1)
    assert len(sim.journal) == 2


@pytest.mark.parametrize(
    ("fault", "error"),
    [
        ("cut", (openai.APIConnectionError, httpx.RemoteProtocolError)),
        ("sse_error", openai.APIError),
        ("truncate", IncompleteStream),
    ],
)
def test_what_fails_after_its_first_token_is_told_and_booked(
    way: Any, settings: dict[str, Any], sim: Simulator, fault: str, error: Any
) -> None:
    """Nothing hangs, nothing is asked for twice, and what was reserved is charged: tokens had come."""
    if not way.stream:
        pytest.skip("an answer in one piece has no first token")
    router = Router(clock=settings["router"]._clock, budgets=Budget(total=1))
    sim.faults.add(f"{fault};after_chunks=14;times=1")
    with pytest.raises(error):
        way({**settings, "router": router, "max_retries": 2})
    assert len(sim.journal) == 1
    (entry,) = router.ledger.entries()
    assert entry.outcome in ("unknown", "server")
    assert entry.booked > 0


@pytest.mark.parametrize("given", [None, "42"], ids=["the SDK's count", "the caller's own"])
def test_a_raw_response_says_how_often_it_was_tried(
    settings: dict[str, Any], sim: Simulator, given: str | None
) -> None:
    """`retries_taken` and the request's header count as they do when the SDK retries."""
    sim.faults.add("500;times=2")
    headers = {} if given is None else {"x-stainless-retry-count": given}
    asked: Any = {
        "model": "gpt-4o",
        "messages": [{"role": "user", "content": "Hi"}],
        "extra_headers": headers,
    }
    with OpenAI(**{**settings, "max_retries": 4}) as client:
        raw = client.chat.completions.with_raw_response.create(**asked)
    assert raw.retries_taken == 2
    assert raw.http_request.headers["x-stainless-retry-count"] == (given or "2")
    assert sim.journal[-1].headers["x-stainless-retry-count"] == (given or "2")


def test_a_failure_of_a_transport_is_tried_again(settings: dict[str, Any]) -> None:
    """Whatever the HTTP client raises is a connection error, as in the SDK's own loop."""
    failures = [RuntimeError("oops"), RuntimeError("oops")]

    class Failing(httpx.HTTPTransport):
        def handle_request(self, request: Any) -> Any:
            if failures:
                raise failures.pop()
            return super().handle_request(request)

    with OpenAI(**{**settings, "max_retries": 2}, http_client=httpx.Client(transport=Failing())) as client:
        completion: Any = client.chat.completions.create(
            model="gpt-4o", messages=[{"role": "user", "content": "Hi"}]
        )
    assert len(completion.routing["attempts"]) == 2


def test_no_more_is_tried_than_was_allowed(way: Any, settings: dict[str, Any], sim: Simulator) -> None:
    """The provider's own error comes back when nothing helps, with what was tried."""
    sim.faults.add("500;times=9")
    with pytest.raises(openai.InternalServerError) as caught:
        way({**settings, "max_retries": 1})
    assert len(sim.journal) == 2
    assert [attempt.error.status for attempt in caught.value.attempts] == [500, 500]  # type: ignore[attr-defined]


def test_a_provider_that_cannot_be_reached_is_the_sdks_connection_error(
    way: Any, settings: dict[str, Any]
) -> None:
    """As with the plain client; the SDK does not begin all over."""
    with pytest.raises(openai.APIConnectionError):
        way({**settings, "base_url": "http://127.0.0.1:9/v1"})


def test_a_stream_that_is_left_is_booked(settings: dict[str, Any], sim: Simulator) -> None:
    """Who stops reading pays for what has come; who never reads does, too."""
    ledger_router = Router(clock=settings["router"]._clock, budgets=Budget(total=1))
    with OpenAI(**{**settings, "router": ledger_router}) as client:
        asked: Any = {"model": "gpt-4o", "messages": [{"role": "user", "content": "Hi"}], "stream": True}
        with client.chat.completions.create(**asked) as stream:
            next(iter(stream))
        client.chat.completions.create(**asked).close()
    entries = list(ledger_router.ledger.entries())
    assert [entry.booked > 0 for entry in entries] == [True, True]


def test_pickling_and_copying_do_what_the_sdks_client_does(settings: dict[str, Any]) -> None:
    """Neither can be pickled: both hold connections, as their `http_client` says with a TypeError."""
    for made in (OpenAI(**settings), openai.OpenAI(api_key="k")):
        with pytest.raises(TypeError):
            pickle.dumps(made)


@pytest.mark.parametrize("given", [{}, {"web_search_options": {}}], ids=["by its name", "by its options"])
def test_a_model_that_searches_is_replaced_by_one_that_does(
    sim: Simulator, settings: dict[str, Any], given: dict[str, Any]
) -> None:
    """Once it is shut down, others search with the hosted tool."""
    later = date(2027, 1, 15)
    sim.at = later
    try:
        with OpenAI(**{**settings, "router": Router(clock=lambda: later)}) as client:
            asked = [{"role": "user", "content": "News?"}]
            client.chat.completions.create(model="gpt-4o-search-preview", messages=asked, **given)
    finally:
        sim.at = date(2026, 11, 22)
    assert sim.journal[-1].body["tools"] == [{"type": "web_search"}]
    assert sim.refused == []


def test_a_model_that_searches_is_asked_at_this_moment(sim: Simulator, settings: dict[str, Any]) -> None:
    """A router's clock gives the moment, as it does where nobody sets it, and not only a day."""
    now = datetime(2026, 11, 22, 12, tzinfo=UTC)
    with OpenAI(**{**settings, "router": Router(clock=lambda: now)}) as client:
        asked: Any = [{"role": "user", "content": "News?"}]
        client.chat.completions.create(model="gpt-4o-search-preview", messages=asked)
    assert sim.refused == []


@pytest.mark.parametrize(
    ("given", "sent"),
    [({}, None), ({"model": "gpt-4o"}, "gpt-5.6-luna"), ({"model": "auto"}, "gpt-5.6-luna")],
    ids=["its own", "the caller's", "any"],
)
def test_a_stored_prompt_has_a_model_of_its_own(
    sim: Simulator, client: OpenAI, given: dict[str, Any], sent: str | None
) -> None:
    """It is routed where the caller names one."""
    client.responses.create(prompt={"id": "pmpt_1"}, **given)
    assert sim.journal[-1].body.get("model") == sent
    assert sim.refused == []


# ----- clients that frameworks and programs make without a key


@pytest.mark.parametrize("given", [None, "", "sk-simulated"], ids=["later", "empty", "at once"])
async def test_a_deferred_client_reads_its_key_when_it_is_asked(
    sim: Simulator, settings: dict[str, Any], monkeypatch: pytest.MonkeyPatch, given: str | None
) -> None:
    """It can be made before there is a key, and says which variable is missing only when it needs it."""
    settings["api_key"] = given
    client, later = OpenAI.deferred(**settings), AsyncOpenAI.deferred(**settings)
    if not given:
        for ask in (client.responses.create, client.chat.completions.create):
            with pytest.raises(openai.OpenAIError, match="Set OPENAI_API_KEY"):
                ask(**({"input": "a"} if "responses" in str(ask) else {"messages": []}), model="gpt-4o")
        with pytest.raises(openai.OpenAIError, match="Set OPENAI_API_KEY"):
            await later.responses.create(model="gpt-4o", input="a")
        monkeypatch.setenv("OPENAI_API_KEY", "sk-simulated")
    assert client.responses.create(model="gpt-4o", input="a").output_text
    assert (await later.responses.create(model="gpt-4o", input="a")).output_text
    assert [entry.status for entry in sim.journal] == [200, 200]


def test_the_module_asks_as_the_sdks_module_does(
    sim: Simulator, settings: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    """What is set on ``openai``, even after the first call, is what ``openai_routed.chat`` uses."""
    monkeypatch.setattr(openai, "base_url", f"{sim.url}/")  # the SDK adds no slash here
    monkeypatch.setattr(openai, "api_key", "sk-simulated")
    messages = [{"role": "user", "content": "What is a tide?"}]
    first = openai_routed.chat.completions.create(model="gpt-4o", messages=messages)
    assert first.choices[0].message.content
    assert first.routing["baseline"] == "gpt-4o"
    assert openai_routed.responses.create(model="gpt-4o", input="What is a tide?").output_text
    monkeypatch.setattr(openai, "api_key", "sk-another")
    openai_routed.chat.completions.create(model="gpt-4o", messages=messages)


def test_an_import_of_several_names_changes_in_one_word() -> None:
    """What is not routed is the SDK's own; what it calls by two names is routed by both."""
    from openai_routed import NOT_GIVEN, AsyncClient, Client, RateLimitError, pydantic_function_tool

    assert (Client, AsyncClient) == (OpenAI, AsyncOpenAI)
    assert (NOT_GIVEN, RateLimitError) == (openai.NOT_GIVEN, openai.RateLimitError)
    assert pydantic_function_tool is openai.pydantic_function_tool
    public = {name for name in dir(openai) if not name.startswith("_")}
    assert set(dir(openai_routed)) == {*public, "AsyncRoutedTransport", "RoutedTransport"}
    for name in ("Nothing", "_client"):
        with pytest.raises(AttributeError, match=f"module 'openai_routed' has no attribute '{name}'"):
            getattr(openai_routed, name)


@pytest.mark.parametrize("stream", [False, True], ids=["whole", "stream"])
@pytest.mark.parametrize("failures", [0, 1], ids=["answered", "sent again"])
def test_a_key_that_a_function_gives_is_asked_for_once_a_call(
    sim: Simulator, settings: dict[str, Any], *, stream: bool, failures: int
) -> None:
    """Whatever happens to its requests."""
    asked: list[str] = []

    def key() -> str:
        asked.append("sk-simulated")
        return asked[-1]

    if failures:
        sim.faults.add(f"500;times={failures}")
    client = OpenAI(**{**settings, "api_key": key, "max_retries": 1})
    for number in (1, 2):
        found = client.responses.create(model="gpt-4o", input="What is a tide?", stream=stream)
        assert not stream or list(found)
        assert len(asked) == number


def test_the_module_says_that_azure_needs_deployments(monkeypatch: pytest.MonkeyPatch) -> None:
    """The module routes among OpenAI's own models only."""
    monkeypatch.setattr(openai, "api_type", "azure")
    monkeypatch.setattr(openai, "_client", object())
    module_client.cache_clear()
    with pytest.raises(openai.OpenAIError, match=r"Make openai_routed\.AzureOpenAI\(deployments="):
        _ = openai_routed.chat


@pytest.mark.parametrize("way", [False, True], ids=["sync", "async"])
@pytest.mark.parametrize("stream", [False, True], ids=["whole", "stream"])
def test_a_shadow_asks_a_second_time_apart(
    sim: Simulator, tmp_path: Path, *, way: bool, stream: bool
) -> None:
    """The baseline answers the caller; what routing chose is asked after that, whole, and logged."""
    log = tmp_path / "log.jsonl"
    router = Router(clock=lambda: date(2026, 11, 22), mode="shadow", sample=1.0, log=log)
    settings: dict[str, Any] = {"base_url": sim.url, "api_key": "sk-simulated", "router": router}
    messages = [{"role": "user", "content": "What is a tide?"}]
    asked: dict[str, Any] = {"model": "gpt-4o", "stream": stream, "messages": messages}
    if way:

        async def main() -> None:
            async with AsyncOpenAI(**settings) as client:
                answer = await client.chat.completions.create(**asked)
                if stream:
                    assert [part async for part in answer]
                assert await asyncio.to_thread(router.wait, 10)

        asyncio.run(main())
    else:
        with OpenAI(**settings) as client:
            answer = client.chat.completions.create(**asked)
            assert not stream or [*answer]
            assert router.wait(10)
    first, second = sim.journal
    assert first.model == "gpt-4o"
    assert second.model != "gpt-4o"
    assert [bool(entry.body.get("stream")) for entry in sim.journal] == [stream, False]
    logged = [json.loads(line)["arm"] for line in log.read_text().splitlines()]
    assert logged.count("second") == 1
