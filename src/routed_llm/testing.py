"""The contract of adapters: one table of cases that every adapter runs with five functions of its own.

    @pytest.mark.parametrize("way", WAYS)
    @pytest.mark.parametrize("case", CASES, ids=lambda case: case.id)
    def test_the_contract(case, way):
        case.check(MINE, way)

Each case runs against the simulator on loopback and raises an AssertionError that says what was broken.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterable, Awaitable, Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date
from typing import Any, Final

from routed_llm.budget import Budget
from routed_llm.calls.router import Router
from routed_llm.errors import BudgetExceeded
from routed_llm.ledger import MemoryLedger
from routed_llm.policy import Policy
from routed_llm.simulator import Simulator, serve

__all__ = ["CASES", "WAYS", "Adapter", "Answer", "Case", "sdk_adapter"]

WAYS: Final = ("ask", "aask", "stream", "astream")
"""The four ways of calling, by the adapter's functions."""

DAY: Final = date(2026, 11, 22)
_TOOL: Final = {
    "type": "function",
    "function": {
        "name": "add",
        "description": "Add two numbers.",
        "parameters": {"type": "object", "properties": {"a": {"type": "integer"}, "b": {"type": "integer"}}},
    },
}
_HELLO: Final = ({"role": "user", "content": "Name three capitals."},)
_ADD: Final = ({"role": "user", "content": "use add to add 3 and 4"},)
_CHAT: Final = {"models": ["gpt-4o"], "at_least": None}
_RESPONSES: Final = {"models": ["gpt-5.6-luna"], "at_least": None, "effort": "low"}
_TWO: Final = {"models": ["gpt-4o", "gpt-4.1"], "at_least": None}


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """What came back, or a piece of it.

    Attributes:
        text: the text, of a piece its own part.
        calls: the tool calls: id and name of each.
        record: the routing record; of a stream on its last piece.
        turn: the framework's own message, to be sent again as it is.
    """

    text: str = ""
    calls: Sequence[tuple[str, str]] = ()
    record: Mapping[str, Any] = field(default_factory=dict)
    turn: Any = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Adapter:
    """What an adapter gives.

    Attributes:
        make: makes the framework's model for ``url``, ``router`` and ``policy`` (keywords of a Policy).
        ask: asks it for a whole answer, given messages and parameters in Chat Completions' form; a message
            may also be an earlier answer's ``turn``.
        aask: does so in an event loop.
        stream: asks it for a stream.
        astream: does so in an event loop.
    """

    make: Callable[..., Any]
    ask: Callable[[Any, Sequence[Any], Mapping[str, Any]], Answer]
    aask: Callable[[Any, Sequence[Any], Mapping[str, Any]], Awaitable[Answer]]
    stream: Callable[[Any, Sequence[Any], Mapping[str, Any]], Iterable[Answer]]
    astream: Callable[[Any, Sequence[Any], Mapping[str, Any]], AsyncIterable[Answer]]


def sdk_adapter(make: Callable[..., Any], make_async: Callable[..., Any]) -> Adapter:
    """Return the adapter of a pair of clients with the methods of OpenAI's SDK.

    Args:
        make: makes the client, a context manager, for ``url``, ``router`` and ``policy``.
        make_async: makes the one for event loops.
    """

    def asked(messages: Sequence[Any], parameters: Mapping[str, Any], **more: Any) -> dict[str, Any]:
        return {"model": "gpt-4o", "messages": [*messages], **parameters, **more}

    def ask(given: Any, messages: Sequence[Any], parameters: Mapping[str, Any]) -> Answer:
        with make(**given) as client:
            return _read(client.chat.completions.create(**asked(messages, parameters)))

    async def aask(given: Any, messages: Sequence[Any], parameters: Mapping[str, Any]) -> Answer:
        async with make_async(**given) as client:
            return _read(await client.chat.completions.create(**asked(messages, parameters)))

    def stream(given: Any, messages: Sequence[Any], parameters: Mapping[str, Any]) -> Iterable[Answer]:
        turn: dict[str, Any] = {"role": "assistant", "content": ""}
        with make(**given) as client:
            for chunk in client.chat.completions.create(**asked(messages, parameters, stream=True)):
                yield _added(turn, chunk)

    async def astream(
        given: Any, messages: Sequence[Any], parameters: Mapping[str, Any]
    ) -> AsyncIterable[Answer]:
        turn: dict[str, Any] = {"role": "assistant", "content": ""}
        async with make_async(**given) as client:
            found = await client.chat.completions.create(**asked(messages, parameters, stream=True))
            async for chunk in found:
                yield _added(turn, chunk)

    return Adapter(make=dict, ask=ask, aask=aask, stream=stream, astream=astream)


def _read(completion: Any) -> Answer:
    message = completion.choices[0].message
    calls = [(call.id, call.function.name) for call in message.tool_calls or ()]
    return Answer(text=message.content or "", calls=calls, record=completion.routing, turn=message)


def _added(turn: dict[str, Any], chunk: Any) -> Answer:
    """Add a chunk to the message, as the SDK's own helper does, and return what came."""
    delta = chunk.choices[0].delta
    turn["content"] += delta.content or ""
    turn.update(delta.model_extra or {})
    calls: list[Any] = turn.setdefault("tool_calls", []) if delta.tool_calls else turn.get("tool_calls", [])
    for call in delta.tool_calls or ():
        if call.index == len(calls):
            calls.append(call.model_dump(exclude={"index"}))
        else:
            calls[call.index]["function"]["arguments"] += call.function.arguments
    called = [(call["id"], call["function"]["name"]) for call in calls]
    record = getattr(chunk, "routing", {})
    return Answer(text=delta.content or "", calls=called, record=record, turn=turn)


