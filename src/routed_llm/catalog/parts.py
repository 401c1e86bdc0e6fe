"""The tables that a catalog entry is made of: limits, prices, rules, verdicts and the words they may use."""

from __future__ import annotations

import datetime
from decimal import Decimal, InvalidOperation
from typing import Annotated, Any, Literal

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, field_validator, model_validator

from routed_llm.catalog.vocabulary import EFFORTS, PLAIN, parse_evidence, verdict_of

__all__ = [
    "Accept",
    "CacheEntry",
    "ComparedEntry",
    "Count",
    "Dimension",
    "Effort",
    "Endpoint",
    "Entry",
    "FeeEntry",
    "FramingEntry",
    "ImageRuleEntry",
    "Input",
    "LifecycleEntry",
    "LimitsEntry",
    "Name",
    "Output",
    "ParametersEntry",
    "Pool",
    "PricesEntry",
    "RatioEntry",
    "RecallEntry",
    "Row",
    "Rules",
    "SpeedEntry",
    "Structured",
    "Tokens",
    "VerdictEntry",
]

Endpoint = Literal["chat_completions", "responses", "realtime"]
Effort = Literal["none", "minimal", "low", "medium", "high", "xhigh", "max"]
Row = Literal["plain", "none", "minimal", "low", "medium", "high", "xhigh", "max"]
Tier = Literal[
    "standard", "batch", "flex", "priority", "ultrafast", "background_2h", "background_8h"
]  # fmt: skip
Pool = Literal["default", "audio", "quality", "realtime", "named"]
Input = Literal["text", "image", "audio", "pdf", "file"]
Output = Literal["text", "audio"]
Accept = Literal["yes", "no", "effort_none"]
Structured = Literal["json_object", "json_schema"]
Dimension = Literal[
    "overall", "science", "maths", "coding", "instructions", "tools", "knowledge",
    "multilingual", "restraint", "faithful_summary", "vision", "long_context", "language", "preference",
]  # fmt: skip
Tokens = Annotated[int, Field(ge=1, le=10**9)]
Count = Annotated[int, Field(ge=0, le=10**9)]
Name = Annotated[str, Field(min_length=1)]

_MOST_DOLLARS = 1_000_000


def _picodollars(value: Any) -> int:
    """Read US dollars per million tokens as picodollars per token."""
    if isinstance(value, bool) or not isinstance(value, (str, int, float, Decimal)):
        raise ValueError('must be US dollars per million tokens; write it as a string such as "2.50"')
    try:
        amount = Decimal(str(value))
    except (InvalidOperation, ValueError):
        raise ValueError(
            f'{value!r} is not an amount; write US dollars per million tokens as "2.50"'
        ) from None
    if not amount.is_finite() or amount < 0:
        raise ValueError(
            f'{value} cannot be a price; write zero or more US dollars per million tokens as "2.50"'
        )
    if amount > _MOST_DOLLARS:
        raise ValueError(f"a price of more than ${_MOST_DOLLARS:,} for a million tokens is none; correct it")
    scaled = amount * 1_000_000
    if scaled != scaled.to_integral_value():
        raise ValueError(f"{amount:f} is finer than a millionth of a dollar; round it to six decimals")
    return int(scaled)


def _rule(value: Any) -> Any:
    return {"accept": value} if isinstance(value, str) else value


Dollars = Annotated[int, BeforeValidator(_picodollars)]


class Entry(BaseModel):
    """Strict and closed: no coercion, no unknown key."""

    model_config = ConfigDict(strict=True, extra="forbid", frozen=True)


class LimitsEntry(Entry):
    """Token limits."""

    context_window: Tokens | None = None
    max_input: Tokens | None = None
    max_output: Tokens | None = None
    knowledge_cutoff: datetime.date | None = None
    source: str = ""
    verified: datetime.date | None = None


class LifecycleEntry(Entry):
    """Release, deprecation and shutdown days."""

    released: datetime.date | None = None
    deprecated: datetime.date | None = None
    shutdown: datetime.date | None = None
    replacement: Name | None = None
    held_to: Name | None = None
    source: str = ""
    verified: datetime.date | None = None


class PriceRow(Entry):
    """One dated row, in US dollars per million tokens (held as picodollars per token)."""

    since: datetime.date = datetime.date(2020, 1, 1)
    tier: Tier = "standard"
    above: Count = 0
    input: Dollars
    output: Dollars
    cached_input: Dollars | None = None
    cache_write: Dollars | None = None
    cache_write_12h: Dollars | None = None
    audio_input: Dollars | None = None
    audio_output: Dollars | None = None
    audio_cached_input: Dollars | None = None
    image_input: Dollars | None = None
    unverified: str | None = None


class PricesEntry(Entry):
    """All rows of one kind with their source."""

    source: str = ""
    verified: datetime.date | None = None
    rows: list[PriceRow]
    up_to: dict[Tier, Tokens] = {}

    @field_validator("rows")
    @classmethod
    def _distinct(cls, rows: list[PriceRow]) -> list[PriceRow]:
        seen: set[tuple[Any, ...]] = set()
        for row in rows:
            key = (row.since, row.tier, row.above)
            if key in seen:
                raise ValueError(f"two {row.tier} rows since {row.since} above {row.above}; keep one of them")
            seen.add(key)
        return rows


def _dollars(value: Any) -> int:
    """Read US dollars as picodollars."""
    return _picodollars(value) * 1_000_000


Fee = Annotated[int, BeforeValidator(_dollars)]
Amount = Annotated[float, Field(ge=0, strict=False)]


