"""The gateway: calls, streams, what it refuses and what becomes of a client that leaves."""

from __future__ import annotations

import asyncio
import json
import socket
import time
from pathlib import Path
from typing import Any

import httpx
import openai
import pytest

from routed_llm.facts import Previous
from routed_llm.gateway import KeyStore
from routed_llm.simulator import Simulator
from tests.gateway.conftest import Start

MESSAGES: Any = [{"role": "user", "content": "What is a tide?"}]


def error_of(answer: httpx.Response) -> dict[str, Any]:
    """Return the error of a response, which has OpenAI's form."""
    error: dict[str, Any] = answer.json()["error"]
    assert set(error) >= {"message", "type", "param", "code"}
    return error


def until(true: Any, seconds: float = 10) -> None:
    """Wait until something another thread does has happened."""
    end = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < end
        time.sleep(0.01)


# ----- calls


def test_both_endpoints_answer_whole_and_streamed(start: Start, sim: Simulator) -> None:
    """The plain SDK, pointed at the gateway, gets what it gets from OpenAI, and who served it."""
    gateway = start()
    with openai.OpenAI(base_url=gateway.url, api_key="any") as client:
        completion: Any = client.chat.completions.create(model="gpt-4o", messages=MESSAGES)
        assert completion.routing["baseline"] == "gpt-4o"
        chunks: Any = list(client.chat.completions.create(model="gpt-4o", messages=MESSAGES, stream=True))
        assert chunks[-1].routing["cost"] is not None
        response: Any = client.responses.create(model="gpt-4o", input="Hi")
        assert response.routing["endpoint"] == "responses"
        with client.responses.stream(model="gpt-4o", input="Hi") as stream:
            assert stream.get_final_response().output_text
        raw = client.chat.completions.with_raw_response.create(
            model="gpt-4o", messages=MESSAGES, extra_body={"routing": {"models": ["gpt-4.1"]}}
        )
        assert raw.headers["x-routed-model"] == "gpt-4.1"
    assert sim.refused == []
    assert len(gateway.entries()) == 5


def test_a_stream_is_passed_on_as_it_comes(start: Start, sim: Simulator) -> None:
    """Nothing is held back until the end."""
    gateway = start()
    sim.faults.add("slow_chunks;seconds=0.05")
    body = {"model": "gpt-4o", "messages": MESSAGES, "stream": True}
    with httpx.stream("POST", f"{gateway.url}/chat/completions", json=body, timeout=30) as answer:
        came = [time.monotonic() for _ in answer.iter_raw()]
    assert len(came) > 10
    assert came[-1] - came[0] > 0.3


@pytest.mark.parametrize("shares", [True, False], ids=["workers of one gateway", "another gateway"])
def test_a_later_turn_may_come_to_another_process(start: Start, tmp_path: Path, *, shares: bool) -> None:
    """Workers know of each other who answered, by what was said and by the ids of calls."""
    told = {"shared": str(tmp_path)} if shares else {}
    first, second = start(**told), start(**told)
    before = first.ask().json()
    asked = [{"role": "user", "content": "What is a tide?"}, before["choices"][0]["message"]]
    later = second.ask(messages=[*asked, {"role": "user", "content": "Thanks."}]).json()["routing"]
    known = None if later["switch"] is None else later["switch"]["previous"]
    assert known == (before["routing"]["model"] if shares else None)
    called = {"id": "call_1", "type": "function", "function": {"name": "tides", "arguments": "{}"}}
    first.gateway._endpoints.memory.remember(
        [], [{"role": "assistant", "tool_calls": [called]}], Previous(model="gpt-4.1"), None
    )
    loop = [asked[0], {"role": "assistant", "tool_calls": [called]}]
    loop.append({"role": "tool", "tool_call_id": "call_1", "content": "High at noon."})
    tool = {"type": "function", "function": {"name": "tides", "parameters": {"type": "object"}}}
    served = second.ask(messages=loop, tools=[tool]).json()["routing"]
    assert (served["model"] == "gpt-4.1") is shares
    thought, said = {"id": "rs_1", "type": "reasoning"}, {"id": "msg_1", "type": "message"}
    first.gateway._endpoints.memory.remember_items([thought, said], "gpt-5.4")
    known = second.gateway._endpoints.memory.maker("msg_1")
    assert known == (("gpt-5.4", ["rs_1"]) if shares else None)


