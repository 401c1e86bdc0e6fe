"""Frameworks on the client, by their own way of taking one: what `examples/` shows, against the simulator.

They are installed by `make test-frameworks` only; without one, its example is left out.
"""

from __future__ import annotations

import asyncio
import importlib.util
import inspect
from pathlib import Path
from typing import Any

import pytest

from routed_llm.simulator import Simulator

EXAMPLES = Path(__file__).parent.parent / "examples"
FRAMEWORKS = {
    "openai_agents": "agents",
    "pydantic_ai_agent": "pydantic_ai",
    "instructor_forms": "instructor",
    "haystack_pipeline": "haystack",
    "dspy_program": "dspy",
    "autogen_team": "autogen_ext",
}


def load(name: str) -> Any:
    """Import an example from its file."""
    spec = importlib.util.spec_from_file_location(name, EXAMPLES / f"{name}.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_every_example_has_its_test() -> None:
    """No example is forgotten."""
    assert {path.stem for path in EXAMPLES.glob("*.py")} == set(FRAMEWORKS)


@pytest.mark.filterwarnings("default")  # theirs
@pytest.mark.parametrize("name", FRAMEWORKS)
def test_a_framework_routes(name: str, sim: Simulator, monkeypatch: pytest.MonkeyPatch) -> None:
    """Every step gets an answer, at least one call goes to another model, and none is refused."""
    pytest.importorskip(FRAMEWORKS[name], reason="installed by `make test-frameworks`")
    sim.at = None
    monkeypatch.setenv("OPENAI_BASE_URL", sim.url)
    monkeypatch.setenv("OPENAI_API_KEY", "sk-simulated")
    main = load(name).main
    said = asyncio.run(main()) if inspect.iscoroutinefunction(main) else main()
    assert said
    assert all(said)
    assert {entry.status for entry in sim.journal} == {200}
    assert sim.refused == []
    assert {entry.model for entry in sim.journal} - {"gpt-4o"}
