"""The decisions of a published review of these models (spring 2026), on its day, today, and after the shutdowns.

The review was written before gpt-5.5. Where the router differs from it, the case says why.
"""
# ruff: noqa: E501 - tables of one case a row

from __future__ import annotations

from datetime import date
from decimal import Decimal
from typing import Any

import pytest
from core_support import AFTER, CATALOG, REVIEW, TODAY, decide, facts, sentences

from routed_llm import Usage, cost

VOICE: dict[str, Any] = {"outputs": ["text", "audio"], "audio_seconds": 30.0}

TABLE = [
    # id, facts, policy, then model@effort per day; None where nothing fits
    pytest.param(
        facts(2_000), {"optimize": "quality"},
        ("gpt-5.4@high", "gpt-5.6-sol@high", "gpt-5.6-sol@high"),
        id="a new project, quality first: gpt-5.4, as the review says; gpt-5.6-sol since it is out; at high, for "
        "beyond that minutes are paid for points",
    ),
    pytest.param(
        facts(2_000, task="reasoning"), {"optimize": "quality"},
        ("gpt-5.2@medium", "gpt-5.2@medium", "gpt-5.2@medium"),
        id="quality is the bottleneck differs from the review's gpt-5.4: the task wants a measure of science and of "
        "maths, and up to high only gpt-5.2 at medium has both; gpt-5.4 has them at xhigh",
    ),
    pytest.param(
        facts(200_000), {"models": "gpt-4.1*"},
        ("gpt-4.1", "gpt-4.1", None),
        id="over 128K on a tight budget, within the 4.1 family: gpt-4.1, for mini and nano are published below "
        "gpt-4o; after 2027-01-14 the family is gone",
    ),
    pytest.param(
        facts(300_000), {},
        ("gpt-4.1", "gpt-5.6-luna@low", "gpt-5.6-luna@low"),
        id="over 272K in April, the 4.1 family as the review says: every other model pays the long rate; from July "
        "on gpt-5.6-luna is cheaper even at its long rate",
    ),
    pytest.param(
        facts(200_000), {},
        ("gpt-5.1@none", "gpt-5.6-luna@low", "gpt-5.6-luna@low"),
        id="200K differs from the review's gpt-4.1: gpt-5.1 reads 100K as well as gpt-4o does and costs less; that "
        "nothing is published of it at this length is said",
    ),
    pytest.param(
        facts(900_000), {"at_least": None, "models": "gpt-4.1*"},
        ("gpt-4.1-nano", "gpt-4.1-mini", None),
        id="budget retrieval over a 1M context: gpt-4.1-nano, as the review says, and without a floor, for it is "
        "published below gpt-4o; it was shut down on 2026-10-23, mini on 2027-01-14",
    ),
    pytest.param(
        facts(900_000), {"at_least": None},
        ("gpt-4.1-nano", "gpt-4.1-mini", "gpt-5.6-luna@none"),
        id="the same over the default pool: the cheapest alive on the day",
    ),
    pytest.param(
        facts(900_000), {"at_least": "gpt-4.1-nano"},
        ("gpt-4.1-nano", "gpt-5.6-luna@none", "gpt-5.6-luna@none"),
        id="the same with gpt-4.1-nano itself as the floor, alive or not",
    ),
    pytest.param(
        facts(500, **VOICE), {"surface": "realtime", "models": "gpt-4o-realtime*"},
        ("gpt-4o-realtime-preview", None, None),
        id="a voice session within the 4o realtime family: the preview, until it was shut down on 2026-05-07",
    ),
    pytest.param(
        facts(500, **VOICE), {"surface": "realtime"},
        ("gpt-realtime", "gpt-realtime-1.5", "gpt-realtime-1.5"),
        id="a voice session, any family: its successor gpt-realtime is presented as the same and costs a fifth less, "
        "which the review did not weigh; in November 1.5 costs the same and lives longer",
    ),
    pytest.param(
        facts(2_000), {"incumbent": "gpt-4o"},
        ("gpt-4o", "gpt-4o", "gpt-5.6-luna@low"),
        id="a gpt-4o deployment whose quality is fine stays, until it cannot serve: from 2027-01-14",
    ),
    pytest.param(
        facts(200_000), {"incumbent": "gpt-4o"},
        ("gpt-5.1@none", "gpt-5.6-luna@low", "gpt-5.6-luna@low"),
        id="and leaves it for a prompt that it cannot hold",
    ),
    pytest.param(
        facts(10_000, task="coding", tools=6), {},
        ("gpt-5.1@none", "gpt-5.6-luna@low", "gpt-5.6-luna@low"),
        id="a coding agent differs from the review's gpt-5.1-codex: no measure is published that it shares with "
        "gpt-4o, so the floor cannot admit it; gpt-5.1 itself has one of coding and of tools",
    ),
    pytest.param(
        facts(10_000, task="coding", tools=6), {"models": "*codex*"},
        ("gpt-5.3-codex@xhigh", "gpt-5.3-codex@xhigh", "gpt-5.3-codex@xhigh"),
        id="a coding agent within the codex family: only gpt-5.3-codex at xhigh has published measures",
    ),
    pytest.param(
        facts(10_000, task="coding", tools=6), {"models": "gpt-5.1-codex", "at_least": None},
        ("gpt-5.1-codex@low", None, None),
        id="gpt-5.1-codex by name and without a floor, until it was shut down on 2026-07-23",
    ),
]  # fmt: skip


