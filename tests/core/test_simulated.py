"""What is decided for random requests is what the simulator, whose rules are its own, accepts and counts."""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date
from random import Random
from typing import Any

import core_requests as generated
import httpx
import pytest
from core_support import AFTER, CATALOG, REVIEW, TODAY, body_of, router

from routed_llm import Decision, NoModelFits, Request, read_openai
from routed_llm.media import tokens_for
from routed_llm.simulator import Simulator, serve
from routed_llm.tokens.counting import Counting

DAYS = {"2026-04-22": REVIEW, "2026-11-22": TODAY, "2027-01-15": AFTER}
CHUNKS = 5
PER_CHUNK = int(os.environ.get("ROUTED_TEST_REQUESTS", "20"))
"""Requests of one test; set the variable to more for a longer search."""


@dataclass(frozen=True)
class Sent:
    """One generated request, what was decided for it, and the answer."""

    seed: int
    payload: dict[str, Any]
    request: Request
    decision: Decision
    path: str
    answer: httpx.Response


@pytest.fixture(scope="module")
def simulator() -> Iterator[Simulator]:
    """A running simulator; each test sets its day."""
    with serve(at=TODAY) as running:
        yield running


def send(simulator: Simulator, at: date, seeds: range) -> list[Sent]:
    """Decide for the requests of some seeds and send what was decided; what nothing serves is left out."""
    simulator.at = at
    found = []
    with httpx.Client(base_url=simulator.url, headers={"authorization": "Bearer x"}, timeout=60) as client:
        for seed in seeds:
            random = Random(seed)
            payload, policy = generated.payload(random), generated.policy(random)
            pinned = random.random() < 0.25
            model = random.choice(generated.chat_models()) if pinned else None
            request = read_openai({**payload, "model": model}, pin=pinned)
            try:
                decision = router(at, **policy).decide(request)
            except NoModelFits:
                continue
            assert decision.call is not None
            path, body = body_of(decision.call, payload)
            if not CATALOG.get(str(decision.model)).streaming:
                body.pop("stream", None)  # an adapter sends the whole answer as one chunk
            found.append(Sent(seed, payload, request, decision, path, client.post(path, json=body)))
    return found


def seeds(chunk: int) -> range:
    """Give the seeds of one chunk."""
    return range(chunk * PER_CHUNK, (chunk + 1) * PER_CHUNK)


def is_known_difference(sent: Sent) -> bool:
    """Say whether catalog and simulator are known to differ here.

    The retired codex models: the sources list no kinds of input for them. Their family's later models take
    images, which the catalog takes over and the simulator, with a list of its own, does not.
    """
    model = CATALOG.get(str(sent.decision.model))
    return model.family == "gpt-5-codex" and bool(sent.request.facts.images)


@pytest.mark.parametrize("chunk", range(CHUNKS))
@pytest.mark.parametrize("day", DAYS)
def test_what_is_decided_is_accepted(simulator: Simulator, day: str, chunk: int) -> None:
    """Nothing that the core decides is refused: endpoint, effort, cap, parameters, tools, images."""
    sent = send(simulator, DAYS[day], seeds(chunk))
    assert sent
    refused = [
        f"seed {item.seed}: {item.decision.call}: {item.answer.text}"
        for item in sent
        if item.answer.status_code != 200 and not is_known_difference(item)
    ]
    assert refused == []


@pytest.mark.parametrize("chunk", range(CHUNKS))
def test_local_counts_match_reported_usage(simulator: Simulator, chunk: int) -> None:
    """Text and images count as the simulator bills them; tools, calls and schemas within two tokens.

    Both were found on recorded requests, each in its own way. Whatever is billed lies within the bounds.
    """
    sent = send(simulator, TODAY, seeds(100 + chunk))
    wrong = []
    for item in sent:
        model = CATALOG.get(str(item.decision.model))
        if item.payload.get("stream") or item.answer.status_code != 200:
            continue
        if item.request.facts.images and model.image is None:
            continue  # gpt-5-search-api: no rule is known
        usage = item.answer.json()["usage"]
        billed = usage["prompt_tokens"] if "prompt_tokens" in usage else usage["input_tokens"]
        endpoint = "responses" if item.path.endswith("responses") else "chat_completions"
        counted = tokens_for(item.request.facts, model, endpoint).plus(counted_text(item.request))
        off = abs(counted.likely - billed)
        if off > (2 if _has_frames(item.payload) else 0) or not counted.low <= billed <= counted.high:
            wrong.append((item.seed, model.id, counted, billed))
    assert wrong == []
    assert len(sent) > PER_CHUNK // 3


def counted_text(request: Request) -> int:
    """Count a request's text exactly."""
    return Counting(request.texts, known=request.fixed).exact()


def _has_frames(payload: dict[str, Any]) -> bool:
    called = any(message["role"] == "tool" for message in payload["messages"])
    schema = payload.get("response_format", {}).get("type") == "json_schema"
    return called or schema or bool(payload.get("tools"))
