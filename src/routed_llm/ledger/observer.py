"""What this process has seen: outputs by kind of request, and how often caches held what was expected."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING, Any

from routed_llm.pricing import expected_output
from routed_llm.selector.weigh import choices_of
from routed_llm.usage import Observed, Seen

if TYPE_CHECKING:
    from routed_llm.catalog import Model
    from routed_llm.decision import Decision
    from routed_llm.facts import Previous, RequestFacts
    from routed_llm.usage import Usage

__all__ = ["Observer"]

_PRIOR = 2.0
"""Calls that the published expectation counts for against what is seen."""

_MEMORY = 256.0
"""Calls after which older ones count half: programs change."""

_PUBLISH = 0.02
"""Relative change below which the value stays the same, so that choices do not flicker."""

_SHARED = 1024
"""Fewest tokens that any cache keeps."""

_KINDS = 1024


class _Mean:
    __slots__ = ("total", "weight")

    def __init__(self, prior: float) -> None:
        self.total = prior * _PRIOR
        self.weight = _PRIOR

    def add(self, value: float) -> None:
        if self.weight >= _MEMORY:
            self.total /= 2
            self.weight /= 2
        self.total += value
        self.weight += 1

    @property
    def value(self) -> float:
        return self.total / self.weight


class _Kind:
    __slots__ = ("base", "density", "shared", "tokens")

    def __init__(self, prior: float) -> None:
        self.base = _Mean(prior)
        self.tokens: dict[tuple[str, str | None], _Mean] = {}
        self.shared: dict[str, _Mean] = {}
        self.density = _Mean(1.0)

    def seen(self) -> Seen:
        tokens = {key: mean.value for key, mean in self.tokens.items()}
        shared = {model: int(mean.value) for model, mean in self.shared.items()}
        warm = {model: count for model, count in shared.items() if count >= _SHARED}
        return Seen(self.base.value, tokens if len(tokens) > 1 else None, warm or None, self.density.value)


class Observer:
    """Learns from each finished call; safe to share between threads.

    ``value`` is what has been learned, as a value: a call that is being decided keeps the one it began with.
    """

    def __init__(self) -> None:
        self.value = Observed()
        self._kinds: dict[Any, _Kind] = {}
        self._reads: dict[str, _Mean] = {}
        self._lock = threading.Lock()

    def learn(self, decision: Decision, model: Model, usage: Usage, *, base: int | None) -> None:
        """Take in one finished call.

        Args:
            decision: what was decided; something was chosen.
            model: the catalog's facts about the chosen model.
            usage: what the provider reported.
            base: output tokens that the policy expects of gpt-4o, or None.
        """
        chosen, facts = decision.chosen, decision.facts
        if chosen is None or not usage.output_tokens:
            return
        ratio = model.output_ratio.get(chosen.effort or "", 1.0)
        key = (chosen.model, chosen.effort)
        prior = float(expected_output(facts, base))
        kind = facts.kind
        tokens = usage.output_tokens / (choices_of(facts) if facts.parameters else 1)
        with self._lock:
            # Only a call without a previous one shows what all such requests have in common.
            shared = usage.cached_tokens if facts.previous is None else None
            density = _density(facts, usage)
            # The wider kind first: a size that is new begins with what the others have shown.
            for name in (kind[0], kind):
                prior = self._output(name, key, tokens, ratio, prior, shared, density)
            held = _held(facts.previous, model, usage)
            if held:
                self._read(chosen.model, min(usage.cached_tokens / held, 1.0))

    def _output(
        self,
        name: Any,
        key: tuple[str, str | None],
        tokens: float,
        ratio: float,
        prior: float,
        shared: int | None,
        density: float | None,
    ) -> float:
        kind = self._kinds.get(name)
        if kind is None:
            if len(self._kinds) >= _KINDS:
                del self._kinds[next(iter(self._kinds))]
            kind = self._kinds[name] = _Kind(prior)
        kind.base.add(tokens / ratio)
        mine = kind.tokens.get(key)
        if mine is None:
            # A configuration that is new here begins where the others' experience puts it.
            mine = kind.tokens[key] = _Mean(kind.base.value * ratio)
        mine.add(tokens)
        if shared is not None:
            kind.shared.setdefault(key[0], _Mean(0.0)).add(shared)
        if density is not None:
            kind.density.add(density)
        seen = kind.seen()
        if _moved(self.value.outputs.get(name), seen):
            outputs = {name: held for name, held in self.value.outputs.items() if name in self._kinds}
            self.value = Observed(outputs={**outputs, name: seen}, reads=self.value.reads)
        return kind.base.value

    def _read(self, model: str, share: float) -> None:
        mean = self._reads.setdefault(model, _Mean(1.0))
        mean.add(share)
        before = self.value.reads.get(model, 1.0)
        if abs(mean.value - before) > _PUBLISH:
            self.value = Observed(
                outputs=self.value.outputs, reads={**self.value.reads, model: round(mean.value, 3)}
            )


def _density(facts: RequestFacts, usage: Usage) -> float | None:
    """Say how many tokens a text had for each that was estimated; None where that cannot be told."""
    if facts.tokens.exact or facts.images or facts.audio_seconds or facts.pdf_pages or facts.unknown_files:
        return None
    return usage.input_tokens / max(facts.tokens.likely, 1) if usage.input_tokens else None


def _held(previous: Previous | None, model: Model, usage: Usage) -> int:
    """Say how many tokens the cache should have held, whatever has been learned since."""
    terms = model.cache
    if previous is None or terms is None or previous.model != model.id:
        return 0
    if previous.age is not None and previous.age > terms.ttl:
        return 0
    usable = min(previous.prefix_tokens // terms.step * terms.step, usage.input_tokens)
    return usable if usable >= terms.min_prefix else 0


def _moved(before: Seen | None, now: Seen) -> bool:
    if before is None or (before.tokens or {}).keys() != (now.tokens or {}).keys():
        return True
    if (before.shared or {}).keys() != (now.shared or {}).keys():
        return True
    pairs = [(before.base, now.base)]
    if abs(before.density - now.density) > _PUBLISH / 4:
        return True
    pairs.extend((value, (now.tokens or {})[key]) for key, value in (before.tokens or {}).items())
    pairs.extend((count, (now.shared or {})[model]) for model, count in (before.shared or {}).items())
    return any(abs(new - old) > _PUBLISH * old for old, new in pairs)
