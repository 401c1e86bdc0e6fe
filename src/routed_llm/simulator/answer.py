"""The answer to a request: reasoning spent, tool calls or text, cut by caps and stop sequences."""

from __future__ import annotations

import dataclasses
import hashlib
import json
import random
from typing import Any

from routed_llm.simulator.ask import Ask, Call
from routed_llm.simulator.calling import plan
from routed_llm.simulator.frozen import load
from routed_llm.simulator.models import SimulatedModel
from routed_llm.simulator.tokens import call_tokens, count, decode, encode
from routed_llm.simulator.wording import words_for


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """One choice.

    Attributes:
        finish: ``stop``, ``length``, ``tool_calls`` or ``content_filter``, as Chat Completions names them.
        reasoning: reasoning tokens spent.
        visible: tokens of text and tool calls.
        audio_tokens: tokens of spoken output; the text is then the transcript.
    """

    text: str = ""
    calls: tuple[Call, ...] = ()
    refusal: str = ""
    finish: str = "stop"
    reasoning: int = 0
    visible: int = 0
    audio_tokens: int = 0

    @property
    def tokens(self) -> int:
        """All output tokens, as billed."""
        return self.reasoning + self.visible + self.audio_tokens


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Script:
    """What the next matching request gets instead of an answer of the simulator's own.

    Attributes:
        text: the words; None leaves them to the simulator unless tool calls are given.
        tool_calls: (name, arguments) pairs; arguments are a JSON text or a dictionary.
        contains: only requests whose last user message has this text.
        model: only requests to this model (requested or canonical name).
        times: how many requests it serves; 0 means every one.
    """

    text: str | None = None
    tool_calls: tuple[tuple[str, Any], ...] = ()
    refusal: str = ""
    reasoning_tokens: int | None = None
    contains: str = ""
    model: str = ""
    times: int = 1


def answer(ask: Ask, model: SimulatedModel, room: int, key: str, script: Script | None = None) -> Answer:
    """Return the answer to a request.

    `room` is the most output tokens: the cap, the model's own limit, what is left of the window. `key` is
    made of seed, request and number of the choice; the same key gives the same answer.
    """
    rng = random.Random(hashlib.sha256(key.encode("utf-8", "replace")).digest())  # noqa: S311
    reasoning = _reasoning(ask, model, rng)
    if script is not None and script.reasoning_tokens is not None:
        reasoning = script.reasoning_tokens
    if reasoning >= room:
        return Answer(finish="length", reasoning=room)
    left = room - reasoning
    if script is not None and script.refusal:
        return Answer(refusal=script.refusal, reasoning=reasoning, visible=count(script.refusal))
    calls = _calls(ask, rng, script)
    if calls:
        return _with_calls(calls, reasoning, left)
    text = script.text if script is not None and script.text is not None else words_for(ask, model.name, rng)
    return _with_text(ask, text, reasoning, left)


def _reasoning(ask: Ask, model: SimulatedModel, rng: random.Random) -> int:
    """Draw what is spent on reasoning, as published calls did: see ``tokens.toml``."""
    rule = load("tokens")["reasoning"]
    own: dict[str, Any] = next(
        (row for row in rule["others"] if model.family in row["of"] or model.name in row["of"]), {}
    )
    mean: float = rule["mean"][ask.effort] * own.get("factor", 1.0)
    # Both are drawn every time, so that what else the key decides does not hang on them.
    silent, at = rng.random(), rng.random()
    if any(tool.kind in ("function", "custom") for tool in ask.tools):
        functions = {**rule["functions"], **own}
        mean *= 0.0 if silent < functions["silent"] else functions["share"]
    step: int = own.get("step", 1)
    return step * round(mean * _between(rule["spread"], at) / step)


def _between(points: list[float], at: float) -> float:
    """Return the value at a share (0 to 1) of the way through evenly spaced points."""
    place = at * (len(points) - 1)
    low = int(place)
    return points[low] + (points[min(low + 1, len(points) - 1)] - points[low]) * (place - low)


def _calls(ask: Ask, rng: random.Random, script: Script | None) -> list[Call]:
    if script is not None and script.tool_calls:
        return [
            Call(id=_id(rng), name=name, arguments=value if isinstance(value, str) else json.dumps(value))
            for name, value in script.tool_calls
        ]
    if script is not None and script.text is not None:
        return []
    return [
        Call(id=_id(rng), name=tool.name, arguments=arguments, custom=tool.kind == "custom")
        for tool, arguments in plan(ask, rng)
    ]


def _id(rng: random.Random) -> str:
    letters = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789"
    return "call_" + "".join(rng.choices(letters, k=24))


def _with_calls(calls: list[Call], reasoning: int, left: int) -> Answer:
    kept: list[Call] = []
    used = 0
    for call in calls:
        cost = call_tokens(call.name, call.arguments)
        if used + cost > left:
            rest = max(0, left - used - count(call.name) - 3)
            kept.append(dataclasses.replace(call, arguments=decode(encode(call.arguments)[:rest])))
            return Answer(calls=tuple(kept), finish="length", reasoning=reasoning, visible=left)
        kept.append(call)
        used += cost
    return Answer(calls=tuple(kept), finish="tool_calls", reasoning=reasoning, visible=used)


def _with_text(ask: Ask, text: str, reasoning: int, left: int) -> Answer:
    stops = [at for word in ask.stop if word and (at := text.find(word)) >= 0]
    if stops:
        text = text[: min(stops)]
    ids = encode(text)
    finish = "stop"
    if len(ids) > left:
        ids, finish = ids[:left], "length"
        text = decode(ids)
    if ask.audio:
        rate = load("tokens")["audio"]["output_tokens_per_second"]
        spoken = max(1, round(seconds_of(text) * rate))
        return Answer(text=text, finish=finish, reasoning=reasoning, visible=len(ids), audio_tokens=spoken)
    return Answer(text=text, finish=finish, reasoning=reasoning, visible=len(ids))


def seconds_of(text: str) -> float:
    """Return how long a text takes to speak, at 15 characters a second."""
    return max(0.1, len(text) / 15)
