"""docs/decisions.md: what is chosen for everyday calls, against what an expert wrote down beforehand."""

from __future__ import annotations

import sys
from importlib import import_module
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

SCRIPTS = Path(__file__).parents[1] / "scripts"


@pytest.fixture(scope="module")
def decisions() -> ModuleType:
    """The module that writes the page."""
    sys.path.insert(0, str(SCRIPTS))
    try:
        return import_module("decisions")
    finally:
        sys.path.remove(str(SCRIPTS))


@pytest.fixture(scope="module")
def rows(decisions: ModuleType) -> list[Any]:
    """Every call on every day."""
    return list(decisions.rows())


def test_the_page_is_up_to_date(decisions: ModuleType, rows: list[Any]) -> None:
    """The page says what is chosen today; `python scripts/decisions.py` writes it anew."""
    assert decisions.PAGE.read_text(encoding="utf-8") == decisions.page(rows)


def test_an_expert_signs(rows: list[Any]) -> None:
    """At least 200 calls on six days; 95 of 100 are signed at first sight, and the others have a reason."""
    assert len({row.call for row in rows}) >= 200
    assert len({row.at for row in rows}) == 6
    assert sum(row.is_signed for row in rows) / len(rows) >= 0.95
    assert [(row.call, row.at) for row in rows if not (row.is_signed or row.convinces)] == []


def test_nothing_differs_without_a_sentence(rows: list[Any]) -> None:
    """What is not signed at first sight has a sentence, and no sentence is left over."""
    assert [(row.call, row.at) for row in rows if not row.is_signed and not row.differs] == []
    assert [(row.call, row.at) for row in rows if row.is_signed and row.differs] == []
