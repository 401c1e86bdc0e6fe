"""`routed models`."""

from __future__ import annotations

import json
import re
from datetime import date, timedelta
from typing import Any

import pytest

from routed_llm import Catalog

from .conftest import Routed


def listed(routed: Routed, *words: str) -> dict[str, dict[str, Any]]:
    """Return what `--json` lists, by id."""
    done = routed("models", "--json", *words)
    assert (done.code, done.err) == (0, "")
    return {row["id"]: row for row in json.loads(done.out)}


def test_all_lists_the_whole_catalog(routed: Routed) -> None:
    """`--all` leaves no model out, with its limits and prices as the catalog has them."""
    rows = listed(routed, "--all", "--at", "2026-11-22")
    assert set(rows) == {model.id for model in Catalog.load()}
    for model in Catalog.load():
        assert rows[model.id]["max_input"] == model.limits.max_input
        price = model.price(date(2026, 11, 22))
        shown = rows[model.id]["price"]
        assert (price is None) == (shown is None)
        if price is not None:
            assert float(shown["input"]) * 1_000_000 == pytest.approx(price.input)


@pytest.mark.parametrize(
    ("day", "status"),
    [
        pytest.param("2024-01-01", "unreleased", id="before it is released"),
        pytest.param("2026-01-01", "alive", id="long before its end"),
        pytest.param("2026-11-14", "alive", id="61 days before its end"),
        pytest.param("2026-11-15", "closing", id="60 days before its end"),
        pytest.param("2027-01-13", "closing", id="on its last day"),
        pytest.param("2027-01-14", "retired", id="on the day of its end"),
    ],
)
def test_the_status_follows_the_day(routed: Routed, day: str, status: str) -> None:
    """gpt-4o, which is shut down on 2027-01-14, has the status of the day."""
    assert listed(routed, "--all", "--at", day)["gpt-4o"]["status"] == status
    assert ("gpt-4o" in listed(routed, "--at", day)) == (status in ("alive", "closing"))


def test_the_table_points_out_what_ends_soon(routed: Routed) -> None:
    """The table marks a model that is shut down within 60 days, and a line names its replacement."""
    done = routed("models", "--at", "2026-11-22")
    assert done.code == 0
    assert re.search(
        r"^gpt-4o +!ends 2027-01-14 +128K +128K +16,384 +2\.50 +10\.00 +- +chat\+resp", done.out, re.M
    )
    text = " ".join(done.out.split())
    assert "! Shut down on 2027-01-14:" in text
    assert "gpt-4o (the provider names gpt-6-luna)" in text
    assert max(len(line) for line in done.out.splitlines()) <= 100


def test_facts_not_compared_for_45_days_are_pointed_out(routed: Routed) -> None:
    """A model is stale when the oldest of its facts was verified more than 45 days before the day."""
    verified = date.fromisoformat(listed(routed, "--at", "2026-11-22")["gpt-4o"]["verified"])
    fresh, old = verified + timedelta(days=45), verified + timedelta(days=46)
    assert listed(routed, "--all", "--at", fresh.isoformat())["gpt-4o"]["stale"] is False
    assert listed(routed, "--all", "--at", old.isoformat())["gpt-4o"]["stale"] is True
    text = " ".join(routed("models", "--at", old.isoformat()).out.split())
    assert f"more than 45 days before {old}" in text


def test_a_narrow_terminal_gets_fewer_columns(routed: Routed) -> None:
    """With 80 columns nothing is cut off: some columns are left out, and a line says so."""
    done = routed("models", "--at", "2026-11-22", columns=80)
    assert re.search(r"^gpt-4o +!ends 2027-01-14 +128K +16,384 +2\.50 +10\.00 *$", done.out, re.MULTILINE)
    assert "A terminal of 100 columns also shows window, efforts, endpoints." in done.out
    assert max(len(line) for line in done.out.splitlines()) <= 80
