"""OpenTelemetry for every call: one span and its metrics, by the semantic conventions for generative AI.

``Router(telemetry=True)``, or ``ROUTED_OTEL=1`` for every router, turns it on; it takes
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
from typing import TYPE_CHECKING, Any, Final

from routed_llm.errors import RoutedError

if TYPE_CHECKING:
    from routed_llm.decision import Decision

__all__ = ["Telemetry"]

_SCOPE: Final = "routed_llm"
_LOST: Final = frozenset({"dropped", "emulated", "clamped"})


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
        meter = metrics.get_meter(_SCOPE, meter_provider=meters)
        self._tokens = meter.create_histogram(
            "gen_ai.client.token.usage", "{token}", "Input and output tokens of a call"
        )
        self._duration = meter.create_histogram(
            "gen_ai.client.operation.duration", "s", "Seconds of a call, all its requests included"
        )
        self._first = meter.create_histogram(
            "gen_ai.client.operation.time_to_first_chunk", "s", "Seconds to the first piece of a stream"
        )
        self._cost = meter.create_histogram("routed_llm.cost", "{USD}", "US dollars of a call")
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

    def watched(self, call: Any, way: Generator[Any, Any, Any]) -> Generator[Any, Any, Any]:
        """Go a call's way, and record it.

        Args:
            call: a :class:`routed_llm.calls.driver.Driven`.
            way: its generator; what it yields and is sent passes through.
        """
        decision: Decision = call.decision
        began = call.clock()
        name = f"chat {decision.model}"
        span = self._tracer.start_span(name, kind=self._trace.SpanKind.CLIENT, attributes=_asked(decision))
        error: BaseException | None = None
        try:
            # "yield from" would close the way where a runner throws GeneratorExit and has its books closed.
            effect = next(way)
            while True:
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
            self._ended(span, call, decision, error, call.clock() - began)

    def _ended(
        self, span: Any, call: Any, first: Decision, error: BaseException | None, seconds: float
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
        self._requests(span, call, first)
        if decision is not first:
            span.update_name(f"chat {decision.model}")
            span.set_attributes(_chosen(decision))
        span.set_attributes({**common, **_used(record)})
        if error is not None and not isinstance(error, GeneratorExit):
            kind = common["error.type"] = type(error).__name__
            span.set_attribute("error.type", kind)
            span.set_status(self._trace.StatusCode.ERROR, kind)
        elif not record:
            span.set_attribute("routed_llm.outcome", "abandoned")
        span.end()
        self._duration.record(seconds, common)
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
        """Count what an answer took: tokens, seconds, dollars."""
        usage, took = record.get("usage") or {}, record.get("took") or {}
        for kind, key in (("input", "input_tokens"), ("output", "output_tokens")):
            if key in usage:
                self._tokens.record(usage[key], {**common, "gen_ai.token.type": kind})
        if "first" in took:
            self._first.record(took["first"], common)
        if record.get("cost") is not None:
            self._cost.record(float(record["cost"]), common)


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
