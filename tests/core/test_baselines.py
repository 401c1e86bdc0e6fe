"""Programs written for other models than gpt-4o: what their floor admits, and what an incumbent may do."""

from __future__ import annotations

from dataclasses import replace
from datetime import date
from typing import Any

import pytest

from routed_llm import Catalog, Policy, RequestFacts, TokenCount, select

CATALOG = Catalog.load()
TODAY, AFTER = date(2026, 11, 22), date(2027, 1, 15)


def facts(tokens: int) -> RequestFacts:
    """Give a plain text request of so many tokens."""
    return RequestFacts(tokens=TokenCount.of(tokens))


@pytest.mark.parametrize(
    ("baseline", "tokens", "at", "expected"),
    [
        pytest.param("gpt-4o-mini", 2_000, TODAY, "gpt-4o-mini", id="4o-mini stays while it lives"),
        pytest.param("gpt-4o-mini", 2_000, AFTER, "gpt-5.6-luna", id="4o-mini after its shutdown"),
        pytest.param("gpt-4.1", 100_000, AFTER, "gpt-5.6-luna", id="4.1, long, after its shutdown"),
        pytest.param("gpt-4.1-mini", 100_000, AFTER, "gpt-5.4-nano", id="4.1-mini, long, after its shutdown"),
        pytest.param("gpt-5.2-pro", 2_000, TODAY, "gpt-5.2-pro", id="a pro model has no published equal"),
    ],
)
def test_a_floor_of_another_model(baseline: str, tokens: int, at: date, expected: str) -> None:
    """A retiring baseline always finds a successor; one that nothing is compared with keeps its place."""
    decision = select(facts(tokens), policy=Policy(baseline=baseline), catalog=CATALOG, at=at)
    assert decision.model == expected


@pytest.mark.parametrize(
    ("name", "successor"),
    [
        ("gpt-4", "gpt-4o"),
        ("gpt-4-turbo-2024-04-09", "gpt-4o"),
        ("gpt-3.5-turbo", "gpt-4o-mini"),
        ("o1", "gpt-5-mini"),
        ("o4-mini-2025-04-16", "gpt-5-mini"),
        ("o3", "gpt-5"),
    ],
)
def test_a_baseline_that_the_catalog_knows_no_more_of(name: str, successor: str) -> None:
    """What is published next to it stands for it; the name itself serves no call."""
    decision = select(facts(2_000), policy=Policy(baseline=name), catalog=CATALOG, at=TODAY)
    assert decision.baseline == successor
    pinned = RequestFacts(tokens=TokenCount.of(100), model=name)
    refused = select(pinned, policy=Policy(), catalog=CATALOG, at=TODAY)
    assert refused.call is None
    assert {reason.code for one in refused.candidates for reason in one.reasons} <= {"retired", "endpoint"}


def test_nothing_known_to_be_worse_passes_unproven() -> None:
    """Of two models that are worse than gpt-4o at facts neither is taken to be as good as the other."""
    decision = select(facts(2_000), policy=Policy(baseline="gpt-4o-mini"), catalog=CATALOG, at=AFTER)
    against = {c.effort: c.reasons[0].text for c in decision.candidates if c.model == "gpt-5.4-nano"}
    assert against["none"] == (
        "no published measure compares gpt-5.4-nano at none with gpt-4o-mini on knowledge"
    )


@pytest.mark.parametrize(
    "keywords",
    [
        pytest.param({}, id="below the floor"),
        pytest.param({"models": ["gpt-5.6*"]}, id="outside the pool"),
    ],
)
def test_an_incumbent_stands_by_the_users_word(keywords: dict[str, list[str]]) -> None:
    """Neither the quality floor nor the pool's patterns drive out a model that the user says to stay with."""
    policy = Policy(incumbent="gpt-4o-mini", **keywords)  # type: ignore[arg-type]
    decision = select(facts(2_000), policy=policy, catalog=CATALOG, at=TODAY)
    assert (decision.model, decision.why) == (
        "gpt-4o-mini",
        "the incumbent gpt-4o-mini can serve the request",
    )


def test_a_model_that_cannot_stream_answers_whole() -> None:
    """A streamed call that names gpt-5-pro is sent without streaming, and the Decision says so."""
    asked = RequestFacts(tokens=TokenCount.of(100), model="gpt-5-pro", stream=True)
    decision = select(asked, policy=Policy(), catalog=CATALOG, at=TODAY)
    assert decision.call is not None
    assert decision.call.stream is False
    assert [change.text for change in decision.changes] == [
        "stream=True dropped: gpt-5-pro cannot stream; the answer comes whole"
    ]


def test_a_parameter_that_the_caller_makes_good_is_no_reason() -> None:
    """Where no model takes stop, a caller that cuts the answer itself is served, and told what to cut."""
    asked = RequestFacts(
        tokens=TokenCount.of(100), parameters=(("stop", "END"),), emulates=frozenset({"stop"})
    )
    decision = select(asked, policy=Policy(), catalog=CATALOG, at=AFTER)
    assert decision.call is not None
    assert decision.call.emulated == {"stop"}
    assert decision.changes[-1].text == (
        "stop='END' emulated: gpt-5.6-luna refuses stop on chat_completions, "
        "so it is done to the answer instead"
    )


