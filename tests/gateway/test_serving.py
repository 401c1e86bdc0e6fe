"""`routed serve` as a process: several workers, one set of books, an orderly end."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx
import pytest

from routed_llm.cli import main
from routed_llm.ledger import open_ledger
from routed_llm.simulator import Simulator

BODY = {"model": "gpt-4o", "messages": [{"role": "user", "content": "What is a tide?"}]}


@contextmanager
def served(sim: Simulator, *options: str) -> Iterator[tuple[str, subprocess.Popen[str]]]:
    """Run `routed serve` and give its base URL and process."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    command = [str(Path(sys.executable).parent / "routed"), "serve", "--port", str(port), *options]
    environment = {**os.environ, "OPENAI_BASE_URL": sim.url, "OPENAI_API_KEY": "sk-up"}
    process = subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, text=True)
    url = f"http://127.0.0.1:{port}"
    try:
        end = time.monotonic() + 240  # two processes start beside whatever else runs
        while True:
            assert process.poll() is None
            assert time.monotonic() < end
            try:
                if httpx.get(f"{url}/health").status_code == 200:
                    break
            except httpx.TransportError:
                time.sleep(0.05)
        yield f"{url}/v1", process
    finally:
        if process.poll() is None:
            process.send_signal(signal.SIGTERM)
        process.communicate(timeout=30)


def test_workers_share_the_books(sim: Simulator, tmp_path: Path) -> None:
    """Two processes, one ledger: what both have booked is what the provider billed."""
    sim.at = None
    ledger = tmp_path / "ledger.db"
    with served(sim, "--workers", "2", "--ledger", str(ledger)) as (url, _):
        answers = [httpx.post(f"{url}/chat/completions", json=BODY, timeout=60) for _ in range(10)]
        page = httpx.get(f"{url.removesuffix('/v1')}/metrics").text
    assert {answer.status_code for answer in answers} == {200}
    lines = [line for line in page.splitlines() if line.startswith("routed_calls_total")]
    assert sum(float(line.rpartition(" ")[2]) for line in lines) == 10
    booked = sum(entry.booked for entry in open_ledger(str(ledger)).entries()) / 10**12
    assert booked == pytest.approx(float(sim.billed), rel=0.02)


def test_a_call_under_way_is_answered_when_it_stops(sim: Simulator, tmp_path: Path) -> None:
    """SIGTERM ends the process once its calls have ended."""
    sim.at = None
    ledger = tmp_path / "ledger.db"
    with served(sim, "--ledger", str(ledger)) as (url, process):
        sim.faults.add("slow_chunks;seconds=0.03")
        parts = []

        def ask() -> None:
            body = {**BODY, "stream": True}
            with httpx.stream("POST", f"{url}/chat/completions", json=body, timeout=60) as answer:
                parts.extend(answer.iter_text())

        asking = threading.Thread(target=ask)
        asking.start()
        while not parts:
            time.sleep(0.01)
        process.send_signal(signal.SIGTERM)
        asking.join(30)
        process.wait(30)
    assert "".join(parts).endswith("data: [DONE]\n\n")
    assert [entry.outcome for entry in open_ledger(str(ledger)).entries()] == ["answered"]


def test_what_a_killed_process_held_is_not_held_forever(sim: Simulator, tmp_path: Path) -> None:
    """A kill -9 in the middle of a stream: the next process books what was under way, and goes on."""
    sim.at = None
    ledger = tmp_path / "ledger.db"
    with served(sim, "--ledger", str(ledger)) as (url, process):
        sim.faults.add("slow_chunks;seconds=0.05;times=1")
        body = {**BODY, "stream": True}
        with httpx.stream("POST", f"{url}/chat/completions", json=body, timeout=60) as answer:
            parts = answer.iter_raw()
            next(parts)
            process.kill()
            with pytest.raises(httpx.RemoteProtocolError):
                list(parts)
    with served(sim, "--ledger", str(ledger)) as (url, _):
        assert httpx.post(f"{url}/chat/completions", json=BODY, timeout=60).status_code == 200
    entries = open_ledger(str(ledger)).entries()
    assert sorted(entry.outcome for entry in entries) == ["answered", "unknown"]
    assert all(entry.cost > 0 for entry in entries)


def test_explain_asks_a_running_gateway(
    sim: Simulator, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """`routed explain --url` prints what it would do; what is wrong is said in one line."""
    sim.at = None
    asked = tmp_path / "body.json"
    asked.write_text(json.dumps(BODY))
    config = tmp_path / "gateway.toml"
    config.write_text('[policy]\nmodels = ["gpt-4.1"]\nat_least = "gpt-4.1"\n')
    with served(sim, "--config", str(config)) as (url, _):
        assert main(["explain", str(asked), "--url", url]) == 0
        assert capsys.readouterr().out.startswith("chosen gpt-4.1 on chat_completions, $")
        assert main(["explain", str(asked), "--url", url, "--json"]) == 0
        assert json.loads(capsys.readouterr().out)["model"] == "gpt-4.1"
        asked.write_text("{}")
        assert main(["explain", str(asked), "--url", url]) == 2
        assert "refused: The request has neither messages nor input" in capsys.readouterr().err
    assert main(["explain", str(asked), "--url", "nowhere"]) == 2
    assert "'nowhere' is not an address" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (["--host", "0.0.0.0"], "Make some with `routed keys add` and give their file with --keys."),
        (["--config", "no-such.toml"], "Name a TOML file that can be read."),
        (["--port"], "Use another port, or --port 0."),
        (["--port", "65536"], "port=65536 is out of range. Give a whole number from 0 to 65,535."),
        (["--workers", "0"], "workers=0 is out of range. Give a whole number from 1 to 1,024."),
        (["--retries", "-1"], "retries=-1 is out of range. Give a whole number from 0 to 100."),
        (
            ["--upstream", "api.example"],
            "is no address of an API. Give one such as https://api.openai.com/v1.",
        ),
        (["--config", 'models = ["gpt-4.1"]'], "'models' is none of its tables. Write it below [policy]."),
        (["--config", "[[budget]]\nper_day = 5"], "'budget' is none of its tables. Did you mean budgets?"),
    ],
    ids=[
        "open door",
        "no settings",
        "port taken",
        "no port",
        "nobody to serve",
        "fewer than none",
        "no address",
        "a policy's keyword by itself",
        "a table by a wrong name",
    ],
)
def test_what_cannot_start_says_why(
    options: list[str], said: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """One line that ends with what to do, and exit code 2."""
    if " = " in options[-1]:
        (tmp_path / "gateway.toml").write_text(options[-1])
        options = [*options[:-1], str(tmp_path / "gateway.toml")]
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = [str(taken.getsockname()[1])] if options == ["--port"] else []
        assert main(["serve", *options, *port]) == 2
    assert capsys.readouterr().err.endswith(f"{said}\n")
