"""The best that anybody could do who knew every limit, size and time beforehand: a linear program.

It knows nothing of this router. What a bucket lets through until a moment is what it holds and what is
refilled by then; a call may be divided among models, so no schedule at all does better than :func:`soonest`
and :func:`cheapest` say. :func:`schedule` makes one of whole calls, which the provider is asked to serve.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
from scipy.optimize import linprog
from scipy.sparse import csr_matrix

Limits = Mapping[str, tuple[int, int]]
"""Tokens and requests a minute by model; a bucket holds as much as is refilled in a minute."""


class Plan(NamedTuple):
    """What a linear program found.

    Attributes:
        least: seconds or dollars, which no schedule is below.
        parts: for each call, in which parts it goes to which model.
    """

    least: float
    parts: np.ndarray[Any, Any]


def soonest(sizes: Sequence[int], limits: Limits) -> Plan:
    """Return the least time in which calls of these sizes are all sent."""
    count, models = len(sizes), list(limits)
    rows, columns, values, most = [], [], [], []
    for at, model in enumerate(models):
        for unit, amounts in zip(limits[model], (sizes, [1] * count), strict=True):
            for call, amount in enumerate(amounts):
                rows.append(len(most))
                columns.append(call * len(models) + at)
                values.append(float(amount))
            rows.append(len(most))
            columns.append(count * len(models))
            values.append(-unit / 60)
            most.append(float(unit))
    goal = np.zeros(count * len(models) + 1)
    goal[-1] = 1
    return _solved(goal, (rows, columns, values), most, count, len(models))


def cheapest(
    sizes: Sequence[int],
    limits: Limits,
    *,
    deadline: float,
    seconds: Callable[[int, str], float],
    dollars: Callable[[int, str], float],
) -> Plan:
    """Return the least cost at which all calls are answered in time."""
    count, models = len(sizes), list(limits)
    rows, columns, values, most = [], [], [], []
    goal = np.zeros(count * len(models) + 1)
    for at, model in enumerate(models):
        latest = [deadline - seconds(call, model) for call in range(count)]
        for call in range(count):
            column = call * len(models) + at
            # A call that would be late in any case is dear enough never to be chosen.
            goal[column] = dollars(call, model) if latest[call] >= 0 else 1e3
        # What must be sent by a moment has to fit into what is let through by then.
        moments = sorted({round(max(it, 0.0), 1) for it in latest})
        for moment in moments[:: max(len(moments) // 12, 1)] + moments[-1:]:
            for unit, amounts in zip(limits[model], (sizes, [1] * count), strict=True):
                for call, amount in enumerate(amounts):
                    if latest[call] <= moment:
                        rows.append(len(most))
                        columns.append(call * len(models) + at)
                        values.append(float(amount))
                most.append(unit * (1 + moment / 60))
    return _solved(goal, (rows, columns, values), most, count, len(models))


def _solved(
    goal: np.ndarray[Any, Any],
    entries: tuple[list[int], list[int], list[float]],
    most: list[float],
    count: int,
    models: int,
) -> Plan:
    rows, columns, values = entries
    shape = (len(most), count * models + 1)
    once = csr_matrix(
        (np.ones(count * models), (np.repeat(np.arange(count), models), np.arange(count * models))),
        shape=(count, shape[1]),
    )
    found = linprog(
        goal,
        A_ub=csr_matrix((values, (rows, columns)), shape=shape),
        b_ub=most,
        A_eq=once,
        b_eq=np.ones(count),
        method="highs",
    )
    if not found.success:
        return Plan(math.inf, np.zeros((count, models)))
    return Plan(float(found.fun), found.x[:-1].reshape(count, models))


def schedule(
    plan: Plan, sizes: Sequence[int], limits: Limits, latest: Callable[[int, str], float]
) -> list[tuple[float, int, str]]:
    """Return when each call is sent, and to which model: where most of it goes, the most urgent first."""
    models = list(limits)
    found = []
    for at, model in enumerate(models):
        mine = [call for call in range(len(sizes)) if int(plan.parts[call].argmax()) == at]
        tokens, requests = (unit / 60 for unit in limits[model])
        taken = 0
        for order, call in enumerate(sorted(mine, key=lambda one: latest(one, model)), 1):
            taken += sizes[call]
            when = max(taken / tokens, order / requests) - 60
            found.append((when + 1e-6 if when > 0 else 0.0, call, model))
    return found
