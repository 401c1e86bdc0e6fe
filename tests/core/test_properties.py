"""What holds for every request: same in, same out; JSON; threads; nothing but typed errors."""
# ruff: noqa: E501 - tables of one case a row

from __future__ import annotations

import json
import math
from concurrent.futures import ThreadPoolExecutor
from datetime import date
from random import Random
from typing import Any

import core_requests as generated
import pytest
from core_strategies import DAYS, EXAMPLES, POLICIES, any_facts
from core_support import CATALOG, TODAY, facts, router, table_of
from hypothesis import given
from hypothesis import strategies as st

from routed_llm import (
    Policy,
    Request,
    RequestBuilder,
    RequestFacts,
    RoutedError,
    Router,
    read_openai,
    select,
)
from routed_llm.decide.piecewise import remember
from routed_llm.decide.table import Table, prepare


@EXAMPLES
@given(asked=any_facts(exact=False), policy=POLICIES, at=DAYS)
def test_same_facts_same_decision(asked: RequestFacts, policy: Policy, at: date) -> None:
    """A table that has seen much and one that has seen nothing decide alike, also from recorded facts."""
    table = table_of(policy, at)
    if table is None:
        return
    first = table.select(asked).to_dict()
    assert Table(CATALOG, policy, at).select(asked).to_dict() == first
    recorded = json.loads(json.dumps(asked.to_dict()))
    again = RequestFacts.from_dict(recorded)
    assert again == asked
    assert hash(again) == hash(asked)
    assert table.select(again).to_dict() == first


@EXAMPLES
@given(asked=any_facts(exact=False), policy=POLICIES, at=DAYS)
def test_every_decision_is_json(asked: RequestFacts, policy: Policy, at: date) -> None:
    """Record and full form are JSON, name a reason for every rejected model, and quote no object."""
    table = table_of(policy, at)
    if table is None:
        return
    decision = table.select(asked)
    whole = json.loads(json.dumps(decision.to_dict()))
    assert whole["version"] == 1
    assert {key: whole[key] for key in decision.record()} == json.loads(json.dumps(decision.record()))
    for candidate in whole["candidates"][1 if decision.chosen else 0 :]:
        assert candidate["reasons"], candidate["model"]
        assert all(reason["text"] and "{" not in reason["code"] for reason in candidate["reasons"])
    known = {candidate["model"] for candidate in whole["candidates"]}
    assert set(whole["rejected"]) | set(whole["dearer"]) | {whole["model"]} - {None} == known


@EXAMPLES
@given(asked=any_facts(), policy=POLICIES, at=DAYS)
def test_what_is_chosen_is_within_limits(asked: RequestFacts, policy: Policy, at: date) -> None:
    """The chosen model is alive, takes the input, and the cap sent fits its output and its window."""
    table = table_of(policy, at)
    decision = None if table is None else table.select(asked)
    if decision is None or decision.chosen is None or decision.call is None:
        return
    model = CATALOG.get(decision.chosen.model)
    assert model.alive(at)
    assert decision.chosen.input_tokens <= model.limits.max_input
    if asked.cap is not None:
        sent = decision.call.cap
        assert sent is not None
        assert 1 <= sent <= model.limits.max_output
        assert decision.chosen.input_tokens + sent <= model.limits.context_window
        assert sent >= min(asked.cap, model.limits.max_output)
    assert decision.call.effort in (None, *model.efforts.get(decision.call.endpoint, ()))
    assert decision.call.endpoint in model.endpoints
    assert not decision.call.dropped & set(decision.call.parameters)


@EXAMPLES
@given(low=st.integers(0, 400_000), width=st.integers(0, 5_000), cap=st.integers(1, 300_000))
def test_a_cap_with_room_stays_within_the_window(low: int, width: int, cap: int) -> None:
    """gpt-5-pro's input and output share 400,000 tokens: whatever the bounds, input and cap fit together."""
    asked = facts((low, low + width), cap=cap, model="gpt-5-pro")
    decision = prepare(CATALOG, Policy(), TODAY).select(asked)
    if decision.call is not None:
        assert decision.call.cap is not None
        assert low + width + decision.call.cap <= 400_000


