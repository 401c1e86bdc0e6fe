"""Servers that cannot be asked for the usage of a stream: they refuse it, or break over it."""

from __future__ import annotations

import json
from typing import Any

import httpx
import openai
import openai_routed
import pytest
from llama_index.core.llms import ChatMessage
from llama_index.llms.routed import RoutedLLM

from routed_llm import MemoryLedger, Router

ONE = {"models": ["gpt-4o"], "at_least": None}
REFUSED = {
    "error": {
        "message": "Unknown parameter: 'stream_options'.",
        "type": "invalid_request_error",
        "param": "stream_options",
        "code": "unknown_parameter",
    }
}
EXTRA = {"detail": [{"type": "extra_forbidden", "loc": ["body", "stream_options"]}]}
OPENAIS = {"openai-processing-ms": "5"}


class Server:
    """A compatible server that streams to who asks for no usage.

    Args:
        status: what others get.
        body: with which body.
        headers: with which headers.
    """

    def __init__(self, status: int, body: Any = None, headers: Any = None) -> None:
        self._refusal = (status, body, headers)
        self.asked: list[bool] = []

    def client(self) -> httpx.Client:
        """Return a client that reaches it."""
        return httpx.Client(transport=httpx.MockTransport(self._answer))

    def _answer(self, request: httpx.Request) -> httpx.Response:
        self.asked.append("stream_options" in json.loads(request.content))
        status, body, headers = self._refusal
        if self.asked[-1]:
            return httpx.Response(status, json=body, headers=headers)
        chunk = {"id": "c", "object": "chat.completion.chunk", "created": 1, "model": "gpt-4o"}
        said = {"index": 0, "delta": {"role": "assistant", "content": "Lima"}, "finish_reason": None}
        ends = {"index": 0, "delta": {}, "finish_reason": "stop"}
        lines = [json.dumps({**chunk, "choices": [choice]}) for choice in (said, ends)] + ["[DONE]"]
        text = "".join(f"data: {line}\n\n" for line in lines)
        return httpx.Response(200, text=text, headers={"content-type": "text/event-stream"})


def with_llama_index(server: Server, router: Router, retries: int) -> Any:
    """Return what streams an answer."""
    common: dict[str, Any] = {"api_base": "http://x.test/v1", "api_key": "k", "http_client": server.client()}
    llm = RoutedLLM(model="gpt-4o", policy=ONE, router=router, max_retries=retries, **common)
    return lambda: [*llm.stream_chat([ChatMessage("Hi")])][-1].message.content


def with_the_client(server: Server, router: Router, retries: int) -> Any:
    """Return what streams an answer."""
    common: dict[str, Any] = {"base_url": "http://x.test/v1", "api_key": "k", "http_client": server.client()}
    client = openai_routed.OpenAI(policy=ONE, router=router, max_retries=retries, **common)

    def ask() -> str:
        given: Any = {"model": "gpt-4o", "messages": [{"role": "user", "content": "Hi"}]}
        chunks = client.chat.completions.create(**given, stream=True)
        return "".join(chunk.choices[0].delta.content or "" for chunk in chunks if chunk.choices)

    return ask


WAYS = pytest.mark.parametrize("way", [with_llama_index, with_the_client], ids=["LlamaIndex", "client"])


@WAYS
@pytest.mark.parametrize("retries", [0, 2])
@pytest.mark.parametrize(
    ("server", "booked"),
    [
        pytest.param((400, REFUSED), 0, id="400"),
        pytest.param((422, EXTRA), 0, id="422"),
        pytest.param((500, {"detail": "?"}), 1, id="500"),
    ],
)
def test_it_is_asked_once(way: Any, retries: int, server: Any, booked: int) -> None:
    """The stream comes all the same; what may have been billed is booked, and later ones are not asked."""
    at, router = Server(*server), Router(ledger=MemoryLedger())
    ask = way(at, router, retries)
    assert (ask(), ask()) == ("Lima", "Lima")
    assert at.asked == [True, False, False]
    outcomes = [entry.outcome for entry in router.ledger.entries() if entry.booked]
    assert outcomes.count("unknown") == booked


@WAYS
@pytest.mark.parametrize(
    ("status", "headers"), [(500, OPENAIS), (502, None)], ids=["OpenAI's own", "a proxy before it"]
)
def test_other_failures_are_no_sign_of_it(way: Any, status: int, headers: Any) -> None:
    """What fails for a moment is asked again the next time."""
    at, router = Server(status, {"error": {"message": "Sorry."}}, headers), Router(ledger=MemoryLedger())
    with pytest.raises(openai.InternalServerError):
        way(at, router, 0)()
    assert at.asked == [True]
