"""PiecewiseChoice: the choice along the token count, and what else could serve, for alike requests. Pure.

Between two breakpoints every cost is a straight line and every constraint has one answer, so a configuration
that is chosen at both ends of such a span is chosen throughout. Where two change places between breakpoints,
because their costs cross or one of them passes a limit on cost, the place is found by halving.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import suppress
from functools import partial
from typing import TYPE_CHECKING, Any, Final, NamedTuple, TypeAlias

from routed_llm.decide.weigh import shared_by

if TYPE_CHECKING:
    from routed_llm.decide.choice import Choice
    from routed_llm.decide.constraints import Constraint
    from routed_llm.decide.inputs import DecisionInputs
    from routed_llm.decide.shape import Row
    from routed_llm.facts import RequestFacts
    from routed_llm.usage import Observed

__all__ = [
    "BEYOND",
    "NOWHERE",
    "Alternatives",
    "Ladder",
    "Made",
    "PiecewiseChoice",
    "Rivals",
    "Rung",
    "alternatives",
    "firm",
    "is_firm",
    "ladder",
    "name_of",
    "pieces",
    "price",
    "remember",
    "rivals_of",
    "widened",
]

Made: TypeAlias = "tuple[int, dict[str, Any], dict[str, Any]]"
"""Tokens beside those of texts, and what Candidate and Decision of a configuration say whatever these are."""

Rung: TypeAlias = "tuple[Row, int | None, int]"
"""A configuration with its fixed cost, None where no price is known, and that of each token (picodollars)."""

Ladder: TypeAlias = "dict[int, Rung]"
"""Configurations that can serve, by their place."""

Rivals: TypeAlias = "tuple[Rung | None, tuple[Rung, ...]]"
"""A configuration, or None, and those that may cost less."""

Stretch: TypeAlias = "tuple[int, int, Choice]"
"""A choice with the fewest and the most text tokens between which it holds throughout."""

NOWHERE: Final[Stretch] = (0, -1, (None, "none"))

_OFTEN: Final = 3
"""Looks into a span in which the choice turns, after which it is worked out where."""

_KEPT: Final = 512
BEYOND: Final = 10**9
"""More tokens than any window has: the far end of the last span."""


class PiecewiseChoice:
    """Choices by span, each worked out when it is first asked for. Safe to share between threads.

    Attributes:
        inputs: a request of the kind, less what is its own alone: what the choices hold for.
        is_exact: whether costs are straight lines between two breakpoints.
        able: what can serve, limits on cost left out, by span; kept as long.
        alternatives: how the other configurations stand, by span; likewise.
        turns: text token counts beyond which the choice changes, once they have been worked out.
        ladders: the configurations that can serve, with the straight lines of their costs, by span.
        rivals: what may cost less than one of them, by span and its name.
        made: what a Decision says of a configuration whatever the tokens, by its place, whether it goes past
            the cache, and the values that the request is sent.
        observed: what was observed when it was last found to hold.
        noted: how often a choice has been found to hold.
        usual: the name of what was chosen last, here or before something else was observed; None before.
        own: what else can rule anything out of a request of which nothing is said but the request; None until
            that has been asked.
        under: where a choice holds under constraints that are not kept, by what their answers depend on.
    """

    __slots__ = (
        "_asked",
        "_breakpoints",
        "_choices",
        "_choose",
        "_find",
        "_throughout",
        "able",
        "alternatives",
        "inputs",
        "is_exact",
        "ladders",
        "made",
        "noted",
        "observed",
        "own",
        "rivals",
        "turns",
        "under",
        "usual",
    )

    def __init__(
        self,
        inputs: DecisionInputs,
        choose: Callable[[int], Choice],
        breakpoints: Callable[[DecisionInputs], Sequence[int]],
        *,
        is_exact: bool,
    ) -> None:
        self.inputs = inputs
        self.is_exact = is_exact
        self.observed = inputs.context.observed
        self._choose = choose
        self._find = breakpoints
        self._breakpoints: Sequence[int] | None = None
        self.able: dict[int, Ladder] = {}
        self.alternatives: dict[int, Alternatives] = {}
        self.turns: list[int] | None = None
        self.ladders: dict[int, Ladder] = {}
        self.rivals: dict[Any, Rivals] = {}
        self.made: dict[tuple[int, bool, Any], Made] = {}
        self._choices: dict[int, list[tuple[int, Choice]]] = {}
        self._asked: dict[int, int] = {}
        self.usual: tuple[str, str | None] | None = None
        self.noted = 0
        self.own: list[Constraint] | None = None
        self.under: dict[Any, Stretch] = {}
        self._throughout: Stretch = NOWHERE

    def holds(self, facts: RequestFacts, observed: Observed | None, *, at_any_pace: bool = False) -> bool:
        """Say whether what is observed now comes to the same for a request of this kind.

        Args:
            facts: the request.
            observed: what is observed now.
            at_any_pace: whatever has been learned of how quick models are.
        """
        before = self.observed
        if observed is before:
            return True
        # What is observed changes with each call at first: then there is nothing to be kept for.
        if observed is None or before is None or observed.returns is not before.returns:
            return False
        if not at_any_pace and observed.paces is not before.paces:
            return False
        seen, load = observed.of(facts), self.inputs.load
        if seen is not load.seen or shared_by(seen, observed) is not load.shared:
            return False
        if seen is None and observed.thought != before.thought:
            return False
        if not at_any_pace:
            self.observed = observed
        return True

    def at_pace(self, inputs: DecisionInputs, choose: Callable[[int], Choice]) -> PiecewiseChoice:
        """Return the same choices for a moment at which models are quicker or slower, but none too slow.

        Args:
            inputs: those of this one, at the new paces.
            choose: chooses by them.
        """
        made = PiecewiseChoice(inputs, choose, self._find, is_exact=self.is_exact)
        made._breakpoints, made._choices = self._breakpoints, dict(self._choices)
        made._throughout, made.usual = self._throughout, self.usual
        made.able = self.able
        made.ladders, made.rivals, made.made = self.ladders, self.rivals, self.made
        # What has been said of them speaks of seconds.
        made.alternatives = {at: one._replace(said={}) for at, one in self.alternatives.items()}
        return made

    @property
    def is_new(self) -> bool:
        """Whether it takes less to ask whether the choice is still the same than to work out spans."""
        return self._breakpoints is None or self.noted < _OFTEN

    @property
    def is_spanned(self) -> bool:
        """Whether it is known what bounds the spans; not at first sight."""
        return self._breakpoints is not None

    @property
    def breakpoints(self) -> Sequence[int]:
        """Text token counts that bound the spans, in ascending order; worked out when they are asked for."""
        if self._breakpoints is None:
            self._breakpoints = self._find(self.inputs)
        return self._breakpoints

    def span(self, tokens: int) -> int:
        """Return the number of the span that a text token count lies in."""
        return bisect_left(self.breakpoints, tokens)

    def first(self, span: int) -> int:
        """Return the least text token count of a span."""
        return self.breakpoints[span - 1] + 1 if span else 0

    def last(self, span: int) -> int:
        """Return the most text tokens of a span."""
        marks = self.breakpoints
        return marks[span] if span < len(marks) else BEYOND

    def known(self, low: int, high: int) -> Choice | None:
        """Return the choice from ``low`` to ``high`` text tokens, where it is known to be one; else None."""
        first, last, same = self._throughout
        return same if first <= low and high <= last else None

    def note(self, low: int, high: int, choice: Choice) -> None:
        """Note that a choice has been found to hold from ``low`` to ``high`` text tokens."""
        self.usual = name_of(choice)
        self.noted += 1
        self._throughout = widened(self._throughout, low, high, choice)

    def choice(self, low: int, high: int) -> tuple[Choice, bool]:
        """Return the choice at ``high`` text tokens, and whether it is the same from ``low`` on."""
        if (same := self.known(low, high)) is not None:
            return same, True
        found: Choice | None = None
        is_same = is_one = True
        begin, end = self.span(low), self.span(high)
        for at in range(begin, end + 1):
            pieces = self._choices.get(at) or self._of(at, low, high)
            for upper, choice in pieces:
                if upper < low:
                    continue
                if found and choice[0] is not found[0] and name_of(choice) != name_of(found):
                    is_same = False
                is_one = is_one and len(pieces) == 1 and (found is None or found == choice)
                found = choice
                if upper >= high:
                    break
        if found is None:
            return (None, "none"), is_same
        if is_one:
            self.note(self.first(begin), self.last(end), found)
        return found, is_same

    def spans(self, low: int, high: int) -> Iterator[tuple[int, int, int]]:
        """Yield the spans from ``low`` to ``high`` text tokens, each with the first and the last in it."""
        for at in range(self.span(low), self.span(high) + 1):
            yield at, max(low, self.first(at)), min(high, self.last(at))

    def _of(self, at: int, low: int, high: int) -> list[tuple[int, Choice]]:
        """Return the choices within a span, each with the last token count that it holds for.

        Where there are several, those at both ends of what is asked for at first, and all once that has been
        asked for often: what is learned may change them before.
        """
        first, last, choose = self.first(at), self.last(at), self._choose
        asked = self._asked.get(at, 0)
        if not asked:
            found = choose(last)
            if name_of(choose(first)) == name_of(found):
                self._choices[at] = [(last, found)]
                return self._choices[at]
        if asked < _OFTEN:
            self._asked[at] = asked + 1
            low, high = max(first, low), min(last, high)
            return [(low, choose(low)), (high, choose(high))]
        self._choices[at] = list(_split(first, choose(first), last, choose(last), choose))
        return self._choices[at]


# ----- how the configurations that were not chosen stand


class Alternatives(NamedTuple):
    """Which configurations can serve a request, and what they would cost.

    Attributes:
        able: how many can.
        lines: for each model of which one can, the straight lines of their costs as (fixed, for each
            token), without those that cost more throughout; None when its price is not known.
        refused: for each other model, the first of its configurations.
        said: what has been said of them and need not be worked out again.
    """

    able: int
    lines: tuple[tuple[str, tuple[tuple[int, int], ...] | None], ...]
    refused: tuple[tuple[str, Row], ...]
    said: dict[Any, Any]


def alternatives(inputs: DecisionInputs, tokens: int, kept: PiecewiseChoice | None) -> Alternatives:
    """Say how the configurations stand at a text token count.

    Args:
        inputs: the request.
        tokens: text tokens.
        kept: what holds for all such requests, or None.
    """
    if kept is None:
        return _standing(inputs, tokens, 0, ladder(inputs, inputs.constraints, tokens, step=0))
    others = [one for one in inputs.constraints if not is_firm(one)]
    span = kept.span(tokens)
    able = kept.able.get(span)
    if able is None:
        able = kept.able[span] = ladder(inputs, firm(inputs.constraints), kept.first(span))
    refused = _refused(inputs, tokens, others) if others else None
    if refused:
        return _standing(inputs, tokens, 0, {at: rung for at, rung in able.items() if at not in refused})
    found = kept.alternatives.get(span)
    if found is None:
        found = kept.alternatives[span] = _standing(inputs, kept.first(span), 1, able)
    return found


def _refused(inputs: DecisionInputs, tokens: int, constraints: list[Constraint]) -> frozenset[int]:
    """Return the places of what constraints rule out at a text token count."""
    found = []
    for row in inputs.shape.rows:
        at = inputs.tokens(row, tokens)
        for constraint in constraints:
            if not constraint.admits(row, inputs, at):
                found.append(row.order)
                break
    return frozenset(found)


def is_firm(constraint: Constraint) -> bool:
    """Say whether a constraint's answers are kept, and the same between two breakpoints."""
    return constraint.is_kept and not constraint.follows_cost


