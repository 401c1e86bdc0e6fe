"""Model: one catalog entry as the deciding code reads it: frozen, plain, validated beforehand.

Catalog files are validated by :mod:`routed_llm.catalog.entry`; this module only holds the result.
Money is integer picodollars per token (one US dollar per million tokens is 1,000,000 of them).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date, timedelta
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from routed_llm.framing import Framing
    from routed_llm.usage import Usage

__all__ = [
    "CacheTerms",
    "Fee",
    "ImageRuleSpec",
    "Lifecycle",
    "Limits",
    "Measure",
    "Model",
    "ParameterRule",
    "Price",
    "Recall",
    "Speed",
    "Verdict",
]


WINDOWS = frozenset({"background_2h", "background_8h"})
"""Tiers that are windows in which a background response may end."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """Token limits of a model.

    Attributes:
        context_window: input plus output, in tokens.
        max_input: the most input tokens accepted, whatever the output.
        max_output: the most output tokens, reasoning included.
        knowledge_cutoff: last day of training data, or None.
        source: where the numbers come from.
        verified: the day they were last compared with the source.
    """

    context_window: int
    max_input: int
    max_output: int
    knowledge_cutoff: date | None = None
    source: str = ""
    verified: date | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Lifecycle:
    """When a model can be called.

    Attributes:
        released: first day, or None when it is not known (then it counts as released).
        deprecated: the day the shutdown was announced, or None.
        shutdown: the first day on which calls are refused, or None.
        replacement: the id the provider names instead, or None.
        held_to: the model that is published to be at least as good and next to it, where too little is
            published of it to compare others with it; or None.
    """

    released: date | None = None
    deprecated: date | None = None
    shutdown: date | None = None
    replacement: str | None = None
    held_to: str | None = None
    source: str = ""
    verified: date | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Price:
    """One dated price row, in picodollars per token; None means the provider publishes none.

    Attributes:
        since: first day on which the row holds (a later row of the same tier and ``above`` replaces it).
        tier: ``standard``, ``batch``, ``flex``, ``priority``, ``ultrafast``, or ``background_2h`` and
            ``background_8h``, the discounted windows in which a background response may end.
        above: the row prices whole requests with more than this many input tokens (0: any).
    """

    since: date
    tier: str = "standard"
    above: int = 0
    input: int
    output: int
    cached_input: int | None = None
    cache_write: int | None = None
    cache_write_12h: int | None = None
    audio_input: int | None = None
    audio_output: int | None = None
    audio_cached_input: int | None = None
    image_input: int | None = None
    source: str = ""
    verified: date | None = None
    unverified: str | None = None

    def of(self, usage: Usage) -> int:
        """Return the picodollars that the tokens of a usage cost."""
        audio_cached = usage.audio_cached_tokens if self.audio_input is not None else 0
        audio = usage.audio_input_tokens - audio_cached if self.audio_input is not None else 0
        image = usage.image_input_tokens if self.image_input is not None else 0
        spoken = usage.audio_output_tokens if self.audio_output is not None else 0
        cached = max(usage.cached_tokens - audio_cached, 0)
        written = usage.cache_write_tokens
        plain = max(usage.input_tokens - cached - written - audio - audio_cached - image, 0)
        total = plain * self.input + max(usage.output_tokens - spoken, 0) * self.output
        total += cached * (self.input if self.cached_input is None else self.cached_input)
        total += written * (self.input if self.cache_write is None else self.cache_write)
        if self.audio_input is not None:
            rate = self.audio_input if self.audio_cached_input is None else self.audio_cached_input
            total += audio * self.audio_input + audio_cached * rate
        if self.image_input is not None:
            total += image * self.image_input
        return total if self.audio_output is None else total + spoken * self.audio_output


@dataclass(frozen=True, slots=True, kw_only=True)
class Fee:
    """What a call of a hosted tool costs beside tokens, in picodollars, from a day on.

    Attributes:
        since: first day on which it holds.
        each: for each call, or for each session of a container.
        most: the most that one can cost, where a reply does not say how much it was.
        by: what another set-up of the tool costs, such as ``4g`` of memory.
        reads: input tokens that a call adds to the usage, on average.
        reads_most: the most that were seen.
        block: input tokens that a call is billed and that stand in no usage.
        calls: calls that a request makes which offers the tool, on average.
        quantiles: what half of such requests, nine of ten and nineteen of twenty make at most.
        most_calls: the most that is expected at worst.
        always: whether every answer is one call.
    """

    since: date
    each: int
    most: int
    by: Mapping[str, int] = field(default_factory=dict)
    reads: int = 0
    reads_most: int = 0
    block: int = 0
    calls: float = 1.0
    quantiles: tuple[int, int, int] = (1, 1, 1)
    most_calls: int = 1
    always: bool = False

    def of(self, setup: str) -> int:
        """Return the price of one call, or of one session, with the tool set up so."""
        return self.by.get(setup, self.each)


@dataclass(frozen=True, slots=True, kw_only=True)
class ParameterRule:
    """What a model does with one parameter on one endpoint.

    Attributes:
        accept: ``yes``, ``no`` (the request is refused) or ``effort_none`` (accepted only when the
            reasoning effort that is sent is ``none``).
        only: the only values accepted, or None for any.
        max_items: the longest list accepted, or None.
        rename: the name under which the endpoint takes it, or None for the same name.
        without: names of other parameters that it cannot be combined with.
        requires: another parameter without which it is refused, or None.
        unverified: why the rule is not certain, or None.
    """

    accept: str = "yes"
    only: tuple[Any, ...] | None = None
    max_items: int | None = None
    rename: str | None = None
    without: tuple[str, ...] = ()
    requires: str | None = None
    source: str = ""
    unverified: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class ImageRuleSpec:
    """How a model counts an image.

    Attributes:
        kind: ``tile``, ``patch`` (all details alike), ``patch_by_detail`` or ``rejected``.
        base: tile rule: tokens per image (also the whole count at detail low).
        per_tile: tile rule: tokens per 512-pixel tile.
        multiplier: patch rules: tokens per 32-pixel patch.
        details: patch rules: detail name to (longest side in pixels, most patches or None). A
            ``patch`` rule has the one key ``any``.
        unverified: why the rule is not certain, or None.
    """

    kind: str
    name: str = ""
    base: int = 0
    per_tile: int = 0
    multiplier: float = 1.0
    details: Mapping[str, tuple[int, int | None]] = field(default_factory=dict)
    unverified: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class CacheTerms:
    """The provider's prompt cache, for one model.

    Attributes:
        min_prefix: tokens below which nothing is cached.
        step: cached lengths are multiples of this many tokens.
        ttl: seconds an unused prefix is kept by default.
        control: the request parameter that steers it (``prompt_cache_options``,
            ``prompt_cache_retention``) or None.
    """

    min_prefix: int = 1024
    step: int = 128
    ttl: int = 300
    control: str | None = None
    source: str = ""
    unverified: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Measure:
    """One published measure behind a verdict.

    Attributes:
        name: measure, evaluator and version.
        sign: ``+`` above the reference by more than the margin, ``=`` within it, ``-`` below;
            in brackets when it is inferred: the reference is an estimate, or a lower effort was measured.
        value: the model's value, only where its licence lets it be repeated; else None.
        reference: the reference model's value, likewise.
    """

    name: str
    sign: str
    value: float | None = None
    reference: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Verdict:
    """How a (model, effort) compares with the reference model on one dimension.

    Attributes:
        verdict: ``above``, ``above (inferred)``, ``tie``, ``mixed`` or ``below``.
        evidence: the measures it rests on.
    """

    verdict: str
    evidence: tuple[Measure, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Recall:
    """A published long-context recall figure.

    Attributes:
        test: name and version of the test.
        effort: the effort it was run at, or None.
        up_to: the bin's upper end in tokens.
        value: percent.
    """

    test: str
    effort: str | None
    up_to: int
    value: float
    source: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Speed:
    """How quick a model is, in coarse steps; what is learned from calls corrects it.

    Attributes:
        start: seconds to a first token where nothing is read and nothing thought.
        per_input: seconds for each input token that no cache holds.
        per_second: output tokens a second, reasoning included.
    """

    start: float
    per_input: float
    per_second: float
    source: str = ""
    verified: date | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Model:
    """One model: what it takes, what it costs, how long it lives, how good it is said to be.

    Attributes:
        id: the name in the catalog.
        sent_as: the name sent to the provider (differs from ``id`` for gateways and deployments).
        base_url: where it is served when not at the caller's default, or None.
        api_key_env: the environment variable that holds the key of that address, or None.
        headers: headers that go to that address; a value such as ``$NAME`` is read from the environment.
        keyless: whether that address wants no key.
        home_of: the model of which this is another home, or None for the model itself.
        order: which of a model's homes comes first, the least number of all; None where price decides.
        weight: its part of the calls among homes of the same order; 0 for none, None where price decides.
        requests_per_minute: what it takes there, where that is known before an answer says so, or None.
        tokens_per_minute: the same of tokens.
        family: the family file whose facts it shares.
        base: the catalog model whose facts a fine-tune or deployment inherits, or None.
        pool: who may choose it: ``default``, ``audio`` (only when audio is asked for), ``quality``
            (only when quality is optimised), ``realtime`` (only on that surface) or ``named``.
        inputs: ``text``, ``image``, ``audio``, ``pdf``, ``file``.
        outputs: ``text``, ``audio``.
        requires_audio: True when a request without audio in or out is refused.
        endpoints: ``chat_completions``, ``responses``, ``realtime``, in no order.
        tools: endpoint to ``yes``, ``no`` or ``effort_none``.
        builtin_tools: the hosted tools it offers on Responses.
        fees: hosted tool to what it costs beside tokens, latest first; a tool that is not listed costs none.
        structured: ``json_object`` and ``json_schema``, those it offers.
        efforts: endpoint to the reasoning efforts it takes there; empty for a model that does not reason.
        default_effort: the effort the provider uses when none is sent, or None.
        reasoning_room: effort to the output tokens to leave for reasoning above the caller's cap.
        output_ratio: effort (``""`` without reasoning) to billed output tokens, reasoning included,
            relative to what gpt-4o writes for the same work; :func:`routed_llm.pricing.writes` splits it.
        thought: effort to the reasoning tokens that it was seen to spend on ordinary questions.
        parameters: endpoint to parameter name to rule; a name not listed is passed on as it is.
        tier_limits: service tier to the most input tokens that are served at it, where that is less than the
            model takes.
        verdicts: effort (``""`` without reasoning) to dimension to Verdict, against gpt-4o.
        speed: how quick it is, or None where nothing is known.
        compared: (model, effort or ``""``, dimension) to how that compares with this model at its default
            effort, where one evaluator ran both.
        equivalent_to: models for which the provider presents this one as the counterpart, where no
            measure is published (audio and realtime models).
        quality_rank: effort to a rank; higher is better. Only the order means anything.
        framing: endpoint to what it writes around a request's texts, where that is known.
        regional_surcharge: percent added on data-residency endpoints.
        unverified: sentences on what only the live API could tell.
    """

    id: str
    sent_as: str
    family: str
    limits: Limits
    lifecycle: Lifecycle
    prices: tuple[Price, ...] = ()
    tier_limits: Mapping[str, int] = field(default_factory=dict)
    base: str | None = None
    base_url: str | None = None
    api_key_env: str | None = None
    headers: Mapping[str, str] = field(default_factory=dict)
    keyless: bool = False
    home_of: str | None = None
    order: int | None = None
    weight: float | None = None
    requests_per_minute: int | None = None
    tokens_per_minute: int | None = None
    pool: str = "named"
    aliases: tuple[str, ...] = ()
    snapshots: tuple[str, ...] = ()
    inputs: frozenset[str] = frozenset({"text"})
    outputs: frozenset[str] = frozenset({"text"})
    requires_audio: bool = False
    endpoints: frozenset[str] = frozenset({"chat_completions"})
    tools: Mapping[str, str] = field(default_factory=dict)
    builtin_tools: frozenset[str] = frozenset()
    fees: Mapping[str, tuple[Fee, ...]] = field(default_factory=dict)
    structured: frozenset[str] = frozenset()
    streaming: bool = True
    efforts: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    default_effort: str | None = None
    reasoning_room: Mapping[str, int] = field(default_factory=dict)
    output_ratio: Mapping[str, float] = field(default_factory=dict)
    thought: Mapping[str, int] = field(default_factory=dict)
    parameters: Mapping[str, Mapping[str, ParameterRule]] = field(default_factory=dict)
    image: ImageRuleSpec | None = None
    cache: CacheTerms | None = None
    verdicts: Mapping[str, Mapping[str, Verdict]] = field(default_factory=dict)
    recall: tuple[Recall, ...] = ()
    speed: Speed | None = None
    compared: Mapping[tuple[str, str, str], tuple[Measure, ...]] = field(default_factory=dict)
    equivalent_to: frozenset[str] = frozenset()
    quality_rank: Mapping[str, int] = field(default_factory=dict)
    framing: Mapping[str, Framing] = field(default_factory=dict)
    regional_surcharge: int = 0
    encoding: str = "o200k_base"
    unverified: tuple[str, ...] = ()
    source: str = ""
    verified: date | None = None

    @property
    def name(self) -> str:
        """The model's id, whichever home of it this is."""
        return self.home_of or self.id

    @property
    def reasons(self) -> bool:
        """Whether the model has reasoning efforts at all."""
        return any(self.efforts.values())

    def alive(self, at: date, *, grace: int = 0) -> bool:
        """Say whether the model can be called on a day.

        Args:
            at: the day.
            grace: days before its shutdown from which it counts as gone.
        """
        life = self.lifecycle
        if life.released is not None and at < life.released:
            return False
        return life.shutdown is None or at < life.shutdown - timedelta(days=grace)

    def fee(self, tool: str, at: date) -> Fee | None:
        """Find what a hosted tool costs beside tokens on a day, or None where it costs nothing."""
        return next((fee for fee in self.fees.get(tool, ()) if fee.since <= at), None)

    def price(self, at: date, *, tier: str = "standard", input_tokens: int = 0) -> Price | None:
        """Find the price row that holds for a request on a day, or None when there is none.

        A background window for which the model has no row is priced at the standard rate: which models
        have the discount is not published in full.
        """
        best: Price | None = None
        for row in self.prices:
            if row.tier != tier or row.since > at or (row.above and input_tokens <= row.above):
                continue
            if best is None or (row.above, row.since) >= (best.above, best.since):
                best = row
        if best is None and tier in WINDOWS:
            return self.price(at, input_tokens=input_tokens)
        return best
