"""What a user gets: one class name changed, every endpoint, each call routed and explained."""

from __future__ import annotations

import asyncio
import json
import threading
from datetime import date
from typing import Any

import pytest
from adapter_fixtures import TODAY
from llama_index.core import Settings
from llama_index.core.base.llms.base import BaseLLM
from llama_index.core.instrumentation import get_dispatcher
from llama_index.core.instrumentation.event_handlers import BaseEventHandler
from llama_index.core.llms import ChatMessage
from llama_index.llms.openai import OpenAI
from llama_index.llms.routed import RoutedLLM, RoutingDecisionEvent, record_routing

from routed_llm import (
    Budget,
    BudgetExceeded,
    Catalog,
    CatalogError,
    Decision,
    NoModelFits,
    Policy,
    PolicyError,
    Router,
)

HELLO = [ChatMessage(role="user", content="What is a tide?")]


def test_class() -> None:
    """The class is an LLM by LlamaIndex's convention, and the OpenAI class by type."""
    names_of_base_classes = [b.__name__ for b in RoutedLLM.__mro__]
    assert BaseLLM.__name__ in names_of_base_classes
    assert issubclass(RoutedLLM, OpenAI)


async def every_endpoint(llm: OpenAI) -> list[Any]:
    """Return the answer, or the last chunk, of each of the eight endpoints."""
    return [
        llm.chat(HELLO),
        llm.complete("What is a tide?"),
        list(llm.stream_chat(HELLO))[-1],
        list(llm.stream_complete("What is a tide?"))[-1],
        await llm.achat(HELLO),
        await llm.acomplete("What is a tide?"),
        [chunk async for chunk in await llm.astream_chat(HELLO)][-1],
        [chunk async for chunk in await llm.astream_complete("What is a tide?")][-1],
    ]


async def test_every_endpoint_says_who_served_and_what_it_cost(make, sim) -> None:
    """The record of each of the eight endpoints names the model served and the bill's dollars."""
    answers = await every_endpoint(make())
    assert len(answers) == len(sim.journal) == 8
    for answer, entry in zip(answers, sim.journal, strict=True):
        record = answer.additional_kwargs["routing"]
        json.dumps(record)
        assert (record["model"], record["served"]) == (entry.model, entry.served)
        assert float(record["cost"]) == pytest.approx(float(entry.dollars))
        assert answer.additional_kwargs["total_tokens"] == entry.used.prompt + entry.used.completion
        assert "tide" in str(answer)
    assert sim.refused == []


async def test_the_plain_class_answers_the_same_calls(plain, sim) -> None:
    """The control: the class that the program had before answers the eight endpoints as well."""
    assert len(await every_endpoint(plain)) == len(sim.journal) == 8


def test_the_baseline_comes_from_the_policy_where_none_is_given() -> None:
    """The policy's baseline is the model's name by default, and `model=` wins over it."""
    assert RoutedLLM().model == Policy().baseline
    assert RoutedLLM(policy=Policy(baseline="gpt-4.1")).model == "gpt-4.1"
    assert RoutedLLM("gpt-5.5", policy=Policy(baseline="gpt-4.1")).model == "gpt-5.5"


def test_an_assigned_baseline_is_the_floor_of_the_next_call(make) -> None:
    """`llm.model = ...` moves the floor."""
    llm = make()
    assert llm.explain("Hello.").baseline == "gpt-4o"
    llm.model = "gpt-5.5"
    assert llm.explain("Hello.").baseline == "gpt-5.5"


@pytest.mark.parametrize("name", ["gpt-5.2-pro", "gpt-5.6", "gpt-5.5-pro"])
def test_baselines_that_the_framework_s_tables_refuse(make, sim, name) -> None:
    """A model that upstream's class cannot be made with, or cannot name a window of, is a baseline too."""
    llm = make(model=name, temperature=0.3)
    assert (llm.metadata.model_name, llm.temperature) == (name, 0.3)
    assert llm.metadata.context_window >= 64_000
    assert llm.complete("Hello.").text
    assert sim.refused == []


