"""What this process has seen: outputs by kind of request, and how often caches held what was expected."""

from __future__ import annotations

import threading
import time
from dataclasses import replace
from itertools import repeat
from typing import TYPE_CHECKING, Any, NamedTuple

from routed_llm.decide.quality import LONG_CONTEXT_FROM
from routed_llm.ledger.returns import ReturnLearner
from routed_llm.ledger.speeds import SpeedLearner
from routed_llm.ledger.spreads import SpreadLearner
from routed_llm.pricing import (
    DEFAULT_OUTPUT_TOKENS,
    STEP_OUTPUT_TOKENS,
    Writes,
    expected_output,
    matter_of,
    thought_for,
    tier_of,
    writes,
)
from routed_llm.usage import Observed, Seen, Timing, Usage, spread_names

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence
    from datetime import datetime

    from routed_llm.catalog import Catalog, Model
    from routed_llm.decision import Candidate, Decision
    from routed_llm.facts import Previous, RequestFacts
    from routed_llm.ledger.base import Entry

__all__ = ["Observer"]

_RECALLED = 512
"""Calls of a ledger that a process begins with: older ones weigh next to nothing."""

_PRIOR = 2.0
"""Calls that the published expectation counts for against what is seen."""

_PRIOR_LIKE = 5.0
"""Calls that answers to requests of other sizes count for: answers differ widely, so that a few short ones
must not make a configuration look cheap that writes many tokens for each word."""

_MEMORY = 256.0
"""Calls after which older ones count half: programs change."""

_LEAST = 0.25
"""Part of the published reasoning that is expected of a kind at the least. That little is thought at one
effort says little of higher ones: agents' steps took 0.07 of it at low, 0.21 at high (see
:func:`routed_llm.pricing.thought_for`)."""

_PUBLISH = 0.02
"""Relative change below which the value stays the same, so that choices do not flicker; so does a change of
less than one token."""

_SHARED = 512
"""Fewest tokens that calls are expected to find in a cache: where it keeps 1,024 or more, half of them do."""

_CONVERSATION = 3.0
"""Calls that what was seen of a model counts for against what was seen of the conversation itself."""

_KINDS = 1024

_HELD = 4_096
"""Latest calls of which it is known which caches hold them."""


_AT_ONCE = 8
"""Most answers that are taken in together."""

_PART = 8
"""Part of what is known already that answers may be before they are taken in: each alone changes little then,
and to take them in together costs a tenth of what it costs one by one."""


class _Mean:
    __slots__ = ("total", "weight")

    def __init__(self, prior: float, weight: float = _PRIOR) -> None:
        self.total = prior * weight
        self.weight = weight

    def add(self, values: Sequence[float]) -> None:
        if self.weight >= _MEMORY:
            self.total /= 2
            self.weight /= 2
        self.total += sum(values)
        self.weight += len(values)

    @property
    def value(self) -> float:
        return self.total / self.weight


class _Prior(NamedTuple):
    """What a kind of request begins with."""

    base: float
    thought: float
    least: float
    weight: float = _PRIOR


class _Kind:
    __slots__ = ("base", "by_effort", "density", "least", "shared", "thought", "tokens")

    def __init__(self, prior: _Prior) -> None:
        self.base = _Mean(prior.base, prior.weight)
        self.thought = _Mean(prior.thought)
        self.by_effort: dict[str | None, _Mean] = {}
        self.least = prior.least
        self.tokens: dict[tuple[str, str | None], _Mean] = {}
        self.shared: dict[str, _Mean] = {}
        self.density = _Mean(1.0)

    def seen(self) -> Seen:
        tokens = {key: mean.value for key, mean in self.tokens.items()}
        shared = {model: int(mean.value) for model, mean in self.shared.items()}
        warm = {model: count for model, count in shared.items() if count >= _SHARED}
        return Seen(
            self.base.value,
            # A single one is what its base and its thought come to, unless that is the least there is.
            tokens if len(tokens) > 1 or self.thought.value < self.least else None,
            warm or None,
            self.density.value,
            max(self.thought.value, self.least),
            {effort: mean.value for effort, mean in self.by_effort.items()}
            if len(self.by_effort) > 1
            else None,
        )

    def add(
        self, key: tuple[str, str | None], lessons: _Lessons, written: Writes, wide: _Mean | None = None
    ) -> None:
        """Count answers of one configuration; ``wide`` is how much its effort thinks for the wider kind."""
        self.base.add([said / written.ratio for said in lessons.said])
        thinking = self.thought
        if lessons.thought:
            # Ordinary questions take a smaller part of what is published at low efforts than at high ones.
            thinking = self.by_effort.setdefault(key[1], _Mean(max((wide or thinking).value, self.least)))
            self.thought.add(lessons.thought)
            thinking.add(lessons.thought)
        mine = self.tokens.get(key)
        if mine is None:
            # A configuration that is new here begins where the others' experience puts it.
            begins = self.base.value * written.ratio + thinking.value * written.reasoning
            mine = self.tokens[key] = _Mean(begins)
        thought = lessons.thought or repeat(0.0)
        mine.add([a + b * written.reasoning for a, b in zip(lessons.said, thought, strict=False)])


