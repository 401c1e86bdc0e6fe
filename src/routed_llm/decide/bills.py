"""Bills: what the rows of a shape cost, by their published figures, ready for one multiplication. Pure."""

from __future__ import annotations

from bisect import bisect_right
from typing import TYPE_CHECKING, Any, NamedTuple

from routed_llm.decide.track import remember
from routed_llm.decide.weigh import input_cost, most_input, output_tokens, price_of

if TYPE_CHECKING:
    from collections.abc import Iterator

    from routed_llm.decide.scene import Scene
    from routed_llm.decide.shape import Row
    from routed_llm.decide.weigh import Load

__all__ = ["Bill", "bills"]


class Bill(NamedTuple):
    """What rows of one model cost that differ in their output only, where no cache has a say.

    Attributes:
        model: the model's id.
        rows: the rows, in their order.
        most: the most input tokens that leave room for the output.
        steps: up to which number of input tokens, then a fixed part, the rate of an input and that of an
            output token, in ascending order; None when no price is known there.
    """

    model: str
    rows: tuple[Row, ...]
    most: int
    steps: tuple[tuple[int, tuple[int, int, int] | None], ...]

    def cost(self, tokens: int, output: int) -> int | None:
        """Picodollars of so many input and output tokens, no more of the input than fit."""
        rates = self.steps[-1][1]
        for upper, found in self.steps:
            if tokens <= upper:
                rates = found
                break
        if rates is None:
            return None
        total = rates[0] + rates[1] * tokens + rates[2] * output
        surcharge = self.rows[0].surcharge
        return total * (100 + surcharge) // 100 if surcharge else total

    def affords(self, tokens: int, outputs: tuple[int, ...], most: int | None) -> int:
        """Say how many of the outputs, in ascending order, cost no more than a limit."""
        if most is None:
            return len(outputs)

        def over(output: int) -> bool:
            cost = self.cost(tokens, output)
            return cost is None or cost > most

        return bisect_right(outputs, False, key=over) if over(outputs[-1]) else len(outputs)


def bills(scene: Scene) -> Iterator[tuple[Bill, tuple[int, ...]]]:
    """Give each bill with the output tokens that are expected of its rows, in ascending order."""
    notes, load = scene.shape.notes, scene.load
    key: tuple[Any, ...] = ("bills", load.visible, load.reserve)
    made: tuple[Bill, ...] | None = notes.get(key)
    if made is None:
        published = load._replace(plain=True, shared=None, outputs=None, media=None)
        made = tuple(_bills(scene.shape.rows, published))
        remember(notes, key, made)
    key = ("outputs", load.visible, load.reserve, load.expected, load.thought, load.choices)
    outputs: tuple[tuple[int, ...], ...] | None = notes.get(key)
    if outputs is None:
        published = load._replace(outputs=None)
        outputs = tuple(tuple(sorted([output_tokens(row, published) for row in bill.rows])) for bill in made)
        remember(notes, key, outputs)
    return zip(made, outputs, strict=True)


def _bills(rows: tuple[Row, ...], load: Load) -> Iterator[Bill]:
    alike: dict[Any, list[Row]] = {}
    for row in rows:
        most = most_input(row, load)
        alike.setdefault((row.at.model.id, most, row.surcharge, tuple(_steps(row, load, most))), []).append(
            row
        )
    for (model, most, _, steps), mine in alike.items():
        yield Bill(model, tuple(mine), most, steps)


def _steps(row: Row, load: Load, most: int) -> Iterator[tuple[int, tuple[int, int, int] | None]]:
    lower = 0
    for upper in sorted({row.write_from - 1, row.above, most}):
        if not lower <= upper <= most:
            continue
        price = price_of(row, upper)
        if price is None:
            yield upper, None
        else:
            first, last = (input_cost(price, row, load, tokens, 0) for tokens in (lower, upper))
            rate = (last - first) // (upper - lower) if upper > lower else 0
            yield upper, (first - rate * lower, rate, price.output)
        lower = upper + 1
