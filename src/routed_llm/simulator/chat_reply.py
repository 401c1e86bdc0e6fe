"""Writes the answer to a Chat Completions request, whole or as a stream of chunks."""

from __future__ import annotations

import base64
import dataclasses
import hashlib
from collections.abc import Iterator
from typing import Any

from routed_llm.simulator import moderation
from routed_llm.simulator.answer import Answer, seconds_of
from routed_llm.simulator.ask import Ask, Call
from routed_llm.simulator.billing import Used
from routed_llm.simulator.logprobs import logprobs, obfuscation
from routed_llm.simulator.speech import speech
from routed_llm.simulator.tokens import pieces_of

_FOUND = "https://example.com/?utm_source=openai"
_AUDIO_CHUNK = 24_000  # bytes of pcm16 in one event


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Envelope:
    """What every body and chunk of one reply carries."""

    id: str
    created: int
    model: str
    tier: str
    searches: bool = False

    def base(self, kind: str) -> dict[str, Any]:
        """Return the fields that body and chunks share."""
        fingerprint = hashlib.sha256(self.model.encode()).hexdigest()[:10]
        return {
            "id": self.id,
            "object": kind,
            "created": self.created,
            "model": self.model,
            "service_tier": self.tier,
            "system_fingerprint": f"fp_{fingerprint}",
        }


def usage(used: Used) -> dict[str, Any]:
    """Return the usage in the words of Chat Completions; models that speak say what is text, too."""
    found: dict[str, Any] = {
        "prompt_tokens": used.prompt,
        "completion_tokens": used.completion,
        "total_tokens": used.prompt + used.completion,
        "prompt_tokens_details": {
            "cached_tokens": used.cached,
            "audio_tokens": used.audio_in,
            "cache_write_tokens": used.written,
        },
        "completion_tokens_details": {
            "reasoning_tokens": used.reasoning,
            "audio_tokens": used.audio_out,
            "accepted_prediction_tokens": used.accepted,
            "rejected_prediction_tokens": used.rejected,
        },
    }
    if used.speaks:
        found["prompt_tokens_details"] |= {"text_tokens": used.prompt - used.audio_in, "image_tokens": 0}
        said = used.completion - used.audio_out - used.reasoning
        found["completion_tokens_details"]["text_tokens"] = said
    return found


def whole(envelope: Envelope, ask: Ask, answers: list[Answer], used: Used) -> dict[str, Any]:
    """Return the body of a reply that is not streamed."""
    body = envelope.base("chat.completion")
    body["choices"] = [_choice(envelope, ask, i, answer) for i, answer in enumerate(answers)]
    body["usage"] = usage(used)
    if ask.moderation:
        body["moderation"] = moderation.results(ask.moderation, "chat")
    return body


def _choice(envelope: Envelope, ask: Ask, index: int, answer: Answer) -> dict[str, Any]:
    message: dict[str, Any] = {
        "role": "assistant",
        "content": None if answer.calls or answer.refusal or ask.audio else answer.text,
        "refusal": answer.refusal or None,
        "annotations": [_citation(answer.text)] if envelope.searches and answer.text else [],
    }
    finish = answer.finish
    if answer.calls and ask.functions:
        one = answer.calls[0]
        message["function_call"] = {"name": one.name, "arguments": one.arguments}
        finish = "function_call" if finish == "tool_calls" else finish
    elif answer.calls:
        message["tool_calls"] = [_call(call) for call in answer.calls]
    elif ask.audio:
        message["audio"] = {
            "id": f"audio_{envelope.id[-24:]}{index}",
            "data": base64.b64encode(speech(ask.audio, seconds_of(answer.text))).decode(),
            "expires_at": envelope.created + 3600,
            "transcript": answer.text,
        }
    probabilities = None
    if ask.logprobs:
        rows = logprobs(answer.text, ask.top_logprobs) if message["content"] else []
        probabilities = {"content": rows, "refusal": None}
    return {"index": index, "message": message, "logprobs": probabilities, "finish_reason": finish}


