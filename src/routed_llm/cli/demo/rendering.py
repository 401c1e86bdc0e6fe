"""How the demo shows its cases: three columns, one row a case, as they come."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from datetime import date
from decimal import Decimal
from typing import TYPE_CHECKING, Any

from routed_llm.cli.needs import required
from routed_llm.cli.screen import ENDPOINTS, WIDTH, money
from routed_llm.pricing import DEFAULT_OUTPUT_TOKENS

if TYPE_CHECKING:
    from rich.console import Console

    from routed_llm.cli.demo.query_engine import EngineOutcome
    from routed_llm.cli.demo.running import Outcome, Pair

__all__ = ["Screen", "data"]

_WIDTHS = (2, 19, 45, 28)
"""Columns of text, which with two between them make 100."""

_BRIEF = 140
"""Characters of a provider's message, beyond its first sentence, that are shown."""


class Screen:
    """The demo on a terminal of 100 columns."""

    def __init__(self, out: Console) -> None:
        self._out = out
        self._tables = required("rich.table", extra="'routed-llm[cli]'")
        number, request, routed, plain = _WIDTHS
        lacking = min(max(WIDTH - out.width, 0), 40)
        less_routed, less_plain = lacking * 9 // 20, lacking * 7 // 20
        request -= lacking - less_routed - less_plain
        self._widths = (number, request, routed - less_routed, plain - less_plain)

    def begin(self, url: str, at: date) -> None:
        """Print what is about to happen and the heads of the columns."""
        self._out.print(f"Simulated OpenAI API of {at} at {url}; nothing leaves this machine.\n")
        routed, plain = 'RoutedChatModel(model="gpt-4o")', 'ChatOpenAI(model="gpt-4o")'
        self._row([""], ["request"], [routed], [plain], style="bold")
        self._out.rule(style="dim")

    def case(self, number: int, pair: Pair) -> None:
        """Print one case."""
        style = None if pair.as_it_should else "red"
        cells = [f"{number:>2}"], [pair.case.title], _routed(pair.routed), _plain(pair.plain)
        self._row(*cells, style=style)
        self._out.print()

    def end(self, pairs: Sequence[Pair], engine: EngineOutcome) -> None:
        """Print the LlamaIndex part and the sums."""
        if engine.skipped is None:
            self._out.print("LlamaIndex: a query engine over one long document", style="bold")
        self._out.print(engine.skipped or engine.text.rstrip())
        self._out.rule(style="dim")
        for line in _sums(pairs, engine):
            self._out.print(line)

    def _row(self, *cells: Iterable[str], style: str | None = None) -> None:
        grid = self._tables.Table.grid(padding=(0, 2, 0, 0))
        for width in self._widths:
            grid.add_column(width=width, overflow="fold")
        grid.add_row(*("\n".join(lines) for lines in cells), style=style)
        self._out.print(grid)


def _routed(outcome: Outcome) -> list[str]:
    if not outcome.answered:
        sent = "before anything was sent" if outcome.sent == 0 else f"after {outcome.sent} requests"
        return [f"{outcome.code}, {sent}", _ends(outcome.error or "")]
    served = Counter(
        f"{record['served']}{'@' + record['effort'] if record['effort'] else ''} "
        f"on {ENDPOINTS[record['endpoint']]}"
        for record in outcome.records
    )
    names = [f"{name}{f' x{times}' if times > 1 else ''}" for name, times in served.items()]
    dollars = f"estimated {money(outcome.estimated)}, billed {money(outcome.billed)}"
    return [*names, dollars, *dict.fromkeys(record["why"] for record in outcome.records)]


def _plain(outcome: Outcome) -> list[str]:
    if outcome.answered:
        return [_count("answered", len(outcome.served)), f"billed {money(outcome.billed)}"]
    return [outcome.code or "error", _brief(outcome.error or "")]


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


def _count(word: str, times: int) -> str:
    return word if times == 1 else f"{word} x{times}"


def _sums(pairs: Sequence[Pair], engine: EngineOutcome) -> list[str]:
    both = [pair for pair in pairs if pair.routed.answered and pair.plain.answered]
    routed, plain = _dollars(pair.routed for pair in both), _dollars(pair.plain for pair in both)
    answered = sum(pair.routed.answered for pair in pairs)
    plainly = sum(pair.plain.answered for pair in pairs)
    refused = sum(pair.routed.refused for pair in pairs) + engine.refused
    lines = [
        f"Requests that the simulator refused: routed {refused}, "
        f"plain {sum(pair.plain.refused for pair in pairs)}.",
        f"Cases answered: routed {answered} of {len(pairs)}, plain {plainly}.",
        f"Billed for the {len(both)} that both answered: routed {money(routed)}, plain {money(plain)}; "
        f"for all of routed {money(_dollars(pair.routed for pair in pairs))}.",
        f"An estimate expects what gpt-4o writes on average ({DEFAULT_OUTPUT_TOKENS} tokens) "
        "unless the call sets a cap.",
    ]
    return [*lines, *(f"NOT AS IT SHOULD BE: {pair.case.title}." for pair in pairs if not pair.as_it_should)]


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
        "code": outcome.code,
        "error": outcome.error,
        "routing": list(outcome.records),
    }
