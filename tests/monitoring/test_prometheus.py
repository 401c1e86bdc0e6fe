"""What a real Prometheus reads off real processes after faults, and what dashboard and alerts make of it."""

from __future__ import annotations

import json
import math
import os
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

import httpx
import pytest
from prometheus_client import CollectorRegistry, generate_latest

from routed_llm import PolicyError, Router, events
from routed_llm.prometheus import LABELS, Meters, expose
from routed_llm.simulator import Simulator, serve
from routed_llm.telemetry import only_metrics
from tests.calls.test_driver import Failure, World, answer

FOLDER = Path(__file__).parents[2] / "examples" / "monitoring"
PANELS = json.loads((FOLDER / "dashboard.json").read_text())["panels"]
MISSING = "no {} on this machine; install the distribution's package prometheus"


def program(name: str) -> str:
    """Return the path of one of Prometheus' programs, or skip."""
    found = shutil.which(name)
    if found is None:
        pytest.skip(MISSING.format(name))
    return found


@pytest.mark.parametrize("words", [("check", "rules", "alerts.yml"), ("test", "rules", "alerts_test.yml")])
def test_the_alerts(words: tuple[str, ...]) -> None:
    """They are well formed, fire on what they are for, and keep silent otherwise, by Prometheus' own tool."""
    done = subprocess.run(
        [program("promtool"), *words], cwd=FOLDER, capture_output=True, text=True, check=False, timeout=60
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert "SUCCESS" in done.stdout


def free() -> int:
    """Return a port that nobody listens at."""
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        port: int = one.getsockname()[1]
        return port


@contextmanager
def running(command: list[str], ready: str, **environment: str) -> Iterator[None]:
    """Run a process until it is ready, and end it."""
    process = subprocess.Popen(
        command, env={**os.environ, **environment}, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )
    try:
        end = time.monotonic() + 120
        while True:
            assert process.poll() is None, command
            assert time.monotonic() < end, command
            try:
                if httpx.get(ready).status_code == 200:
                    break
            except httpx.TransportError:
                time.sleep(0.05)
        yield
    finally:
        process.send_signal(signal.SIGTERM)
        process.wait(30)


class Scraped:
    """A gateway of two processes, called with faults, and the Prometheus that reads it."""

    def __init__(self, url: str, simulator: Simulator) -> None:
        self.url = url
        self.simulator = simulator
        self.moves = self.failed = self.calls = 0
        self.at: float | None = None

    def call(self, gateway: str, **more: Any) -> None:
        """Make a call, and wait until it is read: a rate is seen only between two readings."""
        body = {"model": "gpt-4o", "messages": [{"role": "user", "content": "What is a tide?"}], **more}
        got = httpx.post(f"{gateway}/chat/completions", json=body, timeout=60)
        self.calls += 1
        if got.status_code != 200:
            self.failed += 1
        elif not more.get("stream"):
            attempts = got.json()["routing"].get("attempts", ())
            self.moves += sum(one["action"] == "move" for one in attempts)
        end = time.monotonic() + 60
        while sum(self.ask(f"sum({COUNT})").values()) < self.calls:
            assert time.monotonic() < end, self.ask(COUNT)
            time.sleep(0.05)

    def ask(self, query: str) -> dict[str, float]:
        """Return Prometheus' answer to a query, of the moment after the last call: labels to value."""
        moment = {} if self.at is None else {"time": self.at}
        got = httpx.get(f"{self.url}/api/v1/query", params={"query": query, **moment}).json()
        assert got["status"] == "success", (query, got)
        rows = got["data"]["result"]
        return {
            " ".join(f"{name}={value}" for name, value in sorted(row["metric"].items()) if value): float(
                row["value"][1]
            )
            for row in rows
        }


@pytest.fixture(scope="module")
def scraped(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Scraped]:
    """Run everything once: calls, faults, and the reading of them."""
    prometheus, folder = program("prometheus"), tmp_path_factory.mktemp("prometheus")
    gateway, port = free(), free()
    (folder / "prometheus.yml").write_text(
        f"""
global: {{ scrape_interval: 250ms, evaluation_interval: 250ms }}
rule_files: ["{FOLDER / "alerts.yml"}"]
scrape_configs:
  - job_name: gateway
    static_configs: [{{ targets: ["127.0.0.1:{gateway}"] }}]
"""
    )
    command = [str(Path(sys.executable).parent / "routed"), "serve", "--port", str(gateway), "--workers", "2"]
    server = [
        prometheus,
        f"--config.file={folder / 'prometheus.yml'}",
        f"--storage.tsdb.path={folder / 'data'}",
        f"--web.listen-address=127.0.0.1:{port}",
        "--log.level=error",
    ]
    at, url = f"http://127.0.0.1:{gateway}", f"http://127.0.0.1:{port}"
    with (
        serve(at=datetime.now(UTC).date()) as simulator,
        running(command, f"{at}/health", OPENAI_BASE_URL=simulator.url, OPENAI_API_KEY="sk-up"),
        running(server, f"{url}/-/ready"),
    ):
        found = Scraped(url, simulator)
        found.call(f"{at}/v1")
        for _ in range(12):
            found.call(f"{at}/v1", temperature=0.3, top_p=0.5)
        for kind in ("503", "503", "503", *(["429_no_headers"] * 5)):
            simulator.faults.add(kind=kind, times=1)
            found.call(f"{at}/v1")
        for _ in range(3):
            found.call(f"{at}/v1", stream=True)
        for _ in range(4):  # the first of its kind is where a rate begins
            simulator.faults.add(kind="insufficient_quota", times=1)
            found.call(f"{at}/v1")
        found.at = time.time()
        yield found


COUNT = "gen_ai_client_operation_duration_seconds_count"


QUERIES = [
    pytest.param(target["expr"], id=f"{panel['title']}: {target['legendFormat']}")
    for panel in PANELS
    for target in panel["targets"]
]


@pytest.mark.parametrize("query", QUERIES)
def test_every_query_of_the_dashboard_has_an_answer(query: str, scraped: Scraped) -> None:
    """None is empty after a run with faults; a quantile of what did not come again is no number."""
    found = scraped.ask(query.replace("$__rate_interval", "5m"))
    assert found
    numbers = [value for value in found.values() if not math.isnan(value)]
    assert numbers, found
    assert min(numbers) >= 0, found


def test_sums_are_the_provider_s(scraped: Scraped) -> None:
    """Calls, failures, 429s, tokens and dollars are what the provider's own journal has."""
    journal = [
        entry for entry in scraped.simulator.journal if entry.path.endswith(("completions", "responses"))
    ]
    calls = scraped.ask(f"sum by (error_type) ({COUNT})")
    assert sum(calls.values()) == scraped.calls
    assert sum(value for name, value in calls.items() if name) == scraped.failed == 4
    assert scraped.ask(expression("429s"))[""] == sum(entry.status == 429 for entry in journal) >= 5
    assert scraped.ask(expression("Failovers"))[""] == scraped.moves > 0
    dollars = scraped.ask(expression("US dollars since"))[""]
    assert dollars == pytest.approx(float(scraped.simulator.billed), rel=1e-9)
    lost = scraped.ask(expression("Refusals avoided"))
    assert lost.get("routed_llm_parameter=temperature", 0) == lost.get("routed_llm_parameter=top_p", 0) == 12
    assert scraped.ask(expression("What the log"))["routed_llm_event=recovery_stop"] == 4


def test_days_are_those_of_the_catalog(scraped: Scraped) -> None:
    """How old the catalog is and how long the program's own model lives are days of the calendar."""
    from routed_llm import Catalog

    today = datetime.now(UTC)
    left = scraped.ask(expression("Days that the program"))["gen_ai_request_model=gpt-4o"]
    ends = Catalog.load().get("gpt-4o").lifecycle.shutdown
    assert ends is not None
    assert left == pytest.approx(
        (datetime(*ends.timetuple()[:3], tzinfo=UTC) - today).total_seconds() / 86400, abs=0.1
    )
    assert scraped.ask(expression("Days since"))[""] < 60


def test_the_alerts_are_evaluated(scraped: Scraped) -> None:
    """The server reads the rules as they are shipped; four failed calls in 25 are too many."""
    end = time.monotonic() + 30
    while True:
        groups = httpx.get(f"{scraped.url}/api/v1/rules").json()["data"]["groups"]
        rules = {rule["name"]: rule for rule in groups[0]["rules"]}
        if rules["RoutedCallsFail"]["state"] == "pending" or time.monotonic() > end:
            break
        time.sleep(0.1)
    assert rules["RoutedCallsFail"]["state"] == "pending"
    assert {rule["health"] for rule in rules.values()} == {"ok"}


def expression(title: str) -> str:
    """Return the query of the panel whose title begins so."""
    (panel,) = [one for one in PANELS if one["title"].startswith(title)]
    query: str = panel["targets"][0]["expr"]
    return query


# ----- without a server


def page(registry: CollectorRegistry) -> dict[str, float]:
    """Return the samples of a page."""
    lines = generate_latest(registry).decode().splitlines()
    return {line.rpartition(" ")[0]: float(line.rpartition(" ")[2]) for line in lines if line[0] != "#"}


def test_routers_of_one_process_count_together() -> None:
    """A second one adds to the same metrics; each event that is watched begins at 0."""
    registry = CollectorRegistry()
    worlds = [World(answer()), World(Failure(404, code="model_not_found"), answer())]
    for world in worlds:
        world.router.observed_by(only_metrics(Meters(registry)))
        world.whole()
    found = page(registry)
    assert sum(value for name, value in found.items() if name.startswith(f"{COUNT}{{")) == 2
    assert sum(v for n, v in found.items() if n.startswith("routed_llm_failed_requests_total{")) == 1
    for event, level in events.WATCHED.items():
        shown = "warning" if level == events.WARNING else "info"
        assert f'routed_llm_events_total{{routed_llm_event="{event}",routed_llm_level="{shown}"}}' in found


def test_names_are_those_of_opentelemetry_s_exporter() -> None:
    """Every metric of telemetry has its labels here, so that one dashboard fits both ways."""
    registry = CollectorRegistry()
    only_metrics(Meters(registry))
    assert {name.replace(".", "_") for name in LABELS} == {
        family.name.removesuffix("_seconds") for family in registry.collect()
    }


def test_a_process_answers_at_its_port(monkeypatch: pytest.MonkeyPatch) -> None:
    """ROUTED_METRICS is all that it takes."""
    port = free()
    monkeypatch.setenv("ROUTED_METRICS", str(port))
    router = Router(clock=lambda: date(2026, 11, 29))
    assert router.telemetry is Router().telemetry is not None
    assert "routed_llm_catalog_verified_seconds" in httpx.get(f"http://127.0.0.1:{port}/metrics").text


def test_a_port_that_is_taken(caplog: pytest.LogCaptureFixture) -> None:
    """Calls go on, and a line says that nobody sees this process."""
    with socket.create_server(("127.0.0.1", 0)) as taken:
        address = f"127.0.0.1:{taken.getsockname()[1]}"
        expose(address, CollectorRegistry())
    (record,) = [one for one in caplog.records if getattr(one, "event", "") == "metrics_unseen"]
    assert record.getMessage() == (
        f"metrics of this process cannot be read at {address}: Address already in use"
    )


@pytest.mark.parametrize("address", ["", "x", "127.0.0.1:", "70000", "127.0.0.1:0"])
def test_no_address(address: str) -> None:
    """A mistake at the start of a program is an error."""
    with pytest.raises(PolicyError) as caught:
        expose(address)
    assert str(caught.value) == f"metrics={address!r} is not a port. Give one such as 9464, or host:port."
