"""docs/json.md names the keys that `--json` prints, all of them and no others."""

from __future__ import annotations

import json
import re
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from routed_llm import Router, Usage, read_openai
from routed_llm.ledger import SQLiteLedger

from .conftest import Routed

DOCUMENT = (Path(__file__).parents[2] / "docs" / "json.md").read_text(encoding="utf-8")
REQUEST = {"model": "gpt-4o", "input": "Hello"}


def documented(command: str) -> set[str]:
    """Return the keys in the first column of a command's table."""
    part = DOCUMENT.partition(f"## `routed {command}`\n")[2].partition("\n## ")[0]
    rows = re.findall(r"^\| (`.*?`) \|", part, re.MULTILINE)
    return {key for row in rows for key in re.findall(r"`(\w+)`", row)}


def printed(routed: Routed, *words: str, stdin: bytes = b"") -> Any:
    """Return what a command prints."""
    done = routed(*words, "--json", stdin=stdin)
    assert (done.code, done.err) == (0, "")
    return json.loads(done.out)


@pytest.fixture
def used(tmp_path: Path) -> tuple[str, str]:
    """A decision log and a ledger with one call."""
    log, book = str(tmp_path / "calls.jsonl"), str(tmp_path / "book.db")
    router = Router(ledger=SQLiteLedger(book), log=log, clock=lambda: datetime(2026, 11, 22, tzinfo=UTC))
    decision = router.decide(read_openai(REQUEST))
    router.begin(decision).settle(Usage(input_tokens=9, output_tokens=20))
    router.ledger.close()
    return log, book


def test_explain(routed: Routed) -> None:
    """A decision, its candidates and their reasons."""
    found = printed(routed, "explain", "-", "--at", "2026-11-22", stdin=json.dumps(REQUEST).encode())
    assert set(found) == documented("explain")
    for key in (*found["candidates"][0], *found["candidates"][1]["reasons"][0], *found["timing"]):
        assert f"`{key}`" in DOCUMENT


def test_models(routed: Routed) -> None:
    """Each model has the same keys."""
    found = printed(routed, "models", "--all")
    assert {frozenset(one) for one in found} == {frozenset(documented("models"))}


def test_report(routed: Routed, used: tuple[str, str]) -> None:
    """The summary's keys are in the table, a group's are below it."""
    found = printed(routed, "report", used[0])
    assert set(found) == documented("report")
    below = DOCUMENT.partition("\nA group has ")[2].partition(";")[0]
    assert re.findall(r"`(\w+)`", below) == list(found["total"])


def test_spend(routed: Routed, used: tuple[str, str]) -> None:
    """Groups and their sum."""
    found = printed(routed, "spend", used[1], "--by", "team")
    assert set(found) == documented("spend")
    for key in set(found["total"]) - {"team"}:
        assert f"`{key}`" in DOCUMENT
