"""Decision: what was chosen, what was not and why, and what will be sent differently.

The same object explains success and, inside :class:`routed_llm.errors.NoModelFits`, failure.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from datetime import date
from decimal import Decimal
from typing import TYPE_CHECKING, Any, Final, NamedTuple, Protocol, Self

from routed_llm.budget import PICO, Allowance
from routed_llm.facts import RequestFacts, jsonable
from routed_llm.reasons import Reason
from routed_llm.record import ChangeRecord, Record, SecondsRecord, SwitchRecord

if TYPE_CHECKING:
    from routed_llm.policy import Policy

__all__ = [
    "RECORD_VERSION",
    "Call",
    "Candidate",
    "Change",
    "Decision",
    "Evidence",
    "Explanation",
    "Reason",
    "Seconds",
    "StoredExplanation",
    "Switch",
    "short_record",
]

RECORD_VERSION = 1
"""Version of the JSON record that :meth:`Decision.record` writes."""


class Seconds(NamedTuple):
    """How long an answer is expected to take, in seconds from the sending of the request.

    Attributes:
        first: to the first token of the answer, in the median.
        first_p90: the same for nine of ten calls.
        whole: to its end, in the median.
        whole_p90: the same for nine of ten calls.
        source: ``published class`` or, such as, ``42 calls``.
    """

    first: float
    first_p90: float
    whole: float
    whole_p90: float
    source: str

    def to_dict(self) -> SecondsRecord:
        """Return it as JSON-able data, in hundredths of a second."""
        return {
            "first": round(self.first, 2),
            "first_p90": round(self.first_p90, 2),
            "whole": round(self.whole, 2),
            "whole_p90": round(self.whole_p90, 2),
            "source": self.source,
        }


class Explanation(Protocol):
    """What is only needed to explain a choice; worked out when it is asked for, from the same inputs."""

    @property
    def why(self) -> str:
        """A phrase on what settled the choice."""

    @property
    def others(self) -> tuple[Mapping[str, str], Mapping[str, str | None]]:
        """Of each other model what rules it out, or else what it would have cost in US dollars."""

    @property
    def candidates(self) -> tuple[Candidate, ...]:
        """Every configuration that was weighed."""

    @property
    def seconds(self) -> Seconds | None:
        """How long the answer is expected to take; None when nothing fits."""

    @property
    def worst_cost(self) -> int | None:
        """The most picodollars that the call can cost, or None when nothing fits or no price is known."""

    @property
    def cost_range(self) -> Mapping[str, int] | None:
        """Picodollars by ``p50``, ``p90`` and ``p95``, or None when nothing fits or no price is known."""

    @property
    def replacement(self) -> Mapping[str, Any] | None:
        """What the provider names in the baseline's place, what that would cost and why it is not used."""


@dataclass(frozen=True, slots=True, kw_only=True)
class StoredExplanation:
    """An explanation that has been worked out: what a Decision keeps of it where it is pickled.

    Attributes:
        why: a phrase on what settled the choice.
        others: of each other model what rules it out, or else what it would have cost in US dollars.
        candidates: every configuration that was weighed.
        seconds: how long the answer is expected to take; None when nothing fits.
        replacement: what the provider names in the baseline's place, what that would cost and why it is not
            used; or None.
        worst_cost: the most picodollars that the call can cost, or None.
        cost_range: picodollars by ``p50``, ``p90`` and ``p95``, or None.
    """

    why: str = ""
    others: tuple[Mapping[str, str], Mapping[str, str | None]] = ({}, {})
    candidates: tuple[Candidate, ...] = ()
    seconds: Seconds | None = None
    replacement: Mapping[str, Any] | None = None
    worst_cost: int | None = None
    cost_range: Mapping[str, int] | None = None


@dataclass(frozen=True, slots=True)
class Change:
    """One parameter that is sent differently from what was asked, and why.

    Attributes:
        parameter: its name as the caller gave it (or as it is sent, when it was added).
        action: ``renamed``, ``clamped``, ``raised``, ``dropped``, ``emulated``, ``added``, or ``relaxed`` of
            a wish of the policy's that holds only while something else can serve.
        before: the value asked for, or None.
        after: the value (or, for a rename, the name) sent, or None when dropped.
        why: the rest of the sentence "... because".
    """

    parameter: str
    action: str
    before: Any
    after: Any
    why: str

    @property
    def text(self) -> str:
        """The change as a sentence."""
        if self.action == "dropped":
            return f"{self.parameter}={self.before!r} dropped: {self.why}"
        if self.action == "emulated":
            return f"{self.parameter}={self.before!r} emulated: {self.why}"
        if self.action == "added":
            return f"{self.parameter}={self.after!r} added: {self.why}"
        if self.action == "relaxed":
            return f"{self.parameter}={self.before!r} relaxed: {self.why}"
        if self.action == "renamed":
            return f"{self.parameter} sent as {self.after}: {self.why}"
        return f"{self.parameter} {self.action} from {self.before!r} to {self.after!r}: {self.why}"

    def to_dict(self) -> ChangeRecord:
        """Return the change as JSON-able data."""
        before, after = self.before, self.after
        return {
            "parameter": self.parameter,
            "action": self.action,
            "before": before if type(before) in _PLAIN else jsonable(before),
            "after": after if type(after) in _PLAIN else jsonable(after),
            "why": self.why,
        }


