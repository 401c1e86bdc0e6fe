"""The table of fields against the openai SDK's types, and requests made from these types."""

# ruff: noqa: E501 - tables of one case a row

from __future__ import annotations

import json
from typing import Any

import openai
import pytest
from openai.types.chat.completion_create_params import CompletionCreateParamsBase as ChatParams
from openai.types.responses import InputTokenCountParams
from openai.types.responses.response_create_params import ResponseCreateParamsBase as ResponsesParams
from wire_examples import Maker, places, texts_in

from routed_llm import read_openai
from routed_llm.fields import CHAT, RESPONSES, SOFT, STAYS, Fate, Table
from routed_llm.request.wire import form_of
from routed_llm.request.wire.body import _COUNTED, translated
from routed_llm.request.wire.turns import ITEMS, Replay

REPLAY = Replay(own=lambda name: True)
BODIES = [
    pytest.param(CHAT, ChatParams, id="Chat Completions"),
    pytest.param(RESPONSES, ResponsesParams, id="Responses"),
]
OURS = {
    "message.assistant": {"annotations"},
    "message.tool": {"name"},
    "part.text": {"cache_control"},
    "item.custom_tool_call": {"status"},
    "item.custom_tool_call_output": {"name", "namespace", "status"},
}
"""Fields with a row that are no part of the SDK's types of requests, and often sent."""


SDK = (2, 54)
"""The SDK that the table was compared with last."""


@pytest.mark.parametrize(("table", "kind"), BODIES)
def test_every_field_of_the_sdks_requests_has_a_row(table: Table, kind: Any) -> None:
    """A field, part, tool or item that the SDK adds fails here until somebody has said what becomes of it."""
    seen: dict[str, set[str]] = {}
    places(table, "body", kind, seen)
    rows = {place: set(fields) - {"stream"} for place, fields in table.items()}
    assert {
        place: sorted(fields - rows.get(place, set()))
        for place, fields in seen.items()
        if fields - rows.get(place, set())
    } == {}
    if tuple(int(part) for part in openai.__version__.split(".")[:2]) < SDK:
        return  # an older SDK does not know all of them
    stale = {
        place: sorted(fields - seen.get(place, set()) - OURS.get(place, set()))
        for place, fields in rows.items()
    }
    assert {place: fields for place, fields in stale.items() if fields} == {}


def test_the_counting_endpoints_fields_are_the_sdks() -> None:
    """What is sent to the counting endpoint is what the SDK sends there."""
    assert set(InputTokenCountParams.__annotations__) == _COUNTED


def test_soft_fields_are_soft_wherever_they_stand() -> None:
    """What the table drops is on the named list of taste, but for what only the model that made it can read."""
    soft = {
        name for table in (CHAT, RESPONSES) for name, row in table["body"].items() if row.fate is Fate.SOFT
    }
    assert soft <= SOFT


def _names(table: Table, fate: Fate) -> set[str]:
    """Return the fields of a fate as ``kind.field``."""
    found = set()
    for place, rows in table.items():
        for name, row in rows.items():
            if row.fate is fate:
                found.add(f"{place.rpartition('.')[2]}.{name}")
    return found


GONE = (Fate.IMPLIED, Fate.SOFT, Fate.EMULATED)
MOVES = [
    pytest.param(ChatParams, CHAT, "responses", {"input_audio"}, id="to Responses"),
    pytest.param(
        ResponsesParams,
        RESPONSES,
        "chat_completions",
        STAYS["item"] | STAYS["tool"] | STAYS["choice"] | {"reasoning", "input_image", "input_file"},
        id="to Chat Completions",
    ),
]


@pytest.mark.parametrize(("kind", "table", "endpoint", "stays"), MOVES)
@pytest.mark.parametrize("seed", range(0, 1_000, 100))
def test_nothing_that_a_request_says_is_lost_on_the_way(
    kind: Any, table: Table, endpoint: str, stays: set[str], seed: int
) -> None:
    """Every text of a random request with all fields arrives on the other endpoint, but for what is on the table."""
    lost = {name for fate in GONE for name in _names(table, fate)}
    bound = _names(table, Fate.BOUND)
    for number in range(seed, seed + 100):
        body = Maker(number, lost | bound | {"body.include"}, stays).body(kind)
        if endpoint == "responses":
            # The name of the only assistant is not said.
            other = [
                {"role": "assistant", "content": "Yes."},
                {"role": "assistant", "name": "B", "content": "No."},
            ]
            body["messages"] = [*other, *(one for one in body["messages"] if one["role"] != "function")]
        sent = translated(body, endpoint, replay=REPLAY)
        missing = texts_in(body) - {
            text for text in texts_in(body) if text in json.dumps(sent, ensure_ascii=False)
        }
        assert not missing, (missing, body, sent)
        assert form_of(sent) == endpoint or not body.get("input")
        assert ITEMS not in json.dumps(sent)


