"""Every difference between the catalog and another source is explained; every explanation applies."""

from __future__ import annotations

import sys
from datetime import date
from importlib import import_module
from pathlib import Path
from types import ModuleType

import pytest

from routed_llm.catalog import Catalog, others
from routed_llm.simulator.models import names

SCRIPTS = Path(__file__).parents[2] / "scripts"
CATALOG = Catalog.load()


@pytest.fixture(scope="module")
def scripts() -> ModuleType:
    """The report's module; scripts/ is no package, so its folder joins the path for the import only."""
    sys.path.insert(0, str(SCRIPTS))
    try:
        return import_module("disagreements")
    finally:
        sys.path.remove(str(SCRIPTS))


def test_the_simulator_knows_every_model() -> None:
    """What the catalog lets a call go to can be tried without a key; realtime sessions are not simulated."""
    served = (model for model in CATALOG if model.endpoints != {"realtime"})
    assert [model.id for model in served if model.id not in names()] == []


def test_every_difference_is_explained(scripts: ModuleType) -> None:
    """A new difference fails here until disagreements.toml says why the catalog is right."""
    differences, read = scripts.gather(CATALOG)
    found = others.report(differences, others.explanations(), read)
    assert {"simulator", "openai 3.54.0"} <= read
    assert [str(row) for row in found.unexplained] == []
    assert list(found.stale) == []
    assert len(found.explained) > 100


def test_the_sources_are_really_compared(scripts: ModuleType) -> None:
    """Each source that is read speaks of many models and agrees with the catalog on most of their fields."""
    ours = sys.modules["catalog_sources"].from_catalog(CATALOG)
    for source, (_, reader) in scripts.READERS.items():
        theirs = reader(CATALOG)
        if theirs is None or source == "openai":
            continue
        agreed = [key for key, value in theirs.items() if ours.get(key) == value]
        assert len(agreed) > 20, source


DIFFERENCE = ("genai-prices", "gpt-4o", "prices.standard.short.input", "1", "2500000")


@pytest.mark.parametrize(
    ("models", "fields", "theirs", "unexplained", "stale"),
    [
        (("gpt-4o",), ("prices.standard.short.input",), ("1",), 0, []),
        (
            ("gpt-4o",),
            ("prices.standard.short.input",),
            ("2",),
            1,
            ["model gpt-4o", "field prices", "value 2"],
        ),
        (("gpt-4o", "gpt-5"), ("prices.standard.short.input",), ("1",), 0, ["model gpt-5"]),
        (("gpt-4o",), ("prices.standard.short.input", "efforts"), ("1",), 0, ["field efforts"]),
    ],
    ids=["explained", "another value", "a model too many", "a field too many"],
)
def test_the_report(
    scripts: ModuleType,
    models: tuple[str, ...],
    fields: tuple[str, ...],
    theirs: tuple[str, ...],
    unexplained: int,
    stale: list[str],
) -> None:
    """An explanation covers exactly what it names; whatever it names too much is stale."""
    reason = others.Explanation("genai-prices", models, fields, theirs, "because")
    found = others.report([others.Difference(*DIFFERENCE)], [reason], {"genai-prices"})
    assert len(found.unexplained) == unexplained
    assert len(found.stale) == len(stale)
    for line, start in zip(found.stale, stale, strict=True):
        assert line.startswith(f"genai-prices: {start}")


def test_reasons_for_a_source_that_is_not_there(scripts: ModuleType) -> None:
    """Without litellm installed, what is said of litellm is not stale."""
    reason = others.Explanation("litellm", ("gpt-4o",), ("efforts",), ("x",), "because")
    assert others.report([], [reason], {"simulator"}).stale == ()


def test_shutdown_days_of_an_sdk_docstring(scripts: ModuleType) -> None:
    """Days are read from the docstring of SDKs that have one."""
    text = (
        '- "gpt-4o", "gpt-4o-2024-08-06": Announced shutdown date:\n  2027-01-14. See details.\n'
        '- "gpt-5.1-mini": Not a supported model ID.\n'
        '- "gpt-5": Announced shutdown date: 2026-12-12. See details.\n'
    )
    facts = sys.modules["catalog_sources"]._sdk_days(text, CATALOG)
    assert facts == {
        ("gpt-4o", "lifecycle.shutdown"): date(2027, 1, 14),
        ("gpt-5", "lifecycle.shutdown"): date(2026, 12, 12),
    }
    assert [str(row) for row in scripts.compare("openai", facts, CATALOG)] == [
        "gpt-5 lifecycle.shutdown: openai has 2026-12-12, the catalog 2026-12-11"
    ]


def test_the_command(scripts: ModuleType, capsys: pytest.CaptureFixture[str]) -> None:
    """``python scripts/disagreements.py`` prints every source with its reasons and succeeds."""
    assert scripts.main() == 0
    out = capsys.readouterr().out
    assert "## simulator\n" in out
    assert "gpt-4.1 limits.context_window: genai-prices has 1000000, the catalog 1047576" in out
    assert "Unexplained" not in out
