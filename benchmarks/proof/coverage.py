"""How often a rollout's bounds hold on public results, and how many calls a climb takes.

    python -m benchmarks.proof.coverage FOLDER [--seeds 1000] [--calls 4000]

FOLDER is a clone of HuanzhiMao/BFCL-Result: which tasks of the Berkeley Function Calling Leaderboard each
model got wrong (2024-08-11; its twelve categories). Nothing of it is kept here. Streams are drawn from the
pairs of two models' results, task by task; the true difference is set by the weight that tasks have on which
the two differ.
Ends with 1 when a bound of 95 % holds in fewer than 95 % of the runs.
"""

from __future__ import annotations

import argparse
import json
import subprocess
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from routed_llm import MemoryLedger
from routed_llm.rollout import bounds as ours
from routed_llm.rollout.ladder import Climb, Ladder, Progress

DAY = "2024-08-11/score"
BASELINE = "gpt-4o-2024-08-06-FC"
OTHERS = (
    "gpt-4o-mini-2024-07-18-FC",
    "gpt-4-turbo-2024-04-09-FC",
    "claude-3-5-sonnet-20240620-FC",
    "gpt-4o-2024-08-06",
)
DIFFERENCES = (0.0, 0.01, 0.03, 0.10)
MARGIN = 0.02

Floats = NDArray[np.float64]


def results(folder: Path, model: str) -> dict[tuple[str, int], bool]:
    """Return which tasks a model got right, by category and number."""
    found: dict[tuple[str, int], bool] = {}
    listed = _git(folder, "ls-tree", "-r", "--name-only", "HEAD", f"{DAY}/{model}/").splitlines()
    for path in listed:
        head, *wrong = _git(folder, "show", f"HEAD:{path}").splitlines()
        total = json.loads(head)["total_count"]
        missed = {json.loads(line)["id"] for line in wrong if line.strip()}
        name = Path(path).stem
        found.update({(name, number): number not in missed for number in range(1, total + 1)})
    return found


def _git(folder: Path, *words: str) -> str:
    return subprocess.run(
        ["git", "-C", str(folder), *words], check=True, capture_output=True, text=True
    ).stdout


def paired(folder: Path, other: str) -> Floats:
    """Return for each task how much better the other model did than the baseline: 1, 0 or -1."""
    mine, theirs = results(folder, BASELINE), results(folder, other)
    return np.array([float(theirs[task]) - float(mine[task]) for task in sorted(mine.keys() & theirs.keys())])


def drawn(tasks: Floats, losses: Floats, rng: np.random.Generator, seeds: int) -> Floats:
    """Draw runs of tasks, one a row, so that at each call the other model is expected to lose so much."""
    apart = float(np.mean(tasks != 0))
    lost = np.maximum((apart + losses) / 2, losses)
    gained = lost - losses
    draw = rng.random((seeds, len(losses)))
    return np.where(draw < lost, -1.0, np.where(draw < lost + gained, 1.0, 0.0))


def evidence(values: Floats) -> tuple[Floats, Floats]:
    """Return the running sums and squared distances of each run, as `Evidence` keeps them."""
    sums = np.cumsum(values, axis=1)
    before = np.concatenate([np.zeros((len(values), 1)), sums[:, :-1]], axis=1)
    guess = before / np.arange(1, values.shape[1] + 1)
    return sums, np.cumsum((values - guess) ** 2, axis=1)


def mixture(deviations: Floats, squares: Floats) -> Floats:
    """Return the logarithm of the mixture: a bound is where it meets a goal; see `routed_llm.rollout`."""
    found = np.full(deviations.shape, -np.inf)
    for rate, cost in zip(ours._RATES, ours._COSTS, strict=True):
        found = np.logaddexp(found, rate * deviations - cost * squares)
    return found


def kept(values: Floats, expected: Floats, alpha: float) -> tuple[float, float]:
    """Return the part of the runs whose bounds hold at every moment, and the worst moment's part."""
    sums, squares = evidence(values)
    goal = np.log(len(ours._RATES) / (alpha / 2))
    means = np.cumsum(expected)
    out = (mixture(sums - means, squares) > goal) | (mixture(means - sums, squares) > goal)
    return float(np.mean(~out.any(axis=1))), float(np.mean(~out, axis=0).min())


def agrees(values: Floats, expected: Floats, alpha: float) -> bool:
    """Say whether `bounds` itself gives what the arrays above say, on a few runs and moments."""
    means, goal = np.cumsum(expected), np.log(len(ours._RATES) / (alpha / 2))
    for run in values[:3]:
        seen = ours.Evidence()
        sums, squares = evidence(run[None, :])
        for at, value in enumerate(run, 1):
            seen = seen.and_value(float(value))
            if at % 97 == 0:
                low, high = ours.bounds(seen, alpha)
                inside = low <= means[at - 1] / at <= high
                gap = abs(sums[0, at - 1] - means[at - 1])
                if inside != bool(mixture(np.array([gap]), squares[0, at - 1 : at])[0] < goal):
                    return False
    return True


