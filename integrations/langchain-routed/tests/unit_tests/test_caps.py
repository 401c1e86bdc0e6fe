"""A cap is a cap: what comes back is at most what was asked for, whatever room reasoning needs."""

from __future__ import annotations

from typing import Any

import pytest
from langchain_core.tools import tool
from openai import LengthFinishReasonError
from pydantic import BaseModel

from routed_llm.tokens.vocabulary import o200k_encoding

from .helpers import merged, routing

HOW = ["invoke", "ainvoke", "stream", "astream", "streaming"]
LONG = "No. " + "And here is a long explanation of it: naïve façades, 東京都庁, 🙂🙂. " * 60
POLICIES = {
    "chat completions": {"models": ["gpt-5.4"], "at_least": None, "effort": "low"},
    "responses": {"models": ["gpt-5.2-pro"], "at_least": None},
}
FORMS: dict[str, dict[str, Any]] = {
    "plain": {},
    "responses/v1": {"output_version": "responses/v1"},
    "v1": {"output_version": "v1"},
}


@tool
def search(query: str) -> str:
    """Search the catalogue."""
    return "3 hits"


class Person(BaseModel):
    """A person."""

    name: str
    story: str


async def ask(llm: Any, how: str, text: str = "Is this a refund?") -> Any:
    if how == "ainvoke":
        return await llm.ainvoke(text)
    if how == "stream":
        return merged(list(llm.stream(text)))
    if how == "astream":
        return merged([chunk async for chunk in llm.astream(text)])
    return llm.invoke(text)


def size(text: str) -> int:
    return len(o200k_encoding().encode_ordinary(text))


@pytest.mark.parametrize("how", HOW)
@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("policy", POLICIES)
@pytest.mark.parametrize("name", ["max_tokens", "max_completion_tokens"])
async def test_the_text_ends_at_the_cap(make, sim, name: str, policy: str, form: str, how: str) -> None:
    """Whole or streamed, on either endpoint and in every form: as much as asked for, and it says why."""
    llm = make(policy=POLICIES[policy], streaming=how == "streaming", **FORMS[form])
    sim.script(LONG, reasoning_tokens=100)
    answer = await ask(llm.bind(**{name: 20}) if name != "max_tokens" else llm.bind(max_tokens=20), how)
    body = sim.journal[-1].body
    assert (body.get("max_completion_tokens") or body.get("max_output_tokens")) > 20
    assert 15 < size(answer.text) <= 20
    assert LONG.startswith(answer.text)
    assert answer.response_metadata["finish_reason"] == "length"
    if answer.usage_metadata is not None:
        details = answer.usage_metadata["output_token_details"]
        assert answer.usage_metadata["output_tokens"] - details["reasoning"] <= 20
        assert routing(answer)["usage"]["output_tokens"] > 1_000
    raised = [change for change in routing(answer)["changes"] if change["action"] == "raised"]
    assert [change["before"] for change in raised] == [20]
    assert sim.refused == []


@pytest.mark.parametrize("how", HOW)
@pytest.mark.parametrize("cap", [1, 5, 20, 50, 200])
async def test_the_same_cap_means_the_same_on_every_model(make, sim, cap: int, how: str) -> None:
    """What is free to choose, with and without tools, comes back as long as gpt-4o's answer would."""
    sim.script(LONG, times=0)
    texts = set()
    for models in (None, ["gpt-4o"], ["gpt-4.1"], ["gpt-5.4"], ["gpt-5.6-luna"]):
        for tools in ([], [search]):
            policy = {"models": models, "at_least": "baseline" if models is None else None}
            llm = make(policy=policy, max_tokens=cap, streaming=how == "streaming")
            answer = await ask(llm.bind_tools(tools) if tools else llm, how)
            assert answer.response_metadata["finish_reason"] == "length"
            texts.add(answer.text)
    assert all(size(text) <= cap for text in texts)
    shortest, longest = min(texts, key=len), max(texts, key=len)
    assert longest.startswith(shortest)
    assert len(longest) - len(shortest) < 8  # a character of several tokens is not parted
    assert sim.refused == []


