"""Conversation hygiene: reasoning items, ids and tool calls, over turns, models and endpoints."""

from __future__ import annotations

from typing import Any

import pytest
from langchain_core.messages import AIMessage, HumanMessage, ToolMessage
from langchain_core.tools import tool

from routed_llm import NoModelFits

from .helpers import merged, png, routing


@tool
def add(a: int, b: int) -> int:
    """Add two numbers."""
    return a + b


REASONS = {"models": ["gpt-5.4"], "at_least": None, "effort": "high"}
FORMS = {
    "plain": {},
    "responses/v1": {"output_version": "responses/v1"},
    "v1": {"output_version": "v1"},
    "v0": {"output_version": "v0", "use_responses_api": True},
}


def ask(llm: Any, history: list[Any], how: str, **kwargs: Any) -> AIMessage:
    if how == "stream":
        return merged(list(llm.stream(history, **kwargs)))
    return llm.invoke(history, **kwargs)


def loop(llm: Any, sim: Any, how: str, turns: int = 2) -> list[Any]:
    """Run tool loops: each turn the model calls the tool twice before it answers."""
    history: list[Any] = []
    for turn in range(turns):
        history.append(HumanMessage(f"add 1 and {turn}"))
        for step in range(2):
            sim.script(tool_calls=[("add", {"a": step, "b": turn})], reasoning_tokens=64)
            answer = ask(llm, history, how)
            assert [call["name"] for call in answer.tool_calls] == ["add"]
            history += [answer, ToolMessage(str(step + turn), tool_call_id=answer.tool_calls[0]["id"])]
        sim.script(text="Done.", reasoning_tokens=64)
        history.append(ask(llm, history, how))
    return history


def reasoning_sent(body: dict[str, Any]) -> list[dict[str, Any]]:
    return [item for item in body["input"] if item.get("type") == "reasoning"]


@pytest.mark.parametrize("how", ["invoke", "stream"])
@pytest.mark.parametrize("settings", FORMS.values(), ids=FORMS.keys())
@pytest.mark.parametrize("store", [None, False], ids=["stored", "zdr"])
def test_a_tool_loop_on_responses_keeps_its_reasoning(
    make, sim, settings: dict[str, Any], how: str, store: bool | None
) -> None:
    """Over several turns every request carries the reasoning of the ones before it; no request is refused."""
    llm = make(policy=REASONS, store=store, **settings).bind_tools([add])
    history = loop(llm, sim, how)
    assert sim.refused == []
    bodies = [entry.body for entry in sim.journal]
    assert all(entry.path.endswith("/responses") for entry in sim.journal)
    if settings.get("output_version") != "v0":  # that form keeps one reasoning item a message
        assert [len(reasoning_sent(body)) for body in bodies] == list(range(len(bodies)))
    if store is False:
        assert all("reasoning.encrypted_content" in body["include"] for body in bodies)
        assert all(item["encrypted_content"] for body in bodies for item in reasoning_sent(body))
        assert routing(history[1])["changes"][-1]["parameter"] == "include"
    if not settings:
        assert all(isinstance(m.content, str) for m in history)


@pytest.mark.parametrize("how", ["invoke", "stream"])
@pytest.mark.parametrize("settings", [FORMS["plain"], FORMS["v1"]], ids=["plain", "v1"])
@pytest.mark.parametrize("store", [None, False], ids=["stored", "zdr"])
@pytest.mark.parametrize("to", ["gpt-5.6-luna", "gpt-4.1", "gpt-5.2-pro", "gpt-4o"])
def test_another_model_gets_no_items_of_the_first(
    make, sim, settings: dict[str, Any], how: str, store: bool | None, to: str
) -> None:
    """After a switch the text and tool calls go on; reasoning items and item ids stay behind."""
    llm = make(policy=REASONS, store=store, **settings).bind_tools([add])
    history = [*loop(llm, sim, how, turns=1), HumanMessage("And now?")]
    sim.reset()
    ask(llm, history, how, model=to, routing={"models": None, "effort": None})
    (entry,) = sim.journal
    assert entry.model == to
    assert sim.refused == []
    sent = str(entry.body)
    assert "encrypted_content'" not in sent.replace("reasoning.encrypted_content", "")
    for mark in ("'rs_", "'msg_", "'fc_", "routed_items"):
        assert mark not in sent, mark
    for kept in ("add 1 and 0", "Done.", "And now?", "'add'"):
        assert kept in sent


