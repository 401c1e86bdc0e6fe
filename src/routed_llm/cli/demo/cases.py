"""The requests of the demo, as data."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import date
from functools import partial
from typing import Any

from routed_llm.cli.demo.samples import log, pdf, picture, voice
from routed_llm.policy import Policy

__all__ = ["CASES", "DAY", "Case"]

DAY = date(2026, 11, 22)
"""The day that the cases are sent on unless another is asked for: gpt-4o is still served on it, so that
the plain column shows more than one error."""

Content = str | list[dict[str, Any]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Case:
    """One request, or the turns of one conversation, sent alike to both models.

    Attributes:
        title: what the table calls it.
        turns: what the user says in each turn; made when it is sent, since some are large.
        system: the system prompt, or None.
        made: keywords of the models' constructors.
        call: keywords of the call.
        tools: tools offered, in OpenAI's form.
        schema: the JSON schema that the answer must conform to, or None.
        policy: the routed model's policy, or None for the default.
        at: the day of the call, or None for that of the demo.
        refused: whether routing refuses it before anything is sent, as it should.
    """

    title: str
    turns: tuple[Callable[[], Content], ...]
    system: Callable[[], str] | None = None
    made: Mapping[str, Any] = field(default_factory=dict)
    call: Mapping[str, Any] = field(default_factory=dict)
    tools: tuple[Mapping[str, Any], ...] = ()
    schema: Mapping[str, Any] | None = None
    policy: Policy | None = None
    at: date | None = None
    refused: bool = False


def _say(text: str) -> Callable[[], Content]:
    return lambda: text


def _show(text: str, make: Callable[[], dict[str, Any]]) -> Callable[[], Content]:
    return lambda: [{"type": "text", "text": text}, make()]


def _image() -> dict[str, Any]:
    return {"type": "image_url", "image_url": {"url": picture()}}


def _audio() -> dict[str, Any]:
    return {"type": "input_audio", "input_audio": {"data": voice(), "format": "wav"}}


def _document() -> dict[str, Any]:
    data = pdf("Invoice 2026-117", "4 pump seals at 12.50 EUR", "Due on 15 December 2026: 50.00 EUR")
    return {"type": "file", "file": {"filename": "invoice.pdf", "file_data": data}}


_PERU = _say("What is the capital of Peru?")

_WEATHER = {
    "type": "function",
    "function": {
        "name": "get_weather",
        "description": "Look up the weather in a city now.",
        "parameters": {
            "type": "object",
            "properties": {"city": {"type": "string"}, "unit": {"type": "string", "enum": ["C", "F"]}},
            "required": ["city"],
        },
    },
}

_INVOICE = {
    "title": "Invoice",
    "description": "What an invoice asks for.",
    "type": "object",
    "properties": {
        "number": {"type": "string"},
        "due": {"type": "string", "description": "ISO date"},
        "total": {"type": "number"},
    },
    "required": ["number", "due", "total"],
    "additionalProperties": False,
}

_HOTTEST = "Which pump ran hottest, and when?"

CASES: tuple[Case, ...] = (
    Case(title="a short question", turns=(_PERU,)),
    Case(
        title="126K tokens in, 16K tokens out",
        turns=(partial(log, 126_000, "Write a full report on each pump."),),
        made={"max_tokens": 16_000},
    ),
    Case(title="200K tokens in", turns=(partial(log, 200_000, _HOTTEST),)),
    Case(title="300K tokens in", turns=(partial(log, 300_000, _HOTTEST),)),
    Case(title="900K tokens in", turns=(partial(log, 900_000, _HOTTEST),)),
    Case(title="2M tokens in", turns=(partial(log, 2_000_000, _HOTTEST),), refused=True),
    Case(title="a tool", turns=(_say("What is the weather in Lima?"),), tools=(_WEATHER,)),
    Case(
        title="structured output",
        turns=(_say("Invoice 2026-117 over 50.00 EUR is due on 15 December 2026."),),
        schema=_INVOICE,
    ),
    Case(title="an image", turns=(_show("Which bar is the highest?", _image),)),
    Case(title="a voice clip", turns=(_show("What is said here?", _audio),)),
    Case(title="a PDF", turns=(_show("When is this due?", _document),)),
    Case(
        title="temperature 0 and stop",
        turns=(_say("List three facts about pumps.\nFact 1:"),),
        made={"temperature": 0},
        call={"stop": ["Fact 3"]},
    ),
    Case(
        title="a conversation of three turns",
        system=partial(log, 6_000, "You answer questions on the log above."),
        turns=(_say("Which pump ran longest?"), _say("And the second longest?"), _say("Thanks!")),
    ),
    Case(
        title="best quality, at most 5 cents",
        turns=(partial(log, 8_000, _HOTTEST),),
        policy=Policy(optimize="quality", max_cost_per_call="0.05", cost_cap="hard"),
    ),
    Case(
        title="gpt-5.5 named for the call, temperature 0.2",
        turns=(_PERU,),
        call={"model": "gpt-5.5", "temperature": 0.2},
    ),
    Case(title="the short question, 2027-01-15", turns=(_PERU,), at=date(2027, 1, 15)),
)
