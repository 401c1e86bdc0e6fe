"""Write what the README shows, from real runs: the picture of a decision, the table of what a program meets.

Usage: python scripts/shown.py (some 20 s). Tests fail where either is no longer what a run gives.
"""

from __future__ import annotations

import json
import re
import subprocess
import sys
from collections.abc import Mapping, Sequence
from decimal import Decimal
from html import escape
from pathlib import Path
from textwrap import shorten
from typing import Any

from routed_llm.cli.screen import money

ROOT = Path(__file__).parent.parent
README = ROOT / "README.md"
PICTURE = ROOT / "docs" / "decision.svg"
LONG = ROOT / "examples" / "long_request.py"
ROUTED = Path(sys.executable).parent / "routed"
DAY = "2026-11-22"
TOKENS = 200_000

MET = (
    "a short question",
    "200K tokens in",
    "a voice clip",
    "gpt-5.5 named for the call, temperature 0.2",
    "the short question, 2027-01-15",
)
"""The cases of `routed demo` that the table shows."""

_TABLE = re.compile(r"(?<=<!-- the table: scripts/shown\.py -->\n).*?(?=\n\n)", re.DOTALL)


def table(demo: Mapping[str, Any]) -> str:
    """Return the README's table, from what `routed demo --json` printed."""
    cases = {case["title"]: case for case in demo["cases"]}
    rows = ["| call | `ChatOpenAI` gpt-4o | `RoutedChatModel` |", "| --- | --- | --- |"]
    for title in MET:
        plain, routed = cases[title]["plain"], cases[title]["routed"]
        rows.append(f"| {title} | {_outcome(plain)} | {_outcome(routed)} |")
    return "\n".join(rows)


def _outcome(found: Mapping[str, Any]) -> str:
    if not found["answered"]:
        return f"`{found['code']}`"
    names = dict.fromkeys(record["model"] for record in found["routing"])
    return ", ".join([*names, money(Decimal(found["billed"]))])


def shown_table(readme: str) -> str:
    """Return the table as the README shows it."""
    found = _TABLE.search(readme)
    if found is None:
        raise SystemExit("README.md has no table. Put `<!-- the table: scripts/shown.py -->` above it.")
    return found[0]


def decision() -> dict[str, Any]:
    """Return what `routed explain --json` says of a long prompt, on a day on which gpt-4o is still served."""
    body = subprocess.run([sys.executable, LONG, str(TOKENS)], capture_output=True, check=True).stdout
    asked: list[str | Path] = [ROUTED, "explain", "-", "--exact", "--json", "--at", DAY]
    made: dict[str, Any] = json.loads(
        subprocess.run(asked, input=body, capture_output=True, check=True).stdout
    )
    return made


def picture(made: Mapping[str, Any]) -> str:
    """Draw what a decision weighed: each model's best configuration, its cost, or why it cannot serve."""
    best: dict[str, Mapping[str, Any]] = {}
    for one in made["candidates"]:
        best.setdefault(one["model"], one)
    able = [one for one in best.values() if {reason["code"] for reason in one["reasons"]} <= {"dearer"}]
    unable = [one for one in best.values() if one not in able]
    most = max(Decimal(one["cost"]) for one in able)
    rows = [_bar(92 + 24 * place, one, most) for place, one in enumerate(able)]
    rows += [_struck(92 + 24 * (len(able) + place), one) for place, one in enumerate(unable)]
    height = 92 + 24 * len(rows) + 16
    title = f"A prompt of {made['input_tokens']:,} tokens, written for {made['baseline']}, on {made['at']}"
    measured, unknown = len(made["evidence"]), len(made["without_evidence"])
    chosen = f"{made['model']} serves it: the cheapest of {len(able)} models that can"
    areas = f"{measured} of {measured + unknown} areas"
    quality = f"by published measures at least as good as {made['baseline']} on {areas}"
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 800 {height}" width="800" height="{height}" '
        f'role="img" aria-label="{escape(title)}: {escape(chosen)}">\n'
        "<style>text{font:13px ui-monospace,Menlo,Consolas,monospace;fill:#1b1f24}"
        ".t{font-size:15px;font-weight:600}.d{fill:#5b6470}</style>\n"
        f'<rect width="800" height="{height}" rx="10" fill="#fff" stroke="#d9dee4"/>\n'
        f'<text class="t" x="20" y="32">{escape(title)}</text>\n'
        f'<text x="20" y="56">{escape(chosen)},</text>\n<text x="20" y="76">{escape(quality)}</text>\n'
        f"{''.join(rows)}</svg>\n"
    )


def _name(one: Mapping[str, Any], between: str = "@") -> str:
    return f"{one['model']}{between}{one['effort']}" if one["effort"] else str(one["model"])


def _bar(top: int, one: Mapping[str, Any], most: Decimal) -> str:
    width = max(Decimal(one["cost"]) / most * 400, Decimal(2))
    chosen = not one["reasons"]
    look = ' font-weight="700"' if chosen else ""
    colour = "#1f883d" if chosen else "#2a6fdb"
    said = f"{money(Decimal(one['cost']))}{' chosen' if chosen else ''}"
    return (
        f'<text x="20" y="{top + 14}"{look}>{escape(_name(one))}</text>'
        f'<rect x="210" y="{top + 2}" width="{width:.1f}" height="16" rx="3" fill="{colour}"/>'
        f'<text x="{218 + width:.1f}" y="{top + 14}"{look}>{escape(said)}</text>\n'
    )


def _struck(top: int, one: Mapping[str, Any]) -> str:
    text = one["reasons"][0]["text"].removeprefix(f"{_name(one, ' at ')} ").removeprefix(f"{one['model']} ")
    text = shorten(text.partition(" (")[0].partition(";")[0], 74, placeholder=" ...")
    return (
        f'<text class="d" x="20" y="{top + 14}" text-decoration="line-through">{escape(_name(one))}</text>'
        f'<text class="d" x="210" y="{top + 14}">{escape(text)}</text>\n'
    )


def main(words: Sequence[str]) -> None:
    """Write both."""
    if words:
        raise SystemExit(__doc__)
    PICTURE.write_text(picture(decision()), encoding="utf-8")
    demo = json.loads(subprocess.run([ROUTED, "demo", "--json"], capture_output=True, check=True).stdout)
    text = README.read_text(encoding="utf-8")
    README.write_text(text.replace(shown_table(text), table(demo)), encoding="utf-8")


if __name__ == "__main__":
    main(sys.argv[1:])
