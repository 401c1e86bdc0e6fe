"""What this process has seen: outputs by kind of request, and how often caches held what was expected."""

from __future__ import annotations

import threading
from dataclasses import replace
from typing import TYPE_CHECKING, Any, NamedTuple

from routed_llm.pricing import Writes, expected_output, thought_for, writes
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

_PRIOR_LIKE = 5.0
"""Calls that answers to requests of other sizes count for: answers differ widely, so that a few short ones
must not make a configuration look cheap that writes many tokens for each word."""

_MEMORY = 256.0
"""Calls after which older ones count half: programs change."""

_REUSED = 1.0
"""Share of requests that go on from an earlier one, before any is seen: then the policy's horizon holds."""

_PUBLISH = 0.02
"""Relative change below which the value stays the same, so that choices do not flicker."""

_SHARED = 1024
"""Fewest tokens that any cache keeps."""

_KINDS = 1024


class _Mean:
    __slots__ = ("total", "weight")

    def __init__(self, prior: float, weight: float = _PRIOR) -> None:
        self.total = prior * weight
        self.weight = weight

    def add(self, value: float) -> None:
        if self.weight >= _MEMORY:
            self.total /= 2
            self.weight /= 2
        self.total += value
        self.weight += 1

    @property
    def value(self) -> float:
        return self.total / self.weight


class _Prior(NamedTuple):
    """What a kind of request begins with."""

    base: float
    thought: float
    weight: float = _PRIOR


class _Kind:
    __slots__ = ("base", "density", "reuse", "shared", "thought", "tokens")

    def __init__(self, prior: _Prior) -> None:
        self.base = _Mean(prior.base, prior.weight)
        self.thought = _Mean(prior.thought)
        self.reuse = _Mean(_REUSED)
        self.tokens: dict[tuple[str, str | None], _Mean] = {}
        self.shared: dict[str, _Mean] = {}
        self.density = _Mean(1.0)

    def seen(self) -> Seen:
        tokens = {key: mean.value for key, mean in self.tokens.items()}
        shared = {model: int(mean.value) for model, mean in self.shared.items()}
        warm = {model: count for model, count in shared.items() if count >= _SHARED}
        return Seen(
            self.base.value,
            tokens if len(tokens) > 1 else None,
            warm or None,
            self.density.value,
            self.thought.value,
            self.reuse.value,
        )

    def add(self, key: tuple[str, str | None], said: float, thought: float | None, written: Writes) -> None:
        """Count one answer: tokens that were said, and reasoning for each token of it that is published."""
        self.base.add(said / written.ratio)
        if thought is not None:
            self.thought.add(thought)
        mine = self.tokens.get(key)
        if mine is None:
            # A configuration that is new here begins where the others' experience puts it.
            begins = self.base.value * written.ratio + self.thought.value * written.reasoning
            mine = self.tokens[key] = _Mean(begins)
        mine.add(said + (thought or 0.0) * written.reasoning)