def test_models_are_those_that_may_be_chosen(start: Start) -> None:
    """The list is the policy's pool, and each of them can be asked for."""
    gateway = start(policy={"models": ["gpt-4.1*"]})
    with openai.OpenAI(base_url=gateway.url, api_key="any") as client:
        assert {model.id for model in client.models.list()} == {"gpt-4.1", "gpt-4.1-mini"}
        for name in ("gpt-4.1", "gpt-4.1-2025-04-14"):
            assert client.models.retrieve(name).id == name
        with pytest.raises(openai.NotFoundError, match="See GET /v1/models"):
            client.models.retrieve("gpt-9")


def test_a_model_named_auto_is_the_policys_baseline(start: Start) -> None:
    """A program need not name a model at all."""
    gateway = start(policy={"baseline": "gpt-4.1"})
    assert gateway.ask(model="auto").json()["routing"]["baseline"] == "gpt-4.1"


def test_explain_says_what_would_be_done(start: Start, sim: Simulator) -> None:
    """`POST /v1/routing/explain` takes the body of either endpoint and sends nothing."""
    gateway = start()
    told = gateway.post("/routing/explain", json={"model": "gpt-4o", "input": "Hi"}).json()
    assert told["model"] in {candidate["model"] for candidate in told["candidates"]}
    assert sim.journal == []


def test_the_rest_is_passed_on(start: Start, sim: Simulator) -> None:
    """Other paths reach the provider with its key, and its answer comes back as it is."""
    gateway = start()
    stored = gateway.post("/responses", json={"model": "gpt-4o", "input": "Hi", "store": True}).json()
    found = httpx.get(f"{gateway.url}/responses/{stored['id']}?include=x")
    assert found.json()["id"] == stored["id"]
    assert httpx.delete(f"{gateway.url}/responses/{stored['id']}").status_code == 200
    assert gateway.post("/embeddings", json={"model": "m", "input": "Hi"}).status_code == 404


def test_reasoning_that_stands_aside_is_not_counted(start: Start, sim: Simulator) -> None:
    """The model that is named counts an answer's items itself: it knows no reasoning, and no key of ours."""
    gateway = start(policy={"models": ["gpt-5.6-luna"], "at_least": None, "effort": "low"})
    asked = {"model": "gpt-4o", "input": "Name a sea."}
    output = gateway.post("/responses", json=asked).json()["output"]
    assert [item["type"] for item in output] == ["message"]
    counted = gateway.post("/responses/input_tokens", json={"model": "gpt-4o", "input": output})
    assert counted.status_code == 200
    assert [item["type"] for item in sim.journal[-1].body["input"]] == ["message"]


def test_health_and_metrics(start: Start) -> None:
    """Health asks the ledger; the counts say who served and how long it took to begin."""
    gateway = start()
    gateway.ask()
    assert httpx.get(f"http://127.0.0.1:{gateway.port}/health").json() == {"status": "ok"}
    page = httpx.get(f"http://127.0.0.1:{gateway.port}/metrics").text
    assert 'routed_calls_total{model="' in page
    assert "routed_attempts_total 1.0" in page
    assert "routed_running 0.0" in page


# ----- keys


def test_a_key_says_for_whom_calls_are(start: Start, store: KeyStore) -> None:
    """Calls are tagged with the key's name and scope, whatever they say themselves."""
    _, secret = store.add("ann", scope="team=search")
    gateway = start(keys=str(store.path))
    routing = {"scope": {"key": "bob", "team": "other", "user": "u"}, "conversation": "c"}
    assert gateway.ask(key=secret, routing=routing).status_code == 200
    (entry,) = gateway.entries()
    assert dict(entry.tags) == {"key": "ann", "team": "search", "user": "u"}
    assert entry.conversation == "c"