@dataclass(frozen=True, slots=True, kw_only=True)
class Switch:
    """What it takes to leave the model that answered before, and whether that was done.

    Attributes:
        previous: the model that answered before.
        switched: whether another model was chosen.
        price: picodollars that the prefix in the previous model's cache saves on this call, and that
            a switch gives up.
        saving: picodollars that leaving for the best other model saves over this call and the horizon,
            its cold start paid; negative when staying is cheaper, None when one of them cannot serve
            or has no known price.
        horizon: further turns that were expected.
    """

    previous: str
    switched: bool
    price: int
    saving: int | None
    horizon: float

    def to_dict(self) -> SwitchRecord:
        """Return the switch as JSON-able data; money is a decimal string of US dollars."""
        return {
            "previous": self.previous,
            "switched": self.switched,
            "price": format_dollars(self.price),
            "saving": None if self.saving is None else format_dollars(self.saving),
            "horizon": self.horizon,
        }


@dataclass(frozen=True, slots=True)
class Evidence:
    """What is published about the chosen configuration on one dimension of quality.

    Attributes:
        dimension: such as ``overall`` or ``vision``.
        verdict: ``above``, ``above (inferred)``, ``tie``, ``same model`` or ``unknown``.
        measures: the names of the measures behind it.
    """

    dimension: str
    verdict: str
    measures: tuple[str, ...] = ()


class _Made:
    """A value whose fields are all known: to set them one by one takes three times as long."""

    __slots__ = ()

    @classmethod
    def made(cls, values: dict[str, Any]) -> Self:
        """Return one with these fields, which have to be all there are; it keeps the dict."""
        new = object.__new__(cls)
        object.__setattr__(new, "__dict__", values)
        return new


@dataclass(frozen=True, kw_only=True)  # without slots, as every decision makes one
class Candidate(_Made):
    """A model with its effort and endpoint, what it is expected to cost, and the Reasons against it.

    Attributes:
        model: catalog id.
        effort: reasoning effort, or None for a model without efforts.
        endpoint: ``chat_completions``, ``responses`` or ``realtime``.
        cost: expected picodollars for the whole call, or None when no price is known.
        input_tokens: expected input tokens by this model's own rules.
        output_tokens: expected output tokens, reasoning included.
        cached_tokens: input tokens expected to be read from this model's prompt cache.
        reasons: why it was not chosen; empty for the chosen one.
    """

    model: str
    effort: str | None
    endpoint: str
    cost: int | None = None
    input_tokens: int = 0
    output_tokens: int = 0
    cached_tokens: int = 0
    reasons: tuple[Reason, ...] = ()
    sent_as: str = ""
    base_url: str | None = None

    @property
    def dollars(self) -> Decimal | None:
        """The expected cost in US dollars, or None when no price is known."""
        return None if self.cost is None else Decimal(self.cost) / PICO

    @property
    def able(self) -> bool:
        """Whether it could serve the request: nothing is said against it but that another comes first."""
        return all(reason.of_order for reason in self.reasons)

    @property
    def name(self) -> str:
        """``model`` or ``model@effort``."""
        return self.model if self.effort is None else f"{self.model}@{self.effort}"

    def to_dict(self) -> dict[str, Any]:
        """Return the candidate as JSON-able data; money is a decimal string of US dollars."""
        return {
            "model": self.model,
            "effort": self.effort,
            "endpoint": self.endpoint,
            "cost": None if self.cost is None else format_dollars(self.cost),
            "input_tokens": self.input_tokens,
            "output_tokens": self.output_tokens,
            "cached_tokens": self.cached_tokens,
            "reasons": [reason.to_dict() for reason in self.reasons],
        }


