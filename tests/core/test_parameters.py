"""What is sent differently from what was asked: hard, soft and neutral parameters, caps, efforts."""
# ruff: noqa: E501 - tables of one case a row

from __future__ import annotations

from typing import Any

import pytest
from core_support import TODAY, decide, facts, router, whole

from routed_llm import NoModelFits
from routed_llm.decide.weigh import output_cap

LUNA: dict[str, Any] = {"models": "gpt-5.6-luna", "at_least": None, "effort": "low"}
GPT_4O: dict[str, Any] = {"models": "gpt-4o"}
ENCRYPTED, LOGPROBS = "reasoning.encrypted_content", "message.output_text.logprobs"
OLD_OR_NEW: dict[str, Any] = {"models": ["gpt-4o", "gpt-5.6-luna"], "at_least": None}

CHANGES = [
    # what, facts, policy, the texts of the Changes, what is left of the parameters
    ("soft, dropped", facts(parameters={"temperature": 0}), LUNA,
     ["temperature=0 dropped: gpt-5.6-luna refuses temperature=0 on chat_completions; it takes 1"], {}),
    ("soft, but the one value it takes", facts(parameters={"temperature": 1}), LUNA, [], {"temperature": 1}),
    ("neutral, dropped as no loss", facts(parameters={"n": 1, "stop": [], "presence_penalty": 0}), LUNA,
     ["presence_penalty=0 dropped: it is the default value, and gpt-5.6-luna refuses presence_penalty on "
      "chat_completions",
      "stop=[] dropped: it is the default value, and gpt-5.6-luna refuses stop on chat_completions"], {"n": 1}),
    ("several soft ones", facts(parameters={"top_p": 0.5, "frequency_penalty": 1, "seed": 5, "user": "u"}), LUNA,
     ["frequency_penalty=1 dropped: gpt-5.6-luna refuses frequency_penalty on chat_completions",
      "top_p=0.5 dropped: gpt-5.6-luna refuses top_p on chat_completions"], {"seed": 5, "user": "u"}),
    ("seed is lost on Responses", facts(tools=1, parameters={"seed": 5}), LUNA,
     ["seed=5 dropped: responses has no seed"], {}),
    ("what asks for nothing conflicts with nothing",
     facts(parameters={"prediction": "x", "n": 1, "logprobs": False, "presence_penalty": 0, "top_logprobs": 0}), GPT_4O,
     ["top_logprobs=0 dropped: it is the default value, and gpt-4o takes top_logprobs only together with logprobs"],
     {"prediction": "x", "n": 1, "logprobs": False, "presence_penalty": 0}),
    ("verbosity on a model without it", facts(parameters={"verbosity": "low"}), GPT_4O,
     ["verbosity='low' dropped: gpt-4o refuses verbosity='low' on chat_completions; it takes 'medium'"], {}),
    ("nothing changes on gpt-4o", facts(parameters={"temperature": 0, "stop": ["x"], "n": 2, "seed": 1}), GPT_4O, [],
     {"temperature": 0, "stop": ["x"], "n": 2, "seed": 1}),
    ("max_tokens renamed", facts(cap=100), GPT_4O,
     ["max_tokens sent as max_completion_tokens: the endpoint takes it by this name"], {}),
    ("max_completion_tokens on Responses", facts(cap=100, cap_name="max_completion_tokens", tools=1), LUNA,
     ["max_completion_tokens sent as max_output_tokens: the endpoint takes it by this name",
      "max_completion_tokens raised from 100 to 4196: reasoning counts against the cap; the text is still cut at "
      "100 tokens, calls of tools are left whole"], {}),
    ("clamped", facts(cap=20_000, cap_name="max_completion_tokens"), GPT_4O,
     ["max_completion_tokens clamped from 20000 to 16384: the model writes at most 16,384 tokens"], {}),
    ("raised and renamed", facts(cap=300), LUNA,
     ["max_tokens sent as max_completion_tokens: the endpoint takes it by this name",
      "max_tokens raised from 300 to 4396: reasoning counts against the cap; the text is still cut at 300 tokens"],
     {}),
    ("raised for a form", facts(cap=300, structured="json_schema"), LUNA,
     ["max_tokens sent as max_completion_tokens: the endpoint takes it by this name",
      "max_tokens raised from 300 to 4396: reasoning counts against the cap; an answer in a form is not cut in the "
      "middle"], {}),
    ("raised where the endpoint takes no less", facts(cap=5, endpoint="responses"), GPT_4O,
     ["max_tokens sent as max_output_tokens: the endpoint takes it by this name",
      "max_tokens raised from 5 to 16: the endpoint takes no less; the text is still cut at 5 tokens"], {}),
    ("raised up to the model's own limit", facts(cap=127_000, cap_name="max_completion_tokens"), LUNA,
     ["max_completion_tokens raised from 127000 to 128000: reasoning counts against the cap; the text is still cut "
      "at 127,000 tokens"], {}),
    ("effort added", facts(), {"models": "gpt-5.6-luna"},
     ["reasoning_effort='low' added: the effort is part of what was chosen"], {}),
    ("the default effort needs no word", facts(model="gpt-5.4"), {}, [], {}),
    ("effort clamped to the nearest", facts(model="gpt-5.4", effort="max"), {},
     ["reasoning_effort clamped from 'max' to 'xhigh': gpt-5.4 has no effort max"], {}),
    ("effort clamped upwards", facts(model="gpt-6.1-sol", effort="none"), {},
     ["reasoning_effort clamped from 'none' to 'low': gpt-6.1-sol has no effort none"], {}),
    ("of two equally near ones the lower", facts(model="gpt-5.4", effort="minimal"), {},
     ["reasoning_effort clamped from 'minimal' to 'none': gpt-5.4 has no effort minimal"], {}),
    ("an item of include that the model refuses",
     facts(model="gpt-4o", endpoint="responses", parameters={"include": [ENCRYPTED, LOGPROBS], ENCRYPTED: True, LOGPROBS: True}), {},
     ["reasoning.encrypted_content=True dropped: gpt-4o refuses reasoning.encrypted_content on responses"],
     {"include": [LOGPROBS]}),
    ("nothing left of include",
     facts(model="gpt-4o", endpoint="responses", parameters={"include": [ENCRYPTED], ENCRYPTED: True}), {},
     ["reasoning.encrypted_content=True dropped: gpt-4o refuses reasoning.encrypted_content on responses"], {}),
    ("effort dropped", facts(model="gpt-4o", effort="high"), {},
     ["reasoning_effort='high' dropped: gpt-4o does not reason"], {}),
]  # fmt: skip


