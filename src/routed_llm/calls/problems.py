"""What refuses a call, in the form in which OpenAI's API reports it, and as the SDK raises it. Pure."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import cache
from typing import Any, Final, NamedTuple

from routed_llm.errors import (
    BudgetExceeded,
    CatalogError,
    IncompleteStream,
    LedgerError,
    NoModelFits,
    PolicyError,
    ProviderError,
    RequestError,
    RoutedError,
    UnreadableAnswer,
)

__all__ = ["ENDS", "Problem", "Raised", "both", "problem", "sdk_error"]

_BROKEN: Final = (IncompleteStream, UnreadableAnswer)
ENDS: Final = (BudgetExceeded, CatalogError, NoModelFits, RequestError, *_BROKEN)
"""What a program gets as an error of the SDK, too."""

_SIZE: Final = frozenset({"max_input", "window"})
_GONE: Final = frozenset({"retired", "unreleased"})

_KINDS: Final[tuple[tuple[type[RoutedError], int, str, str | None], ...]] = (
    (NoModelFits, 400, "invalid_request_error", None),
    (RequestError, 400, "invalid_request_error", None),
    (PolicyError, 400, "invalid_request_error", "invalid_routing"),
    (CatalogError, 404, "invalid_request_error", "model_not_found"),
    (BudgetExceeded, 429, "insufficient_quota", "budget_exceeded"),
    (LedgerError, 503, "server_error", "ledger_unavailable"),
    (ProviderError, 502, "server_error", "incomplete_answer"),
    (RoutedError, 500, "server_error", None),
)


class Problem(NamedTuple):
    """An error as OpenAI's API sends it.

    Attributes:
        status: the HTTP status.
        error: the object under ``error`` in the body.
    """

    status: int
    error: dict[str, Any]

    @property
    def body(self) -> dict[str, Any]:
        """The body of the response."""
        return {"error": self.error}


def problem(error: RoutedError) -> Problem:
    """Return what the API would have said to a request that was refused before it was sent."""
    status, kind, code = next(
        (status, kind, code) for of, status, kind, code in _KINDS if isinstance(error, of)
    )
    param = getattr(error, "where", None) if isinstance(error, RequestError) else None
    if isinstance(error, NoModelFits):
        if _is_gone(error):
            status, param, code = 404, "model", "model_not_found"
        elif _is_too_long(error):
            param, code = "messages", "context_length_exceeded"
    return Problem(status, {"message": str(error), "type": kind, "param": param, "code": code})


def _is_too_long(error: NoModelFits) -> bool:
    """Say whether a model could serve the request if it were shorter."""
    found = ([reason.code for reason in one.reasons] for one in error.decision.candidates)
    return any(codes and _SIZE.issuperset(codes) for codes in found)


def _is_gone(error: NoModelFits) -> bool:
    """Say whether no model that may be used is alive."""
    candidates = error.decision.candidates
    return bool(candidates) and all(_GONE.intersection(r.code for r in one.reasons) for one in candidates)


def sdk_error(
    error: RoutedError, kinds: Mapping[Any, Any], *, httpx: Any, base_url: str | None = None
) -> Exception:
    """Return the error to raise: besides ours, the SDK's for what the server would have said.

    Args:
        error: what refused a call before it was sent, or what its answer broke off with.
        kinds: the SDK's errors by the error's code or its status; by None for a connection that broke.
        httpx: the library of the SDK's requests and responses.
        base_url: where it would have been sent.
    """
    request = httpx.Request("POST", base_url or "https://api.openai.com/v1")
    if isinstance(error, _BROKEN):
        return both(error, kinds[None](message=str(error), request=request))
    said = problem(error)
    code = said.error["code"]
    kind = (code and kinds.get(code)) or kinds.get(said.status) or kinds[500]
    response = httpx.Response(said.status, json=said.body, request=request)
    return both(error, kind(str(error), response=response, body=said.error))


class Raised:
    """A block in which what ends a call is raised as programs written for the SDK expect it.

    Python's strings may hold one half of a pair that makes a character; neither JSON nor a server takes it.

    Args:
        made: makes the error to raise of one of ours.
        sdk: what the SDK's errors have in common.
    """

    __slots__ = ("_made", "_sdk")

    def __init__(self, made: Callable[[RoutedError], Exception], sdk: type[Exception]) -> None:
        self._made = made
        self._sdk = sdk

    def __enter__(self) -> None:
        """Begin."""

    def __exit__(self, kind: object, error: BaseException | None, trace: object) -> None:
        """Raise what is wrong."""
        if error is None:
            return
        if isinstance(error, ENDS) and not isinstance(error, self._sdk):
            raise self._made(error) from error.__cause__
        if not isinstance(error, UnicodeEncodeError) or not error.object.startswith("{"):
            return
        half, before = error.object[error.start], error.object[max(0, error.start - 40) : error.start]
        said = (
            f"The request holds {half!r}, half of a character, after {before!r}: it cannot be sent. "
            "Replace it, as text.encode('utf-8', 'replace').decode() does."
        )
        raise self._made(RequestError(said)) from error


def both(ours: RoutedError, sdk: Exception) -> Exception:
    """Return an error that is ours and the SDK's at once: programs catch either.

    Args:
        ours: what refused a call; its message and its data are kept.
        sdk: the SDK's error for the same.
    """
    made: Any = _class((type(ours), type(sdk)))
    error: Exception = made.__new__(made)  # neither constructor knows what the other one wants
    Exception.__init__(error, str(ours))
    error.__dict__.update({**vars(sdk), **vars(ours), "message": str(ours)})
    return error.with_traceback(ours.__traceback__)


@cache
def _class(kinds: tuple[type[Exception], ...]) -> type[Exception]:
    ours = kinds[0]
    return type(ours.__name__, kinds, {"__module__": ours.__module__, "__doc__": ours.__doc__})
