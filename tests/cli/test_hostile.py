"""Files that are out to do harm, or merely strange: one line each, no traceback, no control character."""

from __future__ import annotations

import json
import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from routed_llm.cli.main import main
from routed_llm.cli.visible import made_visible
from routed_llm.ledger import SQLiteLedger

BODY = {"model": "gpt-4o", "messages": [{"role": "user", "content": "hi"}]}


@pytest.mark.parametrize(
    "body",
    [
        pytest.param(b'{"max_tokens":' + b"9" * 5000 + b"}", id="a number of 5,000 digits"),
        pytest.param(b"[" * 100_000, id="nested lists"),
        pytest.param(b'{"a":' * 50_000, id="nested objects"),
        pytest.param(b"\xff\xfe", id="no UTF-8"),
        pytest.param(b'{"model": "\\u001b]0;x\\u0007", "messages": []}', id="a terminal's commands"),
        pytest.param(b'{"messages": [{"role": "user", "content": "\\ud800"}]}', id="half a character"),
    ],
)
def test_bodies(body: bytes, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """What is no request is told in one line."""
    (tmp_path / "body.json").write_bytes(body)
    code = main(["explain", str(tmp_path / "body.json"), "--at", "2026-11-22"])
    out, said = capsys.readouterr()
    assert code in (0, 1, 2)
    assert "Traceback" not in said
    assert "not foreseen" not in said
    assert made_visible(out + said) == out + said


@pytest.mark.parametrize(
    "policy",
    [
        "max_cost_per_call = '1e999999'",
        "max_cost_per_call = 1e999",
        "output_tokens = 10000000000000000000",
        "grace = 99999999999",
        "horizon = 99999999999999",
        "switch_saving = nan",
        "min_recall = nan",
        "endpoints = 5",
        "endpoints = {a = 1}",
        "endpoints = []",
        "x = 9" + "9" * 5000,
        "a = " + "[" * 5000,
    ],
    ids=lambda text: text[:30],
)
def test_policies(policy: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Numbers and nesting have bounds; the line says which file, and what to give."""
    (tmp_path / "body.json").write_text(json.dumps(BODY))
    (tmp_path / "policy.toml").write_text(policy)
    names = [str(tmp_path / name) for name in ("body.json", "policy.toml")]
    assert main(["explain", names[0], "--policy", names[1]]) == 2
    said = capsys.readouterr().err
    assert (said.startswith(f"routed explain: {names[1]}"), said.count("\n")) == (True, 1)
    assert "not foreseen" not in said


@pytest.mark.parametrize(
    "arguments",
    [
        ["explain", "FILE", "--url", "http://["],
        ["explain", "FILE", "--url", "http://127.0.0.1:1/"],
        ["spend", "/nowhere/at/all"],
        ["spend", "redis://127.0.0.1:1/0"],
        ["report", "/nowhere/at/all"],
    ],
    ids=" ".join,
)
def test_arguments(arguments: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Addresses and files that are none are told in one line."""
    (tmp_path / "body.json").write_text(json.dumps(BODY))
    given = [str(tmp_path / "body.json") if one == "FILE" else one for one in arguments]
    assert main(given) == 2
    said = capsys.readouterr().err
    assert (said.count("\n"), "not foreseen" in said) == (1, False)


@pytest.mark.parametrize("made", ["", "CREATE TABLE notes (id)"], ids=["nothing", "another database"])
def test_a_file_that_is_asked_about_is_not_made_a_ledger(
    made: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """What is spent stands in a ledger; another file stays as it was."""
    path = tmp_path / "notes.db"
    path.touch()
    with closing(sqlite3.connect(path)) as raw, raw:
        raw.execute(made)
    raw.close()
    before = path.read_bytes()
    assert main(["spend", str(path)]) == 2
    assert capsys.readouterr().err == (
        f"routed spend: There is no ledger {str(path)!r}. Name the file that a SQLiteLedger writes.\n"
    )
    assert path.read_bytes() == before
    assert list(tmp_path.iterdir()) == [path]


def test_a_policy_begun_by_another_editor(tmp_path: Path) -> None:
    """The mark that some write before UTF-8 is no part of a file's first word."""
    (tmp_path / "body.json").write_text(json.dumps(BODY), encoding="utf-8-sig")
    (tmp_path / "policy.toml").write_text('models = ["gpt-4.1"]', encoding="utf-8-sig")
    given = [str(tmp_path / name) for name in ("body.json", "policy.toml")]
    assert main(["explain", given[0], "--policy", given[1], "--at", "2026-11-22"]) == 0


AT = "2026-01-01T00:00:00+00:00"
ROWS = [
    {"id": "1", "at": "2026-01-01", "model": "m", "cost": 1},
    {"id": "2", "at": AT, "model": 5},
    {"id": "3", "at": AT, "model": "m", "cost": "x"},
    {"id": "4", "at": AT, "model": "m", "usage": {"input_tokens": "x"}},
    {"id": "5", "at": AT, "model": "m", "tags": 5},
    {"id": "6", "at": AT, "model": "m", "tags": {"a": 5}},
    {"id": "7", "at": AT, "model": "m", "outcome": None},
    {"id": "8", "at": AT, "model": "m", "conversation": 7},
    {"id": "9", "at": AT, "model": "m", "effort": []},
]


@pytest.mark.parametrize("by", ["model", "scope", "a", "outcome", "conversation", "effort", "tier", "day"])
def test_rows_of_a_ledger(by: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Rows with values of other kinds are left out, and the others are added up."""
    path = tmp_path / "book.db"
    SQLiteLedger(path).close()
    good = {"id": "10", "at": AT, "model": "\x1b[31mred", "cost": 10**12, "booked": 10**12}
    with closing(sqlite3.connect(path)) as raw, raw:
        rows = [(str(n), n, json.dumps(row)) for n, row in enumerate([*ROWS, good])]
        raw.executemany("INSERT INTO entries VALUES (?, ?, ?)", rows)
    raw.close()
    assert main(["spend", str(path), "--by", by, "--until", "9999-12-31"]) == 0
    out = capsys.readouterr().out
    assert "$1.00" in out
    assert "\x1b" not in out


def test_what_nobody_thought_of(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The last resort says what happened and where, in one line; ROUTED_DEBUG=1 shows the rest."""

    def fail(*_: object) -> None:
        raise ZeroDivisionError("a\nsurprise\x07")

    monkeypatch.setattr("routed_llm.cli.spend._sums", fail)
    assert main(["spend", str(tmp_path)]) == 2
    said = capsys.readouterr().err
    assert said.startswith("routed spend: this input was not foreseen: ZeroDivisionError in ")
    assert (said.count("\n"), "\x07" in said) == (1, False)
    monkeypatch.setenv("ROUTED_DEBUG", "1")
    with pytest.raises(ZeroDivisionError):
        main(["spend", str(tmp_path)])


@pytest.mark.parametrize("day", ["2026-11-22", "2027-01-14", "2027-01-15", "2027-06-01"])
def test_stop_sequences_rule_nothing_out(day: str, tmp_path: Path) -> None:
    """Where no model takes `stop` the adapters cut the answer, and an explanation says no other."""
    (tmp_path / "body.json").write_text(json.dumps({**BODY, "stop": ["END"]}))
    assert main(["explain", str(tmp_path / "body.json"), "--at", day]) == 0