@pytest.mark.parametrize(("asked", "policy", "expected"), TABLE)
def test_decisions_of_the_review(
    asked: Any, policy: dict[str, Any], expected: tuple[str | None, str | None, str | None]
) -> None:
    """On the review's day the decisions were right then; today's and next January's follow the facts."""
    found = []
    for at in (REVIEW, TODAY, AFTER):
        chosen = decide(asked, at, **policy).chosen
        found.append(None if chosen is None else chosen.name)
    assert tuple(found) == expected


WHY = [
    ("quality in April", facts(2_000), REVIEW, {"optimize": "quality"},
     "gpt-5.4 at high effort: the best by published order of what can serve this, scores at least as well as gpt-4o on "
     "7 of 9 areas (7 published measures), 2 unmeasured; answers after about 15 s"),
    ("300K in April", facts(300_000), REVIEW, {},
     "gpt-4.1: the cheapest of what can serve this, scores at least as well as gpt-4o on 9 of 9 areas (29 published "
     "measures); answers after about 25 s; 300,000 input tokens are more than the 128,000 that gpt-4o accepts"),
    ("300K in the 4.1 family", facts(300_000), REVIEW, {"models": "gpt-4.1*"},
     "gpt-4.1: nothing else can serve this, scores at least as well as gpt-4o on 9 of 9 areas (29 published measures); "
     "answers after about 25 s"),
    ("incumbent", facts(2_000), TODAY, {"incumbent": "gpt-4o"}, "the incumbent gpt-4o can serve the request"),
    ("incumbent, too long", facts(200_000), TODAY, {"incumbent": "gpt-4o", "models": ["gpt-4o", "gpt-4.1"]},
     "gpt-4.1: nothing else can serve this, scores at least as well as gpt-4o on 9 of 9 areas (29 published measures); "
     "answers after about 19 s; it ends on 2027-01-14; 200,000 input tokens are more than the 128,000 that gpt-4o "
     "accepts"),
    ("after the shutdown", facts(2_000), AFTER, {"incumbent": "gpt-4o"},
     "gpt-5.6-luna at low effort: the cheapest of what can serve this, scores at least as well as gpt-4o on 6 of 9 "
     "areas (7 published measures), 3 unmeasured; answers after about 2.3 s; gpt-4o was shut down on 2027-01-14; the "
     "provider names gpt-6-luna instead"),
    ("today", facts(2_000), TODAY, {},
     "gpt-5.6-luna at low effort: 88 % cheaper than gpt-4o, scores at least as well as gpt-4o on 6 of 9 areas (7 "
     "published measures), 3 unmeasured; answers after about 2.3 s"),
    ("a stream", facts(2_000, stream=True), TODAY, {},
     "gpt-5.6-luna at low effort: 88 % cheaper than gpt-4o, scores at least as well as gpt-4o on 6 of 9 areas (7 "
     "published measures), 3 unmeasured; begins to answer after about 1.1 s"),
    ("a task of which nothing is measured any more", facts(2_000, task="multilingual"), AFTER, {},
     "gpt-5.6-luna at low effort: the cheapest of what can serve this, scores at least as well as gpt-4o on 6 of 10 "
     "areas (7 published measures), 4 unmeasured: nothing is published on multilingual, which the task is about; "
     "answers after about 2.3 s; gpt-4o was shut down on 2027-01-14; the provider names gpt-6-luna instead"),
    ("longer than any test", facts(200_000), TODAY, {},
     "gpt-5.6-luna at low effort: the cheapest of what can serve this, scores at least as well as gpt-4o on 6 of 9 "
     "areas (7 published measures), 3 unmeasured, unmeasured at this length; answers after about 5 s; 200,000 input "
     "tokens are more than the 128,000 that gpt-4o accepts"),
    ("no reasoning", facts(180, cap=1), TODAY, {"models": ["gpt-4o", "gpt-5.1"]},
     "gpt-5.1 without reasoning: 49 % cheaper than gpt-4o, scores at least as well as gpt-4o on 9 of 9 areas (16 "
     "published measures); answers after about 0.8 s"),
    ("sound, of which nothing is published", facts(20, audio_seconds=60), TODAY, {},
     "gpt-audio-1.5: the cheapest of what can serve this, the provider's counterpart of gpt-4o, though nothing is "
     "published that compares the two; answers after about 4 s; gpt-4o takes no audio input"),
    ("nobody waits", facts(2_000), TODAY, {"service_tier": "batch"},
     "gpt-5.6-luna at low effort: 88 % cheaper than gpt-4o, scores at least as well as gpt-4o on 6 of 9 areas (7 "
     "published measures), 3 unmeasured; answers within 24 h, as calls of its service tier do"),
]  # fmt: skip


