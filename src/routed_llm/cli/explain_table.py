"""How `routed explain` shows a Decision."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from decimal import Decimal
from typing import TYPE_CHECKING, Any

from routed_llm.cli.needs import required
from routed_llm.cli.screen import ENDPOINTS, money
from routed_llm.decide.outcome import OWN

if TYPE_CHECKING:
    from rich.console import Console

    from routed_llm.decision import Candidate, Decision, Reason

__all__ = ["show"]


def show(out: Console, decision: Decision, *, every: bool) -> None:
    """Print a decision and its candidates.

    Args:
        out: the console.
        decision: what was decided.
        every: name every measure, and list every configuration instead of the best of each model.
    """
    out.print(_summary(decision, every=every))
    out.print()
    out.print(_table(decision.candidates if every else _best(decision.candidates), every=every))


def _summary(decision: Decision, *, every: bool) -> Any:
    grid = required("rich.table", extra="'routed-llm[cli]'").Table.grid(padding=(0, 2, 0, 0))
    grid.add_column(no_wrap=True, style="dim")
    grid.add_column(overflow="fold")
    for name, lines in _lines(decision, every=every):
        for line in lines:
            grid.add_row(name, line)
            name = ""
    return grid


def _lines(decision: Decision, *, every: bool) -> Iterable[tuple[str, list[str]]]:
    chosen, call = decision.chosen, decision.call
    if chosen is None or call is None:
        yield "chosen", ["nothing fits"]
    else:
        endpoint = ENDPOINTS[chosen.endpoint]
        yield "chosen", [f"{chosen.name} on {endpoint}, expected to cost {money(chosen.dollars)}"]
        sent = {"model": call.model, "effort": call.effort, "output cap": call.cap, "at": call.base_url}
        parts = [f"{name} {value}" for name, value in sent.items() if value is not None]
        yield "call", [", ".join([*parts, *sorted(call.parameters)])]
    spread = decision.cost_range
    if spread is not None:
        shares = {"p50": "half of such calls cost at most", "p90": "nine of ten", "p95": "nineteen of twenty"}
        parts = [f"{shares[share]} {money(dollars)}" for share, dollars in spread.items()]
        worst = [] if decision.worst_cost is None else [f"at worst {money(decision.worst_cost)}"]
        yield "range", [", ".join([*parts, *worst])]
    replacement = decision.replacement
    if replacement is not None:
        yield "provider", [_replacement(replacement)]
    yield "why", [decision.why]
    yield "request", [_request(decision)]
    yield "changes", [change.text for change in decision.changes]
    yield "evidence", list(_evidence(decision, every=every))
    yield "estimates", list(decision.facts.estimates)
    yield "day", [f"{decision.at}, catalog {decision.catalog_version}" if every else str(decision.at)]


_VERDICTS = {
    "above": "above",
    "tie": "level with",
    "same model": "the same model as",
    "counterpart": "the provider's counterpart of",
    "below": "below",
    "mixed": "above by one measure and below by another",
    "unknown": "unknown against",
    "proven": "not worse than",
    "refuted": "worse than",
    "open": "not shown to be as good as",
}
"""How a verdict is said of a baseline."""


def _evidence(decision: Decision, *, every: bool) -> Iterable[str]:
    """Give a line for each verdict, with its dimensions; with every measure, a line for each dimension."""
    against = decision.baseline or "the baseline"
    verdicts: dict[str, list[str]] = {}
    for item in decision.evidence:
        name = item.dimension.replace("_", " ")
        if item.dimension == OWN:
            yield f"{_VERDICTS[item.verdict]} {against} {item.measures[0]}"
            continue
        if every:
            measures = f" ({', '.join(item.measures)})" if item.measures else ""
            yield f"{name}: {_VERDICTS[item.verdict.partition(' (')[0]]} {against}{measures}"
        verdict, bracket, how = item.verdict.partition(" (")
        verdicts.setdefault(verdict, []).append(f"{name}{bracket}{how}")
    if not every:
        yield from (
            f"{_VERDICTS[verdict]} {against} on {', '.join(names)}" for verdict, names in verdicts.items()
        )
    if decision.without_evidence:
        names = ", ".join(name.replace("_", " ") for name in decision.without_evidence)
        yield f"nothing is published on {names}"


def _replacement(named: Mapping[str, Any]) -> str:
    """Say what the provider names in the baseline's place, what it would cost and why it is not chosen."""
    name = named["model"] if named["effort"] is None else f"{named['model']}@{named['effort']}"
    cost = "" if named["cost"] is None else f", expected to cost {money(Decimal(named['cost']))}"
    why = "" if named["why_not"] is None else f"; {named['why_not']}"
    return f"names {name} in place of the baseline{cost}{why}"


def _request(decision: Decision) -> str:
    facts = decision.facts
    counted = facts.tokens
    about = "" if counted.low == counted.high else "about "
    parts = [f"{about}{counted.likely:,} text tokens"]
    for number, one, many in (
        (len(facts.images), "image", "images"),
        (facts.pdf_pages, "PDF page", "PDF pages"),
        (facts.unknown_files, "file of unknown size", "files of unknown size"),
        (facts.tools, "tool", "tools"),
    ):
        if number:
            parts.append(f"{number} {one if number == 1 else many}")
    if facts.audio_seconds:
        parts.append(f"{facts.audio_seconds:.1f} s of audio")
    if facts.structured:
        parts.append(facts.structured.replace("_", " "))
    return ", ".join(parts)


def _best(candidates: Iterable[Candidate]) -> tuple[Candidate, ...]:
    found: dict[str, Candidate] = {}
    for candidate in candidates:
        found.setdefault(candidate.model, candidate)
    return tuple(found.values())


def _reason(candidate: Candidate, reason: Reason, *, every: bool) -> str:
    """Say why a configuration was not chosen, without what its row says: its cost, its name."""
    if reason.code == "dearer":
        return str(reason.data["times"])
    name = f"{candidate.model} at {candidate.effort}" if candidate.effort else candidate.model
    text = reason.text.removeprefix(f"{name} ").removeprefix(f"{candidate.model} ")
    measures = f" ({reason.data.get('measures')})"
    return text if every else text.removesuffix(measures)


def _table(candidates: Iterable[Candidate], *, every: bool) -> Any:
    table = required("rich.table", extra="'routed-llm[cli]'").Table(
        box=None, pad_edge=False, padding=(0, 2, 0, 0), header_style="bold"
    )
    table.add_column("candidate", no_wrap=True)
    table.add_column("endpoint", no_wrap=True)
    table.add_column("expected", justify="right", no_wrap=True)
    table.add_column("why not")
    for candidate in candidates:
        reasons = [_reason(candidate, reason, every=every) for reason in candidate.reasons]
        more = f" (and {len(reasons) - 1} more)" if len(reasons) > 1 else ""
        table.add_row(
            candidate.name,
            ENDPOINTS[candidate.endpoint],
            money(candidate.dollars) if candidate.cost is not None else "-",
            f"{reasons[0]}{more}" if reasons else "chosen",
            style="bold green" if not reasons else None,
        )
    return table