@pytest.mark.parametrize("seed", range(0, 2_000, 200))
def test_what_arrives_on_responses_means_the_same(seed: int) -> None:
    """Turns keep their order, tools are as strict as they were asked to be, and what was not stored is not."""
    lost = {name for fate in GONE for name in _names(CHAT, fate)} | _names(CHAT, Fate.BOUND)
    strict = 0
    for number in range(seed, seed + 200):
        body = Maker(number, lost | {"body.include"}, {"input_audio"}).body(ChatParams)
        body["messages"] = [one for one in body.get("messages") or () if one["role"] != "function"]
        sent = translated(body, "responses", replay=REPLAY)
        assert sent["store"] is bool(body.get("store")), body
        said = [texts_in(message) for message in body["messages"]]
        order = [
            at for item in sent.get("input") or () for at, texts in enumerate(said) if texts & texts_in(item)
        ]
        assert order == sorted(order), (body, sent)
        tools = [tool["function"] for tool in body.get("tools") or () if tool["type"] == "function"]
        flat = [tool for tool in sent.get("tools") or () if tool["type"] == "function"]
        assert [(one["name"], bool(one.get("strict"))) for one in tools] == [
            (one["name"], one["strict"]) for one in flat
        ]
        strict += sum(one["strict"] for one in flat)
    assert strict > 0  # some were


BOUND = [
    pytest.param(place.partition(".")[2], name, id=f"{name} of {place}")
    for place, fields in CHAT.items()
    for name, row in fields.items()
    if place.startswith("message.") and row.fate is Fate.BOUND
]


@pytest.mark.parametrize(("role", "field"), BOUND)
def test_what_only_chat_completions_has_in_a_message_keeps_the_call_there(role: str, field: str) -> None:
    """It is known before anything is decided, not when the body is written."""
    values = {"audio": {"id": "a"}, "function_call": {"name": "f", "arguments": "{}"}, "name": "f"}
    message = {"role": role, "content": "3", **({field: values[field]} if field in values else {})}
    asked = {"model": "gpt-4o", "messages": [{"role": "user", "content": "Hi"}, message]}
    assert read_openai(asked).facts.endpoint == "chat_completions"


USER = {"role": "user", "content": "Hi"}
BOUND = [
    (place, name)
    for place, rows in RESPONSES.items()
    for name, row in rows.items()
    if row.fate is Fate.BOUND and place.partition(".")[0] in ("item", "part", "tool")
]
ONLY_THERE: list[Any] = [
    *[pytest.param([USER, {"type": kind, "tools": []}], [], id=kind) for kind in sorted(STAYS["item"])],
    *[pytest.param([USER], [{"type": kind}], id=f"tool {kind}") for kind in sorted(STAYS["tool"])],
    *[
        pytest.param(
            [
                *([{"type": kind, "call_id": "c", name: "x"}] if place == "item" else []),
                {"role": "user", "content": [{"type": kind, name: "x"}]} if place == "part" else USER,
            ],
            [{"type": kind, "name": "f", name: "x"}] if place == "tool" else [],
            id=f"{place} {kind}.{name}",
        )
        for (place, kind), name in [((*at.split("."),), name) for at, name in BOUND]
    ],
    pytest.param([USER, {"type": "reasoning", "summary": [], "encrypted_content": "x"}], [], id="reasoning"),
]


@pytest.mark.parametrize(("items", "tools"), ONLY_THERE)
def test_what_only_responses_has_is_decided_for_it(items: list[Any], tools: list[Any]) -> None:
    """Nobody else than the decision says so, and a call that is not stored might go elsewhere."""
    body = {"input": items, "store": False, **({"tools": tools} if tools else {})}
    facts = read_openai(body).facts
    assert facts.endpoint == "responses" or facts.builtin_tools


def test_reasoning_that_is_to_travel_does() -> None:
    """Chat Completions gives none."""
    asked = {"input": "Hi", "store": False, "include": ["reasoning.encrypted_content"]}
    assert read_openai(asked).facts.endpoint == "responses"
    assert read_openai({**asked, "include": []}).facts.endpoint is None
