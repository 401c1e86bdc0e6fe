"""`routed explain`."""

from __future__ import annotations

import base64
import io
import json
import re
import sys
import wave
from datetime import date
from pathlib import Path

import pytest

from routed_llm import Policy, Router, read_openai
from routed_llm.cli import main
from routed_llm.cli.screen import money

from .conftest import Routed

DAY = date(2026, 11, 22)
SHORT = {"model": "gpt-4o", "messages": [{"role": "user", "content": "What is the capital of Peru?"}]}
LONG = {"model": "gpt-4o", "input": "Entry 4711 is wrong.\n" * 60_000}


def encoded(body: object) -> bytes:
    """Return JSON as it would be piped in."""
    return json.dumps(body).encode()


@pytest.mark.parametrize("body", [SHORT, LONG], ids=["chat completions", "responses"])
@pytest.mark.parametrize(
    ("words", "policy"),
    [
        pytest.param((), Policy(), id="default"),
        pytest.param(("--optimize", "quality"), Policy(optimize="quality"), id="quality"),
        pytest.param(("--baseline", "gpt-5.4"), Policy(baseline="gpt-5.4"), id="baseline"),
    ],
)
def test_it_says_what_the_router_decides(
    routed: Routed, body: dict[str, object], words: tuple[str, ...], policy: Policy
) -> None:
    """The decision printed is the one that a Router of the same policy makes on that day."""
    done = routed("explain", "-", "--json", "--at", "2026-11-22", *words, stdin=encoded(body))
    shown = json.loads(done.out)
    decision = Router(policy=policy).decide(read_openai(body), at=DAY)
    assert (done.code, done.err) == (0, "")
    assert (shown["model"], shown["effort"], shown["endpoint"]) == (
        decision.model,
        decision.effort,
        decision.endpoint,
    )
    assert shown["baseline"] == policy.baseline
    assert shown["at"] == "2026-11-22"
    assert len(shown["candidates"]) == len(decision.candidates)
    assert 0 < shown["timing"]["select_seconds"] < shown["timing"]["prepare_seconds"] + 1


def test_the_table_has_one_row_a_model_and_all_with_all(routed: Routed) -> None:
    """The chosen configuration leads, every rejected model has its reason, `--all` adds configurations."""
    done = routed("explain", "-", "--at", "2026-11-22", stdin=encoded(LONG))
    assert (done.code, done.err) == (0, "")
    head, table = done.out.split("candidate ", 1)
    decision = Router().decide(read_openai(LONG), at=DAY)
    assert decision.chosen is not None
    assert f"chosen    {decision.chosen.name} on " in head
    assert table.splitlines()[1].startswith(decision.chosen.name)
    for name in decision.rejected:
        assert f"\n{name}" in table
    assert "more than the 128,000 that" in table
    every = routed("explain", "-", "--at", "2026-11-22", "--all", stdin=encoded(LONG))
    assert len(every.out.splitlines()) > len(done.out.splitlines())
    assert max(len(line) for line in every.out.splitlines()) <= 100
    assert f"day       {decision.at}, catalog {decision.catalog_version}\n" in every.out


@pytest.mark.parametrize("columns", [80, 100], ids=str)
def test_a_narrow_table_wraps_words_and_never_money(routed: Routed, columns: int) -> None:
    """Every amount that fits a wide screen is whole on a narrow one."""
    amounts = set(re.findall(r"\$[\d.,]+\d", routed("explain", "-", stdin=encoded(LONG), columns=300).out))
    shown = routed("explain", "-", stdin=encoded(LONG), columns=columns).out
    assert max(map(len, shown.splitlines())) <= columns
    assert set(re.findall(r"\$[\d.,]+\d", shown)) == amounts
    assert "…" not in shown


def test_a_pipe_gets_whole_lines(capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    """For another program nothing is wrapped, coloured or filled up with spaces."""
    monkeypatch.delenv("COLUMNS", raising=False)
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(encoded(LONG))))
    assert main(("explain", "-", "--at", "2026-11-22")) == 0
    lines = capfd.readouterr().out.splitlines()
    decision = Router().decide(read_openai(LONG), at=DAY)
    assert f"why       {decision.why}" in lines
    assert [line for line in lines if line != line.rstrip() or "\x1b" in line] == []


def test_text_is_counted_where_asked(routed: Routed) -> None:
    """A decision needs no more than bounds here; what is long is counted with `--exact` only."""
    assert "request   14 text tokens\n" in routed("explain", "-", stdin=encoded(SHORT)).out
    body = encoded({"input": "a tide " * 10_000})
    assert "request   about 15,407 text tokens\n" in routed("explain", "-", stdin=body).out
    assert "request   20,008 text tokens\n" in routed("explain", "-", "--exact", stdin=body).out
    timing = json.loads(routed("explain", "-", "--exact", "--json", stdin=body).out)["timing"]
    assert timing["count_seconds"] >= 0


