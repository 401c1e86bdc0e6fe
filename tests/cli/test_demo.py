"""`routed demo`: run once as a user would, and its parts."""

from __future__ import annotations

import base64
import io
import json
import os
import re
import runpy
import subprocess
import sys
import wave
from datetime import date
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from routed_llm.cli.demo import samples
from routed_llm.cli.demo.cases import CASES, DAY, Case
from routed_llm.cli.demo.query_engine import EngineOutcome
from routed_llm.cli.demo.rendering import Screen
from routed_llm.cli.demo.running import Outcome, Pair, run_case, settings
from routed_llm.cli.screen import console, money
from routed_llm.policy import Policy
from routed_llm.simulator import serve
from routed_llm.tokens.images import data_url_size
from routed_llm.tokens.pdf import read_pdf
from routed_llm.tokens.text import default_counter

ROOT = Path(__file__).parents[2]
COMMAND = Path(sys.executable).parent / "routed"
SECONDS = 180

REFUSED_PLAIN = {
    "126K tokens in, 16K tokens out": "400 context_length_exceeded",
    "200K tokens in": "400 context_length_exceeded",
    "300K tokens in": "400 context_length_exceeded",
    "900K tokens in": "400 context_length_exceeded",
    "2M tokens in": "400 context_length_exceeded",
    "a voice clip": "400 invalid_value",
    "gpt-5.5 named for the call, temperature 0.2": "400 unsupported_value",
    "the short question, 2027-01-15": "404 model_not_found",
}


@pytest.fixture(scope="module")
def demo() -> dict[str, Any]:
    """What `routed demo --json` prints in a process of its own."""
    done = subprocess.run(
        [COMMAND, "demo", "--json"], capture_output=True, text=True, timeout=SECONDS, check=False
    )
    assert (done.returncode, done.stderr) == (0, "")
    printed: dict[str, Any] = json.loads(done.stdout)
    return printed


def test_the_demo_runs_as_a_user_would(demo: dict[str, Any], subtests: pytest.Subtests) -> None:
    """Every case comes out as it should and nothing routed is refused."""
    assert demo["refused"] == {"routed": 0, "plain": len(REFUSED_PLAIN)}
    assert demo["llama_index"]["skipped"] is None
    assert all(shown["routed"]["seconds"] > 0 for shown in demo["cases"] if shown["routed"]["answered"])
    assert "RoutedLLM" in demo["llama_index"]["text"]
    assert len(demo["cases"]) == len(CASES) >= 14
    for case, shown in zip(CASES, demo["cases"], strict=True):
        with subtests.test(case.title):
            check_plain(case, shown["plain"])
            check_routed(case, shown["routed"])
            assert shown["as_it_should"] is True


def test_the_readme_shows_what_the_demo_gives(demo: dict[str, Any]) -> None:
    """The README's table is what this run of the demo came to; `python scripts/shown.py` writes it."""
    shown = runpy.run_path(str(ROOT / "scripts" / "shown.py"))
    assert shown["shown_table"]((ROOT / "README.md").read_text(encoding="utf-8")) == shown["table"](demo)


def test_the_documented_keys_are_printed(demo: dict[str, Any]) -> None:
    """docs/json.md names the keys of the demo's document."""
    part = (ROOT / "docs" / "json.md").read_text(encoding="utf-8").partition("## `routed demo`\n")[2]
    part = part.partition("\n## ")[0]
    case = demo["cases"][0]
    named = {*demo, *case, *case["routed"], *demo["llama_index"], *demo["refused"]}
    assert set(re.findall(r"`(\w+)`", part)) == named


def check_plain(case: Case, plain: dict[str, Any]) -> None:
    """Plain gpt-4o is refused where it breaks a rule, and answers otherwise."""
    assert plain["code"] == REFUSED_PLAIN.get(case.title)
    assert plain["answered"] is (case.title not in REFUSED_PLAIN)


def check_routed(case: Case, routed: dict[str, Any]) -> None:
    """Answered by what was decided, and billed as booked; too large: refused before anything is sent."""
    if case.refused:
        assert (routed["code"], routed["sent"], routed["answered"]) == ("NoModelFits", 0, False)
        return
    assert routed["answered"] is True
    assert routed["sent"] == len(routed["routing"]) == len(case.turns)
    assert Decimal(routed["billed"]) > 0
    assert Decimal(routed["estimated"]) > 0
    for record, served in zip(routed["routing"], routed["served"], strict=True):
        assert record["served"] == served
        assert served.startswith(record["model"])
        assert record["at"] == (case.at or DAY).isoformat()
    # What routing booked for itself is what the simulator, which has its own prices, billed.
    costs = [Decimal(record["cost"]) for record in routed["routing"]]
    assert sum(costs) == Decimal(routed["billed"])
    if case.policy is not None and case.policy.max_cost_per_call is not None:
        assert Decimal(routed["estimated"]) <= case.policy.max_cost_per_call
        assert Decimal(routed["billed"]) <= case.policy.max_cost_per_call
    if len(case.turns) > 1:
        # One model, and the later turns are read partly from its prompt cache.
        assert len(set(routed["served"])) == 1
        assert max(costs[1:]) < costs[0]


