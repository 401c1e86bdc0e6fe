"""The contract of adapters, with the clients in the SDK's place."""

from __future__ import annotations

from typing import Any

import pytest
from openai_routed import AsyncOpenAI, OpenAI

from routed_llm.testing import CASES, WAYS, Case, sdk_adapter


def make(url: str, **routing: Any) -> OpenAI:
    """Make a client."""
    return OpenAI(base_url=url, api_key="sk-simulated", **routing)


def make_async(url: str, **routing: Any) -> AsyncOpenAI:
    """Make a client for event loops."""
    return AsyncOpenAI(base_url=url, api_key="sk-simulated", **routing)


CLIENTS = sdk_adapter(make, make_async)


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("case", CASES, ids=lambda case: case.id)
def test_the_contract(case: Case, way: str) -> None:
    """What every adapter keeps."""
    case.check(CLIENTS, way)