def firm(constraints: Iterable[Constraint]) -> list[Constraint]:
    """Return those of the constraints whose answers are kept, and the same between two breakpoints."""
    return [one for one in constraints if is_firm(one)]


def ladder(inputs: DecisionInputs, constraints: Iterable[Constraint], lower: int, *, step: int = 1) -> Ladder:
    """Return what constraints admit at a text token count, up to the next breakpoint; or there alone."""
    found: Ladder = {}
    for row in inputs.shape.rows:
        tokens = inputs.tokens(row, lower)
        if all(constraint.admits(row, inputs, tokens) for constraint in constraints):
            cost = inputs.cost(row, tokens)
            rate = (inputs.cost(row, tokens + 1) or 0) - cost if step and cost is not None else 0
            found[row.order] = row, None if cost is None else cost - rate * lower, rate
    return found


def _standing(inputs: DecisionInputs, lower: int, step: int, able: Ladder) -> Alternatives:
    """Say how they stand from a count on: up to the next breakpoint, or with ``step`` 0 there alone."""
    lines: dict[str, list[tuple[int, int]] | None] = {}
    refused: dict[str, Row] = {}
    for row in inputs.shape.rows:
        model = row.at.model.id
        if row.order not in able:
            refused.setdefault(model, row)
            continue
        _, fixed, rate = able[row.order]
        known = lines.setdefault(model, None if fixed is None else [])
        if known is not None and fixed is not None:
            known.append((fixed, rate) if step else (fixed + rate * lower, 0))
    least = partial(_lowest, lower=lower) if step else _least
    return Alternatives(
        len(able),
        tuple([(model, None if found is None else least(found)) for model, found in lines.items()]),
        tuple([pair for pair in refused.items() if pair[0] not in lines]),
        {},
    )