class _World:
    """A simulator, a router that keeps books, and one way of calling one adapter."""

    def __init__(self, adapter: Adapter, way: str, sim: Simulator, **budget: Any) -> None:
        self.sim, self._adapter, self._way = sim, adapter, way
        self.ledger = MemoryLedger()
        self.router = Router(
            clock=lambda: DAY, ledger=self.ledger, budgets=Budget(**(budget or {"per_day": "100"}))
        )

    def call(self, policy: Mapping[str, Any], messages: Sequence[Any], **parameters: Any) -> Answer:
        """Call once and return the whole answer."""
        Policy(**policy)  # a wrong case is the kit's own mistake
        model = self._adapter.make(url=self.sim.url, router=self.router, policy=dict(policy))
        if self._way == "ask":
            return self._adapter.ask(model, messages, parameters)
        if self._way == "stream":
            return _joined(list(self._adapter.stream(model, messages, parameters)))
        loop = asyncio.new_event_loop()
        try:
            return loop.run_until_complete(self._later(model, messages, parameters))
        finally:
            loop.run_until_complete(loop.shutdown_asyncgens())
            loop.close()

    async def _later(self, model: Any, messages: Sequence[Any], parameters: Mapping[str, Any]) -> Answer:
        if self._way == "aask":
            return await self._adapter.aask(model, messages, parameters)
        return _joined([piece async for piece in self._adapter.astream(model, messages, parameters)])

    @property
    def body(self) -> Mapping[str, Any]:
        """What was sent last."""
        sent: Mapping[str, Any] = self.sim.journal[-1].body
        return sent


def _joined(pieces: Sequence[Answer]) -> Answer:
    last = pieces[-1]
    calls = next((piece.calls for piece in reversed(pieces) if piece.calls), ())
    return Answer(
        text="".join(piece.text for piece in pieces), calls=calls, record=last.record, turn=last.turn
    )


def _same(what: str, found: Any, wanted: Any) -> None:
    if found != wanted:
        raise AssertionError(f"{what} is {found!r}, and should be {wanted!r}.")


def _answers(world: _World) -> None:
    world.sim.script("Lima, Quito, Oslo")
    answer = world.call(_CHAT, _HELLO)
    _same("the text", answer.text, "Lima, Quito, Oslo")
    _same("the model in the record", answer.record["model"], "gpt-4o")
    _same("the entries", [one.outcome for one in world.ledger.entries()], ["answered"])


def _lenient(world: _World) -> None:
    world.call(_RESPONSES, _ADD, tools=[_TOOL])
    _same("strict", world.body["tools"][0]["strict"], False)


def _not_stored(world: _World) -> None:
    world.call(_RESPONSES, _ADD, tools=[_TOOL])
    _same("store", world.body["store"], False)


def _replayed(world: _World) -> None:
    answer = world.call(_RESPONSES, _ADD, tools=[_TOOL])
    _same("the calls", [name for _, name in answer.calls], ["add"])
    result = {"role": "tool", "tool_call_id": answer.calls[0][0], "content": "7"}
    world.call(_RESPONSES, [*_ADD, answer.turn, result], tools=[_TOOL])
    kinds = [item.get("type", "message") for item in world.body["input"]]
    _same("the function calls sent back", kinds.count("function_call"), 1)
    _same("what follows reasoning", kinds[kinds.index("reasoning") + 1], "function_call")
    _same("the requests refused", world.sim.refused, [])


def _failed_over(world: _World) -> None:
    world.sim.script("Lima")
    world.sim.faults.add("500;times=1")
    answer = world.call(_TWO, _HELLO)
    _same("the text", answer.text, "Lima")
    _same("the entries", [one.outcome for one in world.ledger.entries()], ["server", "answered"])
    _same("the attempts in the record", len(answer.record["attempts"]), 1)


def _stopped(world: _World) -> None:
    world.sim.script("Lima Observation: none")
    answer = world.call({**_CHAT, "models": ["gpt-5-mini"]}, _HELLO, stop=["Observation:"])
    _same("the text", answer.text, "Lima ")


def _refused(world: _World) -> None:
    try:
        world.call(_CHAT, _HELLO)
    except BudgetExceeded:
        _same("the requests sent", len(world.sim.journal), 0)
    else:
        raise AssertionError("A budget without room let a call through.")


@dataclass(frozen=True, slots=True)
class Case:
    """One case of the contract.

    Attributes:
        id: its name.
        says: what holds, in a sentence.
        run: asks for it.
        budget: keywords of the budget that holds.
    """

    id: str
    says: str
    run: Callable[[_World], None]
    budget: Mapping[str, Any] = field(default_factory=dict)

    def check(self, adapter: Adapter, way: str) -> None:
        """Run the case in one of the :data:`WAYS`.

        Raises:
            AssertionError: when the adapter breaks the contract.
        """
        with serve(at=DAY) as sim:
            self.run(_World(adapter, way, sim, **self.budget))


CASES: Final = (
    Case("an answer", "An answer comes back with its record, and is booked once.", _answers),
    Case("lenient tools", "Tools without strict stay lenient on Responses.", _lenient),
    Case("not stored", "What was not to be stored is not stored on Responses.", _not_stored),
    Case("a turn again", "A turn is sent back once and in order.", _replayed),
    Case("failing over", "Another model answers when one fails, on record and booked.", _failed_over),
    Case("stop", "An answer ends at a stop sequence that the model does not take.", _stopped),
    Case("no money", "Nothing is sent that the budget cannot pay for.", _refused, {"per_day": "0.0000001"}),
)
"""What every adapter keeps."""
