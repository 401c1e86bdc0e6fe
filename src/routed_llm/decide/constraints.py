"""Constraints: what rules a configuration out by how much there is of a request. Pure.

There is one list, :data:`CONSTRAINTS`. Choosing, the token counts at which a choice changes, leaving out
what cannot win, ``select_many``, replay, the explanation and the text of a refusal read it and nothing else.
To add one, write a subclass of :class:`Constraint` here, with its sentence, and put it into the list.

What rules a configuration out by the *kinds* of things in a request is in :mod:`routed_llm.decide.rules`.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Hashable, Iterable, Iterator, Mapping
from typing import TYPE_CHECKING, Any, ClassVar

from routed_llm.decide.piecewise import BEYOND
from routed_llm.decide.quality import LEAST_RECALL, LONG_CONTEXT_FROM, LONG_CONTEXT_TO
from routed_llm.decide.speed import about
from routed_llm.decide.weigh import (
    affordable_output,
    beside,
    cost_breakpoints,
    endpoint_for,
    growth,
    most_input,
    output_kept,
    recall_of,
    reserved,
    row_ends_within,
    row_seconds,
    usual_output,
)
from routed_llm.decision import format_dollars
from routed_llm.media import MAX_PATCHES, over_limit
from routed_llm.reasons import Reason, Wording

if TYPE_CHECKING:
    from routed_llm.decide.inputs import DecisionInputs
    from routed_llm.decide.shape import Row

__all__ = ["CONSTRAINTS", "Constraint", "crossings"]


class Constraint:
    """One thing that can rule a configuration out; asked in the same way by everything that reads the list.

    ``tokens`` are input tokens by the model's own rules, images, audio and pages included.

    Attributes:
        wordings: code to the sentence and the advice of each Reason it gives; the values that a sentence
            quotes are given to :meth:`because`.
        is_kept: whether its answers depend on nothing but the policy, the day, the kind of request, its cap
            and its tokens, so that they may be kept for the next such request; :meth:`applies` then depends
            on the tokens only as far as they may be more than the bound of long requests.
        is_usual: whether :meth:`applies` depends on nothing but that, what is sent along, and the context.
        follows_cost: whether it is a limit on the expected cost: where a configuration passes it is no
            breakpoint, since up to there it is chosen by its cost.
        of_most: whether its breakpoints are counts of the most tokens that there may be, where a model's rule
            is not sure of its count; :meth:`admits` is given the likely ones.
        by_tokens: whether its answer for a configuration may change with the tokens.
    """

    wordings: ClassVar[Mapping[str, Wording]] = {}
    is_kept: ClassVar[bool] = False
    is_usual: ClassVar[bool] = False
    follows_cost: ClassVar[bool] = False
    of_most: ClassVar[bool] = False
    by_tokens: ClassVar[bool] = True

    def applies(self, inputs: DecisionInputs) -> bool:
        """Say whether it can rule anything out here; it is not asked further where it cannot."""
        return True

    def admits(self, row: Row, inputs: DecisionInputs, tokens: int) -> bool:
        """Say whether a configuration may serve so many input tokens."""
        raise NotImplementedError

    def reasons(self, row: Row, inputs: DecisionInputs, tokens: int) -> Iterable[Reason]:
        """Say why not; asked only where :meth:`admits` says no."""
        raise NotImplementedError

    def breakpoints(self, row: Row, inputs: DecisionInputs) -> Iterable[int]:
        """List the input token counts beyond which the answer for a configuration changes."""
        return ()

    def kinks(self, row: Row, inputs: DecisionInputs) -> Iterable[int]:
        """List input token counts between which the answer changes once at most: it is asked at both ends.

        They are quicker to list than :meth:`breakpoints` where these have to be looked for.
        """
        return self.breakpoints(row, inputs)

    def pruning(self, inputs: DecisionInputs) -> Hashable | None:
        """Return what :meth:`keeps` depends on besides the kind of request; None where it cannot be asked.

        Then no configuration is left out before it is looked at.
        """
        return None

    def keeps(self, one: Row, other: Row, inputs: DecisionInputs) -> bool:
        """Say whether ``one``, which costs no more than ``other``, is admitted wherever ``other`` is."""
        return False

    def depends_on(self, inputs: DecisionInputs) -> Hashable | None:
        """Return what the answers of a constraint that is not kept depend on, besides what is kept.

        Where calls have it in common, what is chosen for one is remembered for others. None where they never
        have, or where that cannot be said.
        """
        return None

    def because(self, code: str, **data: Any) -> Reason:
        """Return the Reason of a code, with the values that its sentence quotes."""
        return Reason(code, data, self.wordings[code])


def crossings(constraint: Constraint, row: Row, inputs: DecisionInputs) -> set[int]:
    """List the input token counts beyond which a constraint changes its answer, found between its kinks."""
    found: set[int] = set()
    lower = 0
    for upper in (*sorted(kink for kink in constraint.kinks(row, inputs) if kink >= 0), BEYOND):
        first = constraint.admits(row, inputs, lower)
        if first is not constraint.admits(row, inputs, upper):
            span = range(lower, upper)
            at = bisect_left(span, True, key=lambda n: constraint.admits(row, inputs, n) is not first)
            found.add(lower + at - 1)
        found.add(upper)
        lower = upper + 1
    return found


class Available(Constraint):
    """A model that turned out not to answer is left alone."""

    wordings: ClassVar[Mapping[str, Wording]] = {
        "unavailable": Wording("{model} is marked unavailable in this process: {why}"),
    }
    by_tokens = False
    is_usual = True

    def applies(self, inputs: DecisionInputs) -> bool:
        return bool(inputs.context.unavailable)

    def admits(self, row: Row, inputs: DecisionInputs, tokens: int) -> bool:
        return row.at.model.id not in inputs.context.unavailable

    def reasons(self, row: Row, inputs: DecisionInputs, tokens: int) -> Iterator[Reason]:
        model = row.at.model.id
        yield self.because("unavailable", model=model, why=inputs.context.unavailable[model])

    def pruning(self, inputs: DecisionInputs) -> Hashable:
        return frozenset(inputs.context.unavailable)

    def keeps(self, one: Row, other: Row, inputs: DecisionInputs) -> bool:
        return one.at.model.id not in inputs.context.unavailable

    def depends_on(self, inputs: DecisionInputs) -> Hashable:
        return frozenset(inputs.context.unavailable)


class Limits(Constraint):
    """Input and the output kept free for are within what the model takes, writes and holds together."""

    wordings: ClassVar[Mapping[str, Wording]] = {
        "max_input": Wording(
            "{about}{tokens:,} input tokens are more than the {limit:,} that {model} accepts",
            "Shorten the input, or widen the pool with Policy(models=...).",
        ),
        "max_output": Wording(
            "{asked:,} output tokens are more than the {limit:,} that {model} writes",
            "Lower the output cap.",
            for_named=True,
        ),
        "window": Wording(
            "{about}{tokens:,} input and {output:,} output tokens exceed the {limit:,} window of {model}",
            "Shorten the input or lower the output cap, or widen the pool with Policy(models=...).",
        ),
    }
    is_kept = True
    of_most = True

    def admits(self, row: Row, inputs: DecisionInputs, tokens: int) -> bool:
        return tokens <= most_input(row, inputs.load)

    def reasons(self, row: Row, inputs: DecisionInputs, tokens: int) -> Iterator[Reason]:
        model, limits, asked = row.at.model.id, row.at.model.limits, inputs.load.visible
        off = beside(inputs.load, row)[1]
        about = "" if inputs.facts.tokens.exact and not off else "about "
        tokens += off
        if tokens > limits.max_input:
            yield self.because("max_input", model=model, tokens=tokens, about=about, limit=limits.max_input)
        if asked is not None and asked > limits.max_output:
            yield self.because("max_output", model=model, asked=asked, limit=limits.max_output)
        output, window = output_kept(row, inputs.load), limits.context_window
        if tokens + output > window:
            yield self.because("window", model=model, tokens=tokens, about=about, output=output, limit=window)

    def breakpoints(self, row: Row, inputs: DecisionInputs) -> Iterator[int]:
        limits = row.at.model.limits
        yield from (limits.max_input, limits.context_window - output_kept(row, inputs.load))

    def kinks(self, row: Row, inputs: DecisionInputs) -> Iterable[int]:
        return ()  # what is too much is so with more tokens, too

    def pruning(self, inputs: DecisionInputs) -> Hashable:
        return ()

    def keeps(self, one: Row, other: Row, inputs: DecisionInputs) -> bool:
        mine, theirs, more = one.at.model.limits, other.at.model.limits, growth(one, other, inputs.facts)
        return (mine is theirs and more == 1) or (
            mine.max_input >= more * theirs.max_input
            and mine.max_output >= theirs.max_output
            and mine.context_window - mine.max_output >= more * (theirs.context_window - theirs.max_output)
            and mine.context_window >= more * theirs.context_window
        )


class Recall(Constraint):
    """A policy may ask for a published recall at the request's length."""

    wordings: ClassVar[Mapping[str, Wording]] = {
        "recall": Wording(
            "published recall of {model}{at_effort} at {tokens:,} tokens is {value}, under {least}",
            "Lower min_recall, or shorten the input.",
        ),
        "recall_unknown": Wording(
            "no published recall of {model}{at_effort} at {tokens:,} tokens",
            "Lower min_recall, or shorten the input.",
        ),
    }
    is_kept = True

    def applies(self, inputs: DecisionInputs) -> bool:
        return inputs.setting.policy.min_recall is not None

    def admits(self, row: Row, inputs: DecisionInputs, tokens: int) -> bool:
        value, least = recall_of(row, tokens), inputs.setting.policy.min_recall
        return value is not None and (least is None or value >= least)

    def reasons(self, row: Row, inputs: DecisionInputs, tokens: int) -> Iterator[Reason]:
        value, least = recall_of(row, tokens), inputs.setting.policy.min_recall
        data = {"model": row.at.model.id, "at_effort": row.at.at_effort, "tokens": tokens}
        code = "recall_unknown" if value is None else "recall"
        yield self.because(code, **data, value=value, least=least)

    def breakpoints(self, row: Row, inputs: DecisionInputs) -> Iterable[int]:
        return row.recall