@pytest.mark.parametrize("given", ["x", "any", "rk-", "rk-000000000000-x", None], ids=repr)
def test_a_wrong_key_is_refused(start: Start, store: KeyStore, sim: Simulator, given: str | None) -> None:
    """A missing, foreign, cut or revoked key: 401 in OpenAI's form, on every path."""
    _, secret = store.add("ann")
    gateway = start(keys=str(store.path))
    if given is None:
        given = secret
        assert gateway.ask(key=secret).status_code == 200
        store.revoke("ann")
        sim.reset()
    for answer in (
        gateway.ask(key=given),
        gateway.ask(key=given, stream=True),
        gateway.post("/responses", key=given, json={"input": "Hi"}),
        gateway.post("/embeddings", key=given, json={}),
        httpx.get(f"{gateway.url}/models", headers={"authorization": f"Bearer {given}"}),
    ):
        assert answer.status_code == 401
        assert error_of(answer)["code"] == "invalid_api_key"
    assert sim.journal == []
    assert httpx.get(f"http://127.0.0.1:{gateway.port}/health").status_code == 200


def test_a_keys_budget_is_its_own(start: Start, store: KeyStore) -> None:
    """One key's money is not another's; the refusal is OpenAI's for an empty account."""
    _, poor = store.add("poor", budgets={"total": "0.0000001"})
    _, rich = store.add("rich", budgets={"total": "1"})
    gateway = start(keys=str(store.path))
    refused = gateway.ask(key=poor)
    assert refused.status_code == 429
    assert error_of(refused)["code"] == "budget_exceeded"
    assert refused.headers["x-should-retry"] == "false"
    served = gateway.ask(key=rich)
    assert served.status_code == 200
    assert [one["scope"] for one in served.json()["routing"]["remaining"]] == ["key=rich"]


def test_a_call_cannot_change_what_its_key_may(start: Start, store: KeyStore) -> None:
    """The key's models and the gateway's policy hold whatever a call asks for."""
    _, secret = store.add("ann", policy={"models": ["gpt-4.1"]})
    gateway = start(keys=str(store.path), policy={"on_unsupported": "avoid"})
    for routing in ({"models": ["gpt-4o"]}, {"policy": None, "at_least": None, "models": "gpt-5*"}):
        assert gateway.ask(key=secret, routing=routing).json()["routing"]["model"] == "gpt-4.1"
    listed = httpx.get(f"{gateway.url}/models", headers={"authorization": f"Bearer {secret}"}).json()
    assert [model["id"] for model in listed["data"]] == ["gpt-4.1"]


def test_what_no_budget_counts_needs_leave(start: Start, store: KeyStore) -> None:
    """A key with a budget calls only what is booked; no key opens the operator's own paths."""
    _, bounded = store.add("bounded", budgets={"total": 1})
    _, free = store.add("free")
    gateway = start(keys=str(store.path))
    assert error_of(gateway.post("/embeddings", key=bounded, json={}))["code"] == "not_allowed"
    assert error_of(gateway.post("/embeddings", key=free, json={}))["code"] is None  # the provider's own word
    assert error_of(gateway.post("/organization/admin_api_keys", key=free, json={}))["code"] == "not_allowed"


def test_without_keys_only_programs_on_this_machine_may_call(start: Start, sim: Simulator) -> None:
    """A page in a browser here is told apart by the names that it sends."""
    gateway = start()
    body = {"model": "gpt-4o", "messages": MESSAGES}
    for headers in ({"host": "evil.example"}, {"origin": "https://evil.example"}):
        assert gateway.post(json=body, headers=headers).status_code == 403
    page = gateway.post(content=b'{"model":"gpt-4o"}', headers={"content-type": "text/plain"})
    assert page.status_code == 415
    assert sim.journal == []
    for host in ("localhost", "127.0.0.1:4000", "[::1]", "[::1]:4000"):
        assert gateway.post(json=body, headers={"host": host}).status_code == 200


# ----- bad input


