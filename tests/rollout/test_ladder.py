"""A rollout that climbs: promoted while bounds hold, stopped when one breaks, as one across a fleet."""
# ruff: noqa: E501 - tables of one case a row

from __future__ import annotations

import json
import random
from concurrent.futures import ThreadPoolExecutor
from datetime import date
from pathlib import Path
from typing import Any

import pytest

from routed_llm import LedgerError, MemoryLedger, PolicyError, RequestBuilder, Router, Usage, open_ledger
from routed_llm.rollout import Ladder
from routed_llm.rollout.ladder import Climb, Progress

DAY = date(2026, 11, 22)


class Clock:
    """A clock that is moved by hand."""

    now = 0.0

    def __call__(self) -> float:
        """Return its time."""
        return self.now


def climb(ledger: Any, clock: Clock, log: list[Any] | None = None, **given: Any) -> Climb:
    """Make one process's part."""
    note = (lambda _: None) if log is None else log.append
    return Climb(ladder=Ladder(**{"margin": 5, **given}), ledger=ledger, clock=clock, note=note)


def feed(
    part: Climb, clock: Clock, number: int, *, worse: float = 0.0, cost: float = 0.5, seed: int = 1
) -> None:
    """Take in pairs and costs, until it stops or reaches the top."""
    rng = random.Random(seed)
    for _ in range(number):
        draw = rng.random()
        part.pair(1.0 if draw < 0.05 else -1.0 if draw < 0.1 + worse else 0.0)
        part.cost(0.001 * cost * rng.uniform(0.5, 1.5), 0.001)
        clock.now += 0.1
        if part.share in (0.0, 1.0) and part.progress.stopped:
            return


RUNS: list[tuple[str, dict[str, Any], dict[str, Any], float, str | None]] = [
    ("as good and cheaper", {}, {}, 1.0, None),
    ("worse by twice the margin", {"worse": 0.1}, {}, 0.0, "points of quality are lost; 5 may be"),
    ("as good and dearer", {"cost": 1.5}, {}, 0.0, "more than the baseline's, on average"),
    ("as good and dearer, which it may be", {"cost": 1.5}, {"most_cost": 2}, 1.0, None),
    ("hardly anything seen", {"number": 60}, {}, 0.01, None),
    ("a ladder of two steps", {"number": 1200}, {"shares": (0.5, 0.8)}, 0.8, None),
]  # fmt: skip


@pytest.mark.parametrize(("fed", "ladder", "share", "said"), [c[1:] for c in RUNS], ids=[c[0] for c in RUNS])
def test_where_a_climb_ends(fed: Any, ladder: Any, share: float, said: str | None) -> None:
    """The share rises step by step while both bounds hold, and falls to nothing when one breaks."""
    clock, log = Clock(), []
    part = climb(MemoryLedger(), clock, log, **ladder)
    feed(part, clock, **{"number": 3000, **fed})
    assert part.share == share
    assert (part.progress.stopped or "").endswith(said or "")
    shares = [entry["ladder"]["share"] for entry in log if entry["outcome"] in ("promoted", "stopped")]
    assert shares == ([0.0] if said else list(part.ladder.shares[1 : part.progress.step + 1]))


def test_each_step_is_noted_with_its_numbers() -> None:
    """The log has every step and, ever more rarely, the bounds between."""
    clock, log = Clock(), []
    part = climb(MemoryLedger(), clock, log)
    feed(part, clock, 3000)
    first = next(entry for entry in log if entry["outcome"] == "promoted")
    numbers = first["ladder"]
    assert (numbers["margin"], numbers["level"], numbers["share"]) == (5, 0.95, 0.05)
    assert numbers["loss"][1] <= 5
    assert numbers["excess"][1] <= 0
    assert numbers["pairs"] >= 50
    held = [entry["ladder"]["pairs"] for entry in log if entry["outcome"] == "held"]
    assert held[:3] == sorted(held[:3])
    assert 5 < len(held) < 100


