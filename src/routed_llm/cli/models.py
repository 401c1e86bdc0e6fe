"""`routed models`: the catalog as a table."""

from __future__ import annotations

import argparse
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from typing import TYPE_CHECKING, Any

from routed_llm.budget import PICO
from routed_llm.catalog import Catalog
from routed_llm.cli.needs import required
from routed_llm.cli.screen import ENDPOINTS, WIDTH, console, effort_range, print_json, tokens
from routed_llm.policy import EFFORTS

if TYPE_CHECKING:
    from rich.console import Console

    from routed_llm.catalog.model import Model, Price

__all__ = ["run"]

STALE = timedelta(days=45)
"""Facts last compared with their source longer ago than this are pointed out."""

SOON = timedelta(days=60)
"""A shutdown at most this far away is pointed out."""


@dataclass(frozen=True, slots=True, kw_only=True)
class _Row:
    """One model as the table shows it.

    Attributes:
        status: ``alive``, ``closing`` (shut down within 60 days), ``retired`` or ``unreleased``.
        price: the standard row of that day for short requests, or None.
        long: the row for long ones where it differs, or None.
        verified: the oldest day on which one of the facts shown was compared with its source.
    """

    model: Model
    status: str
    price: Price | None
    long: Price | None
    verified: date | None


def run(asked: argparse.Namespace) -> int:
    """Print the models."""
    at = asked.at or datetime.now(UTC).date()
    rows = [_row(model, at) for model in Catalog.load()]
    shown = [row for row in rows if asked.all or row.status in ("alive", "closing")]
    shown.sort(key=lambda row: (row.model.lifecycle.released or date.min, row.model.id), reverse=True)
    if asked.json:
        print_json([_data(row, at) for row in shown])
        return 0
    out = console()
    out.print(_table(shown, out.width))
    _notes(out, shown, len(rows) - len(shown), at)
    return 0


def _row(model: Model, at: date) -> _Row:
    price = model.price(at)
    above = max((row.above for row in model.prices if row.tier == "standard" and row.since <= at), default=0)
    long = model.price(at, input_tokens=above + 1) if above else None
    life = model.lifecycle
    if life.released is not None and at < life.released:
        status = "unreleased"
    elif not model.alive(at):
        status = "retired"
    else:
        status = "closing" if life.shutdown is not None and life.shutdown - at <= SOON else "alive"
    days = (model.limits.verified, life.verified, price.verified if price is not None else None)
    return _Row(
        model=model,
        status=status,
        price=price,
        long=long if long is not price else None,
        verified=min((day for day in days if day is not None), default=None),
    )


def _table(rows: Iterable[_Row], width: int) -> Any:
    shown = [column for column in _COLUMNS if width >= WIDTH or column not in _DROPPED]
    table = required("rich.table", extra="'routed-llm[cli]'").Table(
        box=None, pad_edge=False, padding=(0, 1, 0, 0), header_style="bold"
    )
    for name in shown:
        table.add_column(name, justify="right" if name in _NUMBERS else "left", no_wrap=True)
    for row in rows:
        cells = _cells(row)
        style = {"closing": "yellow", "retired": "dim", "unreleased": "dim"}.get(row.status)
        table.add_row(*(cells[name] for name in shown), style=style)
    return table


def _cells(row: _Row) -> dict[str, str]:
    limits = row.model.limits
    efforts = {effort for offered in row.model.efforts.values() for effort in offered}
    return {
        "model": row.model.id,
        "status": _status(row),
        "window": tokens(limits.context_window),
        "input": tokens(limits.max_input),
        "output": tokens(limits.max_output),
        "$ in": _rate(row, "input"),
        "$ out": _rate(row, "output"),
        "efforts": effort_range(efforts),
        "endpoints": "+".join(short for name, short in _SHORT.items() if name in row.model.endpoints),
    }


