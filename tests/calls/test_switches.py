"""What a team sets from outside: taken up while calls run, as a whole or not at all."""

from __future__ import annotations

import logging
import os
import threading
import time
from datetime import date
from pathlib import Path
from typing import Any

import pytest

from routed_llm import Catalog, CatalogError, PolicyError, Request, RequestBuilder, Router
from routed_llm.calls import router as routers
from routed_llm.calls import switches

DAY = date(2026, 11, 29)


@pytest.fixture(autouse=True)
def _no_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in list(os.environ):
        if name.startswith("ROUTED_"):
            monkeypatch.delenv(name)


class Steered:
    """A router whose clock the test moves."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, **given: Any) -> None:
        self.now = 0.0
        monkeypatch.setattr(routers, "monotonic", lambda: self.now)
        self.router = Router(clock=lambda: DAY, **given)

    def model(self) -> str:
        """Return who answers, two looks later."""
        for _ in range(2):
            self.now += switches.EVERY
            self.router.decide(request())
        decision = self.router.decide(request())
        return f"{decision.model}@{decision.effort or ''}"


def request(**parameters: Any) -> Request:
    """Return a short request."""
    builder = RequestBuilder()
    builder.message("user").text("Hello there")
    for name, value in parameters.items():
        builder.set(name, value)
    return builder.build()


def usual() -> str:
    """Return who answers when nothing is set."""
    decision = Router(clock=lambda: DAY).decide(request())
    return f"{decision.model}@{decision.effort or ''}"


OTHER = 'id = "gpt-5.4-other"\nbase = "gpt-5.4"\n'
OWN = 'id = "gpt-5.4-own"\nbase = "gpt-5.4"\n'

CHANGES: list[Any] = [
    pytest.param({"ROUTED_MODE": "off"}, "", "gpt-4o@", ["mode is now off (before: route)"], id="mode"),
    pytest.param(
        {"ROUTED_PIN": "gpt-5.4@low"},
        "",
        "gpt-5.4@low",
        ["mode is now pin (before: route)", "pin is now gpt-5.4@low (before: unset)"],
        id="pin alone",
    ),
    pytest.param(
        {},
        'models = ["gpt-4.1"]\n',
        "gpt-4.1@",
        ["policy.models is now ['gpt-4.1'] (before: unset)"],
        id="policy",
    ),
    pytest.param(
        {},
        '[switches]\npin = "gpt-5.4@low"\n',
        "gpt-5.4@low",
        ["mode is now pin (before: route)", "pin is now gpt-5.4@low (before: unset)"],
        id="a pin in the file",
    ),
    pytest.param(
        {"ROUTED_MODE": "route"},
        '[switches]\npin = "gpt-5.4@low"\n',
        None,
        [],
        id="a variable wins over the file",
    ),
    pytest.param(
        {"ROUTED_PIN": "gpt-5.4@low"},
        '[switches]\nmode = "off"\n',
        "gpt-5.4@low",
        ["mode is now pin (before: route)", "pin is now gpt-5.4@low (before: unset)"],
        id="a pin by variable wins over a mode by file",
    ),
]


@pytest.mark.parametrize(("variables", "text", "model", "said"), CHANGES)
def test_a_change_is_taken_up(
    variables: dict[str, str],
    text: str,
    model: str | None,
    said: list[str],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    """A variable or a file that changes while a program runs counts after two looks, and is logged."""
    file = tmp_path / "policy.toml"
    file.write_text("")
    monkeypatch.setenv("ROUTED_POLICY", str(file))
    steered = Steered(monkeypatch)
    assert steered.model() == usual()
    with caplog.at_level("INFO", logger="routed_llm"):
        for name, value in variables.items():
            monkeypatch.setenv(name, value)
        if text:
            file.write_text(text)
        assert steered.model() == (model or usual())
        assert [
            record.getMessage() for record in caplog.records if getattr(record, "event", "") == "switch"
        ] == said
        for name in variables:
            monkeypatch.delenv(name)
        file.write_text("# nothing\n")
        assert steered.model() == usual()


def test_a_change_counts_once_it_is_the_same_at_two_looks(monkeypatch: pytest.MonkeyPatch) -> None:
    """The first of two variables is not taken for the whole."""
    steered = Steered(monkeypatch)
    monkeypatch.setenv("ROUTED_MODE", "rollout")  # which needs a share
    steered.now += switches.EVERY
    assert steered.router.decide(request()).trial is None
    monkeypatch.setenv("ROUTED_SHARE", "1")
    assert steered.model() == usual()
    trial = steered.router.decide(request()).trial
    assert trial is not None
    assert trial.mode == "rollout"


BROKEN: list[Any] = [
    pytest.param(
        "max_secnds = 3\n", "'max_secnds' is not a keyword of Policy. Did you mean 'max_seconds'?", id="key"
    ),
    pytest.param(
        "horizon = -1\n", "horizon=-1 is out of range. Give a whole number of at least 0.", id="value"
    ),
    pytest.param('models = ["gpt-9*"]\n', None, id="a model that there is not"),
    pytest.param('[switches]\nmode = "ghost"\n', None, id="a mode that there is not"),
    pytest.param('[switches]\npin = "gpt-9"\n', None, id="a pin that there is not"),
    pytest.param(
        '[switches]\npin = "gpt-4.1@low"\n', "gpt-4.1 takes no effort", id="a pin without that effort"
    ),
    pytest.param("[switches]\nspeed = 1\n", None, id="a switch that there is not"),
    pytest.param("models = [", "is not TOML: Invalid value", id="cut short"),
]


@pytest.mark.parametrize(("text", "reason"), BROKEN)
def test_a_broken_file_changes_nothing(
    text: str,
    reason: str | None,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    """The last good file stays, with one warning that says what is wrong; the mended one is taken up."""
    file = tmp_path / "policy.toml"
    file.write_text('models = ["gpt-4.1"]\n')
    monkeypatch.setenv("ROUTED_POLICY", str(file))
    steered = Steered(monkeypatch)
    assert steered.model() == "gpt-4.1@"
    with caplog.at_level("INFO", logger="routed_llm"):
        file.write_text(text)
        assert steered.model() == "gpt-4.1@"
        assert steered.model() == "gpt-4.1@"
    (record,) = [one for one in caplog.records if getattr(one, "event", "") == "switch_refused"]
    assert record.levelname == "WARNING"
    assert record.getMessage().startswith("A switch was not taken up, what held before stays: ")
    assert (reason or "") in record.getMessage()
    file.write_text('models = ["gpt-5.4"]\n# repaired\n')
    assert steered.model().startswith("gpt-5.4@")


@pytest.mark.parametrize("what", ["deleted", "a folder"])
def test_a_file_that_goes_away_changes_nothing(
    what: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """So does one that is deleted, or becomes a folder."""
    file = tmp_path / "policy.toml"
    file.write_text('models = ["gpt-4.1"]\n')
    monkeypatch.setenv("ROUTED_POLICY", str(file))
    steered = Steered(monkeypatch)
    file.unlink()
    if what == "a folder":
        file.mkdir()
    with caplog.at_level("WARNING", logger="routed_llm"):
        assert steered.model() == "gpt-4.1@"
    (record,) = [one for one in caplog.records if getattr(one, "event", "") == "switch_refused"]
    assert str(file) in record.getMessage()


def test_what_is_wrong_at_the_start_is_an_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """There is no earlier state to stay with, so a program does not begin with half of what was meant."""
    monkeypatch.setenv("ROUTED_POLICY", str(tmp_path / "none.toml"))
    with pytest.raises(PolicyError) as caught:
        Router()
    assert str(caught.value) == (
        f"{tmp_path / 'none.toml'}: No such file or directory. Name a TOML file that can be read."
    )
    monkeypatch.delenv("ROUTED_POLICY")
    monkeypatch.setenv("ROUTED_PIN", "gpt-9")
    with pytest.raises(CatalogError):
        Router()


def test_the_policy_of_the_code_keeps_what_the_file_does_not_name(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A file lays its keys over the code's policy, and over a call's own."""
    file = tmp_path / "policy.toml"
    file.write_text("horizon = 0\n")
    monkeypatch.setenv("ROUTED_POLICY", str(file))
    from routed_llm import CallOptions, Policy

    router = Router(policy=Policy(models="gpt-5.4"))
    found = router.policy_for(CallOptions(changes={"horizon": 3, "max_seconds": 9}))
    assert (found.models, found.horizon, found.max_seconds) == (("gpt-5.4",), 0, 9)
    assert router.policy_for(CallOptions()) is router.policy_for(CallOptions())


