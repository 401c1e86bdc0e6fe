"""Sampled second calls: made after the answer, apart from it, and never to its harm."""

from __future__ import annotations

import json
import subprocess
import sys
import threading
from collections.abc import Iterator
from datetime import date
from decimal import Decimal
from pathlib import Path
from typing import Any, ClassVar

import pytest
from langchain_core.callbacks import BaseCallbackHandler
from langchain_routed import RoutedChatModel
from llama_index.core.instrumentation import get_dispatcher
from llama_index.core.instrumentation.event_handlers import BaseEventHandler
from llama_index.core.llms import ChatMessage
from llama_index.llms.routed import RoutedLLM

from routed_llm import Answered, Budget, Decision, RequestBuilder, Router, Usage
from routed_llm.facts import RequestFacts, freeze_parameters
from routed_llm.rollout.second import SECONDS, THREADS, WAITING, Sampler, Seconds, repeatable
from routed_llm.simulator import Simulator, serve

DAY = date(2026, 11, 22)
USED = Usage(input_tokens=20, output_tokens=40)


@pytest.fixture(autouse=True)
def _no_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("MODE", "SHARE", "KEY", "LOG", "SAMPLE", "KEEP", "OBSERVED"):
        monkeypatch.delenv(f"ROUTED_{name}", raising=False)


@pytest.fixture
def simulator() -> Iterator[Simulator]:
    """A simulator of the day."""
    with serve(at=DAY) as running:
        yield running


def shadow(log: Path, **settings: Any) -> Router:
    """Return a router in shadow that sends every call twice."""
    return Router(**{"mode": "shadow", "sample": 1, "log": log, "clock": lambda: DAY, **settings})


def lines(log: Path, arm: str = "second") -> list[dict[str, Any]]:
    """Read the lines of an arm."""
    entries = [json.loads(line) for line in log.read_text().splitlines()]
    return [entry for entry in entries if entry["arm"] == arm]


def request(**parameters: Any) -> Any:
    """Return a request."""
    builder = RequestBuilder()
    builder.message("user").text("Name a river.")
    for name, value in parameters.items():
        builder.set(name, value)
    return builder.build()


def langchain(simulator: Simulator, router: Router, **more: Any) -> RoutedChatModel:
    """Return a model of LangChain."""
    return RoutedChatModel(
        model="gpt-4o", base_url=simulator.url, api_key="x", router=router, temperature=0.3, **more
    )


def llama_index(simulator: Simulator, router: Router) -> RoutedLLM:
    """Return a model of LlamaIndex."""
    return RoutedLLM(model="gpt-4o", api_base=simulator.url, api_key="x", router=router, temperature=0.3)


async def _all(chunks: Any) -> list[Any]:
    return [chunk async for chunk in chunks]


CALLS: dict[str, Any] = {
    "langchain invoke": lambda s, r: langchain(s, r).invoke("Name a river."),
    "langchain stream": lambda s, r: list(langchain(s, r, stream_usage=True).stream("Name a river.")),
    "langchain streaming=True": lambda s, r: langchain(s, r, streaming=True).invoke("Name a river."),
    "llama-index chat": lambda s, r: llama_index(s, r).chat([ChatMessage("Name a river.")]),
    "llama-index complete": lambda s, r: llama_index(s, r).complete("Name a river."),
    "llama-index stream": lambda s, r: list(llama_index(s, r).stream_chat([ChatMessage("Name a river.")])),
}


@pytest.mark.parametrize("name", CALLS)
def test_each_is_sent_twice_and_noted(name: str, simulator: Simulator, tmp_path: Path) -> None:
    """The baseline answers, routing's choice is asked the same; the log's bills are the simulator's."""
    router = shadow(tmp_path / "log")
    CALLS[name](simulator, router)
    assert router.wait()
    first, second = sorted(simulator.journal, key=lambda entry: entry.model != "gpt-4o")
    assert (first.model, second.model) == ("gpt-4o", "gpt-5.6-luna")
    assert simulator.refused == []
    (entry,) = lines(tmp_path / "log")
    assert (entry["outcome"], Decimal(entry["cost"])) == ("answered", second.dollars)
    assert Decimal(lines(tmp_path / "log", "baseline")[0]["cost"]) == first.dollars
    assert "river" not in (tmp_path / "log").read_text()


async def test_asynchronous_calls_are_sampled_too(simulator: Simulator, tmp_path: Path) -> None:
    """The asynchronous entries of both adapters."""
    router = shadow(tmp_path / "log")
    await langchain(simulator, router).ainvoke("Name a river.")
    await _all(langchain(simulator, router, stream_usage=True).astream("Name a river."))
    llm = llama_index(simulator, router)
    await llm.achat([ChatMessage("Name a river.")])
    await _all(await llm.astream_chat([ChatMessage("Name a river.")]))
    assert router.wait()
    assert [entry["outcome"] for entry in lines(tmp_path / "log")] == ["answered"] * 4


