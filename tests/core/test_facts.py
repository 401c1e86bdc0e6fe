"""RequestFacts: counts, frozen parameters, what goes into a record."""
# ruff: noqa: E501 - tables of one case a row

from __future__ import annotations

import json
from typing import Any

import pytest
from core_support import facts

from routed_llm import ImageFacts, Previous, RequestFacts, TokenCount
from routed_llm.facts import freeze, freeze_parameters, thaw


def test_token_counts() -> None:
    """A count is exact when its bounds meet, and moves as a whole."""
    assert TokenCount.of(5).exact
    assert not TokenCount(1, 2, 3).exact
    assert TokenCount(1, 2, 3).plus(10) == TokenCount(11, 12, 13)


VALUES: list[Any] = [
    None, 0, 1.5, "x", [], {}, [1, [2, {"a": None}]], {"b": 1, "a": [True]}, {"{}": ["[]", {}]}, ["{}", ["[]"]],
    ["[]", []], {"a": {"b": {"c": []}}},
]  # fmt: skip


@pytest.mark.parametrize("value", VALUES, ids=repr)
def test_freezing_loses_nothing(value: Any) -> None:
    """JSON data becomes hashable and comes back as it was."""
    frozen = freeze(value)
    hash(frozen)
    assert thaw(frozen) == value


def test_freezing_knows_no_order() -> None:
    """Dicts in another order and sets of mixed kinds are one value each."""
    assert freeze({"a": 1, "b": 2}) == freeze({"b": 2, "a": 1})
    assert freeze({1, "x", None}) == freeze({None, "x", 1})
    assert freeze({1: "a", "b": 2}) == freeze({"1": "a", "b": 2})
    assert freeze((1, 2)) == freeze([1, 2])


def test_freezing_what_is_no_data() -> None:
    """What cannot be hashed is kept as its text."""
    assert freeze(bytearray(b"x")) == "bytearray(b'x')"


def test_parameters_are_sorted() -> None:
    """The order in which parameters were given makes no difference."""
    one = freeze_parameters({"b": 1, "a": [2]})
    assert one == freeze_parameters([("a", [2]), ("b", 1)])
    assert facts(1, parameters={"b": 1}).parameter("b") == 1
    assert facts(1, parameters={"b": {"c": [1]}}).parameter("b") == {"c": [1]}
    assert facts(1).parameter("b", "none") == "none"


FULL = RequestFacts(
    tokens=TokenCount(1, 2, 3),
    images=(ImageFacts(10, 20, "high"), ImageFacts(None, None)),
    audio_seconds=1.5,
    pdf_pages=2,
    unknown_files=1,
    inputs=frozenset({"text", "image", "pdf"}),
    outputs=frozenset({"text", "audio"}),
    tool_inputs=frozenset({"image"}),
    tools=3,
    builtin_tools=frozenset({"web_search"}),
    tool_choice="auto",
    structured="json_schema",
    parameters=freeze_parameters({"stop": ["x"], "metadata": {"a": "b"}}),
    cap=5,
    cap_name="max_output_tokens",
    effort="low",
    model="gpt-4o",
    endpoint="responses",
    service_tier="flex",
    stream=True,
    task="coding",
    previous=Previous(
        model="gpt-4o", effort="low", endpoint="responses", prefix_tokens=9, age=1.0, in_tool_loop=True
    ),
    locked_to="gpt-4o",
    estimates=("an image",),
)


def test_a_record_gives_the_facts_back() -> None:
    """Facts go through JSON and come back equal; what is default is left out."""
    data = FULL.to_dict()
    assert RequestFacts.from_dict(json.loads(json.dumps(data))) == FULL
    assert set(data) >= {"tokens", "images", "parameters", "previous", "estimates"}
    assert RequestFacts().to_dict() == {}
    assert RequestFacts.from_dict({}) == RequestFacts()


def test_a_record_is_json_whatever_was_given() -> None:
    """Bytes and objects in parameters are written as their text."""
    data = facts(1, parameters={"metadata": {"a": b"\xff"}, "x": int}).to_dict()
    assert json.loads(json.dumps(data))["parameters"] == {"metadata": {"a": "b'\\xff'"}, "x": "<class 'int'>"}


def test_a_record_with_an_unknown_key() -> None:
    """A key that is no field is refused."""
    with pytest.raises(TypeError, match="prompt"):
        RequestFacts.from_dict({"prompt": "secret"})


def test_another_count_is_another_value() -> None:
    """with_tokens changes nothing but the count; values of parameters are no part of the shape."""
    asked = facts(5, cap=3, parameters={"user": "a"})
    assert asked.with_tokens(TokenCount.of(6)) == facts(6, cap=3, parameters={"user": "a"})
    assert asked.shape == facts(9, cap=4, parameters={"user": "b"}).shape
    assert asked.shape != facts(5, cap=3, parameters={"users": "a"}).shape
    assert asked.shape != facts(5, parameters={"user": "a"}).shape
