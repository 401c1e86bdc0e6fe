"""Functions and output schemas become the texts that recorded requests were billed for."""

from __future__ import annotations

import copy
import json
import threading
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from routed_llm.tokens.text import TiktokenCounter
from routed_llm.tokens.tools import ToolLists, call_texts, joins, name_tokens, namespace, schema_texts


def function(parameters: dict[str, Any] | None = None, **more: Any) -> dict[str, Any]:
    """Return a tool in the form of Chat Completions."""
    inner = {"name": "get_weather", "description": "Get the weather.", **more}
    if parameters is not None:
        inner["parameters"] = parameters
    return {"type": "function", "function": inner}


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


def shown(*lines: str) -> str:
    """Return a namespace of these lines."""
    return "\n".join(["namespace functions {", "", *lines, "", "} // namespace functions"])


def of(properties: dict[str, Any], **more: Any) -> dict[str, Any]:
    """Return the parameters of a function."""
    return {"type": "object", "properties": properties, **more}


TEXT = {"type": "string"}
ADDRESS = of({"street": {**TEXT, "description": "With the number"}, "zip": {"enum": ["1", "2"]}})
RENDERED = {
    "no parameters": (None, ["type get_weather = () => any;"]),
    "no properties": (of({}), ["type get_weather = () => any;"]),
    "nothing described: one line": (
        of({"city": TEXT, "days": {"type": "integer"}}, required=["city"]),
        ["type get_weather = (_: { city: string, days?: number }) => any;"],
    ),
    "something described: a line each": (
        of({"city": {**TEXT, "description": "Town"}, "days": {"type": "integer"}}, required=["city", "days"]),
        ["type get_weather = (_: {", "// Town", "city: string,", "days: number,", "}) => any;"],
    ),
    "a title, and a description below it": (
        of({"city": {**TEXT, "title": "City", "description": "Town"}}, title="Where"),
        [
            "type get_weather = (_: {",
            "// Where",
            "// City",
            "//",
            "// Town",
            "city?: string,",
            "}) => any;",
        ],
    ),
    "lines of a description lose their indent": (
        of({"city": {**TEXT, "description": "Town:\n\n    any"}}),
        ["type get_weather = (_: {", "// Town:", "//", "// any", "city?: string,", "}) => any;"],
    ),
    "enum and const": (
        of({"unit": {**TEXT, "enum": ["C", "F"]}, "n": {"enum": [1, None]}, "k": {"const": "x"}}),
        ['type get_weather = (_: { unit?: "C" | "F", n?: 1 | null, k?: "x" }) => any;'],
    ),
    "default": (
        of({"days": {"type": "integer", "default": 3}}),
        ["type get_weather = (_: {", "days?: number, // default: 3", "}) => any;"],
    ),
    "a default of nothing, and limits": (
        of({"days": {"type": "integer", "default": None, "minimum": 1, "maximum": 9, "format": "int32"}}),
        ["type get_weather = (_: {", "days?: number, // default: null, minimum: 1, maximum: 9", "}) => any;"],
    ),
    "arrays and alternatives": (
        of({"a": {"type": "array", "items": TEXT}, "b": {"anyOf": [TEXT, {"type": "null"}]}}),
        ["type get_weather = (_: { a?: string[], b?: string | null }) => any;"],
    ),
    "a list of types": (
        of({"a": {"type": ["boolean", "null"]}}),
        ["type get_weather = (_: { a?: boolean | null }) => any;"],
    ),
    "an object in an object": (
        of({"home": ADDRESS}),
        [
            "type get_weather = (_: {",
            "home?: {",
            "// With the number",
            "street?: string,",
            'zip?: "1" | "2",',
            "},",
            "}) => any;",
        ],
    ),
    "a reference": (
        of({"home": {"$ref": "#/$defs/Flat"}}, **{"$defs": {"Flat": of({"door": TEXT})}}),
        ["type get_weather = (_: { home?: { door?: string } }) => any;"],
    ),
    "a reference to itself": (
        of({"next": {"$ref": "#/$defs/Node"}}, **{"$defs": {"Node": of({"next": {"$ref": "#/$defs/Node"}})}}),
        ["type get_weather = (_: { next?: { next?: any } }) => any;"],
    ),
    "a reference to nowhere": (
        of({"home": {"$ref": "#/$defs/Lost"}}),
        ["type get_weather = (_: { home?: any }) => any;"],
    ),
    "items that are described": (
        of({"steps": {"type": "array", "items": of({"do": TEXT}, description="a step")}}),
        [
            "type get_weather = (_: {",
            "steps?: Array<",
            "// a step",
            "{ do?: string }",
            ">,",
            "}) => any;",
        ],
    ),
    "items that take several lines": (
        of({"homes": {"type": "array", "items": ADDRESS}}),
        [
            "type get_weather = (_: {",
            "homes?: Array<",
            "{",
            "// With the number",
            "street?: string,",
            'zip?: "1" | "2",',
            "}",
            ">,",
            "}) => any;",
        ],
    ),
    "items of several types, each once": (
        of({"a": {"type": "array", "items": {"anyOf": [TEXT, {"type": "integer"}, {"type": "number"}]}}}),
        ["type get_weather = (_: {", "a?: Array<", "string | number", ">,", "}) => any;"],
    ),
    "what may be null in OpenAPI's words": (
        of({"a": {**TEXT, "nullable": True}, "b": {"enum": ["x"], "nullable": True}}),
        ['type get_weather = (_: { a?: string | null, b?: "x" | null }) => any;'],
    ),
    "one of several that is described": (
        of({"to": {"anyOf": [{"type": "array", "items": {**TEXT, "title": "Name"}}, {"type": "null"}]}}),
        [
            "type get_weather = (_: {",
            "to?:",
            " | Array<",
            "// Name",
            "string",
            ">",
            " | null",
            ",",
            "}) => any;",
        ],
    ),
    "parameters that are described": (
        of({"a": TEXT}, description="What it takes."),
        ["type get_weather = (_: // What it takes.", "{ a?: string }) => any;"],
    ),
    "limits of a number, and of what is more than a limit": (
        of(
            {
                "a": {"type": "number", "minimum": 0, "maximum": 9},
                "b": {"type": "number", "exclusiveMinimum": 0},
            }
        ),
        [
            "type get_weather = (_: {",
            "a?: number, // minimum: 0.0, maximum: 9.0",
            "b?: number, // exclusiveMinimum: 0.0",
            "}) => any;",
        ],
    ),
    "other properties than are named": (
        of({"a": TEXT}, additionalProperties=True),
        ["type get_weather = (_: { a?: string, [key: string]: any }) => any;"],
    ),
    "other properties of a type": (
        of({"a": TEXT}, additionalProperties={"type": "integer"}),
        ["type get_weather = (_: { a?: string, [key: string]: number }) => any;"],
    ),
    "true as a schema": (of({"x": True}), ["type get_weather = (_: { x?: any }) => any;"]),
}