_COLUMNS = ("model", "status", "window", "input", "output", "$ in", "$ out", "efforts", "endpoints")
_DROPPED = ("window", "efforts", "endpoints")
"""Columns for which a narrow terminal has no room."""

_NUMBERS = ("window", "input", "output", "$ in", "$ out")
_SHORT = {"chat_completions": "chat", "responses": "resp", "realtime": "live"}


def _status(row: _Row) -> str:
    life = row.model.lifecycle
    if row.status == "unreleased":
        return f"from {life.released}"
    if row.status == "retired":
        return f"gone {life.shutdown}"
    if life.shutdown is None:
        return "served"
    return f"{'!' if row.status == 'closing' else ''}ends {life.shutdown}"


def _rate(row: _Row, key: str) -> str:
    if row.price is None:
        return "?"
    short = _per_million(getattr(row.price, key))
    return f"{short}+" if row.long is not None else f"{short} "


def _per_million(pico: int) -> str:
    dollars = Decimal(pico) * 1_000_000 / PICO
    return f"{dollars:.2f}" if dollars == round(dollars, 2) else f"{dollars.normalize():f}"


def _notes(out: Console, rows: list[_Row], hidden: int, at: date) -> None:
    out.print()
    out.print(
        f"{len(rows)} models on {at}; the most tokens in and out; dollars per million, + dearer when long."
    )
    if out.width < WIDTH:
        out.print(f"A terminal of {WIDTH} columns also shows {', '.join(_DROPPED)}.")
    if hidden:
        out.print(f"{hidden} retired or unreleased ones are left out; --all lists them.")
    closing = [row.model.lifecycle for row in rows if row.status == "closing"]
    for day in sorted({life.shutdown for life in closing if life.shutdown is not None}):
        names = (
            f"{row.model.id} (the provider names {row.model.lifecycle.replacement or 'nothing'})"
            for row in rows
            if row.model.lifecycle.shutdown == day
        )
        out.print(f"! Shut down on {day}: {', '.join(names)}.", style="yellow")
    stale = [row for row in rows if _stale(row, at)]
    if stale:
        oldest = min(row.verified for row in stale if row.verified is not None)
        out.print(
            f"! {len(stale)} models have limits, dates or prices last compared with their source more than "
            f"{STALE.days} days before {at} (the oldest on {oldest}; --json has each).",
            style="yellow",
        )


def _stale(row: _Row, at: date) -> bool:
    return row.verified is not None and at - row.verified > STALE


def _data(row: _Row, at: date) -> dict[str, Any]:
    model, life, limits = row.model, row.model.lifecycle, row.model.limits
    efforts = {effort for offered in model.efforts.values() for effort in offered}
    return {
        "id": model.id,
        "status": row.status,
        "released": _iso(life.released),
        "shutdown": _iso(life.shutdown),
        "replacement": life.replacement,
        "pool": model.pool,
        "context_window": limits.context_window,
        "max_input": limits.max_input,
        "max_output": limits.max_output,
        "inputs": sorted(model.inputs),
        "outputs": sorted(model.outputs),
        "price": None if row.price is None else _prices(row.price),
        "long_price": None if row.long is None else {"above": row.long.above, **_prices(row.long)},
        "efforts": [effort for effort in EFFORTS if effort in efforts],
        "default_effort": model.default_effort,
        "endpoints": [name for name in ENDPOINTS if name in model.endpoints],
        "verified": _iso(row.verified),
        "stale": _stale(row, at),
        "unverified": list(model.unverified),
    }


def _prices(price: Price) -> dict[str, str | None]:
    """Give a row's rates in US dollars per million tokens."""
    keys = ("input", "cached_input", "cache_write", "output", "audio_input", "audio_output")
    found = {key: getattr(price, key) for key in keys}
    return {key: None if value is None else _per_million(value) for key, value in found.items()}


def _iso(day: date | None) -> str | None:
    return None if day is None else day.isoformat()
