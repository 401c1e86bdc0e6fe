"""Comparing: verdicts and rows, what is kept, budgets, and runs that are killed in the middle."""

from __future__ import annotations

import json
import multiprocessing
import os
import random
import signal
import stat
import subprocess
import sys
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from evaluate_support import TODAY, Api, examples, run_command

from routed_llm import Answered, LedgerError, Policy, PolicyError, RequestBuilder, Router, Usage
from routed_llm.evaluate import Answer, evaluate, read_examples
from routed_llm.evaluate.asking import Kept
from routed_llm.measures import read_measures
from routed_llm.simulator import serve


def rule(model: str, text: str) -> str:
    """Answer rightly; gpt-4.1-mini is wrong on every fourth question."""
    number = int("".join(c for c in text if c.isdigit()))
    return "no idea" if model == "gpt-4.1-mini" and number % 4 == 0 else f"answer {number}"


def compared(api: Api, folder: Path, configurations: Any = ("gpt-4.1", "gpt-4.1-mini"), **given: Any) -> Any:
    """Compare with the exact judge."""
    given = {"judge": "exact", "margin": 5, "store": folder / "answers", "at": TODAY, **given}
    return evaluate(given.pop("examples", examples(100)), configurations, send=api, **given)


def test_verdicts_and_rows(tmp_path: Path) -> None:
    """What is as good is proven, what is worse is refuted; each gives a row, and calls are made once."""
    api = Api(rule)
    found = compared(api, tmp_path, tag="feature=support")
    assert [(one.name, one.paired.verdict) for one in found.verdicts] == [
        ("gpt-4.1", "proven"),
        ("gpt-4.1-mini", "refuted"),
    ]
    row = found.verdicts[1].measured
    assert (row.tag, row.n, row.difference, row.baseline, row.longest) == (
        "feature=support",
        100,
        -25.0,
        "gpt-4o",
        20,
    )
    assert len(api.asked) == 300
    assert compared(api, tmp_path, tag="feature=support") == found
    assert len(api.asked) == 300
    assert stat.S_IMODE((tmp_path / "answers").stat().st_mode) == 0o600


def test_by_tag(tmp_path: Path) -> None:
    """Each value of a tag has a verdict and a row of its own, all corrected for one another."""
    both = [*examples(40, tags={"feature": "a"}), *examples(100, tags={"feature": "b"})[40:]]
    found = compared(Api(rule), tmp_path, by="feature", examples=both)
    assert [(one.group, one.paired.n) for one in found.verdicts] == [("feature=a", 40), ("feature=b", 60)] * 2
    assert max(one.paired.level for one in found.verdicts) > 0.98
    with pytest.raises(PolicyError, match=r"No example has the tag 'team'. Name one that they have."):
        compared(Api(rule), tmp_path, by="team", examples=both)


def test_a_policy(tmp_path: Path) -> None:
    """A policy is compared as a whole, and gives no row."""
    policy = Policy(models=["gpt-4.1", "gpt-4o"])
    (one,) = compared(Api(rule), tmp_path, [policy], tag="f=x").verdicts
    assert (one.paired.verdict, one.measured) == ("proven", None)


def test_answers_that_are_there_are_not_asked_for(tmp_path: Path) -> None:
    """The pairs of a shadow, and a baseline that is gone, need no call."""
    kept = [
        one.__class__(body=one.body, expected=one.expected, answers={"gpt-4o": Answer(text=f"answer {i}")})
        for i, one in enumerate(examples(50))
    ]
    api = Api(rule)
    assert compared(api, tmp_path, ["gpt-4.1"], examples=kept).verdicts[0].paired.n == 50
    assert {model for model, _ in api.asked} == {"gpt-4.1"}


def test_failures_are_left_out_and_asked_again(tmp_path: Path) -> None:
    """A call that failed is named, its example left out, and the next run asks for it alone."""
    down = Api(lambda model, text: "status 401" if model == "gpt-4.1" and "7?" in text else rule(model, text))
    found = compared(down, tmp_path, ["gpt-4.1"])
    assert (found.complete, found.verdicts[0].left_out, found.verdicts[0].paired.n) == (False, 10, 90)
    assert list(found.failed.values()) == [10]
    api = Api(rule)
    assert compared(api, tmp_path, ["gpt-4.1"]).complete
    assert len(api.asked) == 10


def test_the_forecast_may_be_refused(tmp_path: Path) -> None:
    """It counts calls, dollars by the router's estimates, and what cannot be sent; then nothing is."""
    heard: list[Any] = []
    api = Api(rule)
    assert compared(api, tmp_path, confirm=lambda forecast: heard.append(forecast)) is None
    (forecast,) = heard
    assert (forecast.calls, forecast.kept, forecast.refused) == (300, 0, {})
    assert 0 < forecast.dollars <= forecast.most  # capped at a few tokens, all are expected
    assert api.asked == []


def test_a_budget_is_kept(tmp_path: Path) -> None:
    """No call is sent that could cost more than is left; what was answered counts at its cost."""
    api = Api(rule)
    found = compared(api, tmp_path, ["gpt-4.1"], budget="0.004")
    assert found.spent <= Decimal("0.004")
    assert 20 < len(api.asked) < 200
    assert list(found.failed) == ["the budget of $0.004 has no room for calls that may cost so much"]


