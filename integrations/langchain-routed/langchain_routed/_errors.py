"""Errors: what refuses a call before it is sent, as the errors that ChatOpenAI raises for such a call.

With ChatOpenAI the server refuses it, and the error is both the SDK's and LangChain's. Programs and
middleware catch those: summarisation tries again with less when the context overflows.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from langchain_openai._compat import httpx
from langchain_openai.chat_models.base import (
    OpenAIContextOverflowError,
    OpenAIInvalidRequestError,
    OpenAIModelNotFoundError,
    OpenAIRateLimitError,
)

from routed_llm import BudgetExceeded, CatalogError, NoModelFits, RequestError, RoutedError

if TYPE_CHECKING:
    import openai
    from langchain_openai import ChatOpenAI

__all__ = ["Written", "as_langchains"]

_SIZE: Final = frozenset({"max_input", "window"})
_GONE: Final = frozenset({"retired", "unreleased"})


class NoModelFitsContext(NoModelFits, OpenAIContextOverflowError):
    """The input is too long for every model that could serve it otherwise."""

    def __init__(self, error: NoModelFits, url: str) -> None:
        _take_over(self, error, url, param="messages", code="context_length_exceeded")


class NoModelFitsRequest(NoModelFits, OpenAIInvalidRequestError):
    """No model can serve the request, however short it is."""

    def __init__(self, error: NoModelFits, url: str) -> None:
        _take_over(self, error, url)


class UnknownModel(CatalogError, OpenAIModelNotFoundError):
    """The catalog knows no model of that name."""

    def __init__(self, error: CatalogError, url: str) -> None:
        _take_over(self, error, url, param="model", code="model_not_found", status=404)


class NoModelLeft(NoModelFits, OpenAIModelNotFoundError):
    """The model that the call names has been shut down."""

    def __init__(self, error: NoModelFits, url: str) -> None:
        _take_over(self, error, url, param="model", code="model_not_found", status=404)


class BrokenRequest(RequestError, OpenAIInvalidRequestError):
    """Something in the request is broken, so that no model takes it."""

    def __init__(self, error: RequestError, url: str) -> None:
        _take_over(self, error, url, param=error.where)


class NoBudgetLeft(BudgetExceeded, OpenAIRateLimitError):
    """A budget cannot pay for the call, as an account's limit could not."""

    def __init__(self, error: BudgetExceeded, url: str) -> None:
        _take_over(self, error, url, code="budget_exceeded", kind="insufficient_quota", status=429)


def as_langchains(error: Exception, owner: ChatOpenAI) -> Exception:
    """Return the error to raise: besides ours, one of LangChain's and the SDK's where they have one.

    Args:
        error: what refused a call before it was sent.
        owner: the model that was called.
    """
    url = str(owner.openai_api_base or "https://api.openai.com/v1")
    if isinstance(error, CatalogError) and error.path is None and error.key is None:
        return UnknownModel(error, url)
    if isinstance(error, NoModelFits):
        candidates = error.decision.candidates
        if candidates and all(_GONE.intersection(r.code for r in one.reasons) for one in candidates):
            return NoModelLeft(error, url)
        reasons = ([reason.code for reason in one.reasons] for one in error.decision.candidates)
        long = any(codes and _SIZE.issuperset(codes) for codes in reasons)
        return NoModelFitsContext(error, url) if long else NoModelFitsRequest(error, url)
    if isinstance(error, BudgetExceeded):
        return NoBudgetLeft(error, url)
    return BrokenRequest(error, url) if isinstance(error, RequestError) else error


class Written:
    """Tells of a request that could not be written down, inside a block.

    Python's strings may hold one half of a pair that makes a character; neither JSON nor a server takes it.

    Args:
        owner: the model that was called.
    """

    def __init__(self, owner: ChatOpenAI) -> None:
        self._owner = owner

    def __enter__(self) -> None:
        """Begin."""

    def __exit__(self, kind: object, error: BaseException | None, trace: object) -> None:
        """Raise what is wrong with the request in place of what Python says of it."""
        if not isinstance(error, UnicodeEncodeError) or not error.object.startswith("{"):
            return
        half, before = error.object[error.start], error.object[max(0, error.start - 40) : error.start]
        said = (
            f"The request holds {half!r}, half of a character, after {before!r}: it cannot be sent. "
            "Replace it, as text.encode('utf-8', 'replace').decode() does."
        )
        raise as_langchains(RequestError(said), self._owner) from error


def _take_over(
    new: openai.APIStatusError,
    error: RoutedError,
    url: str,
    *,
    param: str | None = None,
    code: str | None = None,
    kind: str = "invalid_request_error",
    status: int = 400,
) -> None:
    # The SDK's constructors each want a response and hand on a message only, which ours don't agree with.
    message = str(error)
    Exception.__init__(new, message)
    body = {"message": message, "type": kind, "param": param, "code": code}
    request = httpx.Request("POST", url)
    given: dict[str, Any] = {
        **vars(error),
        "message": message,
        "body": body,
        "param": param,
        "code": code,
        "type": body["type"],
        "status_code": status,
        "request": request,
        "request_id": None,
        "response": httpx.Response(status, request=request, json={"error": body}),
    }
    new.__dict__.update(given)
    new.__traceback__ = error.__traceback__