def test_nothing_fits_is_an_answer_with_exit_code_1(routed: Routed) -> None:
    """Where no model fits, the table still says why, and a script can tell."""
    done = routed("explain", "-", "--at", "2026-11-22", "--max-cost", "0.000001", stdin=encoded(SHORT))
    assert (done.code, done.err) == (1, "")
    assert "nothing fits" in done.out
    assert "over the cap of $0.000001" in " ".join(done.out.split())


def test_a_policy_file_is_followed(routed: Routed, tmp_path: Path) -> None:
    """The keywords of `--policy` hold, those of the command line go before them."""
    file, request = tmp_path / "policy.toml", tmp_path / "request.json"
    file.write_text('models = ["gpt-4.1", "gpt-5.4"]\noptimize = "cost"\n')
    request.write_bytes(encoded(SHORT))
    words = ("explain", str(request), "--policy", str(file), "--json", "--at", "2026-11-22")
    shown = json.loads(routed(*words).out)
    assert {candidate["model"] for candidate in shown["candidates"]} == {"gpt-4.1", "gpt-5.4"}
    best = json.loads(routed(*words, "--optimize", "quality").out)
    assert best["model"] == "gpt-5.4"


NOT_JSON = "Give the body of a Chat Completions or Responses call."
PNG = "data:image/png;base64,AAAA"


@pytest.mark.parametrize(
    ("stdin", "error"),
    [
        pytest.param(
            b'{"messages": ',
            f"standard input is not JSON: Expecting value at line 1 column 14. {NOT_JSON}",
            id="cut off",
        ),
        pytest.param(b"\xff\xfe\xfa", f"standard input is not JSON: it is not UTF-8. {NOT_JSON}", id="bytes"),
        pytest.param(
            b"[" * 100_000, f"standard input is not JSON: it is nested too deep. {NOT_JSON}", id="nested"
        ),
        pytest.param(b"[]", f"standard input holds no JSON object. {NOT_JSON}", id="a list"),
        pytest.param(b"{}", f"The request has neither messages nor input. {NOT_JSON}", id="empty object"),
        pytest.param(
            encoded({"messages": []}),
            "The request has no messages. Send at least one message.",
            id="no messages",
        ),
        pytest.param(
            encoded({**SHORT, "model": "gpt-4p"}),
            "no model is called 'gpt-4p'. The nearest ids are gpt-4o, gpt-5.4, gpt-4.1. "
            "For a model of your own, add it with Catalog.with_models.",
            id="unknown model",
        ),
        pytest.param(
            encoded({"messages": [{"role": "user", "content": [{"type": "hologram"}]}]}),
            "messages[0].content[0] has a content block of the unknown type 'hologram'. "
            "Use text, image_url, input_audio or file blocks, or the framework's standard ones.",
            id="unknown block",
        ),
    ],
)
def test_a_bad_request_gives_one_line(routed: Routed, stdin: bytes, error: str) -> None:
    """Whatever is wrong with the request, one line on stderr says what to do, with exit code 2."""
    done = routed("explain", "-", stdin=stdin)
    assert (done.code, done.out, done.err) == (2, "", f"routed explain: {error}\n")


def test_a_broken_image_gives_one_line(routed: Routed) -> None:
    """Inline data that is no image is named with its place."""
    body = {"messages": [{"role": "user", "content": [{"type": "image_url", "image_url": {"url": PNG}}]}]}
    done = routed("explain", "-", stdin=encoded(body))
    error = (
        "routed explain: message 1 (user): The image is not in a format that the API takes. "
        "Send PNG, JPEG, GIF or WebP.\n"
    )
    assert (done.code, done.out, done.err) == (2, "", error)


@pytest.mark.parametrize(
    ("name", "error"),
    [
        pytest.param(
            "missing.json",
            "missing.json: No such file or directory. Name a file that can be read, or - for standard input.",
            id="missing",
        ),
        pytest.param(
            ".", ".: Is a directory. Name a file that can be read, or - for standard input.", id="a folder"
        ),
    ],
)
def test_a_file_that_cannot_be_read_gives_one_line(
    routed: Routed, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str, error: str
) -> None:
    """The line names the file and the system's reason."""
    monkeypatch.chdir(tmp_path)
    done = routed("explain", name)
    assert (done.code, done.out, done.err) == (2, "", f"routed explain: {error}\n")


