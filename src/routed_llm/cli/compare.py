"""`routed compare`: the user's own examples through the baseline and others, with a verdict on each."""

from __future__ import annotations

import argparse
import os
import signal
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from decimal import Decimal
from pathlib import Path
from typing import TYPE_CHECKING, Any

from routed_llm.cli.errors import CommandError
from routed_llm.cli.needs import required
from routed_llm.cli.screen import console, money, print_json

if TYPE_CHECKING:
    from routed_llm.evaluate import Comparison, Forecast, Verdict

__all__ = ["arguments", "run"]


def arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the command's arguments."""
    add = parser.add_argument
    add(
        "examples",
        metavar="EXAMPLES",
        help="JSONL in OpenAI's formats, LangSmith's export, CSV, or a shadow's log",
    )
    add(
        "configurations",
        metavar="CONFIGURATION",
        nargs="+",
        help="a model with an effort or without, such as gpt-6-luna@low, or a policy's TOML file",
    )
    add("--baseline", default="gpt-4o", metavar="MODEL", help="what must be matched (default: gpt-4o)")
    add(
        "--judge",
        required=True,
        metavar="JUDGE",
        help="exact, regex[:PATTERN], json, schema[:FILE], tool, similarity, MODULE:FUNCTION or "
        "model:CONFIGURATION",
    )
    add(
        "--margin", required=True, type=float, metavar="POINTS", help="hundredths of a score that may be lost"
    )
    whom = parser.add_mutually_exclusive_group()
    whom.add_argument("--tag", metavar="NAME=VALUE", help="the calls that the examples stand for")
    whom.add_argument("--by", metavar="NAME", help="compare by the values of a tag that the examples have")
    add("--task", metavar="TASK", help="the task that the examples stand for")
    add("--write", metavar="FILE", help="append the verdicts to a file for Policy(measures=...)")
    add("--store", metavar="FILE", help="where answers are kept (default: EXAMPLES.answers)")
    add("--keep-days", type=int, default=90, metavar="DAYS", help="how long; 0 for good (default: 90)")
    add(
        "--keep-baseline",
        metavar="FILE",
        help="write the examples with the baseline's answers, for when it is gone",
    )
    add("--budget", type=Decimal, metavar="DOLLARS", help="what all calls in the store may cost")
    add("--concurrency", type=int, default=8, metavar="CALLS", help="calls under way at a time (default: 8)")
    add("--rubric", metavar="FILE", help="what makes an answer better, for a judge model")
    add("--judges-itself", action="store_true", help="let a judge model judge its own answers")
    add("--yes", action="store_true", help="do not ask before money is spent")
    add("--json", action="store_true", help="print JSON for programs")


def run(asked: argparse.Namespace) -> int:
    """Compare and print.

    Raises:
        CommandError: when something is not installed, or money would be spent that nobody agreed to.
    """
    for module in ("scipy", "httpx", "rich.progress"):
        required(module, extra="'routed-llm[compare]'")
    from routed_llm.evaluate import evaluate, read_examples

    examples = read_examples(asked.examples)
    rubric = None if asked.rubric is None else Path(asked.rubric).read_text(encoding="utf-8")
    with _progress() as (begin, progress), _stopping() as started:

        def confirm(forecast: Forecast) -> bool:
            agreed = _agreed(forecast, asked)
            begin(forecast.calls + forecast.kept)
            return agreed

        found = evaluate(
            examples,
            asked.configurations,
            judge=asked.judge,
            margin=asked.margin,
            store=asked.store or f"{asked.examples}.answers",
            baseline=asked.baseline,
            by=asked.by,
            tag=asked.tag,
            task=asked.task,
            rubric=rubric,
            judges_itself=asked.judges_itself,
            budget=asked.budget,
            concurrency=asked.concurrency,
            keep_days=asked.keep_days,
            at=asked.at,
            confirm=confirm,
            progress=progress,
            started=started,
        )
    if found is None:
        return 0
    if asked.keep_baseline:
        _keep(found, Path(asked.keep_baseline))
    rows = [one.measured for one in found.verdicts if one.measured is not None]
    if asked.write and found.complete:
        from routed_llm.measures import write_measure

        for row in rows:
            write_measure(Path(asked.write), row)
    if asked.json:
        print_json(_as_json(found))
    else:
        _show(found, asked.write if rows and found.complete else None)
    return 0 if found.complete else 1


def _agreed(forecast: Forecast, asked: argparse.Namespace) -> bool:
    said = (
        f"{forecast.calls:,} calls to make, {forecast.kept:,} answers kept: about {money(forecast.dollars)}, "
        f"{money(forecast.most)} at most."
    )
    print(said, file=sys.stderr)
    for why, number in forecast.refused.items():
        print(f"{number:,} cannot be made: {why}", file=sys.stderr)
    if asked.yes or not forecast.calls:
        return True
    if not sys.stdin.isatty():
        raise CommandError(f"{said} Nothing was sent. Add --yes to agree to that.")
    print("Go on? [y/N] ", end="", file=sys.stderr, flush=True)
    return input().strip().lower() in ("y", "yes")


