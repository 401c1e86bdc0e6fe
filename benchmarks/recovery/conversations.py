"""Conversations and parameter sets from a seed, in OpenAI's own form; each framework's form is made of it.

The same seed and number give the same case, so a failing one can be run again by its name alone.
"""

from __future__ import annotations

import base64
import functools
import io
import struct
import zlib
from dataclasses import dataclass, field, replace
from datetime import date
from random import Random
from typing import Any

from benchmarks.recovery.every_field import widen

__all__ = ["DAYS", "Case", "make"]

DAYS = (date(2026, 11, 22), date(2026, 11, 22), date(2027, 1, 15))
BASELINES = ("gpt-4o", "gpt-4o", "gpt-4o", "gpt-4.1", "gpt-4o-mini", "gpt-5.4", "gpt-5", "gpt-5.6-sol")
ALIKE = 100
"""Cases in a row with one day and one baseline: what is prepared for them is then used more than once."""
PINNED = ("gpt-4.1", "gpt-4o", "gpt-5", "gpt-5.4", "gpt-5.4-mini", "gpt-5.5", "gpt-5.6-luna", "gpt-6-luna")
POLICIES: tuple[dict[str, Any], ...] = (
    {},
    {},
    {},
    {"at_least": None},
    {"optimize": "quality"},
    {"at_least": None, "models": "gpt-4*"},
    {"models": "gpt-5*"},
    {"at_least": None, "models": "*"},
    {"on_unsupported": "avoid"},
    {"on_unsupported": "raise"},
    {"task": "coding"},
    {"effort": "high"},
)
PLAIN = (
    "the",
    "quick",
    "brown",
    "fox",
    "jumps",
    "over",
    "a",
    "lazy",
    "dog;",
    "12345",
    "naïve",
    "café",
    "東京",
)
ODD = (
    "json",
    "=",
    "{}",
    "\n",
    "\t",
    "🙂",
    "<|endoftext|>",
    "```py",
    "\\",
    '"',
    "'",
    "0.1",
    "שלום",
    "مرحبا",
    "ก",
)
WORDS = (*PLAIN, *ODD, "👩\u200d👩\u200d👧", "\u200b", "\x00", "http://example.com/")
PARAMETERS: dict[str, tuple[Any, ...]] = {
    "temperature": (0, 0.0, 0.7, 1, 1.5, 2),
    "top_p": (0.1, 0.5, 1, 1.0),
    "presence_penalty": (0, 0.5, -2),
    "frequency_penalty": (0, -1, 2.0),
    "seed": (7, 0),
    "stop": ("\n", "END", ["a", "b"], ["1", "2", "3", "4"], []),
    "n": (1, 2),
    "logprobs": (True, False),
    "logit_bias": ({}, {"1000": -5}),
    "verbosity": ("low", "medium", "high"),
    "user": ("u1",),
    "metadata": ({"team": "search"}, {}),
    "prompt_cache_key": ("k",),
    "prompt_cache_retention": ("24h", "in_memory"),
    "service_tier": ("auto", "default", "flex", "priority"),
    "store": (True, False),
    "prediction": ({"type": "content", "content": "the quick"},),
    "safety_identifier": ("s",),
    "parallel_tool_calls": (True, False),
}
CAPS = (1, 15, 16, 17, 50, 100, 5_000, 16_384, 16_385, 32_768, 32_769, 128_000, 128_001, 200_000)
EFFORTS = ("none", "minimal", "low", "medium", "high", "xhigh", "max")
SIZES = ((1, 1), (64, 64), (512, 512), (513, 512), (1024, 768), (768, 2048), (4000, 300), (2500, 2500))
LENGTHS = (900, 8_000, 60_000, 110_000, 127_500, 128_200, 200_000, 271_000, 273_000, 390_000)
"""Words of a long prompt, about a token each: around the limits that models have."""
STRICT = {
    "type": "object",
    "properties": {"a": {"type": "string"}, "b": {"type": "array", "items": {"type": "number"}}},
    "required": ["a", "b"],
    "additionalProperties": False,
}
FORMATS: tuple[dict[str, Any], ...] = (
    {"type": "json_schema", "json_schema": {"name": "answer", "schema": STRICT, "strict": True}},
    {"type": "json_schema", "json_schema": {"name": "answer", "schema": STRICT}},
    {"type": "json_object"},
    {"type": "text"},
)


