"""The report on a decision log as one HTML page."""

from __future__ import annotations

from html import escape
from pathlib import PurePath
from typing import TYPE_CHECKING

from routed_llm.cli.climb import parts as parts_of_climb
from routed_llm.cli.html import bars, columns, document, table, tiles
from routed_llm.cli.report import HEADS, MEANING, rows, shown_tags, sureness
from routed_llm.cli.screen import money

if TYPE_CHECKING:
    from collections.abc import Mapping

    from routed_llm.replay import Group, Summary

__all__ = ["page"]

_NUMBERS = tuple(range(1, len(HEADS)))

DAYS = 60
"""Days that are shown: the last ones."""


def page(summary: Summary, log: str) -> str:
    """Return the page."""
    total = summary.total
    modes = ", ".join(f"{number:,} in mode {mode}" for mode, number in summary.modes.most_common())
    saving = "–" if total.saving is None else f"{total.saving:.0%}"
    parts = [
        f"<h1>Routing report: {escape(PurePath(log).name)}</h1>",
        *_picture(summary),
        tiles(
            [
                (f"{total.calls:,}", "calls"),
                (saving, "saving"),
                (money(total.billed), "billed"),
                (money(total.baseline) if total.compared else "–", "with the baseline"),
                (money(total.routed) if total.compared else "–", "with routing"),
                (_or_dash(total.evidence, "{:.0%}"), "of areas measured"),
                (_or_dash(total.wait(0.5), "{:.2f} s"), "to half of the answers"),
                (_or_dash(total.wait(0.95), "{:.2f} s"), "to 95% of the answers"),
                (f"{total.avoided:,}", "refusals avoided"),
                (f"{total.failed:,}", "calls failed"),
                *(
                    [(money(summary.seconds.billed), "sampled second calls")]
                    if summary.seconds.number
                    else []
                ),
            ]
        ),
        f'<p class="dim">{total.calls:,} calls: {escape(modes)}. Where one of the two did not answer, its '
        "dollars are worked out from the tokens of the one that did.</p>",
        *(f"<p>{escape(sentence)}</p>" for sentence in sureness(summary)),
        *parts_of_climb(summary.climb),
        *_groups("By day", "day", dict(list(summary.days.items())[-DAYS:])),
        *_groups("By tag", "tag", shown_tags(summary)),
        *_models(summary),
        *_groups("The model that answered", "model", summary.answered),
        *_groups("Who answered", "arm", summary.arms),
        f'<p class="dim">{escape(MEANING)}</p>',
        *_changes(summary),
        *_troubles(summary),
    ]
    return document("Routing report", parts)


def _or_dash(value: float | None, form: str) -> str:
    return "–" if value is None else form.format(value)


def _picture(summary: Summary) -> list[str]:
    """Draw what each day cost beside what it would have with the baseline."""
    days = list(summary.days.items())[-DAYS:]
    if not summary.total.compared:
        return []
    return [
        columns(
            [day for day, _ in days],
            [group.baseline for _, group in days],
            # Where there is no baseline any more, what was paid.
            [group.routed if group.compared else group.billed for _, group in days],
            names=("baseline, US dollars", "routing, US dollars"),
            title="US dollars by day, with the baseline and with routing",
        )
    ]


def _models(summary: Summary) -> list[str]:
    chosen = sorted(summary.chosen.items(), key=lambda item: -item[1].calls)
    if not chosen:
        return []
    chart = bars(
        [(name, float(group.calls), f"{group.calls:,} calls") for name, group in chosen],
        title="Calls by the model that routing chose",
    )
    return ["<h2>What routing chose</h2>", chart, *_table("model", dict(chosen))]


def _groups(title: str, head: str, groups: Mapping[str, Group]) -> list[str]:
    return [f"<h2>{escape(title)}</h2>", *_table(head, groups)] if groups else []


def _table(head: str, groups: Mapping[str, Group]) -> list[str]:
    return [table((head, *HEADS[1:]), rows(groups), numbers=_NUMBERS)]


def _changes(summary: Summary) -> list[str]:
    if not summary.changes:
        return []
    cells = [(name, action, f"{number:,}") for (name, action), number in summary.changes.most_common()]
    return [
        "<h2>What routing sends differently</h2>",
        table(("parameter", "change", "calls"), cells, numbers=(2,)),
    ]


def _troubles(summary: Summary) -> list[str]:
    cells = [
        (f"the baseline would refuse: {name}", f"{number:,}")
        for name, number in summary.refusals.most_common()
    ]
    for text, number in (
        ("nothing routed can serve it", summary.total.unserved),
        ("the call failed", summary.total.failed),
        ("its cost is not known", summary.total.unpriced),
        ("the line is not an entry", summary.broken),
    ):
        if number:
            cells.append((text, f"{number:,}"))
    return ["<h2>What stood in the way</h2>", table(("what", "calls"), cells, numbers=(1,))] if cells else []
