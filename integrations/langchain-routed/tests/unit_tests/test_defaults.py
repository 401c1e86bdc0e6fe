"""What is left out means on Responses what it means on Chat Completions: not strict, not stored."""

from __future__ import annotations

import copy
from typing import Any

import pytest
from langchain_core.tools import tool
from pydantic import BaseModel, Field
from typing_extensions import TypedDict

from .helpers import merged

HOW = ["invoke", "ainvoke", "stream", "astream"]
MOVED = {"policy": {"models": ["gpt-5.6*", "gpt-5.2-pro"], "at_least": None, "effort": "high"}}
"""Models that take function tools on Responses only."""


@tool
def search(query: str, limit: int = 10, tag: str | None = None) -> str:
    """Search the catalogue."""
    return "3 hits"


class Find(BaseModel):
    """What is looked for."""

    query: str
    limit: int = Field(default=10)


class Typed(TypedDict, total=False):
    """What is looked for."""

    query: str


PARAMETERS = {"type": "object", "properties": {"q": {"type": "string"}, "n": {"type": "integer"}}}
NESTED = {"type": "function", "function": {"name": "find", "description": "Find.", "parameters": PARAMETERS}}
FLAT = {"type": "function", "name": "find", "description": "Find.", "parameters": PARAMETERS}
SCHEMA = {"title": "find", "description": "Find.", **PARAMETERS}
FORM = {"type": "json_schema", "json_schema": {"name": "find", "schema": PARAMETERS}}

ASKED: dict[str, Any] = {
    "a function": lambda llm: llm.bind_tools([search]),
    "a class": lambda llm: llm.bind_tools([Find]),
    "a typed dict": lambda llm: llm.bind_tools([Typed]),
    "a schema": lambda llm: llm.bind_tools([SCHEMA]),
    "Chat Completions' form": lambda llm: llm.bind(tools=[copy.deepcopy(NESTED)]),
    "Responses' form": lambda llm: llm.bind(tools=[copy.deepcopy(FLAT)]),
    "strict is None": lambda llm: llm.bind_tools([search], strict=None),
    "one of several": lambda llm: llm.bind_tools([search, Find], tool_choice="any"),
    "function calling": lambda llm: llm.with_structured_output(Find, method="function_calling"),
    "a lenient form": lambda llm: llm.bind(response_format=copy.deepcopy(FORM)),
    "a schema with structure": lambda llm: llm.with_structured_output(SCHEMA),
}
CLOSED = {**PARAMETERS, "required": ["q", "n"], "additionalProperties": False}


@tool
def look(query: str) -> str:
    """Look it up."""
    return "3 hits"


STRICT: dict[str, Any] = {
    "a function": lambda llm: llm.bind_tools([look], strict=True),
    "function calling": lambda llm: llm.with_structured_output(Find, method="function_calling", strict=True),
    "a form": lambda llm: llm.bind(
        response_format={
            "type": "json_schema",
            "json_schema": {"name": "find", "schema": CLOSED, "strict": True},
        }
    ),
}


async def ask(runnable: Any, how: str) -> Any:
    if how == "invoke":
        return runnable.invoke("find cats")
    if how == "ainvoke":
        return await runnable.ainvoke("find cats")
    if how == "stream":
        return list(runnable.stream("find cats"))
    return [chunk async for chunk in runnable.astream("find cats")]


def strictness(body: dict[str, Any]) -> set[Any]:
    forms = [body["text"]["format"]] if body.get("text", {}).get("format") else []
    return {one.get("strict", "absent") for one in (*body.get("tools", ()), *forms)}


@pytest.mark.parametrize("how", HOW)
@pytest.mark.parametrize("what", ASKED)
async def test_what_was_lenient_stays_lenient(make, sim, what: str, how: str) -> None:
    """Left out on Responses, ``strict`` would make every optional argument a required one."""
    await ask(ASKED[what](make(**MOVED)), how)
    body = sim.journal[-1].body
    if "input" in body:
        assert strictness(body) == {False}
    assert sim.refused == []


@pytest.mark.parametrize("how", HOW)
@pytest.mark.parametrize("what", STRICT)
async def test_what_was_strict_stays_strict(make, sim, what: str, how: str) -> None:
    """What the caller says of strictness is sent, on either endpoint."""
    await ask(STRICT[what](make(**MOVED)), how)
    body = sim.journal[-1].body
    form = body.get("response_format")
    assert strictness(body) == {True} if form is None else form["json_schema"]["strict"] is True


@pytest.mark.parametrize("how", HOW)
@pytest.mark.parametrize(
    ("settings", "stored"),
    [
        pytest.param({}, False, id="left out"),
        pytest.param({"store": None}, False, id="None"),
        pytest.param({"store": False}, False, id="not stored"),
        pytest.param({"store": True}, True, id="stored"),
        pytest.param({"use_responses_api": True}, None, id="Responses asked for"),
        pytest.param({"output_version": "responses/v1"}, None, id="its form asked for"),
        pytest.param({"output_version": "v1"}, False, id="a form of either"),
        pytest.param({"use_previous_response_id": True}, None, id="stored state asked for"),
    ],
)
async def test_what_was_not_stored_is_not_stored(
    make, sim, settings: dict[str, Any], stored: bool | None, how: str
) -> None:
    """Responses stores for 30 days what does not say otherwise; Chat Completions stores nothing."""
    await ask(make(**MOVED, **settings).bind_tools([search]), how)
    body = sim.journal[-1].body
    assert body.get("store") is stored
    assert ("reasoning.encrypted_content" in (body.get("include") or ())) is (stored is False)
    assert sim.refused == []


async def test_the_callers_tools_are_not_changed(make, sim) -> None:
    """What is sent is a copy."""
    given = [copy.deepcopy(NESTED)]
    make(**MOVED).invoke("find cats", tools=given, response_format=copy.deepcopy(FORM))
    assert given == [NESTED]


def test_nothing_is_said_on_chat_completions(make, sim) -> None:
    """There it goes without saying."""
    merged(list(make(policy={"models": ["gpt-4.1"]}).bind_tools([search]).stream("find cats")))
    body = sim.journal[-1].body
    assert ("store" in body, "strict" in body["tools"][0]["function"]) == (False, False)
