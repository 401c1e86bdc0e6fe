"""Connections, threads, headers and the control endpoints."""

from __future__ import annotations

import asyncio
import signal
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from datetime import date

import httpx
import openai
import pytest

from routed_llm.simulator import Simulator, serve

HI = [{"role": "user", "content": "hi"}]


def test_five_calls_one_connection(client: openai.OpenAI, simulator: Simulator) -> None:
    """Connections are kept alive, over refusals too."""
    for model in ("gpt-4o", "gpt-5", "gpt-4o", "gpt-9", "gpt-4o"):
        try:
            client.chat.completions.create(model=model, messages=HI)
        except openai.NotFoundError:
            assert model == "gpt-9"
    assert simulator.connections == 1
    assert len(simulator.journal) == 5


def test_many_threads(client: openai.OpenAI, simulator: Simulator) -> None:
    """32 threads get each their own answer."""

    def one(i: int) -> bool:
        said = client.chat.completions.create(
            model="gpt-4o", messages=[{"role": "user", "content": f'Say "n{i}"'}]
        )
        return said.choices[0].message.content == f"n{i}"

    with ThreadPoolExecutor(32) as pool:
        assert all(pool.map(one, range(192)))
    assert len(simulator.journal) == 192
    assert simulator.billed == sum(entry.dollars for entry in simulator.journal) > 0


async def test_many_tasks(simulator: Simulator) -> None:
    """64 concurrent tasks of the asynchronous client are all answered."""
    async with openai.AsyncOpenAI(base_url=simulator.url, api_key="k", max_retries=0) as client:
        replies = await asyncio.gather(
            *(client.responses.create(model="gpt-6-luna", input=f'Say "n{i}"') for i in range(64))
        )
    assert [reply.output_text for reply in replies] == [f"n{i}" for i in range(64)]


def test_headers(client: openai.OpenAI) -> None:
    """A reply names the request, the time it took and what is left of the limits."""
    reply = client.chat.completions.with_raw_response.create(model="gpt-4o", messages=HI)
    assert reply.headers["x-request-id"].startswith("req_")
    assert int(reply.headers["openai-processing-ms"]) >= 1
    for what in ("requests", "tokens"):
        for part in ("limit", "remaining", "reset"):
            assert reply.headers[f"x-ratelimit-{part}-{what}"]


def test_control(client: openai.OpenAI, simulator: Simulator) -> None:
    """Faults, date and journal can be reached over HTTP."""
    base = simulator.url.removesuffix("/v1") + "/_control"
    assert httpx.post(f"{base}/date", json={"at": "2027-01-15"}).json() == {"at": "2027-01-15"}
    with pytest.raises(openai.NotFoundError):
        client.chat.completions.create(model="gpt-4o", messages=HI)
    assert httpx.post(f"{base}/faults", json={"kind": "500"}).json()["faults"][0]["kind"] == "500"
    with pytest.raises(openai.InternalServerError):
        client.chat.completions.create(model="gpt-6-luna", messages=HI)
    found = httpx.get(f"{base}/journal").json()
    assert [(row["status"], row["by"]) for row in found["requests"]] == [(404, "rule"), (500, "fault")]
    assert found["connections"] == 1
    assert httpx.post(f"{base}/faults", json={"kind": "fire"}).status_code == 400
    assert httpx.get(f"{base}/nothing").status_code == 404
    assert httpx.request("DELETE", f"{base}/journal").json()["requests"] == []


def test_wrong_key_and_wrong_path() -> None:
    """With a key set only that key is served; unknown paths are 404."""
    with serve(at=date(2026, 11, 22), api_key="right") as simulator:
        with openai.OpenAI(base_url=simulator.url, api_key="wrong-key-1234", max_retries=0) as client:
            with pytest.raises(openai.AuthenticationError) as info:
                client.models.list()
            assert info.value.code == "invalid_api_key"
        reply = httpx.get(f"{simulator.url}/nothing", headers={"authorization": "Bearer right"})
        assert (reply.status_code, reply.json()["error"]["message"]) == (404, "Invalid URL (GET /v1/nothing)")


def test_run_serves_until_interrupted() -> None:
    """`run` tells where it listens and ends on SIGINT."""
    code = "from routed_llm.simulator import run; run(port=0, ready=lambda s: print(s.url, flush=True))"
    with subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        url = process.stdout.readline().strip()
        try:
            reply = httpx.get(f"{url}/models", headers={"authorization": "Bearer k"})
        finally:
            process.send_signal(signal.SIGINT)
        assert reply.status_code == 200
        assert process.wait(10) == 0
