"""The quality floor: which dimensions a request touches, and what is published about a configuration on them."""
# ruff: noqa: E501 - tables of one case a row

from __future__ import annotations

from typing import Any

import pytest
from core_support import CATALOG, decide, facts

from routed_llm.decide.quality import Comparison, Floor, dimensions
from routed_llm.policy import DIMENSIONS_BY_TASK

GPT_4O = CATALOG.get("gpt-4o")


def floor(baseline: str = "gpt-4o", *, evidence: str = "inferred") -> Floor:
    """Make a floor."""
    return Floor(CATALOG.get(baseline), CATALOG.reference, margins=CATALOG.margins, evidence=evidence)


TOUCHED = [
    ("plain text may be a question of fact", facts(), None, ["overall", "knowledge"]),
    ("an image", facts(images=[(5, 5)]), None, ["overall", "vision"]),
    ("a PDF is seen, too", facts(pdf_pages=1), None, ["overall", "vision"]),
    ("tools", facts(tools=1), None, ["overall", "tools"]),
    ("hosted tools", facts(builtin_tools=["web_search"]), None, ["overall", "tools"]),
    ("a schema", facts(structured="json_schema"), None, ["overall", "instructions", "knowledge"]),
    ("JSON without a schema", facts(structured="json_object"), None, ["overall", "knowledge"]),
    ("tools and an image", facts(tools=1, images=[(5, 5)]), None, ["overall", "vision", "tools"]),
    ("a task adds to what is seen", facts(), "coding", ["overall", "knowledge", "coding"]),
    ("a task of two dimensions", facts(), "reasoning", ["overall", "knowledge", "science", "maths"]),
    ("a task that the request shows anyway", facts(tools=1), "tool_use", ["overall", "tools"]),
    ("a general task asks for no more", facts(), "general", ["overall", "knowledge"]),
]  # fmt: skip


@pytest.mark.parametrize(
    ("asked", "task", "names"), [item[1:] for item in TOUCHED], ids=[item[0] for item in TOUCHED]
)
def test_dimensions(asked: Any, task: str | None, names: list[str]) -> None:
    """What can be seen of a request says which measures matter, a task adds some; the others are guarded."""
    touched, guarded = dimensions(asked, task, long=False)
    assert list(touched) == names
    assert not set(touched) & set(guarded)
    assert guarded
    assert "tools" not in guarded
    assert "long_context" in dimensions(asked, task, long=True)[0]


def test_restraint_is_left_to_the_caller() -> None:
    """No request without a task touches or guards restraint, summaries or languages."""
    asked = {"restraint", "faithful_summary", "multilingual"}
    assert not asked & {*dimensions(facts(), None, long=False)[0], *dimensions(facts(), None, long=False)[1]}
    assert asked <= {name for names in DIMENSIONS_BY_TASK.values() for name in names}


COMPARED = [
    ("gpt-4o", None, "overall", "same model"),
    ("gpt-4.1", None, "overall", "above"),
    ("gpt-4o-mini", None, "overall", "below"),
    ("gpt-5.6-luna", "low", "overall", "above (inferred)"),
    ("gpt-5.6-luna", "none", "long_context", "below"),
    ("gpt-5.6-luna", "low", "restraint", "below"),
    ("gpt-5.6-luna", "low", "maths", "unknown"),
    ("gpt-audio-1.5", None, "overall", "counterpart"),
    ("gpt-5.1-codex", "low", "overall", "unknown"),
]


@pytest.mark.parametrize(
    ("model", "effort", "dimension", "verdict"), COMPARED, ids=[f"{i[0]} {i[1]} {i[2]}" for i in COMPARED]
)
def test_comparisons(model: str, effort: str | None, dimension: str, verdict: str) -> None:
    """One configuration against gpt-4o on one dimension, as published."""
    assert floor().compare(CATALOG.get(model), effort, dimension).verdict == verdict


ADMITTED = [
    # verdict, dimension, inferred, measured, guarded
    ("above", "overall", True, True, True),
    ("tie", "science", True, True, True),
    ("same model", "overall", True, True, True),
    ("counterpart", "overall", True, True, True),
    ("above (inferred)", "overall", True, False, True),
    ("unknown", "overall", False, False, True),
    ("unknown", "long_context", False, False, True),
    ("unknown", "vision", True, False, True),
    ("below", "vision", False, False, False),
    ("mixed", "coding", False, False, False),
]


@pytest.mark.parametrize(
    ("verdict", "dimension", "inferred", "measured", "guarded"),
    ADMITTED,
    ids=[f"{i[0]} {i[1]}" for i in ADMITTED],
)
def test_what_is_admitted(
    verdict: str, dimension: str, inferred: bool, measured: bool, guarded: bool
) -> None:
    """Nothing below passes; unknown passes but overall and at length; measured wants a measure of its own."""
    found = Comparison(verdict)
    assert floor().admits(dimension, found) is inferred
    assert floor(evidence="measured").admits(dimension, found) is measured
    assert floor().admits(dimension, found, guarded=True) is guarded