_NO_PRICE = Wording(
    "no price of {model} is known, and a limit on cost is set",
    "Give the model a price with Catalog.with_models(), or lift the limit on cost.",
    for_named=True,
)


class CostCap(Constraint):
    """The expected cost must be within the policy's cap, and known for that."""

    wordings: ClassVar[Mapping[str, Wording]] = {
        "cost_cap": Wording(
            "{model}{at_effort} is expected to cost ${cost}, over the cap of ${cap}",
            "Raise max_cost_per_call, or shorten the request.",
            for_named=True,
        ),
        "no_price": _NO_PRICE,
    }
    is_kept = True
    follows_cost = True

    def applies(self, inputs: DecisionInputs) -> bool:
        return inputs.setting.cost_cap is not None and inputs.load.hard is None

    def admits(self, row: Row, inputs: DecisionInputs, tokens: int) -> bool:
        cost, most = inputs.cost(row, tokens), inputs.setting.cost_cap
        return cost is not None and (most is None or cost <= most)

    def reasons(self, row: Row, inputs: DecisionInputs, tokens: int) -> Iterator[Reason]:
        cost, model = inputs.cost(row, tokens), row.at.model.id
        if cost is None:
            yield self.because("no_price", model=model)
            return
        cap = format_dollars(inputs.setting.cost_cap or 0)
        yield self.because(
            "cost_cap", model=model, at_effort=row.at.at_effort, cost=format_dollars(cost), cap=cap
        )

    def pruning(self, inputs: DecisionInputs) -> Hashable:
        return ()

    def keeps(self, one: Row, other: Row, inputs: DecisionInputs) -> bool:
        return True  # it costs no more


