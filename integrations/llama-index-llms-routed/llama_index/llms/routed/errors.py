"""Errors: what refuses a call before it is sent, and an answer that broke off, as errors of the SDK's, too.

With `OpenAI` the server refuses such a call, and handlers catch the SDK's errors.
"""

from __future__ import annotations

from functools import partial
from typing import Any, Final

import httpx
import openai

from routed_llm import RoutedError
from routed_llm.calls.problems import Raised, sdk_error

__all__ = ["as_openais", "refusing"]

_KINDS: Final[dict[Any, Any]] = {
    None: openai.APIConnectionError,
    400: openai.BadRequestError,
    404: openai.NotFoundError,
    429: openai.RateLimitError,
    500: openai.InternalServerError,
}


def as_openais(error: RoutedError, base_url: str | None) -> Exception:
    """Return the error to raise: besides ours, the SDK's for what the server would have said.

    Args:
        error: what refused a call before it was sent, or what its answer broke off with.
        base_url: where it would have been sent.
    """
    return sdk_error(error, _KINDS, httpx=httpx, base_url=base_url)


def refusing(base_url: str | None) -> Raised:
    """Return a block in which what ends a call is raised as :func:`as_openais` has it.

    Args:
        base_url: where the call would have been sent.
    """
    return Raised(partial(as_openais, base_url=base_url), openai.OpenAIError)
