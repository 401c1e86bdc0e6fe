"""The parameter matrix: every parameter on every living model and both endpoints; none is refused."""

from __future__ import annotations

import importlib.util
from pathlib import Path
from types import ModuleType

import pytest

ROOT = Path(__file__).parent.parent.parent


@pytest.fixture(scope="module")
def script() -> ModuleType:
    spec = importlib.util.spec_from_file_location(
        "parameter_matrix", ROOT / "scripts" / "parameter_matrix.py"
    )
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_no_cell_is_refused_and_the_table_is_up_to_date(sim, script: ModuleType) -> None:
    """Each call is either sent in a form the server takes, or refused by the decision before it is sent."""
    cells = script.matrix(sim)
    assert {"gpt-6-sol", "gpt-audio", "gpt-5-pro", "gpt-5.3-codex", "chat-latest"} <= {m for _, _, m in cells}
    assert sim.refused == []
    assert (ROOT / "docs" / "parameters.md").read_text(encoding="utf-8") == script.table(cells)
