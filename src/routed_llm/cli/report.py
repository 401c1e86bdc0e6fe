"""`routed report`: what a decision log says."""

from __future__ import annotations

import argparse
from collections.abc import Iterable, Mapping, Sequence
from decimal import Decimal
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from rich.console import Console

    from routed_llm.replay import Group, Summary
    from routed_llm.replay.entry import LogEntry

__all__ = ["arguments", "run"]


def arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the command's arguments."""
    parser.add_argument(
        "log", metavar="LOG", help="a decision log, as Router(log=...) or ROUTED_LOG writes it"
    )
    parser.add_argument(
        "--observed",
        metavar="LOG",
        action="append",
        default=[],
        help="another log whose answers say what routed models write: an earlier sample's, a rollout's",
    )
    parser.add_argument("--html", metavar="FILE", help="also write the report as one HTML file with charts")
    parser.add_argument("--json", action="store_true", help="print JSON for programs")


def run(asked: argparse.Namespace) -> int:
    """Read the log and print what it says.

    Raises:
        RequestError: when the log cannot be read.
        CommandError: when it has no entries, the page cannot be written, or rich is not installed.
    """
    from routed_llm.cli.errors import CommandError
    from routed_llm.cli.screen import print_json, working
    from routed_llm.replay import summarize

    with working(f"Reading {asked.log}"):
        summary = summarize(asked.log, asked.observed)
    if not summary.total.calls and not summary.climb:
        raise CommandError(f"{asked.log} has no entries. Make calls with ROUTED_LOG={asked.log} set.")
    if asked.html:
        from routed_llm.cli.report_page import page

        try:
            Path(asked.html).write_text(page(summary, asked.log), encoding="utf-8")
        except OSError as error:
            raise CommandError(f"{asked.html}: {error.strerror or error}. Name a file to write.") from error
    if asked.json:
        print_json(as_json(summary))
    else:
        _show(summary)
    return 0


def as_json(summary: Summary) -> dict[str, Any]:
    """Return a summary as JSON-able data."""
    interval, seconds = summary.interval, summary.seconds
    return {
        "version": 1,
        "total": figures(summary.total),
        "routed": {
            "low": None if interval is None else dollars(interval.low),
            "high": None if interval is None else dollars(interval.high),
            "confidence": None if interval is None else interval.confidence,
            "calls": {
                "paired": summary.estimate.paired,
                "unpaired": summary.estimate.unpaired,
                "carried": summary.estimate.carried,
                "published": summary.estimate.published,
            },
            "answers": summary.estimate.answers,
        },
        "seconds": {
            "answered": seconds.answered,
            "failed": dict(seconds.failed),
            "skipped": dict(seconds.skipped),
            "billed": dollars(seconds.billed),
        },
        "modes": dict(summary.modes),
        "days": {name: figures(group) for name, group in summary.days.items()},
        "tags": {name: figures(group) for name, group in summary.tags.items()},
        "arms": {name: figures(group) for name, group in summary.arms.items()},
        "answered": {name: figures(group) for name, group in summary.answered.items()},
        "chosen": {name: figures(group) for name, group in summary.chosen.items()},
        "changes": [[*change, number] for change, number in summary.changes.most_common()],
        "refusals": dict(summary.refusals),
        "replacements": {
            name: {
                "calls": one.calls,
                "cost": dollars(one.cost),
                "routed": dollars(one.routed),
                "why_not": dict(one.why_not),
            }
            for name, one in summary.replaced.items()
        },
        "rollout": [
            {"time": entry.time, "outcome": entry.outcome, "why": entry.why, **(entry.ladder or {})}
            for entry in summary.climb
        ],
        "broken": summary.broken,
    }


def dollars(amount: Decimal) -> str:
    """Write an amount for programs: a decimal string, to the picodollar."""
    return f"{amount.quantize(Decimal('1e-12')).normalize():f}"


def figures(group: Group) -> dict[str, Any]:
    """Return a group's figures; money is a decimal string of US dollars."""
    return {
        "calls": group.calls,
        "failed": group.failed,
        "billed": dollars(group.billed),
        "baseline": dollars(group.baseline),
        "routed": dollars(group.routed),
        "compared": group.compared,
        "unpriced": group.unpriced,
        "avoided": group.avoided,
        "unserved": group.unserved,
        "measured_areas": group.measured,
        "areas": group.areas,
        "saving": None if group.saving is None else f"{group.saving:.4f}",
        "p50": group.wait(0.5),
        "p95": group.wait(0.95),
    }


HEADS = (
    "", "calls", "failed", "avoided", "measured", "p50", "p95", "billed", "baseline", "routed", "saving",
)  # fmt: skip
"""The columns of every table of groups."""

MEANING = (
    "avoided: calls that the baseline would refuse and routing serves. measured: the part of the areas "
    "that calls touch on which what routing chose has a published measure, and is nowhere below the "
    "baseline. p50, p95: seconds to the first token of a stream, or to the whole answer. billed: what was "
    "paid. baseline, routed and saving: what each costs, or would, for the calls whose cost is known with "
    "both, so without those avoided."
)
"""What the columns are."""


