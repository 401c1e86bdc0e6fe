"""OpenTelemetry for every call: one span and its metrics, by the semantic conventions for generative AI.

``Router(telemetry=True)``, or ``ROUTED_OTEL=1`` for every router, turns it on (``ROUTED_METRICS`` metrics
alone, for Prometheus: :mod:`routed_llm.prometheus`); it takes
``pip install 'routed-llm[otel]'``, which is OpenTelemetry's API alone: where its data goes is set up by the
program, as for any other library. A span begins before the first request and ends with the answer, a failure
or the caller's leaving; each request that failed is an event of it. It is the child of whatever span is
current when the call begins, and it is never made current itself, so nothing of it crosses a ``yield``. No
text of prompts or answers is recorded.

Names are those of version 1.38 of the conventions (status: development); what is this library's own begins
with ``routed_llm``.
"""

from __future__ import annotations

from collections.abc import Generator, Mapping
from datetime import UTC, date, datetime, time
from functools import lru_cache
from typing import TYPE_CHECKING, Any, Final

from routed_llm import events
from routed_llm.errors import RoutedError

if TYPE_CHECKING:
    from routed_llm.catalog import Catalog
    from routed_llm.decision import Decision

__all__ = ["Telemetry", "shared"]

_SCOPE: Final = "routed_llm"
_LOST: Final = frozenset({"dropped", "emulated", "clamped"})
_TOKENS: Final = tuple(4**power for power in range(14))
_SECONDS: Final = tuple(0.01 * 2**power for power in range(15))
_FIRST: Final = (0.05, 0.1, 0.25, 0.5, 0.75, 1, 1.5, 2, 3, 5, 7.5, 10, 20, 40, 80)
_DOLLARS: Final = tuple(unit * 10**power for power in range(-6, 2) for unit in (1, 3))
"""Bounds of histograms: tokens and seconds as the conventions advise, dollars of a call two to a decade."""