def test_coming_back_brings_the_items_back(make, sim) -> None:
    """What was left out for another model is still there for the one it came from."""
    llm = make(policy=REASONS).bind_tools([add])
    history = [*loop(llm, sim, "invoke", turns=1), HumanMessage("And now?")]
    history += [
        llm.invoke(history, model="gpt-4.1", routing={"models": None, "effort": None}),
        HumanMessage("Again"),
    ]
    llm.invoke(history)
    assert len(reasoning_sent(sim.journal[-1].body)) == 3
    assert sim.refused == []


def test_an_edited_answer_is_sent_as_edited(make, sim) -> None:
    """What the user made of an answer is sent; the item id of the unedited text is not."""
    llm = make(policy={"models": ["gpt-5.2-pro"], "at_least": None})
    answer = llm.invoke("Hi")
    edited = answer.model_copy(update={"content": "Something else entirely."})
    llm.invoke([HumanMessage("Hi"), edited, HumanMessage("And?")])
    sent = str(sim.journal[1].body)
    assert "Something else entirely." in sent
    assert answer.content[:20] not in sent
    assert "'msg_" not in sent
    assert sim.refused == []


def test_encrypted_reasoning_stays_with_its_model_until_it_cannot(make, sim) -> None:
    """It locks the conversation to the model that can read it; when that one cannot serve, it is left out."""
    llm = make(policy=REASONS, store=False, use_responses_api=True)
    sim.script(text="One.", reasoning_tokens=64)
    first = llm.invoke("Hi")
    anywhere = {"routing": {"models": None, "effort": None, "at_least": None}}
    stay = llm.explain([HumanMessage("Hi"), first, HumanMessage("And?")], **anywhere)
    assert (stay.model, stay.facts.locked_to) == ("gpt-5.4", "gpt-5.4")
    longer = llm.invoke([HumanMessage("Hi"), first, HumanMessage("word " * 950_000)], **anywhere)
    assert routing(longer)["model"] != "gpt-5.4"
    assert reasoning_sent(sim.journal[1].body) == []
    assert sim.refused == []


def test_state_of_the_provider_is_never_given_up(make, sim) -> None:
    """A stored response that only its model can continue is not silently left out."""
    llm = make(use_responses_api=True)
    first = llm.invoke("Hi", model="gpt-5.4")
    with pytest.raises(NoModelFits, match=r"gpt-5\.4"):
        llm.invoke(
            [first, HumanMessage("word " * 1_000_000)], previous_response_id=first.response_metadata["id"]
        )
    assert len(sim.journal) == 1


CUSTOM = {"id": "c1", "type": "custom", "custom": {"name": "sql", "input": "select 1"}}
FUNCTION = {"id": "c2", "type": "function", "function": {"name": "add", "arguments": "{}"}}


@pytest.mark.parametrize("settings", [{}, {"use_responses_api": True}], ids=["moved", "asked for"])
@pytest.mark.parametrize(
    ("answer", "said"),
    [
        pytest.param(
            AIMessage("So.", additional_kwargs={"tool_calls": [CUSTOM, FUNCTION]}),
            ["message", "custom_tool_call", "function_call"],
            id="calls of custom tools among its extras",
        ),
        pytest.param(
            AIMessage("", additional_kwargs={"tool_calls": [CUSTOM]}), ["custom_tool_call"], id="only such"
        ),
        pytest.param(
            AIMessage([{"type": "text", "text": "So."}], additional_kwargs={"tool_calls": [CUSTOM]}),
            ["message", "custom_tool_call"],
            id="beside blocks",
        ),
    ],
)
def test_calls_of_custom_tools_go_to_responses(
    make, sim, settings: dict[str, Any], answer: AIMessage, said: list[str]
) -> None:
    """Each call stands once and in order, with its output behind it."""
    llm = make(policy={"models": ["gpt-5.2-pro"], "at_least": None}, **settings)
    calls = answer.additional_kwargs["tool_calls"]
    llm.invoke([HumanMessage("Hi"), answer, *(ToolMessage("1", tool_call_id=call["id"]) for call in calls)])
    outputs = [f"{kind}_output" for kind in said if kind.endswith("_call")]
    assert [item["type"] for item in sim.journal[0].body["input"]] == ["message", *said, *outputs]
    assert sim.refused == []


