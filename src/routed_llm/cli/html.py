"""Pages: one HTML file each, with its style and pictures inside; nothing is asked of any other host."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from decimal import Decimal
from html import escape

from routed_llm.cli.screen import money

__all__ = ["band", "bars", "columns", "document", "table", "tiles"]

_STYLE = """
:root{color-scheme:light dark;--ink:#1b1f24;--dim:#5b6470;--paper:#fff;--line:#d9dee4;--soft:#f4f6f8;
--a:#2a6fdb;--b:#e07b39}
@media(prefers-color-scheme:dark){:root{--ink:#e8ebef;--dim:#9aa4b0;--paper:#14181d;--line:#323a44;
--soft:#1d232a;--a:#6ea8fe;--b:#f0a06a}}
*{box-sizing:border-box}body{margin:0 auto;max-width:72rem;padding:1rem;font:15px/1.5 system-ui,sans-serif;

color:var(--ink);background:var(--paper)}
h1{font-size:1.5rem;margin:.5rem 0}h2{font-size:1.15rem;margin:2rem 0 .5rem}
p{margin:.4rem 0;max-width:48rem}.dim{color:var(--dim)}.wide{overflow-x:auto}
table{border-collapse:collapse;width:100%;font-size:.92rem}th,td{text-align:left;vertical-align:top;
padding:.35rem .6rem;border-bottom:1px solid var(--line);overflow-wrap:break-word}

td:first-child:not(.n),td:last-child:not(.n){overflow-wrap:anywhere;min-width:10rem}.w{white-space:nowrap}th{color:var(--dim);font-weight:600}
td.n,th.n{text-align:right;font-variant-numeric:tabular-nums;overflow-wrap:normal;white-space:nowrap}
code{font:0.9em ui-monospace,monospace;background:var(--soft);padding:.05rem .25rem;border-radius:3px}
.tiles{display:grid;grid-template-columns:repeat(auto-fit,minmax(9rem,1fr));gap:.6rem;margin:1rem 0}
.tile{background:var(--soft);border-radius:8px;padding:.6rem .8rem}.tile b{display:block;font-size:1.35rem}
details{border:1px solid var(--line);border-radius:8px;margin:.5rem 0}
summary{cursor:pointer;padding:.5rem .8rem}
details>.wide{padding:0 .8rem .6rem}svg{max-width:100%;height:auto;display:block}svg text{fill:var(--ink);
font:12px system-ui,sans-serif}.a{fill:var(--a)}.b{fill:var(--b)}.rule{stroke:var(--line)}
.soft{fill:var(--a);opacity:.25}.edge{fill:none;stroke:var(--a);stroke-width:2}
.limit{stroke:var(--b);stroke-width:2;stroke-dasharray:6 4}
@media(max-width:40rem){svg text{font-size:17px}
table.stack thead{display:none}table.stack tr{display:block;padding:.4rem 0;
border-bottom:1px solid var(--line)}table.stack td{display:flex;min-width:0!important;overflow-wrap:anywhere;
gap:.6rem;border:0;
padding:.1rem 0;
text-align:left;white-space:normal}
table.stack td::before{content:attr(data-h);flex:0 0 6.5rem;color:var(--dim)}}
"""


_NAME = re.compile(r"\bgpt-\d[\w.]{0,5}(?:-[a-z]{1,6})?\b")


def document(title: str, parts: Iterable[str]) -> str:
    """Return a whole page."""
    policy = "default-src 'none'; style-src 'unsafe-inline'"
    return (
        '<!doctype html>\n<html lang="en"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width,initial-scale=1">'
        f'<meta http-equiv="Content-Security-Policy" content="{policy}">'
        f'<link rel="icon" href="data:,"><title>{escape(title)}</title><style>{_STYLE}</style></head><body>\n'
        + "\n".join(parts)
        + "\n</body></html>\n"
    )


def table(heads: Sequence[str], rows: Iterable[Sequence[str]], *, numbers: Sequence[int] = ()) -> str:
    """Return a table of escaped texts; on a phone each row becomes a block.

    Args:
        heads: the columns' names.
        rows: the cells.
        numbers: the columns that hold numbers.
    """

    def cell(place: int, text: str) -> str:
        kind = ' class="n"' if place in numbers else ""
        # A long path is broken between its folders and words, a model's name not at its hyphens.
        written = escape(text).replace("/", "/<wbr>").replace("_", "_<wbr>")
        written = _NAME.sub(r'<span class="w">\g<0></span>', written)
        return f'<td{kind} data-h="{escape(heads[place])}"><span>{written}</span></td>'

    head = "".join(
        f"<th{' class=n' if i in numbers else ''}>{escape(name)}</th>" for i, name in enumerate(heads)
    )
    body = "".join("<tr>" + "".join(cell(i, text) for i, text in enumerate(row)) + "</tr>\n" for row in rows)
    whole = f'<table class="stack"><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>'
    return f'<div class="wide">{whole}</div>'


def tiles(pairs: Iterable[tuple[str, str]]) -> str:
    """Return figures with a line below each."""
    made = "".join(f'<div class="tile"><b>{escape(figure)}</b>{escape(text)}</div>' for figure, text in pairs)
    return f'<div class="tiles">{made}</div>'


def bars(rows: Sequence[tuple[str, float, str]], *, title: str) -> str:
    """Return horizontal bars: a label, a length and what stands at its end."""
    most = max((value for _, value, _ in rows), default=0) or 1
    height = 26 * len(rows) + 4
    made = []
    for place, (label, value, end) in enumerate(rows):
        top = 26 * place
        width = max(value / most * 280, 1 if value else 0)
        made.append(
            f'<text x="0" y="{top + 17}">{escape(_short(label))}</text>'
            f'<rect class="a" x="210" y="{top + 5}" width="{width:.1f}" height="16" rx="3"/>'
            f'<text x="{216 + width:.1f}" y="{top + 17}">{escape(end)}</text>'
        )
    return _picture(620, height, title, "".join(made))


def columns(
    days: Sequence[str],
    first: Sequence[Decimal],
    second: Sequence[Decimal],
    *,
    names: tuple[str, str],
    title: str,
) -> str:
    """Return two columns for each day, such as dollars of the baseline and of routing."""
    most = max([*first, *second, Decimal(0)]) or Decimal(1)
    step = 560 / max(len(days), 1)
    wide = min(step * 0.36, 40)
    made = ['<line class="rule" x1="30" x2="610" y1="180" y2="180"/>']
    if most in (*first, *second):  # how much the tallest is
        made.append(
            '<line class="rule" x1="30" x2="610" y1="30" y2="30"/>'
            f'<text x="610" y="26" text-anchor="end">{money(most)}</text>'
        )
    for place, day in enumerate(days):
        left = 40 + place * step
        for shift, value, kind in ((0.0, first[place], "a"), (wide + 2, second[place], "b")):
            tall = float(value / most) * 150
            made.append(
                f'<rect class="{kind}" x="{left + shift:.1f}" y="{180 - tall:.1f}" width="{wide:.1f}" '
                f'height="{tall:.1f}" rx="2"><title>{escape(day)}: ${value:.6f}</title></rect>'
            )
        if place % max(len(days) // 8, 1) == 0:
            made.append(f'<text x="{left:.1f}" y="197">{escape(day[5:])}</text>')
    made.append(
        '<rect class="a" x="40" y="6" width="12" height="12"/>'
        f'<text x="58" y="16">{escape(names[0])}</text>'
        '<rect class="b" x="240" y="6" width="12" height="12"/>'
        f'<text x="258" y="16">{escape(names[1])}</text>'
    )
    return _picture(620, 204, title, "".join(made))


def band(
    rows: Sequence[tuple[str, float, float]],
    *,
    limit: float,
    marks: Sequence[tuple[int, str]],
    names: tuple[str, str],
    title: str,
) -> str:
    """Return a band between two bounds over time, and a line that it must not pass.

    Args:
        rows: a label, the lower and the upper bound of each moment.
        limit: where the line is.
        marks: places among the rows, and what happened there.
        names: of the band and of the line.
        title: what is shown.
    """
    # Bounds begin far out: what is beyond four times the limit is cut off.
    least, most = (
        max(min(low for _, low, _ in rows), -3 * limit),
        min(max(high for *_, high in rows), 4 * limit),
    )
    least, most = min(least, 0.0), max(most, 1.25 * limit)

    def x(place: int) -> float:
        return 52 + place * 558 / max(len(rows) - 1, 1)

    def y(value: float) -> float:
        return 44 + (most - min(max(value, least), most)) / (most - least) * 140

    upper = [f"{x(i):.1f},{y(high):.1f}" for i, (_, _, high) in enumerate(rows)]
    lower = [f"{x(i):.1f},{y(low):.1f}" for i, (_, low, _) in enumerate(rows)]
    made = [
        f'<polygon class="soft" points="{" ".join([*upper, *reversed(lower)])}"/>',
        *(f'<polyline class="edge" points="{" ".join(points)}"/>' for points in (upper, lower)),
        f'<line class="rule" x1="52" x2="610" y1="{y(0):.1f}" y2="{y(0):.1f}"/>',
        f'<line class="limit" x1="52" x2="610" y1="{y(limit):.1f}" y2="{y(limit):.1f}"/>',
    ]
    made.extend(
        f'<text x="46" y="{y(value) + 4:.1f}" text-anchor="end">{value:.3g}</text>'
        for value in dict.fromkeys((most, limit, 0.0, least))
    )
    for at, (place, text) in enumerate(marks):
        made.append(f'<line class="rule" x1="{x(place):.1f}" x2="{x(place):.1f}" y1="44" y2="184"/>')
        # Of steps that follow one another closely the last is named.
        if at + 1 == len(marks) or x(marks[at + 1][0]) - x(place) > 60:
            anchor = "end" if x(place) > 580 else "middle"
            made.append(f'<text x="{x(place):.1f}" y="40" text-anchor="{anchor}">{escape(text)}</text>')
    for place in sorted({0, len(rows) - 1}):
        anchor = "start" if place == 0 else "end"
        made.append(
            f'<text x="{x(place):.1f}" y="202" text-anchor="{anchor}">{escape(rows[place][0])}</text>'
        )
    made.append(
        f'<rect class="a" x="52" y="4" width="12" height="12"/><text x="70" y="15">{escape(names[0])}</text>'
        '<line class="limit" x1="400" x2="420" y1="10" y2="10"/>'
        f'<text x="426" y="15">{escape(names[1])}</text>'
    )
    return _picture(620, 210, title, "".join(made))


def _picture(width: int, height: int, title: str, inside: str) -> str:
    return (
        f'<svg viewBox="0 0 {width} {height}" width="{width}" role="img" aria-label="{escape(title)}">'
        f"<title>{escape(title)}</title>{inside}</svg>"
    )


def _short(text: str) -> str:
    return text if len(text) <= 30 else text[:29] + "…"