class HardCostCap(Constraint):
    """A hard cap must pay for the input and for what is usually said and thought; the output cap obeys it."""

    wordings: ClassVar[Mapping[str, Wording]] = {
        "hard_cap": Wording(
            "{model}{at_effort} usually needs up to {usual:,} output tokens, and ${cap} pays for {paid:,} "
            "beside {tokens:,} input tokens",
            "Raise max_cost_per_call, or shorten the request.",
            for_named=True,
        ),
        "no_price": _NO_PRICE,
    }
    is_usual = True

    def applies(self, inputs: DecisionInputs) -> bool:
        return inputs.load.hard is not None

    def admits(self, row: Row, inputs: DecisionInputs, tokens: int) -> bool:
        paid = affordable_output(row, inputs.load, tokens)
        return paid is not None and paid >= self._usual(row, inputs, tokens)

    def reasons(self, row: Row, inputs: DecisionInputs, tokens: int) -> Iterator[Reason]:
        paid, model = affordable_output(row, inputs.load, tokens), row.at.model.id
        if paid is None:
            yield self.because("no_price", model=model)
            return
        yield self.because(
            "hard_cap",
            model=model,
            at_effort=row.at.at_effort,
            usual=self._usual(row, inputs, tokens),
            cap=format_dollars(inputs.load.hard or 0),
            paid=max(paid, 0),
            tokens=tokens,
        )

    def breakpoints(self, row: Row, inputs: DecisionInputs) -> Iterable[int]:
        return crossings(self, row, inputs)

    def kinks(self, row: Row, inputs: DecisionInputs) -> Iterator[int]:
        limits, off = row.at.model.limits, beside(inputs.load, row)[1]
        if row.above:
            yield row.above - off
        yield limits.context_window - limits.max_output - off

    def _usual(self, row: Row, inputs: DecisionInputs, tokens: int) -> int:
        least = inputs.setting.endpoints[endpoint_for(row, inputs.facts)].min_output
        return max(usual_output(row, inputs.load, tokens), least)


