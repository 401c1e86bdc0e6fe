"""The recipe "change a price" of CONTRIBUTING, carried out on a copy of the tree: one file."""

from __future__ import annotations

import json
import re
from typing import Any

MODEL = "gpt-5.6-luna"
FILE = f"src/routed_llm/catalog/models/{MODEL}.toml"
SINCE = "2026-12-01"

PROGRAM = f"""
import json
from datetime import date
from routed_llm import Catalog, Policy, RequestFacts, TokenCount, Usage, cost, select

catalog, policy = Catalog.load(), Policy(models=["{MODEL}"], at_least=None)
facts, usage = RequestFacts(tokens=TokenCount.of(1_000)), Usage(input_tokens=1_000, output_tokens=1_000)
days = [date(2026, 11, 30), date(2026, 12, 1)]
print(json.dumps([
    [select(facts, policy=policy, catalog=catalog, at=day).chosen.cost for day in days],
    [str(cost(usage, catalog.get("{MODEL}"), day)) for day in days],
]))
"""


def dearer(text: str) -> str:
    """Add a row for each of today's standard ones, at ten times the price."""
    rows = re.findall(r"\n  \{ since = 2026-07-30, tier = \"standard\".*?\},", text)
    assert len(rows) == 2
    new = [re.sub(r'"(\d+\.\d+)"', lambda found: f'"{float(found[1]) * 10}"', row) for row in rows]
    last = rows[-1]
    return text.replace(last, last + "".join(row.replace("2026-07-30", SINCE) for row in new))


def test_a_price_is_one_file(copied: Any) -> None:
    """From its day on decisions and books know it; what was before, and the tests of the data, stay."""
    before = json.loads(copied.run("-c", PROGRAM))
    copied.change(FILE, dearer)
    after = json.loads(copied.run("-c", PROGRAM))
    assert [pair[0] for pair in after] == [pair[0] for pair in before]
    expected, billed = after
    assert expected[1] == 10 * expected[0]
    assert float(billed[1]) == 10 * float(billed[0])
    tests = ("tests/catalog/test_catalog.py", "tests/catalog/test_entries.py", "tests/core/test_pricing.py")
    copied.run("-m", "pytest", "-q", "-x", "-n", "0", "-p", "no:cacheprovider", *tests)
    assert copied.touched == {FILE}
