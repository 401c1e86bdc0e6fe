"""One model at four homes under load, one of which fails and then is slow.

    python -m benchmarks.capacity.homes [CALLS]

gpt-4.1 in two regions, as a provisioned deployment that is paid by the hour and takes so much a minute, and
behind a gateway that costs a tenth more, each a simulator that takes its own key only. A third of the calls
(450 when left out) meets all four well, a third a region that answers 500, a third one that takes two seconds
more.
"""

from __future__ import annotations

import argparse
import contextlib
import itertools
import json
import sys
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, date, datetime

from routed_llm import Catalog, Policy, Router
from routed_llm.batches import Provider
from routed_llm.calls.endpoint_call import Called
from routed_llm.calls.endpoints import Endpoints
from routed_llm.ledger import MemoryLedger
from routed_llm.simulator import Simulator, serve

DAY = date(2026, 11, 29)
SINCE = date(2026, 1, 1)
HOMES = {
    "ptu": {
        "order": 1,
        "requests_per_minute": 30,
        "prices": {"rows": [{"since": SINCE, "input": "0", "output": "0"}]},
    },
    "eu": {"order": 2, "weight": 1},
    "us": {"order": 2, "weight": 1},
    "gateway": {
        "order": 3,
        "prices": {"rows": [{"since": SINCE, "input": "2.20", "cached_input": "0.55", "output": "8.80"}]},
    },
}
FAILING, SLOW = "500;times=0", "slow_first_token;seconds=2;times=0"


def main() -> int:
    """Print what became of each third; 1 where a call failed or a key went astray."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("calls", nargs="?", type=int, default=450)
    third = parser.parse_args().calls // 3
    with contextlib.ExitStack() as stack:
        apis = {name: stack.enter_context(serve(at=DAY, api_key=f"key-of-{name}")) for name in HOMES}
        apis["ptu"].limit("gpt-4.1", rpm=30)
        own = stack.enter_context(serve(at=DAY, api_key="key-of-own"))
        homes = {name: {"base_url": apis[name].url, **fields} for name, fields in HOMES.items()}
        catalog = Catalog.load().with_models({"gpt-4.1": {"homes": {"own": {"weight": 0}, **homes}}})
        router = Router(
            catalog=catalog,
            policy=Policy(models=["gpt-4.1"], at_least=None),
            credentials={apis[name].url: f"key-of-{name}" for name in HOMES},
            clock=lambda: datetime(2026, 11, 29, 12, tzinfo=UTC),
            ledger=MemoryLedger(),
        )
        provider = Provider(own.url, "key-of-own")
        endpoints, numbers = Endpoints(router), itertools.count()
        failed = 0
        for name, fault in (("all well", None), ("eu fails", FAILING), ("eu is slow", SLOW)):
            apis["eu"].faults.clear()
            if fault is not None:
                apis["eu"].faults.add(fault)
            failed += _third(name, third, endpoints, provider, apis, numbers)
        astray = [it for api in (*apis.values(), own) for it in api.journal if it.by == "key"]
        billed = apis["eu"].billed + apis["us"].billed + apis["gateway"].billed * 11 / 10
        booked = sum(entry.dollars or 0 for entry in router.ledger.entries())
        print(f"keys at foreign addresses: {len(astray)}; requests to the caller's own: {len(own.journal)}")
        print(
            f"billed ${billed:.6f}, booked ${booked:.6f}; without the PTU ${billed + apis['ptu'].billed:.6f}"
        )
    return int(bool(failed or astray) or abs(billed - booked) > 1e-9)


def _third(
    name: str,
    calls: int,
    endpoints: Endpoints,
    provider: Provider,
    apis: dict[str, Simulator],
    numbers: itertools.count[int],
) -> int:
    before = {home: len(api.journal) for home, api in apis.items()}

    def call(_: int) -> tuple[int, str]:
        message = {"role": "user", "content": f"Say something about {next(numbers)}."}
        body = {"model": "auto", "messages": [message], "max_tokens": 40}
        called = Called(
            endpoint="chat_completions", body=body, credential=provider.credential, own=provider.base_url
        )
        served = endpoints.respond(called, provider.send)
        record = json.loads(served.body or b"{}").get("routing") or {}
        return served.status, str(record.get("model")).partition("@")[2]

    with ThreadPoolExecutor(8) as pool:
        found = list(pool.map(call, range(calls)))
    failed = [status for status, _ in found if status != 200]
    asked = {home: len(api.journal) - before[home] for home, api in apis.items()}
    served = Counter(home for status, home in found if status == 200)
    print(f"{name:<12} failed {len(failed)}, answered by {dict(served)}, requests {asked}", flush=True)
    return len(failed)


if __name__ == "__main__":
    sys.exit(main())
