"""Which model, effort and endpoint: pools, pins, efforts, endpoints, incumbents, conversations."""
# ruff: noqa: E501 - tables of one case a row

from __future__ import annotations

from dataclasses import replace
from datetime import date
from typing import Any

import pytest
from core_support import AFTER, CATALOG, REVIEW, TODAY, decide, facts, router, whole

from routed_llm import CatalogError, Policy, PolicyError, Previous, select

IMAGE: dict[str, Any] = {"images": [(1_024, 768)]}

CHOICES = [
    # what, facts, policy, model@effort, endpoint
    ("plain text", facts(), {}, "gpt-5.6-luna@low", "chat_completions"),
    ("an image", facts(**IMAGE), {}, "gpt-5.6-luna@low", "chat_completions"),
    ("tools with reasoning go to Responses", facts(tools=1), {}, "gpt-5.6-luna@low", "responses"),
    ("tools without reasoning stay", facts(tools=1), {"models": "gpt-5.4*", "effort": "none", "at_least": None}, "gpt-5.4-nano@none",
     "chat_completions"),
    ("stop stays on Chat Completions", facts(parameters={"stop": ["x"]}), {}, "gpt-4o", "chat_completions"),
    ("tools and stop", facts(tools=1, parameters={"stop": ["x"]}), {}, "gpt-4.1", "chat_completions"),
    ("an image in a tool message", facts(tools=1, tool_inputs=["image"], **IMAGE), {"models": "gpt-4o"}, "gpt-4o",
     "responses"),
    ("a file that is no PDF", facts(inputs=["file"]), {"models": "gpt-4o"}, "gpt-4o", "responses"),
    ("a PDF", facts(pdf_pages=3), {"models": "gpt-4o"}, "gpt-4o", "chat_completions"),
    ("audio in", facts(audio_seconds=5), {}, "gpt-audio-1.5", "chat_completions"),
    ("audio out", facts(outputs=["text", "audio"]), {}, "gpt-audio-1.5", "chat_completions"),
    ("forced to Responses", facts(endpoint="responses"), {}, "gpt-5.6-luna@low", "responses"),
    ("forced to Chat Completions with tools", facts(endpoint="chat_completions", tools=1), {"models": "gpt-5.4*",
     "at_least": None}, "gpt-5.4-nano@none", "chat_completions"),
    ("a hosted tool", facts(builtin_tools=["web_search"]), {"models": "gpt-4o"}, "gpt-4o", "responses"),
    ("max effort is Responses only", facts(effort="max"), {}, "gpt-5.6-luna@max", "responses"),
    ("structured output", facts(structured="json_schema"), {}, "gpt-5.6-luna@low", "chat_completions"),
    ("effort as a constraint", facts(effort="high"), {}, "gpt-5.6-luna@high", "chat_completions"),
    ("effort none admits models that do not reason", facts(effort="none"), {"models": ["gpt-4o-mini", "gpt-5.5"],
     "at_least": None}, "gpt-4o-mini", "chat_completions"),
    ("effort of the policy", facts(), {"effort": "xhigh"}, "gpt-5.6-luna@xhigh", "chat_completions"),
    ("the call's effort before the policy's", facts(effort="low"), {"effort": "xhigh"}, "gpt-5.6-luna@low",
     "chat_completions"),
    ("no floor", facts(), {"at_least": None}, "gpt-4o-mini", "chat_completions"),
    ("gpt-6 only when asked for", facts(), {"models": ["gpt-5*", "gpt-6-luna"]}, "gpt-6-luna@low", "chat_completions"),
    ("a reasoning summary prefers Responses", facts(parameters={"reasoning": {"summary": "auto"}}), {},
     "gpt-5.6-luna@low", "responses"),
    ("state that a model holds", facts(locked_to="gpt-5.4", endpoint="responses"), {}, "gpt-5.4@none", "responses"),
    ("state of a model that is gone", facts(locked_to="gpt-4.1-nano", endpoint="responses"), {}, "gpt-5.6-luna@low",
     "responses"),
]  # fmt: skip


@pytest.mark.parametrize(
    ("asked", "policy", "chosen", "endpoint"),
    [item[1:] for item in CHOICES],
    ids=[item[0] for item in CHOICES],
)
def test_choices(asked: Any, policy: dict[str, Any], chosen: str, endpoint: str) -> None:
    """The cheapest configuration that can serve the request and is good enough, where it can be served."""
    decision = decide(asked, **policy)
    assert decision.chosen is not None
    assert (decision.chosen.name, decision.endpoint) == (chosen, endpoint)


