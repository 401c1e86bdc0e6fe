"""How the demo shows its cases: one row a case, as they come."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from datetime import date
from decimal import Decimal
from typing import TYPE_CHECKING, Any

from routed_llm.cli.needs import required
from routed_llm.cli.screen import money

if TYPE_CHECKING:
    from rich.console import Console

    from routed_llm.cli.demo.query_engine import EngineOutcome
    from routed_llm.cli.demo.running import Outcome, Pair

__all__ = ["Screen", "data"]

_WIDTHS = (18, 23, 18, 12, 4)
"""Columns of text, which with one between them make 79."""

_HEADS = ("request", "ChatOpenAI gpt-4o", "RoutedChatModel", "billed", "s")

_BRIEF = 140
"""Characters of a provider's message, beyond its first sentence, that are shown."""

NEXT = """\
Next: `routed explain FILE` says which model would serve a request of yours;
      `routed migrate FOLDER` finds what names a model that stops;
      `routed demo --why` says why each of these cases went where it went."""


class Screen:
    """The demo on a terminal of 80 columns."""

    def __init__(self, out: Console, *, why: bool = False) -> None:
        self._out, self._why = out, why
        self._tables = required("rich.table", extra="'routed-llm[cli]'")

    def begin(self, url: str, at: date) -> None:
        """Print what is about to happen and the heads of the columns."""
        self._out.print(f"Simulated OpenAI API of {at} at {url};", soft_wrap=True)
        self._out.print("nothing leaves this machine, and seconds are simulated, too.\n")
        self._row(*_HEADS, style="bold")

    def case(self, pair: Pair) -> None:
        """Print one case."""
        self._row(
            pair.case.title,
            _plain(pair.plain),
            *_routed(pair.routed),
            style=None if pair.as_it_should else "red",
        )
        for text in _reasons(pair) if self._why else ():
            self._out.print(f"  {text}", style="dim")

    def end(self, pairs: Sequence[Pair], engine: EngineOutcome) -> None:
        """Print the LlamaIndex part, the sums and what to do next."""
        self._out.print()
        self._out.print(engine.skipped or f"LlamaIndex, one long document:\n{engine.text.rstrip()}")
        self._out.print()
        for line in _sums(pairs, engine):
            self._out.print(line)
        self._out.print(f"\n{NEXT}", soft_wrap=True)

    def _row(self, *cells: str, style: str | None = None) -> None:
        grid = self._tables.Table.grid(padding=(0, 1, 0, 0))
        for place, width in enumerate(_WIDTHS):
            grid.add_column(width=width, overflow="fold", justify="right" if place > 2 else "left")
        grid.add_row(*cells, style=style)
        self._out.print(grid)


def _routed(outcome: Outcome) -> tuple[str, str, str]:
    if not outcome.answered:
        return outcome.code or "error", "not sent" if outcome.sent == 0 else f"{outcome.sent} sent", ""
    served = Counter(
        f"{record['model']}{'@' + record['effort'] if record['effort'] else ''}" for record in outcome.records
    )
    names = [f"{name}{f' x{times}' if times > 1 else ''}" for name, times in served.items()]
    return "\n".join(names), money(outcome.billed), _seconds(outcome)


def _plain(outcome: Outcome) -> str:
    if outcome.answered:
        return f"{money(outcome.billed)} {_seconds(outcome):>4} s"
    return (outcome.code or "error").partition(" ")[2] or "error"


def _seconds(outcome: Outcome) -> str:
    return f"{outcome.seconds:.1f}" if outcome.seconds < 10 else f"{outcome.seconds:.0f}"


def _reasons(pair: Pair) -> list[str]:
    """Say why each answer came from where it came, or was refused, and what the other column was answered."""
    found = list(dict.fromkeys(record["why"] for record in pair.routed.records))
    if pair.routed.error is not None:
        found.append(_ends(pair.routed.error))
    if pair.plain.error is not None:
        found.append(f"{pair.plain.code}: {_brief(pair.plain.error)}")
    return found


def _brief(text: str) -> str:
    """Keep the first sentences of a provider's message, at least one."""
    kept, *rest = text.split(". ")
    for sentence in rest:
        if len(kept) + len(sentence) > _BRIEF:
            return f"{kept}."
        kept = f"{kept}. {sentence}"
    return kept


def _ends(text: str) -> str:
    """Keep what was wrong and what to do of a message that lists every model in between."""
    first, _, rest = text.partition("; ")
    return f"{first}; ... {rest.rsplit(') ', 1)[-1]}" if ") " in rest else text


def _sums(pairs: Sequence[Pair], engine: EngineOutcome) -> list[str]:
    answered = sum(pair.routed.answered for pair in pairs)
    plainly = sum(pair.plain.answered for pair in pairs)
    refused = sum(pair.routed.refused for pair in pairs) + engine.refused
    both = [pair for pair in pairs if pair.routed.answered and pair.plain.answered]
    lines = [
        f"Answered: RoutedChatModel {answered} of {len(pairs)}, ChatOpenAI {plainly}.",
        f"Refused by the API: RoutedChatModel {refused}, "
        f"ChatOpenAI {sum(pair.plain.refused for pair in pairs)}.",
    ]
    for what, best in (("asked for the cheapest", False), ("asked for the best", True)):
        chosen = [pair for pair in both if _asks_for_the_best(pair) is best]
        if chosen:
            routed, plain = (
                _spent(column) for column in zip(*((p.routed, p.plain) for p in chosen), strict=True)
            )
            lines.append(f"Both answered, {_cases(len(chosen))} that {what}: routed {routed}, plain {plain}.")
    return [*lines, *(f"NOT AS IT SHOULD BE: {pair.case.title}." for pair in pairs if not pair.as_it_should)]


def _asks_for_the_best(pair: Pair) -> bool:
    return pair.case.policy is not None and pair.case.policy.optimize == "quality"


def _cases(number: int) -> str:
    return "1 case" if number == 1 else f"{number} cases"


def _spent(outcomes: Sequence[Outcome]) -> str:
    return f"{money(_dollars(outcomes))} in {sum(outcome.seconds for outcome in outcomes):.0f} s"


def _dollars(outcomes: Iterable[Outcome]) -> Decimal:
    return sum((outcome.billed for outcome in outcomes), Decimal(0))


def data(pairs: Sequence[Pair], engine: EngineOutcome, at: date) -> dict[str, Any]:
    """Return the whole demo as JSON-able data; money is a decimal string of US dollars."""
    return {
        "at": at.isoformat(),
        "cases": [
            {
                "title": pair.case.title,
                "at": (pair.case.at or at).isoformat(),
                "as_it_should": pair.as_it_should,
                "routed": _outcome(pair.routed),
                "plain": _outcome(pair.plain),
            }
            for pair in pairs
        ],
        "llama_index": {
            "skipped": engine.skipped,
            "text": engine.text,
            "refused": engine.refused,
        },
        "refused": {
            "routed": sum(pair.routed.refused for pair in pairs) + engine.refused,
            "plain": sum(pair.plain.refused for pair in pairs),
        },
    }


def _outcome(outcome: Outcome) -> dict[str, Any]:
    return {
        "answered": outcome.answered,
        "served": list(outcome.served),
        "sent": outcome.sent,
        "refused": outcome.refused,
        "estimated": None if outcome.estimated is None else str(outcome.estimated),
        "billed": str(outcome.billed),
        "seconds": round(outcome.seconds, 3),
        "code": outcome.code,
        "error": outcome.error,
        "routing": list(outcome.records),
    }
