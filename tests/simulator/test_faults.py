# ruff: noqa: E501  tables of cases are read by the row
"""Every failure on demand, as the SDK's clients meet it."""

from __future__ import annotations

import time
from typing import Any

import httpx
import openai
import pytest

from routed_llm.simulator import Fault, Simulator

HI = [{"role": "user", "content": 'Say "one two three four"'}]


def ask(client: openai.OpenAI, **more: Any) -> Any:
    """A small request to gpt-4o."""
    return client.chat.completions.create(model="gpt-4o", messages=HI, **more)


@pytest.mark.parametrize(
    ("kind", "error", "status", "code", "type_"),
    [
        ("429", openai.RateLimitError, 429, "rate_limit_exceeded", "tokens"),
        ("429_no_headers", openai.RateLimitError, 429, "rate_limit_exceeded", "tokens"),
        ("tpm_too_large", openai.RateLimitError, 429, "rate_limit_exceeded", "tokens"),
        ("insufficient_quota", openai.RateLimitError, 429, "insufficient_quota", "insufficient_quota"),
        ("no_access", openai.NotFoundError, 404, "model_not_found", "invalid_request_error"),
        ("cut_short", openai.BadRequestError, 400, None, "invalid_request_error"),
        ("500", openai.InternalServerError, 500, None, "server_error"),
        ("503", openai.InternalServerError, 503, None, "server_error"),
        ("502_html", openai.InternalServerError, 502, None, None),
        ("sse_error", openai.InternalServerError, 500, None, "server_error"),
    ],
)
@pytest.mark.parametrize("endpoint", ["chat", "responses"])
def test_refusals(
    client: openai.OpenAI, simulator: Simulator, endpoint: str, kind: str, error: type, status: int,
    code: str | None, type_: str | None,
) -> None:  # fmt: skip
    """A planned refusal strikes once, bills nothing, and is no broken rule."""
    simulator.faults.add(kind=kind)
    send = (
        (lambda: ask(client))
        if endpoint == "chat"
        else (lambda: client.responses.create(model="gpt-4o", input=HI))
    )
    with pytest.raises(error) as info:
        send()
    assert (info.value.status_code, info.value.code, info.value.type) == (status, code, type_)
    assert (simulator.billed, simulator.refused, simulator.journal[0].fault) == (0, [], kind)
    send()


def test_rate_limit_words_and_headers(client: openai.OpenAI, simulator: Simulator) -> None:
    """A 429 says when to come back in words, and in headers unless they are left out."""
    simulator.faults.add(kind="429", seconds=0.7)
    simulator.faults.add(kind="429_no_headers", seconds=0.7)
    for present in (True, False):
        with pytest.raises(openai.RateLimitError) as info:
            ask(client)
        assert "Please try again in 700ms." in info.value.message
        assert ("retry-after-ms" in info.value.response.headers) == present
        assert ("x-ratelimit-limit-tokens" in info.value.response.headers) == present


def test_sdk_retries_and_the_journal_counts_them(simulator: Simulator) -> None:
    """The SDK tries three times; the journal shows which attempt each request was."""
    simulator.faults.add(kind="429", times=2, seconds=0.001)
    with openai.OpenAI(base_url=simulator.url, api_key="k") as client:
        ask(client)
    assert [(entry.status, entry.retry) for entry in simulator.journal] == [(429, 0), (429, 1), (200, 2)]


def test_error_inside_a_chat_stream(client: openai.OpenAI, simulator: Simulator) -> None:
    """An error event in a stream is an APIError without a status."""
    simulator.faults.add(kind="sse_error", after_chunks=2)
    stream = iter(ask(client, stream=True))
    next(stream)
    next(stream)
    with pytest.raises(openai.APIError) as info:
        next(stream)
    assert info.value.type == "server_error"
    assert not isinstance(info.value, openai.APIStatusError)


def test_cut(client: openai.OpenAI, simulator: Simulator) -> None:
    """A stream or a body that is cut is a broken connection."""
    simulator.faults.add(kind="cut", times=2)
    with pytest.raises((httpx.RemoteProtocolError, openai.APIConnectionError)):
        list(ask(client, stream=True))
    with pytest.raises((httpx.RemoteProtocolError, openai.APIConnectionError)):
        ask(client)


def test_truncated_stream_ends_without_a_reason(client: openai.OpenAI, simulator: Simulator) -> None:
    """A truncated stream ends cleanly; only the missing finish reason tells."""
    simulator.faults.add(kind="truncate", after_chunks=3)
    chunks = list(ask(client, stream=True))
    assert len(chunks) == 3
    assert all(chunk.choices[0].finish_reason is None for chunk in chunks)


@pytest.mark.parametrize(("kind", "waits"), [("stall", 1), ("slow_first_token", 1), ("slow_chunks", 5)])
def test_slow_streams_arrive_whole(
    client: openai.OpenAI, simulator: Simulator, kind: str, waits: int
) -> None:
    """A slow stream takes its time and says everything."""
    simulator.faults.add(kind=kind, seconds=0.05)
    start = time.monotonic()
    text = "".join(chunk.choices[0].delta.content or "" for chunk in ask(client, stream=True))
    assert text == "one two three four"
    assert time.monotonic() - start >= 0.05 * waits * 0.9


