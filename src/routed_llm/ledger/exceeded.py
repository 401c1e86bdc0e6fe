"""The refusal of a call that its budgets cannot pay for, in words and data."""

from __future__ import annotations

from datetime import datetime
from decimal import Decimal
from typing import TYPE_CHECKING

from routed_llm.budget import PICO
from routed_llm.decision import format_dollars
from routed_llm.errors import BudgetExceeded

if TYPE_CHECKING:
    from routed_llm.decision import Decision

__all__ = ["asked_of_budget", "out_of_money", "would_fit"]

_SHOWN = 3


def asked_of_budget(decision: Decision) -> int | None:
    """Return the least picodollars that would have been needed, or None when money is not the cause."""
    asked = [
        int(Decimal(candidate.reasons[0].data["cost"]) * PICO)
        for candidate in decision.candidates
        if candidate.reasons and all(reason.code == "budget" for reason in candidate.reasons)
    ]
    return min(asked, default=None)


def would_fit(
    decision: Decision, remaining: int, *, admitted: bool = False
) -> tuple[tuple[str, str | None, Decimal], ...]:
    """List the cheapest configurations of a decision that the remaining money would pay for.

    Args:
        decision: what was decided.
        remaining: picodollars left.
        admitted: whether it was decided with just that much left. Otherwise, where a budget has to cover the
            worst case or nineteen of twenty, it is not known what would fit.
    """
    allowance = decision.allowance
    if allowance is not None and (allowance.worst_case or allowance.p95) and not admitted:
        return ()
    able = [candidate for candidate in decision.candidates if candidate.able]
    able.sort(key=lambda candidate: candidate.cost or 0)
    return tuple(
        (candidate.model, candidate.effort, Decimal(candidate.cost) / PICO)
        for candidate in able
        if candidate.cost is not None and candidate.cost <= remaining
    )[:_SHOWN]


def out_of_money(
    decision: Decision,
    *,
    scope: str,
    period: str,
    resets_at: datetime | None,
    asked: int,
    remaining: int,
    fits: tuple[tuple[str, str | None, Decimal], ...] | None = None,
) -> BudgetExceeded:
    """Make the error; the caller raises it."""
    found = would_fit(decision, remaining) if fits is None else fits
    whose = f"of {scope} " if scope else ""
    time = "in total" if period == "total" else f"per {period}"
    has, pays_from = _left(decision, (scope, period), asked, remaining)
    said = [
        f"The budget {whose}{time} has {has}, and this call is expected to cost at least "
        f"${format_dollars(asked)}; nothing was sent."
    ]
    if found:
        names = ", ".join(
            f"{model}{'' if effort is None else '@' + effort} (${dollars.normalize():f})"
            for model, effort, dollars in found
        )
        said.append(f"What would fit, given up the model or the quality asked for: {names}.")
    raising = "raise the budget, shorten the request or lower its output cap"
    if pays_from is not None:
        resets_at = pays_from
        said.append(f"Wait until {resets_at.isoformat()}, when it pays for this call, {raising}.")
    elif resets_at is not None:
        said.append(f"Wait until {resets_at.isoformat()}, when it is refilled, {raising}.")
    else:
        said.append(f"{raising[0].upper()}{raising[1:]}.")
    return BudgetExceeded(
        " ".join(said),
        scope=scope,
        period=period,
        asked=Decimal(asked) / PICO,
        remaining=Decimal(remaining) / PICO,
        resets_at=resets_at,
        fits=found,
    )


def _left(
    decision: Decision, whose: tuple[str, str], asked: int, remaining: int
) -> tuple[str, datetime | None]:
    """Say what a budget has left; of a paced one what is free by now, and from when on it pays for a call."""
    allowance, left = decision.allowance, f"${format_dollars(max(remaining, 0))}"
    if allowance is None or allowance.whole is None or (allowance.scope, allowance.period) != whose:
        return f"{left} left", None
    account = next(one for one in allowance.accounts if (one.scope, one.period) == whose and one.begins_at)
    most = max(allowance.whole, 0)
    pays_from = account.pays_from(most, asked) if asked <= most else None
    return f"{left} free by now of the ${format_dollars(most)} that it has left and spends evenly", pays_from