def test_tools_and_schemas_go_along(simulator: Simulator, tmp_path: Path) -> None:
    """The second call asks for the same tools; nobody runs what it asks for."""
    ran = []

    def look_up(name: str) -> str:
        """Look a river up."""
        ran.append(name)
        return name

    router = shadow(tmp_path / "log")
    langchain(simulator, router).bind_tools([look_up]).invoke("Look the Rhine up.")
    assert router.wait()
    assert [len(entry.body["tools"]) for entry in simulator.journal] == [1, 1]
    assert ran == []


class _Heard(BaseCallbackHandler):
    def __init__(self) -> None:
        self.starts: list[Any] = []

    def on_chat_model_start(self, *args: Any, **kwargs: Any) -> None:
        self.starts.append(args)


class _Events(BaseEventHandler):
    names: ClassVar[list[str]] = []

    def handle(self, event: Any, **kwargs: Any) -> None:
        self.names.append(type(event).__name__)


def test_no_listener_hears_of_it(simulator: Simulator, tmp_path: Path) -> None:
    """Callbacks and events are the caller's, and the second call is not."""
    router, heard, events = shadow(tmp_path / "log"), _Heard(), _Events()
    langchain(simulator, router).invoke("Name a river.", config={"callbacks": [heard]})
    dispatcher = get_dispatcher()
    dispatcher.add_event_handler(events)
    try:
        llama_index(simulator, router).chat([ChatMessage("Name a river.")])
        assert router.wait()
    finally:
        dispatcher.event_handlers.remove(events)
    assert (len(heard.starts), events.names.count("LLMChatStartEvent")) == (1, 1)
    assert len(simulator.journal) == 4


@pytest.mark.parametrize(
    ("keep", "answers", "prompt"), [(None, 0, 0), ("answers", 2, 0), ("prompts", 2, 1)], ids=str
)
def test_texts_are_kept_only_when_asked(
    keep: str | None, answers: int, prompt: int, simulator: Simulator, tmp_path: Path
) -> None:
    """Without keep= no text; `answers` keeps both side by side; `prompts` the request's, too."""
    router = shadow(tmp_path / "log", keep=keep)
    said = langchain(simulator, router).invoke("Name a river.").text
    assert router.wait()
    (entry,) = lines(tmp_path / "log")
    assert len(entry.get("answers", {})) == answers
    assert entry.get("prompt", []) == ["Name a river."] * prompt
    assert lines(tmp_path / "log", "baseline")[0].get("prompt", []) == ["Name a river."] * prompt
    if answers:
        assert entry["answers"]["baseline"] == said
        assert entry["answers"]["routed"]


