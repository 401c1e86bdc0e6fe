"""Every Reason by its whole sentence, from the smallest request that calls for it; every limit at its edge."""
# ruff: noqa: E501 - tables of one case a row

from __future__ import annotations

from datetime import date
from typing import Any

import pytest
from core_support import CATALOG, REVIEW, TODAY, codes, decide, facts, sentences

from routed_llm import Policy, Previous, select
from routed_llm.budget import Allowance
from routed_llm.decide.constraints import CONSTRAINTS
from routed_llm.reasons import _WORDINGS

UNPRICED = CATALOG.with_models(
    {
        "house": {
            "limits": {"context_window": 9_000, "max_input": 8_000, "max_output": 1_000},
            "inputs": ["text"],
        }
    }
)
FREE: dict[str, Any] = {"at_least": None}


def pool(*models: str, **policy: Any) -> dict[str, Any]:
    """Make the keywords of a policy for a few models, without a floor unless one is given."""
    return {"models": list(models), **FREE, **policy}


FOUR = pool("gpt-4o", "gpt-5.4", "gpt-5.6-luna")
LIST = list("abcde")

# code, the model it stands against, its sentence, facts, policy, day
CASES: list[tuple[str, str, str, Any, dict[str, Any], date]] = [
    ("retired", "gpt-4.1-nano", "gpt-4.1-nano was shut down on 2026-10-23; the provider names gpt-5.6-luna instead",
     facts(), {}, TODAY),
    ("unreleased", "gpt-5.6-luna", "gpt-5.6-luna is released on 2026-07-09, after 2026-04-22",
     facts(), pool("gpt-5.6-luna", "gpt-4o"), REVIEW),
    ("excluded", "gpt-5.6-luna", "the policy excludes gpt-5.6-luna by the pattern *luna",
     facts(), {"exclude": "*luna"}, TODAY),
    ("excluded", "gpt-5.6-sol", "the policy excludes gpt-5.6-sol by the pattern gpt-5.6",
     facts(), {"exclude": ["gpt-4o", "gpt-5.6"], **FREE}, TODAY),
    ("locked", "gpt-5.6-luna", "the request refers to state stored by gpt-5.4", facts(locked_to="gpt-5.4"), {}, TODAY),
    ("endpoint", "gpt-5.2-pro", "gpt-5.2-pro is not offered on chat_completions",
     facts(endpoint="chat_completions"), pool("gpt-5.2-pro", "gpt-4o"), TODAY),
    ("endpoint_forced", "gpt-audio-1.5", "gpt-audio-1.5 would be called on chat_completions, and the call insists on "
     "responses", facts(audio_seconds=3, endpoint="responses"), pool("gpt-audio-1.5", "gpt-audio"), TODAY),
    ("stored", "gpt-4o", "a conversation is stored by the provider, and the policy's store=False forbids that",
     facts(parameters={"conversation": "conv_1"}), pool("gpt-4o", store=False), TODAY),
    ("no_endpoint", "gpt-5.2-pro", "gpt-5.2-pro would be called on responses, which its address does not have",
     facts(), pool("gpt-5.2-pro", "gpt-4o", endpoints=["chat_completions"]), TODAY),
    ("input", "gpt-4o", "gpt-4o takes no audio input", facts(audio_seconds=3), {}, TODAY),
    ("input", "gpt-audio-1.5", "gpt-audio-1.5 takes no image input",
     facts(audio_seconds=3, inputs=["image"]), pool("gpt-audio-1.5"), TODAY),
    ("input_endpoint", "gpt-4o", "chat_completions takes no file in a message",
     facts(inputs=["file"], endpoint="chat_completions"), FOUR, TODAY),
    ("input_endpoint", "gpt-4o", "chat_completions takes no image in a tool message",
     facts(inputs=["image"], tool_inputs=["image"], endpoint="chat_completions"), FOUR, TODAY),
    ("output", "gpt-4o", "gpt-4o gives no audio output", facts(outputs=["text", "audio"]), {}, TODAY),
    ("audio_required", "gpt-audio-1.5", "gpt-audio-1.5 refuses a request without audio in or out",
     facts(), pool("gpt-audio-1.5", "gpt-4o"), TODAY),
    ("tools", "gpt-5-search-api", "gpt-5-search-api takes no tools on chat_completions",
     facts(tools=1), pool("gpt-5-search-api", "gpt-4o"), TODAY),
    ("tools_effort", "gpt-5.4", "gpt-5.4 takes tools on chat_completions only with effort none, not low",
     facts(tools=1, effort="low", endpoint="chat_completions"), FOUR, TODAY),
    ("builtin_tool", "gpt-audio-1.5", "gpt-audio-1.5 does not offer the web_search tool on chat_completions",
     facts(audio_seconds=1, builtin_tools=["web_search"]), pool("gpt-audio-1.5"), TODAY),
    ("structured", "gpt-4o-2024-05-13", "gpt-4o-2024-05-13 does not offer json_schema",
     facts(structured="json_schema"), pool("gpt-4o-2024-05-13", "gpt-4o"), REVIEW),
    ("parameter", "gpt-5.6-luna", "gpt-5.6-luna refuses stop on chat_completions",
     facts(parameters={"stop": ["x"]}), FOUR, TODAY),
    ("parameter_absent", "gpt-5.6-luna", "responses has no stop", facts(parameters={"stop": ["x"]}), FOUR, TODAY),
    ("parameter_value", "gpt-5.6-luna", "gpt-5.6-luna refuses temperature=0 on chat_completions; it takes 1",
     facts(parameters={"temperature": 0}), {**FOUR, "on_unsupported": "avoid"}, TODAY),
    ("parameter_items", "gpt-4o", "gpt-4o takes at most 4 items of stop, not 5",
     facts(parameters={"stop": LIST}), FOUR, TODAY),
    ("parameter_effort", "gpt-5.4", "gpt-5.4 takes logprobs on chat_completions only with effort none",
     facts(parameters={"logprobs": True}), FOUR, TODAY),
    ("parameter_conflict", "gpt-4o", "gpt-4o cannot combine prediction with n",
     facts(parameters={"prediction": {"type": "content", "content": "x"}, "n": 2}), FOUR, TODAY),
    ("parameter_conflict", "gpt-4o", "gpt-4o cannot combine prediction with max_completion_tokens",
     facts(cap=50, parameters={"prediction": {"type": "content", "content": "x"}}), FOUR, TODAY),
    ("parameter_alone", "gpt-4o", "gpt-4o takes top_logprobs only together with logprobs",
     facts(parameters={"top_logprobs": 2}, endpoint="chat_completions"), FOUR, TODAY),
    ("effort", "gpt-4o", "gpt-4o has no effort xhigh on chat_completions; it has no efforts",
     facts(effort="xhigh"), FOUR, TODAY),
    ("effort", "gpt-5.1", "gpt-5.1 has no effort xhigh on chat_completions; it has none, low, medium, high",
     facts(effort="xhigh"), pool("gpt-5.1", "gpt-5.4"), TODAY),
    ("streaming", "gpt-5-pro", "gpt-5-pro cannot stream", facts(stream=True), pool("gpt-5-pro", "gpt-4o"), TODAY),
    ("service_tier", "gpt-4o", "gpt-4o is not sold at the flex tier", facts(service_tier="flex"), FOUR, TODAY),
    ("floor_below", "gpt-5.6-luna", "gpt-5.6-luna at none is below gpt-4o on long context (- AA-LCR v4.3.2)",
     facts(), {}, TODAY),
    ("floor_own", "gpt-5.6-luna", "gpt-5.6-luna at low is below gpt-4o on your own 200 examples: -5.0 points [-8.0, -2.1]",
     facts(), {"task": "coding", "measures": [{"task": "coding", "configuration": "gpt-5.6-luna@low", "baseline": "gpt-4o", "n": 200, "difference": -5.0, "interval": [-8.0, -2.1], "margin": 2, "judge": "exact", "date": TODAY}]}, TODAY),
    ("floor_unknown", "gpt-5.1-codex", "no published measure compares gpt-5.1-codex at low with gpt-4o on overall",
     facts(), {"models": ["gpt-5.1-codex", "gpt-4o"]}, REVIEW),
    ("floor_inferred", "gpt-5.6-luna", "gpt-5.6-luna at low against gpt-4o on overall is only inferred",
     facts(), {"evidence": "measured"}, TODAY),
    ("max_input", "gpt-5.4", "922,001 input tokens are more than the 922,000 that gpt-5.4 accepts",
     facts(922_001), FOUR, TODAY),
    ("max_input", "gpt-5.4", "about 922,001 input tokens are more than the 922,000 that gpt-5.4 accepts",
     facts((900_000, 922_001)), FOUR, TODAY),
    ("window", "gpt-4o", "120,000 input and 8,001 output tokens exceed the 128,000 window of gpt-4o",
     facts(120_000, cap=8_001), FOUR, TODAY),
    ("max_output", "gpt-4o", "16,385 output tokens are more than the 16,384 that gpt-4o writes",
     facts(cap=16_385), FOUR, TODAY),
    ("image_patches", "gpt-5.6-luna", "an image of 9000 x 9000 pixels is over the 30,000 patches gpt-5.6-luna accepts",
     facts(images=[(9_000, 9_000, "original")]), FOUR, TODAY),
    ("recall", "gpt-4o", "published recall of gpt-4o at 100,000 tokens is 31.9, under 50.0",
     facts(100_000), {**FOUR, "min_recall": 50}, TODAY),
    ("recall_unknown", "gpt-5.6-luna", "no published recall of gpt-5.6-luna at low at 300,000 tokens",
     facts(300_000), {**FOUR, "min_recall": 50}, TODAY),
    ("cost_cap", "gpt-4o", "gpt-4o is expected to cost $0.00461, over the cap of $0.001",
     facts(), {**FOUR, "max_cost_per_call": "0.001"}, TODAY),
    ("hard_cap", "gpt-4o",
     "gpt-4o usually needs up to 338 output tokens, and $0.001 pays for 0 beside 1,000 input tokens",
     facts(), {**FOUR, "max_cost_per_call": "0.001", "cost_cap": "hard"}, TODAY),
    ("tier_limit", "gpt-5.4",
     "gpt-5.4 is served at the priority tier up to 272,000 input tokens, and these are 272,001",
     facts(272_001, service_tier="priority"), {}, TODAY),
    ("ends_soon", "gpt-5.1", "gpt-5.1 is shut down on 2027-04-01, so no new conversation begins with it",
     facts(), {}, date(2027, 3, 20)),
    ("poor_recall", "gpt-5.4-mini", "even at its best effort gpt-5.4-mini is published to find 33.6 % at 200,000 tokens",
     facts(200_000), {}, TODAY),
    ("slow", "gpt-5.4-nano", "gpt-5.4-nano at xhigh is expected to answer after about 31 s, gpt-4o after 4 s",
     facts(), {}, TODAY),
    ("max_first_token", "gpt-5.5",
     "gpt-5.5 at low is expected to begin nine of ten answers within 4 s, over 2 s", facts(), {"max_first_token": 2},
     TODAY),
    ("max_seconds", "gpt-5.6-sol", "gpt-5.6-sol at none is expected to end nine of ten answers within 8 s, over 3 s",
     facts(), {"max_seconds": 3}, TODAY),
    ("task_unmeasured", "gpt-5.6-luna",
     "nothing is measured of gpt-5.6-luna at low on maths, which the task is about", facts(task="reasoning"), {},
     TODAY),
    ("beyond_high", "gpt-5.6-terra", "gpt-5.6-terra at xhigh goes beyond effort high, for which nobody asked", facts(),
     {"optimize": "quality"}, TODAY),
    ("slower", "gpt-5.6-sol", "gpt-5.6-sol at none is expected to answer later", facts(), {"optimize": "latency"},
     TODAY),
    ("slower", "gpt-5-nano", "gpt-5-nano at minimal is expected to answer later", facts(20_000),
     {"second_worth": "0.001", "at_least": None}, TODAY),
    ("dearer", "gpt-4o", "gpt-4o is expected to cost $0.00461, 7.9 times as much", facts(), {}, TODAY),
    ("ranked_lower", "gpt-4o", "gpt-4o ranks below on published quality", facts(), {"optimize": "quality"}, TODAY),
    ("not_incumbent", "gpt-5.6-luna", "the incumbent gpt-4o can serve the request", facts(), {"incumbent": "gpt-4o"},
     TODAY),
    ("not_default_effort", "gpt-5.4", "the call names the model without an effort, so it is called at effort none",
     facts(model="gpt-5.4"), {}, TODAY),
    ("farther_effort", "gpt-5.4", "effort max was asked for, and xhigh is the nearest that fits, not none",
     facts(model="gpt-5.4", effort="max"), {}, TODAY),
    ("switch", "gpt-5.6-luna", "leaving gpt-4o would save less than its cached prefix is worth",
     facts(100_000, previous=Previous(model="gpt-4o", prefix_tokens=99_000, age=5)),
     pool("gpt-4o", "gpt-5.6-luna", switch_saving=1), TODAY),
]  # fmt: skip