@dataclass(frozen=True, slots=True, kw_only=True)
class Call:
    """What the call must look like for the chosen model and endpoint.

    Attributes:
        model: the id to send.
        base_url: where to send it, or None for the caller's own.
        endpoint: ``chat_completions`` or ``responses``.
        effort: the reasoning effort to send, or None to send none.
        cap: the output cap to send, or None to send none.
        requested_output: tokens after which the text of the answer must be ended here, since a higher cap
            is sent than the caller's; None where the provider sees to it.
        parameters: the caller's other parameters that survive, by their Chat Completions names.
        dropped: the names of those that do not.
        emulated: the parameters among them that the caller must make good itself.
        stream: whether to stream; False where the caller asked for it and the model cannot.
        stateless: whether the conversation must go without what earlier turns left with the provider
            (reasoning and the ids of items), since it was not found there.
    """

    model: str
    base_url: str | None
    endpoint: str
    effort: str | None
    cap: int | None
    parameters: Mapping[str, Any]
    dropped: frozenset[str] = frozenset()
    emulated: frozenset[str] = frozenset()
    stream: bool = False
    stateless: bool = False
    requested_output: int | None = None


_PLAIN: Final = frozenset({str, int, float, bool, type(None)})
_OF_CHOSEN: Final = ("model", "effort", "endpoint")


