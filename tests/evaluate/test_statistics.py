"""Intervals, non-inferiority and what is missing: against known figures, and by how often they hold."""

from __future__ import annotations

import numpy as np
import pytest

from routed_llm.evaluate.statistics import compare, interval


def pairs(both: int, first: int, second: int, neither: int) -> tuple[list[float], list[float]]:
    """Make scores of 0 and 1 from a table of four cells."""
    cells = [((1.0, 1.0), both), ((1.0, 0.0), first), ((0.0, 1.0), second), ((0.0, 0.0), neither)]
    rows = [scores for scores, number in cells for _ in range(number)]
    return [a for a, _ in rows], [b for _, b in rows]


Z = 3.8415 / (200 + 3.8415)
TANGO = [
    ("a published example", (1, 7, 1, 12), (-0.5172, -0.0260)),
    ("nobody disagrees", (180, 0, 0, 20), (-Z, Z)),
    ("all are right", (200, 0, 0, 0), (-Z, Z)),
]


@pytest.mark.parametrize(("cells", "expected"), [c[1:] for c in TANGO], ids=[c[0] for c in TANGO])
def test_paired_proportions(cells: tuple[int, int, int, int], expected: tuple[float, float]) -> None:
    """Tango's interval, of an example of Fagerland's (2014: -0.517 to -0.026), and where nobody disagrees."""
    assert interval(*pairs(*cells), 0.95) == pytest.approx(expected, abs=1e-4)


@pytest.mark.parametrize("kind", ["pass or fail", "graded"])
def test_intervals_hold(kind: str) -> None:
    """Of 400 samples of 60 pairs, intervals of 95 % hold the true mean in at least 92 % (sampling noise)."""
    rng = np.random.default_rng(7)
    held = 0
    for _ in range(400):
        if kind == "graded":
            a = rng.beta(6, 2, 60)
            b = np.clip(a + rng.normal(-0.05, 0.1, 60), 0, 1)
            truth = TRUTH
        else:
            a = (rng.random(60) < 0.8).astype(float)
            b = np.where(rng.random(60) < 0.2, (rng.random(60) < 0.5).astype(float), a)
            truth = 0.2 * (0.5 - 0.8)
        low, high = interval(a.tolist(), b.tolist(), 0.95)
        held += low <= truth <= high
    assert held >= 0.92 * 400


def _truth() -> float:
    rng = np.random.default_rng(1)
    a = rng.beta(6, 2, 2_000_000)
    return float((np.clip(a + rng.normal(-0.05, 0.1, 2_000_000), 0, 1) - a).mean())


TRUTH = _truth()

VERDICTS = [
    ("as good", (85, 5, 5, 5), "proven"),
    ("better", (80, 0, 15, 5), "proven"),
    ("worse by far", (60, 30, 2, 8), "refuted"),
    ("a little worse: not settled", (85, 8, 3, 4), "open"),
    ("too few, however well they do", (9, 0, 0, 0), "open"),
]


@pytest.mark.parametrize(("cells", "verdict"), [c[1:] for c in VERDICTS], ids=[c[0] for c in VERDICTS])
def test_verdicts(cells: tuple[int, int, int, int], verdict: str) -> None:
    """A margin of 8 points on a hundred examples."""
    (found,) = compare([pairs(*cells)], 0.08)
    assert found.verdict == verdict
    assert (found.missing == 0) is (verdict != "open")


def test_what_is_missing_is_enough() -> None:
    """With as many examples more as are said to be missing, four of five such samples are settled."""
    rng = np.random.default_rng(3)

    def sample(n: int) -> tuple[list[float], list[float]]:
        a = (rng.random(n) < 0.8).astype(float)
        b = np.where(rng.random(n) < 0.15, (rng.random(n) < 0.8).astype(float), a)
        return a.tolist(), b.tolist()

    needs = [compare([sample(100)], 0.05)[0] for _ in range(60)]
    whole = 100 + int(np.median([one.missing or 0 for one in needs]))
    settled = sum(compare([sample(whole)], 0.05)[0].verdict == "proven" for _ in range(100))
    assert settled >= 65


def test_several_tries_are_corrected() -> None:
    """Of 300 times that ten configurations are tried, each worse by the margin, few prove one of them."""
    rng = np.random.default_rng(5)
    wrong = 0
    for _ in range(300):
        columns = []
        for _ in range(10):
            a = (rng.random(150) < 0.8).astype(float)
            b = np.where((a == 1) & (rng.random(150) < 0.125), 0.0, np.where(rng.random(150) < 0.0, 1.0, a))
            columns.append((a.tolist(), b.tolist()))
        wrong += any(one.verdict == "proven" for one in compare(columns, 0.1))
    assert wrong <= 0.05 * 300


def test_the_clearest_comes_first() -> None:
    """Holm: a configuration that is proven leaves the others a wider level, whatever their order."""
    clear, close = pairs(95, 0, 0, 5), pairs(85, 5, 5, 5)
    for order in ([clear, close], [close, clear]):
        levels = sorted(one.level for one in compare(order, 0.1))
        assert levels == pytest.approx([0.95, 0.975])
