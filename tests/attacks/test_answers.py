"""What is no answer, what cannot be true, and what is never seen: a failure of the provider, and booked."""

from __future__ import annotations

import gzip
import json
from typing import Any

import openai
import pytest
from attack_support import SAID, STREAMED, WAYS, booked_router, lying, says

from routed_llm import ProviderError, exchange
from routed_llm.simulator import Simulator

CHAT = {"models": ["gpt-4o", "gpt-4.1"], "at_least": None}
RESPONSES = {"models": ["gpt-5.4-mini", "gpt-5.4"], "at_least": None}
WHOLE = {"id": "x", "object": "chat.completion", "created": 1, "model": "gpt-4o"}
NOTHING_SAID = {
    "half a JSON object": says(200, b'{"id": "chatcmpl-1", "object": "chat.comp'),
    "an error page": says(200, b"<html><body>Just a moment...</body></html>", "text/html"),
    "nothing": says(200, b""),
    "a list": says(200, []),
    "a string": says(200, "busy"),
    "an error inside 200": says(
        200, {"error": {"message": "The server had an error", "type": "server_error"}}
    ),
    "an error as a string": says(200, {"error": "upstream is overloaded"}),
    "choices null": says(200, {**WHOLE, "choices": None, "output": None}),
    "choices empty": says(200, {**WHOLE, "choices": []}),
    "choices without a message": says(200, {**WHOLE, "choices": [{"index": 0, "message": None}]}),
    "half of a compressed body": says(
        200, gzip.compress(json.dumps(WHOLE).encode() * 40)[:60], content_encoding="gzip"
    ),
    "not compressed as it says": says(200, b"{}", content_encoding="gzip"),
    "another coding": says(200, b"\xff\xfe\x00{\x00}", "application/json; charset=utf-16"),
}


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("lie", NOTHING_SAID)
def test_what_is_no_answer_is_moved_on_from_and_booked(sim: Simulator, way: str, lie: str) -> None:
    """Another model answers; the first request is in the books as unknown, with what was reserved."""
    make, call = WAYS[way]
    router = booked_router()
    with lying(sim.url, NOTHING_SAID[lie]) as liar:
        got = call(make(liar.url, router, policy=CHAT))
    assert (got.text, len(liar.asked)) == (SAID, 2)
    first, second = router.ledger.entries()
    assert (first.outcome, second.outcome) == ("unknown", "answered")
    assert first.booked > 0
    (attempt,) = got.record["attempts"]
    assert attempt["error"]["kind"] in ("unreadable", "server", "connection")


@pytest.mark.parametrize("way", ["invoke", "astream", "achat", "stream_chat", "create", "acreate_stream"])
@pytest.mark.parametrize("lie", NOTHING_SAID)
def test_what_is_never_an_answer_is_a_typed_error(sim: Simulator, way: str, lie: str) -> None:
    """When nothing else comes, the error is one of the SDK's or ours, and every request is booked."""
    make, call = WAYS[way]
    router = booked_router()
    with lying(sim.url, always=NOTHING_SAID[lie]) as liar:
        llm = make(liar.url, router, policy={**CHAT, "models": ["gpt-4o"]}, max_retries=0)
        with pytest.raises((openai.APIError, ProviderError)) as caught:
            call(llm)
    assert len(caught.value.attempts) == len(liar.asked) == 1
    assert [entry.outcome for entry in router.ledger.entries()] == ["unknown"]


FALSE_USAGE: dict[str, Any] = {
    "a string": "many",
    "a list": [1, 2],
    "counts as strings": {"prompt_tokens": "12", "completion_tokens": "x", "input_tokens": "12"},
    "negative": {"prompt_tokens": -5, "completion_tokens": 7, "input_tokens": -5, "output_tokens": 7},
    "fractions": {"prompt_tokens": 1.5, "completion_tokens": 7, "input_tokens": 1.5, "output_tokens": 7},
    "true": {"prompt_tokens": True, "input_tokens": True},
    "details that are a string": {
        "prompt_tokens": 1,
        "input_tokens": 1,
        "prompt_tokens_details": "none",
        "input_tokens_details": "none",
    },
    "negative details": {
        "prompt_tokens": 1,
        "input_tokens": 1,
        "prompt_tokens_details": {"cached_tokens": -1},
        "input_tokens_details": {"cached_tokens": -1},
    },
    "more than there can be": {"prompt_tokens": 10**30, "input_tokens": 10**30},
}


