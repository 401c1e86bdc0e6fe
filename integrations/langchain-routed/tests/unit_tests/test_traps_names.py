"""Traps 1 to 13: what ChatOpenAI decides by a model's name, at a time when ours is not chosen yet."""

from __future__ import annotations

import re
from datetime import date
from typing import Any

import pytest
from langchain_core.messages import AIMessage, HumanMessage, ToolMessage
from langchain_core.tools import tool
from langchain_routed import RoutedChatModel
from pydantic import BaseModel

from routed_llm import Catalog, NoModelFits, Router

from .helpers import changed, merged, routing


class Person(BaseModel):
    """A person."""

    name: str
    age: int


@tool
def add(a: int, b: int) -> int:
    """Add two numbers."""
    return a + b


def only(*models: str) -> dict[str, Any]:
    return {"models": list(models), "at_least": None}


@pytest.mark.parametrize(
    ("baseline", "given", "sent"),
    [
        pytest.param("gpt-5", {"temperature": 0}, 0, id="1 gpt-5 keeps a temperature of 0"),
        pytest.param("gpt-5", {}, None, id="1 nothing is added"),
        pytest.param("gpt-5.2-pro", {"temperature": 0.5}, 0.5, id="1 pro keeps it"),
    ],
)
def test_1_the_baselines_name_changes_no_temperature(
    make, sim, baseline: str, given: dict[str, Any], sent
) -> None:
    """The temperature is the caller's own, whatever model is the baseline."""
    llm = make(model=baseline, policy=only("gpt-4.1"), **given)
    assert llm.temperature == given.get("temperature")
    llm.invoke("Hi")
    assert sim.journal[0].body.get("temperature") == sent


def test_1_the_baselines_name_chooses_no_endpoint(make, sim) -> None:
    """A Responses-only baseline sends no other model to Responses."""
    llm = make(model="gpt-5.2-pro", policy=only("gpt-4.1"))
    assert llm.use_responses_api is None
    llm.invoke("Hi")
    assert sim.journal[0].path.endswith("/chat/completions")


def test_2_the_default_is_not_gpt_35(make, sim) -> None:
    """The default baseline takes native structured output, so that every routed model gets it."""
    assert RoutedChatModel().model_name == "gpt-4o"
    make(policy=only("gpt-4.1")).with_structured_output(Person).invoke("A person")
    assert sim.journal[0].body["response_format"]["type"] == "json_schema"


@pytest.mark.parametrize("how", ["call", "bind", "constructor"])
def test_3_a_temperature_never_reaches_a_model_that_refuses_it(make, sim, how: str) -> None:
    """Wherever the temperature was given, it is dropped, and the drop is on record."""
    llm = make(policy=only("gpt-5"), **({"temperature": 0} if how == "constructor" else {}))
    answer = {
        "call": lambda: llm.invoke("Hi", temperature=0),
        "bind": lambda: llm.bind(temperature=0).invoke("Hi"),
        "constructor": lambda: llm.invoke("Hi"),
    }[how]()
    assert changed(answer) == [("temperature", "dropped")]
    assert sim.refused == []


def test_4_the_profile_does_not_filter(make, sim) -> None:
    """The catalog's rule decides on a temperature, not the profile's flag, which says yes for both."""
    llm = make(policy=only("gpt-5.4"), temperature=0)
    assert llm.profile["temperature"] is True
    with_reasoning = llm.invoke("Hi", reasoning_effort="high")
    without = llm.invoke("Hi", reasoning_effort="none")
    assert changed(with_reasoning) == [("temperature", "dropped")]
    assert changed(without) == []
    assert ["temperature" in entry.body for entry in sim.journal] == [False, True]


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("stop", ["END"]),
        ("logprobs", True),
        ("logit_bias", {"50256": -100}),
        ("n", 2),
    ],
)
def test_5_hard_parameters_choose_the_model(make, sim, name: str, value: Any) -> None:
    """A parameter whose loss changes the program is never dropped: the call goes where it exists."""
    answer = make().invoke("Hi", **{name: value})
    assert sim.journal[0].body[name] == value
    assert changed(answer) == []
    assert sim.refused == []


def test_5_a_pinned_model_without_it_is_refused_before_sending(make, sim) -> None:
    """When the named model has no such parameter, the call fails with the reason and is not sent."""
    with pytest.raises(NoModelFits, match="gpt-5 refuses logprobs on chat_completions"):
        make().invoke("Hi", model="gpt-5", logprobs=True)
    assert sim.journal == []


@pytest.mark.parametrize("given", ["max_tokens", "max_completion_tokens"])
@pytest.mark.parametrize(
    ("settings", "name"),
    [
        pytest.param({"use_responses_api": False}, "max_completion_tokens", id="chat"),
        pytest.param({"use_responses_api": True}, "max_output_tokens", id="responses"),
    ],
)
def test_6_the_cap_has_the_endpoints_name(make, sim, given: str, settings: dict[str, Any], name: str) -> None:
    """The output cap is sent once, under the name of the endpoint, from the constructor or the call."""
    make(policy=only("gpt-4.1"), **settings, **{given: 64}).invoke("Hi")
    make(policy=only("gpt-4.1"), max_tokens=10, **settings).invoke("Hi", **{given: 64})
    for entry in sim.journal:
        caps = {k: v for k, v in entry.body.items() if k.startswith("max_")}
        assert caps == {name: 64}


