"""The driver: what is booked, tried again, passed on and given up, in threads, event loops and streams."""

from __future__ import annotations

import asyncio
import types
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import suppress
from datetime import date
from typing import Any

import pytest

from routed_llm import Budget, IncompleteStream, MemoryLedger, Policy, RetryLimits, Router, read_openai
from routed_llm.calls import router as routers
from routed_llm.calls.driver import CLOSE, END, NEXT, Driven, Keep, Send, Wait, flow, stream_flow
from routed_llm.calls.runners import arun, arun_stream, run, run_stream
from routed_llm.calls.wired import Prepared, Wired
from routed_llm.errors import BudgetExceeded, ProviderError
from routed_llm.exchange import note_head
from routed_llm.request.wire import ITEMS

AT = date(2026, 11, 22)
ASKED = {"messages": [{"role": "user", "content": "Name three capitals."}], "max_tokens": 50}
USAGE = {"prompt_tokens": 12, "completion_tokens": 3, "total_tokens": 15}


class Failure(Exception):
    """An error as an SDK would raise it."""

    __module__ = "openai"

    def __init__(self, status: int, message: str = "", **body: Any) -> None:
        super().__init__(message)
        self.status_code, self.headers = status, {}
        self.body = {"message": message, **body}


def answer(text: str = "Lima, Quito, Oslo", reason: str = "stop") -> dict[str, Any]:
    """Return a Chat Completion."""
    choice = {"index": 0, "message": {"role": "assistant", "content": text}, "finish_reason": reason}
    return {"id": "c1", "object": "chat.completion", "model": "gpt-4o", "choices": [choice], "usage": USAGE}


def chunks(*texts: str, reason: str | None = "stop", usage: Any = USAGE) -> list[dict[str, Any]]:
    """Return the chunks of a stream: the role, each text, the reason, the usage."""
    made = [{"role": "assistant", "content": ""}, *({"content": text} for text in texts)]
    head = {"id": "c1", "object": "chat.completion.chunk", "model": "gpt-4o"}
    stream = [{**head, "choices": [{"index": 0, "delta": delta, "finish_reason": None}]} for delta in made]
    if reason is not None:
        stream.append({**head, "choices": [{"index": 0, "delta": {}, "finish_reason": reason}]})
        stream.append({**head, "choices": [], "usage": usage})
    return stream


class Provider:
    """Answers each request with the next of its outcomes: an answer, chunks (errors among them), an error."""

    def __init__(self, *outcomes: Any) -> None:
        self.outcomes = list(outcomes)
        self.asked: list[Prepared] = []
        self.closed = 0

    def send(self, prepared: Prepared) -> Any:
        """Answer the next request."""
        self.asked.append(prepared)
        outcome = self.outcomes.pop(0)
        if isinstance(outcome, BaseException):
            raise outcome
        return outcome

    async def asend(self, prepared: Prepared) -> Any:
        """Answer the next request."""
        return self.send(prepared)

    def open(self, prepared: Prepared) -> Iterator[Any]:
        """Open the next stream."""
        return self._pieces(self.send(prepared))

    def _pieces(self, outcome: list[Any]) -> Iterator[Any]:
        try:
            for piece in outcome:
                if isinstance(piece, BaseException):
                    raise piece
                yield piece
        finally:
            self.closed += 1

    async def aopen(self, prepared: Prepared) -> AsyncIterator[Any]:
        """Open the next stream."""
        return self._apieces(self.send(prepared))

    async def _apieces(self, outcome: list[Any]) -> AsyncIterator[Any]:
        try:
            for piece in outcome:
                if isinstance(piece, BaseException):
                    raise piece
                yield piece
        finally:
            self.closed += 1


