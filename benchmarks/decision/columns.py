"""Time decisions over columns, and compare them with single ones.

    python -m benchmarks.decision.columns [--rows 1000000] [--compare 100000] [--ray]

A million requests of a few dozen shapes, as the logs of a program have them, from ten tokens to a million
and a half, a fifth of them with a budget. The first table pays for working out where choices change; the
next ones look them up.
"""

from __future__ import annotations

import argparse
import json
import statistics
import sys
import time
from datetime import date
from decimal import Decimal
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from benchmarks.tokens.compare import machine
from routed_llm import Catalog, Policy, TokenCount
from routed_llm.batch import Planner
from routed_llm.batch.columns import facts_of
from routed_llm.batch.planner import reason_code
from routed_llm.budget import PICO, Allowance
from routed_llm.decide.table import prepare

AT = date(2026, 11, 22)


def requests(count: int, seed: int) -> pa.Table:
    """Return random requests."""
    rng = np.random.default_rng(seed)

    def some(values: list[Any], shares: list[float]) -> Any:
        return pa.array(values).take(pa.array(rng.choice(len(values), count, p=shares)))

    dollars = np.rint(10 ** rng.uniform(-4, 0, count) * 1e6).astype(np.int64)
    budget = pa.array(dollars, mask=rng.random(count) >= 0.2).cast(pa.decimal128(20, 0))
    return pa.table(
        {
            "tokens": (10 ** rng.uniform(1, 6.2, count)).astype(np.int64),
            "cap": some([None, 256, 1_000, 4_096, 32_768], [0.6, 0.1, 0.1, 0.1, 0.1]),
            "tools": some([0, 3], [0.7, 0.3]),
            "structured": some([None, "json_schema"], [0.85, 0.15]),
            "stop": some([0, 2], [0.95, 0.05]),
            "images": some([0, 1], [0.95, 0.05]),
            "image_width": some([512], [1.0]),
            "image_height": some([700], [1.0]),
            "budget": pc.multiply(budget, pa.scalar(Decimal("0.000001"))).cast(pa.decimal128(38, 12)),
        }
    )


def differing(planner: Planner, table: pa.Table) -> int:
    """Count the rows that single decisions decide otherwise."""
    single = prepare(Catalog.load(), planner.policy, AT)
    wrong = 0
    for row, found in zip(table.to_pylist(), planner(table).to_pylist(), strict=True):
        tokens, budget = row.pop("tokens"), row.pop("budget")
        if not row["images"]:
            row.update(images=None, image_width=None, image_height=None)
        facts = facts_of(row).with_tokens(TokenCount.of(tokens))
        left = None if budget is None else Allowance(remaining=int(budget * PICO))
        decision = single.select(facts, allowance=left)
        expected = (decision.model, decision.effort, decision.endpoint, decision.dollars)
        expected = (*expected, None if decision.chosen else found["reason"] and reason_code(decision))
        wrong += tuple(found.values()) != expected
    return wrong


def through_ray(planner: Planner, table: pa.Table) -> None:
    """Decide the same table in Ray Data."""
    import ray

    ray.init(num_cpus=1, include_dashboard=False, logging_level="error")
    made = ray.data.from_arrow(table).map_batches(planner, batch_format="pyarrow")
    found = pa.concat_tables(ray.get(made.to_arrow_refs()))
    print(
        "Ray Data: equal" if found.sort_by("cost").equals(planner(table).sort_by("cost")) else "Ray: DIFFERS"
    )
    ray.shutdown()


def main() -> int:
    """Measure and print; fails when a row differs."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--rows", type=int, default=1_000_000)
    parser.add_argument("--compare", type=int, default=10_000, help="rows to compare with single decisions")
    parser.add_argument("--ray", action="store_true", help="also through Ray Data, if it is installed")
    options = parser.parse_args()
    print(json.dumps(machine(), indent=1))
    planner = Planner(at=AT, policy=Policy())
    rates: dict[str, list[float]] = {"wall": [], "one core": []}
    for seed in range(6):
        table = requests(options.rows, seed)
        wall, cpu = time.perf_counter(), time.process_time()
        planner(table)
        wall, cpu = time.perf_counter() - wall, time.process_time() - cpu
        if not seed:
            print(f"first table: {options.rows / cpu / 1e6:.2f} million decisions a second of CPU")
            continue
        rates["wall"].append(options.rows / wall / 1e6)
        rates["one core"].append(options.rows / cpu / 1e6)
    for name, values in rates.items():
        print(f"later tables, {name}: {statistics.median(values):.2f} million decisions a second")
    wrong = differing(planner, requests(options.compare, 99))
    print(f"{wrong} of {options.compare} rows differ from single decisions")
    if options.ray:
        through_ray(planner, requests(20_000, 7))
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
