"""A hard cap on the bill: what is sent makes it fit, or something cheaper is chosen, or nothing is."""

from __future__ import annotations

from datetime import date
from decimal import Decimal
from typing import Any

import pytest
from core_strategies import DAYS, EXAMPLES, any_facts
from core_support import CATALOG, TODAY, decide, facts
from hypothesis import given
from hypothesis import strategies as st

from routed_llm import Policy, PolicyError, RequestFacts, Usage
from routed_llm.decide.table import Table
from routed_llm.decision import Decision
from routed_llm.pricing import cost

PAID = "more would be billed above max_cost_per_call"


def hard(cap: str, **policy: Any) -> dict[str, Any]:
    """Return the keywords of a policy with a hard cap."""
    return {"max_cost_per_call": cap, "cost_cap": "hard", **policy}


@pytest.mark.parametrize(
    ("asked", "policy", "model", "effort", "cap"),
    [
        (facts(1_000), {"max_cost_per_call": "0.002"}, "gpt-5.6-luna", "low", None),
        (facts(1_000), hard("0.002"), "gpt-5.6-luna", "low", 1_458),
        (facts(1_000, cap=100), hard("0.002"), "gpt-5.6-luna", "low", 1_458),
        (facts(1_000, cap=100), hard("0.02"), "gpt-5.6-luna", "low", 4_196),
        (facts(1_000), hard("0.2"), "gpt-5.6-luna", "low", None),
        (facts(1_000), hard("0.0013", optimize="quality"), "gpt-5.6-luna", "medium", 875),
        (facts(1_000), hard("0.05", optimize="quality"), "gpt-5.6-sol", "high", 2_250),
        (facts(1_000), hard("0.0004"), None, None, None),
    ],
    ids=[
        "not hard", "a cap is sent", "the caller's, and room for reasoning as far as it is paid for",
        "all the room", "more than the model writes", "a lower effort", "the best that fits", "nothing fits",
    ],
)  # fmt: skip
def test_what_a_hard_cap_makes_of_a_call(
    asked: RequestFacts, policy: dict[str, Any], model: str | None, effort: str | None, cap: int | None
) -> None:
    """The cap that is sent is what the amount pays for, where it is not the caller's or the model's own."""
    decision = decide(asked, at=TODAY, **policy)
    assert (decision.model, decision.effort) == (model, effort)
    assert (None if decision.call is None else decision.call.cap) == cap


def test_the_cap_is_on_record() -> None:
    """What is sent for the sake of the bill is a Change, and the worst case stands in the record."""
    decision = decide(facts(1_000), at=TODAY, **hard("0.002"))
    assert [change.text for change in decision.changes if change.parameter == "max_tokens"] == [
        "max_tokens sent as max_completion_tokens: the endpoint takes it by this name",
        f"max_tokens=1458 added: {PAID}",
    ]
    assert decision.record()["worst_cost"] == "0.0019996"
    assert decide(facts(1_000), at=TODAY).record()["worst_cost"] == "0.15385"


def test_why_nothing_fits() -> None:
    """The refusal says what the amount pays for and what would be needed."""
    decision = decide(facts(1_000), at=TODAY, **hard("0.0004", models="gpt-5.6-luna", effort="low"))
    assert decision.reasons_against("gpt-5.6-luna")[0].text == (
        "gpt-5.6-luna at low usually needs up to 509 output tokens, and $0.0004 pays for 125 beside 1,000 "
        "input tokens"
    )


def test_hard_needs_an_amount() -> None:
    """A hard cap without an amount is an error."""
    with pytest.raises(PolicyError) as caught:
        Policy(cost_cap="hard")
    assert str(caught.value) == (
        "cost_cap='hard' has no amount to hold to. Give max_cost_per_call, in US dollars."
    )


def billed(decision: Decision) -> Decimal:
    """Return what a call costs whose cap is used up, with nothing read from a cache and all of it written."""
    assert decision.chosen is not None
    assert decision.call is not None
    model, choices = CATALOG.get(decision.chosen.model), decision.facts.parameter("n", 1)
    if not isinstance(choices, int) or not 1 <= choices <= 128:
        choices = 1  # is refused by OpenAI, and costs nothing
    tokens, most = decision.chosen.input_tokens, decision.call.cap or model.limits.max_output
    used = Usage(
        input_tokens=tokens, cache_write_tokens=tokens, output_tokens=most * choices,
        service_tier=decision.facts.service_tier,
    )  # fmt: skip
    found = cost(used, model, decision.at)
    assert found is not None
    return found


@EXAMPLES
@given(
    asked=any_facts(exact=True),
    at=DAYS,
    cap=st.sampled_from(["0.0005", "0.002", "0.01", "0.05", "1"]),
    optimize=st.sampled_from(["cost", "quality"]),
)
def test_no_bill_is_above_a_hard_cap(asked: RequestFacts, at: date, cap: str, optimize: str) -> None:
    """Whatever is asked for, the bill of a used-up cap fits; and the choice is a full look's."""
    policy = Policy(**hard(cap, optimize=optimize, at_least=None))
    table = Table(CATALOG, policy, at)
    decision = table.select(asked)
    if decision.chosen is None:
        return
    assert decision.worst_cost is not None
    assert decision.worst_cost <= Decimal(cap)
    if not (asked.audio_seconds or "audio" in asked.outputs):
        assert billed(decision) <= Decimal(cap)
    assert table.select(asked).to_dict() == decision.to_dict()
