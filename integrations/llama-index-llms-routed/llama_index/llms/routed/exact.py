"""Asking OpenAI's own counting endpoint about one request, with the SDK client that would send it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from routed_llm.request.wire import count_body

__all__ = ["SECONDS", "acounted", "counted"]

SECONDS: Final = 5.0
"""Longest wait for a count: a request is decided without it rather than late."""


def counted(client: Any, asked: Mapping[str, Any], model: str) -> int:
    """Return the input tokens as OpenAI counts them for a model."""
    quick = client.with_options(timeout=SECONDS, max_retries=0)
    return int(quick.responses.input_tokens.count(**count_body(asked, model)).input_tokens)


async def acounted(client: Any, asked: Mapping[str, Any], model: str) -> int:
    """Do what :func:`counted` does, without holding the event loop."""
    quick = client.with_options(timeout=SECONDS, max_retries=0)
    return int((await quick.responses.input_tokens.count(**count_body(asked, model))).input_tokens)
