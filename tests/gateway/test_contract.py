"""The contract of adapters, with the plain SDK pointed at a gateway."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import asynccontextmanager, contextmanager
from typing import Any

import openai
import pytest

from routed_llm import BudgetExceeded, Router
from routed_llm.gateway import Settings
from routed_llm.testing import CASES, WAYS, Case, sdk_adapter
from tests.gateway.conftest import running


@contextmanager
def refusals() -> Iterator[None]:
    """Raise what the contract calls by its own name as what the gateway says of it."""
    try:
        yield
    except openai.RateLimitError as error:
        if error.code == "budget_exceeded":
            raise BudgetExceeded(error.message) from error
        raise


@contextmanager
def client(url: str, router: Router, policy: Mapping[str, Any]) -> Iterator[openai.OpenAI]:
    """Start a gateway and make a client of it."""
    settings = Settings(upstream=url, upstream_key="sk-up", policy=policy)
    with (
        running(settings, router) as gateway,
        refusals(),
        openai.OpenAI(base_url=gateway.url, api_key="any") as made,
    ):
        yield made


@asynccontextmanager
async def aclient(url: str, router: Router, policy: Mapping[str, Any]) -> AsyncIterator[openai.AsyncOpenAI]:
    """Do so for event loops."""
    settings = Settings(upstream=url, upstream_key="sk-up", policy=policy)
    with running(settings, router) as gateway, refusals():
        async with openai.AsyncOpenAI(base_url=gateway.url, api_key="any") as made:
            yield made


GATEWAY = sdk_adapter(client, aclient)


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("case", CASES, ids=lambda case: case.id)
def test_the_contract(case: Case, way: str) -> None:
    """What every adapter keeps."""
    case.check(GATEWAY, way)