class World:
    """A router with a budget, a provider, and calls on their way."""

    def __init__(
        self, *outcomes: Any, asked: dict[str, Any] = ASKED, retries: int = 2, **policy: Any
    ) -> None:
        self.ledger = MemoryLedger()
        self.router = Router(
            policy=Policy(**policy),
            ledger=self.ledger,
            budgets=Budget(per_day="10"),
            clock=lambda: AT,
            observe=False,
        )
        self.asked = asked
        self.retries = retries
        self.provider = Provider(*outcomes)
        self.remembered: list[Any] = []
        self.seam = Wired(
            asked=asked,
            catalog=self.router.catalog,
            send=self.provider.send,
            remember=lambda turns, *told: self.remembered.append((*turns, *told)),
        )

    def driven(self, *, stream: bool = False) -> Driven:
        """Decide a call and return it on its way."""
        request = read_openai({**self.asked, "stream": stream})
        decision = self.router.decide(request)

        def attempts(decision: Any, since: float) -> Any:
            return self.router.attempts(
                request, decision, limits=RetryLimits.from_retries(self.retries), since=since
            )

        return Driven(self.router, decision, self.seam, attempts)

    def whole(self) -> Any:
        """Call for a whole answer."""
        return run(flow(self.driven()), self.provider.send)

    async def awhole(self) -> Any:
        """Call for a whole answer."""
        return await arun(flow(self.driven()), self.provider.asend)

    def stream(self) -> Iterator[Any]:
        """Call for a stream."""
        return run_stream(stream_flow(self.driven(stream=True)), self.provider.send, self.provider.open)

    def astream(self) -> AsyncIterator[Any]:
        """Call for a stream."""
        flown = stream_flow(self.driven(stream=True))
        return arun_stream(flown, self.provider.asend, self.provider.aopen)

    @property
    def booked(self) -> list[tuple[str, bool]]:
        """Outcome and whether anything was charged, of each entry."""
        return [(entry.outcome, bool(entry.booked)) for entry in self.ledger.entries()]

    @property
    def held(self) -> int:
        """Reservations that are open."""
        return len(self.ledger._holds)


def said(made: list[Any]) -> str:
    """Return the text of chunks."""
    return "".join(choice["delta"].get("content") or "" for one in made for choice in one["choices"])


def waited(coroutine: Any) -> Any:
    """Return what a coroutine returns, in an event loop of its own."""
    loop = asyncio.new_event_loop()
    try:
        return loop.run_until_complete(coroutine)
    finally:
        loop.run_until_complete(loop.shutdown_asyncgens())
        loop.close()


async def collected(stream: AsyncIterator[Any]) -> list[Any]:
    """Return everything that an asynchronous stream yields."""
    return [one async for one in stream]


def get(world: World, way: str) -> str:
    """Call in one of the four ways and return the text."""
    if way == "whole":
        return str(world.whole()["choices"][0]["message"]["content"])
    if way == "awhole":
        return str(waited(world.awhole())["choices"][0]["message"]["content"])
    if way == "stream":
        return said(list(world.stream()))
    return said(waited(collected(world.astream())))


def outcome_for(way: str, text: str = "Lima, Quito, Oslo") -> Any:
    """Return what a provider answers in one of the four ways."""
    return answer(text) if "whole" in way else chunks(*text.partition(" "))


WAYS = ["whole", "awhole", "stream", "astream"]


@pytest.fixture(autouse=True)
def _no_waiting(monkeypatch: pytest.MonkeyPatch) -> None:
    async def instantly(seconds: float) -> None:
        return None

    monkeypatch.setattr("time.sleep", lambda seconds: None)
    monkeypatch.setattr("asyncio.sleep", instantly)


@pytest.mark.parametrize("way", WAYS)
def test_a_call_is_reserved_sent_settled_and_remembered(way: str) -> None:
    """One entry with the cost, nothing left reserved, one record for the whole call."""
    world = World(outcome_for(way))
    assert get(world, way) == "Lima, Quito, Oslo"
    assert world.booked == [("answered", True)]
    assert world.held == 0
    assert world.seam.routing["served"] == "gpt-4o"
    assert world.seam.routing["attempts"] == []
    message, previous, identity = world.remembered[0]
    assert (message["content"], previous.prefix_tokens, identity) == ("Lima, Quito, Oslo", 12, "c1")


@pytest.mark.parametrize("way", WAYS)
def test_another_model_answers_when_one_fails(way: str) -> None:
    """The failure is an entry of its own and stands in the record; the next model's body is its own."""
    world = World(Failure(500, "boom", type="server_error"), outcome_for(way))
    assert get(world, way) == "Lima, Quito, Oslo"
    assert [one for one, _ in world.booked] == ["server", "answered"]
    first, second = world.provider.asked
    assert first.body["model"] != second.body["model"]
    assert [one["model"] for one in world.seam.routing["attempts"]] == [first.decision.model]
    assert world.seam.routing["model"] == second.decision.model


