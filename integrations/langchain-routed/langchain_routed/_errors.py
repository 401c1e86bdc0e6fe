"""Errors: what is ours is also what ChatOpenAI raises for it, for programs and middleware catch that.

With ChatOpenAI the server refuses a call that nothing can serve, and the error is both the SDK's and
LangChain's: summarisation tries again with less when the context overflows.
"""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any, Final

from langchain_openai._compat import httpx
from langchain_openai.chat_models.base import (
    OpenAIConnectionError,
    OpenAIContextOverflowError,
    OpenAIInvalidRequestError,
    OpenAIModelNotFoundError,
    OpenAIRateLimitError,
)
from openai import OpenAIError

from routed_llm import CatalogError
from routed_llm.calls.problems import ENDS, Raised, sdk_error

if TYPE_CHECKING:
    from langchain_openai import ChatOpenAI

__all__ = ["as_langchains", "raised"]

_KINDS: Final[dict[Any, Any]] = {
    None: OpenAIConnectionError,
    400: OpenAIInvalidRequestError,
    404: OpenAIModelNotFoundError,
    429: OpenAIRateLimitError,
    "context_length_exceeded": OpenAIContextOverflowError,
}


def as_langchains(error: Exception, owner: ChatOpenAI) -> Exception:
    """Return the error to raise: besides ours, one of LangChain's and the SDK's where they have one.

    Args:
        error: what refused a call before it was sent, or what its answer broke off with.
        owner: the model that was called.
    """
    of_the_catalog = isinstance(error, CatalogError) and not (error.path is None and error.key is None)
    if not isinstance(error, ENDS) or of_the_catalog:
        return error
    return sdk_error(error, _KINDS, httpx=httpx, base_url=owner.openai_api_base)


def raised(owner: ChatOpenAI) -> Raised:
    """Return a block in which what ends a call is raised as :func:`as_langchains` has it."""
    return Raised(partial(as_langchains, owner=owner), OpenAIError)