class Observer:
    """Learns from each finished call; safe to share between threads.

    ``value`` is what has been learned, as a value: a call that is being decided keeps the one it began with.
    """

    def __init__(self) -> None:
        self.value = Observed()
        self._kinds: dict[Any, _Kind] = {}
        self._reads: dict[str, _Mean] = {}
        self._thought: _Mean | None = None
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
        written = writes(model, chosen.effort)
        choices = choices_of(facts) if facts.parameters else 1
        # Where no reasoning is published, none can be expected by it: all that is written counts as said.
        thought = usage.reasoning_tokens / choices / written.reasoning if written.reasoning else None
        said = usage.output_tokens / choices - (thought or 0.0) * written.reasoning
        with self._lock:
            prior = self._begin(float(expected_output(facts, base)), thought)
            # Only a call without a previous one shows what all such requests have in common.
            shared = usage.cached_tokens if facts.previous is None else None
            density, reuse = _density(facts, usage), _reuse(facts.previous, model, usage)
            # The wider kind first: a size that is new begins with what the others have shown.
            narrow = facts.kind
            wide = self._kind(narrow[0], prior)
            wide.reuse.add(reuse)
            for name in (narrow[0], narrow):
                kind = wide if name is not narrow else self._kind(narrow, prior, wide)
                kind.add((chosen.model, chosen.effort), said, thought, written)
                if shared is not None:
                    kind.shared.setdefault(chosen.model, _Mean(0.0)).add(shared)
                if density is not None:
                    kind.density.add(density)
                self._publish(name, kind.seen())
                prior = _Prior(kind.base.value, kind.thought.value, _PRIOR_LIKE)
            held = _held(facts.previous, model, usage)
            if held:
                self._read(chosen.model, min(usage.cached_tokens / held, 1.0))

    def _kind(self, name: Any, prior: _Prior, wide: _Kind | None = None) -> _Kind:
        kind = self._kinds.get(name)
        if kind is None:
            if len(self._kinds) >= _KINDS:
                del self._kinds[next(iter(self._kinds))]
            kind = self._kinds[name] = _Kind(prior)
            if wide is not None:
                # Whether calls are followed by others is not to be learned from those that do follow.
                kind.reuse = wide.reuse
                kind.shared = wide.shared if name[-1] else kind.shared
        return kind

    def _publish(self, name: Any, seen: Seen) -> None:
        if _moved(self.value.outputs.get(name), seen):
            outputs = {name: held for name, held in self.value.outputs.items() if name in self._kinds}
            self.value = replace(self.value, outputs={**outputs, name: seen})

    def _begin(self, words: float, thought: float | None) -> _Prior:
        """Return what a kind not met before begins with, and count the reasoning of this call."""
        mean = self._thought
        prior = _Prior(words, thought_for(words) if mean is None else mean.value)
        if thought is None:
            return prior
        if mean is None:
            mean = self._thought = _Mean(prior.thought)
        mean.add(thought)
        if self.value.thought is None or _thinks_anew(self.value.thought, mean.value):
            self.value = replace(self.value, thought=mean.value)
        return prior

    def _read(self, model: str, share: float) -> None:
        mean = self._reads.setdefault(model, _Mean(1.0))
        mean.add(share)
        before = self.value.reads.get(model, 1.0)
        if abs(mean.value - before) > _PUBLISH:
            self.value = replace(self.value, reads={**self.value.reads, model: round(mean.value, 3)})


def _density(facts: RequestFacts, usage: Usage) -> float | None:
    """Say how many tokens a text had for each that was estimated; None where that cannot be told."""
    if facts.tokens.exact or facts.images or facts.audio_seconds or facts.pdf_pages or facts.unknown_files:
        return None
    return usage.input_tokens / max(facts.tokens.likely, 1) if usage.input_tokens else None


def _reuse(previous: Previous | None, model: Model, usage: Usage) -> float:
    """Say what share of a request stood in an earlier one that a cache might still hold."""
    if previous is None or not usage.input_tokens:
        return 0.0
    if model.cache is not None and previous.age is not None and previous.age > model.cache.ttl:
        return 0.0
    return min(previous.prefix_tokens / usage.input_tokens, 1.0)


def _held(previous: Previous | None, model: Model, usage: Usage) -> int:
    """Say how many tokens the cache should have held, whatever has been learned since."""
    terms = model.cache
    if previous is None or terms is None or previous.model != model.id:
        return 0
    if previous.age is not None and previous.age > terms.ttl:
        return 0
    usable = min(previous.prefix_tokens // terms.step * terms.step, usage.input_tokens)
    return usable if usable >= terms.min_prefix else 0


def _thinks_anew(before: float, now: float) -> bool:
    # It may come down to nothing, so that no change would be small beside it.
    return abs(now - before) > _PUBLISH * max(before, 1.0)


def _moved(before: Seen | None, now: Seen) -> bool:
    if before is None or (before.tokens or {}).keys() != (now.tokens or {}).keys():
        return True
    if (before.shared or {}).keys() != (now.shared or {}).keys():
        return True
    pairs = [(before.base, now.base), (1 + before.reuse, 1 + now.reuse)]
    if _thinks_anew(before.thought, now.thought) or abs(before.density - now.density) > _PUBLISH / 4:
        return True
    pairs.extend((value, (now.tokens or {})[key]) for key, value in (before.tokens or {}).items())
    pairs.extend((count, (now.shared or {})[model]) for model, count in (before.shared or {}).items())
    return any(abs(new - old) > _PUBLISH * old for old, new in pairs)