@pytest.mark.parametrize(("parameters", "lines"), RENDERED.values(), ids=RENDERED.keys())
def test_a_function_as_the_model_is_shown_it(parameters: dict[str, Any] | None, lines: list[str]) -> None:
    """A function stands in a TypeScript namespace, its description above it."""
    assert namespace([function(parameters)]) == shown("// Get the weather.", *lines)


@pytest.mark.parametrize(
    ("name", "tokens"),
    [
        pytest.param("get_current_weather", 3, id="words"),
        pytest.param("GetHTTPStatus2", 4, id="capitals and a digit"),
        pytest.param("", 1, id="none"),
        pytest.param("__internal__", 3, id="underscores"),
        pytest.param("internationalization", 4, id="a long word"),
        pytest.param("calculate_sum", 2, id="a long word that is one token"),
        pytest.param("list_bash", 3, id="a word that is none behind an underscore"),
    ],
)
def test_tokens_of_a_name(name: str, tokens: int) -> None:
    """A name is about as many tokens as it has words that are known, and two for each other one."""
    assert name_tokens(name) == tokens


def test_forms_of_both_endpoints() -> None:
    """The same function in either form is the same text; without a description it has no comment."""
    flat = {"type": "function", "name": "f", "description": "Does."}
    assert namespace([flat]) == namespace([{"type": "function", "function": {**flat}}])
    assert namespace([{"type": "function", "name": "f"}]) == shown("type f = () => any;")


