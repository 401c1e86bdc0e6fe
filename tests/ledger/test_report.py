"""What `routed spend` sums and prints."""

from __future__ import annotations

import argparse
import json
from datetime import timedelta
from pathlib import Path

import pytest
from ledger_support import CENT, NOON, entry, held

from routed_llm import Ledger, PolicyError, Usage, open_ledger
from routed_llm.cli import spend
from routed_llm.cli.errors import CommandError
from routed_llm.ledger.report import spending


def fill(ledger: Ledger) -> None:
    """Write five entries of two teams, two models and two days."""
    for n, (team, model, days, cents) in enumerate(
        (
            ("search", "gpt-4o", 0, 10),
            ("search", "gpt-5.4", 0, 20),
            ("ads", "gpt-4o", 1, 5),
            ("ads", "gpt-4o", 1, 7),
        )
    ):
        used = Usage(input_tokens=100 * cents, cached_tokens=10, output_tokens=cents)
        line = entry(str(n), cents, NOON + timedelta(days=days), model=model, tags={"team": team}, usage=used)
        ledger.settle(held(ledger.reserve(str(n), 0, (), at=NOON)), line)
    unknown = entry("u", 0, model="mine", cost=None, tags={})
    ledger.settle(held(ledger.reserve("u", 0, (), at=NOON)), unknown)


@pytest.mark.parametrize(
    ("by", "rows"),
    [
        (["model"], [(("gpt-4o",), 3, "0.22"), (("gpt-5.4",), 1, "0.2"), (("mine",), 1, "0")]),
        (["team"], [(("search",), 2, "0.3"), (("ads",), 2, "0.12"), (("-",), 1, "0")]),
        (["day"], [(("2026-11-22",), 3, "0.3"), (("2026-11-23",), 2, "0.12")]),
        (
            ["scope", "month"],
            [
                (("team=search", "2026-11"), 2, "0.3"),
                (("team=ads", "2026-11"), 2, "0.12"),
                (("-", "2026-11"), 1, "0"),
            ],
        ),
    ],
    ids=["model", "a tag", "day", "scope and month"],
)
def test_groups(ledger: Ledger, by: list[str], rows: list[tuple[tuple[str, ...], int, str]]) -> None:
    """Entries are summed by what is asked for, the most expensive first; what is unknown is counted apart."""
    fill(ledger)
    found, total = spending(ledger.entries(), by=by)
    assert [(row.group, row.calls, row.to_dict(by)["cost"]) for row in found] == rows
    assert (total.calls, total.unknown, total.to_dict(by)["cost"]) == (5, 1, "0.42")
    assert (total.input_tokens, total.cached_tokens, total.output_tokens) == (4_200, 40, 42)


def test_failed_requests() -> None:
    """A failed request is counted apart, with what it cost, and its estimate makes no expectation wrong."""
    lines = [
        entry("a", 10, estimated=9 * CENT),
        entry("b", 0, estimated=9 * CENT, outcome="rate_limit"),
        entry("c", 4, estimated=9 * CENT, outcome="incomplete"),
        entry("d", 0, cost=None, outcome="incomplete"),
    ]
    rows, total = spending(lines, by=["outcome"])
    assert [(row.group, row.calls, row.failed, row.unknown, row.cost) for row in rows] == [
        (("answered",), 1, 0, 0, 10 * CENT),
        (("incomplete",), 0, 2, 1, 4 * CENT),
        (("rate_limit",), 0, 1, 0, 0),
    ]
    assert (total.calls, total.failed, total.cost, total.estimated) == (1, 3, 14 * CENT, 9 * CENT)


def test_nothing_to_group_by() -> None:
    """An empty list of names is refused."""
    with pytest.raises(PolicyError) as caught:
        spending([], by=[])
    assert str(caught.value) == "Nothing to group by. Give a name such as model, day or a scope tag."


def asked(*words: str) -> argparse.Namespace:
    """Parse the words of `routed spend`."""
    parser = argparse.ArgumentParser()
    spend.add_parser(parser.add_subparsers())
    return parser.parse_args(["spend", *words])


def test_json(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """With --json programs get rows and the total, with dollars as decimal strings."""
    path = str(tmp_path / "book.db")
    fill(open_ledger(path))
    assert spend.run(asked(path, "--by", "team", "--since", "2026-11-23", "--json")) == 0
    sums = {
        "calls": 2,
        "failed": 0,
        "cost": "0.12",
        "unknown": 0,
        "estimated": "0",
        "input_tokens": 1200,
        "cached_tokens": 20,
        "output_tokens": 12,
    }
    assert json.loads(capsys.readouterr().out) == {
        "by": ["team"],
        "rows": [{"team": "ads", **sums}],
        "total": {"team": "all", **sums},
    }


def test_table(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Without --json people get a table, and a note on calls whose cost is not known."""
    path = str(tmp_path / "book.db")
    fill(open_ledger(path))
    assert spend.run(asked(path, "--by", "team,day", "--until", "2026-11-22")) == 0
    lines = [line.split() for line in capsys.readouterr().out.splitlines()]
    assert lines[0] == ["TEAM", "DAY", "CALLS", "FAILED", "COST", "EXPECTED", "INPUT", "CACHED", "OUTPUT"]
    assert lines[1] == ["search", "2026-11-22", "2", "0", "$0.300", "$0", "3,000", "20", "30"]
    assert lines[3][:2] == ["all", "all"]
    assert " ".join(" ".join(line) for line in lines[4:]) == (
        "The cost of 1 of 3 requests is not known: the answer reported no usage, or the model has no price. "
        "They are not in the sums."
    )


@pytest.mark.parametrize("width", [80, 60], ids=str)
def test_a_narrow_screen_cuts_nothing(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, width: int
) -> None:
    """Whatever is grouped by, each amount of a wide screen stands whole on a narrow one."""
    path = str(tmp_path / "book.db")
    fill(open_ledger(path))
    shown = {}
    for columns in (200, width):
        monkeypatch.setenv("COLUMNS", str(columns))
        assert spend.run(asked(path, "--by", "team,model,day,endpoint")) == 0
        shown[columns] = sorted(capsys.readouterr().out.split())
    assert shown[width] == shown[200]


def test_no_such_ledger(tmp_path: Path) -> None:
    """A file that is not there is not made."""
    with pytest.raises(CommandError) as caught:
        spend.run(asked(str(tmp_path / "none.db")))
    assert str(caught.value).endswith("Name the file that a SQLiteLedger writes.")
    assert list(tmp_path.iterdir()) == []