@pytest.mark.parametrize(
    ("asked", "at", "policy", "why"), [item[1:] for item in WHY], ids=[item[0] for item in WHY]
)
def test_reasons_of_the_review(asked: Any, at: date, policy: dict[str, Any], why: str) -> None:
    """Each decision says in a sentence what settled it, what speaks for it, and how long it takes."""
    assert decide(asked, at, **policy).why == why


AGAINST = [
    ("codex has no shared measure", facts(10_000, task="coding", tools=6), REVIEW, {"models": "*codex*"}, "gpt-5.1-codex",
     ["no published measure compares gpt-5.1-codex at low with gpt-4o on overall"]),
    ("nano is below", facts(200_000), REVIEW, {"models": "gpt-4.1*"}, "gpt-4.1-nano", ["gpt-4.1-nano is below gpt-4o on overall"]),
    ("nano is gone", facts(900_000), TODAY, {"models": "gpt-4.1*", "at_least": None}, "gpt-4.1-nano",
     ["gpt-4.1-nano was shut down on 2026-10-23; the provider names gpt-5.6-luna instead"]),
    ("the preview is gone", facts(500, **VOICE), TODAY, {"surface": "realtime"}, "gpt-4o-realtime-preview",
     ["gpt-4o-realtime-preview was shut down on 2026-05-07; the provider names gpt-realtime-1.5 instead"]),
    ("the preview is dearer", facts(500, **VOICE), REVIEW, {"surface": "realtime"}, "gpt-4o-realtime-preview",
     ["gpt-4o-realtime-preview is expected to cost $"]),
    ("gpt-5.4 pays the long rate", facts(300_000), REVIEW, {"models": ["gpt-4.1", "gpt-5.4"], "at_least": None}, "gpt-5.4",
     ["gpt-5.4 at none is expected to cost $1.5071325, 2.5 times as much"]),
    ("a chat model holds no session", facts(500, **VOICE), REVIEW, {"surface": "realtime", "models": ["gpt-4o", "gpt-realtime"]},
     "gpt-4o", []),
]  # fmt: skip


@pytest.mark.parametrize(
    ("asked", "at", "policy", "model", "starts"),
    [item[1:] for item in AGAINST],
    ids=[item[0] for item in AGAINST],
)
def test_reasons_against(asked: Any, at: date, policy: dict[str, Any], model: str, starts: list[str]) -> None:
    """What the review names and the router does not take has its reason."""
    found = sentences(decide(asked, at, **policy), model)
    assert [text[: len(start)] for text, start in zip(found, starts, strict=False)] == starts


def priced(model: str, tokens_in: int, tokens_out: int, at: date = TODAY) -> Decimal | None:
    """Return what a finished call costs."""
    return cost(Usage(input_tokens=tokens_in, output_tokens=tokens_out), CATALOG.get(model), at)


@pytest.mark.parametrize(
    ("millions", "figures"),
    [
        pytest.param(1, ("3.20", "4.00", "5.00"), id="per million tokens"),
        pytest.param(10, ("32", "40", "50"), id="10M a month"),
        pytest.param(500, ("1600", "2000", "2500"), id="500M a month"),
        pytest.param(10_000, ("32000", "40000", "50000"), id="10B a month"),
    ],
)
def test_blended_costs(millions: int, figures: tuple[str, str, str]) -> None:
    """80% in and 20% out, in calls of 10,000 tokens, cost what the review says, in April as today."""
    for model, figure in zip(("gpt-4.1", "gpt-4o", "gpt-5.4"), figures, strict=True):
        for at in (REVIEW, TODAY):
            one = priced(model, 8_000, 2_000, at)
            assert one is not None
            assert one * 100 * millions == Decimal(figure)


@pytest.mark.parametrize(
    ("model", "dollars"),
    [
        ("gpt-6-luna", "0.0615"),
        ("gpt-4.1-mini", "0.1232"),
        ("gpt-5.6-luna", "0.1236"),
        ("gpt-6.1-terra", "0.615"),
        ("gpt-4.1", "0.616"),
        ("gpt-6-sol", "1.23"),
        ("gpt-6.1-sol", "1.23"),
        ("gpt-5.6-terra", "1.236"),
        ("gpt-5.4", "1.545"),
    ],
)
def test_300k_in_and_2k_out(model: str, dollars: str) -> None:
    """300,000 tokens in and 2,000 out at the long rates where a model has them, no cache."""
    assert priced(model, 300_000, 2_000) == Decimal(dollars)


@pytest.mark.parametrize(("tokens", "dollars"), [(272_000, "0.695"), (272_001, "1.382505")])
def test_the_long_rate_prices_the_whole_request(tokens: int, dollars: str) -> None:
    """One token over 272,000 doubles the price of every token; $1.3825 to four places."""
    assert priced("gpt-5.4", tokens, 1_000) == Decimal(dollars)
