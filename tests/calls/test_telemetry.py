"""What OpenTelemetry is given of a call: one span, its events and metrics, in all four ways of calling."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

import pytest

from routed_llm import Router
from routed_llm.telemetry import Telemetry

from .test_driver import Failure, World, answer, chunks

sdk = pytest.importorskip("opentelemetry.sdk", reason="needs opentelemetry-sdk, which `make venv` installs")

from opentelemetry.sdk.metrics import MeterProvider  # noqa: E402 - only where it is installed
from opentelemetry.sdk.metrics.export import InMemoryMetricReader  # noqa: E402
from opentelemetry.sdk.trace import TracerProvider  # noqa: E402
from opentelemetry.sdk.trace.export import SimpleSpanProcessor  # noqa: E402
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter  # noqa: E402


class Recorded:
    """A world whose calls are recorded."""

    def __init__(self, *outcomes: Any, **settings: Any) -> None:
        self.spans, self.reader = InMemorySpanExporter(), InMemoryMetricReader()
        self.tracers = TracerProvider()
        self.tracers.add_span_processor(SimpleSpanProcessor(self.spans))
        self.world = World(*outcomes, **settings)
        meters = MeterProvider(metric_readers=[self.reader])
        self.world.router.telemetry = Telemetry(self.tracers, meters)

    def span(self) -> Any:
        """Return the one span that has ended."""
        (span,) = self.spans.get_finished_spans()
        return span

    def metrics(self) -> dict[str, float]:
        """Return the sum of each metric."""
        data = self.reader.get_metrics_data()
        if data is None:
            return {}
        found: dict[str, float] = {}
        for scope in data.resource_metrics[0].scope_metrics:
            for metric in scope.metrics:
                for point in metric.data.data_points:
                    value = point.sum if hasattr(point, "sum") else point.value
                    found[metric.name] = found.get(metric.name, 0) + value
        return found


def whole(world: World) -> Any:
    """Call for a whole answer."""
    return world.whole()


def awhole(world: World) -> Any:
    """Call for a whole answer in an event loop."""
    return asyncio.run(world.awhole())


def stream(world: World) -> Any:
    """Read a stream to its end."""
    return list(world.stream())


def astream(world: World) -> Any:
    """Read a stream to its end in an event loop."""

    async def read() -> list[Any]:
        return [chunk async for chunk in world.astream()]

    return asyncio.run(read())


WAYS: list[Any] = [
    pytest.param(whole, False, id="whole"),
    pytest.param(awhole, False, id="async"),
    pytest.param(stream, True, id="stream"),
    pytest.param(astream, True, id="async stream"),
]


def good(streamed: bool) -> Any:
    """Return an answer."""
    return chunks("Lima, ", "Quito, Oslo") if streamed else answer()


@pytest.mark.parametrize(("way", "streamed"), WAYS)
def test_a_call_is_one_span(way: Callable[[World], Any], streamed: bool) -> None:
    """It has what was asked, decided and used, and the metrics add up to the same."""
    recorded = Recorded(good(streamed), baseline="gpt-4o")
    way(recorded.world)
    span = recorded.span()
    asked = recorded.world.provider.asked[0].decision
    assert span.name == f"chat {asked.model}"
    assert span.kind.name == "CLIENT"
    values = dict(span.attributes)
    assert values["gen_ai.request.model"] == asked.model
    assert values["gen_ai.response.model"] == "gpt-4o"
    assert values["gen_ai.request.max_tokens"] == asked.call.cap
    assert (values["gen_ai.usage.input_tokens"], values["gen_ai.usage.output_tokens"]) == (12, 3)
    assert values["routed_llm.why"] == asked.why
    assert values["routed_llm.baseline"] == "gpt-4o"
    assert values["routed_llm.cost"] == pytest.approx(0.00006)
    assert span.status.status_code.name == "UNSET"
    metrics = recorded.metrics()
    assert metrics["gen_ai.client.token.usage"] == 15
    assert metrics["routed_llm.cost"] == pytest.approx(0.00006)
    assert "routed_llm.failed_requests" not in metrics
    assert not any("capital" in str(value) or "Quito" in str(value) for value in values.values())


@pytest.mark.parametrize(("way", "streamed"), WAYS)
def test_failures_are_events(way: Callable[[World], Any], streamed: bool) -> None:
    """A failover is an event, and the span goes by who served the call."""
    recorded = Recorded(Failure(404, code="model_not_found"), good(streamed))
    way(recorded.world)
    span = recorded.span()
    first, second = (prepared.decision for prepared in recorded.world.provider.asked)
    assert span.name == f"chat {second.model}"
    (event,) = span.events
    assert event.name == "request failed"
    assert dict(event.attributes)["gen_ai.request.model"] == first.model
    assert dict(event.attributes)["error.type"] == "404 model_not_found"
    assert dict(event.attributes)["routed_llm.action"] == "move"
    assert recorded.metrics()["routed_llm.failed_requests"] == 1


@pytest.mark.parametrize(("way", "streamed"), WAYS)
def test_a_call_that_fails_is_an_error(way: Callable[[World], Any], streamed: bool) -> None:
    """Its type is that of what the caller sees."""
    recorded = Recorded(Failure(401, code="invalid_api_key"))
    with pytest.raises(Failure):
        way(recorded.world)
    span = recorded.span()
    assert span.status.status_code.name == "ERROR"
    assert span.attributes["error.type"] == "Failure"


def test_a_stream_that_is_left_ends_its_span() -> None:
    """Whoever leaves early leaves no open span."""
    recorded = Recorded(chunks("Lima, ", "Quito"))
    chunked = recorded.world.stream()
    next(chunked)
    chunked.close()
    assert recorded.span().attributes["routed_llm.outcome"] == "abandoned"


def test_the_span_belongs_to_the_current_one() -> None:
    """An agent's calls are children of its own span; between them nothing of ours is current."""
    recorded = Recorded(answer(), answer())
    tracer = recorded.tracers.get_tracer("agent")
    from opentelemetry import trace

    with tracer.start_as_current_span("agent") as agent:
        recorded.world.whole()
        assert trace.get_current_span() is agent
        recorded.world.whole()
    *calls, parent = recorded.spans.get_finished_spans()
    assert [span.parent.span_id for span in calls] == [parent.context.span_id] * 2


@pytest.mark.parametrize(
    ("given", "variable", "on"),
    [
        pytest.param(None, None, False, id="off"),
        pytest.param(True, None, True, id="given"),
        pytest.param(None, "1", True, id="by the environment"),
        pytest.param(False, "1", False, id="code says no"),
        pytest.param(None, "0", False, id="0 is off"),
    ],
)
def test_it_is_off_unless_asked_for(
    given: bool | None, variable: str | None, on: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nothing is loaded, and nothing is done, where nobody asked."""
    if variable is not None:
        monkeypatch.setenv("ROUTED_OTEL", variable)
    assert (Router(telemetry=given).telemetry is not None) == on