def ours(asked: Any, policy: dict[str, Any]) -> list[str]:
    """List the Changes of a decision but those of an effort that a policy fixes."""
    decision = decide(asked, **policy)
    hidden = (
        "reasoning_effort='low' added: the effort is part of what was chosen" if "effort" in policy else None
    )
    return [change.text for change in decision.changes if change.text != hidden]


@pytest.mark.parametrize(
    ("asked", "policy", "texts", "left"), [item[1:] for item in CHANGES], ids=[item[0] for item in CHANGES]
)
def test_changes(asked: Any, policy: dict[str, Any], texts: list[str], left: dict[str, Any]) -> None:
    """Each Change says what was asked, what is sent and why; the rest is passed on as it came."""
    assert ours(asked, policy) == texts
    call = decide(asked, **policy).call
    assert call is not None
    assert call.parameters == left
    assert call.dropped == {name for name, _ in asked.parameters} - {*left, *left.get("include", ())}


def test_every_kind_of_change_is_tested() -> None:
    """Renamed, clamped, raised, dropped and added."""
    kinds = {change.action for item in CHANGES for change in decide(item[1], **item[2]).changes}
    assert kinds == {"renamed", "clamped", "raised", "dropped", "added"}


def test_a_change_as_data() -> None:
    """A Change is JSON with the values as they came."""
    (change,) = decide(facts(parameters={"logit_bias": {}, "temperature": 1}), **LUNA).changes[1:]
    assert change.to_dict() == {
        "parameter": "logit_bias",
        "action": "dropped",
        "before": {},
        "after": None,
        "why": "it is the default value, and gpt-5.6-luna refuses logit_bias on chat_completions",
    }


SOFT = {"temperature": 0, "top_p": 0.5, "presence_penalty": 1, "frequency_penalty": 1, "verbosity": "low"}
HARD = {
    "stop": ["x"], "logit_bias": {"1": 2}, "logprobs": True, "prediction": {"type": "content", "content": "x"},
}  # fmt: skip
BOUND = {
    "instructions": "Be brief.",
    "max_tool_calls": 2,
    "prompt": {"id": "pmpt_1"},
    "context_management": [{"type": "compaction"}],
    "previous_response_id": "resp_1",
    "conversation": "conv_1",
    "background": True,
    "truncation": "auto",
    "include": ["file_search_call.results"],
    "reasoning": {"summary": "auto"},
}
"""Parameters of Responses with which Chat Completions cannot mean the same."""


@pytest.mark.parametrize("taste", ["drop", "avoid", "raise"])
@pytest.mark.parametrize("with_seed", [False, True], ids=["alone", "beside a seed"])
@pytest.mark.parametrize("name", sorted(BOUND))
def test_what_is_not_taste_is_never_lost(name: str, with_seed: bool, taste: str) -> None:
    """It decides the endpoint, also against a parameter of taste that only the other one has, or nothing does."""
    parameters = {name: BOUND[name], **({"seed": 1} if with_seed else {})}
    decision = decide(facts(parameters=parameters), at_least=None, on_unsupported=taste)
    if taste == "raise" and with_seed:
        assert decision.call is None
        return
    assert decision.endpoint == "responses"
    assert decision.call is not None
    assert decision.call.parameters == {name: BOUND[name]}
    chat = decide(facts(parameters=parameters, endpoint="chat_completions"), at_least=None)
    assert chat.call is None