def test_a_model_is_added_and_taken_back(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A folder's models are there after two looks; a call that was decided for one ends when it is gone."""
    folder = tmp_path / "models"
    folder.mkdir()
    (folder / "other.toml").write_text(OTHER)
    monkeypatch.setenv("ROUTED_CATALOG", str(folder))
    steered = Steered(monkeypatch)
    (folder / "own.toml").write_text(OWN)
    assert steered.model() == usual()
    router = steered.router
    decision = router.decide(request(), policy=router.policy.replace(models="gpt-5.4-own"))
    assert decision.model == "gpt-5.4-own"
    (folder / "own.toml").unlink()
    assert steered.model() == usual()
    assert "gpt-5.4-own" not in router.catalog
    assert "gpt-5.4-other" in router.catalog
    run = router.begin(decision)
    assert router.credential_of(decision, "https://api.openai.com/v1") is None
    run.cancel()


RELATIVES: list[Any] = [
    pytest.param("gpt-7=gpt-5.4", {"gpt-7"}, id="one"),
    pytest.param(" gpt-7 = gpt-5.4, gpt-7-mini=gpt-5.4-mini,", {"gpt-7", "gpt-7-mini"}, id="several"),
    pytest.param("gpt-5.4-mini=gpt-5.4", set(), id="the catalog has it"),
    pytest.param("", set(), id="none"),
]


@pytest.mark.parametrize(("given", "added"), RELATIVES)
def test_a_model_by_its_relative(
    given: str, added: set[str], monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """A model of tomorrow can be named, as a baseline or in a pin, with the facts of what it is like."""
    monkeypatch.setenv("ROUTED_MODELS", given)
    router = Router(clock=lambda: DAY)
    assert {model.id for model in router.catalog} - {model.id for model in Catalog.load()} == added
    said = [one.data["model"] for one in caplog.records if getattr(one, "event", "") == "relative"]
    assert set(said) == added
    if added:
        monkeypatch.setenv("ROUTED_PIN", "gpt-7@low")
        decision = Router(clock=lambda: DAY).decide(request())
        assert decision.call is not None
        assert (decision.model, decision.call.model, decision.effort) == ("gpt-7", "gpt-7", "low")


def test_what_is_logged_holds_already(monkeypatch: pytest.MonkeyPatch) -> None:
    """A call that begins when a switch is in the log is decided by it, on whatever thread."""
    steered, answered = Steered(monkeypatch), []
    handler = logging.Handler()
    handler.addFilter(lambda record: getattr(record, "event", "") == "switch")
    # The shortest handler.
    handler.emit = lambda record: answered.append(steered.router.decide(request()).model)  # type: ignore[method-assign]
    logger = logging.getLogger("routed_llm")
    logger.addHandler(handler)
    before = logger.level
    logger.setLevel(logging.INFO)
    try:
        monkeypatch.setenv("ROUTED_MODE", "off")
        steered.model()
    finally:
        logger.setLevel(before)
        logger.removeHandler(handler)
    assert answered == ["gpt-4o"]


@pytest.mark.parametrize(
    ("given", "message"),
    [
        pytest.param(
            "gpt-7",
            "ROUTED_MODELS has 'gpt-7'. Give a new model and what it is like, such as 'gpt-7=gpt-5.6-luna'.",
            id="alone",
        ),
        pytest.param("gpt-7=gpt-99", None, id="an unknown relative"),
    ],
)
def test_wrong_relatives(given: str, message: str | None, monkeypatch: pytest.MonkeyPatch) -> None:
    """What cannot be read is an error at the start."""
    monkeypatch.setenv("ROUTED_MODELS", given)
    with pytest.raises((PolicyError, CatalogError)) as caught:
        Router()
    assert message is None or str(caught.value) == message


def test_32_callers_while_everything_changes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Policy, catalog, pin and mode change, well and badly, under load: no call fails."""
    monkeypatch.setattr(switches, "EVERY", 0.002)
    folder, file = tmp_path / "models", tmp_path / "policy.toml"
    folder.mkdir()
    (folder / "other.toml").write_text(OTHER)
    file.write_text("")
    monkeypatch.setenv("ROUTED_CATALOG", str(folder))
    monkeypatch.setenv("ROUTED_POLICY", str(file))
    router = Router(clock=lambda: DAY)
    ended, failures, models = threading.Event(), [], set()

    def call() -> None:
        while not ended.is_set():
            try:
                decision = router.decide(request(temperature=0.5))
                run = router.begin(decision)
                router.credential_of(decision, "https://api.openai.com/v1")
                run.cancel()
                models.add(decision.model)
                ended.wait(0.01)
            except Exception as error:  # noqa: BLE001 - whatever it is, the test shows it
                failures.append(repr(error))
                return

    threads = [threading.Thread(target=call) for _ in range(32)]
    for thread in threads:
        thread.start()
    wanted = {
        "gpt-5.4-own": lambda: (
            (folder / "own.toml").write_text(OWN),
            file.write_text('models = "gpt-5.4-own"'),
        ),
        "gpt-4.1": lambda: ((folder / "own.toml").unlink(), file.write_text('models = "gpt-4.1" ')),
        "gpt-4o": lambda: file.write_text('[switches]\nmode = "off"\n'),
        "gpt-5.4": lambda: (file.write_text("broken = ["), monkeypatch.setenv("ROUTED_PIN", "gpt-5.4")),
    }
    try:
        for model, change in wanted.items():
            change()
            if model == "gpt-5.4":
                time.sleep(0.05)  # the broken file is seen first
                file.write_text("# whole again\n")
            until = time.monotonic() + 30
            while model not in models and not failures and time.monotonic() < until:
                time.sleep(0.001)
            assert model in models, failures
    finally:
        ended.set()
        for thread in threads:
            thread.join()
    assert failures == []


def test_a_process_under_load_is_steered() -> None:
    """None of the 32 callers of a process of its own fails, and each change, good or bad, is in its log."""
    from benchmarks.operations.switched import CHANGES as EVERY_CHANGE
    from benchmarks.operations.switched import measured

    rows, program = measured()
    assert program.failed == []
    assert [name for name, _, _ in rows] == [name for name, *_ in EVERY_CHANGE]
    assert max(seconds for _, seconds, _ in rows) < 10  # 1.4 where nothing else runs: see the benchmark
