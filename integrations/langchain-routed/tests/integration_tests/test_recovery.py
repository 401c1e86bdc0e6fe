"""Every fault of the provider, met by every way to call: what the caller gets, and at the price of what."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

import openai
import pytest
from langchain_core.exceptions import ModelConnectionError
from langchain_core.messages import AIMessage, AIMessageChunk
from langchain_core.tracers.context import collect_runs
from langchain_routed import RoutedChatModel
from pydantic import BaseModel

from routed_llm import Attempt, Budget, IncompleteStream, MemoryLedger, Router, open_ledger
from routed_llm.simulator import Simulator

SAID = "one two three four five six seven eight"
ASK = f'Say "{SAID}"'


# langchain-openai's connections belong to the loop that opened them, and are shared by all models.
LOOP = asyncio.new_event_loop()


class City(BaseModel):
    """A city."""

    name: str


def add(a: int, b: int) -> int:
    """Add two numbers."""
    return a + b


async def _all(chunks: Any) -> list[AIMessageChunk]:
    return [chunk async for chunk in chunks]


def _merged(chunks: list[AIMessageChunk]) -> AIMessageChunk:
    whole = chunks[0]
    for chunk in chunks[1:]:
        whole += chunk
    return whole


WAYS: dict[str, Callable[[RoutedChatModel], Any]] = {
    "invoke": lambda llm: llm.invoke(ASK),
    "ainvoke": lambda llm: LOOP.run_until_complete(llm.ainvoke(ASK)),
    "stream": lambda llm: _merged(list(llm.stream(ASK))),
    "astream": lambda llm: _merged(LOOP.run_until_complete(_all(llm.astream(ASK)))),
    "tools": lambda llm: llm.bind_tools([add]).invoke(ASK),
    "stream tools": lambda llm: _merged(list(llm.bind_tools([add], tool_choice="any").stream("Add 1 and 2"))),
    "structured": lambda llm: llm.with_structured_output(City, include_raw=True).invoke("A city")["raw"],
}
STREAMS = {"stream", "astream", "stream tools"}

RATE, SERVER = openai.RateLimitError, openai.InternalServerError
BROKEN = (openai.APIConnectionError, *(  # openai 2 lets its HTTP client's own errors through
    [__import__("httpx").TransportError] if openai.__version__.startswith("2.") else []
))  # fmt: skip

# fault, what the first model's failure leads to, requests for it, the error when all fail, requests for that
MATRIX = [
    ("429;seconds=0.05", "same", 2, RATE, 3),
    ("429;seconds=3", "other", 2, RATE, 3),
    ("429_no_headers;seconds=0.05", "same", 2, RATE, 3),
    ("tpm_too_large", "other", 2, RATE, 3),
    ("insufficient_quota", "error", 1, RATE, 1),
    ("500", "other", 2, SERVER, 3),
    ("502_html", "other", 2, SERVER, 3),
    ("503", "other", 2, SERVER, 3),
    ("hang;seconds=3", "other", 2, openai.APITimeoutError, 3),
    ("cut;after_chunks=0", "same", 2, BROKEN, 3),
    ("slow_first_token;seconds=0.05", "answer", 1, None, 1),
    ("slow_chunks;seconds=0.01", "answer", 1, None, 1),
    ("stall;seconds=0.05", "answer", 1, None, 1),
]
STREAM_MATRIX = [
    ("sse_error;after_chunks=0", "other", 2, openai.APIError, 3),
    ("truncate;after_chunks=0", "other", 2, IncompleteStream, 3),
    ("sse_error;after_chunks=1", "other", 2, openai.APIError, 3),
    ("truncate;after_chunks=1", "other", 2, IncompleteStream, 3),
    ("cut;after_chunks=1", "same", 2, BROKEN, 3),
]
CASES = [(way, *row) for row in MATRIX for way in WAYS] + [
    (way, *row) for row in STREAM_MATRIX for way in sorted(STREAMS)
]


@pytest.fixture
def own() -> Router:
    """A router that knows of no failure yet."""
    return Router(clock=lambda: date(2026, 11, 22))


@pytest.fixture
def llm(sim: Simulator, own: Router, request: pytest.FixtureRequest) -> RoutedChatModel:
    """A routed model with the default number of retries, and patience where nothing hangs."""
    return RoutedChatModel(base_url=sim.url, router=own, timeout=1.5 if "hang" in request.node.name else 20)


def first_model(sim: Simulator, llm: RoutedChatModel, way: str) -> str:
    """Return the model that answers a way of calling when nothing fails."""
    WAYS[way](llm)
    model = sim.journal[0].model
    assert len(sim.journal) == 1
    sim.reset()
    return model


@pytest.mark.parametrize(("way", "fault", "outcome", "sent", "_error", "_most"), CASES)
def test_the_first_model_fails(
    sim: Simulator,
    llm: RoutedChatModel,
    way: str,
    fault: str,
    outcome: str,
    sent: int,
    _error: Any,
    _most: int,
) -> None:
    """One model's failure costs one request more, and no token is said twice or lost."""
    first = first_model(sim, llm, way)
    once = ";times=1" if outcome == "same" else ";times=0"
    sim.faults.add(f"{fault};model={first}{once}")
    if outcome == "error":
        with pytest.raises(_error):
            WAYS[way](llm)
        assert len(sim.journal) == sent
        return
    answer: AIMessage = WAYS[way](llm)
    assert [entry.model for entry in sim.journal].count(first) == (2 if outcome == "same" else 1)
    assert len(sim.journal) == sent
    assert sim.refused == []
    if way in ("invoke", "ainvoke", "stream", "astream"):
        assert answer.text == SAID
    record = answer.response_metadata["routing"]
    assert len(record["attempts"]) == sent - 1
    assert (record["model"] == first) == (outcome != "other")
    assert record["served"].startswith(sim.journal[-1].model)