def test_a_case_is_shown_with_both_columns(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """A row shows what plain gpt-4o did, and beside it who served, for how much and in what time."""
    monkeypatch.setenv("COLUMNS", "80")
    case = next(case for case in CASES if case.at == date(2027, 1, 15))
    with settings(), serve(at=DAY) as simulator:
        pair = run_case(case, simulator, DAY)
    screen = Screen(console(), why=True)
    screen.begin("http://127.0.0.1:1/v1", DAY)
    screen.case(pair)
    screen.end([pair], EngineOutcome(skipped="LlamaIndex: left out."))
    shown = capsys.readouterr().out
    text = " ".join(shown.split())
    assert max(len(line) for line in shown.splitlines()) <= 80
    (record,) = pair.routed.records
    assert f"model_not_found {record['model']}@{record['effort']} {money(pair.routed.billed)}" in text
    assert record["why"] in text
    assert "Answered: RoutedChatModel 1 of 1, ChatOpenAI 0." in text
    assert "Refused by the API: RoutedChatModel 0, ChatOpenAI 1." in text
    assert "`routed explain FILE` says" in text
    assert "NOT AS IT SHOULD BE" not in text


def test_the_best_is_added_up_apart_from_the_cheapest(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Who pays for the best does not spoil, nor flatter, the sum of those who asked for the cheapest."""
    monkeypatch.setenv("COLUMNS", "80")

    def pair(routed: str, plain: str, policy: Policy | None = None) -> Pair:
        case = Case(title="a case", turns=(), policy=policy)
        outcomes = (Outcome(answered=True, billed=Decimal(sum_), seconds=2.0) for sum_ in (routed, plain))
        return Pair(case=case, at=DAY, routed=next(outcomes), plain=next(outcomes))

    best = Policy(optimize="quality")
    Screen(console()).end([pair("1", "3"), pair("2", "4"), pair("9", "5", best)], EngineOutcome())
    text = " ".join(capsys.readouterr().out.split())
    assert (
        "Both answered, 2 cases that asked for the cheapest: routed $3.00 in 4 s, plain $7.00 in 4 s. "
        "Both answered, 1 case that asked for the best: routed $9.00 in 2 s, plain $5.00 in 2 s." in text
    )


def test_no_amount_is_cut(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    """The smallest and the largest amounts that a case comes to stand on one line."""
    monkeypatch.setenv("COLUMNS", "80")
    for billed in ("0.0000000123", "0.0000268", "123.45"):
        outcome = Outcome(answered=True, billed=Decimal(billed), seconds=123.0)
        Screen(console()).case(
            Pair(case=Case(title="a case", turns=()), at=DAY, routed=outcome, plain=outcome)
        )
        assert capsys.readouterr().out.count(money(Decimal(billed))) == 2


REFUSED_BY_API = Outcome(answered=False, refused=1, code="400 unsupported_value")
NO_MODEL = Outcome(answered=False, code="NoModelFits")
ANSWERED = Outcome(answered=True)
LATER = date(2027, 6, 1)


@pytest.mark.parametrize(
    ("refused", "at", "outcome", "expected"),
    [
        pytest.param(False, DAY, ANSWERED, True, id="answered"),
        pytest.param(False, DAY, REFUSED_BY_API, False, id="refused by the API"),
        pytest.param(False, LATER, REFUSED_BY_API, False, id="refused by the API on another day"),
        pytest.param(False, DAY, NO_MODEL, False, id="no model for what fits"),
        pytest.param(False, LATER, NO_MODEL, True, id="no model any more"),
        pytest.param(True, DAY, NO_MODEL, True, id="no model for what does not fit"),
        pytest.param(True, DAY, ANSWERED, False, id="a model for what does not fit"),
        pytest.param(False, DAY, Outcome(answered=True, refused=1), False, id="refused, then answered"),
        pytest.param(False, LATER, Outcome(answered=False, code="500"), False, id="failed"),
    ],
)
def test_the_demo_fails_on_any_other_outcome(
    refused: bool, at: date, outcome: Outcome, expected: bool
) -> None:
    """Only a case that is answered at once, or refused before anything is sent as it should, counts."""
    case = Case(title="a case", turns=(), refused=refused)
    assert Pair(case=case, at=at, routed=outcome, plain=outcome).as_it_should is expected


def test_the_user_s_settings_stay_out_and_come_back(monkeypatch: pytest.MonkeyPatch) -> None:
    """Keys, proxies and tracing of the user don't reach the demo, and are there after it."""
    monkeypatch.setenv("OPENAI_API_KEY", "sk-mine")
    monkeypatch.setenv("LANGSMITH_TRACING", "true")
    with settings():
        assert "OPENAI_API_KEY" not in os.environ
        assert "LANGSMITH_TRACING" not in os.environ
        assert os.environ["NO_PROXY"] == "127.0.0.1"
    assert os.environ["OPENAI_API_KEY"] == "sk-mine"
    assert os.environ["LANGSMITH_TRACING"] == "true"


@pytest.mark.parametrize("tokens", [2_000, 6_000, 126_000, 200_000, 900_000], ids=str)
def test_a_log_has_the_length_asked_for(tokens: int) -> None:
    """The text is within one percent of the tokens asked for."""
    (counted,) = default_counter().count([samples.log(tokens, "Why?")])
    assert counted == pytest.approx(tokens, rel=0.01)


def test_the_image_the_clip_and_the_pdf_are_what_they_say() -> None:
    """Other readers than the demo's own make sense of what it draws, records and writes."""
    assert data_url_size(samples.picture())[:2] == (1024, 768)
    with wave.open(io.BytesIO(base64.b64decode(samples.voice(2.0)))) as clip:
        assert clip.getnframes() / clip.getframerate() == 2.0
    found = read_pdf(base64.b64decode(samples.pdf("Due on Monday").partition(",")[2]))
    assert (found.pages, found.is_estimate) == (1, False)
    assert "Due on Monday" in "".join(found.texts)
