"""Near a boundary the client and the gateway ask OpenAI's counting endpoint, and go by what it says."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack
from datetime import date
from typing import Any

import openai
import openai_routed
import pytest

from routed_llm import Router
from routed_llm.gateway import Settings
from routed_llm.simulator import Simulator, serve
from tests.gateway.conftest import running

TODAY = date(2026, 11, 22)
WINDOW: dict[str, Any] = {
    "models": ["gpt-4o", "gpt-4.1"],
    "at_least": None,
    "incumbent": "gpt-4o",
    "exact_within": 500,
}
COUNT = "/v1/responses/input_tokens"
NEAR = " word" * 123_890


@pytest.fixture(scope="module")
def simulator() -> Iterator[Simulator]:
    """One simulated OpenAI, on a fixed day."""
    with serve(at=TODAY) as found:
        yield found


@pytest.fixture(params=["client", "gateway"])
def client(request: pytest.FixtureRequest, simulator: Simulator) -> Iterator[Any]:
    """A client of either way in."""
    simulator.reset()
    router = Router(clock=lambda: TODAY)
    with ExitStack() as stack:
        if request.param == "client":
            made = openai_routed.OpenAI(base_url=simulator.url, api_key="k", router=router, policy=WINDOW)
            yield stack.enter_context(made)
            return
        settings = Settings(upstream=simulator.url, upstream_key="k", policy=WINDOW)
        gateway = stack.enter_context(running(settings, router))
        yield stack.enter_context(openai.OpenAI(base_url=gateway.url, api_key="any"))


def ask(client: Any, content: str, *, stream: bool = False) -> dict[str, Any]:
    """Make a call and return its record."""
    messages = [{"role": "user", "content": content}]
    found = client.chat.completions.create(model="gpt-4o", messages=messages, stream=stream)
    record: dict[str, Any] = list(found)[-1].routing if stream else found.routing
    return record


@pytest.mark.parametrize("stream", [False, True], ids=["whole", "stream"])
def test_what_is_near_a_boundary_is_counted_by_the_provider(
    client: Any, simulator: Simulator, stream: bool
) -> None:
    """The count that decided is the provider's own; the call goes out once, after it."""
    record = ask(client, NEAR, stream=stream)
    assert [entry.path for entry in simulator.journal] == [COUNT, "/v1/chat/completions"]
    assert record["counted"]["by"] == "provider"
    assert simulator.refused == []


def test_what_is_far_from_it_is_not(client: Any, simulator: Simulator) -> None:
    """A short question costs no request more."""
    ask(client, "What is a tide?")
    assert [entry.path for entry in simulator.journal] == ["/v1/chat/completions"]


def test_a_count_that_fails_stops_nothing(client: Any, simulator: Simulator) -> None:
    """Then the local count decides, and the record says why."""
    simulator.faults.add("500;endpoint=input_tokens;times=0")
    record = ask(client, NEAR)
    assert record["counted"]["by"] == "local"
    assert record["counted"]["error"] == "FailedReply: the provider answered with status 500"
    assert len(simulator.journal) == 2