@pytest.mark.parametrize(("way", "fault", "_outcome", "_sent", "error", "most"), CASES)
def test_all_models_fail(
    sim: Simulator,
    llm: RoutedChatModel,
    way: str,
    fault: str,
    _outcome: str,
    _sent: int,
    error: Any,
    most: int,
) -> None:
    """When nothing helps, the first error is raised after as many requests as the SDK would send, at most."""
    first_model(sim, llm, way)
    wait = fault.replace("seconds=3", "seconds=0.2") if fault.startswith("429") else fault
    sim.faults.add(f"{wait};times=0")
    if error is None:
        WAYS[way](llm)
    else:
        with pytest.raises(error) as info:
            WAYS[way](llm)
        attempts: tuple[Attempt, ...] = info.value.attempts
        assert len(attempts) == most
        assert "routed-llm tried" in info.value.__notes__[-1]
    assert len(sim.journal) == most
    assert all(entry.retry == 0 for entry in sim.journal)


@pytest.mark.parametrize("way", ["stream", "astream"])
@pytest.mark.parametrize(
    ("fault", "error"), [("sse_error", openai.APIError), ("cut", BROKEN), ("truncate", IncompleteStream)]
)
def test_after_the_first_token(
    sim: Simulator, llm: RoutedChatModel, way: str, fault: str, error: Any
) -> None:
    """A stream that dies after its first token raises; what came is the beginning of the answer, once."""
    first_model(sim, llm, way)
    sim.faults.add(f"{fault};after_chunks=7")
    got: list[AIMessageChunk] = []

    async def read() -> None:
        async for chunk in llm.astream(ASK):
            got.append(chunk)  # noqa: PERF401  what came before the error counts

    def work() -> None:
        if way == "astream":
            LOOP.run_until_complete(read())
        else:
            for chunk in llm.stream(ASK):
                got.append(chunk)  # noqa: PERF402  what came before the error counts

    with pytest.raises(error) as info:
        work()
    said = "".join(chunk.text for chunk in got)
    assert said
    assert SAID.startswith(said)
    assert len(sim.journal) == 1
    assert info.value.attempts[0].error.started
    if fault == "truncate":
        assert info.value.received == said
        assert isinstance(info.value, openai.APIConnectionError)
        assert isinstance(info.value, ModelConnectionError)


