"""What a catalog file may say: strict pydantic models.

Only files and mappings from outside come through here, so pydantic is never imported on the way to a
packaged Model. A file says only what differs from its family or base; what must be there once everything
is merged is checked in :mod:`routed_llm.catalog.resolve`.
"""

from __future__ import annotations

import datetime
from typing import Annotated, Literal

from pydantic import Field

from routed_llm.catalog.parts import (
    Accept,
    CacheEntry,
    ComparedEntry,
    Count,
    Dimension,
    Effort,
    Endpoint,
    Entry,
    FeeEntry,
    FramingEntry,
    ImageRuleEntry,
    Input,
    LifecycleEntry,
    LimitsEntry,
    Name,
    Output,
    ParametersEntry,
    Pool,
    PricesEntry,
    RatioEntry,
    RecallEntry,
    Row,
    Rules,
    SpeedEntry,
    Structured,
    ThoughtEntry,
    Tokens,
    VerdictEntry,
)

__all__ = [
    "EndpointEntry",
    "FamilyEntry",
    "FeesEntry",
    "FramingsEntry",
    "ImagesEntry",
    "MeasuresEntry",
    "ModelEntry",
    "QualityOrderEntry",
]


class _Shared(Entry):
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
    framing: Name | None = None
    regional_surcharge: Annotated[int, Field(ge=0, le=100)] | None = None
    encoding: Literal["o200k_base", "cl100k_base"] | None = None
    unverified: list[str] | None = None
    source: str | None = None
    verified: datetime.date | None = None


class FamilyEntry(_Shared):
    """A file in ``families/``."""

    name: Name


class HomeEntry(Entry):
    """One of the places where a model is served; without a ``base_url`` the caller's own address."""

    base_url: Annotated[str, Field(pattern=r"^https?://[^/@\s]+(/|$)")] | None = None
    api_key_env: Annotated[str, Field(pattern=r"^[A-Za-z_][A-Za-z0-9_]*$")] | None = None
    headers: dict[Name, Annotated[str, Field(pattern=r"^[\x20-\x7e]+$")]] | None = None
    keyless: bool | None = None
    sent_as: Name | None = None
    order: Annotated[int, Field(ge=1)] | None = None
    weight: Annotated[float, Field(ge=0, strict=False)] | None = None
    requests_per_minute: Count | None = None
    tokens_per_minute: Count | None = None
    endpoints: list[Endpoint] | None = None
    limits: LimitsEntry | None = None
    prices: PricesEntry | None = None
    speed: SpeedEntry | None = None


class ModelEntry(_Shared):
    """A file in ``models/``, or an entry of the user's own."""

    id: Name
    family: Name | None = None
    base: Name | None = None
    sent_as: Name | None = None
    base_url: Annotated[str, Field(pattern=r"^https?://[^/@\s]+(/|$)")] | None = None
    api_key_env: Annotated[str, Field(pattern=r"^[A-Za-z_][A-Za-z0-9_]*$")] | None = None
    headers: dict[Name, Annotated[str, Field(pattern=r"^[\x20-\x7e]+$")]] | None = None
    keyless: bool | None = None
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
    thought: ThoughtEntry | None = None
    recall: RecallEntry | None = None
    speed: SpeedEntry | None = None
    compared: list[ComparedEntry] | None = None
    verdicts: dict[Row, dict[Dimension, VerdictEntry]] | None = None
    equivalent_to: list[Name] | None = None
    quality_rank: dict[Row, int] | None = None
    homes: dict[Name, HomeEntry] | None = None


class ImagesEntry(Entry):
    """The file of image rules."""

    source: str
    verified: datetime.date
    rules: dict[Name, ImageRuleEntry]


class FeesEntry(Entry):
    """The file of what hosted tools cost."""

    tools: dict[Name, FeeEntry]


class FramingsEntry(Entry):
    """The file of what stands around a request's texts."""

    source: str
    verified: datetime.date
    rules: dict[Name, dict[Endpoint, FramingEntry]]


class EndpointEntry(Entry):
    """A file in ``endpoints/``."""

    name: Endpoint
    inputs: list[Input]
    tool_inputs: list[Input]
    builtin_tools: bool
    without_efforts: list[Effort]
    absent: list[Name]
    min_output: Tokens = 1
    names: dict[Name, Name] = Field(default_factory=dict)
    parameters: Rules = Field(default_factory=dict)
    own_parameters: Rules = Field(default_factory=dict)
    source: str
    verified: datetime.date


class MeasureEntry(Entry):
    """How far two values of one measure must lie apart."""

    name: Name
    dimension: Dimension
    margin: Annotated[float, Field(gt=0, strict=False)]
    higher_is_better: bool = True
    bundled: bool = False
    source: Name


class MeasuresEntry(Entry):
    """The file of measures."""

    measures: list[MeasureEntry]


class QualityOrderEntry(Entry):
    """The file of the published order, worst first."""

    source: Name
    verified: datetime.date
    order: list[Name]
