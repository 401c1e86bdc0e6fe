"""Decisions for columns are the decisions for single requests, whatever the columns come in."""

from __future__ import annotations

import pickle
import random
from datetime import date
from decimal import Decimal
from typing import Any

import numpy as np
import pyarrow as pa
import pytest

from routed_llm import Catalog, CatalogError, Policy, RequestError
from routed_llm.batch import Planner, select_many
from routed_llm.batch.columns import facts_of
from routed_llm.batch.planner import reason_code
from routed_llm.budget import PICO, Allowance
from routed_llm.decide.table import prepare
from routed_llm.facts import TokenCount

TODAY = date(2026, 11, 22)
EDGES = (1_023, 1_024, 111_616, 123_904, 128_000, 199_999, 272_000, 400_000, 922_000, 1_014_808, 1_047_576)

KINDS: tuple[dict[str, Any], ...] = (
    {},
    {"cap": 256},
    {"cap": 16_384, "tools": 3},
    {"structured": "json_schema", "tools": 1},
    {"stop": 2},
    {"effort": "low"},
    {"images": 1, "image_width": 800, "image_height": 600},
    {"images": 2},
    {"pdf_pages": 3},
    {"model": "gpt-4o"},
    {"parameters.temperature": 0.3},
)


def rows_of(count: int, seed: int) -> list[dict[str, Any]]:
    """Return random requests, half of them near an edge, a third with a budget."""
    rng = random.Random(seed)
    rows = []
    for _ in range(count):
        near = rng.choice(EDGES) + rng.randint(-3, 3)
        tokens = near if rng.random() < 0.5 else int(10 ** rng.uniform(1, 6.2))
        budget = Decimal(round(10 ** rng.uniform(-4, 0.5), 6)).quantize(Decimal("1e-12"))
        rows.append({**rng.choice(KINDS), "tokens": tokens, "budget": budget if rng.random() < 0.3 else None})
    return rows


def one_by_one(row: dict[str, Any], policy: Policy) -> dict[str, Any]:
    """Decide one row as a single request is decided."""
    values = {name: value for name, value in row.items() if name not in ("tokens", "budget")}
    facts = facts_of(values).with_tokens(TokenCount.of(row["tokens"]))
    left = None if row["budget"] is None else Allowance(remaining=int(row["budget"] * PICO))
    decision = prepare(Catalog.load(), policy, TODAY).select(facts, allowance=left)
    return {
        "model": decision.model,
        "effort": decision.effort,
        "endpoint": decision.endpoint,
        "cost": decision.dollars,
        "reason": reason_code(decision),
    }


def columns_of(rows: list[dict[str, Any]]) -> dict[str, list[Any]]:
    """Turn rows into columns."""
    names = {name: None for row in rows for name in row}
    return {name: [row.get(name) for row in rows] for name in names}


@pytest.mark.parametrize(
    "policy",
    [
        pytest.param(Policy(), id="default"),
        pytest.param(Policy(optimize="quality", max_cost_per_call="0.5"), id="quality under a cap"),
        pytest.param(Policy(incumbent="gpt-4o"), id="incumbent"),
        pytest.param(Policy(at_least=None, regional=True), id="no floor, regional"),
    ],
)
def test_same_as_select(policy: Policy) -> None:
    """Each row gets the model, effort, endpoint, cost and reason that select gives it."""
    rows = rows_of(400, seed=policy.optimize == "cost")
    found = select_many(columns_of(rows), policy=policy, at=TODAY).to_pylist()
    expected = [one_by_one(row, policy) for row in rows]
    assert [(row, got) for row, got in zip(rows, found, strict=True)] == list(
        zip(rows, expected, strict=True)
    )
    assert {got["reason"] for got in found} >= {None, "budget"}


@pytest.mark.parametrize(
    "given",
    [
        pytest.param({"tokens": [900, 130_000], "cap": [None, 100]}, id="lists"),
        pytest.param({"tokens": np.array([900, 130_000]), "cap": np.array([np.nan, 100])}, id="numpy"),
        pytest.param(pa.table({"tokens": [900, 130_000], "cap": [None, 100]}), id="arrow table"),
        pytest.param(
            pa.RecordBatch.from_pydict({"tokens": [900, 130_000], "cap": [None, 100]}), id="record batch"
        ),
    ],
)
def test_forms(given: Any) -> None:
    """Lists, numpy arrays, tables and record batches give one answer, in the promised schema."""
    planner = Planner(at=TODAY)
    found = planner(given)
    assert found.schema == planner.schema
    assert found.to_pylist() == [
        one_by_one({"tokens": 900, "budget": None}, Policy()),
        one_by_one({"tokens": 130_000, "cap": 100, "budget": None}, Policy()),
    ]


def test_batches() -> None:
    """A stream of record batches comes out as one, from a planner that was pickled, with kept columns."""
    planner = pickle.loads(pickle.dumps(Planner(at=TODAY, keep=["id", "tokens"])))
    batches = [pa.RecordBatch.from_pydict({"id": [at], "tokens": [10**at]}) for at in range(1, 8)]
    found = pa.Table.from_batches(planner.batches(batches)).to_pylist()
    assert [row["id"] for row in found] == list(range(1, 8))
    expected = [one_by_one({"tokens": 10**at, "budget": None}, Policy())["model"] for at in range(1, 8)]
    assert [row["model"] for row in found] == expected
    assert found[-1]["reason"] == "max_input"


def test_no_rows() -> None:
    """An empty table gives an empty table."""
    assert select_many({"tokens": pa.array([], pa.int64())}, at=TODAY).num_rows == 0


@pytest.mark.parametrize(
    ("given", "message"),
    [
        pytest.param(
            {"cap": [1]},
            "The table has no column tokens. Add one with the text tokens of each request.",
            id="no tokens",
        ),
        pytest.param(
            {"tokens": [1, None]},
            "The column tokens does not hold a whole number of at least 0 in each row. "
            "Count the texts first, or leave those rows out.",
            id="null tokens",
        ),
        pytest.param(
            {"tokens": [-1]},
            "The column tokens does not hold a whole number of at least 0 in each row. "
            "Count the texts first, or leave those rows out.",
            id="negative tokens",
        ),
        pytest.param(
            {"tokens": [1], "cap": [0]},
            "cap=0 is not a token count. Give a whole number above 0.",
            id="no cap of nothing",
        ),
        pytest.param(
            {"tokens": [1, 2], "cap": [1]},
            "The columns are of different lengths. Give each one value for each request.",
            id="lengths",
        ),
        pytest.param(
            7,
            "A value of type int has no columns. Give an Arrow table, a pandas frame or a dict of arrays.",
            id="no table",
        ),
    ],
)
def test_errors(given: Any, message: str) -> None:
    """What is wrong with a table is said, with what to do."""
    with pytest.raises(RequestError) as caught:
        select_many(given, at=TODAY)
    assert str(caught.value) == message


def test_unknown_column() -> None:
    """A column that nobody reads is refused by name."""
    with pytest.raises(
        RequestError, match=r"^The table has an unknown column 'prompt'\. Drop it, name it in"
    ):
        select_many({"tokens": [1], "prompt": ["x"]}, at=TODAY)


def test_unknown_model() -> None:
    """A model that the catalog does not know is an error, not a row without a model."""
    with pytest.raises(CatalogError):
        select_many({"tokens": [1], "model": ["gpt-nine"]}, at=TODAY)