@pytest.mark.parametrize("way", sorted(WAYS.keys() - STREAMS))  # LangChain hands no run to a stream
def test_a_run_is_named_after_the_model_that_serves_it(
    sim: Simulator, llm: RoutedChatModel, way: str
) -> None:
    """Traces of a call that another model took over name that one."""
    first = first_model(sim, llm, way)
    sim.faults.add(f"500;model={first};times=0")
    with collect_runs() as found:
        WAYS[way](llm)
    names = {run.extra["metadata"]["ls_model_name"] for run in _models(found.traced_runs)}
    assert names == {sim.journal[-1].model} != {first}


def _models(runs: list[Any]) -> list[Any]:
    return [one for run in runs for one in ([run] if run.run_type == "llm" else _models(run.child_runs))]


@pytest.mark.parametrize("retries", [0, 1, 4])
def test_max_retries_is_the_limit(sim: Simulator, own: Router, retries: int) -> None:
    """The user's own max_retries says how many requests there may be besides the first, in all."""
    llm = RoutedChatModel(base_url=sim.url, router=own, max_retries=retries)
    sim.faults.add(kind="500", times=0)
    with pytest.raises(SERVER):
        llm.invoke(ASK)
    assert len(sim.journal) == retries + 1


def test_other_callers_learn(sim: Simulator, llm: RoutedChatModel) -> None:
    """A model that asks to be left alone for long is left alone by the next call, too."""
    first = first_model(sim, llm, "invoke")
    sim.faults.add(f"429;seconds=30;model={first};times=0")
    llm.invoke(ASK)
    llm.invoke(ASK)
    assert [entry.model == first for entry in sim.journal] == [True, False, False]


def test_frameworks_fallbacks_and_retries_still_work(sim: Simulator, own: Router) -> None:
    """LangChain's with_retry and with_fallbacks see the provider's error as they would ChatOpenAI's."""
    llm = RoutedChatModel(base_url=sim.url, router=own, max_retries=0)
    sim.faults.add(kind="500", times=1)
    again = llm.with_retry(
        retry_if_exception_type=(SERVER,), stop_after_attempt=2, wait_exponential_jitter=False
    )
    assert again.invoke(ASK).text == SAID
    sim.reset()
    sim.faults.add(kind="insufficient_quota", times=1)
    assert llm.with_fallbacks([llm], exceptions_to_handle=(RATE,)).invoke(ASK).text == SAID
    assert len(sim.journal) == 2


def test_mistakes_of_a_callback_pass_through(sim: Simulator, llm: RoutedChatModel) -> None:
    """What a callback raises is not the provider's failure: it passes through, and nothing is sent again."""
    from langchain_core.callbacks import BaseCallbackHandler

    class Clumsy(BaseCallbackHandler):
        raise_error = True

        def on_llm_new_token(self, token: str, **kwargs: Any) -> None:
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        list(llm.stream(ASK, config={"callbacks": [Clumsy()]}))
    assert len(sim.journal) == 1


BUDGET = Budget(per_day=10)
NOON = datetime(2026, 11, 22, 12, tzinfo=UTC)


@pytest.fixture(params=["memory", "sqlite"])
def booked(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Router]:
    """A router with a budget and a ledger of each kind: one that works at once, one in a thread."""
    ledger = MemoryLedger() if request.param == "memory" else open_ledger(str(tmp_path / "ledger.sqlite"))
    yield Router(clock=lambda: date(2026, 11, 22), ledger=ledger, budgets=BUDGET)
    ledger.close()


