"""Spans of one agent's run: a tree in which each routed call stands below what made it."""

from __future__ import annotations

from typing import Any

import pytest
from adapter_fixtures import TODAY
from llama_index.core.agent.workflow import FunctionAgent
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

from routed_llm import Router
from routed_llm.telemetry import Telemetry


def tree(spans: Any) -> dict[str, list[str]]:
    """Return the names of the spans below each span, as they began; one trace holds them all."""
    assert len({span.context.trace_id for span in spans}) == 1
    names = {span.context.span_id: span.name for span in spans}
    found: dict[str, list[str]] = {}
    for span in sorted(spans, key=lambda one: one.start_time):
        found.setdefault("" if span.parent is None else names[span.parent.span_id], []).append(span.name)
    return found


@pytest.mark.parametrize("streaming", [False, True], ids=["whole", "streamed"])
async def test_an_agent_s_run_is_one_tree(make: Any, sim: Any, streaming: bool) -> None:
    """The program's own span is above; below it are the calls and the tool between them, across tasks."""
    kept, provider = InMemorySpanExporter(), TracerProvider()
    provider.add_span_processor(SimpleSpanProcessor(kept))
    tracer = provider.get_tracer("program")

    def add(a: int, b: int) -> int:
        """Add two numbers."""
        with tracer.start_as_current_span("tool add"):
            return a + b

    router = Router(clock=lambda: TODAY, telemetry=Telemetry(provider))
    llm = make(router=router, max_retries=2, policy={"models": "gpt-5.4"})
    sim.faults.add(kind="503", times=1)
    with tracer.start_as_current_span("agent"):
        await FunctionAgent(tools=[add], llm=llm, streaming=streaming).run("Add 1 and 2.")
    spans = kept.get_finished_spans()
    assert tree(spans) == {"": ["agent"], "agent": ["chat gpt-5.4", "tool add", "chat gpt-5.4"]}
    first = next(span for span in spans if span.name.startswith("chat"))
    assert [event.attributes["routed_llm.action"] for event in first.events] == ["retry"]