@pytest.mark.parametrize(
    ("name", "value"), [("truncation", "disabled"), ("background", False), ("modalities", ["text"])]
)
def test_what_asks_for_what_happens_anyway_decides_nothing(name: str, value: Any) -> None:
    """A default is dropped where it is refused."""
    for endpoint in ("chat_completions", "responses"):
        asked = facts(parameters={name: value}, endpoint=endpoint)
        assert decide(asked, at_least=None).endpoint == endpoint


@pytest.mark.parametrize("name", sorted(HARD))
def test_a_hard_parameter_decides_the_model(name: str) -> None:
    """A parameter whose loss changes what the program means keeps the call on a model that takes it."""
    decision = decide(facts(parameters={name: HARD[name]}), **OLD_OR_NEW)
    assert (decision.model, decision.endpoint) == ("gpt-4o", "chat_completions")
    assert decision.call is not None
    assert decision.call.parameters == {name: HARD[name]}


@pytest.mark.parametrize("taste", ["drop", "avoid", "raise"])
@pytest.mark.parametrize("name", sorted(SOFT.keys() - {"temperature"}))
def test_a_soft_parameter_is_a_matter_of_policy(name: str, taste: str) -> None:
    """One of taste is dropped, or moves the call to a model that takes it, or makes it fail."""
    asked = facts(parameters={name: SOFT[name]})
    keeper = "gpt-5.6-luna" if name == "verbosity" else "gpt-4o"
    decision = decide(asked, **OLD_OR_NEW, on_unsupported=taste)
    assert decision.model == ("gpt-5.6-luna" if taste == "drop" else keeper)
    loser = "gpt-4o" if name == "verbosity" else "gpt-5.6-luna"
    alone = decide(asked, models=loser, at_least=None, on_unsupported=taste)
    assert alone.model == (None if taste == "raise" else loser)


@pytest.mark.parametrize("taste", ["avoid", "raise"])
def test_a_temperature_is_kept_where_the_newer_model_takes_it(taste: str) -> None:
    """gpt-5.6 takes one on Responses as long as it does not reason; gpt-4o need not serve such a call."""
    decision = decide(facts(parameters={"temperature": 0.5}), **OLD_OR_NEW, on_unsupported=taste)
    assert (decision.model, decision.effort, decision.endpoint) == ("gpt-5.6-luna", "none", "responses")
    assert decision.call is not None
    assert decision.call.parameters == {"temperature": 0.5}


def test_raise_says_what_to_do() -> None:
    """With nothing left that takes the parameter, the error names it."""
    with pytest.raises(NoModelFits) as caught:
        router(models="gpt-5.6-luna", on_unsupported="raise").decide(
            whole(facts(effort="low", parameters={"top_p": 0.5}))
        )
    assert "gpt-5.6-luna refuses top_p on chat_completions" in str(caught.value)


@pytest.mark.parametrize(
    ("asked", "room", "most", "free", "sent"),
    [
        pytest.param(None, 4_096, 16_384, 99_999, None, id="none asked, none sent"),
        pytest.param(100, 0, 16_384, 99_999, 100, id="no reasoning, no room"),
        pytest.param(100, 4_096, 128_000, 999_999, 4_196, id="room on top"),
        pytest.param(20_000, 0, 16_384, 99_999, 16_384, id="clamped"),
        pytest.param(120_000, 25_000, 128_000, 999_999, 128_000, id="room up to the model's output"),
        pytest.param(1_000, 25_000, 128_000, 5_000, 5_000, id="room up to what the window leaves"),
        pytest.param(6_000, 25_000, 128_000, 5_000, 6_000, id="never under what was asked"),
    ],
)
def test_output_cap(asked: int | None, room: int, most: int, free: int, sent: int | None) -> None:
    """The cap to send leaves room for reasoning within the model's output and its window."""
    assert output_cap(asked, room, most, free) == sent


@pytest.mark.parametrize(
    ("effort", "cap"),
    [("none", 100), ("low", 4_196), ("medium", 25_100), ("high", 32_868), ("xhigh", 65_636), ("max", 98_404)],
)
def test_room_for_reasoning_grows_with_the_effort(effort: str, cap: int) -> None:
    """A gpt-4o-sized cap never comes back as an empty answer, whatever the effort that is chosen."""
    call = decide(facts(cap=100), TODAY, models="gpt-5.6-luna", at_least=None, effort=effort).call
    assert call is not None
    assert (call.effort, call.cap) == (effort, cap)


@pytest.mark.parametrize("effort", ["none", "low", "max"])
def test_who_names_the_effort_has_a_cap_that_counts_its_reasoning(effort: str) -> None:
    """A request that names an effort was written for a reasoning model, whose cap counts its reasoning."""
    call = decide(facts(cap=100, effort=effort), TODAY, models="gpt-5.6-luna", at_least=None).call
    assert call is not None
    assert (call.effort, call.cap) == (effort, 100)
