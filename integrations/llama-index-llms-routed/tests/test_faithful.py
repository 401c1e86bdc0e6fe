"""What worked with the framework's own class works the same: kinds that public bug reports name."""

from __future__ import annotations

import asyncio
import json
import pickle
from contextvars import copy_context
from datetime import date
from pathlib import Path
from typing import Any

import openai
import pytest
from llama_index.core.base.llms.types import ChatMessage, ImageBlock, TextBlock, ToolCallBlock
from llama_index.core.tools import FunctionTool
from llama_index.llms.routed import RoutedLLM, record_routing
from openai.types.chat import ChatCompletion, ChatCompletionChunk

from routed_llm import (
    Budget,
    BudgetExceeded,
    CatalogError,
    MemoryLedger,
    NoModelFits,
    PolicyError,
    RequestError,
    Router,
)
from routed_llm.request.wire import ITEMS

RESPONSES = {"models": ["gpt-5.6-luna"], "at_least": None, "effort": "low"}
CHAT = {"models": ["gpt-4o"], "at_least": None}


def add(a: int, b: int) -> int:
    """Add two numbers."""
    return a + b


ADD = FunctionTool.from_defaults(fn=add)
SPEC = ADD.metadata.to_openai_tool()
HELLO = [ChatMessage(role="user", content="use add to add 3 and 4")]
WAYS = ["chat", "achat", "stream_chat", "astream_chat"]


def ask(llm: RoutedLLM, way: str, messages: Any = HELLO, **given: Any) -> Any:
    """Ask in one of the four ways and return the answer, or a stream's last chunk."""

    async def read() -> Any:
        if way == "achat":
            return await llm.achat(messages, **given)
        return [chunk async for chunk in await llm.astream_chat(messages, **given)][-1]

    if way in ("chat", "stream_chat"):
        found = getattr(llm, way)(messages, **given)
        return found if way == "chat" else list(found)[-1]
    loop = asyncio.new_event_loop()
    try:
        return loop.run_until_complete(read())
    finally:
        loop.run_until_complete(loop.shutdown_asyncgens())
        loop.close()


@pytest.mark.parametrize("way", WAYS)
def test_a_move_to_responses_keeps_the_defaults(make, sim, way) -> None:
    """Tools stay lenient, nothing is stored, and reasoning travels with the conversation."""
    ask(make(policy=RESPONSES), way, tools=[SPEC], extra_body={"prompt_cache_key": "k"})
    entry = sim.journal[-1]
    assert entry.path.endswith("/responses")
    assert entry.body["store"] is False
    assert entry.body["tools"][0]["strict"] is False
    assert entry.body["include"] == ["reasoning.encrypted_content"]
    assert entry.body["prompt_cache_key"] == "k"


@pytest.mark.parametrize("way", WAYS)
def test_a_tool_turn_is_replayed_once_and_in_order(make, sim, way) -> None:
    """Reasoning right before its call, and each call once."""
    llm = make(policy=RESPONSES)
    answer = ask(llm, way, tools=[SPEC])
    call = answer.message.additional_kwargs["tool_calls"][0]
    result = ChatMessage(role="tool", content="7", additional_kwargs={"tool_call_id": call.id})
    again = ChatMessage.model_validate(answer.message.model_dump())  # as a chat store keeps it
    ask(llm, way, [*HELLO, again, result], tools=[SPEC])
    kinds = [item["type"] for item in sim.journal[-1].body["input"]]
    made = [item["type"] for item in answer.message.additional_kwargs[ITEMS]["items"]]
    assert kinds == ["message", *made, "function_call_output"]
    assert sim.refused == []


LONG = "call_" + "0123456789" * 8