@pytest.mark.parametrize(
    ("code", "model", "sentence", "asked", "policy", "at"),
    CASES,
    ids=[f"{case[0]}: {case[2][:70]}" for case in CASES],
)
def test_reasons(code: str, model: str, sentence: str, asked: Any, policy: dict[str, Any], at: date) -> None:
    """The model, or one of its efforts or endpoints, is not chosen for this reason, in these words."""
    decision = decide(asked, at, **policy)
    assert decision.model != model or "effort" in code or code.startswith(("parameter", "floor", "tools"))
    found = {reason.text: reason for reason in decision.reasons_against(model)}
    assert sentence in found
    assert found[sentence].code == code
    assert found[sentence].to_dict()["text"] == sentence


def test_reasons_about_money_that_is_not_known() -> None:
    """A model without a price comes last, and cannot serve under a limit on cost."""
    policy = Policy(models=["house", "gpt-4o"], at_least=None)
    decision = select(facts(), policy=policy, catalog=UNPRICED, at=TODAY)
    assert decision.model == "gpt-4o"
    assert sentences(decision, "house") == ["no price of house is known, so a priced model comes first"]
    assert decision.dearer == {"house": None}
    capped = select(facts(), policy=policy.replace(max_cost_per_call=1), catalog=UNPRICED, at=TODAY)
    assert sentences(capped, "house") == ["no price of house is known, and a limit on cost is set"]
    alone = select(facts(), policy=Policy(models="house", at_least=None), catalog=UNPRICED, at=TODAY)
    assert (alone.model, alone.dollars) == ("house", None)


