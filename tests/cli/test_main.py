"""The parser: help, versions and arguments that do not parse."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from dataclasses import fields
from pathlib import Path

import pytest

import routed_llm
from routed_llm import Policy
from routed_llm.cli.main import main

from .conftest import Routed

DOCS = Path(__file__).parents[2] / "docs"


@pytest.mark.parametrize("command", ["models", "explain", "simulate", "demo", "spend"])
def test_every_command_explains_itself(routed: Routed, command: str) -> None:
    """`--help` says what the command does and which exit codes there are."""
    done = routed(command, "--help")
    assert (done.code, done.err) == (0, "")
    assert f"usage: routed {command}" in done.out
    assert "exit codes: 0 done, 1 nothing fits" in " ".join(done.out.split())


@pytest.mark.parametrize("words", [["models", "--all"], ["models", "--json"], ["explain", "-"]], ids=" ".join)
def test_a_reader_that_has_seen_enough_is_no_failure(words: list[str]) -> None:
    """As with `head`: nothing is wrong, and nothing is said."""
    reading, writing = os.pipe()
    os.close(reading)
    program = "import sys; from routed_llm.cli.main import main; sys.exit(main())"
    body = b'{"model": "gpt-4o", "input": "Hi"}'
    done = subprocess.run(
        [sys.executable, "-c", program, *words], input=body, stdout=writing, stderr=subprocess.PIPE
    )
    os.close(writing)
    assert (done.returncode, done.stderr) == (0, b"")


FULL = Path("/dev/full")


@pytest.mark.skipif(not FULL.exists(), reason="this system has no /dev/full")
@pytest.mark.parametrize("words", [["models"], ["models", "--json"], ["explain", "-"]], ids=" ".join)
def test_a_disk_that_is_full_is_told(words: list[str]) -> None:
    """What is printed may go into a file."""
    program = "import sys; from routed_llm.cli.main import main; sys.exit(main())"
    with FULL.open("wb") as full:
        done = subprocess.run(
            [sys.executable, "-c", program, *words],
            input=b'{"model": "gpt-4o", "input": "Hi"}',
            stdout=full,
            stderr=subprocess.PIPE,
        )
    said = f"routed {words[0]}: No space left on device. Make room, or write elsewhere.\n"
    assert (done.returncode, done.stderr.decode()) == (2, said)


def test_a_standard_input_that_is_closed_is_told(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """A service may start a program with none."""
    monkeypatch.setattr(sys, "stdin", None)
    assert main(["explain", "-"]) == 2
    said = capsys.readouterr().err
    assert said == (
        "routed explain: standard input is closed. Name a file that can be read, or give it a body.\n"
    )


def test_the_version_is_the_package_s(routed: Routed) -> None:
    """`--version` names the distribution and its version."""
    done = routed("--version")
    assert (done.code, done.out) == (0, f"routed-llm {routed_llm.__version__}\n")


@pytest.mark.parametrize(
    ("words", "error"),
    [
        pytest.param(
            (), "routed: The following arguments are required: COMMAND. Run `routed --help`.\n", id="nothing"
        ),
        pytest.param(
            ("models", "--at", "soon"),
            "routed models: Argument --at: 'soon' is not a date such as 2026-11-22. "
            "Run `routed models --help`.\n",
            id="bad date",
        ),
        pytest.param(
            ("explain",),
            "routed explain: The following arguments are required: FILE. Run `routed explain --help`.\n",
            id="no file",
        ),
        pytest.param(
            ("explain", "-", "--max-cost", "cheap"),
            "routed explain: Argument --max-cost: 'cheap' is not an amount of US dollars such as 0.05. "
            "Run `routed explain --help`.\n",
            id="bad amount",
        ),
        pytest.param(
            ("explain", "-", "--max-cost", "NaN"),
            "routed explain: Argument --max-cost: 'NaN' is not an amount of US dollars such as 0.05. "
            "Run `routed explain --help`.\n",
            id="no number",
        ),
        pytest.param(
            ("simulate", "--port", "70000"),
            "routed simulate: Argument --port: '70000' is not a port from 0 to 65535. "
            "Run `routed simulate --help`.\n",
            id="bad port",
        ),
        pytest.param(
            ("models", "--pretty"),
            "routed: Unrecognized arguments: --pretty. Run `routed --help`.\n",
            id="unknown option",
        ),
    ],
)
def test_arguments_that_do_not_parse_give_one_line(
    routed: Routed, words: tuple[str, ...], error: str
) -> None:
    """A wrong argument ends with 2 and says on one line what to do."""
    done = routed(*words)
    assert (done.code, done.out, done.err) == (2, "", error)


@pytest.mark.parametrize("words", [("models",), ("explain", "-"), ("demo",)], ids=lambda words: words[0])
def test_without_rich_a_table_is_refused_clearly(
    routed: Routed, monkeypatch: pytest.MonkeyPatch, words: tuple[str, ...]
) -> None:
    """Where the `cli` extra is not installed, the command says how to get it."""
    monkeypatch.setitem(sys.modules, "rich.console", None)
    done = routed(*words)
    error = f"routed {words[0]}: This needs rich.console. Run `pip install 'routed-llm[cli]'`.\n"
    assert (done.code, done.out, done.err) == (2, "", error)


def test_without_rich_json_still_works(routed: Routed, monkeypatch: pytest.MonkeyPatch) -> None:
    """`--json` needs the standard library alone."""
    monkeypatch.setitem(sys.modules, "rich.console", None)
    assert routed("models", "--json").code == 0
    assert routed("explain", "-", "--json", stdin=b'{"input": "Hello"}').code == 0


def test_the_documents_name_every_keyword_and_error() -> None:
    """docs/policy.md has a row for each keyword of Policy, docs/errors.md one for each error."""
    rows = re.findall(r"^\| `(\w+)`", (DOCS / "policy.md").read_text(), re.MULTILINE)
    assert set(rows) >= {field.name for field in fields(Policy)}
    errors = {name for name in routed_llm.__all__ if name.endswith(("Error", "Fits", "Exceeded"))}
    text = (DOCS / "errors.md").read_text()
    assert {name for name in errors if f"`{name}`" not in text} == set()
