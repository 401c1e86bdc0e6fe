"""Evaluation: how one request is decided, with no more of it counted than the choice needs.

Nothing here reads a clock or reaches a ledger: the router puts in what they say.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, NamedTuple

from routed_llm.calls.recount import Near
from routed_llm.decide.refusal import no_fit_message
from routed_llm.decide.table import prepare
from routed_llm.errors import NoModelFits
from routed_llm.ledger.exceeded import asked_of_budget, out_of_money, would_fit
from routed_llm.request.counts import bounded_by, counting_of, note

if TYPE_CHECKING:
    from collections.abc import Mapping
    from decimal import Decimal

    from routed_llm.catalog import Catalog
    from routed_llm.decide.context import EvaluationContext
    from routed_llm.decide.table import Table
    from routed_llm.decision import Decision
    from routed_llm.facts import RequestFacts
    from routed_llm.request import Request

__all__ = ["Evaluation"]


class Evaluation(NamedTuple):
    """Decides requests at one moment.

    Attributes:
        catalog: the models there are.
        table: what the policy makes of them on the day.
        context: what holds at the moment; models that cool down for a while are unavailable.
        firm: models to leave alone even when nothing else is left, with the reason.
    """

    catalog: Catalog
    table: Table
    context: EvaluationContext
    firm: Mapping[str, str]

    def explain(self, request: Request) -> Decision:
        """Choose; the Decision's ``chosen`` is None when nothing fits."""
        decision = self.at_bounds(request.facts) or self.counted(request)
        return self.or_cooling(decision, request)

    def or_cooling(self, decision: Decision, request: Request) -> Decision:
        """Choose again where nothing fits: a model that cools down is better than none."""
        if decision.chosen is not None or self.context.unavailable is self.firm:
            return decision
        return self._replace(context=self.context._replace(unavailable=self.firm)).explain(request)

    def at_bounds(self, facts: RequestFacts) -> Decision | None:
        """Choose by the bounds of the token count alone; None when they do not settle it."""
        decision = self.table.select_certain(facts, self.context)
        # A refusal quotes exact numbers.
        if decision is not None and decision.chosen is None and not facts.tokens.exact:
            return None
        return decision

    def counted(self, request: Request) -> Decision:
        """Choose by counting what the bounds leave open, and no more of it than that takes."""
        facts, counting = request.facts, counting_of(request)
        if not counting.is_exact:
            counting.settle(self.table.boundaries(facts, self.context))
        decision = self.at_bounds(bounded_by(counting, facts))
        if decision is not None and decision.chosen is not None:
            note(request)
            return decision
        # Either two configurations cost about the same here, or a refusal that quotes exact numbers is due.
        counting.exact()
        note(request)
        return self.table.decide(bounded_by(counting, facts), self.context)

    def near(self, request: Request) -> Near:
        """Say when the provider is asked to count, and how its count is decided by."""
        return Near(
            self.table.policy.exact_within,
            lambda: self.table.boundaries(request.facts, self.context),
            self.explain,
        )

    def checked(self, decision: Decision) -> Decision:
        """Return a Decision that chose.

        Raises:
            NoModelFits: when nothing in the pool can serve the request.
            BudgetExceeded: when something could, but a hard budget has no room for it.
        """
        if decision.chosen is not None:
            return decision
        allowance = self.context.allowance
        asked = None if allowance is None else asked_of_budget(decision)
        if allowance is None or asked is None:
            raise NoModelFits(no_fit_message(decision), decision=decision)
        remaining = allowance.remaining or 0
        raise out_of_money(
            decision,
            scope=allowance.scope,
            period=allowance.period,
            resets_at=allowance.resets_at,
            asked=asked,
            remaining=remaining,
            fits=self._fits(decision, remaining),
        )

    def _fits(self, decision: Decision, remaining: int) -> tuple[tuple[str, str | None, Decimal], ...]:
        """Say what would fit if the model asked for or, where that does not help, the floor were given up."""
        table, facts = self.table, replace(decision.facts, model=None)
        around = self.context._replace(unavailable=self.firm)
        found: tuple[tuple[str, str | None, Decimal], ...] = ()
        for floor in dict.fromkeys((table.policy.at_least, None)):
            other = prepare(self.catalog, table.policy.replace(at_least=floor), table.at, table.tags)
            found = found or would_fit(other.decide(facts, around), remaining, admitted=True)
        return found