def test_6_a_small_cap_leaves_room_to_reason(make, sim) -> None:
    """A cap meant for gpt-4o's answer is raised for a model whose reasoning counts against it."""
    answer = make(policy=only("gpt-5"), max_tokens=50).invoke("Prove that there are infinitely many primes")
    assert answer.content
    assert ("max_completion_tokens", "raised") in changed(answer)


def test_6_who_names_an_effort_has_a_cap_that_counts_it(make, sim) -> None:
    """With an effort of the caller's own, the cap is the reasoning model's and is sent as it is."""
    answer = make(policy=only("gpt-5"), max_tokens=500, reasoning_effort="minimal").invoke("Hi")
    assert sim.journal[0].body["max_completion_tokens"] == 500
    assert changed(answer) == []


def test_7_parallel_tool_calls_is_not_lost(make, sim) -> None:
    """Function-calling structured output asks for one call at a time: what refuses that cannot serve it."""
    rule = {"chat_completions": {"parallel_tool_calls": "no"}, "responses": {"parallel_tool_calls": "no"}}
    catalog = Catalog.load().with_models({"gpt-5.4": {"parameters": rule}})
    router = Router(catalog=catalog, clock=lambda: date(2026, 11, 22))
    asked = make(router=router, policy=only("gpt-5.4")).with_structured_output(
        Person, method="function_calling"
    )
    with pytest.raises(NoModelFits, match=r"gpt-5\.4 refuses parallel_tool_calls"):
        asked.invoke("A person")
    either = make(router=router, policy=only("gpt-5.4", "gpt-4o"))
    assert isinstance(
        either.with_structured_output(Person, method="function_calling").invoke("A person"), Person
    )
    assert sim.journal[0].model == "gpt-4o"


@pytest.mark.parametrize("model", ["gpt-5.2-pro", "gpt-5.4-pro", "gpt-5.3-codex", "gpt-5-pro"])
@pytest.mark.parametrize("baseline", ["gpt-4o", "gpt-5.2-pro"])
def test_8_the_model_chooses_the_endpoint(make, sim, model: str, baseline: str) -> None:
    """A Responses-only model is called there, and nothing of that is inferred for other models."""
    llm = make(model=baseline, policy={"at_least": None})
    llm.invoke("Hi", model=model)
    llm.invoke("Hi", model="gpt-4.1")
    assert [entry.path.rsplit("/v1/")[-1] for entry in sim.journal] == ["responses", "chat/completions"]
    assert sim.refused == []


def test_9_json_schema_is_a_constraint(make, sim) -> None:
    """A model without native structured output is not chosen for a call that asks for it."""
    llm = make(policy={"models": ["gpt-5.2-pro", "gpt-4.1"], "at_least": None})
    assert isinstance(llm.with_structured_output(Person).invoke("A person"), Person)
    assert sim.journal[0].model == "gpt-4.1"


def test_9_a_pool_without_schemas_uses_function_calling(make, sim) -> None:
    """Where no model of the pool has json_schema, the method is overridden with a warning, as upstream."""
    catalog = Catalog.load().with_models({"gpt-4.1": {"structured": ["json_object"]}})
    router = Router(catalog=catalog, clock=lambda: date(2026, 11, 22))
    llm = make(router=router, policy=only("gpt-4.1"))
    text = (
        "Cannot use method='json_schema' since no model that the policy can reach supports it. "
        "Overriding to method='function_calling'."
    )
    with pytest.warns(UserWarning, match=f"^{re.escape(text)}$"):
        asked = llm.with_structured_output(Person)
    assert isinstance(asked.invoke("A person"), Person)
    assert [tool["function"]["name"] for tool in sim.journal[0].body["tools"]] == ["Person"]


def test_10_an_agent_that_asks_for_a_schema_gets_it(make, sim) -> None:
    """create_agent reads the profile to choose its strategy; the calls then go to models that have it."""
    from langchain.agents import create_agent

    llm = make()
    assert llm.profile["structured_output"] is True
    agent = create_agent(llm, tools=[add], response_format=Person)
    result = agent.invoke({"messages": [HumanMessage("Describe a person")]})
    assert isinstance(result["structured_response"], Person)
    assert sim.refused == []


@pytest.mark.parametrize("how", ["invoke", "stream"])
def test_11_content_is_a_string_whatever_serves(make, sim, how: str) -> None:
    """A program written for gpt-4o gets text, also from a model that only Responses has."""
    llm = make(policy=only("gpt-5.2-pro"))
    answer = llm.invoke("Hi") if how == "invoke" else merged(list(llm.stream("Hi")))
    assert sim.journal[0].path.endswith("/responses")
    assert isinstance(answer.content, str)
    assert answer.content.upper() == answer.text.upper() != ""
    assert answer.response_metadata["finish_reason"] == "stop"