@pytest.mark.parametrize(
    ("given", "status", "said"),
    [
        ({"content": b'{"model":', "headers": {"content-type": "application/json"}}, 400, "parse the JSON"),
        ({"content": b"\xff", "headers": {"content-type": "application/json"}}, 400, "parse the JSON"),
        ({"content": b"[" * 100_000, "headers": {"content-type": "application/json"}}, 400, "parse the JSON"),
        ({"json": [1]}, 400, "no object"),
        ({"json": {}}, 400, "neither messages nor input"),
        ({"json": {"model": 7, "messages": MESSAGES}}, 400, "no model id"),
        ({"json": {"model": "gpt-4o", "messages": []}}, 400, "no messages"),
        (
            {"json": {"model": "gpt-4o", "messages": [{"role": "user", "content": [{"type": "x"}]}]}},
            400,
            "unknown type",
        ),
        ({"json": {"model": "gpt-4o", "messages": MESSAGES, "max_tokens": "many"}}, 400, "token count"),
        ({"json": {"model": "gpt-9", "messages": MESSAGES}}, 404, "gpt-9"),
        ({"json": {"model": "gpt-4o", "messages": MESSAGES, "routing": 3}}, 400, "routing is a int"),
        ({"json": {"model": "gpt-4o", "messages": MESSAGES, "routing": {"optimise": 1}}}, 400, "optimise"),
        ({"content": b"x" * 2000, "headers": {"content-type": "application/json"}}, 413, "larger than"),
        (
            {"content": iter([b"x" * 2000]), "headers": {"content-type": "application/json"}},
            413,
            "larger than",
        ),
    ],
    ids=[
        "broken JSON",
        "no text",
        "nested",
        "a list",
        "empty",
        "a number for a model",
        "no message",
        "unknown block",
        "wrong cap",
        "unknown model",
        "routing is no object",
        "wrong keyword",
        "too large",
        "too large, and does not say so",
    ],
)
def test_bad_input_is_refused_in_openais_form(
    start: Start, sim: Simulator, given: dict[str, Any], status: int, said: str
) -> None:
    """A typed error whose last sentence says what to do; nothing is sent."""
    answer = start(largest=1500 if status == 413 else 10**6).post(**given)
    assert answer.status_code == status
    assert said in error_of(answer)["message"]
    assert sim.journal == []


@pytest.mark.parametrize("path", ["/nope", "/v2/chat/completions", "/"])
def test_an_unknown_path_is_refused(start: Start, path: str) -> None:
    """404 as OpenAI says it."""
    answer = httpx.get(f"http://127.0.0.1:{start().port}{path}")
    assert answer.status_code == 404
    assert error_of(answer)["code"] == "unknown_url"


def test_no_path_leads_out_of_the_api(start: Start, sim: Simulator) -> None:
    """What climbs up the provider's paths is refused, however it is written."""
    gateway = start()
    for path in (b"/v1/../admin", b"/v1/%2e%2e/admin", b"/v1/files/..%2fadmin"):
        with socket.create_connection(("127.0.0.1", gateway.port)) as raw:
            raw.sendall(b"GET %b HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n" % path)
            assert b" 404 " in raw.makefile("rb").read().split(b"\r\n")[0]
    assert sim.journal == []


def test_a_slow_body_is_not_waited_for(start: Start) -> None:
    """Who promises a body and does not send it is told, and the connection is free again."""
    gateway = start(patience=0.2)
    with socket.create_connection(("127.0.0.1", gateway.port)) as raw:
        raw.sendall(
            b"POST /v1/chat/completions HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n"
            b"Content-Type: application/json\r\nContent-Length: 100\r\n\r\n{"
        )
        answer = raw.makefile("rb").read()
    assert b" 408 " in answer.split(b"\r\n")[0]
    assert b'"error"' in answer


@pytest.mark.parametrize("path", ["/chat/completions", "/responses"])
@pytest.mark.parametrize("fault", ["cut", "truncate", "sse_error"])
def test_a_provider_that_dies_in_a_stream_is_told_in_it(
    start: Start, sim: Simulator, path: str, fault: str
) -> None:
    """The SDK raises an APIError, nothing hangs, and what had come is booked."""
    gateway = start()
    sim.faults.add(f"{fault};after_chunks=14;times=9")
    with openai.OpenAI(base_url=gateway.url, api_key="any") as client:
        asked: Any = {"model": "gpt-4o", "stream": True}
        opened: Any = (
            client.responses.create(**asked, input="Hi")
            if path == "/responses"
            else client.chat.completions.create(**asked, messages=MESSAGES)
        )
        with pytest.raises(openai.APIError) as caught:
            list(opened)
    assert caught.value.message
    until(lambda: len(gateway.entries()) >= 1)
    assert {entry.outcome for entry in gateway.entries()} <= {"unknown", "server"}


