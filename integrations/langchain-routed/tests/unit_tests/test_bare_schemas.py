"""A form of answer given as a bare schema, as ChatOpenAI takes it on Responses, works on both endpoints."""

from __future__ import annotations

import json
from typing import Any, TypedDict

import pytest
from langchain_openai import ChatOpenAI
from pydantic import BaseModel

from routed_llm import RequestError

from .helpers import merged


class Answer(BaseModel):
    """An answer."""

    response: str


class Branch(BaseModel):
    """A part of a tree, which is made of its like."""

    label: str
    parts: list[Branch] = []


class AnswerDict(TypedDict):
    """An answer."""

    response: str


FORMS: dict[str, Any] = {
    "pydantic": Answer,
    "JSON schema": Answer.model_json_schema(),
    "TypedDict": AnswerDict,
    "name and schema": {"name": "Answer", "schema": Answer.model_json_schema()},
    "OpenAI's": {
        "type": "json_schema",
        "json_schema": {"name": "Answer", "schema": Answer.model_json_schema()},
    },
}
FREE = [form for form in FORMS if form != "pydantic"]
ENDPOINTS = {"chat": {"use_responses_api": False}, "responses": {"use_responses_api": True}, "free": {}}


@pytest.mark.parametrize("how", ["invoke", "stream", "bind"])
@pytest.mark.parametrize("settings", ENDPOINTS.values(), ids=ENDPOINTS.keys())
@pytest.mark.parametrize("form", FREE)
def test_it_is_taken(make, sim, form: str, settings: dict[str, Any], how: str) -> None:
    """The answer has the form, whoever gives it on whichever endpoint."""
    llm = make(**settings)
    if how == "stream":
        answer = merged(list(llm.stream("how are ya", response_format=FORMS[form])))
    elif how == "bind":
        answer = llm.bind(response_format=FORMS[form]).invoke("how are ya")
    else:
        answer = llm.invoke("how are ya", response_format=FORMS[form])
    assert isinstance(json.loads(answer.text)["response"], str)
    assert sim.refused == []


@pytest.mark.parametrize("form", FORMS)
def test_on_responses_it_is_sent_and_parsed_as_chatopenai_does(make, sim, form: str) -> None:
    """The request's form and the answer's `parsed` are those of ChatOpenAI."""
    plain = ChatOpenAI(model="gpt-4o", base_url=sim.url, use_responses_api=True)
    wanted = plain.invoke("how are ya", response_format=FORMS[form])
    found = make(policy={"models": ["gpt-4o"]}, use_responses_api=True).invoke(
        "how are ya", response_format=FORMS[form]
    )
    assert sim.journal[1].body["text"] == sim.journal[0].body["text"]
    assert found.additional_kwargs["parsed"] == wanted.additional_kwargs["parsed"]


@pytest.mark.parametrize(
    "value",
    [
        pytest.param({"type": "objects"}, id="an unknown type"),
        pytest.param({"type": "object", "properties": {}}, id="a schema without a name"),
        pytest.param({"type": "array", "title": "A", "items": {}}, id="a schema of no object"),
    ],
)
def test_what_is_no_form_is_told(make, value: dict[str, Any]) -> None:
    """What langchain-openai knows no form of is an error that says what to give."""
    with pytest.raises(RequestError) as caught:
        make().invoke("Hi", response_format=value)
    assert str(caught.value) == (
        f"response_format has the unknown type {value['type']!r}. Use text, json_object or json_schema."
    )


@pytest.mark.parametrize("how", ["invoke", "stream"])
@pytest.mark.parametrize("settings", ENDPOINTS.values(), ids=ENDPOINTS.keys())
def test_a_class_that_refers_to_itself_is_a_form(make, sim, settings: dict[str, Any], how: str) -> None:
    """Trees and other recursive classes are read into their class on either endpoint."""
    found = make(**settings).with_structured_output(Branch)
    answer = found.invoke("A tree.") if how == "invoke" else list(found.stream("A tree."))[-1]
    assert isinstance(answer, Branch)
    assert sim.refused == []
