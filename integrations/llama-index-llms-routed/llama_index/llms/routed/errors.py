"""Errors: what refuses a call before it is sent, and an answer that broke off, as errors of the SDK's, too.

With `OpenAI` the server refuses such a call, and handlers catch the SDK's errors.
"""

from __future__ import annotations

from typing import Final

import httpx
import openai

from routed_llm.calls.problems import SdkErrors

__all__ = ["ERRORS"]

ERRORS: Final = SdkErrors(
    {
        None: openai.APIConnectionError,
        400: openai.BadRequestError,
        404: openai.NotFoundError,
        429: openai.RateLimitError,
        500: openai.InternalServerError,
    },
    openai.OpenAIError,
    httpx,
)
