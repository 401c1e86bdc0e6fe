"""Judges: what each makes of an answer, and judge models that are biased, random or undecided."""
# ruff: noqa: E501 - tables of one case a row

from __future__ import annotations

import hashlib
import random
import re
from pathlib import Path
from typing import Any

import pytest
from evaluate_support import TODAY, Api, examples

from routed_llm import PolicyError
from routed_llm.evaluate import Answer, Example, evaluate
from routed_llm.evaluate.judges import judge_of

SCHEMA = {"type": "object", "required": ["a"], "properties": {"a": {"type": "integer"}}}
FORMAT = {"response_format": {"type": "json_schema", "json_schema": {"name": "x", "schema": SCHEMA}}}
CALL, OTHER = ("f", {"a": 1, "b": 2}), ("f", {"a": 1})
SCORES: list[tuple[str, str, dict[str, Any], Answer | None, Answer, float]] = [
    ("the same", "exact", {}, Answer(text="Lima"), Answer(text=" Lima\n"), 1),
    ("another word", "exact", {}, Answer(text="Lima"), Answer(text="Lima."), 0),
    ("a pattern", "regex:(?i)lima", {}, None, Answer(text="It is LIMA."), 1),
    ("the pattern that is expected", "regex", {}, Answer(text="L.ma"), Answer(text="Cusco"), 0),
    ("JSON, however it is written", "json", {}, Answer(text='{"a": 1, "b": [2]}'), Answer(text='```json\n{"b":[2],"a":1}\n```'), 1),
    ("other JSON", "json", {}, Answer(text='{"a": 1}'), Answer(text='{"a": 2}'), 0),
    ("no JSON", "json", {}, None, Answer(text="{"), 0),
    ("any JSON", "json", {}, None, Answer(text="[]"), 1),
    ("the request's schema", "schema", FORMAT, None, Answer(text='{"a": 1}'), 1),
    ("against the schema", "schema", FORMAT, None, Answer(text='{"a": "1"}'), 0),
    ("the same calls in another order", "tool", {}, Answer(calls=(CALL, OTHER)), Answer(calls=(OTHER, CALL)), 1),
    ("other arguments", "tool", {}, Answer(calls=(CALL,)), Answer(calls=(OTHER,)), 0),
    ("a text in place of a call", "tool", {}, Answer(calls=(CALL,)), Answer(text="f"), 0),
    ("half of the words", "similarity", {}, Answer(text="the red house"), Answer(text="The red car stands"), 4 / 7),
    ("a function", "own_judge:half", {}, None, Answer(text="x"), 0.5),
]  # fmt: skip


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Work in a folder with a judge of the user's own."""
    (tmp_path / "own_judge.py").write_text(
        "def half(example, answer):\n    return 0.5 if answer['content'] == 'x' and example['messages'] else 7\n"
    )
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.mark.parametrize(
    ("name", "body", "expected", "answer", "score"), [c[1:] for c in SCORES], ids=[c[0] for c in SCORES]
)
def test_scores(name: str, body: Any, expected: Any, answer: Answer, score: float) -> None:
    """From firm to soft, each judge gives an answer a score from 0 to 1."""
    example = Example(body={"messages": [{"role": "user", "content": "?"}], **body}, expected=expected)
    assert judge_of(name).scores(example, answer) == pytest.approx(score)


WRONG = [
    ("no judge", "best", "judge='best' is none of exact, regex[:PATTERN], json, schema[:FILE], tool, similarity, MODULE:FUNCTION, model:CONFIGURATION."),
    ("no pattern", "regex:(", "judge='regex:(' is not a pattern: missing ), unterminated subpattern at position 0. Correct it."),
    ("no module", "nowhere:f", "judge='nowhere:f': No module named 'nowhere'. Give module:function."),
    ("no score", "own_judge:half", "the judge own_judge:half gave 7.0. Give scores from 0 to 1."),
]  # fmt: skip


@pytest.mark.parametrize(("name", "said"), [c[1:] for c in WRONG], ids=[c[0] for c in WRONG])
def test_wrong_judges(name: str, said: str) -> None:
    """The message says what to give."""
    with pytest.raises(PolicyError) as caught:
        judge_of(name).scores(examples(1)[0], Answer(text="y"))
    assert str(caught.value) == said


