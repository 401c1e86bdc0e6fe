"""The maintainers' comparison: what it reads from pages, what it calls old, and that it writes nothing."""

from __future__ import annotations

import json
import sys
from datetime import date
from importlib import import_module
from pathlib import Path
from types import ModuleType

import pytest

from routed_llm.catalog import Catalog
from routed_llm.catalog.sources import ROOT, digest

SCRIPTS = Path(__file__).parents[2] / "scripts"
CATALOG = Catalog.load()


@pytest.fixture(scope="module")
def refresh() -> ModuleType:
    """The script's module."""
    sys.path.insert(0, str(SCRIPTS))
    try:
        return import_module("refresh_catalog")
    finally:
        sys.path.remove(str(SCRIPTS))


@pytest.mark.parametrize(
    ("text", "limits"),
    [
        (
            "- 1,050,000 context window\n- Maximum input tokens: 922,000\n- 128,000 max output tokens\n",
            {"limits.context_window": 1_050_000, "limits.max_input": 922_000, "limits.max_output": 128_000},
        ),
        (
            "1,050,000 context window\n922,000 max input tokens\n128,000 max output tokens\n",
            {"limits.context_window": 1_050_000, "limits.max_input": 922_000, "limits.max_output": 128_000},
        ),
        (
            "Max output tokens\n922,000 max input tokens\nContext window:\n128,000 max output tokens\n",
            {"limits.max_input": 922_000, "limits.max_output": 128_000},
        ),
        (
            "128,000\nmax output tokens\nmax output tokens:\n922,000\n",
            {},
        ),
        ("400,000 context window", {"limits.context_window": 400_000}),
        ("nothing of the kind", {}),
    ],
    ids=["all", "number first", "a name without number", "over a line's end", "window only", "none"],
)
def test_reading_a_page(refresh: ModuleType, text: str, limits: dict[str, int]) -> None:
    """A model page gives the limits it prints and no others."""
    assert refresh.read_page(text) == limits


def test_new_differences_are_found(
    refresh: ModuleType, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """A page and a price map that say something new are reported, and no file is touched."""
    (tmp_path / "gpt-4o.md").write_text("256,000 context window\n")
    prices = tmp_path / "prices.json"
    prices.write_text(
        json.dumps(
            {
                "gpt-4o": {
                    "input_cost_per_token": 2e-06,
                    "deprecation_date": "2027-02-01",
                    "successor_model": "gpt-7",
                },
                "gpt-6-astra": {"input_cost_per_token_ultrafast": 7e-05},
                "gpt-7": {"litellm_provider": "openai", "mode": "chat"},
                "gpt-7-image": {"litellm_provider": "openai", "mode": "image_generation"},
                "gpt-4-turbo": {"litellm_provider": "openai", "mode": "chat"},
                "elsewhere/gpt-7": {"litellm_provider": "openai", "mode": "chat"},
            }
        )
    )
    before = digest(ROOT)
    arguments = ["--pages", str(tmp_path), "--litellm", str(prices), "--at", "2026-11-22"]
    assert refresh.main(arguments) == 1
    out = capsys.readouterr().out
    assert "  - gpt-4o limits.context_window: pages has 256000, the catalog 128000\n" in out
    assert "  - gpt-4o lifecycle.shutdown: litellm has 2027-02-01, the catalog 2027-01-14\n" in out
    assert "  - gpt-4o prices.standard.short.input: litellm has 2000000, the catalog 2500000\n" in out
    assert "  - gpt-4o lifecycle.replacement: litellm has gpt-7, the catalog gpt-6-luna\n" in out
    assert "  - gpt-6-astra prices.ultrafast.short.input: litellm has 70000000, the catalog 60000000\n" in out
    assert [
        line for line in out.splitlines() if line.endswith("listed: litellm has True, the catalog nothing")
    ] == ["  - gpt-7 listed: litellm has True, the catalog nothing"]
    assert digest(ROOT) == before


def test_nothing_new(refresh: ModuleType, capsys: pytest.CaptureFixture[str]) -> None:
    """With the sources of the day the catalog was written, only ages and shutdowns are left to tell."""
    assert refresh.main(["--at", "2026-11-22"]) == 0
    assert " 0 new ones" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("at", "expected"),
    [
        (date(2027, 1, 1), "gpt-4o: shut down on 2027-01-14, replaced by gpt-6-luna"),
        (date(2027, 3, 1), "gpt-5.1: shut down on 2027-04-01, replaced by gpt-6-sol"),
    ],
)
def test_shutdowns_that_are_near(refresh: ModuleType, at: date, expected: str) -> None:
    """Models that end within 60 days are named with what replaces them."""
    assert expected in list(refresh.ending(CATALOG, at))


def test_old_facts(refresh: ModuleType) -> None:
    """A fact is old 45 days after it was verified; facts of dead models are nobody's concern."""
    assert not [row for row in refresh.ageing(CATALOG, date(2026, 11, 22)) if "prices" in row]
    old = list(refresh.ageing(CATALOG, date(2026, 12, 26)))
    assert "gpt-5.6-luna prices: last verified 2026-11-10" in old
    assert not [row for row in old if row.startswith("gpt-4.1-nano ")]
