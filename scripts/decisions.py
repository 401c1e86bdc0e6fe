"""Write ``docs/decisions.md``: everyday calls on six days, what is chosen, and what an expert would choose.

Run ``python scripts/decisions.py`` to write the page, ``--check`` to compare it, ``--refused`` to list what
the expert would not sign. The expectations stand in ``scripts/data/expected_decisions*.toml``, three sheets,
and were written before the router was asked; where the two differ for good, ``[[differs]]`` there says why.
"""

from __future__ import annotations

import sys
import tomllib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from datetime import date
from itertools import groupby
from pathlib import Path
from typing import Any

from routed_llm import Catalog, Decision, Policy, select
from routed_llm.budget import PICO
from routed_llm.errors import RoutedError
from routed_llm.facts import ImageFacts, RequestFacts, TokenCount
from routed_llm.pricing import expected_output
from routed_llm.request.builder import RequestBuilder

__all__ = ["Row", "facts_of", "main", "page", "rows", "signed"]

ROOT = Path(__file__).parent.parent
SHEETS = {
    "First sheet": Path(__file__).parent / "data" / "expected_decisions.toml",
    "Second sheet": Path(__file__).parent / "data" / "expected_decisions_again.toml",
    "Third sheet": Path(__file__).parent / "data" / "expected_decisions_third.toml",
}
PAGE = ROOT / "docs" / "decisions.md"
NOTHING = "none"
TOOL = {
    "type": "function",
    "function": {"name": "look_up", "parameters": {"type": "object", "properties": {}}},
}
SCHEMA = {
    "type": "json_schema",
    "json_schema": {"name": "fields", "strict": True, "schema": {"type": "object", "properties": {}}},
}


@dataclass(frozen=True, kw_only=True)
class Row:
    """One call on one day."""

    sheet: str
    call: str
    at: date
    choice: str
    dollars: str
    seconds: str
    why: str
    expected: tuple[str, ...]
    reason: str
    differs: str | None
    convinces: bool
    measured: str | None

    @property
    def is_signed(self) -> bool:
        """Whether the expert would sign."""
        return self.choice in self.expected


def facts_of(call: Mapping[str, Any]) -> RequestFacts:
    """Make the facts of a described call."""
    builder = RequestBuilder()
    builder.message("user")
    builder.text("Hello")
    builder.emulates("stop")
    for name, value in call.get("send", {}).items():
        builder.set(name, value)
    if call.get("tools"):
        builder.tools([TOOL] * call["tools"])
    if call.get("schema"):
        builder.set("response_format", SCHEMA)
    builder.set("stream", call.get("stream"))
    facts = builder.build().facts
    kinds = {"text"}
    kinds |= {"image"} if "images" in call else set()
    kinds |= {"pdf"} if "pdf_pages" in call else set()
    kinds |= {"audio"} if "audio_seconds" in call else set()
    return replace(
        facts,
        tokens=TokenCount.of(call["tokens"]),
        images=tuple(ImageFacts(width, height) for width, height in call.get("images", ())),
        pdf_pages=call.get("pdf_pages", 0),
        audio_seconds=call.get("audio_seconds", 0.0),
        inputs=frozenset(kinds),
    )


def rows() -> Iterator[Row]:
    """Ask the router about every call of all sheets on every day."""
    for sheet, path in SHEETS.items():
        yield from _rows_of(sheet, tomllib.loads(path.read_text(encoding="utf-8")))


def _rows_of(sheet: str, table: Mapping[str, Any]) -> Iterator[Row]:
    differs = {
        (call, day): row for row in table.get("differs", ()) for call in row["calls"] for day in row["dates"]
    }
    catalog = Catalog.load()
    for call in table["calls"]:
        answer = table["answers"][call["answer"]] if "answer" in call else call
        # TOML has no None: at_least = "none" is no floor at all.
        wanted = {name: None if value == NOTHING else value for name, value in call.get("policy", {}).items()}
        facts, policy = facts_of(call), Policy(**wanted)
        expected: list[str] = []
        reason = ""
        for at, names, why in zip(table["dates"], answer["sets"], answer["why"], strict=True):
            expected = expected if names == "=" else names
            reason = reason if why == "=" else why
            decision = _decide(facts, policy, catalog, at)
            choice, dollars, seconds, said = _shown(decision)
            other = differs.get((call["id"], at), {})
            yield Row(
                sheet=sheet,
                call=call["id"],
                at=at,
                choice=choice,
                dollars=dollars,
                seconds=seconds,
                why=said,
                expected=tuple(expected),
                reason=reason,
                differs=other.get("why"),
                convinces=other.get("convinces", False),
                measured=_by_measure(decision, choice, tuple(expected), table["measured"], catalog)
                if other.get("by_cost")
                else None,
            )


def _decide(facts: RequestFacts, policy: Policy, catalog: Catalog, at: date) -> Decision | str:
    try:
        return select(facts, policy=policy, catalog=catalog, at=at)
    except RoutedError as error:
        return str(error)


def _shown(decision: Decision | str) -> tuple[str, str, str, str]:
    if isinstance(decision, str):
        return NOTHING, "", "", decision
    if decision.chosen is None:
        return NOTHING, "", "", decision.why
    dollars = "" if decision.dollars is None else f"{decision.dollars:.6f}".rstrip("0")
    seconds = decision.seconds
    took = "" if seconds is None else f"{seconds.first:.1f} / {seconds.whole:.1f}"
    return decision.chosen.name, dollars, took, decision.why