@pytest.mark.parametrize("settings", [{}, {"use_responses_api": True}], ids=["moved", "asked for"])
def test_a_call_of_a_custom_tool_among_blocks_goes_back_as_it_is(make, sim, settings: dict[str, Any]) -> None:
    """LangChain lists such a call as a function's, too; beside it a function's call stays one."""
    llm = make(policy={"models": ["gpt-5.2-pro"], "at_least": None}, **settings)
    custom = {"type": "custom_tool_call", "id": "ctc_1", "call_id": "c1", "name": "sql", "input": "select 1"}
    function = {"type": "function_call", "call_id": "c2", "name": "add", "arguments": '{"a": 1}'}
    calls = [
        {"type": "tool_call", "name": "sql", "args": {"__arg1": "select 1"}, "id": "c1"},
        {"type": "tool_call", "name": "add", "args": {"a": 1}, "id": "c2"},
    ]
    outputs = [
        ToolMessage([{"type": "custom_tool_call_output", "output": "1"}], tool_call_id="c1"),
        ToolMessage("2", tool_call_id="c2"),
    ]
    llm.invoke([HumanMessage("Hi"), AIMessage([custom, function], tool_calls=calls), *outputs])
    assert sim.journal[0].body["input"][1:] == [
        custom,
        function,
        {"type": "custom_tool_call_output", "call_id": "c1", "output": "1"},
        {"type": "function_call_output", "call_id": "c2", "output": "2"},
    ]
    assert sim.refused == []


@pytest.mark.parametrize("settings", [{}, {"use_responses_api": True}], ids=["moved", "asked for"])
@pytest.mark.parametrize(
    ("content", "extra", "said"),
    [
        pytest.param([{"type": "text", "text": "Yes."}], {}, "Bob: Yes.", id="blocks"),
        pytest.param("Yes.", {}, "Bob: Yes.", id="text"),
        pytest.param("", {"refusal": "No."}, "Bob:", id="a refusal"),
    ],
)
def test_who_spoke_is_known_on_responses(
    make, sim, settings: dict[str, Any], content: Any, extra: dict[str, Any], said: str
) -> None:
    """Of several assistants each is named, however its message is written."""
    llm = make(policy={"models": ["gpt-5.2-pro"], "at_least": None}, **settings)
    bob = AIMessage(content, name="Bob", additional_kwargs=extra)
    llm.invoke([HumanMessage("Hi"), bob, AIMessage("No.", name="Eve"), HumanMessage("And?")])
    (item,) = sim.journal[0].body["input"][1:2]
    text = item["content"] if isinstance(item["content"], str) else item["content"][0]["text"]
    assert text == said


def test_the_incumbent_is_known(make, sim) -> None:
    """The turn before tells model, effort, endpoint and prefix, so that switching can be priced."""
    llm = make()
    answer = llm.invoke("Hi")
    previous = llm.explain([HumanMessage("Hi"), answer, HumanMessage("thanks")]).facts.previous
    record = routing(answer)
    assert (previous.model, previous.effort, previous.endpoint) == (
        record["model"],
        record["effort"],
        record["endpoint"],
    )
    assert previous.prefix_tokens == sim.journal[0].used.prompt
    assert previous.in_tool_loop is False


