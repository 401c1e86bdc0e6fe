"""The quick way to the cheapest configuration leads where a slow look at every one does."""

from __future__ import annotations

from datetime import date
from fractions import Fraction

from core_reference import cheapest
from core_strategies import DAYS, EDGES, EXAMPLES
from core_support import CATALOG, decide, facts
from hypothesis import given
from hypothesis import strategies as st

from routed_llm import Observed, Policy, RequestFacts
from routed_llm.decide.table import prepare
from routed_llm.policy import DIMENSIONS_BY_TASK, EFFORTS
from routed_llm.usage import Returns

POLICIES = st.sampled_from(
    [
        Policy(),
        Policy(at_least=None),
        Policy(evidence="measured"),
        Policy(max_cost_per_call="0.02"),
        Policy(at_least=None, max_cost_per_call="0.0005"),
        Policy(output_tokens=3),
        Policy(output_tokens=20_000, at_least=None),
        Policy(output_tokens=300_000, at_least=None),
        Policy(models=["gpt-4.1", "gpt-4.1-mini", "gpt-5.4", "gpt-6-luna", "gpt-6.1-terra"], at_least=None),
        Policy(effort="none"),
        Policy(effort="high", at_least=None),
    ]
)

SHARES = st.sampled_from([0.0, 0.1, 0.21, 0.23, 0.27, 0.3, 0.6, 1.0])
FOLLOWED = st.none() | st.tuples(SHARES, SHARES)


@st.composite
def requests(draw: st.DrawFn) -> RequestFacts:
    """Draw text requests within what the slow reference covers."""
    hard = {
        "stop": st.sampled_from(["x", ["a", "b"], ["1", "2", "3", "4", "5"], []]),
        "n": st.sampled_from([1, 2]),
        "logprobs": st.booleans(),
        "logit_bias": st.sampled_from([{}, {"5": 1}]),
        "prediction": st.just({"type": "content", "content": "x"}),
        "temperature": st.just(0.3),
    }
    names = draw(st.lists(st.sampled_from(sorted(hard)), max_size=2, unique=True))
    return facts(
        draw(st.integers(5, 2_000) | st.sampled_from(EDGES) | st.integers(1, 1_060_000)),
        cap=draw(st.none() | st.sampled_from([1, 2, 50, 4_096, 16_384, 16_385, 32_769, 128_000, 500_000])),
        tools=draw(st.sampled_from([0, 0, 3])),
        structured=draw(st.sampled_from([None, None, "json_schema", "json_object"])),
        task=draw(st.none() | st.sampled_from(sorted(DIMENSIONS_BY_TASK))),
        effort=draw(st.none() | st.none() | st.sampled_from(EFFORTS)),
        stream=draw(st.booleans()),
        parameters={name: draw(hard[name]) for name in names},
    )


@EXAMPLES
@given(asked=requests(), policy=POLICIES, at=DAYS, followed=FOLLOWED)
def test_the_choice_is_the_cheapest_there_is(
    asked: RequestFacts, policy: Policy, at: date, followed: tuple[float, float] | None
) -> None:
    """Among all configurations that the rules admit, none costs less than the one chosen."""
    policy = policy.replace(slower_than_baseline=None, grace=0)
    seen = None if followed is None else Observed(returns={asked.purpose: Returns(*followed)})
    decision = prepare(CATALOG, policy, at).select(asked, observed=seen)
    least, best = cheapest(asked, policy, at, followed)
    if not best:
        assert decision.chosen is None
        return
    assert decision.chosen is not None, (least, best)
    cost = decision.chosen.cost
    found = None if cost is None else Fraction(cost, 10**12)
    assert (found, (decision.model, decision.effort) in best) == (least, True)


def test_of_equally_cheap_ones_the_longest_lived_is_taken() -> None:
    """gpt-4.1 and a copy that is never shut down cost the same; the copy stays longer."""
    copy = CATALOG.with_models({"a-copy": {"base": "gpt-4.1", "lifecycle": {"shutdown": date(2028, 1, 1)}}})
    decision = decide(facts(500), catalog=copy, models=["gpt-4.1", "a-copy"])
    assert decision.model == "a-copy"
    assert decision.dearer == {"gpt-4.1": "0.003872"}