@pytest.mark.parametrize("way", WAYS)
def test_the_first_error_is_raised_when_nothing_helps(way: str) -> None:
    """Handlers written for it still work; nothing is left reserved."""
    first = Failure(500, "boom", type="server_error")
    world = World(
        first, Failure(500, "again", type="server_error"), Failure(500, "still", type="server_error")
    )
    with pytest.raises(Failure) as caught:
        get(world, way)
    assert caught.value is first
    assert len(world.provider.asked) == 3
    assert world.held == 0


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize(
    "reported",
    [
        {"error": {"message": "boom", "code": "server_error"}},
        {"type": "error", "error": {"message": "boom", "code": "server_error"}},
    ],
    ids=["a body with an error", "an event with an error"],
)
def test_a_failure_that_a_body_reports_is_a_failure(way: str, reported: dict[str, Any]) -> None:
    """Status 200 says nothing: it is raised as the adapter would have it, and another model answers."""
    world = World(reported if "whole" in way else [reported], outcome_for(way))
    world.seam.fails = lambda told: Failure(500, told["message"], code=told["code"])
    assert get(world, way) == "Lima, Quito, Oslo"
    assert len(world.provider.asked) == 2


@pytest.mark.parametrize("way", ["stream", "astream"])
def test_before_the_first_token_another_model_may_answer_and_after_it_none(way: str) -> None:
    """Nothing that one model has said is said again by another."""
    broken = Failure(500, "boom", type="server_error")
    world = World([*chunks()[:1], broken], outcome_for(way))
    assert get(world, way) == "Lima, Quito, Oslo"
    assert world.provider.closed == 2
    begun = World([*chunks("Lima")[:2], broken])
    with pytest.raises(Failure) as caught:
        get(begun, way)
    assert caught.value is broken
    assert begun.booked == [("server", True)]
    assert (begun.provider.closed, begun.held) == (1, 0)


@pytest.mark.parametrize("way", ["stream", "astream"])
def test_a_stream_that_ends_without_a_reason_is_not_whole(way: str) -> None:
    """Before a token it is begun again; after one the error has what arrived."""
    world = World(chunks(reason=None), outcome_for(way))
    assert get(world, way) == "Lima, Quito, Oslo"
    cut = World(chunks("Li", "ma", reason=None))
    with pytest.raises(IncompleteStream) as caught:
        get(cut, way)
    assert caught.value.received == "Lima"


@pytest.mark.parametrize("way", ["stream", "astream"])
def test_the_usage_stands_on_the_last_chunk(way: str) -> None:
    """No chunk is without a choice unless the caller asked for the usage itself."""
    world = World(outcome_for(way))
    made = list(world.stream()) if way == "stream" else waited(collected(world.astream()))
    assert all(one["choices"] for one in made)
    assert made[-1]["usage"] == USAGE
    apart = World(outcome_for(way), asked={**ASKED, "stream_options": {"include_usage": True}})
    made = list(apart.stream()) if way == "stream" else waited(collected(apart.astream()))
    assert made[-1]["choices"] == []


@pytest.mark.parametrize("way", WAYS)
def test_a_budget_without_room_ends_the_call_before_anything_is_sent(way: str) -> None:
    """Reserving is refused in the driver as it is in the decision."""
    world = World(outcome_for(way))
    driven = world.driven(stream="stream" in way)

    def refuse(decision: Any, **more: Any) -> Any:
        raise BudgetExceeded("no room. Wait.")

    world.router.begin = refuse  # type: ignore[method-assign]
    world.driven = lambda *, stream=False: driven  # type: ignore[method-assign]
    with pytest.raises(BudgetExceeded):
        get(world, way)
    assert world.provider.asked == []


# ----- leaving


def test_a_reader_who_leaves_closes_the_stream_and_books_what_came() -> None:
    """What was sent may be billed, so that what was reserved is charged; nothing stays reserved."""
    world = World(chunks("Lima", " Quito"))
    stream = world.stream()
    next(stream)
    stream.close()
    assert world.booked == [("unknown", True)]
    assert (world.provider.closed, world.held) == (1, 0)


def test_a_stream_that_is_dropped_leaves_nothing_behind() -> None:
    """Garbage collection closes it as its reader would have."""
    world = World(chunks("Lima", " Quito"))
    stream = world.stream()
    next(stream)
    del stream
    assert world.booked == [("unknown", True)]
    assert (world.provider.closed, world.held) == (1, 0)