JOINS = {
    "a letter": ("Be brief", 0),
    "a digit": ("Count to 3", 0),
    "a full stop": ("Be brief.", 1),
    "a bracket": ('{"a":1}', 1),
    "a quotation mark": ("Say \u201cyes\u201d", 1),
    "a line behind a mark": ("Be brief.\n", 1),
    "a line behind a letter": ("Be brief\n", 1),
    "spaces behind a mark": ("Be brief.\n    ", 2),
    "spaces behind a letter": ("Be brief\n    ", 2),
    "an emoji": ("Be \U0001f44d", 0),
    "nothing": ("", 0),
    "nothing but spaces": ("  \n", 0),
}


@pytest.mark.parametrize(("text", "tokens"), JOINS.values(), ids=JOINS.keys())
def test_what_a_system_message_costs_less_before_functions(text: str, tokens: int) -> None:
    """Functions follow it after an empty line, which is one piece with a mark at its end."""
    assert joins(text) == tokens
    if text.strip():
        whole, alone = TiktokenCounter().count([text.rstrip() + "\n\n", text])
        assert whole == alone + 1 - tokens


LARK = {"type": "grammar", "syntax": "lark", "definition": "\n  start: WORD\n  WORD: /a/\n"}
CUSTOM = {
    "text, Chat": ({"custom": {"name": "run"}}, 13, []),
    "text, Responses": ({"name": "run", "format": {"type": "text"}}, 13, []),
    "a grammar, Responses": ({"name": "run", "format": LARK}, 47, ["// start: WORD", "// WORD: /a/"]),
    "a grammar, Chat": (
        {"custom": {"name": "run", "format": {"type": "grammar", "grammar": LARK}}},
        47,
        ["// start: WORD", "// WORD: /a/"],
    ),
    "a grammar of nothing": ({"name": "run", "format": {"type": "grammar", "definition": 7}}, 13, []),
}


@pytest.mark.parametrize(("inner", "tokens", "lines"), CUSTOM.values(), ids=CUSTOM.keys())
def test_custom_tools(inner: dict[str, Any], tokens: int, lines: list[str]) -> None:
    """A custom tool takes text, of which some 13 tokens are said, or 47 and its grammar without indents."""
    text = namespace([{"type": "custom", **inner}])
    bare = shown(*lines, "type run = (FREEFORM) => any;")
    assert [line for line in text.splitlines() if line in bare] == bare.splitlines()
    counted = TiktokenCounter().count([text, bare])
    assert abs(counted[0] - counted[1] - tokens) <= 1


def test_a_schema_without_end_is_cut() -> None:
    """A schema that doubles with every reference is written out so far only."""
    defs = {
        f"d{i}": of({"a": {"$ref": f"#/$defs/d{i + 1}"}, "b": {"$ref": f"#/$defs/d{i + 1}"}})
        for i in range(40)
    }
    text = namespace([function(of({"x": {"$ref": "#/$defs/d0"}}, **{"$defs": defs}))])
    assert len(text) < 1_000_000


SCALARS = st.fixed_dictionaries(
    {"type": st.sampled_from(["string", "integer", "boolean", "null", "array", "object", "odd"])},
    optional={
        "description": st.text(max_size=30) | st.none(),
        "title": st.text(max_size=8),
        "enum": st.lists(st.text(max_size=8), max_size=5),
        "default": st.none() | st.integers(),
        "properties": st.none() | st.just({}),
        "required": st.none() | st.just(["a"]) | st.just(True),
        "items": st.booleans(),
        "$ref": st.sampled_from(["#", "#/a", "", "#/properties/a"]),
        "anyOf": st.just([]),
    },
)