def price(rung: Rung, tokens: int) -> tuple[bool, int, int]:
    """Return what puts configurations in order of cost at a text token count, those of unknown price last."""
    row, fixed, rate = rung
    return fixed is None, (fixed or 0) + rate * tokens, row.order


def rivals_of(rungs: Ladder, name: tuple[str, str | None] | None, low: int, high: int) -> Rivals:
    """Return a configuration of a ladder, and what may cost less from ``low`` to ``high`` text tokens.

    Without a name, or where the ladder does not have it, that is everything.
    """
    mine = next((rung for rung in rungs.values() if rung[0].name == name), None)
    if mine is None:
        return None, tuple(rungs.values())
    ends = [(at, price(mine, at)) for at in (low, high)]
    return mine, tuple([one for one in rungs.values() if any(price(one, at) < least for at, least in ends)])


def _least(lines: list[tuple[int, int]]) -> tuple[tuple[int, int], ...]:
    return (min(lines),)


def _lowest(lines: list[tuple[int, int]], lower: int) -> tuple[tuple[int, int], ...]:
    """Leave out the lines that from ``lower`` on lie nowhere below another one."""
    kept: list[tuple[int, int]] = []
    for fixed, rate in sorted(lines, key=lambda line: (line[1], line[0])):
        # Those kept so far rise no faster.
        if all(fixed + rate * lower < low + slow * lower for low, slow in kept):
            kept.append((fixed, rate))
    return tuple(kept)


