"""DecisionInputs: everything one choice depends on, and what is asked of the configurations by it. Pure."""

from __future__ import annotations

import math
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from routed_llm.decide.objectives import COST, COST_AND_TIME, OBJECTIVES, Objective
from routed_llm.decide.piecewise import remember
from routed_llm.decide.speed import medians
from routed_llm.decide.weigh import Workload, beside, pace_at, row_cost, row_wait
from routed_llm.policy import ALLOWANCE

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from routed_llm.decide.constraints import Constraint
    from routed_llm.decide.context import EvaluationContext
    from routed_llm.decide.rules import Setting
    from routed_llm.decide.shape import Paced, Row, Shape
    from routed_llm.decision import Reason
    from routed_llm.facts import RequestFacts
    from routed_llm.usage import Observed, Seen

__all__ = ["DecisionInputs"]

_FEW = 3
"""Configurations for which it takes less to ask how long each takes than to work it out for all."""


@dataclass(kw_only=True, eq=False)  # without slots a copy is one step
class DecisionInputs:
    """A request as it meets the configurations of its shape; made for each call.

    Attributes:
        facts: the request.
        shape: the configurations that can serve it, as far as kinds go.
        setting: what their rules were asked with.
        load: the amounts that are the same for every configuration.
        likely: text tokens, as well as they are known: used for money.
        context: what holds at the moment of the call.
        constraints: those that can rule anything out here.
        pinned: whether the call names its model.
        relaxation: how many ways of bending the request less than this one were passed over.
        catalog_version: hash of the catalog.
        send_as: catalog id to the id to send, where that is not the model's own.
        objective: what is to be as little as can be.
        is_ordinary: whether nothing but cost orders the configurations.
        is_kept: whether no constraint here is of this call alone.
        front: the configurations that need a look, once that has been worked out.
        sides: the inputs with the configurations of long requests and of short ones, likewise.
    """

    facts: RequestFacts
    shape: Shape
    setting: Setting
    load: Workload
    context: EvaluationContext
    pinned: bool
    relaxation: int
    catalog_version: str
    send_as: Mapping[str, str]
    constraints: tuple[Constraint, ...] = ()
    likely: int = field(init=False)
    objective: Objective = field(init=False)
    is_ordinary: bool = field(init=False)
    front: tuple[Row, ...] | None = field(default=None, init=False)
    sides: dict[bool, DecisionInputs] = field(default_factory=dict, init=False)
    _slow: frozenset[int] | None = field(default=None, init=False)
    _patience: float | None = field(default=None, init=False)
    _looks: int = field(default=0, init=False)

    def __post_init__(self) -> None:
        self.likely = likely_tokens(self.facts, self.load.seen)
        policy = self.setting.policy
        found = OBJECTIVES[policy.optimize]
        self.objective = COST_AND_TIME if found is COST and policy.second_worth else found
        asked = self.pinned or self.asked_effort or self.setting.incumbent
        self.is_ordinary = not asked and self.objective is COST

    @property
    def is_kept(self) -> bool:
        """Whether no constraint's answers hold for this call alone."""
        return not [one for one in self.constraints if not one.is_kept]

    def under(self, constraints: Iterable[Constraint]) -> DecisionInputs:
        """Put in those of the constraints that can rule anything out here."""
        return self.adopt(self.asked(constraints))

    def asked(self, constraints: Iterable[Constraint]) -> list[Constraint]:
        """Return those of the constraints that can rule anything out here."""
        return [one for one in constraints if one.applies(self)]

    def adopt(self, constraints: Iterable[Constraint]) -> DecisionInputs:
        """Put in constraints that can rule something out here."""
        self.constraints, self.front, self.sides = tuple(constraints), None, {}
        return self

    def like(self, facts: RequestFacts, context: EvaluationContext) -> DecisionInputs:
        """Return the inputs of a request that differs from this one in nothing but tokens."""
        seen = self.load.seen
        likely = facts.tokens.likely if seen is None else likely_tokens(facts, seen)
        made = object.__new__(DecisionInputs)
        made.__dict__ = values = self.__dict__.copy()
        values["facts"], values["context"], values["likely"] = facts, context, likely
        return made

    def at_pace(self, observed: Observed) -> DecisionInputs:
        """Return the same inputs, with how quick models have been until now."""
        made = object.__new__(DecisionInputs)
        load = self.load.but(paces=observed.paces, lines={})
        context = self.context._replace(observed=observed)
        made.__dict__.update(self.__dict__, load=load, context=context, sides={}, _slow=None, _patience=None)
        return made

    def kept_only(self) -> DecisionInputs:
        """Return the inputs less the constraints whose answers hold for this call alone."""
        if self.is_kept:
            return self
        kept = tuple([one for one in self.constraints if one.is_kept])
        return replace(self, constraints=kept, context=self.context._replace(allowance=None))

    @property
    def asked_effort(self) -> str | None:
        """The effort that the call asks for, or else the policy."""
        return self.facts.effort or self.setting.policy.effort

    @property
    def baseline(self) -> str | None:
        """The model that the floor refers to, or None without a floor."""
        return None if self.setting.floor is None else self.setting.floor.baseline.id

    @property
    def remaining(self) -> int | None:
        """What the tightest hard budget leaves, or None for no limit."""
        allowance = self.context.allowance
        return None if allowance is None else allowance.remaining

    def tokens(self, row: Row, text_tokens: int) -> int:
        """Input tokens by a model's own rules, given the text's token count."""
        return text_tokens + beside(self.load, row)[0]

    def cost(self, row: Row, tokens: int) -> int | None:
        """Expected picodollars of a configuration for so many input tokens, or None without a price."""
        return row_cost(row, self.load, tokens)

    def text_cost(self, row: Row, text_tokens: int) -> int | None:
        """Expected picodollars of a configuration, given the text's token count."""
        return self.cost(row, text_tokens + beside(self.load, row)[0])

    def admits(self, row: Row, text_tokens: int) -> bool:
        """Say whether no constraint rules a configuration out at a text token count."""
        tokens = text_tokens + beside(self.load, row)[0]
        for constraint in self.constraints:  # noqa: SIM110 - in the way of every decision
            if not constraint.admits(row, self, tokens):
                return False
        return True

    def reasons(self, row: Row, text_tokens: int) -> tuple[Reason, ...]:
        """Say what rules a configuration out; nothing where it is admitted."""
        tokens = text_tokens + beside(self.load, row)[0]
        return tuple(
            reason
            for constraint in self.constraints
            if not constraint.admits(row, self, tokens)
            for reason in constraint.reasons(row, self, tokens)
        )

    def wait(self, row: Row) -> float:
        """Seconds that a caller waits for a configuration to think and write, whatever it has to read."""
        return row_wait(row, self.load, 0)

    @property
    def usual_wait(self) -> float:
        """Seconds that a caller of the baseline would wait likewise; 0 where nobody asks."""
        reference, load = self.setting.reference, self.load
        if reference is None:
            return 0.0
        said = load.expected * reference.ratio
        said = said if load.visible is None else min(said, load.visible)
        first, whole = medians(reference.pace, 0, load.thought * reference.reasoning, said)
        return first if self.facts.stream else whole

    @property
    def slow(self) -> frozenset[int]:
        """Places in the pool of what would keep a caller of the baseline waiting several times as long."""
        if self._slow is not None:
            return self._slow
        load, kept = self.load, self.shape.kept.slow
        paces, seen = load.paces, load.seen
        key = (load.expected, load.thought, load.visible, self.setting.reference)
        found = kept.get(key)
        if found is None or found[0] is not paces or found[1] is not seen:
            found = (paces, seen, self._slow_rows())
            remember(kept, key, found)
        self._slow = found[2]
        return self._slow

    def is_slow(self, row: Row) -> bool:
        """Say whether a configuration is one of :attr:`slow`; only for many is that worked out for all."""
        if self._slow is None:
            self._looks += 1
            if self._looks <= _FEW:
                wait = row_wait(row, self.load, 0)
                return wait > self.patience and row.at.model.name != self.setting.incumbent
        return row.order in self.slow

    @property
    def patience(self) -> float:
        """Seconds that a caller of the baseline may be kept waiting."""
        if self._patience is None:
            times, usual = self.setting.policy.slower_than_baseline, self.usual_wait
            self._patience = math.inf if times is None else max(usual * times, usual + ALLOWANCE)
        return self._patience

    def _slow_rows(self) -> frozenset[int]:
        most, mine = self.patience, self.setting.incumbent
        if most == math.inf:
            return frozenset()
        load, rows = self.load, self.shape.rows
        late: list[Row] = []
        if not self.facts.stream and load.visible is None:
            # Nearly always what is expected says so before it is made whole tokens.
            seen, said = load.outputs or (), load.expected
            by_effort, close = (load.seen and load.seen.by_effort) or {}, []
            for effort, paced in self._paced().items():
                thought = by_effort.get(effort, load.thought)
                for row, ratio, reasoning, start, rate, longest in paced:
                    spare = (most - start) * rate
                    over = said * ratio + thought * reasoning - spare
                    if -1 <= over <= 1 or row.name in seen:
                        close.append(row)
                    elif over > 1:
                        (late if longest > spare else close).append(row)
            rows = tuple(close)
        late += [row for row in rows if row_wait(row, load, 0) > most]
        return frozenset([row.order for row in late if mine is None or row.at.model.name != mine])

    def _paced(self) -> Paced:
        """Return of each row what is said and thought by it, how quickly, and its longest answer."""
        load, kept = self.load, self.shape.kept
        if kept.paced is not None and not load.paces:
            return kept.paced
        found: Paced = {}
        for row in self.shape.rows:
            pace, longest = pace_at(row, load), row.at.model.limits.max_output
            amounts = (row, row.ratio, row.reasoning, pace.start, pace.per_second, longest)
            found.setdefault(row.name[1], []).append(amounts)
        if not load.paces:
            kept.paced = found
        return found

    def money(self, row: Row, text_tokens: int) -> tuple[bool, int, int]:
        """Return what puts configurations in order of cost, those of unknown price last."""
        cost = self.text_cost(row, text_tokens)
        return (cost is None, cost or 0, row.order)


def likely_tokens(facts: RequestFacts, seen: Seen | None) -> int:
    """Correct the estimate of uncounted text by how dense such texts turned out to be."""
    count = facts.tokens
    if seen is None:
        return count.likely
    return min(max(round(count.likely * seen.density), count.low), count.high)