class Telemetry:
    """Makes the spans and counts the metrics of calls. Safe to share between threads.

    Args:
        tracers: OpenTelemetry's tracer provider; the program's global one when left out.
        meters: OpenTelemetry's meter provider; the global one when left out.

    Raises:
        RoutedError: when OpenTelemetry's API is not installed.
    """

    def __init__(self, tracers: Any = None, meters: Any = None) -> None:
        try:
            from opentelemetry import metrics, trace
        except ImportError as error:
            raise RoutedError(
                "Telemetry needs OpenTelemetry's API. Install it: pip install 'routed-llm[otel]'."
            ) from error
        self._trace = trace
        self._tracer = trace.get_tracer(_SCOPE, tracer_provider=tracers)
        self._is_mute = isinstance(self._tracer, trace.NoOpTracer)  # then nobody reads its spans
        meter = metrics.get_meter(_SCOPE, meter_provider=meters)
        self._tokens = meter.create_histogram(
            "gen_ai.client.token.usage",
            "{token}",
            "Input and output tokens of a call",
            explicit_bucket_boundaries_advisory=_TOKENS,
        )
        self._duration = meter.create_histogram(
            "gen_ai.client.operation.duration",
            "s",
            "Seconds of a call, all its requests included",
            explicit_bucket_boundaries_advisory=_SECONDS,
        )
        self._first = meter.create_histogram(
            "gen_ai.client.operation.time_to_first_chunk",
            "s",
            "Seconds to the first piece of a stream",
            explicit_bucket_boundaries_advisory=_FIRST,
        )
        self._cost = meter.create_histogram(
            "routed_llm.cost",
            "{USD}",
            "US dollars of a call",
            explicit_bucket_boundaries_advisory=_DOLLARS,
        )
        self._failed = meter.create_counter(
            "routed_llm.failed_requests",
            "{request}",
            "Requests that failed, by model, error and what was done",
        )
        self._changed = meter.create_counter(
            "routed_llm.changed_parameters",
            "{parameter}",
            "Parameters that the chosen model would have refused",
        )
        self._events = meter.create_counter(
            "routed_llm.events", "{event}", "What the log has a line for, by event and level"
        )
        self._verified = meter.create_gauge(
            "routed_llm.catalog.verified", "s", "When the newest fact of the catalog was compared, since 1970"
        )
        self._shutdown = meter.create_gauge(
            "routed_llm.model.shutdown", "s", "When the program's own model ends, since 1970"
        )
        for event, level in events.WATCHED.items():
            self._events.add(0, _event(event, level))  # so that the first one is a rise
        events.watch(self)

    def happened(self, event: str, level: int) -> None:
        """Count an event of the log."""
        self._events.add(1, _event(event, level))

    def took_up(self, catalog: Catalog, baseline: str) -> None:
        """Note the catalog that holds from now on, and when a program's own model ends."""
        self._verified.set(_since_1970(catalog.day))
        shutdown = catalog.get(baseline).lifecycle.shutdown if baseline in catalog else None
        if shutdown is not None:
            self._shutdown.set(_since_1970(shutdown), {"gen_ai.request.model": baseline})

    def traced(self, call: Any, way: Generator[Any, Any, Any]) -> Generator[Any, Any, Any]:
        """Go a call's way, and record it.

        Args:
            call: a :class:`routed_llm.calls.driver.Driven`.
            way: its generator; what it yields and is sent passes through.
        """
        decision: Decision = call.decision
        began = call.clock()
        attributes = None if self._is_mute else _asked(decision)
        kind = self._trace.SpanKind.CLIENT
        span = self._tracer.start_span(f"chat {decision.model}", kind=kind, attributes=attributes)
        error: BaseException | None = None
        first: float | None = None
        try:
            # "yield from" would close the way where a runner throws GeneratorExit and has its books closed.
            effect = next(way)
            while True:
                if first is None and hasattr(effect, "item"):  # a driver's Give
                    first = call.clock() - began
                try:
                    came = yield effect
                except BaseException as raised:  # noqa: BLE001 - the way decides what becomes of it
                    effect = way.throw(raised)
                else:
                    effect = way.send(came)
        except StopIteration as ended:
            return ended.value
        except BaseException as raised:
            error = raised
            raise
        finally:
            self._ended(span, call, decision, error, first, call.clock() - began)

    def _ended(
        self,
        span: Any,
        call: Any,
        decided: Decision,
        error: BaseException | None,
        first: float | None,
        seconds: float,
    ) -> None:
        """Close a call's span and count its metrics."""
        decision: Decision = call.decision
        record: Mapping[str, Any] = call.record or {}
        common = {
            "gen_ai.operation.name": "chat",
            "gen_ai.provider.name": "openai",
            "gen_ai.request.model": str(decision.model),
        }
        if record.get("served"):
            common["gen_ai.response.model"] = record["served"]
        self._requests(span, call, decided)
        failed = error is not None and not isinstance(error, GeneratorExit)
        if span.is_recording():
            if decision is not decided:
                span.update_name(f"chat {decision.model}")
                span.set_attributes(_chosen(decision))
            span.set_attributes({**common, **_used(record)})
            if not failed and not record:
                span.set_attribute("routed_llm.outcome", "abandoned")
        if failed:
            kind = common["error.type"] = type(error).__name__
            span.set_attribute("error.type", kind)
            span.set_status(self._trace.StatusCode.ERROR, kind)
        span.end()
        self._duration.record(seconds, common)
        if first is not None:
            self._first.record(first, common)
        self._amounts(record, common)

    def _requests(self, span: Any, call: Any, first: Decision) -> None:
        """Record the requests that failed, and what the first one changed."""
        for attempt in call.failures:
            values = {
                "gen_ai.request.model": attempt.model,
                "error.type": attempt.error.text,
                "routed_llm.action": str(attempt.action),
            }
            span.add_event("request failed", {**values, "routed_llm.why": attempt.reason})
            self._failed.add(1, values)
        for change in first.changes:
            if change.action in _LOST:
                named = {"routed_llm.parameter": change.parameter, "routed_llm.action": change.action}
                self._changed.add(1, {**named, "gen_ai.request.model": str(first.model)})

    def _amounts(self, record: Mapping[str, Any], common: Mapping[str, str]) -> None:
        """Count what an answer took: tokens and dollars."""
        usage = record.get("usage") or {}
        for kind, key in (("input", "input_tokens"), ("output", "output_tokens")):
            if key in usage:
                self._tokens.record(usage[key], {**common, "gen_ai.token.type": kind})
        if record.get("cost") is not None:
            self._cost.record(float(record["cost"]), common)


