"""The recipe "write an adapter": one that only translates keeps the whole contract.

The framework of this one is httpx itself: messages are Chat Completions' own, and an answer is its JSON.
"""

from __future__ import annotations

import ast
import inspect
import json
import sys
from collections.abc import AsyncIterator, Iterator, Mapping, Sequence
from typing import Any

import httpx
import pytest

from routed_llm import Called, Endpoints, Outgoing, Served
from routed_llm.testing import CASES, WAYS, Adapter, Answer, Case

KEY = {"authorization": "Bearer unused"}
MOST = 100
"""Lines of an adapter that translates and does nothing else."""


def make(*, url: str, router: Any, policy: Mapping[str, Any]) -> tuple[str, Endpoints]:
    """Make the toy's model: where to call, and what decides."""
    return url, Endpoints.make(router=router, policy=policy)


def ask(model: Any, messages: Sequence[Any], parameters: Mapping[str, Any]) -> Answer:
    """Ask for a whole answer."""
    url, endpoints = model
    with httpx.Client(base_url=url, headers=KEY) as client:
        return _answer(_found(endpoints.respond(_called(messages, parameters), _sender(client))))


async def aask(model: Any, messages: Sequence[Any], parameters: Mapping[str, Any]) -> Answer:
    """Ask for one in an event loop."""
    url, endpoints = model
    async with httpx.AsyncClient(base_url=url, headers=KEY) as client:
        return _answer(_found(await endpoints.arespond(_called(messages, parameters), _asender(client))))


def stream(model: Any, messages: Sequence[Any], parameters: Mapping[str, Any]) -> Iterator[Answer]:
    """Ask for a stream."""
    url, endpoints = model
    turn: dict[str, Any] = {"role": "assistant", "content": ""}
    with httpx.Client(base_url=url, headers=KEY) as client:
        served = _found(endpoints.respond(_called(messages, parameters, stream=True), _sender(client)))
        for part in served.events:
            yield from _pieces(turn, part)


async def astream(
    model: Any, messages: Sequence[Any], parameters: Mapping[str, Any]
) -> AsyncIterator[Answer]:
    """Ask for one in an event loop."""
    url, endpoints = model
    turn: dict[str, Any] = {"role": "assistant", "content": ""}
    async with httpx.AsyncClient(base_url=url, headers=KEY) as client:
        called = _called(messages, parameters, stream=True)
        async for part in _found(await endpoints.arespond(called, _asender(client))).events:
            for piece in _pieces(turn, part):
                yield piece


def _called(messages: Sequence[Any], parameters: Mapping[str, Any], **more: Any) -> Called:
    body = {"model": "gpt-4o", "messages": [*messages], **parameters, **more}
    return Called(endpoint="chat_completions", body=body)


def _sender(client: httpx.Client) -> Any:
    def send(sent: Outgoing) -> httpx.Response:
        return client.send(client.build_request("POST", sent.path, json=sent.body), stream=True)

    return send


def _asender(client: httpx.AsyncClient) -> Any:
    async def send(sent: Outgoing) -> httpx.Response:
        return await client.send(client.build_request("POST", sent.path, json=sent.body), stream=True)

    return send


def _found(served: Served) -> Served:
    if served.error is not None:
        raise served.error
    return served


def _answer(served: Served) -> Answer:
    completion = json.loads(served.body or b"")
    message = completion["choices"][0]["message"]
    return Answer(
        text=message.get("content") or "",
        calls=[(call["id"], call["function"]["name"]) for call in message.get("tool_calls") or ()],
        record=completion["routing"],
        turn=message,
    )


def _pieces(turn: dict[str, Any], part: bytes) -> Iterator[Answer]:
    for line in part.decode().splitlines():
        if not line.startswith("data: {"):
            continue
        chunk = json.loads(line.removeprefix("data: "))
        for choice in chunk["choices"]:
            text = choice["delta"].pop("content", None) or ""
            _add(turn, text, choice["delta"])
            calls = [(call["id"], call["function"]["name"]) for call in turn.get("tool_calls", ())]
            yield Answer(text=text, calls=calls, record=chunk.get("routing", {}), turn=turn)


def _add(turn: dict[str, Any], text: str, delta: dict[str, Any]) -> None:
    turn["content"] += text
    for call in delta.pop("tool_calls", None) or ():
        calls = turn.setdefault("tool_calls", [])
        if call.pop("index") == len(calls):
            calls.append(call)
        else:
            calls[-1]["function"]["arguments"] += call["function"]["arguments"]
    turn.update(delta)


TOY = Adapter(make=make, ask=ask, aask=aask, stream=stream, astream=astream)


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("case", CASES, ids=lambda case: case.id)
def test_it_keeps_the_contract(case: Case, way: str) -> None:
    """Every case holds in every way of calling."""
    case.check(TOY, way)


def test_it_has_no_opinions() -> None:
    """Translation is short, and takes public names alone."""
    tree = ast.parse(inspect.getsource(sys.modules[__name__]))
    functions = [node for node in tree.body if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef))]
    mine = [node for node in functions if not node.name.startswith("test_")]
    assert sum((node.end_lineno or 0) - node.lineno + 1 for node in mine) <= MOST
    taken = {node.module for node in ast.walk(tree) if isinstance(node, ast.ImportFrom)}
    assert {name for name in taken if name and name.startswith("routed_llm")} == {
        "routed_llm",
        "routed_llm.testing",
    }


def test_one_that_loses_something_is_found() -> None:
    """An adapter that leaves a parameter out fails the case of it, with words that say what."""
    lossy = Adapter(
        make=make,
        ask=lambda model, messages, parameters: ask(model, messages, {**parameters, "stop": None}),
        aask=aask,
        stream=stream,
        astream=astream,
    )
    (stop,) = [case for case in CASES if case.id == "stop"]
    with pytest.raises(AssertionError) as caught:
        stop.check(lossy, "ask")
    assert str(caught.value) == "the text is 'Lima Observation: none', and should be 'Lima '."