def test_old_answers_go(tmp_path: Path) -> None:
    """Answers are forgotten after the days that they are kept for; what they cost is not."""
    compared(Api(rule), tmp_path, ["gpt-4.1"])
    store = Kept(tmp_path / "answers", keep_days=0)
    store._db.execute("UPDATE calls SET at = '2020-01-01'")
    spent = store.spent
    with pytest.raises(LedgerError, match=r"Another run uses it: wait for that one."):
        Kept(tmp_path / "answers")
    store.close()
    store = Kept(tmp_path / "answers", keep_days=30)
    assert store._db.execute("SELECT count(answer) FROM calls").fetchone() == (0,)
    assert store.spent == spent
    store.close()


@pytest.mark.parametrize("how", [signal.SIGKILL, signal.SIGTERM], ids=["killed", "asked to stop"])
def test_runs_that_end_in_the_middle(how: signal.Signals, tmp_path: Path) -> None:
    """Ten runs are ended at any moment; the eleventh completes what they began, within the budget.

    What was answered is never asked for again. What was under way when a run was killed is not known: at most
    as many calls as run at a time, and each counts as spent at the most that it may have cost. A run
    that is asked to stop waits for them.
    """
    number, at_once, budget = 100, 4, Decimal("0.3")
    file, found = tmp_path / "examples.jsonl", tmp_path / "found.json"
    file.write_text("\n".join(json.dumps(one.to_dict()) for one in examples(number)))
    rng, started = random.Random(4), multiprocessing.get_context("forkserver")
    started.set_forkserver_preload(["routed_llm.cli.compare", "routed_llm.evaluate"])
    with serve(at=TODAY) as simulator:
        simulator.faults.add(kind="slow_first_token", times=0, seconds=0.1)
        command = ["compare", str(file), "gpt-4.1", "--judge", "json", "--margin", "20", "--yes"]
        command += ["--at", str(TODAY), "--json", "--concurrency", str(at_once), "--budget", str(budget)]

        def run() -> Any:
            made = started.Process(target=run_command, args=(command, simulator.url, str(found)))
            made.start()
            return made

        for _ in range(10):
            asked, process = len(simulator.journal), run()
            while len(simulator.journal) < asked + 4 and process.is_alive():
                process.join(0.01)
            process.join(rng.random() * 0.2)
            os.kill(process.pid, how)
            process.join(30)
        assert not found.exists(), "each was ended before it was through"
        run().join(60)
        asked, billed = len(simulator.journal), simulator.billed
    done = json.loads(found.read_text())
    assert done["verdicts"][0]["n"] == number
    assert 2 * number <= asked <= 2 * number + (10 * at_once if how is signal.SIGKILL else 0)
    assert billed <= Decimal(done["spent"]) <= budget


def test_the_command_keeps_the_baseline_and_writes_rows(tmp_path: Path) -> None:
    """`--keep-baseline` leaves examples with the baseline's answers, `--write` rows that a Policy reads."""
    file, rows, kept = tmp_path / "e.jsonl", tmp_path / "measures/support.toml", tmp_path / "kept.jsonl"
    file.write_text("\n".join(json.dumps(one.to_dict()) for one in examples(20)))
    with serve(at=TODAY) as simulator:
        simulator.script("yes", times=0)
        command = [
            str(Path(sys.executable).parent / "routed"),
            "compare",
            str(file),
            "gpt-4.1",
            "--at",
            str(TODAY),
        ]
        command += ["--judge", "regex:yes", "--margin", "20", "--tag", "f=x", "--write", str(rows)]
        command += ["--keep-baseline", str(kept)]
        env = {**os.environ, "OPENAI_BASE_URL": simulator.url, "OPENAI_API_KEY": "x"}
        refused = subprocess.run(command, env=env, capture_output=True, text=True, input="", check=False)
        assert (refused.returncode, len(simulator.journal)) == (2, 0)
        assert refused.stderr.endswith("Nothing was sent. Add --yes to agree to that.\n")
        for _ in range(2):
            done = subprocess.run([*command, "--yes"], env=env, capture_output=True, text=True, check=True)
    assert "+0.0 [-" in done.stdout
    assert [row.configuration for row in read_measures(rows)] == ["gpt-4.1"]
    assert [one.answers["gpt-4o"].text for one in read_examples(kept)] == ["yes"] * 20
    assert stat.S_IMODE(kept.stat().st_mode) == 0o600


def test_the_pairs_of_a_shadow_are_judged_without_a_call(tmp_path: Path) -> None:
    """What a shadow kept with prompts is read, judged and gives a row for the calls' tag."""
    log, used = tmp_path / "log.jsonl", Usage(input_tokens=20, output_tokens=9)
    router = Router(clock=lambda: TODAY, mode="shadow", sample=1, keep="prompts", log=log)
    for number in range(30):
        request = RequestBuilder().message("user").text(f"Question {number}?").build()
        run = router.begin(router.decide(request, scope={"feature": "support"}))
        run.settle(used)
        run.offer(lambda decision: Answered(used, None, "yes"), "yes" if number % 2 else "no")
        router.wait()
    kept = read_examples(log)
    (routed,) = {name for one in kept for name in one.answers} - {"gpt-4o"}
    api = Api(rule)
    (verdict,) = compared(api, tmp_path, [routed], examples=kept, judge="regex:yes", by="feature").verdicts
    assert api.asked == []
    assert (verdict.paired.n, verdict.paired.difference, verdict.paired.verdict) == (30, 0.5, "proven")
    assert verdict.measured.tag == "feature=support"
