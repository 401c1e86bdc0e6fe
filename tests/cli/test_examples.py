"""The examples run as they stand, against the simulator."""

from __future__ import annotations

import json
import os
import re
import runpy
import subprocess
import sys
from collections.abc import Iterator
from datetime import date
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from fastapi.testclient import TestClient

from routed_llm import Budget, read_openai
from routed_llm.calls import router
from routed_llm.simulator import Simulator, serve

from .conftest import Routed

DAY = date(2026, 11, 22)
EXAMPLES = Path(__file__).parents[2] / "examples"


@pytest.fixture
def sim(monkeypatch: pytest.MonkeyPatch) -> Iterator[Simulator]:
    """The simulator on a fixed day, where all examples look for an API; whatever is sent keeps its rules."""
    with serve(at=DAY) as simulator:
        for name in ("OPENAI_BASE_URL", "AZURE_OPENAI_ENDPOINT", "OWN_MODEL_URL"):
            monkeypatch.setenv(name, simulator.url)
        for name in ("OPENAI_API_KEY", "AZURE_OPENAI_API_KEY"):
            monkeypatch.setenv(name, "simulated")
        monkeypatch.setattr(router, "_now", lambda: DAY)
        yield simulator
        simulator.assert_not_refused()


def load(name: str) -> dict[str, Any]:
    """Import an example."""
    return runpy.run_path(str(EXAMPLES / name))


def test_every_example_is_listed_and_run() -> None:
    """examples/README.md has a row for each file, and this module or the demo's runs each program."""
    files = {path.name for path in EXAMPLES.iterdir()} - {"README.md", "__pycache__"}
    rows = set(re.findall(r"^\| \[([\w.]+)\]\(\1\)", (EXAMPLES / "README.md").read_text(), re.MULTILINE))
    also = {"gateway.toml"}  # beside its program
    assert rows | also == files
    tests = "".join(path.read_text() for path in Path(__file__).parents[1].rglob("test_*.py"))
    run = {name for name in files if name.endswith(".py") and f'"{name}"' in tests}
    elsewhere = {"llama_index_query_engine.py"}  # by `routed demo`
    assert run | elsewhere >= {name for name in files if name.endswith(".py")}


def test_the_first_program(sim: Simulator, capsys: pytest.CaptureFixture[str]) -> None:
    """It says who answered, why and for how much."""
    load("first.py")
    (entry,) = sim.journal
    assert capsys.readouterr().out.startswith(f"{entry.served} ")


def test_tenants_have_budgets_of_their_own(sim: Simulator) -> None:
    """A tenant's calls are streamed until its budget has no room; then nothing of its is sent."""
    app = load("fastapi_service.py")["make_app"](Budget(per_day="0.0004", scope="tenant"))
    text = "The sea rises and falls. " * 40
    sim.script(text, contains="tide")
    with TestClient(app) as client:

        def ask(tenant: str) -> Any:
            return client.post("/ask", json={"question": "What is a tide?"}, headers={"x-tenant": tenant})

        assert ask("acme").text == text
        refused = ask("acme")
        assert (refused.status_code, refused.json()["detail"][:14]) == (429, "acme has $0.00")
        assert [entry.stream for entry in sim.journal] == [True]
        assert ask("other").status_code == 200


@pytest.mark.parametrize(
    ("budget", "said", "calls"),
    [
        pytest.param(
            "0.05",
            [r"How many pump seals are in stock\? \S+ answered; \$0\.04\d+ of \$0\.05 are left\.",
             r"And how many valves\? \S+ answered; \$0\.04\d+ of \$0\.05 are left\."],
            3,
            id="enough",
        ),
        pytest.param(
            "0.00001",
            [r"How many pump seals are in stock\? Not asked: 0\.00001 dollars are left .*"],
            0,
            id="too little",
        ),
    ],
)  # fmt: skip
def test_an_agent_keeps_to_its_conversation_s_budget(
    sim: Simulator, capsys: pytest.CaptureFixture[str], budget: str, said: list[str], calls: int
) -> None:
    """The agent calls its tool and answers, or the budget refuses before anything is sent."""
    load("langgraph_agent.py")["main"](budget)
    lines = capsys.readouterr().out.splitlines()
    assert [bool(re.fullmatch(pattern, line)) for pattern, line in zip(said, lines, strict=True)] == [
        True
    ] * len(said)
    assert len(sim.journal) >= calls if calls else sim.journal == []


def test_an_answer_has_its_form(sim: Simulator, capsys: pytest.CaptureFixture[str]) -> None:
    """What is found goes into the prompt, and the answer comes back as the form says."""
    sim.script('{"answer": "12.50 EUR", "sources": ["prices.md"]}', contains="A pump seal costs 12.50 EUR")
    answer = load("rag_structured.py")["main"]()
    assert (answer.answer, answer.sources) == ("12.50 EUR", ["prices.md"])
    assert sim.journal[0].served in capsys.readouterr().out


