"""The application without the protocol of ``routed serve``, as another ASGI server runs it."""

from __future__ import annotations

import asyncio
import json
from contextlib import closing
from typing import Any

import httpx
from adapter_fixtures import TODAY

from routed_llm.gateway import Settings
from routed_llm.gateway.app import Gateway
from routed_llm.simulator import Simulator

BODY: dict[str, Any] = {"model": "gpt-4o", "messages": [{"role": "user", "content": "What is a tide?"}]}


def test_calls_are_served_and_clients_may_leave(sim: Simulator) -> None:
    """Answers come whole, in parts and from elsewhere; a call whose client has left is given up."""
    gateway = Gateway(Settings(upstream=sim.url, upstream_key="sk-up", at=TODAY.isoformat()))

    async def called() -> list[httpx.Response]:
        transport = httpx.ASGITransport(gateway.app)
        async with (
            gateway._lifespan(gateway.app),
            httpx.AsyncClient(transport=transport, base_url="http://127.0.0.1/v1") as client,
        ):
            await gateway.app(scope(), left(), sent.append)
            return [
                await client.post("/chat/completions", json=BODY),
                await client.post("/chat/completions", json={**BODY, "stream": True}),
                await client.get("/batches"),
            ]

    sent: list[Any] = []
    # A loop of its own: `asyncio.run` would take away the one that the thread has.
    with closing(asyncio.new_event_loop()) as loop:
        whole, streamed, passed = loop.run_until_complete(called())
    assert (whole.status_code, whole.json()["model"]) == (200, "gpt-5.6-luna")
    assert streamed.text.endswith("data: [DONE]\n\n")
    assert passed.json()["data"] == []
    assert sent == []
    assert "routed_clients_left_total 1.0" in gateway._metrics.page().decode()


def scope() -> dict[str, Any]:
    """Return what an ASGI server says of a call."""
    length = str(len(json.dumps(BODY))).encode()
    headers = [(b"host", b"localhost"), (b"content-type", b"application/json"), (b"content-length", length)]
    return {"type": "http", "method": "POST", "path": "/v1/chat/completions", "headers": headers}


def left() -> Any:
    """Return how the call is received of a client that leaves at once."""
    messages = [{"type": "http.request", "body": json.dumps(BODY).encode(), "more_body": False}]

    async def receive() -> dict[str, Any]:
        return messages.pop() if messages else {"type": "http.disconnect"}

    return receive