def test_a_failing_second_call_reaches_nobody(
    simulator: Simulator, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """The caller has the answer; the log and the logger have the error's name."""
    router = shadow(tmp_path / "log")
    simulator.faults.add(kind="500", model="gpt-5.6-luna", times=0)
    assert langchain(simulator, router).invoke("Name a river.").text
    assert router.wait()
    (entry,) = lines(tmp_path / "log")
    assert (entry["outcome"], entry["why"], entry["cost"]) == ("failed", "OpenAIAPIError", None)
    assert "a sampled second call to gpt-5.6-luna failed: OpenAIAPIError" in caplog.text
    assert len(simulator.journal) == 2


def test_it_needs_room_in_the_budget(tmp_path: Path) -> None:
    """Where the money is gone the second call is not made, and says so."""
    router = shadow(tmp_path / "log", budgets=Budget(per_day="0.005"))
    run = router.begin(router.decide(request(max_tokens=200)))
    run.settle(Usage(input_tokens=20, output_tokens=490), served="gpt-4o-2024-08-06")
    run.offer(never)
    assert router.wait()
    (entry,) = lines(tmp_path / "log")
    assert (entry["outcome"], entry["why"]) == ("skipped", "BudgetExceeded")


def never(decision: Decision) -> Answered:
    """Fail where no second call may be made."""
    raise AssertionError(f"sent to {decision.model}")


def test_the_caller_never_waits(tmp_path: Path) -> None:
    """While second calls hang, answers go on; those for which there is no room are left out and counted."""
    router, gate = shadow(tmp_path / "log"), threading.Event()

    def hang(decision: Decision) -> Answered:
        gate.wait(30)
        return Answered(USED, decision.model, "")

    total = THREADS + WAITING + 10
    for _ in range(total):
        run = router.begin(router.decide(request()))
        run.settle(USED, served="gpt-4o-2024-08-06")
        run.offer(hang)
    assert not router.wait(0.05)
    gate.set()
    assert router.wait(30)
    outcomes = [entry["outcome"] for entry in lines(tmp_path / "log")]
    assert len(outcomes) == total
    assert 10 - THREADS <= outcomes.count("skipped") <= 10 + THREADS
    assert {entry.get("why") for entry in lines(tmp_path / "log")} == {None, "too many were waiting"}


def test_a_short_program_ends_after_its_second_call(simulator: Simulator, tmp_path: Path) -> None:
    """A program of one call, which is over at once, still has its sample."""
    code = (
        "import datetime, sys\nfrom langchain_routed import RoutedChatModel\nfrom routed_llm import Router\n"
        "r = Router(clock=lambda: datetime.date(2026, 11, 22))\n"
        "RoutedChatModel(model='gpt-4o', base_url=sys.argv[1], api_key='x', router=r).invoke('Name a river.')"
    )
    stage = {"ROUTED_MODE": "shadow", "ROUTED_SAMPLE": "1", "ROUTED_LOG": str(tmp_path / "log")}
    subprocess.run([sys.executable, "-c", code, simulator.url], check=True, env=stage, timeout=60)
    assert [entry["outcome"] for entry in lines(tmp_path / "log")] == ["answered"]


@pytest.mark.parametrize(
    ("settings", "twice"),
    [
        pytest.param({"mode": "rollout", "share": 0}, False, id="in a rollout there are routed answers"),
        pytest.param({"mode": "route"}, False, id="routed itself"),
        pytest.param({"sample": 0}, False, id="no sample"),
        pytest.param({}, True, id="shadow"),
    ],
)
def test_only_shadow_samples(settings: dict[str, Any], twice: bool, tmp_path: Path) -> None:
    """Other modes send nothing twice."""
    router = shadow(tmp_path / "log", **settings)
    run = router.begin(router.decide(request()))
    run.settle(USED)
    run.offer(lambda decision: Answered(USED, decision.model, ""))
    assert router.wait()
    assert bool(lines(tmp_path / "log")) is twice


@pytest.mark.parametrize(
    ("facts", "expected"),
    [
        pytest.param(RequestFacts(), True, id="plain"),
        pytest.param(RequestFacts(tools=2, stream=True), True, id="the caller's own tools"),
        pytest.param(RequestFacts(builtin_tools=frozenset({"mcp"})), False, id="a hosted tool acts"),
        pytest.param(RequestFacts(locked_to="gpt-4o"), False, id="a stored conversation"),
        pytest.param(
            RequestFacts(parameters=freeze_parameters({"background": True})), False, id="in the background"
        ),
        pytest.param(RequestFacts(parameters=freeze_parameters({"store": True})), False, id="stored"),
        pytest.param(RequestFacts(parameters=freeze_parameters({"store": False})), True, id="not stored"),
        pytest.param(
            RequestFacts(parameters=freeze_parameters({"conversation": "conv_1"})), False, id="a conversation"
        ),
    ],
)
def test_what_may_be_sent_twice(facts: RequestFacts, expected: bool) -> None:
    """What the provider acts on, or keeps, is sent once."""
    assert repeatable(facts) is expected


@pytest.mark.parametrize("share", [0.05, 0.1, 1 / 3, 1.0])
def test_sampler_takes_its_share_of_every_kind(share: float) -> None:
    """Of each kind the share is taken, to within one call."""
    sampler = Sampler(share)
    for kind in range(20):
        taken = sum(sampler.picks(kind) for _ in range(300))
        assert abs(taken - 300 * share) <= 1


def test_jobs_that_fail_stop_nothing(caplog: pytest.LogCaptureFixture) -> None:
    """A job's own error is logged and the next one is done."""
    seconds, done = Seconds(), threading.Event()
    assert seconds.submit(lambda: 1 / 0)
    assert seconds.submit(done.set)
    assert seconds.wait(10)
    assert done.is_set()
    assert "a sampled second call could not be noted" in caplog.text
    assert SECONDS.wait(0)


def test_the_environment_samples(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """ROUTED_SAMPLE and ROUTED_KEEP need no code."""
    monkeypatch.setenv("ROUTED_SAMPLE", "1")
    monkeypatch.setenv("ROUTED_KEEP", "answers")
    router = shadow(tmp_path / "log", sample=None)
    run = router.begin(router.decide(request()))
    run.settle(USED)
    run.offer(lambda decision: Answered(USED, decision.model, "The Rhine."), "The Elbe.")
    assert router.wait()
    (entry,) = lines(tmp_path / "log")
    assert entry["answers"] == {"baseline": "The Elbe.", "routed": "The Rhine."}