class WithinBudget(Constraint):
    """A hard budget must have room for the expected (p95, worst) cost, and the cost be known for that."""

    wordings: ClassVar[Mapping[str, Wording]] = {
        "budget": Wording(
            "{model}{at_effort} is expected to cost ${cost}; ${remaining} is left{scope}",
            "Wait for the budget to be refilled, raise it, or shorten the request.",
            for_named=True,
        ),
        "no_price": _NO_PRICE,
    }
    follows_cost = True
    is_usual = True

    def applies(self, inputs: DecisionInputs) -> bool:
        allowance = inputs.context.allowance
        return allowance is not None and allowance.remaining is not None

    def admits(self, row: Row, inputs: DecisionInputs, tokens: int) -> bool:
        need = self._need(row, inputs, tokens)
        return need is not None and need <= (inputs.remaining or 0)

    def reasons(self, row: Row, inputs: DecisionInputs, tokens: int) -> Iterator[Reason]:
        need, allowance = self._need(row, inputs, tokens), inputs.context.allowance
        if need is None or allowance is None:
            yield self.because("no_price", model=row.at.model.id)
            return
        yield self.because(
            "budget",
            model=row.at.model.id,
            at_effort=row.at.at_effort,
            cost=format_dollars(need),
            remaining=format_dollars(max(inputs.remaining or 0, 0)),
            scope=f" in {allowance.scope}" if allowance.scope else "",
        )

    def breakpoints(self, row: Row, inputs: DecisionInputs) -> Iterable[int]:
        return crossings(self, row, inputs) if inputs.load.worst or inputs.load.p95 else ()

    def kinks(self, row: Row, inputs: DecisionInputs) -> Iterable[int]:
        if not inputs.load.worst:
            return cost_breakpoints(row, inputs.load) if inputs.load.p95 else ()
        # What a call can cost at worst is not what it is chosen by. That turns where the price does, and
        # where the window begins to leave less than the most that is written.
        limits, asked = row.at.model.limits, inputs.load.visible
        most = limits.max_output if asked is None else min(asked + row.room, limits.max_output)
        return {row.above, limits.context_window - most}

    def pruning(self, inputs: DecisionInputs) -> Hashable | None:
        return None if inputs.load.worst or inputs.load.p95 else ()

    def keeps(self, one: Row, other: Row, inputs: DecisionInputs) -> bool:
        return True  # it costs no more

    def _need(self, row: Row, inputs: DecisionInputs, tokens: int) -> int | None:
        cost = inputs.cost(row, tokens)
        return None if cost is None else reserved(row, inputs.load, tokens, tokens, cost)