@pytest.mark.parametrize(
    "ids", [["c0", "c0"], [LONG], [f"{LONG}a", f"{LONG}b"]], ids=["twice", "long", "alike"]
)
@pytest.mark.parametrize("way", WAYS)
def test_ids_of_calls_that_responses_does_not_take(make, sim, way, ids) -> None:
    """Ids that come again, and long ones of other providers: outputs still belong to their calls."""
    history = [*HELLO]
    for identity in ids:
        call = ToolCallBlock(tool_call_id=identity, tool_name="add", tool_kwargs={"a": 3, "b": 4})
        history.append(ChatMessage(role="assistant", blocks=[call]))
        history.append(ChatMessage("7", role="tool", additional_kwargs={"tool_call_id": identity}))
    ask(make(policy=RESPONSES), way, history, tools=[SPEC])
    sent = [item["call_id"] for item in sim.journal[-1].body["input"] if "call_id" in item]
    assert sent[::2] == sent[1::2]
    assert len(set(sent)) == len(ids)
    assert sim.refused == []


SQL = {"type": "custom", "custom": {"name": "sql", "description": "Runs a query."}}
NAMED = {"type": "custom", "custom": {"name": "sql"}}


@pytest.mark.parametrize("endpoint", ["chat_completions", "responses"])
@pytest.mark.parametrize("way", WAYS)
def test_calls_of_custom_tools_are_read_and_sent_back(make, sim, way, endpoint) -> None:
    """There is no block for what they are called with: it stands as the call's arguments, and goes back."""
    llm = make(policy={"models": ["gpt-5.4"], "at_least": None, "effort": "none", "endpoints": [endpoint]})
    answer = ask(llm, way, tools=[SQL], tool_choice=NAMED)
    (block,) = [one for one in answer.message.blocks if isinstance(one, ToolCallBlock)]
    assert (block.tool_name, bool(block.tool_kwargs)) == ("sql", True)
    result = ChatMessage("7", role="tool", additional_kwargs={"tool_call_id": block.tool_call_id})
    again = ChatMessage.model_validate(answer.message.model_dump())  # as a chat store keeps it
    ask(llm, way, [*HELLO, again, result], tools=[SQL])
    sent = json.dumps(sim.journal[-1].body)
    assert ('"type": "custom"' if endpoint == "chat_completions" else "custom_tool_call_output") in sent
    assert json.dumps(block.tool_kwargs) in sent
    assert sim.refused == []


@pytest.mark.parametrize("policy", [CHAT, RESPONSES], ids=["chat", "responses"])
@pytest.mark.parametrize("way", WAYS)
def test_answers_have_one_shape(make, policy, way) -> None:
    """Usage, reason and choices stand where programs written for Chat Completions read them."""
    answer = ask(
        make(policy=policy),
        way,
        [ChatMessage(role="user", content="Say hello.")],
        tools=[SPEC],
        tool_choice="none",
    )
    assert isinstance(answer.raw, ChatCompletionChunk if "stream" in way else ChatCompletion)
    assert answer.raw.choices[0].finish_reason == "stop"
    assert answer.raw.usage.total_tokens == answer.additional_kwargs["total_tokens"] > 0
    assert answer.message.blocks[0].text == answer.message.content


def test_llms_share_what_is_learned(sim) -> None:
    """LLMs without a router of their own have one, and those with a budget its cool-downs."""
    one, other = (RoutedLLM(api_base=sim.url, api_key="k") for _ in range(2))
    assert one._router() is other._router()
    paid = RoutedLLM(api_base=sim.url, api_key="k", budget=Budget(per_day="1"))
    assert paid._router().cooldowns is one._router().cooldowns


def test_a_policy_may_be_a_file(sim, tmp_path: Path) -> None:
    """As in the command line."""
    path = tmp_path / "p.toml"
    path.write_text('models = ["gpt-4.1"]\n')
    llm = RoutedLLM(api_base=sim.url, api_key="k", policy=str(path), router=Router())
    assert llm.policy is not None
    assert tuple(llm.policy.models) == ("gpt-4.1",)