@pytest.mark.parametrize(
    ("kind", "begins"), [("200_html", b"<html>"), ("200_error", b'{"error": {'), ("200_empty", b"{}")]
)
def test_an_answer_that_nobody_can_read_is_billed(simulator: Simulator, kind: str, begins: bytes) -> None:
    """The provider answered; what stands between spoilt it."""
    simulator.faults.add(kind=kind)
    body = {"model": "gpt-4o", "messages": HI}
    found = httpx.post(f"{simulator.url}/chat/completions", json=body, headers={"authorization": "Bearer k"})
    assert (found.status_code, found.content.startswith(begins)) == (200, True)
    assert simulator.billed > 0


def test_hang_times_out(simulator: Simulator) -> None:
    """A request that hangs is ended by the client's own timeout."""
    simulator.faults.add(kind="hang", seconds=5)
    with openai.OpenAI(base_url=simulator.url, api_key="k", max_retries=0, timeout=0.3) as impatient:
        found = _caught(impatient)
    assert isinstance(found, openai.APITimeoutError)


def _caught(client: openai.OpenAI) -> Exception:
    """The error of one request."""
    with pytest.raises(openai.APIError) as info:
        ask(client)
    return info.value


def test_where_a_fault_strikes(client: openai.OpenAI, simulator: Simulator) -> None:
    """A fault can be bound to a model, an endpoint and the nth request."""
    simulator.faults.add(Fault(kind="500", model="gpt-4o", endpoint="chat", nth=2))
    client.chat.completions.create(model="gpt-4.1", messages=HI)
    client.responses.create(model="gpt-4o", input=HI)
    ask(client)
    with pytest.raises(openai.InternalServerError):
        ask(client)
    ask(client)
    assert simulator.faults.pending() == []


def test_fault_by_header(client: openai.OpenAI) -> None:
    """A request can ask for its own failure."""
    with pytest.raises(openai.InternalServerError):
        ask(client, extra_headers={"x-simulator-fault": "503"})
    ask(client)


@pytest.mark.parametrize(
    ("row", "message"),
    [
        ({"kind": "fire"}, "There is no fault of kind 'fire'. Use one of: 429, 429_no_headers, tpm_too_large, "
         "insufficient_quota, no_access, cut_short, 500, 502_html, 503, sse_error, cut, truncate, stall, slow_first_token, slow_chunks, hang, 200_html, 200_error, 200_empty."),
        ({"kind": "hang", "seconds": 900}, "A fault may wait 0 to 60 seconds, not 900.0. Give fewer seconds."),
        ({"kind": "500", "when": 1}, "A fault has no 'when'. Use: after_chunks, endpoint, kind, model, nth, seconds, share, times."),
    ],
    ids=["kind", "too long", "key"],
)  # fmt: skip
def test_impossible_faults(simulator: Simulator, row: dict[str, Any], message: str) -> None:
    """A fault that cannot be is refused in words that say what can."""
    with pytest.raises(ValueError) as info:  # noqa: PT011  the whole text is compared
        simulator.faults.add(row)
    assert str(info.value) == message


def test_limits(client: openai.OpenAI, simulator: Simulator) -> None:
    """A request over the minute's limit is a 429; one over the limit itself is too large for ever."""
    simulator.limit("gpt-4o", tpm=100)
    ask(client, max_tokens=50)
    with pytest.raises(openai.RateLimitError) as over:
        ask(client, max_tokens=50)
    assert over.value.message.find("Limit 100, Used 64, Requested 64. Please try again in ") > 0
    with pytest.raises(openai.RateLimitError) as large:
        ask(client, max_tokens=500)
    assert large.value.body == {
        "message": "Request too large for gpt-4o in organization org-simulated on tokens per min (TPM): Limit 100, "
        "Requested 514. The input or output tokens must be reduced in order to run successfully. Visit "
        "https://platform.openai.com/account/rate-limits to learn more.",
        "type": "tokens", "param": None, "code": "rate_limit_exceeded",
    }  # fmt: skip
    client.chat.completions.create(model="gpt-4.1", messages=HI, max_tokens=500)


def test_a_fault_strikes_a_share(client: openai.OpenAI, simulator: Simulator) -> None:
    """A share of the requests is struck, drawn by the seed; a share of nothing never is, one of all always."""
    from routed_llm.simulator.faults import FaultPlan

    def struck(share: float, seed: int) -> list[bool]:
        plan = FaultPlan((Fault(kind="500", times=0, share=share),), seed)
        return [plan.strike("chat", ("gpt-4o",)) is not None for _ in range(400)]

    assert 60 < sum(struck(0.2, 1)) < 100
    assert struck(0.2, 1) == struck(0.2, 1) != struck(0.2, 2)
    assert (sum(struck(0.0, 1)), sum(struck(1.0, 1))) == (0, 400)
    with pytest.raises(ValueError, match=r"A fault strikes a share of 0 to 1, not 1\.5\. Give a part of 1\."):
        Fault(kind="500", share=1.5)