def test_a_model_given_to_a_call_is_used_for_it(make, sim) -> None:
    """`model=` pins one call; the next is routed again."""
    llm = make()
    assert llm.chat(HELLO, model="gpt-4.1").additional_kwargs["routing"]["model"] == "gpt-4.1"
    assert llm.chat(HELLO).additional_kwargs["routing"]["model"] != "gpt-4.1"
    assert sim.journal[0].model == "gpt-4.1"


def test_a_policy_given_to_a_call_is_used_for_it(make, sim) -> None:
    """`routing=` changes the policy of one call, in part or whole, and is not sent."""
    llm = make(policy={"exclude": ["gpt-5.6*"]})
    kept = llm.chat(HELLO, routing={"exclude": ["gpt-5*"]}).additional_kwargs["routing"]["model"]
    assert not kept.startswith("gpt-5")
    assert llm.explain(HELLO, routing=Policy(models=["gpt-4.1"], at_least=None)).model == "gpt-4.1"
    assert "routing" not in sim.journal[0].body
    with pytest.raises(PolicyError) as caught:
        llm.chat(HELLO, routing="cheap")
    assert str(caught.value) == "routing is a str. Give a dict of Policy keywords or a Policy."


def test_budgets_hold_in_both_kinds_of_code(make, sim) -> None:
    """A budget of the router is drawn on by each call, and stops the one that it cannot pay."""
    router = Router(clock=lambda: TODAY, budgets=Budget(per_day="0.002"))
    llm = make(router=router)
    remaining = llm.chat(HELLO).additional_kwargs["routing"]["remaining"]
    assert remaining

    async def spend() -> None:
        for _ in range(40):
            await llm.achat(HELLO)

    with pytest.raises(BudgetExceeded):
        asyncio.run(spend())
    assert 1 < len(sim.journal) < 40
    assert float(sim.billed) <= 0.002
    with pytest.raises(BudgetExceeded):
        llm.stream_chat(HELLO)


def test_explain_sends_nothing(make, sim) -> None:
    """explain returns the Decision that chat would make, and none where nothing fits."""
    llm = make()
    decision = llm.explain(HELLO, temperature=0.2)
    assert isinstance(decision, Decision)
    assert decision.model == llm.chat(HELLO, temperature=0.2).additional_kwargs["routing"]["model"]
    assert make(policy=Policy(max_cost_per_call=0)).explain("Hello.").chosen is None
    assert len(sim.journal) == 1


def test_nothing_is_sent_when_nothing_fits(make, sim) -> None:
    """NoModelFits is raised before a request, from a stream's own call as well."""
    llm = make(policy=Policy(max_cost_per_call=0))
    for call in (llm.chat, llm.stream_chat):
        with pytest.raises(NoModelFits):
            call(HELLO)
    assert sim.journal == []


@pytest.mark.parametrize(
    ("kwargs", "error", "text"),
    [
        pytest.param(
            {"policy": {"optimise": "cost"}},
            PolicyError,
            "'optimise' is not a keyword of Policy. Did you mean 'optimize'?",
            id="keyword",
        ),
        pytest.param(
            {"policy": Policy(), "model": " "},
            PolicyError,
            "baseline=' ' is not a model id. Give a string such as 'gpt-4o'.",
            id="baseline",
        ),
    ],
)
def test_a_wrong_policy_is_refused_by_the_constructor(kwargs, error, text) -> None:
    """A mistake in the policy does not wait for the first call."""
    with pytest.raises(error) as caught:
        RoutedLLM(**kwargs)
    assert str(caught.value) == text


def test_an_unknown_baseline_is_an_error_of_the_first_call(make, sim) -> None:
    """A baseline that no catalog entry has is named, with what to do."""
    with pytest.raises(CatalogError, match=r"no model is called 'gpt-2-chat'.*Catalog.with_models"):
        make(model="gpt-2-chat").complete("Hello.")
    assert sim.journal == []