class ImagePatches(Constraint):
    """An image must not have more patches than the model accepts."""

    wordings: ClassVar[Mapping[str, Wording]] = {
        "image_patches": Wording(
            "an image of {width} x {height} pixels is over the {limit:,} patches {model} accepts"
        ),
    }
    by_tokens = False
    is_usual = True

    def applies(self, inputs: DecisionInputs) -> bool:
        images = inputs.facts.images
        return bool(images) and any(
            over_limit(model, image) for model in inputs.shape.models for image in images
        )

    def admits(self, row: Row, inputs: DecisionInputs, tokens: int) -> bool:
        model = row.at.model
        return not any(over_limit(model, image) for image in inputs.facts.images)

    def reasons(self, row: Row, inputs: DecisionInputs, tokens: int) -> Iterator[Reason]:
        model = row.at.model
        for image in inputs.facts.images:
            if over_limit(model, image):
                yield self.because(
                    "image_patches",
                    model=model.id,
                    width=image.width,
                    height=image.height,
                    limit=MAX_PATCHES,
                )

    def pruning(self, inputs: DecisionInputs) -> Hashable:
        return ()

    def keeps(self, one: Row, other: Row, inputs: DecisionInputs) -> bool:
        return one.at.model is other.at.model


class LongRecall(Constraint):
    """A long text is not given to a model that is published to find little in texts of that length.

    Up to the length of the tests behind its verdicts the quality floor speaks. The baseline and an incumbent
    are there by the user's own word.
    """

    wordings: ClassVar[Mapping[str, Wording]] = {
        "poor_recall": Wording(
            "even at its best effort {model} is published to find {value:g} % at {tokens:,} tokens",
            "Shorten the input, or lift the floor with Policy(at_least=None).",
        ),
    }
    is_kept = True

    def applies(self, inputs: DecisionInputs) -> bool:
        floor, long = inputs.setting.floor, inputs.facts.tokens.high > LONG_CONTEXT_FROM
        return long and floor is not None and "evidence" not in inputs.shape.lifted

    def admits(self, row: Row, inputs: DecisionInputs, tokens: int) -> bool:
        value = self._found(row, inputs, tokens)
        return value is None or value >= LEAST_RECALL

    def reasons(self, row: Row, inputs: DecisionInputs, tokens: int) -> Iterator[Reason]:
        value = self._found(row, inputs, tokens)
        yield self.because("poor_recall", model=row.at.model.id, value=value, tokens=tokens)

    def breakpoints(self, row: Row, inputs: DecisionInputs) -> Iterable[int]:
        return (LONG_CONTEXT_TO, *row.best_recall) if row.best_recall else ()

    def kinks(self, row: Row, inputs: DecisionInputs) -> Iterable[int]:
        return self.breakpoints(row, inputs) if _is_forgetful(row) else ()

    def pruning(self, inputs: DecisionInputs) -> Hashable:
        return ()

    def keeps(self, one: Row, other: Row, inputs: DecisionInputs) -> bool:
        if one.at.model is other.at.model:
            return True
        return not _is_forgetful(one)

    def _found(self, row: Row, inputs: DecisionInputs, tokens: int) -> float | None:
        if tokens <= LONG_CONTEXT_TO or row.at.model.name in (inputs.baseline, inputs.setting.incumbent):
            return None
        known = row.best_recall
        # Beyond the longest test nothing is found that is not found in it.
        return (
            known[min((up_to for up_to in known if up_to >= tokens), default=max(known))] if known else None
        )