def _citation(text: str) -> dict[str, Any]:
    """Return where a search model says that it has found its answer."""
    place = {"end_index": len(text), "start_index": 0, "title": "Example", "url": _FOUND}
    return {"type": "url_citation", "url_citation": place}


def _call(call: Call) -> dict[str, Any]:
    if call.custom:
        return {"id": call.id, "type": "custom", "custom": {"name": call.name, "input": call.arguments}}
    return {"id": call.id, "type": "function", "function": {"name": call.name, "arguments": call.arguments}}


def chunks(
    envelope: Envelope, ask: Ask, answers: list[Answer], used: Used, include_usage: bool
) -> Iterator[dict[str, Any]]:
    """Yield the chunks of a streamed reply; the last one carries the usage when it was asked for."""
    base = envelope.base("chat.completion.chunk")

    def chunk(
        index: int, delta: dict[str, Any], finish: str | None = None, probs: Any = None
    ) -> dict[str, Any]:
        choice = {"index": index, "delta": delta, "logprobs": probs, "finish_reason": finish}
        row = {**base, "choices": [choice]}
        if ask.obfuscated:
            row["obfuscation"] = obfuscation(row)
        if include_usage:
            row["usage"] = None
        return row

    for i, answer in enumerate(answers):
        for delta, probs in _deltas(envelope, ask, answer):
            yield chunk(i, delta, probs=probs)
        old = ask.functions and answer.finish == "tool_calls"
        yield chunk(i, {}, "function_call" if old else answer.finish)
    if ask.moderation:
        said = {
            **base,
            "choices": [],
            "moderation": moderation.results(ask.moderation, "chat"),
            "usage": None,
        }
        yield {**said, "obfuscation": obfuscation(said)} if ask.obfuscated else said
    if include_usage:
        found = usage(used)
        del found["prompt_tokens_details"]["cache_write_tokens"]  # in no recorded stream
        yield {**base, "choices": [], "usage": found}


def _deltas(envelope: Envelope, ask: Ask, answer: Answer) -> Iterator[tuple[dict[str, Any], Any]]:
    if answer.calls:
        yield {"role": "assistant", "content": None, "refusal": None}, None
        if ask.functions:
            yield {"function_call": {"name": answer.calls[0].name, "arguments": ""}}, None
            for piece in pieces_of(answer.calls[0].arguments):
                yield {"function_call": {"arguments": piece}}, None
            return
        for position, call in enumerate(answer.calls):
            yield from _call_deltas(position, call)
        return
    if ask.audio:
        yield from _audio_deltas(envelope, answer)
        return
    yield {"role": "assistant", "content": "", "refusal": None}, None
    if answer.refusal:
        for piece in pieces_of(answer.refusal):
            yield {"refusal": piece}, None
        return
    for piece in pieces_of(answer.text):
        rows = {"content": logprobs(piece, ask.top_logprobs), "refusal": None} if ask.logprobs else None
        yield {"content": piece}, rows


def _call_deltas(position: int, call: Call) -> Iterator[tuple[dict[str, Any], Any]]:
    kind, field = ("custom", "input") if call.custom else ("function", "arguments")
    head = {"index": position, "id": call.id, "type": kind, kind: {"name": call.name, field: ""}}
    yield {"tool_calls": [head]}, None
    for piece in pieces_of(call.arguments):
        yield {"tool_calls": [{"index": position, kind: {field: piece}}]}, None


def _audio_deltas(envelope: Envelope, answer: Answer) -> Iterator[tuple[dict[str, Any], Any]]:
    name = f"audio_{envelope.id[-24:]}0"
    yield {"role": "assistant", "content": None, "refusal": None}, None
    yield {"audio": {"id": name, "transcript": ""}}, None
    for piece in pieces_of(answer.text):
        yield {"audio": {"id": name, "transcript": piece}}, None
    data = speech("pcm16", seconds_of(answer.text))
    for at in range(0, len(data), _AUDIO_CHUNK):
        yield {"audio": {"id": name, "data": base64.b64encode(data[at : at + _AUDIO_CHUNK]).decode()}}, None
    yield {"audio": {"id": name, "expires_at": envelope.created + 3600}}, None
