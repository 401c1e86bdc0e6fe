"""What a call took reaches the next decision: measured on the wire, learned, weighed."""

from __future__ import annotations

import math
import warnings
from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta
from random import Random

import httpx
import pytest

from routed_llm import Catalog, MemoryLedger, Policy, read_openai
from routed_llm.calls.router import Router
from routed_llm.decide.speed import SPREAD_SAID, expected_seconds, pace_of
from routed_llm.exchange import Exchange, guard_client
from routed_llm.ledger.base import Entry
from routed_llm.ledger.observer import Observer
from routed_llm.ledger.speeds import SpeedLearner
from routed_llm.usage import Timing, Usage

CATALOG = Catalog.load()
URL = "http://127.0.0.1:9/v1/chat/completions"


class Clock:
    """A clock that is set by hand."""

    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        """Return the seconds that it stands at."""
        return self.now


def slow(clock: Clock, seconds: float, body: bytes) -> Iterator[bytes]:
    """Give a body after a while."""
    clock.now += seconds
    yield body


CHUNKS = [
    (1.0, b'data: {"choices":[{"delta":{"role":"assistant","content":""}}]}\n\n'),
    (2.0, b'data: {"choices":[{"delta":{"content":"Hi"}}]}\n\n'),
    (4.0, b'data: {"choices":[{"delta":{"content":"!"}}]}\n\n'),
]
CALLED = [
    (1.0, b'data: {"choices":[{"delta":{"role":"assistant","content":null}}]}\n\n'),
    (1.5, b'data: {"choices":[{"delta":{"tool_calls":[{"index":0}]}}]}\n\n'),
]
RESPONSES = [
    (0.5, b'event: response.created\ndata: {"type":"response.created"}\n\n'),
    (0.5, b'event: response.output_text.delta\ndata: {"type":"response.output_text.delta","delta":"Hi"}\n\n'),
]


@pytest.mark.parametrize(
    ("parts", "first"),
    [(CHUNKS, 3.0), (CALLED, 2.5), (RESPONSES, 1.0), (CHUNKS[:1], None)],
    ids=["text", "a call", "Responses", "nothing but the opening"],
)
def test_the_first_token_of_a_stream(parts: list[tuple[float, bytes]], first: float | None) -> None:
    """The time to the first token is that of text or of a call, not of what a stream opens with."""
    clock = Clock()

    def answer(request: httpx.Request) -> httpx.Response:
        content = (chunk for seconds, body in parts for chunk in slow(clock, seconds, body))
        return httpx.Response(200, headers={"content-type": "text/event-stream"}, content=content)

    exchange = Exchange(clock=clock)
    with httpx.Client(transport=httpx.MockTransport(answer)) as client:
        guard_client(client)
        with exchange.current(), client.stream("POST", URL) as response:
            list(response.iter_bytes())
    assert exchange.timing == Timing(first, None)


EVENTS = {
    "HTTP/1.1": ("http11.send_request_headers.started", "http11.send_request_body.complete"),
    "HTTP/2": ("http2.send_request_headers.started", "http2.send_request_body.complete"),
}


@pytest.mark.parametrize(("begun", "gone"), EVENTS.values(), ids=EVENTS)
def test_what_may_be_done_meanwhile_is_done_once_the_request_has_gone_out(begun: str, gone: str) -> None:
    """It is done once, and only until then is the client listened to."""
    exchange, done = Exchange(), list[str]()
    exchange.meanwhile = (lambda: done.append("done"),)
    assert [exchange.note("connection.connect_tcp.started"), exchange.note(begun)] == [False, False]
    assert done == []
    assert exchange.note(gone)
    exchange.awaits()
    assert done == ["done"]


def test_an_answer_that_comes_whole() -> None:
    """The time of an answer that is no stream is that to its end."""
    clock = Clock()
    body = b'{"choices":[{"message":{"content":"Hi"}}]}'

    def answer(request: httpx.Request) -> httpx.Response:
        return httpx.Response(200, content=slow(clock, 2.5, body))

    exchange = Exchange(clock=clock)
    with httpx.Client(transport=httpx.MockTransport(answer)) as client:
        guard_client(client)
        with exchange.current():
            client.post(URL)
    assert exchange.timing == Timing(None, 2.5)
    assert exchange.given_up is None


def test_what_was_waited_for_in_vain() -> None:
    """A call that was given up tells how long was waited; one that was never sent tells nothing."""
    clock = Clock()
    exchange = Exchange(clock=clock)
    assert exchange.given_up is None
    exchange.began = clock()
    clock.now += 30
    assert exchange.given_up == Timing(30.0, None, is_censored=True)


def test_slow_answers_move_the_next_decision() -> None:
    """Streams that begin late are expected to; a limit on the first token then takes another model."""
    policy = Policy(max_first_token=4)
    router = Router(catalog=CATALOG, policy=policy, clock=lambda: date(2026, 11, 29))
    request = read_openai({"messages": [{"role": "user", "content": "Hi"}], "stream": True})
    before = router.decide(request)
    assert before.seconds is not None
    assert before.seconds.source == "published class"
    for _ in range(40):
        run = router.begin(before)
        run.exchange.first = 9.0
        run.settle(Usage(input_tokens=8, output_tokens=30))
    after = router.decide(request)
    assert (before.model, before.effort) == ("gpt-5.6-luna", "low")
    assert after.model != "gpt-5.6-luna"
    late = router.decide(request, policy=Policy(models="gpt-5.6-luna"))
    assert late.seconds is not None
    assert late.seconds.source.endswith(" calls")
    assert late.seconds.first > 5


