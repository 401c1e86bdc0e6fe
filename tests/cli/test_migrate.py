# ruff: noqa: E501 - a line of the report stands on a line
"""`routed migrate` and `routed report` as commands: what they print, write and exit with."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from routed_llm.cli.main import main

CALL = "from langchain_openai import ChatOpenAI\nllm = ChatOpenAI(model='gpt-4o', temperature=0.2)\n"
ROUTED = CALL.replace(
    "langchain_openai import ChatOpenAI", "langchain_routed import RoutedChatModel"
).replace("ChatOpenAI(", "RoutedChatModel(")
DAY = ("--at", "2026-11-22")


@pytest.fixture(autouse=True)
def _width(monkeypatch: pytest.MonkeyPatch) -> None:
    """Give the tables room, however wide the terminal is in which the tests run."""
    monkeypatch.setenv("COLUMNS", "120")


@pytest.fixture
def app(tmp_path: Path) -> Path:
    """A folder with one call, one raw call and one text."""
    folder = tmp_path / "app"
    folder.mkdir()
    (folder / "main.py").write_text(CALL)
    (folder / "raw.py").write_text("client.chat.completions.create(model='gpt-4o')\n")
    (folder / "README.md").write_text("We use gpt-4o.\n")
    return folder


def test_report(app: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """The report says what there is, what stops when, who serves each constructor and what changes."""
    assert main(["migrate", str(app), *DAY]) == 0
    out = capsys.readouterr().out
    assert "3 files searched, 3 name a model that stops." in out
    assert "1 of gpt-4o: served by " in out
    assert "For you to decide: 1 place in 1 file\n" in out
    assert "2027-01-14" in out
    assert "temperature dropped" in out
    assert "raw.py:1" in out
    assert (app / "main.py").read_text() == CALL


def test_check_and_write(app: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """--check exits with 1 while something is left; --write writes; a baseline file accepts the rest."""
    assert main(["migrate", str(app), "--check", *DAY]) == 1
    assert "main.py:2:25: RM001 gpt-4o: ChatOpenAI becomes RoutedChatModel" in capsys.readouterr().out
    assert main(["migrate", str(app), "--write", *DAY]) == 0
    assert (app / "main.py").read_text() == ROUTED
    assert main(["migrate", str(app), "--check", *DAY]) == 1
    known = str(app / "known.json")
    assert main(["migrate", str(app), "--write-baseline", known, *DAY]) == 0
    assert main(["migrate", str(app), "--check", "--baseline", known, *DAY]) == 0
    (app / "raw.py").write_text("x = 1\nclient.chat.completions.create(model='gpt-4o')\n")
    assert main(["migrate", str(app), "--check", "--baseline", known, *DAY]) == 0
    (app / "more.py").write_text(CALL)
    assert main(["migrate", str(app), "--check", "--baseline", known, *DAY]) == 1


def test_a_report_that_can_be_read(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Causes are groups, many places of one file are a line, a place is on one line at 80 columns, a rise is said."""
    monkeypatch.setenv("COLUMNS", "80")
    deep = "a_folder_with_a_long_name/" * 4
    (tmp_path / deep).mkdir(parents=True)
    (tmp_path / deep / "main.py").write_text(CALL.replace("gpt-4o", "gpt-4o-mini"))
    (tmp_path / "data.json").write_text(json.dumps({f"k{n}": {"model": "gpt-4o"} for n in range(500)}))
    for number in range(30):
        (tmp_path / f"raw{number:02}.py").write_text(
            f"def f(c):\n    c{number}.responses.create(model='gpt-4o')\n"
        )
    (tmp_path / ".venv").mkdir()
    assert main(["migrate", str(tmp_path), *DAY]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) < 45
    (place,) = [line for line in lines if "main.py:2" in line]
    assert place.startswith(f"    {deep}main.py:2  RM001  gpt-4o-mini")
    assert any("COSTS MORE; OpenAI's " in line for line in lines)
    assert any(line.startswith("  Warning: 1 constructor will cost more (gpt-4o-mini +") for line in lines)
    assert "    data.json:1  and 499 more of this file" in lines
    assert any("OpenAI's SDK itself" in line and line.endswith("(30 places)") for line in lines)
    assert "    and 22 places in 22 files more (--all)" in lines
    assert "Not looked at: 1 hidden folder (.venv)." in lines
    assert main(["migrate", str(tmp_path), "--all", *DAY]) == 0
    assert len(capsys.readouterr().out.splitlines()) > 550
    assert main(["migrate", str(tmp_path), "--check", *DAY]) == 1
    assert capsys.readouterr().err == (
        "531 left to do in 32 files; 32 files searched.\nNot looked at: 1 hidden folder (.venv).\n"
    )