def test_only_deployments_are_called(sim: Simulator, capsys: pytest.CaptureFixture[str]) -> None:
    """The cheaper deployment answers, and the long prompt would go to the one that can read it."""
    load("azure_deployments.py")["main"]({"gpt-4o": "gpt-4o", "gpt-5.6-luna": "gpt-5.6-luna"})
    first, second = capsys.readouterr().out.splitlines()
    assert first.startswith("gpt-5.6-luna answered for $")
    assert second.startswith("gpt-5.6-luna would read 180,000 tokens; about ")
    assert second.endswith("input tokens are more than the 128,000 that gpt-4o accepts")


def test_a_client_of_the_gateway(sim: Simulator, capsys: pytest.CaptureFixture[str]) -> None:
    """OpenAI's own client is routed, and both budgets of the gateway are drawn on."""
    load("gateway_client.py")["main"]()
    lines = capsys.readouterr().out.splitlines()
    assert lines[0].startswith(f"{sim.journal[0].served} answered for $")
    assert [line.split(":")[0] for line in lines[1:]] == ["everybody", "team=search"]


def test_a_night_s_work(sim: Simulator, capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    """All requests are answered for less than at once, and a second start sends nothing."""
    asked = {"model": "gpt-4o", "max_tokens": 50}
    rows = [{**asked, "messages": [{"role": "user", "content": f"Say {number}."}]} for number in range(3)]
    (tmp_path / "requests.jsonl").write_text("".join(f"{json.dumps(row)}\n" for row in rows))
    files = [str(tmp_path / name) for name in ("requests.jsonl", "answers.jsonl")]

    def night() -> int:
        main = load("nightly_batch.py")["main"]
        failed: int = main(*files, job=str(tmp_path / "night.db"), wait=lambda _: sim.advance(3600))
        return failed

    assert night() == 0
    assert len((tmp_path / "answers.jsonl").read_text().splitlines()) == 3
    plan, done = capsys.readouterr().out.splitlines()
    expected, at_once = (Decimal(amount) for amount in re.findall(r"\$([\d.]+)", plan))
    assert expected < at_once
    assert done.startswith("3 answered, 0 failed, for $")
    sent = [entry for entry in sim.journal if entry.method == "POST"]
    assert night() == 0
    assert [entry for entry in sim.journal if entry.method == "POST"] == sent


def test_a_model_of_one_s_own(sim: Simulator, capsys: pytest.CaptureFixture[str]) -> None:
    """The short prompt goes to the model's own server, by the server's name for it, without OpenAI's key."""
    load("own_model.py")["main"]("gpt-4.1")
    (entry,) = sim.journal
    assert entry.model == "gpt-4.1"
    first, second = capsys.readouterr().out.splitlines()
    assert first.startswith("our-model answered for $0.0000")
    assert second.endswith("input tokens are more than the 40,960 that our-model accepts")


def test_the_policies_example_runs(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """It names a model for each policy, answers one call, and refuses one before anything is sent."""
    with serve() as simulator:
        monkeypatch.setenv("OPENAI_BASE_URL", simulator.url)
        monkeypatch.setenv("OPENAI_API_KEY", "simulated")
        example = runpy.run_path(str(EXAMPLES / "langchain_policies.py"))
        example["main"]()
        (entry,) = simulator.journal
        assert simulator.refused == []
    lines = capsys.readouterr().out.splitlines()
    assert [line.partition(":")[0] for line in lines[:3]] == list(example["POLICIES"])
    assert lines[3].startswith(f"answered by {entry.served}: ")
    assert lines[4].endswith("Raise max_cost_per_call, or shorten the request.")


def test_a_long_request_can_be_explained(routed: Routed) -> None:
    """The script prints a request of about the tokens asked for, which `routed explain` reads."""
    done = subprocess.run(
        [sys.executable, EXAMPLES / "long_request.py", "300000"],
        capture_output=True,
        env={**os.environ, "PYTHONPATH": ""},
        timeout=60,
        check=True,
    )
    assert read_openai(json.loads(done.stdout)).facts.cap == 500
    shown = routed("explain", "-", "--exact", "--json", "--at", "2026-11-22", stdin=done.stdout)
    assert shown.code == 0
    decision = json.loads(shown.out)
    assert decision["input_tokens"] == pytest.approx(300_000, rel=0.02)
    against = {row["model"]: row["reasons"][0]["code"] for row in decision["candidates"] if row["reasons"]}
    assert against["gpt-4o"] == "max_input"
