"""How far predictions were from bills, and what of it nobody could have known before the call.

Per group of calls these are medians of the absolute error, relative to the bill:

* ``error``: of the prediction;
* ``output known``: had the output been known: what input, caches and rates account for;
* ``constant``: of the best single expectation of the output, chosen in hindsight for each set of calls that
  look alike (same kind, functions offered or not, going on from an earlier call or not);
* ``said known``, ``thought known``: the same, had the visible answer or the reasoning been known;
* ``oracle``: of a regression on everything that could be seen before the call, trained in hindsight on the
  other calls of all kinds and tested on those it has not seen (gradient boosted trees for the median, ten
  folds; `pip install scikit-learn`, left out where it is missing). No estimate can be expected to be better;
* ``sum``: the sum of the predictions against the sum of the bills.
"""

from __future__ import annotations

import math
import statistics
from collections import defaultdict
from collections.abc import Callable, Iterable, Sequence
from typing import NamedTuple

__all__ = ["Sent", "report"]

_ALIKE = 5
"""Fewest calls of which a constant is chosen: fewer would be known by heart."""


class Sent(NamedTuple):
    """One request that was answered.

    Attributes:
        kind: what it is reported under.
        predicted: dollars expected before the call.
        billed: dollars on the bill.
        expected: output tokens expected before the call.
        said: visible output tokens.
        thought: reasoning tokens.
        rate: dollars for an output token.
        seen: numbers that stood for the request before it was sent; the first two say whether it offered
            functions and whether it went on from an earlier call.
    """

    kind: str
    predicted: float
    billed: float
    expected: int
    said: int
    thought: int
    rate: float
    seen: tuple[float, ...]

    @property
    def rest(self) -> float:
        """Dollars billed for everything but the output."""
        return self.billed - (self.said + self.thought) * self.rate

    def error(self, output: float) -> float:
        """Return the error of a prediction that knows everything but the output."""
        return abs((self.rest + output * self.rate) / self.billed - 1)


def report(name: str, sent: Sequence[Sent]) -> None:
    """Print errors, in all and by kind."""
    columns = ("error", "output known", "constant", "said known", "thought known", "oracle")
    print(f"\n{name}\n  {'':14}{'calls':>6}" + "".join(f"{column:>15}" for column in columns) + f"{'sum':>9}")
    found = {
        "error": [abs(one.predicted / one.billed - 1) for one in sent],
        "output known": [
            abs((one.predicted + (one.said + one.thought - one.expected) * one.rate) / one.billed - 1)
            for one in sent
        ],
        "constant": _best(sent, lambda _: 0),
        "said known": _best(sent, lambda one: one.said),
        "thought known": _best(sent, lambda one: one.thought),
        "oracle": _oracle(sent),
    }
    kinds = dict.fromkeys(sorted(one.kind for one in sent))
    for kind in ("all", *kinds):
        at = [place for place, one in enumerate(sent) if kind in ("all", one.kind)]
        some = [sent[place] for place in at]
        total = 100 * (sum(one.predicted for one in some) / sum(one.billed for one in some) - 1)
        errors = [[found[column][place] for place in at] if found[column] else [] for column in columns]
        cells = (_median(one) if one else "" for one in errors)
        print(f"  {kind:14}{len(at):6}" + "".join(f"{cell:>15}" for cell in cells) + f"{total:+8.1f}%")


def _median(errors: Iterable[float]) -> str:
    return f"{100 * statistics.median(errors):.1f}%"


def _best(sent: Sequence[Sent], known: Callable[[Sent], int]) -> list[float]:
    """Return the errors of the constant that is best, in hindsight, for what is not known of the output."""
    groups: dict[object, list[int]] = defaultdict(list)
    for place, one in enumerate(sent):
        groups[one.kind, one.seen[:2]].append(place)
    for key in [key for key, places in groups.items() if len(places) < _ALIKE]:
        groups[key[0]] += groups.pop(key)  # type: ignore[index]  # keys are tuples here
    errors = [0.0] * len(sent)
    for places in groups.values():
        some = [sent[place] for place in places]
        rests = sorted({one.said + one.thought - known(one) for one in some})

        def of(rest: int, some: list[Sent] = some) -> list[float]:
            return [one.error(known(one) + rest) for one in some]

        best = of(min(rests, key=lambda rest: statistics.median(of(rest))))
        for place, error in zip(places, best, strict=True):
            errors[place] = error
    return errors


def _oracle(sent: Sequence[Sent]) -> list[float]:
    """Return the errors of a regression that has seen all the other calls; none without scikit-learn."""
    try:
        from sklearn.ensemble import HistGradientBoostingRegressor
        from sklearn.model_selection import KFold
    except ImportError:
        return []
    kinds = sorted({one.kind for one in sent})
    rows = [[kinds.index(one.kind), *one.seen] for one in sent]
    outputs = [math.log(one.said + one.thought + 1) for one in sent]
    errors = [0.0] * len(sent)
    for train, test in KFold(10, shuffle=True, random_state=1).split(rows):
        model = HistGradientBoostingRegressor(
            loss="absolute_error", learning_rate=0.05, max_iter=200, min_samples_leaf=8, random_state=1
        )
        model.fit([rows[place] for place in train], [outputs[place] for place in train])
        for place, output in zip(test, model.predict([rows[place] for place in test]), strict=True):
            errors[place] = sent[place].error(math.exp(output) - 1)
    return errors