def test_a_provider_that_is_not_there(start: Start) -> None:
    """502 in OpenAI's form, for what is routed and what is passed on."""
    gateway = start(upstream="http://127.0.0.1:9/v1")
    for answer in (gateway.ask(), gateway.ask(stream=True), gateway.post("/embeddings", json={})):
        assert answer.status_code == 502
        assert error_of(answer)["code"] == "unreachable"


def test_a_refusal_of_the_provider_comes_back_as_it_is(start: Start, sim: Simulator) -> None:
    """With its status and words, and the SDK is not to begin all over."""
    gateway = start()
    sim.faults.add("insufficient_quota;times=9")
    answer = gateway.ask()
    assert (answer.status_code, error_of(answer)["code"]) == (429, "insufficient_quota")
    assert answer.headers["x-should-retry"] == "false"


# ----- clients that leave


def test_a_client_that_leaves_a_stream_ends_it_upstream(start: Start, sim: Simulator) -> None:
    """The provider's stream is closed, and what had come is booked."""
    gateway = start()
    sim.faults.add("slow_chunks;seconds=0.02")
    body = {"model": "gpt-4o", "messages": MESSAGES, "stream": True}
    with httpx.stream("POST", f"{gateway.url}/chat/completions", json=body) as answer:
        next(answer.iter_raw())
    url = f"http://127.0.0.1:{gateway.port}/metrics"
    until(lambda: "routed_clients_left_total 1.0" in httpx.get(url).text)
    assert "routed_running 0.0" in httpx.get(url).text
    (entry,) = gateway.entries()
    assert entry.booked > 0


def test_a_client_that_leaves_before_its_answer_frees_what_was_held(start: Start, sim: Simulator) -> None:
    """The request to the provider is given up with it."""
    gateway = start(budgets=({"total": 1},))
    sim.faults.add("hang;seconds=20;times=1")
    with pytest.raises(httpx.ReadTimeout):
        httpx.post(
            f"{gateway.url}/chat/completions", json={"model": "gpt-4o", "messages": MESSAGES}, timeout=0.3
        )
    until(lambda: "routed_running 0.0" in httpx.get(f"http://127.0.0.1:{gateway.port}/metrics").text)
    assert gateway.ask().status_code == 200


def test_many_clients_leave_and_the_books_are_whole(start: Start, sim: Simulator) -> None:
    """A hundred streams, half of them left: every one is booked, at no less than the provider bills."""
    gateway = start()
    body = {"model": "gpt-4o", "messages": MESSAGES, "stream": True}
    limits = httpx.Limits(max_connections=50)

    async def one(client: httpx.AsyncClient, stays: bool) -> None:
        async with client.stream("POST", f"{gateway.url}/chat/completions", json=body) as answer:
            async for _ in answer.aiter_raw():
                if not stays:
                    return

    async def all_of_them() -> None:
        async with httpx.AsyncClient(timeout=60, limits=limits) as client:
            await asyncio.gather(*(one(client, bool(number % 2)) for number in range(100)))

    # A loop of its own: `asyncio.run` would take away the one that the thread has.
    loop = asyncio.new_event_loop()
    loop.run_until_complete(all_of_them())
    loop.close()
    until(lambda: len(gateway.entries()) == 100, 30)
    booked = sum(entry.booked for entry in gateway.entries()) / 10**12
    assert booked >= float(sim.billed) * 0.99


def test_a_client_that_does_not_read_holds_nothing_up(start: Start, sim: Simulator) -> None:
    """One that takes nothing for too long is left; others are served meanwhile."""
    gateway = start(patience=0.5)
    sim.script("tide " * 400_000)
    body = json.dumps({"model": "gpt-4o", "messages": MESSAGES, "stream": True}).encode()
    with socket.socket() as raw:
        raw.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        raw.connect(("127.0.0.1", gateway.port))
        raw.sendall(
            b"POST /v1/chat/completions HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"
            b"Content-Length: %d\r\n\r\n%b" % (len(body), body)
        )
        until(lambda: len(sim.journal) == 1)
        assert gateway.ask().status_code == 200
        until(lambda: len(gateway.entries()) == 2, 60)
