"""What a catalog file may say: strict pydantic models, and their errors in plain words.

Only files and mappings from outside come through here, so pydantic is never imported on the way to a
packaged Model. A file says only what differs from its family or base; what must be there once everything
is merged is checked in :mod:`routed_llm.catalog.resolve`.
"""

from __future__ import annotations

import datetime
import re
from decimal import Decimal, InvalidOperation
from typing import Annotated, Any, Literal

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, field_validator, model_validator

from routed_llm.catalog.vocabulary import DIMENSIONS, EFFORTS, PLAIN, SIGNS, verdict_of

__all__ = [
    "EndpointEntry",
    "FamilyEntry",
    "ImagesEntry",
    "MeasuresEntry",
    "ModelEntry",
    "QualityOrderEntry",
    "parse_evidence",
]

Endpoint = Literal["chat_completions", "responses", "realtime"]
Effort = Literal["none", "minimal", "low", "medium", "high", "xhigh", "max"]
Row = Literal["plain", "none", "minimal", "low", "medium", "high", "xhigh", "max"]
Tier = Literal["standard", "batch", "flex", "priority"]
Pool = Literal["default", "audio", "quality", "realtime", "named"]
Input = Literal["text", "image", "audio", "pdf", "file"]
Output = Literal["text", "audio"]
Accept = Literal["yes", "no", "effort_none"]
Structured = Literal["json_object", "json_schema"]
Dimension = Literal[
    "overall", "science", "maths", "coding", "instructions", "tools", "knowledge",
    "multilingual", "restraint", "faithful_summary", "vision", "long_context", "language", "preference",
]  # fmt: skip
Tokens = Annotated[int, Field(ge=1)]
Count = Annotated[int, Field(ge=0)]
Name = Annotated[str, Field(min_length=1)]

_EVIDENCE = re.compile(r"^(\(\+\)|[+=-]) (.+?)(?:: (-?[\d.]+) against (-?[\d.]+))?$")


def _picodollars(value: Any) -> int:
    """Read US dollars per million tokens as picodollars per token."""
    if isinstance(value, bool) or not isinstance(value, (str, int, float, Decimal)):
        raise ValueError('must be US dollars per million tokens; write it as a string such as "2.50"')
    try:
        amount = Decimal(str(value))
    except InvalidOperation:
        raise ValueError(
            f'{value!r} is not an amount; write US dollars per million tokens as "2.50"'
        ) from None
    if not amount.is_finite() or amount < 0:
        raise ValueError(
            f'{value} cannot be a price; write zero or more US dollars per million tokens as "2.50"'
        )
    scaled = amount * 1_000_000
    if scaled != scaled.to_integral_value():
        raise ValueError(f"{value} is finer than a millionth of a dollar; round it to six decimals")
    return int(scaled)


def parse_evidence(text: str) -> tuple[str, str, float | None, float | None]:
    """Split ``"+ GPQA Diamond (Epoch): 66.9 against 49.2"`` into sign, measure, value and reference."""
    match = _EVIDENCE.match(text)
    if match is None:
        raise ValueError(
            f'{text!r} is not evidence; write "<sign> <measure>" or "<sign> <measure>: <value> against '
            f'<reference>" with a sign of {", ".join(SIGNS)}'
        )
    sign, name, value, reference = match.groups()
    return sign, name, float(value) if value else None, float(reference) if reference else None


def _rule(value: Any) -> Any:
    return {"accept": value} if isinstance(value, str) else value


Dollars = Annotated[int, BeforeValidator(_picodollars)]


class _Entry(BaseModel):
    model_config = ConfigDict(strict=True, extra="forbid", frozen=True)


class LimitsEntry(_Entry):
    """Token limits."""

    context_window: Tokens | None = None
    max_input: Tokens | None = None
    max_output: Tokens | None = None
    knowledge_cutoff: datetime.date | None = None
    source: str = ""
    verified: datetime.date | None = None


class LifecycleEntry(_Entry):
    """Release, deprecation and shutdown days."""

    released: datetime.date | None = None
    deprecated: datetime.date | None = None
    shutdown: datetime.date | None = None
    replacement: Name | None = None
    source: str = ""
    verified: datetime.date | None = None


class PriceRow(_Entry):
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


class PricesEntry(_Entry):
    """All rows of one kind with their source."""

    source: str = ""
    verified: datetime.date | None = None
    rows: list[PriceRow]

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


class RuleEntry(_Entry):
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


class ParametersEntry(_Entry):
    """Rules for every endpoint (``any``) and for one of them, which wins."""

    any: Rules = {}
    chat_completions: Rules = {}
    responses: Rules = {}
    realtime: Rules = {}