def test_what_is_expected_must_be_there() -> None:
    """A judge of single answers that needs an expectation asks for it."""
    example = Example(body={"messages": []})
    with pytest.raises(
        PolicyError, match=rf"example {example.id} does not say what is expected. Add `expected`"
    ):
        judge_of("exact").scores(example, Answer(text="y"))


def votes(how: str) -> Any:
    """Return an API in which gpt-4.1 judges in one way, gpt-4o answers well and gpt-4.1-mini every third time badly."""
    rng = random.Random(11)

    def honest(text: str) -> int:
        number = re.search(r"Question (\d+)\?", text)
        shown = re.findall(r"<answer_\d>\n(.*?)\n</answer_\d>", text, re.DOTALL)
        right = [bool(number) and f"answer {number[1]}" in one for one in shown]
        return 0 if right[0] == right[1] else right.index(True) + 1

    def rule(model: str, text: str) -> str:
        if "You compare two answers" not in text:
            number = int(re.findall(r"\d+", text)[0])
            style = "In short: " if model != "gpt-4o" else ""
            return f"{style}answer {number}" if model == "gpt-4o" or number % 3 else "no idea"
        first, tie = how == "first", how == "ties"
        mostly = how == "mostly first" and int(hashlib.sha256(text.encode()).hexdigest(), 16) % 5 == 0
        vote = 1 if first or mostly else 0 if tie else rng.randint(0, 2) if how == "random" else honest(text)
        return f'{{"better": {vote}}}'

    return Api(rule)


def judged(how: str, folder: Path, **given: Any) -> Any:
    """Compare with a judge model."""
    return evaluate(examples(), ["gpt-4.1-mini"], judge="model:gpt-4.1", margin=10, store=folder / "a", at=TODAY, send=votes(how), tag="f=x", concurrency=1, **given)  # fmt: skip


BIASED = [
    ("prefers the first answer", "first", 0, "100% of the others for the answer shown first"),
    ("votes at random", "random", None, ""),
    ("always ties", "ties", 0, "100% of its votes were ties"),
]


@pytest.mark.parametrize(("how", "right", "said"), [c[1:] for c in BIASED], ids=[c[0] for c in BIASED])
def test_a_judge_that_cannot_be_trusted_gives_no_verdict(
    how: str, right: int | None, said: str, folder: Path
) -> None:
    """The report states how it did on controls, and neither a verdict nor a row comes of it."""
    found = judged(how, folder)
    assert not found.trust.holds
    assert found.trust.controls == 24
    assert right is None or found.trust.right == right
    assert (
        "No verdict: that takes at least 8 controls and three of four of them right." in found.trust.sentence
    )
    assert said in found.trust.sentence
    assert [(one.paired.verdict, one.measured) for one in found.verdicts] == [("open", None)]


def test_a_judge_that_can_be_trusted(folder: Path) -> None:
    """One that is right on controls refutes what answers badly, and its calls are counted."""
    found = judged("honest", folder)
    assert (found.trust.right, found.trust.contradicted) == (24, 0)
    (verdict,) = found.verdicts
    assert verdict.paired.verdict == "refuted"
    assert verdict.paired.difference == pytest.approx(-1 / 3)
    assert verdict.measured.judge.startswith("gpt-4.1, pairwise in both orders, rubric ")
    answers = sum(cost for cost in verdict.cost) * 60
    assert found.spent > answers * 2, "what judging cost is counted"


def test_a_judge_that_leans_to_the_first_is_evened_out(folder: Path) -> None:
    """A preference for the first answer is reported; both orders cancel it, at the price of contradictions."""
    found = judged("mostly first", folder)
    assert found.trust.first > 0.5
    assert found.trust.contradicted > 0
    assert found.trust.holds is (found.trust.right >= 18)


def test_a_model_does_not_judge_itself_unless_allowed(folder: Path) -> None:
    """Neither as a candidate nor within a policy."""
    for configurations in (["gpt-4.1"], ["gpt-4.1-mini", "own.toml"]):
        (folder / "own.toml").write_text('models = ["gpt-4.1", "gpt-4o"]\n')
        with pytest.raises(
            PolicyError, match=r"gpt-4.1 would judge answers of its own, those of (gpt-4.1|own). Name"
        ):
            evaluate(examples(), configurations, judge="model:gpt-4.1", margin=5, store="a", at=TODAY, send=votes("first"))  # fmt: skip
    assert evaluate(examples(20), ["gpt-4.1"], judge="model:gpt-4.1", margin=5, store="a", at=TODAY, send=votes("honest"), judges_itself=True)  # fmt: skip
