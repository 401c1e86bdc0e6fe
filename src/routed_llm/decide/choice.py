"""Choosing among the configurations of one shape, at one token count. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from operator import itemgetter
from typing import TYPE_CHECKING, NamedTuple, TypeAlias

from routed_llm.decide.dominance import pareto_front
from routed_llm.decide.objectives import COST
from routed_llm.decide.piecewise import remember
from routed_llm.decide.weigh import (
    beside,
    conversation_cost,
    kept_thought,
    output_tokens,
    row_cost,
    row_wait,
)

if TYPE_CHECKING:
    from routed_llm.decide.constraints import Constraint
    from routed_llm.decide.inputs import DecisionInputs
    from routed_llm.decide.shape import Row, Shape
    from routed_llm.decide.weigh import Workload
    from routed_llm.facts import Framed, Previous
    from routed_llm.framing import Framing

__all__ = ["Choice", "Others", "answers", "choose", "compared", "is_chosen_throughout"]

Choice: TypeAlias = "tuple[Row | None, str]"
"""A row, or None when nothing fits, and what settled it."""


def choose(inputs: DecisionInputs, tokens: int) -> Choice:
    """Choose a row at one text token count, and say what settled it."""
    previous = inputs.facts.previous
    if inputs.is_ordinary:
        if previous is not None:
            return _or_stay(pareto_front(inputs), previous, inputs, tokens)
        row = _cheapest_admitted(inputs, tokens)
        return row, "none" if row is None else "cost"
    able = [row for row in pareto_front(inputs) if inputs.admits(row, tokens)]
    if not able:
        return None, "none"
    if inputs.pinned or (inputs.setting.alone and inputs.asked_effort):
        nearest = min(able, key=lambda row: (row.distance, inputs.money(row, tokens)))
        return nearest, "pinned" if inputs.pinned else "only"
    settled = _settled(able, inputs, tokens)
    if settled is not None:
        return settled
    if inputs.objective is not COST and (previous is None or inputs.objective.name != COST.name):
        return _best(able, inputs, tokens), inputs.objective.name
    if previous is None:
        return _cheapest(able, inputs, tokens), "cost"
    return _or_stay(able, previous, inputs, tokens)


def _cheapest_admitted(inputs: DecisionInputs, text_tokens: int) -> Row | None:
    """Return the cheapest of what is admitted; what costs more than one found already is not asked about."""
    best: Row | None = None
    least: int | None = None
    amounts = inputs.load
    shifts = amounts.beside
    for row in pareto_front(inputs):
        tokens = text_tokens + (shifts.get(row.order) or beside(amounts, row))[0]
        cost = row_cost(row, amounts, tokens)
        # Rows stand in their order, and of two that cost the same the first one is taken.
        if best is not None and (cost is None or (least is not None and cost >= least)):
            continue
        for constraint in inputs.constraints:
            if not constraint.admits(row, inputs, tokens):
                break
        else:
            best, least = row, cost
    return best


def is_chosen_throughout(name: tuple[str, str | None], inputs: DecisionInputs, low: int, high: int) -> bool:
    """Say whether a configuration is sure to be chosen at every text token count from ``low`` to ``high``.

    It is if it is admitted, and nothing that is admitted costs less, wherever one of these may change. Where
    it says no, the counts between have to be asked one by one.
    """
    amounts, others = inputs.load, compared(name, inputs.shape)
    mine = others.mine
    # What goes past a cache costs no more than what is written to it, and turns where that does.
    is_plain = amounts.plain and amounts.shared is None
    if mine is None or not (is_plain and inputs.is_ordinary and mine.rates) or mine.surcharge:
        return False
    if not all(map(all, answers(inputs.constraints, mine, inputs, low, high))):
        return False
    shift, written = beside(amounts, mine)[0], output_tokens(mine, amounts)
    most = _dearest(mine, shift + high)
    fixed, mine_ends = most[0] * shift + most[1] * written, _kinks(mine, shift, low, high)
    costs = {at: _money(mine, amounts, shift + at) for at in mine_ends}
    shifts = amounts.beside
    for row in _rivals(others, inputs, low, fixed + most[0] * low):
        if row is mine or not row.rates:
            continue
        away, least = (shifts.get(row.order) or beside(amounts, row))[0], row.least
        # Where each token costs no less, and what does not depend on them costs more, no count need be asked.
        if least[0] >= most[0] and least[0] * away + least[1] * output_tokens(row, amounts) > fixed:
            continue
        for at in _kinks(row, away, low, high) - mine_ends if len(row.rates) > 1 else ():
            costs[at] = _money(mine, amounts, shift + at)
        # More counts than these two turn at do no harm.
        if all(cost < _money(row, amounts, away + at) for at, cost in costs.items()):
            continue
        # What costs less somewhere is to be ruled out everywhere: mostly by its time, which stands last.
        if all(map(any, answers(reversed(inputs.constraints), row, inputs, low, high))):
            return False
    return True


class Far(NamedTuple):
    """Configurations of which no token of input ever costs less than the dearest of another configuration.

    Attributes:
        names: theirs.
        framings: how they count what stands around texts.
        given: picodollars, at the least, of a token of input.
        written: of a token of output.
        said: of the output for each token that gpt-4o would write.
        most: of those, what none of them has a limit below.
        around: the fewest tokens that any of them counts, by what stands around the texts of a request.
    """

    names: frozenset[tuple[str, str | None]]
    framings: frozenset[Framing | None]
    given: int
    written: int
    said: float
    most: float
    around: dict[Framed, int]


class Others(NamedTuple):
    """How the configurations of a shape compare with one of them by what is published.

    Attributes:
        mine: that one, or None where the shape does not have it.
        near: those that have to be looked at, one by one.
        deeper: those of its own model that come after it and for which more reasoning is published.
        names: of these.
        more: reasoning that is published of each of these, at the least.
        far: those of which no token of input costs less than its own.
    """

    mine: Row | None
    near: tuple[Row, ...]
    deeper: tuple[Row, ...]
    names: frozenset[tuple[str, str | None]]
    more: float
    far: Far


def compared(name: tuple[str, str | None], shape: Shape) -> Others:
    """Return how the others compare with a configuration, worked out once for its shape."""
    found = shape.kept.others.get(name)
    if found is None:
        found = _compared(name, shape)
        remember(shape.kept.others, name, found)
    return found


def _compared(name: tuple[str, str | None], shape: Shape) -> Others:
    mine = next((row for row in shape.rows if row.name == name), None)
    if mine is None:
        return Others(None, (), (), frozenset(), 0.0, Far(frozenset(), frozenset(), 0, 0, 0.0, 0.0, {}))
    near: list[Row] = []
    deeper: list[Row] = []
    far: list[Row] = []
    for row in shape.rows:
        if row is not mine and row.rates:
            apart = far if row.least[0] >= mine.dearest[0] else near
            (deeper if _thinks_more(row, mine) else apart).append(row)
    return Others(
        mine,
        tuple(near),
        tuple(deeper),
        frozenset([row.name for row in deeper]),
        min([row.reasoning for row in deeper], default=0.0),
        Far(
            frozenset([row.name for row in far]),
            frozenset([row.at.model.framing.get(row.at.endpoint) for row in far]),
            min([row.least[0] for row in far], default=0),
            min([row.least[1] for row in far], default=0),
            min([row.least[1] * row.ratio for row in far], default=0.0),
            min([row.at.model.limits.max_output / row.ratio for row in far], default=0.0),
            {},
        ),
    )


def _thinks_more(one: Row, other: Row) -> bool:
    """Say whether a row comes after another of its model and differs in nothing but that it thinks more."""
    mine, theirs = one.at, other.at
    alike = mine.model is theirs.model and mine.endpoint == theirs.endpoint
    if not alike or (one.rates, one.ratio) != (other.rates, other.ratio):
        return False
    return one.order > other.order and one.reasoning >= other.reasoning


def _rivals(others: Others, inputs: DecisionInputs, low: int, cost: int) -> tuple[Row, ...]:
    """Return what may cost less than a configuration, from the count on at which it costs so much."""
    amounts, mine, far = inputs.load, others.mine, others.far
    observed = amounts.outputs or ()  # what was seen of one may be less than is published
    if mine is None or not far.names.isdisjoint(observed) or not _are_dearer(far, amounts, low, cost):
        return inputs.shape.rows
    if amounts.visible is None and others.deeper and others.names.isdisjoint(observed):
        seen = amounts.seen and amounts.seen.by_effort
        thought = min(amounts.thought, *seen.values()) if seen else amounts.thought
        least = (amounts.expected * mine.ratio + thought * others.more) * amounts.choices
        if least >= output_tokens(mine, amounts):
            return others.near
    return others.near + others.deeper


def _are_dearer(far: Far, amounts: Workload, low: int, cost: int) -> bool:
    """Say whether all that are far cost more, where the one costs so much for ``low`` tokens of text.

    They do so for more tokens, too, as each of theirs costs no less; where it says no, that is not sure.
    """
    framed = amounts.facts.framed
    around = far.around.get(framed)
    if around is None:
        around = min([0 if one is None else one.beside(framed) for one in far.framings], default=0)
        remember(far.around, framed, around)
    out = far.said * amounts.expected
    if amounts.visible is not None:
        out = min(out, far.written * amounts.visible)
    # Output is whole tokens: one token less than this is sure to be no more than it.
    least = far.given * (low + around) + out * amounts.choices - far.written
    return not far.names or (low + around >= 0 and amounts.expected <= far.most and least > cost)


def answers(
    constraints: Iterable[Constraint], row: Row, inputs: DecisionInputs, low: int, high: int
) -> Iterator[Iterator[bool]]:
    """Give each constraint's answers from ``low`` to ``high`` text tokens.

    They are asked for at the ends of the spans in which the answer changes once at most.
    """
    shift, more = beside(inputs.load, row)
    for constraint in constraints:
        ends = {low}
        if constraint.by_tokens:
            off = shift + more if constraint.of_most else shift
            ends = _within([mark - off for mark in constraint.kinks(row, inputs)], low, high)
            if constraint.follows_cost and row.rates:
                ends |= _kinks(row, shift, low, high)
        yield (constraint.admits(row, inputs, shift + at) for at in ends)


def _dearest(row: Row, tokens: int) -> tuple[int, int]:
    """Return the highest rates of a row, of input and of output, for no more than so many input tokens."""
    given = written = 0
    for up_to, one, other in row.rates:
        given, written = max(given, one), max(written, other)
        if tokens <= up_to:
            break
    return given, written


def _money(row: Row, amounts: Workload, tokens: int) -> tuple[int, int]:
    return row_cost(row, amounts, tokens) or 0, row.order


def _kinks(row: Row, shift: int, low: int, high: int) -> set[int]:
    """Return the ends of the spans in which a row's cost is a straight line."""
    if row.rates[0][0] >= shift + high:
        return {low, high}  # nearly always one price holds throughout
    return _within([edge - shift for edge, _, _ in row.rates[:-1]], low, high)


