"""What a user gets: one class name changed, every way of calling, each call routed and explained."""

from __future__ import annotations

from datetime import date
from typing import Any

import pytest
from langchain_core.messages import AIMessage, HumanMessage
from langchain_core.tools import tool
from langchain_openai import ChatOpenAI
from langchain_routed import RoutedChatModel
from pydantic import BaseModel

from routed_llm import Decision, NoModelFits, Policy, PolicyError, RequestError, Router

from .helpers import changed, merged, routing


class Person(BaseModel):
    """A person."""

    name: str
    age: int


@tool
def add(a: int, b: int) -> int:
    """Add two numbers."""
    return a + b


def test_no_arguments_are_needed() -> None:
    """`RoutedChatModel()` works wherever `ChatOpenAI()` does, with gpt-4o as its baseline."""
    llm = RoutedChatModel()
    assert llm.model_name == "gpt-4o"
    assert isinstance(llm, ChatOpenAI)


def test_invoke_says_who_served_and_why(make, sim) -> None:
    """An answer names the served snapshot and carries the record of the decision."""
    answer = make().invoke("What is the capital of Peru?")
    (entry,) = sim.journal
    assert answer.response_metadata["model_name"] == entry.served
    record = routing(answer)
    assert (record["model"], record["served"]) == (entry.model, entry.served)
    assert record["version"] == 1
    assert float(record["cost"]) == pytest.approx(float(entry.dollars))
    assert answer.usage_metadata["input_tokens"] == entry.used.prompt


async def test_ainvoke_decides_the_same(make, sim) -> None:
    """The asynchronous call decides what the synchronous one decides."""
    llm = make()
    answers = [llm.invoke("Hello"), await llm.ainvoke("Hello")]
    assert routing(answers[0])["model"] == routing(answers[1])["model"]
    assert [entry.model for entry in sim.journal] == [routing(a)["model"] for a in answers]


def test_stream_has_one_record_and_usage(make, sim) -> None:
    """A stream carries the record on its last chunk, once, and the usage."""
    chunks = list(make().stream("Hello"))
    assert [i for i, c in enumerate(chunks) if "routing" in c.response_metadata] == [len(chunks) - 1]
    whole = merged(chunks)
    assert whole.usage_metadata["output_tokens"] == sim.journal[0].used.completion
    assert routing(whole)["served"] == sim.journal[0].served
    assert float(routing(whole)["cost"]) == pytest.approx(float(sim.journal[0].dollars))


async def test_astream_has_one_record_and_usage(make, sim) -> None:
    """The same holds for an asynchronous stream."""
    chunks = [chunk async for chunk in make().astream("Hello")]
    assert [i for i, c in enumerate(chunks) if "routing" in c.response_metadata] == [len(chunks) - 1]
    assert merged(chunks).usage_metadata["output_tokens"] == sim.journal[0].used.completion


def test_batch_and_abatch_keep_order(make, sim) -> None:
    """Batches answer in order, each answer with its own record."""
    answers = make().batch(["one apple", "two pears", "three plums"])
    assert [word in a.content for a, word in zip(answers, ("apple", "pears", "plums"), strict=True)] == [
        True
    ] * 3
    assert all(routing(a)["model"] for a in answers)


async def test_batch_as_completed(make) -> None:
    """batch_as_completed and abatch route every input."""
    llm = make()
    done = dict(llm.batch_as_completed(["a", "b"]))
    assert sorted(done) == [0, 1]
    assert [routing(a)["model"] for a in await llm.abatch(["a", "b"])] == [
        routing(done[i])["model"] for i in (0, 1)
    ]


def test_tools(make, sim) -> None:
    """A bound tool is called, whichever endpoint the chosen model needs."""
    answer = make().bind_tools([add]).invoke("add 1 and 2")
    assert [call["name"] for call in answer.tool_calls] == ["add"]
    assert sim.refused == []


