"""The recipe "add a constraint" of CONTRIBUTING, carried out on a copy of the tree: one file."""

from __future__ import annotations

from typing import Any

FILE = "src/routed_llm/decide/constraints.py"

CLASS = '''
class Pages(Constraint):
    """A model of one name takes few tokens."""

    wordings: ClassVar[Mapping[str, Wording]] = {
        "pages": Wording("{model} is slow beyond {limit:,} tokens", "Send fewer pages.", for_named=True)
    }

    def admits(self, row: Row, inputs: DecisionInputs, tokens: int) -> bool:
        return row.at.model.id != "gpt-5.6-luna" or tokens <= 5_000

    def reasons(self, row: Row, inputs: DecisionInputs, tokens: int) -> Iterator[Reason]:
        yield self.because("pages", model=row.at.model.id, limit=5_000)

    def breakpoints(self, row: Row, inputs: DecisionInputs) -> Iterable[int]:
        return (5_000,)


CONSTRAINTS: tuple[Constraint, ...] = (
    Pages(),
'''

PROGRAM = """
from datetime import date
from routed_llm import Catalog, NoModelFits, Policy, RequestFacts, Router, TokenCount, read_openai, select
from routed_llm.batch import select_many

usual, day, counts = "gpt-5.6-luna", date(2026, 11, 22), (4_990, 5_010)
given = {"policy": Policy(), "catalog": Catalog.load(), "at": day}
found = [select(RequestFacts(tokens=TokenCount.of(n)), **given) for n in counts]
assert [one.model == usual for one in found] == [True, False], found
assert found[1].record()["rejected"][usual] == "gpt-5.6-luna is slow beyond 5,000 tokens"
assert not select(RequestFacts(tokens=TokenCount(counts[0], counts[0], counts[1])), **given).certain
many = select_many({"tokens": list(counts)}, at=day)
assert many["model"].to_pylist() == [one.model for one in found]
router = Router(clock=lambda: day)
long = read_openai({"messages": [{"role": "user", "content": " the" * 5_010}]})
assert router.decide(long).model == found[1].model
try:
    router.decide(long, policy=Policy(models=[usual], at_least=None))
except NoModelFits as error:
    assert str(error).endswith("gpt-5.6-luna is slow beyond 5,000 tokens. Send fewer pages."), error
else:
    raise AssertionError("it was not refused")
"""


def test_a_constraint_is_one_file(copied: Any) -> None:
    """With a class and its place in the list it is obeyed; what holds for all constraints holds for it."""
    copied.change(FILE, lambda text: text.replace("\nCONSTRAINTS: tuple[Constraint, ...] = (\n", CLASS))
    copied.run("-c", PROGRAM)
    tests = ("tests/core/test_constraints.py", "-k", "every_constraint or certain_of_every_count")
    copied.run("-m", "pytest", "-q", "-x", "-n", "0", "-p", "no:cacheprovider", *tests)
    assert copied.touched == {FILE}
