"""The journal of calls under way: what a process leaves behind is booked by the next one, once."""

from __future__ import annotations

import subprocess
import sys
import textwrap
from pathlib import Path

import pytest

from routed_llm import Budget
from routed_llm.gateway.journal import JournaledLedger, open_journaled
from routed_llm.ledger import open_ledger

DYING = textwrap.dedent("""
    import os, signal, sys
    from routed_llm import Budget, Router, read_openai
    from routed_llm.gateway.journal import open_journaled
    from routed_llm.usage import Usage

    router = Router(ledger=open_journaled(sys.argv[1]), budgets=Budget(per_day=5))
    request = read_openai({"messages": [{"role": "user", "content": "What is a tide?"}]})
    runs = [router.begin(router.decide(request, scope={"team": "search"})) for _ in range(4)]
    runs[0].settle(Usage(input_tokens=10, output_tokens=10))
    runs[1].cancel()
    if sys.argv[2] == "after":  # and between the ledger and the journal
        router.ledger._over = lambda name: os.kill(os.getpid(), signal.SIGKILL)
        runs[2].settle(Usage(input_tokens=10, output_tokens=10))
    os.kill(os.getpid(), signal.SIGKILL)
""")


def die(ledger: Path, when: str) -> None:
    """Let a process be killed with calls under way."""
    ended = subprocess.run([sys.executable, "-c", DYING, str(ledger), when], check=False)
    assert ended.returncode == -9


@pytest.mark.skipif(sys.platform == "win32", reason="a process cannot be killed like this, nor files locked")
@pytest.mark.parametrize(
    ("when", "outcomes"),
    [
        pytest.param("before", ["answered", "unknown", "unknown"], id="killed while it waits for answers"),
        pytest.param("after", ["answered", "answered", "unknown"], id="killed before a settled call is over"),
    ],
)
def test_what_was_under_way_is_booked_once(tmp_path: Path, when: str, outcomes: list[str]) -> None:
    """Each call has one entry, with its tags; what was held is spent, and looking again changes nothing."""
    path = tmp_path / "ledger.db"
    die(path, when)
    ledger = open_journaled(str(path))
    assert isinstance(ledger, JournaledLedger)
    assert ledger.recover() == outcomes.count("unknown") + (when == "after")
    assert ledger.recover() == 0
    entries = list(open_ledger(str(path)).entries())
    assert sorted(entry.outcome for entry in entries) == outcomes
    assert {entry.tags["team"] for entry in entries} == {"search"}
    assert all(entry.booked > 0 for entry in entries)
    accounts = Budget(per_day=5).accounts({}, None, entries[0].at)
    left = ledger.remaining(accounts, at=entries[0].at)
    assert left == (accounts[0].limit - sum(entry.booked for entry in entries),)
    ledger.close()
    assert list((tmp_path / "ledger.db.calls").iterdir()) == []


def test_a_living_process_keeps_its_calls(tmp_path: Path) -> None:
    """What another one has under way is left to it, and a journal that grows is written anew."""
    from routed_llm import Router, read_openai
    from routed_llm.gateway import journal

    path = str(tmp_path / "ledger.db")
    first, second = open_journaled(path), open_journaled(path)
    assert isinstance(second, JournaledLedger)
    router = Router(ledger=first, budgets=Budget(per_day=5))
    decision = router.decide(read_openai({"messages": [{"role": "user", "content": "Hi"}]}))
    runs = [router.begin(decision) for _ in range(3)]
    assert second.recover() == 0
    journal._LARGEST, usual = 1, journal._LARGEST  # type: ignore[misc]
    try:
        runs[0].cancel()
    finally:
        journal._LARGEST = usual  # type: ignore[misc]
    (file,) = (tmp_path / "ledger.db.calls").iterdir()
    assert file.read_bytes().count(b"\n") == 2
    assert second.recover() == 0
    for run in runs[1:]:
        run.cancel()
    first.close()
    assert not list((tmp_path / "ledger.db.calls").iterdir())