def _is_forgetful(row: Row) -> bool:
    """Say whether a model is published to find little at some length."""
    return min(row.best_recall.values(), default=LEAST_RECALL) < LEAST_RECALL


class TierLimits(Constraint):
    """A service tier may be served for shorter inputs only."""

    wordings: ClassVar[Mapping[str, Wording]] = {
        "tier_limit": Wording(
            "{model} is served at the {tier} tier up to {limit:,} input tokens, and these are {tokens:,}",
            "Use another service tier, or shorten the input.",
            for_named=True,
        ),
    }
    is_kept = True

    def applies(self, inputs: DecisionInputs) -> bool:
        return inputs.shape.tier_limited

    def admits(self, row: Row, inputs: DecisionInputs, tokens: int) -> bool:
        return tokens <= row.at.model.tier_limits.get(row.tier, BEYOND)

    def reasons(self, row: Row, inputs: DecisionInputs, tokens: int) -> Iterator[Reason]:
        limit = row.at.model.tier_limits.get(row.tier, BEYOND)
        yield self.because("tier_limit", model=row.at.model.id, tier=row.tier, limit=limit, tokens=tokens)

    def breakpoints(self, row: Row, inputs: DecisionInputs) -> Iterable[int]:
        limit = row.at.model.tier_limits.get(row.tier)
        return () if limit is None else (limit,)

    def pruning(self, inputs: DecisionInputs) -> Hashable:
        return ()

    def keeps(self, one: Row, other: Row, inputs: DecisionInputs) -> bool:
        mine, theirs = (row.at.model.tier_limits.get(row.tier, BEYOND) for row in (one, other))
        return mine >= theirs * growth(one, other, inputs.facts)


class Lifetime(Constraint):
    """No new conversation begins with a model that ends within days, while others can serve it.

    An incumbent is there by the user's own word, and a conversation may end with the model it began with.
    """

    wordings: ClassVar[Mapping[str, Wording]] = {
        "ends_soon": Wording(
            "{model} is shut down on {shutdown}, so no new conversation begins with it",
            "Set Policy(grace=0) to use a model up to its last day.",
        ),
    }
    is_kept = True
    by_tokens = False

    def applies(self, inputs: DecisionInputs) -> bool:
        if not inputs.shape.ending or inputs.pinned or inputs.setting.policy.grace is not None:
            return False
        return "lifetime" not in inputs.shape.lifted

    def admits(self, row: Row, inputs: DecisionInputs, tokens: int) -> bool:
        return row.at.model.id not in self._left_alone(inputs)

    def reasons(self, row: Row, inputs: DecisionInputs, tokens: int) -> Iterator[Reason]:
        model = row.at.model
        yield self.because("ends_soon", model=model.id, shutdown=model.lifecycle.shutdown)

    def pruning(self, inputs: DecisionInputs) -> Hashable:
        return self._left_alone(inputs)

    def keeps(self, one: Row, other: Row, inputs: DecisionInputs) -> bool:
        left = self._left_alone(inputs)
        return one.at.model.id not in left or other.at.model.id in left

    def _left_alone(self, inputs: DecisionInputs) -> frozenset[str]:
        previous, incumbent = inputs.facts.previous, inputs.setting.incumbent
        if previous is None and incumbent is None:
            return inputs.shape.ending
        return inputs.shape.ending - {incumbent, None if previous is None else previous.model}