@lru_cache(maxsize=4)
def shared(spans: bool, metrics: str | None) -> Telemetry:
    """Return the telemetry that all routers of a process share which the environment turns on.

    Args:
        spans: whether calls become spans.
        metrics: where Prometheus reads, as :func:`routed_llm.prometheus.expose` takes it; OpenTelemetry's
            metrics when left out.

    Raises:
        PolicyError: when ``metrics`` is no address.
        RoutedError: when what it takes is not installed.
    """
    if metrics is None:
        return Telemetry()
    from routed_llm.prometheus import Meters, expose

    made = only_metrics(Meters()) if not spans else Telemetry(meters=Meters())
    expose(metrics)
    return made


def only_metrics(meters: Any) -> Telemetry:
    """Return telemetry without spans."""
    try:
        from opentelemetry.trace import NoOpTracerProvider
    except ImportError:
        return Telemetry()  # which says what to install
    return Telemetry(NoOpTracerProvider(), meters)


def _event(event: str, level: int) -> dict[str, str]:
    return {"routed_llm.event": event, "routed_llm.level": "warning" if level >= events.WARNING else "info"}


def _since_1970(day: date) -> float:
    return datetime.combine(day, time(), UTC).timestamp()


def _asked(decision: Decision) -> dict[str, Any]:
    """Return the attributes that are known before anything is sent."""
    found: dict[str, Any] = {"gen_ai.operation.name": "chat", "gen_ai.provider.name": "openai"}
    found.update(_chosen(decision))
    call = decision.call
    if call is not None:
        if call.cap is not None:
            found["gen_ai.request.max_tokens"] = call.cap
        for name in ("temperature", "top_p", "seed", "frequency_penalty", "presence_penalty"):
            value = call.parameters.get(name)
            if isinstance(value, (int, float)):
                found[f"gen_ai.request.{name}"] = value
    return found


def _chosen(decision: Decision) -> dict[str, Any]:
    """Return what was decided, and why."""
    found: dict[str, Any] = {
        "gen_ai.request.model": str(decision.model),
        "routed_llm.endpoint": str(decision.endpoint),
        "routed_llm.why": decision.why,
        "routed_llm.input_tokens.expected": decision.chosen.input_tokens if decision.chosen else 0,
    }
    if decision.effort is not None:
        found["routed_llm.effort"] = decision.effort
    if decision.baseline is not None:
        found["routed_llm.baseline"] = decision.baseline
    if decision.dollars is not None:
        found["routed_llm.cost.expected"] = float(decision.dollars)
    if decision.changes:
        found["routed_llm.changes"] = [f"{it.parameter} {it.action}" for it in decision.changes]
    if decision.trial is not None:
        found["routed_llm.arm"] = decision.trial.arm
    return found


def _used(record: Mapping[str, Any]) -> dict[str, Any]:
    """Return what a settled record says was used."""
    usage = record.get("usage") or {}
    names = {
        "input_tokens": "gen_ai.usage.input_tokens",
        "output_tokens": "gen_ai.usage.output_tokens",
        "cached_tokens": "gen_ai.usage.cache_read.input_tokens",
    }
    found: dict[str, Any] = {name: usage[key] for key, name in names.items() if usage.get(key) is not None}
    if record.get("cost") is not None:
        found["routed_llm.cost"] = float(record["cost"])
    return found
