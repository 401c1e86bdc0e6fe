"""Errors: what refuses a call before it is sent, and an answer that broke off, as errors of the SDK's, too.

With `OpenAI` the server refuses such a call, and handlers catch the SDK's errors.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

import httpx
import openai

from routed_llm import (
    BudgetExceeded,
    IncompleteStream,
    NoModelFits,
    RequestError,
    RoutedError,
    UnreadableAnswer,
)
from routed_llm.calls.problems import both, problem

__all__ = ["as_openais", "refusing"]

_BROKEN: Final = (IncompleteStream, UnreadableAnswer)
_BY_STATUS: Final[dict[int, type[openai.APIStatusError]]] = {
    400: openai.BadRequestError,
    404: openai.NotFoundError,
    429: openai.RateLimitError,
}


def as_openais(error: RoutedError, base_url: str | None) -> Exception:
    """Return the error to raise: besides ours, the SDK's for what the server would have said.

    Args:
        error: what refused a call before it was sent, or what its answer broke off with.
        base_url: where it would have been sent.
    """
    request = httpx.Request("POST", base_url or "https://api.openai.com/v1")
    if isinstance(error, _BROKEN):
        return both(error, openai.APIConnectionError(message=str(error), request=request))
    said = problem(error)
    response = httpx.Response(said.status, json=said.body, request=request)
    kind = _BY_STATUS.get(said.status, openai.InternalServerError)
    return both(error, kind(str(error), response=response, body=said.error))


@contextmanager
def refusing(base_url: str | None) -> Iterator[None]:
    """Raise what ends a call inside a block as :func:`as_openais` has it.

    Args:
        base_url: where the call would have been sent.
    """
    try:
        yield
    except (BudgetExceeded, NoModelFits, RequestError, *_BROKEN) as error:
        if isinstance(error, openai.OpenAIError):
            raise
        raise as_openais(error, base_url) from error.__cause__