def test_a_model_that_takes_stop_comes_before_emulation() -> None:
    """While gpt-4o lives, stop is sent to it and nothing is cut by the caller."""
    asked = RequestFacts(
        tokens=TokenCount.of(100), parameters=(("stop", "END"),), emulates=frozenset({"stop"})
    )
    decision = select(asked, policy=Policy(), catalog=CATALOG, at=TODAY)
    assert decision.call is not None
    assert (decision.model, decision.call.emulated) == ("gpt-4o", frozenset())


FINE_TUNE = "ft:gpt-4o-2024-08-06:acme::abc"


@pytest.mark.parametrize(
    ("baseline", "at", "expected", "why"),
    [
        pytest.param(
            FINE_TUNE, TODAY, FINE_TUNE,
            f"{FINE_TUNE}: nothing else can serve this, the model that the program was written for; answers "
            "after about 4 s; it ends on 2027-01-14",
            id="a fine-tune has no published equal",
        ),
        pytest.param(
            FINE_TUNE, AFTER, "gpt-5.6-luna",
            "gpt-5.6-luna at low effort: the cheapest of what can serve this, scores at least as well as "
            f"{FINE_TUNE} (by gpt-4o) on 6 of 9 areas (7 published measures), 3 unmeasured; answers after "
            "about 2.3 s; gpt-4o was shut down on 2027-01-14; the provider names gpt-6-luna instead",
            id="a retired fine-tune: what it was made from",
        ),
        pytest.param(
            "gpt-5.2-chat-latest", TODAY, "gpt-5.6-sol",
            "gpt-5.6-sol at medium effort: the cheapest of what can serve this, in the place of "
            "gpt-5.2-chat-latest; answers after about 8 s",
            id="a retired model of which nothing is published: what the provider names",
        ),
        pytest.param(
            "chatgpt-4o-latest", TODAY, "gpt-5.6-luna",
            "gpt-5.6-luna at low effort: 87 % cheaper than gpt-4.1, scores at least as well as "
            "chatgpt-4o-latest (by gpt-4.1) on 6 of 9 areas (7 published measures), 3 unmeasured; answers "
            "after about 2.3 s",
            id="a retired model of which little is published: what is at least as good by that",
        ),
    ],
)  # fmt: skip
def test_a_baseline_of_which_nothing_is_published(baseline: str, at: date, expected: str, why: str) -> None:
    """It serves its own calls while it lives; then a published one stands in its place, and that is said."""
    decision = select(facts(2_000), policy=Policy(baseline=baseline), catalog=CATALOG, at=at)
    assert (decision.model, decision.why) == (expected, why)


def test_a_stream_is_not_slower_than_what_stands_in_its_place() -> None:
    """How quick a model was that is gone is not known: then what stands for it says how long is usual."""
    asked = replace(facts(2_000), stream=True)
    policy = Policy(baseline="chatgpt-4o-latest")
    decision = select(asked, policy=policy, catalog=CATALOG, at=date(2026, 4, 24))
    assert (decision.model, decision.seconds is not None and decision.seconds.first < 3) == ("gpt-4.1", True)


EFFORT, STOP = {"effort": "minimal"}, {"parameters": (("stop", "END"),), "emulates": frozenset({"stop"})}
BENT = [
    "stop='END' emulated: gpt-5.6-luna refuses stop on chat_completions, so it is done to the answer instead",
    "reasoning_effort='low' added: the effort is part of what was chosen",
]
OUT = {"gpt-4o": "overloaded", "gpt-4.1": "overloaded"}


@pytest.mark.parametrize(
    ("asked", "policy", "away", "at", "expected", "changes"),
    [
        pytest.param(
            EFFORT, {"baseline": "gpt-5-nano"}, {}, AFTER, "gpt-5.6-luna",
            ["reasoning_effort clamped from 'minimal' to 'none': gpt-5.6-luna has no effort minimal"],
            id="an effort that went with the last model that had it",
        ),
        pytest.param(
            EFFORT, {"baseline": "gpt-5-nano", "on_unsupported": "raise"}, {}, AFTER, None, [],
            id="unless nothing may be bent",
        ),
        pytest.param(
            {**EFFORT, "tokens": TokenCount.of(300_000)}, {"baseline": "gpt-5-nano"}, {}, TODAY,
            "gpt-5.6-luna",
            ["reasoning_effort clamped from 'minimal' to 'none': gpt-5.6-luna has no effort minimal"],
            id="the models that have the effort are too small",
        ),
        pytest.param(
            EFFORT, {}, {}, TODAY, "gpt-5.6-luna",
            ["reasoning_effort clamped from 'minimal' to 'low': gpt-5.6-luna has no effort minimal"],
            id="the models that have the effort are below the floor",
        ),
        pytest.param(
            STOP, {"max_cost_per_call": "0.001"}, {}, TODAY, "gpt-5.6-luna",
            BENT,
            id="the models that take stop cost too much",
        ),
        pytest.param(
            STOP, {}, OUT, TODAY, "gpt-5.6-luna",
            BENT,
            id="the models that take stop are down",
        ),
    ],
)  # fmt: skip
def test_a_request_is_bent_before_it_is_refused(
    asked: dict[str, Any],
    policy: dict[str, Any],
    away: dict[str, str],
    at: date,
    expected: str | None,
    changes: list[str],
) -> None:
    """Where size, cost or an outage rules out what serves it as it is, a call is served with a Change."""
    request = RequestFacts(**{"tokens": TokenCount.of(100), **asked})
    decision = select(request, policy=Policy(**policy), catalog=CATALOG, at=at, unavailable=away)
    assert decision.model == expected
    assert sorted(change.text for change in decision.changes) == sorted(changes)
