"""What refuses a call, in the form in which OpenAI's API tells of it. Pure."""

from __future__ import annotations

from functools import cache
from typing import Any, Final, NamedTuple

from routed_llm.errors import (
    BudgetExceeded,
    CatalogError,
    LedgerError,
    NoModelFits,
    PolicyError,
    ProviderError,
    RequestError,
    RoutedError,
)

__all__ = ["Problem", "both", "problem"]

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