def climbs(values: Floats, ladder: Ladder) -> tuple[list[int], list[int]]:
    """Return the calls after which runs are allowed to climb, and after which they are stopped."""
    sums, squares = evidence(values)
    goal = np.log(len(ours._RATES) / (Progress().alpha(ladder) / 4))
    margin = ladder.margin / 100 * np.arange(1, values.shape[1] + 1)
    risen = mixture(sums + margin, squares) >= goal
    fallen = mixture(-sums - margin, squares) >= goal
    risen[:, : ladder.least - 1] = False
    first = [np.where(one.any(axis=1), one.argmax(axis=1) + 1, 10**9) for one in (risen, fallen)]
    up, down = (np.minimum(*first) == one for one in first)
    ended = np.minimum(*first) < 10**9
    return list(first[0][up & ended]), list(first[1][down & ended & ~up])


def noticed(table: Floats, seed: int, calls: int, turn: int) -> tuple[float, int | None]:
    """Let a real climb meet a model that loses nothing, and a tenth from a call on.

    Returns:
        The share that it had reached by then, and after how many more calls it was stopped.
    """
    losses = np.where(np.arange(calls) < turn, 0.0, 0.1)
    values = drawn(table, losses, np.random.default_rng(seed), 1)[0]
    now, reached = [0.0], 0.0
    climb = Climb(ladder=Ladder(margin=100 * MARGIN), ledger=MemoryLedger(), clock=lambda: now[0])
    for at, value in enumerate(values):
        now[0] += 1 / 64
        climb.pair(float(value))
        climb.cost(0.0002, 0.0005)
        if at == turn:
            reached = climb.share
        if climb.progress.stopped:
            return reached, at - turn
    return reached, None


def middle(counts: Sequence[int], whole: int) -> str:
    """Say how many of the runs, and after how many calls half of them and nine of ten."""
    if not counts:
        return "none"
    half, most = np.median(counts), np.quantile(counts, 0.9)
    return f"{len(counts) / whole:6.1%} after {half:,.0f} calls (nine of ten: {most:,.0f})"


def main() -> int:
    """Print both tables."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("folder", type=Path)
    parser.add_argument("--seeds", type=int, default=1000)
    parser.add_argument("--calls", type=int, default=4000)
    parser.add_argument("--climbs", type=int, default=20000, help="calls of the runs that climb")
    parser.add_argument("--drifts", type=int, default=20, help="climbs that meet a change")
    asked = parser.parse_args()
    missed = 0
    tasks = {other: paired(asked.folder, other) for other in OTHERS}
    print(
        f"bounds of 95 %, {asked.seeds:,} runs of {asked.calls:,} calls: kept throughout; at the worst moment"
    )
    for name, expected, values in streams(tasks, asked.calls, asked.seeds):
        whole, worst = kept(values, expected, 0.05)
        missed += whole < 0.95 or not agrees(values, expected, 0.05)
        print(f"  {name:58} {whole:7.1%} {worst:7.1%}")
    ladder = Ladder(margin=100 * MARGIN)
    print(f"calls with a judged pair until the first step up, or the stop, for a margin of {MARGIN:.0%}")
    seeds = max(asked.seeds // 5, 1)
    for other in (OTHERS[0], OTHERS[3]):
        for loss in DIFFERENCES:
            rng = np.random.default_rng(1)
            runs = drawn(tasks[other], np.full(asked.climbs, loss), rng, seeds)
            up, down = climbs(runs, ladder)
            print(f"  {other}, {loss:4.0%} lost: up {middle(up, seeds)}; stopped {middle(down, seeds)}")
    found = [noticed(tasks[OTHERS[0]], seed, 12_000, 6_000) for seed in range(asked.drifts)]
    after = [calls for _, calls in found if calls is not None and calls >= 0]
    shares = ", ".join(f"{share:.0%}" for share in sorted({share for share, _ in found}))
    print(
        f"as good for 6,000 calls, then 10% lost: routed by then {shares}; "
        f"stopped {middle(after, len(found))}"
    )
    return int(missed > 0)


def streams(tasks: dict[str, Any], calls: int, seeds: int) -> Iterator[tuple[str, Floats, Floats]]:
    """Yield a name, what is expected of each call, and the runs."""
    rng = np.random.default_rng(20)
    for other, table in tasks.items():
        for loss in DIFFERENCES:
            losses = np.full(calls, loss)
            yield f"{other}, {loss:.0%} lost", -losses, drawn(table, losses, rng, seeds)
        worse = np.clip((np.arange(calls) - calls / 4) / (calls / 2), 0, 1) * 0.1
        yield f"{other}, drifting from 0 to 10% lost", -worse, drawn(table, worse, rng, seeds)
        waves = 0.05 * np.sin(np.arange(calls) / 200)
        yield f"{other}, 5% up and down", -waves, drawn(table, waves, rng, seeds)


if __name__ == "__main__":
    raise SystemExit(main())