@pytest.mark.parametrize(
    ("tail", "inside"),
    [
        pytest.param([ToolMessage("3", tool_call_id="call_1")], True, id="answered"),
        pytest.param([], False, id="not answered"),
        pytest.param([ToolMessage("3", tool_call_id="call_1"), HumanMessage("stop")], False, id="left"),
    ],
)
def test_a_tool_loop_is_told_from_its_end(make, tail: list[Any], inside: bool) -> None:
    """Inside a tool loop the last messages answer the calls of the last answer."""
    call = {"name": "add", "args": {"a": 1, "b": 2}, "id": "call_1", "type": "tool_call"}
    made = AIMessage("", tool_calls=[call], response_metadata={"routing": {"model": "gpt-5.4"}})
    facts = make().explain([HumanMessage("add"), made, *tail]).facts
    assert facts.previous.in_tool_loop is inside


def test_the_callers_messages_are_not_changed(make, sim) -> None:
    """Fitting a history to a model makes copies."""
    llm = make(policy=REASONS).bind_tools([add])
    history = [*loop(llm, sim, "invoke", turns=1), HumanMessage([{"type": "text-plain", "text": "x"}, "y"])]
    before = [message.model_dump_json() for message in history]
    llm.invoke(history, model="gpt-4.1", routing={"models": None, "effort": None})
    llm.invoke(history)
    assert [message.model_dump_json() for message in history] == before


def test_a_history_of_another_provider_is_taken(make, sim) -> None:
    """Blocks of other providers in an answer leave its text and its tool calls."""
    history = [
        HumanMessage("What is in it?"),
        AIMessage(
            [
                {"type": "thinking", "thinking": "hm", "signature": "s"},
                {"type": "text", "text": "A picture."},
                {"type": "tool_use", "id": "call_1", "name": "add", "input": {}},
            ],
            tool_calls=[{"name": "add", "args": {}, "id": "call_1", "type": "tool_call"}],
            response_metadata={"model_name": "somebody-else-1"},
        ),
        ToolMessage("3", tool_call_id="call_1"),
        HumanMessage([{"type": "image", "base64": png(), "mime_type": "image/png"}]),
    ]
    for model in ("gpt-4.1", "gpt-5.2-pro"):
        make(policy={"at_least": None}).invoke(history, model=model)
        assert "A picture." in str(sim.journal[-1].body)
    assert sim.refused == []


@pytest.mark.parametrize("how", ["invoke", "stream"])
@pytest.mark.parametrize("settings", FORMS.values(), ids=FORMS.keys())
def test_a_stored_turn_can_be_followed_by_one_that_is_not(
    make, sim, settings: dict[str, Any], how: str
) -> None:
    """With store=False the provider looks no reasoning up, and refuses ids of items that came with some."""
    llm = make(
        policy=REASONS, use_responses_api=True, **{k: v for k, v in settings.items() if k == "output_version"}
    )
    sim.script(tool_calls=[("add", {"a": 1, "b": 2})], reasoning_tokens=64)
    history: list[Any] = [HumanMessage("add 1 and 2")]
    answer = ask(llm.bind_tools([add]), history, how)
    history += [answer, ToolMessage("3", tool_call_id=answer.tool_calls[0]["id"])]
    sim.script(text="Done.", reasoning_tokens=64)
    assert ask(llm.bind_tools([add]), history, how, store=False).text == "Done."
    assert sim.refused == []


def test_reasoning_that_travels_stays_beside_reasoning_that_does_not(make) -> None:
    """With store=False what is encrypted goes back to its model; what only the provider has is left out."""
    items = [
        {"type": "reasoning", "id": "rs_1", "summary": []},
        {"type": "reasoning", "id": "rs_2", "summary": [], "encrypted_content": "sealed"},
        {"type": "text", "text": "Done.", "id": "msg_1"},
    ]
    answer = AIMessage(items, response_metadata={"model_name": "gpt-5.4"})
    llm = make(policy=REASONS, use_responses_api=True, output_version="responses/v1", store=False)
    sent = llm._get_request_payload([HumanMessage("Go"), answer, HumanMessage("And?")])["input"]
    assert [item["id"] for item in sent if item.get("type") == "reasoning"] == ["rs_2"]


