"""What is left out to be quick changes nothing: rows that cannot win, and sums that were made before."""

from __future__ import annotations

from dataclasses import replace
from datetime import date
from typing import Any

import pytest
from core_strategies import DAYS, EXAMPLES, POLICIES, any_facts
from core_support import CATALOG, facts, table_of
from hypothesis import given
from hypothesis import strategies as st

from routed_llm import Allowance, Decision, Observed, Policy, Previous, RequestFacts
from routed_llm.budget import PICO
from routed_llm.decide import choice, outcome
from routed_llm.decide.context import EvaluationContext
from routed_llm.decide.dominance import pareto_front
from routed_llm.decide.inputs import DecisionInputs
from routed_llm.decide.shape import Row
from routed_llm.decide.speed import Pace
from routed_llm.decide.table import Table, prepare
from routed_llm.usage import Returns, Seen

MODELS = ("gpt-5.6-luna", "gpt-5.6-terra", "gpt-5.4", "gpt-4.1", "gpt-4o")


@st.composite
def circumstances(draw: Any) -> dict[str, Any]:
    """Draw what a choice depends on besides the request: money, failures, time; not what was observed."""
    found: dict[str, Any] = {}
    if draw(st.booleans()):
        found["allowance"] = Allowance(
            remaining=draw(st.sampled_from([None, 0, PICO // 10_000, PICO // 100, PICO])),
            pressure=draw(st.sampled_from([0.0, 0.0, 0.4])),
            worst_case=draw(st.integers(0, 3)) == 0,
            p95=draw(st.integers(0, 3)) == 0,
        )
    if draw(st.booleans()):
        names = draw(st.lists(st.sampled_from(MODELS), min_size=1, max_size=2, unique=True))
        found["unavailable"] = dict.fromkeys(names, "it is down")
    if draw(st.booleans()):
        found["deadline"] = draw(st.sampled_from([0.5, 1.5, 2.5, 4.0, 8.0, 20.0, 120.0, 1_000.0]))
    return found


@st.composite
def seen(draw: Any) -> Seen:
    """Draw what was observed of a kind of request."""
    pairs = st.tuples(st.sampled_from(MODELS), st.sampled_from([None, "none", "low", "high"]))
    outputs = draw(st.dictionaries(pairs, st.floats(1, 9_000), max_size=3))
    shared = draw(st.dictionaries(st.sampled_from(MODELS), st.integers(1_024, 40_000), max_size=2))
    return Seen(
        draw(st.floats(1, 9_000)),
        outputs if len(outputs) > 1 else None,
        shared or None,
        draw(st.sampled_from([0.8, 1.0, 1.2])),
        draw(st.floats(0, 3)),
    )


SHARES = st.none() | st.sampled_from([0.0, 0.1, 0.25, 0.5, 1.0])
UNKNOWN = Returns()
RETURNS = st.builds(Returns, SHARES, SHARES)


def observed_for(asked: RequestFacts, what: Seen | None, returns: Returns = UNKNOWN) -> Observed | None:
    """Say that it was observed of just such requests."""
    if what is None:
        return None
    return Observed(outputs={asked.kind: what}, returns={asked.purpose: returns}, reads={"gpt-5.6-luna": 0.7})


def every_row(inputs: DecisionInputs) -> tuple[Row, ...]:
    """Leave out none."""
    return inputs.shape.rows


@EXAMPLES
@given(
    asked=any_facts(exact=False),
    policy=POLICIES,
    at=DAYS,
    around=circumstances(),
    what=st.none() | seen(),
    returns=RETURNS,
)
def test_a_row_that_is_left_out_would_not_have_won(
    asked: RequestFacts, policy: Policy, at: date, around: dict[str, Any], what: Seen | None, returns: Returns
) -> None:
    """The choice, and what a switch would save, are the same when every row is looked at."""
    table = table_of(policy, at)
    if table is None:
        return
    around = {**around, "observed": observed_for(asked, what, returns)}
    found, again = table.select(asked, **around), table.select(asked, **around)
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(choice, "pareto_front", every_row)
        patched.setattr(outcome, "pareto_front", every_row)
        whole = Table(CATALOG, policy, at).select(asked, **around)
    assert found.to_dict() == again.to_dict() == whole.to_dict()


def every_other_row(others: choice.Others, inputs: DecisionInputs, low: int, cost: int) -> tuple[Row, ...]:
    """Leave out none for what is published of its cost."""
    del others, low, cost
    return inputs.shape.rows


@EXAMPLES
@given(
    asked=any_facts(exact=False),
    policy=POLICIES,
    at=DAYS,
    around=circumstances(),
    what=st.none() | seen(),
    efforts=st.dictionaries(st.sampled_from(["none", "low", "high"]), st.floats(0, 3), min_size=2),
    returns=RETURNS,
)
def test_what_is_left_out_all_at_once_would_cost_more(
    asked: RequestFacts,
    policy: Policy,
    at: date,
    around: dict[str, Any],
    what: Seen | None,
    efforts: dict[str | None, float],
    returns: Returns,
) -> None:
    """Whether a row is chosen throughout is the same when each of the others is compared with it."""
    table = table_of(policy, at)
    if table is None:
        return
    for observed in (what, None if what is None else what._replace(by_effort=efforts)):
        context = EvaluationContext(**around, observed=observed_for(asked, observed, returns))
        inputs = table._inputs(asked, table._kind(asked, long=False), context)
        asks = [(row.name, inputs, asked.tokens.low, asked.tokens.high) for row in inputs.shape.rows]
        found = [choice.is_chosen_throughout(*ask) for ask in asks]
        with pytest.MonkeyPatch.context() as patched:
            patched.setattr(choice, "_rivals", every_other_row)
            assert found == [choice.is_chosen_throughout(*ask) for ask in asks]


def test_most_are_told_to_cost_more_all_at_once() -> None:
    """With an everyday text no more than a few of the configurations are looked at one by one."""
    table = prepare(CATALOG, Policy(), date(2026, 11, 22))
    asked = facts(500)
    inputs = table._inputs(asked, table._kind(asked, long=False), EvaluationContext())
    decision = table.select(asked)
    others = choice.compared((str(decision.model), decision.effort), inputs.shape)
    assert decision.chosen is not None
    assert decision.chosen.cost is not None
    assert len(choice._rivals(others, inputs, 500, decision.chosen.cost)) < len(inputs.shape.rows) / 5


@EXAMPLES
@given(
    asked=any_facts(exact=True),
    policy=POLICIES,
    at=DAYS,
    around=circumstances(),
    what=st.none() | seen(),
    returns=RETURNS,
)
def test_what_a_record_says_is_what_the_candidates_say(
    asked: RequestFacts, policy: Policy, at: date, around: dict[str, Any], what: Seen | None, returns: Returns
) -> None:
    """The short record, made of sums that are kept, agrees with every candidate weighed by itself."""
    table = table_of(policy, at)
    if table is None:
        return
    around = {**around, "observed": observed_for(asked, what, returns)}
    for _ in ("worked out", "kept"):
        decision = table.select(asked, **around)
        assert (decision.dearer, {*decision.rejected}) == _by_candidates(decision)


def _by_candidates(decision: Decision) -> tuple[dict[str, str | None], set[str]]:
    """Return what the other models would cost, and those that cannot serve."""
    costs: dict[str, list[int | None]] = {}
    for candidate in decision.candidates:
        if candidate.reasons and candidate.able:
            costs.setdefault(candidate.model, []).append(candidate.cost)
    costs.pop(decision.model or "", None)
    known = {model: [cost for cost in found if cost is not None] for model, found in costs.items()}
    dearer = {model: _dollars(min(found)) if found else None for model, found in known.items()}
    others = {candidate.model for candidate in decision.candidates} - {decision.model}
    return dearer, others - {*dearer}


def _dollars(pico: int) -> str:
    return f"{pico // PICO}.{pico % PICO:012d}".rstrip("0").rstrip(".")


CASES = {
    "a text": (facts(500), {}),
    "images": (facts(500, images=[(640, 480)], inputs={"text", "image"}), {}),
    "a conversation": (facts(9_000, previous=Previous(model="gpt-5.6-luna", prefix_tokens=8_000)), {}),
    "a failing model": (facts(500), {"unavailable": {"gpt-5.6-luna": "it is down"}}),
    "outputs observed": (facts(500), {"outputs": {("gpt-5.6-luna", "low"): 90.0, ("gpt-4.1", None): 50.0}}),
    "shared instructions": (facts(5_000), {"shared": {"gpt-5.6-luna": 4_096}}),
}


@pytest.mark.parametrize(("asked", "around"), CASES.values(), ids=CASES)
def test_most_rows_are_left_out(asked: RequestFacts, around: dict[str, Any]) -> None:
    """In everyday requests more than half of the rows are not looked at."""
    table = prepare(CATALOG, Policy(), date(2026, 11, 22))
    what = Seen(211, around.get("outputs"), around.get("shared"))
    kind, unavailable = table._kind(asked, long=False), around.get("unavailable", {})
    context = EvaluationContext(observed=observed_for(asked, what), unavailable=unavailable)
    inputs = table._inputs(asked, kind, context)
    assert 0 < len(pareto_front(inputs)) < len(inputs.shape.rows) / 2


@pytest.mark.parametrize(
    ("none", "high", "effort"),
    [
        pytest.param(100.0, 4_000.0, "none", id="as published"),
        pytest.param(9_000.0, 4_000.0, "low", id="wordy"),
        pytest.param(9_000.0, 9.0, "high", id="terse"),
    ],
)
def test_what_was_observed_of_a_row_speaks_for_that_row_alone(none: float, high: float, effort: str) -> None:
    """A row that writes more than published beats none of those that it would beat by what is published."""
    asked = facts(500)
    observed = {("gpt-5.6-luna", "none"): none, ("gpt-5.6-luna", "high"): high}
    table = prepare(CATALOG, Policy(models=["gpt-5.6-luna"], at_least=None), date(2026, 11, 22))
    decision = table.select(asked, observed=observed_for(asked, Seen(211, observed)))
    assert decision.effort == effort


@pytest.mark.parametrize(("tokens", "fits"), [(118_000, True), (118_001, False)])
def test_the_breakpoints_are_those_of_the_output_that_is_observed(tokens: int, fits: bool) -> None:
    """Where longer answers are observed, more of the window is kept free, and the record knows."""
    asked = facts(tokens)
    table = prepare(CATALOG, Policy(models=["gpt-4o", "gpt-4.1"], at_least=None), date(2026, 11, 22))
    what = observed_for(asked, Seen(10_000.0, {("gpt-4.1", None): 10.0, ("gpt-4o", None): 10_000.0}))
    for _ in ("worked out", "kept"):
        assert ("gpt-4o" in table.select(asked, observed=what).dearer) is fits
    assert 118_000 in table.breakpoints(asked, EvaluationContext(observed=what))


def test_what_is_kept_is_kept_for_the_same_caches_only() -> None:
    """While the same is observed, what caches hold of each request may be another model's, or nothing."""
    asked = facts(50_000)
    pool = Policy(models=["gpt-4.1", "gpt-5.1"], at_least=None)
    what, chosen = Seen(211, {("gpt-4.1", None): 150.0, ("gpt-5.1", "none"): 150.0}), []
    table = prepare(CATALOG, pool, date(2026, 11, 22))
    for warm in ({}, {}, {"gpt-4.1": 49_000}, {"gpt-4.1": 49_000}, {"gpt-5.1": 49_000}, {}, {}):
        observed = Observed(outputs={asked.kind: what}, warm=warm)
        kept = table.select(asked, observed=observed).to_dict()
        assert kept == Table(CATALOG, pool, table.at).select(asked, observed=observed).to_dict()
        chosen.append(kept["model"])
    assert chosen == ["gpt-5.1", "gpt-5.1", "gpt-4.1", "gpt-4.1", "gpt-5.1", "gpt-5.1", "gpt-5.1"]


@pytest.mark.parametrize(
    "around",
    [
        pytest.param({}, id="nothing else"),
        pytest.param({"deadline": 30.0}, id="a deadline that the choice keeps"),
        pytest.param({"deadline": 0.5}, id="a deadline that nothing keeps"),
        pytest.param({"unavailable": {"gpt-4.1": "it is down"}}, id="another model is down"),
        pytest.param({"unavailable": {"gpt-5.6-luna": "it is down"}}, id="the choice is down"),
        pytest.param({"allowance": Allowance(remaining=PICO)}, id="a budget with room"),
        pytest.param({"allowance": Allowance(remaining=1)}, id="a budget without"),
        pytest.param({"allowance": Allowance(remaining=PICO, pressure=0.5)}, id="a budget that runs low"),
    ],
)
def test_what_is_kept_says_what_is_worked_out_anew(around: dict[str, Any]) -> None:
    """Whatever a call meets, and however quick models have become, a look-up decides and says the same."""
    asked, table = facts(500), Table(CATALOG, Policy(), date(2026, 11, 22))
    usual, before = Pace(start=1.0, per_second=80.0, calls=10), observed_for(asked, Seen(211))
    for pace in (None, usual, usual._replace(per_second=60.0), usual._replace(per_second=4.0), None):
        paces = {} if pace is None else {(model, "standard"): pace for model in MODELS[:2]}
        observed = replace(before, paces=paces)
        for _ in range(3):
            table.select(asked, observed=observed).to_dict()
        kept = table.select(asked, observed=observed, **around)
        anew = Table(CATALOG, Policy(), table.at).select(asked, observed=observed, **around)
        assert kept == anew
        assert kept.to_dict() == anew.to_dict()