def _within(marks: list[float], low: int, high: int) -> set[int]:
    ends = {low, high}
    for mark in marks:
        if low <= mark < high:
            ends.update((int(mark), int(mark) + 1))
    return ends


def _cheapest(able: list[Row], inputs: DecisionInputs, tokens: int) -> Row:
    return min(able, key=lambda row: inputs.money(row, tokens))


def _settled(able: list[Row], inputs: DecisionInputs, tokens: int) -> tuple[Row, str] | None:
    """Return the row that a tool loop or the policy's incumbent settles on, or None."""
    previous, incumbent = inputs.facts.previous, inputs.setting.incumbent
    if previous is not None and previous.in_tool_loop:
        stay = _of(able, previous.model, previous.effort)
        if stay is not None:
            return stay, "tool_loop"
    mine = [row for row in able if row.at.model.name == incumbent]
    if not mine:
        return None
    best = _cheapest(mine, inputs, tokens)
    return (best, "incumbent") if best in _within_pressure(best, able, inputs, tokens) else None


def _best(able: list[Row], inputs: DecisionInputs, tokens: int) -> Row:
    objective = inputs.objective

    def order(row: Row) -> tuple[bool, float, tuple[bool, int, int]]:
        value = objective.value(row, inputs, inputs.tokens(row, tokens))
        return value is None, value or 0, inputs.money(row, tokens)

    best = min(able, key=order)
    left = _within_pressure(best, able, inputs, tokens)
    return best if left is able else min(left, key=order)