def test_a_catalog_of_one_s_own(make, sim) -> None:
    """A catalog given to the LLM is the one that decides."""
    catalog = Catalog.load().with_models({"house-model": {"base": "gpt-4.1", "sent_as": "gpt-4.1"}})
    llm = make(router=None, catalog=catalog, policy=Policy(models=["house-model"], at_least=None))
    assert llm.complete("Hello.").additional_kwargs["routing"]["model"] == "house-model"
    assert sim.journal[0].model == "gpt-4.1"


def test_no_key_is_shown(make) -> None:
    """The key is in no repr and no to_dict, of the LLM or of what it tells instrumentation."""
    seen: list[Any] = []

    class Handler(BaseEventHandler):
        def handle(self, event: Any, **kwargs: Any) -> None:
            seen.append(event.model_dump_json(fallback=repr))

    handler, root = Handler(), get_dispatcher()
    root.add_event_handler(handler)
    try:
        llm = make(api_key="sk-secret")
        list(llm.stream_chat(HELLO))
    finally:
        root.event_handlers.remove(handler)
    shown = [repr(llm), str(llm), str(llm.to_dict()), llm.to_json(), llm.model_dump_json(), *seen]
    shown += [repr(llm._template), str(llm._template.to_dict())]
    assert len(shown) > 8
    assert not any("sk-secret" in text for text in shown)


def test_settings_take_it(make, sim) -> None:
    """It can be LlamaIndex's global LLM."""
    before = Settings._llm
    try:
        Settings.llm = make()
        assert Settings.llm.complete("Hello.").text
    finally:
        Settings._llm = before


def test_a_decision_is_an_event_before_the_call(make, sim) -> None:
    """RoutingDecisionEvent is on the dispatcher when a call is about to be sent, once."""
    seen: list[tuple[RoutingDecisionEvent, int]] = []

    class Handler(BaseEventHandler):
        def handle(self, event: Any, **kwargs: Any) -> None:
            if isinstance(event, RoutingDecisionEvent):
                seen.append((event, len(sim.journal)))

    handler, root = Handler(), get_dispatcher()
    root.add_event_handler(handler)
    try:
        answer = make().chat(HELLO)
    finally:
        root.event_handlers.remove(handler)
    ((event, before),) = seen
    assert before == 0
    assert (event.model, event.effort) == (answer.raw.model, "low")
    assert event.routing is answer.additional_kwargs["routing"]
    assert RoutingDecisionEvent.class_name() == "RoutingDecisionEvent"


async def test_blocks_of_code_record_their_own_calls(make) -> None:
    """record_routing nests, follows tasks and knows nothing of other tasks."""
    llm = make()

    async def task() -> int:
        with record_routing() as log:
            await asyncio.gather(llm.acomplete("One."), llm.acomplete("Two."))
        return len(log)

    with record_routing() as outer:
        assert await asyncio.gather(task(), task()) == [2, 2]
        with record_routing() as inner:
            llm.complete("Three.")
    llm.complete("Four.")
    assert (len(inner), len(outer)) == (1, 5)
    assert all(record["cost"] for record in outer)


def test_one_llm_serves_many_threads(make, sim) -> None:
    """Calls at once in many threads keep their own models, and share one set of connections."""
    llm, wrong = make(), []
    names = ["gpt-4o", "gpt-4.1", "gpt-5.6-luna", "gpt-5-mini"]

    def ask(name: str) -> None:
        for _ in range(4):
            answer = llm.chat(HELLO, model=name)
            if not (
                answer.raw.model.startswith(name) and answer.additional_kwargs["routing"]["model"] == name
            ):
                wrong.append((name, answer.raw.model))

    threads = [threading.Thread(target=ask, args=(name,)) for name in names * 2]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert wrong == []
    assert len(sim.journal) == 32


def test_models_share_one_connection(make, sim) -> None:
    """Calls to several models, on both endpoints, go over the same connection."""
    llm = make()
    for name in ("gpt-4o", "gpt-4.1", "gpt-5.6-luna"):
        llm.chat(HELLO, model=name)
    llm.chat(HELLO, model="gpt-5.2-pro")
    assert sim.journal[-1].path.endswith("/responses")
    assert sim.connections == 1