@dataclass(frozen=True, kw_only=True)  # without slots, as every decision makes one
class Decision(_Made):
    """The outcome of :func:`routed_llm.select`: the choice, the others, and what changes. A value.

    Two are equal when the same was decided for the same; what explains it (``why``, ``rejected``,
    ``dearer``, ``candidates``, ``seconds``) is worked out when it is read, since most callers never read it.

    Attributes:
        chosen: the Candidate that serves the call, or None when nothing fits.
        call: what to send, or None when nothing fits.
        changes: what is sent differently from what was asked.
        evidence: what is published on the chosen configuration, by dimension.
        without_evidence: dimensions that the call touches and for which nothing is published.
        baseline: the model that the quality floor refers to, or None without a floor.
        facts: the request as it was weighed.
        at: the day it was weighed for.
        certain: False when the text's token count was only bounded and an exact count might
            change the choice.
        catalog_version: hash of the catalog that was used.
        policy: the policy it was weighed by.
        allowance: what budgets left for the call and which accounts it draws on, or None without any.
        reserve: picodollars to hold while the call runs; None when no price is known.
        switch: what leaving the previous model would cost or save; None without one.
        trial: in a shadow or a rollout, who answers and what the other one would do; else None.
        counted: when the provider was asked to count: ``by`` (``provider``, or ``local`` when it gave no
            count), ``tokens`` (text tokens) or ``error``, and ``local``, our own count; else None.
        explanation: works out what is only needed to explain it.
        model: the chosen model's catalog id, or None.
        effort: the chosen effort, or None.
        endpoint: the chosen endpoint, or None.
    """

    chosen: Candidate | None
    call: Call | None
    changes: tuple[Change, ...]
    evidence: tuple[Evidence, ...]
    without_evidence: tuple[str, ...]
    baseline: str | None
    facts: RequestFacts
    at: date
    certain: bool = True
    catalog_version: str = ""
    policy: Policy | None = None
    allowance: Allowance | None = None
    reserve: int | None = None
    switch: Switch | None = None
    trial: Any = None
    counted: Mapping[str, Any] | None = None
    explanation: Explanation = field(default=StoredExplanation(), repr=False, compare=False)
    model: str | None = field(init=False, repr=False, compare=False)
    effort: str | None = field(init=False, repr=False, compare=False)
    endpoint: str | None = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        for name in _OF_CHOSEN:
            object.__setattr__(self, name, getattr(self.chosen, name, None))

    def __reduce__(self) -> tuple[Any, ...]:
        shown = self.explanation
        whole = {item.name: getattr(self, item.name) for item in fields(self) if item.init}
        whole["explanation"] = StoredExplanation(
            why=shown.why,
            others=shown.others,
            candidates=shown.candidates,
            seconds=shown.seconds,
            replacement=shown.replacement,
            worst_cost=shown.worst_cost,
            cost_range=shown.cost_range,
        )
        return (_decision, (whole,))

    @property
    def why(self) -> str:
        """A phrase on what settled the choice."""
        said: str | None = None if self.trial is None else self.trial.why
        return said or self.explanation.why

    @property
    def rejected(self) -> dict[str, str]:
        """Model to the sentence that rules it out, for models of which no configuration can serve."""
        return dict(self.explanation.others[0])

    @property
    def dearer(self) -> dict[str, str | None]:
        """Model to the US dollars its cheapest configuration would cost, for those that could serve, too.

        Under a policy that optimises quality some of them may be cheaper; they rank lower.
        """
        return dict(self.explanation.others[1])

    @property
    def candidates(self) -> tuple[Candidate, ...]:
        """Every configuration that was weighed: the chosen one first, then by cost, then the rejected."""
        return self.explanation.candidates

    @property
    def dollars(self) -> Decimal | None:
        """The expected cost in US dollars, or None."""
        return None if self.chosen is None else self.chosen.dollars

    @property
    def seconds(self) -> Seconds | None:
        """How long the answer is expected to take; None when nothing fits."""
        return self.explanation.seconds

    @property
    def worst_cost(self) -> Decimal | None:
        """The most US dollars that the call can cost, or None when nothing fits or no price is known.

        Nothing of the input is cached then, all of it is written, and the output goes up to its cap, or
        without one to the limit of the model.
        """
        worst = self.explanation.worst_cost
        return None if worst is None else Decimal(worst) / PICO

    @property
    def cost_range(self) -> dict[str, Decimal] | None:
        """US dollars that half of such calls, nine of ten and nineteen of twenty are expected to stay within.

        By ``p50``, ``p90`` and ``p95``; None when nothing fits or no price is known. From what calls of the
        kind were billed for each dollar that was expected of them, or before that is known from how long
        published answers were.
        """
        found = self.explanation.cost_range
        return None if found is None else {name: Decimal(pico) / PICO for name, pico in found.items()}

    def reasons_against(self, model: str) -> tuple[Reason, ...]:
        """Return the Reasons against a model, those of its best configuration first."""
        return tuple(r for c in self.candidates if c.model == model for r in c.reasons)

    @property
    def replacement(self) -> Mapping[str, Any] | None:
        """What the provider names in the baseline's place, what that would cost and why it is not used.

        ``model``, ``effort``, ``cost`` (US dollars as a decimal string, or None) and ``why_not`` (None where
        it was chosen). None where the baseline has no announced end.
        """
        return self.explanation.replacement

    def record(self) -> Record:
        """Return the short JSON-able record that adapters attach to a response.

        The record has no prompt text. ``version`` changes when a key changes its meaning.
        """
        chosen, shown, why = self.chosen, self.explanation, self.why
        (rejected, dearer), seconds, worst = shown.others, shown.seconds, shown.worst_cost
        ranged = shown.cost_range or {}
        record: Record = {
            "version": RECORD_VERSION,
            "model": self.model,
            "effort": self.effort,
            "endpoint": self.endpoint,
            "why": why,
            "estimated_cost": None if chosen is None or chosen.cost is None else format_dollars(chosen.cost),
            "cost_range": {name: format_dollars(pico) for name, pico in ranged.items()} or None,
            "worst_cost": None if worst is None else format_dollars(worst),
            "input_tokens": chosen.input_tokens if chosen else None,
            "output_tokens": chosen.output_tokens if chosen else None,
            "seconds": None if seconds is None else seconds.to_dict(),
            "baseline": self.baseline,
            "changes": [change.to_dict() for change in self.changes] if self.changes else [],
            "evidence": {item.dimension: item.verdict for item in self.evidence},
            "without_evidence": list(self.without_evidence),
            "rejected": {**rejected},
            "dearer": {**dearer},
            "estimates": list(self.facts.estimates),
            "at": self.at.isoformat(),
            "catalog": self.catalog_version,
            "switch": None if self.switch is None else self.switch.to_dict(),
        }
        if self.counted is not None:
            record["counted"] = dict(self.counted)
        return record

    def to_dict(self) -> dict[str, Any]:
        """Return the whole decision, every candidate with its reasons, as JSON-able data."""
        return {
            **self.record(),
            "facts": self.facts.to_dict(),
            "candidates": [candidate.to_dict() for candidate in self.candidates],
            "replacement": None if self.replacement is None else dict(self.replacement),
        }


_SHORT: Final = (
    "version",
    "model",
    "effort",
    "endpoint",
    "served",
    "why",
    "cost",
    "usage",
    "cached",
    "id",
    "at",
)


def short_record(record: Mapping[str, Any]) -> dict[str, Any]:
    """Return of a record what travels well in every message of a stored conversation.

    Who answered, why, what it cost and under which id the ledger has the rest; ``changes`` and ``attempts``
    only where there were any.
    """
    kept = {name: record[name] for name in _SHORT if name in record}
    return {**kept, **{name: record[name] for name in ("changes", "attempts") if record.get(name)}}


def _decision(values: dict[str, Any]) -> Decision:
    return Decision(**values)


def format_dollars(pico: int) -> str:
    """Write picodollars as a decimal string of US dollars, without exponent or trailing zeros."""
    if pico < 0:
        return f"-{format_dollars(-pico)}"
    whole, part = divmod(pico, PICO)
    return f"{whole}.{part:012d}".rstrip("0") if part else str(whole)