@pytest.mark.parametrize("stream", [True, False], ids=["first token", "whole answer"])
def test_nine_of_ten_answers_come_within_the_90th_percentile(stream: bool) -> None:
    """The spread of a part of the time is not counted again as that of another, to a point or two."""
    random, model, learner = Random(1), CATALOG.get("gpt-5.4"), SpeedLearner()
    published, within = pace_of(model.speed), []
    for number in range(2_000):
        start = published.start * math.exp(random.gauss(0.3, 0.4))
        rate = published.per_second * math.exp(random.gauss(-0.2, 0.35))
        wrote = 100 * math.exp(random.gauss(-(SPREAD_SAID**2) / 2, SPREAD_SAID))
        thought, said = (wrote, 100) if stream else (0, wrote)
        took = start + (thought if stream else said) / rate
        known = learner.paces.get((model.id, "standard"), published)
        expected = expected_seconds(known, 0, 0, 100).whole_p90
        within.append(took <= expected)
        timing = Timing(took, None) if stream else Timing(None, took)
        used = Usage(output_tokens=round(thought + said), reasoning_tokens=round(thought))
        learner.learn(model, "standard", used, timing, at=20.0 * number)
    assert 0.88 <= sum(within[100:]) / len(within[100:]) <= 0.93


def test_a_timeout_is_counted() -> None:
    """A call that timed out is not forgotten: the configuration is expected to be slower."""
    observer, clock = Observer(clock=Clock()), Clock()
    router = Router(catalog=CATALOG, clock=lambda: date(2026, 11, 29))
    decision = router.decide(read_openai({"messages": [{"role": "user", "content": "Hi"}]}))
    clock.now += 60
    for _ in range(10):
        observer.late(decision, CATALOG.get("gpt-5.6-luna"), Timing(60.0, None, is_censored=True))
    assert observer.value.paces["gpt-5.6-luna", "standard"].start > 5


def test_what_was_measured_is_in_the_record() -> None:
    """The record of a call says how long its answer took, and one that was not measured says nothing."""
    router = Router(catalog=CATALOG, clock=lambda: date(2026, 11, 29))
    run = router.begin(router.decide(read_openai({"input": "Hi"})))
    run.exchange.whole = 1.23456
    assert run.settle(Usage(input_tokens=8, output_tokens=30))["took"] == {"whole": 1.235}
    run = router.begin(router.decide(read_openai({"input": "Hi"})))
    assert "took" not in run.settle(Usage(input_tokens=8, output_tokens=30))


@pytest.mark.parametrize(("hours", "slower"), [(0, 2.0), (48, 1.0)], ids=["just now", "two days ago"])
def test_a_process_that_begins_with_a_ledger_knows_how_quick_models_were(hours: float, slower: float) -> None:
    """Times are kept with the entries: what was slow is expected to be so again, unless that is long ago."""
    now = [datetime(2026, 11, 29, 12, tzinfo=UTC)]
    book = MemoryLedger()
    asked = read_openai({"input": "Hi", "max_output_tokens": 400})
    fresh = Router(catalog=CATALOG, clock=lambda: now[0]).decide(asked).seconds
    assert fresh is not None
    earlier = Router(catalog=CATALOG, clock=lambda: now[0], ledger=book)
    for _ in range(40):
        run = earlier.begin(earlier.decide(asked))
        run.exchange.whole = 3 * fresh.whole
        run.settle(Usage(input_tokens=8, output_tokens=200, reasoning_tokens=60))
    assert all(Entry.from_dict(one.to_dict()) == one and one.took[1] for one in book.recent(40))
    now[0] += timedelta(hours=hours)
    later = Router(catalog=CATALOG, clock=lambda: now[0], ledger=book)
    later.begin(later.decide(asked)).cancel()
    seconds = later.decide(asked).seconds
    assert seconds is not None
    assert seconds.source.endswith(" calls")
    assert (seconds.whole > slower * fresh.whole) is (hours == 0)


@pytest.mark.parametrize(
    ("policy", "why_not"),
    [
        (
            Policy(),
            "not in the pool; nothing published on knowledge, science, maths, coding, instructions, language",
        ),
        (Policy(also="gpt-6-luna"), None),
    ],
    ids=["the pool stays", "one model more"],
)
def test_the_providers_own_word(policy: Policy, why_not: str | None) -> None:
    """What OpenAI names in gpt-4o's place is shown with its cost, and why it is not used."""
    router = Router(catalog=CATALOG, policy=policy, clock=lambda: date(2026, 11, 29))
    decision = router.decide(read_openai({"input": "Hi"}))
    assert decision.replacement is not None
    assert decision.replacement["model"] == "gpt-6-luna"
    assert float(decision.replacement["cost"]) > 0
    assert decision.replacement["why_not"] == why_not
    assert decision.to_dict()["replacement"] == decision.replacement


def test_a_temperature_of_zero_is_warned_of_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """That temperature=0 is not sent is said once in a process, with the way out; with a seed it is kept."""
    monkeypatch.setattr("routed_llm.calls.router._WARNED", set())
    router = Router(catalog=CATALOG, clock=lambda: date(2026, 11, 29))
    request = read_openai({"messages": [{"role": "user", "content": "Hi"}], "temperature": 0})
    said = (
        "temperature=0 is not sent to gpt-5.6-luna, which does not take it. To keep it, set "
        "Policy(on_unsupported='avoid'), or give a seed with it."
    )
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        for _ in range(2):
            router.decide(request)
    # It shows the program's line, not one of a library's.
    assert [(str(one.message), one.filename) for one in caught] == [(said, __file__)]
    kept = router.decide(
        read_openai({"messages": [{"role": "user", "content": "Hi"}], "temperature": 0, "seed": 7})
    )
    assert kept.call is not None
    assert kept.call.parameters == {"temperature": 0, "seed": 7}
