"""What telemetry adds to a call: off, on without a provider, for Prometheus, with the SDK; by turns.

    python -m benchmarks.decision.telemetry --calls 2000

The call is one through the driver to a provider that answers at once, so what is measured is this library.
CPU time; the median of twenty rounds.
"""

from __future__ import annotations

import argparse
import statistics
import time
from datetime import date
from typing import Any

from routed_llm import Router, read_openai
from routed_llm.calls.driver import Driven, flow
from routed_llm.calls.runners import run
from routed_llm.calls.wired import Wired
from routed_llm.telemetry import Telemetry

ASKED: dict[str, Any] = {"messages": [{"role": "user", "content": "Name three capitals."}], "max_tokens": 50}
MESSAGE = {"role": "assistant", "content": "Lima, Quito, Oslo"}
ANSWER: dict[str, Any] = {
    "model": "gpt-4o",
    "choices": [{"index": 0, "message": MESSAGE, "finish_reason": "stop"}],
    "usage": {"prompt_tokens": 12, "completion_tokens": 3, "total_tokens": 15},
}


def called(router: Router, calls: int) -> float:
    """Return the microseconds of CPU that a call takes."""
    began = time.process_time()
    for _ in range(calls):
        request = read_openai(ASKED)
        decision = router.decide(request)
        seam = Wired(asked=ASKED, catalog=router.catalog)
        attempts = lambda decision, since, request=request: router.attempts(request, decision, since=since)  # noqa: E731 - as short as an adapter's
        run(flow(Driven(router, decision, seam, attempts)), lambda _: ANSWER)
    return (time.process_time() - began) / calls * 1e6


def recorder() -> Telemetry:
    """Return telemetry whose spans and metrics are kept in memory."""
    from opentelemetry.sdk.metrics import MeterProvider
    from opentelemetry.sdk.metrics.export import InMemoryMetricReader
    from opentelemetry.sdk.trace import TracerProvider

    return Telemetry(TracerProvider(), MeterProvider(metric_readers=[InMemoryMetricReader()]))


def counted() -> Telemetry:
    """Return telemetry that keeps metrics alone, for Prometheus."""
    from prometheus_client import CollectorRegistry

    from routed_llm.prometheus import Meters
    from routed_llm.telemetry import only_metrics

    return only_metrics(Meters(CollectorRegistry()))


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--calls", type=int, default=2000)
    rounds, calls = 20, parser.parse_args().calls // 20
    day = date(2026, 11, 29)
    routers = {
        "off": Router(clock=lambda: day),
        "off, again": Router(clock=lambda: day),
        "on, no provider": Router(clock=lambda: day, telemetry=Telemetry()),
        "on, Prometheus": Router(clock=lambda: day, telemetry=counted()),
        "on, SDK": Router(clock=lambda: day, telemetry=recorder()),
    }
    for router in routers.values():  # these answers say nothing of limits, so that calls would wait
        router.rate_limits.expect({model.id: (10.0**9, 10.0**12) for model in router.catalog})
    figures: dict[str, list[float]] = {name: [] for name in routers}
    for _ in range(rounds):
        for name, router in routers.items():
            figures[name].append(called(router, calls))
    plain = statistics.median(figures["off"])
    for name, found in figures.items():
        middle = statistics.median(found)
        print(f"{name:16} {middle:7.1f} us a call, {middle - plain:+6.1f} us, {middle / plain:.2f} x")


if __name__ == "__main__":
    main()
