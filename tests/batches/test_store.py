"""The file of a job of many requests: one connection for all threads."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from routed_llm.batches.store import JobFile

QUERY = "SELECT * FROM lines WHERE n = ?"


def test_threads_that_ask_the_same_are_given_their_own_rows(tmp_path: Path) -> None:
    """From Python 3.12 on SQLite's connection alone would mix them up."""
    file = JobFile(tmp_path / "job.db")
    with file.change() as db:
        db.executemany(
            "INSERT INTO lines (n, custom_id, body, state) VALUES (?, '', ?, 'planned')",
            [(n, "x" * 2000) for n in range(50)],
        )

    def asked(first: int) -> list[int]:
        numbers = [(first + at) % 50 for at in range(500)]
        return [n for n in numbers if [row["n"] for row in file.rows(QUERY, n)] != [n]]

    with ThreadPoolExecutor(8) as pool:
        assert list(pool.map(asked, range(8))) == [[]] * 8
    file.close()
