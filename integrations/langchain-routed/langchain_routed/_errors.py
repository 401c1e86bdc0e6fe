"""Errors: what is ours is also what ChatOpenAI raises for it, for programs and middleware catch that.

With ChatOpenAI the server refuses a call that nothing can serve, and the error is both the SDK's and
LangChain's: summarisation tries again with less when the context overflows.
"""

from __future__ import annotations

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

from routed_llm import (
    BudgetExceeded,
    CatalogError,
    IncompleteStream,
    NoModelFits,
    RequestError,
    UnreadableAnswer,
)
from routed_llm.calls.problems import both, problem

if TYPE_CHECKING:
    from langchain_openai import ChatOpenAI

__all__ = ["Written", "as_langchains"]

_REFUSALS: Final = (CatalogError, NoModelFits, BudgetExceeded, RequestError)
_BROKEN: Final = (IncompleteStream, UnreadableAnswer)
_BY_STATUS: Final[dict[int, Any]] = {
    400: OpenAIInvalidRequestError,
    404: OpenAIModelNotFoundError,
    429: OpenAIRateLimitError,
}


def as_langchains(error: Exception, owner: ChatOpenAI) -> Exception:
    """Return the error to raise: besides ours, one of LangChain's and the SDK's where they have one.

    Args:
        error: what refused a call before it was sent, or what its answer broke off with.
        owner: the model that was called.
    """
    request = httpx.Request("POST", str(owner.openai_api_base or "https://api.openai.com/v1"))
    if isinstance(error, _BROKEN):
        return both(error, OpenAIConnectionError(message=str(error), request=request))
    of_the_catalog = isinstance(error, CatalogError) and not (error.path is None and error.key is None)
    if not isinstance(error, _REFUSALS) or of_the_catalog:
        return error
    status, said = problem(error)
    kind = _BY_STATUS[status]
    if said["code"] == "context_length_exceeded":
        kind = OpenAIContextOverflowError
    response = httpx.Response(status, request=request, json={"error": said})
    return both(error, kind(str(error), response=response, body=said))


class Written:
    """Tells of a request that could not be written down or paid, and of an answer that broke off, in a block.

    Python's strings may hold one half of a pair that makes a character; neither JSON nor a server takes it.

    Args:
        owner: the model that was called.
    """

    def __init__(self, owner: ChatOpenAI) -> None:
        self._owner = owner

    def __enter__(self) -> None:
        """Begin."""

    def __exit__(self, kind: object, error: BaseException | None, trace: object) -> None:
        """Raise what is wrong in the words of ChatOpenAI's callers."""
        if isinstance(error, (*_BROKEN, *_REFUSALS)) and not isinstance(error, OpenAIError):
            raise as_langchains(error, self._owner) from error.__cause__
        if not isinstance(error, UnicodeEncodeError) or not error.object.startswith("{"):
            return
        half, before = error.object[error.start], error.object[max(0, error.start - 40) : error.start]
        said = (
            f"The request holds {half!r}, half of a character, after {before!r}: it cannot be sent. "
            "Replace it, as text.encode('utf-8', 'replace').decode() does."
        )
        raise as_langchains(RequestError(said), self._owner) from error
