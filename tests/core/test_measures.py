"""A user's own measures: dated rows that outrank what is published, for the calls that they speak of."""
# ruff: noqa: E501 - tables of one case a row

from __future__ import annotations

import json
import pickle
from dataclasses import replace
from datetime import date
from pathlib import Path
from typing import Any

import pytest

from routed_llm import Policy, PolicyError, RequestBuilder, Router, scoped
from routed_llm.measures import Measured, read_measures, write_measure

TODAY = date(2026, 11, 22)
PROVEN = Measured(
    configuration="gpt-5.4-nano@none",
    baseline="gpt-4o",
    n=200,
    difference=0.4,
    interval=(-1.6, 2.5),
    margin=2.0,
    judge="exact",
    date=date(2026, 11, 20),
    tag="feature=support",
)
REFUTED = replace(PROVEN, configuration="gpt-5.6-luna@low", difference=-5.0, interval=(-8.0, -2.1))
TAGS = {"feature": "support", "team": "shop"}


def explain(rows: Any, *, words: int = 2, at: date = TODAY, tags: Any = TAGS, **policy: Any) -> Any:
    """Decide for a short text under some rows."""
    request = RequestBuilder().message("user").text("Hello there " * (words // 2)).build()
    policy.setdefault("models", ["gpt-4o", "gpt-5.4-nano"])
    return Router(policy=Policy(measures=rows, **policy)).explain(request, at=at, scope=tags)


VERDICTS = [
    ("not worse by the margin", (-1.9, 2.0), "proven"),
    ("worse, but within the margin", (-1.9, -0.1), "proven"),
    ("it may be worse by the margin", (-2.0, 3.0), "open"),
    ("worse, and perhaps by more than the margin", (-2.1, -0.1), "refuted"),
    ("worse by more than the margin", (-9.0, -3.0), "refuted"),
]


@pytest.mark.parametrize(("interval", "verdict"), [c[1:] for c in VERDICTS], ids=[c[0] for c in VERDICTS])
def test_verdicts(interval: tuple[float, float], verdict: str) -> None:
    """The interval and the margin settle what a row says."""
    assert replace(PROVEN, interval=interval).verdict == verdict


CASES = [
    ("proven where nothing published was enough", [PROVEN], {}, "gpt-5.4-nano"),
    ("from a list, too, that names others", [replace(PROVEN, configuration="gpt-6-luna@none")], {"also": "gpt-6-luna"}, "gpt-6-luna"),
    ("for calls of a task", [replace(PROVEN, tag=None, task="coding")], {"task": "coding"}, "gpt-5.4-nano"),
    ("another task", [replace(PROVEN, tag=None, task="coding")], {"task": "summary"}, None),
    ("another tag", [PROVEN], {"tags": {"feature": "search"}}, None),
    ("no tag", [PROVEN], {"tags": None}, None),
    ("a tag and a task, of which one is missing", [replace(PROVEN, task="coding")], {}, None),
    ("another baseline", [replace(PROVEN, baseline="gpt-4.1")], {}, None),
    ("a snapshot of the baseline", [replace(PROVEN, baseline="gpt-4o-2024-08-06")], {}, "gpt-5.4-nano"),
    ("not known yet", [replace(PROVEN, date=date(2026, 11, 23))], {}, None),
    ("the newest counts", [PROVEN, replace(PROVEN, date=date(2026, 11, 21), interval=(-9.0, -3.0))], {}, None),
    ("whatever their order", [replace(PROVEN, date=date(2026, 11, 21), interval=(-9.0, -3.0)), PROVEN], {}, None),
    ("a request longer than any example by far", [PROVEN], {"words": 80_000}, None),
    ("as long as the examples", [replace(PROVEN, longest=90_000)], {"words": 80_000}, "gpt-5.4-nano"),
    ("undecided: what is published counts", [replace(PROVEN, interval=(-5.0, 3.0))], {}, None),
]  # fmt: skip


@pytest.mark.parametrize(("rows", "given", "model"), [c[1:] for c in CASES], ids=[c[0] for c in CASES])
def test_who_a_row_admits(rows: Any, given: dict[str, Any], model: str | None) -> None:
    """A row counts for calls with its tag and task, on its day and later, against its baseline, at its length."""
    decision, without = explain(rows, **given), explain((), **given)
    assert decision.model == (model or without.model)
    assert without.model != "gpt-5.4-nano"


def test_what_was_refuted_is_ruled_out_with_its_numbers() -> None:
    """A configuration that did worse on the user's examples is out, though published measures admit it."""
    before, after = (
        explain((), models=["gpt-5.6-luna", "gpt-4o"]),
        explain([REFUTED], models=["gpt-5.6-luna", "gpt-4o"]),
    )
    assert (before.model, before.effort) == ("gpt-5.6-luna", "low")
    assert (after.model, after.effort) != ("gpt-5.6-luna", "low")
    said = [reason.text for reason in after.reasons_against("gpt-5.6-luna") if reason.code == "floor_own"]
    assert said == ["gpt-5.6-luna at low is below gpt-4o on your own 200 examples: -5.0 points [-8.0, -2.1]"]


def test_why_names_the_examples() -> None:
    """The Decision's sentence and its evidence state the row's numbers."""
    decision = explain([PROVEN])
    assert "on your own 200 examples: +0.4 points [-1.6, 2.5]" in decision.why
    assert decision.record()["evidence"]["own examples"] == "proven"


def test_tags_of_a_block_around_the_call_count() -> None:
    """A `scoped` block says whom calls are for as well as the call itself."""
    with scoped(feature="support"):
        assert explain([PROVEN], tags=None).model == "gpt-5.4-nano"


def test_without_a_floor_nothing_is_ruled_out() -> None:
    """Who gave the floor up gave up rows, too."""
    decision = explain([replace(PROVEN, interval=(-9.0, -3.0))], at_least=None, models="gpt-5.4-nano")
    assert decision.model == "gpt-5.4-nano"


def test_rows_are_kept_in_files(tmp_path: Path) -> None:
    """Rows that are written are read again: from a file, a folder, a policy's file, a pickle, a copy."""
    for row in (PROVEN, REFUTED):
        write_measure(tmp_path / "measures" / "support.toml", row)
    assert read_measures(tmp_path / "measures" / "support.toml") == (PROVEN, REFUTED)
    policy = Policy(measures=tmp_path / "measures")
    assert policy.measures == (PROVEN, REFUTED)
    (tmp_path / "policy.toml").write_text('measures = "measures"\n')
    assert Policy.from_toml(tmp_path / "policy.toml") == policy
    assert pickle.loads(pickle.dumps(policy)) == policy.replace(grace=None) == policy
    assert Policy(measures=json.loads(json.dumps(policy.to_dict()["measures"]))) == policy


def test_a_file_that_the_environment_names(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Rows stand beside the policy's file, wherever the program was started."""
    write_measure(tmp_path / "rows.toml", PROVEN)
    text = 'measures = "rows.toml"\nmodels = ["gpt-4o", "gpt-5.4-nano"]\n'
    (tmp_path / "policy.toml").write_text(text)
    monkeypatch.setenv("ROUTED_POLICY", str(tmp_path / "policy.toml"))
    assert explain(()).model == "gpt-5.4-nano"


ROW = {"configuration": "gpt-4.1", "baseline": "gpt-4o", "n": 200, "difference": 0.4, "interval": [-1.6, 2.5], "margin": 2, "judge": "exact", "date": TODAY, "tag": "feature=support"}  # fmt: skip
FIELDS = "is missing, unknown or of the wrong kind in a row of measures. Give configuration, baseline, n, difference, interval, margin, judge, date, and tag or task."
WRONG = [
    ("no file", "nowhere.toml", "nowhere.toml: No such file or directory. Name a TOML file that can be read."),
    ("no path", 3, "measures holds 3. Give the path of a TOML file."),
    ("a misspelt field", {**ROW, "dif": 1}, f"measures: 'dif' {FIELDS}"),
    ("a field of another kind", {**ROW, "n": "many"}, f"measures: 'n' {FIELDS}"),
    ("an interval upside down", {**ROW, "interval": [2, 1]}, f"measures: 'interval' {FIELDS}"),
    ("for no calls", {name: value for name, value in ROW.items() if name != "tag"}, f"measures: 'tag' {FIELDS}"),
]  # fmt: skip


@pytest.mark.parametrize(("given", "text"), [c[1:] for c in WRONG], ids=[c[0] for c in WRONG])
def test_what_is_no_row_is_refused(given: Any, text: str) -> None:
    """The message names what is wrong and says what a row has."""
    with pytest.raises(PolicyError) as caught:
        Policy(measures=[given])
    assert str(caught.value) == text
