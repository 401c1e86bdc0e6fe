"""A night's work: a file of requests, each answered at the least price by the morning.

    python examples/nightly_batch.py requests.jsonl answers.jsonl

It may be killed and started again at any moment: `night.db` knows what was sent, and nothing is sent twice.
"""

import os
import sys
import time
from collections.abc import Callable

from routed_llm import PolicyError, Router
from routed_llm.batches import BatchJob, Provider

HOURS = 24
EVERY = 300  # seconds between two looks


def main(
    requests: str, answers: str, *, job: str = "night.db", wait: Callable[[float], object] = time.sleep
) -> int:
    """Plan the file unless it is planned, send it, wait for the answers; return how many requests failed."""
    provider = Provider(os.environ.get("OPENAI_BASE_URL"), os.environ["OPENAI_API_KEY"])
    with BatchJob(job, provider=provider, router=Router()) as work:
        try:
            work.status()
        except PolicyError:  # nothing is planned yet
            work.plan(requests, deadline=HOURS * 3600)
        plan = work.submit()
        print(f"${plan.expected:.6f} by the morning, ${plan.at_once:.6f} if all were sent at once")
        while not (done := work.collect(answers)).complete:
            wait(EVERY)
            work.submit()  # what failed on the way is sent again
    failed = done.states.get("failed", 0)
    print(f"{done.states.get('done', 0)} answered, {failed} failed, for ${done.cost:.6f}")
    return failed


if __name__ == "__main__":
    sys.exit(1 if main(*sys.argv[1:3]) else 0)
