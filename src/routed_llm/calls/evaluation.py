"""Evaluation: how one request is decided, with no more of it counted than the choice needs.

Nothing here reads a clock or reaches a ledger: the router puts in what they say.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Final, NamedTuple

from routed_llm.calls.recount import Near
from routed_llm.decide.outcome import conclude
from routed_llm.decide.refusal import no_fit_message
from routed_llm.decide.speed import WINDOWS
from routed_llm.decide.table import prepare
from routed_llm.decide.weigh import beside, cost_breakpoints
from routed_llm.decision import Change
from routed_llm.errors import NoModelFits
from routed_llm.ledger.exceeded import asked_of_budget, out_of_money, would_fit
from routed_llm.reasons import PASSED_OVER
from routed_llm.request.counts import bounded_by, counting_of, note
from routed_llm.tokens.split import PART

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from decimal import Decimal

    from routed_llm.catalog import Catalog, Model
    from routed_llm.decide.context import EvaluationContext
    from routed_llm.decide.outcome import Picked
    from routed_llm.decide.table import Table
    from routed_llm.decision import Decision
    from routed_llm.errors import BudgetExceeded
    from routed_llm.facts import RequestFacts
    from routed_llm.request import Request

__all__ = ["Evaluation"]


_SHORTEST_WINDOW: Final = min(WINDOWS.values())
"""Seconds; a deadline before that leaves the tiers that cost less out."""


class Evaluation(NamedTuple):
    """Decides requests at one moment.

    Attributes:
        catalog: the models there are.
        table: what the policy makes of them on the day.
        context: what holds at the moment; models that cool down for a while are unavailable.
        firm: models to leave alone even when nothing else is left, with the reason.
        tiers: the service tiers, besides the table's, at which the call may be sent, where it has a deadline.
        at_tier: makes the table of a service tier.
        draw: gives a number from 0 to 1, by which calls are spread over a model's homes; None to take the
            cheapest, as where none has several.
    """

    catalog: Catalog
    table: Table
    context: EvaluationContext
    firm: Mapping[str, str]
    tiers: tuple[str, ...] = ()
    at_tier: Callable[[str], Table] | None = None
    draw: Callable[[str], float] | None = None

    def explain(self, request: Request) -> Decision:
        """Choose; the Decision's ``chosen`` is None when nothing fits."""
        decision = self.at_bounds(request.facts) or self.counted(request)
        if decision.chosen is not None and self.draw is None:  # as nearly always
            return decision
        return self.or_cooling(decision, request)

    def in_figures(self, request: Request) -> Decision:
        """Choose as :meth:`explain` does, with the figures of a full count where one takes a moment."""
        counting = counting_of(request)
        if counting.uncounted > PART:
            return self.explain(request)
        counting.exact()
        facts = bounded_by(counting, request.facts)
        note(request, facts.tokens)
        decision = self.at_bounds(facts)
        return self.explain(request) if decision is None else self.or_cooling(decision, request)

    def or_cooling(self, decision: Decision, request: Request) -> Decision:
        """Choose again where nothing fits: a model that cools down is better than none."""
        if decision.chosen is not None or self.context.unavailable is self.firm:
            return decision if self.draw is None else self._at_home(decision, request, self.draw)
        return self._replace(context=self.context._replace(unavailable=self.firm)).explain(request)

    def _at_home(self, decision: Decision, request: Request, draw: Callable[[str], float]) -> Decision:
        """Choose among the homes of the model that was chosen, by their order and weights.

        Within an order, and where no weight says otherwise, it stays at the cheapest; weights give way to the
        home whose cache the request is expected to read.
        """
        chosen = decision.chosen
        if chosen is None:
            return decision
        homes = [one for one in self.catalog.homes(chosen.model) if one.weight != 0]
        away, whole = self.context.unavailable, self._replace(draw=None)
        for order in sorted({one.order or 1 for one in homes}):
            mine = [one for one in homes if (one.order or 1) == order and one.id not in away]
            if any(one.weight is not None for one in mine) and not (
                chosen.cached_tokens and chosen.model in {one.id for one in mine}
            ):
                picked = _drawn(mine, draw(mine[0].name))
                mine = [picked, *[one for one in mine if one is not picked]]
                groups = [[one] for one in mine]
            else:
                groups = [mine] if mine else []
            for group in groups:
                names = {one.id for one in group}
                if chosen.model in names:
                    return decision
                behind = {one.id: PASSED_OVER for one in homes if one.id not in names}
                context = self.context._replace(unavailable={**behind, **away})
                firm = {**behind, **self.firm}
                there = whole._replace(context=context, firm=firm).explain(request)
                if there.chosen is not None and there.chosen.model in names and not _is_slow(there, decision):
                    return there
        return decision

    def only(self, request: Request, away: Mapping[str, str]) -> Decision:
        """Choose by the exact count among the models that are not away, whatever home or deadline."""
        counting = counting_of(request)
        counting.exact()
        facts = bounded_by(counting, request.facts)
        note(request, facts.tokens)
        return self.table.decide(facts, self.context._replace(unavailable=away, deadline=None))

    def at_bounds(self, facts: RequestFacts) -> Decision | None:
        """Choose by the bounds of the token count alone; None when they do not settle it."""
        context, at_tier = self.context, self.at_tier
        if at_tier is None or context.deadline is None:
            decision = self.table.select_certain(facts, context)
        else:
            decision = self._in_time(facts, context.deadline, at_tier)
        # A refusal quotes exact numbers.
        if decision is not None and decision.chosen is None and not facts.tokens.exact:
            return None
        return decision

    def counted(self, request: Request) -> Decision:
        """Choose by counting what the bounds leave open, and no more of it than that takes."""
        counting = counting_of(request)
        counting.tighten()
        facts = bounded_by(counting, request.facts)
        decision = self.at_bounds(facts)
        if decision is None and counting.uncounted > PART:
            counting.settle(self._boundaries(request.facts))
            facts = bounded_by(counting, request.facts)
            decision = self.at_bounds(facts)
        while decision is None:
            # Two configurations cost about the same here, or a refusal that quotes exact numbers is due.
            counting.exact()
            facts = bounded_by(counting, request.facts)
            decision = self.at_bounds(facts)
        note(request, facts.tokens)
        return decision

    def _boundaries(self, facts: RequestFacts) -> list[int]:
        """List the text token counts beyond which the choice may change, at whatever service tier."""
        deadline, at_tier = self.context.deadline, self.at_tier
        found = self.table.boundaries(facts, self.context)
        if deadline is None or at_tier is None:
            return found
        tables = [at_tier(tier) for tier in self.tiers if WINDOWS.get(tier, 0) <= deadline]
        return sorted({*found, *(mark for it in tables for mark in it.boundaries(facts, self.context))})

    def _in_time(
        self, facts: RequestFacts, deadline: float, at_tier: Callable[[str], Table]
    ) -> Decision | None:
        """Choose the service tier, too: whatever costs least of what is expected to be in time.

        Where nothing is, the quickest at the usual tier is taken, if it is in time more often than not. None
        where the bounds of the token count do not settle it.
        """
        first = best = self._picked(self.table, facts)
        chosen = None
        # What promises a window is cheaper; the others are quicker, and cost more.
        may_change = first.certain and (first.row is None or deadline >= _SHORTEST_WINDOW)
        for tier in self.tiers if may_change else ():
            window = WINDOWS.get(tier)
            if best.row is not None if window is None else window > deadline:
                continue
            other = self._picked(at_tier(tier), facts)
            if not other.certain:
                return None
            costs_less = _costs_less(other, best, facts)
            if costs_less is None:
                return None
            if costs_less:
                best, chosen = other, tier
        if not best.certain:
            return None
        if best.row is not None:
            found = conclude(best)
            return found if chosen is None else _sent_at(found, chosen)
        return self._or_late(conclude(first), facts, deadline)

    def _or_late(self, refused: Decision, facts: RequestFacts, deadline: float) -> Decision:
        """Choose the quickest at the usual tier, where it is in time more often than not."""
        if not facts.tokens.exact or not _is_late(refused):
            return refused
        hurried = self.table.policy.replace(optimize="latency")
        table = prepare(self.catalog, hurried, self.table.at, self.table.tags)
        unhurried = self._replace(context=self.context._replace(deadline=None))
        decision = conclude(unhurried._picked(table, facts))
        if decision.seconds is None or decision.seconds.whole > deadline:
            return refused
        seconds = decision.seconds.whole
        why = f"nothing is sure to be in time; half of these answers take up to {seconds:.1f} s"
        return replace(
            decision, changes=(*decision.changes, Change("deadline", "relaxed", deadline, None, why))
        )

    def _picked(self, table: Table, facts: RequestFacts) -> Picked:
        """Pick by a table; a model that cools down is better than none."""
        found = table.pick(facts, self.context, if_certain=True)
        if found.row is None and found.certain and self.context.unavailable is not self.firm:
            return table.pick(facts, self.context._replace(unavailable=self.firm), if_certain=True)
        return found

    def near(self, request: Request) -> Near:
        """Say when the provider is asked to count, and how its count is decided by."""
        return Near(
            self.table.policy.exact_within,
            lambda: self._boundaries(request.facts),
            self.explain,
        )

    def refusal(self, decision: Decision) -> NoModelFits | BudgetExceeded:
        """Return what a call is refused with for which nothing was chosen.

        A BudgetExceeded when something could serve it, but a hard budget has no room for that.
        """
        allowance = self.context.allowance
        asked = None if allowance is None else asked_of_budget(decision)
        if allowance is None or asked is None:
            return NoModelFits(no_fit_message(decision), decision=decision)
        remaining = allowance.remaining or 0
        return out_of_money(
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


def _costs_less(one: Picked, other: Picked, facts: RequestFacts) -> bool | None:
    """Say whether what one table picks costs less than what another does; None where the count decides it."""
    (mine, here), (theirs, there) = (one.row, one.inputs), (other.row, other.inputs)
    if mine is None:
        return False
    low, high = facts.tokens.low, facts.tokens.high
    counts = {low, high}
    for row, inputs in ((mine, here), (theirs, there)) if theirs is not None and low != high else ():
        shift = beside(inputs.load, row)[0]
        for mark in cost_breakpoints(row, inputs.load):
            counts.update([at - shift for at in (mark, mark + 1) if low < at - shift < high])
    # Between these both costs are straight lines.
    found = {
        _is_less(here.text_cost(mine, at), None if theirs is None else there.text_cost(theirs, at))
        for at in counts
    }
    return found.pop() if len(found) == 1 else None


def _is_less(cost: int | None, other: int | None) -> bool:
    return cost is not None and (other is None or cost < other)


def _is_slow(one: Decision, other: Decision) -> bool:
    """Say whether a home may be late where another one is not, or was found to be several times as slow."""
    if _may_be_late(one) and not _may_be_late(other):
        return True
    mine, theirs = one.seconds, other.seconds
    if mine is None or theirs is None or mine.source == "published class":
        return False
    return mine.whole > max(3 * theirs.whole, theirs.whole + 1)


def _may_be_late(decision: Decision) -> bool:
    return any(change.parameter == "deadline" for change in decision.changes)


def _drawn(homes: list[Model], chance: float) -> Model:
    """Return the home that a number from 0 to 1 falls to, by their weights; one without counts as 1."""
    weights = [1.0 if one.weight is None else one.weight for one in homes]
    left = chance * sum(weights)
    for home, weight in zip(homes, weights, strict=True):
        left -= weight
        if left < 0:
            return home
    return homes[-1]


def _is_late(decision: Decision) -> bool:
    """Say whether it is the deadline that rules anything out."""
    return any(reason.code == "deadline" for one in decision.candidates for reason in one.reasons)


def _sent_at(decision: Decision, tier: str) -> Decision:
    """Return a decision whose request names its service tier, where it is not the usual one and it can."""
    call = decision.call
    if call is None or (tier in WINDOWS and tier != "flex"):
        return decision  # a batch and a background window are another way to send it
    why = "it costs least of what is expected to be in time"
    return replace(
        decision,
        call=replace(call, parameters={**call.parameters, "service_tier": tier}),
        changes=(*decision.changes, Change("service_tier", "added", None, tier, why)),
    )
