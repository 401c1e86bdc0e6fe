"""The recipe "add an objective" of CONTRIBUTING, carried out on a copy of the tree: two files."""

from __future__ import annotations

from typing import Any

FILE = "src/routed_llm/decide/objectives.py"
NAMES = "src/routed_llm/policy.py"

CLASS = '''
class Width(Objective):
    """The widest window first, and for long requests the narrowest."""

    name = "width"
    unit = "tokens"
    superlative = "the widest"

    def value(self, row: Row, inputs: DecisionInputs, tokens: int) -> int:
        width = row.at.model.limits.context_window
        return -width if tokens <= 5_000 else width

    def breakpoints(self, row: Row, inputs: DecisionInputs) -> Iterable[int]:
        return (5_000,)


COST = Cost()
'''

PROGRAM = """
from datetime import date
from routed_llm import Catalog, Policy, RequestFacts, Router, TokenCount, read_openai, select
from routed_llm.batch import select_many

policy, day, counts = Policy(optimize="width", at_least=None), date(2026, 11, 22), (5_000, 5_001)
given = {"policy": policy, "catalog": Catalog.load(), "at": day}
found = [select(RequestFacts(tokens=TokenCount.of(n)), **given) for n in counts]
width = [given["catalog"].get(one.model).limits.context_window for one in found]
assert width[0] > width[1], width
for one in found:
    assert ": the widest of what can serve this" in one.why, one.why
    others = [other for other in one.candidates if other.able and other.model != one.model]
    assert others
    for other in others:
        codes = [(reason.code, reason.text) for reason in other.reasons]
        same = given["catalog"].get(other.model).limits.context_window == width[found.index(one)]
        if not same:
            after = f"{other.model}{' at ' + other.effort if other.effort else ''} comes after the widest"
            assert codes == [("comes_after", after)], codes
assert not select(RequestFacts(tokens=TokenCount(counts[0], counts[0], counts[1])), **given).certain
assert select(RequestFacts(tokens=TokenCount(1, 1, counts[0])), **given).certain
many = select_many({"tokens": list(counts)}, policy=policy, at=day)
assert many["model"].to_pylist() == [one.model for one in found]
router = Router(clock=lambda: day, policy=policy)
long = read_openai({"messages": [{"role": "user", "content": " the" * 5_010}]})
assert router.decide(long).model == found[1].model
"""


def test_an_objective_is_two_files(copied: Any) -> None:
    """With a class, its place and its name it is obeyed by everything that chooses, and says so."""
    copied.change(FILE, lambda text: text.replace("\nCOST = Cost()\n", CLASS))
    copied.change(
        FILE,
        lambda text: text.replace("(COST, Quality(), Latency())", "(COST, Quality(), Latency(), Width())"),
    )
    copied.change(
        NAMES, lambda text: text.replace('OPTIMIZE: Final = ("cost",', 'OPTIMIZE: Final = ("width", "cost",')
    )
    copied.run("-c", PROGRAM)
    assert copied.touched == {FILE, NAMES}