class FeeRow(Entry):
    """One dated price of a call of a hosted tool, in US dollars (held as picodollars)."""

    since: datetime.date
    each: Fee
    most: Fee | None = None
    by: dict[Name, Fee] = {}
    models: list[Name] | None = None
    reasons: bool | None = None
    reads: Count = 0
    reads_most: Count = 0
    block: Count = 0


class FeeEntry(Entry):
    """What one hosted tool costs beside tokens, and how often it is called."""

    calls: Amount
    quantiles: Annotated[list[Count], Field(min_length=3, max_length=3)]
    most: Count
    always: bool = False
    rows: list[FeeRow]
    source: str
    verified: datetime.date
    unverified: str | None = None


class RuleEntry(Entry):
    """What becomes of one parameter; a bare string is its ``accept``."""

    accept: Accept = "yes"
    only: list[Any] | None = None
    max_items: Count | None = None
    rename: Name | None = None
    without: list[Name] = []
    requires: Name | None = None
    source: str = ""
    unverified: str | None = None


Rules = dict[Name, Annotated[RuleEntry, BeforeValidator(_rule)]]


class ParametersEntry(Entry):
    """Rules for every endpoint (``any``) and for one of them, which wins."""

    any: Rules = {}
    chat_completions: Rules = {}
    responses: Rules = {}
    realtime: Rules = {}


class CacheEntry(Entry):
    """Prompt cache terms."""

    min_prefix: Count = 1024
    step: Tokens = 128
    ttl: Count = 300
    control: Literal["prompt_cache_options", "prompt_cache_retention"] | None = None
    source: str = ""
    unverified: str | None = None


class DetailEntry(Entry):
    """What an image is shrunk to at one detail."""

    side: Tokens
    patches: Tokens | None = None


Less = Annotated[int, Field(le=0)]
Off = Annotated[list[Count], Field(min_length=2, max_length=2)]


class FramingEntry(Entry):
    """What one endpoint writes around a request's texts, in tokens."""

    opening: Count
    assistant: Count = 0
    call: Count
    turn: Count = 0
    parallel: int = 0
    once: Literal[0, 1] = 0
    kept: Count = 0
    spoken: Count
    tools: Count
    tools_system: Count
    schemas: Count
    schemas_system: Count
    shape: Count = 0
    both: Less = 0
    both_system: Less = 0
    forced: Count = 0
    only: Literal[0, 1] = 0
    joined: Count = 0
    described: Count = 0
    single: Count = 0
    name: Count = 0
    file: Count
    page: Count
    pictured: Literal[0, 1] = 0
    thought: Literal[0, 1] = 0
    recalled: Literal[0, 1] = 0
    later: Count = 0
    hosted: dict[Name, Count] = {}
    off_all: Off
    off_tools: Off
    off_tool: Off
    off_custom: Off
    off_later: Off = [0, 0]
    off_call: Off
    off_schemas: Off
    n: Count


class ImageRuleEntry(Entry):
    """How images are counted."""

    kind: Literal["tile", "patch", "patch_by_detail", "rejected"]
    base: Count = 0
    per_tile: Count = 0
    multiplier: Annotated[float, Field(gt=0, strict=False)] = 1.0
    details: dict[Literal["any", "low", "high", "original", "auto"], DetailEntry] = {}


class RatioEntry(Entry):
    """Output tokens relative to gpt-4o's, by effort."""

    plain: float | None = None
    none: float | None = None
    minimal: float | None = None
    low: float | None = None
    medium: float | None = None
    high: float | None = None
    xhigh: float | None = None
    max: float | None = None
    assumed: list[Row] = []
    source: str = ""

    @field_validator(PLAIN, *EFFORTS)
    @classmethod
    def _positive(cls, value: float | None) -> float | None:
        if value is not None and not 0 < value < 1000:
            raise ValueError(f"{value} cannot be a ratio of tokens; write one between 0 and 1000")
        return value


class ThoughtEntry(Entry):
    """Reasoning tokens spent on ordinary questions, by effort."""

    minimal: int | None = None
    low: int | None = None
    medium: int | None = None
    high: int | None = None
    xhigh: int | None = None
    max: int | None = None
    source: str = ""


class RecallRow(Entry):
    """One published recall figure."""

    test: Name
    effort: Effort | None = None
    up_to: Tokens
    value: Annotated[float, Field(ge=0, le=100)]


class RecallEntry(Entry):
    """Published recall figures with their source."""

    source: str = ""
    rows: list[RecallRow]


class SpeedEntry(Entry):
    """How quick a model is."""

    start: Annotated[float, Field(gt=0, lt=600, strict=False)]
    per_million_input: Annotated[float, Field(ge=0, lt=3600, strict=False)]
    per_second: Annotated[float, Field(gt=0, lt=100_000, strict=False)]
    source: str = ""
    verified: datetime.date | None = None


class VerdictEntry(Entry):
    """One verdict and the measures it rests on."""

    verdict: Literal["above", "above (inferred)", "tie", "mixed", "below"]
    on: list[str]

    @model_validator(mode="after")
    def _agrees(self) -> VerdictEntry:
        amounts_to = verdict_of(parse_evidence(text)[0] for text in self.on)
        if self.on and amounts_to != self.verdict:
            raise ValueError(f"the signs amount to {amounts_to!r}, not {self.verdict!r}; correct one of them")
        return self


class ComparedEntry(Entry):
    """Other configurations against a model, by one measure: ``model`` or ``model@effort``."""

    dimension: Dimension
    measure: Name
    above: list[Name] = []
    tie: list[Name] = []
    below: list[Name] = []