@pytest.mark.parametrize("method", ["json_schema", "function_calling", "json_mode"])
@pytest.mark.parametrize("include_raw", [False, True], ids=["parsed", "raw"])
def test_structured_output(make, sim, method: str, include_raw: bool) -> None:
    """Every method of structured output returns the schema's type."""
    if method == "json_mode":
        sim.script('{"name": "Ada", "age": 36}')
    result = (
        make()
        .with_structured_output(Person, method=method, include_raw=include_raw)
        .invoke("Answer in JSON: a person")
    )
    assert isinstance(result["parsed"] if include_raw else result, Person)
    assert sim.refused == []


def test_explain_sends_nothing(make, sim) -> None:
    """`explain` gives the Decision that a call would make, without a call."""
    llm = make()
    decision = llm.explain("Hello")
    assert isinstance(decision, Decision)
    assert sim.journal == []
    assert routing(llm.invoke("Hello"))["model"] == decision.model


def test_explain_does_not_raise(make) -> None:
    """When nothing fits, `explain` says so and `invoke` raises with the same Decision."""
    llm = make()
    asked = [HumanMessage([{"type": "video", "base64": "AAAA", "mime_type": "video/mp4"}])]
    assert llm.explain(asked).chosen is None
    with pytest.raises(NoModelFits) as error:
        llm.invoke(asked)
    assert error.value.decision.chosen is None


@pytest.mark.parametrize("how", ["invoke", "bind"])
def test_a_model_given_for_a_call_pins_it(make, sim, how: str) -> None:
    """`model=` of one call names the model, and its parameters are fitted all the same."""
    llm = make(temperature=0)
    answer = llm.invoke("Hi", model="gpt-5") if how == "invoke" else llm.bind(model="gpt-5").invoke("Hi")
    record = routing(answer)
    assert record["model"] == "gpt-5"
    assert changed(answer) == [("temperature", "dropped")]
    assert sim.refused == []
    assert "temperature" not in sim.journal[0].body


@pytest.mark.parametrize("how", ["keyword", "config", "with_config"])
def test_the_policy_can_change_for_one_call(make, how: str) -> None:
    """`routing=` or the config's `configurable` changes the policy, and the day, of one call only."""
    llm, change = make(), {"models": ["gpt-4.1"], "task": "coding", "at": date(2026, 6, 1)}
    config = {"configurable": {"routing": change}}
    answer = {
        "keyword": lambda: llm.invoke("Hi", routing=change),
        "config": lambda: llm.invoke("Hi", config),
        "with_config": lambda: llm.with_config(config).invoke("Hi"),
    }[how]()
    record, next_one = routing(answer), routing(llm.invoke("Hi"))
    assert (record["model"], record["at"]) == ("gpt-4.1", "2026-06-01")
    assert (next_one["model"] == "gpt-4.1", next_one["at"] == "2026-06-01") == (False, False)


def test_the_policy_comes_in_three_forms(make, tmp_path) -> None:
    """A Policy, a dict of its keywords and a TOML file mean the same."""
    path = tmp_path / "policy.toml"
    path.write_text('models = ["gpt-4.1"]\n')
    for policy in (Policy(models=["gpt-4.1"]), {"models": ["gpt-4.1"]}, path, str(path)):
        assert make(policy=policy).explain("Hi").model == "gpt-4.1"


def test_the_policy_names_the_baseline_unless_model_does(make) -> None:
    """The baseline is `model=` where it is given, else that of the policy, or of the router's."""
    router = Router(policy=Policy(baseline="gpt-4.1"))
    assert make(router=router).model_name == "gpt-4.1"
    assert make(router=router, model="gpt-4o").explain("Hi").baseline == "gpt-4o"
    assert make(router=router, policy={"baseline": "gpt-5.1"}).explain("Hi").baseline == "gpt-5.1"
    assert make(policy={"baseline": "gpt-4.1"}).model_name == "gpt-4.1"
    assert make(policy={"baseline": "gpt-4.1"}, model="gpt-4o").explain("Hi").baseline == "gpt-4o"