@pytest.mark.parametrize("way", ["stream", "astream"])
@pytest.mark.parametrize("first", ["flow", "runner"])
def test_a_stream_in_a_cycle_is_booked_whatever_is_collected_first(way: str, first: str) -> None:
    """The collector ends all generators of a cycle, in an order of its own."""
    world = World(chunks("Lima", " Quito"))
    flown = stream_flow(world.driven(stream=True))

    def end() -> None:
        if first == "flow":
            flown.close()

    async def leave() -> None:
        stream: Any = arun_stream(flown, world.provider.asend, world.provider.aopen)
        await anext(stream)
        end()
        await stream.aclose()

    if way == "astream":
        waited(leave())
    else:
        stream: Any = run_stream(flown, world.provider.send, world.provider.open)
        next(stream)
        end()
        stream.close()
    assert world.booked == [("unknown", True)]
    assert (world.provider.closed, world.held) == (1, 0)


class Hanging:
    """What a stream is read from, and hangs when it is closed."""

    def __init__(self, pieces: list[Any]) -> None:
        self.pieces = pieces

    async def __anext__(self) -> Any:
        """Return the next piece, or raise it."""
        piece = self.pieces.pop(0)
        if isinstance(piece, BaseException):
            raise piece
        return piece

    @types.coroutine
    def aclose(self) -> Any:
        """Hang."""
        yield


@pytest.mark.parametrize("closing", ["cancelled", "dropped", "cancelled after an error"])
def test_a_stream_whose_closing_is_interrupted_is_booked(closing: str) -> None:
    """A loop that ends cancels what is being closed, or drops it, and it may be billed all the same."""
    pieces = chunks("Lima", " Quito")
    fails = closing == "cancelled after an error"
    world, source = World(), Hanging([*pieces[:2], *([ProviderError("It is gone. Try again.")] * fails)])

    async def opened(prepared: Any) -> Any:
        return source

    async def leave() -> None:
        stream: Any = arun_stream(stream_flow(world.driven(stream=True)), opened, opened)
        for _ in range(2):
            await anext(stream)
        step = anext(stream) if fails else stream.aclose()
        step.send(None)  # until it hangs
        if closing == "dropped":
            step.close()
        else:
            with pytest.raises(asyncio.CancelledError):
                step.throw(asyncio.CancelledError())

    waited(leave())
    assert (world.booked, world.held) == ([("unknown", True)], 0)


def test_a_call_whose_coroutine_is_dropped_is_booked() -> None:
    """A loop that ends drops its tasks: nothing can be awaited then."""
    world = World(answer())

    @types.coroutine
    def hang(prepared: Any) -> Any:
        yield

    call = arun(flow(world.driven()), hang)
    call.send(None)
    call.close()
    assert world.booked == [("unknown", True)]
    assert world.held == 0


def test_an_asynchronous_stream_may_be_closed_by_another_task() -> None:
    """Nothing of the driver belongs to the task that began it."""
    world = World(chunks("Lima", " Quito"))

    async def leave() -> None:
        stream = world.astream()
        await asyncio.create_task(anext(stream))  # type: ignore[arg-type]
        await asyncio.create_task(stream.aclose())  # type: ignore[attr-defined]

    waited(leave())
    assert world.booked == [("unknown", True)]
    assert (world.provider.closed, world.held) == (1, 0)


@pytest.mark.parametrize("way", ["awhole", "astream"])
def test_a_cancelled_task_books_what_may_be_billed(way: str) -> None:
    """No answer seen is not the same as not billed."""
    world = World(outcome_for(way))

    async def hang(prepared: Any) -> Any:
        world.provider.asked.append(prepared)
        await asyncio.Event().wait()

    async def leave() -> None:
        driven = world.driven(stream=way == "astream")
        if way == "awhole":
            task = asyncio.ensure_future(arun(flow(driven), hang))
        else:
            task = asyncio.ensure_future(collected(arun_stream(stream_flow(driven), hang, hang)))
        while not world.provider.asked:
            await asyncio.wait({task}, timeout=0.001)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task

    waited(leave())
    assert world.booked == [("unknown", True)]
    assert world.held == 0