def _by_measure(
    decision: Decision | str,
    choice: str,
    expected: tuple[str, ...],
    measured: Mapping[str, Any],
    catalog: Catalog,
) -> str | None:
    """Say what the choice costs by other figures than the router's, if less than all that was expected."""
    known = measured["tokens"]
    if isinstance(decision, str) or choice in expected or not {choice, *expected} <= known.keys():
        return None
    facts, tier = decision.facts, decision.facts.service_tier
    words = expected_output(facts, None if decision.policy is None else decision.policy.output_tokens)
    if words < expected_output(facts, None, capped=False):
        return None  # what is cut by a cap is not as long as it was measured
    found = {}
    for candidate in decision.candidates:
        if candidate.name in (choice, *expected):
            model = catalog.get(candidate.model)
            price = model.price(decision.at, tier=tier, input_tokens=candidate.input_tokens)
            said, thought = known[candidate.name]
            written = (words * said / measured["reference"] + thought) * facts.choices
            if price is not None:
                found[candidate.name] = (candidate.input_tokens * price.input + written * price.output) / PICO
    others = [found[name] for name in expected if name in found]
    if len(others) < len(expected) or found[choice] >= min(others):
        return None
    return f"by {measured['source']} it costs ${found[choice]:.4f}, and what was expected ${min(others):.4f}"


def signed(found: list[Row]) -> float:
    """Return the share of decisions that the expert would sign."""
    return sum(row.is_signed for row in found) / len(found)


def page(found: list[Row]) -> str:
    """Write the page."""
    calls, days = len({row.call for row in found}), len({row.at for row in found})
    lines = [
        "# Decisions",
        "",
        f"{calls} everyday calls on {days} days, before any call was observed: what is chosen, what",
        "it is expected to cost and how long to take (seconds to the first token / to the end, medians), and",
        "beside it what an expert would choose and why. The expert's side was written down first; who wrote",
        "a later sheet had read those before it, and what was chosen there. Written by",
        "`python scripts/decisions.py`; a test compares it.",
        "",
        *_summary(found),
    ]
    for sheet in SHEETS:
        mine = [row for row in found if row.sheet == sheet]
        lines += ["", f"## {sheet}: {_signed(mine)}", ""]
        lines.append("| call | days | chosen | $ | seconds | an expert would choose | because |")
        lines.append("| --- | --- | --- | --- | --- | --- | --- |")
        for call, group in groupby(mine, key=lambda row: row.call):
            name = call
            for _, same in groupby(group, key=lambda row: (row.choice, row.expected, row.differs)):
                lines.append(_line(name, list(same)))
                name = ""
    return "\n".join(lines) + "\n"


def _signed(found: list[Row]) -> str:
    count, right = sum(row.is_signed for row in found), sum(row.is_signed or row.convinces for row in found)
    return f"{count} of {len(found)} signed at first sight, {right} with the reason given"


def _summary(found: list[Row]) -> list[str]:
    count, total = sum(row.is_signed for row in found), len(found)
    measured = sum(row.is_signed or row.measured is not None for row in found)
    right = sum(row.is_signed or row.convinces for row in found)
    return [
        f"**{count} of {total} ({100 * count / total:.1f} %) signed at first sight; {measured} "
        f"({100 * measured / total:.1f} %) once what was expected is held against other measurements; "
        f"{right} ({100 * right / total:.1f} %) with the reason given.**",
        "What is not signed at first sight is marked, with the reason why it is right nevertheless, or what",
        "is wrong with it. The other measurements are how much configurations said to the same questions",
        "(petergpt/bullshit-benchmark), of which the router goes by what was thought, not by what was said:",
        "where nothing but cost was said against a choice, and they, too, say that it costs less than all",
        "that was expected, both sums are given.",
    ]


def _line(name: str, same: list[Row]) -> str:
    first, last = same[0], same[-1]
    days = f"{first.at}" if first is last else f"{first.at} to {last.at}"
    because = first.reason
    if not first.is_signed:
        because += f". **Not at first sight:** {first.differs or 'not explained'}"
        because += f"; {first.measured}" if first.measured else ""
    cells = (
        name,
        days,
        first.choice,
        first.dollars,
        first.seconds,
        ", ".join(first.expected),
        because,
    )
    return f"| {' | '.join(cells)} |"


def main(arguments: list[str] | None = None) -> int:
    """Write, compare or list; the exit status is 1 where the page is out of date."""
    arguments = sys.argv[1:] if arguments is None else arguments
    found = list(rows())
    right = sum(row.is_signed or row.convinces for row in found) / len(found)
    measured = sum(row.is_signed or row.measured is not None for row in found) / len(found)
    share = (
        f"{100 * signed(found):.1f} % signed at first sight, {100 * measured:.1f} % by other measurements, "
    )
    share += f"{100 * right:.1f} % with the reason"
    if "--refused" in arguments:
        for row in found:
            if not row.is_signed and not row.convinces:
                wanted = ", ".join(row.expected)
                print(f"{row.at} {row.call}: {row.choice} {row.dollars} {row.seconds}, wanted {wanted}")
                print(f"    {row.why[:300]}")
        print(share)
        return 0
    text = page(found)
    if "--check" in arguments:
        return 0 if PAGE.read_text(encoding="utf-8") == text else 1
    PAGE.write_text(text, encoding="utf-8")
    print(share)
    return 0


if __name__ == "__main__":
    sys.exit(main())