class NotSlower(Constraint):
    """Nothing may keep a caller of the baseline waiting several times as long, while others can serve.

    What is compared is thinking and writing: to read the input takes all models about as long.
    """

    wordings: ClassVar[Mapping[str, Wording]] = {
        "slow": Wording(
            "{model}{at_effort} is expected to {what} after about {seconds}, {baseline} after {usual}",
            "Set Policy(slower_than_baseline=None) to allow it.",
        ),
    }
    is_kept = True
    by_tokens = False

    def applies(self, inputs: DecisionInputs) -> bool:
        return inputs.setting.reference is not None and "speed" not in inputs.shape.lifted

    def admits(self, row: Row, inputs: DecisionInputs, tokens: int) -> bool:
        return not inputs.is_slow(row)

    def reasons(self, row: Row, inputs: DecisionInputs, tokens: int) -> Iterator[Reason]:
        reference = inputs.setting.reference
        mine, usual = inputs.wait(row), inputs.usual_wait
        if reference is None:
            return
        yield self.because(
            "slow",
            model=row.at.model.id,
            at_effort=row.at.at_effort,
            what="begin its answer" if inputs.facts.stream else "answer",
            seconds=about(mine),
            baseline=reference.model,
            usual=about(usual),
        )

    def pruning(self, inputs: DecisionInputs) -> Hashable:
        return inputs.slow

    def keeps(self, one: Row, other: Row, inputs: DecisionInputs) -> bool:
        return one.order not in inputs.slow or other.order in inputs.slow


class WithinSeconds(Constraint):
    """Nine of ten answers must be expected to begin, or to end, within what policy and deadline allow."""

    wordings: ClassVar[Mapping[str, Wording]] = {
        "max_first_token": Wording(
            "{model}{at_effort} is expected to begin nine of ten answers within {seconds}, over {most:g} s",
            "Raise max_first_token, or shorten the input.",
            for_named=True,
        ),
        "max_seconds": Wording(
            "{model}{at_effort} is expected to end nine of ten answers within {seconds}, over {most:g} s",
            "Raise max_seconds, or lower the output cap.",
            for_named=True,
        ),
        "deadline": Wording(
            "{model}{at_effort} is expected to end nine of ten answers within {seconds}, and the deadline is "
            "in {most:g} s",
            "Set a later deadline, or lower the output cap.",
            for_named=True,
        ),
    }
    is_usual = True

    def applies(self, inputs: DecisionInputs) -> bool:
        policy = inputs.setting.policy
        if inputs.context.deadline is not None:
            return True
        return policy.max_first_token is not None or policy.max_seconds is not None

    def admits(self, row: Row, inputs: DecisionInputs, tokens: int) -> bool:
        policy, most = inputs.setting.policy, inputs.context.deadline
        if most is None or (policy.max_seconds is not None and policy.max_seconds < most):
            most = policy.max_seconds
        if policy.max_first_token is None and most is not None:
            quick = row_ends_within(row, inputs.load, tokens, most)
            if quick is not None:
                return quick
        return not self._over(row, inputs, tokens)

    def reasons(self, row: Row, inputs: DecisionInputs, tokens: int) -> Iterator[Reason]:
        for code, seconds, most in self._over(row, inputs, tokens):
            yield self.because(
                code,
                model=row.at.model.id,
                at_effort=row.at.at_effort,
                seconds=about(seconds),
                most=most,
            )

    def breakpoints(self, row: Row, inputs: DecisionInputs) -> Iterable[int]:
        return crossings(self, row, inputs)

    def kinks(self, row: Row, inputs: DecisionInputs) -> Iterable[int]:
        # It grows with the tokens, but for where a part of the prompt is found in a cache.
        return cost_breakpoints(row, inputs.load)

    def depends_on(self, inputs: DecisionInputs) -> Hashable:
        return (inputs.context.deadline,)

    def _over(self, row: Row, inputs: DecisionInputs, tokens: int) -> list[tuple[str, float, float]]:
        policy = inputs.setting.policy
        seconds = row_seconds(row, inputs.load, tokens)
        asked = (
            ("max_first_token", seconds.first_p90, policy.max_first_token),
            ("max_seconds", seconds.whole_p90, policy.max_seconds),
            ("deadline", seconds.whole_p90, inputs.context.deadline),
        )
        return [(code, found, most) for code, found, most in asked if most is not None and found > most]


CONSTRAINTS: tuple[Constraint, ...] = (
    Available(),
    Limits(),
    Recall(),
    CostCap(),
    HardCostCap(),
    WithinBudget(),
    ImagePatches(),
    LongRecall(),
    TierLimits(),
    Lifetime(),
    NotSlower(),
    WithinSeconds(),
)
"""Everything that can rule a configuration out by amounts, in the order in which Reasons are given."""
