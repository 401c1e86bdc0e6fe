"""The short form of the fault matrix: whatever fails, what has to come of it comes, and is in the ledger."""

from __future__ import annotations

import pytest

from benchmarks.recovery import fault_matrix
from routed_llm.recovery import classify

FAULTS = (
    *("429;seconds=0.05", "insufficient_quota", "500", "502_html", "sse_error", "sse_error;after_chunks=7"),
    *("200_html", "200_error", "200_empty", "cut;after_chunks=7", "truncate;after_chunks=7"),
    *fault_matrix.GIVEN_UP,
)
"""Those that nobody waits for, and both ways to give up."""


def test_faults() -> None:
    """Every fault has its row; what has to come of it comes, and is in the ledger."""
    assert fault_matrix.without_a_row() == set()
    cells = fault_matrix.measure(("invoke", "astream", "stream_chat", "achat"), FAULTS)
    assert {key: cell.wrong for key, cell in cells.items() if cell.wrong} == {}
    assert len(cells) == 2 * (2 * (8 + 10) + 2 * 2)  # for whole answers and for streams; given up


def test_a_request_that_is_not_booked_shows(monkeypatch: pytest.MonkeyPatch) -> None:
    """Were what has no answer taken for refused, the ledger would be below the bill."""
    monkeypatch.setattr(classify, "_is_unsure", lambda facts, error=None: False)
    cells = fault_matrix.measure(("achat",), ("200_html",))
    assert all("booked $" in cell.wrong for cell in cells.values())
    assert cells
