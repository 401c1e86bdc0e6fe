"""Objectives: by what the configurations that may serve a request are put in order. Pure.

Each has a value for a configuration at a number of input tokens (less is better), the token counts between
which that is a straight line, and a unit. ``Policy.optimize`` names one of :data:`OBJECTIVES`; of what is
equal by it the cheaper is taken.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, ClassVar

from routed_llm.decide.weigh import cost_breakpoints, row_wait

if TYPE_CHECKING:
    from routed_llm.decide.inputs import DecisionInputs
    from routed_llm.decide.shape import Row

__all__ = ["COST", "COST_AND_TIME", "OBJECTIVES", "Objective"]


class Objective:
    """What is to be as little as can be; ``tokens`` are input tokens by the model's own rules.

    Attributes:
        name: what ``Policy.optimize`` and a Decision call it.
        unit: what its values are counted in.
        superlative: how what is best by it is called in a Decision's ``why``.
        worse: code of the Reason against a configuration that is worse by it.
        of_cost: whether what costs more is called dearer instead.
        is_steady: whether :meth:`is_kept` holds for every request without a conversation or a warm cache.
    """

    name: ClassVar[str]
    unit: ClassVar[str]
    superlative: ClassVar[str]
    worse: ClassVar[str] = "comes_after"
    of_cost: ClassVar[bool] = False
    is_steady: ClassVar[bool] = False

    def value(self, row: Row, inputs: DecisionInputs, tokens: int) -> int | float | None:
        """Return the value; None where it is not known, which comes last."""
        raise NotImplementedError

    def breakpoints(self, row: Row, inputs: DecisionInputs) -> Iterable[int]:
        """List the input token counts beyond which the value is another straight line."""
        raise NotImplementedError

    def is_kept(self, row: Row, inputs: DecisionInputs) -> bool:
        """Say whether those depend on nothing but the kind of request and its cap."""
        return False


class Cost(Objective):
    """Expected picodollars of the whole call."""

    name = "cost"
    unit = "picodollars"
    superlative = "the cheapest"
    of_cost = True
    is_steady = True

    def value(self, row: Row, inputs: DecisionInputs, tokens: int) -> int | None:
        return inputs.cost(row, tokens)

    def breakpoints(self, row: Row, inputs: DecisionInputs) -> Iterable[int]:
        return cost_breakpoints(row, inputs.load)

    def is_kept(self, row: Row, inputs: DecisionInputs) -> bool:
        model, previous = row.at.model.id, inputs.facts.previous
        return model not in (inputs.load.shared or ()) and (previous is None or previous.model != model)


class Quality(Objective):
    """Place in the published order of quality, the best first."""

    name = "quality"
    unit = "rank"
    superlative = "the best by published order"
    worse = "ranked_lower"
    is_steady = True

    def value(self, row: Row, inputs: DecisionInputs, tokens: int) -> int:
        return -row.rank

    def breakpoints(self, row: Row, inputs: DecisionInputs) -> Iterable[int]:
        return ()

    def is_kept(self, row: Row, inputs: DecisionInputs) -> bool:
        return True


class Latency(Objective):
    """Seconds that a caller waits, in the median: for the first token of a stream, else for the end."""

    name = "latency"
    unit = "seconds"
    superlative = "the quickest"
    worse = "slower"

    def value(self, row: Row, inputs: DecisionInputs, tokens: int) -> float:
        return row_wait(row, inputs.load, tokens)

    def breakpoints(self, row: Row, inputs: DecisionInputs) -> Iterable[int]:
        return cost_breakpoints(row, inputs.load)


class CostAndTime(Objective):
    """Expected picodollars, and what the policy says that a second of waiting counts for."""

    name = "cost"
    unit = "picodollars"
    superlative = "the cheapest, time counted,"
    worse = "slower"
    of_cost = True

    def value(self, row: Row, inputs: DecisionInputs, tokens: int) -> float | None:
        cost = inputs.cost(row, tokens)
        if cost is None:
            return None
        return cost + inputs.setting.policy.second_pico * row_wait(row, inputs.load, tokens)

    def breakpoints(self, row: Row, inputs: DecisionInputs) -> Iterable[int]:
        return cost_breakpoints(row, inputs.load)


COST = Cost()
COST_AND_TIME = CostAndTime()
OBJECTIVES: Mapping[str, Objective] = {it.name: it for it in (COST, Quality(), Latency())}