def test_what_goes_wrong_at_the_top_is_seen_there() -> None:
    """At the top the count starts again, so a long good time before does not hide what is bad now."""
    clock = Clock()
    part = climb(MemoryLedger(), clock, window=1000)
    feed(part, clock, 6000)
    assert part.share == 1.0
    assert part.progress.epoch > 3
    before = part.progress.epoch
    feed(part, clock, 2000, worse=0.2)
    assert part.share == 0.0
    assert part.progress.epoch <= before + 1


@pytest.fixture(params=["memory", "sqlite", "redis"])
def kept(request: pytest.FixtureRequest, tmp_path: Path) -> Any:
    """Give a ledger of each kind, and what opens it for another process."""
    if request.param == "memory":
        one = MemoryLedger()
        return one, lambda: one
    name = str(tmp_path / "book.db") if request.param == "sqlite" else request.getfixturevalue("redis_url")
    one = open_ledger(name)
    if request.param == "redis":
        one._client.flushdb()
    return one, lambda: open_ledger(name)


def test_a_fleet_climbs_as_one(kept: Any) -> None:
    """Two processes add to one count; what one is stopped by, the other falls back for at its next look."""
    one, again = kept
    clock = Clock()
    parts = [climb(one, clock, least=20), climb(again(), clock, least=20)]
    for part in parts * 6:
        feed(part, clock, 100, seed=clock.now)
    for part in parts * 2:
        clock.now += 1
        assert part.share == 1.0
    assert parts[0].progress == parts[1].progress
    feed(parts[0], clock, 1500, worse=0.2)
    clock.now += 1
    assert (parts[0].share, parts[1].share) == (0.0, 0.0)
    assert parts[1].progress.stopped == parts[0].progress.stopped


def test_a_state_is_changed_by_one_at_a_time(kept: Any) -> None:
    """A hundred changes from eight threads and two openings of the ledger all count."""
    one, again = kept
    ledgers = [one, again()]

    def add(turn: int) -> None:
        ledgers[turn % 2].amend("n", lambda old: {"n": (old or {"n": 0})["n"] + 1})

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(add, range(100)))
    assert one.amend("n", lambda old: dict(old or {})) == {"n": 100}
    assert one.amend("m", lambda old: {"was": old}, keep=60) == {"was": None}
    assert ledgers[1].amend("m", lambda old: {"was": old}, keep=60) == {"was": {"was": None}}


def request(text: str) -> Any:
    """Return a request of one caller."""
    return RequestBuilder().message("user").text(text).build()


def routed(tmp_path: Path, **given: Any) -> Router:
    """Return a router whose rollout climbs."""
    ladder = Ladder(**{"margin": 10, "least": 20, **given})
    return Router(clock=lambda: DAY, mode="rollout", ladder=ladder, log=tmp_path / "log.jsonl")


def test_feedback_moves_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Scores by the record's id count for whoever answered, once each; the log holds no text."""
    router = routed(tmp_path, shares=(0.5, 1.0), margin=20)
    rng, served = random.Random(3), []
    for number in range(1500):
        decision = router.decide(request(f"Question {number}, secret"))
        record = router.begin(decision).settle(Usage(input_tokens=20, output_tokens=40))
        assert record["id"].endswith(f"-{decision.trial.arm}")
        served.append(record["id"])
        assert router.feedback(record["id"], 1.0 if rng.random() < 0.9 else 0.0)
    assert not router.feedback(served[0], 0.0)
    router.wait()
    assert router.rollout is not None
    assert router.rollout.step == 1
    assert router.decide(request("another")).trial.arm == "routed"
    log = (tmp_path / "log.jsonl").read_text()
    assert "secret" not in log
    assert [json.loads(line)["outcome"] for line in log.splitlines() if '"promoted"' in line] == ["promoted"]


WRONG = [
    ("an id of another kind", "0123456789abcdef", 1.0, "'0123456789abcdef' is not a call of this rollout. Give the record's id, of a call made with a Ladder."),
    ("a score above 1", "0123456789abcdef-routed", 5.0, "score=5.0 is out of range. Give a number from 0 to 1."),
]  # fmt: skip


