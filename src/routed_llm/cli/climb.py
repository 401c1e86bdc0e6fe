"""How far a rollout with a ladder has come: the bounds over time, for the terminal and the page."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from routed_llm.cli.html import band, table

if TYPE_CHECKING:
    from collections.abc import Sequence

    from routed_llm.replay.entry import LogEntry

__all__ = ["as_rows", "parts", "picture", "sentences"]

HEADS = ("time", "what", "callers routed", "pairs", "scores", "points lost", "dollars above")
_WIDE, _HIGH = 72, 12


def _climbs(entries: Sequence[LogEntry]) -> dict[str, list[LogEntry]]:
    """Return the entries of each ladder."""
    found: dict[str, list[LogEntry]] = {}
    for entry in entries:
        if entry.ladder is not None:
            found.setdefault(str(entry.ladder["name"]), []).append(entry)
    return found


def _numbers(entry: LogEntry) -> dict[str, Any]:
    return entry.ladder or {}


def sentences(entries: Sequence[LogEntry]) -> list[str]:
    """Say of each ladder where it stands."""
    said = []
    for name, climb in _climbs(entries).items():
        last, numbers = climb[-1], _numbers(climb[-1])
        where = f"stopped: {last.why}" if last.why else f"{numbers['share']:.0%} of the callers are routed"
        low, high = numbers["loss"]
        said.append(
            f"The rollout {name!r}: {where}. Points of quality lost, with {numbers['level']:.0%} confidence "
            f"at every moment: {low:.1f} to {high:.1f}; {numbers['margin']:g} may be."
        )
    return said


def as_rows(entries: Sequence[LogEntry]) -> list[tuple[str, ...]]:
    """Return each step, and where it stands last, as the cells of a table."""
    steps = [entry for entry in entries if entry.outcome != "held"]
    steps += [climb[-1] for climb in _climbs(entries).values() if climb[-1].outcome == "held"]
    rows: list[tuple[str, ...]] = []
    for entry in steps:
        numbers = _numbers(entry)
        (low, high), (cheaper, dearer) = numbers["loss"], numbers["excess"]
        scores = numbers["scores"]
        rows.append(
            (
                entry.time[:16].replace("T", " "),
                entry.outcome,
                f"{numbers['share']:.0%}",
                f"{numbers['pairs']:,}",
                f"{scores['routed']:,} and {scores['baseline']:,}",
                f"{low:.1f} to {high:.1f}",
                f"{cheaper:+.6f} to {dearer:+.6f}",
            )
        )
    return rows


def picture(entries: Sequence[LogEntry]) -> str:
    """Return the bounds of the last ladder over time, drawn with characters."""
    climb = list(_climbs(entries).values())[-1]
    margin = float(_numbers(climb[-1])["margin"])
    most, least = 4 * margin, -3 * margin
    columns = [climb[place * len(climb) // min(_WIDE, len(climb))] for place in range(min(_WIDE, len(climb)))]

    def line(value: float) -> int:
        return round((most - min(max(value, least), most)) / (most - least) * (_HIGH - 1))

    cells = [[" "] * len(columns) for _ in range(_HIGH)]
    for at, entry in enumerate(columns):
        low, high = _numbers(entry)["loss"]
        for row in range(line(high), line(low) + 1):
            cells[row][at] = "|"
        cells[line(margin)][at] = "="
    labels = {line(margin): f"{margin:g}", line(0.0): "0", 0: f"{most:g}", _HIGH - 1: f"{least:g}"}
    rows = [f"{labels.get(number, ''):>6} {''.join(row)}" for number, row in enumerate(cells)]
    return "\n".join(["Points lost, the bounds (|) and the margin (=), over time:", *rows])


def parts(entries: Sequence[LogEntry]) -> list[str]:
    """Return the parts of the page."""
    made = ["<h2>The rollout that climbs</h2>"] if entries else []
    for name, climb in _climbs(entries).items():
        marks = [
            (place, "stopped" if entry.why else f"{_numbers(entry)['share']:.0%}")
            for place, entry in enumerate(climb)
            if entry.outcome in ("promoted", "stopped")
        ]
        rows = [
            (entry.time[:16].replace("T", " "), float(low), float(high))
            for entry in climb
            for low, high in [_numbers(entry)["loss"]]
        ]
        margin = float(_numbers(climb[-1])["margin"])
        names = ("points lost, at least and at most", f"may be lost: {margin:g}")
        title = f"Bounds on the quality that the rollout {name} loses"
        made.append(band(rows, limit=margin, marks=marks, names=names, title=title))
    return [*made, table(HEADS, as_rows(entries), numbers=(2, 3, 4, 5, 6))] if entries else []