def test_a_narrow_terminal_cuts_no_word(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """At 80 columns no line is longer; a place keeps its last folders, and those of one file stand together."""
    monkeypatch.setenv("COLUMNS", "80")
    monkeypatch.setenv("TERM", "dumb")
    monkeypatch.setattr(sys.stdout, "isatty", lambda: True)
    deep = tmp_path / "a_folder_with_a_long_name" / "another_folder_with_a_long_name" / "and_one_more_of_them"
    (deep / "node_modules").mkdir(parents=True)
    (deep / "main.py").write_text(
        CALL + "b = ChatOpenAI(model='gpt-4o', temperature=0.2)\nM = {'model': 'gpt-4o'}\n"
    )
    assert main(["migrate", str(tmp_path), *DAY]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert max(map(len, lines)) <= 80
    assert "    .../another_folder_with_a_long_name/and_one_more_of_them/main.py:4  gpt-4o" in lines
    assert any(line.startswith("    .../") and "main.py:2, 3  RM001  gpt-4o" in line for line in lines)
    assert "Not looked at: 1 vendored or generated folder (.../node_modules)." in lines


def test_after_writing(app: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """The report of --write says what has been done, and what is left."""
    assert main(["migrate", str(app), "--write", *DAY]) == 0
    out = capsys.readouterr().out
    assert "Constructors that were rewritten: 1" in out
    assert "1 file written." in out
    assert "would" not in out


def test_names_steer_no_terminal(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Control characters of files' names and contents are written out as escapes."""
    (tmp_path / "a\x1b[31m.py").write_text("c.responses.create(model='gpt-4o')\n")
    (tmp_path / "b.py").write_text("x\x9b2J('gpt-4o')\n")
    for words in ([], ["--check"], ["--all"]):
        main(["migrate", str(tmp_path), *words, *DAY])
        out, err = capsys.readouterr()
        assert "a\\x1b[31m.py:1" in out
        assert all(letter.isprintable() or letter == "\n" for letter in out + err)


@pytest.mark.parametrize(
    "content", [CALL, CALL.replace("\n", "\r\n"), CALL.rstrip("\n")], ids=["LF", "CRLF", "no end"]
)
def test_diff_applies(tmp_path: Path, content: str, capfdbinary: pytest.CaptureFixture[bytes]) -> None:
    """The patch is one that git applies, and it does what --write does."""
    subprocess.run(["git", "init", "-q", str(tmp_path)], check=True)
    (tmp_path / "main.py").write_bytes(content.encode())
    assert main(["migrate", str(tmp_path), "--diff", *DAY]) == 0
    patch = capfdbinary.readouterr().out
    subprocess.run(["git", "apply", "-"], input=patch, cwd=tmp_path, check=True)
    after = (tmp_path / "main.py").read_bytes()
    (tmp_path / "main.py").write_bytes(content.encode())
    main(["migrate", str(tmp_path), "--write", "--allow-dirty", *DAY])
    assert (tmp_path / "main.py").read_bytes() == after != content.encode()


def test_page_and_json(app: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """The page holds everything itself and asks nothing of another host; JSON is for programs."""
    (app / "raw.py").write_text(
        "client.chat.completions.create(model='gpt-4o', x='<script>alert(1)</script>')\n"
    )
    page = app / "report.html"
    assert main(["migrate", str(app), "--html", str(page), "--json", *DAY]) == 0
    found = json.loads(capsys.readouterr().out)
    assert found["count"] == {"rewrite": 1, "trace": 0, "report": 1, "keep": 1, "never": 0}
    (site,) = found["sites"]
    assert (site["effect"]["before"]["mixed"], site["effect"]["shutdown"]) == ("4", "2027-01-14")
    text = page.read_text()
    assert "<script" not in text
    assert "default-src 'none'" in text
    assert "src=" not in text


def test_page_of_a_file_that_names_no_model_itself(tmp_path: Path) -> None:
    """A constructor whose model another file names is rewritten, and the page lists the file that names it."""
    (tmp_path / "settings.py").write_text('MODEL = "gpt-4o"\n')
    (tmp_path / "app.py").write_text(
        "from langchain_openai import ChatOpenAI\nfrom settings import MODEL\nllm = ChatOpenAI(model=MODEL)\n"
    )
    page = tmp_path / "report.html"
    assert main(["migrate", str(tmp_path), "--html", str(page), *DAY]) == 0
    listed = page.read_text().partition("<h2>File by file</h2>")[2]
    assert "settings.py" in listed


@pytest.mark.parametrize(
    ("words", "message"),
    [
        pytest.param(
            ["--select", "RM999"], "There is no rule RM999. `routed migrate --rules` lists them.", id="rule"
        ),
        pytest.param(
            ["--map", "gpt-4o=gpt-9"],
            "--map: 'gpt-9' is no model of the catalog. `routed models --all` lists them.",
            id="map",
        ),
        pytest.param(
            ["--map", "gpt-2*=gpt-4o"],
            "--map: 'gpt-2*' is no model of the catalog. `routed models --all` lists them.",
            id="family",
        ),
        pytest.param(
            ["--max-size", "0"], "--max-size is a number of megabytes above 0. Give a larger one.", id="size"
        ),
        pytest.param(
            ["--check", "--baseline", "none.json"],
            "none.json: No such file or directory. Write it with --write-baseline first.",
            id="baseline",
        ),
    ],
)
def test_bad_arguments(app: Path, words: list[str], message: str, capsys: pytest.CaptureFixture[str]) -> None:
    """Wrong arguments end with 2 and one line that says what to do."""
    assert main(["migrate", str(app), *words, *DAY]) == 2
    assert capsys.readouterr().err == f"routed migrate: {message}\n"


def entry(**changes: Any) -> str:
    """Return a line of a decision log."""
    side = {"model": "gpt-4o", "effort": None, "cost": "0.004", "refused": None, "changes": []}
    routed = {
        "model": "gpt-5.6-luna",
        "effort": "low",
        "cost": "0.001",
        "output_cost": "0.0005",
        "output_tokens": 100,
        "refused": None,
        "changes": [["temperature", "dropped"]],
    }
    row = {
        "version": 1,
        "time": "2026-11-22T10:00:00+00:00",
        "mode": "shadow",
        "arm": "baseline",
        "outcome": "answered",
        "model": "gpt-4o",
        "cost": "0.004",
        "usage": {"input_tokens": 9, "output_tokens": 50},
        "tags": {"team": "search"},
        "baseline": side,
        "routed": routed,
    }
    return json.dumps({**row, **changes}) + "\n"


def test_log(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """The report adds up dollars, refusals and changes; a line cut off by a crash is counted."""
    log = tmp_path / "log.jsonl"
    refused = {"model": None, "refused": "max_input"}
    log.write_text(
        entry() * 3 + entry(outcome="failed", cost=None, usage=None, baseline=refused) + '{"version": 1, "ti'
    )
    assert main(["report", str(log), "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert found["total"] == {
        "calls": 4,
        "failed": 1,
        "billed": "0.012",
        "baseline": "0.012",
        "routed": "0.003",
        "compared": 3,
        "unpriced": 0,
        "avoided": 1,
        "unserved": 0,
        "saving": "0.7500",
        "p50": None,
        "p95": None,
        "areas": 0,
        "measured_areas": 0,
    }
    assert (found["broken"], found["refusals"]) == (1, {"max_input": 1})
    assert found["changes"] == [["temperature", "dropped", 4]]
    assert set(found["tags"]) == {"team=search"}
    assert main(["report", str(log), "--html", str(tmp_path / "r.html")]) == 0
    assert "<svg" in (tmp_path / "r.html").read_text()


@pytest.mark.parametrize(
    ("text", "message"),
    [
        pytest.param("", "LOG has no entries. Make calls with ROUTED_LOG=LOG set.", id="empty"),
        pytest.param(
            entry(version=9),
            "LOG was written by a newer version (9). Update routed-llm.",
            id="from the future",
        ),
        pytest.param(None, "LOG: No such file or directory. Name a decision log.", id="missing"),
    ],
)
def test_bad_log(tmp_path: Path, text: str | None, message: str, capsys: pytest.CaptureFixture[str]) -> None:
    """A log that cannot be read ends with 2 and one line that says what to do."""
    log = tmp_path / "log.jsonl"
    if text is not None:
        log.write_text(text)
    assert main(["report", str(log)]) == 2
    assert (
        capsys.readouterr().err
        == f"routed report: {message.replace('LOG', str(log)).replace(f'ROUTED_{log}', 'ROUTED_LOG')}\n"
    )