@pytest.mark.parametrize("way", ["whole", "stream"])
def test_an_interrupt_books_what_may_be_billed(way: str) -> None:
    """It passes on untouched and is no failure to recover from."""
    world = World(KeyboardInterrupt())
    with pytest.raises(KeyboardInterrupt):
        get(world, way)
    assert world.booked == [("unknown", True)]
    assert world.held == 0


def test_what_was_never_sent_costs_nothing() -> None:
    """Whoever leaves while the money is reserved gets all of it back."""
    world = World(answer())
    world.ledger.blocks = True
    steps = flow(world.driven())
    effect = next(steps)
    assert isinstance(effect, Keep)
    opened = effect.work()

    def interrupt(decision: Any, routing: Any) -> None:
        raise KeyboardInterrupt

    world.seam.announce = interrupt
    effect = steps.send(opened)
    assert isinstance(effect, Keep)
    with pytest.raises(KeyboardInterrupt):
        steps.send(effect.work())
    assert world.booked == []
    assert world.held == 0


# ----- the flow itself


def performed(flown: Any, outcomes: dict[Any, Callable[[Any], Any]]) -> Iterator[str]:
    """Step through a flow and yield the name of each effect; errors are thrown, as a runner does."""
    effect = next(flown)
    while True:
        name = repr(effect) if effect in (NEXT, CLOSE) else type(effect).__name__
        yield name
        try:
            do = outcomes.get(name)
            value = effect.work() if isinstance(effect, Keep) else do(effect) if do else None
        except Exception as error:  # noqa: BLE001 - what a runner does
            effect = flown.throw(error)
        else:
            try:
                effect = flown.send(value)
            except StopIteration:
                return


@pytest.mark.parametrize("blocks", [True, False], ids=["a ledger that waits", "a ledger in memory"])
def test_a_flow_yields_what_is_to_be_done_and_nothing_else(blocks: bool) -> None:
    """It reads no clock, sleeps nowhere and touches no network: a test is told what it would have done."""

    def done(*names: str) -> list[str]:
        return [name for name in names if blocks or name != "Keep"]  # what waits for nothing, it does itself

    world = World(Failure(429, "Please try again in 200ms.", code="rate_limit_exceeded"), answer())
    world.ledger.blocks = blocks
    steps = performed(flow(world.driven()), {"Send": lambda effect: world.provider.send(effect.prepared)})
    assert list(steps) == done("Keep", "Send", "Keep", "Wait", "Keep", "Send", "Keep")
    assert [outcome for outcome, _ in world.booked] == ["rate_limit", "answered"]
    pieces = iter(chunks("Lima"))
    world = World()
    world.ledger.blocks = blocks
    steps = performed(stream_flow(world.driven(stream=True)), {"NEXT": lambda effect: next(pieces, END)})
    first = done("Keep", "Send", "NEXT", "NEXT", "Give", "Give")
    assert list(steps) == [*first, *done("NEXT", "NEXT", "NEXT", "CLOSE", "Keep", "Give")]
    assert [outcome for outcome, _ in world.booked] == ["answered"]


# ----- both endpoints, one shape


def test_an_answer_of_responses_is_a_chat_completion_to_the_caller() -> None:
    """Whatever endpoint served it; its items stay beside it for the next turn."""
    item = {"id": "msg_1", "type": "message", "role": "assistant", "status": "completed"}
    parts = [{"type": "output_text", "text": "Lima", "annotations": []}]
    reply = {"id": "resp_1", "object": "response", "created_at": 1, "status": "completed", "model": "gpt-5.4", "output": [{**item, "content": parts}], "usage": {"input_tokens": 1, "output_tokens": 2, "total_tokens": 3}}  # fmt: skip # noqa: E501
    world = World(reply, asked={**ASKED, "tools": [{"type": "web_search"}]})
    made = world.whole()
    assert world.provider.asked[0].endpoint == "responses"
    assert world.provider.asked[0].body["store"] is False
    assert made["choices"][0]["message"]["content"] == "Lima"
    assert made["choices"][0]["message"][ITEMS]["items"] == reply["output"]
    assert world.booked == [("answered", True)]


@pytest.mark.parametrize("way", WAYS)
def test_an_error_of_the_providers_that_no_adapter_types_is_typed_here(way: str) -> None:
    """A core without an SDK raises an error of its own."""
    reported = {"error": {"message": "The content was refused.", "code": "content_filter"}}
    world = World(*[reported if "whole" in way else [reported]] * 3)
    with pytest.raises(ProviderError):
        get(world, way)


