"""What recorded exchanges show of stored conversations, moderation and what is said of tools."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import date
from typing import Any

import httpx
import pytest

from routed_llm.simulator import Simulator, serve

KEY = {"authorization": "Bearer key"}
ASK = {"role": "user", "content": "Say hello."}


@pytest.fixture(scope="module")
def simulator() -> Iterator[Simulator]:
    """A running simulator in August 2026."""
    with serve(at=date(2026, 8, 20)) as running:
        yield running


@pytest.fixture
def client(simulator: Simulator) -> Iterator[httpx.Client]:
    """A client of it."""
    with httpx.Client(base_url=simulator.url, headers=KEY, timeout=30) as found:
        yield found


def test_a_conversation_goes_on(client: httpx.Client) -> None:
    """A conversation that was begun holds what was said in it; an unknown one is refused."""
    begun = client.post("/conversations", json={"items": [ASK]}).json()
    body = {"model": "gpt-4.1", "input": [ASK], "conversation": begun["id"]}
    first, second = (client.post("/responses", json=body).json() for _ in range(2))
    assert first["conversation"] == {"id": begun["id"]}
    assert second["usage"]["input_tokens"] > first["usage"]["input_tokens"] > 14
    other = client.post("/responses", json={**body, "conversation": {"id": "conv_other"}})
    assert (other.status_code, other.json()["error"]["message"]) == (
        404,
        "Conversation with id 'conv_other' not found.",
    )


def test_what_is_remembered_can_be_referred_to(simulator: Simulator, client: httpx.Client) -> None:
    """A response that was given elsewhere is stored as if it had been given here."""
    said = {"id": "msg_1", "type": "message", "role": "assistant", "content": "Hello."}
    simulator.remember({"id": "resp_old", "output": [said]}, [{"type": "message", **ASK}])
    body = {"model": "gpt-4.1", "input": "And now?", "previous_response_id": "resp_old"}
    assert client.post("/responses", json=body).json()["usage"]["input_tokens"] == 7 + 6 + 7 + 3
    later = {"id": "resp_later", "output": [{**said, "id": "msg_2"}], "previous_response_id": "resp_old"}
    simulator.remember(later, [{"type": "message", **ASK}])
    answer = client.post("/responses", json={**body, "previous_response_id": "resp_later"})
    assert answer.json()["usage"]["input_tokens"] == 7 + 6 + 7 + 6 + 7 + 3


@pytest.mark.parametrize(("store", "status"), [(True, 400), (False, 200)], ids=["stored", "unstored"])
def test_reasoning_before_a_bare_message(client: httpx.Client, store: bool, status: int) -> None:
    """Stored reasoning wants its own item behind it, and no message of a role and a text."""
    asked: dict[str, Any] = {"model": "gpt-5", "include": ["reasoning.encrypted_content"], "store": store}
    first = client.post("/responses", json={**asked, "input": [ASK]}).json()
    thought = next(item for item in first["output"] if item["type"] == "reasoning")
    items = [ASK, thought, {"role": "assistant", "content": "Hello."}, ASK]
    answer = client.post("/responses", json={**asked, "input": items})
    assert answer.status_code == status
    if status == 400:
        message = (
            f"Item '{thought['id']}' of type 'reasoning' was provided without its required following item."
        )
        assert answer.json()["error"]["message"] == message


def test_reasoning_of_earlier_turns_counts_from_5_6_on(client: httpx.Client) -> None:
    """What was thought for an earlier turn is shown to gpt-5.6, and to gpt-5 only where that is asked for."""
    extra = {}
    for model, context in (("gpt-5", None), ("gpt-5", "all_turns"), ("gpt-5.6-luna", None)):
        asked: dict[str, Any] = {"model": model, "include": ["reasoning.encrypted_content"], "store": False}
        asked["reasoning"] = {"effort": "high"}
        first = client.post("/responses", json={**asked, "input": [ASK]}).json()
        asked["reasoning"] |= {"context": context} if context else {}
        items = [{key: value for key, value in item.items() if key != "id"} for item in first["output"]]
        whole, without = (
            client.post("/responses", json={**asked, "input": [ASK, *said, ASK]}).json()["usage"]
            for said in (items, items[1:])
        )
        thought = first["usage"]["output_tokens_details"]["reasoning_tokens"]
        assert thought > 0
        extra[model, context] = (whole["input_tokens"] - without["input_tokens"]) / thought
    assert extra == {("gpt-5", None): 0, ("gpt-5", "all_turns"): 1, ("gpt-5.6-luna", None): 1}


@pytest.mark.parametrize(
    ("path", "body", "place"),
    [
        pytest.param("/responses", {"input": "Hello."}, ("input", "categories"), id="Responses"),
        pytest.param("/chat/completions", {"messages": [ASK]}, ("input", "results"), id="Chat Completions"),
    ],
)
def test_moderation(client: httpx.Client, path: str, body: dict[str, Any], place: tuple[str, str]) -> None:
    """Results of a moderation come with the answer where they were asked for."""
    asked = {"model": "gpt-4.1", **body, "moderation": {"model": "omni-moderation-latest"}}
    found = client.post(path, json=asked).json()["moderation"]
    assert found.keys() == {"input", "output"}
    assert place[1] in found[place[0]]


def test_what_is_said_of_a_hosted_tool(client: httpx.Client) -> None:
    """A web search is said to have what it was not given, by its date."""
    asked = {
        "model": "gpt-4.1",
        "input": "Hello.",
        "tools": [{"type": "web_search", "external_web_access": True}],
    }
    (tool,) = client.post("/responses", json=asked).json()["tools"]
    assert tool == {
        "type": "web_search",
        "search_context_size": "medium",
        "return_token_budget": "default",
        "search_content_types": ["text"],
        "user_location": {
            "type": "approximate",
            "country": "US",
            "city": None,
            "region": None,
            "timezone": None,
        },
    }
