"""What other counts would change: recorded requests decided by this tree and by another one.

    git worktree add --detach /tmp/older COMMIT
    python scripts/compare_recorded.py /tmp/older SOURCE [...]

A SOURCE is what `scripts/recorded.py` reads. Each request is decided with the model that it names as the
baseline, on 2026-11-29, by the code and the catalog of either tree. Printed is how many choices differ, of
what models, and what the requests are expected to cost by either.
"""

from __future__ import annotations

import argparse
import json
import logging
import os
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator
from datetime import date
from pathlib import Path
from typing import Any

from recorded import Exchange, exchanges, sound

from routed_llm import Catalog, Policy, Request, RoutedError, Router, read_openai
from routed_llm.budget import PICO

DAY = date(2026, 11, 29)
BASELINES = ("gpt-4o", "gpt-4.1", "gpt-5.1", "gpt-5.4")


def decided(rows: list[Exchange]) -> Iterator[dict[str, Any] | None]:
    """Decide the requests by the code that is imported here; None where there is nothing to decide."""
    catalog = Catalog.load()
    routers = {name: Router(policy=Policy(baseline=name), clock=lambda: DAY) for name in BASELINES}
    for number, row in enumerate(rows):
        name = catalog.get(row.asked).id if row.asked in catalog else ""
        # Models that are gone by then stand for one that is not.
        baseline = name if name in routers else BASELINES[number % len(BASELINES)]
        yield _choice(routers[baseline], row)


def _choice(router: Router, row: Exchange) -> dict[str, Any] | None:
    try:
        request: Request = read_openai(row.request)
        decision = router.decide(request)
    except RoutedError:
        return None
    chosen = decision.chosen
    if chosen is None or chosen.cost is None:
        return None
    return {"choice": f"{chosen.model}@{chosen.effort}", "cost": chosen.cost / PICO}


def _by(tree: Path, sources: list[Path]) -> list[Any]:
    environment = {**os.environ, "PYTHONPATH": str(tree / "src")}
    command = [sys.executable, __file__, str(tree), *map(str, sources), "--print"]
    found = subprocess.run(command, env=environment, capture_output=True, check=True, text=True)
    return [json.loads(line) for line in found.stdout.splitlines()]


def main() -> None:
    """Compare, or print what is decided here."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("tree", type=Path, help="another tree of this repository")
    parser.add_argument("sources", type=Path, nargs="+")
    parser.add_argument(
        "--print", action="store_true", help="print the decisions of the code that is imported"
    )
    args = parser.parse_args()
    logging.disable(logging.CRITICAL)
    if args.print:
        rows = sound((row for source in args.sources for row in exchanges(source)), lambda _: None)
        for found in decided([row for row in rows if row.status == 200]):
            print(json.dumps(found))
        return
    here = Path(__file__).resolve().parent.parent
    both = [*zip(_by(args.tree, args.sources), _by(here, args.sources), strict=True)]
    known = [(old, new) for old, new in both if old and new]
    changed = Counter(
        f"{old['choice']} to {new['choice']}" for old, new in known if old["choice"] != new["choice"]
    )
    costs = [(old["cost"], new["cost"]) for old, new in known if old["cost"] and new["cost"]]
    print(f"{len(both)} requests, {len(known)} decided by both; {sum(changed.values())} choices differ")
    for what, count in changed.most_common(20):
        print(f"  {count:5} {what}")
    print(
        f"expected dollars: {sum(old for old, _ in costs):.6f} then, {sum(new for _, new in costs):.6f} now"
    )


if __name__ == "__main__":
    main()