@contextmanager
def _progress() -> Iterator[tuple[Callable[[int], object], Callable[[int], object]]]:
    """Give what begins the bar and what moves it on. The bar stands on stderr."""
    from rich.console import Console
    from rich.progress import Progress

    with Progress(console=Console(stderr=True), transient=True) as bar:
        task = bar.add_task("answers", visible=False)
        yield (
            lambda total: bar.update(task, total=total, visible=True),
            lambda more: bar.advance(task, more),
        )


@contextmanager
def _stopping() -> Iterator[Callable[[Any], object]]:
    """Let SIGINT and SIGTERM end the run once the calls under way have been answered and kept."""
    askers: list[Any] = []

    def stop(*_: Any) -> None:
        for asker in askers:
            asker.stopped.set()
        signal.signal(signal.SIGINT, signal.default_int_handler)  # a second one ends it at once

    before = {kind: signal.signal(kind, stop) for kind in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield askers.append
    finally:
        for kind, handler in before.items():
            signal.signal(kind, handler)


def _keep(found: Comparison, path: Path) -> None:
    """Write the examples with the baseline's answers for its owner alone."""
    import json
    from dataclasses import replace

    with os.fdopen(
        os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w", encoding="utf-8"
    ) as file:
        for example in found.examples:
            kept = {name: one for name, one in example.answers.items() if name == found.baseline}
            file.write(json.dumps(replace(example, answers=kept).to_dict(), ensure_ascii=False) + "\n")


def _as_json(found: Comparison) -> dict[str, Any]:
    def dollars(amount: Decimal | None) -> str | None:
        return None if amount is None else f"{amount:f}"

    return {
        "version": 1,
        "baseline": found.baseline,
        "judge": found.judge,
        "margin": found.margin,
        "trust": None if found.trust is None else found.trust.sentence,
        "spent": dollars(found.spent),
        "failed": dict(found.failed),
        "verdicts": [
            {
                "configuration": one.name,
                "group": one.group,
                **one.paired._asdict(),
                "score": one.score,
                "cost": [dollars(cost) for cost in one.cost],
                "left_out": one.left_out,
            }
            for one in found.verdicts
        ],
    }


HEADS = ("", "n", "score", "difference", "verdict", "an answer costs")


def _show(found: Comparison, written: str | None) -> None:
    from rich.table import Table

    screen = console()
    groups = {one.group for one in found.verdicts}
    whom = f" on {next(iter(groups))}" if len(groups) == 1 and None not in groups else ""
    title = f"Against {found.baseline}{whom}, judged by {found.judge}"
    table = Table(box=None, pad_edge=False, title=title)
    table.title_justify = "left"
    for place, head in enumerate(HEADS):
        table.add_column(head, justify="left" if place in (0, 4) else "right", no_wrap=place not in (0, 4))
    for one in found.verdicts:
        name, *cells = _cells(one)
        table.add_row(name if len(groups) == 1 else f"{name}, {one.group}", *cells)
    screen.print(table)
    several = len(found.verdicts) > 1
    level = max(one.paired.level for one in found.verdicts)
    screen.print(
        f"Differences are points, hundredths of a score; the margin is {found.margin:g}. Intervals are of "
        f"{level:.2%} confidence" + (", Holm's correction for several tries included." if several else ".")
    )
    for one in found.verdicts:
        if one.left_out:
            screen.print(
                f"{one.left_out:,} examples of {one.name} were left out: one of the two gave no answer."
            )
    if found.trust is not None:
        screen.print(found.trust.sentence)
    for why, number in found.failed.items():
        screen.print(f"{number:,} calls failed: {why}")
    if found.failed:
        screen.print("Run the command again for those that failed: what was answered is kept.")
    screen.print(f"All calls so far cost {money(found.spent)}.")
    if written:
        screen.print(f"Written to {written}: Policy(measures={written!r}) uses it.")


def _cells(one: Verdict) -> tuple[str, ...]:
    paired = one.paired
    verdict = {"proven": "as good", "refuted": "worse"}.get(paired.verdict, "open")
    if paired.verdict == "open" and paired.missing:
        verdict = f"open: about {paired.missing:,} more examples"
    return (
        one.name,
        f"{paired.n:,}",
        "-" if one.score is None else f"{100 * one.score[1]:.1f}\n({100 * one.score[0]:.1f})",
        f"{100 * paired.difference:+.1f} [{100 * paired.low:.1f}, {100 * paired.high:.1f}]",
        verdict,
        f"{money(one.cost[1])}\n({money(one.cost[0])})",
    )