@dataclass(frozen=True, kw_only=True)
class Case:
    """One generated call.

    Attributes:
        name: ``seed/number``, which makes it again.
        day: the date it is made on.
        messages: the conversation, in the form of Chat Completions.
        parameters: everything else of the request, ``tools`` and ``response_format`` included.
        stream: whether the answer is streamed.
        asynchronous: whether it is awaited.
        baseline: the model the program was written for.
        pinned: the model named in the call, or None.
        policy: keywords of the Policy for the call.
        native: whether media are given in the framework's own form.
        again: what is said after the answer, for a second call; or None.
        then: parameters of the second call.
    """

    name: str
    day: date
    messages: list[dict[str, Any]]
    parameters: dict[str, Any]
    stream: bool
    asynchronous: bool
    baseline: str
    pinned: str | None
    policy: dict[str, Any]
    native: bool
    again: str | None = None
    then: dict[str, Any] = field(default_factory=dict)


def make(seed: int, number: int, *, every: bool = False) -> Case:
    """Make the case of a seed and a number.

    Args:
        seed: of the random numbers.
        number: of the case.
        every: whether any field may be set that Chat Completions has, and some of Responses.
    """
    random, around = Random(f"{seed}/{number}"), Random(f"{seed}//{number // ALIKE}")
    day, baseline = around.choice(DAYS), around.choice(BASELINES)
    tools = [_tool(random, at) for at in range(random.choice((0, 0, 0, 1, 2, 5)))]
    messages = _conversation(random, called=bool(tools) and random.random() < 0.4)
    parameters = _parameters(random, tools)
    if parameters.get("response_format", {}).get("type") == "json_object":
        messages.insert(0, {"role": "system", "content": "Answer in JSON."})
    again = f"{_text(random, 12)} As json." if random.random() < 0.15 else None
    made = Case(
        name=f"{seed}/{number}",
        day=day,
        messages=messages,
        parameters=parameters,
        stream=random.random() < 0.4,
        asynchronous=random.random() < 0.5,
        baseline=baseline,
        pinned=random.choice(PINNED) if random.random() < 0.1 else None,
        policy=random.choice(POLICIES),
        native=random.random() < 0.5,
        again=again,
        then=_parameters(random, tools) if again and random.random() < 0.5 else parameters,
    )
    if not every:
        return made
    wide = widen(Random(f"{seed}/{number} wide"), messages, parameters, stream=made.stream)
    return replace(made, messages=wide[0], parameters=wide[1])


def _parameters(random: Random, tools: list[dict[str, Any]]) -> dict[str, Any]:
    made = _form(random, tools)
    for name in random.sample(sorted(PARAMETERS), k=random.choice((0, 0, 1, 1, 2, 3, 5))):
        made[name] = random.choice(PARAMETERS[name])
    if not tools:
        made.pop("parallel_tool_calls", None)
    if made.get("logprobs") and random.random() < 0.5:
        made["top_logprobs"] = random.choice((0, 2, 20))
    if random.random() < 0.35:
        made[random.choice(("max_tokens", "max_completion_tokens"))] = random.choice(CAPS)
    if random.random() < 0.2:
        made["reasoning_effort"] = random.choice(EFFORTS)
    if "prediction" in made and random.random() < 0.8:  # little goes with it
        made = {"prediction": made["prediction"]}
    return made


def _form(random: Random, tools: list[dict[str, Any]]) -> dict[str, Any]:
    """Make the tools and the form of the answer."""
    made: dict[str, Any] = {}
    if tools:
        made["tools"] = tools
        if random.random() < 0.4:
            named = {"type": "function", "function": {"name": "tool_0"}}
            made["tool_choice"] = random.choice(("auto", "none", "required", named))
    if random.random() < 0.15:
        made["response_format"] = random.choice(FORMATS)
        if tools and random.random() < 0.7:  # langchain-openai takes only strict tools beside a form
            made["tools"] = [_strict(tool) for tool in tools]
    return made


def _conversation(random: Random, *, called: bool) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = []
    if random.random() < 0.5:
        found.append({"role": random.choice(("system", "system", "developer")), "content": _text(random, 40)})
    for _ in range(random.choice((0, 0, 1, 2, 8))):
        found.append({"role": "user", "content": _text(random, 40)})
        found.append({"role": "assistant", "content": _text(random, 40)})
    found.append({"role": "user", "content": _asked(random)})
    if called:
        found += _called(random)
    return found