def with_usage(usage: Any) -> Any:
    """Return a lie: the truth with another usage."""

    def lie(handler: Any, asked: Any, truth: Any) -> None:
        status, headers, body = truth()
        if "event-stream" not in headers["content-type"]:
            handler.answer(status, headers, json.dumps({**json.loads(body), "usage": usage}).encode())
            return
        lines = []
        for line in body.split(b"\n"):
            if line.startswith(b"data: {"):
                event = json.loads(line[6:])
                inner = event.get("response", event)
                if inner.get("usage"):
                    inner["usage"] = usage
                line = b"data: " + json.dumps(event).encode()
            lines.append(line)
        handler.answer(status, headers, b"\n".join(lines))

    return lie


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize(
    ("policy", "usage"),
    [(CHAT, usage) for usage in FALSE_USAGE] + [(RESPONSES, usage) for usage in list(FALSE_USAGE)[:4]],
    ids=lambda value: value if isinstance(value, str) else "chat" if value is CHAT else "responses",
)
def test_a_usage_that_cannot_be_books_what_was_reserved(
    sim: Simulator, way: str, policy: dict[str, Any], usage: str
) -> None:
    """The answer stands; what it cost is not known, and what was reserved is charged."""
    make, call = WAYS[way]
    router = booked_router()
    chosen = {**policy, "endpoints": ["responses"]} if policy is RESPONSES else policy
    with lying(sim.url, with_usage(FALSE_USAGE[usage])) as liar:
        got = call(make(liar.url, router, policy=chosen))
    assert got.text == SAID
    assert [asked.path for asked in liar.asked] == [
        "/v1/responses" if policy is RESPONSES else "/v1/chat/completions"
    ]
    (entry,) = router.ledger.entries()
    assert (entry.outcome, entry.usage, entry.cost) == ("answered", None, None)
    assert entry.booked > 0


@pytest.mark.filterwarnings("ignore:Pydantic serializer")
@pytest.mark.parametrize("way", STREAMED)
@pytest.mark.parametrize(
    "events",
    [
        pytest.param(b'data: {"id": "x", "object": "chat.completion.chunk", "choices": null}\n\n', id="null"),
        pytest.param(b"data: <html>\n\n", id="a page"),
        pytest.param(b'data: {"id": "x", "choi\n\n', id="half an event"),
        pytest.param(b"data: [1, 2]\n\n", id="a list"),
        pytest.param(b'data: {"id": "x", "choices": ["hello"]}\n\n', id="no choice"),
        pytest.param(b": keep-alive\n\n", id="a comment"),
        pytest.param(b'data: {"error": {"message": "no", "type": "server_error"}}\n\n', id="an error"),
    ],
)
def test_events_that_cannot_be_read(sim: Simulator, way: str, events: bytes) -> None:
    """A stream that cannot be read fails before its first token: another model answers, and it is booked."""
    make, call = WAYS[way]
    router = booked_router()
    with lying(sim.url, says(200, events, "text/event-stream")) as liar:
        got = call(make(liar.url, router, policy=CHAT))
    assert (got.text, len(liar.asked)) == (SAID, 2)
    assert [entry.outcome for entry in router.ledger.entries()] == ["unknown", "answered"]


@pytest.mark.parametrize("way", ["invoke", "ainvoke", "chat", "achat", "create", "acreate"])
def test_few_bytes_that_become_many(sim: Simulator, monkeypatch: pytest.MonkeyPatch, way: str) -> None:
    """An answer is not read beyond what one can be long; another model answers, and it is booked."""
    monkeypatch.setattr(exchange, "LONGEST", 1_000_000)
    make, call = WAYS[way]
    router = booked_router()
    bomb = gzip.compress(json.dumps({**WHOLE, "filler": "x" * 20_000_000}).encode())
    with lying(sim.url, says(200, bomb, content_encoding="gzip")) as liar:
        got = call(make(liar.url, router, policy=CHAT))
    assert (got.text, len(liar.asked)) == (SAID, 2)
    assert [entry.outcome for entry in router.ledger.entries()] == ["unknown", "answered"]