def nested(children: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    """Return schemas of objects and arrays of others."""
    names = st.sampled_from(["a", "b", "c d"]) | st.text(min_size=1, max_size=10)
    return st.one_of(
        st.builds(of, st.dictionaries(names, children, max_size=3)),
        st.builds(lambda items: {"type": "array", "items": items}, children),
        st.builds(lambda one, other: {"anyOf": [one, other]}, children, children),
    )


@given(
    parameters=st.dictionaries(st.text(max_size=6), st.recursive(SCALARS, nested, max_leaves=8), max_size=3)
)
def test_any_schema_becomes_text(parameters: dict[str, Any]) -> None:
    """Whatever JSON stands for a schema, there is a text, and it names every property of the first level."""
    text = namespace([function(of(parameters))])
    assert all(f"{name}?:" in text for name in parameters)


SCHEMA = {"type": "object", "properties": {"pattern": {"type": "string", "pattern": "^a", "title": "P"}}}


@pytest.mark.parametrize(
    "response_format",
    [
        pytest.param(
            {"type": "json_schema", "json_schema": {"name": "a", "schema": SCHEMA}}, id="Chat Completions"
        ),
        pytest.param({"type": "json_schema", "name": "a", "schema": SCHEMA}, id="Responses"),
    ],
)
def test_schema_texts(response_format: dict[str, Any]) -> None:
    """An output schema is its name and its JSON without what limits values; a property may be called so."""
    text = '{"type":"object","properties":{"pattern":{"type":"string","title":"P"}}}'
    assert schema_texts(response_format) == [" a", text]


def test_a_described_schema() -> None:
    """The description of a format is counted, too."""
    assert schema_texts({"type": "json_schema", "name": "a", "description": "So.", "schema": {}}) == [
        " a",
        "// So.\n{}",
    ]


@pytest.mark.parametrize("response_format", [None, {}, {"type": "text"}, {"type": "json_object"}])
def test_formats_without_a_schema(response_format: dict[str, Any] | None) -> None:
    """Formats without a schema cost nothing."""
    assert schema_texts(response_format) == []


@pytest.mark.parametrize(
    ("arguments", "text"),
    [
        pytest.param('{"city":"Oslo"}', '{"city":"Oslo"}', id="text"),
        pytest.param({"city": "Oslo"}, '{"city":"Oslo"}', id="mapping"),
        pytest.param('{"a": 1, "b": "x, y"}', '{"a":1,"b":"x, y"}', id="with spaces"),
        pytest.param("open the, door", "open the, door", id="no JSON"),
    ],
)
def test_call_texts(arguments: Any, text: str) -> None:
    """A tool call counts its name twice, since its result names it, and its arguments without spaces."""
    assert call_texts("get_weather", arguments) == ["functions.get_weather", "get_weather", text]


def test_list_of_tools() -> None:
    """A list is one text; an empty one none."""
    tools = [function(), {"type": "function", "name": "f"}]
    assert ToolLists().text(tools) == namespace(tools)
    assert ToolLists().text([]) == ""


def test_same_list_is_known_again() -> None:
    """The same list, and an equal one, give the very same text; a changed one does not."""
    lists = ToolLists()
    given_tools = [copy.deepcopy(COOKBOOK)]
    first = lists.text(given_tools)
    assert lists.text(given_tools) is first
    assert lists.text(copy.deepcopy(given_tools)) is first
    assert len(lists) == 1
    given_tools[0]["function"]["description"] = "Something else entirely"
    changed = lists.text(given_tools)
    assert "// Something else entirely" in changed
    given_tools.append(function())
    assert len(lists.text(given_tools)) > len(changed)


def test_repeat_does_no_work(monkeypatch: pytest.MonkeyPatch) -> None:
    """A list seen before is not turned into JSON again."""
    lists = ToolLists()
    given_tools = [COOKBOOK]
    first = lists.text(given_tools)

    def refuse(*_: object, **__: object) -> str:
        raise AssertionError("the list was serialised again")

    monkeypatch.setattr(json, "dumps", refuse)
    assert lists.text(given_tools) is first


def test_lists_are_bounded() -> None:
    """Lists beyond the limit push out the oldest."""
    lists = ToolLists(limit=3)
    kept = [[function(name=f"f{at}")] for at in range(10)]
    for each in kept:
        lists.text(each)
    assert len(lists) == len(lists._by_identity) == 3
    assert lists.text(kept[0]) == namespace(kept[0])


def test_lists_are_safe_in_threads() -> None:
    """Threads that use one table get the text of their own list."""
    lists = ToolLists(limit=4)
    wrong: list[str] = []

    def run(name: str) -> None:
        for at in range(200):
            tools = [function(name=f"{name}{at % 7}")]
            if lists.text(tools) != namespace(tools):
                wrong.append(name)

    threads = [threading.Thread(target=run, args=(name,)) for name in "abcdef"]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert wrong == []
    assert len(lists) <= 4
