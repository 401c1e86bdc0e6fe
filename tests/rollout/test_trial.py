"""Shadow and rollout in the Router: who answers, what is noted, and how the environment switches them."""

from __future__ import annotations

import json
from datetime import date
from pathlib import Path
from typing import Any

import pytest

from routed_llm import NoModelFits, Policy, PolicyError, Request, RequestBuilder, Router, Usage, scoped

DAY = date(2026, 11, 22)
USED = Usage(input_tokens=20, output_tokens=40)


@pytest.fixture(autouse=True)
def _no_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("ROUTED_MODE", "ROUTED_PIN", "ROUTED_SHARE", "ROUTED_KEY", "ROUTED_LOG"):
        monkeypatch.delenv(name, raising=False)


def request(text: str = "Hello there", *, later: tuple[str, ...] = (), **parameters: Any) -> Request:
    """Return a request; `later` are further turns."""
    builder = RequestBuilder()
    builder.message("system").text("You are terse.")
    builder.message("user").text(text)
    for place, turn in enumerate(later):
        builder.message("user" if place % 2 else "assistant").text(turn)
    for name, value in parameters.items():
        builder.set(name, value)
    return builder.build()


def router(**settings: Any) -> Router:
    """Return a router of the day."""
    return Router(clock=lambda: DAY, **settings)


def lines(path: Path) -> list[dict[str, Any]]:
    """Read a log."""
    return [json.loads(line) for line in path.read_text().splitlines()]


def test_route_is_the_default() -> None:
    """Without a mode or log nothing is on trial."""
    decision = router().decide(request())
    assert decision.trial is None
    assert decision.model != "gpt-4o"


def test_shadow_answers_with_the_baseline(tmp_path: Path) -> None:
    """In shadow the baseline is sent what was asked for; the log has both, and no text."""
    log = tmp_path / "log.jsonl"
    shadow = router(mode="shadow", log=log)
    decision = shadow.decide(request(temperature=0.2, max_tokens=50))
    assert decision.call is not None
    assert (decision.call.model, dict(decision.call.parameters)) == ("gpt-4o", {"temperature": 0.2})
    record = shadow.begin(decision).settle(USED, served="gpt-4o-2024-08-06")
    (entry,) = lines(log)
    assert entry["arm"] == record["trial"]["arm"] == "baseline"
    assert entry["cost"] == entry["baseline"]["cost"] == "0.00045"
    assert entry["routed"]["model"] == router().decide(request(temperature=0.2, max_tokens=50)).model
    assert ["temperature", "dropped"] in entry["routed"]["changes"]
    assert "Hello" not in log.read_text()
    assert "terse" not in log.read_text()


def test_shadow_sends_the_baseline_what_it_would_refuse(tmp_path: Path) -> None:
    """What the baseline refuses is sent all the same, as before; the log counts a refusal avoided."""
    log = tmp_path / "log.jsonl"
    shadow = router(mode="shadow", log=log)
    decision = shadow.decide(request("word " * 150_000, temperature=0.2))
    assert decision.call is not None
    assert (decision.call.model, dict(decision.call.parameters)) == ("gpt-4o", {"temperature": 0.2})
    shadow.begin(decision).cancel()
    (entry,) = lines(log)
    assert entry["outcome"] == "failed"
    assert entry["baseline"]["refused"] in ("max_input", "window")
    assert entry["routed"]["refused"] is None


@pytest.mark.parametrize(("share", "arm"), [(0, "baseline"), (1, "routed")])
def test_rollout_ends(share: float, arm: str) -> None:
    """A share of 0 leaves everybody with the baseline, of 1 routes everybody."""
    decision = router(mode="rollout", share=share).decide(request())
    assert decision.trial.arm == arm
    assert (decision.model == "gpt-4o") is (arm == "baseline")


def test_rollout_keeps_a_conversation_together() -> None:
    """Every turn of a conversation goes the same way, by its opening alone."""
    half = router(mode="rollout", share=0.5)
    for number in range(40):
        first = half.decide(request(f"Question {number}"))
        later = half.decide(request(f"Question {number}", later=("An answer.", "And then?"), tools=None))
        assert first.trial.key == later.trial.key
        assert first.trial.arm == later.trial.arm


def test_opening_does_not_depend_on_what_is_told_after_it() -> None:
    """Tools and schemas told after the messages are no part of the opening."""
    schema = {"type": "json_schema", "json_schema": {"name": "a", "schema": {"type": "object"}}}
    plain, more = request(), request(later=("Yes.",), response_format=schema)
    assert plain.texts[: plain.opening] == more.texts[: more.opening] == ("You are terse.", "Hello there")


def test_rollout_by_a_named_key() -> None:
    """The same user goes the same way whatever is asked."""
    half = router(mode="rollout", share=0.5, key="user")
    arms = {}
    for user in range(60):
        with scoped(user=f"u{user}"):
            arms[user] = {half.decide(request(f"Question {number}")).trial.arm for number in range(3)}
    assert all(len(found) == 1 for found in arms.values())
    assert {next(iter(found)) for found in arms.values()} == {"baseline", "routed"}


def test_rollout_routes_what_the_baseline_would_refuse() -> None:
    """Where the baseline cannot serve, routing does, whatever the share."""
    decision = router(mode="rollout", share=0).decide(request("word " * 150_000))
    assert decision.trial.arm == "routed"


def test_a_call_that_names_its_model_is_left_alone() -> None:
    """A model named for one call is that call's, in shadow as well."""
    builder = RequestBuilder()
    builder.message("user").text("Hello")
    builder.pin("gpt-5.5")
    decision = router(mode="shadow").decide(builder.build())
    assert (decision.model, decision.trial) == ("gpt-5.5", None)


