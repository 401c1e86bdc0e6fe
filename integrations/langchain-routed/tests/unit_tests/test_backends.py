"""Other back ends: Azure deployments, gateways with ids of their own, factories."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from datetime import date
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest
from langchain_openai import ChatOpenAI
from langchain_openai.chat_models.base import BaseChatOpenAI
from langchain_routed import RoutedChatModel

from routed_llm import Call, Catalog, CatalogError, NoModelFits, Router

from .helpers import merged, routing


@pytest.fixture
def azure() -> Iterator[tuple[str, list[tuple[str, Any]]]]:
    """A server that answers as an Azure deployment does, and the paths and bodies it was asked."""
    asked: list[tuple[str, Any]] = []

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            asked.append((self.path, body))
            answer = {
                "id": "chatcmpl-1",
                "object": "chat.completion",
                "created": 1,
                "model": "gpt-4.1-2025-04-14",
                "choices": [
                    {"index": 0, "finish_reason": "stop", "message": {"role": "assistant", "content": "Hi"}}
                ],
                "usage": {"prompt_tokens": 8, "completion_tokens": 1, "total_tokens": 9},
            }
            data = json.dumps(answer).encode()
            self.send_response(200)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(data)))
            self.end_headers()
            self.wfile.write(data)

        def log_message(self, *_: Any) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}", asked
    server.shutdown()


def test_azure_deployments_are_called_by_their_names(azure) -> None:
    """The deployment's name is in the path, the model's name in the record, its price in the cost."""
    url, asked = azure
    llm = RoutedChatModel.from_azure(
        deployments={"team-41": "gpt-4.1", "team-4o": "gpt-4o"},
        azure={"azure_endpoint": url, "api_key": "azure", "api_version": "2025-04-01-preview"},
        temperature=0.3,
        policy={"exclude": ["gpt-4o"]},
    )
    record = routing(llm.invoke("Hi"))
    ((path, body),) = asked
    assert path.startswith("/openai/deployments/team-41/chat/completions")
    assert (record["model"], record["served"]) == ("gpt-4.1", "gpt-4.1-2025-04-14")
    assert float(record["cost"]) > 0
    assert body["temperature"] == 0.3
    assert {c.model for c in llm.explain("Hi").candidates} <= {"gpt-4.1", "gpt-4o"}


@pytest.mark.parametrize("named", ["max_tokens", "max_completion_tokens"])
@pytest.mark.parametrize("how", ["constructor", "call"])
def test_an_azure_deployment_gets_a_cap_by_the_name_it_takes(azure, how: str, named: str) -> None:
    """A reasoning model refuses max_tokens, which AzureChatOpenAI would send on as it is."""
    url, asked = azure
    settings = {
        "deployments": {"team-54": "gpt-5.4"},
        "azure": {"azure_endpoint": url, "api_key": "azure", "api_version": "2025-04-01-preview"},
    }
    given = {named: 300, "reasoning_effort": "none"}
    if how == "constructor":
        RoutedChatModel.from_azure(**settings, **given).invoke("Hi")
    else:
        RoutedChatModel.from_azure(**settings).invoke("Hi", **given)
    ((_, body),) = asked
    assert (body.get("max_tokens"), body.get("max_completion_tokens")) == (None, 300)


@pytest.mark.parametrize("name", ["team-41", "gpt-4.1"])
def test_a_deployment_may_be_named(azure, name: str) -> None:
    """A call names a deployment or its model; a baseline, too."""
    url, asked = azure
    llm = RoutedChatModel.from_azure(
        deployments={"team-4o": "gpt-4o", "team-41": "gpt-4.1", "gpt-4o-mini": "gpt-4o-mini"},
        azure={"azure_endpoint": url, "api_key": "azure", "api_version": "2025-04-01-preview"},
        model="team-4o",
    )
    record = routing(llm.invoke("Hi", model=name))
    ((path, _),) = asked
    assert path.startswith("/openai/deployments/team-41/")
    assert (record["model"], llm.explain("Hi").baseline) == ("gpt-4.1", "gpt-4o")


def test_only_deployments_are_called(azure) -> None:
    """A model without a deployment cannot serve."""
    llm = RoutedChatModel.from_azure(deployments={"mine": "gpt-4.1"}, azure={"api_version": "1"})
    with pytest.raises(NoModelFits):
        llm.invoke("word " * 1_100_000)


@pytest.mark.parametrize(
    ("deployments", "text"),
    [
        pytest.param({}, "deployments is empty. Map at least one deployment to its model.", id="none"),
        pytest.param({"a": "gpt-9000"}, "gpt-9000", id="unknown model"),
    ],
)
def test_wrong_deployments_are_told(deployments: dict[str, str], text: str) -> None:
    """A wrong mapping fails where it is written."""
    with pytest.raises(CatalogError, match=text):
        RoutedChatModel.from_azure(deployments=deployments)


def test_two_deployments_of_one_model_have_names_of_their_own() -> None:
    """Both can be pinned; neither is lost."""
    llm = RoutedChatModel.from_azure(deployments={"east": "gpt-4.1", "west": "gpt-4.1"})
    assert llm.explain("Hi", model="gpt-4.1").call.model == "east"
    assert llm.explain("Hi", model="gpt-4.1@west").call.model == "west"
    assert [llm.explain("Hi", model=name).call.model for name in ("east", "west")] == ["east", "west"]


def test_a_gateways_ids_are_sent(make, sim) -> None:
    """A gateway's own id goes out where the catalog names it, with the model's rules."""
    day = date(2026, 11, 22)
    catalog = Catalog.load().with_models({"gate/fast": {"base": "gpt-5.4", "sent_as": "gpt-5.4-2026-03-05"}})
    llm = make(router=Router(catalog=catalog, clock=lambda: day), policy={"at_least": None}, temperature=0)
    answer = llm.invoke("Hi", model="gate/fast", reasoning_effort="low")
    assert sim.journal[0].body["model"] == "gpt-5.4-2026-03-05"
    assert "temperature" not in sim.journal[0].body
    assert routing(answer)["model"] == "gate/fast"


def test_a_factory_makes_what_is_behind_a_call(make, sim) -> None:
    """A factory is asked once per model and endpoint; its models make the calls, streams too."""
    made: list[Call] = []

    def factory(call: Call) -> BaseChatOpenAI:
        made.append(call)
        return ChatOpenAI(
            model=call.model,
            base_url=sim.url,
            api_key="factory",
            stream_usage=True,
            use_responses_api=call.endpoint == "responses",
        )

    llm = make(factory=factory, api_key=None)
    for _ in range(2):
        answer = llm.invoke("Hi")
        whole = merged(list(llm.stream("Hi")))
    assert routing(answer)["model"] == routing(whole)["model"] == sim.journal[0].model
    assert len(made) == 1
    assert whole.usage_metadata is not None