@pytest.mark.parametrize(("id", "score", "said"), [c[1:] for c in WRONG], ids=[c[0] for c in WRONG])
def test_wrong_feedback(id: str, score: float, said: str, tmp_path: Path) -> None:
    """The message says what to give."""
    with pytest.raises(PolicyError) as caught:
        routed(tmp_path).feedback(id, score)
    assert str(caught.value) == said


def test_feedback_without_a_ladder() -> None:
    """Only a rollout that climbs goes by scores."""
    with pytest.raises(PolicyError) as caught:
        Router().feedback("x-routed", 1.0)
    text = "feedback is for a rollout that climbs. Make the router with mode='rollout' and ladder=..."
    assert str(caught.value) == text


LADDERS = [
    ({"margin": 0}, "margin=0 or level=0.95 is out of range. Give points between 0 and 100, and a level between 0 and 1."),
    ({"margin": 1, "shares": (0.5, 0.1)}, "shares=(0.5, 0.1) do not rise. Give parts of the callers such as (0.01, 0.1, 1)."),
    ({"margin": 1, "shares": ()}, "shares=() do not rise. Give parts of the callers such as (0.01, 0.1, 1)."),
]  # fmt: skip


@pytest.mark.parametrize(("given", "said"), LADDERS, ids=["no margin", "falling", "none"])
def test_wrong_ladders(given: Any, said: str) -> None:
    """A ladder that cannot be climbed is refused."""
    with pytest.raises(PolicyError) as caught:
        Ladder(**given)
    assert str(caught.value) == said


def test_checks_and_judged_pairs(tmp_path: Path) -> None:
    """Each answer is checked; a sampled call is sent to the other one, too, and the pair is judged."""
    from routed_llm import Answered

    seen: list[Any] = []

    def judge(texts: Any, baseline: str, routed: str) -> float:
        seen.append((tuple(texts), baseline, routed))
        return 0.0

    ladder = Ladder(margin=5, shares=(0.5, 1.0), check=lambda text: "answer" in text, judge=judge)
    router = Router(clock=lambda: DAY, mode="rollout", ladder=ladder, sample=1.0, log=tmp_path / "log.jsonl")
    used = Usage(input_tokens=20, output_tokens=40)
    for number in range(40):
        decision = router.decide(request(f"Question {number}"))
        run = router.begin(decision)
        run.settle(used)
        run.offer(
            lambda other: Answered(used, None, f"answer of {other.model}"), f"answer of {decision.model}"
        )
        router.wait()
    progress = router.rollout
    assert isinstance(progress, Progress)
    assert (progress.pairs.n, progress.baseline.n + progress.routed.n) == (40, 40)
    assert {first for _, first, _ in seen} == {"answer of gpt-4o"}
    assert {texts for texts, _, _ in seen} == {(f"Question {n}",) for n in range(40)}
    assert "Question" not in (tmp_path / "log.jsonl").read_text()
    assert "answer of" not in (tmp_path / "log.jsonl").read_text()


def test_while_the_ledger_is_away_the_baseline_answers() -> None:
    """A process that has not heard of the fleet routes nobody; one that has goes on as it last heard."""

    class Away(MemoryLedger):
        away = True

        def amend(self, *args: Any, **given: Any) -> Any:
            if self.away:
                raise LedgerError("away", where="here")
            return super().amend(*args, **given)

    ledger, clock = Away(), Clock()
    part = climb(ledger, clock)
    assert part.share == 0.0
    ledger.away = False
    clock.now += 1
    assert part.share == 0.01
    ledger.away = True
    part.pair(1.0)
    clock.now += 1
    assert part.share == 0.01
    ledger.away = False
    clock.now += 1
    assert part.share == 0.01
    assert part.progress.pairs.n == 1, "what could not be written is written later"


def test_a_share_from_outside_wins(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whoever operates the program can set the share in spite of the ladder."""
    monkeypatch.setenv("ROUTED_SHARE", "1")
    assert routed(tmp_path).decide(request("hello")).trial.arm == "routed"