@pytest.mark.parametrize(
    "settings",
    [
        pytest.param({"use_responses_api": True}, id="use_responses_api"),
        pytest.param({"output_version": "responses/v1"}, id="output_version"),
        pytest.param({"reasoning": {"effort": "low", "summary": "auto"}}, id="reasoning"),
        pytest.param({"truncation": "auto"}, id="truncation"),
    ],
)
def test_11_who_asks_for_responses_gets_its_blocks(make, sim, settings: dict[str, Any]) -> None:
    """Where ChatOpenAI itself would have gone to Responses, the content has the form it has there."""
    answer = make(**settings).invoke("Hi")
    assert sim.journal[0].path.endswith("/responses")
    assert {block["type"] for block in answer.content} <= {"text", "reasoning"}
    assert answer.text


def test_12_a_conversation_crosses_endpoints(make, sim) -> None:
    """History of one model and endpoint is taken by every other, with its text and tool calls."""
    llm = make(policy={"at_least": None}).bind_tools([add])
    models = ["gpt-5.6-luna", "gpt-4o", "gpt-5.2-pro", "gpt-4.1", "gpt-5.4", "gpt-5"]
    history: list[Any] = []
    for model in models:
        history.append(HumanMessage("add 1 and 2"))
        answer = llm.invoke(history, model=model)
        history.append(answer)
        history += [ToolMessage("3", tool_call_id=call["id"]) for call in answer.tool_calls]
        if answer.tool_calls:
            history.append(llm.invoke(history, model=models[0] if model != models[0] else "gpt-4o"))
    assert sim.refused == []
    assert {entry.path.rsplit("/v1/")[-1] for entry in sim.journal} == {"responses", "chat/completions"}


def test_12_the_model_stays_inside_a_tool_loop(make, sim) -> None:
    """The answer to a tool call goes to the model that made it, even when another became cheaper."""
    llm = make().bind_tools([add])
    first = llm.invoke("add 1 and 2", routing={"models": ["gpt-5.4"], "at_least": None})
    history = [HumanMessage("add 1 and 2"), first, ToolMessage("3", tool_call_id=first.tool_calls[0]["id"])]
    assert llm.invoke(history).response_metadata["routing"]["model"] == "gpt-5.4"
    assert sim.refused == []


@pytest.mark.parametrize("how", ["keyword", "setting"])
def test_12_stored_state_pins_its_model(make, sim, how: str) -> None:
    """A request that refers to a stored response goes to the model that stored it."""
    llm = make(use_responses_api=True, use_previous_response_id=how == "setting")
    first = llm.invoke("Remember 7", model="gpt-5.4")
    if how == "setting":
        second = llm.invoke([HumanMessage("Remember 7"), first, HumanMessage("Which number?")])
    else:
        history = [first, HumanMessage("Which number?")]
        second = llm.invoke(history, previous_response_id=first.response_metadata["id"])
    assert routing(second)["model"] == "gpt-5.4"
    assert sim.journal[1].body["previous_response_id"] == first.response_metadata["id"]
    assert sim.refused == []


@pytest.mark.parametrize("kind", ["web_search", "code_interpreter"])
def test_13_hosted_tools_choose_model_and_endpoint(make, sim, kind: str) -> None:
    """A hosted tool forces Responses and a model that offers it."""
    definition = {"type": kind, **({"container": {"type": "auto"}} if kind == "code_interpreter" else {})}
    answer = make().bind_tools([definition]).invoke("Look it up")
    assert sim.journal[0].path.endswith("/responses")
    assert answer.text
    assert sim.refused == []


def test_13_a_namespace_goes_where_tools_are_searched(make, sim) -> None:
    """Tools in a namespace, to be found by tool search, go to a model that has both."""
    inner = {
        "type": "function",
        "name": "list_orders",
        "defer_loading": True,
        "parameters": {"type": "object"},
    }
    space = {"type": "namespace", "name": "crm", "description": "Customers", "tools": [inner]}
    decision = make().explain("Orders?", tools=[space, {"type": "tool_search"}])
    against = {c.model for c in decision.candidates if c.reasons and c.reasons[0].code == "builtin_tool"}
    assert decision.endpoint == "responses"
    assert {"gpt-4.1", "gpt-5"} <= against
    assert decision.model not in against


def test_12_an_answer_of_plain_chatopenai_is_known(make, plain, sim) -> None:
    """History made by ChatOpenAI names its model, so that the incumbent is known."""
    history = [HumanMessage("Hello"), plain.invoke("Hello"), HumanMessage("thanks")]
    assert isinstance(history[1], AIMessage)
    assert make().explain(history).facts.previous.model == "gpt-4o"
