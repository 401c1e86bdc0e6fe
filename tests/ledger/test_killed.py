"""kill -9 in the middle of reserving and settling."""

from __future__ import annotations

import signal
import subprocess
import sys
from datetime import timedelta
from pathlib import Path

import pytest
from ledger_support import CENT, NOON

from routed_llm import Budget, open_ledger

WORKER = Path(__file__).parent / "race_worker.py"
CYCLES = 200


@pytest.mark.parametrize("lines", [1, 150, 151, 311], ids=["held", "midway", "midway, held", "late"])
def test_a_killed_process(shared: str, lines: int) -> None:
    """No acknowledged entry is lost, no hold outlives its expiry, and the sum is right."""
    arguments = [sys.executable, str(WORKER), "cycles", shared, str(CYCLES)]
    with subprocess.Popen(arguments, stdout=subprocess.PIPE, text=True) as worker:
        assert worker.stdout is not None
        said = [worker.stdout.readline() for _ in range(lines)]
        worker.send_signal(signal.SIGKILL)
        said += worker.stdout.readlines()
    assert worker.returncode == -signal.SIGKILL
    acknowledged = {line.split()[1] for line in said if line.startswith("settled ")}

    ledger = open_ledger(shared)
    on = Budget(per_day=100).accounts({}, None, NOON)
    written = [line.id for line in ledger.entries()]
    assert acknowledged <= set(written)
    assert len(written) - len(acknowledged) <= 1
    assert len(written) == len(set(written))
    sum_right = 100 * 100 * CENT - len(written) * CENT
    assert sum_right - ledger.remaining(on, at=NOON)[0] in (0, CENT)
    assert ledger.remaining(on, at=NOON + timedelta(minutes=5)) == (sum_right,)
    ledger.close()


def test_reservations_of_the_dead_expire(shared: str) -> None:
    """The money that a dead process held is there again for others."""
    ledger = open_ledger(shared)
    on = Budget(per_day=1).accounts({}, None, NOON)
    code = (
        "import os, signal, sys; from datetime import timedelta; from ledger_support import *; "
        "from routed_llm import open_ledger; l = open_ledger(sys.argv[1]); "
        "l.reserve('dead', 100 * CENT, accounts(Budget(per_day=1)), at=NOON, hold=timedelta(minutes=5)); "
        "os.kill(os.getpid(), signal.SIGKILL)"
    )
    subprocess.run([sys.executable, "-c", code, shared], cwd=WORKER.parent, check=False)
    assert ledger.remaining(on, at=NOON) == (0,)
    assert ledger.remaining(on, at=NOON + timedelta(minutes=5)) == (100 * CENT,)
    ledger.close()
