"""A process that takes part in a race or is killed in the middle of its work; started by the tests."""

from __future__ import annotations

import sys
import threading
from datetime import UTC, datetime, timedelta

from routed_llm import Budget, BudgetExceeded, Entry, Router, Usage, open_ledger, read_openai
from routed_llm.ledger import Hold, SQLiteLedger, new_id

AT = datetime(2026, 11, 22, 12, tzinfo=UTC)
REQUEST = read_openai({"messages": [{"role": "user", "content": "Say hello."}], "max_tokens": 50})


def say(*words: str) -> None:
    """Tell the test something at once."""
    sys.stdout.write(" ".join(words) + "\n")
    sys.stdout.flush()


def race(where: str, dollars: str, calls: int) -> None:
    """Decide, reserve and settle from as many threads as there are calls; print how each one ended."""
    # All write at once; how long that takes on a busy machine is not what is tried.
    ledger = open_ledger(where) if "://" in where else SQLiteLedger(where, wait=60)
    router = Router(ledger=ledger, budgets=Budget(per_day=dollars), clock=lambda: AT)
    start, ended = threading.Barrier(calls), []

    def call() -> None:
        start.wait()
        try:
            decision = router.decide(REQUEST)
            run = router.begin(decision)
        except BudgetExceeded:
            ended.append("refused")
            return
        assert decision.chosen is not None
        # It costs what was expected of it: then nothing is left for a second one.
        used = Usage(input_tokens=decision.chosen.input_tokens, output_tokens=decision.chosen.output_tokens)
        run.settle(used)
        ended.append("admitted")

    say("ready")
    sys.stdin.readline()
    threads = [threading.Thread(target=call) for _ in range(calls)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    say("\n".join(ended))


def cycles(where: str, count: int) -> None:
    """Reserve and settle a cent after the other; print an id once its entry is acknowledged."""
    ledger = open_ledger(where)
    accounts = Budget(per_day=100).accounts({}, None, AT)
    for _ in range(count):
        hold = ledger.reserve(new_id(), 10**10, accounts, at=AT, hold=timedelta(minutes=5))
        assert isinstance(hold, Hold)
        say("held", hold.id)
        ledger.settle(hold, Entry(id=hold.id, at=AT, model="gpt-4o", cost=10**10, booked=10**10))
        say("settled", hold.id)


if __name__ == "__main__":
    if sys.argv[1] == "race":
        race(sys.argv[2], sys.argv[3], int(sys.argv[4]))
    else:
        cycles(sys.argv[2], int(sys.argv[3]))