def rows(groups: Mapping[str, Group] | Iterable[tuple[str, Group]]) -> list[tuple[str, ...]]:
    """Return groups as the cells of a table."""
    from routed_llm.cli.screen import money

    pairs = groups.items() if isinstance(groups, Mapping) else groups
    return [
        (
            name,
            f"{group.calls:,}",
            f"{group.failed:,}",
            f"{group.avoided:,}",
            "-" if group.evidence is None else f"{group.evidence:.0%}",
            _seconds(group.wait(0.5)),
            _seconds(group.wait(0.95)),
            money(group.billed),
            money(group.baseline) if group.compared else "-",
            money(group.routed) if group.compared else "-",
            "-" if group.saving is None else f"{group.saving:.0%}",
        )
        for name, group in pairs
    ]


def _seconds(wait: float | None) -> str:
    return "-" if wait is None else f"{wait:.2f}" if wait < 1 else f"{wait:.1f}"


TAGS = 20
"""Values that the tables show of each tag: those with the most calls."""


def shown_tags(summary: Summary) -> dict[str, Group]:
    """Return the groups of tags that are shown."""
    kept: dict[str, Group] = {}
    counted: dict[str, int] = {}
    for name, group in sorted(summary.tags.items(), key=lambda item: (item[0].split("=")[0], -item[1].calls)):
        tag = name.split("=")[0]
        counted[tag] = counted.get(tag, 0) + 1
        if counted[tag] <= TAGS:
            kept[name] = group
    return kept


def sureness(summary: Summary) -> list[str]:
    """Say how the dollars of routing were worked out, and what the sample cost, in sentences."""
    from routed_llm.cli.climb import sentences
    from routed_llm.cli.screen import money

    said = []
    interval = summary.interval
    if interval is not None:
        span = f"{money(interval.low)} to {money(interval.high)}"
        certain = "with 95% confidence"
        if interval.confidence is None:
            certain = "by the range of published ratios"
            certain += (
                " and, where there is a sample, with 95% confidence" if summary.estimate.answers else ""
            )
        said.append(f"With routing: {money(summary.total.routed)}; {span} {certain}.")
    if summary.estimate.how:
        said.append(summary.estimate.how)
    if interval is not None and not summary.estimate.answers:
        said.append("ROUTED_SAMPLE=0.05 sends a part of the calls twice, and shows it.")
    seconds = summary.seconds
    if seconds.number:
        left = [f"{number} failed ({why})" for why, number in seconds.failed.most_common()]
        left += [f"{number} not made ({why})" for why, number in seconds.skipped.most_common()]
        more = "".join(f", {item}" for item in left)
        said.append(
            f"Sampled second calls: {seconds.answered:,} answered for {money(seconds.billed)}, "
            f"which is not in the figures above or below{more}."
        )
    return said + replacements(summary) + sentences(summary.climb)


def replacements(summary: Summary) -> list[str]:
    """Say what the provider's replacement of the baseline was expected to cost, and why it is not used."""
    from routed_llm.cli.screen import money

    said = []
    for name, one in summary.replaced.items():
        why = "".join(f" Not chosen: {why} ({number:,})." for why, number in one.why_not.most_common(2))
        said.append(
            f"{name}, which the provider names in the baseline's place, was expected to cost "
            f"{money(one.cost)} where routing's choice was expected to cost {money(one.routed)} "
            f"({_calls(one.calls)}).{why}"
        )
    return said


def _show(summary: Summary) -> None:
    from routed_llm.cli.screen import console, table

    screen = console()
    modes = ", ".join(f"{number} in mode {mode}" for mode, number in summary.modes.most_common())
    screen.print(f"{_calls(summary.total.calls)}: {modes}.")
    for sentence in sureness(summary):
        screen.print(sentence)
    for title, groups in (
        ("In all", {"": summary.total}),
        ("Who answered", summary.arms),
        ("The model that answered", summary.answered),
        ("What routing chose", summary.chosen),
        ("By day", summary.days),
        ("By tag", shown_tags(summary)),
    ):
        if groups:
            screen.print(f"\n{title}")
            for line in table(HEADS, rows(groups), labels=1, width=screen.width):
                screen.print(line, soft_wrap=True)
    screen.print(f"\n{MEANING}")
    _show_climb(screen, summary.climb)
    screen.print()
    for (parameter, action), number in summary.changes.most_common():
        screen.print(f"{parameter} {action}: {_calls(number)}")
    for reason, number in summary.refusals.most_common():
        screen.print(f"The baseline would refuse {_calls(number)}: {reason}")
    if summary.total.failed:
        screen.print(f"{_calls(summary.total.failed)} failed.")
    if summary.broken:
        screen.print(f"{summary.broken} lines are not entries and were left out.")


def _calls(number: int) -> str:
    return f"{number:,} call{'' if number == 1 else 's'}"


def _show_climb(screen: Console, entries: Sequence[LogEntry]) -> None:
    if not entries:
        return
    from rich.table import Table

    from routed_llm.cli.climb import HEADS, as_rows, picture

    table = Table(title="The rollout", title_justify="left", box=None, pad_edge=False)
    for head in HEADS:
        table.add_column(head)
    for row in as_rows(entries):
        table.add_row(*row)
    screen.print()
    screen.print(table)
    screen.print()
    screen.print(picture(entries))
