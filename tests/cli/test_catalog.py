"""`routed catalog`: what is old, what changes, what others say, and the way back."""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import date
from pathlib import Path
from typing import Any

import pytest

from routed_llm import Catalog, Policy, RequestBuilder, Router
from routed_llm.catalog.records import NONE, PACKAGED, current, names
from routed_llm.simulator import serve
from routed_llm.usage import Usage

from .conftest import Routed

DAY = date(2026, 11, 29)
CATALOG = Catalog.load()


@pytest.fixture
def account() -> Iterator[str]:
    """Run the simulated provider on a day on which more models have ended."""
    with serve(at=DAY) as simulator:
        yield simulator.url


@pytest.fixture(autouse=True)
def _key(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", "key")


def told(routed: Routed, *words: str, code: int = 0) -> Any:
    """Return what `--json` prints."""
    done = routed("catalog", *words, "--json")
    assert (done.code, done.err) == (code, "")
    return json.loads(done.out)


def test_status_says_how_old_each_source_is(routed: Routed) -> None:
    """Every dated fact of a living model counts for each of its sources; what is old is counted."""
    data = told(routed, "status", "--at", "2026-11-29")
    assert data["used"] == {
        "from": "packaged",
        "day": str(CATALOG.day),
        "version": CATALOG.version,
        "models": len(CATALOG),
    }
    (row,) = [one for one in data["sources"] if one["source"] == "genai-prices 0.2.3"]
    assert row["facts"] > 100
    assert all(one["old"] == 0 for one in data["sources"])
    later = told(routed, "status", "--at", "2027-02-01")
    assert all(one["old"] == one["facts"] for one in later["sources"])
    assert {"model": "gpt-4o", "shutdown": "2027-01-14", "replacement": "gpt-6-luna"} in data["ending"]
    text = routed("catalog", "status", "--at", "2026-11-29").out
    assert f"used: packaged, facts up to {CATALOG.day}" in text
    assert "routed-llm-catalog: not installed. For newer facts: pip install routed-llm-catalog" in text


@pytest.fixture
def changed(tmp_path: Path) -> Path:
    """Return a folder in which gpt-6-luna is dear and gpt-5.2 ends."""
    folder = tmp_path / "models"
    folder.mkdir()
    (folder / "gpt-6-luna.toml").write_text(
        '[prices]\nrows = [{ since = 2026-09-22, input = "9.00", output = "90.00" }]\n'
    )
    (folder / "gpt-5.2.toml").write_text("[lifecycle]\nshutdown = 2027-02-01\n")
    return folder


def test_diff_names_each_fact(routed: Routed, changed: Path) -> None:
    """A price is named by its tier and day, and what only one of them has is named, too."""
    rows = {
        (row["model"], row["field"]): (row["before"], row["after"])
        for row in told(routed, "diff", "packaged", str(changed))["differences"]
    }
    assert rows["gpt-5.2", "lifecycle.shutdown"] == (None, "2027-02-01")
    assert rows["gpt-6-luna", "prices.standard.2026-09-22.input"] == ("100000", "9000000")
    assert rows["gpt-6-luna", "prices.batch.2026-09-22.input"] == ("50000", None)
    assert {model for model, _ in rows} == {"gpt-5.2", "gpt-6-luna"}
    (changed / "mine.toml").write_text('base = "gpt-5.2"\n')
    text = routed("catalog", "diff", "packaged", str(changed)).out
    assert "mine: new\n" in text
    assert "gpt-5.2: lifecycle.shutdown: nothing -> 2027-02-01\n" in text
    assert told(routed, "diff", "packaged", "installed")["differences"] == []


def test_diff_decides_a_log_again(routed: Routed, changed: Path, tmp_path: Path) -> None:
    """Each call is decided by its recorded facts and policy, under both; the log has no text of the calls."""
    log = tmp_path / "log.jsonl"
    router = Router(log=log, clock=lambda: DAY)
    for policy in (Policy(), Policy(models="gpt-4.1")):
        builder = RequestBuilder()
        builder.message("user").text("a secret")
        builder.set("user", "a secret")
        builder.set("stop", ["a secret"])
        decision = router.decide(builder.build(), policy=policy)
        router.begin(decision).settle(Usage(input_tokens=9, output_tokens=3))
    assert "secret" not in log.read_text()
    data = told(routed, "diff", "packaged", str(changed), "--log", str(log))["decisions"]
    dear = told(routed, "diff", "packaged", "packaged", "--log", str(log))["decisions"]
    first = json.loads(log.read_text().splitlines()[0])
    assert (dear["calls"], dear["changed"], dear["without_facts"]) == (2, 0, 0)
    assert (data["calls"], data["changed"]) == (2, 1 if first["model"] == "gpt-6-luna" else 0)
    with log.open("a") as more:
        more.write('{"version":1,"time":"x","mode":"route","arm":"pinned","outcome":"answered"}\n')
    text = routed("catalog", "diff", "packaged", str(changed), "--log", str(log)).out
    assert "1 calls were noted by an older version and cannot be decided again.\n" in text
    assert "of 2 decisions would be others; all are expected to cost $" in text


def test_check_compares_with_publishers(routed: Routed) -> None:
    """What genai-prices says otherwise is known, with its reason in disagreements.toml."""
    pytest.importorskip("genai_prices", reason="Install it with: pip install 'routed-llm[live-prices]'")
    data = told(routed, "check", "--at", "2026-11-29")
    assert data["publishers"]["genai-prices"]["new"] == []
    assert data["publishers"]["genai-prices"]["explained"] > 5
    assert data["live"] is None


def test_check_live_and_back(
    routed: Routed, account: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What the account says is put on record; going back is one command, and lasts until it is taken back."""
    folder, at = str(tmp_path / "records"), ("--at", "2026-11-29")
    live = ("check", folder, "--live", "--url", account, "--no-prices", *at)
    assert told(routed, *live)["live"]["changes"] == []
    from routed_llm.catalog import catalog as module

    older = CATALOG.with_models({"gpt-4o": {"lifecycle": {"shutdown": date(2027, 3, 1)}}})
    monkeypatch.setattr(module, "_loaded", older)
    found = told(routed, *live, code=1)["live"]
    assert found["changes"] == ["gpt-4o ends on 2027-01-14 (before: 2027-03-01)"]
    assert (found["record"], found["counts"]) == (names(folder)[0], True)
    status = told(routed, "status", folder, *at)["record"]
    assert (status["name"], status["held"]) == (found["record"], False)
    rows = told(routed, "diff", "installed", f"{folder}:{found['record']}")["differences"]
    assert [row["field"] for row in rows] == [
        "lifecycle.shutdown",
        "lifecycle.source",
        "lifecycle.verified",
    ]
    assert told(routed, "rollback", folder) == {"record": NONE, "held": True}
    assert current(folder).held
    done = routed("catalog", "rollback", folder, "--to", found["record"])
    assert done.out == (
        f"{found['record']} counts from now on, in every program that uses {folder}. Newer records do not "
        f"count until `routed catalog check --live {folder} --apply`.\n"
    )
    told(routed, "rollback", folder, "--to", PACKAGED)
    assert current(folder).name == PACKAGED
    assert told(routed, *live, "--apply", code=1)["live"]["counts"] is True


@pytest.mark.parametrize("damage", ["current.json", "the record"])
def test_the_way_back_from_a_damaged_record(
    damage: str, routed: Routed, account: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The command leads to the last state that can be read."""
    from routed_llm.catalog import catalog as module

    folder = tmp_path / "records"
    older = CATALOG.with_models({"gpt-4o": {"lifecycle": {"shutdown": date(2027, 3, 1)}}})
    monkeypatch.setattr(module, "_loaded", older)
    routed("catalog", "check", str(folder), "--live", "--url", account, "--no-prices", "--at", "2026-11-29")
    (name,) = names(folder)
    (folder / ("current.json" if damage == "current.json" else f"{name}.json")).write_text("{")
    back = told(routed, "rollback", str(folder))
    assert back == {"record": name if damage == "current.json" else NONE, "held": True}


WRONG: list[Any] = [
    pytest.param(
        ("rollback", "nowhere"),
        "routed catalog: nowhere holds no records. `routed catalog check --live nowhere` makes one.\n",
        id="no folder",
    ),
    pytest.param(
        ("diff", "packaged", "nowhere"),
        "routed catalog: nowhere: there is no such file or folder. Check the path.\n",
        id="no catalog",
    ),
    pytest.param(
        ("check", "--live", "--url", "http://127.0.0.1:9/v1", "--no-prices"),
        "routed catalog: http://127.0.0.1:9/v1/models could not be read (<urlopen error [Errno 111] "
        "Connection refused>). Try again later.\n",
        id="nobody there",
    ),
]


@pytest.mark.parametrize(("words", "message"), WRONG)
def test_errors_say_what_to_do(
    words: tuple[str, ...], message: str, routed: Routed, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One line, and the exit code of bad input."""
    monkeypatch.chdir(tmp_path)
    done = routed("catalog", *words)
    assert (done.code, done.out, done.err) == (2, "", message)