@pytest.mark.parametrize(
    ("remaining", "model"),
    [
        pytest.param(581_600_000, "gpt-5.6-luna", id="just enough"),
        pytest.param(581_599_999, None, id="a picodollar short"),
        pytest.param(None, "gpt-5.6-luna", id="no limit"),
    ],
)
def test_a_hard_budget(remaining: int | None, model: str | None) -> None:
    """What a budget leaves is the most that a call may be expected to cost."""
    decision = decide(facts(), allowance=Allowance(remaining=remaining, scope="team=search"))
    assert decision.model == model
    if model is None:
        assert "budget" in codes(decision, "gpt-5.6-luna")
        assert (
            "gpt-5.6-luna at low is expected to cost $0.0005816; $0.000581599999 is left in team=search"
            in sentences(decision, "gpt-5.6-luna")
        )


def test_a_model_that_was_found_dead() -> None:
    """What the provider was found not to serve is left out, with what it said."""
    decision = select(
        facts(),
        policy=Policy(),
        catalog=CATALOG,
        at=TODAY,
        unavailable={"gpt-5.6-luna": "404 model_not_found"},
    )
    assert decision.model != "gpt-5.6-luna"
    text = "gpt-5.6-luna is marked unavailable in this process: 404 model_not_found"
    assert decision.rejected["gpt-5.6-luna"] == text