@pytest.mark.parametrize("how", HOW)
async def test_an_answer_within_the_cap_is_left_alone(make, sim, how: str) -> None:
    """It ends because it is finished."""
    sim.script("Yes, it is.", reasoning_tokens=100)
    llm = make(policy=POLICIES["chat completions"], max_tokens=20, streaming=how == "streaming")
    answer = await ask(llm, how)
    assert (answer.text, answer.response_metadata["finish_reason"]) == ("Yes, it is.", "stop")
    assert answer.usage_metadata["output_token_details"]["reasoning"] == 100


@pytest.mark.parametrize("how", ["invoke", "ainvoke", "stream", "astream"])
async def test_calls_and_forms_are_left_whole(make, sim, how: str) -> None:
    """Half a call or half a form is of no use; the record says that it is longer than asked for."""
    story = "word " * 100
    llm = make(policy={"models": ["gpt-5.6-luna"], "at_least": None, "effort": "low"}, max_tokens=20)
    sim.script(tool_calls=[("search", {"query": story})], reasoning_tokens=50)
    answer = await ask(llm.bind_tools([search]), how)
    assert [call["args"] for call in answer.tool_calls] == [{"query": story}]
    (raised,) = [change for change in routing(answer)["changes"] if change["action"] == "raised"]
    assert raised["why"].endswith("the text is still cut at 20 tokens, calls of tools are left whole")
    sim.script('{"name": "Ann", "story": "' + story + '"}', reasoning_tokens=50)
    made = llm.with_structured_output(Person, include_raw=True)
    found = made.invoke("Ann?") if how != "ainvoke" else await made.ainvoke("Ann?")
    assert found["parsed"].story == story
    (raised,) = [change for change in routing(found["raw"])["changes"] if change["action"] == "raised"]
    assert raised["why"].endswith("an answer in a form is not cut in the middle")


async def test_the_stream_ends_at_the_cap(make, sim) -> None:
    """No chunk comes after the one that says so, and nothing is read of what would."""
    sim.script(LONG)
    llm = make(policy=POLICIES["chat completions"], max_tokens=20)
    chunks = [chunk async for chunk in llm.astream("Is this a refund?")]
    reasons = [chunk.response_metadata.get("finish_reason") for chunk in chunks]
    assert [reason for reason in reasons if reason] == ["length"]
    assert len(chunks) < 30


def test_stop_and_cap_hold_together(make, sim) -> None:
    """Whichever comes first ends the text, and is the reason given."""
    llm = make(policy=POLICIES["chat completions"], max_tokens=20)
    for stop, reason in (("And here", "stop"), ("東京", "stop"), ("never", "length")):
        sim.script(LONG)
        answer = llm.invoke("Is this a refund?", stop=[stop])
        assert answer.response_metadata["finish_reason"] == reason
        assert size(answer.text) <= 20


def test_room_is_not_free(make) -> None:
    """Text that may be written into the room for reasoning is reckoned with; without room it is not."""
    one = {"models": ["gpt-5.4"], "at_least": None}
    llm = make(policy=one, max_tokens=20)
    assert llm.explain("Hi", routing={"effort": "none"}).chosen.output_tokens == 20
    assert llm.explain("Hi", routing={"effort": "low"}).chosen.output_tokens > 100


FORMS_OF_ANSWERS = [
    *[pytest.param(Person, how, id=f"class, {how}") for how in HOW[:4]],
    *[pytest.param(Person.model_json_schema(), how, id=f"schema, {how}") for how in HOW[:2]],
]


@pytest.mark.parametrize(("schema", "how"), FORMS_OF_ANSWERS)
@pytest.mark.parametrize("endpoint", ["chat_completions", "responses"])
async def test_a_form_that_is_cut_off_is_the_sdks_error(
    make, sim, endpoint: str, schema: Any, how: str
) -> None:
    """An answer that ends before its form does is refused alike on both endpoints, and booked as it came."""
    policy = {"models": ["gpt-5.4"], "at_least": None, "effort": "none", "endpoints": [endpoint]}
    llm = make(policy=policy, max_tokens=16, budget={"per_day": 5})
    with pytest.raises(LengthFinishReasonError):
        await ask(llm.with_structured_output(schema), how)
    (entry,) = llm.router.ledger.entries()
    assert entry.outcome == "answered"
    if how in HOW[:2]:  # the SDK's stream ends before the usage comes
        assert entry.usage.output_tokens == 16