BASELINES = [
    ("gpt-4o-mini's floor admits gpt-4o-mini", "gpt-4o-mini", "gpt-4o-mini", None, True),
    ("gpt-4o-mini's floor admits gpt-4o", "gpt-4o-mini", "gpt-4o", None, True),
    ("gpt-4.1's floor refuses gpt-4o", "gpt-4.1", "gpt-4o", None, False),
    ("gpt-4.1's floor refuses gpt-4.1-nano", "gpt-4.1", "gpt-4.1-nano", None, False),
    ("gpt-4.1's floor admits itself", "gpt-4.1", "gpt-4.1", None, True),
    ("gpt-5.4's floor at its default effort refuses less effort of others", "gpt-5.4", "gpt-5-nano", "minimal", False),
    ("gpt-5.5's floor, medium by default, refuses its own none", "gpt-5.5", "gpt-5.5", "none", False),
    ("gpt-5.5's floor admits its own high", "gpt-5.5", "gpt-5.5", "high", True),
]  # fmt: skip


@pytest.mark.parametrize(
    ("baseline", "model", "effort", "passes"),
    [item[1:] for item in BASELINES],
    ids=[item[0] for item in BASELINES],
)
def test_other_baselines(baseline: str, model: str, effort: str | None, passes: bool) -> None:
    """A floor of another model is that model's, at the effort it is called with by default."""
    against = floor(baseline)
    found = against.compare(CATALOG.get(model), effort, "overall")
    assert against.admits("overall", found) is passes


def test_what_the_decision_says() -> None:
    """The measures that decided are named, and what nothing is published on is listed."""
    decision = decide(facts(tools=2))
    verdicts = {item.dimension: item for item in decision.evidence}
    assert verdicts["overall"].verdict == "above (inferred)"
    assert verdicts["overall"].measures == (
        "(+) AA Intelligence Index v4.1, reference estimated + 6.2",
        "(+) AA Intelligence Index v4.3.2, reference estimated + 6.2",
    )
    assert {"maths", "instructions"} <= set(decision.without_evidence)
    assert not set(verdicts) & set(decision.without_evidence)
    assert decision.baseline == "gpt-4o"


def test_without_a_floor_nothing_is_claimed() -> None:
    """Without a floor the decision claims no quality."""
    decision = decide(facts(), at_least=None)
    assert (decision.baseline, decision.evidence, decision.without_evidence) == (None, (), ())
    assert "match" not in decision.why


AMONG_OTHERS = [
    ("ran beside it: worse over long texts", "gpt-5", "gpt-5.6-luna", "low", "long_context", "below"),
    ("ran beside it: level over long texts", "gpt-5", "gpt-5.6-luna", "high", "long_context", "tie"),
    ("knows far less than gpt-5", "gpt-5", "gpt-5.4-nano", "xhigh", "knowledge", "below"),
    ("knows more than gpt-4.1-mini", "gpt-4.1-mini", "gpt-5.4-nano", "medium", "knowledge", "above"),
    ("level on one measure, below by one that only gpt-4o shares", "gpt-4.1", "gpt-5-mini", "high", "knowledge", "mixed"),
    ("its place among neighbours and one more area carry nothing", "gpt-4.1", "gpt-5.1", "low", "overall", "unknown"),
    ("nor do three", "gpt-5", "gpt-5.2", "low", "overall", "unknown"),
    ("the order, and six areas", "gpt-5", "gpt-5.6-luna", "high", "overall", "above (inferred)"),
]  # fmt: skip


@pytest.mark.parametrize(
    ("baseline", "model", "effort", "dimension", "verdict"),
    [item[1:] for item in AMONG_OTHERS],
    ids=[item[0] for item in AMONG_OTHERS],
)
def test_comparisons_with_others(
    baseline: str, model: str, effort: str, dimension: str, verdict: str
) -> None:
    """Against other baselines, by what ran both; an order of quality alone speaks for nothing."""
    assert floor(baseline).compare(CATALOG.get(model), effort, dimension).verdict == verdict


@pytest.mark.parametrize("task", sorted(DIMENSIONS_BY_TASK))
def test_every_task_is_served(task: str) -> None:
    """Each task finds a model that nothing published puts below gpt-4o on its dimensions."""
    decision = decide(facts(task=task))
    assert decision.chosen is not None
    against = floor()
    for name in ("overall", *DIMENSIONS_BY_TASK[task]):
        found = against.compare(CATALOG.get(decision.chosen.model), decision.effort, name)
        assert found.verdict not in ("below", "mixed"), name