def test_every_reason_is_tested() -> None:
    """No sentence is left without a case."""
    elsewhere = {"no_price", "no_price_known", "budget", "unavailable", "deadline", "comes_after"}
    every = {*_WORDINGS, *(code for constraint in CONSTRAINTS for code in constraint.wordings)}
    assert {case[0] for case in CASES} | elsewhere == every


LIMITS = [
    # one under, at, over: tokens, facts, the pool, and who serves
    ("gpt-4o's window less its reserve", "gpt-4o", "gpt-4.1", 128_000 - 4_096, {}),
    ("gpt-4o's window less a cap", "gpt-4o", "gpt-4.1", 128_000 - 1_000, {"cap": 1_000}),
    ("gpt-4.1's window less a cap", "gpt-4.1", None, 1_047_576 - 32_768, {"cap": 32_768}),
    ("gpt-5.1's input", "gpt-5.1", "gpt-5.5", 272_000, {}),
    ("gpt-5.1's input with its largest cap", "gpt-5.1", "gpt-5.5", 272_000, {"cap": 128_000}),
    ("gpt-5.4's input", "gpt-5.4", "gpt-4.1", 922_000, {}),
]  # fmt: skip


@pytest.mark.parametrize(
    ("within", "beyond", "limit", "given"), [item[1:] for item in LIMITS], ids=[item[0] for item in LIMITS]
)
def test_limits_to_the_token(within: str, beyond: str | None, limit: int, given: dict[str, Any]) -> None:
    """One token under a limit and at it the model serves; one token over another does, or none."""
    policy = pool(*([within] if beyond is None else [within, beyond]), incumbent=within)
    assert [decide(facts(limit + shift, **given), **policy).model for shift in (-1, 0, 1)] == [
        within,
        within,
        beyond,
    ]