async def test_async_as_sync(tmp_path: Path) -> None:
    """The asynchronous entries do the same."""
    shadow = router(mode="shadow", log=tmp_path / "log.jsonl")
    decision = await shadow.adecide(request())
    run = await shadow.abegin(decision)
    await run.asettle(USED)
    assert [entry["arm"] for entry in lines(tmp_path / "log.jsonl")] == ["baseline"]


def test_environment_wins(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Whoever operates a program takes it forward and back without its code."""
    monkeypatch.setenv("ROUTED_MODE", "rollout")
    monkeypatch.setenv("ROUTED_SHARE", "1")
    monkeypatch.setenv("ROUTED_LOG", str(tmp_path / "log.jsonl"))
    chosen = router(mode="shadow")
    chosen.begin(chosen.decide(request())).settle(USED)
    assert [(entry["mode"], entry["arm"]) for entry in lines(tmp_path / "log.jsonl")] == [
        ("rollout", "routed")
    ]


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        pytest.param(
            {"mode": "ghost"},
            "mode='ghost' is none of route, off, pin, shadow, rollout. Use one of these.",
            id="mode",
        ),
        pytest.param(
            {"mode": "pin"},
            "pin=None names no configuration. Give a model, with an effort or without, such as "
            "'gpt-5.4-mini@low' or 'gpt-4.1'. Efforts are none, minimal, low, medium, high, xhigh, max.",
            id="no pin",
        ),
        pytest.param(
            {"pin": "gpt-5.4@much"},
            "pin='gpt-5.4@much' names no configuration. Give a model, with an effort or without, such as "
            "'gpt-5.4-mini@low' or 'gpt-4.1'. Efforts are none, minimal, low, medium, high, xhigh, max.",
            id="pin's effort",
        ),
        pytest.param(
            {"mode": "rollout"},
            "mode='rollout' needs a share. Give share=0.1 or set ROUTED_SHARE=0.1.",
            id="no share",
        ),
        pytest.param(
            {"mode": "rollout", "share": 10},
            "share=10 must be a number between 0 and 1: the part of the callers.",
            id="share",
        ),
        pytest.param(
            {"log": "/nowhere/at/all.jsonl"},
            "log='/nowhere/at/all.jsonl': No such file or directory. Name a file that can be written.",
            id="log",
        ),
    ],
)
def test_bad_settings(settings: dict[str, Any], message: str) -> None:
    """Wrong settings are refused when the router is made."""
    with pytest.raises(PolicyError) as caught:
        router(**settings)
    assert str(caught.value) == message


LATER = date(2027, 2, 1)
"""After the shutdown of gpt-4o, in whose place the provider names gpt-6-luna."""


@pytest.mark.parametrize(
    ("settings", "day", "words", "arm", "model"),
    [
        pytest.param({"mode": "off"}, DAY, 10, "baseline", "gpt-4o", id="off: the program's own model"),
        pytest.param({"mode": "off"}, DAY, 150_000, "baseline", "gpt-4o", id="off: too long, as before"),
        pytest.param({"mode": "off"}, LATER, 10, "baseline", "gpt-6-luna", id="off: its replacement"),
        pytest.param({"mode": "shadow"}, LATER, 10, "routed", None, id="shadow routes after the shutdown"),
        pytest.param({"mode": "rollout", "share": 0}, LATER, 10, "routed", None, id="rollout routes, too"),
        pytest.param({"pin": "gpt-5.4@low"}, DAY, 10, "pinned", "gpt-5.4", id="pin"),
        pytest.param({"pin": "gpt-5.4@low"}, LATER, 10, "pinned", "gpt-5.4", id="pin: no baseline needed"),
        pytest.param({"pin": "gpt-4.1"}, LATER, 10, "routed", None, id="pin: what it cannot serve is routed"),
    ],
)
def test_who_answers(settings: dict[str, Any], day: date, words: int, arm: str, model: str | None) -> None:
    """The mode decides who answers; where that model is gone the call is routed instead of failing."""
    asked = request("word " * words, temperature=0.2)
    decision = Router(clock=lambda: day, **settings).decide(asked)
    assert decision.trial is not None
    assert decision.trial.arm == arm
    assert decision.model == (model or Router(clock=lambda: day).decide(asked).model)
    assert decision.call is not None
    refuses = model not in ("gpt-4o",)
    assert ("temperature" in decision.call.parameters) == (not refuses or decision.effort == "none")


def test_who_answers_is_said(caplog: pytest.LogCaptureFixture) -> None:
    """The record says that it was not routing's choice, and the log that a model is gone."""
    with caplog.at_level("WARNING", logger="routed_llm"):
        decision = Router(clock=lambda: LATER, mode="off", policy=Policy(baseline="gpt-4o-mini")).decide(
            request()
        )
    assert decision.record()["why"] == "the baseline's model answers: the mode is 'off'"
    assert [
        record.getMessage() for record in caplog.records if getattr(record, "event", "") == "baseline_ended"
    ] == [f"gpt-4o-mini was shut down, so {decision.model}, which the provider names instead, answers"]


def test_rollout_still_raises_when_nothing_fits() -> None:
    """What nothing can serve is refused before it is sent."""
    with pytest.raises(NoModelFits):
        router(mode="rollout", share=1).decide(request("word " * 1_500_000))


def test_settling_twice_notes_once(tmp_path: Path) -> None:
    """A call has one line however often it is closed."""
    shadow = router(mode="shadow", log=tmp_path / "log.jsonl")
    run = shadow.begin(shadow.decide(request()))
    run.settle(USED)
    run.settle(USED)
    run.cancel()
    assert len(lines(tmp_path / "log.jsonl")) == 1