def test_a_sampled_second_request_goes_another_way() -> None:
    """It is sent in a thread of its own, whole, and read as the first was."""
    world = World(answer("Lima"), answer("Oslo"))
    world.whole()
    second = world.seam.second(world.driven().decision)
    assert (second.text, second.served, second.usage and second.usage.input_tokens) == ("Oslo", "gpt-4o", 12)


class Limited(Provider):
    """A provider whose answers say what is left of a rate limit."""

    def __init__(self, *outcomes: Any, remaining: int) -> None:
        super().__init__(*outcomes)
        self.remaining = remaining

    def send(self, prepared: Prepared) -> Any:
        """Answer the next request."""
        left = {"limit": "30000", "remaining": str(self.remaining), "reset": "1m0s"}
        note_head({f"x-ratelimit-{name}-tokens": value for name, value in left.items()})
        return super().send(prepared)


LIMITED: list[Any] = [
    # what the first answer says is left, whether the second call stays, and whether it waits
    pytest.param(30_000, True, False, id="room"),
    pytest.param(4_000, True, True, id="room soon"),
    pytest.param(0, False, False, id="room much later"),
]


@pytest.mark.parametrize(("remaining", "stays", "waits"), LIMITED)
@pytest.mark.parametrize("stream", [False, True], ids=["whole", "stream"])
def test_a_rate_limit_is_heard_before_it_refuses(
    remaining: int, stays: bool, waits: bool, stream: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A call goes where there is room now, or waits for it where that is quick; nothing is refused."""
    clock = [0.0]
    monkeypatch.setattr(routers, "monotonic", lambda: clock[0])
    long = {**ASKED, "max_tokens": 20_000 if not stays else 50}
    made = [chunks("Lima"), chunks("Lima")] if stream else [answer(), answer()]
    world = World(asked=long)
    world.provider = Limited(*made, remaining=remaining)
    effects: list[Any] = []

    def call() -> None:
        driven = world.driven(stream=stream)
        way = stream_flow(driven) if stream else flow(driven)
        pieces: Iterator[Any] = iter(())
        came: Any = None
        with suppress(StopIteration):
            effect = next(way)
            while True:
                effects.append(effect)
                if isinstance(effect, Wait):
                    clock[0] += effect.seconds
                    came = None
                elif isinstance(effect, Keep):
                    came = effect.work()
                elif isinstance(effect, Send):
                    with effect.exchange.current():
                        came = (
                            world.provider.open(effect.prepared)
                            if stream
                            else world.provider.send(effect.prepared)
                        )
                    pieces = iter(came) if stream else pieces
                else:
                    came = next(pieces, END) if effect is NEXT else None
                effect = way.send(came)

    call()
    effects.clear()
    call()
    first, second = (prepared.decision.model for prepared in world.provider.asked)
    assert (first == second) == stays
    waited = sum(one.seconds for one in effects if isinstance(one, Wait))
    assert 0 < waited <= 0.5 if waits else waited == 0


@pytest.mark.parametrize("way", WAYS)
def test_who_says_nothing_of_limits_is_not_held_back(way: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """A stand-in for the SDK's client has no headers: its first answer is the sign that it takes more."""
    waits: list[float] = []

    async def noted(seconds: float) -> None:
        waits.append(seconds)

    monkeypatch.setattr("time.sleep", waits.append)
    monkeypatch.setattr("asyncio.sleep", noted)
    monkeypatch.setattr(routers, "monotonic", lambda: 0.0)
    world = World(*[outcome_for(way) for _ in range(40)])
    assert {get(world, way) for _ in range(40)} == {"Lima, Quito, Oslo"}
    assert (len(world.provider.asked), waits) == (40, [])


@pytest.mark.parametrize("stream", [False, True], ids=["whole", "stream"])
def test_an_answer_is_reported_to_the_cool_downs(stream: bool) -> None:
    """Failures that an answer lies between do not add up."""
    world = World(chunks("Lima") if stream else answer())
    model, cooldowns = str(world.driven().decision.model), world.router.cooldowns
    assert [cooldowns.failed(model, "why", now=0.0) for _ in range(2)] == [0, 0]
    if stream:
        assert list(world.stream())
    else:
        assert world.whole()
    assert cooldowns.failed(model, "why", now=1.0) == 0