@pytest.mark.parametrize(
    ("arguments", "text"),
    [
        pytest.param(
            {"policy": {"modles": ["gpt-4o"]}},
            "'modles' is not a keyword of Policy. Did you mean 'models'?",
            id="unknown keyword",
        ),
        pytest.param(
            {"policy": 3},
            "policy is a int. Give a Policy, a dict of its keywords, or the path of a TOML file.",
            id="wrong type",
        ),
    ],
)
def test_a_wrong_policy_is_told_at_construction(arguments: dict[str, Any], text: str) -> None:
    """A wrong policy fails where it is written, with the core's own words."""
    with pytest.raises(PolicyError) as error:
        RoutedChatModel(**arguments)
    assert str(error.value) == text


def test_wrong_routing_is_told(make) -> None:
    """A wrong override is a PolicyError before anything is sent."""
    with pytest.raises(PolicyError) as error:
        make().invoke("Hi", routing=7)
    assert str(error.value) == "routing is a int. Give a dict of Policy keywords or a Policy."


@pytest.mark.parametrize(
    ("messages", "text"),
    [
        pytest.param([], "The request has no messages. Send at least one message.", id="no messages"),
    ],
)
def test_a_wrong_request_is_told(make, sim, messages: list[Any], text: str) -> None:
    """A request that no model takes is a RequestError before anything is sent."""
    with pytest.raises(RequestError) as error:
        make().invoke(messages)
    assert str(error.value) == text
    assert sim.journal == []


@pytest.mark.parametrize("endpoint", ["chat", "responses"])
def test_an_unknown_block_goes_on_as_with_chatopenai(make, plain, endpoint: str) -> None:
    """What only a server of the user's own takes reaches it on Chat Completions; Responses leaves it out."""
    message = HumanMessage([{"type": "text", "text": "Look"}, {"type": "hologram", "data": "x"}])
    settings = {"use_responses_api": endpoint == "responses"}
    ours = make(**settings)._get_request_payload([message])
    theirs = plain.model_copy(update=settings)._get_request_payload([message])
    name = "input" if endpoint == "responses" else "messages"
    assert ours[name] == theirs[name]
    assert ("hologram" in str(ours)) == (endpoint == "chat")


async def test_events_of_content_blocks(make, sim) -> None:
    """The newer event protocol (v3) tells text and usage once, synchronously and not."""
    stream = make().stream_events("Peru?", version="v3")
    text = "".join(stream.text)
    later = await make().astream_events("Peru?", version="v3")
    assert text
    assert await later.text == text
    assert stream.output.usage_metadata["output_tokens"] == sim.journal[0].used.completion
    assert routing(stream.output)["model"] == sim.journal[0].model
    assert sim.refused == []


@pytest.mark.parametrize("version", [None, "v1"])
def test_standard_content_blocks_come_out_and_go_in(make, sim, version: str | None) -> None:
    """An answer's content_blocks are LangChain's standard ones, and the next turn takes them."""
    llm = make(output_version=version, policy={"models": ["gpt-5.4"], "at_least": None, "effort": "low"})
    answer = llm.bind(reasoning={"summary": "auto"}).invoke("Hello")
    kinds = [block["type"] for block in answer.content_blocks]
    assert kinds[-1] == "text"
    again = AIMessage(content_blocks=answer.content_blocks)
    assert llm.invoke([HumanMessage("Hello"), again, HumanMessage("thanks")]).text
    assert sim.refused == []


def test_a_conversation_goes_on(make, sim) -> None:
    """The answer of one turn is the history of the next."""
    llm = make()
    history = [HumanMessage("Hello")]
    for _ in range(3):
        history += [llm.invoke(history), HumanMessage("thanks")]
    assert isinstance(history[1], AIMessage)
    assert len({routing(m)["model"] for m in history if isinstance(m, AIMessage)}) == 1
    assert sim.refused == []