PINS = [
    # named, effort asked, what is sent, effort sent
    ("gpt-4o", None, "gpt-4o", None),
    ("gpt-4o-2024-08-06", None, "gpt-4o-2024-08-06", None),
    ("GPT-4o", None, "gpt-4o", None),
    ("GPT-4o-2024-08-06", None, "gpt-4o-2024-08-06", None),
    ("gpt-5.6", None, "gpt-5.6", "medium"),
    ("gpt-5.4", None, "gpt-5.4", "none"),
    ("gpt-5.4", "high", "gpt-5.4", "high"),
    ("gpt-5", "xhigh", "gpt-5", "high"),
    ("gpt-5-pro", None, "gpt-5-pro", "high"),
    ("ft:gpt-4o:Org::Ab1", None, "ft:gpt-4o:Org::Ab1", None),
]


@pytest.mark.parametrize(
    ("named", "asked", "sent", "effort"), PINS, ids=[f"{item[0]} {item[1]}" for item in PINS]
)
def test_pins(named: str, asked: str | None, sent: str, effort: str | None) -> None:
    """A model named for the call is sent as it was named, at its default effort or the nearest to the asked one."""
    decision = decide(facts(model=named, effort=asked), optimize="quality", exclude="nothing*")
    assert decision.call is not None
    assert (decision.call.model, decision.call.effort) == (sent, effort)
    assert decision.why == f"this call names {named}"
    assert decision.baseline is None


def test_a_pin_passes_the_floor_and_the_pool() -> None:
    """Who names a model wants it, whatever the pool and the floor say; what it cannot do it still cannot."""
    assert decide(facts(model="gpt-4o-mini"), models="gpt-5*").model == "gpt-4o-mini"
    assert decide(facts(model="gpt-4o-mini", audio_seconds=3)).model is None
    assert decide(facts(200_000, model="gpt-4o-mini")).model is None


def test_a_lone_model_at_an_effort_it_has_not() -> None:
    """A pool of one answers at the nearest effort, and says so."""
    decision = decide(facts(), models="gpt-5.4", effort="max")
    assert decision.effort == "xhigh"
    assert decision.why == "the pool holds no model but gpt-5.4; its nearest effort to max is xhigh"
    exact = decide(facts(), models="gpt-5.4", effort="low")
    assert exact.why == "the pool holds no model but gpt-5.4"


@pytest.mark.parametrize("where", ["models", "baseline", "incumbent"])
def test_a_snapshot_that_a_policy_names_is_what_is_sent(where: str) -> None:
    """A policy that names a snapshot means that snapshot, not the alias that may move."""
    given: dict[str, Any] = {"models": "gpt-4o*", where: "gpt-4o-2024-11-20"}
    call = decide(facts(parameters={"stop": ["x"]}), **given).call
    assert call is not None
    assert call.model == "gpt-4o-2024-11-20"


def test_unknown_names() -> None:
    """A model that nobody knows is a CatalogError, a pattern that matches nothing a PolicyError."""
    with pytest.raises(CatalogError, match="no model is called 'gpt-9'"):
        decide(facts(model="gpt-9"))
    with pytest.raises(CatalogError, match="no model is called 'gpt-9'"):
        decide(facts(), baseline="gpt-9")
    with pytest.raises(PolicyError) as caught:
        decide(facts(), models=["gpt-4o", "gtp-5*"])
    assert str(caught.value) == (
        "models: the pattern 'gtp-5*' matches no model. The nearest ids are gpt-5, gpt-5.5, gpt-5.4."
    )


def back(model: str, **given: Any) -> Previous:
    """Make the turn before."""
    return Previous(model=model, **given)


CONVERSATIONS = [
    ("a tool loop stays where it began", facts(tools=1, previous=back("gpt-4o", in_tool_loop=True)), "gpt-4o",
     "chat_completions", "gpt-4o made the tool calls that this request answers"),
    ("a tool loop stays on its endpoint", facts(tools=1, previous=back("gpt-4o", endpoint="responses",
     in_tool_loop=True)), "gpt-4o", "responses", "gpt-4o made the tool calls that this request answers"),
    ("a tool loop moves when its model cannot go on", facts(200_000, tools=1, previous=back("gpt-4o",
     in_tool_loop=True)), "gpt-5.6-luna", "responses", None),
    ("a conversation moves when that saves", facts(previous=back("gpt-4o", prefix_tokens=500, age=5)), "gpt-5.6-luna",
     "chat_completions", None),
    ("a conversation at a dearer effort stays with its model", facts(previous=back("gpt-5.6-luna", effort="medium",
     prefix_tokens=900)), "gpt-5.6-luna", "chat_completions", None),
]  # fmt: skip