# ----- spans


def pieces(marks: Sequence[int], choose: Callable[[int], Choice]) -> Iterator[tuple[int, Choice]]:
    """Yield (last token count, choice up to it) from zero on; neighbours choose different configurations.

    Args:
        marks: the token counts between which costs are straight lines, in ascending order.
        choose: chooses at a token count.
    """
    held: tuple[int, Choice] | None = None
    for piece in _spans(marks, choose):
        if held is not None and name_of(held[1]) != name_of(piece[1]):
            yield held
        held = piece
    if held is not None:
        yield held


def _spans(marks: Sequence[int], choose: Callable[[int], Choice]) -> Iterator[tuple[int, Choice]]:
    lower = 0
    for upper in (*marks, BEYOND):
        yield from _split(lower, choose(lower), upper, choose(upper), choose)
        lower = upper + 1


def _split(
    lower: int, first: Choice, upper: int, last: Choice, choose: Callable[[int], Choice]
) -> Iterator[tuple[int, Choice]]:
    if name_of(first) == name_of(last):
        yield upper, last
        return
    middle = (lower + upper) // 2
    yield from _split(lower, first, middle, choose(middle), choose)
    yield from _split(middle + 1, choose(middle + 1), upper, last, choose)


def widened(known: Stretch, first: int, last: int, choice: Choice) -> Stretch:
    """Return where a choice holds, now that it does from ``first`` to ``last`` text tokens.

    What is known besides is left out where another choice, or none that is known, holds between the two.
    """
    begin, end, same = known
    if same == choice and first <= end + 1 and begin <= last + 1:
        return min(first, begin), max(last, end), choice
    return first, last, choice


def name_of(choice: Choice) -> tuple[str, str | None] | None:
    """Return the model and the effort of a choice."""
    row = choice[0]
    return None if row is None else row.name


def remember(kept: dict[Any, Any], key: Any, value: Any) -> None:
    """Keep a value in a bounded table, the oldest leaving first."""
    if len(kept) >= _KEPT:
        # Another thread may change the table between these two steps; then it makes the room itself.
        with suppress(StopIteration, RuntimeError):
            kept.pop(next(iter(kept)), None)
    kept[key] = value