def test_a_form_with_tools_that_are_not_strict(make, sim) -> None:
    """The SDK refuses both together on Chat Completions, so the call goes to Responses."""
    form = {"name": "city", "schema": {"type": "object", "properties": {}, "title": "city"}}
    llm = make().bind_tools([add])
    answer = llm.invoke("Say hi.", response_format={"type": "json_schema", "json_schema": form})
    assert routing(answer)["endpoint"] == "responses"


@pytest.mark.parametrize("endpoint", [True, None])
def test_the_form_that_is_plain_text(make, sim, endpoint: bool | None) -> None:
    """To ask for text is to ask for nothing, on either endpoint."""
    assert make(use_responses_api=endpoint).invoke("Say hi.", response_format={"type": "text"}).text


@pytest.mark.parametrize("how", ["invoke", "stream"])
@pytest.mark.parametrize("form", FORMS)
def test_what_the_provider_no_longer_has_is_left_out(make, sim, form: str, how: str) -> None:
    """Reasoning that is not found (too old, or never kept) costs a second request and is no error."""
    llm = make(policy=REASONS, max_retries=1, store=True, **FORMS[form]).bind_tools([add])
    history = loop(llm, sim, how, turns=1)
    sim.reset()  # what was stored is gone
    sim.script(text="And again.", reasoning_tokens=64)
    answer = ask(llm, [*history, HumanMessage("once more")], how)
    assert [(entry.status, entry.by) for entry in sim.journal] == [(404, "rule"), (200, "")]
    assert reasoning_sent(sim.journal[0].body)
    sent = sim.journal[1].body["input"]
    assert [item.get("type") for item in sent].count("function_call") == 2
    assert not [item for item in sent if item.get("type") == "reasoning" or item.get("id")]
    assert ("input", "dropped") in [(c["parameter"], c["action"]) for c in routing(answer)["changes"]]
    assert answer.text == "And again."


def test_an_account_for_which_nothing_is_stored_is_found_out(make, sim) -> None:
    """After two searches in vain the reasoning travels with the conversation, and no request is lost."""
    llm = make(policy=REASONS, max_retries=1, store=True).bind_tools([add])
    history: list[Any] = [HumanMessage("add")]
    statuses, asked = [], []
    for turn in range(5):
        sim.reset()  # as where nothing is kept between two calls
        sim.script(tool_calls=[("add", {"a": 1, "b": turn})], reasoning_tokens=64)
        answer = llm.invoke(history)
        history += [answer, ToolMessage("3", tool_call_id=answer.tool_calls[0]["id"])]
        statuses.append([entry.status for entry in sim.journal])
        asked.append(sim.journal[-1].body.get("include"))
    assert statuses == [[200], [404, 200], [404, 200], [200], [200]]
    assert asked == [None, None, ["reasoning.encrypted_content"], *[["reasoning.encrypted_content"]] * 2]
    assert [bool(item.get("encrypted_content")) for item in reasoning_sent(sim.journal[-1].body)] == [
        True,
        True,
    ]


@pytest.mark.parametrize("how", ["invoke", "stream"])
@pytest.mark.parametrize("bound", [False, True], ids=["in the call", "bound"])
def test_a_first_turn_with_no_response_before_it_can_be_followed(make, sim, how: str, bound: bool) -> None:
    """A loop that always names the response before, which is null at first, goes on from what is stored."""
    llm, last = make(), None
    for turn in ("My name is Bob.", "What is my name?"):
        named = {"previous_response_id": last}
        answer = ask(llm.bind(**named), [turn], how) if bound else ask(llm, [turn], how, **named)
        last = answer.response_metadata["id"]
    assert [entry.path for entry in sim.journal] == ["/v1/responses"] * 2
    assert sim.journal[1].body["previous_response_id"].startswith("resp_")
    assert sim.refused == []
