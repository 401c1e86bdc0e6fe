"""The short form of the benchmarks that compare answers: they find no difference, and can find one."""

from __future__ import annotations

import ast
import importlib.util
from collections import Counter
from collections.abc import Iterator
from dataclasses import replace
from datetime import date
from pathlib import Path
from typing import Any

import pytest

from benchmarks import publish
from benchmarks.decision import boundary, columns, hostile, speed
from benchmarks.money.billing import CATALOG, Choice, World, bill
from benchmarks.money.optimum import best_rule, optimum
from benchmarks.money.traces import Call, read
from benchmarks.tokens import fuzz
from routed_llm import Policy
from routed_llm.batch import Planner
from routed_llm.tokens import text as counters

TODAY = date(2026, 11, 22)
ADAPTERS = ("langchain_routed", "llama_index.llms.routed")


def test_decisions_near_boundaries() -> None:
    """Within three tokens of a boundary every decision is that of a full count."""
    seen: Counter[str] = Counter()
    assert list(boundary.differing(60, seed=5, most=140_000, seen=seen)) == []
    assert seen["within three tokens"] > 50


def test_a_wrong_count_shows(monkeypatch: pytest.MonkeyPatch) -> None:
    """A counter that is off by three tokens gives decisions that differ."""
    honest = counters.TiktokenCounter.count
    monkeypatch.setattr(
        counters.TiktokenCounter, "count", lambda self, texts: [n + 3 for n in honest(self, texts)]
    )
    found = list(boundary.differing(40, seed=5, most=140_000, seen=Counter()))
    assert found


def test_fuzzed_strings() -> None:
    """Every counter gives tiktoken's count of random strings."""
    assert list(fuzz.wrong(2_400, 5, Counter())) == []


def test_a_counter_without_its_guard_shows(monkeypatch: pytest.MonkeyPatch) -> None:
    """Without the guard, toktok's counts of what it is known to get wrong differ."""
    pytest.importorskip("toktok", reason="Install it with: pip install 'routed-llm[fast]'")
    monkeypatch.setattr(counters, "_toktok_agrees", lambda text: True)
    assert {name for name, *_ in fuzz.wrong(2_400, 5, Counter())} >= {"toktok"}


def test_the_speed_of_adapters_is_measured() -> None:
    """Conversations through both adapters, by what these are made of."""
    found = speed.adapters(["Some words of a conversation. " * 400], size=2_000)
    names = [f"{name}, {when}" for name in ADAPTERS for when in ("first sight", "repeat")]
    assert list(found) == names
    assert all(0 < value < 1e6 for value in found.values())


def test_hostile_texts() -> None:
    """No decision on a hostile text is wrong, and none raises."""
    wrong, _ = hostile.attack(30_000, 1)
    assert wrong == 0


@pytest.mark.parametrize(
    "policy", [Policy(), Policy(at_least=None, max_cost_per_call="0.01")], ids=["default", "cap"]
)
def test_columns(policy: Any) -> None:
    """Rows of a table are decided as single requests are."""
    assert columns.differing(Planner(at=TODAY, policy=policy), columns.requests(400, 5)) == 0


LUNA = Choice(CATALOG.get("gpt-5.6-luna"), "low")
PAST = LUNA._replace(bypass=True)
WORLD = World(TODAY)


def turns(*, reads: bool, before: int | None = 0) -> list[Call]:
    """Two calls of 10,000 tokens; the second begins with the first where it reads it."""
    later = Call(at=60, tokens=10_500, output=50, number=1, conversation="a" if reads else "b")
    prefix = {"before": before, "prefix": 10_000} if reads else {}
    return [Call(at=0, tokens=10_000, output=50, conversation="a"), replace(later, **prefix)]


@pytest.mark.parametrize(
    ("reads", "best"),
    [(True, [LUNA, LUNA]), (False, [PAST, PAST])],
    ids=["a write that is read is paid for", "one that is not is not"],
)
def test_optimum_of_money(reads: bool, best: list[Any]) -> None:
    """The optimum of a trace writes to a cache only where that pays, as does the best rule."""
    calls = turns(reads=reads)
    least = bill(calls, best, WORLD, thrifty=True)
    assert optimum(calls, [[LUNA]] * 2, WORLD) == least
    assert best_rule(calls, [[LUNA]] * 2, WORLD)[0] == bill(calls, best, WORLD)


def test_optimum_finds_only_its_own_caches() -> None:
    """What another model was sent is in no cache of the one that is chosen."""
    calls, other = turns(reads=True), Choice(CATALOG.get("gpt-5.4"), "none")
    assert bill(calls, [other, LUNA], WORLD) == bill(calls, [other, None], WORLD) + WORLD.pico(
        LUNA, calls[1], 0
    )


def test_turns_of_a_trace(tmp_path: Path) -> None:
    """A call goes on from the one whose whole prompt it begins with; shared instructions link nothing."""
    rows = [[0, 1], [0, 2], [0, 1, 3], *[[0, number] for number in range(10, 20)]]
    lines = [
        f'{{"timestamp": {at}, "input_length": {512 * len(ids)}, "output_length": 9, "hash_ids": {ids}}}'
        for at, ids in enumerate(rows)
    ]
    (tmp_path / "trace.jsonl").write_text("\n".join(lines), encoding="utf-8")
    assert [call.before for call in read(tmp_path / "trace.jsonl")] == [None, None, 0, *[None] * 10]


OF_OUR_OWN = ("routed_llm", "langchain_routed", "llama_index.llms.routed", "openai_routed")
TOP = Path(__file__).parent.parent


def borrowed(path: Path) -> Iterator[tuple[str, str]]:
    """Yield the module and name of what a file imports of this project, inside functions, too."""
    for node in ast.walk(ast.parse(path.read_text("utf-8"))):
        if isinstance(node, ast.ImportFrom) and node.module and node.module.startswith(OF_OUR_OWN):
            for name in node.names:
                yield node.module, name.name


@pytest.mark.parametrize(
    "path", sorted((TOP / "benchmarks").glob("**/*.py")), ids=lambda path: str(path.relative_to(TOP))
)
def test_what_a_benchmark_imports_is_there(path: Path) -> None:
    """A benchmark that nobody runs every day would otherwise break unseen when a name moves."""
    missing = []
    for module, name in borrowed(path):
        if importlib.util.find_spec(module.partition(".")[0]) is None:
            continue  # an adapter that is not installed
        try:
            found = importlib.import_module(module)
        except ModuleNotFoundError as error:
            missing.append(f"{module}: {error}")
            continue
        if not hasattr(found, name) and importlib.util.find_spec(f"{module}.{name}") is None:
            missing.append(f"{module}.{name}")
    assert missing == []


def test_the_published_page_is_what_was_printed() -> None:
    """Each figure stands below its command, as printed, beside the day, the machine and the versions."""
    about = {"date": "2026-11-29", "machine": "one"}
    text = publish.page(publish.PUBLISHED, lambda command: f"\n{command[0]} took 1 us\n", about)
    for title, (module, *_) in publish.PUBLISHED.items():
        assert importlib.util.find_spec(f"benchmarks.{module}") is not None
        said = f"## {title}\n\n`python -m benchmarks.{module}`\n\n```text\n{module} took 1 us\n```\n"
        assert said in text
    assert "| date | 2026-11-29 |\n| machine | one |\n" in text


def test_a_failed_benchmark_publishes_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    """A page with a part missing is not written."""
    with pytest.raises(SystemExit, match=r"benchmarks\.none failed:"):
        publish.printed(("none",))
