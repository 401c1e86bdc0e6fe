"""From an accepted request to its reply: answers, usage, and both dialects' bodies and events."""

from __future__ import annotations

import dataclasses
import hashlib
import json
from collections.abc import Iterator
from typing import Any

from routed_llm.simulator import chat_reply, responses_reply
from routed_llm.simulator.answer import Answer, answer
from routed_llm.simulator.ask import Ask
from routed_llm.simulator.billing import Used, billed, tier_for
from routed_llm.simulator.failures import ApiFailure
from routed_llm.simulator.faults import Fault
from routed_llm.simulator.frozen import load
from routed_llm.simulator.hosted import Ran, run
from routed_llm.simulator.journal import Entry
from routed_llm.simulator.latency import taken
from routed_llm.simulator.models import SimulatedModel
from routed_llm.simulator.state import State
from routed_llm.simulator.tokens import encode


@dataclasses.dataclass(slots=True, kw_only=True)
class Reply:
    """What goes out: a body, or the events of a stream; a fault for the transport to play."""

    status: int = 200
    body: Any = None
    events: Iterator[dict[str, Any]] | None = None
    headers: dict[str, str] = dataclasses.field(default_factory=dict)
    fault: Fault | None = None
    html: bool = False
    dialect: str = "chat"


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Accepted:
    """A request that passed every rule.

    Attributes:
        body: the request without nulls.
        ids: the tokens of the prompt.
        items: the input items of a Responses request, earlier responses included.
    """

    model: SimulatedModel
    ask: Ask
    body: dict[str, Any]
    ids: list[int]
    items: list[dict[str, Any]] = dataclasses.field(default_factory=list)


def serve_request(state: State, request: Accepted, book: Entry) -> Reply:
    """Return the reply to an accepted request; usage and dollars go into its journal entry."""
    answers, ran = _answers(state, request)
    used = _usage(state, request, answers, ran)
    book.served, book.used = request.model.served, used
    book.dollars = billed(request.model, used) + ran.dollars
    stem = hashlib.sha256(f"{state.seed}|{book.number}".encode()).hexdigest()
    if request.ask.endpoint == "chat":
        reply = _chat(state, request, answers, used, book, f"chatcmpl-{stem[:29]}")
    else:
        reply = _responses(state, request, answers[0], ran, used, book, f"resp_{stem[:48]}")
    book.taken = taken(
        request.model.name,
        uncached=used.prompt - used.cached,
        thinking=used.reasoning,
        said=used.completion - used.reasoning,
        tier=used.tier,
        day=f"{book.at:%Y-%m-%d}",
        seed=stem,
    )
    # The header of a stream is sent when it begins.
    spent = book.taken.first if request.ask.stream else book.taken.whole
    reply.headers["openai-processing-ms"] = str(round(spent * 1000))
    return reply


def fail_in_stream(state: State, request: Accepted, error: ApiFailure, number: int) -> Reply:
    """Return a stream that opens and then reports an error, inside HTTP 200 (dyad-sh/dyad#1672)."""
    model, ask = request.model, request.ask
    name = f"resp_{hashlib.sha256(str(number).encode()).hexdigest()[:48]}"
    nothing = Used(prompt=0, tier=tier_for(model, ask.tier))
    empty = responses_reply.whole(
        name, state.seconds(), model, request.body, ask, Answer(), nothing, state.today
    )
    start = responses_reply.opening(empty)
    rows: list[dict[str, Any]] = [
        {"type": "response.created", "response": start, "sequence_number": 0},
        {"type": "response.in_progress", "response": start, "sequence_number": 1},
        {"type": "error", "sequence_number": 2, "error": error.error},
    ]
    return Reply(events=iter(rows), dialect="responses")


def _answers(state: State, request: Accepted) -> tuple[list[Answer], Ran]:
    model, ask = request.model, request.ask
    room = min(ask.cap or model.max_output, model.max_output, model.window - len(request.ids))
    transport = ("stream", "stream_options")
    asked = json.dumps({k: v for k, v in request.body.items() if k not in transport}, sort_keys=True)
    script = state.take_script(model, request.body["model"], ask.last_user)
    key = f"{state.seed}|0|{asked}"
    ran = Ran() if script is not None else run(ask, request.body, model, key, state.today)
    return [answer(ask, model, max(0, room), f"{state.seed}|{i}|{asked}", script) for i in range(ask.n)], ran


def _usage(state: State, request: Accepted, answers: list[Answer], ran: Ran) -> Used:
    model, ask = request.model, request.ask
    cached, written = 0, 0
    if ask.cached:
        cached, written = state.prefixes.look_up(model.name, ask.cache_key, request.ids)
    if "cached_input" not in model.prices["standard"]["short"]:
        cached, written = 0, 0
    if model.family not in load("tokens")["cache"]["writes_billed"]:
        written = 0
    accepted, rejected = _predicted(ask, answers)
    heard = sum(part.tokens for turn in ask.turns for part in turn.parts if part.kind == "audio")
    return Used(
        prompt=len(request.ids) + ran.reads,
        completion=sum(one.tokens for one in answers) + rejected,
        cached=cached,
        written=written,
        audio_in=heard,
        audio_out=sum(one.audio_tokens for one in answers),
        reasoning=sum(one.reasoning for one in answers),
        accepted=accepted,
        rejected=rejected,
        speaks="audio" in model.outputs,
        tier=tier_for(model, ask.tier),
        long_ttl=ask.cache_ttl == "12h",
        window=ask.window,
    )


def _predicted(ask: Ask, answers: list[Answer]) -> tuple[int, int]:
    """Return (accepted, rejected) tokens of a prediction: the part that the answer begins with alike."""
    if not ask.prediction:
        return 0, 0
    wanted, got = encode(ask.prediction), encode(answers[0].text)
    shorter = min(len(wanted), len(got))
    same = next((i for i in range(shorter) if wanted[i] != got[i]), shorter)
    return same, len(wanted) - same


def _chat(
    state: State, request: Accepted, answers: list[Answer], used: Used, book: Entry, name: str
) -> Reply:
    envelope = chat_reply.Envelope(
        id=name,
        created=state.seconds(),
        model=request.model.served,
        tier=used.tier,
        searches=request.model.family == "search" or "web_search_options" in request.body,
    )
    book.response_id = name
    kept = bool(request.body.get("store"))
    if kept or not request.ask.stream:
        whole = chat_reply.whole(envelope, request.ask, answers, used)
        if kept:
            state.store.keep_completion(whole, request.body.get("metadata") or {})
        if not request.ask.stream:
            return Reply(body=whole)
    wanted = bool((request.body.get("stream_options") or {}).get("include_usage"))
    return Reply(events=chat_reply.chunks(envelope, request.ask, answers, used, wanted))


def _responses(
    state: State, request: Accepted, one: Answer, ran: Ran, used: Used, book: Entry, name: str
) -> Reply:
    ask, body = request.ask, request.body
    response = responses_reply.whole(
        name, state.seconds(), request.model, body, ask, one, used, state.today, ran
    )
    book.response_id = name
    if body.get("store", True):
        state.store.keep(response, request.items)
    if not ask.stream:
        return Reply(body=response, dialect="responses")
    return Reply(
        events=responses_reply.events(response, obfuscated=request.ask.obfuscated), dialect="responses"
    )