def test_threads_decide_as_one_does() -> None:
    """Thirty-two threads on one Router, with more shapes than it keeps, decide as a single thread does."""
    requests: list[Request] = []
    for seed in range(550):
        random = Random(seed)
        payload = generated.payload(random)
        payload["logit_bias"] = {str(seed): 1}
        payload["stop"] = [str(seed)]
        requests.append(read_openai(payload))
    alone = [router(at_least=None).explain(request).record() for request in requests]
    shared = router(at_least=None)
    order = [Random(thread).sample(range(len(requests)), 60) for thread in range(32)]

    def work(mine: list[int]) -> list[tuple[int, dict[str, Any]]]:
        return [(at, shared.explain(requests[at]).record()) for at in mine]

    with ThreadPoolExecutor(32) as pool:
        found = [item for part in pool.map(work, order) for item in part]
    assert len(found) == 32 * 60
    assert [at for at, record in found if record != alone[at]] == []


def test_a_kept_table_stays_bounded_under_threads() -> None:
    """Remembering from many threads at once neither fails nor grows without bound."""
    kept: dict[int, int] = {}

    def fill(start: int) -> None:
        for at in range(3_000):
            remember(kept, start * 10_000 + at, at)

    with ThreadPoolExecutor(16) as pool:
        list(pool.map(fill, range(16)))
    assert 500 <= len(kept) <= 512 + 16


def test_values_of_parameters_make_no_new_shape() -> None:
    """Callers who differ by user, seed and metadata share one shape, and each sees its own values."""
    table = Table(CATALOG, Policy(), TODAY)
    told = []
    for at in range(50):
        given_ = {"user": f"user-{at}", "seed": at, "metadata": {"request": str(at)}}
        decision = table.select(facts(900, tools=1, parameters=given_))
        assert decision.call is not None
        told.append([(change.parameter, change.before) for change in decision.changes])
        assert decision.call.parameters["user"] == f"user-{at}"
    assert len(table._shapes) <= 2  # one for short requests and one for long ones
    assert [("seed", at) in changes for at, changes in enumerate(told)] == [True] * 50


HOSTILE: list[Any] = [
    None, True, 0, -1, 10**100, 1.5, math.nan, math.inf, "", "x", "\ud800", b"\xff", [], {}, [[]], {"a": {"b": [1]}},
    {1: 2, "1": 3}, [None], {"type": "x"}, {"type": ["x"]}, {"type": None}, ("a", 1), {1, 2, "x"}, object(), [object()],
    {"effort": 5}, {"effort": "banana"}, {"url": 5}, {"function": 5}, {"data": 5}, [5], ["text", 5], {"schema": 5},
    {"type": "json_schema"}, {"type": "json_schema", "json_schema": 5},
    {"type": "json_schema", "json_schema": {"schema": [5]}}, {"type": "function"},
    [{"type": "function", "function": {"name": 5, "parameters": 5}}],
    [{"type": "function", "function": {"name": "f", "parameters": {"properties": [5]}}}],
    [{"type": "function", "function": {"name": "f", "parameters": {"properties": {"a": 5}}}}],
    [{"type": "function", "function": {"name": "f", "parameters": {"properties": {"a": {"enum": 5}}}}}],
    [{"type": "function", "function": {"name": "f", "description": 5, "parameters": {5: 6}}}],
]  # fmt: skip
NAMES = [
    "model", "tools", "tool_choice", "response_format", "reasoning", "reasoning_effort", "text", "modalities",
    "stream", "service_tier", "web_search_options", "max_tokens", "max_completion_tokens", "max_output_tokens",
    "temperature", "stop", "n", "logprobs", "logit_bias", "verbosity", "metadata", "audio", "nobody_knows", "previous",
]  # fmt: skip


def outcome(payload: Any, *, pin: bool = False) -> None:
    """Read and decide; anything but a typed error that says what to do is a failure of the test."""
    said = "."
    try:
        request = read_openai(payload, pin=pin)
        decision = Router(policy=Policy(at_least=None), clock=lambda: TODAY).explain(request)
        json.dumps(decision.to_dict())
    except RoutedError as error:
        said = str(error).rstrip()
    assert said.endswith(".")


@pytest.mark.parametrize("name", NAMES)
def test_hostile_parameters(name: str) -> None:
    """Whatever a parameter's value, the request is decided or refused with a typed error."""
    for value in HOSTILE:
        outcome({"messages": [{"role": "user", "content": "hi"}], name: value}, pin=True)
        outcome({"input": "hi", name: value})