@pytest.mark.parametrize(
    ("text", "error"),
    [
        pytest.param(
            None, "policy.toml: No such file or directory. Name a TOML file that can be read.", id="missing"
        ),
        pytest.param(
            'optimise = "cost"',
            "policy.toml: 'optimise' is not a keyword of Policy. Did you mean 'optimize'?",
            id="unknown keyword",
        ),
        pytest.param(
            'optimize = "speed"',
            "policy.toml: optimize='speed' is none of cost, quality, latency. Use one of these.",
            id="impossible value",
        ),
        pytest.param(
            'models = ["gpt-9*"]',
            "models: the pattern 'gpt-9*' matches no model. The nearest ids are ",
            id="pattern without a model",
        ),
    ],
)
def test_a_bad_policy_gives_one_line(
    routed: Routed, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, text: str | None, error: str
) -> None:
    """Whatever is wrong with the policy file, the line names the file or the keyword."""
    monkeypatch.chdir(tmp_path)
    if text is not None:
        Path("policy.toml").write_text(text)
    done = routed("explain", "-", "--policy", "policy.toml", stdin=encoded(SHORT))
    assert (done.code, done.out, done.err.count("\n")) == (2, "", 1)
    assert done.err.startswith(f"routed explain: {error}")


def test_the_table_gives_a_range_and_the_providers_own_word(routed: Routed) -> None:
    """What such calls cost at most, in shares of them, and what the provider names."""
    done = routed("explain", "-", "--at", "2026-11-22", stdin=encoded({"model": "gpt-4o", "input": "Hello"}))
    decision = Router().decide(read_openai({"input": "Hello"}), at=DAY)
    lines = " ".join(done.out.split())
    spread = decision.cost_range
    assert spread is not None
    assert (
        f"range half of such calls cost at most {money(spread['p50'])}, nine of ten {money(spread['p90'])}, "
        f"nineteen of twenty {money(spread['p95'])}, at worst {money(decision.worst_cost)}" in lines
    )
    assert "provider names gpt-6-luna@medium in place of the baseline, expected to cost $" in lines
    assert "; not in the pool; nothing published on " in lines


def silence() -> str:
    """Give two seconds of nothing, as a program sends them."""
    file = io.BytesIO()
    with wave.open(file, "wb") as sound:
        sound.setnchannels(1)
        sound.setsampwidth(2)
        sound.setframerate(8_000)
        sound.writeframes(bytes(32_000))
    return base64.b64encode(file.getvalue()).decode()


def test_a_program_that_listens_is_explained(routed: Routed) -> None:
    """Of audio models nothing is published but which of the others they go with."""
    sound = {"type": "input_audio", "input_audio": {"data": silence(), "format": "wav"}}
    body = {"model": "gpt-4o", "messages": [{"role": "user", "content": [sound]}]}
    done = routed("explain", "-", "--at", "2026-11-22", stdin=encoded(body))
    assert done.code == 0
    assert "evidence the provider's counterpart of gpt-4o on overall, " in " ".join(done.out.split())


def test_no_part_of_such_calls_costs_more_than_there_can_be(routed: Routed) -> None:
    """A short cap leaves no room for what other answers of the kind were."""
    parameters = {"type": "object", "properties": {}}
    tool = {"type": "function", "function": {"name": "look", "parameters": parameters}}
    asked = read_openai({**SHORT, "tools": [tool], "max_tokens": 50, "temperature": 0, "seed": 7})
    decision = Router().decide(asked, at=DAY)
    assert decision.cost_range is not None
    assert decision.worst_cost is not None
    assert decision.cost_range["p50"] < decision.cost_range["p95"] <= decision.worst_cost


def test_own_examples_are_explained(routed: Routed, tmp_path: Path) -> None:
    """What a program's own examples have shown stands before what others measured."""
    policy = tmp_path / "policy.toml"
    policy.write_text(
        """
        task = "coding"
        models = ["gpt-4o", "gpt-5.4-nano"]
        [[measures]]
        task = "coding"
        configuration = "gpt-5.4-nano@none"
        baseline = "gpt-4o"
        n = 200
        difference = 0.4
        interval = [-1.6, 2.5]
        margin = 2.0
        judge = "exact"
        date = 2026-11-20
        """
    )
    done = routed("explain", "-", "--policy", str(policy), "--at", "2026-11-22", stdin=encoded(SHORT))
    assert done.code == 0
    words = " ".join(done.out.split())
    assert "evidence not worse than gpt-4o on your own 200 examples: +0.4 points [-1.6, 2.5]" in words