def _asked(random: Random) -> Any:
    if random.random() < 0.004:
        return " ".join(random.choices(PLAIN[:10], k=64)) * (random.choice(LENGTHS) // 64)
    blocks: list[dict[str, Any]] = [{"type": "text", "text": _text(random, 60)}]
    if random.random() < 0.2:
        blocks += [_image(random) for _ in range(random.randint(1, 3))]
    if random.random() < 0.04:
        blocks.append(_audio(random))
    if random.random() < 0.04:
        blocks.append(
            {"type": "file", "file": {"filename": "a.pdf", "file_data": _pdf(random.randint(1, 3))}}
        )
    random.shuffle(blocks)
    if len(blocks) > 1 or random.random() < 0.3:
        return blocks
    return blocks[0]["text"]


def _called(random: Random) -> list[dict[str, Any]]:
    """Make an answer that calls tools, and the results; at times the answer says something, too."""
    count = random.randint(1, 3)
    calls = [
        {
            "id": f"call_{at}",
            "type": "function",
            "function": {
                "name": "tool_0",
                "arguments": random.choice(('{"p0": "x"}', "{}", '{"p0": "東京"}')),
            },
        }
        for at in range(count)
    ]
    said = random.choice((None, "", _text(random, 8)))
    found: list[dict[str, Any]] = [{"role": "assistant", "content": said, "tool_calls": calls}]
    return found + [
        {"role": "tool", "tool_call_id": f"call_{at}", "content": _text(random, 30)} for at in range(count)
    ]


def _text(random: Random, most: int) -> str:
    words = WORDS if random.random() < 0.3 else PLAIN
    return " ".join(random.choices(words, k=random.randint(1, most))) or "a"


def _tool(random: Random, at: int) -> dict[str, Any]:
    properties: dict[str, Any] = {
        f"p{i}": {"type": "string", "description": _text(random, 6)} for i in range(random.randint(0, 3))
    }
    if random.random() < 0.3:
        properties["unit"] = {"type": "string", "enum": ["c", "f"]}
    if random.random() < 0.3:
        inner = {"lat": {"type": "number"}, "tags": {"type": "array", "items": {"type": "string"}}}
        properties["where"] = {"type": "object", "properties": inner}
    parameters = {"type": "object", "properties": properties}
    about = {"name": f"tool_{at}", "description": _text(random, 8), "parameters": parameters}
    return {"type": "function", "function": about}


def _strict(tool: dict[str, Any]) -> dict[str, Any]:
    properties = {k: v for k, v in tool["function"]["parameters"]["properties"].items() if k != "where"}
    closed = {"additionalProperties": False, "required": list(properties)}
    parameters = {"type": "object", "properties": properties, **closed}
    return {**tool, "function": {**tool["function"], "parameters": parameters, "strict": True}}


def _image(random: Random) -> dict[str, Any]:
    near = random.random() < 0.85
    url: dict[str, Any] = {
        "url": png(*random.choice(SIZES)) if near else "https://upload.wikimedia.org/a.png"
    }
    if random.random() < 0.6:
        url["detail"] = random.choice(("auto", "low", "high"))
    return {"type": "image_url", "image_url": url}


def _audio(random: Random) -> dict[str, Any]:
    return {"type": "input_audio", "input_audio": {"format": "wav", "data": wav(random.choice((1, 3)))}}


@functools.cache
def png(width: int, height: int) -> str:
    """Make a black PNG of a size, as a data URL."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    header = struct.pack(">IIBBBBB", width, height, 8, 0, 0, 0, 0)
    rows = zlib.compress(b"".join(b"\0" + b"\0" * width for _ in range(height)), 9)
    data = b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", rows) + chunk(b"IEND", b"")
    return "data:image/png;base64," + base64.b64encode(data).decode()


@functools.cache
def wav(seconds: int) -> str:
    """Make a silent recording, in base64."""
    rate, data = 8_000, b"\0" * 8_000 * seconds
    form = struct.pack("<4sIHHIIHH", b"fmt ", 16, 1, 1, rate, rate, 1, 8)
    body = b"WAVE" + form + struct.pack("<4sI", b"data", len(data)) + data
    return base64.b64encode(struct.pack("<4sI", b"RIFF", len(body)) + body).decode()


@functools.cache
def _pdf(pages: int) -> str:
    from pypdf import PdfWriter

    writer, file = PdfWriter(), io.BytesIO()
    for _ in range(pages):
        writer.add_blank_page(612, 792)
    writer.write(file)
    return "data:application/pdf;base64," + base64.b64encode(file.getvalue()).decode()
