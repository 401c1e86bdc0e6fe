"""The race against litellm: fifty concurrent calls, a budget for one, a simulated API.

    python -m benchmarks.money.race

Our part runs always. litellm is no dependency of this project: where it can be imported, the same calls
also go through its Router with `provider_budget_config`, which counts what has been spent after the fact.
"""

from __future__ import annotations

import asyncio
import importlib.util
import os
from datetime import date
from decimal import Decimal
from typing import Any

import httpx

from routed_llm import Budget, BudgetExceeded, Policy, Router, Usage, read_openai
from routed_llm.simulator import serve

CALLS = 50
DAY = date(2026, 11, 22)
KEY = {"authorization": "Bearer none"}
BODY: dict[str, Any] = {
    "model": "gpt-4o",
    "messages": [{"role": "user", "content": "Write a sentence about the sea."}],
    "max_tokens": 50,
}


async def ours(url: str, dollars: Decimal) -> int:
    """Send the calls through our router; return how many were admitted."""
    policy = Policy(models="gpt-4o", at_least=None)
    router = Router(policy=policy, budgets=Budget(per_day=dollars), clock=lambda: DAY)
    request = read_openai(BODY)
    async with httpx.AsyncClient(base_url=url, timeout=60, headers=KEY) as client:

        async def call() -> int:
            try:
                run = await router.abegin(await router.adecide(request))
            except BudgetExceeded:
                return 0
            data = (await client.post("/chat/completions", json=BODY)).json()
            await run.asettle(Usage.from_openai(data["usage"]), served=data["model"])
            return 1

        return sum(await asyncio.gather(*(call() for _ in range(CALLS))))


async def theirs(url: str, dollars: Decimal) -> int:
    """Send the calls through litellm's Router; return how many were answered."""
    os.environ.setdefault("LITELLM_LOCAL_MODEL_COST_MAP", "True")
    litellm: Any = __import__("litellm")
    litellm.suppress_debug_info = True
    router = litellm.Router(
        model_list=[
            {
                "model_name": "gpt-4o",
                "litellm_params": {"model": "openai/gpt-4o", "api_base": url, "api_key": "none"},
            }
        ],
        provider_budget_config={"openai": {"budget_limit": float(dollars), "time_period": "1d"}},
        num_retries=0,
    )
    rest = {key: value for key, value in BODY.items() if key != "model"}

    async def call() -> int:
        try:
            await router.acompletion(model="gpt-4o", **rest)
        except Exception:  # noqa: BLE001 - litellm raises several kinds when a budget is used up
            return 0
        return 1

    return sum(await asyncio.gather(*(call() for _ in range(CALLS))))


def main() -> None:
    """Run both."""
    policy = Policy(models="gpt-4o", at_least=None)
    dollars = Router(policy=policy, clock=lambda: DAY).decide(read_openai(BODY)).dollars
    assert dollars is not None
    print(f"{CALLS} concurrent calls, a budget of ${dollars} for one of them")
    racers = [("routed-llm", ours)]
    if importlib.util.find_spec("litellm") is None:
        print("litellm is not installed here; install it to compare")
    else:
        racers.append(("litellm Router", theirs))
    for name, race in racers:
        with serve(at=DAY) as simulator:
            admitted = asyncio.run(race(simulator.url, dollars))
            billed = simulator.billed
        print(f"{name:16} admitted {admitted:2}, billed ${billed} ({billed / dollars:.1f} budgets)")


if __name__ == "__main__":
    main()