class CacheEntry(_Entry):
    """Prompt cache terms."""

    min_prefix: Count = 1024
    step: Tokens = 128
    ttl: Count = 300
    control: Literal["prompt_cache_options", "prompt_cache_retention"] | None = None
    source: str = ""
    unverified: str | None = None


class DetailEntry(_Entry):
    """What an image is shrunk to at one detail."""

    side: Tokens
    patches: Tokens | None = None


class ImageRuleEntry(_Entry):
    """How images are counted."""

    kind: Literal["tile", "patch", "patch_by_detail", "rejected"]
    base: Count = 0
    per_tile: Count = 0
    multiplier: Annotated[float, Field(gt=0, strict=False)] = 1.0
    details: dict[Literal["any", "low", "high", "original", "auto"], DetailEntry] = {}


class ImagesEntry(_Entry):
    """The file of image rules."""

    source: str
    verified: datetime.date
    rules: dict[Name, ImageRuleEntry]


class RatioEntry(_Entry):
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


class RecallRow(_Entry):
    """One published recall figure."""

    test: Name
    effort: Effort | None = None
    up_to: Tokens
    value: Annotated[float, Field(ge=0, le=100)]


class RecallEntry(_Entry):
    """Published recall figures with their source."""

    source: str = ""
    rows: list[RecallRow]


class VerdictEntry(_Entry):
    """One verdict and the measures it rests on."""

    verdict: Literal["above", "above (inferred)", "tie", "mixed", "below"]
    on: list[str]

    @model_validator(mode="after")
    def _agrees(self) -> VerdictEntry:
        amounts_to = verdict_of(parse_evidence(text)[0] for text in self.on)
        if self.on and amounts_to != self.verdict:
            raise ValueError(f"the signs amount to {amounts_to!r}, not {self.verdict!r}; correct one of them")
        return self


class _Shared(_Entry):
    """What a family may say and a model may override."""

    inputs: list[Input] | None = None
    outputs: list[Output] | None = None
    requires_audio: bool | None = None
    endpoints: list[Endpoint] | None = None
    tools: dict[Endpoint, Accept] | None = None
    builtin_tools: list[Name] | None = None
    structured: list[Structured] | None = None
    streaming: bool | None = None
    efforts: list[Effort] | None = None
    default_effort: Effort | None = None
    reasoning_room: dict[Effort, Count] | None = None
    parameters: ParametersEntry | None = None
    cache: CacheEntry | None = None
    regional_surcharge: Annotated[int, Field(ge=0, le=100)] | None = None
    encoding: Literal["o200k_base", "cl100k_base"] | None = None
    unverified: list[str] | None = None
    source: str | None = None
    verified: datetime.date | None = None


class FamilyEntry(_Shared):
    """A file in ``families/``."""

    name: Name


class ModelEntry(_Shared):
    """A file in ``models/``, or an entry of the user's own."""

    id: Name
    family: Name | None = None
    base: Name | None = None
    sent_as: Name | None = None
    base_url: Annotated[str, Field(pattern=r"^https?://")] | None = None
    pool: Pool | None = None
    aliases: list[Name] | None = None
    snapshots: list[Name] | None = None
    image: Name | None = None
    image_unverified: str | None = None
    limits: LimitsEntry | None = None
    lifecycle: LifecycleEntry | None = None
    prices: PricesEntry | None = None
    fine_tuned: PricesEntry | None = None
    output_ratio: RatioEntry | None = None
    recall: RecallEntry | None = None
    verdicts: dict[Row, dict[Dimension, VerdictEntry]] | None = None
    equivalent_to: list[Name] | None = None
    quality_rank: dict[Row, int] | None = None


class EndpointEntry(_Entry):
    """A file in ``endpoints/``."""

    name: Endpoint
    inputs: list[Input]
    tool_inputs: list[Input]
    builtin_tools: bool
    without_efforts: list[Effort]
    absent: list[Name]
    names: dict[Name, Name] = {}
    parameters: Rules = {}
    source: str
    verified: datetime.date


class MeasureEntry(_Entry):
    """How far two values of one measure must lie apart."""

    name: Name
    dimension: Dimension
    margin: Annotated[float, Field(gt=0, strict=False)]
    higher_is_better: bool = True
    bundled: bool = False
    source: Name


class MeasuresEntry(_Entry):
    """The file of measures."""

    measures: list[MeasureEntry]


class QualityOrderEntry(_Entry):
    """The file of the published order, worst first."""

    source: Name
    verified: datetime.date
    order: list[Name]


assert Dimension.__args__ == DIMENSIONS  # type: ignore[attr-defined]