def test_a_pickle_keeps_the_limits_or_is_refused(sim, tmp_path: Path) -> None:
    """Nothing is taken from the original, and no copy spends what nobody counts."""
    kept = RoutedLLM(
        api_base=sim.url, api_key="k", budget=Budget(per_day="1"), ledger=str(tmp_path / "b.db"), policy=CHAT
    )
    again = pickle.loads(pickle.dumps(kept))
    assert (again.budget, again.policy) == (kept.budget, kept.policy)
    assert again._router().ledger is not None
    before = dict(kept.__dict__)
    lost = RoutedLLM(api_base=sim.url, api_key="k", budget=Budget(per_day="1"))
    with pytest.raises(PolicyError) as caught:
        pickle.dumps(lost)
    assert str(caught.value) == (
        "The budget's book is in the memory of this process and cannot travel with a pickle, whose calls it "
        "would no longer count. Keep it in a file or on a server: ledger='calls.db', or a redis:// URL."
    )
    assert lost.budget is not None
    assert dict(kept.__dict__) == before


def test_a_log_may_be_left_in_another_context(make) -> None:
    """A generator that holds the block is closed by whoever reads it."""

    def answers() -> Any:
        with record_routing() as log:
            yield log
            yield log

    generator = answers()
    log = copy_context().run(next, generator)
    copy_context().run(generator.close)
    make().chat(HELLO)
    assert log == []


def test_event_loops_that_end_leave_nothing_behind(make) -> None:
    """A program that runs a loop for each request keeps no client of any of them."""
    llm = make(policy=CHAT)
    for _ in range(5):
        ask(llm, "achat")
    assert (llm._clients._async, llm._clients._ready) == ({}, {})


def test_what_is_left_out_of_a_message_is_on_record(make) -> None:
    """No endpoint takes back an image that a model has made; the record says so, streamed or not."""
    image = ImageBlock(image=b"\x89PNG", image_mimetype="image/png")
    drawn = ChatMessage(role="assistant", blocks=[TextBlock(text="Here."), image])
    for way in WAYS:
        answer = ask(make(policy=CHAT), way, [ChatMessage(role="user", content="Draw."), drawn, *HELLO])
        assert answer.additional_kwargs["routing"]["changes"][-1] == {
            "parameter": "messages[1].blocks[1]",
            "action": "dropped",
            "before": None,
            "after": None,
            "why": "no endpoint takes back what a model has made",
        }


def test_a_dict_keeps_the_budget(sim, tmp_path: Path) -> None:
    """What limits the calls of an LLM is in its dict, or is wanted again by name."""
    there = {"api_base": sim.url, "policy": CHAT, "budget": Budget(per_day="1")}
    kept = RoutedLLM(api_key="k", ledger=str(tmp_path / "b.db"), **there)
    written = json.loads(json.dumps(kept.to_dict()))
    again = RoutedLLM.from_dict(written, api_key="k")
    assert (again.budget, again.policy, again.ledger.path) == (kept.budget, kept.policy, kept.ledger.path)
    again.chat(HELLO)
    assert [entry.outcome for entry in kept.ledger.entries()] == ["answered"]


@pytest.mark.parametrize(
    ("given", "missing"),
    [
        ({"budget": Budget(per_day="1")}, "ledger"),
        ({"router": Router(budgets=Budget(per_day="1"))}, "router"),
    ],
    ids=["a book in memory", "a router with a budget"],
)
def test_a_dict_that_would_lose_a_limit_is_not_read(sim, given, missing) -> None:
    """The sentence says what to give again; with it the LLM is made."""
    written = RoutedLLM(api_base=sim.url, api_key="k", **given).to_dict()
    with pytest.raises(PolicyError) as caught:
        RoutedLLM.from_dict(dict(written), api_key="k")
    assert str(caught.value) == (
        f"{missing} has no form in a dict, and without it calls would not be limited as they were. "
        f"Give it again: from_dict(data, {missing}=...)."
    )
    found = {"router": Router(), "ledger": MemoryLedger()}[missing]
    assert RoutedLLM.from_dict(dict(written), api_key="k", **{missing: found}).model == "gpt-4o"


