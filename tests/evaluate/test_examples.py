"""What is read as examples: OpenAI's formats, LangSmith's export, CSV, the pairs of a shadow."""
# ruff: noqa: E501 - tables of one case a row

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from routed_llm import RequestError
from routed_llm.evaluate import Answer, read_examples

ASK = [{"role": "user", "content": "Capital of Peru?"}]
CALL = {
    "role": "assistant",
    "tool_calls": [{"id": "1", "type": "function", "function": {"name": "f", "arguments": '{"a": 1}'}}],
}
CALLED = Answer(calls=(("f", {"a": 1}),))
LINES: list[tuple[str, Any, dict[str, Any], Answer | None]] = [
    ("a body", {"model": "gpt-4o", "messages": ASK, "temperature": 0, "stream": True}, {"messages": ASK, "temperature": 0}, None),
    ("a body with what is expected", {"messages": ASK, "expected": "Lima"}, {"messages": ASK}, Answer(text="Lima")),
    ("a body of Responses", {"input": "Capital of Peru?", "expected": "Lima"}, {"input": "Capital of Peru?"}, Answer(text="Lima")),
    ("JSON is expected", {"messages": ASK, "expected": {"city": "Lima"}}, {"messages": ASK}, Answer(text='{"city": "Lima"}')),
    ("a call is expected", {"messages": ASK, "expected": CALL}, {"messages": ASK}, CALLED),
    ("fine-tuning: the answer last", {"messages": [*ASK, CALL]}, {"messages": ASK}, CALLED),
    ("a line of a Batch", {"custom_id": "1", "method": "POST", "url": "/v1/chat/completions", "body": {"model": "x", "messages": ASK}}, {"messages": ASK}, None),
    ("evals: input and ideal", {"input": ASK, "ideal": ["Lima", "Lima, Peru"]}, {"messages": ASK}, Answer(text="Lima")),
    ("LangSmith: a question", {"inputs": {"question": "Capital of Peru?"}, "outputs": {"answer": "Lima"}}, {"messages": ASK}, Answer(text="Lima")),
    ("LangSmith: messages of LangChain", {"inputs": {"messages": [{"type": "human", "data": {"content": "Capital of Peru?"}}]}, "outputs": {"messages": [{"type": "ai", "content": "Lima"}]}}, {"messages": ASK}, Answer(text="Lima")),
    ("LangSmith: messages in a list of lists", {"inputs": {"messages": [[{"role": "user", "content": "Capital of Peru?"}]]}, "outputs": None}, {"messages": ASK}, None),
]  # fmt: skip


@pytest.mark.parametrize(("row", "body", "expected"), [c[1:] for c in LINES], ids=[c[0] for c in LINES])
def test_lines(row: Any, body: Any, expected: Any, tmp_path: Path) -> None:
    """Each form gives the request without its model, and what is expected."""
    file = tmp_path / "examples.jsonl"
    file.write_text(json.dumps(row) + "\n\n")
    (example,) = read_examples(file)
    assert (dict(example.body), example.expected) == (body, expected)
    file.write_text(json.dumps([row, row]))  # JSON, too; what is there twice counts once
    assert read_examples(file) == [example]
    file.write_text(json.dumps(example.to_dict()))
    assert read_examples(file)[0].to_dict() == example.to_dict()


TABLES = [
    ("a question and an answer", "question,answer\nCapital of Peru?,Lima\n", {}),
    ("LangSmith's columns", 'inputs,outputs\n"{""question"": ""Capital of Peru?""}","{""answer"": ""Lima""}"\n', {}),
    ("LangSmith's flat columns", "id,input_question,output_answer\n1,Capital of Peru?,Lima\n", {}),
    ("tags", "prompt,expected,tag:feature\nCapital of Peru?,Lima,geo\n", {"feature": "geo"}),
]  # fmt: skip


@pytest.mark.parametrize(("text", "tags"), [c[1:] for c in TABLES], ids=[c[0] for c in TABLES])
def test_tables(text: str, tags: dict[str, str], tmp_path: Path) -> None:
    """CSV needs a column for the question."""
    file = tmp_path / "examples.csv"
    file.write_text(text)
    (example,) = read_examples(file)
    assert (example.body, example.expected, example.tags) == ({"messages": ASK}, Answer(text="Lima"), tags)


def test_the_pairs_of_a_shadow(tmp_path: Path) -> None:
    """A log with prompts and answers gives requests that both have answered already."""
    side = {"model": "gpt-4o", "effort": None}, {"model": "gpt-5.6-luna", "effort": "low"}
    second = {"mode": "shadow", "arm": "second", "prompt": ["Be brief.", "Capital of Peru?"], "tags": {"feature": "geo"}, "answers": {"baseline": "Lima.", "routed": "Lima"}, "baseline": side[0], "routed": side[1]}  # fmt: skip
    file = tmp_path / "log.jsonl"
    file.write_text("\n".join(json.dumps(row) for row in [{"mode": "shadow", "arm": "baseline"}, second]))
    (example,) = read_examples(file)
    assert example.answers == {
        "gpt-4o": Answer(text="Lima.", served="gpt-4o"),
        "gpt-5.6-luna@low": Answer(text="Lima", served="gpt-5.6-luna@low"),
    }
    assert example.tags == {"feature": "geo"}


WRONG = [
    ("no file", None, "No such file or directory"),
    ("no JSON", "{", "is no JSON"),
    ("no object", "3", "example 1: it is no JSON object"),
    ("no request", '{"temperature": 1}', "example 1: it has neither messages nor input"),
    ("nothing", "\n", "has no examples. See docs/proof.md for what is read."),
]


@pytest.mark.parametrize(("text", "said"), [c[1:] for c in WRONG], ids=[c[0] for c in WRONG])
def test_what_is_no_example_is_refused(text: str | None, said: str, tmp_path: Path) -> None:
    """The message names the file and the line."""
    file = tmp_path / "examples.jsonl"
    if text is not None:
        file.write_text(text)
    with pytest.raises(RequestError) as caught:
        read_examples(file)
    assert str(file) in str(caught.value)
    assert said in str(caught.value)