PLACES: dict[str, Any] = {
    "body": lambda value: value,
    "messages": lambda value: {"messages": value},
    "a message": lambda value: {"messages": [value]},
    "role": lambda value: {"messages": [{"role": value, "content": "x"}]},
    "name": lambda value: {"messages": [{"role": "user", "name": value, "content": "x"}]},
    "content": lambda value: {"messages": [{"role": "user", "content": value}]},
    "a part": lambda value: {"messages": [{"role": "user", "content": [value]}]},
    "a text": lambda value: {"messages": [{"role": "user", "content": [{"type": "text", "text": value}]}]},
    "an image": lambda value: {"messages": [{"role": "user", "content": [{"type": "image_url", "image_url": value}]}]},
    "an image's url": lambda value: {
        "messages": [{"role": "user", "content": [{"type": "image_url", "image_url": {"url": value, "detail": value}}]}]
    },
    "audio": lambda value: {"messages": [{"role": "user", "content": [{"type": "input_audio", "input_audio": value}]}]},
    "audio data": lambda value: {
        "messages": [
            {"role": "user", "content": [{"type": "input_audio", "input_audio": {"data": value, "format": value}}]}
        ]
    },
    "a file": lambda value: {"messages": [{"role": "user", "content": [{"type": "file", "file": value}]}]},
    "file data": lambda value: {
        "messages": [{"role": "user", "content": [{"type": "file", "file": {"file_data": value, "filename": value}}]}]
    },
    "tool calls": lambda value: {"messages": [{"role": "assistant", "tool_calls": value}]},
    "a tool call": lambda value: {"messages": [{"role": "assistant", "tool_calls": [value]}]},
    "arguments": lambda value: {
        "messages": [{"role": "assistant", "tool_calls": [{"function": {"name": value, "arguments": value}}]}]
    },
    "tool call id": lambda value: {"messages": [{"role": "tool", "tool_call_id": value, "content": "x"}]},
    "input": lambda value: {"input": value},
    "an item": lambda value: {"input": [value]},
    "an item's type": lambda value: {"input": [{"type": value}]},
    "a summary": lambda value: {"input": [{"type": "reasoning", "summary": value}]},
    "an output": lambda value: {"input": [{"type": "function_call_output", "output": value, "call_id": value}]},
    "instructions": lambda value: {"input": "x", "instructions": value},
    "a key": lambda value: {"messages": [{"role": "user", "content": "x"}], (value if isinstance(value, (int, str)) else 5): 1},
}  # fmt: skip


@pytest.mark.parametrize("place", PLACES)
def test_hostile_bodies(place: str) -> None:
    """Whatever stands where, the body is decided or refused with a typed error."""
    for value in HOSTILE:
        outcome(PLACES[place](value))


@pytest.mark.parametrize(
    "role", ["user", "system", "developer", "assistant", "tool", "function", "critic", "\ud800", ""]
)
def test_unusual_roles_and_surrogates(role: str) -> None:
    """Roles nobody knows and texts that are no Unicode are counted like others."""
    request = RequestBuilder().message(role).text("\ud800 lone \udfff").build()
    decision = router().decide(request)
    assert decision.model == "gpt-5.6-luna"
    assert decision.facts.tokens.low >= 7


def test_deeply_nested_data() -> None:
    """Data nested deeper than Python can walk is a typed error, not a crash."""
    deep: Any = []
    for _ in range(100_000):
        deep = [deep]
    for name in ("metadata", "tools", "stop", "response_format"):
        outcome({"messages": [{"role": "user", "content": "x"}], name: deep})
    circle: list[Any] = []
    circle.append(circle)
    outcome({"messages": [{"role": "user", "content": "x"}], "metadata": {"a": circle}})


def test_facts_by_hand_with_an_unknown_task() -> None:
    """Facts made by hand with a task nobody knows are refused as a request's are."""
    with pytest.raises(RoutedError) as caught:
        select(facts(10, task="cooking"), policy=Policy(), catalog=CATALOG, at=TODAY)
    assert str(caught.value) == (
        "task='cooking' is none of general, coding, reasoning, vision, long_context, tool_use, knowledge, "
        "multilingual, summary, restraint. Use one of these."
    )


def test_a_decision_reads_the_same_after_its_shape_was_worked_out_anew() -> None:
    """The first candidate is the chosen one, too, where a full table has dropped what it knew of the shape."""
    table = Table(CATALOG, Policy(), TODAY)
    asked = facts(100_000)
    first = table.select(asked).to_dict()
    table._shapes.clear()
    assert table.select(asked).to_dict() == first
