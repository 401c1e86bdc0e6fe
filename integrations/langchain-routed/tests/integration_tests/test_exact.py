"""Near a boundary the model asks OpenAI's counting endpoint with its own client, and goes by what it says."""

from __future__ import annotations

from typing import Any

import pytest
from langchain_core.messages import AIMessage, BaseMessage, HumanMessage, SystemMessage, ToolMessage
from langchain_routed import RoutedChatModel
from pydantic import BaseModel

from routed_llm.simulator import Simulator
from tests.conftest import Make

WINDOW: dict[str, Any] = {
    "models": ["gpt-4o", "gpt-4.1"],
    "at_least": None,
    "incumbent": "gpt-4o",
    "exact_within": 500,
}
NEAR = " word" * 123_890
COUNT = "/v1/responses/input_tokens"


class Answer(BaseModel):
    """A structured answer."""

    word: str


def look(word: str) -> str:
    """Look a word up."""
    return word


def paths(sim: Simulator) -> list[str]:
    """Return the paths that were called."""
    return [entry.path for entry in sim.journal]


def talk() -> list[BaseMessage]:
    """Return a conversation of every kind of message, near the window of gpt-4o."""
    call = {"name": "look", "args": {"word": "cat"}, "id": "call_1"}
    return [
        SystemMessage("Be brief."),
        HumanMessage(NEAR[: 5 * 123_600], name="ann"),
        AIMessage("", tool_calls=[call]),
        ToolMessage("A cat.", tool_call_id="call_1"),
        HumanMessage([{"type": "text", "text": "And now?"}]),
    ]


@pytest.mark.parametrize("way", ["invoke", "ainvoke", "stream"])
async def test_every_way_of_calling_asks(make: Make, sim: Simulator, way: str) -> None:
    """The count that decided is the simulator's own, and nothing is refused."""
    model = make(policy=WINDOW)
    if way == "invoke":
        record = model.invoke(NEAR).response_metadata["routing"]
    elif way == "ainvoke":
        record = (await model.ainvoke(NEAR)).response_metadata["routing"]
    else:
        record = list(model.stream(NEAR))[-1].response_metadata["routing"]
    assert paths(sim)[0] == COUNT
    assert record["counted"]["by"] == "provider"
    assert record["counted"]["tokens"] == record["usage"]["input_tokens"]
    assert sim.refused == []


def bound(model: RoutedChatModel, what: str) -> Any:
    """Bind what a call may bring."""
    ways = {
        "nothing": lambda: model,
        "tools": lambda: model.bind_tools([look], tool_choice="look"),
        "schema": lambda: model.with_structured_output(Answer, include_raw=True),
        "stop": lambda: model.bind(stop=["x"], temperature=0.2),
    }
    return ways[what]()


@pytest.mark.parametrize("what", ["nothing", "tools", "schema", "stop"])
def test_whatever_the_call_brings_is_counted(make: Make, sim: Simulator, what: str) -> None:
    """The counting endpoint takes what is asked of it, whatever the call is made of."""
    answer = bound(make(policy=WINDOW), what).invoke(talk())
    record = (answer["raw"] if what == "schema" else answer).response_metadata["routing"]
    assert paths(sim)[0] == COUNT
    assert record["counted"]["by"] == "provider"
    assert abs(record["counted"]["tokens"] - record["counted"]["local"]) < 120
    assert sim.refused == []


@pytest.mark.parametrize("policy", [{**WINDOW, "exact_within": 0}, WINDOW], ids=["off", "short prompt"])
def test_nothing_is_asked_where_it_does_not_matter(make: Make, sim: Simulator, policy: Any) -> None:
    """By default, and far from a boundary, a call is one request."""
    make(policy=policy).invoke("Hello" if policy["exact_within"] else NEAR)
    assert paths(sim) == ["/v1/chat/completions"]


@pytest.mark.parametrize(
    ("fault", "patience", "error"),
    [
        ("500", 30.0, "InternalServerError: "),
        ("429", 30.0, "RateLimitError: "),
        ("502_html", 30.0, "InternalServerError: "),
        ("hang;seconds=0.01", 30.0, "APIConnectionError: "),
        ("hang;seconds=2", 0.3, "APITimeoutError: "),
    ],
)
def test_a_failing_count_breaks_nothing(
    make: Make, sim: Simulator, monkeypatch: pytest.MonkeyPatch, fault: str, patience: float, error: str
) -> None:
    """The local count decides; the endpoint is asked once and not again."""
    monkeypatch.setattr("routed_llm.calls.adapting.SECONDS", patience)
    sim.faults.add(f"{fault};endpoint=input_tokens;times=0")
    record = make(policy=WINDOW, max_retries=2).invoke(NEAR).response_metadata["routing"]
    assert record["counted"]["by"] == "local"
    assert record["counted"]["error"].startswith(error)
    assert record["model"] == "gpt-4o"
    assert paths(sim) == [COUNT, "/v1/chat/completions"]
