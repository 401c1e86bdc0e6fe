"""What a decision log adds up to, how routing's dollars are worked out, and what `routed report` says."""

from __future__ import annotations

import json
from collections import Counter
from datetime import date
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from routed_llm import Decision, RequestBuilder, Router, Usage, read_openai
from routed_llm.cli.main import main
from routed_llm.cli.screen import money
from routed_llm.errors import RequestError
from routed_llm.replay import Summary, read_log, summarize

PRICE = Decimal("0.0000012")
"""US dollars of an output token in these logs."""


def call(used: int = 50, *, guess: int = 100, **more: Any) -> dict[str, Any]:
    """Return a call that the baseline answered in shadow."""
    return {
        "version": 1,
        "time": "2026-11-22T10:00:00+00:00",
        "mode": "shadow",
        "arm": "baseline",
        "outcome": "answered",
        "kind": "text",
        "model": "gpt-4o",
        "cost": "0.001",
        "usage": {"input_tokens": 100, "output_tokens": used},
        "key": "abc",
        "tags": {"user": "ann"},
        "baseline": {"model": "gpt-4o", "cost": "0.001", "refused": None},
        "routed": {
            "model": "gpt-5.6-luna",
            "effort": "low",
            "cost": str(Decimal("0.0001") + guess * PRICE),
            "output_cost": str(guess * PRICE),
            "output_tokens": guess,
            "published_tokens": guess,
            "published_range": [guess // 2, guess * 2],
            "by": "published",
            "refused": None,
            "changes": [["temperature", "dropped"]],
        },
        **more,
    }


def second(written: int, **more: Any) -> dict[str, Any]:
    """Return a sampled second call."""
    usage = {"input_tokens": 100, "output_tokens": written}
    own = {"arm": "second", "model": "gpt-5.6-luna", "effort": "low", "cost": "0.0002", "usage": usage}
    return {**call(), **own, **more}


def routed(written: int) -> dict[str, Any]:
    """Return a call that routing answered in a rollout."""
    return {**second(written), "mode": "rollout", "arm": "routed"}


def logged(path: Path, *entries: dict[str, Any]) -> Path:
    """Write a log."""
    path.write_text("".join(json.dumps(entry, separators=(",", ":")) + "\n" for entry in entries))
    return path


def added(path: Path, *entries: dict[str, Any]) -> Summary:
    """Write a log and add it up."""
    return summarize(logged(path, *entries))


def test_published_ratios_alone(tmp_path: Path) -> None:
    """Without an answer of the routed model the sum is the published one, within the range of ratios."""
    found = added(tmp_path / "log", *[call()] * 10)
    assert found.total.routed == 10 * (Decimal("0.0001") + 100 * PRICE)
    interval = found.interval
    assert interval is not None
    assert (interval.low, interval.high, interval.confidence) == (
        10 * (Decimal("0.0001") + 50 * PRICE),
        10 * (Decimal("0.0001") + 200 * PRICE),
        None,
    )
    assert (found.estimate.published, found.estimate.answers) == (10, 0)


def test_second_answers_correct_every_call(tmp_path: Path) -> None:
    """Each call is worked out with what second answers had more than expected; their dollars stay apart."""
    found = added(tmp_path / "log", *[call()] * 10, *[call(guess=300)] * 10, *[second(150)] * 5)
    assert found.total.calls == 20
    assert found.total.routed == 10 * (Decimal("0.0002") + 500 * PRICE)
    assert found.days["2026-11-22"].routed == found.tags["user=ann"].routed == found.total.routed
    assert (found.seconds.answered, found.seconds.billed) == (5, Decimal("0.001"))
    assert found.total.billed == Decimal("0.020")
    interval = found.interval
    assert interval is not None
    assert (interval.low, interval.high, interval.confidence) == (found.total.routed,) * 2 + (0.95,)


def test_answers_of_a_rollout_count_from_another_log(tmp_path: Path) -> None:
    """A rollout's log says what calls of the kind write, however much the baseline wrote."""
    rollout = logged(tmp_path / "rollout", *[routed(200)] * 4)
    shadow = logged(tmp_path / "log", call(), call(guess=300))
    found = summarize(shadow, [rollout])
    assert found.total.routed == 2 * (Decimal("0.0001") + 200 * PRICE)
    assert (found.estimate.unpaired, found.estimate.answers) == (2, 4)


def test_what_was_carried_is_not_carried_twice(tmp_path: Path) -> None:
    """A call worked out by an earlier log is corrected from the published figure, not from its own."""
    carried = call()
    carried["routed"] |= {"output_tokens": 180, "output_cost": str(180 * PRICE), "by": "observed"}
    carried["routed"]["cost"] = str(Decimal("0.0001") + 180 * PRICE)
    alone = added(tmp_path / "log", carried)
    assert alone.total.routed == Decimal("0.0001") + 180 * PRICE
    assert (alone.estimate.carried, alone.interval) == (1, None)
    again = added(tmp_path / "log", carried, *[second(150)] * 4)
    assert again.total.routed == Decimal("0.0001") + 150 * PRICE


def test_a_wide_sample_is_less_sure(tmp_path: Path) -> None:
    """The more second answers differ, the wider the interval."""
    near = added(tmp_path / "near", *[call()] * 100, *[second(150 + n) for n in range(10)])
    far = added(tmp_path / "far", *[call()] * 100, *[second(100 + 10 * n) for n in range(10)])
    assert near.interval is not None
    assert far.interval is not None
    assert far.interval.high - far.interval.low > 9 * (near.interval.high - near.interval.low)


def test_counts(tmp_path: Path) -> None:
    """Failures, refusals avoided, unknown costs and lines that are none are counted where they belong."""
    refused = {**call(), "outcome": "failed", "cost": None, "usage": None}
    refused["baseline"] = {"model": None, "cost": None, "refused": "max_input"}
    unpriced = {**call(), "cost": None}
    unserved = {**call(), "routed": {"model": None, "refused": "no_model_fits"}}
    path = logged(tmp_path / "log", call(), refused, unpriced, unserved)
    path.write_text(path.read_text() + '{"version": 1, "time"\n\nno line\n')
    found = summarize(path)
    total = found.total
    assert (total.calls, total.failed, total.avoided, total.unpriced, total.unserved) == (4, 1, 1, 1, 1)
    assert (found.broken, dict(found.refusals)) == (2, {"max_input": 1})
    assert found.changes == {("temperature", "dropped"): 3}


@pytest.mark.parametrize(
    ("entry", "message"),
    [
        pytest.param(None, "{path}: No such file or directory. Name a decision log.", id="no file"),
        pytest.param(
            {**call(), "version": 2},
            "{path} was written by a newer version (2). Update routed-llm.",
            id="a newer version",
        ),
    ],
)
def test_logs_that_cannot_be_read(entry: dict[str, Any] | None, message: str, tmp_path: Path) -> None:
    """A missing log, and one of a newer version, are refused."""
    path = tmp_path / "log"
    if entry is not None:
        logged(path, entry)
    with pytest.raises(RequestError) as caught:
        summarize(path)
    assert str(caught.value) == message.format(path=path)


def test_report_says_how_sure_it_is(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """The terminal, JSON and the page say the interval, what it rests on, and what the sample cost."""
    failed = {**second(0), "outcome": "failed", "why": "InternalServerError", "cost": None, "usage": None}
    path = logged(tmp_path / "log", *[call()] * 10, *[second(150 + n) for n in range(4)], failed)
    page = tmp_path / "page.html"
    assert main(["report", str(path), "--html", str(page)]) == 0
    printed = " ".join(capsys.readouterr().out.split())
    for sentence in (
        "With routing: $0.00282; $0.00279 to $0.00284 with 95% confidence.",
        "Output of routed models: 10 calls by second answers to the same requests.",
        "Sampled second calls: 4 answered for $0.000800, which is not in the figures above or below, "
        "1 failed (InternalServerError).",
    ):
        assert sentence in printed
        assert sentence in page.read_text()
    assert main(["report", str(path), "--json"]) == 0
    data = json.loads(capsys.readouterr().out)
    assert data["routed"]["confidence"] == 0.95
    assert data["routed"]["calls"] == {"paired": 10, "unpaired": 0, "carried": 0, "published": 0}
    assert (data["seconds"]["billed"], data["total"]["billed"]) == ("0.0008", "0.01")


def test_what_the_provider_names_instead(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """A log says what the provider's replacement was expected to cost beside routing's choice."""
    monkeypatch.setenv("ROUTED_LOG", str(tmp_path / "log"))
    router = Router(clock=lambda: date(2026, 11, 29))
    expected = [Decimal(0), Decimal(0)]
    for words in (10, 2_000):
        builder = RequestBuilder()
        builder.message("user")
        builder.text("word " * words)
        decision = router.decide(builder.build())
        assert decision.replacement is not None
        assert decision.chosen is not None
        expected[0] += Decimal(decision.replacement["cost"])
        expected[1] += decision.chosen.dollars or 0
        router.begin(decision).settle(Usage(input_tokens=words, output_tokens=50))
    assert main(["report", str(tmp_path / "log"), "--json"]) == 0
    (found,) = json.loads(capsys.readouterr().out)["replacements"].items()
    assert found[0] == "gpt-6-luna@medium"
    assert (found[1]["calls"], [Decimal(found[1][name]) for name in ("cost", "routed")]) == (2, expected)
    (why,) = found[1]["why_not"]
    assert why.startswith("not in the pool; ")
    assert main(["report", str(tmp_path / "log")]) == 0
    printed = " ".join(capsys.readouterr().out.split())
    assert (
        f"gpt-6-luna@medium, which the provider names in the baseline's place, was expected to cost "
        f"{money(expected[0])} where routing's choice was expected to cost {money(expected[1])} (2 calls). "
        f"Not chosen: {why} (2)."
    ) in printed


def test_report_without_a_sample_says_so(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """By published ratios alone the report says how wide their range is, and what would tell."""
    path = logged(tmp_path / "log", *[call()] * 10)
    assert main(["report", str(path)]) == 0
    printed = " ".join(capsys.readouterr().out.split())
    assert (
        "With routing: $0.00220; $0.00160 to $0.00340 by the range of published ratios. Output of routed "
        "models: 10 by published ratios alone, which say little of a program's own answers. "
        "ROUTED_SAMPLE=0.05 sends a part of the calls twice, and shows it."
    ) in printed


def routed_at(day: str, **more: Any) -> dict[str, Any]:
    """Return what a Router writes of a short question, on a day."""
    decided = _decided(day)
    who = {"model": decided.model, "effort": decided.effort}
    return {
        **call(),
        "mode": "route",
        "arm": "routed",
        "at": day,
        "facts": decided.facts.to_dict(),
        **who,
        "baseline": {"model": "gpt-4o", "cost": "0.001", "refused": None},
        "routed": {**who, "cost": "0.0002"},
        **more,
    }


def _decided(day: str) -> Decision:
    return Router().explain(read_openai({"input": "What is a tide?"}), at=date.fromisoformat(day))


def test_quality_time_and_failures_stand_beside_money(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each group has the part of its areas that is measured, its waits, failures and avoided refusals."""
    monkeypatch.setenv("COLUMNS", "120")
    retired = {"model": "gpt-4o", "cost": None, "refused": "retired"}
    log = logged(
        tmp_path / "log",
        routed_at("2026-11-22", took={"first": 0.5, "whole": 2.0}),
        routed_at("2026-11-22", took={"whole": 3.0}, outcome="failed", cost=None, tags={"user": "bob"}),
        routed_at("2027-01-15", time="2027-01-15T10:00:00+00:00", baseline=retired),
    )
    decided = _decided("2026-11-22")
    share = len(decided.evidence) / (len(decided.evidence) + len(decided.without_evidence))
    found = summarize(log)
    assert found.total.evidence == pytest.approx(share)
    assert [found.days[day].avoided for day in ("2026-11-22", "2027-01-15")] == [0, 1]
    page = tmp_path / "page.html"
    assert main(["report", str(log), "--html", str(page)]) == 0
    lines = capsys.readouterr().out.splitlines()
    row = next(line for line in lines if line.startswith("2026-11-22"))
    assert row.split()[1:7] == ["2", "1", "0", f"{share:.0%}", "3.0", "3.0"]
    assert next(line for line in lines if line.startswith("user=bob")).split()[1:3] == ["1", "1"]
    text = page.read_text(encoding="utf-8")
    order = [text.index(part) for part in ("<svg", 'class="tiles"', "<h2>By day", "<h2>By tag")]
    assert order == sorted(order)
    assert f"<b>{share:.0%}</b>of areas measured" in text
    assert "<b>1</b>refusals avoided" in text
    assert "<b>1</b>calls failed" in text
    tallest = max(day.baseline for day in found.days.values())
    assert f'text-anchor="end">{money(tallest)}</text>' in text  # the scale of the picture


@pytest.mark.parametrize(
    "more",
    [
        pytest.param({"facts": None}, id="an older log"),
        pytest.param({"routed": {"model": "gpt-4.1-nano", "effort": None}}, id="a model that is gone"),
        pytest.param({"policy": {"at_least": "gpt-9"}}, id="a policy that names what is unknown"),
    ],
)
def test_what_cannot_be_asked_again_counts_for_no_area(tmp_path: Path, more: dict[str, Any]) -> None:
    """Where the catalog cannot say, there is no figure, and no failure."""
    assert added(tmp_path / "log", routed_at("2026-11-22", **more)).total.evidence is None


@pytest.mark.parametrize("width", [80, 60], ids=str)
def test_a_narrow_screen_cuts_no_number(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, width: int
) -> None:
    """Each word and number of a wide screen stands on a narrow one, too."""
    log = logged(tmp_path / "log", *[call(tags={"feature": "answers in five countries"})] * 1234)
    shown = {}
    for columns in (200, width):
        monkeypatch.setenv("COLUMNS", str(columns))
        assert main(["report", str(log)]) == 0
        shown[columns] = Counter(capsys.readouterr().out.split())
    assert shown[200] - shown[width] == Counter()


def test_read_log_gives_none_for_a_broken_line(tmp_path: Path) -> None:
    """A line cut off by a crash is no entry and stops nothing."""
    path = logged(tmp_path / "log", call())
    path.write_text('{"version"\n' + path.read_text())
    assert [entry is None for entry in read_log(path)] == [True, False]
