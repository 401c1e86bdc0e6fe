"""Tool definitions cost what the cookbook says, and never less where it says nothing."""

from __future__ import annotations

import copy
import json
import threading
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from routed_llm.tokens import messages
from routed_llm.tokens.text import TiktokenCounter
from routed_llm.tokens.tools import (
    ToolLists,
    ToolParts,
    call_parts,
    result_parts,
    schema_parts,
    tool_parts,
)


def total(texts: list[str] | tuple[str, ...], fixed: int) -> int:
    """Count texts and add the fixed tokens."""
    return sum(TiktokenCounter().count(texts)) + fixed


def function(parameters: dict[str, Any] | None = None, **more: Any) -> dict[str, Any]:
    """Return a tool in the form of Chat Completions."""
    inner = {"name": "get_weather", "description": "Get the weather.", **more}
    if parameters is not None:
        inner["parameters"] = parameters
    return {"type": "function", "function": inner}


# The example of the cookbook "How to count tokens with tiktoken".
COOKBOOK = function(
    {
        "type": "object",
        "properties": {
            "location": {
                "type": "string",
                "description": "The city and state, e.g. San Francisco, CA",
            },
            "unit": {
                "type": "string",
                "description": "The unit of temperature to return",
                "enum": ["celsius", "fahrenheit"],
            },
        },
        "required": ["location"],
    },
    name="get_current_weather",
    description="Get the current weather in a given location",
)


def test_cookbook_example() -> None:
    """The cookbook's own request (one tool, two messages) gives the 101 tokens that it reports for gpt-4o."""
    contents = [
        "You are a helpful assistant that can answer to questions about the weather.",
        "What's the weather like in San Francisco?",
    ]
    parts = ToolLists().parts([COOKBOOK])
    text = sum(TiktokenCounter().count(contents))
    assert messages.frame(2) + text + total(parts.texts, parts.fixed) == 101


@pytest.mark.parametrize(
    ("tool", "texts", "fixed"),
    [
        pytest.param(function(), ["get_weather:Get the weather"], 7, id="no parameters"),
        pytest.param(
            function({"type": "object", "properties": {}}),
            ["get_weather:Get the weather"],
            7,
            id="no properties",
        ),
        pytest.param({"type": "function", "name": "f"}, ["f:"], 7, id="Responses, no description"),
        pytest.param(
            function({"type": "object", "properties": {"city": {"type": "string", "description": "City."}}}),
            ["get_weather:Get the weather", "city:string:City"],
            7 + 3 + 3,
            id="one property",
        ),
        pytest.param(
            function({"type": "object", "properties": {"unit": {"type": "string", "enum": ["C", "F"]}}}),
            ["get_weather:Get the weather", "C", "F", "unit:string:"],
            7 + 3 + 3 - 3 + 2 * 3,
            id="enum",
        ),
        pytest.param(
            function({"type": "object", "properties": {"n": {"type": "integer", "enum": [1, None]}}}),
            ["get_weather:Get the weather", "1", "null", "n:integer:"],
            7 + 3 + 3 - 3 + 2 * 3,
            id="enum of other types",
        ),
    ],
)
def test_by_the_cookbook(tool: dict[str, Any], texts: list[str], fixed: int) -> None:
    """Flat tools count by the cookbook's rule."""
    assert tool_parts(tool) == (texts, fixed)


ADDRESS = {"type": "object", "properties": {"street": {"type": "string"}, "zip": {"enum": ["1", "2"]}}}
BEYOND = {
    "array": {"type": "object", "properties": {"xs": {"type": "array", "items": {"type": "string"}}}},
    "nested": {"type": "object", "properties": {"home": ADDRESS}},
    "anyOf": {"type": "object", "properties": {"x": {"anyOf": [ADDRESS, {"type": "null"}]}}},
    "list of types": {"type": "object", "properties": {"x": {"type": ["string", "null"]}}},
    "default": {"type": "object", "properties": {"x": {"type": "integer", "default": 3}}},
    "$ref": {
        "type": "object",
        "properties": {"home": {"$ref": "#/$defs/Address"}},
        "$defs": {"Address": ADDRESS},
    },
    "true as a schema": {"type": "object", "properties": {"x": True}},
}


@pytest.mark.parametrize("parameters", BEYOND.values(), ids=BEYOND.keys())
def test_beyond_the_cookbook(parameters: dict[str, Any]) -> None:
    """What the cookbook does not cover counts as its JSON text and the rule's fixed tokens at every level."""
    tool = function(parameters)
    (text,), fixed = tool_parts(tool)
    assert json.loads(text) == tool["function"]
    assert ": " not in text.replace("weather.", "")
    names = str(parameters).count("'street'") * 2 + len(parameters["properties"])
    objects = 1 + str(parameters).count("'street'")
    items = 2 * str(parameters).count("'enum'")
    assert fixed == 7 + 3 * objects + 3 * names + 3 * items


SCALARS = st.fixed_dictionaries(
    {"type": st.sampled_from(["string", "integer", "boolean"])},
    optional={
        "description": st.text(max_size=30),
        "enum": st.lists(st.text(max_size=8), min_size=1, max_size=5),
        "default": st.none(),
    },
)