@pytest.mark.parametrize(
    ("tokens", "cost"), [(271_999, "0.6847525"), (272_000, "0.684755"), (272_001, "1.3671375")]
)
def test_the_long_rate_to_the_token(tokens: int, cost: str) -> None:
    """Above 272,000 tokens the estimate takes the long rate for the whole request, and a cost cap sees it."""
    decision = decide(facts(tokens, effort="none"), **pool("gpt-5.4"))
    assert str(decision.dollars) == cost
    assert (decide(facts(tokens), **pool("gpt-5.4", max_cost_per_call=1)).model is None) is (tokens > 272_000)


@pytest.mark.parametrize(
    ("cap", "models"),
    [
        pytest.param(16_383, ["gpt-4o"], id="one under gpt-4o's output"),
        pytest.param(16_384, ["gpt-4o"], id="at gpt-4o's output"),
        pytest.param(16_385, ["gpt-4.1"], id="one over it"),
        pytest.param(32_768, ["gpt-4.1"], id="at gpt-4.1's output"),
        pytest.param(32_769, ["gpt-5.4"], id="one over it, too"),
        pytest.param(128_001, ["gpt-5.4"], id="over every model's output: clamped"),
    ],
)
def test_output_caps_to_the_token(cap: int, models: list[str]) -> None:
    """A cap that a model cannot write moves the call to one that can."""
    order = ["gpt-4o", "gpt-4.1", "gpt-5.4"]
    able = [name for name in order if decide(facts(cap=cap), **pool(*order, incumbent=name)).model == name]
    assert able[:1] == models


@pytest.mark.parametrize(("tokens", "touched"), [(63_999, False), (64_000, False), (64_001, True)])
def test_where_long_context_begins(tokens: int, touched: bool) -> None:
    """Measures at length count above 64,000 tokens."""
    decision = decide(facts(tokens), models=["gpt-5.1-codex-mini", "gpt-5.6-luna", "gpt-4o"])
    settled = {item.dimension: item.verdict for item in decision.evidence}
    assert list(settled)[:2] == (["overall", "long_context"] if touched else ["overall", "knowledge"])


@pytest.mark.parametrize("effort", ["none", "low", "medium"])
def test_the_baseline_at_the_effort_asked_for_is_no_worse_than_itself(effort: str) -> None:
    """A program that ran its model at an effort may go on to."""
    decision = decide(facts(effort=effort), baseline="gpt-5.6-sol")
    assert (decision.model, decision.effort) == ("gpt-5.6-sol", effort)