def test_a_router_that_cannot_travel_says_what_to_give_in_its_place(sim) -> None:
    """A router holds locks and functions of its process."""
    llm = RoutedLLM(api_base=sim.url, api_key="k", router=Router(clock=lambda: None))
    with pytest.raises(PolicyError, match=r"^router cannot travel with a pickle \(.*\)\. Give the LLM what"):
        pickle.dumps(llm)


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("policy", [CHAT, RESPONSES], ids=["chat", "responses"])
def test_who_spoke_stays_known(make, sim, way, policy) -> None:
    """A speaker's name is sent as OpenAI's own client sends it, or stands before what was said."""
    said = ChatMessage(role="user", content="hi", additional_kwargs={"name": "alice"})
    ask(make(policy=policy), way, [said], tools=[SPEC])
    body = sim.journal[-1].body
    if policy is CHAT:
        assert body["messages"][0] == {"role": "user", "content": "hi", "name": "alice"}
    else:
        assert "alice: hi" in json.dumps(body["input"][0])


def test_a_policy_may_be_assigned_later(make, sim) -> None:
    """In the words that the constructor takes; a copy may have another."""
    llm = make()
    llm.policy = {"models": ["gpt-4.1"]}
    llm.chat(HELLO)
    llm.model_copy(update={"policy": {"models": ["gpt-4o"], "at_least": None}}).chat(HELLO)
    assert [entry.model for entry in sim.journal] == ["gpt-4.1", "gpt-4o"]


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("given", [{}, {"web_search_options": {"search_context_size": "low"}}])
def test_a_baseline_that_searches_is_replaced_by_one_that_does(make, sim, way, given) -> None:
    """Once it is shut down, others search with the hosted tool."""
    sim.at = date(2027, 1, 15)
    llm = make(model="gpt-4o-search-preview", router=Router(clock=lambda: date(2027, 1, 15)))
    ask(llm, way, [ChatMessage(role="user", content="News?")], **given)
    options = given.get("web_search_options", {})
    assert sim.journal[-1].body["tools"] == [{"type": "web_search", **options}]


@pytest.mark.parametrize("way", WAYS)
def test_text_alone_is_what_every_model_writes(make, sim, way) -> None:
    """modalities=["text"] is refused by models that know no other."""
    assert ask(make(modalities=["text"], policy=RESPONSES), way, [ChatMessage(role="user", content="Hi")])
    assert (sim.refused, sim.journal[-1].body.get("modalities")) == ([], None)


BROKEN = [ChatMessage(role="user", blocks=[ImageBlock(url="data:image/png;base64,AAAA")])]


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize(
    ("given", "messages", "kinds", "code"),
    [
        pytest.param(
            {"model": "gpt-4o-typo"},
            HELLO,
            (CatalogError, openai.NotFoundError),
            "model_not_found",
            id="unknown",
        ),
        pytest.param(
            {"policy": {"models": ["gpt-4.1-nano"], "at_least": None}},
            HELLO,
            (NoModelFits, openai.NotFoundError),
            "model_not_found",
            id="gone",
        ),
        pytest.param(
            {"policy": CHAT},
            [ChatMessage("word " * 200_000)],
            (NoModelFits, openai.BadRequestError),
            "context_length_exceeded",
            id="too long",
        ),
        pytest.param(
            {"policy": CHAT, "additional_kwargs": {"service_tier": "flex"}},
            HELLO,
            (NoModelFits, openai.BadRequestError),
            None,
            id="nothing has it",
        ),
        pytest.param({}, BROKEN, (RequestError, openai.BadRequestError), None, id="broken"),
        pytest.param(
            {},
            [ChatMessage("The caf\ud83d is open")],
            (RequestError, openai.BadRequestError),
            None,
            id="half a character",
        ),
        pytest.param(
            {"budget": Budget(total="0.0000001")},
            HELLO,
            (BudgetExceeded, openai.RateLimitError),
            "budget_exceeded",
            id="no money",
        ),
    ],
)
def test_what_refuses_a_call_is_the_sdks_error_too(make, sim, way, given, messages, kinds, code) -> None:
    """Handlers that were written for OpenAI's class catch it, and nothing is tried again."""
    with pytest.raises(kinds[0]) as caught:
        ask(make(**given), way, messages)
    error: Any = caught.value
    assert all(isinstance(error, kind) for kind in kinds)
    assert (error.code, error.body["message"], error.message) == (code, str(error), str(error))
    assert error.status_code == error.response.status_code
    assert sim.journal == []