def objects(children: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    """Return schemas of objects and arrays of others."""
    names = st.text(min_size=1, max_size=10)
    return st.one_of(
        st.builds(
            lambda properties: {"type": "object", "properties": properties},
            st.dictionaries(names, children, max_size=3),
        ),
        st.builds(lambda items: {"type": "array", "items": items}, children),
    )


def rule_on_every_level(name: str, schema: dict[str, Any]) -> int:
    """Apply the cookbook's rule to every property at any depth."""
    line = f"{name}:{schema.get('type')}:{schema.get('description', '').removesuffix('.')}"
    tokens = total([line], 0)
    if "enum" in schema:
        tokens += total(schema["enum"], 3 * len(schema["enum"]) - 3)
    properties = schema.get("properties", {})
    tokens += 3 * bool(properties)
    tokens += sum(3 + rule_on_every_level(key, inner) for key, inner in properties.items())
    return tokens + (rule_on_every_level("items", schema["items"]) if "items" in schema else 0)


@given(
    properties=st.dictionaries(
        st.text(min_size=1, max_size=10), st.recursive(SCALARS, objects, max_leaves=8), min_size=1, max_size=3
    )
)
def test_never_less_than_the_rule_nor_the_json(properties: dict[str, Any]) -> None:
    """On any schema beyond the cookbook the count is at least the JSON's, and on all at least the rule's."""
    tool = function({"type": "object", "properties": properties})
    texts, fixed = tool_parts(tool)
    tokens = total(texts, fixed)
    rule = 7 + rule_on_every_level(
        "get_weather", {"properties": properties, "description": "Get the weather."}
    )
    if len(texts) == 1:
        assert tokens >= total([json.dumps(tool["function"], separators=(",", ":"), ensure_ascii=False)], 0)
    # The rule's line of the tool itself has no type here, which costs up to two tokens ("None").
    assert tokens >= rule - 2


def test_built_in_tool() -> None:
    """A tool that is no function counts as its JSON text."""
    tool = {"type": "web_search", "search_context_size": "low"}
    assert tool_parts(tool) == (['{"type":"web_search","search_context_size":"low"}'], 7)


SCHEMA = {"type": "object", "properties": {"answer": {"type": "string"}}}


@pytest.mark.parametrize(
    "response_format",
    [
        pytest.param(
            {"type": "json_schema", "json_schema": {"name": "a", "schema": SCHEMA}}, id="Chat Completions"
        ),
        pytest.param({"type": "json_schema", "name": "a", "schema": SCHEMA}, id="Responses"),
    ],
)
def test_schema_parts(response_format: dict[str, Any]) -> None:
    """An output schema counts as its JSON text and the fixed tokens of a function."""
    (text,), fixed = schema_parts(response_format)
    assert json.loads(text)["schema"] == SCHEMA
    assert fixed == 7 + 12 + 3 + 3


@pytest.mark.parametrize("response_format", [None, {}, {"type": "text"}, {"type": "json_object"}])
def test_formats_without_a_schema(response_format: dict[str, Any] | None) -> None:
    """Formats without a schema cost nothing."""
    assert schema_parts(response_format) == ([], 0)


@pytest.mark.parametrize("arguments", ['{"city":"Oslo"}', {"city": "Oslo"}], ids=["text", "mapping"])
def test_call_parts(arguments: Any) -> None:
    """A tool call counts its name, its arguments and an allowance."""
    assert call_parts("get_weather", arguments) == (["get_weather", '{"city":"Oslo"}'], 8)


def test_result_parts() -> None:
    """A tool result counts the id that it answers, and a name if it has one."""
    assert result_parts("call_1") == (["call_1"], 0)
    assert result_parts("call_1", "f") == (["call_1", "f"], 0)


def test_list_of_tools() -> None:
    """A list counts its tools and ends once."""
    parts = ToolLists().parts([function(), {"type": "function", "name": "f"}])
    assert parts == ToolParts(texts=("get_weather:Get the weather", "f:"), fixed=7 + 7 + 12)
    assert ToolLists().parts([]) == ToolParts()


def test_same_list_is_known_again() -> None:
    """The same list, and an equal one, give the very same parts; a changed one does not."""
    lists = ToolLists()
    given_tools = [copy.deepcopy(COOKBOOK)]
    first = lists.parts(given_tools)
    assert lists.parts(given_tools) is first
    assert lists.parts(copy.deepcopy(given_tools)) is first
    assert len(lists) == 1
    given_tools[0]["function"]["description"] = "Something else entirely"
    changed = lists.parts(given_tools)
    assert changed.texts[0] == "get_current_weather:Something else entirely"
    given_tools.append(function())
    assert len(lists.parts(given_tools).texts) == len(changed.texts) + 1


def test_repeat_does_no_work(monkeypatch: pytest.MonkeyPatch) -> None:
    """A list seen before is not turned into JSON again."""
    lists = ToolLists()
    given_tools = [COOKBOOK]
    first = lists.parts(given_tools)

    def refuse(*_: object, **__: object) -> str:
        raise AssertionError("the list was serialised again")

    monkeypatch.setattr(json, "dumps", refuse)
    assert lists.parts(given_tools) is first


def test_lists_are_bounded() -> None:
    """Lists beyond the limit push out the oldest."""
    lists = ToolLists(limit=3)
    kept = [[function(name=f"f{at}")] for at in range(10)]
    for each in kept:
        lists.parts(each)
    assert len(lists) == len(lists._by_identity) == 3
    assert lists.parts(kept[0]).texts == ("f0:Get the weather",)


def test_lists_are_safe_in_threads() -> None:
    """Threads that use one table get the parts of their own list."""
    lists = ToolLists(limit=4)
    wrong: list[str] = []

    def run(name: str) -> None:
        for at in range(200):
            found = lists.parts([function(name=f"{name}{at % 7}")])
            if found.texts != (f"{name}{at % 7}:Get the weather",):
                wrong.append(name)

    threads = [threading.Thread(target=run, args=(name,)) for name in "abcdef"]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert wrong == []
    assert len(lists) <= 4