@pytest.mark.parametrize(
    ("asked", "model", "endpoint", "why"),
    [item[1:] for item in CONVERSATIONS],
    ids=[item[0] for item in CONVERSATIONS],
)
def test_conversations(asked: Any, model: str, endpoint: str, why: str | None) -> None:
    """Who answered before goes on where leaving would lose more than it saves."""
    decision = decide(asked)
    assert (decision.model, decision.endpoint) == (model, endpoint)
    if why is not None:
        assert decision.why == why


@pytest.mark.parametrize(
    ("age", "cached"), [(None, 8_960), (10.0, 8_960), (300.0, 8_960), (301.0, 0)], ids=str
)
def test_a_cached_prefix_is_read_while_it_lasts(age: float | None, cached: int) -> None:
    """Cached lengths are multiples of 128 tokens; five minutes after the last call there is none."""
    asked = facts(10_000, previous=back("gpt-4o", prefix_tokens=9_000, age=age))
    chosen = decide(asked, models="gpt-4o").chosen
    assert chosen is not None
    assert chosen.cached_tokens == cached


@pytest.mark.parametrize(
    ("policy", "asked", "model"),
    [
        pytest.param({"incumbent": "gpt-4o"}, facts(), "gpt-4o", id="serves"),
        pytest.param({"incumbent": "gpt-4o"}, facts(audio_seconds=1), "gpt-audio-1.5", id="cannot hear"),
        pytest.param({"incumbent": "gpt-4o"}, facts(cap=16_385), "gpt-5.6-luna", id="cannot write so much"),
        pytest.param({"incumbent": "gpt-4o", "exclude": "gpt-4o"}, facts(), "gpt-5.6-luna", id="is excluded"),
        pytest.param({"incumbent": "gpt-4o", "grace": 53}, facts(), "gpt-5.6-luna", id="is within its grace"),
        pytest.param({"incumbent": "gpt-4o", "grace": 52}, facts(), "gpt-4o", id="is a day outside it"),
    ],
)
def test_an_incumbent_stays_until_it_cannot_serve(policy: dict[str, Any], asked: Any, model: str) -> None:
    """Shutdown is on 2027-01-14, 53 days after the day of these cases."""
    assert decide(asked, **policy).model == model


def test_nothing_goes_to_a_model_that_is_shut_down() -> None:
    """On 2027-01-15 no call goes to gpt-4o or gpt-4.1, not even one that nothing else can take."""
    for asked in (facts(), facts(300_000), facts(tools=2), facts(**IMAGE), facts(parameters={"stop": ["x"]})):
        for policy in ({}, {"at_least": None}, {"incumbent": "gpt-4o"}, {"optimize": "quality"}):
            model = decide(asked, AFTER, **policy).model
            assert model is None or not model.startswith(("gpt-4o", "gpt-4.1"))


@pytest.mark.parametrize(("at", "count"), [(REVIEW, 13), (TODAY, 17)], ids=["April", "today"])
def test_the_default_pool_is_what_is_out(at: Any, count: int) -> None:
    """Models that are not released yet are not listed; retired ones are, with their reason."""
    decision = decide(facts(), at)
    listed = {candidate.model for candidate in decision.candidates}
    assert all(CATALOG.get(model).lifecycle.released <= at for model in listed)
    assert not any(model.startswith(("gpt-6", "gpt-audio", "gpt-realtime")) for model in listed)
    assert not any(model.endswith("-pro") for model in listed)
    assert len(listed) == count


def test_select_needs_no_router() -> None:
    """The pure function and the router say the same."""
    asked = facts(3_000, tools=2)
    pure = select(asked, policy=Policy(), catalog=CATALOG, at=TODAY)
    assert router().decide(whole(asked)).record() == pure.record()


@pytest.mark.parametrize(
    ("model", "recalled", "switched"),
    [("gpt-6.2-sol", 0, True), ("gpt-6.2-sol", 30_000, False), ("gpt-5.2", 30_000, True)],
    ids=["nothing was thought", "much was thought", "a model that is shown none of it"],
)
def test_what_was_thought_is_lost_with_its_model(model: str, recalled: int, switched: bool) -> None:
    """Reasoning that is handed back can be read by the model that thought it: another would think it again."""
    asked = facts(
        4_000, previous=back(model, effort="low", endpoint="responses", prefix_tokens=3_900 + recalled)
    )
    asked = replace(asked, framed=asked.framed._replace(replies=1, recalled=recalled))
    decision = decide(asked, date(2026, 12, 1), models=[model, "gpt-5.6-luna"], effort="low", at_least=None)
    assert decision.switch is not None
    assert decision.switch.switched is switched