def unsettled(router: Router) -> int:
    """Return the picodollars that are still reserved."""
    accounts = BUDGET.accounts({}, None, NOON)
    spent = sum(entry.booked for entry in router.ledger.entries())
    return accounts[0].limit - spent - router.ledger.remaining(accounts, at=NOON)[0]


@pytest.mark.parametrize("way", WAYS)
def test_every_attempt_is_an_entry(sim: Simulator, booked: Router, way: str) -> None:
    """The book has a line for each request: for those that failed with what went wrong."""
    llm = RoutedChatModel(base_url=sim.url, router=booked)
    sim.faults.add(kind="500", times=1)
    sim.faults.add(kind="tpm_too_large", times=1)
    answer = WAYS[way](llm)
    entries = list(booked.ledger.entries())
    assert [entry.outcome for entry in entries] == ["server", "too_large", "answered"]
    assert [entry.booked > 0 for entry in entries] == [False, False, True]
    tried = answer.response_metadata["routing"]["attempts"]
    assert [one["model"] for one in tried] == [entry.model for entry in entries[:2]]
    assert unsettled(booked) == 0


@pytest.mark.parametrize("way", ["stream", "astream"])
def test_a_stream_that_dies_is_booked_by_what_was_reserved(sim: Simulator, booked: Router, way: str) -> None:
    """Tokens that had come are billed, whatever became of the stream."""
    llm = RoutedChatModel(base_url=sim.url, router=booked)
    sim.faults.add("truncate;after_chunks=7")
    with pytest.raises(IncompleteStream):
        WAYS[way](llm)
    (entry,) = booked.ledger.entries()
    assert (entry.outcome, entry.cost) == ("unknown", None)
    assert entry.booked > 0
    assert unsettled(booked) == 0


@pytest.mark.parametrize("how", ["ainvoke", "astream", "waiting"])
def test_a_cancelled_task_leaves_nothing_reserved(sim: Simulator, booked: Router, how: str) -> None:
    """Cancellation passes through, while a request runs and while recovery waits; the money is given back."""
    llm = RoutedChatModel(base_url=sim.url, router=booked, policy={"models": ["gpt-4o"]})
    sim.faults.add("429;seconds=5;times=0" if how == "waiting" else "hang;seconds=5;times=0")

    async def work() -> None:
        call = _all(llm.astream(ASK)) if how == "astream" else llm.ainvoke(ASK)
        task = asyncio.ensure_future(call)
        await asyncio.sleep(0.8)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task

    LOOP.run_until_complete(work())
    LOOP.run_until_complete(asyncio.sleep(0.1))
    assert len(sim.journal) == 1
    assert unsettled(booked) == 0


def test_an_interrupt_passes_through(sim: Simulator, booked: Router, monkeypatch: pytest.MonkeyPatch) -> None:
    """Ctrl-C is nothing to recover from: nothing is sent again, and nothing stays reserved."""
    llm = RoutedChatModel(base_url=sim.url, router=booked)
    llm.invoke(ASK)

    def interrupted(*_: Any, **__: Any) -> Any:
        raise KeyboardInterrupt

    monkeypatch.setattr("openai._base_client.SyncAPIClient.request", interrupted)
    for way in ("invoke", "stream"):
        with pytest.raises(KeyboardInterrupt):
            WAYS[way](llm)
    assert unsettled(booked) == 0


def test_a_key_without_access_keeps_nobody_else_away(sim: Simulator, own: Router) -> None:
    """A model that one key may not use is left alone with that key only; its calls are answered."""
    one, two = (RoutedChatModel(base_url=sim.url, api_key=key, router=own) for key in ("k1", "k2"))
    first = str(one.explain(ASK).model)
    sim.faults.add(kind="no_access", model=first, times=1)
    assert one.invoke(ASK).response_metadata["routing"]["model"] != first
    assert one.invoke(ASK).response_metadata["routing"]["model"] != first
    assert two.invoke(ASK).response_metadata["routing"]["model"] == first
    assert [entry.model for entry in sim.journal].count(first) == 2


