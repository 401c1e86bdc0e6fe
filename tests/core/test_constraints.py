"""A constraint that is put into the list is obeyed by everything that reads it, with nothing else touched."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from datetime import date
from typing import Any, ClassVar

import pytest
from core_support import CATALOG, TODAY, facts

from routed_llm import Allowance, NoModelFits, Policy, RequestFacts, Router, TokenCount, read_openai, select
from routed_llm.batch import select_many
from routed_llm.decide import constraints
from routed_llm.decide.constraints import Constraint
from routed_llm.decide.context import PLAIN
from routed_llm.decide.dominance import pareto_front
from routed_llm.decide.inputs import DecisionInputs
from routed_llm.decide.shape import Row
from routed_llm.decide.table import prepare
from routed_llm.reasons import Reason, Wording

LIMIT = 5_000
USUAL = "gpt-5.6-luna"


class Pages(Constraint):
    """A model takes so many tokens at the most; written as the recipe says, and no more."""

    wordings: ClassVar[Mapping[str, Wording]] = {
        "pages": Wording("{model} is slow beyond {limit:,} tokens", "Send fewer pages.", for_named=True)
    }

    def __init__(self, limits: Mapping[str, int], but: str | None = None) -> None:
        self.limits = limits
        self.but = but

    def limit(self, row: Row) -> int | None:
        """Return the most tokens of a row."""
        if self.but is not None:
            return None if f"{row.at.model.id}@{row.at.effort}" == self.but else 0
        return self.limits.get(row.at.model.id)

    def admits(self, row: Row, inputs: DecisionInputs, tokens: int) -> bool:
        """Say whether so many tokens are few enough."""
        limit = self.limit(row)
        return limit is None or tokens <= limit

    def reasons(self, row: Row, inputs: DecisionInputs, tokens: int) -> Iterator[Reason]:
        """Say why not."""
        yield self.because("pages", model=row.at.model.id, limit=self.limit(row))

    def breakpoints(self, row: Row, inputs: DecisionInputs) -> Iterable[int]:
        """List the limit."""
        limit = self.limit(row)
        return () if limit is None else (limit,)


class Kept(Pages):
    """The same, saying that it depends on nothing of the call alone, and what it means for pruning."""

    is_kept = True

    def pruning(self, inputs: DecisionInputs) -> object:
        """Depend on nothing."""
        return ()

    def keeps(self, one: Row, other: Row, inputs: DecisionInputs) -> bool:
        """Say whether one has no tighter limit."""
        mine, theirs = self.limit(one), self.limit(other)
        return mine is None or (theirs is not None and mine >= theirs)


@pytest.fixture(params=[Pages, Kept], ids=["least", "whole"])
def append(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Any:
    """Return what puts a constraint into the list."""

    def put(*given: Any) -> None:
        monkeypatch.setattr(constraints, "CONSTRAINTS", (*constraints.CONSTRAINTS, request.param(*given)))

    return put


def chosen(asked: RequestFacts, at: date = TODAY, **around: Any) -> str | None:
    """Return the model chosen under the default policy."""
    return select(asked, policy=Policy(), catalog=CATALOG, at=at, **around).model


AROUND: dict[str, tuple[dict[str, Any], dict[str, Any]]] = {
    "a text": ({}, {}),
    "a budget": ({}, {"allowance": Allowance(remaining=10**12)}),
    "a budget for nineteen of twenty": ({}, {"allowance": Allowance(remaining=10**12, p95=True)}),
    "a budget for the worst case": ({}, {"allowance": Allowance(remaining=10**12, worst_case=True)}),
    "a failing model": ({}, {"unavailable": {"gpt-4.1-mini": "it is down"}}),
    "tools and a cap": ({"tools": 2, "cap": 100}, {}),
}


@pytest.mark.parametrize(("given", "around"), AROUND.values(), ids=AROUND)
def test_it_is_obeyed_by_the_choice(append: Any, given: dict[str, Any], around: dict[str, Any]) -> None:
    """At the limit the usual model is chosen, one token above another, at first sight and repeated."""
    usual = chosen(facts(LIMIT + 1, **given), **around)
    assert usual == USUAL
    append({USUAL: LIMIT})
    for _ in range(3):
        assert chosen(facts(LIMIT, **given), **around) == usual
        assert chosen(facts(LIMIT + 1, **given), **around) not in (usual, None)


def test_it_is_a_breakpoint(append: Any) -> None:
    """Bounds on both sides of the limit are no proof; the limit is where the choice changes."""
    append({USUAL: LIMIT})
    table = prepare(CATALOG, Policy(), TODAY)
    assert LIMIT in table.breakpoints(facts())
    assert LIMIT in table.boundaries(facts())
    for _ in range(3):
        assert not table.select(facts((LIMIT, LIMIT + 1))).certain
        assert table.select(facts((LIMIT - 9, LIMIT))).certain
        assert table.select(facts((LIMIT + 1, LIMIT + 9))).certain


def test_what_it_alone_leaves_is_not_pruned(append: Any) -> None:
    """A configuration that could never be the cheapest is chosen where it is the only one admitted."""
    table = prepare(CATALOG, Policy(), TODAY)
    inputs = table._inputs(facts(), table._kind(facts(), long=False), PLAIN)
    pruned = [row for row in inputs.shape.rows if row not in pareto_front(inputs)]
    assert len(pruned) > len(inputs.shape.rows) / 2
    row = pruned[-1]
    append({}, f"{row.at.model.id}@{row.at.effort}")
    decision = select(facts(), policy=Policy(), catalog=CATALOG, at=TODAY)
    assert (decision.model, decision.effort) == (row.at.model.id, row.at.effort)


def test_it_is_obeyed_by_a_whole_table(append: Any) -> None:
    """``select_many`` decides every row as ``select`` does."""
    append({USUAL: LIMIT})
    tokens = [10, LIMIT - 1, LIMIT, LIMIT + 1, 90_000]
    found = select_many({"tokens": tokens, "budget": [None, "1", "1", "1", None]}, at=TODAY)
    assert found["model"].to_pylist() == [chosen(facts(n)) for n in tokens]
    assert found["model"].to_pylist()[2:4] == [USUAL, chosen(facts(LIMIT + 1))]


def test_it_is_obeyed_by_replayed_facts(append: Any) -> None:
    """Recorded facts, read again, are decided under it."""
    recorded = facts(LIMIT + 1).to_dict()
    append({USUAL: LIMIT})
    assert chosen(RequestFacts.from_dict(recorded)) != USUAL


@pytest.mark.parametrize(("words", "usual"), [(LIMIT - 7, True), (LIMIT - 5, False)])
def test_a_text_is_counted_as_far_as_it_asks_for(append: Any, words: int, usual: bool) -> None:
    """The router counts near the limit: every word is one token, and a message six more."""
    append({USUAL: LIMIT})
    router = Router(catalog=CATALOG, clock=lambda: TODAY)
    request = read_openai({"messages": [{"role": "user", "content": " the" * words}]})
    assert (router.decide(request).model == USUAL) is usual


def test_it_is_explained(append: Any) -> None:
    """The record, the candidates and the number of those that can serve know its sentence."""
    before = select(facts(LIMIT + 1), policy=Policy(), catalog=CATALOG, at=TODAY)
    append({USUAL: LIMIT})
    for _ in range(3):
        decision = select(facts(LIMIT + 1), policy=Policy(), catalog=CATALOG, at=TODAY)
        sentence = "gpt-5.6-luna is slow beyond 5,000 tokens"
        assert decision.record()["rejected"][USUAL] == sentence
        assert [reason.text for reason in decision.reasons_against(USUAL)].count(sentence) > 0
        assert decision.why != before.why


def test_a_refusal_says_it() -> None:
    """Where it leaves nothing, the error has its sentence and its advice."""
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(constraints, "CONSTRAINTS", (*constraints.CONSTRAINTS, Pages({USUAL: LIMIT})))
        router = Router(catalog=CATALOG, clock=lambda: TODAY, policy=Policy(models=USUAL, at_least=None))
        request = read_openai({"messages": [{"role": "user", "content": " the" * LIMIT}]})
        with pytest.raises(NoModelFits) as refused:
            router.decide(request)
    assert str(refused.value) == (
        "gpt-5.6-luna cannot serve this request: gpt-5.6-luna is slow beyond 5,000 tokens. Send fewer pages."
    )


def test_every_constraint_that_refuses_says_why() -> None:
    """Whatever rules a configuration out gives at least one Reason, with words of its own."""
    for constraint in constraints.CONSTRAINTS:
        assert constraint.wordings
        assert type(constraint).__doc__
    found = set()
    for cost_cap in ("expected", "hard"):
        decision = select(
            facts(900_000, cap=200_000, images=[(9_000, 9_000, "original")]),
            policy=Policy(
                models="*",
                at_least=None,
                min_recall=50,
                max_cost_per_call="0.000001",
                cost_cap=cost_cap,
                max_first_token=0,
                max_seconds=0,
                service_tier="priority",
            ),
            catalog=CATALOG,
            at=date(2026, 12, 1),
            allowance=Allowance(remaining=0),
            unavailable={USUAL: "it is down"},
            deadline=0.001,
        )
        assert decision.chosen is None
        found |= {reason.code for candidate in decision.candidates for reason in candidate.reasons}
    # What is left out has no price, or a recall at that length, in no other case than another one's; and
    # where nothing serves a request, the defaults are lifted.
    wanted = {code for constraint in constraints.CONSTRAINTS for code in constraint.wordings}
    assert wanted - found <= {"no_price", "poor_recall", "recall", "slow"}


@pytest.mark.parametrize("worst", [False, True], ids=["expected", "worst"])
@pytest.mark.parametrize("seed", range(40))
def test_bounds_within_a_budget_are_certain_of_every_count(seed: int, worst: bool) -> None:
    """What fits into a budget at the upper bound, and what does not, is that of every count between."""
    low = 500 * (seed + 1)
    asked = facts((low, low * 2), cap=[None, 100, 5_000][seed % 3])
    left = Allowance(remaining=10**9 * (seed % 7 + 1) * (20 if worst else 1), worst_case=worst)
    table = prepare(CATALOG, Policy(), TODAY)
    for _ in range(3):
        bounded = table.select(asked, allowance=left)
        for tokens in range(low, low * 2 + 1, low // 20) if bounded.certain else ():
            exact = table.select(asked.with_tokens(TokenCount.of(tokens)), allowance=left)
            assert (exact.model, exact.effort) == (bounded.model, bounded.effort)
