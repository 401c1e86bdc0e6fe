"""Shadow and rollout through both adapters, by the environment alone: what is sent, and what is noted."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from datetime import date
from pathlib import Path
from typing import Any

import httpx
import pytest
from langchain_routed import RoutedChatModel
from llama_index.core.llms import ChatMessage
from llama_index.llms.routed import RoutedLLM

from routed_llm import Router
from routed_llm.simulator import Simulator, serve

DAY = date(2026, 11, 22)
Ask = Callable[[Simulator, Router], object]


def langchain(simulator: Simulator, router: Router) -> object:
    """Ask with LangChain."""
    llm = RoutedChatModel(model="gpt-4o", base_url=simulator.url, api_key="x", router=router, temperature=0.3)
    return llm.invoke("Name a river.").content


def langchain_stream(simulator: Simulator, router: Router) -> object:
    """Stream with LangChain."""
    llm = RoutedChatModel(
        model="gpt-4o", base_url=simulator.url, api_key="x", router=router, stream_usage=True, temperature=0.3
    )
    return list(llm.stream("Name a river."))


def routed_llm(simulator: Simulator, router: Router, client: httpx.Client) -> RoutedLLM:
    """Make LlamaIndex's model on a client that is closed after the call: it closes none itself."""
    return RoutedLLM(
        model="gpt-4o",
        api_base=simulator.url,
        api_key="x",
        router=router,
        temperature=0.3,
        http_client=client,
    )


def llama_index(simulator: Simulator, router: Router) -> object:
    """Ask with LlamaIndex."""
    with httpx.Client() as client:
        return routed_llm(simulator, router, client).chat([ChatMessage("Name a river.")])


def llama_index_stream(simulator: Simulator, router: Router) -> object:
    """Stream with LlamaIndex."""
    with httpx.Client() as client:
        return list(routed_llm(simulator, router, client).stream_chat([ChatMessage("Name a river.")]))


ASKS = [langchain, langchain_stream, llama_index, llama_index_stream]


@pytest.fixture
def simulator() -> Iterator[Simulator]:
    """A simulator of the day."""
    with serve(at=DAY) as running:
        yield running


def asked(
    ask: Ask, simulator: Simulator, monkeypatch: pytest.MonkeyPatch, log: Path, **stage: str
) -> dict[str, Any]:
    """Ask once with a stage set by the environment, and return the log's one line."""
    for name, value in {**stage, "LOG": str(log)}.items():
        monkeypatch.setenv(f"ROUTED_{name}", value)
    ask(simulator, Router(clock=lambda: DAY))
    (line,) = log.read_text().splitlines()
    entry: dict[str, Any] = json.loads(line)
    return entry


@pytest.mark.parametrize("ask", ASKS, ids=lambda ask: ask.__name__)
def test_shadow(ask: Ask, simulator: Simulator, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """One call is sent, to the baseline and with its temperature; the log's bill is the simulator's."""
    entry = asked(ask, simulator, monkeypatch, tmp_path / "log.jsonl", MODE="shadow")
    (sent,) = simulator.journal
    assert (sent.model, sent.body["temperature"]) == ("gpt-4o", 0.3)
    assert (entry["arm"], entry["model"], entry["cost"]) == (
        "baseline",
        "gpt-4o",
        str(sent.dollars.normalize()),
    )
    assert entry["routed"]["model"] != "gpt-4o"
    assert "river" not in (tmp_path / "log.jsonl").read_text()


@pytest.mark.parametrize("ask", ASKS, ids=lambda ask: ask.__name__)
@pytest.mark.parametrize(("share", "arm"), [("0", "baseline"), ("1", "routed")])
def test_rollout(
    ask: Ask, share: str, arm: str, simulator: Simulator, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """The share decides who is sent the call."""
    entry = asked(ask, simulator, monkeypatch, tmp_path / "log.jsonl", MODE="rollout", SHARE=share)
    (sent,) = simulator.journal
    assert entry["arm"] == arm
    assert (sent.model == "gpt-4o") is (arm == "baseline")