class _Lessons(NamedTuple):
    """What answers of one configuration to one kind of request have shown; each list is in their order.

    Attributes:
        said: tokens that were said.
        thought: reasoning for each token of it that is published; empty where none is.
        shared: cached tokens, where no previous call explains them.
        density: input tokens reported for each one that was estimated, where that is known.
        reads: share of what the cache should have held that it had, where it should have held anything.
    """

    said: list[float]
    thought: list[float]
    shared: list[float]
    density: list[float]
    reads: list[float]


class _Finished(NamedTuple):
    """A call that has ended, and when it did."""

    decision: Decision
    model: Model
    usage: Usage
    timing: Timing | None
    paid: int | None
    again: float
    at: float


class _Pending:
    """Lessons of one configuration and kind of request that have not been taken in yet."""

    __slots__ = ("due", "lessons", "model", "written")

    def __init__(self, model: Model, effort: str | None) -> None:
        self.model = model
        self.written = writes(model, effort)
        self.lessons = _Lessons([], [], [], [], [])
        self.due = 1


class Observer:
    """Learns from finished calls; safe to share between threads.

    ``value`` is what has been learned, as a value: a call that is being decided keeps the one it began with.
    At first it changes with each call, later with several at once. ``begins`` says whether earlier calls may
    still be recalled.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self.value = Observed()
        self._speeds = SpeedLearner()
        self._returns = ReturnLearner()
        self._spreads = SpreadLearner()
        self._clock = clock
        self._begun, self._calls = clock(), 0
        self.begins = True
        self._kinds: dict[Any, _Kind] = {}
        self._pending: dict[Any, _Pending] = {}
        self._reads: dict[str, _Mean] = {}
        self._conversations: dict[tuple[str, int], tuple[float, int]] = {}
        self._held_by: dict[tuple[str, int], dict[str, tuple[int, float]]] = {}
        self._thought: _Mean | None = None
        self._waiting: list[_Finished] = []
        self._lock = threading.Lock()

    def learn(
        self,
        decision: Decision,
        model: Model,
        usage: Usage,
        *,
        base: int | None,
        timing: Timing | None = None,
        paid: int | None = None,
        again: float = 0.0,
    ) -> None:
        """Take in one finished call.

        Args:
            decision: what was decided; something was chosen.
            model: the catalog's facts about the chosen model.
            usage: what the provider reported.
            base: output tokens that the policy expects of gpt-4o, or None.
            timing: how long it took; None where nobody measured it.
            paid: picodollars that it cost; None where that is not known.
            again: share of it that a cache would have held, had what was sent before been written to it.
        """
        chosen, facts = decision.chosen, decision.facts
        if chosen is None or not usage.output_tokens:
            return
        kind, previous = facts.kind, facts.previous
        key = (kind, chosen.model, chosen.effort)
        choices = facts.choices if facts.parameters else 1
        with self._lock:
            self._waiting.append(_Finished(decision, model, usage, timing, paid, again, self._clock()))
            if len(self._waiting) >= self._due:
                self._catch_up()
            pending = self._pending.get(key)
            if pending is None or pending.model is not model:
                pending = self._wait(key, _Pending(model, chosen.effort))
            written, lessons = pending.written, pending.lessons
            # Where no reasoning is published, none can be expected by it: all that is written counts as said.
            thought = usage.reasoning_tokens / choices if written.reasoning else 0.0
            lessons.said.append(usage.output_tokens / choices - thought)
            if written.reasoning:
                lessons.thought.append(thought / written.reasoning)
            # A cache that was gone past holds nothing, which is not to say that it keeps badly what it gets.
            was_given = previous is None or self.is_written(previous)
            self._keep_warm(decision, model, usage)
            if previous is None:
                # Only a call without a previous one shows what all such requests have in common.
                lessons.shared.append(usage.cached_tokens)
            else:
                held = _held(previous, model, usage)
                if held and was_given:
                    share = min(usage.cached_tokens / held, 1.0)
                    lessons.reads.append(share)
                    self._goes_on(previous, model, usage, share)
            density = _density(facts, usage)
            if density is not None:
                lessons.density.append(density)
            if len(lessons.said) >= pending.due:
                words = float(expected_output(facts, base))
                long = facts.tokens.likely > LONG_CONTEXT_FROM
                matter = matter_of(facts.inputs, functions=facts.tools > 0, long=long)
                known = self._take_in(key, pending, words, matter)
                pending.due = min(max(int(known) // _PART, 1), _AT_ONCE)

    def late(self, decision: Decision, model: Model, timing: Timing) -> None:
        """Take in a call that was given up before its answer began: it would have taken longer."""
        chosen = decision.chosen
        if chosen is not None:
            expected = Usage(input_tokens=chosen.input_tokens, cached_tokens=chosen.cached_tokens)
            with self._lock:
                self._catch_up()
                self._time(decision, model, expected, timing, self._clock())

    def catch_up(self) -> None:
        """Take in what the next finished call would have to, now that there is time for it."""
        if 0 < self._due - 1 <= len(self._waiting):
            with self._lock:
                self._catch_up()

    @property
    def _due(self) -> int:
        """Calls that are taken in together."""
        return min(max(self._calls // _PART, 1), _AT_ONCE)

    def _catch_up(self) -> None:
        """Take in how long calls took that have ended since, what they cost and what they went on from."""
        waiting, self._waiting = self._waiting, []
        for decision, model, usage, timing, paid, again, at in waiting:
            if timing is not None:
                self._time(decision, model, usage, timing, at)
            if decision.chosen is not None:
                self._spread(decision.chosen, decision.facts, paid)
            self._returned(decision.facts, model, usage, again, at)

    def _time(self, decision: Decision, model: Model, usage: Usage, timing: Timing, at: float) -> None:
        facts, policy = decision.facts, decision.policy
        tier = facts.service_tier
        if tier == "standard" and policy is not None:
            tier = policy.service_tier
        if any(change.parameter == "service_tier" for change in decision.changes) and decision.call:
            tier = decision.call.parameters["service_tier"]
        if self._speeds.learn(model, tier, usage, timing, at=at):
            self.value = replace(self.value, paces=self._speeds.paces)

    def recall(
        self, recent: Callable[[int], Iterable[Entry]], catalog: Catalog, now: datetime | None = None
    ) -> None:
        """Take in calls that a ledger has kept, those of earlier processes among them, once.

        Args:
            recent: gives as many of the latest entries, oldest first; it may wait for a disk or a network.
                Entries that failed, or have no kind or usage, show nothing.
            catalog: the models there are.
            now: the moment, aware: what took so long a day ago says little. None where no times are wanted.
        """
        with self._lock:
            begins, self.begins = self.begins, False
        entries = recent(_RECALLED) if begins else ()
        with self._lock:
            for entry in entries:
                if entry.outcome == "answered" and entry.model in catalog:
                    self._remember(entry, catalog)
                    if now is not None and entry.usage is not None and entry.took != (None, None):
                        self._speeds.learn(
                            catalog.get(entry.model),
                            tier_of(entry.tier),
                            entry.usage,
                            Timing(*entry.took),
                            at=self._clock() - max((now - entry.at).total_seconds(), 0.0),
                        )
            self._speeds.wait(self._clock())
            if self._speeds.paces:
                self.value = replace(self.value, paces=self._speeds.paces)
            for key, pending in list(self._pending.items()):
                if pending.lessons.said:
                    (made_of, cap), size, _ = key[0]
                    functions: bool = made_of[0]
                    words = STEP_OUTPUT_TOKENS if functions else DEFAULT_OUTPUT_TOKENS
                    matter = matter_of(made_of[3], functions=functions, long=4**size > LONG_CONTEXT_FROM)
                    self._take_in(key, pending, float(min(words, 2**cap) if cap else words), matter)

    def _remember(self, entry: Entry, catalog: Catalog) -> None:
        used, key = entry.usage, (entry.kind, entry.model, entry.effort)
        if used is None or not used.output_tokens or entry.kind is None:
            return
        pending = self._pending.get(key)
        if pending is None:
            pending = self._wait(key, _Pending(catalog.get(entry.model), entry.effort))
        written, lessons = pending.written, pending.lessons
        thought = used.reasoning_tokens if written.reasoning else 0
        lessons.said.append(used.output_tokens - thought)
        if written.reasoning:
            lessons.thought.append(thought / written.reasoning)

    def _wait(self, key: Any, pending: _Pending) -> _Pending:
        if len(self._pending) >= _KINDS:
            del self._pending[next(iter(self._pending))]
        self._pending[key] = pending
        return pending

    def _take_in(self, key: Any, pending: _Pending, words: float, matter: str | None) -> float:
        """Take in what waits, and return how many calls of the kind are known."""
        narrow, model, effort = key
        lessons, pending.lessons = pending.lessons, _Lessons([], [], [], [], [])
        prior = self._begin(words, matter, lessons.thought)
        # The wider kind first: a size that is new begins with what the others have shown.
        wide = self._kind(narrow[0], prior)
        kind = wide
        for name in (narrow[0], narrow):
            kind = wide if name is not narrow else self._kind(narrow, prior, wide)
            kind.add((model, effort), lessons, pending.written, wide.by_effort.get(effort))
            if lessons.shared:
                kind.shared.setdefault(model, _Mean(0.0)).add(lessons.shared)
            kind.density.add(lessons.density)
            self._publish(name, kind.seen())
            prior = _Prior(kind.base.value, kind.thought.value, prior.least, _PRIOR_LIKE)
        if lessons.reads:
            self._read(model, lessons.reads)
        return kind.base.weight

    def _kind(self, name: Any, prior: _Prior, wide: _Kind | None = None) -> _Kind:
        kind = self._kinds.get(name)
        if kind is None:
            if len(self._kinds) >= _KINDS:
                del self._kinds[next(iter(self._kinds))]
            kind = self._kinds[name] = _Kind(prior)
            if wide is not None:
                kind.shared = wide.shared if name[-1] else kind.shared
        return kind

    def _publish(self, name: Any, seen: Seen) -> None:
        if _moved(self.value.outputs.get(name), seen):
            outputs = {name: held for name, held in self.value.outputs.items() if name in self._kinds}
            self.value = replace(self.value, outputs={**outputs, name: seen})

    def _begin(self, words: float, matter: str | None, thought: list[float]) -> _Prior:
        """Return what a kind not met before begins with, and count the reasoning of these calls."""
        mean = self._thought
        published = thought_for(words, matter)
        prior = _Prior(words, published if mean is None else published * mean.value, published * _LEAST)
        if not thought:
            return prior
        if mean is None:
            mean = self._thought = _Mean(1.0)
        mean.add([one / published for one in thought])
        now = max(mean.value, _LEAST)
        if self.value.thought is None or _thinks_anew(self.value.thought, now):
            self.value = replace(self.value, thought=now)
        return prior

    def _goes_on(self, previous: Previous, model: Model, usage: Usage, share: float) -> None:
        """Take in how much of a conversation its cache held; the call that goes on from this finds it."""
        total, calls = self._conversations.pop((previous.model, previous.prefix_tokens), (0.0, 0))
        if len(self._conversations) >= _KINDS:
            self._conversations.pop(next(iter(self._conversations)), None)
        self._conversations[model.id, usage.input_tokens] = (total + share, calls + 1)

    def _keep_warm(self, decision: Decision, model: Model, usage: Usage) -> None:
        """Note which caches hold how much of a conversation, and until when."""
        previous, terms = decision.facts.previous, model.cache
        last = None if previous is None else (previous.model, previous.prefix_tokens)
        held = {} if last is None else self._held_by.pop(last, {})
        past = any(change.parameter == "prompt_cache_options" for change in decision.changes)
        if terms is not None and not past and usage.input_tokens >= terms.min_prefix:
            tokens = usage.input_tokens // terms.step * terms.step
            held = {**held, model.id: (tokens, self._clock() + terms.ttl)}
        if len(self._held_by) >= _HELD:
            self._held_by.pop(next(iter(self._held_by)), None)
        self._held_by[model.id, usage.input_tokens] = held

    def is_written(self, previous: Previous) -> bool:
        """Say whether a call was sent to its model's cache, as far as that is known."""
        held = self._held_by.get((previous.model, previous.prefix_tokens))
        return held is None or previous.model in held

    def warm_in(self, previous: Previous) -> dict[str, int]:
        """Return the tokens of a conversation that caches of other models than the last may still hold."""
        held = self._held_by.get((previous.model, previous.prefix_tokens))
        if held is None or len(held) < 2:
            return {}
        now = self._clock()
        return {
            name: tokens for name, (tokens, until) in held.items() if name != previous.model and until > now
        }

    def reads_in(self, previous: Previous) -> float | None:
        """Return the share of what a cache should hold of a conversation that it will, by what it has held.

        None where nothing was seen of the conversation: then what was seen of the model holds.
        """
        found = self._conversations.get((previous.model, previous.prefix_tokens))
        if found is None:
            return None
        of_model = self.value.reads.get(previous.model, 1.0)
        return round((of_model * _CONVERSATION + found[0]) / (_CONVERSATION + found[1]), 3)

    def _spread(self, chosen: Candidate, facts: RequestFacts, paid: int | None) -> None:
        """Take in how far a bill lay from what was expected."""
        if not paid or not chosen.cost:
            return
        names = spread_names((chosen.model, chosen.effort), facts)
        if self._spreads.learn(names, paid, chosen.cost):
            self.value = replace(self.value, spreads=self._spreads.value)

    def _returned(self, facts: RequestFacts, model: Model, usage: Usage, again: float, at: float) -> None:
        """Take in whether a call goes on from another, which a cache may still hold."""
        last, terms = facts.previous, model.cache
        previous = None if last is None else (last.model, last.prefix_tokens)
        aged = None if last is None or terms is None else last.age
        late = aged is not None and terms is not None and aged > terms.ttl
        read = max(usage.cached_tokens / usage.input_tokens if usage.input_tokens else 0.0, again)
        tokens = usage.input_tokens
        self._calls += 1
        passed = at - self._begun
        reach = int(self._calls * terms.ttl / passed) if terms is not None and passed > 0 else 0
        if self._returns.learn(
            facts.purpose, model.id, tokens, previous, is_late=late, read=read, reach=reach
        ):
            self.value = replace(self.value, returns=self._returns.value)

    def _read(self, model: str, shares: list[float]) -> None:
        mean = self._reads.setdefault(model, _Mean(1.0))
        mean.add(shares)
        before = self.value.reads.get(model, 1.0)
        if abs(mean.value - before) > _PUBLISH:
            self.value = replace(self.value, reads={**self.value.reads, model: round(mean.value, 3)})


def _density(facts: RequestFacts, usage: Usage) -> float | None:
    """Say how many tokens a text had for each that was estimated; None where that is not known."""
    if facts.images or facts.audio_seconds or facts.pdf_pages or facts.unknown_files:
        return None
    if facts.builtin_tools:
        return None  # what they read counts as input, too
    low, likely, high, bounded = facts.tokens
    is_known = low == high and bounded
    return None if is_known or not usage.input_tokens else usage.input_tokens / max(likely, 1)


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
    pairs = [(before.base, now.base)]
    if _thinks_anew(before.thought, now.thought) or abs(before.density - now.density) > _PUBLISH / 4:
        return True
    efforts, others = before.by_effort or {}, now.by_effort or {}
    if efforts.keys() != others.keys() or any(_thinks_anew(old, others[key]) for key, old in efforts.items()):
        return True
    pairs.extend((value, (now.tokens or {})[key]) for key, value in (before.tokens or {}).items())
    pairs.extend((count, (now.shared or {})[model]) for model, count in (before.shared or {}).items())
    return any(abs(new - old) > max(_PUBLISH * old, 1.0) for old, new in pairs)