def test_a_conversation_stays_where_its_prefix_is_cached(make, sim) -> None:
    """The turn after a long one is known to follow it; another conversation is not."""
    llm = make()
    long = [ChatMessage(role="user", content="The sea is wide. " * 2000)]
    answer = llm.chat(long)
    usage = answer.raw.usage
    follow_up = [*long, answer.message, ChatMessage(role="user", content="Thanks.")]
    previous = llm.explain(follow_up).facts.previous
    assert (previous.model, previous.prefix_tokens) == (
        answer.additional_kwargs["routing"]["model"],
        usage.prompt_tokens,
    )
    assert llm.explain([*HELLO, answer.message, *HELLO]).facts.previous is None


def test_a_loop_of_tool_calls_is_known_by_its_ids(make, sim) -> None:
    """A request that answers tool calls knows who made them, even when the text before has changed."""
    tools = [
        {"type": "function", "function": {"name": "add", "parameters": {"type": "object", "properties": {}}}}
    ]
    llm = make()
    answer = llm.chat([ChatMessage(role="user", content="call the add tool")], tools=tools)
    (block,) = [b for b in answer.message.blocks if b.block_type == "tool_call"]
    result = ChatMessage(role="tool", content="7", additional_kwargs={"tool_call_id": block.tool_call_id})
    previous = llm.explain([*HELLO, answer.message, result], tools=tools).facts.previous
    assert (previous.model, previous.in_tool_loop) == (answer.additional_kwargs["routing"]["model"], True)
    assert previous.prefix_tokens == 0


def test_a_stored_response_is_answered_by_its_own_model(make, sim) -> None:
    """previous_response_id sends the call to the model that gave the response, on Responses."""
    llm = make()
    first = llm.chat(HELLO, model="gpt-4.1", store=True, truncation="auto")
    assert sim.journal[0].path.endswith("/responses")
    second = llm.chat([ChatMessage(role="user", content="And then?")], previous_response_id=first.raw.id)
    assert second.additional_kwargs["routing"]["model"] == "gpt-4.1"
    assert sim.refused == []


@pytest.mark.parametrize(
    ("fields", "window"),
    [
        pytest.param({}, 124_000, id="what gpt-4o takes"),
        pytest.param({"max_tokens": 1000}, 127_000, id="less kept free for a short answer"),
        pytest.param({"context_window": "largest"}, 1_043_000, id="largest of the pool"),
        pytest.param({"context_window": 50_000}, 50_000, id="a number"),
        pytest.param({"model": "gpt-5.5"}, 272_000, id="not above the length that costs double"),
        pytest.param({"policy": {"exclude": ["gpt-5*"]}}, 124_000, id="a smaller pool"),
    ],
)
def test_the_window_that_is_advertised(make, fields, window) -> None:
    """The window is what the baseline and the cheapest model take at the price of a small prompt."""
    assert make(**fields).metadata.context_window == window


def test_the_window_does_not_follow_what_was_learnt(make) -> None:
    """Query engines made before and after some calls pack their prompts alike."""
    before = make().metadata.context_window
    for _ in range(3):
        make().complete("The Baltic Sea is wide, and its tides are small. " * 1_500)
    assert make().metadata.context_window == before


def test_a_baseline_that_is_gone_does_not_count(make) -> None:
    """After its shutdown a baseline does not narrow the window."""
    late = Router(clock=lambda: date(2027, 6, 1))
    assert make(router=late).metadata.context_window > 200_000


def test_a_request_above_the_window_is_routed(make, sim) -> None:
    """The window bounds what LlamaIndex packs, not what is accepted."""
    llm = make()
    answer = llm.complete("The sea is wide and deep. " * 25_000)
    assert sim.journal[0].used.prompt > llm.metadata.context_window
    assert answer.additional_kwargs["routing"]["model"] == sim.journal[0].model
    assert sim.refused == []


def test_the_router_of_the_day(sim) -> None:
    """A router with its own clock decides for its own day."""
    llm = RoutedLLM(router=Router(clock=lambda: TODAY))
    assert llm.explain("Hello.").at == TODAY