@pytest.mark.parametrize(
    ("fault", "around", "sent"),
    [
        pytest.param("500", "retry", 2, id="retry"),
        pytest.param("insufficient_quota", "fallback", 2, id="fallback"),
        pytest.param("500", "none", 2, id="ours alone"),
    ],
)
def test_middleware_around_it(sim: Simulator, own: Router, fault: str, around: str, sent: int) -> None:
    """LangChain's retry and fallback middleware see the provider's error, and no retries multiply."""
    from langchain.agents import create_agent
    from langchain.agents.middleware import ModelFallbackMiddleware, ModelRetryMiddleware

    retries = 2 if around == "none" else 0
    llm = RoutedChatModel(base_url=sim.url, router=own, max_retries=retries)
    middleware: dict[str, list[Any]] = {
        "retry": [ModelRetryMiddleware(max_retries=2, retry_on=(SERVER,), initial_delay=0.0, jitter=False)],
        "fallback": [ModelFallbackMiddleware(RoutedChatModel(base_url=sim.url, router=own))],
        "none": [],
    }
    sim.faults.add(f"{fault};times=1")
    agent = create_agent(llm, tools=[], middleware=middleware[around])
    said = agent.invoke({"messages": [{"role": "user", "content": ASK}]})["messages"][-1]
    assert said.text == SAID
    assert len(sim.journal) == sent


def capped(sim: Simulator, own: Router) -> RoutedChatModel:
    """A model that reasons, with little room for it."""
    policy = {"models": ["gpt-5-mini"], "at_least": None}
    return RoutedChatModel(
        base_url=sim.url, router=own, reasoning_effort="low", max_tokens=400, policy=policy
    )


@pytest.mark.parametrize("way", ["invoke", "ainvoke", "stream", "astream"])
def test_a_cap_that_reasoning_used_up_is_raised(sim: Simulator, own: Router, way: str) -> None:
    """Where reasoning leaves a model no room to speak, the same model gets four times the cap, once."""
    llm = capped(sim, own)
    sim.faults.add(kind="cut_short")
    record = WAYS[way](llm).response_metadata["routing"]
    assert [(entry.model, entry.body["max_completion_tokens"], entry.status) for entry in sim.journal] == [
        ("gpt-5-mini", 400, 400),
        ("gpt-5-mini", 1600, 200),
    ]
    changes = [(one["parameter"], one["action"], one["before"], one["after"]) for one in record["changes"]]
    assert ("max_completion_tokens", "raised", 400, 1600) in changes
    assert [one["error"]["kind"] for one in record["attempts"]] == ["cut_short"]


def test_a_cap_is_raised_once_only(sim: Simulator, own: Router) -> None:
    """A model that is cut short again is not paid for a third time."""
    llm = capped(sim, own)
    sim.faults.add(kind="cut_short", times=0)
    with pytest.raises(openai.BadRequestError, match="Could not finish the message"):
        llm.invoke(ASK)
    assert [entry.body["max_completion_tokens"] for entry in sim.journal] == [400, 1600]


@pytest.mark.parametrize("way", ["invoke", "ainvoke", "stream", "astream"])
def test_a_deadline_counts_down_while_models_are_tried(
    way: str, make: Any, sim: Simulator, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What takes over is chosen for the time that is left, not for the whole of it."""
    sim.faults.add("500")
    llm = make(max_retries=2).bind(routing={"deadline": 60.0})
    seen: list[float] = []
    whole = Router.rechoose

    def rechoose(self: Router, request: Any, avoid: Any, options: Any = None, **given: Any) -> Any:
        seen.append(options.deadline)
        return whole(self, request, avoid, options, **given)

    monkeypatch.setattr(Router, "rechoose", rechoose)
    WAYS[way](llm)
    assert seen
    assert all(0 < left < 60 for left in seen)