def _within_pressure(best: Row, able: list[Row], inputs: DecisionInputs, tokens: int) -> list[Row]:
    """Leave those that cost no more than a budget that runs low still lets a call cost.

    That amount moves, in equal steps of proportion, from what the first choice costs (no pressure) to
    what the cheapest costs (nothing left).
    """
    allowance = inputs.context.allowance
    if allowance is None or not allowance.pressure:
        return able
    costs = [(row, inputs.text_cost(row, tokens)) for row in able]
    known = [cost for _, cost in costs if cost is not None]
    first = inputs.text_cost(best, tokens)
    if not known or first is None:
        return able
    least = min(known)
    most = least * (first / least) ** (1 - allowance.pressure) if least else first
    return [row for row, cost in costs if cost is not None and cost <= max(most, least)]


def _or_stay(rows: Iterable[Row], previous: Previous, inputs: DecisionInputs, tokens: int) -> Choice:
    """Weigh leaving the model that answered before: over the turns to come, and by more than a trifle."""
    policy = inputs.setting.policy
    worth, turns = policy.second_pico, 1 + inputs.load.horizon

    mine = [row for row in rows if row.at.model.id == previous.model and inputs.admits(row, tokens)]
    stay = _of(mine, previous.model, previous.effort)
    if stay is not None and previous.in_tool_loop:
        return stay, "tool_loop"
    again = 0 if stay is None else kept_thought(stay, inputs.load)

    def total(row: Row) -> tuple[bool, int, int]:
        cost = conversation_cost(row, inputs.load, tokens, again)
        wait = int(worth * turns * row_wait(row, inputs.load, inputs.tokens(row, tokens))) if worth else 0
        return (cost is None, (cost or 0) + wait, row.order)

    ranked = sorted([(total(row), row) for row in rows], key=itemgetter(0))
    found = next((pair for pair in ranked if inputs.admits(pair[1], tokens)), None)
    if found is None:
        return None, "none"
    (unknown, theirs, _), best = found
    if stay is None or stay is best or stay.at.model is best.at.model:
        return best, "cost"
    if unknown or theirs > total(stay)[1] * (1 - policy.switch_saving):
        return stay, "stays"
    return best, "switch"


def _of(rows: Iterable[Row], model: str, effort: str | None) -> Row | None:
    """Find a model's row: at the effort if it is there, else its first."""
    mine = [row for row in rows if row.at.model.id == model]
    same = [row for row in mine if row.at.effort == effort]
    return next(iter(same or mine), None)
